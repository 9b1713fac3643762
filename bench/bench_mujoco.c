/*
 * bench_mujoco.c - what a vector of MuJoCo environments costs beyond the simulation itself.
 *
 * A vector plays random actions on 1 and 2 threads; every start of an episode is noted. Then bare loops replay the
 * same steps: the same controls, mj_step as often, the same states put back where episodes began, and nothing else: no
 * observation, reward, end, statistics, and no mj_forward at a start, which the environments need. The two are timed in
 * turn, and the medians compared. The program fails when a vector has less than 95 % of the bare loop's throughput.
 *
 *     bench_mujoco [steps per environment and measurement, default 1000] [measurements, default 7]
 */
#include <stdio.h>

#ifndef REIN_HAVE_MUJOCO
int main(void) {
    printf("built without MuJoCo: nothing to measure\n");
    return 0;
}
#else
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <rein/tensor.h>
#include "env/mujoco/mujoco_env.h"

enum { ENVS = 16, MEASUREMENTS_MAX = 101, STARTS_MAX = 4096 };
#define BAR 0.95

/* the state of an environment after the reset that its step `step` ended with */
typedef struct start {
    int env, step;
    double *state;
} start;

typedef struct bench {
    const char *id;
    int steps, threads;
    rein_env_type type; /* opened */
    const reini_mujoco_world *world;
    rein_vec *vec;
    rein_pool *pool;
    float *actions; /* (steps x ENVS x nu) */
    rein_slab slab;
    mjData *data[ENVS];
    unsigned char *saved; /* the vector before the first step */
    double *first[ENVS];
    start starts[STARTS_MAX];
    int n_starts;
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *array(size_t n, size_t size) {
    void *memory = calloc(n, size);
    if (!memory) {
        fprintf(stderr, "bench_mujoco: out of memory\n");
        exit(1);
    }
    return memory;
}

static void must(rein_status status) {
    if (status == REIN_OK)
        return;
    fprintf(stderr, "bench_mujoco: %s\n", rein_error());
    exit(1);
}

/* each thread has a block of environments, and plays it from the first step to the last */
static void block(int threads, int thread, int *begin, int *end) {
    *begin = ENVS * thread / threads;
    *end = ENVS * (thread + 1) / threads;
}

/* ---- the vector ---------------------------------------------------------------------------------------- */

static void play_vec(void *user, int task, int worker) {
    bench *b = user;
    rein_slab slab = b->slab;
    int begin, end;
    block(b->threads, task, &begin, &end);
    for (int t = 0; t < b->steps; t++) {
        slab.action = b->actions + (size_t)t * ENVS * (size_t)b->world->m->nu;
        rein_vec_step(b->vec, begin, end, &slab);
    }
}

static double *state_now(const bench *b, int i) {
    double *state = array((size_t)b->world->n_state, sizeof *state);
    const reini_mujoco_sim *sim = rein_vec_state(b->vec, i);
    reini_mujoco_get(b->world->m, sim->d, state);
    return state;
}

/* plays once, one environment after the other, and notes where episodes began */
static void note_starts(bench *b) {
    b->saved = array(rein_vec_save_size(b->vec), 1);
    rein_vec_save(b->vec, b->saved);
    rein_slab slab = b->slab;
    for (int i = 0; i < ENVS; i++) {
        b->first[i] = state_now(b, i);
        for (int t = 0; t < b->steps; t++) {
            slab.action = b->actions + (size_t)t * ENVS * (size_t)b->world->m->nu;
            rein_vec_step(b->vec, i, i + 1, &slab);
            if ((slab.terminated[i] || slab.truncated[i]) && b->n_starts < STARTS_MAX)
                b->starts[b->n_starts++] = (start){i, t, state_now(b, i)};
        }
    }
}

/* ---- the bare loop ------------------------------------------------------------------------------------- */

static void play_bare(void *user, int task, int worker) {
    bench *b = user;
    const mjModel *m = b->world->m;
    int begin, end, next = 0;
    block(b->threads, task, &begin, &end);
    while (next < b->n_starts && b->starts[next].env < begin)
        next++;
    int at[ENVS];
    for (int i = begin; i < end; i++) {
        at[i] = next;
        while (next < b->n_starts && b->starts[next].env == i)
            next++;
        reini_mujoco_set(m, b->data[i], b->first[i]);
    }
    for (int t = 0; t < b->steps; t++) {
        for (int i = begin; i < end; i++) {
            mjData *d = b->data[i];
            const float *a = b->actions + ((size_t)t * ENVS + (size_t)i) * (size_t)m->nu;
            for (int k = 0; k < m->nu; k++)
                d->ctrl[k] = (double)a[k];
            for (int k = 0; k < b->world->frames; k++)
                mj_step(m, d);
            const start *s = &b->starts[at[i]];
            if (at[i] < b->n_starts && s->env == i && s->step == t) {
                reini_mujoco_set(m, d, s->state);
                at[i]++;
            }
        }
    }
}

/* ---- measuring ----------------------------------------------------------------------------------------- */

static void open_bench(bench *b, const char *id, int steps) {
    *b = (bench){.id = id, .steps = steps};
    must(rein_env_open(rein_env_find(id), NULL, &b->type));
    b->world = b->type.model;
    must(rein_vec_new(&b->type, &(rein_vec_opts){.n = ENVS, .seed = 1}, &b->vec));
    size_t obs = rein_space_bytes(&b->type.obs), nu = (size_t)b->world->m->nu;
    b->slab = (rein_slab){
        .obs = array(ENVS, obs),
        .final_obs = array(ENVS, obs),
        .reward = array(ENVS, sizeof(float)),
        .terminated = array(ENVS, 1),
        .truncated = array(ENVS, 1),
        .ep_return = array(ENVS, sizeof(float)),
        .ep_length = array(ENVS, sizeof(int32_t)),
    };
    b->actions = array((size_t)steps * ENVS * nu, sizeof(float));
    rein_rng rng = rein_rng_make(2, 0);
    for (size_t k = 0; k < (size_t)steps * ENVS * nu; k++)
        b->actions[k] = rein_rng_range(&rng, b->world->low[k % nu], b->world->high[k % nu]);
    for (int i = 0; i < ENVS; i++)
        b->data[i] = reini_mujoco_data(b->world->m);
    note_starts(b);
}

static void close_bench(bench *b) {
    for (int i = 0; i < ENVS; i++) {
        mj_deleteData(b->data[i]);
        free(b->first[i]);
    }
    for (int i = 0; i < b->n_starts; i++)
        free(b->starts[i].state);
    free(b->saved);
    free(b->actions);
    free(b->slab.obs);
    free(b->slab.final_obs);
    free(b->slab.reward);
    free(b->slab.terminated);
    free(b->slab.truncated);
    free(b->slab.ep_return);
    free(b->slab.ep_length);
    rein_vec_free(b->vec);
    rein_env_close(&b->type);
}

static double timed(bench *b, void (*play)(void *user, int task, int worker)) {
    must(rein_vec_load(b->vec, b->saved, rein_vec_save_size(b->vec)));
    double began = now();
    rein_pool_run(b->pool, b->threads, play, b);
    return now() - began;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, ascending);
    return x[n / 2];
}

/* whether the vector reaches the bar */
static int compare(bench *b, int threads, int measurements) {
    double vec[MEASUREMENTS_MAX], bare[MEASUREMENTS_MAX], share[MEASUREMENTS_MAX];
    b->threads = threads;
    b->pool = rein_pool_new(threads);
    for (int k = 0; k < measurements; k++) {
        bare[k] = timed(b, play_bare);
        vec[k] = timed(b, play_vec);
        share[k] = bare[k] / vec[k];
    }
    rein_pool_free(b->pool);
    double steps = (double)b->steps * ENVS, reached = median(share, measurements);
    printf("%-16s %d thread%s  mj_step alone %9.0f  vector %9.0f steps/s  %.1f %%  (%d episodes ended)\n",
           b->id, threads, threads > 1 ? "s" : " ", steps / median(bare, measurements),
           steps / median(vec, measurements), 100 * reached, b->n_starts);
    return reached >= BAR;
}

int main(int count, char **words) {
    static const char *const ids[] = {"Ant-v4", "HalfCheetah-v4"};
    static bench b;
    int steps = count > 1 ? atoi(words[1]) : 1000, measurements = count > 2 ? atoi(words[2]) : 7, failed = 0;
    if (steps < 1 || measurements < 1 || measurements > MEASUREMENTS_MAX) {
        fprintf(stderr, "usage: bench_mujoco [steps, 1 or more] [measurements, 1 to %d]\n", MEASUREMENTS_MAX);
        return 2;
    }
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        open_bench(&b, ids[i], steps);
        for (int threads = 1; threads <= 2; threads++)
            failed += !compare(&b, threads, measurements);
        close_bench(&b);
    }
    if (failed)
        printf("below %.0f %% of mj_step alone: %d of 4\n", 100 * BAR, failed);
    return failed > 0;
}
#endif
