/* transformer_cache.c - keys and values of sequences in flight; see transformer_cache.h. */
#include "lm/transformer_cache.h"

#include <string.h>
#include "base/huge_pages.h"
#include "lm/attention.h"

typedef struct sequence {
    int length;         /* positions, the parent's included */
    int parent, shared; /* of the parent, whole blocks that are read there */
} sequence;

struct reini_lm_cache {
    int layers, slots, heads, size;
    int capacity; /* whole blocks */
    rein_dtype dtype;
    sequence *slot;
    char *at; /* [layers][slots][heads][2][capacity][size] */
};

static int64_t whole_blocks(int64_t capacity) {
    return (capacity + REINI_KEYS - 1) / REINI_KEYS * REINI_KEYS;
}

static int64_t numbers(const reini_lm_shape *s, int slots, int capacity) {
    return (int64_t)s->layers * slots * s->kv_heads * 2 * whole_blocks(capacity) * s->head_size;
}

int64_t reini_lm_cache_bytes(const reini_lm_shape *shape, rein_dtype products, int slots, int capacity) {
    return numbers(shape, slots, capacity) * (products == REIN_BF16 ? 2 : 4) +
           slots * (int64_t)sizeof(sequence) + (int64_t)sizeof(reini_lm_cache);
}

rein_status reini_lm_cache_new(const reini_lm_weights *w, int slots, int capacity, reini_lm_cache **out) {
    *out = NULL;
    size_t bytes = (size_t)reini_lm_cache_bytes(&w->shape, w->products, slots, capacity);
    REINI_TRY(reini_memory_claim(bytes, "keys and values"));
    reini_lm_cache *c = REINI_NEW(reini_lm_cache);
    if (c == NULL)
        return reini_fail_memory(bytes, "keys and values");
    *c = (reini_lm_cache){.layers = w->shape.layers,
                          .slots = slots,
                          .heads = w->shape.kv_heads,
                          .size = w->shape.head_size,
                          .capacity = (int)whole_blocks(capacity),
                          .dtype = w->products,
                          .slot = REINI_NEW_ARRAY(sequence, (size_t)slots)};
    size_t room = (size_t)numbers(&w->shape, slots, capacity) * (c->dtype == REIN_BF16 ? 2 : 4);
    c->at = reini_new(room);
    if (c->slot == NULL || c->at == NULL) {
        reini_lm_cache_free(c);
        return reini_fail_memory(bytes, "keys and values");
    }
    for (int s = 0; s < slots; s++)
        c->slot[s].parent = -1;
    *out = c;
    return REIN_OK;
}

void reini_lm_cache_free(reini_lm_cache *c) {
    if (c == NULL)
        return;
    reini_free(c->slot);
    reini_free(c->at);
    reini_free(c);
}

rein_dtype reini_lm_cache_type(const reini_lm_cache *c) {
    return c->dtype;
}

int reini_lm_cache_length(const reini_lm_cache *c, int slot) {
    REINI_ASSERT(slot >= 0 && slot < c->slots);
    return c->slot[slot].length;
}

/* ---- places --------------------------------------------------------------------------------------------- */

static char *place(const reini_lm_cache *c, int layer, int slot, int head, bool values, int position) {
    int64_t line =
        ((((int64_t)layer * c->slots + slot) * c->heads + head) * 2 + values) * c->capacity + position;
    return c->at + (size_t)(line * c->size) * (c->dtype == REIN_BF16 ? 2 : 4);
}

const void *reini_lm_cache_at(const reini_lm_cache *c, int layer, int slot, int head, bool values,
                              int position) {
    while (position / REINI_KEYS < c->slot[slot].shared)
        slot = c->slot[slot].parent;
    return place(c, layer, slot, head, values, position);
}

void reini_lm_cache_put(reini_lm_cache *c, int layer, int slot, bool values, int position, const void *from) {
    size_t bytes = (size_t)c->size * (c->dtype == REIN_BF16 ? 2 : 4);
    REINI_ASSERT(position >= c->slot[slot].length && position < c->capacity);
    for (int h = 0; h < c->heads; h++)
        memcpy(place(c, layer, slot, h, values, position), (const char *)from + (size_t)h * bytes, bytes);
}

void reini_lm_cache_add(reini_lm_cache *c, int slot, int n) {
    c->slot[slot].length += n;
    REINI_ASSERT(c->slot[slot].length <= c->capacity);
}

/* Positions [from, to) of the block they lie in, from another slot. */
static void copy_positions(reini_lm_cache *c, int slot, int parent, int from, int to) {
    size_t bytes = (size_t)((to - from) * c->size) * (c->dtype == REIN_BF16 ? 2 : 4);
    for (int layer = 0; layer < c->layers; layer++)
        for (int h = 0; h < c->heads; h++)
            for (int values = 0; values < 2; values++)
                memcpy(place(c, layer, slot, h, values, from),
                       reini_lm_cache_at(c, layer, parent, h, values, from), bytes);
}

void reini_lm_cache_reset(reini_lm_cache *c, int slot, int parent, int length) {
    REINI_ASSERT(slot >= 0 && slot < c->slots && parent < c->slots && parent != slot);
    c->slot[slot].parent = parent;
    c->slot[slot].length = c->slot[slot].shared = 0;
    if (parent < 0)
        return;
    REINI_ASSERT(length >= 0 && length <= c->slot[parent].length);
    c->slot[slot].length = length;
    c->slot[slot].shared = length / REINI_KEYS;
    int from = c->slot[slot].shared * REINI_KEYS;
    if (from < length)
        copy_positions(c, slot, parent, from, length);
}
