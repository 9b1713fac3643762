/*
 * test_tabular_learners.c - tabular learners: laws that hold bit for bit, ends and cuts of episodes, masks, accounts,
 * and what is refused. The rules themselves are compared in tests/golden/test_tabular_replay.c.
 */
#include <math.h>
#include "support/learner_rig.h"
#include "support/temp_dir.h"

static rein_env_type lake, cliff, walk, taxi, blackjack;

static void same_tables(const learner *a, const learner *b) {
    const reini_table_policy *x = learner_table(a), *y = learner_table(b);
    size_t n = (size_t)x->n_states * (size_t)(x->q != NULL ? x->n_actions : 1);
    const double *p = x->q != NULL ? x->q : x->v, *q = x->q != NULL ? y->q : y->v;
    bool learned = false;
    for (size_t i = 0; i < n; i++) {
        learned |= p[i] != 0;
        if (p[i] != q[i])
            fail_msg("%s and %s differ at %d: %.17g and %.17g", a->algo->name, b->algo->name, (int)i, p[i],
                     q[i]);
    }
    assert_true(learned);
}

/* two learners of one seed end with the same table */
static void same(const rein_env_type *env, const char *algo, const char *settings, const char *other,
                 const char *other_settings) {
    learner a = learner_new(algo, env, settings, 20000, 5),
            b = learner_new(other, env, other_settings, 20000, 5);
    learner_run(&a);
    learner_run(&b);
    same_tables(&a, &b);
    learner_free(&a);
    learner_free(&b);
}

/* ---- laws ------------------------------------------------------------------------------------------------------- */

static void traces_without_memory_are_one_step(void **state) {
    same(&lake, "td", "learning_rate=lin_0.2", "td-lambda", "learning_rate=lin_0.2 lambda=0");
    same(&lake, "td", "gamma=1", "td-lambda", "gamma=1 lambda=0 traces=replacing");
    same(&cliff, "sarsa", "", "sarsa-lambda", "lambda=0");
    same(&taxi, "sarsa", "learning_rate=0.5", "sarsa-lambda", "lambda=0 traces=replacing learning_rate=0.5");
}

static void expected_sarsa_without_exploration_is_q_learning(void **state) {
    same(&cliff, "q-learning", "epsilon=0", "expected-sarsa", "epsilon=0");
    same(&taxi, "q-learning", "epsilon=0 average=true", "expected-sarsa", "epsilon=0 average=true");
    same(&lake, "q-learning", "epsilon=0 q_init=1", "expected-sarsa", "epsilon=0 q_init=1");
}

/* rows of metrics are cut from one stream of steps: their length changes nothing */
static void iterations_do_not_matter(void **state) {
    static const char *const algos[] = {"q-learning",        "sarsa",     "sarsa-lambda",
                                        "double-q-learning", "td-lambda", "monte-carlo"};
    for (size_t i = 0; i < sizeof algos / sizeof *algos; i++) {
        same(&lake, algos[i], "learning_rate=lin_0.5", algos[i], "learning_rate=lin_0.5 n_steps=77");
        same(&cliff, algos[i], "learning_rate=lin_0.5", algos[i], "learning_rate=lin_0.5 n_steps=1");
    }
}

/* true online TD(1) after an episode: Monte-Carlo updates in the order of the visits */
static void dutch_traces_are_monte_carlo(void **state) {
    enum { WIDTH = 7, EPISODES = 40 };
    learner l = learner_new("td-lambda", &walk, "lambda=1 traces=dutch gamma=0.9 learning_rate=0.3 n_steps=1",
                            100000, 2);
    reini_tabular *t = learner_tabular(&l);
    double v[WIDTH] = {0}, r[10000];
    int32_t s[10000];
    while (t->episodes.count < EPISODES) {
        int n = 0;
        for (int64_t count = t->episodes.count; t->episodes.count == count; n++) {
            s[n] = t->state;
            learner_iterate(&l);
            r[n] = t->state == 3 && t->length == 0 && s[n] == 5 && t->episodes.returns[count] > 0 ? 1 : 0;
        }
        for (int k = 0; k < n; k++) {
            double G = 0;
            for (int j = n - 1; j >= k; j--)
                G = r[j] + 0.9 * G;
            v[s[k]] += 0.3 * (G - v[s[k]]);
        }
        for (int i = 0; i < WIDTH; i++)
            assert_true(fabs(v[i] - learner_table(&l)->v[i]) < 1e-9);
    }
    learner_free(&l);
}

/* ---- ends and cuts ---------------------------------------------------------------------------------------------- */

/* reward 1 for ever from one state: cut after ten steps by the time limit, by the environment, or ended */
static int32_t endless_steps;
static enum { CUT_BY_LIMIT, CUT_BY_ENVIRONMENT, ENDED } endless_how;

static void endless_reset(const void *config, void *state, rein_rng *rng) {
    *(int32_t *)state = 0;
}

static rein_step endless_step(const void *config, void *state, const void *action, rein_rng *rng) {
    bool over = ++*(int32_t *)state == endless_steps;
    return (rein_step){.reward = 1,
                       .terminated = over && endless_how == ENDED,
                       .truncated = over && endless_how == CUT_BY_ENVIRONMENT};
}

static void endless_observe(const void *config, const void *state, void *obs) {
    *(int32_t *)obs = 0;
}

static rein_env_type endless = {
    .abi = REIN_ENV_ABI,
    .id = "test/Endless-v0",
    .doc = "reward 1",
    .obs = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {1}},
    .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {2}},
    .state_size = sizeof(int32_t),
    .reset = endless_reset,
    .step = endless_step,
    .observe = endless_observe,
};

static double endless_value(const char *algo, const char *settings) {
    char all[256];
    snprintf(all, sizeof all, "gamma=0.9 %s", settings);
    learner l = learner_new(algo, &endless, all, 200000, 1);
    learner_run(&l);
    double value = learner_table(&l)->q != NULL ? fmax(learner_table(&l)->q[0], learner_table(&l)->q[1])
                                                : learner_table(&l)->v[0];
    learner_free(&l);
    return value;
}

static const struct {
    const char *algo, *settings;
} methods[] = {
    {"q-learning", "learning_rate=lin_0.5_0.001"},
    {"sarsa", "learning_rate=lin_0.5_0.001"},
    {"sarsa", "n_step=4 learning_rate=lin_0.5_0.001"},
    {"sarsa-lambda", "learning_rate=lin_0.2_0.001"},
    {"sarsa-lambda", "traces=dutch learning_rate=lin_0.2_0.001"},
    {"expected-sarsa", "learning_rate=lin_0.5_0.001"},
    {"double-q-learning", "learning_rate=lin_0.5_0.001"},
    {"monte-carlo", "average=false control=true learning_rate=lin_0.2_0.001 visits=every"},
    {"monte-carlo", "average=false learning_rate=lin_0.2_0.001 visits=every"},
    {"td", "learning_rate=lin_0.5_0.001"},
    {"td", "n_step=7 learning_rate=lin_0.5_0.001"},
    {"td-lambda", "learning_rate=lin_0.2_0.001"},
    {"lstd", ""},
    {"lstd", "lambda=0.9"},
};
enum { METHODS = sizeof methods / sizeof *methods };

/* 1 + g + g^2 + ... = 10, although no episode is longer than ten steps */
static void cut_episodes_are_bootstrapped(void **state) {
    for (int how = CUT_BY_LIMIT; how <= CUT_BY_ENVIRONMENT; how++)
        for (int i = 0; i < METHODS; i++) {
            endless_how = how;
            endless_steps = 10;
            endless.horizon = how == CUT_BY_LIMIT ? 10 : 0;
            double value = endless_value(methods[i].algo, methods[i].settings);
            if (!(fabs(value - 10) < 0.15))
                fail_msg("%s %s: %.4f", methods[i].algo, methods[i].settings, value);
        }
}

/* every step is the last */
static void ends_are_not_bootstrapped(void **state) {
    endless_how = ENDED;
    endless_steps = 1;
    endless.horizon = 0;
    for (int i = 0; i < METHODS; i++)
        assert_true(fabs(endless_value(methods[i].algo, methods[i].settings) - 1) < 1e-6);
    /* terminated wins where the limit falls on the same step */
    endless.horizon = 1;
    for (int i = 0; i < METHODS; i++)
        assert_true(fabs(endless_value(methods[i].algo, methods[i].settings) - 1) < 1e-6);
}

/* ---- masks ------------------------------------------------------------------------------------------------------ */

/* states 0..3 in turn; in state s action s is forbidden, and would pay */
static int64_t forbidden_taken;

static rein_step turns_step(const void *config, void *state, const void *action, rein_rng *rng) {
    int32_t *s = state, a = *(const int32_t *)action;
    forbidden_taken += a == *s;
    rein_step result = {.reward = a == *s ? 100.0f : (float)a, .terminated = *s == 3};
    *s = (*s + 1) % 4;
    return result;
}

static void turns_observe(const void *config, const void *state, void *obs) {
    *(int32_t *)obs = *(const int32_t *)state;
}

static void turns_mask(const void *config, const void *state, uint8_t *mask) {
    for (int a = 0; a < 4; a++)
        mask[a] = a != *(const int32_t *)state;
}

static const rein_env_type turns = {
    .abi = REIN_ENV_ABI,
    .id = "test/Turns-v0",
    .doc = "masks",
    .obs = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {4}},
    .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {4}},
    .state_size = sizeof(int32_t),
    .reset = endless_reset,
    .step = turns_step,
    .observe = turns_observe,
    .mask = turns_mask,
};

static void masked_actions_are_never_chosen(void **state) {
    static const char *const more[] = {"explore=epsilon epsilon=0.5", "explore=softmax",
                                       "epsilon=1 q_init=50", "q_init=1000 average=true epsilon=0"};
    static const char *const algos[] = {"q-learning", "sarsa", "expected-sarsa", "double-q-learning"};
    forbidden_taken = 0;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) {
            learner l = learner_new(algos[i], &turns, more[k], 5000, 3);
            learner_run(&l);
            for (int s = 0; s < 4; s++) /* untouched */
                assert_true(learner_table(&l)->q[s * 4 + s] == (k == 2 ? 50 : k == 3 ? 1000 : 0));
            learner_free(&l);
        }
    learner l = learner_new("td", &turns, "", 5000, 3);
    learner_run(&l);
    learner_free(&l);
    l = learner_new("monte-carlo", &turns, "control=true", 5000, 3);
    learner_run(&l);
    learner_free(&l);
    assert_int_equal(forbidden_taken, 0);
}

/* the best of the allowed: 3 2 3 2 ... whatever the forbidden ones' values; sums over the rest of the four states */
static void targets_are_of_allowed_actions(void **state) {
    learner l =
        learner_new("q-learning", &turns, "gamma=1 q_init=-5 learning_rate=0.5 epsilon=0.3", 40000, 3);
    learner_run(&l);
    static const double best[] = {11, 8, 5, 2};
    for (int s = 0; s < 4; s++) {
        double most = -INFINITY;
        for (int a = 0; a < 4; a++)
            most = a != s ? fmax(most, learner_table(&l)->q[s * 4 + a]) : most;
        assert_true(fabs(most - best[s]) < 1e-9);
    }
    learner_free(&l);
}

/* ---- accounts --------------------------------------------------------------------------------------------------- */

static void episodes_end_a_run(void **state) {
    learner l = learner_new("q-learning", &cliff, "episodes=7 n_episodes=1 gamma=1", 1000000, 1);
    for (int64_t k = 1; k <= 7; k++) {
        learner_iterate(&l);
        assert_int_equal(l.report.episodes, k);
        assert_int_equal(l.report.done, k == 7);
        assert_int_equal(learner_tabular(&l)->length, 0);
        assert_true(learner_metric(&l, "train/q_change") > 0);
        assert_true(learner_metric(&l, "train/epsilon") == 0.1);
        assert_true(isnan(learner_metric(&l, "train/temperature")));
    }
    learner_free(&l);
}

static void schedules_fall_with_steps_or_episodes(void **state) {
    learner l = learner_new("sarsa", &cliff, "learning_rate=lin_1_0 epsilon=lin_0.5_0 n_steps=256", 2560, 1);
    for (int k = 0; k < 10; k++) {
        learner_iterate(&l);
        assert_true(fabs(learner_metric(&l, "train/learning_rate") - (1 - k / 10.0)) < 1e-12);
        assert_true(fabs(learner_metric(&l, "train/epsilon") - 0.5 * (1 - k / 10.0)) < 1e-12);
    }
    assert_int_equal(l.report.env_steps, 2560);
    learner_free(&l);
    l = learner_new("sarsa", &lake, "learning_rate=lin_1_0 episodes=100 n_episodes=50", 1000000, 1);
    learner_iterate(&l);
    double rate = learner_metric(&l, "train/learning_rate");
    assert_true(rate > 0.5 && rate < 0.7);
    learner_free(&l);
}

/* one episode of one step: the return, the change and the mean are plain numbers */
static void reports_are_exact(void **state) {
    endless_how = ENDED;
    endless_steps = 4;
    endless.horizon = 0;
    learner l = learner_new("td", &endless, "gamma=1 learning_rate=0.5 n_episodes=1", 1000, 1);
    learner_iterate(&l);
    /* v: 0.5, 1, 1.5, then 0.5 (1 - 1.5): changes .5, .5, .5, .25 */
    assert_true(learner_table(&l)->v[0] == 1.25);
    assert_true(fabs(learner_metric(&l, "train/v_change") - 1.75 / 4) < 1e-12);
    assert_true(l.report.return_mean == 4 && l.report.length_mean == 4);
    assert_int_equal(l.report.env_steps, 4);
    learner_free(&l);
}

static int nan_every;
static rein_step wrong_step(const void *config, void *state, const void *action, rein_rng *rng) {
    rein_step step = endless_step(config, state, action, rng);
    if (nan_every > 0 && rein_rng_below(rng, (uint32_t)nan_every) == 0)
        step.reward = NAN;
    return step;
}

static void rewards_that_are_not_numbers(void **state) {
    rein_env_type wrong = endless;
    wrong.step = wrong_step;
    wrong.horizon = 10;
    endless_how = CUT_BY_LIMIT;
    for (int i = 0; i < METHODS; i++) {
        bool whole_returns = strcmp(methods[i].algo, "monte-carlo") == 0;
        learner l = learner_new(methods[i].algo, &wrong, methods[i].settings, 20000, 1);
        nan_every = 500;
        learner_run(&l);
        const reini_table_policy *p = learner_table(&l);
        assert_true(isfinite(p->q != NULL ? p->q[0] : p->v[0]));
        assert_true(l.report.skipped_updates > 0 && (!l.report.diverged || whole_returns));
        learner_free(&l);
        l = learner_new(methods[i].algo, &wrong, methods[i].settings, 20000, 1);
        nan_every = 1;
        learner_iterate(&l);
        assert_true(l.report.diverged);
        learner_free(&l);
    }
}

/* ---- what is refused -------------------------------------------------------------------------------------------- */

static void network_environments_are_refused(void **state) {
    const reini_algo *algo;
    learner l;
    for (int i = 0; (algo = reini_algo_at(i)) != NULL; i++)
        if (algo->family == REINI_TABULAR) {
            assert_fails(learner_try(&l, algo->name, rein_env_find("CartPole-v1"), "", 1000, 1), REIN_USAGE,
                         "needs numbered states and actions");
            assert_non_null(strstr(rein_error(), algo->name));
            free(l.config);
        }
}

static void wrong_policies_are_refused(void **state) {
    learner l;
    char settings[2048];
    snprintf(settings, sizeof settings, "policy=%s", temp_path("absent.safetensors"));
    assert_fails(learner_try(&l, "td", &lake, settings, 1000, 1), REIN_IO, "policy: ");
    free(l.config);
    learner q = learner_new("q-learning", &cliff, "", 1000, 1);
    learner_iterate(&q);
    assert_ok(rein_policy_save(q.algo->policy(q.self), temp_path("cliff.safetensors")));
    learner_free(&q);
    snprintf(settings, sizeof settings, "policy=%s", temp_path("cliff.safetensors"));
    assert_fails(learner_try(&l, "td", &lake, settings, 1000, 1), REIN_MISMATCH,
                 "FrozenLake-v1 has 16 and 4");
    free(l.config);
    /* a behaviour that never does what the policy does */
    snprintf(settings, sizeof settings, "behaviour=%s", temp_path("cliff.safetensors"));
    learner is = learner_new("importance-sampling", &cliff, settings, 1000, 1);
    reini_report report = {0};
    is.algo->iterate(is.self, &report);
    assert_int_equal(report.failed, REIN_USAGE);
    assert_non_null(strstr(rein_error(), "the behaviour never does"));
    learner_free(&is);
}

/* ---- multi-discrete --------------------------------------------------------------------------------------------- */

static void observations_of_several_parts(void **state) {
    learner l = learner_new("monte-carlo", &blackjack, "control=true gamma=1 epsilon=0.1", 300000, 1);
    learner_run(&l);
    assert_int_equal(learner_table(&l)->n_states, rein_space_count(&blackjack.obs));
    /* sticks on 20 against a dealer's 10, without an ace */
    int32_t item[] = {20, 10, 0};
    const double *q = learner_table(&l)->q + 2 * rein_space_index(&blackjack.obs, item);
    assert_true(q[0] > 0.2 && q[1] < -0.5);
    learner_free(&l);
}

static int open_all(void **state) {
    static const struct {
        const char *id;
        rein_env_type *out;
    } all[] = {{"FrozenLake-v1", &lake},
               {"CliffWalking-v1", &cliff},
               {"RandomWalk-v0", &walk},
               {"Taxi-v4", &taxi},
               {"Blackjack-v1", &blackjack}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (rein_env_open(rein_env_find(all[i].id), NULL, all[i].out) != REIN_OK)
            return -1;
    return temp_dir_make(state);
}

static int close_all(void **state) {
    rein_env_type *all[] = {&lake, &cliff, &walk, &taxi, &blackjack};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        rein_env_close(all[i]);
    return temp_dir_remove(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces_without_memory_are_one_step),
        cmocka_unit_test(expected_sarsa_without_exploration_is_q_learning),
        cmocka_unit_test(iterations_do_not_matter),
        cmocka_unit_test(dutch_traces_are_monte_carlo),
        cmocka_unit_test(cut_episodes_are_bootstrapped),
        cmocka_unit_test(ends_are_not_bootstrapped),
        cmocka_unit_test(masked_actions_are_never_chosen),
        cmocka_unit_test(targets_are_of_allowed_actions),
        cmocka_unit_test(episodes_end_a_run),
        cmocka_unit_test(schedules_fall_with_steps_or_episodes),
        cmocka_unit_test(reports_are_exact),
        cmocka_unit_test(rewards_that_are_not_numbers),
        cmocka_unit_test(network_environments_are_refused),
        cmocka_unit_test(wrong_policies_are_refused),
        cmocka_unit_test(observations_of_several_parts),
    };
    return cmocka_run_group_tests_name("tabular learners", tests, open_all, close_all);
}
