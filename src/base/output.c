/*
 * output.c - a file that replaces another in one piece.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/output.h"

#define BUFFER_BYTES (64 << 10)
#define NAMES        100       /* temporary names tried before giving up */
#define WRITE_MAX    (1 << 30) /* one write(2) takes at most 2 GiB */

struct reini_output {
    char *path, *temporary, *directory;
    int fd;
    rein_status status; /* the first failure */
    size_t used;        /* bytes in buffer */
    char buffer[BUFFER_BYTES];
};

static void release(reini_output *o) {
    if (!o)
        return;
    reini_free(o->path);
    reini_free(o->temporary);
    reini_free(o->directory);
    reini_free(o);
}

static rein_status fail_system(const char *what, const char *path, int error) {
    return reini_fail(REIN_IO, "cannot %s \"%s\": %s", what, path, strerror(error));
}

/* true when fd still is the file called name: its owner may have renamed it before our lock was granted */
static bool still_named(int fd, const char *name) {
    struct stat mine, there;
    return fstat(fd, &mine) == 0 && lstat(name, &there) == 0 && mine.st_ino == there.st_ino &&
           mine.st_dev == there.st_dev && S_ISREG(mine.st_mode);
}

/* opens and locks the temporary file; -1 with errno 0 when it belongs to another writer */
static int open_locked(const char *name) {
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (fd < 0)
        return -1;
    /* file systems without locks give no protection, and no reason to stop */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(fd);
        errno = 0;
        return -1;
    }
    if (!still_named(fd, name)) {
        close(fd);
        errno = 0;
        return -1;
    }
    if (ftruncate(fd, 0) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static rein_status open_temporary(reini_output *o, size_t size) {
    for (int i = 0; i < NAMES; i++) {
        if (i == 0)
            snprintf(o->temporary, size, "%s.tmp", o->path);
        else
            snprintf(o->temporary, size, "%s.%d.tmp", o->path, i);
        o->fd = open_locked(o->temporary);
        if (o->fd >= 0)
            return REIN_OK;
        if (errno != 0)
            return fail_system("create", o->temporary, errno);
    }
    return reini_fail(REIN_IO, "cannot write \"%s\": too many others are writing it", o->path);
}

/* "dir" of "dir/name", "/" of "/name", "." of "name" */
static void name_directory(reini_output *o) {
    const char *slash = strrchr(o->path, '/');
    size_t length = slash == o->path ? 1 : slash ? (size_t)(slash - o->path) : 0;
    memcpy(o->directory, slash ? o->path : ".", slash ? length : 1);
}

rein_status reini_output_open(const char *path, reini_output **out) {
    struct stat old;
    *out = NULL;
    if (lstat(path, &old) == 0 && !S_ISREG(old.st_mode) && !S_ISLNK(old.st_mode))
        return reini_fail(REIN_IO, "cannot write \"%s\": %s", path,
                          S_ISDIR(old.st_mode) ? "it is a directory" : "it is not a regular file");
    reini_output *o = REINI_NEW(reini_output);
    size_t size = strlen(path) + 16;
    if (o) {
        o->fd = -1;
        o->path = reini_strdup(path);
        o->temporary = reini_new(size);
        o->directory = reini_new(size);
    }
    if (!o || !o->path || !o->temporary || !o->directory) {
        release(o);
        return reini_fail_memory(sizeof *o, "writing a file");
    }
    name_directory(o);
    rein_status status = open_temporary(o, size);
    if (status != REIN_OK) {
        release(o);
        return status;
    }
    *out = o;
    return REIN_OK;
}

static rein_status write_all(reini_output *o, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(o->fd, data, size < WRITE_MAX ? size : WRITE_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return o->status = fail_system("write", o->path, n < 0 ? errno : ENOSPC);
        data += n;
        size -= (size_t)n;
    }
    return REIN_OK;
}

rein_status reini_output_write(reini_output *o, const void *data, size_t size) {
    if (o->status != REIN_OK)
        return o->status;
    if (size > sizeof o->buffer - o->used) {
        REINI_TRY(write_all(o, o->buffer, o->used));
        o->used = 0;
    }
    if (size >= sizeof o->buffer)
        return write_all(o, data, size);
    if (size > 0)
        memcpy(o->buffer + o->used, data, size);
    o->used += size;
    return REIN_OK;
}

/* makes the rename itself survive a crash; file systems that cannot sync a directory say EINVAL */
static rein_status sync_directory(const reini_output *o) {
    int fd = open(o->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd < 0 || fsync(fd) == 0 || errno == EINVAL;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (synced)
        return REIN_OK;
    return reini_fail(REIN_IO, "\"%s\" was written, but its directory could not be synced: %s", o->path,
                      strerror(error));
}

rein_status reini_output_commit(reini_output *o) {
    rein_status status = o->status;
    if (status == REIN_OK)
        status = write_all(o, o->buffer, o->used);
    if (status == REIN_OK && fsync(o->fd) != 0 && errno != EINVAL)
        status = fail_system("sync", o->path, errno);
    if (status == REIN_OK && rename(o->temporary, o->path) != 0)
        status = fail_system("replace", o->path, errno);
    if (status != REIN_OK) {
        unlink(o->temporary);
        close(o->fd);
        release(o);
        return status;
    }
    if (close(o->fd) != 0 && errno != EINTR)
        status = fail_system("close", o->path, errno);
    if (status == REIN_OK)
        status = sync_directory(o);
    release(o);
    return status;
}

void reini_output_cancel(reini_output *o) {
    if (!o)
        return;
    unlink(o->temporary);
    close(o->fd);
    release(o);
}
