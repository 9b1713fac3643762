/*
 * replay.c - the ring of transitions and the ring of observations.
 */
#include "rl/replay.h"

#include <stdio.h>
#include <string.h>

enum { SAMPLE_STREAM = 0x5245504C, SPARE_ROWS = 1024 };

/* ---- memory -------------------------------------------------------------------------------------------- */

static rein_status set_sizes(reini_replay *r, const rein_env_type *env, int64_t n_envs, int64_t capacity) {
    r->n_envs = n_envs;
    r->capacity = (capacity + n_envs - 1) / n_envs * n_envs;
    r->rows = r->capacity + (r->capacity / 8 > SPARE_ROWS ? r->capacity / 8 : SPARE_ROWS) + 2 * n_envs;
    r->obs_bytes = rein_space_bytes(&env->obs);
    r->act_bytes = rein_space_bytes(&env->act);
    r->mask_bytes = env->mask != NULL ? (size_t)rein_space_logits(&env->act) : 0;
    if (r->rows > INT32_MAX)
        return reini_fail(REIN_USAGE, "buffer_size: %lld is more than a replay memory counts, 2^31 rows",
                          (long long)capacity);
    return REIN_OK;
}

static rein_status make_arrays(reini_replay *r) {
    size_t n = (size_t)r->capacity, rows = (size_t)r->rows;
    size_t bytes = n * (r->act_bytes + 14) + rows * (r->obs_bytes + r->mask_bytes);
    char what[96];
    snprintf(what, sizeof what, "a replay memory of %lld transitions", (long long)r->capacity);
    REINI_TRY(reini_memory_claim(bytes, what));
    r->obs = reini_new_array(rows, r->obs_bytes);
    r->mask = r->mask_bytes > 0 ? reini_new_array(rows, r->mask_bytes) : NULL;
    r->action = reini_new_array(n, r->act_bytes);
    r->reward = REINI_NEW_ARRAY(float, n);
    r->terminated = reini_new(n);
    r->done = reini_new(n);
    r->row = REINI_NEW_ARRAY(int32_t, n);
    r->next_row = REINI_NEW_ARRAY(int32_t, n);
    r->current = REINI_NEW_ARRAY(int32_t, (size_t)r->n_envs);
    bool ok = r->obs != NULL && (r->mask_bytes == 0 || r->mask != NULL) && r->action != NULL &&
              r->reward != NULL && r->terminated != NULL && r->done != NULL && r->row != NULL &&
              r->next_row != NULL && r->current != NULL;
    return ok ? REIN_OK : reini_fail_memory(bytes, what);
}

rein_status reini_replay_new(const rein_env_type *env, int64_t n_envs, int64_t capacity, reini_replay **out) {
    reini_replay *r = REINI_NEW(reini_replay);
    if (r == NULL)
        return reini_fail_memory(sizeof *r, "a replay memory");
    rein_status status = set_sizes(r, env, n_envs, capacity);
    if (status == REIN_OK)
        status = make_arrays(r);
    if (status != REIN_OK) {
        reini_replay_free(r);
        return status;
    }
    *out = r;
    return REIN_OK;
}

void reini_replay_free(reini_replay *r) {
    if (r == NULL)
        return;
    void *owned[] = {r->obs,  r->mask, r->action,   r->reward, r->terminated,
                     r->done, r->row,  r->next_row, r->current};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        reini_free(owned[i]);
    reini_free(r);
}

/* ---- adding -------------------------------------------------------------------------------------------- */

/* A new row. Rows are taken in the order of the transitions that act on them, so when one is taken from an old
 * transition, that is the oldest one left. */
static int32_t put(reini_replay *r, const uint8_t *obs, const uint8_t *mask) {
    int32_t at = (int32_t)(r->rows_added++ % r->rows);
    while (r->rows_added > r->rows && r->forgotten < r->added && r->row[r->forgotten % r->capacity] == at)
        r->forgotten++;
    memcpy(r->obs + (size_t)at * r->obs_bytes, obs, r->obs_bytes);
    if (r->mask != NULL)
        memcpy(r->mask + (size_t)at * r->mask_bytes, mask, r->mask_bytes);
    return at;
}

static const uint8_t *row_of(const void *rows, size_t bytes, int64_t i) {
    return rows != NULL ? (const uint8_t *)rows + (size_t)i * bytes : NULL;
}

void reini_replay_begin(reini_replay *r, const void *obs, const uint8_t *mask) {
    for (int64_t i = 0; i < r->n_envs; i++)
        r->current[i] = put(r, row_of(obs, r->obs_bytes, i), row_of(mask, r->mask_bytes, i));
}

static void add_one(reini_replay *r, int64_t i, const void *action, const rein_slab *slab) {
    int64_t at = r->added % r->capacity;
    if (r->added - r->forgotten == r->capacity)
        r->forgotten++;
    memcpy(r->action + (size_t)at * r->act_bytes, row_of(action, r->act_bytes, i), r->act_bytes);
    r->reward[at] = slab->reward[i];
    r->terminated[at] = slab->terminated[i];
    r->done[at] = slab->terminated[i] | slab->truncated[i];
    r->row[at] = r->current[i];
    r->added++;
    if (r->done[at])
        r->next_row[at] =
            put(r, row_of(slab->final_obs, r->obs_bytes, i), row_of(slab->final_mask, r->mask_bytes, i));
    r->current[i] = put(r, row_of(slab->obs, r->obs_bytes, i), row_of(slab->mask, r->mask_bytes, i));
    if (!r->done[at])
        r->next_row[at] = r->current[i];
}

void reini_replay_add(reini_replay *r, const void *action, const rein_slab *slab) {
    for (int64_t i = 0; i < r->n_envs; i++)
        add_one(r, i, action, slab);
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

int64_t reini_replay_count(const reini_replay *r) {
    return r->added - r->forgotten;
}

void reini_replay_sample(const reini_replay *r, int64_t batch, uint64_t seed, uint64_t draw, int32_t *index) {
    uint64_t count = (uint64_t)reini_replay_count(r);
    uint32_t word[4];
    for (int64_t i = 0; i < batch; i++) {
        if (i % 2 == 0)
            rein_philox(seed, (uint64_t)i / 2, draw | (uint64_t)SAMPLE_STREAM << 32, word);
        const uint32_t *pair = word + i % 2 * 2;
        /* the top bits of (64 random bits) x count: uniform to one part in 2^64 / count */
        unsigned __int128 product = (unsigned __int128)((uint64_t)pair[1] << 32 | pair[0]) * count;
        index[i] = (int32_t)((r->forgotten + (int64_t)(uint64_t)(product >> 64)) % r->capacity);
    }
}

/* ---- batches ------------------------------------------------------------------------------------------- */

rein_status reini_batch_new(int64_t capacity, reini_batch **out) {
    size_t n = (size_t)capacity;
    reini_batch *b = REINI_NEW(reini_batch);
    if (b == NULL)
        return reini_fail_memory(sizeof *b, "a batch");
    b->capacity = capacity;
    b->index = REINI_NEW_ARRAY(int32_t, n);
    b->row = REINI_NEW_ARRAY(int32_t, n);
    b->next_row = REINI_NEW_ARRAY(int32_t, n);
    b->reward = REINI_NEW_ARRAY(float, n);
    b->discount = REINI_NEW_ARRAY(float, n);
    if (b->index == NULL || b->row == NULL || b->next_row == NULL || b->reward == NULL ||
        b->discount == NULL) {
        reini_batch_free(b);
        return reini_fail_memory(20 * n, "a batch");
    }
    *out = b;
    return REIN_OK;
}

void reini_batch_free(reini_batch *b) {
    if (b == NULL)
        return;
    reini_free(b->index);
    reini_free(b->row);
    reini_free(b->next_row);
    reini_free(b->reward);
    reini_free(b->discount);
    reini_free(b);
}

/* one row: R_1 + g R_2 + ... until n steps, an end or the newest step */
static void fill_row(reini_batch *b, const reini_replay *r, int64_t i, int n_step, double gamma) {
    int64_t at = b->index[i], newest = (r->added - 1) % r->capacity;
    int64_t younger = (newest - at + r->capacity) % r->capacity; /* transitions after this one */
    double reward = (double)r->reward[at], discount = gamma;
    b->row[i] = r->row[at];
    for (int k = 1; k < n_step && !r->done[at] && younger >= r->n_envs; k++) {
        at = (at + r->n_envs) % r->capacity;
        younger -= r->n_envs;
        reward += discount * (double)r->reward[at];
        discount *= gamma;
    }
    b->next_row[i] = r->next_row[at];
    b->reward[i] = (float)reward;
    b->discount[i] = r->terminated[at] ? 0 : (float)discount;
}

void reini_batch_fill(reini_batch *b, const reini_replay *r, int64_t n, int n_step, double gamma) {
    for (int64_t i = 0; i < n; i++)
        fill_row(b, r, i, n_step, gamma);
}

/* ---- checkpoints --------------------------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

rein_status reini_replay_visit(reini_replay *r, reini_archive *archive) {
    int64_t counts[3] = {r->added, r->rows_added, r->forgotten};
    REINI_TRY(reini_archive_bytes(archive, "replay.counts", counts, sizeof counts));
    if (counts[0] < 0 || counts[2] < 0 || counts[2] > counts[0] || counts[1] < 0)
        return reini_fail(REIN_FORMAT, "the checkpoint's replay memory is damaged");
    r->added = counts[0];
    r->rows_added = counts[1];
    r->forgotten = counts[2];
    size_t n = (size_t)least(r->added, r->capacity), rows = (size_t)least(r->rows_added, r->rows);
    REINI_TRY(reini_archive_bytes(archive, "replay.obs", r->obs, rows * r->obs_bytes));
    if (r->mask != NULL)
        REINI_TRY(reini_archive_bytes(archive, "replay.mask", r->mask, rows * r->mask_bytes));
    REINI_TRY(reini_archive_bytes(archive, "replay.action", r->action, n * r->act_bytes));
    REINI_TRY(reini_archive_bytes(archive, "replay.reward", r->reward, n * sizeof *r->reward));
    REINI_TRY(reini_archive_bytes(archive, "replay.terminated", r->terminated, n));
    REINI_TRY(reini_archive_bytes(archive, "replay.done", r->done, n));
    REINI_TRY(reini_archive_bytes(archive, "replay.row", r->row, n * sizeof *r->row));
    REINI_TRY(reini_archive_bytes(archive, "replay.next_row", r->next_row, n * sizeof *r->next_row));
    return reini_archive_bytes(archive, "replay.current", r->current, (size_t)r->n_envs * sizeof *r->current);
}
