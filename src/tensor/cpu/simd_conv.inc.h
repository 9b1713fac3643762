/*
 * simd_conv.inc.h - convolutions by products over windows in place; part of simd.inc.h.
 *
 *     c[i, j] = start[i, j] + sum over u, k of a[i, u, k] b[u, k, j]
 *
 * where i walks along places (or, for the weight's gradient, along a window), k along a run of neighbours in the image
 * and u over runs a line apart: an image needs no copy of its windows. b lies line by line. As in simd_gemm.inc.h every
 * element is one chain of multiply-adds in a fixed order; a block of `mr` rows by `nv` vectors of columns stays in
 * registers. There is a block for every height, so that the 9 or 7 places across an image are one or two even blocks.
 */

typedef struct runs {
    float *c;
    int64_t c_row; /* elements between rows of c */
    const float *a;
    int64_t a_row, a_k; /* elements between rows of a, and between neighbours in k */
    int64_t a_line;     /* elements from a run's first to the next run's */
    int64_t run, count; /* k in a run, and runs */
    const float *b;
    int64_t b_row;
    int64_t m, n;
    const float *bias; /* (n), or NULL */
    bool add;          /* start from c; else from the bias, or 0 */
} runs;

/* Rows [i, i + mr), columns [j, j + nv vectors), the last vector of `last` lanes when partial. */
WIDE_INLINE void runs_block(const runs *g, const int mr, const int nv, int64_t i, int64_t j, int64_t last,
                            const bool partial) {
    wf sum[16][4];
    float *c = g->c + i * g->c_row + j;
    const float *b = g->b + j;
#pragma GCC unroll 4
    for (int v = 0; v < nv; v++) {
        wf start = g->bias ? gemm_load(g->bias + j, v, nv, last, partial) : wf_zero();
#pragma GCC unroll 16
        for (int x = 0; x < mr; x++)
            sum[x][v] = g->add ? gemm_load(c + x * g->c_row, v, nv, last, partial) : start;
    }
    /* four rows of a per address register, as in gemm_block; in bytes */
    int64_t a_row = g->a_row * 4, a_row3 = 3 * a_row, a_k = g->a_k * 4, b_row = g->b_row;
    int64_t jump = g->a_line * 4 - g->run * a_k;
    const char *quad[4];
#pragma GCC unroll 4
    for (int q = 0; q < (mr + 3) / 4; q++) {
        quad[q] = (const char *)(g->a + i * g->a_row) + 4 * q * a_row;
        HIDE(quad[q]);
    }
    for (int64_t u = g->count; u > 0; u--) {
        for (int64_t k = g->run; k > 0; k--, b += b_row) {
            wf line[4];
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                line[v] = gemm_load(b, v, nv, last, partial);
#pragma GCC unroll 16
            for (int x = 0; x < mr; x++) {
                const char *at = quad[x / 4] + (x % 4 == 3 ? a_row3 : (x % 4) * a_row);
                wf factor = wf_set1(*(const float *)at);
#pragma GCC unroll 4
                for (int v = 0; v < nv; v++)
                    sum[x][v] = wf_fma(factor, line[v], sum[x][v]);
            }
#pragma GCC unroll 4
            for (int q = 0; q < (mr + 3) / 4; q++)
                quad[q] += a_k;
        }
#pragma GCC unroll 4
        for (int q = 0; q < (mr + 3) / 4; q++)
            quad[q] += jump;
    }
#pragma GCC unroll 16
    for (int x = 0; x < mr; x++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++) {
            float *to = c + x * g->c_row + v * WF_LANES;
            if (partial && v == nv - 1)
                wf_store_n(to, sum[x][v], last);
            else
                wf_store(to, sum[x][v]);
        }
}

typedef void runs_fn(const runs *g, int64_t i, int64_t j, int64_t last);

#define RUNS_BLOCK(nv, mr)                                                                                   \
    static                                                                                                   \
        __attribute__((noinline)) void runs_##nv##_##mr(const runs *g, int64_t i, int64_t j, int64_t last) { \
        runs_block(g, mr, nv, i, j, last, false);                                                            \
    }
#define RUNS_PARTIAL(mr)                                                                                     \
    static __attribute__((noinline)) void runs_partial_##mr(const runs *g, int64_t i, int64_t j,             \
                                                            int64_t last) {                                  \
        runs_block(g, mr, 1, i, j, last, true);                                                              \
    }

/* clang-format off */
RUNS_PARTIAL(1) RUNS_PARTIAL(2) RUNS_PARTIAL(3) RUNS_PARTIAL(4) RUNS_PARTIAL(5) RUNS_PARTIAL(6) RUNS_PARTIAL(7)
RUNS_PARTIAL(8)
static runs_fn *const runs_partial[] = {
    NULL, runs_partial_1, runs_partial_2, runs_partial_3, runs_partial_4, runs_partial_5, runs_partial_6,
    runs_partial_7, runs_partial_8};
RUNS_BLOCK(1, 1) RUNS_BLOCK(1, 2) RUNS_BLOCK(1, 3) RUNS_BLOCK(1, 4) RUNS_BLOCK(1, 5) RUNS_BLOCK(1, 6)
RUNS_BLOCK(1, 7) RUNS_BLOCK(1, 8)
RUNS_BLOCK(2, 1) RUNS_BLOCK(2, 2) RUNS_BLOCK(2, 3) RUNS_BLOCK(2, 4)
#if WIDE_LEVEL > 0
RUNS_BLOCK(2, 5) RUNS_BLOCK(2, 6)
#endif
#if WIDE_LEVEL == 2
RUNS_BLOCK(1, 9) RUNS_BLOCK(1, 10) RUNS_BLOCK(1, 11) RUNS_BLOCK(1, 12) RUNS_BLOCK(1, 13) RUNS_BLOCK(1, 14)
RUNS_BLOCK(1, 15) RUNS_BLOCK(1, 16)
RUNS_BLOCK(2, 7) RUNS_BLOCK(2, 8) RUNS_BLOCK(2, 9) RUNS_BLOCK(2, 10) RUNS_BLOCK(2, 11) RUNS_BLOCK(2, 12)
RUNS_BLOCK(4, 1) RUNS_BLOCK(4, 2) RUNS_BLOCK(4, 3) RUNS_BLOCK(4, 4) RUNS_BLOCK(4, 5) RUNS_BLOCK(4, 6)
#endif
static runs_fn *const runs_1[] = {
    NULL, runs_1_1, runs_1_2, runs_1_3, runs_1_4, runs_1_5, runs_1_6, runs_1_7, runs_1_8,
#if WIDE_LEVEL == 2
    runs_1_9, runs_1_10, runs_1_11, runs_1_12, runs_1_13, runs_1_14, runs_1_15, runs_1_16,
#endif
};
static runs_fn *const runs_2[] = {
    NULL, runs_2_1, runs_2_2, runs_2_3, runs_2_4,
#if WIDE_LEVEL > 0
    runs_2_5, runs_2_6,
#endif
#if WIDE_LEVEL == 2
    runs_2_7, runs_2_8, runs_2_9, runs_2_10, runs_2_11, runs_2_12,
#endif
};
#if WIDE_LEVEL == 2
static runs_fn *const runs_4[] = {NULL, runs_4_1, runs_4_2, runs_4_3, runs_4_4, runs_4_5, runs_4_6};
#endif
/* clang-format on */

/* All rows of a panel of columns, in blocks of even height up to `highest`. */
static void runs_panel(const runs *g, runs_fn *const *block, int64_t highest, int64_t j, int64_t last) {
    int64_t left = (g->m + highest - 1) / highest;
    for (int64_t i = 0; left > 0; left--) {
        int64_t high = (g->m - i + left - 1) / left;
        block[high](g, i, j, last);
        i += high;
    }
}

#define HIGHEST(table) ((int64_t)(sizeof(table) / sizeof(*(table))) - 1)

static void runs_product(const runs *g) {
    int64_t j = 0;
#if WIDE_LEVEL == 2
    for (; j + 4 * WF_LANES <= g->n; j += 4 * WF_LANES)
        runs_panel(g, runs_4, HIGHEST(runs_4), j, WF_LANES);
#endif
    for (; j + 2 * WF_LANES <= g->n; j += 2 * WF_LANES)
        runs_panel(g, runs_2, HIGHEST(runs_2), j, WF_LANES);
    for (; j + WF_LANES <= g->n; j += WF_LANES)
        runs_panel(g, runs_1, HIGHEST(runs_1), j, WF_LANES);
    if (j < g->n)
        runs_panel(g, runs_partial, HIGHEST(runs_partial), j, g->n - j);
}

/* ---- the layer and its gradients ----------------------------------------------------------------------- */

typedef struct conv_shape {
    int64_t channels, height, width, out; /* of the operand; out = channels of the result */
    int64_t kernel, stride;
    int64_t high, wide;      /* places */
    int64_t line, run, step; /* numbers in a line of the image, in one of a window, and between places */
} conv_shape;

static conv_shape conv_shape_of(const int32_t *k) {
    conv_shape s = {
        .channels = k[0], .height = k[1], .width = k[2], .out = k[3], .kernel = k[4], .stride = k[5]};
    s.high = (s.height - s.kernel) / s.stride + 1;
    s.wide = (s.width - s.kernel) / s.stride + 1;
    s.line = s.width * s.channels;
    s.run = s.kernel * s.channels;
    s.step = s.stride * s.channels;
    return s;
}

/* The rows of the weight that stay in the nearest cache while all places of an image go by; a chain of sums goes on
 * through the result. */
enum { CONV_DEPTH = 128 };

/* Part [k, k + g->run) of g->count lines of every window, from line u on. */
static void conv_slice(const reini_call *call, const conv_shape *s, runs *g, int64_t r, int64_t u,
                       int64_t k) {
    g->b = (const float *)call->in[1].at + (u * s->run + k) * s->out;
    g->add = u + k > 0;
    for (int64_t i = 0; i < s->high; i++) {
        g->a = row(call, 0, r) + (i * s->stride + u) * s->line + k;
        g->c = row_out(call, r) + i * s->wide * s->out;
        runs_product(g);
    }
}

static void simd_CONV(const reini_call *call) {
    conv_shape s = conv_shape_of(call->k);
    runs g = {.c_row = s.out,
              .a_row = s.step,
              .a_k = 1,
              .a_line = s.line,
              .b_row = s.out,
              .m = s.wide,
              .n = s.out,
              .bias = call->k[7] ? call->in[2].at : NULL};
    int64_t lines = s.run < CONV_DEPTH ? CONV_DEPTH / s.run : 1,
            parts = (s.run + CONV_DEPTH - 1) / CONV_DEPTH;
    int64_t part = (s.run + parts - 1) / parts;
    for (int64_t r = 0; r < call->rows; r++) {
        for (int64_t u = 0; u < s.kernel; u += lines)
            for (int64_t k = 0; k < s.run; k += part) {
                g.count = least(lines, s.kernel - u);
                g.run = least(part, s.run - k);
                conv_slice(call, &s, &g, r, u, k);
            }
        activate(row_out(call, r), 1, call->out.width, call->out.width, (rein_activation)call->k[6]);
    }
}

/* The places of a line share their window's pixel (ky, kx): a product for each of them. */
static void simd_CONV_DX(const reini_call *call) {
    conv_shape s = conv_shape_of(call->k);
    runs g = {.c_row = s.step,
              .a_row = s.out,
              .a_k = 1,
              .run = s.out,
              .count = 1,
              .b_row = s.kernel * s.run,
              .m = s.wide,
              .n = s.channels,
              .add = true};
    for (int64_t r = 0; r < call->rows; r++) {
        float *dx = row_out(call, r);
        EACH(call->out.width, STORE(dx, wf_zero()););
        for (int64_t at = 0; at < s.high * s.kernel * s.kernel; at++) {
            int64_t pixel = at / s.high, i = at % s.high;
            g.a = row(call, 0, r) + i * s.wide * s.out;
            g.b = (const float *)call->in[1].at + pixel * s.channels;
            g.c = dx + (i * s.stride + pixel / s.kernel) * s.line + pixel % s.kernel * s.channels;
            runs_product(&g);
        }
    }
}

static void simd_CONV_DW(const reini_call *call) {
    conv_shape s = conv_shape_of(call->k);
    runs g = {.c_row = s.out,
              .a_row = 1,
              .a_k = s.step,
              .a_line = s.stride * s.line,
              .run = s.wide,
              .count = s.high,
              .b_row = s.out,
              .m = s.run,
              .n = s.out,
              .add = call->accumulate};
    for (int64_t r = 0; r < call->rows; r++, g.add = true)
        for (int64_t ky = 0; ky < s.kernel; ky++) {
            g.a = row(call, 0, r) + ky * s.line;
            g.b = row(call, 1, r);
            g.c = (float *)call->out.at + ky * s.run * s.out;
            runs_product(&g);
        }
}

static void simd_SUM_PLACES(const reini_call *call) {
    int64_t n = call->out.width;
    reini_call one = {.out = call->out,
                      .in = {{.stride = n, .width = n}},
                      .rows = (int32_t)(call->in[0].width / n),
                      .accumulate = call->accumulate};
    for (int64_t r = 0; r < call->rows; r++, one.accumulate = true) {
        one.in[0].at = (char *)call->in[0].at + (size_t)(r * call->in[0].stride) * sizeof(float);
        simd_SUM_ROWS(&one);
    }
}

/* ---- copies -------------------------------------------------------------------------------------------- */

/* planes of bytes to pixels; a constant number of channels lets the compiler interleave */
WIDE_INLINE void interleave(float *y, const uint8_t *x, const int64_t channels, int64_t pixels,
                            float factor) {
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < channels; c++)
            y[i * channels + c] = factor * (float)x[c * pixels + i];
}

static void simd_IMAGE(const reini_call *call) {
    int64_t channels = call->k[0], pixels = (int64_t)call->k[1] * call->k[2];
    float factor = (float)call->p[0];
    for (int64_t r = 0; r < call->rows; r++) {
        const uint8_t *x = (const uint8_t *)call->in[0].at + r * call->in[0].stride;
        if (channels == 4)
            interleave(row_out(call, r), x, 4, pixels, factor);
        else if (channels == 3)
            interleave(row_out(call, r), x, 3, pixels, factor);
        else
            interleave(row_out(call, r), x, channels, pixels, factor);
    }
}

static void simd_PAD(const reini_call *call) {
    int64_t line = (int64_t)call->k[2] * call->k[0], border = call->k[3];
    int64_t side = border * call->k[0], line_out = line + 2 * side;
    for (int64_t r = 0; r < call->rows; r++) {
        float *y = row_out(call, r);
        EACH(call->out.width, STORE(y, wf_zero()););
        for (int64_t h = 0; h < call->k[1]; h++)
            copy_row(y + (h + border) * line_out + side, row(call, 0, r) + h * line, line, 4);
    }
}

static void simd_CROP(const reini_call *call) {
    int64_t line = (int64_t)call->k[2] * call->k[0], border = call->k[3];
    int64_t side = border * call->k[0], line_in = line + 2 * side;
    for (int64_t r = 0; r < call->rows; r++)
        for (int64_t h = 0; h < call->k[1]; h++)
            copy_row(row_out(call, r) + h * line, row(call, 0, r) + (h + border) * line_in + side, line, 4);
}

/* ---- pooling ------------------------------------------------------------------------------------------- */

/* The part of a window that lies inside the image. */
typedef struct window {
    int64_t top, bottom, left, right;
} window;

static window window_of(const int32_t *k, int64_t i, int64_t j) {
    int64_t top = i * k[4] - k[5], left = j * k[4] - k[5];
    return (window){top > 0 ? top : 0, least(top + k[3], k[1]), left > 0 ? left : 0,
                    least(left + k[3], k[2])};
}

/* v where the largest x lies, channels [c, c + lanes) of one window */
WIDE_INLINE wf pool_chosen(const int32_t *k, const window *at, const float *x, const float *v, int64_t c,
                           int64_t lanes) {
    int64_t first = (at->top * k[2] + at->left) * k[0] + c;
    wf best = load_some(x + first, lanes), chosen = load_some(v + first, lanes);
    for (int64_t h = at->top; h < at->bottom; h++)
        for (int64_t w = at->left; w < at->right; w++) {
            wf here = load_some(x + (h * k[2] + w) * k[0] + c, lanes);
            wm above = wf_lt(best, here);
            chosen = wf_select(above, load_some(v + (h * k[2] + w) * k[0] + c, lanes), chosen);
            best = wf_select(above, here, best);
        }
    return chosen;
}

static void simd_MAX_POOL(const reini_call *call) {
    int64_t channels = call->k[0], wide = call->k[6], places = call->out.width / channels;
    for (int64_t r = 0; r < call->rows; r++)
        for (int64_t p = 0; p < places; p++) {
            window at = window_of(call->k, p / wide, p % wide);
            for (int64_t c = 0; c < channels; c += WF_LANES) {
                int64_t lanes = least(WF_LANES, channels - c);
                store_some(row_out(call, r) + p * channels + c,
                           pool_chosen(call->k, &at, row(call, 0, r), row(call, 1, r), c, lanes), lanes);
            }
        }
}

/* Adds dy where the largest x lies: where x equals it for the first time. */
WIDE_INLINE void pool_send(const int32_t *k, const window *at, const float *x, wf dy, float *dx, int64_t c,
                           int64_t lanes) {
    wf largest = pool_chosen(k, at, x, x, c, lanes);
    for (int64_t h = at->top; h < at->bottom; h++)
        for (int64_t w = at->left; w < at->right; w++) {
            int64_t here = (h * k[2] + w) * k[0] + c;
            wm hit = wf_eq(load_some(x + here, lanes), largest);
            store_some(dx + here, wf_add(load_some(dx + here, lanes), wf_select(hit, dy, wf_zero())), lanes);
            dy = wf_select(hit, wf_zero(), dy);
        }
}

static void simd_MAX_POOL_GRAD(const reini_call *call) {
    int64_t channels = call->k[0], wide = call->k[6], places = call->in[0].width / channels;
    for (int64_t r = 0; r < call->rows; r++) {
        float *dx = row_out(call, r);
        EACH(call->out.width, STORE(dx, wf_zero()););
        for (int64_t p = 0; p < places; p++) {
            window at = window_of(call->k, p / wide, p % wide);
            for (int64_t c = 0; c < channels; c += WF_LANES) {
                int64_t lanes = least(WF_LANES, channels - c);
                wf dy = load_some(row(call, 0, r) + p * channels + c, lanes);
                pool_send(call->k, &at, row(call, 1, r), dy, dx, c, lanes);
            }
        }
    }
}
