/*
 * mjcf.c - any MJCF file as an environment: `--env mujoco:file.xml`. The file describes the task itself, by the names of
 * sensors and of <custom> numbers (x is any name):
 *
 *     sensor  observe/x     is observed; without such sensors qpos and qvel are, but for the first `hidden` of qpos
 *     sensor  reward/x      adds to the reward: its values times the numeric of the same name, or plain
 *     sensor  terminate/x   ends the episode once a value is outside the two numbers of the numeric of the same name
 *     numeric frame_skip    steps of the simulation per step of the environment (1)
 *     numeric horizon       time limit in steps of the environment (1000; 0 = none)
 *     numeric reset_noise   positions and velocities start uniform within this of the model's first state (0)
 *     numeric control_cost  price of the squared controls (0)
 *     numeric alive         reward of every step (0)
 *     numeric hidden        see above (0)
 *
 * Actions are the controls, within their ranges. Sensors are read in the state that the step has led to.
 */
#ifdef REIN_HAVE_MUJOCO
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "env/mujoco/mujoco_env.h"
#include "env/mujoco/mujoco_find.h"

static const char prefix[] = "mujoco:";
enum { MAX_FILES = 64 };

#define MJCF_FIELDS(F, E)                                                                                    \
    F(REAL, gravity_scale, "1", -1000, 1000, "factor on gravity")                                            \
    REINI_MUJOCO_SCALES(F)

#define REIN_FIELD_OWNER reini_mujoco_config
static const rein_field mjcf_fields[] = {REIN_FIELDS_TABLE(MJCF_FIELDS)};
#undef REIN_FIELD_OWNER

/* One value of a sensor, and what it is for. */
typedef struct mjcf_part {
    int at;                   /* in sensordata */
    double weight, low, high; /* of rewards; of ends */
} mjcf_part;

typedef struct mjcf_task {
    int n_observe, n_reward, n_end, hidden;
    double noise, control_cost, alive;
    mjcf_part *observe, *reward, *end; /* (nsensordata) each */
} mjcf_task;

/* ---- reading the description --------------------------------------------------------------------------- */

/* the numeric's numbers, NULL when there is none of that name */
static const mjtNum *numeric(const mjModel *m, const char *name, int *count) {
    int id = mj_name2id(m, mjOBJ_NUMERIC, name);
    *count = id < 0 ? 0 : m->numeric_size[id];
    return id < 0 ? NULL : m->numeric_data + m->numeric_adr[id];
}

/* one number within [low, high]; the default where the file does not say */
static rein_status read_number(const mjModel *m, const char *name, double low, double high, double *value) {
    int count;
    const mjtNum *found = numeric(m, name, &count);
    if (!found)
        return REIN_OK;
    if (count != 1 || !(found[0] >= low && found[0] <= high))
        return reini_fail(REIN_FORMAT,
                          "the numeric \"%s\" must be one number from %g to %g, not %d of them beginning %g",
                          name, low, high, count, found[0]);
    *value = found[0];
    return REIN_OK;
}

static rein_status read_weights(const mjModel *m, const char *name, int first, int dim, mjcf_task *t) {
    int count;
    const mjtNum *weight = numeric(m, name, &count);
    if (weight && count != dim)
        return reini_fail(REIN_FORMAT, "the numeric \"%s\" has %d weights, its sensor %d values", name, count,
                          dim);
    for (int k = 0; k < dim; k++)
        t->reward[t->n_reward++] = (mjcf_part){.at = first + k, .weight = weight ? weight[k] : 1};
    return REIN_OK;
}

static rein_status read_limits(const mjModel *m, const char *name, int first, int dim, mjcf_task *t) {
    int count;
    const mjtNum *limit = numeric(m, name, &count);
    if (count != 2)
        return reini_fail(
            REIN_FORMAT,
            "the sensor \"%s\" needs a numeric of the same name with two numbers, between which its "
            "values do not end the episode; found %d",
            name, count);
    for (int k = 0; k < dim; k++)
        t->end[t->n_end++] = (mjcf_part){.at = first + k, .low = limit[0], .high = limit[1]};
    return REIN_OK;
}

static bool begins(const char *name, const char *with) {
    return strncmp(name, with, strlen(with)) == 0;
}

static rein_status read_sensors(const mjModel *m, mjcf_task *t) {
    for (int i = 0; i < m->nsensor; i++) {
        const char *name = mj_id2name(m, mjOBJ_SENSOR, i);
        int first = m->sensor_adr[i], dim = m->sensor_dim[i];
        if (!name)
            continue;
        if (begins(name, "reward/"))
            REINI_TRY(read_weights(m, name, first, dim, t));
        else if (begins(name, "terminate/"))
            REINI_TRY(read_limits(m, name, first, dim, t));
        else if (begins(name, "observe/"))
            for (int k = 0; k < dim; k++)
                t->observe[t->n_observe++] = (mjcf_part){.at = first + k};
    }
    return REIN_OK;
}

static void free_task(mjcf_task *t) {
    if (!t)
        return;
    reini_free(t->observe);
    reini_free(t->reward);
    reini_free(t->end);
    reini_free(t);
}

static rein_status read_task(const mjModel *m, mjcf_task *t, double *frames, double *horizon) {
    double hidden = 0;
    REINI_TRY(read_number(m, "frame_skip", 1, 1000, frames));
    REINI_TRY(read_number(m, "horizon", 0, 1e9, horizon));
    REINI_TRY(read_number(m, "reset_noise", 0, 1e3, &t->noise));
    REINI_TRY(read_number(m, "control_cost", 0, 1e9, &t->control_cost));
    REINI_TRY(read_number(m, "alive", -1e9, 1e9, &t->alive));
    REINI_TRY(read_number(m, "hidden", 0, m->nq, &hidden));
    t->hidden = (int)hidden;
    REINI_TRY(read_sensors(m, t));
    if (t->n_reward == 0 && t->control_cost == 0 && t->alive == 0)
        return reini_fail(REIN_FORMAT,
                          "there is no reward in it: name a sensor \"reward/...\", or give the numeric "
                          "\"alive\" or \"control_cost\" (docs/environments.md)");
    return REIN_OK;
}

static mjcf_task *new_task(const mjModel *m) {
    size_t n = (size_t)m->nsensordata;
    mjcf_task *t = REINI_NEW(mjcf_task);
    if (!t)
        return NULL;
    t->observe = REINI_NEW_ARRAY(mjcf_part, n);
    t->reward = REINI_NEW_ARRAY(mjcf_part, n);
    t->end = REINI_NEW_ARRAY(mjcf_part, n);
    if (t->observe && t->reward && t->end)
        return t;
    free_task(t);
    return NULL;
}

/* ---- rules --------------------------------------------------------------------------------------------- */

static int mjcf_obs_size(const reini_mujoco_world *world) {
    const mjcf_task *t = world->robot;
    return t->n_observe > 0 ? t->n_observe : world->m->nq - t->hidden + world->m->nv;
}

static void mjcf_start(const reini_mujoco_world *world, mjData *d, rein_rng *rng) {
    const mjcf_task *t = world->robot;
    reini_mujoco_jitter(d->qpos, world->m->nq, t->noise, rng);
    reini_mujoco_jitter(d->qvel, world->m->nv, t->noise, rng);
    mj_normalizeQuat(world->m, d->qpos);
}

static void mjcf_observe(const reini_mujoco_world *world, const mjData *d, float *obs) {
    const mjcf_task *t = world->robot;
    if (t->n_observe == 0) {
        obs = reini_mujoco_put(obs, d->qpos + t->hidden, world->m->nq - t->hidden, INFINITY);
        reini_mujoco_put(obs, d->qvel, world->m->nv, INFINITY);
    }
    for (int i = 0; i < t->n_observe; i++)
        obs[i] = (float)d->sensordata[t->observe[i].at];
}

static void mjcf_place(const reini_mujoco_world *world, const mjData *d, double place[3]) {
}

static rein_step mjcf_score(const reini_mujoco_world *world, reini_mujoco_sim *sim, const double before[3]) {
    const mjcf_task *t = world->robot;
    const mjtNum *sensed = sim->d->sensordata;
    double reward = t->alive - t->control_cost * reini_mujoco_square(sim->d->ctrl, world->m->nu);
    bool ended = false;
    for (int i = 0; i < t->n_reward; i++)
        reward += t->reward[i].weight * sensed[t->reward[i].at];
    for (int i = 0; i < t->n_end; i++) {
        double x = sensed[t->end[i].at];
        ended |= !(x >= t->end[i].low && x <= t->end[i].high);
    }
    return (rein_step){.reward = (float)reward, .terminated = ended};
}

static const reini_mujoco_rules mjcf_rules = {
    .obs_size = mjcf_obs_size,
    .start = mjcf_start,
    .observe = mjcf_observe,
    .place = mjcf_place,
    .score = mjcf_score,
    .settles = true,
};

/* ---- type ---------------------------------------------------------------------------------------------- */

static void mjcf_close(rein_env_type *opened) {
    const reini_mujoco_world *world = opened->model;
    mjcf_task *t = (mjcf_task *)world->robot;
    reini_mujoco_close(opened);
    free_task(t);
}

/* the model and its task; frees what it was given when that fails */
static rein_status open_task(mjModel *m, mjcf_task *t, const reini_mujoco_config *config,
                             rein_env_type *opened) {
    double frames = 1, horizon = 1000;
    rein_status status = read_task(m, t, &frames, &horizon);
    if (status != REIN_OK) {
        mj_deleteModel(m);
        return status;
    }
    reini_mujoco_config c = *config;
    for (int k = 0; k < 3; k++)
        m->opt.gravity[k] *= c.gravity_scale;
    c.gravity = NAN;
    c.frame_skip = (int64_t)frames;
    opened->horizon = (int32_t)horizon;
    return reini_mujoco_open_model(m, &mjcf_rules, t, &c, opened);
}

static rein_status mjcf_open(const void *config, rein_env_type *opened) {
    const char *path = opened->id + strlen(prefix);
    mjModel *m = NULL;
    REINI_TRY(reini_mujoco_compile_file(path, &m));
    mjcf_task *t = new_task(m);
    if (!t) {
        mj_deleteModel(m);
        return reini_fail_memory(sizeof *t, "the task of an MJCF file");
    }
    rein_status status = open_task(m, t, config, opened);
    if (opened->model)
        opened->close = mjcf_close;
    else
        free_task(t);
    return status == REIN_OK ? REIN_OK : reini_fail_in(status, "%s: ", path);
}

/* Not the robots' step itself: vectors watch what environments give that are not Rein's own, and know them by it. */
static rein_step mjcf_step(const void *config, void *state, const void *action, rein_rng *rng) {
    return reini_mujoco_step(config, state, action, rng);
}

static const rein_env_type mjcf_type = {
    .abi = REIN_ENV_ABI,
    .doc = "an MJCF file that describes its reward (MuJoCo)",
    REINI_ENV_FIELDS(reini_mujoco_config, mjcf_fields),
    .reward_threshold = NAN,
    .open = mjcf_open,
    REINI_MUJOCO_TYPE,
};

/* ---- by name ------------------------------------------------------------------------------------------- */

static rein_env_type files[MAX_FILES];
static int n_files;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool reini_mujoco_named(const char *name) {
    return begins(name, prefix);
}

/* The spaces are in the file: it is opened once to read them. */
static rein_status describe(const char *name, rein_env_type *type) {
    reini_mujoco_config config = {0};
    rein_env_type opened;
    *type = mjcf_type;
    type->step = mjcf_step;
    type->id = reini_strdup(name);
    if (!type->id)
        return reini_fail_memory(strlen(name) + 1, "the name of an environment");
    rein_fields_default(mjcf_fields, type->n_fields, &config);
    REINI_TRY(rein_env_open(type, &config, &opened));
    type->obs = opened.obs;
    type->horizon = opened.horizon;
    type->act = opened.act;
    size_t bytes = (size_t)opened.act.size * sizeof(float);
    float *bounds = reini_new(2 * bytes); /* those of the opened type end with it */
    if (bounds) {
        memcpy(bounds, opened.act.low, bytes);
        memcpy(bounds + opened.act.size, opened.act.high, bytes);
        type->act.low = bounds;
        type->act.high = bounds + opened.act.size;
    }
    rein_env_close(&opened);
    return bounds ? REIN_OK : reini_fail_memory(2 * bytes, "the bounds of the actions");
}

static const rein_env_type *find(const char *name) {
    for (int i = 0; i < n_files; i++)
        if (strcmp(files[i].id, name) == 0)
            return &files[i];
    if (n_files == MAX_FILES) {
        reini_fail(REIN_USAGE, "environment \"%s\" is refused: %d MJCF files are loaded already, the most",
                   name, MAX_FILES);
        return NULL;
    }
    rein_env_type type = {0};
    if (describe(name, &type) != REIN_OK) {
        reini_free((char *)type.id);
        return NULL;
    }
    files[n_files] = type;
    return &files[n_files++];
}

const rein_env_type *reini_mujoco_find(const char *name) {
    pthread_mutex_lock(&lock);
    const rein_env_type *type = find(name);
    pthread_mutex_unlock(&lock);
    return type;
}
#endif
