/*
 * frame_stack.h - observations of the last steps side by side, for policies that must see motion.
 */
#ifndef REINI_FRAME_STACK_H
#define REINI_FRAME_STACK_H

#include <rein/env.h>

/* A type whose observation is the last k of those of `inner`, the oldest first (Mnih et al. 2015 use 4); after a reset
 * all are the first one. Images (channels x height x width) become (k channels x height x width), boxes of n numbers
 * become boxes of k n. The frames are part of the state. `inner` is an opened type and belongs to *stacked from here
 * on, which may be the same memory; when refused it is left as it was. */
rein_status reini_env_frame_stack(const rein_env_type *inner, int k, rein_env_type *stacked);

#endif
