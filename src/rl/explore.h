/*
 * explore.h - how a learner that holds action values chooses its actions while it learns.
 *
 *     epsilon   with probability epsilon any allowed action, each alike; otherwise one of the best
 *     softmax   action a with probability exp(Q(a) / temperature) / sum of these over the allowed actions
 *
 * Best actions that are equally good are equally likely: all are, before anything is learned.
 *
 * An epsilon-greedy choice takes one 32-bit word u, used twice: u < epsilon 2^32 explores, and where u lies in its
 * part of the range picks among the candidates. An action's probability is off by at most 2^-32.
 */
#ifndef REINI_EXPLORE_H
#define REINI_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>
#include <rein/field.h>
#include <rein/rng.h>

#define REINI_EXPLORE_FIELDS(F, E)                                                                           \
    E(explore, "epsilon", "epsilon|softmax",                                                                 \
      "actions while learning: epsilon-greedy, or drawn by exp(Q / T)")                                      \
    F(SCHEDULE, epsilon, "0.1", 0, 1, "probability of an action at random")                                  \
    F(SCHEDULE, temperature, "1", 1e-9, 1e9, "T of softmax exploration")

enum { REINI_EXPLORE_EPSILON, REINI_EXPLORE_SOFTMAX };

typedef struct reini_explore_config {
    REIN_FIELDS_STRUCT(REINI_EXPLORE_FIELDS)
} reini_explore_config;

typedef struct reini_explore {
    int kind;
    double epsilon, temperature;
    uint64_t threshold;    /* a word below it explores */
    double random_of_word; /* (word below the threshold) x this lies in [0, 1] */
    double greedy_of_word; /* (word - threshold) x this lies in [0, 1] */
    double *weight;        /* (A) scratch; softmax only */
    const int32_t *script; /* test hook: the next choices in order; NULL = none */
} reini_explore;

/* The part of a choice that schedules move; progress in [0, 1]. weight and script stay. */
void reini_explore_set(reini_explore *e, const reini_explore_config *config, double progress);

/* The expectation of a choice: sum over a of P(a) q[a]; mask NULL = all are allowed. At least one must be. */
double reini_explore_value(const reini_explore *e, const double *q, int32_t n, const uint8_t *mask);
/* P(a), into p (n). */
void reini_explore_probabilities(const reini_explore *e, const double *q, int32_t n, const uint8_t *mask,
                                 double *p);

/* The largest allowed value; -INFINITY when none is allowed. */
static inline double reini_max_allowed(const double *q, int32_t n, const uint8_t *mask) {
    double best = -INFINITY;
    if (mask == NULL) {
        for (int32_t a = 0; a < n; a++)
            best = q[a] > best ? q[a] : best;
        return best;
    }
    for (int32_t a = 0; a < n; a++)
        best = mask[a] && q[a] > best ? q[a] : best;
    return best;
}

/* The k-th (from 0) of the allowed actions whose value is at least `least`; the last one when there are fewer. */
static inline int32_t reini_pick(const double *q, int32_t n, const uint8_t *mask, double least, int32_t k) {
    int32_t at = 0;
    for (int32_t a = 0; a < n; a++)
        if ((mask == NULL || mask[a]) && q[a] >= least) {
            at = a;
            if (k-- == 0)
                break;
        }
    return at;
}

/* Epsilon-greedy without a mask, from one word. */
static inline int32_t reini_explore_epsilon(const reini_explore *e, const double *q, int32_t n,
                                            uint32_t word) {
    if (word < e->threshold) {
        int32_t a = (int32_t)((double)word * e->random_of_word * n);
        return a < n ? a : n - 1;
    }
    double best = q[0];
    int32_t at = 0, ties = 1;
    for (int32_t a = 1; a < n; a++) {
        ties = q[a] > best ? 1 : ties + (q[a] == best);
        at = q[a] > best ? a : at;
        best = q[a] > best ? q[a] : best;
    }
    if (ties == 1)
        return at;
    return reini_pick(q, n, NULL, best, (int32_t)((double)(word - e->threshold) * e->greedy_of_word * ties));
}

int32_t reini_explore_otherwise(reini_explore *e, const double *q, int32_t n, const uint8_t *mask,
                                rein_rng *rng);

/* An action for the row q of n values. The common case is inlined into the loops of learners. */
static inline int32_t reini_explore_choose(reini_explore *e, const double *q, int32_t n, const uint8_t *mask,
                                           rein_rng *rng) {
    if (e->kind == REINI_EXPLORE_EPSILON && mask == NULL && e->script == NULL)
        return reini_explore_epsilon(e, q, n, rein_rng_next(rng));
    return reini_explore_otherwise(e, q, n, mask, rng);
}

#endif
