/* ref_gru.inc.h - the recurrence of a gated unit along sequences, and its gradient; part of ref.inc.h. The layout of a
 * sequence's steps is in kernels.h. */

/* Step `step` of the sequence in row r of the tile: one of the rows of another extent, or row r itself. */
static inline const REAL *step_of(const reini_call *call, int i, int64_t r, int64_t step) {
    int64_t at = call->k[2] ? (call->row0 + r) * call->k[1] + step : r;
    return (const REAL *)call->in[i].at + at * call->in[i].stride;
}

/* One step: x (3H), w (H x 3H), b (3H); s (6H) holds the state it starts from. */
static inline void gru_step(REAL *s, const REAL *x, const REAL *w, const REAL *b, int64_t width) {
    REAL *h = s, *n = s + width, *gate = s + 2 * width; /* r, z, q */
    const REAL *before = s + 5 * width;
    for (int64_t o = 0; o < 3 * width; o++) {
        REAL sum = b[o];
        for (int64_t i = 0; i < width; i++)
            sum += before[i] * w[i * 3 * width + o];
        gate[o] = sum;
    }
    for (int64_t j = 0; j < width; j++) {
        REAL r = gate[j] = sigmoid(x[j] + gate[j]);
        REAL z = gate[width + j] = sigmoid(x[width + j] + gate[width + j]);
        n[j] = LIBM(tanh)(x[2 * width + j] + r * gate[2 * width + j]);
        h[j] = n[j] + z * (before[j] - n[j]);
    }
}

static void ref_GRU(const reini_call *call) {
    int64_t width = call->k[0], length = call->k[1];
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *before = row(call, 2, r);
        REAL *s = row_out(call, r);
        for (int64_t step = 0; step < length; step++, s += 6 * width) {
            bool starts = *step_of(call, 1, r, step) != 0;
            for (int64_t j = 0; j < width; j++)
                s[5 * width + j] = starts ? 0 : before[j];
            gru_step(s, step_of(call, 0, r, step), call->in[3].at, call->in[4].at, width);
            before = s;
        }
    }
}

/* One step back: s (6H) of GRU, dh (H), d (6H), whose first H numbers hold what the step after sends, unless it is the
 * last; to (H) is where the step before finds the same, NULL when there is nothing to send. */
static inline void gru_step_back(REAL *d, const REAL *s, const REAL *dh, bool last, REAL *to, const REAL *wt,
                                 int64_t width) {
    const REAL *n = s + width, *r = s + 2 * width, *z = s + 3 * width, *q = s + 4 * width;
    const REAL *before = s + 5 * width;
    REAL *dx = d, *dc = d + 3 * width;
    for (int64_t j = 0; j < width; j++) {
        REAL g = last ? dh[j] : dh[j] + d[j];
        REAL dn = g * (1 - z[j]) * (1 - n[j] * n[j]);
        if (to != NULL)
            to[j] = g * z[j];
        dx[j] = dc[j] = dn * q[j] * r[j] * (1 - r[j]);
        dx[width + j] = dc[width + j] = g * (before[j] - n[j]) * z[j] * (1 - z[j]);
        dx[2 * width + j] = dn;
        dc[2 * width + j] = dn * r[j];
    }
    for (int64_t i = 0; to != NULL && i < width; i++)
        for (int64_t o = 0; o < 3 * width; o++)
            to[i] += dc[o] * wt[o * width + i];
}

static void ref_GRU_GRAD(const reini_call *call) {
    int64_t width = call->k[0], length = call->k[1];
    for (int64_t r = 0; r < call->rows; r++)
        for (int64_t step = length - 1; step >= 0; step--) {
            REAL *d = row_out(call, r) + step * 6 * width, *to = step > 0 ? d - 6 * width : NULL;
            bool starts = *step_of(call, 2, r, step) != 0;
            gru_step_back(d, row(call, 0, r) + step * 6 * width, step_of(call, 1, r, step),
                          step == length - 1, starts ? NULL : to, call->in[3].at, width);
            for (int64_t j = 0; starts && to != NULL && j < width; j++)
                to[j] = 0;
        }
}

static void ref_STEPS(const reini_call *call) {
    for (int64_t r = 0; r < call->rows; r++) {
        const REAL *from =
            call->k[2] ? (const REAL *)call->in[0].at + (call->row0 + r) * call->k[0] : row(call, 0, r);
        memcpy(row_out(call, r), from + call->k[1], (size_t)call->out.width * sizeof(REAL));
    }
}
