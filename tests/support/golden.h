/*
 * golden.h - numbers of a JSON file below tests/golden.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <jansson.h>
#include "support/check.h"

/* the whole file; json_decref it */
static inline json_t *golden_read(const char *name) {
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, "%s/tests/golden/%s", REIN_SOURCE_DIR, name);
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return root;
}

/* a member that must be there */
static inline json_t *golden_at(const json_t *object, const char *name) {
    json_t *value = json_object_get(object, name);
    if (value == NULL)
        fail_msg("the golden file has no \"%s\"", name);
    return value;
}

static inline double golden_number(const json_t *object, const char *name) {
    json_t *value = golden_at(object, name);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* the numbers of nested arrays, row by row; returns how many there are */
static inline int64_t golden_flatten(const json_t *value, double *out, int64_t most) {
    int64_t n = 0;
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            n += golden_flatten(json_array_get(value, i), out + n, most - n);
        return n;
    }
    assert_true(json_is_number(value) && most > 0);
    *out = json_number_value(value);
    return 1;
}

/* exactly n numbers of a member */
static inline void golden_doubles(const json_t *object, const char *name, double *out, int64_t n) {
    assert_int_equal(golden_flatten(golden_at(object, name), out, n), n);
}

#endif
