/*
 * stop.c - stop strings across the borders of pieces.
 */
#include "lm/stop.h"

#include <string.h>

typedef struct pattern {
    char *text;
    int32_t length;
    int32_t *border; /* of the first i + 1 bytes: the longest proper beginning that is also their end */
} pattern;

struct reini_stop {
    int n;
    pattern *at;
};

static rein_status pattern_init(pattern *p, const char *text) {
    size_t n = strlen(text);
    if (n == 0 || n > 4096)
        return reini_fail(REIN_USAGE, "a stop string has %zu bytes, expected 1 to 4096", n);
    p->length = (int32_t)n;
    p->text = reini_strdup(text);
    p->border = REINI_NEW_ARRAY(int32_t, n);
    if (!p->text || !p->border)
        return reini_fail_memory(n, "stop strings");
    for (int32_t i = 1, k = 0; i < p->length; i++) {
        while (k > 0 && text[i] != text[k])
            k = p->border[k - 1];
        k += text[i] == text[k];
        p->border[i] = k;
    }
    return REIN_OK;
}

rein_status reini_stop_new(const char *const *texts, int n, reini_stop **out) {
    reini_stop *stop = REINI_NEW(reini_stop);
    *out = NULL;
    if (!stop || !(stop->at = REINI_NEW_ARRAY(pattern, (size_t)n))) {
        reini_free(stop);
        return reini_fail_memory(sizeof *stop, "stop strings");
    }
    for (; stop->n < n; stop->n++) {
        rein_status status = pattern_init(&stop->at[stop->n], texts[stop->n]);
        if (status != REIN_OK) {
            stop->n++;
            reini_stop_free(stop);
            return status;
        }
    }
    *out = stop;
    return REIN_OK;
}

void reini_stop_free(reini_stop *stop) {
    if (!stop)
        return;
    for (int i = 0; i < stop->n; i++) {
        reini_free(stop->at[i].text);
        reini_free(stop->at[i].border);
    }
    reini_free(stop->at);
    reini_free(stop);
}

int reini_stop_count(const reini_stop *stop) {
    return stop ? stop->n : 0;
}

bool reini_stop_read(const reini_stop *stop, int32_t *state, const char *bytes, int64_t size, int64_t *from) {
    for (int64_t i = 0; i < size; i++) {
        int32_t longest = 0;
        for (int j = 0; j < stop->n; j++) {
            const pattern *p = &stop->at[j];
            int32_t k = state[j];
            while (k > 0 && bytes[i] != p->text[k])
                k = p->border[k - 1];
            k += bytes[i] == p->text[k];
            if (k == p->length) {
                longest = k > longest ? k : longest;
                k = p->border[k - 1];
            }
            state[j] = k;
        }
        if (longest > 0) {
            *from = i + 1 - longest;
            return true;
        }
    }
    return false;
}

int reini_stop_held(const reini_stop *stop, const int32_t *state) {
    int held = 0;
    for (int j = 0; j < reini_stop_count(stop); j++)
        held = state[j] > held ? state[j] : held;
    return held;
}
