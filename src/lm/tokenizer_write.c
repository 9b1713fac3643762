/*
 * tokenizer_write.c - a tokenizer learned from text as the files that the tokenizers and transformers libraries load.
 *
 * What stands around the BPE is the family's own: normaliser, pre-tokenizers, post-processor, special tokens.
 */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "lm/tokenizer_train.h"

typedef struct family_form {
    const char *name;
    const char *special[6]; /* first ids, in this order; NULL ends them */
    int bos, eos, pad;      /* indices of `special`, -1 = none */
    bool nfc, digits;
    int pattern;         /* index of reini_known_patterns that Split has, -1 = ByteLevel's own */
    bool bos_is_written; /* the post-processor puts BOS before every text */
} family_form;

/* in the order of reini_token_family */
static const family_form forms[] = {
    {"gpt2", {"<|endoftext|>"}, 0, 0, -1, false, false, -1, false},
    {"llama3",
     {"<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
     0,
     1,
     -1,
     false,
     false,
     1,
     true},
    {"qwen2", {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, -1, 0, 0, true, false, 2, false},
    {"smollm2", {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, 0, 0, 0, false, true, -1, false},
};

static int count_special(const family_form *form) {
    int n = 0;
    while (n < 6 && form->special[n])
        n++;
    return n;
}

/* ---- parts of tokenizer.json --------------------------------------------------------------------------- */

static json_t *byte_level(bool regex, bool trim) {
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets",
                     (int)trim, "use_regex", (int)regex);
}

static json_t *pre_tokenizer(const family_form *form) {
    if (form->digits)
        return json_pack("{s:s, s:[{s:s, s:b}, o]}", "type", "Sequence", "pretokenizers", "type", "Digits",
                         "individual_digits", 1, byte_level(true, true));
    if (form->pattern < 0)
        return byte_level(true, true);
    return json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, o]}", "type", "Sequence", "pretokenizers", "type",
                     "Split", "pattern", "Regex", reini_known_patterns[form->pattern].pattern, "behavior",
                     "Isolated", "invert", 0, byte_level(false, true));
}

static json_t *post_processor(const family_form *form) {
    const char *bos = form->special[0];
    if (!form->bos_is_written)
        return byte_level(true, form->pattern < 0);
    return json_pack("{s:s, s:[o, {s:s, s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}],"
                     " s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}, {s:{s:s, s:i}}, {s:{s:s, s:i}}],"
                     " s:{s:{s:s, s:[i], s:[s]}}}]}",
                     "type", "Sequence", "processors", byte_level(true, false), "type", "TemplateProcessing",
                     "single", "SpecialToken", "id", bos, "type_id", 0, "Sequence", "id", "A", "type_id", 0,
                     "pair", "SpecialToken", "id", bos, "type_id", 0, "Sequence", "id", "A", "type_id", 0,
                     "SpecialToken", "id", bos, "type_id", 1, "Sequence", "id", "B", "type_id", 1,
                     "special_tokens", bos, "id", bos, "ids", 0, "tokens", bos);
}

/* all but the model and the added tokens */
static json_t *make_frame(const family_form *form) {
    json_t *normalizer = form->nfc ? json_pack("{s:s}", "type", "NFC") : json_null();
    return json_pack("{s:s, s:n, s:n, s:[], s:o, s:o, s:o, s:o}", "version", "1.0", "truncation", "padding",
                     "added_tokens", "normalizer", normalizer, "pre_tokenizer", pre_tokenizer(form),
                     "post_processor", post_processor(form), "decoder", byte_level(true, true));
}

static json_t *make_model(const reini_bpe *b) {
    json_t *vocab = json_object(), *merges = json_array();
    for (int i = 0; i < b->n_tokens; i++)
        json_object_set_new_nocheck(vocab, b->tokens[i].at, json_integer(i));
    for (int i = 0; i < b->n_merges; i++)
        json_array_append_new(
            merges, json_pack("[s, s]", b->tokens[b->merges[i].left].at, b->tokens[b->merges[i].right].at));
    bool whole =
        json_object_size(vocab) == (size_t)b->n_tokens && json_array_size(merges) == (size_t)b->n_merges;
    json_t *model = json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout",
                              "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
                              "byte_fallback", 0, "ignore_merges", 0, "vocab", vocab, "merges", merges);
    if (whole)
        return model;
    json_decref(model);
    return NULL;
}

static rein_status write_json(const char *folder, const char *name, json_t *value) {
    char path[4096];
    if (!value)
        return reini_fail_memory((size_t)1 << 20, "the tokenizer's files");
    rein_status status = reini_path_join(path, sizeof path, folder, name);
    if (status == REIN_OK)
        status = reini_json_write(path, value);
    json_decref(value);
    return status;
}

static void set_token(json_t *config, const char *name, const family_form *form, int i) {
    json_object_set_new(config, name, i < 0 ? json_null() : json_string(form->special[i]));
}

static rein_status write_config(const family_form *form, const char *folder) {
    json_t *config = json_pack("{s:b, s:b, s:s}", "add_prefix_space", 0, "clean_up_tokenization_spaces", 0,
                               "tokenizer_class", "PreTrainedTokenizerFast");
    if (config) {
        set_token(config, "bos_token", form, form->bos);
        set_token(config, "eos_token", form, form->eos);
        set_token(config, "pad_token", form, form->pad);
    }
    return write_json(folder, "tokenizer_config.json", config);
}

static rein_status write_all(const reini_bpe *b, const family_form *form, const char *const *special,
                             int n_special, json_t *frame, const char *folder) {
    json_t *added = json_object_get(frame, "added_tokens");
    for (int i = 0; i < n_special; i++)
        json_array_append_new(added, json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", i, "content",
                                               special[i], "single_word", 0, "lstrip", 0, "rstrip", 0,
                                               "normalized", 0, "special", 1));
    json_t *model = make_model(b);
    if (!model || json_object_set_new(frame, "model", model) != 0 ||
        json_array_size(added) != (size_t)n_special)
        return reini_fail_memory((size_t)1 << 20, "the tokenizer's files");
    REINI_TRY(reini_dir_make(folder));
    REINI_TRY(write_json(folder, "tokenizer.json", json_incref(frame)));
    return write_config(form, folder);
}

/* ---- training ------------------------------------------------------------------------------------------ */

static rein_status list_special(const reini_tokenizer_training *training, const family_form *form,
                                const char **list, int *n) {
    *n = count_special(form);
    memcpy(list, form->special, (size_t)*n * sizeof *list);
    for (int i = 0; i < training->n_special; i++) {
        const char *text = training->special[i];
        if (!*text || reini_text_valid(text, strlen(text)) < strlen(text))
            return reini_fail(REIN_USAGE, "special token %d is empty or not UTF-8", i + 1);
        for (int k = 0; k < *n; k++)
            if (strcmp(list[k], text) == 0)
                return reini_fail(REIN_USAGE, "special token \"%s\" is there already (those of %s are)", text,
                                  form->name);
        list[(*n)++] = text;
    }
    if (training->vocab_size < 256 + *n)
        return reini_fail(REIN_USAGE,
                          "vocab_size %d is too small, expected at least %d: 256 bytes and %d special tokens",
                          training->vocab_size, 256 + *n, *n);
    return training->n_files > 0 ? REIN_OK : reini_fail(REIN_USAGE, "no text to learn from");
}

static rein_status learn(const reini_tokenizer_training *training, const family_form *form,
                         const char *const *special, int n_special, reini_bpe *b, json_t *frame) {
    reini_tokenizer pipeline = {0};
    rein_status status = reini_tokenizer_read_stages(&pipeline, frame, form->name);
    if (status == REIN_OK)
        status = reini_bpe_count(b, pipeline.stages, pipeline.n_stages, pipeline.nfc, training->files,
                                 training->n_files);
    if (status == REIN_OK)
        status = reini_bpe_learn(b, training->vocab_size, training->min_frequency, special, n_special);
    if (status == REIN_OK)
        status = write_all(b, form, special, n_special, frame, training->folder);
    return status;
}

rein_status reini_tokenizer_train(const reini_tokenizer_training *training, int *vocabulary, int *merges) {
    const family_form *form = &forms[training->family];
    reini_bpe b = {0};
    int n = 0;
    REINI_TRY(reini_unicode_ready());
    const char **special = REINI_NEW_ARRAY(const char *, (size_t)training->n_special + 6);
    json_t *frame = make_frame(form);
    rein_status status = special && frame ? list_special(training, form, special, &n)
                                          : reini_fail_memory((size_t)1 << 12, "a tokenizer");
    if (status == REIN_OK)
        status = learn(training, form, special, n, &b, frame);
    if (vocabulary)
        *vocabulary = b.n_tokens;
    if (merges)
        *merges = b.n_merges;
    reini_bpe_release(&b);
    reini_free(special);
    json_decref(frame);
    return status;
}
