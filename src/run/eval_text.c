/*
 * eval_text.c - rein_text_eval: how well a language model predicts the rows of a file.
 *
 * Rows are packed into passes without padding; every scored token counts once, whatever row it is in.
 */
#include <math.h>
#include <string.h>
#include <rein/generate.h>
#include "base/clock.h"
#include "data/lm_dataset.h"
#include "lm/packing.h"
#include "lm/transformer.h"
#include "run/text_model.h"

enum { TOKENS = 2048 };

typedef struct scoring {
    reini_text_model model;
    reini_lm_reader *reader;
    reini_lm_dataset data;
    reini_packed *packed;
    reini_lm *lm;
    float *logp, *entropy;
    int32_t *best;
    double sum_logp, sum_entropy;
    int64_t hits, tokens;
} scoring;

static rein_status read_data(scoring *s, const rein_text_eval_opts *opts) {
    int context = s->model.weights->shape.context;
    reini_lm_dataset_opts how = {
        .max_length = opts->max_length > 0 && opts->max_length < context ? opts->max_length : context,
        .assistant_only = opts->assistant_only,
        .skip_bad = true};
    REINI_TRY(reini_lm_reader_open(opts->model.folder, opts->model.chat_template, &s->reader));
    int tokens = reini_tokenizer_size(reini_lm_reader_tokenizer(s->reader));
    if (tokens > s->model.weights->shape.vocabulary)
        return reini_fail(
            REIN_MISMATCH,
            "%s: the tokenizer has %d tokens and the model %d: the files are of different models",
            opts->model.folder, tokens, s->model.weights->shape.vocabulary);
    REINI_TRY(reini_lm_dataset_read(&s->data, opts->data, s->reader, &how));
    return s->data.n > 0 ? REIN_OK
                         : reini_fail(REIN_USAGE, "%s has no token to score in %lld rows", opts->data,
                                      (long long)s->data.count.rows);
}

static rein_status prepare(scoring *s) {
    int tokens = TOKENS, workers = s->model.pool ? rein_pool_threads(s->model.pool) : 1;
    for (int64_t i = 0; i < s->data.n; i++)
        tokens = s->data.length[i] > tokens ? s->data.length[i] : tokens;
    reini_lm_opts opts = {.tokens = tokens, .documents = tokens};
    int64_t bytes = reini_lm_bytes(s->model.weights, s->model.lora, &opts, workers);
    reini_log(REIN_LOG_INFO, "passes of %d tokens: %.1f MB of work memory", tokens, 1e-6 * (double)bytes);
    REINI_TRY(reini_memory_claim((size_t)bytes, "scoring"));
    REINI_TRY(reini_packed_new(tokens, tokens, &s->packed));
    s->logp = REINI_NEW_ARRAY(float, (size_t)tokens);
    s->entropy = REINI_NEW_ARRAY(float, (size_t)tokens);
    s->best = REINI_NEW_ARRAY(int32_t, (size_t)tokens);
    if (!s->logp || !s->entropy || !s->best)
        return reini_fail_memory((size_t)tokens * 12, "scores");
    return reini_lm_new(s->model.weights, s->model.lora, &opts, s->model.pool, &s->lm);
}

static void score(scoring *s) {
    const reini_packed *p = s->packed;
    reini_lm_batch batch = {
        .tokens = p->tokens, .documents = p->documents, .token = p->token, .start = p->start};
    reini_lm_scores scores = {.n = p->scored,
                              .row = p->row,
                              .target = p->target,
                              .temperature = 1,
                              .logp = s->logp,
                              .entropy = s->entropy,
                              .best = s->best};
    reini_lm_forward(s->lm, &batch);
    reini_lm_score(s->lm, &scores);
    for (int i = 0; i < p->scored; i++) {
        s->sum_logp += (double)s->logp[i];
        s->sum_entropy += (double)s->entropy[i];
        s->hits += s->best[i] == p->target[i];
    }
    s->tokens += p->scored;
}

static rein_status score_all(scoring *s, const volatile sig_atomic_t *stop) {
    reini_packed_clear(s->packed);
    for (int64_t i = 0; i < s->data.n; i++) {
        int n = s->data.length[i];
        if (s->packed->tokens + n > s->packed->tokens_room) {
            score(s);
            reini_packed_clear(s->packed);
        }
        if (stop && *stop)
            return reini_fail(REIN_INTERRUPTED, "the evaluation was stopped");
        reini_packed_add(s->packed, s->data.token + s->data.start[i], s->data.scored + s->data.start[i], n);
    }
    if (s->packed->tokens > 0)
        score(s);
    if (!isfinite(s->sum_logp))
        return reini_fail(REIN_DIVERGED,
                          "the log-probabilities are not finite: the weights are damaged or have "
                          "diverged");
    return REIN_OK;
}

static void report(const scoring *s, rein_text_eval_result *r) {
    double n = (double)s->tokens;
    r->rows = s->data.count.rows;
    r->skipped = s->data.count.empty + s->data.count.unscored;
    r->cut = s->data.count.truncated;
    r->tokens = s->tokens;
    r->loss = -s->sum_logp / n;
    r->perplexity = exp(r->loss);
    r->accuracy = (double)s->hits / n;
    r->entropy = s->sum_entropy / n;
    r->load_s = s->model.load_s;
}

static void release(scoring *s) {
    reini_lm_free(s->lm);
    reini_packed_free(s->packed);
    reini_free(s->logp);
    reini_free(s->entropy);
    reini_free(s->best);
    reini_lm_dataset_release(&s->data);
    reini_lm_reader_free(s->reader);
    reini_text_model_release(&s->model);
}

rein_status rein_text_eval(const rein_text_eval_opts *opts, rein_text_eval_result *result) {
    scoring s = {0};
    double start = 0;
    *result = (rein_text_eval_result){0};
    rein_status status = reini_text_model_open(&s.model, &opts->model, false);
    if (status == REIN_OK)
        status = read_data(&s, opts);
    if (status == REIN_OK)
        status = prepare(&s);
    if (status == REIN_OK) {
        start = reini_seconds();
        status = score_all(&s, opts->stop);
    }
    if (status == REIN_OK) {
        report(&s, result);
        result->wall_s = reini_seconds() - start;
        /* what went through the network, prompts included */
        result->tokens_per_s = (double)s.data.count.tokens / result->wall_s;
    }
    release(&s);
    return status;
}
