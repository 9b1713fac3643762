/*
 * jsonl.c - JSON lines from a file through one buffer that grows to the longest line.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "data/jsonl.h"

#define BLOCK          ((size_t)1 << 16)
#define LINE_BYTES_MAX ((size_t)1 << 30) /* a line longer than this is no line of a data set */

struct reini_jsonl {
    char *path;
    FILE *in;
    char *data; /* bytes [begin, end) are read and not yet handed out */
    size_t begin, end, room;
    bool whole; /* nothing is left in the file */
    int64_t line;
};

rein_status reini_jsonl_open(const char *path, reini_jsonl **out) {
    *out = NULL;
    if (reini_dir_exists(path))
        return reini_fail(REIN_USAGE, "\"%s\" is a directory, expected a file of JSON lines", path);
    reini_jsonl *file = REINI_NEW(reini_jsonl);
    if (!file)
        return reini_fail_memory(sizeof *file, path);
    file->path = reini_strdup(path);
    file->data = reini_new(BLOCK);
    file->room = BLOCK;
    file->in = fopen(path, "rb");
    if (!file->in || !file->path || !file->data) {
        rein_status status = !file->in ? reini_fail(REIN_IO, "cannot open \"%s\": %s", path, strerror(errno))
                                       : reini_fail_memory(BLOCK, path);
        reini_jsonl_close(file);
        return status;
    }
    *out = file;
    return REIN_OK;
}

void reini_jsonl_close(reini_jsonl *file) {
    if (!file)
        return;
    if (file->in)
        fclose(file->in);
    reini_free(file->path);
    reini_free(file->data);
    reini_free(file);
}

const char *reini_jsonl_path(const reini_jsonl *file) {
    return file->path;
}

rein_status reini_jsonl_fail(const reini_jsonl *file, int64_t line, const char *format, ...) {
    char sentence[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(sentence, sizeof sentence, format, list);
    va_end(list);
    return reini_fail(REIN_FORMAT, "%s:%lld: %s", file->path, (long long)line, sentence);
}

/* ---- lines --------------------------------------------------------------------------------------------- */

/* what is left moves to the front, and one block of the file goes behind it */
static rein_status fill(reini_jsonl *file) {
    memmove(file->data, file->data + file->begin, file->end - file->begin);
    file->end -= file->begin;
    file->begin = 0;
    if (file->room - file->end < BLOCK) {
        if (file->end >= LINE_BYTES_MAX)
            return reini_jsonl_fail(file, file->line + 1,
                                    "the line is longer than 1 GB, expected one JSON object a line");
        char *grown = reini_grow(file->data, file->room, 2 * file->room);
        if (!grown)
            return reini_fail_memory(2 * file->room, file->path);
        file->data = grown;
        file->room *= 2;
    }
    size_t n = fread(file->data + file->end, 1, file->room - file->end, file->in);
    if (n == 0 && ferror(file->in))
        return reini_fail(REIN_IO, "cannot read \"%s\": %s", file->path, strerror(errno));
    file->end += n;
    file->whole = n == 0;
    return REIN_OK;
}

/* *text NULL: there is none; length without the end of the line */
static rein_status next_line(reini_jsonl *file, char **text, size_t *length) {
    size_t seen = 0;
    char *newline = NULL;
    for (;;) {
        size_t held = file->end - file->begin;
        newline = memchr(file->data + file->begin + seen, '\n', held - seen);
        if (newline || file->whole)
            break;
        seen = held;
        REINI_TRY(fill(file));
    }
    *text = NULL;
    if (!newline && file->begin == file->end)
        return REIN_OK;
    *text = file->data + file->begin;
    *length = newline ? (size_t)(newline - *text) : file->end - file->begin;
    file->begin += *length + (newline != NULL);
    if (*length > 0 && (*text)[*length - 1] == '\r')
        --*length;
    if (file->line++ == 0 && *length >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) {
        *text += 3;
        *length -= 3;
    }
    return REIN_OK;
}

static bool is_blank(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

static rein_status parse(const reini_jsonl *file, const char *text, size_t length, json_t **row) {
    json_error_t error;
    *row = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (*row && json_is_object(*row))
        return REIN_OK;
    if (*row) {
        json_decref(*row);
        *row = NULL;
        return reini_jsonl_fail(file, file->line,
                                "a list, expected a JSON object: a file of JSON lines has one object a line "
                                "and no list around them");
    }
    if (!error.text[0] || json_error_code(&error) == json_error_out_of_memory)
        return reini_fail_memory(length, file->path);
    return reini_fail(REIN_FORMAT, "%s:%lld:%d: %s; expected one JSON object a line", file->path,
                      (long long)file->line, error.column, error.text);
}

rein_status reini_jsonl_next(reini_jsonl *file, json_t **row, int64_t *line) {
    char *text;
    size_t length = 0;
    *row = NULL;
    do {
        REINI_TRY(next_line(file, &text, &length));
        if (!text)
            return REIN_OK;
    } while (is_blank(text, length));
    *line = file->line;
    return parse(file, text, length, row);
}
