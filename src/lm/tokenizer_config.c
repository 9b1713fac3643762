/*
 * tokenizer_config.c - what stands around the text: the post-processor of tokenizer.json, and tokenizer_config.json with
 * the names of the special tokens and the chat template.
 *
 * As in Transformers 5: tokens that tokenizer_config.json names and tokenizer.json has not are added behind the others,
 * and add_bos_token or add_eos_token, when given, replace the post-processor.
 */
#include <stdlib.h>
#include <string.h>
#include "lm/tokenizer_parts.h"

/* ---- post-processor ------------------------------------------------------------------------------------ */

static rein_status append_id(int32_t **list, int *n, int32_t id) {
    REINI_TRY(reini_resize(list, (size_t)*n, (size_t)*n + 1, sizeof id, "a post-processor"));
    (*list)[(*n)++] = id;
    return REIN_OK;
}

static rein_status read_template_ids(reini_tokenizer *t, const json_t *ids, const char *where, bool behind) {
    const json_t *value;
    size_t i;
    json_array_foreach(ids, i, value) {
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id >= t->size)
            return reini_fail(REIN_FORMAT, "%s: post_processor names an id that is no token", where);
        REINI_TRY(
            append_id(behind ? &t->after : &t->before, behind ? &t->n_after : &t->n_before, (int32_t)id));
    }
    return REIN_OK;
}

/* TemplateProcessing: special tokens around one text */
static rein_status read_template(reini_tokenizer *t, const json_t *value, const char *where) {
    const json_t *item, *all = json_object_get(value, "special_tokens");
    bool seen = false;
    size_t i;
    json_array_foreach(json_object_get(value, "single"), i, item) {
        const json_t *special = json_object_get(item, "SpecialToken");
        if (json_object_get(item, "Sequence")) {
            if (seen)
                return reini_fail(REIN_UNSUPPORTED, "%s: post_processor repeats the text, supported: once",
                                  where);
            seen = true;
            continue;
        }
        const char *name = json_string_value(json_object_get(special, "id"));
        const json_t *ids = name ? json_object_get(json_object_get(all, name), "ids") : NULL;
        if (!json_is_array(ids))
            return reini_fail(REIN_FORMAT, "%s: post_processor names \"%s\" without its ids", where,
                              name ? name : "nothing");
        REINI_TRY(read_template_ids(t, ids, where, seen));
    }
    return seen ? REIN_OK : reini_fail(REIN_UNSUPPORTED, "%s: post_processor leaves out the text", where);
}

static rein_status read_processor(reini_tokenizer *t, const json_t *value, const char *where,
                                  int *templates) {
    const char *type = json_string_value(json_object_get(value, "type"));
    const json_t *member;
    size_t i;
    if (type && strcmp(type, "ByteLevel") == 0)
        return REIN_OK; /* only moves offsets */
    if (type && strcmp(type, "Sequence") == 0) {
        json_array_foreach(json_object_get(value, "processors"), i, member)
            REINI_TRY(read_processor(t, member, where, templates));
        return REIN_OK;
    }
    if (!type || strcmp(type, "TemplateProcessing") != 0 || ++*templates > 1)
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: post_processor is %s%s, supported: null, ByteLevel, one TemplateProcessing "
                          "and a Sequence of "
                          "them",
                          where, type ? type : "without a type", *templates > 1 ? " twice" : "");
    return read_template(t, value, where);
}

rein_status reini_tokenizer_read_post(reini_tokenizer *t, const json_t *root, const char *where) {
    const json_t *value = json_object_get(root, "post_processor");
    int templates = 0;
    return json_is_object(value) ? read_processor(t, value, where, &templates) : REIN_OK;
}

/* ---- tokenizer_config.json ----------------------------------------------------------------------------- */

/* a token is written as its text or as {"content": text, ...} */
static const char *token_text(const json_t *value) {
    return json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
}

static bool is_added(const json_t *list, const char *text) {
    const json_t *value;
    size_t i;
    json_array_foreach(list, i, value) if (strcmp(json_string_value(json_object_get(value, "content")),
                                                  text) == 0) return true;
    return false;
}

/* makes `text` an added token when it is none: known to the vocabulary, or new and the last. `like`: its flags */
static rein_status ensure_added(reini_tokenizer *t, json_t *root, const char *text, const json_t *like) {
    json_t *list = json_object_get(root, "added_tokens");
    if (!json_is_array(list)) {
        list = json_array();
        if (json_object_set_new(root, "added_tokens", list) != 0)
            return reini_fail_memory(64, "added tokens");
    }
    if (!*text || is_added(list, text))
        return REIN_OK;
    int32_t id = reini_token_find(t, text, strlen(text));
    if (id < 0)
        REINI_TRY(reini_tokenizer_extend(t, text, &id));
    json_t *token = json_is_object(like) ? json_copy((json_t *)like) : json_object();
    if (!token || json_object_set_new(token, "content", json_string(text)) != 0 ||
        json_object_set_new(token, "id", json_integer(id)) != 0 ||
        (!json_is_object(like) && json_object_set_new(token, "special", json_true()) != 0) ||
        json_array_append_new(list, token) != 0)
        return reini_fail_memory(64, "added tokens");
    t->tokens[id].special |= json_is_true(json_object_get(token, "special"));
    return REIN_OK;
}

/* {"151643": {"content": ...}, ...}, by ascending id as they were written */
static rein_status read_added_decoder(reini_tokenizer *t, json_t *root, const json_t *table) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)table, key, value) {
        const char *text = token_text(value);
        char *end;
        if (!text)
            return reini_fail(REIN_FORMAT,
                              "tokenizer_config.json: added_tokens_decoder has no content for id %s", key);
        REINI_TRY(ensure_added(t, root, text, value));
        long id = strtol(key, &end, 10);
        if (*end || id != reini_token_find(t, text, strlen(text)))
            return reini_fail(REIN_MISMATCH,
                              "tokenizer_config.json: token \"%s\" has id %s there and %d in tokenizer.json",
                              text, key, (int)reini_token_find(t, text, strlen(text)));
    }
    return REIN_OK;
}

static rein_status read_named(reini_tokenizer *t, json_t *root, const json_t *config) {
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *value = json_object_get(config, names[i]);
        const char *text = token_text(value);
        if (!text && value && !json_is_null(value))
            return reini_fail(REIN_FORMAT, "tokenizer_config.json: %s is no text", names[i]);
        if (!text)
            continue;
        REINI_TRY(ensure_added(t, root, text, NULL));
        int id = reini_token_find(t, text, strlen(text));
        if (i == 0)
            t->bos = id;
        if (i == 1)
            t->eos = id;
        if (i == 4)
            t->pad = id;
    }
    const json_t *more = json_object_get(config, "additional_special_tokens"), *value;
    size_t i;
    json_array_foreach(more, i, value) if (token_text(value))
        REINI_TRY(ensure_added(t, root, token_text(value), NULL));
    return REIN_OK;
}

static rein_status read_bos_and_eos(reini_tokenizer *t, const json_t *config) {
    const json_t *bos = json_object_get(config, "add_bos_token"),
                 *eos = json_object_get(config, "add_eos_token");
    if (!json_is_boolean(bos) && !json_is_boolean(eos))
        return REIN_OK;
    t->n_before = t->n_after = 0;
    if (json_is_true(bos) && t->bos >= 0)
        REINI_TRY(append_id(&t->before, &t->n_before, t->bos));
    return json_is_true(eos) && t->eos >= 0 ? append_id(&t->after, &t->n_after, t->eos) : REIN_OK;
}

/* one text, or [{"name": "default", "template": text}, ...] */
static rein_status read_chat(reini_tokenizer *t, const json_t *value) {
    const json_t *entry, *found = json_is_string(value) ? value : NULL;
    size_t i;
    json_array_foreach(value, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name && strcmp(name, "default") == 0)
            found = json_object_get(entry, "template");
    }
    if (!json_is_string(found))
        return REIN_OK;
    t->chat_template = reini_token_keep(t, json_string_value(found), json_string_length(found));
    return t->chat_template ? REIN_OK : reini_fail_memory(json_string_length(found), "the chat template");
}

rein_status reini_tokenizer_read_config(reini_tokenizer *t, json_t *root, json_t *config) {
    if (!config)
        return REIN_OK;
    if (!json_is_object(config))
        return reini_fail(REIN_FORMAT, "tokenizer_config.json: no object");
    REINI_TRY(read_added_decoder(t, root, json_object_get(config, "added_tokens_decoder")));
    REINI_TRY(read_named(t, root, config));
    REINI_TRY(read_bos_and_eos(t, config));
    return read_chat(t, json_object_get(config, "chat_template"));
}
