/* simd_random.inc.h - Philox4x32-10 with a block per lane, uniform and normal numbers; part of simd.inc.h. */

typedef void random_words_fn(float *to, const wi word[4]);

/* Four words of WF_LANES blocks; counters c are consumed. */
WIDE_INLINE void philox(wi c[4], uint64_t seed) {
    wi m0 = wi_set1((int32_t)0xD2511F53u), m1 = wi_set1((int32_t)0xCD9E8D57u);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        wi low0, high0, low1, high1;
        wi_mul_wide(m0, c[0], &low0, &high0);
        wi_mul_wide(m1, c[2], &low1, &high1);
        c[0] = wi_xor(wi_xor(high1, c[1]), wi_set1((int32_t)k0));
        c[2] = wi_xor(wi_xor(high0, c[3]), wi_set1((int32_t)k1));
        c[1] = low1;
        c[3] = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

WIDE_INLINE wf unit(wi word) {
    return wf_mul(wf_from_int(wi_shift_right(word, 8)), wf_set1(1.0f / 16777216));
}

/* to[4 b + i]: element i of block b */
static void random_uniforms(float *to, const wi word[4]) {
    wf_store_blocks(to, unit(word[0]), unit(word[1]), unit(word[2]), unit(word[3]));
}

/* Box-Muller. */
WIDE_INLINE void normal_pair(wi radius_word, wi angle_word, wf *first, wf *second) {
    wf u = wf_add(unit(radius_word), wf_set1(1.0f / 16777216));
    wf radius = wf_sqrt(wf_mul(wf_set1(-2.0f), wide_log_normal(u)));
    wf cosine, sine;
    wf_turn(unit(angle_word), &cosine, &sine);
    *first = wf_mul(radius, cosine);
    *second = wf_mul(radius, sine);
}

static void random_normals(float *to, const wi word[4]) {
    wf a, b, c, d;
    normal_pair(word[0], word[1], &a, &b);
    normal_pair(word[2], word[3], &c, &d);
    wf_store_blocks(to, a, b, c, d);
}

/* Blocks are numbered along rows: block q is number q % per_row of row q / per_row. */
WIDE_INLINE void random_run(const reini_call *call, random_words_fn *words) {
    const reini_key *key = call->in[0].at;
    int64_t width = call->out.width, per_row = (width + 3) / 4, blocks = per_row * call->rows;
    uint64_t first_row = (uint64_t)call->row0 + key->row_base;
    int64_t r = 0, b = 0; /* the next block's row and number in it */
    float number[4 * WF_LANES];
    for (int64_t q = 0; q < blocks; q += WF_LANES) {
        int32_t lane_row[WF_LANES], lane_block[WF_LANES];
        int64_t start_row = r, start_block = b, count = least(WF_LANES, blocks - q);
        for (int l = 0; l < WF_LANES; l++) {
            lane_row[l] = (int32_t)(uint32_t)(first_row + (uint64_t)r);
            lane_block[l] = (int32_t)b;
            r += ++b == per_row;
            b = b == per_row ? 0 : b;
        }
        wi c[4] = {wi_load(lane_block), wi_load(lane_row), wi_set1((int32_t)(uint32_t)key->step),
                   wi_set1((int32_t)((uint32_t)(key->step >> 32) | key->stream << 16))};
        philox(c, key->seed);
        words(number, c);
        for (int64_t l = 0, at = start_row, j = start_block; l < count; l++) {
            float *to = row_out(call, at) + 4 * j;
            for (int64_t i = 0; i < least(4, width - 4 * j); i++)
                to[i] = number[4 * l + i];
            at += ++j == per_row;
            j = j == per_row ? 0 : j;
        }
    }
}

static void simd_RANDOM_UNIFORM(const reini_call *call) {
    random_run(call, random_uniforms);
}

static void simd_RANDOM_NORMAL(const reini_call *call) {
    random_run(call, random_normals);
}
