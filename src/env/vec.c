/*
 * vec.c - vectors of environments: stepping with auto-reset, time limits, episode statistics, saving.
 *
 * A step of a range goes block by block, so that a block's rows stay in the first-level cache:
 *
 *     clip the actions   advance every environment   costs   count steps and returns, cut at the horizon
 *     where an episode ended: final_obs, ep_return, ep_length, ep_cost, reset, first observation   masks
 *
 * Rows are independent of each other and of the blocks, so any split into ranges gives the same bits.
 */
#include <rein/env.h>

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/base.h"
#include "env/env_checks.h"
#include "env/env_types.h"
#include "env/wrap.h"

enum { BLOCK = 128 };

struct rein_vec {
    const rein_env_type *type; /* opened */
    rein_env_type own;         /* where type points when the vector opened it */
    bool opened;
    bool watched;     /* not one of Rein's own */
    atomic_int fault; /* 1 + the first environment found faulty, 0 = none; what it gave is in `found` */
    struct {
        const char *flaw; /* of the observation, NULL = a number is not finite: */
        const char *cost; /* this cost, NULL = the reward */
        float number;
        int32_t step;
    } found;
    uint64_t seed;
    int n;
    int32_t horizon;  /* steps, 0 = none */
    size_t obs_bytes; /* of one observation */
    size_t act_bytes; /* of one action */
    int act_logits;
    const void *config;     /* the type's model; NULL when it has none */
    unsigned char *states;  /* (n x state_size)  plain states, or NULL */
    void **handles;         /* (n)               what create returned, or NULL */
    rein_rng *rng;          /* (n) */
    int32_t *clock;         /* (n)               steps in the current episode */
    double *episode_return; /* (n)               of the current episode so far */
    double *episode_cost;   /* (n x n_costs)     the same of the costs, NULL without */
    float *clipped;         /* (n x act size)    clipped actions, NULL when the action space has no bounds */
};

static void *state_of(const rein_vec *vec, int i) {
    return vec->handles ? vec->handles[i] : vec->states + (size_t)i * vec->type->state_size;
}

static void *row(void *array, size_t bytes, int i) {
    return (unsigned char *)array + (size_t)i * bytes;
}

/* ---- lifetime ------------------------------------------------------------------------------------------ */

/* what the type's functions get for a config: a vector of a type that was not opened opens it for itself */
static rein_status open_type(rein_vec *vec, const void *config) {
    if (vec->type->config_size > 0 || vec->type->open || config) {
        REINI_TRY(rein_env_open(vec->type, config, &vec->own));
        vec->opened = true;
        vec->type = &vec->own;
    }
    vec->config = vec->type->model;
    return REIN_OK;
}

static bool has_bounds(const rein_space *space) {
    return space->kind == REIN_SPACE_BOX && (space->low || space->high);
}

static rein_status make_arrays(rein_vec *vec) {
    const rein_env_type *type = vec->type;
    size_t n = (size_t)vec->n, act_size = (size_t)type->act.size, costs = (size_t)type->n_costs;
    bool clips = has_bounds(&type->act);
    vec->rng = REINI_NEW_ARRAY(rein_rng, n);
    vec->clock = REINI_NEW_ARRAY(int32_t, n);
    vec->episode_return = REINI_NEW_ARRAY(double, n);
    if (clips)
        vec->clipped = reini_new_array(n, act_size * sizeof(float));
    vec->episode_cost = costs > 0 ? REINI_NEW_ARRAY(double, n *costs) : NULL;
    if (type->create)
        vec->handles = REINI_NEW_ARRAY(void *, n);
    else
        vec->states = reini_new_array(n, type->state_size);
    if (!vec->rng || !vec->clock || !vec->episode_return || (clips && !vec->clipped) ||
        (costs > 0 && !vec->episode_cost) || (!vec->handles && !vec->states)) {
        size_t each = sizeof(rein_rng) + 12 + 8 * costs + type->state_size + (clips ? 4 * act_size : 0);
        return reini_fail_memory(n * each, "the states of the environments");
    }
    return REIN_OK;
}

static rein_status create_handles(rein_vec *vec) {
    for (int i = 0; i < vec->n; i++) {
        vec->handles[i] = vec->type->create(vec->config);
        if (!vec->handles[i])
            return reini_fail(REIN_NOMEM, "environment %s: creating number %d of %d failed", vec->type->id, i,
                              vec->n);
    }
    return REIN_OK;
}

static void start_episode(rein_vec *vec, int i) {
    vec->type->reset(vec->config, state_of(vec, i), &vec->rng[i]);
    vec->clock[i] = 0;
    vec->episode_return[i] = 0;
    for (int k = 0; k < vec->type->n_costs; k++)
        vec->episode_cost[i * vec->type->n_costs + k] = 0;
}

static rein_status fill_vec(rein_vec *vec, const rein_vec_opts *opts) {
    REINI_TRY(open_type(vec, opts->config));
    const rein_env_type *type = vec->type;
    vec->horizon = opts->horizon == -1 ? 0 : opts->horizon == 0 ? type->horizon : opts->horizon;
    vec->obs_bytes = rein_space_bytes(&type->obs);
    vec->act_bytes = rein_space_bytes(&type->act);
    vec->act_logits = rein_space_logits(&type->act);
    vec->watched = !reini_env_is_builtin(type);
    vec->seed = opts->seed;
    REINI_TRY(make_arrays(vec));
    if (vec->handles)
        REINI_TRY(create_handles(vec));
    for (int i = 0; i < vec->n; i++) {
        vec->rng[i] = rein_rng_make(opts->seed, (uint64_t)i);
        start_episode(vec, i);
    }
    return REIN_OK;
}

rein_status rein_vec_new(const rein_env_type *type, const rein_vec_opts *opts, rein_vec **out) {
    *out = NULL;
    if (opts->n < 1)
        return reini_fail(REIN_USAGE, "a vector needs at least 1 environment, not %d", opts->n);
    if (opts->horizon < -1)
        return reini_fail(REIN_USAGE,
                          "the horizon must be -1 (none), 0 (the environment's own) or more, not %d",
                          (int)opts->horizon);
    rein_vec *vec = REINI_NEW(rein_vec);
    if (!vec)
        return reini_fail_memory(sizeof *vec, "a vector of environments");
    vec->type = type;
    vec->n = opts->n;
    rein_status status = fill_vec(vec, opts);
    if (status != REIN_OK) {
        rein_vec_free(vec);
        return status;
    }
    *out = vec;
    return REIN_OK;
}

void rein_vec_free(rein_vec *vec) {
    if (!vec)
        return;
    for (int i = 0; vec->handles && i < vec->n && vec->handles[i]; i++)
        vec->type->destroy(vec->handles[i]);
    reini_free(vec->handles);
    reini_free(vec->states);
    reini_free(vec->clipped);
    reini_free(vec->episode_return);
    reini_free(vec->episode_cost);
    reini_free(vec->clock);
    reini_free(vec->rng);
    if (vec->opened)
        rein_env_close(&vec->own);
    reini_free(vec);
}

/* ---- stepping ------------------------------------------------------------------------------------------ */

static void observe_row(const rein_vec *vec, int i, const rein_slab *slab) {
    vec->type->observe(vec->config, state_of(vec, i), row(slab->obs, vec->obs_bytes, i));
}

static void write_masks(const rein_vec *vec, int begin, int end, const rein_slab *slab) {
    size_t logits = (size_t)vec->act_logits;
    if (!slab->mask)
        return;
    if (!vec->type->mask) {
        memset(row(slab->mask, logits, begin), 1, (size_t)(end - begin) * logits);
        return;
    }
    for (int i = begin; i < end; i++)
        vec->type->mask(vec->config, state_of(vec, i), row(slab->mask, logits, i));
}

/* A NaN passes through, so that it shows in the rewards rather than act as a bound. */
static float clip(float x, float low, float high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* The actions of `count` environments from `begin`, inside the bounds. */
static const void *clipped_actions(rein_vec *vec, int begin, int count, const rein_slab *slab) {
    const rein_space *space = &vec->type->act;
    size_t size = (size_t)space->size, first = (size_t)begin * size;
    if (!vec->clipped)
        return (const unsigned char *)slab->action + (size_t)begin * vec->act_bytes;
    const float *given = (const float *)slab->action + first;
    float *out = vec->clipped + first;
    for (size_t k = 0; k < size; k++) {
        float low = space->low ? space->low[k] : -INFINITY, high = space->high ? space->high[k] : INFINITY;
        for (size_t i = 0; i < (size_t)count; i++)
            out[i * size + k] = clip(given[i * size + k], low, high);
    }
    return out;
}

/* One action for each of `count` environments from `begin`, without resets. */
static void advance(rein_vec *vec, int begin, int count, const void *actions, const rein_slab *slab) {
    const rein_env_type *type = vec->type;
    if (type->step_range && !vec->handles) {
        type->step_range(vec->config, state_of(vec, begin), vec->rng + begin, actions, count,
                         slab->reward + begin, slab->terminated + begin, slab->truncated + begin,
                         row(slab->obs, vec->obs_bytes, begin));
        return;
    }
    const unsigned char *action = actions;
    for (int i = begin; i < begin + count; i++, action += vec->act_bytes) {
        rein_step result = type->step(vec->config, state_of(vec, i), action, &vec->rng[i]);
        slab->reward[i] = result.reward;
        slab->terminated[i] = result.terminated;
        slab->truncated[i] = result.truncated;
        observe_row(vec, i, slab);
    }
}

/* Remembers what environment i gave that it may not give, if it is the first. */
static void note_fault(rein_vec *vec, int i, const char *flaw, const char *cost, float number) {
    int none = 0;
    if (!atomic_compare_exchange_strong(&vec->fault, &none, i + 1))
        return;
    vec->found.flaw = flaw;
    vec->found.cost = cost;
    vec->found.number = number;
    vec->found.step = vec->clock[i];
}

static void watch(rein_vec *vec, int begin, int count, const rein_slab *slab) {
    for (int i = begin; i < begin + count; i++) {
        const char *flaw = reini_obs_flaw(&vec->type->obs, row(slab->obs, vec->obs_bytes, i));
        if (!isfinite(slab->reward[i]))
            note_fault(vec, i, NULL, NULL, slab->reward[i]);
        else if (flaw)
            note_fault(vec, i, flaw, NULL, 0);
    }
}

/* The costs of the steps that `count` environments from `begin` have just made, before any is reset. */
static void take_costs(rein_vec *vec, int begin, int count, const rein_slab *slab) {
    const rein_env_type *type = vec->type;
    int n = type->n_costs;
    for (int i = begin; i < begin + count; i++) {
        float cost[REIN_COSTS_MAX];
        type->costs(vec->config, state_of(vec, i), cost);
        for (int k = 0; k < n; k++) {
            vec->episode_cost[i * n + k] += (double)cost[k];
            if (vec->watched && !isfinite(cost[k]))
                note_fault(vec, i, NULL, type->cost_names[k], cost[k]);
        }
        if (slab->cost)
            memcpy(slab->cost + i * n, cost, (size_t)n * sizeof *cost);
    }
}

rein_status rein_vec_fault(const rein_vec *vec) {
    int i = atomic_load(&vec->fault) - 1;
    if (i < 0)
        return reini_filter_fault(vec->type);
    char what[96];
    if (vec->found.flaw)
        snprintf(what, sizeof what, "an observation that %s", vec->found.flaw);
    else if (vec->found.cost)
        snprintf(what, sizeof what, "the cost %s %g", vec->found.cost, (double)vec->found.number);
    else
        snprintf(what, sizeof what, "the reward %g", (double)vec->found.number);
    return reini_fail(
        REIN_DIVERGED,
        "environment %s: number %d of %d gave %s at step %d of its episode (seed %llu): the fault "
        "is the environment's",
        vec->type->id, i, vec->n, what, (int)vec->found.step, (unsigned long long)vec->seed);
}

/* Counts the step of `count` environments from `begin` and cuts episodes at the horizon. The clock stops just
 * below its largest value, which only endless episodes reach. */
static void count_steps(rein_vec *vec, int begin, int count, const rein_slab *slab) {
    int32_t limit = vec->horizon > 0 ? vec->horizon : INT32_MAX;
    int32_t *restrict clock = vec->clock + begin;
    double *restrict episode_return = vec->episode_return + begin;
    const float *restrict reward = slab->reward + begin;
    uint8_t *restrict truncated = slab->truncated + begin;
    for (int i = 0; i < count; i++)
        episode_return[i] += (double)reward[i];
    for (int i = 0; i < count; i++)
        clock[i] += clock[i] < INT32_MAX - 1;
    for (int i = 0; i < count; i++)
        truncated[i] |= clock[i] >= limit;
}

static void finish_episode(rein_vec *vec, int i, const rein_slab *slab) {
    if (slab->final_mask && vec->type->mask)
        vec->type->mask(vec->config, state_of(vec, i), row(slab->final_mask, (size_t)vec->act_logits, i));
    else if (slab->final_mask)
        memset(row(slab->final_mask, (size_t)vec->act_logits, i), 1, (size_t)vec->act_logits);
    if (slab->final_obs)
        memcpy(row(slab->final_obs, vec->obs_bytes, i), row(slab->obs, vec->obs_bytes, i), vec->obs_bytes);
    if (slab->ep_return)
        slab->ep_return[i] = (float)vec->episode_return[i];
    if (slab->ep_length)
        slab->ep_length[i] = vec->clock[i];
    for (int k = 0, n = vec->type->n_costs; slab->ep_cost && k < n; k++)
        slab->ep_cost[i * n + k] = (float)vec->episode_cost[i * n + k];
    start_episode(vec, i);
    observe_row(vec, i, slab);
}

/* Whether none of eight flags is set in either array. */
static bool eight_clear(const uint8_t *a, const uint8_t *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x | y) == 0;
}

/* Finishes the episodes that ended among `count` environments from `begin`, at most BLOCK. Those of eight with any are
 * listed first, without a branch: which ones end nothing could predict. */
static void finish_ended(rein_vec *vec, int begin, int count, const rein_slab *slab) {
    const uint8_t *terminated = slab->terminated + begin, *truncated = slab->truncated + begin;
    int ended[BLOCK], n = 0;
    for (int first = 0; first < count; first += 8) {
        int end = first + 8;
        if (end > count)
            end = count;
        else if (eight_clear(terminated + first, truncated + first))
            continue;
        for (int i = first; i < end; i++) {
            ended[n] = begin + i;
            n += (terminated[i] | truncated[i]) != 0;
        }
    }
    for (int k = 0; k < n; k++)
        finish_episode(vec, ended[k], slab);
}

void rein_vec_step(rein_vec *vec, int begin, int end, const rein_slab *slab) {
    for (int first = begin; first < end; first += BLOCK) {
        int count = end - first < BLOCK ? end - first : BLOCK;
        advance(vec, first, count, clipped_actions(vec, first, count, slab), slab);
        if (vec->watched)
            watch(vec, first, count, slab);
        if (vec->type->n_costs > 0)
            take_costs(vec, first, count, slab);
        count_steps(vec, first, count, slab);
        finish_ended(vec, first, count, slab);
    }
    write_masks(vec, begin, end, slab);
}

void rein_vec_reset(rein_vec *vec, int begin, int end, const rein_slab *slab) {
    for (int i = begin; i < end; i++)
        start_episode(vec, i);
    rein_vec_observe(vec, begin, end, slab);
}

void rein_vec_observe(const rein_vec *vec, int begin, int end, const rein_slab *slab) {
    for (int i = begin; i < end; i++)
        observe_row(vec, i, slab);
    write_masks(vec, begin, end, slab);
}

/* ---- queries ------------------------------------------------------------------------------------------- */

int rein_vec_count(const rein_vec *vec) {
    return vec->n;
}

const rein_env_type *rein_vec_type(const rein_vec *vec) {
    return vec->type;
}

void *rein_vec_state(rein_vec *vec, int i) {
    return state_of(vec, i);
}

int32_t rein_vec_horizon(const rein_vec *vec) {
    return vec->horizon;
}

/* ---- saving -------------------------------------------------------------------------------------------- */

/* Laid out as header, states, streams, returns, costs, clocks; 64 bytes keep the states aligned. */
typedef struct vec_header {
    char magic[8];
    uint64_t id_hash; /* of the type's id */
    uint64_t state_size;
    uint64_t n;
    uint64_t unused[4];
} vec_header;

static const char vec_magic[8] = "reinvec1";

/* FNV-1a */
static uint64_t hash_text(const char *text) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001B3u;
    return hash;
}

static vec_header header_of(const rein_vec *vec) {
    vec_header header = {
        .id_hash = hash_text(vec->type->id),
        .state_size = vec->type->state_size,
        .n = (uint64_t)vec->n,
    };
    memcpy(header.magic, vec_magic, sizeof header.magic);
    return header;
}

static size_t costs_size(const rein_vec *vec) {
    return (size_t)vec->n * (size_t)vec->type->n_costs * sizeof *vec->episode_cost;
}

size_t rein_vec_save_size(const rein_vec *vec) {
    size_t each = vec->type->state_size + sizeof *vec->rng + sizeof *vec->episode_return + sizeof *vec->clock;
    return sizeof(vec_header) + (size_t)vec->n * each + costs_size(vec);
}

static unsigned char *put(unsigned char *to, const void *from, size_t bytes) {
    memcpy(to, from, bytes);
    return to + bytes;
}

static const unsigned char *get(void *to, const unsigned char *from, size_t bytes) {
    memcpy(to, from, bytes);
    return from + bytes;
}

void rein_vec_save(const rein_vec *vec, void *buffer) {
    size_t n = (size_t)vec->n, state_size = vec->type->state_size;
    vec_header header = header_of(vec);
    unsigned char *to = put(buffer, &header, sizeof header);
    if (vec->handles) {
        for (size_t i = 0; i < n; i++, to += state_size)
            vec->type->save(vec->handles[i], to);
    } else {
        to = put(to, vec->states, n * state_size);
    }
    to = put(to, vec->rng, n * sizeof *vec->rng);
    to = put(to, vec->episode_return, n * sizeof *vec->episode_return);
    if (vec->episode_cost)
        to = put(to, vec->episode_cost, costs_size(vec));
    put(to, vec->clock, n * sizeof *vec->clock);
}

static rein_status check_saved(const rein_vec *vec, const void *buffer, size_t size) {
    vec_header mine = header_of(vec), found;
    if (size < sizeof found)
        return reini_fail(REIN_FORMAT, "saved environments: %zu bytes are too few for a header", size);
    memcpy(&found, buffer, sizeof found);
    if (memcmp(found.magic, mine.magic, sizeof mine.magic) != 0)
        return reini_fail(REIN_FORMAT, "saved environments: the header is not one that rein_vec_save wrote");
    if (found.id_hash != mine.id_hash)
        return reini_fail(REIN_MISMATCH, "saved environments: they are not of type %s", vec->type->id);
    if (found.n != mine.n)
        return reini_fail(REIN_MISMATCH, "saved environments: %llu were saved, the vector has %d",
                          (unsigned long long)found.n, vec->n);
    if (found.state_size != mine.state_size)
        return reini_fail(REIN_MISMATCH,
                          "saved environments: a state of %s had %llu bytes then and has %zu in this build",
                          vec->type->id, (unsigned long long)found.state_size, vec->type->state_size);
    if (size != rein_vec_save_size(vec))
        return reini_fail(REIN_FORMAT, "saved environments: %zu bytes expected, %zu found",
                          rein_vec_save_size(vec), size);

    const unsigned char *clocks = (const unsigned char *)buffer + size - (size_t)vec->n * sizeof(int32_t);
    for (int i = 0; i < vec->n; i++) {
        int32_t clock;
        memcpy(&clock, clocks + (size_t)i * sizeof clock, sizeof clock);
        if (clock < 0)
            return reini_fail(REIN_FORMAT, "saved environments: number %d has a negative clock", i);
    }
    return REIN_OK;
}

rein_status rein_vec_load(rein_vec *vec, const void *buffer, size_t size) {
    REINI_TRY(check_saved(vec, buffer, size));
    size_t n = (size_t)vec->n, state_size = vec->type->state_size;
    const unsigned char *from = (const unsigned char *)buffer + sizeof(vec_header);
    if (vec->handles) {
        for (size_t i = 0; i < n; i++, from += state_size)
            vec->type->load(vec->handles[i], from);
    } else {
        from = get(vec->states, from, n * state_size);
    }
    from = get(vec->rng, from, n * sizeof *vec->rng);
    from = get(vec->episode_return, from, n * sizeof *vec->episode_return);
    if (vec->episode_cost)
        from = get(vec->episode_cost, from, costs_size(vec));
    get(vec->clock, from, n * sizeof *vec->clock);
    return REIN_OK;
}
