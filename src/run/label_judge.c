/*
 * label_judge.c - decisions by a program or by a reward.
 *
 * A program (line_process.h) gets for every question
 *
 *     {"id": 0, "line": 3, "as": "pairs", "prompt": ..., "responses": [..., ...], ...columns that the candidates share}
 *
 * with the answers in the order drawn for the question, and writes one of
 *
 *     {"choice": "2 > 1 = 3"}     what a person would type; a number will do for the best one
 *     {"ranks": [2, 1, 2]}        1 is the best, equal ones tie
 *     {"scores": [0.1, 0.7, 0.1]} the higher, the better
 *     null                        no opinion: skipped
 *
 * or the bare value of "choice". Unpaired answers are "good" or "bad", true or false.
 *
 * A program may prefer what stands first (Zheng et al. 2023, arXiv 2306.05685). Asked in both orders, ids 0 and 1, its
 * scores are averaged, else its ranks are added: two answers that each win once are a tie.
 *
 * A reward scores every answer by itself. Answers it has no opinion of are left out of a ranking, and skip a pair.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "data/lm_encode.h"
#include "lm/line_process.h"
#include "lm/reward.h"
#include "run/labelling.h"

/* What is thought of the answers in one order. */
typedef struct verdict {
    reini_label_choice choice;
    double *score; /* [most] */
} verdict;

typedef struct judge {
    rein_label *label;
    const rein_label_judge *opts;
    reini_label_question *question; /* under way */
    verdict verdict[2];             /* as shown; the other way round */
    int *turned;                    /* [most] ranks of the second */
    char wrong[1200];
    reini_line_process *process;
    /* of rewards */
    reini_rewards *rewards;
    rein_pool *pool;
    reini_lm_reader *reader;   /* NULL: rewards read text alone */
    reini_lm_encoded *encoded; /* [most] */
    reini_reward_item *item;   /* [most] */
    double *each;
} judge;

/* ---- ranks ----------------------------------------------------------------------------------------------- */

/* Places of the values: 1 for the best, equal ones the same; those that are not numbers come last. */
static void rank_values(const double *value, int n, double sign, int *rank) {
    for (int i = 0; i < n; i++) {
        rank[i] = 1;
        for (int k = 0; k < n; k++) {
            bool counted = false; /* each better value once */
            for (int j = 0; j < k; j++)
                counted = counted || value[j] == value[k];
            rank[i] += !counted && !isnan(value[k]) && (isnan(value[i]) || sign * value[k] > sign * value[i]);
        }
    }
}

/* of several answers with scores, sign 1, or ranks, sign -1 */
static void choose_by_values(verdict *v, int n, double sign) {
    int known = 0;
    bool same = true;
    double first = NAN;
    for (int i = 0; i < n; i++) {
        if (isnan(v->score[i]))
            continue;
        same = same && (known == 0 || v->score[i] == first);
        first = known++ == 0 ? v->score[i] : first;
    }
    rank_values(v->score, n, sign, v->choice.rank);
    v->choice.kind = known < 2 ? REINI_LABEL_SKIP : same ? REINI_LABEL_TIE : REINI_LABEL_PREFERENCE;
}

/* The second verdict joins the first. */
static void join(judge *j) {
    verdict *a = &j->verdict[0], *b = &j->verdict[1];
    int n = j->question->n;
    bool scored = a->choice.scores && b->choice.scores;
    if (a->choice.kind == REINI_LABEL_SKIP || b->choice.kind == REINI_LABEL_SKIP) {
        a->choice =
            (reini_label_choice){.kind = REINI_LABEL_SKIP, .rank = a->choice.rank, .by = a->choice.by};
        return;
    }
    for (int i = 0; i < n; i++)
        a->score[i] =
            scored ? (a->score[i] + b->score[n - 1 - i]) / 2 : a->choice.rank[i] + b->choice.rank[n - 1 - i];
    a->choice.scores = scored ? a->score : NULL;
    choose_by_values(a, n, scored ? 1 : -1);
}

/* ---- a program ------------------------------------------------------------------------------------------- */

static const char *place(void *user, int question, char out[400]) {
    const judge *j = user;
    (void)question;
    snprintf(out, 400, "%.300s:%lld: ", j->label->candidates.path,
             (long long)reini_label_line(j->label, j->question));
    return out;
}

static const char *take_text(judge *j, verdict *v, const char *text) {
    if (reini_label_parse(j->label, j->question, text, &v->choice) == REIN_OK)
        return NULL;
    snprintf(j->wrong, sizeof j->wrong, "a choice that is none (%s)", rein_error());
    return j->wrong;
}

static const char *take_number(judge *j, verdict *v, int64_t number) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)number);
    return take_text(j, v, text);
}

static const char *take_choice(judge *j, verdict *v, const json_t *choice) {
    if (json_is_null(choice))
        return take_text(j, v, "skip");
    if (json_is_string(choice))
        return take_text(j, v, json_string_value(choice));
    if (json_is_boolean(choice) && j->label->form == REINI_LABEL_UNPAIRED)
        return take_text(j, v, json_is_true(choice) ? "good" : "bad");
    if (json_is_integer(choice))
        return take_number(j, v, json_integer_value(choice));
    return "a line without a choice";
}

static const char *take_values(judge *j, verdict *v, const json_t *list, double sign) {
    int n = j->question->n;
    if (j->label->form == REINI_LABEL_UNPAIRED)
        return "a list for one answer, which is good or bad";
    if (!json_is_array(list) || (int)json_array_size(list) != n)
        return "a list of another length than that of the answers";
    for (int i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        if (!json_is_number(value) && !json_is_null(value))
            return "a list of something else than numbers";
        v->score[i] = json_is_null(value) ? NAN : json_number_value(value);
    }
    v->choice.scores = sign > 0 ? v->score : NULL;
    choose_by_values(v, n, sign);
    /* without scores there is nothing in the row that says who is left out */
    for (int i = 0; sign < 0 && i < n; i++)
        if (isnan(v->score[i]))
            return "ranks that are not numbers";
    return NULL;
}

static const char *take(void *user, int question, const json_t *answer) {
    judge *j = user;
    verdict *v = &j->verdict[question];
    v->choice.scores = NULL;
    if (!json_is_object(answer))
        return take_choice(j, v, answer);
    if (json_object_get(answer, "scores"))
        return take_values(j, v, json_object_get(answer, "scores"), 1);
    if (json_object_get(answer, "ranks"))
        return take_values(j, v, json_object_get(answer, "ranks"), -1);
    return take_choice(j, v, json_object_get(answer, "choice"));
}

static json_t *request(const judge *j, bool turned) {
    const rein_label *l = j->label;
    json_t *row = json_object(), *responses = json_array();
    int n = j->question->n;
    reini_label_shared_columns(l, j->question, row);
    for (int i = 0; i < n; i++) {
        const reini_candidate *a = reini_label_answer(l, j->question, turned ? n - 1 - i : i);
        json_array_append(responses, (json_t *)(uintptr_t)a->answer);
    }
    json_object_set_new(row, "line", json_integer(reini_label_line(l, j->question)));
    json_object_set_new(row, "as", json_string(reini_label_forms[l->form]));
    json_object_set(row, "prompt", l->candidates.group[j->question->group].prompt);
    json_object_set_new(row, "responses", responses);
    return row;
}

static rein_status ask_program(judge *j) {
    const reini_line_asker asker = {j, place, take};
    int times = j->opts->both_orders && j->question->n > 1 ? 2 : 1;
    reini_line_process_begin(j->process);
    for (int i = 0; i < times; i++) {
        json_t *row = request(j, i == 1);
        rein_status status = reini_line_process_add(j->process, row);
        json_decref(row);
        REINI_TRY(status);
    }
    REINI_TRY(reini_line_process_ask(j->process, &asker));
    if (times == 2)
        join(j);
    return REIN_OK;
}

static rein_status open_program(judge *j) {
    const rein_label_judge *o = j->opts;
    return reini_line_process_new(
        &(reini_line_process_opts){.command = o->command,
                                   .where = "judge",
                                   .noun = "choice",
                                   .expected = "a line like {\"id\": 0, \"choice\": 1}",
                                   .time_option = "--reward_timeout",
                                   .timeout = o->timeout,
                                   .restarts = o->restarts,
                                   .memory_mb = o->memory_mb,
                                   .cpu_seconds = o->cpu_seconds,
                                   .stop = o->stop},
        &j->process);
}

/* ---- a reward -------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *value) {
    return json_is_string(value) ? json_string_value(value)
                                 : json_string_value(json_object_get(
                                       json_array_get(value, json_array_size(value) - 1), "content"));
}

static rein_status encode(judge *j, const json_t *prompt, const json_t *answer, int i) {
    reini_reward_item *item = &j->item[i];
    bool apart = false;
    int n_prompt = 0;
    if (!j->reader)
        return REIN_OK;
    REINI_TRY(reini_lm_encode_pair(j->reader, prompt, answer, &j->encoded[i], &n_prompt, &apart));
    const reini_ids *ids = &j->encoded[i].ids;
    item->prompt_ids = ids->at;
    item->n_prompt = n_prompt;
    item->ids = ids->at + n_prompt;
    item->n = (int)ids->n - n_prompt;
    return REIN_OK;
}

static rein_status ask_reward(judge *j) {
    const reini_label_question *q = j->question;
    const json_t *prompt = j->label->candidates.group[q->group].prompt;
    for (int i = 0; i < q->n; i++) {
        const reini_candidate *a = reini_label_answer(j->label, q, i);
        const char *finish = json_string_value(json_object_get(a->row, "finish"));
        j->item[i] = (reini_reward_item){.row = a->row,
                                         .line = a->line,
                                         .prompt = text_of(prompt),
                                         .text = text_of(a->answer),
                                         .ended = !finish || strcmp(finish, "length") != 0};
        REINI_TRY(reini_rewards_check_row(j->rewards, a->row, a->line));
        REINI_TRY(encode(j, prompt, a->answer, i));
    }
    verdict *v = &j->verdict[0];
    REINI_TRY(reini_rewards_score(j->rewards, j->item, q->n, j->each, v->score));
    v->choice.scores = v->score;
    choose_by_values(v, q->n, 1);
    if (j->label->form == REINI_LABEL_UNPAIRED) {
        v->choice.kind = isnan(v->score[0]) ? REINI_LABEL_SKIP : REINI_LABEL_PREFERENCE;
        v->choice.rank[0] = v->score[0] > 0 ? 1 : 2;
    }
    return REIN_OK;
}

/* rewards that count tokens or run a model need a tokenizer */
static rein_status check_tokens(const judge *j) {
    static const char *const names[] = {"length", "overlong", "repetition", "model"};
    for (int i = 0; i < reini_rewards_count(j->rewards); i++)
        for (int k = 0; k < 4; k++)
            if (strncmp(reini_rewards_name(j->rewards, i), names[k], strlen(names[k])) == 0)
                return reini_fail(REIN_USAGE,
                                  "the reward %s reads tokens: name the folder of their tokenizer with "
                                  "--tokenizer DIR",
                                  names[k]);
    return REIN_OK;
}

static rein_status open_reward(judge *j) {
    const rein_label_judge *o = j->opts;
    int threads = o->threads > 0 ? o->threads : (int)sysconf(_SC_NPROCESSORS_ONLN), most = j->label->most;
    if (threads > 1 && !(j->pool = rein_pool_new(threads)))
        return reini_fail(REIN_NOMEM, "%d worker threads could not be started", threads);
    const reini_reward_opts opts = {.data = j->label->candidates.path,
                                    .timeout = o->timeout,
                                    .restarts = o->restarts,
                                    .memory_mb = o->memory_mb,
                                    .cpu_seconds = o->cpu_seconds,
                                    .products = REIN_F32,
                                    .tokenizer = o->tokenizer,
                                    .pool = j->pool};
    REINI_TRY(reini_rewards_new(o->reward, &opts, &j->rewards));
    j->item = REINI_NEW_ARRAY(reini_reward_item, (size_t)most);
    j->encoded = REINI_NEW_ARRAY(reini_lm_encoded, (size_t)most);
    j->each = REINI_NEW_ARRAY(double, (size_t)most *(size_t)reini_rewards_count(j->rewards));
    if (!j->item || !j->encoded || !j->each)
        return reini_fail_memory((size_t)most * 64, "rewards");
    return o->tokenizer ? reini_lm_reader_open(o->tokenizer, o->chat_template, &j->reader) : check_tokens(j);
}

/* ---- all questions --------------------------------------------------------------------------------------- */

static void release(judge *j) {
    reini_line_process_free(j->process);
    reini_rewards_free(j->rewards);
    reini_lm_reader_free(j->reader);
    for (int i = 0; j->encoded && i < j->label->most; i++)
        reini_lm_encoded_release(&j->encoded[i]);
    rein_pool_free(j->pool);
    reini_free(j->encoded);
    reini_free(j->item);
    reini_free(j->each);
    reini_free(j->verdict[0].score);
    reini_free(j->verdict[1].score);
    reini_free(j->turned);
}

static rein_status decide_all(judge *j) {
    const rein_label_judge *o = j->opts;
    const char *by = o->command ? "judge" : "reward";
    while ((j->question = reini_label_open_question(j->label))) {
        if (o->stop && *o->stop)
            return reini_fail(REIN_INTERRUPTED, "stopped; what was decided is kept");
        j->verdict[0].choice = (reini_label_choice){.rank = j->label->rank, .by = by};
        j->verdict[1].choice = (reini_label_choice){.rank = j->turned, .by = by};
        REINI_TRY(o->command ? ask_program(j) : ask_reward(j));
        REINI_TRY(reini_label_decide(j->label, j->question, &j->verdict[0].choice));
        if (o->on_decision)
            o->on_decision(o->user, j->label);
    }
    return REIN_OK;
}

rein_status rein_label_run(rein_label *l, const rein_label_judge *opts) {
    judge j = {.label = l, .opts = opts};
    if (!opts->command == !opts->reward)
        return reini_fail(REIN_USAGE, "expected a judge or a reward, and not both");
    size_t most = (size_t)l->most;
    j.verdict[0].score = REINI_NEW_ARRAY(double, most);
    j.verdict[1].score = REINI_NEW_ARRAY(double, most);
    j.turned = REINI_NEW_ARRAY(int, most);
    rein_status status = j.verdict[0].score && j.verdict[1].score && j.turned
                             ? REIN_OK
                             : reini_fail_memory(most * 20, "a judge");
    if (status == REIN_OK)
        status = opts->command ? open_program(&j) : open_reward(&j);
    if (status == REIN_OK)
        status = decide_all(&j);
    release(&j);
    return status;
}
