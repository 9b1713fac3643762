/*
 * tokenizer.c - opening a tokenizer, its tables, and what one can ask of it.
 */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "lm/tokenizer_parts.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)

/* ---- letters for bytes --------------------------------------------------------------------------------- */

/* printable bytes stand for themselves, the other 68 for U+0100 onwards */
static bool stands_for_itself(int byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

uint32_t reini_byte_letter(int byte) {
    if (stands_for_itself(byte))
        return (uint32_t)byte;
    return byte <= 32 ? 256u + (uint32_t)byte : byte <= 160 ? 256u + 33 + (uint32_t)byte - 127 : 256u + 67;
}

int reini_letter_byte(uint32_t c) {
    if (c < 256)
        return stands_for_itself((int)c) ? (int)c : -1;
    uint32_t other = c - 256;
    return other <= 32 ? (int)other : other <= 66 ? (int)other - 33 + 127 : other == 67 ? 173 : -1;
}

/* ---- tables -------------------------------------------------------------------------------------------- */

uint64_t reini_token_hash(const char *text, size_t n) {
    uint64_t h = 0x9e3779b97f4a7c15u ^ n, word;
    for (; n >= 8; n -= 8, text += 8) {
        memcpy(&word, text, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    word = 0;
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)(unsigned char)text[i] << 8 * i;
    h = (h ^ word) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 29;
}

int32_t reini_token_find(const reini_tokenizer *t, const char *text, size_t n) {
    for (uint64_t i = reini_token_hash(text, n);; i++) {
        int32_t id = t->by_text[i & t->mask];
        if (id < 0 || (t->tokens[id].length == n && memcmp(t->tokens[id].text, text, n) == 0))
            return id;
    }
}

int32_t reini_token_find_bytes(const reini_tokenizer *t, const char *bytes, size_t n) {
    for (uint64_t i = reini_token_hash(bytes, n);; i++) {
        int32_t id = t->by_bytes[i & t->mask];
        if (id < 0 || (t->tokens[id].n_bytes == n && memcmp(t->tokens[id].bytes, bytes, n) == 0))
            return id;
    }
}

const reini_merge *reini_merge_find(const reini_tokenizer *t, int32_t left, int32_t right) {
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    uint64_t i = pair * 0x9e3779b97f4a7c15u;
    for (i ^= i >> 32;; i++) {
        const reini_merge *m = &t->merges[i & t->merge_mask];
        if (m->pair == pair)
            return m;
        if (m->pair == REINI_NO_PAIR)
            return NULL;
    }
}

char *reini_token_keep(reini_tokenizer *t, const char *text, size_t n) {
    if (reini_reserve(&t->texts, &t->texts_capacity, t->n_texts + 1, sizeof *t->texts, "tokens") != REIN_OK)
        return NULL;
    char *copy = reini_new(n + 1);
    if (copy && n)
        memcpy(copy, text, n);
    if (copy)
        t->texts[t->n_texts++] = copy;
    return copy;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static rein_status require_version(const json_t *root, const char *where) {
    const char *type = json_string_value(json_object_get(json_object_get(root, "model"), "type"));
    if (!json_is_object(root) || !json_is_object(json_object_get(root, "model")))
        return reini_fail(REIN_FORMAT,
                          "%s: no \"model\", expected a tokenizer.json of the tokenizers library", where);
    /* old files leave the type out; those of BPE have merges */
    if (!type && json_object_get(json_object_get(root, "model"), "merges"))
        return REIN_OK;
    if (!type || strcmp(type, "BPE") != 0)
        return reini_fail(
            REIN_UNSUPPORTED,
            "%s: model.type is %s, supported: BPE on bytes, as of GPT-2, Llama-3, Qwen and SmolLM2", where,
            type ? type : "missing");
    return REIN_OK;
}

static rein_status read_all(reini_tokenizer *t, const json_t *root, json_t *config, const char *where) {
    REINI_TRY(require_version(root, where));
    REINI_TRY(reini_tokenizer_read_stages(t, root, where));
    REINI_TRY(reini_tokenizer_read_vocabulary(t, root, where));
    REINI_TRY(reini_tokenizer_read_merges(t, json_object_get(root, "model"), where));
    REINI_TRY(reini_tokenizer_read_post(t, root, where));
    REINI_TRY(reini_tokenizer_read_config(t, (json_t *)root, config));
    const json_t *added = json_object_get(root, "added_tokens");
    REINI_TRY(reini_cutter_build(t, added, false, &t->raw));
    return reini_cutter_build(t, added, true, &t->normalized);
}

static rein_status build(json_t *root, json_t *config, const char *where, reini_tokenizer **out) {
    reini_tokenizer *t = *out = REINI_NEW(reini_tokenizer);
    if (!t)
        return reini_fail_memory(sizeof *t, "a tokenizer");
    t->bos = t->eos = t->pad = -1;
    rein_status status = read_all(t, root, config, where);
    if (status != REIN_OK) {
        reini_tokenizer_free(t);
        *out = NULL;
    }
    return status;
}

rein_status reini_tokenizer_parse(const char *json, size_t length, const char *config, size_t config_length,
                                  const char *where, reini_tokenizer **out) {
    json_t *root = NULL, *settings = NULL;
    *out = NULL;
    REINI_TRY(reini_unicode_ready());
    rein_status status = reini_json_parse(json, length, where, &root);
    if (status == REIN_OK && config)
        status = reini_json_parse_large(config, config_length, "tokenizer_config.json", &settings);
    if (status == REIN_OK)
        status = build(root, settings, where, out);
    json_decref(root);
    json_decref(settings);
    return status;
}

/* a file of the folder, or NULL when it is not there */
static rein_status read_beside(const char *folder, const char *name, char *path, size_t size, json_t **out) {
    *out = NULL;
    REINI_TRY(reini_path_join(path, size, folder, name));
    char *text;
    size_t n;
    if (!reini_file_exists(path))
        return REIN_OK;
    REINI_TRY(reini_file_read(path, FILE_BYTES_MAX, &text, &n));
    rein_status status = reini_json_parse_large(text, n, path, out);
    reini_free(text);
    return status;
}

/* tokenizer_config.json, with what it does not name taken from the older special_tokens_map.json */
static rein_status read_settings(const char *folder, json_t **out) {
    char path[4096];
    json_t *older = NULL;
    REINI_TRY(read_beside(folder, "tokenizer_config.json", path, sizeof path, out));
    REINI_TRY(read_beside(folder, "special_tokens_map.json", path, sizeof path, &older));
    if (*out && older)
        json_object_update_missing(*out, older);
    if (!*out)
        *out = older;
    else
        json_decref(older);
    return REIN_OK;
}

/* chat_template.jinja, which stands above the key of tokenizer_config.json */
static rein_status read_template(reini_tokenizer *t, const char *folder) {
    char path[4096], *text;
    size_t n;
    REINI_TRY(reini_path_join(path, sizeof path, folder, "chat_template.jinja"));
    if (!reini_file_exists(path))
        return REIN_OK;
    REINI_TRY(reini_file_read(path, (size_t)16 << 20, &text, &n));
    t->chat_template = reini_token_keep(t, text, n);
    reini_free(text);
    return t->chat_template ? REIN_OK : reini_fail_memory(n, "the chat template");
}

static rein_status open_folder(const char *folder, reini_tokenizer **out) {
    char path[4096];
    json_t *root = NULL, *settings = NULL;
    REINI_TRY(reini_path_join(path, sizeof path, folder, "tokenizer.json"));
    if (!reini_file_exists(path))
        return reini_fail(
            REIN_IO,
            "%s is not there; a model folder needs it (folders with vocab.json and merges.txt alone become "
            "one when Transformers saves their fast tokenizer)",
            path);
    rein_status status = reini_json_read(path, &root);
    if (status == REIN_OK)
        status = read_settings(folder, &settings);
    if (status == REIN_OK)
        status = build(root, settings, path, out);
    if (status == REIN_OK && (status = read_template(*out, folder)) != REIN_OK) {
        reini_tokenizer_free(*out);
        *out = NULL;
    }
    json_decref(root);
    json_decref(settings);
    return status;
}

rein_status reini_tokenizer_open(const char *path, reini_tokenizer **out) {
    char *text;
    size_t n;
    *out = NULL;
    REINI_TRY(reini_unicode_ready());
    if (reini_dir_exists(path))
        return open_folder(path, out);
    REINI_TRY(reini_file_read(path, FILE_BYTES_MAX, &text, &n));
    rein_status status = reini_tokenizer_parse(text, n, NULL, 0, path, out);
    reini_free(text);
    return status;
}

void reini_tokenizer_free(reini_tokenizer *t) {
    if (!t)
        return;
    for (int i = 0; i < t->n_stages; i++)
        reini_regex_free(t->stages[i].regex);
    for (size_t i = 0; i < t->n_texts; i++)
        reini_free(t->texts[i]);
    reini_cutter_release(&t->raw);
    reini_cutter_release(&t->normalized);
    reini_free(t->texts);
    reini_free(t->tokens);
    reini_free(t->by_text);
    reini_free(t->by_bytes);
    reini_free(t->merges);
    reini_free(t->before);
    reini_free(t->after);
    reini_free(t);
}

/* ---- queries ------------------------------------------------------------------------------------------- */

int reini_tokenizer_size(const reini_tokenizer *t) {
    return t->size;
}

int reini_tokenizer_bos(const reini_tokenizer *t) {
    return t->bos;
}

int reini_tokenizer_eos(const reini_tokenizer *t) {
    return t->eos;
}

int reini_tokenizer_pad(const reini_tokenizer *t) {
    return t->pad;
}

const char *reini_tokenizer_token(const reini_tokenizer *t, int id) {
    return id >= 0 && id < t->size ? t->tokens[id].text : NULL;
}

int reini_tokenizer_id(const reini_tokenizer *t, const char *token) {
    return reini_token_find(t, token, strlen(token));
}

bool reini_tokenizer_special(const reini_tokenizer *t, int id) {
    return id >= 0 && id < t->size && t->tokens[id].special;
}

const char *reini_tokenizer_chat_template(const reini_tokenizer *t) {
    return t->chat_template;
}
