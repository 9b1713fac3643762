/*
 * test_image_threads.c - learning from images: the same bits with any number of threads, and no memory taken meanwhile.
 */
#include <math.h>
#include "base/base.h"
#include "support/image_env.h"
#include "support/run_check.h"
#include "support/settings.h"
#include "tensor/kernels.h"

typedef struct recipe {
    const char *algo;
    const rein_env_type *env;
    const char *settings;
} recipe;

/* batches that are no multiples of a tile */
static const recipe recipes[] = {
    {"dqn", &image_env_small,
     "learning_starts=50 buffer_size=500 n_envs=3 batch_size=41 double_q=true dueling=true train_freq=20"},
    {"dqn", &image_env_middle,
     "learning_starts=50 buffer_size=500 batch_size=19 prioritized=true train_freq=200"},
    {"ppo", &image_env_small, "n_envs=5 n_steps=8 batch_size=37 n_epochs=2 shared=true"},
    {"ppo", &image_env_large, "n_envs=3 n_steps=8 batch_size=24 n_epochs=1"},
    {"a2c", &image_env_small, "n_envs=7 n_steps=5"},
    {"trpo", &image_env_small, "n_envs=2 n_steps=20 batch_size=32"},
    {"reinforce", &image_env_small, "n_envs=3"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

typedef struct trainee {
    const reini_algo *algo;
    rein_env_type env;
    void *config, *self;
    rein_pool *pool;
} trainee;

static void make(trainee *t, const recipe *from, int threads, rein_dtype matmul) {
    *t = (trainee){.algo = reini_algo_find(from->algo), .pool = rein_pool_new(threads)};
    assert_ok(rein_env_open(from->env, NULL, &t->env));
    t->config = calloc(1, t->algo->config_size);
    settings_set(t->algo->fields, t->algo->n_fields, t->config, "%s", from->settings);
    reini_context context = {
        .env = &t->env, .seed = 11, .total_steps = 20000, .pool = t->pool, .matmul = matmul};
    assert_ok(t->algo->check(t->config, &context));
    assert_ok(t->algo->create(t->config, &context, &t->self));
}

static void iterate(trainee *t) {
    reini_report report = {0};
    for (int m = 0; m < REINI_METRICS_MAX; m++)
        report.metric[m] = NAN;
    t->algo->iterate(t->self, &report);
    assert_int_equal(report.failed, REIN_OK);
}

static void release(trainee *t) {
    t->algo->destroy(t->self);
    rein_pool_free(t->pool);
    rein_env_close(&t->env);
    free(t->config);
}

static void check_threads(rein_dtype matmul) {
    for (int k = 0; k < RECIPES; k++) {
        char before[65], first[65], sha[65];
        for (int threads = 1; threads <= 3; threads += 2) {
            trainee t;
            make(&t, &recipes[k], threads, matmul);
            rein_policy_sha256(t.algo->policy(t.self), before);
            iterate(&t);
            iterate(&t);
            rein_policy_sha256(t.algo->policy(t.self), sha);
            assert_string_not_equal(before, sha);
            if (threads == 1)
                memcpy(first, sha, sizeof first);
            if (strcmp(first, sha) != 0)
                fail_msg("%s on %s: %d threads learn other bits than 1", recipes[k].algo, recipes[k].env->id,
                         threads);
            release(&t);
        }
    }
}

static void test_threads_do_not_change_bits(void **state) {
    check_threads(REIN_F32);
}

static void test_threads_do_not_change_bits_in_bf16(void **state) {
    if (!reini_bf16_available())
        skip();
    check_threads(REIN_BF16);
}

static void test_iterations_take_no_memory(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        trainee t;
        make(&t, &recipes[k], 2, REIN_F32);
        iterate(&t);
        reini_memory before = reini_memory_now();
        iterate(&t);
        assert_true(reini_memory_now().allocations == before.allocations);
        release(&t);
    }
}

int main(void) {
    assert_ok(rein_env_register(&image_env_small));
    assert_ok(rein_env_register(&image_env_middle));
    assert_ok(rein_env_register(&image_env_large));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_threads_do_not_change_bits_in_bf16),
        cmocka_unit_test(test_iterations_take_no_memory),
    };
    return cmocka_run_group_tests_name("image threads", tests, NULL, NULL);
}
