/*
 * mdp_intern.c - rows with the same probabilities and rewards share one copy of them.
 *
 * A new row is written behind the last probabilities and rewards, looked up by a hash of its content, and stays there
 * only when it is not known yet. Equal means equal bits: rewards come without -0, so that equal numbers are that.
 */
#include <math.h>
#include <string.h>
#include "mdp/mdp_build.h"

#define SLOTS_FIRST 64

rein_status reini_mdp_reserve(void *array, size_t *room, size_t used, size_t more, size_t item,
                              const char *what) {
    if (more <= *room - used)
        return REIN_OK;
    size_t wanted = *room < 64 ? 64 : 2 * *room;
    if (wanted < used + more)
        wanted = used + more;
    if (wanted > SIZE_MAX / item)
        return reini_fail_memory(SIZE_MAX, what);
    REINI_TRY(reini_memory_claim(wanted * item, what));
    REINI_TRY(reini_resize(array, used, wanted, item, what));
    *room = wanted;
    return REIN_OK;
}

static uint64_t mix(uint64_t hash, const double *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        hash = (hash ^ bits) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

static uint64_t hash_of(const rein_mdp *mdp, const reini_shape *s) {
    size_t n = (size_t)s->count;
    uint64_t hash = mix(n, mdp->p + s->p, n);
    return s->r < 0 ? mix(hash, &s->reward, 1) : mix(hash, mdp->r + s->r, n);
}

static bool equal(const rein_mdp *mdp, const reini_shape *a, const reini_shape *b) {
    size_t bytes = (size_t)a->count * sizeof(double);
    if (a->count != b->count || (a->r < 0) != (b->r < 0) || a->reward != b->reward)
        return false;
    if (memcmp(mdp->p + a->p, mdp->p + b->p, bytes) != 0)
        return false;
    return a->r < 0 || memcmp(mdp->r + a->r, mdp->r + b->r, bytes) == 0;
}

/* the slot that holds an equal shape, or the empty one where it belongs */
static uint32_t *find(const rein_mdp *mdp, const reini_shape *shape) {
    const reini_mdp_build *b = mdp->build;
    size_t at = (size_t)hash_of(mdp, shape) & (b->n_slots - 1);
    while (b->slot[at] != 0 && !equal(mdp, &mdp->shapes[b->slot[at]], shape))
        at = (at + 1) & (b->n_slots - 1);
    return &b->slot[at];
}

/* the table stays at most half full */
static rein_status reserve_slots(rein_mdp *mdp) {
    reini_mdp_build *b = mdp->build;
    if (2 * ((size_t)mdp->n_shapes + 1) <= b->n_slots)
        return REIN_OK;
    size_t n = SLOTS_FIRST;
    while (n < 2 * ((size_t)mdp->n_shapes + 1))
        n *= 2;
    uint32_t *slot = REINI_NEW_ARRAY(uint32_t, n);
    if (!slot)
        return reini_fail_memory(n * sizeof *slot, "the index of an MDP's rows");
    reini_free(b->slot);
    b->slot = slot;
    b->n_slots = n;
    for (uint32_t i = 1; i < mdp->n_shapes; i++)
        *find(mdp, &mdp->shapes[i]) = i;
    return REIN_OK;
}

static rein_status reserve(rein_mdp *mdp, int n) {
    reini_mdp_build *b = mdp->build;
    REINI_TRY(reini_mdp_reserve(&mdp->p, &b->p_room, (size_t)mdp->n_p, (size_t)n, sizeof(double),
                                "the probabilities of an MDP"));
    REINI_TRY(reini_mdp_reserve(&mdp->r, &b->r_room, (size_t)mdp->n_r, (size_t)n, sizeof(double),
                                "the rewards of an MDP"));
    REINI_TRY(reini_mdp_reserve(&mdp->shapes, &b->shape_room, mdp->n_shapes, 1, sizeof(reini_shape),
                                "the rows of an MDP"));
    return reserve_slots(mdp);
}

/* writes the row behind the others; 0 + x makes 0 of -0, 0 - x turns a cost to be maximised */
static reini_shape stage(rein_mdp *mdp, int n, const rein_outcome *outcomes) {
    double *p = mdp->p + mdp->n_p, *r = mdp->r + mdp->n_r;
    double expected = 0;
    bool same = true;
    for (int k = 0; k < n; k++) {
        p[k] = outcomes[k].probability;
        r[k] = mdp->cost ? 0 - outcomes[k].reward : 0 + outcomes[k].reward;
        same = same && r[k] == r[0];
        expected += p[k] * r[k];
    }
    return (reini_shape){n, (uint32_t)mdp->n_p, same ? -1 : mdp->n_r, same ? r[0] : expected};
}

rein_status reini_mdp_intern(rein_mdp *mdp, int n, const rein_outcome *outcomes, uint32_t *shape) {
    REINI_TRY(reserve(mdp, n));
    reini_shape staged = stage(mdp, n, outcomes);
    if (!isfinite(staged.reward))
        return reini_fail(REIN_USAGE, "the expected %s is too large for a double",
                          mdp->cost ? "cost" : "reward");
    uint32_t *slot = find(mdp, &staged);
    if (*slot == 0) {
        *slot = mdp->n_shapes;
        mdp->shapes[mdp->n_shapes++] = staged;
        mdp->n_p += n;
        mdp->n_r += staged.r < 0 ? 0 : n;
    }
    *shape = *slot;
    return REIN_OK;
}
