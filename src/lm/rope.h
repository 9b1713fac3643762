/*
 * rope.h - rotary positions (Su et al. 2021, arXiv 2104.09864) in half-split form: pairs are (j, j + size / 2).
 */
#ifndef REINI_ROPE_H
#define REINI_ROPE_H

#include "lm/lm_shape.h"

/* Angles per position of the head_size / 2 pairs, with the shape's scaling. */
void reini_rope_frequencies(const reini_lm_shape *shape, float *frequency);
/* Cosines, then sines, of the angles at a position: 2 pairs numbers. */
void reini_rope_turn(const float *frequency, int pairs, int position, float *turn);

#endif
