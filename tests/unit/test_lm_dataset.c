/*
 * test_lm_dataset.c - rows of every kind as TRL prepares them (tests/reference/sft_trl.py), and what is refused, cut,
 * dropped and split.
 */
#include <rein/rng.h>
#include "data/lm_dataset.h"
#include "support/golden.h"
#include "support/temp_dir.h"

#define MODEL REIN_SOURCE_DIR "/tests/golden/sft_trl/model"

static const reini_lm_dataset_opts plain_opts = {.max_length = 256};

static rein_status read_text(reini_lm_dataset *data, const char *text, const reini_lm_dataset_opts *opts) {
    const char *path = temp_path("data.jsonl");
    reini_lm_reader *reader;
    temp_write(path, text, strlen(text));
    assert_ok(reini_lm_reader_open(MODEL, "chatml", &reader));
    rein_status status = reini_lm_dataset_read(data, path, reader, opts);
    reini_lm_reader_free(reader);
    return status;
}

/* ---- beside TRL ------------------------------------------------------------------------------------------ */

static void check_rows(const json_t *rows, const reini_lm_dataset *d, const char *name) {
    if (d->n != (int64_t)json_array_size(rows))
        fail_msg("%s: %d rows, expected %d", name, (int)d->n, (int)json_array_size(rows));
    for (int64_t i = 0; i < d->n; i++) {
        const json_t *ids = json_array_get(json_array_get(rows, (size_t)i), 0);
        const json_t *labels = json_array_get(json_array_get(rows, (size_t)i), 1);
        assert_int_equal(d->length[i], json_array_size(ids));
        for (int t = 0; t < d->length[i]; t++) {
            int64_t at = d->start[i] + t;
            bool scored = json_integer_value(json_array_get(labels, (size_t)t)) != -100;
            if (d->token[at] != json_integer_value(json_array_get(ids, (size_t)t)) || d->scored[at] != scored)
                fail_msg("%s: row %d differs at token %d", name, (int)i, t);
        }
    }
}

static void check_case(const json_t *cases, const char *name, reini_lm_dataset_opts opts) {
    const json_t *at = golden_at(cases, name);
    reini_lm_dataset data;
    assert_ok(read_text(&data, json_string_value(golden_at(at, "jsonl")), &opts));
    check_rows(golden_at(at, "rows"), &data, name);
    reini_lm_dataset_release(&data);
}

static void test_as_trl(void **state) {
    (void)state;
    json_t *cases = golden_read("sft_trl/rows.json");
    check_case(cases, "text", plain_opts);
    check_case(cases, "text_cut", (reini_lm_dataset_opts){.max_length = 6});
    check_case(cases, "pairs", plain_opts);
    check_case(cases, "pairs_whole",
               (reini_lm_dataset_opts){.max_length = 256, .completion = REINI_COMPLETION_ALL});
    check_case(cases, "pairs_cut", (reini_lm_dataset_opts){.max_length = 14});
    check_case(cases, "messages", plain_opts);
    check_case(cases, "messages_assistant",
               (reini_lm_dataset_opts){.max_length = 256, .assistant_only = true});
    check_case(cases, "conversations", plain_opts);
    check_case(cases, "conversations_assistant",
               (reini_lm_dataset_opts){.max_length = 256, .assistant_only = true});
    json_decref(cases);
}

/* ---- counts ---------------------------------------------------------------------------------------------- */

static void test_counts(void **state) {
    (void)state;
    reini_lm_dataset data;
    const char *text = "{\"prompt\": \"a long prompt that fills it all\", \"completion\": \"x\"}\n\n"
                       "{\"prompt\": \"a\", \"completion\": \"\"}\n"
                       "{\"prompt\": \"a\", \"completion\": \"one two three four five six\"}\n"
                       "{\"prompt\": \"a\", \"completion\": \"b\"}\n";
    reini_lm_dataset_opts opts = {.max_length = 8, .skip_bad = true};
    assert_ok(read_text(&data, text, &opts));
    assert_int_equal(data.count.rows, 4);
    assert_int_equal(data.count.empty, 1);
    assert_int_equal(data.count.unscored, 1);
    assert_int_equal(data.count.truncated, 2);
    assert_int_equal(data.n, 2);
    assert_int_equal(data.line[0], 4);
    assert_int_equal(data.line[1], 5);
    assert_int_equal(data.length[0], 8);
    int64_t scored = 0;
    for (int64_t t = 0; t < data.start[2]; t++)
        scored += data.scored[t];
    assert_int_equal(data.count.scored, scored);
    assert_int_equal(data.count.tokens, data.start[2]);
    reini_lm_dataset_release(&data);
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static void refuses(const char *text, const reini_lm_dataset_opts *opts, const char *words) {
    reini_lm_dataset data;
    assert_fails(read_text(&data, text, opts), REIN_FORMAT, words);
    reini_lm_dataset_release(&data);
}

static void test_bad_rows(void **state) {
    (void)state;
    const reini_lm_dataset_opts assistant = {.max_length = 256, .assistant_only = true};
    refuses("", &plain_opts, "nothing to train on: 0 rows");
    refuses("{\"txt\": \"a\"}\n", &plain_opts, "data.jsonl:1: a row needs \"text\"");
    refuses("{}\n", &plain_opts, "has no keys");
    refuses("{\"text\": \"a\"}\n{\"text\": 7}\n", &plain_opts, ":2: \"text\": expected text or a list");
    refuses("{\"text\": \"a\"}\n{\"text\": \"\"}\n", &plain_opts, ":2: the row is empty");
    refuses("{\"text\": \"a\"}\n{\"messages\": []}\n", &plain_opts, ":2: a row with \"messages\"");
    refuses("{\"messages\": []}\n", &plain_opts, ":1: the row is empty");
    refuses("{\"messages\": [{\"role\": \"user\"}]}\n", &plain_opts,
            "the \"content\" of message 1 is not text");
    refuses("{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, 3]}\n", &plain_opts,
            "message 2 is not an object");
    refuses("{\"prompt\": \"a\", \"completion\": [{\"role\": \"user\", \"content\": \"a\"}]}\n", &plain_opts,
            "must both be text or both be conversations");
    refuses("{\"text\": \"a\", \"tools\": [1]}\n", &plain_opts, "\"tools\" are not supported");
    refuses("{\"text\": \"a\"}\n", &assistant, "assistant_only_loss needs conversations");
    refuses("{\"text\": \"a\"}\n{\"text\": \"b\",}\n", &plain_opts, "data.jsonl:2:14: ");
    refuses("{\"prompt\": \"a\"}\n", &plain_opts, "\"prompt\" first");
}

/* ---- splitting ------------------------------------------------------------------------------------------- */

static void make_lines(char *out, int n) {
    for (int i = 0; i < n; i++)
        out += sprintf(out, "{\"text\": \"row %d\"}\n", i);
}

static void test_split(void **state) {
    (void)state;
    char text[4096];
    reini_lm_dataset data, eval, again, other;
    bool seen[101] = {false};
    make_lines(text, 100);
    assert_ok(read_text(&data, text, &plain_opts));
    int64_t tokens = data.count.tokens;
    assert_ok(reini_lm_dataset_split(&data, 0.25, 7, &eval));
    assert_int_equal(eval.n, 25);
    assert_int_equal(data.n, 75);
    assert_int_equal(data.count.tokens + eval.count.tokens, tokens);
    for (int64_t i = 0; i < 75; i++)
        seen[data.line[i]] = true;
    for (int64_t i = 0; i < 25; i++) {
        assert_false(seen[eval.line[i]]);
        seen[eval.line[i]] = true;
    }
    for (int i = 1; i <= 100; i++)
        assert_true(seen[i]);
    assert_ok(read_text(&again, text, &plain_opts));
    assert_ok(reini_lm_dataset_split(&again, 0.25, 7, &other));
    assert_memory_equal(eval.line, other.line, 25 * sizeof *eval.line);
    uint8_t a[32], b[32];
    assert_ok(reini_lm_dataset_digest(&data, a));
    assert_ok(reini_lm_dataset_digest(&again, b));
    assert_memory_equal(a, b, sizeof a);
    again.scored[again.start[3] + 1] ^= 1;
    assert_ok(reini_lm_dataset_digest(&again, b));
    assert_memory_not_equal(a, b, sizeof a);
    reini_lm_dataset_release(&other);
    assert_ok(reini_lm_dataset_split(&again, 0.001, 1, &other)); /* one goes at least */
    assert_int_equal(other.n, 1);
    reini_lm_dataset_release(&data);
    reini_lm_dataset_release(&eval);
    reini_lm_dataset_release(&again);
    assert_fails(reini_lm_dataset_split(&other, 0.5, 1, &again), REIN_USAGE, "1 row cannot be split");
    reini_lm_dataset_release(&other);
}

static void test_no_template(void **state) {
    (void)state;
    reini_lm_reader *reader;
    reini_lm_dataset data;
    const char *path = temp_path("talk.jsonl"),
               *text = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n";
    temp_write(path, text, strlen(text));
    assert_ok(reini_lm_reader_open(MODEL, NULL, &reader));
    assert_int_not_equal(reini_lm_dataset_read(&data, path, reader, &plain_opts), REIN_OK);
    assert_non_null(strstr(rein_error(), "template"));
    reini_lm_dataset_release(&data);
    reini_lm_reader_free(reader);
}

static void test_no_memory(void **state) {
    (void)state;
    reini_lm_reader *reader;
    char text[512];
    rein_status status = REIN_NOMEM;
    const char *path = temp_path("few.jsonl");
    make_lines(text, 8);
    temp_write(path, text, strlen(text));
    assert_ok(reini_lm_reader_open(MODEL, NULL, &reader));
    for (uint64_t nth = 1; status == REIN_NOMEM; nth++) {
        reini_lm_dataset data;
        reini_memory_fail(nth, false);
        status = reini_lm_dataset_read(&data, path, reader, &plain_opts);
        reini_memory_fail(0, false);
        reini_lm_dataset_release(&data);
        assert_true(status == REIN_OK || status == REIN_NOMEM);
        assert_true(status != REIN_OK || nth > 5);
    }
    reini_lm_reader_free(reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_trl), cmocka_unit_test(test_counts),      cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_split),  cmocka_unit_test(test_no_template), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
