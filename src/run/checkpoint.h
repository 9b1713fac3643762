/*
 * checkpoint.h - the whole state of a run as checkpoint.rein in its directory.
 */
#ifndef REINI_CHECKPOINT_H
#define REINI_CHECKPOINT_H

#include "run/loop.h"

rein_status reini_checkpoint_save(reini_run *run);
/* Fills the counters and the algorithm's state. *found = false, and nothing changes, when there is no
 * checkpoint. A damaged or foreign checkpoint is refused; one of another build or instruction set gives a
 * warning. */
rein_status reini_checkpoint_load(reini_run *run, bool *found);

#endif
