/*
 * json_rows.h - the rows of a file of JSON lines.
 */
#ifndef JSON_ROWS_H
#define JSON_ROWS_H

#include <stdlib.h>
#include <unistd.h>
#include <jansson.h>
#include "support/check.h"
#include "support/temp_dir.h"

/* the row that *at is at, which moves on to the next; NULL past the last. Every line is a row. */
static inline json_t *rows_next(char **at) {
    if (**at == 0)
        return NULL;
    char *line = *at;
    size_t length = strcspn(line, "\n");
    json_t *row = json_loadb(line, length, 0, NULL);
    if (row == NULL)
        fail_msg("not a row: %.*s", (int)length, line);
    *at = line + length + (line[length] == '\n');
    return row;
}

/* all rows; a file that is not there has none */
static inline json_t *rows_all(const char *path) {
    json_t *rows = json_array();
    if (access(path, F_OK) != 0)
        return rows;
    char *text = temp_read(path, NULL), *at = text;
    for (json_t *row; (row = rows_next(&at)) != NULL;)
        assert_int_equal(json_array_append_new(rows, row), 0);
    free(text);
    return rows;
}

/* row i, NULL past the end */
static inline json_t *rows_at(const char *path, int i) {
    json_t *rows = rows_all(path), *row = json_incref(json_array_get(rows, (size_t)i));
    json_decref(rows);
    return row;
}

/* the text under a key, which has to be there */
static inline const char *rows_text(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    if (text == NULL)
        fail_msg("no text under %s", key);
    return text;
}

#endif
