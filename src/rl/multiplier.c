/*
 * multiplier.c - Lagrange multipliers by dual ascent and by PID control.
 */
#include "rl/multiplier.h"

#include <math.h>

void reini_multiplier_init(reini_multiplier *m, double price) {
    *m = (reini_multiplier){.price = price, .integral = price};
}

static double between(double x, double most) {
    return fmin(fmax(x, 0), most);
}

static double pid(reini_multiplier *m, const reini_multiplier_rule *rule, double cost, double excess) {
    /* the first measurement has no past to be smoothed with */
    double past = m->updates > 0 ? rule->pid_smoothing : 0, before = m->updates > 0 ? m->cost : cost;
    m->integral = between(m->integral + rule->pid_ki * excess, rule->multiplier_max);
    m->excess = past * m->excess + (1 - past) * excess;
    m->cost = past * m->cost + (1 - past) * cost;
    return rule->pid_kp * m->excess + m->integral + rule->pid_kd * fmax(0, m->cost - before);
}

double reini_multiplier_update(reini_multiplier *m, const reini_multiplier_rule *rule, double measured,
                               double limit) {
    double excess = measured - limit;
    if (!isfinite(excess))
        return m->price;
    double price = rule->multiplier == REINI_MULTIPLIER_PID ? pid(m, rule, measured, excess)
                                                            : m->price + rule->multiplier_lr * excess;
    m->price = between(price, rule->multiplier_max);
    m->updates++;
    return m->price;
}

rein_status reini_multiplier_visit(reini_multiplier *m, int n, const char *name, reini_archive *archive) {
    return reini_archive_bytes(archive, name, m, (size_t)n * sizeof *m);
}
