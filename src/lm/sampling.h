/*
 * sampling.h - one token from one row of logits.
 *
 * The steps and their order are those of Transformers: repetition penalty, temperature, top-k, top-p, min-p, draw. The
 * log-probability that goes with a token is that of the model itself, log softmax(logits / temperature) over the whole
 * vocabulary: before the penalty and the cuts, and to the bit what scoring the finished text gives in REIN_F32. It is
 * what a policy gradient needs: probabilities renormalised after a cut would not be those that training computes.
 *
 * A draw is a pure function of the row, the settings and its place (seed, stream, sample, position): nothing depends on
 * what is generated at the same time.
 */
#ifndef REINI_SAMPLING_H
#define REINI_SAMPLING_H

#include "base/base.h"

typedef struct reini_sampling {
    double temperature; /* 0 = greedy: the likeliest token, the first on ties */
    int top_k;          /* only the k likeliest, and ties with the last of them; 0 = off */
    double top_p;       /* the likeliest until their probabilities sum to p, at least one; 1 = off */
    double min_p;       /* only probabilities of at least min_p times the largest; 0 = off */
    double
        repetition_penalty; /* divides positive logits of tokens already there, multiplies others; 1 = off */
} reini_sampling;

/* temperature, and nothing cut or penalised */
reini_sampling reini_sampling_plain(double temperature);
rein_status reini_sampling_check(const reini_sampling *s);

/* Which random number a draw uses. */
typedef struct reini_place {
    uint64_t seed, stream;
    uint32_t sample, position;
} reini_place;

typedef struct reini_drawn {
    int32_t token; /* -1: the row holds a NaN or +inf, nothing can be drawn */
    float logp;
} reini_drawn;

typedef struct reini_sampler reini_sampler; /* work memory: one for each worker */
rein_status reini_sampler_new(int vocabulary, reini_sampler **out);
void reini_sampler_free(reini_sampler *sampler);
int64_t reini_sampler_bytes(int vocabulary);

/* logits: [vocabulary]; history: the tokens so far, prompt and answer, read by the penalty alone. Greedy draws give the
 * log-probability at temperature 1. */
reini_drawn reini_sample(reini_sampler *sampler, const reini_sampling *s, const float *logits,
                         const int32_t *history, int n_history, reini_place place);
/* The probabilities that reini_sample draws with, [vocabulary]; of a greedy one: 1 for its token. */
void reini_sampling_probabilities(reini_sampler *sampler, const reini_sampling *s, const float *logits,
                                  const int32_t *history, int n_history, float *p);

#endif
