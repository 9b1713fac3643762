/*
 * pair_batch.c - packing groups, sums, and their gradient.
 */
#include <stdlib.h>
#include <string.h>
#include "algo/language/pair_batch.h"

/* ---- room ------------------------------------------------------------------------------------------------ */

static int descending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static int64_t sum_of_largest(int64_t *value, int64_t n, int64_t count) {
    int64_t sum = 0;
    qsort(value, (size_t)n, sizeof *value, descending);
    for (int64_t i = 0; i < n && i < count; i++)
        sum += value[i];
    return sum;
}

rein_status reini_pair_room_of(const reini_preference *data, int64_t count, int which,
                               reini_pair_room *room) {
    *room = (reini_pair_room){.groups = count < data->n ? count : data->n};
    int64_t *value = REINI_NEW_ARRAY(int64_t, (size_t)data->n);
    if (!value)
        return reini_fail_memory((size_t)data->n * sizeof *value, "the sizes of rows");
    for (int64_t g = 0; g < data->n; g++)
        for (int64_t d = data->first[g]; d < data->first[g + 1]; d++) {
            int length = reini_preference_length(data, d);
            if (which != REINI_ALL_ANSWERS && d != data->first[g] + which)
                continue;
            room->longest = length > room->longest ? length : room->longest;
            value[g] += length;
        }
    room->tokens = sum_of_largest(value, data->n, count);
    for (int64_t g = 0; g < data->n; g++)
        value[g] = which == REINI_ALL_ANSWERS ? data->first[g + 1] - data->first[g] : 1;
    room->documents = sum_of_largest(value, data->n, count);
    reini_free(value);
    return REIN_OK;
}

rein_status reini_pair_batch_new(reini_pair_batch *b, const reini_pair_room *room) {
    size_t tokens = (size_t)room->tokens, documents = (size_t)room->documents, groups = (size_t)room->groups;
    *b = (reini_pair_batch){.tail = 1};
    REINI_TRY(reini_packed_new((int)tokens, (int)documents, &b->packed));
    b->group = REINI_NEW_ARRAY(int64_t, groups);
    b->first = REINI_NEW_ARRAY(int32_t, groups + 1);
    b->document = REINI_NEW_ARRAY(int64_t, documents);
    b->mark = REINI_NEW_ARRAY(uint8_t, (size_t)room->longest);
    b->logp = REINI_NEW_ARRAY(float, 4 * tokens);
    b->best = REINI_NEW_ARRAY(int32_t, tokens);
    b->sum = REINI_NEW_ARRAY(double, 4 * documents);
    if (!b->group || !b->first || !b->document || !b->mark || !b->logp || !b->best || !b->sum)
        return reini_fail_memory(tokens * 20 + documents * 40, "a batch");
    b->entropy = b->logp + tokens;
    b->square = b->entropy + tokens;
    b->weight = b->square + tokens;
    b->plain = b->sum + documents;
    b->d_sum = b->plain + documents;
    b->d_plain = b->d_sum + documents;
    return REIN_OK;
}

void reini_pair_batch_release(reini_pair_batch *b) {
    reini_packed_free(b->packed);
    reini_free(b->group);
    reini_free(b->first);
    reini_free(b->document);
    reini_free(b->mark);
    reini_free(b->logp);
    reini_free(b->best);
    reini_free(b->sum);
    *b = (reini_pair_batch){0};
}

/* ---- documents ------------------------------------------------------------------------------------------- */

static void put(reini_pair_batch *b, const reini_preference *data, int64_t document) {
    int n = reini_preference_length(data, document);
    for (int i = 0; i < n; i++)
        b->mark[i] = i >= data->prompt[document];
    b->document[b->packed->documents] = document;
    reini_packed_add(b->packed, data->token + data->start[document], b->mark, n);
}

void reini_pair_batch_gather(reini_pair_batch *b, const reini_preference *data, const int32_t *order,
                             reini_lm_span span, int which) {
    reini_packed_clear(b->packed);
    b->groups = 0;
    for (int64_t i = span.from; i < span.from + span.count; i++) {
        int64_t group = order ? order[i] : i;
        b->first[b->groups] = b->packed->documents;
        b->group[b->groups++] = group;
        for (int64_t d = data->first[group]; d < data->first[group + 1]; d++)
            if (which == REINI_ALL_ANSWERS || d == data->first[group] + which)
                put(b, data, d);
    }
    b->first[b->groups] = b->packed->documents;
}

int reini_pair_batch_scored(const reini_pair_batch *b, int d) {
    return b->packed->first[d + 1] - b->packed->first[d];
}

/* tokens of an answer that the group's shortest one has as well */
static int shared_length(const reini_pair_batch *b, int group) {
    int least = reini_pair_batch_scored(b, b->first[group]);
    for (int d = b->first[group] + 1; d < b->first[group + 1]; d++)
        least = reini_pair_batch_scored(b, d) < least ? reini_pair_batch_scored(b, d) : least;
    return least;
}

/* ---- sums ------------------------------------------------------------------------------------------------ */

static reini_lm_scores scores_of(const reini_pair_batch *b) {
    return (reini_lm_scores){.n = b->packed->scored,
                             .row = b->packed->row,
                             .target = b->packed->target,
                             .temperature = 1,
                             .logp = b->logp,
                             .entropy = b->entropy,
                             .square = b->square,
                             .best = b->best};
}

static double sum_over(const float *x, int from, int to) {
    double sum = 0;
    for (int t = from; t < to; t++)
        sum += x[t];
    return sum;
}

void reini_pair_batch_score(reini_pair_batch *b, reini_lm *lm) {
    reini_lm_scores scores = scores_of(b);
    reini_lm_score(lm, &scores);
    for (int g = 0; g < b->groups; g++) {
        int shared = shared_length(b, g);
        for (int d = b->first[g]; d < b->first[g + 1]; d++) {
            int from = b->packed->first[d], to = b->packed->first[d + 1];
            double head = sum_over(b->logp, from, from + shared), rest = sum_over(b->logp, from + shared, to);
            b->plain[d] = head + rest;
            b->sum[d] = head + b->tail * rest;
        }
    }
}

void reini_pair_batch_backward(reini_pair_batch *b, reini_lm_learner *l) {
    reini_lm_scores scores = scores_of(b);
    for (int g = 0; g < b->groups; g++) {
        int shared = shared_length(b, g);
        for (int d = b->first[g]; d < b->first[g + 1]; d++)
            for (int t = b->packed->first[d]; t < b->packed->first[d + 1]; t++) {
                bool beyond = t - b->packed->first[d] >= shared;
                b->weight[t] = (float)(b->d_plain[d] + (beyond ? b->tail : 1) * b->d_sum[d]);
            }
    }
    reini_lm_learner_backward_begin(l);
    reini_lm_score_backward(l->lm, &scores, b->weight, NULL);
    reini_lm_backward(l->lm);
}
