/*
 * test_backup.c - backups against the definition, sweeps against single states, linear solves against residuals,
 * chains and endings against cases worked out by hand and against all policies of small MDPs.
 */
#include "support/plan_rig.h"
#include <string.h>
#include "base/linear.h"
#include "mdp/reach.h"

/* ---- backups ------------------------------------------------------------------------------------------- */

/* from what the public interface says of the row, outcomes in order */
static double q_by_definition(const rein_mdp *mdp, double gamma, const double *V, int32_t s, int32_t a) {
    rein_outcome out[16];
    int n = rein_mdp_row(mdp, s, a, out, 16);
    double reward = 0, next = 0;
    for (int k = 0; k < n; k++) {
        reward += out[k].probability * out[k].reward;
        next += out[k].probability * V[out[k].next];
    }
    return n > 0 ? reini_mdp_shown(mdp, reward) + gamma * next : -INFINITY;
}

/* V of random numbers, ends at their values */
static double *random_values(const rein_mdp *mdp, rein_rng *rng) {
    double *V = calloc((size_t)mdp->n_states, sizeof *V);
    for (int32_t s = 0; s < mdp->n_states; s++)
        V[s] = mdp->terminal[s] ? reini_mdp_terminal_value(mdp, s) : rein_rng_uniform64(rng) * 10 - 5;
    return V;
}

static void check_state(const reini_bellman *b, const double *V, const double *out, int32_t s) {
    const rein_mdp *mdp = b->mdp;
    double best = mdp->terminal[s] ? V[s] : -INFINITY;
    for (int32_t a = 0; a < mdp->n_actions; a++) {
        double q = q_by_definition(mdp, b->gamma, V, s, a), found = reini_q(b, V, s, a);
        assert_true(q == found || fabs(q - found) < 1e-12);
        best = found > best ? found : best;
    }
    assert_true(out[s] == best); /* the sweep's bits are those of the single rows */
    assert_true(reini_best(b, V, s) == best);
}

/* rows of 1 to 5 outcomes, in MDPs of 4 actions and others, alike and not */
static void sweeps_are_backups_of_every_state(void **state) {
    for (int i = 0; i < 60; i++) {
        rein_rng rng = rein_rng_make(3, (uint64_t)i);
        rein_mdp *mdp =
            rig_random_mdp(&rng, &(rig_random){i < 50 ? 40 : 20000, 1 + i % 7, 1 + i % 5, 0.2, i & 1});
        double *V = random_values(mdp, &rng), *out = calloc((size_t)mdp->n_states, sizeof *out);
        reini_bellman b = {mdp, i % 10 / 10.0, NULL};
        reini_sweep sweep = reini_sweep_best(&b, V, out);
        double residual = 0, largest = 0;
        for (int32_t s = 0; s < mdp->n_states; s++) {
            check_state(&b, V, out, s);
            residual = fmax(residual, fabs(out[s] - V[s]));
            largest = fmax(largest, fabs(out[s]));
        }
        assert_true(sweep.residual == residual && sweep.largest == largest);
        free(V);
        free(out);
        rein_mdp_free(mdp);
    }
}

/* a slippery ring: four actions of the same three probabilities, where the sweep takes its fastest way */
static void four_equal_rows(void **state) {
    enum { STATES = 5000 };
    rein_mdp *mdp;
    rein_rng rng = rein_rng_make(4, 0);
    assert_ok(rein_mdp_new(STATES, 4, false, &mdp));
    for (int32_t s = 0; s < STATES; s++) {
        for (int32_t a = 0; a < 4 && s % 50 != 0; a++) {
            rein_outcome out[3];
            for (int k = 0; k < 3; k++)
                out[k] = (rein_outcome){(s + a * 7 + k * 100) % STATES, k == 0 ? 0.5 : 0.25,
                                        s % 97 == 3 ? k : 0.5};
            if (s % 61 != 7 || a != 2) /* one is missing here and there */
                assert_ok(rein_mdp_add(mdp, s, a, s % 71 == 5 ? 1 : 3,
                                       s % 71 == 5 ? &(rein_outcome){s, 1, 2} : out));
        }
        if (s % 50 == 0)
            assert_ok(rein_mdp_terminal(mdp, s, s % 100));
    }
    assert_ok(rein_mdp_finish(mdp));
    double *V = random_values(mdp, &rng), *out = calloc(STATES, sizeof *out);
    reini_bellman b = {mdp, 0.9, NULL};
    reini_sweep_best(&b, V, out);
    for (int32_t s = 0; s < STATES; s++)
        check_state(&b, V, out, s);
    free(V);
    free(out);
    rein_mdp_free(mdp);
}

static void in_place_uses_what_is_new(void **state) {
    const rig_edge line[] = {{0, 0, 1, -1}, {1, 0, 2, -1}, {2, 0, 3, -1}};
    rein_mdp *mdp = RIG_GRAPH(4, 1, false, line, RIG_ENDS(3));
    reini_bellman b = {mdp, 1, NULL};
    double V[4] = {0};
    assert_true(reini_sweep_in_place(&b, V, true).residual == 3); /* downwards, one sweep is enough */
    assert_true(V[0] == -3 && V[1] == -2 && V[2] == -1 && V[3] == 0);
    assert_true(reini_sweep_in_place(&b, V, true).residual == 0);
    memset(V, 0, sizeof V);
    assert_true(reini_sweep_in_place(&b, V, false).residual == 1);
    assert_true(V[0] == -1 && V[1] == -1 && V[2] == -1);
    rein_mdp_free(mdp);
}

static void ties_go_to_the_lowest_action(void **state) {
    const rig_edge edges[] = {{0, 0, 1, 1}, {0, 1, 1, 2}, {0, 2, 1, 2 + 1e-13}, {0, 3, 1, 2 - 1e-13}};
    rein_mdp *mdp = RIG_GRAPH(2, 4, false, edges, RIG_ENDS(1));
    reini_bellman b = {mdp, 0.9, NULL};
    double V[2] = {0};
    int32_t action[2] = {3, -1};
    assert_int_equal(reini_greedy(&b, V, 0), 1);
    assert_int_equal(reini_greedy(&b, V, 1), -1);
    assert_int_equal(reini_improve(&b, V, REINI_TIE, action), 0); /* as good, so it stays */
    assert_int_equal(reini_improve(&b, V, 0, action), 1);         /* unless it has to be the best */
    action[0] = 0;
    assert_int_equal(reini_improve(&b, V, REINI_TIE, action), 1);
    assert_int_equal(action[0], 1);
    action[0] = 3;
    assert_int_equal(reini_improve(&b, V, REINI_AFRESH, action), 1);
    assert_int_equal(action[0], 1);
    rein_mdp_free(mdp);
}

static void lookahead_is_in_the_users_units(void **state) {
    for (int cost = 0; cost < 2; cost++) {
        const rig_edge edges[] = {{0, 0, 1, 5}, {0, 2, 2, 3}, {1, 0, 2, 1}};
        rein_mdp *mdp = RIG_GRAPH(3, 3, cost, edges, RIG_ENDS(2));
        double V[3], Q[9], none = cost ? INFINITY : -INFINITY;
        int32_t policy[3];
        assert_ok(rein_mdp_solve(mdp, 0.5, 1e-9, V, policy));
        rein_mdp_lookahead(mdp, 0.5, V, Q);
        assert_true(V[0] == (cost ? 3 : 5.5) && V[1] == 1 && V[2] == 0);
        assert_true(Q[0] == 5.5 && Q[1] == none && Q[2] == 3);
        assert_true(Q[3] == 1 && Q[4] == none && Q[5] == none && Q[6] == 0 && Q[8] == 0);
        assert_int_equal(policy[0], cost ? 2 : 0);
        assert_int_equal(policy[2], -1);
        rein_mdp_free(mdp);
    }
}

/* ---- linear systems ------------------------------------------------------------------------------------ */

static void check_system(int32_t n, rein_pool *pool) {
    rein_rng rng = rein_rng_make(8, (uint64_t)n);
    size_t size = (size_t)n;
    double *a = calloc(size * size, sizeof *a), *lu = calloc(size * size, sizeof *a),
           *x = calloc(size, sizeof *x);
    double *right = calloc(size, sizeof *right), *alone = calloc(size * size, sizeof *a);
    int32_t *pivot = calloc(size, sizeof *pivot);
    for (size_t i = 0; i < size * size; i++)
        lu[i] = alone[i] = a[i] = rein_rng_uniform64(&rng) * 2 - 1; /* needs its pivots */
    for (size_t i = 0; i < size; i++)
        x[i] = right[i] = rein_rng_uniform64(&rng);
    assert_true(reini_lu_factor(alone, n, pivot, NULL));
    assert_true(reini_lu_factor(lu, n, pivot, pool));
    assert_memory_equal(alone, lu, size * size * sizeof *lu);
    reini_lu_solve(lu, n, pivot, x);
    for (size_t i = 0; i < size; i++) {
        double sum = 0;
        for (size_t k = 0; k < size; k++)
            sum += a[i * size + k] * x[k];
        assert_true(fabs(sum - right[i]) < 1e-9);
    }
    free(a);
    free(lu);
    free(alone);
    free(x);
    free(right);
    free(pivot);
}

/* around the sizes of blocks and strips */
static void systems_are_solved(void **state) {
    static const int32_t sizes[] = {1, 2, 3, 31, 47, 48, 49, 79, 80, 81, 96, 129, 200, 331};
    rein_pool *pool = rein_pool_new(2);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_system(sizes[i], pool);
    rein_pool_free(pool);
}

static void singular_systems_are_noticed(void **state) {
    double zero[1] = {0}, twice[4] = {1, 2, 2, 4}, infinite[1] = {INFINITY};
    double swap[4] = {0, 1, 1, 0}, x[2] = {3, 4};
    int32_t pivot[2];
    assert_false(reini_lu_factor(zero, 1, pivot, NULL));
    assert_false(reini_lu_factor(twice, 2, pivot, NULL));
    assert_false(reini_lu_factor(infinite, 1, pivot, NULL));
    assert_true(reini_lu_factor(swap, 2, pivot, NULL));
    reini_lu_solve(swap, 2, pivot, x);
    assert_true(x[0] == 4 && x[1] == 3);
}

/* ---- chains -------------------------------------------------------------------------------------------- */

/* 0 -> 1 <-> 2,  3 -> 3,  4 -> end,  5 -> 1 or 4 */
static rein_mdp *chains(double around, double alone) {
    rein_mdp *mdp;
    assert_ok(rein_mdp_new(7, 1, false, &mdp));
    assert_ok(rein_mdp_add(mdp, 0, 0, 1, &(rein_outcome){1, 1, 1}));
    assert_ok(rein_mdp_add(mdp, 1, 0, 1, &(rein_outcome){2, 1, around}));
    assert_ok(rein_mdp_add(mdp, 2, 0, 1, &(rein_outcome){1, 1, 0}));
    assert_ok(rein_mdp_add(mdp, 3, 0, 1, &(rein_outcome){3, 1, alone}));
    assert_ok(rein_mdp_add(mdp, 4, 0, 1, &(rein_outcome){6, 1, 5}));
    assert_ok(rein_mdp_add(mdp, 5, 0, 2, (rein_outcome[]){{1, 0.5, 0}, {4, 0.5, 0}}));
    assert_ok(rein_mdp_terminal(mdp, 6, 2));
    assert_ok(rein_mdp_finish(mdp));
    return mdp;
}

static void classes_of_a_chain(void **state) {
    static const int32_t action[7] = {0, 0, 0, 0, 0, 0, -1};
    reini_choice choice = {.action = action};
    rein_mdp *mdp = chains(3, 0);
    reini_classes classes;
    double low, high;
    assert_ok(reini_classes_init(&classes, mdp, &choice));
    assert_int_equal(classes.count, 2);
    assert_true(classes.of[0] < 0 && classes.of[4] < 0 && classes.of[5] < 0 && classes.of[6] < 0);
    assert_true(classes.of[1] >= 0 && classes.of[1] == classes.of[2]);
    assert_true(classes.of[3] >= 0 && classes.of[3] != classes.of[1]);
    assert_int_equal(reini_classes_earning(&classes, mdp, &choice), 1);
    assert_ok(reini_classes_gain(&classes, mdp, &choice, 1, &low, &high)); /* 3 in every second step */
    assert_true(low <= 1.5 && high >= 1.5 && high - low < 1e-8);
    reini_classes_release(&classes);
    rein_mdp_free(mdp);
}

static void values_at_gamma_1(void **state) {
    double pi[7] = {1, 1, 1, 1, 1, 1, 0}, V[7];
    static const double expected[7] = {1, 0, 0, 0, 7, 3.5, 2};
    rein_mdp *mdp = chains(0, 0);
    assert_ok(rein_mdp_evaluate(mdp, 1, 1e-9, pi, V));
    for (int s = 0; s < 7; s++)
        assert_true(fabs(V[s] - expected[s]) < 1e-12);
    rein_mdp_free(mdp);
    mdp = chains(0, -2);
    assert_fails(rein_mdp_evaluate(mdp, 1, 1e-9, pi, V), REIN_DIVERGED,
                 "state 3, at a reward of -2 per step");
    assert_ok(rein_mdp_evaluate(mdp, 0.5, 1e-9, pi, V));
    assert_true(fabs(V[3] + 4) < 1e-12);
    rein_mdp_free(mdp);
}

static void policies_are_checked(void **state) {
    double pi[7] = {1, 1, 1, 1, 1, 0.5, 0}, V[7];
    rein_mdp *mdp = chains(0, 0);
    assert_fails(rein_mdp_evaluate(mdp, 0.9, 1e-9, pi, V), REIN_USAGE,
                 "state 5: the policy's probabilities sum to 0.5");
    pi[5] = NAN;
    assert_fails(rein_mdp_evaluate(mdp, 0.9, 1e-9, pi, V), REIN_USAGE, "state 5, action 0");
    assert_fails(rein_mdp_evaluate(mdp, 1.5, 1e-9, pi, V), REIN_USAGE, "gamma is 1.5");
    assert_fails(rein_mdp_solve(mdp, 0.9, 0, V, NULL), REIN_USAGE, "the tolerance is 0");
    rein_mdp_free(mdp);
}

/* ---- endings ------------------------------------------------------------------------------------------- */

/* whether a policy ends from a state with probability 1: no class that earns or pays can be reached */
static void mark_ending(const rein_mdp *mdp, const int32_t *action, uint8_t *ends) {
    reini_choice choice = {.action = action};
    reini_classes classes;
    assert_ok(reini_classes_init(&classes, mdp, &choice));
    uint8_t endless[8] = {0};
    for (int32_t s = 0; s < mdp->n_states; s++)
        for (int32_t t = 0; t < mdp->n_states; t++)
            if (classes.of[s] >= 0 && classes.of[s] == classes.of[t] && !mdp->terminal[t]) {
                reini_row row = reini_mdp_row(mdp, t, action[t]);
                endless[s] |= !reini_row_is_free(&row);
            }
    for (int round = 0; round < mdp->n_states; round++)
        for (int32_t s = 0; s < mdp->n_states; s++)
            for (int32_t k = 0; !mdp->terminal[s] && k < reini_mdp_row(mdp, s, action[s]).count; k++)
                endless[s] |= endless[reini_mdp_row(mdp, s, action[s]).next[k]];
    for (int32_t s = 0; s < mdp->n_states; s++)
        ends[s] |= !endless[s];
    reini_classes_release(&classes);
}

/* rewards 0 in half of the rows, so that rest is possible */
static rein_mdp *restful_mdp(rein_rng *rng) {
    int32_t states = 3 + (int32_t)rein_rng_below(rng, 3);
    rein_mdp *mdp;
    assert_ok(rein_mdp_new(states, 2, false, &mdp));
    for (int32_t s = 0; s < states; s++) {
        if (rein_rng_below(rng, 6) == 0) {
            assert_ok(rein_mdp_terminal(mdp, s, 0));
            continue;
        }
        for (int32_t a = 0; a < 2; a++) {
            int n = 1 + (int)rein_rng_below(rng, 2);
            rein_outcome out[2];
            double reward = rein_rng_below(rng, 2);
            for (int k = 0; k < n; k++)
                out[k] = (rein_outcome){(int32_t)rein_rng_below(rng, (uint32_t)states), 1.0 / n, reward};
            assert_ok(rein_mdp_add(mdp, s, a, n, out));
        }
    }
    assert_ok(rein_mdp_finish(mdp));
    return mdp;
}

/* a state can be made to end exactly when one of all policies does it, and the policy found is one */
static void endings_by_trying_all_policies(void **state) {
    int stuck_somewhere = 0, sure_somewhere = 0;
    for (int i = 0; i < 400; i++) {
        rein_rng rng = rein_rng_make(12, (uint64_t)i);
        rein_mdp *mdp = restful_mdp(&rng);
        uint8_t can[8] = {0}, does[8] = {0};
        int32_t action[8], found[8], stuck, first = -1;
        for (int32_t code = 0; code < 1 << mdp->n_states; code++) {
            for (int32_t s = 0; s < mdp->n_states; s++)
                action[s] = mdp->terminal[s] ? -1 : code >> s & 1;
            mark_ending(mdp, action, can);
        }
        assert_ok(reini_ending_policy(mdp, NULL, found, &stuck));
        for (int32_t s = mdp->n_states; s-- > 0;) {
            first = can[s] ? first : s;
            assert_true(mdp->terminal[s] || (found[s] >= 0) == can[s]);
            action[s] = mdp->terminal[s] ? -1 : found[s] >= 0 ? found[s] : 0;
        }
        assert_int_equal(stuck, first);
        mark_ending(mdp, action, does);
        for (int32_t s = 0; s < mdp->n_states; s++)
            assert_true(!can[s] || does[s]);
        stuck_somewhere += stuck >= 0;
        sure_somewhere += stuck < 0;
        rein_mdp_free(mdp);
    }
    assert_true(stuck_somewhere > 20 && sure_somewhere > 20);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static void memory_may_run_out_anywhere(void **state) {
    double pi[7] = {1, 1, 1, 1, 1, 1, 0}, V[7];
    rein_mdp *mdp = chains(0, 0);
    for (int call = 0; call < 2; call++) {
        bool failed = true;
        for (uint64_t nth = 1; failed; nth++) {
            uint64_t live = reini_memory_now().live_bytes;
            reini_memory_fail(nth, false);
            rein_status status =
                call == 0 ? rein_mdp_solve(mdp, 1, 1e-9, V, NULL) : rein_mdp_evaluate(mdp, 1, 1e-9, pi, V);
            reini_memory_fail(0, false);
            failed = status != REIN_OK;
            assert_true(status == REIN_OK || status == REIN_NOMEM);
            assert_true(reini_memory_now().live_bytes == live);
        }
    }
    rein_mdp_free(mdp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sweeps_are_backups_of_every_state),
        cmocka_unit_test(four_equal_rows),
        cmocka_unit_test(in_place_uses_what_is_new),
        cmocka_unit_test(ties_go_to_the_lowest_action),
        cmocka_unit_test(lookahead_is_in_the_users_units),
        cmocka_unit_test(systems_are_solved),
        cmocka_unit_test(singular_systems_are_noticed),
        cmocka_unit_test(classes_of_a_chain),
        cmocka_unit_test(values_at_gamma_1),
        cmocka_unit_test(policies_are_checked),
        cmocka_unit_test(endings_by_trying_all_policies),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
