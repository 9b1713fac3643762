/*
 * cmd_describe.c - rein describe: everything about one algorithm or environment.
 */
#include <math.h>
#include <string.h>
#include "cli.h"

static const cli_option options[] = {
    CLI_SWITCH("json", "end with one JSON object on stdout"),
};

/* ---- algorithms ---------------------------------------------------------------------------------------- */

static void print_presets(const char *algo, const char *env) {
    const rein_preset *preset;
    bool any = false;
    for (int i = 0; (preset = rein_preset_at(i)); i++) {
        if (!rein_preset_fits(preset, algo ? algo : preset->algo, env ? env : preset->env))
            continue;
        if (!any)
            puts("\npresets");
        any = true;
        printf("  %s on %s, %s: %s\n    %s\n", preset->algo, preset->env, preset->name, preset->doc,
               preset->settings);
    }
}

static void describe_algo(const rein_algo_info *algo, bool json) {
    int n_run;
    const rein_field *run_fields = rein_run_fields(&n_run);
    if (!json) {
        printf("%s (%s): %s\n", algo->name, algo->family, algo->doc);
        cli_help_fields("fields", "", algo->fields, algo->n_fields);
        cli_help_fields("fields of every run", "", run_fields, n_run);
        print_presets(algo->name, NULL);
        return;
    }
    json_t *o = json_object();
    cli_json_text(o, "name", algo->name);
    cli_json_text(o, "family", algo->family);
    cli_json_text(o, "doc", algo->doc);
    json_object_set_new(o, "fields", cli_json_fields(algo->fields, algo->n_fields));
    json_object_set_new(o, "run_fields", cli_json_fields(run_fields, n_run));
    cli_json_print(o);
}

/* ---- environments -------------------------------------------------------------------------------------- */

static json_t *json_bounds(const float *bounds, int n) {
    json_t *list = json_array();
    for (int i = 0; bounds && i < n; i++)
        json_array_append_new(list, isfinite(bounds[i]) ? json_real(bounds[i]) : json_null());
    return list;
}

static json_t *json_space(const rein_space *space) {
    static const char *const kinds[] = {"discrete", "multi_discrete", "box", "image"};
    char text[128];
    json_t *o = json_object();
    rein_space_print(space, text, sizeof text);
    cli_json_text(o, "text", text);
    cli_json_text(o, "kind", kinds[space->kind]);
    cli_json_whole(o, "size", space->size);
    if (space->kind == REIN_SPACE_DISCRETE || space->kind == REIN_SPACE_MULTI_DISCRETE) {
        json_t *n = json_array();
        for (int i = 0; i < space->size && i < REIN_SPACE_PARTS; i++)
            json_array_append_new(n, json_integer(space->n[i]));
        json_object_set_new(o, "n", n);
    } else if (space->kind == REIN_SPACE_BOX) {
        json_object_set_new(o, "low", json_bounds(space->low, space->size));
        json_object_set_new(o, "high", json_bounds(space->high, space->size));
    } else {
        json_t *shape = json_array();
        for (int i = 0; i < 3; i++)
            json_array_append_new(shape, json_integer(space->shape[i]));
        json_object_set_new(o, "shape", shape);
    }
    return o;
}

static void print_env(const rein_env_type *type) {
    char line[256];
    printf("%s: %s\n", type->id, type->doc);
    cli_table *table = cli_table_new();
    rein_space_print(&type->obs, line, sizeof line);
    cli_table_add(table, "observation", line, NULL);
    rein_space_print(&type->act, line, sizeof line);
    cli_table_add(table, "action", line, NULL);
    snprintf(line, sizeof line, "%d steps", (int)type->horizon);
    cli_table_add(table, "time limit", type->horizon > 0 ? line : "none", NULL);
    snprintf(line, sizeof line, "mean return %g", type->reward_threshold);
    cli_table_add(table, "solved at", isnan(type->reward_threshold) ? "no threshold" : line, NULL);
    cli_table_print(table);
    if (type->n_fields > 0)
        cli_help_fields("fields", "env.", type->fields, type->n_fields);
    print_presets(NULL, type->id);
}

static void describe_env(const rein_env_type *type, bool json) {
    if (!json) {
        print_env(type);
        return;
    }
    json_t *o = json_object();
    cli_json_text(o, "id", type->id);
    cli_json_text(o, "doc", type->doc);
    json_object_set_new(o, "obs", json_space(&type->obs));
    json_object_set_new(o, "act", json_space(&type->act));
    cli_json_whole(o, "horizon", type->horizon);
    cli_json_real(o, "reward_threshold", type->reward_threshold);
    json_object_set_new(o, "fields", cli_json_fields(type->fields, type->n_fields));
    cli_json_print(o);
}

/* ---- the verb ------------------------------------------------------------------------------------------ */

static int describe(const cli_args *args) {
    if (args->n_words == 0)
        return cli_usage("nothing to describe: name an algorithm or an environment; `rein list` shows them");
    const char *name = args->words[0];
    char sentence[512];
    rein_algo_info algo;
    rein_status status = rein_algo_find(name, &algo);
    if (status == REIN_OK) {
        describe_algo(&algo, cli_switch(args, "json"));
        return CLI_DONE;
    }
    snprintf(sentence, sizeof sentence, "%s", rein_error());
    const rein_env_type *type = rein_env_find(name);
    if (type) {
        describe_env(type, cli_switch(args, "json"));
        return CLI_DONE;
    }
    /* the sentence that has a suggestion, or knows the name and what is wrong with it, tells more */
    if (strstr(rein_error(), "did you mean") || !strstr(rein_error(), "no environment is named"))
        return cli_usage("%s", rein_error());
    if (strstr(sentence, "did you mean"))
        return cli_usage("%s", sentence);
    return cli_usage("\"%s\" is neither an algorithm nor an environment; `rein list` shows them", name);
}

static int run(int argc, char **argv) {
    cli_args args = {.command = "rein describe",
                     .options = options,
                     .n_options = cli_verb_describe.n_options,
                     .max_words = 1};
    int code = CLI_USAGE;
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_describe, NULL);
        code = args.help ? CLI_DONE : describe(&args);
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_describe = {
    "describe",
    "describe ALGO|ENV",
    "describe an algorithm or an environment: fields, spaces, presets",
    "rein describe CartPole-v1",
    CLI_OPTIONS(options),
    run,
};
