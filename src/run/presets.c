/*
 * presets.c - settings known to work, for an algorithm on an environment. "tuned" is taken when none is named.
 */
#include "run/presets.h"

#include <string.h>
#include "base/base.h"

/* the tables, each ended by a row without a name */
static const rein_preset *const tables[] = {reini_presets_classic, reini_presets_mujoco, reini_presets_games};
enum { TABLES = sizeof tables / sizeof *tables, NAMES_MAX = 16 };

const rein_preset *rein_preset_at(int i) {
    for (int t = 0; t < TABLES && i >= 0; t++)
        for (const rein_preset *row = tables[t]; row->name != NULL; row++)
            if (i-- == 0)
                return row;
    return NULL;
}

int rein_preset_fits(const rein_preset *preset, const char *algo, const char *env) {
    if (strcmp(preset->algo, algo) != 0)
        return 0;
    size_t stem = strcspn(preset->env, "*");
    return preset->env[stem] == '*' ? strncmp(preset->env, env, stem) == 0 : strcmp(preset->env, env) == 0;
}

const rein_preset *reini_preset_find(const char *algo, const char *env, const char *name) {
    const rein_preset *preset;
    for (int i = 0; (preset = rein_preset_at(i)) != NULL; i++)
        if (rein_preset_fits(preset, algo, env) && strcmp(preset->name, name) == 0)
            return preset;
    return NULL;
}

rein_status reini_preset_fail(const char *algo, const char *env, const char *name) {
    const char *names[NAMES_MAX];
    const rein_preset *preset;
    char list[256] = "none";
    size_t at = strlen(list);
    int n = 0;
    names[n++] = "none";
    for (int i = 0; (preset = rein_preset_at(i)) != NULL && n < NAMES_MAX; i++)
        if (rein_preset_fits(preset, algo, env)) {
            names[n++] = preset->name;
            at += (size_t)snprintf(list + at, sizeof list - at, ", %s", preset->name);
            at = at < sizeof list ? at : sizeof list - 1;
        }
    const char *near = reini_nearest(name, names, n);
    return reini_fail(REIN_USAGE, "there is no preset \"%.60s\" for %s on %s%s%s%s; there is: %s", name, algo,
                      env, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "", list);
}
