/*
 * test_planning_property.c - what holds on every MDP, on 200 random ones: all planners agree with each other and with
 * the direct solve of their greedy policies, residuals are below the tolerance, shaping by a potential changes no
 * greedy action, and the number of threads changes no bit.
 */
#include "support/plan_rig.h"

enum { MDPS = 200, MOST_STATES = 30, MOST_ACTIONS = 5 };
#define TOLERANCE 1e-9

static const double gammas[] = {0, 0.5, 0.9, 0.99};

static rein_mdp *random_mdp(int i) {
    rein_rng rng = rein_rng_make(2024, (uint64_t)i);
    rig_random kind = {MOST_STATES, MOST_ACTIONS, 1 + i % 6, i % 3 == 0 ? 0 : 0.15, i % 2 == 1};
    return rig_random_mdp(&rng, &kind);
}

static double distance(const double *a, const double *b, int32_t n) {
    double most = 0;
    for (int32_t s = 0; s < n; s++)
        most = fmax(most, fabs(a[s] - b[s]));
    return most;
}

/* what a policy of these actions is worth, by a direct solve */
static void worth(const rein_mdp *mdp, double gamma, const int32_t *action, double *V) {
    reini_direct d;
    reini_bellman b = {mdp, gamma, NULL};
    assert_ok(reini_direct_init(&d, mdp, "test"));
    assert_ok(reini_direct_solve(&d, &b, &(reini_choice){.action = action}, "test", V));
    reini_direct_release(&d);
}

/* ---- planners ------------------------------------------------------------------------------------------ */

static void check_planners(const rein_mdp *mdp, double gamma, const double *best) {
    double V[MOST_STATES], of_policy[MOST_STATES], residual;
    int32_t action[MOST_STATES], n = mdp->n_states;
    reini_bellman b = {mdp, gamma, NULL};
    for (int i = 0; i < RIG_PLANNERS; i++) {
        char settings[80];
        snprintf(settings, sizeof settings, "%s gamma=%g tolerance=%g", rig_planners[i][1], gamma, TOLERANCE);
        assert_ok(rig_plan(mdp, NULL, rig_planners[i][0], settings, V, action));
        residual = reini_sweep_best(&b, V, of_policy).residual;
        worth(mdp, gamma, action, of_policy);
        if (!(distance(V, best, n) <= TOLERANCE && distance(of_policy, best, n) <= TOLERANCE &&
              residual <= TOLERANCE))
            fail_msg("%s %s: %g from the optimum, its policy %g, residual %g", rig_planners[i][0], settings,
                     distance(V, best, n), distance(of_policy, best, n), residual);
    }
}

static void planners_agree(void **state) {
    for (int i = 0; i < MDPS; i++) {
        rein_mdp *mdp = random_mdp(i);
        for (size_t k = 0; k < sizeof gammas / sizeof *gammas; k++) {
            double shown[MOST_STATES], best[MOST_STATES], of_policy[MOST_STATES];
            int32_t action[MOST_STATES];
            assert_ok(rein_mdp_solve(mdp, gammas[k], TOLERANCE, shown, action));
            for (int32_t s = 0; s < mdp->n_states; s++)
                best[s] = reini_mdp_shown(mdp, shown[s]);
            worth(mdp, gammas[k], action, of_policy);
            assert_true(distance(best, of_policy, mdp->n_states) <= TOLERANCE);
            check_planners(mdp, gammas[k], best);
        }
        rein_mdp_free(mdp);
    }
}

/* no policy of a small MDP is better than what is called the optimum: all are tried */
static void nothing_is_better(void **state) {
    for (int i = 0; i < 60; i++) {
        rein_rng rng = rein_rng_make(7, (uint64_t)i);
        rein_mdp *mdp = rig_random_mdp(&rng, &(rig_random){5, 3, 3, 0.2, i % 2 == 1});
        double best[5], V[5], gamma = gammas[i % 4], most[5];
        int32_t action[5], found[5], policies = 1;
        char settings[32];
        snprintf(settings, sizeof settings, "gamma=%g", gamma);
        assert_ok(rig_plan(mdp, NULL, "value-iteration", settings, best, found));
        for (int32_t s = 0; s < mdp->n_states; s++) {
            policies *= mdp->n_actions;
            most[s] = -INFINITY;
        }
        for (int32_t code = 0; code < policies; code++) {
            bool possible = true;
            for (int32_t s = 0, left = code; s < mdp->n_states; s++, left /= mdp->n_actions) {
                action[s] = left % mdp->n_actions;
                possible &= mdp->terminal[s] || reini_mdp_row(mdp, s, action[s]).count > 0;
            }
            if (!possible)
                continue;
            worth(mdp, gamma, action, V);
            for (int32_t s = 0; s < mdp->n_states; s++)
                most[s] = fmax(most[s], V[s]);
        }
        assert_true(distance(most, best, mdp->n_states) <= TOLERANCE);
        rein_mdp_free(mdp);
    }
}

/* ---- evaluation ---------------------------------------------------------------------------------------- */

/* the uniform policy by the planner's two methods and by the library's call */
static void evaluations_agree(void **state) {
    for (int i = 0; i < MDPS; i++) {
        rein_mdp *mdp = random_mdp(i);
        double pi[MOST_STATES * MOST_ACTIONS] = {0}, V[2][MOST_STATES], exact[MOST_STATES];
        int32_t A = mdp->n_actions;
        char settings[2][80];
        for (int32_t s = 0; s < mdp->n_states; s++) {
            int32_t there = 0;
            for (int32_t a = 0; a < A; a++)
                there += reini_mdp_row(mdp, s, a).count > 0;
            for (int32_t a = 0; a < A; a++)
                pi[s * A + a] = reini_mdp_row(mdp, s, a).count > 0 ? 1.0 / there : 0;
        }
        double gamma = gammas[i % 4];
        snprintf(settings[0], sizeof settings[0], "gamma=%g method=direct", gamma);
        snprintf(settings[1], sizeof settings[1], "gamma=%g method=iterative", gamma);
        assert_ok(rein_mdp_evaluate(mdp, gamma, TOLERANCE, pi, exact));
        for (int k = 0; k < 2; k++) {
            assert_ok(rig_plan(mdp, NULL, "policy-evaluation", settings[k], V[k], NULL));
            for (int32_t s = 0; s < mdp->n_states; s++)
                assert_true(fabs(reini_mdp_shown(mdp, V[k][s]) - exact[s]) <= TOLERANCE);
        }
        rein_mdp_free(mdp);
    }
}

/* ---- potential-based shaping (A. Ng, D. Harada, S. Russell, 1999) -------------------------------------- */

/* the MDP with r + gamma Phi(s') - Phi(s) in place of r; terminal states without values, for there Phi has to
 * be 0 */
static rein_mdp *with_rewards(const rein_mdp *mdp, double gamma, const double *phi) {
    rein_mdp *copy;
    rein_outcome out[16];
    assert_ok(rein_mdp_new(mdp->n_states, mdp->n_actions, false, &copy));
    for (int32_t s = 0; s < mdp->n_states; s++) {
        if (mdp->terminal[s])
            assert_ok(rein_mdp_terminal(copy, s, 0));
        for (int32_t a = 0; a < mdp->n_actions; a++) {
            int n = rein_mdp_row(mdp, s, a, out, 16);
            for (int k = 0; k < n; k++)
                out[k].reward += gamma * phi[out[k].next] - phi[s];
            if (n > 0)
                assert_ok(rein_mdp_add(copy, s, a, n, out));
        }
    }
    assert_ok(rein_mdp_finish(copy));
    return copy;
}

/* Bits of the actions that are best within 1e-7; `clear` is false when one is close to that border, which no
 * tolerance can decide. */
static uint32_t best_actions(const rein_mdp *mdp, double gamma, const double *V, int32_t s, bool *clear) {
    reini_bellman b = {mdp, gamma, NULL};
    uint32_t bits = 0;
    double best = reini_best(&b, V, s);
    for (int32_t a = 0; a < mdp->n_actions; a++) {
        double gap = best - reini_q(&b, V, s, a);
        bits |= gap < 1e-7 ? 1u << a : 0;
        *clear &= gap < 1e-8 || gap > 1e-6;
    }
    return bits;
}

/* states whose best actions differ between two MDPs */
static int count_differences(const rein_mdp *one, const rein_mdp *other, double gamma, bool *clear) {
    double V[2][MOST_STATES];
    int different = 0;
    assert_ok(rein_mdp_solve(one, gamma, TOLERANCE, V[0], NULL));
    assert_ok(rein_mdp_solve(other, gamma, TOLERANCE, V[1], NULL));
    for (int32_t s = 0; s < one->n_states; s++)
        if (!one->terminal[s])
            different +=
                best_actions(one, gamma, V[0], s, clear) != best_actions(other, gamma, V[1], s, clear);
    return different;
}

static void potentials_change_no_greedy_action(void **state) {
    int compared = 0;
    for (int i = 0; i < MDPS; i++) {
        rein_mdp *random = random_mdp(i);
        rein_rng rng = rein_rng_make(99, (uint64_t)i);
        double zero[MOST_STATES] = {0}, phi[MOST_STATES], gamma = gammas[i % 4];
        bool clear = true;
        for (int32_t s = 0; s < random->n_states; s++)
            phi[s] = random->terminal[s] ? 0 : 20 * rein_rng_uniform64(&rng) - 10;
        rein_mdp *plain = with_rewards(random, gamma, zero), *shaped = with_rewards(random, gamma, phi);
        int different = count_differences(plain, shaped, gamma, &clear);
        compared += clear;
        assert_true(!clear || different == 0);
        rein_mdp_free(random);
        rein_mdp_free(plain);
        rein_mdp_free(shaped);
    }
    assert_true(compared > MDPS * 9 / 10);
}

/* 0 -> 1 (reward 1) or 0 -> 2 (reward 0), both ends: with Phi(2) = 5 the worse one looks better */
static void potentials_at_ends_do(void **state) {
    const rig_edge edges[] = {{0, 0, 1, 1}, {0, 1, 2, 0}};
    double zero[3] = {0}, good[3] = {3, 0, 0}, bad[3] = {3, 0, 5};
    bool clear = true;
    rein_mdp *mdp = RIG_GRAPH(3, 2, false, edges, RIG_ENDS(1, 2));
    rein_mdp *plain = with_rewards(mdp, 0.9, zero);
    rein_mdp *right = with_rewards(mdp, 0.9, good), *wrong = with_rewards(mdp, 0.9, bad);
    assert_int_equal(count_differences(plain, right, 0.9, &clear), 0);
    assert_int_equal(count_differences(plain, wrong, 0.9, &clear), 1);
    assert_true(clear);
    rein_mdp_free(mdp);
    rein_mdp_free(plain);
    rein_mdp_free(right);
    rein_mdp_free(wrong);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

/* large enough for several ranges of states */
static void threads_change_no_bit(void **state) {
    enum { STATES = 20000 };
    rein_rng rng = rein_rng_make(5, 0);
    rein_outcome out[4];
    rein_mdp *mdp;
    double *V = calloc(2 * STATES, sizeof *V);
    int32_t *action = calloc(2 * STATES, sizeof *action);
    rein_pool *pool = rein_pool_new(3);
    assert_ok(rein_mdp_new(STATES, 3, false, &mdp));
    for (int32_t s = 0; s < STATES - 1; s++)
        for (int32_t a = 0; a < 3; a++)
            assert_ok(rein_mdp_add(mdp, s, a, rig_row(&rng, STATES, 4, out), out));
    assert_ok(rein_mdp_terminal(mdp, STATES - 1, 3));
    assert_ok(rein_mdp_finish(mdp));
    for (int i = 0; i < RIG_PLANNERS; i++) {
        char settings[80];
        if (strcmp(rig_planners[i][1], "evaluation=direct") == 0)
            continue;
        snprintf(settings, sizeof settings, "%s gamma=0.9", rig_planners[i][1]);
        assert_ok(rig_plan(mdp, NULL, rig_planners[i][0], settings, V, action));
        assert_ok(rig_plan(mdp, pool, rig_planners[i][0], settings, V + STATES, action + STATES));
        assert_memory_equal(V, V + STATES, STATES * sizeof *V);
        assert_memory_equal(action, action + STATES, STATES * sizeof *action);
    }
    rein_mdp_free(mdp);
    rein_pool_free(pool);
    free(V);
    free(action);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planners_agree),        cmocka_unit_test(nothing_is_better),
        cmocka_unit_test(evaluations_agree),     cmocka_unit_test(potentials_change_no_greedy_action),
        cmocka_unit_test(potentials_at_ends_do), cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
