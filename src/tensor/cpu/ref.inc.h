/*
 * ref.inc.h - the reference kernels: the specification of every op, in plain C.
 *
 * Included once per real type with
 *     REAL        float or double
 *     LIBM(name)  the function of math.h for that type
 *     TABLE       the table's name
 * Sums are sequential, in the order of the indices.
 */
#include <math.h>
#include <string.h>
#include <rein/rng.h>
#include "base/base.h"
#include "tensor/kernels.h"

/* Row r of operand i, and of the result. */
static inline const REAL *row(const reini_call *call, int i, int64_t r) {
    return (const REAL *)call->in[i].at + r * call->in[i].stride;
}

static inline REAL *row_out(const reini_call *call, int64_t r) {
    return (REAL *)call->out.at + r * call->out.stride;
}

/* Element j of row r, for operands of width 1 their only element. */
static inline REAL element(const reini_call *call, int i, int64_t r, int64_t j) {
    return row(call, i, r)[call->in[i].width == 1 ? 0 : j];
}

static inline int32_t index_at(const reini_call *call, int i, int64_t r) {
    return ((const int32_t *)call->in[i].at)[r * call->in[i].stride];
}

#include "ref_map.inc.h"
#include "ref_row.inc.h"
#include "ref_dense.inc.h"
#include "ref_gru.inc.h"
#include "ref_image.inc.h"
#include "ref_random.inc.h"

const reini_kernels TABLE = {
    "reference",
    {
#define X(name, operands, kind, doc) [REINI_##name] = ref_##name,
        REINI_OPS(X)
#undef X
    },
};
