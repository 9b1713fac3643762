/*
 * labelling.h - a labelling behind <rein/label.h>: questions made of candidates, decisions in two files.
 *
 * What is to be decided is a question: a pair of answers, all answers to a prompt, or one answer. A question's key is a
 * digest of its form, prompt and answers, in whatever order they are shown; the key in a row of the files says what it
 * decided, so that a labelling goes on when the candidates are in a longer file.
 *
 * Rows with a preference go to OUT, in the form that training reads. Ties and skips would be bad rows there and go to
 * OUT.undecided. Each decision is one row of one file, numbered over both: the last one is the one that undo takes back.
 */
#ifndef REINI_LABELLING_H
#define REINI_LABELLING_H

#include <rein/label.h>
#include "data/candidates.h"
#include "run/label_file.h"

typedef enum { REINI_LABEL_PAIRS, REINI_LABEL_RANKING, REINI_LABEL_UNPAIRED } reini_label_form;
typedef enum { REINI_LABEL_PREFERENCE, REINI_LABEL_TIE, REINI_LABEL_SKIP } reini_label_kind;

typedef struct reini_label_question {
    int64_t group;    /* of the candidates */
    int64_t shown;    /* n numbers from here in rein_label.shown: answers of the group in the order shown */
    int64_t decision; /* the last one about it, -1 = none */
    int n;
    bool reopened; /* its decision was taken back, and there is an older one */
    char key[40];
} reini_label_question;

typedef struct reini_label_decision {
    int64_t question; /* -1: about other answers */
    int64_t number, offset;
    int64_t before; /* the decision that it replaced, -1 = none */
    int file;
    reini_label_kind kind;
} reini_label_decision;

/* A decision that is being made. */
typedef struct reini_label_choice {
    reini_label_kind kind;
    int *rank;            /* [n] in the order shown, 1 = the best; unpaired: 1 good, 2 bad */
    const double *scores; /* [n] of a reward or a judge; NULL = none */
    const char *by;
} reini_label_choice;

struct rein_label {
    reini_label_form form;
    bool skipped;
    reini_candidates candidates;
    reini_label_question *question; /* [n] */
    int64_t n;
    size_t room;
    int32_t *shown;
    int64_t n_shown;
    size_t shown_room;
    json_t *index;                  /* key: number of its question */
    reini_label_file file[2];       /* preferences, undecided */
    reini_label_decision *decision; /* [n_decisions] in the order of their numbers */
    int64_t n_decisions;
    size_t decision_room;
    int64_t loaded; /* decisions that were there at the beginning */
    int64_t first;  /* no question before this one is open */
    int64_t counts[3], others, rows;
    int *rank;   /* [most] */
    int most;    /* answers of a question */
    char **text; /* [most + 1] prompt and answers of the question that is shown */
    char *last;
};

extern const char *const reini_label_forms[3];
extern const char *const reini_label_kinds[3];

/* ---- label_questions.c */
rein_status reini_label_make_questions(rein_label *l, uint64_t seed, int pairs);
static inline int reini_label_shown(const rein_label *l, const reini_label_question *q, int i) {
    return l->shown[q->shown + i];
}
static inline const reini_candidate *reini_label_answer(const rein_label *l, const reini_label_question *q,
                                                        int i) {
    return &l->candidates.answer[l->candidates.group[q->group].first + reini_label_shown(l, q, i)];
}
/* Where in the data it comes from. */
static inline int64_t reini_label_line(const rein_label *l, const reini_label_question *q) {
    return q->n == 1 ? reini_label_answer(l, q, 0)->line : l->candidates.group[q->group].line;
}
/* The first open question, NULL = none. */
reini_label_question *reini_label_open_question(rein_label *l);

/* ---- label_row.c */
/* The row of a decision: what training reads, and "decision". NULL when out of memory. */
json_t *reini_label_row(const rein_label *l, const reini_label_question *q, const reini_label_choice *c,
                        int64_t number);
/* "2 > 1 = 3"; reini_free it. */
char *reini_label_choice_text(const rein_label *l, const reini_label_question *q,
                              const reini_label_choice *c);
/* The columns that all candidates of a question's group have alike and that mean nothing else in its row. */
void reini_label_shared_columns(const rein_label *l, const reini_label_question *q, json_t *row);
/* What a person typed. */
rein_status reini_label_parse(const rein_label *l, const reini_label_question *q, const char *text,
                              reini_label_choice *c);

/* ---- label_text.c */
rein_status reini_label_decide(rein_label *l, reini_label_question *q, const reini_label_choice *c);

#endif
