/*
 * bench_planning.c - sweeps of value iteration over a slippery grid, against the speed of memory.
 *
 * The grid is FrozenLake's of any size: four directions, each going where it should or to either side with
 * probability 1/3; the last cell is the goal and pays 1. With 1,000 x 1,000 cells there are a million states
 * and 12 M transitions. Cells may be holes, which end the episode, at random.
 *
 * The floor is a plain stream in the same program over arrays of the sweep's own sizes, with the same pool
 * and the same ranges: read what a sweep has to read (shapes and next states as whole words, V), write the
 * values.
 *
 *     bench_planning [side, default 1000] [sweeps of a measurement, default 20] [tolerance of the solution, 1e-6]
 *                    [one cell in how many is a hole, 0 = none]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rein/rng.h>
#include "base/clock.h"
#include "mdp/backup.h"

enum { RANGE = 4096, REPEATS = 7 };
#define GAMMA 0.99

static void must(rein_status status) {
    if (status == REIN_OK)
        return;
    fprintf(stderr, "bench_planning: %s\n", rein_error());
    exit(1);
}

static void *array(size_t n, size_t size) {
    void *memory = reini_new_array(n, size);
    if (memory == NULL) {
        fprintf(stderr, "bench_planning: out of memory\n");
        exit(1);
    }
    return memory;
}

/* ---- the grid ------------------------------------------------------------------------------------------ */

static int32_t neighbour(int32_t side, int32_t s, int direction) {
    int32_t row = s / side, column = s % side;
    if (direction == 0)
        column -= column > 0;
    else if (direction == 1)
        row += row + 1 < side;
    else if (direction == 2)
        column += column + 1 < side;
    else
        row -= row > 0;
    return row * side + column;
}

static rein_mdp *slippery_grid(int32_t side, uint32_t holes) {
    rein_rng rng = rein_rng_make(1, 0);
    int32_t goal = side * side - 1;
    rein_mdp *mdp;
    must(rein_mdp_new(side * side, 4, false, &mdp));
    for (int32_t s = 0; s <= goal; s++) {
        if (s == goal || (s > 0 && holes > 0 && rein_rng_below(&rng, holes) == 0)) {
            must(rein_mdp_terminal(mdp, s, 0));
            continue;
        }
        for (int a = 0; a < 4; a++) {
            rein_outcome out[3];
            for (int k = 0; k < 3; k++) {
                int32_t next = neighbour(side, s, (a + k + 3) % 4);
                out[k] = (rein_outcome){next, 1.0 / 3, next == goal};
            }
            must(rein_mdp_add(mdp, s, a, 3, out));
        }
    }
    must(rein_mdp_finish(mdp));
    return mdp;
}

/* ---- the floor ----------------------------------------------------------------------------------------- */

typedef struct stream {
    const rein_mdp *mdp;
    const double *V;
    double *out;
    uint64_t *sum; /* of each task, so that nothing is optimised away */
} stream;

/* by cache lines, asking ahead as the sweep does */
static uint64_t add_words(const void *from, size_t bytes) {
    const uint64_t *word = from;
    uint64_t sum = 0;
    size_t i = 0;
    for (; i + 8 <= bytes / 8; i += 8) {
        __builtin_prefetch((const void *)((uintptr_t)(word + i) + 2048));
        for (size_t k = 0; k < 8; k++)
            sum += word[i + k];
    }
    for (; i < bytes / 8; i++)
        sum += word[i];
    return sum;
}

static void stream_range(void *user, int task, int worker) {
    stream *t = user;
    const rein_mdp *mdp = t->mdp;
    int64_t n = mdp->n_states, begin = (int64_t)task * RANGE, end = begin + RANGE < n ? begin + RANGE : n;
    size_t from = (size_t)(mdp->n_transitions * begin / n) & ~(size_t)1;
    size_t to = (size_t)(mdp->n_transitions * end / n) & ~(size_t)1;
    (void)worker;
    t->sum[task] = add_words(mdp->next + from, (to - from) * sizeof *mdp->next);
    t->sum[task] += add_words(mdp->shape + begin * mdp->n_actions,
                              (size_t)((end - begin) * mdp->n_actions) * sizeof *mdp->shape);
    for (int64_t s = begin; s < end; s++)
        t->out[s] = t->V[s] + 1;
}

/* ---- measuring ----------------------------------------------------------------------------------------- */

typedef struct figures {
    double sweep, floor; /* seconds, the best of the repeats */
} figures;

static figures measure(const rein_mdp *mdp, rein_pool *pool, int sweeps) {
    size_t n = (size_t)mdp->n_states;
    int tasks = (int)((n + RANGE - 1) / RANGE);
    reini_bellman b = {mdp, GAMMA, pool};
    double *V = array(n, sizeof *V), *out = array(n, sizeof *out);
    stream t = {mdp, V, out, array((size_t)tasks, sizeof *t.sum)};
    figures best = {INFINITY, INFINITY};
    reini_values_reset(mdp, V);
    reini_values_reset(mdp, out);
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double start = reini_seconds();
        for (int i = 0; i < sweeps; i++)
            reini_sweep_best(&b, i & 1 ? out : V, i & 1 ? V : out);
        best.sweep = fmin(best.sweep, (reini_seconds() - start) / sweeps);
        start = reini_seconds();
        for (int i = 0; i < sweeps; i++)
            rein_pool_run(pool, tasks, stream_range, &t);
        best.floor = fmin(best.floor, (reini_seconds() - start) / sweeps);
        reini_values_reset(mdp, V);
        reini_values_reset(mdp, out);
    }
    reini_free(V);
    reini_free(out);
    reini_free(t.sum);
    return best;
}

/* sum of the values after ten sweeps, which the peers print too */
static double checksum(const rein_mdp *mdp) {
    size_t n = (size_t)mdp->n_states;
    reini_bellman b = {mdp, GAMMA, NULL};
    double *V = array(n, sizeof *V), *out = array(n, sizeof *out), sum = 0;
    reini_values_reset(mdp, V);
    for (int i = 0; i < 10; i++)
        reini_sweep_best(&b, i & 1 ? out : V, i & 1 ? V : out);
    for (size_t s = 0; s < n; s++)
        sum += V[s];
    reini_free(V);
    reini_free(out);
    return sum;
}

/* value iteration to the end, by the stopping bound */
static void solve(const rein_mdp *mdp, rein_pool *pool, double tolerance) {
    size_t n = (size_t)mdp->n_states;
    reini_bellman b = {mdp, GAMMA, pool};
    double *V = array(n, sizeof *V), *out = array(n, sizeof *out);
    reini_sweep sweep = {INFINITY, 0};
    double start = reini_seconds();
    int sweeps = 0;
    reini_values_reset(mdp, V);
    reini_values_reset(mdp, out);
    for (; sweep.residual > tolerance * (1 - GAMMA) / (2 * GAMMA); sweeps++) {
        sweep = reini_sweep_best(&b, V, out);
        double *kept = V;
        V = out;
        out = kept;
    }
    printf("value iteration to %g at gamma %g, %d threads: %d sweeps, %.2f s\n", tolerance, GAMMA,
           rein_pool_threads(pool), sweeps, reini_seconds() - start);
    reini_free(V);
    reini_free(out);
}

int main(int argc, char **argv) {
    int32_t side = argc > 1 ? (int32_t)strtol(argv[1], NULL, 10) : 1000;
    int sweeps = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 20;
    double tolerance = argc > 3 ? strtod(argv[3], NULL) : 1e-6, alone = 0;
    uint32_t holes = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;
    if (side < 2 || side > 20000 || sweeps < 1 || !(tolerance > 0)) {
        fprintf(stderr, "usage: bench_planning [side] [sweeps] [tolerance] [holes]\n");
        return 2;
    }
    rein_mdp *mdp = slippery_grid(side, holes);
    double states = mdp->n_states, transitions = (double)mdp->n_transitions;
    /* shapes and next states read, V read, out written */
    double bytes =
        states * 4 * sizeof(uint32_t) + transitions * sizeof(int32_t) + states * 2 * sizeof(double);
    printf("slippery grid %d x %d: %.0f states, %.0f transitions, %.2f bytes a transition held, %.1f MB a "
           "sweep\n",
           side, side, states, transitions, (double)rein_mdp_bytes(mdp) / transitions, bytes / 1e6);
    printf("%-8s %12s %14s %14s %8s %10s %8s %8s\n", "threads", "ms a sweep", "M backups/s", "M outcomes/s",
           "GB/s", "floor GB/s", "ratio", "speed-up");
    for (int threads = 1; threads <= 2; threads++) {
        rein_pool *pool = rein_pool_new(threads);
        figures f = measure(mdp, pool, sweeps);
        alone = threads == 1 ? f.sweep : alone;
        printf("%-8d %12.3f %14.1f %14.1f %8.2f %10.2f %8.3f %8.2f\n", threads, 1e3 * f.sweep,
               states / f.sweep / 1e6, transitions / f.sweep / 1e6, bytes / f.sweep / 1e9,
               bytes / f.floor / 1e9, f.floor / f.sweep, alone / f.sweep);
        fflush(stdout);
        rein_pool_free(pool);
    }
    printf("sum of the values after 10 sweeps: %.12g\n", checksum(mdp));
    rein_pool *pool = rein_pool_new(2);
    solve(mdp, pool, tolerance);
    rein_pool_free(pool);
    rein_mdp_free(mdp);
    return 0;
}
