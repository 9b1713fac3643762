/*
 * cmd_merge.c - rein merge: a model and its adapter as one model folder.
 */
#include <rein/generate.h>
#include "cli.h"

static const cli_option options[] = {
    CLI_TEXT("model", "DIR", "folder of the model that the adapter was trained on"),
    CLI_TEXT("adapter", "DIR", "folder of the adapter, as PEFT or Rein writes it"),
    CLI_TEXT("out", "DIR", "folder to write"),
    CLI_TEXT("dtype", "f32|bf16", "number format of the written weights; default: the model's"),
    CLI_SWITCH("json", "end with one JSON object on stdout"),
};

static int merge(const cli_args *args) {
    rein_merge_opts opts = {.model = cli_text(args, "model"),
                            .adapter = cli_text(args, "adapter"),
                            .out = cli_text(args, "out"),
                            .dtype = cli_text(args, "dtype")};
    int64_t parameters;
    if (!opts.model || !opts.adapter || !opts.out)
        return cli_usage("merging takes three folders: --model DIR --adapter DIR --out DIR");
    rein_status status = rein_merge(&opts, &parameters);
    if (status != REIN_OK)
        return cli_failed(status);
    if (cli_switch(args, "json")) {
        json_t *o = json_object();
        cli_json_text(o, "out", opts.out);
        cli_json_whole(o, "parameters", parameters);
        cli_json_print(o);
    } else {
        printf("%s: %.1f M parameters\n", opts.out, 1e-6 * (double)parameters);
    }
    return CLI_DONE;
}

static int run(int argc, char **argv) {
    cli_args args = {.command = "rein merge", .options = options, .n_options = cli_verb_merge.n_options};
    int code = CLI_USAGE;
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_merge, NULL);
        code = args.help ? CLI_DONE : merge(&args);
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_merge = {
    "merge",
    "merge --model DIR --adapter DIR --out DIR",
    "write a model and its adapter as one model",
    "rein merge --model SmolLM2-135M --adapter runs/sft-0-1/adapter --out my_model",
    CLI_OPTIONS(options),
    run,
};
