/*
 * fuzz_jsonl.c - bytes as a file of JSON lines, whose rows are then taken for rows of training data.
 *
 * Every line either gives an object or ends the reading with a sentence that names file and line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "data/jsonl.h"
#include "data/lm_encode.h"
#include "fuzz.h"
#include "memory_file.h"

static void must(bool condition, const char *what) {
    if (condition)
        return;
    fprintf(stderr, "%s (%s)\n", what, rein_error());
    abort();
}

static void check_values(json_t *row) {
    const char *key;
    json_t *value;
    json_object_foreach(row, key, value) {
        rein_status status = reini_conversation_check(value, key);
        must(status == REIN_OK || (status == REIN_FORMAT && strstr(rein_error(), key)),
             "a value without a name");
        must(status != REIN_OK || json_is_string(value) || json_is_array(value), "a value of another kind");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    reini_jsonl *file;
    const char *path = memory_file(data, size, "", 0);
    int64_t line = 0, before = 0, lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    must(reini_jsonl_open(path, &file) == REIN_OK, "the file cannot be opened");
    for (;;) {
        json_t *row;
        rein_status status = reini_jsonl_next(file, &row, &line);
        if (status != REIN_OK || !row) {
            must(status == REIN_OK || strstr(rein_error(), path), "a failure that names no file");
            must(status == REIN_OK || !row, "a failure with a row");
            break;
        }
        must(json_is_object(row) && line > before && line <= lines, "a row that is none, or of no line");
        before = line;
        check_values(row);
        json_decref(row);
    }
    reini_jsonl_close(file);
    return 0;
}
