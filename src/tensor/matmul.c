/*
 * matmul.c - products of large matrices: cutting them into blocks and sharing these out.
 *
 * The three products are one, sums over the depth of lines of a times lines of b (matmul_kernels.h):
 *
 *               a, lines x depth      b, lines x depth
 *     forward   x    (m x k)          w    (n x k)
 *     input     dy   (m x n)          w^T  (k x n)
 *     weight    dy^T (n x m)          x^T  (k x m)
 *
 * A worker takes a block of the result and goes through the depth in parts: it packs both operands' parts into its scratch
 * memory, which fits the second-level cache, and multiplies them. Blocks that share the lines of b follow each other, and
 * a worker keeps what it has packed. Where several blocks want the same lines of a, these are packed before, once for all
 * workers; if their depth is more than there is room for, that happens in passes, between which sums are kept. Few rows go
 * another way: b is read where it lies, once.
 */
#include "tensor/matmul.h"

#include <string.h>
#include "tensor/matmul_kernels.h"

/* of the scratch of one worker */
typedef struct scratch {
    char *a, *b;
    float *c;
    int64_t packed_call, packed_block; /* the call and block of columns that b holds */
    char apart[64];                    /* from the next worker's */
} scratch;

struct reini_matmul {
    rein_pool *pool;
    const reini_matmul_kernels *kernels;
    bool bf16;
    int workers;
    int64_t calls;
    scratch *scratch; /* (workers) */
    void *memory;     /* of all of them, then SHARED bytes of a, then KEPT of sums */
    char *shared, *kept;
};

/* One product: blocks of rows x columns of the result, then sums of dy's columns. */
typedef struct product {
    reini_matmul *mm;
    reini_lines a, b;
    reini_sums sums;
    int64_t rows, columns, depth; /* of a block */
    int64_t high_blocks, wide_blocks;
    int64_t from, to;          /* the depth of this pass */
    bool shared, kept;         /* a is packed before; sums are kept between passes */
    const reini_lines *summed; /* or NULL */
    float *db;
} product;

enum {
    CACHE_LINE = 64,
    C_APART = 16, /* floats between rows of c beyond its columns, so that they do not share a cache set */
    PANELS = 2,   /* multiplied before their sums are taken */
    SUM_COLUMNS = 256, /* that one task sums */
    TASKS_A_WORKER = 3,
    THIN_COLUMNS = 128, /* of one task, at least */
    LEAST_PANELS = 3,   /* of a block's columns, while rows can be cut instead */
    SHARED = 4 << 20,   /* bytes of a packed before */
    KEPT = 4 << 20,     /* bytes of sums */
    PASSING = 1 << 19,  /* numbers of a result that a cache is not expected to keep */
    SHARE = 16384,      /* numbers that one task narrows or widens */
};

/* ---- memory --------------------------------------------------------------------------------------------- */

static size_t in_lines(size_t bytes) {
    return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

/* A vector more of a and b than they hold: kernels may read or write on past the end. */
static size_t a_room(const reini_matmul_kernels *k) {
    return in_lines((size_t)(k->rows * k->depth) * k->size + CACHE_LINE);
}

static size_t b_room(const reini_matmul_kernels *k) {
    return in_lines((size_t)(k->whole_columns * k->depth) * k->size + CACHE_LINE);
}

static void lay_out(reini_matmul *mm, size_t a, size_t b, size_t c) {
    char *at = mm->memory;
    for (int w = 0; w < mm->workers; w++, at += a + b + c)
        mm->scratch[w] = (scratch){.a = at, .b = at + a, .c = (float *)(void *)(at + a + b)};
    mm->shared = at;
    mm->kept = at + SHARED;
}

static size_t c_room(const reini_matmul_kernels *k) {
    return in_lines((size_t)(k->rows * (k->columns + C_APART)) * sizeof(float));
}

int64_t reini_matmul_bytes(rein_dtype products, int workers) {
    const reini_matmul_kernels *k = reini_matmul_best(products == REIN_BF16);
    size_t each = a_room(k) + b_room(k) + c_room(k) + sizeof(scratch);
    return (int64_t)(sizeof(reini_matmul) + (size_t)workers * each + SHARED + KEPT);
}

rein_status reini_matmul_new(rein_pool *pool, rein_dtype products, reini_matmul **out) {
    *out = NULL;
    if (products != REIN_F32 && products != REIN_BF16)
        return reini_fail(REIN_USAGE, "matmul: products are REIN_F32 or REIN_BF16, found dtype %d",
                          (int)products);
    reini_matmul *mm = REINI_NEW(reini_matmul);
    if (mm == NULL)
        return reini_fail_memory(sizeof *mm, "matmul");
    mm->pool = pool;
    mm->bf16 = products == REIN_BF16;
    mm->kernels = reini_matmul_best(mm->bf16);
    mm->workers = pool != NULL ? rein_pool_threads(pool) : 1;
    size_t a = a_room(mm->kernels), b = b_room(mm->kernels);
    size_t c = c_room(mm->kernels);
    size_t bytes = (size_t)mm->workers * (a + b + c) + SHARED + KEPT;
    mm->scratch = REINI_NEW_ARRAY(scratch, (size_t)mm->workers);
    mm->memory = reini_new(bytes);
    if (mm->scratch == NULL || mm->memory == NULL) {
        reini_matmul_free(mm);
        return reini_fail_memory(bytes, "matmul: blocks of the operands");
    }
    lay_out(mm, a, b, c);
    *out = mm;
    return REIN_OK;
}

void reini_matmul_free(reini_matmul *mm) {
    if (mm == NULL)
        return;
    reini_free(mm->memory);
    reini_free(mm->scratch);
    reini_free(mm);
}

/* ---- parts of operands and results ---------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t parts(int64_t n, int64_t part) {
    return (n + part - 1) / part;
}

static int64_t up_to(int64_t n, int64_t multiple) {
    return parts(n, multiple) * multiple;
}

/* Up to `count` lines from `line` on, up to `deep` of the depth from `d` on. */
static reini_lines part_of(const reini_lines *x, int64_t line, int64_t count, int64_t d, int64_t deep) {
    reini_lines part = *x;
    int64_t first = x->across ? d * x->stride + line : line * x->stride + d;
    part.at = (const char *)x->at + (size_t)first * (x->half ? sizeof(uint16_t) : sizeof(float));
    part.lines = least(count, x->lines - line);
    part.depth = least(deep, x->depth - d);
    return part;
}

static reini_sums sums_at(const reini_sums *s, int64_t i, int64_t j) {
    reini_sums part = *s;
    part.to = (char *)s->to + (size_t)(i * s->stride + j) * (s->half ? sizeof(uint16_t) : sizeof(float));
    part.bias = s->bias != NULL ? s->bias + j : NULL;
    return part;
}

/* ---- products by blocks --------------------------------------------------------------------------------- */

static void pack_b(const product *p, scratch *s, int64_t block, int64_t d) {
    bool whole = p->depth >= p->b.depth; /* else the next part of the depth takes its place */
    if (whole && s->packed_call == p->mm->calls && s->packed_block == block)
        return;
    reini_lines part = part_of(&p->b, block * p->columns, p->columns, d, p->depth);
    p->mm->kernels->pack_b(s->b, &part);
    s->packed_call = p->mm->calls;
    s->packed_block = block;
}

/* A part of a packed before: kernels may write a little on past its end. */
static size_t shared_part(const product *p) {
    return in_lines((size_t)(p->rows * p->depth) * p->mm->kernels->size + CACHE_LINE);
}

static char *shared_at(const product *p, int64_t high, int64_t d) {
    int64_t deep = parts(p->to - p->from, p->depth);
    return p->mm->shared + (size_t)(high * deep + (d - p->from) / p->depth) * shared_part(p);
}

static void share_part(void *user, int task, int worker) {
    const product *p = user;
    int64_t high = task % p->high_blocks, d = p->from + task / p->high_blocks * p->depth;
    reini_lines part = part_of(&p->a, high * p->rows, p->rows, d, p->depth);
    (void)worker;
    p->mm->kernels->pack_a(shared_at(p, high, d), &part);
}

static const char *packed_a(const product *p, scratch *s, int64_t high, int64_t d) {
    if (p->shared)
        return shared_at(p, high, d);
    reini_lines part = part_of(&p->a, high * p->rows, p->rows, d, p->depth);
    p->mm->kernels->pack_a(s->a, &part);
    return s->a;
}

/* Begins to read where rows x columns of sums will go: far apart in memory, and soon waited for. */
static void fetch_sums(const reini_sums *s, int64_t rows, int64_t columns) {
    int64_t size = s->half ? sizeof(uint16_t) : sizeof(float);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t at = 0; at < columns * size; at += CACHE_LINE)
            __builtin_prefetch((const char *)s->to + i * s->stride * size + at, 1, 3);
}

/* A block whose depth is one part: sums go to their place while the first-level cache has them, along rows of the result,
 * so that few pages of memory are written at a time. */
static void multiply_whole(const product *p, scratch *s, const char *a, int64_t i, int64_t j, int64_t rows,
                           int64_t columns) {
    const reini_matmul_kernels *k = p->mm->kernels;
    int64_t depth = up_to(p->a.depth, k->deep), wide = PANELS * k->wide;
    size_t line = (size_t)depth * k->size;
    for (int64_t r = 0; r < rows; r += k->high)
        for (int64_t c = 0; c < columns; c += wide) {
            int64_t left = least(wide, columns - c), high = least(k->high, rows - r);
            reini_sums sums = sums_at(&p->sums, i + r, j + c);
            if (sums.add)
                fetch_sums(&sums, high, left);
            k->multiply(s->c, wide, a + (size_t)r * line, s->b + (size_t)c * line, k->high,
                        up_to(left, k->wide), depth, false);
            k->finish(&sums, s->c, wide, high, left);
        }
}

static size_t kept_block(const product *p) {
    return in_lines((size_t)(p->rows * (p->columns + C_APART)) * sizeof(float));
}

static void run_block(const product *p, scratch *s, int64_t high, int64_t wide) {
    const reini_matmul_kernels *k = p->mm->kernels;
    int64_t i = high * p->rows, j = wide * p->columns, c_row = p->columns + C_APART;
    int64_t rows = least(p->rows, p->a.lines - i), columns = least(p->columns, p->b.lines - j);
    size_t slot = (size_t)(wide * p->high_blocks + high) * kept_block(p);
    float *c = p->kept ? (float *)(void *)(p->mm->kept + slot) : s->c;
    for (int64_t d = p->from; d < p->to; d += p->depth) {
        pack_b(p, s, wide, d);
        const char *a = packed_a(p, s, high, d);
        if (p->depth >= p->a.depth) {
            multiply_whole(p, s, a, i, j, rows, columns);
            return;
        }
        int64_t deep = up_to(least(p->depth, p->a.depth - d), k->deep);
        k->multiply(c, c_row, a, s->b, up_to(rows, k->high), up_to(columns, k->wide), deep, d > 0);
    }
    if (p->to < p->a.depth)
        return;
    reini_sums sums = sums_at(&p->sums, i, j);
    k->finish(&sums, c, c_row, rows, columns);
}

static void run_task(void *user, int task, int worker) {
    const product *p = user;
    int64_t blocks = p->high_blocks * p->wide_blocks;
    if (task < blocks) {
        run_block(p, &p->mm->scratch[worker], task % p->high_blocks, task / p->high_blocks);
        return;
    }
    int64_t j = (task - blocks) * SUM_COLUMNS;
    reini_lines part = part_of(p->summed, j, SUM_COLUMNS, 0, p->summed->depth);
    p->mm->kernels->sum_depth(p->db + j, &part, p->sums.scale);
}

/* Even parts of n, at most `most` and multiples of `unit`. */
static int64_t even_part(int64_t n, int64_t most, int64_t unit) {
    return up_to(parts(n, parts(n, most)), unit);
}

/* Blocks as large as scratch has room for, halved while some workers would have less to do than others: columns first
 * where packed lines of a may be shared, else the longer side. */
static void cut(product *p) {
    const reini_matmul_kernels *k = p->mm->kernels;
    int64_t tasks = p->mm->workers > 1 ? p->mm->workers * TASKS_A_WORKER : 1;
    int64_t least_columns = (k->share ? LEAST_PANELS : 2) * k->wide, least_rows = 2 * k->high;
    bool whole = p->a.depth <= k->depth;
    p->depth = even_part(p->a.depth, whole ? k->depth : k->part_depth, k->deep);
    p->rows = even_part(p->a.lines, k->rows, k->high);
    p->columns = even_part(p->b.lines, whole ? k->whole_columns : k->columns, k->wide);
    while (parts(p->a.lines, p->rows) * parts(p->b.lines, p->columns) < tasks &&
           (p->rows > least_rows || p->columns > least_columns)) {
        if (p->columns > least_columns && (k->share || p->columns >= p->rows || p->rows <= least_rows))
            p->columns = up_to(parts(p->columns, 2), k->wide);
        else
            p->rows = up_to(parts(p->rows, 2), k->high);
    }
    p->high_blocks = parts(p->a.lines, p->rows);
    p->wide_blocks = parts(p->b.lines, p->columns);
}

/* Whether a is packed before, and how much of the depth at a time. */
static int64_t pass_depth(product *p) {
    int64_t deep = p->high_blocks > 0 ? SHARED / (int64_t)shared_part(p) / p->high_blocks : 0;
    int64_t blocks = p->high_blocks * p->wide_blocks;
    p->shared = p->mm->kernels->share && p->wide_blocks > 1 && deep > 0;
    p->kept = p->shared && deep * p->depth < p->a.depth;
    if (p->kept && blocks * (int64_t)kept_block(p) > KEPT)
        p->shared = p->kept = false;
    return p->kept ? deep * p->depth : p->a.depth;
}

static void run_product(product *p) {
    p->mm->calls++;
    cut(p);
    int64_t deep = pass_depth(p), summing = p->summed != NULL ? parts(p->summed->lines, SUM_COLUMNS) : 0;
    for (p->from = 0; p->from < p->a.depth; p->from = p->to) {
        p->to = least(p->from + deep, p->a.depth);
        if (p->shared)
            rein_pool_run(p->mm->pool, (int)(p->high_blocks * parts(p->to - p->from, p->depth)), share_part,
                          p);
        int64_t last = p->to >= p->a.depth ? summing : 0;
        rein_pool_run(p->mm->pool, (int)(p->high_blocks * p->wide_blocks + last), run_task, p);
    }
}

/* ---- products of few rows ------------------------------------------------------------------------------- */

static void run_thin(void *user, int task, int worker) {
    const product *p = user;
    const reini_matmul_kernels *k = p->mm->kernels;
    scratch *s = &p->mm->scratch[worker];
    int64_t j = task * p->columns;
    if (s->packed_call != p->mm->calls) {
        k->thin_pack(s->a, &p->a);
        s->packed_call = p->mm->calls;
        s->packed_block = -1;
    }
    reini_lines b = part_of(&p->b, j, p->columns, 0, p->b.depth);
    reini_sums sums = sums_at(&p->sums, 0, j);
    k->thin(&sums, s->a, p->a.lines, &b);
}

static bool is_thin(const product *p) {
    const reini_matmul_kernels *k = p->mm->kernels;
    if (p->a.lines > k->few)
        return false;
    size_t room = k->thin_room(&p->a, &p->b);
    return room > 0 && room <= a_room(k);
}

static void run_thin_product(product *p) {
    p->mm->calls++;
    int64_t share = parts(p->b.lines, p->mm->workers * 8);
    p->columns = up_to(share > THIN_COLUMNS ? share : THIN_COLUMNS, p->mm->kernels->wide);
    rein_pool_run(p->mm->pool, (int)parts(p->b.lines, p->columns), run_thin, p);
}

/* ---- the three ------------------------------------------------------------------------------------------ */

/* The rows of x as lines, or with `across` its columns. */
static reini_lines lines_of(const reini_matmul *mm, const reini_matrix *x, bool across) {
    REINI_ASSERT(x->dtype == REIN_F32 || x->dtype == REIN_BF16);
    REINI_ASSERT(x->stride >= x->columns);
    return (reini_lines){.at = x->at,
                         .half = x->dtype == REIN_BF16,
                         .rounded = mm->bf16,
                         .across = across,
                         .stride = x->stride,
                         .lines = across ? x->columns : x->rows,
                         .depth = across ? x->rows : x->columns};
}

static reini_sums sums_of(const reini_matrix *y, const float *bias, float scale, bool add) {
    REINI_ASSERT(y->dtype == REIN_F32 || (y->dtype == REIN_BF16 && !add));
    return (reini_sums){.to = (void *)(uintptr_t)y->at,
                        .half = y->dtype == REIN_BF16,
                        .add = add,
                        .passing = y->rows * y->columns > PASSING,
                        .stride = y->stride,
                        .scale = scale,
                        .bias = bias};
}

void reini_matmul_forward(reini_matmul *mm, reini_matrix y, reini_matrix x, reini_matrix w, const float *bias,
                          bool add) {
    REINI_ASSERT(y.rows == x.rows && y.columns == w.rows && x.columns == w.columns);
    product p = {.mm = mm,
                 .a = lines_of(mm, &x, false),
                 .b = lines_of(mm, &w, false),
                 .sums = sums_of(&y, bias, 1, add)};
    if (y.rows < 1 || y.columns < 1)
        return;
    if (is_thin(&p))
        run_thin_product(&p);
    else
        run_product(&p);
}

void reini_matmul_input(reini_matmul *mm, reini_matrix dx, reini_matrix dy, reini_matrix w, float scale,
                        bool add) {
    REINI_ASSERT(dx.rows == dy.rows && dx.columns == w.columns && dy.columns == w.rows);
    product p = {.mm = mm,
                 .a = lines_of(mm, &dy, false),
                 .b = lines_of(mm, &w, true),
                 .sums = sums_of(&dx, NULL, scale, add)};
    if (dx.rows > 0 && dx.columns > 0)
        run_product(&p);
}

void reini_matmul_weight(reini_matmul *mm, reini_matrix dw, float *db, reini_matrix dy, reini_matrix x,
                         float scale, bool add) {
    REINI_ASSERT(dw.rows == dy.columns && dw.columns == x.columns && dy.rows == x.rows &&
                 dw.dtype == REIN_F32);
    reini_lines columns = lines_of(mm, &dy, true);
    product p = {.mm = mm,
                 .a = columns,
                 .b = lines_of(mm, &x, true),
                 .sums = sums_of(&dw, NULL, scale, add),
                 .summed = db != NULL ? &columns : NULL,
                 .db = db};
    REINI_ASSERT(add || dy.rows > 0);
    if (dw.rows > 0 && dw.columns > 0 && dy.rows > 0)
        run_product(&p);
}

/* ---- conversions ---------------------------------------------------------------------------------------- */

typedef struct conversion {
    const reini_matmul_kernels *kernels;
    uint16_t *half;
    float *full;
    int64_t n;
    bool narrow;
} conversion;

static void convert(void *user, int task, int worker) {
    const conversion *c = user;
    int64_t first = (int64_t)task * SHARE, n = least(SHARE, c->n - first);
    (void)worker;
    if (c->narrow)
        c->kernels->narrow(c->half + first, c->full + first, n);
    else
        c->kernels->widen(c->full + first, c->half + first, n);
}

void reini_narrow(rein_pool *pool, uint16_t *to, const float *from, int64_t n) {
    conversion c = {reini_matmul_best(false), to, (float *)(uintptr_t)from, n, true};
    rein_pool_run(pool, (int)parts(n, SHARE), convert, &c);
}

void reini_widen(rein_pool *pool, float *to, const uint16_t *from, int64_t n) {
    conversion c = {reini_matmul_best(false), (uint16_t *)(uintptr_t)from, to, n, false};
    rein_pool_run(pool, (int)parts(n, SHARE), convert, &c);
}
