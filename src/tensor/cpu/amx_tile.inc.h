/*
 * amx_tile.inc.h - products of packed bf16 tiles; part of simd_amx.c.
 *
 * A tile is 16 rows of 64 bytes. One instruction adds the product of two tiles of bf16 numbers to a tile of float:
 *
 *     c (16 x 16) += a (16 x 32) b (32 x 16)
 *
 * a has its rows one after the other; b has pairs of rows interleaved, so that 4 bytes hold b[2p, j] and b[2p + 1, j].
 */

enum {
    TILE_ROWS = 16,                    /* rows of any tile, columns of tiles of b and c */
    TILE_DEPTH = 32,                   /* columns of a, rows of b */
    PANEL = 2 * TILE_ROWS,             /* columns of c computed together */
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

/* Every register is a whole tile. The configuration belongs to the thread and functions may change it as they may
 * change vector registers, so it is compared in every call (24 cycles) and loaded when it is another's (170). */
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
#define TILE_LOAD(t, from, row) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(from), "r"((int64_t)(row) * 4) : "memory")
#define TILE_STORE(t, to, row) \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(to), "r"((int64_t)(row) * 4) : "memory")
#define TILE_ADD_PRODUCT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

/* ---- products ------------------------------------------------------------------------------------------ */

/* 16 rows of a panel: c (16 x 32) = start + a b, then perhaps `out` made from c. */
typedef struct tile_step {
    const tile *a; /* (1 x depth) tiles */
    const tile *b; /* (depth x 2) tiles, the second of a pair unused unless wide */
    int64_t depth;
    bool wide;          /* more than 16 columns */
    const float *start; /* NULL = 0 */
    int64_t start_row;  /* numbers between rows of start, 0 = one row for all */
    float *c;
    int64_t c_row;
    /* NULL, or what makes rows x columns of out from c */
    void (*finish)(float *out, int64_t out_row, const float *c, int64_t rows, int64_t columns);
    float *out;
    int64_t out_row, rows, columns;
} tile_step;

#define TILE_MULTIPLY(s, c0, c1, a0)                           \
    do {                                                       \
        if ((s)->start != NULL) {                              \
            TILE_LOAD(c0, (s)->start, (s)->start_row);         \
            if ((s)->wide)                                     \
                TILE_LOAD(c1, (s)->start + 16, (s)->start_row); \
        } else {                                               \
            TILE_ZERO(c0);                                     \
            TILE_ZERO(c1);                                     \
        }                                                      \
        for (int64_t k = 0; k < (s)->depth; k++) {             \
            TILE_LOAD(a0, (s)->a + k, 16);                     \
            TILE_LOAD(6, (s)->b + 2 * k, 16);                  \
            TILE_ADD_PRODUCT(c0, a0, 6);                       \
            if ((s)->wide) {                                   \
                TILE_LOAD(7, (s)->b + 2 * k + 1, 16);          \
                TILE_ADD_PRODUCT(c1, a0, 7);                   \
            }                                                  \
        }                                                      \
    } while (0)

#define TILE_KEEP(s, c0, c1)                            \
    do {                                                \
        TILE_STORE(c0, (s)->c, (s)->c_row);             \
        if ((s)->wide)                                  \
            TILE_STORE(c1, (s)->c + 16, (s)->c_row);    \
    } while (0)

/* Steps in flight. A store that waits for its product would fill the processor's queues, so a step's tiles are stored
 * after the next step's products have begun, and finished after those of the step after that. */
typedef struct tile_queue {
    tile_step step[2];
    int64_t count;
} tile_queue;

static void queue_store(tile_queue *q, int64_t i) {
    if (i % 2)
        TILE_KEEP(&q->step[1], 2, 3);
    else
        TILE_KEEP(&q->step[0], 0, 1);
}

static void queue_finish(tile_queue *q, int64_t i) {
    const tile_step *s = &q->step[i % 2];
    if (s->finish != NULL)
        s->finish(s->out, s->out_row, s->c, s->rows, s->columns);
}

static void queue_push(tile_queue *q, const tile_step *s) {
    if (q->count % 2)
        TILE_MULTIPLY(s, 2, 3, 5);
    else
        TILE_MULTIPLY(s, 0, 1, 4);
    if (q->count >= 2)
        queue_finish(q, q->count);
    if (q->count >= 1)
        queue_store(q, q->count - 1);
    q->step[q->count++ % 2] = *s;
}

/* The rest of the steps. */
static void queue_end(tile_queue *q) {
    if (q->count >= 2)
        queue_finish(q, q->count);
    if (q->count >= 1) {
        queue_store(q, q->count - 1);
        queue_finish(q, q->count - 1);
    }
    q->count = 0;
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
    static const _Alignas(64) uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(order), pack_narrow(a, b));
}

/* Rows of x (rows x k), up to 16, as tiles (1 x depth); rows beyond the last stay as they are. */
static void pack_rows(tile *to, const float *x, int64_t x_row, int64_t rows, int64_t k) {
    for (; k >= TILE_DEPTH; k -= TILE_DEPTH, x += TILE_DEPTH, to++) {
        const float *from = x;
#pragma GCC unroll 4
        for (int64_t r = 0; r < rows; r++, from += x_row)
            _mm512_store_si512(to->row[r], pack_narrow(wf_load(from), wf_load(from + 16)));
    }
    for (int64_t r = 0; k > 0 && r < rows; r++, x += x_row)
        _mm512_store_si512(to->row[r], pack_narrow(pack_load(x, k), pack_load(x + 16, k - 16)));
}

/* Row pairs of b (k x columns), up to 32 columns, as tiles (depth x 2); zeros below the last row. */
static void pack_pairs(tile *to, const float *b, int64_t b_row, int64_t k, int64_t columns) {
    int64_t p = 0, pairs = (k + TILE_DEPTH - 1) / TILE_DEPTH * (TILE_DEPTH / 2);
#pragma GCC unroll 2
    for (; columns == PANEL && 2 * p + 1 < k; p++, b += 2 * b_row) {
        tile *t = to + p / TILE_ROWS * 2;
        _mm512_store_si512(t[0].row[p % TILE_ROWS], pack_interleave(wf_load(b), wf_load(b + b_row)));
        _mm512_store_si512(t[1].row[p % TILE_ROWS], pack_interleave(wf_load(b + 16), wf_load(b + b_row + 16)));
    }
    for (; p < pairs; p++, b += 2 * b_row) {
        tile *t = to + p / TILE_ROWS * 2;
        int64_t first = 2 * p < k ? columns : 0, second = 2 * p + 1 < k ? columns : 0;
        const float *next = second ? b + b_row : b;
        _mm512_store_si512(t[0].row[p % TILE_ROWS], pack_interleave(pack_load(b, first), pack_load(next, second)));
        if (columns > 16)
            _mm512_store_si512(t[1].row[p % TILE_ROWS],
                               pack_interleave(pack_load(b + 16, first - 16), pack_load(next + 16, second - 16)));
    }
}

/* Up to 16 columns of x (rows x columns) transposed: tiles (1 x depth) that hold column i in row i. */
static void pack_columns(tile *to, const float *x, int64_t x_row, int64_t rows, int64_t columns) {
    for (int64_t first = 0; first < rows; first += TILE_DEPTH, to++) {
        wf pair[16];
        for (int p = 0; p < 16; p++) {
            int64_t r = first + 2 * p, n = r < rows ? columns : 0, n_next = r + 1 < rows ? columns : 0;
            const float *from = x + (n ? r : 0) * x_row, *next = n_next ? from + x_row : from;
            pair[p] = (wf)pack_interleave(pack_load(from, n), pack_load(next, n_next));
        }
        wf_transpose(pair);
        for (int i = 0; i < TILE_ROWS; i++)
            _mm512_store_ps(to->row[i], pair[i]);
    }
}
