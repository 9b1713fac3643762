/*
 * env.h - environments: spaces, the environment type, and vectors of environments.
 *
 * An environment type is plain data plus three functions: reset, step, observe. Its state is a plain struct
 * that can be copied, hashed and saved. Random numbers come only from the given stream. A step does no I/O
 * and touches no globals.
 *
 * Ends of episodes, once and for all:
 *   terminated  the process ended: the value of the next state is 0.
 *   truncated   the episode was cut (time limit): the value of the next state is V(final observation).
 * Vectors reset in the same step: after a step that ends an episode, `obs` holds the first observation of
 * the new episode and `final_obs` the last one of the old. Both flags may be set; terminated wins.
 */
#ifndef REIN_ENV_H
#define REIN_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rein/field.h>
#include <rein/mdp.h>
#include <rein/rng.h>
#include <rein/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REIN_ENV_ABI 3

/* ---- spaces ------------------------------------------------------------------------------------------- */

typedef enum rein_space_kind {
    REIN_SPACE_DISCRETE,       /* one integer in [0, n[0])                               int32 */
    REIN_SPACE_MULTI_DISCRETE, /* `count` integers, the k-th in [0, n[k])                int32 */
    REIN_SPACE_BOX,            /* `size` numbers, the k-th in [low[k], high[k]]          float */
    REIN_SPACE_IMAGE,          /* `size` bytes, shape channels x height x width          uint8 */
} rein_space_kind;

#define REIN_SPACE_PARTS 8
typedef struct rein_space {
    rein_space_kind kind;
    int32_t size;                /* numbers per item: 1 for DISCRETE, count for MULTI_DISCRETE */
    int32_t n[REIN_SPACE_PARTS]; /* DISCRETE, MULTI_DISCRETE: sizes of the parts */
    int32_t shape[3];            /* IMAGE: channels, height, width; BOX: size, 0, 0 */
    const float *low, *high;     /* BOX: bounds, `size` each; NULL = unbounded; +-INFINITY allowed */
} rein_space;

/* Bytes of one item: 4 x size, or size for images. */
REIN_API size_t rein_space_bytes(const rein_space *space);
/* Numbers a policy must produce for one item: sum of n for discrete spaces, size for boxes. */
REIN_API int rein_space_logits(const rein_space *space);
/* Number of different items: n for DISCRETE, the product of the parts for MULTI_DISCRETE; 0 for others, and when it
 * is above 2^31 - 1. */
REIN_API int32_t rein_space_count(const rein_space *space);
/* Items of discrete spaces numbered 0..count-1: the last part counts fastest. */
REIN_API int32_t rein_space_index(const rein_space *space, const int32_t *item);
REIN_API void rein_space_item(const rein_space *space, int32_t index, int32_t *item);
/* "Discrete(2)", "Box(3, -1..1)", ...; returns the length needed. */
REIN_API size_t rein_space_print(const rein_space *space, char *out, size_t size);

/* ---- environment types -------------------------------------------------------------------------------- */

#define REIN_COSTS_MAX 8

typedef struct rein_step {
    float reward;
    bool terminated;
    bool truncated; /* cut by the environment itself; the time limit is the vector's business */
} rein_step;

/* Where a range of environments reads and writes; row i belongs to environment i. All arrays are the
 * caller's; final_obs, mask, final_mask, ep_return, ep_length, cost and ep_cost may be NULL. */
typedef struct rein_slab {
    const void *action;  /* (N x action size)  int32 or float                                     in  */
    void *obs;           /* (N x obs size)     observation after the step (after auto-reset)      out */
    float *reward;       /* (N)                                                                   out */
    uint8_t *terminated; /* (N)                0 or 1                                             out */
    uint8_t *truncated;  /* (N)                0 or 1                                             out */
    void *final_obs;     /* (N x obs size)     written only in rows where an episode ended        out */
    uint8_t *mask;       /* (N x logits)       1 = allowed, for the state in obs                  out */
    float *ep_return;    /* (N)                undiscounted return, where an episode ended        out */
    int32_t *ep_length;  /* (N)                steps, where an episode ended                      out */
    uint8_t *final_mask; /* (N x logits)       the mask for the state in final_obs                out */
    float *cost;         /* (N x n_costs)      costs of the step; where the type has costs        out */
    float *ep_cost;      /* (N x n_costs)      their undiscounted sums, where an episode ended    out */
} rein_slab;

typedef struct rein_env_type {
    uint32_t abi;    /* REIN_ENV_ABI */
    const char *id;  /* "CartPole-v1" */
    const char *doc; /* one line */
    rein_space obs, act;
    int32_t horizon;    /* time limit in steps, 0 = none */
    size_t state_size;  /* bytes of the plain state */
    size_t config_size; /* bytes of the config struct, 0 = no config */
    const rein_field *fields;
    int n_fields;
    double reward_threshold; /* return that counts as solved, NAN = none */

    /* Puts the environment into a starting state. */
    void (*reset)(const void *config, void *state, rein_rng *rng);
    /* Advances by one action: int32_t[] for discrete spaces, float[] (already inside the bounds) for boxes. */
    rein_step (*step)(const void *config, void *state, const void *action, rein_rng *rng);
    /* Writes the observation of a state. */
    void (*observe)(const void *config, const void *state, void *obs);
    /* Optional: which of the `logits` discrete actions are allowed (1) in a state. */
    void (*mask)(const void *config, const void *state, uint8_t *mask);
    /* Optional fast path: step + observe for n environments with contiguous states, without resets:
     * fills reward, terminated, truncated (as rein_step) and obs of rows [0, n). Environment i draws from rng[i].
     * Must equal `step` bit for bit, streams included. */
    void (*step_range)(const void *config, void *states, rein_rng *rng, const void *actions, int n,
                       float *reward, uint8_t *terminated, uint8_t *truncated, void *obs);

    /* Only for environments whose state is not plain data (simulators, bridges): state_size is the size of
     * the buffer `save` fills; the vector passes the handle of `create` wherever a state is expected. */
    void *(*create)(const void *config);
    void (*destroy)(void *handle);
    void (*save)(const void *handle, void *buffer);
    void (*load)(void *handle, const void *buffer);

    /* Only for environments whose spaces or tables follow from their settings (a map, a file). `open` finds in
     * *opened a copy of the type; it sets model, spaces and whatever else the settings decide. The functions above
     * then get `model` where they are said to get the config. `close` frees the model. */
    rein_status (*open)(const void *config, struct rein_env_type *opened);
    void (*close)(struct rein_env_type *opened);
    /* Of opened types; NULL in registered ones. */
    void *model;
    /* Of opened types with finitely many states: the environment as tables, owned by the model; else NULL. State s
     * is the observation with rein_space_index s; what the MDP calls a terminal state with a value other than 0 is
     * an environment state from which every action earns the value and terminates. */
    const rein_mdp *mdp;
    /* Of opened types without tables that could have them: which settings would, for error messages; else NULL. */
    const char *no_mdp;

    /* Optional, for constrained problems (Altman 1999): costs of a step beside its reward, REIN_COSTS_MAX at most;
     * limits on them are the algorithm's business. `costs` gives those of the step that led to the state; it is
     * called after step and before a reset. */
    int n_costs;
    const char *const *cost_names; /* n_costs names: letters, digits and _ */
    void (*costs)(const void *config, const void *state, float *cost);
} rein_env_type;

/* Finds a type by id, or in the shared library of that path; NULL with an error naming the nearest id. */
REIN_API const rein_env_type *rein_env_find(const char *id);
/* A type together with one configuration: a copy whose model holds the config (NULL = defaults) or what `open` made
 * of it, and which has no settings any more. Every call that takes a type takes an opened one, which must outlive
 * the vectors made from it. Closed by the caller. */
REIN_API rein_status rein_env_open(const rein_env_type *type, const void *config, rein_env_type *opened);
REIN_API void rein_env_close(rein_env_type *opened);
/* Known types: i from 0 until NULL. */
REIN_API const rein_env_type *rein_env_at(int i);
/* Adds a type (kept by reference for the life of the process). Refused when malformed or the id is taken. */
REIN_API rein_status rein_env_register(const rein_env_type *type);

/* What a shared library with environments exports, for `--env ./my_env.so` (the first one) and
 * `--env ./my_env.so:ID`: the i-th type it offers, NULL past the end. One type: REIN_ENV_PLUGIN(my_type) in any one
 * of its files. The library needs Rein's headers only. Its types are checked and tried out when loaded. */
#define REIN_ENV_PLUGIN(type)                                                                                \
    REIN_API const rein_env_type *rein_env_plugin(int i);                                                    \
    const rein_env_type *rein_env_plugin(int i) {                                                            \
        return i == 0 ? &(type) : NULL;                                                                      \
    }

/* ---- vectors of environments -------------------------------------------------------------------------- */

typedef struct rein_vec rein_vec;

typedef struct rein_vec_opts {
    int n;              /* environments, >= 1 */
    uint64_t seed;      /* environment i draws from stream (seed, i) */
    const void *config; /* the type's config struct, copied; NULL = defaults; NULL for an opened type */
    int32_t horizon;    /* replaces the type's time limit; 0 = the type's, -1 = none */
} rein_vec_opts;

/* A vector of n environments of one type; every environment is reset. The caller frees it. */
REIN_API rein_status rein_vec_new(const rein_env_type *type, const rein_vec_opts *opts, rein_vec **out);
REIN_API void rein_vec_free(rein_vec *vec);

/* Resets environments [begin, end) and writes obs and mask of the slab. */
REIN_API void rein_vec_reset(rein_vec *vec, int begin, int end, const rein_slab *slab);
/* Writes obs and mask of the current states of [begin, end), without stepping. */
REIN_API void rein_vec_observe(const rein_vec *vec, int begin, int end, const rein_slab *slab);
/* Steps environments [begin, end) with auto-reset. Row i of the slab is environment i. Box actions are
 * clipped to the bounds, in a copy. Different ranges may be stepped by different threads at once. */
REIN_API void rein_vec_step(rein_vec *vec, int begin, int end, const rein_slab *slab);

/* Environments that are not Rein's own are watched: REIN_DIVERGED, with a sentence that names environment, step and
 * seed, once one of them has given a reward or an observation that is not finite or not in its space. */
REIN_API rein_status rein_vec_fault(const rein_vec *vec);

REIN_API int rein_vec_count(const rein_vec *vec);
/* The opened type: the one given, or the vector's own. */
REIN_API const rein_env_type *rein_vec_type(const rein_vec *vec);
/* The plain state of environment i (or what `create` returned). */
REIN_API void *rein_vec_state(rein_vec *vec, int i);
/* The effective time limit in steps, 0 = none. */
REIN_API int32_t rein_vec_horizon(const rein_vec *vec);

/* Everything that the future of the vector depends on: states, streams, episode clocks. */
REIN_API size_t rein_vec_save_size(const rein_vec *vec);
REIN_API void rein_vec_save(const rein_vec *vec, void *buffer);
REIN_API rein_status rein_vec_load(rein_vec *vec, const void *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
