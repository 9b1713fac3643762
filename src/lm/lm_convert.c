/*
 * lm_convert.c - numbers of files as floats, and matrices turned over.
 */
#include <string.h>
#include "lm/lm_convert.h"
#include "tensor/matmul.h"

enum { PIECE = 4096, BLOCK = 32 };

size_t reini_lm_element(const char *dtype) {
    if (strcmp(dtype, "F32") == 0)
        return 4;
    return strcmp(dtype, "BF16") == 0 || strcmp(dtype, "F16") == 0 ? 2 : 0;
}

/* A half's exponent and mantissa, moved to their places in a float, are the number times 2^-112, exactly, subnormal
 * halves included; infinities and NaNs have the largest exponent in both. */
static float half_to_float(uint16_t half) {
    uint32_t bits = (uint32_t)(half & 0x7fffu) << 13, sign = (uint32_t)(half & 0x8000u) << 16;
    float value;
    if (bits >= 0x0f800000u) {
        bits |= 0x7f800000u;
    } else {
        memcpy(&value, &bits, sizeof value);
        value *= 0x1p112f;
        memcpy(&bits, &value, sizeof bits);
    }
    bits |= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void reini_lm_to_float(float *to, const char *dtype, const void *from, int64_t n) {
    uint16_t piece[PIECE]; /* halves of a file may lie at odd places */
    if (strcmp(dtype, "F32") == 0) {
        memcpy(to, from, (size_t)n * sizeof *to);
        return;
    }
    bool half = strcmp(dtype, "F16") == 0;
    for (int64_t i = 0; i < n; i += PIECE) {
        int64_t count = n - i < PIECE ? n - i : PIECE;
        memcpy(piece, (const uint8_t *)from + i * (int64_t)sizeof *piece, (size_t)count * sizeof *piece);
        if (!half)
            reini_widen(NULL, to + i, piece, count);
        for (int64_t k = 0; half && k < count; k++)
            to[i + k] = half_to_float(piece[k]);
    }
}

void reini_lm_transpose_into(float *to, int64_t to_stride, const float *from, int64_t rows, int64_t columns,
                             int64_t stride) {
    /* blocks whose lines of both matrices stay in the cache */
    for (int64_t r = 0; r < rows; r += BLOCK)
        for (int64_t c = 0; c < columns; c += BLOCK)
            for (int64_t i = c; i < columns && i < c + BLOCK; i++)
                for (int64_t k = r; k < rows && k < r + BLOCK; k++)
                    to[i * to_stride + k] = from[k * stride + i];
}

void reini_lm_transpose(float *to, const float *from, int64_t rows, int64_t columns, int64_t stride) {
    reini_lm_transpose_into(to, rows, from, rows, columns, stride);
}
