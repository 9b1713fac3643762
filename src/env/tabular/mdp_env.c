/*
 * mdp_env.c - stepping through the tables of an MDP.
 *
 * reset   draws a first state: one 64-bit uniform number u, the first state whose cumulative probability exceeds u.
 * step    draws an outcome of the row the same way, in the order of the row.
 *
 * Rewards of an MDP with costs are the negated costs. Entering a terminal state of value 0 terminates. One of another
 * value is entered like any state; from there every action earns the value and terminates, so that returns and planned
 * values are the same sums. An action that does not exist in a state is masked out; taken nevertheless, it changes
 * nothing and earns the worst reward of the MDP, or 0 if that is less.
 */
#include "env/tabular/mdp_env.h"

#include "mdp/mdp.h"

/* ---- playing --------------------------------------------------------------------------------------------------- */

void reini_mdp_env_reset(const void *model, void *state, rein_rng *rng) {
    const rein_mdp *mdp = ((const reini_mdp_env *)model)->mdp;
    double u = rein_rng_uniform64(rng);
    int32_t low = 0, high = mdp->n_starts - 1;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (u < mdp->starts[middle].p_upto)
            high = middle;
        else
            low = middle + 1;
    }
    ((reini_mdp_state *)state)->s = mdp->starts[low].state;
}

/* a step from where the tables have no row */
static rein_step step_without_row(const reini_mdp_env *env, int32_t s) {
    if (!env->mdp->terminal[s])
        return (rein_step){.reward = env->refused};
    return (rein_step){.reward = (float)reini_mdp_terminal_value(env->mdp, s), .terminated = true};
}

rein_step reini_mdp_env_step(const void *model, void *state, const void *action, rein_rng *rng) {
    const reini_mdp_env *env = model;
    const rein_mdp *mdp = env->mdp;
    int32_t *s = &((reini_mdp_state *)state)->s;
    reini_row row = reini_mdp_row(mdp, *s, *(const int32_t *)action);
    double u = rein_rng_uniform64(rng), upto = 0;
    if (row.count == 0)
        return step_without_row(env, *s);

    /* counted rather than searched: a row is short, and where a search stops cannot be predicted */
    int32_t k = 0;
    for (int32_t i = 0; i < row.count - 1; i++) {
        upto += row.p[i];
        k += u >= upto;
    }
    *s = row.next[k];
    return (rein_step){
        .reward = (float)(row.r != NULL ? row.r[k] : row.reward),
        .terminated = mdp->terminal[*s] && reini_mdp_terminal_value(mdp, *s) == 0,
    };
}

void reini_mdp_env_observe(const void *model, const void *state, void *obs) {
    *(int32_t *)obs = ((const reini_mdp_state *)state)->s;
}

static void mask_of_rows(const void *model, const void *state, uint8_t *mask) {
    const rein_mdp *mdp = ((const reini_mdp_env *)model)->mdp;
    int32_t s = ((const reini_mdp_state *)state)->s;
    for (int32_t a = 0; a < mdp->n_actions; a++)
        mask[a] = mdp->terminal[s] || reini_mdp_row(mdp, s, a).count > 0;
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static bool lacks_actions(const rein_mdp *mdp) {
    for (int32_t s = 0; s < mdp->n_states; s++)
        for (int32_t a = 0; a < mdp->n_actions && !mdp->terminal[s]; a++)
            if (reini_mdp_row(mdp, s, a).count == 0)
                return true;
    return false;
}

static double worst_reward(const rein_mdp *mdp) {
    double worst = 0;
    for (uint32_t i = 1; i < mdp->n_shapes; i++) {
        const reini_shape *shape = &mdp->shapes[i];
        if (shape->r < 0)
            worst = shape->reward < worst ? shape->reward : worst;
        for (int32_t k = 0; shape->r >= 0 && k < shape->count; k++)
            worst = mdp->r[shape->r + k] < worst ? mdp->r[shape->r + k] : worst;
    }
    return worst;
}

static void close_model(rein_env_type *opened) {
    reini_mdp_env *env = opened->model;
    rein_mdp_free(env->mdp);
    reini_free(env);
}

static rein_space discrete(int32_t n) {
    return (rein_space){.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {n}};
}

static rein_status make_model(rein_status built, rein_mdp *mdp, size_t model_size, reini_mdp_env **out) {
    REINI_TRY(built);
    if (!mdp->finished)
        REINI_TRY(rein_mdp_finish(mdp));
    *out = reini_new(model_size);
    return *out ? REIN_OK : reini_fail_memory(model_size, "the model of an environment");
}

rein_status reini_mdp_env_open(rein_status built, rein_mdp *mdp, size_t model_size, rein_env_type *opened) {
    reini_mdp_env *env = NULL;
    rein_status status = make_model(built, mdp, model_size, &env);
    if (status != REIN_OK) {
        rein_mdp_free(mdp);
        return status;
    }
    env->mdp = mdp;
    env->refused = (float)worst_reward(mdp);
    opened->model = env;
    opened->mdp = mdp;
    opened->close = close_model;
    opened->obs = discrete(mdp->n_states);
    opened->act = discrete(mdp->n_actions);
    if (lacks_actions(mdp))
        opened->mask = mask_of_rows;
    return REIN_OK;
}

/* ---- pictures -------------------------------------------------------------------------------------------------- */

rein_status reini_label_actions(rein_mdp *mdp, const reini_action_label *labels, int n) {
    for (int a = 0; a < n; a++)
        REINI_TRY(rein_mdp_name_action(mdp, a, labels[a].name, labels[a].glyph));
    return REIN_OK;
}

rein_status reini_add_grid(rein_mdp *mdp, const char *title, int32_t height, int32_t width, int32_t first,
                           int32_t step, const char *symbol) {
    size_t cells = (size_t)height * (size_t)width;
    int32_t *states = REINI_NEW_ARRAY(int32_t, cells);
    if (!states)
        return reini_fail_memory(cells * sizeof *states, "a picture of an environment");
    for (size_t i = 0; i < cells; i++)
        states[i] = first + (int32_t)i * step;
    rein_panel panel = {title, height, width, states, symbol};
    rein_status status = rein_mdp_add_panel(mdp, &panel);
    reini_free(states);
    return status;
}
