/*
 * language.c - the summary of a run on a language model.
 */
#include <math.h>
#include <string.h>
#include "cli.h"

void cli_json_language(json_t *o, const rein_summary *s) {
    cli_json_whole(o, "seed", (int64_t)s->seed);
    cli_json_whole(o, "updates", s->env_steps);
    cli_json_whole(o, "tokens", s->tokens);
    cli_json_real(o, "wall_s", s->wall_s);
    cli_json_real(o, "tokens_per_second", (double)s->tokens / fmax(s->wall_s, 1e-9));
    cli_json_real(o, "loss", s->loss);
    cli_json_real(o, "eval_loss", s->eval_loss);
    cli_json_real(o, "eval_mean_token_accuracy", s->eval_accuracy);
    cli_json_real(o, "best_eval_loss", s->best_eval_loss);
    cli_json_whole(o, "best_step", s->best_step);
    cli_json_whole(o, "skipped_updates", s->skipped_updates);
    cli_json_whole(o, "planned_memory_bytes", s->planned_memory);
    cli_json_whole(o, "peak_memory_bytes", s->peak_memory);
    cli_json_text(o, "sha256", s->policy_sha256);
    cli_json_text(o, "model_dir", s->model_dir);
    cli_json_text(o, "run_dir", s->run_dir);
}

/* What was learned: of texts, a loss a token; of the other methods, the loss that they say. */
static void add_losses(cli_table *table, const rein_summary *s) {
    char line[256];
    bool text = strcmp(s->algo, "sft") == 0;
    if (text)
        snprintf(line, sizeof line, "%.4f a token, perplexity %.4g", s->loss, exp(s->loss));
    else
        snprintf(line, sizeof line, "%.4f", s->loss);
    cli_table_add(table, "loss", line, NULL);
    if (!isfinite(s->eval_loss))
        return;
    if (text)
        snprintf(line, sizeof line, "%.4f a token, perplexity %.4g, %.1f%% of tokens the likeliest",
                 s->eval_loss, exp(s->eval_loss), 100 * s->eval_accuracy);
    else
        snprintf(line, sizeof line, "loss %.4f", s->eval_loss);
    cli_table_add(table, "evaluation", line, NULL);
    snprintf(line, sizeof line, "%.4f after update %lld, in %.180s/best", s->best_eval_loss,
             (long long)s->best_step, s->run_dir);
    cli_table_add(table, "best", line, NULL);
}

void cli_print_language(const rein_summary *s) {
    char line[256];
    printf("%s, seed %llu\n", s->algo, (unsigned long long)s->seed);
    cli_table *table = cli_table_new();
    add_losses(table, s);
    snprintf(line, sizeof line, "%lld updates, %lld tokens in %.1f s, %.0f tokens a second",
             (long long)s->env_steps, (long long)s->tokens, s->wall_s,
             (double)s->tokens / fmax(s->wall_s, 1e-9));
    cli_table_add(table, "training", line, NULL);
    if (s->peak_memory > 0) {
        snprintf(line, sizeof line, "%.1f MB at most, %.1f MB were said before the run",
                 1e-6 * (double)s->peak_memory, 1e-6 * (double)s->planned_memory);
        cli_table_add(table, "memory", line, NULL);
    }
    if (s->skipped_updates > 0) {
        snprintf(line, sizeof line, "%lld updates that were not finite", (long long)s->skipped_updates);
        cli_table_add(table, "skipped", line, NULL);
    }
    cli_table_add(table, "sha256", s->policy_sha256, NULL);
    cli_table_add(table, "model", s->model_dir, NULL);
    cli_table_print(table);
}
