/*
 * event_file.c - TensorBoard event files.
 *
 * The messages (tensorflow/core/util/event.proto, framework/summary.proto), with the fields used here:
 *
 *     Event      { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5;
 *                  SessionLog session_log = 7; }
 *     Summary    { repeated Value value = 1; }     Value { string tag = 1; float simple_value = 2; }
 *     SessionLog { Status status = 1; }            START = 1
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "run/event_file.h"

#define PREFIX      "events.out.tfevents."
#define FRAME_HEAD  12 /* length and its checksum */
#define FRAME_TAIL  4
#define EVENT_HEAD  64 /* more than wall time, step and the longest version or session log take */
#define VALUE_EXTRA 32 /* of a Value: keys, lengths and the number, beside its tag */

/* protobuf wire types */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct reini_event_file {
    char path[4096];
    int fd;
    int n;
    char **names;
    uint8_t *record; /* room for a record with a value per tag */
    size_t used;
};

/* ---- checksum ------------------------------------------------------------------------------------------ */

uint32_t reini_crc32c(const void *data, size_t size) {
    const uint8_t *bytes = data;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

/* records that hold records would defeat a plain checksum, hence the mask */
static uint32_t masked_crc(const void *data, size_t size) {
    uint32_t crc = reini_crc32c(data, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- protobuf ------------------------------------------------------------------------------------------ */

static void put_fixed(reini_event_file *f, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        f->record[f->used++] = (uint8_t)(value >> 8 * i);
}

static void put_varint(reini_event_file *f, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        f->record[f->used++] = (uint8_t)(value | 0x80);
    f->record[f->used++] = (uint8_t)value;
}

static void put_key(reini_event_file *f, int field, int wire) {
    put_varint(f, (uint64_t)(field << 3 | wire));
}

static void put_text(reini_event_file *f, int field, const char *text) {
    size_t length = strlen(text);
    put_key(f, field, BYTES);
    put_varint(f, length);
    memcpy(f->record + f->used, text, length);
    f->used += length;
}

static size_t varint_size(uint64_t value) {
    size_t n = 1;
    for (; value >= 0x80; value >>= 7)
        n++;
    return n;
}

/* of a Value message: tag and simple_value */
static size_t value_size(const char *tag) {
    size_t length = strlen(tag);
    return 1 + varint_size(length) + length + 5;
}

static void put_value(reini_event_file *f, const char *tag, double value) {
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    put_key(f, 1, BYTES);
    put_varint(f, value_size(tag));
    put_text(f, 1, tag);
    put_key(f, 2, FIXED32);
    put_fixed(f, bits, 4);
}

/* ---- records ------------------------------------------------------------------------------------------- */

static void begin_event(reini_event_file *f, int64_t step) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    f->used = FRAME_HEAD;
    put_key(f, 1, FIXED64);
    put_fixed(f, bits, 8);
    put_key(f, 2, VARINT);
    put_varint(f, (uint64_t)step);
}

/* a record that does not fit is taken back, so that the file stays a sequence of whole records */
static rein_status write_record(reini_event_file *f) {
    size_t done = 0;
    off_t start = lseek(f->fd, 0, SEEK_CUR);
    while (done < f->used) {
        ssize_t n = write(f->fd, f->record + done, f->used - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rein_status status =
                reini_fail(REIN_IO, "cannot write \"%s\": %s", f->path, strerror(n < 0 ? errno : ENOSPC));
            if (start < 0 || ftruncate(f->fd, start) != 0 || lseek(f->fd, start, SEEK_SET) < 0)
                reini_log(REIN_LOG_WARNING, "%s ends in half a record", f->path);
            return status;
        }
        done += (size_t)n;
    }
    return REIN_OK;
}

static rein_status end_event(reini_event_file *f) {
    size_t length = f->used - FRAME_HEAD;
    uint32_t crc = masked_crc(f->record + FRAME_HEAD, length);
    put_fixed(f, crc, 4);
    size_t end = f->used;
    f->used = 0;
    put_fixed(f, length, 8);
    put_fixed(f, masked_crc(f->record, 8), 4);
    f->used = end;
    return write_record(f);
}

rein_status reini_event_file_write(reini_event_file *f, int64_t step, const double *values) {
    size_t summary = 0;
    for (int i = 0; i < f->n; i++)
        if (!isnan(values[i])) {
            size_t size = value_size(f->names[i]);
            summary += 1 + varint_size(size) + size;
        }
    if (summary == 0)
        return REIN_OK;
    begin_event(f, step);
    put_key(f, 5, BYTES);
    put_varint(f, summary);
    for (int i = 0; i < f->n; i++)
        if (!isnan(values[i]))
            put_value(f, f->names[i], values[i]);
    return end_event(f);
}

static rein_status write_start(reini_event_file *f, int64_t first_step) {
    begin_event(f, first_step);
    put_text(f, 3, "brain.Event:2");
    REINI_TRY(end_event(f));
    begin_event(f, first_step);
    put_key(f, 7, BYTES);
    put_varint(f, 2);
    put_key(f, 1, VARINT);
    put_varint(f, 1);
    return end_event(f);
}

/* ---- opening ------------------------------------------------------------------------------------------- */

/* the present time, or one second past the newest event file when the clock has been set back */
static rein_status next_time(const char *dir, long long *when) {
    DIR *d = opendir(dir);
    if (!d)
        return reini_fail(REIN_IO, "cannot read the directory \"%s\": %s", dir, strerror(errno));
    *when = (long long)time(NULL);
    for (struct dirent *entry; (entry = readdir(d));)
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0) {
            long long old = strtoll(entry->d_name + strlen(PREFIX), NULL, 10);
            if (old >= *when && old < 9999999999)
                *when = old + 1;
        }
    closedir(d);
    return REIN_OK;
}

static rein_status create_file(reini_event_file *f, const char *dir) {
    long long when = 0;
    char host[64] = "", name[192];
    REINI_TRY(next_time(dir, &when));
    if (gethostname(host, sizeof host - 1) != 0 || !host[0] || strchr(host, '/'))
        snprintf(host, sizeof host, "localhost");
    snprintf(name, sizeof name, PREFIX "%010lld.%s.%ld", when, host, (long)getpid());
    REINI_TRY(reini_path_join(f->path, sizeof f->path, dir, name));
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (f->fd < 0)
        return reini_fail(REIN_IO, "cannot create \"%s\": %s", f->path, strerror(errno));
    return REIN_OK;
}

static rein_status copy_names(reini_event_file *f, const char *const *names, int n) {
    size_t size = FRAME_HEAD + EVENT_HEAD + FRAME_TAIL;
    f->names = REINI_NEW_ARRAY(char *, (size_t)n);
    if (!f->names)
        return reini_fail_memory(sizeof(char *) * (size_t)n, "the names of metrics");
    for (; f->n < n; f->n++) {
        f->names[f->n] = reini_strdup(names[f->n]);
        if (!f->names[f->n])
            return reini_fail_memory(strlen(names[f->n]), "the names of metrics");
        size += VALUE_EXTRA + strlen(names[f->n]);
    }
    f->record = reini_new(size);
    return f->record ? REIN_OK : reini_fail_memory(size, "a record of metrics");
}

rein_status reini_event_file_open(const char *dir, const char *const *names, int n, int64_t first_step,
                                  reini_event_file **out) {
    *out = NULL;
    reini_event_file *f = REINI_NEW(reini_event_file);
    if (!f)
        return reini_fail_memory(sizeof *f, "an event file");
    f->fd = -1;
    rein_status status = copy_names(f, names, n);
    if (status == REIN_OK)
        status = create_file(f, dir);
    if (status == REIN_OK)
        status = write_start(f, first_step);
    if (status != REIN_OK) {
        reini_event_file_close(f);
        return status;
    }
    *out = f;
    return REIN_OK;
}

void reini_event_file_close(reini_event_file *f) {
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    for (int i = 0; i < f->n; i++)
        reini_free(f->names[i]);
    reini_free(f->names);
    reini_free(f->record);
    reini_free(f);
}
