/*
 * matmul_kernels.h - the contract between matmul.c, which cuts products into blocks, and the kernels of one
 * instruction-set level, which pack operands and multiply them.
 *
 * Every product is sums over a depth of lines of a times lines of b,
 *
 *     c[i, j] = sum over d of a[i, d] b[j, d],
 *
 * taken in the order of d, whatever the blocks. Kernels do not allocate or fail.
 */
#ifndef REINI_MATMUL_KERNELS_H
#define REINI_MATMUL_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An operand, lines by depth. Number (i, d) lies at i stride + d, or with `across` at d stride + i. */
typedef struct reini_lines {
    const void *at;
    bool half;    /* bf16, else float */
    bool rounded; /* floats are rounded to bf16 as they are read */
    bool across;
    int64_t stride, lines, depth;
} reini_lines;

/* Where sums c go: to = scale c + bias + (with `add`) what was there. */
typedef struct reini_sums {
    void *to;
    bool half, add;
    bool
        passing; /* too large for a cache: written around it where a machine can, in order before the kernel returns */
    int64_t stride;
    float scale;
    const float *bias; /* for column 0 of the part, or NULL */
} reini_sums;

/* Packed operands are strips of `high` lines of a and panels of `wide` lines of b, the missing ones zeros, and their
 * depth is a multiple of `deep`, filled up with zeros. A block of c counts whole strips and panels. */
typedef struct reini_matmul_kernels {
    int64_t high, wide, deep;
    int64_t rows, columns, depth; /* of the largest block: multiples of high, wide and deep */
    int64_t part_depth;           /* of a block whose depth is several parts; at most `depth` */
    int64_t whole_columns;        /* of a block whose depth is one part; at least `columns` */
    bool share;                   /* lines of a that several blocks want are packed once, before */
    size_t size;                  /* bytes of a packed number */
    int64_t few;                  /* so many rows `thin` serves */
    void (*pack_a)(void *to, const reini_lines *a);
    void (*pack_b)(void *to, const reini_lines *b);
    /* c (rows x columns) = sums over this depth, or with `more` += */
    void (*multiply)(float *c, int64_t c_row, const void *a, const void *b, int64_t rows, int64_t columns,
                     int64_t depth, bool more);
    /* rows x columns of c */
    void (*finish)(const reini_sums *sums, const float *c, int64_t c_row, int64_t rows, int64_t columns);
    /* The whole product for few lines of a, which `thin_pack` has made ready, from b as it lies in memory. thin_room: bytes
     * that a needs then; 0: operands like these are not served. */
    size_t (*thin_room)(const reini_lines *a, const reini_lines *b);
    void (*thin_pack)(void *to, const reini_lines *a);
    void (*thin)(const reini_sums *sums, const void *a, int64_t rows, const reini_lines *b);
    /* to[j] += scale times the sum of x's numbers (j, .) over the depth; x lies across */
    void (*sum_depth)(float *to, const reini_lines *x, float scale);
    void (*narrow)(uint16_t *to, const float *from, int64_t n);
    void (*widen)(float *to, const uint16_t *from, int64_t n);
} reini_matmul_kernels;

extern const reini_matmul_kernels reini_matmul_portable;                  /* always built */
extern const reini_matmul_kernels reini_matmul_avx2, reini_matmul_avx512; /* x86-64 builds */
extern const reini_matmul_kernels reini_matmul_amx; /* products of bf16; where reini_bf16_available */

/* The best for this machine under REIN_CPU=. */
const reini_matmul_kernels *reini_matmul_best(bool bf16);

#endif
