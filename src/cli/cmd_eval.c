/*
 * cmd_eval.c - rein eval: a trained policy in its environment, or in a perturbed one; or a language model on texts.
 */
#include <math.h>
#include <string.h>
#include "cli.h"

static const cli_option options[] = {
    CLI_TEXT("env", "ID", "environment to act in, if not the one it was trained in"),
    CLI_MDP,
    CLI_COUNT("episodes", "", 1, 1e9,
              "episodes to play; default: none where the return can be computed, else 100"),
    CLI_COUNT("seed", "0", 0, 9e15, "seed of the episodes"),
    CLI_SWITCH("sample", "draw actions instead of taking the most likely"),
    CLI_REAL("obs_noise", "0", 0, 1e30, "standard deviation of Gaussian noise added to observations"),
    CLI_SWITCH("obs_noise_relative", "the noise counts in standard deviations of each element without noise"),
    CLI_TEXT("sweep", "NAME=LOW:HIGH:N",
             "evaluate at N values of a field of the environment or of obs_noise, or at a list NAME=A,B; "
             "twice: at "
             "every pair"),
    CLI_TEXT("out", "FILE", "the table of a sweep as CSV; with --reward every answer as JSON lines"),
    CLI_TEXT("model", "DIR", "evaluate a language model instead: its folder, with --data"),
    CLI_TEXT("data", "FILE",
             "texts for it as JSON lines: \"text\", \"messages\", or \"prompt\" and \"completion\""),
    CLI_TEXT("adapter", "DIR", "folder of a LoRA adapter for it"),
    CLI_TEXT("dtype", "f32|bf16",
             "number format of its matrix products; default: bf16 where the weights are"),
    CLI_TEXT("chat_template", "NAME|FILE", "chat template to use instead of its folder's"),
    CLI_COUNT("max_length", "", 2, 1e9, "tokens of a row, longer ones are cut; default: the model's context"),
    CLI_SWITCH("assistant_only", "of messages, score what the assistant wrote"),
    CLI_TEXT(
        "reward", "SPEC",
        "let it answer the prompts of --data and say what the answers are worth, as in training: number, "
        "model(DIR), ..."),
    CLI_TEXT("reference", "DIR",
             "folder of a model: how far answers of --reward are from what it would write"),
    CLI_COUNT("n", "1", 1, 1e6, "answers to each prompt"),
    CLI_REAL("temperature", "0", 0, 1e4, "of drawing answers, 0 = the likeliest token each time"),
    CLI_COUNT("top_k", "0", 0, 1e9, "draw from the so many likeliest tokens, 0 = all"),
    CLI_REAL("top_p", "1", 1e-9, 1, "draw from the likeliest tokens that have this probability together"),
    CLI_COUNT("max_new_tokens", "256", 1, 1e9, "tokens of an answer, at most"),
    CLI_REAL("reward_timeout", "60", 1e-3, 1e9, "seconds a reward command has for some hundred answers"),
    CLI_COUNT("threads", "0", 0, 1024, "worker threads, 0 = one per core; never changes results"),
    CLI_SWITCH("json", "end with one JSON object on stdout"),
};

/* {"NAME": {"mean": ..., "low": ..., "high": ...}} */
static void add_costs(json_t *o, const rein_eval_result *r) {
    json_t *costs = json_object();
    for (int k = 0; k < r->n_costs; k++) {
        json_t *cost = json_object();
        cli_json_real(cost, "mean", r->cost_mean[k]);
        cli_json_real(cost, "low", r->cost_low[k]);
        cli_json_real(cost, "high", r->cost_high[k]);
        json_object_set_new(costs, r->cost_name[k], cost);
    }
    json_object_set_new(o, "costs", costs);
}

/* the figures of one evaluation */
static void add_figures(json_t *o, const rein_eval_result *r) {
    cli_json_text(o, "algo", r->algo);
    cli_json_text(o, "env", r->env);
    cli_json_whole(o, "episodes", r->episodes);
    json_object_set_new(o, "exact", json_boolean(r->exact));
    cli_json_real(o, "return_mean", r->return_mean);
    cli_json_real(o, "return_std", r->return_std);
    cli_json_real(o, "return_min", r->return_min);
    cli_json_real(o, "return_max", r->return_max);
    cli_json_real(o, "return_iqm", r->return_iqm);
    cli_json_real(o, "return_low", r->return_low);
    cli_json_real(o, "return_high", r->return_high);
    cli_json_real(o, "length_mean", r->length_mean);
    cli_json_real(o, "success_rate", r->success_rate);
    if (isfinite(r->intervention_share)) {
        cli_json_real(o, "intervention_share", r->intervention_share);
        cli_json_real(o, "interventions_mean", r->interventions_mean);
    }
    if (r->n_costs > 0)
        add_costs(o, r);
    cli_json_real(o, "latency_us", r->latency_us);
    cli_json_real(o, "wall_s", r->wall_s);
    if (r->policy_sha256[0])
        cli_json_text(o, "policy_sha256", r->policy_sha256);
}

static void print_json(const rein_eval_result *r) {
    json_t *o = json_object();
    add_figures(o, r);
    cli_json_print(o);
}

/* what the episodes say about the return, or the return itself */
static void add_return(cli_table *table, const rein_eval_result *r) {
    char line[256];
    if (r->exact) {
        snprintf(line, sizeof line, "%.6g exactly (std %.4g of an episode)", r->return_mean, r->return_std);
        cli_table_add(table, "return", line, NULL);
        return;
    }
    snprintf(line, sizeof line, "%.2f +- %.2f, 95%% interval of the mean %.2f..%.2f", r->return_mean,
             r->return_std, r->return_low, r->return_high);
    cli_table_add(table, "return", line, NULL);
    snprintf(line, sizeof line, "min %.2f, IQM %.2f, max %.2f", r->return_min, r->return_iqm, r->return_max);
    cli_table_add(table, "", line, NULL);
}

static void print_table(const rein_eval_result *r, bool sample) {
    char line[256];
    if (r->exact)
        printf("%s on %s, computed from the environment's tables\n", r->algo, r->env);
    else
        printf("%s on %s, %d %s episodes\n", r->algo, r->env, r->episodes, sample ? "sampled" : "greedy");
    cli_table *table = cli_table_new();
    add_return(table, r);
    snprintf(line, sizeof line, "%.1f steps an episode", r->length_mean);
    cli_table_add(table, "length", line, NULL);
    if (isfinite(r->success_rate)) {
        snprintf(line, sizeof line, "%.1f%% of episodes reach the environment's threshold",
                 100 * r->success_rate);
        cli_table_add(table, "success", line, NULL);
    }
    for (int k = 0; k < r->n_costs; k++) {
        snprintf(line, sizeof line, "%s %.4g an episode, 95%% interval %.4g..%.4g", r->cost_name[k],
                 r->cost_mean[k], r->cost_low[k], r->cost_high[k]);
        cli_table_add(table, k == 0 ? "costs" : "", line, NULL);
    }
    if (isfinite(r->intervention_share)) {
        snprintf(line, sizeof line, "replaced %.2f%% of the actions, %.2f in an episode",
                 100 * r->intervention_share, r->interventions_mean);
        cli_table_add(table, "filter", line, NULL);
    }
    if (isfinite(r->latency_us))
        snprintf(line, sizeof line, "%.2f s, %.3g us per action", r->wall_s, r->latency_us);
    else
        snprintf(line, sizeof line, "%.3g ms", 1e3 * r->wall_s);
    cli_table_add(table, "time", line, NULL);
    cli_table_add(table, "sha256", r->policy_sha256, NULL);
    cli_table_print(table);
}

/* ---- several conditions or policies ---------------------------------------------------------------------- */

static void print_sweep_json(const rein_sweep_result *r) {
    json_t *o = json_object(), *rows = json_array();
    cli_json_text(o, "algo", r->at[0].result.algo);
    cli_json_text(o, "env", r->at[0].result.env);
    cli_json_whole(o, "policies", r->policies);
    for (int i = 0; i < r->n; i++) {
        json_t *row = json_object(), *at = json_object();
        for (int k = 0; k < r->n_axes; k++)
            cli_json_text(at, r->name[k], r->at[i].value[k]);
        json_object_set_new(row, "at", at);
        add_figures(row, &r->at[i].result);
        json_array_append_new(rows, row);
    }
    json_object_set_new(o, "conditions", rows);
    cli_json_print(o);
}

static void add_heading(cli_table *table, const rein_sweep_result *r, bool success, bool filter) {
    const char *cell[8];
    int n = 0;
    for (int k = 0; k < r->n_axes; k++)
        cell[n++] = r->name[k];
    cell[n++] = "return";
    cell[n++] = r->policies > 1 ? "95% of policies" : "95% interval";
    cell[n++] = "length";
    if (success)
        cell[n++] = "success";
    if (filter)
        cell[n++] = "interventions";
    cell[n] = NULL;
    cli_table_add(table, cell[0], cell[1], cell[2], n > 3 ? cell[3] : NULL, n > 4 ? cell[4] : NULL,
                  n > 5 ? cell[5] : NULL, n > 6 ? cell[6] : NULL, NULL);
}

static void add_condition(cli_table *table, const rein_condition *c, int n_axes, bool success, bool filter) {
    const rein_eval_result *r = &c->result;
    char text[5][64];
    const char *cell[8];
    int n = 0;
    for (int k = 0; k < n_axes; k++)
        cell[n++] = c->value[k];
    snprintf(text[0], sizeof text[0], "%.2f", r->return_mean);
    snprintf(text[1], sizeof text[1], "%.2f..%.2f", r->return_low, r->return_high);
    snprintf(text[2], sizeof text[2], "%.1f", r->length_mean);
    snprintf(text[3], sizeof text[3], "%.1f%%", 100 * r->success_rate);
    snprintf(text[4], sizeof text[4], "%.2f%%", 100 * r->intervention_share);
    for (int k = 0; k < 3; k++)
        cell[n++] = text[k];
    if (success)
        cell[n++] = text[3];
    if (filter)
        cell[n++] = text[4];
    cell[n] = NULL;
    cli_table_add(table, cell[0], cell[1], cell[2], n > 3 ? cell[3] : NULL, n > 4 ? cell[4] : NULL,
                  n > 5 ? cell[5] : NULL, n > 6 ? cell[6] : NULL, NULL);
}

static void print_sweep(const rein_sweep_result *r, bool sample) {
    const rein_eval_result *first = &r->at[0].result;
    bool success = isfinite(first->success_rate), filter = isfinite(first->intervention_share);
    printf("%s on %s", first->algo, first->env);
    if (r->policies > 1)
        printf(", %d policies", r->policies);
    if (first->exact)
        puts(", computed from the environment's tables");
    else
        printf(", %d %s episodes%s in each condition\n", first->episodes, sample ? "sampled" : "greedy",
               r->policies > 1 ? " of each" : "");
    cli_table *table = cli_table_new();
    add_heading(table, r, success, filter);
    for (int i = 0; i < r->n; i++)
        add_condition(table, &r->at[i], r->n_axes, success, filter);
    cli_table_print(table);
}

static int sweep(const cli_args *args, const rein_eval_opts *eval) {
    const char *axes[REIN_SWEEP_AXES + 1];
    rein_sweep_opts opts = {.eval = *eval, .axes = axes, .out = cli_text(args, "out")};
    for (int i = 0; i < args->n_given && opts.n_axes <= REIN_SWEEP_AXES; i++)
        if (strcmp(args->given[i].name, "sweep") == 0)
            axes[opts.n_axes++] = args->given[i].value;
    rein_sweep_result result;
    rein_status status = rein_sweep(&opts, &result);
    if (status == REIN_OK && cli_switch(args, "json"))
        print_sweep_json(&result);
    else if (status == REIN_OK)
        print_sweep(&result, eval->sample);
    rein_sweep_release(&result);
    return status == REIN_OK ? CLI_DONE : cli_failed(status);
}

/* ---- the verb -------------------------------------------------------------------------------------------- */

static int evaluate(cli_args *args) {
    const char *env;
    if (cli_text(args, "model") || cli_text(args, "data"))
        return cli_eval_text(args);
    if (args->n_words == 0)
        return cli_usage("no policy: name a run directory or a policy file, as in `rein eval runs/NAME`");
    if (!cli_env(args, &env))
        return CLI_USAGE;
    rein_eval_opts opts = {
        .path = args->words[0],
        .env = env,
        .settings = args->settings,
        .n_settings = args->n_settings,
        .episodes = cli_text(args, "episodes") ? (int)cli_count(args, "episodes") : 0,
        .seed = (uint64_t)cli_count(args, "seed"),
        .sample = cli_switch(args, "sample"),
        .obs_noise = cli_real(args, "obs_noise"),
        .obs_noise_relative = cli_switch(args, "obs_noise_relative"),
        .threads = (int)cli_count(args, "threads"),
        .stop = &cli_stop,
    };
    rein_eval_result result = {0};
    cli_catch_signals();
    if (cli_text(args, "sweep") || rein_policies_of(opts.path) > 1)
        return sweep(args, &opts);
    if (cli_text(args, "out"))
        return cli_usage("--out is for the table of a sweep: add --sweep, as in --sweep length=0.3:0.9:7");
    rein_status status = rein_eval(&opts, &result);
    if (status != REIN_OK)
        return cli_failed(status);
    if (cli_switch(args, "json"))
        print_json(&result);
    else
        print_table(&result, opts.sample);
    return CLI_DONE;
}

static int run(int argc, char **argv) {
    cli_args args = {
        .command = "rein eval",
        .options = options,
        .n_options = cli_verb_eval.n_options,
        .pass_env = true,
        .max_words = 1,
    };
    int code = CLI_USAGE;
    args.passed[0].rows = rein_wrap_fields(&args.passed[0].n);
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_eval, NULL);
        code = args.help ? CLI_DONE : evaluate(&args);
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_eval = {
    "eval",
    "eval RUN|POLICY [--env ID] [--env.FIELD=VALUE ...] | --model DIR --data FILE",
    "evaluate a policy, greedy unless --sample, or a language model",
    "rein eval runs/NAME --sweep length=0.3:0.9:7 --sweep obs_noise=0,0.05",
    CLI_OPTIONS(options),
    run,
};
