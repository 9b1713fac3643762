/*
 * cmd_train.c - rein train: settings in, progress on stderr, a summary on stdout.
 */
#include <math.h>
#include <string.h>
#include "cli.h"

/* columns of the picture at the end, where stdout is not a terminal */
enum { WIDTH = 100 };

/* the first ones are of runs in environments alone */
static const cli_option options[] = {
    CLI_TEXT("env", "ID", "environment to train in; `rein list envs` shows them"),
    CLI_MDP,
    CLI_TEXT("preset", "NAME", "tuned settings to start from (`rein list presets`), or none; default: tuned"),
    CLI_COUNT("seeds", "1", 1, 1000,
              "runs with seeds seed, seed + 1, ...; the summary gives spread and interval"),
    CLI_ASCII,
    CLI_TEXT("config", "FILE", "config.json of another run, applied after the preset and before the flags"),
    CLI_TEXT("out", "DIR", "run directory; by default a new one under runs/"),
    CLI_TEXT("resume", "DIR", "continue this run with its own settings; a larger --steps extends it"),
    CLI_SWITCH("force", "replace an existing run directory"),
    CLI_SWITCH("json", "end with one JSON object on stdout"),
    CLI_SWITCH("quiet", "no progress, warnings and errors only"),
};
enum { ENV_OPTIONS = 5 };

const cli_verb cli_verb_train_text = {
    "train",
    "train ALGO --model DIR --data FILE [--FIELD=VALUE ...] | train --resume DIR",
    "train a language model",
    "rein train sft --model SmolLM2-135M --data rows.jsonl --dtype bf16",
    options + ENV_OPTIONS,
    sizeof options / sizeof *options - ENV_OPTIONS,
    NULL,
};

static bool is_language(const rein_algo_info *algo) {
    return strcmp(algo->family, "language") == 0;
}

static void print_json(const rein_summary *s) {
    json_t *o = json_object();
    cli_json_text(o, "algo", s->algo);
    if (s->model_dir[0]) {
        cli_json_language(o, s);
        cli_json_print(o);
        return;
    }
    cli_json_text(o, "env", s->env);
    cli_json_whole(o, "seed", (int64_t)s->seed);
    cli_json_whole(o, "env_steps", s->env_steps);
    cli_json_text(o, "unit", s->unit);
    cli_json_real(o, "wall_s", s->wall_s);
    cli_json_real(o, "sps", s->sps);
    cli_json_real(o, "eval_return_mean", s->eval_return_mean);
    cli_json_real(o, "eval_return_std", s->eval_return_std);
    cli_json_real(o, "eval_length_mean", s->eval_length_mean);
    cli_json_whole(o, "eval_episodes", s->eval_episodes);
    json_object_set_new(o, "eval_exact", json_boolean(s->eval_exact));
    cli_json_whole(o, "skipped_updates", s->skipped_updates);
    cli_json_text(o, "policy_sha256", s->policy_sha256);
    cli_json_text(o, "run_dir", s->run_dir);
    if (s->seeds > 1) {
        cli_json_whole(o, "seeds", s->seeds);
        cli_json_real(o, "seeds_mean", s->seeds_mean);
        cli_json_real(o, "seeds_std", s->seeds_std);
        cli_json_real(o, "seeds_iqm", s->seeds_iqm);
        cli_json_real(o, "seeds_low", s->seeds_low);
        cli_json_real(o, "seeds_high", s->seeds_high);
    }
    cli_json_print(o);
}

/* over seeds, computed, or over episodes */
static void add_return(cli_table *table, const rein_summary *s) {
    char line[256];
    if (s->seeds > 1)
        snprintf(line, sizeof line, "%.2f +- %.2f over seeds, IQM %.2f, 95%% interval %.2f..%.2f",
                 s->seeds_mean, s->seeds_std, s->seeds_iqm, s->seeds_low, s->seeds_high);
    else if (s->eval_exact)
        snprintf(line, sizeof line, "%.6g exactly (std %.4g of an episode)", s->eval_return_mean,
                 s->eval_return_std);
    else
        snprintf(line, sizeof line, "%.2f +- %.2f over %d greedy episodes on fresh seeds",
                 s->eval_return_mean, s->eval_return_std, s->eval_episodes);
    cli_table_add(table, "return", line, NULL);
}

/* "12 sweeps in 0.0012 s, 10000 a second" */
static void add_training(cli_table *table, const rein_summary *s) {
    char line[256];
    const char *unit = s->unit[0] ? s->unit : "steps";
    /* one sweep, two sweeps */
    int letters = (int)strlen(unit) - (s->env_steps == 1);
    snprintf(line, sizeof line,
             s->wall_s < 0.1 ? "%lld %.*s in %.2g s, %.0f a second" : "%lld %.*s in %.2f s, %.0f a second",
             (long long)s->env_steps, letters, unit, s->wall_s, s->sps);
    cli_table_add(table, "training", line, NULL);
}

static void print_table(const rein_summary *s) {
    char line[256];
    if (s->model_dir[0]) {
        cli_print_language(s);
        return;
    }
    if (s->seeds > 1)
        printf("%s on %s, %d seeds from %llu\n", s->algo, s->env, s->seeds, (unsigned long long)s->seed);
    else
        printf("%s on %s, seed %llu\n", s->algo, s->env, (unsigned long long)s->seed);
    cli_table *table = cli_table_new();
    add_return(table, s);
    if (isfinite(s->eval_length_mean)) {
        snprintf(line, sizeof line, "%.1f steps an episode", s->eval_length_mean);
        cli_table_add(table, "length", line, NULL);
    }
    add_training(table, s);
    if (s->skipped_updates > 0) {
        snprintf(line, sizeof line, "%lld updates that were not finite", (long long)s->skipped_updates);
        cli_table_add(table, "skipped", line, NULL);
    }
    if (s->seeds <= 1)
        cli_table_add(table, "sha256", s->policy_sha256, NULL);
    cli_table_add(table, "results", s->run_dir, NULL);
    cli_table_print(table);
}

/* A tabular run ends with its picture, when that is small enough to be seen whole. */
static int print_picture(const rein_summary *s, bool ascii) {
    rein_algo_info algo;
    char *text;
    rein_picture_opts opts = cli_picture_opts(ascii);
    if (s->model_dir[0] || s->seeds > 1 || rein_algo_find(s->algo, &algo) != REIN_OK ||
        (strcmp(algo.family, "planning") != 0 && strcmp(algo.family, "tabular") != 0))
        return CLI_DONE;
    opts.path = s->run_dir;
    opts.panels = 4;
    if (opts.width == 0)
        opts.width = WIDTH;
    opts.complete = 1;
    rein_status status = rein_picture(&opts, &text);
    if (status != REIN_OK)
        return cli_failed(status);
    printf("%s%s", *text ? "\n" : "", text);
    rein_text_free(text);
    return CLI_DONE;
}

/* What a continued run cannot take; the rest is checked by the library. */
static bool check(const cli_args *args) {
    static const char *const refused[] = {"out", "force", "preset", "config", "mdp"};
    for (int i = 0; cli_text(args, "resume") && i < 5; i++)
        if (cli_text(args, refused[i])) {
            cli_usage("--resume continues a run in its directory, with its settings; leave out --%s",
                      refused[i]);
            return false;
        }
    return true;
}

static int train(cli_args *args, const char *algo) {
    const char *env;
    if (!cli_env(args, &env))
        return CLI_USAGE;
    rein_train_opts opts = {
        .algo = algo,
        .env = env,
        .preset = cli_text(args, "preset"),
        .config = cli_text(args, "config"),
        .settings = args->settings,
        .n_settings = args->n_settings,
        .seeds = cli_text(args, "seeds") ? (int)cli_count(args, "seeds") : 0,
        .out = cli_text(args, "out"),
        .resume = cli_text(args, "resume"),
        .force = cli_switch(args, "force"),
        .progress = cli_switch(args, "quiet") ? NULL : stderr,
        .stop = &cli_stop,
    };
    rein_summary summary = {0};
    if (cli_switch(args, "quiet"))
        cli_quiet();
    cli_catch_signals();
    rein_status status = rein_train(&opts, &summary);
    if (status != REIN_OK)
        return cli_failed(status);
    if (cli_switch(args, "json")) {
        print_json(&summary);
        return CLI_DONE;
    }
    print_table(&summary);
    return cli_switch(args, "quiet") ? CLI_DONE : print_picture(&summary, cli_switch(args, "ascii"));
}

static bool names(int argc, char **argv, const char *option) {
    size_t length = strlen(option);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], option, length) == 0 && (argv[i][length] == '\0' || argv[i][length] == '='))
            return true;
    return false;
}

/* Methods of both worlds train a language model when one is named; beside an environment --init is that of its networks. */
static bool names_model(int argc, char **argv) {
    return names(argc, argv, "--model") || (names(argc, argv, "--init") && !names(argc, argv, "--env"));
}

static int run(int argc, char **argv) {
    cli_args args = {.options = options, .n_options = cli_verb_train.n_options, .pass_env = true};
    rein_algo_info algo;
    bool named = argc > 0 && argv[0][0] != '-', text = false;
    if (named) {
        rein_status status = rein_algo_find(argv[0], &algo);
        if (status != REIN_OK)
            return cli_failed(status);
        text = algo.text_fields && (is_language(&algo) || names_model(argc, argv));
        args.passed[1] = text ? (cli_fields){algo.text_fields, algo.n_text_fields}
                              : (cli_fields){algo.fields, algo.n_fields};
    }
    if (!text)
        args.passed[0].rows = rein_run_fields(&args.passed[0].n);
    args.pass_all = !named; /* a run or a config.json names the algorithm, and so its fields */
    snprintf(args.command, sizeof args.command, "rein train%s%s", named ? " " : "", named ? algo.name : "");
    if (cli_args_read(&args, argc - named, argv + named)) {
        int code = CLI_USAGE;
        if (args.help) {
            cli_help_verb(&cli_verb_train, named ? &algo : NULL);
            code = CLI_DONE;
        } else if (check(&args)) {
            code = train(&args, named ? algo.name : NULL);
        }
        cli_args_release(&args);
        return code;
    }
    cli_args_release(&args);
    return CLI_USAGE;
}

const cli_verb cli_verb_train = {
    "train",
    "train ALGO --env ID [--FIELD=VALUE ...] | train ALGO --model DIR --data FILE | train --resume DIR "
    "[--steps N]",
    "train a policy or a language model",
    "rein train ppo --env CartPole-v1 --seed 1",
    CLI_OPTIONS(options),
    run,
};
