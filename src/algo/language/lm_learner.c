/*
 * lm_learner.c - opening, the memory of training, the update, checkpoints.
 */
#include <stdio.h>
#include <string.h>
#include <rein/rng.h>
#include "algo/language/lm_learner.h"
#include "base/file.h"
#include "lm/lm_parts.h"
#include "tensor/optim_state.h"

uint64_t reini_lm_seed(uint64_t seed, const char *purpose, uint64_t counter) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    uint32_t word[4];
    for (; *purpose; purpose++)
        hash = (hash ^ (unsigned char)*purpose) * 0x100000001b3u;
    rein_philox(seed, counter, hash, word);
    uint64_t result = (uint64_t)word[1] << 32 | word[0];
    return result ? result : 1;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static rein_dtype products_of(const reini_lm_settings *s) {
    static const rein_dtype dtypes[] = {REIN_F32, REIN_BF16}; /* in the order of the field's choices */
    return dtypes[s->dtype];
}

static int64_t count_of(const reini_lm_shape *shape) {
    int64_t count = 0;
    for (int part = 0; part < REINI_LM_PART_COUNT; part++) {
        reini_lm_part_info info = reini_lm_part_of(shape, (reini_lm_part)part);
        if (info.there)
            count += (int64_t)info.rows * info.columns * (info.per_layer ? shape->layers : 1);
    }
    return count;
}

static rein_status claim_weights(const reini_lm_settings *s, const char *config) {
    reini_lm_shape shape;
    REINI_TRY(reini_lm_shape_load(config, &shape));
    int64_t narrow = products_of(s) == REIN_BF16 ? 2 : 0;
    int64_t each = reini_lm_has_adapter(s) ? (narrow ? narrow : 4) : 4 + narrow;
    return reini_memory_claim((size_t)(count_of(&shape) * each), "the weights of the model");
}

static rein_status open_weights(reini_lm_learner *l, const reini_lm_settings *s, int labels) {
    char config[1024];
    reini_lm_shape shape;
    bool random = reini_lm_given(s->init), made_score = false;
    if (random == reini_lm_given(s->model))
        return reini_fail(REIN_USAGE, random ? "model and init are both given: a model to start from, or a "
                                               "config.json to start with random weights, not both"
                                             : "no model: give a folder with --model, or a config.json with "
                                               "--init to start with random weights");
    if (random) {
        REINI_TRY(claim_weights(s, s->init));
        REINI_TRY(reini_lm_shape_load(s->init, &shape));
        shape.labels = labels;
        return reini_lm_weights_random(&shape, products_of(s), reini_lm_seed((uint64_t)s->seed, "weights", 0),
                                       &l->weights);
    }
    REINI_TRY(reini_path_join(config, sizeof config, s->model, "config.json"));
    REINI_TRY(claim_weights(s, config));
    REINI_TRY(reini_lm_weights_load(s->model, products_of(s), reini_lm_has_adapter(s), labels, &l->weights,
                                    &made_score));
    if (made_score)
        reini_log(REIN_LOG_INFO, "%s has no score head: it starts at zero", s->model);
    return REIN_OK;
}

static rein_status open_adapter(reini_lm_learner *l, const reini_lm_settings *s) {
    if (reini_lm_given(s->adapter))
        return reini_lora_load(l->weights, s->adapter, &l->lora);
    reini_lora_opts opts = {.rank = (int)s->lora_r,
                            .alpha = s->lora_alpha,
                            .dropout = s->lora_dropout,
                            .rslora = s->use_rslora != 0,
                            .seed = reini_lm_seed((uint64_t)s->seed, "adapter", 0)};
    const char *names = s->lora_target_modules;
    if (strcmp(names, "default") == 0)
        names = l->weights->shape.family == REINI_GPT2 ? "c_attn" : "q_proj,v_proj";
    rein_status status = reini_lora_targets(&l->weights->shape, names, &opts.targets);
    if (status != REIN_OK)
        return reini_fail_in(status, "lora_target_modules: ");
    return reini_lora_new(l->weights, &opts, &l->lora);
}

rein_status reini_lm_learner_open(reini_lm_learner *l, const reini_lm_settings *s, int labels,
                                  rein_pool *pool) {
    *l = (reini_lm_learner){.pool = pool};
    REINI_TRY(open_weights(l, s, labels));
    return reini_lm_has_adapter(s) ? open_adapter(l, s) : REIN_OK;
}

rein_status reini_lm_learner_open_beside(reini_lm_learner *l, const reini_lm_settings *s,
                                         const reini_lm_learner *other, int labels) {
    REINI_ASSERT(other->lora && reini_lm_has_adapter(s));
    *l = (reini_lm_learner){.pool = other->pool};
    REINI_TRY(reini_lm_weights_share(other->weights, labels, &l->weights));
    return open_adapter(l, s);
}

void reini_lm_learner_release(reini_lm_learner *l) {
    if (!l->lent)
        reini_lm_free(l->lm);
    rein_optim_free(l->optim);
    rein_store_free(l->gradient);
    reini_lora_free(l->lora);
    reini_lm_weights_free(l->weights);
    *l = (reini_lm_learner){0};
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

rein_store *reini_lm_learner_trained(const reini_lm_learner *l) {
    return l->lora ? l->lora->store : l->weights->store;
}

rein_optim_config reini_lm_optim_config(const reini_lm_settings *s) {
    rein_optim_config config = rein_optim_config_default();
    config.kind = REIN_OPTIM_ADAMW;
    config.beta1 = s->adam_beta1;
    config.beta2 = s->adam_beta2;
    config.eps = s->adam_epsilon;
    config.weight_decay = s->weight_decay;
    config.decay_matrices = 1;
    config.max_grad_norm = s->max_grad_norm;
    return config;
}

/* says what training will hold, and fails before it is taken where the machine lacks the room; a lent network is there */
static rein_status claim(const reini_lm_learner *l, const reini_lm_opts *opts) {
    static const double mega = 1e-6;
    char network[96];
    int workers = l->pool ? rein_pool_threads(l->pool) : 1;
    double trained = (double)rein_store_size(reini_lm_learner_trained(l));
    double weights = (double)reini_lm_weights_bytes(l->weights);
    double work = l->lent ? 0 : (double)reini_lm_bytes(l->weights, l->lora, opts, workers);
    if (l->lent)
        snprintf(network, sizeof network, "no network of its own");
    else
        snprintf(network, sizeof network, "%d tokens in the network %.1f MB", opts->tokens, work * mega);
    reini_log(REIN_LOG_INFO,
              "memory%s%s: weights %.1f MB, gradients %.1f MB, optimizer %.1f MB, %s: %.1f MB in all",
              l->name ? " of " : "", l->name ? l->name : "", weights * mega, 4 * trained * mega,
              8 * trained * mega, network, (weights + 12 * trained + work) * mega);
    return reini_memory_claim((size_t)(12 * trained + work), "training");
}

static rein_status prepare(reini_lm_learner *l, const reini_lm_settings *s, int64_t tokens,
                           int64_t documents) {
    if (tokens > INT32_MAX / 2)
        return reini_fail(REIN_USAGE,
                          "a batch of %lld tokens is too large: lower per_device_train_batch_size and raise "
                          "gradient_accumulation_steps",
                          (long long)tokens);
    reini_lm_opts opts = {.tokens = (int)tokens,
                          .documents = (int)documents,
                          .train = true,
                          .recompute = s->gradient_checkpointing != 0};
    rein_optim_config config = reini_lm_optim_config(s);
    rein_store *trained = reini_lm_learner_trained(l);
    REINI_TRY(claim(l, &opts));
    REINI_TRY(rein_store_new(rein_store_layout(trained), REIN_F32, &l->gradient));
    REINI_TRY(rein_optim_new(&config, rein_store_layout(trained), &l->optim));
    rein_optim_share(l->optim, l->pool);
    return l->lent ? REIN_OK : reini_lm_new(l->weights, l->lora, &opts, l->pool, &l->lm);
}

rein_status reini_lm_learner_prepare(reini_lm_learner *l, const reini_lm_settings *s, int64_t tokens,
                                     int64_t documents) {
    return prepare(l, s, tokens, documents);
}

rein_status reini_lm_learner_prepare_beside(reini_lm_learner *l, const reini_lm_settings *s,
                                            const reini_lm_learner *other, int64_t tokens,
                                            int64_t documents) {
    l->lent = reini_lm_fits(other->lm, l->weights, l->lora);
    l->lm = l->lent ? other->lm : NULL;
    return prepare(l, s, tokens, documents);
}

void reini_lm_learner_take(reini_lm_learner *l) {
    reini_lm_bind(l->lm, l->weights, l->lora);
}

/* ---- the update ------------------------------------------------------------------------------------------ */

void reini_lm_learner_begin(reini_lm_learner *l) {
    l->fresh = true;
}

void reini_lm_learner_forward(reini_lm_learner *l, const reini_packed *batch, uint64_t dropout) {
    reini_lm_batch pass = {.tokens = batch->tokens,
                           .documents = batch->documents,
                           .token = batch->token,
                           .start = batch->start,
                           .dropout = dropout};
    reini_lm_forward(l->lm, &pass);
}

void reini_lm_learner_backward_begin(reini_lm_learner *l) {
    reini_lm_gradients to = {
        .weights = l->lora ? NULL : l->gradient, .lora = l->lora ? l->gradient : NULL, .fresh = l->fresh};
    l->fresh = false;
    reini_lm_backward_begin(l->lm, to);
}

rein_optim_result reini_lm_learner_update(reini_lm_learner *l, double rate) {
    if (l->fresh) /* nothing was learned from */
        memset(rein_store_data(l->gradient), 0, (size_t)rein_store_size(l->gradient) * sizeof(float));
    l->fresh = false;
    rein_optim_result result = rein_optim_step(l->optim, reini_lm_learner_trained(l), l->gradient, rate);
    if (!l->lora && !result.skipped)
        reini_lm_weights_refresh(l->weights, l->pool);
    return result;
}

/* ---- checkpoints ----------------------------------------------------------------------------------------- */

rein_status reini_lm_learner_visit(reini_lm_learner *l, reini_archive *ar) {
    rein_store *trained = reini_lm_learner_trained(l);
    reini_optim_piece piece[2];
    reini_optim_pieces(l->optim, piece);
    REINI_TRY(reini_archive_bytes(ar, l->lora ? "adapter" : "weights", rein_store_data(trained),
                                  (size_t)rein_store_size(trained) * sizeof(float)));
    REINI_TRY(reini_archive_bytes(ar, "optimizer.state", piece[0].at, piece[0].bytes));
    REINI_TRY(reini_archive_bytes(ar, "optimizer.moments", piece[1].at, piece[1].bytes));
    if (reini_archive_loading(ar) && !l->lora)
        reini_lm_weights_refresh(l->weights, l->pool);
    return REIN_OK;
}

rein_status reini_lm_learner_digest(const reini_lm_learner *l, char out[65]) {
    rein_store *trained = reini_lm_learner_trained(l);
    uint8_t digest[32];
    reini_sha256 *sha = reini_sha256_new();
    if (!sha)
        return reini_fail_memory(256, "a digest");
    reini_sha256_add(sha, rein_store_view(trained), (size_t)rein_store_size(trained) * sizeof(float));
    reini_sha256_finish(sha, digest);
    reini_hex(out, digest, 32);
    return REIN_OK;
}
