/*
 * test_reward_model.c - reward models: rankings, margins, the score head beside an adapter, what is saved and refused.
 */
#include "base/safetensors.h"
#include "lm/lm_weights.h"
#include "support/preference_rig.h"

#define COMMON     " max_length=40 learning_rate=1e-3 max_steps=20 "
#define BASE       "model=" LM_MODEL " data=" PREFERENCE_FILES "/pairs.jsonl" COMMON
#define CLASSIFIER "model=" PREFERENCE_FILES "/classifier data=" PREFERENCE_FILES "/pairs.jsonl" COMMON

/* a new head is zero: every reward is 0 */
static void test_first_loss(void **state) {
    (void)state;
    rig r;
    rig_steps(&r, "reward", 1, 1, BASE);
    rig_close(rig_metric(&r, "loss"), log(2.0), 1e-14, "loss");
    assert_true(rig_metric(&r, "min_reward") == 0 && rig_metric(&r, "max_reward") == 0);
    assert_true(rig_metric(&r, "grad_norm") > 1e-3);
    rig_free(&r);
}

static void test_equivalences(void **state) {
    (void)state;
    rig_check_method("reward", CLASSIFIER "center_rewards_coefficient=0.1", 1e-4);
    rig_check_method("reward", CLASSIFIER "use_peft=true lora_r=4 lora_dropout=0.2", 1e-4);
    rig_check_method("reward", CLASSIFIER "use_peft=true lora_r=4 dtype=bf16", 0.05);
    rig_check_method("reward",
                     "model=" PREFERENCE_FILES "/classifier data=" PREFERENCE_FILES "/ranked.jsonl" COMMON,
                     1e-4);
}

/* ---- rankings -------------------------------------------------------------------------------------------- */

static void step_on(rig *r, const char *text, const char *more) {
    char settings[1024];
    const char *path = temp_path("data.jsonl");
    temp_write(path, text, strlen(text));
    snprintf(settings, sizeof settings, "model=" PREFERENCE_FILES "/classifier data=%s" COMMON "%s", path,
             more);
    rig_steps(r, "reward", 1, 1, settings);
}

/* three answers are their three pairs, which share one row's weight */
static void test_rankings(void **state) {
    (void)state;
    rig ranked, pairs;
    step_on(&ranked,
            "{\"prompt\": \"one\", \"responses\": [\" b\", \" a\", \" c d\"], \"scores\": [2, 5, 1]}\n", "");
    step_on(&pairs,
            "{\"prompt\": \"one\", \"chosen\": \" a\", \"rejected\": \" b\"}\n"
            "{\"prompt\": \"one\", \"chosen\": \" b\", \"rejected\": \" c d\"}\n"
            "{\"prompt\": \"one\", \"chosen\": \" a\", \"rejected\": \" c d\"}\n",
            "");
    rig_close(rig_metric(&ranked, "loss"), rig_metric(&pairs, "loss"), 1e-6, "loss");
    rig_close(rig_metric(&ranked, "grad_norm"), rig_metric(&pairs, "grad_norm"), 1e-4, "grad_norm");
    rig_close(rig_metric(&ranked, "margin"), rig_metric(&pairs, "margin"), 1e-5, "margin");
    rig_close(rig_metric(&ranked, "accuracy"), rig_metric(&pairs, "accuracy"), 1e-12, "accuracy");
    rig_free(&ranked);
    rig_free(&pairs);
}

/* answers that are worth the same make no pair; a margin asks for more */
static void test_ties_and_margins(void **state) {
    (void)state;
    rig tie, pair, margin;
    step_on(&tie, "{\"prompt\": \"one\", \"responses\": [\" a\", \" b\"], \"ranks\": [1, 2]}\n", "");
    step_on(&pair, "{\"prompt\": \"one\", \"chosen\": \" a\", \"rejected\": \" b\"}\n", "");
    step_on(&margin, "{\"prompt\": \"one\", \"chosen\": \" a\", \"rejected\": \" b\", \"margin\": 3}\n", "");
    rig_same_metrics(&tie, &pair, 0);
    double d = rig_metric(&pair, "margin");
    rig_close(rig_metric(&pair, "loss"), log1p(exp(-d)), 1e-12, "loss");
    rig_close(rig_metric(&margin, "loss"), log1p(exp(3 - d)), 1e-12, "loss with a margin");
    rig_free(&tie);
    rig_free(&pair);
    rig_free(&margin);
}

/* ---- saving ---------------------------------------------------------------------------------------------- */

/* a full model can be opened as a classifier; an adapter brings its head in float, also over bf16 weights */
static void test_saved(void **state) {
    (void)state;
    char folder[TEMP_PATH + 64], path[TEMP_PATH + 128];
    rig r;
    reini_lm_weights *weights;
    reini_safetensors *st;
    float head[32];
    bool made = true, rounded = true;
    rig_steps(&r, "reward", 1, 2, BASE);
    snprintf(folder, sizeof folder, "%s/model", temp_dir);
    assert_ok(r.method->save(r.self, folder));
    assert_ok(reini_lm_weights_load(folder, REIN_F32, true, 1, &weights, &made));
    assert_false(made);
    assert_int_equal(weights->shape.labels, 1);
    reini_lm_weights_free(weights);
    rig_free(&r);
    rig_steps(&r, "reward", 1, 2, CLASSIFIER "use_peft=true lora_r=4 dtype=bf16");
    assert_string_equal(r.method->folder(r.self), "adapter");
    snprintf(folder, sizeof folder, "%s/adapter", temp_dir);
    assert_ok(r.method->save(r.self, folder));
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    assert_ok(reini_safetensors_open(path, &st));
    for (int i = 0; i < reini_safetensors_count(st); i++) {
        const reini_st_tensor *t = reini_safetensors_at(st, i);
        if (strcmp(t->name, "base_model.model.score.weight") != 0)
            continue;
        assert_int_equal(t->bytes, sizeof head);
        memcpy(head, t->data, sizeof head);
        for (int k = 0; k < 32; k++) {
            uint32_t bits;
            memcpy(&bits, &head[k], sizeof bits);
            rounded = rounded && (bits & 0xffff) == 0;
        }
    }
    assert_false(rounded);
    reini_safetensors_close(st);
    rig_free(&r);
}

/* ---- learning -------------------------------------------------------------------------------------------- */

static void test_learns(void **state) {
    (void)state;
    static const char *const variants[] = {BASE "learning_rate=3e-3",
                                           BASE "learning_rate=2e-2 use_peft=true lora_r=4"};
    for (int i = 0; i < 2; i++) {
        rig r;
        double before[REINI_METRICS_MAX], after[REINI_METRICS_MAX];
        char settings[1024];
        snprintf(settings, sizeof settings, "%s eval_data=" PREFERENCE_FILES "/pairs.jsonl max_steps=30",
                 variants[i]);
        rig_steps(&r, "reward", 2, 0, settings);
        assert_ok(r.method->evaluate(r.self, before));
        for (int k = 0; k < 30; k++)
            rig_step(&r);
        assert_ok(r.method->evaluate(r.self, after));
        assert_true(after[0] < before[0] - 0.02 && after[1] > 0.6);
        rig_free(&r);
    }
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static void test_bad_data(void **state) {
    (void)state;
    rig_refuses("reward", "model=" LM_MODEL " data=" PREFERENCE_FILES "/unpaired.jsonl", REIN_FORMAT,
                "unpaired.jsonl:1: a row needs \"chosen\" and \"rejected\", or \"prompt\", \"responses\"");
    rig_refuses("reward", BASE "max_length=4", REIN_FORMAT, "nothing to train on: 200 rows");
    rig_refuses("reward", "data=x", REIN_USAGE, "no model");
}

static void test_out_of_memory(void **state) {
    (void)state;
    rig_check_memory("reward", CLASSIFIER "use_peft=true");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_loss), cmocka_unit_test(test_equivalences),
        cmocka_unit_test(test_rankings),   cmocka_unit_test(test_ties_and_margins),
        cmocka_unit_test(test_saved),      cmocka_unit_test(test_learns),
        cmocka_unit_test(test_bad_data),   cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
