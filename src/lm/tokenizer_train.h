/*
 * tokenizer_train.h - the state of a byte-level BPE being learned.
 */
#ifndef REINI_TOKENIZER_TRAIN_H
#define REINI_TOKENIZER_TRAIN_H

#include "lm/tokenizer_parts.h"

typedef struct reini_bpe_word {
    uint64_t hash;
    size_t text; /* where it begins in `text`, and in `symbols` */
    int32_t n;   /* bytes, then symbols left of them */
    int64_t count;
} reini_bpe_word;

typedef struct reini_bpe_pair {
    uint64_t key; /* left << 32 | right */
    int64_t count;
    uint32_t *seen; /* words it arose in since it was last queued */
    uint32_t n_seen, seen_room;
    bool used;
} reini_bpe_pair;

typedef struct reini_bpe_entry {
    int64_t count;
    uint64_t key;
    uint32_t *words;
    uint32_t n_words;
} reini_bpe_entry;

typedef struct reini_bpe_merge {
    int32_t left, right;
} reini_bpe_merge;

typedef struct reini_bpe {
    reini_bytes text, nfc; /* the words one behind the other */
    reini_bpe_word *words;
    uint32_t n_words, *slots, slot_mask; /* slots: hash table of word + 1 */
    int32_t *symbols, letters[256];
    reini_bpe_pair *pairs; /* hash table */
    size_t n_pairs, pair_mask;
    uint64_t *touched; /* pairs that arose in words since they were last queued */
    size_t n_touched, touched_room;
    reini_bpe_entry *queue; /* heap */
    size_t n_queue, queue_room;
    reini_bytes *tokens;
    int n_tokens;
    int32_t *by_token; /* hash table of ids */
    uint64_t token_mask;
    reini_bpe_merge *merges;
    int n_merges;
    size_t merge_room;
    rein_status status; /* of counting */
} reini_bpe;

rein_status reini_bpe_count(reini_bpe *b, const reini_stage *stages, int n_stages, bool nfc,
                            const char *const *files, int n_files);
/* Id of a token, new when it was none. */
rein_status reini_bpe_token(reini_bpe *b, const char *text, size_t n, int32_t *id);
rein_status reini_bpe_learn(reini_bpe *b, int vocab_size, int64_t min_frequency, const char *const *special,
                            int n_special);
void reini_bpe_release(reini_bpe *b);

#endif
