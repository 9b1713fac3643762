/*
 * label_file.c - rows appended, synced, and taken back.
 */
#include "run/label_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"

#define BYTES_MAX ((size_t)1 << 36)

static rein_status fail_system(const char *what, const reini_label_file *f, int error) {
    return reini_fail(REIN_IO, "cannot %s \"%s\": %s", what, f->path, strerror(error));
}

void reini_label_file_close(reini_label_file *f) {
    if (f->path && f->fd >= 0)
        close(f->fd);
    reini_free(f->path);
    *f = (reini_label_file){.fd = -1};
}

static rein_status open_locked(reini_label_file *f) {
    struct stat s;
    f->fd = open(f->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0)
        return fail_system("open", f, errno);
    if (fstat(f->fd, &s) != 0)
        return fail_system("read", f, errno);
    if (!S_ISREG(s.st_mode))
        return reini_fail(REIN_IO, "\"%s\" is not a regular file, which --out must be", f->path);
    /* file systems without locks give no protection, and no reason to stop */
    if (flock(f->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return reini_fail(
            REIN_IO, "\"%s\" is being written by another process: two labellings need two files", f->path);
    f->size = (int64_t)s.st_size;
    return REIN_OK;
}

/* an empty file, its name on the disk too */
static rein_status make_file(reini_label_file *f) {
    REINI_TRY(reini_file_write(f->path, "", 0));
    return open_locked(f);
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static bool is_row(const char *text, size_t n) {
    json_t *row = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    bool is = json_is_object(row);
    json_decref(row);
    return is;
}

/* a part of a row must not stay; if it does, the next opening cuts it off */
static rein_status not_written(reini_label_file *f, int error) {
    if (ftruncate(f->fd, f->size) != 0)
        reini_log(REIN_LOG_WARNING, "%s may end in a part of a row", f->path);
    return fail_system("write", f, error);
}

static rein_status write_at_end(reini_label_file *f, const char *text, size_t n) {
    size_t done = 0;
    while (done < n) {
        ssize_t k = pwrite(f->fd, text + done, n - done, f->size + (int64_t)done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return not_written(f, k < 0 ? errno : ENOSPC);
        done += (size_t)k;
    }
    if (fsync(f->fd) != 0)
        return not_written(f, errno);
    f->size += (int64_t)n;
    return REIN_OK;
}

/* the part behind the last newline: completed, or cut off */
static rein_status repair(reini_label_file *f, const char *text, size_t size) {
    size_t end = size;
    while (end > 0 && text[end - 1] != '\n')
        end--;
    if (end == size)
        return REIN_OK;
    if (is_row(text + end, size - end))
        return write_at_end(f, "\n", 1);
    reini_log(REIN_LOG_WARNING, "%s ended in a part of a row, %zu bytes, which is cut off: \"%.60s\"",
              f->path, size - end, text + end);
    return reini_label_file_cut(f, (int64_t)end);
}

static rein_status read_line(const reini_label_file *f, const char *text, size_t from, size_t n, int64_t line,
                             reini_label_row_fn *each, void *user) {
    json_error_t error;
    json_t *row = json_loadb(text + from, n, JSON_REJECT_DUPLICATES, &error);
    rein_status status = row && json_is_object(row)
                             ? each(user, row, line, (int64_t)from)
                             : reini_fail(REIN_FORMAT, "%s:%lld: %s, expected a JSON object", f->path,
                                          (long long)line, row ? "a list" : error.text);
    json_decref(row);
    return status;
}

static rein_status read_rows(reini_label_file *f, const char *text, reini_label_row_fn *each, void *user) {
    size_t size = (size_t)f->size;
    int64_t line = 1;
    for (size_t from = 0; from < size; line++) {
        /* a last newline that repair wrote is not in the text */
        const char *newline = memchr(text + from, '\n', size - from);
        size_t end = newline ? (size_t)(newline - text) : size - 1;
        if (end - from > strspn(text + from, " \t\r"))
            REINI_TRY(read_line(f, text, from, end - from, line, each, user));
        from = end + 1;
    }
    return REIN_OK;
}

rein_status reini_label_file_open(reini_label_file *f, const char *path, bool make, reini_label_row_fn *each,
                                  void *user) {
    char *text;
    size_t size;
    *f = (reini_label_file){.path = reini_strdup(path), .fd = -1};
    if (!f->path)
        return reini_fail_memory(strlen(path), "the name of a file");
    if (!reini_file_exists(path) && !reini_dir_exists(path))
        return make ? make_file(f) : REIN_OK;
    REINI_TRY(open_locked(f));
    REINI_TRY(reini_file_read(path, BYTES_MAX, &text, &size));
    f->size = (int64_t)size;
    rein_status status = repair(f, text, size);
    if (status == REIN_OK)
        status = read_rows(f, text, each, user);
    reini_free(text);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

rein_status reini_label_file_append(reini_label_file *f, const json_t *row, int64_t *offset) {
    if (f->fd < 0)
        REINI_TRY(make_file(f));
    char *text = reini_json_text(row, false);
    size_t n = text ? strlen(text) : 0;
    if (!text)
        return reini_fail_memory(4096, "a row");
    *offset = f->size;
    text[n] = '\n'; /* one write for both: the end of the text is not needed */
    rein_status status = write_at_end(f, text, n + 1);
    reini_free(text);
    return status;
}

rein_status reini_label_file_cut(reini_label_file *f, int64_t offset) {
    if (ftruncate(f->fd, offset) != 0 || fsync(f->fd) != 0)
        return fail_system("shorten", f, errno);
    f->size = offset;
    return REIN_OK;
}
