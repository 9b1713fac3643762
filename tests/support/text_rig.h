/*
 * text_rig.h - a method on language models without a run around it: its state made from a line of settings, its updates;
 * and a language of five tokens.
 */
#ifndef TEXT_RIG_H
#define TEXT_RIG_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "algo/language/lm_algo.h"
#include "base/file.h"
#include "support/settings.h"
#include "support/temp_dir.h"

typedef struct text_rig {
    const reini_language *method;
    void *config, *self;
    rein_pool *pool;
    double metric[REINI_METRICS_MAX]; /* of the last update */
} text_rig;

/* "name=value; name=value" over the defaults; later ones win */
static inline rein_status text_try(text_rig *r, const char *name, int threads, const char *dir,
                                   const char *settings) {
    const reini_algo *algo = reini_algo_find(name);
    assert_non_null(algo);
    *r = (text_rig){.method = algo->language, .pool = rein_pool_new(threads)};
    assert_non_null(r->pool);
    r->config = calloc(1, r->method->config_size);
    rein_status status = settings_try(r->method->fields, r->method->n_fields, r->config, ";", settings);
    reini_lm_context context = {.pool = r->pool, .dir = dir};
    if (status == REIN_OK)
        status = r->method->check(r->config);
    return status == REIN_OK ? reini_language_new(r->method, r->config, &context, &r->self) : status;
}

static inline void text_free(text_rig *r) {
    reini_language_free(r->method, r->self);
    rein_pool_free(r->pool);
    free(r->config);
    *r = (text_rig){0};
}

static inline void text_new(text_rig *r, const char *name, int threads, const char *settings) {
    assert_ok(text_try(r, name, threads, NULL, settings));
}

static inline void text_step(text_rig *r) {
    assert_ok(r->method->step(r->self));
    r->method->report(r->self, r->metric);
}

static inline double text_metric(const text_rig *r, const char *column) {
    for (int i = 0; i < r->method->n_metrics; i++)
        if (strcmp(r->method->metrics[i], column) == 0)
            return r->metric[i];
    fail_msg("no metric %s", column);
    return NAN;
}

static inline void text_digest(const text_rig *r, char out[65]) {
    assert_ok(r->method->digest(r->self, out));
}

/* ---- five tokens ------------------------------------------------------------------------------------------- */

enum { TINY_TOKENS = 5 }; /* the end of a text, a, b, c, d */

static inline void tiny_file(const char *name, const char *text) {
    char path[TEMP_PATH + 64];
    snprintf(path, sizeof path, "%s/tiny/%s", temp_dir, name);
    temp_write(path, text, strlen(text));
}

/* temp_dir/tiny: tokenizer, config.json of a model without weights, and prompts.jsonl */
static inline void tiny_make(void) {
    char path[TEMP_PATH + 64];
    snprintf(path, sizeof path, "%s/tiny", temp_dir);
    assert_ok(reini_dir_make(path));
    tiny_file(
        "tokenizer.json",
        "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"added_tokens\": [{\"id\": 0, "
        "\"content\": \"<|endoftext|>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
        "\"normalized\": false, \"special\": true}], \"normalizer\": null, \"pre_tokenizer\": {\"type\": "
        "\"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true}, "
        "\"post_processor\": null, \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
        "\"trim_offsets\": true, \"use_regex\": true}, \"model\": {\"type\": \"BPE\", \"dropout\": null, "
        "\"unk_token\": null, \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, "
        "\"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false, \"vocab\": "
        "{\"<|endoftext|>\": 0, \"a\": 1, \"b\": 2, \"c\": 3, \"d\": 4}, \"merges\": []}}");
    tiny_file("tokenizer_config.json",
              "{\"eos_token\": \"<|endoftext|>\", \"bos_token\": \"<|endoftext|>\"}");
    tiny_file(
        "config.json",
        "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], \"vocab_size\": 5, "
        "\"hidden_size\": "
        "8, \"intermediate_size\": 12, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, "
        "\"num_key_value_heads\": 1, \"head_dim\": 4, \"max_position_embeddings\": 32, \"rms_norm_eps\": "
        "1e-5, "
        "\"rope_theta\": 10000.0, \"tie_word_embeddings\": false, \"hidden_act\": \"silu\", "
        "\"initializer_range\": 0.5, \"bos_token_id\": 0, \"eos_token_id\": 0, \"dtype\": \"float32\"}");
    tiny_file("prompts.jsonl", "{\"prompt\": \"ab\", \"solution\": \"c\"}\n");
}

#endif
