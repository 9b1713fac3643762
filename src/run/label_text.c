/*
 * label_text.c - rein_label: a labelling opened, decided question by question, taken back, gone on with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "data/lm_encode.h"
#include "run/labelling.h"

/* ---- decisions ------------------------------------------------------------------------------------------- */

static rein_status decision_room(rein_label *l) {
    size_t wanted = (size_t)l->n_decisions + 1;
    return reini_reserve(&l->decision, &l->decision_room, wanted, sizeof *l->decision, "decisions");
}

/* by: 1 the decision counts from now on, -1 it does no more */
static void count(rein_label *l, const reini_label_decision *d, int by) {
    if (d->question < 0) {
        l->others += by;
        return;
    }
    l->counts[d->kind] += by;
    if (d->before >= 0)
        l->counts[l->decision[d->before].kind] -= by;
}

/* the last decision is about its question from now on */
static void settle(rein_label *l) {
    reini_label_decision *d = &l->decision[l->n_decisions - 1];
    d->before = -1;
    if (d->question >= 0) {
        d->before = l->question[d->question].decision;
        l->question[d->question].decision = l->n_decisions - 1;
        l->question[d->question].reopened = false;
    }
    l->rows += d->file == 0;
    count(l, d, 1);
}

rein_status reini_label_decide(rein_label *l, reini_label_question *q, const reini_label_choice *c) {
    int64_t number = l->n_decisions > 0 ? l->decision[l->n_decisions - 1].number + 1 : 1, offset = 0;
    int file = c->kind == REINI_LABEL_PREFERENCE ? 0 : 1;
    char *said = reini_label_choice_text(l, q, c);
    if (!said)
        return reini_fail_memory(256, "a decision");
    reini_free(l->last);
    l->last = said;
    REINI_TRY(decision_room(l));
    json_t *row = reini_label_row(l, q, c, number);
    rein_status status =
        row ? reini_label_file_append(&l->file[file], row, &offset) : reini_fail_memory(4096, "a row");
    json_decref(row);
    REINI_TRY(status);
    l->decision[l->n_decisions++] = (reini_label_decision){
        .question = q - l->question, .number = number, .offset = offset, .file = file, .kind = c->kind};
    settle(l);
    return REIN_OK;
}

rein_status rein_label_decide(rein_label *l, const char *text) {
    reini_label_question *q = reini_label_open_question(l);
    reini_label_choice choice = {.rank = l->rank, .by = "person"};
    if (!q)
        return reini_fail(REIN_USAGE, "every question is decided");
    REINI_TRY(reini_label_parse(l, q, text, &choice));
    return reini_label_decide(l, q, &choice);
}

rein_status rein_label_undo(rein_label *l) {
    const reini_label_decision *d = l->n_decisions > 0 ? &l->decision[l->n_decisions - 1] : NULL;
    if (!d || d->question < 0)
        return reini_fail(REIN_USAGE,
                          d ? "the last decision is about answers that are not in %s"
                            : "there is no decision to take back",
                          l->candidates.path);
    REINI_TRY(reini_label_file_cut(&l->file[d->file], d->offset));
    count(l, d, -1);
    l->rows -= d->file == 0;
    l->question[d->question].decision = d->before;
    l->question[d->question].reopened = true;
    l->first = d->question < l->first ? d->question : l->first;
    l->n_decisions--;
    /* a decision of an earlier day that is open again is one that was not there */
    l->loaded = l->n_decisions < l->loaded ? l->n_decisions : l->loaded;
    return REIN_OK;
}

/* ---- what was decided before ----------------------------------------------------------------------------- */

typedef struct loading {
    rein_label *label;
    int file;
    int64_t number; /* of the row before */
} loading;

static rein_status bad_row(const loading *at, int64_t line, const char *what) {
    return reini_fail(REIN_FORMAT, "%s:%lld: %s; give --out another name", at->label->file[at->file].path,
                      (long long)line, what);
}

static rein_status load_row(void *user, const json_t *row, int64_t line, int64_t offset) {
    loading *at = user;
    rein_label *l = at->label;
    const json_t *d = json_object_get(row, "decision"), *n = json_object_get(d, "n");
    const char *key = json_string_value(json_object_get(d, "key"));
    const char *as = json_string_value(json_object_get(d, "as"));
    const char *choice = json_string_value(json_object_get(d, "choice"));
    char what[128];
    if (!json_is_integer(n) || !key || !as || !choice)
        return bad_row(at, line, "the row has no \"decision\", as `rein label` writes it");
    if (strcmp(as, reini_label_forms[l->form]) != 0) {
        snprintf(what, sizeof what, "the row is of --as %.20s, not %s", as, reini_label_forms[l->form]);
        return bad_row(at, line, what);
    }
    if (json_integer_value(n) <= at->number)
        return bad_row(at, line, "decisions are not in the order of their numbers: rows were moved");
    at->number = json_integer_value(n);
    const json_t *question = json_object_get(l->index, key);
    REINI_TRY(decision_room(l));
    l->decision[l->n_decisions++] =
        (reini_label_decision){.question = question ? json_integer_value(question) : -1,
                               .number = at->number,
                               .offset = offset,
                               .file = at->file,
                               .kind = at->file == 0                 ? REINI_LABEL_PREFERENCE
                                       : strcmp(choice, "skip") == 0 ? REINI_LABEL_SKIP
                                                                     : REINI_LABEL_TIE};
    return REIN_OK;
}

static int by_number(const void *a, const void *b) {
    int64_t x = ((const reini_label_decision *)a)->number, y = ((const reini_label_decision *)b)->number;
    return (x > y) - (x < y);
}

static rein_status load(rein_label *l, const char *out) {
    size_t size = strlen(out) + 16;
    char *undecided = reini_new(size);
    if (!undecided)
        return reini_fail_memory(size, "the name of a file");
    snprintf(undecided, size, "%s.undecided", out);
    loading at = {.label = l};
    rein_status status = reini_label_file_open(&l->file[0], out, true, load_row, &at);
    at = (loading){.label = l, .file = 1};
    if (status == REIN_OK)
        status = reini_label_file_open(&l->file[1], undecided, false, load_row, &at);
    reini_free(undecided);
    REINI_TRY(status);
    if (l->n_decisions > 0)
        qsort(l->decision, (size_t)l->n_decisions, sizeof *l->decision, by_number);
    int64_t n = l->n_decisions;
    for (l->n_decisions = 1; l->n_decisions <= n; l->n_decisions++)
        settle(l);
    l->n_decisions = l->loaded = n;
    return REIN_OK;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static rein_status choose_form(rein_label *l, const char *as) {
    for (int i = 0; i < 3; i++)
        if (!as || strcmp(as, reini_label_forms[i]) == 0) {
            l->form = (reini_label_form)i;
            return REIN_OK;
        }
    const char *nearest = reini_nearest(as, reini_label_forms, 3);
    return reini_fail(REIN_USAGE, "as is \"%s\", expected pairs, ranking or unpaired%s%s%s", as,
                      nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "");
}

static rein_status open_label(rein_label *l, const rein_label_opts *opts) {
    if (!opts->data || !opts->out)
        return reini_fail(REIN_USAGE, "a labelling needs a file of answers and one for what is decided");
    REINI_TRY(choose_form(l, opts->as));
    REINI_TRY(reini_candidates_read(&l->candidates, opts->data));
    l->index = json_object();
    if (!l->index)
        return reini_fail_memory(256, "questions");
    REINI_TRY(reini_label_make_questions(l, opts->seed, opts->pairs));
    l->rank = REINI_NEW_ARRAY(int, (size_t)l->most);
    l->text = REINI_NEW_ARRAY(char *, (size_t)l->most + 1);
    if (!l->rank || !l->text)
        return reini_fail_memory((size_t)l->most * 16, "questions");
    l->skipped = opts->skipped != 0;
    REINI_TRY(load(l, opts->out));
    if (l->others > 0)
        reini_log(REIN_LOG_INFO,
                  "%s: %lld decisions are about other answers, or other pairs of them; they stay", opts->out,
                  (long long)l->others);
    return REIN_OK;
}

rein_status rein_label_open(const rein_label_opts *opts, rein_label **out) {
    rein_label *l = REINI_NEW(rein_label);
    *out = NULL;
    if (!l)
        return reini_fail_memory(sizeof *l, "a labelling");
    l->file[0].fd = l->file[1].fd = -1;
    rein_status status = open_label(l, opts);
    if (status == REIN_OK)
        *out = l;
    else
        rein_label_close(l);
    return status;
}

static void forget_text(rein_label *l) {
    for (int i = 0; l->text && i <= l->most; i++) {
        reini_free(l->text[i]);
        l->text[i] = NULL;
    }
}

void rein_label_close(rein_label *l) {
    if (!l)
        return;
    forget_text(l);
    reini_label_file_close(&l->file[0]);
    reini_label_file_close(&l->file[1]);
    reini_candidates_release(&l->candidates);
    json_decref(l->index);
    reini_free(l->question);
    reini_free(l->shown);
    reini_free(l->decision);
    reini_free(l->rank);
    reini_free(l->text);
    reini_free(l->last);
    reini_free(l);
}

/* ---- what is shown --------------------------------------------------------------------------------------- */

rein_label_state rein_label_look(const rein_label *l) {
    return (rein_label_state){.questions = l->n,
                              .decided = l->counts[0] + l->counts[1] + l->counts[2],
                              .ties = l->counts[REINI_LABEL_TIE],
                              .skipped = l->counts[REINI_LABEL_SKIP],
                              .rows = l->rows,
                              .others = l->others};
}

const char *rein_label_last(const rein_label *l) {
    return l->last ? l->last : "";
}

/* text as it is; one message as what it says, several with their roles before them */
static char *value_text(const json_t *value) {
    size_t size = 1, n = 0, i;
    const json_t *message;
    if (json_is_string(value))
        return reini_strdup(json_string_value(value));
    for (i = 0; (message = json_array_get(value, i)); i++)
        size += strlen(json_string_value(json_object_get(message, "role"))) +
                strlen(json_string_value(json_object_get(message, "content"))) + 8;
    char *text = reini_new(size);
    for (i = 0; text && (message = json_array_get(value, i)); i++) {
        const char *role = json_string_value(json_object_get(message, "role"));
        const char *content = json_string_value(json_object_get(message, "content"));
        bool answer = json_array_size(value) == 1 && strcmp(role, "assistant") == 0;
        n += answer ? (size_t)snprintf(text + n, size - n, "%s", content)
                    : (size_t)snprintf(text + n, size - n, "%s[%s]\n%s", i > 0 ? "\n" : "", role, content);
    }
    return text;
}

int rein_label_next(rein_label *l, rein_label_question *out) {
    const reini_label_question *q = reini_label_open_question(l);
    *out = (rein_label_question){0};
    forget_text(l);
    if (!q)
        return 0;
    l->text[0] = value_text(l->candidates.group[q->group].prompt);
    for (int i = 0; i < q->n; i++)
        l->text[i + 1] = value_text(reini_label_answer(l, q, i)->answer);
    for (int i = 0; i <= q->n; i++)
        if (!l->text[i])
            l->text[i] = reini_strdup("(out of memory)");
    *out = (rein_label_question){.number = q - l->question + 1,
                                 .line = reini_label_line(l, q),
                                 .prompt = l->text[0],
                                 .answers = (const char *const *)(l->text + 1),
                                 .n = q->n};
    return 1;
}
