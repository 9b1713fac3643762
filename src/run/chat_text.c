/*
 * chat_text.c - rein_chat: a conversation that keeps what it computed.
 *
 * Every turn renders the whole conversation. As a rule the new text begins with the last one and the last answer; then
 * only what follows is encoded and computed, behind the keys and values that the cache holds. A template that writes
 * earlier turns anew (Qwen3 drops what was thought) makes the conversation be computed again.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <rein/generate.h>
#include "lm/generate.h"
#include "run/text_model.h"
#include "run/text_stream.h"

/* positions kept for a conversation, at most; answers of no other length */
enum { POSITIONS = 4096, NEW_TOKENS = 256 };

struct rein_chat {
    reini_text_model model;
    reini_generator *generator;
    reini_sampling sampling;
    reini_stop *stop;
    int32_t eos[REINI_TEXT_EOS];
    int n_eos, max_new, capacity;
    uint64_t seed, turn;
    reini_message *message; /* [n_messages], copies */
    int n_messages;
    size_t room;
    /* what the model has read and written: ids of `text`, of which the first `kept` positions are in the cache */
    reini_ids ids;
    reini_bytes text;
    int kept;
    /* the turn under way */
    reini_text_stream stream;
    reini_bytes answer;
    reini_answer drawn;
    void (*on_text)(void *user, const char *text);
    void *user;
    rein_status status;
    rein_chat_state state;
};

/* ---- messages ---------------------------------------------------------------------------------------------- */

static rein_status push(rein_chat *c, const char *role, const char *content) {
    size_t wanted = (size_t)c->n_messages + 1;
    REINI_TRY(reini_reserve(&c->message, &c->room, wanted, sizeof *c->message, "a conversation"));
    char *copy = reini_strdup(content);
    if (!copy)
        return reini_fail_memory(strlen(content), "a message");
    c->message[c->n_messages++] = (reini_message){role, copy};
    return REIN_OK;
}

static void pop(rein_chat *c) {
    reini_free((void *)(uintptr_t)c->message[--c->n_messages].content);
}

/* The conversation as the model reads it; without a template, names and a blank line. */
static rein_status render(const rein_chat *c, reini_bytes *out) {
    if (c->model.has_chat) {
        reini_chat_text text = {0};
        rein_status status = reini_text_model_render(&c->model, c->message, c->n_messages, &text);
        if (status == REIN_OK)
            status = reini_bytes_add(out, text.text.at, text.text.n);
        reini_chat_text_release(&text);
        return status;
    }
    for (int i = 0; i < c->n_messages; i++) {
        const reini_message *m = &c->message[i];
        const char *name = strcmp(m->role, "user") == 0        ? "User: "
                           : strcmp(m->role, "assistant") == 0 ? "Assistant:"
                                                               : "";
        REINI_TRY(reini_bytes_add(out, name, strlen(name)));
        REINI_TRY(reini_bytes_add(out, m->content, strlen(m->content)));
        REINI_TRY(reini_bytes_add(out, "\n", 1));
    }
    return reini_bytes_add(out, "Assistant:", 10);
}

/* ---- one turn ---------------------------------------------------------------------------------------------- */

/* Sets c->ids and c->text to the prompt; c->kept to what of it the cache holds. */
static rein_status read_on(rein_chat *c) {
    reini_bytes next = {0};
    rein_status status = render(c, &next);
    bool goes_on =
        status == REIN_OK && c->kept > 0 && next.n > c->text.n && memcmp(next.at, c->text.at, c->text.n) == 0;
    if (!goes_on) {
        c->kept = 0;
        c->ids.n = 0;
        c->text.n = 0;
    }
    unsigned flags = REINI_ENCODE_SPECIAL;
    if (!c->model.has_chat && !goes_on)
        flags |= REINI_ENCODE_TEMPLATE;
    if (status == REIN_OK)
        status = reini_encode(c->model.encoder, next.at + c->text.n, next.n - c->text.n, flags, &c->ids);
    if (status == REIN_OK)
        status = reini_bytes_add(&c->text, next.at + c->text.n, next.n - c->text.n);
    reini_free(next.at);
    return status;
}

static const char *piece(void *user, int32_t id, int *size) {
    rein_chat *c = user;
    return reini_text_model_piece(&c->model, id, size);
}

static void show(rein_chat *c, rein_status status) {
    if (status == REIN_OK && c->stream.text[0]) {
        status = reini_bytes_add(&c->answer, c->stream.text, strlen(c->stream.text));
        if (status == REIN_OK && c->on_text)
            c->on_text(c->user, c->stream.text);
    }
    c->status = c->status == REIN_OK ? status : c->status;
}

static void on_token(void *user, int request, int sample) {
    rein_chat *c = user;
    int size;
    const char *bytes = piece(c, c->drawn.ids[c->drawn.n - 1], &size);
    (void)request, (void)sample;
    show(c, reini_text_stream_add(&c->stream, bytes, size));
}

static rein_status answer(rein_chat *c, const volatile sig_atomic_t *stop) {
    int n = (int)c->ids.n, left = c->capacity - n;
    if (left < 1)
        return reini_fail(
            REIN_USAGE,
            "the conversation has %d tokens with this message, and there is room for %d: begin a new "
            "one (/reset)",
            n, c->capacity);
    reini_request request = {.prompt = c->ids.at,
                             .n_prompt = n,
                             .samples = 1,
                             .max_new = left < c->max_new ? left : c->max_new,
                             .stream = c->turn,
                             .kept = c->kept,
                             .answers = &c->drawn};
    reini_generate_job job = {.requests = &request,
                              .n = 1,
                              .sampling = c->sampling,
                              .seed = c->seed,
                              .eos = c->eos,
                              .n_eos = c->n_eos,
                              .stop = c->stop,
                              .piece = piece,
                              .on_token = on_token,
                              .user = c,
                              .interrupt = stop};
    c->state.computed = n - c->kept;
    c->answer.n = 0;
    REINI_TRY(reini_bytes_add(&c->answer, "", 0));
    REINI_TRY(reini_text_stream_init(&c->stream, c->stop));
    REINI_TRY(reini_generate(c->generator, &job));
    show(c, reini_text_stream_end(&c->stream, c->drawn.stop_at));
    return c->status;
}

/* The answer joins ids and text; the next turn goes on behind it where it reads as it was written. */
static rein_status join(rein_chat *c) {
    const reini_answer *a = &c->drawn;
    int n = a->finish == REINI_FINISH_EOS ? a->n - 1 : a->n;
    size_t need = c->ids.n + (size_t)n;
    REINI_TRY(reini_ids_reserve(&c->ids, (size_t)n));
    if (n > 0)
        memcpy(c->ids.at + c->ids.n, a->ids, (size_t)n * sizeof *a->ids);
    c->ids.n = need;
    c->kept = a->finish == REINI_FINISH_STOP ? 0 : reini_generator_kept(c->generator);
    REINI_TRY(reini_bytes_add(&c->text, c->answer.at, c->answer.n));
    return push(c, "assistant", c->answer.at);
}

rein_status rein_chat_say(rein_chat *c, const char *message, void (*on_text)(void *user, const char *text),
                          void *user, const volatile sig_atomic_t *stop, const char **answered) {
    REINI_TRY(push(c, "user", message));
    c->on_text = on_text;
    c->user = user;
    c->status = REIN_OK;
    rein_status status = read_on(c);
    if (status == REIN_OK)
        status = answer(c, stop);
    reini_text_stream_release(&c->stream);
    if (status == REIN_OK)
        status = join(c);
    if (status != REIN_OK) {
        /* as if it had not been said; the cache is read anew next time */
        pop(c);
        c->kept = 0;
        return status;
    }
    c->turn++;
    c->state.tokens = (int)c->ids.n;
    c->state.answered = c->drawn.n;
    c->state.finish = reini_finish_name(c->drawn.finish);
    if (answered)
        *answered = c->answer.at;
    return REIN_OK;
}

rein_chat_state rein_chat_look(const rein_chat *c) {
    return c->state;
}

rein_status rein_chat_reset(rein_chat *c, const char *system) {
    while (c->n_messages > 0)
        pop(c);
    c->kept = 0;
    c->turn = 0;
    c->state.tokens = c->state.computed = c->state.answered = 0;
    return system && *system ? push(c, "system", system) : REIN_OK;
}

/* ---- opening ----------------------------------------------------------------------------------------------- */

static rein_status open_stop(rein_chat *c, const rein_sampling_opts *sampling) {
    const char *user = "\nUser:";
    int n = sampling->n_stop;
    if (c->model.has_chat && n == 0)
        return REIN_OK;
    const char **texts = (const char **)reini_new_array((size_t)n + 1, sizeof *texts);
    if (!texts)
        return reini_fail_memory(64, "stop strings");
    for (int i = 0; i < n; i++)
        texts[i] = sampling->stop[i];
    /* without a template the model would go on and speak for the user */
    if (!c->model.has_chat)
        texts[n++] = user;
    rein_status status = reini_stop_new(texts, n, &c->stop);
    reini_free((void *)texts);
    return status;
}

static rein_status open_chat(rein_chat *c, const rein_text_model_opts *model,
                             const rein_sampling_opts *sampling) {
    REINI_TRY(reini_text_model_open(&c->model, model, true));
    REINI_TRY(reini_text_model_sampling(&c->model, sampling, &c->sampling));
    REINI_TRY(open_stop(c, sampling));
    int context = c->model.weights->shape.context,
        workers = c->model.pool ? rein_pool_threads(c->model.pool) : 1;
    c->capacity = context < POSITIONS ? context : POSITIONS;
    c->max_new = sampling->max_new_tokens > 0 ? sampling->max_new_tokens : NEW_TOKENS;
    c->max_new = c->max_new < c->capacity ? c->max_new : c->capacity;
    c->seed = sampling->seed;
    c->n_eos = reini_text_model_eos(&c->model, true, c->eos);
    c->state = (rein_chat_state){.context = c->capacity, .finish = "none", .has_template = c->model.has_chat};
    c->drawn.ids = REINI_NEW_ARRAY(int32_t, (size_t)c->max_new);
    c->drawn.logp = REINI_NEW_ARRAY(float, (size_t)c->max_new);
    if (!c->drawn.ids || !c->drawn.logp)
        return reini_fail_memory((size_t)c->max_new * 8, "an answer");
    reini_generator_opts opts = {.slots = 1, .capacity = c->capacity};
    reini_generator_size size = reini_generator_bytes(c->model.weights, c->model.lora, &opts, workers);
    reini_log(REIN_LOG_INFO, "room for %d tokens: cache %.1f MB, work memory %.1f MB", c->capacity,
              1e-6 * (double)size.cache, 1e-6 * (double)size.work);
    REINI_TRY(reini_memory_claim((size_t)(size.cache + size.work), "the conversation"));
    return reini_generator_new(c->model.weights, c->model.lora, &opts, c->model.pool, &c->generator);
}

rein_status rein_chat_open(const rein_text_model_opts *model, const rein_sampling_opts *sampling,
                           const char *system, rein_chat **out) {
    rein_chat *c = REINI_NEW(rein_chat);
    *out = NULL;
    if (!c)
        return reini_fail_memory(sizeof *c, "a conversation");
    rein_status status = open_chat(c, model, sampling);
    if (status == REIN_OK)
        status = rein_chat_reset(c, system);
    if (status == REIN_OK)
        *out = c;
    else
        rein_chat_close(c);
    return status;
}

void rein_chat_close(rein_chat *c) {
    if (!c)
        return;
    while (c->n_messages > 0)
        pop(c);
    reini_text_stream_release(&c->stream);
    reini_generator_free(c->generator);
    reini_stop_free(c->stop);
    reini_free(c->message);
    reini_free(c->ids.at);
    reini_free(c->text.at);
    reini_free(c->answer.at);
    reini_free(c->drawn.ids);
    reini_free(c->drawn.logp);
    reini_text_model_release(&c->model);
    reini_free(c);
}
