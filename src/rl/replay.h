/*
 * replay.h - the memory of an off-policy method: a ring of transitions, each observation stored once.
 *
 * Steps are added time-major: the N transitions of one step of N environments lie side by side, so the successor of
 * transition i within its episode is i + N (mod capacity). Observations have a ring of their own: a step adds the
 * row of the observation it led to; where an episode ended that row holds the final observation, and the first one of
 * the next episode gets another row. A transition names its two rows, so nothing is stored twice, and a batch is
 * lists of numbers for rein_gather. When episodes are so short that the observation ring laps first, the oldest
 * transitions are forgotten early.
 *
 *     bytes = capacity x (action + 14) + rows x (obs + mask), rows = capacity + an eighth, at least 1024 more
 */
#ifndef REINI_REPLAY_H
#define REINI_REPLAY_H

#include <rein/env.h>
#include "base/archive.h"

typedef struct reini_replay {
    int64_t n_envs;
    int64_t capacity; /* transitions, a multiple of n_envs */
    int64_t rows;     /* observation rows */
    size_t obs_bytes, act_bytes, mask_bytes;
    uint8_t *obs;        /* (rows x obs size), as the environment writes them */
    uint8_t *mask;       /* (rows x logits) of the observation, NULL when the environment has none */
    uint8_t *action;     /* (capacity x act size) int32, or float in the policy's units */
    float *reward;       /* (capacity) */
    uint8_t *terminated; /* (capacity) 1: no value follows */
    uint8_t *done;       /* (capacity) 1: the episode ended here, terminated or cut */
    int32_t *row;        /* (capacity) of the observation acted on */
    int32_t *next_row;   /* (capacity) of the one it led to */
    int64_t added;       /* transitions so far; the newest is (added - 1) % capacity */
    int64_t rows_added;  /* observation rows so far */
    int64_t forgotten;   /* transitions before this number are gone; the newest is number added - 1 */
    int32_t *current;    /* (N) row of each environment's present observation */
} reini_replay;

/* Refuses what the memory cannot hold; the size is logged first. capacity is rounded up to a multiple of n_envs. */
rein_status reini_replay_new(const rein_env_type *env, int64_t n_envs, int64_t capacity, reini_replay **out);
void reini_replay_free(reini_replay *replay);
/* The first observations (N x obs) and masks, before the first step, and after a restart of all environments. */
void reini_replay_begin(reini_replay *replay, const void *obs, const uint8_t *mask);
/* One step of all environments: what was done (N x act, policy's units), what a vector's slab says of it. */
void reini_replay_add(reini_replay *replay, const void *action, const rein_slab *slab);
/* Transitions that can be drawn. */
int64_t reini_replay_count(const reini_replay *replay);
/* `batch` of them, uniformly with replacement, by the words of Philox (seed, draw): positions in [0, capacity). */
void reini_replay_sample(const reini_replay *replay, int64_t batch, uint64_t seed, uint64_t draw,
                         int32_t *index);

/* A batch as graphs read it: rein_gather takes obs by `row` and `next_row`, action by `index`. */
typedef struct reini_batch {
    int64_t capacity;
    int32_t *index;          /* (B) transitions */
    int32_t *row, *next_row; /* (B) observations; next_row is the one n steps on */
    float *reward;           /* (B) sum of gamma^k r over the steps taken together */
    float *discount;         /* (B) what multiplies the value of next_row: gamma^n, 0 when terminated */
} reini_batch;
rein_status reini_batch_new(int64_t capacity, reini_batch **out);
void reini_batch_free(reini_batch *batch);
/* Fills rows, rewards and discounts from index[0..n): returns of up to n_step steps (Sutton 1988), which stop at the
 * end of an episode and at the newest step of their environment. */
void reini_batch_fill(reini_batch *batch, const reini_replay *replay, int64_t n, int n_step, double gamma);

/* Everything, as far as it is filled. */
rein_status reini_replay_visit(reini_replay *replay, reini_archive *archive);

#endif
