/*
 * packing.c - best-fit-decreasing in linear time: rows wait in stacks by the room they have left, and a bit for every
 * stack that is not empty finds the best fit.
 */
#include <stdlib.h>
#include <string.h>
#include "lm/packing.h"

/* ---- rows ---------------------------------------------------------------------------------------------- */

static rein_status rows_new(int64_t n, reini_rows *rows) {
    *rows = (reini_rows){0};
    rows->first = REINI_NEW_ARRAY(int64_t, (size_t)n + 1);
    rows->document = REINI_NEW_ARRAY(int64_t, (size_t)n);
    if (rows->first && rows->document)
        return REIN_OK;
    reini_rows_release(rows);
    return reini_fail_memory((size_t)n * 2 * sizeof(int64_t), "the rows of a data set");
}

void reini_rows_release(reini_rows *rows) {
    reini_free(rows->first);
    reini_free(rows->document);
    *rows = (reini_rows){0};
}

rein_status reini_rows_plain(int64_t n, reini_rows *rows) {
    REINI_TRY(rows_new(n, rows));
    rows->n = n;
    for (int64_t i = 0; i < n; i++) {
        rows->first[i + 1] = i + 1;
        rows->document[i] = i;
    }
    return REIN_OK;
}

typedef struct packer {
    int room;
    int64_t *order;  /* [n] documents, the longest first, in order of their numbers where equal */
    int64_t *top;    /* [room + 1] row on top of the stack of rows with so much left, -1 = none */
    int64_t *below;  /* [n] row below a row in its stack */
    int64_t *bin;    /* [n] row of each document */
    uint64_t *stack; /* bit r: top[r] >= 0 */
} packer;

static void packer_release(packer *p) {
    reini_free(p->order);
    reini_free(p->top);
    reini_free(p->below);
    reini_free(p->bin);
    reini_free(p->stack);
}

static rein_status packer_init(packer *p, int64_t n, int room) {
    *p = (packer){.room = room};
    p->order = REINI_NEW_ARRAY(int64_t, (size_t)n);
    p->top = REINI_NEW_ARRAY(int64_t, (size_t)room + 2);
    p->below = REINI_NEW_ARRAY(int64_t, (size_t)n);
    p->bin = REINI_NEW_ARRAY(int64_t, (size_t)n);
    p->stack = REINI_NEW_ARRAY(uint64_t, (size_t)room / 64 + 1);
    if (p->order && p->top && p->below && p->bin && p->stack)
        return REIN_OK;
    packer_release(p);
    return reini_fail_memory((size_t)n * 3 * sizeof(int64_t), "packing");
}

/* counting sort by length; `top` counts */
static void sort(packer *p, const int32_t *length, int64_t n) {
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++)
        p->top[length[i]]++;
    for (int r = p->room; r >= 0; r--) {
        int64_t count = p->top[r];
        p->top[r] = at;
        at += count;
    }
    for (int64_t i = 0; i < n; i++)
        p->order[p->top[length[i]]++] = i;
    for (int r = 0; r <= p->room; r++)
        p->top[r] = -1;
}

static void push(packer *p, int64_t row, int left) {
    p->below[row] = p->top[left];
    p->top[left] = row;
    p->stack[left / 64] |= (uint64_t)1 << left % 64;
}

/* The least room >= length that a row has left, -1 = none has. */
static int best_fit(const packer *p, int length) {
    int word = length / 64, words = p->room / 64 + 1;
    uint64_t bits = p->stack[word] & (~(uint64_t)0 << length % 64);
    while (bits == 0 && ++word < words)
        bits = p->stack[word];
    return bits ? word * 64 + __builtin_ctzll(bits) : -1;
}

static int64_t place(packer *p, int length, int64_t rows) {
    int left = best_fit(p, length);
    int64_t row = left < 0 ? rows : p->top[left];
    if (left >= 0) {
        p->top[left] = p->below[row];
        if (p->top[left] < 0)
            p->stack[left / 64] &= ~((uint64_t)1 << left % 64);
    }
    push(p, row, (left < 0 ? p->room : left) - length);
    return row;
}

/* documents of a row in the order of their numbers */
static void collect(const packer *p, int64_t n, reini_rows *rows) {
    for (int64_t i = 0; i < n; i++)
        rows->first[p->bin[i] + 1]++;
    for (int64_t r = 0; r < rows->n; r++)
        rows->first[r + 1] += rows->first[r];
    int64_t *at = p->below; /* the stacks are done with */
    memcpy(at, rows->first, (size_t)rows->n * sizeof *at);
    for (int64_t i = 0; i < n; i++)
        rows->document[at[p->bin[i]]++] = i;
}

rein_status reini_rows_pack(const int32_t *length, int64_t n, int room, reini_rows *rows) {
    packer p;
    REINI_TRY(rows_new(n, rows));
    rein_status status = packer_init(&p, n, room);
    if (status != REIN_OK) {
        reini_rows_release(rows);
        return status;
    }
    sort(&p, length, n);
    for (int64_t k = 0; k < n; k++) {
        int64_t i = p.order[k];
        REINI_ASSERT(length[i] >= 1 && length[i] <= room);
        p.bin[i] = place(&p, length[i], rows->n);
        rows->n += p.bin[i] == rows->n;
    }
    collect(&p, n, rows);
    packer_release(&p);
    return REIN_OK;
}

static int descending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static int64_t sum_of_largest(int64_t *value, int64_t n, int64_t count) {
    int64_t sum = 0;
    qsort(value, (size_t)n, sizeof *value, descending);
    for (int64_t i = 0; i < n && i < count; i++)
        sum += value[i];
    return sum;
}

rein_status reini_rows_room(const reini_rows *rows, const int32_t *length, int64_t count, int64_t *tokens,
                            int64_t *documents) {
    int64_t *value = REINI_NEW_ARRAY(int64_t, (size_t)rows->n);
    if (!value)
        return reini_fail_memory((size_t)rows->n * sizeof *value, "the rows of a data set");
    for (int64_t r = 0; r < rows->n; r++)
        for (int64_t k = rows->first[r]; k < rows->first[r + 1]; k++)
            value[r] += length[rows->document[k]];
    *tokens = sum_of_largest(value, rows->n, count);
    for (int64_t r = 0; r < rows->n; r++)
        value[r] = rows->first[r + 1] - rows->first[r];
    *documents = sum_of_largest(value, rows->n, count);
    reini_free(value);
    return REIN_OK;
}

/* ---- batches ------------------------------------------------------------------------------------------- */

rein_status reini_packed_new(int tokens, int documents, reini_packed **out) {
    *out = NULL;
    reini_packed *p = REINI_NEW(reini_packed);
    size_t bytes = ((size_t)tokens * 3 + (size_t)documents * 2) * sizeof(int32_t);
    if (!p)
        return reini_fail_memory(bytes, "a batch");
    p->tokens_room = tokens;
    p->documents_room = documents;
    p->token = REINI_NEW_ARRAY(int32_t, (size_t)tokens);
    p->row = REINI_NEW_ARRAY(int32_t, (size_t)tokens);
    p->target = REINI_NEW_ARRAY(int32_t, (size_t)tokens);
    p->start = REINI_NEW_ARRAY(int32_t, (size_t)documents + 1);
    p->first = REINI_NEW_ARRAY(int32_t, (size_t)documents + 1);
    if (!p->token || !p->row || !p->target || !p->start || !p->first) {
        reini_packed_free(p);
        return reini_fail_memory(bytes, "a batch");
    }
    *out = p;
    return REIN_OK;
}

void reini_packed_free(reini_packed *p) {
    if (!p)
        return;
    reini_free(p->token);
    reini_free(p->row);
    reini_free(p->target);
    reini_free(p->start);
    reini_free(p->first);
    reini_free(p);
}

void reini_packed_clear(reini_packed *p) {
    p->tokens = p->documents = p->scored = 0;
}

void reini_packed_add(reini_packed *p, const int32_t *token, const uint8_t *scored, int n) {
    REINI_ASSERT(n >= 1 && p->tokens + n <= p->tokens_room && p->documents < p->documents_room);
    memcpy(p->token + p->tokens, token, (size_t)n * sizeof *token);
    for (int i = 1; i < n; i++)
        if (scored[i]) {
            p->row[p->scored] = p->tokens + i - 1;
            p->target[p->scored++] = token[i];
        }
    p->tokens += n;
    p->documents++;
    p->start[p->documents] = p->tokens;
    p->first[p->documents] = p->scored;
}
