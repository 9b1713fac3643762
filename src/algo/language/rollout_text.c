/*
 * rollout_text.c - making rollouts: which prompts, their answers, rewards, log-probabilities.
 */
#include "algo/language/rollout_text.h"
#include <math.h>
#include <string.h>
#include "algo/language/rollout_parts.h"
#include "rl/shuffle.h"

/* ---- prompts --------------------------------------------------------------------------------------------- */

/* the k-th prompt of the endless stream */
static int32_t prompt_at(reini_text_rollout *r, int64_t k) {
    int64_t n = r->train.n, epoch = k / n;
    if (r->epoch != epoch) {
        r->epoch = epoch;
        if (r->lm_settings->train_sampling_strategy == 0)
            reini_shuffle(r->order, r->words, n, reini_lm_seed((uint64_t)r->lm_settings->seed, "order", 0), 0,
                          (uint64_t)epoch);
        else
            for (int64_t i = 0; i < n; i++)
                r->order[i] = (int32_t)i;
    }
    return r->order[k % n];
}

/* ---- answers --------------------------------------------------------------------------------------------- */

static rein_status generate(reini_text_rollout *r, const reini_prompts *from, reini_text_answers *a,
                            int samples, reini_sampling sampling, const char *purpose, int64_t stream) {
    int prompts = a->n / samples;
    for (int i = 0; i < a->n; i++)
        r->answer[i] = (reini_answer){.ids = a->ids + (int64_t)i * a->max_new,
                                      .logp = a->logp + (int64_t)i * a->max_new};
    for (int k = 0; k < prompts; k++) {
        int32_t p = a->prompt[k * samples];
        r->request[k] = (reini_request){.prompt = from->token + from->start[p],
                                        .n_prompt = (int)(from->start[p + 1] - from->start[p]),
                                        .samples = samples,
                                        .max_new = a->max_new,
                                        .stream = (uint64_t)(stream + k),
                                        .answers = r->answer + (int64_t)k * samples};
    }
    reini_generate_job job = {.requests = r->request,
                              .n = prompts,
                              .sampling = sampling,
                              .seed = reini_lm_seed((uint64_t)r->lm_settings->seed, purpose, 0),
                              .eos = r->eos,
                              .n_eos = r->n_eos};
    REINI_TRY(reini_generate(r->generator, &job));
    for (int i = 0; i < a->n; i++) {
        a->length[i] = r->answer[i].n;
        a->finish[i] = (int32_t)r->answer[i].finish;
    }
    return REIN_OK;
}

/* ---- rewards --------------------------------------------------------------------------------------------- */

static rein_status make_texts(reini_text_rollout *r, const reini_text_answers *a) {
    const reini_tokenizer *tokenizer = reini_lm_reader_tokenizer(r->reader);
    r->text.n = 0;
    for (int i = 0; i < a->n; i++) {
        r->text_at[i] = r->text.n;
        REINI_TRY(
            reini_decode(tokenizer, a->ids + (int64_t)i * a->max_new, (size_t)a->length[i], true, &r->text));
        REINI_TRY(reini_text_end(&r->text));
    }
    return REIN_OK;
}

static rein_status reward(reini_text_rollout *r, const reini_prompts *from, reini_text_answers *a) {
    REINI_TRY(make_texts(r, a));
    for (int i = 0; i < a->n; i++) {
        int32_t p = a->prompt[i];
        r->item[i] = (reini_reward_item){.row = from->row[p],
                                         .line = from->line[p],
                                         .prompt = from->text[p],
                                         .text = r->text.at + r->text_at[i],
                                         .prompt_ids = from->token + from->start[p],
                                         .n_prompt = (int)(from->start[p + 1] - from->start[p]),
                                         .ids = a->ids + (int64_t)i * a->max_new,
                                         .n = a->length[i],
                                         .ended = a->finish[i] != REINI_FINISH_LENGTH};
    }
    return reini_rewards_score(r->rewards, r->item, a->n, a->each, a->reward);
}

/* ---- log-probabilities ------------------------------------------------------------------------------------- */

void reini_text_rollout_pack(reini_text_rollout *r, const reini_text_answers *a, const int32_t *which,
                             int n) {
    const reini_prompts *from = a == &r->held ? &r->eval : &r->train;
    reini_packed_clear(r->batch);
    for (int k = 0; k < n; k++) {
        int32_t i = which[k], p = a->prompt[i];
        int prompt = (int)(from->start[p + 1] - from->start[p]), answer = a->length[i];
        memcpy(r->document, from->token + from->start[p], (size_t)prompt * sizeof *r->document);
        memcpy(r->document + prompt, a->ids + (int64_t)i * a->max_new, (size_t)answer * sizeof *r->document);
        memset(r->scored, 0, (size_t)prompt);
        memset(r->scored + prompt, 1, (size_t)answer);
        reini_packed_add(r->batch, r->document, r->scored, prompt + answer);
    }
}

reini_lm_scores reini_text_rollout_scores(reini_text_rollout *r) {
    return (reini_lm_scores){.n = r->batch->scored,
                             .row = r->batch->row,
                             .target = r->batch->target,
                             .temperature = (float)r->plan.temperature,
                             .logp = r->logp,
                             .entropy = r->entropy};
}

/* log-probabilities of the answers from `begin` on by what the network is bound to, in batches as they are learned from */
static void score_all(reini_text_rollout *r, const reini_text_answers *a, int begin, float *to) {
    int size = (int)r->lm_settings->per_device_train_batch_size;
    int32_t which[1024];
    for (int from = begin; from < a->n; from += size) {
        /* batches of more answers than fit here are computed in parts, which changes no bits in f32 */
        for (int first = from; first < from + size && first < a->n; first += 1024) {
            int n = 0, at = 0;
            while (n < 1024 && first + n < from + size && first + n < a->n) {
                which[n] = first + n;
                n++;
            }
            reini_text_rollout_pack(r, a, which, n);
            reini_lm_scores scores = reini_text_rollout_scores(r);
            scores.entropy = NULL;
            reini_lm_learner_forward(r->learner, r->batch, 0);
            reini_lm_score(r->learner->lm, &scores);
            for (int k = 0; k < n; at += a->length[which[k]], k++)
                memcpy(to + (int64_t)which[k] * a->max_new, r->logp + at,
                       (size_t)a->length[which[k]] * sizeof *to);
        }
    }
}

static void score_reference(reini_text_rollout *r, const reini_text_answers *a) {
    reini_lm_learner *l = r->learner;
    reini_lm_bind(l->lm, r->ref_weights ? r->ref_weights : l->weights, r->ref_lora);
    score_all(r, a, 0, a->ref);
    reini_lm_bind(l->lm, l->weights, l->lora);
}

double reini_text_answer_kl(const reini_text_rollout *r, const reini_text_answers *a, int i) {
    double sum = 0;
    if (!r->plan.reference)
        return NAN;
    for (int64_t t = (int64_t)i * a->max_new; t < (int64_t)i * a->max_new + a->length[i]; t++)
        sum += (double)a->logp[t] - (double)a->ref[t];
    return sum;
}

/* ---- a rollout --------------------------------------------------------------------------------------------- */

rein_status reini_text_rollout_make(reini_text_rollout *r) {
    reini_text_answers *a = &r->now;
    const reini_text_settings *s = r->settings;
    int samples = r->plan.samples, prompts = a->n / samples;
    int64_t first = r->state.rollouts * prompts;
    reini_sampling sampling = reini_sampling_plain(r->plan.temperature);
    sampling.top_k = (int)s->top_k;
    sampling.top_p = s->top_p;
    for (int i = 0; i < a->n; i++)
        a->prompt[i] = prompt_at(r, first + i / samples);
    REINI_TRY(generate(r, &r->train, a, samples, sampling, "answers", first));
    REINI_TRY(reward(r, &r->train, a));
    if (r->lm_settings->dtype != 0)
        score_all(r, a, r->plan.unscored, a->logp);
    if (r->plan.reference)
        score_reference(r, a);
    for (int i = 0; i < a->n; i++)
        r->state.tokens += a->length[i];
    r->state.rollouts++;
    return REIN_OK;
}

rein_status reini_text_rollout_evaluate(reini_text_rollout *r, double metric[3]) {
    reini_text_answers *a = &r->held;
    int room = a->n;
    double rewards = 0, count = 0, length = 0, ended = 0;
    rein_status status = REIN_OK;
    for (int64_t from = 0; from < r->eval.n && status == REIN_OK; from += room) {
        a->n = r->eval.n - from < room ? (int)(r->eval.n - from) : room;
        for (int i = 0; i < a->n; i++)
            a->prompt[i] = (int32_t)(from + i);
        status = generate(r, &r->eval, a, 1, reini_sampling_plain(0), "evaluation", from);
        if (status == REIN_OK)
            status = reward(r, &r->eval, a);
        for (int i = 0; status == REIN_OK && i < a->n; i++) {
            rewards += isnan(a->reward[i]) ? 0 : a->reward[i];
            count += !isnan(a->reward[i]);
            length += a->length[i];
            ended += a->finish[i] != REINI_FINISH_LENGTH;
        }
    }
    a->n = room;
    metric[0] = rewards / count;
    metric[1] = length / (double)r->eval.n;
    metric[2] = ended / (double)r->eval.n;
    return status;
}
