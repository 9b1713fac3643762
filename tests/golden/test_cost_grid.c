/*
 * test_cost_grid.c - CostGrid-v1: what the best policies under limits on its costs earn and pay.
 *
 * The recorded solutions are of a linear program over a world built apart (tests/reference/cost_grid_lp.py). Here each is
 * proved right on the environment's own tables: the policy's exact return and costs are the recorded ones and within the
 * limits, and no policy does better. For that the prices are enough: with costs charged at prices l >= 0 the best return
 * plus l times the limits bounds every policy that keeps them (weak duality), and planning finds that best return.
 */
#include <math.h>
#include <stdio.h>
#include "support/temp_dir.h"
#include "unit/env_rig.h"

enum { STATES = 60, ACTIONS = 4, KINDS = 2, OUTCOMES = 8, PROBLEMS = 16 };

typedef struct problem {
    double gamma, limit[KINDS], best, spent[KINDS], price[KINDS];
    double pi[STATES * ACTIONS];
} problem;

static problem problems[PROBLEMS];
static rein_env_type grid;

/* ---- the recorded solutions -------------------------------------------------------------------------------------- */

static void read_problem(problem *p, const char *line) {
    assert_int_equal(sscanf(line, "limits %lf %lf %lf %lf %lf %lf %lf %lf", &p->gamma, &p->limit[0],
                            &p->limit[1], &p->best, &p->spent[0], &p->spent[1], &p->price[0], &p->price[1]),
                     8);
    for (int i = 0; i < STATES * ACTIONS; i++)
        p->pi[i] = 1.0 / ACTIONS; /* of states that are not visited */
}

static void read_row(problem *p, const char *line) {
    double row[ACTIONS];
    int s;
    assert_int_equal(sscanf(line, "pi %d %lf %lf %lf %lf", &s, &row[0], &row[1], &row[2], &row[3]), 5);
    assert_true(s >= 0 && s < STATES);
    double sum = row[0] + row[1] + row[2] + row[3];
    assert_true(fabs(sum - 1) < 1e-8);
    for (int a = 0; a < ACTIONS; a++)
        p->pi[s * ACTIONS + a] = row[a] / sum;
}

static int set_up(void **state) {
    char line[256];
    int n = 0;
    if (temp_dir_make(state) != 0)
        return -1;
    FILE *in = fopen(REIN_SOURCE_DIR "/tests/golden/cost_grid_lp.txt", "r");
    assert_non_null(in);
    while (fgets(line, sizeof line, in)) {
        if (line[0] == 'l') {
            assert_true(n < PROBLEMS);
            read_problem(&problems[n++], line);
        } else {
            assert_true(n > 0);
            read_row(&problems[n - 1], line);
        }
    }
    fclose(in);
    assert_int_equal(n, PROBLEMS);
    assert_ok(rein_env_open(rein_env_find("CostGrid-v1"), NULL, &grid));
    assert_int_equal(rein_mdp_states(grid.mdp), STATES);
    return 0;
}

static int tear_down(void **state) {
    rein_env_close(&grid);
    return temp_dir_remove(state);
}

/* ---- other worlds on the same cells ------------------------------------------------------------------------------ */

/* The environment's tables with the rewards weight r - price c: (1, l) charges costs, (0, -unit vector) counts one. */
static rein_mdp *priced(double weight, const double *price) {
    rein_mdp *mdp;
    assert_ok(rein_mdp_new(STATES, ACTIONS, false, &mdp));
    for (int32_t s = 0; s < STATES; s++) {
        if (rein_mdp_is_terminal(grid.mdp, s, NULL)) {
            assert_ok(rein_mdp_terminal(mdp, s, 0));
            continue;
        }
        for (int32_t a = 0; a < ACTIONS; a++) {
            rein_outcome row[OUTCOMES];
            int n = rein_mdp_row(grid.mdp, s, a, row, OUTCOMES);
            for (int k = 0; k < n; k++) {
                float cost[KINDS];
                grid.costs(grid.model, &row[k].next, cost);
                row[k].reward =
                    weight * row[k].reward - price[0] * (double)cost[0] - price[1] * (double)cost[1];
            }
            assert_ok(rein_mdp_add(mdp, s, a, n, row));
        }
    }
    assert_ok(rein_mdp_finish(mdp));
    return mdp;
}

static int32_t first_state(void) {
    int32_t s;
    double p;
    assert_true(rein_mdp_start_at(grid.mdp, 0, &s, &p) && p == 1);
    return s;
}

static double worth(const problem *p, double weight, double hazard, double mud) {
    double V[STATES];
    rein_mdp *mdp = priced(weight, (double[]){hazard, mud});
    assert_ok(rein_mdp_evaluate(mdp, p->gamma, 1e-12, p->pi, V));
    rein_mdp_free(mdp);
    return V[first_state()];
}

static double best_at_prices(const problem *p) {
    double V[STATES];
    rein_mdp *mdp = priced(1, p->price);
    assert_ok(rein_mdp_solve(mdp, p->gamma, 1e-8, V, NULL));
    rein_mdp_free(mdp);
    return V[first_state()];
}

/* ---- the tests ---------------------------------------------------------------------------------------------------- */

static void close_to(const problem *p, const char *what, double found, double expected, double tolerance) {
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("gamma %g, limits %g and %g: %s %.12g, expected %.12g", p->gamma, p->limit[0], p->limit[1],
                 what, found, expected);
}

/* The rounding of the recorded policy and prices to ten digits bounds the tolerances. */
static void test_keeps_limits(void **state) {
    for (const problem *p = problems; p < problems + PROBLEMS; p++) {
        close_to(p, "the return is", worth(p, 1, 0, 0), p->best, 1e-7);
        close_to(p, "the hazard is", worth(p, 0, -1, 0), p->spent[0], 1e-7);
        close_to(p, "the mud is", worth(p, 0, 0, -1), p->spent[1], 1e-7);
        for (int k = 0; k < KINDS; k++)
            assert_true(p->spent[k] <= p->limit[k] + 1e-9);
    }
}

static void test_no_policy_is_better(void **state) {
    for (const problem *p = problems; p < problems + PROBLEMS; p++) {
        double bound = best_at_prices(p);
        for (int k = 0; k < KINDS; k++) {
            assert_true(p->price[k] >= 0);
            bound += p->price[k] > 0 ? p->price[k] * p->limit[k] : 0;
        }
        close_to(p, "the bound is", bound, p->best, 1e-6);
    }
}

/* Limits matter: each of these is worth a different return, and the best of all crosses hazards. */
static void test_limits_bind(void **state) {
    assert_true(isinf(problems[0].limit[0]) && problems[0].spent[0] > 4);
    for (int i = 1; i < 8; i++) {
        assert_true(problems[i].limit[0] < problems[i - 1].limit[0]);
        assert_true(problems[i].spent[0] == problems[i].limit[0]);
        assert_true(problems[i].best < problems[i - 1].best - 1e-3);
    }
}

/* Played in a vector, a best policy pays on average what it is said to pay, and the costs are those of the cells. */
static void test_played(void **state) {
    enum { N = 64, STEPS = 4000 };
    const problem *p = &problems[9];
    env_rig rig = rig_make(rein_env_find("CostGrid-v1"), &(rein_vec_opts){.n = N, .seed = 5});
    double sum[3] = {0}, squares[3] = {0};
    int episodes = 0;
    const float *ep_cost = rig.slab.ep_cost;
    rein_vec_reset(rig.vec, 0, N, &rig.slab);
    for (int t = 0; t < STEPS; t++) {
        for (int i = 0; i < N; i++) {
            const double *row = p->pi + ((int32_t *)rig.slab.obs)[i] * ACTIONS;
            double u = rein_rng_uniform64(&rig.rng);
            ((int32_t *)rig.action)[i] = (u >= row[0]) + (u >= row[0] + row[1]) + (u >= 1 - row[3]);
        }
        rein_vec_step(rig.vec, 0, N, &rig.slab);
        for (int i = 0; i < N; i++) {
            if (!rig.slab.terminated[i] && !rig.slab.truncated[i])
                continue;
            const double got[3] = {(double)rig.slab.ep_return[i], (double)ep_cost[i * KINDS],
                                   (double)ep_cost[i * KINDS + 1]};
            for (int k = 0; k < 3; k++) {
                sum[k] += got[k];
                squares[k] += got[k] * got[k];
            }
            episodes++;
        }
    }
    assert_true(episodes > 10000);
    const double expected[3] = {p->best, p->spent[0], p->spent[1]};
    for (int k = 0; k < 3; k++) {
        double mean = sum[k] / episodes, deviation = sqrt(squares[k] / episodes - mean * mean);
        assert_true(deviation > 0);
        close_to(p, "played, it is", mean, expected[k], 5 * deviation / sqrt(episodes));
    }
    rig_free(&rig);
}

/* A step that ends in a hazard costs, also one into the wall beside it; a map of one's own has the same letters. */
static void test_own_map(void **state) {
    const rein_env_type *type = rein_env_find("CostGrid-v1");
    double config[64];
    rein_env_type own;
    rein_rng rng = rein_rng_make(1, 0);
    assert_true(type->config_size <= sizeof config);
    temp_write(temp_path("grid"), "S X\n#MG\n", 8);
    rein_fields_default(type->fields, type->n_fields, config);
    assert_ok(rein_fields_set(type->fields, type->n_fields, config, "map", temp_path("grid")));
    assert_ok(rein_fields_set(type->fields, type->n_fields, config, "slip", "0"));
    assert_ok(rein_fields_set(type->fields, type->n_fields, config, "goal_reward", "3"));
    assert_ok(rein_env_open(type, config, &own));
    assert_int_equal(own.n_costs, 2);
    assert_int_equal(rein_mdp_states(own.mdp), 5);
    static const struct {
        int32_t from, action, to;
        float hazard, mud, reward;
    } steps[] = {
        {0, 2, 1, 0, 0, -0.05f}, {1, 2, 2, 1, 0, -0.05f}, {2, 2, 2, 1, 0, -0.05f}, {2, 3, 2, 1, 0, -0.05f},
        {1, 1, 3, 0, 1, -0.05f}, {3, 0, 3, 0, 1, -0.05f}, {3, 2, 4, 0, 0, 3},      {2, 1, 4, 0, 0, 3},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int32_t s = steps[i].from;
        float cost[KINDS] = {-1, -1};
        rein_step step = own.step(own.model, &s, &steps[i].action, &rng);
        own.costs(own.model, &s, cost);
        assert_int_equal(s, steps[i].to);
        assert_true(cost[0] == steps[i].hazard && cost[1] == steps[i].mud && step.reward == steps[i].reward);
        assert_int_equal(step.terminated, steps[i].to == 4);
    }
    rein_env_close(&own);
    temp_write(temp_path("grid"), "S H\n#MG\n", 8);
    assert_fails(rein_env_open(type, config, &own), REIN_FORMAT, "line 1, column 3: 'H'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_limits), cmocka_unit_test(test_no_policy_is_better),
        cmocka_unit_test(test_limits_bind),  cmocka_unit_test(test_played),
        cmocka_unit_test(test_own_map),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
