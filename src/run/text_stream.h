/*
 * text_stream.h - the bytes of tokens as text: whole characters as soon as they are complete and certain.
 *
 * A token may end within a character, and a text may end within what could become a stop string; such bytes wait for
 * the next token. What is not UTF-8 becomes U+FFFD, one for every longest beginning of a character (as Unicode
 * recommends and as decoders of tokenizers do), and so does a zero byte, which C strings cannot hold.
 */
#ifndef REINI_TEXT_STREAM_H
#define REINI_TEXT_STREAM_H

#include "lm/stop.h"

typedef struct reini_text_stream {
    char *waiting; /* bytes not yet given out */
    size_t n, room;
    int64_t given;         /* bytes given out, those of incomplete characters included */
    unsigned char part[4]; /* beginning of a character */
    int n_part;
    const reini_stop *stop; /* NULL = none */
    int32_t *stop_state;
    char *text; /* of the last call, 0-terminated */
    size_t text_room;
} reini_text_stream;

/* Zeroed otherwise; released after success and failure. */
rein_status reini_text_stream_init(reini_text_stream *s, const reini_stop *stop);
void reini_text_stream_release(reini_text_stream *s);
/* Bytes that wait for the end. */
rein_status reini_text_stream_hold(reini_text_stream *s, const char *bytes, int size);
/* The next token's bytes; s->text is what can be shown now, maybe "". */
rein_status reini_text_stream_add(reini_text_stream *s, const char *bytes, int size);
/* The end: s->text is the rest, up to byte `stop_at` of the whole text (-1 = all of it). */
rein_status reini_text_stream_end(reini_text_stream *s, int64_t stop_at);

#endif
