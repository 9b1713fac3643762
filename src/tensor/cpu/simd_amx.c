/*
 * simd_amx.c - dense layers by products of bf16 numbers with sums in float, on AMX tiles.
 *
 * Operands stay float in memory: every call rounds them to bf16 (to nearest even) into tiles on its stack, but for
 * weights that many tiles of rows read: a plan has those packed once a run (PACK).
 * The products, exact in float, are added up in float over increasing k, starting from the bias. A row's bits
 * do not depend on its tile. Activations and slopes are applied to the sums as they leave the tiles. Denormal
 * numbers count as 0.
 *
 * Thin layers, whose products are cheaper than the rounding, stay float: whether a layer is thin depends on
 * its weight's shape alone. Compiled with -mamx-tile -mamx-bf16 -mavx512bf16 beside AVX-512; elsewhere the
 * table is empty.
 */
#include "base/base.h"
#include "base/levels.h"
#include "tensor/kernels.h"

int64_t reini_packed_width(int64_t depth, int64_t columns) {
    return (depth + 31) / 32 * ((columns + 31) / 32) * 512;
}

/* the second spelling is clang's */
#if (defined(__AMX_BF16__) || defined(__AMXBF16__)) && defined(__AVX512BF16__) && defined(__linux__)

#include <cpuid.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WIDE_LEVEL 2
#include "wide_math.h"
#include "amx_tanh.h"
#include "amx_tile.inc.h"
#include "amx_finish.inc.h"

WIDE_INLINE int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- forward, and gradient of the input ---------------------------------------------------------------- */

enum { ROWS = 64, DEPTH = 512 }; /* of one operand in scratch */

typedef struct scratch {
    tile a[ROWS / TILE_ROWS * DEPTH / TILE_DEPTH]; /* 64 KB */
    tile b[2 * DEPTH / TILE_DEPTH];                /* 32 KB */
    _Alignas(64) float c[ROWS * PANEL];            /* 8 KB */
    _Alignas(64) float bias[PANEL];
} scratch;

/* c = finish(a b + bias) for networks that share a (m x k); b may come packed for one network */
typedef struct product {
    float *c;
    int64_t c_row, c_member; /* numbers between rows, and between networks */
    const float *a;
    int64_t a_row;
    const float *b, *bias; /* (members x k x n), (members x n) or NULL */
    const tile *packed;    /* instead of b, or NULL */
    int64_t members, m, n, k;
    finish_fn *finish;
    const float *y; /* slopes: (m x n), or NULL */
    int64_t y_row;
} product;

/* The bias of columns [j, j + columns) of network e on whole vectors. */
static void take_bias(const product *g, scratch *s, int64_t e, int64_t j, int64_t columns) {
    const float *bias = g->bias + e * g->n + j;
    wf_store(s->bias, pack_load(bias, columns));
    wf_store(s->bias + 16, pack_load(bias + 16, columns - 16));
}

/* Tiles of columns [j, j + PANEL) of a packed weight (depth x columns). */
static const tile *packed_panel(const tile *packed, int64_t depth, int64_t j) {
    return packed + j / PANEL * 2 * ((depth + TILE_DEPTH - 1) / TILE_DEPTH);
}

/* Columns [j, j + PANEL) of network e, rows [i, i + rows). */
static void run_panel(const product *g, scratch *s, int64_t e, int64_t i, int64_t rows, int64_t j) {
    int64_t columns = least(PANEL, g->n - j);
    float *out = g->c + i * g->c_row + e * g->c_member + j;
    /* whole tiles with nothing more to do go straight to their place */
    bool direct = g->finish == finish_identity && rows % TILE_ROWS == 0 && columns % TILE_ROWS == 0;
    tile_product p = {.a = s->a,
                      .b = s->b,
                      .high = (rows + TILE_ROWS - 1) / TILE_ROWS,
                      .wide = columns > TILE_ROWS,
                      .start = g->bias != NULL ? s->bias : NULL,
                      .c = direct ? out : s->c,
                      .c_row = direct ? g->c_row : PANEL};
    if (g->bias != NULL)
        take_bias(g, s, e, j, columns);
    for (int64_t k = 0; k < g->k; k += DEPTH) {
        int64_t depth = least(DEPTH, g->k - k);
        p.depth = (depth + TILE_DEPTH - 1) / TILE_DEPTH;
        if ((j == 0 && e == 0) || g->k > DEPTH)
            pack_rows(s->a, g->a + i * g->a_row + k, g->a_row, rows, depth);
        if (g->packed != NULL)
            p.b = packed_panel(g->packed, g->k, j) + k / TILE_DEPTH * 2;
        else
            pack_pairs(s->b, g->b + (e * g->k + k) * g->n + j, g->n, depth, columns);
        tile_multiply(&p);
        p.start = p.c;
        p.start_row = p.c_row;
    }
    if (!direct)
        g->finish(&(finish_block){.out = out,
                                  .out_row = g->c_row,
                                  .c = s->c,
                                  .y = g->y != NULL ? g->y + i * g->y_row + j : out,
                                  .y_row = g->y_row,
                                  .rows = rows,
                                  .columns = columns});
}

static void run_product(const product *g) {
    scratch s;
    tile_configure();
    for (int64_t i = 0; i < g->m; i += ROWS)
        for (int64_t e = 0; e < g->members; e++)
            for (int64_t j = 0; j < g->n; j += PANEL)
                run_panel(g, &s, e, i, least(ROWS, g->m - i), j);
}

typedef struct dense_shape {
    int64_t in, out, members;
    bool split; /* x is (rows x members x in) rather than (rows x in) */
    rein_activation act;
    bool has_bias;
} dense_shape;

static dense_shape dense_shape_of(const int32_t *k) {
    return (dense_shape){k[0], k[1], k[2], k[3] != 0, (rein_activation)k[4], k[5] != 0};
}

/* Layers with so few inputs, outputs or weights are thin. An input gradient sums over the outputs: few inputs are only
 * few columns of its product. */
enum { THIN = 4, THIN_WEIGHT = 256 };

static bool is_thin_dx(const dense_shape *s) {
    return s->out <= THIN || s->in * s->out < THIN_WEIGHT;
}

static bool is_thin(const dense_shape *s) {
    return s->in <= THIN || is_thin_dx(s);
}

bool reini_bf16_packs(const int32_t *k, bool turned) {
    dense_shape s = dense_shape_of(k);
    return s.members == 1 && k[7] == 0 && !(turned ? is_thin_dx(&s) : is_thin(&s));
}

/* The transpose of w (columns x depth), up to PANEL of its rows, as pack_pairs would pack it: pairs are neighbours. */
static void pack_turned(tile *to, const float *w, int64_t depth, int64_t columns) {
    _Alignas(64) float line[16][16];
    for (int64_t k = 0; k < depth; k += TILE_DEPTH)
        for (int64_t c = 0; c < PANEL; c += TILE_ROWS, to++) {
            for (int64_t r = 0; r < TILE_ROWS; r++) {
                const float *from = w + (c + r) * depth + k;
                bool inside = c + r < columns;
                wf low = inside ? pack_load(from, depth - k) : wf_zero();
                wf high = inside ? pack_load(from + 16, depth - k - 16) : wf_zero();
                _mm512_store_si512(line[r], pack_narrow(low, high));
            }
            pack_transpose(to, (const float(*)[16])line);
        }
}

static void amx_PACK(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    bool turned = call->k[6] != 0;
    const float *w = call->in[0].at;
    int64_t depth = turned ? s.out : s.in, columns = turned ? s.in : s.out;
    int64_t panel = 2 * ((depth + TILE_DEPTH - 1) / TILE_DEPTH);
    tile *to = call->out.at;
    for (int64_t j = 0; j < columns; j += PANEL, to += panel) {
        int64_t width = least(PANEL, columns - j);
        if (turned) {
            pack_turned(to, w + j * depth, depth, width);
            continue;
        }
        if (width <= TILE_ROWS) /* the second tile of every pair stays empty */
            memset(to, 0, (size_t)panel * sizeof *to);
        pack_pairs(to, w + j, columns, depth, width);
    }
}

/* The tile unit sleeps after about 2000 cycles without work and takes 900 to wake: a product of anything (20
 * cycles) in the thin layers around the others keeps it awake. */
static void stay_awake(void) {
    tile_configure();
    TILE_ADD_PRODUCT(0, 4, 6);
}

/* 16 columns of act(x w + b) for few inputs, in float, the activation in the same pass: tanh, or relu. */
typedef struct thin_block {
    float *y;
    const float *x, *w;
    int64_t y_row, x_row, w_row, rows, columns;
    wf bias;
} thin_block;

WIDE_INLINE void thin_rows(const thin_block *b, const int in, const bool relu) {
    wf weight[THIN], bias = b->bias;
    const float *x = b->x;
    float *y = b->y;
    for (int i = 0; i < in; i++)
        weight[i] = pack_load(b->w + i * b->w_row, b->columns);
#pragma GCC unroll 4
    for (int64_t r = 0; r < b->rows; r++, x += b->x_row, y += b->y_row) {
        wf sum = bias;
        for (int i = 0; i < in; i++)
            sum = wf_fma(wf_set1(x[i]), weight[i], sum);
        sum = relu ? wf_relu(sum) : quick_tanh(sum);
        if (b->columns == 16)
            wf_store(y, sum);
        else
            wf_store_n(y, sum, b->columns);
    }
}

WIDE_INLINE void run_thin_block(const thin_block *b, int64_t in, const bool relu) {
    switch (in) {
    case 1:
        thin_rows(b, 1, relu);
        break;
    case 2:
        thin_rows(b, 2, relu);
        break;
    case 3:
        thin_rows(b, 3, relu);
        break;
    default:
        thin_rows(b, 4, relu);
    }
}

static void run_thin(const reini_call *call, const dense_shape *s) {
    const float *bias = s->has_bias ? call->in[2].at : NULL;
    for (int64_t e = 0; e < s->members; e++)
        for (int64_t j = 0; j < s->out; j += 16) {
            int64_t columns = least(16, s->out - j);
            thin_block b = {.y = (float *)call->out.at + e * s->out + j,
                            .y_row = call->out.stride,
                            .x = (const float *)call->in[0].at + (s->split ? e * s->in : 0),
                            .x_row = call->in[0].stride,
                            .w = (const float *)call->in[1].at + e * s->in * s->out + j,
                            .w_row = s->out,
                            .rows = call->rows,
                            .columns = columns,
                            .bias = bias != NULL ? pack_load(bias + e * s->out + j, columns) : wf_zero()};
            if (s->act == REIN_ACT_RELU)
                run_thin_block(&b, s->in, true);
            else
                run_thin_block(&b, s->in, false);
        }
}

static void amx_DENSE(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    if (is_thin(&s)) {
        stay_awake();
        if (s.in <= THIN && (s.act == REIN_ACT_TANH || s.act == REIN_ACT_RELU))
            run_thin(call, &s);
        else
            reini_kernels_avx512.run[REINI_DENSE](call);
        return;
    }
    product g = {.c = call->out.at,
                 .c_row = call->out.stride,
                 .c_member = s.out,
                 .a = call->in[0].at,
                 .a_row = call->in[0].stride,
                 .b = call->in[1].at,
                 .packed = call->k[7] == REINI_PACKED ? call->in[1].at : NULL,
                 .bias = s.has_bias ? call->in[2].at : NULL,
                 .members = s.split ? 1 : s.members,
                 .m = call->rows,
                 .n = s.out,
                 .k = s.in,
                 .finish = activations[s.act]};
    for (int64_t e = 0; e < s.members; e += g.members) {
        run_product(&g);
        g.c += s.out;
        g.a += s.in;
        g.b += s.in * s.out;
        g.bias = g.bias != NULL ? g.bias + s.out : NULL;
    }
}

static void amx_DENSE_DX(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    /* a large weight that is not transposed is read once, which takes longer than its products */
    if (is_thin_dx(&s) || call->k[7] == 1) {
        stay_awake();
        reini_kernels_avx512.run[REINI_DENSE_DX](call);
        return;
    }
    /* networks that share x add up: one product over all their outputs */
    int64_t products = s.split ? s.members : 1;
    product g = {.c = call->out.at,
                 .c_row = call->out.stride,
                 .a = call->in[0].at,
                 .a_row = call->in[0].stride,
                 .b = call->in[1].at,
                 .packed = call->k[7] == REINI_PACKED ? call->in[1].at : NULL,
                 .members = 1,
                 .m = call->rows,
                 .n = s.in,
                 .k = s.out * s.members / products,
                 .finish = finish_identity};
    for (int64_t e = 0; e < products; e++) {
        run_product(&g);
        g.c += s.in;
        g.a += s.out;
        g.b += s.in * s.out;
    }
}

static void amx_DENSE_DX_ACT(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    if (is_thin_dx(&s)) {
        stay_awake();
        reini_kernels_avx512.run[REINI_DENSE_DX_ACT](call);
        return;
    }
    run_product(&(product){.c = call->out.at,
                           .c_row = call->out.stride,
                           .a = call->in[0].at,
                           .a_row = call->in[0].stride,
                           .b = call->in[1].at,
                           .packed = call->k[7] == REINI_PACKED ? call->in[1].at : NULL,
                           .members = 1,
                           .m = call->rows,
                           .n = s.in,
                           .k = s.out,
                           .finish = slopes[call->k[6]],
                           .y = call->in[2].at,
                           .y_row = call->in[2].stride});
}

/* These come late in the actor's program and in losses: with them the tile unit is not left alone for the
 * whole of an environments' step or a loss. */
static void amx_SQUARE(const reini_call *call) {
    stay_awake();
    reini_kernels_avx512.run[REINI_SQUARE](call);
}

static void amx_LOG_SOFTMAX(const reini_call *call) {
    stay_awake();
    reini_kernels_avx512.run[REINI_LOG_SOFTMAX](call);
}

/* ---- gradient of the weight ---------------------------------------------------------------------------- */

typedef struct weight_scratch {
    tile dy[DEPTH / TILE_ROWS * ROWS / TILE_DEPTH]; /* (panels x depth x 2), 64 KB */
    tile x[ROWS / TILE_ROWS * ROWS / TILE_DEPTH];   /* (columns / 16 x depth), 8 KB */
    _Alignas(64) float dw[ROWS * PANEL];
} weight_scratch;

/* dw (in x out) += x' dy */
typedef struct weight_product {
    float *dw;
    const float *x, *dy;
    int64_t x_row, dy_row, in, out, rows;
    bool add;
} weight_product;

/* A part of dw into scratch, to start from. */
static void take_block(float *to, const float *from, int64_t from_row, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r++, to += PANEL, from += from_row) {
        wf_store(to, pack_load(from, columns));
        wf_store(to + 16, pack_load(from + 16, columns - 16));
    }
}

/* Rows [i, i + high) of dw, columns [j, j + PANEL), from packed operands. */
static void run_weight_panel(const weight_product *g, weight_scratch *s, const tile *dy, int64_t i,
                             int64_t high, int64_t j) {
    int64_t columns = least(PANEL, g->out - j);
    bool direct = high % TILE_ROWS == 0 && columns % TILE_ROWS == 0;
    float *dw = g->dw + i * g->out + j;
    tile_product p = {.a = s->x,
                      .b = dy,
                      .high = (high + TILE_ROWS - 1) / TILE_ROWS,
                      .depth = (g->rows + TILE_DEPTH - 1) / TILE_DEPTH,
                      .wide = columns > TILE_ROWS,
                      .c = direct ? dw : s->dw,
                      .c_row = direct ? g->out : PANEL};
    if (!direct && g->add)
        take_block(s->dw, dw, g->out, high, columns);
    p.start = g->add ? p.c : NULL;
    p.start_row = p.c_row;
    tile_multiply(&p);
    if (!direct)
        finish_identity(&(finish_block){
            .out = dw, .out_row = g->out, .c = s->dw, .y = dw, .rows = high, .columns = columns});
}

/* Up to ROWS rows, columns [n, n + DEPTH) of dw. */
static void run_weight_block(const weight_product *g, weight_scratch *s, int64_t n) {
    int64_t depth = (g->rows + TILE_DEPTH - 1) / TILE_DEPTH, end = least(n + DEPTH, g->out);
    for (int64_t j = n; j < end; j += PANEL)
        pack_pairs(s->dy + (j - n) / PANEL * 2 * depth, g->dy + j, g->dy_row, g->rows, least(PANEL, end - j));
    for (int64_t i = 0; i < g->in; i += ROWS) {
        int64_t high = least(ROWS, g->in - i);
        pack_columns(s->x, g->x + i, g->x_row, g->rows, high);
        for (int64_t j = n; j < end; j += PANEL)
            run_weight_panel(g, s, s->dy + (j - n) / PANEL * 2 * depth, i, high, j);
    }
}

static void run_weight_product(const weight_product *whole) {
    weight_scratch s;
    weight_product g = *whole;
    tile_configure();
    for (int64_t r = 0; r < whole->rows; r += ROWS) {
        g.rows = least(ROWS, whole->rows - r);
        for (int64_t n = 0; n < g.out; n += DEPTH)
            run_weight_block(&g, &s, n);
        g.x += ROWS * g.x_row;
        g.dy += ROWS * g.dy_row;
        g.add = true;
    }
}

static void amx_DENSE_DW(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    if (is_thin(&s)) {
        stay_awake();
        reini_kernels_avx512.run[REINI_DENSE_DW](call);
        return;
    }
    weight_product g = {.dw = call->out.at,
                        .x = call->in[0].at,
                        .dy = call->in[1].at,
                        .x_row = call->in[0].stride,
                        .dy_row = call->in[1].stride,
                        .in = s.in,
                        .out = s.out,
                        .rows = call->rows,
                        .add = call->accumulate};
    for (int64_t e = 0; e < s.members; e++) {
        run_weight_product(&g);
        g.dw += s.in * s.out;
        g.x += s.split ? s.in : 0;
        g.dy += s.out;
    }
}

const reini_kernels reini_kernels_bf16 = {
    "avx512 bf16 amx",
    {
        [REINI_DENSE] = amx_DENSE,
        [REINI_DENSE_DX] = amx_DENSE_DX,
        [REINI_DENSE_DX_ACT] = amx_DENSE_DX_ACT,
        [REINI_DENSE_DW] = amx_DENSE_DW,
        [REINI_PACK] = amx_PACK,
        [REINI_SQUARE] = amx_SQUARE,
        [REINI_LOG_SOFTMAX] = amx_LOG_SOFTMAX,
    },
};

/* ---- availability -------------------------------------------------------------------------------------- */

static bool processor_has_it(void) {
    enum {
        OSXSAVE = 1 << 27,
        AVX512_BF16 = 1 << 5,
        AMX_BF16 = 1 << 22,
        AMX_TILE = 1 << 24,
        TILE_STATE = 3 << 17
    };
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE))
        return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & AMX_BF16) || !(d & AMX_TILE))
        return false;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & AVX512_BF16))
        return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & TILE_STATE) == TILE_STATE;
}

/* The system keeps tile registers only for processes that ask; one question covers all threads. */
static bool system_grants_it(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}

bool reini_bf16_available(void) {
    static atomic_int known = -1; /* every thread that finds it unset computes the same value */
    int now = atomic_load_explicit(&known, memory_order_relaxed);
    if (now < 0) {
        now = processor_has_it() && system_grants_it();
        atomic_store_explicit(&known, now, memory_order_relaxed);
    }
    return now && reini_isa() >= REINI_ISA_AVX512;
}

#else

const reini_kernels reini_kernels_bf16 = {.level = "no bf16"};

bool reini_bf16_packs(const int32_t *k, bool turned) {
    (void)k;
    (void)turned;
    return false;
}

bool reini_bf16_available(void) {
    return false;
}

#endif
