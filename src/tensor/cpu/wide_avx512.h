/* wide_avx512.h - wide floats on AVX-512 (F, BW, DQ, VL): 16 lanes. See wide.h. */
#include <immintrin.h>

#define WF_LANES 16

typedef __m512 wf;
typedef __m512i wi;
typedef __mmask16 wm;

WIDE_INLINE wm wide_first(int64_t n) {
    return (wm)((1u << n) - 1);
}

WIDE_INLINE wf wf_set1(float x) {
    return _mm512_set1_ps(x);
}
WIDE_INLINE wf wf_load(const float *p) {
    return _mm512_loadu_ps(p);
}
WIDE_INLINE void wf_store(float *p, wf x) {
    _mm512_storeu_ps(p, x);
}
WIDE_INLINE wf wf_load_n(const float *p, int64_t n) {
    return _mm512_maskz_loadu_ps(wide_first(n), p);
}
WIDE_INLINE void wf_store_n(float *p, wf x, int64_t n) {
    _mm512_mask_storeu_ps(p, wide_first(n), x);
}

/* the first n lanes of x, 0 in the others */
WIDE_INLINE wf wf_first(wf x, int64_t n) {
    return _mm512_maskz_mov_ps(wide_first(n), x);
}

WIDE_INLINE wf wf_add(wf a, wf b) {
    return _mm512_add_ps(a, b);
}
WIDE_INLINE wf wf_sub(wf a, wf b) {
    return _mm512_sub_ps(a, b);
}
WIDE_INLINE wf wf_mul(wf a, wf b) {
    return _mm512_mul_ps(a, b);
}
WIDE_INLINE wf wf_div(wf a, wf b) {
    return _mm512_div_ps(a, b);
}
WIDE_INLINE wf wf_fma(wf a, wf b, wf c) {
    return _mm512_fmadd_ps(a, b, c);
}
WIDE_INLINE wf wf_fnma(wf a, wf b, wf c) {
    return _mm512_fnmadd_ps(a, b, c);
}
WIDE_INLINE wf wf_min(wf a, wf b) {
    return _mm512_min_ps(a, b);
}
WIDE_INLINE wf wf_max(wf a, wf b) {
    return _mm512_max_ps(a, b);
}
WIDE_INLINE wf wf_sqrt(wf x) {
    return _mm512_sqrt_ps(x);
}
/* to 2^-14 of themselves; of 0: infinity */
WIDE_INLINE wf wide_reciprocal_near(wf x) {
    return _mm512_rcp14_ps(x);
}
WIDE_INLINE wf wide_root_reciprocal_near(wf x) {
    return _mm512_rsqrt14_ps(x);
}
WIDE_INLINE wf wf_round(wf x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
WIDE_INLINE wf wf_scale2(wf x, wf n) {
    return _mm512_scalef_ps(x, n);
}
WIDE_INLINE wm wf_lt(wf a, wf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
WIDE_INLINE wm wf_le(wf a, wf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}
WIDE_INLINE wm wf_eq(wf a, wf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
WIDE_INLINE wm wm_and(wm a, wm b) {
    return a & b;
}
WIDE_INLINE wf wf_select(wm m, wf a, wf b) {
    return _mm512_mask_blend_ps(m, b, a);
}

WIDE_INLINE wi wi_set1(int32_t x) {
    return _mm512_set1_epi32(x);
}
WIDE_INLINE wi wi_load(const void *p) {
    return _mm512_loadu_si512(p);
}
WIDE_INLINE void wi_store(void *p, wi x) {
    _mm512_storeu_si512(p, x);
}
WIDE_INLINE wi wi_add(wi a, wi b) {
    return _mm512_add_epi32(a, b);
}
WIDE_INLINE wi wi_sub(wi a, wi b) {
    return _mm512_sub_epi32(a, b);
}
WIDE_INLINE wi wi_and(wi a, wi b) {
    return _mm512_and_si512(a, b);
}
WIDE_INLINE wi wi_xor(wi a, wi b) {
    return _mm512_xor_si512(a, b);
}
WIDE_INLINE wi wi_select(wm m, wi a, wi b) {
    return _mm512_mask_blend_epi32(m, b, a);
}
#define wi_shift_left(x, n)       _mm512_slli_epi32(x, n)
#define wi_shift_right(x, n)      _mm512_srli_epi32(x, n)
#define wi_shift_right_sign(x, n) _mm512_srai_epi32(x, n)
WIDE_INLINE wi wf_bits(wf x) {
    return _mm512_castps_si512(x);
}
WIDE_INLINE wf wf_from_bits(wi x) {
    return _mm512_castsi512_ps(x);
}
WIDE_INLINE wf wf_from_int(wi x) {
    return _mm512_cvtepi32_ps(x);
}

/* the sign bits of `sign` on the other bits of x */
WIDE_INLINE wf wf_copysign(wf x, wf sign) {
    return wf_from_bits(
        _mm512_ternarylogic_epi32(wf_bits(x), wf_bits(sign), _mm512_set1_epi32(INT32_MIN), 0xD8));
}
/* table[index & 31] */
WIDE_INLINE wf wf_lookup(const float table[32], wi index) {
    return _mm512_permutex2var_ps(wf_load(table), index, wf_load(table + 16));
}

/* to nearest */
WIDE_INLINE wi wf_to_int(wf x) {
    return _mm512_cvtps_epi32(x);
}

WIDE_INLINE wi wi_xor3(wi a, wi b, wi c) {
    return _mm512_ternarylogic_epi32(a, b, c, 0x96);
}
WIDE_INLINE wi wi_mul_even(wi a, wi b) {
    return _mm512_mul_epu32(a, b);
}
WIDE_INLINE wi wi_odd_to_even(wi x) {
    return _mm512_castps_si512(_mm512_movehdup_ps(_mm512_castsi512_ps(x)));
}
WIDE_INLINE wi wi_join(wi even, wi odd) {
    __m512 moved = _mm512_moveldup_ps(_mm512_castsi512_ps(odd));
    return _mm512_mask_mov_epi32(even, 0xAAAA, _mm512_castps_si512(moved));
}

WIDE_INLINE float wf_sum(wf x) {
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

WIDE_INLINE float wf_largest(wf x) {
    return _mm512_reduce_max_ps(x);
}

/* one row per vector -> halves of two, quarters of four, then 4 x 4 blocks within 128-bit lanes */
WIDE_INLINE wf wide_halves(wf a, wf b) {
    return wf_add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
}
WIDE_INLINE wf wide_quarters(wf a, wf b, wf c, wf d) {
    wf ab = wide_halves(a, b), cd = wide_halves(c, d);
    return wf_add(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
}
WIDE_INLINE wf wide_pairs(wf a, wf b) {
    return wf_add(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xEE));
}
WIDE_INLINE wf wf_sum_each(const wf v[WF_LANES]) {
    wf a = wide_pairs(wide_quarters(v[0], v[4], v[8], v[12]), wide_quarters(v[1], v[5], v[9], v[13]));
    wf b = wide_pairs(wide_quarters(v[2], v[6], v[10], v[14]), wide_quarters(v[3], v[7], v[11], v[15]));
    return wf_add(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xDD));
}

WIDE_INLINE void wf_transpose(wf v[WF_LANES]) {
    wf t[16];
    for (int i = 0; i < 16; i += 4) {
        wf a = _mm512_unpacklo_ps(v[i], v[i + 1]), b = _mm512_unpackhi_ps(v[i], v[i + 1]);
        wf c = _mm512_unpacklo_ps(v[i + 2], v[i + 3]), d = _mm512_unpackhi_ps(v[i + 2], v[i + 3]);
        t[i] = _mm512_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm512_shuffle_ps(a, c, 0xEE);
        t[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm512_shuffle_ps(b, d, 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        wf a = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88), b = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xDD);
        wf c = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88),
           d = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xDD);
        v[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        v[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        v[i + 8] = _mm512_shuffle_f32x4(a, c, 0xDD);
        v[i + 12] = _mm512_shuffle_f32x4(b, d, 0xDD);
    }
}

WIDE_INLINE wi wide_column_index(int64_t stride) {
    wi lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_mullo_epi32(lane, wi_set1((int32_t)stride));
}
WIDE_INLINE wf wf_column(const float *p, int64_t stride, int64_t n) {
    return stride == 1 ? wf_load_n(p, n)
                       : _mm512_mask_i32gather_ps(_mm512_setzero_ps(), wide_first(n),
                                                  wide_column_index(stride), p, 4);
}
WIDE_INLINE void wf_column_store(float *p, int64_t stride, wf x, int64_t n) {
    if (stride == 1)
        wf_store_n(p, x, n);
    else
        _mm512_mask_i32scatter_ps(p, wide_first(n), wide_column_index(stride), x, 4);
}

/* Four vectors of words of 16 blocks -> to + 4 b holds the four words of block b. */
WIDE_INLINE void wf_store_blocks(float *to, wf a, wf b, wf c, wf d) {
    wf ab_low = _mm512_unpacklo_ps(a, b), ab_high = _mm512_unpackhi_ps(a, b);
    wf cd_low = _mm512_unpacklo_ps(c, d), cd_high = _mm512_unpackhi_ps(c, d);
    wf r0 = _mm512_shuffle_ps(ab_low, cd_low, 0x44), r1 = _mm512_shuffle_ps(ab_low, cd_low, 0xEE);
    wf r2 = _mm512_shuffle_ps(ab_high, cd_high, 0x44), r3 = _mm512_shuffle_ps(ab_high, cd_high, 0xEE);
    wf s0 = _mm512_shuffle_f32x4(r0, r1, 0x44), s1 = _mm512_shuffle_f32x4(r2, r3, 0x44);
    wf s2 = _mm512_shuffle_f32x4(r0, r1, 0xEE), s3 = _mm512_shuffle_f32x4(r2, r3, 0xEE);
    wf_store(to, _mm512_shuffle_f32x4(s0, s1, 0x88));
    wf_store(to + 16, _mm512_shuffle_f32x4(s0, s1, 0xDD));
    wf_store(to + 32, _mm512_shuffle_f32x4(s2, s3, 0x88));
    wf_store(to + 48, _mm512_shuffle_f32x4(s2, s3, 0xDD));
}
