/*
 * memory.c - zeroed, 64-byte aligned blocks that are counted and can be made to fail.
 *
 * A block is a piece of one calloc: slack, 64 bytes of head, the caller's bytes. calloc rather than an
 * aligned malloc, because large blocks then come as untouched zero pages: a replay buffer costs memory as it
 * fills.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define ALIGN 64
#define LIVE                                                                                                 \
    0x5265696e4c697665u /* marks a head, so that freeing a foreign pointer is caught by an assertion */

typedef struct head {
    void *base; /* what calloc returned */
    size_t bytes;
    uint64_t mark;
} head;

_Static_assert(sizeof(head) <= ALIGN, "the head must fit before an aligned block");

static _Atomic uint64_t allocations, live_bytes, peak_bytes;
static _Atomic uint64_t fail_in; /* 1 = the next allocation fails, 0 = off */
static _Atomic bool fail_onwards;

reini_memory reini_memory_now(void) {
    return (reini_memory){allocations, live_bytes, peak_bytes};
}

void reini_memory_fail(uint64_t nth, bool onwards) {
    fail_onwards = onwards;
    fail_in = nth;
}

/* counts one allocation down; true when this is one that has to fail */
static bool must_fail(void) {
    uint64_t left = fail_in;
    while (left > 0) {
        uint64_t next = left > 1 ? left - 1 : fail_onwards ? 1 : 0;
        if (atomic_compare_exchange_weak(&fail_in, &left, next))
            return left == 1;
    }
    return false;
}

static void count_block(size_t bytes) {
    uint64_t now = atomic_fetch_add(&live_bytes, bytes) + bytes;
    uint64_t peak = peak_bytes;
    while (now > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, now)) {
    }
}

static head *head_of(void *memory) {
    head *h = (head *)((char *)memory - ALIGN);
    REINI_ASSERT(h->mark == LIVE);
    return h;
}

void *reini_new(size_t bytes) {
    atomic_fetch_add(&allocations, 1);
    if (must_fail() || bytes > SIZE_MAX / 2)
        return NULL;
    size_t whole = bytes + 2 * ALIGN;
    char *base = calloc(1, whole);
    if (!base)
        return NULL;
    char *memory = base + ALIGN + (ALIGN - (uintptr_t)base % ALIGN) % ALIGN;
    *(head *)(memory - ALIGN) = (head){base, bytes, LIVE};
    count_block(bytes);
#ifdef HAVE_ASAN
    ASAN_POISON_MEMORY_REGION(memory + bytes, (size_t)(base + whole - (memory + bytes)));
#endif
    return memory;
}

void reini_free(void *memory) {
    if (!memory)
        return;
    head *h = head_of(memory);
    h->mark = 0;
    atomic_fetch_sub(&live_bytes, h->bytes);
    free(h->base);
}

void *reini_new_array(size_t n, size_t size) {
    if (size && n > SIZE_MAX / size)
        return NULL;
    return reini_new(n * size);
}

void *reini_grow(void *memory, size_t old_bytes, size_t new_bytes) {
    void *next = reini_new(new_bytes);
    if (next && memory) {
        memcpy(next, memory, old_bytes < new_bytes ? old_bytes : new_bytes);
        reini_free(memory);
    }
    return next;
}

rein_status reini_resize(void *array, size_t used, size_t items, size_t size, const char *what) {
    void *old, *grown;
    memcpy(&old, array, sizeof old); /* a pointer of any type */
    if (items > SIZE_MAX / 2 / size)
        return reini_fail_memory(SIZE_MAX, what);
    grown = reini_grow(old, used * size, items * size);
    if (!grown)
        return reini_fail_memory(items * size, what);
    memcpy(array, &grown, sizeof grown);
    return REIN_OK;
}

rein_status reini_reserve(void *array, size_t *room, size_t wanted, size_t size, const char *what) {
    if (wanted <= *room)
        return REIN_OK;
    size_t items = 2 * wanted + 16;
    REINI_TRY(reini_resize(array, *room, items, size, what));
    *room = items;
    return REIN_OK;
}

char *reini_strdup(const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = reini_new(bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}
