/*
 * driver.c - runs a fuzz target without a fuzzer: every file of its corpus, then mutations of them.
 *
 *     fuzz_config [MUTATIONS [SEED]]
 *
 * The corpus of fuzz_NAME is tests/fuzz/corpus/NAME. A target must survive anything, so there is nothing to compare:
 * crashes, sanitizer reports and hangs are the failures. Prints TAP.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rein/rng.h>
#include "fuzz.h"

enum { FILES_MAX = 512, INPUT_MAX = 1 << 20 };

typedef struct input {
    char name[256];
    uint8_t *data;
    size_t size;
} input;

static input inputs[FILES_MAX];
static int n_inputs;

static void read_input(const char *dir, const char *name) {
    char path[2048];
    input *in = &inputs[n_inputs];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(in->name, sizeof in->name, "%s", name);
    FILE *file = fopen(path, "rb");
    in->data = malloc(INPUT_MAX);
    if (!file || !in->data) {
        printf("Bail out! %s cannot be read\n", path);
        exit(1);
    }
    in->size = fread(in->data, 1, INPUT_MAX, file);
    fclose(file);
    n_inputs++;
}

static int compare(const void *a, const void *b) {
    return strcmp(((const input *)a)->name, ((const input *)b)->name);
}

static void read_corpus(const char *dir) {
    DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && (entry = readdir(d)) && n_inputs < FILES_MAX)
        if (entry->d_name[0] != '.')
            read_input(dir, entry->d_name);
    if (d)
        closedir(d);
    qsort(inputs, (size_t)n_inputs, sizeof *inputs, compare);
}

/* A few edits of the kinds that break parsers: flips, cuts, repeats, and pieces of another input. */
static size_t mutate(uint8_t *out, rein_rng *rng) {
    const input *in = &inputs[rein_rng_below(rng, (uint32_t)n_inputs)];
    size_t size = in->size;
    memcpy(out, in->data, size);
    for (uint32_t edits = 1 + rein_rng_below(rng, 8); edits > 0; edits--) {
        uint32_t at = size ? rein_rng_below(rng, (uint32_t)size) : 0;
        const input *other = &inputs[rein_rng_below(rng, (uint32_t)n_inputs)];
        switch (rein_rng_below(rng, 6)) {
        case 0: /* one bit */
            if (size)
                out[at] ^= (uint8_t)(1u << rein_rng_below(rng, 8));
            break;
        case 1: /* one byte, often an extreme one */
            if (size)
                out[at] =
                    (uint8_t)(rein_rng_below(rng, 2) ? 255 * rein_rng_below(rng, 2) : rein_rng_next(rng));
            break;
        case 2: /* cut the end */
            size = at;
            break;
        case 3: /* take a piece out */
            if (size) {
                size_t gone = 1 + rein_rng_below(rng, (uint32_t)(size - at));
                memmove(out + at, out + at + gone, size - at - gone);
                size -= gone;
            }
            break;
        case 4: /* put a piece of another input in */
            if (other->size) {
                size_t from = rein_rng_below(rng, (uint32_t)other->size);
                size_t piece = 1 + rein_rng_below(rng, (uint32_t)(other->size - from));
                if (size + piece <= INPUT_MAX) {
                    memmove(out + at + piece, out + at, size - at);
                    memcpy(out + at, other->data + from, piece);
                    size += piece;
                }
            }
            break;
        default: /* eight bytes at once: lengths and offsets */
            if (size >= at + 8) {
                static const uint64_t extremes[] = {
                    0, 1, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
                memcpy(out + at, &extremes[rein_rng_below(rng, 8)], 8);
            }
        }
    }
    return size;
}

/* The target sees a block of exactly its size, so that a sanitizer catches the first byte beyond. */
static void run(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (copy) {
        memcpy(copy, data, size);
        LLVMFuzzerTestOneInput(copy, size);
    }
    free(copy);
}

int main(int argc, char **argv) {
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    long mutations = argc > 1 ? atol(argv[1]) : 5000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char dir[1024];
    name = strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name;
    snprintf(dir, sizeof dir, "%s/tests/fuzz/corpus/%s", REIN_SOURCE_DIR, name);
    read_corpus(dir);
    printf("1..2\n");
    if (n_inputs == 0) {
        printf("not ok 1 - %s: no corpus in %s\n", name, dir);
        return 1;
    }
    for (int i = 0; i < n_inputs; i++)
        run(inputs[i].data, inputs[i].size);
    printf("ok 1 - %s: %d files of the corpus\n", name, n_inputs);
    rein_rng rng = rein_rng_make(seed, 0);
    uint8_t *work = malloc(INPUT_MAX);
    for (long i = 0; work && i < mutations; i++)
        run(work, mutate(work, &rng));
    printf("ok 2 - %s: %ld mutations\n", name, mutations);
    free(work);
    for (int i = 0; i < n_inputs; i++)
        free(inputs[i].data);
    return 0;
}
