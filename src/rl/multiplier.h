/*
 * multiplier.h - prices that make a learner keep a limit: Lagrange multipliers, moved by what is measured.
 *
 * For "maximise J_R subject to J_C <= d" the learner maximises J_R - lambda J_C, and lambda >= 0 is moved by the excess
 * e = J_C - d that its experience shows:
 *
 *     gradient   lambda <- clip(lambda + lr e, 0, max)        ascent on the dual (Ray et al. 2019, section 5.2)
 *
 *     pid        I <- clip(I + k_i e, 0, max)                 Stooke et al. 2020, algorithm 2
 *                p <- s p + (1 - s) e,  c <- s c + (1 - s) J_C
 *                lambda <- clip(k_p p + I + k_d max(0, c - c_before), 0, max)
 *
 * With k_p = k_d = 0 pid is gradient. The integral alone is a spring without friction: cost and price swing around
 * their values for long. The proportional part brakes the swings, the derivative a rise of the cost before it passes the
 * limit. k_i stands inside the integral, so that `max` bounds a price and a changed gain does not change the past.
 */
#ifndef REINI_MULTIPLIER_H
#define REINI_MULTIPLIER_H

#include <rein/field.h>
#include "base/archive.h"

/* The same text fields in every method that prices limits. */
#define REINI_MULTIPLIER_FIELDS(F, E)                                                                        \
    E(multiplier, "pid", "gradient|pid", "how the price of a limit follows what passes it")                  \
    F(REAL, multiplier_init, "0", 0, 1e9, "price of a cost's limit at the start")                            \
    F(REAL, multiplier_max, "1000", 0, 1e9, "highest price")                                                 \
    F(REAL, multiplier_lr, "0.01", 0, 1e9, "gradient: change of the price for an excess of 1")               \
    F(REAL, pid_kp, "0.1", 0, 1e9, "pid: price for a smoothed excess of 1")                                  \
    F(REAL, pid_ki, "0.01", 0, 1e9, "pid: lasting change of the price for an excess of 1")                   \
    F(REAL, pid_kd, "0.01", 0, 1e9, "pid: price for a smoothed cost that has risen by 1")                    \
    F(REAL, pid_smoothing, "0.5", 0, 0.9999, "pid: weight of the past in the excess and the cost's rise")

typedef struct reini_multiplier_rule {
    REIN_FIELDS_STRUCT(REINI_MULTIPLIER_FIELDS)
} reini_multiplier_rule;

enum { REINI_MULTIPLIER_GRADIENT, REINI_MULTIPLIER_PID };

typedef struct reini_multiplier {
    double price;                  /* lambda */
    double integral, excess, cost; /* I, p and c of pid */
    int64_t updates;
} reini_multiplier;

void reini_multiplier_init(reini_multiplier *m, double price);
/* Moves the price by a measurement; one that is not finite moves nothing. Returns the price. */
double reini_multiplier_update(reini_multiplier *m, const reini_multiplier_rule *rule, double measured,
                               double limit);
rein_status reini_multiplier_visit(reini_multiplier *m, int n, const char *name, reini_archive *archive);

#endif
