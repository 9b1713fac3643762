/*
 * test_shuffle.c - random orders: each is a permutation, a function of its key alone, the same bits at every
 * level, and all orders are as likely.
 */
#include <stdbool.h>
#include <stdlib.h>
#include "base/levels.h"
#include "rl/shuffle.h"
#include "support/check.h"

enum { MOST = 1000, GUARD = 16 };

static int32_t order[MOST], again[MOST];
static uint32_t words[MOST + 64 + GUARD];

static const int sizes[] = {1, 2, 3, 16, 63, 64, 65, 128, 777, 1000};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void test_permutations(void **state) {
    for (int k = 0; k < SIZES; k++) {
        bool seen[MOST] = {false};
        int n = sizes[k], moved = 0, scratch = (n + 63) / 64 * 64;
        for (int i = 0; i < GUARD; i++)
            words[scratch + i] = 0xABCDEF01;
        reini_shuffle(order, words, n, 3, 4, 5);
        for (int i = 0; i < n; i++) {
            assert_in_range(order[i], 0, n - 1);
            assert_false(seen[order[i]]);
            seen[order[i]] = true;
            moved += order[i] != i;
        }
        assert_true(n < 16 || moved > n / 2);
        for (int i = 0; i < GUARD; i++)
            assert_int_equal(words[scratch + i], 0xABCDEF01);
    }
    reini_shuffle(order, words, 0, 3, 4, 5);
}

static void test_keys(void **state) {
    static const uint64_t keys[][3] = {{3, 4, 5}, {4, 4, 5}, {3, 5, 5}, {3, 4, 6}};
    reini_shuffle(order, words, MOST, 3, 4, 5);
    for (int k = 0; k < 4; k++) {
        memset(words, k, sizeof words);
        reini_shuffle(again, words, MOST, keys[k][0], keys[k][1], keys[k][2]);
        assert_true((memcmp(order, again, sizeof order) == 0) == (k == 0));
    }
}

static void test_levels_give_the_same_order(void **state) {
    for (int k = 0; k < SIZES; k++) {
        reini_shuffle(order, words, sizes[k], 9, 8, 7);
        for (int level = REINI_ISA_PORTABLE; level <= REINI_ISA_AVX512; level++) {
            reini_isa_cap(level);
            reini_shuffle(again, words, sizes[k], 9, 8, 7);
            assert_memory_equal(order, again, (size_t)sizes[k] * sizeof *order);
        }
        reini_isa_cap(-1);
    }
}

/* the 24 orders of four */
static void test_orders_are_equally_likely(void **state) {
    enum { ROUNDS = 24000 };
    int count[256] = {0}, kinds = 0;
    for (int round = 0; round < ROUNDS; round++) {
        reini_shuffle(order, words, 4, 1, 2, (uint64_t)round);
        count[order[0] | order[1] << 2 | order[2] << 4 | order[3] << 6]++;
    }
    double chi = 0;
    for (int i = 0; i < 256; i++)
        if (count[i] > 0) {
            chi += (count[i] - ROUNDS / 24.0) * (count[i] - ROUNDS / 24.0) / (ROUNDS / 24.0);
            kinds++;
        }
    assert_int_equal(kinds, 24);
    assert_true(chi < 50); /* 23 degrees of freedom: 1 in 1000 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_permutations),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_levels_give_the_same_order),
        cmocka_unit_test(test_orders_are_equally_likely),
    };
    return cmocka_run_group_tests_name("shuffle", tests, NULL, NULL);
}
