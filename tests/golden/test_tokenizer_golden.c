/*
 * test_tokenizer_golden.c - every family against the tokenizers library, on the strings and tokenizers that
 * tests/reference/tokenizer_hf.py wrote: ids with and without special tokens, and what they decode to.
 */
#include "support/check.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/golden.h"
#include "support/temp_dir.h"
#include "lm/tokenizer_parts.h"

#if defined(REIN_HAVE_PCRE2) && defined(REIN_HAVE_UTF8PROC)

enum { STRINGS_MAX = 8000 };

static char *golden_path(char *out, const char *name) {
    snprintf(out, 512, "%s/tests/golden/%s", REIN_SOURCE_DIR, name);
    return out;
}

static char *next_line(char **p) {
    char *line = *p, *end = strchr(line, '\n');
    assert_non_null(end);
    *end = 0;
    *p = end + 1;
    return line;
}

static uint32_t fnv(uint32_t h, const void *data, size_t n) {
    const uint8_t *b = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x01000193u;
    return h;
}

/* in place; strings hold zero bytes too */
static size_t unescape(char *line) {
    char *out = line;
    for (const char *p = line; *p; p++) {
        if (*p != '\\') {
            *out++ = *p;
            continue;
        }
        p++;
        unsigned byte;
        if (*p == 'x') {
            assert_int_equal(sscanf(p + 1, "%2x", &byte), 1);
            p += 2;
        } else
            byte = *p == 'n' ? '\n' : *p == 'r' ? '\r' : '\\';
        *out++ = (char)byte;
    }
    return (size_t)(out - line);
}

typedef struct rig {
    reini_tokenizer *tokenizer;
    reini_encoder *encoder;
    reini_ids ids;
    reini_bytes text;
} rig;

static void encode(rig *r, const char *text, size_t n, unsigned flags) {
    r->ids.n = 0;
    assert_ok(reini_encode(r->encoder, text, n, flags, &r->ids));
}

static uint32_t decoded(rig *r, uint32_t h, bool skip) {
    r->text.n = 0;
    assert_ok(reini_decode(r->tokenizer, r->ids.at, r->ids.n, skip, &r->text));
    return fnv(h, r->text.at, r->text.n);
}

/* the stream must give what decoding at once gives */
static void check_stream(rig *r, bool skip) {
    reini_stream stream = {0};
    reini_bytes out = {0};
    for (size_t i = 0; i < r->ids.n; i++)
        assert_ok(reini_stream_add(&stream, r->tokenizer, r->ids.at[i], skip, &out));
    assert_ok(reini_stream_end(&stream, &out));
    r->text.n = 0;
    assert_ok(reini_decode(r->tokenizer, r->ids.at, r->ids.n, skip, &r->text));
    assert_int_equal(out.n, r->text.n);
    assert_memory_equal(out.at, r->text.at, out.n);
    reini_free(out.at);
}

/* the order of tokenizer_hf.py's digests */
static void check_string(rig *r, int i, const char *text, size_t n, const char *wanted) {
    uint32_t ids = 0x811c9dc5u, words = 0x811c9dc5u;
    char found[24];
    encode(r, text, n, REINI_ENCODE_SPECIAL);
    reini_ids kept = r->ids;
    r->ids = (reini_ids){0};
    encode(r, text, n, REINI_ENCODE_SPECIAL | REINI_ENCODE_TEMPLATE);
    ids = fnv(ids, r->ids.at, r->ids.n * 4);
    ids = fnv(fnv(ids, "|", 1), kept.at, kept.n * 4);
    words = decoded(r, words, true);
    words = decoded(r, fnv(words, "|", 1), false);
    check_stream(r, i % 2);
    encode(r, text, n, 0);
    ids = fnv(fnv(ids, "|", 1), r->ids.at, r->ids.n * 4);
    reini_free(kept.at);
    snprintf(found, sizeof found, "%08x %08x", ids, words);
    if (strcmp(found, wanted) != 0)
        fail_msg("string %d (\"%s\"): digests of ids and text are %s, expected %s", i + 1, text, found,
                 wanted);
}

static void check_random(rig *r, char **p, int n) {
    uint32_t state = 1, size = (uint32_t)reini_tokenizer_size(r->tokenizer);
    for (int k = 0; k < n; k++) {
        char found[16];
        r->ids.n = 0;
        for (int i = 0; i < 12; i++) {
            state = (state * 1103515245u + 12345u) & 0x7fffffffu;
            r->ids.at[r->ids.n++] = (int32_t)((state >> 8) % (state & 0x10000 ? size + 2 : 300));
        }
        check_stream(r, false);
        snprintf(found, sizeof found, "%08x", decoded(r, 0x811c9dc5u, false));
        assert_string_equal(found, next_line(p));
    }
}

static void check_full(rig *r, char **p, char *const *texts, const size_t *lengths, int n) {
    for (int k = 0; k < n; k++) {
        char *row = next_line(p), *end;
        encode(r, texts[k], lengths[k], REINI_ENCODE_SPECIAL | REINI_ENCODE_TEMPLATE);
        for (size_t i = 0; i < r->ids.n; i++, row = end) {
            long id = strtol(row, &end, 10);
            if (end == row || id != r->ids.at[i])
                fail_msg("string %d, token %zu: found %d, expected %ld", k + 1, i, (int)r->ids.at[i], id);
        }
        assert_int_equal(*row, 0);
    }
}

static void check_family(const char *family) {
    static char *texts[STRINGS_MAX];
    static size_t lengths[STRINGS_MAX];
    char path[512], name[64];
    rig r = {0};
    int n, n_random, n_full;
    char *strings = temp_read(golden_path(path, "tokenizer_strings.txt"), NULL), *p = strings;
    snprintf(name, sizeof name, "tokenizer_%s.txt", family);
    char *rows = temp_read(golden_path(path, name), NULL), *row = rows;
    snprintf(name, sizeof name, "tokenizer_%s.json", family);
    assert_ok(reini_tokenizer_open(golden_path(path, name), &r.tokenizer));
    assert_ok(reini_encoder_new(r.tokenizer, &r.encoder));
    assert_ok(reini_ids_reserve(&r.ids, 16));
    assert_int_equal(sscanf(next_line(&row), "%d %d %d", &n, &n_random, &n_full), 3);
    assert_in_range(n, 5000, STRINGS_MAX);
    for (int i = 0; i < n; i++) {
        texts[i] = next_line(&p);
        lengths[i] = unescape(texts[i]);
        check_string(&r, i, texts[i], lengths[i], next_line(&row));
    }
    check_random(&r, &row, n_random);
    check_full(&r, &row, texts, lengths, n_full);
    reini_encoder_free(r.encoder);
    reini_tokenizer_free(r.tokenizer);
    reini_free(r.ids.at);
    reini_free(r.text.at);
    free(strings);
    free(rows);
}

static void gpt2(void **state) {
    check_family("gpt2");
}

static void llama3(void **state) {
    check_family("llama3");
}

static void qwen2(void **state) {
    check_family("qwen2");
}

static void smollm2(void **state) {
    check_family("smollm2");
}

static void general_pattern_and_odd_tokens(void **state) {
    check_family("mixed");
}

/* ---- training ------------------------------------------------------------------------------------------ */

static void check_training(const char *family, reini_token_family which, const json_t *wanted) {
    char path[2 * TEMP_PATH], data[512];
    int vocabulary, merges;
    const char *file = golden_path(data, "tokenizer_train.txt");
    reini_tokenizer_training training = {
        .family = which, .vocab_size = 700, .files = &file, .n_files = 1, .folder = temp_path(family)};
    assert_ok(reini_tokenizer_train(&training, &vocabulary, &merges));
    snprintf(path, sizeof path, "%s/%s/tokenizer.json", temp_dir, family);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    const json_t *found = golden_at(golden_at(root, "model"), "merges"), *list = golden_at(wanted, "merges");
    assert_int_equal(json_array_size(found), json_array_size(list));
    assert_int_equal(merges, json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        char pair[512];
        const json_t *merge = json_array_get(found, i);
        snprintf(pair, sizeof pair, "%s %s", json_string_value(json_array_get(merge, 0)),
                 json_string_value(json_array_get(merge, 1)));
        assert_string_equal(pair, json_string_value(json_array_get(list, i)));
    }
    json_decref(root);
    reini_tokenizer *t;
    snprintf(path, sizeof path, "%s/%s", temp_dir, family);
    assert_ok(reini_tokenizer_open(path, &t));
    assert_int_equal(reini_tokenizer_size(t), vocabulary);
    assert_true(reini_tokenizer_eos(t) >= 0);
    uint32_t digest = 0x811c9dc5u;
    char text[16];
    for (int i = 0; i < vocabulary; i++) {
        const char *token = reini_tokenizer_token(t, i);
        digest = fnv(i ? fnv(digest, "\n", 1) : digest, token, strlen(token));
    }
    snprintf(text, sizeof text, "%08x", digest);
    assert_string_equal(text, json_string_value(golden_at(wanted, "vocab")));
    reini_tokenizer_free(t);
}

static void training_learns_the_same_merges(void **state) {
    json_t *root = golden_read("tokenizer_train.json");
    check_training("gpt2", REINI_TOKENS_GPT2, golden_at(root, "gpt2"));
    check_training("llama3", REINI_TOKENS_LLAMA3, golden_at(root, "llama3"));
    check_training("qwen2", REINI_TOKENS_QWEN2, golden_at(root, "qwen2"));
    check_training("smollm2", REINI_TOKENS_SMOLLM2, golden_at(root, "smollm2"));
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2),
        cmocka_unit_test(llama3),
        cmocka_unit_test(qwen2),
        cmocka_unit_test(smollm2),
        cmocka_unit_test(general_pattern_and_odd_tokens),
        cmocka_unit_test(training_learns_the_same_merges),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
#else
int main(void) {
    return 77; /* a build without tokenizers */
}
#endif
