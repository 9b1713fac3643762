/*
 * cmd_bench.c - rein bench: how fast this machine runs the parts. Peers and whole runs are measured by bench/.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "measure.h"

static const cli_option options[] = {
    CLI_COUNT("repeats", "5", 1, 1000, "measurements, of which the median counts"),
    CLI_SWITCH("json", "end with one JSON object on stdout"),
};

static const struct {
    const char *name, *doc;
    measure_fn *run;
} benchmarks[] = {
    {"startup", "from process start to the end of `rein version`", measure_startup},
    {"env", "every environment: batched, random actions, one thread, all outputs written", measure_env},
};
enum { N_BENCHMARKS = sizeof benchmarks / sizeof *benchmarks };

void cli_help_benchmarks(void) {
    puts("\nbenchmarks");
    for (int i = 0; i < N_BENCHMARKS; i++)
        printf("  %-34s %s\n", benchmarks[i].name, benchmarks[i].doc);
}

double measure_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double measure_median(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, compare);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

void measure_result(measure *m, const char *name, double value, const char *unit) {
    char number[64];
    snprintf(number, sizeof number, "%.4g", value);
    if (value >= 1e4)
        snprintf(number, sizeof number, "%.0f", value);
    cli_table_add(m->table, name, number, unit, NULL);
    json_t *o = json_object();
    cli_json_text(o, "name", name);
    cli_json_real(o, "value", value);
    cli_json_text(o, "unit", unit);
    json_array_append_new(m->results, o);
}

static int bench_all(const cli_args *args) {
    char choices[256] = "";
    for (int i = 0; i < N_BENCHMARKS; i++)
        snprintf(choices + strlen(choices), sizeof choices - strlen(choices), "%s%s", i ? "|" : "",
                 benchmarks[i].name);
    int only = -1;
    if (args->n_words > 0 && (only = cli_choose("benchmark", choices, args->words[0])) < 0)
        return CLI_USAGE;
    measure m = {
        .repeats = (int)cli_count(args, "repeats"), .table = cli_table_new(), .results = json_array()};
    cli_catch_signals();
    for (int i = 0; i < N_BENCHMARKS && !cli_stop; i++) {
        if (only >= 0 && only != i)
            continue;
        rein_status status = benchmarks[i].run(&m);
        if (status != REIN_OK)
            return cli_failed(status);
    }
    json_t *o = json_object();
    cli_json_text(o, "build", rein_build_info());
    cli_json_text(o, "cpu", rein_cpu_level());
    json_object_set_new(o, "results", m.results);
    if (cli_switch(args, "json"))
        cli_json_print(o);
    else
        cli_table_print(m.table);
    return cli_stop ? CLI_SIGNAL + (int)cli_stop : CLI_DONE;
}

static int run(int argc, char **argv) {
    cli_args args = {
        .command = "rein bench", .options = options, .n_options = cli_verb_bench.n_options, .max_words = 1};
    int code = CLI_USAGE;
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_bench, NULL);
        code = args.help ? CLI_DONE : bench_all(&args);
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_bench = {
    "bench", "bench [NAME]", "measure this machine", "rein bench env", CLI_OPTIONS(options), run,
};
