/*
 * bench_tokenizer.c - how fast text becomes ids, one thread.
 *
 *     bench_tokenizer TOKENIZER TEXT [ROUNDS = 5]
 *
 * TOKENIZER: a model folder or tokenizer.json. The text goes through in pieces of about 4 kB that end with a line, as rows
 * of a data set do; peers/tokenizer_hf.py does the same with the tokenizers library. Prints the best round's MB/s.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "lm/tokenizer.h"

enum { PIECE = 4096 };

static rein_status encode_all(reini_encoder *encoder, const char *text, size_t n, reini_ids *ids,
                              uint64_t *sum) {
    size_t tokens = 0;
    *sum = 0;
    for (size_t at = 0; at < n;) {
        size_t end = n - at > PIECE ? at + PIECE : n;
        const char *line = end < n ? memchr(text + end, '\n', n - end) : NULL;
        end = line ? (size_t)(line - text) + 1 : n;
        ids->n = 0;
        REINI_TRY(reini_encode(encoder, text + at, end - at, REINI_ENCODE_SPECIAL, ids));
        for (size_t i = 0; i < ids->n; i++)
            *sum = *sum * 31 + (uint64_t)ids->at[i];
        tokens += ids->n;
        at = end;
    }
    *sum ^= tokens << 40;
    return REIN_OK;
}

static rein_status measure(const char *path, const char *file, int rounds) {
    reini_tokenizer *t;
    reini_encoder *encoder;
    reini_ids ids = {0};
    char *text;
    size_t n;
    uint64_t sum = 0;
    double best = 1e300, opened = reini_seconds();
    REINI_TRY(reini_tokenizer_open(path, &t));
    opened = reini_seconds() - opened;
    REINI_TRY(reini_encoder_new(t, &encoder));
    REINI_TRY(reini_file_read(file, (size_t)1 << 30, &text, &n));
    for (int i = 0; i < rounds; i++) {
        double start = reini_seconds();
        REINI_TRY(encode_all(encoder, text, n, &ids, &sum));
        double seconds = reini_seconds() - start;
        best = seconds < best ? seconds : best;
    }
    printf("rein: %.1f MB/s (%.2f MB, %.3f s, opened in %.3f s, ids %016llx)\n", (double)n * 1e-6 / best,
           (double)n * 1e-6, best, opened, (unsigned long long)sum);
    reini_free(text);
    reini_free(ids.at);
    reini_encoder_free(encoder);
    reini_tokenizer_free(t);
    return REIN_OK;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        /* `make bench` calls every program without arguments; this one is compare_lm.py's */
        fprintf(stderr, "usage: bench_tokenizer TOKENIZER TEXT [ROUNDS]\n");
        return argc == 1 ? 0 : 2;
    }
    if (measure(argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 5) != REIN_OK) {
        fprintf(stderr, "%s\n", rein_error());
        return 1;
    }
    return 0;
}
