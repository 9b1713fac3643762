/*
 * metrics.h - scalars over time: metrics.csv and TensorBoard event files with the same content.
 *
 * Columns are fixed at creation. A row belongs to a step; missing values are NAN (an empty CSV cell, no
 * event). Rows are flushed as they are written; on resume, rows past the checkpoint's step are cut off both
 * files' view (the CSV is truncated; a new event file starts).
 */
#ifndef REINI_METRICS_H
#define REINI_METRICS_H

#include "base/base.h"

typedef struct reini_metrics reini_metrics;
/* names: column names after the leading "step". resume_step < 0 starts anew, otherwise rows with step >
 * resume_step are dropped. */
rein_status reini_metrics_open(const char *dir, const char *const *names, int n, int64_t resume_step,
                               reini_metrics **out);
rein_status reini_metrics_write(reini_metrics *metrics, int64_t step, const double *values);
void reini_metrics_close(reini_metrics *metrics);
#endif
