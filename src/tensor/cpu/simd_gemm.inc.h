/*
 * simd_gemm.inc.h - the matrix product behind dense layers; part of simd.inc.h.
 *
 *     c[i, j] = start[i, j] + sum_k a[i, k] b[k, j]
 *
 * Every element is one chain of multiply-adds over increasing k, so its bits do not depend on the block it is
 * computed in. A block of MR rows by NV vectors of columns stays in registers: per k it loads NV vectors of
 * b, broadcasts MR elements of a, and does MR NV multiply-adds.
 */

/* A matrix that will be wanted next, fetched from memory a few lines of the cache at a time while another is worked on. */
typedef struct fetch {
    const float *at;
    int64_t row, width, left; /* between rows, of a row, and rows from `at` on; 0: nothing is fetched */
    int64_t column;           /* in the row at `at` */
    int64_t share;            /* lines at a time */
} fetch;

enum { CACHE_LINE = 16 }; /* numbers */

static void fetch_some(fetch *f) {
    for (int64_t i = 0; i < f->share && f->left > 0; i++) {
        __builtin_prefetch(f->at + f->column, 0, 2);
        f->column += CACHE_LINE;
        if (f->column >= f->width) {
            f->column = 0;
            f->at += f->row;
            f->left--;
        }
    }
}

typedef struct gemm {
    float *c;
    int64_t c_row; /* elements between rows of c */
    const float *a;
    int64_t a_row, a_k; /* elements between rows of a, and between neighbours in k */
    const float *b;
    int64_t b_row;
    int64_t m, n, k;
    const float *bias; /* (n), or NULL */
    bool add;          /* start from c; else from the bias, or 0 */
    const float
        *y; /* laid out as c, n a multiple of the lanes: multiply by act's derivative at value y; or NULL */
    rein_activation act;
    bool relu;    /* of the sums; n a multiple of the lanes */
    fetch *ahead; /* what each block fetches some of, or NULL */
} gemm;

/* dy times the derivative of tanh or relu where its value is y, as TANH_GRAD and RELU_GRAD compute it */
WIDE_INLINE wf gemm_slope(wf dy, wf y, const rein_activation act) {
    if (act == REIN_ACT_TANH)
        return wf_mul(dy, wf_fnma(y, y, wf_set1(1.0f)));
    return wf_select(wf_lt(wf_zero(), y), dy, wf_zero());
}

/* Applies it to a block's sums. */
#define GEMM_SLOPE(act)                                                                                      \
    _Pragma("GCC unroll 16") for (int x = 0; x < mr; x++)                                                    \
        _Pragma("GCC unroll 4") for (int v = 0; v < nv; v++) sum[x][v] =                                     \
            gemm_slope(sum[x][v], wf_load(g->y + (i + x) * g->c_row + j + v * WF_LANES), act)

/* the compiler forgets how the value was computed */
#define HIDE(x) __asm__("" : "+r"(x))

WIDE_INLINE wf gemm_load(const float *p, int v, int nv, int64_t last, bool partial) {
    return partial && v == nv - 1 ? wf_load_n(p + v * WF_LANES, last) : wf_load(p + v * WF_LANES);
}

/* Rows [i, i + mr), columns [j, j + nv vectors), the last vector of `last` lanes when partial. */
WIDE_INLINE void gemm_block(const gemm *g, const int mr, const int nv, int64_t i, int64_t j, int64_t last,
                            const bool partial) {
    wf sum[16][4];
    float *c = g->c + i * g->c_row + j;
    const float *a = g->a + i * g->a_row, *b = g->b + j;
    if (g->ahead)
        fetch_some(g->ahead);
    if (g->add) {
#pragma GCC unroll 16
        for (int x = 0; x < mr; x++)
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                sum[x][v] = gemm_load(c + x * g->c_row, v, nv, last, partial);
    } else {
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++) {
            wf start = g->bias ? gemm_load(g->bias + j, v, nv, last, partial) : wf_zero();
#pragma GCC unroll 16
            for (int x = 0; x < mr; x++)
                sum[x][v] = start;
        }
    }
    /* four rows of a per address register: the compiler would spend one on each and run out */
    int64_t a_row = g->a_row * 4, a_row3 = 3 * a_row, a_k = g->a_k * 4, b_row = g->b_row; /* a: in bytes */
    const char *quad[4];
#pragma GCC unroll 4
    for (int q = 0; q < (mr + 3) / 4; q++) {
        quad[q] = (const char *)a + 4 * q * a_row;
        HIDE(quad[q]);
    }
    for (int64_t k = g->k; k > 0; k--, b += b_row) {
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
    if (!partial && g->y && g->act == REIN_ACT_TANH) {
        GEMM_SLOPE(REIN_ACT_TANH);
    } else if (!partial && g->y && g->act == REIN_ACT_RELU) {
        GEMM_SLOPE(REIN_ACT_RELU);
    } else if (!partial && g->relu) {
#pragma GCC unroll 16
        for (int x = 0; x < mr; x++)
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                sum[x][v] = wf_relu(sum[x][v]);
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

/* All rows of nv vectors of columns: blocks of the largest height, then smaller ones. */
#define GEMM_ROWS(mr, nv)                                                                                    \
    for (; i + mr <= g->m; i += mr)                                                                          \
        gemm_block(g, mr, nv, i, j, last, partial);
/* 7 and 8 rows are better as 4 and the rest than as 6 and the rest */
#define GEMM_ROWS6(nv)                                                                                       \
    for (; i + 6 <= g->m && g->m - i != 7 && g->m - i != 8; i += 6)                                          \
        gemm_block(g, 6, nv, i, j, last, partial);
#define GEMM_PANEL(nv, ...)                                                                                  \
    WIDE_INLINE void gemm_panel_##nv(const gemm *g, int64_t j, int64_t last, const bool partial) {           \
        int64_t i = 0;                                                                                       \
        __VA_ARGS__                                                                                          \
    }                                                                                                        \
    static __attribute__((noinline)) void gemm_whole_##nv(const gemm *g, int64_t j) {                        \
        gemm_panel_##nv(g, j, WF_LANES, false);                                                              \
    }                                                                                                        \
    static __attribute__((noinline)) void gemm_partial_##nv(const gemm *g, int64_t j, int64_t last) {        \
        gemm_panel_##nv(g, j, last, true);                                                                   \
    }

#if WIDE_LEVEL == 2
enum { GEMM_VECTORS = 4, GEMM_BLOCK = 24 };
GEMM_PANEL(1, GEMM_ROWS(16, 1) GEMM_ROWS(8, 1) GEMM_ROWS(4, 1) GEMM_ROWS(2, 1) GEMM_ROWS(1, 1))
GEMM_PANEL(2, GEMM_ROWS(12, 2) GEMM_ROWS(8, 2) GEMM_ROWS(4, 2) GEMM_ROWS(2, 2) GEMM_ROWS(1, 2))
GEMM_PANEL(3, GEMM_ROWS(8, 3) GEMM_ROWS(4, 3) GEMM_ROWS(3, 3) GEMM_ROWS(2, 3) GEMM_ROWS(1, 3))
GEMM_PANEL(4, GEMM_ROWS6(4) GEMM_ROWS(4, 4) GEMM_ROWS(3, 4) GEMM_ROWS(2, 4) GEMM_ROWS(1, 4))
#else
enum { GEMM_VECTORS = 2, GEMM_BLOCK = 24 };
GEMM_PANEL(1, GEMM_ROWS(8, 1) GEMM_ROWS(4, 1) GEMM_ROWS(2, 1) GEMM_ROWS(1, 1))
#if WIDE_LEVEL == 1
GEMM_PANEL(2, GEMM_ROWS6(2) GEMM_ROWS(4, 2) GEMM_ROWS(2, 2) GEMM_ROWS(1, 2))
#else
GEMM_PANEL(2, GEMM_ROWS(4, 2) GEMM_ROWS(2, 2) GEMM_ROWS(1, 2))
#endif
#endif

static void gemm_panels(const gemm *g) {
    static void (*const whole[])(const gemm *, int64_t) = {
        gemm_whole_1,
        gemm_whole_2,
#if WIDE_LEVEL == 2
        gemm_whole_3,
        gemm_whole_4,
#endif
    };
    static void (*const partial[])(const gemm *, int64_t, int64_t) = {
        gemm_partial_1,
        gemm_partial_2,
#if WIDE_LEVEL == 2
        gemm_partial_3,
        gemm_partial_4,
#endif
    };
    for (int64_t j = 0; j < g->n; j += GEMM_VECTORS * WF_LANES) {
        int64_t columns = least(g->n - j, GEMM_VECTORS * WF_LANES), last = columns % WF_LANES;
        int64_t vectors = (columns + WF_LANES - 1) / WF_LANES;
        if (last)
            partial[vectors - 1](g, j, last);
        else
            whole[vectors - 1](g, j);
    }
}

/* Large matrices are cut so that memory is walked in order: lines of c, or of b, that lie far apart would each need a
 * page of their own. A chain of sums goes on through c, so that no bit changes. While one piece is worked on the next one
 * is fetched. */
enum { GEMM_HIGH = 48, GEMM_DEEP = 128, GEMM_LARGE = 1 << 17 };

/* So that the blocks of a product (m x n) together fetch rows x width numbers. */
static fetch fetch_of(const float *at, int64_t row, int64_t rows, int64_t width, int64_t m, int64_t n) {
    int64_t blocks = (m + 5) / 6 * ((n + GEMM_VECTORS * WF_LANES - 1) / (GEMM_VECTORS * WF_LANES));
    int64_t lines = rows * ((width + CACHE_LINE - 1) / CACHE_LINE);
    return (fetch){.at = at, .row = row, .width = width, .left = rows, .share = lines / blocks + 1};
}

/* Rows of c in bands, all their columns at once. */
static void gemm_bands(const gemm *g) {
    if (g->m * g->n < GEMM_LARGE) {
        gemm_panels(g);
        return;
    }
    gemm band = *g;
    fetch ahead;
    for (int64_t i = 0; i < g->m; i += GEMM_HIGH) {
        int64_t next = least(GEMM_HIGH, g->m - i - GEMM_HIGH);
        band.m = least(GEMM_HIGH, g->m - i);
        band.c = g->c + i * g->c_row;
        band.a = g->a + i * g->a_row;
        band.y = g->y ? g->y + i * g->c_row : NULL;
        band.ahead = NULL;
        if (next > 0) {
            ahead = fetch_of(band.c + GEMM_HIGH * g->c_row, g->c_row, next, g->n, band.m, g->n);
            band.ahead = &ahead;
        }
        gemm_panels(&band);
    }
}

static void gemm_run(const gemm *g) {
    if (g->k * g->n < GEMM_LARGE || g->k <= GEMM_DEEP) {
        gemm_bands(g);
        return;
    }
    gemm slice = *g;
    fetch ahead;
    for (int64_t k = 0; k < g->k; k += GEMM_DEEP) {
        int64_t next = least(GEMM_DEEP, g->k - k - GEMM_DEEP);
        slice.k = least(GEMM_DEEP, g->k - k);
        slice.y = k + slice.k == g->k ? g->y : NULL;
        slice.relu = k + slice.k == g->k && g->relu;
        slice.ahead = NULL;
        if (next > 0 && g->m * g->n < GEMM_LARGE) {
            ahead = fetch_of(slice.b + GEMM_DEEP * g->b_row, g->b_row, next, g->n, g->m, g->n);
            slice.ahead = &ahead;
        }
        gemm_bands(&slice);
        slice.a += GEMM_DEEP * g->a_k;
        slice.b += GEMM_DEEP * g->b_row;
        slice.bias = NULL;
        slice.add = true;
    }
}
