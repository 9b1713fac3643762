/*
 * linear.c - LU factorisation with partial pivoting, by blocks of columns.
 *
 * G. H. Golub, C. F. Van Loan: Matrix Computations, section 3.4 (right-looking, blocked). For each block of
 * COLUMNS columns: factor the panel below the diagonal, bring the block's rows of U up to date, subtract L x
 * U from the rest. The last is nearly all of the work; it runs over pairs of rows and strips of columns that
 * stay in registers, rows shared out over the pool. Each entry subtracts its products in ascending order
 * whoever computes it.
 */
#include "base/linear.h"

#include <math.h>
#include <string.h>
#include "base/base.h"
#include "base/levels.h"

enum { COLUMNS = 48, STRIP = 32, ROWS = 16 };

typedef struct trailing {
    double *a;
    size_t n;
    size_t from, to; /* the block's columns */
} trailing;

/* ---- the rest of the matrix ---------------------------------------------------------------------------- */

/* x[0..width) -= sum over k of l[k] u[k], the rows of u being n apart; width <= STRIP */
REINI_INLINE void subtract_strip(double *x, const double *l, const double *u, size_t n, size_t depth,
                                 size_t width) {
    double sum[STRIP];
    memcpy(sum, x, width * sizeof *x);
    for (size_t k = 0; k < depth; k++)
        for (size_t j = 0; j < width; j++)
            sum[j] -= l[k] * u[k * n + j];
    memcpy(x, sum, width * sizeof *x);
}

REINI_INLINE void subtract_rows_body(const trailing *t, size_t first, size_t last) {
    size_t n = t->n, depth = t->to - t->from, full = (n - t->to) / STRIP * STRIP + t->to;
    const double *u = t->a + t->from * n;
    for (size_t j = t->to; j < full; j += STRIP)
        for (size_t i = first; i < last; i++)
            subtract_strip(t->a + i * n + j, t->a + i * n + t->from, u + j, n, depth, STRIP);
    for (size_t i = first; i < last && full < n; i++)
        subtract_strip(t->a + i * n + full, t->a + i * n + t->from, u + full, n, depth, n - full);
}
REINI_FOR_LEVELS(subtract_rows, (const trailing *t, size_t first, size_t last), (t, first, last))

static void subtract_task(void *user, int task, int worker) {
    const trailing *t = user;
    size_t first = t->to + (size_t)task * ROWS, last = first + ROWS < t->n ? first + ROWS : t->n;
    (void)worker;
    subtract_rows(t, first, last);
}

/* ---- a block of columns -------------------------------------------------------------------------------- */

static void exchange(double *a, size_t n, size_t i, size_t j) {
    for (size_t k = 0; i != j && k < n; k++) {
        double kept = a[i * n + k];
        a[i * n + k] = a[j * n + k];
        a[j * n + k] = kept;
    }
}

static size_t largest_below(const double *a, size_t n, size_t k) {
    size_t best = k;
    for (size_t i = k + 1; i < n; i++)
        if (fabs(a[i * n + k]) > fabs(a[best * n + k]))
            best = i;
    return best;
}

/* columns from..to, all rows below the diagonal */
static bool factor_panel(const trailing *t, int32_t *pivot) {
    double *a = t->a;
    size_t n = t->n;
    for (size_t k = t->from; k < t->to; k++) {
        size_t best = largest_below(a, n, k);
        double top = a[best * n + k];
        if (top == 0 || !isfinite(top))
            return false;
        pivot[k] = (int32_t)best;
        exchange(a, n, k, best);
        for (size_t i = k + 1; i < n; i++) {
            double l = a[i * n + k] /= top;
            for (size_t j = k + 1; l != 0 && j < t->to; j++)
                a[i * n + j] -= l * a[k * n + j];
        }
    }
    return true;
}

/* the block's rows right of it: U = L^-1 A */
static void update_upper(const trailing *t) {
    for (size_t i = t->from; i < t->to; i++)
        for (size_t k = t->from; k < i; k++) {
            double l = t->a[i * t->n + k];
            const double *u = t->a + k * t->n;
            double *x = t->a + i * t->n;
            for (size_t j = t->to; l != 0 && j < t->n; j++)
                x[j] -= l * u[j];
        }
}

bool reini_lu_factor(double *a, int32_t n, int32_t *pivot, rein_pool *pool) {
    trailing t = {.a = a, .n = (size_t)n};
    for (t.from = 0; t.from < t.n; t.from = t.to) {
        t.to = t.from + COLUMNS < t.n ? t.from + COLUMNS : t.n;
        if (!factor_panel(&t, pivot))
            return false;
        update_upper(&t);
        rein_pool_run(pool, (int)((t.n - t.to + ROWS - 1) / ROWS), subtract_task, &t);
    }
    return true;
}

void reini_lu_solve(const double *a, int32_t n, const int32_t *pivot, double *x) {
    size_t size = (size_t)n;
    for (size_t k = 0; k < size; k++) {
        double kept = x[k];
        x[k] = x[pivot[k]];
        x[pivot[k]] = kept;
    }
    for (size_t i = 0; i < size; i++)
        for (size_t k = 0; k < i; k++)
            x[i] -= a[i * size + k] * x[k];
    for (size_t i = size; i-- > 0;) {
        for (size_t k = i + 1; k < size; k++)
            x[i] -= a[i * size + k] * x[k];
        x[i] /= a[i * size + i];
    }
}
