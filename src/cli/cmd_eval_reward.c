/*
 * cmd_eval_reward.c - rein eval --model --reward: what a language model's answers to held-out prompts are worth.
 */
#include <math.h>
#include <string.h>
#include <rein/generate.h>
#include "cli.h"

static json_t *score_json(const rein_score *s) {
    json_t *o = json_object();
    cli_json_real(o, "mean", s->mean);
    cli_json_real(o, "low", s->low);
    cli_json_real(o, "high", s->high);
    cli_json_real(o, "std", s->std);
    cli_json_whole(o, "answers", s->answers);
    return o;
}

static void print_json(const rein_reward_eval_result *r) {
    json_t *o = json_object(), *each = json_object();
    json_object_set_new(o, "reward", score_json(&r->reward));
    for (int k = 0; k < r->n_rewards; k++) {
        json_t *one = score_json(&r->each[k].score);
        cli_json_real(one, "weight", r->each[k].weight);
        json_object_set_new(each, r->each[k].name, one);
    }
    json_object_set_new(o, "rewards", each);
    cli_json_real(o, "best_mean", r->best_mean);
    if (r->k1.answers > 0) {
        json_object_set_new(o, "kl_k1", score_json(&r->k1));
        json_object_set_new(o, "kl_k3", score_json(&r->k3));
    }
    cli_json_whole(o, "prompts", r->prompts);
    cli_json_whole(o, "answers", r->answers);
    cli_json_whole(o, "tokens", r->tokens);
    cli_json_real(o, "ended", r->ended);
    cli_json_real(o, "length_mean", r->length_mean);
    cli_json_whole(o, "length_min", r->length_min);
    cli_json_whole(o, "length_max", r->length_max);
    cli_json_real(o, "load_s", r->load_s);
    cli_json_real(o, "wall_s", r->wall_s);
    cli_json_real(o, "tokens_per_s", r->tokens_per_s);
    cli_json_print(o);
}

static void add_score(cli_table *table, const char *name, const rein_score *s, const char *more) {
    char line[512];
    snprintf(line, sizeof line, "%.4f, 95%% interval %.4f..%.4f%s", s->mean, s->low, s->high, more);
    cli_table_add(table, name, line, NULL);
}

static void print_table(const rein_reward_eval_result *r) {
    char line[256];
    cli_table *table = cli_table_new();
    add_score(table, "reward", &r->reward, "");
    for (int k = 0; k < r->n_rewards; k++) {
        snprintf(line, sizeof line, ", weight %g", r->each[k].weight);
        add_score(table, r->each[k].name, &r->each[k].score, line);
    }
    if (r->answers > r->prompts) {
        snprintf(line, sizeof line, "%.4f, of each prompt's best answer", r->best_mean);
        cli_table_add(table, "best", line, NULL);
    }
    if (r->k1.answers > 0) {
        add_score(table, "KL, k1", &r->k1, " nats an answer");
        add_score(table, "KL, k3", &r->k3, " nats an answer");
    }
    snprintf(line, sizeof line, "%lld to %lld prompts, %.1f%% ended by themselves", (long long)r->answers,
             (long long)r->prompts, 100 * r->ended);
    cli_table_add(table, "answers", line, NULL);
    snprintf(line, sizeof line, "%.1f tokens, %d..%d", r->length_mean, r->length_min, r->length_max);
    cli_table_add(table, "length", line, NULL);
    snprintf(line, sizeof line, "%.2f s, %.0f tokens a second, after %.2f s of loading", r->wall_s,
             r->tokens_per_s, r->load_s);
    cli_table_add(table, "time", line, NULL);
    cli_table_print(table);
}

int cli_eval_reward(const cli_args *args) {
    rein_reward_eval_opts opts = {
        .model = cli_text_model(args),
        .data = cli_text(args, "data"),
        .reward = cli_text(args, "reward"),
        .reference = cli_text(args, "reference"),
        .samples = (int)cli_count(args, "n"),
        .temperature = cli_real(args, "temperature"),
        .top_k = (int)cli_count(args, "top_k"),
        .top_p = cli_real(args, "top_p"),
        .max_new_tokens = (int)cli_count(args, "max_new_tokens"),
        .seed = (uint64_t)cli_count(args, "seed"),
        .reward_timeout = cli_real(args, "reward_timeout"),
        .out = cli_text(args, "out"),
        .stop = &cli_stop,
    };
    if (cli_text(args, "max_length") || cli_switch(args, "assistant_only"))
        return cli_usage(
            "--max_length and --assistant_only are of texts that are scored; leave them out beside "
            "--reward");
    rein_reward_eval_result result;
    cli_catch_signals();
    rein_status status = rein_reward_eval(&opts, &result);
    if (status != REIN_OK)
        return cli_failed(status);
    if (cli_switch(args, "json"))
        print_json(&result);
    else
        print_table(&result);
    return CLI_DONE;
}
