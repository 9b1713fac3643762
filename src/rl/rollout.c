/*
 * rollout.c - the collector: workers, each stepping its range of environments with its own copy of the policy.
 */
#include "rl/rollout.h"

#include <math.h>
#include <string.h>
#include "base/clock.h"

/* clocks are read on every 8th step and scaled: reading them costs as much as stepping an environment */
enum { CLOCK_EVERY = 8, ACTION_STREAM = 1 };

struct reini_collector {
    reini_collector_opts opts;
    reini_net *policy;
    rein_vec *vec;
    reini_rollout rollout;
    void *env_action;  /* (T x N x act_size) in the environment's units; the rollout's action unless scaled */
    float *last_obs;   /* (N x obs_size) staging for final observations */
    float *obs_now;    /* (N x obs_size) where the next rollout starts */
    float *state_now;  /* (N x state_size) the same */
    uint8_t *mask_now; /* (N x logits) */
    float *final_batch; /* (N x final_capacity x obs_size) */
    float *final_value; /* (N x final_capacity) */
    float *final_state; /* (N x final_capacity x state_size) */
    int ranges;         /* of environments, one for each worker */
    reini_act_program act;
    rein_exec **act_exec; /* one for each range */
    reini_sde sde;
    rein_graph *value_graph;
    rein_program *value_program;
    rein_exec *value_exec;
    reini_net_inputs value_in;
    rein_tensor *value;
    uint64_t step; /* steps taken by every environment so far */
    bool started;
    reini_episodes episodes;
    void *saved_vec; /* for checkpoints */
    double env_seconds, act_seconds;
};

/* ---- construction -------------------------------------------------------------------------------------- */

static float *floats(int64_t n) {
    return REINI_NEW_ARRAY(float, (size_t)n);
}

static void *observations(const reini_rollout *r, int64_t n) {
    return reini_new_array((size_t)n, r->obs_bytes);
}

/* row i of an array of observations */
static void *obs_at(const reini_rollout *r, const void *obs, int64_t i) {
    return (char *)(uintptr_t)obs + i * (int64_t)r->obs_bytes;
}

static int32_t *words(int64_t n) {
    return REINI_NEW_ARRAY(int32_t, (size_t)n);
}

static uint8_t *bytes(int64_t n) {
    return REINI_NEW_ARRAY(uint8_t, (size_t)n);
}

static rein_status allocate_rollout(reini_rollout *r, const reini_collector_opts *o) {
    const rein_space *obs = &o->env->obs, *act = &o->env->act;
    r->T = o->n_steps;
    r->N = o->n_envs;
    r->obs_size = obs->size;
    r->obs_bytes = rein_space_bytes(obs);
    r->act_size = act->size;
    r->logits = rein_space_logits(act);
    int64_t TN = r->T * r->N, all = TN + r->N;
    /* an environment may cut its episodes itself at any step; memory that stays untouched costs nothing */
    r->final_capacity = r->T;
    int64_t finals = r->N * r->final_capacity;
    bool ok = (r->obs = observations(r, all)) && (r->action = floats(TN * r->act_size)) &&
              (r->logp = floats(TN)) && (r->reward = floats(TN)) && (r->terminated = bytes(TN)) &&
              (r->truncated = bytes(TN)) && (r->done = bytes(TN)) && (r->value = floats(all)) &&
              (r->adv = floats(TN)) && (r->ret = floats(TN)) && (r->ep_return = floats(TN)) &&
              (r->ep_length = words(TN)) && (r->final_obs = observations(r, finals)) &&
              (r->final_step = words(finals)) && (r->final_count = words(r->N));
    if (ok && o->output)
        ok = (r->output = floats(TN * r->logits)) != NULL;
    if (ok && o->costs && (r->n_costs = o->env->n_costs) > 0)
        ok = (r->cost = floats(TN * r->n_costs)) && (r->ep_cost = floats(TN * r->n_costs));
    if (ok && o->env->mask != NULL)
        ok = (r->mask = bytes(all * r->logits)) != NULL;
    return ok ? REIN_OK
              : reini_fail_memory((size_t)all * (r->obs_bytes + (size_t)(r->act_size + 8) * 4), "a rollout");
}

/* states, and room for those before the last observations of cut episodes */
static rein_status allocate_states(reini_collector *c) {
    reini_rollout *r = &c->rollout;
    int64_t size = r->state_size = reini_net_state_size(c->policy, c->opts.critic), TN = r->T * r->N;
    if (size == 0)
        return REIN_OK;
    bool ok = (r->state = floats((TN + r->N) * size)) && (r->start = bytes(TN)) &&
              (r->final_state = floats(r->N * r->final_capacity * size)) &&
              (c->final_state = floats(r->N * r->final_capacity * size)) &&
              (c->state_now = floats(r->N * size));
    return ok ? REIN_OK : reini_fail_memory((size_t)(TN * size) * 3 * sizeof(float), "a rollout's states");
}

static rein_status make_value_program(reini_collector *c) {
    const reini_rollout *r = &c->rollout;
    if (!c->opts.critic)
        return REIN_OK;
    rein_graph *g = c->value_graph = rein_graph_new(REIN_F32);
    if (g == NULL)
        return reini_fail_memory(1 << 14, "a value program");
    int rows = rein_extent(g, "rows", (r->T + 1) * r->N), slot = rein_slot(g, c->policy->layout);
    c->value_in.obs = rein_input(g, "obs", reini_net_obs_dtype(&c->opts.env->obs), rows, 1, &r->obs_size);
    reini_net_norm_inputs(c->policy, g, &c->value_in);
    reini_net_state_input(c->policy, g, rows, true, &c->value_in);
    c->value = rein_output(reini_net_build(c->policy, slot, &c->value_in, false, true).value, "value");
    REINI_TRY(rein_compile(g, &(rein_compile_opts){.matmul = c->policy->matmul}, &c->value_program));
    REINI_TRY(rein_exec_new(c->value_program, c->opts.pool, &c->value_exec));
    rein_exec_bind_store(c->value_exec, slot, c->policy->store);
    reini_net_bind_norm(c->policy, c->value_exec, &c->value_in);
    return REIN_OK;
}

static rein_status make_act_programs(reini_collector *c) {
    const reini_rollout *r = &c->rollout;
    int threads = rein_pool_threads(c->opts.pool);
    c->ranges = threads < r->N ? threads : (int)r->N;
    REINI_TRY(reini_act_program_explore(&c->act, c->policy, (int)r->N, r->mask != NULL, r->output != NULL,
                                        c->opts.critic));
    REINI_TRY(reini_sde_init(&c->sde, c->policy, r->N));
    c->act_exec = REINI_NEW_ARRAY(rein_exec *, (size_t)c->ranges);
    if (c->act_exec == NULL)
        return reini_fail_memory(64, "a rollout");
    for (int i = 0; i < c->ranges; i++)
        REINI_TRY(reini_act_exec_new(&c->act, c->policy, &c->act_exec[i]));
    return REIN_OK;
}

static rein_status fill(reini_collector *c) {
    reini_rollout *r = &c->rollout;
    rein_vec_opts vec = {.n = (int)c->opts.n_envs, .seed = c->opts.seed};
    REINI_TRY(rein_vec_new(c->opts.env, &vec, &c->vec));
    REINI_TRY(allocate_rollout(r, &c->opts));
    REINI_TRY(allocate_states(c));
    REINI_TRY(make_act_programs(c));
    REINI_TRY(make_value_program(c));
    int64_t finals = r->N * r->final_capacity;
    c->env_action = c->act.env_action == c->act.action ? r->action : floats(r->T * r->N * r->act_size);
    c->last_obs = observations(r, r->N);
    c->obs_now = observations(r, r->N);
    c->mask_now = r->mask != NULL ? bytes(r->N * r->logits) : NULL;
    c->final_batch = observations(r, finals);
    c->final_value = floats(finals);
    c->saved_vec = reini_new(rein_vec_save_size(c->vec));
    if (!c->env_action || !c->last_obs || !c->obs_now || (r->mask && !c->mask_now) || !c->final_batch ||
        !c->final_value || !c->saved_vec)
        return reini_fail_memory((size_t)finals * r->obs_bytes, "a rollout");
    return REIN_OK;
}

rein_status reini_collector_new(const reini_collector_opts *opts, reini_net *policy, reini_collector **out) {
    reini_collector *c = REINI_NEW(reini_collector);
    if (c == NULL)
        return reini_fail_memory(sizeof *c, "a rollout");
    c->opts = *opts;
    c->policy = policy;
    rein_status status = fill(c);
    if (status != REIN_OK) {
        reini_collector_free(c);
        return status;
    }
    *out = c;
    return REIN_OK;
}

static void free_rollout(reini_rollout *r) {
    void *arrays[] = {r->obs,        r->action,      r->logp,      r->output,     r->mask,        r->reward,
                      r->terminated, r->truncated,   r->done,      r->value,      r->adv,         r->ret,
                      r->ep_return,  r->ep_length,   r->final_obs, r->final_step, r->final_count, r->state,
                      r->start,      r->final_state, r->cost,      r->ep_cost};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        reini_free(arrays[i]);
}

void reini_collector_free(reini_collector *c) {
    if (c == NULL)
        return;
    for (int i = 0; c->act_exec != NULL && i < c->ranges; i++)
        rein_exec_free(c->act_exec[i]);
    reini_free(c->act_exec);
    reini_act_program_release(&c->act);
    reini_sde_release(&c->sde);
    rein_exec_free(c->value_exec);
    rein_program_free(c->value_program);
    rein_graph_free(c->value_graph);
    if (c->env_action != c->rollout.action)
        reini_free(c->env_action);
    reini_free(c->last_obs);
    reini_free(c->obs_now);
    reini_free(c->mask_now);
    reini_free(c->state_now);
    reini_free(c->final_state);
    reini_free(c->final_batch);
    reini_free(c->final_value);
    reini_free(c->saved_vec);
    free_rollout(&c->rollout);
    rein_vec_free(c->vec);
    reini_free(c);
}

/* ---- stepping ------------------------------------------------------------------------------------------ */

/* The slab of step t: what is written lies at the row of environment 0. */
static rein_slab slab_of(reini_collector *c, int64_t t) {
    reini_rollout *r = &c->rollout;
    int64_t at = t * r->N;
    return (rein_slab){
        .action = (char *)c->env_action + at * r->act_size * 4,
        .obs = obs_at(r, r->obs, at + r->N),
        .reward = r->reward + at,
        .terminated = r->terminated + at,
        .truncated = r->truncated + at,
        .final_obs = c->last_obs,
        .mask = r->mask != NULL ? r->mask + (at + r->N) * r->logits : NULL,
        .ep_return = r->ep_return + at,
        .ep_length = r->ep_length + at,
        .cost = r->cost != NULL ? r->cost + at * r->n_costs : NULL,
        .ep_cost = r->cost != NULL ? r->ep_cost + at * r->n_costs : NULL,
    };
}

static void act(reini_collector *c, rein_exec *exec, int64_t t, int64_t begin) {
    const reini_rollout *r = &c->rollout;
    const reini_act_program *a = &c->act;
    int64_t row = t * r->N + begin;
    rein_exec_bind(exec, a->in.obs, obs_at(r, r->obs, row), 0);
    if (r->mask != NULL)
        rein_exec_bind(exec, a->in.mask, r->mask + row * r->logits, 0);
    rein_exec_bind(exec, a->action, (char *)r->action + row * r->act_size * 4, 0);
    if (a->env_action != a->action)
        rein_exec_bind(exec, a->env_action, (char *)c->env_action + row * r->act_size * 4, 0);
    rein_exec_bind(exec, a->logp, r->logp + row, 0);
    if (a->state != NULL) {
        rein_exec_bind(exec, a->in.state, r->state + row * r->state_size, 0);
        rein_exec_bind(exec, a->state, r->state + (row + r->N) * r->state_size, 0);
    }
    if (a->output != NULL)
        rein_exec_bind(exec, a->output, r->output + row * r->logits, 0);
    if (a->theta != NULL)
        rein_exec_bind(exec, a->theta, reini_sde_at(&c->sde, begin), 0);
    else
        rein_exec_key(exec, a->key, c->opts.seed, ACTION_STREAM, c->step + (uint64_t)t, (uint64_t)begin);
    rein_exec_run(exec);
}

/* State-dependent noise lives for sde_sample_freq steps, and ends with the rollout: then a checkpoint between rollouts
 * need not hold it, and the densities kept are those of the deviations it was drawn with. */
static void renew_noise(reini_collector *c, int64_t t, int64_t begin, int64_t end) {
    int64_t life = c->policy->net.sde_sample_freq;
    if (c->sde.theta != NULL && (t == 0 || (life > 0 && t % life == 0)))
        reini_sde_draw(&c->sde, c->policy, c->opts.seed, c->step + (uint64_t)t, begin, end);
}

/* Keeps the last observations of episodes that step t truncated. */
static void keep_finals(reini_collector *c, int64_t t, int64_t begin, int64_t end) {
    reini_rollout *r = &c->rollout;
    const uint8_t *truncated = r->truncated + t * r->N, *terminated = r->terminated + t * r->N;
    for (int64_t n = begin; n < end; n++) {
        if (!truncated[n] || terminated[n])
            continue;
        int64_t at = n * r->final_capacity + r->final_count[n]++;
        r->final_step[at] = (int32_t)t;
        memcpy(obs_at(r, r->final_obs, at), obs_at(r, c->last_obs, n), r->obs_bytes);
        if (r->state != NULL)
            memcpy(r->final_state + at * r->state_size, r->state + ((t + 1) * r->N + n) * r->state_size,
                   (size_t)r->state_size * sizeof(float));
    }
}

/* A new episode remembers nothing. */
static void forget(reini_rollout *r, int64_t t, int64_t begin, int64_t end) {
    for (int64_t i = t * r->N + begin; r->state != NULL && i < t * r->N + end; i++)
        if (r->terminated[i] || r->truncated[i])
            memset(r->state + (i + r->N) * r->state_size, 0, (size_t)r->state_size * sizeof(float));
}

static bool any(const uint8_t *flags, int64_t n) {
    uint8_t seen = 0;
    for (int64_t i = 0; i < n; i++)
        seen |= flags[i];
    return seen != 0;
}

/* All T steps of one range of environments. */
static void collect_range(void *user, int range, int worker) {
    reini_collector *c = user;
    reini_rollout *r = &c->rollout;
    int64_t begin = r->N * range / c->ranges, end = r->N * (range + 1) / c->ranges;
    rein_exec *exec = c->act_exec[range];
    rein_exec_rows(exec, c->act.rows, end - begin);
    double act_time = 0, env_time = 0;
    for (int64_t t = 0; t < r->T; t++) {
        bool timed = range == 0 && t % CLOCK_EVERY == 0;
        double start = timed ? reini_seconds() : 0;
        renew_noise(c, t, begin, end);
        act(c, exec, t, begin);
        double middle = timed ? reini_seconds() : 0;
        rein_slab slab = slab_of(c, t);
        rein_vec_step(c->vec, (int)begin, (int)end, &slab);
        if (any(r->truncated + t * r->N + begin, end - begin))
            keep_finals(c, t, begin, end);
        forget(r, t, begin, end);
        if (timed) {
            act_time += middle - start;
            env_time += reini_seconds() - middle;
        }
    }
    if (range == 0) {
        c->act_seconds = act_time;
        c->env_seconds = env_time;
    }
}

/* Marks ends of episodes and notes them, in the order of steps. */
static void note_ends(reini_collector *c) {
    reini_rollout *r = &c->rollout;
    for (int64_t i = 0; i < r->T * r->N; i++)
        r->done[i] = r->terminated[i] | r->truncated[i];
    if (r->start != NULL)
        memcpy(r->start + r->N, r->done, (size_t)((r->T - 1) * r->N));
    for (int64_t t = 0; t < r->T; t++) {
        if (!any(r->done + t * r->N, r->N))
            continue;
        for (int64_t i = t * r->N; i < (t + 1) * r->N; i++)
            if (r->done[i])
                reini_episodes_add(&c->episodes, r->ep_return[i], r->ep_length[i]);
    }
}

rein_status reini_collector_fault(const reini_collector *c) {
    return rein_vec_fault(c->vec);
}

void reini_collector_restart(reini_collector *c) {
    reini_rollout *r = &c->rollout;
    rein_slab slab = {.obs = c->obs_now, .mask = c->mask_now};
    rein_vec_reset(c->vec, 0, (int)r->N, &slab);
    if (c->state_now != NULL)
        memset(c->state_now, 0, (size_t)(r->N * r->state_size) * sizeof(float));
    c->episodes = (reini_episodes){0};
    c->started = true;
}

/* copies the observations and masks of one step */
static void copy_rows(const reini_rollout *r, void *obs, const void *from, uint8_t *mask,
                      const uint8_t *from_mask) {
    memcpy(obs, from, (size_t)r->N * r->obs_bytes);
    if (r->mask != NULL)
        memcpy(mask, from_mask, (size_t)(r->N * r->logits));
}

void reini_collector_run(reini_collector *c, double *env_seconds, double *act_seconds) {
    reini_rollout *r = &c->rollout;
    double start = reini_seconds();
    if (!c->started)
        reini_collector_restart(c);
    size_t states = (size_t)(r->N * r->state_size) * sizeof(float);
    copy_rows(r, r->obs, c->obs_now, r->mask, c->mask_now);
    if (r->state != NULL)
        memcpy(r->state, c->state_now, states);
    memset(r->final_count, 0, (size_t)r->N * sizeof *r->final_count);
    rein_pool_run(c->opts.pool, c->ranges, collect_range, c);
    note_ends(c);
    c->step += (uint64_t)r->T;
    uint8_t *last_mask = r->mask != NULL ? r->mask + r->T * r->N * r->logits : NULL;
    copy_rows(r, c->obs_now, obs_at(r, r->obs, r->T * r->N), c->mask_now, last_mask);
    if (r->state != NULL)
        memcpy(c->state_now, r->state + r->T * r->N * r->state_size, states);
    /* the sampled clocks give the shares, the whole duration the scale */
    double whole = reini_seconds() - start, sampled = c->env_seconds + c->act_seconds;
    double share = sampled > 0 ? c->env_seconds / sampled : 0.5;
    *env_seconds += whole * share;
    *act_seconds += whole * (1 - share);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static void values_of(reini_collector *c, const float *obs, const float *state, float *value, int64_t rows) {
    if (rows == 0)
        return;
    if (c->value_in.state != NULL)
        rein_exec_bind(c->value_exec, c->value_in.state, state, 0);
    rein_exec_rows(c->value_exec, 0, rows);
    rein_exec_bind(c->value_exec, c->value_in.obs, obs, 0);
    rein_exec_bind(c->value_exec, c->value, value, 0);
    rein_exec_run(c->value_exec);
}

static void fold_finals(reini_collector *c, double discount) {
    reini_rollout *r = &c->rollout;
    int64_t k = 0;
    for (int64_t n = 0; n < r->N; n++)
        for (int i = 0; i < r->final_count[n]; i++, k++) {
            int64_t from = n * r->final_capacity + i;
            memcpy(obs_at(r, c->final_batch, k), obs_at(r, r->final_obs, from), r->obs_bytes);
            if (r->state != NULL)
                memcpy(c->final_state + k * r->state_size, r->final_state + from * r->state_size,
                       (size_t)r->state_size * sizeof(float));
        }
    values_of(c, c->final_batch, c->final_state, c->final_value, k);
    k = 0;
    for (int64_t n = 0; n < r->N; n++)
        for (int i = 0; i < r->final_count[n]; i++)
            r->reward[r->final_step[n * r->final_capacity + i] * r->N + n] +=
                (float)discount * c->final_value[k++];
}

void reini_collector_evaluate(reini_collector *c, double discount) {
    reini_rollout *r = &c->rollout;
    if (c->value_exec == NULL) {
        memset(r->value, 0, (size_t)((r->T + 1) * r->N) * sizeof(float));
    } else {
        values_of(c, r->obs, r->state, r->value, (r->T + 1) * r->N);
        fold_finals(c, discount);
    }
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

reini_rollout *reini_collector_rollout(reini_collector *c) {
    return &c->rollout;
}

const reini_episodes *reini_collector_episodes(const reini_collector *c) {
    return &c->episodes;
}

rein_status reini_collector_visit(reini_collector *c, reini_archive *archive) {
    reini_rollout *r = &c->rollout;
    size_t size = rein_vec_save_size(c->vec);
    if (!reini_archive_loading(archive))
        rein_vec_save(c->vec, c->saved_vec);
    REINI_TRY(reini_archive_bytes(archive, "collector.environments", c->saved_vec, size));
    if (reini_archive_loading(archive))
        REINI_TRY(rein_vec_load(c->vec, c->saved_vec, size));
    REINI_TRY(reini_archive_bytes(archive, "collector.step", &c->step, sizeof c->step));
    REINI_TRY(reini_archive_bytes(archive, "collector.started", &c->started, sizeof c->started));
    REINI_TRY(reini_archive_bytes(archive, "collector.episodes", &c->episodes, sizeof c->episodes));
    REINI_TRY(reini_archive_bytes(archive, "collector.obs", c->obs_now, (size_t)r->N * r->obs_bytes));
    if (r->mask != NULL)
        REINI_TRY(reini_archive_bytes(archive, "collector.mask", c->mask_now, (size_t)(r->N * r->logits)));
    if (r->state != NULL)
        REINI_TRY(reini_archive_bytes(archive, "collector.state", c->state_now,
                                      (size_t)(r->N * r->state_size) * sizeof(float)));
    return REIN_OK;
}
