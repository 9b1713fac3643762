/* wide_avx2.h - wide floats on AVX2 and FMA: 8 lanes. See wide.h. */
#include <immintrin.h>

#define WF_LANES 8

typedef __m256 wf;
typedef __m256i wi;
typedef __m256 wm;

static const int32_t wide_lanes_on[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

WIDE_INLINE __m256i wide_first(int64_t n) {
    return _mm256_loadu_si256((const __m256i *)(wide_lanes_on + 8 - n));
}

WIDE_INLINE wf wf_set1(float x) {
    return _mm256_set1_ps(x);
}
WIDE_INLINE wf wf_load(const float *p) {
    return _mm256_loadu_ps(p);
}
WIDE_INLINE void wf_store(float *p, wf x) {
    _mm256_storeu_ps(p, x);
}
WIDE_INLINE wf wf_load_n(const float *p, int64_t n) {
    return _mm256_maskload_ps(p, wide_first(n));
}
WIDE_INLINE void wf_store_n(float *p, wf x, int64_t n) {
    _mm256_maskstore_ps(p, wide_first(n), x);
}

/* the first n lanes of x, 0 in the others */
WIDE_INLINE wf wf_first(wf x, int64_t n) {
    return _mm256_and_ps(x, _mm256_castsi256_ps(wide_first(n)));
}

WIDE_INLINE wf wf_add(wf a, wf b) {
    return _mm256_add_ps(a, b);
}
WIDE_INLINE wf wf_sub(wf a, wf b) {
    return _mm256_sub_ps(a, b);
}
WIDE_INLINE wf wf_mul(wf a, wf b) {
    return _mm256_mul_ps(a, b);
}
WIDE_INLINE wf wf_div(wf a, wf b) {
    return _mm256_div_ps(a, b);
}
WIDE_INLINE wf wf_fma(wf a, wf b, wf c) {
    return _mm256_fmadd_ps(a, b, c);
}
WIDE_INLINE wf wf_fnma(wf a, wf b, wf c) {
    return _mm256_fnmadd_ps(a, b, c);
}
WIDE_INLINE wf wf_min(wf a, wf b) {
    return _mm256_min_ps(a, b);
}
WIDE_INLINE wf wf_max(wf a, wf b) {
    return _mm256_max_ps(a, b);
}
WIDE_INLINE wf wf_sqrt(wf x) {
    return _mm256_sqrt_ps(x);
}
WIDE_INLINE wf wf_round(wf x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

WIDE_INLINE wm wf_lt(wf a, wf b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
WIDE_INLINE wm wf_le(wf a, wf b) {
    return _mm256_cmp_ps(a, b, _CMP_LE_OQ);
}
WIDE_INLINE wm wf_eq(wf a, wf b) {
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
WIDE_INLINE wm wm_and(wm a, wm b) {
    return _mm256_and_ps(a, b);
}
WIDE_INLINE wf wf_select(wm m, wf a, wf b) {
    return _mm256_blendv_ps(b, a, m);
}

WIDE_INLINE wi wi_set1(int32_t x) {
    return _mm256_set1_epi32(x);
}
WIDE_INLINE wi wi_load(const void *p) {
    return _mm256_loadu_si256(p);
}
WIDE_INLINE void wi_store(void *p, wi x) {
    _mm256_storeu_si256(p, x);
}
WIDE_INLINE wi wi_add(wi a, wi b) {
    return _mm256_add_epi32(a, b);
}
WIDE_INLINE wi wi_sub(wi a, wi b) {
    return _mm256_sub_epi32(a, b);
}
WIDE_INLINE wi wi_and(wi a, wi b) {
    return _mm256_and_si256(a, b);
}
WIDE_INLINE wi wi_xor(wi a, wi b) {
    return _mm256_xor_si256(a, b);
}
WIDE_INLINE wi wi_select(wm m, wi a, wi b) {
    return _mm256_blendv_epi8(b, a, _mm256_castps_si256(m));
}
#define wi_shift_left(x, n)       _mm256_slli_epi32(x, n)
#define wi_shift_right(x, n)      _mm256_srli_epi32(x, n)
#define wi_shift_right_sign(x, n) _mm256_srai_epi32(x, n)
WIDE_INLINE wi wf_bits(wf x) {
    return _mm256_castps_si256(x);
}
WIDE_INLINE wf wf_from_bits(wi x) {
    return _mm256_castsi256_ps(x);
}
WIDE_INLINE wf wf_from_int(wi x) {
    return _mm256_cvtepi32_ps(x);
}

/* to nearest */
WIDE_INLINE wi wf_to_int(wf x) {
    return _mm256_cvtps_epi32(x);
}

/* two factors, each a normal number */
WIDE_INLINE wf wf_scale2(wf x, wf n) {
    wi whole = _mm256_cvtps_epi32(n), half = wi_shift_right_sign(whole, 1), one = wi_set1(127);
    wf first = wf_from_bits(wi_shift_left(wi_add(half, one), 23));
    wf second = wf_from_bits(wi_shift_left(wi_add(wi_sub(whole, half), one), 23));
    return wf_mul(wf_mul(x, first), second);
}

WIDE_INLINE wi wi_xor3(wi a, wi b, wi c) {
    return wi_xor(wi_xor(a, b), c);
}
WIDE_INLINE wi wi_mul_even(wi a, wi b) {
    return _mm256_mul_epu32(a, b);
}
WIDE_INLINE wi wi_odd_to_even(wi x) {
    return _mm256_castps_si256(_mm256_movehdup_ps(_mm256_castsi256_ps(x)));
}
WIDE_INLINE wi wi_join(wi even, wi odd) {
    __m256 moved = _mm256_moveldup_ps(_mm256_castsi256_ps(odd));
    return _mm256_blend_epi32(even, _mm256_castps_si256(moved), 0xAA);
}

WIDE_INLINE float wf_sum(wf x) {
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

WIDE_INLINE float wf_largest(wf x) {
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

WIDE_INLINE wf wide_halves(wf a, wf b) {
    return wf_add(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
WIDE_INLINE wf wide_pairs(wf a, wf b) {
    return wf_add(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xEE));
}
WIDE_INLINE wf wf_sum_each(const wf v[WF_LANES]) {
    wf a = wide_pairs(wide_halves(v[0], v[4]), wide_halves(v[1], v[5]));
    wf b = wide_pairs(wide_halves(v[2], v[6]), wide_halves(v[3], v[7]));
    return wf_add(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xDD));
}

WIDE_INLINE void wf_transpose(wf v[WF_LANES]) {
    wf t[8];
    for (int i = 0; i < 8; i += 4) {
        wf a = _mm256_unpacklo_ps(v[i], v[i + 1]), b = _mm256_unpackhi_ps(v[i], v[i + 1]);
        wf c = _mm256_unpacklo_ps(v[i + 2], v[i + 3]), d = _mm256_unpackhi_ps(v[i + 2], v[i + 3]);
        t[i] = _mm256_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm256_shuffle_ps(a, c, 0xEE);
        t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm256_shuffle_ps(b, d, 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
}

WIDE_INLINE wf wf_column(const float *p, int64_t stride, int64_t n) {
    if (stride == 1)
        return wf_load_n(p, n);
    if (n == WF_LANES)
        return _mm256_setr_ps(p[0], p[stride], p[2 * stride], p[3 * stride], p[4 * stride], p[5 * stride],
                              p[6 * stride], p[7 * stride]);
    float lane[8] = {0};
    for (int64_t l = 0; l < n; l++)
        lane[l] = p[l * stride];
    return wf_load(lane);
}
WIDE_INLINE void wf_column_store(float *p, int64_t stride, wf x, int64_t n) {
    float lane[8];
    wf_store(lane, x);
    for (int64_t l = 0; l < n; l++)
        p[l * stride] = lane[l];
}

WIDE_INLINE void wf_store_blocks(float *to, wf a, wf b, wf c, wf d) {
    wf ab_low = _mm256_unpacklo_ps(a, b), ab_high = _mm256_unpackhi_ps(a, b);
    wf cd_low = _mm256_unpacklo_ps(c, d), cd_high = _mm256_unpackhi_ps(c, d);
    wf r0 = _mm256_shuffle_ps(ab_low, cd_low, 0x44), r1 = _mm256_shuffle_ps(ab_low, cd_low, 0xEE);
    wf r2 = _mm256_shuffle_ps(ab_high, cd_high, 0x44), r3 = _mm256_shuffle_ps(ab_high, cd_high, 0xEE);
    wf_store(to, _mm256_permute2f128_ps(r0, r1, 0x20));
    wf_store(to + 8, _mm256_permute2f128_ps(r2, r3, 0x20));
    wf_store(to + 16, _mm256_permute2f128_ps(r0, r1, 0x31));
    wf_store(to + 24, _mm256_permute2f128_ps(r2, r3, 0x31));
}
