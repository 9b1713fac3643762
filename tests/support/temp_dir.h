/*
 * temp_dir.h - a directory of its own for a test, and the small file jobs tests need.
 */
#ifndef TEMP_DIR_H
#define TEMP_DIR_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_PATH 1024

static char temp_dir[TEMP_PATH];

static inline int temp_dir_make(void **state) {
    const char *base = getenv("TMPDIR");
    (void)state;
    snprintf(temp_dir, sizeof temp_dir, "%s/rein-test-XXXXXX", base && *base ? base : P_tmpdir);
    return mkdtemp(temp_dir) ? 0 : -1;
}

/* removes what is in an open directory, and closes it */
static inline void temp_empty(int fd) {
    DIR *d = fdopendir(fd);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || unlinkat(fd, e->d_name, 0) == 0)
            continue;
        int inside = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY);
        if (inside >= 0)
            temp_empty(inside);
        unlinkat(fd, e->d_name, AT_REMOVEDIR);
    }
    if (d)
        closedir(d);
}

static inline void temp_remove(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    if (fd >= 0)
        temp_empty(fd);
    rmdir(path);
}

static inline int temp_dir_remove(void **state) {
    (void)state;
    temp_remove(temp_dir);
    return 0;
}

/* entries of the directory but . and .. */
static inline int temp_count(const char *path) {
    DIR *d = opendir(path);
    int n = -2;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

/* a path inside the test's directory; four results live at a time */
static inline const char *temp_path(const char *name) {
    static char paths[4][2 * TEMP_PATH];
    static int next;
    char *out = paths[next++ & 3];
    snprintf(out, sizeof paths[0], "%s/%s", temp_dir, name);
    return out;
}

static inline void temp_write(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
}

/* malloc'ed, 0-terminated */
static inline char *temp_read(const char *path, size_t *size) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st) != 0)
        abort();
    char *data = calloc(1, (size_t)st.st_size + 1);
    if (!data || fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
        abort();
    fclose(f);
    if (size)
        *size = (size_t)st.st_size;
    return data;
}

#endif
