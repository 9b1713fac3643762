/*
 * ppo_text.c - PPO on a language model: reinforcement learning from a reward of whole answers (RLHF).
 *
 * N. Stiennon et al., arXiv 2009.01325; L. Ouyang et al., arXiv 2203.02155; with the details of S. Huang et al.,
 * arXiv 2403.17031. Writing a token is an action. With the score R of an answer of n tokens (less missing_eos_penalty
 * where it did not end by itself, limited to +-reward_clip) and the price on the distance from the reference,
 *
 *     r_t = - kl_coef KL_t + [t = n - 1] R        KL_t: k1 = log pi / pi_ref, or k3 = pi_ref / pi - 1 - log(pi_ref / pi)
 *
 * advantages by generalised advantage estimation with the critic's V_t of the text before token t, A_t and the returns
 * A_t + V_t; A_t to mean 0 and deviation 1 over the rollout. Then num_ppo_epochs passes over the answers in minibatches:
 *
 *     policy:  - mean_t min(r_t A_t, clip(r_t, 1 - eps, 1 + eps) A_t)
 *     critic:  vf_coef 1/2 mean_t max((V - ret)^2, (V_old + clip(V - V_old, +-eps_v) - ret)^2)
 *
 * kl_coef is fixed, or steered towards kl_target (Ziegler et al. 2019, arXiv 1909.08593, 2.2):
 *
 *     kl_coef *= 1 + clip(KL / target - 1, +-0.2) answers / horizon
 *
 * Policy, reference, reward and critic are four models. With an adapter the reference is the policy without it and no
 * memory of its own; the critic is a network of its own with a score head, from the reward model or the policy's folder,
 * or (value_head trunk) a head on the policy's hidden states. Then both losses are one, and its gradient passes through
 * the policy's network once: at the hidden row h_t the policy's part and dV_t w are added up (ppo_critic.h).
 *
 * Where this differs from TRL's PPO (while it had one):
 *   - the score is given with the answer's last token; TRL gives it one place behind where the answer was shorter than
 *     the limit, with one more value there.
 *   - policy and critic (or the critic's head) have an optimizer each, so each gradient is clipped by its own norm.
 *   - with temperatures other than 1 log-probabilities use logits / T; TRL divides by T + 1e-7.
 */
#include "algo/language/ppo_text.h"
#include <math.h>
#include <string.h>
#include "rl/advantage.h"
#include "rl/shuffle.h"

#define WHITEN_EPSILON 1e-8

int64_t reini_ppo_update_size(const reini_ppo_text *p) {
    return p->settings->per_device_train_batch_size * p->settings->gradient_accumulation_steps;
}

int64_t reini_ppo_epoch_updates(const reini_ppo_text *p) {
    return p->rollout.now.n / reini_ppo_update_size(p);
}

void reini_ppo_note(reini_ppo_text *p, reini_ppo_text_metric metric, double sum, double count) {
    p->state.sum[metric] += isfinite(sum) ? sum : 0;
    p->state.count[metric] += isfinite(sum) ? count : 0;
}

/* ---- what the critic says ---------------------------------------------------------------------------------- */

static void value_all(reini_ppo_text *p) {
    reini_text_answers *a = &p->rollout.now;
    for (int64_t from = 0, size = p->settings->per_device_train_batch_size; from < a->n; from += size) {
        int n = (int)(a->n - from < size ? a->n - from : size), row = 0;
        for (int k = 0; k < n; k++)
            p->order[k] = (int32_t)(from + k);
        reini_text_rollout_pack(&p->rollout, a, p->order, n);
        if (p->critic.kind == REINI_CRITIC_TRUNK)
            reini_lm_learner_forward(&p->learner, p->rollout.batch, 0);
        reini_ppo_critic_values(&p->critic, p->rollout.batch, p->value_loss.value);
        reini_lm_learner_take(&p->learner);
        for (int k = 0; k < n; row += a->length[from + k], k++)
            memcpy(p->value + (from + k) * a->max_new, p->value_loss.value + row,
                   (size_t)a->length[from + k] * sizeof *p->value);
    }
}

/* ---- rewards of tokens, advantages --------------------------------------------------------------------------- */

static double score_of(const reini_ppo_text *p, int i) {
    const reini_text_answers *a = &p->rollout.now;
    double score = isnan(a->reward[i]) ? 0 : a->reward[i];
    score -= a->finish[i] == REINI_FINISH_LENGTH ? p->opts.missing_eos : 0;
    return fmin(fmax(score, -p->opts.reward_clip), p->opts.reward_clip);
}

static void token_rewards(reini_ppo_text *p, int i, double *kl) {
    const reini_text_answers *a = &p->rollout.now;
    int64_t at = (int64_t)i * a->max_new;
    double price = 0, entropy = 0;
    *kl = 0;
    for (int t = 0; t < a->length[i]; t++) {
        double logp = (double)a->logp[at + t], ref = (double)a->ref[at + t];
        double each = p->state.kl_coef * reini_kl_estimate(p->opts.estimator, logp, ref);
        *kl += logp - ref;
        entropy -= logp;
        price -= each;
        p->all[at + t] = (float)-each;
    }
    p->all[at + a->length[i] - 1] += (float)score_of(p, i);
    reini_ppo_note(p, REINI_PPO_KL, *kl, 1);
    reini_ppo_note(p, REINI_PPO_ENTROPY, entropy, 1);
    reini_ppo_note(p, REINI_PPO_PRICE, price, 1);
    reini_ppo_note(p, REINI_PPO_SCORES, score_of(p, i), 1);
    reini_ppo_note(p, REINI_PPO_RLHF, score_of(p, i) + price, 1);
    reini_ppo_note(p, REINI_PPO_ENDED, a->finish[i] != REINI_FINISH_LENGTH, 1.0 / a->n);
    reini_ppo_note(p, REINI_PPO_LENGTH, a->length[i], 1);
}

/* x to deviation 1 over all tokens, and to mean 0 where the mean is not kept */
static void whiten(const reini_ppo_text *p, float *x, bool keep_mean) {
    const reini_text_answers *a = &p->rollout.now;
    double n = 0, sum = 0, square = 0;
    for (int i = 0; i < a->n; i++)
        for (int64_t t = (int64_t)i * a->max_new; t < (int64_t)i * a->max_new + a->length[i]; t++, n++)
            sum += (double)x[t];
    double mean = sum / n;
    for (int i = 0; i < a->n; i++)
        for (int64_t t = (int64_t)i * a->max_new; t < (int64_t)i * a->max_new + a->length[i]; t++)
            square += ((double)x[t] - mean) * ((double)x[t] - mean);
    double scale = 1 / sqrt((n > 1 ? square / (n - 1) : 0) + WHITEN_EPSILON);
    for (int i = 0; i < a->n; i++)
        for (int64_t t = (int64_t)i * a->max_new; t < (int64_t)i * a->max_new + a->length[i]; t++)
            x[t] = (float)(((double)x[t] - mean) * scale + (keep_mean ? mean : 0));
}

/* an answer is an episode that terminates with its last token */
static void estimate(reini_ppo_text *p, int i) {
    const reini_text_answers *a = &p->rollout.now;
    int64_t at = (int64_t)i * a->max_new;
    int n = a->length[i];
    memcpy(p->values, p->value + at, (size_t)n * sizeof *p->values);
    p->values[n] = 0;
    memset(p->done, 0, (size_t)n);
    p->done[n - 1] = 1;
    reini_gae(p->adv + at, p->ret + at, p->all + at, p->done, p->values, n, 1, (float)p->opts.gamma,
              (float)p->opts.lambda);
}

static void steer(reini_ppo_text *p, double kl) {
    double n = p->rollout.now.n;
    if (p->opts.kl_target > 0)
        p->state.kl_coef *= 1 + fmin(fmax(kl / p->opts.kl_target - 1, -0.2), 0.2) * n / p->opts.kl_horizon;
}

void reini_ppo_judge(reini_ppo_text *p) {
    int n = p->rollout.now.n;
    double total = 0, kl;
    value_all(p);
    reini_ppo_note(p, REINI_PPO_KL_COEF, p->state.kl_coef, 1);
    for (int i = 0; i < n; i++) {
        token_rewards(p, i, &kl);
        total += kl;
    }
    if (p->opts.whiten_rewards)
        whiten(p, p->all, true);
    for (int i = 0; i < n; i++)
        estimate(p, i);
    whiten(p, p->adv, false);
    steer(p, total / n);
    p->state.episodes += n;
}

/* ---- the update ---------------------------------------------------------------------------------------------- */

/* rows of both losses: the tokens of answers which[0 .. n) */
static int64_t fill_rows(reini_ppo_text *p, const int32_t *which, int n, double tokens) {
    const reini_text_answers *a = &p->rollout.now;
    int64_t row = 0;
    for (int k = 0; k < n; k++) {
        int64_t at = (int64_t)which[k] * a->max_new;
        for (int t = 0; t < a->length[which[k]]; t++, row++) {
            p->loss.logp[row] = p->rollout.logp[row];
            p->loss.old[row] = a->logp[at + t];
            p->loss.adv[row] = p->adv[at + t];
            p->loss.weight[row] = (float)(1 / tokens);
            p->value_loss.old[row] = p->value[at + t];
            p->value_loss.ret[row] = p->ret[at + t];
            p->value_loss.weight[row] = (float)(p->opts.value_weight / tokens);
        }
    }
    return row;
}

static void note_rows(reini_ppo_text *p, int64_t rows) {
    const reini_text_loss *l = &p->loss;
    const reini_text_value_loss *v = &p->value_loss;
    for (int64_t i = 0; i < rows; i++) {
        double ratio = (double)l->ratio[i], d = (double)l->logp[i] - (double)l->old[i], A = (double)l->adv[i];
        double moved =
            fmin(fmax((double)v->value[i] - (double)v->old[i], -p->opts.value_clip), p->opts.value_clip);
        double far = (double)v->value[i] - (double)v->ret[i],
               near = (double)v->old[i] + moved - (double)v->ret[i];
        bool clipped = -A * fmin(fmax(ratio, 1 - p->opts.clip), 1 + p->opts.clip) > -A * ratio;
        reini_ppo_note(p, REINI_PPO_APPROX_KL, 0.5 * d * d, 1);
        reini_ppo_note(p, REINI_PPO_CLIPPED, clipped, 1);
        reini_ppo_note(p, REINI_PPO_VALUE_CLIPPED, near * near > far * far, 1);
        reini_ppo_note(p, REINI_PPO_RATIO, ratio, 1);
        reini_ppo_note(p, REINI_PPO_RATIO_VAR, (ratio - 1) * (ratio - 1), 1);
        reini_ppo_note(p, REINI_PPO_POLICY_ENTROPY, (double)p->rollout.entropy[i], 1);
    }
}

/* the critic's loss and its gradient */
static double learn_values(reini_ppo_text *p, int64_t rows) {
    reini_ppo_critic_values(&p->critic, p->rollout.batch, p->value_loss.value);
    double loss = reini_text_value_loss_run(&p->value_loss, rows);
    reini_ppo_critic_backward(&p->critic, p->rollout.batch, p->value_loss.dvalue);
    return loss;
}

/* Both losses' gradients; returns the critic's loss. Those of a head on the policy's network meet the policy's at the hidden
 * rows; a critic of its own comes after the policy, and may go through the same network. */
static double backward(reini_ppo_text *p, const reini_lm_scores *scores, int64_t rows) {
    double loss = 0;
    bool trunk = p->critic.kind == REINI_CRITIC_TRUNK;
    reini_lm_learner_backward_begin(&p->learner);
    reini_lm_score_backward(p->learner.lm, scores, p->loss.dlogp, NULL);
    if (trunk)
        loss = learn_values(p, rows);
    reini_lm_backward(p->learner.lm);
    if (!trunk)
        loss = learn_values(p, rows);
    reini_lm_learner_take(&p->learner);
    return loss;
}

static void learn_batch(reini_ppo_text *p, const int32_t *which, int n, double tokens, double loss[2]) {
    reini_text_rollout *r = &p->rollout;
    reini_text_rollout_pack(r, &r->now, which, n);
    reini_lm_scores scores = reini_text_rollout_scores(r);
    reini_lm_learner_forward(&p->learner, r->batch, 0);
    reini_lm_score(p->learner.lm, &scores);
    int64_t rows = fill_rows(p, which, n, tokens);
    loss[0] += reini_text_loss_run(&p->loss, rows);
    loss[1] += backward(p, &scores, rows);
    note_rows(p, rows);
}

static void make_order(reini_ppo_text *p) {
    uint64_t pass =
        (uint64_t)(p->rollout.state.rollouts * p->opts.epochs + p->state.used / reini_ppo_epoch_updates(p));
    if (p->settings->train_sampling_strategy == 0)
        reini_shuffle(p->order, p->words, p->rollout.now.n,
                      reini_lm_seed((uint64_t)p->settings->seed, "minibatches", 0), 0, pass);
    else
        for (int i = 0; i < p->rollout.now.n; i++)
            p->order[i] = i;
}

void reini_ppo_learn(reini_ppo_text *p) {
    int64_t U = reini_ppo_update_size(p), size = p->settings->per_device_train_batch_size, tokens = 0;
    int64_t from = p->state.used % reini_ppo_epoch_updates(p) * U;
    double rate = reini_lm_course_rate(&p->course), loss[2] = {0}, answers = 0;
    make_order(p);
    for (int64_t i = from; i < from + U; i++)
        answers += p->rollout.now.length[p->order[i]];
    reini_lm_learner_begin(&p->learner);
    reini_ppo_critic_begin(&p->critic);
    for (int64_t at = from; at < from + U; at += size) {
        int64_t left = from + U - at;
        learn_batch(p, p->order + at, (int)(left < size ? left : size), answers, loss);
        tokens += p->rollout.batch->tokens;
    }
    rein_optim_result result = reini_lm_learner_update(&p->learner, rate);
    rein_optim_result critic = reini_ppo_critic_update(&p->critic, rate);
    reini_lm_course_made(&p->course, result, tokens);
    reini_ppo_note(p, REINI_PPO_POLICY_LOSS, loss[0], 1);
    if (p->opts.value_weight > 0)
        reini_ppo_note(p, REINI_PPO_VALUE_LOSS, loss[1] / p->opts.value_weight, 1);
    p->state.rate = rate;
    p->state.norm = result.grad_norm;
    p->state.value_norm = critic.grad_norm;
    p->state.used = (p->state.used + 1) % (reini_ppo_epoch_updates(p) * p->opts.epochs);
}
