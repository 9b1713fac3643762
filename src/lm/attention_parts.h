/* attention_parts.h - what attention.c and attention_backward.c share: blocks, and how products see them. */
#ifndef REINI_ATTENTION_PARTS_H
#define REINI_ATTENTION_PARTS_H

#include "lm/attention.h"

enum {
    REINI_SCORE_ROW =
        REINI_LANES + 16,   /* floats between rows of scores, so that they do not share a cache set */
    REINI_TASK_LANES = 256, /* of one forward task */
};

static inline int64_t reini_up(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

/* Scratch handed out from the front, whole cache lines; at NULL it only counts. */
typedef struct reini_carver {
    char *at;
    size_t used;
} reini_carver;

static inline void *reini_carve(reini_carver *c, size_t bytes) {
    void *piece = c->at == NULL ? NULL : c->at + c->used;
    c->used += (bytes + 63) / 64 * 64;
    return piece;
}

/* Bytes of n lines by depth, packed; kernels may reach a vector beyond. */
static inline size_t reini_packed_a(const reini_matmul_kernels *k, int64_t lines, int64_t depth) {
    return (size_t)(reini_up(lines, k->high) * reini_up(depth, k->deep)) * k->size + 64;
}
static inline size_t reini_packed_b(const reini_matmul_kernels *k, int64_t lines, int64_t depth) {
    return (size_t)(reini_up(lines, k->wide) * reini_up(depth, k->deep)) * k->size + 64;
}

/* A block of queries: lanes [first, first + n) of a document's n_tokens x group for one kv head. */
typedef struct reini_lane_block {
    int64_t first, n;
    int32_t last[REINI_LANES]; /* number of the last key each may see */
} reini_lane_block;

static inline int reini_group(const reini_attention *a) {
    return a->heads / a->kv_heads;
}
static inline int64_t reini_qkv_row(const reini_attention *a) {
    return (int64_t)(a->heads + 2 * a->kv_heads) * a->size;
}
static inline size_t reini_act_bytes(const reini_attention *a) {
    return a->half ? 2 : 4;
}
/* Token and head of a lane. */
static inline int64_t reini_lane_token(const reini_attention *a, int64_t lane) {
    return lane / reini_group(a);
}
static inline int64_t reini_lane_head(const reini_attention *a, int kv, int64_t lane) {
    return kv * reini_group(a) + lane % reini_group(a);
}

/* An operand lying in memory as it is. */
static inline reini_lines reini_lines_of(const reini_attention *a, const void *at, bool half, bool across,
                                         int64_t stride, int64_t lines, int64_t depth) {
    return (reini_lines){at, half, a->half, across, stride, lines, depth};
}

/* Lanes that passes run over; those beyond n are zeros. */
static inline int64_t reini_lanes_wide(const reini_lane_block *b) {
    return reini_up(b->n, 16);
}
/* Sets lanes of the block; past: positions before the document's first row. */
void reini_lanes_set(const reini_attention *a, reini_lane_block *b, int64_t first, int64_t all, int64_t past);
/* Numbers of `rows`, the document's first on, (each of `row` numbers), that belong to the lanes' heads, one after the other. */
void reini_lanes_gather(const reini_attention *a, const reini_lane_block *b, int kv, void *to,
                        const void *rows, int64_t row);
/* Scratch of a worker that goes backwards through documents of up to `longest` tokens. */
size_t reini_attention_backward_bytes(const reini_attention *a, int longest);
/* The document that a task belongs to. */
int reini_task_document(const int32_t *task, int documents, int which);

#endif
