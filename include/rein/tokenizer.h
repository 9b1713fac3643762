/*
 * tokenizer.h - tokenizers of language models: text to token ids and back, and learning one from text.
 *
 * Byte-level BPE as in a Hugging Face tokenizer.json, of the families GPT-2, Llama-3, Qwen2/2.5/3 and SmolLM2:
 *
 *     rein_tokenizer *tokenizer;
 *     rein_tokenizer_open("model/", &tokenizer);
 *     rein_tokenizer_encode(tokenizer, "Hello", 5, 0, &ids, &n);
 *     rein_tokenizer_close(tokenizer);
 *
 * A handle belongs to one thread at a time.
 */
#ifndef REIN_TOKENIZER_H
#define REIN_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>
#include <rein/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rein_tokenizer rein_tokenizer;

/* path: a model folder or a tokenizer.json. */
REIN_API rein_status rein_tokenizer_open(const char *path, rein_tokenizer **out);
REIN_API void rein_tokenizer_close(rein_tokenizer *tokenizer);
/* Tokens there are, and the text of one (NULL past the end). */
REIN_API int rein_tokenizer_size(const rein_tokenizer *tokenizer);
REIN_API const char *rein_tokenizer_token(const rein_tokenizer *tokenizer, int id);
/* *ids belongs to the tokenizer and lives until its next call. add_special 1: with what the post-processor adds (Llama-3's
 * BOS). Special tokens that stand in the text become their ids. */
REIN_API rein_status rein_tokenizer_encode(rein_tokenizer *tokenizer, const char *text, size_t length,
                                           int add_special, const int32_t **ids, size_t *n);
/* *text is 0-terminated, belongs to the tokenizer and lives until its next call. */
REIN_API rein_status rein_tokenizer_decode(rein_tokenizer *tokenizer, const int32_t *ids, size_t n,
                                           int skip_special, const char **text, size_t *length);

typedef struct rein_tokenizer_opts {
    const char *family;       /* gpt2, llama3, qwen2 or smollm2; NULL = gpt2 */
    int64_t vocab_size;       /* 256 bytes and the special tokens included */
    int64_t min_frequency;    /* least count of a pair that becomes a token */
    const char *const *files; /* UTF-8 texts */
    int n_files;
    const char *const *special; /* special tokens besides the family's own */
    int n_special;
    const char *out; /* folder for tokenizer.json and tokenizer_config.json */
} rein_tokenizer_opts;
/* vocabulary, merges: how many there are now; may be NULL. */
REIN_API rein_status rein_tokenizer_train(const rein_tokenizer_opts *opts, int *vocabulary, int *merges);

#ifdef __cplusplus
}
#endif
#endif
