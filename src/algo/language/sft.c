/*
 * sft.c - supervised fine-tuning: the model learns to write the texts it is shown.
 *
 * With p_t = pi(y_t | y_<t) for the scored tokens t of all rows of an update, N of them, minimise
 *
 *     nll:  - (1/N) sum_t log p_t
 *     dft:  - (1/N) sum_t sg(p_t) log p_t        sg: no gradient; Wu et al. 2025, arXiv 2508.05629: a token that the
 *                                                model finds unlikely pulls less
 *
 * by AdamW. Without a prompt every token is scored; with one the completion is, and in conversations, on request, what
 * the assistant wrote (data/lm_dataset.h). Starting from random weights it is language modelling from scratch.
 *
 * N counts the whole update, however many batches it is computed in: a mean of the batches' means, which was a
 * widespread mistake, would weigh tokens of short rows more.
 *
 * Where this differs from TRL:
 *   - rows are never padded: the documents of a batch lie one after another, each attending to itself alone. Packing
 *     (best-fit-decreasing into rows of max_length) therefore changes how many documents an update holds, not how they
 *     are computed.
 *   - the order of the rows comes from Rein's generator; with train_sampling_strategy=sequential updates take the rows
 *     as TRL's do.
 *   - entropy and accuracy are means over the tokens of all updates since the last row of metrics, not means of
 *     batches' means; eval_loss is the mean over the tokens of the evaluation data.
 */
#include <string.h>
#include "algo/language/lm_course.h"
#include "algo/language/lm_learner.h"
#include "algo/language/lm_source.h"
#include "data/lm_dataset.h"

#define SFT_OWN_FIELDS(F, E)                                                                                 \
    F(BOOL, packing, "false", 0, 1, "fill rows of max_length with whole documents, each kept apart")         \
    E(completion_only_loss, "auto", "auto|false|true",                                                       \
      "score the completion only; auto = where there is one")                                                \
    F(BOOL, assistant_only_loss, "false", 0, 1, "score only what the assistant wrote in conversations")      \
    E(loss_type, "nll", "nll|dft", "negative log-likelihood, or each token's weighed by its probability")
#define SFT_FIELDS(F, E) REINI_LM_FIELDS(F, E) SFT_OWN_FIELDS(F, E)

typedef struct sft_config {
    REIN_FIELDS_STRUCT(SFT_FIELDS)
} sft_config;

#define REIN_FIELD_OWNER sft_config
static const rein_field sft_fields[] = {REIN_FIELDS_TABLE(SFT_FIELDS)};

enum { LOSS_NLL, LOSS_DFT };
enum { PROBE_TOKENS = 64 };

/* metric, name of its column */
#define SFT_METRICS(X)                                                                                       \
    X(LOSS, "loss")                                                                                          \
    X(ACCURACY, "mean_token_accuracy")                                                                       \
    X(ENTROPY, "entropy")                                                                                    \
    X(TOKENS, "num_tokens")                                                                                  \
    X(RATE, "learning_rate")                                                                                 \
    X(NORM, "grad_norm")                                                                                     \
    X(EPOCH, "epoch")                                                                                        \
    X(STEP, "global_step")

typedef enum sft_metric {
#define X(id, name) METRIC_##id,
    SFT_METRICS(X)
#undef X
        N_METRICS
} sft_metric;

static const char *const sft_metrics[] = {
#define X(id, name) name,
    SFT_METRICS(X)
#undef X
};
static const char *const eval_metrics[] = {"eval_loss", "eval_mean_token_accuracy", "eval_entropy",
                                           "eval_num_tokens"};
enum { EVAL_LOSS, EVAL_ACCURACY, EVAL_ENTROPY, EVAL_TOKENS, N_EVAL };

/* sums over scored tokens */
typedef struct sums {
    double loss, correct, entropy, tokens;
} sums;

/* documents and how they are put into rows */
typedef struct part {
    reini_lm_dataset data;
    reini_rows rows;
} part;

typedef struct sft {
    const sft_config *config;
    const reini_lm_settings *settings; /* the config's beginning */
    part train, eval;                  /* eval.data.n = 0: none */
    reini_lm_learner learner;
    reini_lm_course course;
    reini_packed *batch, *probe;
    float *logp, *entropy, *weight; /* [tokens of a batch] */
    int32_t *best;
    uint8_t digest[32]; /* of the training data */
    struct {
        sums since; /* of the updates since the last row of metrics */
        double losses, updates;
        double rate, norm; /* of the last update */
    } report;              /* saved with the rest */
} sft;

/* ---- the loss -------------------------------------------------------------------------------------------- */

static reini_lm_scores scores_of(const sft *s) {
    return (reini_lm_scores){.n = s->batch->scored,
                             .row = s->batch->row,
                             .target = s->batch->target,
                             .temperature = 1,
                             .logp = s->logp,
                             .entropy = s->entropy,
                             .best = s->best};
}

static void add_up(const sft *s, sums *to) {
    bool dft = s->config->loss_type == LOSS_DFT;
    for (int i = 0; i < s->batch->scored; i++) {
        double logp = s->logp[i];
        to->loss -= dft ? exp(logp) * logp : logp;
        to->entropy += s->entropy[i];
        to->correct += s->best[i] == s->batch->target[i];
    }
    to->tokens += s->batch->scored;
}

/* forward and backward of the batch that is gathered, as a part of an update that scores N tokens */
static void learn_batch(sft *s, double N, uint64_t dropout, sums *to) {
    reini_lm *lm = s->learner.lm;
    reini_lm_scores scores = scores_of(s);
    reini_lm_learner_forward(&s->learner, s->batch, dropout);
    if (s->config->loss_type == LOSS_NLL) {
        for (int i = 0; i < scores.n; i++)
            s->weight[i] = (float)(-1 / N);
        reini_lm_learner_backward_begin(&s->learner);
        reini_lm_score_linear(lm, &scores, s->weight);
    } else {
        reini_lm_score(lm, &scores);
        for (int i = 0; i < scores.n; i++)
            s->weight[i] = (float)(-exp((double)s->logp[i]) / N);
        reini_lm_learner_backward_begin(&s->learner);
        reini_lm_score_backward(lm, &scores, s->weight, NULL);
    }
    reini_lm_backward(lm);
    add_up(s, to);
}

/* ---- the step -------------------------------------------------------------------------------------------- */

static void gather(sft *s, const part *from, const int32_t *order, reini_lm_span span) {
    const reini_lm_dataset *d = &from->data;
    reini_packed_clear(s->batch);
    for (int64_t i = span.from; i < span.from + span.count; i++) {
        int64_t row = order ? order[i] : i;
        for (int64_t k = from->rows.first[row]; k < from->rows.first[row + 1]; k++) {
            int64_t document = from->rows.document[k], at = d->start[document];
            reini_packed_add(s->batch, d->token + at, d->scored + at, d->length[document]);
        }
    }
}

static int64_t scored_in(const sft *s, reini_lm_span span) {
    const reini_lm_dataset *d = &s->train.data;
    const reini_rows *rows = &s->train.rows;
    int64_t n = 0;
    for (int64_t i = span.from; i < span.from + span.count; i++)
        for (int64_t k = rows->first[s->course.order[i]]; k < rows->first[s->course.order[i] + 1]; k++)
            for (int64_t t = d->start[rows->document[k]] + 1; t < d->start[rows->document[k] + 1]; t++)
                n += d->scored[t] != 0;
    return n;
}

static rein_status step(void *self) {
    sft *s = self;
    reini_lm_course *course = &s->course;
    reini_lm_span update = reini_lm_course_update(course), batch;
    double N = (double)scored_in(s, update), rate = reini_lm_course_rate(course);
    int64_t tokens = 0;
    sums now = {0};
    reini_lm_learner_begin(&s->learner);
    for (int64_t i = 0; (batch = reini_lm_course_batch(course, update, i)).count > 0; i++) {
        gather(s, &s->train, course->order, batch);
        learn_batch(s, N, reini_lm_course_key(course, i), &now);
        tokens += s->batch->tokens;
    }
    rein_optim_result result = reini_lm_learner_update(&s->learner, rate);
    reini_lm_course_made(course, result, tokens);
    s->report.since.correct += now.correct;
    s->report.since.entropy += now.entropy;
    s->report.since.tokens += now.tokens;
    s->report.losses += now.loss / N;
    s->report.updates++;
    s->report.rate = rate;
    s->report.norm = result.grad_norm;
    return REIN_OK;
}

static rein_status evaluate(void *self, double *metric) {
    sft *s = self;
    int64_t size = s->settings->per_device_eval_batch_size;
    sums all = {0};
    for (int64_t from = 0; from < s->eval.rows.n; from += size) {
        int64_t left = s->eval.rows.n - from;
        gather(s, &s->eval, NULL, (reini_lm_span){from, left < size ? left : size});
        reini_lm_scores scores = scores_of(s);
        reini_lm_learner_forward(&s->learner, s->batch, 0);
        reini_lm_score(s->learner.lm, &scores);
        add_up(s, &all);
    }
    metric[EVAL_LOSS] = all.loss / all.tokens;
    metric[EVAL_ACCURACY] = all.correct / all.tokens;
    metric[EVAL_ENTROPY] = all.entropy / all.tokens;
    metric[EVAL_TOKENS] = all.tokens;
    return REIN_OK;
}

static void report(void *self, double *metric) {
    sft *s = self;
    const sums *since = &s->report.since;
    reini_lm_progress p;
    reini_lm_course_progress(&s->course, &p);
    metric[METRIC_LOSS] = s->report.losses / s->report.updates;
    metric[METRIC_ACCURACY] = since->correct / since->tokens;
    metric[METRIC_ENTROPY] = since->entropy / since->tokens;
    metric[METRIC_TOKENS] = (double)p.tokens;
    metric[METRIC_RATE] = s->report.rate;
    metric[METRIC_NORM] = s->report.norm;
    metric[METRIC_EPOCH] = p.epoch;
    metric[METRIC_STEP] = (double)p.step;
    s->report.since = (sums){0};
    s->report.losses = s->report.updates = 0;
}

/* ---- setting up ------------------------------------------------------------------------------------------ */

static rein_status check(const void *config) {
    return reini_lm_source_check(config);
}

static rein_status read_data(sft *s, reini_lm_reader *reader, int max_length) {
    const sft_config *c = s->config;
    reini_lm_dataset_opts opts = {.max_length = max_length,
                                  .completion = c->completion_only_loss,
                                  .assistant_only = c->assistant_only_loss != 0,
                                  .skip_bad = c->skip_bad_rows != 0};
    REINI_TRY(reini_lm_dataset_read(&s->train.data, c->data, reader, &opts));
    reini_lm_dataset_log(&s->train.data, c->data, max_length);
    if (reini_lm_given(c->eval_data)) {
        REINI_TRY(reini_lm_dataset_read(&s->eval.data, c->eval_data, reader, &opts));
        reini_lm_dataset_log(&s->eval.data, c->eval_data, max_length);
    }
    if (c->validation_split > 0)
        REINI_TRY(reini_lm_dataset_split(&s->train.data, c->validation_split,
                                         reini_lm_seed((uint64_t)c->seed, "validation", 0), &s->eval.data));
    return reini_lm_dataset_digest(&s->train.data, s->digest);
}

static rein_status make_rows(part *p, bool packed, int max_length) {
    if (p->data.n == 0)
        return REIN_OK;
    return packed ? reini_rows_pack(p->data.length, p->data.n, max_length, &p->rows)
                  : reini_rows_plain(p->data.n, &p->rows);
}

static rein_status make_room(sft *s) {
    int64_t tokens, documents, eval_tokens = 0, eval_documents = 0;
    REINI_TRY(reini_rows_room(&s->train.rows, s->train.data.length, s->settings->per_device_train_batch_size,
                              &tokens, &documents));
    if (s->eval.data.n > 0)
        REINI_TRY(reini_rows_room(&s->eval.rows, s->eval.data.length, s->settings->per_device_eval_batch_size,
                                  &eval_tokens, &eval_documents));
    tokens = eval_tokens > tokens ? eval_tokens : tokens;
    documents = eval_documents > documents ? eval_documents : documents;
    REINI_TRY(reini_lm_learner_prepare(&s->learner, s->settings, tokens, documents));
    REINI_TRY(reini_packed_new((int)tokens, (int)documents, &s->batch));
    s->logp = REINI_NEW_ARRAY(float, (size_t)tokens);
    s->entropy = REINI_NEW_ARRAY(float, (size_t)tokens);
    s->weight = REINI_NEW_ARRAY(float, (size_t)tokens);
    s->best = REINI_NEW_ARRAY(int32_t, (size_t)tokens);
    if (!s->logp || !s->entropy || !s->weight || !s->best)
        return reini_fail_memory((size_t)tokens * 16, "a batch");
    return reini_lm_source_probe(s->train.data.token, s->train.data.length[0], &s->probe);
}

static rein_status set_up(void *self, const void *config, const reini_lm_context *context) {
    sft *s = self;
    s->config = config;
    s->settings = config;
    const reini_lm_settings *settings = s->settings;
    reini_lm_reader *reader = NULL;
    REINI_TRY(reini_lm_learner_open(&s->learner, settings, 0, context->pool));
    int max_length = reini_lm_source_length(settings, &s->learner.weights->shape);
    REINI_TRY(reini_lm_source_open(settings, &s->learner.weights->shape, &reader));
    rein_status status = read_data(s, reader, max_length);
    reini_lm_reader_free(reader);
    REINI_TRY(status);
    REINI_TRY(make_rows(&s->train, s->config->packing != 0, max_length));
    REINI_TRY(make_rows(&s->eval, s->config->packing != 0, max_length));
    REINI_TRY(reini_lm_course_init(&s->course, settings, s->train.rows.n));
    return make_room(s);
}

static void release(void *self) {
    sft *s = self;
    reini_lm_learner_release(&s->learner);
    reini_lm_course_release(&s->course);
    reini_rows_release(&s->train.rows);
    reini_rows_release(&s->eval.rows);
    reini_lm_dataset_release(&s->train.data);
    reini_lm_dataset_release(&s->eval.data);
    reini_packed_free(s->batch);
    reini_packed_free(s->probe);
    reini_free(s->logp);
    reini_free(s->entropy);
    reini_free(s->weight);
    reini_free(s->best);
}

/* ---- for the run ----------------------------------------------------------------------------------------- */

static void progress(const void *self, reini_lm_progress *out) {
    reini_lm_course_progress(&((const sft *)self)->course, out);
}

static bool can_evaluate(const void *self) {
    return ((const sft *)self)->eval.data.n > 0;
}

static int64_t epoch_steps(const void *self) {
    return ((const sft *)self)->course.epoch_steps;
}

static rein_status visit(void *self, reini_archive *ar) {
    sft *s = self;
    REINI_TRY(reini_lm_source_visit(s->digest, s->settings->data, "data", ar));
    REINI_TRY(reini_lm_course_visit(&s->course, ar));
    REINI_TRY(reini_archive_bytes(ar, "report", &s->report, sizeof s->report));
    return reini_lm_learner_visit(&s->learner, ar);
}

static rein_status save(void *self, const char *folder) {
    sft *s = self;
    return reini_lm_learner_save(&s->learner, s->settings, folder, s->probe);
}

static const char *folder(const void *self) {
    return ((const sft *)self)->learner.lora ? "adapter" : "model";
}

static int64_t save_bytes(const void *self) {
    return reini_lm_learner_save_bytes(&((const sft *)self)->learner);
}

static rein_status digest(const void *self, char out[65]) {
    return reini_lm_learner_digest(&((const sft *)self)->learner, out);
}

static const reini_language sft_language = {
    .fields = sft_fields,
    .n_fields = sizeof sft_fields / sizeof *sft_fields,
    .config_size = sizeof(sft_config),
    .metrics = sft_metrics,
    .n_metrics = N_METRICS,
    .eval_metrics = eval_metrics,
    .n_eval_metrics = N_EVAL,
    .key_metric = METRIC_LOSS,
    .best_metric = EVAL_LOSS,
    .check = check,
    .state_size = sizeof(sft),
    .set_up = set_up,
    .release = release,
    .progress = progress,
    .step = step,
    .report = report,
    .can_evaluate = can_evaluate,
    .epoch_steps = epoch_steps,
    .evaluate = evaluate,
    .visit = visit,
    .save = save,
    .folder = folder,
    .save_bytes = save_bytes,
    .digest = digest,
};

const reini_algo reini_algo_sft = {
    .name = "sft",
    .doc = "supervised fine-tuning of a language model, whole or by a low-rank adapter",
    .family = REINI_LANGUAGE,
    .language = &sft_language,
};
