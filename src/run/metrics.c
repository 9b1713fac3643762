/*
 * metrics.c - a table of scalars, in metrics.csv and in a TensorBoard event file.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/number.h"
#include "run/event_file.h"
#include "run/metrics.h"

#define CSV_BYTES_MAX ((size_t)2 << 30)
#define STEP_TEXT     24
#define DIGITS        9 /* what a float needs to read back exactly */

struct reini_metrics {
    char path[4096]; /* of metrics.csv */
    int fd;
    int n;
    char *row; /* room for one line */
    reini_event_file *events;
};

/* ---- the table as text --------------------------------------------------------------------------------- */

static rein_status check_names(const char *const *names, int n) {
    for (int i = 0; i < n; i++)
        if (!names[i][0] || strpbrk(names[i], ",\"\r\n"))
            return reini_fail(REIN_INTERNAL, "\"%s\" cannot be the name of a metric", names[i]);
    return REIN_OK;
}

/* "step,a,b\n"; NULL when out of memory */
static char *header_line(const char *const *names, int n) {
    size_t size = sizeof "step\n";
    for (int i = 0; i < n; i++)
        size += 1 + strlen(names[i]);
    char *line = reini_new(size), *at = line;
    if (!line)
        return NULL;
    at = stpcpy(at, "step");
    for (int i = 0; i < n; i++) {
        *at++ = ',';
        at = stpcpy(at, names[i]);
    }
    stpcpy(at, "\n");
    return line;
}

/* the step of a whole row of n values; -1 for anything else, such as what a crash left at the end */
static int64_t row_step(const char *line, size_t length, int n) {
    int commas = 0;
    int64_t step = -1;
    for (size_t i = 0; i < length; i++)
        commas += line[i] == ',';
    const char *comma = memchr(line, ',', length);
    size_t digits = comma ? (size_t)(comma - line) : length;
    if (commas != n || memchr(line, 0, length))
        return -1;
    return reini_int_parse(line, digits, false, &step) == REINI_NUMBER_OK ? step : -1;
}

/* moves the header and the rows up to last_step to the front; returns their size */
static size_t keep_rows(char *text, size_t size, int n, int64_t last_step) {
    size_t kept = 0;
    for (size_t at = 0; at < size;) {
        char *end = memchr(text + at, '\n', size - at);
        if (!end)
            break;
        size_t length = (size_t)(end - (text + at)) + 1;
        int64_t step = row_step(text + at, length - 1, n);
        if (at == 0 || (step >= 0 && step <= last_step)) {
            memmove(text + kept, text + at, length);
            kept += length;
        }
        at += length;
    }
    return kept;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static rein_status cut_rows(const char *path, const char *header, int n, int64_t last_step) {
    char *text;
    size_t size;
    REINI_TRY(reini_file_read(path, CSV_BYTES_MAX, &text, &size));
    size_t length = strlen(header);
    rein_status status;
    if (size < length || memcmp(text, header, length) != 0)
        status = reini_fail(REIN_MISMATCH, "\"%s\" has other columns than this run, expected \"%.*s\"", path,
                            (int)length - 1, header);
    else
        status = reini_file_write(path, text, keep_rows(text, size, n, last_step));
    reini_free(text);
    return status;
}

static rein_status prepare_csv(reini_metrics *m, const char *const *names, int n, int64_t resume_step) {
    char *header = header_line(names, n);
    if (!header)
        return reini_fail(REIN_NOMEM, "out of memory while writing \"%s\"", m->path);
    rein_status status = resume_step >= 0 && reini_file_exists(m->path)
                             ? cut_rows(m->path, header, n, resume_step)
                             : reini_file_write(m->path, header, strlen(header));
    reini_free(header);
    return status;
}

static rein_status open_both(reini_metrics *m, const char *dir, const char *const *names, int n,
                             int64_t resume_step) {
    REINI_TRY(check_names(names, n));
    REINI_TRY(reini_path_join(m->path, sizeof m->path, dir, "metrics.csv"));
    REINI_TRY(prepare_csv(m, names, n, resume_step));
    m->fd = open(m->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (m->fd < 0)
        return reini_fail(REIN_IO, "cannot write \"%s\": %s", m->path, strerror(errno));
    return reini_event_file_open(dir, names, n, resume_step < 0 ? 0 : resume_step + 1, &m->events);
}

rein_status reini_metrics_open(const char *dir, const char *const *names, int n, int64_t resume_step,
                               reini_metrics **out) {
    *out = NULL;
    reini_metrics *m = REINI_NEW(reini_metrics);
    if (!m)
        return reini_fail_memory(sizeof *m, "metrics");
    m->fd = -1;
    m->n = n;
    m->row = reini_new(STEP_TEXT + (size_t)n * (REINI_REAL_TEXT + 1) + 2);
    rein_status status =
        m->row ? open_both(m, dir, names, n, resume_step) : reini_fail_memory((size_t)n, "metrics");
    if (status != REIN_OK) {
        reini_metrics_close(m);
        return status;
    }
    *out = m;
    return REIN_OK;
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

/* a row that does not fit is taken back */
static rein_status append(reini_metrics *m, const char *text, size_t size) {
    off_t start = lseek(m->fd, 0, SEEK_END);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(m->fd, text + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rein_status status =
                reini_fail(REIN_IO, "cannot write \"%s\": %s", m->path, strerror(n < 0 ? errno : ENOSPC));
            if (start < 0 || ftruncate(m->fd, start) != 0)
                reini_log(REIN_LOG_WARNING, "%s ends in half a row", m->path);
            return status;
        }
        done += (size_t)n;
    }
    return REIN_OK;
}

rein_status reini_metrics_write(reini_metrics *m, int64_t step, const double *values) {
    size_t used = (size_t)snprintf(m->row, STEP_TEXT, "%lld", (long long)step);
    for (int i = 0; i < m->n; i++) {
        m->row[used++] = ',';
        if (!isnan(values[i]))
            used += reini_real_format(m->row + used, values[i], DIGITS);
    }
    m->row[used++] = '\n';
    REINI_TRY(append(m, m->row, used));
    return reini_event_file_write(m->events, step, values);
}

void reini_metrics_close(reini_metrics *m) {
    if (!m)
        return;
    if (m->fd >= 0)
        close(m->fd);
    reini_event_file_close(m->events);
    reini_free(m->row);
    reini_free(m);
}
