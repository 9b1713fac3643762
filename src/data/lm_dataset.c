/*
 * lm_dataset.c - JSON lines to tokens, a row at a time.
 */
#include <string.h>
#include <rein/rng.h>
#include "base/file.h"
#include "data/jsonl.h"
#include "data/lm_dataset.h"

typedef enum row_kind { ROW_UNKNOWN, ROW_TEXT, ROW_MESSAGES, ROW_PAIR } row_kind;

typedef struct reader {
    reini_lm_dataset *data;
    reini_lm_reader *reader;
    const reini_lm_dataset_opts *opts;
    reini_jsonl *file;
    int64_t line;
    row_kind kind;
    bool conversation;
    reini_lm_encoded tokens;
    int n_prompt;
} reader;

void reini_lm_dataset_release(reini_lm_dataset *data) {
    reini_free(data->start);
    reini_free(data->length);
    reini_free(data->line);
    reini_free(data->token);
    reini_free(data->scored);
    *data = (reini_lm_dataset){0};
}

/* ---- room ------------------------------------------------------------------------------------------------ */

static rein_status make_room(reini_lm_dataset *d, int64_t tokens) {
    size_t n = (size_t)d->n, used = n ? (size_t)d->start[n] : 0, wanted = used + (size_t)tokens;
    if (n + 2 > d->room) {
        size_t old = d->room, room = 2 * old + 64;
        REINI_TRY(reini_resize(&d->start, old, room, sizeof *d->start, "a data set"));
        REINI_TRY(reini_resize(&d->length, old, room, sizeof *d->length, "a data set"));
        REINI_TRY(reini_resize(&d->line, old, room, sizeof *d->line, "a data set"));
        d->room = room;
    }
    if (wanted > d->token_room) {
        size_t room = 2 * wanted + 4096;
        REINI_TRY(reini_resize(&d->token, used, room, sizeof *d->token, "the tokens of a data set"));
        REINI_TRY(reini_resize(&d->scored, used, room, 1, "the tokens of a data set"));
        d->token_room = room;
    }
    return REIN_OK;
}

static rein_status add(reini_lm_dataset *d, const int32_t *token, const uint8_t *scored, int n,
                       int64_t line) {
    REINI_TRY(make_room(d, n));
    int64_t at = d->start[d->n];
    memcpy(d->token + at, token, (size_t)n * sizeof *token);
    memcpy(d->scored + at, scored, (size_t)n);
    d->length[d->n] = n;
    d->line[d->n] = line;
    d->start[++d->n] = at + n;
    d->count.tokens += n;
    for (int i = 1; i < n; i++)
        d->count.scored += scored[i] != 0;
    return REIN_OK;
}

/* ---- a row ----------------------------------------------------------------------------------------------- */

static row_kind kind_of(const json_t *row) {
    if (json_object_get(row, "prompt") && json_object_get(row, "completion"))
        return ROW_PAIR;
    return json_object_get(row, "messages") ? ROW_MESSAGES
           : json_object_get(row, "text")   ? ROW_TEXT
                                            : ROW_UNKNOWN;
}

static const json_t *first_value(const json_t *row, row_kind kind) {
    return json_object_get(row, kind == ROW_PAIR ? "prompt" : kind == ROW_TEXT ? "text" : "messages");
}

/* the first row decides; a file of mixed kinds is more likely a mistake than a wish */
static rein_status settle_kind(reader *r, const json_t *row) {
    static const char *const names[] = {[ROW_UNKNOWN] = "neither",
                                        [ROW_TEXT] = "\"text\"",
                                        [ROW_MESSAGES] = "\"messages\"",
                                        [ROW_PAIR] = "\"prompt\" and \"completion\""};
    row_kind kind = kind_of(row);
    if (kind == ROW_UNKNOWN) {
        const char *key = json_object_iter_key(json_object_iter((json_t *)row));
        return reini_jsonl_fail(
            r->file, r->line,
            "a row needs \"text\", \"messages\", or \"prompt\" and \"completion\", this one "
            "has %s%.60s%s",
            key ? "\"" : "no keys", key ? key : "", key ? "\" first" : "");
    }
    const json_t *tools = json_object_get(row, "tools");
    if (tools && !json_is_null(tools))
        return reini_jsonl_fail(r->file, r->line,
                                "\"tools\" are not supported: render them into the messages");
    bool conversation = reini_is_conversation(first_value(row, kind));
    if (r->kind == ROW_UNKNOWN) {
        r->kind = kind;
        r->conversation = conversation;
    }
    if (r->kind != kind)
        return reini_jsonl_fail(r->file, r->line, "a row with %s, the rows before it have %s", names[kind],
                                names[r->kind]);
    if (r->conversation != conversation)
        return reini_jsonl_fail(r->file, r->line, "%s, unlike the rows before it",
                                conversation ? "a conversation" : "plain text");
    return REIN_OK;
}

static rein_status check_values(const reader *r, const json_t *row) {
    static const char *const keys[][3] = {[ROW_TEXT] = {"text", NULL},
                                          [ROW_MESSAGES] = {"messages", NULL},
                                          [ROW_PAIR] = {"prompt", "completion", NULL}};
    for (int i = 0; keys[r->kind][i]; i++) {
        const json_t *value = json_object_get(row, keys[r->kind][i]);
        rein_status status = reini_conversation_check(value, keys[r->kind][i]);
        if (status != REIN_OK)
            return reini_fail_in(status, "%s:%lld: ", reini_jsonl_path(r->file), (long long)r->line);
        if (reini_is_conversation(value) != r->conversation)
            return reini_jsonl_fail(r->file, r->line,
                                    "prompt and completion must both be text or both be "
                                    "conversations");
    }
    return REIN_OK;
}

static bool is_empty(const reader *r, const json_t *row) {
    const json_t *value =
        r->kind == ROW_PAIR ? json_object_get(row, "completion") : first_value(row, r->kind);
    return json_is_array(value) ? json_array_size(value) == 0 : json_string_length(value) == 0;
}

static rein_status encode(reader *r, const json_t *row) {
    rein_status status;
    bool apart = false;
    r->n_prompt = 0;
    if (r->kind == ROW_PAIR)
        status = reini_lm_encode_pair(r->reader, json_object_get(row, "prompt"),
                                      json_object_get(row, "completion"), &r->tokens, &r->n_prompt, &apart);
    else if (r->kind == ROW_TEXT)
        status = reini_lm_encode_text(r->reader, json_string_value(json_object_get(row, "text")), true,
                                      &r->tokens);
    else
        status = reini_lm_encode_messages(r->reader, json_object_get(row, "messages"), false, &r->tokens);
    r->data->count.apart += apart;
    return status == REIN_OK
               ? REIN_OK
               : reini_fail_in(status, "%s:%lld: ", reini_jsonl_path(r->file), (long long)r->line);
}

/* marks over what the assistant wrote; returns how many there are within max_length */
static int score(reader *r, int n) {
    uint8_t *scored = r->tokens.assistant;
    bool only = r->kind == ROW_PAIR && r->opts->completion != REINI_COMPLETION_ALL;
    int count = 0;
    for (int i = 0; i < n; i++) {
        scored[i] = (!r->opts->assistant_only || scored[i]) && (!only || i >= r->n_prompt);
        count += i > 0 && scored[i];
    }
    return count;
}

static rein_status read_row(reader *r, const json_t *row) {
    reini_lm_counts *count = &r->data->count;
    count->rows++;
    REINI_TRY(settle_kind(r, row));
    REINI_TRY(check_values(r, row));
    if (is_empty(r, row)) {
        if (!r->opts->skip_bad)
            return reini_jsonl_fail(r->file, r->line,
                                    "the row is empty: take it out, or pass over such rows with "
                                    "--skip_bad_rows");
        count->empty++;
        return REIN_OK;
    }
    REINI_TRY(encode(r, row));
    size_t length = r->tokens.ids.n, most = (size_t)r->opts->max_length;
    int n = (int)(length < most ? length : most);
    count->truncated += length > most;
    if (score(r, n) == 0) {
        count->unscored++;
        return REIN_OK;
    }
    return add(r->data, r->tokens.ids.at, r->tokens.assistant, n, r->line);
}

/* ---- a file ---------------------------------------------------------------------------------------------- */

static rein_status check_assistant(const reader *r) {
    if (!r->opts->assistant_only || r->conversation)
        return REIN_OK;
    return reini_jsonl_fail(r->file, r->line, "assistant_only_loss needs conversations, found plain text");
}

static rein_status check_any(const reader *r) {
    const reini_lm_counts *c = &r->data->count;
    if (r->data->n > 0)
        return REIN_OK;
    return reini_fail(REIN_FORMAT,
                      "%s: nothing to train on: %lld rows, %lld of them empty, %lld with nothing to score in "
                      "their first %d tokens",
                      reini_jsonl_path(r->file), (long long)c->rows, (long long)c->empty,
                      (long long)c->unscored, r->opts->max_length);
}

static rein_status read_rows(reader *r) {
    for (;;) {
        json_t *row;
        REINI_TRY(reini_jsonl_next(r->file, &row, &r->line));
        if (!row)
            return check_any(r);
        rein_status status = read_row(r, row);
        if (status == REIN_OK && r->data->count.rows == 1)
            status = check_assistant(r);
        json_decref(row);
        REINI_TRY(status);
    }
}

rein_status reini_lm_dataset_read(reini_lm_dataset *data, const char *path, reini_lm_reader *text,
                                  const reini_lm_dataset_opts *opts) {
    reader r = {.data = data, .reader = text, .opts = opts};
    *data = (reini_lm_dataset){0};
    REINI_TRY(make_room(data, 1));
    REINI_TRY(reini_jsonl_open(path, &r.file));
    rein_status status = read_rows(&r);
    reini_jsonl_close(r.file);
    reini_lm_encoded_release(&r.tokens);
    return status;
}

void reini_lm_dataset_log(const reini_lm_dataset *d, const char *path, int max_length) {
    const reini_lm_counts *c = &d->count;
    reini_log(REIN_LOG_INFO, "%s: %lld rows, %lld tokens, %lld of them scored", path, (long long)d->n,
              (long long)c->tokens, (long long)c->scored);
    if (c->truncated > 0)
        reini_log(REIN_LOG_WARNING, "%s: %lld of %lld rows were longer than %d tokens and lost their end",
                  path, (long long)c->truncated, (long long)c->rows, max_length);
    if (c->unscored > 0)
        reini_log(REIN_LOG_WARNING,
                  "%s: %lld of %lld rows were dropped, nothing in their first %d tokens is scored", path,
                  (long long)c->unscored, (long long)c->rows, max_length);
    if (c->empty > 0)
        reini_log(REIN_LOG_WARNING, "%s: %lld of %lld rows were empty and passed over", path,
                  (long long)c->empty, (long long)c->rows);
    if (c->apart > 0)
        reini_log(
            REIN_LOG_WARNING,
            "%s: in %lld of %lld rows the prompt's last tokens join with the completion's first, or the "
            "template renders the prompt in another way: scoring begins where they part",
            path, (long long)c->apart, (long long)c->rows);
}

/* ---- splitting ------------------------------------------------------------------------------------------- */

/* document i of `from` at the end of `to` */
static rein_status give(reini_lm_dataset *to, const reini_lm_dataset *from, int64_t i) {
    int64_t at = from->start[i];
    return add(to, from->token + at, from->scored + at, from->length[i], from->line[i]);
}

/* selection sampling: document i goes with probability (still to go) / (still to decide), so that exactly k go */
static rein_status share_out(const reini_lm_dataset *from, int64_t k, uint64_t seed, reini_lm_dataset *train,
                             reini_lm_dataset *eval) {
    rein_rng rng = rein_rng_make(seed, 0);
    for (int64_t i = 0; i < from->n; i++) {
        bool goes = (int64_t)rein_rng_below(&rng, (uint32_t)(from->n - i)) < k - eval->n;
        REINI_TRY(give(goes ? eval : train, from, i));
    }
    return REIN_OK;
}

rein_status reini_lm_dataset_split(reini_lm_dataset *data, double share, uint64_t seed,
                                   reini_lm_dataset *eval) {
    reini_lm_dataset train = {.count = data->count};
    *eval = (reini_lm_dataset){0};
    if (data->n < 2 || data->n > UINT32_MAX)
        return reini_fail(REIN_USAGE, "validation_split: %lld row%s cannot be split", (long long)data->n,
                          data->n == 1 ? "" : "s");
    int64_t k = (int64_t)((double)data->n * share + 0.5);
    k = k < 1 ? 1 : k > data->n - 1 ? data->n - 1 : k;
    train.count.tokens = train.count.scored = 0;
    rein_status status = make_room(&train, 1);
    if (status == REIN_OK)
        status = make_room(eval, 1);
    if (status == REIN_OK)
        status = share_out(data, k, seed, &train, eval);
    if (status != REIN_OK) {
        reini_lm_dataset_release(&train);
        return status;
    }
    eval->count.rows = eval->n;
    reini_lm_dataset_release(data);
    *data = train;
    return REIN_OK;
}

rein_status reini_lm_dataset_digest(const reini_lm_dataset *d, uint8_t digest[32]) {
    reini_sha256 *sha = reini_sha256_new();
    if (!sha)
        return reini_fail_memory(256, "a digest");
    reini_sha256_add(sha, d->start, (size_t)(d->n + 1) * sizeof *d->start);
    reini_sha256_add(sha, d->token, (size_t)d->start[d->n] * sizeof *d->token);
    reini_sha256_add(sha, d->scored, (size_t)d->start[d->n]);
    reini_sha256_finish(sha, digest);
    return REIN_OK;
}
