/*
 * simd_row.inc.h - ops along a row and sums over rows; part of simd.inc.h.
 *
 * Short rows (up to NARROW) are computed WF_LANES at a time, a lane per row and a vector per column. Longer
 * rows are computed one by one, their sums in WF_LANES strands joined by wf_sum. Either way a row's order of
 * additions depends on its width alone.
 */

enum { NARROW = 16 };

/* Columns of rows [r, r + n) of operand i, a lane per row. */
WIDE_INLINE void load_columns(wf v[NARROW], const reini_call *call, int i, int64_t r, int64_t n) {
    for (int64_t j = 0; j < call->in[i].width; j++)
        v[j] = wf_column(row(call, i, r) + j, call->in[i].stride, n);
}

WIDE_INLINE void store_column(const reini_call *call, int64_t j, int64_t r, wf x, int64_t n) {
    wf_column_store(row_out(call, r) + j, call->out.stride, x, n);
}

WIDE_INLINE wf load_some(const float *p, int64_t n) {
    return n == WF_LANES ? wf_load(p) : wf_load_n(p, n);
}

WIDE_INLINE void store_some(float *p, wf x, int64_t n) {
    if (n == WF_LANES)
        wf_store(p, x);
    else
        wf_store_n(p, x, n);
}

/* The body for every vector of a row of `width`: elements [j, j + lanes). */
#define EACH(width, ...)                                                                                     \
    do {                                                                                                     \
        int64_t j = 0;                                                                                       \
        for (; j + WF_LANES <= (width); j += WF_LANES) {                                                     \
            const int64_t lanes = WF_LANES;                                                                  \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
        if (j < (width)) {                                                                                   \
            const int64_t lanes = (width)-j;                                                                 \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    } while (0)
#define LOAD(p)        load_some((p) + j, lanes)
#define STORE(p, x)    store_some((p) + j, x, lanes)
#define ADD_TO(sum, x) sum = wf_add(sum, lanes == WF_LANES ? (x) : wf_first(x, lanes))

WIDE_INLINE wm masked(wf x) {
    return wf_eq(x, wf_set1(-__builtin_inff()));
}

WIDE_INLINE wf unless_masked(wf x, wf value) {
    return wf_select(masked(x), wf_zero(), value);
}

/* n >= WF_LANES; the last vector overlaps the one before it */
WIDE_INLINE float row_largest(const float *x, int64_t n) {
    wf most = wf_load(x + n - WF_LANES);
    for (int64_t j = 0; j + WF_LANES < n; j += WF_LANES)
        most = wf_max(wf_load(x + j), most);
    return wf_largest(most);
}

/* A kernel with a narrow and a wide form; `width` is the operand's that is summed over. */
#define ROW_KERNEL(name, width)                                                                              \
    static void simd_##name(const reini_call *call) {                                                        \
        if ((width) <= NARROW)                                                                               \
            for (int64_t r = 0; r < call->rows; r += WF_LANES)                                               \
                narrow_##name(call, r, least(WF_LANES, call->rows - r));                                     \
        else                                                                                                 \
            for (int64_t r = 0; r < call->rows; r++)                                                         \
                wide_##name(call, r);                                                                        \
    }

static void narrow_SUM(const reini_call *call, int64_t r, int64_t n) {
    wf x[NARROW], sum = wf_zero();
    load_columns(x, call, 0, r, n);
    for (int64_t j = 0; j < call->in[0].width; j++)
        sum = wf_add(sum, x[j]);
    store_column(call, 0, r, sum, n);
}

static void wide_SUM(const reini_call *call, int64_t r) {
    const float *x = row(call, 0, r);
    wf sum = wf_zero();
    EACH(call->in[0].width, ADD_TO(sum, LOAD(x)););
    row_out(call, r)[0] = wf_sum(sum);
}

ROW_KERNEL(SUM, call->in[0].width)

static void narrow_LOG_SOFTMAX(const reini_call *call, int64_t r, int64_t n) {
    wf x[NARROW], sum = wf_zero();
    load_columns(x, call, 0, r, n);
    wf most = x[0];
    for (int64_t j = 1; j < call->out.width; j++)
        most = wf_max(x[j], most);
    for (int64_t j = 0; j < call->out.width; j++)
        sum = wf_add(sum, wf_exp(wf_sub(x[j], most)));
    wf log_sum = wf_log(sum);
    for (int64_t j = 0; j < call->out.width; j++)
        store_column(call, j, r, wf_select(masked(x[j]), x[j], wf_sub(wf_sub(x[j], most), log_sum)), n);
}

static void wide_LOG_SOFTMAX(const reini_call *call, int64_t r) {
    const float *x = row(call, 0, r);
    float *y = row_out(call, r);
    wf most = wf_set1(row_largest(x, call->out.width)), sum = wf_zero();
    EACH(call->out.width, ADD_TO(sum, wf_exp(wf_sub(LOAD(x), most))););
    wf log_sum = wf_log(wf_set1(wf_sum(sum)));
    EACH(call->out.width, wf v = LOAD(x);
         STORE(y, wf_select(masked(v), v, wf_sub(wf_sub(v, most), log_sum))););
}

ROW_KERNEL(LOG_SOFTMAX, call->out.width)

static void narrow_LOG_SOFTMAX_GRAD(const reini_call *call, int64_t r, int64_t n) {
    wf dy[NARROW], y[NARROW], sum = wf_zero();
    load_columns(dy, call, 0, r, n);
    load_columns(y, call, 1, r, n);
    for (int64_t j = 0; j < call->out.width; j++)
        sum = wf_add(sum, dy[j]);
    for (int64_t j = 0; j < call->out.width; j++)
        store_column(call, j, r, unless_masked(y[j], wf_fnma(wf_exp(y[j]), sum, dy[j])), n);
}

static void wide_LOG_SOFTMAX_GRAD(const reini_call *call, int64_t r) {
    const float *dy = row(call, 0, r), *y = row(call, 1, r);
    float *dx = row_out(call, r);
    wf sum = wf_zero();
    EACH(call->out.width, ADD_TO(sum, LOAD(dy)););
    sum = wf_set1(wf_sum(sum));
    EACH(call->out.width, wf v = LOAD(y); STORE(dx, unless_masked(v, wf_fnma(wf_exp(v), sum, LOAD(dy)))););
}

ROW_KERNEL(LOG_SOFTMAX_GRAD, call->out.width)

static void narrow_SOFTMAX(const reini_call *call, int64_t r, int64_t n) {
    wf x[NARROW], sum = wf_zero();
    load_columns(x, call, 0, r, n);
    wf most = x[0];
    for (int64_t j = 1; j < call->out.width; j++)
        most = wf_max(x[j], most);
    for (int64_t j = 0; j < call->out.width; j++) {
        x[j] = wf_exp(wf_sub(x[j], most));
        sum = wf_add(sum, x[j]);
    }
    for (int64_t j = 0; j < call->out.width; j++)
        store_column(call, j, r, wf_div(x[j], sum), n);
}

static void wide_SOFTMAX(const reini_call *call, int64_t r) {
    const float *x = row(call, 0, r);
    float *y = row_out(call, r);
    wf most = wf_set1(row_largest(x, call->out.width)), sum = wf_zero();
    EACH(call->out.width, wf e = wf_exp(wf_sub(LOAD(x), most)); STORE(y, e); ADD_TO(sum, e););
    sum = wf_set1(wf_sum(sum));
    EACH(call->out.width, STORE(y, wf_div(LOAD(y), sum)););
}

ROW_KERNEL(SOFTMAX, call->out.width)

static void narrow_SOFTMAX_GRAD(const reini_call *call, int64_t r, int64_t n) {
    wf dy[NARROW], y[NARROW], sum = wf_zero();
    load_columns(dy, call, 0, r, n);
    load_columns(y, call, 1, r, n);
    for (int64_t j = 0; j < call->out.width; j++)
        sum = wf_fma(dy[j], y[j], sum);
    for (int64_t j = 0; j < call->out.width; j++)
        store_column(call, j, r, wf_mul(y[j], wf_sub(dy[j], sum)), n);
}

static void wide_SOFTMAX_GRAD(const reini_call *call, int64_t r) {
    const float *dy = row(call, 0, r), *y = row(call, 1, r);
    float *dx = row_out(call, r);
    wf sum = wf_zero();
    EACH(call->out.width, ADD_TO(sum, wf_mul(LOAD(dy), LOAD(y))););
    sum = wf_set1(wf_sum(sum));
    EACH(call->out.width, STORE(dx, wf_mul(LOAD(y), wf_sub(LOAD(dy), sum))););
}

ROW_KERNEL(SOFTMAX_GRAD, call->out.width)

static void narrow_ENTROPY(const reini_call *call, int64_t r, int64_t n) {
    wf x[NARROW], sum = wf_zero();
    load_columns(x, call, 0, r, n);
    for (int64_t j = 0; j < call->in[0].width; j++)
        sum = wf_add(sum, unless_masked(x[j], wf_mul(wf_exp(x[j]), x[j])));
    store_column(call, 0, r, wf_neg(sum), n);
}

static void wide_ENTROPY(const reini_call *call, int64_t r) {
    const float *x = row(call, 0, r);
    wf sum = wf_zero();
    EACH(call->in[0].width, wf v = LOAD(x); ADD_TO(sum, unless_masked(v, wf_mul(wf_exp(v), v))););
    row_out(call, r)[0] = -wf_sum(sum);
}

ROW_KERNEL(ENTROPY, call->in[0].width)

WIDE_INLINE wf entropy_slope(wf dy, wf x) {
    wf e = wf_mul(wf_neg(dy), wf_exp(x));
    return unless_masked(x, wf_mul(e, wf_add(x, wf_set1(1.0f))));
}

static void narrow_ENTROPY_GRAD(const reini_call *call, int64_t r, int64_t n) {
    wf dy[NARROW], x[NARROW];
    load_columns(dy, call, 0, r, n);
    load_columns(x, call, 1, r, n);
    for (int64_t j = 0; j < call->out.width; j++)
        store_column(call, j, r, entropy_slope(dy[0], x[j]), n);
}

static void wide_ENTROPY_GRAD(const reini_call *call, int64_t r) {
    const float *x = row(call, 1, r);
    float *dx = row_out(call, r);
    wf dy = wf_set1(row(call, 0, r)[0]);
    EACH(call->out.width, STORE(dx, entropy_slope(dy, LOAD(x))););
}

ROW_KERNEL(ENTROPY_GRAD, call->out.width)

WIDE_INLINE wf relent_term(wf a, wf b) {
    return unless_masked(a, wf_mul(wf_exp(a), wf_sub(a, b)));
}

static void narrow_RELENT(const reini_call *call, int64_t r, int64_t n) {
    wf a[NARROW], b[NARROW], sum = wf_zero();
    load_columns(a, call, 0, r, n);
    load_columns(b, call, 1, r, n);
    for (int64_t j = 0; j < call->in[0].width; j++)
        sum = wf_add(sum, relent_term(a[j], b[j]));
    store_column(call, 0, r, sum, n);
}

static void wide_RELENT(const reini_call *call, int64_t r) {
    const float *a = row(call, 0, r), *b = row(call, 1, r);
    wf sum = wf_zero();
    EACH(call->in[0].width, ADD_TO(sum, relent_term(LOAD(a), LOAD(b))););
    row_out(call, r)[0] = wf_sum(sum);
}

ROW_KERNEL(RELENT, call->in[0].width)

WIDE_INLINE wf relent_slope_a(wf dy, wf a, wf b) {
    return unless_masked(a, wf_mul(wf_mul(dy, wf_exp(a)), wf_add(wf_sub(a, b), wf_set1(1.0f))));
}

static void narrow_RELENT_GRAD_A(const reini_call *call, int64_t r, int64_t n) {
    wf dy[NARROW], a[NARROW], b[NARROW];
    load_columns(dy, call, 0, r, n);
    load_columns(a, call, 1, r, n);
    load_columns(b, call, 2, r, n);
    for (int64_t j = 0; j < call->out.width; j++)
        store_column(call, j, r, relent_slope_a(dy[0], a[j], b[j]), n);
}

static void wide_RELENT_GRAD_A(const reini_call *call, int64_t r) {
    const float *a = row(call, 1, r), *b = row(call, 2, r);
    float *da = row_out(call, r);
    wf dy = wf_set1(row(call, 0, r)[0]);
    EACH(call->out.width, STORE(da, relent_slope_a(dy, LOAD(a), LOAD(b))););
}

ROW_KERNEL(RELENT_GRAD_A, call->out.width)

WIDE_INLINE wf relent_slope_b(wf dy, wf a) {
    return wf_mul(wf_neg(dy), wf_exp(a));
}

static void narrow_RELENT_GRAD_B(const reini_call *call, int64_t r, int64_t n) {
    wf dy[NARROW], a[NARROW];
    load_columns(dy, call, 0, r, n);
    load_columns(a, call, 1, r, n);
    for (int64_t j = 0; j < call->out.width; j++)
        store_column(call, j, r, relent_slope_b(dy[0], a[j]), n);
}

static void wide_RELENT_GRAD_B(const reini_call *call, int64_t r) {
    const float *a = row(call, 1, r);
    float *db = row_out(call, r);
    wf dy = wf_set1(row(call, 0, r)[0]);
    EACH(call->out.width, STORE(db, relent_slope_b(dy, LOAD(a))););
}

ROW_KERNEL(RELENT_GRAD_B, call->out.width)
