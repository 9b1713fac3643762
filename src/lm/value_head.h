/*
 * value_head.h - a number for every row of a network: V = w . h, with w kept outside the network's weights.
 *
 * The score head of a classifier is a part of its weights and stands in the place of the vocabulary's head. This one
 * reads the hidden rows of a language model that keeps its vocabulary, so that policy and critic share one forward and
 * one backward pass: between reini_lm_backward_begin and reini_lm_backward it adds what the values' gradient means for
 * the hidden rows to what the tokens' gradient means for them.
 */
#ifndef REINI_VALUE_HEAD_H
#define REINI_VALUE_HEAD_H

#include "lm/transformer.h"

/* After a forward pass; w: [hidden], values: [n]. */
void reini_value_head_forward(const reini_lm *lm, const float *w, int n, const int32_t *row, float *values);
/* dvalues: [n] d loss / d V; adds to dw [hidden] and to the gradient of the hidden rows. */
void reini_value_head_backward(reini_lm *lm, const float *w, int n, const int32_t *row, const float *dvalues,
                               float *dw);

#endif
