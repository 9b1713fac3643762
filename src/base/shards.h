/*
 * shards.h - tensors spread over several safetensors files, with an index that says which file holds which.
 *
 * A folder holds "<stem>.safetensors", or "<stem>.safetensors.index.json" with {"weight_map": {tensor: file}} and the
 * files it names. The single file is taken when both are there, as other readers do.
 */
#ifndef REINI_SHARDS_H
#define REINI_SHARDS_H

#include "base/safetensors.h"

typedef struct reini_shards reini_shards;
/* Maps and checks all files: each holds what the index says and nothing else. */
rein_status reini_shards_open(const char *folder, const char *stem, reini_shards **out);
void reini_shards_close(reini_shards *shards);
int reini_shards_count(const reini_shards *shards); /* tensors */
/* i-th by name. */
const reini_st_tensor *reini_shards_at(const reini_shards *shards, int i);
/* Index for reini_shards_at, -1 when absent. */
int reini_shards_find(const reini_shards *shards, const char *name);
/* Path of the single file or of the index, for sentences. */
const char *reini_shards_path(const reini_shards *shards);

/* Writes one file when the tensors' bytes are at most `limit`, else shards in the order given and the index. Names are
 * "<stem>.safetensors", "<stem>-00001-of-00003.safetensors". Files of an earlier save that would be read instead are
 * removed at the end. fetch, user: as for reini_safetensors_stream. */
rein_status reini_shards_write(const char *folder, const char *stem, const reini_st_tensor *tensors, int n,
                               int64_t limit, reini_st_fetch *fetch, void *user);

#endif
