/*
 * test_rrhf.c - ranked responses: equal batches, interruptions, the ranking loss by its definition, what is refused.
 */
#include "support/preference_rig.h"

#define BASE                                                                                                 \
    "model=" LM_MODEL " data=" PREFERENCE_FILES "/ranked.jsonl max_length=64 learning_rate=1e-3 "            \
    "max_steps=20 "

static void test_equivalences(void **state) {
    (void)state;
    rig_check_method("rrhf", BASE, 1e-4);
    rig_check_method(
        "rrhf", BASE "length_penalty=0.3 use_peft=true lora_r=4 lora_dropout=0.2 disable_dropout=true", 1e-4);
}

static void step_on(rig *r, const char *text, const char *more) {
    char settings[1024];
    const char *path = temp_path("data.jsonl");
    temp_write(path, text, strlen(text));
    snprintf(settings, sizeof settings, "model=" LM_MODEL " data=%s max_length=64 %s", path, more);
    rig_steps(r, "rrhf", 1, 1, settings);
}

/* turning the scores round turns right orders into wrong ones: of two answers exactly one order costs something, the
 * difference of their mean log-probabilities, which the sft terms give */
static void test_definition(void **state) {
    (void)state;
    rig one, other, none;
    step_on(&one, "{\"query\": \"one\", \"responses\": [\" two\", \" four five\"], \"scores\": [1, 0]}\n",
            "");
    step_on(&other, "{\"query\": \"one\", \"responses\": [\" two\", \" four five\"], \"scores\": [0, 1]}\n",
            "");
    double apart = rig_metric(&other, "sft_loss") - rig_metric(&one, "sft_loss");
    rig_close(rig_metric(&one, "rank_loss"), fmax(0, -apart), 1e-9, "rank_loss");
    rig_close(rig_metric(&other, "rank_loss"), fmax(0, apart), 1e-9, "rank_loss, turned round");
    assert_true(rig_metric(&one, "rank_loss") + rig_metric(&other, "rank_loss") > 1e-3);
    assert_true(rig_metric(&one, "rank_accuracy") + rig_metric(&other, "rank_accuracy") == 1);
    step_on(&none, "{\"query\": \"one\", \"responses\": [\" two\", \" four five\"], \"scores\": [0, 1]}\n",
            "rrhf_weight=0");
    rig_close(rig_metric(&none, "loss"), rig_metric(&other, "sft_loss"), 1e-12, "loss without ranks");
    rig_free(&one);
    rig_free(&other);
    rig_free(&none);
}

static void test_learns(void **state) {
    (void)state;
    rig r;
    double before[REINI_METRICS_MAX], after[REINI_METRICS_MAX];
    rig_steps(&r, "rrhf", 2, 0,
              BASE "eval_data=" PREFERENCE_FILES "/ranked.jsonl per_device_train_batch_size=6 "
                   "max_steps=30 learning_rate=3e-3");
    assert_ok(r.method->evaluate(r.self, before));
    for (int k = 0; k < 30; k++)
        rig_step(&r);
    assert_ok(r.method->evaluate(r.self, after));
    assert_true(after[0] < 0.7 * before[0] && after[1] > before[1] + 0.1);
    rig_free(&r);
}

static void test_bad_data(void **state) {
    (void)state;
    rig_refuses("rrhf", "model=" LM_MODEL " data=" PREFERENCE_FILES "/pairs.jsonl", REIN_FORMAT,
                "pairs.jsonl:1: a row needs \"query\" (or \"prompt\"), \"responses\" and \"scores\"");
    rig_refuses("rrhf", "model=" LM_MODEL " data=" PREFERENCE_FILES "/none.jsonl", REIN_IO, "none.jsonl");
}

static void test_out_of_memory(void **state) {
    (void)state;
    rig_check_memory("rrhf", BASE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equivalences),  cmocka_unit_test(test_definition),
        cmocka_unit_test(test_learns),        cmocka_unit_test(test_bad_data),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
