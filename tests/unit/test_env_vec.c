/*
 * test_env_vec.c - vectors of environments: ends of episodes, auto-reset, horizons, clipping, masks, ranges.
 */
#include "unit/env_rig.h"
#include <math.h>
#include <pthread.h>
#include "base/base.h"
#include "unit/env_counter.h"

#define LENGTH(value) (&(counter_config){.length = (value)})

/* ---- ends of episodes ---------------------------------------------------------------------------------- */

/* Steps one counter and compares: a character per step, T terminated, C cut (truncated), B both, - neither.
 * Outputs that belong to ended episodes must not be touched elsewhere. */
static void check_steps(const rein_vec_opts *opts, const char *expected) {
    env_rig rig = rig_make(&counter_type, opts);
    float *obs = rig.slab.obs, *final_obs = rig.slab.final_obs;
    rein_vec_observe(rig.vec, 0, 1, &rig.slab);
    float start = obs[0], sum = 0;
    int steps = 0;
    for (; *expected; expected++) {
        bool ended = *expected != '-';
        final_obs[0] = rig.slab.ep_return[0] = -7;
        rig.slab.ep_length[0] = -7;
        rig_step(&rig);
        sum += rig.slab.reward[0];
        float last = start + (float)++steps;
        assert_int_equal(rig.slab.terminated[0], *expected == 'T' || *expected == 'B');
        assert_int_equal(rig.slab.truncated[0], *expected == 'C' || *expected == 'B');
        assert_true(rig.slab.reward[0] == (float)steps);
        assert_true(final_obs[0] == (ended ? last : -7));
        assert_true(rig.slab.ep_return[0] == (ended ? sum : -7));
        assert_int_equal(rig.slab.ep_length[0], ended ? steps : -7);
        if (ended) {
            assert_true(fmodf(obs[0], 10000) == 0);
            start = obs[0];
            sum = 0;
            steps = 0;
        } else {
            assert_true(obs[0] == last);
        }
    }
    rig_free(&rig);
}

static void test_terminated(void **state) {
    check_steps(&(rein_vec_opts){.n = 1, .config = LENGTH(3)}, "--T--T-");
}

static void test_truncated_by_horizon(void **state) {
    check_steps(&(rein_vec_opts){.n = 1, .config = LENGTH(0)}, "-------C--");
}

static void test_truncated_by_itself(void **state) {
    check_steps(&(rein_vec_opts){.n = 1, .config = &(counter_config){.length = 3, .cut = 2}}, "-C-C");
}

static void test_both(void **state) {
    check_steps(&(rein_vec_opts){.n = 1, .config = LENGTH(4), .horizon = 4}, "---B-");
}

static void test_horizon_override(void **state) {
    check_steps(&(rein_vec_opts){.n = 1, .horizon = 2}, "-C-C");
    rein_vec *vec;
    const int32_t given[] = {0, -1, 20}, effective[] = {8, 0, 20};
    for (int i = 0; i < 3; i++) {
        assert_ok(rein_vec_new(&counter_type, &(rein_vec_opts){.n = 1, .horizon = given[i]}, &vec));
        assert_int_equal(rein_vec_horizon(vec), effective[i]);
        rein_vec_free(vec);
    }
}

static void test_no_horizon(void **state) {
    env_rig rig = rig_make(&counter_type, &(rein_vec_opts){.n = 3, .horizon = -1, .config = LENGTH(1000)});
    for (int t = 1; t <= 1000; t++) {
        rig_step(&rig);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(rig.slab.truncated[i], 0);
            assert_int_equal(rig.slab.terminated[i], t == 1000);
        }
    }
    assert_int_equal(rig.slab.ep_length[2], 1000);
    assert_true(rig.slab.ep_return[2] == 500500);
    rig_free(&rig);
}

static void test_time_limit_env(void **state) {
    env_rig rig = rig_make(rein_env_find("TimeLimit-v0"), &(rein_vec_opts){.n = 2});
    for (int t = 1; t <= 30; t++) {
        rig_step(&rig);
        assert_true(rig.slab.reward[1] == 1 && ((float *)rig.slab.obs)[1] == 1);
        assert_int_equal(rig.slab.terminated[1], 0);
        assert_int_equal(rig.slab.truncated[1], t % 10 == 0);
    }
    rig_free(&rig);
}

/* Ends anywhere in a block are found: environment i of many gets i extra steps. */
static void test_ends_everywhere(void **state) {
    enum { N = 301 };
    env_rig rig = rig_make(&counter_type, &(rein_vec_opts){.n = N, .horizon = -1, .config = LENGTH(N + 1)});
    for (int i = 0; i < N; i++)
        ((counter_state *)rein_vec_state(rig.vec, i))->steps = i;
    for (int t = 1; t <= N + 1; t++) {
        rig_step(&rig);
        for (int i = 0; i < N; i++)
            assert_int_equal(rig.slab.terminated[i], t == N + 1 - i);
    }
    rig_free(&rig);
}

/* ---- outputs, resets, streams -------------------------------------------------------------------------- */

static void test_optional_outputs(void **state) {
    env_rig rig = rig_make(&counter_type, &(rein_vec_opts){.n = 9});
    rein_slab few = rig.slab;
    few.final_obs = few.mask = NULL;
    few.ep_return = NULL;
    few.ep_length = NULL;
    for (int t = 0; t < 20; t++)
        rein_vec_step(rig.vec, 0, rig.n, &few);
    rig_free(&rig);
}

static void test_reset(void **state) {
    env_rig rig = rig_make(&counter_type, &(rein_vec_opts){.n = 4, .seed = 1, .config = LENGTH(0)});
    float *obs = rig.slab.obs;
    for (int t = 0; t < 3; t++)
        rig_step(&rig);
    rein_vec_reset(rig.vec, 1, 3, &rig.slab);
    const float steps[] = {3, 0, 0, 3};
    for (int i = 0; i < 4; i++)
        assert_true(fmodf(obs[i], 10000) == steps[i]);
    for (int t = 0; t < 5; t++)
        rig_step(&rig);
    assert_int_equal(rig.slab.truncated[0], 1); /* the clocks of 1 and 2 began anew */
    assert_int_equal(rig.slab.truncated[1], 0);
    assert_int_equal(rig.slab.ep_length[0], 8);
    rig_free(&rig);
}

static void test_queries(void **state) {
    env_rig rig = rig_make(&counter_type, &(rein_vec_opts){.n = 4});
    assert_int_equal(rein_vec_count(rig.vec), 4);
    assert_string_equal(rein_vec_type(rig.vec)->id, counter_type.id);
    assert_ptr_equal(rein_vec_state(rig.vec, 3), (counter_state *)rein_vec_state(rig.vec, 0) + 3);
    rig_free(&rig);
    rein_vec_free(NULL);

    rein_env_type opened;
    rein_vec *vec;
    assert_ok(rein_env_open(&counter_type, NULL, &opened));
    assert_ok(rein_vec_new(&opened, &(rein_vec_opts){.n = 1}, &vec));
    assert_ptr_equal(rein_vec_type(vec), &opened);
    rein_vec_free(vec);
    rein_env_close(&opened);
}

/* Environment i depends on the seed and i, not on how many there are. */
static void test_streams(void **state) {
    const rein_env_type *type = rein_env_find("CartPole-v1");
    rein_vec *few, *many, *other;
    assert_ok(rein_vec_new(type, &(rein_vec_opts){.n = 3, .seed = 8}, &few));
    assert_ok(rein_vec_new(type, &(rein_vec_opts){.n = 30, .seed = 8}, &many));
    assert_ok(rein_vec_new(type, &(rein_vec_opts){.n = 3, .seed = 9}, &other));
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(rein_vec_state(few, i), rein_vec_state(many, i), type->state_size);
        assert_memory_not_equal(rein_vec_state(few, i), rein_vec_state(other, i), type->state_size);
        assert_memory_not_equal(rein_vec_state(few, i), rein_vec_state(many, i + 1), type->state_size);
    }
    rein_vec_free(few);
    rein_vec_free(many);
    rein_vec_free(other);
}

/* ---- actions ------------------------------------------------------------------------------------------- */

static rein_step echo_step(const void *config, void *state, const void *action, rein_rng *rng) {
    memcpy(state, action, 3 * sizeof(float));
    return (rein_step){0};
}

static void echo_reset(const void *config, void *state, rein_rng *rng) {
    memset(state, 0, 3 * sizeof(float));
}

static void echo_observe(const void *config, const void *state, void *obs) {
    memcpy(obs, state, 3 * sizeof(float));
}

/* Shows the action that reached it. */
static rein_env_type echo_type(const float *low, const float *high) {
    return (rein_env_type){
        .abi = REIN_ENV_ABI,
        .id = "test/Echo-v0",
        .doc = "shows the action",
        .obs = {.kind = REIN_SPACE_BOX, .size = 3, .shape = {3}},
        .act = {.kind = REIN_SPACE_BOX, .size = 3, .shape = {3}, .low = low, .high = high},
        .state_size = 3 * sizeof(float),
        .reset = echo_reset,
        .step = echo_step,
        .observe = echo_observe,
    };
}

static void check_clip(const float *low, const float *high, const float *given, const float *expected) {
    rein_env_type type = echo_type(low, high);
    env_rig rig = rig_make(&type, &(rein_vec_opts){.n = 200});
    float *action = rig.action, *obs = rig.slab.obs;
    for (int i = 0; i < 200; i++)
        memcpy(action + 3 * i, given, 3 * sizeof(float));
    rein_vec_step(rig.vec, 0, 200, &rig.slab);
    for (int i = 0; i < 200; i++) {
        assert_memory_equal(obs + 3 * i, expected, 3 * sizeof(float));
        assert_memory_equal(action + 3 * i, given, 3 * sizeof(float));
        assert_memory_equal(rig.slab.mask + 3 * i, "\1\1\1", 3);
    }
    rig_free(&rig);
}

static void test_clip(void **state) {
    const float low[] = {-1, -2, -3}, high[] = {1, 2, INFINITY};
    const float given[] = {5, -5, 1e30f}, clipped[] = {1, -2, 1e30f};
    const float inside[] = {0.5f, -0.5f, 0}, nans[] = {NAN, 0, -9}, nans_clipped[] = {NAN, 0, -3};
    const float only_low[] = {5, -2, 1e30f}, only_high[] = {1, -5, 1e30f};
    check_clip(low, high, given, clipped);
    check_clip(low, high, inside, inside);
    check_clip(low, high, nans, nans_clipped);
    check_clip(low, NULL, given, only_low);
    check_clip(NULL, high, given, only_high);
    check_clip(NULL, NULL, given, given);
}

static void test_masks(void **state) {
    enum { N = 50 };
    env_rig rig = rig_make(rein_env_find("IdentityMasked-v0"), &(rein_vec_opts){.n = N, .seed = 2});
    const uint8_t *mask = rig.slab.mask;
    const float *obs = rig.slab.obs;
    int32_t *action = rig.action;
    int allowed[4] = {0};
    rein_vec_reset(rig.vec, 0, N, &rig.slab);
    for (int t = 0; t < 250; t++) {
        for (int i = 0; i < N; i++) {
            int sum = 0, target = 0, forbidden = 0;
            for (int k = 0; k < 4; k++) {
                assert_true(mask[4 * i + k] <= 1);
                sum += mask[4 * i + k];
                allowed[k] += mask[4 * i + k];
                target = obs[4 * i + k] > 0 ? k : target;
                forbidden = mask[4 * i + k] ? forbidden : k;
            }
            assert_int_equal(sum, 2);
            assert_int_equal(mask[4 * i + target], 1);
            action[i] = i % 2 == 0 ? target : forbidden;
        }
        rein_vec_step(rig.vec, 0, N, &rig.slab);
        for (int i = 0; i < N; i++)
            assert_true(rig.slab.reward[i] == (i % 2 == 0 ? 1 : -1));
    }
    for (int k = 0; k < 4; k++)
        assert_in_range(allowed[k], 250 * N * 45 / 100, 250 * N * 55 / 100);
    rig_free(&rig);
}

static void test_identity(void **state) {
    env_rig plain = rig_make(rein_env_find("Identity-v0"), &(rein_vec_opts){.n = 5});
    env_rig pairs = rig_make(rein_env_find("IdentityMultiDiscrete-v0"), &(rein_vec_opts){.n = 5});
    env_rig boxes = rig_make(rein_env_find("IdentityBox-v0"), &(rein_vec_opts){.n = 5});
    rein_vec_reset(plain.vec, 0, 5, &plain.slab);
    rein_vec_reset(pairs.vec, 0, 5, &pairs.slab);
    rein_vec_reset(boxes.vec, 0, 5, &boxes.slab);
    for (int t = 1; t <= 100; t++) {
        for (int i = 0; i < 5; i++) {
            const float *one = (float *)plain.slab.obs + 4 * i, *two = (float *)pairs.slab.obs + 5 * i;
            ((int32_t *)plain.action)[i] = one[0] > 0 ? 0 : one[1] > 0 ? 1 : one[2] > 0 ? 2 : 3;
            ((int32_t *)pairs.action)[2 * i] = two[0] > 0 ? 0 : two[1] > 0 ? 1 : 2;
            ((int32_t *)pairs.action)[2 * i + 1] = two[3] > 0 ? 0 : 1;
            ((float *)boxes.action)[i] = ((float *)boxes.slab.obs)[i];
        }
        rein_vec_step(plain.vec, 0, 5, &plain.slab);
        rein_vec_step(pairs.vec, 0, 5, &pairs.slab);
        rein_vec_step(boxes.vec, 0, 5, &boxes.slab);
        for (int i = 0; i < 5; i++)
            assert_int_equal(plain.slab.truncated[i], t == 100);
    }
    assert_true(plain.slab.ep_return[3] == 100 && pairs.slab.ep_return[3] == 100 &&
                boxes.slab.ep_return[3] == 100);
    rig_free(&plain);
    rig_free(&pairs);
    rig_free(&boxes);
}

/* ---- ranges and threads -------------------------------------------------------------------------------- */

typedef struct share {
    env_rig *rig;
    int begin, end;
} share;

static void *step_share(void *argument) {
    share *s = argument;
    rein_vec_step(s->rig->vec, s->begin, s->end, &s->rig->slab);
    return NULL;
}

/* Steps by ranges with these borders, each in a thread of its own when `threads`. */
static uint64_t run_split(const rein_env_type *type, const int *borders, int parts, bool threads, int steps) {
    env_rig rig = rig_make(type, &(rein_vec_opts){.n = borders[parts], .seed = 4});
    uint64_t hash = 0xCBF29CE484222325u;
    for (int t = 0; t < steps; t++) {
        share shares[8];
        pthread_t thread[8];
        rig_draw(&rig);
        for (int k = 0; k < parts; k++) {
            shares[k] = (share){&rig, borders[k], borders[k + 1]};
            if (threads)
                assert_int_equal(pthread_create(&thread[k], NULL, step_share, &shares[k]), 0);
            else
                step_share(&shares[k]);
        }
        for (int k = 0; threads && k < parts; k++)
            pthread_join(thread[k], NULL);
        hash = rig_hash(&rig, hash);
    }
    rig_free(&rig);
    return hash;
}

static void test_ranges(void **state) {
    const int whole[] = {0, 301}, halves[] = {0, 150, 301}, odd[] = {0, 1, 8, 17, 17, 130, 131, 300, 301};
    const rein_env_type *type;
    int steps = UNDER_THREAD_SANITIZER ? 60 : 250;
    for (int i = 0; (type = rein_env_at(i)) != NULL; i++) {
        if (!rig_opens(type) || type->create) /* simulators: test_mujoco.c */
            continue;
        uint64_t expected = run_split(type, whole, 1, false, steps);
        assert_true(run_split(type, halves, 2, false, steps) == expected);
        assert_true(run_split(type, odd, 8, false, steps) == expected);
        assert_true(run_split(type, odd, 8, true, 60) == run_split(type, whole, 1, false, 60));
    }
}

/* ---- creating ------------------------------------------------------------------------------------------ */

static void test_refused(void **state) {
    rein_vec *vec = (rein_vec *)(void *)&vec;
    assert_fails(rein_vec_new(&counter_type, &(rein_vec_opts){.n = 0}, &vec), REIN_USAGE, "at least 1");
    assert_null(vec);
    assert_fails(rein_vec_new(&counter_type, &(rein_vec_opts){.n = 1, .horizon = -2}, &vec), REIN_USAGE,
                 "horizon");
    assert_fails(rein_vec_new(&counter_type, &(rein_vec_opts){.n = 1, .config = LENGTH(-3)}, &vec),
                 REIN_USAGE, "test/Counter-v0: ");
    assert_fails(
        rein_vec_new(rein_env_find("Identity-v0"), &(rein_vec_opts){.n = 1, .config = LENGTH(3)}, &vec),
        REIN_USAGE, "no config");
    assert_null(vec);
}

/* The config is copied: changing the caller's afterwards changes nothing. */
static void test_config_is_copied(void **state) {
    counter_config config = {.length = 2};
    env_rig rig = rig_make(&counter_type, &(rein_vec_opts){.n = 1, .config = &config});
    config.length = 7;
    rig_step(&rig);
    rig_step(&rig);
    assert_int_equal(rig.slab.terminated[0], 1);
    rig_free(&rig);
}

static void test_no_allocation(void **state) {
    const char *ids[] = {"CartPole-v1", "Pendulum-v1", "IdentityMasked-v0"};
    for (int k = 0; k < 3; k++) {
        env_rig rig = rig_make(rein_env_find(ids[k]), &(rein_vec_opts){.n = 33});
        uint64_t before = reini_memory_now().allocations;
        rein_vec_reset(rig.vec, 0, 33, &rig.slab);
        for (int t = 0; t < 300; t++)
            rig_step(&rig);
        assert_int_equal(reini_memory_now().allocations, before);
        rig_free(&rig);
    }
}

/* Each allocation fails in turn: out of memory is reported and nothing is left behind. */
static void test_out_of_memory(void **state) {
    const rein_env_type *types[] = {rein_env_find("Pendulum-v1"), &counter_handle_type};
    for (int k = 0; k < 2; k++) {
        uint64_t live = reini_memory_now().live_bytes;
        for (uint64_t nth = 1;; nth++) {
            rein_vec *vec;
            reini_memory_fail(nth, false);
            rein_status status = rein_vec_new(types[k], &(rein_vec_opts){.n = 4}, &vec);
            reini_memory_fail(0, false);
            if (status == REIN_OK) {
                assert_true(nth > 4);
                rein_vec_free(vec);
                break;
            }
            assert_int_equal(status, REIN_NOMEM);
            assert_null(vec);
            assert_true(reini_memory_now().live_bytes == live);
        }
        assert_true(reini_memory_now().live_bytes == live);
        assert_int_equal(counter_handles, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terminated),
        cmocka_unit_test(test_truncated_by_horizon),
        cmocka_unit_test(test_truncated_by_itself),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_horizon_override),
        cmocka_unit_test(test_no_horizon),
        cmocka_unit_test(test_time_limit_env),
        cmocka_unit_test(test_ends_everywhere),
        cmocka_unit_test(test_optional_outputs),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_config_is_copied),
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
