/*
 * generate.h - many answers to many prompts, a token each per pass through the network.
 *
 * `slots` sequences are in flight; a pass computes the next token of each, and beside them a piece of the prompts that
 * come next. A sequence that ends is replaced at once, so that the pass stays full until the requests run out. A prompt
 * with several answers is computed and stored once, and they share it.
 *
 * In REIN_F32 an answer depends on its request, the settings and the seed alone: not on slots, threads, the order of
 * requests or what else is generated. Its log-probabilities are those of scoring the finished text, to the bit; in
 * REIN_BF16 sums of few and of many rows differ in their last bits, and so may what follows.
 */
#ifndef REINI_GENERATE_H
#define REINI_GENERATE_H

#include <signal.h>
#include "lm/sampling.h"
#include "lm/stop.h"
#include "lm/transformer.h"

typedef enum reini_finish {
    REINI_FINISH_NONE,   /* not finished: the call failed or was interrupted */
    REINI_FINISH_EOS,    /* its last token is one of those that end a text */
    REINI_FINISH_STOP,   /* its last token completes a stop string */
    REINI_FINISH_LENGTH, /* max_new tokens */
} reini_finish;
const char *reini_finish_name(reini_finish finish); /* "eos", "stop", "length", "none" */

typedef struct reini_answer {
    int32_t *ids; /* [max_new] */
    float *logp;  /* [max_new]  log p(token) under the full softmax at the sampling temperature */
    int n;
    reini_finish finish;
    int64_t stop_at; /* with REINI_FINISH_STOP: bytes of text (its tokens' pieces) before the stop string */
} reini_answer;

typedef struct reini_request {
    const int32_t *prompt; /* [n_prompt], at least one token */
    int n_prompt;
    int samples; /* answers wanted */
    int max_new; /* tokens of an answer, at most */
    /* names the random numbers: answer k draws from (seed, stream, k). Number requests, and where they are spread over
     * several calls, go on counting. */
    uint64_t stream;
    /* of the prompt's positions, those that the only slot still holds from the last call (reini_generator_kept) */
    int kept;
    reini_answer *answers; /* [samples], filled */
} reini_request;

/* Room for the answers of n requests in one block, set into the requests; *block is freed by reini_free. */
rein_status reini_answers_new(reini_request *requests, int n, void **block);

typedef struct reini_generator_opts {
    int slots;    /* sequences in flight */
    int capacity; /* positions of a sequence, prompt and answer */
    int prefill;  /* prompt tokens of a pass; 0 = 512 */
    int shared;   /* prompts with several answers at a time; 0 = none come */
} reini_generator_opts;

typedef struct reini_generator reini_generator;

/* Bytes reini_generator_new takes: caches, and the network's and the sampling's work memory. */
typedef struct reini_generator_size {
    int64_t cache, work;
} reini_generator_size;
reini_generator_size reini_generator_bytes(const reini_lm_weights *w, const reini_lora *lora,
                                           const reini_generator_opts *opts, int workers);
/* w, lora (NULL: none) and pool must outlive the result; weights are read at each call. */
rein_status reini_generator_new(const reini_lm_weights *w, const reini_lora *lora,
                                const reini_generator_opts *opts, rein_pool *pool, reini_generator **out);
void reini_generator_free(reini_generator *g);

typedef struct reini_generate_job {
    const reini_request *requests;
    int n;
    reini_sampling sampling;
    uint64_t seed;
    const int32_t *eos; /* tokens that end an answer, and belong to it */
    int n_eos;
    const reini_stop *stop; /* NULL: none */
    /* bytes that a token adds to the text; needed with `stop` */
    const char *(*piece)(void *user, int32_t id, int *size);
    /* after every token and every answer, from the calling thread; either may be NULL */
    void (*on_token)(void *user, int request, int sample);
    void (*on_answer)(void *user, int request, int sample);
    void *user;
    const volatile sig_atomic_t
        *interrupt; /* non-zero: returns REIN_INTERRUPTED after the pass; may be NULL */
} reini_generate_job;

/* Nothing is allocated here, but the states of stop strings when there are more than before. Fails before computing anything when a request does not fit the capacity. */
rein_status reini_generate(reini_generator *g, const reini_generate_job *job);
/* Positions that slot 0 of a generator with one slot holds: prompt and answer of the last request, all but its last
 * token. */
int reini_generator_kept(const reini_generator *g);

#endif
