/*
 * test_status.c - the sentence of a failure, the log hook, names near to another, version.
 */
#include "support/check.h"
#include <pthread.h>
#include <stdio.h>
#include "base/base.h"

static void sentence_is_recorded(void **state) {
    assert_int_equal(reini_fail(REIN_IO, "cannot read \"%s\": %d", "x", 5), REIN_IO);
    assert_string_equal(rein_error(), "cannot read \"x\": 5");
    assert_int_equal(reini_fail_in(REIN_FORMAT, "%s: ", "config.json"), REIN_FORMAT);
    assert_string_equal(rein_error(), "config.json: cannot read \"x\": 5");
}

static void sentence_may_quote_the_last_one(void **state) {
    reini_fail(REIN_IO, "inner");
    reini_fail(REIN_IO, "outer: %s", rein_error());
    assert_string_equal(rein_error(), "outer: inner");
    reini_fail_in(REIN_IO, "[%s] ", rein_error());
    assert_string_equal(rein_error(), "[outer: inner] outer: inner");
}

static void long_sentences_are_cut(void **state) {
    char text[5000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
    reini_fail(REIN_IO, "%s", text);
    assert_int_equal(strlen(rein_error()), 1023);
    reini_fail_in(REIN_IO, "b%s", "c");
    assert_int_equal(strlen(rein_error()), 1023);
    assert_memory_equal(rein_error(), "bcaaa", 5);
    reini_fail_in(REIN_IO, "%s", text);
    assert_int_equal(strlen(rein_error()), 1023);
}

static void memory_sentence_names_bytes(void **state) {
    assert_int_equal(reini_fail_memory(123, "a thing"), REIN_NOMEM);
    assert_non_null(strstr(rein_error(), "123 bytes for a thing"));
    reini_fail_memory((size_t)3 << 30, "a thing");
    assert_non_null(strstr(rein_error(), "3072 MiB"));
}

static void *other_thread(void *unused) {
    if (rein_error()[0] != 0)
        return "the sentence of another thread is seen";
    reini_fail(REIN_IO, "theirs");
    return NULL;
}

static void sentence_belongs_to_its_thread(void **state) {
    pthread_t thread;
    void *wrong;
    reini_fail(REIN_IO, "mine");
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    pthread_join(thread, &wrong);
    assert_null(wrong);
    assert_string_equal(rein_error(), "mine");
}

static rein_status try_it(rein_status inner, int *after) {
    REINI_TRY(inner);
    *after = 1;
    return REIN_OK;
}

static void try_returns_the_first_failure(void **state) {
    int after = 0;
    assert_int_equal(try_it(REIN_MISMATCH, &after), REIN_MISMATCH);
    assert_int_equal(after, 0);
    assert_int_equal(try_it(REIN_OK, &after), REIN_OK);
    assert_int_equal(after, 1);
}

static void every_code_has_a_text(void **state) {
    for (int code = REIN_OK; code <= REIN_INTERNAL; code++)
        assert_true(strlen(rein_status_text((rein_status)code)) > 3);
    assert_string_equal(rein_status_text(REIN_OK), "success");
    assert_non_null(strstr(rein_status_text((rein_status)99), "unknown"));
}

static char logged[256];
static void keep_line(void *user, rein_log_level level, const char *line) {
    snprintf(logged, sizeof logged, "%s %d %s", (const char *)user, (int)level, line);
}

static void log_goes_to_the_hook(void **state) {
    reini_log(REIN_LOG_INFO, "nobody hears this");
    rein_set_log(keep_line, "me");
    reini_log(REIN_LOG_WARNING, "%d of %s", 3, "four");
    rein_set_log(NULL, NULL);
    reini_log(REIN_LOG_WARNING, "nor this");
    assert_string_equal(logged, "me 2 3 of four");
}

static void version_and_build(void **state) {
    assert_string_equal(rein_version(), "0.1.0");
    assert_non_null(strstr(rein_build_info(), rein_version()));
    assert_non_null(strstr(rein_build_info(), "libxsmm "));
    assert_non_null(strstr(rein_build_info(), "oneDNN "));
}

static void nearest_names(void **state) {
    static const char *const names[] = {"gamma", "gae_lambda", "learning_rate", "n_steps", "hidden",
                                        "clip",  "lr"};
    int n = sizeof names / sizeof *names;
    assert_string_equal(reini_nearest("gama", names, n), "gamma");
    assert_string_equal(reini_nearest("agmma", names, n), "gamma");
    assert_string_equal(reini_nearest("Gamma", names, n), "gamma");
    assert_string_equal(reini_nearest("gae-lamda", names, n), "gae_lambda");
    assert_string_equal(reini_nearest("learningrate", names, n), "learning_rate");
    assert_string_equal(reini_nearest("nsteps", names, n), "n_steps");
    assert_string_equal(reini_nearest("clp", names, n), "clip");
    assert_null(reini_nearest("zebra", names, n));
    assert_null(reini_nearest("x", names, n));
    assert_null(reini_nearest("", names, n));
    assert_null(reini_nearest("gamma", names, 0));
    char longest[300];
    memset(longest, 'g', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_null(reini_nearest(longest, names, n));
    const char *const odd[] = {"", longest};
    assert_null(reini_nearest("gamma", odd, 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentence_belongs_to_its_thread),
        cmocka_unit_test(sentence_is_recorded),
        cmocka_unit_test(sentence_may_quote_the_last_one),
        cmocka_unit_test(long_sentences_are_cut),
        cmocka_unit_test(memory_sentence_names_bytes),
        cmocka_unit_test(try_returns_the_first_failure),
        cmocka_unit_test(every_code_has_a_text),
        cmocka_unit_test(log_goes_to_the_hook),
        cmocka_unit_test(version_and_build),
        cmocka_unit_test(nearest_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
