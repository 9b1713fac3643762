/* amx_finish.inc.h - from sums in scratch to a layer's outputs; part of simd_amx.c. */

/* rows x columns of `out` made from c, whose rows are PANEL numbers apart */
typedef struct finish_block {
    float *out;
    int64_t out_row;
    const float *c;
    const float *y; /* slopes: where the activation's values lie */
    int64_t y_row, rows, columns;
} finish_block;

/* tanh to 3e-6; amx_tanh.h. Adding 1.5 2^23 leaves the nearest whole number in the low bits. */
WIDE_INLINE wf quick_tanh(wf x) {
    wf a = wf_min(wf_set1(AMX_TANH_LIMIT), wf_abs(x));
    wi segment = wf_bits(wf_fma(a, wf_set1(AMX_TANH_SCALE), wf_set1(12582912.0f)));
    wf y = wf_lookup(amx_tanh_table[3], segment);
    y = wf_fma(y, a, wf_lookup(amx_tanh_table[2], segment));
    y = wf_fma(y, a, wf_lookup(amx_tanh_table[1], segment));
    y = wf_fma(y, a, wf_lookup(amx_tanh_table[0], segment));
    return wf_copysign(y, x);
}

/* (1 + tanh u) / 2 = sigmoid(2 u), exact in the tail where 1 + tanh u cancels */
WIDE_INLINE wf gelu(wf x) {
    wf cube = wf_mul(wf_mul(x, x), wf_set1(0.044715f));
    return wf_mul(x, wf_sigmoid(wf_mul(wf_fma(cube, x, x), wf_set1(1.5957691216f))));
}

#define NO_Y(load)   wf_zero()
#define WITH_Y(load) load

/* value: of the sum x, and of the activation's value y */
#define FINISH(name, take_y, value)                                                                          \
    static void finish_##name(const finish_block *b) {                                                       \
        float *out = b->out;                                                                                 \
        const float *c = b->c, *ys = b->y;                                                                   \
        int64_t rows = b->rows, columns = b->columns, out_row = b->out_row, y_row = b->y_row;                \
        if (columns == PANEL) {                                                                              \
            _Pragma("GCC unroll 2") for (; rows > 0; rows--, c += PANEL, out += out_row, ys += y_row) {      \
                wf x = wf_load(c), y = take_y(wf_load(ys));                                                  \
                wf x1 = wf_load(c + 16), y1 = take_y(wf_load(ys + 16));                                      \
                wf_store(out, value);                                                                        \
                x = x1, y = y1;                                                                              \
                wf_store(out + 16, value);                                                                   \
                (void)y;                                                                                     \
            }                                                                                                \
            return;                                                                                          \
        }                                                                                                    \
        for (; rows > 0; rows--, c += PANEL, out += out_row, ys += y_row) {                                  \
            for (int64_t j = 0; j < columns; j += 16) {                                                      \
                int64_t n = columns - j < 16 ? columns - j : 16;                                             \
                wf x = wf_load(c + j), y = take_y(wf_load_n(ys + j, n));                                     \
                wf_store_n(out + j, value, n);                                                               \
                (void)y;                                                                                     \
            }                                                                                                \
        }                                                                                                    \
    }

FINISH(identity, NO_Y, x)
FINISH(tanh, NO_Y, quick_tanh(x))
FINISH(relu, NO_Y, wf_relu(x))
FINISH(silu, NO_Y, wf_mul(x, wf_sigmoid(x)))
FINISH(gelu, NO_Y, gelu(x))
FINISH(sigmoid, NO_Y, wf_sigmoid(x))
FINISH(tanh_slope, WITH_Y, wf_mul(x, wf_fnma(y, y, wf_set1(1.0f))))
FINISH(relu_slope, WITH_Y, wf_select(wf_lt(wf_zero(), y), x, wf_zero()))
FINISH(sigmoid_slope, WITH_Y, wf_mul(wf_mul(x, y), wf_sub(wf_set1(1.0f), y)))

typedef void finish_fn(const finish_block *b);
static finish_fn *const activations[] = {
    [REIN_ACT_IDENTITY] = finish_identity, [REIN_ACT_TANH] = finish_tanh, [REIN_ACT_RELU] = finish_relu,
    [REIN_ACT_SILU] = finish_silu,         [REIN_ACT_GELU] = finish_gelu, [REIN_ACT_SIGMOID] = finish_sigmoid,
};
static finish_fn *const slopes[] = {
    [REIN_ACT_IDENTITY] = finish_identity,
    [REIN_ACT_TANH] = finish_tanh_slope,
    [REIN_ACT_RELU] = finish_relu_slope,
    [REIN_ACT_SIGMOID] = finish_sigmoid_slope,
};
