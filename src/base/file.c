/*
 * file.c - whole files and directories.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/output.h"

#define FIRST_BYTES 4096
#define READ_MAX    ((size_t)1 << 30) /* one read(2) takes at most 2 GiB */

static rein_status fail_read(const char *path, int error) {
    return reini_fail(REIN_IO, "cannot read \"%s\": %s", path, strerror(error));
}

/* size of a regular file; a guess for others (pipes) */
static rein_status expected_size(int fd, const char *path, size_t limit, size_t *size) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_read(path, errno);
    if (S_ISDIR(st.st_mode))
        return reini_fail(REIN_IO, "cannot read \"%s\": it is a directory", path);
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit)
        return reini_fail(REIN_FORMAT, "\"%s\" is too large: %lld bytes, expected at most %zu", path,
                          (long long)st.st_size, limit);
    *size = st.st_size > 0 ? (size_t)st.st_size : FIRST_BYTES;
    return REIN_OK;
}

/* reads to the end: *used bytes in *data, which holds one byte more */
static rein_status read_all(int fd, const char *path, size_t limit, char **data, size_t capacity,
                            size_t *used) {
    for (;;) {
        ssize_t n = read(fd, *data + *used, capacity - *used < READ_MAX ? capacity - *used : READ_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_read(path, errno);
        if (n == 0)
            return REIN_OK;
        *used += (size_t)n;
        if (*used > limit)
            return reini_fail(REIN_FORMAT, "\"%s\" is too large, expected at most %zu bytes", path, limit);
        if (*used == capacity) {
            char *grown = reini_grow(*data, capacity, 2 * capacity);
            if (!grown)
                return reini_fail_memory(2 * capacity, path);
            *data = grown;
            capacity *= 2;
        }
    }
}

static rein_status read_open(int fd, const char *path, size_t limit, char **data, size_t *size) {
    size_t capacity = 0, used = 0;
    REINI_TRY(expected_size(fd, path, limit, &capacity));
    char *bytes = reini_new(capacity + 1);
    if (!bytes)
        return reini_fail_memory(capacity + 1, path);
    rein_status status = read_all(fd, path, limit, &bytes, capacity + 1, &used);
    if (status != REIN_OK) {
        reini_free(bytes);
        return status;
    }
    bytes[used] = 0;
    *data = bytes;
    *size = used;
    return REIN_OK;
}

rein_status reini_file_read(const char *path, size_t limit, char **data, size_t *size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_read(path, errno);
    rein_status status = read_open(fd, path, limit, data, size);
    close(fd);
    return status;
}

rein_status reini_file_write(const char *path, const void *data, size_t size) {
    reini_output *output;
    REINI_TRY(reini_output_open(path, &output));
    reini_output_write(output, data, size); /* a failure shows at the commit */
    return reini_output_commit(output);
}

bool reini_file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

bool reini_dir_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool reini_same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static rein_status make_one(const char *path) {
    if (mkdir(path, 0777) == 0)
        return REIN_OK;
    int error = errno;
    if (reini_dir_exists(path))
        return REIN_OK;
    return reini_fail(REIN_IO, "cannot make the directory \"%s\": %s", path,
                      error == EEXIST ? "it exists and is not a directory" : strerror(error));
}

rein_status reini_dir_make(const char *path) {
    if (reini_dir_exists(path))
        return REIN_OK;
    char *part = reini_strdup(path);
    if (!part)
        return reini_fail_memory(strlen(path), "a path");
    rein_status status = REIN_OK;
    for (char *at = part + 1; status == REIN_OK && *part && *at; at++)
        if (*at == '/') {
            *at = 0;
            status = make_one(part);
            *at = '/';
        }
    if (status == REIN_OK)
        status = make_one(part);
    reini_free(part);
    return status;
}

rein_status reini_path_join(char *out, size_t size, const char *dir, const char *name) {
    size_t n = strlen(dir);
    const char *between = n == 0 || dir[n - 1] == '/' ? "" : "/";
    int length = snprintf(out, size, "%s%s%s", dir, between, name);
    if (length < 0 || (size_t)length >= size)
        return reini_fail(REIN_USAGE, "the path \"%s/%s\" is too long, expected less than %zu bytes", dir,
                          name, size);
    return REIN_OK;
}
