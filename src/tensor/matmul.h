/*
 * matmul.h - products of large matrices, one at a time, with all workers of a pool on each.
 *
 * tensor.h's DENSE runs tiles of rows through whole networks whose weights fit a cache. A language model's weights do
 * not, so here a product is cut into blocks of its result, each computed by one worker from operands packed into that
 * worker's scratch memory.
 *
 * Promises. An element of `forward` and `input` is summed over the depth in one fixed order, whatever the number of
 * rows, workers and blocks: in REIN_F32 its bits depend on nothing but its row of x and the weight. Bits of `weight`
 * depend on the rows, taken in order, not on the workers. In REIN_BF16 operands are rounded to bf16 (to nearest, ties to
 * even) and sums are float; few rows may be summed in another order than many.
 */
#ifndef REINI_MATMUL_H
#define REINI_MATMUL_H

#include <rein/tensor.h>
#include "base/base.h"

/* A matrix lying row after row. dtype: REIN_F32 or REIN_BF16 (uint16_t, the upper half of a float). */
typedef struct reini_matrix {
    const void *at;
    rein_dtype dtype;
    int64_t rows, columns;
    int64_t stride; /* elements between rows, at least columns */
} reini_matrix;

typedef struct reini_matmul reini_matmul; /* scratch memory and the pool */

/* products: REIN_F32, or REIN_BF16: by tile registers (AMX) or vector instructions where the machine has them, else by
 * widening to float, so that bf16 works everywhere. pool NULL = the calling thread; it must outlive the result. */
rein_status reini_matmul_new(rein_pool *pool, rein_dtype products, reini_matmul **out);
void reini_matmul_free(reini_matmul *mm);
/* Bytes of the scratch memory that reini_matmul_new takes for so many workers. */
int64_t reini_matmul_bytes(rein_dtype products, int workers);

/* y (m x n) = x (m x k) w^T + bias, w (n x k), bias (n floats) or NULL; add: to what y holds (y REIN_F32 then).
 * y's `at` is written. Any mix of operand types; y may be REIN_F32 or REIN_BF16. */
void reini_matmul_forward(reini_matmul *mm, reini_matrix y, reini_matrix x, reini_matrix w, const float *bias,
                          bool add);
/* dx (m x k) = scale dy (m x n) w; add as above. */
void reini_matmul_input(reini_matmul *mm, reini_matrix dx, reini_matrix dy, reini_matrix w, float scale,
                        bool add);
/* dw (n x k, floats) = scale dy^T x, for dy (m x n), x (m x k), m > 0; add: to what dw holds. db (n floats) += the sums of
 * scale dy's columns, unless NULL. */
void reini_matmul_weight(reini_matmul *mm, reini_matrix dw, float *db, reini_matrix dy, reini_matrix x,
                         float scale, bool add);

/* n floats to bf16 (to nearest, ties to even; a NaN stays one) and back, shared by the pool's workers. */
void reini_narrow(rein_pool *pool, uint16_t *to, const float *from, int64_t n);
void reini_widen(rein_pool *pool, float *to, const uint16_t *from, int64_t n);

#endif
