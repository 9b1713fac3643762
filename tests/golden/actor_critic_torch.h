/*
 * actor_critic_torch.h - SAC, TD3 and DDPG on the golden files' memory, batches and noise.
 *
 * Included before the algorithm's source: what the algorithm draws at random is taken from the file instead. The files
 * are those of tests/reference/actor_critic_torch.py.
 */
#ifndef ACTOR_CRITIC_TORCH_H
#define ACTOR_CRITIC_TORCH_H

#include <math.h>
#include <rein/nn.h>
#include "rl/replay.h"
#include "support/each_level.h"
#include "support/golden.h"
#include "tensor/graph.h"

enum { STEPS = 20, BATCH = 8, OBS = 3, ACTIONS = 2, UPDATES = 3, MOST = 128, DRAWS = 4 };

/* ---- numbers in place of random ones ------------------------------------------------------------------- */

static rein_tensor *noise_input[DRAWS]; /* in the order in which the graphs ask for them */
static int noise_inputs;
static const double *batch_now; /* (BATCH) numbers of transitions */

static rein_tensor *golden_normal(rein_tensor *key, rein_tensor *like) {
    (void)key;
    assert_true(noise_inputs < DRAWS);
    return noise_input[noise_inputs++] =
               rein_input(like->g, "noise", REIN_F32, like->extent, 1, (int[]){ACTIONS});
}

/* tanh(mean + sigma noise), and its log-density by the formula that is exact where tanh saturates */
static inline rein_tensor *golden_draw(const rein_dist *dist, rein_tensor *key, rein_tensor **logp) {
    rein_tensor *noise = golden_normal(key, dist->mean);
    rein_tensor *u = rein_add(dist->mean, rein_mul(rein_exp(dist->log_std), noise));
    rein_tensor *half = rein_scale(rein_square(noise), -0.5);
    rein_tensor *density = rein_offset(rein_sub(half, dist->log_std), -0.9189385332046727);
    /* log(1 - tanh^2 u) = 2 (log 2 - u - softplus(-2u)) */
    rein_tensor *volume =
        rein_offset(rein_scale(rein_add(u, rein_softplus(rein_scale(u, -2))), -2), 1.3862943611198906);
    *logp = rein_sum(rein_sub(density, volume));
    return rein_tanh(u);
}

static void golden_sample(const reini_replay *replay, int64_t n, uint64_t seed, uint64_t draw,
                          int32_t *index) {
    (void)replay, (void)seed, (void)draw;
    for (int64_t i = 0; i < n; i++)
        index[i] = (int32_t)batch_now[i];
}

/* ---- the file's world ---------------------------------------------------------------------------------- */

static void world_reset(const void *config, void *state, rein_rng *rng) {
}

static rein_step world_step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){0};
}

static void world_observe(const void *config, const void *state, void *obs) {
    memset(obs, 0, OBS * sizeof(float));
}

static const float world_low[ACTIONS] = {-1, -1}, world_high[ACTIONS] = {1, 1};
static const rein_env_type world = {
    .abi = REIN_ENV_ABI,
    .id = "TorchActorCritic-v0",
    .doc = "spaces only",
    .obs = {.kind = REIN_SPACE_BOX, .size = OBS, .shape = {OBS}},
    .act =
        {.kind = REIN_SPACE_BOX, .size = ACTIONS, .shape = {ACTIONS}, .low = world_low, .high = world_high},
    .reset = world_reset,
    .step = world_step,
    .observe = world_observe,
};

static void to_floats(float *to, const double *from, int n) {
    for (int i = 0; i < n; i++)
        to[i] = (float)from[i];
}

/* every transition is the end of an episode, so that its next observation is its own */
static void write_memory(reini_replay *replay, const json_t *golden) {
    const json_t *m = golden_at(golden, "memory");
    double obs[STEPS][OBS], next[STEPS][OBS], action[STEPS][ACTIONS], reward[STEPS], ended[STEPS];
    golden_doubles(m, "obs", obs[0], STEPS * OBS);
    golden_doubles(m, "next_obs", next[0], STEPS * OBS);
    golden_doubles(m, "action", action[0], STEPS * ACTIONS);
    golden_doubles(m, "reward", reward, STEPS);
    golden_doubles(m, "terminated", ended, STEPS);
    float now[OBS], final[OBS], done[ACTIONS], r;
    uint8_t terminated, truncated;
    to_floats(now, obs[0], OBS);
    reini_replay_begin(replay, now, NULL);
    for (int t = 0; t < STEPS; t++) {
        rein_slab slab = {
            .obs = now, .reward = &r, .terminated = &terminated, .truncated = &truncated, .final_obs = final};
        r = (float)reward[t];
        terminated = ended[t] > 0;
        truncated = !terminated;
        to_floats(final, next[t], OBS);
        to_floats(done, action[t], ACTIONS);
        to_floats(now, obs[(t + 1) % STEPS], OBS);
        reini_replay_add(replay, done, &slab);
    }
}

static float *parameter_at(rein_store *store, int i) {
    return (float *)rein_store_data(store) + rein_layout_at(rein_store_layout(store), i).offset;
}

static void write_weights(rein_store *store, const json_t *from) {
    int n = rein_layout_count(rein_store_layout(store));
    assert_int_equal(json_object_size(from), n);
    for (int k = 0; k < n; k++) {
        rein_param_info info = rein_layout_at(rein_store_layout(store), k);
        double values[MOST];
        golden_doubles(from, info.name, values, info.count);
        to_floats(parameter_at(store, k), values, (int)info.count);
    }
}

/* ---- comparing ----------------------------------------------------------------------------------------- */

static void near(const char *what, int update, double found, const json_t *wanted) {
    double value = golden_number(wanted, what);
    if (!(fabs(found - value) <= 1e-5 * fmax(1, fabs(value))))
        fail_msg("%s of update %d: found %.9g, PyTorch %.9g", what, update + 1, found, value);
}

static double same_weights(rein_store *store, const json_t *golden, const char *name) {
    double worst = 0;
    for (int k = 0; k < rein_layout_count(rein_store_layout(store)); k++) {
        rein_param_info info = rein_layout_at(rein_store_layout(store), k);
        double values[MOST];
        golden_doubles(golden_at(golden, name), info.name, values, info.count);
        for (int64_t i = 0; i < info.count; i++)
            worst = fmax(worst, fabs((double)parameter_at(store, k)[i] - values[i]));
    }
    if (!(worst <= 1e-5))
        fail_msg("%s differs by %.3g", name, worst);
    return worst;
}

#endif
