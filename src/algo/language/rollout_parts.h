/*
 * rollout_parts.h - what the pieces of rollout_text.h share: answers' memory.
 */
#ifndef REINI_ROLLOUT_PARTS_H
#define REINI_ROLLOUT_PARTS_H

#include "algo/language/rollout_text.h"

rein_status reini_text_answers_init(reini_text_answers *a, int n, int max_new, int rewards, bool reference);
void reini_text_answers_release(reini_text_answers *a);

/* rollouts.jsonl in a directory, opened when there is something to write; NULL: none is written. */
rein_status reini_rollout_log_open(reini_text_rollout *r, const char *dir);
/* After a checkpoint was loaded: what was written later is cut off. */
rein_status reini_rollout_log_cut(reini_text_rollout *r);

#endif
