/*
 * rollout_log.c - rollouts.jsonl: every answer with its prompt, reward and distance from the reference.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>
#include "algo/language/rollout_parts.h"
#include "base/file.h"

rein_status reini_rollout_log_open(reini_text_rollout *r, const char *dir) {
    return dir ? reini_path_join(r->log_path, sizeof r->log_path, dir, "rollouts.jsonl") : REIN_OK;
}

rein_status reini_rollout_log_cut(reini_text_rollout *r) {
    if (!*r->log_path)
        return REIN_OK;
    r->log = r->log ? r->log : fopen(r->log_path, "ab");
    if (!r->log)
        return reini_fail(REIN_IO, "cannot write \"%s\": %s", r->log_path, strerror(errno));
    if (fflush(r->log) != 0 || ftruncate(fileno(r->log), (off_t)r->state.log_bytes) != 0)
        return reini_fail(REIN_IO, "cannot cut \"%s\" to %lld bytes: %s", r->log_path,
                          (long long)r->state.log_bytes, strerror(errno));
    return REIN_OK;
}

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *line_of(const reini_text_rollout *r, int i, double adv, int64_t step) {
    const reini_text_answers *a = &r->now;
    int kinds = reini_rewards_count(r->rewards);
    json_t *rewards = json_object();
    for (int k = 0; k < kinds; k++)
        json_object_set_new(rewards, reini_rewards_name(r->rewards, k),
                            number(a->each[(int64_t)i * kinds + k]));
    json_t *line = json_object();
    json_object_set_new(line, "step", json_integer(step));
    json_object_set_new(line, "line", json_integer(r->train.line[a->prompt[i]]));
    json_object_set_new(line, "prompt", json_string(r->train.text[a->prompt[i]]));
    json_object_set_new(line, "text", json_string(r->text.at + r->text_at[i]));
    json_object_set_new(line, "reward", number(a->reward[i]));
    json_object_set_new(line, "rewards", rewards);
    json_object_set_new(line, "advantage", number(adv));
    json_object_set_new(line, "kl", number(reini_text_answer_kl(r, a, i)));
    json_object_set_new(line, "tokens", json_integer(a->length[i]));
    json_object_set_new(line, "finish", json_string(reini_finish_name((reini_finish)a->finish[i])));
    return line;
}

rein_status reini_text_rollout_log(reini_text_rollout *r, const float *adv, int64_t step) {
    /* what a run that was killed wrote after its last checkpoint is written again */
    REINI_TRY(reini_rollout_log_cut(r));
    for (int i = 0; r->log && i < r->now.n; i++) {
        json_t *line = line_of(r, i, adv ? (double)adv[i] : NAN, step);
        char *text = line ? reini_json_text(line, false) : NULL;
        json_decref(line);
        if (!text)
            return reini_fail_memory(1024, r->log_path);
        size_t n = strlen(text);
        bool written = fwrite(text, 1, n, r->log) == n && fputc('\n', r->log) == '\n';
        reini_free(text);
        if (!written)
            return reini_fail(REIN_IO, "cannot write \"%s\": %s", r->log_path, strerror(errno));
        r->state.log_bytes += (int64_t)n + 1;
    }
    if (r->log && fflush(r->log) != 0)
        return reini_fail(REIN_IO, "cannot write \"%s\": %s", r->log_path, strerror(errno));
    return REIN_OK;
}
