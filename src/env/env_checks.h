/*
 * env_checks.h - what keeps a user's environment from doing harm: its type is checked, tried out, and watched.
 */
#ifndef REINI_ENV_CHECKS_H
#define REINI_ENV_CHECKS_H

#include <rein/env.h>
#include "base/base.h"

/* REIN_OK when a type is well formed, else what is wrong with it. */
rein_status reini_env_check(const rein_env_type *type);
/* What is wrong with a type's costs, NULL when nothing is. */
const char *reini_costs_flaw(const rein_env_type *type);
/* Plays a few episodes of random actions with its default settings, between guard bytes: finds writes past the sizes
 * it declares, observations that are not finite or not in its space, masks that allow nothing. */
rein_status reini_env_probe(const rein_env_type *type);
/* What an observation or reward is not, NULL when it is as declared. */
const char *reini_obs_flaw(const rein_space *space, const void *obs);

/* Whether a name is that of a library ("x.so", "x.so:Id"), and its type; NULL with an error. */
bool reini_plugin_named(const char *name);
const rein_env_type *reini_plugin_find(const char *name);

#endif
