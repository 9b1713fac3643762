/*
 * safetensors.h - the safetensors file format: reading (mapped, validated) and writing.
 *
 * Layout: u64 little-endian header length; JSON header {name: {dtype, shape, data_offsets}, "__metadata__":
 * {string: string}}; bytes. Validation: header fits, offsets inside the file, in order, without overlaps or
 * holes, sizes equal shape x dtype. Errors name the file and the tensor.
 */
#ifndef REINI_SAFETENSORS_H
#define REINI_SAFETENSORS_H

#include <rein/tensor.h>
#include "base/base.h"

typedef struct reini_st_tensor {
    const char *name;
    const char *dtype; /* "F32", "F64", "BF16", "I32", "U8", ... as in the file */
    int ndim;
    int64_t shape[8];
    const void *data; /* in the mapping; aligned to the element size in files of known writers, not in all */
    size_t bytes;
} reini_st_tensor;

typedef struct reini_safetensors reini_safetensors;
rein_status reini_safetensors_open(const char *path, reini_safetensors **out);
void reini_safetensors_close(reini_safetensors *st);
int reini_safetensors_count(const reini_safetensors *st);
/* i-th in the order of the bytes; NULL past the end. */
const reini_st_tensor *reini_safetensors_at(const reini_safetensors *st, int i);
/* NULL when absent. */
const reini_st_tensor *reini_safetensors_find(const reini_safetensors *st, const char *name);
/* Value of a metadata key, NULL when absent. */
const char *reini_safetensors_meta(const reini_safetensors *st, const char *key);

/* Writes atomically, byte for byte as the original library: tensors by descending dtype, then by name,
 * whatever the order given. keys/values: n_meta metadata strings. */
rein_status reini_safetensors_write(const char *path, const reini_st_tensor *tensors, int n,
                                    const char *const *keys, const char *const *values, int n_meta);
/* The bytes of a tensor whose `data` is NULL, when their turn to be written comes; valid until the next call. For
 * numbers that are converted on their way to the file. */
typedef rein_status reini_st_fetch(void *user, const reini_st_tensor *tensor, const void **data);
/* reini_safetensors_write with fetch, which may be NULL. */
rein_status reini_safetensors_stream(const char *path, const reini_st_tensor *tensors, int n,
                                     const char *const *keys, const char *const *values, int n_meta,
                                     reini_st_fetch *fetch, void *user);
#endif
