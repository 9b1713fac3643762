/*
 * safetensors.c - reading (mapped, validated) and writing safetensors files.
 *
 * Nothing in a file is trusted: every number of the header is checked before it is used, so that a tensor
 * handed out always lies inside the mapping. Files are written as the original library writes them: tensors
 * by descending dtype, then by name, which keeps each aligned to its element size.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/output.h"
#include "base/safetensors.h"

#define HEADER_MAX     ((uint64_t)100000000) /* the original library's limit */
#define DIMS_MAX       8
#define NAME_MAX_BYTES 4096
#define METADATA       "__metadata__"

struct reini_safetensors {
    char *path;
    void *map;
    size_t map_bytes;
    json_t *header; /* owns the names, dtypes and metadata */
    reini_st_tensor *tensors;
    int count;
};

/* element bytes, in the order in which the original library ranks dtypes */
static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"F8_E8M0", 1},
    {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},     {"U32", 4},
    {"F32", 4},  {"C64", 8}, {"F64", 8}, {"I64", 8},     {"U64", 8},
};

/* rank of a dtype, -1 when unknown */
static int dtype_rank(const char *name) {
    for (int i = 0; i < (int)(sizeof dtypes / sizeof *dtypes); i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return i;
    return -1;
}

/* bytes of shape x dtype; false on overflow or a negative extent */
static bool tensor_bytes(const int64_t *shape, int ndim, size_t element, size_t *bytes) {
    *bytes = element;
    for (int i = 0; i < ndim; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(*bytes, (uint64_t)shape[i], bytes))
            return false;
    return true;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static rein_status fail_file(const reini_safetensors *st, const char *why) {
    return reini_fail(REIN_FORMAT, "\"%s\" is not a valid safetensors file: %s", st->path, why);
}

static rein_status fail_tensor(const reini_safetensors *st, const char *name, const char *why) {
    return reini_fail(REIN_FORMAT, "\"%s\" is not a valid safetensors file: tensor \"%.200s\": %s", st->path,
                      name, why);
}

void reini_safetensors_close(reini_safetensors *st) {
    if (!st)
        return;
    if (st->map)
        munmap(st->map, st->map_bytes);
    json_decref(st->header);
    reini_free(st->tensors);
    reini_free(st->path);
    reini_free(st);
}

static rein_status map_file(reini_safetensors *st) {
    struct stat info;
    int fd = open(st->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0) {
        rein_status status = reini_fail(REIN_IO, "cannot read \"%s\": %s", st->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    rein_status status = REIN_OK;
    if (!S_ISREG(info.st_mode))
        status = reini_fail(REIN_IO, "cannot read \"%s\": it is not a regular file", st->path);
    else if (info.st_size < 8)
        status = fail_file(st, "it is cut short");
    else {
        st->map_bytes = (size_t)info.st_size;
        st->map = mmap(NULL, st->map_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (st->map == MAP_FAILED) {
            st->map = NULL;
            status = reini_fail(REIN_IO, "cannot map \"%s\": %s", st->path, strerror(errno));
        }
    }
    close(fd);
    return status;
}

/* *data: where the tensors' bytes start in the file */
static rein_status read_header(reini_safetensors *st, size_t *data) {
    const uint8_t *bytes = st->map;
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[i];
    if (length > HEADER_MAX)
        return fail_file(st, "its header is larger than 100 MB");
    if (length > st->map_bytes - 8)
        return fail_file(st, "its header is longer than the file");
    if (length == 0 || bytes[8] != '{')
        return fail_file(st, "its header is not a JSON object");
    *data = 8 + length;
    return reini_json_parse((const char *)bytes + 8, length, st->path, &st->header);
}

static rein_status check_metadata(const reini_safetensors *st) {
    json_t *metadata = json_object_get(st->header, METADATA), *value;
    const char *key;
    if (metadata && !json_is_object(metadata))
        return fail_file(st, METADATA " is not an object");
    json_object_foreach(metadata, key, value) if (!json_is_string(value)) return reini_fail(
        REIN_FORMAT, "\"%s\" is not a valid safetensors file: metadata \"%.200s\" is not a string", st->path,
        key);
    return REIN_OK;
}

static rein_status read_shape(const reini_safetensors *st, const json_t *entry, reini_st_tensor *t) {
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape))
        return fail_tensor(st, t->name, "shape is not a list");
    if (json_array_size(shape) > DIMS_MAX)
        return fail_tensor(st, t->name, "it has more than 8 dimensions");
    t->ndim = (int)json_array_size(shape);
    for (int i = 0; i < t->ndim; i++) {
        const json_t *extent = json_array_get(shape, (size_t)i);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0)
            return fail_tensor(st, t->name, "shape is not a list of whole numbers");
        t->shape[i] = json_integer_value(extent);
    }
    return REIN_OK;
}

/* sets data and bytes from data_offsets, which count from the first byte after the header */
static rein_status read_offsets(const reini_safetensors *st, const json_t *entry, size_t data,
                                reini_st_tensor *t) {
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return fail_tensor(st, t->name, "data_offsets is not a list of two whole numbers");
    json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || end < begin || (uint64_t)end > st->map_bytes - data)
        return fail_tensor(st, t->name, "its bytes do not lie inside the file");
    t->data = (const uint8_t *)st->map + data + begin;
    t->bytes = (size_t)(end - begin);
    return REIN_OK;
}

static rein_status read_tensor(const reini_safetensors *st, const char *name, const json_t *entry,
                               size_t data, reini_st_tensor *t) {
    t->name = name;
    if (!json_is_object(entry) || json_object_size(entry) != 3)
        return fail_tensor(st, name, "expected dtype, shape and data_offsets");
    t->dtype = json_string_value(json_object_get(entry, "dtype"));
    int rank = t->dtype ? dtype_rank(t->dtype) : -1;
    if (rank < 0)
        return reini_fail(REIN_FORMAT, "\"%s\": tensor \"%.200s\" has the unknown dtype \"%.32s\"", st->path,
                          name, t->dtype ? t->dtype : "(none)");
    REINI_TRY(read_shape(st, entry, t));
    REINI_TRY(read_offsets(st, entry, data, t));
    size_t bytes;
    if (!tensor_bytes(t->shape, t->ndim, dtypes[rank].bytes, &bytes) || bytes != t->bytes)
        return fail_tensor(st, name, "its size is not that of its shape and dtype");
    return REIN_OK;
}

static int by_place(const void *a, const void *b) {
    const reini_st_tensor *x = a, *y = b;
    uintptr_t px = (uintptr_t)x->data, py = (uintptr_t)y->data;
    if (px != py)
        return px < py ? -1 : 1;
    /* an empty tensor comes before the one that starts at the same byte */
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* the tensors, in the order of their bytes, fill the file after the header: no overlap, no hole, nothing
 * after */
static rein_status check_places(const reini_safetensors *st, size_t data) {
    const uint8_t *next = (const uint8_t *)st->map + data;
    for (int i = 0; i < st->count; i++) {
        const reini_st_tensor *t = &st->tensors[i];
        if ((const uint8_t *)t->data != next)
            return fail_tensor(st, t->name,
                               (const uint8_t *)t->data < next ? "its bytes overlap those of another"
                                                               : "there is a hole before its bytes");
        next += t->bytes;
    }
    if (next != (const uint8_t *)st->map + st->map_bytes)
        return fail_file(st, "bytes follow the last tensor");
    return REIN_OK;
}

static rein_status read_tensors(reini_safetensors *st, size_t data) {
    const char *name;
    json_t *entry;
    size_t n = json_object_size(st->header);
    st->tensors = REINI_NEW_ARRAY(reini_st_tensor, n);
    if (!st->tensors)
        return reini_fail_memory(n * sizeof(reini_st_tensor), st->path);
    json_object_foreach(st->header, name, entry) {
        if (strcmp(name, METADATA) == 0)
            continue;
        REINI_TRY(read_tensor(st, name, entry, data, &st->tensors[st->count]));
        st->count++;
    }
    qsort(st->tensors, (size_t)st->count, sizeof *st->tensors, by_place);
    return check_places(st, data);
}

static rein_status open_file(reini_safetensors *st) {
    size_t data = 0;
    REINI_TRY(map_file(st));
    REINI_TRY(read_header(st, &data));
    REINI_TRY(check_metadata(st));
    return read_tensors(st, data);
}

rein_status reini_safetensors_open(const char *path, reini_safetensors **out) {
    *out = NULL;
    reini_safetensors *st = REINI_NEW(reini_safetensors);
    if (st)
        st->path = reini_strdup(path);
    if (!st || !st->path) {
        reini_free(st);
        return reini_fail_memory(sizeof *st, path);
    }
    rein_status status = open_file(st);
    if (status != REIN_OK) {
        reini_safetensors_close(st);
        return status;
    }
    *out = st;
    return REIN_OK;
}

int reini_safetensors_count(const reini_safetensors *st) {
    return st->count;
}

const reini_st_tensor *reini_safetensors_at(const reini_safetensors *st, int i) {
    return i >= 0 && i < st->count ? &st->tensors[i] : NULL;
}

const reini_st_tensor *reini_safetensors_find(const reini_safetensors *st, const char *name) {
    for (int i = 0; i < st->count; i++)
        if (strcmp(st->tensors[i].name, name) == 0)
            return &st->tensors[i];
    return NULL;
}

const char *reini_safetensors_meta(const reini_safetensors *st, const char *key) {
    return json_string_value(json_object_get(json_object_get(st->header, METADATA), key));
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static rein_status check_written(const char *path, const reini_st_tensor *t) {
    size_t bytes;
    int rank = dtype_rank(t->dtype);
    if (rank < 0)
        return reini_fail(REIN_INTERNAL, "%s: tensor \"%s\" has the unknown dtype \"%s\"", path, t->name,
                          t->dtype);
    if (strcmp(t->name, METADATA) == 0 || strlen(t->name) > NAME_MAX_BYTES)
        return reini_fail(REIN_INTERNAL, "%s: \"%.200s\" cannot be the name of a tensor", path, t->name);
    if (t->ndim < 0 || t->ndim > DIMS_MAX || !tensor_bytes(t->shape, t->ndim, dtypes[rank].bytes, &bytes) ||
        bytes != t->bytes)
        return reini_fail(REIN_INTERNAL, "%s: the %zu bytes of \"%s\" are not those of its shape and dtype",
                          path, t->bytes, t->name);
    return REIN_OK;
}

static int by_rank(const void *a, const void *b) {
    const reini_st_tensor *x = *(const reini_st_tensor *const *)a, *y = *(const reini_st_tensor *const *)b;
    int rx = dtype_rank(x->dtype), ry = dtype_rank(y->dtype);
    return rx != ry ? ry - rx : strcmp(x->name, y->name);
}

/* {"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}; NULL when out of memory */
static json_t *entry_of(const reini_st_tensor *t, size_t offset) {
    json_t *shape = json_array();
    for (int i = 0; i < t->ndim; i++)
        if (json_array_append_new(shape, json_integer(t->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", t->dtype, "shape", shape, "data_offsets",
                     (json_int_t)offset, (json_int_t)(offset + t->bytes));
}

/* NULL when out of memory or when a string is not UTF-8 */
static json_t *header_of(const reini_st_tensor *const *order, int n, const char *const *keys,
                         const char *const *values, int n_meta) {
    json_t *header = json_object();
    if (n_meta > 0 && json_object_set_new(header, METADATA, json_object()) != 0) {
        json_decref(header);
        return NULL;
    }
    int failed = !header;
    for (int i = 0; i < n_meta && !failed; i++)
        failed = json_object_set_new(json_object_get(header, METADATA), keys[i], json_string(values[i]));
    size_t offset = 0;
    for (int i = 0; i < n && !failed; i++) {
        failed = json_object_set_new(header, order[i]->name, entry_of(order[i], offset));
        offset += order[i]->bytes;
    }
    if (failed) {
        json_decref(header);
        return NULL;
    }
    return header;
}

/* the header's text, padded with blanks so that the tensors start at a multiple of 8 */
static rein_status write_header(reini_output *output, const char *path, const json_t *header) {
    size_t length = json_dumpb(header, NULL, 0, JSON_COMPACT), padded = (length + 7) / 8 * 8;
    char *text = reini_new(8 + padded);
    if (!text || length == 0) {
        reini_free(text);
        return reini_fail(REIN_NOMEM, "out of memory while writing \"%s\"", path);
    }
    memset(text + 8, ' ', padded);
    json_dumpb(header, text + 8, length, JSON_COMPACT);
    for (int i = 0; i < 8; i++)
        text[i] = (char)(padded >> 8 * i);
    rein_status status = reini_output_write(output, text, 8 + padded);
    reini_free(text);
    return status;
}

/* where the bytes of tensors without data come from */
typedef struct source {
    reini_st_fetch *fetch;
    void *user;
} source;

static rein_status write_tensor(reini_output *output, const reini_st_tensor *t, source from) {
    const void *data = t->data;
    if (!data && t->bytes > 0)
        REINI_TRY(from.fetch(from.user, t, &data));
    return reini_output_write(output, data, t->bytes);
}

static rein_status write_ordered(const char *path, const reini_st_tensor *const *order, int n,
                                 const json_t *header, source from) {
    reini_output *output;
    REINI_TRY(reini_output_open(path, &output));
    rein_status status = write_header(output, path, header);
    for (int i = 0; i < n && status == REIN_OK; i++)
        status = write_tensor(output, order[i], from);
    if (status == REIN_OK)
        return reini_output_commit(output);
    reini_output_cancel(output);
    return status;
}

rein_status reini_safetensors_stream(const char *path, const reini_st_tensor *tensors, int n,
                                     const char *const *keys, const char *const *values, int n_meta,
                                     reini_st_fetch *fetch, void *user) {
    const reini_st_tensor **order = REINI_NEW_ARRAY(const reini_st_tensor *, (size_t)n);
    if (!order)
        return reini_fail_memory((size_t)n * sizeof *order, path);
    rein_status status = REIN_OK;
    for (int i = 0; i < n && status == REIN_OK; i++) {
        order[i] = &tensors[i];
        status = check_written(path, &tensors[i]);
    }
    if (status == REIN_OK)
        qsort(order, (size_t)n, sizeof *order, by_rank);
    json_t *header = status == REIN_OK ? header_of(order, n, keys, values, n_meta) : NULL;
    if (status == REIN_OK && !header)
        status = reini_fail(REIN_NOMEM,
                            "cannot make the header of \"%s\": out of memory or a name is not UTF-8", path);
    if (status == REIN_OK && json_object_size(header) != (size_t)n + (n_meta > 0))
        status = reini_fail(REIN_INTERNAL, "%s: two tensors have one name", path);
    if (status == REIN_OK)
        status = write_ordered(path, order, n, header, (source){fetch, user});
    json_decref(header);
    reini_free(order);
    return status;
}

rein_status reini_safetensors_write(const char *path, const reini_st_tensor *tensors, int n,
                                    const char *const *keys, const char *const *values, int n_meta) {
    return reini_safetensors_stream(path, tensors, n, keys, values, n_meta, NULL, NULL);
}
