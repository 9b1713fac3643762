/*
 * made_candidates.c - prompts, answers a few prompts at a time, rewards, groups.
 */
#include "algo/language/made_candidates.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "algo/language/rollout_parts.h"
#include "algo/language/stored_pass.h"
#include "base/file.h"

enum { AT_A_TIME = 256 };

typedef struct maker {
    const reini_making *making;
    reini_lm_reader *reader;
    reini_rewards *rewards;
    reini_prompts prompts;
    reini_generator *generator;
    int32_t eos[REINI_LM_EOS + 1];
    int n_eos, room; /* prompts at a time */
    reini_request *request;
    void *block;
    reini_reward_item *item;
    reini_bytes text;
    size_t *text_at;
    double *each;
    /* of all answers, prompt after prompt: numbers, as they are kept */
    double *length, *score, *ids; /* [answers], [answers], [answers][max_new] */
    int32_t *token;               /* scratch: a prompt's documents */
} maker;

/* ---- beginning and end ----------------------------------------------------------------------------------- */

static int64_t answers_of(const maker *m) {
    return m->prompts.n * m->making->samples;
}

static rein_status read_prompts(maker *m, const char *path, int max_length) {
    reini_prompts_opts opts = {.longest = max_length - m->making->max_new,
                               .skip_bad =
                                   ((const reini_lm_settings *)m->making->settings)->skip_bad_rows != 0,
                               .rewards = m->rewards};
    return reini_prompts_read(&m->prompts, path, m->reader, &opts);
}

static rein_status make_arrays(maker *m) {
    size_t answers = (size_t)answers_of(m), samples = (size_t)m->making->samples, room;
    int64_t wanted = m->making->settings->generation_batch_size;
    wanted = (wanted > 0 ? wanted : AT_A_TIME) / m->making->samples;
    wanted = wanted < 1 ? 1 : wanted;
    m->room = (int)(wanted < m->prompts.n ? wanted : m->prompts.n);
    room = (size_t)m->room * samples;
    m->request = REINI_NEW_ARRAY(reini_request, (size_t)m->room);
    m->item = REINI_NEW_ARRAY(reini_reward_item, room);
    m->text_at = REINI_NEW_ARRAY(size_t, samples > room ? samples : room);
    m->each = REINI_NEW_ARRAY(double, room *(size_t)reini_rewards_count(m->rewards));
    m->length = REINI_NEW_ARRAY(double, answers);
    m->score = REINI_NEW_ARRAY(double, answers);
    m->ids = REINI_NEW_ARRAY(double, answers *(size_t)m->making->max_new);
    m->token = REINI_NEW_ARRAY(int32_t, samples * (size_t)(m->prompts.longest + m->making->max_new));
    return m->request && m->item && m->text_at && m->each && m->length && m->score && m->ids && m->token
               ? REIN_OK
               : reini_fail_memory(answers * (size_t)(m->making->max_new + 2) * 8, "candidates");
}

static void release(maker *m) {
    reini_generator_free(m->generator);
    reini_rewards_free(m->rewards);
    reini_prompts_release(&m->prompts);
    void *const blocks[] = {m->request, m->block,  m->item,  m->text.at, m->text_at,
                            m->each,    m->length, m->score, m->ids,     m->token};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        reini_free(blocks[i]);
}

/* ---- answers --------------------------------------------------------------------------------------------- */

static rein_status open_generator(maker *m) {
    const reini_making *o = m->making;
    rein_pool *pool = o->context->pool;
    int slots = (int)o->settings->generation_slots, all = m->room * o->samples;
    slots = slots < all ? slots : all;
    reini_generator_opts opts = {
        .slots = slots, .capacity = m->prompts.longest + o->max_new, .shared = slots / o->samples + 1};
    reini_generator_size size = reini_generator_bytes(o->learner->weights, o->learner->lora, &opts,
                                                      pool ? rein_pool_threads(pool) : 1);
    for (int k = 0; k < m->room; k++) {
        m->request[k].samples = o->samples;
        m->request[k].max_new = o->max_new;
    }
    reini_log(REIN_LOG_INFO, "memory: %.1f MB while %lld candidates are written",
              1e-6 * (double)(size.cache + size.work), (long long)answers_of(m));
    REINI_TRY(reini_memory_claim((size_t)(size.cache + size.work), "generation"));
    REINI_TRY(reini_answers_new(m->request, m->room, &m->block));
    return reini_generator_new(o->learner->weights, o->learner->lora, &opts, pool, &m->generator);
}

static rein_status generate(maker *m, int64_t first, int prompts, const char *name) {
    const reini_text_settings *s = m->making->settings;
    const reini_prompts *p = &m->prompts;
    reini_sampling sampling = reini_sampling_plain(m->making->temperature);
    sampling.top_k = (int)s->top_k;
    sampling.top_p = s->top_p;
    for (int k = 0; k < prompts; k++) {
        reini_request *r = &m->request[k];
        r->prompt = p->token + p->start[first + k];
        r->n_prompt = (int)(p->start[first + k + 1] - p->start[first + k]);
        r->stream = (uint64_t)(first + k);
    }
    reini_generate_job job = {.requests = m->request,
                              .n = prompts,
                              .sampling = sampling,
                              .seed = reini_lm_seed((uint64_t)((const reini_lm_settings *)s)->seed, name, 0),
                              .eos = m->eos,
                              .n_eos = m->n_eos};
    return reini_generate(m->generator, &job);
}

static rein_status decode(maker *m, int i, const int32_t *ids, int n) {
    m->text_at[i] = m->text.n;
    REINI_TRY(reini_decode(reini_lm_reader_tokenizer(m->reader), ids, (size_t)n, true, &m->text));
    return reini_text_end(&m->text);
}

static rein_status judge(maker *m, int64_t first, int prompts) {
    const reini_prompts *p = &m->prompts;
    int samples = m->making->samples, max_new = m->making->max_new, n = prompts * samples;
    m->text.n = 0;
    for (int i = 0; i < n; i++) {
        const reini_answer *a = &m->request[i / samples].answers[i % samples];
        REINI_TRY(decode(m, i, a->ids, a->n));
    }
    for (int i = 0; i < n; i++) {
        const reini_answer *a = &m->request[i / samples].answers[i % samples];
        int64_t at = first + i / samples, answer = first * samples + i;
        m->item[i] = (reini_reward_item){.row = p->row[at],
                                         .line = p->line[at],
                                         .prompt = p->text[at],
                                         .text = m->text.at + m->text_at[i],
                                         .prompt_ids = p->token + p->start[at],
                                         .n_prompt = (int)(p->start[at + 1] - p->start[at]),
                                         .ids = a->ids,
                                         .n = a->n,
                                         .ended = a->finish != REINI_FINISH_LENGTH};
        m->length[answer] = a->n;
        for (int t = 0; t < a->n; t++)
            m->ids[answer * max_new + t] = a->ids[t];
    }
    return reini_rewards_score(m->rewards, m->item, n, m->each, m->score + first * samples);
}

static rein_status write_all(maker *m, const char *name) {
    REINI_TRY(open_generator(m));
    for (int64_t first = 0; first < m->prompts.n; first += m->room) {
        int prompts = (int)(m->prompts.n - first < m->room ? m->prompts.n - first : m->room);
        REINI_TRY(generate(m, first, prompts, name));
        REINI_TRY(judge(m, first, prompts));
    }
    return REIN_OK;
}

/* ---- kept ------------------------------------------------------------------------------------------------ */

static rein_status stored_path(const maker *m, const char *name, char path[REINI_STORED_PATH]) {
    const reini_text_settings *s = m->making->settings;
    struct {
        uint8_t digest[32];
        char name[32], reward[REIN_TEXT_MAX];
        int64_t samples, max_new, top_k, slots, seed;
        double temperature, top_p;
    } more;
    memset(&more, 0, sizeof more);
    memcpy(more.digest, m->prompts.digest, sizeof more.digest);
    snprintf(more.name, sizeof more.name, "%s", name);
    snprintf(more.reward, sizeof more.reward, "%s", s->reward);
    more.samples = m->making->samples;
    more.max_new = m->making->max_new;
    more.top_k = s->top_k;
    more.slots = s->generation_slots;
    more.seed = ((const reini_lm_settings *)s)->seed;
    more.temperature = m->making->temperature;
    more.top_p = s->top_p;
    return reini_stored_path(path, m->making->context->dir, name, m->making->learner, &more, sizeof more);
}

/* ---- groups ---------------------------------------------------------------------------------------------- */

/* texts of a prompt's answers, into m->text */
static rein_status decode_prompt(maker *m, int64_t prompt) {
    int samples = m->making->samples, max_new = m->making->max_new;
    m->text.n = 0;
    for (int k = 0; k < samples; k++) {
        int64_t answer = prompt * samples + k;
        int n = (int)m->length[answer];
        for (int t = 0; t < n; t++)
            m->token[t] = (int32_t)m->ids[answer * max_new + t];
        REINI_TRY(decode(m, k, m->token, n));
    }
    return REIN_OK;
}

/* different answers of a prompt that some reward has an opinion of, into which[]; none when all are worth the same */
static rein_status choose(maker *m, int64_t prompt, int32_t *which, int *n) {
    const double *score = m->score + prompt * m->making->samples;
    bool differ = false;
    *n = 0;
    REINI_TRY(decode_prompt(m, prompt));
    for (int i = 0; i < m->making->samples; i++) {
        const char *text = m->text.at + m->text_at[i];
        bool counts = !isnan(score[i]) && *text;
        for (int k = 0; k < *n && counts; k++)
            counts = strcmp(m->text.at + m->text_at[which[k]], text) != 0;
        if (!counts)
            continue;
        differ = differ || (*n > 0 && score[i] != score[which[0]]);
        which[(*n)++] = i;
    }
    *n = differ ? *n : 0;
    return REIN_OK;
}

static rein_status add_group(maker *m, int64_t prompt, const int32_t *which, int n, reini_preference *out) {
    const reini_prompts *p = &m->prompts;
    enum { MOST = 1024 };
    int32_t length[MOST], prompts[MOST];
    double score[MOST];
    int32_t *at = m->token, n_prompt = (int32_t)(p->start[prompt + 1] - p->start[prompt]);
    for (int k = 0; k < n; k++) {
        int64_t answer = prompt * m->making->samples + which[k];
        memcpy(at, p->token + p->start[prompt], (size_t)n_prompt * sizeof *at);
        at += n_prompt;
        for (int t = 0; t < (int)m->length[answer]; t++)
            *at++ = (int32_t)m->ids[answer * m->making->max_new + t];
        length[k] = n_prompt + (int32_t)m->length[answer];
        prompts[k] = n_prompt;
        score[k] = m->score[answer];
    }
    reini_answers group = {.n = n,
                           .length = length,
                           .prompt = prompts,
                           .token = m->token,
                           .score = score,
                           .line = p->line[prompt]};
    return reini_preference_add(out, &group);
}

/* a row of candidates.jsonl, of the texts that were decoded last */
static rein_status log_group(maker *m, FILE *log, int64_t prompt, const int32_t *which, int n) {
    json_t *row = json_object(), *responses = json_array(), *scores = json_array();
    for (int k = 0; k < n; k++) {
        json_array_append_new(responses, json_string(m->text.at + m->text_at[which[k]]));
        json_array_append_new(scores, json_real(m->score[prompt * m->making->samples + which[k]]));
    }
    json_object_set_new(row, "line", json_integer(m->prompts.line[prompt]));
    json_object_set_new(row, "prompt", json_string(m->prompts.text[prompt]));
    json_object_set_new(row, "responses", responses);
    json_object_set_new(row, "scores", scores);
    char *text = reini_json_text(row, false);
    json_decref(row);
    bool written = text && fputs(text, log) >= 0 && fputc('\n', log) == '\n';
    reini_free(text);
    return written ? REIN_OK : reini_fail(REIN_IO, "cannot write candidates: %s", strerror(errno));
}

/* the groups into `out`, or as rows into `log` */
static rein_status each_group(maker *m, FILE *log, reini_preference *out) {
    int32_t *which = REINI_NEW_ARRAY(int32_t, (size_t)m->making->samples);
    rein_status status = which ? REIN_OK : reini_fail_memory(1024, "candidates");
    for (int64_t i = 0; i < m->prompts.n && status == REIN_OK; i++) {
        int n;
        status = choose(m, i, which, &n);
        if (status == REIN_OK && n > 0)
            status = log ? log_group(m, log, i, which, n) : add_group(m, i, which, n, out);
    }
    reini_free(which);
    return status;
}

static rein_status make_groups(maker *m, const char *path, reini_preference *out) {
    REINI_TRY(each_group(m, NULL, out));
    out->count.rows = m->prompts.n;
    reini_log(REIN_LOG_INFO, "%s: %d answers each to %lld prompts; those to %lld are worth different amounts",
              path, m->making->samples, (long long)m->prompts.n, (long long)out->n);
    return out->n > 0
               ? REIN_OK
               : reini_fail(REIN_USAGE,
                            "%s: no prompt has answers that are worth different amounts by \"%s\": raise "
                            "num_generations or temperature, or choose another reward",
                            path, m->making->settings->reward);
}

static rein_status write_log(maker *m, const char *name) {
    char path[REINI_STORED_PATH], file[64];
    snprintf(file, sizeof file, "%s.jsonl", name);
    REINI_TRY(reini_path_join(path, sizeof path, m->making->context->dir, file));
    FILE *log = fopen(path, "wb");
    if (!log)
        return reini_fail(REIN_IO, "cannot write \"%s\": %s", path, strerror(errno));
    rein_status status = each_group(m, log, NULL);
    if (fclose(log) != 0 && status == REIN_OK)
        status = reini_fail(REIN_IO, "cannot write \"%s\": %s", path, strerror(errno));
    return status;
}

/* kept only when something can be learned from them */
static rein_status make(maker *m, const char *path, const char *name, reini_preference *out) {
    double *at[] = {m->length, m->score, m->ids};
    int64_t n[] = {answers_of(m), answers_of(m), answers_of(m) * m->making->max_new};
    char stored[REINI_STORED_PATH];
    bool found = false, dir = m->making->context->dir != NULL;
    if (dir) {
        REINI_TRY(stored_path(m, name, stored));
        REINI_TRY(reini_stored_load(stored, at, n, 3, &found));
    }
    if (found)
        reini_log(REIN_LOG_INFO, "the candidates are those of %s", stored);
    else
        REINI_TRY(write_all(m, name));
    REINI_TRY(make_groups(m, path, out));
    if (found || !dir)
        return REIN_OK;
    if (m->making->settings->log_completions)
        REINI_TRY(write_log(m, name));
    return reini_stored_save(stored, at, n, 3);
}

rein_status reini_candidates_make(const reini_making *making, reini_lm_reader *reader, const char *path,
                                  int max_length, const char *name, reini_preference *out) {
    maker m = {.making = making, .reader = reader};
    const reini_lm_settings *lm = (const reini_lm_settings *)making->settings;
    rein_status status = reini_text_open_rewards(making->settings, path, making->learner, &m.rewards);
    if (status == REIN_OK)
        status = read_prompts(&m, path, max_length);
    if (status == REIN_OK)
        status = reini_text_find_eos(lm, &making->learner->weights->shape, reini_lm_reader_tokenizer(reader),
                                     m.eos, &m.n_eos);
    if (status == REIN_OK)
        status = make_arrays(&m);
    if (status == REIN_OK)
        status = make(&m, path, name, out);
    release(&m);
    return status;
}
