/*
 * test_lora.c - adapters: their targets and start, what merging adds, files there and back, and what is refused.
 */
#include <math.h>
#include <stdio.h>
#include "base/base.h"
#include "base/file.h"
#include "lm/lora.h"
#include "support/check.h"
#include "support/small_lm.h"
#include "support/temp_dir.h"

#define GOLDEN    REIN_SOURCE_DIR "/tests/golden/lm_folders"
#define BIT(part) (UINT32_C(1) << REINI_LM_##part)

static void targets(void **state) {
    reini_lm_shape llama = small_lm_shape(REINI_LLAMA), gpt2 = small_lm_shape(REINI_GPT2);
    uint32_t bits;
    (void)state;
    assert_ok(reini_lora_targets(&llama, "q_proj, v_proj", &bits));
    assert_int_equal(bits, BIT(Q) | BIT(V));
    assert_ok(reini_lora_targets(&llama, "all-linear", &bits));
    assert_int_equal(bits, BIT(Q) | BIT(K) | BIT(V) | BIT(O) | BIT(GATE) | BIT(UP) | BIT(DOWN));
    assert_ok(reini_lora_targets(&gpt2, "c_attn", &bits));
    assert_int_equal(bits, BIT(Q) | BIT(K) | BIT(V));
    assert_ok(reini_lora_targets(&gpt2, "c_proj", &bits));
    assert_int_equal(bits, BIT(O) | BIT(DOWN));
    assert_ok(reini_lora_targets(&gpt2, "mlp.c_proj,c_fc", &bits));
    assert_int_equal(bits, BIT(UP) | BIT(DOWN));
    assert_fails(
        reini_lora_targets(&llama, "q_proj,c_attn", &bits), REIN_USAGE,
        "no linear layer \"c_attn\" for an adapter; known are q_proj, k_proj, v_proj, o_proj, gate_proj");
    assert_fails(reini_lora_targets(&gpt2, "q_proj", &bits), REIN_USAGE,
                 "known are attn.c_attn, attn.c_proj");
    assert_fails(reini_lora_targets(&llama, "", &bits), REIN_USAGE, "known are");
}

static void wrong_options(void **state) {
    reini_lm_weights *llama = small_lm(REINI_LLAMA, REIN_F32, 1), *gpt2 = small_lm(REINI_GPT2, REIN_F32, 1);
    reini_lora *lora;
    (void)state;
    reini_lora_opts o = {.rank = 0, .alpha = 8, .targets = BIT(Q)};
    assert_fails(reini_lora_new(llama, &o, &lora), REIN_USAGE, "rank");
    o.rank = 4;
    o.dropout = 1;
    assert_fails(reini_lora_new(llama, &o, &lora), REIN_USAGE, "dropout");
    o.dropout = 0;
    o.alpha = NAN;
    assert_fails(reini_lora_new(llama, &o, &lora), REIN_USAGE, "alpha");
    o.alpha = 8;
    assert_fails(reini_lora_new(gpt2, &o, &lora), REIN_USAGE, "attn.c_attn is one linear layer");
    o.targets = BIT(EMBEDDING);
    assert_fails(reini_lora_new(llama, &o, &lora), REIN_USAGE, "not linear layers");
    assert_null(lora);
    reini_lm_weights_free(llama);
    reini_lm_weights_free(gpt2);
}

static reini_lora *make(const reini_lm_weights *w, const char *names, bool rslora) {
    reini_lora_opts o = {.rank = 3, .alpha = 5, .dropout = 0.25, .rslora = rslora, .seed = 9};
    reini_lora *lora;
    assert_ok(reini_lora_targets(&w->shape, names, &o.targets));
    assert_ok(reini_lora_new(w, &o, &lora));
    return lora;
}

/* B is no longer zero */
static void fill_b(reini_lora *lora, const reini_lm_weights *w, float size) {
    for (int layer = 0; layer < w->shape.layers; layer++)
        for (int p = 0; p < REINI_LM_PART_COUNT; p++) {
            float *b = reini_lora_b(lora, lora->store, (reini_lm_part)p, layer);
            int64_t n = b ? reini_lm_matrix(w, (reini_lm_part)p, layer).rows * lora->opts.rank : 0;
            for (int64_t i = 0; i < n; i++)
                b[i] = size * (float)sin(1.7 * (double)i + p + 5 * layer);
        }
}

static void start(void **state) {
    reini_lm_weights *w = small_lm(REINI_QWEN3, REIN_F32, 1);
    reini_lora *lora = make(w, "o_proj,up_proj", true);
    (void)state;
    assert_true(fabs(lora->scale - 5 / sqrt(3)) < 1e-12);
    const float *a = reini_lora_a(lora, lora->store, REINI_LM_O, 1),
                *b = reini_lora_b(lora, lora->store, REINI_LM_O, 1);
    double bound = 1 / sqrt(40), largest = 0, sum = 0; /* 4 heads of 10 */
    for (int i = 0; i < 3 * 40; i++) {
        largest = fmax(largest, fabs((double)a[i]));
        sum += a[i];
    }
    assert_true(largest <= bound && largest > 0.9 * bound && fabs(sum / 120) < bound / 3);
    for (int i = 0; i < 24 * 3; i++)
        assert_true(b[i] == 0);
    assert_memory_not_equal(a, reini_lora_a(lora, lora->store, REINI_LM_O, 0), 40);
    assert_null(reini_lora_a(lora, lora->store, REINI_LM_Q, 0));
    assert_null(reini_lora_a(lora, NULL, REINI_LM_O, 0));
    reini_lora_free(lora);
    reini_lm_weights_free(w);
}

static void merge_adds_the_product(void **state) {
    reini_lm_weights *w = small_lm(REINI_LLAMA, REIN_BF16, 1), *before = small_lm(REINI_LLAMA, REIN_BF16, 1);
    reini_lora *lora = make(w, "k_proj,down_proj", false);
    (void)state;
    fill_b(lora, w, 0.5f);
    assert_ok(reini_lora_merge(lora, w));
    const float *now = rein_store_view(w->store), *then = rein_store_view(before->store);
    int64_t offset = rein_layout_at(w->layout, reini_lm_param(w, REINI_LM_K, 1)).offset;
    const float *a = reini_lora_a(lora, lora->store, REINI_LM_K, 1),
                *b = reini_lora_b(lora, lora->store, REINI_LM_K, 1);
    for (int row = 0; row < 12; row++)
        for (int column = 0; column < 24; column++) {
            double sum = 0;
            for (int k = 0; k < 3; k++)
                sum += (double)b[row * 3 + k] * a[k * 24 + column];
            double added = (double)now[offset + row * 24 + column] - then[offset + row * 24 + column];
            assert_true(fabs(added - 5.0 / 3 * sum) < 1e-6);
        }
    offset = rein_layout_at(w->layout, reini_lm_param(w, REINI_LM_Q, 1)).offset;
    assert_memory_equal(now + offset, then + offset, 24 * 24 * sizeof(float));
    /* the rounded copy follows */
    assert_memory_not_equal(reini_lm_matrix(w, REINI_LM_K, 1).at, reini_lm_matrix(before, REINI_LM_K, 1).at,
                            100);
    reini_lora_free(lora);
    reini_lm_weights_free(before);
    reini_lm_weights_free(w);
}

static void merge_refuses_what_rounding_eats(void **state) {
    reini_lm_weights *w = small_lm(REINI_LLAMA, REIN_BF16, 1), *frozen;
    reini_lora *lora = make(w, "all-linear", false);
    (void)state;
    assert_ok(reini_lm_weights_save(w, temp_path("base"), REIN_BF16, 0, NULL));
    assert_ok(reini_lm_weights_load(temp_path("base"), REIN_BF16, true, 0, &frozen, NULL));
    size_t bytes = (size_t)(frozen->shape.heads * frozen->shape.head_size * frozen->shape.hidden) * 2;
    char *old = calloc(1, bytes);
    memcpy(old, reini_lm_matrix(frozen, REINI_LM_Q, 0).at, bytes);
    assert_ok(reini_lora_merge(lora, frozen)); /* B is zero */
    assert_memory_equal(old, reini_lm_matrix(frozen, REINI_LM_Q, 0).at, bytes);
    fill_b(lora, w, 1e-4f);
    assert_fails(reini_lora_merge(lora, frozen), REIN_MISMATCH, "load the model in float32");
    assert_memory_equal(old, reini_lm_matrix(frozen, REINI_LM_Q, 0).at, bytes);
    fill_b(lora, w, 0.5f);
    assert_ok(reini_lora_merge(lora, frozen));
    assert_memory_not_equal(old, reini_lm_matrix(frozen, REINI_LM_Q, 0).at, bytes);
    free(old);
    reini_lora_free(lora);
    reini_lm_weights_free(frozen);
    reini_lm_weights_free(w);
}

/* what a merge makes of the base is the same before and after a save, for every family and c_attn's two forms */
static void files_there_and_back(void **state) {
    (void)state;
    for (int family = 0; family < SMALL_LM_FAMILIES; family++) {
        reini_lm_weights *w = small_lm((reini_family)family, REIN_F32, 1),
                         *v = small_lm((reini_family)family, REIN_F32, 1);
        reini_lora *lora = make(w, "all-linear", family % 2 == 0), *again;
        fill_b(lora, w, 0.5f);
        assert_ok(reini_lora_save(lora, w, "base", temp_path("adapter")));
        assert_ok(reini_lora_load(w, temp_path("adapter"), &again));
        assert_true(again->opts.rank == 3 && again->opts.alpha == 5 && again->opts.dropout == 0.25 &&
                    again->opts.targets == lora->opts.targets && fabs(again->scale - lora->scale) < 1e-12);
        assert_memory_equal(rein_store_view(lora->store), rein_store_view(again->store),
                            (size_t)rein_store_size(lora->store) * sizeof(float));
        assert_ok(reini_lora_merge(lora, w));
        assert_ok(reini_lora_merge(again, v));
        assert_memory_equal(rein_store_view(w->store), rein_store_view(v->store),
                            (size_t)rein_store_size(w->store) * sizeof(float));
        reini_lora_free(lora);
        reini_lora_free(again);
        reini_lm_weights_free(w);
        reini_lm_weights_free(v);
    }
}

/* adapter_config.json with `key` set to `value` (JSON text), beside the tensors of a Llama's golden adapter */
static rein_status load_with(const char *key, const char *value) {
    json_t *config, *list;
    size_t size;
    reini_lm_weights *w;
    reini_lora *lora;
    assert_ok(reini_json_read(GOLDEN "/lora_llama/adapter_config.json", &config));
    if (key) {
        char text[200];
        snprintf(text, sizeof text, "[%s]", value);
        assert_ok(reini_json_parse(text, strlen(text), "value", &list));
        json_object_set(config, key, json_array_get(list, 0));
        json_decref(list);
    }
    assert_ok(reini_dir_make(temp_path("with")));
    assert_ok(reini_json_write(temp_path("with/adapter_config.json"), config));
    json_decref(config);
    char *data = temp_read(GOLDEN "/lora_llama/adapter_model.safetensors", &size);
    temp_write(temp_path("with/adapter_model.safetensors"), data, size);
    free(data);
    assert_ok(reini_lm_weights_load(GOLDEN "/llama", REIN_F32, true, 0, &w, NULL));
    rein_status status = reini_lora_load(w, temp_path("with"), &lora);
    reini_lora_free(lora);
    reini_lm_weights_free(w);
    return status;
}

static void refuses_by_name(void **state) {
    (void)state;
    assert_ok(load_with(NULL, NULL));
    assert_fails(load_with("r", "4"), REIN_MISMATCH, "lora_A.weight\" is [3 x 24], and rank 4");
    assert_fails(load_with("r", "2.5"), REIN_FORMAT, "\"r\" has to be a whole number");
    assert_fails(load_with("use_dora", "true"), REIN_UNSUPPORTED, "use_dora");
    assert_fails(load_with("bias", "\"all\""), REIN_UNSUPPORTED, "\"bias\" is \"all\"");
    assert_fails(load_with("peft_type", "\"IA3\""), REIN_UNSUPPORTED, "IA3");
    assert_fails(load_with("rank_pattern", "{\"q_proj\": 8}"), REIN_UNSUPPORTED, "rank_pattern");
    assert_fails(load_with("modules_to_save", "[\"lm_head\"]"), REIN_UNSUPPORTED, "lm_head");
    assert_fails(load_with("init_lora_weights", "\"pissa\""), REIN_UNSUPPORTED, "pissa");
    assert_fails(load_with("lora_dropout", "1.5"), REIN_USAGE, "dropout");
    assert_fails(load_with("lora_alpha", "\"x\""), REIN_FORMAT, "lora_alpha");
}

static void adapters_of_another_base(void **state) {
    reini_lm_weights *w;
    reini_lora *lora;
    (void)state;
    assert_ok(reini_lm_weights_load(GOLDEN "/qwen3", REIN_F32, true, 0, &w, NULL));
    assert_fails(reini_lora_load(w, GOLDEN "/lora_llama", &lora), REIN_MISMATCH,
                 "is [3 x 24], and rank 3 beside this model's layer asks for [3 x 20]");
    assert_fails(reini_lora_load(w, GOLDEN "/lora_gpt2", &lora), REIN_MISMATCH, "of another model");
    assert_fails(reini_lora_load(w, GOLDEN "/qwen3", &lora), REIN_IO, "no adapter_config.json");
    reini_lm_weights_free(w);
    w = small_lm(REINI_QWEN2, REIN_F32, 1); /* has no score head */
    assert_fails(reini_lora_load(w, GOLDEN "/lora_qwen2_rm", &lora), REIN_MISMATCH, "");
    assert_null(lora);
    reini_lm_weights_free(w);
}

static void out_of_memory(void **state) {
    reini_lm_weights *w;
    rein_status status = REIN_NOMEM;
    (void)state;
    assert_ok(reini_lm_weights_load(GOLDEN "/gpt2", REIN_F32, true, 0, &w, NULL));
    uint64_t live = reini_memory_now().live_bytes;
    for (uint64_t n = 1; status == REIN_NOMEM; n++) {
        reini_lora *lora = NULL;
        reini_memory_fail(n, false);
        status = reini_lora_load(w, GOLDEN "/lora_gpt2", &lora);
        if (status == REIN_OK)
            status = reini_lora_save(lora, w, NULL, temp_path("memory"));
        if (status == REIN_OK)
            status = reini_lora_merge(lora, w);
        reini_memory_fail(0, false);
        reini_lora_free(lora);
        assert_int_equal(reini_memory_now().live_bytes, live);
        assert_true(n > 3 || status == REIN_NOMEM);
    }
    assert_ok(status);
    reini_lm_weights_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(start),
        cmocka_unit_test(merge_adds_the_product),
        cmocka_unit_test(merge_refuses_what_rounding_eats),
        cmocka_unit_test(files_there_and_back),
        cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(adapters_of_another_base),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
