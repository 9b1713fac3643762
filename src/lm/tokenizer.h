/*
 * tokenizer.h - text to token ids and back: byte-level BPE as in a Hugging Face tokenizer.json.
 *
 * A tokenizer is read once and then only read from, by any number of threads. What a thread writes while it encodes (a
 * cache of words, scratch) is in an encoder, one per thread; bytes of a character that is not whole yet are in a stream.
 *
 *     reini_tokenizer_open("model/", &tokenizer);
 *     reini_encoder_new(tokenizer, &encoder);
 *     reini_encode(encoder, text, length, REINI_ENCODE_SPECIAL, &ids);
 *     reini_decode(tokenizer, ids.at, ids.n, true, &bytes);
 *
 * Supported: GPT-2, Llama-3, Qwen2/2.5/3, SmolLM2 and what is made of the same pieces; everything else is refused by
 * name. Without PCRE2 and utf8proc in the build, opening fails and says what to install.
 */
#ifndef REINI_TOKENIZER_H
#define REINI_TOKENIZER_H

#include "base/base.h"

typedef struct reini_tokenizer reini_tokenizer;

/* Growing lists; zero them first, reini_free(at) at the end. */
typedef struct reini_ids {
    int32_t *at;
    size_t n, capacity;
} reini_ids;

typedef struct reini_bytes {
    char *at; /* 0-terminated once something was decoded into it */
    size_t n, capacity;
} reini_bytes;

/* Appends n bytes of text, and a 0 that is not counted. */
rein_status reini_bytes_add(reini_bytes *bytes, const char *text, size_t n);
/* Room for `more` ids behind the n that are there. */
rein_status reini_ids_reserve(reini_ids *ids, size_t more);

/* path: a model folder (tokenizer.json, and tokenizer_config.json, special_tokens_map.json, chat_template.jinja where
 * they are), or a tokenizer.json, which is then read alone. */
rein_status reini_tokenizer_open(const char *path, reini_tokenizer **out);
/* The same from texts; config NULL = none. where: names the first in errors. */
rein_status reini_tokenizer_parse(const char *json, size_t length, const char *config, size_t config_length,
                                  const char *where, reini_tokenizer **out);
void reini_tokenizer_free(reini_tokenizer *tokenizer);

/* One more than the largest id, added tokens included. */
int reini_tokenizer_size(const reini_tokenizer *tokenizer);
/* Ids of the tokens that tokenizer_config.json names; -1 = none. */
int reini_tokenizer_bos(const reini_tokenizer *tokenizer);
int reini_tokenizer_eos(const reini_tokenizer *tokenizer);
int reini_tokenizer_pad(const reini_tokenizer *tokenizer);
/* The token as tokenizer.json writes it; NULL for an id that is none. */
const char *reini_tokenizer_token(const reini_tokenizer *tokenizer, int id);
/* -1 when no token is written so. */
int reini_tokenizer_id(const reini_tokenizer *tokenizer, const char *token);
/* Is it one of the special added tokens, which decoding may skip? */
bool reini_tokenizer_special(const reini_tokenizer *tokenizer, int id);
/* The folder's chat template, NULL when it has none. */
const char *reini_tokenizer_chat_template(const reini_tokenizer *tokenizer);

/* ---- encoding ------------------------------------------------------------------------------------------ */

enum {
    REINI_ENCODE_SPECIAL =
        1, /* special tokens that stand in the text become their ids, as by default elsewhere */
    REINI_ENCODE_TEMPLATE = 2, /* the post-processor adds its tokens (Llama-3: BOS): "add_special_tokens" */
};

typedef struct reini_encoder reini_encoder;
/* The tokenizer must outlive it. */
rein_status reini_encoder_new(const reini_tokenizer *tokenizer, reini_encoder **out);
void reini_encoder_free(reini_encoder *encoder);
/* Appends the ids of a UTF-8 text. Text that is not UTF-8 is refused with the position; nothing is appended then. */
rein_status reini_encode(reini_encoder *encoder, const char *text, size_t length, unsigned flags,
                         reini_ids *out);

/* ---- decoding ------------------------------------------------------------------------------------------ */

/* Appends the text of the ids; bytes that are not UTF-8 become U+FFFD, ids that are no token are left out. */
rein_status reini_decode(const reini_tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special,
                         reini_bytes *out);

/* Decoding one id at a time: bytes wait until their character is whole. Zero it first. */
typedef struct reini_stream {
    unsigned char held[4];
    int n_held;
} reini_stream;
/* Appends what has become readable. */
rein_status reini_stream_add(reini_stream *stream, const reini_tokenizer *tokenizer, int32_t id,
                             bool skip_special, reini_bytes *out);
/* Appends what is left as U+FFFD; the stream is as new then. */
rein_status reini_stream_end(reini_stream *stream, reini_bytes *out);

/* ---- training ------------------------------------------------------------------------------------------ */

typedef enum reini_token_family {
    REINI_TOKENS_GPT2,
    REINI_TOKENS_LLAMA3,
    REINI_TOKENS_QWEN2,
    REINI_TOKENS_SMOLLM2,
} reini_token_family;
#define REINI_TOKEN_FAMILIES "gpt2|llama3|qwen2|smollm2"

typedef struct reini_tokenizer_training {
    reini_token_family family;
    int vocab_size;           /* the 256 bytes and the special tokens included */
    int64_t min_frequency;    /* least count of a pair that is merged; 0 and 1 are the same */
    const char *const *files; /* UTF-8 texts */
    int n_files;
    const char *const *special; /* further special tokens, behind the family's own */
    int n_special;
    const char *folder; /* tokenizer.json and tokenizer_config.json go there */
} reini_tokenizer_training;
/* merges: how many were learned; may be NULL. */
rein_status reini_tokenizer_train(const reini_tokenizer_training *training, int *vocabulary, int *merges);

#endif
