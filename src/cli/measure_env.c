/*
 * measure_env.c - steps a second of every environment through rein_vec on one thread.
 *
 * Actions are drawn beforehand and used in turn; everything else that training needs is inside the measured time:
 * auto-reset, final observations, flags, masks, returns and lengths of episodes.
 */
#include <math.h>
#include <stdlib.h>
#include "measure.h"

enum { ENVS = 1024, SIMULATORS = 16, ACTION_SETS = 61 };
#define SECONDS_PER_REPEAT 0.2

typedef struct work {
    rein_vec *vec;
    int n;               /* environments; fewer where each has a simulator of its own */
    size_t action_bytes; /* of all environments, one step */
    unsigned char *actions;
    rein_slab slab;
} work;

static void release(work *w) {
    rein_vec_free(w->vec);
    free(w->actions);
    free(w->slab.obs);
    free(w->slab.final_obs);
    free(w->slab.reward);
    free(w->slab.terminated);
    free(w->slab.truncated);
    free(w->slab.mask);
    free(w->slab.ep_return);
    free(w->slab.ep_length);
}

/* uniform within the bounds; unbounded numbers from [-1, 1) */
static void draw_actions(const rein_space *act, int n, void *out, rein_rng *rng) {
    for (int i = 0; i < n * act->size; i++) {
        int k = i % act->size;
        if (act->kind == REIN_SPACE_BOX) {
            float low = act->low && isfinite(act->low[k]) ? act->low[k] : -1;
            float high = act->high && isfinite(act->high[k]) ? act->high[k] : 1;
            ((float *)out)[i] = rein_rng_range(rng, low, high);
        } else {
            ((int32_t *)out)[i] = (int32_t)rein_rng_below(rng, (uint32_t)act->n[k]);
        }
    }
}

static bool prepare(work *w, const rein_env_type *type) {
    size_t obs = rein_space_bytes(&type->obs), n = (size_t)w->n;
    w->action_bytes = n * rein_space_bytes(&type->act);
    w->actions = calloc(ACTION_SETS, w->action_bytes);
    w->slab = (rein_slab){
        .obs = calloc(n, obs),
        .final_obs = calloc(n, obs),
        .reward = calloc(n, sizeof(float)),
        .terminated = calloc(n, 1),
        .truncated = calloc(n, 1),
        .mask = calloc(n, (size_t)rein_space_logits(&type->act)),
        .ep_return = calloc(n, sizeof(float)),
        .ep_length = calloc(n, sizeof(int32_t)),
    };
    const rein_slab *s = &w->slab;
    if (!w->actions || !s->obs || !s->final_obs || !s->reward || !s->terminated || !s->truncated ||
        !s->mask || !s->ep_return || !s->ep_length)
        return false;
    rein_rng rng = rein_rng_make(1, 0);
    for (int k = 0; k < ACTION_SETS; k++)
        draw_actions(&type->act, w->n, w->actions + (size_t)k * w->action_bytes, &rng);
    rein_vec_reset(w->vec, 0, w->n, s);
    return true;
}

static double steps_per_second(work *w) {
    double start = measure_now(), seconds;
    int64_t steps = 0;
    do {
        for (int k = 0; k < ACTION_SETS; k++) {
            w->slab.action = w->actions + (size_t)k * w->action_bytes;
            rein_vec_step(w->vec, 0, w->n, &w->slab);
        }
        steps += (int64_t)w->n * ACTION_SETS;
        seconds = measure_now() - start;
    } while (seconds < SECONDS_PER_REPEAT && !cli_stop);
    return (double)steps / seconds;
}

rein_status measure_env(measure *m) {
    const rein_env_type *type;
    double *rates = calloc((size_t)m->repeats, sizeof *rates);
    rein_status status = rates ? REIN_OK : REIN_NOMEM;
    for (int i = 0; status == REIN_OK && !cli_stop && (type = rein_env_at(i)); i++) {
        work w = {.n = type->create ? SIMULATORS : ENVS};
        rein_vec_opts opts = {.n = w.n, .seed = 1};
        status = rein_vec_new(type, &opts, &w.vec);
        if (status == REIN_USAGE) { /* one that needs a setting, such as a file */
            status = REIN_OK;
            continue;
        }
        if (status == REIN_OK && !prepare(&w, type))
            status = REIN_NOMEM;
        for (int k = 0; status == REIN_OK && k < m->repeats; k++)
            rates[k] = steps_per_second(&w);
        if (status == REIN_OK)
            measure_result(m, type->id, measure_median(rates, m->repeats), "steps/s");
        release(&w);
    }
    free(rates);
    return status;
}
