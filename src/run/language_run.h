/*
 * language_run.h - a training run on a language model: its directory, its loop, its checkpoints.
 *
 * The directory holds what those of other runs hold (config.json, metrics.csv, event files, checkpoint.rein,
 * summary.json), the model as a folder ("model", or "adapter"), and with evaluations the one that did best ("best").
 */
#ifndef REINI_LANGUAGE_RUN_H
#define REINI_LANGUAGE_RUN_H

#include "run/language_setup.h"

/* Do these options mean such a run? */
rein_status reini_language_means(const reini_algo *algo, const rein_train_opts *opts, bool *language);
/* rein_train for them. */
rein_status reini_language_train(const reini_algo *algo, const rein_train_opts *opts, rein_summary *summary);

#endif
