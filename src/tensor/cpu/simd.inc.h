/*
 * simd.inc.h - the kernels of one instruction-set level, over the wide floats of wide.h.
 *
 * Included by simd_portable.c, simd_avx2.c and simd_avx512.c with
 *     WIDE_LEVEL  0, 1, 2
 *     LEVEL       portable, avx2, avx512
 * Ops without an entry here run on the reference kernels.
 */
#include "base/base.h"
#include "tensor/kernels.h"
#include "wide_math.h"

#define PASTE2(a, b) a##b
#define PASTE(a, b)  PASTE2(a, b)
#define TEXT2(a)     #a
#define TEXT(a)      TEXT2(a)

WIDE_INLINE int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Row r of operand i, and of the result. */
WIDE_INLINE const float *row(const reini_call *call, int i, int64_t r) {
    return (const float *)call->in[i].at + r * call->in[i].stride;
}

WIDE_INLINE float *row_out(const reini_call *call, int64_t r) {
    return (float *)call->out.at + r * call->out.stride;
}

#include "simd_map.inc.h"
#include "simd_row.inc.h"
#include "simd_copy.inc.h"
#include "simd_gemm.inc.h"
#include "simd_dense.inc.h"
#include "simd_gru.inc.h"
#include "simd_conv.inc.h"
#include "simd_random.inc.h"
#include "vector_ops.inc.h"

/* clang-format off */
#define ENTRY(name) [REINI_##name] = simd_##name
const reini_kernels PASTE(reini_kernels_, LEVEL) = {
    TEXT(LEVEL),
    {
        ENTRY(ADD), ENTRY(SUB), ENTRY(MUL), ENTRY(DIV), ENTRY(MIN), ENTRY(MAX), ENTRY(LESS), ENTRY(WHERE),
        ENTRY(CLAMP), ENTRY(AFFINE), ENTRY(EXP), ENTRY(LOG), ENTRY(TANH), ENTRY(SIGMOID), ENTRY(SOFTPLUS),
        ENTRY(RELU), ENTRY(SILU), ENTRY(GELU), ENTRY(SQUARE), ENTRY(SQRT), ENTRY(ABS), ENTRY(TO_REAL),
        ENTRY(EXPAND), ENTRY(TANH_GRAD), ENTRY(SIGMOID_GRAD), ENTRY(RELU_GRAD), ENTRY(SILU_GRAD),
        ENTRY(GELU_GRAD), ENTRY(ABS_GRAD), ENTRY(GATE_LE), ENTRY(GATE_GE), ENTRY(GATE_LT), ENTRY(GATE_GT),
        ENTRY(GATE_IN), ENTRY(STANDARDIZE), ENTRY(STANDARDIZE_GRAD),
        ENTRY(DENSE), ENTRY(DENSE_DX), ENTRY(DENSE_DX_ACT), ENTRY(DENSE_DW), ENTRY(TRANSPOSE),
        ENTRY(IMAGE), ENTRY(PAD), ENTRY(CROP), ENTRY(CONV), ENTRY(CONV_DX), ENTRY(CONV_DW), ENTRY(SUM_PLACES),
        ENTRY(MAX_POOL), ENTRY(MAX_POOL_GRAD), ENTRY(GRU), ENTRY(GRU_GRAD), ENTRY(STEPS),
        ENTRY(SUM), ENTRY(LOG_SOFTMAX), ENTRY(LOG_SOFTMAX_GRAD), ENTRY(SOFTMAX), ENTRY(SOFTMAX_GRAD),
        ENTRY(ENTROPY), ENTRY(ENTROPY_GRAD), ENTRY(RELENT), ENTRY(RELENT_GRAD_A), ENTRY(RELENT_GRAD_B),
        ENTRY(CONCAT), ENTRY(SLICE), ENTRY(UNSLICE), ENTRY(GATHER),
        ENTRY(TOTAL), ENTRY(SUM_ROWS), ENTRY(RANDOM_NORMAL), ENTRY(RANDOM_UNIFORM), ENTRY(SAMPLE_INDEX),
    },
};
/* clang-format on */
