/*
 * transformer_linear.c - linear layers with their adapters.
 *
 * Parts that read the same input and lie one after another in the layout (q, k, v; gate, up) are one product. An adapter
 * adds s B (A x') to its part, x' being x or, with dropout, x with numbers dropped: which ones is a function of the pass's
 * key, the layer, the part, the row and the column. Adapters add in float; where the result is bf16 they do so in pieces
 * of rows, which are rounded at the end.
 */
#include <string.h>
#include <rein/rng.h>
#include "lm/transformer_parts.h"

const reini_linear reini_linear_qkv = {
    3, {REINI_LM_Q, REINI_LM_K, REINI_LM_V}, {REINI_LM_Q_B, REINI_LM_K_B, REINI_LM_V_B}};
const reini_linear reini_linear_out = {1, {REINI_LM_O}, {REINI_LM_O_B}};
const reini_linear reini_linear_gate = {2, {REINI_LM_GATE, REINI_LM_UP}, {REINI_LM_GATE_B, REINI_LM_UP_B}};
const reini_linear reini_linear_up = {1, {REINI_LM_UP}, {REINI_LM_UP_B}};
const reini_linear reini_linear_down = {1, {REINI_LM_DOWN}, {REINI_LM_DOWN_B}};

/* ---- matrices -------------------------------------------------------------------------------------------- */

static size_t element(reini_matrix m) {
    return m.dtype == REIN_BF16 ? 2 : 4;
}

/* Columns [first, first + n) of m. */
static reini_matrix columns_of(reini_matrix m, int64_t first, int64_t n) {
    m.at = (const char *)m.at + (size_t)first * element(m);
    m.columns = n;
    return m;
}

static reini_matrix rows_of(reini_matrix m, int64_t first, int64_t n) {
    m.at = (const char *)m.at + (size_t)(first * m.stride) * element(m);
    m.rows = n;
    return m;
}

/* All parts as one matrix and one bias, when they lie so. */
static bool joined(const reini_lm *lm, const reini_linear *l, int layer, reini_matrix *w,
                   const float **bias) {
    *w = reini_lm_matrix(lm->w, l->part[0], layer);
    *bias = reini_lm_vector(lm->w, l->bias[0], layer);
    int64_t in_bias = w->rows;
    for (int i = 1; i < l->n; i++) {
        reini_matrix next = reini_lm_matrix(lm->w, l->part[i], layer);
        const float *next_bias = reini_lm_vector(lm->w, l->bias[i], layer);
        if ((const char *)w->at + (size_t)(w->rows * w->columns) * element(*w) != next.at ||
            (*bias != NULL && *bias + in_bias != next_bias))
            return false;
        w->rows += next.rows;
        in_bias += next.rows;
    }
    return true;
}

static bool adapted(const reini_lm *lm, const reini_linear *l) {
    for (int i = 0; lm->lora != NULL && i < l->n; i++)
        if (lm->lora->opts.targets & UINT32_C(1) << l->part[i])
            return true;
    return false;
}

/* ---- adapters -------------------------------------------------------------------------------------------- */

typedef struct adapter {
    reini_matrix a, b; /* rank x in, out x rank */
    float scale;
    reini_lm_part part;
    int layer;
} adapter;

static bool find_adapter(const reini_lm *lm, reini_lm_part part, int layer, adapter *out) {
    if (lm->lora == NULL)
        return false;
    const reini_lora *lora = lm->lora;
    const float *a = reini_lora_a(lora, lora->store, part, layer),
                *b = reini_lora_b(lora, lora->store, part, layer);
    if (a == NULL)
        return false;
    reini_matrix w = reini_lm_matrix(lm->w, part, layer);
    *out = (adapter){.a = reini_lm_floats(a, lora->opts.rank, w.columns),
                     .b = reini_lm_floats(b, w.rows, lora->opts.rank),
                     .scale = (float)lora->scale,
                     .part = part,
                     .layer = layer};
    return true;
}

typedef struct drop_job {
    const reini_lm *lm;
    const adapter *adapter;
    reini_matrix to, from;
    int64_t row; /* of the batch, of the first */
    bool add;
} drop_job;

static void drop_rows(void *user, int64_t first, int64_t rows, int worker) {
    const drop_job *j = user;
    double rate = j->lm->lora->opts.dropout;
    uint32_t chance = (uint32_t)(rate * 4294967296.0);
    (void)worker;
    for (int64_t r = first; r < first + rows; r++) {
        uint32_t word[4];
        uint64_t place = (uint64_t)j->adapter->layer * REINI_LM_PART_COUNT + j->adapter->part;
        rein_philox(j->lm->batch.dropout, (uint64_t)(j->row + r), place, word);
        reini_matrix to = rows_of(j->to, r, 1), from = rows_of(j->from, r, 1);
        j->lm->loops->drop((void *)(uintptr_t)to.at, from.at, from.dtype == REIN_BF16, from.columns, word,
                           chance, (float)(1 / (1 - rate)), j->add);
    }
}

static bool drops(const reini_lm *lm) {
    return lm->batch.dropout != 0 && lm->lora->opts.dropout > 0;
}

/* What the adapter reads: x, or x with numbers dropped. row: of the batch, x's first. */
static reini_matrix adapter_input(const reini_lm *lm, const adapter *a, reini_matrix x, int64_t row) {
    if (!drops(lm))
        return x;
    reini_matrix to = {lm->dropped, x.dtype, x.rows, x.columns, x.columns};
    drop_job job = {lm, a, to, x, row, false};
    reini_lm_each_rows(lm, x.rows, REINI_ROW_TASK, drop_rows, &job);
    return to;
}

/* y += s B (A x') */
static void adapter_forward(const reini_lm *lm, const adapter *a, reini_matrix y, reini_matrix x,
                            int64_t row) {
    reini_matrix low = reini_lm_floats(lm->low, x.rows, a->a.rows);
    reini_matmul_forward(lm->mm, low, adapter_input(lm, a, x, row), a->a, NULL, false);
    for (int64_t i = 0; i < low.rows * low.columns; i++)
        lm->low[i] *= a->scale;
    reini_matmul_forward(lm->mm, y, low, a->b, NULL, true);
}

/* dlow = s dy B; dx += (dlow A)' */
static void adapter_input_gradient(const reini_lm *lm, const adapter *a, int index, reini_matrix dx,
                                   reini_matrix dy, int64_t row) {
    int64_t rank = a->a.rows;
    reini_matrix dlow = {lm->dlow + (index * lm->opts.tokens + row) * rank, REIN_F32, dy.rows, rank, rank};
    reini_matmul_input(lm->mm, dlow, dy, a->b, a->scale, false);
    if (!drops(lm)) {
        reini_matmul_input(lm->mm, dx, dlow, a->a, 1, true);
        return;
    }
    reini_matrix part = {lm->dropped, REIN_F32, dx.rows, dx.columns, dx.columns};
    reini_matmul_input(lm->mm, part, dlow, a->a, 1, false);
    drop_job job = {lm, a, dx, part, row, true};
    reini_lm_each_rows(lm, dx.rows, REINI_ROW_TASK, drop_rows, &job);
}

/* dA += dlow^T x', dB += s dy^T (A x') */
static void adapter_weight_gradient(const reini_lm *lm, const adapter *a, int index, reini_matrix dy,
                                    reini_matrix x) {
    int64_t rank = a->a.rows;
    const reini_lora *lora = lm->lora;
    reini_matrix low = reini_lm_floats(lm->low, x.rows, rank), input = adapter_input(lm, a, x, 0);
    reini_matrix dlow = reini_lm_floats(lm->dlow + (int64_t)index * lm->opts.tokens * rank, x.rows, rank);
    reini_matrix da = a->a, db = a->b;
    da.at = reini_lora_a(lora, lm->to.lora, a->part, a->layer);
    db.at = reini_lora_b(lora, lm->to.lora, a->part, a->layer);
    reini_matmul_forward(lm->mm, low, input, a->a, NULL, false);
    reini_matmul_weight(lm->mm, db, NULL, dy, low, a->scale, true);
    reini_matmul_weight(lm->mm, da, NULL, dlow, input, 1, true);
}

/* ---- forwards -------------------------------------------------------------------------------------------- */

static void forward_rows(const reini_lm *lm, const reini_linear *l, int layer, reini_matrix y, reini_matrix x,
                         bool add, int64_t row) {
    reini_matrix w;
    const float *bias;
    bool all = joined(lm, l, layer, &w, &bias);
    if (all)
        reini_matmul_forward(lm->mm, y, x, w, bias, add);
    int64_t column = 0;
    for (int i = 0; i < l->n; i++) {
        adapter a;
        w = reini_lm_matrix(lm->w, l->part[i], layer);
        reini_matrix part = columns_of(y, column, w.rows);
        column += w.rows;
        if (!all)
            reini_matmul_forward(lm->mm, part, x, w, reini_lm_vector(lm->w, l->bias[i], layer), add);
        if (find_adapter(lm, l->part[i], layer, &a))
            adapter_forward(lm, &a, part, x, row);
    }
}

/* to (bf16) = from (floats), the same rows and columns, dense */
static void narrow_rows(const reini_lm *lm, reini_matrix to, reini_matrix from) {
    REINI_ASSERT(to.stride == to.columns && from.stride == from.columns);
    reini_narrow(lm->pool, (uint16_t *)(uintptr_t)to.at, from.at, from.rows * from.columns);
}

void reini_linear_forward(reini_lm *lm, const reini_linear *l, int layer, reini_matrix y, reini_matrix x,
                          bool add) {
    if (y.dtype == REIN_F32 || !adapted(lm, l)) {
        forward_rows(lm, l, layer, y, x, add, 0);
        return;
    }
    for (int64_t row = 0; row < y.rows; row += REINI_ADAPT_ROWS) {
        int64_t n = y.rows - row < REINI_ADAPT_ROWS ? y.rows - row : REINI_ADAPT_ROWS;
        reini_matrix wide = reini_lm_floats(lm->wide, n, y.columns);
        forward_rows(lm, l, layer, wide, rows_of(x, row, n), false, row);
        narrow_rows(lm, rows_of(y, row, n), wide);
    }
}

/* ---- backwards ------------------------------------------------------------------------------------------- */

static void input_rows(const reini_lm *lm, const reini_linear *l, int layer, reini_matrix dx, reini_matrix dy,
                       int64_t row) {
    reini_matrix w;
    const float *bias;
    bool all = joined(lm, l, layer, &w, &bias);
    if (all)
        reini_matmul_input(lm->mm, dx, dy, w, 1, false);
    int64_t column = 0;
    for (int i = 0; i < l->n; i++) {
        adapter a;
        w = reini_lm_matrix(lm->w, l->part[i], layer);
        reini_matrix part = columns_of(dy, column, w.rows);
        column += w.rows;
        if (!all)
            reini_matmul_input(lm->mm, dx, part, w, 1, i > 0);
        if (find_adapter(lm, l->part[i], layer, &a))
            adapter_input_gradient(lm, &a, i, dx, part, row);
    }
}

void reini_linear_input(reini_lm *lm, const reini_linear *l, int layer, reini_matrix dx, reini_matrix dy) {
    if (dx.dtype == REIN_F32 || !adapted(lm, l)) {
        input_rows(lm, l, layer, dx, dy, 0);
        return;
    }
    for (int64_t row = 0; row < dx.rows; row += REINI_ADAPT_ROWS) {
        int64_t n = dx.rows - row < REINI_ADAPT_ROWS ? dx.rows - row : REINI_ADAPT_ROWS;
        reini_matrix wide = reini_lm_floats(lm->wide, n, dx.columns);
        input_rows(lm, l, layer, wide, rows_of(dy, row, n), row);
        narrow_rows(lm, rows_of(dx, row, n), wide);
    }
}

static void weight_gradients(const reini_lm *lm, const reini_linear *l, int layer, reini_matrix dy,
                             reini_matrix x) {
    reini_matrix w, dw;
    const float *bias;
    bool all = joined(lm, l, layer, &w, &bias);
    int64_t column = 0;
    for (int i = 0; i < l->n; i++) {
        dw = all ? w : reini_lm_matrix(lm->w, l->part[i], layer);
        dw.at = reini_lm_gradient_at(lm->w, lm->to.weights, l->part[i], layer);
        dw.dtype = REIN_F32;
        float *db = reini_lm_gradient_at(lm->w, lm->to.weights, l->bias[i], layer);
        reini_matmul_weight(lm->mm, dw, db, columns_of(dy, column, dw.rows), x, 1, !lm->to.fresh);
        column += dw.rows;
        if (all)
            return;
    }
}

void reini_linear_weight(reini_lm *lm, const reini_linear *l, int layer, reini_matrix dy, reini_matrix x) {
    if (lm->to.weights != NULL)
        weight_gradients(lm, l, layer, dy, x);
    if (lm->to.lora == NULL)
        return;
    int64_t column = 0;
    for (int i = 0; i < l->n; i++) {
        adapter a;
        int64_t columns = reini_lm_matrix(lm->w, l->part[i], layer).rows;
        if (find_adapter(lm, l->part[i], layer, &a))
            adapter_weight_gradient(lm, &a, i, columns_of(dy, column, columns), x);
        column += columns;
    }
}
