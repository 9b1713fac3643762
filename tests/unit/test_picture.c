/*
 * test_picture.c - pictures of table policies: golden texts, widths, what is left out and said so, files, want of
 * memory. `test_picture --write` rewrites tests/golden/picture_*.txt.
 */
#include "support/check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <rein/rng.h>
#include "run/picture.h"
#include "run/text.h"
#include "support/small_policy.h"
#include "support/temp_dir.h"

static bool write_golden;

/* ---- MDPs and policies made by hand ---------------------------------------------------------------------- */

typedef struct subject {
    rein_mdp *mdp;
    reini_table_policy *policy;
} subject;

static void release(subject *s) {
    rein_mdp_free(s->mdp);
    rein_policy_free(reini_table_base(s->policy));
}

static reini_table_policy *new_policy(const char *algo, const char *env, const rein_mdp *mdp, rein_space obs,
                                      int parts, int32_t horizon) {
    reini_table_policy *policy = NULL;
    rein_env_type type = {.id = env, .obs = obs, .mdp = mdp};
    type.act = (rein_space){REIN_SPACE_DISCRETE, 1, {rein_mdp_actions(mdp)}, {0}, NULL, NULL};
    assert_ok(reini_table_policy_new(algo, &type, parts, horizon, 0.99, &policy));
    return policy;
}

static rein_space discrete(const rein_mdp *mdp) {
    return (rein_space){REIN_SPACE_DISCRETE, 1, {rein_mdp_states(mdp)}, {0}, NULL, NULL};
}

/* A grid from a map: '#' no state, letters in `ends` terminal; four directions that exist everywhere and stay (the
 * pictures do not look at where actions lead). Terminal states are worth `end`. */
static rein_mdp *grid_of(const char *map, int32_t height, int32_t width, const char *ends, double end,
                         bool cost) {
    static const char *const names[] = {"left", "down", "right", "up"};
    int32_t cells = height * width, n = 0;
    int32_t *state = calloc((size_t)cells, sizeof *state);
    assert_non_null(state);
    for (int32_t i = 0; i < cells; i++)
        state[i] = map[i] == '#' ? -1 : n++;
    rein_mdp *mdp;
    assert_ok(rein_mdp_new(n, 4, cost, &mdp));
    for (int32_t i = 0; i < cells; i++) {
        int32_t s = state[i];
        if (s < 0)
            continue;
        if (strchr(ends, map[i]) != NULL) {
            assert_ok(rein_mdp_terminal(mdp, s, end));
            continue;
        }
        for (int32_t a = 0; a < 4; a++)
            assert_ok(rein_mdp_add(mdp, s, a, 1, &(rein_outcome){.next = s, .probability = 1}));
        if (map[i] == 'S')
            assert_ok(rein_mdp_start(mdp, s, 1));
    }
    for (int32_t a = 0; a < 4; a++)
        assert_ok(rein_mdp_name_action(mdp, a, names[a], "<v>^"[a]));
    assert_ok(rein_mdp_add_panel(mdp, &(rein_panel){"", height, width, state, map}));
    assert_ok(rein_mdp_finish(mdp));
    free(state);
    return mdp;
}

/* the optimum of FrozenLake's 4x4 map at gamma 0.99 */
static subject lake(void) {
    static const double v[] = {0.54203, 0.49880, 0.47070, 0.45685, 0.55845, 0,       0.35834, 0,
                               0.59180, 0.64308, 0.61521, 0,       0,       0.74172, 0.86284, 0};
    static const int32_t action[] = {0, 3, 3, 3, 0, -1, 0, -1, 3, 1, 0, -1, -1, 2, 1, -1};
    subject s = {grid_of("SFFFFHFHFFFHHFFG", 4, 4, "HG", 0, false), NULL};
    s.policy = new_policy("value-iteration", "FrozenLake-v1", s.mdp, discrete(s.mdp),
                          REINI_TABLE_ACTION | REINI_TABLE_V, 1);
    memcpy(s.policy->v, v, sizeof v);
    memcpy(s.policy->action, action, sizeof action);
    return s;
}

/* q of the shortest way along the cliff; its states are there, and never seen */
static subject cliff(void) {
    char map[48];
    memset(map, ' ', sizeof map);
    memset(map + 37, 'C', 10);
    map[36] = 'S';
    map[47] = 'G';
    subject s = {grid_of(map, 4, 12, "G", 0, false), NULL};
    s.policy = new_policy("q-learning", "CliffWalking-v1", s.mdp, discrete(s.mdp), REINI_TABLE_Q, 1);
    for (int32_t i = 0; i < 47; i++) {
        double *q = s.policy->q + (size_t)i * 4, best = -fabs(11.0 - i % 12) - fabs(2.0 - i / 12) - 1;
        for (int a = 0; a < 4; a++)
            q[a] = map[i] != 'C' ? best - 2 : i % 2 ? NAN : 1.5; /* 1.5: as the table began */
        if (map[i] != 'C')
            q[i == 36 ? 3 : i % 12 == 11 ? 1 : 2] = best;
    }
    return s;
}

/* costs to the end of a line: 3 2 1 0 */
static subject line(void) {
    subject s = {grid_of("S  G", 1, 4, "G", 0, true), NULL};
    s.policy = new_policy("policy-iteration", "Line-v0", s.mdp, discrete(s.mdp), REINI_TABLE_Q, 1);
    for (int32_t i = 0; i < 3; i++)
        for (int a = 0; a < 4; a++)
            s.policy->q[i * 4 + a] = -(3 - i) - (a != 2);
    return s;
}

static const char maze_map[] = "#############"
                               "#S  #       #"
                               "# # # ##### #"
                               "# #   #   # #"
                               "# ##### # # #"
                               "#   #   # # #"
                               "### # ### # #"
                               "#   #   # # #"
                               "# ##### # # #"
                               "#     # # # #"
                               "##### # # # #"
                               "#       #   #"
                               "# ####### # #"
                               "#         #G#"
                               "#############";

/* taller than what is drawn as boxes, with a terminal value */
static subject maze(void) {
    subject s = {grid_of(maze_map, 15, 13, "G", 10, false), NULL};
    s.policy = new_policy("value-iteration", "Maze-v0", s.mdp, discrete(s.mdp),
                          REINI_TABLE_ACTION | REINI_TABLE_V, 1);
    for (int32_t i = 0; i < s.policy->n_states; i++) {
        s.policy->v[i] = 10 * pow(0.97, 90 - i);
        s.policy->action[i] = i % 4;
    }
    return s;
}

/* letters for actions, two panels with titles, probabilities, an inseparable state and a uniform one */
static subject cards(void) {
    subject s = {NULL, NULL};
    int32_t state[12], n = 12;
    rein_outcome stay = {.probability = 1};
    assert_ok(rein_mdp_new(n, 2, false, &s.mdp));
    for (stay.next = 0; stay.next < n; stay.next++)
        for (int32_t a = 0; a < 2; a++)
            assert_ok(rein_mdp_add(s.mdp, stay.next, a, 1, &stay));
    assert_ok(rein_mdp_name_action(s.mdp, 0, "stick", 's'));
    assert_ok(rein_mdp_name_action(s.mdp, 1, "hit", 'h'));
    for (int32_t panel = 0; panel < 2; panel++) {
        for (int32_t i = 0; i < 6; i++)
            state[i] = panel * 6 + i;
        const char *title = panel == 0 ? "no usable ace" : "usable ace – schön";
        assert_ok(rein_mdp_add_panel(s.mdp, &(rein_panel){title, 2, 3, state, NULL}));
    }
    assert_ok(rein_mdp_finish(s.mdp));
    rein_space obs = {REIN_SPACE_MULTI_DISCRETE, 3, {2, 3, 2}, {0}, NULL, NULL};
    s.policy = new_policy("expected-sarsa", "Blackjack-v1", s.mdp, obs, REINI_TABLE_PI | REINI_TABLE_Q, 1);
    for (int32_t i = 0; i < n; i++) {
        s.policy->pi[2 * i] = i == 4 ? 0.5 : i % 3 == 0 ? 1 : 0.25;
        s.policy->pi[2 * i + 1] = 1 - s.policy->pi[2 * i];
        s.policy->q[2 * i] = -0.9 + 0.15 * i;
        s.policy->q[2 * i + 1] = 0.4 - 0.07 * i;
    }
    return s;
}

/* the same states without panels */
static subject listed(int32_t n, int parts) {
    subject s = {NULL, NULL};
    rein_outcome row = {.probability = 1};
    assert_ok(rein_mdp_new(n, 3, false, &s.mdp));
    for (row.next = 0; row.next < n - 1; row.next++)
        for (int32_t a = 0; a < (row.next == 1 ? 1 : 3); a++)
            assert_ok(rein_mdp_add(s.mdp, row.next, a, 1, &row));
    assert_ok(rein_mdp_terminal(s.mdp, n - 1, 10));
    assert_ok(rein_mdp_name_action(s.mdp, 0, "rest", 0));
    assert_ok(rein_mdp_name_action(s.mdp, 2, "fördern", 0));
    assert_ok(rein_mdp_finish(s.mdp));
    s.policy = new_policy("modified-policy-iteration", "Mdp-v0", s.mdp, discrete(s.mdp), parts, 1);
    for (int32_t i = 0; i < n; i++) {
        if (s.policy->v != NULL)
            s.policy->v[i] = 10 * pow(0.9, n - 1 - i);
        for (int a = 0; a < 3 && s.policy->pi != NULL; a++)
            s.policy->pi[3 * i + a] = i == 1 ? a == 0 : i == 2 ? 1.0 / 3 : a == 2 ? 0.9 : 0.05;
    }
    return s;
}

/* ---- golden texts ------------------------------------------------------------------------------------------ */

static char *draw(const subject *s, const reini_picture_style *style, bool *complete) {
    char *text = NULL;
    assert_ok(reini_picture(s->mdp, s->policy, style, &text, complete));
    assert_non_null(text);
    return text;
}

static void compare(const char *name, const subject *s, reini_picture_style style, bool expected_complete) {
    char path[512];
    bool complete;
    char *text = draw(s, &style, &complete);
    assert_int_equal(complete, expected_complete);
    snprintf(path, sizeof path, "%s/tests/golden/picture_%s.txt", REIN_SOURCE_DIR, name);
    if (write_golden)
        temp_write(path, text, strlen(text));
    if (access(path, R_OK) != 0)
        fail_msg("%s is missing; \"test_picture --write\" writes it", path);
    char *golden = temp_read(path, NULL);
    if (strcmp(golden, text) != 0)
        fail_msg("the picture differs from %s; if it should, run \"test_picture --write\"\n%s", path, text);
    free(golden);
    rein_text_free(text);
}

static reini_picture_style style_of(int width, bool ascii, bool colour) {
    reini_picture_style style = reini_picture_style_terminal();
    style.width = width;
    style.ascii = ascii;
    style.colour = colour;
    return style;
}

static void test_lake(void **state) {
    (void)state;
    subject s = lake();
    compare("lake", &s, style_of(80, false, false), true);
    compare("lake_ascii", &s, style_of(80, true, false), true);
    compare("lake_colour", &s, style_of(80, false, true), true);
    compare("lake_ascii_colour", &s, style_of(80, true, true), true);
    release(&s);
}

static void test_cliff(void **state) {
    (void)state;
    subject s = cliff();
    compare("cliff", &s, style_of(80, false, false), true);
    compare("cliff_60", &s, style_of(60, false, false), true);
    compare("cliff_40", &s, style_of(40, false, false), true);
    compare("cliff_20", &s, style_of(20, true, false), true);
    compare("cliff_10", &s, style_of(10, true, false), false);
    release(&s);
}

static void test_line_of_costs(void **state) {
    (void)state;
    subject s = line();
    compare("line", &s, style_of(80, false, false), true);
    compare("line_colour", &s, style_of(80, false, true), true);
    release(&s);
}

static void test_maze(void **state) {
    (void)state;
    subject s = maze();
    compare("maze", &s, style_of(0, false, false), true);
    compare("maze_colour", &s, style_of(40, false, true), true);
    compare("maze_ascii", &s, style_of(100, true, false), true);
    compare("maze_82", &s, style_of(82, false, false), true);
    compare("maze_80", &s, style_of(80, false, false), true);
    release(&s);
}

static void test_cards(void **state) {
    (void)state;
    subject s = cards();
    reini_picture_style style = style_of(80, false, false);
    compare("cards", &s, style, true);
    style.panels = 1;
    compare("cards_one", &s, style, false);
    style.ascii = true;
    style.panels = 0;
    compare("cards_ascii", &s, style, true);
    release(&s);
}

static void test_lists(void **state) {
    (void)state;
    subject few = listed(5, REINI_TABLE_PI | REINI_TABLE_V), many = listed(40, REINI_TABLE_PI);
    compare("list", &few, style_of(80, false, false), true);
    compare("list_ascii", &few, style_of(80, true, false), true);
    compare("list_many", &many, style_of(80, false, false), false);
    release(&few);
    release(&many);
    /* parts of a state, and no MDP at all */
    subject s = cards();
    rein_mdp *mdp = s.mdp;
    s.mdp = NULL;
    compare("list_parts", &s, style_of(80, false, false), true);
    s.mdp = mdp;
    release(&s);
}

/* a learner's table as it began, but for two states */
static void test_list_of_a_learner(void **state) {
    (void)state;
    subject s = listed(600, REINI_TABLE_Q);
    s.policy->q[3 * 70 + 1] = -0.5;
    s.policy->q[3 * 500 + 2] = 2.25;
    compare("list_learner", &s, style_of(80, false, false), true);
    release(&s);
}

/* a plan shows what it does first; without values, cells are one line */
static void test_plan(void **state) {
    (void)state;
    subject s = {grid_of("S        G", 2, 5, "G", 0, false), NULL};
    s.policy = new_policy("backward-induction", "Line-v0", s.mdp, discrete(s.mdp), REINI_TABLE_ACTION, 7);
    for (int32_t i = 0; i < 10 * 7; i++)
        s.policy->action[i] = i < 10 ? i % 4 : 0;
    compare("plan", &s, style_of(80, false, false), true);
    compare("plan_ascii", &s, style_of(80, true, false), true);
    release(&s);
}

/* ---- numbers ----------------------------------------------------------------------------------------------- */

/* whether the picture of a line with these values shows these texts */
static void check_numbers(const double *value, const char *const *expected, int n) {
    char map[16] = {0};
    memset(map, ' ', (size_t)n);
    subject s = {grid_of(map, 1, n, "G", 0, false), NULL};
    s.policy = new_policy("td", "Line-v0", s.mdp, discrete(s.mdp), REINI_TABLE_PI | REINI_TABLE_V, 1);
    memcpy(s.policy->v, value, (size_t)n * sizeof *value);
    reini_picture_style style = style_of(0, true, false);
    char *text = draw(&s, &style, NULL);
    const char *at = text + strcspn(text, "|");
    for (int i = 0; i < n; i++) {
        char shown[32];
        assert_int_equal(sscanf(at + 1, " %31[^| ]", shown), 1);
        assert_string_equal(shown, expected[i]);
        at += 1 + strcspn(at + 1, "|");
    }
    rein_text_free(text);
    release(&s);
}

#define CHECK_NUMBERS(n, ...) check_numbers((double[]){__VA_ARGS__}, (const char *const[]){EXPECTED}, n)

static void test_numbers(void **state) {
    (void)state;
#define EXPECTED "7.29", "8.10", "9.00", "10.00"
    CHECK_NUMBERS(4, 7.29, 8.1, 9, 10);
#undef EXPECTED
#define EXPECTED "-13", "-1", "0"
    CHECK_NUMBERS(3, -13 + 1e-9, -1, -1e-12);
#undef EXPECTED
#define EXPECTED "0.740", "-0.123", "0.000"
    CHECK_NUMBERS(3, 0.7402, -0.12345, -0.0001);
#undef EXPECTED
#define EXPECTED "0.00123", "0.00046"
    CHECK_NUMBERS(2, 0.0012341, 0.000456);
#undef EXPECTED
#define EXPECTED "-12346", "3"
    CHECK_NUMBERS(2, -12345.67, 3.3);
#undef EXPECTED
#define EXPECTED "100.00012", "100.00034"
    CHECK_NUMBERS(2, 100.0001234, 100.0003412);
#undef EXPECTED
#define EXPECTED "1.23e-09", "0.00e+00", "-4.00e-10"
    CHECK_NUMBERS(3, 1.2345e-9, 0, -4e-10);
#undef EXPECTED
#define EXPECTED "1.00e+300", "-2.00e+12"
    CHECK_NUMBERS(2, 1e300, -2e12);
#undef EXPECTED
#define EXPECTED "-", "inf", "-inf", "2"
    CHECK_NUMBERS(4, NAN, INFINITY, -INFINITY, 2);
#undef EXPECTED
}

/* ---- any grid, any width -------------------------------------------------------------------------------------- */

/* a copy without colours; malloc'ed */
static char *without_colours(const char *text) {
    char *out = calloc(1, strlen(text) + 1), *at = out;
    assert_non_null(out);
    for (; *text; text++) {
        if (*text != '\033') {
            *at++ = *text;
            continue;
        }
        assert_int_equal(text[1], '[');
        text += strcspn(text, "m");
        assert_int_equal(*text, 'm');
    }
    return out;
}

/* every line of a grid is as long as its border, and none is longer than the width */
static void check_lines(char *text, int width, bool ascii) {
    int border = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *at = line + strspn(line, " ");
        bool edge = *at == '+' || strncmp(at, "┌", 3) == 0;
        bool side = *at == '|' || strncmp(at, "│", 3) == 0 || strncmp(at, "├", 3) == 0;
        if (edge)
            border = reini_text_columns(line);
        if (edge || side)
            assert_int_equal(reini_text_columns(line), border);
        if ((edge || side) && width > 0 && border > width)
            fail_msg("a grid of %d columns is drawn in %d", border, width);
        for (const char *c = line; ascii && *c; c++)
            assert_true((unsigned char)*c < 0x80);
    }
}

static double draw_value(rein_rng *rng) {
    static const double scale[] = {1e-12, 1e-3, 1, 1, 30, 1e4, 1e12};
    double x = rein_rng_normal(rng) * scale[rein_rng_below(rng, 7)];
    uint32_t odd = rein_rng_below(rng, 40);
    return odd == 0 ? NAN : odd == 1 ? INFINITY : odd == 2 ? -INFINITY : odd < 10 ? round(x) : x;
}

static void test_random_grids(void **state) {
    (void)state;
    rein_rng rng = rein_rng_make(11, 0);
    for (int round = 0; round < 300; round++) {
        char map[30 * 30 + 1] = {0};
        int32_t height = 1 + (int32_t)rein_rng_below(&rng, 20), width = 1 + (int32_t)rein_rng_below(&rng, 20);
        for (int32_t i = 0; i < height * width; i++)
            map[i] = "    ##GHSW"[rein_rng_below(&rng, 10)];
        map[0] = ' ';
        subject s = {grid_of(map, height, width, "GH", round % 3, round % 2), NULL};
        int parts = (int)rein_rng_below(&rng, 16);
        parts |= parts & 7 ? 0 : REINI_TABLE_PI;
        s.policy = new_policy("sarsa", "Maze-v0", s.mdp, discrete(s.mdp), parts, 1);
        for (int32_t i = 0; i < s.policy->n_states && s.policy->v != NULL; i++)
            s.policy->v[i] = draw_value(&rng);
        for (int32_t i = 0; i < 4 * s.policy->n_states && s.policy->q != NULL; i++)
            s.policy->q[i] = draw_value(&rng);
        for (int columns = 0; columns < 150; columns += 1 + (int)rein_rng_below(&rng, 40)) {
            reini_picture_style style = style_of(columns, round & 4, round & 8);
            char *text = draw(&s, &style, NULL), *plain = without_colours(text);
            if (!style.colour)
                assert_string_equal(text, plain);
            check_lines(plain, columns, style.ascii);
            free(plain);
            rein_text_free(text);
        }
        release(&s);
    }
}

/* ---- large ------------------------------------------------------------------------------------------------------ */

static void test_large_panels(void **state) {
    (void)state;
    for (int32_t side = 64; side <= 201; side += side == 64 ? 1 : side == 65 ? 135 : 1) {
        char *map = malloc((size_t)(side * side) + 1);
        assert_non_null(map);
        memset(map, ' ', (size_t)(side * side));
        subject s = {grid_of(map, side, side, "G", 0, false), NULL};
        s.policy = new_policy("value-iteration", "Maze-v0", s.mdp, discrete(s.mdp), REINI_TABLE_V, 1);
        reini_picture_style terminal = style_of(0, false, false), file = reini_picture_style_file();
        bool complete;
        char *text = draw(&s, &terminal, &complete);
        assert_int_equal(complete, side == 64);
        const char *elsewhere = side == 201 ? "policy.safetensors" : "values.txt";
        assert_int_equal(strstr(text, elsewhere) != NULL, side > 64);
        rein_text_free(text);
        text = draw(&s, &file, &complete);
        assert_int_equal(complete, side <= 200);
        assert_null(strstr(text, "values.txt"));
        rein_text_free(text);
        release(&s);
        free(map);
    }
}

/* ---- mistakes and files --------------------------------------------------------------------------------------- */

static void test_other_sizes(void **state) {
    (void)state;
    char *text;
    subject a = lake(), b = line();
    reini_picture_style style = style_of(80, false, false);
    assert_fails(reini_picture(b.mdp, a.policy, &style, &text, NULL), REIN_MISMATCH, "16 states");
    release(&a);
    release(&b);
}

static void test_public_mistakes(void **state) {
    (void)state;
    char *text = NULL;
    assert_fails(rein_picture(&(rein_picture_opts){.path = NULL}, &text), REIN_USAGE, "no run directory");
    assert_fails(rein_picture(&(rein_picture_opts){.path = "x", .width = -1}, &text), REIN_USAGE, "width -1");
    assert_fails(rein_picture(&(rein_picture_opts){.path = "x", .panels = -2}, &text), REIN_USAGE,
                 "panels -2");
    assert_null(text);
    rein_text_free(NULL);
}

/* through a file; `complete` leaves nothing of what is not whole */
static void test_public(void **state) {
    (void)state;
    subject s = lake();
    char *text, path[2 * TEMP_PATH];
    snprintf(path, sizeof path, "%s", temp_path("lake.safetensors"));
    assert_ok(rein_policy_save(reini_table_base(s.policy), path));
    rein_picture_opts opts = {.path = path, .ascii = 1, .complete = 1};
    assert_ok(rein_picture(&opts, &text));
    assert_non_null(strstr(text, "| 0.542 |"));
    rein_text_free(text);
    opts.width = 5;
    assert_ok(rein_picture(&opts, &text));
    assert_string_equal(text, "");
    rein_text_free(text);
    opts.complete = 0;
    assert_ok(rein_picture(&opts, &text));
    assert_non_null(strstr(text, "do not fit 5 columns"));
    rein_text_free(text);
    release(&s);
}

static void test_file(void **state) {
    (void)state;
    subject s = lake();
    rein_env_type type = {.id = "FrozenLake-v1", .obs = discrete(s.mdp), .mdp = s.mdp};
    reini_picture_style style = reini_picture_style_file();
    char *expected = draw(&s, &style, NULL);
    assert_ok(reini_picture_write(temp_dir, &type, reini_table_base(s.policy)));
    char *found = temp_read(temp_path("values.txt"), NULL);
    assert_string_equal(found, expected);
    free(found);
    rein_text_free(expected);
    assert_fails(reini_picture_write(temp_path("nowhere"), &type, reini_table_base(s.policy)), REIN_IO,
                 "nowhere");
    release(&s);
}

/* networks have no tables to draw */
static void test_file_of_network(void **state) {
    (void)state;
    const rein_env_type *env = rein_env_find("CartPole-v1");
    reini_net *net = small_policy(env, "hidden=4", true, 1);
    assert_ok(reini_picture_write(temp_path("nowhere"), env, &net->base));
    rein_policy_free(&net->base);
}

static void test_out_of_memory(void **state) {
    (void)state;
    subject s = maze();
    reini_picture_style style = style_of(0, false, true);
    uint64_t live = reini_memory_now().live_bytes;
    bool drawn = false;
    int failures = 0;
    for (uint64_t nth = 1; !drawn; nth++) {
        char *text = NULL;
        reini_memory_fail(nth, false);
        rein_status status = reini_picture(s.mdp, s.policy, &style, &text, NULL);
        reini_memory_fail(0, false);
        drawn = status == REIN_OK;
        if (!drawn) {
            assert_int_equal(status, REIN_NOMEM);
            failures++;
        }
        rein_text_free(text);
        assert_int_equal(reini_memory_now().live_bytes, live);
    }
    assert_true(failures > 3);
    release(&s);
}

static void test_text(void **state) {
    (void)state;
    reini_text t = {0};
    char *out;
    assert_ok(reini_text_take(&t, "nothing", &out));
    assert_string_equal(out, "");
    reini_free(out);
    for (int i = 0; i < 1000; i++)
        reini_text_put(&t, "%d,", i % 10);
    reini_text_repeat(&t, "→", 3);
    reini_text_repeat(&t, "x", 0);
    assert_ok(reini_text_take(&t, "numbers", &out));
    assert_int_equal(strlen(out), 2000 + 9);
    assert_int_equal(reini_text_columns(out), 2003);
    assert_string_equal(out + 1990, "5,6,7,8,9,→→→");
    reini_free(out);
}

int main(int argc, char **argv) {
    write_golden = argc > 1 && strcmp(argv[1], "--write") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_lake),
        cmocka_unit_test(test_cliff),
        cmocka_unit_test(test_line_of_costs),
        cmocka_unit_test(test_maze),
        cmocka_unit_test(test_cards),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_list_of_a_learner),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_random_grids),
        cmocka_unit_test(test_large_panels),
        cmocka_unit_test(test_other_sizes),
        cmocka_unit_test(test_public_mistakes),
        cmocka_unit_test(test_public),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_of_network),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
