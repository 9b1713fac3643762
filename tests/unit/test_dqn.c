/*
 * test_dqn.c - the parts of DQN that a golden file cannot show: what is chosen and how often, how much is learned and
 * when the target follows, ends and cuts of episodes, updates that are not finite, the same bits for any number of
 * threads and after any stop.
 *
 * The algorithm's own functions run here on its own experience.
 */
#include "algo/off_policy/dqn.c"
#include "env/env_types.h"
#include "support/run_check.h"
#include "support/settings.h"
#include "tensor/kernels.h"

static rein_dtype matmul = REIN_F32; /* of the DQNs made below */
static int64_t total_steps = 20000;

#define BASE "buffer_size=3000 learning_starts=200 batch_size=48 hidden=16,16 learning_rate=1e-3 "

static dqn_config config_of(const char *settings) {
    dqn_config config;
    memset(&config, 0, sizeof config);
    settings_set(dqn_fields, reini_algo_dqn.n_fields, &config, BASE "target_update_interval=100 %s",
                 settings);
    return config;
}

static dqn *make(const rein_env_type *env, const char *settings, rein_pool *pool) {
    dqn_config config = config_of(settings);
    reini_context context = {
        .env = env, .seed = 3, .total_steps = total_steps, .pool = pool, .matmul = matmul};
    void *self = NULL;
    assert_ok(reini_algo_dqn.check(&config, &context));
    assert_ok(reini_algo_dqn.create(&config, &context, &self));
    return self;
}

static reini_report iterate(dqn *d, int times) {
    reini_report report = {0};
    for (int i = 0; i < times; i++) {
        report = (reini_report){0};
        for (int m = 0; m < REINI_METRICS_MAX; m++)
            report.metric[m] = NAN;
        dqn_iterate(d, &report);
    }
    return report;
}

static const float *theta(const dqn *d) {
    return rein_store_view(d->policy->store);
}

static size_t theta_bytes(const dqn *d) {
    return (size_t)rein_store_size(d->target) * sizeof(float);
}

/* Q(obs, .) of the online network */
static void ask(const dqn *d, const float *obs, float *q) {
    reini_act_program program;
    rein_exec *exec;
    assert_ok(reini_act_program_init(&program, d->policy, 1, false, false, true));
    assert_ok(reini_act_exec_new(&program, d->policy, &exec));
    rein_exec_bind(exec, program.in.obs, obs, 0);
    rein_exec_run(exec);
    memcpy(q, rein_exec_data(exec, program.output), (size_t)d->context.env->act.n[0] * sizeof(float));
    rein_exec_free(exec);
    reini_act_program_release(&program);
}

/* ---- choosing ------------------------------------------------------------------------------------------ */

static void test_epsilon_falls_linearly(void **state) {
    dqn *d = make(&reini_env_cartpole,
                  "exploration_fraction=0.25 exploration_initial_eps=0.8 exploration_final_eps=0.1", NULL);
    static const double steps[] = {0, 1000, 2500, 5000, 5001, 20000},
                        wanted[] = {0.8, 0.66, 0.45, 0.1, 0.1, 0.1};
    for (int i = 0; i < 6; i++) {
        d->env_steps = (int64_t)steps[i];
        assert_true(fabs(epsilon(d) - wanted[i]) < 1e-12);
    }
    d->config.exploration_fraction = 0;
    d->env_steps = 0;
    assert_true(epsilon(d) == 0.1);
    dqn_destroy(d);
}

/* random with probability epsilon, each action alike; otherwise the best */
static void test_choices_have_their_frequencies(void **state) {
    enum { N = 64, STEPS = 2000, A = 4 };
    dqn *d = make(&reini_env_identity,
                  "n_envs=64 exploration_initial_eps=0.4 exploration_final_eps=0.4 learning_starts=0", NULL);
    int64_t best[A] = {0}, count[A][A] = {{0}};
    for (int t = 0; t < STEPS; t++) {
        const float *obs = reini_stepper_obs(d->stepper);
        const int32_t *action = reini_stepper_action(d->stepper);
        int32_t greedy[N];
        act_greedily(d, greedy);
        act(d);
        for (int i = 0; i < N; i++) {
            float q[A];
            int at = 0;
            if (t < 3) { /* the greedy one is the argmax */
                ask(d, obs + i * A, q);
                for (int a = 1; a < A; a++)
                    at = q[a] > q[at] ? a : at;
                assert_int_equal(greedy[i], at);
            }
            best[greedy[i]]++;
            count[greedy[i]][action[i]]++;
        }
        reini_stepper_step(d->stepper);
        d->env_steps += N;
    }
    double chi = 0;
    int freedom = 0;
    for (int b = 0; b < A; b++)
        for (int a = 0; a < A && best[b] > 0; a++) {
            double expected = (double)best[b] * (a == b ? 0.6 + 0.1 : 0.1);
            chi += ((double)count[b][a] - expected) * ((double)count[b][a] - expected) / expected;
            freedom += a > 0;
        }
    print_message("# chi-square %.1f of %d\n", chi, freedom);
    assert_true(chi < freedom + 4 * sqrt(2.0 * freedom));
    dqn_destroy(d);
}

/* in warm-up, exploring and greedily: what was stored was allowed */
static void test_forbidden_actions_are_never_chosen(void **state) {
    static const char *const settings[] = {
        "n_envs=3 learning_starts=500 exploration_initial_eps=0.5 exploration_final_eps=0.5",
        "n_envs=1 learning_starts=0 exploration_initial_eps=0 exploration_final_eps=0 double_q=true",
        "n_envs=2 learning_starts=0 exploration_initial_eps=1 exploration_final_eps=1 dueling=true"};
    for (int k = 0; k < 3; k++) {
        dqn *d = make(&reini_env_identity_masked, settings[k], NULL);
        int64_t taken[4] = {0};
        iterate(d, 3);
        const reini_replay *r = d->replay;
        for (int64_t i = 0; i < reini_replay_count(r); i++) {
            int32_t a = ((const int32_t *)r->action)[i];
            assert_in_range(a, 0, 3);
            assert_int_equal(r->mask[(size_t)r->row[i] * 4 + (size_t)a], 1);
            assert_true(r->reward[i] >= 0); /* the environment says so as well */
            taken[a]++;
        }
        for (int a = 0; a < 4; a++)
            assert_true(taken[a] > 0);
        dqn_destroy(d);
    }
}

static void test_any_action_is_fair(void **state) {
    static const uint8_t mask[] = {0, 1, 0, 1, 1, 0};
    int64_t free_count[6] = {0}, masked_count[6] = {0};
    for (uint64_t i = 0; i < 60000; i++) {
        uint32_t word[4];
        rein_philox(1, i, 2, word);
        free_count[any_action(word[0], 6, NULL)]++;
        masked_count[any_action(word[1], 6, mask)]++;
    }
    for (int a = 0; a < 6; a++) {
        assert_true(llabs(free_count[a] - 10000) < 400);
        assert_true(mask[a] ? llabs(masked_count[a] - 20000) < 500 : masked_count[a] == 0);
    }
    assert_int_equal(any_action(0, 6, mask), 1);
    assert_int_equal(any_action(UINT32_MAX, 6, mask), 4);
    assert_int_equal(any_action(UINT32_MAX, 6, NULL), 5);
    assert_int_equal(any_action(5, 2, (const uint8_t[]){0, 0}), 0);
}

/* ---- how much, and when -------------------------------------------------------------------------------- */

static void check_updates(const char *settings, int iterations, int64_t steps, int64_t updates) {
    dqn *d = make(&reini_env_cartpole, settings, NULL);
    reini_report report = {0};
    double sum = 0;
    for (int i = 0; i < iterations; i++) {
        report = iterate(d, 1);
        sum += report.metric[METRIC_UPDATES];
    }
    assert_int_equal(report.env_steps, steps);
    assert_int_equal(d->updates, updates);
    assert_true(sum == (double)updates);
    dqn_destroy(d);
}

static void test_updates_are_counted_as_said(void **state) {
    check_updates("train_freq=4", 2, 2000, 450); /* 204, 208, ..., 2000 */
    check_updates("train_freq=1 learning_starts=0", 1, 1000, 1000);
    check_updates("train_freq=16 gradient_steps=8", 1, 1000, 8 * 50); /* 208, ..., 992 */
    check_updates("train_freq=4 gradient_steps=-1", 1, 1000, 800);
    check_updates("train_freq=4 n_envs=5", 1, 1000, 40); /* every 20 steps from 220 on */
    check_updates("train_freq=4 n_envs=5 gradient_steps=-1", 1, 1000, 800);
    check_updates("n_envs=7", 2, 2002, 64); /* 1001 an iteration: 286 steps of each, 4 apart, above 200 */
    check_updates("learning_starts=1500", 1, 1000, 0);
}

static void test_the_last_iteration_ends_at_the_end(void **state) {
    total_steps = 2500;
    check_updates("", 3, 2500, 575);
    total_steps = 20000;
}

/* a step at a time: copies at 250 and 500, before the updates of that step; updates at 4, 8, ..., 500, ... */
static void test_target_becomes_a_copy(void **state) {
    dqn *d = make(&reini_env_cartpole, "target_update_interval=250 learning_starts=0", NULL);
    float *copy = malloc(theta_bytes(d));
    memcpy(copy, theta(d), theta_bytes(d));
    for (int64_t step = 1; step <= 600; step++) {
        bool due = step % 250 == 0;
        if (due)
            memcpy(copy, theta(d), theta_bytes(d));
        d->context.total_steps = d->env_steps + 1;
        iterate(d, 1);
        assert_int_equal(d->env_steps, step);
        assert_memory_equal(rein_store_view(d->target), copy, theta_bytes(d));
        assert_int_equal(d->behind, step / 4 - (step < 250 ? 0 : step < 500 ? 250 / 4 : 496 / 4));
    }
    free(copy);
    dqn_destroy(d);
}

static void test_target_follows_softly(void **state) {
    dqn *d = make(&reini_env_cartpole, "target_update_interval=1 tau=0.25 learning_starts=0", NULL);
    float *expected = malloc(theta_bytes(d));
    double measured = NAN;
    iterate(d, 1);
    int64_t n = rein_store_size(d->target);
    const float *old = rein_store_view(d->target);
    double apart = 0, size = 0;
    d->behind = 1;
    for (int64_t i = 0; i < n; i++) {
        expected[i] = old[i] + 0.25f * (theta(d)[i] - old[i]);
        apart += pow((double)theta(d)[i] - old[i], 2);
        size += pow(old[i], 2);
    }
    follow(d, &measured);
    for (int64_t i = 0; i < n; i++)
        assert_true(fabsf(old[i] - expected[i]) <= 1e-6f * fmaxf(1, fabsf(expected[i])));
    assert_true(apart > 0 && fabs(measured - sqrt(apart / size)) < 1e-9);
    free(expected);
    dqn_destroy(d);
}

static void test_metrics(void **state) {
    dqn *d = make(&reini_env_cartpole, "learning_rate=lin_1e-2 learning_starts=1000", NULL);
    reini_report report = iterate(d, 1);
    assert_true(isnan(report.metric[METRIC_LOSS]) && isnan(report.metric[METRIC_TARGET_DRIFT]));
    assert_true(report.metric[METRIC_UPDATES] == 0);
    report = iterate(d, 1);
    assert_true(report.metric[METRIC_UPDATES] == 250);
    assert_true(report.metric[METRIC_LOSS] > 0 && report.metric[METRIC_TD_ERROR] > 0);
    assert_true(report.metric[METRIC_GRAD_NORM] > 0);
    assert_true(report.metric[METRIC_TARGET_DRIFT] > 0 && report.metric[METRIC_TARGET_DRIFT] < 1);
    assert_true(fabs(report.metric[METRIC_LEARNING_RATE] - 0.9e-2) < 1e-12);
    assert_true(fabs(report.metric[METRIC_EPSILON] - 0.05) < 1e-12);
    assert_true(report.episodes > 10 && report.return_mean > 5 && report.length_mean == report.return_mean);
    assert_true(report.seconds_env > 0 && report.seconds_act > 0 && report.seconds_update > 0);
    dqn_destroy(d);
}

/* ---- ends and cuts ------------------------------------------------------------------------------------- */

/* Reward 1 for ever, cut every 10 steps: 1 / (1 - 0.9) = 10 only when the cuts are bootstrapped. */
static void check_time_limit(const char *settings) {
    dqn *d = make(&reini_env_time_limit, settings, NULL);
    float q[2];
    iterate(d, 8);
    ask(d, &(float){1}, q);
    print_message("# %s: %.3f %.3f\n", settings, q[0], q[1]);
    assert_true(fabsf(q[0] - 10) < 0.1f && fabsf(q[1] - 10) < 0.1f);
    dqn_destroy(d);
}

#define LIMIT                                                                                                \
    "gamma=0.9 target_update_interval=20 train_freq=1 exploration_final_eps=0.5 learning_rate=lin_3e-3 "

static void test_cuts_are_bootstrapped(void **state) {
    one_thread_only();
    total_steps = 8000;
    check_time_limit(LIMIT);
    check_time_limit(LIMIT "n_step=4 double_q=true");
    check_time_limit(LIMIT "dueling=true prioritized=true loss=mse");
    check_time_limit(LIMIT "n_step=30 n_envs=3 train_freq=3 gradient_steps=-1");
    total_steps = 20000;
}

/* what follows an end counts for nothing, whatever the network says of it */
static void test_ends_are_not_bootstrapped(void **state) {
    dqn *d = make(&reini_env_cartpole, "batch_size=2 gamma=0.5", NULL);
    reini_report report = {0};
    while (d->env_steps < 300)
        experience(d, &report);
    int32_t end = 0;
    while (!d->replay->terminated[end])
        end++;
    d->batch->index[0] = end;
    d->batch->index[1] = end + 1;
    float *last = (float *)d->replay->obs + (size_t)d->replay->next_row[end] * 4;
    assert_true(d->replay->next_row[end] != d->replay->row[end + 1]); /* the final observation is its own */
    for (int spoiled = 0; spoiled < 2; spoiled++) {
        float kept = last[0], q[2];
        last[0] = spoiled ? INFINITY : kept;
        reini_batch_fill(d->batch, d->replay, 2, 1, d->config.gamma);
        assert_true(d->batch->discount[0] == 0 && d->batch->discount[1] == 0.5f);
        rein_exec_run(d->exec);
        ask(d, (const float *)d->replay->obs + (size_t)d->replay->row[end] * 4, q);
        float error = ((const float *)rein_exec_data(d->exec, d->error))[0];
        float wanted = 1 - q[((const int32_t *)d->replay->action)[end]];
        assert_true(fabsf(error - wanted) < 1e-6f);
        assert_true(isfinite(rein_exec_scalar(d->exec, d->loss)));
        last[0] = kept;
    }
    dqn_destroy(d);
}

/* ---- updates that are not finite ----------------------------------------------------------------------- */

static void check_skipped(dqn *d, float *spoiled, float with) {
    double sum[METRICS] = {0};
    float *before = malloc(theta_bytes(d)), kept = *spoiled;
    double total = d->config.prioritized ? reini_sum_tree_total(&d->priorities.tree) : 0;
    int64_t skipped = d->skipped;
    memcpy(before, theta(d), theta_bytes(d));
    *spoiled = with;
    for (int i = 0; i < 48; i++)
        d->batch->index[i] = 2 * i;
    reini_batch_fill(d->batch, d->replay, 48, (int)d->config.n_step, d->config.gamma);
    descend(d, sum, 1e-3);
    assert_int_equal(d->skipped, skipped + 1);
    assert_int_equal(d->skipped_in_a_row, skipped + 1);
    assert_memory_equal(before, theta(d), theta_bytes(d));
    if (d->config.prioritized)
        assert_true(reini_sum_tree_total(&d->priorities.tree) == total);
    *spoiled = kept;
    free(before);
}

static void check_all_skipped(const char *settings) {
    dqn *d = make(&reini_env_cartpole, settings, NULL);
    reini_report report = {0};
    double sum[METRICS] = {0};
    while (d->env_steps < 300)
        experience(d, &report);
    for (int i = 0; d->config.prioritized && i < 48; i++)
        d->weight[i] = 1;
    float *obs = (float *)d->replay->obs;
    check_skipped(d, &d->replay->reward[10], NAN);
    check_skipped(d, &d->replay->reward[94], INFINITY);
    check_skipped(d, &d->replay->reward[0], d->config.loss == LOSS_MSE ? 1e25f : -INFINITY);
    check_skipped(d, &obs[(size_t)d->replay->row[20] * 4 + 3], NAN);
    /* what an episode goes on with, in the middle of it */
    int32_t at = 0;
    while (d->replay->done[at] | d->replay->done[at + 1] | d->replay->done[at + 2] | d->replay->done[at + 3])
        at += 2;
    check_skipped(d, &obs[(size_t)d->replay->next_row[at + d->config.n_step - 1] * 4], NAN);
    /* and then the run goes on */
    learn(d, sum);
    assert_int_equal(d->skipped, 5);
    assert_int_equal(d->skipped_in_a_row, 0);
    for (int64_t i = 0; i < rein_store_size(d->target); i++)
        assert_true(isfinite(theta(d)[i]));
    dqn_destroy(d);
}

static void test_updates_that_are_not_finite_are_skipped(void **state) {
    check_all_skipped("gradient_steps=20");
    check_all_skipped("gradient_steps=20 prioritized=true loss=mse double_q=true");
    check_all_skipped("gradient_steps=20 dueling=true n_step=3 optimizer=sgd max_grad_norm=0");
}

/* nothing but NaN: a hundred updates, then the run is given up in the middle of the iteration */
static void test_gives_up(void **state) {
    dqn *d = make(&reini_env_cartpole, "learning_starts=0 train_freq=1", NULL);
    iterate(d, 1);
    float before = theta(d)[5];
    for (int64_t i = 0; i < d->replay->capacity; i++)
        d->replay->reward[i] = NAN;
    d->batch->reward[0] = NAN;
    reini_report report = {0};
    while (d->skipped_in_a_row < GIVE_UP_AFTER) {
        for (int64_t i = 0; i < d->replay->capacity; i++)
            d->replay->reward[i] = NAN;
        d->context.total_steps = d->env_steps + 1;
        report = iterate(d, 1);
    }
    assert_true(report.diverged);
    assert_int_equal(report.skipped_updates, GIVE_UP_AFTER);
    assert_true(d->env_steps < 1110);
    assert_true(theta(d)[5] == before);
    dqn_destroy(d);
}

/* ---- the same bits ------------------------------------------------------------------------------------- */

/* batches over several tiles, memories that go round, every switch */
typedef struct recipe {
    const rein_env_type *env;
    const char *settings;
} recipe;

static const recipe recipes[] = {
    {&reini_env_cartpole, "batch_size=200 train_freq=8 buffer_size=1700"},
    {&reini_env_cartpole, "n_envs=5 batch_size=130 prioritized=true n_step=3 double_q=true buffer_size=2100"},
    {&reini_env_mountain_car, "norm_obs=running dueling=true tau=0.01 target_update_interval=1 n_envs=2"},
    {&reini_env_acrobot, "norm_obs=warmup prioritized=true dueling=true double_q=true per_alpha=0.9"},
    {&reini_env_identity_masked,
     "n_envs=3 prioritized=true n_step=2 loss=mse train_freq=2 gradient_steps=-1"},
    {&reini_env_time_limit, "batch_size=64 optimizer=rmsprop learning_starts=0 buffer_size=50"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static void same(const dqn *a, const dqn *b, const reini_report *x, const reini_report *y) {
    assert_memory_equal(theta(a), theta(b), theta_bytes(a));
    assert_memory_equal(rein_store_view(a->target), rein_store_view(b->target), theta_bytes(a));
    assert_memory_equal(x->metric, y->metric, METRICS * sizeof(double));
    assert_int_equal(x->episodes, y->episodes);
    assert_memory_equal(&x->return_mean, &y->return_mean, sizeof(double));
    const reini_replay *r = a->replay, *q = b->replay;
    assert_int_equal(r->added, q->added);
    assert_int_equal(r->forgotten, q->forgotten);
    size_t count = (size_t)(r->added < r->capacity ? r->added : r->capacity);
    assert_memory_equal(r->reward, q->reward, count * sizeof(float));
    assert_memory_equal(r->action, q->action, count * r->act_bytes);
    if (!a->config.prioritized)
        return;
    assert_memory_equal(a->priorities.tree.level[0], b->priorities.tree.level[0], count * sizeof(double));
    assert_true(reini_sum_tree_total(&a->priorities.tree) == reini_sum_tree_total(&b->priorities.tree));
}

static void check_threads(int k, int threads) {
    rein_pool *pool[] = {rein_pool_new(1), rein_pool_new(threads)};
    dqn *one = make(recipes[k].env, recipes[k].settings, pool[0]);
    dqn *many = make(recipes[k].env, recipes[k].settings, pool[1]);
    for (int round = 0; round < 3; round++) {
        reini_report x = iterate(one, 1), y = iterate(many, 1);
        same(one, many, &x, &y);
    }
    dqn_destroy(one);
    dqn_destroy(many);
    rein_pool_free(pool[0]);
    rein_pool_free(pool[1]);
}

static void test_threads_do_not_change_bits(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        check_threads(k, 2);
        check_threads(k, 3);
    }
}

static void test_threads_do_not_change_bits_in_bf16(void **state) {
    if (!reini_bf16_available())
        skip();
    matmul = REIN_BF16;
    check_threads(0, 2);
    check_threads(1, 2);
    matmul = REIN_F32;
}

/* saved after k iterations and loaded into a fresh one: memory, priorities, everything goes on as if never stopped */
static void check_resume(int k, int stop) {
    dqn *whole = make(recipes[k].env, recipes[k].settings, NULL);
    dqn *resumed = make(recipes[k].env, recipes[k].settings, NULL);
    reini_archive *archive;
    json_t *header = json_pack("{s:s}", "kind", "test");
    iterate(whole, stop);
    assert_ok(reini_archive_create(temp_path("dqn.ckpt"), header, &archive));
    assert_ok(dqn_visit(whole, archive));
    assert_ok(reini_archive_finish(archive));
    iterate(resumed, 1); /* other experience, all of which must go */
    assert_ok(reini_archive_open(temp_path("dqn.ckpt"), &archive, NULL));
    assert_ok(dqn_visit(resumed, archive));
    assert_ok(reini_archive_finish(archive));
    for (int round = 0; round < 3; round++) {
        reini_report x = iterate(whole, 1), y = iterate(resumed, 1);
        same(whole, resumed, &x, &y);
    }
    json_decref(header);
    dqn_destroy(whole);
    dqn_destroy(resumed);
}

static void test_resumed_is_the_same(void **state) {
    one_thread_only();
    for (int k = 0; k < RECIPES; k++)
        for (int stop = 1; stop <= 4; stop++)
            check_resume(k, stop);
}

/* a whole run in its own process, killed wherever it happens to be */
static void test_killed_runs_end_the_same(void **state) {
    static const rein_setting settings[] = {
        {"steps", "12000"},      {"n_envs", "3"},     {"hidden", "16,16"},
        {"eval_every", "3000"},  {"seed", "8"},       {"checkpoint_every", "1000"},
        {"prioritized", "true"}, {"n_step", "3"},     {"buffer_size", "2500"},
        {"double_q", "true"},    {"threads", "2"},    {"norm_obs", "running"},
        {"eval_episodes", "5"},  {"dueling", "true"}, {"eval_every_episodes", "3"},
    };
    rein_train_opts opts = {.algo = "dqn",
                            .env = "CartPole-v1",
                            .preset = "none",
                            .settings = settings,
                            .n_settings = sizeof settings / sizeof *settings,
                            .out = run_path("whole")};
    run_check_kills(&reini_algo_dqn, opts, 0.25, 4000, 1);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static void test_iterations_take_no_memory(void **state) {
    one_thread_only();
    for (int k = 0; k < RECIPES; k++) {
        uint64_t live = reini_memory_now().live_bytes;
        dqn *d = make(recipes[k].env, recipes[k].settings, NULL);
        iterate(d, 1);
        uint64_t before = reini_memory_now().allocations;
        iterate(d, 4);
        assert_true(reini_memory_now().allocations == before);
        dqn_destroy(d);
        assert_true(reini_memory_now().live_bytes == live);
    }
}

/* every allocation of the construction fails in turn */
static void test_out_of_memory(void **state) {
    dqn_config config = config_of(recipes[4].settings);
    reini_context context = {.env = recipes[4].env, .seed = 3, .total_steps = 100};
    for (uint64_t nth = 1;; nth++) {
        void *self = NULL;
        uint64_t live = reini_memory_now().live_bytes, before = reini_memory_now().allocations;
        reini_memory_fail(nth, false);
        rein_status status = dqn_create(&config, &context, &self);
        reini_memory_fail(0, false);
        uint64_t used = reini_memory_now().allocations - before;
        dqn_destroy(self);
        assert_true(reini_memory_now().live_bytes == live);
        if (used < nth) {
            assert_int_equal(status, REIN_OK);
            break;
        }
        if (status != REIN_OK) {
            assert_int_equal(status, REIN_NOMEM);
            assert_null(self);
        }
    }
}

/* ---- what does not fit --------------------------------------------------------------------------------- */

static const rein_env_type pictures = {
    .id = "test/Pictures-v0",
    .obs = {.kind = REIN_SPACE_IMAGE, .size = 48, .shape = {3, 4, 4}},
    .act = {REIN_SPACE_DISCRETE, 1, {2}},
};
static const rein_env_type numbers = {
    .id = "test/Numbers-v0",
    .obs = {REIN_SPACE_DISCRETE, 1, {5}},
    .act = {REIN_SPACE_DISCRETE, 1, {2}},
};

static void refuse(const rein_env_type *env, const char *settings, const char *words) {
    dqn_config config = config_of(settings);
    reini_context context = {.env = env};
    assert_fails(dqn_check(&config, &context), REIN_USAGE, words);
}

static void test_what_does_not_fit_is_refused(void **state) {
    rein_env_type steered = pictures;
    steered.act = reini_env_pendulum.act;
    refuse(&reini_env_pendulum, "",
           "dqn needs one discrete action, Pendulum-v1 takes others: sac, td3 or ppo fit");
    refuse(&reini_env_identity_multi_discrete, "", "takes others: ppo, a2c and trpo fit");
    /* sac and td3 see no images */
    refuse(&steered, "encoder=minatar",
           "one discrete action, test/Pictures-v0 takes others: ppo, a2c and trpo fit");
    refuse(&pictures, "encoder=impala", "images of 3 x 4 x 4 (channels x height x width) are too small");
    refuse(&reini_env_cartpole, "buffer_size=4 n_envs=5",
           "buffer_size: 4 is less than one step of n_envs = 5");
    refuse(&reini_env_cartpole, "gradient_steps=0", "gradient_steps: 0 learns nothing");
    refuse(&reini_env_cartpole, "norm_obs=warmup learning_starts=0", "learning_starts");
    refuse(&numbers, "norm_obs=running", "only box observations");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epsilon_falls_linearly),
        cmocka_unit_test(test_choices_have_their_frequencies),
        cmocka_unit_test(test_forbidden_actions_are_never_chosen),
        cmocka_unit_test(test_any_action_is_fair),
        cmocka_unit_test(test_updates_are_counted_as_said),
        cmocka_unit_test(test_the_last_iteration_ends_at_the_end),
        cmocka_unit_test(test_target_becomes_a_copy),
        cmocka_unit_test(test_target_follows_softly),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_cuts_are_bootstrapped),
        cmocka_unit_test(test_ends_are_not_bootstrapped),
        cmocka_unit_test(test_updates_that_are_not_finite_are_skipped),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_threads_do_not_change_bits_in_bf16),
        cmocka_unit_test(test_resumed_is_the_same),
        cmocka_unit_test(test_killed_runs_end_the_same),
        cmocka_unit_test(test_iterations_take_no_memory),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("dqn", tests, temp_dir_make, temp_dir_remove);
}
