/*
 * test_packing.c - best-fit-decreasing rows against the plain definition, and batches of documents.
 */
#include <stdlib.h>
#include <rein/rng.h>
#include "lm/packing.h"
#include "support/check.h"

/* ---- the definition: try every row ----------------------------------------------------------------------- */

typedef struct plain {
    int64_t rows;
    int left[512];
    int64_t *bin;
} plain;

static plain pack_plainly(const int32_t *length, int64_t n, int room) {
    plain p = {.bin = calloc((size_t)n, sizeof(int64_t))};
    for (int size = room; size >= 1; size--)
        for (int64_t i = 0; i < n; i++) {
            if (length[i] != size)
                continue;
            int64_t best = -1;
            for (int64_t r = 0; r < p.rows; r++)
                if (p.left[r] >= size && (best < 0 || p.left[r] < p.left[best]))
                    best = r;
            if (best < 0) {
                best = p.rows++;
                p.left[best] = room;
            }
            p.left[best] -= size;
            p.bin[i] = best;
        }
    return p;
}

static int by_number(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

/* the same numbers of rows with the same room left, whichever of equal rows was taken */
static void check_rows(const int32_t *length, int64_t n, int room, const reini_rows *rows) {
    plain p = pack_plainly(length, n, room);
    int left[512];
    char *seen = calloc((size_t)n, 1);
    assert_int_equal(rows->n, p.rows);
    assert_int_equal(rows->first[0], 0);
    assert_int_equal(rows->first[rows->n], n);
    for (int64_t r = 0; r < rows->n; r++) {
        left[r] = room;
        assert_true(rows->first[r] < rows->first[r + 1]);
        for (int64_t k = rows->first[r]; k < rows->first[r + 1]; k++) {
            left[r] -= length[rows->document[k]];
            assert_false(seen[rows->document[k]]);
            seen[rows->document[k]] = 1;
            assert_true(k == rows->first[r] || rows->document[k] > rows->document[k - 1]);
        }
        assert_true(left[r] >= 0);
    }
    qsort(left, (size_t)rows->n, sizeof *left, by_number);
    qsort(p.left, (size_t)p.rows, sizeof *p.left, by_number);
    assert_memory_equal(left, p.left, (size_t)rows->n * sizeof *left);
    free(seen);
    free(p.bin);
}

static void test_best_fit_decreasing(void **state) {
    (void)state;
    int32_t length[400];
    for (uint64_t trial = 0; trial < 60; trial++) {
        rein_rng rng = rein_rng_make(trial, 7);
        int64_t n = 1 + rein_rng_below(&rng, 400);
        int room = 1 + (int)rein_rng_below(&rng, trial % 2 ? 20 : 300);
        for (int64_t i = 0; i < n; i++)
            length[i] = 1 + (int32_t)rein_rng_below(&rng, (uint32_t)room);
        reini_rows rows;
        assert_ok(reini_rows_pack(length, n, room, &rows));
        check_rows(length, n, room, &rows);
        reini_rows_release(&rows);
    }
}

static void test_known_rows(void **state) {
    (void)state;
    /* 8 | 7 3 | 6 4 in rows of 10; then 2 fits best into the row of 8 */
    const int32_t length[] = {3, 8, 4, 7, 6, 2};
    reini_rows rows;
    assert_ok(reini_rows_pack(length, 6, 10, &rows));
    assert_int_equal(rows.n, 3);
    const int64_t documents[] = {1, 5, 0, 3, 2, 4};
    assert_memory_equal(rows.document, documents, sizeof documents);
    int64_t tokens, most;
    assert_ok(reini_rows_room(&rows, length, 2, &tokens, &most));
    assert_int_equal(tokens, 20);
    assert_int_equal(most, 4);
    assert_ok(reini_rows_room(&rows, length, 9, &tokens, &most));
    assert_int_equal(tokens, 30);
    assert_int_equal(most, 6);
    reini_rows_release(&rows);
}

static void test_plain_rows(void **state) {
    (void)state;
    const int32_t length[] = {5, 1, 9};
    reini_rows rows;
    assert_ok(reini_rows_plain(3, &rows));
    assert_int_equal(rows.n, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rows.document[rows.first[i]], i);
    int64_t tokens, most;
    assert_ok(reini_rows_room(&rows, length, 2, &tokens, &most));
    assert_int_equal(tokens, 14);
    assert_int_equal(most, 2);
    reini_rows_release(&rows);
}

static void test_batch(void **state) {
    (void)state;
    reini_packed *p;
    assert_ok(reini_packed_new(8, 3, &p));
    reini_packed_add(p, (int32_t[]){4, 5, 6}, (uint8_t[]){1, 0, 1}, 3);
    reini_packed_add(p, (int32_t[]){7}, (uint8_t[]){1}, 1);
    reini_packed_add(p, (int32_t[]){8, 9, 1, 2}, (uint8_t[]){0, 1, 1, 0}, 4);
    assert_int_equal(p->tokens, 8);
    assert_int_equal(p->documents, 3);
    assert_int_equal(p->scored, 3);
    assert_memory_equal(p->token, ((int32_t[]){4, 5, 6, 7, 8, 9, 1, 2}), 8 * sizeof(int32_t));
    assert_memory_equal(p->start, ((int32_t[]){0, 3, 4, 8}), 4 * sizeof(int32_t));
    /* a document's first token is never scored: nothing comes before it */
    assert_memory_equal(p->row, ((int32_t[]){1, 4, 5}), 3 * sizeof(int32_t));
    assert_memory_equal(p->target, ((int32_t[]){6, 9, 1}), 3 * sizeof(int32_t));
    assert_memory_equal(p->first, ((int32_t[]){0, 1, 1, 3}), 4 * sizeof(int32_t));
    reini_packed_clear(p);
    reini_packed_add(p, (int32_t[]){3, 3}, (uint8_t[]){1, 1}, 2);
    assert_int_equal(p->tokens, 2);
    assert_int_equal(p->first[1], 1);
    reini_packed_free(p);
}

static void test_no_memory(void **state) {
    (void)state;
    const int32_t length[] = {3, 8, 4};
    rein_status status = REIN_NOMEM;
    for (uint64_t nth = 1; status == REIN_NOMEM; nth++) {
        reini_rows rows;
        reini_memory_fail(nth, false);
        status = reini_rows_pack(length, 3, 10, &rows);
        reini_memory_fail(0, false);
        if (status == REIN_OK) {
            assert_true(nth > 7);
            reini_rows_release(&rows);
        }
    }
    assert_int_equal(status, REIN_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_fit_decreasing), cmocka_unit_test(test_known_rows),
        cmocka_unit_test(test_plain_rows),          cmocka_unit_test(test_batch),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
