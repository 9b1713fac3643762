/*
 * test_sac.c - the parts of SAC that a golden file cannot show: ends and cuts of episodes, the price of entropy, updates
 * that are not finite, environments that go wrong, actions inside any bounds, the same bits for any number of threads and
 * after any stop.
 *
 * The algorithm's own functions run here on its own experience.
 */
#include "algo/off_policy/sac.c"
#include <float.h>
#include "env/env_types.h"
#include "support/run_check.h"
#include "support/settings.h"
#include "tensor/kernels.h"

static rein_dtype matmul = REIN_F32; /* of the SACs made below */
static int64_t total_steps = 20000;

#define BASE "buffer_size=3000 learning_starts=100 batch_size=32 hidden=16,16 learning_rate=1e-3 "

static sac_config config_of(const char *settings) {
    sac_config config;
    memset(&config, 0, sizeof config);
    settings_set(sac_fields, reini_algo_sac.n_fields, &config, BASE "%s", settings);
    return config;
}

static sac *make(const rein_env_type *env, const char *settings, rein_pool *pool) {
    sac_config config = config_of(settings);
    reini_context context = {
        .env = env, .seed = 3, .total_steps = total_steps, .pool = pool, .matmul = matmul};
    void *self = NULL;
    assert_ok(reini_algo_sac.check(&config, &context));
    assert_ok(reini_algo_sac.create(&config, &context, &self));
    return self;
}

static reini_report iterate(sac *s, int times) {
    reini_report report = {0};
    for (int i = 0; i < times; i++) {
        report = (reini_report){0};
        for (int m = 0; m < REINI_METRICS_MAX; m++)
            report.metric[m] = NAN;
        sac_iterate(s, &report);
    }
    return report;
}

/* Q_k(obs, action) of the present critics */
static double ask(const sac *s, int k, const float *obs, const float *action) {
    rein_graph *g = rein_graph_new(REIN_F32);
    rein_program *program;
    rein_exec *exec;
    const rein_env_type *env = s->context.env;
    int rows = rein_extent(g, "rows", 1), slot = rein_slot(g, s->twin.layout);
    rein_tensor *x = rein_input(g, "obs", REIN_F32, rows, 1, &env->obs.size);
    rein_tensor *a = rein_input(g, "action", REIN_F32, rows, 1, &env->act.size);
    rein_tensor *q = rein_output(reini_twin_one(&s->twin, slot, k, x, a), "q");
    assert_ok(rein_compile(g, NULL, &program));
    assert_ok(rein_exec_new(program, NULL, &exec));
    rein_exec_bind_store(exec, slot, s->twin.online);
    rein_exec_bind(exec, x, obs, 0);
    rein_exec_bind(exec, a, action, 0);
    rein_exec_run(exec);
    double value = ((const float *)rein_exec_data(exec, q))[0];
    rein_exec_free(exec);
    rein_program_free(program);
    rein_graph_free(g);
    return value;
}

static bool all_finite(const rein_store *store) {
    for (int64_t i = 0; i < rein_store_size(store); i++)
        if (!isfinite(((const float *)rein_store_view(store))[i]))
            return false;
    return true;
}

static void check_finite(const sac *s) {
    assert_true(all_finite(s->policy->store));
    assert_true(all_finite(s->twin.online));
    assert_true(all_finite(s->twin.target));
    assert_true(isfinite(s->price.log_alpha));
}

/* ---- ends and cuts ------------------------------------------------------------------------------------- */

static const float minus_one[] = {-1}, one[] = {1};

typedef struct clock_state {
    int32_t steps;
} clock_state;

static void clock_reset(const void *config, void *state, rein_rng *rng) {
    ((clock_state *)state)->steps = 0;
}

static rein_step clock_step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){.reward = 1};
}

static rein_step ten_step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){.reward = 1, .terminated = ++((clock_state *)state)->steps == 10};
}

static void see_one(const void *config, const void *state, void *obs) {
    *(float *)obs = 1;
}

#define CLOCK_ENV(name)                                                                                      \
    .abi = REIN_ENV_ABI, .id = name, .doc = "reward 1 at each step", .obs = REINI_BOX(1, NULL, NULL),        \
    .act = REINI_BOX(1, minus_one, one), .state_size = sizeof(clock_state), .reset = clock_reset,            \
    .observe = see_one

static const rein_env_type cut = {CLOCK_ENV("test/Cut-v0"), .step = clock_step, .horizon = 10};
static const rein_env_type ends = {CLOCK_ENV("test/Ends-v0"), .step = ten_step};

#define LIMIT                                                                                                \
    "gamma=0.9 auto_ent_coef=false ent_coef=1e-12 tau=0.05 learning_rate=lin_5e-3 batch_size=128 "           \
    "train_freq=2 "

static void check_value(const rein_env_type *env, const char *settings, double wanted) {
    sac *s = make(env, settings, NULL);
    iterate(s, 5);
    for (float a = -0.8f; a < 1; a += 0.8f)
        for (int k = 0; k < 2; k++) {
            double q = ask(s, k, one, &a);
            if (!(fabs(q - wanted) < 0.3))
                fail_msg("%s %s: Q%d(%.1f) = %.3f, expected %.3f", env->id, settings, k, (double)a, q,
                         wanted);
        }
    print_message("# %s %s: %.3f, expected %.3f\n", env->id, settings, ask(s, 0, one, &(float){0}), wanted);
    sac_destroy(s);
}

/* Q of states that look the same, j = 1..10 steps before an end: the mean over j of the rewards that come within n
 * steps, and where the end does not of g^n Q as well */
static double value_of_ends(double g, int n) {
    double rewards = 0, follows = 0;
    for (int j = 1; j <= 10; j++) {
        for (int k = 0; k < n && k < j; k++)
            rewards += pow(g, k) / 10;
        follows += j > n ? pow(g, n) / 10 : 0;
    }
    return rewards / (1 - follows);
}

/* Reward 1 for ever, cut every 10 steps: 1 / (1 - 0.9) = 10 only when the cuts are bootstrapped. */
static void test_cuts_are_bootstrapped(void **state) {
    one_thread_only();
    total_steps = 5000;
    check_value(&cut, LIMIT, 10);
    check_value(&cut, LIMIT "n_step=4", 10);
    check_value(&cut, LIMIT "n_step=30 n_envs=3 gradient_steps=2", 10);
    total_steps = 20000;
}

static void test_ends_are_not_bootstrapped(void **state) {
    one_thread_only();
    total_steps = 5000;
    assert_true(fabs(value_of_ends(0.9, 1) - 1 / (1 - 0.9 * 0.9)) < 1e-9);
    check_value(&ends, LIMIT, value_of_ends(0.9, 1));
    check_value(&ends, LIMIT "n_step=3", value_of_ends(0.9, 3));
    check_value(&ends, LIMIT "n_step=10", value_of_ends(0.9, 10)); /* 4.138: no value follows at all */
    total_steps = 20000;
}

/* ---- the price of entropy ------------------------------------------------------------------------------- */

static void test_target_entropy(void **state) {
    static const float low[] = {-1, -1, -1}, high[] = {1, 1, 1};
    rein_env_type three = cut;
    three.act = (rein_space)REINI_BOX(3, low, high);
    sac *s = make(&three, "", NULL);
    assert_true(target_entropy(s) == -3);
    sac_destroy(s);
    s = make(&reini_env_pendulum, "target_entropy=-0.25", NULL);
    assert_true(target_entropy(s) == -0.25);
    sac_destroy(s);
}

/* the first step of Adam is the step size: up by it when there is less entropy than wanted, down by it when more */
static void check_price(const char *settings, double direction) {
    sac *s = make(&reini_env_pendulum, settings, NULL);
    double before = log(s->config.ent_coef), sum[METRICS] = {0};
    reini_report report = {0};
    assert_true(s->price.log_alpha == before);
    while (s->env_steps < 200)
        experience(s, &report);
    learn(s, sum);
    assert_int_equal(s->updates, 1);
    assert_true(fabs(s->price.log_alpha - (before + direction * 1e-3)) < 1e-6);
    for (int i = 0; i < 200; i++)
        learn(s, sum);
    assert_true(fabs(s->price.log_alpha - (before + direction * 0.201)) < 0.01);
    report = iterate(s, 1);
    assert_true(report.metric[METRIC_ENT_COEF] == exp(s->price.log_alpha));
    sac_destroy(s);
}

static void test_price_follows_the_entropy(void **state) {
    check_price("target_entropy=100 ent_coef=0.3", 1);
    check_price("target_entropy=-100 ent_coef=0.3", -1);
    check_price("target_entropy=100 ent_coef=0.3 auto_ent_coef=false", 0);
}

/* a price that is learned brings the entropy to its target */
static void test_entropy_reaches_its_target(void **state) {
    one_thread_only();
    static const double wanted[] = {0.4, -0.5};
    for (int i = 0; i < 2; i++) {
        char settings[128];
        snprintf(settings, sizeof settings, "target_entropy=%g ent_coef=0.1 gamma=0 learning_rate=lin_5e-3",
                 wanted[i]);
        total_steps = 5000;
        sac *s = make(&reini_env_identity_box, settings, NULL);
        reini_report report = iterate(s, 5);
        print_message("# entropy %.3f, target %.1f, price %.4f\n", report.metric[METRIC_ENTROPY], wanted[i],
                      report.metric[METRIC_ENT_COEF]);
        assert_true(fabs(report.metric[METRIC_ENTROPY] - wanted[i]) < 0.1);
        sac_destroy(s);
    }
    total_steps = 20000;
}

/* ---- how much, and when -------------------------------------------------------------------------------- */

static void check_updates(const char *settings, int iterations, int64_t steps, int64_t updates) {
    sac *s = make(&reini_env_pendulum, settings, NULL);
    reini_report report = {0};
    double sum = 0;
    for (int i = 0; i < iterations; i++) {
        report = iterate(s, 1);
        sum += report.metric[METRIC_UPDATES];
    }
    assert_int_equal(report.env_steps, steps);
    assert_int_equal(s->updates, updates);
    assert_true(sum == (double)updates);
    sac_destroy(s);
}

static void test_updates_are_counted_as_said(void **state) {
    one_thread_only();
    check_updates("", 2, 2000, 1900);
    check_updates("learning_starts=0", 1, 1000, 1000);
    check_updates("train_freq=4", 1, 1000, 225); /* 104, 108, ..., 1000 */
    check_updates("train_freq=4 gradient_steps=-1", 1, 1000, 900);
    check_updates("n_envs=5", 1, 1000, 180);
    check_updates("n_envs=5 train_freq=4 gradient_steps=-1", 1, 1000, 900);
    check_updates("n_envs=7 gradient_steps=2", 1, 1001, 2 * 129); /* 105, ..., 1001 */
    check_updates("learning_starts=1500", 1, 1000, 0);
}

static void test_the_last_iteration_ends_at_the_end(void **state) {
    total_steps = 1300;
    check_updates("", 2, 1300, 1200);
    total_steps = 20000;
}

/* before learning starts no policy is asked: two that differ leave the same experience, and afterwards they do not */
static void test_first_actions_are_random(void **state) {
    sac *a = make(&reini_env_pendulum, "learning_starts=1000 n_envs=2", NULL);
    sac *b = make(&reini_env_pendulum, "learning_starts=1000 n_envs=2", NULL);
    reini_report report = {0};
    double mean = 0, square = 0;
    float *weights = rein_store_data(b->policy->store);
    for (int64_t i = 0; i < rein_store_size(b->policy->store); i++)
        weights[i] = 0.5f;
    while (a->env_steps < 1000) {
        experience(a, &report);
        experience(b, &report);
    }
    const float *x = (const float *)(const void *)a->replay->action;
    assert_memory_equal(x, b->replay->action, 1000 * sizeof *x);
    for (int i = 0; i < 1000; i++) {
        mean += (double)x[i] / 1000;
        square += (double)x[i] * (double)x[i] / 1000;
    }
    assert_true(fabs(mean) < 0.08 && fabs(square - 1.0 / 3) < 0.04); /* uniform in -1..1 */
    experience(a, &report);
    experience(b, &report);
    assert_memory_not_equal(x + 1000, b->replay->action + 1000 * sizeof *x, 2 * sizeof *x);
    sac_destroy(a);
    sac_destroy(b);
}

static void test_metrics(void **state) {
    sac *s = make(&reini_env_pendulum, "learning_rate=lin_1e-3 learning_starts=1000", NULL);
    reini_report report = iterate(s, 1);
    assert_true(isnan(report.metric[METRIC_CRITIC_LOSS]) && isnan(report.metric[METRIC_ENTROPY]));
    assert_true(report.metric[METRIC_UPDATES] == 0 && report.metric[METRIC_ENT_COEF] == 1);
    report = iterate(s, 1);
    assert_true(report.metric[METRIC_UPDATES] == 1000);
    assert_true(report.metric[METRIC_CRITIC_LOSS] > 0 && report.metric[METRIC_Q_MEAN] < 0);
    assert_true(report.metric[METRIC_CRITIC_NORM] > 0 && report.metric[METRIC_ACTOR_NORM] > 0);
    assert_true(isfinite(report.metric[METRIC_ACTOR_LOSS]) && isfinite(report.metric[METRIC_ENTROPY]));
    assert_true(report.metric[METRIC_ENT_COEF] < 1 && report.metric[METRIC_ENT_COEF] > 0);
    assert_true(fabs(report.metric[METRIC_LEARNING_RATE] - 0.9e-3) < 1e-12);
    assert_true(report.episodes == 10 && report.length_mean == 200 && report.return_mean < -200);
    assert_true(report.seconds_env > 0 && report.seconds_act > 0 && report.seconds_update > 0);
    sac_destroy(s);
}

static void test_targets_follow_softly(void **state) {
    sac *s = make(&reini_env_pendulum, "tau=0.25", NULL);
    reini_report report = {0};
    double sum[METRICS] = {0};
    while (s->env_steps < 200)
        experience(s, &report);
    int64_t n = rein_store_size(s->twin.target);
    float *old = malloc((size_t)n * sizeof *old), apart = 0;
    for (int round = 0; round < 3; round++) {
        memcpy(old, rein_store_view(s->twin.target), (size_t)n * sizeof *old);
        learn(s, sum);
        const float *online = rein_store_view(s->twin.online), *target = rein_store_view(s->twin.target);
        for (int64_t i = 0; i < n; i++) {
            assert_true(fabsf(target[i] - (old[i] + 0.25f * (online[i] - old[i]))) < 1e-6f);
            apart = fmaxf(apart, fabsf(target[i] - old[i]));
        }
    }
    assert_true(apart > 1e-4f);
    free(old);
    sac_destroy(s);
}

/* ---- actions inside the bounds -------------------------------------------------------------------------- */

/* what the environment below was given, in either direction */
static float given_low[2], given_high[2];
static const float skew_low[] = {-1, 10}, skew_high[] = {3, 10.5f};

static rein_step skew_step(const void *config, void *state, const void *action, rein_rng *rng) {
    const float *a = action;
    for (int k = 0; k < 2; k++) {
        given_low[k] = fminf(given_low[k], a[k]);
        given_high[k] = fmaxf(given_high[k], a[k]);
    }
    return (rein_step){.reward = a[0]};
}

static void check_given(const char *settings) {
    rein_env_type skew = cut;
    skew.act = (rein_space)REINI_BOX(2, skew_low, skew_high);
    skew.step = skew_step;
    skew.id = "test/Skew-v0";
    for (int k = 0; k < 2; k++) {
        given_low[k] = INFINITY;
        given_high[k] = -INFINITY;
    }
    sac *s = make(&skew, settings, NULL);
    iterate(s, 2);
    for (int k = 0; k < 2; k++) {
        float width = skew_high[k] - skew_low[k];
        assert_true(given_low[k] >= skew_low[k] && given_low[k] < skew_low[k] + 0.05f * width);
        assert_true(given_high[k] <= skew_high[k] && given_high[k] > skew_high[k] - 0.05f * width);
    }
    const float *kept = (const float *)(const void *)s->replay->action;
    for (int64_t i = 0; i < 2 * reini_replay_count(s->replay); i++)
        assert_true(kept[i] >= -1 && kept[i] <= 1); /* remembered in the policy's units */
    sac_destroy(s);
}

static void test_actions_stay_inside_the_bounds(void **state) {
    check_given("learning_starts=5000");                                    /* at random */
    check_given("learning_starts=0 target_entropy=1 ent_coef=10 n_envs=4"); /* the policy's own, spread out */
    check_given("learning_starts=0 use_sde=true log_std_init=1 n_envs=4");  /* wide noise from the state */
}

static void test_policy_file(void **state) {
    enum { N = 300 };
    sac *s = make(&reini_env_pendulum, "", NULL);
    rein_policy *loaded = NULL, *mine = sac_policy(s);
    rein_rng rng = rein_rng_make(9, 9);
    float obs[3 * N], a[N], b[N], least = INFINITY, most = -INFINITY;
    char before[65], after[65];
    iterate(s, 1);
    float *data = rein_store_data(s->policy->store);
    for (int64_t i = 0; i < rein_store_size(s->policy->store); i++)
        data[i] *= 5; /* decided: both bounds are reached */
    for (int i = 0; i < 3 * N; i++)
        obs[i] = (float)(2 * rein_rng_normal(&rng));
    assert_ok(rein_policy_save(mine, temp_path("sac.safetensors")));
    assert_ok(rein_policy_load(temp_path("sac.safetensors"), &loaded));
    rein_policy_sha256(mine, before);
    rein_policy_sha256(loaded, after);
    assert_string_equal(before, after);
    for (int sampled = 0; sampled < 2; sampled++) {
        rein_sampling sampling = {.seed = 5, .step = 7};
        rein_policy_act(mine, N, obs, NULL, sampled ? &sampling : NULL, a);
        rein_policy_act(loaded, N, obs, NULL, sampled ? &sampling : NULL, b);
        assert_memory_equal(a, b, sizeof a);
        for (int i = 0; i < N; i++) {
            assert_true(a[i] >= -2 && a[i] <= 2);
            least = fminf(least, a[i]);
            most = fmaxf(most, a[i]);
        }
    }
    assert_true(least < -1.9f && most > 1.9f);
    rein_policy_free(loaded);
    sac_destroy(s);
}

/* ---- state-dependent exploration ------------------------------------------------------------------------ */

/* before learning, in a world that looks the same in every step, an action lasts as long as its noise */
static void check_noise(const char *settings, int life) {
    char all[256];
    snprintf(all, sizeof all, "learning_starts=1e6 use_sde=true use_sde_at_warmup=true %s", settings);
    sac *s = make(&cut, all, NULL);
    iterate(s, 1);
    const float *kept = (const float *)(const void *)s->replay->action;
    int64_t n = s->config.n_envs;
    for (int64_t t = 1; t < reini_replay_count(s->replay) / n; t++)
        for (int64_t i = 0; i < n; i++)
            if ((kept[t * n + i] == kept[(t - 1) * n + i]) != (t % life != 0))
                fail_msg("%s: the action of step %lld", settings, (long long)t);
    sac_destroy(s);
}

static void test_a_noise_lasts_its_steps(void **state) {
    check_noise("train_freq=6", 6);
    check_noise("train_freq=6 sde_sample_freq=4 n_envs=3", 4);
    check_noise("train_freq=1 sde_sample_freq=50", 50);
    check_noise("train_freq=1", 1);
}

/* ---- what goes wrong ------------------------------------------------------------------------------------ */

static int wrong_every;    /* steps from one wrong reward to the next */
static float wrong_reward; /* NAN, or so large that its square is not finite */

static rein_step wrong_step(const void *config, void *state, const void *action, rein_rng *rng) {
    rein_step step = reini_env_identity_box.step(config, state, action, rng);
    if (rein_rng_below(rng, (uint32_t)wrong_every) == 0)
        step.reward = wrong_reward;
    return step;
}

static rein_env_type wrong; /* IdentityBox with rewards that are not always right */

static void test_rewards_that_are_no_numbers_are_the_environments_fault(void **state) {
    static const float rewards[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        wrong_every = 300;
        wrong_reward = rewards[i];
        sac *s = make(&wrong, "n_envs=2", NULL);
        reini_report report = {0};
        for (int k = 0; k < 4 && report.failed == REIN_OK; k++)
            report = iterate(s, 1);
        assert_int_equal(report.failed, REIN_DIVERGED);
        assert_non_null(strstr(rein_error(), "environment test/WrongBox-v0: number "));
        assert_non_null(strstr(rein_error(), "gave the reward "));
        assert_non_null(strstr(rein_error(), "the fault is the environment's"));
        check_finite(s);
        sac_destroy(s);
    }
}

/* Rewards whose square is no number: the critics skip the batches with them and learn from the others. */
static void test_a_few_huge_rewards_are_survived(void **state) {
    one_thread_only();
    static const char *const settings[] = {"buffer_size=500", "buffer_size=500 n_step=3 max_grad_norm=1"};
    for (int i = 0; i < 2; i++) {
        wrong_every = 1000;
        wrong_reward = i == 0 ? FLT_MAX : -FLT_MAX;
        sac *s = make(&wrong, settings[i], NULL);
        reini_report report = iterate(s, 4);
        print_message("# %lld of %lld updates skipped\n", (long long)report.skipped_updates,
                      (long long)s->updates);
        assert_int_equal(report.failed, REIN_OK);
        assert_true(report.skipped_updates > 0 && report.skipped_updates < s->updates && !report.diverged);
        check_finite(s);
        sac_destroy(s);
    }
}

/* Nothing but huge rewards: a hundred updates, then the run is given up, with the critics as they were. The loss alone is
 * too large with the first rewards, the gradients as well with the others. */
static void check_gives_up(float reward) {
    wrong_every = 1;
    wrong_reward = reward;
    sac *s = make(&wrong, "", NULL);
    size_t bytes = (size_t)rein_store_size(s->twin.online) * sizeof(float);
    void *online = malloc(bytes), *target = malloc(bytes);
    memcpy(online, rein_store_view(s->twin.online), bytes);
    memcpy(target, rein_store_view(s->twin.target), bytes);
    reini_report report = iterate(s, 1);
    assert_true(report.diverged);
    assert_int_equal(report.skipped_updates, GIVE_UP_AFTER);
    assert_int_equal(report.env_steps, 100 + GIVE_UP_AFTER);
    assert_memory_equal(online, rein_store_view(s->twin.online), bytes);
    assert_memory_equal(target, rein_store_view(s->twin.target), bytes);
    check_finite(s);
    free(online);
    free(target);
    sac_destroy(s);
}

static void test_gives_up(void **state) {
    check_gives_up(1e25f);
    check_gives_up(-1e25f);
    check_gives_up(FLT_MAX);
}

/* an observation that is no number spoils actor and critics; none of it gets into the parameters or the price */
static void test_updates_that_are_not_finite_are_skipped(void **state) {
    sac *s = make(&reini_env_pendulum, "gradient_steps=1", NULL);
    reini_report report = {0};
    double sum[METRICS] = {0};
    char before[65], after[65];
    while (s->env_steps < 300)
        experience(s, &report);
    learn(s, sum);
    price p = s->price;
    rein_policy_sha256(sac_policy(s), before);
    float *obs = (float *)(void *)s->replay->obs, *kept = malloc(3 * 400 * sizeof *kept);
    memcpy(kept, obs, 3 * 301 * sizeof *kept);
    for (int i = 0; i < 3 * 301; i++)
        obs[i] = i % 7 == 0 ? NAN : obs[i];
    learn(s, sum);
    assert_int_equal(s->skipped, 1);
    rein_policy_sha256(sac_policy(s), after);
    assert_string_equal(before, after);
    assert_memory_equal(&p, &s->price, sizeof p);
    check_finite(s);
    memcpy(obs, kept, 3 * 301 * sizeof *kept);
    learn(s, sum);
    assert_int_equal(s->skipped, 1);
    assert_int_equal(s->skipped_in_a_row, 0);
    rein_policy_sha256(sac_policy(s), after);
    assert_string_not_equal(before, after);
    free(kept);
    sac_destroy(s);
}

/* ---- the same bits ------------------------------------------------------------------------------------- */

typedef struct recipe {
    const rein_env_type *env;
    const char *settings;
} recipe;

static const recipe recipes[] = {
    {&reini_env_pendulum, "batch_size=200 train_freq=3 buffer_size=1700"},
    {&reini_env_pendulum, "n_envs=5 batch_size=130 n_step=3 buffer_size=2100 gradient_steps=2"},
    {&reini_env_mountain_car_continuous, "auto_ent_coef=false ent_coef=0.2 n_envs=2 max_grad_norm=0.5"},
    {&reini_env_identity_box, "n_envs=3 train_freq=2 activation=tanh learning_rate=lin_1e-3 tau=1"},
    {&cut, "batch_size=64 learning_starts=0 buffer_size=50 train_freq=2"},
    {&reini_env_pendulum,
     "n_envs=3 train_freq=4 gradient_steps=-1 use_sde=true sde_sample_freq=7 use_sde_at_warmup=true"},
    {&reini_env_mountain_car_continuous, "train_freq=32 gradient_steps=-1 use_sde=true sde_expln=true"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static void same_store(const rein_store *a, const rein_store *b) {
    assert_memory_equal(rein_store_view(a), rein_store_view(b), (size_t)rein_store_size(a) * sizeof(float));
}

static void same(sac *a, sac *b, const reini_report *x, const reini_report *y) {
    char one_sha[65], other[65];
    rein_policy_sha256(sac_policy(a), one_sha);
    rein_policy_sha256(sac_policy(b), other);
    assert_string_equal(one_sha, other);
    same_store(a->twin.online, b->twin.online);
    same_store(a->twin.target, b->twin.target);
    assert_memory_equal(&a->price, &b->price, sizeof a->price);
    assert_memory_equal(x->metric, y->metric, METRICS * sizeof(double));
    assert_int_equal(x->episodes, y->episodes);
    assert_int_equal(a->updates, b->updates);
    assert_memory_equal(&x->return_mean, &y->return_mean, sizeof(double));
    const reini_replay *r = a->replay, *q = b->replay;
    assert_int_equal(r->added, q->added);
    assert_int_equal(r->forgotten, q->forgotten);
    size_t count = (size_t)(r->added < r->capacity ? r->added : r->capacity);
    assert_memory_equal(r->reward, q->reward, count * sizeof(float));
    assert_memory_equal(r->action, q->action, count * r->act_bytes);
}

static void check_threads(int k, int threads) {
    rein_pool *pool[] = {rein_pool_new(1), rein_pool_new(threads)};
    sac *alone = make(recipes[k].env, recipes[k].settings, pool[0]);
    sac *many = make(recipes[k].env, recipes[k].settings, pool[1]);
    for (int round = 0; round < 2; round++) {
        reini_report x = iterate(alone, 1), y = iterate(many, 1);
        same(alone, many, &x, &y);
    }
    assert_true(alone->updates >= 300);
    sac_destroy(alone);
    sac_destroy(many);
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

/* saved after k iterations and loaded into a fresh one, which goes on as if never stopped */
static void check_resume(int k, int stop) {
    sac *whole = make(recipes[k].env, recipes[k].settings, NULL);
    sac *resumed = make(recipes[k].env, recipes[k].settings, NULL);
    reini_archive *archive;
    json_t *header = json_pack("{s:s}", "kind", "test");
    iterate(whole, stop);
    whole->skipped = 7; /* as if some had been */
    whole->skipped_in_a_row = 2;
    assert_ok(reini_archive_create(temp_path("sac.ckpt"), header, &archive));
    assert_ok(sac_visit(whole, archive));
    assert_ok(reini_archive_finish(archive));
    if (stop > 1)
        iterate(resumed, 1); /* other experience, all of which must go */
    assert_ok(reini_archive_open(temp_path("sac.ckpt"), &archive, NULL));
    assert_ok(sac_visit(resumed, archive));
    assert_ok(reini_archive_finish(archive));
    assert_int_equal(resumed->skipped, 7);
    assert_int_equal(resumed->skipped_in_a_row, 2);
    for (int round = 0; round < 2; round++) {
        reini_report x = iterate(whole, 1), y = iterate(resumed, 1);
        same(whole, resumed, &x, &y);
    }
    json_decref(header);
    sac_destroy(whole);
    sac_destroy(resumed);
}

static void test_resumed_is_the_same(void **state) {
    one_thread_only();
    for (int k = 0; k < RECIPES; k++)
        for (int stop = 1; stop <= 3; stop++)
            check_resume(k, stop);
}

/* a whole run in its own process, killed wherever it happens to be */
static void test_killed_runs_end_the_same(void **state) {
    static const rein_setting settings[] = {
        {"steps", "6000"},      {"n_envs", "3"},         {"hidden", "16,16"},
        {"eval_every", "2000"}, {"seed", "8"},           {"checkpoint_every", "1000"},
        {"n_step", "3"},        {"buffer_size", "1500"}, {"threads", "2"},
        {"eval_episodes", "5"}, {"train_freq", "2"},     {"batch_size", "32"},
    };
    rein_train_opts opts = {.algo = "sac",
                            .env = "Pendulum-v1",
                            .preset = "none",
                            .settings = settings,
                            .n_settings = sizeof settings / sizeof *settings,
                            .out = run_path("whole")};
    run_check_kills(&reini_algo_sac, opts, 0.4, 4000, 1);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static void test_iterations_take_no_memory(void **state) {
    one_thread_only();
    for (int k = 0; k < RECIPES; k++) {
        uint64_t live = reini_memory_now().live_bytes;
        sac *s = make(recipes[k].env, recipes[k].settings, NULL);
        iterate(s, 1);
        uint64_t before = reini_memory_now().allocations;
        iterate(s, 3);
        assert_true(reini_memory_now().allocations == before);
        sac_destroy(s);
        assert_true(reini_memory_now().live_bytes == live);
    }
}

/* every allocation of the construction fails in turn */
static void test_out_of_memory(void **state) {
    sac_config config = config_of("n_envs=2");
    reini_context context = {.env = &reini_env_pendulum, .seed = 3, .total_steps = 100};
    for (uint64_t nth = 1;; nth++) {
        void *self = NULL;
        uint64_t live = reini_memory_now().live_bytes, before = reini_memory_now().allocations;
        reini_memory_fail(nth, false);
        rein_status status = sac_create(&config, &context, &self);
        reini_memory_fail(0, false);
        uint64_t used = reini_memory_now().allocations - before;
        sac_destroy(self);
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

static void refuse(const rein_env_type *env, const char *settings, const char *words) {
    sac_config config = config_of(settings);
    reini_context context = {.env = env};
    assert_fails(sac_check(&config, &context), REIN_USAGE, words);
}

static void refuse_value(const char *name, const char *value) {
    sac_config config = config_of("");
    assert_int_equal(rein_fields_set(sac_fields, reini_algo_sac.n_fields, &config, name, value), REIN_USAGE);
    assert_non_null(strstr(rein_error(), name));
}

static void test_what_does_not_fit_is_refused(void **state) {
    rein_env_type pictures = cut, endless = cut;
    pictures.id = "test/Pictures-v0";
    pictures.obs = (rein_space){.kind = REIN_SPACE_IMAGE, .size = 48, .shape = {3, 4, 4}};
    endless.act = (rein_space)REINI_BOX(1, NULL, NULL);
    refuse(&reini_env_cartpole, "", "sac needs box actions, CartPole-v1 takes others: dqn or ppo fit");
    refuse(&reini_env_identity_multi_discrete, "", "sac needs box actions");
    refuse(&pictures, "", "sac needs box observations, test/Pictures-v0 gives images: ppo, a2c and trpo fit");
    refuse(&reini_env_pendulum, "buffer_size=4 n_envs=5",
           "buffer_size: 4 is less than one step of n_envs = 5");
    refuse(&reini_env_pendulum, "gradient_steps=0", "gradient_steps: 0 learns nothing");
    refuse_value("gradient_steps", "-2");
    refuse_value("ent_coef", "0");
    refuse_value("tau", "1.5");
    refuse_value("batch_size", "0");
    sac_config config = config_of("");
    void *self = NULL;
    assert_fails(sac_create(&config, &(reini_context){.env = &endless, .total_steps = 100}, &self),
                 REIN_USAGE, "sac needs box actions with finite bounds");
    assert_null(self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_are_bootstrapped),
        cmocka_unit_test(test_ends_are_not_bootstrapped),
        cmocka_unit_test(test_target_entropy),
        cmocka_unit_test(test_price_follows_the_entropy),
        cmocka_unit_test(test_entropy_reaches_its_target),
        cmocka_unit_test(test_updates_are_counted_as_said),
        cmocka_unit_test(test_the_last_iteration_ends_at_the_end),
        cmocka_unit_test(test_first_actions_are_random),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_targets_follow_softly),
        cmocka_unit_test(test_actions_stay_inside_the_bounds),
        cmocka_unit_test(test_policy_file),
        cmocka_unit_test(test_rewards_that_are_no_numbers_are_the_environments_fault),
        cmocka_unit_test(test_a_few_huge_rewards_are_survived),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_updates_that_are_not_finite_are_skipped),
        cmocka_unit_test(test_a_noise_lasts_its_steps),
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_threads_do_not_change_bits_in_bf16),
        cmocka_unit_test(test_resumed_is_the_same),
        cmocka_unit_test(test_killed_runs_end_the_same),
        cmocka_unit_test(test_iterations_take_no_memory),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    wrong = reini_env_identity_box;
    wrong.id = "test/WrongBox-v0";
    wrong.step = wrong_step;
    return cmocka_run_group_tests_name("sac", tests, temp_dir_make, temp_dir_remove);
}
