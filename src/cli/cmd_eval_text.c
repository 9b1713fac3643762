/*
 * cmd_eval_text.c - rein eval --model: how well a language model predicts a
 * file of texts.
 */
#include "cli.h"
#include <rein/generate.h>

static void print_text_json(const rein_text_eval_result *r) {
    json_t *o = json_object();
    cli_json_real(o, "loss", r->loss);
    cli_json_real(o, "perplexity", r->perplexity);
    cli_json_real(o, "mean_token_accuracy", r->accuracy);
    cli_json_real(o, "entropy", r->entropy);
    cli_json_whole(o, "tokens", r->tokens);
    cli_json_whole(o, "rows", r->rows);
    cli_json_whole(o, "skipped", r->skipped);
    cli_json_whole(o, "cut", r->cut);
    cli_json_real(o, "load_s", r->load_s);
    cli_json_real(o, "wall_s", r->wall_s);
    cli_json_real(o, "tokens_per_s", r->tokens_per_s);
    cli_json_print(o);
}

static void print_text_table(const rein_text_eval_result *r) {
    char line[256];
    cli_table *table = cli_table_new();
    snprintf(line, sizeof line, "%.4f nats a token", r->loss);
    cli_table_add(table, "loss", line, NULL);
    snprintf(line, sizeof line, "%.4f", r->perplexity);
    cli_table_add(table, "perplexity", line, NULL);
    snprintf(line, sizeof line, "%.2f%% of tokens are the likeliest one", 100 * r->accuracy);
    cli_table_add(table, "accuracy", line, NULL);
    snprintf(line, sizeof line, "%.4f nats, of the model's own predictions", r->entropy);
    cli_table_add(table, "entropy", line, NULL);
    snprintf(line, sizeof line,
             "%lld tokens scored in %lld rows, %lld rows cut, %lld without a "
             "token to score",
             (long long)r->tokens, (long long)r->rows, (long long)r->cut, (long long)r->skipped);
    cli_table_add(table, "data", line, NULL);
    snprintf(line, sizeof line, "%.2f s, %.0f tokens a second, after %.2f s of loading", r->wall_s,
             r->tokens_per_s, r->load_s);
    cli_table_add(table, "time", line, NULL);
    cli_table_print(table);
}

int cli_eval_text(const cli_args *args) {
    rein_text_eval_opts opts = {
        .model = cli_text_model(args),
        .data = cli_text(args, "data"),
        .max_length = cli_text(args, "max_length") ? (int)cli_count(args, "max_length") : 0,
        .assistant_only = cli_switch(args, "assistant_only"),
        .stop = &cli_stop,
    };
    if (!opts.model.folder || !opts.data)
        return cli_usage("--model and --data belong together, as in `rein eval "
                         "--model DIR --data FILE.jsonl`");
    if (args->n_words > 0 || args->n_settings > 0)
        return cli_usage("--model evaluates a language model; leave out the policy "
                         "and its environment");
    if (cli_text(args, "reward"))
        return cli_eval_reward(args);
    if (cli_text(args, "reference"))
        return cli_usage(
            "--reference measures the distance of answers that --reward asks for; add it, or leave "
            "--reference out");
    rein_text_eval_result result;
    cli_catch_signals();
    rein_status status = rein_text_eval(&opts, &result);
    if (status != REIN_OK)
        return cli_failed(status);
    if (cli_switch(args, "json"))
        print_text_json(&result);
    else
        print_text_table(&result);
    return CLI_DONE;
}
