/*
 * stepper.c - N environments stepped one step at a time into a replay memory.
 */
#include "rl/stepper.h"

#include <math.h>
#include <string.h>

enum { RANDOM_STREAM = 0x57415250 };

struct reini_stepper {
    const rein_env_type *env;
    reini_replay *replay;
    rein_vec *vec;
    rein_slab slab;
    int64_t N, steps;
    int logits;
    uint64_t seed;
    bool policy_units;
    void *action;  /* (N x act size) the policy's units */
    float *scaled; /* (N x act size) the environment's; NULL when they are the same */
    float *reward, *ep_return;
    int32_t *ep_length;
    uint8_t *mask, *final_mask, *terminated, *truncated;
    void *obs, *final_obs;
    void *saved_vec; /* for checkpoints */
    reini_episodes episodes;
};

/* ---- memory -------------------------------------------------------------------------------------------- */

static bool make_arrays(reini_stepper *s) {
    size_t n = (size_t)s->N, logits = (size_t)s->logits;
    size_t obs = rein_space_bytes(&s->env->obs), act = rein_space_bytes(&s->env->act);
    bool masked = s->env->mask != NULL;
    s->action = reini_new_array(n, act);
    s->scaled = s->policy_units ? reini_new_array(n, act) : NULL;
    s->obs = reini_new_array(n, obs);
    s->final_obs = reini_new_array(n, obs);
    s->mask = masked ? reini_new_array(n, logits) : NULL;
    s->final_mask = masked ? reini_new_array(n, logits) : NULL;
    s->reward = REINI_NEW_ARRAY(float, n);
    s->ep_return = REINI_NEW_ARRAY(float, n);
    s->ep_length = REINI_NEW_ARRAY(int32_t, n);
    s->terminated = reini_new(n);
    s->truncated = reini_new(n);
    s->saved_vec = reini_new(rein_vec_save_size(s->vec));
    return s->action != NULL && (!s->policy_units || s->scaled != NULL) && s->obs != NULL &&
           s->final_obs != NULL && (!masked || (s->mask != NULL && s->final_mask != NULL)) &&
           s->reward != NULL && s->ep_return != NULL && s->ep_length != NULL && s->terminated != NULL &&
           s->truncated != NULL && s->saved_vec != NULL;
}

static rein_status fill(reini_stepper *s) {
    rein_vec_opts opts = {.n = (int)s->N, .seed = s->seed};
    REINI_TRY(rein_vec_new(s->env, &opts, &s->vec));
    if (!make_arrays(s))
        return reini_fail_memory((size_t)s->N * 64, "the environments' experience");
    s->slab = (rein_slab){.action = s->policy_units ? s->scaled : s->action,
                          .obs = s->obs,
                          .reward = s->reward,
                          .terminated = s->terminated,
                          .truncated = s->truncated,
                          .final_obs = s->final_obs,
                          .mask = s->mask,
                          .final_mask = s->final_mask,
                          .ep_return = s->ep_return,
                          .ep_length = s->ep_length};
    rein_vec_observe(s->vec, 0, (int)s->N, &s->slab);
    reini_replay_begin(s->replay, s->obs, s->mask);
    return REIN_OK;
}

rein_status reini_stepper_new(const rein_env_type *env, int64_t n_envs, uint64_t seed, bool policy_units,
                              reini_replay *replay, reini_stepper **out) {
    reini_stepper *s = REINI_NEW(reini_stepper);
    if (s == NULL)
        return reini_fail_memory(sizeof *s, "the environments' experience");
    s->env = env;
    s->N = n_envs;
    s->seed = seed;
    s->policy_units = policy_units && env->act.kind == REIN_SPACE_BOX;
    s->logits = rein_space_logits(&env->act);
    s->replay = replay;
    rein_status status = fill(s);
    if (status != REIN_OK) {
        reini_stepper_free(s);
        return status;
    }
    *out = s;
    return REIN_OK;
}

void reini_stepper_free(reini_stepper *s) {
    if (s == NULL)
        return;
    void *owned[] = {s->action, s->scaled,     s->reward,     s->ep_return, s->ep_length, s->mask,
                     s->obs,    s->final_mask, s->terminated, s->truncated, s->final_obs, s->saved_vec};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        reini_free(owned[i]);
    rein_vec_free(s->vec);
    reini_free(s);
}

/* ---- random actions ------------------------------------------------------------------------------------ */

/* one of the allowed numbers below n */
static int32_t draw_allowed(const uint8_t *mask, int32_t n, uint32_t word) {
    int32_t allowed = 0;
    for (int32_t a = 0; a < n; a++)
        allowed += mask == NULL || mask[a];
    int32_t k = (int32_t)((uint64_t)word * (uint32_t)allowed >> 32);
    for (int32_t a = 0; a < n; a++)
        if ((mask == NULL || mask[a]) && k-- == 0)
            return a;
    return 0;
}

/* word j of environment i's present step */
static uint32_t random_word(const reini_stepper *s, int64_t i, int j) {
    uint32_t word[4];
    rein_philox(s->seed, (uint64_t)i << 32 | (uint64_t)j, (uint64_t)s->steps ^ (uint64_t)RANDOM_STREAM << 32,
                word);
    return word[0];
}

static void random_box(reini_stepper *s, int64_t i) {
    const rein_space *act = &s->env->act;
    float *action = (float *)s->action + i * act->size;
    for (int k = 0; k < act->size; k++) {
        float u = (float)(random_word(s, i, k) >> 8) * (1.0f / 16777216.0f);
        float low = s->policy_units ? -1 : act->low[k], high = s->policy_units ? 1 : act->high[k];
        action[k] = low + (high - low) * u;
    }
}

void reini_stepper_random(reini_stepper *s) {
    const rein_space *act = &s->env->act;
    for (int64_t i = 0; i < s->N; i++) {
        if (act->kind == REIN_SPACE_BOX) {
            random_box(s, i);
            continue;
        }
        const uint8_t *mask = s->mask != NULL ? s->mask + i * s->logits : NULL;
        int32_t *action = (int32_t *)s->action + i * act->size;
        for (int k = 0; k < act->size; k++) {
            action[k] = draw_allowed(mask, act->n[k], random_word(s, i, k));
            mask = mask != NULL ? mask + act->n[k] : NULL;
        }
    }
}

/* ---- stepping ------------------------------------------------------------------------------------------ */

static void scale(reini_stepper *s) {
    const rein_space *act = &s->env->act;
    const float *action = s->action;
    for (int64_t i = 0; i < s->N; i++)
        for (int k = 0; k < act->size; k++) {
            float middle = (act->high[k] + act->low[k]) / 2, half = (act->high[k] - act->low[k]) / 2;
            s->scaled[i * act->size + k] = middle + half * action[i * act->size + k];
        }
}

void reini_stepper_step(reini_stepper *s) {
    if (s->policy_units)
        scale(s);
    rein_vec_step(s->vec, 0, (int)s->N, &s->slab);
    reini_replay_add(s->replay, s->action, &s->slab);
    s->steps += s->N;
    for (int64_t i = 0; i < s->N; i++)
        if (s->terminated[i] | s->truncated[i])
            reini_episodes_add(&s->episodes, s->ep_return[i], s->ep_length[i]);
}

/* ---- queries ------------------------------------------------------------------------------------------- */

bool reini_stepper_ended(const reini_stepper *s, int64_t i) {
    return s->terminated[i] | s->truncated[i];
}

rein_status reini_stepper_fault(const reini_stepper *s) {
    return rein_vec_fault(s->vec);
}

const void *reini_stepper_obs(const reini_stepper *s) {
    return s->obs;
}

const uint8_t *reini_stepper_mask(const reini_stepper *s) {
    return s->mask;
}

void *reini_stepper_action(reini_stepper *s) {
    return s->action;
}

const reini_episodes *reini_stepper_episodes(const reini_stepper *s) {
    return &s->episodes;
}

int64_t reini_stepper_steps(const reini_stepper *s) {
    return s->steps;
}

rein_status reini_stepper_visit(reini_stepper *s, reini_archive *archive) {
    size_t size = rein_vec_save_size(s->vec);
    if (!reini_archive_loading(archive))
        rein_vec_save(s->vec, s->saved_vec);
    REINI_TRY(reini_archive_bytes(archive, "stepper.environments", s->saved_vec, size));
    if (reini_archive_loading(archive)) {
        REINI_TRY(rein_vec_load(s->vec, s->saved_vec, size));
        rein_vec_observe(s->vec, 0, (int)s->N, &s->slab);
    }
    REINI_TRY(reini_archive_bytes(archive, "stepper.steps", &s->steps, sizeof s->steps));
    return reini_archive_bytes(archive, "stepper.episodes", &s->episodes, sizeof s->episodes);
}
