/*
 * preference.c - groups of answers in memory: adding, splitting, counting.
 */
#include <string.h>
#include <rein/rng.h>
#include "base/file.h"
#include "data/preference.h"

void reini_preference_release(reini_preference *data) {
    reini_free(data->first);
    reini_free(data->line);
    reini_free(data->margin);
    reini_free(data->start);
    reini_free(data->prompt);
    reini_free(data->score);
    reini_free(data->token);
    *data = (reini_preference){0};
}

int reini_preference_length(const reini_preference *d, int64_t document) {
    return (int)(d->start[document + 1] - d->start[document]);
}

/* ---- room ------------------------------------------------------------------------------------------------ */

static rein_status group_room(reini_preference *d) {
    size_t old = d->room, room = 2 * old + 64;
    const char *what = "preferences";
    if ((size_t)d->n + 2 <= old)
        return REIN_OK;
    REINI_TRY(reini_resize(&d->first, old, room, sizeof *d->first, what));
    REINI_TRY(reini_resize(&d->line, old, room, sizeof *d->line, what));
    REINI_TRY(reini_resize(&d->margin, old, room, sizeof *d->margin, what));
    d->room = room;
    return REIN_OK;
}

static rein_status document_room(reini_preference *d, int more) {
    size_t old = d->document_room, wanted = (size_t)d->first[d->n] + (size_t)more + 1, room = 2 * wanted + 64;
    const char *what = "the answers of preferences";
    if (wanted <= old)
        return REIN_OK;
    REINI_TRY(reini_resize(&d->start, old, room, sizeof *d->start, what));
    REINI_TRY(reini_resize(&d->prompt, old, room, sizeof *d->prompt, what));
    REINI_TRY(reini_resize(&d->score, old, room, sizeof *d->score, what));
    d->document_room = room;
    return REIN_OK;
}

static rein_status token_room(reini_preference *d, int64_t more) {
    size_t wanted = (size_t)(d->start[d->first[d->n]] + more);
    return reini_reserve(&d->token, &d->token_room, wanted, sizeof *d->token, "the tokens of preferences");
}

rein_status reini_preference_add(reini_preference *d, const reini_answers *a) {
    int64_t tokens = 0;
    for (int i = 0; i < a->n; i++)
        tokens += a->length[i];
    REINI_TRY(group_room(d));
    REINI_TRY(document_room(d, a->n));
    REINI_TRY(token_room(d, tokens));
    int64_t document = d->first[d->n];
    if (tokens > 0)
        memcpy(d->token + d->start[document], a->token, (size_t)tokens * sizeof *a->token);
    for (int i = 0; i < a->n; i++, document++) {
        d->prompt[document] = a->prompt[i];
        d->score[document] = a->score[i];
        d->start[document + 1] = d->start[document] + a->length[i];
    }
    d->line[d->n] = a->line;
    d->margin[d->n] = a->margin;
    d->first[++d->n] = document;
    d->count.tokens += tokens;
    return REIN_OK;
}

/* ---- splitting ------------------------------------------------------------------------------------------- */

/* group i of `from` at the end of `to` */
static rein_status give(reini_preference *to, const reini_preference *from, int64_t i) {
    int64_t first = from->first[i], n = from->first[i + 1] - first;
    int32_t *length = REINI_NEW_ARRAY(int32_t, (size_t)n);
    if (!length)
        return reini_fail_memory((size_t)n * sizeof *length, "preferences");
    for (int64_t k = 0; k < n; k++)
        length[k] = reini_preference_length(from, first + k);
    reini_answers answers = {.n = (int)n,
                             .length = length,
                             .prompt = from->prompt + first,
                             .token = from->token + from->start[first],
                             .score = from->score + first,
                             .margin = from->margin[i],
                             .line = from->line[i]};
    rein_status status = reini_preference_add(to, &answers);
    reini_free(length);
    return status;
}

/* selection sampling: group i goes with probability (still to go) / (still to decide), so that exactly k go */
static rein_status share_out(const reini_preference *from, int64_t k, uint64_t seed, reini_preference *train,
                             reini_preference *eval) {
    rein_rng rng = rein_rng_make(seed, 0);
    for (int64_t i = 0; i < from->n; i++) {
        bool goes = (int64_t)rein_rng_below(&rng, (uint32_t)(from->n - i)) < k - eval->n;
        REINI_TRY(give(goes ? eval : train, from, i));
    }
    return REIN_OK;
}

rein_status reini_preference_split(reini_preference *data, double share, uint64_t seed,
                                   reini_preference *eval) {
    reini_preference train = {.count = data->count};
    *eval = (reini_preference){0};
    if (data->n < 2 || data->n > UINT32_MAX)
        return reini_fail(REIN_USAGE, "validation_split: %lld row%s cannot be split", (long long)data->n,
                          data->n == 1 ? "" : "s");
    int64_t k = (int64_t)((double)data->n * share + 0.5);
    k = k < 1 ? 1 : k > data->n - 1 ? data->n - 1 : k;
    train.count.tokens = 0;
    rein_status status = share_out(data, k, seed, &train, eval);
    if (status != REIN_OK) {
        reini_preference_release(&train);
        return status;
    }
    eval->count.rows = eval->n;
    reini_preference_release(data);
    *data = train;
    return REIN_OK;
}

/* ---- what was read --------------------------------------------------------------------------------------- */

void reini_preference_log(const reini_preference *d, const char *path, int max_length) {
    const reini_preference_counts *c = &d->count;
    reini_log(REIN_LOG_INFO, "%s: %lld groups of answers, %lld answers, %lld tokens", path, (long long)d->n,
              (long long)d->first[d->n], (long long)c->tokens);
    if (c->truncated > 0)
        reini_log(REIN_LOG_WARNING, "%s: %lld answers were longer than %d tokens and lost their end", path,
                  (long long)c->truncated, max_length);
    if (c->dropped > 0)
        reini_log(REIN_LOG_WARNING, "%s: %lld of %lld rows were dropped, an answer is longer than %d tokens",
                  path, (long long)c->dropped, (long long)c->rows, max_length);
    if (c->bad > 0)
        reini_log(REIN_LOG_WARNING, "%s: %lld of %lld rows were bad and passed over", path, (long long)c->bad,
                  (long long)c->rows);
    if (c->apart > 0)
        reini_log(
            REIN_LOG_WARNING,
            "%s: in %lld of %lld rows the prompt's last tokens join with an answer's first, or the template "
            "renders the prompt in another way: answers begin where they part",
            path, (long long)c->apart, (long long)c->rows);
}

rein_status reini_preference_digest(const reini_preference *d, uint8_t digest[32]) {
    reini_sha256 *sha = reini_sha256_new();
    if (!sha)
        return reini_fail_memory(256, "a digest");
    size_t groups = (size_t)d->n, documents = (size_t)d->first[d->n];
    reini_sha256_add(sha, d->first, (groups + 1) * sizeof *d->first);
    reini_sha256_add(sha, d->margin, groups * sizeof *d->margin);
    reini_sha256_add(sha, d->start, (documents + 1) * sizeof *d->start);
    reini_sha256_add(sha, d->prompt, documents * sizeof *d->prompt);
    reini_sha256_add(sha, d->score, documents * sizeof *d->score);
    reini_sha256_add(sha, d->token, (size_t)d->start[documents] * sizeof *d->token);
    reini_sha256_finish(sha, digest);
    return REIN_OK;
}
