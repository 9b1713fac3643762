/*
 * frame_stack.c - observations of the last steps side by side.
 *
 * The frames are a ring beside the inner state: a step writes one frame, wherever the ring is, and observing copies
 * them in order.
 */
#include "env/frame_stack.h"

#include <string.h>
#include "base/base.h"
#include "env/wrap.h"

enum { FRAMES_MAX = 64 };

typedef struct frame_stack {
    reini_wrap wrap;
    int k;
    size_t frame_bytes;
    float *low, *high; /* of boxes with bounds, else NULL */
} frame_stack;

/* frames follow, (k x frame_bytes) */
typedef struct ring {
    int32_t oldest, unused[3];
} ring;

static ring *ring_of(const frame_stack *f, const void *state) {
    return reini_wrap_own(&f->wrap, state);
}

static void *frame_at(const frame_stack *f, const ring *r, int i) {
    return (unsigned char *)(uintptr_t)(r + 1) + (size_t)i * f->frame_bytes;
}

static void see(const frame_stack *f, const void *state, int i) {
    const rein_env_type *inner = &f->wrap.inner;
    inner->observe(inner->model, reini_wrap_inner(&f->wrap, state), frame_at(f, ring_of(f, state), i));
}

static void stack_reset(const void *model, void *state, rein_rng *rng) {
    const frame_stack *f = model;
    const rein_env_type *inner = &f->wrap.inner;
    ring *r = ring_of(f, state);
    inner->reset(inner->model, reini_wrap_inner(&f->wrap, state), rng);
    r->oldest = 0;
    see(f, state, 0);
    for (int i = 1; i < f->k; i++)
        memcpy(frame_at(f, r, i), frame_at(f, r, 0), f->frame_bytes);
}

static rein_step stack_step(const void *model, void *state, const void *action, rein_rng *rng) {
    const frame_stack *f = model;
    const rein_env_type *inner = &f->wrap.inner;
    ring *r = ring_of(f, state);
    rein_step result = inner->step(inner->model, reini_wrap_inner(&f->wrap, state), action, rng);
    see(f, state, r->oldest);
    r->oldest = (r->oldest + 1) % f->k;
    return result;
}

static void stack_observe(const void *model, const void *state, void *obs) {
    const frame_stack *f = model;
    const ring *r = ring_of(f, state);
    size_t first = (size_t)(f->k - r->oldest) * f->frame_bytes;
    memcpy(obs, frame_at(f, r, r->oldest), first);
    memcpy((unsigned char *)obs + first, frame_at(f, r, 0), (size_t)r->oldest * f->frame_bytes);
}

static void release(void *model) {
    frame_stack *f = model;
    reini_free(f->low);
    reini_free(f->high);
}

/* A bound of the inner box, k times over. */
static rein_status repeat(const frame_stack *f, const float *bound, float **out) {
    size_t n = (size_t)f->wrap.inner.obs.size;
    if (bound == NULL)
        return REIN_OK;
    *out = REINI_NEW_ARRAY(float, n *(size_t)f->k);
    if (*out == NULL)
        return reini_fail_memory(n * (size_t)f->k * sizeof(float), "a stack of frames");
    for (int i = 0; i < f->k; i++)
        memcpy(*out + (size_t)i * n, bound, n * sizeof(float));
    return REIN_OK;
}

static rein_status check(const rein_env_type *inner, int k) {
    if (k < 1 || k > FRAMES_MAX)
        return reini_fail(REIN_USAGE, "frame_stack: %d is out of range, expected 1 to %d", k, FRAMES_MAX);
    if (inner->obs.kind != REIN_SPACE_BOX && inner->obs.kind != REIN_SPACE_IMAGE)
        return reini_fail(REIN_USAGE,
                          "frame_stack: only boxes and images can be stacked, %s has numbers as observations",
                          inner->id);
    if ((int64_t)inner->obs.size * k > INT32_MAX)
        return reini_fail(REIN_USAGE, "frame_stack: %d observations of %d numbers are more than 2^31", k,
                          (int)inner->obs.size);
    return REIN_OK;
}

static void widen(rein_env_type *env, const frame_stack *f) {
    env->obs.size *= f->k;
    env->obs.shape[0] *= f->k; /* channels, or the box's size */
    env->obs.low = f->low;
    env->obs.high = f->high;
}

rein_status reini_env_frame_stack(const rein_env_type *inner, int k, rein_env_type *stacked) {
    REINI_TRY(check(inner, k));
    frame_stack *f = REINI_NEW(frame_stack);
    if (f == NULL)
        return reini_fail_memory(sizeof *f, "a stack of frames");
    f->k = k;
    f->frame_bytes = rein_space_bytes(&inner->obs);
    f->wrap.inner = *inner;
    rein_status status = repeat(f, inner->obs.low, &f->low);
    if (status == REIN_OK)
        status = repeat(f, inner->obs.high, &f->high);
    if (status != REIN_OK) {
        release(f);
        reini_free(f);
        return status;
    }
    *stacked = f->wrap.inner;
    reini_wrap_begin(stacked, &f->wrap, sizeof(ring) + (size_t)k * f->frame_bytes);
    f->wrap.release = release;
    stacked->reset = stack_reset;
    stacked->step = stack_step;
    stacked->observe = stack_observe;
    widen(stacked, f);
    return REIN_OK;
}
