/*
 * peak_memory.c - the most memory that this process has held.
 *
 * VmHWM of /proc/self/status belongs to the program that runs now; the kernel's ru_maxrss, taken where there is no such
 * file, also remembers what the process held before it became this program.
 */
#include <stdio.h>
#include <sys/resource.h>
#include "base/base.h"

/* a line "VmHWM:     1234 kB"; 0 when there is none */
static int64_t from_status(void) {
    char line[256];
    long long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lld kB", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return (int64_t)kilobytes * 1024;
}

int64_t reini_memory_peak(void) {
    struct rusage usage;
    int64_t peak = from_status();
    if (peak > 0)
        return peak;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
#ifdef __APPLE__
    return (int64_t)usage.ru_maxrss; /* in bytes there */
#else
    return (int64_t)usage.ru_maxrss * 1024;
#endif
}
