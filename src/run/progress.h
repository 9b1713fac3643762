/*
 * progress.h - how far a long run is: one line that redraws itself on a terminal, a plain line every few
 * seconds elsewhere.
 *
 *     reini_progress *p;
 *     reini_progress_new(stderr, "ppo CartPole-v1", total, resumed_at, &p);
 *     reini_progress_update(p, steps, mean_return, "kl", kl);
 *     reini_progress_free(p);
 *
 *     ppo CartPole-v1  45%  450k/1M  12.3k steps/s  0:45 left  return 234  kl 0.0123
 *
 * Parts that do not fit the terminal's width are left out, the last first. A call costs a look at the clock;
 * it writes at most 10 times a second to a terminal, every 5 seconds elsewhere.
 */
#ifndef REINI_PROGRESS_H
#define REINI_PROGRESS_H

#include <stdio.h>
#include "base/base.h"

typedef struct reini_progress reini_progress;

/* out: where to write; NULL gives a progress that says nothing. total: steps of the run, 0 = unknown.
 * done: steps made before this process (a resumed run), which do not count for the speed. label is copied. */
rein_status reini_progress_new(FILE *out, const char *label, int64_t total, int64_t done,
                               reini_progress **progress);
/* What is counted, when it is not "steps": a planner's "sweeps", whose number nobody knows beforehand. A literal. */
void reini_progress_count(reini_progress *progress, const char *unit);
/* mean_return and value: NAN = not known yet; key: name of the metric `value`, NULL for none. */
void reini_progress_update(reini_progress *progress, int64_t done, double mean_return, const char *key,
                           double value);
/* Takes the line off the terminal before something else is written there; the next update redraws it. */
void reini_progress_clear(reini_progress *progress);
/* Shows the last state, ends the line and frees; NULL is accepted. */
void reini_progress_free(reini_progress *progress);

/* For tests: forces the kind of output (terminal with a width in columns, or 0 for plain lines) and the
 * clock. */
void reini_progress_fake(reini_progress *progress, int width, double (*seconds)(void));

#endif
