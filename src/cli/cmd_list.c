/*
 * cmd_list.c - rein list: algorithms, environments and presets there are.
 */
#include <math.h>
#include <string.h>
#include "cli.h"

static const cli_option options[] = {
    CLI_SWITCH("json", "end with one JSON object on stdout"),
};

/* families in the order in which they first appear */
static void print_algos(void) {
    rein_algo_info first, info;
    cli_table *table = cli_table_new();
    for (int i = 0; rein_algo_at(i, &first); i++) {
        char heading[96];
        int k = 0;
        while (rein_algo_at(k, &info) && strcmp(info.family, first.family) != 0)
            k++;
        if (k < i)
            continue;
        snprintf(heading, sizeof heading, "algorithms: %s", first.family);
        cli_table_heading(table, heading);
        for (; rein_algo_at(k, &info); k++)
            if (strcmp(info.family, first.family) == 0)
                cli_table_add(table, info.name, info.doc, NULL);
    }
    cli_table_print(table);
}

/* what a library that was not there when Rein was built would have added */
static void print_absent(void) {
    if (rein_env_find("Hopper-v4") != NULL)
        return;
    puts("not in this build: MuJoCo's robots (HalfCheetah, Hopper, Walker2d, Swimmer, Ant, Humanoid,\n"
         "  InvertedPendulum, InvertedDoublePendulum, Reacher: -v4, -v5; Safety...Velocity-v1) and your own "
         "models\n"
         "  (mujoco:FILE). They need libmujoco (Debian and Ubuntu: apt-get install libmujoco-dev): build "
         "Rein again");
}

static void print_envs(void) {
    const rein_env_type *type;
    cli_table *table = cli_table_new();
    for (int i = 0; (type = rein_env_at(i)); i++) {
        char obs[128], act[128];
        rein_space_print(&type->obs, obs, sizeof obs);
        rein_space_print(&type->act, act, sizeof act);
        cli_table_add(table, type->id, obs, "->", act, type->doc, NULL);
    }
    puts("environments (observation -> action)");
    cli_table_print(table);
    print_absent();
}

static void print_presets(void) {
    const rein_preset *preset;
    cli_table *table = cli_table_new();
    for (int i = 0; (preset = rein_preset_at(i)); i++)
        cli_table_add(table, preset->algo, preset->env, preset->name, preset->doc, NULL);
    puts("presets (algorithm, environment, name; \"tuned\" is the default)");
    cli_table_print(table);
}

static json_t *json_algos(void) {
    rein_algo_info info;
    json_t *list = json_array();
    for (int i = 0; rein_algo_at(i, &info); i++) {
        json_t *o = json_object();
        cli_json_text(o, "name", info.name);
        cli_json_text(o, "family", info.family);
        cli_json_text(o, "doc", info.doc);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_envs(void) {
    const rein_env_type *type;
    json_t *list = json_array();
    for (int i = 0; (type = rein_env_at(i)); i++) {
        char space[128];
        json_t *o = json_object();
        cli_json_text(o, "id", type->id);
        rein_space_print(&type->obs, space, sizeof space);
        cli_json_text(o, "obs", space);
        rein_space_print(&type->act, space, sizeof space);
        cli_json_text(o, "act", space);
        cli_json_whole(o, "horizon", type->horizon);
        cli_json_real(o, "reward_threshold", type->reward_threshold);
        cli_json_text(o, "doc", type->doc);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_presets(void) {
    const rein_preset *preset;
    json_t *list = json_array();
    for (int i = 0; (preset = rein_preset_at(i)); i++) {
        json_t *o = json_object();
        cli_json_text(o, "algo", preset->algo);
        cli_json_text(o, "env", preset->env);
        cli_json_text(o, "name", preset->name);
        cli_json_text(o, "doc", preset->doc);
        cli_json_text(o, "settings", preset->settings);
        json_array_append_new(list, o);
    }
    return list;
}

static const struct {
    const char *name;
    void (*print)(void);
    json_t *(*json)(void);
} kinds[] = {
    {"algos", print_algos, json_algos},
    {"envs", print_envs, json_envs},
    {"presets", print_presets, json_presets},
};

static int list(const cli_args *args) {
    int only = -1;
    if (args->n_words > 0 && (only = cli_choose("list", "algos|envs|presets", args->words[0])) < 0)
        return CLI_USAGE;
    json_t *all = cli_switch(args, "json") ? json_object() : NULL;
    for (int i = 0; i < 3; i++) {
        if (only >= 0 && only != i)
            continue;
        if (all)
            json_object_set_new(all, kinds[i].name, kinds[i].json());
        else
            kinds[i].print();
    }
    if (all)
        cli_json_print(all);
    return CLI_DONE;
}

static int run(int argc, char **argv) {
    cli_args args = {
        .command = "rein list", .options = options, .n_options = cli_verb_list.n_options, .max_words = 1};
    int code = CLI_USAGE;
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_list, NULL);
        code = args.help ? CLI_DONE : list(&args);
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_list = {
    "list",           "list [algos|envs|presets]", "list algorithms, environments and presets",
    "rein list envs", CLI_OPTIONS(options),        run,
};
