/*
 * test_sum_tree.c - drawing in proportion: against a plain scan of the weights, by frequencies, after a million changes,
 * at the borders; and prioritised replay on top of it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "rl/per.h"
#include "support/check.h"

/* ---- the tree ------------------------------------------------------------------------------------------ */

/* weights that are whole numbers: sums are exact, so the scan and the tree must agree on every mass */
static int64_t scan(const double *weight, int64_t n, double mass) {
    for (int64_t i = 0; i < n; i++) {
        if (mass < weight[i])
            return i;
        mass -= weight[i];
    }
    return -1;
}

static void check_against_scan(int64_t n) {
    double weight[1000], total = 0;
    reini_sum_tree tree;
    rein_rng rng = rein_rng_make(1, (uint64_t)n);
    assert_ok(reini_sum_tree_init(&tree, n));
    for (int64_t i = 0; i < n; i++) {
        weight[i] = rein_rng_below(&rng, 3) == 0 ? 0 : rein_rng_below(&rng, 50);
        reini_sum_tree_set(&tree, i, weight[i]);
        total += weight[i];
    }
    if (total == 0)
        reini_sum_tree_set(&tree, 0, weight[0] = total = 7);
    assert_true(reini_sum_tree_total(&tree) == total);
    for (double mass = 0; mass < total; mass += 0.25)
        assert_int_equal(reini_sum_tree_find(&tree, mass), scan(weight, n, mass));
    reini_sum_tree_release(&tree);
}

static void test_finds_what_a_scan_finds(void **state) {
    static const int64_t sizes[] = {1, 2, 7, 8, 9, 63, 64, 65, 511, 512, 513, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_against_scan(sizes[i]);
}

/* only the weights decide: no drift, whatever happened before */
static void test_a_million_changes_leave_no_error(void **state) {
    enum { N = 5000 };
    reini_sum_tree tree, fresh;
    rein_rng rng = rein_rng_make(2, 0);
    assert_ok(reini_sum_tree_init(&tree, N));
    assert_ok(reini_sum_tree_init(&fresh, N));
    for (int k = 0; k < 1000000; k++) {
        /* sizes over twelve orders of magnitude: corrections by differences would leave the large ones' rounding */
        double weight = pow(10, 12 * rein_rng_uniform64(&rng) - 9);
        reini_sum_tree_set(&tree, rein_rng_below(&rng, N), weight);
    }
    long double sum = 0;
    for (int64_t i = 0; i < N; i++) {
        reini_sum_tree_set(&fresh, i, reini_sum_tree_weight(&tree, i));
        sum += reini_sum_tree_weight(&tree, i);
    }
    assert_int_equal(tree.levels, fresh.levels);
    int64_t nodes = N;
    for (int k = 0; k < tree.levels; k++, nodes = (nodes + 7) / 8)
        assert_memory_equal(tree.level[k], fresh.level[k], (size_t)nodes * sizeof(double));
    assert_true(fabs(reini_sum_tree_total(&tree) - (double)sum) < 1e-14 * (double)sum);
    /* and what a checkpoint does */
    memset(tree.level[1], 0x55, sizeof(double) * ((N + 7) / 8));
    reini_sum_tree_rebuild(&tree);
    assert_memory_equal(tree.level[1], fresh.level[1], sizeof(double) * ((N + 7) / 8));
    assert_true(reini_sum_tree_total(&tree) == reini_sum_tree_total(&fresh));
    reini_sum_tree_release(&tree);
    reini_sum_tree_release(&fresh);
}

static void test_frequencies(void **state) {
    enum { N = 40, DRAWS = 400000 };
    int64_t count[N] = {0};
    reini_sum_tree tree;
    rein_rng rng = rein_rng_make(3, 0);
    assert_ok(reini_sum_tree_init(&tree, N));
    for (int64_t i = 0; i < N; i++)
        reini_sum_tree_set(&tree, i, i % 10 == 3 ? 0 : 0.1 + (double)(i * i));
    double total = reini_sum_tree_total(&tree), chi = 0;
    for (int k = 0; k < DRAWS; k++)
        count[reini_sum_tree_find(&tree, rein_rng_uniform64(&rng) * total)]++;
    for (int64_t i = 0; i < N; i++) {
        double expected = reini_sum_tree_weight(&tree, i) / total * DRAWS;
        if (expected == 0)
            assert_int_equal(count[i], 0);
        else
            chi += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
    }
    print_message("# chi-square %.1f\n", chi);
    assert_true(chi < 66.6); /* 35 degrees of freedom: 1 in 1000 */
    reini_sum_tree_release(&tree);
}

/* masses at, beside and (by rounding) beyond the total */
static void test_never_an_impossible_one(void **state) {
    enum { N = 77 };
    reini_sum_tree tree;
    rein_rng rng = rein_rng_make(4, 0);
    for (int round = 0; round < 200; round++) {
        assert_ok(reini_sum_tree_init(&tree, N));
        for (int k = 0; k < 12; k++)
            reini_sum_tree_set(&tree, rein_rng_below(&rng, N), rein_rng_uniform64(&rng) + 1e-9);
        double total = reini_sum_tree_total(&tree);
        const double masses[] = {0, nextafter(total, 0), total, nextafter(total, 2 * total)};
        for (size_t i = 0; i < sizeof masses / sizeof *masses; i++) {
            int64_t found = reini_sum_tree_find(&tree, masses[i]);
            assert_in_range(found, 0, N - 1);
            assert_true(reini_sum_tree_weight(&tree, found) > 0);
        }
        reini_sum_tree_release(&tree);
    }
}

static void test_out_of_memory(void **state) {
    reini_sum_tree tree;
    for (uint64_t nth = 1; nth <= 3; nth++) {
        reini_memory_fail(nth, false);
        assert_fails(reini_sum_tree_init(&tree, 64), REIN_NOMEM, "a sum tree");
        reini_memory_fail(0, false);
    }
}

/* ---- priorities ---------------------------------------------------------------------------------------- */

enum { CAPACITY = 20 };

static void add(reini_per *p, reini_replay *replay, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        replay->added++;
        reini_per_follow(p, replay);
    }
}

static void test_new_ones_come_in_with_the_largest(void **state) {
    reini_replay replay = {.capacity = CAPACITY};
    reini_per p;
    assert_ok(reini_per_init(&p, &replay, 0.5));
    add(&p, &replay, 3);
    for (int64_t i = 0; i < CAPACITY; i++)
        assert_true(reini_sum_tree_weight(&p.tree, i) == (i < 3 ? 1 : 0));
    reini_per_update(&p, 3, (const int32_t[]){2, 0, 1}, (const float[]){-9, 0.25f, 0});
    assert_true(fabs(reini_sum_tree_weight(&p.tree, 2) - 3) < 1e-6);
    assert_true(fabs(reini_sum_tree_weight(&p.tree, 0) - 0.5) < 2e-6);
    assert_true(fabs(reini_sum_tree_weight(&p.tree, 1) - 1e-3) < 1e-9); /* (0 + 1e-6)^0.5: never 0 */
    add(&p, &replay, 1);
    assert_true(reini_sum_tree_weight(&p.tree, 3) == reini_sum_tree_weight(&p.tree, 2));
    /* a smaller error does not lower it */
    reini_per_update(&p, 1, (const int32_t[]){2}, (const float[]){0.01f});
    add(&p, &replay, CAPACITY); /* the ring is round: all are new */
    for (int64_t i = 0; i < CAPACITY; i++)
        assert_true(fabs(reini_sum_tree_weight(&p.tree, i) - 3) < 1e-6);
    reini_per_release(&p);
}

static void test_forgotten_ones_are_not_drawn(void **state) {
    reini_replay replay = {.capacity = CAPACITY};
    reini_per p;
    assert_ok(reini_per_init(&p, &replay, 1));
    add(&p, &replay, CAPACITY + 5); /* the numbers 5 .. 24 are held */
    replay.forgotten = 9;           /* 5 .. 8 lost their observations */
    add(&p, &replay, 2);            /* 7 .. 26 are held; 25 and 26 took the places of 5 and 6 */
    for (int64_t number = 7; number < 27; number++)
        assert_true(reini_sum_tree_weight(&p.tree, number % CAPACITY) == (number < 9 ? 0 : 1));
    assert_true(reini_sum_tree_total(&p.tree) == 18);
    replay.forgotten = 27; /* all */
    add(&p, &replay, 1);
    assert_true(reini_sum_tree_total(&p.tree) == 1);
    reini_per_release(&p);
}

/* P(i) = p_i^alpha / sum, though drawn in strata; weights (N P(i))^-beta over the largest of the batch */
static void test_draws_and_weights(void **state) {
    enum { BATCH = 16, ROUNDS = 30000 };
    reini_replay replay = {.capacity = CAPACITY};
    reini_per p;
    int32_t index[BATCH];
    float weight[BATCH], error[CAPACITY];
    int64_t count[CAPACITY] = {0};
    double share[CAPACITY], total = 0, chi = 0;
    assert_ok(reini_per_init(&p, &replay, 0.7));
    add(&p, &replay, CAPACITY);
    for (int32_t i = 0; i < CAPACITY; i++) {
        error[i] = (float)(i % 2 ? -i : i) * 0.3f;
        reini_per_update(&p, 1, &i, &error[i]);
        share[i] = pow(fabs((double)error[i]) + 1e-6, 0.7);
        total += share[i];
    }
    for (uint64_t round = 0; round < ROUNDS; round++) {
        reini_per_sample(&p, BATCH, 0.4, 11, round, index, weight);
        double raw[BATCH], most = 0, below = 0;
        for (int k = 0; k < BATCH; k++) {
            count[index[k]]++;
            raw[k] = pow(CAPACITY * share[index[k]] / total, -0.4);
            most = fmax(most, raw[k]);
        }
        for (int k = 0; k < BATCH; k++)
            assert_true(fabs(weight[k] - raw[k] / most) < 1e-6);
        /* one draw from each sixteenth of the total: the k-th cannot lie outside its own */
        for (int k = 0, at = 0; k < BATCH; k++) {
            for (; at < index[k]; at++)
                below += share[at];
            assert_true(below < total * (k + 1) / BATCH * (1 + 1e-12));
            assert_true(below + share[index[k]] > total * k / BATCH * (1 - 1e-12));
        }
    }
    for (int i = 0; i < CAPACITY; i++) {
        double expected = share[i] / total * BATCH * ROUNDS;
        chi += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
    }
    print_message("# chi-square %.1f\n", chi);
    assert_true(chi < 43.8); /* 19 degrees of freedom: 1 in 1000; strata vary less than that */
    reini_per_release(&p);
}

static void test_draws_are_a_function_of_their_number(void **state) {
    enum { BATCH = 8 };
    reini_replay replay = {.capacity = CAPACITY};
    reini_per p;
    int32_t a[BATCH], b[BATCH], c[BATCH];
    float weight[BATCH];
    assert_ok(reini_per_init(&p, &replay, 0.7));
    add(&p, &replay, CAPACITY);
    reini_per_sample(&p, BATCH, 1, 5, 3, a, weight);
    reini_per_sample(&p, BATCH, 1, 5, 4, b, weight);
    reini_per_sample(&p, BATCH, 1, 5, 3, c, weight);
    assert_memory_equal(a, c, sizeof a);
    assert_true(memcmp(a, b, sizeof a) != 0);
    reini_per_release(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_a_scan_finds),
        cmocka_unit_test(test_a_million_changes_leave_no_error),
        cmocka_unit_test(test_frequencies),
        cmocka_unit_test(test_never_an_impossible_one),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_new_ones_come_in_with_the_largest),
        cmocka_unit_test(test_forgotten_ones_are_not_drawn),
        cmocka_unit_test(test_draws_and_weights),
        cmocka_unit_test(test_draws_are_a_function_of_their_number),
    };
    return cmocka_run_group_tests_name("sum tree", tests, NULL, NULL);
}
