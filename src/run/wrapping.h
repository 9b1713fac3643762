/*
 * wrapping.h - the wrappers that a run's settings ask for (REIN_WRAP_FIELDS), around an opened environment.
 */
#ifndef REINI_WRAPPING_H
#define REINI_WRAPPING_H

#include <rein/run.h>
#include "base/base.h"

/* Wraps *env, an opened type, which stays its owner's to close. filter: a safety filter given in C beside the
 * settings, NULL = none. */
rein_status reini_wrap_env(const rein_run_config *run, const rein_filter *filter, rein_env_type *env);

/* The settings that are not at their defaults, one "name=value" a line; read back into the defaults. */
void reini_wrap_print(const rein_run_config *run, char *out, size_t size);
rein_status reini_wrap_read(const char *text, rein_run_config *run);

#endif
