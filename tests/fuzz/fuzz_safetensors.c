/*
 * fuzz_safetensors.c - a safetensors file as it is, and with the header's length made to fit the JSON that
 * follows, so that mutations which move it still reach the checks behind. Every byte of every tensor handed
 * out is read.
 */
#include <stdlib.h>
#include <string.h>
#include "base/safetensors.h"
#include "fuzz.h"
#include "memory_file.h"

static volatile unsigned sum;

static void read_all(const char *path) {
    reini_safetensors *st;
    if (reini_safetensors_open(path, &st) != REIN_OK)
        return;
    for (int i = 0; i < reini_safetensors_count(st); i++) {
        const reini_st_tensor *t = reini_safetensors_at(st, i);
        for (size_t k = 0; k < t->bytes; k++)
            sum += ((const uint8_t *)t->data)[k];
        if (reini_safetensors_find(st, t->name) != t)
            abort();
    }
    (void)reini_safetensors_meta(st, "format");
    reini_safetensors_close(st);
}

/* bytes of the JSON object at data, by its brackets outside strings; size when it does not end */
static size_t object_length(const uint8_t *data, size_t size) {
    int depth = 0;
    bool text = false;
    for (size_t i = 0; i < size; i++) {
        if (text && data[i] == '\\')
            i++;
        else if (data[i] == '"')
            text = !text;
        else if (!text && data[i] == '{')
            depth++;
        else if (!text && data[i] == '}' && --depth == 0)
            return i + 1;
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_all(memory_file(data, size, NULL, 0));
    if (size < 8)
        return 0;
    uint8_t length[8];
    size_t header = object_length(data + 8, size - 8);
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(header >> 8 * i);
    read_all(memory_file(length, 8, data + 8, size - 8));
    if (reini_memory_now().live_bytes != 0)
        abort();
    return 0;
}
