/*
 * reward_model.c - the score of a reward model: r(x) = w . h of the last token of prompt and answer.
 *
 * The folder is one that `rein train reward` saved, or any *ForSequenceClassification with one label; or an adapter of
 * one, whose base is found by the name in its adapter_config.json. Prompt and answer go through it as the policy's
 * tokens, so the two tokenizers must be the same: a reward model with another vocabulary would score other words. The
 * score is read at the answer's last token, which is the one that ends the text where the answer has one.
 */
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "lm/lora.h"
#include "lm/packing.h"
#include "lm/reward_parts.h"
#include "lm/transformer.h"

enum { TOKENS = 4096, DOCUMENTS = 256, PATH = 1200, TOKENIZER_BYTES = 1 << 28 };

typedef struct scorer {
    reini_reward_opts opts;
    char where[64];
    reini_lm_weights *weights;
    reini_lora *lora; /* NULL: none */
    reini_lm *lm;
    reini_packed *batch;
    int32_t *row;  /* [DOCUMENTS] last token of each */
    float *values; /* [DOCUMENTS] */
    int32_t *document;
    uint8_t *scored;
    int room; /* tokens of a batch */
} scorer;

/* ---- opening ----------------------------------------------------------------------------------------------- */

static rein_status same_tokenizer(const scorer *s, const char *folder) {
    char path[2][PATH];
    char *text[2] = {0};
    size_t size[2];
    if (!s->opts.tokenizer)
        return REIN_OK;
    REINI_TRY(reini_path_join(path[0], PATH, folder, "tokenizer.json"));
    REINI_TRY(reini_path_join(path[1], PATH, s->opts.tokenizer, "tokenizer.json"));
    if (!reini_file_exists(path[0])) {
        reini_log(REIN_LOG_WARNING, "%s has no tokenizer.json: it is taken to be the policy's", folder);
        return REIN_OK;
    }
    rein_status status = reini_file_read(path[0], TOKENIZER_BYTES, &text[0], &size[0]);
    if (status == REIN_OK)
        status = reini_file_read(path[1], TOKENIZER_BYTES, &text[1], &size[1]);
    if (status == REIN_OK && (size[0] != size[1] || memcmp(text[0], text[1], size[0]) != 0))
        status = reini_fail(
            REIN_MISMATCH,
            "%s: the tokenizer of %s is not that of %s; train the reward model from a model with the "
            "policy's tokenizer",
            s->where, folder, s->opts.tokenizer);
    reini_free(text[0]);
    reini_free(text[1]);
    return status;
}

/* the folder of an adapter's base */
static rein_status base_of(const char *folder, const char *config, char base[PATH]) {
    json_t *o;
    REINI_TRY(reini_json_read(config, &o));
    const char *name = json_string_value(json_object_get(o, "base_model_name_or_path"));
    bool fits = name && strlen(name) < PATH;
    if (fits)
        memcpy(base, name, strlen(name) + 1);
    json_decref(o);
    return fits ? REIN_OK
                : reini_fail(REIN_FORMAT,
                             "%s: no \"base_model_name_or_path\", the model that the adapter in %s is of",
                             config, folder);
}

/* the base is what the policy's adapter is of, too */
static bool in_memory(const scorer *s, const char *base) {
    const reini_lm_weights *w = s->opts.weights;
    return w && w->products == s->opts.products && w->shape.labels == 0 &&
           reini_same_file(s->opts.folder, base);
}

static rein_status load(scorer *s, const char *folder) {
    char config[PATH], base[PATH];
    bool made_score = false;
    REINI_TRY(reini_path_join(config, PATH, folder, "adapter_config.json"));
    bool adapter = reini_file_exists(config);
    if (adapter)
        REINI_TRY(base_of(folder, config, base));
    if (adapter && in_memory(s, base))
        REINI_TRY(reini_lm_weights_share(s->opts.weights, 1, &s->weights));
    else
        REINI_TRY(reini_lm_weights_load(adapter ? base : folder, s->opts.products, true, 1, &s->weights,
                                        &made_score));
    if (adapter)
        return reini_lora_load(s->weights, folder, &s->lora);
    return made_score
               ? reini_fail(REIN_MISMATCH,
                            "%s: %s is a language model without a score head; `rein train reward` makes a "
                            "reward model of one",
                            s->where, folder)
               : REIN_OK;
}

static rein_status make_room(scorer *s) {
    s->room = s->opts.batch_tokens > TOKENS ? s->opts.batch_tokens : TOKENS;
    reini_lm_opts opts = {.tokens = s->room, .documents = DOCUMENTS};
    s->row = REINI_NEW_ARRAY(int32_t, DOCUMENTS);
    s->values = REINI_NEW_ARRAY(float, DOCUMENTS);
    s->document = REINI_NEW_ARRAY(int32_t, (size_t)s->room);
    s->scored = reini_new((size_t)s->room);
    if (!s->row || !s->values || !s->document || !s->scored)
        return reini_fail_memory((size_t)s->room * 5, s->where);
    REINI_TRY(reini_packed_new(s->room, DOCUMENTS, &s->batch));
    int workers = s->opts.pool ? rein_pool_threads(s->opts.pool) : 1;
    int64_t work = reini_lm_bytes(s->weights, s->lora, &opts, workers);
    reini_log(REIN_LOG_INFO, "memory: %s: weights %.1f MB, %d tokens in the network %.1f MB", s->where,
              1e-6 * (double)reini_lm_weights_bytes(s->weights), s->room, 1e-6 * (double)work);
    REINI_TRY(reini_memory_claim((size_t)work, s->where));
    return reini_lm_new(s->weights, s->lora, &opts, s->opts.pool, &s->lm);
}

static rein_status open_scorer(const char *argument, const reini_reward_opts *opts, const char *where,
                               void **state) {
    scorer *s = REINI_NEW(scorer);
    if (!s)
        return reini_fail_memory(sizeof *s, where);
    *state = s;
    s->opts = *opts;
    size_t n = strlen(where) < sizeof s->where ? strlen(where) : sizeof s->where - 1;
    memcpy(s->where, where, n);
    if (!reini_dir_exists(argument))
        return reini_fail(REIN_USAGE, "%s: there is no folder \"%s\"", where, argument);
    REINI_TRY(same_tokenizer(s, argument));
    rein_status status = load(s, argument);
    return status == REIN_OK ? make_room(s) : reini_fail_in(status, "%s: ", where);
}

static void close_scorer(void *state) {
    scorer *s = state;
    reini_lm_free(s->lm);
    reini_lora_free(s->lora);
    reini_lm_weights_free(s->weights);
    reini_packed_free(s->batch);
    reini_free(s->row);
    reini_free(s->values);
    reini_free(s->document);
    reini_free(s->scored);
    reini_free(s);
}

/* ---- scoring ----------------------------------------------------------------------------------------------- */

static void run_batch(scorer *s, double *value) {
    const reini_packed *b = s->batch;
    reini_lm_batch pass = {
        .tokens = b->tokens, .documents = b->documents, .token = b->token, .start = b->start};
    if (b->documents == 0)
        return;
    for (int d = 0; d < b->documents; d++)
        s->row[d] = b->start[d + 1] - 1;
    reini_lm_forward(s->lm, &pass);
    reini_lm_values(s->lm, b->documents, s->row, s->values);
    for (int d = 0; d < b->documents; d++)
        value[d] = (double)s->values[d];
    reini_packed_clear(s->batch);
}

static rein_status add_item(scorer *s, const reini_reward_item *item) {
    char place[400];
    int n = item->n_prompt + item->n;
    if (n > s->room || n > s->weights->shape.context)
        return reini_fail(REIN_USAGE, "%s%s: %d tokens of prompt and answer are more than the model's %d",
                          reini_reward_place(place, &s->opts, item), s->where, n,
                          s->room < s->weights->shape.context ? s->room : s->weights->shape.context);
    memcpy(s->document, item->prompt_ids, (size_t)item->n_prompt * sizeof *s->document);
    if (item->n > 0)
        memcpy(s->document + item->n_prompt, item->ids, (size_t)item->n * sizeof *s->document);
    for (int i = 0; i < n; i++)
        if (s->document[i] >= s->weights->shape.vocabulary)
            return reini_fail(REIN_MISMATCH, "%s%s: token %d is none of the reward model's %d",
                              reini_reward_place(place, &s->opts, item), s->where, s->document[i],
                              s->weights->shape.vocabulary);
    reini_packed_add(s->batch, s->document, s->scored, n);
    return REIN_OK;
}

static rein_status score_model(void *state, const reini_reward_item *items, int n, double *value) {
    scorer *s = state;
    char place[400];
    int done = 0;
    reini_packed_clear(s->batch);
    for (int i = 0; i < n; i++) {
        int tokens = items[i].n_prompt + items[i].n;
        if (s->batch->documents == DOCUMENTS || s->batch->tokens + tokens > s->room) {
            run_batch(s, value + done);
            done = i;
        }
        REINI_TRY(add_item(s, &items[i]));
    }
    run_batch(s, value + done);
    for (int i = 0; i < n; i++)
        if (!isfinite(value[i]))
            return reini_fail(REIN_DIVERGED, "%s%s: the score of the answer \"%.80s\" is not a number",
                              reini_reward_place(place, &s->opts, &items[i]), s->where, items[i].text);
    return REIN_OK;
}

const reini_reward_kind reini_reward_model_kind = {
    .name = "model",
    .needs_argument = true,
    .open = open_scorer,
    .close = close_scorer,
    .score = score_model,
};
