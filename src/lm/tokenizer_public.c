/*
 * tokenizer_public.c - tokenizers for programs: a tokenizer with one encoder and the lists it fills.
 */
#include <limits.h>
#include <string.h>
#include <rein/tokenizer.h>
#include "lm/tokenizer.h"

struct rein_tokenizer {
    reini_tokenizer *tokenizer;
    reini_encoder *encoder;
    reini_ids ids;
    reini_bytes text;
};

rein_status rein_tokenizer_open(const char *path, rein_tokenizer **out) {
    rein_tokenizer *t = *out = REINI_NEW(rein_tokenizer);
    if (!t)
        return reini_fail_memory(sizeof *t, "a tokenizer");
    rein_status status = reini_tokenizer_open(path, &t->tokenizer);
    if (status == REIN_OK)
        status = reini_encoder_new(t->tokenizer, &t->encoder);
    if (status != REIN_OK) {
        rein_tokenizer_close(t);
        *out = NULL;
    }
    return status;
}

void rein_tokenizer_close(rein_tokenizer *t) {
    if (!t)
        return;
    reini_encoder_free(t->encoder);
    reini_tokenizer_free(t->tokenizer);
    reini_free(t->ids.at);
    reini_free(t->text.at);
    reini_free(t);
}

int rein_tokenizer_size(const rein_tokenizer *t) {
    return reini_tokenizer_size(t->tokenizer);
}

const char *rein_tokenizer_token(const rein_tokenizer *t, int id) {
    return reini_tokenizer_token(t->tokenizer, id);
}

rein_status rein_tokenizer_encode(rein_tokenizer *t, const char *text, size_t length, int add_special,
                                  const int32_t **ids, size_t *n) {
    unsigned flags = REINI_ENCODE_SPECIAL | (add_special ? (unsigned)REINI_ENCODE_TEMPLATE : 0);
    t->ids.n = 0;
    rein_status status = reini_encode(t->encoder, text, length, flags, &t->ids);
    *ids = t->ids.at;
    *n = t->ids.n;
    return status;
}

rein_status rein_tokenizer_decode(rein_tokenizer *t, const int32_t *ids, size_t n, int skip_special,
                                  const char **text, size_t *length) {
    t->text.n = 0;
    rein_status status = reini_decode(t->tokenizer, ids, n, skip_special != 0, &t->text);
    *text = t->text.at;
    *length = t->text.n;
    return status;
}

static rein_status find_family(const char *name, reini_token_family *out) {
    static const char *const names[] = {"gpt2", "llama3", "qwen2", "smollm2"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (reini_token_family)i;
            return REIN_OK;
        }
    const char *near = reini_nearest(name, names, 4);
    return reini_fail(REIN_USAGE, "no tokenizer family is named \"%s\"%s%s%s, expected %s", name,
                      near ? " (did you mean " : "", near ? near : "", near ? "?)" : "",
                      REINI_TOKEN_FAMILIES);
}

rein_status rein_tokenizer_train(const rein_tokenizer_opts *opts, int *vocabulary, int *merges) {
    reini_tokenizer_training training = {
        .min_frequency = opts->min_frequency,
        .files = opts->files,
        .n_files = opts->n_files,
        .special = opts->special,
        .n_special = opts->n_special,
        .folder = opts->out,
    };
    REINI_TRY(find_family(opts->family ? opts->family : "gpt2", &training.family));
    if (opts->vocab_size < 1 || opts->vocab_size > 1 << 24)
        return reini_fail(REIN_USAGE, "vocab_size %lld is not in 1..%d", (long long)opts->vocab_size,
                          1 << 24);
    if (!opts->out || !*opts->out)
        return reini_fail(REIN_USAGE, "no folder to write the tokenizer to");
    training.vocab_size = (int)opts->vocab_size;
    return reini_tokenizer_train(&training, vocabulary, merges);
}
