/*
 * cmd_version.c - rein version.
 */
#include "cli.h"

static const cli_option options[] = {
    CLI_SWITCH("json", "end with one JSON object on stdout"),
};

static int version(const cli_args *args) {
    if (cli_switch(args, "json")) {
        json_t *o = json_object();
        cli_json_text(o, "version", rein_version());
        cli_json_text(o, "build", rein_build_info());
        cli_json_text(o, "cpu", rein_cpu_level());
        cli_json_print(o);
        return CLI_DONE;
    }
    printf("rein %s\n", rein_version());
    cli_table *table = cli_table_new();
    cli_table_add(table, "build", rein_build_info(), NULL);
    cli_table_add(table, "cpu level", rein_cpu_level(), NULL);
    cli_table_print(table);
    return CLI_DONE;
}

static int run(int argc, char **argv) {
    cli_args args = {.command = "rein version", .options = options, .n_options = cli_verb_version.n_options};
    int code = CLI_USAGE;
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_version, NULL);
        code = args.help ? CLI_DONE : version(&args);
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_version = {
    "version", "version", "print version, build options and CPU level", NULL, CLI_OPTIONS(options), run,
};
