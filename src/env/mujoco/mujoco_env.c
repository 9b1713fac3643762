/*
 * mujoco_env.c - a rein_env_type from a robot's model and rules: see mujoco_env.h.
 */
#ifdef REIN_HAVE_MUJOCO
#include "env/mujoco/mujoco_env.h"

#include <math.h>
#include <string.h>

/* ---- opening ------------------------------------------------------------------------------------------- */

void reini_mujoco_close(rein_env_type *opened) {
    reini_mujoco_world *world = opened->model;
    if (world->m)
        mj_deleteModel(world->m);
    reini_free(world->low);
    reini_free(world->high);
    reini_free(world);
}

static rein_status set_spaces(reini_mujoco_world *world, rein_env_type *opened) {
    const mjModel *m = world->m;
    if (m->nu == 0)
        return reini_fail(REIN_USAGE, "the MuJoCo model of environment %s has no actuator to act with",
                          opened->id);
    world->low = REINI_NEW_ARRAY(float, (size_t)m->nu);
    world->high = REINI_NEW_ARRAY(float, (size_t)m->nu);
    if (!world->low || !world->high)
        return reini_fail_memory((size_t)m->nu * sizeof(float), "the bounds of the actions");
    for (int i = 0; i < m->nu; i++) {
        bool limited = m->actuator_ctrllimited[i];
        world->low[i] = limited ? (float)m->actuator_ctrlrange[2 * i] : -INFINITY;
        world->high[i] = limited ? (float)m->actuator_ctrlrange[2 * i + 1] : INFINITY;
    }
    world->n_obs = world->rules->obs_size(world);
    world->n_state = reini_mujoco_state_count(m);
    opened->obs = (rein_space)REINI_BOX(world->n_obs, NULL, NULL);
    opened->act = (rein_space)REINI_BOX(m->nu, world->low, world->high);
    /* whole doubles */
    opened->state_size = ((size_t)world->n_state + 4 + ((size_t)world->n_obs + 1) / 2) * sizeof(double);
    return REIN_OK;
}

rein_status reini_mujoco_open_model(mjModel *m, const reini_mujoco_rules *rules, const void *robot,
                                    const void *config, rein_env_type *opened) {
    const reini_mujoco_config *c = config;
    reini_mujoco_world *world = REINI_NEW(reini_mujoco_world);
    if (!world) {
        mj_deleteModel(m);
        return reini_fail_memory(sizeof *world, "a MuJoCo model");
    }
    opened->model = world;
    opened->close = reini_mujoco_close;
    world->m = m;
    world->rules = rules;
    world->robot = robot;
    world->config = *c;
    world->frames = (int)c->frame_skip;
    world->dt = m->opt.timestep * world->frames;
    world->forces = rules->reads_forces && rules->reads_forces(world);
    reini_mujoco_physics physics = {
        .gravity = c->gravity,
        .mass_scale = c->mass_scale,
        .friction_scale = c->friction_scale,
        .motor_scale = c->motor_scale,
    };
    REINI_TRY(reini_mujoco_change(m, &physics));
    return set_spaces(world, opened);
}

rein_status reini_mujoco_open(const char *model, const reini_mujoco_rules *rules, const void *robot,
                              const void *config, rein_env_type *opened) {
    mjModel *m = NULL;
    REINI_TRY(reini_mujoco_compile(model, &m));
    return reini_mujoco_open_model(m, rules, robot, config, opened);
}

/* ---- one environment ----------------------------------------------------------------------------------- */

void *reini_mujoco_create(const void *config) {
    const reini_mujoco_world *world = config;
    reini_mujoco_sim *sim = REINI_NEW(reini_mujoco_sim);
    if (!sim)
        return NULL;
    sim->world = world;
    sim->d = reini_mujoco_data(world->m);
    sim->obs = REINI_NEW_ARRAY(float, (size_t)world->n_obs);
    if (sim->d && sim->obs)
        return sim;
    reini_mujoco_destroy(sim);
    return NULL;
}

void reini_mujoco_destroy(void *handle) {
    reini_mujoco_sim *sim = handle;
    if (sim->d)
        mj_deleteData(sim->d);
    reini_free(sim->obs);
    reini_free(sim);
}

/* what is read of the simulation after a step or a start */
static void look(reini_mujoco_sim *sim) {
    const reini_mujoco_rules *rules = sim->world->rules;
    rules->place(sim->world, sim->d, sim->place);
    rules->observe(sim->world, sim->d, sim->obs);
}

void reini_mujoco_reset(const void *config, void *state, rein_rng *rng) {
    const reini_mujoco_world *world = config;
    reini_mujoco_sim *sim = state;
    reini_mujoco_clear(world->m, sim->d);
    world->rules->start(world, sim->d, rng);
    /* the first state of a model that MuJoCo cannot even settle shows in the first step */
    (void)reini_mujoco_settle(world->m, sim->d);
    sim->speed = 0;
    look(sim);
}

/* The simulation came apart: the episode is cut where it was, with the last observation that was sound, and
 * without a reward. MuJoCo itself would go on from the model's first state as if nothing had been. */
static rein_step cut(reini_mujoco_sim *sim) {
    reini_mujoco_clear(sim->world->m, sim->d);
    sim->speed = 0;
    return (rein_step){.truncated = true};
}

rein_step reini_mujoco_step(const void *config, void *state, const void *action, rein_rng *rng) {
    const reini_mujoco_world *world = config;
    reini_mujoco_sim *sim = state;
    const float *a = action;
    for (int i = 0; i < world->m->nu; i++)
        sim->d->ctrl[i] = (double)a[i];
    double before[3] = {sim->place[0], sim->place[1], sim->place[2]};
    if (!reini_mujoco_advance(world->m, sim->d, world->frames, world->forces))
        return cut(sim);
    if (world->rules->settles && !reini_mujoco_settle(world->m, sim->d))
        return cut(sim);
    look(sim);
    return world->rules->score(world, sim, before);
}

void reini_mujoco_observe(const void *config, const void *state, void *obs) {
    const reini_mujoco_world *world = config;
    const reini_mujoco_sim *sim = state;
    memcpy(obs, sim->obs, (size_t)world->n_obs * sizeof(float));
}

void reini_mujoco_save(const void *handle, void *buffer) {
    const reini_mujoco_sim *sim = handle;
    const reini_mujoco_world *world = sim->world;
    double rest[4] = {sim->place[0], sim->place[1], sim->place[2], sim->speed};
    const float padding = 0;
    unsigned char *to = buffer;
    reini_mujoco_get(world->m, sim->d, to);
    to += (size_t)world->n_state * sizeof(double);
    memcpy(to, rest, sizeof rest);
    to += sizeof rest;
    memcpy(to, sim->obs, (size_t)world->n_obs * sizeof(float));
    if (world->n_obs % 2)
        memcpy(to + (size_t)world->n_obs * sizeof(float), &padding, sizeof padding);
}

void reini_mujoco_load(void *handle, const void *buffer) {
    reini_mujoco_sim *sim = handle;
    const reini_mujoco_world *world = sim->world;
    double rest[4];
    const unsigned char *from = buffer;
    size_t bytes = (size_t)world->n_state * sizeof(double);
    reini_mujoco_set(world->m, sim->d, buffer);
    memcpy(rest, from + bytes, sizeof rest);
    memcpy(sim->place, rest, sizeof sim->place);
    sim->speed = rest[3];
    memcpy(sim->obs, from + bytes + sizeof rest, (size_t)world->n_obs * sizeof(float));
}

/* ---- parts of rules ------------------------------------------------------------------------------------ */

void reini_mujoco_jitter(mjtNum *q, int n, double scale, rein_rng *rng) {
    for (int i = 0; i < n; i++)
        q[i] += scale * (2 * rein_rng_uniform64(rng) - 1);
}

void reini_mujoco_jitter_normal(mjtNum *q, int n, double scale, rein_rng *rng) {
    for (int i = 0; i < n; i++)
        q[i] += scale * rein_rng_normal(rng);
}

float *reini_mujoco_put(float *to, const mjtNum *from, int n, double limit) {
    for (int i = 0; i < n; i++)
        to[i] = (float)fmin(fmax(from[i], -limit), limit);
    return to + n;
}

double reini_mujoco_square(const mjtNum *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}
#endif
