/*
 * lm_convert.h - numbers of files (F32, BF16, F16) as floats, and matrices turned over.
 */
#ifndef REINI_LM_CONVERT_H
#define REINI_LM_CONVERT_H

#include "base/base.h"

/* Is the dtype of a file one that can be read? Its bytes, 0 when not. */
size_t reini_lm_element(const char *dtype);
static inline bool reini_lm_converts(const char *dtype) {
    return reini_lm_element(dtype) != 0;
}
/* n numbers, which need not be aligned. */
void reini_lm_to_float(float *to, const char *dtype, const void *from, int64_t n);
/* to [columns x rows] = from [rows x columns] turned over; stride: elements between rows of from. */
void reini_lm_transpose(float *to, const float *from, int64_t rows, int64_t columns, int64_t stride);
/* The same with rows of `to` further apart: to_stride elements. */
void reini_lm_transpose_into(float *to, int64_t to_stride, const float *from, int64_t rows, int64_t columns,
                             int64_t stride);

#endif
