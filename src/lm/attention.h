/*
 * attention.h - causal attention of grouped queries over packed documents, forwards and backwards, without a buffer of
 * length x length.
 *
 * A query is a lane. Queries of one document that read the same keys (G heads of each token) stand side by side in blocks
 * of REINI_LANES, keys come in blocks of REINI_KEYS from the document's first on, and a block of scores is keys x lanes.
 * Forwards each lane carries the largest score, the sum of exponentials and its output on from block to block (online
 * softmax: Milakov & Gimelshein 2018; Dao et al. 2022, arXiv 2205.14135); backwards scores are computed again from the
 * kept log-sum. A lane's bits do not depend on the lanes beside it or on where its keys lie.
 */
#ifndef REINI_ATTENTION_H
#define REINI_ATTENTION_H

#include <rein/tensor.h>
#include "lm/lm_shape.h"
#include "tensor/lm_kernels.h"
#include "tensor/matmul_kernels.h"

enum { REINI_LANES = 64, REINI_KEYS = 64 };

struct reini_lm_cache;

typedef struct reini_attention {
    int heads, kv_heads, size; /* size: of a head */
    bool half;                 /* activations are bf16, and so are products */
    const reini_matmul_kernels *products;
    const reini_lm_kernels *loops;
    rein_pool *pool;
    char *scratch; /* [workers] of scratch_bytes each */
    size_t scratch_bytes;
} reini_attention;

/* Everything but pool and scratch. longest: tokens of a document that goes backwards, 0 = none does. */
void reini_attention_init(reini_attention *a, const reini_lm_shape *shape, bool half, int longest);

typedef struct reini_attention_call {
    int documents;
    const int32_t *start;               /* [documents + 1] rows */
    const int32_t *past;                /* [documents] positions in the cache before these, or NULL: none */
    const int32_t *task;                /* [documents + 1] filled by reini_attention_tasks */
    const void *qkv;                    /* rows of queries, keys, values: (heads + 2 kv_heads) size */
    void *out;                          /* rows of heads size */
    float *log_sum;                     /* rows x heads: log of the sum of e^score; NULL = not wanted */
    const struct reini_lm_cache *cache; /* keys and values come from here when past is given */
    const int32_t *slot;
    int layer;
    const void *dout; /* backwards */
    void *dqkv;
} reini_attention_call;

/* task[d] = first of document d's tasks, task[documents] = all. */
void reini_attention_tasks(const reini_attention *a, int documents, const int32_t *start, int32_t *task);
void reini_attention_forward(const reini_attention *a, const reini_attention_call *call);
void reini_attention_backward(const reini_attention *a, const reini_attention_call *call);

#endif
