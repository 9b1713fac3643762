/*
 * test_memory.c - blocks are aligned, zeroed and counted, and fail on request.
 */
#include "support/check.h"
#include <pthread.h>
#include "base/base.h"

static bool all_zero(const unsigned char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static void blocks_are_aligned_and_zero(void **state) {
    uint64_t before = reini_memory_now().live_bytes;
    for (size_t n = 0; n < 3000; n += 1 + n / 7) {
        unsigned char *p = reini_new(n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true(all_zero(p, n));
        memset(p, 0xff, n); /* so that the next block's zeros are its own */
        reini_free(p);
    }
    assert_int_equal(reini_memory_now().live_bytes, before);
    reini_free(NULL);
}

static void live_and_peak_are_counted(void **state) {
    reini_memory before = reini_memory_now();
    void *a = reini_new(1000), *b = reini_new(500);
    reini_memory during = reini_memory_now();
    assert_int_equal(during.allocations, before.allocations + 2);
    assert_int_equal(during.live_bytes, before.live_bytes + 1500);
    assert_true(during.peak_bytes >= during.live_bytes);
    reini_free(a);
    reini_free(b);
    reini_memory after = reini_memory_now();
    assert_int_equal(after.live_bytes, before.live_bytes);
    assert_int_equal(after.peak_bytes, during.peak_bytes);
}

static void growing_keeps_bytes_and_zeroes_the_rest(void **state) {
    unsigned char *p = reini_new(10);
    memset(p, 7, 10);
    p = reini_grow(p, 10, 100);
    assert_non_null(p);
    for (int i = 0; i < 10; i++)
        assert_int_equal(p[i], 7);
    assert_true(all_zero(p + 10, 90));
    p = reini_grow(p, 100, 4);
    assert_int_equal(p[3], 7);
    reini_free(p);
    p = reini_grow(NULL, 0, 8);
    assert_true(all_zero(p, 8));
    reini_free(p);
}

static void impossible_sizes_give_null(void **state) {
    volatile size_t huge = SIZE_MAX;
    assert_null(reini_new(huge));
    assert_null(reini_new(huge - 100));
    assert_null(reini_new_array(huge / 2, 3));
    assert_null(reini_new_array(huge, huge));
    void *p = reini_new_array(0, huge);
    assert_non_null(p);
    reini_free(p);
}

static void failing_growth_keeps_the_old_block(void **state) {
    char *p = reini_strdup("kept");
    reini_memory_fail(1, false);
    assert_null(reini_grow(p, 5, 500));
    assert_string_equal(p, "kept");
    reini_free(p);
}

/* which of ten allocations fail, as a string of letters */
static const char *pattern(uint64_t nth, bool onwards) {
    static char out[11];
    reini_memory_fail(nth, onwards);
    for (int i = 0; i < 10; i++) {
        void *p = reini_new(1);
        out[i] = p ? '.' : 'x';
        reini_free(p);
    }
    reini_memory_fail(0, false);
    return out;
}

static void the_nth_fails(void **state) {
    assert_string_equal(pattern(0, false), "..........");
    assert_string_equal(pattern(1, false), "x.........");
    assert_string_equal(pattern(4, false), "...x......");
    assert_string_equal(pattern(4, true), "...xxxxxxx");
    assert_string_equal(pattern(1, true), "xxxxxxxxxx");
    assert_string_equal(pattern(11, true), "..........");
    assert_string_equal(pattern(0, true), "..........");
}

static void *churn(void *unused) {
    for (int i = 0; i < 5000; i++) {
        char *p = reini_new((size_t)(i % 100));
        p = reini_grow(p, (size_t)(i % 100), 200);
        reini_free(p);
        if (i % 100 == 0)
            (void)reini_memory_now();
    }
    return NULL;
}

static void threads_count_together(void **state) {
    pthread_t threads[4];
    reini_memory before = reini_memory_now();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    reini_memory after = reini_memory_now();
    assert_int_equal(after.live_bytes, before.live_bytes);
    assert_int_equal(after.allocations, before.allocations + 4 * 5000 * 2);
}

static void *take_ten_thousand(void *failures) {
    for (int i = 0; i < 10000; i++) {
        void *p = reini_new(1);
        *(int *)failures += p == NULL;
        reini_free(p);
    }
    return NULL;
}

static void exactly_one_fails_among_threads(void **state) {
    pthread_t threads[4];
    int failures[4] = {0};
    reini_memory_fail(15000, false);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_ten_thousand, &failures[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures[0] + failures[1] + failures[2] + failures[3], 1);
}

static void text_is_copied(void **state) {
    char text[] = "text";
    char *copy = reini_strdup(text);
    text[0] = 'n';
    assert_string_equal(copy, "text");
    reini_free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_zero),
        cmocka_unit_test(live_and_peak_are_counted),
        cmocka_unit_test(growing_keeps_bytes_and_zeroes_the_rest),
        cmocka_unit_test(impossible_sizes_give_null),
        cmocka_unit_test(failing_growth_keeps_the_old_block),
        cmocka_unit_test(the_nth_fails),
        cmocka_unit_test(threads_count_together),
        cmocka_unit_test(exactly_one_fails_among_threads),
        cmocka_unit_test(text_is_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
