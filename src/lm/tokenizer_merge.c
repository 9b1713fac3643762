/*
 * tokenizer_merge.c - byte-pair encoding of one piece.
 *
 * The pair of lowest rank is joined, the leftmost of equals, until no neighbours join. Short pieces, nearly all there
 * are, keep the ranks of neighbours in an array and look for the least; long ones keep them in a heap of (rank, position),
 * whose stale entries are known by the rank that stands at their position now.
 */
#include <string.h>
#include "lm/tokenizer_parts.h"

enum { SHORT = 40, LEAST_ROOM = 256 };

void reini_merger_release(reini_merger *m) {
    reini_free(m->ids);
    reini_free(m->ranks);
    reini_free(m->results);
    reini_free(m->next);
    reini_free(m->previous);
    reini_free(m->heap);
    *m = (reini_merger){0};
}

static bool make_room(reini_merger *m, size_t n) {
    if (n <= m->room)
        return true;
    size_t room = n > LEAST_ROOM ? 2 * n : LEAST_ROOM;
    reini_merger_release(m);
    m->ids = REINI_NEW_ARRAY(int32_t, room);
    m->ranks = REINI_NEW_ARRAY(int32_t, room);
    m->results = REINI_NEW_ARRAY(int32_t, room);
    m->next = REINI_NEW_ARRAY(int32_t, room);
    m->previous = REINI_NEW_ARRAY(int32_t, room);
    m->heap = REINI_NEW_ARRAY(uint64_t, 3 * room); /* one entry per pair at first, two more per join */
    m->room = room;
    if (m->ids && m->ranks && m->results && m->next && m->previous && m->heap)
        return true;
    reini_merger_release(m);
    return false;
}

/* rank and result of ids[i] with ids[k] */
static inline void look(reini_merger *m, const reini_tokenizer *t, int64_t i, int64_t k) {
    const reini_merge *merge = reini_merge_find(t, m->ids[i], m->ids[k]);
    m->ranks[i] = merge ? merge->rank : REINI_NO_RANK;
    m->results[i] = merge ? merge->id : -1;
}

static int64_t merge_short(reini_merger *m, const reini_tokenizer *t, int64_t n) {
    for (int64_t i = 0; i + 1 < n; i++)
        look(m, t, i, i + 1);
    while (n > 1) {
        int64_t best = 0;
        for (int64_t i = 1; i < n - 1; i++)
            if (m->ranks[i] < m->ranks[best])
                best = i;
        if (m->ranks[best] == REINI_NO_RANK)
            break;
        m->ids[best] = m->results[best];
        size_t moved = (size_t)(n - best - 2) * sizeof *m->ids;
        memmove(m->ids + best + 1, m->ids + best + 2, moved);
        memmove(m->ranks + best, m->ranks + best + 1, moved);
        memmove(m->results + best, m->results + best + 1, moved);
        n--;
        if (best > 0)
            look(m, t, best - 1, best);
        if (best < n - 1)
            look(m, t, best, best + 1);
    }
    return n;
}

/* ---- long pieces --------------------------------------------------------------------------------------- */

static void push(uint64_t *heap, size_t *n, uint64_t value) {
    size_t i = (*n)++;
    for (; i > 0 && heap[(i - 1) / 2] > value; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = value;
}

static uint64_t pop(uint64_t *heap, size_t *n) {
    uint64_t top = heap[0], last = heap[--*n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < *n; i = child) {
        if (child + 1 < *n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= last)
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

/* looks at the pair that begins at i, and queues it when it joins */
static void queue(reini_merger *m, const reini_tokenizer *t, size_t *heap, int32_t i) {
    m->ranks[i] = REINI_NO_RANK;
    if (m->next[i] < 0)
        return;
    look(m, t, i, m->next[i]);
    if (m->ranks[i] != REINI_NO_RANK)
        push(m->heap, heap, (uint64_t)m->ranks[i] << 32 | (uint32_t)i);
}

static int64_t merge_long(reini_merger *m, const reini_tokenizer *t, int64_t n) {
    size_t heap = 0;
    for (int32_t i = 0; i < n; i++) {
        m->next[i] = i + 1 < n ? i + 1 : -1;
        m->previous[i] = i - 1;
    }
    for (int32_t i = 0; i < n; i++)
        queue(m, t, &heap, i);
    while (heap > 0) {
        uint64_t top = pop(m->heap, &heap);
        int32_t i = (int32_t)(top & UINT32_MAX);
        if (m->ids[i] < 0 || m->ranks[i] != (int32_t)(top >> 32))
            continue;
        int32_t gone = m->next[i], next = m->next[gone];
        m->ids[i] = m->results[i];
        m->ids[gone] = -1;
        m->next[i] = next;
        if (next >= 0)
            m->previous[next] = i;
        queue(m, t, &heap, i);
        if (m->previous[i] >= 0)
            queue(m, t, &heap, m->previous[i]);
    }
    int64_t left = 0;
    for (int64_t i = 0; i < n; i++)
        if (m->ids[i] >= 0)
            m->ids[left++] = m->ids[i];
    return left;
}

int64_t reini_merger_run(reini_merger *m, const reini_tokenizer *t, const char *piece, size_t n) {
    if (n > INT32_MAX / 8 || !make_room(m, n))
        return -1;
    int64_t letters = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id = t->byte_id[(unsigned char)piece[i]];
        if (id >= 0)
            m->ids[letters++] = id;
    }
    return letters <= SHORT ? merge_short(m, t, letters) : merge_long(m, t, letters);
}
