/*
 * test_preference.c - rows of preferences: every kind, what is cut, dropped and split, what is refused by line and reason,
 * and prompts that are not said.
 */
#include <rein/rng.h>
#include "data/preference.h"
#include "support/preference_rig.h"

enum { PAIRS = REINI_PREFER_PAIRS, CANDIDATES = REINI_PREFER_CANDIDATES, UNPAIRED = REINI_PREFER_UNPAIRED };

static rein_status read_text(reini_preference *data, const char *text, reini_preference_opts opts) {
    const char *path = temp_path("data.jsonl");
    reini_lm_reader *reader;
    if (opts.max_length == 0)
        opts.max_length = 256;
    temp_write(path, text, strlen(text));
    assert_ok(reini_lm_reader_open(LM_MODEL, "chatml", &reader));
    rein_status status = reini_preference_read(data, path, reader, &opts);
    reini_lm_reader_free(reader);
    return status;
}

/* ---- kinds ----------------------------------------------------------------------------------------------- */

static void test_pairs(void **state) {
    (void)state;
    reini_preference d;
    assert_ok(read_text(
        &d,
        "{\"prompt\": \"one\", \"chosen\": \" two\", \"rejected\": \" four five\", \"margin\": 0.5}\n"
        "{\"chosen\": \"x y\", \"rejected\": \"x z\"}\n",
        (reini_preference_opts){.kinds = PAIRS}));
    assert_int_equal(d.n, 2);
    assert_int_equal(d.first[2], 4);
    assert_true(d.score[0] == 1 && d.score[1] == 0 && d.margin[0] == 0.5 && d.margin[1] == 0);
    assert_true(d.prompt[0] > 0 && d.prompt[0] == d.prompt[1]);
    assert_int_equal(d.line[1], 2);
    for (int64_t k = 0; k < d.prompt[0]; k++)
        assert_int_equal(d.token[d.start[0] + k], d.token[d.start[1] + k]);
    assert_int_equal(d.token[d.start[1] - 1], d.token[d.start[2] - 1]); /* both are ended */
    assert_int_equal(d.count.tokens, d.start[4]);
    reini_preference_release(&d);
}

static void test_candidates(void **state) {
    (void)state;
    reini_preference d;
    const char *text =
        "{\"query\": \"one\", \"responses\": [\" a\", \" b\", \" c\"], \"scores\": [0.1, 3, -2]}\n"
        "{\"prompt\": \"one\", \"responses\": [\" a\", \" b\"], \"ranks\": [2, 1]}\n";
    assert_ok(read_text(&d, text, (reini_preference_opts){.kinds = CANDIDATES}));
    assert_int_equal(d.first[1], 3);
    assert_int_equal(d.first[2], 5);
    assert_true(d.score[1] == 3 && d.score[3] == -2 && d.score[4] == -1); /* the better rank is worth more */
    reini_preference_release(&d);
}

static void test_unpaired(void **state) {
    (void)state;
    reini_preference d, pairs;
    assert_ok(read_text(&d,
                        "{\"prompt\": \"one\", \"completion\": \" a\", \"label\": true}\n"
                        "{\"prompt\": \"one\", \"completion\": \" b\", \"label\": false}\n",
                        (reini_preference_opts){.kinds = UNPAIRED}));
    assert_ok(read_text(&pairs, "{\"prompt\": \"one\", \"chosen\": \" a\", \"rejected\": \" b\"}\n",
                        (reini_preference_opts){.kinds = UNPAIRED}));
    uint8_t one[32], other[32];
    assert_ok(reini_preference_digest(&d, one));
    assert_ok(reini_preference_digest(&pairs, other));
    assert_memory_equal(one, other, 32);
    assert_true(d.n == 2 && d.score[0] == 1 && d.score[1] == 0);
    reini_preference_release(&d);
    reini_preference_release(&pairs);
}

/* ---- lengths --------------------------------------------------------------------------------------------- */

static void test_lengths(void **state) {
    (void)state;
    reini_preference d;
    const char *text = "{\"prompt\": \"a\", \"chosen\": \"bcdefghijklmnop\", \"rejected\": \"x\"}\n"
                       "{\"prompt\": \"a\", \"chosen\": \"y\", \"rejected\": \"x\"}\n";
    assert_ok(read_text(&d, text, (reini_preference_opts){.kinds = PAIRS, .max_length = 6}));
    assert_int_equal(d.n, 2);
    assert_int_equal(d.count.truncated, 1);
    assert_int_equal(reini_preference_length(&d, 0), 6);
    assert_int_equal(reini_preference_length(&d, 1), 3);
    reini_preference_release(&d);
    assert_ok(
        read_text(&d, text, (reini_preference_opts){.kinds = PAIRS, .max_length = 6, .drop_long = true}));
    assert_int_equal(d.n, 1);
    assert_int_equal(d.count.dropped, 1);
    assert_int_equal(d.line[0], 2);
    reini_preference_release(&d);
}

static void test_split(void **state) {
    (void)state;
    reini_preference d = {0}, eval;
    for (int i = 0; i < 20; i++) {
        reini_answers a = {.n = 2,
                           .length = (int32_t[]){2, 3},
                           .prompt = (int32_t[]){1, 1},
                           .token = (int32_t[]){i, 1, i, 2, 3},
                           .score = (double[]){1, 0},
                           .line = i};
        assert_ok(reini_preference_add(&d, &a));
    }
    assert_ok(reini_preference_split(&d, 0.25, 7, &eval));
    assert_int_equal(d.n, 15);
    assert_int_equal(eval.n, 5);
    bool seen[20] = {false};
    for (int i = 0; i < 20; i++) {
        const reini_preference *from = i < 15 ? &d : &eval;
        int64_t g = i < 15 ? i : i - 15, at = from->start[from->first[g]];
        assert_int_equal(from->token[at], from->line[g]);
        assert_false(seen[from->line[g]]);
        seen[from->line[g]] = true;
    }
    reini_preference_release(&d);
    reini_preference_release(&eval);
}

/* ---- prompts that are not said --------------------------------------------------------------------------- */

static void implicit(const char *chosen, const char *rejected, const char *prompt) {
    json_t *a = json_string(chosen), *b = json_string(rejected), *out[3];
    size_t n = strlen(prompt);
    assert_ok(reini_preference_implicit(a, b, out));
    assert_string_equal(json_string_value(out[0]), prompt);
    assert_string_equal(json_string_value(out[1]), chosen + n);
    assert_string_equal(json_string_value(out[2]), rejected + n);
    for (int i = 0; i < 3; i++)
        json_decref(out[i]);
    json_decref(a);
    json_decref(b);
}

static void test_implicit(void **state) {
    (void)state;
    implicit("the sky is blue", "the sky is green", "the sky is"); /* the space goes to the answers */
    implicit("ab", "ac", "a");
    implicit("ab", "abc", "a"); /* so that none is empty */
    implicit("x ", "y ", "");
    implicit("\xc3\xa4", "\xc3\xb6", ""); /* characters, not bytes */
    implicit("a\xc3\xa4", "a\xc3\xa4z", "a");
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static void refuses(const char *text, int kinds, const char *words) {
    reini_preference d;
    assert_fails(read_text(&d, text, (reini_preference_opts){.kinds = kinds}), REIN_FORMAT, words);
    reini_preference_release(&d);
}

static void test_bad_rows(void **state) {
    (void)state;
    refuses("", PAIRS, "nothing to train on: 0 rows");
    refuses("{\"text\": \"a\"}\n", PAIRS, "data.jsonl:1: a row needs \"chosen\" and \"rejected\"");
    refuses(
        "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n{\"prompt\": \"a\", \"chosen\": \"b\", "
        "\"rejected\": \"b\"}\n",
        PAIRS, ":2: \"chosen\" and \"rejected\" are the same");
    refuses("{\"prompt\": \"a\", \"chosen\": \"\", \"rejected\": \"c\"}\n", PAIRS, ":1: \"chosen\" is empty");
    refuses("{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": []}\n", PAIRS,
            "\"rejected\": a conversation");
    refuses("{\"prompt\": 3, \"chosen\": \"b\", \"rejected\": \"c\"}\n", PAIRS, "\"prompt\": expected text");
    refuses("{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"margin\": \"x\"}\n", PAIRS,
            "\"margin\": expected a finite number, found text");
    refuses("{\"prompt\": \"a\", \"responses\": [\"b\"], \"scores\": [1]}\n", CANDIDATES,
            "two or more answers");
    refuses("{\"prompt\": \"a\", \"responses\": [\"b\", \"c\"], \"scores\": [1]}\n", CANDIDATES,
            "\"scores\": expected a list of 2 numbers");
    refuses("{\"prompt\": \"a\", \"responses\": [\"b\", \"b\"], \"scores\": [1, 2]}\n", CANDIDATES,
            "answers 1 and 2 are the same");
    refuses("{\"prompt\": \"a\", \"responses\": [\"b\", \"c\"], \"scores\": [1, null]}\n", CANDIDATES,
            "scores: expected a finite number, found null");
    refuses("{\"prompt\": \"a\", \"responses\": [\"b\", \"c\"], \"scores\": [2, 2]}\n", CANDIDATES,
            "all answers have the same \"scores\"");
    refuses("{\"prompt\": \"a\", \"completion\": \"b\", \"label\": \"yes\"}\n", UNPAIRED,
            "\"label\": expected true or false");
    refuses("{\"prompt\": \"a\", \"completion\": \"b\", \"label\": true}\n{\"chosen\": \"a\", \"rejected\": "
            "\"b\"}\n",
            UNPAIRED, ":2: a row of another kind");
    refuses("{\"prompt\": \"a\", \"responses\": [\"b\", \"c\"], \"scores\": [1, 2]}\n", PAIRS, "a row needs");
}

static void test_long_prompt(void **state) {
    (void)state;
    reini_preference d;
    const char *text =
        "{\"prompt\": \"one two three four five six seven\", \"chosen\": \"b\", \"rejected\": \"c\"}\n"
        "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"\"}\n"
        "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n";
    reini_preference_opts opts = {.kinds = PAIRS, .max_length = 4};
    assert_fails(read_text(&d, text, opts), REIN_FORMAT, "data.jsonl:1: the prompt has ");
    reini_preference_release(&d);
    opts.skip_bad = true;
    assert_ok(read_text(&d, text, opts));
    assert_int_equal(d.n, 1);
    assert_int_equal(d.count.bad, 2);
    assert_int_equal(d.line[0], 3);
    reini_preference_release(&d);
}

/* any mangled row is read or refused, never more */
static void test_mangled(void **state) {
    (void)state;
    static const char row[] =
        "{\"prompt\": \"a\", \"chosen\": \"b c\", \"rejected\": \"d\", \"margin\": 1.5}\n";
    rein_rng rng = rein_rng_make(3, 0);
    for (int i = 0; i < 60; i++) {
        char text[sizeof row];
        reini_preference d;
        memcpy(text, row, sizeof row);
        for (int k = 0; k < 2; k++)
            text[rein_rng_below(&rng, sizeof row - 2)] = (char)(32 + rein_rng_below(&rng, 90));
        rein_status status = read_text(&d, text, (reini_preference_opts){.kinds = PAIRS});
        assert_true(status == REIN_OK ? d.n == 1
                                      : status == REIN_FORMAT && strstr(rein_error(), "data.jsonl"));
        reini_preference_release(&d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),    cmocka_unit_test(test_candidates),  cmocka_unit_test(test_unpaired),
        cmocka_unit_test(test_lengths),  cmocka_unit_test(test_split),       cmocka_unit_test(test_implicit),
        cmocka_unit_test(test_bad_rows), cmocka_unit_test(test_long_prompt), cmocka_unit_test(test_mangled),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
