/*
 * tokenizer_stages.c - the normaliser, the pre-tokenizers and the decoder of a tokenizer.json. What is not known is
 * refused with the field, what stands there and what is supported.
 */
#include <stdio.h>
#include <string.h>
#include "lm/tokenizer_parts.h"

static const char *type_of(const json_t *value) {
    const char *type = json_string_value(json_object_get(value, "type"));
    return type ? type : "no type";
}

/* a member that is true; `missing` says what the original assumes when it is not there */
static bool flag(const json_t *value, const char *name, bool missing) {
    const json_t *member = json_object_get(value, name);
    return member ? json_is_true(member) : missing;
}

static rein_status read_normalizer(reini_tokenizer *t, const json_t *value, const char *where) {
    if (!value || json_is_null(value))
        return REIN_OK;
    const char *type = type_of(value);
    if (strcmp(type, "NFC") == 0) {
        t->nfc = true;
        return REIN_OK;
    }
    if (strcmp(type, "Sequence") != 0)
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: normalizer is %s, supported: null, NFC and a Sequence of NFC", where, type);
    const json_t *member;
    size_t i;
    json_array_foreach(json_object_get(value, "normalizers"), i, member) {
        if (strcmp(type_of(member), "NFC") != 0)
            return reini_fail(REIN_UNSUPPORTED, "%s: normalizer %zu is %s, supported: NFC", where, i,
                              type_of(member));
        t->nfc = true;
    }
    return REIN_OK;
}

/* ---- pre-tokenizers ------------------------------------------------------------------------------------ */

static rein_status new_stage(reini_tokenizer *t, reini_stage_kind kind, const char *where,
                             reini_stage **out) {
    if (t->n_stages == REINI_STAGES)
        return reini_fail(REIN_UNSUPPORTED, "%s: more than %d pre-tokenizers", where, REINI_STAGES);
    *out = &t->stages[t->n_stages++];
    **out = (reini_stage){.kind = kind};
    return REIN_OK;
}

static rein_status add_pattern(reini_tokenizer *t, const char *pattern, bool literal, const char *where) {
    reini_stage *stage = NULL;
    reini_scan *scan = literal ? NULL : reini_scan_find(pattern);
    REINI_TRY(new_stage(t, scan ? REINI_STAGE_SCAN : REINI_STAGE_REGEX, where, &stage));
    stage->scan = scan;
    return scan ? REIN_OK : reini_regex_new(pattern, literal, where, &stage->regex);
}

static rein_status read_split(reini_tokenizer *t, const json_t *value, const char *where) {
    const json_t *pattern = json_object_get(value, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *text = json_string_value(json_object_get(pattern, "String"));
    const char *behaviour = json_string_value(json_object_get(value, "behavior"));
    if (!behaviour || strcmp(behaviour, "Isolated") != 0)
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: the behavior of pre_tokenizer Split is %s, supported: Isolated", where,
                          behaviour ? behaviour : "missing");
    if (!regex && !text)
        return reini_fail(REIN_FORMAT, "%s: pre_tokenizer Split has no pattern, expected {\"Regex\": ...}",
                          where);
    /* inverted or not, an isolating split cuts at the same places */
    return add_pattern(t, regex ? regex : text, !regex, where);
}

static rein_status read_byte_level(reini_tokenizer *t, const json_t *value, const char *where) {
    reini_stage *stage = NULL;
    if (flag(value, "add_prefix_space", true))
        REINI_TRY(new_stage(t, REINI_STAGE_PREFIX, where, &stage));
    return flag(value, "use_regex", true) ? add_pattern(t, reini_gpt2_pattern, false, where) : REIN_OK;
}

static rein_status read_pre_tokenizer(reini_tokenizer *t, const json_t *value, const char *where,
                                      bool *bytes) {
    const char *type = type_of(value);
    reini_stage *stage = NULL;
    const json_t *member;
    size_t i;
    if (*bytes)
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: pre_tokenizer %s stands behind ByteLevel, supported: ByteLevel last", where,
                          type);
    if (strcmp(type, "Sequence") == 0) {
        json_array_foreach(json_object_get(value, "pretokenizers"), i, member)
            REINI_TRY(read_pre_tokenizer(t, member, where, bytes));
        return REIN_OK;
    }
    if (strcmp(type, "Split") == 0)
        return read_split(t, value, where);
    if (strcmp(type, "Digits") == 0) {
        REINI_TRY(new_stage(t, REINI_STAGE_DIGITS, where, &stage));
        stage->individual = flag(value, "individual_digits", false);
        return REIN_OK;
    }
    if (strcmp(type, "ByteLevel") == 0) {
        *bytes = true;
        return read_byte_level(t, value, where);
    }
    return reini_fail(
        REIN_UNSUPPORTED,
        "%s: pre_tokenizer is %s, supported: ByteLevel, Split (Isolated), Digits and a Sequence of them",
        where, type);
}

/* ---- decoder ------------------------------------------------------------------------------------------- */

static rein_status read_decoder(const json_t *value, const char *where) {
    const json_t *member = json_object_get(value, "decoders");
    const char *type = type_of(value);
    if (strcmp(type, "Sequence") == 0 && json_array_size(member) == 1)
        type = type_of(json_array_get(member, 0));
    if (strcmp(type, "ByteLevel") != 0)
        return reini_fail(REIN_UNSUPPORTED, "%s: decoder is %s, supported: ByteLevel", where,
                          json_is_object(value) ? type : "missing");
    return REIN_OK;
}

rein_status reini_tokenizer_read_stages(reini_tokenizer *t, const json_t *root, const char *where) {
    const json_t *splitting = json_object_get(root, "pre_tokenizer");
    bool bytes = false;
    REINI_TRY(read_normalizer(t, json_object_get(root, "normalizer"), where));
    if (json_is_object(splitting))
        REINI_TRY(read_pre_tokenizer(t, splitting, where, &bytes));
    if (!bytes)
        return reini_fail(REIN_UNSUPPORTED, "%s: pre_tokenizer has no ByteLevel, supported: BPE on bytes",
                          where);
    return read_decoder(json_object_get(root, "decoder"), where);
}
