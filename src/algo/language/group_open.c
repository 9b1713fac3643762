/*
 * group_open.c - a group policy's beginning and end, and what a run asks of it.
 */
#include <math.h>
#include "algo/language/group_policy.h"

static int64_t answers_of_update(const reini_lm_settings *s) {
    return s->per_device_train_batch_size * s->gradient_accumulation_steps;
}

static int64_t answers_of_rollout(const reini_text_settings *s, const reini_lm_settings *lm) {
    return s->generation_batch_size > 0 ? s->generation_batch_size : answers_of_update(lm);
}

rein_status reini_group_check(const reini_text_settings *s, const reini_group_opts *o) {
    const reini_lm_settings *lm = (const reini_lm_settings *)s;
    int64_t update = answers_of_update(lm), rollout = answers_of_rollout(s, lm);
    REINI_TRY(reini_rollout_check(s));
    if (rollout % update != 0)
        return reini_fail(
            REIN_USAGE,
            "generation_batch_size: a rollout of %lld answers is no multiple of an update's %lld "
            "(per_device_train_batch_size x gradient_accumulation_steps)",
            (long long)rollout, (long long)update);
    if (rollout % o->generations != 0)
        return reini_fail(
            REIN_USAGE,
            "num_generations: a rollout of %lld answers cannot be made of groups of %d; choose "
            "per_device_train_batch_size x gradient_accumulation_steps or generation_batch_size as a "
            "multiple of it",
            (long long)rollout, o->generations);
    if (rollout > INT32_MAX / o->max_new)
        return reini_fail(REIN_USAGE, "a rollout of %lld answers of %d tokens is too large",
                          (long long)rollout, o->max_new);
    return REIN_OK;
}

static rein_status make_arrays(reini_group_policy *g) {
    size_t answers = (size_t)g->rollout.now.n, tokens = (size_t)g->rollout.batch->tokens_room;
    size_t batch = (size_t)g->rollout.batch->documents_room;
    g->adv = REINI_NEW_ARRAY(float, answers);
    g->paid = REINI_NEW_ARRAY(double, answers);
    g->slope = REINI_NEW_ARRAY(float, tokens);
    g->which = REINI_NEW_ARRAY(int32_t, batch);
    if (!g->adv || !g->paid || !g->slope || !g->which)
        return reini_fail_memory(tokens * 4 + answers * 12, "a batch");
    reini_text_price price = !(g->opts.beta > 0) || g->opts.whole ? REINI_TEXT_FREE
                             : g->opts.corrected                  ? REINI_TEXT_RATIO_K3
                                                                  : REINI_TEXT_K3;
    bool cispo = g->opts.reduction == REINI_REDUCE_CISPO;
    REINI_TRY(reini_text_loss_init(&g->loss, (int64_t)(g->opts.whole ? batch : tokens),
                                   cispo ? REINI_TEXT_CISPO : REINI_TEXT_CLIP, price));
    reini_text_loss_range(&g->loss, 1 - g->opts.epsilon,
                          cispo ? g->opts.epsilon_high : 1 + g->opts.epsilon_high, g->opts.beta);
    return REIN_OK;
}

rein_status reini_group_open(reini_group_policy *g, const void *settings, const reini_group_opts *opts,
                             const reini_lm_context *context) {
    *g = (reini_group_policy){.settings = settings, .opts = *opts};
    reini_rollout_plan plan = {.samples = opts->generations,
                               .answers = (int)answers_of_rollout(settings, settings),
                               .max_new = opts->max_new,
                               .temperature = opts->temperature,
                               .reference = opts->beta > 0,
                               /* the price is paid, and noted, before the first update */
                               .unscored = opts->beta > 0 ? 0 : (int)answers_of_update(settings)};
    REINI_TRY(reini_lm_learner_open(&g->learner, g->settings, 0, context->pool));
    REINI_TRY(reini_text_rollout_open(&g->rollout, settings, &plan, context, &g->learner));
    REINI_TRY(reini_lm_course_init(&g->course, g->settings,
                                   g->rollout.train.n * opts->generations * opts->iterations));
    return make_arrays(g);
}

void reini_group_release(void *self) {
    reini_group_policy *g = self;
    reini_text_rollout_release(&g->rollout);
    reini_lm_learner_release(&g->learner);
    reini_lm_course_release(&g->course);
    reini_text_loss_release(&g->loss);
    reini_free(g->adv);
    reini_free(g->paid);
    reini_free(g->slope);
    reini_free(g->which);
}

/* ---- for the run ------------------------------------------------------------------------------------------- */

void reini_group_progress(const void *self, reini_lm_progress *out) {
    reini_lm_course_progress(&((const reini_group_policy *)self)->course, out);
}

bool reini_group_can_evaluate(const void *self) {
    return ((const reini_group_policy *)self)->rollout.eval.n > 0;
}

int64_t reini_group_epoch_steps(const void *self) {
    return ((const reini_group_policy *)self)->course.epoch_steps;
}

rein_status reini_group_visit(void *self, reini_archive *ar) {
    reini_group_policy *g = self;
    REINI_TRY(reini_text_rollout_visit(&g->rollout, ar));
    REINI_TRY(reini_archive_bytes(ar, "advantages", g->adv, (size_t)g->rollout.now.n * sizeof *g->adv));
    REINI_TRY(reini_lm_course_visit(&g->course, ar));
    REINI_TRY(reini_archive_bytes(ar, "report", &g->state, sizeof g->state));
    return reini_lm_learner_visit(&g->learner, ar);
}

rein_status reini_group_save(void *self, const char *folder) {
    reini_group_policy *g = self;
    return reini_lm_learner_save(&g->learner, g->settings, folder, g->rollout.probe);
}

const char *reini_group_folder(const void *self) {
    return ((const reini_group_policy *)self)->learner.lora ? "adapter" : "model";
}

int64_t reini_group_save_bytes(const void *self) {
    return reini_lm_learner_save_bytes(&((const reini_group_policy *)self)->learner);
}

rein_status reini_group_digest(const void *self, char out[65]) {
    return reini_lm_learner_digest(&((const reini_group_policy *)self)->learner, out);
}
