/*
 * pair_metrics.c - sums over the tokens of answers.
 */
#include "algo/language/pair_metrics.h"

void reini_mean_head_row(const reini_lm_weights *w, float *mean) {
    reini_matrix head = reini_lm_matrix(w, w->shape.tied ? REINI_LM_EMBEDDING : REINI_LM_HEAD, -1);
    float *wide = mean + head.columns;
    for (int64_t j = 0; j < head.columns; j++)
        mean[j] = 0;
    for (int64_t v = 0; v < head.rows; v++) {
        const float *row = (const float *)head.at + v * head.stride;
        if (head.dtype != REIN_F32) {
            reini_widen(NULL, wide, (const uint16_t *)head.at + v * head.stride, head.columns);
            row = wide;
        }
        for (int64_t j = 0; j < head.columns; j++)
            mean[j] += row[j];
    }
    for (int64_t j = 0; j < head.columns; j++)
        mean[j] /= (float)head.rows;
}

static double product(const float *a, const float *b, int n) {
    double sum = 0;
    for (int j = 0; j < n; j++)
        sum += (double)a[j] * (double)b[j];
    return sum;
}

void reini_pair_token_sums(const reini_pair_batch *b, const reini_lm_learner *l, const float *mean_row, int d,
                           reini_token_sums *to) {
    const float *hidden = reini_lm_hidden(l->lm);
    int width = l->weights->shape.hidden;
    for (int t = b->packed->first[d]; t < b->packed->first[d + 1]; t++) {
        to->entropy += b->entropy[t];
        to->logits += product(hidden + (int64_t)b->packed->row[t] * width, mean_row, width);
        to->correct += b->best[t] == b->packed->target[t];
    }
    to->n += reini_pair_batch_scored(b, d);
}
