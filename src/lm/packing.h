/*
 * packing.h - documents put together: into rows of a fixed room, and into batches for the network.
 *
 * Best-fit-decreasing: the longest document first, each into the fullest row that still has the room. Documents in a
 * row stay apart (the network attends within one document only), so packing changes how long a step takes, and how
 * many documents are in it, never what a document's tokens see.
 */
#ifndef REINI_PACKING_H
#define REINI_PACKING_H

#include "base/base.h"

/* ---- rows ---------------------------------------------------------------------------------------------- */

typedef struct reini_rows {
    int64_t n;         /* rows */
    int64_t *first;    /* [n + 1] into `document` */
    int64_t *document; /* [documents] their numbers, row after row */
} reini_rows;

/* length: of n documents, each in [1, room]. */
rein_status reini_rows_pack(const int32_t *length, int64_t n, int room, reini_rows *rows);
/* One document a row, in order. */
rein_status reini_rows_plain(int64_t n, reini_rows *rows);
void reini_rows_release(reini_rows *rows);

/* The most tokens and documents that any `count` of the rows hold together: what a batch needs room for. */
rein_status reini_rows_room(const reini_rows *rows, const int32_t *length, int64_t count, int64_t *tokens,
                            int64_t *documents);

/* ---- batches ------------------------------------------------------------------------------------------- */

/* What a pass of the network is fed: see reini_lm_batch and reini_lm_scores. */
typedef struct reini_packed {
    int tokens, documents, scored;
    int tokens_room, documents_room;
    int32_t *token;  /* [tokens] */
    int32_t *start;  /* [documents + 1] */
    int32_t *row;    /* [scored] */
    int32_t *target; /* [scored] */
    int32_t *first;  /* [documents + 1] first scored token of each document */
} reini_packed;

rein_status reini_packed_new(int tokens, int documents, reini_packed **out);
void reini_packed_free(reini_packed *packed);
void reini_packed_clear(reini_packed *packed);
/* Adds a document of n >= 1 tokens; scored[i] != 0: token i is predicted from those before it (i = 0 never is). There
 * must be room. */
void reini_packed_add(reini_packed *packed, const int32_t *token, const uint8_t *scored, int n);

#endif
