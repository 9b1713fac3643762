/*
 * test_kto.c - good and bad answers: equal batches, interruptions, the loss by its definition, what is refused.
 */
#include "support/preference_rig.h"

#define BASE                                                                                                 \
    "model=" LM_MODEL " data=" PREFERENCE_FILES                                                              \
    "/unpaired.jsonl max_length=40 learning_rate=1e-3 max_steps=20 "

static void run_both(const char *settings) {
    rig whole, halves;
    char text[1024];
    snprintf(text, sizeof text, "%s per_device_train_batch_size=12 train_sampling_strategy=sequential",
             settings);
    rig_steps(&whole, "kto", 1, 2, text);
    rig_steps(&halves, "kto", 3, 1, text);
    rig_visit(&halves, temp_path("state"), false);
    rig_free(&halves);
    rig_steps(&halves, "kto", 2, 0, text);
    rig_visit(&halves, temp_path("state"), true);
    rig_step(&halves);
    rig_same_metrics(&halves, &whole, 0);
    rig_same_bits(&halves, &whole);
    rig_free(&whole);
    rig_free(&halves);
}

/* mismatched answers are settled by the batch's size, so accumulation is compared without them */
static void test_equivalences(void **state) {
    (void)state;
    rig_check_method("kto", BASE "loss_type=apo_zero_unpaired train_sampling_strategy=random", 1e-4);
    run_both(BASE);
    run_both(BASE
             "train_sampling_strategy=random use_peft=true lora_r=4 lora_dropout=0.3 disable_dropout=false");
}

/* at the first update everything is 0: each answer costs half its weight */
static void test_first_loss(void **state) {
    (void)state;
    rig r;
    rig_steps(&r, "kto", 1, 1,
              BASE "per_device_train_batch_size=6 desirable_weight=3 undesirable_weight=0.5");
    assert_true(rig_metric(&r, "kl") == 0 && rig_metric(&r, "rewards/chosen") == 0);
    rig_close(rig_metric(&r, "loss"), (4 * 3 + 2 * 0.5) / 6 / 2, 1e-14, "loss");
    assert_true(rig_metric(&r, "grad_norm") > 0.01);
    rig_free(&r);
}

/* a batch of good answers alone has no metrics of bad ones */
static void test_one_kind(void **state) {
    (void)state;
    static const char text[] = "{\"prompt\": \"one\", \"completion\": \" a\", \"label\": true}\n"
                               "{\"prompt\": \"two\", \"completion\": \" b c\", \"label\": true}\n";
    char settings[1024];
    const char *path = temp_path("data.jsonl");
    rig r;
    temp_write(path, text, sizeof text - 1);
    snprintf(settings, sizeof settings, "model=" LM_MODEL " data=%s max_length=64 learning_rate=1e-2", path);
    rig_steps(&r, "kto", 1, 2, settings);
    assert_true(isnan(rig_metric(&r, "rewards/rejected")) && isnan(rig_metric(&r, "rewards/margins")));
    assert_true(rig_metric(&r, "rewards/chosen") > 0 && isfinite(rig_metric(&r, "loss")));
    rig_free(&r);
}

static void test_learns(void **state) {
    (void)state;
    rig r;
    rig_steps(&r, "kto", 2, 0, BASE "per_device_train_batch_size=20 max_steps=40 learning_rate=2e-3");
    for (int k = 0; k < 40; k++)
        rig_step(&r);
    assert_true(rig_metric(&r, "loss") < 0.42 && rig_metric(&r, "rewards/margins") > 0.3);
    rig_free(&r);
}

static void test_bad_data(void **state) {
    (void)state;
    rig_refuses("kto", BASE "per_device_train_batch_size=1", REIN_USAGE, "kto needs at least 2");
    rig_refuses("kto", "model=" LM_MODEL " data=" PREFERENCE_FILES "/ranked.jsonl", REIN_FORMAT,
                "ranked.jsonl:1: a row needs \"prompt\", \"completion\" and \"label\"");
}

static void test_out_of_memory(void **state) {
    (void)state;
    rig_check_memory("kto", BASE);
}

typedef struct heard {
    int n;
    char line[4][300];
} heard;

static void hear(void *user, rein_log_level level, const char *line) {
    heard *h = user;
    if (level == REIN_LOG_WARNING && h->n < 4)
        snprintf(h->line[h->n++], sizeof h->line[0], "%s", line);
}

/* 26 good and 14 bad answers: unequal weights are asked for, and the weights that are named are taken */
static void test_weights(void **state) {
    (void)state;
    static const struct {
        const char *weights;
        int warnings;
    } cases[] = {{"", 2},
                 {"desirable_weight=0.54", 0},
                 {"desirable_weight=0.717", 0},
                 {"desirable_weight=0.5", 2},
                 {"undesirable_weight=1.4", 0},
                 {"undesirable_weight=1.9", 2}};
    for (int i = 0; i < 6; i++) {
        heard h = {0};
        char text[512];
        rig r;
        snprintf(text, sizeof text, BASE "%s", cases[i].weights);
        rein_set_log(hear, &h);
        rig_steps(&r, "kto", 1, 0, text);
        rein_set_log(NULL, NULL);
        assert_int_equal(h.n, cases[i].warnings);
        if (i == 0) {
            assert_non_null(strstr(h.line[0], "26 good and 14 bad answers"));
            assert_non_null(
                strstr(h.line[1], "desirable_weight of 0.538 to 0.718, or an undesirable_weight of 1.39"));
        }
        rig_free(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equivalences), cmocka_unit_test(test_first_loss),
        cmocka_unit_test(test_one_kind),     cmocka_unit_test(test_learns),
        cmocka_unit_test(test_bad_data),     cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_weights),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
