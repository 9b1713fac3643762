/*
 * test_a3c.c - asynchronous workers on shared parameters: one worker is A2C to the bit; one thread is reproducible and
 * resumes exactly; with several, every update is counted and the numbers stay whole; faults of an environment in a
 * worker are told.
 *
 * Under the thread sanitizer this is the test that the races are the ones that are meant.
 */
#include <pthread.h>
#include "algo/on_policy/a3c.c"
#include "env/env_types.h"
#include "support/on_policy_rig.h"
#include "support/temp_dir.h"

static a3c *make(const rein_env_type *env, const char *settings, rein_pool *pool) {
    return rig_make(&reini_algo_a3c, env, settings, pool);
}

static const float *numbers(rein_policy *policy) {
    return rein_store_view(((reini_net *)policy)->store);
}

static size_t bytes_of(rein_policy *policy) {
    return (size_t)rein_store_size(((reini_net *)policy)->store) * sizeof(float);
}

/* ---- one worker ---------------------------------------------------------------------------------------- */

static void check_equals_a2c(const rein_env_type *env, const char *settings) {
    char alone[512];
    const reini_algo *other = reini_algo_find("a2c");
    snprintf(alone, sizeof alone, "workers=1 n_updates=1 %s", settings);
    a3c *p = make(env, alone, NULL);
    void *q = rig_make(other, env, settings, NULL);
    for (int i = 0; i < 40; i++) {
        reini_report x = rig_iterate(&reini_algo_a3c, p, 1), y = rig_iterate(other, q, 1);
        assert_int_equal(x.env_steps, y.env_steps);
        assert_int_equal(x.episodes, y.episodes);
        assert_true(x.metric[METRIC_STALENESS] == 0);
        assert_true(x.metric[METRIC_LEARNING_RATE] == y.metric[5]);
        assert_true(x.metric[METRIC_GRAD_NORM] == y.metric[4]);
        assert_memory_equal(numbers(a3c_policy(p)), numbers(other->policy(q)), bytes_of(a3c_policy(p)));
    }
    a3c_destroy(p);
    other->destroy(q);
}

static void test_one_worker_is_a2c(void **state) {
    check_equals_a2c(&reini_env_cartpole, "n_envs=1 n_steps=5 hidden=16,16");
    check_equals_a2c(&reini_env_cartpole,
                     "n_envs=3 n_steps=7 learning_rate=lin_1e-2 ent_coef=lin_0.1 hidden=33,17");
    check_equals_a2c(&reini_env_pendulum, "n_envs=2 n_steps=16 gae_lambda=0.9 shared=true max_grad_norm=0");
    check_equals_a2c(&reini_env_identity_masked, "n_envs=4 hidden=8");
}

/* ---- one thread ---------------------------------------------------------------------------------------- */

static reini_report continued(a3c *p, const char *path, bool save) {
    reini_archive *archive;
    json_t *header = json_object();
    if (save)
        assert_ok(reini_archive_create(path, header, &archive));
    else
        assert_ok(reini_archive_open(path, &archive, NULL));
    assert_ok(a3c_visit(p, archive));
    assert_ok(reini_archive_finish(archive));
    json_decref(header);
    return rig_iterate(&reini_algo_a3c, p, 5);
}

static void check_resumed(const char *settings) {
    const char *path = temp_path("archive");
    a3c *p = make(&reini_env_cartpole, settings, NULL), *q = make(&reini_env_cartpole, settings, NULL);
    rig_iterate(&reini_algo_a3c, p, 6);
    reini_report x = continued(p, path, true), y = continued(q, path, false);
    assert_int_equal(x.env_steps, y.env_steps);
    assert_int_equal(x.episodes, y.episodes);
    assert_true(x.return_mean == y.return_mean);
    assert_memory_equal(x.metric, y.metric, METRICS * sizeof *x.metric);
    assert_memory_equal(numbers(a3c_policy(p)), numbers(a3c_policy(q)), bytes_of(a3c_policy(p)));
    a3c_destroy(p);
    a3c_destroy(q);
}

static void test_one_thread_resumes_exactly(void **state) {
    check_resumed("workers=1 hidden=16,16 learning_rate=lin_1e-2");
    check_resumed("workers=5 n_envs=2 hidden=16,16 n_updates=3");
    check_resumed("workers=3 hidden=16,16 optimizer=adam learning_rate=1e-3");
}

static void test_one_thread_is_reproducible(void **state) {
    a3c *p[2];
    for (int i = 0; i < 2; i++) {
        p[i] = make(&reini_env_cartpole, "workers=6 hidden=16,16 n_updates=7", NULL);
        reini_report report = rig_iterate(&reini_algo_a3c, p[i], 10);
        assert_int_equal(report.env_steps, 10 * 6 * 7 * 5);
        assert_true(report.metric[METRIC_STALENESS] == 0);
    }
    assert_memory_equal(numbers(a3c_policy(p[0])), numbers(a3c_policy(p[1])), bytes_of(a3c_policy(p[0])));
    a3c_destroy(p[0]);
    a3c_destroy(p[1]);
}

/* workers see other episodes: the same seed for two of them would halve the experience */
static void test_workers_differ(void **state) {
    a3c *p = make(&reini_env_pendulum, "workers=4 hidden=8 n_updates=1", NULL);
    rig_iterate(&reini_algo_a3c, p, 1);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_true(reini_on_policy_rollout(&p->workers[i].base)->obs[0] !=
                        reini_on_policy_rollout(&p->workers[k].base)->obs[0]);
    a3c_destroy(p);
}

/* ---- several threads ----------------------------------------------------------------------------------- */

static void test_threads_share_parameters(void **state) {
    rein_pool *pool = rein_pool_new(4);
    a3c *p = make(&reini_env_cartpole, "workers=7 hidden=32,32 n_updates=20", pool);
    assert_int_equal(p->tasks, 4);
    reini_report report = rig_iterate(&reini_algo_a3c, p, 20);
    /* every update is made and counted once */
    assert_int_equal(report.env_steps, 20 * 7 * 20 * 5);
    assert_int_equal(atomic_load(&p->shared.steps), 20 * 7 * 20);
    assert_int_equal(report.skipped_updates, 0);
    assert_true(report.metric[METRIC_STALENESS] >= 0 && report.metric[METRIC_STALENESS] < 7 * 20);
    const float *x = numbers(a3c_policy(p));
    for (size_t i = 0; i < bytes_of(a3c_policy(p)) / sizeof(float); i++)
        assert_true(isfinite(x[i]) && fabsf(x[i]) < 100);
    /* workers read what was shared: copies are at most one update old when nobody works */
    for (int i = 0; i < 7; i++) {
        reini_hogwild_read(&p->shared, p->workers[i].base.policy->store);
        assert_memory_equal(numbers(&p->workers[i].base.policy->base), x, bytes_of(a3c_policy(p)));
    }
    a3c_destroy(p);
    rein_pool_free(pool);
}

/* ---- hogwild ------------------------------------------------------------------------------------------- */

static rein_store *store_of(rein_layout **layout) {
    rein_store *store;
    rein_graph *g = rein_graph_new(REIN_F32);
    rein_program *program;
    *layout = rein_layout_new();
    int rows = rein_extent(g, "rows", 1), slot = rein_slot(g, *layout);
    rein_tensor *x = rein_input(g, "x", REIN_F32, rows, 1, (int[]){40});
    rein_init init = {REIN_INIT_ORTHOGONAL, 1};
    rein_tensor *y = rein_mlp(x, slot, "net", 1, (int[]){37}, REIN_ACT_TANH, init, 5, init);
    rein_output(y, "y");
    assert_ok(rein_compile(g, NULL, &program));
    assert_ok(rein_store_new(*layout, REIN_F32, &store));
    rein_store_init(store, 5);
    rein_program_free(program);
    rein_graph_free(g);
    return store;
}

static void check_equals_optim(int kind) {
    rein_layout *layout;
    rein_store *mine = store_of(&layout), *its, *grads;
    rein_optim *optim;
    reini_hogwild h = {0};
    float *scratch = reini_new(reini_hogwild_scratch());
    rein_optim_config config = rein_optim_config_default();
    config.kind = kind;
    config.eps = 1e-5;
    config.max_grad_norm = 0.7;
    assert_ok(rein_store_new(layout, REIN_F32, &its));
    assert_ok(rein_store_new(layout, REIN_F32, &grads));
    memcpy(rein_store_data(its), rein_store_view(mine), (size_t)rein_store_size(mine) * sizeof(float));
    assert_ok(rein_optim_new(&config, layout, &optim));
    assert_ok(reini_hogwild_init(&h, &config, mine));
    for (int step = 0; step < 30; step++) {
        rein_store_init(grads, (uint64_t)step); /* any numbers do */
        reini_hogwild_result a = reini_hogwild_step(&h, grads, 1e-2, scratch);
        rein_optim_result b = rein_optim_step(optim, its, grads, 1e-2);
        assert_int_equal(a.number, step);
        assert_true(fabs(a.grad_norm - b.grad_norm) < 1e-12 * b.grad_norm);
        /* Adam's bias corrections are the same but for the rounding of beta2, which 1 - beta2^t makes larger */
        for (int64_t i = 0; i < rein_store_size(mine); i++) {
            float x = ((const float *)rein_store_view(mine))[i], y = ((const float *)rein_store_view(its))[i];
            if (kind == REIN_OPTIM_RMSPROP ? x != y : fabsf(x - y) > 5e-6f)
                fail_msg("kind %d, step %d, number %d: %.9g, the optimizer has %.9g", kind, step, (int)i,
                         (double)x, (double)y);
        }
    }
    reini_hogwild_release(&h);
    reini_free(scratch);
    rein_optim_free(optim);
    rein_store_free(grads);
    rein_store_free(its);
    rein_store_free(mine);
    rein_layout_free(layout);
}

static void test_a_step_alone_is_the_optimizers(void **state) {
    check_equals_optim(REIN_OPTIM_RMSPROP);
    check_equals_optim(REIN_OPTIM_ADAM);
}

static void test_gradients_that_are_not_finite_are_skipped(void **state) {
    a3c *p = make(&reini_env_pendulum, "workers=2 hidden=8 n_updates=1", NULL);
    worker *w = &p->workers[1];
    rig_iterate(&reini_algo_a3c, p, 1);
    int64_t steps = atomic_load(&p->shared.steps);
    reini_rollout *r = reini_on_policy_rollout(&w->base);
    r->adv[2] = NAN;
    for (int i = 0; i < 100; i++)
        learn(p, w, steps, 0);
    assert_int_equal(atomic_load(&p->shared.steps), steps);
    assert_int_equal(w->base.skipped_in_a_row, 100);
    reini_report report = {0};
    report_learning(p, &report);
    assert_true(report.diverged);
    assert_int_equal(report.skipped_updates, 100);
    a3c_destroy(p);
}

/* ---- faults -------------------------------------------------------------------------------------------- */

static void broken_reset(const void *config, void *state, rein_rng *rng) {
}

static rein_step broken_step(const void *config, void *state, const void *action, rein_rng *rng) {
    int32_t *steps = state;
    return (rein_step){.reward = ++*steps == 50 ? NAN : 1};
}

static void broken_observe(const void *config, const void *state, void *obs) {
    *(float *)obs = 1;
}

static const rein_env_type broken = {
    .abi = REIN_ENV_ABI,
    .id = "test/Broken-v0",
    .doc = "its fiftieth reward is not a number",
    .obs = REINI_BOX(1, NULL, NULL),
    .act = REINI_DISCRETE(2),
    .horizon = 20,
    .state_size = sizeof(int32_t),
    .reward_threshold = NAN,
    .reset = broken_reset,
    .step = broken_step,
    .observe = broken_observe,
};

static void test_a_fault_in_a_worker_is_told(void **state) {
    rein_pool *pool = rein_pool_new(3);
    a3c *p = make(&broken, "workers=3 hidden=8 n_updates=20", pool);
    reini_report report = {0};
    a3c_iterate(p, &report);
    assert_int_equal(report.failed, REIN_DIVERGED);
    assert_non_null(strstr(rein_error(), "test/Broken-v0"));
    assert_non_null(strstr(rein_error(), "reward nan"));
    a3c_destroy(p);
    rein_pool_free(pool);
}

static void test_check(void **state) {
    assert_int_equal(rig_check(&reini_algo_a3c, &reini_env_cartpole, "norm_obs=running"), REIN_USAGE);
    assert_non_null(strstr(rein_error(), "norm_obs"));
    assert_ok(rig_check(&reini_algo_a3c, &reini_env_pendulum, "workers=3"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_worker_is_a2c),
        cmocka_unit_test(test_one_thread_resumes_exactly),
        cmocka_unit_test(test_one_thread_is_reproducible),
        cmocka_unit_test(test_workers_differ),
        cmocka_unit_test(test_threads_share_parameters),
        cmocka_unit_test(test_a_step_alone_is_the_optimizers),
        cmocka_unit_test(test_gradients_that_are_not_finite_are_skipped),
        cmocka_unit_test(test_a_fault_in_a_worker_is_told),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests_name("a3c", tests, temp_dir_make, temp_dir_remove);
}
