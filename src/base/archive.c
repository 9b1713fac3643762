/*
 * archive.c - the state of a run as named byte ranges in one checksummed file.
 *
 * Integers are little-endian:
 *
 *     magic     8    "rein-ar\n"
 *     version   u32  1
 *     header    u32  length, then JSON
 *     entries        { name length u8 (1..255), name, size u64, bytes } ...
 *     end       u8   0, where a name length would stand
 *     digest    32   SHA-256 of everything before it
 *
 * Loading reads the file twice in pieces of a buffer, once for the digest and once for the entries, so it
 * needs no memory for the file and a read error is an error, not a signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/archive.h"
#include "base/file.h"
#include "base/output.h"

#define MAGIC          "rein-ar\n"
#define MAGIC_BYTES    8
#define VERSION        1
#define PREFIX_BYTES   (MAGIC_BYTES + 4 + 4)
#define DIGEST_BYTES   32
#define HEADER_MAX     (16u << 20)
#define BUFFER_BYTES   ((size_t)64 << 10)
#define NAME_MAX_BYTES 255

struct reini_archive {
    char *path;
    rein_status status; /* the first failure; nothing is completed after one */
    int entries;        /* saved or taken so far */
    /* saving */
    reini_output *output;
    reini_sha256 *sha;
    /* loading */
    int fd;
    json_t *header;
    uint64_t at, end; /* next byte, first byte of the digest */
    bool named;       /* the next entry's name and size have been read */
    char name[NAME_MAX_BYTES + 1];
    uint64_t size;
    char *buffer;          /* BUFFER_BYTES */
    size_t filled, offset; /* bytes in buffer, next one to hand out */
};

static void store_u32(uint8_t out[4], uint32_t value) {
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static void store_u64(uint8_t out[8], uint64_t value) {
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t load_uint(const uint8_t *bytes, int n) {
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

void reini_archive_cancel(reini_archive *ar) {
    if (!ar)
        return;
    reini_output_cancel(ar->output);
    if (ar->sha) {
        uint8_t unused[DIGEST_BYTES];
        reini_sha256_finish(ar->sha, unused);
    }
    if (ar->fd >= 0)
        close(ar->fd);
    json_decref(ar->header);
    reini_free(ar->buffer);
    reini_free(ar->path);
    reini_free(ar);
}

static reini_archive *new_archive(const char *path) {
    reini_archive *ar = REINI_NEW(reini_archive);
    if (!ar)
        return NULL;
    ar->fd = -1;
    ar->path = reini_strdup(path);
    if (!ar->path) {
        reini_free(ar);
        return NULL;
    }
    return ar;
}

bool reini_archive_loading(const reini_archive *ar) {
    return ar->fd >= 0;
}

/* ---- saving -------------------------------------------------------------------------------------------- */

static rein_status write_bytes(reini_archive *ar, const void *data, size_t size) {
    reini_sha256_add(ar->sha, data, size);
    return reini_output_write(ar->output, data, size);
}

static rein_status write_prefix(reini_archive *ar, const json_t *header) {
    uint8_t numbers[8];
    char *text = reini_json_text(header, false);
    if (!text)
        return reini_fail(REIN_NOMEM, "out of memory while writing \"%s\"", ar->path);
    size_t length = strlen(text);
    rein_status status = REIN_OK;
    if (length > HEADER_MAX)
        status = reini_fail(REIN_USAGE, "%s: the header has %zu bytes, expected at most %u", ar->path, length,
                            HEADER_MAX);
    store_u32(numbers, VERSION);
    store_u32(numbers + 4, (uint32_t)length);
    if (status == REIN_OK)
        status = write_bytes(ar, MAGIC, MAGIC_BYTES);
    if (status == REIN_OK)
        status = write_bytes(ar, numbers, sizeof numbers);
    if (status == REIN_OK)
        status = write_bytes(ar, text, length);
    reini_free(text);
    return status;
}

rein_status reini_archive_create(const char *path, const json_t *header, reini_archive **out) {
    *out = NULL;
    reini_archive *ar = new_archive(path);
    if (ar)
        ar->sha = reini_sha256_new();
    if (!ar || !ar->sha) {
        reini_archive_cancel(ar);
        return reini_fail(REIN_NOMEM, "out of memory while writing \"%s\"", path);
    }
    rein_status status = reini_output_open(path, &ar->output);
    if (status == REIN_OK)
        status = write_prefix(ar, header);
    if (status != REIN_OK) {
        reini_archive_cancel(ar);
        return status;
    }
    *out = ar;
    return REIN_OK;
}

static rein_status save_entry(reini_archive *ar, const char *name, const void *data, size_t size) {
    uint8_t length = (uint8_t)strnlen(name, NAME_MAX_BYTES + 1), bytes[8];
    if (length == 0 || name[length])
        return reini_fail(REIN_INTERNAL, "%s: an entry's name must have 1 to %d bytes", ar->path,
                          NAME_MAX_BYTES);
    store_u64(bytes, size);
    REINI_TRY(write_bytes(ar, &length, 1));
    REINI_TRY(write_bytes(ar, name, length));
    REINI_TRY(write_bytes(ar, bytes, sizeof bytes));
    return write_bytes(ar, data, size);
}

static rein_status finish_saving(reini_archive *ar) {
    uint8_t end = 0, digest[DIGEST_BYTES];
    rein_status status = write_bytes(ar, &end, 1);
    reini_sha256_finish(ar->sha, digest);
    ar->sha = NULL;
    if (status == REIN_OK)
        status = reini_output_write(ar->output, digest, sizeof digest);
    if (status == REIN_OK) {
        status = reini_output_commit(ar->output);
        ar->output = NULL;
    }
    return status;
}

/* ---- loading ------------------------------------------------------------------------------------------- */

static rein_status fail_damaged(const reini_archive *ar, const char *how) {
    return reini_fail(REIN_FORMAT, "\"%s\" is damaged: %s", ar->path, how);
}

/* reads exactly size bytes at an offset of the file */
static rein_status read_at(const reini_archive *ar, void *data, size_t size, uint64_t offset) {
    for (char *to = data; size > 0;) {
        ssize_t n = pread(ar->fd, to, size < (1u << 30) ? size : 1u << 30, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return reini_fail(REIN_IO, "cannot read \"%s\": %s", ar->path, strerror(errno));
        if (n == 0)
            return fail_damaged(ar, "it is cut short");
        to += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return REIN_OK;
}

/* the next bytes of the entries; small reads go through the buffer */
static rein_status take(reini_archive *ar, void *data, uint64_t size) {
    if (size > ar->end - ar->at)
        return fail_damaged(ar, "an entry is longer than the file");
    for (char *to = data; size > 0;) {
        if (ar->offset == ar->filled && size >= BUFFER_BYTES) {
            REINI_TRY(read_at(ar, to, size, ar->at));
            ar->at += size;
            return REIN_OK;
        }
        if (ar->offset == ar->filled) {
            uint64_t left = ar->end - ar->at;
            ar->filled = left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES;
            ar->offset = 0;
            REINI_TRY(read_at(ar, ar->buffer, ar->filled, ar->at));
        }
        size_t n = ar->filled - ar->offset;
        if (n > size)
            n = (size_t)size;
        memcpy(to, ar->buffer + ar->offset, n);
        ar->offset += n;
        ar->at += n;
        to += n;
        size -= n;
    }
    return REIN_OK;
}

static rein_status verify_digest(reini_archive *ar) {
    uint8_t found[DIGEST_BYTES], expected[DIGEST_BYTES];
    reini_sha256 *sha = reini_sha256_new();
    if (!sha)
        return reini_fail_memory(BUFFER_BYTES, "a digest");
    rein_status status = REIN_OK;
    for (uint64_t at = 0; status == REIN_OK && at < ar->end;) {
        size_t n = ar->end - at < BUFFER_BYTES ? (size_t)(ar->end - at) : BUFFER_BYTES;
        status = read_at(ar, ar->buffer, n, at);
        reini_sha256_add(sha, ar->buffer, n);
        at += n;
    }
    reini_sha256_finish(sha, found);
    REINI_TRY(status);
    REINI_TRY(read_at(ar, expected, sizeof expected, ar->end));
    if (memcmp(found, expected, sizeof found) != 0)
        return fail_damaged(ar, "its SHA-256 does not match its content");
    return REIN_OK;
}

/* magic, version, digest and header, in this order, so that the reason given is the plainest one */
static rein_status read_prefix(reini_archive *ar, uint64_t file_size) {
    uint8_t prefix[PREFIX_BYTES];
    size_t known = file_size < MAGIC_BYTES ? (size_t)file_size : MAGIC_BYTES;
    REINI_TRY(read_at(ar, prefix, known, 0));
    if (file_size == 0 || memcmp(prefix, MAGIC, known) != 0)
        return reini_fail(REIN_FORMAT, "\"%s\" is %s", ar->path,
                          file_size == 0 ? "empty, expected a Rein archive" : "not a Rein archive");
    if (file_size < PREFIX_BYTES + 1 + DIGEST_BYTES)
        return fail_damaged(ar, "it is cut short");
    REINI_TRY(read_at(ar, prefix, sizeof prefix, 0));
    uint64_t version = load_uint(prefix + MAGIC_BYTES, 4), length = load_uint(prefix + MAGIC_BYTES + 4, 4);
    if (version != VERSION)
        return reini_fail(REIN_FORMAT, "\"%s\" has archive version %llu, this build reads version %d",
                          ar->path, (unsigned long long)version, VERSION);
    ar->end = file_size - DIGEST_BYTES;
    REINI_TRY(verify_digest(ar));
    if (length > HEADER_MAX || length > ar->end - PREFIX_BYTES)
        return fail_damaged(ar, "the header is longer than the file");
    char *text = reini_new(length);
    if (!text)
        return reini_fail_memory(length, ar->path);
    rein_status status = read_at(ar, text, length, PREFIX_BYTES);
    if (status == REIN_OK)
        status = reini_json_parse(text, length, ar->path, &ar->header);
    reini_free(text);
    ar->at = PREFIX_BYTES + length;
    return status;
}

static rein_status open_file(reini_archive *ar) {
    struct stat st;
    ar->fd = open(ar->path, O_RDONLY | O_CLOEXEC);
    if (ar->fd < 0 || fstat(ar->fd, &st) != 0)
        return reini_fail(REIN_IO, "cannot read \"%s\": %s", ar->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return reini_fail(REIN_IO, "cannot read \"%s\": it is not a regular file", ar->path);
    return read_prefix(ar, (uint64_t)st.st_size);
}

rein_status reini_archive_open(const char *path, reini_archive **out, const json_t **header) {
    *out = NULL;
    reini_archive *ar = new_archive(path);
    if (ar)
        ar->buffer = reini_new(BUFFER_BYTES);
    if (!ar || !ar->buffer) {
        reini_archive_cancel(ar);
        return reini_fail(REIN_NOMEM, "out of memory while reading \"%s\"", path);
    }
    rein_status status = open_file(ar);
    if (status != REIN_OK) {
        reini_archive_cancel(ar);
        return status;
    }
    *out = ar;
    if (header)
        *header = ar->header;
    return REIN_OK;
}

/* reads the next entry's name and size; an empty name is the end */
static rein_status peek(reini_archive *ar) {
    uint8_t length, bytes[8];
    if (ar->named)
        return REIN_OK;
    REINI_TRY(take(ar, &length, 1));
    REINI_TRY(take(ar, ar->name, length));
    ar->name[length] = 0;
    ar->size = 0;
    if (length > 0) {
        REINI_TRY(take(ar, bytes, sizeof bytes));
        ar->size = load_uint(bytes, 8);
        if (ar->size > ar->end - ar->at)
            return fail_damaged(ar, "an entry is longer than the file");
    }
    ar->named = true;
    return REIN_OK;
}

static rein_status expect(reini_archive *ar, const char *name) {
    REINI_TRY(peek(ar));
    if (strcmp(ar->name, name) == 0)
        return REIN_OK;
    if (!ar->name[0])
        return reini_fail(REIN_MISMATCH, "\"%s\" ends after %d entries, expected \"%s\"", ar->path,
                          ar->entries, name);
    return reini_fail(REIN_MISMATCH, "\"%s\": entry %d is \"%s\", expected \"%s\"", ar->path, ar->entries + 1,
                      ar->name, name);
}

static rein_status load_entry(reini_archive *ar, const char *name, void *data, size_t size) {
    REINI_TRY(expect(ar, name));
    if (ar->size != size)
        return reini_fail(REIN_MISMATCH, "\"%s\": \"%s\" has %llu bytes, expected %zu", ar->path, name,
                          (unsigned long long)ar->size, size);
    ar->named = false;
    return take(ar, data, size);
}

static rein_status finish_loading(reini_archive *ar) {
    REINI_TRY(peek(ar));
    if (ar->name[0])
        return reini_fail(REIN_MISMATCH, "\"%s\" has an entry \"%s\" that is not expected", ar->path,
                          ar->name);
    if (ar->at != ar->end)
        return fail_damaged(ar, "something follows the last entry");
    return REIN_OK;
}

/* ---- both ---------------------------------------------------------------------------------------------- */

rein_status reini_archive_bytes(reini_archive *ar, const char *name, void *data, size_t size) {
    if (ar->status != REIN_OK)
        return ar->status;
    ar->status =
        reini_archive_loading(ar) ? load_entry(ar, name, data, size) : save_entry(ar, name, data, size);
    ar->entries++;
    return ar->status;
}

rein_status reini_archive_size(reini_archive *ar, const char *name, size_t *size) {
    if (ar->status != REIN_OK || !reini_archive_loading(ar))
        return ar->status;
    ar->status = expect(ar, name);
    if (ar->status == REIN_OK)
        *size = (size_t)ar->size;
    return ar->status;
}

rein_status reini_archive_finish(reini_archive *ar) {
    rein_status status = ar->status;
    if (status == REIN_OK)
        status = reini_archive_loading(ar) ? finish_loading(ar) : finish_saving(ar);
    reini_archive_cancel(ar);
    return status;
}
