/*
 * test_cli_tabular.c - the `rein` command on tabular environments: pictures, --mdp, exact returns, units, families.
 */
#include "support/command.h"
#include "support/check.h"
#include <jansson.h>
#include <sys/ioctl.h>
#include <rein/run.h>

/* runs `rein ...`, compares the exit code, shows both outputs when it differs; the caller releases */
#define run_expect(expected, ...)                                                                            \
    ({                                                                                                       \
        command c_ = command_run(__VA_ARGS__, NULL);                                                         \
        if (c_.code != (expected))                                                                           \
            fail_msg("exit code %d, expected %d\nstdout: %s\nstderr: %s", c_.code, expected, c_.out,         \
                     c_.err);                                                                                \
        c_;                                                                                                  \
    })

/* fails with this code, says nothing on stdout, and one sentence on stderr that contains these words */
#define expect_error(expected, words, ...)                                                                   \
    do {                                                                                                     \
        command e_ = run_expect(expected, __VA_ARGS__);                                                      \
        assert_string_equal(e_.out, "");                                                                     \
        if (strncmp(e_.err, "rein: error: ", 13) != 0 || !strstr(e_.err, words))                             \
            fail_msg("the error does not say \"%s\": %s", words, e_.err);                                    \
        assert_ptr_equal(strchr(e_.err, '\n'), e_.err + strlen(e_.err) - 1);                                 \
        command_release(&e_);                                                                                \
    } while (0)

#define LAKE "--env", "FrozenLake-v1", "--steps", "2e4", "--quiet"

/* costs of a road of four places, in a file of the test's directory */
static const char road[] = "{\"format\": \"rein-mdp\", \"version\": 1, \"states\": 4,"
                           " \"actions\": [{\"name\": \"walk\", \"glyph\": \">\"}],"
                           " \"orientation\": \"cost\", \"terminal\": [3], \"start\": 0,"
                           " \"transitions\": [[0, 0, 1, 1, 1], [1, 0, 2, 1, 1], [2, 0, 3, 1, 1]],"
                           " \"panels\": [{\"height\": 1, \"width\": 4, \"states\": [0, 1, 2, 3],"
                           " \"symbols\": \"S  G\"}]}";

static int set_up(void **state) {
    setenv("LC_ALL", "C.UTF-8", 1);
    setenv("TERM", "xterm-256color", 1);
    unsetenv("NO_COLOR");
    if (temp_dir_make(state) != 0)
        return -1;
    temp_write(temp_path("road.json"), road, strlen(road));
    command c = command_run("train", "q-learning", LAKE, "--out", "lake", NULL);
    int failed = c.code;
    command_release(&c);
    return failed;
}

static json_t *json_of(const command *c) {
    json_t *o = json_loads(c->out, 0, NULL);
    assert_non_null(o);
    return o;
}

static bool has_escape(const char *text) {
    return strchr(text, '\033') != NULL;
}

/* ---- pictures ---------------------------------------------------------------------------------------------- */

static void test_show_run_and_policy(void **state) {
    (void)state;
    command c = run_expect(0, "show", "lake");
    assert_non_null(strstr(c.out, "values and greedy actions: q-learning on FrozenLake-v1, gamma"));
    assert_non_null(strstr(c.out, "┌───────┬"));
    assert_non_null(strstr(c.out, "← left"));
    assert_false(has_escape(c.out));
    assert_string_equal(c.err, "");
    command d = run_expect(0, "show", "lake/policy.safetensors");
    assert_string_equal(c.out, d.out);
    command_release(&c);
    command_release(&d);
}

static void check_ascii(const char *text) {
    assert_non_null(strstr(text, "+-------+"));
    for (; *text; text++)
        assert_true((unsigned char)*text < 0x80);
}

static void test_ascii(void **state) {
    (void)state;
    command c = run_expect(0, "show", "lake", "--ascii");
    check_ascii(c.out);
    command_release(&c);
    static const char *const locales[] = {"C", "POSIX", "de_DE.ISO-8859-1"};
    for (int i = 0; i < 3; i++) {
        setenv("LC_ALL", locales[i], 1);
        c = run_expect(0, "show", "lake");
        check_ascii(c.out);
        command_release(&c);
    }
    setenv("LC_ALL", "C.UTF-8", 1);
}

/* the picture comes with the summary, not with --quiet or --json */
static void test_train_draws(void **state) {
    (void)state;
    command c = run_expect(0, "train", "q-learning", "--env", "FrozenLake-v1", "--steps", "2e4", "--out",
                           "drawn", "--ascii");
    char *picture = strstr(c.out, "values and greedy actions");
    assert_non_null(picture);
    assert_non_null(strstr(c.out, "results   drawn\n\nvalues"));
    command d = run_expect(0, "show", "drawn", "--ascii");
    assert_string_equal(picture, d.out);
    command_release(&c);
    command_release(&d);
    c = run_expect(0, "train", "q-learning", LAKE, "--out", "quiet");
    assert_null(strstr(c.out, "values"));
    command_release(&c);
    c = run_expect(0, "train", "q-learning", LAKE, "--out", "json", "--json");
    json_decref(json_of(&c));
    command_release(&c);
}

/* more than four panels are not for the end of a run */
static void test_many_panels(void **state) {
    (void)state;
    command c = run_expect(0, "train", "q-learning", "--env", "Taxi-v3", "--steps", "2e4", "--out", "taxi");
    assert_null(strstr(c.out, "greedy actions"));
    command_release(&c);
    int lines[3];
    static const char *const panels[] = {"--panels=1", "--panels=4", "--panels=0"};
    for (int i = 0; i < 3; i++) {
        c = run_expect(0, "show", "taxi", panels[i]);
        assert_int_equal(strstr(c.out, "more panels") != NULL, i < 2);
        lines[i] = 0;
        for (const char *at = c.out; (at = strstr(at, "┌")) != NULL; at++)
            lines[i]++;
        command_release(&c);
    }
    assert_int_equal(lines[0], 1);
    assert_int_equal(lines[1], 4);
    assert_true(lines[2] > 4);
}

/* ---- on a terminal -------------------------------------------------------------------------------------------- */

/* what `rein show lake` writes to a terminal of this width; malloc'ed */
static char *show_on_terminal(unsigned short columns) {
    char *argv[] = {(char *)"rein", (char *)"show", (char *)"lake", NULL};
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), id, n = 0;
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    int inside = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    assert_true(inside >= 0);
    assert_int_equal(ioctl(inside, TIOCSWINSZ, &size), 0);
    pid_t pid = command_start(argv, ptsname(terminal), &id);
    close(inside);
    char *text = calloc(1, 65536);
    assert_non_null(text);
    /* EIO: the other side is closed */
    for (ssize_t got; n < 65535 && (got = read(terminal, text + n, (size_t)(65535 - n))) > 0;)
        n += (int)got;
    command c = command_finish(pid, id);
    assert_string_equal(c.err, "");
    assert_int_equal(c.code, 0);
    command_release(&c);
    close(terminal);
    return text;
}

static void test_terminal(void **state) {
    (void)state;
    char *text = show_on_terminal(80);
    assert_non_null(strstr(text, "\033[48;5;"));
    assert_non_null(strstr(text, "0."));
    free(text);
    /* 4 cells of "0.123" do not fit, 4 arrows do */
    text = show_on_terminal(16);
    assert_non_null(strstr(text, "the values do not fit 16 columns"));
    free(text);
    setenv("NO_COLOR", "1", 1);
    text = show_on_terminal(80);
    assert_false(has_escape(text));
    free(text);
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    text = show_on_terminal(80);
    assert_false(has_escape(text));
    free(text);
    setenv("TERM", "xterm-256color", 1);
}

/* ---- what cannot be drawn --------------------------------------------------------------------------------------- */

static void test_show_refuses(void **state) {
    (void)state;
    command c = run_expect(0, "train", "ppo", "--env", "FrozenLake-v1", "--steps", "2000", "--eval_episodes",
                           "2", "--out", "network");
    assert_null(strstr(c.out, "actions"));
    command_release(&c);
    expect_error(2, "is a network that ppo trained on FrozenLake-v1", "show", "network");
    expect_error(2, "tables of planning and tabular methods", "show", "network/policy.safetensors");
    expect_error(2, "no run directory and no policy file", "show", "nowhere");
    expect_error(2, "neither a run directory nor a policy file", "show", ".");
    expect_error(1, "not a valid safetensors file", "show", "lake/config.json");
    expect_error(1, "does not fit Taxi-v3", "show", "lake", "--env", "Taxi-v3");
    expect_error(2, "FrozenLake-v1: no field \"no_such\"", "show", "lake", "--env.no_such=1");
    expect_error(2, "did you mean \"panels\"?", "show", "lake", "--panel=2");
    expect_error(2, "panels", "show", "lake", "--panels=-1");
    expect_error(2, "one word too many", "show", "lake", "lake");
}

/* ---- MDPs from files ---------------------------------------------------------------------------------------------- */

static void test_mdp(void **state) {
    (void)state;
    command c = run_expect(0, "train", "q-learning", "--mdp", "road.json", "--steps", "2e4", "--gamma", "1",
                           "--out", "road");
    assert_non_null(strstr(c.out, "q-learning on Mdp-v0, seed 0"));
    assert_non_null(strstr(c.out, "│ 3 │ 2 │ 1 │   │\n  │S→ │ → │ → │ G │"));
    assert_non_null(strstr(c.out, "costs (less is better)"));
    command_release(&c);
    command shown = run_expect(0, "show", "road"), named = run_expect(0, "show", "road", "--mdp=road.json");
    assert_string_equal(shown.out, named.out);
    command_release(&shown);
    command_release(&named);
    c = run_expect(0, "eval", "road/policy.safetensors", "--mdp", "road.json", "--json");
    command_release(&c);
    /* the policy alone does not know its file */
    temp_write(temp_path("alone.safetensors"), "", 0);
    size_t size;
    char *policy = temp_read(temp_path("road/policy.safetensors"), &size);
    temp_write(temp_path("alone.safetensors"), policy, size);
    free(policy);
    expect_error(2, "--mdp", "eval", "alone.safetensors");
    c = run_expect(0, "show", "alone.safetensors", "--mdp", "road.json", "--env", "Mdp-v0");
    command_release(&c);
}

static void test_mdp_refused(void **state) {
    (void)state;
    expect_error(1, "nothing.json", "train", "q-learning", "--mdp", "nothing.json", "--quiet");
    expect_error(1, "nothing.json", "show", "lake", "--mdp", "nothing.json");
    expect_error(2, "leave out --env FrozenLake-v1", "train", "q-learning", "--mdp", "road.json", "--env",
                 "FrozenLake-v1", "--quiet");
    expect_error(2, "leave out --env Taxi-v3", "show", "lake", "--env=Taxi-v3", "--mdp=road.json");
    expect_error(2, "leave out --env Taxi-v3", "eval", "lake", "--env=Taxi-v3", "--mdp=road.json");
    expect_error(2, "leave one out", "train", "q-learning", "--mdp=road.json", "--env.file=road.json",
                 "--quiet");
    expect_error(2, "leave out --mdp", "train", "--resume", "lake", "--mdp", "road.json");
    expect_error(2, "is empty", "train", "q-learning", "--mdp=");
    expect_error(1, "does not fit Mdp-v0", "show", "lake", "--mdp", "road.json");
}

/* ---- exact returns -------------------------------------------------------------------------------------------------- */

static void check_exact(json_t *o, const char *flag, const char *episodes, bool exact, int n) {
    assert_int_equal(json_is_true(json_object_get(o, flag)), exact);
    assert_int_equal(json_integer_value(json_object_get(o, episodes)), n);
    json_decref(o);
}

/* without --episodes the return is computed, with it they are played */
static void test_exact(void **state) {
    (void)state;
    command c = run_expect(0, "eval", "lake", "--json"),
            d = run_expect(0, "train", "q-learning", LAKE, "--out", "twice", "--json");
    json_t *o = json_of(&c), *p = json_of(&d);
    assert_true(json_number_value(json_object_get(o, "return_mean")) ==
                json_number_value(json_object_get(p, "eval_return_mean")));
    assert_string_equal(json_string_value(json_object_get(p, "unit")), "steps");
    check_exact(o, "exact", "episodes", true, 0);
    check_exact(p, "eval_exact", "eval_episodes", true, 0);
    command_release(&c);
    command_release(&d);
    c = run_expect(0, "eval", "lake", "--episodes", "30", "--json");
    check_exact(json_of(&c), "exact", "episodes", false, 30);
    command_release(&c);

    c = run_expect(0, "eval", "lake");
    assert_non_null(strstr(c.out, "q-learning on FrozenLake-v1, computed from the environment's tables"));
    assert_non_null(strstr(c.out, " exactly (std 0."));
    assert_null(strstr(c.out, "nan"));
    command_release(&c);
    c = run_expect(0, "eval", "lake", "--episodes", "30");
    assert_non_null(strstr(c.out, "30 greedy episodes"));
    assert_null(strstr(c.out, "exactly"));
    command_release(&c);
    c = run_expect(0, "train", "q-learning", LAKE, "--out", "thrice");
    assert_non_null(strstr(c.out, " exactly (std 0."));
    assert_non_null(strstr(c.out, "20000 steps in "));
    command_release(&c);
}

/* planners count sweeps, and know the lake's optimum */
static void test_unit_of_planners(void **state) {
    (void)state;
    command c = run_expect(0, "train", "value-iteration", "--env", "FrozenLake-v1", "--gamma", "0.99",
                           "--out", "planned", "--quiet");
    assert_non_null(strstr(c.out, " sweeps in "));
    assert_non_null(strstr(c.out, "return    0.740165 exactly (std 0.4385 of an episode)"));
    command_release(&c);
    c = run_expect(0, "train", "--resume", "planned", "--json", "--quiet");
    json_t *o = json_of(&c);
    assert_string_equal(json_string_value(json_object_get(o, "unit")), "sweeps");
    json_decref(o);
    command_release(&c);
}

/* ---- lists ------------------------------------------------------------------------------------------------------------ */

/* every algorithm once, below the heading of its family, and each heading once */
static void test_list_by_family(void **state) {
    (void)state;
    command c = run_expect(0, "list", "algos");
    char heading[96], row[96], family[64] = "";
    int rows = 0, headings = 0, known = 0;
    rein_algo_info info;
    for (char *line = strtok(c.out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (sscanf(line, "algorithms: %63s", heading) == 1) {
            snprintf(family, sizeof family, "%.63s", heading);
            headings++;
            continue;
        }
        assert_int_equal(strncmp(line, "  ", 2), 0);
        assert_int_equal(sscanf(line, "%95s", row), 1);
        assert_ok(rein_algo_find(row, &info));
        assert_string_equal(info.family, family);
        rows++;
    }
    int families = 0;
    for (; rein_algo_at(known, &info); known++) {
        rein_algo_info other;
        int first = 0;
        while (rein_algo_at(first, &other) && strcmp(other.family, info.family) != 0)
            first++;
        families += first == known;
    }
    assert_int_equal(rows, known);
    assert_int_equal(headings, families);
    assert_true(families >= 2);
    command_release(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_show_run_and_policy),
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_train_draws),
        cmocka_unit_test(test_many_panels),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_show_refuses),
        cmocka_unit_test(test_mdp),
        cmocka_unit_test(test_mdp_refused),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_list_by_family),
        cmocka_unit_test(test_unit_of_planners),
    };
    return cmocka_run_group_tests(tests, set_up, temp_dir_remove);
}
