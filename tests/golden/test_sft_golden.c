/*
 * test_sft_golden.c - fifty updates beside TRL's and PEFT's (tests/reference/sft_trl.py): loss, gradient norm, step size,
 * tokens of every update, and the tensors that are saved at the end.
 */
#include "base/safetensors.h"
#include "support/golden.h"
#include "support/sft_rig.h"
#include "support/temp_dir.h"

enum { STEPS = 50 };

#define SETTINGS                                                                                             \
    "model=" SFT_GOLDEN "/model data=" SFT_GOLDEN "/data.jsonl max_steps=50 per_device_train_batch_size=4 "  \
    "gradient_accumulation_steps=2 learning_rate=2e-3 warmup_steps=5 weight_decay=0.1 max_length=24 "        \
    "train_sampling_strategy=sequential "

static json_t *golden_run(const char *name) {
    json_t *root = golden_read("sft_trl/trl.json"), *run = json_incref(golden_at(root, name));
    json_decref(root);
    return run;
}

/* largest and mean distance of a column over the updates, absolute or relative */
static void check_column(const json_t *run, const char *name, const double *found, double most, double mean,
                         bool relative) {
    double wanted[STEPS], sum = 0, largest = 0;
    golden_doubles(run, name, wanted, STEPS);
    for (int i = 0; i < STEPS; i++) {
        double apart = fabs(found[i] - wanted[i]) / (relative ? fabs(wanted[i]) + 1e-12 : 1);
        largest = fmax(largest, apart);
        sum += apart;
    }
    print_message("%s: largest difference %.3g, mean %.3g\n", name, largest, sum / STEPS);
    if (!(largest <= most && sum / STEPS <= mean))
        fail_msg("%s: largest difference %g (allowed %g), mean %g (allowed %g)", name, largest, most,
                 sum / STEPS, mean);
}

/* sums and sums of squares of every saved tensor */
static void check_saved(const json_t *run, const char *file) {
    const json_t *sums = golden_at(run, "sums");
    reini_safetensors *st;
    assert_ok(reini_safetensors_open(file, &st));
    assert_int_equal(reini_safetensors_count(st), json_object_size(sums));
    for (int i = 0; i < reini_safetensors_count(st); i++) {
        const reini_st_tensor *t = reini_safetensors_at(st, i);
        double wanted[2], sum = 0, square = 0;
        golden_doubles(sums, t->name, wanted, 2);
        assert_string_equal(t->dtype, "F32");
        for (size_t k = 0; k < t->bytes / sizeof(float); k++) {
            float x;
            memcpy(&x, (const char *)t->data + k * sizeof x, sizeof x);
            sum += (double)x;
            square += (double)x * (double)x;
        }
        double scale = sqrt(wanted[1] * (double)(t->bytes / sizeof(float))) + 1e-9;
        if (fabs(sum - wanted[0]) > 1e-4 * scale || fabs(square - wanted[1]) > 1e-4 * wanted[1])
            fail_msg("%s: sum %.9g, expected %.9g; squares %.9g, expected %.9g", t->name, sum, wanted[0],
                     square, wanted[1]);
    }
    reini_safetensors_close(st);
}

static void track(const char *name, const char *more, const char *file) {
    char settings[1024], folder[TEMP_PATH + 64], path[TEMP_PATH + 128];
    static const char *const columns[] = {"loss", "grad_norm", "learning_rate", "num_tokens"};
    double found[4][STEPS];
    json_t *run = golden_run(name);
    sft_rig r;
    snprintf(settings, sizeof settings, "%s %s", SETTINGS, more);
    sft_new(&r, 2, settings);
    for (int k = 0; k < STEPS; k++) {
        sft_step(&r);
        for (int c = 0; c < 4; c++)
            found[c][k] = sft_metric(&r, columns[c]);
    }
    check_column(run, "loss", found[0], 1e-5, 2e-6, false);
    check_column(run, "grad_norm", found[1], 1e-4, 5e-6, true);
    check_column(run, "learning_rate", found[2], 1e-6, 1e-6, true);
    check_column(run, "num_tokens", found[3], 0, 0, false);
    if (file) {
        snprintf(folder, sizeof folder, "%s/%s", temp_dir, name);
        snprintf(path, sizeof path, "%s/%s", folder, file);
        assert_ok(r.method->save(r.self, folder));
        check_saved(run, path);
    }
    sft_free(&r);
    json_decref(run);
}

static void test_whole_model(void **state) {
    (void)state;
    track("full", "", "model.safetensors");
}

static void test_all_tokens(void **state) {
    (void)state;
    track("whole_rows", "completion_only_loss=false", NULL);
}

static void test_dft(void **state) {
    (void)state;
    track("dft", "loss_type=dft", NULL);
}

static void test_adapter(void **state) {
    (void)state;
    track("lora", "adapter=" SFT_GOLDEN "/adapter", "adapter_model.safetensors");
}

/* the same in smaller and in larger batches, and with layers computed twice */
static void test_equivalent_batches(void **state) {
    (void)state;
    track("full", "per_device_train_batch_size=8 gradient_accumulation_steps=1", NULL);
    track("full", "per_device_train_batch_size=1 gradient_accumulation_steps=8 gradient_checkpointing=true",
          NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_model),
        cmocka_unit_test(test_all_tokens),
        cmocka_unit_test(test_dft),
        cmocka_unit_test(test_adapter),
        cmocka_unit_test(test_equivalent_batches),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
