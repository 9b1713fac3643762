/*
 * shards_write.c - writing tensors to one file, or to several and their index.
 *
 * Readers take the single file before the index. So a save that needs shards removes the single file of an earlier
 * one, after the index is in place, and a save in one file removes index and shards.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/shards.h"

static const char *const meta_key[] = {"format"}, *const meta_value[] = {"pt"}; /* Transformers asks for it */

/* where a save goes, and how it is cut */
typedef struct saving {
    const char *folder, *stem;
    const reini_st_tensor *tensors;
    int n, shards;
    const int *first; /* [shards + 1] first tensor of each */
    reini_st_fetch *fetch;
    void *user;
} saving;

static void shard_name(const saving *s, int shard, char out[256]) {
    if (s->shards == 1)
        snprintf(out, 256, "%s.safetensors", s->stem);
    else
        snprintf(out, 256, "%s-%05d-of-%05d.safetensors", s->stem, shard + 1, s->shards);
}

static rein_status write_shard(const saving *s, int shard) {
    char name[256], path[4096];
    shard_name(s, shard, name);
    REINI_TRY(reini_path_join(path, sizeof path, s->folder, name));
    int first = s->first[shard];
    return reini_safetensors_stream(path, s->tensors + first, s->first[shard + 1] - first, meta_key,
                                    meta_value, 1, s->fetch, s->user);
}

/* NULL when out of memory */
static json_t *index_of(const saving *s) {
    json_t *map = json_object();
    int64_t bytes = 0;
    bool failed = !map;
    for (int shard = 0; shard < s->shards && !failed; shard++)
        for (int i = s->first[shard]; i < s->first[shard + 1] && !failed; i++) {
            char name[256];
            shard_name(s, shard, name);
            bytes += (int64_t)s->tensors[i].bytes;
            failed = json_object_set_new(map, s->tensors[i].name, json_string(name)) != 0;
        }
    if (failed) {
        json_decref(map);
        return NULL;
    }
    return json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)bytes, "weight_map", map);
}

static rein_status write_index(const saving *s, const char *path) {
    json_t *index = index_of(s);
    rein_status status = index ? reini_json_write(path, index)
                               : reini_fail(REIN_NOMEM, "out of memory while writing \"%s\"", path);
    json_decref(index);
    return status;
}

/* the files that an old index names, and the index itself */
static void remove_sharded(const saving *s, const char *index_path) {
    json_t *index, *file;
    const char *name;
    char path[4096];
    if (!reini_file_exists(index_path) || reini_json_read(index_path, &index) != REIN_OK)
        return;
    unlink(index_path);
    json_object_foreach(json_object_get(index, "weight_map"), name, file) {
        const char *shard = json_string_value(file);
        /* only what looks like a shard of this stem: the index is a file as any other */
        if (shard && !strchr(shard, '/') && strncmp(shard, s->stem, strlen(s->stem)) == 0 &&
            strstr(shard, "-of-") && reini_path_join(path, sizeof path, s->folder, shard) == REIN_OK)
            unlink(path);
    }
    json_decref(index);
}

static rein_status write_all(const saving *s) {
    char single[4096], index[4096], name[256];
    snprintf(name, sizeof name, "%s.safetensors", s->stem);
    REINI_TRY(reini_path_join(single, sizeof single, s->folder, name));
    snprintf(name, sizeof name, "%s.safetensors.index.json", s->stem);
    REINI_TRY(reini_path_join(index, sizeof index, s->folder, name));
    for (int shard = 0; shard < s->shards; shard++)
        REINI_TRY(write_shard(s, shard));
    if (s->shards == 1) {
        remove_sharded(s, index);
        return REIN_OK;
    }
    REINI_TRY(write_index(s, index));
    unlink(single);
    return REIN_OK;
}

/* cuts the list whenever the next tensor would go beyond the limit; returns the number of shards */
static int cut(const reini_st_tensor *tensors, int n, int64_t limit, int *first) {
    int shards = 0;
    int64_t bytes = 0;
    for (int i = 0; i < n; i++) {
        if (i == 0 || bytes + (int64_t)tensors[i].bytes > limit) {
            first[shards++] = i;
            bytes = 0;
        }
        bytes += (int64_t)tensors[i].bytes;
    }
    first[shards] = n;
    return shards;
}

rein_status reini_shards_write(const char *folder, const char *stem, const reini_st_tensor *tensors, int n,
                               int64_t limit, reini_st_fetch *fetch, void *user) {
    int *first = REINI_NEW_ARRAY(int, (size_t)n + 1);
    if (!first)
        return reini_fail_memory((size_t)n * sizeof *first, folder);
    saving s = {folder, stem, tensors, n, cut(tensors, n, limit, first), first, fetch, user};
    rein_status status = write_all(&s);
    reini_free(first);
    return status;
}
