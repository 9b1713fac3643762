/*
 * test_mdp_json.c - MDP files: what is written reads back to the bit, what a person writes means what it says, and
 * every mistake is named with its place.
 */
#include "support/check.h"
#include "support/temp_dir.h"
#include <float.h>
#include <math.h>
#include <rein/rng.h>
#include "base/base.h"
#include "mdp/mdp.h"

/* ---- round trips --------------------------------------------------------------------------------------------------- */

static double draw(rein_rng *rng) {
    return (double)(rein_rng_next(rng) >> 11) * 0x1p-53;
}

/* a number of any size and sign, now and then a whole or an extreme one */
static double draw_number(rein_rng *rng) {
    static const double extremes[] = {0,      1,         -1,      DBL_MIN, -DBL_MAX / 4,
                                      5e-324, 123456789, -1e15,   1e16,    0x1p53 + 2,
                                      1e22,   1.0 / 3,   99999.5, 1000000, 0.1 + 0.2};
    uint32_t kind = rein_rng_below(rng, 30);
    if (kind < 15)
        return extremes[kind];
    return ldexp(draw(rng) - 0.5, (int)rein_rng_below(rng, 200) - 100);
}

enum { OUTCOMES = 5 };

static int draw_row(rein_rng *rng, int32_t states, rein_outcome *row) {
    int n = 1 + (int)rein_rng_below(rng, OUTCOMES);
    double sum = 0, same = draw_number(rng);
    bool alike = rein_rng_below(rng, 2);
    for (int k = 0; k < n; k++) {
        row[k] = (rein_outcome){(int32_t)rein_rng_below(rng, (uint32_t)states), 1e-3 + draw(rng),
                                alike ? same : draw_number(rng)};
        sum += row[k].probability;
    }
    for (int k = 0; k < n; k++)
        row[k].probability /= sum;
    return n;
}

static rein_status add_pictures(rein_mdp *mdp, rein_rng *rng) {
    int32_t cells[6], states = rein_mdp_states(mdp);
    for (int i = 0; i < 6; i++)
        cells[i] = (int32_t)rein_rng_below(rng, (uint32_t)states + 1) - 1;
    rein_panel first = {"a \"title\" \\ with \xc3\xa9", 2, 3, cells, "\"\\S# ~"},
               second = {NULL, 6, 1, cells, NULL};
    REINI_TRY(rein_mdp_name_action(mdp, 0, "\"left\" \\ \xe2\x86\x90", '"'));
    REINI_TRY(rein_mdp_name_action(mdp, rein_mdp_actions(mdp) - 1, "last", '\\'));
    REINI_TRY(rein_mdp_add_panel(mdp, &first));
    return rein_mdp_add_panel(mdp, &second);
}

static rein_status fill_random(rein_mdp *mdp, uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 1);
    int32_t states = rein_mdp_states(mdp);
    for (int32_t s = 0; s < states; s++) {
        uint32_t skip = rein_rng_below(&rng, 4);
        if (skip == 0)
            REINI_TRY(rein_mdp_terminal(mdp, s, seed % 3 ? draw_number(&rng) : 0));
        for (int32_t a = 0; a < rein_mdp_actions(mdp) && skip > 0; a++) {
            rein_outcome row[OUTCOMES];
            int n = draw_row(&rng, states, row);
            if (a == 0 || rein_rng_below(&rng, 2))
                REINI_TRY(rein_mdp_add(mdp, s, a, n, row));
        }
        if (rein_rng_below(&rng, 3) == 0)
            REINI_TRY(rein_mdp_start(mdp, s, draw(&rng)));
    }
    if (seed % 2)
        REINI_TRY(add_pictures(mdp, &rng));
    return rein_mdp_finish(mdp);
}

/* arrays that may both be NULL */
static void assert_same(const void *a, const void *b, size_t bytes) {
    assert_true((a == NULL) == (b == NULL));
    if (a)
        assert_memory_equal(a, b, bytes);
}

static void assert_same_tables(const rein_mdp *a, const rein_mdp *b) {
    size_t states = (size_t)a->n_states, cells = states * (size_t)a->n_actions;
    assert_int_equal(a->n_states, b->n_states);
    assert_int_equal(a->n_actions, b->n_actions);
    assert_int_equal(a->cost, b->cost);
    assert_int_equal(a->n_transitions, b->n_transitions);
    assert_int_equal(a->n_shapes, b->n_shapes);
    assert_int_equal(a->n_p, b->n_p);
    assert_int_equal(a->n_r, b->n_r);
    assert_int_equal(a->n_starts, b->n_starts);
    assert_same(a->terminal, b->terminal, states);
    assert_same(a->terminal_value, b->terminal_value, states * sizeof(double));
    assert_same(a->shape, b->shape, cells * sizeof(uint32_t));
    assert_same(a->first, b->first, cells * sizeof(uint32_t));
    assert_same(a->next, b->next, (size_t)a->n_transitions * sizeof(int32_t));
    assert_same(a->p, b->p, (size_t)a->n_p * sizeof(double));
    assert_same(a->r, b->r, (size_t)a->n_r * sizeof(double));
    for (uint32_t i = 0; i < a->n_shapes; i++) {
        assert_int_equal(a->shapes[i].count, b->shapes[i].count);
        assert_int_equal(a->shapes[i].p, b->shapes[i].p);
        assert_int_equal(a->shapes[i].r, b->shapes[i].r);
        assert_memory_equal(&a->shapes[i].reward, &b->shapes[i].reward, sizeof(double));
    }
    for (int32_t i = 0; i < a->n_starts; i++) {
        assert_int_equal(a->starts[i].state, b->starts[i].state);
        assert_memory_equal(&a->starts[i].p, &b->starts[i].p, sizeof(double));
        assert_memory_equal(&a->starts[i].p_upto, &b->starts[i].p_upto, sizeof(double));
    }
}

static void assert_same_pictures(const rein_mdp *a, const rein_mdp *b) {
    assert_int_equal(a->n_panels, b->n_panels);
    for (int32_t i = 0; i < a->n_actions; i++) {
        assert_string_equal(rein_mdp_action_name(a, i), rein_mdp_action_name(b, i));
        assert_int_equal(rein_mdp_action_glyph(a, i), rein_mdp_action_glyph(b, i));
    }
    for (int i = 0; i < a->n_panels; i++) {
        const rein_panel *p = rein_mdp_panel_at(a, i), *q = rein_mdp_panel_at(b, i);
        assert_string_equal(p->title, q->title);
        assert_string_equal(p->symbol, q->symbol);
        assert_int_equal(p->height, q->height);
        assert_int_equal(p->width, q->width);
        assert_memory_equal(p->state, q->state, (size_t)(p->height * p->width) * sizeof(int32_t));
    }
}

static void what_is_written_reads_back_to_the_bit(void **state) {
    for (uint64_t seed = 0; seed < 200; seed++) {
        rein_mdp *mdp, *back;
        assert_ok(rein_mdp_new(1 + (int32_t)(seed % 40), 2 + (int32_t)(seed % 5), seed % 4 > 1, &mdp));
        assert_ok(fill_random(mdp, seed));
        assert_ok(rein_mdp_write(mdp, temp_path("mdp.json")));
        assert_ok(rein_mdp_read(temp_path("mdp.json"), &back));
        assert_same_tables(mdp, back);
        assert_same_pictures(mdp, back);
        /* and is written as the same text */
        assert_ok(rein_mdp_write(back, temp_path("again.json")));
        char *text = temp_read(temp_path("mdp.json"), NULL),
             *again = temp_read(temp_path("again.json"), NULL);
        assert_string_equal(text, again);
        free(text);
        free(again);
        rein_mdp_free(mdp);
        rein_mdp_free(back);
    }
}

/* ---- what a person writes -------------------------------------------------------------------------------------------- */

static rein_status read_text(const char *text, rein_mdp **mdp) {
    temp_write(temp_path("m.json"), text, strlen(text));
    return rein_mdp_read(temp_path("m.json"), mdp);
}

static rein_mdp *mdp_of(const char *text) {
    rein_mdp *mdp;
    assert_ok(read_text(text, &mdp));
    return mdp;
}

static void the_example_is_read(void **state) {
    rein_mdp *mdp;
    rein_outcome row[2];
    int32_t s;
    double p;
    assert_ok(rein_mdp_read(REIN_SOURCE_DIR "/examples/line.json", &mdp));
    assert_int_equal(rein_mdp_states(mdp), 4);
    assert_true(rein_mdp_is_cost(mdp));
    assert_string_equal(rein_mdp_action_name(mdp, 1), "run");
    assert_int_equal(rein_mdp_action_glyph(mdp, 0), '>');
    assert_true(rein_mdp_is_terminal(mdp, 3, &p) && p == 0);
    assert_true(rein_mdp_start_at(mdp, 0, &s, &p) && s == 0 && p == 1);
    assert_int_equal(rein_mdp_row(mdp, 1, 1, row, 2), 2);
    assert_true(row[0].next == 3 && row[0].probability == 0.9 && row[0].reward == 1.5);
    assert_true(row[1].next == 1 && row[1].probability == 0.1 && row[1].reward == 3);
    assert_string_equal(rein_mdp_panel_at(mdp, 0)->symbol, "S  G");
    rein_mdp_free(mdp);
}

static void rows_and_rewards_come_in_any_order(void **state) {
    rein_mdp *mdp = mdp_of(
        "{\"format\": \"rein-mdp\", \"version\": 1, \"states\": [\"a\", \"b\", \"c\"], \"actions\": 2,"
        "\"terminal\": {\"c\": -2.5}, \"start\": {\"b\": 3, \"0\": 1},"
        "\"rewards\": [[1, 0, 10], [0, \"1\", 100]],"
        "\"transitions\": [[\"b\", 0, 2, 0.5, 1], [0, 1, \"b\", 1], [1, 1, 1, 1, -0.0], [1, 0, 0, 0.5]]}");
    rein_outcome row[2];
    int32_t s;
    double value, p;
    assert_int_equal(rein_mdp_row(mdp, 0, 0, row, 2), 0);
    assert_int_equal(rein_mdp_row(mdp, 0, 1, row, 2), 1);
    assert_true(row[0].next == 1 && row[0].reward == 100);
    assert_int_equal(rein_mdp_row(mdp, 1, 0, row, 2), 2);
    assert_true(row[0].next == 2 && row[0].reward == 11 && row[1].next == 0 && row[1].reward == 10);
    assert_int_equal(rein_mdp_row(mdp, 1, 1, row, 2), 1);
    assert_true(row[0].reward == 0 && !signbit(row[0].reward));
    assert_true(rein_mdp_is_terminal(mdp, 2, &value) && value == -2.5);
    assert_true(rein_mdp_start_at(mdp, 0, &s, &p) && s == 0 && p == 0.25);
    assert_true(rein_mdp_start_at(mdp, 1, &s, &p) && s == 1 && p == 0.75);
    rein_mdp_free(mdp);
}

/* ---- mistakes ---------------------------------------------------------------------------------------------------------- */

#define HEAD "{\"format\": \"rein-mdp\", \"version\": 1, "
#define TWO  HEAD "\"states\": 2, \"actions\": 2, "
#define NAMED                                                                                                \
    HEAD "\"states\": [\"home\", \"work\"], \"actions\": [\"walk\", \"wait\"], \"terminal\": [\"work\"], "
#define STEP "\"transitions\": [[0, 0, 1, 1]]"
#define GOOD "\"terminal\": [1], " STEP

typedef struct mistake {
    const char *text, *words;
} mistake;

static const mistake mistakes[] = {
    /* syntax: line and column */
    {"", "m.json: empty"},
    {"{\n  \"format\": \"rein-mdp\",\n  oops\n}", "m.json:3:6: "},
    {"{\"a\": 1, \"a\": 2}", "m.json:1:12: duplicate object key"},
    {TWO GOOD, "m.json:1:"},
    {TWO "\"terminal\": [NaN]}", "m.json:1:"},
    {TWO "\"terminal\": {\"1\": 1e999}}", "real number overflow"},
    /* the head */
    {"[]", "m.json: expected an object, found a list"},
    {"{}", "\"format\": expected \"rein-mdp\", found nothing"},
    {"{\"format\": \"mdp\"}", "\"format\": expected \"rein-mdp\", found \"mdp\""},
    {"{\"format\": \"rein-mdp\"}", "\"version\": expected 1, found nothing"},
    {"{\"format\": \"rein-mdp\", \"version\": 2}", "\"version\": expected 1, found 2"},
    {HEAD "\"transition\": []}", "unknown key \"transition\"; did you mean \"transitions\"?"},
    {HEAD "\"colour\": 1}", "unknown key \"colour\""},
    {HEAD "\"actions\": 2}", "\"states\": expected a whole number or a list of names, found nothing"},
    {HEAD "\"states\": 2.5}", "\"states\": expected a whole number or a list of names, found 2.5"},
    {HEAD "\"states\": 0}", "\"states\": expected a whole number from 1 to 2147483647, found 0"},
    {HEAD "\"states\": 2147483648}", "found 2147483648"},
    {HEAD "\"states\": []}", "\"states\": expected a whole number or a list of names, found a list"},
    {HEAD "\"states\": 2}", "\"actions\": expected a whole number or a list of names, found nothing"},
    {HEAD "\"states\": 2, \"actions\": 65536}", "\"actions\": expected a whole number from 1 to 65535"},
    {HEAD "\"states\": [\"a\", 7]}", "states[1]: expected a name, found 7"},
    {HEAD "\"states\": [\"a\", {\"name\": \"b\"}]}", "states[1]: expected a name, found an object"},
    {HEAD "\"states\": [\"a\", \"\"]}", "states[1]: the name is empty"},
    {HEAD "\"states\": [\"a\", \"b\", \"a\"]}", "states[2]: \"a\" is the name of state 0 already"},
    {HEAD "\"states\": [\"1\"]}", "states[0]: the name \"1\" would be taken for a number"},
    {HEAD "\"states\": 2, \"actions\": [{\"nam\": \"a\"}]}",
     "actions[0]: unknown key \"nam\"; did you mean \"name\"?"},
    {HEAD "\"states\": 2, \"actions\": [{\"glyph\": \"a\"}]}", "actions[0]: expected a name or {"},
    {HEAD "\"states\": 2, \"actions\": [{\"name\": \"a\", \"glyph\": \"<<\"}]}",
     "actions[0]: expected one character as glyph, found \"<<\""},
    {HEAD "\"states\": 2, \"actions\": [{\"name\": \"a\", \"glyph\": \" \"}]}",
     "actions[0]: action 0: character 32"},
    {HEAD "\"states\": 2, \"actions\": [\"a\\nb\"]}", "actions[0]: action 0: \"a\nb\" is no name"},
    {TWO "\"orientation\": \"costs\", " GOOD "}",
     "\"orientation\": expected \"reward\" or \"cost\", found \"costs\""},
    {TWO "\"orientation\": 1, " GOOD "}", "\"orientation\": expected \"reward\" or \"cost\", found 1"},
    /* terminal and start states */
    {TWO "\"terminal\": 1, " STEP "}", "\"terminal\": expected values by state or a list of states, found 1"},
    {TWO "\"terminal\": [2], " STEP "}", "\"terminal\": state 2 does not exist; expected 0 to 1"},
    {TWO "\"terminal\": [-1], " STEP "}", "\"terminal\": state -1 does not exist"},
    {TWO "\"terminal\": [1.0], " STEP "}",
     "\"terminal\": expected the number or the name of a state, found 1.0"},
    {TWO "\"terminal\": {\"2\": 0}, " STEP "}", "\"terminal\": state 2 does not exist; expected 0 to 1"},
    {TWO "\"terminal\": {\"01\": 0}, " STEP "}", "unknown state \"01\""},
    {TWO "\"terminal\": {\"1\": \"x\"}, " STEP "}",
     "\"terminal\": state \"1\": expected a number as value, found \"x\""},
    {NAMED "\"start\": \"hom\", " STEP "}", "\"start\": unknown state \"hom\"; did you mean \"home\"?"},
    {NAMED "\"start\": \"office\", " STEP "}", "\"start\": unknown state \"office\""},
    {TWO "\"start\": [0], " GOOD "}", "\"start\": expected the number or the name of a state, found a list"},
    {TWO "\"start\": {\"0\": -1}, " GOOD "}", "\"start\": start state 0: weight -1"},
    {TWO "\"start\": {\"0\": 0}, " GOOD "}", "the weights of all 1 start states are 0"},
    /* transitions */
    {TWO "\"terminal\": [1]}", "\"transitions\": expected a list, found nothing"},
    {TWO "\"transitions\": {}}", "\"transitions\": expected a list, found an object"},
    {TWO "\"transitions\": [[0, 0, 1, 1], 5]}",
     "transitions[1]: expected [state, action, next state, probability"},
    {TWO "\"transitions\": [[0, 0, 1]]}",
     "transitions[0]: expected [state, action, next state, probability, reward], "
     "found a list of another length"},
    {TWO "\"transitions\": [[0, 0, 1, 1, 0, 0]]}", "a list of another length"},
    {TWO "\"transitions\": [[2, 0, 1, 1]]}", "transitions[0]: state 2 does not exist; expected 0 to 1"},
    {TWO "\"transitions\": [[null, 0, 1, 1]]}",
     "transitions[0]: expected the number or the name of a state, found null"},
    {TWO "\"transitions\": [[0, 2, 1, 1]]}", "transitions[0]: action 2 does not exist; expected 0 to 1"},
    {TWO "\"transitions\": [[0, true, 1, 1]]}", "the number or the name of an action, found true"},
    {TWO "\"transitions\": [[0, 1, 2, 1]]}", "transitions[0]: state 0, action 1: state 2 does not exist"},
    {TWO "\"transitions\": [[0, 1, 1, 0]]}",
     "transitions[0]: state 0, action 1: expected a probability above 0 and at most 1, found 0"},
    {TWO "\"transitions\": [[0, 1, 1, 1.5]]}", "at most 1, found 1.5"},
    {TWO "\"transitions\": [[0, 1, 1, \"1\"]]}", "expected a number as probability, found \"1\""},
    {TWO "\"transitions\": [[0, 1, 1, 1, null]]}",
     "state 0, action 1: expected a number as reward, found null"},
    {TWO "\"orientation\": \"cost\", \"transitions\": [[0, 1, 1, 1, []]]}",
     "expected a number as cost, found a list"},
    {TWO "\"transitions\": [[1, 1, 0, 1], [0, 1, 0, 0.5], [0, 1, 1, 0.25]]}",
     "transitions[1]: state 0, action 1: the probabilities sum to 0.75, expected 1"},
    {NAMED "\"transitions\": [[\"home\", \"walk\", \"work\", 0.9]]}",
     "transitions[0]: (home, walk) state 0, action 0: the probabilities sum to 0.9"},
    {NAMED "\"transitions\": [[\"home\", \"wlak\", \"work\", 1]]}",
     "transitions[0]: unknown action \"wlak\"; did you mean \"walk\"?"},
    {TWO "\"terminal\": [0, 1], " STEP "}", "m.json: state 0 is terminal, but has a row for action 0"},
    {TWO STEP "}", "m.json: state 1 has no action and is not terminal"},
    /* rewards */
    {TWO "\"rewards\": 1, " GOOD "}", "\"rewards\": expected a list, found 1"},
    {TWO "\"rewards\": [[0, 0]], " GOOD "}",
     "rewards[0]: expected [state, action, reward], found a list of another"},
    {TWO "\"rewards\": [[0, 0, \"1\"]], " GOOD "}",
     "rewards[0]: state 0, action 0: expected a number as reward"},
    {TWO "\"rewards\": [[0, 0, 1], [0, 0, 1]], " GOOD "}",
     "rewards[1]: state 0, action 0: has a reward already"},
    {TWO "\"rewards\": [[0, 0, 1], [1, 0, 1]], " GOOD "}",
     "rewards[1]: state 1, action 0: has no transitions"},
    {TWO "\"rewards\": [[0, 1, 1], [0, 0, 1]], " GOOD "}",
     "rewards[0]: state 0, action 1: has no transitions"},
    {TWO "\"rewards\": [[0, 0, 1]], \"terminal\": [0, 1], \"transitions\": []}",
     "rewards[0]: state 0, action 0: has no"},
    {TWO "\"rewards\": [[0, 0, 1e308]], \"transitions\": [[0, 0, 1, 1, 1e308]]}",
     "reward inf to next state 1"},
    /* panels */
    {TWO "\"panels\": {}, " GOOD "}", "\"panels\": expected a list, found an object"},
    {TWO "\"panels\": [1], " GOOD "}", "panels[0]: expected an object, found 1"},
    {TWO "\"panels\": [{\"heigth\": 1}], " GOOD "}",
     "panels[0]: unknown key \"heigth\"; did you mean \"height\"?"},
    {TWO "\"panels\": [{\"height\": 1}], " GOOD "}", "panels[0]: \"width\": expected a whole number from 1"},
    {TWO "\"panels\": [{\"height\": 0, \"width\": 1}], " GOOD "}",
     "panels[0]: \"height\": expected a whole number"},
    {TWO "\"panels\": [{\"height\": 1, \"width\": 2, \"states\": [0]}], " GOOD "}",
     "panels[0]: \"states\": expected a list of 1 x 2 = 2 states, found 1"},
    {TWO "\"panels\": [{\"height\": 1, \"width\": 2, \"states\": [0, 2]}], " GOOD "}",
     "panels[0]: states[1]: state 2 does not exist"},
    {TWO "\"panels\": [{\"height\": 1, \"width\": 1, \"states\": [0], \"title\": 1}], " GOOD "}",
     "panels[0]: \"title\": expected text, found 1"},
    {TWO "\"panels\": [{\"height\": 1, \"width\": 1, \"states\": [0], \"title\": \"\\n\"}], " GOOD "}",
     "panels[0]: the title"},
    {TWO "\"panels\": [{\"height\": 1, \"width\": 1, \"states\": [0], \"symbols\": \"ab\"}], " GOOD "}",
     "panels[0]: \"symbols\": expected text of 1 x 1 = 1 characters, found 2"},
    {TWO "\"panels\": [{\"height\": 1, \"width\": 1, \"states\": [0], \"symbols\": 1}], " GOOD "}",
     "\"symbols\": expected"},
};

static void mistakes_are_named_with_their_place(void **state) {
    rein_mdp *mdp = mdp_of(TWO GOOD "}"); /* the texts are fine but for their mistake */
    rein_mdp_free(mdp);
    mdp = mdp_of(NAMED STEP "}");
    rein_mdp_free(mdp);
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        rein_status status = read_text(mistakes[i].text, &mdp);
        if (status != REIN_FORMAT || !strstr(rein_error(), mistakes[i].words) ||
            !strstr(rein_error(), "m.json"))
            fail_msg("%s: status %d, \"%s\", expected \"%s\"", mistakes[i].text, (int)status, rein_error(),
                     mistakes[i].words);
        assert_null(mdp);
    }
}

static void every_cut_of_a_file_is_refused(void **state) {
    rein_mdp *mdp;
    size_t size;
    char *text = temp_read(REIN_SOURCE_DIR "/examples/line.json", &size);
    while (text[size - 1] != '}')
        size--;
    for (size_t n = 0; n < size; n++) {
        temp_write(temp_path("m.json"), text, n);
        assert_fails(rein_mdp_read(temp_path("m.json"), &mdp), REIN_FORMAT, "m.json");
        assert_null(mdp);
    }
    free(text);
}

static void files_that_cannot_be_are_named(void **state) {
    rein_mdp *mdp;
    assert_fails(rein_mdp_read(temp_path("absent.json"), &mdp), REIN_IO, "absent.json");
    assert_null(mdp);
    assert_fails(rein_mdp_read(temp_dir, &mdp), REIN_IO, "directory");
    assert_ok(rein_mdp_new(1, 1, false, &mdp));
    assert_fails(rein_mdp_write(mdp, temp_path("x.json")), REIN_USAGE, "not finished");
    assert_ok(rein_mdp_terminal(mdp, 0, 0));
    assert_ok(rein_mdp_finish(mdp));
    assert_fails(rein_mdp_write(mdp, temp_path("no/x.json")), REIN_IO, "no/x.json");
    rein_mdp_free(mdp);
    reini_memory_assume(1000);
    assert_fails(read_text(HEAD "\"states\": 100000, \"actions\": 4, \"transitions\": []}", &mdp), REIN_NOMEM,
                 "needs 3.3 MB");
    assert_null(mdp);
    reini_memory_assume(10);
    assert_fails(read_text(TWO GOOD "}", &mdp), REIN_NOMEM, "m.json: needs");
    reini_memory_assume(0);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

static rein_status read_and_write(void) {
    rein_mdp *mdp;
    REINI_TRY(rein_mdp_read(temp_path("good.json"), &mdp));
    rein_status status = rein_mdp_write(mdp, temp_path("copy.json"));
    rein_mdp_free(mdp);
    return status;
}

/* what the n-th failing allocation makes of a reading of bad.json; the words of an error may go missing */
static rein_status read_bad(void) {
    rein_mdp *mdp;
    rein_status status = rein_mdp_read(temp_path("bad.json"), &mdp);
    assert_null(mdp);
    return status;
}

static uint64_t allocations_of(rein_status (*job)(void)) {
    uint64_t before = reini_memory_now().allocations;
    job();
    return reini_memory_now().allocations - before;
}

static rein_status with_failure(rein_status (*job)(void), uint64_t nth, bool onwards) {
    uint64_t before = reini_memory_now().live_bytes;
    reini_memory_fail(nth, onwards);
    rein_status status = job();
    reini_memory_fail(0, false);
    assert_int_equal(reini_memory_now().live_bytes, before);
    return status;
}

static void memory_may_run_out_anywhere(void **state) {
    const char *good = HEAD "\"states\": [\"a\", \"b\"], \"actions\": [\"x\"], \"terminal\": {\"b\": 1},"
                            "\"rewards\": [[\"a\", 0, 1]], \"transitions\": [[0, 0, 1, 1, 2]],"
                            "\"panels\": [{\"height\": 1, \"width\": 1, \"states\": [0]}]}";
    const char *bad = NAMED "\"transitions\": [[0, \"wlak\", 1, 1], [0, 0, 1, 1]]}";
    temp_write(temp_path("good.json"), good, strlen(good));
    temp_write(temp_path("bad.json"), bad, strlen(bad));
    uint64_t of_good = allocations_of(read_and_write), of_bad = allocations_of(read_bad);
    assert_ok(read_and_write());
    assert_true(of_good > 25 && of_bad > 5);
    for (int onwards = 0; onwards < 2; onwards++) {
        for (uint64_t nth = 1; nth <= of_good; nth++)
            assert_fails(with_failure(read_and_write, nth, onwards), REIN_NOMEM, "memory");
        for (uint64_t nth = 1; nth <= of_bad; nth++) {
            rein_status status = with_failure(read_bad, nth, onwards);
            assert_true(status == REIN_NOMEM || (nth == of_bad && status == REIN_FORMAT));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back_to_the_bit),
        cmocka_unit_test(the_example_is_read),
        cmocka_unit_test(rows_and_rewards_come_in_any_order),
        cmocka_unit_test(mistakes_are_named_with_their_place),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(files_that_cannot_be_are_named),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
