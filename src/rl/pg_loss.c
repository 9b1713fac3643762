/*
 * pg_loss.c - surrogate objectives of policy gradients.
 */
#include "rl/pg_loss.h"

reini_pg reini_pg_plain(rein_tensor *logp, rein_tensor *logp_old, rein_tensor *adv) {
    reini_pg pg;
    pg.log_ratio = rein_sub(logp, logp_old);
    pg.ratio = rein_exp(pg.log_ratio);
    pg.gain = rein_mul(pg.ratio, adv);
    return pg;
}

reini_pg reini_pg_clip(rein_tensor *logp, rein_tensor *logp_old, rein_tensor *adv, rein_tensor *low,
                       rein_tensor *high) {
    reini_pg pg = reini_pg_plain(logp, logp_old, adv);
    pg.gain = rein_min(pg.gain, rein_mul(rein_clamp(pg.ratio, low, high), adv));
    return pg;
}

rein_tensor *reini_pg_approx_kl(const reini_pg *pg) {
    return rein_mean(rein_sub(rein_offset(pg->ratio, -1), pg->log_ratio));
}

rein_tensor *reini_pg_clip_fraction(const reini_pg *pg, rein_tensor *low, rein_tensor *high) {
    return rein_mean(rein_add(rein_less(pg->ratio, low), rein_less(high, pg->ratio)));
}
