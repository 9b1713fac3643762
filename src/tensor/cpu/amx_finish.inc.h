/* amx_finish.inc.h - from sums in scratch to a layer's outputs; part of simd_amx.c. */

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

/* rows x columns of c, PANEL numbers between its rows, through an activation */
#define FINISH(name, value)                                                                                  \
    static void finish_##name(float *out, int64_t out_row, const float *c, int64_t rows, int64_t columns) {  \
        if (columns == PANEL) {                                                                              \
            _Pragma("GCC unroll 2") for (; rows > 0; rows--, c += PANEL, out += out_row) {                   \
                wf x = wf_load(c);                                                                           \
                wf_store(out, value);                                                                        \
                x = wf_load(c + 16);                                                                         \
                wf_store(out + 16, value);                                                                   \
            }                                                                                                \
            return;                                                                                          \
        }                                                                                                    \
        for (; rows > 0; rows--, c += PANEL, out += out_row) {                                               \
            for (int64_t j = 0; j < columns; j += 16) {                                                      \
                wf x = wf_load(c + j);                                                                       \
                if (j + 16 <= columns)                                                                       \
                    wf_store(out + j, value);                                                                \
                else                                                                                         \
                    wf_store_n(out + j, value, columns - j);                                                 \
            }                                                                                                \
        }                                                                                                    \
    }

FINISH(identity, x)
FINISH(tanh, quick_tanh(x))
FINISH(relu, wf_relu(x))
FINISH(silu, wf_mul(x, wf_sigmoid(x)))
FINISH(gelu, gelu(x))
FINISH(sigmoid, wf_sigmoid(x))

static void (*const finish[])(float *, int64_t, const float *, int64_t, int64_t) = {
    [REIN_ACT_IDENTITY] = finish_identity, [REIN_ACT_TANH] = finish_tanh, [REIN_ACT_RELU] = finish_relu,
    [REIN_ACT_SILU] = finish_silu,         [REIN_ACT_GELU] = finish_gelu, [REIN_ACT_SIGMOID] = finish_sigmoid,
};
