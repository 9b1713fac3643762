/* ref_row.inc.h - ops along a row and sums over rows; part of ref.inc.h. */

static inline REAL largest(const REAL *x, int64_t n) {
    REAL most = x[0];
    for (int64_t j = 1; j < n; j++)
        most = x[j] > most ? x[j] : most;
    return most;
}

static inline bool is_masked(REAL x) {
    return x == -(REAL)INFINITY;
}

static void ref_SUM(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *x = row(call, 0, r);
        REAL sum = 0;
        for (int64_t j = 0; j < call->in[0].width; j++)
            sum += x[j];
        row_out(call, r)[0] = sum;
    }
}

static void ref_LOG_SOFTMAX(const reini_call *call) {
    int64_t n = call->out.width;
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *x = row(call, 0, r);
        REAL *y = row_out(call, r);
        REAL most = largest(x, n), sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += LIBM(exp)(x[j] - most);
        REAL log_sum = LIBM(log)(sum);
        for (int64_t j = 0; j < n; j++)
            y[j] = is_masked(x[j]) ? x[j] : x[j] - most - log_sum;
    }
}

static void ref_LOG_SOFTMAX_GRAD(const reini_call *call) {
    int64_t n = call->out.width;
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *dy = row(call, 0, r), *y = row(call, 1, r);
        REAL *dx = row_out(call, r), sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += dy[j];
        for (int64_t j = 0; j < n; j++)
            dx[j] = is_masked(y[j]) ? 0 : dy[j] - LIBM(exp)(y[j]) * sum;
    }
}

static void ref_SOFTMAX(const reini_call *call) {
    int64_t n = call->out.width;
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *x = row(call, 0, r);
        REAL *y = row_out(call, r);
        REAL most = largest(x, n), sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += y[j] = LIBM(exp)(x[j] - most);
        for (int64_t j = 0; j < n; j++)
            y[j] /= sum;
    }
}

static void ref_SOFTMAX_GRAD(const reini_call *call) {
    int64_t n = call->out.width;
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *dy = row(call, 0, r), *y = row(call, 1, r);
        REAL *dx = row_out(call, r), sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += dy[j] * y[j];
        for (int64_t j = 0; j < n; j++)
            dx[j] = y[j] * (dy[j] - sum);
    }
}

static void ref_ENTROPY(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *x = row(call, 0, r);
        REAL sum = 0;
        for (int64_t j = 0; j < call->in[0].width; j++)
            sum += is_masked(x[j]) ? 0 : LIBM(exp)(x[j]) * x[j];
        row_out(call, r)[0] = -sum;
    }
}

static void ref_ENTROPY_GRAD(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *x = row(call, 1, r);
        REAL *dx = row_out(call, r), dy = row(call, 0, r)[0];
        for (int64_t j = 0; j < call->out.width; j++)
            dx[j] = is_masked(x[j]) ? 0 : -dy * LIBM(exp)(x[j]) * (x[j] + 1);
    }
}

static void ref_RELENT(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *a = row(call, 0, r), *b = row(call, 1, r);
        REAL sum = 0;
        for (int64_t j = 0; j < call->in[0].width; j++)
            sum += is_masked(a[j]) ? 0 : LIBM(exp)(a[j]) * (a[j] - b[j]);
        row_out(call, r)[0] = sum;
    }
}

static void ref_RELENT_GRAD_A(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *a = row(call, 1, r), *b = row(call, 2, r);
        REAL *da = row_out(call, r), dy = row(call, 0, r)[0];
        for (int64_t j = 0; j < call->out.width; j++)
            da[j] = is_masked(a[j]) ? 0 : dy * LIBM(exp)(a[j]) * (a[j] - b[j] + 1);
    }
}

static void ref_RELENT_GRAD_B(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *a = row(call, 1, r);
        REAL *db = row_out(call, r), dy = row(call, 0, r)[0];
        for (int64_t j = 0; j < call->out.width; j++)
            db[j] = -dy * LIBM(exp)(a[j]);
    }
}

static void ref_PICK(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        int32_t i = index_at(call, 1, r);
        REINI_ASSERT(i >= 0 && i < call->in[0].width);
        row_out(call, r)[0] = row(call, 0, r)[i];
    }
}

static void ref_PICK_GRAD(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        REAL *dx = row_out(call, r), dy = row(call, 0, r)[0];
        int32_t i = index_at(call, 1, r);
        REINI_ASSERT(i >= 0 && i < call->out.width);
        for (int64_t j = 0; j < call->out.width; j++)
            dx[j] = j == i ? dy : 0;
    }
}

static void ref_ARGMAX(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *x = row(call, 0, r);
        int32_t best = 0;
        for (int64_t j = 1; j < call->in[0].width; j++)
            best = x[j] > x[best] ? (int32_t)j : best;
        ((int32_t *)call->out.at)[r * call->out.stride] = best;
    }
}

static void ref_CONCAT(const reini_call *call) {
    int64_t size = call->k[1];
    char *y = call->out.at;
    const char *a = call->in[0].at, *b = call->in[1].at;
    for (int64_t r = 0; r < call->rows; r++, y += call->out.stride * size) {
        memcpy(y, a + r * call->in[0].stride * size, (size_t)(call->in[0].width * size));
        memcpy(y + call->in[0].width * size, b + r * call->in[1].stride * size,
               (size_t)(call->in[1].width * size));
    }
}

static void ref_SLICE(const reini_call *call) {
    int64_t size = call->k[1];
    for (int64_t r = 0; r < call->rows; r++)
        memcpy((char *)call->out.at + r * call->out.stride * size,
               (const char *)call->in[0].at + (r * call->in[0].stride + call->k[0]) * size,
               (size_t)(call->out.width * size));
}

static void ref_UNSLICE(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        REAL *y = row_out(call, r);
        memset(y, 0, (size_t)call->out.width * sizeof(REAL));
        memcpy(y + call->k[0], row(call, 0, r), (size_t)call->in[0].width * sizeof(REAL));
    }
}

static void ref_GATHER(const reini_call *call) {
    int64_t size = call->k[1], width = call->out.width;
    int64_t apart = call->in[0].stride ? call->in[0].stride : width;
    for (int64_t r = 0; r < call->rows; r++) {
        int64_t i = index_at(call, 1, r);
        REINI_ASSERT(i >= 0);
        memcpy((char *)call->out.at + r * call->out.stride * size,
               (const char *)call->in[0].at + i * apart * size, (size_t)(width * size));
    }
}

static void ref_SCATTER(const reini_call *call) {
    int64_t width = call->in[0].width;
    REAL *table = call->out.at; /* k[0] x width */
    if (!call->accumulate)
        memset(table, 0, (size_t)(call->k[0] * width) * sizeof(REAL));
    for (int64_t r = 0; r < call->rows; r++) {
        int64_t i = index_at(call, 1, r);
        REINI_ASSERT(i >= 0 && i < call->k[0]);
        for (int64_t j = 0; j < width; j++)
            table[i * width + j] += row(call, 0, r)[j];
    }
}

static void ref_TOTAL(const reini_call *call) {
    REAL sum = 0, *out = call->out.at;
    for (int64_t r = 0; r < call->rows; r++)
        for (int64_t j = 0; j < call->in[0].width; j++)
            sum += row(call, 0, r)[j];
    out[0] = call->accumulate ? out[0] + sum : sum;
}

static void ref_SUM_ROWS(const reini_call *call) {
    REAL *out = call->out.at;
    for (int64_t j = 0; j < call->out.width; j++) {
        REAL sum = call->accumulate ? out[j] : 0;
        for (int64_t r = 0; r < call->rows; r++)
            sum += element(call, 0, r, j);
        out[j] = sum;
    }
}

static void ref_SAMPLE_INDEX(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *x = row(call, 0, r);
        REAL u = row(call, 1, r)[0], sum = 0;
        int64_t j = 0, last = 0, n = call->in[0].width;
        for (; j < n; j++) {
            last = is_masked(x[j]) ? last : j;
            sum += LIBM(exp)(x[j]);
            if (u < sum)
                break;
        }
        ((int32_t *)call->out.at)[r * call->out.stride] = (int32_t)(j < n ? j : last);
    }
}
