/*
 * test_lm_folder.c - descriptions and folders of language models: what is refused and in which words, random weights,
 * where parameters lie, and files cut short at every length.
 */
#include <math.h>
#include <stdio.h>
#include "base/base.h"
#include "base/file.h"
#include "base/safetensors.h"
#include "lm/lm_parts.h"
#include "support/check.h"
#include "support/small_lm.h"
#include "support/temp_dir.h"

#define GOLDEN REIN_SOURCE_DIR "/tests/golden/lm_folders"

/* ---- config.json --------------------------------------------------------------------------------------- */

#define LLAMA                                                                                                \
    "\"model_type\": \"llama\", \"vocab_size\": 9, \"hidden_size\": 8, \"num_hidden_layers\": 2, "           \
    "\"num_attention_heads\": 2, \"intermediate_size\": 12"
#define QWEN                                                                                                 \
    "\"model_type\": \"qwen2\", \"vocab_size\": 9, \"hidden_size\": 8, \"num_hidden_layers\": 2, "           \
    "\"num_attention_heads\": 2, \"intermediate_size\": 12"
#define GPT "\"model_type\": \"gpt2\", \"vocab_size\": 9, \"n_embd\": 8, \"n_layer\": 2, \"n_head\": 2"

static rein_status read_text(const char *text, reini_lm_shape *shape) {
    return reini_lm_shape_read(text, strlen(text), "config.json", shape);
}

static void refuses_by_name(void **state) {
    static const struct {
        const char *text;
        rein_status status;
        const char *words;
    } cases[] = {
        {"", REIN_FORMAT, "config.json: empty"},
        {"[1]", REIN_FORMAT, "expected a JSON object"},
        {"{}", REIN_FORMAT, "neither \"model_type\" nor"},
        {"{\"model_type\": \"mamba\"}", REIN_UNSUPPORTED, "mamba is not supported; supported are gpt2"},
        {"{\"architectures\": [\"Qwen2MoeForCausalLM\"]}", REIN_UNSUPPORTED, "Qwen2MoeForCausalLM"},
        {"{" LLAMA ", \"architectures\": [\"LlamaForTokenClassification\"]}", REIN_UNSUPPORTED,
         "LlamaForTokenClassification"},
        {"{\"model_type\": \"llama\"}", REIN_FORMAT, "\"vocab_size\" is missing"},
        {"{" LLAMA ", \"num_key_value_heads\": 3}", REIN_FORMAT,
         "not a multiple of \"num_key_value_heads\" 3"},
        {"{" LLAMA ", \"head_dim\": 3}", REIN_FORMAT, "even size"},
        {"{" LLAMA ", \"head_dim\": \"x\"}", REIN_FORMAT, "\"head_dim\" has to be a whole number"},
        {"{" LLAMA ", \"hidden_act\": \"relu\"}", REIN_UNSUPPORTED, "\"hidden_act\" is \"relu\""},
        {"{" LLAMA ", \"quantization_config\": {\"bits\": 4}}", REIN_UNSUPPORTED, "quantization_config"},
        {"{" LLAMA ", \"partial_rotary_factor\": 0.5}", REIN_UNSUPPORTED, "partial_rotary_factor"},
        {"{" LLAMA ", \"rope_parameters\": {\"partial_rotary_factor\": 0.5}}", REIN_UNSUPPORTED,
         "partial_rotary_factor"},
        {"{" LLAMA ", \"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}", REIN_UNSUPPORTED,
         "\"dynamic\""},
        {"{" LLAMA ", \"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 2}}", REIN_UNSUPPORTED,
         "\"yarn\""},
        {"{" LLAMA ", \"rope_scaling\": {\"type\": \"linear\"}}", REIN_FORMAT, "\"factor\" is missing"},
        {"{" LLAMA ", \"rope_scaling\": 3}", REIN_FORMAT, "\"rope_scaling\" has to be an object"},
        {"{" LLAMA ", \"eos_token_id\": [1,2,3,4,5,6,7,8,9]}", REIN_FORMAT, "at most 8"},
        {"{" LLAMA ", \"rms_norm_eps\": \"small\"}", REIN_FORMAT, "\"rms_norm_eps\""},
        {"{" QWEN ", \"use_sliding_window\": true, \"max_window_layers\": 1}", REIN_UNSUPPORTED,
         "use_sliding_window"},
        {"{" QWEN ", \"layer_types\": [\"full_attention\", \"sliding_attention\"]}", REIN_UNSUPPORTED,
         "layer_types"},
        {"{" GPT ", \"scale_attn_by_inverse_layer_idx\": true}", REIN_UNSUPPORTED,
         "scale_attn_by_inverse_layer_idx"},
        {"{" GPT ", \"scale_attn_weights\": false}", REIN_UNSUPPORTED, "scale_attn_weights"},
        {"{" GPT ", \"add_cross_attention\": true}", REIN_UNSUPPORTED, "add_cross_attention"},
        {"{" GPT ", \"activation_function\": \"gelu\"}", REIN_UNSUPPORTED, "\"gelu\""},
        {"{\"model_type\": \"gpt2\", \"vocab_size\": 9, \"n_embd\": 8, \"n_layer\": 2, \"n_head\": 3}",
         REIN_FORMAT, "not a multiple of \"n_head\" 3"},
    };
    reini_lm_shape shape;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_fails(read_text(cases[i].text, &shape), cases[i].status, cases[i].words);
}

static void reads_old_and_new_keys(void **state) {
    reini_lm_shape old, new;
    (void)state;
    assert_ok(read_text("{" LLAMA
                        ", \"rope_theta\": 5e5, \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, "
                        "\"low_freq_factor\": 1, \"high_freq_factor\": 4, "
                        "\"original_max_position_embeddings\": 512}, \"torch_dtype\": \"float32\"}",
                        &old));
    assert_ok(read_text("{" LLAMA
                        ", \"rope_parameters\": {\"rope_theta\": 5e5, \"rope_type\": \"llama3\", \"factor\": "
                        "8, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
                        "\"original_max_position_embeddings\": 512}, \"dtype\": \"float32\"}",
                        &new));
    assert_memory_equal(&old, &new, sizeof old);
    assert_true(old.rope_theta == 5e5 && old.rope_scaling == REINI_ROPE_LLAMA3 &&
                old.rope_original_context == 512);
    /* what is absent is what the classes of Transformers say */
    assert_ok(read_text("{" LLAMA "}", &old));
    assert_true(old.kv_heads == 2 && old.head_size == 4 && old.context == 2048 && !old.tied &&
                old.norm_eps == 1e-6 && old.bos == 1 && old.eos[0] == 2 && old.pad == -1 &&
                old.rope_theta == 1e4 && !old.qkv_bias);
    assert_ok(read_text("{" QWEN
                        ", \"use_sliding_window\": true, \"max_window_layers\": 2, \"attention_bias\": true}",
                        &old));
    assert_true(old.qkv_bias && !old.out_bias && old.n_eos == 0 && old.bos == -1 && old.context == 32768);
    assert_ok(read_text("{" GPT "}", &old));
    assert_true(old.tied && old.inner == 32 && old.context == 1024 && old.eos[0] == 50256 && old.layer_norm);
    assert_ok(read_text("{" LLAMA
                        ", \"architectures\": [\"LlamaForSequenceClassification\"], \"id2label\": {\"0\": "
                        "\"x\"}}",
                        &old));
    assert_int_equal(old.labels, 1);
}

static void written_is_what_is_read(void **state) {
    (void)state;
    for (int family = 0; family < SMALL_LM_FAMILIES; family++) {
        reini_lm_shape shape = small_lm_shape((reini_family)family), again;
        char *json;
        shape.rope_theta = family == REINI_GPT2 ? 0 : 12345;
        shape.rope_factor = 0;
        if (family == REINI_QWEN3) {
            shape.rope_scaling = REINI_ROPE_LINEAR;
            shape.rope_factor = 3;
        }
        shape.n_eos = 2;
        assert_ok(reini_lm_shape_write(&shape, "float32", &json));
        assert_ok(read_text(json, &again));
        assert_memory_equal(&shape, &again, sizeof shape);
        reini_free(json);
    }
}

static void generation_defaults(void **state) {
    static const char text[] = "{\"do_sample\": true, \"temperature\": 0.7, \"top_p\": 0.8, \"top_k\": 20, "
                               "\"repetition_penalty\": 1.05, \"eos_token_id\": [151645, 151643]}";
    reini_generation_config c;
    (void)state;
    assert_ok(reini_generation_config_load(temp_dir, &c));
    assert_true(!c.found && !c.do_sample && c.temperature == 1 && c.top_k == 50 && c.top_p == 1 &&
                c.n_eos == 0);
    temp_write(temp_path("generation_config.json"), text, strlen(text));
    assert_ok(reini_generation_config_load(temp_dir, &c));
    assert_true(c.found && c.do_sample && c.temperature == 0.7 && c.top_k == 20 && c.top_p == 0.8 &&
                c.repetition_penalty == 1.05 && c.n_eos == 2 && c.eos[1] == 151643);
    temp_write(temp_path("generation_config.json"), "{\"top_p\": 2}", 12);
    assert_fails(reini_generation_config_load(temp_dir, &c), REIN_FORMAT, "\"top_p\" has to be");
    unlink(temp_path("generation_config.json"));
}

/* ---- weights ------------------------------------------------------------------------------------------- */

static void deviation_is(const reini_lm_weights *w, reini_lm_part part, int layer, double expected) {
    rein_param_info info = rein_layout_at(w->layout, reini_lm_param(w, part, layer));
    const float *x = (const float *)rein_store_view(w->store) + info.offset;
    double sum = 0, squares = 0, n = (double)info.count;
    for (int64_t i = 0; i < info.count; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    /* five standard errors of a deviation and of a mean */
    if (fabs(sqrt(squares / n) - expected) > 5 * expected / sqrt(2 * n) ||
        fabs(sum / n) > 5 * expected / sqrt(n))
        fail_msg("%s: deviation %g, mean %g, expected %g", info.name, sqrt(squares / n), sum / n, expected);
}

static void random_weights_as_transformers_makes_them(void **state) {
    (void)state;
    for (int family = 0; family < SMALL_LM_FAMILIES; family++) {
        reini_lm_shape shape = small_lm_shape((reini_family)family);
        reini_lm_weights *w, *same, *other;
        shape.pad = 7;
        double residual = family == REINI_GPT2 ? 0.3 / 2 : 0.3; /* 1 / sqrt(2 x 2 layers) */
        assert_ok(reini_lm_weights_random(&shape, REIN_BF16, 11, &w));
        assert_ok(reini_lm_weights_random(&shape, REIN_F32, 11, &same));
        assert_ok(reini_lm_weights_random(&shape, REIN_F32, 12, &other));
        for (int layer = 0; layer < 2; layer++) {
            deviation_is(w, REINI_LM_Q, layer, 0.3);
            deviation_is(w, REINI_LM_UP, layer, 0.3);
            deviation_is(w, REINI_LM_O, layer, residual);
            deviation_is(w, REINI_LM_DOWN, layer, residual);
            assert_true(reini_lm_vector(w, REINI_LM_NORM_1, layer)[3] == 1);
        }
        const float *embedding = reini_lm_matrix(same, REINI_LM_EMBEDDING, -1).at;
        assert_true((embedding[7 * shape.hidden] == 0) == (family != REINI_GPT2));
        size_t bytes = (size_t)rein_store_size(w->store) * sizeof(float);
        assert_memory_equal(rein_store_view(w->store), rein_store_view(same->store), bytes);
        assert_memory_not_equal(rein_store_view(w->store), rein_store_view(other->store), bytes);
        /* layers do not repeat one another */
        assert_memory_not_equal(reini_lm_matrix(w, REINI_LM_K, 0).at, reini_lm_matrix(w, REINI_LM_K, 1).at,
                                64);
        reini_lm_weights_free(w);
        reini_lm_weights_free(same);
        reini_lm_weights_free(other);
    }
}

static void places(void **state) {
    reini_lm_weights *w = small_lm(REINI_QWEN2, REIN_BF16, 3), *frozen;
    (void)state;
    reini_matrix k = reini_lm_matrix(w, REINI_LM_K, 1);
    assert_true(k.dtype == REIN_BF16 && k.rows == 12 && k.columns == 24 && k.stride == 24);
    assert_null(reini_lm_vector(w, REINI_LM_O_B, 0));
    assert_non_null(reini_lm_vector(w, REINI_LM_Q_B, 0));
    assert_int_equal(reini_lm_param(w, REINI_LM_Q_NORM, 0), -1);
    float *values = rein_store_data(w->store);
    rein_param_info info = rein_layout_at(w->layout, reini_lm_param(w, REINI_LM_K, 1));
    values[info.offset] = 1.5f;
    reini_lm_weights_refresh(w, NULL);
    assert_int_equal(*(const uint16_t *)k.at, 0x3fc0);
    rein_store *gradient;
    assert_ok(rein_store_new(w->layout, REIN_F32, &gradient));
    assert_ptr_equal(reini_lm_gradient_at(w, gradient, REINI_LM_K, 1),
                     (float *)rein_store_data(gradient) + info.offset);
    assert_null(reini_lm_gradient_at(w, NULL, REINI_LM_K, 1));
    rein_store_free(gradient);
    /* frozen in bf16: two bytes a matrix element, four a vector's */
    assert_ok(reini_lm_weights_save(w, temp_path("places"), REIN_BF16, 0, NULL));
    assert_ok(reini_lm_weights_load(temp_path("places"), REIN_BF16, true, 0, &frozen, NULL));
    int64_t vectors = 2 * (24 + 24 + 24 + 12 + 12) + 24;
    assert_int_equal(reini_lm_weights_bytes(frozen), 2 * reini_lm_matrix_end(frozen) + 4 * vectors);
    assert_true(reini_lm_matrix_end(frozen) < reini_lm_weights_count(frozen) + 16 * 30);
    reini_lm_weights_free(frozen);
    reini_lm_weights_free(w);
}

/* ---- folders ------------------------------------------------------------------------------------------- */

static void copy(const char *from_folder, const char *name, const char *to) {
    char path[1024];
    size_t size;
    snprintf(path, sizeof path, GOLDEN "/%s/%s", from_folder, name);
    char *data = temp_read(path, &size);
    snprintf(path, sizeof path, "%s/%s", to, name);
    temp_write(path, data, size);
    free(data);
}

static rein_status load(const char *folder, int labels) {
    reini_lm_weights *w = NULL;
    rein_status status = reini_lm_weights_load(folder, REIN_F32, true, labels, &w, NULL);
    if (status != REIN_OK)
        assert_null(w);
    reini_lm_weights_free(w);
    return status;
}

/* a folder of a Llama's config.json and the tensors of `from`, one of them changed */
static const char *changed(const char *name, const reini_st_tensor *change, const char *added) {
    static char folder[2048];
    reini_safetensors *st;
    reini_st_tensor tensor[64];
    int n = 0;
    snprintf(folder, sizeof folder, "%s", temp_path("changed"));
    assert_ok(reini_dir_make(folder));
    copy("llama", "config.json", folder);
    assert_ok(reini_safetensors_open(GOLDEN "/llama/model.safetensors", &st));
    for (int i = 0; i < reini_safetensors_count(st); i++) {
        const reini_st_tensor *t = reini_safetensors_at(st, i);
        if (!name || strcmp(t->name, name) != 0)
            tensor[n++] = *t;
        else if (change)
            tensor[n++] = *change;
    }
    if (added) {
        tensor[n] = *reini_safetensors_find(st, "model.norm.weight");
        tensor[n++].name = added;
    }
    assert_ok(reini_safetensors_write(temp_path("changed/model.safetensors"), tensor, n, NULL, NULL, 0));
    reini_safetensors_close(st);
    return folder;
}

static void wrong_tensors_are_named(void **state) {
    static const char q[] = "model.layers.1.self_attn.q_proj.weight";
    static uint8_t bytes[24 * 40 * 4];
    reini_st_tensor narrow = {q, "BF16", 2, {24, 40}, bytes, 24 * 40 * 2},
                    integer = {q, "I32", 2, {40, 24}, bytes, 24 * 40 * 4};
    (void)state;
    assert_ok(load(changed(NULL, NULL, NULL), 0));
    assert_fails(load(changed(q, NULL, NULL), 0), REIN_MISMATCH, "q_proj.weight\" is missing");
    assert_fails(load(changed(q, &narrow, NULL), 0), REIN_MISMATCH,
                 "[24 x 40], and config.json asks for [40 x 24]");
    assert_fails(load(changed(q, &integer, NULL), 0), REIN_UNSUPPORTED, "type I32");
    assert_fails(load(changed(NULL, NULL, "model.layers.2.mlp.x"), 0), REIN_MISMATCH,
                 "model.layers.2.mlp.x\" is not part of the model");
    assert_fails(load(changed(NULL, NULL, "score.weight"), 0), REIN_MISMATCH, "classifier");
    assert_fails(load(changed("lm_head.weight", NULL, NULL), 0), REIN_MISMATCH, "tie_word_embeddings");
    assert_ok(load(changed(NULL, NULL, "model.layers.0.self_attn.rotary_emb.inv_freq"), 0));
    assert_fails(load(temp_path("nowhere"), 0), REIN_IO, "is not a folder");
    unlink(temp_path("changed/model.safetensors"));
    assert_fails(load(temp_path("changed"), 0), REIN_IO, "neither model.safetensors nor");
    temp_write(temp_path("changed/pytorch_model.bin"), "x", 1);
    assert_fails(load(temp_path("changed"), 0), REIN_UNSUPPORTED, "pytorch_model.bin");
}

static void classifiers(void **state) {
    reini_lm_weights *w;
    bool made = false;
    (void)state;
    assert_fails(load(GOLDEN "/qwen2_rm", 0), REIN_MISMATCH, "sequence classifier");
    assert_fails(load(GOLDEN "/qwen2_rm", 2), REIN_MISMATCH, "[1 x 20], and [2 x 20] is wanted");
    assert_ok(reini_lm_weights_load(GOLDEN "/qwen2_rm", REIN_F32, false, 1, &w, &made));
    assert_false(made);
    reini_lm_weights_free(w);
    /* a language model becomes one: its head is left, a score head of zeros is made */
    assert_ok(reini_lm_weights_load(GOLDEN "/llama", REIN_F32, false, 1, &w, &made));
    assert_true(made && w->shape.labels == 1 && reini_lm_param(w, REINI_LM_HEAD, -1) == -1);
    const float *score = reini_lm_matrix(w, REINI_LM_SCORE, -1).at;
    for (int i = 0; i < w->shape.hidden; i++)
        assert_true(score[i] == 0);
    reini_lm_weights_free(w);
}

static const char *sharded(void) {
    static char folder[2048];
    char name[64];
    snprintf(folder, sizeof folder, "%s", temp_path("sharded"));
    temp_remove(folder);
    assert_ok(reini_dir_make(folder));
    copy("llama_old", "config.json", folder);
    copy("llama_old", "model.safetensors.index.json", folder);
    for (int i = 1; i <= 3; i++) {
        snprintf(name, sizeof name, "model-%05d-of-00003.safetensors", i);
        copy("llama_old", name, folder);
    }
    return folder;
}

static void damaged_shards_are_named(void **state) {
    static const char escape[] = "{\"weight_map\": {\"model.norm.weight\": \"../x.safetensors\"}}";
    (void)state;
    assert_ok(load(sharded(), 0));
    unlink(temp_path("sharded/model-00002-of-00003.safetensors"));
    assert_fails(load(temp_path("sharded"), 0), REIN_IO, "model-00002-of-00003.safetensors\" is missing");
    sharded();
    assert_int_equal(truncate(temp_path("sharded/model-00003-of-00003.safetensors"), 5000), 0);
    assert_fails(load(temp_path("sharded"), 0), REIN_FORMAT,
                 "model-00003-of-00003.safetensors\" is not a valid");
    sharded();
    copy("llama_old", "model-00001-of-00003.safetensors", temp_path("sharded"));
    assert_int_equal(rename(temp_path("sharded/model-00001-of-00003.safetensors"),
                            temp_path("sharded/model-00002-of-00003.safetensors")),
                     0);
    copy("llama_old", "model-00001-of-00003.safetensors", temp_path("sharded"));
    assert_fails(load(temp_path("sharded"), 0), REIN_FORMAT, "which does not hold it");
    temp_write(temp_path("sharded/model.safetensors.index.json"), escape, strlen(escape));
    assert_fails(load(temp_path("sharded"), 0), REIN_FORMAT, "not the name of a safetensors file");
}

static void tied_head_has_to_be_the_embedding(void **state) {
    static const char file[] = "sharded/model-00001-of-00003.safetensors";
    size_t size;
    (void)state;
    sharded();
    /* lm_head.weight is the first of its shard's largest tensors; any changed number of it is found */
    reini_safetensors *st;
    assert_ok(reini_safetensors_open(temp_path(file), &st));
    const reini_st_tensor *head = reini_safetensors_find(st, "lm_head.weight");
    assert_non_null(head);
    size_t behind = head->bytes;
    for (int i = 0; i < reini_safetensors_count(st); i++)
        behind += reini_safetensors_at(st, i)->data > head->data ? reini_safetensors_at(st, i)->bytes : 0;
    reini_safetensors_close(st);
    char *data = temp_read(temp_path(file), &size);
    data[size - behind + 40] ^= 1;
    temp_write(temp_path(file), data, size);
    free(data);
    assert_fails(load(temp_path("sharded"), 0), REIN_MISMATCH, "differs from \"model.embed_tokens.weight\"");
}

/* no length (each near the ends, every few between) but the whole one is accepted, and nothing is lost on the way */
static void cut_short(const char *path, const char *folder, size_t step) {
    size_t size;
    char *data = temp_read(path, &size);
    uint64_t live = reini_memory_now().live_bytes;
    for (size_t n = 0; n < size; n += n < 200 || n + 200 > size ? 1 : step) {
        temp_write(path, data, n);
        /* white space at the end of JSON is no loss */
        bool blank = strspn(data + n, " \n") == size - n;
        if (!blank && load(folder, -1) == REIN_OK)
            fail_msg("%s of %zu bytes was accepted", path, n);
        assert_int_equal(reini_memory_now().live_bytes, live);
    }
    temp_write(path, data, size);
    assert_ok(load(folder, -1));
    free(data);
}

static void cut_at_every_length(void **state) {
    (void)state;
    sharded();
    cut_short(temp_path("sharded/config.json"), temp_path("sharded"), 3);
    cut_short(temp_path("sharded/model.safetensors.index.json"), temp_path("sharded"), 11);
    cut_short(temp_path("sharded/model-00002-of-00003.safetensors"), temp_path("sharded"), 31);
}

static void tokenizer_files_go_along(void **state) {
    static const char generation[] = "{\"top_k\": 20, \"eos_token_id\": [52, 7]}";
    reini_lm_weights *w = small_lm(REINI_QWEN3, REIN_F32, 3);
    reini_generation_config c;
    size_t size;
    (void)state;
    assert_ok(reini_dir_make(temp_path("tokens")));
    temp_write(temp_path("tokens/tokenizer.json"), "{\0}\n", 4);
    temp_write(temp_path("tokens/chat_template.jinja"), "{{x}}", 5);
    temp_write(temp_path("tokens/generation_config.json"), generation, strlen(generation));
    assert_ok(reini_lm_weights_save(w, temp_path("with/tokens"), REIN_F32, 0, temp_path("tokens")));
    char *text = temp_read(temp_path("with/tokens/tokenizer.json"), &size);
    assert_int_equal(size, 4);
    assert_memory_equal(text, "{\0}\n", 4);
    free(text);
    assert_true(reini_file_exists(temp_path("with/tokens/chat_template.jinja")));
    assert_false(reini_file_exists(temp_path("with/tokens/merges.txt")));
    assert_ok(reini_generation_config_load(temp_path("with/tokens"), &c));
    assert_true(c.top_k == 20 && c.n_eos == 2 && c.eos[1] == 7);
    /* another end of text than the old folder's is put right, the rest stays */
    w->shape.eos[0] = 3;
    assert_ok(reini_lm_weights_save(w, temp_path("with/tokens"), REIN_F32, 0, temp_path("tokens")));
    assert_ok(reini_generation_config_load(temp_path("with/tokens"), &c));
    assert_true(c.top_k == 20 && c.n_eos == 1 && c.eos[0] == 3);
    /* shards replace a single file, and the other way round */
    assert_ok(reini_lm_weights_save(w, temp_path("with/tokens"), REIN_F32, 9000, NULL));
    assert_false(reini_file_exists(temp_path("with/tokens/model.safetensors")));
    assert_ok(load(temp_path("with/tokens"), 0));
    assert_ok(reini_lm_weights_save(w, temp_path("with/tokens"), REIN_F32, 0, NULL));
    assert_false(reini_file_exists(temp_path("with/tokens/model.safetensors.index.json")));
    assert_ok(load(temp_path("with/tokens"), 0));
    reini_lm_weights_free(w);
}

/* every allocation fails in turn: REIN_NOMEM, and nothing is lost */
static void out_of_memory(void **state) {
    (void)state;
    uint64_t live = reini_memory_now().live_bytes;
    rein_status status = REIN_NOMEM;
    for (uint64_t n = 1; status == REIN_NOMEM; n++) {
        reini_memory_fail(n, false);
        status = load(GOLDEN "/gpt2_hub", 0);
        reini_memory_fail(0, false);
        assert_int_equal(reini_memory_now().live_bytes, live);
        assert_true(n > 3 || status == REIN_NOMEM);
    }
    assert_ok(status);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(reads_old_and_new_keys),
        cmocka_unit_test(written_is_what_is_read),
        cmocka_unit_test(generation_defaults),
        cmocka_unit_test(random_weights_as_transformers_makes_them),
        cmocka_unit_test(places),
        cmocka_unit_test(wrong_tensors_are_named),
        cmocka_unit_test(classifiers),
        cmocka_unit_test(damaged_shards_are_named),
        cmocka_unit_test(tied_head_has_to_be_the_embedding),
        cmocka_unit_test(cut_at_every_length),
        cmocka_unit_test(tokenizer_files_go_along),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
