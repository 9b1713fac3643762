/*
 * simd_map.inc.h - elementwise ops; part of simd.inc.h.
 *
 * A flat function computes n elements from operands that are contiguous (step 1) or one repeated value (step
 * 0, WF_LANES copies of it). map_run brings every shape to that form: the whole tile at once, row by row, or
 * through small packed blocks.
 */

typedef void flat_fn(float *out, const float *const *in, const int64_t *step, int64_t n,
                     const double *attributes);

#define FLAT(name, operands, value)                                                                          \
    static void flat_##name(float *out, const float *const *in, const int64_t *step, int64_t n,              \
                            const double *attributes) {                                                      \
        wf a = wf_zero(), b = a, c = a, d = a, zero = a, one = wf_set1(1.0f);                                \
        wf p0 = attributes ? wf_set1((float)attributes[0]) : zero;                                           \
        wf p1 = attributes ? wf_set1((float)attributes[1]) : zero;                                           \
        FLAT_HOIST##operands int64_t i = 0;                                                                  \
        for (; i + WF_LANES <= n; i += WF_LANES) {                                                           \
            FLAT_WHOLE##operands wf_store(out + i, value);                                                   \
        }                                                                                                    \
        if (i < n) {                                                                                         \
            FLAT_PART##operands wf_store_n(out + i, value, n - i);                                           \
        }                                                                                                    \
        (void)a, (void)b, (void)c, (void)d, (void)zero, (void)one, (void)p0, (void)p1;                       \
    }
/* pointers and steps in registers: a store through wf could change them for all the compiler knows */
#define HOIST(x)                                                                                             \
    const float *in##x = in[x];                                                                              \
    const int64_t step##x = step[x];
#define WHOLE(x)    wf_load(in##x + i * step##x)
#define PART(x)     wf_load_n(in##x + i * step##x, n - i)
#define FLAT_HOIST1 HOIST(0)
#define FLAT_HOIST2 FLAT_HOIST1 HOIST(1)
#define FLAT_HOIST3 FLAT_HOIST2 HOIST(2)
#define FLAT_HOIST4 FLAT_HOIST3 HOIST(3)
#define FLAT_WHOLE1 a = WHOLE(0);
#define FLAT_WHOLE2 FLAT_WHOLE1 b = WHOLE(1);
#define FLAT_WHOLE3 FLAT_WHOLE2 c = WHOLE(2);
#define FLAT_WHOLE4 FLAT_WHOLE3 d = WHOLE(3);
#define FLAT_PART1  a = PART(0);
#define FLAT_PART2  FLAT_PART1 b = PART(1);
#define FLAT_PART3  FLAT_PART2 c = PART(2);
#define FLAT_PART4  FLAT_PART3 d = PART(3);

WIDE_INLINE wf softplus(wf x) {
    return wf_add(wf_relu(x), wf_log1p(wf_exp(wf_neg(wf_abs(x)))));
}

WIDE_INLINE wf silu(wf x) {
    return wf_mul(x, wf_sigmoid(x));
}

WIDE_INLINE wf silu_slope(wf x) {
    wf s = wf_sigmoid(x), one = wf_set1(1.0f);
    return wf_mul(s, wf_fma(x, wf_sub(one, s), one));
}

/* (1 + tanh u) / 2 = sigmoid(2 u), exact in the tail where 1 + tanh u cancels */
WIDE_INLINE wf gelu_gate(wf x) {
    wf cube = wf_mul(wf_mul(x, x), wf_set1(0.044715f));
    return wf_sigmoid(wf_mul(wf_fma(cube, x, x), wf_set1(1.5957691216f)));
}

WIDE_INLINE wf gelu(wf x) {
    return wf_mul(x, gelu_gate(x));
}

WIDE_INLINE wf gelu_slope(wf x) {
    wf s = gelu_gate(x), one = wf_set1(1.0f);
    wf inner = wf_mul(wf_set1(1.5957691216f), wf_fma(wf_mul(x, x), wf_set1(0.134145f), one));
    return wf_fma(wf_mul(x, wf_mul(s, wf_sub(one, s))), inner, s);
}

WIDE_INLINE wf sign_or_zero(wf x) {
    wf zero = wf_zero(), one = wf_set1(1.0f);
    return wf_select(wf_lt(zero, x), one, wf_select(wf_lt(x, zero), wf_neg(one), zero));
}

/* clang-format off */
FLAT(ADD, 2, wf_add(a, b))
FLAT(SUB, 2, wf_sub(a, b))
FLAT(MUL, 2, wf_mul(a, b))
FLAT(DIV, 2, wf_div(a, b))
FLAT(MIN, 2, wf_select(wf_le(a, b), a, b))
FLAT(MAX, 2, wf_select(wf_le(b, a), a, b))
FLAT(LESS, 2, wf_select(wf_lt(a, b), one, zero))
FLAT(WHERE, 3, wf_select(wf_eq(a, zero), c, b))
FLAT(CLAMP, 3, wf_clamp(a, b, c))
FLAT(AFFINE, 1, wf_fma(p0, a, p1))
FLAT(EXP, 1, wf_exp(a))
FLAT(LOG, 1, wf_log(a))
FLAT(TANH, 1, wf_tanh(a))
FLAT(SIGMOID, 1, wf_sigmoid(a))
FLAT(SOFTPLUS, 1, softplus(a))
FLAT(RELU, 1, wf_relu(a))
FLAT(SILU, 1, silu(a))
FLAT(GELU, 1, gelu(a))
FLAT(SQUARE, 1, wf_mul(a, a))
FLAT(SQRT, 1, wf_sqrt(a))
FLAT(ABS, 1, wf_abs(a))
FLAT(TO_REAL, 1, wf_mul(p0, a))
FLAT(EXPAND, 1, a)
FLAT(TANH_GRAD, 2, wf_mul(a, wf_fnma(b, b, one)))
FLAT(SIGMOID_GRAD, 2, wf_mul(wf_mul(a, b), wf_sub(one, b)))
FLAT(RELU_GRAD, 2, wf_select(wf_lt(zero, b), a, zero))
FLAT(SILU_GRAD, 2, wf_mul(a, silu_slope(b)))
FLAT(GELU_GRAD, 2, wf_mul(a, gelu_slope(b)))
FLAT(ABS_GRAD, 2, wf_mul(a, sign_or_zero(b)))
FLAT(GATE_LE, 3, wf_select(wf_le(b, c), a, zero))
FLAT(GATE_GE, 3, wf_select(wf_le(c, b), a, zero))
FLAT(GATE_LT, 3, wf_select(wf_lt(b, c), a, zero))
FLAT(GATE_GT, 3, wf_select(wf_lt(c, b), a, zero))
FLAT(GATE_IN, 4, wf_select(wm_and(wf_le(c, b), wf_le(b, d)), a, zero))
FLAT(STANDARDIZE, 3, wf_clamp(wf_mul(wf_sub(a, b), c), wf_neg(p0), p0))
FLAT(STANDARDIZE_GRAD, 4, wf_select(wf_le(wf_abs(wf_mul(wf_sub(b, c), d)), p0), wf_mul(a, d), zero))
/* clang-format on */

enum { MAP_BLOCK = 256, MAP_REPEATS = 32 };

/* A rectangle of the result: rows [r, r + rows), columns [j, j + columns). */
typedef struct map_block {
    int64_t r, rows, j, columns;
} map_block;

#define PACK(type)                                                                                           \
    do {                                                                                                     \
        const type *from = (const type *)x->at + block.r * x->stride + (x->width == 1 ? 0 : block.j);        \
        int64_t step = x->width != 1;                                                                        \
        for (int64_t r = 0; r < block.rows; r++)                                                             \
            for (int64_t j = 0; j < block.columns; j++)                                                      \
                *to++ = (float)from[r * x->stride + j * step];                                               \
    } while (0)

static void map_pack(float *to, const reini_operand *x, rein_dtype dtype, map_block block) {
    if (dtype == REIN_U8)
        PACK(uint8_t);
    else if (dtype == REIN_I32)
        PACK(int32_t);
    else
        PACK(float);
}

static void map_unpack(const reini_operand *out, const float *from, map_block block) {
    float *to = (float *)out->at + block.r * out->stride + block.j;
    for (int64_t r = 0; r < block.rows; r++)
        for (int64_t j = 0; j < block.columns; j++)
            to[r * out->stride + j] = *from++;
}

/* one number, contiguous, one row for all, strided, integer */
typedef enum map_form { MAP_SPLAT, MAP_FLAT, MAP_REPEAT, MAP_ROWS, MAP_CONVERT } map_form;

static map_form map_form_of(const reini_operand *x, const reini_call *call, rein_dtype dtype) {
    if (dtype == REIN_U8 || dtype == REIN_I32)
        return MAP_CONVERT;
    if (x->width == 1 && (x->stride == 0 || call->rows == 1))
        return MAP_SPLAT;
    if (x->width == call->out.width && (x->stride == x->width || call->rows == 1))
        return MAP_FLAT;
    return x->width == call->out.width && x->stride == 0 ? MAP_REPEAT : MAP_ROWS;
}

static void splat(float to[WF_LANES], float value) {
    wf_store(to, wf_set1(value));
}

/* Rows one after the other, for rows long enough to fill vectors. */
static void map_rows(const reini_call *call, int operands, flat_fn *flat) {
    float value[REINI_OPERANDS][WF_LANES];
    const float *in[REINI_OPERANDS];
    int64_t step[REINI_OPERANDS];
    for (int64_t r = 0; r < call->rows; r++) {
        for (int i = 0; i < operands; i++) {
            in[i] = row(call, i, r);
            step[i] = call->in[i].width != 1;
            if (!step[i]) {
                splat(value[i], in[i][0]);
                in[i] = value[i];
            }
        }
        flat(row_out(call, r), in, step, call->out.width, call->p);
    }
}

/* Packed blocks, for short rows and integer operands (dtype of operand 0). */
static void map_blocks(const reini_call *call, int operands, flat_fn *flat, rein_dtype dtype) {
    float packed[REINI_OPERANDS][MAP_BLOCK], result[MAP_BLOCK];
    const float *in[REINI_OPERANDS];
    int64_t step[REINI_OPERANDS] = {1, 1, 1, 1};
    int64_t width = call->out.width, columns = least(width, MAP_BLOCK), high = MAP_BLOCK / columns;
    for (int64_t r = 0; r < call->rows; r += high) {
        for (int64_t j = 0; j < width; j += columns) {
            map_block block = {r, least(high, call->rows - r), j, least(columns, width - j)};
            for (int i = 0; i < operands; i++) {
                map_pack(packed[i], &call->in[i], i == 0 ? dtype : REIN_F32, block);
                in[i] = packed[i];
            }
            flat(result, in, step, block.rows * block.columns, call->p);
            map_unpack(&call->out, result, block);
        }
    }
}

/* The row x of `width` numbers, over and over up to n numbers (and to the end of a vector): vector after vector from a
 * short stretch of them, each starting where the one before left off. */
static void lay_out(float *to, const float *x, int64_t width, int64_t n) {
    float stretch[MAP_BLOCK / 4 + WF_LANES];
    int64_t step = WF_LANES % width, phase = 0;
    for (int64_t i = 0, j = 0; i < width + WF_LANES; i++, j = j + 1 == width ? 0 : j + 1)
        stretch[i] = x[j];
    for (int64_t i = 0; i < n; i += WF_LANES) {
        wf_store(to + i, wf_load(stretch + phase));
        phase += step;
        phase = phase >= width ? phase - width : phase;
    }
}

/* Contiguous rows beside rows that repeat (a mean, a bias): the repeated row is laid out a few times, and
 * blocks of as many rows run flat. */
static void map_repeat(const reini_call *call, int operands, flat_fn *flat, const map_form *form,
                       const float *const *start, const int64_t *step) {
    float repeated[REINI_OPERANDS][MAP_BLOCK];
    const float *in[REINI_OPERANDS];
    int64_t width = call->out.width, high = least(MAP_BLOCK / width, MAP_REPEATS);
    for (int i = 0; i < operands; i++)
        if (form[i] == MAP_REPEAT)
            lay_out(repeated[i], call->in[i].at, width, least(high, call->rows) * width);
    for (int64_t r = 0; r < call->rows; r += high) {
        for (int i = 0; i < operands; i++)
            in[i] = form[i] == MAP_REPEAT ? repeated[i] : start[i] + (form[i] == MAP_FLAT ? r * width : 0);
        flat(row_out(call, r), in, step, least(high, call->rows - r) * width, call->p);
    }
}

static void map_run(const reini_call *call, int operands, flat_fn *flat, rein_dtype dtype) {
    float value[REINI_OPERANDS][WF_LANES];
    const float *in[REINI_OPERANDS];
    int64_t step[REINI_OPERANDS];
    map_form form[REINI_OPERANDS], worst = MAP_SPLAT;
    for (int i = 0; i < operands; i++) {
        form[i] = map_form_of(&call->in[i], call, i == 0 ? dtype : REIN_F32);
        worst = form[i] > worst ? form[i] : worst;
        in[i] = call->in[i].at;
        step[i] = form[i] != MAP_SPLAT;
        if (form[i] == MAP_SPLAT) {
            splat(value[i], in[i][0]);
            in[i] = value[i];
        }
    }
    bool whole = call->out.stride == call->out.width || call->rows == 1;
    if (whole && worst <= MAP_FLAT)
        flat(call->out.at, in, step, call->rows * call->out.width, call->p);
    else if (whole && worst <= MAP_REPEAT && call->out.width <= MAP_BLOCK / 4)
        map_repeat(call, operands, flat, form, in, step);
    else if (call->out.width >= 16 && worst <= MAP_ROWS)
        map_rows(call, operands, flat);
    else
        map_blocks(call, operands, flat, dtype);
}

#define MAP(name, operands)                                                                                  \
    static void simd_##name(const reini_call *call) {                                                        \
        map_run(call, operands, flat_##name, REIN_F32);                                                      \
    }
#define MAP_DTYPE(name, operands)                                                                            \
    static void simd_##name(const reini_call *call) {                                                        \
        map_run(call, operands, flat_##name, (rein_dtype)call->k[0]);                                        \
    }

/* clang-format off */
MAP(ADD, 2) MAP(SUB, 2) MAP(MUL, 2) MAP(DIV, 2) MAP(MIN, 2) MAP(MAX, 2) MAP(LESS, 2) MAP(CLAMP, 3)
MAP(AFFINE, 1) MAP(EXP, 1) MAP(LOG, 1) MAP(TANH, 1) MAP(SIGMOID, 1) MAP(SOFTPLUS, 1) MAP(RELU, 1)
MAP(SILU, 1) MAP(GELU, 1) MAP(SQUARE, 1) MAP(SQRT, 1) MAP(ABS, 1) MAP(EXPAND, 1) MAP(TANH_GRAD, 2)
MAP(SIGMOID_GRAD, 2) MAP(RELU_GRAD, 2) MAP(SILU_GRAD, 2) MAP(GELU_GRAD, 2) MAP(ABS_GRAD, 2) MAP(GATE_LE, 3)
MAP(GATE_GE, 3) MAP(GATE_LT, 3) MAP(GATE_GT, 3) MAP(GATE_IN, 4) MAP(STANDARDIZE, 3) MAP(STANDARDIZE_GRAD, 4)
MAP_DTYPE(WHERE, 3) MAP_DTYPE(TO_REAL, 1)
    /* clang-format on */
