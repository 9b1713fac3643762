/*
 * generator.c - the memory of generation: sized, taken once, given back.
 */
#include "lm/generate_state.h"

/* prompt tokens of a pass when the caller does not say; rows of logits at a time, so that a batch of any size needs
 * the same memory for them */
enum { PREFILL = 512, LOGIT_ROWS = 32 };

const char *reini_finish_name(reini_finish finish) {
    static const char *const names[] = {"none", "eos", "stop", "length"};
    return names[finish];
}

rein_status reini_answers_new(reini_request *requests, int n, void **block) {
    size_t answers = 0, tokens = 0;
    for (int i = 0; i < n; i++) {
        answers += (size_t)requests[i].samples;
        tokens += (size_t)requests[i].samples * (size_t)requests[i].max_new;
    }
    size_t bytes = answers * sizeof(reini_answer) + tokens * (sizeof(int32_t) + sizeof(float));
    reini_answer *answer = reini_new(bytes);
    *block = answer;
    if (!answer)
        return reini_fail_memory(bytes, "answers");
    int32_t *ids = (int32_t *)(answer + answers);
    float *logp = (float *)(ids + tokens);
    for (int i = 0; i < n; i++) {
        requests[i].answers = answer;
        for (int k = 0; k < requests[i].samples; k++, answer++) {
            *answer = (reini_answer){.ids = ids, .logp = logp};
            ids += requests[i].max_new;
            logp += requests[i].max_new;
        }
    }
    return REIN_OK;
}

static reini_generator_opts complete(const reini_generator_opts *opts) {
    reini_generator_opts o = *opts;
    o.prefill = o.prefill > 0 ? o.prefill : PREFILL;
    /* a pass never needs more than every slot's whole prompt */
    if (o.prefill > o.capacity * (o.slots + o.shared))
        o.prefill = o.capacity * (o.slots + o.shared);
    return o;
}

static reini_lm_opts network_opts(const reini_generator_opts *o) {
    return (reini_lm_opts){.tokens = o->slots + o->prefill, .documents = 2 * o->slots + o->shared};
}

static int logit_rows(const reini_generator_opts *o) {
    int most = 2 * o->slots + o->shared;
    return most < LOGIT_ROWS ? most : LOGIT_ROWS;
}

reini_generator_size reini_generator_bytes(const reini_lm_weights *w, const reini_lora *lora,
                                           const reini_generator_opts *opts, int workers) {
    reini_generator_opts o = complete(opts);
    reini_lm_opts network = network_opts(&o);
    int64_t vocabulary = w->shape.vocabulary;
    return (reini_generator_size){
        .cache = reini_lm_cache_bytes(&w->shape, w->products, o.slots + o.shared, o.capacity),
        .work = reini_lm_bytes(w, lora, &network, workers) + workers * reini_sampler_bytes((int)vocabulary) +
                logit_rows(&o) * vocabulary * (int64_t)sizeof(float) +
                (int64_t)o.slots * o.capacity * (int64_t)sizeof(int32_t),
    };
}

static bool new_arrays(reini_generator *g, int workers) {
    size_t slots = (size_t)g->opts.slots, groups = (size_t)g->groups, documents = slots + groups;
    g->sampler = REINI_NEW_ARRAY(reini_sampler *, (size_t)workers);
    g->group = REINI_NEW_ARRAY(reini_group, groups);
    g->queue = REINI_NEW_ARRAY(int, groups);
    g->sequence = REINI_NEW_ARRAY(reini_sequence, slots);
    g->history = REINI_NEW_ARRAY(int32_t, slots * (size_t)g->opts.capacity);
    g->token = REINI_NEW_ARRAY(int32_t, slots + (size_t)g->opts.prefill);
    g->start = REINI_NEW_ARRAY(int32_t, documents + 1);
    g->document_slot = REINI_NEW_ARRAY(int32_t, documents);
    g->logit_row = REINI_NEW_ARRAY(int32_t, documents);
    g->logit_of = REINI_NEW_ARRAY(int, documents);
    g->drawn = REINI_NEW_ARRAY(reini_drawn, slots);
    g->logits = REINI_NEW_ARRAY(float, (size_t)g->rows *(size_t)g->vocabulary);
    return g->sampler && g->group && g->queue && g->sequence && g->history && g->token && g->start &&
           g->document_slot && g->logit_row && g->logit_of && g->drawn && g->logits;
}

static rein_status build(reini_generator *g, const reini_lm_weights *w, const reini_lora *lora) {
    int workers = g->pool ? rein_pool_threads(g->pool) : 1;
    reini_lm_opts network = network_opts(&g->opts);
    if (!new_arrays(g, workers))
        return reini_fail_memory((size_t)g->rows * (size_t)g->vocabulary * sizeof(float), "generation");
    for (int i = 0; i < workers; i++)
        REINI_TRY(reini_sampler_new(g->vocabulary, &g->sampler[i]));
    REINI_TRY(reini_lm_cache_new(w, g->opts.slots + g->opts.shared, g->opts.capacity, &g->cache));
    return reini_lm_new(w, lora, &network, g->pool, &g->lm);
}

rein_status reini_generator_new(const reini_lm_weights *w, const reini_lora *lora,
                                const reini_generator_opts *opts, rein_pool *pool, reini_generator **out) {
    *out = NULL;
    if (opts->slots < 1 || opts->capacity < 1 || opts->shared < 0)
        return reini_fail(REIN_USAGE,
                          "generation needs at least one sequence and one position, got %d and %d",
                          opts->slots, opts->capacity);
    if (opts->capacity > w->shape.context)
        return reini_fail(
            REIN_USAGE,
            "%d positions for prompt and answer are more than the model's context of %d: shorten "
            "prompts or max_new_tokens",
            opts->capacity, w->shape.context);
    reini_generator *g = REINI_NEW(reini_generator);
    if (!g)
        return reini_fail_memory(sizeof *g, "generation");
    g->opts = complete(opts);
    g->vocabulary = w->shape.vocabulary;
    g->groups = g->opts.slots + g->opts.shared;
    g->rows = logit_rows(&g->opts);
    g->pool = pool;
    rein_status status = build(g, w, lora);
    if (status == REIN_OK)
        *out = g;
    else
        reini_generator_free(g);
    return status;
}

void reini_generator_free(reini_generator *g) {
    if (!g)
        return;
    for (int i = 0; g->sampler && i < (g->pool ? rein_pool_threads(g->pool) : 1); i++)
        reini_sampler_free(g->sampler[i]);
    reini_lm_free(g->lm);
    reini_lm_cache_free(g->cache);
    void *const blocks[] = {g->sampler,  g->group, g->queue,  g->sequence, g->history,       g->stop_state,
                            g->token,    g->start, g->logits, g->drawn,    g->document_slot, g->logit_row,
                            g->logit_of, g};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        reini_free(blocks[i]);
}
