/*
 * linear.h - dense systems of linear equations in double precision.
 *
 *     reini_lu_factor(a, n, pivot, pool);     a (n x n) becomes L and U
 *     reini_lu_solve(a, n, pivot, x);         x (n): right side in, solution out
 */
#ifndef REINI_LINEAR_H
#define REINI_LINEAR_H

#include <stdbool.h>
#include <stdint.h>
#include <rein/tensor.h>

/* P A = L U in place, row-major, partial pivoting: row k was exchanged with row pivot[k] >= k. The bits do
 * not depend on the pool (NULL = the caller alone). False when a pivot is 0 or not finite: the matrix is
 * singular. */
bool reini_lu_factor(double *a, int32_t n, int32_t *pivot, rein_pool *pool);
void reini_lu_solve(const double *a, int32_t n, const int32_t *pivot, double *x);

#endif
