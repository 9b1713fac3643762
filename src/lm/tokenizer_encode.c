/*
 * tokenizer_encode.c - text to ids.
 *
 * Added tokens that are not normalised are cut out of the text first, the rest is normalised, normalised added tokens
 * are cut out of that, and what then remains goes through the pre-tokenizers and BPE. Pieces of up to 24 bytes and 8
 * tokens are remembered in a table with one place per hash, so most words of a text cost one look-up.
 */
#include <string.h>
#include "lm/tokenizer_parts.h"

enum { CACHE = 1 << 14, KEY = 24, KEPT = 7 };

/* a cache line */
typedef struct cached {
    uint64_t key[KEY / 8]; /* the piece, padded with zeros */
    uint16_t length, n;    /* length 0: nothing here */
    int32_t ids[KEPT];
    int32_t unused[2];
} cached;

struct reini_encoder {
    const reini_tokenizer *t;
    cached *cache;
    reini_merger merger;
    reini_splitter splitter;
    reini_bytes nfc;
    const char *limit; /* end of the buffer that pieces lie in: how far may be read */
    reini_ids *out;
    unsigned flags;
    rein_status status;
};

/* ---- pieces -------------------------------------------------------------------------------------------- */

static inline uint64_t load(const char *p, size_t n, const char *limit) {
    uint64_t word = 0;
    if (n >= 8 || limit - p >= 8) {
        memcpy(&word, p, 8);
        return n >= 8 ? word : n == 0 ? 0 : word & (UINT64_MAX >> (64 - 8 * n));
    }
    memcpy(&word, p, n);
    return word;
}

static bool append(reini_encoder *e, const int32_t *ids, size_t n) {
    reini_ids *out = e->out;
    if (out->capacity - out->n < n && (e->status = reini_ids_reserve(out, n)) != REIN_OK)
        return false;
    for (size_t i = 0; i < n; i++)
        out->at[out->n + i] = ids[i];
    out->n += n;
    return true;
}

static bool encode_anew(reini_encoder *e, const char *piece, size_t n, cached *into) {
    if (e->t->ignore_merges) {
        int32_t whole = reini_token_find_bytes(e->t, piece, n);
        if (whole >= 0) {
            if (into)
                into->n = 1, into->ids[0] = whole;
            return append(e, &whole, 1);
        }
    }
    int64_t count = reini_merger_run(&e->merger, e->t, piece, n);
    if (count < 0) {
        e->status = reini_fail_memory(n * 32, "a piece of text");
        return false;
    }
    if (into && count <= KEPT) {
        into->n = (uint16_t)count;
        memcpy(into->ids, e->merger.ids, (size_t)count * sizeof *into->ids);
    } else if (into)
        into->length = 0;
    return append(e, e->merger.ids, (size_t)count);
}

static bool encode_piece(void *user, const char *piece, size_t n) {
    reini_encoder *e = user;
    if (n > KEY)
        return encode_anew(e, piece, n, NULL);
    /* a piece with a space put before it lies in the splitter's own buffer */
    const char *limit =
        piece >= e->splitter.prefixed.at && piece < e->splitter.prefixed.at + e->splitter.prefixed.n
            ? piece + n
            : e->limit;
    uint64_t a = load(piece, n, limit), b = n > 8 ? load(piece + 8, n - 8, limit) : 0,
             c = n > 16 ? load(piece + 16, n - 16, limit) : 0;
    uint64_t hash = (a ^ n) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 32 ^ b) * 0xff51afd7ed558ccdu;
    hash = (hash ^ hash >> 32 ^ c) * 0xc4ceb9fe1a85ec53u;
    cached *place = &e->cache[hash >> 50];
    if (place->length == n && place->key[0] == a && place->key[1] == b && place->key[2] == c)
        return append(e, place->ids, place->n);
    *place = (cached){.key = {a, b, c}, .length = (uint16_t)n};
    return encode_anew(e, piece, n, place);
}

/* ---- cutting ------------------------------------------------------------------------------------------- */

typedef bool rest_fn(reini_encoder *e, const char *text, size_t n);

static size_t spaces_at_start(const char *text, size_t n) {
    size_t i = 0;
    int length;
    while (i < n && reini_char_class[reini_char_at(text + i, &length)] == REINI_SPACE)
        i += (size_t)length;
    return i;
}

/* where the white space at the end begins */
static size_t spaces_at_end(const char *text, size_t n) {
    size_t begin = n, i = n;
    int length;
    while (i > 0) {
        for (i--; i > 0 && ((unsigned char)text[i] & 0xc0) == 0x80;)
            i--;
        if (reini_char_class[reini_char_at(text + i, &length)] != REINI_SPACE)
            break;
        begin = i;
    }
    return begin;
}

static bool stands_alone(const char *text, size_t n, size_t begin, size_t end) {
    return !reini_word_at_end(text, begin) && !reini_word_at_start(text + end, n - end);
}

/* hands what lies between added tokens to `rest`, in order */
static bool cut(reini_encoder *e, const reini_cutter *cutter, const char *text, size_t n, rest_fn *rest) {
    size_t done = 0, from = 0, begin;
    const reini_added *a;
    while ((a = reini_cutter_find(cutter, text, n, from, &begin))) {
        size_t end = from = begin + a->length;
        if ((a->special && !(e->flags & REINI_ENCODE_SPECIAL)) ||
            (a->single_word && !stands_alone(text, n, begin, end)))
            continue;
        if (a->lstrip) {
            begin = spaces_at_end(text, begin);
            begin = begin > done ? begin : done;
        }
        if (a->rstrip)
            end += spaces_at_start(text + end, n - end);
        if (begin > done && !rest(e, text + done, begin - done))
            return false;
        if (!append(e, &a->id, 1))
            return false;
        done = end;
    }
    return done >= n || rest(e, text + done, n - done);
}

static bool encode_rest(reini_encoder *e, const char *text, size_t n) {
    if (reini_split(&e->splitter, 0, text, n))
        return true;
    if (e->status == REIN_OK)
        e->status = e->splitter.status;
    return false;
}

static bool encode_normalized(reini_encoder *e, const char *text, size_t n) {
    const char *limit = e->limit;
    bool changed = false;
    if (e->t->nfc && (e->status = reini_text_nfc(text, n, &e->nfc, &changed)) != REIN_OK)
        return false;
    if (changed) {
        text = e->nfc.at;
        n = e->nfc.n;
        e->limit = text + n;
    }
    bool done = cut(e, &e->t->normalized, text, n, encode_rest);
    e->limit = limit;
    return done;
}

/* ---- the encoder --------------------------------------------------------------------------------------- */

rein_status reini_encoder_new(const reini_tokenizer *t, reini_encoder **out) {
    reini_encoder *e = *out = REINI_NEW(reini_encoder);
    if (!e)
        return reini_fail_memory(sizeof *e, "an encoder");
    e->t = t;
    e->cache = REINI_NEW_ARRAY(cached, CACHE);
    rein_status status = e->cache ? reini_splitter_init(&e->splitter, t->stages, t->n_stages, encode_piece, e)
                                  : reini_fail_memory(CACHE * sizeof *e->cache, "an encoder");
    if (status != REIN_OK) {
        reini_encoder_free(e);
        *out = NULL;
    }
    return status;
}

void reini_encoder_free(reini_encoder *e) {
    if (!e)
        return;
    reini_splitter_release(&e->splitter);
    reini_merger_release(&e->merger);
    reini_free(e->nfc.at);
    reini_free(e->cache);
    reini_free(e);
}

rein_status reini_encode(reini_encoder *e, const char *text, size_t n, unsigned flags, reini_ids *out) {
    size_t before = out->n, valid = reini_text_valid(text, n);
    if (valid < n)
        return reini_fail(REIN_FORMAT, "the text is not UTF-8 at byte %zu (%02x), expected UTF-8", valid,
                          (unsigned char)text[valid]);
    e->out = out;
    e->flags = flags;
    e->limit = text + n;
    e->status = REIN_OK;
    bool whole = (flags & REINI_ENCODE_TEMPLATE) != 0;
    bool done = !whole || append(e, e->t->before, (size_t)e->t->n_before);
    done = done && (n == 0 || cut(e, &e->t->raw, text, n, encode_normalized));
    done = done && (!whole || append(e, e->t->after, (size_t)e->t->n_after));
    if (!done)
        out->n = before;
    return done ? REIN_OK : e->status;
}
