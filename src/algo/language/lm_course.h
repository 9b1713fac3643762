/*
 * lm_course.h - the course of a training on rows: which rows an update takes, how long it goes on, how it fares.
 *
 * Everything follows from the number of the update, so a run that was stopped goes on as if it had not been.
 */
#ifndef REINI_LM_COURSE_H
#define REINI_LM_COURSE_H

#include <rein/optim.h>
#include "algo/language/lm_algo.h"

typedef struct reini_lm_course {
    const reini_lm_settings *settings;
    int64_t rows;        /* of an epoch */
    int64_t epoch_steps; /* updates of an epoch */
    int64_t total;       /* updates in all */
    int32_t *order;      /* [rows] of the epoch `epoch` */
    uint32_t *words;     /* scratch of the shuffle */
    int64_t epoch;       /* -1 = none yet */
    /* what is saved */
    struct {
        int64_t step;    /* updates made, skipped ones included */
        int64_t tokens;  /* that went through the network */
        int64_t skipped; /* updates whose gradient was not finite */
        int64_t in_a_row;
    } state;
} reini_lm_course;

/* Rows of a batch: order[from], ... */
typedef struct reini_lm_span {
    int64_t from, count;
} reini_lm_span;

rein_status reini_lm_course_init(reini_lm_course *c, const reini_lm_settings *s, int64_t rows);
void reini_lm_course_release(reini_lm_course *c);
/* Rows of the update that comes next; makes the epoch's order. */
reini_lm_span reini_lm_course_update(reini_lm_course *c);
/* The i-th batch of an update, count 0 past its last. */
reini_lm_span reini_lm_course_batch(const reini_lm_course *c, reini_lm_span update, int64_t i);
/* Key of the dropout of batch i of the update that comes next. */
uint64_t reini_lm_course_key(const reini_lm_course *c, int64_t i);
double reini_lm_course_rate(const reini_lm_course *c);
/* Counts an update. */
void reini_lm_course_made(reini_lm_course *c, rein_optim_result result, int64_t tokens);
void reini_lm_course_progress(const reini_lm_course *c, reini_lm_progress *out);
rein_status reini_lm_course_visit(reini_lm_course *c, reini_archive *ar);

#endif
