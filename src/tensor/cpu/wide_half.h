/*
 * wide_half.h - wide floats from and to bf16, the upper half of a float; after wide.h.
 *
 *     wf_load_half, wf_load_half_n    as wf_load, wf_load_n, of uint16_t
 *     wf_to_half                      rounded to bf16 (to nearest, ties to even); a NaN stays one
 *     wf_store_half, wf_store_half_n  the upper halves
 */
#ifndef REINI_WIDE_HALF_H
#define REINI_WIDE_HALF_H

WIDE_INLINE wf wf_to_half(wf x) {
    wi bits = wf_bits(x), odd = wi_and(wi_shift_right(bits, 16), wi_set1(1));
    wf rounded =
        wf_from_bits(wi_and(wi_add(wi_add(bits, wi_set1(0x7FFF)), odd), wi_set1((int32_t)0xFFFF0000)));
    /* quiet, so that cutting its lower half off leaves one bit of it set */
    wf nan = wf_add(x, x);
    return wf_select(wf_eq(x, x), rounded, wf_from_bits(wi_and(wf_bits(nan), wi_set1((int32_t)0xFFFF0000))));
}

#if WIDE_LEVEL == 2
WIDE_INLINE wf wf_load_half(const uint16_t *p) {
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return wf_from_bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
WIDE_INLINE wf wf_load_half_n(const uint16_t *p, int64_t n) {
    __m256i x = _mm256_maskz_loadu_epi16(wide_first(n), p);
    return wf_from_bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
WIDE_INLINE void wf_store_half(uint16_t *p, wf x) {
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(wf_bits(x), 16)));
}
WIDE_INLINE void wf_store_half_n(uint16_t *p, wf x, int64_t n) {
    _mm256_mask_storeu_epi16(p, wide_first(n), _mm512_cvtepi32_epi16(_mm512_srli_epi32(wf_bits(x), 16)));
}
#else
#if WIDE_LEVEL == 1
WIDE_INLINE wf wf_load_half(const uint16_t *p) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return wf_from_bits(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}
WIDE_INLINE void wf_store_half(uint16_t *p, wf x) {
    __m256i upper = _mm256_srli_epi32(wf_bits(x), 16);
    __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1));
    _mm_storeu_si128((__m128i *)(void *)p, packed);
}
#else
WIDE_INLINE wf wf_load_half(const uint16_t *p) {
    wi bits;
    for (int l = 0; l < WF_LANES; l++)
        bits[l] = (int32_t)((uint32_t)p[l] << 16);
    return wf_from_bits(bits);
}
WIDE_INLINE void wf_store_half(uint16_t *p, wf x) {
    for (int l = 0; l < WF_LANES; l++)
        p[l] = (uint16_t)((uint32_t)wf_bits(x)[l] >> 16);
}
#endif
WIDE_INLINE wf wf_load_half_n(const uint16_t *p, int64_t n) {
    uint16_t some[WF_LANES] = {0};
    for (int64_t l = 0; l < n; l++)
        some[l] = p[l];
    return wf_load_half(some);
}
WIDE_INLINE void wf_store_half_n(uint16_t *p, wf x, int64_t n) {
    uint16_t some[WF_LANES];
    wf_store_half(some, x);
    for (int64_t l = 0; l < n; l++)
        p[l] = some[l];
}
#endif

#endif
