/*
 * sequence.h - policies with a memory: what they remember, and sequences of steps to train them on.
 *
 * A recurrent policy has gated recurrent units (rein_gru) after its hidden layers: one in the actor and one in the critic,
 * or one for both when they share those layers. The state of an environment is their outputs side by side, the actor's
 * first; it is zero where an episode begins.
 *
 * Training cuts the rollout's T steps of every environment into sequences of `sequence` steps. A sequence starts from the
 * state that the rollout had there, through which no gradient flows (truncated back-propagation through time).
 */
#ifndef REINI_SEQUENCE_H
#define REINI_SEQUENCE_H

#include <stdint.h>
#include <rein/field.h>
#include <rein/status.h>

/* The same text fields in every method that trains recurrent policies. */
#define REINI_MEMORY_FIELDS(F, E)                                                                            \
    F(INT, gru, "0", 0, 4096,                                                                                \
      "width of the recurrent layer (GRU) after the hidden ones of actor and critic, 0 = none")
#define REINI_SEQUENCE_FIELDS(F, E)                                                                          \
    F(INT, sequence, "0", 0, 1048576,                                                                        \
      "with gru: steps that gradients flow back through, a divisor of n_steps; 0 = the largest up to 32")

/* Steps of a sequence: `wanted`, or for 0 the largest divisor of n_steps up to 32. 1 without memory. */
int64_t reini_sequence_length(int64_t gru, int64_t wanted, int64_t n_steps);
/* Refuses lengths that cut neither the rollout nor a minibatch (0: there are none) into whole sequences. */
rein_status reini_sequence_check(int64_t gru, int64_t wanted, int64_t n_steps, int64_t batch_size);
/* Writes the steps of T x N (time-major) as whole sequences, which are in random order: order[i length + k] is step k of
 * sequence i. A pure function of (seed, stream, counter); with length 1 it is reini_shuffle. */
void reini_sequence_shuffle(int32_t *order, uint32_t *words, int64_t T, int64_t N, int64_t length,
                            uint64_t seed, uint64_t stream, uint64_t counter);
/* The same in their own order: sequence by sequence in time, in each over the environments. */
void reini_sequence_order(int32_t *order, int64_t T, int64_t N, int64_t length);

#endif
