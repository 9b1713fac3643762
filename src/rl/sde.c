/*
 * sde.c - generalised state-dependent exploration: densities, and the thetas that act.
 */
#include "rl/sde.h"

#include <math.h>
#include <rein/rng.h>
#include "rl/net.h"

enum { SDE_STREAM = 0x67534445 };

/* ---- parts of graphs ----------------------------------------------------------------------------------- */

/* sigma: exp(l), or with expln exp(l) up to 0 and 1 + log(1 + l) beyond, which meet with equal slope */
static rein_tensor *deviation(rein_tensor *l, bool expln) {
    if (!expln)
        return rein_exp(l);
    rein_tensor *zero = rein_constant(rein_tensor_graph(l), 0);
    /* each branch sees only its own side, so that neither can overflow in the other's place */
    rein_tensor *below = rein_exp(rein_min(l, zero));
    rein_tensor *above = rein_log(rein_offset(rein_max(l, zero), 1 + REINI_SDE_EPSILON));
    return rein_where(rein_less(zero, l), rein_offset(above, 1), below);
}

rein_tensor *reini_sde_log_std(rein_tensor *latent, rein_tensor *log_std, bool expln) {
    rein_tensor *weight = rein_square(deviation(log_std, expln));
    rein_tensor *variance = rein_dense(rein_square(latent), weight, NULL, REIN_ACT_IDENTITY);
    return rein_scale(rein_log(rein_offset(variance, REINI_SDE_EPSILON)), 0.5);
}

/* actions first .. first + count - 1; halves, so that no column is copied more than log2(act) times */
static rein_tensor *noise_of(rein_tensor *latent, rein_tensor *theta, int first, int count) {
    int k = (int)rein_tensor_width(latent);
    if (count == 1)
        return rein_sum(rein_mul(latent, rein_slice(theta, first * k, k)));
    int half = count / 2;
    return rein_concat(noise_of(latent, theta, first, half),
                       noise_of(latent, theta, first + half, count - half));
}

rein_tensor *reini_sde_noise(rein_tensor *latent, rein_tensor *theta, int act) {
    return noise_of(latent, theta, 0, act);
}

/* ---- the noise of environments ------------------------------------------------------------------------- */

rein_status reini_sde_init(reini_sde *sde, const reini_net *policy, int64_t rows) {
    *sde = (reini_sde){.rows = rows};
    if (!policy->net.use_sde)
        return REIN_OK;
    rein_param_info info = rein_layout_at(policy->layout, rein_layout_find(policy->layout, "log_std"));
    sde->latent = info.dims[0];
    sde->act = info.dims[1];
    size_t count = (size_t)rows * (size_t)info.count;
    sde->theta = REINI_NEW_ARRAY(float, count);
    return sde->theta != NULL ? REIN_OK : reini_fail_memory(count * sizeof(float), "exploration noise");
}

void reini_sde_release(reini_sde *sde) {
    reini_free(sde->theta);
    sde->theta = NULL;
}

static double sigma_of(double l, bool expln) {
    return expln && l > 0 ? 1 + log1p(l + REINI_SDE_EPSILON) : exp(l);
}

void reini_sde_draw(reini_sde *sde, const reini_net *policy, uint64_t seed, uint64_t step, int64_t begin,
                    int64_t end) {
    rein_param_info info = rein_layout_at(policy->layout, rein_layout_find(policy->layout, "log_std"));
    const float *log_std = (const float *)rein_store_view(policy->store) + info.offset;
    for (int64_t r = begin; r < end; r++) {
        rein_rng rng =
            rein_rng_make(seed ^ (uint64_t)SDE_STREAM << 32, step * (uint64_t)sde->rows + (uint64_t)r);
        float *theta = sde->theta + r * sde->act * sde->latent;
        for (int j = 0; j < sde->act; j++)
            for (int i = 0; i < sde->latent; i++) {
                double sigma = sigma_of(log_std[i * sde->act + j], policy->net.sde_expln);
                theta[j * sde->latent + i] = (float)(sigma * rein_rng_normal(&rng));
            }
    }
}

rein_status reini_sde_visit(reini_sde *sde, reini_archive *archive) {
    if (sde->theta == NULL)
        return REIN_OK;
    return reini_archive_bytes(archive, "sde.theta", sde->theta,
                               (size_t)(sde->rows * sde->act * sde->latent) * sizeof(float));
}

rein_status reini_sde_check(bool use_sde, const char *algo, const char *env, const rein_space *act) {
    if (!use_sde || act->kind == REIN_SPACE_BOX)
        return REIN_OK;
    return reini_fail(
        REIN_USAGE,
        "use_sde: state-dependent noise is added to box actions, %s takes others; %s explores there "
        "by its own distribution without it",
        env, algo);
}
