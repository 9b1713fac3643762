/*
 * digest.c - SHA-256.
 */
#include <nettle/sha2.h>
#include <nettle/version.h>
#include "base/file.h"

struct reini_sha256 {
    struct sha256_ctx context;
};

reini_sha256 *reini_sha256_new(void) {
    reini_sha256 *sha = REINI_NEW(reini_sha256);
    if (sha)
        sha256_init(&sha->context);
    return sha;
}

void reini_sha256_add(reini_sha256 *sha, const void *data, size_t size) {
    if (size > 0)
        sha256_update(&sha->context, size, data);
}

void reini_sha256_finish(reini_sha256 *sha, uint8_t digest[32]) {
#if NETTLE_VERSION_MAJOR >= 4
    sha256_digest(&sha->context, digest);
#else
    sha256_digest(&sha->context, 32, digest);
#endif
    reini_free(sha);
}

void reini_hex(char *out, const uint8_t *bytes, size_t n) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = 0;
}
