/*
 * label_row.c - decisions as words and as rows: what a person types, what training reads.
 *
 *     pairs      {"prompt", "chosen", "rejected", ...}
 *     ranking    {"prompt", "responses", "ranks", ...}       answers in the order of the candidates; with scores of a
 *                                                            reward "scores" in place of "ranks"
 *     unpaired   {"prompt", "completion", "label", ...}
 *     tie, skip  {"prompt", "responses", ...}                in the other file
 *
 * ... are the columns that the candidates of the prompt share, and "decision": its number, the question's key, the form,
 * the line of the first candidate, the answers in the order shown (counted from 0 among the different ones of the
 * prompt), the choice, and who made it.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "run/labelling.h"

const char *const reini_label_forms[3] = {"pairs", "ranking", "unpaired"};
const char *const reini_label_kinds[3] = {"preference", "tie", "skip"};

/* ---- columns --------------------------------------------------------------------------------------------- */

static bool has_meaning(const char *key) {
    static const char *const names[] = {"prompt",   "query",  "messages", "completion", "responses",
                                        "ranks",    "scores", "chosen",   "rejected",   "margin",
                                        "label",    "sample", "finish",   "tokens",     "logprob",
                                        "decision", "id",     "line",     "form"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(key, names[i]) == 0)
            return true;
    return false;
}

void reini_label_shared_columns(const rein_label *l, const reini_label_question *q, json_t *row) {
    const reini_candidate_group *g = &l->candidates.group[q->group];
    const reini_candidate *first = &l->candidates.answer[g->first];
    const char *key;
    json_t *value;
    json_object_foreach(first->row, key, value) {
        bool same = !has_meaning(key);
        for (int i = 1; same && i < g->n; i++)
            same = json_equal(value, json_object_get(first[i].row, key));
        if (same)
            json_object_set(row, key, value);
    }
}

/* ---- words ----------------------------------------------------------------------------------------------- */

char *reini_label_choice_text(const rein_label *l, const reini_label_question *q,
                              const reini_label_choice *c) {
    size_t size = (size_t)q->n * 16 + 16, n = 0;
    char *text = reini_new(size);
    if (!text || c->kind == REINI_LABEL_SKIP || l->form == REINI_LABEL_UNPAIRED) {
        if (text)
            snprintf(text, size, "%s",
                     c->kind == REINI_LABEL_SKIP ? "skip"
                     : c->rank[0] == 1           ? "good"
                                                 : "bad");
        return text;
    }
    int most = 1;
    for (int i = 0; i < q->n; i++)
        most = c->rank[i] > most ? c->rank[i] : most;
    for (int rank = 1, last = 0; rank <= most; rank++)
        for (int i = 0; i < q->n; i++)
            if (c->rank[i] == rank) {
                const char *joint = last == 0 ? "" : last == rank ? " = " : " > ";
                n += (size_t)snprintf(text + n, size - n, "%s%d", joint, i + 1);
                last = rank;
            }
    return text;
}

static rein_status not_understood(const rein_label *l, const reini_label_question *q, const char *text) {
    if (l->form == REINI_LABEL_UNPAIRED)
        return reini_fail(REIN_USAGE,
                          "\"%.60s\" is not understood: expected y where the answer is good, n where it is "
                          "bad, s to skip it",
                          text);
    if (q->n == 2)
        return reini_fail(REIN_USAGE,
                          "\"%.60s\" is not understood: expected 1 or 2, the better answer, = for a tie, s "
                          "to skip the pair",
                          text);
    return reini_fail(REIN_USAGE,
                      "\"%.60s\" is not understood: expected numbers from 1 to %d, best first, as in 2 > 1 = "
                      "3, = for a tie of all, s to skip them",
                      text, q->n);
}

/* "2 > 1 = 3": what is joined by = has the same rank, what is not named the last */
static rein_status parse_order(const rein_label *l, const reini_label_question *q, const char *text,
                               reini_label_choice *c) {
    int rank = 0, named = 0, tied = 0;
    bool joined = false;
    memset(c->rank, 0, (size_t)q->n * sizeof *c->rank);
    for (const char *at = text; *at;) {
        char *end;
        if (!isdigit((unsigned char)*at))
            return not_understood(l, q, text);
        long number = strtol(at, &end, 10);
        if (number < 1 || number > q->n)
            return reini_fail(REIN_USAGE, "there is no answer %.*s, expected numbers from 1 to %d",
                              (int)(end - at > 20 ? 20 : end - at), at, q->n);
        if (c->rank[number - 1] > 0)
            return reini_fail(REIN_USAGE, "answer %ld is named twice", number);
        tied = joined ? tied + 1 : 1;
        rank = joined ? rank : rank + 1;
        c->rank[number - 1] = rank;
        named++;
        at = end + strspn(end, " \t");
        joined = *at == '=';
        bool sign = *at == '>' || *at == '=' || *at == ',';
        at += sign;
        at += strspn(at, " \t");
        if (sign && !*at)
            return not_understood(l, q, text);
    }
    for (int i = 0; i < q->n; i++)
        c->rank[i] = c->rank[i] > 0 ? c->rank[i] : rank + 1;
    c->kind = rank == 1 && named == q->n ? REINI_LABEL_TIE : REINI_LABEL_PREFERENCE;
    return REIN_OK;
}

static bool is_one_of(const char *text, const char *words) {
    size_t n = strlen(text);
    for (const char *at = words; *at; at += strcspn(at, "|"), at += *at == '|')
        if (strcspn(at, "|") == n && strncasecmp(at, text, n) == 0)
            return n > 0;
    return false;
}

static rein_status parse_words(const rein_label *l, const reini_label_question *q, const char *text,
                               reini_label_choice *c) {
    c->kind = REINI_LABEL_PREFERENCE;
    if (is_one_of(text, "s|skip")) {
        c->kind = REINI_LABEL_SKIP;
        return REIN_OK;
    }
    if (l->form == REINI_LABEL_UNPAIRED) {
        bool good = is_one_of(text, "y|yes|good|+");
        c->rank[0] = good ? 1 : 2;
        return good || is_one_of(text, "n|no|bad|-") ? REIN_OK : not_understood(l, q, text);
    }
    if (is_one_of(text, "=|tie")) {
        c->kind = REINI_LABEL_TIE;
        for (int i = 0; i < q->n; i++)
            c->rank[i] = 1;
        return REIN_OK;
    }
    return *text ? parse_order(l, q, text, c) : not_understood(l, q, text);
}

rein_status reini_label_parse(const rein_label *l, const reini_label_question *q, const char *text,
                              reini_label_choice *c) {
    size_t n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        n--;
    size_t from = 0;
    while (from < n && isspace((unsigned char)text[from]))
        from++;
    char *copy = reini_new(n - from + 1);
    if (!copy)
        return reini_fail_memory(n, "a choice");
    memcpy(copy, text + from, n - from);
    rein_status status = parse_words(l, q, copy, c);
    reini_free(copy);
    return status;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static json_t *answer_at(const rein_label *l, const reini_label_question *q, int shown) {
    return (json_t *)(uintptr_t)reini_label_answer(l, q, shown)->answer;
}

/* lists in the order of the candidates */
static void set_lists(const rein_label *l, const reini_label_question *q, const reini_label_choice *c,
                      json_t *row) {
    json_t *responses = json_array(), *values = json_array();
    bool preferred = c->kind == REINI_LABEL_PREFERENCE;
    for (int k = 0; k < l->candidates.group[q->group].n; k++)
        for (int i = 0; i < q->n; i++)
            if (reini_label_shown(l, q, i) == k && (!c->scores || !preferred || !isnan(c->scores[i]))) {
                json_array_append(responses, answer_at(l, q, i));
                json_array_append_new(values, preferred && c->scores ? json_real(c->scores[i])
                                              : preferred            ? json_integer(c->rank[i])
                                                                     : json_null());
            }
    json_object_set_new(row, "responses", responses);
    if (preferred)
        json_object_set(row, c->scores ? "scores" : "ranks", values);
    json_decref(values);
}

static void set_answers(const rein_label *l, const reini_label_question *q, const reini_label_choice *c,
                        json_t *row) {
    if (c->kind != REINI_LABEL_PREFERENCE || l->form == REINI_LABEL_RANKING) {
        set_lists(l, q, c, row);
    } else if (l->form == REINI_LABEL_PAIRS) {
        int better = c->rank[0] < c->rank[1] ? 0 : 1;
        json_object_set(row, "chosen", answer_at(l, q, better));
        json_object_set(row, "rejected", answer_at(l, q, 1 - better));
    } else {
        json_object_set(row, "completion", answer_at(l, q, 0));
        json_object_set_new(row, "label", json_boolean(c->rank[0] == 1));
    }
}

static json_t *decision_of(const rein_label *l, const reini_label_question *q, const reini_label_choice *c,
                           int64_t number) {
    json_t *d = json_object(), *shown = json_array(), *scores = c->scores ? json_array() : NULL;
    char *choice = reini_label_choice_text(l, q, c);
    for (int i = 0; i < q->n; i++) {
        json_array_append_new(shown, json_integer(reini_label_shown(l, q, i)));
        if (scores)
            json_array_append_new(scores, isfinite(c->scores[i]) ? json_real(c->scores[i]) : json_null());
    }
    json_object_set_new(d, "n", json_integer(number));
    json_object_set_new(d, "key", json_string(q->key));
    json_object_set_new(d, "as", json_string(reini_label_forms[l->form]));
    json_object_set_new(d, "line", json_integer(reini_label_line(l, q)));
    json_object_set_new(d, "shown", shown);
    json_object_set_new(d, "choice", choice ? json_string(choice) : NULL);
    json_object_set_new(d, "by", json_string(c->by));
    if (scores)
        json_object_set_new(d, "scores", scores);
    reini_free(choice);
    return d;
}

json_t *reini_label_row(const rein_label *l, const reini_label_question *q, const reini_label_choice *c,
                        int64_t number) {
    json_t *row = json_object();
    json_object_set(row, "prompt", l->candidates.group[q->group].prompt);
    set_answers(l, q, c, row);
    reini_label_shared_columns(l, q, row);
    json_object_set_new(row, "decision", decision_of(l, q, c, number));
    return row;
}
