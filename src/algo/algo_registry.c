/*
 * algo_registry.c - the list of algorithms. A new one is one line here and one file beside this.
 */
#include <string.h>
#include "algo/algo.h"

extern const reini_algo reini_algo_ppo;

static const reini_algo *const algorithms[] = {
    &reini_algo_ppo,
};
enum { COUNT = sizeof algorithms / sizeof *algorithms };

const reini_algo *reini_algo_at(int i) {
    return i >= 0 && i < COUNT ? algorithms[i] : NULL;
}

const reini_algo *reini_algo_find(const char *name) {
    const char *names[COUNT];
    for (int i = 0; i < COUNT; i++) {
        names[i] = algorithms[i]->name;
        if (strcmp(names[i], name) == 0)
            return algorithms[i];
    }
    const char *nearest = reini_nearest(name, names, COUNT);
    if (nearest != NULL)
        reini_fail(REIN_USAGE, "no algorithm \"%s\" (did you mean \"%s\"?)", name, nearest);
    else
        reini_fail(REIN_USAGE, "no algorithm \"%s\"; `rein list algos` shows them all", name);
    return NULL;
}
