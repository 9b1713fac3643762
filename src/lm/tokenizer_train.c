/*
 * tokenizer_train.c - learning a byte-level BPE from text (Sennrich et al. 2016, arXiv 1508.07909).
 *
 * Words are what the family's pre-tokenizer makes of the lines of the files, with their counts. The most frequent pair of
 * neighbours becomes a token until the vocabulary is full; of equals the one with the smaller ids goes first, which makes
 * the merges those of the tokenizers library. As there, a pair waits in a heap with the words in which it was last seen to
 * arise; an entry whose count is no longer true goes back with the true one, and one that is true is merged in its words.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "lm/tokenizer_parts.h"
#include "lm/tokenizer_train.h"

/* ---- words --------------------------------------------------------------------------------------------- */

static rein_status grow_words(reini_bpe *b) {
    uint32_t slots = b->slots ? 2 * (b->slot_mask + 1) : 1024;
    uint32_t *table = REINI_NEW_ARRAY(uint32_t, slots);
    size_t room = slots / 2;
    reini_bpe_word *words = reini_grow(b->words, b->n_words * sizeof *words, room * sizeof *words);
    if (words)
        b->words = words;
    if (!table || !words) {
        reini_free(table);
        return reini_fail_memory(room * sizeof *words, "the words of a text");
    }
    reini_free(b->slots);
    b->slots = table;
    b->slot_mask = slots - 1;
    for (uint32_t w = 0; w < b->n_words; w++) {
        uint64_t i = b->words[w].hash;
        while (table[i & b->slot_mask])
            i++;
        table[i & b->slot_mask] = w + 1;
    }
    return REIN_OK;
}

static bool count_word(void *user, const char *piece, size_t n) {
    reini_bpe *b = user;
    uint64_t hash = reini_token_hash(piece, n), i = hash;
    if (n > INT32_MAX ||
        (b->n_words + 1 > (b->slots ? (b->slot_mask + 1) / 2 : 0) && (b->status = grow_words(b)) != REIN_OK))
        return false;
    for (; b->slots[i & b->slot_mask]; i++) {
        reini_bpe_word *w = &b->words[b->slots[i & b->slot_mask] - 1];
        if (w->hash == hash && (size_t)w->n == n && memcmp(b->text.at + w->text, piece, n) == 0) {
            w->count++;
            return true;
        }
    }
    b->words[b->n_words] = (reini_bpe_word){.hash = hash, .text = b->text.n, .n = (int32_t)n, .count = 1};
    b->slots[i & b->slot_mask] = ++b->n_words;
    return (b->status = reini_bytes_add(&b->text, piece, n)) == REIN_OK;
}

static rein_status count_line(reini_bpe *b, reini_splitter *s, bool nfc, const char *line, size_t n) {
    bool changed = false;
    if (nfc)
        REINI_TRY(reini_text_nfc(line, n, &b->nfc, &changed));
    if (reini_split(s, 0, changed ? b->nfc.at : line, changed ? b->nfc.n : n))
        return REIN_OK;
    return b->status != REIN_OK ? b->status : s->status;
}

/* a line keeps its end, and no word crosses it */
static rein_status count_file(reini_bpe *b, reini_splitter *s, bool nfc, const char *path) {
    char *text;
    size_t n, valid;
    REINI_TRY(reini_file_read(path, (size_t)4 << 30, &text, &n));
    rein_status status = REIN_OK;
    if ((valid = reini_text_valid(text, n)) < n)
        status = reini_fail(REIN_FORMAT, "%s: not UTF-8 at byte %zu, expected UTF-8 text", path, valid);
    for (const char *p = text, *end = text + n; p < end && status == REIN_OK;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop + 1 : end;
        status = count_line(b, s, nfc, p, (size_t)(stop - p));
        p = stop;
    }
    reini_free(text);
    return status;
}

rein_status reini_bpe_count(reini_bpe *b, const reini_stage *stages, int n_stages, bool nfc,
                            const char *const *files, int n_files) {
    reini_splitter s;
    REINI_TRY(reini_splitter_init(&s, stages, n_stages, count_word, b));
    rein_status status = REIN_OK;
    for (int i = 0; i < n_files && status == REIN_OK; i++)
        status = count_file(b, &s, nfc, files[i]);
    reini_splitter_release(&s);
    if (status == REIN_OK && b->n_words == 0)
        status = reini_fail(REIN_FORMAT, "%s: no text to learn from", files[0]);
    return status;
}

void reini_bpe_release(reini_bpe *b) {
    for (size_t i = 0; i < b->n_queue; i++)
        reini_free(b->queue[i].words);
    for (size_t i = 0; b->pairs && i <= b->pair_mask; i++)
        reini_free(b->pairs[i].seen);
    for (int i = 0; i < b->n_tokens; i++)
        reini_free(b->tokens[i].at);
    reini_free(b->words);
    reini_free(b->slots);
    reini_free(b->symbols);
    reini_free(b->queue);
    reini_free(b->pairs);
    reini_free(b->touched);
    reini_free(b->tokens);
    reini_free(b->by_token);
    reini_free(b->merges);
    reini_free(b->text.at);
    reini_free(b->nfc.at);
    *b = (reini_bpe){0};
}

/* ---- tokens -------------------------------------------------------------------------------------------- */

static uint64_t token_slot(const reini_bpe *b, const char *text, size_t n) {
    uint64_t i = reini_token_hash(text, n);
    for (;; i++) {
        int32_t id = b->by_token[i & b->token_mask];
        if (id < 0 || (b->tokens[id].n == n && memcmp(b->tokens[id].at, text, n) == 0))
            return i & b->token_mask;
    }
}

rein_status reini_bpe_token(reini_bpe *b, const char *text, size_t n, int32_t *id) {
    uint64_t slot = token_slot(b, text, n);
    *id = b->by_token[slot];
    if (*id >= 0)
        return REIN_OK;
    *id = b->n_tokens++;
    b->by_token[slot] = *id;
    return reini_bytes_add(&b->tokens[*id], text, n);
}

static rein_status make_tokens(reini_bpe *b, int vocab_size, const char *const *special, int n_special) {
    size_t room = (size_t)(vocab_size > 256 + n_special ? vocab_size : 256 + n_special) + 1, slots = 16;
    int32_t id;
    while (slots < 2 * room)
        slots *= 2;
    b->tokens = REINI_NEW_ARRAY(reini_bytes, room);
    b->by_token = REINI_NEW_ARRAY(int32_t, slots);
    b->merges = REINI_NEW_ARRAY(reini_bpe_merge, 16);
    b->token_mask = slots - 1;
    if (!b->tokens || !b->by_token || !b->merges)
        return reini_fail_memory(room * sizeof *b->tokens, "a vocabulary");
    b->merge_room = 16;
    memset(b->by_token, 0xff, slots * sizeof *b->by_token);
    for (int i = 0; i < n_special; i++)
        REINI_TRY(reini_bpe_token(b, special[i], strlen(special[i]), &id));
    /* the alphabet in the order of its letters, not of its bytes */
    for (uint32_t c = 0; c < 512; c++) {
        char letter[4];
        int byte = reini_letter_byte(c);
        if (byte < 0)
            continue;
        REINI_TRY(reini_bpe_token(b, letter, (size_t)reini_char_put(letter, c), &id));
        b->letters[byte] = id;
    }
    return REIN_OK;
}

/* ---- pairs --------------------------------------------------------------------------------------------- */

static reini_bpe_pair *pair_slot(reini_bpe_pair *pairs, size_t mask, uint64_t key) {
    uint64_t i = key * 0x9e3779b97f4a7c15u;
    for (i ^= i >> 32; pairs[i & mask].used && pairs[i & mask].key != key;)
        i++;
    return &pairs[i & mask];
}

static rein_status find_pair(reini_bpe *b, int32_t left, int32_t right, reini_bpe_pair **out) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    if (!b->pairs || 2 * (b->n_pairs + 1) > b->pair_mask + 1) {
        size_t slots = b->pairs ? 2 * (b->pair_mask + 1) : 4096;
        reini_bpe_pair *pairs = REINI_NEW_ARRAY(reini_bpe_pair, slots);
        if (!pairs)
            return reini_fail_memory(slots * sizeof *pairs, "pairs of tokens");
        for (size_t i = 0; b->pairs && i <= b->pair_mask; i++)
            if (b->pairs[i].used)
                *pair_slot(pairs, slots - 1, b->pairs[i].key) = b->pairs[i];
        reini_free(b->pairs);
        b->pairs = pairs;
        b->pair_mask = slots - 1;
    }
    *out = pair_slot(b->pairs, b->pair_mask, key);
    b->n_pairs += !(*out)->used;
    (*out)->used = true;
    (*out)->key = key;
    return REIN_OK;
}

static rein_status append_u32(uint32_t **list, uint32_t *n, uint32_t *room, uint32_t value) {
    size_t items = *room;
    REINI_TRY(reini_reserve(list, &items, *n + 1, sizeof **list, "pairs of tokens"));
    *room = (uint32_t)items;
    (*list)[(*n)++] = value;
    return REIN_OK;
}

/* the pair's count changes; where it grows the word is noted for the queue, once */
static rein_status change_pair(reini_bpe *b, int32_t left, int32_t right, int64_t by, uint32_t word) {
    reini_bpe_pair *pair = NULL;
    REINI_TRY(find_pair(b, left, right, &pair));
    pair->count += by;
    if (by <= 0 || (pair->n_seen > 0 && pair->seen[pair->n_seen - 1] == word))
        return REIN_OK;
    if (pair->n_seen == 0) {
        size_t wanted = b->n_touched + 1;
        REINI_TRY(
            reini_reserve(&b->touched, &b->touched_room, wanted, sizeof *b->touched, "pairs of tokens"));
        b->touched[b->n_touched++] = pair->key;
    }
    return append_u32(&pair->seen, &pair->n_seen, &pair->seen_room, word);
}

/* ---- the queue ----------------------------------------------------------------------------------------- */

static bool before(const reini_bpe_entry *a, const reini_bpe_entry *b) {
    return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static rein_status push(reini_bpe *b, reini_bpe_entry entry) {
    rein_status status =
        reini_reserve(&b->queue, &b->queue_room, b->n_queue + 1, sizeof *b->queue, "pairs of tokens");
    if (status != REIN_OK) {
        reini_free(entry.words);
        return status;
    }
    size_t i = b->n_queue++;
    for (; i > 0 && before(&entry, &b->queue[(i - 1) / 2]); i = (i - 1) / 2)
        b->queue[i] = b->queue[(i - 1) / 2];
    b->queue[i] = entry;
    return REIN_OK;
}

static reini_bpe_entry pop(reini_bpe *b) {
    reini_bpe_entry top = b->queue[0], last = b->queue[--b->n_queue];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < b->n_queue; i = child) {
        if (child + 1 < b->n_queue && before(&b->queue[child + 1], &b->queue[child]))
            child++;
        if (!before(&b->queue[child], &last))
            break;
        b->queue[i] = b->queue[child];
    }
    b->queue[i] = last;
    return top;
}

/* what was touched since the last call is queued with its count of now and the words noted */
static rein_status queue_touched(reini_bpe *b) {
    for (size_t i = 0; i < b->n_touched; i++) {
        reini_bpe_pair *pair = pair_slot(b->pairs, b->pair_mask, b->touched[i]);
        reini_bpe_entry entry = {pair->count, pair->key, pair->seen, pair->n_seen};
        pair->seen = NULL;
        pair->n_seen = pair->seen_room = 0;
        if (entry.count > 0)
            REINI_TRY(push(b, entry));
        else
            reini_free(entry.words);
    }
    b->n_touched = 0;
    return REIN_OK;
}

/* ---- merging ------------------------------------------------------------------------------------------- */

static rein_status make_symbols(reini_bpe *b) {
    b->symbols = REINI_NEW_ARRAY(int32_t, b->text.n + 1);
    if (!b->symbols)
        return reini_fail_memory(b->text.n * sizeof *b->symbols, "the words of a text");
    for (size_t i = 0; i < b->text.n; i++)
        b->symbols[i] = b->letters[(unsigned char)b->text.at[i]];
    for (uint32_t w = 0; w < b->n_words; w++) {
        const int32_t *s = b->symbols + b->words[w].text;
        for (int32_t i = 0; i + 1 < b->words[w].n; i++)
            REINI_TRY(change_pair(b, s[i], s[i + 1], b->words[w].count, w));
    }
    return queue_touched(b);
}

static rein_status merge_word(reini_bpe *b, uint32_t word, int32_t left, int32_t right, int32_t id) {
    reini_bpe_word *w = &b->words[word];
    int32_t *s = b->symbols + w->text, out = 0;
    for (int32_t i = 0; i < w->n; i++) {
        if (s[i] != left || i + 1 == w->n || s[i + 1] != right) {
            s[out++] = s[i];
            continue;
        }
        if (out > 0) {
            REINI_TRY(change_pair(b, s[out - 1], left, -w->count, word));
            REINI_TRY(change_pair(b, s[out - 1], id, w->count, word));
        }
        if (i + 2 < w->n) {
            REINI_TRY(change_pair(b, right, s[i + 2], -w->count, word));
            REINI_TRY(change_pair(b, id, s[i + 2], w->count, word));
        }
        s[out++] = id;
        i++;
    }
    w->n = out;
    return REIN_OK;
}

static rein_status note_merge(reini_bpe *b, int32_t left, int32_t right, int32_t *id) {
    reini_bytes joined = {0};
    REINI_TRY(
        reini_reserve(&b->merges, &b->merge_room, (size_t)b->n_merges + 1, sizeof *b->merges, "merges"));
    rein_status status = reini_bytes_add(&joined, b->tokens[left].at, b->tokens[left].n);
    if (status == REIN_OK)
        status = reini_bytes_add(&joined, b->tokens[right].at, b->tokens[right].n);
    if (status == REIN_OK)
        status = reini_bpe_token(b, joined.at, joined.n, id);
    reini_free(joined.at);
    b->merges[b->n_merges++] = (reini_bpe_merge){left, right};
    return status;
}

static rein_status merge_entry(reini_bpe *b, const reini_bpe_entry *entry) {
    int32_t left = (int32_t)(entry->key >> 32), right = (int32_t)(entry->key & UINT32_MAX), id;
    REINI_TRY(note_merge(b, left, right, &id));
    for (uint32_t i = 0; i < entry->n_words; i++)
        REINI_TRY(merge_word(b, entry->words[i], left, right, id));
    return queue_touched(b);
}

rein_status reini_bpe_learn(reini_bpe *b, int vocab_size, int64_t min_frequency, const char *const *special,
                            int n_special) {
    REINI_TRY(make_tokens(b, vocab_size, special, n_special));
    REINI_TRY(make_symbols(b));
    while (b->n_tokens < vocab_size && b->n_queue > 0) {
        reini_bpe_entry top = pop(b);
        int64_t count = pair_slot(b->pairs, b->pair_mask, top.key)->count;
        if (count != top.count) {
            top.count = count;
            REINI_TRY(push(b, top));
            continue;
        }
        rein_status status = REIN_OK;
        bool enough = top.count < 1 || top.count < min_frequency;
        if (!enough)
            status = merge_entry(b, &top);
        reini_free(top.words);
        REINI_TRY(status);
        if (enough)
            break;
    }
    return REIN_OK;
}
