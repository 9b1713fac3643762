/*
 * reward_training.c - a reward model: one number for prompt and answer, fitted to what people preferred.
 *
 * L. Ouyang et al.: Training language models to follow instructions with human feedback, arXiv 2203.02155, eq. 1, after
 * R. Bradley, M. Terry (1952): the probability that y+ is preferred to y- is s(r(x, y+) - r(x, y-)). The reward is
 *
 *     r(x, y) = w . h         h: the hidden state after the last norm at the last token of x y, w: the score head
 *
 * and with d = r(x, y+) - r(x, y-) - m, minimise the mean over pairs of
 *
 *     -log s(d) + c (r(x, y+) + r(x, y-))^2
 *
 * m is the row's margin, if any (Touvron et al. 2023, arXiv 2307.09288: how much better), and c keeps rewards around 0
 * (Eisenstein et al. 2023, arXiv 2312.09244). A row with K ranked answers stands for all of its pairs of different worth,
 * which share the row's weight: K answers are read once, and no row counts more than another.
 *
 * The last token is the last one of the row, by its length. Transformers looks for the last one that is not the pad
 * token, which is the one before where the pad token is the end-of-text token; Rein scores by position everywhere.
 *
 * Saved as a *ForSequenceClassification of one label; with an adapter the score head is trained beside it, in float, and
 * saved with it. A new head starts at zero, so the first loss is ln 2.
 *
 * Symbols: c center_rewards_coefficient.
 */
#include <math.h>
#include <string.h>
#define REINI_LM_RATE "1e-4"
#include "algo/language/lm_source.h"
#include "algo/language/preference_run.h"

#define REWARD_OWN_FIELDS(F, E)                                                                              \
    F(REAL, center_rewards_coefficient, "0", 0, 1e3, "c: pull of the rewards of a pair towards 0")           \
    F(BOOL, disable_dropout, "true", 0, 1, "no dropout in the adapter")
#define REWARD_FIELDS(F, E) REINI_LM_FIELDS(F, E) REWARD_OWN_FIELDS(F, E)

typedef struct reward_config {
    REIN_FIELDS_STRUCT(REWARD_FIELDS)
} reward_config;

#define REIN_FIELD_OWNER reward_config
static const rein_field reward_fields[] = {REIN_FIELDS_TABLE(REWARD_FIELDS)};

/* metric, name of its column */
#define REWARD_OWN_METRICS(X)                                                                                \
    X(LOSS, "loss")                                                                                          \
    X(ACCURACY, "accuracy")                                                                                  \
    X(MARGIN, "margin")                                                                                      \
    X(MIN, "min_reward")                                                                                     \
    X(MEAN, "mean_reward")                                                                                   \
    X(MAX, "max_reward")

enum {
#define X(id, name) METRIC_##id,
    REWARD_OWN_METRICS(X)
#undef X
        N_OWN
};

#define X(id, name) name,
static const char *const reward_metrics[] = {REWARD_OWN_METRICS(X) REINI_PREFERENCE_METRICS(X)};
#undef X
#define X(id, name) "eval_" name,
static const char *const eval_metrics[] = {REWARD_OWN_METRICS(X)};
#undef X

/* the loss over pairs: rows are pairs */
typedef struct pair_loss {
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    int rows;
    int64_t room;
    rein_tensor *chosen, *rejected, *margin, *weight, *loss, *gradient[2];
    double *reward[2], *by, *share; /* r+, r-, m, the pair's part of the mean */
    int32_t *document[2];           /* of the batch */
} pair_loss;

typedef struct reward_model {
    reini_preference_run run; /* first: the shared functions take it */
    const reward_config *config;
    pair_loss pairs;
    /* of the documents of a batch */
    int32_t *last; /* row of the last token */
    float *value, *d_value;
} reward_model;

typedef struct sums {
    double loss, correct, margin, mean, low, high, documents;
} sums;

/* ---- the loss -------------------------------------------------------------------------------------------- */

/* share (-log s(d) + c (r+ + r-)^2), summed over pairs */
static rein_tensor *bradley_terry(const pair_loss *p, double c) {
    rein_tensor *d = rein_sub(rein_sub(p->chosen, p->rejected), p->margin);
    rein_tensor *centre = rein_scale(rein_square(rein_add(p->chosen, p->rejected)), c);
    return rein_total(rein_mul(p->weight, rein_add(rein_softplus(rein_neg(d)), centre)));
}

static rein_tensor *input(pair_loss *p, const char *name) {
    return rein_input(p->g, name, REIN_F32, p->rows, 1, (int[]){1});
}

static rein_status make_loss(pair_loss *p, double c) {
    p->g = rein_graph_new(REIN_F64);
    if (!p->g)
        return reini_fail_memory(1024, "a loss over pairs");
    p->rows = rein_extent(p->g, "pairs", p->room);
    p->chosen = input(p, "chosen");
    p->rejected = input(p, "rejected");
    p->margin = input(p, "margin");
    p->weight = input(p, "share");
    p->loss = rein_output(bradley_terry(p, c), "loss");
    p->gradient[0] = rein_output(rein_gradient_of(p->loss, p->chosen), "d_chosen");
    p->gradient[1] = rein_output(rein_gradient_of(p->loss, p->rejected), "d_rejected");
    REINI_TRY(rein_compile(p->g, NULL, &p->program));
    REINI_TRY(rein_exec_new(p->program, NULL, &p->exec));
    p->reward[0] = REINI_NEW_ARRAY(double, 4 * (size_t)p->room);
    p->document[0] = REINI_NEW_ARRAY(int32_t, 2 * (size_t)p->room);
    if (!p->reward[0] || !p->document[0])
        return reini_fail_memory((size_t)p->room * 40, "a loss over pairs");
    p->reward[1] = p->reward[0] + p->room;
    p->by = p->reward[1] + p->room;
    p->share = p->by + p->room;
    p->document[1] = p->document[0] + p->room;
    rein_exec_bind(p->exec, p->chosen, p->reward[0], 0);
    rein_exec_bind(p->exec, p->rejected, p->reward[1], 0);
    rein_exec_bind(p->exec, p->margin, p->by, 0);
    rein_exec_bind(p->exec, p->weight, p->share, 0);
    return REIN_OK;
}

static int64_t pairs_of(const reini_preference *data, int64_t group) {
    int64_t n = 0;
    for (int64_t i = data->first[group]; i < data->first[group + 1]; i++)
        for (int64_t j = data->first[group]; j < data->first[group + 1]; j++)
            n += data->score[i] > data->score[j];
    return n;
}

static int64_t most_pairs(const reini_preference *data) {
    int64_t most = 0;
    for (int64_t g = 0; g < data->n; g++) {
        int64_t n = pairs_of(data, g);
        most = n > most ? n : most;
    }
    return most;
}

/* every pair of different worth of a group of the batch; returns the pairs so far */
static int64_t add_pairs(reward_model *s, const reini_preference *data, int group, double groups, int64_t n) {
    const reini_pair_batch *b = &s->run.batch;
    int64_t g = b->group[group];
    double share = 1 / (groups * (double)pairs_of(data, g));
    for (int i = b->first[group]; i < b->first[group + 1]; i++)
        for (int j = b->first[group]; j < b->first[group + 1]; j++)
            if (data->score[b->document[i]] > data->score[b->document[j]]) {
                s->pairs.document[0][n] = i;
                s->pairs.document[1][n] = j;
                s->pairs.reward[0][n] = s->value[i];
                s->pairs.reward[1][n] = s->value[j];
                s->pairs.by[n] = data->margin[g];
                s->pairs.share[n++] = share;
            }
    return n;
}

/* the loss of the batch, as a part of an update or evaluation of `groups` rows, and its gradient */
static void run_loss(reward_model *s, const reini_preference *data, double groups, sums *to) {
    const reini_pair_batch *b = &s->run.batch;
    pair_loss *p = &s->pairs;
    int64_t n = 0;
    for (int g = 0; g < b->groups; g++)
        n = add_pairs(s, data, g, groups, n);
    rein_exec_rows(p->exec, p->rows, n);
    rein_exec_run(p->exec);
    const double *gradient[2] = {rein_exec_data(p->exec, p->gradient[0]),
                                 rein_exec_data(p->exec, p->gradient[1])};
    for (int d = 0; d < b->packed->documents; d++)
        s->d_value[d] = 0;
    to->loss += rein_exec_scalar(p->exec, p->loss);
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < 2; k++)
            s->d_value[p->document[k][i]] += (float)gradient[k][i];
        to->correct += p->share[i] * (p->reward[0][i] > p->reward[1][i]);
        to->margin += p->share[i] * (p->reward[0][i] - p->reward[1][i]);
    }
    for (int d = 0; d < b->packed->documents; d++) {
        to->mean += s->value[d];
        to->low = to->documents == 0 ? s->value[d] : fmin(to->low, s->value[d]);
        to->high = to->documents++ == 0 ? s->value[d] : fmax(to->high, s->value[d]);
    }
}

/* ---- the network ----------------------------------------------------------------------------------------- */

static void forward(reward_model *s, uint64_t dropout) {
    const reini_packed *packed = s->run.batch.packed;
    for (int d = 0; d < packed->documents; d++)
        s->last[d] = packed->start[d + 1] - 1;
    reini_lm_learner_forward(&s->run.learner, packed, dropout);
    reini_lm_values(s->run.learner.lm, packed->documents, s->last, s->value);
}

/* beside an adapter the head's gradient is no part of the network's: d loss / d w = sum_d dr_d h_d */
static void head_backward(reward_model *s) {
    reini_lm_learner *l = &s->run.learner;
    int width = l->weights->shape.hidden;
    const float *hidden = reini_lm_hidden(l->lm);
    float *to = reini_lora_head(l->lora, l->gradient);
    for (int d = 0; d < s->run.batch.packed->documents; d++)
        for (int j = 0; j < width; j++)
            to[j] += s->d_value[d] * hidden[(int64_t)s->last[d] * width + j];
}

static void backward(reward_model *s) {
    reini_lm_learner *l = &s->run.learner;
    reini_lm_learner_backward_begin(l);
    if (l->lora)
        head_backward(s);
    reini_lm_values_backward(l->lm, s->run.batch.packed->documents, s->last, s->d_value);
    reini_lm_backward(l->lm);
}

/* ---- the step -------------------------------------------------------------------------------------------- */

static void means(const sums *from, double *metric) {
    metric[METRIC_LOSS] = from->loss;
    metric[METRIC_ACCURACY] = from->correct;
    metric[METRIC_MARGIN] = from->margin;
    metric[METRIC_MIN] = from->low;
    metric[METRIC_MEAN] = from->mean / from->documents;
    metric[METRIC_MAX] = from->high;
}

static rein_status step(void *self) {
    reward_model *s = self;
    reini_preference_run *run = &s->run;
    reini_lm_span update = reini_preference_run_begin(run), span;
    double metric[N_OWN];
    int64_t seen = 0;
    sums now = {0};
    for (int64_t i = 0; (span = reini_lm_course_batch(&run->course, update, i)).count > 0; i++) {
        reini_pair_batch_gather(&run->batch, &run->train, run->course.order, span, REINI_ALL_ANSWERS);
        forward(s, reini_preference_run_key(run, i));
        run_loss(s, &run->train, (double)update.count, &now);
        backward(s);
        seen += run->batch.packed->tokens;
    }
    means(&now, metric);
    reini_preference_run_finish(run, seen, metric, N_OWN);
    if (run->learner.lora)
        reini_lora_give_head(run->learner.lora, run->learner.weights);
    return REIN_OK;
}

static rein_status evaluate(void *self, double *metric) {
    reward_model *s = self;
    reini_preference_run *run = &s->run;
    int64_t size = run->settings->per_device_eval_batch_size, n = run->eval.n;
    sums all = {0};
    for (int64_t from = 0; from < n; from += size) {
        reini_lm_span span = {from, n - from < size ? n - from : size};
        reini_pair_batch_gather(&run->batch, &run->eval, NULL, span, REINI_ALL_ANSWERS);
        forward(s, 0);
        run_loss(s, &run->eval, (double)n, &all);
    }
    means(&all, metric);
    return REIN_OK;
}

static void report(void *self, double *metric) {
    reini_preference_run_report(&((reward_model *)self)->run, metric, N_OWN);
}

/* ---- setting up ------------------------------------------------------------------------------------------ */

static rein_status check(const void *config) {
    return reini_lm_source_check(config);
}

static rein_status make_room(reward_model *s) {
    const reini_lm_settings *settings = s->run.settings;
    int64_t train = most_pairs(&s->run.train) * settings->per_device_train_batch_size;
    int64_t eval = most_pairs(&s->run.eval) * settings->per_device_eval_batch_size;
    size_t documents = (size_t)s->run.batch.packed->documents_room;
    s->pairs.room = train > eval ? train : eval;
    REINI_TRY(make_loss(&s->pairs, s->config->center_rewards_coefficient));
    s->last = REINI_NEW_ARRAY(int32_t, documents);
    s->value = REINI_NEW_ARRAY(float, documents);
    s->d_value = REINI_NEW_ARRAY(float, documents);
    return s->last && s->value && s->d_value ? REIN_OK
                                             : reini_fail_memory(documents * 12, "a batch's rewards");
}

/* a saved classifier names a pad token: the one it has, or the end-of-text token */
static void settle_pad(reini_lm_shape *shape, const char *model) {
    if (shape->pad < 0 && shape->n_eos > 0)
        shape->pad = shape->eos[0];
    for (int i = 0; i < shape->n_eos; i++)
        if (shape->pad == shape->eos[i])
            reini_log(REIN_LOG_WARNING,
                      "%s: the pad token is the end-of-text token: Transformers will read the reward one "
                      "token before "
                      "the end, Rein reads it at the end; to use the model there, give its config.json a "
                      "pad_token_id "
                      "that no text holds",
                      model);
}

static rein_status set_up(void *self, const void *config, const reini_lm_context *context) {
    reward_model *s = self;
    s->config = config;
    reini_preference_run *run = &s->run;
    reini_preference_opts opts = {
        .kinds = REINI_PREFER_PAIRS | REINI_PREFER_CANDIDATES, .drop_long = true, .whole_text = true};
    REINI_TRY(reini_preference_run_open(run, (const reini_lm_settings *)s->config, 1, context, &opts));
    if (run->learner.weights->shape.labels != 1)
        return reini_fail(REIN_MISMATCH, "a reward model has one label, the score head of \"%s\" has %d",
                          run->settings->model, run->learner.weights->shape.labels);
    settle_pad(&run->learner.weights->shape, run->settings->model);
    REINI_TRY(reini_preference_run_prepare(run, 0));
    run->dropout = !s->config->disable_dropout;
    return make_room(s);
}

static void release(void *self) {
    reward_model *s = self;
    reini_preference_run_release(&s->run);
    rein_exec_free(s->pairs.exec);
    rein_program_free(s->pairs.program);
    rein_graph_free(s->pairs.g);
    reini_free(s->pairs.reward[0]);
    reini_free(s->pairs.document[0]);
    reini_free(s->last);
    reini_free(s->value);
    reini_free(s->d_value);
}

static rein_status visit(void *self, reini_archive *ar) {
    reini_lm_learner *l = &((reward_model *)self)->run.learner;
    REINI_TRY(reini_preference_run_visit(self, ar));
    if (reini_archive_loading(ar) && l->lora)
        reini_lora_give_head(l->lora, l->weights);
    return REIN_OK;
}

static const reini_language reward_language = {
    .fields = reward_fields,
    .n_fields = sizeof reward_fields / sizeof *reward_fields,
    .config_size = sizeof(reward_config),
    .metrics = reward_metrics,
    .n_metrics = N_OWN + REINI_COURSE_METRICS,
    .eval_metrics = eval_metrics,
    .n_eval_metrics = N_OWN,
    .key_metric = METRIC_LOSS,
    .best_metric = METRIC_LOSS,
    .check = check,
    .state_size = sizeof(reward_model),
    .set_up = set_up,
    .release = release,
    .step = step,
    .report = report,
    .evaluate = evaluate,
    .visit = visit,
    REINI_PREFERENCE_FUNCTIONS,
};

const reini_algo reini_algo_reward = {
    .name = "reward",
    .doc = "a reward model from preferences: a language model with a score head",
    .family = REINI_LANGUAGE,
    .language = &reward_language,
};
