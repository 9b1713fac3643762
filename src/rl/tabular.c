/*
 * tabular.c - the accounts of a tabular learner.
 *
 * Schedules move every 256 steps, or not at all: reading them costs more than a step. Their progress is that of the
 * steps, or of the episodes when a number of these is asked for. The first step of a block of 256 decides for the
 * block, so that stopping within one changes nothing.
 */
#include "rl/tabular.h"

#include <string.h>
#include "base/clock.h"

enum { BLOCK = 256, LEAST_STEPS = 2000, ROWS = 200 };
/* Philox streams beside the environment's, which is 0 as in a vector */
enum { CHOICE_STREAM = 0x544142 };

/* ---- construction --------------------------------------------------------------------------------------------- */

static rein_status make_world(reini_tabular *t) {
    const rein_env_type *env = t->env;
    size_t actions = (size_t)t->A, entries = (size_t)t->S * actions;
    bool values_only = t->opts.parts & REINI_TABLE_V;
    t->world = env->create != NULL ? env->create(env->model) : reini_new(env->state_size);
    t->mask = env->mask != NULL ? reini_new(actions) : NULL;
    t->parts =
        env->mask != NULL && env->act.size > 1 ? reini_new((size_t)rein_space_logits(&env->act)) : NULL;
    t->visits = t->opts.average ? REINI_NEW_ARRAY(int64_t, values_only ? (size_t)t->S : entries) : NULL;
    t->explore.weight = REINI_NEW_ARRAY(double, actions);
    if (t->world == NULL ||
        (env->mask != NULL && (t->mask == NULL || (env->act.size > 1 && t->parts == NULL))) ||
        (t->opts.average && t->visits == NULL) || t->explore.weight == NULL)
        return reini_fail_memory(env->state_size + actions * 9 + (t->opts.average ? entries * 8 : 0),
                                 t->opts.algo);
    return REIN_OK;
}

rein_status reini_tabular_init(reini_tabular *t, const reini_tabular_opts *opts) {
    const rein_env_type *env = opts->env;
    t->opts = *opts;
    t->env = env;
    t->gamma = opts->config.gamma;
    REINI_TRY(reini_table_policy_new(opts->algo, env, opts->parts, 1, t->gamma, &t->policy));
    t->S = t->policy->n_states;
    t->A = t->policy->n_actions;
    REINI_TRY(make_world(t));
    t->horizon = env->horizon > 0 ? env->horizon : INT64_MAX;
    t->env_rng = rein_rng_make(opts->seed, 0);
    t->rng = rein_rng_make(opts->seed, CHOICE_STREAM);
    env->reset(env->model, t->world, &t->env_rng);
    t->state = reini_tabular_observe(t);
    return REIN_OK;
}

void reini_tabular_release(reini_tabular *t) {
    if (t->env != NULL && t->env->create != NULL && t->world != NULL)
        t->env->destroy(t->world);
    else
        reini_free(t->world);
    reini_free(t->mask);
    reini_free(t->parts);
    reini_free(t->visits);
    reini_free(t->explore.weight);
    rein_policy_free(t->policy != NULL ? reini_table_base(t->policy) : NULL);
    *t = (reini_tabular){0};
}

/* plain states are the bytes themselves; others give and take theirs */
static rein_status visit_world(reini_tabular *t, reini_archive *archive) {
    const rein_env_type *env = t->env;
    if (env->create == NULL)
        return reini_archive_bytes(archive, "tabular.world", t->world, env->state_size);
    void *buffer = reini_new(env->state_size);
    if (buffer == NULL)
        return reini_fail_memory(env->state_size, "an environment's state");
    if (!reini_archive_loading(archive))
        env->save(t->world, buffer);
    rein_status status = reini_archive_bytes(archive, "tabular.world", buffer, env->state_size);
    if (status == REIN_OK && reini_archive_loading(archive))
        env->load(t->world, buffer);
    reini_free(buffer);
    return status;
}

rein_status reini_tabular_visit(reini_tabular *t, reini_archive *archive) {
    struct {
        const char *name;
        void *data;
        size_t size;
    } plain[] = {
        {"tabular.env_rng", &t->env_rng, sizeof t->env_rng},
        {"tabular.rng", &t->rng, sizeof t->rng},
        {"tabular.length", &t->length, sizeof t->length},
        {"tabular.ep_return", &t->ep_return, sizeof t->ep_return},
        {"tabular.steps", &t->steps, sizeof t->steps},
        {"tabular.episodes", &t->episodes, sizeof t->episodes},
        {"tabular.skipped", &t->skipped, sizeof t->skipped},
        {"tabular.skipped_in_a_row", &t->skipped_in_a_row, sizeof t->skipped_in_a_row},
    };
    size_t per_state = t->opts.parts & REINI_TABLE_V ? 1 : (size_t)t->A;
    REINI_TRY(reini_table_policy_visit(t->policy, archive));
    REINI_TRY(visit_world(t, archive));
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        REINI_TRY(reini_archive_bytes(archive, plain[i].name, plain[i].data, plain[i].size));
    if (t->visits != NULL)
        REINI_TRY(reini_archive_bytes(archive, "tabular.visits", t->visits,
                                      (size_t)t->S * per_state * sizeof *t->visits));
    t->state = reini_tabular_observe(t);
    return REIN_OK;
}

/* ---- the loop ------------------------------------------------------------------------------------------------- */

/* an action of several parts is allowed when all its parts are */
static void join_mask(reini_tabular *t) {
    const rein_space *act = &t->env->act;
    int32_t item[REIN_SPACE_PARTS];
    for (int32_t a = 0; a < t->A; a++) {
        rein_space_item(act, a, item);
        t->mask[a] = 1;
        for (int k = 0, at = 0; k < act->size; at += act->n[k++])
            t->mask[a] &= t->parts[at + item[k]];
    }
}

int32_t reini_tabular_look(reini_tabular *t) {
    const rein_env_type *env = t->env;
    int32_t obs[REIN_SPACE_PARTS];
    env->observe(env->model, t->world, obs);
    if (t->mask != NULL) {
        env->mask(env->model, t->world, t->parts != NULL ? t->parts : t->mask);
        if (t->parts != NULL)
            join_mask(t);
    }
    int32_t state = env->obs.size == 1 ? obs[0] : rein_space_index(&env->obs, obs);
    REINI_ASSERT(state >= 0 && state < t->S);
    return state;
}

void reini_tabular_begin(reini_tabular *t) {
    const reini_tabular_config *c = &t->opts.config;
    int64_t left = t->opts.total_steps - t->steps, steps = c->n_steps;
    if (steps == 0)
        steps = c->n_episodes > 0 ? left : t->opts.total_steps / ROWS;
    if (c->n_steps == 0 && steps < LEAST_STEPS)
        steps = LEAST_STEPS;
    if (steps > left)
        steps = left > 1 ? left : 1;
    t->last_step = t->steps + steps;
    t->last_episode = c->n_episodes > 0 ? t->episodes.count + c->n_episodes : INT64_MAX;
    if (c->episodes > 0 && c->episodes < t->last_episode)
        t->last_episode = c->episodes;
    t->pause = t->steps;
    t->change = 0;
    t->updates = 0;
    t->started = reini_seconds();
}

bool reini_tabular_turn(reini_tabular *t) {
    if (t->steps >= t->last_step || t->episodes.count >= t->last_episode)
        return false;
    int64_t block = t->steps / BLOCK * BLOCK;
    double progress = (double)block / (double)t->opts.total_steps;
    if (t->opts.config.episodes > 0)
        progress = (double)t->episodes.count / (double)t->opts.config.episodes;
    progress = progress < 1 ? progress : 1;
    if (t->opts.learning_rate != NULL)
        t->rate = rein_schedule_at(t->opts.learning_rate, progress);
    if (t->opts.explore != NULL)
        reini_explore_set(&t->explore, t->opts.explore, progress);
    t->pause = block + BLOCK < t->last_step ? block + BLOCK : t->last_step;
    return true;
}

void reini_tabular_reset(reini_tabular *t) {
    reini_episodes *e = &t->episodes;
    int64_t at = e->count++ % REINI_WINDOW;
    e->returns[at] = (float)t->ep_return;
    e->lengths[at] = t->length < INT32_MAX ? (int32_t)t->length : INT32_MAX;
    t->length = 0;
    t->ep_return = 0;
    if (e->count >= t->last_episode)
        t->pause = t->steps;
    t->env->reset(t->env->model, t->world, &t->env_rng);
    t->state = reini_tabular_observe(t);
}
