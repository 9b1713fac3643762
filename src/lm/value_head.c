/*
 * value_head.c - V_i = sum_j w_j h_ij, d loss / d w_j = sum_i dV_i h_ij, d loss / d h_ij = dV_i w_j; sums over rows in
 * their order and in double, so that they have the same bits for any number of threads.
 */
#include "lm/value_head.h"
#include "lm/transformer_parts.h"

typedef struct head_job {
    reini_lm *lm;
    const float *hidden, *w, *dvalues;
    const int32_t *row;
    int n;
    int64_t width;
    float *to; /* values, or dw */
} head_job;

static void value_rows(void *user, int64_t first, int64_t rows, int worker) {
    const head_job *j = user;
    (void)worker;
    for (int64_t i = first; i < first + rows; i++) {
        const float *h = j->hidden + j->row[i] * j->width;
        double sum = 0;
        for (int64_t k = 0; k < j->width; k++)
            sum += (double)j->w[k] * (double)h[k];
        j->to[i] = (float)sum;
    }
}

void reini_value_head_forward(const reini_lm *lm, const float *w, int n, const int32_t *row, float *values) {
    head_job j = {.hidden = lm->hidden, .w = w, .row = row, .width = lm->shape.hidden, .to = values};
    REINI_ASSERT(lm->forward_done);
    reini_lm_each_rows(lm, n, REINI_ROW_TASK, value_rows, &j);
}

/* A piece of the columns, of all rows: several of them may be the same row of the network. */
static void back_columns(void *user, int64_t first, int64_t columns, int worker) {
    const head_job *j = user;
    (void)worker;
    for (int64_t k = first; k < first + columns; k++) {
        double sum = 0;
        for (int i = 0; i < j->n; i++) {
            int64_t at = j->row[i] * j->width + k;
            sum += (double)j->dvalues[i] * (double)j->hidden[at];
            j->lm->dhidden[at] += j->dvalues[i] * j->w[k];
        }
        j->to[k] += (float)sum;
    }
}

void reini_value_head_backward(reini_lm *lm, const float *w, int n, const int32_t *row, const float *dvalues,
                               float *dw) {
    head_job j = {.lm = lm,
                  .hidden = lm->hidden,
                  .w = w,
                  .dvalues = dvalues,
                  .row = row,
                  .n = n,
                  .width = lm->shape.hidden,
                  .to = dw};
    REINI_ASSERT(lm->backward_begun);
    reini_lm_each_rows(lm, lm->shape.hidden, REINI_ROW_TASK, back_columns, &j);
}
