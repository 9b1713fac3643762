/*
 * cmd_help.c - help of the command, of every verb and of every algorithm, printed from the tables.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

/* short and exact: 1e6 rather than 1000000 or 1e+06, but 1048576 */
static void print_number(char out[32], double value) {
    snprintf(out, 32, "%.0e", value);
    if (fabs(value) < 1e5 || strtod(out, NULL) != value)
        snprintf(out, 32, "%.12g", value);
    char *e = strchr(out, 'e');
    if (e) {
        char *digits = e + 1 + (e[1] == '-'), *kept = digits + strspn(digits, "+0");
        memmove(digits, kept, strlen(kept) + 1);
    }
}

void cli_range(const rein_field *field, char *out, size_t size) {
    char low[32], high[32];
    out[0] = 0;
    if (field->kind == REIN_FIELD_ENUM)
        snprintf(out, size, "%s", field->choices);
    if (field->kind == REIN_FIELD_ENUM || field->kind == REIN_FIELD_TEXT || field->kind == REIN_FIELD_BOOL)
        return;
    bool from = isfinite(field->low) && field->low > -1e300,
         to = isfinite(field->high) && field->high < 1e300;
    print_number(low, field->low);
    print_number(high, field->high);
    if (from && to)
        snprintf(out, size, "%s..%s", low, high);
    else if (from)
        snprintf(out, size, ">= %s", low);
    else if (to)
        snprintf(out, size, "<= %s", high);
}

static void print_row(const char *left, const char *doc, const char *range) {
    printf("  %-34s %s", left, doc);
    if (*range)
        printf(" [%s]", range);
    putchar('\n');
}

void cli_help_fields(const char *heading, const char *prefix, const rein_field *fields, int n) {
    printf("\n%s\n", heading);
    for (int i = 0; i < n; i++) {
        char left[192], range[256];
        snprintf(left, sizeof left, "--%s%s=%s", prefix, fields[i].name,
                 *fields[i].initial ? fields[i].initial : "TEXT");
        cli_range(&fields[i], range, sizeof range);
        print_row(left, fields[i].doc, range);
    }
}

static void print_options(const cli_verb *verb) {
    puts("\noptions");
    for (int i = 0; i < verb->n_options; i++) {
        const rein_field *f = &verb->options[i].field;
        char left[192], range[256];
        if (f->kind == REIN_FIELD_BOOL)
            snprintf(left, sizeof left, "--%s", f->name);
        else
            snprintf(left, sizeof left, "--%s=%s", f->name,
                     *f->initial ? f->initial : verb->options[i].value);
        cli_range(f, range, sizeof range);
        print_row(left, f->doc, range);
    }
    print_row("--help", "this text", "");
}

/* files are fields like the rest here, and there is no environment */
static void print_language_fields(const rein_algo_info *algo) {
    char heading[128];
    snprintf(heading, sizeof heading, "fields of %s, with their defaults", algo->name);
    cli_help_fields(heading, "", algo->fields, algo->n_fields);
    puts("\n--name=value and --name value are the same, so are - and _, and --lr means --learning_rate.");
}

static void print_train_fields(const rein_algo_info *algo) {
    int n;
    const rein_field *fields = rein_run_fields(&n);
    cli_help_fields("fields of every run, with their defaults (presets differ)", "", fields, n);
    if (algo) {
        char heading[128];
        snprintf(heading, sizeof heading, "fields of %s, with their defaults (presets differ)", algo->name);
        cli_help_fields(heading, "", algo->fields, algo->n_fields);
        puts("\n--name=value and --name value are the same, so are - and _, and --lr means --learning_rate.\n"
             "Numbers may be written 1e6, 100k or 2M; schedules lin_3e-4 (linear to 0) or cos_3e-4_1e-5.\n"
             "--env.NAME=VALUE sets a field of the environment; `rein describe ENV` shows them.");
        return;
    }
    rein_algo_info each;
    puts("\nalgorithms (`rein train ALGO --help` shows the fields of one)");
    for (int i = 0; rein_algo_at(i, &each); i++)
        print_row(each.name, each.doc, each.family);
}

static void print_wrap_fields(void) {
    int n;
    const rein_field *fields = rein_wrap_fields(&n);
    cli_help_fields("wrappers around the environment, where other than the policy's own", "", fields, n);
}

void cli_help_verb(const cli_verb *verb, const rein_algo_info *algo) {
    bool text = verb == &cli_verb_train && algo && strcmp(algo->family, "language") == 0;
    if (text)
        verb = &cli_verb_train_text;
    printf("usage: rein %s\n\n", verb->usage);
    if (algo)
        printf("%s: %s\n", algo->name, algo->doc);
    else
        printf("%c%s.\n", verb->doc[0] - 'a' + 'A', verb->doc + 1);
    if (verb->example)
        printf("Example: %s\n", verb->example);
    print_options(verb);
    if (text)
        print_language_fields(algo);
    else if (verb == &cli_verb_train)
        print_train_fields(algo);
    else if (verb == &cli_verb_bench)
        cli_help_benchmarks();
    else if (verb == &cli_verb_eval)
        print_wrap_fields();
}

void cli_help_command(void) {
    const cli_verb *verb;
    puts("Rein trains policies.\n\nusage: rein VERB ...\n");
    for (int i = 0; (verb = cli_verb_at(i)); i++)
        printf("  %-9s %s\n", verb->name, verb->doc);
    puts("\nStart with\n"
         "  rein train ppo --env CartPole-v1\n"
         "`rein VERB --help` tells more. Results go to stdout, progress and errors to stderr.\n"
         "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 and 143 interrupted (a checkpoint was saved).");
}

/* ---- the verb ------------------------------------------------------------------------------------------ */

static bool is_algo(const char *name, rein_algo_info *algo) {
    for (int i = 0; rein_algo_at(i, algo); i++)
        if (strcmp(algo->name, name) == 0)
            return true;
    return false;
}

/* rein help train ppo = rein help ppo = rein train ppo --help */
static int run(int argc, char **argv) {
    static char help[] = "--help";
    if (argc == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
        strcmp(argv[0], "help") == 0) {
        cli_help_command();
        return CLI_DONE;
    }
    rein_algo_info algo;
    if (argc == 1 && is_algo(argv[0], &algo)) {
        cli_help_verb(&cli_verb_train, &algo);
        return CLI_DONE;
    }
    const cli_verb *verb = cli_verb_find(argv[0]);
    if (!verb)
        return CLI_USAGE;
    if (argc > 2)
        return cli_usage("\"%s\" is one word too many; `rein help train ppo` is the longest form", argv[2]);
    char *words[2] = {argc > 1 ? argv[1] : help, help};
    return verb->run(argc, words);
}

const cli_verb cli_verb_help = {
    "help", "help [VERB [ALGO]]", "this text, or the help of a verb or an algorithm", NULL, NULL, 0, run,
};
