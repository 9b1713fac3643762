/*
 * per.c - which transitions of a replay memory are worth learning from.
 */
#include "rl/per.h"

#include <math.h>
#include <string.h>

/* keeps a transition without error drawable; Schaul et al. 2016, sec. 3.3 */
#define SMALLEST_ERROR 1e-6
enum { PER_STREAM = 0x504552 };

rein_status reini_per_init(reini_per *p, const reini_replay *replay, double alpha) {
    memset(p, 0, sizeof *p);
    p->alpha = alpha;
    p->largest = 1;
    return reini_sum_tree_init(&p->tree, replay->capacity);
}

void reini_per_release(reini_per *p) {
    reini_sum_tree_release(&p->tree);
}

void reini_per_follow(reini_per *p, const reini_replay *replay) {
    int64_t oldest = replay->added - replay->capacity; /* the place of what came before is taken already */
    REINI_ASSERT(replay->added - p->added <= replay->capacity);
    p->forgotten = p->forgotten > oldest ? p->forgotten : oldest;
    for (; p->forgotten < replay->forgotten; p->forgotten++)
        reini_sum_tree_set(&p->tree, p->forgotten % replay->capacity, 0);
    for (; p->added < replay->added; p->added++)
        reini_sum_tree_set(&p->tree, p->added % replay->capacity,
                           p->added < replay->forgotten ? 0 : p->largest);
}

void reini_per_sample(const reini_per *p, int64_t n, double beta, uint64_t seed, uint64_t draw,
                      int32_t *index, float *weight) {
    rein_rng rng = rein_rng_make(seed, (uint64_t)PER_STREAM << 40 ^ draw);
    double part = reini_sum_tree_total(&p->tree) / (double)n, least = INFINITY;
    for (int64_t k = 0; k < n; k++) {
        double mass = part * ((double)k + rein_rng_uniform64(&rng));
        index[k] = (int32_t)reini_sum_tree_find(&p->tree, mass);
        least = fmin(least, reini_sum_tree_weight(&p->tree, index[k]));
    }
    for (int64_t k = 0; k < n; k++)
        weight[k] = (float)pow(least / reini_sum_tree_weight(&p->tree, index[k]), beta);
}

void reini_per_update(reini_per *p, int64_t n, const int32_t *index, const float *error) {
    for (int64_t k = 0; k < n; k++) {
        double weight = pow(fabs((double)error[k]) + SMALLEST_ERROR, p->alpha);
        reini_sum_tree_set(&p->tree, index[k], weight);
        p->largest = fmax(p->largest, weight);
    }
}

rein_status reini_per_visit(reini_per *p, reini_archive *archive) {
    REINI_TRY(reini_archive_bytes(archive, "per.largest", &p->largest, sizeof p->largest));
    REINI_TRY(reini_archive_bytes(archive, "per.forgotten", &p->forgotten, sizeof p->forgotten));
    REINI_TRY(reini_archive_bytes(archive, "per.added", &p->added, sizeof p->added));
    int64_t filled = p->added < p->tree.n ? p->added : p->tree.n;
    REINI_ASSERT(filled >= 0);
    REINI_TRY(reini_archive_bytes(archive, "per.weights", p->tree.level[0], (size_t)filled * sizeof(double)));
    if (reini_archive_loading(archive))
        reini_sum_tree_rebuild(&p->tree);
    return REIN_OK;
}
