/*
 * lm_course.c - epochs, updates and batches of rows.
 */
#include "algo/language/lm_course.h"
#include "algo/language/lm_learner.h"
#include "rl/shuffle.h"

/* so many updates in a row without a finite gradient: the weights themselves are beyond repair */
enum { GIVE_UP = 8 };

rein_status reini_lm_course_init(reini_lm_course *c, const reini_lm_settings *s, int64_t rows) {
    *c = (reini_lm_course){.settings = s, .rows = rows, .epoch = -1};
    if (rows > INT32_MAX)
        return reini_fail(REIN_UNSUPPORTED, "%lld rows are more than a run can order, expected at most %d",
                          (long long)rows, INT32_MAX);
    c->epoch_steps = reini_lm_epoch_steps(s, rows);
    c->total = reini_lm_total_steps(s, rows);
    c->order = REINI_NEW_ARRAY(int32_t, (size_t)rows);
    c->words = REINI_NEW_ARRAY(uint32_t, (size_t)(rows + 63) / 64 * 64);
    return c->order && c->words ? REIN_OK : reini_fail_memory((size_t)rows * 8, "the order of the rows");
}

void reini_lm_course_release(reini_lm_course *c) {
    reini_free(c->order);
    reini_free(c->words);
    *c = (reini_lm_course){0};
}

static void make_order(reini_lm_course *c, int64_t epoch) {
    if (c->epoch == epoch)
        return;
    c->epoch = epoch;
    if (c->settings->train_sampling_strategy == 0)
        reini_shuffle(c->order, c->words, c->rows, reini_lm_seed((uint64_t)c->settings->seed, "order", 0), 0,
                      (uint64_t)epoch);
    else
        for (int64_t i = 0; i < c->rows; i++)
            c->order[i] = (int32_t)i;
}

reini_lm_span reini_lm_course_update(reini_lm_course *c) {
    const reini_lm_settings *s = c->settings;
    int64_t each = s->per_device_train_batch_size * s->gradient_accumulation_steps;
    int64_t from = c->state.step % c->epoch_steps * each, left = c->rows - from;
    make_order(c, c->state.step / c->epoch_steps);
    return (reini_lm_span){from, left < each ? left : each};
}

reini_lm_span reini_lm_course_batch(const reini_lm_course *c, reini_lm_span update, int64_t i) {
    int64_t size = c->settings->per_device_train_batch_size, left = update.count - i * size;
    return (reini_lm_span){update.from + i * size, left <= 0 ? 0 : left < size ? left : size};
}

uint64_t reini_lm_course_key(const reini_lm_course *c, int64_t i) {
    const reini_lm_settings *s = c->settings;
    return reini_lm_seed((uint64_t)s->seed, "dropout",
                         (uint64_t)(c->state.step * s->gradient_accumulation_steps + i));
}

double reini_lm_course_rate(const reini_lm_course *c) {
    return reini_lm_rate(c->settings, c->state.step, c->total);
}

void reini_lm_course_made(reini_lm_course *c, rein_optim_result result, int64_t tokens) {
    c->state.step++;
    c->state.tokens += tokens;
    c->state.skipped += result.skipped != 0;
    c->state.in_a_row = result.skipped ? c->state.in_a_row + 1 : 0;
}

void reini_lm_course_progress(const reini_lm_course *c, reini_lm_progress *out) {
    *out = (reini_lm_progress){.step = c->state.step,
                               .total = c->total,
                               .epoch = (double)c->state.step / (double)c->epoch_steps,
                               .tokens = c->state.tokens,
                               .skipped_updates = c->state.skipped,
                               .diverged = c->state.in_a_row >= GIVE_UP};
}

rein_status reini_lm_course_visit(reini_lm_course *c, reini_archive *ar) {
    return reini_archive_bytes(ar, "course", &c->state, sizeof c->state);
}
