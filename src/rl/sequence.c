/*
 * sequence.c - cutting a rollout into sequences.
 */
#include "rl/sequence.h"

#include "base/base.h"
#include "rl/shuffle.h"

/* long enough to learn what to remember, short enough for several sequences in a minibatch */
enum { LENGTH_AUTOMATIC = 32 };

int64_t reini_sequence_length(int64_t gru, int64_t wanted, int64_t n_steps) {
    if (gru == 0)
        return 1;
    if (wanted > 0)
        return wanted;
    int64_t length = n_steps < LENGTH_AUTOMATIC ? n_steps : LENGTH_AUTOMATIC;
    while (n_steps % length != 0)
        length--;
    return length;
}

rein_status reini_sequence_check(int64_t gru, int64_t wanted, int64_t n_steps, int64_t batch_size) {
    int64_t length = reini_sequence_length(gru, wanted, n_steps);
    if (wanted > 0 && gru == 0)
        return reini_fail(REIN_USAGE,
                          "sequence: %lld steps to flow back through, but the policy has no memory: give it "
                          "one with gru, or leave sequence at 0",
                          (long long)wanted);
    if (n_steps % length != 0)
        return reini_fail(
            REIN_USAGE,
            "sequence: %lld does not divide n_steps = %lld; choose a divisor, or 0 for the largest up to %d",
            (long long)length, (long long)n_steps, LENGTH_AUTOMATIC);
    if (batch_size % length != 0)
        return reini_fail(
            REIN_USAGE,
            "batch_size: %lld steps are no whole number of sequences of %lld; choose a multiple of %lld, or "
            "another sequence",
            (long long)batch_size, (long long)length, (long long)length);
    return REIN_OK;
}

/* Makes numbers of sequences the numbers of their steps, from the last on: what is written lies behind what is read. */
static void spell_out(int32_t *order, int64_t T, int64_t N, int64_t length) {
    for (int64_t i = T * N / length - 1; i >= 0; i--) {
        int64_t first = order[i] / N * length, n = order[i] % N;
        for (int64_t k = length - 1; k >= 0; k--)
            order[i * length + k] = (int32_t)((first + k) * N + n);
    }
}

void reini_sequence_shuffle(int32_t *order, uint32_t *words, int64_t T, int64_t N, int64_t length,
                            uint64_t seed, uint64_t stream, uint64_t counter) {
    reini_shuffle(order, words, T * N / length, seed, stream, counter);
    if (length > 1)
        spell_out(order, T, N, length);
}

void reini_sequence_order(int32_t *order, int64_t T, int64_t N, int64_t length) {
    for (int64_t i = 0; i < T * N / length; i++)
        order[i] = (int32_t)i;
    spell_out(order, T, N, length);
}
