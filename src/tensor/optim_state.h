/*
 * optim_state.h - the state of an optimizer in place, for checkpoints of models too large to be copied for it.
 */
#ifndef REINI_OPTIM_STATE_H
#define REINI_OPTIM_STATE_H

#include <rein/optim.h>

typedef struct reini_optim_piece {
    void *at;
    size_t bytes;
} reini_optim_piece;
/* Everything a step depends on. What is written back must come from an optimizer of the same config and layout. */
void reini_optim_pieces(rein_optim *optim, reini_optim_piece piece[2]);

#endif
