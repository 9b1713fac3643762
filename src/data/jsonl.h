/*
 * jsonl.h - JSON lines: one JSON object a line, read one at a time, so that a file may be larger than memory.
 *
 * Lines may be of any length and end in LF or CRLF; blank ones are skipped; a byte order mark at the start is passed
 * over. A line that is not an object ends the reading with a sentence that names file, line, column and reason.
 */
#ifndef REINI_JSONL_H
#define REINI_JSONL_H

#include <jansson.h>
#include "base/base.h"

typedef struct reini_jsonl reini_jsonl;

rein_status reini_jsonl_open(const char *path, reini_jsonl **out);
void reini_jsonl_close(reini_jsonl *file); /* NULL is accepted */
/* The next object (json_decref it), NULL past the last. *line counts from 1. */
rein_status reini_jsonl_next(reini_jsonl *file, json_t **row, int64_t *line);
const char *reini_jsonl_path(const reini_jsonl *file);

/* "PATH:LINE: the sentence that follows", for what is wrong with a row that is JSON. */
rein_status reini_jsonl_fail(const reini_jsonl *file, int64_t line, const char *format, ...)
    REIN_PRINTF(3, 4);

#endif
