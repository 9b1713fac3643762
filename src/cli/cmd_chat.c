/*
 * cmd_chat.c - rein chat: a conversation with a language model, a line at a
 * time, on a terminal or through pipes.
 */
#include "cli.h"
#include <rein/generate.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_option options[] = {
    CLI_TEXT("model", "DIR", "folder of a model, as Transformers writes it"),
    CLI_TEXT("adapter", "DIR", "folder of a LoRA adapter for it"),
    CLI_TEXT("system", "TEXT", "system message to begin with"),
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
    CLI_COUNT("seed", "0", 0, 9e15, "seed of the draws"),
    CLI_TEXT("dtype", "f32|bf16",
             "number format of matrix products; default: bf16 where the "
             "weights are"),
    CLI_TEXT("chat_template", "NAME|FILE", "chat template to use instead of the folder's"),
    CLI_COUNT("threads", "0", 0, 1024, "worker threads, 0 = one per core; never changes results"),
    CLI_SWITCH("quiet", "no figures, warnings and errors only"),
};

static const char commands[] = "/reset forgets the conversation, /system TEXT begins a new one with this "
                               "system message, "
                               "/quit ends, /help shows this; everything else is said to the model";

typedef struct talk {
    rein_chat *chat;
    char *system;
    bool quiet, terminal;
} talk;

static void on_text(void *user, const char *text) {
    (void)user;
    fputs(text, stdout);
    fflush(stdout);
}

/* The message as if it had not been said, and the reason. What a terminal shows
 * goes on; a pipe ends with the failure. */
static int not_said(const talk *t, rein_status status) {
    if (status == REIN_INTERRUPTED)
        putchar('\n');
    int code = cli_failed(status);
    return t->terminal && status == REIN_USAGE ? CLI_DONE : code;
}

static int say(const talk *t, const char *line) {
    rein_status status = rein_chat_say(t->chat, line, on_text, NULL, &cli_stop, NULL);
    if (status != REIN_OK)
        return not_said(t, status);
    putchar('\n');
    fflush(stdout);
    rein_chat_state state = rein_chat_look(t->chat);
    if (!t->quiet && strcmp(state.finish, "length") == 0)
        fprintf(stderr,
                "rein: the answer was cut after %d tokens; --max_new_tokens allows "
                "more\n",
                state.answered);
    return CLI_DONE;
}

static int begin(talk *t, const char *system) {
    if (system) {
        char *copy = strdup(system);
        if (!copy)
            return cli_usage("out of memory");
        free(t->system);
        t->system = copy;
    }
    rein_status status = rein_chat_reset(t->chat, t->system);
    return status == REIN_OK ? CLI_DONE : not_said(t, status);
}

/* A line; *end is set by /quit. */
static int read_line(talk *t, char *line, bool *end) {
    size_t n = strcspn(line, "\r\n");
    line[n] = 0;
    if (n == 0)
        return CLI_DONE;
    if (line[0] != '/')
        return say(t, line);
    *end = strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0;
    if (*end)
        return CLI_DONE;
    if (strcmp(line, "/reset") == 0)
        return begin(t, NULL);
    if (strncmp(line, "/system ", 8) == 0)
        return begin(t, line + 8);
    if (strncmp(line, "//", 2) == 0)
        return say(t, line + 1);
    fprintf(stderr, "rein: %s (a line that begins with // is said with one /)\n", commands);
    return strcmp(line, "/help") == 0 || t->terminal ? CLI_DONE : CLI_USAGE;
}

static int converse(talk *t) {
    cli_lines lines = {0};
    int code = CLI_DONE;
    bool end = false;
    while (code == CLI_DONE && !end && !cli_stop) {
        if (t->terminal) {
            fputs("> ", stderr);
            fflush(stderr);
        }
        char *line = cli_lines_next(&lines);
        if (!line)
            break;
        code = read_line(t, line, &end);
    }
    cli_lines_release(&lines);
    return code == CLI_DONE && cli_stop ? CLI_SIGNAL + cli_stop : code;
}

static int chat(const cli_args *args) {
    if (!cli_text(args, "model"))
        return cli_usage("no model: name a folder, as in `rein chat --model DIR`");
    const char **stop = calloc((size_t)args->n_given + 1, sizeof *stop);
    if (!stop)
        return cli_usage("out of memory");
    talk t = {.quiet = cli_switch(args, "quiet"), .terminal = isatty(STDIN_FILENO)};
    rein_text_model_opts model = cli_text_model(args);
    rein_sampling_opts sampling = rein_generate_default().sampling;
    cli_read_sampling(args, &sampling, stop);
    if (cli_text(args, "system"))
        t.system = strdup(cli_text(args, "system"));
    if (t.quiet)
        cli_quiet();
    cli_catch_signals();
    rein_status status = rein_chat_open(&model, &sampling, t.system, &t.chat);
    free(stop);
    if (status == REIN_OK && !t.quiet && !rein_chat_look(t.chat).has_template)
        fputs("rein: warning: the model has no chat template; messages follow one "
              "another as \"User:\" and "
              "\"Assistant:\", see --chat_template\n",
              stderr);
    if (status == REIN_OK && t.terminal && !t.quiet)
        fprintf(stderr, "rein: %s\n", commands);
    int code = status == REIN_OK ? converse(&t) : cli_failed(status);
    rein_chat_close(t.chat);
    free(t.system);
    return code;
}

static int run(int argc, char **argv) {
    cli_args args = {.command = "rein chat", .options = options, .n_options = cli_verb_chat.n_options};
    int code = CLI_USAGE;
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_chat, NULL);
        code = args.help ? CLI_DONE : chat(&args);
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_chat = {
    "chat",
    "chat --model DIR",
    "talk to a language model",
    "rein chat --model DIR --system \"Answer in one sentence.\"",
    CLI_OPTIONS(options),
    run,
};
