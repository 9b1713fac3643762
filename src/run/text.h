/*
 * text.h - a text that grows as it is written. Running out of memory is remembered and reported once, at the end.
 */
#ifndef REINI_TEXT_H
#define REINI_TEXT_H

#include "base/base.h"

typedef struct reini_text {
    char *data; /* 0-terminated once something was put */
    size_t used, room;
    bool failed;
} reini_text;

void reini_text_put(reini_text *text, const char *format, ...) REIN_PRINTF(2, 3);
/* The same piece n times; nothing for n <= 0. */
void reini_text_repeat(reini_text *text, const char *piece, int n);
/* What was written, "" for nothing (reini_free it); the text is empty afterwards. REIN_NOMEM with `what`. */
rein_status reini_text_take(reini_text *text, const char *what, char **out);
void reini_text_release(reini_text *text);

/* Columns on a terminal: every byte of UTF-8 but the continuations. */
int reini_text_columns(const char *text);

#endif
