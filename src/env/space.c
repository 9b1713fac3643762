/*
 * space.c - observation and action spaces: sizes, printing, checking.
 */
#include <rein/env.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include "env/env_types.h"

size_t rein_space_bytes(const rein_space *space) {
    size_t size = (size_t)space->size;
    return space->kind == REIN_SPACE_IMAGE ? size : 4 * size;
}

int rein_space_logits(const rein_space *space) {
    if (space->kind != REIN_SPACE_DISCRETE && space->kind != REIN_SPACE_MULTI_DISCRETE)
        return space->size;
    int sum = 0;
    for (int k = 0; k < space->size; k++)
        sum += space->n[k];
    return sum;
}

int32_t rein_space_count(const rein_space *space) {
    if (space->kind != REIN_SPACE_DISCRETE && space->kind != REIN_SPACE_MULTI_DISCRETE)
        return 0;
    int64_t count = 1;
    for (int k = 0; k < space->size; k++) {
        count *= space->n[k];
        if (count > INT32_MAX)
            return 0;
    }
    return (int32_t)count;
}

int32_t rein_space_index(const rein_space *space, const int32_t *item) {
    int32_t index = 0;
    for (int k = 0; k < space->size; k++)
        index = index * space->n[k] + item[k];
    return index;
}

void rein_space_item(const rein_space *space, int32_t index, int32_t *item) {
    for (int k = space->size - 1; k >= 0; k--) {
        item[k] = index % space->n[k];
        index /= space->n[k];
    }
}

/* ---- printing ------------------------------------------------------------------------------------------ */

typedef struct text {
    char *out;
    size_t size;
    size_t length; /* needed so far, without the final 0 */
} text;

static void text_add(text *t, const char *format, ...) REIN_PRINTF(2, 3);
static void text_add(text *t, const char *format, ...) {
    size_t room = t->length < t->size ? t->size - t->length : 0;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(room > 0 ? t->out + t->length : NULL, room, format, args);
    va_end(args);
    t->length += length > 0 ? (size_t)length : 0;
}

static float bound_at(const float *bound, int k, float unbounded) {
    return bound ? bound[k] : unbounded;
}

static void text_add_bounds(text *t, const rein_space *space, int k) {
    double low = bound_at(space->low, k, -INFINITY), high = bound_at(space->high, k, INFINITY);
    text_add(t, "%.5g..%.5g", low, high);
}

static bool same_bounds(const rein_space *space) {
    for (int k = 1; k < space->size; k++)
        if (bound_at(space->low, k, 0) != bound_at(space->low, 0, 0) ||
            bound_at(space->high, k, 0) != bound_at(space->high, 0, 0))
            return false;
    return true;
}

/* "Box(3)" unbounded, "Box(3, -1..1)" with one pair of bounds, "Box(2, -1..1, 0..5)" else; at most 8 pairs */
static void text_add_box(text *t, const rein_space *space) {
    text_add(t, "Box(%d", (int)space->size);
    if (space->low || space->high) {
        int pairs = same_bounds(space) ? 1 : space->size < 8 ? space->size : 8;
        for (int k = 0; k < pairs; k++) {
            text_add(t, ", ");
            text_add_bounds(t, space, k);
        }
        if (pairs > 1 && pairs < space->size)
            text_add(t, ", ...");
    }
    text_add(t, ")");
}

size_t rein_space_print(const rein_space *space, char *out, size_t size) {
    text t = {out, size, 0};
    if (size > 0)
        out[0] = 0;
    switch (space->kind) {
    case REIN_SPACE_DISCRETE:
        text_add(&t, "Discrete(%d)", (int)space->n[0]);
        break;
    case REIN_SPACE_MULTI_DISCRETE:
        for (int k = 0; k < space->size; k++)
            text_add(&t, k == 0 ? "MultiDiscrete(%d" : ", %d", (int)space->n[k]);
        text_add(&t, ")");
        break;
    case REIN_SPACE_BOX:
        text_add_box(&t, space);
        break;
    case REIN_SPACE_IMAGE:
        text_add(&t, "Image(%dx%dx%d)", (int)space->shape[0], (int)space->shape[1], (int)space->shape[2]);
        break;
    }
    return t.length;
}

/* ---- checking ------------------------------------------------------------------------------------------ */

static const char *parts_flaw(const rein_space *space) {
    if (space->size < 1 || space->size > REIN_SPACE_PARTS)
        return "has no part or more than 8";
    int64_t logits = 0;
    for (int k = 0; k < space->size; k++) {
        if (space->n[k] < 1)
            return "has a part without values (n < 1)";
        logits += space->n[k];
    }
    return logits > INT32_MAX ? "has too many values" : NULL;
}

static const char *box_flaw(const rein_space *space) {
    if (space->size < 1)
        return "is a box of size 0";
    if (space->shape[0] != space->size || space->shape[1] != 0 || space->shape[2] != 0)
        return "is a box whose shape is not {size, 0, 0}";
    for (int k = 0; k < space->size; k++)
        if (!(bound_at(space->low, k, -INFINITY) <= bound_at(space->high, k, INFINITY)))
            return "has a lower bound that is not at most the upper one";
    return NULL;
}

static const char *image_flaw(const rein_space *space) {
    int64_t size = 1;
    for (int k = 0; k < 3; k++) {
        if (space->shape[k] < 1 || space->shape[k] > 65536)
            return "is an image with a side outside 1..65536";
        size *= space->shape[k];
    }
    return size != space->size ? "is an image whose size is not channels x height x width" : NULL;
}

const char *reini_space_flaw(const rein_space *space) {
    switch (space->kind) {
    case REIN_SPACE_DISCRETE:
        return space->size == 1 ? parts_flaw(space) : "is discrete with a size other than 1";
    case REIN_SPACE_MULTI_DISCRETE:
        return parts_flaw(space);
    case REIN_SPACE_BOX:
        return box_flaw(space);
    case REIN_SPACE_IMAGE:
        return image_flaw(space);
    }
    return "has an unknown kind";
}
