/*
 * test_tabular_envs.c - environments from tables: their values, that playing draws what the tables say, vectors,
 * masks, terminal values, saved states, and settings out of place.
 */
#include <math.h>
#include "base/base.h"
#include "support/settings.h"
#include "support/temp_dir.h"
#include "unit/env_rig.h"

enum { OUTCOMES = 16 };

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* a config on the heap with settings "name=value name=value" */
static void *configured(const rein_env_type *type, const char *settings) {
    void *config = rig_array(1, type->config_size);
    settings_set(type->fields, type->n_fields, config, "%s", settings);
    return config;
}

static rein_status try_open(const char *id, const char *settings, rein_env_type *opened) {
    const rein_env_type *type = rein_env_find(id);
    assert_non_null(type);
    void *config = configured(type, settings);
    rein_status status = rein_env_open(type, type->config_size > 0 ? config : NULL, opened);
    free(config);
    return status;
}

static rein_env_type opened_as(const char *id, const char *settings) {
    rein_env_type opened;
    if (try_open(id, settings, &opened) != REIN_OK)
        fail_msg("%s %s: %s", id, settings, rein_error());
    return opened;
}

/* the text of an MDP in a file, as Mdp-v0 */
static rein_env_type opened_mdp(rein_mdp *mdp, const char *more) {
    char settings[2 * TEMP_PATH + 64];
    assert_ok(rein_mdp_finish(mdp));
    assert_ok(rein_mdp_write(mdp, temp_path("mdp.json")));
    rein_mdp_free(mdp);
    snprintf(settings, sizeof settings, "file=%s %s", temp_path("mdp.json"), more);
    return opened_as("Mdp-v0", settings);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static double value_of_row(const rein_mdp *mdp, double gamma, const double *V, int32_t s, int32_t a) {
    rein_outcome row[OUTCOMES];
    int n = rein_mdp_row(mdp, s, a, row, OUTCOMES);
    double q = 0;
    for (int k = 0; k < n; k++)
        q += row[k].probability * (row[k].reward + gamma * V[row[k].next]);
    return n > 0 ? q : NAN;
}

/* Bellman's optimality equation, iterated until nothing changes. */
static void solve(const rein_mdp *mdp, double gamma, double *V) {
    int32_t states = rein_mdp_states(mdp);
    bool cost = rein_mdp_is_cost(mdp);
    for (int32_t s = 0; s < states; s++)
        if (!rein_mdp_is_terminal(mdp, s, &V[s]))
            V[s] = 0;
    for (double change = 1; change > 1e-13;) {
        change = 0;
        for (int32_t s = 0; s < states; s++) {
            double best = NAN;
            for (int32_t a = 0; a < rein_mdp_actions(mdp); a++) {
                double q = value_of_row(mdp, gamma, V, s, a);
                best = isnan(best) || (cost ? q < best : q > best) ? q : best;
            }
            if (rein_mdp_is_terminal(mdp, s, NULL))
                continue;
            change = fmax(change, fabs(V[s] - best));
            V[s] = best;
        }
    }
}

static void check_values(const char *id, const char *settings, double gamma, const double *expected) {
    double V[64];
    rein_env_type env = opened_as(id, settings);
    assert_true(rein_mdp_states(env.mdp) <= 64);
    solve(env.mdp, gamma, V);
    for (int32_t s = 0; s < rein_mdp_states(env.mdp); s++)
        if (!(fabs(V[s] - expected[s]) < 1e-9))
            fail_msg("%s %s: V(%d) = %.12g, expected %.12g", id, settings, s, V[s], expected[s]);
    rein_env_close(&env);
}

static void test_lines(void **state) {
    double slip[4], far[4];
    for (int s = 0; s < 4; s++) {
        slip[s] = 10 * pow(0.8 * 0.9 / (1 - 0.2 * 0.9), 3 - s);
        far[s] = (3 - s) * 2 / 0.75;
    }
    check_values("LineCost-v0", "", 1, (double[]){3, 2, 1, 0});
    check_values("LineCost-v0", "length=6 cost=0.5", 1, (double[]){2.5, 2, 1.5, 1, 0.5, 0});
    check_values("LineCost-v0", "cost=2 slip=0.25", 1, far);
    check_values("LineGoal-v0", "", 0.9, (double[]){7.29, 8.1, 9, 10});
    check_values("LineSlip-v0", "", 0.9, slip);
    check_values("LineGoal-v0", "slip=0.2", 0.9, slip);
}

static void test_random_walk(void **state) {
    double wide[21];
    for (int s = 0; s <= 20; s++)
        wide[s] = s == 0 || s == 20 ? 0 : -1 + 2 * s / 20.0;
    check_values("RandomWalk-v0", "", 1, (double[]){0, 1 / 6., 2 / 6., 3 / 6., 4 / 6., 5 / 6., 0});
    check_values("RandomWalk-v0", "states=19 left_reward=-1", 1, wide);
    rein_env_type env = opened_as("RandomWalk-v0", "states=19");
    int32_t s;
    double p;
    assert_true(rein_mdp_start_at(env.mdp, 0, &s, &p) && s == 10 && p == 1);
    rein_env_close(&env);
}

/* Without a time limit and a discount the best policy of the slippery 4x4 lake succeeds with probability 14/17. The way
 * over the dry 8x8 lake takes 14 moves, along the cliff 13, and past the hole of the maze 46. */
static void test_known_optima(void **state) {
    static double V[704];
    rein_env_type env = opened_as("FrozenLake-v1", "");
    solve(env.mdp, 1, V);
    assert_true(fabs(V[0] - 14.0 / 17.0) < 1e-9);
    rein_env_close(&env);
    env = opened_as("FrozenLake8x8-v1", "is_slippery=false");
    solve(env.mdp, 0.9, V);
    assert_true(fabs(V[0] - pow(0.9, 13)) < 1e-12);
    rein_env_close(&env);
    env = opened_as("CliffWalking-v1", "");
    solve(env.mdp, 1, V);
    assert_true(V[36] == -13);
    rein_env_close(&env);
    env = opened_as("Maze-v0", "");
    solve(env.mdp, 1, V);
    assert_true(fabs(V[0] - (1 - 45 * 0.01)) < 1e-9);
    rein_env_close(&env);
}

/* The best policy, after Sutton and Barto's Figure 5.2, and its expected return, computed apart from this code by
 * recursion over hands. */
static void test_blackjack_optimum(void **state) {
    static double V[704];
    rein_env_type env = opened_as("Blackjack-v1", "sab=false");
    double start = 0, p;
    int32_t s;
    solve(env.mdp, 1, V);
    for (int showing = 1; showing <= 10; showing++)
        for (int usable = 0; usable < 2; usable++) {
            int stick_from = usable                         ? (showing == 1 || showing >= 9 ? 19 : 18)
                             : showing >= 2 && showing <= 3 ? 13
                             : showing >= 4 && showing <= 6 ? 12
                                                            : 17;
            for (int sum = 12; sum <= 21; sum++) {
                s = rein_space_index(&env.obs, (int32_t[]){sum, showing, usable});
                bool sticks = value_of_row(env.mdp, 1, V, s, 0) > value_of_row(env.mdp, 1, V, s, 1);
                if (sticks != (sum >= stick_from))
                    fail_msg("sum %d, dealer %d, usable %d: %s", sum, showing, usable,
                             sticks ? "sticks" : "hits");
            }
        }
    for (int32_t i = 0; rein_mdp_start_at(env.mdp, i, &s, &p); i++)
        start += p * V[s];
    assert_true(fabs(start - -0.046555977066697486) < 1e-12);
    rein_env_close(&env);
    env = opened_as("Blackjack-v1", "");
    assert_null(env.mdp);
    assert_string_equal(env.id, "Blackjack-v1");
    assert_int_equal(rein_space_count(&env.obs), 704);
    rein_env_close(&env);
}

/* ---- playing draws what the tables say --------------------------------------------------------------------------- */

/* Pearson's statistic of n draws against a distribution; degrees: cells - 1. Cells of expectation below 5 are pooled. */
static double chi_square(const int *found, const double *p, int cells, int draws, int *degrees) {
    double statistic = 0, rest_found = 0, rest = 0;
    *degrees = -1;
    for (int i = 0; i < cells; i++) {
        double expected = p[i] * draws;
        if (expected < 5) {
            rest += expected;
            rest_found += found[i];
            continue;
        }
        statistic += (found[i] - expected) * (found[i] - expected) / expected;
        *degrees += 1;
    }
    if (rest > 1)
        statistic += (rest_found - rest) * (rest_found - rest) / rest;
    *degrees += rest > 1;
    return statistic;
}

/* The 1e-6 quantile from above, Wilson and Hilferty's cube. */
static double chi_square_limit(int degrees) {
    double d = degrees, c = 2 / (9 * d), z = 4.753424;
    return d * pow(1 - c + z * sqrt(c), 3);
}

static void check_draws(const rein_env_type *env, int32_t s, int32_t a, int draws, rein_rng *rng) {
    rein_outcome row[OUTCOMES], merged[OUTCOMES];
    double p[OUTCOMES];
    int found[OUTCOMES] = {0}, n = rein_mdp_row(env->mdp, s, a, row, OUTCOMES), cells = 0, degrees;
    float sign = rein_mdp_is_cost(env->mdp) ? -1 : 1;
    for (int k = 0; k < n; k++) {
        int i = 0;
        while (i < cells && !(merged[i].next == row[k].next && merged[i].reward == row[k].reward))
            i++;
        merged[i] = row[k];
        p[i] = i == cells ? row[k].probability : p[i] + row[k].probability;
        cells += i == cells;
    }
    for (int t = 0; t < draws; t++) {
        int32_t now = s, i = 0;
        double value = 0;
        rein_step step = env->step(env->model, &now, &a, rng);
        while (i < cells && !(merged[i].next == now && step.reward == sign * (float)merged[i].reward))
            i++;
        if (i == cells)
            fail_msg("%s, state %d, action %d: %d with %g is not in the table", env->id, s, a, now,
                     step.reward);
        assert_int_equal(step.terminated, rein_mdp_is_terminal(env->mdp, now, &value) && value == 0);
        assert_false(step.truncated);
        found[i]++;
    }
    double statistic = chi_square(found, p, cells, draws, &degrees);
    if (degrees > 0 && !(statistic < chi_square_limit(degrees)))
        fail_msg("%s, state %d, action %d: chi-square %g with %d degrees", env->id, s, a, statistic, degrees);
}

static void check_all_draws(const char *id, const char *settings, int draws) {
    rein_env_type env = opened_as(id, settings);
    rein_rng rng = rein_rng_make(5, 0);
    for (int32_t s = 0; s < rein_mdp_states(env.mdp); s++)
        for (int32_t a = 0; a < rein_mdp_actions(env.mdp) && !rein_mdp_is_terminal(env.mdp, s, NULL); a++)
            check_draws(&env, s, a, draws, &rng);
    rein_env_close(&env);
}

static void test_draws(void **state) {
    check_all_draws("FrozenLake-v1", "", 3000);
    check_all_draws("FrozenLake-v1", "success_rate=0.9 reward_frozen=-0.25", 3000);
    check_all_draws("CliffWalkingSlippery-v1", "", 1000);
    check_all_draws("CliffWalking-v1", "", 3);
    check_all_draws("Taxi-v3", "", 1);
    check_all_draws("Taxi-v4", "is_rainy=true", 200);
    check_all_draws("LineCost-v0", "slip=0.3", 5000);
    check_all_draws("LineSlip-v0", "", 5000);
    check_all_draws("RandomWalk-v0", "", 5000);
    check_all_draws("Maze-v0", "slip=0.3", 1000);
}

/* first states, and that every one of them is drawn */
static void check_first_states(const char *id, const char *settings, int draws) {
    static double p[1024];
    static int found[1024];
    rein_env_type env = opened_as(id, settings);
    int32_t s[1024], n = 0;
    while (rein_mdp_start_at(env.mdp, n, &s[n], &p[n]))
        found[n++] = 0;
    rein_rng rng = rein_rng_make(6, 0);
    for (int t = 0; t < draws; t++) {
        int32_t now[8], obs[8], i = 0;
        env.reset(env.model, now, &rng);
        env.observe(env.model, now, obs);
        while (i < n && s[i] != rein_space_index(&env.obs, obs))
            i++;
        assert_true(i < n);
        found[i]++;
    }
    int degrees;
    double statistic = chi_square(found, p, n, draws, &degrees);
    assert_true(n == 1 || statistic < chi_square_limit(degrees));
    rein_env_close(&env);
}

static void test_first_states(void **state) {
    check_first_states("FrozenLake-v1", "", 10);
    check_first_states("Taxi-v4", "", 30000);
    check_first_states("Blackjack-v1", "sab=false", 200000);
    temp_write(temp_path("starts"), "S#S\nS G\n", 8);
    char settings[2 * TEMP_PATH];
    snprintf(settings, sizeof settings, "map=%s", temp_path("starts"));
    check_first_states("Maze-v0", settings, 3000);
}

/* Blackjack is played with cards; its tables are computed. Both agree on what follows each observation. */
static void test_blackjack_draws(void **state) {
    static struct { int found[2][3], hit[704], draws[2]; } seen[704];
    rein_env_type env = opened_as("Blackjack-v1", "sab=false");
    rein_rng rng = rein_rng_make(8, 0);
    int checked = 0;
    for (int t = 0; t < 1000000; t++) {
        int32_t hand[8], obs[3], a;
        rein_step step = {0};
        for (env.reset(env.model, hand, &rng); !step.terminated;) {
            env.observe(env.model, hand, obs);
            int32_t s = rein_space_index(&env.obs, obs), next;
            a = (int32_t)rein_rng_below(&rng, 2);
            step = env.step(env.model, hand, &a, &rng);
            env.observe(env.model, hand, obs);
            next = rein_space_index(&env.obs, obs);
            seen[s].found[a][(int)step.reward + 1]++;
            seen[s].draws[a]++;
            if (a == 1)
                seen[s].hit[next]++;
        }
    }
    for (int32_t s = 0; s < 704; s++) {
        rein_outcome row[OUTCOMES];
        double p[704] = {0}, reward[3] = {0};
        int degrees, n = rein_mdp_row(env.mdp, s, 0, row, OUTCOMES);
        assert_int_equal(seen[s].draws[0] > 0 || seen[s].draws[1] > 0, n > 0);
        if (seen[s].draws[0] < 100 || seen[s].draws[1] < 100)
            continue;
        for (int k = 0; k < n; k++)
            reward[(int)row[k].reward + 1] += row[k].probability;
        double x = chi_square(seen[s].found[0], reward, 3, seen[s].draws[0], &degrees);
        assert_true(x < chi_square_limit(degrees));
        n = rein_mdp_row(env.mdp, s, 1, row, OUTCOMES);
        for (int k = 0; k < n; k++) {
            p[row[k].next] += row[k].probability;
            assert_true((row[k].reward == -1) == rein_mdp_is_terminal(env.mdp, row[k].next, NULL));
        }
        x = chi_square(seen[s].hit, p, 704, seen[s].draws[1], &degrees);
        assert_true(x < chi_square_limit(degrees));
        checked++;
    }
    assert_int_equal(checked, 10 * (18 + 10));
    rein_env_close(&env);
}

/* ---- fickle passengers ------------------------------------------------------------------------------------------- */

enum { FIRST_MOVE_KEEPS, FIRST_MOVE_CHANGES, TURNS };

/* Plays episodes with allowed actions; counts what happens to the destination at the first move with the passenger, and
 * that nothing happens to it at any other time. */
static void play_fickle(const char *settings, int episodes, int turn[TURNS]) {
    rein_env_type env = opened_as("Taxi-v4", settings);
    rein_rng rng = rein_rng_make(9, 0);
    assert_null(env.mdp);
    assert_int_equal(env.state_size, 2 * sizeof(int32_t));
    turn[FIRST_MOVE_KEEPS] = turn[FIRST_MOVE_CHANGES] = 0;
    for (int e = 0; e < episodes; e++) {
        int32_t taxi[2], s, next, moves = 0;
        env.reset(env.model, taxi, &rng);
        for (int t = 0; t < 2000; t++) {
            uint8_t mask[6];
            int32_t a;
            env.observe(env.model, taxi, &s);
            env.mask(env.model, taxi, mask);
            do
                a = (int32_t)rein_rng_below(&rng, 6);
            while (!mask[a]);
            rein_step step = env.step(env.model, taxi, &a, &rng);
            env.observe(env.model, taxi, &next);
            bool moved = s / 20 != next / 20 && s / 4 % 5 == 4, changed = s % 4 != next % 4;
            if (moved && moves++ == 0)
                turn[changed ? FIRST_MOVE_CHANGES : FIRST_MOVE_KEEPS]++;
            else
                assert_false(changed);
            if (step.terminated)
                break;
        }
    }
    rein_env_close(&env);
}

static void test_fickle(void **state) {
    int turn[TURNS];
    play_fickle("fickle_passenger=true", 4000, turn);
    double share = (double)turn[FIRST_MOVE_CHANGES] / (turn[FIRST_MOVE_CHANGES] + turn[FIRST_MOVE_KEEPS]);
    assert_true(fabs(share - 0.3) < 4.5 * sqrt(0.3 * 0.7 / 4000) + 0.001);
    play_fickle("fickle_passenger=true fickle_probability=1 is_rainy=true", 300, turn);
    assert_true(turn[FIRST_MOVE_CHANGES] > 250 && turn[FIRST_MOVE_KEEPS] == 0);
    play_fickle("fickle_passenger=true fickle_probability=0", 300, turn);
    assert_true(turn[FIRST_MOVE_CHANGES] == 0 && turn[FIRST_MOVE_KEEPS] > 250);
}

/* ---- terminal values, costs, masks ------------------------------------------------------------------------------- */

/* the state with a value is entered, and left with it */
static void test_terminal_value(void **state) {
    rein_env_type env = opened_as("LineGoal-v0", "");
    env_rig rig = rig_make(&env, &(rein_vec_opts){.n = 1});
    int32_t *action = rig.action;
    const int32_t *obs = rig.slab.obs, *final_obs = rig.slab.final_obs;
    for (int t = 0; t < 4; t++) {
        *action = t < 3;
        rein_vec_step(rig.vec, 0, 1, &rig.slab);
        assert_true(rig.slab.reward[0] == (t == 3 ? 10 : 0));
        assert_int_equal(rig.slab.terminated[0], t == 3);
        assert_int_equal(*obs, t == 3 ? 0 : t + 1);
        assert_true(rig.slab.mask[0] == 1 && rig.slab.mask[1] == 1);
    }
    assert_int_equal(*final_obs, 3);
    assert_true(rig.slab.ep_return[0] == 10 && rig.slab.ep_length[0] == 4);
    rig_free(&rig);
    rein_env_close(&env);
}

static void test_costs_are_negative_rewards(void **state) {
    env_rig rig = rig_make(rein_env_find("LineCost-v0"), &(rein_vec_opts){.n = 1});
    *(int32_t *)rig.action = 1;
    for (int t = 0; t < 3; t++) {
        rein_vec_step(rig.vec, 0, 1, &rig.slab);
        assert_true(rig.slab.reward[0] == -1);
    }
    assert_true(rig.slab.terminated[0] && rig.slab.ep_return[0] == -3);
    rig_free(&rig);
}

static rein_mdp *two_states(double reward) {
    rein_mdp *mdp;
    assert_ok(rein_mdp_new(3, 2, false, &mdp));
    assert_ok(rein_mdp_add(mdp, 0, 1, 1, &(rein_outcome){1, 1, reward}));
    assert_ok(rein_mdp_add(mdp, 1, 0, 1, &(rein_outcome){0, 1, reward + 1}));
    assert_ok(rein_mdp_add(mdp, 1, 1, 1, &(rein_outcome){2, 1, reward + 2}));
    assert_ok(rein_mdp_terminal(mdp, 2, 0));
    return mdp;
}

/* An action without a row is masked out; taken nevertheless it stays and earns the worst reward, or 0 if less. */
static void check_refused(double reward, float expected) {
    rein_env_type env = opened_mdp(two_states(reward), "");
    uint8_t mask[2];
    rein_rng rng = rein_rng_make(1, 1);
    int32_t s = 0, a = 0;
    assert_non_null(env.mask);
    env.mask(env.model, &s, mask);
    assert_true(mask[0] == 0 && mask[1] == 1);
    rein_step step = env.step(env.model, &s, &a, &rng);
    assert_true(step.reward == expected && !step.terminated && s == 0);
    s = 1;
    env.mask(env.model, &s, mask);
    assert_true(mask[0] == 1 && mask[1] == 1);
    rein_env_close(&env);
}

static void test_missing_actions(void **state) {
    check_refused(-4, -4);
    check_refused(3, 0);
}

static void test_horizon_of_a_file(void **state) {
    rein_env_type env = opened_mdp(two_states(1), "horizon=7");
    assert_int_equal(env.horizon, 7);
    env_rig rig = rig_make(&env, &(rein_vec_opts){.n = 1});
    for (int t = 0; t < 7; t++) {
        *(int32_t *)rig.action = *(const int32_t *)rig.slab.obs == 0;
        rein_vec_step(rig.vec, 0, 1, &rig.slab);
        assert_int_equal(rig.slab.truncated[0], t == 6);
    }
    rig_free(&rig);
    rein_env_close(&env);
}

/* ---- vectors ----------------------------------------------------------------------------------------------------- */

static uint64_t run_of(const rein_env_type *type, const void *config) {
    env_rig rig = rig_make(type, &(rein_vec_opts){.n = 33, .seed = 4, .config = config});
    rein_vec_observe(rig.vec, 0, rig.n, &rig.slab);
    uint64_t hash = rig_run(&rig, 400);
    rig_free(&rig);
    return hash;
}

/* A vector made from a type and a config runs as one made from the opened type. */
static void test_opened_and_not(void **state) {
    static const char *const cases[][2] = {
        {"FrozenLake-v1", "success_rate=0.5"},
        {"Taxi-v4", "is_rainy=true fickle_passenger=true"},
        {"Blackjack-v1", "natural=true"},
        {"Blackjack-v1", "sab=false"},
        {"RandomWalk-v0", ""},
        {"Maze-v0", "slip=0.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rein_env_type *type = rein_env_find(cases[i][0]);
        void *config = configured(type, cases[i][1]);
        rein_env_type env = opened_as(cases[i][0], cases[i][1]);
        assert_true(run_of(type, config) == run_of(&env, NULL));
        rein_env_close(&env);
        free(config);
    }
}

/* Saved in the middle of fickle episodes, where the state holds more than the observation, the future is the same. */
static void test_saved_states(void **state) {
    rein_env_type env = opened_as("Taxi-v4", "fickle_passenger=true fickle_probability=1");
    env_rig rig = rig_make(&env, &(rein_vec_opts){.n = 16, .seed = 1});
    env_rig other = rig_make(&env, &(rein_vec_opts){.n = 16, .seed = 2});
    rig_run(&rig, 60);
    rig_run(&other, 60); /* the same actions, and every row of the slab written */
    size_t size = rein_vec_save_size(rig.vec);
    unsigned char *saved = rig_array(size, 1);
    rein_vec_save(rig.vec, saved);
    assert_ok(rein_vec_load(other.vec, saved, size));
    for (int t = 0; t < 300; t++) {
        rig_step(&rig);
        rig_step(&other);
        assert_memory_equal(rig.slab.obs, other.slab.obs, 16 * sizeof(int32_t));
        assert_memory_equal(rig.slab.reward, other.slab.reward, 16 * sizeof(float));
    }
    free(saved);
    rig_free(&rig);
    rig_free(&other);
    rein_env_close(&env);
}

/* ---- refused ----------------------------------------------------------------------------------------------------- */

static void test_refused(void **state) {
    rein_env_type env;
    assert_fails(try_open("Mdp-v0", "", &env), REIN_USAGE, "--env.file=");
    assert_fails(try_open("Mdp-v0", "file=/nowhere/at/all.json", &env), REIN_IO, "/nowhere/at/all.json");
    assert_fails(try_open("LineSlip-v0", "slip=1", &env), REIN_USAGE, "slip is 1");
    assert_fails(try_open("FrozenLake-v1", "map=5x5", &env), REIN_IO, "4x4, 8x8, random or a file");
    assert_fails(try_open("Maze-v0", "map=/nowhere/maze", &env), REIN_IO, "default or a file");
    assert_null(env.model);
}

/* Whichever allocation fails, opening says so and leaves nothing behind. */
static void check_out_of_memory(const char *id, const char *settings) {
    uint64_t before = reini_memory_now().live_bytes, n = 1;
    rein_env_type env;
    for (rein_status status = REIN_NOMEM; status != REIN_OK; n++) {
        reini_memory_fail(n, n % 2 == 0);
        status = try_open(id, settings, &env);
        reini_memory_fail(0, false);
        if (status != REIN_OK) {
            assert_int_equal(status, REIN_NOMEM);
            assert_true(reini_memory_now().live_bytes == before);
        }
    }
    assert_true(n > 4);
    rein_env_close(&env);
    assert_true(reini_memory_now().live_bytes == before);
}

static void test_out_of_memory(void **state) {
    check_out_of_memory("FrozenLake-v1", "map=random size=20");
    check_out_of_memory("CliffWalking-v1", "");
    check_out_of_memory("Taxi-v4", "fickle_passenger=true");
    check_out_of_memory("Blackjack-v1", "sab=false");
    check_out_of_memory("LineGoal-v0", "");
    check_out_of_memory("RandomWalk-v0", "");
    check_out_of_memory("Maze-v0", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),           cmocka_unit_test(test_random_walk),
        cmocka_unit_test(test_known_optima),    cmocka_unit_test(test_blackjack_optimum),
        cmocka_unit_test(test_draws),           cmocka_unit_test(test_first_states),
        cmocka_unit_test(test_blackjack_draws), cmocka_unit_test(test_fickle),
        cmocka_unit_test(test_terminal_value),  cmocka_unit_test(test_costs_are_negative_rewards),
        cmocka_unit_test(test_missing_actions), cmocka_unit_test(test_horizon_of_a_file),
        cmocka_unit_test(test_opened_and_not),  cmocka_unit_test(test_saved_states),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
