/*
 * generate_state.h - what a generator holds between passes; shared by its making (generator.c) and its schedule
 * (generate.c).
 */
#ifndef REINI_GENERATE_STATE_H
#define REINI_GENERATE_STATE_H

#include "lm/generate.h"

/* a prompt, from its admission to the end of its last answer */
typedef struct reini_group {
    bool used;
    int request;
    int home;     /* slot of the cache */
    int computed; /* tokens of the prompt */
    bool ready;   /* all of them, and the first tokens are drawn */
    int next;     /* first answer that has not begun */
    int living;   /* answers in slots */
} reini_group;

/* an answer in flight; its place in the list is its slot of the cache */
typedef struct reini_sequence {
    bool used;
    int group, sample;
    int64_t bytes; /* of text so far, counted when stop strings are wanted */
} reini_sequence;

struct reini_generator {
    reini_generator_opts opts;
    int vocabulary, context, groups, rows; /* rows: of logits at a time */
    reini_lm *lm;
    reini_lm_cache *cache;
    rein_pool *pool;
    reini_sampler **sampler;  /* [workers] */
    reini_group *group;       /* [groups], slots + shared */
    int *queue, n_queue;      /* groups in the order of their admission */
    reini_sequence *sequence; /* [slots] */
    int32_t *history;         /* [slots][capacity]  prompt and answer */
    int32_t *stop_state;      /* [slots + 1][n_stop], the last row is scratch */
    int n_stop;
    int32_t *token, *start, *document_slot; /* of a pass */
    int32_t *logit_row;                     /* [slots + groups] rows whose logits are wanted ... */
    int *logit_of;                          /* ... and whose: a slot, or slots + a group */
    float *logits;                          /* [rows x vocabulary] */
    reini_drawn *drawn;                     /* [slots] */
    /* the call under way */
    const reini_generate_job *job;
    int next_request, chunk; /* chunk: first of the logit rows in `logits` */
    rein_status status;
};

#endif
