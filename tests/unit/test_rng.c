/*
 * test_rng.c - Philox4x32-10 against its published vectors, and the draws made from it.
 */
#include "support/check.h"
#include <math.h>
#include <rein/rng.h>

/* known answers of Random123 (kat_vectors, philox4x32 10); words in the file's order, so the first is the
 * low half */
static void philox_known_answers(void **state) {
    static const struct {
        uint32_t counter[4], key[2], word[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t word[4];
        const uint32_t *c = known[i].counter, *k = known[i].key;
        rein_philox(k[0] | (uint64_t)k[1] << 32, c[0] | (uint64_t)c[1] << 32, c[2] | (uint64_t)c[3] << 32,
                    word);
        assert_memory_equal(word, known[i].word, sizeof word);
    }
}

static void words_are_blocks_in_order(void **state) {
    rein_rng rng = rein_rng_make(42, 7);
    for (uint64_t block = 0; block < 20; block++) {
        uint32_t word[4];
        rein_philox(42, block, 7, word);
        for (int i = 0; i < 4; i++)
            assert_int_equal(rein_rng_next(&rng), word[i]);
    }
    assert_int_equal(rng.count, 80);
}

static void a_copy_continues_alike(void **state) {
    rein_rng a = rein_rng_make(1, 2);
    for (int i = 0; i < 5; i++)
        rein_rng_next(&a);
    rein_rng b = a;
    for (int i = 0; i < 100; i++)
        assert_int_equal(rein_rng_next(&a), rein_rng_next(&b));
}

static void streams_and_seeds_differ(void **state) {
    rein_rng a = rein_rng_make(1, 2), b = rein_rng_make(1, 3), c = rein_rng_make(2, 2);
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t x = rein_rng_next(&a), y = rein_rng_next(&b), z = rein_rng_next(&c);
        same += (x == y) + (x == z) + (y == z);
    }
    assert_true(same < 3);
}

/* chi-square of counts that should be equal, in standard deviations from its mean */
static double chi_square(const int *count, int cells, int draws) {
    double expected = (double)draws / cells, sum = 0;
    for (int i = 0; i < cells; i++)
        sum += (count[i] - expected) * (count[i] - expected) / expected;
    return (sum - (cells - 1)) / sqrt(2.0 * (cells - 1));
}

static void uniform_fills_its_range_evenly(void **state) {
    enum { CELLS = 64, DRAWS = 1 << 18 };
    int count[CELLS] = {0}, count64[CELLS] = {0};
    double sum = 0;
    rein_rng rng = rein_rng_make(3, 0);
    for (int i = 0; i < DRAWS; i++) {
        float x = rein_rng_uniform(&rng);
        double y = rein_rng_uniform64(&rng);
        assert_true(x >= 0 && x < 1 && y >= 0 && y < 1);
        count[(int)(x * CELLS)]++;
        count64[(int)(y * CELLS)]++;
        sum += x;
    }
    assert_true(fabs(chi_square(count, CELLS, DRAWS)) < 4);
    assert_true(fabs(chi_square(count64, CELLS, DRAWS)) < 4);
    assert_true(fabs(sum / DRAWS - 0.5) < 4 * sqrt(1.0 / 12 / DRAWS));
}

static void extreme_words_stay_below_one(void **state) {
    rein_rng rng = rein_rng_make(0, 0);
    rng.count = 1; /* the words below are taken as they are, without a new block */
    for (int i = 0; i < 4; i++)
        rng.word[i] = ~0u;
    assert_true(rein_rng_uniform(&rng) < 1);
    assert_true(rein_rng_uniform64(&rng) < 1);
    rng.count = 1;
    assert_int_equal(rein_rng_below(&rng, 1), 0);
    rng.count = 2;
    assert_int_equal(rein_rng_below(&rng, ~0u), ~0u - 1);
}

static void below_is_even(void **state) {
    static const uint32_t sizes[] = {1, 2, 3, 7, 10, 100};
    rein_rng rng = rein_rng_make(4, 0);
    for (int s = 0; s < 6; s++) {
        enum { DRAWS = 200000 };
        int count[100] = {0};
        for (int i = 0; i < DRAWS; i++) {
            uint32_t x = rein_rng_below(&rng, sizes[s]);
            assert_true(x < sizes[s]);
            count[x]++;
        }
        if (sizes[s] > 1)
            assert_true(fabs(chi_square(count, (int)sizes[s], DRAWS)) < 4);
    }
}

/* n = 3 x 2^30: without rejection, a third of the values would come twice as often as the others */
static void below_has_no_bias_for_large_n(void **state) {
    enum { DRAWS = 300000 };
    uint32_t n = 3u << 30;
    int count[3] = {0};
    rein_rng rng = rein_rng_make(5, 0);
    for (int i = 0; i < DRAWS; i++)
        count[rein_rng_below(&rng, n) % 3]++;
    assert_true(fabs(chi_square(count, 3, DRAWS)) < 4);
    /* words that land in the uneven part are drawn again: 2^32 mod n = 2^30 of them */
    assert_true(rng.count > DRAWS * 1.3 && rng.count < DRAWS * 1.37);
}

static void range_and_normal(void **state) {
    enum { DRAWS = 200000 };
    rein_rng rng = rein_rng_make(6, 0);
    double sum = 0, squares = 0, fourth = 0;
    for (int i = 0; i < DRAWS; i++) {
        float r = rein_rng_range(&rng, -2, 3);
        assert_true(r >= -2 && r < 3);
        double x = rein_rng_normal(&rng);
        assert_true(isfinite(x));
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
    }
    assert_true(fabs(sum / DRAWS) < 4 / sqrt(DRAWS));
    assert_true(fabs(squares / DRAWS - 1) < 4 * sqrt(2.0 / DRAWS));
    assert_true(fabs(fourth / DRAWS - 3) < 4 * sqrt(96.0 / DRAWS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(words_are_blocks_in_order),
        cmocka_unit_test(a_copy_continues_alike),
        cmocka_unit_test(streams_and_seeds_differ),
        cmocka_unit_test(uniform_fills_its_range_evenly),
        cmocka_unit_test(extreme_words_stay_below_one),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(below_has_no_bias_for_large_n),
        cmocka_unit_test(range_and_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
