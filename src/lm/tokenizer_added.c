/*
 * tokenizer_added.c - added tokens: found in text before anything else happens to it.
 *
 * The leftmost match counts, of several there the longest. A table of first byte pairs rules nearly every position out.
 */
#include <stdlib.h>
#include <string.h>
#include "lm/tokenizer_parts.h"

static unsigned char first_byte(const reini_added *a) {
    return (unsigned char)a->text[0];
}

static int compare(const void *x, const void *y) {
    const reini_added *a = x, *b = y;
    if (first_byte(a) != first_byte(b))
        return first_byte(a) < first_byte(b) ? -1 : 1;
    if (a->length != b->length)
        return a->length > b->length ? -1 : 1;
    int order = memcmp(a->text, b->text, a->length);
    return order ? order : a->id < b->id ? -1 : a->id > b->id;
}

static void set_pairs(reini_cutter *out) {
    for (int i = 0; i < out->n; i++) {
        const reini_added *a = &out->tokens[i];
        unsigned first = (unsigned)first_byte(a) << 8;
        for (unsigned second = 0; second < 256; second++)
            if (a->length == 1 || second == (unsigned char)a->text[1])
                out->pairs[(first | second) >> 3] |= (uint8_t)(1u << (second & 7));
    }
    for (int b = 0, i = 0; b <= 256; b++) {
        while (i < out->n && first_byte(&out->tokens[i]) < b)
            i++;
        out->first[b] = i;
    }
}

/* text of a normalised token is looked for in its normalised form */
static rein_status set_added(reini_tokenizer *t, const json_t *value, bool normalized, reini_added *out) {
    const json_t *content = json_object_get(value, "content");
    reini_bytes nfc = {0};
    bool changed = false;
    *out = (reini_added){.text = json_string_value(content),
                         .length = json_string_length(content),
                         .id = (int32_t)json_integer_value(json_object_get(value, "id")),
                         .special = json_is_true(json_object_get(value, "special")),
                         .single_word = json_is_true(json_object_get(value, "single_word")),
                         .lstrip = json_is_true(json_object_get(value, "lstrip")),
                         .rstrip = json_is_true(json_object_get(value, "rstrip"))};
    rein_status status =
        normalized && t->nfc ? reini_text_nfc(out->text, out->length, &nfc, &changed) : REIN_OK;
    if (changed) {
        out->text = nfc.at;
        out->length = nfc.n;
    }
    if (status == REIN_OK && !(out->text = reini_token_keep(t, out->text, out->length)))
        status = reini_fail_memory(out->length, "an added token");
    reini_free(nfc.at);
    return status;
}

rein_status reini_cutter_build(reini_tokenizer *t, const json_t *added, bool normalized, reini_cutter *out) {
    const json_t *value;
    size_t i;
    if (json_array_size(added) == 0)
        return REIN_OK;
    out->tokens = REINI_NEW_ARRAY(reini_added, json_array_size(added));
    out->pairs = reini_new(8192);
    if (!out->tokens || !out->pairs)
        return reini_fail_memory(json_array_size(added) * sizeof *out->tokens, "added tokens");
    json_array_foreach(added, i, value) {
        if (json_is_true(json_object_get(value, "normalized")) != normalized)
            continue;
        REINI_TRY(set_added(t, value, normalized, &out->tokens[out->n]));
        out->n++;
    }
    qsort(out->tokens, (size_t)out->n, sizeof *out->tokens, compare);
    set_pairs(out);
    return REIN_OK;
}

void reini_cutter_release(reini_cutter *cutter) {
    reini_free(cutter->tokens);
    reini_free(cutter->pairs);
    *cutter = (reini_cutter){0};
}

const reini_added *reini_cutter_find(const reini_cutter *cutter, const char *text, size_t n, size_t from,
                                     size_t *begin) {
    const unsigned char *b = (const unsigned char *)text;
    for (size_t i = from; i < n && cutter->n > 0; i++) {
        int first = cutter->first[b[i]], last = cutter->first[b[i] + 1];
        if (first == last)
            continue;
        unsigned pair = (unsigned)b[i] << 8 | (i + 1 < n ? b[i + 1] : 0);
        if (i + 1 < n && !(cutter->pairs[pair >> 3] >> (pair & 7) & 1))
            continue;
        for (const reini_added *a = cutter->tokens + first; a < cutter->tokens + last; a++)
            if (a->length <= n - i && memcmp(a->text, text + i, a->length) == 0) {
                *begin = i;
                return a;
            }
    }
    return NULL;
}
