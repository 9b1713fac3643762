/*
 * mujoco_find.h - names of MuJoCo environments that are not in the registry.
 */
#ifndef REINI_MUJOCO_FIND_H
#define REINI_MUJOCO_FIND_H

#include <rein/env.h>
#include "base/base.h"

/* Whether a name is that of an MJCF file ("mujoco:file.xml") or, in a build without MuJoCo, of one of its robots. */
bool reini_mujoco_named(const char *name);
/* Its type; NULL with an error. */
const rein_env_type *reini_mujoco_find(const char *name);

#endif
