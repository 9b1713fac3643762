/*
 * matmul_thin.inc.h - products of few rows, whose time is that of reading b; part of matmul_float.inc.h.
 *
 * Square blocks of b are transposed in registers, so that lanes are lines of b and each element is the same chain of
 * multiply-adds over the depth as in large products.
 */

enum { THIN_ROWS = 4 };

static void float_finish(const reini_sums *s, const float *c, int64_t c_row, int64_t rows, int64_t columns);

static size_t float_thin_room(const reini_lines *a, const reini_lines *b) {
    return b->across || a->across ? 0 : (size_t)(a->lines * a->depth) * sizeof(float);
}

static void float_thin_pack(void *to, const reini_lines *a) {
    float *line = to;
    for (int64_t i = 0; i < a->lines; i++, line += a->depth)
        for (int64_t d = 0; d < a->depth; d += WF_LANES) {
            int64_t n = least(WF_LANES, a->depth - d), at = i * a->stride + d;
            wf x = a->half      ? take(a->at, at, n, HALF)
                   : a->rounded ? take(a->at, at, n, ROUNDED)
                                : take(a->at, at, n, FLOAT);
            wf_store_n(line + d, x, n);
        }
}

/* sum[i] += a[i, d] b[., d] for n depths from d on */
WIDE_INLINE void thin_square(wf *sum, const float *a, const int rows, const reini_lines *b, int64_t first,
                             int64_t lines, int64_t d, int64_t n, const number_kind kind) {
    wf v[WF_LANES];
    for (int l = 0; l < WF_LANES; l++)
        v[l] = l < lines ? take(b->at, (first + l) * b->stride + d, n, kind) : wf_zero();
    wf_transpose(v);
    for (int k = 0; k < WF_LANES; k++)
        if (k < n)
            for (int i = 0; i < rows; i++)
                sum[i] = wf_fma(wf_set1(a[i * b->depth + d + k]), v[k], sum[i]);
}

WIDE_INLINE void thin_lines(const reini_sums *s, const float *a, const int rows, const reini_lines *b,
                            const number_kind kind) {
    float c[THIN_ROWS * WF_LANES];
    for (int64_t j = 0; j < b->lines; j += WF_LANES) {
        int64_t lines = least(WF_LANES, b->lines - j), d = 0;
        wf sum[THIN_ROWS];
        for (int i = 0; i < rows; i++)
            sum[i] = wf_zero();
        if (lines == WF_LANES)
            for (; d + WF_LANES <= b->depth; d += WF_LANES)
                thin_square(sum, a, rows, b, j, WF_LANES, d, WF_LANES, kind);
        for (; d < b->depth; d += WF_LANES)
            thin_square(sum, a, rows, b, j, lines, d, least(WF_LANES, b->depth - d), kind);
        for (int i = 0; i < rows; i++)
            wf_store(c + i * WF_LANES, sum[i]);
        reini_sums part = *s;
        part.to = s->half ? (void *)((uint16_t *)s->to + j) : (void *)((float *)s->to + j);
        part.bias = s->bias != NULL ? s->bias + j : NULL;
        float_finish(&part, c, WF_LANES, rows, lines);
    }
}

#define THIN(rows, kind)                                                                                     \
    case 4 * rows + kind:                                                                                    \
        thin_lines(s, a, rows, b, kind);                                                                     \
        break;
#define THIN_KINDS(rows) THIN(rows, FLOAT) THIN(rows, ROUNDED) THIN(rows, HALF)

static void float_thin(const reini_sums *s, const void *a, int64_t rows, const reini_lines *b) {
    switch (4 * rows + (int64_t)kind_of(b)) {
        THIN_KINDS(1)
        THIN_KINDS(2)
        THIN_KINDS(3)
        THIN_KINDS(4)
    }
}
