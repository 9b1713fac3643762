/*
 * bench_dqn.c - one update of DQN on CartPole's spaces, and on images: drawing a batch, loss and gradients, clip, Adam;
 * microseconds. bench/peers/torch_dqn_update.py measures the same in PyTorch.
 *
 *     bench_dqn [updates, default 2000] [images: only those] [threads, default 1] [bf16]
 */
#include <stdio.h>
#include <stdlib.h>
#include "algo/off_policy/dqn.c"

static void set(dqn_config *config, char *settings) {
    for (char *name, *rest = settings; (name = strtok_r(rest, " ", &rest)) != NULL;) {
        char *value = strchr(name, '=');
        *value++ = 0;
        if (rein_fields_set(dqn_fields, reini_algo_dqn.n_fields, config, name, value) != REIN_OK)
            fprintf(stderr, "%s\n", rein_error());
    }
}

/* the best of five rounds, in seconds */
static double measure(dqn *d, int64_t updates) {
    double best = INFINITY, sum[METRICS];
    d->config.gradient_steps = updates;
    for (int round = 0; round < 6; round++) { /* the first one warms up */
        double start = reini_seconds();
        learn(d, sum);
        double seconds = (reini_seconds() - start) / (double)updates;
        best = round > 0 && seconds < best ? seconds : best;
    }
    return best;
}

/* ---- images of noise ----------------------------------------------------------------------------------- */

typedef struct noise {
    uint64_t word;
} noise;

static void noise_reset(const void *config, void *state, rein_rng *rng) {
    ((noise *)state)->word = (uint64_t)rein_rng_below(rng, 1u << 30) << 1 | 1;
}

static rein_step noise_step(const void *config, void *state, const void *action, rein_rng *rng) {
    noise_reset(config, state, rng);
    return (rein_step){.reward = 1, .terminated = rein_rng_below(rng, 20) == 0};
}

static void noise_draw(const noise *n, int size, uint8_t most, uint8_t *obs) {
    uint64_t word = n->word;
    for (int i = 0; i < size; i++) {
        word = word * 6364136223846793005u + 1442695040888963407u;
        obs[i] = (uint8_t)(word >> 56) & most;
    }
}

static void noise_small(const void *config, const void *state, void *obs) {
    noise_draw(state, 400, 1, obs);
}

static void noise_large(const void *config, const void *state, void *obs) {
    noise_draw(state, 4 * 84 * 84, 255, obs);
}

#define NOISE_ENV(title, side, draw)                                                                         \
    {                                                                                                        \
        .abi = REIN_ENV_ABI, .id = title, .doc = "noise",                                                    \
        .obs = {.kind = REIN_SPACE_IMAGE, .size = 4 * (side) * (side), .shape = {4, side, side}},            \
        .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {6}}, .state_size = sizeof(noise),              \
        .reset = noise_reset, .step = noise_step, .observe = draw, .reward_threshold = NAN,                  \
    }
static const rein_env_type noise_envs[] = {NOISE_ENV("Noise4x10x10", 10, noise_small),
                                           NOISE_ENV("Noise4x84x84", 84, noise_large)};

/* ---- cases --------------------------------------------------------------------------------------------- */

typedef struct bench_case {
    const char *env, *settings;
    int64_t steps;   /* of experience */
    int64_t shorter; /* updates are this many times fewer */
} bench_case;

static const bench_case cases[] = {
    {"CartPole-v1", "hidden=64,64 batch_size=64", 20000, 1},
    {"CartPole-v1", "hidden=256,256 batch_size=64", 20000, 1},
    {"CartPole-v1", "hidden=256,256 batch_size=128", 20000, 1},
    {"CartPole-v1", "hidden=256,256 batch_size=64 double_q=true dueling=true", 20000, 1},
    {"CartPole-v1", "hidden=256,256 batch_size=64 prioritized=true n_step=3", 20000, 1},
    {"Noise4x10x10", "encoder=minatar batch_size=32", 2000, 1},
    {"Noise4x84x84", "encoder=nature batch_size=32", 2000, 50},
};

static int run(const bench_case *from, const reini_context *settings, int64_t updates) {
    char text[256];
    dqn_config config;
    void *self;
    rein_env_type env;
    reini_report report = {0};
    memset(&config, 0, sizeof config);
    rein_fields_default(dqn_fields, reini_algo_dqn.n_fields, &config);
    snprintf(text, sizeof text, "buffer_size=%s %s", from->steps > 2000 ? "50000" : "2000", from->settings);
    set(&config, text);
    reini_context context = *settings;
    context.env = &env;
    if (rein_env_open(rein_env_find(from->env), NULL, &env) != REIN_OK ||
        dqn_create(&config, &context, &self) != REIN_OK) {
        fprintf(stderr, "%s\n", rein_error());
        return 1;
    }
    dqn *d = self;
    while (d->env_steps < from->steps)
        if (d->env_steps < config.learning_starts || from->shorter == 1)
            experience(d, &report);
        else { /* fills the memory without acting by a large network */
            reini_stepper_random(d->stepper);
            reini_stepper_step(d->stepper);
            d->env_steps++;
        }
    printf("DQN update, %s %s: %.1f us\n", from->env, from->settings,
           1e6 * measure(d, updates / from->shorter));
    dqn_destroy(d);
    rein_env_close(&env);
    return 0;
}

int main(int argc, char **argv) {
    int64_t updates = argc > 1 ? atoll(argv[1]) : 2000;
    bool images = argc > 2 && strcmp(argv[2], "images") == 0;
    rein_pool *pool = argc > 3 ? rein_pool_new(atoi(argv[3])) : NULL;
    reini_context context = {.seed = 1,
                             .total_steps = 1000000,
                             .pool = pool,
                             .matmul = argc > 4 && strcmp(argv[4], "bf16") == 0 ? REIN_BF16 : REIN_F32};
    int failed = rein_env_register(&noise_envs[0]) != REIN_OK || rein_env_register(&noise_envs[1]) != REIN_OK;
    for (size_t i = 0; i < sizeof cases / sizeof *cases && !failed; i++)
        if (!images || strncmp(cases[i].env, "Noise", 5) == 0)
            failed = run(&cases[i], &context, updates);
    rein_pool_free(pool);
    return failed;
}
