/*
 * wrap.c - passing every call on to the environment inside.
 */
#include "env/wrap.h"

#include <string.h>
#include "env/frame_stack.h"

static size_t aligned(size_t bytes) {
    return (bytes + 15) & ~(size_t)15;
}

void *reini_wrap_inner(const reini_wrap *wrap, const void *state) {
    return wrap->inner.create ? *(void *const *)state : (void *)(uintptr_t)state;
}

void *reini_wrap_own(const reini_wrap *wrap, const void *state) {
    return (unsigned char *)(uintptr_t)state + wrap->own_offset;
}

/* ---- calls passed on ----------------------------------------------------------------------------------- */

static void pass_reset(const void *model, void *state, rein_rng *rng) {
    const reini_wrap *w = model;
    w->inner.reset(w->inner.model, reini_wrap_inner(w, state), rng);
}

static rein_step pass_step(const void *model, void *state, const void *action, rein_rng *rng) {
    const reini_wrap *w = model;
    return w->inner.step(w->inner.model, reini_wrap_inner(w, state), action, rng);
}

static void pass_observe(const void *model, const void *state, void *obs) {
    const reini_wrap *w = model;
    w->inner.observe(w->inner.model, reini_wrap_inner(w, state), obs);
}

static void pass_mask(const void *model, const void *state, uint8_t *mask) {
    const reini_wrap *w = model;
    w->inner.mask(w->inner.model, reini_wrap_inner(w, state), mask);
}

static void pass_costs(const void *model, const void *state, float *cost) {
    const reini_wrap *w = model;
    w->inner.costs(w->inner.model, reini_wrap_inner(w, state), cost);
}

/* ---- handles ------------------------------------------------------------------------------------------- */

/* `destroy` gets no model, so the handle remembers how what is inside is destroyed */
typedef struct handle_head {
    void *inner;
    const reini_wrap *wrap;
} handle_head;

static void *create_handle(const void *model) {
    const reini_wrap *w = model;
    handle_head *handle = reini_new(w->own_offset + w->own_size);
    if (!handle)
        return NULL;
    handle->wrap = w;
    handle->inner = w->inner.create(w->inner.model);
    if (handle->inner)
        return handle;
    reini_free(handle);
    return NULL;
}

static void destroy_handle(void *state) {
    handle_head *handle = state;
    handle->wrap->inner.destroy(handle->inner);
    reini_free(handle);
}

static void save_handle(const void *state, void *buffer) {
    const handle_head *handle = state;
    const reini_wrap *w = handle->wrap;
    w->inner.save(handle->inner, buffer);
    memcpy((unsigned char *)buffer + aligned(w->inner.state_size), reini_wrap_own(w, state), w->own_size);
}

static void load_handle(void *state, const void *buffer) {
    handle_head *handle = state;
    const reini_wrap *w = handle->wrap;
    w->inner.load(handle->inner, buffer);
    memcpy(reini_wrap_own(w, state), (const unsigned char *)buffer + aligned(w->inner.state_size),
           w->own_size);
}

/* ---- wrapping ------------------------------------------------------------------------------------------ */

static void close_wrap(rein_env_type *opened) {
    reini_wrap *w = opened->model;
    if (w->release)
        w->release(w);
    rein_env_close(&w->inner);
    reini_free(w);
}

reini_wrap *reini_wrap_of(const rein_env_type *type) {
    return type->close == close_wrap ? type->model : NULL;
}

void reini_wrap_begin(rein_env_type *env, reini_wrap *model, size_t own_size) {
    model->inner = *env;
    model->own_size = aligned(own_size);
    model->own_offset = env->create ? sizeof(handle_head) : aligned(env->state_size);
    env->model = model;
    env->close = close_wrap;
    env->state_size = aligned(env->state_size) + model->own_size;
    env->reset = pass_reset;
    env->step = pass_step;
    env->observe = pass_observe;
    env->mask = env->mask ? pass_mask : NULL;
    env->costs = env->costs ? pass_costs : NULL;
    env->step_range = NULL;
    if (env->create) {
        env->create = create_handle;
        env->destroy = destroy_handle;
        env->save = save_handle;
        env->load = load_handle;
    }
    /* its tables are those of what is inside, not of the wrapper */
    env->mdp = NULL;
    env->no_mdp = NULL;
}

rein_status rein_env_stack_frames(rein_env_type *env, int k) {
    return reini_env_frame_stack(env, k, env);
}
