/* simd_copy.inc.h - ops that move elements, and sums over rows; part of simd.inc.h. */

/* n elements of `size` bytes */
WIDE_INLINE void copy_row(void *to, const void *from, int64_t n, int64_t size) {
    if (size != 4)
        memcpy(to, from, (size_t)(n * size));
    else
        EACH(n, STORE((float *)to, LOAD((const float *)from)););
}

static void simd_CONCAT(const reini_call *call) {
    int64_t size = call->k[1];
    char *y = call->out.at;
    const char *a = call->in[0].at, *b = call->in[1].at;
    for (int64_t r = 0; r < call->rows; r++, y += call->out.stride * size) {
        copy_row(y, a + r * call->in[0].stride * size, call->in[0].width, size);
        copy_row(y + call->in[0].width * size, b + r * call->in[1].stride * size, call->in[1].width, size);
    }
}

static void simd_SLICE(const reini_call *call) {
    int64_t size = call->k[1];
    char *to = call->out.at;
    const char *from = (const char *)call->in[0].at + call->k[0] * size;
    for (int64_t r = 0; r < call->rows; r++)
        copy_row(to + r * call->out.stride * size, from + r * call->in[0].stride * size, call->out.width,
                 size);
}

static void simd_UNSLICE(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        float *y = row_out(call, r);
        EACH(call->out.width, STORE(y, wf_zero()););
        copy_row(y + call->k[0], row(call, 0, r), call->in[0].width, 4);
    }
}

/* Rows of up to four words: the constant width makes a row's copy a move or two. */
WIDE_INLINE void gather_words(const reini_call *call, const int width, int64_t apart) {
    const int32_t *index = call->in[1].at;
    const char *table = call->in[0].at;
    char *to = call->out.at;
    for (int64_t r = 0; r < call->rows; r++) {
        int64_t i = index[r * call->in[1].stride];
        REINI_ASSERT(i >= 0);
        memcpy(to + r * call->out.stride * 4, table + i * apart * 4, (size_t)width * 4);
    }
}

static void gather_rows(const reini_call *call, int64_t size, int64_t apart) {
    const int32_t *index = call->in[1].at;
    char *to = call->out.at;
    const char *table = call->in[0].at;
    for (int64_t r = 0; r < call->rows; r++) {
        int64_t i = index[r * call->in[1].stride];
        REINI_ASSERT(i >= 0);
        copy_row(to + r * call->out.stride * size, table + i * apart * size, call->out.width, size);
    }
}

static void simd_GATHER(const reini_call *call) {
    int64_t size = call->k[1], width = call->out.width;
    int64_t apart = call->in[0].stride ? call->in[0].stride : width;
    if (size == 4 && width == 1)
        gather_words(call, 1, apart);
    else if (size == 4 && width == 2)
        gather_words(call, 2, apart);
    else if (size == 4 && width == 3)
        gather_words(call, 3, apart);
    else if (size == 4 && width == 4)
        gather_words(call, 4, apart);
    else
        gather_rows(call, size, apart);
}

/* Width 1: a lane per row modulo WF_LANES; else a lane per column modulo WF_LANES. */
static void simd_TOTAL(const reini_call *call) {
    int64_t width = call->in[0].width, stride = call->in[0].stride;
    float *out = call->out.at;
    wf sum = wf_zero();
    if (width == 1) {
        for (int64_t r = 0; r < call->rows; r += WF_LANES)
            sum = wf_add(sum, wf_column(row(call, 0, r), stride, least(WF_LANES, call->rows - r)));
    } else {
        for (int64_t r = 0; r < call->rows; r++) {
            const float *x = row(call, 0, r);
            EACH(width, ADD_TO(sum, LOAD(x)););
        }
    }
    out[0] = call->accumulate ? out[0] + wf_sum(sum) : wf_sum(sum);
}

/* nv vectors of columns; rows go round four sums, so that the additions do not wait for each other */
WIDE_INLINE void sum_columns(const reini_call *call, int64_t j, const int nv) {
    float *out = (float *)call->out.at + j;
    wf sum[4][2];
    for (int v = 0; v < nv; v++) {
        sum[0][v] = call->accumulate ? wf_load(out + v * WF_LANES) : wf_zero();
        sum[1][v] = sum[2][v] = sum[3][v] = wf_zero();
    }
    int64_t r = 0;
    for (; r + 4 <= call->rows; r += 4)
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++)
            for (int v = 0; v < nv; v++)
                sum[u][v] = wf_add(sum[u][v], wf_load(row(call, 0, r + u) + j + v * WF_LANES));
    for (; r < call->rows; r++)
        for (int v = 0; v < nv; v++)
            sum[0][v] = wf_add(sum[0][v], wf_load(row(call, 0, r) + j + v * WF_LANES));
    for (int v = 0; v < nv; v++)
        wf_store(out + v * WF_LANES, wf_add(wf_add(sum[0][v], sum[1][v]), wf_add(sum[2][v], sum[3][v])));
}

static void simd_SUM_ROWS(const reini_call *call) {
    int64_t width = call->out.width, j = 0;
    float *out = call->out.at;
    if (width == 1) {
        simd_TOTAL(call);
        return;
    }
    for (; j + 2 * WF_LANES <= width; j += 2 * WF_LANES)
        sum_columns(call, j, 2);
    for (; j + WF_LANES <= width; j += WF_LANES)
        sum_columns(call, j, 1);
    if (j < width) {
        int64_t m = width - j;
        wf sum = call->accumulate ? load_some(out + j, m) : wf_zero();
        for (int64_t r = 0; r < call->rows; r++)
            sum = wf_add(sum, load_some(row(call, 0, r) + j, m));
        store_some(out + j, sum, m);
    }
}

static void store_index(const reini_call *call, int64_t r, wf index, int64_t n) {
    int32_t lane[WF_LANES], *out = (int32_t *)call->out.at + r * call->out.stride;
    wi_store(lane, wf_to_int(index));
    for (int64_t l = 0; l < n; l++)
        out[l * call->out.stride] = lane[l];
}

static void narrow_SAMPLE_INDEX(const reini_call *call, int64_t r, int64_t n) {
    wf x[NARROW], sum = wf_zero(), last = sum, none = wf_set1(-1.0f), index = none;
    wf u = wf_column(row(call, 1, r), call->in[1].stride, n);
    load_columns(x, call, 0, r, n);
    for (int64_t j = 0; j < call->in[0].width; j++) {
        wf here = wf_set1((float)j);
        last = wf_select(masked(x[j]), last, here);
        sum = wf_add(sum, wf_exp(x[j]));
        index = wf_select(wm_and(wf_eq(index, none), wf_lt(u, sum)), here, index);
    }
    store_index(call, r, wf_select(wf_eq(index, none), last, index), n);
}

static void wide_SAMPLE_INDEX(const reini_call *call, int64_t r) {
    const float *x = row(call, 0, r);
    int64_t n = call->in[0].width, last = 0;
    int32_t *out = (int32_t *)call->out.at + r * call->out.stride;
    float u = row(call, 1, r)[0], sum = 0, term[WF_LANES];
    for (int64_t j = 0; j < n; j++) {
        if (j % WF_LANES == 0) {
            int64_t m = least(WF_LANES, n - j);
            wf_store(term, wf_exp(load_some(x + j, m)));
        }
        last = x[j] == -__builtin_inff() ? last : j;
        sum += term[j % WF_LANES];
        if (u < sum) {
            *out = (int32_t)j;
            return;
        }
    }
    *out = (int32_t)last;
}

ROW_KERNEL(SAMPLE_INDEX, call->in[0].width)
