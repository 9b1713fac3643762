/*
 * fuzz_lm_config.c - JSON as the config.json of a language model.
 *
 * A description that is accepted must be written in a form that is accepted again and means the same, and its list of
 * tensors must be one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lm/lm_parts.h"
#include "fuzz.h"

static void must(bool condition, const char *what) {
    if (condition)
        return;
    fprintf(stderr, "%s (%s)\n", what, rein_error());
    abort();
}

static void check_entries(const reini_lm_shape *shape) {
    reini_lm_entry *entry;
    int n;
    if (shape->layers > 64)
        return;
    must(reini_lm_entries(shape, &entry, &n) == REIN_OK, "an accepted description has no list of tensors");
    for (int i = 0; i < n; i++)
        must(entry[i].shape[0] > 0 && entry[i].name[0] && strlen(entry[i].name) < sizeof entry[i].name - 1,
             "a tensor without a name or without numbers");
    reini_free(entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    reini_lm_shape shape, again;
    char *text, *text_again;
    if (reini_lm_shape_read((const char *)data, size, "input", &shape) != REIN_OK || shape.labels > 1000)
        return 0;
    check_entries(&shape);
    must(reini_lm_shape_write(&shape, "float32", &text) == REIN_OK,
         "an accepted description cannot be written");
    must(reini_lm_shape_read(text, strlen(text), "again", &again) == REIN_OK,
         "a written description is refused");
    must(reini_lm_shape_write(&again, "float32", &text_again) == REIN_OK,
         "a description read back cannot be written");
    must(strcmp(text, text_again) == 0, "a written description reads back as another");
    reini_free(text);
    reini_free(text_again);
    must(reini_memory_now().live_bytes == 0, "memory was lost");
    return 0;
}
