/*
 * reward_command.c - a reward written in any language: a program that is started once and asked over and over
 * (line_process.h). For every answer it gets
 *
 *     {"id": 0, "line": 12, "prompt": "...", "completion": "...", "ended": true, ...the other columns of the row}
 *
 * and writes
 *
 *     {"id": 0, "reward": 0.5}      or {"reward": 0.5}, or only 0.5; null: no opinion
 */
#include <math.h>
#include <stdio.h>
#include "lm/line_process.h"
#include "lm/reward_parts.h"

typedef struct command {
    reini_reward_opts opts;
    char where[64];
    reini_line_process *process;
    /* of the batch under way */
    const reini_reward_item *items;
    double *value;
} command;

static const char *place(void *user, int question, char out[400]) {
    const command *c = user;
    return reini_reward_place(out, &c->opts, &c->items[question]);
}

static const char *take(void *user, int question, const json_t *answer) {
    command *c = user;
    const json_t *reward = json_is_object(answer) ? json_object_get(answer, "reward") : answer;
    if (!json_is_number(reward) && !json_is_null(reward))
        return "a line without a reward";
    c->value[question] = json_is_null(reward) ? NAN : json_number_value(reward);
    return NULL;
}

static rein_status add_item(command *c, const reini_reward_item *item) {
    json_t *row = item->row ? json_copy((json_t *)item->row) : json_object();
    bool whole = row && json_object_set_new(row, "line", json_integer(item->line)) == 0 &&
                 json_object_set_new(row, "prompt", json_string(item->prompt)) == 0 &&
                 json_object_set_new(row, "completion", json_string(item->text)) == 0 &&
                 json_object_set_new(row, "ended", json_boolean(item->ended)) == 0;
    rein_status status = whole ? reini_line_process_add(c->process, row) : reini_fail_memory(4096, c->where);
    json_decref(row);
    return status;
}

static rein_status score_command(void *state, const reini_reward_item *items, int n, double *value) {
    command *c = state;
    const reini_line_asker asker = {c, place, take};
    c->items = items;
    c->value = value;
    reini_line_process_begin(c->process);
    for (int i = 0; i < n; i++)
        REINI_TRY(add_item(c, &items[i]));
    return reini_line_process_ask(c->process, &asker);
}

static void close_command(void *state) {
    command *c = state;
    reini_line_process_free(c->process);
    reini_free(c);
}

static rein_status open_command(const char *argument, const reini_reward_opts *opts, const char *where,
                                void **state) {
    command *c = REINI_NEW(command);
    if (!c)
        return reini_fail_memory(sizeof *c, where);
    *state = c;
    c->opts = *opts;
    snprintf(c->where, sizeof c->where, "%s", where);
    return reini_line_process_new(
        &(reini_line_process_opts){.command = argument,
                                   .where = where,
                                   .noun = "reward",
                                   .expected = "a line like {\"id\": 0, \"reward\": 0.5}",
                                   .time_option = "--reward_timeout",
                                   .timeout = opts->timeout,
                                   .restarts = opts->restarts,
                                   .memory_mb = opts->memory_mb,
                                   .cpu_seconds = opts->cpu_seconds},
        &c->process);
}

const reini_reward_kind reini_reward_command_kind = {
    .name = "command",
    .needs_argument = true,
    .open = open_command,
    .close = close_command,
    .score = score_command,
};
