/*
 * test_label_judge.c - preferences by a program and by rewards: every way to answer, programs that hang, die and write
 * rubbish, what is kept then, and that the file is that of a person with the same choices.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <rein/label.h>
#include "base/base.h"
#include "base/clock.h"
#include "support/json_rows.h"

#define MODEL REIN_SOURCE_DIR "/tests/golden/generate_hf/chat"

static char data_path[TEMP_PATH + 64], out_path[TEMP_PATH + 64];

/* prompts "p0", ... with the solution 7, answered by numbers from 5 on */
static void write_groups(int prompts, int answers) {
    static char text[1 << 16];
    static int count;
    size_t n = 0;
    snprintf(data_path, sizeof data_path, "%s/data-%d.jsonl", temp_dir, ++count);
    snprintf(out_path, sizeof out_path, "%s/out-%d.jsonl", temp_dir, count);
    for (int p = 0; p < prompts; p++)
        for (int a = 0; a < answers; a++)
            n += (size_t)snprintf(text + n, sizeof text - n,
                                  "{\"prompt\": \"p%d\", \"completion\": \"it is %d\", \"sample\": %d, "
                                  "\"solution\": 7, \"finish\": \"%s\"}\n",
                                  p, a + 5, a, a == 1 ? "length" : "eos");
    temp_write(data_path, text, n);
}

static rein_label *opened(const char *as) {
    rein_label *l;
    const rein_label_opts opts = {.data = data_path, .out = out_path, .as = as};
    assert_ok(rein_label_open(&opts, &l));
    return l;
}

static rein_label_judge program(const char *command) {
    return (rein_label_judge){.command = command, .timeout = 120, .threads = 1};
}

static rein_label_judge reward(const char *spec) {
    return (rein_label_judge){.reward = spec, .timeout = 120, .threads = 1};
}

static const char *chosen(const json_t *list, size_t i) {
    return rows_text(json_array_get(list, i), "chosen");
}

static void expect_state(const rein_label *l, int decided, int ties, int skipped, int rows_there) {
    rein_label_state s = rein_label_look(l);
    if (s.decided != decided || s.ties != ties || s.skipped != skipped || s.rows != rows_there)
        fail_msg("%d decided, %d ties, %d skipped, %d rows", (int)s.decided, (int)s.ties, (int)s.skipped,
                 (int)s.rows);
}

/* ---- programs ------------------------------------------------------------------------------------------------ */

/* A judge that answers each question with a line of its own. */
static rein_status judge_lines(const char *as, const char *line, rein_label **out) {
    char command[600];
    snprintf(command, sizeof command, "while read -r l; do echo '%s'; done", line);
    rein_label_judge j = program(command);
    *out = opened(as);
    return rein_label_run(*out, &j);
}

static void expect_pairs(const char *line, int ties, int skipped, int rows_there) {
    rein_label *l;
    write_groups(4, 2);
    assert_ok(judge_lines("pairs", line, &l));
    expect_state(l, 4, ties, skipped, rows_there);
    rein_label_close(l);
}

static void test_ways_to_answer(void **state) {
    (void)state;
    expect_pairs("{\"id\": 0, \"choice\": 1}", 0, 0, 4);
    expect_pairs("{\"choice\": \"2 > 1\"}", 0, 0, 4);
    expect_pairs("2", 0, 0, 4);
    expect_pairs("\"=\"", 4, 0, 0);
    expect_pairs("null", 0, 4, 0);
    expect_pairs("{\"choice\": null}", 0, 4, 0);
    expect_pairs("{\"ranks\": [2, 1]}", 0, 0, 4);
    expect_pairs("{\"ranks\": [1, 1]}", 4, 0, 0);
    expect_pairs("{\"scores\": [0.5, -3]}", 0, 0, 4);
    expect_pairs("{\"scores\": [0.5, 0.5]}", 4, 0, 0);
    expect_pairs("{\"scores\": [0.5, null]}", 0, 4, 0);
    rein_label *l;
    write_groups(2, 2);
    assert_ok(judge_lines("unpaired", "{\"choice\": true}", &l));
    expect_state(l, 4, 0, 0, 4);
    rein_label_close(l);
    write_groups(2, 4);
    assert_ok(judge_lines("ranking", "{\"ranks\": [3, 1, 3, 2]}", &l));
    assert_string_equal(rein_label_last(l), "2 > 4 > 1 = 3");
    rein_label_close(l);
    write_groups(2, 4);
    assert_ok(judge_lines("ranking", "{\"scores\": [1, 10, null, 10]}", &l));
    assert_string_equal(rein_label_last(l), "2 = 4 > 1 > 3");
    rein_label_close(l);
    /* an answer without a score is not in the row */
    json_t *list = rows_all(out_path);
    const json_t *row = json_array_get(list, 0);
    assert_int_equal(json_array_size(json_object_get(row, "responses")), 3);
    assert_int_equal(json_array_size(json_object_get(row, "scores")), 3);
    assert_null(json_object_get(row, "ranks"));
    assert_string_equal(json_string_value(json_object_get(json_object_get(row, "decision"), "by")), "judge");
    json_decref(list);
}

/* one process for all questions; it sees form, prompt, answers and shared columns, and prefers by what they say */
static void test_a_judge_that_reads(void **state) {
    (void)state;
    if (system("python3 -c pass >/dev/null 2>&1") != 0)
        skip();
    static const char script[] =
        "import json, sys\n"
        "count = 0\n"
        "for line in sys.stdin:\n"
        "    q = json.loads(line)\n"
        "    assert q['as'] == 'pairs' and q['prompt'] == 'p%d' % count and q['solution'] == 7\n"
        "    assert 'finish' not in q and q['line'] == 3 * count + 1 and q['id'] == 0\n"
        "    right = [r.endswith(' 7') for r in q['responses']]\n"
        "    choice = '=' if right[0] == right[1] else 1 + right.index(True)\n"
        "    print(json.dumps({'id': q['id'], 'choice': choice}), flush=True)\n"
        "    count += 1\n";
    char command[2 * TEMP_PATH];
    write_groups(40, 3);
    temp_write(temp_path("judge.py"), script, sizeof script - 1);
    snprintf(command, sizeof command, "python3 %s/judge.py", temp_dir);
    rein_label_judge j = program(command);
    rein_label *l = opened("pairs");
    assert_ok(rein_label_run(l, &j));
    rein_label_state s = rein_label_look(l);
    assert_true(s.decided == 40 && s.ties > 3 && s.ties < 25); /* a third of the pairs is without a 7 */
    json_t *list = rows_all(out_path);
    assert_int_equal(json_array_size(list), s.rows);
    for (size_t i = 0; i < json_array_size(list); i++)
        assert_string_equal(chosen(list, i), "it is 7");
    json_decref(list);
    rein_label_close(l);
}

/* the third question fails: two decisions stay, and another judge goes on behind them */
static void expect_failure(const char *command, rein_status status, const char *words, double timeout) {
    write_groups(4, 2);
    rein_label_judge j = program(command);
    j.timeout = timeout;
    rein_label *l = opened("pairs");
    assert_fails(rein_label_run(l, &j), status, words);
    assert_non_null(strstr(rein_error(), ".jsonl:5: judge"));
    expect_state(l, 2, 0, 0, 2);
    rein_label_close(l);
    l = opened("pairs");
    expect_state(l, 2, 0, 0, 2);
    j = program("while read -r l; do echo 2; done");
    assert_ok(rein_label_run(l, &j));
    expect_state(l, 4, 0, 0, 4);
    rein_label_close(l);
}

#define TWICE "read -r l; echo 1; read -r l; echo 1; read -r l; "

static void test_judges_that_fail(void **state) {
    (void)state;
    expect_failure(TWICE "exit 3", REIN_IO, "ended with code 3", 120);
    expect_failure(TWICE "kill -SEGV $$", REIN_IO, "ended by signal 11", 120);
    expect_failure(TWICE "echo I prefer the first; cat >/dev/null", REIN_FORMAT,
                   "wrote a line that is not JSON: \"I prefer the first\"", 120);
    expect_failure(TWICE "echo 3; cat >/dev/null", REIN_FORMAT, "there is no answer 3", 120);
    expect_failure(TWICE "echo '{\"verdict\": 1}'; cat >/dev/null", REIN_FORMAT, "a line without a choice",
                   120);
    expect_failure(TWICE "echo '{\"ranks\": [1, 2, 3]}'; cat >/dev/null", REIN_FORMAT,
                   "a list of another length", 120);
    expect_failure(TWICE "echo '{\"ranks\": [1, \"b\"]}'; cat >/dev/null", REIN_FORMAT,
                   "something else than numbers", 120);
    expect_failure(TWICE "echo '{\"ranks\": [1, null]}'; cat >/dev/null", REIN_FORMAT,
                   "ranks that are not numbers", 120);
    expect_failure(TWICE "echo '{\"id\": 1, \"choice\": 1}'; cat >/dev/null", REIN_FORMAT, "nobody asked for",
                   120);
    double begin = reini_seconds();
    expect_failure(TWICE "sleep 60 & sleep 60", REIN_IO, "gave no answer for 2 s (--reward_timeout)", 2);
    assert_true(reini_seconds() - begin < 25);
}

static void test_a_judge_that_is_not_there(void **state) {
    (void)state;
    write_groups(1, 2);
    rein_label_judge j = program("/nowhere/judge");
    rein_label *l = opened("pairs");
    assert_fails(rein_label_run(l, &j), REIN_IO, "there is no such program");
    expect_state(l, 0, 0, 0, 0);
    j.reward = "exact";
    assert_fails(rein_label_run(l, &j), REIN_USAGE, "and not both");
    rein_label_close(l);
}

/* one that dies once is started again and asked the same */
static void test_restart(void **state) {
    (void)state;
    char command[2 * TEMP_PATH];
    write_groups(3, 2);
    snprintf(command, sizeof command,
             "if mkdir %s/once; then read -r l; exit 1; fi; while read -r l; do echo 2; done", temp_dir);
    rein_label_judge j = program(command);
    j.restarts = 1;
    rein_label *l = opened("pairs");
    assert_ok(rein_label_run(l, &j));
    expect_state(l, 3, 0, 0, 3);
    rein_label_close(l);
}

static volatile sig_atomic_t stop_flag;

static void on_decision(void *user, const rein_label *l) {
    int *count = user;
    (void)l;
    stop_flag = ++*count == 2;
}

static void on_alarm(int number) {
    (void)number;
    stop_flag = 1;
}

/* between questions, and at once while a judge thinks */
static void test_stop(void **state) {
    (void)state;
    int count = 0;
    write_groups(5, 2);
    rein_label_judge j = program("while read -r l; do echo 2; done");
    j.stop = &stop_flag;
    j.on_decision = on_decision;
    j.user = &count;
    rein_label *l = opened("pairs");
    assert_fails(rein_label_run(l, &j), REIN_INTERRUPTED, "what was decided is kept");
    expect_state(l, 2, 0, 0, 2);
    stop_flag = 0;
    j = program("sleep 30");
    j.timeout = 30;
    j.stop = &stop_flag;
    signal(SIGALRM, on_alarm);
    alarm(1);
    double begin = reini_seconds();
    assert_fails(rein_label_run(l, &j), REIN_INTERRUPTED, "stopped");
    assert_true(reini_seconds() - begin < 25);
    stop_flag = 0;
    expect_state(l, 2, 0, 0, 2);
    rein_label_close(l);
}

/* in both orders: one that prefers what stands first has no preference, one that reads has its own */
static void test_both_orders(void **state) {
    (void)state;
    write_groups(6, 2);
    rein_label_judge j = program("while read -r l; do echo 1; done");
    j.both_orders = 1;
    rein_label *l = opened("pairs");
    assert_ok(rein_label_run(l, &j));
    expect_state(l, 6, 6, 0, 0);
    rein_label_close(l);
    /* the second line is about the first question: answers may come in any order */
    write_groups(6, 2);
    j.command =
        "while read -r a; do read -r b; for l in \"$b\" \"$a\"; do id=${l#*\\\"id\\\": }; id=${id%%[,\\}]*}; "
        "case "
        "\"$l\" in *'[\"it is 6\"'*) c=1;; *) c=2;; esac; echo \"{\\\"id\\\": $id, \\\"choice\\\": $c}\"; "
        "done; done";
    l = opened("pairs");
    assert_ok(rein_label_run(l, &j));
    expect_state(l, 6, 0, 0, 6);
    rein_label_close(l);
    json_t *list = rows_all(out_path);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(chosen(list, i), "it is 6");
    json_decref(list);
    /* ranks 1 2 3 from left and from right add up to 4 each; scores to their means; one silent order skips */
    write_groups(1, 3);
    j.command = "while read -r l; do echo '{\"ranks\": [1, 2, 3]}'; done";
    l = opened("ranking");
    assert_ok(rein_label_run(l, &j));
    expect_state(l, 1, 1, 0, 0);
    rein_label_close(l);
    write_groups(1, 3);
    j.command = "while read -r l; do echo '{\"scores\": [1, 4, 2]}'; done";
    l = opened("ranking");
    assert_ok(rein_label_run(l, &j));
    assert_string_equal(rein_label_last(l), "2 > 1 = 3");
    rein_label_close(l);
    list = rows_all(out_path);
    const json_t *scores = json_object_get(json_object_get(json_array_get(list, 0), "decision"), "scores");
    assert_true(json_number_value(json_array_get(scores, 0)) == 1.5 &&
                json_number_value(json_array_get(scores, 1)) == 4);
    json_decref(list);
    write_groups(1, 2);
    j.command = "read -r l; echo 1; read -r l; echo null; cat >/dev/null";
    l = opened("pairs");
    assert_ok(rein_label_run(l, &j));
    expect_state(l, 1, 0, 1, 0);
    rein_label_close(l);
}

/* ---- rewards --------------------------------------------------------------------------------------------------- */

static void test_rewards(void **state) {
    (void)state;
    /* answers 5, 6 and 7 of which 7 is right */
    write_groups(3, 3);
    rein_label_judge j = reward("number");
    rein_label *l = opened("ranking");
    assert_ok(rein_label_run(l, &j));
    expect_state(l, 3, 0, 0, 3);
    rein_label_close(l);
    json_t *list = rows_all(out_path);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++)
            assert_true(json_number_value(json_array_get(json_object_get(json_array_get(list, i), "scores"),
                                                         k)) == (k == 2));
    json_decref(list);
    /* all equal: a tie. No opinion: skipped */
    write_groups(3, 2);
    l = opened("pairs");
    assert_ok(rein_label_run(l, &j));
    expect_state(l, 3, 3, 0, 0);
    rein_label_close(l);
    write_groups(3, 2);
    l = opened("pairs");
    j = reward("command(while read -r l; do echo null; done)");
    assert_ok(rein_label_run(l, &j));
    expect_state(l, 3, 0, 3, 0);
    rein_label_close(l);
    /* good above 0; how an answer ended is seen */
    write_groups(2, 3);
    l = opened("unpaired");
    j = reward("ended");
    assert_ok(rein_label_run(l, &j));
    rein_label_close(l);
    list = rows_all(out_path);
    for (size_t i = 0; i < 6; i++) {
        const json_t *row = json_array_get(list, i);
        bool six = strcmp(json_string_value(json_object_get(row, "completion")), "it is 6") == 0;
        assert_int_equal(json_is_true(json_object_get(row, "label")), !six);
    }
    json_decref(list);
}

static void test_rewards_that_read_tokens(void **state) {
    (void)state;
    static const char data[] = "{\"prompt\": \"a\", \"responses\": [\"one two three four five\", \"one\"]}\n"
                               "{\"prompt\": \"a\", \"responses\": [\"x\", \"xx yy zz\", \"x x\"]}\n";
    write_groups(1, 2);
    temp_write(data_path, data, sizeof data - 1);
    rein_label_judge j = reward("0 - length");
    rein_label *l = opened("pairs");
    assert_fails(rein_label_run(l, &j), REIN_USAGE, "");
    j = reward("-1 length");
    assert_fails(rein_label_run(l, &j), REIN_USAGE, "the reward length reads tokens: name the folder");
    j.tokenizer = MODEL;
    assert_ok(rein_label_run(l, &j));
    rein_label_close(l);
    json_t *list = rows_all(out_path);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(chosen(list, 0), "one");
    for (size_t i = 0; i < 2; i++) {
        const char *rejected = json_string_value(json_object_get(json_array_get(list, i), "rejected"));
        assert_true(strlen(chosen(list, i)) < strlen(rejected));
    }
    json_decref(list);
}

static void test_a_column_that_is_missing(void **state) {
    (void)state;
    write_groups(1, 2);
    rein_label_judge j = reward("exact(gold)");
    rein_label *l = opened("pairs");
    assert_fails(rein_label_run(l, &j), REIN_FORMAT, "reads the column \"gold\"");
    rein_label_close(l);
}

int main(void) {
    signal(SIGPIPE, SIG_DFL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ways_to_answer),
        cmocka_unit_test(test_a_judge_that_reads),
        cmocka_unit_test(test_judges_that_fail),
        cmocka_unit_test(test_a_judge_that_is_not_there),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_both_orders),
        cmocka_unit_test(test_rewards),
        cmocka_unit_test(test_rewards_that_read_tokens),
        cmocka_unit_test(test_a_column_that_is_missing),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
