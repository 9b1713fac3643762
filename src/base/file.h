/*
 * file.h - whole files, directories, digests; every failure names the path and the system's reason.
 */
#ifndef REINI_FILE_H
#define REINI_FILE_H

#include <jansson.h>
#include "base/base.h"

/* The whole file in memory, 0-terminated (reini_free it). limit: largest size accepted. */
rein_status reini_file_read(const char *path, size_t limit, char **data, size_t *size);
/* Writes to a temporary name beside path, syncs and renames: path holds the old or the new content, never
 * half. */
rein_status reini_file_write(const char *path, const void *data, size_t size);
bool reini_file_exists(const char *path);
bool reini_dir_exists(const char *path);
/* Both there, and the same file or folder, whatever their names. */
bool reini_same_file(const char *a, const char *b);
/* mkdir -p; fine when it exists. */
rein_status reini_dir_make(const char *path);
/* "dir/name" into out; fails when it does not fit. */
rein_status reini_path_join(char *out, size_t size, const char *dir, const char *name);

/* JSON with position and reason in errors; refuses duplicates and non-finite numbers. The outermost value
 * is a list or an object. */
rein_status reini_json_read(const char *path, json_t **out);
rein_status reini_json_parse(const char *text, size_t size, const char *what, json_t **out);
/* The same, with whole numbers beyond 64 bits as reals: Transformers writes 1e30 so, for "no limit". */
rein_status reini_json_parse_large(const char *text, size_t size, const char *what, json_t **out);
rein_status reini_json_write(const char *path, const json_t *value);
/* As text, reals in their shortest exact form: in one line, or laid out in lines as for a file. NULL when
 * out of memory; reini_free it. */
char *reini_json_text(const json_t *value, bool lines);

typedef struct reini_sha256 reini_sha256;
reini_sha256 *reini_sha256_new(void);
void reini_sha256_add(reini_sha256 *sha, const void *data, size_t size);
/* Finishes into 32 bytes and frees. */
void reini_sha256_finish(reini_sha256 *sha, uint8_t digest[32]);
void reini_hex(char *out, const uint8_t *bytes, size_t n); /* 2n + 1 characters */

#endif
