/*
 * explore.c - epsilon-greedy and softmax choices.
 *
 * Sutton and Barto, Reinforcement Learning (2nd ed., 2018), sections 2.2 and 2.8. The softmax subtracts the largest
 * value before exp, so that no temperature overflows.
 */
#include "rl/explore.h"

#include <stddef.h>

void reini_explore_set(reini_explore *e, const reini_explore_config *config, double progress) {
    e->kind = config->explore;
    e->epsilon = rein_schedule_at(&config->epsilon, progress);
    e->temperature = rein_schedule_at(&config->temperature, progress);
    e->threshold = (uint64_t)(e->epsilon * 4294967296.0);
    e->random_of_word = e->threshold > 0 ? 1 / (double)e->threshold : 0;
    e->greedy_of_word = e->threshold < UINT64_C(1) << 32 ? 1 / (4294967296.0 - (double)e->threshold) : 0;
}

static int32_t count_allowed(const double *q, int32_t n, const uint8_t *mask, double least) {
    int32_t count = 0;
    for (int32_t a = 0; a < n; a++)
        count += (mask == NULL || mask[a]) && q[a] >= least;
    return count;
}

static int32_t choose_masked(const reini_explore *e, const double *q, int32_t n, const uint8_t *mask,
                             uint32_t word) {
    double least = -INFINITY, share = (double)word * e->random_of_word;
    if (word >= e->threshold) {
        least = reini_max_allowed(q, n, mask);
        share = (double)(word - e->threshold) * e->greedy_of_word;
    }
    return reini_pick(q, n, mask, least, (int32_t)(share * count_allowed(q, n, mask, least)));
}

/* exp((q - max) / T) of the allowed actions, 0 of the others; returns the sum */
static double softmax_weights(const reini_explore *e, const double *q, int32_t n, const uint8_t *mask,
                              double *w) {
    double best = reini_max_allowed(q, n, mask), sum = 0;
    for (int32_t a = 0; a < n; a++) {
        w[a] = mask == NULL || mask[a] ? exp((q[a] - best) / e->temperature) : 0;
        sum += w[a];
    }
    return sum;
}

static int32_t choose_softmax(reini_explore *e, const double *q, int32_t n, const uint8_t *mask,
                              rein_rng *rng) {
    double left = rein_rng_uniform64(rng) * softmax_weights(e, q, n, mask, e->weight);
    int32_t last = 0;
    for (int32_t a = 0; a < n; a++) {
        if (e->weight[a] == 0)
            continue;
        last = a;
        left -= e->weight[a];
        if (left < 0)
            break;
    }
    return last;
}

int32_t reini_explore_otherwise(reini_explore *e, const double *q, int32_t n, const uint8_t *mask,
                                rein_rng *rng) {
    if (e->script != NULL)
        return *e->script++;
    if (e->kind == REINI_EXPLORE_SOFTMAX)
        return choose_softmax(e, q, n, mask, rng);
    return choose_masked(e, q, n, mask, rein_rng_next(rng));
}

double reini_explore_value(const reini_explore *e, const double *q, int32_t n, const uint8_t *mask) {
    double sum = 0;
    if (e->kind == REINI_EXPLORE_SOFTMAX) {
        double total = softmax_weights(e, q, n, mask, e->weight);
        for (int32_t a = 0; a < n; a++)
            sum += e->weight[a] > 0 ? e->weight[a] / total * q[a] : 0;
        return sum;
    }
    double best = reini_max_allowed(q, n, mask);
    if (e->epsilon == 0)
        return best;
    for (int32_t a = 0; a < n; a++)
        sum += mask == NULL || mask[a] ? q[a] : 0;
    return (1 - e->epsilon) * best + e->epsilon * (sum / count_allowed(q, n, mask, -INFINITY));
}

void reini_explore_probabilities(const reini_explore *e, const double *q, int32_t n, const uint8_t *mask,
                                 double *p) {
    if (e->kind == REINI_EXPLORE_SOFTMAX) {
        double total = softmax_weights(e, q, n, mask, p);
        for (int32_t a = 0; a < n; a++)
            p[a] /= total;
        return;
    }
    double best = reini_max_allowed(q, n, mask);
    int32_t allowed = count_allowed(q, n, mask, -INFINITY), ties = count_allowed(q, n, mask, best);
    for (int32_t a = 0; a < n; a++) {
        bool may = mask == NULL || mask[a];
        p[a] = may ? e->epsilon / allowed + (q[a] >= best ? (1 - e->epsilon) / ties : 0) : 0;
    }
}
