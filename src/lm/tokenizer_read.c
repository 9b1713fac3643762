/*
 * tokenizer_read.c - the vocabulary, the added tokens and the merges of a tokenizer.json.
 *
 * Ids must be those from 0 on without a hole and each given once: the original numbers added tokens anew where they
 * are not, which would no longer be the model's numbers.
 */
#include <string.h>
#include "lm/tokenizer_parts.h"

/* SPARE: room for tokens that only tokenizer_config.json names */
enum { IDS_MAX = 1 << 24, SPARE = 4096 };

/* ---- tokens -------------------------------------------------------------------------------------------- */

/* what the token decodes to: bytes by its letters, or the text itself when one of them stands for no byte */
static rein_status set_bytes(reini_token *token, char *out) {
    const char *p = token->text, *end = p + token->length;
    int length;
    uint32_t n = 0;
    for (; p < end; p += length) {
        int byte = reini_letter_byte(reini_char_at(p, &length));
        if (byte < 0) {
            memcpy(out, token->text, token->length);
            n = token->length;
            break;
        }
        out[n++] = (char)byte;
    }
    token->bytes = out;
    token->n_bytes = n;
    return REIN_OK;
}

static rein_status add_token(reini_tokenizer *t, const char *text, size_t n, int32_t id, bool model,
                             const char *where) {
    reini_token *token = &t->tokens[id];
    if (token->there)
        return reini_fail(REIN_FORMAT, "%s: id %d is given to two tokens, \"%s\" and \"%s\"", where, (int)id,
                          token->text, text);
    char *copy = reini_token_keep(t, text, n), *bytes = reini_token_keep(t, text, n);
    if (!copy || !bytes)
        return reini_fail_memory(n, "a token");
    *token = (reini_token){.text = copy, .length = (uint32_t)n, .there = 1, .model = model};
    REINI_TRY(set_bytes(token, bytes));
    for (uint64_t i = reini_token_hash(text, n);; i++)
        if (t->by_text[i & t->mask] < 0) {
            t->by_text[i & t->mask] = id;
            break;
        }
    for (uint64_t i = reini_token_hash(token->bytes, token->n_bytes); model; i++)
        if (t->by_bytes[i & t->mask] < 0) {
            t->by_bytes[i & t->mask] = id;
            break;
        }
    return REIN_OK;
}

static rein_status check_id(const json_t *value, const char *token, const char *where, int32_t *id) {
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0 || n >= IDS_MAX)
        return reini_fail(REIN_FORMAT, "%s: the id of token \"%s\" is not a whole number from 0 to %d", where,
                          token, IDS_MAX - 1);
    *id = (int32_t)n;
    return REIN_OK;
}

static rein_status check_added(const json_t *added, size_t i, const char *where) {
    const json_t *text = json_object_get(added, "content");
    if (!json_is_string(text) || json_string_length(text) == 0)
        return reini_fail(REIN_FORMAT, "%s: added_tokens[%zu] has no content, expected a text", where, i);
    static const char *const flags[] = {"special", "lstrip", "rstrip", "single_word", "normalized"};
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
        const json_t *flag = json_object_get(added, flags[k]);
        if (flag && !json_is_boolean(flag))
            return reini_fail(REIN_FORMAT, "%s: %s of added token \"%s\" is neither true nor false", where,
                              flags[k], json_string_value(text));
    }
    return REIN_OK;
}

/* the largest id decides the size of the tables */
static rein_status measure(reini_tokenizer *t, json_t *vocab, const json_t *added, const char *where) {
    int32_t id = 0, most = -1;
    const char *token;
    json_t *value;
    size_t i;
    json_object_foreach(vocab, token, value) {
        REINI_TRY(check_id(value, token, where, &id));
        most = id > most ? id : most;
    }
    json_array_foreach(added, i, value) {
        REINI_TRY(check_added(value, i, where));
        REINI_TRY(check_id(json_object_get(value, "id"), json_string_value(json_object_get(value, "content")),
                           where, &id));
        most = id > most ? id : most;
    }
    size_t tokens = json_object_size(vocab) + json_array_size(added);
    if ((size_t)most >= tokens && most >= 0)
        return reini_fail(REIN_FORMAT,
                          "%s: the largest id is %d, but there are only %zu tokens: ids have holes", where,
                          (int)most, tokens);
    t->size = most + 1;
    return REIN_OK;
}

static rein_status make_tables(reini_tokenizer *t) {
    size_t room = (size_t)t->size + SPARE, slots = 16;
    t->room = (int)room;
    while (slots < 2 * room)
        slots *= 2;
    t->tokens = REINI_NEW_ARRAY(reini_token, room);
    t->by_text = REINI_NEW_ARRAY(int32_t, slots);
    t->by_bytes = REINI_NEW_ARRAY(int32_t, slots);
    t->mask = (uint32_t)slots - 1;
    if (!t->tokens || !t->by_text || !t->by_bytes)
        return reini_fail_memory(slots * 8 + room * sizeof *t->tokens, "a vocabulary");
    memset(t->by_text, 0xff, slots * sizeof *t->by_text);
    memset(t->by_bytes, 0xff, slots * sizeof *t->by_bytes);
    return REIN_OK;
}

static rein_status add_added(reini_tokenizer *t, const json_t *value, const char *where) {
    const char *text = json_string_value(json_object_get(value, "content"));
    size_t n = json_string_length(json_object_get(value, "content"));
    int32_t id = (int32_t)json_integer_value(json_object_get(value, "id")),
            known = reini_token_find(t, text, n);
    if (known >= 0 && known != id)
        return reini_fail(REIN_FORMAT, "%s: token \"%s\" has two ids, %d and %d", where, text, (int)known,
                          (int)id);
    if (known < 0)
        REINI_TRY(add_token(t, text, n, id, false, where));
    t->tokens[id].special |= json_is_true(json_object_get(value, "special"));
    return REIN_OK;
}

static rein_status find_holes(const reini_tokenizer *t, const char *where) {
    for (int i = 0; i < t->size; i++)
        if (!t->tokens[i].there)
            return reini_fail(REIN_FORMAT, "%s: no token has id %d, expected every id from 0 to %d", where, i,
                              t->size - 1);
    return REIN_OK;
}

rein_status reini_tokenizer_extend(reini_tokenizer *t, const char *text, int32_t *id) {
    if (t->size >= t->room)
        return reini_fail(REIN_UNSUPPORTED,
                          "tokenizer_config.json: more than %d tokens that tokenizer.json has not", SPARE);
    REINI_TRY(add_token(t, text, strlen(text), t->size, false, "tokenizer_config.json"));
    *id = t->size++;
    return REIN_OK;
}

/* null, false, 0 and "" switch a setting off */
static bool is_off(const json_t *value) {
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_number(value) && json_number_value(value) == 0);
}

static rein_status check_model(const json_t *model, const char *where) {
    static const char *const refused[] = {"dropout", "byte_fallback", "continuing_subword_prefix",
                                          "end_of_word_suffix"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (!is_off(json_object_get(model, refused[i])))
            return reini_fail(REIN_UNSUPPORTED, "%s: model.%s is set, supported: BPE on bytes without it",
                              where, refused[i]);
    if (!json_is_object(json_object_get(model, "vocab")))
        return reini_fail(REIN_FORMAT, "%s: model.vocab is missing, expected tokens with their ids", where);
    return REIN_OK;
}

/* bytes the vocabulary has no letter for are left out of text, or become the unknown token where there is one */
static rein_status find_bytes(reini_tokenizer *t, const json_t *model, const char *where) {
    const json_t *unknown = json_object_get(model, "unk_token");
    int32_t other = -1;
    int missing = 0;
    if (json_is_string(unknown) && json_string_length(unknown) > 0)
        other = reini_token_find(t, json_string_value(unknown), json_string_length(unknown));
    for (int b = 0; b < 256; b++) {
        char letter[4], byte = (char)b;
        int n = reini_char_put(letter, reini_byte_letter(b));
        int32_t id = reini_token_find_bytes(t, &byte, 1);
        t->byte_id[b] = id >= 0 && t->tokens[id].length == (uint32_t)n && t->tokens[id].model ? id : other;
        missing += t->byte_id[b] == other;
    }
    if (missing == 256)
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: the vocabulary has no letters for bytes, supported: BPE on bytes (ByteLevel)",
                          where);
    if (missing && other >= 0 && !is_off(json_object_get(model, "fuse_unk")))
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: model.fuse_unk is set and %d bytes are unknown, supported: a vocabulary "
                          "with all bytes, or without fuse_unk",
                          where, missing);
    return REIN_OK;
}

rein_status reini_tokenizer_read_vocabulary(reini_tokenizer *t, const json_t *root, const char *where) {
    const json_t *model = json_object_get(root, "model"), *added = json_object_get(root, "added_tokens");
    REINI_TRY(check_model(model, where));
    json_t *vocab = json_object_get(model, "vocab"), *value;
    if (added && !json_is_null(added) && !json_is_array(added))
        return reini_fail(REIN_FORMAT, "%s: added_tokens is no list", where);
    REINI_TRY(measure(t, vocab, added, where));
    REINI_TRY(make_tables(t));
    const char *token;
    json_object_foreach(vocab, token, value)
        REINI_TRY(add_token(t, token, strlen(token), (int32_t)json_integer_value(value), true, where));
    size_t i;
    json_array_foreach(added, i, value) REINI_TRY(add_added(t, value, where));
    REINI_TRY(find_holes(t, where));
    t->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    return find_bytes(t, model, where);
}

/* ---- merges -------------------------------------------------------------------------------------------- */

static rein_status merge_token(const reini_tokenizer *t, const char *text, size_t n, size_t i,
                               const char *where, int32_t *id) {
    *id = reini_token_find(t, text, n);
    if (*id >= 0 && t->tokens[*id].model)
        return REIN_OK;
    return reini_fail(REIN_FORMAT, "%s: merge %zu names \"%.*s\", which the vocabulary has not", where, i,
                      (int)n, text);
}

static rein_status set_merge(reini_tokenizer *t, int32_t left, int32_t right, int32_t id, int32_t rank) {
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right, i = pair * 0x9e3779b97f4a7c15u;
    for (i ^= i >> 32;; i++) {
        reini_merge *m = &t->merges[i & t->merge_mask];
        if (m->pair != REINI_NO_PAIR && m->pair != pair)
            continue;
        *m = (reini_merge){pair, rank,
                           id}; /* of a pair listed twice the later rank holds, as in the original */
        return REIN_OK;
    }
}

/* both forms: "a b" and ["a", "b"] */
static rein_status read_merge(reini_tokenizer *t, const json_t *value, size_t i, reini_bytes *joined,
                              const char *where) {
    const json_t *a = json_array_get(value, 0), *b = json_array_get(value, 1);
    const char *text = json_string_value(value), *left = json_string_value(a), *right = json_string_value(b);
    size_t n_left = json_string_length(a), n_right = json_string_length(b);
    if (text) {
        const char *space = strchr(text, ' ');
        left = space && !strchr(space + 1, ' ') ? text : NULL;
        right = space ? space + 1 : NULL;
        n_left = space ? (size_t)(space - text) : 0;
        n_right = space ? strlen(right) : 0;
    }
    if (!left || !right || (!text && json_array_size(value) != 2))
        return reini_fail(REIN_FORMAT, "%s: merge %zu is neither \"left right\" nor [\"left\", \"right\"]",
                          where, i);
    int32_t ids[3];
    REINI_TRY(merge_token(t, left, n_left, i, where, &ids[0]));
    REINI_TRY(merge_token(t, right, n_right, i, where, &ids[1]));
    joined->n = 0;
    REINI_TRY(reini_bytes_add(joined, left, n_left));
    REINI_TRY(reini_bytes_add(joined, right, n_right));
    REINI_TRY(merge_token(t, joined->at, joined->n, i, where, &ids[2]));
    return set_merge(t, ids[0], ids[1], ids[2], (int32_t)i);
}

rein_status reini_tokenizer_read_merges(reini_tokenizer *t, const json_t *model, const char *where) {
    const json_t *merges = json_object_get(model, "merges"), *value;
    size_t n = json_array_size(merges), slots = 16, i;
    if (!json_is_array(merges) || n >= IDS_MAX)
        return reini_fail(REIN_FORMAT, "%s: model.merges is no list of pairs", where);
    while (slots < 2 * n)
        slots *= 2;
    if (!(t->merges = REINI_NEW_ARRAY(reini_merge, slots)))
        return reini_fail_memory(slots * sizeof *t->merges, "merges");
    t->merge_mask = (uint32_t)slots - 1;
    t->n_merges = (int)n;
    for (i = 0; i < slots; i++)
        t->merges[i].pair = REINI_NO_PAIR;
    reini_bytes joined = {0};
    rein_status status = REIN_OK;
    json_array_foreach(merges, i,
                       value) if ((status = read_merge(t, value, i, &joined, where)) != REIN_OK) break;
    reini_free(joined.at);
    return status;
}
