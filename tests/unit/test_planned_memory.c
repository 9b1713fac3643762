/*
 * test_planned_memory.c - memory said before and measured after: of products, of a network, of a whole run.
 */
#include <stdlib.h>
#include "base/file.h"
#include "lm/transformer.h"
#include "support/run_check.h"
#include "support/small_lm.h"
#include "tensor/matmul.h"

#define FOLDER REIN_SOURCE_DIR "/tests/golden/sft_trl"

static int64_t live(void) {
    return (int64_t)reini_memory_now().live_bytes;
}

/* worker threads give back what they were started with when they get to it */
static void same_bytes(int64_t taken, int64_t said) {
    if (llabs(taken - said) > 128)
        fail_msg("%lld bytes taken, %lld said", (long long)taken, (long long)said);
}

/* first, while the process is small: a run's figures beside what the system measures */
static void test_run(void **state) {
    (void)state;
    static const char config[] =
        "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], \"vocab_size\": 8000, "
        "\"hidden_size\": 256, \"intermediate_size\": 512, \"num_hidden_layers\": 4, "
        "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 64, "
        "\"max_position_embeddings\": 128, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, "
        "\"tie_word_embeddings\": true, \"hidden_act\": \"silu\", \"initializer_range\": 0.02, "
        "\"bos_token_id\": 0, \"eos_token_id\": 0, \"dtype\": \"float32\"}";
    const char *path = run_path("config.json"), *out = run_path("planned");
    temp_write(path, config, sizeof config - 1);
    const rein_setting settings[] = {{"init", path},         {"tokenizer", FOLDER "/model"},
                                     {"reward", "length"},   {"data", FOLDER "/data.jsonl"},
                                     {"max_steps", "2"},     {"response_length", "8"},
                                     {"vf_coef", "0.5"},     {"per_device_train_batch_size", "4"},
                                     {"num_ppo_epochs", "1"}};
    rein_train_opts opts = {
        .algo = "ppo", .settings = settings, .n_settings = 9, .out = out, .stop = &run_stop};
    rein_summary s, again;
    assert_ok(rein_train(&opts, &s));
    print_message("said %.1f MB, measured %.1f MB\n", 1e-6 * (double)s.planned_memory,
                  1e-6 * (double)s.peak_memory);
    /* two networks with their moments, a reference and the saved model: 40 MB of weights and more */
    assert_true(s.planned_memory > 100e6);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    double share = (double)s.peak_memory / (double)s.planned_memory;
    assert_true(share > 0.8 && share < 1.1);
#endif
    opts = run_resume(out);
    assert_ok(rein_train(&opts, &again));
    assert_int_equal(again.planned_memory, s.planned_memory);
    assert_int_equal(again.peak_memory, s.peak_memory);
}

static void test_peak(void **state) {
    (void)state;
    enum { BYTES = 96 << 20 };
    int64_t before = reini_memory_peak();
    assert_true(before > 1 << 20);
    volatile char *block = malloc((size_t)before + BYTES);
    assert_non_null(block);
    for (int64_t i = 0; i < before + BYTES; i += 4096)
        block[i] = 1;
    assert_true(reini_memory_peak() >= before + BYTES);
    free((void *)block);
    assert_true(reini_memory_peak() >= before + BYTES);
}

static void test_products(void **state) {
    (void)state;
    for (int k = 0; k < 6; k++) {
        rein_dtype products = k % 2 ? REIN_BF16 : REIN_F32;
        rein_pool *pool = rein_pool_new(1 + k / 2);
        reini_matmul *mm;
        int64_t before = live();
        assert_ok(reini_matmul_new(pool, products, &mm));
        same_bytes(live() - before, reini_matmul_bytes(products, 1 + k / 2));
        reini_matmul_free(mm);
        rein_pool_free(pool);
    }
}

static void test_network(void **state) {
    (void)state;
    for (int k = 0; k < 32; k++) {
        rein_dtype products = k & 1 ? REIN_BF16 : REIN_F32;
        reini_lm_weights *w = small_lm(k & 2 ? REINI_GPT2 : REINI_LLAMA, products, 3);
        reini_lora_opts adapter = {.rank = 3, .alpha = 6, .dropout = 0.1, .seed = 5};
        reini_lora *lora = NULL;
        if (k & 4) {
            assert_ok(reini_lora_targets(&w->shape, "all-linear", &adapter.targets));
            assert_ok(reini_lora_new(w, &adapter, &lora));
        }
        reini_lm_opts opts = {
            .tokens = 40, .documents = 5, .train = (k & 8) != 0, .recompute = (k & 16) != 0};
        rein_pool *pool = rein_pool_new(2);
        reini_lm *lm;
        int64_t before = live(), said = reini_lm_bytes(w, lora, &opts, 2);
        assert_ok(reini_lm_new(w, lora, &opts, pool, &lm));
        same_bytes(live() - before, said);
        reini_lm_free(lm);
        rein_pool_free(pool);
        reini_lora_free(lora);
        reini_lm_weights_free(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run), cmocka_unit_test(test_peak),
                                       cmocka_unit_test(test_products), cmocka_unit_test(test_network)};
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
