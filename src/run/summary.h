/*
 * summary.h - what a run came to, as summary.json in its directory. Its presence says that the run is
 * finished.
 */
#ifndef REINI_SUMMARY_H
#define REINI_SUMMARY_H

#include "run/settings.h"

/* Names of the run and its seed; numbers NAN or 0. */
void reini_summary_init(rein_summary *summary, const reini_setup *setup, const char *dir);
/* runs: those of the seeds, NULL for a single run. */
rein_status reini_summary_write(const rein_summary *summary, const reini_setup *setup,
                                const rein_summary *runs, int n_runs);
/* True when dir holds the summary of a run with the setup's steps, stop_at and eval_episodes. */
bool reini_summary_read(rein_summary *summary, const reini_setup *setup, const char *dir);

#endif
