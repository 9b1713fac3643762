/* transformer_memory.c - the transformer's work memory: one block, laid out by a dry pass. */
#include <string.h>
#include "base/huge_pages.h"
#include "lm/rope.h"
#include "lm/transformer_parts.h"

enum {
    LOGITS_TRAIN =
        128 << 20,     /* bytes of logits at a time: each chunk reads and writes the head's whole gradient */
    LOGITS = 32 << 20, /* without one, chunks need only fill the products */
    LEAST_CHUNK = 16,
    MOST_CHUNK = 1024,
};

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* ---- layers ---------------------------------------------------------------------------------------------- */

/* everything a layer keeps but its input */
static void carve_layer(const reini_lm *lm, reini_carver *c, reini_lm_kept *k) {
    const reini_lm_shape *s = &lm->shape;
    size_t tokens = (size_t)lm->opts.tokens, act = reini_lm_act(lm), heads = (size_t)(s->heads + s->kv_heads);
    bool train = lm->opts.train;
    k->middle = train ? reini_carve(c, tokens * (size_t)s->hidden * sizeof(float)) : k->x;
    k->stat_1 = reini_carve(c, tokens * 2 * sizeof(float));
    k->stat_2 = reini_carve(c, tokens * 2 * sizeof(float));
    k->qkv = reini_carve(c, tokens * (size_t)reini_lm_qkv_width(s) * act);
    k->raw = train && s->qk_norm ? reini_carve(c, tokens * heads * (size_t)s->head_size * act) : NULL;
    k->head_stat = s->qk_norm ? reini_carve(c, tokens * heads * 2 * sizeof(float)) : NULL;
    k->out = reini_carve(c, tokens * (size_t)reini_lm_out_width(s) * act);
    k->log_sum = train ? reini_carve(c, tokens * (size_t)s->heads * sizeof(float)) : NULL;
    k->gate = reini_carve(c, tokens * (size_t)reini_lm_gate_width(s) * act);
}

static void carve_layers(reini_lm *lm, reini_carver *c) {
    size_t stream = (size_t)lm->opts.tokens * (size_t)lm->shape.hidden * sizeof(float);
    float *x = lm->opts.train ? NULL : reini_carve(c, stream);
    reini_lm_kept one = {.x = x}, first = {0};
    for (int layer = 0; layer < lm->shape.layers; layer++) {
        one.x = lm->opts.train ? reini_carve(c, stream) : x;
        if (layer == 0 || (lm->opts.train && !lm->opts.recompute)) {
            carve_layer(lm, c, &one);
            first = one;
        } else {
            float *own = one.x;
            one = first;
            one.x = own;
        }
        if (lm->kept != NULL)
            lm->kept[layer] = one;
    }
    lm->last = lm->opts.train ? reini_carve(c, stream) : x;
}

/* ---- the rest -------------------------------------------------------------------------------------------- */

static void carve_batch(reini_lm *lm, reini_carver *c) {
    const reini_lm_shape *s = &lm->shape;
    size_t tokens = (size_t)lm->opts.tokens, documents = (size_t)lm->opts.documents;
    lm->token = reini_carve(c, tokens * sizeof(int32_t));
    lm->position = reini_carve(c, tokens * sizeof(int32_t));
    lm->start = reini_carve(c, (documents + 1) * sizeof(int32_t));
    lm->task = reini_carve(c, (documents + 1) * sizeof(int32_t));
    lm->slot = reini_carve(c, documents * sizeof(int32_t));
    lm->past = reini_carve(c, documents * sizeof(int32_t));
    lm->frequency = reini_carve(c, (size_t)s->head_size * sizeof(float));
    lm->turn = s->learned_positions ? NULL : reini_carve(c, tokens * (size_t)s->head_size * sizeof(float));
}

static void carve_activations(reini_lm *lm, reini_carver *c) {
    const reini_lm_shape *s = &lm->shape;
    size_t tokens = (size_t)lm->opts.tokens, act = reini_lm_act(lm),
           stream = tokens * (size_t)s->hidden * sizeof(float);
    lm->hidden = reini_carve(c, stream);
    lm->stat_f = reini_carve(c, tokens * 2 * sizeof(float));
    lm->norm = reini_carve(c, tokens * (size_t)s->hidden * act);
    lm->h = reini_carve(c, tokens * (size_t)s->inner * act);
    if (!lm->opts.train)
        return;
    int64_t sums =
        (lm->opts.tokens + REINI_NORM_TASK - 1) / REINI_NORM_TASK * 2 * most(s->hidden, s->head_size);
    lm->dhidden = reini_carve(c, stream);
    lm->dx_half = lm->half ? reini_carve(c, stream / 2) : NULL;
    lm->dnorm = reini_carve(c, stream);
    lm->dout = reini_carve(c, tokens * (size_t)reini_lm_out_width(s) * act);
    lm->dqkv = reini_carve(c, tokens * (size_t)reini_lm_qkv_width(s) * act);
    lm->partial = reini_carve(c, (size_t)sums * sizeof(float));
}

static void carve_adapters(reini_lm *lm, reini_carver *c) {
    const reini_lm_shape *s = &lm->shape;
    if (lm->lora == NULL)
        return;
    size_t tokens = (size_t)lm->opts.tokens, rank = (size_t)lm->lora->opts.rank;
    lm->rank = lm->lora->opts.rank;
    int64_t input = most(s->hidden, most(s->inner, reini_lm_out_width(s)));
    int64_t output = most(reini_lm_qkv_width(s), reini_lm_gate_width(s));
    lm->low = reini_carve(c, tokens * rank * sizeof(float));
    lm->dlow = lm->opts.train ? reini_carve(c, 3 * tokens * rank * sizeof(float)) : NULL;
    if (lm->half)
        lm->wide = reini_carve(c, REINI_ADAPT_ROWS * (size_t)most(input, output) * sizeof(float));
    if (lm->opts.train && lm->lora->opts.dropout > 0)
        lm->dropped = reini_carve(c, tokens * (size_t)input * sizeof(float));
}

static void carve_head(reini_lm *lm, reini_carver *c) {
    const reini_lm_shape *s = &lm->shape;
    bool whole = lm->opts.train && lm->lora == NULL && lm->w->store != NULL;
    /* rows start on cache lines, and not all in the same cache set */
    lm->logits_row = reini_up(s->vocabulary, 16) + 16;
    int64_t room = (whole ? LOGITS_TRAIN : LOGITS) / ((int64_t)sizeof(float) * lm->logits_row);
    int64_t rows = room / LEAST_CHUNK * LEAST_CHUNK;
    rows = rows < LEAST_CHUNK ? LEAST_CHUNK : rows > MOST_CHUNK ? MOST_CHUNK : rows;
    lm->chunk = (int)(rows < lm->opts.tokens ? rows : lm->opts.tokens);
    if (s->labels == 0)
        lm->logits = reini_carve(c, (size_t)(lm->chunk * lm->logits_row) * sizeof(float));
    lm->rows = reini_carve(c, (size_t)lm->chunk * (size_t)s->hidden * sizeof(float));
    if (lm->opts.train)
        lm->drows = reini_carve(c, (size_t)lm->chunk * (size_t)s->hidden * sizeof(float));
    lm->sums = reini_carve(c, (size_t)lm->chunk * sizeof(reini_row_sums));
}

/* Places of everything in the block at `at`; NULL only counts. */
static size_t carve(reini_lm *lm, char *at) {
    reini_carver c = {at, 0};
    carve_batch(lm, &c);
    carve_layers(lm, &c);
    carve_activations(lm, &c);
    carve_adapters(lm, &c);
    carve_head(lm, &c);
    reini_attention_init(&lm->attention, &lm->shape, lm->half, lm->opts.train ? lm->opts.tokens : 0);
    lm->attention.pool = lm->pool;
    lm->attention.scratch = reini_carve(&c, (size_t)lm->workers * lm->attention.scratch_bytes);
    return c.used;
}

static reini_lm describe(const reini_lm_weights *w, const reini_lora *lora, const reini_lm_opts *opts,
                         int workers) {
    return (reini_lm){.w = w,
                      .lora = lora,
                      .opts = *opts,
                      .shape = w->shape,
                      .workers = workers,
                      .half = w->products == REIN_BF16,
                      .loops = reini_lm_kernels_best()};
}

/* ---- making ---------------------------------------------------------------------------------------------- */

int64_t reini_lm_bytes(const reini_lm_weights *w, const reini_lora *lora, const reini_lm_opts *opts,
                       int workers) {
    reini_lm lm = describe(w, lora, opts, workers);
    return (int64_t)carve(&lm, NULL) + (int64_t)sizeof(reini_lm) +
           (int64_t)sizeof(reini_lm_kept) * w->shape.layers + reini_matmul_bytes(w->products, workers);
}

static rein_status check(const reini_lm_weights *w, const reini_lm_opts *opts) {
    if (opts->tokens < 1 || opts->documents < 1)
        return reini_fail(REIN_USAGE,
                          "a language model's call has at least one token and one document, got %d and %d",
                          opts->tokens, opts->documents);
    if (w->shape.heads % w->shape.kv_heads != 0 ||
        (!w->shape.learned_positions && w->shape.head_size % 2 != 0))
        return reini_fail(REIN_USAGE, "%d heads of size %d cannot share %d heads of keys or be rotated",
                          w->shape.heads, w->shape.head_size, w->shape.kv_heads);
    return REIN_OK;
}

static rein_status build(reini_lm *lm) {
    size_t bytes = carve(lm, NULL);
    lm->kept = REINI_NEW_ARRAY(reini_lm_kept, (size_t)lm->shape.layers);
    lm->memory = reini_new(bytes);
    if (lm->kept == NULL || lm->memory == NULL)
        return reini_fail_memory(bytes, "the work memory of a language model");
    reini_huge_pages(lm->memory, bytes);
    carve(lm, lm->memory);
    if (!lm->shape.learned_positions)
        reini_rope_frequencies(&lm->shape, lm->frequency);
    return reini_matmul_new(lm->pool, lm->w->products, &lm->mm);
}

rein_status reini_lm_new(const reini_lm_weights *w, const reini_lora *lora, const reini_lm_opts *opts,
                         rein_pool *pool, reini_lm **out) {
    *out = NULL;
    REINI_TRY(check(w, opts));
    reini_lm *lm = REINI_NEW(reini_lm);
    if (lm == NULL)
        return reini_fail_memory(sizeof *lm, "a language model");
    *lm = describe(w, lora, opts, pool != NULL ? rein_pool_threads(pool) : 1);
    lm->pool = pool;
    rein_status status = build(lm);
    if (status == REIN_OK)
        *out = lm;
    else
        reini_lm_free(lm);
    return status;
}

void reini_lm_free(reini_lm *lm) {
    if (lm == NULL)
        return;
    reini_matmul_free(lm->mm);
    reini_free(lm->kept);
    reini_free(lm->memory);
    reini_free(lm);
}

bool reini_lm_fits(const reini_lm *lm, const reini_lm_weights *w, const reini_lora *lora) {
    reini_lm_shape shape = w->shape;
    shape.labels = lm->shape.labels;
    bool head = w->shape.labels > 0 || lm->logits != NULL;
    bool adapter = lora == NULL || (lora->opts.rank <= lm->rank &&
                                    (!lm->opts.train || lora->opts.dropout == 0 || lm->dropped != NULL));
    return head && adapter && w->products == lm->w->products && memcmp(&shape, &lm->shape, sizeof shape) == 0;
}

void reini_lm_bind(reini_lm *lm, const reini_lm_weights *w, const reini_lora *lora) {
    REINI_ASSERT(reini_lm_fits(lm, w, lora));
    lm->w = w;
    lm->lora = lora;
    lm->shape.labels = w->shape.labels;
    lm->forward_done = false;
}
