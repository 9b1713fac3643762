/* simd_gru.inc.h - the recurrence of a gated unit along sequences, and its gradient; part of simd.inc.h. All sequences of
 * the tile take a step together, so that a step's product has many rows. */

/* Step `step` of the sequence in row r of the tile: one of the rows of another extent, or row r itself. */
WIDE_INLINE const float *step_of(const reini_call *call, int i, int64_t r, int64_t step) {
    int64_t at = call->k[2] ? (call->row0 + r) * call->k[1] + step : r;
    return (const float *)call->in[i].at + at * call->in[i].stride;
}

/* s: [h, n, r, z, q, state before] of a step, where r, z, q hold before w + b; x (3 width) */
static void gru_gates(float *s, const float *x, int64_t width) {
    float *n = s + width, *r = s + 2 * width, *z = s + 3 * width;
    const float *q = s + 4 * width, *before = s + 5 * width;
    EACH(width, {
        wf open = wf_sigmoid(wf_add(LOAD(x), LOAD(r)));
        wf keep = wf_sigmoid(wf_add(LOAD(x + width), LOAD(z)));
        wf fresh = wf_tanh(wf_fma(open, LOAD(q), LOAD(x + 2 * width)));
        STORE(r, open);
        STORE(z, keep);
        STORE(n, fresh);
        STORE(s, wf_fma(keep, wf_sub(LOAD(before), fresh), fresh));
    });
}

static void simd_GRU(const reini_call *call) {
    int64_t width = call->k[0], length = call->k[1], apart = call->out.stride;
    for (int64_t step = 0; step < length; step++) {
        float *s = (float *)call->out.at + step * 6 * width;
        for (int64_t r = 0; r < call->rows; r++) {
            const float *before = step == 0 ? row(call, 2, r) : s + r * apart - 6 * width;
            float *to = s + r * apart + 5 * width;
            if (*step_of(call, 1, r, step) != 0)
                EACH(width, STORE(to, wf_zero()););
            else
                EACH(width, STORE(to, LOAD(before)););
        }
        gemm_run(&(gemm){.c = s + 2 * width,
                         .c_row = apart,
                         .a = s + 5 * width,
                         .a_row = apart,
                         .a_k = 1,
                         .b = call->in[3].at,
                         .b_row = 3 * width,
                         .m = call->rows,
                         .n = 3 * width,
                         .k = width,
                         .bias = call->in[4].at});
        for (int64_t r = 0; r < call->rows; r++)
            gru_gates(s + r * apart, step_of(call, 0, r, step), width);
    }
}

/* d: [of x's r, z, n; of the product's r, z, q] of a step, with what the step after sends in its first numbers; to: where
 * the step before finds the same, or NULL */
static void gru_gates_back(float *d, const float *s, const float *dh, float *to, int64_t width) {
    const float *n = s + width, *r = s + 2 * width, *z = s + 3 * width, *q = s + 4 * width;
    const float *before = s + 5 * width;
    const wf one = wf_set1(1.0f);
    EACH(width, {
        wf g = wf_add(LOAD(dh), LOAD(d)), open = LOAD(r), keep = LOAD(z), fresh = LOAD(n);
        wf shut = wf_sub(one, keep),
           of_z = wf_mul(wf_mul(wf_mul(g, wf_sub(LOAD(before), fresh)), keep), shut);
        wf of_n = wf_mul(wf_mul(g, shut), wf_fnma(fresh, fresh, one));
        wf of_r = wf_mul(wf_mul(wf_mul(of_n, LOAD(q)), open), wf_sub(one, open));
        if (to)
            STORE(to, wf_mul(g, keep));
        STORE(d, of_r);
        STORE(d + width, of_z);
        STORE(d + 2 * width, of_n);
        STORE(d + 3 * width, of_r);
        STORE(d + 4 * width, of_z);
        STORE(d + 5 * width, wf_mul(of_n, open));
    });
}

static void simd_GRU_GRAD(const reini_call *call) {
    int64_t width = call->k[0], length = call->k[1], apart = call->out.stride;
    for (int64_t step = length - 1; step >= 0; step--) {
        float *d = (float *)call->out.at + step * 6 * width, *to = d - 6 * width;
        for (int64_t r = 0; r < call->rows; r++) {
            float *mine = d + r * apart;
            if (step == length - 1)
                EACH(width, STORE(mine, wf_zero()););
            gru_gates_back(mine, row(call, 0, r) + step * 6 * width, step_of(call, 1, r, step),
                           step > 0 ? to + r * apart : NULL, width);
        }
        if (step == 0)
            return;
        gemm_run(&(gemm){.c = to,
                         .c_row = apart,
                         .a = d + 3 * width,
                         .a_row = apart,
                         .a_k = 1,
                         .b = call->in[3].at,
                         .b_row = width,
                         .m = call->rows,
                         .n = width,
                         .k = 3 * width,
                         .add = true});
        /* nothing goes back beyond the start of an episode */
        for (int64_t r = 0; r < call->rows; r++)
            if (*step_of(call, 2, r, step) != 0)
                EACH(width, STORE(to + r * apart, wf_zero()););
    }
}

static void simd_STEPS(const reini_call *call) {
    int64_t block = call->k[0], width = call->out.width;
    for (int64_t r = 0; r < call->rows; r++) {
        const float *from =
            (call->k[2] ? (const float *)call->in[0].at + (call->row0 + r) * block : row(call, 0, r)) +
            call->k[1];
        float *to = row_out(call, r);
        EACH(width, STORE(to, LOAD(from)););
    }
}
