/*
 * made_candidates.h - scored answers made on the spot: several to each prompt by the model as it is before its first
 * update, judged by a reward.
 *
 * Answers whose text is the same count once, those that are empty or of which no reward has an opinion do not; a prompt whose answers are
 * all worth the same teaches no order and is left out. They are kept in the run's directory (stored_pass.h), and written
 * to candidates.jsonl as rows that `--data` reads as well: {"prompt", "responses", "scores"}.
 */
#ifndef REINI_MADE_CANDIDATES_H
#define REINI_MADE_CANDIDATES_H

#include "algo/language/rollout_text.h"
#include "data/preference.h"

typedef struct reini_making {
    const reini_text_settings *settings;
    const reini_lm_context *context;
    reini_lm_learner *learner; /* opened; it needs no memory for training yet */
    int samples, max_new;
    double temperature;
} reini_making;

/* path: file of prompts; max_length: of prompt and answer; name: of the files without their endings. */
rein_status reini_candidates_make(const reini_making *making, reini_lm_reader *reader, const char *path,
                                  int max_length, const char *name, reini_preference *out);

#endif
