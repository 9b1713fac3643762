/*
 * test_positions_only.c - environments that hide velocities: the same worlds, seen through fewer numbers.
 */
#include <string.h>
#include <rein/env.h>
#include "support/check.h"

enum { N = 3, STEPS = 250, MOST = 8 };

static const struct pair {
    const char *full, *hidden;
    int shown[MOST]; /* which numbers of the full observation are left */
} pairs[] = {
    {"CartPole-v1", "CartPoleNoVel-v1", {0, 2}},
    {"Pendulum-v1", "PendulumNoVel-v1", {0, 1}},
    {"MountainCar-v0", "MountainCarNoVel-v0", {0}},
    {"MountainCarContinuous-v0", "MountainCarContinuousNoVel-v0", {0}},
};

typedef struct world {
    rein_vec *vec;
    float obs[N * MOST], reward[N];
    uint8_t terminated[N], truncated[N];
    int size;
} world;

static rein_slab slab_of(world *w, const void *action) {
    return (rein_slab){.action = action,
                       .obs = w->obs,
                       .reward = w->reward,
                       .terminated = w->terminated,
                       .truncated = w->truncated};
}

static void make(world *w, const char *id) {
    const rein_env_type *type = rein_env_find(id);
    assert_non_null(type);
    w->size = type->obs.size;
    assert_ok(rein_vec_new(type, &(rein_vec_opts){.n = N, .seed = 7}, &w->vec));
    rein_slab slab = slab_of(w, NULL);
    rein_vec_reset(w->vec, 0, N, &slab);
}

static void same_positions(const struct pair *pair, const world *full, const world *hidden) {
    for (int i = 0; i < N; i++)
        for (int k = 0; k < hidden->size; k++)
            assert_true(hidden->obs[i * hidden->size + k] == full->obs[i * full->size + pair->shown[k]]);
}

static void draw_actions(const rein_env_type *type, rein_rng *rng, void *action) {
    for (int i = 0; i < N; i++)
        if (type->act.kind == REIN_SPACE_BOX)
            ((float *)action)[i] = rein_rng_range(rng, -2, 2);
        else
            ((int32_t *)action)[i] = (int32_t)rein_rng_below(rng, (uint32_t)type->act.n[0]);
}

static void same_worlds(void **state) {
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
        world full = {0}, hidden = {0};
        rein_rng rng = rein_rng_make(3, p);
        uint32_t action[N];
        make(&full, pairs[p].full);
        make(&hidden, pairs[p].hidden);
        assert_true(hidden.size < full.size);
        same_positions(&pairs[p], &full, &hidden);
        for (int step = 0; step < STEPS; step++) {
            draw_actions(rein_vec_type(full.vec), &rng, action);
            rein_slab all = slab_of(&full, action), some = slab_of(&hidden, action);
            rein_vec_step(full.vec, 0, N, &all);
            rein_vec_step(hidden.vec, 0, N, &some);
            same_positions(&pairs[p], &full, &hidden);
            assert_memory_equal(full.reward, hidden.reward, sizeof full.reward);
            assert_memory_equal(full.terminated, hidden.terminated, N);
            assert_memory_equal(full.truncated, hidden.truncated, N);
        }
        rein_vec_free(full.vec);
        rein_vec_free(hidden.vec);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_worlds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
