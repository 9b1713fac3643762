/*
 * test_label.c - preferences: pairs, rankings and verdicts as they are typed, ties, skips, what is taken back; the files,
 * torn and gone on with; killed at random moments; and that training reads what is written.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <rein/label.h>
#include <rein/rng.h>
#include "base/base.h"
#include "data/preference.h"
#include "support/json_rows.h"

#define MODEL REIN_SOURCE_DIR "/tests/golden/generate_hf/chat"

/* paths of the test at hand, each with files of its own */
static char data_path[TEMP_PATH + 64], out_path[TEMP_PATH + 64], undecided_path[TEMP_PATH + 64];

static void fresh(void) {
    static int count;
    snprintf(data_path, sizeof data_path, "%s/data-%d.jsonl", temp_dir, ++count);
    snprintf(out_path, sizeof out_path, "%s/out-%d.jsonl", temp_dir, count);
    snprintf(undecided_path, sizeof undecided_path, "%s/out-%d.jsonl.undecided", temp_dir, count);
}

static void write_data(const char *text) {
    fresh();
    temp_write(data_path, text, strlen(text));
}

/* so many prompts with so many answers each: "p3" and "p3 answer 1" */
static void write_groups(int prompts, int answers) {
    static char text[1 << 20];
    size_t n = 0;
    for (int p = 0; p < prompts; p++)
        for (int a = 0; a < answers; a++)
            n += (size_t)snprintf(text + n, sizeof text - n,
                                  "{\"prompt\": \"p%d\", \"completion\": \"p%d answer %d\", \"sample\": %d, "
                                  "\"solution\": %d, \"tokens\": %d}\n",
                                  p, p, a, a, p, a);
    write_data(text);
}

static rein_status open_as(const char *as, int pairs, uint64_t seed, rein_label **l) {
    const rein_label_opts opts = {.data = data_path, .out = out_path, .as = as, .pairs = pairs, .seed = seed};
    return rein_label_open(&opts, l);
}

static rein_label *opened(const char *as) {
    rein_label *l;
    assert_ok(open_as(as, 0, 0, &l));
    return l;
}

static void expect_state(const rein_label *l, int questions, int decided, int ties, int skipped, int rows) {
    rein_label_state s = rein_label_look(l);
    if (s.questions != questions || s.decided != decided || s.ties != ties || s.skipped != skipped ||
        s.rows != rows)
        fail_msg("%d questions, %d decided, %d ties, %d skipped, %d rows", (int)s.questions, (int)s.decided,
                 (int)s.ties, (int)s.skipped, (int)s.rows);
}

/* ---- pairs ---------------------------------------------------------------------------------------------------- */

static void test_a_pair(void **state) {
    (void)state;
    rein_label_question q;
    write_groups(1, 2);
    rein_label *l = opened(NULL);
    expect_state(l, 1, 0, 0, 0, 0);
    assert_int_equal(rein_label_next(l, &q), 1);
    assert_string_equal(q.prompt, "p0");
    assert_int_equal(q.n, 2);
    assert_int_equal(q.line, 1);
    char better[64], worse[64];
    snprintf(better, sizeof better, "%s", q.answers[1]);
    snprintf(worse, sizeof worse, "%s", q.answers[0]);
    assert_string_not_equal(better, worse);
    assert_ok(rein_label_decide(l, " 2 "));
    assert_string_equal(rein_label_last(l), "2 > 1");
    expect_state(l, 1, 1, 0, 0, 1);
    assert_int_equal(rein_label_next(l, &q), 0);
    assert_fails(rein_label_decide(l, "1"), REIN_USAGE, "every question is decided");
    rein_label_close(l);
    json_t *row = rows_at(out_path, 0);
    assert_string_equal(rows_text(row, "prompt"), "p0");
    assert_string_equal(rows_text(row, "chosen"), better);
    assert_string_equal(rows_text(row, "rejected"), worse);
    /* columns of the prompt come along, those of one answer do not */
    assert_int_equal(json_integer_value(json_object_get(row, "solution")), 0);
    assert_non_null(json_object_get(row, "solution"));
    assert_null(json_object_get(row, "tokens"));
    const json_t *d = json_object_get(row, "decision");
    assert_string_equal(rows_text(d, "choice"), "2 > 1");
    assert_string_equal(rows_text(d, "by"), "person");
    /* "shown" leads from the place on the screen to the answer */
    char shown[64];
    snprintf(shown, sizeof shown, "p0 answer %d",
             (int)json_integer_value(json_array_get(json_object_get(d, "shown"), 1)));
    assert_string_equal(shown, better);
    json_decref(row);
    assert_int_equal(access(undecided_path, F_OK), -1);
}

static void test_ties_and_skips_leave_no_rows(void **state) {
    (void)state;
    write_groups(4, 2);
    rein_label *l = opened("pairs");
    assert_ok(rein_label_decide(l, "="));
    assert_ok(rein_label_decide(l, "skip"));
    assert_ok(rein_label_decide(l, "1 = 2"));
    expect_state(l, 4, 3, 2, 1, 0);
    assert_ok(rein_label_decide(l, "1"));
    expect_state(l, 4, 4, 2, 1, 1);
    rein_label_close(l);
    json_t *row = rows_at(undecided_path, 1);
    assert_int_equal(json_array_size(json_object_get(row, "responses")), 2);
    assert_string_equal(rows_text(json_object_get(row, "decision"), "choice"), "skip");
    json_decref(row);
    row = rows_at(out_path, 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(row, "decision"), "n")), 4);
    json_decref(row);
    assert_null(rows_at(out_path, 1));
    l = opened("pairs");
    expect_state(l, 4, 4, 2, 1, 1);
    rein_label_close(l);
}

static int questions_of(int answers, int pairs) {
    rein_label *l;
    write_groups(1, answers);
    assert_ok(open_as("pairs", pairs, 5, &l));
    int n = (int)rein_label_look(l).questions;
    rein_label_close(l);
    return n;
}

/* rounds of a tournament: no answer twice by default; every pair once when all are asked for */
static void test_which_pairs(void **state) {
    (void)state;
    assert_int_equal(questions_of(2, 0), 1);
    assert_int_equal(questions_of(5, 0), 2);
    assert_int_equal(questions_of(6, 0), 3);
    assert_int_equal(questions_of(6, 4), 4);
    assert_int_equal(questions_of(3, 99), 3);
    for (int n = 2; n < 9; n++) {
        bool met[9][9] = {{false}};
        int seen[9] = {0}, first_round = n / 2, count = 0;
        rein_label *l;
        rein_label_question q;
        write_groups(1, n);
        assert_ok(open_as("pairs", -1, (uint64_t)n, &l));
        for (; rein_label_next(l, &q); count++) {
            int a = q.answers[0][strlen(q.answers[0]) - 1] - '0',
                b = q.answers[1][strlen(q.answers[1]) - 1] - '0';
            assert_true(a != b && !met[a][b]);
            met[a][b] = met[b][a] = true;
            seen[a]++, seen[b]++;
            for (int i = 0; count < first_round && i < n; i++)
                assert_true(seen[i] < 2);
            assert_ok(rein_label_decide(l, "1"));
        }
        assert_int_equal(count, n * (n - 1) / 2);
        rein_label_close(l);
    }
}

/* each place gets each answer about as often; and another seed another order */
static void test_the_order_is_drawn(void **state) {
    (void)state;
    int first = 0, same = 0;
    static char orders[2][400];
    for (uint64_t seed = 0; seed < 2; seed++) {
        rein_label *l;
        rein_label_question q;
        write_groups(120, 2);
        assert_ok(open_as("pairs", 0, seed, &l));
        for (int i = 0; rein_label_next(l, &q); i++) {
            orders[seed][i] = strstr(q.answers[0], "answer 0") ? 1 : 2;
            first += orders[seed][i] == 1;
            assert_ok(rein_label_decide(l, "s"));
        }
        rein_label_close(l);
    }
    for (int i = 0; i < 120; i++)
        same += orders[0][i] == orders[1][i];
    assert_true(first > 85 && first < 155); /* of 240: 120 +- 8 */
    assert_true(same > 35 && same < 85);
}

/* ---- rankings -------------------------------------------------------------------------------------------------- */

/* ranks of the shown answers after this choice of four */
static void expect_ranks(const char *choice, const char *said, const int ranks[4]) {
    rein_label_question q;
    write_groups(1, 4);
    rein_label *l = opened("ranking");
    assert_int_equal(rein_label_next(l, &q), 1);
    int want[4];
    for (int i = 0; i < 4; i++)
        want[q.answers[i][strlen(q.answers[i]) - 1] - '0'] = ranks[i];
    assert_ok(rein_label_decide(l, choice));
    assert_string_equal(rein_label_last(l), said);
    rein_label_close(l);
    json_t *row = rows_at(out_path, 0);
    for (size_t i = 0; i < 4; i++) {
        char text[32];
        snprintf(text, sizeof text, "p0 answer %zu", i);
        assert_string_equal(json_string_value(json_array_get(json_object_get(row, "responses"), i)), text);
        assert_int_equal(json_integer_value(json_array_get(json_object_get(row, "ranks"), i)), want[i]);
    }
    json_decref(row);
}

static void test_rankings(void **state) {
    (void)state;
    expect_ranks("2 > 1 > 4 > 3", "2 > 1 > 4 > 3", (int[]){2, 1, 4, 3});
    expect_ranks("2 1 4 3", "2 > 1 > 4 > 3", (int[]){2, 1, 4, 3});
    expect_ranks("4,3,2,1", "4 > 3 > 2 > 1", (int[]){4, 3, 2, 1});
    expect_ranks("3=1>2", "1 = 3 > 2 > 4", (int[]){1, 2, 1, 3});
    expect_ranks("4", "4 > 1 = 2 = 3", (int[]){2, 2, 2, 1});
    expect_ranks("1 = 2 = 3", "1 = 2 = 3 > 4", (int[]){1, 1, 1, 2});
    write_groups(2, 4);
    rein_label *l = opened("ranking");
    assert_ok(rein_label_decide(l, "1=2=4=3"));
    assert_ok(rein_label_decide(l, "TIE"));
    expect_state(l, 2, 2, 2, 0, 0);
    rein_label_close(l);
}

static void test_verdicts(void **state) {
    (void)state;
    static const char *const words[] = {"y", "bad", "Good", "-"};
    static const int good[] = {1, 0, 1, 0};
    rein_label_question q;
    char text[4][64];
    write_groups(2, 2);
    rein_label *l = opened("unpaired");
    expect_state(l, 4, 0, 0, 0, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rein_label_next(l, &q), 1);
        assert_int_equal(q.n, 1);
        snprintf(text[i], sizeof text[i], "%s", q.answers[0]);
        assert_ok(rein_label_decide(l, words[i]));
    }
    rein_label_close(l);
    for (int i = 0; i < 4; i++) {
        json_t *row = rows_at(out_path, i);
        assert_string_equal(rows_text(row, "completion"), text[i]);
        assert_int_equal(json_is_true(json_object_get(row, "label")), good[i]);
        assert_true(json_is_boolean(json_object_get(row, "label")));
        json_decref(row);
    }
}

static void test_wrong_input(void **state) {
    (void)state;
    write_groups(1, 3);
    rein_label *l = opened("ranking");
    assert_fails(rein_label_decide(l, ""), REIN_USAGE, "expected numbers from 1 to 3");
    assert_fails(rein_label_decide(l, "x"), REIN_USAGE, "\"x\" is not understood");
    assert_fails(rein_label_decide(l, "4"), REIN_USAGE, "no answer 4, expected numbers from 1 to 3");
    assert_fails(rein_label_decide(l, "0"), REIN_USAGE, "no answer 0");
    assert_fails(rein_label_decide(l, "99999999999999999999999"), REIN_USAGE, "no answer 99999");
    assert_fails(rein_label_decide(l, "1 > 2 > 1"), REIN_USAGE, "answer 1 is named twice");
    assert_fails(rein_label_decide(l, "1 >"), REIN_USAGE, "not understood");
    assert_fails(rein_label_decide(l, "1 >> 2"), REIN_USAGE, "not understood");
    assert_fails(rein_label_decide(l, "-1"), REIN_USAGE, "not understood");
    assert_fails(rein_label_decide(l, "y"), REIN_USAGE, "not understood");
    expect_state(l, 1, 0, 0, 0, 0);
    rein_label_close(l);
    write_groups(1, 2);
    l = opened("unpaired");
    assert_fails(rein_label_decide(l, "1"), REIN_USAGE, "expected y where the answer is good");
    rein_label_close(l);
    l = NULL;
    assert_fails(open_as("ranks", 0, 0, &l), REIN_USAGE, "expected pairs, ranking or unpaired");
    assert_null(l);
}

/* ---- taking back ------------------------------------------------------------------------------------------------ */

static void test_undo(void **state) {
    (void)state;
    rein_label_question q;
    write_groups(3, 2);
    rein_label *l = opened(NULL);
    assert_fails(rein_label_undo(l), REIN_USAGE, "no decision to take back");
    assert_ok(rein_label_decide(l, "1"));
    assert_ok(rein_label_decide(l, "="));
    assert_ok(rein_label_decide(l, "s"));
    assert_ok(rein_label_undo(l));
    expect_state(l, 3, 2, 1, 0, 1);
    assert_ok(rein_label_undo(l));
    assert_int_equal(rein_label_next(l, &q), 1);
    assert_int_equal(q.number, 2);
    assert_ok(rein_label_decide(l, "2"));
    rein_label_close(l);
    /* and of an earlier day */
    l = opened(NULL);
    expect_state(l, 3, 2, 0, 0, 2);
    assert_ok(rein_label_undo(l));
    assert_ok(rein_label_undo(l));
    assert_fails(rein_label_undo(l), REIN_USAGE, "no decision to take back");
    expect_state(l, 3, 0, 0, 0, 0);
    rein_label_close(l);
    size_t size[2];
    free(temp_read(out_path, &size[0]));
    free(temp_read(undecided_path, &size[1]));
    assert_int_equal(size[0] + size[1], 0);
}

static void test_what_was_skipped_is_asked_again(void **state) {
    (void)state;
    rein_label_question q;
    write_groups(3, 2);
    rein_label *l = opened(NULL);
    for (int i = 0; i < 3; i++)
        assert_ok(rein_label_decide(l, i == 1 ? "1" : "s"));
    rein_label_close(l);
    const rein_label_opts opts = {.data = data_path, .out = out_path, .skipped = 1};
    assert_ok(rein_label_open(&opts, &l));
    expect_state(l, 3, 3, 0, 2, 1);
    assert_ok(rein_label_decide(l, "s")); /* it is not asked a third time */
    assert_int_equal(rein_label_next(l, &q), 1);
    assert_int_equal(q.number, 3);
    assert_ok(rein_label_decide(l, "2"));
    assert_int_equal(rein_label_next(l, &q), 0);
    expect_state(l, 3, 3, 0, 1, 2);
    assert_ok(rein_label_undo(l));
    expect_state(l, 3, 3, 0, 2, 1);
    assert_int_equal(rein_label_next(l, &q), 1);
    assert_int_equal(q.number, 3);
    assert_ok(rein_label_decide(l, "1"));
    rein_label_close(l);
    /* a decision taken back is open, although it was skipped before */
    l = opened(NULL);
    expect_state(l, 3, 3, 0, 1, 2);
    assert_int_equal(rein_label_next(l, &q), 0);
    assert_ok(rein_label_undo(l));
    assert_int_equal(rein_label_next(l, &q), 1);
    assert_int_equal(q.number, 3);
    rein_label_close(l);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void append(const char *path, const char *text) {
    FILE *f = fopen(path, "ab");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

/* every beginning of the last row: decided again, or whole */
static void test_torn_rows(void **state) {
    (void)state;
    size_t size, before;
    write_groups(3, 2);
    rein_label *l = opened(NULL);
    assert_ok(rein_label_decide(l, "1"));
    free(temp_read(out_path, &before));
    assert_ok(rein_label_decide(l, "2"));
    rein_label_close(l);
    char *whole = temp_read(out_path, &size);
    assert_true(size > before + 50 && whole[size - 1] == '\n');
    for (size_t cut = before; cut <= size; cut += cut + 12 < size ? 9 : 1) {
        temp_write(out_path, whole, cut);
        l = opened(NULL);
        int rows = cut + 1 >= size ? 2 : 1;
        expect_state(l, 3, rows, 0, 0, rows);
        for (int i = rows; i < 2; i++)
            assert_ok(rein_label_decide(l, "2"));
        rein_label_close(l);
        size_t again;
        char *text = temp_read(out_path, &again);
        assert_int_equal(again, size);
        assert_memory_equal(text, whole, size);
        free(text);
    }
    free(whole);
}

static void test_damaged_files(void **state) {
    (void)state;
    rein_label *l;
    write_groups(2, 2);
    append(out_path, "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n");
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT, ".jsonl:1: the row has no \"decision\"");
    char *text = temp_read(out_path, NULL);
    assert_non_null(strstr(text, "\"chosen\": \"a\"")); /* and is still there */
    free(text);
    write_groups(2, 2);
    l = opened(NULL);
    assert_ok(rein_label_decide(l, "1"));
    rein_label_close(l);
    assert_fails(open_as("ranking", 0, 0, &l), REIN_FORMAT, "the row is of --as pairs, not ranking");
    append(out_path, "[1]\n");
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT, ".jsonl:2: a list, expected a JSON object");
    write_groups(2, 2);
    l = opened(NULL);
    assert_ok(rein_label_decide(l, "1"));
    rein_label *second;
    assert_fails(open_as(NULL, 0, 0, &second), REIN_IO, "being written by another process");
    rein_label_close(l);
    text = temp_read(out_path, NULL);
    append(out_path, text);
    free(text);
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT, "not in the order of their numbers");
    snprintf(out_path, sizeof out_path, "%s/nowhere/out.jsonl", temp_dir);
    assert_fails(open_as(NULL, 0, 0, &l), REIN_IO, "nowhere/out.jsonl");
    snprintf(out_path, sizeof out_path, "%s", temp_dir);
    assert_fails(open_as(NULL, 0, 0, &l), REIN_IO, temp_dir);
}

/* a disk that is full takes a part of a row: the file is as before, and the question open */
static void test_a_full_disk(void **state) {
    (void)state;
    struct rlimit before, low;
    size_t size, again;
    write_groups(3, 2);
    rein_label *l = opened(NULL);
    assert_ok(rein_label_decide(l, "1"));
    free(temp_read(out_path, &size));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)size + 40;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    rein_status status = rein_label_decide(l, "2");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, REIN_IO);
    assert_non_null(strstr(rein_error(), "cannot write"));
    expect_state(l, 3, 1, 0, 0, 1);
    free(temp_read(out_path, &again));
    assert_int_equal(again, size);
    assert_ok(rein_label_decide(l, "2"));
    rein_label_close(l);
    l = opened(NULL);
    expect_state(l, 3, 2, 0, 0, 2);
    rein_label_close(l);
}

/* decisions hold when the file of answers grows, in front too, and those on others are kept */
static void test_more_answers_later(void **state) {
    (void)state;
    rein_label_question q;
    write_groups(2, 2);
    rein_label *l = opened(NULL);
    assert_ok(rein_label_decide(l, "1"));
    rein_label_close(l);
    char *old = temp_read(data_path, NULL);
    temp_write(data_path, "{\"prompt\": \"new\", \"responses\": [\"a\", \"b\"]}\n", 43);
    append(data_path, old);
    l = opened(NULL);
    expect_state(l, 3, 1, 0, 0, 1);
    assert_int_equal(rein_label_next(l, &q), 1);
    assert_string_equal(q.prompt, "new");
    assert_ok(rein_label_decide(l, "2"));
    assert_int_equal(rein_label_next(l, &q), 1);
    assert_string_equal(q.prompt, "p1");
    rein_label_close(l);
    temp_write(data_path, old, strlen(old));
    l = opened(NULL);
    expect_state(l, 2, 1, 0, 0, 2);
    assert_int_equal(rein_label_look(l).others, 1);
    assert_fails(rein_label_undo(l), REIN_USAGE, "about answers that are not in");
    rein_label_close(l);
    free(old);
}

/* ---- candidates --------------------------------------------------------------------------------------------------- */

static void expect_questions(const char *as, int questions, const char *data) {
    write_data(data);
    rein_label *l = opened(as);
    expect_state(l, questions, 0, 0, 0, 0);
    rein_label_close(l);
}

static void test_groups(void **state) {
    (void)state;
#define ROW(p, c) "{\"prompt\": \"" p "\", \"completion\": \"" c "\"}\n"
    expect_questions("ranking", 2, ROW("a", "1") ROW("a", "2") ROW("a", "3") ROW("b", "1") ROW("b", "2"));
    /* the same prompt again, told by the samples' numbers */
    expect_questions("ranking", 2,
                     "{\"prompt\": \"a\", \"completion\": \"1\", \"sample\": 0}\n"
                     "{\"prompt\": \"a\", \"completion\": \"2\", \"sample\": 1}\n"
                     "{\"prompt\": \"a\", \"completion\": \"1\", \"sample\": 0}\n"
                     "{\"prompt\": \"a\", \"completion\": \"2\", \"sample\": 1}\n");
    /* equal and empty answers are none, and one answer is no question */
    expect_questions("ranking", 1,
                     ROW("a", "1") ROW("a", "1") ROW("b", "") ROW("b", "2") ROW("c", "1") ROW("c", "2"));
    expect_questions("unpaired", 4,
                     ROW("a", "1") ROW("a", "1") ROW("b", "") ROW("b", "2") ROW("c", "1") ROW("c", "2"));
    expect_questions("pairs", 2,
                     "{\"query\": \"a\", \"responses\": [\"1\", \"2\", \"2\", \"3\", \"4\"], \"scores\": [1, "
                     "2, 2, 3, 4]}\n");
    rein_label *l;
    write_data(ROW("a", "1") ROW("a", "1"));
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT,
                 "nothing to decide: 1 prompts, none with two different");
    write_data("");
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT, "nothing to decide");
    write_data(ROW("a", "1") "{\"prompt\": \"a\"}\n");
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT, ".jsonl:2: no \"completion\"");
    write_data("{\"completion\": \"a\"}\n");
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT, ".jsonl:1: no \"prompt\"");
    write_data(ROW("a", "1") "{\"prompt\": \"a\", \"completion\": 7}\n");
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT, ".jsonl:2: \"completion\": expected text or a list");
    write_data(ROW("a", "1") "{\"prompt\": [], \"completion\": []}\n");
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT, ".jsonl:2: \"prompt\" is a conversation, unlike");
    write_data(ROW("a", "1") "{\"prompt\": \"a\", \"compl");
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT, ".jsonl:2:");
    write_data("{\"prompt\": \"a\", \"responses\": {}}\n");
    assert_fails(open_as(NULL, 0, 0, &l), REIN_FORMAT, "expected a list of answers");
    /* nothing was made of what failed */
    assert_int_equal(access(out_path, F_OK), -1);
}

static void test_conversations(void **state) {
    (void)state;
    rein_label_question q;
    write_data(
        "{\"prompt\": [{\"role\": \"system\", \"content\": \"be kind\"}, {\"role\": \"user\", \"content\": "
        "\"hello\"}], \"responses\": [[{\"role\": \"assistant\", \"content\": \"x\"}], [{\"role\": "
        "\"assistant\", \"content\": \"yy\"}], [{\"role\": \"assistant\", \"content\": \"\"}]]}\n");
    rein_label *l = opened(NULL);
    assert_int_equal(rein_label_next(l, &q), 1);
    assert_string_equal(q.prompt, "[system]\nbe kind\n[user]\nhello");
    assert_true(strcmp(q.answers[0], "x") == 0 || strcmp(q.answers[1], "x") == 0);
    assert_ok(rein_label_decide(l, strcmp(q.answers[0], "x") == 0 ? "1" : "2"));
    rein_label_close(l);
    json_t *row = rows_at(out_path, 0);
    const json_t *chosen = json_object_get(row, "chosen");
    assert_string_equal(rows_text(json_array_get(chosen, 0), "content"), "x");
    assert_int_equal(json_array_size(json_object_get(row, "prompt")), 2);
    json_decref(row);
}

/* ---- kills --------------------------------------------------------------------------------------------------------- */

/* decides all, whatever is there: choices follow from the question, so that the end does not depend on the kills */
static void label_all(void) {
    rein_label *l;
    rein_label_question q;
    if (open_as("ranking", 0, 3, &l) != REIN_OK)
        _exit(3);
    while (rein_label_next(l, &q)) {
        static const char *const choice[] = {"1", "2 > 1 = 3", "=", "s", "3 1 2"};
        if (rein_label_decide(l, choice[q.number % 5]) != REIN_OK)
            _exit(4);
        /* takes one back now and then; the next process may see it decided or open */
        if (q.number % 7 == 3 && q.number % 2 == 1 && rein_label_undo(l) == REIN_OK &&
            rein_label_decide(l, choice[q.number % 5]) != REIN_OK)
            _exit(5);
    }
    rein_label_close(l);
}

static int lines_of(const char *path, bool *whole) {
    size_t size;
    char *text = temp_read(path, &size);
    int n = 0;
    for (size_t i = 0; i < size; i++)
        n += text[i] == '\n';
    *whole = size == 0 || text[size - 1] == '\n';
    free(text);
    return n;
}

/* labels everything in processes that are killed within `most` microseconds of their start; returns how often.
 * Whoever gets through unharmed on the first go starts over with half the time, however fast the machine. */
static int label_killed(uint32_t most, rein_rng *rng) {
    for (int kills = 0, how;;) {
        pid_t child = fork();
        if (child == 0) {
            label_all();
            _exit(0);
        }
        usleep(rein_rng_below(rng, most));
        kill(child, SIGKILL);
        while (waitpid(child, &how, 0) < 0)
            assert_int_equal(errno, EINTR);
        assert_true(how == 0 || WIFSIGNALED(how));
        if (how != 0) {
            kills++;
            most += most / 16; /* a slow disk: the last one may finish */
        } else if (kills > 0) {
            return kills;
        } else {
            assert_int_equal(unlink(out_path), 0);
            assert_int_equal(unlink(undecided_path), 0);
            most = most / 2 + 1;
        }
    }
}

static void check_killed(rein_rng *rng) {
    bool whole;
    write_groups(100, 3);
    print_message("# %d kills\n", label_killed(20000, rng));
    rein_label *l;
    assert_ok(open_as("ranking", 0, 3, &l));
    expect_state(l, 100, 100, 20, 20, 60);
    rein_label_close(l);
    assert_int_equal(lines_of(out_path, &whole), 60);
    assert_true(whole);
    assert_int_equal(lines_of(undecided_path, &whole), 40);
    /* byte for byte what one go would have written */
    char *text = temp_read(out_path, NULL);
    assert_int_equal(unlink(out_path), 0);
    assert_int_equal(unlink(undecided_path), 0);
    label_all();
    char *other = temp_read(out_path, NULL);
    assert_string_equal(text, other);
    free(text);
    free(other);
}

static void test_killed_at_random_moments(void **state) {
    (void)state;
    rein_rng rng = rein_rng_make(11, 0);
    for (int round = 0; round < 10; round++)
        check_killed(&rng);
}

/* ---- training reads it ------------------------------------------------------------------------------------------------ */

static void read_back(const char *path, int kinds, int groups, int documents) {
    reini_lm_reader *reader;
    reini_preference data;
    const reini_preference_opts opts = {.max_length = 64, .kinds = kinds};
    assert_ok(reini_lm_reader_open(MODEL, NULL, &reader));
    assert_ok(reini_preference_read(&data, path, reader, &opts));
    assert_int_equal(data.n, groups);
    assert_int_equal(data.first[data.n], documents);
    assert_int_equal(data.count.bad, 0);
    reini_preference_release(&data);
    reini_lm_reader_free(reader);
}

static void label_with(const char *as, const char *const *choices, int n) {
    rein_label *l = opened(as);
    for (int i = 0; i < n; i++)
        assert_ok(rein_label_decide(l, choices[i]));
    rein_label_close(l);
}

static void test_training_reads_it(void **state) {
    (void)state;
    static const char *const pairs[] = {"1", "=", "2", "s", "1"};
    static const char *const rankings[] = {"1", "=", "2 > 1 = 3", "s", "3 > 2 > 1"};
    static const char *const verdicts[] = {"y", "n", "s", "n"};
    write_groups(5, 3);
    label_with("pairs", pairs, 5);
    read_back(out_path, REINI_PREFER_PAIRS, 3, 6);
    read_back(out_path, REINI_PREFER_PAIRS | REINI_PREFER_CANDIDATES, 3, 6);
    read_back(out_path, REINI_PREFER_UNPAIRED, 6, 6);
    write_groups(5, 3);
    label_with("ranking", rankings, 5);
    read_back(out_path, REINI_PREFER_CANDIDATES, 3, 9);
    read_back(out_path, REINI_PREFER_PAIRS | REINI_PREFER_CANDIDATES, 3, 9);
    write_groups(2, 2);
    label_with("unpaired", verdicts, 4);
    read_back(out_path, REINI_PREFER_UNPAIRED, 3, 3);
}

/* opening fails in good order at every allocation */
static void test_out_of_memory(void **state) {
    (void)state;
    rein_status status = REIN_NOMEM;
    write_groups(3, 3);
    rein_label *l = opened("ranking");
    assert_ok(rein_label_decide(l, "1"));
    assert_ok(rein_label_decide(l, "="));
    rein_label_close(l);
    uint64_t live = reini_memory_now().live_bytes;
    for (uint64_t n = 1; status == REIN_NOMEM; n++) {
        reini_memory_fail(n, false);
        status = open_as("ranking", 0, 0, &l);
        reini_memory_fail(0, false);
        assert_true(status == REIN_NOMEM || n > 20);
        if (status != REIN_OK)
            assert_int_equal(reini_memory_now().live_bytes, live);
    }
    assert_int_equal(status, REIN_OK);
    expect_state(l, 3, 2, 1, 0, 1);
    rein_label_close(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pair),
        cmocka_unit_test(test_ties_and_skips_leave_no_rows),
        cmocka_unit_test(test_which_pairs),
        cmocka_unit_test(test_the_order_is_drawn),
        cmocka_unit_test(test_rankings),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_wrong_input),
        cmocka_unit_test(test_undo),
        cmocka_unit_test(test_what_was_skipped_is_asked_again),
        cmocka_unit_test(test_torn_rows),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_a_full_disk),
        cmocka_unit_test(test_more_answers_later),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_killed_at_random_moments),
        cmocka_unit_test(test_training_reads_it),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
