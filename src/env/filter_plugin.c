/*
 * filter_plugin.c - safety filters from shared libraries: `--safety_filter ./my_filter.so`. A library stays loaded.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "env/wrap.h"

const rein_filter_plugin *rein_filter_load(const char *path) {
    char here[512];
    /* without a slash the loader would look in the system's directories alone */
    int n = snprintf(here, sizeof here, "%s%s", strchr(path, '/') ? "" : "./", path);
    void *library = n < (int)sizeof here ? dlopen(here, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) {
        reini_fail(REIN_USAGE, "the safety filter \"%s\" cannot be loaded: %s", path,
                   n < (int)sizeof here ? dlerror() : "the path is too long");
        return NULL;
    }
    const rein_filter_plugin *plugin = dlsym(library, "rein_filter_of_library");
    if (!plugin) {
        reini_fail(REIN_USAGE,
                   "\"%s\" offers no safety filter: it has no rein_filter_of_library (REIN_FILTER_PLUGIN in "
                   "rein/wrap.h defines it)",
                   path);
        return NULL;
    }
    /* abi is the first member: nothing else may be read before it agrees */
    if (plugin->abi != REIN_FILTER_ABI) {
        reini_fail(REIN_UNSUPPORTED,
                   "the safety filter \"%s\" was built for ABI %u, this Rein has %u: rebuild it", path,
                   (unsigned)plugin->abi, (unsigned)REIN_FILTER_ABI);
        return NULL;
    }
    if (!plugin->check) {
        reini_fail(REIN_USAGE, "the safety filter \"%s\" has no check", path);
        return NULL;
    }
    return plugin;
}
