/*
 * text_stream.c - holding back incomplete characters and beginnings of stop strings.
 */
#include "run/text_stream.h"

#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD";

rein_status reini_text_stream_init(reini_text_stream *s, const reini_stop *stop) {
    *s = (reini_text_stream){.stop = stop};
    if (stop && !(s->stop_state = REINI_NEW_ARRAY(int32_t, (size_t)reini_stop_count(stop))))
        return reini_fail_memory(4 * (size_t)reini_stop_count(stop), "a text");
    return REIN_OK;
}

void reini_text_stream_release(reini_text_stream *s) {
    reini_free(s->waiting);
    reini_free(s->stop_state);
    reini_free(s->text);
    *s = (reini_text_stream){0};
}

/* Bytes of a character that begins so; 0 = none does (RFC 3629). */
static int length_of(unsigned char lead) {
    if (lead < 0x80)
        return 1;
    return lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

/* Whether byte k of a character that begins with `lead` may be b. */
static bool continues(unsigned char lead, int k, unsigned char b) {
    unsigned char low = 0x80, high = 0xBF;
    if (k == 1) {
        low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : low;
        high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : high;
    }
    return b >= low && b <= high;
}

/* One byte further; writes at most two characters. */
static char *step(reini_text_stream *s, char *out, unsigned char b) {
    if (s->n_part > 0) {
        if (continues(s->part[0], s->n_part, b)) {
            s->part[s->n_part++] = b;
            if (s->n_part == length_of(s->part[0])) {
                memcpy(out, s->part, (size_t)s->n_part);
                out += s->n_part;
                s->n_part = 0;
            }
            return out;
        }
        memcpy(out, replacement, 3);
        out += 3;
        s->n_part = 0;
    }
    int length = length_of(b);
    if (length > 1) {
        s->part[s->n_part++] = b;
    } else if (length == 1 && b != 0) {
        *out++ = (char)b;
    } else {
        memcpy(out, replacement, 3);
        out += 3;
    }
    return out;
}

/* The first n waiting bytes become text. */
static rein_status give(reini_text_stream *s, size_t n, bool last) {
    REINI_TRY(reini_reserve(&s->text, &s->text_room, 3 * n + 8, 1, "a text"));
    char *out = s->text;
    for (size_t i = 0; i < n; i++)
        out = step(s, out, (unsigned char)s->waiting[i]);
    if (last && s->n_part > 0) {
        memcpy(out, replacement, 3);
        out += 3;
        s->n_part = 0;
    }
    *out = 0;
    s->n -= n;
    s->given += (int64_t)n;
    if (s->n > 0)
        memmove(s->waiting, s->waiting + n, s->n);
    return REIN_OK;
}

rein_status reini_text_stream_hold(reini_text_stream *s, const char *bytes, int size) {
    REINI_TRY(reini_reserve(&s->waiting, &s->room, s->n + (size_t)size, 1, "a text"));
    if (size > 0)
        memcpy(s->waiting + s->n, bytes, (size_t)size);
    s->n += (size_t)size;
    return REIN_OK;
}

rein_status reini_text_stream_add(reini_text_stream *s, const char *bytes, int size) {
    int64_t from;
    REINI_TRY(reini_text_stream_hold(s, bytes, size));
    if (!s->stop)
        return give(s, s->n, false);
    /* a stop string: the end comes next, and says where */
    if (reini_stop_read(s->stop, s->stop_state, bytes, size, &from))
        return give(s, 0, false);
    size_t held = (size_t)reini_stop_held(s->stop, s->stop_state);
    return give(s, s->n > held ? s->n - held : 0, false);
}

rein_status reini_text_stream_end(reini_text_stream *s, int64_t stop_at) {
    size_t n = s->n;
    if (stop_at >= 0 && stop_at - s->given < (int64_t)n)
        n = stop_at > s->given ? (size_t)(stop_at - s->given) : 0;
    return give(s, n, true);
}
