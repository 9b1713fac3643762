/*
 * test_tokenizer.c - tokenizers: what is refused and how, hand-written scanners against PCRE2, long pieces, special tokens,
 * streams, threads, and memory that runs out.
 */
#include "support/check.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <rein/rng.h>
#include "support/golden.h"
#include "support/temp_dir.h"
#include "lm/tokenizer_parts.h"

#if defined(REIN_HAVE_PCRE2) && defined(REIN_HAVE_UTF8PROC)

#define GOLDEN(family) REIN_SOURCE_DIR "/tests/golden/tokenizer_" family ".json"

/* ---- bad input ----------------------------------------------------------------------------------------- */

/* parses a golden file after replacing the first `from` by `to` */
static rein_status parse_changed(const char *path, const char *from, const char *to) {
    size_t n;
    char *json = temp_read(path, &n), *at = strstr(json, from);
    assert_non_null(at);
    char *changed = calloc(1, n + strlen(to) + 1);
    size_t before = (size_t)(at - json);
    memcpy(changed, json, before);
    strcpy(changed + before, to);
    strcat(changed, at + strlen(from));
    reini_tokenizer *t;
    rein_status status = reini_tokenizer_parse(changed, strlen(changed), NULL, 0, "t.json", &t);
    reini_tokenizer_free(t);
    free(json);
    free(changed);
    return status;
}

#define REFUSED(family, from, to, status, words)                                                             \
    assert_fails(parse_changed(GOLDEN(family), from, to), status, words)

static void other_kinds_are_refused_by_name(void **state) {
    REFUSED("gpt2", "\"type\":\"BPE\"", "\"type\":\"Unigram\"", REIN_UNSUPPORTED,
            "model.type is Unigram, supported: BPE");
    REFUSED("gpt2", "\"type\":\"BPE\"", "\"type\":\"WordPiece\"", REIN_UNSUPPORTED, "WordPiece");
    REFUSED("gpt2", "\"pre_tokenizer\":{\"type\":\"ByteLevel\"", "\"pre_tokenizer\":{\"type\":\"Metaspace\"",
            REIN_UNSUPPORTED, "pre_tokenizer is Metaspace, supported: ByteLevel");
    REFUSED("gpt2", "\"normalizer\":null", "\"normalizer\":{\"type\":\"NFKC\"}", REIN_UNSUPPORTED,
            "normalizer is NFKC");
    REFUSED("gpt2", "\"normalizer\":null",
            "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\"}]}",
            REIN_UNSUPPORTED, "Lowercase");
    REFUSED("gpt2", "\"post_processor\":{\"type\":\"ByteLevel\"",
            "\"post_processor\":{\"type\":\"BertProcessing\"", REIN_UNSUPPORTED,
            "post_processor is BertProcessing");
    REFUSED("gpt2", "\"decoder\":{\"type\":\"ByteLevel\"", "\"decoder\":{\"type\":\"WordPiece\"",
            REIN_UNSUPPORTED, "decoder is WordPiece, supported: ByteLevel");
    REFUSED("gpt2", "\"dropout\":null", "\"dropout\":0.1", REIN_UNSUPPORTED, "model.dropout is set");
    REFUSED("gpt2", "\"byte_fallback\":false", "\"byte_fallback\":true", REIN_UNSUPPORTED,
            "model.byte_fallback is set");
    REFUSED("gpt2", "\"end_of_word_suffix\":\"\"", "\"end_of_word_suffix\":\"</w>\"", REIN_UNSUPPORTED,
            "end_of_word_suffix");
    REFUSED("qwen2", "\"Isolated\"", "\"MergedWithNext\"", REIN_UNSUPPORTED,
            "MergedWithNext, supported: Isolated");
    REFUSED("qwen2", "\"use_regex\":false}]}", "\"use_regex\":false},{\"type\":\"Digits\"}]}",
            REIN_UNSUPPORTED, "stands behind ByteLevel");
}

/* the pattern of Qwen2 as JSON spells it, up to the part that is replaced */
#define PATTERN(part, words) REFUSED("qwen2", "|\\\\p{N}|", "|" part "|", REIN_UNSUPPORTED, words)

static void odd_patterns_are_refused(void **state) {
    PATTERN("\\\\w+", "an escape that is not supported");
    PATTERN("(a)\\\\1", "an escape that is not supported");
    PATTERN("^a", "an anchor");
    PATTERN("(?<=a)b", "a group of a kind that is not supported");
    PATTERN("(?<n>a)", "a group of a kind that is not supported");
    PATTERN("[a[b]]", "a class inside a class");
    PATTERN("[a&&b]", "a class inside a class");
    PATTERN("\\\\p{Alnum}", "not a general category");
    PATTERN("\\\\p{^L}", "not a general category");
    PATTERN("a{2,3}+", "braces followed by +");
    PATTERN("(?i:stra)", "fold together");
    PATTERN("(?i:\xc3\xa4)", "beyond ASCII");
    PATTERN("a*", "matches the empty text");
    PATTERN("(a", "PCRE2 does not take");
    REFUSED("qwen2", "(?!\\\\S)|\\\\s+\"", "(?!\\\\S)|[a\"", REIN_UNSUPPORTED, "a class without its end");
    assert_ok(parse_changed(GOLDEN("qwen2"), "|\\\\p{N}|", "|\\\\p{Han}+|\\\\d{1,2}|[^a-z\\\\S]++|"));
}

static void damaged_vocabularies_are_refused(void **state) {
    REFUSED("gpt2", "\"!\":1", "\"!\":2", REIN_FORMAT, "id 2 is given to two tokens");
    REFUSED("gpt2", "\"!\":1,", "", REIN_FORMAT, "no token has id 1, expected every id from 0 to 1499");
    REFUSED("gpt2", "\"!\":1,", "\"!\":9999,", REIN_FORMAT, "ids have holes");
    REFUSED("gpt2", "\"!\":1,", "\"!\":-1,", REIN_FORMAT, "token \"!\" is not a whole number");
    REFUSED("gpt2", "\"!\":1,", "\"!\":1.5,", REIN_FORMAT, "token \"!\" is not a whole number");
    REFUSED("gpt2", "\"!\":1,", "\"!\":99999999,", REIN_FORMAT, "not a whole number from 0 to");
    REFUSED("gpt2", "\"!\":1,", "\"!\":1,\"!\":1,", REIN_FORMAT, "duplicate");
    REFUSED("gpt2", "\"merges\":[\"", "\"merges\":[\"nothing here\",\"", REIN_FORMAT,
            "merge 0 names \"nothing\"");
    REFUSED("gpt2", "\"merges\":[\"", "\"merges\":[\"! !\",\"", REIN_FORMAT, "merge 0 names \"!!\"");
    REFUSED("gpt2", "\"merges\":[\"", "\"merges\":[\"!\",\"", REIN_FORMAT, "neither \"left right\"");
    REFUSED("gpt2", "\"merges\":[\"", "\"merges\":[3,\"", REIN_FORMAT, "neither \"left right\"");
    REFUSED("qwen2", "\"merges\":[[", "\"merges\":[[\"a\"],[", REIN_FORMAT, "neither \"left right\"");
    REFUSED("gpt2", "\"id\":0,\"content\":\"<|endoftext|>\"", "\"id\":7,\"content\":\"<|endoftext|>\"",
            REIN_FORMAT, "\"<|endoftext|>\" has two ids, 0 and 7");
    REFUSED("gpt2", "\"content\":\"<|endoftext|>\"", "\"content\":\"\"", REIN_FORMAT,
            "added_tokens[0] has no content");
    REFUSED("gpt2", "\"special\":true", "\"special\":1", REIN_FORMAT, "neither true nor false");
    REFUSED("llama3", "\"ids\":[0]", "\"ids\":[99999]", REIN_FORMAT, "names an id that is no token");
    REFUSED("llama3", "\"ids\":[0]", "\"idx\":[0]", REIN_FORMAT, "without its ids");
    REFUSED("gpt2", "\"vocab\":{", "\"vocabulary\":{", REIN_FORMAT, "model.vocab is missing");
    REFUSED("gpt2", "\"model\":{", "\"modell\":{", REIN_FORMAT, "no \"model\"");
}

/* every prefix of the file is refused, and every allocation may fail */
static void truncated_files_are_refused(void **state) {
    size_t n;
    char *json = temp_read(GOLDEN("mixed"), &n);
    reini_tokenizer *t;
    for (size_t k = 0; k + 2 < n; k += 1 + n / 97) {
        assert_int_equal(reini_tokenizer_parse(json, k, NULL, 0, "t.json", &t), REIN_FORMAT);
        assert_null(t);
    }
    free(json);
    assert_fails(reini_tokenizer_open("/nowhere/at/all", &t), REIN_IO, "/nowhere/at/all");
    assert_fails(reini_tokenizer_open(temp_dir, &t), REIN_IO, "tokenizer.json is not there");
    assert_int_equal(reini_memory_now().live_bytes, 0);
}

static void memory_that_runs_out_is_reported(void **state) {
    size_t n;
    char *json = temp_read(GOLDEN("mixed"), &n);
    static const char config[] =
        "{\"pad_token\": \"<pad>\", \"chat_template\": \"x\", \"add_bos_token\": true}";
    rein_status status = REIN_NOMEM;
    for (uint64_t nth = 1; status != REIN_OK; nth += nth < 60 ? 1 : 41) {
        reini_tokenizer *t = NULL;
        reini_encoder *e = NULL;
        reini_ids ids = {0};
        reini_bytes text = {0};
        reini_memory_fail(nth, true);
        status = reini_tokenizer_parse(json, n, config, sizeof config - 1, "t.json", &t);
        if (status == REIN_OK)
            status = reini_encoder_new(t, &e);
        if (status == REIN_OK)
            status = reini_encode(e, "word cafe\xcc\x81 x", 12, REINI_ENCODE_SPECIAL, &ids);
        if (status == REIN_OK)
            status = reini_decode(t, ids.at, ids.n, false, &text);
        reini_memory_fail(0, false);
        assert_true(status == REIN_OK || status == REIN_NOMEM);
        reini_encoder_free(e);
        reini_tokenizer_free(t);
        reini_free(ids.at);
        reini_free(text.at);
        assert_int_equal(reini_memory_now().live_bytes, 0);
    }
    free(json);
}

/* ---- scanners ------------------------------------------------------------------------------------------ */

/* code points that Unicode 14, which PCRE2 10.42 knows, has assigned */
static int assigned(uint32_t *out) {
    reini_regex *unassigned;
    reini_regex_state *state;
    int n = 0;
    assert_ok(reini_regex_new("[\\p{Cn}\\p{Co}]", false, "test", &unassigned));
    assert_ok(reini_regex_state_new(unassigned, &state));
    for (uint32_t c = 0; c < 0x30000; c++) {
        char text[4];
        size_t begin, end, length = (size_t)reini_char_put(text, c);
        if (c >= 0xd800 && c < 0xe000)
            continue;
        assert_ok(reini_regex_match(unassigned, state, text, length, 0, &begin, &end));
        if (begin == length)
            out[n++] = c;
    }
    reini_regex_state_free(state);
    reini_regex_free(unassigned);
    return n;
}

/* a text of mostly awkward characters */
static size_t random_text(rein_rng *rng, const uint32_t *any, int n_any, char *out) {
    static const uint32_t odd[] = {' ',  ' ',   ' ',    '\n',  '\r',   '\t', '\'',    '\'',   's',    'S',
                                   'T',  't',   'l',    'L',   'v',    'e',  'R',     'm',    'D',    '0',
                                   '7',  '.',   '!',    0x17f, 0xa0,   0x85, 0x2028,  0x3000, 0x180e, 0x1c,
                                   0xbd, 0x661, 0x4e2d, 0x301, 0x200d, 0xe9, 0x1f600, 0x212a};
    size_t n = 0;
    for (uint32_t i = 0, length = 1 + rein_rng_below(rng, 24); i < length; i++) {
        bool common = rein_rng_below(rng, 8) < 6;
        uint32_t c = common ? odd[rein_rng_below(rng, sizeof odd / sizeof *odd)]
                            : any[rein_rng_below(rng, (uint32_t)n_any)];
        n += (size_t)reini_char_put(out + n, c);
    }
    return n;
}

static void scanners_equal_pcre2(void **state) {
    uint32_t *any = calloc(0x30000, sizeof *any);
    assert_ok(reini_unicode_ready());
    int n_any = assigned(any);
    assert_true(n_any > 139000);
    for (int k = 0; k < reini_known_pattern_count; k++) {
        const reini_known_pattern *known = &reini_known_patterns[k];
        reini_regex *regex;
        reini_regex_state *matcher;
        rein_rng rng = rein_rng_make(11, (uint64_t)k);
        assert_ok(reini_regex_new(known->pattern, false, "test", &regex));
        assert_ok(reini_regex_state_new(regex, &matcher));
        for (int i = 0; i < 60000; i++) {
            char text[128];
            size_t n = random_text(&rng, any, n_any, text), begin, end;
            for (size_t at = 0; at < n; at = end) {
                assert_ok(reini_regex_match(regex, matcher, text, n, at, &begin, &end));
                assert_int_equal(begin, at);
                size_t scanned = (size_t)(known->scan(text + at, text + n) - text);
                if (scanned != end)
                    fail_msg("%s on \"%.*s\" from byte %zu: ends at %zu, PCRE2 at %zu", known->name, (int)n,
                             text, at, scanned, end);
            }
        }
        reini_regex_state_free(matcher);
        reini_regex_free(regex);
    }
    free(any);
}

/* ---- encoding ------------------------------------------------------------------------------------------ */

typedef struct rig {
    reini_tokenizer *t;
    reini_encoder *e;
    reini_ids ids;
    reini_bytes text;
} rig;

static void rig_open(rig *r, const char *path) {
    *r = (rig){0};
    assert_ok(reini_tokenizer_open(path, &r->t));
    assert_ok(reini_encoder_new(r->t, &r->e));
}

static void rig_close(rig *r) {
    reini_encoder_free(r->e);
    reini_tokenizer_free(r->t);
    reini_free(r->ids.at);
    reini_free(r->text.at);
    assert_int_equal(reini_memory_now().live_bytes, 0);
}

/* BPE as it is defined: the pair of least rank, the leftmost of equals */
static size_t plain_bpe(const reini_tokenizer *t, const char *piece, size_t n, int32_t *ids) {
    for (size_t i = 0; i < n; i++)
        ids[i] = t->byte_id[(unsigned char)piece[i]];
    for (;;) {
        const reini_merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const reini_merge *m = reini_merge_find(t, ids[i], ids[i + 1]);
            if (m && (!best || m->rank < best->rank)) {
                best = m;
                at = i;
            }
        }
        if (!best)
            return n;
        ids[at] = best->id;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

static void long_pieces_merge_as_defined(void **state) {
    static char piece[2000];
    static int32_t wanted[2000];
    rig r;
    rig_open(&r, GOLDEN("gpt2"));
    rein_rng rng = rein_rng_make(5, 0);
    reini_merger merger = {0};
    for (int k = 0; k < 400; k++) {
        size_t n = 1 + rein_rng_below(&rng, k % 4 ? 90 : 2000);
        uint32_t letters = 1 + rein_rng_below(&rng, 26);
        for (size_t i = 0; i < n; i++)
            piece[i] = "etaoinshrdlucmfwypvbgkjqxz"[rein_rng_below(&rng, letters)];
        size_t count = plain_bpe(r.t, piece, n, wanted);
        assert_int_equal(reini_merger_run(&merger, r.t, piece, n), count);
        assert_memory_equal(merger.ids, wanted, count * sizeof *wanted);
    }
    reini_merger_release(&merger);
    rig_close(&r);
}

static void special_tokens_are_parsed_on_request(void **state) {
    static const char text[] = "a<|endoftext|>b";
    rig r;
    rig_open(&r, GOLDEN("gpt2"));
    int eot = reini_tokenizer_id(r.t, "<|endoftext|>");
    assert_true(reini_tokenizer_special(r.t, eot));
    assert_ok(reini_encode(r.e, text, sizeof text - 1, REINI_ENCODE_SPECIAL, &r.ids));
    assert_int_equal(r.ids.n, 3);
    assert_int_equal(r.ids.at[1], eot);
    assert_ok(reini_decode(r.t, r.ids.at, r.ids.n, true, &r.text));
    assert_string_equal(r.text.at, "ab");
    r.ids.n = r.text.n = 0;
    assert_ok(reini_encode(r.e, text, sizeof text - 1, 0, &r.ids));
    assert_true(r.ids.n > 3);
    for (size_t i = 0; i < r.ids.n; i++)
        assert_int_not_equal(r.ids.at[i], eot);
    assert_ok(reini_decode(r.t, r.ids.at, r.ids.n, true, &r.text));
    assert_string_equal(r.text.at, text);
    size_t before = r.ids.n;
    assert_fails(reini_encode(r.e, "ab\xc3(", 4, 0, &r.ids), REIN_FORMAT, "not UTF-8 at byte 2 (c3)");
    assert_int_equal(r.ids.n, before);
    assert_int_equal(reini_tokenizer_id(r.t, "absent"), -1);
    assert_null(reini_tokenizer_token(r.t, -1));
    assert_null(reini_tokenizer_token(r.t, reini_tokenizer_size(r.t)));
    rig_close(&r);
}

static void streams_hold_back_half_characters(void **state) {
    rig r;
    reini_stream stream = {0};
    rig_open(&r, GOLDEN("gpt2"));
    static const unsigned char face[] = {0xf0, 0x9f, 0x98, 0x80};
    for (int i = 0; i < 4; i++) {
        assert_ok(reini_stream_add(&stream, r.t, r.t->byte_id[face[i]], true, &r.text));
        assert_int_equal(r.text.n, i == 3 ? 4 : 0);
    }
    assert_string_equal(r.text.at, "\xf0\x9f\x98\x80");
    r.text.n = 0;
    assert_ok(reini_stream_add(&stream, r.t, r.t->byte_id[0xe4], true, &r.text));
    assert_ok(reini_stream_add(&stream, r.t, r.t->byte_id['a'], true, &r.text));
    assert_string_equal(r.text.at, "\xef\xbf\xbd"
                                   "a");
    assert_ok(reini_stream_add(&stream, r.t, r.t->byte_id[0xe4], true, &r.text));
    assert_ok(reini_stream_end(&stream, &r.text));
    assert_ok(reini_stream_end(&stream, &r.text));
    assert_string_equal(r.text.at, "\xef\xbf\xbd"
                                   "a\xef\xbf\xbd");
    rig_close(&r);
}

static void configurations_add_what_is_missing(void **state) {
    size_t n;
    char *json = temp_read(GOLDEN("gpt2"), &n);
    reini_tokenizer *t;
    static const char config[] = "{\"bos_token\": \"<|endoftext|>\", \"pad_token\": \"<pad>\", "
                                 "\"add_bos_token\": true, \"add_eos_token\": false}";
    assert_ok(reini_tokenizer_parse(json, n, config, sizeof config - 1, "t", &t));
    assert_int_equal(reini_tokenizer_pad(t), 1500);
    assert_int_equal(reini_tokenizer_size(t), 1501);
    reini_encoder *e;
    reini_ids ids = {0};
    assert_ok(reini_encoder_new(t, &e));
    assert_ok(reini_encode(e, "<pad>", 5, REINI_ENCODE_SPECIAL | REINI_ENCODE_TEMPLATE, &ids));
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.at[0], reini_tokenizer_bos(t));
    assert_int_equal(ids.at[1], 1500);
    reini_free(ids.at);
    reini_encoder_free(e);
    reini_tokenizer_free(t);
    static const char wrong[] = "{\"added_tokens_decoder\": {\"3\": {\"content\": \"<|endoftext|>\"}}}";
    assert_fails(reini_tokenizer_parse(json, n, wrong, sizeof wrong - 1, "t", &t), REIN_MISMATCH,
                 "has id 3 there and 0");
    static const char number[] = "{\"eos_token\": 5}";
    assert_fails(reini_tokenizer_parse(json, n, number, sizeof number - 1, "t", &t), REIN_FORMAT,
                 "eos_token is no text");
    free(json);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

typedef struct worker {
    const reini_tokenizer *t;
    const char *text;
    size_t n;
    reini_ids ids;
    rein_status status;
} worker;

static void *work(void *arg) {
    worker *w = arg;
    reini_encoder *e;
    w->status = reini_encoder_new(w->t, &e);
    for (int i = 0; i < 3 && w->status == REIN_OK; i++) {
        w->ids.n = 0;
        w->status = reini_encode(e, w->text, w->n, REINI_ENCODE_SPECIAL, &w->ids);
    }
    reini_encoder_free(e);
    return NULL;
}

static void threads_encode_at_once(void **state) {
    enum { THREADS = 4 };
    worker workers[THREADS];
    pthread_t threads[THREADS];
    reini_tokenizer *t;
    size_t n;
    char *text = temp_read(REIN_SOURCE_DIR "/tests/golden/tokenizer_strings.txt", &n);
    assert_ok(reini_tokenizer_open(GOLDEN("mixed"), &t));
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.t = t, .text = text, .n = n};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(workers[i].status, REIN_OK);
        assert_int_equal(workers[i].ids.n, workers[0].ids.n);
        assert_memory_equal(workers[i].ids.at, workers[0].ids.at, workers[0].ids.n * sizeof(int32_t));
    }
    for (int i = 0; i < THREADS; i++)
        reini_free(workers[i].ids.at);
    reini_tokenizer_free(t);
    free(text);
}

/* ---- training ------------------------------------------------------------------------------------------ */

static void training_refuses_what_it_cannot_do(void **state) {
    char text[2048], folder[2048];
    snprintf(text, sizeof text, "%s", temp_path("text.txt"));
    snprintf(folder, sizeof folder, "%s", temp_path("trained"));
    const char *file = text, *again = "<|im_end|>", *mine = "<|mine|>";
    temp_write(text, "a b a b\n", 8);
    reini_tokenizer_training training = {
        .family = REINI_TOKENS_QWEN2, .vocab_size = 258, .files = &file, .n_files = 1, .folder = folder};
    int vocabulary, merges;
    assert_fails(reini_tokenizer_train(&training, &vocabulary, &merges), REIN_USAGE, "expected at least 259");
    training.vocab_size = 300;
    training.special = &again;
    training.n_special = 1;
    assert_fails(reini_tokenizer_train(&training, &vocabulary, &merges), REIN_USAGE,
                 "\"<|im_end|>\" is there already");
    training.special = &mine;
    assert_ok(reini_tokenizer_train(&training, &vocabulary, &merges));
    assert_int_equal(merges, 2); /* " b", then " a": the text has nothing more */
    assert_int_equal(vocabulary, 262);
    training.n_files = 0;
    assert_fails(reini_tokenizer_train(&training, &vocabulary, &merges), REIN_USAGE, "no text");
    training.n_files = 1;
    temp_write(text, "a\xff", 2);
    assert_fails(reini_tokenizer_train(&training, &vocabulary, &merges), REIN_FORMAT, "not UTF-8 at byte 1");
    temp_write(text, "", 0);
    assert_fails(reini_tokenizer_train(&training, &vocabulary, &merges), REIN_FORMAT,
                 "no text to learn from");
    rig r;
    rig_open(&r, folder);
    assert_ok(reini_encode(r.e, "a b<|mine|>", 11, REINI_ENCODE_SPECIAL, &r.ids));
    assert_int_equal(r.ids.n, 3);
    assert_int_equal(r.ids.at[2], 3);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_kinds_are_refused_by_name),
        cmocka_unit_test(odd_patterns_are_refused),
        cmocka_unit_test(damaged_vocabularies_are_refused),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
        cmocka_unit_test(scanners_equal_pcre2),
        cmocka_unit_test(long_pieces_merge_as_defined),
        cmocka_unit_test(special_tokens_are_parsed_on_request),
        cmocka_unit_test(streams_hold_back_half_characters),
        cmocka_unit_test(configurations_add_what_is_missing),
        cmocka_unit_test(threads_encode_at_once),
        cmocka_unit_test(training_refuses_what_it_cannot_do),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
#else
static void absence_names_what_to_install(void **state) {
    reini_tokenizer *t;
    assert_fails(reini_tokenizer_open("anything", &t), REIN_UNSUPPORTED,
                 "apt-get install libpcre2-dev libutf8proc-dev");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(absence_names_what_to_install)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
