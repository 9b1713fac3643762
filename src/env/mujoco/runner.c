/*
 * runner.c - the rules of the robots that move, after Gymnasium's v4 and v5.
 *
 *     reward = w_forward v_x + healthy - w_ctrl |a|^2 - contact
 *
 * v_x is the way of the robot's root, torso or centre of mass along x in the step, by the step's time. `healthy` is
 * healthy_reward: in v5 in healthy states, in v4 in all states of robots whose episodes end when they are not healthy.
 * `contact` is contact_cost_weight times the sum of the squared forces and torques on the bodies. A start is the
 * model's first state with noise on positions (uniform) and velocities.
 *
 * The cost, in the Safety...Velocity-v1 variants, is that of Safety-Gymnasium (Ji et al. 2023): 1 in a step that is
 * faster than half the speed an unconstrained agent reaches, else 0.
 */
#ifdef REIN_HAVE_MUJOCO
#include "env/mujoco/runner.h"

#include <math.h>

static const double observed_speed = 10; /* largest velocity that robots with clips_velocity see */

static bool sees_forces(const reini_mujoco_config *c) {
    return c->include_cfrc_ext_in_observation || c->use_contact_forces;
}

static bool pays_forces(const reini_runner *r, const reini_mujoco_config *c) {
    return c->contact_cost_weight != 0 && (r->v5 || c->use_contact_forces);
}

static bool runner_reads_forces(const reini_mujoco_world *world) {
    return sees_forces(&world->config) || pays_forces(world->robot, &world->config);
}

/* ---- observation --------------------------------------------------------------------------------------- */

/* In v4 the world itself is a body that is observed, and so are the root's six degrees of freedom without a motor. */
static int first_body(const reini_runner *r) {
    return r->v5 ? 1 : 0;
}

static int first_force(const reini_runner *r) {
    return r->v5 ? 6 : 0;
}

static int runner_obs_size(const reini_mujoco_world *world) {
    const reini_runner *r = world->robot;
    const reini_mujoco_config *c = &world->config;
    int bodies = world->m->nbody - first_body(r), size = world->m->nq + world->m->nv;
    size -= c->exclude_current_positions_from_observation ? r->hidden : 0;
    size += c->include_cinert_in_observation ? 10 * bodies : 0;
    size += c->include_cvel_in_observation ? 6 * bodies : 0;
    size += c->include_qfrc_actuator_in_observation ? world->m->nv - first_force(r) : 0;
    size += sees_forces(c) ? 6 * bodies : 0;
    return size;
}

static double clipped(double x, double low, double high) {
    return fmin(fmax(x, low), high);
}

static void runner_observe(const reini_mujoco_world *world, const mjData *d, float *obs) {
    const reini_runner *r = world->robot;
    const reini_mujoco_config *c = &world->config;
    const mjModel *m = world->m;
    int hidden = c->exclude_current_positions_from_observation ? r->hidden : 0;
    int body = first_body(r), force = first_force(r);
    obs = reini_mujoco_put(obs, d->qpos + hidden, m->nq - hidden, INFINITY);
    obs = reini_mujoco_put(obs, d->qvel, m->nv, r->clips_velocity ? observed_speed : INFINITY);
    if (c->include_cinert_in_observation)
        obs = reini_mujoco_put(obs, d->cinert + (ptrdiff_t)10 * body, 10 * (m->nbody - body), INFINITY);
    if (c->include_cvel_in_observation)
        obs = reini_mujoco_put(obs, d->cvel + (ptrdiff_t)6 * body, 6 * (m->nbody - body), INFINITY);
    if (c->include_qfrc_actuator_in_observation)
        obs = reini_mujoco_put(obs, d->qfrc_actuator + force, m->nv - force, INFINITY);
    if (!sees_forces(c))
        return;
    for (int i = 6 * body; i < 6 * m->nbody; i++) {
        double x = d->cfrc_ext[i];
        *obs++ = (float)(r->clips_forces ? clipped(x, c->contact_force_low, c->contact_force_high) : x);
    }
}

/* ---- start --------------------------------------------------------------------------------------------- */

static void runner_start(const reini_mujoco_world *world, mjData *d, rein_rng *rng) {
    const reini_runner *r = world->robot;
    double noise = world->config.reset_noise_scale;
    reini_mujoco_jitter(d->qpos, world->m->nq, noise, rng);
    if (r->normal_start)
        reini_mujoco_jitter_normal(d->qvel, world->m->nv, noise, rng);
    else
        reini_mujoco_jitter(d->qvel, world->m->nv, noise, rng);
}

/* ---- reward and end ------------------------------------------------------------------------------------ */

static void runner_place(const reini_mujoco_world *world, const mjData *d, double place[3]) {
    const reini_runner *r = world->robot;
    const mjModel *m = world->m;
    if (r->place != REINI_RUNNER_MASS) {
        const mjtNum *from = r->place == REINI_RUNNER_TORSO ? d->xpos + 3 : d->qpos;
        place[0] = from[0];
        place[1] = from[1];
        return;
    }
    double mass = 0, x = 0, y = 0;
    for (int i = 0; i < m->nbody; i++) {
        mass += m->body_mass[i];
        x += m->body_mass[i] * d->xipos[3 * i];
        y += m->body_mass[i] * d->xipos[3 * i + 1];
    }
    place[0] = x / mass;
    place[1] = y / mass;
}

static bool between(double x, double low, double high) {
    return low < x && x < high;
}

static bool all_between(const mjtNum *x, int n, double low, double high) {
    for (int i = 0; i < n; i++)
        if (!between(x[i], low, high))
            return false;
    return true;
}

static bool healthy(const reini_mujoco_world *world, const mjData *d) {
    const reini_runner *r = world->robot;
    const reini_mujoco_config *c = &world->config;
    double low = c->healthy_z_low, high = c->healthy_z_high;
    switch (r->health) {
    case REINI_RUNNER_ALWAYS:
        return true;
    case REINI_RUNNER_HEIGHT:
        return between(d->qpos[2], low, high);
    case REINI_RUNNER_WHOLE:
        return low <= d->qpos[2] && d->qpos[2] <= high;
    case REINI_RUNNER_HOP:
        if (!all_between(d->qpos + 2, world->m->nq - 2, c->healthy_state_low, c->healthy_state_high) ||
            !all_between(d->qvel, world->m->nv, c->healthy_state_low, c->healthy_state_high))
            return false;
        break;
    case REINI_RUNNER_PLANE:
        break;
    }
    return between(d->qpos[1], low, high) && between(d->qpos[2], c->healthy_angle_low, c->healthy_angle_high);
}

static double contact_cost(const reini_mujoco_world *world, const mjData *d) {
    const reini_runner *r = world->robot;
    const reini_mujoco_config *c = &world->config;
    int n = 6 * world->m->nbody;
    if (!pays_forces(r, c))
        return 0;
    if (!r->clips_forces)
        return fmin(c->contact_cost_weight * reini_mujoco_square(d->cfrc_ext, n), c->contact_cost_max);
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double x = clipped(d->cfrc_ext[i], c->contact_force_low, c->contact_force_high);
        sum += x * x;
    }
    return c->contact_cost_weight * sum;
}

static rein_step runner_score(const reini_mujoco_world *world, reini_mujoco_sim *sim,
                              const double before[3]) {
    const reini_runner *r = world->robot;
    const reini_mujoco_config *c = &world->config;
    const mjData *d = sim->d;
    double vx = (sim->place[0] - before[0]) / world->dt, vy = (sim->place[1] - before[1]) / world->dt;
    sim->speed = r->speed_is_planar ? sqrt(vx * vx + vy * vy) : vx;
    bool well = healthy(world, d), ends = c->terminate_when_unhealthy != 0;
    double reward = c->forward_reward_weight * vx;
    if (well || (ends && !r->v5))
        reward += c->healthy_reward;
    reward -= c->ctrl_cost_weight * reini_mujoco_square(d->ctrl, world->m->nu);
    reward -= contact_cost(world, d);
    return (rein_step){.reward = (float)reward, .terminated = ends && !well};
}

const reini_mujoco_rules reini_runner_rules = {
    .obs_size = runner_obs_size,
    .start = runner_start,
    .observe = runner_observe,
    .place = runner_place,
    .score = runner_score,
    .reads_forces = runner_reads_forces,
};

/* ---- cost ---------------------------------------------------------------------------------------------- */

const char *const reini_runner_cost_names[1] = {"speed"};

void reini_runner_costs(const void *config, const void *state, float *cost) {
    const reini_mujoco_world *world = config;
    const reini_mujoco_sim *sim = state;
    const reini_runner *r = world->robot;
    cost[0] = sim->speed > r->speed_limit ? 1 : 0;
}
#endif
