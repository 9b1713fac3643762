/*
 * env_registry.c - the known environment types: the built-in ones, then those that users register.
 */
#include <rein/env.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "base/base.h"
#include "env/env_checks.h"
#include "env/env_types.h"
#include "env/mujoco/mujoco_find.h"
#include "env/wrap.h"

static const rein_env_type *const builtin[] = {
    &reini_env_cartpole,
    &reini_env_mountain_car,
    &reini_env_mountain_car_continuous,
    &reini_env_pendulum,
    &reini_env_acrobot,
    &reini_env_cartpole_no_velocity,
    &reini_env_pendulum_no_velocity,
    &reini_env_mountain_car_no_velocity,
    &reini_env_mountain_car_continuous_no_velocity,
    &reini_env_identity,
    &reini_env_identity_multi_discrete,
    &reini_env_identity_box,
    &reini_env_identity_masked,
    &reini_env_time_limit,
    &reini_env_frozen_lake,
    &reini_env_frozen_lake_8x8,
    &reini_env_cliff_walking,
    &reini_env_cliff_walking_slippery,
    &reini_env_taxi_v3,
    &reini_env_taxi_v4,
    &reini_env_blackjack,
    &reini_env_line_cost,
    &reini_env_line_goal,
    &reini_env_line_slip,
    &reini_env_random_walk,
    &reini_env_maze,
    &reini_env_cost_grid,
    &reini_env_mdp,
    &reini_env_asterix_v0,
    &reini_env_asterix_v1,
    &reini_env_breakout_v0,
    &reini_env_breakout_v1,
    &reini_env_freeway_v0,
    &reini_env_freeway_v1,
    &reini_env_seaquest_v0,
    &reini_env_seaquest_v1,
    &reini_env_space_invaders_v0,
    &reini_env_space_invaders_v1,
#ifdef REIN_HAVE_MUJOCO
    &reini_env_half_cheetah_v4,
    &reini_env_half_cheetah_v5,
    &reini_env_half_cheetah_safe,
    &reini_env_hopper_v4,
    &reini_env_hopper_v5,
    &reini_env_hopper_safe,
    &reini_env_walker2d_v4,
    &reini_env_walker2d_v5,
    &reini_env_walker2d_safe,
    &reini_env_swimmer_v4,
    &reini_env_swimmer_v5,
    &reini_env_swimmer_safe,
    &reini_env_ant_v4,
    &reini_env_ant_v5,
    &reini_env_ant_safe,
    &reini_env_humanoid_v4,
    &reini_env_humanoid_v5,
    &reini_env_humanoid_safe,
    &reini_env_inverted_pendulum_v4,
    &reini_env_inverted_pendulum_v5,
    &reini_env_inverted_double_pendulum_v4,
    &reini_env_inverted_double_pendulum_v5,
    &reini_env_reacher_v4,
    &reini_env_reacher_v5,
#endif
};

#define N_BUILTIN ((int)(sizeof builtin / sizeof *builtin))
#define MAX_USER  256

/* Types are only ever added: a reader that sees the count sees the entries below it. */
static const rein_env_type *user_types[MAX_USER];
static atomic_int n_user;
static pthread_mutex_t register_lock = PTHREAD_MUTEX_INITIALIZER;

const rein_env_type *rein_env_at(int i) {
    if (i < 0)
        return NULL;
    if (i < N_BUILTIN)
        return builtin[i];
    i -= N_BUILTIN;
    return i < atomic_load_explicit(&n_user, memory_order_acquire) ? user_types[i] : NULL;
}

static const rein_env_type *find_id(const char *id) {
    const rein_env_type *type;
    for (int i = 0; (type = rein_env_at(i)) != NULL; i++)
        if (strcmp(type->id, id) == 0)
            return type;
    return NULL;
}

const rein_env_type *rein_env_find(const char *id) {
    if (!id) {
        reini_fail(REIN_USAGE, "no environment id given; `rein list envs` shows those there are");
        return NULL;
    }
    const rein_env_type *type = find_id(id);
    if (type)
        return type;
    if (reini_plugin_named(id))
        return reini_plugin_find(id);
    if (reini_mujoco_named(id))
        return reini_mujoco_find(id);

    const char *ids[N_BUILTIN + MAX_USER];
    int n = 0;
    while (n < N_BUILTIN + MAX_USER && (type = rein_env_at(n)) != NULL)
        ids[n++] = type->id;
    const char *nearest = reini_nearest(id, ids, n);
    if (nearest)
        reini_fail(REIN_USAGE,
                   "no environment is named \"%s\"; did you mean \"%s\"? `rein list envs` shows all", id,
                   nearest);
    else
        reini_fail(REIN_USAGE, "no environment is named \"%s\"; `rein list envs` shows those there are", id);
    return NULL;
}

bool reini_env_is_builtin(const rein_env_type *type) {
    for (const reini_wrap *w; (w = reini_wrap_of(type)) != NULL;)
        type = &w->inner;
    for (int i = 0; i < N_BUILTIN; i++)
        if (type->step == builtin[i]->step)
            return true;
    return false;
}

/* ---- registering --------------------------------------------------------------------------------------- */

/* Letters, digits and -_./: what can stand in a file name's part, a flag and a table. */
static const char *id_flaw(const char *id) {
    size_t length = strlen(id);
    if (length == 0 || length > 64)
        return "the id must have 1 to 64 characters";
    if (strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./") != length)
        return "the id may hold letters, digits and -_./ only";
    return NULL;
}

static const char *functions_flaw(const rein_env_type *type) {
    if (!type->reset || !type->step || !type->observe)
        return "reset, step and observe are needed";
    int handle =
        (type->create != NULL) + (type->destroy != NULL) + (type->save != NULL) + (type->load != NULL);
    if (handle != 0 && handle != 4)
        return "create, destroy, save and load go together: give all four or none";
    if (handle == 4 && type->step_range)
        return "step_range needs plain states: leave it out or leave out create";
    if (type->mask && type->act.kind != REIN_SPACE_DISCRETE && type->act.kind != REIN_SPACE_MULTI_DISCRETE)
        return "a mask needs a discrete action space";
    return NULL;
}

static const char *sizes_flaw(const rein_env_type *type) {
    if (type->horizon < 0)
        return "the horizon must be 0 (none) or more";
    if (type->n_fields < 0 || (type->n_fields > 0 && (!type->fields || type->config_size == 0)))
        return "fields, n_fields and config_size do not fit together";
    for (int i = 0; i < type->n_fields; i++)
        if (type->fields[i].offset >= type->config_size)
            return "a field lies outside the config struct";
    return NULL;
}

static const char *cost_name_flaw(const char *name) {
    if (!name)
        return "a cost has no name";
    size_t length = strlen(name);
    if (length == 0 || length > 32)
        return "the name of a cost must have 1 to 32 characters";
    if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != length)
        return "the name of a cost may hold letters, digits and _ only";
    return NULL;
}

const char *reini_costs_flaw(const rein_env_type *type) {
    const char *flaw = NULL;
    if (type->n_costs < 0 || type->n_costs > REIN_COSTS_MAX)
        return "n_costs must be between 0 and 8";
    if (type->n_costs == 0)
        return type->costs ? "costs is given but n_costs is 0" : NULL;
    if (!type->costs || !type->cost_names)
        return "n_costs, cost_names and costs go together: give all three or none";
    for (int i = 0; i < type->n_costs && !flaw; i++) {
        flaw = cost_name_flaw(type->cost_names[i]);
        for (int k = 0; k < i && !flaw; k++)
            if (strcmp(type->cost_names[i], type->cost_names[k]) == 0)
                flaw = "two costs have one name";
    }
    return flaw;
}

rein_status reini_env_check(const rein_env_type *type) {
    if (!type || !type->id)
        return reini_fail(REIN_USAGE, "an environment type needs an id");
    if (type->abi != REIN_ENV_ABI)
        return reini_fail(REIN_UNSUPPORTED,
                          "environment \"%s\" was built for ABI %u, this library has %u: rebuild it",
                          type->id, (unsigned)type->abi, (unsigned)REIN_ENV_ABI);
    const char *flaw = id_flaw(type->id);
    if (!flaw)
        flaw = !type->doc ? "the doc line is missing" : sizes_flaw(type);
    if (!flaw)
        flaw = functions_flaw(type);
    if (!flaw && !type->open)
        flaw = reini_costs_flaw(type);
    if (flaw)
        return reini_fail(REIN_USAGE, "environment \"%s\" is refused: %s", type->id, flaw);
    flaw = reini_space_flaw(&type->obs);
    if (flaw)
        return reini_fail(REIN_USAGE, "environment \"%s\" is refused: the observation space %s", type->id,
                          flaw);
    flaw = type->act.kind == REIN_SPACE_IMAGE ? "is an image" : reini_space_flaw(&type->act);
    if (flaw)
        return reini_fail(REIN_USAGE, "environment \"%s\" is refused: the action space %s", type->id, flaw);
    return REIN_OK;
}

static rein_status add_type(const rein_env_type *type) {
    int n = atomic_load_explicit(&n_user, memory_order_relaxed);
    if (find_id(type->id))
        return reini_fail(REIN_USAGE, "an environment named \"%s\" exists already: choose another id",
                          type->id);
    if (n == MAX_USER)
        return reini_fail(REIN_USAGE,
                          "environment \"%s\" is refused: there are %d registered types already, the most",
                          type->id, MAX_USER);
    user_types[n] = type;
    atomic_store_explicit(&n_user, n + 1, memory_order_release);
    return REIN_OK;
}

rein_status rein_env_register(const rein_env_type *type) {
    REINI_TRY(reini_env_check(type));
    pthread_mutex_lock(&register_lock);
    rein_status status = add_type(type);
    pthread_mutex_unlock(&register_lock);
    return status;
}
