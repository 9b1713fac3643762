/*
 * plugin.c - environments from shared libraries: `--env ./my_env.so`, or `--env ./my_env.so:Other-v0` where a library
 * offers several.
 *
 * A library stays loaded. The type it offers is copied under the name it was asked for by, so that a run's
 * config.json and a policy find it again.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "env/env_checks.h"
#include "env/env_types.h"

enum { MAX_PLUGINS = 256, NAME_MAX_BYTES = 256, TYPES_MAX = 1000 };

static rein_env_type plugins[MAX_PLUGINS];
static int n_plugins;
static pthread_mutex_t plugin_lock = PTHREAD_MUTEX_INITIALIZER;

typedef const rein_env_type *plugin_fn(int i);

/* "dir/lib.so:Id" names a library and one of its types; Id may be left out */
static const char *split(const char *name, char path[NAME_MAX_BYTES]) {
    const char *colon = strrchr(name, ':');
    size_t length = colon ? (size_t)(colon - name) : strlen(name);
    snprintf(path, NAME_MAX_BYTES, "%.*s", (int)length, name);
    return colon ? colon + 1 : NULL;
}

bool reini_plugin_named(const char *name) {
    char path[NAME_MAX_BYTES];
    if (strlen(name) >= NAME_MAX_BYTES)
        return false;
    split(name, path);
    size_t length = strlen(path);
    return length > 3 && strcmp(path + length - 3, ".so") == 0;
}

static rein_status open_library(const char *path, plugin_fn **offer) {
    char here[NAME_MAX_BYTES + 2];
    /* without a slash the loader would look in the system's directories alone */
    snprintf(here, sizeof here, "%s%s", strchr(path, '/') ? "" : "./", path);
    void *library = dlopen(here, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return reini_fail(REIN_USAGE, "the environment library \"%s\" cannot be loaded: %s", path, dlerror());
    void *symbol = dlsym(library, "rein_env_plugin");
    if (!symbol)
        return reini_fail(REIN_USAGE,
                          "\"%s\" offers no environment: it has no function rein_env_plugin "
                          "(REIN_ENV_PLUGIN(type) in rein/env.h defines it)",
                          path);
    memcpy(offer, &symbol, sizeof symbol);
    return REIN_OK;
}

/* the type named id, or the first */
static rein_status choose(plugin_fn *offer, const char *path, const char *id, const rein_env_type **out) {
    const char *names[TYPES_MAX];
    int n = 0;
    for (; n < TYPES_MAX && (*out = offer(n)) != NULL; n++) {
        /* abi is the first member: nothing else may be read before it agrees */
        if ((*out)->abi != REIN_ENV_ABI)
            return reini_fail(
                REIN_UNSUPPORTED,
                "the environment library \"%s\" was built for ABI %u, this Rein has %u: rebuild it", path,
                (unsigned)(*out)->abi, (unsigned)REIN_ENV_ABI);
        if (!id || ((*out)->id && strcmp((*out)->id, id) == 0))
            return REIN_OK;
        names[n] = (*out)->id ? (*out)->id : "";
    }
    const char *near = id ? reini_nearest(id, names, n) : NULL;
    return reini_fail(REIN_USAGE, "the library \"%s\" offers no environment \"%s\"%s%s%s (it has %d)", path,
                      id ? id : "", near ? ", did you mean \"" : "", near ? near : "", near ? "\"" : "", n);
}

static rein_status load(const char *name, rein_env_type *copy) {
    char path[NAME_MAX_BYTES];
    const char *id = split(name, path);
    const rein_env_type *type;
    plugin_fn *offer = NULL;
    REINI_TRY(open_library(path, &offer));
    REINI_TRY(choose(offer, path, id, &type));
    REINI_TRY(reini_env_check(type));
    *copy = *type;
    copy->id = reini_strdup(name);
    if (!copy->id)
        return reini_fail_memory(strlen(name) + 1, "the name of an environment");
    return reini_env_probe(copy);
}

static const rein_env_type *find(const char *name) {
    for (int i = 0; i < n_plugins; i++)
        if (strcmp(plugins[i].id, name) == 0)
            return &plugins[i];
    if (n_plugins == MAX_PLUGINS) {
        reini_fail(REIN_USAGE, "environment \"%s\" is refused: %d libraries are loaded already, the most",
                   name, MAX_PLUGINS);
        return NULL;
    }
    rein_env_type copy = {0};
    if (load(name, &copy) != REIN_OK) {
        reini_free((char *)copy.id);
        return NULL;
    }
    plugins[n_plugins] = copy;
    return &plugins[n_plugins++];
}

const rein_env_type *reini_plugin_find(const char *name) {
    pthread_mutex_lock(&plugin_lock);
    const rein_env_type *type = find(name);
    pthread_mutex_unlock(&plugin_lock);
    return type;
}
