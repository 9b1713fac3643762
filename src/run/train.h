/*
 * train.h - the steps between rein_train and the loop.
 */
#ifndef REINI_TRAIN_H
#define REINI_TRAIN_H

#include <signal.h>
#include <stdio.h>
#include "run/settings.h"

/* rein_train with the algorithm given rather than looked up; NULL = by name. */
rein_status reini_train_with(const reini_algo *algo, const rein_train_opts *opts, rein_summary *summary);

/* A run to be carried out in a directory that this process holds. */
typedef struct reini_task {
    const reini_setup *setup;
    const char *dir;
    const char *resume_dir; /* what the user resumes: dir, or the directory of several seeds above it */
    bool fresh;             /* false: dir holds a run, to be continued */
    FILE *progress;
    const volatile sig_atomic_t *stop;
} reini_task;

/* One seed: setup->run.seed. */
rein_status reini_train_one(const reini_task *task, rein_summary *summary);
/* setup->seeds runs, one after the other, below the directory. */
rein_status reini_train_seeds(const reini_task *task, rein_summary *summary);

/* Makes the directory's config.json say what the setup says; refuses what may not change in a run that has
 * started. */
rein_status reini_settle_config(const reini_task *task);

#endif
