/*
 * settings.c - defaults, preset, file and settings become one checked setup; what a resume may change.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "run/presets.h"
#include "run/settings.h"
#include "run/wrapping.h"

#define REIN_FIELD_OWNER rein_run_config
static const rein_field run_fields[] = {REIN_FIELDS_TABLE(REIN_RUN_FIELDS)};
#define N_RUN_FIELDS (int)(sizeof run_fields / sizeof *run_fields)

const rein_field *rein_run_fields(int *n) {
    *n = N_RUN_FIELDS;
    return run_fields;
}

/* ---- the three tables of a setup --------------------------------------------------------------------- */

typedef struct table {
    const char *prefix;
    const rein_field *fields;
    int n;
    void *values;
} table;

#define N_TABLES 3
static void tables_of(const reini_setup *setup, table out[N_TABLES]) {
    out[0] = (table){"", run_fields, N_RUN_FIELDS, (void *)&setup->run};
    out[1] = (table){"", setup->algo->fields, setup->algo->n_fields, setup->algo_config};
    out[2] =
        (table){"env.", setup->env->fields, setup->env_config ? setup->env->n_fields : 0, setup->env_config};
}

rein_status reini_setup_init(reini_setup *setup, const reini_algo *algo, const rein_env_type *env) {
    *setup = (reini_setup){.algo = algo, .env = env, .preset = "none", .seeds = 1};
    setup->algo_config = reini_new(algo->config_size);
    setup->env_config = env->config_size ? reini_new(env->config_size) : NULL;
    if (!setup->algo_config || (env->config_size && !setup->env_config))
        return reini_fail_memory(algo->config_size + env->config_size, "the settings");
    table tables[N_TABLES];
    tables_of(setup, tables);
    for (int t = 0; t < N_TABLES; t++)
        if (tables[t].n > 0)
            rein_fields_default(tables[t].fields, tables[t].n, tables[t].values);
    return REIN_OK;
}

void reini_setup_release(reini_setup *setup) {
    if (setup->is_open)
        rein_env_close(&setup->opened);
    reini_free(setup->algo_config);
    reini_free(setup->env_config);
    *setup = (reini_setup){0};
}

rein_status reini_setup_copy(reini_setup *to, const reini_setup *from) {
    REINI_TRY(reini_setup_init(to, from->algo, from->env));
    memcpy(to->preset, from->preset, sizeof to->preset);
    to->seeds = from->seeds;
    to->run = from->run;
    memcpy(to->algo_config, from->algo_config, from->algo->config_size);
    if (to->env_config)
        memcpy(to->env_config, from->env_config, from->env->config_size);
    return REIN_OK;
}

bool reini_setup_at(const reini_setup *setup, int i, reini_value *out) {
    table tables[N_TABLES];
    tables_of(setup, tables);
    for (int t = 0; t < N_TABLES; i -= tables[t].n, t++) {
        if (i >= tables[t].n)
            continue;
        const rein_field *field = &tables[t].fields[i];
        snprintf(out->name, sizeof out->name, "%s%s", tables[t].prefix, field->name);
        rein_field_print(field, tables[t].values, out->text, sizeof out->text);
        return true;
    }
    return false;
}

/* no table has the name: the nearest of all names is suggested */
static rein_status fail_unknown(const reini_setup *setup, const char *name) {
    int n = 0;
    reini_value value;
    while (reini_setup_at(setup, n, &value))
        n++;
    char(*text)[REINI_NAME_MAX] = reini_new_array((size_t)n, REINI_NAME_MAX);
    const char **names = reini_new_array((size_t)n, sizeof *names);
    const char *near = NULL;
    if (text && names) {
        for (int i = 0; reini_setup_at(setup, i, &value); i++)
            names[i] = memcpy(text[i], value.name, sizeof value.name);
        near = reini_nearest(name, names, n);
    }
    rein_status status =
        near ? reini_fail(REIN_USAGE, "there is no setting \"%.60s\" for %s on %s: did you mean \"%s\"?",
                          name, setup->algo->name, setup->env->id, near)
             : reini_fail(REIN_USAGE,
                          "there is no setting \"%.60s\" for %s on %s: `rein describe %s` lists those of the "
                          "algorithm, `rein describe %s` those of the environment (written env.NAME)",
                          name, setup->algo->name, setup->env->id, setup->algo->name, setup->env->id);
    reini_free(names);
    reini_free(text);
    return status;
}

rein_status reini_setup_set(reini_setup *setup, const char *name, const char *text) {
    if (!name || !text)
        return reini_fail(REIN_USAGE, "a setting needs a name and a value, found %s%s", name ? name : "none",
                          name ? " without a value" : "");
    table tables[N_TABLES];
    tables_of(setup, tables);
    if (strcmp(name, "lr") == 0)
        name = "learning_rate";
    for (int t = 0; t < N_TABLES; t++) {
        size_t skip = strlen(tables[t].prefix);
        if (strncmp(name, tables[t].prefix, skip) != 0 ||
            rein_fields_find(tables[t].fields, tables[t].n, name + skip) < 0)
            continue;
        rein_status status =
            rein_fields_set(tables[t].fields, tables[t].n, tables[t].values, name + skip, text);
        return status == REIN_OK ? REIN_OK : reini_fail_in(status, "%s", tables[t].prefix);
    }
    return fail_unknown(setup, name);
}

static rein_status set_all(reini_setup *setup, const rein_train_opts *opts) {
    for (int i = 0; i < opts->n_settings; i++)
        REINI_TRY(reini_setup_set(setup, opts->settings[i].name, opts->settings[i].value));
    return REIN_OK;
}

/* ---- a new run --------------------------------------------------------------------------------------- */

/* "n_envs=8 gamma=0.98" */
static rein_status apply_preset(reini_setup *setup, const rein_preset *preset) {
    char name[REINI_NAME_MAX], text[REINI_VALUE_MAX];
    for (const char *at = preset->settings; *at; at += strspn(at, " ")) {
        size_t name_length = strcspn(at, "="), length = strcspn(at, " ");
        if (name_length >= length || name_length >= sizeof name || length - name_length > sizeof text)
            return reini_fail(REIN_INTERNAL, "preset %s: \"%.40s\" is not name=value", preset->name, at);
        snprintf(name, sizeof name, "%.*s", (int)name_length, at);
        snprintf(text, sizeof text, "%.*s", (int)(length - name_length - 1), at + name_length + 1);
        rein_status status = reini_setup_set(setup, name, text);
        if (status != REIN_OK)
            return reini_fail_in(status, "preset %s of %s on %s: ", preset->name, preset->algo, preset->env);
        at += length;
    }
    snprintf(setup->preset, sizeof setup->preset, "%s", preset->name);
    return REIN_OK;
}

/* name NULL = the tuned one, if there is any */
static rein_status choose_preset(reini_setup *setup, const char *name) {
    if (name && strcmp(name, "none") == 0)
        return REIN_OK;
    const rein_preset *preset = reini_preset_find(setup->algo->name, setup->env->id, name ? name : "tuned");
    if (preset) {
        REINI_TRY(apply_preset(setup, preset));
        reini_log(REIN_LOG_INFO, "preset %s of %s on %s: %s", preset->name, preset->algo, preset->env,
                  preset->settings);
        return REIN_OK;
    }
    return name ? reini_preset_fail(setup->algo->name, setup->env->id, name) : REIN_OK;
}

static rein_status choose_algo(const rein_train_opts *opts, const reini_config_head *head,
                               const reini_algo **algo) {
    const char *name = opts->algo ? opts->algo : head->algo;
    if (opts->algo && head->algo && strcmp(opts->algo, head->algo) != 0)
        return reini_fail(REIN_USAGE, "%s holds settings for %s, not for %s", opts->config, head->algo,
                          opts->algo);
    if (!*algo && !name)
        return reini_fail(REIN_USAGE, "no algorithm was named: `rein list algos` shows what there is");
    if (!*algo)
        *algo = reini_algo_find(name);
    return *algo ? REIN_OK : REIN_USAGE;
}

/* file NULL = no --config */
static rein_status resolve(reini_setup *setup, const reini_algo *algo, const rein_train_opts *opts,
                           const json_t *file) {
    reini_config_head head = {0};
    if (file)
        REINI_TRY(reini_config_read_head(&head, file, opts->config));
    REINI_TRY(choose_algo(opts, &head, &algo));
    const char *env_name = opts->env ? opts->env : head.env;
    if (!env_name)
        return reini_fail(REIN_USAGE,
                          "no environment was named: choose one with --env, `rein list envs` shows "
                          "what there is");
    const rein_env_type *env = rein_env_find(env_name);
    if (!env)
        return REIN_USAGE;
    REINI_TRY(reini_setup_init(setup, algo, env));
    /* the file's preset belongs to the file's environment */
    bool same_env = head.env && strcmp(head.env, env_name) == 0;
    REINI_TRY(choose_preset(setup, opts->preset ? opts->preset : same_env ? head.preset : NULL));
    if (file)
        REINI_TRY(reini_setup_apply_json(setup, file, opts->config));
    setup->seeds = opts->seeds ? opts->seeds : head.seeds ? head.seeds : 1;
    setup->filter = opts->filter;
    return set_all(setup, opts);
}

rein_status reini_setup_resolve(reini_setup *setup, const reini_algo *algo, const rein_train_opts *opts) {
    *setup = (reini_setup){0};
    json_t *file = NULL;
    if (opts->config)
        REINI_TRY(reini_json_read(opts->config, &file));
    rein_status status = resolve(setup, algo, opts, file);
    json_decref(file);
    return status;
}

/* ---- checks ------------------------------------------------------------------------------------------ */

reini_context reini_setup_context(const reini_setup *setup, rein_pool *pool) {
    static const rein_dtype matmul[] = {REIN_F32, REIN_BF16}; /* in the order of the dtype field's choices */
    return (reini_context){.env = &setup->opened,
                           .seed = (uint64_t)setup->run.seed,
                           .total_steps = setup->run.steps,
                           .pool = pool,
                           .matmul = matmul[setup->run.dtype]};
}

int reini_thread_count(int64_t threads) {
    if (threads > 0)
        return (int)threads;
    cpu_set_t cores;
    int n = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores)
                                                            : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 1024 ? 1024 : n;
}

static rein_status open_env(reini_setup *setup) {
    if (setup->is_open)
        rein_env_close(&setup->opened);
    setup->is_open = false;
    REINI_TRY(rein_env_open(setup->env, setup->env_config, &setup->opened));
    setup->is_open = true;
    return reini_wrap_env(&setup->run, setup->filter, &setup->opened);
}

rein_status reini_setup_check(reini_setup *setup) {
    if (setup->seeds < 1 || setup->seeds > REINI_SEEDS_MAX)
        return reini_fail(REIN_USAGE, "seeds: %d is out of range, expected 1 <= seeds <= %d", setup->seeds,
                          REINI_SEEDS_MAX);
    if (isfinite(setup->run.stop_at) && setup->run.eval_every == 0)
        return reini_fail(REIN_USAGE,
                          "stop_at: %g needs evaluations during training, expected eval_every > 0 "
                          "(for example eval_every=%lld)",
                          setup->run.stop_at, (long long)(setup->run.steps < 20 ? 1 : setup->run.steps / 20));
    REINI_TRY(open_env(setup));
    reini_context context = reini_setup_context(setup, NULL);
    return setup->algo->check ? setup->algo->check(setup->algo_config, &context) : REIN_OK;
}

/* ---- resuming ---------------------------------------------------------------------------------------- */

/* settings that decide only how long a run goes on, how it is watched or how fast it is */
static const char *const free_on_resume[] = {"steps",     "threads",       "checkpoint_every",
                                             "log_every", "eval_episodes", "stop_at"};
#define N_FREE (int)(sizeof free_on_resume / sizeof *free_on_resume)

static bool is_free(const char *name) {
    for (int i = 0; i < N_FREE; i++)
        if (strcmp(name, free_on_resume[i]) == 0)
            return true;
    return false;
}

rein_status reini_setup_compare(const reini_setup *run, const reini_setup *wanted, bool *changed) {
    reini_value was, asked;
    *changed = false;
    for (int i = 0; reini_setup_at(run, i, &was) && reini_setup_at(wanted, i, &asked); i++) {
        if (strcmp(was.text, asked.text) == 0)
            continue;
        *changed = true;
        if (!is_free(was.name))
            return reini_fail(REIN_USAGE,
                              "%s: cannot change from %s to %s in a run that has started; a resumed run "
                              "takes larger steps, and other threads, checkpoint_every, log_every, "
                              "eval_episodes and stop_at; for anything else start a new run",
                              was.name, was.text, asked.text);
    }
    if (wanted->run.steps < run->run.steps)
        return reini_fail(REIN_USAGE,
                          "steps: %lld is less than the run's own %lld; a resumed run can only be extended",
                          (long long)wanted->run.steps, (long long)run->run.steps);
    return REIN_OK;
}

/* more seeds may be added to several; a run of one seed has another directory layout */
static rein_status apply_seeds(reini_setup *setup, int seeds) {
    if (seeds == 0 || seeds == setup->seeds)
        return REIN_OK;
    if (setup->seeds == 1 || seeds < setup->seeds)
        return reini_fail(REIN_USAGE,
                          "seeds: the run has %d and %d were asked for; only a run of several seeds can "
                          "be given more",
                          setup->seeds, seeds);
    setup->seeds = seeds;
    return REIN_OK;
}

/* --config beside --resume: the names in its head, if any, must be the run's */
static rein_status apply_file(reini_setup *setup, const char *path) {
    json_t *file = NULL;
    reini_config_head head;
    REINI_TRY(reini_json_read(path, &file));
    rein_status status = reini_config_read_head(&head, file, path);
    if (status == REIN_OK && head.algo && strcmp(head.algo, setup->algo->name) != 0)
        status = reini_fail(REIN_USAGE, "%s holds settings for %s, not for %s", path, head.algo,
                            setup->algo->name);
    if (status == REIN_OK && head.env && strcmp(head.env, setup->env->id) != 0)
        status =
            reini_fail(REIN_USAGE, "%s holds settings for %s, not for %s", path, head.env, setup->env->id);
    if (status == REIN_OK)
        status = reini_setup_apply_json(setup, file, path);
    json_decref(file);
    return status;
}

rein_status reini_setup_apply_resume(reini_setup *setup, const rein_train_opts *opts) {
    if (opts->algo && strcmp(opts->algo, setup->algo->name) != 0)
        return reini_fail(REIN_USAGE, "%s is a run of %s, not of %s", opts->resume, setup->algo->name,
                          opts->algo);
    if (opts->env && strcmp(opts->env, setup->env->id) != 0)
        return reini_fail(REIN_USAGE, "%s is a run on %s, not on %s", opts->resume, setup->env->id,
                          opts->env);
    if (opts->preset && strcmp(opts->preset, setup->preset) != 0)
        return reini_fail(REIN_USAGE, "%s was started with preset %s and cannot change to %s", opts->resume,
                          setup->preset, opts->preset);
    if (opts->out || opts->force)
        return reini_fail(REIN_USAGE, "a resumed run stays in its directory: leave out %s",
                          opts->out ? "--out" : "--force");
    REINI_TRY(apply_seeds(setup, opts->seeds));
    setup->filter = opts->filter;
    if (opts->config)
        REINI_TRY(apply_file(setup, opts->config));
    return set_all(setup, opts);
}
