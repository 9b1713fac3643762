/*
 * eval_reward.c - rein_reward_eval: a model answers held-out prompts, and rewards say what the answers are worth.
 *
 * Prompts, ends of answers and rewards are read as training reads them, so the greedy mean is what a run's eval_reward is.
 * Answers are made, judged and written a few prompts at a time; in f32 they depend on the seed and the prompt's number
 * alone. With a reference both models score the finished answers in the same batches.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <rein/generate.h>
#include "algo/language/text_loss.h"
#include "algo/language/text_prompts.h"
#include "base/clock.h"
#include "base/file.h"
#include "lm/generate.h"
#include "lm/packing.h"
#include "run/statistics.h"
#include "run/text_model.h"

enum { SLOTS = 16, NEW_TOKENS = 256, AT_A_TIME = 256, BATCH_TOKENS = 2048, DOCUMENTS = 256, DRAWS = 2000 };
enum { TOTAL, K1, K3, EACH, COLUMNS = EACH + REIN_REWARDS_MAX }; /* what is known of an answer */

typedef struct trial {
    const rein_reward_eval_opts *opts;
    reini_text_model model, reference;
    reini_lm_reader *reader;
    reini_rewards *rewards;
    reini_prompts prompts;
    reini_generator *generator;
    reini_sampling sampling;
    int32_t eos[REINI_TEXT_EOS + 1];
    int n_eos, samples, max_new, kinds;
    /* of the prompts at a time */
    int room; /* prompts */
    reini_request *request;
    void *block; /* of their answers */
    reini_reward_item *item;
    size_t *text_at;
    reini_bytes text;
    double *each;  /* [answers][kinds] */
    double *known; /* [COLUMNS][answers] */
    /* scoring beside the reference */
    reini_lm *lm[2];
    reini_packed *packed;
    int32_t *document;
    uint8_t *scored;
    float *logp[2];
    /* of all */
    double *mean[COLUMNS], *best; /* [prompts] */
    double sum[COLUMNS], square[COLUMNS], count[COLUMNS];
    int64_t tokens, ended;
    int length_min, length_max;
    FILE *out;
} trial;

static int answers_room(const trial *t) {
    return t->room * t->samples;
}

/* ---- setting up ------------------------------------------------------------------------------------------ */

static void add_eos(trial *t, int id) {
    for (int i = 0; i < t->n_eos; i++)
        if (t->eos[i] == id)
            return;
    if (id >= 0)
        t->eos[t->n_eos++] = id;
}

static rein_status read_settings(trial *t) {
    const rein_reward_eval_opts *o = t->opts;
    int context = t->model.weights->shape.context;
    t->samples = o->samples > 0 ? o->samples : 1;
    t->max_new = o->max_new_tokens > 0 ? o->max_new_tokens : NEW_TOKENS;
    t->sampling = reini_sampling_plain(o->temperature);
    t->sampling.top_k = o->top_k;
    t->sampling.top_p = o->top_p > 0 ? o->top_p : 1;
    t->length_min = INT32_MAX;
    t->n_eos = reini_text_model_eos(&t->model, false, t->eos);
    add_eos(t, reini_tokenizer_eos(t->model.tokenizer));
    if (t->samples > 1 && o->temperature == 0)
        return reini_fail(REIN_USAGE,
                          "%d answers to a prompt would all be the likeliest one: give a temperature "
                          "above 0",
                          t->samples);
    if (t->max_new >= context)
        return reini_fail(REIN_USAGE,
                          "answers of %d tokens leave no room for a prompt in the model's context of %d",
                          t->max_new, context);
    return reini_sampling_check(&t->sampling);
}

static rein_status open_rewards(trial *t) {
    reini_reward_opts opts = {.data = t->opts->data,
                              .timeout = t->opts->reward_timeout > 0 ? t->opts->reward_timeout : 60,
                              .restarts = 1,
                              .products = t->model.weights->products,
                              .tokenizer = t->opts->model.folder,
                              .pool = t->model.pool};
    if (!t->opts->reward)
        return reini_fail(REIN_USAGE, "no reward: say what makes an answer good, for instance number");
    REINI_TRY(reini_rewards_new(t->opts->reward, &opts, &t->rewards));
    t->kinds = reini_rewards_count(t->rewards);
    return REIN_OK;
}

static rein_status read_prompts(trial *t) {
    reini_prompts_opts opts = {.longest = t->model.weights->shape.context - t->max_new,
                               .rewards = t->rewards};
    REINI_TRY(reini_lm_reader_open(t->opts->model.folder, t->opts->model.chat_template, &t->reader));
    return reini_prompts_read(&t->prompts, t->opts->data, t->reader, &opts);
}

static rein_status open_reference(trial *t) {
    rein_text_model_opts opts = {.folder = t->opts->reference,
                                 .dtype = t->model.weights->products == REIN_BF16 ? "bf16" : "f32",
                                 .threads = 1};
    if (!t->opts->reference)
        return REIN_OK;
    REINI_TRY(reini_text_model_open(&t->reference, &opts, false));
    const reini_lm_shape *shape = &t->reference.weights->shape;
    if (shape->vocabulary != t->model.weights->shape.vocabulary ||
        shape->context < t->prompts.longest + t->max_new)
        return reini_fail(
            REIN_MISMATCH,
            "the reference %s has %d tokens and a context of %d, expected the model's %d tokens and "
            "room for %d",
            opts.folder, shape->vocabulary, shape->context, t->model.weights->shape.vocabulary,
            t->prompts.longest + t->max_new);
    return REIN_OK;
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

static rein_status open_generator(trial *t) {
    int slots = t->opts->batch > 0 ? t->opts->batch : SLOTS, workers = 1;
    slots = slots < answers_room(t) ? slots : answers_room(t);
    reini_generator_opts opts = {.slots = slots,
                                 .capacity = t->prompts.longest + t->max_new,
                                 .shared = t->samples > 1 ? slots / t->samples + 1 : 0};
    workers = t->model.pool ? rein_pool_threads(t->model.pool) : 1;
    reini_generator_size size = reini_generator_bytes(t->model.weights, t->model.lora, &opts, workers);
    reini_log(REIN_LOG_INFO, "memory: keys and values of %d answers %.1f MB, generation %.1f MB", slots,
              1e-6 * (double)size.cache, 1e-6 * (double)size.work);
    REINI_TRY(reini_memory_claim((size_t)(size.cache + size.work), "generation"));
    return reini_generator_new(t->model.weights, t->model.lora, &opts, t->model.pool, &t->generator);
}

static rein_status open_scoring(trial *t) {
    int longest = t->prompts.longest + t->max_new, tokens = longest > BATCH_TOKENS ? longest : BATCH_TOKENS;
    reini_lm_opts opts = {.tokens = tokens, .documents = DOCUMENTS};
    if (!t->opts->reference)
        return REIN_OK;
    REINI_TRY(reini_packed_new(tokens, DOCUMENTS, &t->packed));
    t->document = REINI_NEW_ARRAY(int32_t, (size_t)longest);
    t->scored = reini_new((size_t)longest);
    t->logp[0] = REINI_NEW_ARRAY(float, 2 * (size_t)tokens);
    if (!t->document || !t->scored || !t->logp[0])
        return reini_fail_memory((size_t)tokens * 13, "scores");
    t->logp[1] = t->logp[0] + tokens;
    REINI_TRY(reini_lm_new(t->model.weights, t->model.lora, &opts, t->model.pool, &t->lm[0]));
    return reini_lm_new(t->reference.weights, t->reference.lora, &opts, t->model.pool, &t->lm[1]);
}

static rein_status make_arrays(trial *t) {
    size_t prompts = (size_t)t->prompts.n, answers = (size_t)answers_room(t);
    t->request = REINI_NEW_ARRAY(reini_request, (size_t)t->room);
    t->item = REINI_NEW_ARRAY(reini_reward_item, answers);
    t->text_at = REINI_NEW_ARRAY(size_t, answers);
    t->each = REINI_NEW_ARRAY(double, answers *(size_t)t->kinds);
    t->known = REINI_NEW_ARRAY(double, answers *COLUMNS);
    t->mean[0] = REINI_NEW_ARRAY(double, prompts *COLUMNS);
    t->best = REINI_NEW_ARRAY(double, prompts);
    if (!t->request || !t->item || !t->text_at || !t->each || !t->known || !t->mean[0] || !t->best)
        return reini_fail_memory((answers + prompts) * COLUMNS * sizeof(double), "what answers are worth");
    for (int c = 1; c < COLUMNS; c++)
        t->mean[c] = t->mean[0] + (int64_t)c * t->prompts.n;
    for (int k = 0; k < t->room; k++) {
        t->request[k].samples = t->samples;
        t->request[k].max_new = t->max_new;
    }
    return reini_answers_new(t->request, t->room, &t->block);
}

static rein_status open_trial(trial *t) {
    REINI_TRY(reini_text_model_open(&t->model, &t->opts->model, true));
    REINI_TRY(read_settings(t));
    REINI_TRY(open_rewards(t));
    REINI_TRY(read_prompts(t));
    REINI_TRY(open_reference(t));
    int64_t room = AT_A_TIME / t->samples > 1 ? AT_A_TIME / t->samples : 1;
    t->room = (int)(room < t->prompts.n ? room : t->prompts.n);
    REINI_TRY(make_arrays(t));
    REINI_TRY(open_generator(t));
    REINI_TRY(open_scoring(t));
    if (t->opts->out && !(t->out = fopen(t->opts->out, "wb")))
        return reini_fail(REIN_IO, "cannot write \"%s\": %s", t->opts->out, strerror(errno));
    return REIN_OK;
}

/* ---- answers --------------------------------------------------------------------------------------------- */

static const reini_answer *answer_at(const trial *t, int i) {
    return &t->request[i / t->samples].answers[i % t->samples];
}

static rein_status generate(trial *t, int64_t first, int prompts) {
    const reini_prompts *p = &t->prompts;
    for (int k = 0; k < prompts; k++) {
        reini_request *r = &t->request[k];
        r->prompt = p->token + p->start[first + k];
        r->n_prompt = (int)(p->start[first + k + 1] - p->start[first + k]);
        r->stream = (uint64_t)(first + k);
    }
    reini_generate_job job = {.requests = t->request,
                              .n = prompts,
                              .sampling = t->sampling,
                              .seed = t->opts->seed,
                              .eos = t->eos,
                              .n_eos = t->n_eos,
                              .interrupt = t->opts->stop};
    return reini_generate(t->generator, &job);
}

static rein_status make_texts(trial *t, int answers) {
    t->text.n = 0;
    for (int i = 0; i < answers; i++) {
        const reini_answer *a = answer_at(t, i);
        t->text_at[i] = t->text.n;
        REINI_TRY(reini_decode(t->model.tokenizer, a->ids, (size_t)a->n, true, &t->text));
        REINI_TRY(reini_text_end(&t->text));
    }
    return REIN_OK;
}

static rein_status judge(trial *t, int64_t first, int answers) {
    const reini_prompts *p = &t->prompts;
    int stride = answers_room(t);
    REINI_TRY(make_texts(t, answers));
    for (int i = 0; i < answers; i++) {
        const reini_answer *a = answer_at(t, i);
        int64_t at = first + i / t->samples;
        t->item[i] = (reini_reward_item){.row = p->row[at],
                                         .line = p->line[at],
                                         .prompt = p->text[at],
                                         .text = t->text.at + t->text_at[i],
                                         .prompt_ids = p->token + p->start[at],
                                         .n_prompt = (int)(p->start[at + 1] - p->start[at]),
                                         .ids = a->ids,
                                         .n = a->n,
                                         .ended = a->finish != REINI_FINISH_LENGTH};
    }
    REINI_TRY(reini_rewards_score(t->rewards, t->item, answers, t->each, t->known + TOTAL * stride));
    for (int k = 0; k < t->kinds; k++)
        for (int i = 0; i < answers; i++)
            t->known[(EACH + k) * stride + i] = t->each[(int64_t)i * t->kinds + k];
    return REIN_OK;
}

/* ---- the distance from the reference --------------------------------------------------------------------- */

static void score_batch(trial *t, int first, int end) {
    const reini_packed *b = t->packed;
    int stride = answers_room(t), row = 0;
    reini_lm_batch pass = {
        .tokens = b->tokens, .documents = b->documents, .token = b->token, .start = b->start};
    for (int m = 0; m < 2; m++) {
        reini_lm_scores scores = {.n = b->scored,
                                  .row = b->row,
                                  .target = b->target,
                                  .temperature = t->opts->temperature > 0 ? (float)t->opts->temperature : 1,
                                  .logp = t->logp[m]};
        reini_lm_forward(t->lm[m], &pass);
        reini_lm_score(t->lm[m], &scores);
    }
    for (int i = first; i < end; i++) {
        double *k1 = &t->known[K1 * stride + i], *k3 = &t->known[K3 * stride + i];
        *k1 = *k3 = 0;
        for (int n = answer_at(t, i)->n; n > 0; n--, row++) {
            double logp = (double)t->logp[0][row], ref = (double)t->logp[1][row];
            *k1 += reini_kl_estimate(REINI_KL_K1, logp, ref);
            *k3 += reini_kl_estimate(REINI_KL_K3, logp, ref);
        }
    }
    reini_packed_clear(t->packed);
}

static void compare(trial *t, int answers) {
    int stride = answers_room(t), done = 0;
    for (int i = 0; i < answers; i++)
        t->known[K1 * stride + i] = t->known[K3 * stride + i] = NAN;
    if (!t->opts->reference)
        return;
    reini_packed_clear(t->packed);
    for (int i = 0; i < answers; i++) {
        const reini_reward_item *item = &t->item[i];
        int n = item->n_prompt + item->n;
        if (t->packed->documents == DOCUMENTS || t->packed->tokens + n > t->packed->tokens_room) {
            score_batch(t, done, i);
            done = i;
        }
        memcpy(t->document, item->prompt_ids, (size_t)item->n_prompt * sizeof *t->document);
        memcpy(t->document + item->n_prompt, item->ids, (size_t)item->n * sizeof *t->document);
        memset(t->scored, 0, (size_t)item->n_prompt);
        memset(t->scored + item->n_prompt, 1, (size_t)item->n);
        reini_packed_add(t->packed, t->document, t->scored, n);
    }
    score_batch(t, done, answers);
}

/* ---- adding up ------------------------------------------------------------------------------------------- */

/* the mean of a prompt's answers in each column, and its best one */
static void add_prompt(trial *t, int64_t prompt, int first) {
    int stride = answers_room(t);
    t->best[prompt] = NAN;
    for (int c = 0; c < EACH + t->kinds; c++) {
        double sum = 0, count = 0;
        for (int i = first; i < first + t->samples; i++) {
            double x = t->known[c * stride + i];
            if (isnan(x))
                continue;
            sum += x;
            count++;
            t->square[c] += x * x;
            if (c == TOTAL)
                t->best[prompt] = isnan(t->best[prompt]) ? x : fmax(t->best[prompt], x);
        }
        t->mean[c][prompt] = sum / count; /* NAN when there is none */
        t->sum[c] += sum;
        t->count[c] += count;
    }
    for (int i = first; i < first + t->samples; i++) {
        const reini_answer *a = answer_at(t, i);
        t->tokens += a->n;
        t->ended += a->finish != REINI_FINISH_LENGTH;
        t->length_min = a->n < t->length_min ? a->n : t->length_min;
        t->length_max = a->n > t->length_max ? a->n : t->length_max;
    }
}

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *line_of(const trial *t, int i) {
    const reini_reward_item *item = &t->item[i];
    int stride = answers_room(t);
    json_t *line = json_object(), *rewards = json_object();
    for (int k = 0; k < t->kinds; k++)
        json_object_set_new(rewards, reini_rewards_name(t->rewards, k),
                            number(t->known[(EACH + k) * stride + i]));
    json_object_set_new(line, "line", json_integer(item->line));
    json_object_set_new(line, "sample", json_integer(i % t->samples));
    json_object_set_new(line, "prompt", json_string(item->prompt));
    json_object_set_new(line, "text", json_string(item->text));
    json_object_set_new(line, "reward", number(t->known[TOTAL * stride + i]));
    json_object_set_new(line, "rewards", rewards);
    if (t->opts->reference) {
        json_object_set_new(line, "kl_k1", number(t->known[K1 * stride + i]));
        json_object_set_new(line, "kl_k3", number(t->known[K3 * stride + i]));
    }
    json_object_set_new(line, "tokens", json_integer(item->n));
    json_object_set_new(line, "finish", json_string(reini_finish_name(answer_at(t, i)->finish)));
    return line;
}

static rein_status write_lines(trial *t, int answers) {
    for (int i = 0; t->out && i < answers; i++) {
        json_t *line = line_of(t, i);
        char *text = line ? reini_json_text(line, false) : NULL;
        json_decref(line);
        if (!text)
            return reini_fail_memory(1024, t->opts->out);
        bool written = fputs(text, t->out) >= 0 && fputc('\n', t->out) == '\n';
        reini_free(text);
        if (!written)
            return reini_fail(REIN_IO, "cannot write \"%s\": %s", t->opts->out, strerror(errno));
    }
    if (t->out && fflush(t->out) != 0)
        return reini_fail(REIN_IO, "cannot write \"%s\": %s", t->opts->out, strerror(errno));
    return REIN_OK;
}

static rein_status run(trial *t) {
    for (int64_t first = 0; first < t->prompts.n; first += t->room) {
        int prompts = (int)(t->prompts.n - first < t->room ? t->prompts.n - first : t->room);
        REINI_TRY(generate(t, first, prompts));
        REINI_TRY(judge(t, first, prompts * t->samples));
        compare(t, prompts * t->samples);
        for (int k = 0; k < prompts; k++)
            add_prompt(t, first + k, k * t->samples);
        REINI_TRY(write_lines(t, prompts * t->samples));
    }
    return REIN_OK;
}

/* ---- the report ------------------------------------------------------------------------------------------ */

static rein_score score_of(const trial *t, int c) {
    double *mean = t->mean[c], n = t->count[c];
    int prompts = 0;
    if (n == 0)
        return (rein_score){NAN, NAN, NAN, NAN, 0};
    for (int64_t i = 0; i < t->prompts.n; i++)
        if (!isnan(mean[i]))
            mean[prompts++] = mean[i]; /* prompts that say nothing are left out */
    reini_interval interval = reini_bootstrap(mean, prompts, reini_mean, 0.95, DRAWS, t->opts->seed);
    double spread = n > 1 ? (t->square[c] - t->sum[c] * t->sum[c] / n) / (n - 1) : 0;
    return (rein_score){.mean = reini_mean(mean, prompts),
                        .low = interval.low,
                        .high = interval.high,
                        .std = sqrt(fmax(0, spread)),
                        .answers = (int64_t)n};
}

static void report(trial *t, rein_reward_eval_result *r) {
    double best = 0, judged = 0;
    r->prompts = t->prompts.n;
    r->answers = t->prompts.n * t->samples;
    r->tokens = t->tokens;
    r->n_rewards = t->kinds;
    for (int k = 0; k < t->kinds; k++) {
        snprintf(r->each[k].name, sizeof r->each[k].name, "%s", reini_rewards_name(t->rewards, k));
        r->each[k].weight = reini_rewards_weight(t->rewards, k);
        r->each[k].score = score_of(t, EACH + k);
    }
    r->reward = score_of(t, TOTAL);
    r->k1 = score_of(t, K1);
    r->k3 = score_of(t, K3);
    for (int64_t i = 0; i < t->prompts.n; i++)
        if (!isnan(t->best[i])) {
            best += t->best[i];
            judged++;
        }
    r->best_mean = best / judged;
    r->ended = (double)t->ended / (double)r->answers;
    r->length_mean = (double)t->tokens / (double)r->answers;
    r->length_min = t->length_min;
    r->length_max = t->length_max;
    r->load_s = t->model.load_s + t->reference.load_s;
}

static void release(trial *t) {
    reini_generator_free(t->generator);
    reini_lm_free(t->lm[0]);
    reini_lm_free(t->lm[1]);
    reini_packed_free(t->packed);
    reini_rewards_free(t->rewards);
    reini_prompts_release(&t->prompts);
    reini_lm_reader_free(t->reader);
    void *const blocks[] = {t->request, t->block, t->item,    t->text_at, t->text.at,  t->each,
                            t->known,   t->best,  t->mean[0], t->logp[0], t->document, t->scored};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        reini_free(blocks[i]);
    reini_text_model_release(&t->reference);
    reini_text_model_release(&t->model);
}

rein_status rein_reward_eval(const rein_reward_eval_opts *opts, rein_reward_eval_result *result) {
    trial t = {.opts = opts};
    double start = 0;
    *result = (rein_reward_eval_result){0};
    rein_status status = open_trial(&t);
    if (status == REIN_OK) {
        start = reini_seconds();
        status = run(&t);
    }
    if (t.out && fclose(t.out) != 0 && status == REIN_OK)
        status = reini_fail(REIN_IO, "cannot write \"%s\": %s", opts->out, strerror(errno));
    if (status == REIN_OK) {
        result->wall_s = reini_seconds() - start;
        report(&t, result);
        result->tokens_per_s = (double)t.tokens / fmax(result->wall_s, 1e-9);
    }
    release(&t);
    return status;
}
