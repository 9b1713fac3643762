/*
 * optim_state.h - the state of an optimizer in place, for checkpoints of models too large to be copied for it, and how
 * workers share its steps.
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

#define REINI_OPTIM_BLOCKS 8
/* The store holds this many networks of one shape: workers share a step along their borders, so that who runs a network's
 * branch (rein_branch) also steps it. The norm is then summed network by network. */
void reini_optim_cut(rein_optim *optim, int blocks);

#endif
