/*
 * cmd_eval.c - rein eval: a trained policy in its environment, or in a perturbed one.
 */
#include <math.h>
#include "cli.h"

static const cli_option options[] = {
    CLI_TEXT("env", "ID", "environment to act in, if not the one it was trained in"),
    CLI_MDP,
    CLI_COUNT("episodes", "", 1, 1e9,
              "episodes to play; default: none where the return can be computed, else 100"),
    CLI_COUNT("seed", "0", 0, 9e15, "seed of the episodes"),
    CLI_SWITCH("sample", "draw actions instead of taking the most likely"),
    CLI_REAL("obs_noise", "0", 0, 1e30, "standard deviation of Gaussian noise added to observations"),
    CLI_COUNT("threads", "0", 0, 1024, "worker threads, 0 = one per core; never changes results"),
    CLI_SWITCH("json", "end with one JSON object on stdout"),
};

static void print_json(const rein_eval_result *r) {
    json_t *o = json_object();
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
    cli_json_real(o, "latency_us", r->latency_us);
    cli_json_real(o, "wall_s", r->wall_s);
    cli_json_text(o, "policy_sha256", r->policy_sha256);
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
    if (isfinite(r->latency_us))
        snprintf(line, sizeof line, "%.2f s, %.3g us per action", r->wall_s, r->latency_us);
    else
        snprintf(line, sizeof line, "%.3g ms", 1e3 * r->wall_s);
    cli_table_add(table, "time", line, NULL);
    cli_table_add(table, "sha256", r->policy_sha256, NULL);
    cli_table_print(table);
}

static int evaluate(cli_args *args) {
    const char *env;
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
        .threads = (int)cli_count(args, "threads"),
        .stop = &cli_stop,
    };
    rein_eval_result result = {0};
    cli_catch_signals();
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
    "eval RUN|POLICY [--env ID] [--env.FIELD=VALUE ...]",
    "evaluate a policy, greedy unless --sample",
    "rein eval runs/NAME --episodes 200 --env.length=0.6",
    CLI_OPTIONS(options),
    run,
};
