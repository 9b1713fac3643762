/*
 * prioritized.c - a binary heap of states by Bellman error.
 */
#include "algo/planning/prioritized.h"

/* ---- the heap ------------------------------------------------------------------------------------------ */

static void put(reini_priorities *q, int32_t at, int32_t s) {
    q->heap[at] = s;
    q->place[s] = at;
}

static void rise(reini_priorities *q, int32_t s) {
    int32_t at = q->place[s];
    while (at > 0 && q->error[q->heap[(at - 1) / 2]] < q->error[s]) {
        put(q, at, q->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(q, at, s);
}

static void sink(reini_priorities *q, int32_t n, int32_t s) {
    int32_t at = q->place[s];
    while (at < n / 2) { /* has a child */
        int32_t child = 2 * at + 1;
        if (child + 1 < n && q->error[q->heap[child + 1]] > q->error[q->heap[child]])
            child++;
        if (!(q->error[q->heap[child]] > q->error[s]))
            break;
        put(q, at, q->heap[child]);
        at = child;
    }
    put(q, at, s);
}

static void set_error(reini_priorities *q, int32_t n, int32_t s, double error) {
    double before = q->error[s];
    q->error[s] = error;
    if (error > before)
        rise(q, s);
    else if (error < before)
        sink(q, n, s);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

rein_status reini_priorities_init(reini_priorities *q, const reini_bellman *b, const double *V) {
    size_t n = (size_t)b->mdp->n_states;
    q->error = REINI_NEW_ARRAY(double, n);
    q->heap = REINI_NEW_ARRAY(int32_t, n);
    q->place = REINI_NEW_ARRAY(int32_t, n);
    if (q->error == NULL || q->heap == NULL || q->place == NULL)
        return reini_fail_memory(16 * n, "the priorities of states");
    REINI_TRY(reini_predecessors_init(&q->pred, b->mdp));
    for (int32_t s = 0; s < b->mdp->n_states; s++)
        put(q, s, s);
    for (int32_t s = 0; s < b->mdp->n_states; s++)
        set_error(q, b->mdp->n_states, s, fabs(reini_best(b, V, s) - V[s]));
    return REIN_OK;
}

void reini_priorities_release(reini_priorities *q) {
    reini_predecessors_release(&q->pred);
    reini_free(q->error);
    reini_free(q->heap);
    reini_free(q->place);
}

rein_status reini_priorities_visit(reini_priorities *q, const rein_mdp *mdp, reini_archive *archive) {
    size_t n = (size_t)mdp->n_states;
    REINI_TRY(reini_archive_bytes(archive, "plan.errors", q->error, n * sizeof *q->error));
    REINI_TRY(reini_archive_bytes(archive, "plan.heap", q->heap, n * sizeof *q->heap));
    return reini_archive_bytes(archive, "plan.places", q->place, n * sizeof *q->place);
}

/* ---- sweeps -------------------------------------------------------------------------------------------- */

static void back_up(reini_priorities *q, const reini_bellman *b, int32_t s, double *V) {
    int32_t n = b->mdp->n_states;
    V[s] = reini_best(b, V, s);
    set_error(q, n, s, 0);
    for (size_t i = q->pred.first[s]; i < q->pred.first[s + 1]; i++) {
        int32_t from = q->pred.state[i];
        set_error(q, n, from, fabs(reini_best(b, V, from) - V[from]));
    }
}

reini_sweep reini_priorities_sweep(reini_priorities *q, const reini_bellman *b, double goal, double *V) {
    reini_sweep sweep = {0, 0};
    int32_t n = b->mdp->n_states;
    for (int32_t i = 0; i < n && q->error[q->heap[0]] > goal; i++)
        back_up(q, b, q->heap[0], V);
    for (int32_t s = 0; s < n; s++) {
        sweep.residual = fmax(sweep.residual, fabs(reini_best(b, V, s) - V[s]));
        sweep.largest = fmax(sweep.largest, fabs(V[s]));
    }
    return sweep;
}
