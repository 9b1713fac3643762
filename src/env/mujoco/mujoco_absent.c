/*
 * mujoco_absent.c - what a build without MuJoCo says when one of its environments is named.
 */
#ifndef REIN_HAVE_MUJOCO
#include <string.h>
#include "env/mujoco/mujoco_find.h"

static const char *const robots[] = {
    "HalfCheetah-v",
    "Hopper-v",
    "Walker2d-v",
    "Swimmer-v",
    "Ant-v",
    "Humanoid-v",
    "InvertedPendulum-v",
    "InvertedDoublePendulum-v",
    "Reacher-v",
    "SafetyHalfCheetahVelocity-v",
    "SafetyHopperVelocity-v",
    "SafetyWalker2dVelocity-v",
    "SafetySwimmerVelocity-v",
    "SafetyAntVelocity-v",
    "SafetyHumanoidVelocity-v",
    "mujoco:",
};

bool reini_mujoco_named(const char *name) {
    for (size_t i = 0; i < sizeof robots / sizeof *robots; i++)
        if (strncmp(name, robots[i], strlen(robots[i])) == 0)
            return true;
    return false;
}

const rein_env_type *reini_mujoco_find(const char *name) {
    reini_fail(
        REIN_UNSUPPORTED,
        "environment %s needs MuJoCo, which this build of Rein has not: install it (Debian and Ubuntu: "
        "apt-get install libmujoco-dev) and build Rein again",
        name);
    return NULL;
}
#endif
