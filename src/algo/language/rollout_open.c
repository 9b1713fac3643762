/*
 * rollout_open.c - what a rollout stands on: prompts, rewards, the reference, memory, checkpoints.
 */
#include <math.h>
#include <string.h>
#include "algo/language/lm_source.h"
#include "algo/language/rollout_parts.h"
#include "base/file.h"

rein_status reini_rollout_check(const reini_text_settings *s) {
    if (reini_lm_given(s->init) && !reini_lm_given(s->tokenizer))
        return reini_fail(REIN_USAGE, "init: random weights have no tokenizer: name the folder of one with "
                                      "--tokenizer");
    if (!reini_lm_given(s->data))
        return reini_fail(REIN_USAGE, "no data: give a file of prompts, JSON lines, with --data");
    if (!reini_lm_given(s->reward))
        return reini_fail(REIN_USAGE,
                          "no reward: say with --reward what makes an answer good, for instance number, "
                          "model(FOLDER) or command(PROGRAM)");
    if (s->validation_split > 0)
        return reini_fail(REIN_USAGE,
                          "validation_split: name a file of held-out prompts with --eval-data instead");
    if (s->max_steps < 0 && s->num_train_epochs <= 0)
        return reini_fail(REIN_USAGE, "num_train_epochs is 0 and max_steps is not given: nothing to do");
    return REIN_OK;
}

/* ---- answers ----------------------------------------------------------------------------------------------- */

rein_status reini_text_answers_init(reini_text_answers *a, int n, int max_new, int rewards, bool reference) {
    size_t answers = (size_t)n, tokens = answers * (size_t)max_new;
    *a = (reini_text_answers){.n = n, .max_new = max_new};
    a->prompt = REINI_NEW_ARRAY(int32_t, answers);
    a->ids = REINI_NEW_ARRAY(int32_t, tokens);
    a->logp = REINI_NEW_ARRAY(float, tokens);
    a->ref = REINI_NEW_ARRAY(float, reference ? tokens : 1);
    a->length = REINI_NEW_ARRAY(int32_t, answers);
    a->finish = REINI_NEW_ARRAY(int32_t, answers);
    a->reward = REINI_NEW_ARRAY(double, answers);
    a->each = REINI_NEW_ARRAY(double, answers *(size_t)rewards);
    return a->prompt && a->ids && a->logp && a->ref && a->length && a->finish && a->reward && a->each
               ? REIN_OK
               : reini_fail_memory(tokens * 12, "answers");
}

void reini_text_answers_release(reini_text_answers *a) {
    void *const blocks[] = {a->prompt, a->ids, a->logp, a->ref, a->length, a->finish, a->reward, a->each};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        reini_free(blocks[i]);
    *a = (reini_text_answers){0};
}

/* ---- prompts and rewards ----------------------------------------------------------------------------------- */

rein_status reini_text_open_rewards(const reini_text_settings *s, const char *data,
                                    const reini_lm_learner *policy, reini_rewards **out) {
    static const rein_dtype dtypes[] = {REIN_F32, REIN_BF16};
    const reini_lm_settings *lm = (const reini_lm_settings *)s;
    reini_reward_opts opts = {.data = data,
                              .timeout = s->reward_timeout,
                              .restarts = (int)s->reward_restarts,
                              .memory_mb = s->reward_memory_mb,
                              .cpu_seconds = s->reward_cpu_seconds,
                              .products = dtypes[s->dtype],
                              .tokenizer = reini_lm_source_tokenizer(lm),
                              .pool = policy->pool};
    if (policy->lora && reini_lm_given(lm->model)) {
        opts.weights = policy->weights;
        opts.folder = lm->model;
    }
    return reini_rewards_new(s->reward, &opts, out);
}

static rein_status read_prompts(reini_text_rollout *r) {
    const reini_lm_settings *s = r->lm_settings;
    const reini_lm_shape *shape = &r->learner->weights->shape;
    int64_t room = shape->context - r->plan.max_new;
    if (room < 1)
        return reini_fail(REIN_USAGE,
                          "answers of %d tokens leave no room for a prompt in the model's context of %d",
                          r->plan.max_new, shape->context);
    reini_prompts_opts opts = {.longest = (int)(s->max_length < room ? s->max_length : room),
                               .skip_bad = s->skip_bad_rows != 0,
                               .rewards = r->rewards};
    REINI_TRY(reini_prompts_read(&r->train, s->data, r->reader, &opts));
    return reini_lm_given(s->eval_data) ? reini_prompts_read(&r->eval, s->eval_data, r->reader, &opts)
                                        : REIN_OK;
}

static void add_eos(int32_t eos[REINI_LM_EOS + 1], int *n, int id) {
    for (int i = 0; i < *n; i++)
        if (eos[i] == id)
            return;
    if (id >= 0 && *n <= REINI_LM_EOS)
        eos[(*n)++] = id;
}

rein_status reini_text_find_eos(const reini_lm_settings *s, const reini_lm_shape *shape,
                                const reini_tokenizer *tokenizer, int32_t eos[REINI_LM_EOS + 1], int *n) {
    reini_generation_config config = {0};
    *n = 0;
    if (reini_lm_given(s->model))
        REINI_TRY(reini_generation_config_load(s->model, &config));
    for (int i = 0; i < config.n_eos; i++)
        add_eos(eos, n, config.eos[i]);
    for (int i = 0; config.n_eos == 0 && i < shape->n_eos; i++)
        add_eos(eos, n, shape->eos[i]);
    add_eos(eos, n, reini_tokenizer_eos(tokenizer));
    if (*n == 0)
        reini_log(REIN_LOG_WARNING,
                  "neither model nor tokenizer names a token that ends a text: every answer will "
                  "be cut at its limit");
    return REIN_OK;
}

/* ---- the reference ----------------------------------------------------------------------------------------- */

static rein_status open_reference(reini_text_rollout *r) {
    static const rein_dtype dtypes[] = {REIN_F32, REIN_BF16};
    const reini_lm_settings *s = r->lm_settings;
    rein_dtype products = dtypes[s->dtype];
    if (!r->plan.reference)
        return REIN_OK;
    if (reini_lm_given(s->adapter))
        return reini_lora_load(r->learner->weights, s->adapter, &r->ref_lora);
    if (r->learner->lora)
        return REIN_OK;
    if (reini_lm_given(s->model))
        return reini_lm_weights_load(s->model, products, true, 0, &r->ref_weights, NULL);
    return reini_lm_weights_random(&r->learner->weights->shape, products,
                                   reini_lm_seed((uint64_t)s->seed, "weights", 0), &r->ref_weights);
}

/* ---- memory ------------------------------------------------------------------------------------------------ */

static rein_status open_generator(reini_text_rollout *r, int longest) {
    int slots = (int)r->settings->generation_slots;
    slots = slots < r->plan.answers ? slots : r->plan.answers;
    reini_generator_opts opts = {.slots = slots,
                                 .capacity = longest + r->plan.max_new,
                                 .shared = r->plan.samples > 1 ? slots / r->plan.samples + 1 : 0};
    int workers = r->pool ? rein_pool_threads(r->pool) : 1;
    reini_generator_size size = reini_generator_bytes(r->learner->weights, r->learner->lora, &opts, workers);
    reini_log(REIN_LOG_INFO,
              "memory: keys and values of %d answers %.1f MB, generation %.1f MB, reference %.1f MB", slots,
              (double)size.cache * 1e-6, (double)size.work * 1e-6,
              r->ref_weights ? (double)reini_lm_weights_bytes(r->ref_weights) * 1e-6 : 0);
    REINI_TRY(reini_memory_claim((size_t)(size.cache + size.work), "generation"));
    return reini_generator_new(r->learner->weights, r->learner->lora, &opts, r->pool, &r->generator);
}

static rein_status make_arrays(reini_text_rollout *r, int64_t tokens, int longest) {
    size_t answers = (size_t)r->plan.answers, prompts = (size_t)r->train.n;
    r->document = REINI_NEW_ARRAY(int32_t, (size_t)(longest + r->plan.max_new));
    r->scored = reini_new((size_t)(longest + r->plan.max_new));
    r->logp = REINI_NEW_ARRAY(float, (size_t)tokens);
    r->entropy = REINI_NEW_ARRAY(float, (size_t)tokens);
    r->request = REINI_NEW_ARRAY(reini_request, answers);
    r->answer = REINI_NEW_ARRAY(reini_answer, answers);
    r->item = REINI_NEW_ARRAY(reini_reward_item, answers);
    r->text_at = REINI_NEW_ARRAY(size_t, answers);
    r->order = REINI_NEW_ARRAY(int32_t, prompts);
    r->words = REINI_NEW_ARRAY(uint32_t, (prompts + 63) / 64 * 64);
    return r->document && r->scored && r->logp && r->entropy && r->request && r->answer && r->item &&
                   r->text_at && r->order && r->words
               ? REIN_OK
               : reini_fail_memory((size_t)tokens * 8 + prompts * 8, "rollouts");
}

static rein_status make_room(reini_text_rollout *r) {
    int longest = r->train.longest > r->eval.longest ? r->train.longest : r->eval.longest;
    int64_t documents = r->lm_settings->per_device_train_batch_size;
    documents = documents < r->plan.answers ? documents : r->plan.answers;
    int64_t tokens = documents * (longest + r->plan.max_new);
    tokens = tokens > REINI_PROBE_TOKENS ? tokens : REINI_PROBE_TOKENS;
    int rewards = reini_rewards_count(r->rewards);
    REINI_TRY(reini_lm_learner_prepare(r->learner, r->lm_settings, tokens, documents));
    REINI_TRY(open_reference(r));
    REINI_TRY(open_generator(r, longest));
    REINI_TRY(reini_packed_new((int)tokens, (int)documents, &r->batch));
    REINI_TRY(make_arrays(r, tokens, longest));
    REINI_TRY(reini_text_answers_init(&r->now, r->plan.answers, r->plan.max_new, rewards, r->plan.reference));
    if (r->eval.n > 0)
        REINI_TRY(reini_text_answers_init(&r->held, r->plan.answers, r->plan.max_new, rewards, false));
    return reini_lm_source_probe(r->train.token, r->train.start[1], &r->probe);
}

rein_status reini_text_rollout_open(reini_text_rollout *r, const void *settings,
                                    const reini_rollout_plan *plan, const reini_lm_context *context,
                                    reini_lm_learner *learner) {
    *r = (reini_text_rollout){.settings = settings,
                              .lm_settings = settings,
                              .plan = *plan,
                              .pool = context->pool,
                              .learner = learner,
                              .epoch = -1};
    const reini_lm_settings *s = r->lm_settings;
    REINI_TRY(reini_text_open_rewards(r->settings, s->data, learner, &r->rewards));
    REINI_TRY(reini_lm_source_open(s, &learner->weights->shape, &r->reader));
    REINI_TRY(read_prompts(r));
    REINI_TRY(reini_text_find_eos(s, &learner->weights->shape, reini_lm_reader_tokenizer(r->reader), r->eos,
                                  &r->n_eos));
    REINI_TRY(make_room(r));
    return reini_rollout_log_open(r, r->settings->log_completions ? context->dir : NULL);
}

void reini_text_rollout_release(reini_text_rollout *r) {
    reini_rewards_free(r->rewards);
    reini_lm_reader_free(r->reader);
    reini_prompts_release(&r->train);
    reini_prompts_release(&r->eval);
    reini_text_answers_release(&r->now);
    reini_text_answers_release(&r->held);
    reini_generator_free(r->generator);
    reini_lora_free(r->ref_lora);
    reini_lm_weights_free(r->ref_weights);
    reini_packed_free(r->batch);
    reini_packed_free(r->probe);
    void *const blocks[] = {r->document, r->scored,  r->logp,    r->entropy, r->request, r->answer,
                            r->item,     r->text.at, r->text_at, r->order,   r->words};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        reini_free(blocks[i]);
    if (r->log)
        fclose(r->log);
    *r = (reini_text_rollout){0};
}

/* ---- checkpoints ------------------------------------------------------------------------------------------- */

static rein_status visit_answers(reini_text_rollout *r, reini_archive *ar) {
    const reini_text_answers *a = &r->now;
    size_t n = (size_t)a->n, tokens = n * (size_t)a->max_new;
    REINI_TRY(reini_archive_bytes(ar, "answers.prompt", a->prompt, n * sizeof *a->prompt));
    REINI_TRY(reini_archive_bytes(ar, "answers.ids", a->ids, tokens * sizeof *a->ids));
    REINI_TRY(reini_archive_bytes(ar, "answers.logp", a->logp, tokens * sizeof *a->logp));
    REINI_TRY(
        reini_archive_bytes(ar, "answers.ref", a->ref, (r->plan.reference ? tokens : 1) * sizeof *a->ref));
    REINI_TRY(reini_archive_bytes(ar, "answers.length", a->length, n * sizeof *a->length));
    REINI_TRY(reini_archive_bytes(ar, "answers.finish", a->finish, n * sizeof *a->finish));
    REINI_TRY(reini_archive_bytes(ar, "answers.reward", a->reward, n * sizeof *a->reward));
    return reini_archive_bytes(ar, "answers.each", a->each,
                               n * (size_t)reini_rewards_count(r->rewards) * sizeof *a->each);
}

rein_status reini_text_rollout_visit(reini_text_rollout *r, reini_archive *ar) {
    REINI_TRY(reini_lm_source_visit(r->train.digest, r->settings->data, "prompts", ar));
    REINI_TRY(reini_archive_bytes(ar, "rollout", &r->state, sizeof r->state));
    REINI_TRY(visit_answers(r, ar));
    return reini_archive_loading(ar) ? reini_rollout_log_cut(r) : REIN_OK;
}
