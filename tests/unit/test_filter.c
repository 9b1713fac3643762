/*
 * test_filter.c - safety filters: what they do to actions, what they count, and that the environment inside is left as
 * it is; for plain states, for handles, and in a file of a run.
 */
#include <math.h>
#include <rein/run.h>
#include "env/env_types.h"
#include "env/wrap.h"
#include "support/check.h"
#include "support/temp_dir.h"

enum { N = 3, MOST = 64 };

/* ---- an environment that tells what it was given ------------------------------------------------------- */

static float seen[N][MOST][2]; /* the action of step t of environment i */

typedef struct spy {
    int32_t me, t;
} spy;

static void spy_reset(const void *config, void *state, rein_rng *rng) {
    ((spy *)state)->t = 0;
}

static rein_step spy_step(const void *config, void *state, const void *action, rein_rng *rng) {
    spy *s = state;
    memcpy(seen[s->me][s->t++], action, 2 * sizeof(float));
    return (rein_step){.reward = 1, .terminated = s->t == 8};
}

static void spy_observe(const void *config, const void *state, void *obs) {
    *(float *)obs = (float)((const spy *)state)->t;
}

static void spy_costs(const void *config, const void *state, float *cost) {
    *cost = 2 * (float)((const spy *)state)->t;
}

static const float low[2] = {-1, -10}, high[2] = {1, 10};
static const char *const cost_names[] = {"twice"};
static const rein_env_type spy_type = {
    .abi = REIN_ENV_ABI,
    .id = "test/Spy-v0",
    .doc = "remembers actions",
    .obs = REINI_BOX(1, NULL, NULL),
    .act = REINI_BOX(2, low, high),
    .horizon = 20,
    .state_size = sizeof(spy),
    .reward_threshold = NAN,
    .reset = spy_reset,
    .step = spy_step,
    .observe = spy_observe,
    .n_costs = 1,
    .cost_names = cost_names,
    .costs = spy_costs,
};

static void *handle_create(const void *config) {
    return calloc(1, sizeof(spy));
}

static void handle_save(const void *handle, void *buffer) {
    memcpy(buffer, handle, sizeof(spy));
}

static void handle_load(void *handle, const void *buffer) {
    memcpy(handle, buffer, sizeof(spy));
}

typedef struct rig {
    rein_env_type env;
    rein_vec *vec;
    float action[N][2], obs[N], reward[N];
    uint8_t terminated[N], truncated[N];
    rein_slab slab;
} rig;

static void open_rig(rig *r, const rein_filter *filter, bool handles) {
    rein_env_type type = spy_type;
    memset(r, 0, sizeof *r);
    if (handles) {
        type.create = handle_create;
        type.destroy = free;
        type.save = handle_save;
        type.load = handle_load;
    }
    assert_ok(rein_env_open(&type, NULL, &r->env));
    assert_ok(rein_env_filter(&r->env, filter));
    assert_ok(rein_vec_new(&r->env, &(rein_vec_opts){.n = N, .seed = 1}, &r->vec));
    r->slab = (rein_slab){.action = r->action,
                          .obs = r->obs,
                          .reward = r->reward,
                          .terminated = r->terminated,
                          .truncated = r->truncated};
    for (int i = 0; i < N; i++) {
        const reini_wrap *w = reini_wrap_of(&r->env);
        ((spy *)reini_wrap_inner(w, rein_vec_state(r->vec, i)))->me = i;
    }
    memset(seen, 0, sizeof seen);
}

static void close_rig(rig *r) {
    rein_vec_free(r->vec);
    rein_env_close(&r->env);
}

static void step(rig *r, float a, float b) {
    for (int i = 0; i < N; i++) {
        r->action[i][0] = a;
        r->action[i][1] = b;
    }
    rein_vec_step(r->vec, 0, N, &r->slab);
}

static void got(int t, float a, float b) {
    for (int i = 0; i < N; i++)
        if (fabsf(seen[i][t][0] - a) > 1e-6f || fabsf(seen[i][t][1] - b) > 1e-6f)
            fail_msg("environment %d got (%g, %g) at step %d, (%g, %g) expected", i, (double)seen[i][t][0],
                     (double)seen[i][t][1], t, (double)a, (double)b);
}

static void counted(const rig *r, int64_t actions, int64_t replaced) {
    int64_t a, b;
    assert_true(rein_filter_count(&r->env, &a, &b));
    assert_int_equal(a, actions);
    assert_int_equal(b, replaced);
}

/* ---- limits -------------------------------------------------------------------------------------------- */

static void check_limits(bool handles) {
    rig r;
    const float least[2] = {-0.5f, -INFINITY}, most[2] = {0.25f, 3}, rate[2] = {INFINITY, 2};
    open_rig(&r, &(rein_filter){.low = least, .high = most, .rate = rate}, handles);
    step(&r, 0.2f, 1); /* as given */
    step(&r, 0.9f, 2); /* above a bound */
    step(&r, -1, 9);   /* below one, and above another that the rate keeps from */
    step(&r, 0, 9);
    step(&r, 0, -9); /* 2 a step */
    step(&r, NAN, -1);
    got(0, 0.2f, 1);
    got(1, 0.25f, 2);
    got(2, -0.5f, 3);
    got(3, 0, 3);
    got(4, 0, 1);
    got(5, 0, -1);
    counted(&r, 6 * N, 5 * N);
    assert_int_equal(rein_filter_episode(&r.env, rein_vec_state(r.vec, 1)), 0);
    step(&r, 0, 0);
    step(&r, 0, 0); /* ends the episode */
    assert_true(r.terminated[1]);
    assert_int_equal(rein_filter_episode(&r.env, rein_vec_state(r.vec, 1)), 5);
    step(&r, 0, 3); /* a new one begins at rest */
    got(0, 0, 2);
    float cost;
    r.env.costs(r.env.model, rein_vec_state(r.vec, 0), &cost);
    assert_true(cost == 2); /* passed on */
    close_rig(&r);
}

static void test_limits(void **state) {
    check_limits(false);
    check_limits(true);
}

/* random actions: what comes out obeys every limit, and what obeyed them is left alone */
static void test_limits_hold_always(void **state) {
    rig r;
    rein_rng rng = rein_rng_make(7, 0);
    const float most[2] = {0.5f, 5}, least[2] = {-0.25f, -8}, rate[2] = {0.3f, 4};
    float last[2] = {0, 0};
    int64_t touched = 0;
    open_rig(&r, &(rein_filter){.low = least, .high = most, .rate = rate}, false);
    for (int t = 0; t < 4000; t++) {
        if (t % 8 == 0)
            last[0] = last[1] = 0;
        float a[2] = {rein_rng_range(&rng, -0.6f, 0.6f), rein_rng_range(&rng, -10, 10)};
        bool changed = false;
        step(&r, a[0], a[1]);
        for (int k = 0; k < 2; k++) {
            float x = seen[0][t % 8][k];
            assert_true(x >= least[k] && x <= most[k] && fabsf(x - last[k]) <= rate[k] + 1e-5f);
            bool allowed = a[k] >= least[k] && a[k] <= most[k] && fabsf(a[k] - last[k]) <= rate[k] - 1e-5f;
            assert_true(!allowed || x == a[k]);
            changed |= x != a[k];
            last[k] = x;
        }
        touched += changed;
    }
    counted(&r, 4000 * N, touched * N);
    assert_true(touched > 1000 && touched < 3999);
    close_rig(&r);
}

/* ---- checks -------------------------------------------------------------------------------------------- */

static void stop_at_three(void *user, const void *obs, void *action) {
    float *a = action;
    if (*(const float *)obs == 3)
        a[0] = *(const float *)user;
}

static void test_a_check_has_the_last_word(void **state) {
    rig r;
    float wanted = 7; /* outside of the space: its bound is taken */
    const float most[2] = {0.25f, 3};
    open_rig(&r, &(rein_filter){.high = most, .check = stop_at_three, .user = &wanted}, false);
    for (int t = 0; t < 5; t++)
        step(&r, 0.1f, 1);
    got(2, 0.1f, 1);
    got(3, 1, 1); /* the observation before the action says 3 */
    got(4, 0.1f, 1);
    counted(&r, 5 * N, N);
    assert_ok(rein_vec_fault(r.vec));
    close_rig(&r);
}

static void test_a_check_may_not_leave_the_space(void **state) {
    rig r;
    float wanted = NAN;
    open_rig(&r, &(rein_filter){.check = stop_at_three, .user = &wanted}, false);
    for (int t = 0; t < 5; t++)
        step(&r, 0.1f, 1);
    got(3, 0.1f, 1); /* as if there were no check */
    assert_int_equal(rein_vec_fault(r.vec), REIN_DIVERGED);
    assert_non_null(strstr(rein_error(), "the fault is the filter's"));
    close_rig(&r);
}

/* ---- the environment inside ---------------------------------------------------------------------------- */

static void play(const rein_env_type *env, float *rewards, float *obs, int steps, void *buffer, bool load) {
    rein_vec *vec;
    rein_rng rng = rein_rng_make(11, 0);
    float action[4], reward[4];
    uint8_t terminated[4], truncated[4];
    rein_slab slab = {
        .action = action, .obs = obs, .reward = reward, .terminated = terminated, .truncated = truncated};
    assert_ok(rein_vec_new(env, &(rein_vec_opts){.n = 4, .seed = 5}, &vec));
    for (int t = 0; t < steps; t++) {
        for (int i = 0; i < 4; i++)
            action[i] = rein_rng_range(&rng, -2, 2);
        if (buffer && t == steps / 2 && !load)
            rein_vec_save(vec, buffer);
        if (buffer && t == steps / 2 && load)
            assert_ok(rein_vec_load(vec, buffer, rein_vec_save_size(vec)));
        rein_vec_step(vec, 0, 4, &slab);
        memcpy(rewards + 4 * t, reward, sizeof reward);
    }
    rein_vec_free(vec);
}

/* a filter that lets everything pass changes nothing, resets and time limits included */
static void test_without_limits_nothing_changes(void **state) {
    static float rewards[2][4 * 500], obs[2][12];
    rein_env_type plain, filtered;
    assert_ok(rein_env_open(&reini_env_pendulum, NULL, &plain));
    assert_ok(rein_env_open(&reini_env_pendulum, NULL, &filtered));
    assert_ok(rein_env_filter(&filtered, &(rein_filter){0}));
    play(&plain, rewards[0], obs[0], 500, NULL, false);
    play(&filtered, rewards[1], obs[1], 500, NULL, false);
    assert_memory_equal(rewards[0], rewards[1], sizeof rewards[0]);
    assert_memory_equal(obs[0], obs[1], sizeof obs[0]);
    rein_env_close(&plain);
    rein_env_close(&filtered);
}

/* the last action is part of what is saved */
static void test_saved_and_loaded(void **state) {
    static float rewards[2][4 * 300], obs[2][12];
    rein_env_type env;
    const float rate[1] = {0.1f};
    assert_ok(rein_env_open(&reini_env_pendulum, NULL, &env));
    assert_ok(rein_env_filter(&env, &(rein_filter){.rate = rate}));
    rein_vec *vec;
    assert_ok(rein_vec_new(&env, &(rein_vec_opts){.n = 4, .seed = 5}, &vec));
    void *buffer = malloc(rein_vec_save_size(vec));
    rein_vec_free(vec);
    play(&env, rewards[0], obs[0], 300, buffer, false);
    play(&env, rewards[1], obs[1], 300, buffer, true);
    assert_memory_equal(rewards[0], rewards[1], sizeof rewards[0]);
    assert_memory_equal(obs[0], obs[1], sizeof obs[0]);
    free(buffer);
    rein_env_close(&env);
}

static void refused(const rein_env_type *type, const rein_filter *filter, const char *words) {
    rein_env_type env;
    assert_ok(rein_env_open(type, NULL, &env));
    assert_int_equal(rein_env_filter(&env, filter), REIN_USAGE);
    if (!strstr(rein_error(), words))
        fail_msg("\"%s\" lacks \"%s\"", rein_error(), words);
    rein_env_close(&env);
}

static void test_refused(void **state) {
    const float one[1] = {1}, minus[1] = {-1}, three[1] = {3}, none[1] = {0};
    refused(&reini_env_cartpole, &(rein_filter){.low = one}, "Discrete(2)");
    refused(&reini_env_pendulum, &(rein_filter){.low = one, .high = minus}, "action_low 1");
    refused(&reini_env_pendulum, &(rein_filter){.low = three}, "Pendulum-v1");
    refused(&reini_env_pendulum, &(rein_filter){.rate = none}, "action_rate is 0");
}

/* ---- in a run ------------------------------------------------------------------------------------------ */

static rein_status train(const char *out, const char *name, const char *value, const rein_filter *filter) {
    const rein_setting settings[] = {{"steps", "3000"},     {"n_envs", "4"},  {"n_steps", "50"},
                                     {"hidden", "8"},       {"threads", "2"}, {"eval_episodes", "5"},
                                     {"eval_every", "500"}, {name, value}};
    rein_train_opts opts = {.algo = "a2c",
                            .env = "Pendulum-v1",
                            .preset = "none",
                            .settings = settings,
                            .n_settings = name ? 8 : 7,
                            .out = out,
                            .force = 1,
                            .filter = filter};
    rein_summary summary;
    return rein_train(&opts, &summary);
}

static double evaluated(const char *path, const char *name, const char *value) {
    const rein_setting setting = {name, value};
    rein_eval_opts opts = {
        .path = path, .settings = &setting, .n_settings = name ? 1 : 0, .episodes = 10, .threads = 1};
    rein_eval_result result;
    assert_ok(rein_eval(&opts, &result));
    assert_true(isnan(result.intervention_share) ||
                fabs(result.intervention_share * result.length_mean - result.interventions_mean) < 1e-9);
    return result.intervention_share;
}

/* the last number of every row of metrics.csv; the number of rows */
static int last_column(const char *dir, double *out) {
    char path[2 * TEMP_PATH + 32];
    int n = -1;
    snprintf(path, sizeof path, "%s/metrics.csv", dir);
    char *text = temp_read(path, NULL), *rest = text;
    for (char *line; (line = strtok_r(rest, "\n", &rest)) != NULL; n++)
        if (n < 0)
            assert_string_equal(strrchr(line, ',') + 1, "rollout/interventions");
        else
            out[n] = atof(strrchr(line, ',') + 1);
    free(text);
    return n;
}

static void test_a_run_counts_and_remembers(void **state) {
    double share[256];
    char policy[2 * TEMP_PATH + 32], dir[2 * TEMP_PATH];
    snprintf(dir, sizeof dir, "%s", temp_path("run"));
    snprintf(policy, sizeof policy, "%s/policy.safetensors", dir);
    assert_ok(train(dir, "action_rate", "0.25", NULL));
    int rows = last_column(dir, share);
    assert_int_equal(rows, 15);
    for (int i = 0; i < rows; i++)
        assert_true(share[i] > 0.5 &&
                    share[i] < 1); /* normal noise of deviation 1 seldom moves by less than 0.25 */
    /* the run's directory and the file alone both repeat it */
    assert_true(!isnan(evaluated(dir, NULL, NULL)));
    assert_true(!isnan(evaluated(policy, NULL, NULL)));
    assert_true(evaluated(dir, "action_rate", "1e-4") > 0.9);
    assert_true(isnan(evaluated(dir, "action_rate", "none")));
    /* bounds that nothing reaches: no interventions */
    assert_true(evaluated(dir, "action_rate", "100") == 0);
    rein_train_opts other = {.resume = dir, .settings = &(rein_setting){"action_rate", "1"}, .n_settings = 1};
    rein_summary summary;
    assert_int_equal(rein_train(&other, &summary), REIN_USAGE);
    assert_non_null(strstr(rein_error(), "action_rate: cannot change"));
}

static void never(void *user, const void *obs, void *action) {
    *(float *)action = 0;
}

static void test_filters_from_libraries_and_from_c(void **state) {
    double share[256];
    assert_ok(train(temp_path("careful"), "safety_filter", REIN_PLUGINS "/careful.so", NULL));
    int rows = last_column(temp_path("careful"), share);
    double sum = 0;
    for (int i = 0; i < rows; i++)
        sum += share[i];
    assert_true(sum > 0 && sum < rows);
    assert_ok(train(temp_path("c"), NULL, NULL, &(rein_filter){.check = never}));
    rows = last_column(temp_path("c"), share);
    for (int i = 0; i < rows; i++)
        assert_true(share[i] == 1);
    assert_int_equal(train(temp_path("x"), "action_rate", "1", &(rein_filter){.check = never}), REIN_USAGE);
    assert_non_null(strstr(rein_error(), "given twice"));
    assert_int_equal(train(temp_path("x"), "safety_filter", REIN_PLUGINS "/nothing.so", NULL), REIN_USAGE);
    assert_non_null(strstr(rein_error(), "REIN_FILTER_PLUGIN"));
    assert_int_equal(train(temp_path("x"), "action_low", "1,x", NULL), REIN_USAGE);
    assert_non_null(strstr(rein_error(), "action_low"));
    assert_int_equal(train(temp_path("x"), "action_low", "1,2", NULL), REIN_USAGE);
    assert_non_null(strstr(rein_error(), "2 numbers were given"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limits_hold_always),
        cmocka_unit_test(test_a_check_has_the_last_word),
        cmocka_unit_test(test_a_check_may_not_leave_the_space),
        cmocka_unit_test(test_without_limits_nothing_changes),
        cmocka_unit_test(test_saved_and_loaded),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_a_run_counts_and_remembers),
        cmocka_unit_test(test_filters_from_libraries_and_from_c),
    };
    return cmocka_run_group_tests_name("safety filters", tests, temp_dir_make, temp_dir_remove);
}
