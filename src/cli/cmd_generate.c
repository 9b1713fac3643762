/*
 * cmd_generate.c - rein generate: prompts in, answers out, streamed where there
 * is one.
 */
#include "cli.h"
#include <rein/generate.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    CLI_TEXT("model", "DIR", "folder of a model, as Transformers writes it"),
    CLI_TEXT("adapter", "DIR", "folder of a LoRA adapter for it"),
    CLI_TEXT("prompt", "TEXT", "one prompt"),
    CLI_TEXT("file", "FILE",
             "prompts as JSON lines: \"prompt\", a text or a list of messages, "
             "or \"messages\""),
    CLI_COUNT("max_new_tokens", "", 1, 1e9, "tokens of an answer, at most; default: the folder's, else 256"),
    CLI_REAL("temperature", "", 0, 1e4, "0 = always the likeliest token; default: the folder's, else 0"),
    CLI_COUNT("top_k", "", 0, 1e9,
              "draw from the so many likeliest tokens, 0 = all; default: the "
              "folder's"),
    CLI_REAL("top_p", "", 1e-9, 1,
             "draw from the likeliest tokens that have this probability "
             "together; default: the folder's"),
    CLI_REAL("min_p", "", 0, 1,
             "draw from tokens with at least this share of the likeliest one's "
             "probability"),
    CLI_REAL("repetition_penalty", "", 1e-3, 1e4, "above 1 makes tokens that are there already less likely"),
    CLI_TEXT("stop", "TEXT", "end an answer before this text; may be given several times"),
    CLI_COUNT("n", "1", 1, 1e6, "answers to each prompt"),
    CLI_COUNT("seed", "0", 0, 9e15, "seed of the draws"),
    CLI_COUNT("batch", "", 1, 1e5, "answers in flight; never changes results in f32"),
    CLI_TEXT("dtype", "f32|bf16",
             "number format of matrix products; default: bf16 where the "
             "weights are"),
    CLI_TEXT("chat_template", "NAME|FILE", "chat template to use instead of the folder's"),
    CLI_SWITCH("chat", "a text is what a user says: the chat template goes around it"),
    CLI_SWITCH("raw", "prompts are texts, taken as they are; messages are refused"),
    CLI_TEXT("out", "FILE", "the rows with their answers as JSON lines"),
    CLI_COUNT("threads", "0", 0, 1024, "worker threads, 0 = one per core; never changes results"),
    CLI_SWITCH("json", "end with one JSON object on stdout, tokens and "
                       "log-probabilities included"),
    CLI_SWITCH("quiet", "no figures, warnings and errors only"),
};

/* How answers are shown. */
typedef struct shown {
    bool streams, blocks; /* one answer as it comes; several, each with a line of heading */
    bool started;
    json_t *list; /* of --json */
} shown;

static void on_text(void *user, int64_t prompt, int sample, const char *text) {
    (void)user, (void)prompt, (void)sample;
    fputs(text, stdout);
    fflush(stdout);
}

static json_t *answer_json(const rein_answer *a) {
    json_t *o = json_object(), *ids = json_array(), *logprobs = json_array();
    cli_json_whole(o, "prompt", a->prompt);
    cli_json_whole(o, "sample", a->sample);
    cli_json_text(o, "text", a->text);
    cli_json_text(o, "finish", a->finish);
    for (int i = 0; i < a->n; i++) {
        json_array_append_new(ids, json_integer(a->ids[i]));
        json_array_append_new(logprobs, json_real((double)a->logprobs[i]));
    }
    json_object_set_new(o, "ids", ids);
    json_object_set_new(o, "logprobs", logprobs);
    return o;
}

static void on_answer(void *user, const rein_answer *a) {
    shown *s = user;
    if (s->streams) {
        putchar('\n');
    } else if (s->blocks) {
        printf("%s--- prompt %lld, answer %d: %d tokens, %s\n%s\n", s->started ? "\n" : "",
               (long long)a->prompt + 1, a->sample + 1, a->n, a->finish, a->text);
        fflush(stdout);
    }
    if (s->list)
        json_array_append_new(s->list, answer_json(a));
    s->started = true;
}

static void print_json(const rein_generate_summary *s, json_t *answers) {
    json_t *o = json_object();
    if (answers)
        json_object_set_new(o, "answers", answers);
    cli_json_whole(o, "prompts", s->prompts);
    cli_json_whole(o, "samples", s->answers);
    cli_json_whole(o, "prompt_tokens", s->prompt_tokens);
    cli_json_whole(o, "tokens", s->tokens);
    cli_json_real(o, "load_s", s->load_s);
    cli_json_real(o, "wall_s", s->wall_s);
    cli_json_real(o, "tokens_per_s", s->tokens_per_s);
    cli_json_whole(o, "weight_bytes", s->weight_bytes);
    cli_json_whole(o, "cache_bytes", s->cache_bytes);
    cli_json_whole(o, "work_bytes", s->work_bytes);
    cli_json_print(o);
}

void cli_read_sampling(const cli_args *args, rein_sampling_opts *s, const char **stop) {
    const char *const reals[] = {"temperature", "top_p", "min_p", "repetition_penalty"};
    double *const to[] = {&s->temperature, &s->top_p, &s->min_p, &s->repetition_penalty};
    for (int i = 0; i < 4; i++)
        if (cli_text(args, reals[i]))
            *to[i] = cli_real(args, reals[i]);
    if (cli_text(args, "top_k"))
        s->top_k = (int)cli_count(args, "top_k");
    if (cli_text(args, "max_new_tokens"))
        s->max_new_tokens = (int)cli_count(args, "max_new_tokens");
    s->seed = (uint64_t)cli_count(args, "seed");
    for (int i = 0; i < args->n_given; i++)
        if (strcmp(args->given[i].name, "stop") == 0)
            stop[s->n_stop++] = args->given[i].value;
    s->stop = stop;
}

rein_text_model_opts cli_text_model(const cli_args *args) {
    return (rein_text_model_opts){.folder = cli_text(args, "model"),
                                  .adapter = cli_text(args, "adapter"),
                                  .dtype = cli_text(args, "dtype"),
                                  .chat_template = cli_text(args, "chat_template"),
                                  .threads = (int)cli_count(args, "threads")};
}

/* False after printing an error. */
static bool check(const cli_args *args) {
    bool prompt = cli_text(args, "prompt") != NULL, file = cli_text(args, "file") != NULL;
    if (!cli_text(args, "model"))
        cli_usage("no model: name a folder, as in `rein generate --model DIR "
                  "--prompt TEXT`");
    else if (prompt == file)
        cli_usage(prompt ? "--prompt and --file both give prompts; leave one out"
                         : "no prompt: give one with --prompt TEXT or many with "
                           "--file FILE.jsonl");
    else if (cli_switch(args, "raw") && cli_switch(args, "chat"))
        cli_usage("--raw and --chat exclude each other; leave one out");
    else
        return true;
    return false;
}

static int finish(const cli_args *args, rein_status status, const rein_generate_summary *summary, shown *s) {
    if (status != REIN_OK) {
        json_decref(s->list);
        fflush(stdout);
        return cli_failed(status);
    }
    if (!cli_switch(args, "quiet"))
        fprintf(stderr, "rein: %lld tokens in %.2f s, %.1f a second\n", (long long)summary->tokens,
                summary->wall_s, summary->tokens_per_s);
    if (cli_switch(args, "json"))
        print_json(summary, s->list);
    return CLI_DONE;
}

static int generate(const cli_args *args) {
    const char **stop = calloc((size_t)args->n_given + 1, sizeof *stop);
    if (!stop)
        return cli_usage("out of memory");
    rein_generate_opts opts = rein_generate_default();
    opts.model = cli_text_model(args);
    cli_read_sampling(args, &opts.sampling, stop);
    opts.prompt = cli_text(args, "prompt");
    opts.file = cli_text(args, "file");
    opts.raw = cli_switch(args, "raw");
    opts.chat = cli_switch(args, "chat");
    opts.samples = (int)cli_count(args, "n");
    opts.batch = cli_text(args, "batch") ? (int)cli_count(args, "batch") : 0;
    opts.out = cli_text(args, "out");
    bool json = cli_switch(args, "json");
    shown s = {.streams = opts.prompt && opts.samples == 1 && !json, .list = json ? json_array() : NULL};
    s.blocks = !s.streams && !json && !opts.out;
    opts.on_text = s.streams ? on_text : NULL;
    opts.on_answer = on_answer;
    opts.user = &s;
    opts.stop = &cli_stop;
    if (cli_switch(args, "quiet"))
        cli_quiet();
    cli_catch_signals();
    rein_generate_summary summary = {0};
    rein_status status = rein_generate(&opts, &summary);
    free(stop);
    return finish(args, status, &summary, &s);
}

static int run(int argc, char **argv) {
    cli_args args = {
        .command = "rein generate", .options = options, .n_options = cli_verb_generate.n_options};
    int code = CLI_USAGE;
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_generate, NULL);
        code = args.help ? CLI_DONE : check(&args) ? generate(&args) : CLI_USAGE;
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_generate = {
    "generate",
    "generate --model DIR --prompt TEXT | --file FILE",
    "write answers to prompts with a language model",
    "rein generate --model DIR --file prompts.jsonl --n 4 --temperature 1 "
    "--out answers.jsonl",
    CLI_OPTIONS(options),
    run,
};
