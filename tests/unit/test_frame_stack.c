/*
 * test_frame_stack.c - stacks of frames: order, resets, saving, handles, bounds, what is refused.
 */
#include <stdlib.h>
#include "base/base.h"
#include "env/env_types.h"
#include "env/frame_stack.h"
#include "support/check.h"
#include "support/image_env.h"

enum { N = 3, STEPS = 130, K = 4, MOST = 4096 };

static rein_env_type open_stack(const rein_env_type *type, int k) {
    rein_env_type env;
    assert_ok(rein_env_open(type, NULL, &env));
    assert_ok(reini_env_frame_stack(&env, k, &env));
    return env;
}

typedef struct rows {
    uint8_t obs[N * MOST], final_obs[N * MOST], terminated[N], truncated[N];
    float reward[N];
    int32_t action[N];
} rows;

static rein_slab slab_of(rows *r) {
    return (rein_slab){.action = r->action,
                       .obs = r->obs,
                       .reward = r->reward,
                       .terminated = r->terminated,
                       .truncated = r->truncated,
                       .final_obs = r->final_obs};
}

static void choose(rows *r, int t) {
    for (int i = 0; i < N; i++)
        r->action[i] = (t * 7 + i * 3) / 2 % 2;
}

/* Beside a vector without the wrapper: its last K observations within the episode, the oldest first. */
static void check_order(const rein_env_type *type) {
    static rows plain, stacked;
    static uint8_t last[N][K][MOST];
    rein_env_type inner, env = open_stack(type, K);
    rein_vec_opts opts = {.n = N, .seed = 5};
    rein_vec *a, *b;
    assert_ok(rein_env_open(type, NULL, &inner));
    size_t frame = rein_space_bytes(&inner.obs);
    assert_int_equal(rein_space_bytes(&env.obs), K * frame);
    assert_true(K * frame <= MOST);
    assert_ok(rein_vec_new(&inner, &opts, &a));
    assert_ok(rein_vec_new(&env, &opts, &b));
    rein_slab of_a = slab_of(&plain), of_b = slab_of(&stacked);
    rein_vec_observe(a, 0, N, &of_a);
    rein_vec_observe(b, 0, N, &of_b);
    int ends = 0;
    for (int t = -1; t < STEPS; t++) {
        choose(&plain, t);
        choose(&stacked, t);
        if (t >= 0) {
            rein_vec_step(a, 0, N, &of_a);
            rein_vec_step(b, 0, N, &of_b);
            assert_memory_equal(plain.reward, stacked.reward, sizeof plain.reward);
            assert_memory_equal(plain.terminated, stacked.terminated, N);
            assert_memory_equal(plain.truncated, stacked.truncated, N);
        }
        for (int i = 0; i < N; i++) {
            bool over = t >= 0 && (plain.terminated[i] || plain.truncated[i]);
            ends += over;
            if (over) {
                memmove(last[i][0], last[i][1], (K - 1) * MOST);
                memcpy(last[i][K - 1], plain.final_obs + (size_t)i * frame, frame);
                for (int k = 0; k < K; k++)
                    assert_memory_equal(stacked.final_obs + ((size_t)i * K + (size_t)k) * frame, last[i][k],
                                        frame);
            }
            for (int k = 0; k < K; k++)
                if (t < 0 || over || k == K - 1)
                    memcpy(last[i][k], plain.obs + (size_t)i * frame, frame);
                else
                    memcpy(last[i][k], last[i][k + 1], frame);
            for (int k = 0; k < K; k++)
                assert_memory_equal(stacked.obs + ((size_t)i * K + (size_t)k) * frame, last[i][k], frame);
        }
    }
    assert_true(ends >= 3);
    rein_vec_free(a);
    rein_vec_free(b);
    rein_env_close(&inner);
    rein_env_close(&env);
}

static void test_the_last_observations_in_order(void **state) {
    check_order(&reini_env_cartpole);
    check_order(&image_env_small);
    check_order(&reini_env_identity_masked);
}

static void test_a_loaded_state_goes_on_the_same(void **state) {
    static rows one, other;
    rein_env_type env = open_stack(&reini_env_cartpole, 3);
    rein_vec_opts opts = {.n = N, .seed = 5};
    rein_vec *a, *b;
    assert_ok(rein_vec_new(&env, &opts, &a));
    opts.seed = 6;
    assert_ok(rein_vec_new(&env, &opts, &b));
    rein_slab of_a = slab_of(&one), of_b = slab_of(&other);
    for (int t = 0; t < 8; t++) {
        choose(&one, t);
        rein_vec_step(a, 0, N, &of_a);
    }
    size_t size = rein_vec_save_size(a);
    void *saved = malloc(size);
    rein_vec_save(a, saved);
    assert_ok(rein_vec_load(b, saved, size));
    rein_vec_observe(b, 0, N, &of_b);
    assert_memory_equal(one.obs, other.obs, N * 12 * sizeof(float));
    for (int t = 0; t < STEPS; t++) {
        choose(&one, t);
        choose(&other, t);
        rein_vec_step(a, 0, N, &of_a);
        rein_vec_step(b, 0, N, &of_b);
        assert_memory_equal(one.obs, other.obs, N * 12 * sizeof(float));
    }
    free(saved);
    rein_vec_free(a);
    rein_vec_free(b);
    rein_env_close(&env);
}

static void test_spaces(void **state) {
    rein_env_type images = open_stack(&image_env_small, 5), box = open_stack(&reini_env_pendulum, 2);
    assert_int_equal(images.obs.shape[0], 5 * IMAGE_CHANNELS);
    assert_int_equal(images.obs.shape[1], 10);
    assert_int_equal(images.obs.size, 5 * IMAGE_CHANNELS * 100);
    assert_int_equal(box.obs.size, 6);
    assert_int_equal(box.obs.shape[0], 6);
    for (int i = 0; i < 6; i++) {
        assert_true(box.obs.low[i] == reini_env_pendulum.obs.low[i % 3]);
        assert_true(box.obs.high[i] == reini_env_pendulum.obs.high[i % 3]);
    }
    rein_env_close(&images);
    rein_env_close(&box);
}

static void test_what_does_not_fit_is_refused(void **state) {
    rein_env_type env, lake;
    assert_ok(rein_env_open(&reini_env_cartpole, NULL, &env));
    assert_fails(reini_env_frame_stack(&env, 0, &env), REIN_USAGE, "frame_stack: 0 is out of range");
    assert_fails(reini_env_frame_stack(&env, 65, &env), REIN_USAGE, "expected 1 to 64");
    assert_ok(rein_env_open(rein_env_find("FrozenLake-v1"), NULL, &lake));
    assert_fails(reini_env_frame_stack(&lake, 2, &lake), REIN_USAGE, "only boxes and images can be stacked");
    rein_env_close(&env);
    rein_env_close(&lake);
}

static void test_memory(void **state) {
    uint64_t live = reini_memory_now().live_bytes;
    for (uint64_t nth = 1; nth < 5; nth++) {
        rein_env_type env;
        assert_ok(rein_env_open(&reini_env_pendulum, NULL, &env));
        reini_memory_fail(nth, false);
        rein_status status = reini_env_frame_stack(&env, 2, &env);
        reini_memory_fail(0, false);
        assert_int_equal(status, nth < 4 ? REIN_NOMEM : REIN_OK);
        rein_env_close(&env);
        assert_true(reini_memory_now().live_bytes == live);
    }
}

int main(void) {
    assert_ok(rein_env_register(&image_env_small));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_observations_in_order),
        cmocka_unit_test(test_a_loaded_state_goes_on_the_same),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("frame stack", tests, NULL, NULL);
}
