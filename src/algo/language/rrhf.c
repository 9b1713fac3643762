/*
 * rrhf.c - rank responses to align with human feedback: the model's own likelihoods learn the order of the scores.
 *
 * Z. Yuan, H. Yuan, C. Tan, W. Wang, S. Huang, F. Huang: RRHF: Rank Responses to Align Language Models with Human
 * Feedback without tears, arXiv 2304.05302. A row has a query and answers y_1 ... y_k with scores r_1 ... r_k, from people,
 * a reward model or a check. With
 *
 *     p_i = (sum_t log pi(y_i,t | x, y_i,<t)) / |y_i|^a                                          (eq. 1, a = 1)
 *
 * minimise the mean over rows of
 *
 *     w sum over i, j with r_j > r_i of max(0, p_i - p_j)  -  (1/|y*|) log pi(y* | x)            (eq. 2 to 4)
 *
 * where y* is the answer with the highest score: worse answers shall not be likelier than better ones, and the best is
 * imitated. There is no reference, and no sampling during training: rows come with their answers and scores, or, with a
 * reward, they are prompts, to which the model writes num_generations answers each before its first update
 * (made_candidates.h).
 *
 * Symbols: a length_penalty, w rrhf_weight.
 *
 * Where this differs from the published code: its second term divides by the padded width of the batch, prompt included,
 * so that its scale depends on the other answers; here it is the mean over the answer's tokens.
 */
#include <math.h>
#include <string.h>
#define REINI_LM_SCHEDULE "cosine"
#define REINI_LM_WARMUP   "0.03"
#define REINI_LM_LENGTH   "192"
#define REINI_LM_BATCH    "1"
#include "algo/language/lm_source.h"
#include "algo/language/made_candidates.h"
#include "algo/language/preference_run.h"

#define RRHF_OWN_FIELDS(F, E)                                                                                \
    F(INT, num_generations, "4", 2, 1024, "answers to each prompt, where a reward scores them on the spot")  \
    F(INT, max_completion_length, "64", 1, 1048576, "tokens of such an answer, at most")                     \
    F(REAL, temperature, "1", 0.01, 100, "of drawing them")                                                  \
    F(REAL, rrhf_weight, "1", 0, 1e6, "w: weight of the ranking loss")                                       \
    F(REAL, length_penalty, "1", 0, 10, "a: log-likelihoods are divided by the length to this power")        \
    F(BOOL, disable_dropout, "true", 0, 1, "no dropout in the adapter")
#define RRHF_FIELDS(F, E) REINI_TEXT_FIELDS(F, E) RRHF_OWN_FIELDS(F, E)

typedef struct rrhf_config {
    REIN_FIELDS_STRUCT(RRHF_FIELDS)
} rrhf_config;

#define REIN_FIELD_OWNER rrhf_config
static const rein_field rrhf_fields[] = {REIN_FIELDS_TABLE(RRHF_FIELDS)};

/* metric, name of its column */
#define RRHF_OWN_METRICS(X)                                                                                  \
    X(LOSS, "loss")                                                                                          \
    X(ACCURACY, "rank_accuracy")                                                                             \
    X(RANK, "rank_loss")                                                                                     \
    X(SFT, "sft_loss")

enum {
#define X(id, name) METRIC_##id,
    RRHF_OWN_METRICS(X)
#undef X
        N_OWN
};

#define X(id, name) name,
static const char *const rrhf_metrics[] = {RRHF_OWN_METRICS(X) REINI_PREFERENCE_METRICS(X)};
#undef X
#define X(id, name) "eval_" name,
static const char *const eval_metrics[] = {RRHF_OWN_METRICS(X)};
#undef X

/* the loss of a batch: `orders` are pairs of answers to the same query, of which one is worse */
typedef struct rank_loss {
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    int orders, queries;
    int64_t room, queries_room;
    rein_tensor *worse, *better, *best, *share, *loss, *rank, *sft, *d_worse, *d_better, *d_best;
    double *p[2], *imitated; /* p of the worse and of the better one; mean log-probability of y* */
    int32_t *document[2], *chosen;
} rank_loss;

typedef struct rrhf {
    reini_preference_run run; /* first: the shared functions take it */
    const rrhf_config *config;
    const reini_lm_context *context; /* while it is set up */
    rank_loss loss;
} rrhf;

typedef struct sums {
    double rank, sft, right, orders;
} sums;

/* ---- the loss -------------------------------------------------------------------------------------------- */

static void declare(rank_loss *l, double weight) {
    l->orders = rein_extent(l->g, "orders", l->room);
    l->queries = rein_extent(l->g, "queries", l->queries_room);
    l->worse = rein_input(l->g, "worse", REIN_F32, l->orders, 1, (int[]){1});
    l->better = rein_input(l->g, "better", REIN_F32, l->orders, 1, (int[]){1});
    l->best = rein_input(l->g, "best", REIN_F32, l->queries, 1, (int[]){1});
    l->share = rein_uniform(l->g, "share", 1); /* 1 / queries of the update */
    rein_tensor *rank = rein_total(rein_relu(rein_sub(l->worse, l->better)));
    rein_tensor *sft = rein_neg(rein_total(l->best));
    l->loss = rein_output(rein_mul(rein_add(rein_scale(rank, weight), sft), l->share), "loss");
    l->rank = rein_output(rein_mul(rank, l->share), "rank");
    l->sft = rein_output(rein_mul(sft, l->share), "sft");
    l->d_worse = rein_output(rein_gradient_of(l->loss, l->worse), "d_worse");
    l->d_better = rein_output(rein_gradient_of(l->loss, l->better), "d_better");
    l->d_best = rein_output(rein_gradient_of(l->loss, l->best), "d_best");
}

static rein_status make_loss(rank_loss *l, double weight) {
    l->g = rein_graph_new(REIN_F64);
    if (!l->g)
        return reini_fail_memory(1024, "a ranking loss");
    declare(l, weight);
    REINI_TRY(rein_compile(l->g, NULL, &l->program));
    REINI_TRY(rein_exec_new(l->program, NULL, &l->exec));
    l->p[0] = REINI_NEW_ARRAY(double, (size_t)(2 * l->room + l->queries_room));
    l->document[0] = REINI_NEW_ARRAY(int32_t, (size_t)(2 * l->room + l->queries_room));
    if (!l->p[0] || !l->document[0])
        return reini_fail_memory((size_t)(2 * l->room + l->queries_room) * 12, "a ranking loss");
    l->p[1] = l->p[0] + l->room;
    l->imitated = l->p[1] + l->room;
    l->document[1] = l->document[0] + l->room;
    l->chosen = l->document[1] + l->room;
    rein_exec_bind(l->exec, l->worse, l->p[0], 0);
    rein_exec_bind(l->exec, l->better, l->p[1], 0);
    rein_exec_bind(l->exec, l->best, l->imitated, 0);
    return REIN_OK;
}

static int64_t orders_of(const reini_preference *data, int64_t group) {
    int64_t n = 0;
    for (int64_t i = data->first[group]; i < data->first[group + 1]; i++)
        for (int64_t j = data->first[group]; j < data->first[group + 1]; j++)
            n += data->score[j] > data->score[i];
    return n;
}

static int64_t most_orders(const reini_preference *data) {
    int64_t most = 0;
    for (int64_t g = 0; g < data->n; g++) {
        int64_t n = orders_of(data, g);
        most = n > most ? n : most;
    }
    return most;
}

/* |y|^a of a document of the batch */
static double length_of(const rrhf *s, int d) {
    return pow(reini_pair_batch_scored(&s->run.batch, d), s->config->length_penalty);
}

/* the answers of a query as the loss's rows; returns the orders so far */
static int64_t add_query(rrhf *s, const reini_preference *data, int query, int64_t n) {
    const reini_pair_batch *b = &s->run.batch;
    rank_loss *l = &s->loss;
    int best = b->first[query];
    for (int i = b->first[query]; i < b->first[query + 1]; i++) {
        if (data->score[b->document[i]] > data->score[b->document[best]])
            best = i;
        for (int j = b->first[query]; j < b->first[query + 1]; j++)
            if (data->score[b->document[j]] > data->score[b->document[i]]) {
                l->document[0][n] = i;
                l->document[1][n] = j;
                l->p[0][n] = b->sum[i] / length_of(s, i);
                l->p[1][n++] = b->sum[j] / length_of(s, j);
            }
    }
    l->chosen[query] = best;
    l->imitated[query] = b->sum[best] / reini_pair_batch_scored(b, best);
    return n;
}

/* the loss of the batch, as a part of an update or evaluation of `queries`, and its gradient with respect to sums */
static void run_loss(rrhf *s, const reini_preference *data, double queries, sums *to) {
    reini_pair_batch *b = &s->run.batch;
    rank_loss *l = &s->loss;
    int64_t n = 0;
    for (int q = 0; q < b->groups; q++)
        n = add_query(s, data, q, n);
    rein_exec_rows(l->exec, l->orders, n);
    rein_exec_rows(l->exec, l->queries, b->groups);
    rein_exec_set(l->exec, l->share, 1 / queries);
    rein_exec_run(l->exec);
    const double *gradient[2] = {rein_exec_data(l->exec, l->d_worse), rein_exec_data(l->exec, l->d_better)};
    const double *d_best = rein_exec_data(l->exec, l->d_best);
    for (int d = 0; d < b->packed->documents; d++)
        b->d_sum[d] = b->d_plain[d] = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < 2; k++)
            b->d_sum[l->document[k][i]] += gradient[k][i] / length_of(s, l->document[k][i]);
        to->right += l->p[0][i] < l->p[1][i];
    }
    for (int q = 0; q < b->groups; q++)
        b->d_sum[l->chosen[q]] += d_best[q] / reini_pair_batch_scored(b, l->chosen[q]);
    to->orders += (double)n;
    to->rank += rein_exec_scalar(l->exec, l->rank);
    to->sft += rein_exec_scalar(l->exec, l->sft);
}

/* ---- the step -------------------------------------------------------------------------------------------- */

static void means(const rrhf *s, const sums *from, double *metric) {
    metric[METRIC_LOSS] = s->config->rrhf_weight * from->rank + from->sft;
    metric[METRIC_ACCURACY] = from->right / from->orders;
    metric[METRIC_RANK] = from->rank;
    metric[METRIC_SFT] = from->sft;
}

static void forward(rrhf *s, uint64_t dropout) {
    reini_lm_learner_forward(&s->run.learner, s->run.batch.packed, dropout);
    reini_pair_batch_score(&s->run.batch, s->run.learner.lm);
}

static rein_status step(void *self) {
    rrhf *s = self;
    reini_preference_run *run = &s->run;
    reini_lm_span update = reini_preference_run_begin(run), span;
    double metric[N_OWN];
    int64_t seen = 0;
    sums now = {0};
    for (int64_t i = 0; (span = reini_lm_course_batch(&run->course, update, i)).count > 0; i++) {
        reini_pair_batch_gather(&run->batch, &run->train, run->course.order, span, REINI_ALL_ANSWERS);
        forward(s, reini_preference_run_key(run, i));
        run_loss(s, &run->train, (double)update.count, &now);
        reini_pair_batch_backward(&run->batch, &run->learner);
        seen += run->batch.packed->tokens;
    }
    means(s, &now, metric);
    reini_preference_run_finish(run, seen, metric, N_OWN);
    return REIN_OK;
}

static rein_status evaluate(void *self, double *metric) {
    rrhf *s = self;
    reini_preference_run *run = &s->run;
    int64_t size = run->settings->per_device_eval_batch_size, n = run->eval.n;
    sums all = {0};
    for (int64_t from = 0; from < n; from += size) {
        reini_lm_span span = {from, n - from < size ? n - from : size};
        reini_pair_batch_gather(&run->batch, &run->eval, NULL, span, REINI_ALL_ANSWERS);
        forward(s, 0);
        run_loss(s, &run->eval, (double)n, &all);
    }
    means(s, &all, metric);
    return REIN_OK;
}

static void report(void *self, double *metric) {
    reini_preference_run_report(&((rrhf *)self)->run, metric, N_OWN);
}

/* ---- setting up ------------------------------------------------------------------------------------------ */

static rein_status check(const void *config) {
    const rrhf_config *c = config;
    REINI_TRY(reini_lm_source_check(config));
    if (reini_lm_given(c->reward) && c->max_completion_length >= c->max_length)
        return reini_fail(
            REIN_USAGE,
            "max_completion_length: answers of %lld tokens leave no room for a prompt in max_length "
            "%lld",
            (long long)c->max_completion_length, (long long)c->max_length);
    return REIN_OK;
}

static rein_status make_candidates(void *self, reini_lm_reader *reader, const char *path, int max_length,
                                   const char *name, reini_preference *out) {
    rrhf *s = self;
    reini_making making = {.settings = (const reini_text_settings *)s->config,
                           .context = s->context,
                           .learner = &s->run.learner,
                           .samples = (int)s->config->num_generations,
                           .max_new = (int)s->config->max_completion_length,
                           .temperature = s->config->temperature};
    if (making.max_new >= max_length)
        return reini_fail(REIN_USAGE,
                          "max_completion_length: answers of %d tokens leave no room for a prompt in %d",
                          making.max_new, max_length);
    return reini_candidates_make(&making, reader, path, max_length, name, out);
}

static rein_status set_up(void *self, const void *config, const reini_lm_context *context) {
    rrhf *s = self;
    s->config = config;
    reini_preference_run *run = &s->run;
    reini_preference_opts opts = {.kinds = REINI_PREFER_CANDIDATES};
    s->context = context;
    run->make = reini_lm_given(s->config->reward) ? make_candidates : NULL;
    REINI_TRY(reini_preference_run_open(run, (const reini_lm_settings *)s->config, 0, context, &opts));
    REINI_TRY(reini_preference_run_prepare(run, 0));
    run->dropout = !s->config->disable_dropout;
    int64_t size = run->settings->per_device_train_batch_size,
            other = run->settings->per_device_eval_batch_size;
    int64_t train = most_orders(&run->train) * size, eval = most_orders(&run->eval) * other;
    s->loss.room = train > eval ? train : eval;
    s->loss.queries_room = size > other ? size : other;
    return make_loss(&s->loss, s->config->rrhf_weight);
}

static void release(void *self) {
    rrhf *s = self;
    reini_preference_run_release(&s->run);
    rein_exec_free(s->loss.exec);
    rein_program_free(s->loss.program);
    rein_graph_free(s->loss.g);
    reini_free(s->loss.p[0]);
    reini_free(s->loss.document[0]);
}

static const reini_language rrhf_language = {
    .fields = rrhf_fields,
    .n_fields = sizeof rrhf_fields / sizeof *rrhf_fields,
    .config_size = sizeof(rrhf_config),
    .metrics = rrhf_metrics,
    .n_metrics = N_OWN + REINI_COURSE_METRICS,
    .eval_metrics = eval_metrics,
    .n_eval_metrics = N_OWN,
    .key_metric = METRIC_LOSS,
    .best_metric = METRIC_LOSS,
    .check = check,
    .state_size = sizeof(rrhf),
    .set_up = set_up,
    .release = release,
    .step = step,
    .report = report,
    .evaluate = evaluate,
    .visit = reini_preference_run_visit,
    REINI_PREFERENCE_FUNCTIONS,
};

const reini_algo reini_algo_rrhf = {
    .name = "rrhf",
    .doc = "a language model learns the order of scored answers (RRHF)",
    .family = REINI_LANGUAGE,
    .language = &rrhf_language,
};
