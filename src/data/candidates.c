/*
 * candidates.c - rows of answers to groups.
 */
#include "data/candidates.h"
#include <string.h>
#include "data/jsonl.h"
#include "data/lm_encode.h"

enum { NAMED = 20 }; /* answers left out that are logged one by one */

void reini_candidates_release(reini_candidates *c) {
    for (int64_t i = 0; i < c->n_answers; i++)
        json_decref(c->answer[i].row);
    for (int64_t i = 0; i < c->n; i++)
        json_decref(c->group[i].prompt);
    reini_free(c->path);
    reini_free(c->answer);
    reini_free(c->group);
    *c = (reini_candidates){0};
}

static rein_status make_room(reini_candidates *c) {
    size_t groups = (size_t)c->n + 1, answers = (size_t)c->n_answers + 1;
    REINI_TRY(reini_reserve(&c->group, &c->room, groups, sizeof *c->group, "groups of answers"));
    return reini_reserve(&c->answer, &c->answer_room, answers, sizeof *c->answer, "answers");
}

/* ---- answers --------------------------------------------------------------------------------------------- */

static bool is_empty(const json_t *answer) {
    size_t i;
    const json_t *message;
    if (json_is_string(answer))
        return json_string_length(answer) == 0;
    for (i = 0; (message = json_array_get(answer, i)); i++)
        if (json_string_length(json_object_get(message, "content")) > 0)
            return false;
    return true;
}

static void leave_out(reini_candidates *c, int64_t line, int64_t *count, const char *why) {
    if (c->empty + c->same < NAMED)
        reini_log(REIN_LOG_WARNING, "%s:%lld: %s; left out", c->path, (long long)line, why);
    ++*count;
}

/* to the last group */
static rein_status add_answer(reini_candidates *c, json_t *row, const json_t *answer, int64_t line) {
    reini_candidate_group *g = &c->group[c->n - 1];
    if (is_empty(answer)) {
        leave_out(c, line, &c->empty, "an answer is empty");
        return REIN_OK;
    }
    for (int i = 0; i < g->n; i++)
        if (json_equal(c->answer[g->first + i].answer, answer)) {
            leave_out(c, line, &c->same, "an answer is the same as one before it");
            return REIN_OK;
        }
    REINI_TRY(make_room(c));
    c->answer[c->n_answers++] = (reini_candidate){json_incref(row), answer, line};
    c->group[c->n - 1].n++;
    return REIN_OK;
}

static rein_status begin_group(reini_candidates *c, json_t *prompt, int64_t line) {
    REINI_TRY(make_room(c));
    c->group[c->n++] =
        (reini_candidate_group){.prompt = json_incref(prompt), .first = c->n_answers, .line = line};
    return REIN_OK;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* what a value is wrong in, and whether it is of the file's kind */
static rein_status check(const reini_jsonl *file, int64_t line, const json_t *value, const char *key,
                         bool conversation) {
    rein_status status = reini_conversation_check(value, key);
    if (status != REIN_OK)
        return reini_fail_in(status, "%s:%lld: ", reini_jsonl_path(file), (long long)line);
    if (reini_is_conversation(value) != conversation)
        return reini_jsonl_fail(file, line,
                                "\"%s\" is %s, unlike what is before it: prompts and answers of a file must "
                                "all be text or all be conversations",
                                key, conversation ? "text" : "a conversation");
    return REIN_OK;
}

static rein_status add_list(reini_candidates *c, const reini_jsonl *file, json_t *row, json_t *prompt,
                            bool conversation, int64_t line) {
    const json_t *list = json_object_get(row, "responses"), *answer;
    size_t i;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return reini_jsonl_fail(file, line, "\"responses\": expected a list of answers");
    REINI_TRY(begin_group(c, prompt, line));
    json_array_foreach(list, i, answer) {
        REINI_TRY(check(file, line, answer, "responses", conversation));
        REINI_TRY(add_answer(c, row, answer, line));
    }
    c->listed = true;
    return REIN_OK;
}

static rein_status add_completion(reini_candidates *c, const reini_jsonl *file, json_t *row, json_t *prompt,
                                  bool conversation, int64_t line) {
    const json_t *answer = json_object_get(row, "completion"), *number = json_object_get(row, "sample");
    int64_t sample = json_is_integer(number) ? json_integer_value(number) : -1;
    REINI_TRY(check(file, line, answer, "completion", conversation));
    /* samples are counted from 0 for every prompt: a number that does not grow begins the same prompt again */
    bool goes_on = c->n > 0 && !c->listed && json_equal(c->group[c->n - 1].prompt, prompt) &&
                   (sample < 0 || sample > c->sample);
    if (!goes_on)
        REINI_TRY(begin_group(c, prompt, line));
    c->sample = sample;
    c->listed = false;
    return add_answer(c, row, answer, line);
}

static rein_status add_row(reini_candidates *c, const reini_jsonl *file, json_t *row, int64_t line) {
    const char *key = json_object_get(row, "prompt") ? "prompt" : "query";
    json_t *prompt = json_object_get(row, key);
    bool list = json_object_get(row, "responses") != NULL;
    if (!prompt || (!list && !json_object_get(row, "completion")))
        return reini_jsonl_fail(
            file, line,
            "no \"%s\": a row needs \"prompt\" and \"completion\", as `rein generate --n 4 --out FILE` "
            "writes them, or \"prompt\" and \"responses\"",
            prompt ? "completion" : "prompt");
    bool conversation = c->n > 0 ? reini_is_conversation(c->group[0].prompt) : reini_is_conversation(prompt);
    REINI_TRY(check(file, line, prompt, key, conversation));
    return list ? add_list(c, file, row, prompt, conversation, line)
                : add_completion(c, file, row, prompt, conversation, line);
}

static rein_status read_rows(reini_candidates *c, reini_jsonl *file) {
    for (;;) {
        json_t *row;
        int64_t line;
        REINI_TRY(reini_jsonl_next(file, &row, &line));
        if (!row)
            return REIN_OK;
        rein_status status = add_row(c, file, row, line);
        json_decref(row);
        REINI_TRY(status);
    }
}

rein_status reini_candidates_read(reini_candidates *c, const char *path) {
    reini_jsonl *file;
    *c = (reini_candidates){.path = reini_strdup(path)};
    if (!c->path)
        return reini_fail_memory(strlen(path), "candidates");
    REINI_TRY(reini_jsonl_open(path, &file));
    rein_status status = read_rows(c, file);
    reini_jsonl_close(file);
    if (status == REIN_OK && c->empty + c->same > NAMED)
        reini_log(REIN_LOG_WARNING, "%s: %lld empty answers and %lld that were there already are left out",
                  path, (long long)c->empty, (long long)c->same);
    return status;
}
