/*
 * kto.c - Kahneman-Tversky optimization: single answers that were found good or bad, no pairs.
 *
 * K. Ethayarajh, W. Xu, N. Muennighoff, D. Jurafsky, D. Kiela: KTO: Model Alignment as Prospect Theoretic Optimization,
 * arXiv 2402.01306. With a = log pi(y|x) - log pi_ref(y|x) and a point of reference z, minimise the mean over answers of
 *
 *     l+ (1 - s(beta (a - z)))        y was good                                                 (eq. 7, 8)
 *     l- (1 - s(beta (z - a)))        y was bad
 *
 * z estimates KL(pi || pi_ref) from answers put under other prompts: max(0, mean of a over them), and has no gradient. A
 * row's mismatched answer is that of the row before it, within blocks of a batch in the file's order, as in TRL. With
 * apo_zero_unpaired (D'Oosterlinck et al. 2024, arXiv 2408.06266) z is 0.
 *
 * Files of pairs are taken apart: the chosen answer is a good one, the rejected a bad one.
 *
 * Symbols: beta beta, l+ desirable_weight, l- undesirable_weight.
 *
 * Where this differs from TRL: z is the mean over the answers of the update, however many batches it is computed in, and
 * rows may be shuffled (train_sampling_strategy), as mismatched answers are settled beforehand.
 */
#include <math.h>
#include <string.h>
#define REINI_LM_RATE  "1e-6"
#define REINI_LM_ORDER "sequential"
#include "algo/language/lm_source.h"
#include "algo/language/pair_metrics.h"
#include "algo/language/preference_run.h"

#define KTO_OWN_FIELDS(F, E)                                                                                 \
    E(loss_type, "kto", "kto|apo_zero_unpaired", "with the point of reference z, or without")                \
    F(REAL, beta, "0.1", 1e-9, 1e6, "price of leaving the reference")                                        \
    F(REAL, desirable_weight, "1", 0, 1e6, "l+: weight of good answers")                                     \
    F(REAL, undesirable_weight, "1", 0, 1e6, "l-: weight of bad answers")                                    \
    F(BOOL, disable_dropout, "true", 0, 1, "no dropout in the adapter")
#define KTO_FIELDS(F, E) REINI_LM_FIELDS(F, E) KTO_OWN_FIELDS(F, E)

typedef struct kto_config {
    REIN_FIELDS_STRUCT(KTO_FIELDS)
} kto_config;

#define REIN_FIELD_OWNER kto_config
static const rein_field kto_fields[] = {REIN_FIELDS_TABLE(KTO_FIELDS)};

enum { LOSS_KTO, LOSS_APO };
enum { MATCHED, MISMATCHED, PASSES }; /* answers of a group */

/* metric, name of its column */
#define KTO_OWN_METRICS(X)                                                                                   \
    X(LOSS, "loss")                                                                                          \
    X(MARGINS, "rewards/margins")                                                                            \
    X(REWARD_CHOSEN, "rewards/chosen")                                                                       \
    X(REWARD_REJECTED, "rewards/rejected")                                                                   \
    X(KL, "kl")                                                                                              \
    X(LOGPS_CHOSEN, "logps/chosen")                                                                          \
    X(LOGPS_REJECTED, "logps/rejected")                                                                      \
    X(LOGITS_CHOSEN, "logits/chosen")                                                                        \
    X(LOGITS_REJECTED, "logits/rejected")                                                                    \
    X(ENTROPY, "entropy")

enum {
#define X(id, name) METRIC_##id,
    KTO_OWN_METRICS(X)
#undef X
        N_OWN
};

#define X(id, name) name,
static const char *const kto_metrics[] = {KTO_OWN_METRICS(X) REINI_PREFERENCE_METRICS(X)};
#undef X
#define X(id, name) "eval_" name,
static const char *const eval_metrics[] = {KTO_OWN_METRICS(X)};
#undef X

typedef struct kto {
    reini_preference_run run; /* first: the shared functions take it */
    const kto_config *config;
    float *mean_row; /* of the head, see pair_metrics.h */
    /* the loss: rows are answers */
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    int rows;
    rein_tensor *policy, *reference, *sign, *weight, *z, *share, *loss, *gradient;
    double *P, *R, *side, *price; /* log pi, log pi_ref, 1 or -1, l+ or l- */
} kto;

/* sums over answers, good ones and bad ones */
typedef struct sums {
    double loss, kl, reward[2], logps[2], answers[2];
    reini_token_sums tokens[2];
} sums;

/* ---- the loss -------------------------------------------------------------------------------------------- */

static void declare(kto *s, int64_t room) {
    s->rows = rein_extent(s->g, "answers", room);
    s->policy = rein_input(s->g, "policy", REIN_F32, s->rows, 1, (int[]){1});
    s->reference = rein_input(s->g, "reference", REIN_F32, s->rows, 1, (int[]){1});
    s->sign = rein_input(s->g, "sign", REIN_F32, s->rows, 1, (int[]){1});
    s->weight = rein_input(s->g, "weight", REIN_F32, s->rows, 1, (int[]){1});
    s->z = rein_uniform(s->g, "z", 0);
    s->share = rein_uniform(s->g, "share", 1); /* 1 / answers of the update */
    rein_tensor *a = rein_sub(s->policy, s->reference);
    rein_tensor *x = rein_scale(rein_mul(s->sign, rein_sub(a, s->z)), s->config->beta);
    rein_tensor *each = rein_mul(s->weight, rein_offset(rein_neg(rein_sigmoid(x)), 1));
    s->loss = rein_output(rein_mul(rein_total(each), s->share), "loss");
    s->gradient = rein_output(rein_gradient_of(s->loss, s->policy), "d_policy");
}

static rein_status make_loss(kto *s, int64_t room) {
    s->g = rein_graph_new(REIN_F64);
    s->P = REINI_NEW_ARRAY(double, 4 * (size_t)room);
    if (!s->g || !s->P)
        return reini_fail_memory((size_t)room * 32, "a loss over answers");
    declare(s, room);
    REINI_TRY(rein_compile(s->g, NULL, &s->program));
    REINI_TRY(rein_exec_new(s->program, NULL, &s->exec));
    s->R = s->P + room;
    s->side = s->R + room;
    s->price = s->side + room;
    rein_exec_bind(s->exec, s->policy, s->P, 0);
    rein_exec_bind(s->exec, s->reference, s->R, 0);
    rein_exec_bind(s->exec, s->sign, s->side, 0);
    rein_exec_bind(s->exec, s->weight, s->price, 0);
    return REIN_OK;
}

/* the loss of the batch, as a part of an update or evaluation of `answers`, and its gradient */
static void run_loss(kto *s, const reini_preference *data, const double *reference, double z, double answers,
                     sums *to) {
    reini_pair_batch *b = &s->run.batch;
    for (int d = 0; d < b->groups; d++) {
        int bad = data->score[b->document[d]] == 0;
        s->P[d] = b->sum[d];
        s->R[d] = reference[b->document[d]];
        s->side[d] = bad ? -1 : 1;
        s->price[d] = bad ? s->config->undesirable_weight : s->config->desirable_weight;
        to->reward[bad] += s->config->beta * (s->P[d] - s->R[d]);
        to->logps[bad] += s->P[d];
        to->answers[bad]++;
        reini_pair_token_sums(b, &s->run.learner, s->mean_row, d, &to->tokens[bad]);
    }
    rein_exec_rows(s->exec, s->rows, b->groups);
    rein_exec_set(s->exec, s->z, z);
    rein_exec_set(s->exec, s->share, 1 / answers);
    rein_exec_run(s->exec);
    const double *gradient = rein_exec_data(s->exec, s->gradient);
    for (int d = 0; d < b->groups; d++) {
        b->d_sum[d] = gradient[d];
        b->d_plain[d] = 0;
    }
    to->loss += rein_exec_scalar(s->exec, s->loss);
}

/* ---- the step -------------------------------------------------------------------------------------------- */

/* rows through the network: their own answers, or those of others */
static void forward(kto *s, const reini_preference *data, const int32_t *order, reini_lm_span span, int which,
                    uint64_t dropout) {
    reini_pair_batch_gather(&s->run.batch, data, order, span, which);
    reini_lm_learner_forward(&s->run.learner, s->run.batch.packed, dropout);
    reini_pair_batch_score(&s->run.batch, s->run.learner.lm);
}

/* the sum of a over the mismatched answers of some rows */
static double mismatched(kto *s, const reini_preference *data, const double *reference, const int32_t *order,
                         reini_lm_span span) {
    const reini_pair_batch *b = &s->run.batch;
    double sum = 0;
    forward(s, data, order, span, MISMATCHED, 0);
    for (int d = 0; d < b->groups; d++)
        sum += b->sum[d] - reference[b->document[d]];
    return sum;
}

static void means(const sums *from, double *metric) {
    double tokens = from->tokens[0].n + from->tokens[1].n;
    for (int k = 0; k < 2; k++) { /* NaN where there is none */
        metric[METRIC_REWARD_CHOSEN + k] = from->reward[k] / from->answers[k];
        metric[METRIC_LOGPS_CHOSEN + k] = from->logps[k] / from->answers[k];
        metric[METRIC_LOGITS_CHOSEN + k] = from->tokens[k].logits / from->tokens[k].n;
    }
    metric[METRIC_LOSS] = from->loss;
    metric[METRIC_MARGINS] = metric[METRIC_REWARD_CHOSEN] - metric[METRIC_REWARD_REJECTED];
    metric[METRIC_KL] = from->kl;
    metric[METRIC_ENTROPY] = (from->tokens[0].entropy + from->tokens[1].entropy) / tokens;
}

static rein_status step(void *self) {
    kto *s = self;
    reini_preference_run *run = &s->run;
    const int32_t *order;
    reini_lm_span update = reini_preference_run_begin(run), span;
    double metric[N_OWN], sum = 0;
    int64_t seen = 0;
    sums now = {0};
    order = run->course.order;
    reini_mean_head_row(run->learner.weights, s->mean_row);
    if (s->config->loss_type == LOSS_KTO)
        for (int64_t i = 0; (span = reini_lm_course_batch(&run->course, update, i)).count > 0; i++)
            sum += mismatched(s, &run->train, run->reference[0], order, span);
    now.kl = sum > 0 ? sum / (double)update.count : 0;
    for (int64_t i = 0; (span = reini_lm_course_batch(&run->course, update, i)).count > 0; i++) {
        forward(s, &run->train, order, span, MATCHED, reini_preference_run_key(run, i));
        run_loss(s, &run->train, run->reference[0], now.kl, (double)update.count, &now);
        reini_pair_batch_backward(&run->batch, &run->learner);
        seen += run->batch.packed->tokens;
    }
    means(&now, metric);
    reini_preference_run_finish(run, seen, metric, N_OWN);
    return REIN_OK;
}

static rein_status evaluate(void *self, double *metric) {
    kto *s = self;
    reini_preference_run *run = &s->run;
    int64_t size = run->settings->per_device_eval_batch_size, n = run->eval.n;
    double sum = 0;
    sums all = {0};
    reini_mean_head_row(run->learner.weights, s->mean_row);
    for (int64_t from = 0; s->config->loss_type == LOSS_KTO && from < n; from += size)
        sum += mismatched(s, &run->eval, run->reference[1], NULL,
                          (reini_lm_span){from, n - from < size ? n - from : size});
    all.kl = sum > 0 ? sum / (double)n : 0;
    for (int64_t from = 0; from < n; from += size) {
        forward(s, &run->eval, NULL, (reini_lm_span){from, n - from < size ? n - from : size}, MATCHED, 0);
        run_loss(s, &run->eval, run->reference[1], all.kl, (double)n, &all);
    }
    means(&all, metric);
    return REIN_OK;
}

static void report(void *self, double *metric) {
    reini_preference_run_report(&((kto *)self)->run, metric, N_OWN);
}

/* ---- mismatched answers ---------------------------------------------------------------------------------- */

/* row i with its own answer and that of row `other`, under i's prompt, cut to most tokens */
static rein_status add_both(reini_preference *to, const reini_preference *data, int64_t i, int64_t other,
                            int most, int32_t *token) {
    const int64_t *start = data->start;
    int32_t prompt = data->prompt[i], own = reini_preference_length(data, i);
    int32_t length = prompt + reini_preference_length(data, other) - data->prompt[other];
    length = length < most ? length : most;
    memcpy(token, data->token + start[i], (size_t)own * sizeof *token);
    memcpy(token + own, token, (size_t)prompt * sizeof *token);
    memcpy(token + own + prompt, data->token + start[other] + data->prompt[other],
           (size_t)(length - prompt) * sizeof *token);
    reini_answers both = {.n = PASSES,
                          .length = (int32_t[]){own, length},
                          .prompt = (int32_t[]){prompt, prompt},
                          .token = token,
                          .score = (double[]){data->score[i], data->score[i]},
                          .line = data->line[i]};
    return reini_preference_add(to, &both);
}

/* every row's mismatched answer is that of the row before it in its block of `size`, the first one's that of the last */
static rein_status mismatch(reini_preference *data, int64_t size, int most) {
    reini_preference both = {0};
    rein_status status = REIN_OK;
    if (data->n == 0)
        return REIN_OK;
    int32_t *token = REINI_NEW_ARRAY(int32_t, 2 * (size_t)most);
    if (!token)
        return reini_fail_memory((size_t)most * 8, "mismatched answers");
    for (int64_t i = 0; i < data->n && status == REIN_OK; i++) {
        int64_t block = i / size * size, end = block + size < data->n ? block + size : data->n;
        status = add_both(&both, data, i, i == block ? end - 1 : i - 1, most, token);
    }
    reini_free(token);
    both.count = data->count;
    reini_preference_release(data);
    *data = both;
    return status;
}

/* ---- setting up ------------------------------------------------------------------------------------------ */

/* l+ n+ / (l- n-) should be 1 to 4/3, TRL's rule: good answers count as much as bad ones, or a little more */
static void advise(const kto *s) {
    const reini_preference *data = &s->run.train;
    double good = 0, bad, ratio;
    for (int64_t g = 0; g < data->n; g++)
        good += data->score[data->first[g]] != 0;
    bad = (double)data->n - good;
    ratio = s->config->desirable_weight * good / (s->config->undesirable_weight * bad);
    if (ratio >= 0.995 && ratio <= 4.0 / 3 + 0.005)
        return;
    reini_log(REIN_LOG_WARNING,
              "%.0f good and %.0f bad answers: desirable_weight x good is %.3g times undesirable_weight x "
              "bad, better "
              "1 to 1.33 times",
              good, bad, ratio);
    if (good > 0 && bad > 0)
        reini_log(REIN_LOG_WARNING,
                  "that is a desirable_weight of %.3g to %.3g, or an undesirable_weight of %.3g to %.3g",
                  s->config->undesirable_weight * bad / good,
                  s->config->undesirable_weight * bad / good * 4 / 3,
                  s->config->desirable_weight * good / bad * 3 / 4, s->config->desirable_weight * good / bad);
}

static rein_status check(const void *config) {
    const kto_config *c = config;
    REINI_TRY(reini_lm_source_check(config));
    if (c->loss_type == LOSS_KTO && c->per_device_train_batch_size < 2)
        return reini_fail(REIN_USAGE,
                          "per_device_train_batch_size: kto needs at least 2, to put answers under "
                          "other prompts");
    return REIN_OK;
}

static rein_status set_up(void *self, const void *config, const reini_lm_context *context) {
    kto *s = self;
    s->config = config;
    reini_preference_run *run = &s->run;
    reini_preference_opts opts = {.kinds = REINI_PREFER_UNPAIRED};
    REINI_TRY(reini_preference_run_open(run, (const reini_lm_settings *)s->config, 0, context, &opts));
    int64_t size = run->settings->per_device_train_batch_size,
            other = run->settings->per_device_eval_batch_size;
    advise(s);
    REINI_TRY(mismatch(&run->train, size, opts.max_length));
    REINI_TRY(mismatch(&run->eval, other, opts.max_length));
    REINI_TRY(reini_preference_run_prepare(run, PASSES));
    run->dropout = !s->config->disable_dropout;
    REINI_TRY(make_loss(s, size > other ? size : other));
    s->mean_row = REINI_NEW_ARRAY(float, 2 * (size_t)run->learner.weights->shape.hidden);
    if (!s->mean_row)
        return reini_fail_memory((size_t)run->learner.weights->shape.hidden * 8, "a row of the head");
    return reini_preference_run_reference(run, PASSES);
}

static void release(void *self) {
    kto *s = self;
    reini_preference_run_release(&s->run);
    rein_exec_free(s->exec);
    rein_program_free(s->program);
    rein_graph_free(s->g);
    reini_free(s->P);
    reini_free(s->mean_row);
}

static const reini_language kto_language = {
    .fields = kto_fields,
    .n_fields = sizeof kto_fields / sizeof *kto_fields,
    .config_size = sizeof(kto_config),
    .metrics = kto_metrics,
    .n_metrics = N_OWN + REINI_COURSE_METRICS,
    .eval_metrics = eval_metrics,
    .n_eval_metrics = N_OWN,
    .key_metric = METRIC_LOSS,
    .best_metric = METRIC_LOSS,
    .check = check,
    .state_size = sizeof(kto),
    .set_up = set_up,
    .release = release,
    .step = step,
    .report = report,
    .evaluate = evaluate,
    .visit = reini_preference_run_visit,
    REINI_PREFERENCE_FUNCTIONS,
};

const reini_algo reini_algo_kto = {
    .name = "kto",
    .doc = "a language model learns from answers found good or bad (KTO)",
    .family = REINI_LANGUAGE,
    .language = &kto_language,
};
