/*
 * dpo.c - direct preference optimization: the model learns to prefer what people preferred, without a reward model.
 *
 * R. Rafailov, A. Sharma, E. Mitchell, S. Ermon, C. D. Manning, C. Finn: Direct Preference Optimization: Your Language
 * Model is Secretly a Reward Model, arXiv 2305.18290. The policy that maximises E[r] - beta KL(pi || pi_ref) is
 * pi_ref exp(r / beta) / Z, so a policy is itself a reward, r(x, y) = beta log(pi(y|x) / pi_ref(y|x)) + beta log Z(x),
 * and a Bradley-Terry model of the preferences can be fitted in it. For a pair (x, y+, y-), minimise (eq. 7)
 *
 *     -log s(beta (log(pi(y+|x) / pi_ref(y+|x)) - log(pi(y-|x) / pi_ref(y-|x))))
 *
 * or any of the losses in dpo_loss.h, averaged over the pairs of an update, by AdamW. At the first update pi = pi_ref and
 * this is ln 2. Chosen and rejected answers go through the network together.
 *
 * use_weighting (WPO, Zhou et al. 2024, arXiv 2406.11827) weighs a pair by w+ w-, with w the mean over an answer's tokens
 * of log p_t - log sum_v p_v^2, exponentiated: answers that the policy would write count more. No gradient flows there.
 * sync_ref_model (TR-DPO, Gorbatovski et al. 2024, arXiv 2404.09656) lets the reference follow: every K updates it
 * becomes m pi + (1 - m) pi_ref in its weights. It is then a second set of weights, and goes through each batch as well.
 *
 * Symbols: beta beta, eps label_smoothing, tau discopop_tau, K ref_model_sync_steps, m ref_model_mixup_alpha.
 *
 * Where this differs from TRL:
 *   - means are over the pairs of the update (and over chosen tokens, in the sft loss), however many batches it is
 *     computed in. The aot losses sort within a batch, as TRL's, and so do depend on it.
 *   - the reference's log-probabilities are computed once, before the first update (preference_run.h).
 *   - a row whose prompt fills max_length is refused by its line, or with skip_bad_rows named and passed over; TRL drops
 *     it silently.
 *   - answers that begin with different characters have no prompt in common; TRL's rule then looks at the last character.
 */
#include <math.h>
#include <string.h>
#include "algo/language/dpo_loss.h"
#define REINI_LM_RATE "1e-6"
#include "algo/language/lm_source.h"
#include "algo/language/pair_metrics.h"
#include "algo/language/preference_run.h"

#define DPO_OWN_FIELDS(F, E)                                                                                 \
    F(TEXT, loss_type, "sigmoid", 0, 0,                                                                      \
      "sigmoid, hinge, ipo, exo_pair, nca_pair, robust, bco_pair, sppo_hard, aot, aot_unpaired, apo_zero, "  \
      "apo_down, discopop, sft, sigmoid_norm, or several with commas between")                               \
    F(TEXT, loss_weights, "none", 0, 0, "weights of the losses of loss_type, none = all 1")                  \
    F(REAL, beta, "0.1", 1e-9, 1e6, "price of leaving the reference")                                        \
    F(REAL, label_smoothing, "0", 0, 0.499999, "eps: share of the preferences taken to be wrong")            \
    E(f_divergence_type, "reverse_kl", "reverse_kl|forward_kl|js_divergence|alpha_divergence",               \
      "what keeps the policy near the reference")                                                            \
    F(REAL, f_alpha_divergence_coef, "0.5", -100, 100, "alpha of alpha_divergence, 1 = reverse KL")          \
    F(REAL, ld_alpha, "1", 0, 1, "weight of the tokens beyond the shorter answer's length (LD-DPO)")         \
    F(REAL, discopop_tau, "0.05", 1e-9, 1e6, "tau: temperature of discopop's blend")                         \
    F(BOOL, use_weighting, "false", 0, 1, "pairs count by how likely the policy is to write them (WPO)")     \
    F(BOOL, disable_dropout, "true", 0, 1, "no dropout in the adapter")                                      \
    F(BOOL, sync_ref_model, "false", 0, 1, "the reference follows the policy (TR-DPO)")                      \
    F(REAL, ref_model_mixup_alpha, "0.6", 0, 1, "m: share of the policy in the reference that follows")      \
    F(INT, ref_model_sync_steps, "512", 1, 1e12, "K: updates after which the reference follows")
#define DPO_FIELDS(F, E) REINI_LM_FIELDS(F, E) DPO_OWN_FIELDS(F, E)

typedef struct dpo_config {
    REIN_FIELDS_STRUCT(DPO_FIELDS)
} dpo_config;

#define REIN_FIELD_OWNER dpo_config
static const rein_field dpo_fields[] = {REIN_FIELDS_TABLE(DPO_FIELDS)};

/* metric, name of its column */
#define DPO_OWN_METRICS(X)                                                                                   \
    X(LOSS, "loss")                                                                                          \
    X(ACCURACIES, "rewards/accuracies")                                                                      \
    X(MARGINS, "rewards/margins")                                                                            \
    X(REWARD_CHOSEN, "rewards/chosen")                                                                       \
    X(REWARD_REJECTED, "rewards/rejected")                                                                   \
    X(LOGPS_CHOSEN, "logps/chosen")                                                                          \
    X(LOGPS_REJECTED, "logps/rejected")                                                                      \
    X(LOGITS_CHOSEN, "logits/chosen")                                                                        \
    X(LOGITS_REJECTED, "logits/rejected")                                                                    \
    X(TOKEN_ACCURACY, "mean_token_accuracy")                                                                 \
    X(ENTROPY, "entropy")

enum {
#define X(id, name) METRIC_##id,
    DPO_OWN_METRICS(X)
#undef X
        N_OWN
};

#define X(id, name) name,
static const char *const dpo_metrics[] = {DPO_OWN_METRICS(X) REINI_PREFERENCE_METRICS(X)};
#undef X
#define X(id, name) "eval_" name,
static const char *const eval_metrics[] = {DPO_OWN_METRICS(X)};
#undef X

typedef struct dpo {
    reini_preference_run run; /* first: the shared functions take it */
    const dpo_config *config;
    reini_dpo_loss *loss;
    float *mean_row; /* [hidden] mean over the head's rows: the mean logit is its product; [hidden] scratch */
    struct {
        rein_store *store;
        uint16_t *narrow;
    } follower; /* the reference's weights or adapter, with sync_ref_model */
} dpo;

/* sums over the batches of an update */
typedef struct sums {
    double value[N_OWN], pairs;
    reini_token_sums tokens[2];
} sums;

/* ---- the loss of a batch --------------------------------------------------------------------------------- */

/* w: how likely the policy is to write this answer rather than others, of a document */
static double weight_of(const reini_pair_batch *b, int d) {
    double sum = 0;
    for (int t = b->packed->first[d]; t < b->packed->first[d + 1]; t++)
        sum += (double)b->logp[t] - log((double)b->square[t]);
    return exp(sum / fmax(1, reini_pair_batch_scored(b, d)));
}

/* the loss's inputs from the batch that was scored */
static void fill(dpo *s, const reini_preference *data, const double *reference) {
    const reini_pair_batch *b = &s->run.batch;
    reini_dpo_loss *l = s->loss;
    for (int i = 0; i < b->groups; i++) {
        int d = b->first[i];
        for (int k = 0; k < 2; k++) {
            int64_t document = b->document[d + k];
            l->policy[k][i] = b->sum[d + k];
            l->tokens[k][i] = reini_preference_length(data, document) - data->prompt[document];
            if (!s->config->sync_ref_model)
                l->reference[k][i] = reference[document];
        }
        l->chosen[i] = b->plain[d];
        l->weight[i] = s->config->use_weighting ? weight_of(b, d) * weight_of(b, d + 1) : 1;
    }
}

static void spread_gradient(dpo *s) {
    reini_pair_batch *b = &s->run.batch;
    for (int i = 0; i < b->groups; i++)
        for (int k = 0; k < 2; k++) {
            b->d_sum[b->first[i] + k] = s->loss->d_policy[k][i];
            b->d_plain[b->first[i] + k] = k == REINI_CHOSEN ? s->loss->d_chosen[i] : 0;
        }
}

/* ---- metrics --------------------------------------------------------------------------------------------- */

static void add_up(const dpo *s, sums *to) {
    const reini_pair_batch *b = &s->run.batch;
    const reini_dpo_loss *l = s->loss;
    to->value[METRIC_LOSS] += l->loss;
    to->pairs += b->groups;
    for (int i = 0; i < b->groups; i++) {
        double reward[2];
        for (int k = 0; k < 2; k++) {
            reward[k] = s->config->beta * (l->policy[k][i] - l->reference[k][i]);
            to->value[METRIC_REWARD_CHOSEN + k] += reward[k];
            to->value[METRIC_LOGPS_CHOSEN + k] += l->policy[k][i];
            reini_pair_token_sums(b, &s->run.learner, s->mean_row, b->first[i] + k, &to->tokens[k]);
        }
        to->value[METRIC_MARGINS] += reward[0] - reward[1];
        to->value[METRIC_ACCURACIES] += reward[0] > reward[1];
    }
}

/* the loss is a mean already */
static void means(const sums *from, double *metric) {
    const reini_token_sums *chosen = &from->tokens[0], *rejected = &from->tokens[1];
    for (int i = 0; i < N_OWN; i++)
        metric[i] = from->value[i] / (i == METRIC_LOSS ? 1 : from->pairs);
    metric[METRIC_LOGITS_CHOSEN] = chosen->logits / chosen->n;
    metric[METRIC_LOGITS_REJECTED] = rejected->logits / rejected->n;
    metric[METRIC_TOKEN_ACCURACY] = chosen->correct / chosen->n;
    metric[METRIC_ENTROPY] = (chosen->entropy + rejected->entropy) / (chosen->n + rejected->n);
}

/* ---- a reference that follows ---------------------------------------------------------------------------- */

/* the reference's numbers in the place of the policy's, or back */
static void change_places(dpo *s) {
    reini_lm_learner *l = &s->run.learner;
    rein_store **trained = l->lora ? &l->lora->store : &l->weights->store, *store = *trained;
    *trained = s->follower.store;
    s->follower.store = store;
    if (!l->lora && l->weights->narrow) {
        uint16_t *narrow = l->weights->narrow;
        l->weights->narrow = s->follower.narrow;
        s->follower.narrow = narrow;
    }
}

static void renew_narrow(dpo *s) {
    if (s->follower.narrow)
        reini_narrow(s->run.learner.pool, s->follower.narrow, rein_store_view(s->follower.store),
                     rein_store_size(s->follower.store));
}

static void ask_follower(dpo *s) {
    const reini_pair_batch *b = &s->run.batch;
    change_places(s);
    reini_lm_learner_forward(&s->run.learner, b->packed, 0);
    reini_pair_batch_score(&s->run.batch, s->run.learner.lm);
    change_places(s);
    for (int i = 0; i < b->groups; i++)
        for (int k = 0; k < 2; k++)
            s->loss->reference[k][i] = b->sum[b->first[i] + k];
}

static void follow(dpo *s) {
    if (!s->config->sync_ref_model || s->run.course.state.step % s->config->ref_model_sync_steps != 0)
        return;
    rein_store_blend(s->follower.store, reini_lm_learner_trained(&s->run.learner),
                     s->config->ref_model_mixup_alpha);
    renew_narrow(s);
}

static rein_status make_follower(dpo *s) {
    const reini_lm_learner *l = &s->run.learner;
    rein_store *trained = reini_lm_learner_trained(l);
    REINI_TRY(rein_store_new(rein_store_layout(trained), REIN_F32, &s->follower.store));
    rein_store_copy(s->follower.store, trained);
    if (l->lora || !l->weights->narrow)
        return REIN_OK;
    s->follower.narrow = REINI_NEW_ARRAY(uint16_t, (size_t)rein_store_size(trained));
    if (!s->follower.narrow)
        return reini_fail_memory((size_t)rein_store_size(trained) * 2, "the reference");
    renew_narrow(s);
    return REIN_OK;
}

/* ---- the step -------------------------------------------------------------------------------------------- */

static void forward(dpo *s, uint64_t dropout) {
    if (s->config->sync_ref_model)
        ask_follower(s);
    reini_lm_learner_forward(&s->run.learner, s->run.batch.packed, dropout);
    reini_pair_batch_score(&s->run.batch, s->run.learner.lm);
}

/* scored tokens of the chosen answers */
static double chosen_tokens(const reini_preference *data, const int32_t *order, reini_lm_span span) {
    double n = 0;
    for (int64_t i = span.from; i < span.from + span.count; i++) {
        int64_t d = data->first[order ? order[i] : i];
        n += reini_preference_length(data, d) - (data->prompt[d] > 1 ? data->prompt[d] : 1);
    }
    return n;
}

static rein_status step(void *self) {
    dpo *s = self;
    reini_preference_run *run = &s->run;
    reini_lm_span update = reini_preference_run_begin(run), span;
    double tokens = chosen_tokens(&run->train, run->course.order, update), metric[N_OWN];
    int64_t seen = 0;
    sums now = {0};
    reini_mean_head_row(s->run.learner.weights, s->mean_row);
    for (int64_t i = 0; (span = reini_lm_course_batch(&run->course, update, i)).count > 0; i++) {
        reini_pair_batch_gather(&run->batch, &run->train, run->course.order, span, REINI_ALL_ANSWERS);
        forward(s, reini_preference_run_key(run, i));
        fill(s, &run->train, run->reference[0]);
        reini_dpo_loss_run(s->loss, span.count, (double)update.count, tokens);
        spread_gradient(s);
        reini_pair_batch_backward(&run->batch, &run->learner);
        add_up(s, &now);
        seen += run->batch.packed->tokens;
    }
    means(&now, metric);
    reini_preference_run_finish(run, seen, metric, N_OWN);
    follow(s);
    return REIN_OK;
}

static rein_status evaluate(void *self, double *metric) {
    dpo *s = self;
    reini_preference_run *run = &s->run;
    int64_t size = run->settings->per_device_eval_batch_size, n = run->eval.n;
    double tokens = chosen_tokens(&run->eval, NULL, (reini_lm_span){0, n});
    sums all = {0};
    reini_mean_head_row(s->run.learner.weights, s->mean_row);
    for (int64_t from = 0; from < n; from += size) {
        reini_lm_span span = {from, n - from < size ? n - from : size};
        reini_pair_batch_gather(&run->batch, &run->eval, NULL, span, REINI_ALL_ANSWERS);
        forward(s, 0);
        fill(s, &run->eval, run->reference[1]);
        reini_dpo_loss_run(s->loss, span.count, (double)n, tokens);
        add_up(s, &all);
    }
    means(&all, metric);
    return REIN_OK;
}

static void report(void *self, double *metric) {
    reini_preference_run_report(&((dpo *)self)->run, metric, N_OWN);
}

/* ---- setting up ------------------------------------------------------------------------------------------ */

static rein_status loss_options(const dpo_config *c, reini_dpo_opts *o) {
    *o = (reini_dpo_opts){.beta = c->beta,
                          .label_smoothing = c->label_smoothing,
                          .discopop_tau = c->discopop_tau,
                          .f_divergence = c->f_divergence_type,
                          .f_alpha = c->f_alpha_divergence_coef};
    return reini_dpo_types(c->loss_type, c->loss_weights, o);
}

static rein_status check(const void *config) {
    const dpo_config *c = config;
    reini_dpo_opts o;
    REINI_TRY(reini_lm_source_check(config));
    REINI_TRY(loss_options(c, &o));
    if (reini_dpo_has(&o, REINI_DPO_EXO_PAIR) && c->label_smoothing <= 0)
        return reini_fail(REIN_USAGE,
                          "exo_pair needs a label_smoothing above 0: its loss has the logarithm of it");
    bool sorts = reini_dpo_has(&o, REINI_DPO_AOT) || reini_dpo_has(&o, REINI_DPO_AOT_UNPAIRED);
    if (c->use_weighting && (sorts || reini_dpo_has(&o, REINI_DPO_SFT)))
        return reini_fail(REIN_USAGE,
                          "use_weighting: the losses aot, aot_unpaired and sft are not sums over pairs, "
                          "so that a weight has nothing to belong to");
    return REIN_OK;
}

static rein_status set_up(void *self, const void *config, const reini_lm_context *context) {
    dpo *s = self;
    s->config = config;
    reini_preference_run *run = &s->run;
    reini_preference_opts opts = {.kinds = REINI_PREFER_PAIRS};
    reini_dpo_opts loss;
    REINI_TRY(loss_options(s->config, &loss));
    REINI_TRY(reini_preference_run_open(run, (const reini_lm_settings *)s->config, 0, context, &opts));
    REINI_TRY(reini_preference_run_prepare(run, 0));
    run->dropout = !s->config->disable_dropout;
    run->batch.tail = s->config->ld_alpha;
    int64_t most = run->settings->per_device_train_batch_size,
            other = run->settings->per_device_eval_batch_size;
    REINI_TRY(reini_dpo_loss_new(&loss, most > other ? most : other, &s->loss));
    s->mean_row = REINI_NEW_ARRAY(float, 2 * (size_t)run->learner.weights->shape.hidden);
    if (!s->mean_row)
        return reini_fail_memory((size_t)run->learner.weights->shape.hidden * 8, "a row of the head");
    return s->config->sync_ref_model ? make_follower(s) : reini_preference_run_reference(run, 0);
}

static void release(void *self) {
    dpo *s = self;
    reini_preference_run_release(&s->run);
    reini_dpo_loss_free(s->loss);
    rein_store_free(s->follower.store);
    reini_free(s->follower.narrow);
    reini_free(s->mean_row);
}

static rein_status visit(void *self, reini_archive *ar) {
    dpo *s = self;
    REINI_TRY(reini_preference_run_visit(self, ar));
    if (!s->follower.store)
        return REIN_OK;
    REINI_TRY(reini_archive_bytes(ar, "reference", rein_store_data(s->follower.store),
                                  (size_t)rein_store_size(s->follower.store) * sizeof(float)));
    renew_narrow(s);
    return REIN_OK;
}

static const reini_language dpo_language = {
    .fields = dpo_fields,
    .n_fields = sizeof dpo_fields / sizeof *dpo_fields,
    .config_size = sizeof(dpo_config),
    .metrics = dpo_metrics,
    .n_metrics = N_OWN + REINI_COURSE_METRICS,
    .eval_metrics = eval_metrics,
    .n_eval_metrics = N_OWN,
    .key_metric = METRIC_LOSS,
    .best_metric = METRIC_LOSS,
    .check = check,
    .state_size = sizeof(dpo),
    .set_up = set_up,
    .release = release,
    .step = step,
    .report = report,
    .evaluate = evaluate,
    .visit = visit,
    REINI_PREFERENCE_FUNCTIONS,
};

const reini_algo reini_algo_dpo = {
    .name = "dpo",
    .doc = "direct preference optimization of a language model, and its kin",
    .family = REINI_LANGUAGE,
    .language = &dpo_language,
};
