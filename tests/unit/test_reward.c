/*
 * test_reward.c - rewards: the line that names them, what each says of an answer, programs that misbehave, a model's
 * score.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "lm/reward_parts.h"
#include "support/small_lm.h"
#include "support/temp_dir.h"
#include "base/clock.h"
#include "lm/transformer.h"

static const reini_reward_opts plain_opts = {
    .data = "prompts.jsonl", .timeout = 120, .restarts = 0, .products = REIN_F32};

static double score_opts(const reini_reward_opts *opts, const char *spec, const char *row, const char *text,
                         const int32_t *ids, int n) {
    reini_rewards *r;
    double each[REINI_REWARDS_MAX], total;
    json_t *columns = json_loads(row, 0, NULL);
    assert_non_null(columns);
    reini_reward_item item = {.row = columns, .line = 7, .prompt = "1+1=", .text = text, .ids = ids, .n = n};
    assert_ok(reini_rewards_new(spec, opts, &r));
    assert_ok(reini_rewards_check_row(r, columns, 7));
    assert_ok(reini_rewards_score(r, &item, 1, each, &total));
    reini_rewards_free(r);
    json_decref(columns);
    return total;
}

static double score(const char *spec, const char *row, const char *text) {
    static const int32_t ids[] = {1, 2, 3, 4};
    return score_opts(&plain_opts, spec, row, text, ids, 4);
}

/* ---- what answers say -------------------------------------------------------------------------------------- */

static void test_answers(void **state) {
    (void)state;
    const char *row =
        "{\"solution\": \"Paris\", \"n\": 1234, \"x\": \"so #### 1,234.50\", \"none\": \"no digits\"}";
    assert_true(score("exact", row, "  Paris\n") == 1);
    assert_true(score("exact", row, "paris") == 0);
    assert_true(score("exact(n)", row, "1234") == 1);
    assert_true(score("normalised", row, "**PARIS!**") == 1);
    assert_true(score("normalised(n)", row, " 1,234. ") == 1);
    assert_true(score("normalised(n)", row, "-1234") == 0);
    assert_true(score("normalised", row, "paris france") == 0);
    assert_true(score("number(n)", row, "first 7, then 1,234.") == 1);
    assert_true(score("number(n)", row, "1234 or rather 1235") == 0);
    assert_true(score("number(n)", row, "no idea") == 0);
    assert_true(score("number(x)", row, "it is 1234.5") == 1);
    assert_true(score("number(x)", row, "it is -1234.5") == 0);
    /* a row whose solution has no number says nothing, and so does the sum */
    assert_true(isnan(score("number(none)", row, "5")));
    assert_true(score("number(none) + 0.5 ended + length", row, "5") == 4);
}

static void test_last_number(void **state) {
    (void)state;
    double value = 0;
    assert_true(reini_last_number("3-4", &value) && value == 4); /* a difference, not -4 */
    assert_true(reini_last_number("= -4", &value) && value == -4);
    assert_true(reini_last_number("1,000,000 apples", &value) && value == 1000000);
    assert_true(reini_last_number("1, 2", &value) && value == 2);
    assert_true(reini_last_number("version 1.2.3", &value) && value == 3);
    assert_false(reini_last_number("", &value));
    assert_false(reini_last_number("a - b", &value));
}

/* ---- form and length ---------------------------------------------------------------------------------------- */

static void test_patterns(void **state) {
    (void)state;
    assert_true(score("regex(b+c)", "{}", "xxabbc\nx") == 1);
    assert_true(score("regex(^b)", "{}", "ab") == 0);
    assert_true(score("regex((a|b)\\))", "{}", "xb)") ==
                1); /* an escaped parenthesis does not end the pattern */
    assert_true(score("format(<a>.*</a>)", "{}", "<a>1\n2</a>") == 1);
    assert_true(score("format(<a>.*</a>)", "{}", "<a>1</a> ") == 0);
    assert_true(score("format", "{}", "<think>so</think>\nyes") == 1);
    assert_true(score("format", "{}", "<think>so<think></think>yes") == 0);
    assert_true(score("format", "{}", " <think>so</think>yes") == 0);
    reini_rewards *r;
    assert_fails(reini_rewards_new("regex([a)", &plain_opts, &r), REIN_USAGE, "wrong at byte");
}

/* a pattern that would backtrack for ever is an error, not a hang */
static void test_explosion(void **state) {
    (void)state;
    reini_rewards *r;
    double each, total;
    reini_reward_item item = {.line = 9, .text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaX"};
    assert_ok(reini_rewards_new("format((a+)+$)", &plain_opts, &r));
    assert_fails(reini_rewards_score(r, &item, 1, &each, &total), REIN_USAGE, "line 9: reward format");
    reini_rewards_free(r);
}

static void test_lengths(void **state) {
    (void)state;
    int32_t ids[100] = {0};
    /* TRL's examples: 90 tokens of at most 100 with 20 to spare: -0.5; 1 2 3 4 has no pair twice, 5 5 5 5 5 has one
     * of four */
    assert_true(score_opts(&plain_opts, "overlong(100, 20)", "{}", "", ids, 90) == -0.5);
    assert_true(score_opts(&plain_opts, "overlong(100,20)", "{}", "", ids, 80) == 0);
    assert_true(score_opts(&plain_opts, "overlong(50,0)", "{}", "", ids, 50) == 0);
    assert_true(score_opts(&plain_opts, "overlong(50,0)", "{}", "", ids, 51) == -1);
    assert_true(score_opts(&plain_opts, "repetition(2)", "{}", "", (int32_t[]){5, 5, 5, 5, 5}, 5) == -0.75);
    assert_true(score_opts(&plain_opts, "repetition(2)", "{}", "", (int32_t[]){1, 2, 3, 4}, 4) == 0);
    assert_true(score_opts(&plain_opts, "repetition", "{}", "", (int32_t[]){1, 1}, 2) == 0);
    assert_true(score_opts(&plain_opts, "repetition(1)", "{}", "", ids, 100) == 1.0 / 100 - 1);
    assert_true(score("-0.5 length", "{}", "") == -2);
    assert_true(score("ended", "{}", "") == 0);
}

/* ---- the line ------------------------------------------------------------------------------------------------ */

static void test_spec(void **state) {
    (void)state;
    reini_rewards *r;
    assert_ok(reini_rewards_new(" 2*exact(a) - .5 regex(x+y) +regex(z)", &plain_opts, &r));
    assert_int_equal(reini_rewards_count(r), 3);
    assert_string_equal(reini_rewards_name(r, 0), "exact");
    assert_string_equal(reini_rewards_name(r, 2), "regex_2");
    assert_true(reini_rewards_weight(r, 0) == 2 && reini_rewards_weight(r, 1) == -0.5 &&
                reini_rewards_weight(r, 2) == 1);
    json_t *row = json_pack("{s:[]}", "a");
    assert_fails(reini_rewards_check_row(r, row, 3), REIN_FORMAT,
                 "prompts.jsonl:3: reward exact reads the column \"a\"");
    json_decref(row);
    reini_rewards_free(r);
    char path[TEMP_PATH + 32], spec[TEMP_PATH + 40];
    snprintf(path, sizeof path, "%s/reward.txt", temp_dir);
    snprintf(spec, sizeof spec, "@%s", path);
    temp_write(path, "length\n + ended\n", 16);
    assert_ok(reini_rewards_new(spec, &plain_opts, &r));
    assert_int_equal(reini_rewards_count(r), 2);
    reini_rewards_free(r);
    assert_fails(reini_rewards_new("", &plain_opts, &r), REIN_USAGE, "no reward");
    assert_fails(reini_rewards_new("lenght", &plain_opts, &r), REIN_USAGE, "did you mean \"length\"");
    assert_fails(reini_rewards_new("exact exact", &plain_opts, &r), REIN_USAGE, "expected + or -");
    assert_fails(reini_rewards_new("regex(a", &plain_opts, &r), REIN_USAGE, "not closed");
    assert_fails(reini_rewards_new("regex", &plain_opts, &r), REIN_USAGE, "needs an argument");
    assert_fails(reini_rewards_new("overlong(5)", &plain_opts, &r), REIN_USAGE,
                 "expected overlong(MAX,SOFT)");
    assert_fails(reini_rewards_new("repetition(0)", &plain_opts, &r), REIN_USAGE, "n-gram");
    assert_fails(reini_rewards_new("@nowhere.txt", &plain_opts, &r), REIN_IO, "nowhere.txt");
}

/* ---- programs ------------------------------------------------------------------------------------------------ */

static rein_status ask_opts(const reini_reward_opts *opts, const char *spec, int n, int rounds,
                            double *total) {
    static reini_reward_item items[4000];
    static double each[4000];
    static char prompt[2000];
    reini_rewards *r;
    memset(prompt, 'x', sizeof prompt - 1);
    assert_true(n <= 4000);
    for (int i = 0; i < n; i++)
        items[i] =
            (reini_reward_item){.line = 100 + i, .prompt = n > 100 ? prompt : "p\n\"q\"", .text = "answer"};
    assert_ok(reini_rewards_new(spec, opts, &r));
    rein_status status = REIN_OK;
    for (int k = 0; k < rounds && status == REIN_OK; k++)
        status = reini_rewards_score(r, items, n, each, total);
    reini_rewards_free(r);
    return status;
}

static rein_status ask(const char *spec, int n, double *total) {
    return ask_opts(&plain_opts, spec, n, 1, total);
}

static void test_command(void **state) {
    (void)state;
    static double total[4000];
    /* one process for both batches: it counts its lines */
    assert_ok(
        ask_opts(&plain_opts, "2 command(i=0; while read -r l; do i=$((i+1)); echo $i; done)", 3, 1, total));
    assert_true(total[0] == 2 && total[1] == 4 && total[2] == 6);
    /* one process for both batches: it counts its lines */
    assert_ok(ask_opts(&plain_opts, "command(i=0; while read -r l; do i=`expr $i + 1`; echo $i; done)", 3, 2,
                       total));
    assert_true(total[0] == 4 && total[2] == 6);
    /* by id, in any order, and without an opinion */
    assert_ok(ask("command(read -r a; read -r b; echo '{\"id\": 1, \"reward\": -2.5}'; echo; "
                  "echo '{\"id\": 0, \"reward\": null}')",
                  2, total));
    assert_true(isnan(total[0]) && total[1] == -2.5);
    /* what is sent is the row, prompt and completion */
    assert_ok(ask("command(grep --line-buffered -c .)", 0, total));
    assert_ok(
        ask("command(read -r l; case \"$l\" in (*'\"prompt\": \"p\\n\\\"q\\\"\"'*'\"answer\"'*) echo 1;; "
            "(*) echo 0;; esac)",
            1, total));
    assert_true(total[0] == 1);
    /* eight megabytes both ways do not block */
    assert_ok(ask("command(sed -u 's/.*/ {\"reward\": 0.25} /')", 4000, total));
    assert_true(total[0] == 0.25 && total[3999] == 0.25);
}

static void test_bad_commands(void **state) {
    (void)state;
    static double total[4000];
    assert_fails(ask("command(/nowhere/at-all)", 1, total), REIN_IO, "there is no such program");
    assert_fails(ask("command(/etc/passwd)", 1, total), REIN_IO, "cannot be executed");
    assert_fails(
        ask("command(read -r l; echo 1; exit 3)", 2, total), REIN_IO,
        "prompts.jsonl:101: reward command: \"read -r l; echo 1; exit 3\" ended with code 3; 1 of 2 rewards");
    /* it dies while eight megabytes are on their way: no SIGPIPE */
    assert_fails(ask("command(exit 4)", 4000, total), REIN_IO, "ended with code 4");
    assert_fails(ask("command(kill -SEGV $$)", 1, total), REIN_IO, "ended by signal 11");
    assert_fails(ask("command(while read -r l; do echo hello; done)", 1, total), REIN_FORMAT,
                 "prompts.jsonl:100: reward command: \"while read -r l; do echo hello; done\" wrote a line "
                 "that is not "
                 "JSON: \"hello\"");
    assert_fails(ask("command(read -r l; echo NaN)", 1, total), REIN_FORMAT, "not JSON: \"NaN\"");
    assert_fails(ask("command(read -r l; echo '{\"id\": 5, \"reward\": 1}')", 1, total), REIN_FORMAT,
                 "nobody asked for");
    assert_fails(ask("command(read -r l; echo '{\"score\": 1}')", 1, total), REIN_FORMAT, "without a reward");
    assert_fails(ask("command(read -r l; echo '\"1\"')", 1, total), REIN_FORMAT, "without a reward");
    assert_fails(ask("command(head -c 3000000 /dev/zero | tr '\\\\0' x; sleep 9)", 1, total), REIN_FORMAT,
                 "a line without an end");
}

static void test_hanging_command(void **state) {
    (void)state;
    double total, begin = reini_seconds();
    reini_reward_opts opts = plain_opts;
    opts.timeout = 0.2;
    assert_fails(ask_opts(&opts, "command(sleep 60 & sleep 60)", 1, 1, &total), REIN_IO,
                 "gave no answer for 0.2 s");
    assert_true(reini_seconds() - begin < 30);
}

/* one that dies once is asked again; one that dies every time is an error after `restarts` */
static void test_restart(void **state) {
    (void)state;
    char spec[TEMP_PATH * 2 + 100];
    double total[2];
    reini_reward_opts opts = plain_opts;
    opts.restarts = 1;
    snprintf(spec, sizeof spec,
             "command(if mkdir %s/once; then read -r l; echo 9; exit 1; fi; while read -r l; do echo 5; "
             "done)",
             temp_dir);
    assert_ok(ask_opts(&opts, spec, 2, 1, total));
    assert_true(total[0] == 5 && total[1] == 5);
    assert_fails(ask_opts(&opts, "command(exit 1)", 1, 1, total), REIN_IO, "ended with code 1");
}

static void test_command_limits(void **state) {
    (void)state;
    double total[2];
    reini_reward_opts opts = plain_opts;
    opts.memory_mb = 300;
    opts.cpu_seconds = 17;
    assert_ok(ask_opts(&opts, "command(read -r l; ulimit -v; ulimit -t)", 2, 1, total));
    assert_true(total[0] == 300 * 1024 && total[1] == 17);
    assert_ok(ask_opts(&opts, "command(read -r l; ulimit -c)", 1, 1, total));
    assert_true(total[0] == 0);
}

/* ---- a model ------------------------------------------------------------------------------------------------- */

/* the score is that of the last token, whatever else is scored beside it */
static void test_model(void **state) {
    (void)state;
    char folder[TEMP_PATH + 32], spec[TEMP_PATH + 64];
    reini_lm_shape shape = small_lm_shape(REINI_LLAMA);
    reini_lm_weights *w;
    reini_lm *lm;
    reini_rewards *r;
    double each[3], total[3];
    shape.labels = 1;
    shape.pad = 0;
    assert_ok(reini_lm_weights_random(&shape, REIN_F32, 3, &w));
    snprintf(folder, sizeof folder, "%s/reward_model", temp_dir);
    assert_ok(reini_lm_weights_save(w, folder, REIN_F32, 0, NULL));
    snprintf(spec, sizeof spec, "3 model(%s)", folder);
    assert_ok(reini_rewards_new(spec, &plain_opts, &r));
    int32_t prompt[] = {4, 7, 9}, a[] = {11, 12, 52}, b[] = {30};
    reini_reward_item items[] = {
        {.line = 1, .text = "", .prompt_ids = prompt, .n_prompt = 3, .ids = a, .n = 3},
        {.line = 2, .text = "", .prompt_ids = prompt, .n_prompt = 2, .ids = b, .n = 1},
        {.line = 3, .text = "", .prompt_ids = prompt, .n_prompt = 1, .n = 0},
    };
    assert_ok(reini_rewards_score(r, items, 3, each, total));
    reini_lm_opts opts = {.tokens = 16, .documents = 1};
    assert_ok(reini_lm_new(w, NULL, &opts, NULL, &lm));
    for (int i = 0; i < 3; i++) {
        int32_t token[8], start[2] = {0, items[i].n_prompt + items[i].n}, last = start[1] - 1;
        float value;
        memcpy(token, prompt, sizeof prompt);
        for (int k = 0; k < items[i].n; k++)
            token[items[i].n_prompt + k] = items[i].ids[k];
        reini_lm_forward(
            lm, &(reini_lm_batch){.tokens = start[1], .documents = 1, .token = token, .start = start});
        reini_lm_values(lm, 1, &last, &value);
        assert_true(each[i] == (double)value && total[i] == 3 * (double)value);
    }
    assert_true(each[0] != each[1] && each[1] != each[2]);
    items[1].ids = (int32_t[]){SMALL_LM_VOCABULARY};
    assert_fails(reini_rewards_score(r, items, 3, each, total), REIN_MISMATCH,
                 "prompts.jsonl:2: reward model: token 53");
    reini_lm_free(lm);
    reini_rewards_free(r);
    reini_lm_weights_free(w);
    assert_fails(reini_rewards_new("model(nowhere)", &plain_opts, &r), REIN_USAGE, "no folder \"nowhere\"");
    w = small_lm(REINI_LLAMA, REIN_F32, 1);
    snprintf(folder, sizeof folder, "%s/language_model", temp_dir);
    snprintf(spec, sizeof spec, "model(%s)", folder);
    assert_ok(reini_lm_weights_save(w, folder, REIN_F32, 0, NULL));
    assert_fails(reini_rewards_new(spec, &plain_opts, &r), REIN_MISMATCH, "without a score head");
    reini_lm_weights_free(w);
}

int main(void) {
    signal(SIGPIPE, SIG_DFL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),         cmocka_unit_test(test_last_number),
        cmocka_unit_test(test_patterns),        cmocka_unit_test(test_explosion),
        cmocka_unit_test(test_lengths),         cmocka_unit_test(test_spec),
        cmocka_unit_test(test_command),         cmocka_unit_test(test_bad_commands),
        cmocka_unit_test(test_hanging_command), cmocka_unit_test(test_restart),
        cmocka_unit_test(test_command_limits),  cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
