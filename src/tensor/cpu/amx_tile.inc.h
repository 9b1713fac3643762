/*
 * amx_tile.inc.h - products of packed bf16 tiles; part of simd_amx.c.
 *
 * A tile is 16 rows of 64 bytes. One instruction adds the product of two tiles of bf16 to one of float:
 *
 *     c (16 x 16) += a (16 x 32) b (32 x 16)
 *
 * a has its rows one after the other; b has pairs of rows interleaved: 4 bytes are b[2p, j] and b[2p + 1, j].
 */

enum {
    TILE_ROWS = 16,        /* rows of any tile, columns of tiles of b and c */
    TILE_DEPTH = 32,       /* columns of a, rows of b */
    PANEL = 2 * TILE_ROWS, /* columns of c computed together */
};

typedef struct tile {
    _Alignas(64) uint16_t row[TILE_ROWS][TILE_DEPTH];
} tile;

/* ---- configuration ------------------------------------------------------------------------------------- */

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* Every register is a whole tile. The configuration belongs to the thread, and any function may change it as
 * it may vector registers, so every call compares it (24 cycles) and loads it when it is another's (170). */
static void tile_configure(void) {
    static const _Alignas(64) tile_config ours = {
        .palette = 1,
        .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {16, 16, 16, 16, 16, 16, 16, 16},
    };
    _Alignas(64) tile_config now;
    /* memory operands of the whole structure: compilers' own intrinsics may name only a part of it */
    __asm__ volatile("sttilecfg %0" : "=m"(now));
    __m512i difference = _mm512_xor_si512(_mm512_load_si512(&now), _mm512_load_si512(&ours));
    if (_mm512_test_epi32_mask(difference, difference))
        __asm__ volatile("ldtilecfg %0" : : "m"(ours));
}

#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t : :)
/* rows of 64 bytes, `row` numbers of 4 bytes apart */
#define TILE_LOAD(t, from, row)                                                                              \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(from), "r"((int64_t)(row)*4) : "memory")
#define TILE_STORE(t, to, row)                                                                               \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(to), "r"((int64_t)(row)*4) : "memory")
#define TILE_ADD_PRODUCT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

/* ---- products ------------------------------------------------------------------------------------------ */

/* c = start + a b for a column of tiles two wide. */
typedef struct tile_product {
    const tile *a; /* (high x depth) tiles */
    const tile *b; /* (depth x 2) tiles, the second of a pair unused unless wide */
    int64_t high, depth;
    bool wide;
    const float *start; /* NULL = 0 */
    int64_t start_row;  /* numbers between rows of start, 0 = one row for all */
    float *c;
    int64_t c_row;
} tile_product;

static void tile_begin(const tile_product *p, int64_t m, bool low) {
    const float *start = p->start + m * TILE_ROWS * p->start_row, *below = start + TILE_ROWS * p->start_row;
    TILE_LOAD(0, start, p->start_row);
    if (p->wide)
        TILE_LOAD(1, start + TILE_ROWS, p->start_row);
    if (low)
        TILE_LOAD(2, below, p->start_row);
    if (low && p->wide)
        TILE_LOAD(3, below + TILE_ROWS, p->start_row);
}

static void tile_end(const tile_product *p, int64_t m, bool low) {
    float *c = p->c + m * TILE_ROWS * p->c_row, *below = c + TILE_ROWS * p->c_row;
    TILE_STORE(0, c, p->c_row);
    if (p->wide)
        TILE_STORE(1, c + TILE_ROWS, p->c_row);
    if (low)
        TILE_STORE(2, below, p->c_row);
    if (low && p->wide)
        TILE_STORE(3, below + TILE_ROWS, p->c_row);
}

/* Tiles m and, below it, m + 1 where there is one. */
static void tile_pair(const tile_product *p, int64_t m) {
    bool low = m + 1 < p->high;
    const tile *a = p->a + m * p->depth, *b = p->b;
    if (p->start != NULL) {
        tile_begin(p, m, low);
    } else {
        TILE_ZERO(0);
        TILE_ZERO(1);
        TILE_ZERO(2);
        TILE_ZERO(3);
    }
    for (int64_t k = 0; k < p->depth; k++, a++, b += 2) {
        TILE_LOAD(4, a, 16);
        TILE_LOAD(6, b, 16);
        TILE_ADD_PRODUCT(0, 4, 6);
        if (p->wide) {
            TILE_LOAD(7, b + 1, 16);
            TILE_ADD_PRODUCT(1, 4, 7);
        }
        if (low) {
            TILE_LOAD(5, a + p->depth, 16);
            TILE_ADD_PRODUCT(2, 5, 6);
        }
        if (low && p->wide)
            TILE_ADD_PRODUCT(3, 5, 7);
    }
    tile_end(p, m, low);
}

static void tile_multiply(const tile_product *p) {
    for (int64_t m = 0; m < p->high; m += 2)
        tile_pair(p, m);
}

/* ---- packing ------------------------------------------------------------------------------------------- */

/* n numbers (0 and below: none) of 16 from p on, 0 in the other lanes */
WIDE_INLINE wf pack_load(const float *p, int64_t n) {
    return n >= 16 ? wf_load(p) : n > 0 ? wf_load_n(p, n) : wf_zero();
}

/* 32 numbers, the first 16 of them from a */
WIDE_INLINE __m512i pack_narrow(wf a, wf b) {
    return (__m512i)_mm512_cvtne2ps_pbh(b, a);
}

/* a[0] b[0] a[1] b[1] ... */
WIDE_INLINE __m512i pack_interleave(wf a, wf b) {
    static const _Alignas(64)
        uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                              8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(order), pack_narrow(a, b));
}

/* Rows of x (rows x k), up to 16, as tiles (1 x depth); rows beyond the last stay as they are. */
static void pack_tile_rows(tile *to, const float *x, int64_t x_row, int64_t rows, int64_t k) {
    for (; k >= TILE_DEPTH; k -= TILE_DEPTH, x += TILE_DEPTH, to++) {
        const float *from = x;
#pragma GCC unroll 4
        for (int64_t r = 0; r < rows; r++, from += x_row)
            _mm512_store_si512(to->row[r], pack_narrow(wf_load(from), wf_load(from + 16)));
    }
    for (int64_t r = 0; k > 0 && r < rows; r++, x += x_row)
        _mm512_store_si512(to->row[r], pack_narrow(pack_load(x, k), pack_load(x + 16, k - 16)));
}

/* Rows of x (rows x k) as tiles (rows / 16 x depth). */
static void pack_rows(tile *to, const float *x, int64_t x_row, int64_t rows, int64_t k) {
    for (; rows > 0; rows -= TILE_ROWS, x += TILE_ROWS * x_row, to += (k + TILE_DEPTH - 1) / TILE_DEPTH)
        pack_tile_rows(to, x, x_row, rows < TILE_ROWS ? rows : TILE_ROWS, k);
}

/* Rows r and r + 1 of x (rows x columns) interleaved, up to 16 columns; 0 beyond them. */
WIDE_INLINE __m512i pack_pair(const float *x, int64_t x_row, int64_t r, int64_t rows, int64_t columns) {
    wf a = r < rows ? pack_load(x + r * x_row, columns) : wf_zero();
    wf b = r + 1 < rows ? pack_load(x + (r + 1) * x_row, columns) : wf_zero();
    return pack_interleave(a, b);
}

static void pack_whole_pairs(tile to[2], const float *b, int64_t b_row) {
#pragma GCC unroll 2
    for (int p = 0; p < TILE_ROWS; p++, b += 2 * b_row) {
        const float *next = b + b_row;
        _mm512_store_si512(to[0].row[p], pack_interleave(wf_load(b), wf_load(next)));
        _mm512_store_si512(to[1].row[p], pack_interleave(wf_load(b + 16), wf_load(next + 16)));
    }
}

static void pack_some_pairs(tile to[2], const float *b, int64_t b_row, int64_t rows, int64_t columns) {
    for (int p = 0; p < TILE_ROWS; p++) {
        _mm512_store_si512(to[0].row[p], pack_pair(b, b_row, 2 * p, rows, columns));
        if (columns > 16)
            _mm512_store_si512(to[1].row[p], pack_pair(b + 16, b_row, 2 * p, rows, columns - 16));
    }
}

/* Row pairs of b (k x columns), up to 32 columns, as tiles (depth x 2); zeros below the last row. */
static void pack_pairs(tile *to, const float *b, int64_t b_row, int64_t k, int64_t columns) {
    for (; k > 0; k -= TILE_DEPTH, b += TILE_DEPTH * b_row, to += 2)
        if (columns == PANEL && k >= TILE_DEPTH)
            pack_whole_pairs(to, b, b_row);
        else
            pack_some_pairs(to, b, b_row, k, columns);
}

/* The 16 bytes at p, p + 4 rows, p + 8 rows and p + 12 rows, a row being 16 floats. */
WIDE_INLINE wf pack_lanes(const float *p) {
    wf x = _mm512_broadcast_f32x4(_mm_load_ps(p));
    x = _mm512_mask_broadcast_f32x4(x, 0x00F0, _mm_load_ps(p + 64));
    x = _mm512_mask_broadcast_f32x4(x, 0x0F00, _mm_load_ps(p + 128));
    return _mm512_mask_broadcast_f32x4(x, 0xF000, _mm_load_ps(p + 192));
}

/* to = the transpose of 16 x 16 words of 4 bytes; loads place 16 bytes, to spare the shuffling unit */
static void pack_transpose(tile *to, const float from[16][16]) {
    for (int q = 0; q < 16; q += 4) {
        wf a = pack_lanes(&from[0][q]), b = pack_lanes(&from[1][q]);
        wf c = pack_lanes(&from[2][q]), d = pack_lanes(&from[3][q]);
        __m512d ab_low = (__m512d)_mm512_unpacklo_ps(a, b), ab_high = (__m512d)_mm512_unpackhi_ps(a, b);
        __m512d cd_low = (__m512d)_mm512_unpacklo_ps(c, d), cd_high = (__m512d)_mm512_unpackhi_ps(c, d);
        _mm512_store_pd(to->row[q], _mm512_unpacklo_pd(ab_low, cd_low));
        _mm512_store_pd(to->row[q + 1], _mm512_unpackhi_pd(ab_low, cd_low));
        _mm512_store_pd(to->row[q + 2], _mm512_unpacklo_pd(ab_high, cd_high));
        _mm512_store_pd(to->row[q + 3], _mm512_unpackhi_pd(ab_high, cd_high));
    }
}

/* Up to 16 columns of x (rows x columns) transposed: tiles (1 x depth) that hold column i in row i. */
static void pack_tile_columns(tile *to, const float *x, int64_t x_row, int64_t rows, int64_t columns) {
    _Alignas(64) float pair[16][16];
    for (; rows > 0; rows -= TILE_DEPTH, x += TILE_DEPTH * x_row, to++) {
        if (columns == TILE_ROWS && rows >= TILE_DEPTH)
            for (int p = 0; p < 16; p++)
                _mm512_store_si512(
                    pair[p], pack_interleave(wf_load(x + 2 * p * x_row), wf_load(x + (2 * p + 1) * x_row)));
        else
            for (int p = 0; p < 16; p++)
                _mm512_store_si512(pair[p], pack_pair(x, x_row, 2 * p, rows, columns));
        pack_transpose(to, (const float(*)[16])pair);
    }
}

/* x (rows x columns) transposed: tiles (columns / 16 x depth) that hold column i in row i. */
static void pack_columns(tile *to, const float *x, int64_t x_row, int64_t rows, int64_t columns) {
    for (; columns > 0; columns -= TILE_ROWS, x += TILE_ROWS, to += (rows + TILE_DEPTH - 1) / TILE_DEPTH)
        pack_tile_columns(to, x, x_row, rows, columns < TILE_ROWS ? columns : TILE_ROWS);
}
