/*
 * cli.h - the `rein` command: verbs, their options, and how results are shown.
 *
 * Stands on Rein's public headers alone. Options are field rows like everything else that can be set, so forms,
 * ranges and the nearest name come from field.h.
 *
 * Results go to stdout, everything else to stderr. With --json the last line of stdout is one JSON object.
 */
#ifndef REIN_CLI_H
#define REIN_CLI_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <jansson.h>
#include <rein/generate.h>
#include <rein/rein.h>

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_SIGNAL = 128 };

/* ---- options ------------------------------------------------------------------------------------------- */

/* An option of a verb; `value` is its placeholder in help. */
typedef struct cli_option {
    rein_field field;
    const char *value;
} cli_option;

#define CLI_TEXT(name, value, doc)                                                                           \
    { {REIN_FIELD_TEXT, name, "", 0, 0, NULL, doc, 0}, value }
#define CLI_SWITCH(name, doc)                                                                                \
    { {REIN_FIELD_BOOL, name, "false", 0, 1, NULL, doc, 0}, NULL }
#define CLI_COUNT(name, initial, low, high, doc)                                                             \
    { {REIN_FIELD_COUNT, name, initial, low, high, NULL, doc, 0}, "N" }
#define CLI_REAL(name, initial, low, high, doc)                                                              \
    { {REIN_FIELD_REAL, name, initial, low, high, NULL, doc, 0}, "X" }
/* options of several verbs */
#define CLI_MDP                                                                                              \
    CLI_TEXT("mdp", "FILE", "the MDP of a JSON file as the environment: --env Mdp-v0 --env.file=FILE")
#define CLI_ASCII         CLI_SWITCH("ascii", "draw with ASCII characters only")
#define CLI_OPTIONS(rows) (rows), (int)(sizeof(rows) / sizeof *(rows))

typedef struct cli_fields {
    const rein_field *rows;
    int n;
} cli_fields;

typedef struct cli_args {
    /* what is understood, filled by the verb */
    char command[160]; /* "rein train ppo", for hints */
    const cli_option *options;
    int n_options;
    cli_fields passed[2]; /* fields handed on to the library: the run's, the algorithm's */
    bool pass_env;        /* "env.NAME" is handed on */
    bool pass_all;        /* so is every other name: the table is known only to a stored run */
    int max_words;        /* words without dashes that are accepted */
    /* what was found; strings belong to argv */
    bool help;
    int n_words, n_given, n_settings;
    const char **words;
    rein_setting *given;    /* the verb's options */
    rein_setting *settings; /* for the library */
} cli_args;

/* Reads argv, in place. False after printing an error. Release in either case. */
bool cli_args_read(cli_args *args, int argc, char **argv);
void cli_args_release(cli_args *args);
/* Value of an option: the last one given, else NULL (text) or the default. Checked when read. */
const char *cli_text(const cli_args *args, const char *name);
int64_t cli_count(const cli_args *args, const char *name);
double cli_real(const cli_args *args, const char *name);
bool cli_switch(const cli_args *args, const char *name);

/* The environment named by --env, or meant by --mdp, which becomes a setting as well; *env NULL = neither. False
 * after printing an error when both are given. */
bool cli_env(cli_args *args, const char **env);

/* --model, --adapter, --dtype, --chat_template, --threads; and the settings of sampling, with the texts of --stop in `stop`,
 * which has room for every option given. */
rein_text_model_opts cli_text_model(const cli_args *args);
void cli_read_sampling(const cli_args *args, rein_sampling_opts *sampling, const char **stop);
/* rein eval of a language model. */
int cli_eval_text(const cli_args *args);
/* rein eval --model --reward */
int cli_eval_reward(const cli_args *args);

/* Index of text among choices "a|b|c", or -1 after printing an error that names the nearest. */
int cli_choose(const char *what, const char *choices, const char *text);

/* ---- verbs --------------------------------------------------------------------------------------------- */

typedef struct cli_verb {
    const char *name;
    const char *usage; /* after "rein " */
    const char *doc;
    const char *example;
    const cli_option *options;
    int n_options;
    /* argv without "rein" and the verb; returns the exit code */
    int (*run)(int argc, char **argv);
} cli_verb;

extern const cli_verb cli_verb_train_text; /* train, as its help reads for methods on text */
extern const cli_verb cli_verb_train, cli_verb_eval, cli_verb_generate, cli_verb_chat, cli_verb_show,
    cli_verb_label, cli_verb_merge, cli_verb_tokenizer, cli_verb_list, cli_verb_describe, cli_verb_bench,
    cli_verb_version, cli_verb_help;
/* i from 0 until NULL, in the order of `rein help`. */
const cli_verb *cli_verb_at(int i);
/* By name; NULL after printing an error that names the nearest. */
const cli_verb *cli_verb_find(const char *name);

/* The signal that asked to stop, 0 = none. Watched once cli_catch_signals was called. */
extern volatile sig_atomic_t cli_stop;
void cli_catch_signals(void);

/* ---- input --------------------------------------------------------------------------------------------- */

/* Lines of standard input, zeroed at first. */
typedef struct cli_lines {
    char *text;
    size_t n, used, room;
    int64_t number; /* of the last line, from 1 */
} cli_lines;

/* The next line without its end, valid until the next call; NULL at the end, and as soon as a signal asks to stop. */
char *cli_lines_next(cli_lines *lines);
void cli_lines_release(cli_lines *lines);

/* ---- output -------------------------------------------------------------------------------------------- */

/* Of what the library reports, only warnings are shown from here on. */
void cli_quiet(void);
/* "rein: error: ..." on stderr; returns CLI_USAGE. */
int cli_usage(const char *format, ...) REIN_PRINTF(1, 2);
/* The library's sentence for a failed call, on stderr; returns the exit code of the status. */
int cli_failed(rein_status status);

/* Help of a verb, on stdout; the algorithm's fields too when it is not NULL. */
void cli_help_verb(const cli_verb *verb, const rein_algo_info *algo);
void cli_help_command(void);
void cli_help_benchmarks(void);
/* Rows "--name=default   meaning (range)" under a heading. */
void cli_help_fields(const char *heading, const char *prefix, const rein_field *fields, int n);
/* "0..1", ">= 0", "clip|penalty", "" when everything goes. */
void cli_range(const rein_field *field, char *out, size_t size);

/* Aligned columns: cells are copied; a NULL cell ends a row. */
typedef struct cli_table cli_table;
cli_table *cli_table_new(void);
void cli_table_add(cli_table *table, const char *first, ...) __attribute__((sentinel));
/* A line without indentation; the columns go on below it. */
void cli_table_heading(cli_table *table, const char *text);
/* Prints with two spaces of indentation and frees. */
void cli_table_print(cli_table *table);

/* What stdout can show: width, colours and characters of a picture. Colours only on a terminal, when neither
 * NO_COLOR nor a dumb TERM speaks against them; UTF-8 when the locale says so and ASCII is not asked for. */
rein_picture_opts cli_picture_opts(bool ascii);

/* Text that is not UTF-8 is made so; numbers that are not finite become null. */
void cli_json_text(json_t *object, const char *key, const char *text);
void cli_json_real(json_t *object, const char *key, double value);
void cli_json_whole(json_t *object, const char *key, int64_t value);
/* One line on stdout; frees. */
void cli_json_print(json_t *object);
/* Summary of a run on a language model: into an object, or as a table on stdout. */
void cli_json_language(json_t *object, const rein_summary *s);
void cli_print_language(const rein_summary *s);
/* [{"name": ..., "kind": ..., "default": ..., ...}, ...] */
json_t *cli_json_fields(const rein_field *fields, int n);

#endif
