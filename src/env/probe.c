/*
 * probe.c - trying out an environment that Rein does not know, before it is trained on.
 *
 * State, observation and mask are put between guard bytes, so that a size declared too small is found here, by name,
 * and not as a crash somewhere else. A probe of a few hundred steps cannot find everything; vectors of such
 * environments go on looking at rewards and observations (vec.c).
 */
#include <math.h>
#include <string.h>
#include "env/env_checks.h"

enum { STEPS = 256, GUARD = 64, FILL = 0xA5 };

/* memory for one thing with guards before and behind */
typedef struct guarded {
    const char *what;
    unsigned char *memory;
    size_t bytes;
} guarded;

static void *inside(const guarded *g) {
    return g->memory + GUARD;
}

static bool guard(guarded *g, const char *what, size_t bytes) {
    *g = (guarded){.what = what, .memory = reini_new(bytes + 2 * GUARD), .bytes = bytes};
    if (g->memory) {
        memset(g->memory, FILL, GUARD);
        memset(g->memory + GUARD + bytes, FILL, GUARD);
    }
    return g->memory != NULL;
}

static rein_status check_guard(const guarded *g, const rein_env_type *type, const char *function) {
    for (size_t i = 0; i < GUARD; i++) {
        if (g->memory[i] != FILL)
            return reini_fail(REIN_MISMATCH, "environment %s: %s writes before its %s", type->id, function,
                              g->what);
        if (g->memory[GUARD + g->bytes + i] != FILL)
            return reini_fail(REIN_MISMATCH,
                              "environment %s: %s writes more than the %zu bytes of the %s that it declares",
                              type->id, function, g->bytes, g->what);
    }
    return REIN_OK;
}

typedef struct probe {
    rein_env_type type; /* opened */
    guarded state, obs, mask, action, cost;
    void *handle; /* of types that create; else the state */
    rein_rng rng;
} probe;

/* ---- values -------------------------------------------------------------------------------------------- */

const char *reini_obs_flaw(const rein_space *space, const void *obs) {
    const int32_t *number = obs;
    const float *real = obs;
    for (int k = 0; k < space->size; k++) {
        if (space->kind == REIN_SPACE_BOX && !isfinite(real[k]))
            return "holds a number that is not finite";
        if ((space->kind == REIN_SPACE_DISCRETE || space->kind == REIN_SPACE_MULTI_DISCRETE) &&
            (number[k] < 0 || number[k] >= space->n[k]))
            return "holds a number outside its range";
    }
    return NULL;
}

static rein_status check_obs(const probe *p, const char *when) {
    const char *flaw = reini_obs_flaw(&p->type.obs, inside(&p->obs));
    return flaw ? reini_fail(REIN_MISMATCH, "environment %s: the observation %s %s", p->type.id, when, flaw)
                : REIN_OK;
}

/* every part of the action has something allowed */
static rein_status check_mask(const probe *p) {
    const uint8_t *mask = inside(&p->mask);
    for (int k = 0; k < p->type.act.size; mask += p->type.act.n[k++])
        if (!memchr(mask, 1, (size_t)p->type.act.n[k]))
            return reini_fail(REIN_MISMATCH, "environment %s: the mask allows no action (no byte is 1)",
                              p->type.id);
    return REIN_OK;
}

/* the costs of the step just made */
static rein_status check_costs(probe *p) {
    const rein_env_type *type = &p->type;
    const float *cost = inside(&p->cost);
    if (type->n_costs == 0)
        return REIN_OK;
    type->costs(type->model, p->handle, inside(&p->cost));
    REINI_TRY(check_guard(&p->cost, type, "costs"));
    for (int k = 0; k < type->n_costs; k++)
        if (!isfinite(cost[k]))
            return reini_fail(REIN_MISMATCH, "environment %s: costs gave %g for %s", type->id,
                              (double)cost[k], type->cost_names[k]);
    return REIN_OK;
}

/* ---- playing ------------------------------------------------------------------------------------------- */

static rein_status look(probe *p, const char *when) {
    p->type.observe(p->type.model, p->handle, inside(&p->obs));
    REINI_TRY(check_guard(&p->obs, &p->type, "observe"));
    REINI_TRY(check_guard(&p->state, &p->type, "observe"));
    REINI_TRY(check_obs(p, when));
    if (!p->type.mask)
        return REIN_OK;
    memset(inside(&p->mask), 0, p->mask.bytes);
    p->type.mask(p->type.model, p->handle, inside(&p->mask));
    REINI_TRY(check_guard(&p->mask, &p->type, "mask"));
    return check_mask(p);
}

static void draw_discrete(probe *p) {
    int32_t *action = inside(&p->action);
    const uint8_t *mask = p->type.mask ? inside(&p->mask) : NULL;
    for (int k = 0; k < p->type.act.size; k++) {
        do
            action[k] = (int32_t)rein_rng_below(&p->rng, (uint32_t)p->type.act.n[k]);
        while (mask && mask[action[k]] != 1);
        mask = mask ? mask + p->type.act.n[k] : NULL;
    }
}

static void draw_action(probe *p) {
    const rein_space *act = &p->type.act;
    float *action = inside(&p->action);
    if (act->kind != REIN_SPACE_BOX) {
        draw_discrete(p);
        return;
    }
    for (int k = 0; k < act->size; k++) {
        float low = act->low && isfinite(act->low[k]) ? act->low[k] : -1;
        float high = act->high && isfinite(act->high[k]) ? act->high[k] : 1;
        action[k] = rein_rng_range(&p->rng, low, high);
    }
}

static rein_status reset(probe *p) {
    p->type.reset(p->type.model, p->handle, &p->rng);
    REINI_TRY(check_guard(&p->state, &p->type, "reset"));
    return look(p, "after reset");
}

static rein_status step(probe *p) {
    draw_action(p);
    rein_step result = p->type.step(p->type.model, p->handle, inside(&p->action), &p->rng);
    REINI_TRY(check_guard(&p->state, &p->type, "step"));
    if (!isfinite(result.reward))
        return reini_fail(REIN_MISMATCH, "environment %s: step gave the reward %g", p->type.id,
                          (double)result.reward);
    REINI_TRY(check_costs(p));
    REINI_TRY(look(p, "after a step"));
    return result.terminated || result.truncated ? reset(p) : REIN_OK;
}

static rein_status make(probe *p) {
    const rein_env_type *type = &p->type;
    size_t logits = type->mask ? (size_t)rein_space_logits(&type->act) : 0;
    if (!guard(&p->state, "state", type->create ? 0 : type->state_size) ||
        !guard(&p->obs, "observation", rein_space_bytes(&type->obs)) || !guard(&p->mask, "mask", logits) ||
        !guard(&p->action, "action", rein_space_bytes(&type->act)) ||
        !guard(&p->cost, "costs", (size_t)type->n_costs * sizeof(float)))
        return reini_fail_memory(type->state_size, "trying out an environment");
    p->handle = type->create ? type->create(type->model) : inside(&p->state);
    return p->handle ? REIN_OK
                     : reini_fail(REIN_NOMEM, "environment %s: create gave no environment", type->id);
}

static rein_status play(probe *p) {
    REINI_TRY(make(p));
    REINI_TRY(reset(p));
    for (int i = 0; i < STEPS; i++)
        REINI_TRY(step(p));
    return REIN_OK;
}

rein_status reini_env_probe(const rein_env_type *type) {
    probe p = {.rng = rein_rng_make(1, 0)};
    REINI_TRY(rein_env_open(type, NULL, &p.type));
    rein_status status = play(&p);
    if (p.type.create && p.handle)
        p.type.destroy(p.handle);
    guarded *all[] = {&p.state, &p.obs, &p.mask, &p.action, &p.cost};
    for (int i = 0; i < 5; i++)
        reini_free(all[i]->memory);
    rein_env_close(&p.type);
    return status;
}
