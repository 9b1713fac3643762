/*
 * presets.h - looking up presets by (algorithm, environment, name).
 */
#ifndef REINI_PRESETS_H
#define REINI_PRESETS_H

#include <rein/run.h>

const rein_preset *reini_preset_find(const char *algo, const char *env, const char *name); /* NULL: none */
/* REIN_USAGE: there is no such preset, these exist. */
rein_status reini_preset_fail(const char *algo, const char *env, const char *name);

/* The rows, one table a file; each ends with a row without a name. */
extern const rein_preset reini_presets_classic[], reini_presets_mujoco[], reini_presets_games[];

#endif
