/*
 * matmul_amx.c - large products of bf16 numbers with sums in float, on AMX tiles; see matmul_kernels.h.
 *
 * Strips of 32 lines of a and panels of 32 lines of b are packed for every 32 of the depth as two tiles: of a, rows of a tile
 * are lines; of b, they are pairs of the depth, side by side for 16 lines. Both come from memory as 16 vectors of 16 pairs,
 *
 *     lines along the depth: vector i is line i, 16 pairs of the depth         = rows of a tile of a,
 *     lines across it:       vector p is a pair of the depth, of 16 lines      = rows of a tile of b,
 *
 * and the other two cases are their transposes. A strip times a panel is four tiles of sums: four tiles read for four
 * products. An element's sum is one chain over increasing depth, and zeros fill the depth up, so that its bits depend
 * neither on blocks nor on rows.
 *
 * Few rows of x: lines of w are the rows of tiles as they lie in memory, and the few rows are the columns; each tile of w is
 * read once and multiplied with all of them. The same chains in the same order give the same bits.
 *
 * Denormal numbers count as 0.
 */
#include "base/base.h"
#include "tensor/matmul_kernels.h"

#if (defined(__AMX_BF16__) || defined(__AMXBF16__)) && defined(__AVX512BF16__) && defined(__linux__)

#define WIDE_LEVEL 2
#include "wide.h"
/* what dense layers pack is float alone: this file has packing of its own */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "amx_tile.inc.h"
#pragma GCC diagnostic pop

enum {
    THIN_ROWS = 64,
    BLOCK_ROWS = 640,
    BLOCK_COLUMNS = 640,
    BLOCK_DEPTH = 640, /* a strip of a then just stays in the first-level cache */
};

/* a tile of b, which is read once for each strip of a: not to push the strip out of the first-level cache */
#define TILE_LOAD_PASSING(t, from)                                                                           \
    __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm" #t : : "r"(from), "r"(INT64_C(64)) : "memory")
/* rows of 64 bytes, `row` bytes apart */
#define TILE_LOAD_BYTES(t, from, row)                                                                        \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(from), "r"((int64_t)(row)) : "memory")

/* ---- packing -------------------------------------------------------------------------------------------- */

WIDE_INLINE int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* the first n lanes of 32; n <= 0: none */
WIDE_INLINE __mmask32 first_halves(int64_t n) {
    return n >= 32 ? 0xFFFFFFFFu : n > 0 ? (1u << n) - 1 : 0;
}

/* n numbers of the depth of one line */
WIDE_INLINE __m512i take_pairs(const reini_lines *x, int64_t line, int64_t d, int64_t n, const bool half) {
    int64_t at = line * x->stride + d;
    if (half)
        return _mm512_maskz_loadu_epi16(first_halves(n), (const uint16_t *)x->at + at);
    const float *p = (const float *)x->at + at;
    return pack_narrow(pack_load(p, n), pack_load(p + 16, n - 16));
}

/* Depths d and d + 1 of n lines, `deep` of the two there. */
WIDE_INLINE __m512i take_lines(const reini_lines *x, int64_t line, int64_t d, int64_t n, int64_t deep,
                               const bool half) {
    static const _Alignas(64)
        uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                              8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    int64_t at = d * x->stride + line;
    if (!half) {
        const float *p = (const float *)x->at + at;
        return pack_interleave(deep > 0 ? pack_load(p, n) : wf_zero(),
                               deep > 1 ? pack_load(p + x->stride, n) : wf_zero());
    }
    const uint16_t *p = (const uint16_t *)x->at + at;
    __mmask16 lanes = (__mmask16)first_halves(least(n, 16));
    __m256i first = _mm256_maskz_loadu_epi16(deep > 0 ? lanes : 0, p);
    __m256i second = _mm256_maskz_loadu_epi16(deep > 1 ? lanes : 0, deep > 1 ? p + x->stride : p);
    __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
    return _mm512_permutexvar_epi16(_mm512_load_si512(order), both);
}

/* How a pack function reads and writes; constants where it is inlined. */
typedef struct packing {
    bool half, across, turned;
    int wide; /* tiles of lines beside each other */
} packing;

/* What the next 16 lines, or 32 of the depth, need: `count` rows of memory, a tile wide, from row `row` on. They are apart,
 * so that the processor does not fetch them by itself. */
WIDE_INLINE void fetch_rows(const reini_lines *x, int64_t row, int64_t count, int64_t column,
                            const packing p) {
    int64_t size = p.half ? 2 : 4;
    const char *at = (const char *)x->at + (row * x->stride + column) * size;
    for (int64_t r = 0; r < count; r++, at += x->stride * size) {
        __builtin_prefetch(at, 0, 2);
        if (!p.half && !p.across)
            __builtin_prefetch(at + 64, 0, 2);
    }
}

/* 16 lines from `line` on, 32 of the depth from d on, as a tile. */
WIDE_INLINE void pack_square(tile *to, const reini_lines *x, int64_t line, int64_t d, const bool whole,
                             const packing p) {
    _Alignas(64) float pairs[16][16];
    float *rows = p.turned ? pairs[0] : (float *)(void *)to;
    int64_t lines = whole ? 16 : x->lines - line, deep = whole ? 32 : x->depth - d;
#pragma GCC unroll 4
    for (int64_t r = 0; r < 16; r++) {
        __m512i v;
        if (p.across)
            v = take_lines(x, line, d + 2 * r, lines, whole ? 2 : deep - 2 * r, p.half);
        else
            v = r < lines ? take_pairs(x, line + r, d, deep, p.half) : _mm512_setzero_si512();
        _mm512_store_si512(rows + 16 * r, v);
    }
    if (p.turned)
        pack_transpose(to, (const float(*)[16])pairs);
}

/* Tile t of the depth of 16 lines. */
WIDE_INLINE void pack_one(tile *to, const reini_lines *x, int64_t line, int64_t t, const packing p) {
    int64_t d = 32 * t, depth = (x->depth + 31) / 32, strip = line / (16 * p.wide);
    to += (strip * depth + t) * p.wide + line / 16 % p.wide;
    if (line + 16 <= x->lines && d + 32 <= x->depth)
        pack_square(to, x, line, d, true, p);
    else
        pack_square(to, x, line, d, false, p);
}

/* In the order of memory: over lines that lie across it before the depth. */
WIDE_INLINE void pack_tiles(tile *to, const reini_lines *x, const packing p) {
    int64_t lines = (x->lines + 16 * p.wide - 1) / (16 * p.wide) * 16 * p.wide, depth = (x->depth + 31) / 32;
    if (p.across) {
        for (int64_t t = 0; t < depth; t++)
            for (int64_t l = 0; l < lines; l += 16) {
                if (32 * t + 64 <= x->depth)
                    fetch_rows(x, 32 * t + 32, 32, l, p);
                pack_one(to, x, l, t, p);
            }
        return;
    }
    for (int64_t l = 0; l < lines; l += 16)
        for (int64_t t = 0; t < depth; t++) {
            if (l + 32 <= x->lines)
                fetch_rows(x, l + 16, 16, 32 * t, p);
            pack_one(to, x, l, t, p);
        }
}

#define PACK(name, wide, across, turned)                                                                     \
    static void name(void *to, const reini_lines *x) {                                                       \
        if (x->half)                                                                                         \
            pack_tiles(to, x, (packing){true, across, turned, wide});                                        \
        else                                                                                                 \
            pack_tiles(to, x, (packing){false, across, turned, wide});                                       \
    }
PACK(pack_a_along, 2, false, false)
PACK(pack_a_across, 2, true, true)
PACK(pack_b_along, 2, false, true)
PACK(pack_b_across, 2, true, false)
PACK(pack_few, 1, false, true)

static void amx_pack_a(void *to, const reini_lines *x) {
    (x->across ? pack_a_across : pack_a_along)(to, x);
}

static void amx_pack_b(void *to, const reini_lines *x) {
    (x->across ? pack_b_across : pack_b_along)(to, x);
}

/* ---- products of blocks --------------------------------------------------------------------------------- */

WIDE_INLINE void multiply_tiles(float *c, int64_t c_row, const tile *a, const tile *b, int64_t depth,
                                bool more) {
    float *below = c + 16 * c_row;
    if (more) {
        TILE_LOAD(0, c, c_row);
        TILE_LOAD(1, c + 16, c_row);
        TILE_LOAD(2, below, c_row);
        TILE_LOAD(3, below + 16, c_row);
    } else {
        TILE_ZERO(0);
        TILE_ZERO(1);
        TILE_ZERO(2);
        TILE_ZERO(3);
    }
    for (int64_t d = 0; d < depth; d += 32, a += 2, b += 2) {
        TILE_LOAD(4, a, 16);
        TILE_LOAD_PASSING(6, b);
        TILE_ADD_PRODUCT(0, 4, 6);
        TILE_LOAD_PASSING(7, b + 1);
        TILE_ADD_PRODUCT(1, 4, 7);
        TILE_LOAD(5, a + 1, 16);
        TILE_ADD_PRODUCT(2, 5, 6);
        TILE_ADD_PRODUCT(3, 5, 7);
    }
    TILE_STORE(0, c, c_row);
    TILE_STORE(1, c + 16, c_row);
    TILE_STORE(2, below, c_row);
    TILE_STORE(3, below + 16, c_row);
}

static void amx_multiply(float *c, int64_t c_row, const void *a, const void *b, int64_t rows, int64_t columns,
                         int64_t depth, bool more) {
    int64_t strip = depth / 32 * 2; /* tiles */
    tile_configure();
    for (int64_t i = 0; i < rows; i += 32)
        for (int64_t j = 0; j < columns; j += 32)
            multiply_tiles(c + i * c_row + j, c_row, (const tile *)a + i / 32 * strip,
                           (const tile *)b + j / 32 * strip, depth, more);
}

/* 32 columns of bf16 */
WIDE_INLINE void finish_half(const reini_sums *s, const float *c, int64_t at, int64_t j, int64_t n) {
    wf scale = wf_set1(s->scale);
    wf a = wf_mul(pack_load(c + j, n), scale), b = wf_mul(pack_load(c + j + 16, n - 16), scale);
    if (s->bias != NULL) {
        a = wf_add(a, pack_load(s->bias + j, n));
        b = wf_add(b, pack_load(s->bias + j + 16, n - 16));
    }
    uint16_t *to = (uint16_t *)s->to + at + j;
    if (s->passing && n >= 32 && ((uintptr_t)to & 63) == 0)
        _mm512_stream_si512((__m512i *)(void *)to, pack_narrow(a, b));
    else
        _mm512_mask_storeu_epi16(to, first_halves(n), pack_narrow(a, b));
}

static void amx_finish(const reini_sums *s, const float *c, int64_t c_row, int64_t rows, int64_t columns) {
    if (!s->half) {
        reini_matmul_avx512.finish(s, c, c_row, rows, columns);
        return;
    }
    for (int64_t i = 0; i < rows; i++, c += c_row)
        for (int64_t j = 0; j < columns; j += 32)
            finish_half(s, c, i * s->stride, j, columns - j);
    if (s->passing)
        _mm_sfence();
}

/* ---- few rows ------------------------------------------------------------------------------------------- */

static size_t amx_thin_room(const reini_lines *a, const reini_lines *b) {
    if (a->across || b->across || !b->half)
        return 0;
    return sizeof(tile) * (size_t)((a->lines + 15) / 16 * ((a->depth + 31) / 32));
}

static void amx_thin_pack(void *to, const reini_lines *a) {
    pack_few(to, a);
}

/* Adds the products of a tile of w in register 4 with x's tiles, `apart` tiles from each other. */
WIDE_INLINE void thin_products(const tile *x, int64_t apart, int tiles) {
    TILE_LOAD(5, x, 16);
    TILE_ADD_PRODUCT(0, 4, 5);
    if (tiles > 1) {
        TILE_LOAD(6, x + apart, 16);
        TILE_ADD_PRODUCT(1, 4, 6);
    }
    if (tiles > 2) {
        TILE_LOAD(7, x + 2 * apart, 16);
        TILE_ADD_PRODUCT(2, 4, 7);
    }
    if (tiles > 3) {
        TILE_LOAD(5, x + 3 * apart, 16);
        TILE_ADD_PRODUCT(3, 4, 5);
    }
}

/* sums (tiles x 16 x 16) = 16 lines of w from `line` on times x; fewer lines and the end of the depth by way of a copy. */
static void thin_lines(float *sums, const reini_lines *w, int64_t line, const tile *x, int tiles) {
    const uint16_t *at = (const uint16_t *)w->at + line * w->stride;
    int64_t whole = line + 16 <= w->lines ? w->depth / 32 : 0, depth = (w->depth + 31) / 32, t = 0;
    /* as far ahead as the next 16 lines, while these are here */
    int64_t ahead = line + 32 <= w->lines ? 16 * w->stride : 0;
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (; t < whole; t++) {
        const uint16_t *from = at + 32 * t;
        for (int64_t r = 0; r < 16; r++)
            __builtin_prefetch(from + ahead + r * w->stride, 0, 3);
        TILE_LOAD_BYTES(4, from, w->stride * 2);
        thin_products(x + t, depth, tiles);
    }
    for (; t < depth; t++) {
        tile copy;
        pack_square(&copy, w, line, 32 * t, false, (packing){true, false, false, 1});
        TILE_LOAD(4, &copy, 16);
        thin_products(x + t, depth, tiles);
    }
    TILE_STORE(0, sums, 16);
    TILE_STORE(1, sums + 256, 16);
    TILE_STORE(2, sums + 512, 16);
    TILE_STORE(3, sums + 768, 16);
}

static void amx_thin(const reini_sums *s, const void *x, int64_t rows, const reini_lines *w) {
    _Alignas(64) float sums[THIN_ROWS / 16][16][16];
    _Alignas(64) tile turned;
    int tiles = (int)((rows + 15) / 16);
    tile_configure();
    for (int64_t j = 0; j < w->lines; j += 16) {
        thin_lines(sums[0][0], w, j, x, tiles);
        for (int64_t i = 0; i < rows; i += 16) {
            reini_sums part = *s;
            int64_t at = i * s->stride + j;
            part.to = s->half ? (void *)((uint16_t *)s->to + at) : (void *)((float *)s->to + at);
            part.bias = s->bias != NULL ? s->bias + j : NULL;
            pack_transpose(&turned, (const float(*)[16])sums[i / 16]);
            amx_finish(&part, (const float *)(const void *)&turned, 16, least(16, rows - i),
                       least(16, w->lines - j));
        }
    }
}

/* ---- the rest as in float ------------------------------------------------------------------------------- */

static void amx_sum_depth(float *to, const reini_lines *x, float scale) {
    reini_matmul_avx512.sum_depth(to, x, scale);
}

static void amx_narrow(uint16_t *to, const float *from, int64_t n) {
    reini_matmul_avx512.narrow(to, from, n);
}

static void amx_widen(float *to, const uint16_t *from, int64_t n) {
    reini_matmul_avx512.widen(to, from, n);
}

const reini_matmul_kernels reini_matmul_amx = {
    .high = 32,
    .wide = 32,
    .deep = 32,
    .rows = BLOCK_ROWS,
    .columns = BLOCK_COLUMNS,
    .depth = BLOCK_DEPTH,
    .part_depth = BLOCK_DEPTH,
    .whole_columns = BLOCK_COLUMNS,
    .size = sizeof(uint16_t),
    .few = THIN_ROWS,
    .pack_a = amx_pack_a,
    .pack_b = amx_pack_b,
    .multiply = amx_multiply,
    .finish = amx_finish,
    .thin_room = amx_thin_room,
    .thin_pack = amx_thin_pack,
    .thin = amx_thin,
    .sum_depth = amx_sum_depth,
    .narrow = amx_narrow,
    .widen = amx_widen,
};

#else

const reini_matmul_kernels reini_matmul_amx = {.multiply = NULL};

#endif
