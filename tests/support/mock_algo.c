/*
 * mock_algo.c - random search: shake the parameters, keep them when the round's return was no worse.
 */
#include <math.h>
#include <string.h>
#include "support/mock_algo.h"
#include "support/mock_policy.h"

void (*mock_hook)(int64_t iteration);
int64_t mock_extended;

/* ---- environment ------------------------------------------------------------------------------------- */

#define WALK_FIELDS(F, E) F(REAL, push, "0.2", 0, 10, "width of a step")
typedef struct walk_config {
    REIN_FIELDS_STRUCT(WALK_FIELDS)
} walk_config;

#define REIN_FIELD_OWNER walk_config
static const rein_field walk_fields[] = {REIN_FIELDS_TABLE(WALK_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct walk_state {
    float x, v;
} walk_state;

static void walk_reset(const void *config, void *state, rein_rng *rng) {
    *(walk_state *)state = (walk_state){rein_rng_range(rng, -0.5f, 0.5f), 0};
}

static rein_step walk_step(const void *config, void *state, const void *action, rein_rng *rng) {
    walk_state *s = state;
    float push = (float)((const walk_config *)config)->push;
    s->v = 0.5f * s->v + (*(const int32_t *)action ? push : -push) * rein_rng_uniform(rng);
    s->x += s->v;
    return (rein_step){.reward = 1 - fabsf(s->x), .terminated = fabsf(s->x) > 1};
}

static void walk_observe(const void *config, const void *state, void *obs) {
    const walk_state *s = state;
    ((float *)obs)[0] = s->x;
    ((float *)obs)[1] = s->v;
}

static const rein_env_type walk = {
    .abi = REIN_ENV_ABI,
    .id = MOCK_ENV,
    .doc = "a walk on a line, for tests",
    .obs = {.kind = REIN_SPACE_BOX, .size = 2, .shape = {2, 0, 0}},
    .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {2}},
    .horizon = 40,
    .state_size = sizeof(walk_state),
    .config_size = sizeof(walk_config),
    .fields = walk_fields,
    .n_fields = 1,
    .reward_threshold = 20,
    .reset = walk_reset,
    .step = walk_step,
    .observe = walk_observe,
};

void mock_env_register(void) {
    for (int i = 0; rein_env_at(i); i++)
        if (rein_env_at(i) == &walk)
            return;
    rein_env_register(&walk);
}

/* ---- algorithm --------------------------------------------------------------------------------------- */

#define MOCK_FIELDS(F, E)                                                                                    \
    F(INT, n_envs, "3", 1, 64, "environments")                                                               \
    F(INT, n_steps, "10", 1, 1000, "steps of each environment in an iteration")                              \
    F(SCHEDULE, learning_rate, "lin_0.5", 0, 10, "width of the shakes")                                      \
    F(INTS, sizes, "4,4", 1, 100, "numbers without a meaning")                                               \
    F(INT, trouble, "0", 0, 1e9, "iteration at which it diverges, 0 = never")                                \
    E(mode, "plain", "plain|fancy", "no meaning either")
typedef struct mock_config {
    REIN_FIELDS_STRUCT(MOCK_FIELDS)
} mock_config;

#define REIN_FIELD_OWNER mock_config
static const rein_field mock_fields[] = {REIN_FIELDS_TABLE(MOCK_FIELDS)};
#undef REIN_FIELD_OWNER

#define WEIGHTS_MAX 64
#define WINDOW      100

/* saved as it stands */
typedef struct mock_memory {
    int64_t iterations, env_steps, episodes;
    float weights[WEIGHTS_MAX], kept[WEIGHTS_MAX];
    double kept_return;
    double returns[WINDOW], lengths[WINDOW]; /* of the last episodes, a ring */
    rein_rng rng;
} mock_memory;

typedef struct mock {
    mock_config config;
    int64_t total_steps;
    rein_vec *vec;
    void *saved_vec; /* (rein_vec_save_size) */
    rein_slab slab;
    rein_policy *policy;
    mock_memory memory;
} mock;

static rein_status mock_check(const void *config, const reini_context *context) {
    const mock_config *c = config;
    if (context->env->act.kind != REIN_SPACE_DISCRETE)
        return reini_fail(REIN_USAGE, "mock needs discrete actions, and %s has others", context->env->id);
    if (c->n_steps * c->n_envs > 5000)
        return reini_fail(REIN_USAGE, "n_steps times n_envs must be at most 5000");
    return REIN_OK;
}

static void mock_destroy(void *self) {
    mock *m = self;
    if (!m)
        return;
    rein_vec_free(m->vec);
    rein_policy_free(m->policy);
    void *owned[] = {(void *)m->slab.action, m->slab.obs,       m->slab.reward,    m->slab.terminated,
                     m->slab.truncated,      m->slab.ep_return, m->slab.ep_length, m->saved_vec};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        reini_free(owned[i]);
    reini_free(m);
}

static rein_status mock_fill(mock *m, const reini_context *context) {
    size_t n = (size_t)m->config.n_envs, used;
    rein_vec_opts opts = {.n = (int)n, .seed = context->seed};
    REINI_TRY(rein_vec_new(context->env, &opts, &m->vec));
    m->policy = mock_policy_new(&context->env->obs, &context->env->act, "mock", context->env->id);
    m->saved_vec = reini_new(rein_vec_save_size(m->vec));
    m->slab = (rein_slab){.action = reini_new(n * rein_space_bytes(&context->env->act)),
                          .obs = reini_new(n * rein_space_bytes(&context->env->obs)),
                          .reward = reini_new(n * sizeof(float)),
                          .terminated = reini_new(n),
                          .truncated = reini_new(n),
                          .ep_return = reini_new(n * sizeof(float)),
                          .ep_length = reini_new(n * sizeof(int32_t))};
    if (!m->policy || !m->saved_vec || !m->slab.action || !m->slab.obs || !m->slab.reward ||
        !m->slab.terminated || !m->slab.truncated || !m->slab.ep_return || !m->slab.ep_length)
        return reini_fail_memory(n, "the mock algorithm");
    mock_policy_weights(m->policy, &used);
    if (used > WEIGHTS_MAX)
        return reini_fail(REIN_UNSUPPORTED, "the mock algorithm takes small environments only");
    m->memory.rng = rein_rng_make(context->seed, 1 << 20);
    m->memory.kept_return = -INFINITY;
    rein_vec_observe(m->vec, 0, (int)n, &m->slab);
    return REIN_OK;
}

static rein_status mock_create(const void *config, const reini_context *context, void **self) {
    mock *m = REINI_NEW(mock);
    *self = NULL;
    if (!m)
        return reini_fail_memory(sizeof *m, "the mock algorithm");
    m->config = *(const mock_config *)config;
    m->total_steps = context->total_steps;
    rein_status status = mock_fill(m, context);
    if (status == REIN_OK)
        *self = m;
    else
        mock_destroy(m);
    return status;
}

static void use_weights(mock *m, const float *weights) {
    size_t n;
    float *to = mock_policy_weights(m->policy, &n);
    memcpy(to, weights, n * sizeof *to);
}

/* mean reward of one round with the current weights */
static double play(mock *m) {
    double total = 0;
    int n = (int)m->config.n_envs;
    mock_memory *s = &m->memory;
    for (int64_t t = 0; t < m->config.n_steps; t++) {
        rein_policy_act(m->policy, n, m->slab.obs, NULL, NULL, (void *)m->slab.action);
        rein_vec_step(m->vec, 0, n, &m->slab);
        for (int i = 0; i < n; i++) {
            total += m->slab.reward[i];
            if (!m->slab.terminated[i] && !m->slab.truncated[i])
                continue;
            s->returns[s->episodes % WINDOW] = m->slab.ep_return[i];
            s->lengths[s->episodes++ % WINDOW] = m->slab.ep_length[i];
        }
    }
    s->env_steps += n * m->config.n_steps;
    return total / (double)(n * m->config.n_steps);
}

static double window_mean(const double *x, int64_t n) {
    double sum = 0;
    n = n < WINDOW ? n : WINDOW;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : NAN;
}

static void mock_iterate(void *self, reini_report *report) {
    mock *m = self;
    mock_memory *s = &m->memory;
    double rate =
        rein_schedule_at(&m->config.learning_rate, fmin(1, (double)s->env_steps / (double)m->total_steps));
    for (int i = 0; i < WEIGHTS_MAX; i++)
        s->weights[i] = s->kept[i] + (float)(rate * rein_rng_normal(&s->rng));
    use_weights(m, s->weights);
    double mean = play(m);
    if (mean >= s->kept_return) {
        s->kept_return = mean;
        memcpy(s->kept, s->weights, sizeof s->kept);
    }
    use_weights(m, s->kept);
    s->iterations++;
    report->env_steps = s->env_steps;
    report->episodes = s->episodes;
    report->return_mean = window_mean(s->returns, s->episodes);
    report->length_mean = window_mean(s->lengths, s->episodes);
    report->metric[0] = mean;
    report->metric[1] = s->kept[0];
    report->metric[2] = rate;
    report->diverged = s->iterations == m->config.trouble;
    if (mock_hook)
        mock_hook(s->iterations);
}

static rein_status mock_visit(void *self, reini_archive *ar) {
    mock *m = self;
    size_t size = rein_vec_save_size(m->vec);
    REINI_TRY(reini_archive_bytes(ar, "mock.memory", &m->memory, sizeof m->memory));
    rein_vec_save(m->vec, m->saved_vec);
    REINI_TRY(reini_archive_bytes(ar, "mock.vec", m->saved_vec, size));
    if (!reini_archive_loading(ar))
        return REIN_OK;
    REINI_TRY(rein_vec_load(m->vec, m->saved_vec, size));
    rein_vec_observe(m->vec, 0, rein_vec_count(m->vec), &m->slab);
    use_weights(m, m->memory.kept);
    return REIN_OK;
}

static void mock_extend(void *self, int64_t total_steps) {
    ((mock *)self)->total_steps = mock_extended = total_steps;
}

static rein_policy *mock_policy(void *self) {
    return ((mock *)self)->policy;
}

static const char *const mock_metrics[] = {"mock/reward", "mock/weight", "mock/rate"};

#define DESCRIPTOR(name_)                                                                                    \
    {                                                                                                        \
        .name = name_, .doc = "random search, for tests", .family = REINI_ON_POLICY, .fields = mock_fields,  \
        .n_fields = sizeof mock_fields / sizeof *mock_fields, .config_size = sizeof(mock_config),            \
        .metrics = mock_metrics, .n_metrics = 3, .key_metric = 0, .check = mock_check,                       \
        .create = mock_create, .destroy = mock_destroy, .iterate = mock_iterate, .visit = mock_visit,        \
        .extend = mock_extend, .policy = mock_policy                                                         \
    }
const reini_algo mock_algo = DESCRIPTOR("mock");
const reini_algo mock_other_algo = DESCRIPTOR("other");
