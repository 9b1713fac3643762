/*
 * test_cli_label.c - rein label as a user runs it: candidates drawn by rein generate, choices through a pipe and from a
 * terminal, what is gone on with, interrupts, judges; and rein train on what came out.
 */
#include "support/command.h"
#include <stdbool.h>
#include <time.h>
#include "support/json_rows.h"

#define MODEL REIN_SOURCE_DIR "/tests/golden/generate_hf/chat"

static void expect(command c, int code, const char *on_stdout, const char *on_stderr) {
    if (c.code != code || !strstr(c.out, on_stdout) || !strstr(c.err, on_stderr))
        fail_msg("exit code %d, expected %d, \"%s\" and \"%s\"\nstdout: %s\nstderr: %s", c.code, code,
                 on_stdout, on_stderr, c.out, c.err);
    command_release(&c);
}

static void file_of(const char *name, const char *text) {
    temp_write(temp_path(name), text, strlen(text));
}

/* temp_dir/name: so many prompts, three answers each */
static void answers(const char *name, int prompts) {
    char text[8192];
    size_t n = 0;
    for (int i = 0; i < 3 * prompts; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "{\"prompt\": \"p%d\", \"completion\": \"a%d of p%d\", \"solution\": \"a2\"}\n",
                              i / 3, i % 3, i / 3);
    file_of(name, text);
}

/* rein label with this typed */
#define label(input, ...)                                                                                    \
    ({                                                                                                       \
        file_of("input.txt", input);                                                                         \
        static char path_[2 * TEMP_PATH];                                                                    \
        snprintf(path_, sizeof path_, "%s", temp_path("input.txt"));                                         \
        command_input = path_;                                                                               \
        command c_ = command_run("label", __VA_ARGS__, NULL);                                                \
        command_input = "/dev/null";                                                                         \
        c_;                                                                                                  \
    })

static int rows_of(const char *name) {
    json_t *rows = rows_all(temp_path(name));
    int n = (int)json_array_size(rows);
    json_decref(rows);
    return n;
}

/* ---- typing --------------------------------------------------------------------------------------------------- */

static void test_a_day(void **state) {
    (void)state;
    answers("day.jsonl", 5);
    command c = label("1\n?\n=\n", "--data", "day.jsonl", "--out", "day.out");
    assert_int_equal(c.code, 0);
    assert_non_null(
        strstr(c.out, "---- 0/5 decided, 0 ties, 0 skipped ----\nprompt, line 1\n    p0\nanswer 1\n    a"));
    assert_non_null(strstr(c.out, "kept: 1 > 2"));
    assert_non_null(strstr(c.out, "undo the last decision"));
    assert_non_null(strstr(c.out, "2/5 decided, 1 tie, 0 skipped; day.out has 1 row, for rein train dpo"));
    command_release(&c);
    assert_int_equal(rows_of("day.out"), 1);
    /* goes on at the third; takes back what was decided before */
    c = label("\n s \nu\nu\n2\nq\n1\n", "--data", "day.jsonl", "--out", "day.out");
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.out, "---- 2/5 decided, 1 tie, 0 skipped ----\nprompt, line 7\n    p2\n"));
    assert_non_null(strstr(c.out, "taken back"));
    assert_non_null(strstr(c.out, "2/5 decided, 0 ties, 0 skipped; day.out has 2 rows"));
    command_release(&c);
    c = label("2\n2\n2\n1\n", "--data", "day.jsonl", "--out", "day.out", "--json");
    assert_non_null(strstr(c.out,
                           "{\"as\": \"pairs\", \"out\": \"day.out\", \"questions\": 5, \"decided\": 5, "
                           "\"ties\": 0, \"skipped\": 0, \"others\": 0, \"rows\": 5}\n"));
    command_release(&c);
    expect(label("1\n", "--data", "day.jsonl", "--out", "day.out"), 0, "5/5 decided", "");
    assert_int_equal(rows_of("day.out"), 5);
}

/* what follows a wrong line in a pipe is meant for other questions */
static void test_wrong_input(void **state) {
    (void)state;
    answers("wrong.jsonl", 4);
    expect(label("1\n3\n2\n", "--data", "wrong.jsonl", "--out", "wrong.out"), 2, "kept: 1 > 2",
           "rein: error: line 2 of the input: there is no answer 3, expected numbers from 1 to 2");
    assert_int_equal(rows_of("wrong.out"), 1);
    expect(label("better\n", "--data", "wrong.jsonl", "--out", "wrong.out"), 2, "",
           "line 1 of the input: \"better\" is not understood: expected 1 or 2, the better answer");
    expect(label("u\nu\n", "--data", "wrong.jsonl", "--out", "wrong.out"), 2, "taken back",
           "line 2 of the input: there is no decision to take back");
    assert_int_equal(rows_of("wrong.out"), 0);
    expect(label("", "--out", "x"), 2, "", "no answers: name a file");
    expect(label("", "--data", "wrong.jsonl"), 2, "", "name one with --out FILE");
    expect(label("", "--data", "nowhere.jsonl", "--out", "x"), 1, "", "cannot open \"nowhere.jsonl\"");
    expect(label("", "--data", "wrong.jsonl", "--out", "x", "--as", "rankings"), 2, "",
           "expected pairs, ranking or unpaired (did you mean ranking?)");
    expect(label("", "--data", "wrong.jsonl", "--out", "x", "--judge", "a", "--reward", "b"), 2, "",
           "both decide; leave one out");
    expect(label("", "--data", "wrong.jsonl", "--out", "x", "--both_orders"), 2, "",
           "--both_orders is for --judge");
    expect(label("", "--data", "wrong.jsonl", "--out", "x", "--tokenizer", "a"), 2, "",
           "--tokenizer is for --reward");
    expect(label("", "--data", "wrong.jsonl", "--out", "wrong.jsonl"), 1, "",
           "wrong.jsonl:1: the row has no \"decision\", as `rein label` writes it; give --out another name");
    assert_int_equal(rows_of("wrong.jsonl"), 12);
    file_of("bad.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\", completion\n");
    expect(label("", "--data", "bad.jsonl", "--out", "x"), 1, "", "bad.jsonl:2:");
    assert_int_equal(access(temp_path("x"), F_OK), -1);
}

/* a model's text must not move the cursor, change colours or ring */
static void test_control_characters(void **state) {
    (void)state;
    file_of("control.jsonl",
            "{\"prompt\": \"a\\nb\", \"responses\": [\"x\\u001b[2Jy\\u0007\", \"\\u009b1mé\\tz\"]}\n");
    command c = label("", "--data", "control.jsonl", "--out", "control.out");
    assert_non_null(strstr(c.out, "    a\n    b\n"));
    assert_non_null(strstr(c.out, "x^[[2Jy^G\n"));
    assert_non_null(strstr(c.out, "\\u009b1mé\tz\n"));
    assert_null(strchr(c.out, '\x1b'));
    command_release(&c);
}

/* ---- a terminal ----------------------------------------------------------------------------------------------- */

static void wait_ms(int ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* until the command has printed this */
static void wait_for(int id, const char *words) {
    for (int i = 0; i < 6000; i++) {
        char *text = access(command_output(id, "out"), R_OK) == 0 ? temp_read(command_output(id, "out"), NULL)
                                                                  : strdup("");
        bool there = strstr(text, words) != NULL;
        free(text);
        if (there)
            return;
        wait_ms(10);
    }
    fail_msg("\"%s\" was not printed", words);
}

static pid_t start_label(const char *input, const char *out, int *id) {
    static char in[2 * TEMP_PATH];
    char *argv[] = {(char *)"rein",
                    (char *)"label",
                    (char *)"--data",
                    (char *)"tty.jsonl",
                    (char *)"--out",
                    (char *)(uintptr_t)out,
                    NULL};
    snprintf(in, sizeof in, "%s", input);
    command_input = in;
    pid_t pid = command_start(argv, NULL, id);
    command_input = "/dev/null";
    return pid;
}

/* wrong input is said and asked again; Ctrl-C ends at once, and the file is whole */
static void test_at_a_terminal(void **state) {
    (void)state;
    int id, terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
        skip();
    answers("tty.jsonl", 4);
    pid_t pid = start_label(ptsname(terminal), "tty.out", &id);
    wait_for(id, "q quit, ? help) > ");
    assert_int_equal(write(terminal, "7\n", 2), 2);
    wait_for(id, "there is no answer 7, expected numbers from 1 to 2\n(1 or 2 is better");
    assert_int_equal(write(terminal, "2\n", 2), 2);
    wait_for(id, "---- 1/4 decided");
    kill(pid, SIGINT);
    command c = command_finish(pid, id);
    assert_int_equal(c.code, 130);
    assert_non_null(strstr(c.out, "1/4 decided, 0 ties, 0 skipped; tty.out has 1 row"));
    command_release(&c);
    assert_int_equal(rows_of("tty.out"), 1);
    close(terminal);
}

static void test_killed(void **state) {
    (void)state;
    char fifo[2 * TEMP_PATH];
    int id, status;
    snprintf(fifo, sizeof fifo, "%s", temp_path("fifo"));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int hold = open(fifo, O_RDWR);
    answers("tty.jsonl", 4);
    pid_t pid = start_label(fifo, "killed.out", &id);
    assert_int_equal(write(hold, "1\ns\n2\n", 6), 6);
    wait_for(id, "---- 3/4 decided");
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(rows_of("killed.out"), 2);
    expect(label("1\n", "--data", "tty.jsonl", "--out", "killed.out"), 0,
           "4/4 decided, 0 ties, 1 skipped; killed.out has 3 rows", "");
    close(hold);
}

/* ---- judges ---------------------------------------------------------------------------------------------------- */

static void test_judges(void **state) {
    (void)state;
    answers("judge.jsonl", 5);
    expect(label("", "--data", "judge.jsonl", "--out", "judge.out", "--judge",
                 "while read -r l; do echo 2; done"),
           0, "5/5 decided, 0 ties, 0 skipped; judge.out has 5 rows", "");
    expect(label("", "--data", "judge.jsonl", "--out", "reward.out", "--as", "ranking", "--reward",
                 "regex(^a2) - 0.5 regex(^a1)"),
           0, "reward.out has 5 rows, for rein train reward|rrhf", "");
    expect(label("", "--data", "judge.jsonl", "--out", "late.out", "--judge", "sleep 20", "--reward_timeout",
                 "0.2", "--reward_restarts", "0"),
           1, "0/5 decided", "judge.jsonl:1: judge: \"sleep 20\" gave no answer for 0.2 s");
    expect(label("", "--data", "judge.jsonl", "--out", "late.out", "--judge",
                 "read -r l; echo 1; read -r l; exit 3", "--reward_restarts", "0"),
           1, "1/5 decided", "ended with code 3");
    /* a person goes on where the judge ended */
    expect(label("2\n2\n2\n2\n", "--data", "judge.jsonl", "--out", "late.out", "--quiet"), 0, "kept: 2 > 1",
           "");
    assert_int_equal(rows_of("late.out"), 5);
}

/* ---- from answers to training ------------------------------------------------------------------------------------ */

#if defined(REIN_HAVE_PCRE2) && defined(REIN_HAVE_UTF8PROC)

static void train(const char *algo, const char *data, const char *out) {
    expect(command_run("train", algo, "--model", MODEL, "--data", data, "--max_steps", "2",
                       "--per_device_train_batch_size", "2", "--out", out, "--threads", "1", "--quiet", NULL),
           0, "updates", "");
}

static void round_trip(const char *chat, const char *name) {
    char data[64], pairs[64], ranking[64], unpaired[64], out[64];
    snprintf(data, sizeof data, "%s.jsonl", name);
    snprintf(pairs, sizeof pairs, "%s.pairs", name);
    snprintf(ranking, sizeof ranking, "%s.ranking", name);
    snprintf(unpaired, sizeof unpaired, "%s.unpaired", name);
    file_of(
        "prompts.jsonl",
        "{\"prompt\": \"The quick\"}\n{\"prompt\": \"dog\"}\n{\"prompt\": \"cat\"}\n{\"prompt\": \"no\"}\n");
    expect(command_run("generate", "--model", MODEL, "--file", "prompts.jsonl", "--n", "4", "--temperature",
                       "1.3", "--max_new_tokens", "9", "--threads", "1", "--out", data, "--quiet", chat,
                       NULL),
           0, "", "");
    assert_int_equal(rows_of(data), 16);
    expect(label("1\n2\n1\n=\n2\ns\n1\n2\n", "--data", data, "--out", pairs), 0, "has 6 rows", "");
    expect(label("4 > 2\n1=3>2=4\n3 1 2 4\n", "--data", data, "--out", ranking, "--as", "ranking"), 0,
           "has 3 rows", "");
    expect(label("y\nn\nn\ny\nn\n", "--data", data, "--out", unpaired, "--as", "unpaired"), 0, "has 5 rows",
           "");
    static const char *const algo[] = {"dpo", "reward", "kto", "reward", "rrhf", "kto"};
    const char *const from[] = {pairs, pairs, pairs, ranking, ranking, unpaired};
    for (int i = 0; i < 6; i++) {
        snprintf(out, sizeof out, "%s-run-%d", name, i);
        train(algo[i], from[i], out);
    }
}

static void test_round_trip(void **state) {
    (void)state;
    round_trip(NULL, "plain");
}

static void test_round_trip_of_conversations(void **state) {
    (void)state;
    round_trip("--chat", "talk");
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_day),
        cmocka_unit_test(test_wrong_input),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_at_a_terminal),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_judges),
#if defined(REIN_HAVE_PCRE2) && defined(REIN_HAVE_UTF8PROC)
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_round_trip_of_conversations),
#endif
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
