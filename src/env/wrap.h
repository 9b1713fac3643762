/*
 * wrap.h - what wrappers share: an opened type that passes every call on to another opened type, and keeps some
 * bytes of its own for each environment.
 *
 * A wrapper allocates a model whose first member is a reini_wrap, calls reini_wrap_begin, and then sets the functions
 * and spaces that it changes. States are laid out so, own bytes in multiples of 16:
 *
 *     plain inner state     inner state, own bytes
 *     inner handle          inner handle, own bytes (the wrapper's handle); saved as inner state, own bytes
 */
#ifndef REINI_WRAP_H
#define REINI_WRAP_H

#include <rein/wrap.h>
#include "base/base.h"

typedef struct reini_wrap {
    rein_env_type inner; /* opened; closed with the wrapper */
    size_t own_offset, own_size;
    void (*release)(void *model); /* frees what the model owns beside itself and inner; NULL = nothing */
} reini_wrap;

/* Turns *env into a wrapper of what it was: `model` (by reini_new) is the type's from here on. */
void reini_wrap_begin(rein_env_type *env, reini_wrap *model, size_t own_size);

/* The wrapper's model of a type, NULL when it is not a wrapper. */
reini_wrap *reini_wrap_of(const rein_env_type *type);

/* Parts of a wrapper's state. */
void *reini_wrap_inner(const reini_wrap *wrap, const void *state);
void *reini_wrap_own(const reini_wrap *wrap, const void *state);

/* REIN_DIVERGED once a filter's check has replaced an action by one that the action space does not have. */
rein_status reini_filter_fault(const rein_env_type *type);

#endif
