/*
 * text.c - a text that grows as it is written.
 */
#include "run/text.h"

#include <stdio.h>
#include <string.h>

/* room for `more` bytes and a 0 */
static bool reserve(reini_text *t, size_t more) {
    if (t->failed)
        return false;
    if (t->room - t->used > more)
        return true;
    size_t room = 2 * t->room + more + 256;
    char *grown = reini_grow(t->data, t->room, room);
    if (grown == NULL) {
        t->failed = true;
        return false;
    }
    t->data = grown;
    t->room = room;
    return true;
}

void reini_text_put(reini_text *t, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n > 0 && reserve(t, (size_t)n)) {
        vsnprintf(t->data + t->used, t->room - t->used, format, again);
        t->used += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void reini_text_repeat(reini_text *t, const char *piece, int n) {
    size_t size = strlen(piece);
    if (n <= 0 || !reserve(t, (size_t)n * size))
        return;
    for (int i = 0; i < n; i++, t->used += size)
        memcpy(t->data + t->used, piece, size);
    t->data[t->used] = 0;
}

rein_status reini_text_take(reini_text *t, const char *what, char **out) {
    reserve(t, 0);
    if (t->failed) {
        size_t wanted = 2 * t->room + 256;
        reini_text_release(t);
        return reini_fail_memory(wanted, what);
    }
    t->data[t->used] = 0;
    *out = t->data;
    *t = (reini_text){0};
    return REIN_OK;
}

void reini_text_release(reini_text *t) {
    reini_free(t->data);
    *t = (reini_text){0};
}

int reini_text_columns(const char *text) {
    int columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}
