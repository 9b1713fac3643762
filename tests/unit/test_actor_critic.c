/*
 * test_actor_critic.c - what SAC, TD3 and DDPG promise alike: the same bits for any number of threads and after any
 * interruption, no memory after the first iteration, values that go on where an episode was only cut, faults of
 * environments told by name, updates that are not finite skipped.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include "algo/algo.h"
#include "base/archive.h"
#include "env/env_types.h"
#include "support/settings.h"
#include "support/temp_dir.h"

/* ---- environments -------------------------------------------------------------------------------------- */

enum { LENGTH = 10 };
static bool terminates; /* the episode ends after LENGTH steps; else it is only cut there */
static float wrong = 1; /* the reward of every 50th step */
static const float low[1] = {-1}, high[1] = {1};

static void same_reset(const void *config, void *state, rein_rng *rng) {
    *(int32_t *)state = 0;
}

static rein_step same_step(const void *config, void *state, const void *action, rein_rng *rng) {
    int32_t *steps = state;
    bool over = ++*steps == LENGTH;
    float reward = wrong != 1 && rein_rng_below(rng, 50) == 0 ? wrong : 1;
    return (rein_step){.reward = reward, .terminated = over && terminates, .truncated = over && !terminates};
}

static void same_observe(const void *config, const void *state, void *obs) {
    *(float *)obs = 1;
}

/* reward 1 in a world that always looks the same */
static const rein_env_type same = {
    .abi = REIN_ENV_ABI,
    .id = "test/Same-v0",
    .doc = "test",
    .obs = REINI_BOX(1, NULL, NULL),
    .act = REINI_BOX(1, low, high),
    .state_size = sizeof(int32_t),
    .reset = same_reset,
    .step = same_step,
    .observe = same_observe,
};

/* ---- trainees ------------------------------------------------------------------------------------------ */

typedef struct recipe {
    const char *algo, *settings;
} recipe;

static const recipe recipes[] = {
    {"sac", "n_envs=1 train_freq=1"},
    {"sac", "n_envs=3 n_step=3 gradient_steps=-1 auto_ent_coef=false ent_coef=0.2 max_grad_norm=1"},
    {"td3", "n_envs=1"},
    {"td3", "n_envs=2 noise=ou action_noise=0.3 policy_delay=3 n_step=2 train_freq=4 gradient_steps=4"},
    {"ddpg", "n_envs=1 noise=ou"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

typedef struct trainee {
    const reini_algo *algo;
    void *config, *self;
    rein_pool *pool;
    rein_env_type env;
} trainee;

static trainee make(const recipe *from, const rein_env_type *env, const char *more, int threads) {
    trainee t = {.algo = reini_algo_find(from->algo), .pool = rein_pool_new(threads)};
    assert_non_null(t.algo);
    assert_ok(rein_env_open(env, NULL, &t.env));
    t.config = calloc(1, t.algo->config_size);
    settings_set(t.algo->fields, t.algo->n_fields, t.config,
                 "hidden=24,16 batch_size=70 learning_starts=300 buffer_size=2000 %s %s", from->settings,
                 more);
    return t;
}

/* the struct must not move once its environment's address was given away */
static void start(trainee *t) {
    reini_context context = {.env = &t->env, .seed = 5, .total_steps = 100000, .pool = t->pool};
    assert_ok(t->algo->check(t->config, &context));
    assert_ok(t->algo->create(t->config, &context, &t->self));
}

static reini_report iterate(trainee *t, int times) {
    reini_report report = {0};
    for (int i = 0; i < times; i++) {
        report = (reini_report){0};
        for (int m = 0; m < REINI_METRICS_MAX; m++)
            report.metric[m] = NAN;
        t->algo->iterate(t->self, &report);
    }
    return report;
}

static void release(trainee *t) {
    t->algo->destroy(t->self);
    rein_env_close(&t->env);
    rein_pool_free(t->pool);
    free(t->config);
}

static double metric(const trainee *t, const reini_report *report, const char *name) {
    for (int i = 0; i < t->algo->n_metrics; i++)
        if (strcmp(t->algo->metrics[i], name) == 0)
            return report->metric[i];
    fail_msg("no metric %s", name);
    return NAN;
}

static void same_policy(const trainee *a, const trainee *b, const char *what) {
    char x[65], y[65];
    rein_policy_sha256(a->algo->policy(a->self), x);
    rein_policy_sha256(b->algo->policy(b->self), y);
    if (strcmp(x, y) != 0)
        fail_msg("%s: other bits %s", a->algo->name, what);
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void test_threads_do_not_change_bits(void **state) {
    for (int k = 0; k < RECIPES; k++)
        for (int threads = 2; threads <= 3; threads++) {
            trainee one = make(&recipes[k], &reini_env_pendulum, "", 1);
            trainee many = make(&recipes[k], &reini_env_pendulum, "", threads);
            start(&one);
            start(&many);
            for (int round = 0; round < 2; round++) {
                reini_report x = iterate(&one, 1), y = iterate(&many, 1);
                same_policy(&one, &many, "with other threads");
                for (int m = 0; m < one.algo->n_metrics; m++)
                    assert_memory_equal(&x.metric[m], &y.metric[m], sizeof x.metric[m]);
            }
            release(&one);
            release(&many);
        }
}

static void save(trainee *t) {
    reini_archive *archive;
    json_t *header = json_object();
    assert_ok(reini_archive_create(temp_path("state"), header, &archive));
    json_decref(header);
    assert_ok(t->algo->visit(t->self, archive));
    assert_ok(reini_archive_finish(archive));
}

static void load(trainee *t) {
    reini_archive *archive;
    assert_ok(reini_archive_open(temp_path("state"), &archive, NULL));
    assert_ok(t->algo->visit(t->self, archive));
    assert_ok(reini_archive_finish(archive));
}

/* saved before learning began, while it goes on, and after the memory has lapped */
static void test_goes_on_as_if_never_stopped(void **state) {
    one_thread_only();
    static const int before[] = {1, 2, 4};
    for (int k = 0; k < RECIPES; k++)
        for (int i = 0; i < 3; i++) {
            const char *more = i == 0 ? "learning_starts=1500" : "";
            trainee a = make(&recipes[k], &reini_env_pendulum, more, 1);
            trainee b = make(&recipes[k], &reini_env_pendulum, more, 1);
            start(&a);
            start(&b);
            iterate(&a, before[i]);
            save(&a);
            iterate(&b, 1);
            load(&b);
            same_policy(&a, &b, "after loading");
            reini_report x = iterate(&a, 2), y = iterate(&b, 2);
            same_policy(&a, &b, "after going on");
            assert_int_equal(x.env_steps, y.env_steps);
            assert_int_equal(x.episodes, y.episodes);
            for (int m = 0; m < a.algo->n_metrics; m++)
                assert_memory_equal(&x.metric[m], &y.metric[m], sizeof x.metric[m]);
            release(&a);
            release(&b);
        }
}

static void test_iterations_take_no_memory(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        trainee t = make(&recipes[k], &reini_env_pendulum, "", 2);
        start(&t);
        iterate(&t, 1);
        reini_memory before = reini_memory_now();
        iterate(&t, 2);
        assert_true(reini_memory_now().allocations == before.allocations);
        release(&t);
    }
}

/* Q = 1 + g Q = 10 where episodes are only cut; where a tenth of the steps ends one, and all states look the same,
 * Q = 1 + 0.9 g Q = 1 / 0.19. Without a price on entropy all three methods learn the same values. */
static double learned_value(const recipe *from, bool ends) {
    terminates = ends;
    wrong = 1;
    trainee t = make(from, &same, "gamma=0.9 learning_rate=3e-3 tau=0.02 batch_size=64", 1);
    start(&t);
    reini_report report = iterate(&t, 6);
    double value = metric(&t, &report, "train/q_mean");
    release(&t);
    print_message("# %s: %.3f where episodes %s\n", from->algo, value, ends ? "end" : "are cut");
    return value;
}

static void test_only_ends_are_worth_nothing(void **state) {
    one_thread_only();
    static const recipe learners[] = {
        {"sac", "auto_ent_coef=false ent_coef=1e-9"}, {"td3", ""}, {"ddpg", ""}};
    for (int k = 0; k < 3; k++) {
        assert_true(fabs(learned_value(&learners[k], false) - 10) < 0.2);
        assert_true(fabs(learned_value(&learners[k], true) - 1 / 0.19) < 0.2);
    }
}

static void test_faults_of_the_environment(void **state) {
    terminates = false;
    for (int k = 0; k < RECIPES; k++) {
        wrong = NAN;
        trainee t = make(&recipes[k], &same, "", 1);
        start(&t);
        reini_report report = iterate(&t, 1);
        assert_int_equal(report.failed, REIN_DIVERGED);
        assert_non_null(strstr(rein_error(), "test/Same-v0"));
        assert_non_null(strstr(rein_error(), "the reward nan"));
        release(&t);
    }
    wrong = 1;
}

/* a reward whose square is not finite: its batches are skipped and counted, the networks stay whole */
static void test_updates_that_are_not_finite_are_skipped(void **state) {
    terminates = false;
    for (int k = 0; k < RECIPES; k++) {
        wrong = FLT_MAX;
        trainee t = make(&recipes[k], &same, "n_step=1", 1);
        start(&t);
        reini_report report = iterate(&t, 1);
        assert_true(report.skipped_updates > 0);
        assert_int_equal(report.failed, REIN_OK);
        float action, obs = 1;
        rein_policy_act(t.algo->policy(t.self), 1, &obs, NULL, NULL, &action);
        assert_true(action >= -1 && action <= 1);
        release(&t);
    }
    wrong = 1;
}

static void refused(const recipe *from, const rein_env_type *env, const char *more, const char *words) {
    trainee t = make(from, env, more, 1);
    reini_context context = {.env = &t.env, .seed = 5, .total_steps = 1000, .pool = t.pool};
    assert_fails(t.algo->check(t.config, &context), REIN_USAGE, words);
    rein_env_close(&t.env);
    rein_pool_free(t.pool);
    free(t.config);
}

static void test_what_does_not_fit_is_refused(void **state) {
    rein_env_type pictures = same, numbers = same;
    pictures.id = "test/Pictures-v0";
    pictures.obs = (rein_space){.kind = REIN_SPACE_IMAGE, .size = 48, .shape = {3, 4, 4}};
    numbers.id = "test/Numbers-v0";
    numbers.obs = (rein_space){.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {5}};
    for (int k = 0; k < RECIPES; k++) {
        refused(&recipes[k], &pictures, "",
                "needs box observations, test/Pictures-v0 gives images: ppo, a2c and trpo fit");
        refused(&recipes[k], &numbers, "",
                "needs box observations, test/Numbers-v0 gives others: ppo, a2c and trpo fit");
        refused(&recipes[k], &reini_env_cartpole, "", "needs box actions, CartPole-v1 takes others");
        refused(&recipes[k], &reini_env_pendulum, "gradient_steps=0", "gradient_steps");
        refused(&recipes[k], &reini_env_pendulum, "n_envs=8 buffer_size=7", "buffer_size: 7");
    }
    /* an unbounded action cannot be squashed */
    rein_env_type open_ended = same;
    open_ended.act.low = open_ended.act.high = NULL;
    trainee t = make(&recipes[0], &open_ended, "", 1);
    reini_context context = {.env = &t.env, .seed = 5, .total_steps = 1000, .pool = t.pool};
    assert_fails(t.algo->create(t.config, &context, &t.self), REIN_USAGE, "finite bounds");
    rein_env_close(&t.env);
    rein_pool_free(t.pool);
    free(t.config);
}

static void test_policies_act_alone(void **state) {
    one_thread_only();
    for (int k = 0; k < RECIPES; k++) {
        trainee t = make(&recipes[k], &reini_env_pendulum, "", 1);
        start(&t);
        iterate(&t, 2);
        rein_policy *trained = t.algo->policy(t.self), *loaded;
        assert_ok(rein_policy_save(trained, temp_path("policy")));
        assert_ok(rein_policy_load(temp_path("policy"), &loaded));
        float obs[30], a[10], b[10];
        rein_rng rng = rein_rng_make(8, 0);
        for (int i = 0; i < 30; i++)
            obs[i] = rein_rng_range(&rng, -1, 1);
        rein_policy_act(trained, 10, obs, NULL, NULL, a);
        rein_policy_act(loaded, 10, obs, NULL, NULL, b);
        assert_memory_equal(a, b, sizeof a);
        rein_sampling sampling = {.seed = 4};
        rein_policy_act(loaded, 10, obs, NULL, &sampling, b);
        bool differs = memcmp(a, b, sizeof a) != 0;
        assert_true(differs == (strcmp(recipes[k].algo, "sac") == 0)); /* the others have nothing to draw */
        for (int i = 0; i < 10; i++)
            assert_true(fabsf(a[i]) <= 2 && fabsf(b[i]) <= 2);
        rein_policy_free(loaded);
        release(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_goes_on_as_if_never_stopped),
        cmocka_unit_test(test_iterations_take_no_memory),
        cmocka_unit_test(test_only_ends_are_worth_nothing),
        cmocka_unit_test(test_faults_of_the_environment),
        cmocka_unit_test(test_updates_that_are_not_finite_are_skipped),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_policies_act_alone),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
