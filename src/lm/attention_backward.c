/*
 * attention_backward.c - the backward pass.
 *
 * A task is a document and a kv head: its keys' and values' gradients stay in the worker's scratch while all lanes pass
 * by. For a block of keys and a block of lanes
 *
 *     p  = e^(scale k q^T - log_sum)                       keys x lanes
 *     ds = scale p (v do^T - delta)                        delta = sum over d of do o, of each lane
 *     dv += p do      dk += ds q      dq^T += k^T ds
 *
 * where the products' second operands, q and do, are packed once for all keys, and keys once for all lanes.
 */
#include <math.h>
#include <string.h>
#include "base/base.h"
#include "lm/attention_parts.h"

/* What a block of keys is to the products, and its gradients. */
typedef struct key_block {
    void *k, *v, *k_across; /* packed */
    float *dk, *dv;         /* keys x size */
} key_block;

typedef struct work {
    key_block first; /* of the document; the others follow at `apart` bytes */
    size_t apart;
    void *q, *q_across, *dout, *dout_across; /* packed, of a block of lanes */
    void *gathered, *gathered_dout;          /* lanes x size */
    void *p, *ds, *ds_across;                /* packed */
    float *s, *d, *dq;                       /* keys x lanes, the same, size x lanes */
    float *log_sum, *delta, *one;            /* [lanes] */
    void **row;                              /* [lanes] */
} work;

static int64_t gradient_row(const reini_attention *a) {
    return reini_up(a->size, a->products->wide) + 16;
}

static size_t carve_keys(const reini_attention *a, key_block *b, char *at) {
    const reini_matmul_kernels *k = a->products;
    reini_carver c = {at, 0};
    size_t gradient = (size_t)(reini_up(REINI_KEYS, k->high) * gradient_row(a)) * sizeof(float);
    b->k = reini_carve(&c, reini_packed_a(k, REINI_KEYS, a->size));
    b->v = reini_carve(&c, reini_packed_a(k, REINI_KEYS, a->size));
    b->k_across = reini_carve(&c, reini_packed_a(k, a->size, REINI_KEYS));
    b->dk = reini_carve(&c, gradient);
    b->dv = reini_carve(&c, gradient);
    return c.used;
}

static size_t carve(const reini_attention *a, work *w, char *at, int longest) {
    const reini_matmul_kernels *k = a->products;
    reini_carver c = {at, 0};
    size_t gathered = (size_t)(REINI_LANES * a->size) * reini_act_bytes(a) + 64;
    size_t scores = (size_t)reini_up(REINI_KEYS, k->high) * REINI_SCORE_ROW * sizeof(float);
    w->q = reini_carve(&c, reini_packed_b(k, REINI_LANES, a->size));
    w->dout = reini_carve(&c, reini_packed_b(k, REINI_LANES, a->size));
    w->q_across = reini_carve(&c, reini_packed_b(k, a->size, REINI_LANES));
    w->dout_across = reini_carve(&c, reini_packed_b(k, a->size, REINI_LANES));
    w->gathered = reini_carve(&c, gathered);
    w->gathered_dout = reini_carve(&c, gathered);
    w->p = reini_carve(&c, reini_packed_a(k, REINI_KEYS, REINI_LANES));
    w->ds = reini_carve(&c, reini_packed_a(k, REINI_KEYS, REINI_LANES));
    w->ds_across = reini_carve(&c, reini_packed_b(k, REINI_LANES, REINI_KEYS));
    w->s = reini_carve(&c, scores);
    w->d = reini_carve(&c, scores);
    w->dq = reini_carve(&c, (size_t)reini_up(a->size, k->high) * REINI_SCORE_ROW * sizeof(float));
    w->log_sum = reini_carve(&c, REINI_LANES * sizeof(float));
    w->delta = reini_carve(&c, REINI_LANES * sizeof(float));
    w->one = reini_carve(&c, REINI_LANES * sizeof(float));
    w->row = reini_carve(&c, REINI_LANES * sizeof(void *));
    w->apart = carve_keys(a, &w->first, at == NULL ? NULL : at + c.used);
    return c.used + w->apart * (size_t)((longest + REINI_KEYS - 1) / REINI_KEYS);
}

size_t reini_attention_backward_bytes(const reini_attention *a, int longest) {
    work w;
    return carve(a, &w, NULL, longest);
}

/* ---- a document ----------------------------------------------------------------------------------------- */

typedef struct document {
    const reini_attention *a;
    const reini_attention_call *call;
    work *w;
    int kv;
    int64_t row, tokens; /* its first row */
    int64_t group, stride;
} document;

static key_block keys_at(const document *doc, int64_t block) {
    key_block b;
    carve_keys(doc->a, &b, (char *)doc->w->first.k + (size_t)block * doc->w->apart);
    return b;
}

static int64_t keys_in(const document *doc, int64_t block) {
    int64_t left = doc->tokens - block * REINI_KEYS;
    return left < REINI_KEYS ? left : REINI_KEYS;
}

/* First of the document's keys (part 1) or values (part 2) of the kv head. */
static size_t part_at(const document *doc, int part, int64_t token) {
    const reini_attention *a = doc->a;
    int64_t head = a->heads + (part - 1) * a->kv_heads + doc->kv;
    return (size_t)((doc->row + token) * doc->stride + head * a->size) * reini_act_bytes(a);
}

static void pack_keys(const document *doc, int64_t block) {
    const reini_attention *a = doc->a;
    key_block b = keys_at(doc, block);
    int64_t keys = keys_in(doc, block);
    const char *k = (const char *)doc->call->qkv + part_at(doc, 1, block * REINI_KEYS);
    const char *v = (const char *)doc->call->qkv + part_at(doc, 2, block * REINI_KEYS);
    reini_lines along = reini_lines_of(a, k, a->half, false, doc->stride, keys, a->size);
    reini_lines values = reini_lines_of(a, v, a->half, false, doc->stride, keys, a->size);
    reini_lines across = reini_lines_of(a, k, a->half, true, doc->stride, a->size, keys);
    a->products->pack_a(b.k, &along);
    a->products->pack_a(b.v, &values);
    a->products->pack_a(b.k_across, &across);
    size_t bytes = (size_t)(reini_up(keys, a->products->high) * gradient_row(a)) * sizeof(float);
    memset(b.dk, 0, bytes);
    memset(b.dv, 0, bytes);
}

/* Packs the block's queries and output gradients, and takes its sums from the forward pass. */
static void begin_lanes(const document *doc, const reini_lane_block *b) {
    const reini_attention *a = doc->a;
    const reini_attention_call *call = doc->call;
    work *w = doc->w;
    int64_t lanes = reini_lanes_wide(b), width = (int64_t)a->heads * a->size;
    size_t bytes = reini_act_bytes(a);
    reini_lanes_gather(a, b, doc->kv, w->gathered,
                       (const char *)call->qkv + (size_t)(doc->row * doc->stride) * bytes, doc->stride);
    reini_lanes_gather(a, b, doc->kv, w->gathered_dout,
                       (const char *)call->dout + (size_t)(doc->row * width) * bytes, width);
    reini_lines q = reini_lines_of(a, w->gathered, a->half, false, a->size, lanes, a->size);
    reini_lines q_across = reini_lines_of(a, w->gathered, a->half, true, a->size, a->size, lanes);
    reini_lines dout = q, dout_across = q_across;
    dout.at = dout_across.at = w->gathered_dout;
    a->products->pack_b(w->q, &q);
    a->products->pack_b(w->dout, &dout);
    a->products->pack_b(w->q_across, &q_across);
    a->products->pack_b(w->dout_across, &dout_across);
    for (int64_t l = 0; l < lanes; l++) {
        w->log_sum[l] = w->delta[l] = 0;
        if (l >= b->n)
            continue;
        int64_t token = doc->row + reini_lane_token(a, b->first + l),
                head = reini_lane_head(a, doc->kv, b->first + l);
        size_t at = (size_t)((token * a->heads + head) * a->size) * bytes;
        w->log_sum[l] = call->log_sum[token * a->heads + head];
        w->delta[l] =
            a->loops->dot((const char *)call->dout + at, (const char *)call->out + at, a->half, a->size);
    }
}

static void meet(const document *doc, const reini_lane_block *lanes, int64_t block) {
    const reini_attention *a = doc->a;
    const reini_matmul_kernels *k = a->products;
    work *w = doc->w;
    key_block b = keys_at(doc, block);
    int64_t keys = keys_in(doc, block), n = reini_lanes_wide(lanes), columns = reini_up(n, k->wide);
    int64_t rows = reini_up(keys, k->high), size = reini_up(a->size, k->deep),
            wide = reini_up(a->size, k->wide);
    reini_lane_scores scores = {.s = w->s,
                                .ds = w->d,
                                .s_row = REINI_SCORE_ROW,
                                .keys = keys,
                                .lanes = n,
                                .key = (int32_t)(block * REINI_KEYS),
                                .last = lanes->last,
                                .scale = 1.0f / sqrtf((float)a->size)};
    k->multiply(w->s, REINI_SCORE_ROW, b.k, w->q, rows, columns, size, false);
    k->multiply(w->d, REINI_SCORE_ROW, b.v, w->dout, rows, columns, size, false);
    a->loops->soften_back(&scores, w->log_sum, w->delta);
    reini_lines p = reini_lines_of(a, w->s, false, false, REINI_SCORE_ROW, keys, n);
    reini_lines ds = reini_lines_of(a, w->d, false, false, REINI_SCORE_ROW, keys, n);
    reini_lines ds_across = reini_lines_of(a, w->d, false, true, REINI_SCORE_ROW, n, keys);
    k->pack_a(w->p, &p);
    k->pack_a(w->ds, &ds);
    k->pack_b(w->ds_across, &ds_across);
    k->multiply(b.dv, gradient_row(a), w->p, w->dout_across, rows, wide, reini_up(n, k->deep), true);
    k->multiply(b.dk, gradient_row(a), w->ds, w->q_across, rows, wide, reini_up(n, k->deep), true);
    k->multiply(w->dq, REINI_SCORE_ROW, b.k_across, w->ds_across, reini_up(a->size, k->high), columns,
                reini_up(keys, k->deep), block > 0);
}

static void end_lanes(const document *doc, const reini_lane_block *b) {
    const reini_attention *a = doc->a;
    work *w = doc->w;
    for (int64_t l = 0; l < b->n; l++) {
        int64_t token = doc->row + reini_lane_token(a, b->first + l),
                head = reini_lane_head(a, doc->kv, b->first + l);
        w->row[l] =
            (char *)doc->call->dqkv + (size_t)(token * doc->stride + head * a->size) * reini_act_bytes(a);
        w->one[l] = 1;
    }
    a->loops->lanes_out(w->row, a->half, w->dq, REINI_SCORE_ROW, a->size, b->n, w->one);
}

static void give_row(const reini_attention *a, char *to, const float *from) {
    if (a->half)
        a->products->narrow((uint16_t *)(void *)to, from, a->size);
    else
        memcpy(to, from, (size_t)a->size * sizeof(float));
}

static void end_keys(const document *doc, int64_t block) {
    const reini_attention *a = doc->a;
    key_block b = keys_at(doc, block);
    for (int64_t i = 0; i < keys_in(doc, block); i++) {
        int64_t token = block * REINI_KEYS + i;
        give_row(a, (char *)doc->call->dqkv + part_at(doc, 1, token), b.dk + i * gradient_row(a));
        give_row(a, (char *)doc->call->dqkv + part_at(doc, 2, token), b.dv + i * gradient_row(a));
    }
}

/* ---- tasks ---------------------------------------------------------------------------------------------- */

typedef struct pass {
    const reini_attention *a;
    const reini_attention_call *call;
} pass;

static void run_task(void *user, int task, int worker) {
    const pass *p = user;
    const reini_attention *a = p->a;
    work w;
    int d = task / a->kv_heads;
    document doc = {.a = a,
                    .call = p->call,
                    .w = &w,
                    .kv = task % a->kv_heads,
                    .row = p->call->start[d],
                    .tokens = p->call->start[d + 1] - p->call->start[d],
                    .group = reini_group(a),
                    .stride = reini_qkv_row(a)};
    carve(a, &w, a->scratch + (size_t)worker * a->scratch_bytes, 0);
    int64_t blocks = (doc.tokens + REINI_KEYS - 1) / REINI_KEYS, all = doc.tokens * doc.group;
    for (int64_t i = 0; i < blocks; i++)
        pack_keys(&doc, i);
    for (int64_t first = 0; first < all; first += REINI_LANES) {
        reini_lane_block b;
        reini_lanes_set(a, &b, first, all, 0);
        begin_lanes(&doc, &b);
        for (int64_t i = 0; i * REINI_KEYS <= b.last[b.n - 1]; i++)
            meet(&doc, &b, i);
        end_lanes(&doc, &b);
    }
    for (int64_t i = 0; i < blocks; i++)
        end_keys(&doc, i);
}

void reini_attention_backward(const reini_attention *a, const reini_attention_call *call) {
    pass p = {a, call};
    rein_pool_run(a->pool, call->documents * a->kv_heads, run_task, &p);
}
