/*
 * kernels.h - the contract between compiled programs and kernels.
 *
 * A kernel computes one op for one tile of rows. Its arguments are a reini_call: where the operands lie, how
 * far apart their rows are, and the op's attributes. Kernels do not allocate, fail or look at anything else.
 *
 * The reference kernels (cpu/ref.c, built once for float and once for double) are the specification. A fast
 * table (cpu/simd.c, built once per instruction-set level) may leave entries NULL; the reference then serves.
 *
 * Rules every kernel keeps:
 *   - the result of a row does not depend on `rows`, on the row's place in the tile or on its neighbours;
 *   - sums over rows (the ROWS column) run over the tile in a fixed order, adding to `out` when
 *     `accumulate` is set and overwriting it otherwise; they see the whole tile in one call;
 *   - operands of a static tensor have stride 0; an operand of width 1 serves any width (elementwise ops);
 *   - dense products may be asked for a share of their result (part, parts): bits are those of the whole;
 *   - `out` may be the same memory as an elementwise operand of the same dtype, width and stride.
 */
#ifndef REINI_KERNELS_H
#define REINI_KERNELS_H

#include <stdbool.h>
#include <stdint.h>
#include <rein/tensor.h>

/* Op list. Columns: NAME, number of operands, kind, meaning.
 * Kinds: MAP elementwise with repetition; ROW along one row; ROWS sums over the rows of the tile into a static
 * result; STAT static to static; RAND random. Letters: x y a b operands, dy gradient of the result,
 * w weight, k attributes k[], p attributes p[]. Operands are real unless said. */
/* clang-format off */
#define REINI_OPS(X)                                                                                        \
    X(ADD, 2, MAP, "a + b")                                                                                 \
    X(SUB, 2, MAP, "a - b")                                                                                 \
    X(MUL, 2, MAP, "a b")                                                                                   \
    X(DIV, 2, MAP, "a / b")                                                                                 \
    X(MIN, 2, MAP, "a <= b ? a : b")                                                                        \
    X(MAX, 2, MAP, "a >= b ? a : b")                                                                        \
    X(LESS, 2, MAP, "a < b ? 1 : 0")                                                                        \
    X(WHERE, 3, MAP, "c != 0 ? a : b, operands (c, a, b), c real or U8 (k[0] = its rein_dtype)")            \
    X(CLAMP, 3, MAP, "min(max(x, low), high)")                                                              \
    X(AFFINE, 1, MAP, "p[0] x + p[1]")                                                                      \
    X(EXP, 1, MAP, "e^x")                                                                                   \
    X(LOG, 1, MAP, "log x")                                                                                 \
    X(TANH, 1, MAP, "tanh x")                                                                               \
    X(SIGMOID, 1, MAP, "1 / (1 + e^-x)")                                                                    \
    X(SOFTPLUS, 1, MAP, "max(x, 0) + log(1 + e^-|x|)")                                                      \
    X(RELU, 1, MAP, "max(x, 0)")                                                                            \
    X(SILU, 1, MAP, "x sigmoid(x)")                                                                         \
    X(GELU, 1, MAP, "x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2")                                      \
    X(SQUARE, 1, MAP, "x^2")                                                                                \
    X(SQRT, 1, MAP, "sqrt x")                                                                               \
    X(ABS, 1, MAP, "|x|")                                                                                   \
    X(TO_REAL, 1, MAP, "p[0] x for x I32 or U8 (k[0] = its rein_dtype)")                                    \
    X(EXPAND, 1, MAP, "x repeated to the result's shape")                                                   \
    X(TANH_GRAD, 2, MAP, "dy (1 - y^2), operands (dy, y)")                                                  \
    X(SIGMOID_GRAD, 2, MAP, "dy y (1 - y), operands (dy, y)")                                               \
    X(RELU_GRAD, 2, MAP, "y > 0 ? dy : 0, operands (dy, y)")                                                \
    X(SILU_GRAD, 2, MAP, "dy d silu(x)/dx, operands (dy, x)")                                               \
    X(GELU_GRAD, 2, MAP, "dy d gelu(x)/dx, operands (dy, x)")                                               \
    X(ABS_GRAD, 2, MAP, "dy sign(x), 0 at 0, operands (dy, x)")                                             \
    X(GATE_LE, 3, MAP, "a <= b ? dy : 0, operands (dy, a, b)")                                              \
    X(GATE_GE, 3, MAP, "a >= b ? dy : 0, operands (dy, a, b)")                                              \
    X(GATE_LT, 3, MAP, "a < b ? dy : 0, operands (dy, a, b)")                                               \
    X(GATE_GT, 3, MAP, "a > b ? dy : 0, operands (dy, a, b)")                                               \
    X(GATE_IN, 4, MAP, "low <= x && x <= high ? dy : 0, operands (dy, x, low, high)")                       \
    X(STANDARDIZE, 3, MAP, "clamp((x - mean) scale, -p[0], p[0])")                                          \
    X(STANDARDIZE_GRAD, 4, MAP, "|(x - mean) scale| <= p[0] ? dy scale : 0, operands (dy, x, mean, scale)") \
    X(DENSE, 3, ROW, "act(x w + b): k = {in, out, E, split x?, act, has b}; see below")                     \
    X(DENSE_DX, 2, ROW, "dy wT: operands (dy, wT), same k; with k[7] (E = 1, out <= 1024) (dy, w)")           \
    X(DENSE_DX_ACT, 3, ROW, "DENSE_DX times the derivative of activation k[6] at y: operands (dy, wT, y), E = 1")\
    X(DENSE_DW, 2, ROWS, "x' dy: operands (x, dy), same k, result (E x in x out)")                          \
    X(TRANSPOSE, 1, STAT, "(E x in x out) to (E x out x in), k as DENSE")                                   \
    X(PACK, 1, STAT, "w (in x out), with k[6] its transpose, as bf16 products read it; see below")           \
    X(IMAGE, 1, ROW, "p[0] x for bytes x (channels x height x width), as (height x width x channels): k = {channels, " \
                     "height, width}")                                                                      \
    X(PAD, 1, ROW, "x with a border of zeros: k = {channels, height, width of x, border}")                  \
    X(CROP, 1, ROW, "x without its border: k = {channels, height, width of the result, border}")            \
    X(CONV, 3, ROW, "act(windows of x times w + b): k = {channels, height, width, out, kernel, stride, act, has b}") \
    X(CONV_DX, 2, ROW, "gradient of CONV for x: operands (dy, wT), same k")                                 \
    X(CONV_DW, 2, ROWS, "gradient of CONV for w: operands (x, dy), same k")                                 \
    X(SUM_PLACES, 1, ROWS, "sum over rows and over the places of a row: x (places x width of the result)")  \
    X(MAX_POOL, 2, ROW, "v where the first largest x of each window lies: operands (x, v), k = {channels, height, width, " \
                        "size, stride, padding, width of the result}")                                      \
    X(MAX_POOL_GRAD, 2, ROW, "dy put back there, 0 elsewhere: operands (dy, x), same k")                    \
    X(GRU, 5, ROW, "gated recurrence: operands (gates x, starts, h, w, b), k = {H, L, steps are rows of another extent?}; " \
                   "see below")                                                                              \
    X(GRU_GRAD, 4, ROW, "its gradient: operands (GRU, dh, starts, wT), same k")                             \
    X(STEPS, 1, ROW, "numbers k[1] .. k[1] + width of step r: x (sequences x L k[0]), its rows contiguous and of another " \
                     "extent with k[2]; else of row r; more operands are not read")                         \
    X(SUM, 1, ROW, "sum over the width")                                                                    \
    X(LOG_SOFTMAX, 1, ROW, "x - log sum e^x; -inf stays -inf")                                              \
    X(LOG_SOFTMAX_GRAD, 2, ROW, "dy - e^y sum(dy), 0 where y = -inf, operands (dy, y)")                     \
    X(SOFTMAX, 1, ROW, "e^x / sum e^x")                                                                     \
    X(SOFTMAX_GRAD, 2, ROW, "y (dy - sum(dy y)), operands (dy, y)")                                         \
    X(ENTROPY, 1, ROW, "-sum e^x x with 0 log 0 = 0")                                                       \
    X(ENTROPY_GRAD, 2, ROW, "-dy e^x (x + 1), 0 where x = -inf, operands (dy (width 1), x)")                \
    X(RELENT, 2, ROW, "sum e^a (a - b) with 0 log 0 = 0")                                                   \
    X(RELENT_GRAD_A, 3, ROW, "dy e^a (a - b + 1), 0 where a = -inf, operands (dy (width 1), a, b)")         \
    X(RELENT_GRAD_B, 3, ROW, "-dy e^a, operands (dy (width 1), a, b)")                                      \
    X(PICK, 2, ROW, "x[i], operands (x, i I32)")                                                            \
    X(PICK_GRAD, 2, ROW, "dy at i, 0 elsewhere, operands (dy (width 1), i I32)")                            \
    X(ARGMAX, 1, ROW, "index of the first largest, I32")                                                    \
    X(CONCAT, 2, ROW, "a then b, any dtype (k[1] = its size in bytes)")                                                                         \
    X(SLICE, 1, ROW, "x[k[0] .. k[0] + width), any dtype (k[1] = its size in bytes)")                       \
    X(UNSLICE, 1, ROW, "zeros with x written from k[0] on")                                                 \
    X(GATHER, 2, ROW, "table[i], operands (table, i I32): rows of the table are in[0].stride apart, or in[0].width " \
                      "when static; any dtype (k[1] = its size in bytes)")                                  \
    X(SCATTER, 2, ROWS, "table of zeros with dy added at rows i, operands (dy, i I32); k[0] = table rows")  \
    X(TOTAL, 1, ROWS, "sum over rows and width; static x: over the width (kind STAT then)")                 \
    X(SUM_ROWS, 1, ROWS, "sum over rows")                                                                   \
    X(RANDOM_NORMAL, 1, RAND, "operand: a reini_key")                                                       \
    X(RANDOM_UNIFORM, 1, RAND, "operand: a reini_key")                                                      \
    X(SAMPLE_INDEX, 2, ROW, "first j with u < sum_{i<=j} e^x_i, else the last with x > -inf; operands (x, u); I32")
/* clang-format on */

/* DENSE with E networks: x is (rows x in), shared, or with k[3] (rows x E x in); w (E x in x out); b (E x out);
 * result (rows x E x out). DENSE_DX with shared x sums over E. Products are accumulated over `in` in increasing
 * order for every output element, starting from the bias, so that a row's bits do not depend on its tile.
 *
 * PACK: b (depth x columns) rounded to bf16 and cut into tiles of 16 rows of 32 numbers, with zeros where b ends: for every 32
 * columns and every 32 of the depth two tiles, of 16 columns each; row p has b[2p, 0], b[2p + 1, 0], b[2p, 1], ... of its
 * part. The result counts as floats, two numbers each. DENSE, DENSE_DX and DENSE_DX_ACT of reini_kernels_bf16 take their
 * second operand in this form when k[7] = REINI_PACKED; E = 1 then.
 *
 * CONV: images are (height x width x channels), a window's lines are runs of kernel x channels numbers, and w is
 * (kernel x kernel x channels) x out; places, which are windows, lie row by row in the result. Padding is an op of its
 * own. Sums run over a window in the order of w, starting from the bias; CONV_DX adds, window by window, sums over out.
 *
 * GRU: row s is a sequence of L steps. With k[2] its steps are the rows s L .. s L + L - 1 of the operands x (3H), starts
 * (width 1; non-zero: the state before this step is zero) and dh (H), whose `at` is row 0; else L = 1 and they are row s.
 * h (H) is the state before the first step, w is (H x 3H), b (3H). For every step the result keeps 6H numbers [h', n, r, z,
 * q, state before] with q = h W_n + b_n; GRU_GRAD gives 6H [dx_r, dx_z, dx_n, dc_r, dc_z, dc_q], of x and of c = h w + b.
 *
 * RANDOM: element j of global row r (row0 + row in tile + key.row_base) takes word j & 3 of the Philox block
 * (key.seed; low = (j >> 2) | r << 32, high = key.step | key.stream << 48) for UNIFORM ((word >> 8) / 2^24), and
 * for NORMAL the Box-Muller pair of words (2i, 2i + 1): elements 2i (cosine) and 2i + 1 (sine), where
 * u = (word + 1) / 2^32 computed in float as ((word >> 8) + 1) / 2^24, angle = 2 pi (word' >> 8) / 2^24. Two
 * normals a block half: element j of a row uses block j >> 2, pair (j >> 1) & 1. */

typedef enum reini_op {
#define X(name, operands, kind, doc) REINI_##name,
    REINI_OPS(X)
#undef X
        REINI_OP_COUNT,
    /* leaves, which have no kernel */
    REINI_INPUT = REINI_OP_COUNT,
    REINI_UNIFORM,
    REINI_KEY,
    REINI_CONSTANT,
    REINI_PARAM,
    REINI_COUNT, /* live rows of extent k[0] as a number */
    REINI_ALIAS, /* the operand itself under another shape, or with its gradient stopped (k[0] = 1) */
} reini_op;

typedef struct reini_key {
    uint64_t seed, step, row_base;
    uint32_t stream;
} reini_key;

#define REINI_OPERANDS 5
typedef struct reini_operand {
    void *at;       /* first element of the tile's first row */
    int64_t stride; /* elements between rows; 0 = static */
    int64_t width;  /* elements in a row */
} reini_operand;

typedef struct reini_call {
    reini_operand out, in[REINI_OPERANDS];
    const int32_t *k; /* integer attributes, 8 */
    const double *p;  /* real attributes, 2 */
    int32_t rows;     /* live rows of the tile; 1 for static ops */
    bool accumulate;  /* ROWS kinds: add to out */
    int64_t row0;     /* number of the tile's first row */
    /* steps over all rows: this call's share of the result's columns, or of a weight gradient's rows; else parts is 0 */
    int32_t part, parts;
} reini_call;

typedef void reini_kernel(const reini_call *call);
typedef struct reini_kernels {
    const char *level; /* "reference", "portable", "avx2", "avx512" */
    reini_kernel *run[REINI_OP_COUNT];
} reini_kernels;

extern const reini_kernels reini_kernels_ref_f32, reini_kernels_ref_f64;
extern const reini_kernels reini_kernels_portable;                   /* always built */
extern const reini_kernels reini_kernels_avx2, reini_kernels_avx512; /* x86-64 builds */
/* DENSE, DENSE_DX and DENSE_DW by bf16 products with sums in float; the other entries are NULL. To be used only where
 * reini_bf16_available, which also asks the system for the tile registers. */
extern const reini_kernels reini_kernels_bf16;
bool reini_bf16_available(void);
/* k[7] of a dense op whose weight is packed; how many floats PACK makes of a weight (depth x columns); and whether a
 * layer with these k, turned: its input gradient, runs as a bf16 product of one network, which packing serves. */
#define REINI_PACKED 2
int64_t reini_packed_width(int64_t depth, int64_t columns);
bool reini_bf16_packs(const int32_t *k, bool turned);

/* The best table for this machine under REIN_CPU=; detected once. */
const reini_kernels *reini_kernels_best(void);
/* Number of operands, kind letter ('M' map, 'R' row, 'S' sum over rows, 'T' static, 'D' random) and name. */
int reini_op_operands(reini_op op);
char reini_op_kind(reini_op op);
const char *reini_op_name(reini_op op);

/* Vector loops outside graphs (optimizers, norms), same levels. Sums run in a fixed order. */
typedef struct reini_adam_args {
    float rate, beta1, beta2, eps, decay; /* decay: AdamW, already times the learning rate; else 0 */
    float correct1, correct2;             /* 1 / (1 - beta^t) */
    float grad_scale;                     /* from the global norm clip */
} reini_adam_args;
typedef struct reini_vector_ops {
    const char *level;
    /* param -= rate m^ / (sqrt(v^) + eps) + decay param */
    void (*adam)(float *param, float *m, float *v, const float *grad, int64_t n, const reini_adam_args *args);
    /* buffer = momentum buffer + g; param -= rate (nesterov ? g + momentum buffer : buffer), g = scale grad + decay param */
    void (*sgd)(float *param, float *buffer, const float *grad, int64_t n, float rate, float momentum,
                float decay, float scale, bool nesterov);
    /* v = alpha v + (1 - alpha) g^2; param -= rate g / (sqrt(v) + eps), g = scale grad */
    void (*rmsprop)(float *param, float *v, const float *grad, int64_t n, float rate, float alpha, float eps,
                    float scale);
    double (*sum_squares)(const float *x, int64_t n);
    void (*add)(float *to, const float *from, int64_t n);               /* to += from */
    void (*blend)(float *to, const float *from, int64_t n, float rate); /* to += rate (from - to) */
    double (*sum)(const float *x, int64_t n);
} reini_vector_ops;
const reini_vector_ops *reini_vector_ops_best(void);

#endif
