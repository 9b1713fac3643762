/* ref_map.inc.h - elementwise ops; part of ref.inc.h. Not-a-number passes through all but comparisons. */

static inline REAL sigmoid(REAL x) {
    return 1 / (1 + LIBM(exp)(-x));
}

static inline REAL clamp(REAL x, REAL low, REAL high) {
    REAL least = low > x ? low : x;
    return high < least ? high : least;
}

static inline REAL gelu_inner(REAL x) {
    return LIBM(tanh)((REAL)0.7978845608028654 * (x + (REAL)0.044715 * x * x * x));
}

static inline REAL gelu(REAL x) {
    return (REAL)0.5 * x * (1 + gelu_inner(x));
}

static inline REAL gelu_slope(REAL x) {
    REAL t = gelu_inner(x);
    REAL inner_slope = (REAL)0.7978845608028654 * (1 + 3 * (REAL)0.044715 * x * x);
    return (REAL)0.5 * (1 + t) + (REAL)0.5 * x * (1 - t * t) * inner_slope;
}

static inline REAL silu_slope(REAL x) {
    REAL s = sigmoid(x);
    return s * (1 + x * (1 - s));
}

static inline REAL sign_or_zero(REAL x) {
    return x > 0 ? 1 : x < 0 ? -1 : 0;
}

/* One kernel from an expression of the operands' elements a, b, c, d and the attributes p. */
#define MAP_LOOP(name, ...)                                                                                  \
    static void ref_##name(const reini_call *call) {                                                         \
        const double *p = call->p;                                                                           \
        (void)p;                                                                                             \
        for (int64_t r = 0; r < call->rows; r++) {                                                           \
            for (int64_t j = 0; j < call->out.width; j++) {                                                  \
                __VA_ARGS__                                                                                  \
            }                                                                                                \
        }                                                                                                    \
    }
#define ELEMENT(i)        element(call, i, r, j)
#define MAP1(name, value) MAP_LOOP(name, REAL a = ELEMENT(0); row_out(call, r)[j] = (value);)
#define MAP2(name, value) MAP_LOOP(name, REAL a = ELEMENT(0), b = ELEMENT(1); row_out(call, r)[j] = (value);)
#define MAP3(name, value)                                                                                    \
    MAP_LOOP(name, REAL a = ELEMENT(0), b = ELEMENT(1), c = ELEMENT(2); row_out(call, r)[j] = (value);)
#define MAP4(name, value)                                                                                    \
    MAP_LOOP(name, REAL a = ELEMENT(0), b = ELEMENT(1), c = ELEMENT(2), d = ELEMENT(3);                      \
             row_out(call, r)[j] = (value);)

/* clang-format off */
MAP2(ADD, a + b)
MAP2(SUB, a - b)
MAP2(MUL, a * b)
MAP2(DIV, a / b)
MAP2(MIN, a <= b ? a : b)
MAP2(MAX, a >= b ? a : b)
MAP2(LESS, a < b ? 1 : 0)
MAP3(CLAMP, clamp(a, b, c))
MAP1(AFFINE, (REAL)p[0] * a + (REAL)p[1])
MAP1(EXP, LIBM(exp)(a))
MAP1(LOG, LIBM(log)(a))
MAP1(TANH, LIBM(tanh)(a))
MAP1(SIGMOID, sigmoid(a))
MAP1(SOFTPLUS, (0 > a ? 0 : a) + LIBM(log1p)(LIBM(exp)(-LIBM(fabs)(a))))
MAP1(RELU, 0 > a ? 0 : a)
MAP1(SILU, a * sigmoid(a))
MAP1(GELU, gelu(a))
MAP1(SQUARE, a * a)
MAP1(SQRT, LIBM(sqrt)(a))
MAP1(ABS, LIBM(fabs)(a))
MAP1(EXPAND, a)
MAP2(TANH_GRAD, a * (1 - b * b))
MAP2(SIGMOID_GRAD, a * b * (1 - b))
MAP2(RELU_GRAD, b > 0 ? a : 0)
MAP2(SILU_GRAD, a * silu_slope(b))
MAP2(GELU_GRAD, a * gelu_slope(b))
MAP2(ABS_GRAD, a * sign_or_zero(b))
MAP3(GATE_LE, b <= c ? a : 0)
MAP3(GATE_GE, b >= c ? a : 0)
MAP3(GATE_LT, b < c ? a : 0)
MAP3(GATE_GT, b > c ? a : 0)
MAP4(GATE_IN, c <= b && b <= d ? a : 0)
MAP3(STANDARDIZE, clamp((a - b) * c, (REAL)-p[0], (REAL)p[0]))
MAP4(STANDARDIZE_GRAD, LIBM(fabs)((b - c) * d) <= (REAL)p[0] ? a * d : 0)
/* clang-format on */

/* Element j of row r of an operand of the given rein_dtype. */
static inline REAL element_of(const reini_call *call, int dtype, int i, int64_t r, int64_t j) {
    const reini_operand *x = &call->in[i];
    int64_t at = r * x->stride + (x->width == 1 ? 0 : j);
    if (dtype == REIN_U8)
        return (REAL)((const uint8_t *)x->at)[at];
    if (dtype == REIN_I32)
        return (REAL)((const int32_t *)x->at)[at];
    return ((const REAL *)x->at)[at];
}

MAP_LOOP(WHERE, row_out(call, r)[j] = element_of(call, call->k[0], 0, r, j) != 0 ? ELEMENT(1) : ELEMENT(2);)
MAP_LOOP(TO_REAL, row_out(call, r)[j] = (REAL)p[0] * element_of(call, call->k[0], 0, r, j);)
