/*
 * rollout_parts.h - what the pieces of rollout_text.h share, and others that let a model write answers.
 */
#ifndef REINI_ROLLOUT_PARTS_H
#define REINI_ROLLOUT_PARTS_H

#include "algo/language/rollout_text.h"

/* data: the file of the rows, for sentences. policy: a reward model that is an adapter of the base of the policy's adapter
 * reads the weights there; it outlives the rewards. */
rein_status reini_text_open_rewards(const reini_text_settings *s, const char *data,
                                    const reini_lm_learner *policy, reini_rewards **out);
/* What ends an answer: generation_config.json's tokens, else config.json's, and the tokenizer's. */
rein_status reini_text_find_eos(const reini_lm_settings *s, const reini_lm_shape *shape,
                                const reini_tokenizer *tokenizer, int32_t eos[REINI_LM_EOS + 1], int *n);

rein_status reini_text_answers_init(reini_text_answers *a, int n, int max_new, int rewards, bool reference);
void reini_text_answers_release(reini_text_answers *a);

/* rollouts.jsonl in a directory, opened when there is something to write; NULL: none is written. */
rein_status reini_rollout_log_open(reini_text_rollout *r, const char *dir);
/* After a checkpoint was loaded: what was written later is cut off. */
rein_status reini_rollout_log_cut(reini_text_rollout *r);

#endif
