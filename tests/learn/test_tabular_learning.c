/*
 * test_tabular_learning.c - what tabular learners converge to, against exact answers: the values of the random walk,
 * Q* and V^pi of random MDPs, the empirical model, and the expectation of importance sampling.
 */
#include <math.h>
#include "base/linear.h"
#include "env/tabular/mdp_env.h"
#include "support/learner_rig.h"
#include "support/temp_dir.h"

enum { STATES = 7, ACTIONS = 3, MDPS = 5 };
#define GAMMA 0.8

/* ---- random MDPs ------------------------------------------------------------------------------------------------ */

static const rein_env_type random_type = {
    .abi = REIN_ENV_ABI,
    .id = "test/RandomMdp-v0",
    .doc = "a random MDP",
    .obs = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {STATES}},
    .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {ACTIONS}},
    REINI_MDP_ENV,
};

/* state STATES - 1 is terminal and reached with probability 0.1 or more from everywhere; rewards are exact in float */
static rein_env_type random_env(uint64_t seed) {
    rein_env_type opened = random_type;
    rein_rng rng = rein_rng_make(seed, 1);
    rein_mdp *mdp;
    assert_ok(rein_mdp_new(STATES, ACTIONS, false, &mdp));
    for (int32_t s = 0; s < STATES - 1; s++) {
        assert_ok(rein_mdp_start(mdp, s, 1));
        for (int32_t a = 0; a < ACTIONS; a++) {
            double end = 0.1 + 0.2 * rein_rng_uniform64(&rng), p = (1 - end) * rein_rng_uniform64(&rng);
            rein_outcome out[3] = {{STATES - 1, end, 0}, {0, p, 0}, {0, 1 - end - p, 0}};
            for (int k = 0; k < 3; k++) {
                out[k].next = k > 0 ? (int32_t)rein_rng_below(&rng, STATES - 1) : STATES - 1;
                out[k].reward = (double)rein_rng_below(&rng, 17) / 8 - 1;
            }
            assert_ok(rein_mdp_add(mdp, s, a, 3, out));
        }
    }
    assert_ok(rein_mdp_terminal(mdp, STATES - 1, 0));
    assert_ok(rein_mdp_finish(mdp));
    assert_ok(reini_mdp_env_open(REIN_OK, mdp, sizeof(reini_mdp_env), &opened));
    return opened;
}

static void optimum(const rein_env_type *env, double *V, double *Q) {
    assert_ok(rein_mdp_solve(env->mdp, GAMMA, 1e-12, V, NULL));
    rein_mdp_lookahead(env->mdp, GAMMA, V, Q);
}

/* largest |Q - Q*| outside the terminal state */
static double distance_to_optimum(const learner *l) {
    double V[STATES], Q[STATES * ACTIONS], most = 0;
    optimum(l->context.env, V, Q);
    for (int i = 0; i < (STATES - 1) * ACTIONS; i++)
        most = fmax(most, fabs(learner_table(l)->q[i] - Q[i]));
    return most;
}

/* largest V* less the value of the greedy policy */
static double regret(const learner *l) {
    double V[STATES], Q[STATES * ACTIONS], own[STATES], pi[STATES * ACTIONS] = {0}, most = 0;
    optimum(l->context.env, V, Q);
    for (int s = 0; s < STATES; s++)
        pi[s * ACTIONS + reini_argmax(learner_table(l)->q + s * ACTIONS, ACTIONS, NULL)] = 1;
    assert_ok(rein_mdp_evaluate(l->context.env->mdp, GAMMA, 1e-12, pi, own));
    for (int s = 0; s < STATES - 1; s++)
        most = fmax(most, V[s] - own[s]);
    return most;
}

static double worst_of_all(const char *algo, const char *more, double (*measure)(const learner *l)) {
    double most = 0;
    for (uint64_t seed = 0; seed < MDPS; seed++) {
        char settings[256];
        snprintf(settings, sizeof settings, "gamma=%g %s", GAMMA, more);
        rein_env_type env = random_env(seed);
        learner l = learner_new(algo, &env, settings, 3000000, seed);
        learner_run(&l);
        most = fmax(most, measure(&l));
        learner_free(&l);
        rein_env_close(&env);
    }
    return most;
}

static void off_policy_control_finds_the_optimum(void **state) {
    static const char *const all[][2] = {
        {"q-learning", "epsilon=0.5 learning_rate=lin_0.02"},
        {"q-learning", "epsilon=1 average=true"},
        {"q-learning", "explore=softmax learning_rate=lin_0.02"},
        {"double-q-learning", "epsilon=0.5 learning_rate=lin_0.02"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double most = worst_of_all(all[i][0], all[i][1], distance_to_optimum);
        print_message("# %s %s: |Q - Q*| <= %.4f\n", all[i][0], all[i][1], most);
        assert_true(most < 0.05);
    }
}

/* while exploration fades: what is left is the noise of actions that are rarely tried by then */
static void on_policy_control_finds_the_optimum(void **state) {
    static const char *const all[][2] = {
        {"sarsa", "epsilon=lin_1_0.01 learning_rate=lin_0.02"},
        {"sarsa", "n_step=3 epsilon=lin_1_0.01 learning_rate=lin_0.02"},
        {"expected-sarsa", "epsilon=lin_1_0.01 learning_rate=lin_0.02"},
        {"expected-sarsa", "explore=softmax temperature=lin_1_0.01 learning_rate=lin_0.02"},
        {"sarsa-lambda", "epsilon=lin_1_0.01 lambda=0.5 learning_rate=lin_0.02"},
        {"monte-carlo", "control=true average=false epsilon=lin_1_0.01 learning_rate=lin_0.02"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double most = worst_of_all(all[i][0], all[i][1], regret);
        print_message("# %s %s: V* - V <= %.4f\n", all[i][0], all[i][1], most);
        assert_true(most < 0.05);
    }
}

/* a policy file with random probabilities */
static const char *random_policy(const rein_env_type *env, uint64_t seed, double *pi) {
    const char *path = temp_path("pi.safetensors");
    rein_rng rng = rein_rng_make(seed, 2);
    reini_table_policy *policy;
    assert_ok(reini_table_policy_new("test", env, REINI_TABLE_PI, 1, GAMMA, &policy));
    for (int s = 0; s < STATES; s++) {
        double sum = 0;
        for (int a = 0; a < ACTIONS; a++)
            sum += pi[s * ACTIONS + a] = 0.1 + rein_rng_uniform64(&rng);
        for (int a = 0; a < ACTIONS; a++)
            policy->pi[s * ACTIONS + a] = pi[s * ACTIONS + a] /= sum;
    }
    assert_ok(rein_policy_save(reini_table_base(policy), path));
    rein_policy_free(reini_table_base(policy));
    return path;
}

static const char *const predictions[][2] = {
    {"monte-carlo", "visits=first"},
    {"monte-carlo", "visits=every"},
    {"td", "learning_rate=lin_0.005"},
    {"td", "n_step=4 learning_rate=lin_0.005"},
    {"td-lambda", "learning_rate=lin_0.005"},
    {"td-lambda", "traces=replacing learning_rate=lin_0.005"},
    {"td-lambda", "traces=dutch lambda=1 learning_rate=lin_0.005"},
    {"lstd", ""},
    {"lstd", "lambda=0.8"},
};
enum { PREDICTIONS = sizeof predictions / sizeof *predictions };

static void prediction_finds_the_values_of_a_policy(void **state) {
    for (int i = 0; i < PREDICTIONS; i++) {
        double most = 0;
        for (uint64_t seed = 0; seed < 4; seed++) {
            double pi[STATES * ACTIONS], V[STATES];
            char settings[2048];
            rein_env_type env = random_env(seed);
            snprintf(settings, sizeof settings, "gamma=%g policy=%s %s", GAMMA, random_policy(&env, seed, pi),
                     predictions[i][1]);
            assert_ok(rein_mdp_evaluate(env.mdp, GAMMA, 1e-12, pi, V));
            learner l = learner_new(predictions[i][0], &env, settings, 2000000, seed);
            learner_run(&l);
            for (int s = 0; s < STATES - 1; s++)
                most = fmax(most, fabs(learner_table(&l)->v[s] - V[s]));
            learner_free(&l);
            rein_env_close(&env);
        }
        print_message("# %s %s: |V - V^pi| <= %.4f\n", predictions[i][0], predictions[i][1], most);
        assert_true(most < 0.03);
    }
}

/* ---- the random walk: 1/6, 2/6, ... 5/6 -------------------------------------------------------------------------- */

static void the_random_walk(void **state) {
    rein_env_type walk;
    assert_ok(rein_env_open(rein_env_find("RandomWalk-v0"), NULL, &walk));
    for (int i = 0; i < PREDICTIONS; i++) {
        char settings[256];
        snprintf(settings, sizeof settings, "gamma=1 %s", predictions[i][1]);
        learner l = learner_new(predictions[i][0], &walk, settings, 400000, 3);
        learner_run(&l);
        for (int s = 1; s <= 5; s++)
            if (!(fabs(learner_table(&l)->v[s] - s / 6.0) < 0.02))
                fail_msg("%s %s: V(%d) = %.4f", predictions[i][0], settings, s, learner_table(&l)->v[s]);
        learner_free(&l);
    }
    rein_env_close(&walk);
}

/* ---- least squares and the model of counted transitions ---------------------------------------------------------- */

static double counts[STATES][STATES], rewards[STATES];
static rein_env_type counted;

static rein_step counting_step(const void *config, void *state, const void *action, rein_rng *rng) {
    int32_t *s = state, before = *s;
    rein_step step = reini_mdp_env_step(config, state, action, rng);
    counts[before][*s]++;
    rewards[before] += (double)step.reward;
    return step;
}

static void least_squares_solves_the_empirical_model(void **state) {
    counted = random_env(8);
    counted.step = counting_step;
    memset(counts, 0, sizeof counts);
    memset(rewards, 0, sizeof rewards);
    learner l = learner_new("lstd", &counted, "gamma=0.8 ridge=1e-12", 500, 1);
    learner_run(&l);
    double A[STATES * STATES] = {0}, b[STATES];
    int32_t pivot[STATES];
    for (int s = 0; s < STATES; s++) {
        double n = 0;
        for (int k = 0; k < STATES; k++)
            n += counts[s][k];
        for (int k = 0; k < STATES; k++)
            A[s * STATES + k] = (s == k) - (n > 0 && k < STATES - 1 ? GAMMA * counts[s][k] / n : 0);
        b[s] = n > 0 ? rewards[s] / n : 0;
    }
    assert_true(reini_lu_factor(A, STATES, pivot, NULL));
    reini_lu_solve(A, STATES, pivot, b);
    for (int s = 0; s < STATES; s++)
        assert_true(fabs(learner_table(&l)->v[s] - b[s]) < 1e-9);
    learner_free(&l);
    rein_env_close(&counted);
}

/* ---- importance sampling ----------------------------------------------------------------------------------------- */

typedef struct spread {
    double mean, variance, reported; /* over runs; the mean of the variances that they report */
} spread;

enum { RUNS = 2000, EPISODES = 30 };

static spread over_runs(const rein_env_type *env, const char *settings, bool ordinary) {
    double sum = 0, squares = 0, reported = 0;
    char all[2048];
    snprintf(all, sizeof all, "gamma=%g episodes=%d n_episodes=%d %s", GAMMA, EPISODES, EPISODES, settings);
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        learner l = learner_new("importance-sampling", env, all, 1000000, seed);
        learner_run(&l);
        double x = learner_metric(&l, ordinary ? "train/v_ordinary" : "train/v_weighted");
        double ess = learner_metric(&l, "train/ess");
        assert_true(ess >= 1 && ess <= EPISODES * (1 + 1e-12));
        sum += x;
        squares += x * x;
        reported += learner_metric(&l, ordinary ? "train/var_ordinary" : "train/var_weighted");
        learner_free(&l);
    }
    double mean = sum / RUNS;
    return (spread){mean, (squares - RUNS * mean * mean) / (RUNS - 1), reported / RUNS};
}

static double start_value(const rein_env_type *env, const double *V) {
    double sum = 0, p;
    int32_t s;
    for (int32_t i = 0; rein_mdp_start_at(env->mdp, i, &s, &p); i++)
        sum += p * V[s];
    return sum;
}

static void importance_sampling_is_unbiased(void **state) {
    double pi[STATES * ACTIONS], V[STATES];
    char settings[2048], decisions[2100];
    rein_env_type env = random_env(4);
    snprintf(settings, sizeof settings, "policy=%s", random_policy(&env, 4, pi));
    snprintf(decisions, sizeof decisions, "%s per_decision=true", settings);
    assert_ok(rein_mdp_evaluate(env.mdp, GAMMA, 1e-12, pi, V));
    double value = start_value(&env, V);
    spread ordinary = over_runs(&env, settings, true), weighted = over_runs(&env, settings, false);
    spread decided = over_runs(&env, decisions, true), both = over_runs(&env, decisions, false);
    print_message(
        "# V = %.4f; ordinary %.4f (variance %.5f, reported %.5f), weighted %.4f (%.5f, %.5f), per decision "
        "%.4f (%.5f), both %.4f (%.5f)\n",
        value, ordinary.mean, ordinary.variance, ordinary.reported, weighted.mean, weighted.variance,
        weighted.reported, decided.mean, decided.variance, both.mean, both.variance);
    assert_true(fabs(ordinary.mean - value) < 4 * sqrt(ordinary.variance / RUNS));
    assert_true(fabs(decided.mean - value) < 4 * sqrt(decided.variance / RUNS));
    assert_true(weighted.variance < ordinary.variance && decided.variance < ordinary.variance);
    assert_true(fabs(ordinary.reported / ordinary.variance - 1) < 0.25);
    assert_true(fabs(weighted.reported / weighted.variance - 1) < 0.35);
    assert_true(fabs(weighted.mean - value) < 0.1 && fabs(both.mean - value) < 0.1);
    rein_env_close(&env);
}

/* all estimators find the values of the states, and the value at the start, with enough episodes */
static void importance_sampling_is_consistent(void **state) {
    static const char *const all[] = {"", "estimator=ordinary", "per_decision=true", "epsilon=0.3"};
    double pi[STATES * ACTIONS], V[STATES];
    rein_env_type env = random_env(5);
    const char *path = random_policy(&env, 5, pi);
    assert_ok(rein_mdp_evaluate(env.mdp, GAMMA, 1e-12, pi, V));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char settings[2048];
        snprintf(settings, sizeof settings, "gamma=%g policy=%s %s", GAMMA, path, all[i]);
        learner l = learner_new("importance-sampling", &env, settings, 3000000, 1);
        learner_run(&l);
        for (int s = 0; s < STATES - 1; s++)
            if (!(fabs(learner_table(&l)->v[s] - V[s]) < 0.05))
                fail_msg("%s: V(%d) = %.4f, not %.4f", all[i], s, learner_table(&l)->v[s], V[s]);
        assert_true(fabs(learner_metric(&l, "train/v_weighted") - start_value(&env, V)) < 0.02);
        assert_true(fabs(learner_metric(&l, "train/v_ordinary") - start_value(&env, V)) < 0.02);
        learner_free(&l);
    }
    rein_env_close(&env);
}

/* the policy is the behaviour: ratios are 1, both estimates the mean, every episode counts in full */
static void on_policy_it_is_the_mean(void **state) {
    rein_env_type env = random_env(6);
    learner l = learner_new("importance-sampling", &env, "gamma=0.8 episodes=500", 1000000, 1);
    learner_run(&l);
    double ordinary = learner_metric(&l, "train/v_ordinary");
    assert_true(fabs(ordinary - learner_metric(&l, "train/v_weighted")) < 1e-12);
    assert_true(fabs(learner_metric(&l, "train/ess") - 500) < 1e-9);
    double factor = learner_metric(&l, "train/var_ordinary") / learner_metric(&l, "train/var_weighted");
    assert_true(fabs(factor - 500.0 / 499) < 1e-9);
    learner_free(&l);
    rein_env_close(&env);
}

/* ---- maxima of noise --------------------------------------------------------------------------------------------- */

/* Sutton and Barto's Example 6.7: from A, right ends with 0; left leads to B, where each of ten actions earns
 * Normal(-0.1, 1) and ends. Left is worse, and looks better to a maximum of noisy values. */
static int lefts, firsts;

static void noise_reset(const void *config, void *state, rein_rng *rng) {
    *(int32_t *)state = 0;
}

static rein_step noise_step(const void *config, void *state, const void *action, rein_rng *rng) {
    int32_t *s = state, a = *(const int32_t *)action;
    if (*s == 1)
        return (rein_step){.reward = (float)(rein_rng_normal(rng) - 0.1), .terminated = true};
    firsts++;
    lefts += a == 1;
    *s = 1;
    return (rein_step){.terminated = a == 0};
}

static void noise_observe(const void *config, const void *state, void *obs) {
    *(int32_t *)obs = *(const int32_t *)state;
}

static void noise_mask(const void *config, const void *state, uint8_t *mask) {
    for (int a = 0; a < 10; a++)
        mask[a] = *(const int32_t *)state == 1 || a < 2;
}

static const rein_env_type noise = {
    .abi = REIN_ENV_ABI,
    .id = "test/Noise-v0",
    .doc = "maxima of noise",
    .obs = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {2}},
    .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {10}},
    .state_size = sizeof(int32_t),
    .reset = noise_reset,
    .step = noise_step,
    .observe = noise_observe,
    .mask = noise_mask,
};

static double share_of_lefts(const char *algo) {
    lefts = firsts = 0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        learner l = learner_new(algo, &noise, "gamma=1 episodes=100", 1000000, seed);
        learner_run(&l);
        learner_free(&l);
    }
    return (double)lefts / firsts;
}

static void double_learning_is_not_misled(void **state) {
    double single = share_of_lefts("q-learning"), twice = share_of_lefts("double-q-learning");
    print_message("# left in the first 100 episodes: q-learning %.3f, double %.3f\n", single, twice);
    assert_true(single > 0.4 && twice < 0.35 && single > twice + 0.15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_policy_control_finds_the_optimum),
        cmocka_unit_test(on_policy_control_finds_the_optimum),
        cmocka_unit_test(prediction_finds_the_values_of_a_policy),
        cmocka_unit_test(the_random_walk),
        cmocka_unit_test(least_squares_solves_the_empirical_model),
        cmocka_unit_test(importance_sampling_is_unbiased),
        cmocka_unit_test(importance_sampling_is_consistent),
        cmocka_unit_test(on_policy_it_is_the_mean),
        cmocka_unit_test(double_learning_is_not_misled),
    };
    return cmocka_run_group_tests_name("tabular learning", tests, temp_dir_make, temp_dir_remove);
}
