/*
 * generate_text.c - rein_generate: prompts from a text or a file, answers to a callback and a file.
 *
 * Answers end in any order and are handed on in that of the prompts; what waits is kept as tokens only.
 */
#include <math.h>
#include <string.h>
#include <rein/generate.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/output.h"
#include "data/jsonl.h"
#include "lm/generate.h"
#include "run/text_model.h"
#include "run/text_stream.h"

enum { BATCH = 16, NEW_TOKENS = 256 };

typedef struct prompt {
    json_t *row;       /* of the file; NULL */
    int64_t line;      /* in the file */
    char *text;        /* as the model reads it */
    bool conversation; /* its answer is a message */
} prompt;

typedef struct writing {
    const rein_generate_opts *opts;
    reini_text_model model;
    reini_stop *stop;
    prompt *prompt;         /* [n] */
    reini_request *request; /* [n] */
    int64_t n, room;
    void *answers;
    reini_text_stream *stream; /* of each answer, where text is streamed: [n x samples] */
    int64_t next;              /* first answer not handed on, of n x samples */
    reini_output *out;
    reini_generator *generator;
    rein_status status; /* of callbacks */
} writing;

rein_generate_opts rein_generate_default(void) {
    return (rein_generate_opts){
        .sampling = {.temperature = NAN, .top_k = -1, .top_p = NAN, .min_p = NAN, .repetition_penalty = NAN},
        .samples = 1};
}

/* ---- prompts ----------------------------------------------------------------------------------------------- */

static rein_status grow(writing *w) {
    if (w->n < w->room)
        return REIN_OK;
    int64_t room = 2 * w->room + 64;
    REINI_TRY(reini_resize(&w->prompt, (size_t)w->room, (size_t)room, sizeof *w->prompt, "prompts"));
    REINI_TRY(reini_resize(&w->request, (size_t)w->room, (size_t)room, sizeof *w->request, "prompts"));
    w->room = room;
    return REIN_OK;
}

/* Takes ids and text over; sets the request's prompt. */
static rein_status take_prompt(writing *w, char *text, const reini_ids *ids) {
    prompt *p = &w->prompt[w->n];
    p->text = text;
    w->request[w->n] = (reini_request){
        .prompt = ids->at, .n_prompt = (int)ids->n, .samples = w->opts->samples, .stream = (uint64_t)w->n};
    w->n++;
    if (!text)
        return reini_fail_memory(ids->n, "a prompt");
    return REIN_OK;
}

static rein_status add_text(writing *w, const char *text) {
    reini_ids ids = {0};
    rein_status status = reini_text_model_encode(&w->model, text, &ids);
    if (status == REIN_OK)
        return take_prompt(w, reini_strdup(text), &ids);
    reini_free(ids.at);
    return status;
}

static rein_status add_messages(writing *w, const reini_message *messages, int n) {
    reini_chat_text text = {0};
    reini_ids ids = {0};
    rein_status status = reini_text_model_render(&w->model, messages, n, &text);
    if (status == REIN_OK)
        status = reini_encode(w->model.encoder, text.text.at, text.text.n, REINI_ENCODE_SPECIAL, &ids);
    w->prompt[w->n].conversation = true;
    if (status == REIN_OK)
        status = take_prompt(w, reini_strdup(text.text.at), &ids);
    else
        reini_free(ids.at);
    reini_chat_text_release(&text);
    return status;
}

static rein_status add_user(writing *w, const char *text) {
    reini_message message = {"user", text};
    return w->opts->chat ? add_messages(w, &message, 1) : add_text(w, text);
}

static rein_status read_messages(const reini_jsonl *file, int64_t line, const json_t *list,
                                 reini_message *out, int n) {
    for (int i = 0; i < n; i++) {
        const json_t *m = json_array_get(list, (size_t)i);
        out[i].role = json_string_value(json_object_get(m, "role"));
        out[i].content = json_string_value(json_object_get(m, "content"));
        if (!out[i].role || !out[i].content)
            return reini_jsonl_fail(file, line, "message %d has no \"role\" and \"content\" that are texts",
                                    i + 1);
    }
    if (n == 0)
        return reini_jsonl_fail(file, line, "the conversation is empty");
    if (strcmp(out[n - 1].role, "assistant") == 0)
        return reini_jsonl_fail(file, line,
                                "the last message is the assistant's: there is nothing to answer");
    return REIN_OK;
}

static rein_status add_conversation(writing *w, const reini_jsonl *file, int64_t line, const json_t *list) {
    int n = (int)json_array_size(list);
    if (w->opts->raw)
        return reini_jsonl_fail(file, line, "the prompt is a conversation, which --raw refuses");
    reini_message *messages = REINI_NEW_ARRAY(reini_message, (size_t)n);
    if (!messages)
        return reini_fail_memory((size_t)n * sizeof *messages, "a conversation");
    rein_status status = read_messages(file, line, list, messages, n);
    if (status == REIN_OK) {
        status = add_messages(w, messages, n);
        if (status != REIN_OK)
            reini_fail_in(status, "%s:%lld: ", reini_jsonl_path(file), (long long)line);
    }
    reini_free(messages);
    return status;
}

static rein_status add_row(writing *w, const reini_jsonl *file, json_t *row, int64_t line) {
    REINI_TRY(grow(w));
    w->prompt[w->n] = (prompt){.row = row, .line = line};
    json_t *p = json_object_get(row, "prompt");
    p = p ? p : json_object_get(row, "messages");
    if (json_is_array(p))
        return add_conversation(w, file, line, p);
    if (!json_is_string(p))
        return reini_jsonl_fail(
            file, line, "no prompt: expected \"prompt\", a text or a list of messages, or \"messages\"");
    rein_status status = add_user(w, json_string_value(p));
    return status == REIN_OK ? status
                             : reini_fail_in(status, "%s:%lld: ", reini_jsonl_path(file), (long long)line);
}

static rein_status read_file(writing *w) {
    reini_jsonl *file;
    json_t *row;
    int64_t line;
    REINI_TRY(reini_jsonl_open(w->opts->file, &file));
    rein_status status = reini_jsonl_next(file, &row, &line);
    while (status == REIN_OK && row) {
        int64_t before = w->n;
        status = add_row(w, file, row, line);
        if (w->n == before)
            json_decref(row);
        if (status == REIN_OK)
            status = reini_jsonl_next(file, &row, &line);
    }
    reini_jsonl_close(file);
    if (status == REIN_OK && w->n == 0)
        return reini_fail(REIN_USAGE, "%s has no rows, expected prompts", w->opts->file);
    return status;
}

static rein_status read_prompts(writing *w) {
    if (!w->opts->prompt == !w->opts->file)
        return reini_fail(REIN_USAGE, "expected a prompt or a file of prompts, and not both");
    if (w->opts->file)
        return read_file(w);
    REINI_TRY(grow(w));
    return add_user(w, w->opts->prompt);
}

/* ---- answers ----------------------------------------------------------------------------------------------- */

/* The text of an answer, in s->text; s is released by the caller. */
static rein_status answer_text(writing *w, const reini_answer *a, reini_text_stream *s) {
    REINI_TRY(reini_text_stream_init(s, NULL));
    for (int i = 0; i < a->n; i++) {
        int size;
        const char *bytes = reini_text_model_piece(&w->model, a->ids[i], &size);
        REINI_TRY(reini_text_stream_hold(s, bytes, size));
    }
    return reini_text_stream_end(s, a->stop_at);
}

static json_t *message_list(const char *role, const char *content) {
    json_t *list = json_array(), *message = json_object();
    json_object_set_new(message, "role", json_string(role));
    json_object_set_new(message, "content", json_string(content));
    json_array_append_new(list, message);
    return list;
}

static json_t *completion_of(const prompt *p, const char *text) {
    return p->conversation ? message_list("assistant", text) : json_string(text);
}

/* A text that met the template is a message like its answer: training takes no rows that are half a conversation. */
static void set_prompt(const writing *w, const prompt *p, json_t *row) {
    json_t *given = json_object_get(row, "prompt"), *said = given ? given : json_object_get(row, "messages");
    const char *text = json_is_array(said) ? NULL : said ? json_string_value(said) : w->opts->prompt;
    json_t *value = !text             ? json_incref(said)
                    : p->conversation ? message_list("user", text)
                                      : json_string(text);
    json_object_set_new(row, "prompt", value);
    if (!given)
        json_object_del(row, "messages");
}

/* The row with its answer: TRL's prompt and completion, and how the answer came about. */
static rein_status write_row(writing *w, const prompt *p, const rein_answer *a) {
    json_t *row = p->row ? json_copy(p->row) : json_object();
    double logprob = 0;
    for (int i = 0; i < a->n; i++)
        logprob += (double)a->logprobs[i];
    set_prompt(w, p, row);
    json_t *reference = json_object_get(row, "completion");
    if (reference)
        json_object_set(row, "reference", reference);
    json_object_set_new(row, "completion", completion_of(p, a->text));
    json_object_set_new(row, "sample", json_integer(a->sample));
    json_object_set_new(row, "finish", json_string(a->finish));
    json_object_set_new(row, "tokens", json_integer(a->n));
    json_object_set_new(row, "logprob", json_real(logprob));
    char *text = reini_json_text(row, false);
    json_decref(row);
    if (!text)
        return reini_fail_memory(strlen(a->text), "a row");
    rein_status status = reini_output_write(w->out, text, strlen(text));
    if (status == REIN_OK)
        status = reini_output_write(w->out, "\n", 1);
    reini_free(text);
    return status;
}

static rein_status hand_on(writing *w, int64_t i, int sample) {
    const reini_answer *a = &w->request[i].answers[sample];
    reini_text_stream s = {0};
    rein_status status = answer_text(w, a, &s);
    if (status == REIN_OK) {
        rein_answer answer = {.prompt = i,
                              .sample = sample,
                              .prompt_text = w->prompt[i].text,
                              .text = s.text,
                              .ids = a->ids,
                              .logprobs = a->logp,
                              .n = a->n,
                              .finish = reini_finish_name(a->finish)};
        if (w->opts->on_answer)
            w->opts->on_answer(w->opts->user, &answer);
        if (w->out)
            status = write_row(w, &w->prompt[i], &answer);
    }
    reini_text_stream_release(&s);
    return status;
}

static void note(writing *w, rein_status status) {
    w->status = w->status == REIN_OK ? status : w->status;
}

static void show(writing *w, int request, int sample, const reini_text_stream *s) {
    if (s->text[0])
        w->opts->on_text(w->opts->user, request, sample, s->text);
}

static const char *piece(void *user, int32_t id, int *size) {
    writing *w = user;
    return reini_text_model_piece(&w->model, id, size);
}

static void on_token(void *user, int request, int sample) {
    writing *w = user;
    const reini_answer *a = &w->request[request].answers[sample];
    reini_text_stream *s = &w->stream[(int64_t)request * w->opts->samples + sample];
    int size;
    const char *bytes = piece(w, a->ids[a->n - 1], &size);
    rein_status status = reini_text_stream_add(s, bytes, size);
    note(w, status);
    if (status == REIN_OK)
        show(w, request, sample, s);
}

static void on_answer(void *user, int request, int sample) {
    writing *w = user;
    int64_t samples = w->opts->samples;
    if (w->stream) {
        reini_text_stream *s = &w->stream[request * samples + sample];
        rein_status status = reini_text_stream_end(s, w->request[request].answers[sample].stop_at);
        note(w, status);
        if (status == REIN_OK)
            show(w, request, sample, s);
        reini_text_stream_release(s);
    }
    for (; w->next < w->n * samples; w->next++) {
        int64_t i = w->next / samples;
        if (w->request[i].answers[w->next % samples].finish == REINI_FINISH_NONE)
            break;
        note(w, hand_on(w, i, (int)(w->next % samples)));
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------- */

/* How many tokens each answer may have, and the positions of the longest. */
static rein_status fit(writing *w, int *capacity) {
    int asked = w->opts->sampling.max_new_tokens, context = w->model.weights->shape.context;
    *capacity = 0;
    for (int64_t i = 0; i < w->n; i++) {
        reini_request *r = &w->request[i];
        int left = context - r->n_prompt;
        if (left < (asked > 0 ? asked : 1)) {
            if (w->prompt[i].line > 0)
                return reini_fail(REIN_USAGE,
                                  "%s:%lld: a prompt of %d tokens and %d new ones are more than the model's "
                                  "context of %d: shorten the prompt or lower --max_new_tokens",
                                  w->opts->file, (long long)w->prompt[i].line, r->n_prompt,
                                  asked > 0 ? asked : 1, context);
            return reini_fail(
                REIN_USAGE,
                "a prompt of %d tokens and %d new ones are more than the model's context of %d: "
                "shorten the prompt or lower --max_new_tokens",
                r->n_prompt, asked > 0 ? asked : 1, context);
        }
        r->max_new = asked > 0 ? asked : left < NEW_TOKENS ? left : NEW_TOKENS;
        *capacity = r->n_prompt + r->max_new > *capacity ? r->n_prompt + r->max_new : *capacity;
    }
    return REIN_OK;
}

static rein_status open_generator(writing *w, rein_generate_summary *summary) {
    int capacity, workers = w->model.pool ? rein_pool_threads(w->model.pool) : 1;
    int64_t answers = w->n * w->opts->samples, batch = w->opts->batch;
    REINI_TRY(fit(w, &capacity));
    if (batch == 0)
        batch = w->opts->file ? BATCH : w->opts->samples;
    batch = batch < answers ? batch : answers;
    reini_generator_opts opts = {.slots = (int)batch, .capacity = capacity};
    /* prompts whose answers overlap in time: as many as fill the batch, and the stragglers of two more */
    if (w->opts->samples > 1)
        opts.shared = (int)((batch + w->opts->samples - 1) / w->opts->samples + 2);
    opts.shared = opts.shared < w->n ? opts.shared : (int)w->n;
    opts.shared = w->opts->samples > 1 ? opts.shared : 0;
    reini_generator_size size = reini_generator_bytes(w->model.weights, w->model.lora, &opts, workers);
    reini_log(REIN_LOG_INFO, "cache of %d x %d positions: %.1f MB; work memory: %.1f MB",
              opts.slots + opts.shared, capacity, 1e-6 * (double)size.cache, 1e-6 * (double)size.work);
    REINI_TRY(reini_memory_claim((size_t)(size.cache + size.work), "generation"));
    summary->weight_bytes = w->model.weight_bytes;
    summary->cache_bytes = size.cache;
    summary->work_bytes = size.work;
    return reini_generator_new(w->model.weights, w->model.lora, &opts, w->model.pool, &w->generator);
}

static rein_status open_streams(writing *w) {
    int64_t answers = w->n * w->opts->samples;
    if (!w->opts->on_text)
        return REIN_OK;
    w->stream = REINI_NEW_ARRAY(reini_text_stream, (size_t)answers);
    if (!w->stream)
        return reini_fail_memory((size_t)answers * sizeof *w->stream, "streams");
    for (int64_t i = 0; i < answers; i++)
        REINI_TRY(reini_text_stream_init(&w->stream[i], w->stop));
    return REIN_OK;
}

static rein_status generate(writing *w, rein_generate_summary *summary) {
    int32_t eos[REINI_TEXT_EOS];
    double start = reini_seconds();
    bool conversation = false;
    for (int64_t i = 0; i < w->n; i++)
        conversation |= w->prompt[i].conversation;
    reini_generate_job job = {.requests = w->request,
                              .n = (int)w->n,
                              .seed = w->opts->sampling.seed,
                              .eos = eos,
                              .n_eos = reini_text_model_eos(&w->model, conversation, eos),
                              .stop = w->stop,
                              .piece = piece,
                              .on_token = w->opts->on_text ? on_token : NULL,
                              .on_answer = on_answer,
                              .user = w,
                              .interrupt = w->opts->stop};
    REINI_TRY(reini_text_model_sampling(&w->model, &w->opts->sampling, &job.sampling));
    if (w->opts->samples > 1 && job.sampling.temperature <= 0)
        return reini_fail(
            REIN_USAGE,
            "%d answers at temperature 0 are all the same; set a temperature, as in --temperature 1",
            w->opts->samples);
    REINI_TRY(open_generator(w, summary));
    REINI_TRY(reini_answers_new(w->request, (int)w->n, &w->answers));
    REINI_TRY(open_streams(w));
    if (w->opts->out)
        REINI_TRY(reini_output_open(w->opts->out, &w->out));
    rein_status status = reini_generate(w->generator, &job);
    for (int64_t i = 0; i < w->n; i++) {
        summary->prompt_tokens += w->request[i].n_prompt;
        for (int k = 0; k < w->opts->samples; k++) {
            summary->tokens += w->request[i].answers[k].n;
            summary->answers += w->request[i].answers[k].finish != REINI_FINISH_NONE;
        }
    }
    summary->prompts = w->n;
    summary->wall_s = reini_seconds() - start;
    summary->tokens_per_s = (double)summary->tokens / summary->wall_s;
    return status == REIN_OK ? w->status : status;
}

static void release(writing *w) {
    for (int64_t i = 0; i < w->n; i++) {
        json_decref(w->prompt[i].row);
        reini_free(w->prompt[i].text);
        reini_free((void *)(uintptr_t)w->request[i].prompt);
    }
    for (int64_t i = 0; w->stream && i < w->n * w->opts->samples; i++)
        reini_text_stream_release(&w->stream[i]);
    reini_output_cancel(w->out);
    reini_generator_free(w->generator);
    reini_stop_free(w->stop);
    reini_free(w->stream);
    reini_free(w->answers);
    reini_free(w->prompt);
    reini_free(w->request);
    reini_text_model_release(&w->model);
}

rein_status rein_generate(const rein_generate_opts *opts, rein_generate_summary *summary) {
    writing w = {.opts = opts};
    *summary = (rein_generate_summary){0};
    if (opts->samples < 1)
        return reini_fail(REIN_USAGE, "%d answers are wanted, expected at least one", opts->samples);
    rein_status status = reini_text_model_open(&w.model, &opts->model, true);
    summary->load_s = w.model.load_s;
    if (status == REIN_OK && opts->sampling.n_stop > 0)
        status = reini_stop_new(opts->sampling.stop, opts->sampling.n_stop, &w.stop);
    if (status == REIN_OK)
        status = read_prompts(&w);
    if (status == REIN_OK)
        status = generate(&w, summary);
    /* what is finished is kept when the rest was called off */
    if (w.out && (status == REIN_OK || status == REIN_INTERRUPTED)) {
        rein_status written = reini_output_commit(w.out);
        w.out = NULL;
        status = status == REIN_OK ? written : status;
    }
    release(&w);
    return status;
}
