/*
 * preference_read.c - JSON lines to groups of answers, a row at a time.
 */
#include <math.h>
#include <string.h>
#include "data/jsonl.h"
#include "data/preference.h"

enum { NAMED_ROWS = 20 }; /* bad rows that are logged one by one */

typedef struct reader {
    reini_preference *data;
    reini_lm_reader *text;
    const reini_preference_opts *opts;
    reini_jsonl *file;
    int64_t line;
    int kind; /* of the first row, 0 = none yet */
    bool conversation;
    /* the group that is being made */
    reini_lm_encoded encoded;
    int n;
    size_t room, token_room;
    int64_t tokens;
    int32_t *length, *prompt, *token;
    double *score;
} reader;

/* ---- prompts that are not said --------------------------------------------------------------------------- */

/* bytes of the longest common beginning that ends between characters */
static size_t common_text(const char *a, const char *b) {
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        n++;
    while (n > 0 && (((unsigned char)a[n] & 0xc0) == 0x80 || ((unsigned char)b[n] & 0xc0) == 0x80))
        n--;
    return n;
}

static size_t common_messages(const json_t *a, const json_t *b) {
    size_t n = 0, most = json_array_size(a) < json_array_size(b) ? json_array_size(a) : json_array_size(b);
    while (n < most && json_equal(json_array_get(a, n), json_array_get(b, n)))
        n++;
    return n;
}

static size_t shared(const json_t *chosen, const json_t *rejected) {
    if (json_is_array(chosen)) {
        size_t n = common_messages(chosen, rejected);
        return n > 0 && (n == json_array_size(chosen) || n == json_array_size(rejected)) ? n - 1 : n;
    }
    const char *a = json_string_value(chosen), *b = json_string_value(rejected);
    size_t n = common_text(a, b);
    if (n > 0 && (!a[n] || !b[n])) {
        for (n--; n > 0 && ((unsigned char)a[n] & 0xc0) == 0x80;)
            n--;
        return n;
    }
    return n > 0 && a[n - 1] == ' ' ? n - 1 : n;
}

static json_t *piece(const json_t *value, size_t from, size_t to) {
    if (json_is_string(value))
        return json_stringn(json_string_value(value) + from, to - from);
    json_t *list = json_array();
    for (size_t i = from; list && i < to; i++)
        json_array_append(list, json_array_get(value, i));
    return list;
}

static size_t extent(const json_t *value) {
    return json_is_string(value) ? json_string_length(value) : json_array_size(value);
}

rein_status reini_preference_implicit(const json_t *chosen, const json_t *rejected, json_t *out[3]) {
    size_t n = shared(chosen, rejected);
    out[0] = piece(chosen, 0, n);
    out[1] = piece(chosen, n, extent(chosen));
    out[2] = piece(rejected, n, extent(rejected));
    if (out[0] && out[1] && out[2])
        return REIN_OK;
    for (int i = 0; i < 3; i++)
        json_decref(out[i]);
    return reini_fail_memory(extent(chosen) + extent(rejected), "a prompt");
}

/* ---- a group --------------------------------------------------------------------------------------------- */

static rein_status make_room(reader *r, int64_t tokens) {
    size_t n = (size_t)r->n, wanted = (size_t)(r->tokens + tokens), room = 2 * n + 8;
    const char *what = "a row of answers";
    if (n == r->room) {
        REINI_TRY(reini_resize(&r->length, n, room, sizeof *r->length, what));
        REINI_TRY(reini_resize(&r->prompt, n, room, sizeof *r->prompt, what));
        REINI_TRY(reini_resize(&r->score, n, room, sizeof *r->score, what));
        r->room = room;
    }
    return reini_reserve(&r->token, &r->token_room, wanted, sizeof *r->token, what);
}

static rein_status in_row(const reader *r, rein_status status) {
    return status == REIN_OK
               ? REIN_OK
               : reini_fail_in(status, "%s:%lld: ", reini_jsonl_path(r->file), (long long)r->line);
}

/* prompt NULL: the answer is the whole text */
static rein_status encode(reader *r, const json_t *prompt, const json_t *answer, int *n_prompt, bool *apart) {
    *n_prompt = 0;
    if (prompt)
        return reini_lm_encode_pair(r->text, prompt, answer, &r->encoded, n_prompt, apart);
    return json_is_string(answer)
               ? reini_lm_encode_text(r->text, json_string_value(answer), true, &r->encoded)
               : reini_lm_encode_messages(r->text, answer, false, &r->encoded);
}

static rein_status add_answer(reader *r, const json_t *prompt, const json_t *answer, double score,
                              bool *is_apart) {
    int n_prompt;
    bool apart = false;
    REINI_TRY(in_row(r, encode(r, prompt, answer, &n_prompt, &apart)));
    int64_t n = (int64_t)r->encoded.ids.n;
    if (n > INT32_MAX)
        return reini_jsonl_fail(r->file, r->line, "an answer of %lld tokens is too long", (long long)n);
    REINI_TRY(make_room(r, n));
    if (n > 0)
        memcpy(r->token + r->tokens, r->encoded.ids.at, (size_t)n * sizeof *r->token);
    r->length[r->n] = (int32_t)n;
    r->prompt[r->n] = n_prompt;
    r->score[r->n++] = score;
    r->tokens += n;
    *is_apart = *is_apart || apart;
    return REIN_OK;
}

static void begin(reader *r) {
    r->n = 0;
    r->tokens = 0;
}

/* ends of answers beyond max_length go; true: an answer was longer */
static bool cut(reader *r) {
    int64_t from = 0, to = 0;
    int most = r->opts->max_length, n_cut = 0;
    for (int i = 0; i < r->n; i++) {
        int keep = r->length[i] < most ? r->length[i] : most;
        memmove(r->token + to, r->token + from, (size_t)keep * sizeof *r->token);
        from += r->length[i];
        to += keep;
        n_cut += keep < r->length[i];
        r->length[i] = keep;
    }
    r->tokens = to;
    if (!r->opts->drop_long)
        r->data->count.truncated += n_cut;
    return n_cut > 0;
}

static void share_prompt(reader *r) {
    int least = r->prompt[0];
    for (int i = 1; i < r->n; i++)
        least = r->prompt[i] < least ? r->prompt[i] : least;
    for (int i = 0; i < r->n; i++)
        r->prompt[i] = least;
}

/* the answers that were added become a group, or are dropped */
static rein_status finish(reader *r, double margin, bool apart) {
    int most = r->opts->max_length;
    share_prompt(r);
    if (r->prompt[0] >= most && !r->opts->drop_long)
        return reini_jsonl_fail(
            r->file, r->line,
            "the prompt has %d tokens, which with max_length %d leaves no room for an answer", r->prompt[0],
            most);
    for (int i = 0; i < r->n; i++)
        if (r->length[i] - (r->prompt[i] > 0 ? r->prompt[i] : r->opts->whole_text ? 0 : 1) < 1)
            return reini_jsonl_fail(r->file, r->line, "answer %d has no token to score", i + 1);
    r->data->count.apart += apart;
    if (cut(r) && r->opts->drop_long) {
        if (r->data->count.dropped++ < NAMED_ROWS)
            reini_log(REIN_LOG_WARNING, "%s:%lld: dropped, an answer is longer than %d tokens",
                      reini_jsonl_path(r->file), (long long)r->line, most);
        return REIN_OK;
    }
    reini_answers answers = {r->n, r->length, r->prompt, r->token, r->score, margin, r->line};
    return reini_preference_add(r->data, &answers);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static rein_status check_answer(const reader *r, const json_t *value, const char *key) {
    REINI_TRY(in_row(r, reini_conversation_check(value, key)));
    if (reini_is_conversation(value) != r->conversation)
        return reini_jsonl_fail(r->file, r->line, "\"%s\": %s, unlike the rest", key,
                                r->conversation ? "plain text" : "a conversation");
    if (extent(value) == 0)
        return reini_jsonl_fail(r->file, r->line, "\"%s\" is empty", key);
    return REIN_OK;
}

static rein_status check_prompt(const reader *r, const json_t *prompt, const char *key) {
    REINI_TRY(in_row(r, reini_conversation_check(prompt, key)));
    if (reini_is_conversation(prompt) != r->conversation)
        return reini_jsonl_fail(r->file, r->line,
                                "prompt and answers must all be text or all be conversations");
    return REIN_OK;
}

static rein_status number_of(const reader *r, const json_t *value, const char *what, double *out) {
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return reini_jsonl_fail(r->file, r->line, "%s: expected a finite number, found %s", what,
                                json_is_null(value)     ? "null"
                                : json_is_string(value) ? "text"
                                : json_is_number(value) ? "one that is not finite"
                                                        : "something else");
    *out = json_number_value(value);
    return REIN_OK;
}

static rein_status add_pair(reader *r, const json_t *prompt, const json_t *chosen, const json_t *rejected,
                            double margin) {
    bool apart = false;
    begin(r);
    REINI_TRY(add_answer(r, prompt, chosen, 1, &apart));
    if (r->opts->kinds & REINI_PREFER_UNPAIRED) {
        REINI_TRY(finish(r, 0, apart));
        begin(r);
        apart = false;
    }
    REINI_TRY(add_answer(r, prompt, rejected, 0, &apart));
    return finish(r, margin, apart);
}

static rein_status read_pair(reader *r, const json_t *row) {
    const json_t *prompt = json_object_get(row, "prompt"), *margin = json_object_get(row, "margin");
    const json_t *chosen = json_object_get(row, "chosen"), *rejected = json_object_get(row, "rejected");
    json_t *part[3];
    double by = 0;
    REINI_TRY(check_answer(r, chosen, "chosen"));
    REINI_TRY(check_answer(r, rejected, "rejected"));
    if (json_equal(chosen, rejected))
        return reini_jsonl_fail(r->file, r->line, "\"chosen\" and \"rejected\" are the same");
    if (prompt)
        REINI_TRY(check_prompt(r, prompt, "prompt"));
    if (margin)
        REINI_TRY(number_of(r, margin, "\"margin\"", &by));
    if (prompt || r->opts->whole_text)
        return add_pair(r, prompt, chosen, rejected, by);
    REINI_TRY(reini_preference_implicit(chosen, rejected, part));
    rein_status status = add_pair(r, part[0], part[1], part[2], by);
    for (int i = 0; i < 3; i++)
        json_decref(part[i]);
    return status;
}

static rein_status check_list(const reader *r, const json_t *responses, const json_t *scores,
                              const char *key) {
    if (!json_is_array(responses) || json_array_size(responses) < 2)
        return reini_jsonl_fail(r->file, r->line, "\"responses\": expected a list of two or more answers");
    if (!json_is_array(scores) || json_array_size(scores) != json_array_size(responses))
        return reini_jsonl_fail(r->file, r->line, "\"%s\": expected a list of %zu numbers, one an answer",
                                key, json_array_size(responses));
    for (size_t i = 0; i < json_array_size(responses); i++)
        for (size_t j = 0; j < i; j++)
            if (json_equal(json_array_get(responses, i), json_array_get(responses, j)))
                return reini_jsonl_fail(r->file, r->line, "answers %zu and %zu are the same", j + 1, i + 1);
    return REIN_OK;
}

static rein_status read_candidates(reader *r, const json_t *row) {
    const char *asks = json_object_get(row, "query") ? "query" : "prompt";
    const char *key = json_object_get(row, "scores") ? "scores" : "ranks";
    const json_t *prompt = json_object_get(row, asks), *responses = json_object_get(row, "responses");
    const json_t *scores = json_object_get(row, key);
    double score = 0, sign = *key == 's' ? 1 : -1, low = INFINITY, high = -INFINITY;
    bool apart = false;
    REINI_TRY(check_list(r, responses, scores, key));
    REINI_TRY(check_prompt(r, prompt, asks));
    begin(r);
    for (size_t i = 0; i < json_array_size(responses); i++) {
        REINI_TRY(check_answer(r, json_array_get(responses, i), "responses"));
        REINI_TRY(number_of(r, json_array_get(scores, i), key, &score));
        low = fmin(low, score);
        high = fmax(high, score);
        REINI_TRY(add_answer(r, prompt, json_array_get(responses, i), sign * score, &apart));
    }
    if (low == high)
        return reini_jsonl_fail(r->file, r->line, "all answers have the same \"%s\", which prefers none",
                                key);
    return finish(r, 0, apart);
}

static rein_status read_unpaired(reader *r, const json_t *row) {
    const json_t *prompt = json_object_get(row, "prompt"), *completion = json_object_get(row, "completion");
    const json_t *label = json_object_get(row, "label");
    bool apart = false;
    REINI_TRY(check_prompt(r, prompt, "prompt"));
    REINI_TRY(check_answer(r, completion, "completion"));
    if (!json_is_boolean(label) && !json_is_integer(label))
        return reini_jsonl_fail(r->file, r->line, "\"label\": expected true or false");
    begin(r);
    REINI_TRY(
        add_answer(r, prompt, completion, json_is_true(label) || json_integer_value(label) != 0, &apart));
    return finish(r, 0, apart);
}

/* ---- kinds ----------------------------------------------------------------------------------------------- */

static int kind_of(const json_t *row) {
    if (json_object_get(row, "chosen") && json_object_get(row, "rejected"))
        return REINI_PREFER_PAIRS;
    if (json_object_get(row, "responses") &&
        (json_object_get(row, "query") || json_object_get(row, "prompt")))
        return REINI_PREFER_CANDIDATES;
    return json_object_get(row, "completion") && json_object_get(row, "prompt") &&
                   json_object_get(row, "label")
               ? REINI_PREFER_UNPAIRED
               : 0;
}

static const json_t *sample_of(const json_t *row, int kind) {
    if (kind == REINI_PREFER_CANDIDATES)
        return json_array_get(json_object_get(row, "responses"), 0);
    return json_object_get(row, kind == REINI_PREFER_PAIRS ? "chosen" : "completion");
}

static const char *wanted(int kinds) {
    if (kinds & REINI_PREFER_UNPAIRED)
        return "\"prompt\", \"completion\" and \"label\", or \"chosen\" and \"rejected\"";
    if (!(kinds & REINI_PREFER_PAIRS))
        return "\"query\" (or \"prompt\"), \"responses\" and \"scores\"";
    return kinds & REINI_PREFER_CANDIDATES
               ? "\"chosen\" and \"rejected\", or \"prompt\", \"responses\" and \"scores\" or \"ranks\""
               : "\"chosen\" and \"rejected\", with or without \"prompt\"";
}

/* the first row decides; a file of mixed kinds is more likely a mistake than a wish */
static rein_status settle_kind(reader *r, const json_t *row) {
    int kind = kind_of(row), takes = r->opts->kinds;
    if (takes & REINI_PREFER_UNPAIRED)
        takes |= REINI_PREFER_PAIRS;
    if (!(kind & takes)) {
        const char *key = json_object_iter_key(json_object_iter((json_t *)row));
        return reini_jsonl_fail(r->file, r->line, "a row needs %s, this one has %s%.60s%s", wanted(takes),
                                key ? "\"" : "no keys", key ? key : "", key ? "\" first" : "");
    }
    bool conversation = reini_is_conversation(sample_of(row, kind));
    if (r->kind == 0) {
        r->kind = kind;
        r->conversation = conversation;
    }
    if (r->kind != kind)
        return reini_jsonl_fail(r->file, r->line, "a row of another kind than the rows before it");
    if (r->conversation != conversation)
        return reini_jsonl_fail(r->file, r->line, "%s, unlike the rows before it",
                                conversation ? "a conversation" : "plain text");
    return REIN_OK;
}

/* ---- a file ---------------------------------------------------------------------------------------------- */

static rein_status read_row(reader *r, const json_t *row) {
    r->data->count.rows++;
    REINI_TRY(settle_kind(r, row));
    rein_status status = r->kind == REINI_PREFER_PAIRS        ? read_pair(r, row)
                         : r->kind == REINI_PREFER_CANDIDATES ? read_candidates(r, row)
                                                              : read_unpaired(r, row);
    if (status != REIN_FORMAT)
        return status;
    if (!r->opts->skip_bad)
        return reini_fail(REIN_FORMAT, "%s; take the row out, or pass over such rows with --skip_bad_rows",
                          rein_error());
    if (r->data->count.bad++ < NAMED_ROWS)
        reini_log(REIN_LOG_WARNING, "%s; passed over", rein_error());
    return REIN_OK;
}

static rein_status check_any(const reader *r) {
    const reini_preference_counts *c = &r->data->count;
    if (r->data->n > 0)
        return REIN_OK;
    return reini_fail(
        REIN_FORMAT,
        "%s: nothing to train on: %lld rows, %lld of them bad, %lld with an answer longer than %d "
        "tokens",
        reini_jsonl_path(r->file), (long long)c->rows, (long long)c->bad, (long long)c->dropped,
        r->opts->max_length);
}

static rein_status read_rows(reader *r) {
    for (;;) {
        json_t *row;
        REINI_TRY(reini_jsonl_next(r->file, &row, &r->line));
        if (!row)
            return check_any(r);
        rein_status status = read_row(r, row);
        json_decref(row);
        REINI_TRY(status);
    }
}

rein_status reini_preference_read(reini_preference *data, const char *path, reini_lm_reader *text,
                                  const reini_preference_opts *opts) {
    reader r = {.data = data, .text = text, .opts = opts};
    *data = (reini_preference){0};
    REINI_TRY(reini_jsonl_open(path, &r.file));
    rein_status status = read_rows(&r);
    reini_jsonl_close(r.file);
    reini_lm_encoded_release(&r.encoded);
    reini_free(r.length);
    reini_free(r.prompt);
    reini_free(r.token);
    reini_free(r.score);
    return status;
}
