/*
 * stop.h - strings that end a text, found while the text is written piece by piece.
 *
 * A stop string may begin in one token and end in another, so every text carries how much of each string it ends with
 * (Knuth, Morris and Pratt 1977). The same number says how many bytes a stream must hold back.
 */
#ifndef REINI_STOP_H
#define REINI_STOP_H

#include "base/base.h"

typedef struct reini_stop reini_stop; /* constant, shared by texts */

/* Copies n strings; an empty one is refused. */
rein_status reini_stop_new(const char *const *texts, int n, reini_stop **out);
void reini_stop_free(reini_stop *stop);
int reini_stop_count(const reini_stop *stop); /* NULL: 0 */

/* Reads the next `size` bytes of a text whose state is [count] numbers, zeros at its beginning. True when a string ends
 * among them; *from is then where it begins, counted from the first of these bytes (negative: in an earlier piece). Of
 * strings that end at the same byte the longest counts. */
bool reini_stop_read(const reini_stop *stop, int32_t *state, const char *bytes, int64_t size, int64_t *from);
/* Bytes at the end of the text that may turn out to be the beginning of a stop string. */
int reini_stop_held(const reini_stop *stop, const int32_t *state);

#endif
