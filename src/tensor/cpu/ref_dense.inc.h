/* ref_dense.inc.h - dense layers and their gradients; part of ref.inc.h. */

typedef struct dense_shape {
    int64_t in, out, members; /* E = members */
    bool split;               /* x is (rows x E x in) rather than (rows x in) */
    rein_activation act;
    bool has_bias;
} dense_shape;

static inline dense_shape dense_shape_of(const int32_t *k) {
    return (dense_shape){k[0], k[1], k[2], k[3] != 0, (rein_activation)k[4], k[5] != 0};
}

static inline REAL activate(REAL x, rein_activation act) {
    switch (act) {
    case REIN_ACT_TANH:
        return LIBM(tanh)(x);
    case REIN_ACT_RELU:
        return 0 > x ? 0 : x;
    case REIN_ACT_SILU:
        return x * sigmoid(x);
    case REIN_ACT_GELU:
        return gelu(x);
    case REIN_ACT_SIGMOID:
        return sigmoid(x);
    case REIN_ACT_IDENTITY:
        break;
    }
    return x;
}

static void ref_DENSE(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    for (int64_t r = 0; r < call->rows; r++) {
        for (int64_t e = 0; e < s.members; e++) {
            const REAL *x = row(call, 0, r) + (s.split ? e * s.in : 0);                   /* (in) */
            const REAL *w = (const REAL *)call->in[1].at + e * s.in * s.out;              /* (in x out) */
            const REAL *b = s.has_bias ? (const REAL *)call->in[2].at + e * s.out : NULL; /* (out) */
            REAL *y = row_out(call, r) + e * s.out;                                       /* (out) */
            for (int64_t o = 0; o < s.out; o++) {
                REAL sum = b ? b[o] : 0;
                for (int64_t i = 0; i < s.in; i++)
                    sum += x[i] * w[i * s.out + o];
                y[o] = activate(sum, s.act);
            }
        }
    }
}

static void ref_DENSE_DX(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    int64_t next_in = call->k[7] ? s.out : 1, next_out = call->k[7] ? 1 : s.in; /* in the weight */
    for (int64_t r = 0; r < call->rows; r++) {
        for (int64_t e = 0; e < s.members; e++) {
            const REAL *dy = row(call, 0, r) + e * s.out;                     /* (out) */
            const REAL *wt = (const REAL *)call->in[1].at + e * s.in * s.out; /* (out x in) */
            REAL *dx = row_out(call, r) + (s.split ? e * s.in : 0);           /* (in) */
            for (int64_t i = 0; i < s.in; i++) {
                REAL sum = s.split || e == 0 ? 0 : dx[i];
                for (int64_t o = 0; o < s.out; o++)
                    sum += dy[o] * wt[o * next_out + i * next_in];
                dx[i] = sum;
            }
        }
    }
}

static void ref_DENSE_DX_ACT(const reini_call *call) {
    rein_activation act = (rein_activation)call->k[6];
    ref_DENSE_DX(call);
    for (int64_t r = 0; r < call->rows; r++) {
        REAL *dx = row_out(call, r);
        const REAL *y = row(call, 2, r);
        for (int64_t i = 0; i < call->out.width; i++) {
            if (act == REIN_ACT_TANH)
                dx[i] *= 1 - y[i] * y[i];
            else if (act == REIN_ACT_SIGMOID)
                dx[i] *= y[i] * (1 - y[i]);
            else
                dx[i] = y[i] > 0 ? dx[i] : 0;
        }
    }
}

static void ref_DENSE_DW(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    for (int64_t e = 0; e < s.members; e++) {
        REAL *dw = (REAL *)call->out.at + e * s.in * s.out; /* (in x out) */
        for (int64_t i = 0; i < s.in; i++) {
            for (int64_t o = 0; o < s.out; o++) {
                REAL sum = call->accumulate ? dw[i * s.out + o] : 0;
                for (int64_t r = 0; r < call->rows; r++)
                    sum += row(call, 0, r)[(s.split ? e * s.in : 0) + i] * row(call, 1, r)[e * s.out + o];
                dw[i * s.out + o] = sum;
            }
        }
    }
}

/* the upper half of a float's bits, rounded to even; subnormal numbers count as 0 */
static inline uint16_t bf16_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7F800000) == 0)
        bits &= 0x80000000;
    if ((bits & 0x7FFFFFFF) > 0x7F800000) /* not a number */
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static void ref_PACK(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    bool turned = call->k[6] != 0;
    const REAL *w = call->in[0].at; /* (in x out) */
    uint16_t *to = call->out.at;
    int64_t depth = turned ? s.out : s.in, columns = turned ? s.in : s.out;
    for (int64_t j = 0; j < columns; j += 32)
        for (int64_t k = 0; k < depth; k += 32)
            for (int64_t at = 0; at < 2 * 16 * 32; at++) {
                int64_t row = k + at / 32 % 16 * 2 + at % 2, column = j + at / 512 * 16 + at % 32 / 2;
                bool inside = row < depth && column < columns;
                int64_t from = turned ? column * s.out + row : row * s.out + column;
                *to++ = inside ? bf16_of((float)w[from]) : 0;
            }
}

static void ref_TRANSPOSE(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    for (int64_t e = 0; e < s.members; e++) {
        const REAL *w = (const REAL *)call->in[0].at + e * s.in * s.out; /* (in x out) */
        REAL *wt = (REAL *)call->out.at + e * s.in * s.out;              /* (out x in) */
        for (int64_t o = 0; o < s.out; o++)
            for (int64_t i = 0; i < s.in; i++)
                wt[o * s.in + i] = w[i * s.out + o];
    }
}
