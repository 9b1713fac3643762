/*
 * preference_run.c - setting up, the reference's pass over the data, the update, saving.
 */
#include <math.h>
#include <string.h>
#include "algo/language/preference_run.h"
#include "algo/language/lm_source.h"
#include "algo/language/stored_pass.h"

/* ---- setting up ------------------------------------------------------------------------------------------ */

static rein_status read_rows(reini_preference_run *run, reini_lm_reader *reader,
                             const reini_preference_opts *opts, const char *path, const char *name,
                             reini_preference *out) {
    if (run->make)
        return run->make(run, reader, path, opts->max_length, name, out);
    REINI_TRY(reini_preference_read(out, path, reader, opts));
    reini_preference_log(out, path, opts->max_length);
    return REIN_OK;
}

static rein_status read_data(reini_preference_run *run, reini_lm_reader *reader,
                             const reini_preference_opts *opts) {
    const reini_lm_settings *s = run->settings;
    REINI_TRY(read_rows(run, reader, opts, s->data, "candidates", &run->train));
    if (reini_lm_given(s->eval_data))
        REINI_TRY(read_rows(run, reader, opts, s->eval_data, "candidates_eval", &run->eval));
    if (s->validation_split > 0)
        REINI_TRY(reini_preference_split(&run->train, s->validation_split,
                                         reini_lm_seed((uint64_t)s->seed, "validation", 0), &run->eval));
    return REIN_OK;
}

rein_status reini_preference_run_open(reini_preference_run *run, const reini_lm_settings *s, int labels,
                                      const reini_lm_context *context, reini_preference_opts *opts) {
    reini_lm_reader *reader = NULL;
    run->settings = s;
    run->dir = context->dir;
    opts->skip_bad = s->skip_bad_rows != 0;
    REINI_TRY(reini_lm_learner_open(&run->learner, s, labels, context->pool));
    opts->max_length = reini_lm_source_length(s, &run->learner.weights->shape);
    REINI_TRY(reini_lm_source_open(s, &run->learner.weights->shape, &reader));
    rein_status status = read_data(run, reader, opts);
    reini_lm_reader_free(reader);
    return status;
}

static void widen(reini_pair_room *room, const reini_pair_room *other) {
    room->tokens = other->tokens > room->tokens ? other->tokens : room->tokens;
    room->documents = other->documents > room->documents ? other->documents : room->documents;
    room->groups = other->groups > room->groups ? other->groups : room->groups;
    room->longest = other->longest > room->longest ? other->longest : room->longest;
}

static rein_status room_for(const reini_preference_run *run, int passes, reini_pair_room *room) {
    const reini_lm_settings *s = run->settings;
    for (int pass = passes ? 0 : REINI_ALL_ANSWERS; pass < (passes ? passes : 0); pass++) {
        reini_pair_room one;
        REINI_TRY(reini_pair_room_of(&run->train, s->per_device_train_batch_size, pass, &one));
        widen(room, &one);
        if (run->eval.n == 0)
            continue;
        REINI_TRY(reini_pair_room_of(&run->eval, s->per_device_eval_batch_size, pass, &one));
        widen(room, &one);
    }
    return REIN_OK;
}

rein_status reini_preference_run_prepare(reini_preference_run *run, int passes) {
    reini_pair_room room = {0};
    REINI_TRY(reini_preference_digest(&run->train, run->digest));
    REINI_TRY(reini_lm_course_init(&run->course, run->settings, run->train.n));
    REINI_TRY(room_for(run, passes, &room));
    if (room.tokens < REINI_PROBE_TOKENS)
        room.tokens = REINI_PROBE_TOKENS;
    REINI_TRY(reini_lm_learner_prepare(&run->learner, run->settings, room.tokens, room.documents));
    REINI_TRY(reini_pair_batch_new(&run->batch, &room));
    return reini_lm_source_probe(run->train.token, reini_preference_length(&run->train, 0), &run->probe);
}

void reini_preference_run_release(reini_preference_run *run) {
    reini_lm_learner_release(&run->learner);
    reini_lm_course_release(&run->course);
    reini_preference_release(&run->train);
    reini_preference_release(&run->eval);
    reini_pair_batch_release(&run->batch);
    reini_packed_free(run->probe);
    reini_free(run->reference[0]);
    reini_free(run->reference[1]);
}

/* ---- the reference --------------------------------------------------------------------------------------- */

static rein_status keep_sums(const reini_preference_run *run, const reini_preference *data,
                             double *reference) {
    const reini_pair_batch *b = &run->batch;
    for (int g = 0; g < b->groups; g++)
        for (int d = b->first[g]; d < b->first[g + 1]; d++) {
            reference[b->document[d]] = b->sum[d];
            if (!isfinite(b->sum[d]))
                return reini_fail(REIN_FORMAT,
                                  "the row of line %lld has a log-probability of %g under the model before "
                                  "training: its weights are not finite, or too large",
                                  (long long)data->line[b->group[g]], b->sum[d]);
        }
    return REIN_OK;
}

static rein_status pass_over(reini_preference_run *run, const reini_preference *data, int64_t size,
                             int passes, double *reference) {
    for (int64_t from = 0; from < data->n; from += size) {
        reini_lm_span span = {from, data->n - from < size ? data->n - from : size};
        for (int pass = passes ? 0 : REINI_ALL_ANSWERS; pass < (passes ? passes : 0); pass++) {
            reini_pair_batch_gather(&run->batch, data, NULL, span, pass);
            reini_lm_learner_forward(&run->learner, run->batch.packed, 0);
            reini_pair_batch_score(&run->batch, run->learner.lm);
            REINI_TRY(keep_sums(run, data, reference));
        }
    }
    return REIN_OK;
}

/* what decides the sums, beside the model */
static rein_status stored_path(const reini_preference_run *run, int passes, char path[REINI_STORED_PATH]) {
    struct {
        uint8_t digest[2][32];
        int64_t passes, batch[2];
        double tail;
    } more;
    memset(&more, 0, sizeof more); /* holes between members count too */
    memcpy(more.digest[0], run->digest, sizeof run->digest);
    if (run->eval.n > 0)
        REINI_TRY(reini_preference_digest(&run->eval, more.digest[1]));
    more.passes = passes;
    more.batch[0] = run->settings->per_device_train_batch_size;
    more.batch[1] = run->settings->per_device_eval_batch_size;
    more.tail = run->batch.tail;
    return reini_stored_path(path, run->dir, "reference", &run->learner, &more, sizeof more);
}

rein_status reini_preference_run_reference(reini_preference_run *run, int passes) {
    const reini_preference *data[2] = {&run->train, &run->eval};
    int64_t size[2] = {run->settings->per_device_train_batch_size, run->settings->per_device_eval_batch_size};
    int64_t n[2] = {0};
    int sets = run->eval.n > 0 ? 2 : 1;
    char path[REINI_STORED_PATH];
    bool found = false;
    for (int i = 0; i < sets; i++) {
        n[i] = data[i]->first[data[i]->n];
        run->reference[i] = REINI_NEW_ARRAY(double, (size_t)n[i]);
        if (!run->reference[i])
            return reini_fail_memory((size_t)n[i] * 8, "the reference's log-probabilities");
    }
    if (run->dir) {
        REINI_TRY(stored_path(run, passes, path));
        REINI_TRY(reini_stored_load(path, run->reference, n, sets, &found));
    }
    if (found) {
        reini_log(REIN_LOG_INFO, "the reference's log-probabilities are those of %s", path);
        return REIN_OK;
    }
    for (int i = 0; i < sets; i++)
        REINI_TRY(pass_over(run, data[i], size[i], passes, run->reference[i]));
    return run->dir ? reini_stored_save(path, run->reference, n, sets) : REIN_OK;
}

/* ---- an update ------------------------------------------------------------------------------------------- */

reini_lm_span reini_preference_run_begin(reini_preference_run *run) {
    reini_lm_learner_begin(&run->learner);
    return reini_lm_course_update(&run->course);
}

uint64_t reini_preference_run_key(const reini_preference_run *run, int64_t i) {
    return run->dropout ? reini_lm_course_key(&run->course, i) : 0;
}

void reini_preference_run_finish(reini_preference_run *run, int64_t tokens, const double *own, int n_own) {
    double rate = reini_lm_course_rate(&run->course);
    rein_optim_result result = reini_lm_learner_update(&run->learner, rate);
    reini_lm_course_made(&run->course, result, tokens);
    run->report.rate = rate;
    run->report.norm = result.grad_norm;
    for (int i = 0; i < n_own; i++)
        if (!isnan(own[i])) {
            run->report.sum[i] += own[i];
            run->report.count[i]++;
        }
}

void reini_preference_run_report(reini_preference_run *run, double *metric, int n_own) {
    enum { TOKENS, RATE, NORM, EPOCH, STEP };
    reini_lm_progress p;
    reini_lm_course_progress(&run->course, &p);
    for (int i = 0; i < n_own; i++) {
        metric[i] = run->report.sum[i] / run->report.count[i];
        run->report.sum[i] = run->report.count[i] = 0;
    }
    metric += n_own;
    metric[TOKENS] = (double)p.tokens;
    metric[RATE] = run->report.rate;
    metric[NORM] = run->report.norm;
    metric[EPOCH] = p.epoch;
    metric[STEP] = (double)p.step;
}

/* ---- for the run ----------------------------------------------------------------------------------------- */

void reini_preference_run_progress(const void *self, reini_lm_progress *out) {
    reini_lm_course_progress(&((const reini_preference_run *)self)->course, out);
}

bool reini_preference_run_can_evaluate(const void *self) {
    return ((const reini_preference_run *)self)->eval.n > 0;
}

int64_t reini_preference_run_epoch_steps(const void *self) {
    return ((const reini_preference_run *)self)->course.epoch_steps;
}

rein_status reini_preference_run_visit(void *self, reini_archive *ar) {
    reini_preference_run *run = self;
    REINI_TRY(reini_lm_source_visit(run->digest, run->settings->data, "data", ar));
    REINI_TRY(reini_lm_course_visit(&run->course, ar));
    REINI_TRY(reini_archive_bytes(ar, "report", &run->report, sizeof run->report));
    return reini_lm_learner_visit(&run->learner, ar);
}

rein_status reini_preference_run_save(void *self, const char *folder) {
    reini_preference_run *run = self;
    return reini_lm_learner_save(&run->learner, run->settings, folder, run->probe);
}

const char *reini_preference_run_folder(const void *self) {
    return ((const reini_preference_run *)self)->learner.lora ? "adapter" : "model";
}

int64_t reini_preference_run_save_bytes(const void *self) {
    return reini_lm_learner_save_bytes(&((const reini_preference_run *)self)->learner);
}

rein_status reini_preference_run_digest(const void *self, char out[65]) {
    return reini_lm_learner_digest(&((const reini_preference_run *)self)->learner, out);
}
