/*
 * tokenizer_decode.c - ids to text, all at once or one by one.
 *
 * Tokens end anywhere, in the middle of a character too, so bytes are joined before they are read as UTF-8. What is not
 * UTF-8 becomes U+FFFD once for every longest prefix of a character (the practice that Unicode recommends); the stream
 * holds such a prefix back until the next bytes tell.
 */
#include <string.h>
#include "lm/tokenizer_parts.h"

static const char replacement[] = "\xef\xbf\xbd";

/* appends bytes as UTF-8; returns through `left` how many at the end could still become a character */
static rein_status add_text(reini_bytes *out, const char *bytes, size_t n, size_t *left) {
    size_t i = 0;
    int bad;
    bool cut_off;
    *left = 0;
    while (i < n) {
        size_t good = reini_text_valid(bytes + i, n - i);
        REINI_TRY(reini_bytes_add(out, bytes + i, good));
        i += good;
        if (i == n)
            break;
        reini_char_check(bytes + i, n - i, &bad, &cut_off);
        if (cut_off) {
            *left = n - i;
            return REIN_OK;
        }
        REINI_TRY(reini_bytes_add(out, replacement, 3));
        i += (size_t)bad;
    }
    return REIN_OK;
}

static const reini_token *token_at(const reini_tokenizer *t, int32_t id, bool skip_special) {
    if (id < 0 || id >= t->size || (skip_special && t->tokens[id].special))
        return NULL;
    return &t->tokens[id];
}

rein_status reini_decode(const reini_tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                         reini_bytes *out) {
    reini_bytes bytes = {0};
    size_t left = 0;
    rein_status status = reini_bytes_add(out, "", 0);
    for (size_t i = 0; i < n && status == REIN_OK; i++) {
        const reini_token *token = token_at(t, ids[i], skip_special);
        if (token)
            status = reini_bytes_add(&bytes, token->bytes, token->n_bytes);
    }
    if (status == REIN_OK && bytes.n > 0)
        status = add_text(out, bytes.at, bytes.n, &left);
    if (status == REIN_OK && left > 0)
        status = reini_bytes_add(out, replacement, 3);
    reini_free(bytes.at);
    return status;
}

rein_status reini_stream_add(reini_stream *stream, const reini_tokenizer *t, int32_t id, bool skip_special,
                             reini_bytes *out) {
    const reini_token *token = token_at(t, id, skip_special);
    char joined[256];
    REINI_TRY(reini_bytes_add(out, "", 0));
    if (!token)
        return REIN_OK;
    size_t n = (size_t)stream->n_held + token->n_bytes, left;
    char *bytes = n <= sizeof joined ? joined : reini_new(n);
    if (!bytes)
        return reini_fail_memory(n, "a token");
    memcpy(bytes, stream->held, (size_t)stream->n_held);
    if (token->n_bytes)
        memcpy(bytes + stream->n_held, token->bytes, token->n_bytes);
    rein_status status = add_text(out, bytes, n, &left);
    if (status == REIN_OK) {
        memcpy(stream->held, bytes + n - left, left);
        stream->n_held = (int)left;
    }
    if (bytes != joined)
        reini_free(bytes);
    return status;
}

rein_status reini_stream_end(reini_stream *stream, reini_bytes *out) {
    int held = stream->n_held;
    stream->n_held = 0;
    return reini_bytes_add(out, replacement, held > 0 ? 3 : 0);
}
