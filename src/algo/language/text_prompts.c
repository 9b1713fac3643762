/*
 * text_prompts.c - reading prompts.
 */
#include "algo/language/text_prompts.h"
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "data/jsonl.h"

static rein_status make_room(reini_prompts *p, int64_t tokens) {
    size_t n = (size_t)p->n, used = n > 0 ? (size_t)p->start[n] : 0, room = 2 * n + 64;
    if (n == p->room) {
        REINI_TRY(reini_resize(&p->row, n, room, sizeof *p->row, "prompts"));
        REINI_TRY(reini_resize(&p->line, n, room, sizeof *p->line, "prompts"));
        REINI_TRY(reini_resize(&p->text, n, room, sizeof *p->text, "prompts"));
        REINI_TRY(reini_resize(&p->start, n > 0 ? n + 1 : 0, room + 1, sizeof *p->start, "prompts"));
        p->room = room;
    }
    return reini_reserve(&p->token, &p->token_room, used + (size_t)tokens, sizeof *p->token, "prompts");
}

static rein_status encode(reini_lm_reader *reader, const json_t *row, reini_lm_encoded *encoded,
                          const json_t **prompt) {
    *prompt = json_object_get(row, "prompt");
    *prompt = *prompt ? *prompt : json_object_get(row, "messages");
    if (!*prompt)
        return reini_fail(REIN_FORMAT, "no prompt: expected \"prompt\", a text or a list of messages");
    REINI_TRY(reini_conversation_check(*prompt, "prompt"));
    if (reini_is_conversation(*prompt))
        return reini_lm_encode_messages(reader, *prompt, true, encoded);
    return reini_lm_encode_text(reader, json_string_value(*prompt), false, encoded);
}

static rein_status fits(const reini_ids *ids, const reini_prompts_opts *opts) {
    if (ids->n == 0)
        return reini_fail(REIN_FORMAT, "the prompt is empty");
    if (ids->n > (size_t)opts->longest)
        return reini_fail(
            REIN_FORMAT,
            "the prompt has %zu tokens, at most %d leave room for an answer: shorten it, lower the length "
            "of answers, or pass over such rows with skip_bad_rows",
            ids->n, opts->longest);
    return REIN_OK;
}

static char *text_of(const reini_lm_reader *reader, const json_t *prompt, const reini_ids *ids) {
    reini_bytes bytes = {0};
    if (json_is_string(prompt))
        return reini_strdup(json_string_value(prompt));
    if (reini_decode(reini_lm_reader_tokenizer(reader), ids->at, ids->n, false, &bytes) != REIN_OK)
        return NULL;
    char *text = reini_strdup(bytes.at ? bytes.at : "");
    reini_free(bytes.at);
    return text;
}

static rein_status add(reini_prompts *p, const reini_lm_reader *reader, json_t *row, int64_t line,
                       const json_t *prompt, const reini_ids *ids) {
    REINI_TRY(make_room(p, (int64_t)ids->n));
    p->text[p->n] = text_of(reader, prompt, ids);
    if (!p->text[p->n])
        return reini_fail_memory(ids->n, "a prompt");
    p->row[p->n] = json_incref(row);
    p->line[p->n] = line;
    memcpy(p->token + p->start[p->n], ids->at, ids->n * sizeof *ids->at);
    p->start[p->n + 1] = p->start[p->n] + (int64_t)ids->n;
    p->longest = (int)ids->n > p->longest ? (int)ids->n : p->longest;
    p->n++;
    return REIN_OK;
}

static rein_status take_row(reini_prompts *p, const reini_jsonl *file, json_t *row, int64_t line,
                            reini_lm_reader *reader, const reini_prompts_opts *opts,
                            reini_lm_encoded *encoded) {
    const json_t *prompt;
    rein_status status = encode(reader, row, encoded, &prompt);
    if (status == REIN_OK)
        status = fits(&encoded->ids, opts);
    if (status != REIN_OK)
        reini_fail_in(status, "%s:%lld: ", reini_jsonl_path(file), (long long)line);
    if (status == REIN_OK && opts->rewards)
        status = reini_rewards_check_row(opts->rewards, row, line);
    if (status == REIN_FORMAT && opts->skip_bad) {
        p->skipped++;
        return REIN_OK;
    }
    return status == REIN_OK ? add(p, reader, row, line, prompt, &encoded->ids) : status;
}

static rein_status digest(reini_prompts *p) {
    reini_sha256 *sha = reini_sha256_new();
    if (!sha)
        return reini_fail_memory(256, "a digest");
    reini_sha256_add(sha, p->token, (size_t)p->start[p->n] * sizeof *p->token);
    for (int64_t i = 0; i < p->n; i++) {
        char *text = json_dumps(p->row[i], JSON_COMPACT | JSON_SORT_KEYS);
        if (text)
            reini_sha256_add(sha, text, strlen(text) + 1);
        free(text);
    }
    reini_sha256_finish(sha, p->digest);
    return REIN_OK;
}

rein_status reini_prompts_read(reini_prompts *p, const char *path, reini_lm_reader *reader,
                               const reini_prompts_opts *opts) {
    reini_jsonl *file;
    reini_lm_encoded encoded = {0};
    json_t *row;
    int64_t line;
    *p = (reini_prompts){0};
    REINI_TRY(reini_jsonl_open(path, &file));
    rein_status status = reini_jsonl_next(file, &row, &line);
    while (status == REIN_OK && row) {
        status = take_row(p, file, row, line, reader, opts, &encoded);
        json_decref(row);
        if (status == REIN_OK)
            status = reini_jsonl_next(file, &row, &line);
    }
    reini_jsonl_close(file);
    reini_lm_encoded_release(&encoded);
    REINI_TRY(status);
    if (p->n == 0)
        return reini_fail(REIN_FORMAT, "%s: no prompts (%lld rows passed over)", path, (long long)p->skipped);
    if (p->skipped > 0)
        reini_log(REIN_LOG_WARNING, "%s: %lld rows passed over, %lld prompts kept", path,
                  (long long)p->skipped, (long long)p->n);
    return digest(p);
}

void reini_prompts_release(reini_prompts *p) {
    for (int64_t i = 0; i < p->n; i++) {
        json_decref(p->row[i]);
        reini_free(p->text[i]);
    }
    reini_free(p->row);
    reini_free(p->line);
    reini_free(p->text);
    reini_free(p->start);
    reini_free(p->token);
    *p = (reini_prompts){0};
}

rein_status reini_text_end(reini_bytes *text) {
    REINI_TRY(reini_reserve(&text->at, &text->capacity, text->n + 1, 1, "the text of answers"));
    text->at[text->n++] = 0;
    return REIN_OK;
}
