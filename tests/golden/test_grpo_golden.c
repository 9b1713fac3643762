/*
 * test_grpo_golden.c - three updates of GRPO, in all its averages, and of RLOO beside TRL's (tests/reference/grpo_trl.py),
 * from the same answers: advantages, loss, gradient norm, weights.
 */
#include "algo/language/group_policy.h"
#include "support/golden.h"
#include "support/text_rig.h"

enum { ANSWERS = 12, GROUP = 4, LONGEST = 7, UPDATES = 3, STRIDE = 211 };
#define FOLDER REIN_SOURCE_DIR "/tests/golden/sft_trl"
#define SETTINGS                                                                                             \
    "model=" FOLDER "/model; data=" FOLDER "/data.jsonl; reward=length; max_completion_length=7;"            \
    "num_generations=4; per_device_train_batch_size=12; num_iterations=3; temperature=0.9; max_steps=3;"     \
    "learning_rate=1e-3; lr_scheduler_type=constant; adam_epsilon=1e-5; max_grad_norm=0;"                    \
    "train_sampling_strategy=sequential;"

static void near(const char *what, double found, double wanted, double most) {
    if (!(fabs(found - wanted) <= most))
        fail_msg("%s: %.9g, expected %.9g", what, found, wanted);
}

/* the golden answers in place of a rollout */
static void put_answers(reini_group_policy *g, const json_t *root) {
    reini_text_answers *a = &g->rollout.now;
    double old[ANSWERS * LONGEST], ref[ANSWERS * LONGEST];
    assert_int_equal(a->n, ANSWERS);
    golden_doubles(root, "old", old, ANSWERS * LONGEST);
    golden_doubles(root, "ref", ref, ANSWERS * LONGEST);
    golden_doubles(root, "rewards", a->reward, ANSWERS);
    for (int i = 0; i < ANSWERS; i++) {
        const json_t *answer = json_array_get(golden_at(root, "answers"), (size_t)i),
                     *ids = golden_at(answer, "ids");
        a->prompt[i] = i / GROUP;
        a->length[i] = (int32_t)json_array_size(ids);
        a->finish[i] = json_is_true(golden_at(answer, "ended")) ? REINI_FINISH_EOS : REINI_FINISH_LENGTH;
        for (int t = 0; t < a->length[i]; t++) {
            int at = i * LONGEST + t;
            a->ids[at] = (int32_t)json_integer_value(json_array_get(ids, (size_t)t));
            a->logp[at] = (float)old[at];
            if (g->rollout.plan.reference)
                a->ref[at] = (float)ref[at];
        }
    }
}

static void check_weights(const reini_group_policy *g, const json_t *wanted) {
    rein_layout *layout = g->learner.weights->layout;
    const float *data = rein_store_view(g->learner.weights->store);
    double furthest = 0;
    for (int k = 0; k < rein_layout_count(layout); k++) {
        rein_param_info p = rein_layout_at(layout, k);
        const json_t *list = golden_at(wanted, p.name);
        for (size_t i = 0; i < json_array_size(list); i++)
            furthest = fmax(furthest, fabs((double)data[p.offset + (int64_t)i * STRIDE] -
                                           json_number_value(json_array_get(list, i))));
    }
    print_message("weights: largest difference %.3g\n", furthest);
    assert_true(furthest <= 1e-5);
}

static void track(const char *method, const char *name, const char *more) {
    char settings[1024];
    double adv[ANSWERS], loss[UPDATES], norm[UPDATES];
    json_t *root = golden_read("grpo_trl.json");
    const json_t *wanted = golden_at(golden_at(root, "cases"), name);
    text_rig r;
    snprintf(settings, sizeof settings, SETTINGS "%s", more);
    text_new(&r, method, 2, settings);
    reini_group_policy *g = r.self;
    put_answers(g, root);
    reini_group_judge(g);
    golden_doubles(wanted, "advantages", adv, ANSWERS);
    golden_doubles(wanted, "loss", loss, UPDATES);
    golden_doubles(wanted, "norm", norm, UPDATES);
    for (int i = 0; i < ANSWERS; i++)
        near("advantage", (double)g->adv[i], adv[i], 1e-6);
    for (int k = 0; k < UPDATES; k++) {
        reini_group_learn(g);
        r.method->report(r.self, r.metric);
        near("loss", text_metric(&r, "loss"), loss[k], 1e-5 * fmax(1, fabs(loss[k])));
        near("grad_norm", text_metric(&r, "grad_norm"), norm[k], 1e-5 * norm[k] + 1e-7);
    }
    check_weights(g, golden_at(wanted, "weights"));
    text_free(&r);
    json_decref(root);
}

static void test_averages(void **state) {
    (void)state;
    track("grpo", "grpo", "loss_type=grpo; beta=0.04");
    track("grpo", "bnpo", "loss_type=bnpo; scale_rewards=batch; epsilon_high=0.28");
    track("grpo", "dr_grpo", "loss_type=dr_grpo; scale_rewards=none; beta=0.1");
    track("grpo", "dapo", "epsilon=0.1");
}

static void test_masked(void **state) {
    (void)state;
    track("grpo", "masked", "beta=0.04; mask_truncated_completions=true");
}

static void test_cispo(void **state) {
    (void)state;
    track("grpo", "cispo", "loss_type=cispo; epsilon_high=1.1");
}

static void test_rloo(void **state) {
    (void)state;
    track("rloo", "rloo", "beta=0.05");
}

/* in small batches, with layers computed twice */
static void test_pieces(void **state) {
    (void)state;
    static const char pieces[] =
        "per_device_train_batch_size=4; gradient_accumulation_steps=3; gradient_checkpointing=true;";
    char more[512];
    snprintf(more, sizeof more, "%s loss_type=grpo; beta=0.04", pieces);
    track("grpo", "grpo", more);
    snprintf(more, sizeof more, "%s beta=0.05", pieces);
    track("rloo", "rloo", more);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_averages), cmocka_unit_test(test_masked), cmocka_unit_test(test_cispo),
        cmocka_unit_test(test_rloo),     cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
