/*
 * main.c - the `rein` command: finds the verb, catches signals, minds the exit code.
 *
 * Exit codes: 0 done, 1 failed at run time, 2 wrong usage, 128 + signal when interrupted (after saving).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

static const cli_verb *const verbs[] = {
    &cli_verb_train, &cli_verb_eval,    &cli_verb_generate,  &cli_verb_chat, &cli_verb_label,
    &cli_verb_merge, &cli_verb_show,    &cli_verb_tokenizer, &cli_verb_list, &cli_verb_describe,
    &cli_verb_bench, &cli_verb_version, &cli_verb_help,
};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

const cli_verb *cli_verb_at(int i) {
    return i >= 0 && i < N_VERBS ? verbs[i] : NULL;
}

/* ---- signals ------------------------------------------------------------------------------------------- */

volatile sig_atomic_t cli_stop;

static const int stop_signals[] = {SIGINT, SIGTERM};
enum { N_STOP_SIGNALS = sizeof stop_signals / sizeof *stop_signals };

/* The first signal asks for a clean stop; a second one, of either kind, kills. */
static void on_signal(int number) {
    static const char text[] = "\nrein: stopping, once more to quit at once\n";
    int saved = errno;
    cli_stop = number;
    for (int i = 0; i < N_STOP_SIGNALS; i++)
        signal(stop_signals[i], SIG_DFL);
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    errno = saved;
}

void cli_catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < N_STOP_SIGNALS; i++) {
        /* what nohup and shells' background jobs ignore stays ignored */
        if (sigaction(stop_signals[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN)
            continue;
        sigaction(stop_signals[i], &action, NULL);
    }
    /* a reader of our output that goes away must not take the run with it */
    signal(SIGPIPE, SIG_IGN);
}

/* ---- dispatch ------------------------------------------------------------------------------------------ */

static bool warnings_only;

void cli_quiet(void) {
    warnings_only = true;
}

static void print_log(void *user, rein_log_level level, const char *line) {
    const bool *quiet = user;
    if (level == REIN_LOG_WARNING || (level == REIN_LOG_INFO && !*quiet))
        fprintf(stderr, "rein: %s%s\n", level == REIN_LOG_WARNING ? "warning: " : "", line);
}

const cli_verb *cli_verb_find(const char *name) {
    char choices[256] = "";
    size_t used = 0;
    for (int i = 0; i < N_VERBS && used < sizeof choices; i++)
        used +=
            (size_t)snprintf(choices + used, sizeof choices - used, "%s%s", i > 0 ? "|" : "", verbs[i]->name);
    int i = cli_choose("command", choices, name);
    return i < 0 ? NULL : verbs[i];
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        cli_usage("no command; rein help shows them");
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cli_verb_help.run(0, NULL);
    if (strcmp(argv[1], "--version") == 0)
        return cli_verb_version.run(0, NULL);
    const cli_verb *verb = cli_verb_find(argv[1]);
    return verb ? verb->run(argc - 2, argv + 2) : CLI_USAGE;
}

int main(int argc, char **argv) {
    rein_set_log(print_log, &warnings_only);
    int code = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "rein: error: writing the results failed: %s\n", strerror(errno));
        return code ? code : CLI_FAILED;
    }
    return code;
}
