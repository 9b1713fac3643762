/* simd_lm_attention.inc.h - passes over attention scores, a lane per query; part of simd_lm.inc.h. */

/* key j of lane l is seen when j <= last[l] */
WIDE_INLINE wm seen(wf last, int64_t key) {
    return wf_le(wf_set1((float)key), last);
}

WIDE_INLINE wf lane_last(const int32_t *last) {
    return wf_from_int(wi_load(last));
}

/* do all lanes see all keys of the block? */
static bool all_seen(const reini_lane_scores *b) {
    int32_t first = b->last[0];
    for (int64_t l = 1; l < b->lanes; l++)
        first = b->last[l] < first ? b->last[l] : first;
    return b->key + b->keys - 1 <= first;
}

WIDE_INLINE void soften_lanes(const reini_lane_scores *b, int64_t l, float *most, float *sum, float *fade,
                              const bool open) {
    wf none = wf_set1(-__builtin_inff()), scale = wf_set1(b->scale), last = lane_last(b->last + l);
    float *s = b->s + l;
    wf before = wf_load(most + l), now = before, total = wf_zero();
    for (int64_t k = 0; k < b->keys; k++) {
        wf x = wf_mul(wf_load(s + k * b->s_row), scale);
        now = wf_max(now, open ? x : wf_select(seen(last, b->key + k), x, none));
    }
    for (int64_t k = 0; k < b->keys; k++) {
        wf x = wf_mul(wf_load(s + k * b->s_row), scale);
        wf p = wf_exp(wf_sub(x, now));
        if (!open)
            p = wf_select(seen(last, b->key + k), p, wf_zero());
        total = wf_add(total, p);
        wf_store(s + k * b->s_row, p);
    }
    wf f = wf_exp(wf_sub(before, now));
    wf_store(most + l, now);
    wf_store(fade + l, f);
    wf_store(sum + l, wf_fma(wf_load(sum + l), f, total));
}

static void lm_soften(const reini_lane_scores *b, float *most, float *sum, float *fade) {
    bool open = all_seen(b);
    for (int64_t l = 0; l < b->lanes; l += WF_LANES)
        if (open)
            soften_lanes(b, l, most, sum, fade, true);
        else
            soften_lanes(b, l, most, sum, fade, false);
}

WIDE_INLINE void soften_back_lanes(const reini_lane_scores *b, int64_t l, const float *log_sum,
                                   const float *delta, const bool open) {
    wf scale = wf_set1(b->scale), last = lane_last(b->last + l);
    wf sums = wf_load(log_sum + l), mean = wf_load(delta + l);
    float *s = b->s + l, *ds = b->ds + l;
    for (int64_t k = 0; k < b->keys; k++, s += b->s_row, ds += b->s_row) {
        wf p = wf_exp(wf_sub(wf_mul(wf_load(s), scale), sums));
        if (!open)
            p = wf_select(seen(last, b->key + k), p, wf_zero());
        wf slope = wf_mul(wf_mul(p, wf_sub(wf_load(ds), mean)), scale);
        /* a number of no consequence times a hidden one that overflowed is not a number */
        if (!open)
            slope = wf_select(seen(last, b->key + k), slope, wf_zero());
        wf_store(s, p);
        wf_store(ds, slope);
    }
}

static void lm_soften_back(const reini_lane_scores *b, const float *log_sum, const float *delta) {
    bool open = all_seen(b);
    for (int64_t l = 0; l < b->lanes; l += WF_LANES)
        if (open)
            soften_back_lanes(b, l, log_sum, delta, true);
        else
            soften_back_lanes(b, l, log_sum, delta, false);
}

static void lm_lanes_scale(float *to, int64_t to_row, int64_t depth, int64_t lanes, const float *factor) {
    for (int64_t l = 0; l < lanes; l += WF_LANES) {
        wf f = wf_load(factor + l);
        for (int64_t d = 0; d < depth; d++)
            wf_store(to + d * to_row + l, wf_mul(wf_load(to + d * to_row + l), f));
    }
}

WIDE_INLINE void lanes_out(void *const *rows, const float *from, int64_t from_row, int64_t depth,
                           int64_t lanes, const float *factor, const bool half) {
    for (int64_t l = 0; l < lanes; l += WF_LANES)
        for (int64_t d = 0; d < depth; d += WF_LANES) {
            int64_t n = least(WF_LANES, depth - d), m = least(WF_LANES, lanes - l);
            wf v[WF_LANES];
            for (int64_t i = 0; i < WF_LANES; i++)
                v[i] = i < n ? wf_load(from + (d + i) * from_row + l) : wf_zero();
            wf_transpose(v);
            for (int64_t i = 0; i < m; i++)
                give(rows[l + i], d, wf_mul(v[i], wf_set1(factor[l + i])), n, half);
        }
}

static void lm_lanes_out(void *const *rows, bool half, const float *from, int64_t from_row, int64_t depth,
                         int64_t lanes, const float *factor) {
    half ? lanes_out(rows, from, from_row, depth, lanes, factor, true)
         : lanes_out(rows, from, from_row, depth, lanes, factor, false);
}

WIDE_INLINE float dot_numbers(const void *a, const void *b, int64_t n, const bool half) {
    wf sum = wf_zero();
    EACH(n, sum = wf_fma(take(a, j, lanes, half), take(b, j, lanes, half), sum););
    return wf_sum(sum);
}

static float lm_dot(const void *a, const void *b, bool half, int64_t n) {
    return half ? dot_numbers(a, b, n, true) : dot_numbers(a, b, n, false);
}
