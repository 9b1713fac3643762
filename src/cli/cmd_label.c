/*
 * cmd_label.c - rein label: answers are shown, a person types which is better; or a program or a reward decides.
 *
 * Plain lines, nothing that needs a terminal: what is typed may come through a pipe.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <rein/label.h>
#include "cli.h"

static const cli_option options[] = {
    CLI_TEXT("data", "FILE", "answers as JSON lines, as `rein generate --n 4 --out FILE` writes them"),
    CLI_TEXT("out", "FILE", "preferences as JSON lines; where the file is there, labelling goes on"),
    CLI_TEXT("as", "pairs|ranking|unpaired",
             "what is decided: which of two, the order of all, good or bad (pairs)"),
    CLI_COUNT("pairs", "0", -1, 1e6,
              "pairs of a prompt, at most; 0 = none of its answers twice, -1 = all pairs"),
    CLI_COUNT("seed", "0", 0, 9e15, "seed of the order in which answers are shown and paired"),
    CLI_SWITCH("skipped", "ask again what was skipped"),
    CLI_TEXT("judge", "COMMAND", "a program decides, asked in JSON lines"),
    CLI_SWITCH("both_orders", "a judge is asked twice, with the answers the other way round too"),
    CLI_TEXT("reward", "SPEC", "a reward decides, as in `rein train grpo --reward`"),
    CLI_TEXT("tokenizer", "DIR", "folder of the tokenizer, for rewards that count tokens or are models"),
    CLI_TEXT("chat_template", "NAME|FILE", "chat template to use instead of that folder's"),
    CLI_REAL("reward_timeout", "60", 0.001, 1e9, "seconds of a program for a question"),
    CLI_COUNT("reward_restarts", "2", 0, 1e6, "restarts of a program that died or hung"),
    CLI_COUNT("reward_memory_mb", "0", 0, 1e9, "memory of a program's processes, each; 0 = any"),
    CLI_COUNT("reward_cpu_seconds", "0", 0, 1e9, "processor time of a program's processes, each; 0 = any"),
    CLI_COUNT("threads", "0", 0, 1024, "worker threads of a reward model, 0 = one per core"),
    CLI_SWITCH("json", "end with one JSON object on stdout"),
    CLI_SWITCH("quiet", "no figures, warnings and errors only"),
};

typedef struct session {
    rein_label *label;
    const char *as, *out;
    bool terminal, quiet, json;
    time_t said; /* when progress was, of a judge */
} session;

/* ---- what is shown ----------------------------------------------------------------------------------------- */

/* Indented; what would move the cursor or change colours is made visible: the text is a model's. */
static void print_text(const char *text) {
    fputs("    ", stdout);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '\n')
            fputs("\n    ", stdout);
        else if ((*c < ' ' && *c != '\t') || *c == 127)
            printf("^%c", *c ^ 64);
        else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
            printf("\\u%04x", *++c);
        else
            putchar(*c);
    }
    putchar('\n');
}

static void print_progress(FILE *to, const rein_label *label) {
    rein_label_state s = rein_label_look(label);
    fprintf(to, "%lld/%lld decided, %lld tie%s, %lld skipped", (long long)s.decided, (long long)s.questions,
            (long long)s.ties, s.ties == 1 ? "" : "s", (long long)s.skipped);
}

static const char *keys(const rein_label_question *q) {
    return q->n == 1   ? "y good, n bad, s skip, u undo, q quit, ? help"
           : q->n == 2 ? "1 or 2 is better, = tie, s skip, u undo, q quit, ? help"
                       : "best first, as in 2 > 1 = 3; = tie, s skip, u undo, q quit, ? help";
}

static void show(const session *s, const rein_label_question *q) {
    fputs("\n---- ", stdout);
    print_progress(stdout, s->label);
    printf(" ----\nprompt, line %lld\n", (long long)q->line);
    print_text(q->prompt);
    for (int i = 0; i < q->n; i++) {
        if (q->n > 1)
            printf("answer %d\n", i + 1);
        else
            puts("answer");
        print_text(q->answers[i]);
    }
}

static void print_help(const rein_label_question *q) {
    if (q->n == 1)
        puts("y, yes, good, +   the answer is good\n"
             "n, no, bad, -     the answer is bad");
    else if (q->n == 2)
        puts("1                 answer 1 is better\n"
             "2                 answer 2 is better\n"
             "=                 neither is better: no preference is written");
    else
        puts("2 > 1 = 3         answer 2 is best, 1 and 3 are equal after it; commas and spaces will do for "
             ">,\n"
             "                  and answers that are not named share the last place\n"
             "=                 all are equal: no preference is written");
    puts("s                 skip: `rein label --skipped` asks again\n"
         "u                 undo the last decision, of an earlier day too\n"
         "q                 quit; the same command goes on here");
}

/* ---- a person ---------------------------------------------------------------------------------------------- */

static bool is_key(const char *line, const char *key, const char *word) {
    return strcmp(line, key) == 0 || strcmp(line, word) == 0;
}

/* What was typed is wrong: a person is told and asked again. A pipe ends, because what follows in it would decide other
 * questions than was meant. */
static int refuse(const session *s, rein_status status, int64_t number) {
    if (s->terminal && status == REIN_USAGE) {
        printf("%s\n", rein_error());
        return CLI_DONE;
    }
    fflush(stdout);
    if (status == REIN_USAGE)
        return cli_usage("line %lld of the input: %s", (long long)number, rein_error());
    return cli_failed(status);
}

static int undo(const session *s, int64_t number) {
    rein_status status = rein_label_undo(s->label);
    if (status != REIN_OK)
        return refuse(s, status, number);
    puts("taken back");
    return CLI_DONE;
}

static int decide(const session *s, const char *line, int64_t number) {
    rein_status status = rein_label_decide(s->label, line);
    if (status != REIN_OK)
        return refuse(s, status, number);
    printf("kept: %s\n", rein_label_last(s->label));
    return CLI_DONE;
}

static int read_line(const session *s, const rein_label_question *q, char *line, int64_t number, bool *end) {
    line += strspn(line, " \t");
    size_t n = strlen(line);
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        line[--n] = 0;
    if (n == 0)
        return CLI_DONE;
    *end = is_key(line, "q", "quit");
    if (*end)
        return CLI_DONE;
    if (is_key(line, "?", "help")) {
        print_help(q);
        return CLI_DONE;
    }
    return is_key(line, "u", "undo") ? undo(s, number) : decide(s, line, number);
}

static int ask(const session *s) {
    rein_label_question q;
    cli_lines lines = {0};
    int64_t shown = 0;
    int code = CLI_DONE;
    bool end = false;
    while (code == CLI_DONE && !end && !cli_stop && rein_label_next(s->label, &q)) {
        if (q.number != shown)
            show(s, &q);
        shown = q.number;
        printf(s->terminal ? "(%s) > " : "(%s)\n", keys(&q));
        fflush(stdout);
        char *line = cli_lines_next(&lines);
        if (!line)
            break;
        code = read_line(s, &q, line, lines.number, &end);
    }
    if (s->terminal)
        putchar('\n');
    cli_lines_release(&lines);
    return code;
}

/* ---- a judge ----------------------------------------------------------------------------------------------- */

static void on_decision(void *user, const rein_label *label) {
    session *s = user;
    time_t now = time(NULL);
    if (s->quiet || now < s->said + 2)
        return;
    s->said = now;
    fputs("rein: ", stderr);
    print_progress(stderr, label);
    fputc('\n', stderr);
}

static int judge(const cli_args *args, session *s) {
    const rein_label_judge opts = {.command = cli_text(args, "judge"),
                                   .reward = cli_text(args, "reward"),
                                   .both_orders = cli_switch(args, "both_orders"),
                                   .tokenizer = cli_text(args, "tokenizer"),
                                   .chat_template = cli_text(args, "chat_template"),
                                   .timeout = cli_real(args, "reward_timeout"),
                                   .restarts = (int)cli_count(args, "reward_restarts"),
                                   .memory_mb = cli_count(args, "reward_memory_mb"),
                                   .cpu_seconds = cli_count(args, "reward_cpu_seconds"),
                                   .threads = (int)cli_count(args, "threads"),
                                   .on_decision = on_decision,
                                   .user = s,
                                   .stop = &cli_stop};
    s->said = time(NULL);
    rein_status status = rein_label_run(s->label, &opts);
    return status == REIN_OK ? CLI_DONE : cli_failed(status);
}

/* ---- the whole --------------------------------------------------------------------------------------------- */

static void print_json(const session *s) {
    rein_label_state state = rein_label_look(s->label);
    json_t *o = json_object();
    cli_json_text(o, "as", s->as);
    cli_json_text(o, "out", s->out);
    cli_json_whole(o, "questions", state.questions);
    cli_json_whole(o, "decided", state.decided);
    cli_json_whole(o, "ties", state.ties);
    cli_json_whole(o, "skipped", state.skipped);
    cli_json_whole(o, "others", state.others);
    cli_json_whole(o, "rows", state.rows);
    cli_json_print(o);
}

static void print_end(const session *s) {
    rein_label_state state = rein_label_look(s->label);
    fflush(stdout);
    if (s->json)
        print_json(s);
    if (s->json || s->quiet)
        return;
    print_progress(stdout, s->label);
    printf("; %s has %lld row%s, for rein train %s\n", s->out, (long long)state.rows,
           state.rows == 1 ? "" : "s",
           strcmp(s->as, "ranking") == 0    ? "reward|rrhf"
           : strcmp(s->as, "unpaired") == 0 ? "kto"
                                            : "dpo|reward|kto");
}

/* False after printing an error. */
static bool check(const cli_args *args) {
    if (!cli_text(args, "data"))
        cli_usage("no answers: name a file of them, as in `rein label --data answers.jsonl --out "
                  "preferences.jsonl`");
    else if (!cli_text(args, "out"))
        cli_usage("no file for the preferences: name one with --out FILE");
    else if (cli_text(args, "judge") && cli_text(args, "reward"))
        cli_usage("--judge and --reward both decide; leave one out");
    else if (!cli_text(args, "judge") && cli_switch(args, "both_orders"))
        cli_usage("--both_orders is for --judge; leave it out");
    else if (!cli_text(args, "reward") && cli_text(args, "tokenizer"))
        cli_usage("--tokenizer is for --reward; leave it out");
    else
        return true;
    return false;
}

static int label(const cli_args *args) {
    session s = {.as = cli_text(args, "as") ? cli_text(args, "as") : "pairs",
                 .out = cli_text(args, "out"),
                 .terminal = isatty(STDIN_FILENO),
                 .quiet = cli_switch(args, "quiet"),
                 .json = cli_switch(args, "json")};
    const rein_label_opts opts = {.data = cli_text(args, "data"),
                                  .out = s.out,
                                  .as = s.as,
                                  .seed = (uint64_t)cli_count(args, "seed"),
                                  .pairs = (int)cli_count(args, "pairs"),
                                  .skipped = cli_switch(args, "skipped")};
    if (s.quiet)
        cli_quiet();
    cli_catch_signals();
    rein_status status = rein_label_open(&opts, &s.label);
    if (status != REIN_OK)
        return cli_failed(status);
    bool judged = cli_text(args, "judge") || cli_text(args, "reward");
    int code = judged ? judge(args, &s) : ask(&s);
    if (code == CLI_DONE && cli_stop)
        code = CLI_SIGNAL + cli_stop;
    if (code != CLI_USAGE)
        print_end(&s);
    rein_label_close(s.label);
    return code;
}

static int run(int argc, char **argv) {
    cli_args args = {.command = "rein label", .options = options, .n_options = cli_verb_label.n_options};
    int code = CLI_USAGE;
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_label, NULL);
        code = args.help ? CLI_DONE : check(&args) ? label(&args) : CLI_USAGE;
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_label = {
    "label",
    "label --data FILE --out FILE",
    "say which answers are better, in the terminal or by a program",
    "rein label --data answers.jsonl --out preferences.jsonl",
    CLI_OPTIONS(options),
    run,
};
