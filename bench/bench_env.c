/*
 * bench_env.c - environment steps per second on one thread, with random actions, through rein_vec_step.
 *
 * Actions are drawn beforehand and used in turn. Inside the measured time: stepping, auto-reset, and writing every
 * output of the slab (obs, reward, terminated, truncated, final_obs, ep_return, ep_length). Two paths: "scalar" calls `step` for
 * each environment, "range" the type's step_range. The hash covers every output of 2000 steps; where both
 * paths exist, the hashes must be equal, else the program fails.
 *
 *     bench_env [environments, default 4096] [seconds per measurement, default 1] [id of one environment]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <rein/env.h>
#include "env/env_simd.h"

enum { HASH_STEPS = 2000, ACTION_SETS = 61 };

typedef struct bench {
    const rein_env_type *type;
    rein_vec *vec;
    int n;
    uint64_t step;   /* block of the action stream */
    uint32_t *words; /* (n x action size, rounded up to 4) */
    void *action;    /* ACTION_SETS of (n x action size) */
    rein_slab slab;
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *array(size_t n, size_t size) {
    size_t bytes = (n * size + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes);
    if (!memory) {
        fprintf(stderr, "bench_env: out of memory\n");
        exit(1);
    }
    memset(memory, 0, bytes);
    return memory;
}

/* ---- random actions ------------------------------------------------------------------------------------ */

/* blocks x 4 words of Philox: word k of block b at words[k * blocks + b] */
REINI_INLINE void fill_words_body(uint32_t *words, int blocks, uint64_t step) {
    uint32_t *w0 = words, *w1 = words + blocks, *w2 = words + 2 * blocks, *w3 = words + 3 * blocks;
    for (int b = 0; b < blocks; b++) {
        uint32_t word[4];
        rein_philox(1234, (uint64_t)b, step, word);
        w0[b] = word[0];
        w1[b] = word[1];
        w2[b] = word[2];
        w3[b] = word[3];
    }
}
REINI_FOR_LEVELS(fill_words, (uint32_t * words, int blocks, uint64_t step), (words, blocks, step))

static void *set_of(const bench *b, int set) {
    return (char *)b->action + (size_t)set * (size_t)b->n * rein_space_bytes(&b->type->act);
}

/* the next actions of all environments */
static void draw_actions(bench *b, void *to) {
    const rein_space *act = &b->type->act;
    int n = b->n, size = act->size;
    fill_words(b->words, (n * size + 3) / 4, b->step++);
    for (int k = 0; k < size; k++) {
        const uint32_t *word = b->words + k * n;
        if (act->kind == REIN_SPACE_BOX) {
            float low = act->low ? act->low[k] : -1, high = act->high ? act->high[k] : 1;
            float *a = (float *)to + k;
            for (int i = 0; i < n; i++)
                a[i * size] = low + (high - low) * ((float)(int32_t)(word[i] >> 8) * (1.0f / 16777216.0f));
        } else {
            uint32_t values = (uint32_t)act->n[k];
            int32_t *a = (int32_t *)to + k;
            for (int i = 0; i < n; i++)
                a[i * size] = (int32_t)((uint64_t)word[i] * values >> 32);
        }
    }
}

/* ---- one path of one environment ----------------------------------------------------------------------- */

static bench make(const rein_env_type *type, int n) {
    bench b = {.type = type, .n = n};
    size_t envs = (size_t)n, obs = rein_space_bytes(&type->obs);
    rein_vec_opts opts = {.n = n, .seed = 1};
    if (rein_vec_new(type, &opts, &b.vec) != REIN_OK) {
        fprintf(stderr, "bench_env: %s\n", rein_error());
        exit(1);
    }
    b.words = array(envs * (size_t)type->act.size + 4, sizeof *b.words);
    b.action = array(ACTION_SETS * envs, rein_space_bytes(&type->act));
    b.slab = (rein_slab){
        .action = b.action,
        .obs = array(envs, obs),
        .reward = array(envs, sizeof(float)),
        .terminated = array(envs, 1),
        .truncated = array(envs, 1),
        .final_obs = array(envs, obs),
        .ep_return = array(envs, sizeof(float)),
        .ep_length = array(envs, sizeof(int32_t)),
    };
    if (type->mask)
        b.slab.mask = array(envs, (size_t)rein_space_logits(&type->act));
    return b;
}

static void release(bench *b) {
    rein_vec_free(b->vec);
    free(b->words);
    free(b->action);
    free(b->slab.obs);
    free(b->slab.reward);
    free(b->slab.terminated);
    free(b->slab.truncated);
    free(b->slab.final_obs);
    free(b->slab.ep_return);
    free(b->slab.ep_length);
    free(b->slab.mask);
}

/* FNV-1a over 32-bit words, the last one padded with zeros */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes) {
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i += 4) {
        uint32_t word = 0;
        memcpy(&word, at + i, bytes - i < 4 ? bytes - i : 4);
        hash = (hash ^ word) * 0x100000001B3u;
    }
    return hash;
}

static uint64_t hash_outputs(bench *b, int steps) {
    size_t n = (size_t)b->n, obs = rein_space_bytes(&b->type->obs);
    uint64_t hash = 0xCBF29CE484222325u;
    for (int t = 0; t < steps; t++) {
        draw_actions(b, b->action);
        rein_vec_step(b->vec, 0, b->n, &b->slab);
        hash = hash_bytes(hash, b->slab.obs, n * obs);
        hash = hash_bytes(hash, b->slab.final_obs, n * obs);
        hash = hash_bytes(hash, b->slab.reward, n * sizeof(float));
        hash = hash_bytes(hash, b->slab.terminated, n);
        hash = hash_bytes(hash, b->slab.truncated, n);
        hash = hash_bytes(hash, b->slab.ep_return, n * sizeof(float));
        hash = hash_bytes(hash, b->slab.ep_length, n * sizeof(int32_t));
    }
    return hash;
}

/* the best of five runs of a fifth of the time: what the machine can do without its neighbours */
static double measure(bench *b, double seconds) {
    double best = 0;
    for (int set = 0; set < ACTION_SETS; set++)
        draw_actions(b, set_of(b, set));
    for (int run = 0; run < 5; run++) {
        double start = now(), wall;
        int64_t steps = 0;
        do {
            for (int set = 0; set < ACTION_SETS; set++) {
                b->slab.action = set_of(b, set);
                rein_vec_step(b->vec, 0, b->n, &b->slab);
            }
            steps += ACTION_SETS;
            wall = now() - start;
        } while (wall < seconds / 5);
        double rate = (double)steps * b->n / wall;
        best = rate > best ? rate : best;
    }
    return best;
}

static uint64_t run_path(const rein_env_type *type, const char *path, int n, double seconds) {
    bench hashed = make(type, 512), timed = make(type, n);
    uint64_t hash = hash_outputs(&hashed, HASH_STEPS);
    double rate = measure(&timed, seconds);
    printf("%-26s %-8s %10.2f %12.2f   %016llx\n", type->id, path, rate / 1e6, 1e9 / rate,
           (unsigned long long)hash);
    fflush(stdout);
    release(&hashed);
    release(&timed);
    return hash;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 4096;
    double seconds = argc > 2 ? atof(argv[2]) : 1;
    const char *only = argc > 3 ? argv[3] : NULL;
    if (n < 1 || !(seconds > 0)) {
        fprintf(stderr, "usage: bench_env [environments] [seconds] [id]\n");
        return 2;
    }
    int unequal = 0;
    printf("%d environments, one thread, level %s\n", n, rein_cpu_level());
    printf("%-26s %-8s %10s %12s   %s\n", "environment", "path", "Msteps/s", "ns per step", "hash");
    const rein_env_type *type;
    for (int i = 0; (type = rein_env_at(i)) != NULL; i++) {
        if ((only && strcmp(only, type->id) != 0) || type->create) /* simulators: bench_mujoco.c */
            continue;
        rein_env_type opened;
        if (rein_env_open(type, NULL, &opened) != REIN_OK)
            continue; /* it needs a setting, a file say */
        rein_env_close(&opened);
        rein_env_type scalar = *type;
        scalar.step_range = NULL;
        uint64_t hash = run_path(&scalar, "scalar", n, seconds);
        if (type->step_range && run_path(type, "range", n, seconds) != hash) {
            printf("%s: the paths differ\n", type->id);
            unequal = 1;
        }
    }
    return unequal;
}
