/*
 * learn.c - construction, checkpoints and reports that tabular learners share.
 */
#include "algo/tabular/learn.h"

#include "base/clock.h"

/* updates in a row that were not finite before the run is given up */
enum { GIVE_UP_AFTER = 100 };

/* ---- any ------------------------------------------------------------------------------------------------------ */

rein_status reini_tabular_check(const char *algo, const reini_context *context) {
    reini_table_policy *trial;
    REINI_TRY(reini_table_policy_new(algo, context->env, 0, 1, 0, &trial));
    rein_policy_free(reini_table_base(trial));
    return REIN_OK;
}

void reini_tabular_report(const reini_tabular *t, reini_report *report) {
    report->env_steps = t->steps;
    report->episodes = t->episodes.count;
    report->return_mean = reini_episodes_mean_return(&t->episodes);
    report->length_mean = reini_episodes_mean_length(&t->episodes);
    report->skipped_updates = t->skipped;
    report->diverged = t->skipped_in_a_row >= GIVE_UP_AFTER;
    report->done = reini_tabular_done(t);
    report->seconds_update = reini_seconds() - t->started;
    report->metric[REINI_METRIC_CHANGE] = t->updates > 0 ? t->change / (double)t->updates : NAN;
    report->metric[REINI_METRIC_RATE] = t->opts.learning_rate != NULL && !t->opts.average ? t->rate : NAN;
    if (t->opts.explore == NULL)
        return;
    if (t->explore.kind == REINI_EXPLORE_EPSILON)
        report->metric[REINI_METRIC_EPSILON] = t->explore.epsilon;
    else
        report->metric[REINI_METRIC_TEMPERATURE] = t->explore.temperature;
}

void reini_tabular_extend(void *self, int64_t total_steps) {
    ((reini_tabular *)self)->opts.total_steps = total_steps;
}

rein_policy *reini_tabular_policy(void *self) {
    return reini_table_base(((reini_tabular *)self)->policy);
}

/* ---- control -------------------------------------------------------------------------------------------------- */

#define REIN_FIELD_OWNER reini_control_config
const rein_field reini_control_fields[REINI_CONTROL_FIELDS_COUNT] = {REIN_FIELDS_TABLE(REINI_CONTROL_FIELDS)};
#undef REIN_FIELD_OWNER
const char *const reini_control_metrics[REINI_LEARNING_METRICS_COUNT] = {
    REINI_LEARNING_METRICS("train/q_change")};

static reini_tabular_config control_loop(const reini_control_config *from) {
    reini_tabular_config copied;
    REINI_TAKE_FIELDS(REINI_TABULAR_FIELDS)
    return copied;
}

static reini_explore_config control_explore(const reini_control_config *from) {
    reini_explore_config copied;
    REINI_TAKE_FIELDS(REINI_EXPLORE_FIELDS)
    return copied;
}

rein_status reini_control_init(reini_control *c, const char *algo, const reini_control_config *config,
                               const reini_context *context) {
    c->config = *config;
    c->explore = control_explore(config);
    reini_tabular_opts opts = {.algo = algo,
                               .env = context->env,
                               .seed = context->seed,
                               .total_steps = context->total_steps,
                               .config = control_loop(config),
                               .parts = REINI_TABLE_Q,
                               .learning_rate = &c->config.learning_rate,
                               .explore = &c->explore,
                               .average = config->average};
    REINI_TRY(reini_tabular_init(&c->t, &opts));
    for (size_t i = 0; i < (size_t)c->t.S * (size_t)c->t.A; i++)
        c->t.policy->q[i] = config->q_init;
    return REIN_OK;
}

void reini_control_release(reini_control *c) {
    reini_tabular_release(&c->t);
}

rein_status reini_control_create(const char *algo, const void *config, const reini_context *context,
                                 void **self) {
    reini_control *c = REINI_NEW(reini_control);
    if (c == NULL)
        return reini_fail_memory(sizeof *c, algo);
    rein_status status = reini_control_init(c, algo, config, context);
    if (status != REIN_OK) {
        reini_control_destroy(c);
        return status;
    }
    *self = c;
    return REIN_OK;
}

void reini_control_destroy(void *self) {
    if (self != NULL)
        reini_control_release(self);
    reini_free(self);
}

rein_status reini_control_visit(void *self, reini_archive *archive) {
    return reini_tabular_visit(&((reini_control *)self)->t, archive);
}

/* ---- prediction ----------------------------------------------------------------------------------------------- */

const char *const reini_prediction_metrics[REINI_LEARNING_METRICS_COUNT] = {
    REINI_LEARNING_METRICS("train/v_change")};

static reini_tabular_config prediction_loop(const reini_prediction_config *from) {
    reini_tabular_config copied;
    REINI_TAKE_FIELDS(REINI_TABULAR_FIELDS)
    return copied;
}

rein_status reini_prediction_init(reini_prediction *p, const char *algo,
                                  const reini_prediction_config *config, const reini_context *context) {
    p->config = *config;
    reini_tabular_opts opts = {.algo = algo,
                               .env = context->env,
                               .seed = context->seed,
                               .total_steps = context->total_steps,
                               .config = prediction_loop(config),
                               .parts = REINI_TABLE_PI | REINI_TABLE_V,
                               .learning_rate = &p->config.learning_rate,
                               .average = config->average};
    REINI_TRY(reini_tabular_init(&p->t, &opts));
    REINI_TRY(reini_given_init(&p->given, "policy", config->policy, context->env));
    for (int32_t s = 0; s < p->t.S; s++)
        reini_given_row(&p->given, s, NULL, p->t.policy->pi + reini_entry(&p->t, s, 0));
    return REIN_OK;
}

void reini_prediction_release(reini_prediction *p) {
    reini_tabular_release(&p->t);
    reini_given_release(&p->given);
}

const double *reini_prediction_row(reini_prediction *p) {
    double *row = p->t.policy->pi + reini_entry(&p->t, p->t.state, 0);
    if (p->t.mask != NULL)
        reini_given_row(&p->given, p->t.state, p->t.mask, row);
    return row;
}

int32_t reini_prediction_choose(reini_prediction *p) {
    const double *row = reini_prediction_row(p);
    return p->t.explore.script != NULL ? *p->t.explore.script++ : reini_draw(row, p->t.A, &p->t.rng);
}

/* ---- n steps -------------------------------------------------------------------------------------------------- */

rein_status reini_trail_init(reini_trail *trail, int64_t n) {
    trail->n = n;
    trail->entry = REINI_NEW_ARRAY(size_t, (size_t)n);
    trail->reward = REINI_NEW_ARRAY(double, (size_t)n);
    if (trail->entry == NULL || trail->reward == NULL)
        return reini_fail_memory((size_t)n * 16, "the steps that wait for their targets");
    return REIN_OK;
}

void reini_trail_release(reini_trail *trail) {
    reini_free(trail->entry);
    reini_free(trail->reward);
    *trail = (reini_trail){0};
}

rein_status reini_trail_visit(reini_trail *trail, reini_archive *archive) {
    size_t n = (size_t)trail->n;
    REINI_TRY(reini_archive_bytes(archive, "trail.count", &trail->count, sizeof trail->count));
    REINI_TRY(reini_archive_bytes(archive, "trail.first", &trail->first, sizeof trail->first));
    REINI_TRY(reini_archive_bytes(archive, "trail.entry", trail->entry, n * sizeof *trail->entry));
    return reini_archive_bytes(archive, "trail.reward", trail->reward, n * sizeof *trail->reward);
}
