/*
 * fuzz_archive.c - an archive as it is, and with the right digest put after it, so that what lies behind the
 * digest is reached too.
 */
#include <stdlib.h>
#include <string.h>
#include "base/archive.h"
#include "base/file.h"
#include "fuzz.h"
#include "memory_file.h"

#define DIGEST_BYTES 32

static rein_status visit(reini_archive *ar) {
    int64_t count;
    float table[5];
    size_t size = 0;
    REINI_TRY(reini_archive_bytes(ar, "count", &count, sizeof count));
    REINI_TRY(reini_archive_bytes(ar, "table", table, sizeof table));
    REINI_TRY(reini_archive_bytes(ar, "nothing", NULL, 0));
    REINI_TRY(reini_archive_size(ar, "log", &size));
    char *log = reini_new(size);
    if (!log)
        return reini_fail_memory(size, "a log");
    rein_status status = reini_archive_bytes(ar, "log", log, size);
    reini_free(log);
    return status;
}

static void load(const char *path) {
    reini_archive *ar;
    const json_t *header;
    if (reini_archive_open(path, &ar, &header) != REIN_OK)
        return;
    if (!header)
        abort();
    if (visit(ar) == REIN_OK)
        (void)reini_archive_finish(ar);
    else
        reini_archive_cancel(ar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t digest[DIGEST_BYTES];
    load(memory_file(data, size, NULL, 0));
    size_t content = size > DIGEST_BYTES ? size - DIGEST_BYTES : size;
    reini_sha256 *sha = reini_sha256_new();
    if (!sha)
        return 0;
    reini_sha256_add(sha, data, content);
    reini_sha256_finish(sha, digest);
    load(memory_file(data, content, digest, sizeof digest));
    if (reini_memory_now().live_bytes != 0)
        abort();
    return 0;
}
