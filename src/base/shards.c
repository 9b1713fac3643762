/*
 * shards.c - reading tensors that are spread over several files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/shards.h"

enum { SHARD_PATH = 4096 };

struct reini_shards {
    char path[SHARD_PATH]; /* of the single file or of the index */
    reini_safetensors **file;
    char **file_name; /* as in the index */
    int files;
    const reini_st_tensor **tensor; /* by name */
    int tensors;
};

void reini_shards_close(reini_shards *shards) {
    if (!shards)
        return;
    for (int i = 0; i < shards->files; i++) {
        reini_safetensors_close(shards->file[i]);
        reini_free(shards->file_name[i]);
    }
    reini_free(shards->file);
    reini_free(shards->file_name);
    reini_free(shards->tensor);
    reini_free(shards);
}

static rein_status make_room(reini_shards *shards, size_t files) {
    shards->file = REINI_NEW_ARRAY(reini_safetensors *, files);
    shards->file_name = REINI_NEW_ARRAY(char *, files);
    return shards->file && shards->file_name ? REIN_OK
                                             : reini_fail_memory(files * sizeof(char *), shards->path);
}

/* ---- the index ----------------------------------------------------------------------------------------- */

static int file_of(const reini_shards *shards, const char *name) {
    for (int i = shards->files - 1; i >= 0; i--) /* neighbours in the index mostly share a file */
        if (strcmp(shards->file_name[i], name) == 0)
            return i;
    return -1;
}

static rein_status open_shard(reini_shards *shards, const char *folder, const char *name) {
    char path[SHARD_PATH];
    size_t length = strlen(name), ending = strlen(".safetensors");
    if (strchr(name, '/') || strchr(name, '\\') || length <= ending ||
        strcmp(name + length - ending, ".safetensors") != 0)
        return reini_fail(REIN_FORMAT, "%s: \"%.200s\" is not the name of a safetensors file of this folder",
                          shards->path, name);
    REINI_TRY(reini_path_join(path, sizeof path, folder, name));
    if (!reini_file_exists(path))
        return reini_fail(REIN_IO, "\"%s\" is missing, which \"%s\" names: fetch or copy it again", path,
                          shards->path);
    char *copy = reini_strdup(name);
    if (!copy)
        return reini_fail_memory(length, shards->path);
    shards->file_name[shards->files] = copy;
    shards->file[shards->files] = NULL;
    return reini_safetensors_open(path, &shards->file[shards->files++]);
}

static rein_status open_listed(reini_shards *shards, const char *folder, const json_t *map) {
    const char *name;
    json_t *file;
    REINI_TRY(make_room(shards, json_object_size(map)));
    json_object_foreach((json_t *)map, name, file) {
        const char *file_name = json_string_value(file);
        if (!file_name)
            return reini_fail(REIN_FORMAT, "%s: the file of \"%.200s\" is not a text", shards->path, name);
        int index = file_of(shards, file_name);
        if (index < 0) {
            REINI_TRY(open_shard(shards, folder, file_name));
            index = shards->files - 1;
        }
        if (!reini_safetensors_find(shards->file[index], name))
            return reini_fail(REIN_FORMAT,
                              "%s: tensor \"%.200s\" should be in \"%.200s\", which does not hold it: "
                              "fetch or copy both files again",
                              shards->path, name, file_name);
    }
    return REIN_OK;
}

static rein_status open_index(reini_shards *shards, const char *folder) {
    json_t *index;
    REINI_TRY(reini_json_read(shards->path, &index));
    const json_t *map = json_object_get(index, "weight_map");
    rein_status status =
        json_is_object(map) && json_object_size(map) > 0
            ? open_listed(shards, folder, map)
            : reini_fail(REIN_FORMAT, "%s: expected \"weight_map\", an object {tensor: file}", shards->path);
    size_t listed = json_object_size(map);
    for (int i = 0; i < shards->files && status == REIN_OK; i++)
        shards->tensors += reini_safetensors_count(shards->file[i]);
    if (status == REIN_OK && (size_t)shards->tensors != listed)
        status = reini_fail(REIN_FORMAT,
                            "%s: its files hold %d tensors, and it lists %zu: fetch or copy them again",
                            shards->path, shards->tensors, listed);
    json_decref(index);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    const reini_st_tensor *x = *(const reini_st_tensor *const *)a, *y = *(const reini_st_tensor *const *)b;
    return strcmp(x->name, y->name);
}

static rein_status sort_tensors(reini_shards *shards) {
    int n = 0;
    shards->tensor = REINI_NEW_ARRAY(const reini_st_tensor *, (size_t)shards->tensors);
    if (!shards->tensor)
        return reini_fail_memory((size_t)shards->tensors * sizeof *shards->tensor, shards->path);
    for (int i = 0; i < shards->files; i++)
        for (int k = 0; k < reini_safetensors_count(shards->file[i]); k++)
            shards->tensor[n++] = reini_safetensors_at(shards->file[i], k);
    qsort(shards->tensor, (size_t)n, sizeof *shards->tensor, by_name);
    return REIN_OK;
}

static rein_status open_all(reini_shards *shards, const char *folder, const char *stem) {
    char name[256];
    snprintf(name, sizeof name, "%s.safetensors", stem);
    REINI_TRY(reini_path_join(shards->path, sizeof shards->path, folder, name));
    if (reini_file_exists(shards->path)) {
        REINI_TRY(make_room(shards, 1));
        REINI_TRY(reini_safetensors_open(shards->path, &shards->file[0]));
        shards->files = 1;
        shards->tensors = reini_safetensors_count(shards->file[0]);
        return sort_tensors(shards);
    }
    snprintf(name, sizeof name, "%s.safetensors.index.json", stem);
    REINI_TRY(reini_path_join(shards->path, sizeof shards->path, folder, name));
    if (!reini_file_exists(shards->path))
        return reini_fail(REIN_IO, "\"%s\" has neither %s.safetensors nor %s", folder, stem, name);
    REINI_TRY(open_index(shards, folder));
    return sort_tensors(shards);
}

rein_status reini_shards_open(const char *folder, const char *stem, reini_shards **out) {
    reini_shards *shards = REINI_NEW(reini_shards);
    *out = NULL;
    if (!shards)
        return reini_fail_memory(sizeof *shards, folder);
    rein_status status = open_all(shards, folder, stem);
    if (status != REIN_OK) {
        reini_shards_close(shards);
        return status;
    }
    *out = shards;
    return REIN_OK;
}

int reini_shards_count(const reini_shards *shards) {
    return shards->tensors;
}

const reini_st_tensor *reini_shards_at(const reini_shards *shards, int i) {
    return shards->tensor[i];
}

int reini_shards_find(const reini_shards *shards, const char *name) {
    int low = 0, high = shards->tensors;
    while (low < high) {
        int middle = low + (high - low) / 2, order = strcmp(shards->tensor[middle]->name, name);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

const char *reini_shards_path(const reini_shards *shards) {
    return shards->path;
}
