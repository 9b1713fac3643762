/*
 * memory_claim.c - whether a large table fits, asked before it is allocated.
 *
 * Linux hands out more memory than there is and kills the process that touches it, so a failed allocation is no test.
 * The room is the smaller of MemAvailable in /proc/meminfo and, for every control group that the process is in
 * (version 1 or 2, up to the root), its limit less its use. Pages of files that nobody reads count as free: the kernel
 * drops them first. Where nothing can be read, nothing is refused.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/base.h"

#define CHECK_FROM ((size_t)1 << 20) /* smaller tables are not worth reading files for */
#define LOG_FROM   ((size_t)64 << 20)
#define PATH_BYTES 4096

static _Atomic size_t assumed; /* 0 = ask the machine */

void reini_memory_assume(size_t room) {
    assumed = room;
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* "<key> <number>" in a file, or its first number when key is NULL; UINT64_MAX when it has none ("max") */
static uint64_t number_in(const char *path, const char *key) {
    char line[256], name[64];
    uint64_t value = UINT64_MAX, found;
    FILE *file = fopen(path, "re");
    while (file && value == UINT64_MAX && fgets(line, sizeof line, file)) {
        if (!key && sscanf(line, "%" SCNu64, &found) == 1)
            value = found;
        if (key && sscanf(line, "%63s %" SCNu64, name, &found) == 2 && strcmp(name, key) == 0)
            value = found;
    }
    if (file)
        fclose(file);
    return value;
}

static uint64_t number_of(const char *folder, const char *file, const char *key) {
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return number_in(path, key);
}

/* names of one version of control groups */
typedef struct group_files {
    const char *root, *limit, *use, *reclaimable;
} group_files;

static const group_files version_1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                      "memory.usage_in_bytes", "total_inactive_file"};
static const group_files version_2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

static uint64_t room_of_group(const char *folder, const group_files *files) {
    uint64_t limit = number_of(folder, files->limit, NULL), use = number_of(folder, files->use, NULL);
    if (limit == UINT64_MAX || use == UINT64_MAX)
        return UINT64_MAX;
    uint64_t unread = number_of(folder, "memory.stat", files->reclaimable);
    use -= unread == UINT64_MAX ? 0 : smaller(unread, use);
    return limit > use ? limit - use : 0;
}

/* the group called name ("/a/b") and those above it; inside a container only the upper ones may be visible */
static uint64_t room_of_groups(const char *name, const group_files *files) {
    char folder[PATH_BYTES];
    size_t root = strlen(files->root);
    uint64_t room = UINT64_MAX;
    snprintf(folder, sizeof folder, "%s%s", files->root, name);
    for (;;) {
        room = smaller(room, room_of_group(folder, files));
        char *slash = strrchr(folder + root, '/');
        if (!slash)
            return room;
        *slash = 0;
    }
}

static uint64_t room_in_groups(void) {
    char line[PATH_BYTES];
    uint64_t room = UINT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *list = strchr(line, ':'), *name = list ? strchr(list + 1, ':') : NULL;
        if (!name)
            continue;
        *name++ = 0; /* id:controllers:name, no controllers in version 2 */
        if (strcmp(list + 1, "") == 0)
            room = smaller(room, room_of_groups(name, &version_2));
        else if (strcmp(list + 1, "memory") == 0)
            room = smaller(room, room_of_groups(name, &version_1));
    }
    if (file)
        fclose(file);
    return room;
}

static uint64_t room_of_machine(void) {
    uint64_t available = number_in("/proc/meminfo", "MemAvailable:"); /* in kB */
    uint64_t room = available <= UINT64_MAX / 1024 ? available * 1024 : UINT64_MAX;
    return smaller(room, room_in_groups());
}

static const char *size_text(char out[32], uint64_t bytes) {
    double size = (double)bytes;
    if (size >= 1e9)
        snprintf(out, 32, "%.1f GB", size / 1e9);
    else if (size >= 1e6)
        snprintf(out, 32, "%.1f MB", size / 1e6);
    else
        snprintf(out, 32, "%" PRIu64 " bytes", bytes);
    return out;
}

rein_status reini_memory_claim(size_t bytes, const char *what) {
    char wanted[32], there[32];
    uint64_t room = assumed;
    if (room == 0)
        room = bytes < CHECK_FROM ? UINT64_MAX : room_of_machine();
    if (bytes > room)
        return reini_fail(REIN_NOMEM,
                          "%s: needs %s of memory, but this machine has room for %s; make it smaller, free "
                          "memory or raise the limit",
                          what, size_text(wanted, bytes), size_text(there, room));
    if (bytes >= LOG_FROM)
        reini_log(REIN_LOG_INFO, "%s: %s", what, size_text(wanted, bytes));
    return REIN_OK;
}
