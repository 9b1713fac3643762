/*
 * attention.c - the forward pass.
 *
 * A task is a document, a kv head and some blocks of lanes. It goes through the keys once: a block of keys and values is
 * packed for the products and meets every block of lanes,
 *
 *     s (keys x lanes)  = k q^T
 *     p                 = e^(scale s - most), 0 where the key lies behind the query
 *     o (size x lanes)  = fade o + v^T p
 */
#include <math.h>
#include <string.h>
#include "base/base.h"
#include "lm/attention_parts.h"
#include "lm/transformer_cache.h"

enum { BLOCKS = REINI_TASK_LANES / REINI_LANES };

/* A block of lanes on its way through the keys. */
typedef struct moving {
    reini_lane_block lanes;
    float most[REINI_LANES], sum[REINI_LANES];
    void *q;  /* packed */
    float *o; /* size x lanes */
} moving;

typedef struct work {
    moving block[BLOCKS];
    int blocks;
    void *k, *v, *p; /* packed */
    float *s;        /* keys x lanes */
    void *gathered;  /* lanes x size */
    float *fade;     /* [lanes] */
    void **row;      /* [lanes] */
} work;

/* ---- memory --------------------------------------------------------------------------------------------- */

static size_t carve(const reini_attention *a, work *w, char *at) {
    const reini_matmul_kernels *k = a->products;
    reini_carver c = {at, 0};
    for (int i = 0; i < BLOCKS; i++) {
        w->block[i].q = reini_carve(&c, reini_packed_b(k, REINI_LANES, a->size));
        w->block[i].o = reini_carve(&c, (size_t)reini_up(a->size, k->high) * REINI_SCORE_ROW * sizeof(float));
    }
    w->k = reini_carve(&c, reini_packed_a(k, REINI_KEYS, a->size));
    w->v = reini_carve(&c, reini_packed_a(k, a->size, REINI_KEYS));
    w->p = reini_carve(&c, reini_packed_b(k, REINI_LANES, REINI_KEYS));
    w->s = reini_carve(&c, (size_t)reini_up(REINI_KEYS, k->high) * REINI_SCORE_ROW * sizeof(float));
    w->gathered = reini_carve(&c, (size_t)(REINI_LANES * a->size) * reini_act_bytes(a) + 64);
    w->fade = reini_carve(&c, REINI_LANES * sizeof(float));
    w->row = reini_carve(&c, REINI_LANES * sizeof(void *));
    return c.used;
}

void reini_attention_init(reini_attention *a, const reini_lm_shape *shape, bool half, int longest) {
    work w;
    *a = (reini_attention){.heads = shape->heads,
                           .kv_heads = shape->kv_heads,
                           .size = shape->head_size,
                           .half = half,
                           .products = reini_matmul_best(half),
                           .loops = reini_lm_kernels_best()};
    REINI_ASSERT(REINI_LANES % a->products->wide == 0 && REINI_KEYS % a->products->deep == 0);
    a->scratch_bytes = carve(a, &w, NULL);
    if (longest > 0) {
        size_t back = reini_attention_backward_bytes(a, longest);
        a->scratch_bytes = back > a->scratch_bytes ? back : a->scratch_bytes;
    }
}

/* ---- lanes ---------------------------------------------------------------------------------------------- */

void reini_lanes_set(const reini_attention *a, reini_lane_block *b, int64_t first, int64_t all,
                     int64_t past) {
    b->first = first;
    b->n = all - first < REINI_LANES ? all - first : REINI_LANES;
    for (int64_t l = 0; l < REINI_LANES; l++) {
        int64_t lane = l < b->n ? first + l : first + b->n - 1;
        b->last[l] = (int32_t)(past + reini_lane_token(a, lane));
    }
}

void reini_lanes_gather(const reini_attention *a, const reini_lane_block *b, int kv, void *to,
                        const void *rows, int64_t row) {
    size_t bytes = (size_t)a->size * reini_act_bytes(a);
    for (int64_t l = 0; l < b->n; l++) {
        int64_t at = reini_lane_token(a, b->first + l) * row + reini_lane_head(a, kv, b->first + l) * a->size;
        memcpy((char *)to + (size_t)l * bytes, (const char *)rows + (size_t)at * reini_act_bytes(a), bytes);
    }
    memset((char *)to + (size_t)b->n * bytes, 0, (size_t)(reini_lanes_wide(b) - b->n) * bytes);
}

/* ---- tasks ---------------------------------------------------------------------------------------------- */

void reini_attention_tasks(const reini_attention *a, int documents, const int32_t *start, int32_t *task) {
    task[0] = 0;
    for (int d = 0; d < documents; d++) {
        int64_t lanes = (int64_t)(start[d + 1] - start[d]) * reini_group(a);
        task[d + 1] = task[d] + a->kv_heads * (int32_t)((lanes + REINI_TASK_LANES - 1) / REINI_TASK_LANES);
    }
}

int reini_task_document(const int32_t *task, int documents, int which) {
    int low = 0, high = documents;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (task[middle] <= which)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ---- the pass ------------------------------------------------------------------------------------------- */

typedef struct document {
    const reini_attention *a;
    const reini_attention_call *call;
    int d, kv;
    int64_t past, tokens;
    const char *qkv; /* its first row */
} document;

static void begin_block(const document *doc, work *w, moving *m, int64_t first) {
    const reini_attention *a = doc->a;
    reini_lanes_set(a, &m->lanes, first, doc->tokens * reini_group(a), doc->past);
    reini_lanes_gather(a, &m->lanes, doc->kv, w->gathered, doc->qkv, reini_qkv_row(a));
    reini_lines q =
        reini_lines_of(a, w->gathered, a->half, false, a->size, reini_lanes_wide(&m->lanes), a->size);
    a->products->pack_b(m->q, &q);
    for (int l = 0; l < REINI_LANES; l++) {
        m->most[l] = -INFINITY;
        m->sum[l] = 0;
    }
}

/* Packs `n` keys and values from `key` on. */
static void pack_keys(const document *doc, work *w, int64_t key, int64_t n) {
    const reini_attention *a = doc->a;
    const char *k, *v;
    int64_t stride = a->size;
    if (doc->call->past != NULL) {
        k = reini_lm_cache_at(doc->call->cache, doc->call->layer, doc->call->slot[doc->d], doc->kv, false,
                              (int)key);
        v = reini_lm_cache_at(doc->call->cache, doc->call->layer, doc->call->slot[doc->d], doc->kv, true,
                              (int)key);
    } else {
        stride = reini_qkv_row(a);
        k = doc->qkv + (size_t)(key * stride + (a->heads + doc->kv) * (int64_t)a->size) * reini_act_bytes(a);
        v = k + (size_t)(a->kv_heads * a->size) * reini_act_bytes(a);
    }
    reini_lines along = reini_lines_of(a, k, a->half, false, stride, n, a->size);
    reini_lines across = reini_lines_of(a, v, a->half, true, stride, a->size, n);
    a->products->pack_a(w->k, &along);
    a->products->pack_a(w->v, &across);
}

static void meet(const document *doc, work *w, moving *m, int64_t key, int64_t keys) {
    const reini_attention *a = doc->a;
    const reini_matmul_kernels *k = a->products;
    int64_t lanes = reini_lanes_wide(&m->lanes), columns = reini_up(lanes, k->wide);
    reini_lane_scores b = {.s = w->s,
                           .s_row = REINI_SCORE_ROW,
                           .keys = keys,
                           .lanes = lanes,
                           .key = (int32_t)key,
                           .last = m->lanes.last,
                           .scale = 1.0f / sqrtf((float)a->size)};
    k->multiply(w->s, REINI_SCORE_ROW, w->k, m->q, reini_up(keys, k->high), columns,
                reini_up(a->size, k->deep), false);
    a->loops->soften(&b, m->most, m->sum, w->fade);
    reini_lines p = reini_lines_of(a, w->s, false, true, REINI_SCORE_ROW, lanes, keys);
    k->pack_b(w->p, &p);
    if (key > 0)
        a->loops->lanes_scale(m->o, REINI_SCORE_ROW, a->size, lanes, w->fade);
    k->multiply(m->o, REINI_SCORE_ROW, w->v, w->p, reini_up(a->size, k->high), columns,
                reini_up(keys, k->deep), key > 0);
}

static void end_block(const document *doc, work *w, moving *m) {
    const reini_attention *a = doc->a;
    const reini_attention_call *call = doc->call;
    int64_t row = call->start[doc->d];
    for (int64_t l = 0; l < m->lanes.n; l++) {
        int64_t token = row + reini_lane_token(a, m->lanes.first + l);
        int64_t head = reini_lane_head(a, doc->kv, m->lanes.first + l);
        w->row[l] = (char *)call->out + (size_t)((token * a->heads + head) * a->size) * reini_act_bytes(a);
        w->fade[l] = 1.0f / m->sum[l];
        if (call->log_sum != NULL)
            call->log_sum[token * a->heads + head] = m->most[l] + logf(m->sum[l]);
    }
    a->loops->lanes_out(w->row, a->half, m->o, REINI_SCORE_ROW, a->size, m->lanes.n, w->fade);
}

typedef struct pass {
    const reini_attention *a;
    const reini_attention_call *call;
} pass;

static void run_task(void *user, int task, int worker) {
    const pass *p = user;
    const reini_attention *a = p->a;
    const reini_attention_call *call = p->call;
    work w;
    carve(a, &w, a->scratch + (size_t)worker * a->scratch_bytes);
    int d = reini_task_document(call->task, call->documents, task);
    int pieces = (call->task[d + 1] - call->task[d]) / a->kv_heads, local = task - call->task[d];
    document doc = {.a = a,
                    .call = call,
                    .d = d,
                    .kv = local / pieces,
                    .past = call->past != NULL ? call->past[d] : 0,
                    .tokens = call->start[d + 1] - call->start[d],
                    .qkv = (const char *)call->qkv +
                           (size_t)(call->start[d] * reini_qkv_row(a)) * reini_act_bytes(a)};
    /* the last pieces see the most keys: they go first */
    int64_t first = (int64_t)(pieces - 1 - local % pieces) * REINI_TASK_LANES,
            all = doc.tokens * reini_group(a);
    for (w.blocks = 0; w.blocks < BLOCKS && first < all; first += REINI_LANES)
        begin_block(&doc, &w, &w.block[w.blocks++], first);
    int64_t end = w.block[w.blocks - 1].lanes.last[REINI_LANES - 1] + 1;
    for (int64_t key = 0; key < end; key += REINI_KEYS) {
        int64_t keys = end - key < REINI_KEYS ? end - key : REINI_KEYS;
        pack_keys(&doc, &w, key, keys);
        for (int i = 0; i < w.blocks; i++)
            if (key <= w.block[i].lanes.last[REINI_LANES - 1])
                meet(&doc, &w, &w.block[i], key, keys);
    }
    for (int i = 0; i < w.blocks; i++)
        end_block(&doc, &w, &w.block[i]);
}

void reini_attention_forward(const reini_attention *a, const reini_attention_call *call) {
    pass p = {a, call};
    rein_pool_run(a->pool, call->task[call->documents], run_task, &p);
}
