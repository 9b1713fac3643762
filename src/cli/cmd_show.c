/*
 * cmd_show.c - rein show: what a tabular policy does in every state, and what it expects from there.
 */
#include "cli.h"

static const cli_option options[] = {
    CLI_TEXT("env", "ID", "environment to draw, if not the one it was trained in"),
    CLI_MDP,
    CLI_COUNT("panels", "4", 0, 1e6, "most panels drawn, 0 = all"),
    CLI_ASCII,
};

static int show(cli_args *args) {
    char *text;
    rein_picture_opts opts = cli_picture_opts(cli_switch(args, "ascii"));
    if (args->n_words == 0)
        return cli_usage("no policy: name a run directory or a policy file, as in `rein show runs/NAME`");
    if (!cli_env(args, &opts.env))
        return CLI_USAGE;
    opts.path = args->words[0];
    opts.settings = args->settings;
    opts.n_settings = args->n_settings;
    opts.panels = (int)cli_count(args, "panels");
    rein_status status = rein_picture(&opts, &text);
    if (status != REIN_OK)
        return cli_failed(status);
    fputs(text, stdout);
    rein_text_free(text);
    return CLI_DONE;
}

static int run(int argc, char **argv) {
    cli_args args = {
        .command = "rein show",
        .options = options,
        .n_options = cli_verb_show.n_options,
        .pass_env = true,
        .max_words = 1,
    };
    int code = CLI_USAGE;
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_show, NULL);
        code = args.help ? CLI_DONE : show(&args);
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_show = {
    "show",
    "show RUN|POLICY [--env ID] [--env.FIELD=VALUE ...]",
    "draw the values and actions of a tabular policy",
    "rein show runs/NAME --ascii",
    CLI_OPTIONS(options),
    run,
};
