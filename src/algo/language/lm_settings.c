/*
 * lm_settings.c - numbers of steps and their sizes, by the conventions of Transformers:
 *
 *     updates of an epoch   ceil(ceil(rows / batch) / accumulation)        the last one may be smaller
 *     updates in all        max_steps, or ceil(epochs x updates of an epoch)
 *     rate of update k      rate x k / W                                   k < W, the warm-up
 *                           rate x (T - k) / (T - W)                       linear
 *                           rate x (1 + cos(pi (k - W) / (T - W))) / 2     cosine
 */
#include <string.h>
#include "algo/language/lm_settings.h"

bool reini_lm_given(const char *text) {
    return *text && strcmp(text, "none") != 0;
}

bool reini_lm_has_adapter(const reini_lm_settings *s) {
    return s->use_peft || reini_lm_given(s->adapter);
}

int64_t reini_lm_epoch_steps(const reini_lm_settings *s, int64_t rows) {
    int64_t batches = (rows + s->per_device_train_batch_size - 1) / s->per_device_train_batch_size;
    int64_t steps = (batches + s->gradient_accumulation_steps - 1) / s->gradient_accumulation_steps;
    return steps > 0 ? steps : 1;
}

int64_t reini_lm_total_steps(const reini_lm_settings *s, int64_t rows) {
    if (s->max_steps >= 0)
        return s->max_steps;
    return (int64_t)ceil(s->num_train_epochs * (double)reini_lm_epoch_steps(s, rows));
}

static int64_t warmup(const reini_lm_settings *s, int64_t total) {
    if (s->lr_scheduler_type == REINI_LR_CONSTANT)
        return 0;
    return s->warmup_steps > 0 ? s->warmup_steps : (int64_t)ceil((double)total * s->warmup_ratio);
}

double reini_lm_rate(const reini_lm_settings *s, int64_t k, int64_t total) {
    int64_t rising = warmup(s, total);
    double falling = (double)(total - rising > 1 ? total - rising : 1);
    if (k < rising)
        return s->learning_rate * (double)k / (double)rising;
    switch (s->lr_scheduler_type) {
    case REINI_LR_LINEAR:
        return s->learning_rate * fmax(0, (double)(total - k) / falling);
    case REINI_LR_COSINE:
        return s->learning_rate * 0.5 * (1 + cos(3.14159265358979323846 * (double)(k - rising) / falling));
    default:
        return s->learning_rate;
    }
}
