/*
 * test_mdp.c - what is built is what is read, mistakes are named, tables are small, and memory may run out anywhere.
 */
#include "support/check.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <rein/rng.h>
#include "mdp/mdp.h"

#define ONE(next_, reward_) (&(rein_outcome){.next = (next_), .probability = 1, .reward = (reward_)})

static rein_mdp *new_mdp(int32_t states, int32_t actions, bool cost) {
    rein_mdp *mdp;
    assert_ok(rein_mdp_new(states, actions, cost, &mdp));
    return mdp;
}

/* 0 -> 1 -> 2 -> 3, which is worth 10 */
static rein_mdp *new_line(bool cost) {
    rein_mdp *mdp = new_mdp(4, 1, cost);
    for (int32_t s = 0; s < 3; s++)
        assert_ok(rein_mdp_add(mdp, s, 0, 1, ONE(s + 1, s)));
    assert_ok(rein_mdp_terminal(mdp, 3, 10));
    return mdp;
}

/* ---- random rows, drawn again to be compared --------------------------------------------------------------------- */

enum { STATES = 300, ACTIONS = 5, OUTCOMES = 6 };

/* a row of n outcomes; few kinds of rewards and probabilities, so that many rows are alike and others nearly */
static int draw_row(rein_rng *rng, rein_outcome *out) {
    int n = 1 + (int)rein_rng_below(rng, OUTCOMES), left = 8;
    int rewards = (int)rein_rng_below(rng, 3);
    n = rein_rng_below(rng, 6) == 0 ? 0 : n;
    for (int k = 0; k < n; k++) {
        int eighths = k == n - 1 ? left : 1 + (int)rein_rng_below(rng, (uint32_t)(left - (n - 1 - k)));
        left -= eighths;
        out[k].next = (int32_t)rein_rng_below(rng, STATES);
        out[k].probability = eighths / 8.0;
        out[k].reward = rewards == 0 ? 0 : rewards == 1 ? 1.0 / 3 : (double)rein_rng_below(rng, 3) - 1;
    }
    return n;
}

static bool is_terminal(int32_t s) {
    return s % 17 == 3;
}

static rein_status fill_random(rein_mdp *mdp, uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 0);
    rein_outcome row[OUTCOMES];
    for (int32_t s = 0; s < STATES; s++)
        for (int32_t a = 0; a < ACTIONS; a++) {
            int n = draw_row(&rng, row);
            if (a == 0 && n == 0) /* no state without an action */
                row[n++] = (rein_outcome){0, 1, 0.5};
            if (n > 0 && !is_terminal(s))
                REINI_TRY(rein_mdp_add(mdp, s, a, n, row));
        }
    for (int32_t s = 0; s < STATES; s++) {
        if (is_terminal(s))
            REINI_TRY(rein_mdp_terminal(mdp, s, s % 2 ? s : 0));
        if (s % 10 == 0)
            REINI_TRY(rein_mdp_start(mdp, s, s % 4));
    }
    return rein_mdp_finish(mdp);
}

static double expected(const rein_outcome *row, int n) {
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += row[k].probability * row[k].reward;
    return sum;
}

static void check_row(const rein_mdp *mdp, int32_t s, int32_t a, const rein_outcome *row, int n) {
    rein_outcome found[OUTCOMES];
    assert_int_equal(rein_mdp_row(mdp, s, a, found, OUTCOMES), n);
    reini_row inside = reini_mdp_row(mdp, s, a);
    assert_int_equal(inside.count, n);
    double sign = mdp->cost ? -1 : 1;
    for (int k = 0; k < n; k++) {
        assert_int_equal(found[k].next, row[k].next);
        assert_memory_equal(&found[k].probability, &row[k].probability, sizeof(double));
        assert_memory_equal(&found[k].reward, &row[k].reward, sizeof(double));
        assert_int_equal(inside.next[k], row[k].next);
        assert_true(inside.p[k] == row[k].probability);
        assert_true((inside.r ? inside.r[k] : inside.reward) == sign * row[k].reward);
    }
    if (n > 0)
        assert_true(fabs(inside.reward - sign * expected(row, n)) < 1e-15);
}

static void rows_read_as_they_were_added(void **state) {
    for (uint64_t seed = 0; seed < 20; seed++) {
        rein_mdp *mdp = new_mdp(STATES, ACTIONS, seed % 2);
        rein_outcome row[OUTCOMES];
        int64_t transitions = 0;
        assert_ok(fill_random(mdp, seed));
        rein_rng rng = rein_rng_make(seed, 0);
        for (int32_t s = 0; s < STATES; s++)
            for (int32_t a = 0; a < ACTIONS; a++) {
                int n = draw_row(&rng, row);
                if (a == 0 && n == 0)
                    row[n++] = (rein_outcome){0, 1, 0.5};
                n = is_terminal(s) ? 0 : n;
                check_row(mdp, s, a, row, n);
                transitions += n;
            }
        assert_int_equal(rein_mdp_transitions(mdp), transitions);
        rein_mdp_free(mdp);
    }
}

static bool same_shape(const rein_mdp *mdp, uint32_t i, uint32_t j) {
    const reini_shape *a = &mdp->shapes[i], *b = &mdp->shapes[j];
    size_t bytes = (size_t)a->count * sizeof(double);
    if (a->count != b->count || memcmp(mdp->p + a->p, mdp->p + b->p, bytes) != 0)
        return false;
    if (a->r < 0 || b->r < 0)
        return a->r < 0 && b->r < 0 && a->reward == b->reward;
    return memcmp(mdp->r + a->r, mdp->r + b->r, bytes) == 0;
}

static void equal_rows_share_one_shape(void **state) {
    rein_mdp *mdp = new_mdp(STATES, ACTIONS, false);
    assert_ok(fill_random(mdp, 1));
    assert_true(mdp->n_shapes > 64); /* the index has grown */
    for (uint32_t i = 0; i < mdp->n_shapes; i++)
        for (uint32_t j = 0; j < i; j++)
            assert_false(same_shape(mdp, i, j));
    rein_mdp_free(mdp);

    mdp = new_mdp(1000, 1, false); /* 0 and -0 are one number */
    for (int32_t s = 0; s < 1000; s++)
        assert_ok(rein_mdp_add(mdp, s, 0, 1, ONE(0, s % 2 ? 0.0 : -0.0)));
    assert_ok(rein_mdp_finish(mdp));
    assert_int_equal(mdp->n_shapes, 2);
    rein_mdp_free(mdp);
}

/* ---- orientation, values, starts ----------------------------------------------------------------------------------- */

static void costs_turn_inside_and_back(void **state) {
    rein_mdp *mdp = new_line(true);
    rein_outcome o;
    double value;
    assert_ok(rein_mdp_finish(mdp));
    assert_true(rein_mdp_is_cost(mdp));
    assert_int_equal(rein_mdp_row(mdp, 2, 0, &o, 1), 1);
    assert_true(o.reward == 2);
    assert_true(reini_mdp_row(mdp, 2, 0).reward == -2);
    assert_int_equal(rein_mdp_row(mdp, 0, 0, &o, 1), 1);
    assert_false(signbit(o.reward));
    assert_false(signbit(reini_mdp_row(mdp, 0, 0).reward));
    assert_true(rein_mdp_is_terminal(mdp, 3, &value) && value == 10);
    assert_true(reini_mdp_terminal_value(mdp, 3) == -10);
    rein_mdp_free(mdp);

    mdp = new_mdp(2, 1, true);
    assert_ok(rein_mdp_add(mdp, 0, 0, 1, ONE(1, 1)));
    assert_ok(rein_mdp_terminal(mdp, 1, -0.0));
    assert_ok(rein_mdp_finish(mdp));
    assert_null(mdp->terminal_value);
    assert_true(rein_mdp_is_terminal(mdp, 1, &value) && value == 0 && !signbit(value));
    rein_mdp_free(mdp);
}

static void reading_outside_gives_nothing(void **state) {
    rein_mdp *mdp = new_line(false);
    rein_outcome o;
    int32_t s;
    double p;
    assert_false(rein_mdp_start_at(mdp, 0, &s, &p)); /* not before it is finished */
    assert_ok(rein_mdp_finish(mdp));
    assert_int_equal(rein_mdp_states(mdp), 4);
    assert_int_equal(rein_mdp_actions(mdp), 1);
    assert_int_equal(rein_mdp_row(mdp, -1, 0, &o, 1), 0);
    assert_int_equal(rein_mdp_row(mdp, 4, 0, &o, 1), 0);
    assert_int_equal(rein_mdp_row(mdp, 0, 1, &o, 1), 0);
    assert_int_equal(rein_mdp_row(mdp, 3, 0, &o, 1), 0);
    assert_int_equal(rein_mdp_row(mdp, 0, 0, NULL, 0), 1);
    assert_false(rein_mdp_is_terminal(mdp, -1, NULL));
    assert_false(rein_mdp_is_terminal(mdp, 4, NULL));
    assert_false(rein_mdp_is_terminal(mdp, 0, NULL));
    assert_true(rein_mdp_start_at(mdp, 0, &s, &p) && s == 0 && p == 1);
    assert_false(rein_mdp_start_at(mdp, 1, &s, &p));
    assert_false(rein_mdp_start_at(mdp, -1, &s, &p));
    assert_null(rein_mdp_panel_at(mdp, 0));
    assert_string_equal(rein_mdp_action_name(mdp, 1), "");
    rein_mdp_free(mdp);
}

static void starts_become_a_distribution(void **state) {
    rein_mdp *mdp = new_line(false);
    int32_t s;
    double p;
    assert_ok(rein_mdp_start(mdp, 2, 1));
    assert_ok(rein_mdp_start(mdp, 1, 0));
    assert_ok(rein_mdp_start(mdp, 3, 4)); /* a terminal state may be a start */
    assert_ok(rein_mdp_start(mdp, 0, 2));
    assert_ok(rein_mdp_start(mdp, 2, 1));
    assert_ok(rein_mdp_finish(mdp));
    assert_int_equal(mdp->n_starts, 3);
    assert_true(rein_mdp_start_at(mdp, 0, &s, &p) && s == 0 && p == 0.25);
    assert_true(rein_mdp_start_at(mdp, 1, &s, &p) && s == 2 && p == 0.25);
    assert_true(rein_mdp_start_at(mdp, 2, &s, &p) && s == 3 && p == 0.5);
    assert_true(mdp->starts[0].p_upto == 0.25 && mdp->starts[1].p_upto == 0.5 && mdp->starts[2].p_upto == 1);
    rein_mdp_free(mdp);

    mdp = new_mdp(3000, 1, false);
    for (int32_t i = 0; i < 3000; i++) {
        assert_ok(rein_mdp_add(mdp, i, 0, 1, ONE(i, 0)));
        assert_ok(rein_mdp_start(mdp, 2999 - i, 1 + i % 7));
    }
    assert_ok(rein_mdp_finish(mdp));
    for (int32_t i = 1; i < 3000; i++)
        assert_true(mdp->starts[i].p_upto > mdp->starts[i - 1].p_upto);
    assert_true(mdp->starts[2999].p_upto == 1);
    rein_mdp_free(mdp);
}

/* ---- mistakes ------------------------------------------------------------------------------------------------------ */

static void sizes_are_checked(void **state) {
    rein_mdp *mdp;
    assert_fails(rein_mdp_new(0, 1, false, &mdp), REIN_USAGE, "0 states");
    assert_null(mdp);
    assert_fails(rein_mdp_new(-5, 1, false, &mdp), REIN_USAGE, "-5 states");
    assert_fails(rein_mdp_new(1, 0, false, &mdp), REIN_USAGE, "0 actions");
    assert_fails(rein_mdp_new(1, 65536, false, &mdp), REIN_USAGE, "expected 1 to 65535");
    assert_ok(rein_mdp_new(1, 65535, false, &mdp));
    rein_mdp_free(mdp);
    rein_mdp_free(NULL);
}

static void bad_rows_are_named(void **state) {
    rein_mdp *mdp = new_mdp(4, 2, false);
    rein_outcome two[2] = {{1, 0.5, 0}, {2, 0.25, 0}};
    assert_fails(rein_mdp_add(mdp, 4, 0, 1, ONE(0, 0)), REIN_USAGE, "state 4 does not exist");
    assert_fails(rein_mdp_add(mdp, -1, 0, 1, ONE(0, 0)), REIN_USAGE, "states 0 to 3");
    assert_fails(rein_mdp_add(mdp, 1, 2, 1, ONE(0, 0)), REIN_USAGE, "state 1: action 2 does not exist");
    assert_fails(rein_mdp_add(mdp, 1, -1, 1, ONE(0, 0)), REIN_USAGE, "actions 0 to 1");
    assert_fails(rein_mdp_add(mdp, 1, 1, 0, two), REIN_USAGE, "state 1, action 1: 0 outcomes");
    assert_fails(rein_mdp_add(mdp, 1, 1, 1, ONE(4, 0)), REIN_USAGE, "state 1, action 1: next state 4");
    assert_fails(rein_mdp_add(mdp, 1, 1, 2, two), REIN_USAGE,
                 "state 1, action 1: the probabilities sum to 0.75");
    two[1].probability = 0.5 + 2e-9;
    assert_fails(rein_mdp_add(mdp, 1, 1, 2, two), REIN_USAGE, "1.000000002, expected 1");
    two[1].probability = 0;
    assert_fails(rein_mdp_add(mdp, 1, 1, 2, two), REIN_USAGE,
                 "state 1, action 1: probability 0 of next state 2");
    two[1].probability = 1.5;
    assert_fails(rein_mdp_add(mdp, 1, 1, 2, two), REIN_USAGE, "at most 1");
    two[1].probability = NAN;
    assert_fails(rein_mdp_add(mdp, 1, 1, 2, two), REIN_USAGE, "probability nan");
    two[1] = (rein_outcome){3, 0.5, INFINITY};
    assert_fails(rein_mdp_add(mdp, 1, 1, 2, two), REIN_USAGE, "reward inf to next state 3 is not finite");
    two[0].probability = two[1].probability = 0.5 + 4e-10;
    two[0].reward = two[1].reward = DBL_MAX;
    two[1].reward = nextafter(DBL_MAX, 0);
    assert_fails(rein_mdp_add(mdp, 1, 1, 2, two), REIN_USAGE, "too large");
    assert_int_equal(rein_mdp_transitions(mdp), 0); /* nothing of these stayed */

    two[0] = (rein_outcome){1, 0.5, 0};
    two[1] = (rein_outcome){1, 0.5 + 5e-10, 0};
    assert_ok(rein_mdp_add(mdp, 1, 1, 2, two));
    assert_fails(rein_mdp_add(mdp, 1, 1, 2, two), REIN_USAGE, "state 1, action 1: this row is there already");
    assert_fails(rein_mdp_add(mdp, 1, 0, 2, two), REIN_USAGE, "the last was state 1, action 1");
    assert_fails(rein_mdp_add(mdp, 0, 1, 2, two), REIN_USAGE, "ascending order");
    assert_int_equal(rein_mdp_transitions(mdp), 2);
    rein_mdp_free(mdp);
}

static void bad_states_are_named(void **state) {
    rein_mdp *mdp = new_line(false);
    assert_fails(rein_mdp_terminal(mdp, 4, 0), REIN_USAGE, "terminal state 4 does not exist");
    assert_fails(rein_mdp_terminal(mdp, 3, NAN), REIN_USAGE, "terminal state 3: the value nan");
    assert_fails(rein_mdp_terminal(mdp, 3, 9), REIN_USAGE, "has the value 10 already, not 9");
    assert_ok(rein_mdp_terminal(mdp, 3, 10));
    assert_fails(rein_mdp_start(mdp, -1, 1), REIN_USAGE, "start state -1 does not exist");
    assert_fails(rein_mdp_start(mdp, 1, -1), REIN_USAGE, "start state 1: weight -1");
    assert_fails(rein_mdp_start(mdp, 1, NAN), REIN_USAGE, "weight nan");
    assert_ok(rein_mdp_start(mdp, 1, DBL_MAX));
    assert_fails(rein_mdp_start(mdp, 1, DBL_MAX), REIN_USAGE, "finite total");
    assert_ok(rein_mdp_finish(mdp));
    assert_fails(rein_mdp_finish(mdp), REIN_USAGE, "finished already");
    assert_fails(rein_mdp_add(mdp, 3, 0, 1, ONE(0, 0)), REIN_USAGE, "nothing can be added");
    assert_fails(rein_mdp_terminal(mdp, 3, 0), REIN_USAGE, "nothing can be added");
    assert_fails(rein_mdp_start(mdp, 3, 0), REIN_USAGE, "nothing can be added");
    rein_mdp_free(mdp);
}

static void finish_finds_what_is_missing(void **state) {
    rein_mdp *mdp = new_mdp(3, 2, false);
    assert_ok(rein_mdp_add(mdp, 0, 1, 1, ONE(1, 0)));
    assert_ok(rein_mdp_terminal(mdp, 1, 0));
    assert_fails(rein_mdp_finish(mdp), REIN_USAGE, "state 2 has no action and is not terminal");
    assert_ok(rein_mdp_add(mdp, 2, 1, 1, ONE(1, 0)));
    assert_ok(rein_mdp_start(mdp, 1, 0));
    assert_ok(rein_mdp_start(mdp, 2, 0));
    assert_fails(rein_mdp_finish(mdp), REIN_USAGE, "all 2 start states are 0");
    assert_ok(rein_mdp_terminal(mdp, 2, 0));
    assert_fails(rein_mdp_finish(mdp), REIN_USAGE, "state 2 is terminal, but has a row for action 1");
    rein_mdp_free(mdp);
}

/* ---- names and panels ---------------------------------------------------------------------------------------------- */

static void actions_have_names(void **state) {
    rein_mdp *mdp = new_mdp(1, 12, false);
    assert_string_equal(rein_mdp_action_name(mdp, 11), "11");
    assert_int_equal(rein_mdp_action_glyph(mdp, 11), 0);
    assert_ok(rein_mdp_name_action(mdp, 11, "left", '<'));
    assert_string_equal(rein_mdp_action_name(mdp, 11), "left");
    assert_int_equal(rein_mdp_action_glyph(mdp, 11), '<');
    assert_string_equal(rein_mdp_action_name(mdp, 0), "0");
    assert_ok(rein_mdp_name_action(mdp, 10, "10", 0));
    assert_ok(rein_mdp_name_action(mdp, 9, "\xc3\xa0 gauche \xe2\x86\x90 \xf0\x9f\x91\x88", 0));
    static const char *const bad[] = {"",
                                      "a\nb",
                                      "\x7f",
                                      "\xc3",
                                      "\xc0\xaf",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xff",
                                      "\xf0\x80\x80\x80",
                                      "\xe2\x86",
                                      "a name that is longer than 31 bytes"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(rein_mdp_name_action(mdp, 3, bad[i], 0), REIN_USAGE, "action 3");
    assert_fails(rein_mdp_name_action(mdp, 12, "x", 0), REIN_USAGE, "action 12 to be named does not exist");
    assert_fails(rein_mdp_name_action(mdp, -1, "x", 0), REIN_USAGE, "actions 0 to 11");
    assert_fails(rein_mdp_name_action(mdp, 3, "4", 0), REIN_USAGE, "would be taken for a number");
    assert_fails(rein_mdp_name_action(mdp, 3, "left", 0), REIN_USAGE,
                 "actions 11 and 3 are both called \"left\"");
    assert_fails(rein_mdp_name_action(mdp, 3, "x", ' '), REIN_USAGE, "no glyph");
    assert_fails(rein_mdp_name_action(mdp, 3, "x", (char)200), REIN_USAGE, "character 200");
    rein_mdp_free(mdp);
}

static void panels_are_copied(void **state) {
    rein_mdp *mdp = new_line(false);
    for (int i = 0; i < 9; i++) {
        int32_t cells[4] = {i % 4, -1, 2, 3};
        char title[16];
        snprintf(title, sizeof title, "panel %d", i);
        rein_panel panel = {title, 2, 2, cells, i ? "S# G" : NULL};
        assert_ok(rein_mdp_add_panel(mdp, &panel));
        memset(cells, 0, sizeof cells);
        memset(title, 0, sizeof title);
        if (i == 4)
            assert_ok(rein_mdp_finish(mdp));
    }
    for (int i = 0; i < 9; i++) {
        const rein_panel *panel = rein_mdp_panel_at(mdp, i);
        assert_int_equal(panel->title[6], '0' + i);
        assert_int_equal(panel->state[0], i % 4);
        assert_int_equal(panel->state[1], -1);
        assert_string_equal(panel->symbol, i ? "S# G" : "    ");
    }
    assert_null(rein_mdp_panel_at(mdp, 9));
    assert_null(rein_mdp_panel_at(mdp, -1));
    int32_t cells[2] = {0, 4};
    rein_panel panel = {NULL, 1, 2, cells, NULL};
    assert_fails(rein_mdp_add_panel(mdp, &panel), REIN_USAGE, "row 0, column 1 of a panel: state 4");
    cells[1] = -2;
    assert_fails(rein_mdp_add_panel(mdp, &panel), REIN_USAGE, "state -2");
    cells[1] = -1;
    assert_ok(rein_mdp_add_panel(mdp, &panel));
    assert_string_equal(rein_mdp_panel_at(mdp, 9)->title, "");
    panel.symbol = "\n ";
    assert_fails(rein_mdp_add_panel(mdp, &panel), REIN_USAGE, "character 10");
    panel = (rein_panel){"\xff", 1, 2, cells, NULL};
    assert_fails(rein_mdp_add_panel(mdp, &panel), REIN_USAGE, "title");
    panel = (rein_panel){"", 0, 2, cells, NULL};
    assert_fails(rein_mdp_add_panel(mdp, &panel), REIN_USAGE, "0 x 2");
    panel = (rein_panel){"", 65536, 65536, cells, NULL};
    assert_fails(rein_mdp_add_panel(mdp, &panel), REIN_USAGE, "65536 x 65536");
    rein_mdp_free(mdp);
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

static int32_t step(int32_t side, int32_t s, int direction) {
    int32_t x = s % side, y = s / side;
    x += direction == 2 ? x < side - 1 : direction == 0 ? -(x > 0) : 0;
    y += direction == 1 ? y < side - 1 : direction == 3 ? -(y > 0) : 0;
    return y * side + x;
}

/* FrozenLake's rule on an open field: a third each for the direction and its two neighbours */
static rein_mdp *new_grid(int32_t side) {
    int32_t states = side * side;
    rein_mdp *mdp = new_mdp(states, 4, false);
    for (int32_t s = 0; s < states - 1; s++)
        for (int a = 0; a < 4; a++) {
            rein_outcome row[3];
            for (int k = 0; k < 3; k++) {
                row[k].next = step(side, s, (a + k + 3) % 4);
                row[k].probability = 1.0 / 3;
                row[k].reward = row[k].next == states - 1;
            }
            assert_ok(rein_mdp_add(mdp, s, a, 3, row));
        }
    assert_ok(rein_mdp_terminal(mdp, states - 1, 0));
    assert_ok(rein_mdp_finish(mdp));
    return mdp;
}

static void a_grid_takes_at_most_12_bytes_a_transition(void **state) {
    for (int32_t side = 100; side <= 400; side *= 2) {
        uint64_t before = reini_memory_now().live_bytes;
        rein_mdp *mdp = new_grid(side);
        uint64_t held = reini_memory_now().live_bytes - before,
                 transitions = (uint64_t)rein_mdp_transitions(mdp);
        assert_int_equal(transitions, 12 * (side * side - 1));
        assert_true(mdp->n_shapes < 10);
        assert_true(rein_mdp_bytes(mdp) <= 12 * transitions);
        /* the promise is about what is held; names of actions are the rest */
        assert_true(held >= rein_mdp_bytes(mdp) && held <= rein_mdp_bytes(mdp) + 1024);
        rein_mdp_free(mdp);
        assert_int_equal(reini_memory_now().live_bytes, before);
    }
}

static void what_cannot_fit_is_refused(void **state) {
    rein_mdp *mdp;
    uint64_t before = reini_memory_now().allocations;
    reini_memory_assume((size_t)1 << 30);
    assert_fails(rein_mdp_new(INT32_MAX, 65535, false, &mdp), REIN_NOMEM,
                 "an MDP of 2147483647 states and 65535 actions: needs 1125");
    assert_fails(rein_mdp_new(INT32_MAX, 1, false, &mdp), REIN_NOMEM, "room for 1.1 GB");
    assert_null(mdp);
    assert_true(reini_memory_now().allocations - before <= 2); /* not a table was tried */
    reini_memory_assume(100000);
    assert_fails(rein_mdp_new(10000, 4, false, &mdp), REIN_NOMEM, "needs 330000 bytes of memory");
    reini_memory_assume(340000);
    assert_ok(rein_mdp_new(10000, 4, false, &mdp));
    rein_status status = REIN_OK; /* the transitions do not fit any more */
    for (int32_t row = 0; row < 40000 && status == REIN_OK; row++) {
        rein_outcome out[4] = {{0, 0.25, 0}, {1, 0.25, 0}, {2, 0.25, 0}, {3, 0.25, 0}};
        status = rein_mdp_add(mdp, row / 4, row % 4, 4, out);
    }
    assert_int_equal(status, REIN_NOMEM);
    assert_non_null(strstr(rein_error(), "the transitions of an MDP"));
    rein_mdp_free(mdp);
    reini_memory_assume(0);
}

static char logged[200];
static int n_logged;

static void note(void *user, rein_log_level level, const char *line) {
    snprintf(logged, sizeof logged, "%s", line);
    n_logged++;
}

static void large_claims_are_logged(void **state) {
    rein_set_log(note, NULL);
    reini_memory_assume((size_t)1 << 40);
    assert_ok(reini_memory_claim(80100000, "a table"));
    assert_string_equal(logged, "a table: 80.1 MB");
    assert_ok(reini_memory_claim((size_t)3 << 30, "a table"));
    assert_string_equal(logged, "a table: 3.2 GB");
    assert_ok(reini_memory_claim(((size_t)64 << 20) - 1, "a table"));
    assert_int_equal(n_logged, 2);
    assert_ok(reini_memory_claim((size_t)1 << 40, "a table"));
    assert_fails(reini_memory_claim(((size_t)1 << 40) + 1, "a table"), REIN_NOMEM,
                 "a table: needs 1099.5 GB");
    reini_memory_assume(0);
    /* the machine itself: some megabytes are there, an exabyte is not */
    assert_ok(reini_memory_claim((size_t)2 << 20, "a small table"));
    assert_fails(reini_memory_claim((size_t)1 << 60, "a table"), REIN_NOMEM, "this machine has room for");
    rein_set_log(NULL, NULL);
}

static rein_status build_all(void) {
    rein_mdp *mdp;
    int32_t cells[4] = {0, 1, 2, 3};
    rein_panel panel = {"title", 2, 2, cells, NULL};
    rein_status status = rein_mdp_new(STATES, ACTIONS, true, &mdp);
    if (status == REIN_OK)
        status = rein_mdp_add_panel(mdp, &panel);
    if (status == REIN_OK)
        status = rein_mdp_name_action(mdp, 0, "left", '<');
    if (status == REIN_OK)
        status = fill_random(mdp, 3);
    rein_mdp_free(mdp);
    return status;
}

static void memory_may_run_out_anywhere(void **state) {
    reini_memory before = reini_memory_now();
    assert_ok(build_all());
    uint64_t count = reini_memory_now().allocations - before.allocations;
    assert_true(count > 20);
    for (int onwards = 0; onwards < 2; onwards++)
        for (uint64_t nth = 1; nth <= count; nth++) {
            reini_memory_fail(nth, onwards);
            assert_fails(build_all(), REIN_NOMEM, "memory");
            reini_memory_fail(0, false);
            assert_int_equal(reini_memory_now().live_bytes, before.live_bytes);
        }
}

/* a finish that ran out of memory can be tried again, and what is added in between counts */
static void finish_can_be_tried_again(void **state) {
    for (uint64_t nth = 1; nth <= 5; nth++) {
        rein_mdp *mdp = new_mdp(200, 1, false);
        double p;
        int32_t s;
        for (s = 0; s < 199; s++)
            assert_ok(rein_mdp_add(mdp, s, 0, 1, ONE(s, s)));
        assert_ok(rein_mdp_terminal(mdp, 199, 0));
        assert_ok(rein_mdp_start(mdp, 5, 3));
        assert_ok(rein_mdp_start(mdp, 6, 1));
        reini_memory_fail(nth, false);
        assert_fails(rein_mdp_finish(mdp), REIN_NOMEM, "memory");
        assert_ok(rein_mdp_finish(mdp));
        assert_true(rein_mdp_start_at(mdp, 0, &s, &p) && s == 5 && p == 0.75);
        for (s = 0; s < 199; s++)
            assert_true(reini_mdp_row(mdp, s, 0).reward == s);
        rein_mdp_free(mdp);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_read_as_they_were_added),
        cmocka_unit_test(equal_rows_share_one_shape),
        cmocka_unit_test(costs_turn_inside_and_back),
        cmocka_unit_test(reading_outside_gives_nothing),
        cmocka_unit_test(starts_become_a_distribution),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(bad_rows_are_named),
        cmocka_unit_test(bad_states_are_named),
        cmocka_unit_test(finish_finds_what_is_missing),
        cmocka_unit_test(actions_have_names),
        cmocka_unit_test(panels_are_copied),
        cmocka_unit_test(a_grid_takes_at_most_12_bytes_a_transition),
        cmocka_unit_test(what_cannot_fit_is_refused),
        cmocka_unit_test(large_claims_are_logged),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(finish_can_be_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
