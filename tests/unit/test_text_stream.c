/*
 * test_text_stream.c - bytes of tokens as text, in any pieces.
 */
#include <stdlib.h>
#include <rein/rng.h>
#include "run/text_stream.h"
#include "support/check.h"

#define BAD "\xEF\xBF\xBD"

/* the text of bytes given in pieces of `size` (0: of 0 to 4 bytes at random); every piece is whole characters */
static char *stream(const reini_stop *stop, const char *bytes, int n, int size, int64_t stop_at,
                    uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 1);
    reini_text_stream s;
    char *all = calloc((size_t)n * 3 + 1, 1);
    assert_ok(reini_text_stream_init(&s, stop));
    for (int i = 0, m; i < n; i += m) {
        m = size > 0 ? size : (int)rein_rng_below(&rng, 5);
        m = m < n - i ? m : n - i;
        assert_ok(reini_text_stream_add(&s, bytes + i, m));
        /* a piece ends with a whole character: no continuation is missing */
        strcat(all, s.text);
    }
    assert_ok(reini_text_stream_end(&s, stop_at));
    strcat(all, s.text);
    reini_text_stream_release(&s);
    return all;
}

static void check_text(const char *bytes, int n, const char *expected) {
    for (int size = 0; size < 6; size++) {
        char *found = stream(NULL, bytes, n, size, -1, (uint64_t)n);
        assert_string_equal(found, expected);
        free(found);
    }
}

static void test_characters(void **state) {
    (void)state;
    check_text("", 0, "");
    check_text("plain", 5, "plain");
    check_text("Gr\xC3\xBC\xC3\x9F"
               "e \xE2\x82\xAC \xF0\x9F\x98\x80!",
               17, "Grüße € 😀!");
    /* as Python's and Rust's decoders replace */
    check_text("a\xE2\x82", 3, "a" BAD);
    check_text("\xE2\x82(", 3, BAD "(");
    check_text("\xC3\xC3\xBC", 3, BAD "ü");
    check_text("\xF0\x80\x80", 3, BAD BAD BAD);
    check_text("\xED\xA0\x80", 3, BAD BAD BAD);
    check_text("\xF0\x9F\x98", 3, BAD);
    check_text("\xC0\xAF\xFF", 3, BAD BAD BAD);
    check_text("\xF4\x90\x80\x80", 4, BAD BAD BAD BAD);
    check_text("a\0b", 3, "a" BAD "b");
}

static bool whole(const char *text) {
    size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        size_t m = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        for (size_t k = 1; k < m; k++)
            if (((unsigned char)text[i + k] & 0xC0) != 0x80)
                return false;
        i += m;
    }
    return true;
}

static void test_pieces_are_whole_and_the_same_text(void **state) {
    (void)state;
    for (uint64_t round = 0; round < 500; round++) {
        enum { N = 60 };
        char bytes[N];
        rein_rng rng = rein_rng_make(3, round);
        /* bytes that are often parts of characters */
        static const unsigned char kinds[] = {'a',  'b',  0xC3, 0xBC, 0xE2, 0x82,
                                              0xAC, 0xF0, 0x9F, 0x98, 0x80, 0xFF};
        for (int i = 0; i < N; i++)
            bytes[i] = (char)kinds[rein_rng_below(&rng, sizeof kinds)];
        char *once = stream(NULL, bytes, N, N, -1, 0), *pieces = stream(NULL, bytes, N, 0, -1, round);
        assert_string_equal(once, pieces);
        assert_true(whole(once));
        free(once);
        free(pieces);
        reini_text_stream s;
        assert_ok(reini_text_stream_init(&s, NULL));
        for (int i = 0; i < N; i++) {
            assert_ok(reini_text_stream_add(&s, bytes + i, 1));
            assert_true(whole(s.text));
        }
        reini_text_stream_release(&s);
    }
}

static void test_stop_strings_are_never_shown(void **state) {
    (void)state;
    static const char *const texts[] = {"\n\nUser:", "<end>", "ß"};
    reini_stop *stop;
    assert_ok(reini_stop_new(texts, 3, &stop));
    static const char *const cases[][2] = {
        {"one\n\nUser:", "one"},   {"one\n\n\n\nUser:", "one\n\n"},
        {"a <en <end>", "a <en "}, {"Gru\xC3\xBC\xC3\x9F", "Gruü"},
        {"\xC3\x9F", ""},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int n = (int)strlen(cases[c][0]), stop_at = (int)strlen(cases[c][1]);
        for (int size = 0; size < 12; size++) {
            char *found = stream(stop, cases[c][0], n, size, stop_at, c);
            assert_string_equal(found, cases[c][1]);
            free(found);
        }
    }
    /* what only looks like a beginning comes in the end */
    char *found = stream(stop, "a\n\nUse", 6, 1, -1, 0);
    assert_string_equal(found, "a\n\nUse");
    free(found);
    reini_stop_free(stop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_pieces_are_whole_and_the_same_text),
        cmocka_unit_test(test_stop_strings_are_never_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
