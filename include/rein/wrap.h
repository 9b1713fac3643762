/*
 * wrap.h - environments around environments: an opened type that passes everything on to another one, changed.
 *
 *     rein_env_type env;
 *     rein_env_open(rein_env_find("Pendulum-v1"), NULL, &env);
 *     float rate[1] = {0.5f};
 *     rein_env_filter(&env, &(rein_filter){.rate = rate});
 *     ... every call that takes an opened type ...
 *     rein_env_close(&env);
 */
#ifndef REIN_WRAP_H
#define REIN_WRAP_H

#include <stdbool.h>
#include <stdint.h>
#include <rein/env.h>
#include <rein/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- safety filters ------------------------------------------------------------------------------------ */

/* Looks at an action before the environment gets it, and may write another one over it (act size; int32 or float).
 * obs: the environment's observation that the action answers. Called by several threads at once; the same input must
 * give the same output, or runs cannot be repeated. */
typedef void rein_filter_check(void *user, const void *obs, void *action);

/* What stands between a policy and an environment, in this order: bounds, limit of the rate, check. The check has the
 * last word inside the action space. A number that is not one is replaced by the action before. */
typedef struct rein_filter {
    const float *low, *high; /* (act size)  bounds of box actions; NULL = none */
    const float *rate; /* (act size)  most change from one action to the next, of box actions; NULL = any.
                                 An episode begins as if after the action nearest 0 */
    rein_filter_check *check; /* NULL = none */
    void *user;
} rein_filter;

/* Puts a filter before *env, an opened type, which stays one and is closed as before. The arrays are copied. */
REIN_API rein_status rein_env_filter(rein_env_type *env, const rein_filter *filter);

/* Actions so far, of all vectors of a filtered type, and how many of them the filter replaced. False where there is
 * no filter. */
REIN_API bool rein_filter_count(const rein_env_type *env, int64_t *actions, int64_t *replaced);
/* Actions replaced in the last episode that ended in an environment of a vector (its rein_vec_state); -1 where there
 * is no filter. */
REIN_API int32_t rein_filter_episode(const rein_env_type *env, const void *state);

/* ---- frame stacking ------------------------------------------------------------------------------------ */

/* Observations of *env, an opened type, become the last k of them side by side, the oldest first; after a reset all are
 * the first one. Box and image observations. */
REIN_API rein_status rein_env_stack_frames(rein_env_type *env, int k);

/* ---- filters from shared libraries --------------------------------------------------------------------- */

#define REIN_FILTER_ABI 1

/* For `--safety_filter ./my_filter.so`. */
typedef struct rein_filter_plugin {
    uint32_t abi;               /* REIN_FILTER_ABI */
    int32_t obs_size, act_size; /* of the spaces it is made for, 0 = any */
    rein_filter_check *check;
    void *user;
} rein_filter_plugin;

/* Stands in any one file of the library, which needs Rein's headers only. */
#define REIN_FILTER_PLUGIN(obs_size, act_size, check)                                                        \
    extern REIN_API const rein_filter_plugin rein_filter_of_library;                                         \
    const rein_filter_plugin rein_filter_of_library = {REIN_FILTER_ABI, (obs_size), (act_size), (check), 0};

/* The filter of a library, which stays loaded; NULL with an error. */
REIN_API const rein_filter_plugin *rein_filter_load(const char *path);

#ifdef __cplusplus
}
#endif
#endif
