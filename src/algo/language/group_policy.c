/*
 * group_policy.c - updates of a policy from groups of answers.
 */
#include "algo/language/group_policy.h"
#include <math.h>
#include <string.h>

const char *const reini_group_metrics[REINI_GROUP_N_METRICS] = {
#define X(id, name) name,
    REINI_GROUP_METRICS(X)
#undef X
};
const char *const reini_group_eval_metrics[REINI_GROUP_N_EVAL] = {
    "eval_reward", "eval_completions/mean_length", "eval_completions/terminated_ratio"};

static void note(reini_group_policy *g, reini_group_metric metric, double sum, double count) {
    g->state.sum[metric] += isfinite(sum) ? sum : 0;
    g->state.count[metric] += isfinite(sum) ? count : 0;
}

static int64_t answers_of_update(const reini_lm_settings *s) {
    return s->per_device_train_batch_size * s->gradient_accumulation_steps;
}

/* ---- the rollout ------------------------------------------------------------------------------------------- */

static void note_lengths(reini_group_policy *g) {
    const reini_text_answers *a = &g->rollout.now;
    double sum[2] = {0}, least[2] = {INFINITY, INFINITY}, most[2] = {-INFINITY, -INFINITY}, n[2] = {0};
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < (a->finish[i] == REINI_FINISH_LENGTH ? 1 : 2); k++) {
            sum[k] += a->length[i];
            least[k] = fmin(least[k], a->length[i]);
            most[k] = fmax(most[k], a->length[i]);
            n[k]++;
        }
    for (int k = 0; k < 2; k++) {
        /* TRL says 0 where no answer ended */
        note(g, k ? REINI_GROUP_MEAN_ENDED : REINI_GROUP_MEAN_LENGTH, n[k] > 0 ? sum[k] / n[k] : 0, 1);
        note(g, k ? REINI_GROUP_MIN_ENDED : REINI_GROUP_MIN_LENGTH, n[k] > 0 ? least[k] : 0, 1);
        note(g, k ? REINI_GROUP_MAX_ENDED : REINI_GROUP_MAX_LENGTH, n[k] > 0 ? most[k] : 0, 1);
    }
    note(g, REINI_GROUP_CUT, 1 - n[1] / n[0], 1);
}

static void note_rewards(reini_group_policy *g) {
    const reini_text_answers *a = &g->rollout.now;
    int kinds = reini_rewards_count(g->rollout.rewards);
    for (int k = 0; k < kinds && k < REINI_GROUP_KINDS; k++) {
        double n = 0, sum = 0, square = 0;
        for (int i = 0; i < a->n; i++) {
            double x = a->each[(int64_t)i * kinds + k];
            n += !isnan(x);
            sum += isnan(x) ? 0 : x;
        }
        for (int i = 0; i < a->n; i++) {
            double x = a->each[(int64_t)i * kinds + k] - sum / n;
            square += isnan(x) ? 0 : x * x;
        }
        note(g, (reini_group_metric)(REINI_GROUP_KIND_1 + 2 * k), sum / n, 1);
        note(g, (reini_group_metric)(REINI_GROUP_KIND_1_STD + 2 * k), sqrt(square / (n - 1)), 1);
    }
}

/* RLOO pays for the distance out of the reward: k1 summed over the answer */
static void take_price(reini_group_policy *g, double *reward) {
    const reini_text_answers *a = &g->rollout.now;
    for (int i = 0; i < a->n; i++) {
        double kl = reini_text_answer_kl(&g->rollout, a, i);
        reward[i] = a->reward[i] - (g->opts.beta > 0 ? g->opts.beta * kl : 0);
        if (g->opts.beta > 0)
            note(g, REINI_GROUP_KL, kl, 1);
    }
}

static reini_group_stats advantages(reini_group_policy *g) {
    const reini_text_answers *a = &g->rollout.now;
    const reini_group_opts *o = &g->opts;
    if (!o->whole)
        return reini_group_advantage(g->adv, a->reward, a->n, o->generations, o->scale);
    take_price(g, g->paid);
    return reini_leave_one_out(g->adv, g->paid, a->n, o->generations, o->normalise);
}

void reini_group_judge(reini_group_policy *g) {
    reini_group_stats stats = advantages(g);
    note(g, REINI_GROUP_REWARD, stats.reward, 1);
    note(g, REINI_GROUP_REWARD_STD, stats.std, 1);
    note(g, REINI_GROUP_LEVEL, stats.level, 1);
}

rein_status reini_group_roll(reini_group_policy *g) {
    REINI_TRY(reini_text_rollout_make(&g->rollout));
    g->fresh = g->settings->dtype != 0 && g->rollout.plan.unscored > 0;
    reini_group_judge(g);
    note_rewards(g);
    note_lengths(g);
    return reini_text_rollout_log(&g->rollout, g->adv, g->course.state.step);
}

/* ---- the loss ---------------------------------------------------------------------------------------------- */

/* answers [from, from + count) of the rollout */
typedef struct span {
    int from, count;
} span;

static bool counts(const reini_group_policy *g, int i) {
    return !(g->opts.mask_truncated && g->rollout.now.finish[i] == REINI_FINISH_LENGTH);
}

static double tokens_that_count(const reini_group_policy *g, span of) {
    double n = 0;
    for (int i = of.from; i < of.from + of.count; i++)
        n += counts(g, i) ? g->rollout.now.length[i] : 0;
    return fmax(n, 1);
}

/* weight of a token of answer i in the loss of an update of U answers, in batches of b */
static double weight_of(const reini_group_policy *g, int i, span batch, int64_t U) {
    const reini_text_answers *a = &g->rollout.now;
    double batches = ceil((double)U / (double)g->settings->per_device_train_batch_size);
    if (!counts(g, i))
        return 0;
    switch (g->opts.reduction) {
    case REINI_REDUCE_GRPO:
        return 1 / ((double)a->length[i] * (double)U);
    case REINI_REDUCE_BNPO:
        return 1 / (tokens_that_count(g, batch) * batches);
    case REINI_REDUCE_DR_GRPO:
        return 1 / ((double)U * g->opts.max_new);
    default: /* the tokens of an update, on the rollout's average, as TRL has it */
        return (double)a->n / (double)U / tokens_that_count(g, (span){0, a->n});
    }
}

/* The rows of the loss are tokens; r->logp is of the policy as it is. */
static double token_loss(reini_group_policy *g, span batch, int64_t U) {
    const reini_text_answers *a = &g->rollout.now;
    reini_text_loss *l = &g->loss;
    int64_t row = 0;
    for (int i = batch.from; i < batch.from + batch.count; i++) {
        float weight = (float)weight_of(g, i, batch, U);
        const float *old = a->logp + (int64_t)i * a->max_new, *ref = a->ref + (int64_t)i * a->max_new;
        for (int t = 0; t < a->length[i]; t++, row++) {
            l->logp[row] = g->rollout.logp[row];
            l->old[row] = old[t];
            l->ref[row] = g->opts.beta > 0 ? ref[t] : 0;
            l->adv[row] = g->adv[i];
            l->weight[row] = weight;
        }
    }
    double loss = reini_text_loss_run(l, row);
    memcpy(g->slope, l->dlogp, (size_t)row * sizeof *g->slope);
    return loss;
}

/* The rows of the loss are answers. Differences are summed, not sums subtracted: the ratio keeps its digits. */
static double answer_loss(reini_group_policy *g, span batch, int64_t U) {
    const reini_text_answers *a = &g->rollout.now;
    reini_text_loss *l = &g->loss;
    int64_t row = 0;
    for (int k = 0; k < batch.count; k++) {
        int i = batch.from + k;
        const float *old = a->logp + (int64_t)i * a->max_new;
        double sum = 0;
        for (int t = 0; t < a->length[i]; t++, row++)
            sum += (double)g->rollout.logp[row] - (double)old[t];
        l->logp[k] = (float)sum;
        l->old[k] = 0;
        l->adv[k] = g->adv[i];
        l->weight[k] = counts(g, i) ? (float)(1 / (double)U) : 0;
    }
    double loss = reini_text_loss_run(l, batch.count);
    row = 0;
    for (int k = 0; k < batch.count; k++)
        for (int t = 0; t < a->length[batch.from + k]; t++)
            g->slope[row++] = l->dlogp[k];
    return loss;
}

/* ---- what an update did ------------------------------------------------------------------------------------ */

typedef struct clipped {
    double low, high, rows, low_least, high_most;
} clipped;

/* shares of clipped rows of one answer, rows [at, at + n) of the loss */
static void count_clipped(const reini_group_policy *g, int64_t at, int64_t n, clipped *c) {
    const reini_text_loss *l = &g->loss;
    bool cispo = g->opts.reduction == REINI_REDUCE_CISPO;
    double low = 0, high = 0;
    for (int64_t k = at; k < at + n; k++) {
        double ratio = (double)l->ratio[k], most = (cispo ? 0 : 1) + g->opts.epsilon_high;
        low += !cispo && ratio < 1 - g->opts.epsilon && l->adv[k] < 0;
        high += ratio > most && l->adv[k] > 0;
    }
    c->low += low;
    c->high += high;
    c->rows += (double)n;
    c->low_least = fmin(c->low_least, low / (double)n);
    c->high_most = fmax(c->high_most, high / (double)n);
}

static void note_batch(reini_group_policy *g, span batch) {
    const reini_text_answers *a = &g->rollout.now;
    const reini_text_rollout *r = &g->rollout;
    clipped c = {.low_least = INFINITY, .high_most = -INFINITY};
    int64_t row = 0, at = 0;
    for (int i = batch.from; i < batch.from + batch.count; i++) {
        int64_t n = g->opts.whole ? 1 : a->length[i];
        if (counts(g, i))
            count_clipped(g, at, n, &c);
        for (int t = 0; t < a->length[i] && counts(g, i); t++) {
            note(g, REINI_GROUP_ENTROPY, (double)r->entropy[row + t], 1);
            if (g->opts.beta > 0 && !g->opts.whole)
                note(g, REINI_GROUP_KL,
                     (g->opts.corrected ? (double)g->loss.ratio[at + t] : 1) *
                         reini_kl_estimate(REINI_KL_K3, (double)r->logp[row + t],
                                           (double)a->ref[(int64_t)i * a->max_new + t]),
                     1);
        }
        row += a->length[i];
        at += n;
    }
    if (c.rows == 0)
        return;
    note(g, REINI_GROUP_LOW_MEAN, c.low / c.rows, 1);
    note(g, REINI_GROUP_HIGH_MEAN, c.high / c.rows, 1);
    note(g, REINI_GROUP_REGION, (c.low + c.high) / c.rows, 1);
    note(g, REINI_GROUP_LOW_MIN, c.low_least, 1);
    note(g, REINI_GROUP_HIGH_MAX, c.high_most, 1);
}

/* ---- the update -------------------------------------------------------------------------------------------- */

static double batch_loss(reini_group_policy *g, span batch, int64_t U) {
    return g->opts.whole ? answer_loss(g, batch, U) : token_loss(g, batch, U);
}

/* old log-probabilities to those of the policy as it is, or back */
static void carry(reini_group_policy *g, span batch, bool to_old) {
    reini_text_answers *a = &g->rollout.now;
    int64_t row = 0;
    for (int i = batch.from; i < batch.from + batch.count; row += a->length[i], i++) {
        float *old = a->logp + (int64_t)i * a->max_new, *now = g->rollout.logp + row;
        memcpy(to_old ? old : now, to_old ? now : old, (size_t)a->length[i] * sizeof *old);
    }
}

/* Before the weights have changed ratios are 1, whatever the log-probabilities are: the gradient is known beforehand, and
 * scores and their gradient are one pass over the vocabulary. */
static double learn_fresh(reini_group_policy *g, span batch, int64_t U, const reini_lm_scores *scores) {
    carry(g, batch, false);
    batch_loss(g, batch, U);
    reini_lm_learner_backward_begin(&g->learner);
    reini_lm_score_linear(g->learner.lm, scores, g->slope);
    reini_lm_backward(g->learner.lm);
    carry(g, batch, true);
    return batch_loss(g, batch, U);
}

static double learn_again(reini_group_policy *g, span batch, int64_t U, const reini_lm_scores *scores) {
    reini_lm_score(g->learner.lm, scores);
    double loss = batch_loss(g, batch, U);
    reini_lm_learner_backward_begin(&g->learner);
    reini_lm_score_backward(g->learner.lm, scores, g->slope, NULL);
    reini_lm_backward(g->learner.lm);
    return loss;
}

static double learn_batch(reini_group_policy *g, span batch, int64_t U) {
    reini_text_rollout *r = &g->rollout;
    for (int k = 0; k < batch.count; k++)
        g->which[k] = batch.from + k;
    reini_text_rollout_pack(r, &r->now, g->which, batch.count);
    reini_lm_scores scores = reini_text_rollout_scores(r);
    reini_lm_learner_forward(&g->learner, r->batch, 0);
    double loss = g->fresh ? learn_fresh(g, batch, U, &scores) : learn_again(g, batch, U, &scores);
    note_batch(g, batch);
    return loss;
}

void reini_group_learn(reini_group_policy *g) {
    int64_t U = answers_of_update(g->settings), size = g->settings->per_device_train_batch_size;
    int64_t updates = g->rollout.now.n / U, from = g->state.used % updates * U, tokens = 0;
    double loss = 0, rate = reini_lm_course_rate(&g->course);
    reini_lm_learner_begin(&g->learner);
    for (int64_t at = from; at < from + U; at += size) {
        int64_t left = from + U - at;
        loss += learn_batch(g, (span){(int)at, (int)(left < size ? left : size)}, U);
        tokens += g->rollout.batch->tokens;
    }
    rein_optim_result result = reini_lm_learner_update(&g->learner, rate);
    g->fresh = false;
    reini_lm_course_made(&g->course, result, tokens);
    note(g, REINI_GROUP_LOSS, loss, 1);
    g->state.rate = rate;
    g->state.norm = result.grad_norm;
    g->state.used = (g->state.used + 1) % (updates * g->opts.iterations);
}

rein_status reini_group_step(void *self) {
    reini_group_policy *g = self;
    if (g->state.used == 0)
        REINI_TRY(reini_group_roll(g));
    reini_group_learn(g);
    return REIN_OK;
}

rein_status reini_group_evaluate(void *self, double *metric) {
    return reini_text_rollout_evaluate(&((reini_group_policy *)self)->rollout, metric);
}

void reini_group_report(void *self, double *metric) {
    reini_group_policy *g = self;
    reini_lm_progress p;
    reini_lm_course_progress(&g->course, &p);
    for (int i = 0; i < REINI_GROUP_N_METRICS; i++) {
        metric[i] = g->state.count[i] > 0 ? g->state.sum[i] / g->state.count[i] : NAN;
        g->state.sum[i] = g->state.count[i] = 0;
    }
    metric[REINI_GROUP_TOKENS] = (double)p.tokens;
    metric[REINI_GROUP_RATE] = g->state.rate;
    metric[REINI_GROUP_NORM] = g->state.norm;
    metric[REINI_GROUP_EPOCH] = p.epoch;
    metric[REINI_GROUP_STEP] = (double)p.step;
}
