/*
 * lm_encode.c - values of a row through template and tokenizer.
 *
 * What the assistant wrote is known as bytes of the rendered text. Tokens of byte-level BPE spell the text byte by byte,
 * so their lengths lead from bytes to tokens; where a normaliser changed the text they do not add up, and the tokens of
 * the text up to a boundary are counted instead.
 */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "data/lm_encode.h"

struct reini_lm_reader {
    reini_tokenizer *tokenizer;
    reini_encoder *encoder;
    char *folder, *override; /* of the chat template, NULL = none */
    const char *eos;         /* text of the end-of-text token, NULL = none */
    bool has_chat;
    reini_chat chat; /* once a conversation came */
    reini_chat_text rendered;
    reini_bytes text; /* of a pair, or with its end */
    reini_ids prompt; /* of a pair; up to a boundary */
    reini_message *messages;
    size_t room;
};

rein_status reini_lm_reader_open(const char *folder, const char *chat_template, reini_lm_reader **out) {
    *out = NULL;
    reini_lm_reader *r = REINI_NEW(reini_lm_reader);
    if (!r)
        return reini_fail_memory(sizeof *r, "a tokenizer");
    rein_status status = reini_tokenizer_open(folder, &r->tokenizer);
    if (status == REIN_OK)
        status = reini_encoder_new(r->tokenizer, &r->encoder);
    r->folder = reini_strdup(folder);
    r->override = chat_template ? reini_strdup(chat_template) : NULL;
    if (status == REIN_OK && (!r->folder || (chat_template && !r->override)))
        status = reini_fail_memory(strlen(folder), "a tokenizer");
    if (status != REIN_OK) {
        reini_lm_reader_free(r);
        return status;
    }
    int eos = reini_tokenizer_eos(r->tokenizer);
    r->eos = eos >= 0 ? reini_tokenizer_token(r->tokenizer, eos) : NULL;
    *out = r;
    return REIN_OK;
}

void reini_lm_reader_free(reini_lm_reader *r) {
    if (!r)
        return;
    reini_encoder_free(r->encoder);
    reini_tokenizer_free(r->tokenizer);
    reini_chat_text_release(&r->rendered);
    reini_free(r->text.at);
    reini_free(r->prompt.at);
    reini_free(r->messages);
    reini_free(r->folder);
    reini_free(r->override);
    reini_free(r);
}

const reini_tokenizer *reini_lm_reader_tokenizer(const reini_lm_reader *reader) {
    return reader->tokenizer;
}

void reini_lm_encoded_release(reini_lm_encoded *e) {
    reini_free(e->ids.at);
    reini_free(e->assistant);
    *e = (reini_lm_encoded){0};
}

/* ---- values ---------------------------------------------------------------------------------------------- */

bool reini_is_conversation(const json_t *value) {
    return json_is_array(value);
}

rein_status reini_conversation_check(const json_t *value, const char *key) {
    if (json_is_string(value))
        return REIN_OK;
    if (!json_is_array(value))
        return reini_fail(REIN_FORMAT, "\"%s\": expected text or a list of messages, found %s", key,
                          json_is_object(value)   ? "an object"
                          : json_is_null(value)   ? "null"
                          : json_is_number(value) ? "a number"
                                                  : "true or false");
    size_t i;
    const json_t *message;
    json_array_foreach(value, i, message) {
        if (!json_is_object(message) || !json_is_string(json_object_get(message, "role")))
            return reini_fail(REIN_FORMAT, "\"%s\": message %zu is not an object with a \"role\"", key,
                              i + 1);
        if (!json_is_string(json_object_get(message, "content")))
            return reini_fail(REIN_FORMAT, "\"%s\": the \"content\" of message %zu is not text", key, i + 1);
    }
    return REIN_OK;
}

/* ---- text ------------------------------------------------------------------------------------------------ */

static bool ends_in(const reini_bytes *text, const char *end) {
    size_t n = strlen(end);
    return text->n >= n && memcmp(text->at + text->n - n, end, n) == 0;
}

static rein_status put_end(reini_lm_reader *r) {
    if (!r->eos)
        return reini_fail(
            REIN_FORMAT,
            "the tokenizer in \"%s\" names no eos_token (tokenizer_config.json), so a text could not "
            "be ended and the model would never learn to stop",
            r->folder);
    return ends_in(&r->text, r->eos) ? REIN_OK : reini_bytes_add(&r->text, r->eos, strlen(r->eos));
}

static rein_status mark_all(reini_lm_encoded *out, uint8_t mark) {
    REINI_TRY(reini_reserve(&out->assistant, &out->room, out->ids.n, 1, "the marks of a text"));
    if (out->ids.n > 0)
        memset(out->assistant, mark, out->ids.n);
    return REIN_OK;
}

/* what the tokenizer makes of a text by itself: special tokens are seen, its own are put around */
static rein_status encode_plain(reini_lm_reader *r, const char *text, size_t length, reini_ids *ids) {
    ids->n = 0;
    return reini_encode(r->encoder, text, length, REINI_ENCODE_SPECIAL | REINI_ENCODE_TEMPLATE, ids);
}

rein_status reini_lm_encode_text(reini_lm_reader *r, const char *text, bool end, reini_lm_encoded *out) {
    r->text.n = 0;
    REINI_TRY(reini_bytes_add(&r->text, text, strlen(text)));
    if (end)
        REINI_TRY(put_end(r));
    REINI_TRY(encode_plain(r, r->text.at, r->text.n, &out->ids));
    return mark_all(out, 1);
}

/* ---- conversations --------------------------------------------------------------------------------------- */

static rein_status open_chat(reini_lm_reader *r) {
    if (!r->has_chat)
        REINI_TRY(reini_chat_open(r->tokenizer, r->override, &r->chat));
    r->has_chat = true;
    return REIN_OK;
}

static rein_status add_messages(reini_lm_reader *r, const json_t *list, size_t *n) {
    size_t i, wanted = *n + json_array_size(list);
    const json_t *message;
    REINI_TRY(reini_reserve(&r->messages, &r->room, wanted, sizeof *r->messages, "a conversation"));
    json_array_foreach(list, i, message) {
        r->messages[(*n)++] = (reini_message){json_string_value(json_object_get(message, "role")),
                                              json_string_value(json_object_get(message, "content"))};
    }
    return REIN_OK;
}

static rein_status render(reini_lm_reader *r, size_t n, bool reply) {
    reini_chat_opts opts = {.generation_prompt = reply};
    REINI_TRY(open_chat(r));
    return reini_chat_render(&r->chat, r->messages, (int)n, &opts, &r->rendered);
}

static rein_status encode_rendered(reini_lm_reader *r, size_t length, reini_ids *ids) {
    ids->n = 0;
    return reini_encode(r->encoder, r->rendered.text.at, length, REINI_ENCODE_SPECIAL, ids);
}

/* bytes of text that a token spells: byte-level tokens are written as one printable character a byte */
static size_t spelled(const reini_tokenizer *tokenizer, int32_t id) {
    const char *text = reini_tokenizer_token(tokenizer, id);
    size_t bytes = 0;
    if (!text || reini_tokenizer_special(tokenizer, id))
        return text ? strlen(text) : 0;
    for (; *text; text++)
        bytes += ((unsigned char)*text & 0xc0) != 0x80;
    return bytes;
}

static size_t common_prefix(const reini_ids *a, const reini_ids *b) {
    size_t n = 0;
    while (n < a->n && n < b->n && a->at[n] == b->at[n])
        n++;
    return n;
}

/* marks of the spans by the lengths of tokens; false when they do not add up to the text */
static bool mark_by_length(const reini_lm_reader *r, reini_lm_encoded *out) {
    size_t at = 0, span = 0;
    for (size_t i = 0; i < out->ids.n; i++) {
        size_t end = at + spelled(r->tokenizer, out->ids.at[i]);
        while (span < r->rendered.n_spans && r->rendered.spans[span].end <= at)
            span++;
        out->assistant[i] = span < r->rendered.n_spans && r->rendered.spans[span].begin < end;
        at = end;
    }
    return at == r->rendered.text.n;
}

static rein_status mark_by_prefix(reini_lm_reader *r, reini_lm_encoded *out) {
    if (out->ids.n > 0)
        memset(out->assistant, 0, out->ids.n);
    for (size_t k = 0; k < r->rendered.n_spans; k++) {
        REINI_TRY(encode_rendered(r, r->rendered.spans[k].begin, &r->prompt));
        size_t from = common_prefix(&r->prompt, &out->ids);
        REINI_TRY(encode_rendered(r, r->rendered.spans[k].end, &r->prompt));
        size_t to = r->prompt.n < out->ids.n ? r->prompt.n : out->ids.n;
        for (size_t i = from; i < to; i++)
            out->assistant[i] = 1;
    }
    return REIN_OK;
}

/* the conversation that was rendered */
static rein_status encode_whole(reini_lm_reader *r, reini_lm_encoded *out) {
    REINI_TRY(encode_rendered(r, r->rendered.text.n, &out->ids));
    REINI_TRY(mark_all(out, 0));
    return mark_by_length(r, out) ? REIN_OK : mark_by_prefix(r, out);
}

rein_status reini_lm_encode_messages(reini_lm_reader *r, const json_t *messages, bool reply,
                                     reini_lm_encoded *out) {
    size_t n = 0;
    REINI_TRY(add_messages(r, messages, &n));
    REINI_TRY(render(r, n, reply));
    return encode_whole(r, out);
}

/* ---- pairs ----------------------------------------------------------------------------------------------- */

static rein_status encode_conversations(reini_lm_reader *r, const json_t *prompt, const json_t *completion,
                                        reini_lm_encoded *out) {
    size_t n = 0;
    REINI_TRY(add_messages(r, prompt, &n));
    size_t n_prompt = n;
    REINI_TRY(add_messages(r, completion, &n));
    REINI_TRY(render(r, n, false));
    REINI_TRY(encode_whole(r, out));
    REINI_TRY(render(r, n_prompt, true));
    return encode_rendered(r, r->rendered.text.n, &r->prompt);
}

static rein_status encode_texts(reini_lm_reader *r, const char *prompt, const char *completion,
                                reini_lm_encoded *out) {
    size_t length = strlen(prompt);
    r->text.n = 0;
    REINI_TRY(reini_bytes_add(&r->text, prompt, length));
    REINI_TRY(reini_bytes_add(&r->text, completion, strlen(completion)));
    REINI_TRY(put_end(r));
    REINI_TRY(encode_plain(r, r->text.at, r->text.n, &out->ids));
    REINI_TRY(mark_all(out, 1));
    return encode_plain(r, prompt, length, &r->prompt);
}

rein_status reini_lm_encode_pair(reini_lm_reader *r, const json_t *prompt, const json_t *completion,
                                 reini_lm_encoded *out, int *n_prompt, bool *apart) {
    REINI_TRY(reini_is_conversation(prompt)
                  ? encode_conversations(r, prompt, completion, out)
                  : encode_texts(r, json_string_value(prompt), json_string_value(completion), out));
    size_t common = common_prefix(&r->prompt, &out->ids);
    *n_prompt = (int)common;
    *apart = common < r->prompt.n;
    return REIN_OK;
}
