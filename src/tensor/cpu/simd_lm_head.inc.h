/* simd_lm_head.inc.h - passes over a row of logits; part of simd_lm.inc.h. */

/* Exponentials are summed as sampling.c sums them, pieces of this many by the optimizers' sum: both give the same bits. */
enum { ROW_PIECE = 1024 };

static float row_largest(const float *z, int64_t n) {
    float most = z[0];
    int64_t i = 0;
    if (n >= WF_LANES) {
        wf v = wf_load(z);
        for (; i + WF_LANES <= n; i += WF_LANES)
            v = wf_max(v, wf_load(z + i));
        float part[WF_LANES];
        wf_store(part, v);
        for (int l = 0; l < WF_LANES; l++)
            most = part[l] > most ? part[l] : most;
    }
    for (; i < n; i++)
        most = z[i] > most ? z[i] : most;
    return most;
}

static int32_t row_first(const float *z, int64_t n, float most) {
    int64_t i = 0;
    while (i < n - 1 && z[i] != most)
        i++;
    return (int32_t)i;
}

/* x - most of the numbers [j, j + n) */
WIDE_INLINE wf below_most(const float *z, int64_t j, int64_t n, wf most, wf t, const bool plain) {
    wf x = take(z, j, n, false);
    return wf_sub(plain ? x : wf_div(x, t), most);
}

static void lm_row_sums(const float *z, int64_t n, float t, bool more, reini_row_sums *out) {
    float e[ROW_PIECE], largest = row_largest(z, n);
    double (*sum)(const float *x, int64_t n) = reini_vector_ops_best()->sum;
    *out = (reini_row_sums){.most = largest / t, .best = row_first(z, n, largest)};
    wf most = wf_set1(out->most), divisor = wf_set1(t);
    for (int64_t at = 0; at < n; at += ROW_PIECE) {
        int64_t m = least(ROW_PIECE, n - at);
        wf mean = wf_zero(), squares = wf_zero();
        if (t == 1)
            EACH(m, give(e, j, wf_exp(below_most(z, at + j, lanes, most, divisor, true)), lanes, false););
        else
            EACH(m, give(e, j, wf_exp(below_most(z, at + j, lanes, most, divisor, false)), lanes, false););
        out->total += sum(e, m);
        if (!more)
            continue;
        EACH(m, wf p = take(e, j, lanes, false); squares = wf_fma(p, p, squares);
             wf x = below_most(z, at + j, lanes, most, divisor, t == 1);
             /* a token that is ruled out (-infinity) adds nothing */
             wf term = wf_select(wf_eq(p, wf_zero()), wf_zero(), wf_mul(p, x));
             mean = wf_add(mean, term););
        out->mean += (double)wf_sum(mean);
        out->squares += (double)wf_sum(squares);
    }
}

/* p (slope + bend log p) turned round */
WIDE_INLINE void row_slopes(void *dz, const float *z, int64_t n, const reini_row_slope *how, const bool half,
                            const bool plain, const bool bent) {
    wf most = wf_set1(how->most), log_total = wf_set1(how->log_total), t = wf_set1(how->t);
    wf slope = wf_set1(-how->slope * how->inverse_t), bend = wf_set1(-how->bend * how->inverse_t);
    EACH(n, wf log_p = wf_sub(below_most(z, j, lanes, most, t, plain), log_total); wf p = wf_exp(log_p);
         wf d = wf_mul(p, slope);
         if (bent) d = wf_fma(wf_select(wf_eq(p, wf_zero()), wf_zero(), wf_mul(p, log_p)), bend, d);
         give(dz, j, d, lanes, half););
}

static void lm_row_slopes(void *dz, bool half, const float *z, int64_t n, const reini_row_slope *how) {
    bool plain = how->t == 1, bent = how->bend != 0;
    if (plain && !bent)
        half ? row_slopes(dz, z, n, how, true, true, false) : row_slopes(dz, z, n, how, false, true, false);
    else if (plain)
        half ? row_slopes(dz, z, n, how, true, true, true) : row_slopes(dz, z, n, how, false, true, true);
    else if (!bent)
        half ? row_slopes(dz, z, n, how, true, false, false) : row_slopes(dz, z, n, how, false, false, false);
    else
        half ? row_slopes(dz, z, n, how, true, false, true) : row_slopes(dz, z, n, how, false, false, true);
}
