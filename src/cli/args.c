/*
 * args.c - the command line: --name=value, --name value, switches and plain words.
 */
#include <stdlib.h>
#include <string.h>
#include "cli.h"

static const cli_option *find_option(const cli_args *args, const char *name) {
    for (int i = 0; i < args->n_options; i++)
        if (strcmp(args->options[i].field.name, name) == 0)
            return &args->options[i];
    return NULL;
}

static const rein_field *find_passed(const cli_args *args, const char *name) {
    for (int k = 0; k < 2; k++) {
        int i = rein_fields_find(args->passed[k].rows, args->passed[k].n, name);
        if (i >= 0)
            return &args->passed[k].rows[i];
    }
    return NULL;
}

/* Every name in one table, so that field.h finds the nearest. */
static bool fail_unknown(const cli_args *args, const char *name) {
    int n = args->n_options + args->passed[0].n + args->passed[1].n;
    rein_field *all = calloc((size_t)n + 1, sizeof *all);
    if (all) {
        int at = 0;
        for (int i = 0; i < args->n_options; i++)
            all[at++] = args->options[i].field;
        for (int k = 0; k < 2; k++)
            for (int i = 0; i < args->passed[k].n; i++)
                all[at++] = args->passed[k].rows[i];
        if (rein_fields_set(all, n, NULL, name, "") != REIN_OK)
            cli_usage("%s; `%s --help` lists them", rein_error(), args->command);
        free(all);
    }
    return false;
}

static bool is_bool_word(const char *text) {
    static const char *const words[] = {"true", "false", "yes", "no", "1", "0"};
    for (int i = 0; i < 6; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

/* Checks an option's value against its row without keeping it. */
static bool check_option(const cli_option *option, const char *value) {
    union {
        int flag;
        int64_t whole;
        double real;
    } scratch;
    if (option->field.kind == REIN_FIELD_TEXT) {
        if (*value || strcmp(option->value, "TEXT") == 0) /* a prompt may be empty, a file's name not */
            return true;
        cli_usage("--%s is empty, expected %s", option->field.name, option->value);
        return false;
    }
    if (rein_fields_set(&option->field, 1, &scratch, option->field.name, value) == REIN_OK)
        return true;
    cli_usage("--%s", rein_error());
    return false;
}

/* The value of --name at argv[*i]: after the equals sign, else the next word; switches may go without. */
static const char *take_value(const rein_field *field, bool is_option, char *equals, int argc, char **argv,
                              int *i) {
    if (equals)
        return equals;
    const char *next = *i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0 ? argv[*i + 1] : NULL;
    if (field && field->kind == REIN_FIELD_BOOL && (is_option || !next || !is_bool_word(next)))
        return "true";
    if (next)
        ++*i;
    return next;
}

/* Takes the name apart in place: "--total-steps=5" leaves "total_steps" and returns "5". */
static char *cut_name(char *name) {
    for (; *name && *name != '='; name++)
        if (*name == '-')
            *name = '_';
    if (!*name)
        return NULL;
    *name = 0;
    return name + 1;
}

static bool read_flag(cli_args *args, int argc, char **argv, int *i) {
    char *name = argv[*i] + 2;
    char *equals = cut_name(name);
    if (strcmp(name, "help") == 0) {
        args->help = true;
        return true;
    }
    const cli_option *option = find_option(args, name);
    const rein_field *field = option ? &option->field : find_passed(args, name);
    const char *full = name;
    if (!field && strcmp(name, "lr") == 0 && (args->pass_all || find_passed(args, "learning_rate"))) {
        full = "learning_rate";
        field = find_passed(args, full);
    }
    bool env = args->pass_env && strncmp(name, "env.", 4) == 0;
    if (!field && !env && !args->pass_all)
        return fail_unknown(args, name);
    const char *value = take_value(field, option != NULL, equals, argc, argv, i);
    if (!value) {
        cli_usage("--%s needs a value, as in --%s=%s", name, name,
                  option                     ? option->value
                  : field && *field->initial ? field->initial
                                             : "VALUE");
        return false;
    }
    if (option && !check_option(option, value))
        return false;
    rein_setting setting = {full, value};
    if (option)
        args->given[args->n_given++] = setting;
    else
        args->settings[args->n_settings++] = setting;
    return true;
}

static bool read_word(cli_args *args, const char *word) {
    if (args->n_words < args->max_words) {
        args->words[args->n_words++] = word;
        return true;
    }
    cli_usage("\"%s\" is one word too many; `%s --help` shows the usage", word, args->command);
    return false;
}

bool cli_args_read(cli_args *args, int argc, char **argv) {
    size_t room = (size_t)argc + 1;
    args->words = calloc(room, sizeof *args->words);
    args->given = calloc(room, sizeof *args->given);
    args->settings = calloc(room, sizeof *args->settings);
    if (!args->words || !args->given || !args->settings) {
        cli_usage("out of memory");
        return false;
    }
    bool words_only = false;
    for (int i = 0; i < argc; i++) {
        if (words_only || argv[i][0] != '-' || argv[i][1] == 0) {
            if (!read_word(args, argv[i]))
                return false;
        } else if (strcmp(argv[i], "--") == 0) {
            words_only = true;
        } else if (strcmp(argv[i], "-h") == 0) {
            args->help = true;
        } else if (argv[i][1] != '-') {
            cli_usage("\"%s\" is not understood: options begin with two dashes, as in --%s", argv[i],
                      argv[i] + 1);
            return false;
        } else if (!read_flag(args, argc, argv, &i)) {
            return false;
        }
    }
    return true;
}

void cli_args_release(cli_args *args) {
    free(args->words);
    free(args->given);
    free(args->settings);
}

const char *cli_text(const cli_args *args, const char *name) {
    const char *value = NULL;
    for (int i = 0; i < args->n_given; i++)
        if (strcmp(args->given[i].name, name) == 0)
            value = args->given[i].value;
    return value;
}

/* Given or default value of an option, into the type of its kind. */
static void get_value(const cli_args *args, const char *name, void *out) {
    const cli_option *option = find_option(args, name);
    const char *given = cli_text(args, name);
    if (option)
        rein_fields_set(&option->field, 1, out, name, given ? given : option->field.initial);
}

int64_t cli_count(const cli_args *args, const char *name) {
    int64_t value = 0;
    get_value(args, name, &value);
    return value;
}

double cli_real(const cli_args *args, const char *name) {
    double value = 0;
    get_value(args, name, &value);
    return value;
}

bool cli_switch(const cli_args *args, const char *name) {
    int value = 0;
    get_value(args, name, &value);
    return value != 0;
}

bool cli_env(cli_args *args, const char **env) {
    static const char mdp_env[] = "Mdp-v0";
    const char *file = cli_text(args, "mdp");
    *env = cli_text(args, "env");
    if (!file)
        return true;
    if (*env && strcmp(*env, mdp_env) != 0) {
        cli_usage("--mdp %s is an environment by itself; leave out --env %s", file, *env);
        return false;
    }
    for (int i = 0; i < args->n_settings; i++)
        if (strcmp(args->settings[i].name, "env.file") == 0) {
            cli_usage("--mdp and --env.file both name a file; leave one out");
            return false;
        }
    *env = mdp_env;
    /* there is room: --mdp itself is an argument that is not among them */
    args->settings[args->n_settings++] = (rein_setting){"env.file", file};
    return true;
}

int cli_choose(const char *what, const char *choices, const char *text) {
    rein_field field = {REIN_FIELD_ENUM, what, "", 0, 0, choices, "", 0};
    int index = -1;
    if (rein_fields_set(&field, 1, &index, what, text) != REIN_OK)
        cli_usage("%s", rein_error());
    return index;
}
