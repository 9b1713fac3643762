/* simd_dense.inc.h - dense layers and their gradients; part of simd.inc.h. */

typedef struct dense_shape {
    int64_t in, out, members; /* E = members */
    int64_t x_member;         /* elements from one member's x to the next's: in when split, else 0 */
    rein_activation act;
    bool has_bias;
} dense_shape;

static dense_shape dense_shape_of(const int32_t *k) {
    return (dense_shape){k[0], k[1], k[2], k[3] ? k[0] : 0, (rein_activation)k[4], k[5] != 0};
}

/* Products with up to FEW columns run as dot products over k, FEW_DEPTH long at most. */
enum { FEW = 4, FEW_DEPTH = 1024 };

/* Column o of b (k x n) as contiguous numbers. */
static const float *few_column(float copy[FEW_DEPTH], const gemm *g, int64_t o) {
    if (g->n == 1)
        return g->b;
    for (int64_t k = 0; k < g->k; k++)
        copy[k] = g->b[k * g->n + o];
    return copy;
}

WIDE_INLINE float few_dot(const float *a, const float *w, int64_t n) {
    wf sum = wf_zero();
    EACH(n, sum = wf_fma(LOAD(a), LOAD(w), sum););
    return wf_sum(sum);
}

/* `lanes` elements of WF_LANES rows times w. Four rows per address register, as in gemm_block. */
WIDE_INLINE void few_step(wf sum[WF_LANES], const char *const *quad, int64_t row, const float *w,
                          int64_t lanes) {
    wf factor = load_some(w, lanes);
    int64_t row3 = 3 * row; /* bytes */
#pragma GCC unroll 16
    for (int l = 0; l < WF_LANES; l++) {
        const char *at = quad[l / 4] + (l % 4 == 3 ? row3 : l % 4 * row);
        sum[l] = wf_fma(load_some((const float *)at, lanes), factor, sum[l]);
    }
}

/* WF_LANES rows of a times w (k), a lane each, in the order of few_dot. */
WIDE_INLINE wf few_dots(const gemm *g, const float *a, const float *w) {
    wf sum[WF_LANES];
    int64_t row = g->a_row * 4, k = g->k;
    const char *quad[WF_LANES / 4];
#pragma GCC unroll 4
    for (int q = 0; q < WF_LANES / 4; q++) {
        quad[q] = (const char *)a + 4 * q * row;
        HIDE(quad[q]);
    }
#pragma GCC unroll 16
    for (int l = 0; l < WF_LANES; l++)
        sum[l] = wf_zero();
    for (; k >= WF_LANES; k -= WF_LANES, w += WF_LANES) {
        few_step(sum, quad, row, w, WF_LANES);
#pragma GCC unroll 4
        for (int q = 0; q < WF_LANES / 4; q++)
            quad[q] += WF_LANES * 4;
    }
    if (k > 0)
        few_step(sum, quad, row, w, k);
    return wf_sum_each(sum);
}

static void few_run(const gemm *g) {
    float copy[FEW_DEPTH];
    for (int64_t o = 0; o < g->n; o++) {
        const float *w = few_column(copy, g, o);
        float bias = g->bias ? g->bias[o] : 0;
        for (int64_t i = 0; g->m < WF_LANES && i < g->m; i++)
            g->c[i * g->c_row + o] = bias + few_dot(g->a + i * g->a_row, w, g->k);
        for (int64_t next = 0; g->m >= WF_LANES && next < g->m; next += WF_LANES) {
            /* the last block overlaps the one before it */
            int64_t i = least(next, g->m - WF_LANES);
            wf dots = few_dots(g, g->a + i * g->a_row, w);
            wf_column_store(g->c + i * g->c_row + o, g->c_row, wf_add(wf_set1(bias), dots), WF_LANES);
        }
    }
}

/* c (m x n) from contiguous rows of a; b (k x n) contiguous. */
static void product(const gemm *g) {
    if (g->n <= FEW && g->k <= FEW_DEPTH && !g->add)
        few_run(g);
    else
        gemm_run(g);
}

static flat_fn *const activations[] = {
    [REIN_ACT_TANH] = flat_TANH, [REIN_ACT_RELU] = flat_RELU,       [REIN_ACT_SILU] = flat_SILU,
    [REIN_ACT_GELU] = flat_GELU, [REIN_ACT_SIGMOID] = flat_SIGMOID,
};

static void activate(float *y, int64_t rows, int64_t width, int64_t stride, rein_activation act) {
    static const int64_t step[] = {1};
    if (act == REIN_ACT_IDENTITY)
        return;
    if (stride == width)
        activations[act](y, (const float *const[]){y}, step, rows * width, NULL);
    else
        for (int64_t r = 0; r < rows; r++, y += stride)
            activations[act](y, (const float *const[]){y}, step, width, NULL);
}

/* This call's share of n columns, in whole panels. */
typedef struct cut {
    int64_t begin, count;
} cut;

static cut share_of(const reini_call *call, int64_t n, int64_t panel) {
    if (call->parts <= 1)
        return (cut){0, n};
    int64_t panels = (n + panel - 1) / panel;
    int64_t begin = panels * call->part / call->parts * panel;
    return (cut){begin, least(panels * (call->part + 1) / call->parts * panel, n) - begin};
}

enum { PANEL = GEMM_VECTORS * WF_LANES };

static void simd_DENSE(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    int64_t width = s.members * s.out;
    cut own = share_of(call, s.out, PANEL); /* of a large layer, which has one member */
    bool whole = own.count == s.out;
    bool relu = s.act == REIN_ACT_RELU && own.count > FEW && own.count % WF_LANES == 0; /* by gemm_block */
    /* the activation finds its block in the nearest cache; a large weight is better read once */
    int64_t block = call->rows * width <= 4096 ? call->rows : call->parts > 0 ? GEMM_HIGH : GEMM_BLOCK;
    for (int64_t r = 0; r < call->rows && own.count > 0; r += block) {
        int64_t rows = least(block, call->rows - r);
        for (int64_t e = 0; e < s.members; e++) {
            int64_t at = e * s.out + own.begin;
            product(&(gemm){.c = row_out(call, r) + at,
                            .c_row = call->out.stride,
                            .a = row(call, 0, r) + e * s.x_member,
                            .a_row = call->in[0].stride,
                            .a_k = 1,
                            .b = (const float *)call->in[1].at + e * s.in * s.out + own.begin,
                            .b_row = s.out,
                            .m = rows,
                            .n = own.count,
                            .k = s.in,
                            .bias = s.has_bias ? (const float *)call->in[2].at + at : NULL,
                            .relu = relu});
        }
        activate(row_out(call, r) + own.begin, rows, whole ? width : own.count, call->out.stride,
                 relu ? REIN_ACT_IDENTITY : s.act);
    }
}

/* wt (out x in) = the transpose of w (in x out), rows of wt lying wt_row apart, by blocks of WF_LANES x WF_LANES. */
static void transpose(float *wt, int64_t wt_row, const float *w, int64_t w_row, int64_t in, int64_t out) {
    for (int64_t i = 0; i < in; i += WF_LANES) {
        int64_t rows = least(WF_LANES, in - i);
        for (int64_t o = 0; o < out; o += WF_LANES) {
            int64_t columns = least(WF_LANES, out - o);
            wf block[WF_LANES];
            for (int l = 0; l < WF_LANES; l++)
                block[l] = l < rows ? load_some(w + (i + l) * w_row + o, columns) : wf_zero();
            wf_transpose(block);
            for (int64_t l = 0; l < columns; l++)
                store_some(wt + (o + l) * wt_row + i, block[l], rows);
        }
    }
}

enum { WHOLE_ROWS = 32, WHOLE_OUT = 1024 };

/* dx = dy w' for a large w (in x out), which is read once in its order: dx' = w dy', a few of its rows at a time. */
static void whole_dx(const reini_call *call, cut own, int64_t r, int64_t rows) {
    int64_t out = call->k[1];
    _Alignas(64) float turned[WHOLE_OUT * WHOLE_ROWS]; /* dy' (out x rows) */
    _Alignas(64) float part[GEMM_HIGH * WHOLE_ROWS];   /* of dx' */
    REINI_ASSERT(out <= WHOLE_OUT);
    transpose(turned, WHOLE_ROWS, row(call, 0, r), call->in[0].stride, rows, out);
    for (int64_t i = own.begin; i < own.begin + own.count; i += GEMM_HIGH) {
        const float *w = (const float *)call->in[1].at + i * out;
        int64_t high = least(GEMM_HIGH, own.begin + own.count - i);
        int64_t next = least(GEMM_HIGH, own.begin + own.count - i - high);
        fetch ahead = fetch_of(w + high * out, out, next, out, high, rows);
        gemm_run(&(gemm){.c = part,
                         .c_row = WHOLE_ROWS,
                         .a = w,
                         .a_row = out,
                         .a_k = 1,
                         .b = turned,
                         .b_row = WHOLE_ROWS,
                         .m = high,
                         .n = rows,
                         .k = out,
                         .ahead = next > 0 ? &ahead : NULL});
        transpose(row_out(call, r) + i, call->out.stride, part, WHOLE_ROWS, high, rows);
    }
}

static void simd_DENSE_DX(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    for (int64_t r = 0; call->k[7] && r < call->rows; r += WHOLE_ROWS)
        whole_dx(call, share_of(call, s.in, GEMM_HIGH), r, least(WHOLE_ROWS, call->rows - r));
    if (call->k[7])
        return;
    for (int64_t e = 0; e < s.members; e++) {
        product(&(gemm){.c = row_out(call, 0) + e * s.x_member,
                        .c_row = call->out.stride,
                        .a = row(call, 0, 0) + e * s.out,
                        .a_row = call->in[0].stride,
                        .a_k = 1,
                        .b = (const float *)call->in[1].at + e * s.in * s.out,
                        .b_row = s.in,
                        .m = call->rows,
                        .n = s.in,
                        .k = s.out,
                        .add = e > 0 && s.x_member == 0});
    }
}

static void simd_DENSE_DX_ACT(const reini_call *call) {
    static flat_fn *const slopes[] = {[REIN_ACT_TANH] = flat_TANH_GRAD,
                                      [REIN_ACT_RELU] = flat_RELU_GRAD,
                                      [REIN_ACT_SIGMOID] = flat_SIGMOID_GRAD};
    static const int64_t step[] = {1, 1};
    rein_activation act = (rein_activation)call->k[6];
    int64_t in = call->k[0], out = call->k[1];
    bool fused = (act == REIN_ACT_TANH || act == REIN_ACT_RELU) && in % WF_LANES == 0 &&
                 call->in[2].stride == call->out.stride;
    gemm g = {.c = row_out(call, 0),
              .c_row = call->out.stride,
              .a = row(call, 0, 0),
              .a_row = call->in[0].stride,
              .a_k = 1,
              .b = call->in[1].at,
              .b_row = in,
              .m = call->rows,
              .n = in,
              .k = out};
    if (fused) {
        g.y = row(call, 2, 0);
        g.act = act;
        gemm_run(&g);
        return;
    }
    product(&g);
    for (int64_t r = 0; r < call->rows; r++) {
        float *dx = row_out(call, r);
        slopes[act](dx, (const float *const[]){dx, row(call, 2, r)}, step, in, NULL);
    }
}

/* A product of up to FEW rows, two vectors of columns at a time. One chain of sums a row would wait for itself, so the
 * terms go round two or four chains; how many is a matter of the shape alone. */
WIDE_INLINE void thin_block(const gemm *g, const int mr, const int chains, int64_t j) {
    wf sum[4][FEW][2];
    for (int u = 0; u < chains; u++)
        for (int x = 0; x < mr; x++)
            for (int v = 0; v < 2; v++)
                sum[u][x][v] = u == 0 && g->add ? wf_load(g->c + x * g->c_row + j + v * WF_LANES) : wf_zero();
    const float *a = g->a, *b = g->b + j;
    int64_t k = 0;
    for (; k + chains <= g->k; k += chains)
#pragma GCC unroll 4
        for (int u = 0; u < chains; u++, a += g->a_k, b += g->b_row)
#pragma GCC unroll 4
            for (int x = 0; x < mr; x++)
#pragma GCC unroll 2
                for (int v = 0; v < 2; v++)
                    sum[u][x][v] = wf_fma(wf_set1(a[x * g->a_row]), wf_load(b + v * WF_LANES), sum[u][x][v]);
    for (; k < g->k; k++, a += g->a_k, b += g->b_row)
        for (int x = 0; x < mr; x++)
            for (int v = 0; v < 2; v++)
                sum[0][x][v] = wf_fma(wf_set1(a[x * g->a_row]), wf_load(b + v * WF_LANES), sum[0][x][v]);
    for (int x = 0; x < mr; x++)
        for (int v = 0; v < 2; v++) {
            wf total = wf_add(sum[0][x][v], sum[1][x][v]);
            if (chains == 4)
                total = wf_add(total, wf_add(sum[2][x][v], sum[3][x][v]));
            wf_store(g->c + x * g->c_row + j + v * WF_LANES, total);
        }
}

/* Weight gradients with few rows; the registers of narrower levels do not hold the chains. */
static void weight_product(const gemm *g) {
    if (WIDE_LEVEL != 2 || g->m > FEW || g->n % (2 * WF_LANES) != 0) {
        gemm_run(g);
        return;
    }
    for (int64_t j = 0; j < g->n; j += 2 * WF_LANES) {
        if (g->m == 1)
            thin_block(g, 1, 4, j);
        else if (g->m == 2)
            thin_block(g, 2, 2, j);
        else if (g->m == 3)
            thin_block(g, 3, 2, j);
        else
            thin_block(g, 4, 2, j);
    }
}

/* dw (in x out) for few outputs, as its transpose: out rows of `in` columns, so that vectors run along x. */
static void few_dw(const gemm *transposed, float *dw) {
    int64_t in = transposed->n, out = transposed->m;
    float part[FEW][256];
    gemm g = *transposed;
    g.c = part[0];
    g.c_row = 256;
    for (int64_t i = 0; i < in; i += 256, g.b += 256) {
        g.n = least(256, in - i);
        for (int64_t o = 0; g.add && o < out; o++)
            for (int64_t j = 0; j < g.n; j++)
                part[o][j] = dw[(i + j) * out + o];
        weight_product(&g);
        for (int64_t o = 0; o < out; o++)
            for (int64_t j = 0; j < g.n; j++)
                dw[(i + j) * out + o] = part[o][j];
    }
}

static void simd_DENSE_DW(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    int64_t x_row = call->in[0].stride, dy_row = call->in[1].stride;
    cut own = share_of(call, s.in, GEMM_HIGH); /* of a large layer, which has one member and many outputs */
    for (int64_t e = 0; e < s.members && own.count > 0; e++) {
        float *dw = (float *)call->out.at + (e * s.in + own.begin) * s.out;
        const float *x = row(call, 0, 0) + e * s.x_member + own.begin, *dy = row(call, 1, 0) + e * s.out;
        gemm plain = {.c = dw,
                      .c_row = s.out,
                      .a = x,
                      .a_row = 1,
                      .a_k = x_row,
                      .b = dy,
                      .b_row = dy_row,
                      .m = own.count,
                      .n = s.out,
                      .k = call->rows,
                      .add = call->accumulate};
        gemm transposed = {.c = dw,
                           .c_row = s.in,
                           .a = dy,
                           .a_row = 1,
                           .a_k = dy_row,
                           .b = x,
                           .b_row = x_row,
                           .m = s.out,
                           .n = s.in,
                           .k = call->rows,
                           .add = call->accumulate};
        if (s.out == 1)
            weight_product(&transposed);
        else if (s.out <= FEW && s.in > s.out)
            few_dw(&transposed, dw);
        else
            weight_product(&plain);
    }
}

static void simd_TRANSPOSE(const reini_call *call) {
    dense_shape s = dense_shape_of(call->k);
    for (int64_t e = 0; e < s.members; e++) {
        int64_t at = e * s.in * s.out;
        transpose((float *)call->out.at + at, s.in, (const float *)call->in[0].at + at, s.out, s.in, s.out);
    }
}
