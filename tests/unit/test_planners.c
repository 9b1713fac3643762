/*
 * test_planners.c - the planners as algorithms: known answers, finite horizons against all plans, gamma = 1 with
 * policies that end, rest, pay and earn for ever, tolerances out of reach, running out of sweeps or memory, and saving
 * at any iteration.
 */
#include <jansson.h>
#include <string.h>
#include "support/plan_rig.h"
#include "support/temp_dir.h"

/* ---- known answers ------------------------------------------------------------------------------------- */

/* 0 - 1 - 2 - 3: to the right or back, a step costs 1 */
static rein_mdp *cost_line(void) {
    const rig_edge edges[] = {{0, 0, 0, 1}, {0, 1, 1, 1}, {1, 0, 0, 1},
                              {1, 1, 2, 1}, {2, 0, 1, 1}, {2, 1, 3, 1}};
    return RIG_GRAPH(4, 2, true, edges, RIG_ENDS(3));
}

/* the same without costs, moves to the right fail with probability `slip`; its end is worth 10 */
static rein_mdp *goal_line(double slip) {
    rein_mdp *mdp;
    assert_ok(rein_mdp_new(4, 2, false, &mdp));
    for (int32_t s = 0; s < 3; s++) {
        assert_ok(rein_mdp_add(mdp, s, 0, 1, &(rein_outcome){s > 0 ? s - 1 : 0, 1, 0}));
        if (slip > 0)
            assert_ok(rein_mdp_add(mdp, s, 1, 2, (rein_outcome[]){{s + 1, 1 - slip, 0}, {s, slip, 0}}));
        else
            assert_ok(rein_mdp_add(mdp, s, 1, 1, &(rein_outcome){s + 1, 1, 0}));
    }
    assert_ok(rein_mdp_terminal(mdp, 3, 10));
    assert_ok(rein_mdp_finish(mdp));
    return mdp;
}

static void check_answer(const rein_mdp *mdp, const char *gamma, const double *expected, double within) {
    for (int i = 0; i < RIG_PLANNERS; i++) {
        char settings[80];
        double V[4];
        int32_t action[4];
        snprintf(settings, sizeof settings, "%s gamma=%s", rig_planners[i][1], gamma);
        assert_ok(rig_plan(mdp, NULL, rig_planners[i][0], settings, V, action));
        for (int s = 0; s < 4; s++) {
            assert_true(fabs(reini_mdp_shown(mdp, V[s]) - expected[s]) <= within);
            assert_int_equal(action[s], s < 3 ? 1 : -1);
        }
    }
}

static void lines(void **state) {
    static const double costs[] = {3, 2, 1, 0}, goal[] = {7.29, 8.1, 9, 10};
    double slip[4] = {0, 0, 0, 10};
    rein_mdp *mdp = cost_line();
    check_answer(mdp, "1", costs, 0);
    rein_mdp_free(mdp);
    mdp = goal_line(0);
    check_answer(mdp, "0.9", goal, 1e-12);
    rein_mdp_free(mdp);
    mdp = goal_line(0.2);
    for (int s = 2; s >= 0; s--) /* V = g (0.8 V' + 0.2 V) */
        slip[s] = 0.9 * 0.8 * slip[s + 1] / (1 - 0.9 * 0.2);
    check_answer(mdp, "0.9", slip, 1e-9);
    rein_mdp_free(mdp);
}

static void uniform_policies(void **state) {
    /* V0 = 2 + V1, V1 = 1 + (V0 + V2) / 2, V2 = 1 + V1 / 2 */
    static const double costs[] = {12, 10, 6, 0};
    rein_mdp *mdp = cost_line();
    for (int k = 0; k < 2; k++) {
        double V[4];
        assert_ok(rig_plan(mdp, NULL, "policy-evaluation",
                           k ? "gamma=1 method=direct" : "gamma=1 tolerance=1e-12", V, NULL));
        for (int s = 0; s < 4; s++)
            assert_true(fabs(-V[s] - costs[s]) < 1e-9);
    }
    rein_mdp_free(mdp);
}

/* what is reported, and what is in the policy */
static void reports_and_tables(void **state) {
    rein_mdp *mdp = cost_line();
    rig_run run;
    assert_ok(rig_start(&run, mdp, 0, 1000, NULL, "value-iteration", "gamma=1"));
    rig_iterate(&run);
    assert_int_equal(run.report.env_steps, 1);
    assert_true(run.report.metric[REINI_PLAN_RESIDUAL] == 1 &&
                run.report.metric[REINI_PLAN_START_VALUE] == 1);
    assert_ok(rig_finish(&run));
    assert_int_equal(run.report.env_steps, 4);
    assert_true(run.report.metric[REINI_PLAN_RESIDUAL] == 0 &&
                run.report.metric[REINI_PLAN_START_VALUE] == 3);
    reini_table_policy *table = rig_table(&run);
    assert_true(table->q != NULL && table->v != NULL && table->action != NULL && table->cost);
    assert_true(table->q[0] == -4 && table->q[1] == -3 && table->q[6] == 0);
    rig_end(&run);
    rein_mdp_free(mdp);
}

/* ---- finite horizons ----------------------------------------------------------------------------------- */

/* the best return over every plan: actions by time and state */
static double best_by_trying(const rein_mdp *mdp, double gamma, int32_t s, int left) {
    double best = -INFINITY;
    if (mdp->terminal[s])
        return reini_mdp_terminal_value(mdp, s);
    for (int32_t a = 0; a < mdp->n_actions && left > 0; a++) {
        reini_row row = reini_mdp_row(mdp, s, a);
        double sum = row.count > 0 ? 0 : -INFINITY;
        for (int32_t k = 0; k < row.count; k++)
            sum += row.p[k] * ((row.r != NULL ? row.r[k] : row.reward) +
                               gamma * best_by_trying(mdp, gamma, row.next[k], left - 1));
        best = fmax(best, sum);
    }
    return left > 0 ? best : 0;
}

/* what the plan's actions return from t on */
static double follow(const rein_mdp *mdp, const reini_table_policy *plan, int32_t s, int t) {
    double sum = 0;
    if (mdp->terminal[s])
        return reini_mdp_terminal_value(mdp, s);
    if (t == plan->horizon)
        return 0;
    reini_row row = reini_mdp_row(mdp, s, plan->action[t * mdp->n_states + s]);
    for (int32_t k = 0; k < row.count; k++)
        sum += row.p[k] * ((row.r != NULL ? row.r[k] : row.reward) +
                           plan->gamma * follow(mdp, plan, row.next[k], t + 1));
    return sum;
}

static void plans_in_time(void **state) {
    for (int i = 0; i < 60; i++) {
        rein_rng rng = rein_rng_make(21, (uint64_t)i);
        rein_mdp *mdp = rig_random_mdp(&rng, &(rig_random){4, 3, 2, 0.2, i & 1});
        rig_run run;
        char settings[80];
        int horizon = 1 + i % 5;
        double gamma = i % 3 ? 1 : 0.8;
        snprintf(settings, sizeof settings, "gamma=%g horizon=%d", gamma, i % 2 ? horizon : 0);
        assert_ok(rig_start(&run, mdp, horizon, 100, NULL, "backward-induction", settings));
        assert_ok(rig_finish(&run));
        assert_int_equal(run.report.env_steps, horizon);
        reini_table_policy *plan = rig_table(&run);
        assert_int_equal(plan->horizon, horizon);
        for (int32_t s = 0; s < mdp->n_states; s++) {
            double best = best_by_trying(mdp, gamma, s, horizon);
            assert_true(fabs(plan->v[s] - best) < 1e-12 && fabs(follow(mdp, plan, s, 0) - best) < 1e-12);
        }
        rig_end(&run);
        rein_mdp_free(mdp);
    }
}

static void horizons_are_checked(void **state) {
    rein_mdp *mdp = cost_line();
    rig_run run;
    assert_fails(rig_start(&run, mdp, 0, 100, NULL, "backward-induction", ""), REIN_USAGE,
                 "Rig-v0 has no time limit");
    assert_fails(rig_start(&run, mdp, 0, 100, NULL, "backward-induction", "horizon=101"), REIN_USAGE,
                 "--steps allows 100");
    rein_mdp_free(mdp);
}

/* ---- gamma = 1 ----------------------------------------------------------------------------------------- */

static const char *const optimisers[][2] = {
    {"value-iteration", "gamma=1"},
    {"value-iteration", "gamma=1 sweep=in_place"},
    {"value-iteration", "gamma=1 sweep=prioritized"},
    {"policy-iteration", "gamma=1"},
    {"policy-iteration", "gamma=1 evaluation=iterative"},
    {"modified-policy-iteration", "gamma=1"},
};
enum { OPTIMISERS = sizeof optimisers / sizeof *optimisers };

/* from the top: a short way that costs 10, a loop that costs nothing, a loop that costs 1, a way that costs 3
 * in all */
static void ways_round_that_cost_nothing(void **state) {
    const rig_edge edges[] = {{0, 0, 0, -1}, {0, 1, 1, -1}, {0, 2, 3, -10}, {1, 0, 2, 0},
                              {1, 1, 3, -2}, {2, 0, 1, 0},  {2, 1, 2, -1}};
    /* resting between 1 and 2 is free: 0 pays 1 to get there */
    static const double expected[] = {-1, 0, 0, 0};
    rein_mdp *mdp = RIG_GRAPH(4, 3, false, edges, RIG_ENDS(3));
    for (int i = 0; i < OPTIMISERS; i++) {
        double V[4];
        int32_t action[4];
        assert_ok(rig_plan(mdp, NULL, optimisers[i][0], optimisers[i][1], V, action));
        for (int s = 0; s < 4; s++)
            assert_true(fabs(V[s] - expected[s]) < 1e-8);
        assert_true(action[0] == 1 && action[1] == 0 && action[2] == 0);
    }
    rein_mdp_free(mdp);
}

/* a reward at the end, and loops on the way whose Q is as good as going on: the policy has to arrive */
static void loops_that_promise_what_they_do_not_give(void **state) {
    const rig_edge edges[] = {{0, 0, 0, 0}, {0, 1, 1, 0}, {1, 0, 0, 0},
                              {1, 1, 2, 0}, {2, 0, 1, 0}, {2, 1, 3, 1}};
    rein_mdp *mdp = RIG_GRAPH(4, 2, false, edges, RIG_ENDS(3));
    for (int i = 0; i < OPTIMISERS; i++) {
        double V[4];
        int32_t action[4];
        assert_ok(rig_plan(mdp, NULL, optimisers[i][0], optimisers[i][1], V, action));
        for (int s = 0; s < 3; s++)
            assert_true(V[s] == 1 && action[s] == 1);
    }
    double V[4];
    int32_t action[4];
    assert_ok(rein_mdp_solve(mdp, 1, 1e-9, V, action));
    assert_true(V[0] == 1 && action[0] == 1 && action[1] == 1 && action[2] == 1);
    rein_mdp_free(mdp);
}

static void never_ending_is_refused(void **state) {
    const rig_edge edges[] = {{0, 0, 1, -1}, {0, 1, 3, -1}, {1, 0, 2, -1}, {2, 0, 1, -1}};
    rein_mdp *mdp = RIG_GRAPH(4, 2, false, edges, RIG_ENDS(3));
    double V[4];
    for (int i = 0; i < OPTIMISERS; i++) {
        rig_run run;
        assert_fails(rig_start(&run, mdp, 0, 1000, NULL, optimisers[i][0], optimisers[i][1]), REIN_DIVERGED,
                     "from state 1 no policy is sure to end");
        assert_ok(rig_plan(mdp, NULL, optimisers[i][0], "gamma=0.9", V, NULL));
    }
    assert_fails(rein_mdp_solve(mdp, 1, 1e-9, V, NULL), REIN_DIVERGED, "from state 1");
    rig_run run;
    assert_fails(rig_start(&run, mdp, 0, 1000, NULL, "policy-evaluation", "gamma=1"), REIN_DIVERGED,
                 "never ends from state 1, at a reward of -1 per step");
    rein_mdp_free(mdp);
}

/* an end is near, but going round between 1 and 2 earns: 3 - 1 in two steps */
static void cycles_that_earn_are_found(void **state) {
    const rig_edge edges[] = {{0, 0, 1, 0}, {1, 0, 2, 3}, {1, 1, 3, 5}, {2, 0, 1, -1}, {2, 1, 3, 0}};
    rein_mdp *mdp = RIG_GRAPH(4, 2, false, edges, RIG_ENDS(3));
    for (int i = 0; i < OPTIMISERS; i++) {
        assert_fails(rig_plan(mdp, NULL, optimisers[i][0], optimisers[i][1], NULL, NULL), REIN_DIVERGED,
                     "at a reward of 1 per step");
        assert_non_null(strstr(rein_error(), "state 1"));
    }
    double V[4];
    assert_fails(rein_mdp_solve(mdp, 1, 1e-9, V, NULL), REIN_DIVERGED, "at a reward of 1 per step");
    rein_mdp_free(mdp);
}

/* random costs with an action to the end: every planner finds the direct solution */
static void planners_agree_at_gamma_1(void **state) {
    for (int i = 0; i < 100; i++) {
        enum { STATES = 20 };
        rein_rng rng = rein_rng_make(31, (uint64_t)i);
        rein_mdp *mdp;
        rein_outcome out[4];
        double best[STATES], V[STATES];
        assert_ok(rein_mdp_new(STATES, 3, true, &mdp));
        for (int32_t s = 0; s < STATES - 1; s++)
            for (int32_t a = 0; a < 3; a++) {
                int n = rig_row(&rng, STATES, 3, out);
                for (int k = 0; k < n; k++)
                    out[k].reward = fabs(out[k].reward);
                if (a == 2) /* a dear way that is sure to end */
                    out[n = 0] = (rein_outcome){s + 1, 1, 5};
                assert_ok(rein_mdp_add(mdp, s, a, n == 0 ? 1 : n, out));
            }
        assert_ok(rein_mdp_terminal(mdp, STATES - 1, i % 3));
        assert_ok(rein_mdp_finish(mdp));
        assert_ok(rein_mdp_solve(mdp, 1, 1e-9, best, NULL));
        for (int k = 0; k < OPTIMISERS; k++) {
            assert_ok(rig_plan(mdp, NULL, optimisers[k][0], optimisers[k][1], V, NULL));
            for (int s = 0; s < STATES; s++)
                assert_true(fabs(-V[s] - best[s]) < 1e-6);
        }
        rein_mdp_free(mdp);
    }
}

/* ---- what cannot be had -------------------------------------------------------------------------------- */

static void tolerances_out_of_reach(void **state) {
    rein_rng rng = rein_rng_make(41, 0);
    rein_mdp *mdp = rig_random_mdp(&rng, &(rig_random){30, 3, 4, 0, false});
    for (int i = 0; i < RIG_PLANNERS; i++) {
        char settings[80];
        double tolerance, V[30];
        snprintf(settings, sizeof settings, "%s gamma=0.99 tolerance=1e-18", rig_planners[i][1]);
        assert_fails(rig_plan(mdp, NULL, rig_planners[i][0], settings, V, NULL), REIN_USAGE,
                     "1e-18 is out of reach");
        const char *words = strstr(rein_error(), "choose a tolerance of ");
        assert_non_null(words);
        assert_int_equal(sscanf(words, "choose a tolerance of %lf", &tolerance), 1);
        assert_true(tolerance < 1e-9);
        /* what is offered is kept */
        snprintf(settings, sizeof settings, "%s gamma=0.99 tolerance=%g", rig_planners[i][1], tolerance);
        assert_ok(rig_plan(mdp, NULL, rig_planners[i][0], settings, V, NULL));
    }
    rein_mdp_free(mdp);
}

/* two actions closer than what counts as a tie, for ever: values tell them apart all the same */
static void differences_below_a_tie(void **state) {
    const rig_edge edges[] = {{0, 0, 0, 10}, {0, 1, 0, 10 + 1e-10}};
    rein_mdp *mdp = RIG_GRAPH(1, 2, false, edges, RIG_ENDS(-1));
    double V[1];
    for (int i = 0; i < RIG_PLANNERS; i++) {
        char settings[80];
        snprintf(settings, sizeof settings, "%s gamma=0.99", rig_planners[i][1]);
        assert_ok(rig_plan(mdp, NULL, rig_planners[i][0], settings, V, NULL));
        assert_true(fabs(V[0] - (10 + 1e-10) / (1 - 0.99)) < 1e-9);
    }
    rein_mdp_free(mdp);
}

static void out_of_sweeps(void **state) {
    rein_mdp *mdp = goal_line(0.2);
    rig_run run;
    assert_ok(rig_start(&run, mdp, 0, 5, NULL, "value-iteration", "gamma=0.9"));
    assert_fails(rig_finish(&run), REIN_USAGE, "not settled after 5 sweeps");
    assert_int_equal(run.report.env_steps, 5);
    run.algo->extend(run.self, 1000); /* and it goes on from there */
    assert_ok(rig_finish(&run));
    rig_end(&run);
    rein_mdp_free(mdp);
}

static void direct_solves_have_a_limit(void **state) {
    rein_mdp *mdp;
    rig_run run;
    assert_ok(rein_mdp_new(REINI_DIRECT_STATES + 1, 1, false, &mdp));
    for (int32_t s = 0; s < REINI_DIRECT_STATES; s++)
        assert_ok(rein_mdp_add(mdp, s, 0, 1, &(rein_outcome){s + 1, 1, s}));
    assert_ok(rein_mdp_terminal(mdp, REINI_DIRECT_STATES, 0));
    assert_ok(rein_mdp_finish(mdp));
    assert_fails(rig_start(&run, mdp, 0, 10, NULL, "policy-iteration", ""), REIN_USAGE,
                 "evaluation=direct solves for at most 2000 states at once, there are 2001");
    assert_fails(rig_start(&run, mdp, 0, 10, NULL, "policy-evaluation", "method=direct"), REIN_USAGE,
                 "method=direct");
    /* the library's calls go over to sweeps */
    double *V = calloc(REINI_DIRECT_STATES + 1, sizeof *V), *pi = calloc(REINI_DIRECT_STATES + 1, sizeof *V),
           sum = 0;
    for (int32_t s = 0; s < REINI_DIRECT_STATES; s++) {
        pi[s] = 1;
        sum += s;
    }
    assert_ok(rein_mdp_solve(mdp, 1, 1e-9, V, NULL));
    assert_true(V[0] == sum);
    assert_ok(rein_mdp_evaluate(mdp, 1, 1e-9, pi, V));
    assert_true(V[0] == sum);
    free(V);
    free(pi);
    rein_mdp_free(mdp);
}

static void only_tables_can_be_planned_on(void **state) {
    rein_mdp *mdp = cost_line();
    rein_env_type env = rig_env(mdp, 0);
    env.mdp = NULL;
    reini_context context = {.env = &env, .total_steps = 10};
    assert_fails(reini_plan_check("value-iteration", &context), REIN_USAGE, "Rig-v0 is not a table");
    rein_mdp_free(mdp);
}

/* ---- saving -------------------------------------------------------------------------------------------- */

static const char *const all_planners[][2] = {
    {"value-iteration", "gamma=0.9"},
    {"value-iteration", "gamma=0.9 sweep=in_place"},
    {"value-iteration", "gamma=0.9 sweep=prioritized"},
    {"policy-iteration", "gamma=0.9"},
    {"policy-iteration", "gamma=0.9 evaluation=iterative"},
    {"modified-policy-iteration", "gamma=0.9 m=4"},
    {"policy-evaluation", "gamma=0.9"},
    {"policy-evaluation", "gamma=0.9 method=direct"},
    {"backward-induction", "horizon=30"},
};

static void save(rig_run *run, const char *path) {
    reini_archive *archive;
    json_t *header = json_object();
    assert_ok(reini_archive_create(path, header, &archive));
    assert_ok(run->algo->visit(run->self, archive));
    assert_ok(reini_archive_finish(archive));
    json_decref(header);
}

static void load(rig_run *run, const char *path) {
    reini_archive *archive;
    assert_ok(reini_archive_open(path, &archive, NULL));
    assert_ok(run->algo->visit(run->self, archive));
    assert_ok(reini_archive_finish(archive));
}

/* everything that is saved, and what is acted by */
static void check_same(rig_run *a, rig_run *b) {
    size_t na, nb;
    save(a, temp_path("a"));
    save(b, temp_path("b"));
    char *ta = temp_read(temp_path("a"), &na), *tb = temp_read(temp_path("b"), &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(ta, tb, na);
    free(ta);
    free(tb);
}

static void resumed_at_any_iteration(void **state) {
    rein_rng rng = rein_rng_make(51, 0);
    rein_mdp *mdp = rig_random_mdp(&rng, &(rig_random){30, 4, 4, 0.1, true});
    for (size_t i = 0; i < sizeof all_planners / sizeof *all_planners; i++) {
        rig_run whole, cut;
        bool done = false;
        for (int64_t at = 1; !done; at++) {
            assert_ok(rig_start(&whole, mdp, 0, 1000, NULL, all_planners[i][0], all_planners[i][1]));
            for (int64_t k = 0; k < at; k++)
                rig_iterate(&whole);
            assert_ok(whole.report.failed);
            done = whole.report.done;
            save(&whole, temp_path("checkpoint"));
            assert_ok(rig_start(&cut, mdp, 0, 1000, NULL, all_planners[i][0], all_planners[i][1]));
            load(&cut, temp_path("checkpoint"));
            check_same(&whole, &cut);
            if (!done) {
                (void)rig_table(&whole); /* looking changes nothing */
                assert_ok(rig_finish(&whole));
                assert_ok(rig_finish(&cut));
                assert_int_equal(whole.report.env_steps, cut.report.env_steps);
                assert_memory_equal(whole.report.metric, cut.report.metric,
                                    sizeof(double) * REINI_PLAN_METRICS);
                check_same(&whole, &cut);
            }
            rig_end(&whole);
            rig_end(&cut);
        }
    }
    rein_mdp_free(mdp);
}

/* a policy that a planner made is given to evaluation */
static void evaluates_policy_files(void **state) {
    rein_rng rng = rein_rng_make(61, 0);
    rein_mdp *mdp = rig_random_mdp(&rng, &(rig_random){30, 4, 4, 0.1, true});
    rig_run best, plan;
    char settings[2 * TEMP_PATH + 32];
    assert_ok(rig_start(&best, mdp, 0, 1000, NULL, "value-iteration", "gamma=0.9"));
    assert_ok(rig_finish(&best));
    assert_ok(rein_policy_save(best.algo->policy(best.self), temp_path("p.safetensors")));
    snprintf(settings, sizeof settings, "gamma=0.9 policy=%s", temp_path("p.safetensors"));
    double V[30];
    assert_ok(rig_plan(mdp, NULL, "policy-evaluation", settings, V, NULL));
    for (int32_t s = 0; s < mdp->n_states; s++)
        assert_true(fabs(V[s] - rig_table(&best)->v[s]) < 2e-9);
    rig_end(&best);
    assert_ok(rig_start(&plan, mdp, 0, 1000, NULL, "backward-induction", "horizon=3"));
    assert_ok(rig_finish(&plan));
    assert_ok(rein_policy_save(plan.algo->policy(plan.self), temp_path("p.safetensors")));
    rig_end(&plan);
    assert_fails(rig_start(&plan, mdp, 0, 1000, NULL, "policy-evaluation", settings), REIN_USAGE,
                 "plan for 3 steps");
    rein_mdp_free(mdp);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static void memory_may_run_out_anywhere(void **state) {
    rein_mdp *mdp = cost_line();
    for (size_t i = 0; i < sizeof all_planners / sizeof *all_planners; i++) {
        char settings[80];
        bool failed = true;
        snprintf(settings, sizeof settings, "%s gamma=1", all_planners[i][1]);
        for (uint64_t nth = 1; failed; nth++) {
            uint64_t live = reini_memory_now().live_bytes;
            reini_memory_fail(nth, false);
            rig_run run;
            rein_status status = rig_start(&run, mdp, 0, 1000, NULL, all_planners[i][0], settings);
            status = status == REIN_OK ? rig_finish(&run) : status;
            reini_memory_fail(0, false);
            failed = status != REIN_OK;
            assert_true(status == REIN_OK || status == REIN_NOMEM);
            if (run.self != NULL)
                rig_end(&run);
            assert_true(reini_memory_now().live_bytes == live);
        }
    }
    rein_mdp_free(mdp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(uniform_policies),
        cmocka_unit_test(reports_and_tables),
        cmocka_unit_test(plans_in_time),
        cmocka_unit_test(horizons_are_checked),
        cmocka_unit_test(ways_round_that_cost_nothing),
        cmocka_unit_test(loops_that_promise_what_they_do_not_give),
        cmocka_unit_test(never_ending_is_refused),
        cmocka_unit_test(cycles_that_earn_are_found),
        cmocka_unit_test(planners_agree_at_gamma_1),
        cmocka_unit_test(tolerances_out_of_reach),
        cmocka_unit_test(differences_below_a_tie),
        cmocka_unit_test(out_of_sweeps),
        cmocka_unit_test(direct_solves_have_a_limit),
        cmocka_unit_test(only_tables_can_be_planned_on),
        cmocka_unit_test(resumed_at_any_iteration),
        cmocka_unit_test(evaluates_policy_files),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
