/*
 * test_preference_losses_golden.c - preferences beside TRL (tests/reference/preference_trl.py): how rows become tokens, and
 * loss, rewards, log-probabilities and gradient norms of updates.
 */
#include "data/preference.h"
#include "support/preference_rig.h"

/* ---- rows ------------------------------------------------------------------------------------------------ */

static void check_tokens(const json_t *row, const reini_preference *d, int64_t g, const char *name) {
    for (int k = 0; k < 2; k++) {
        int64_t document = d->first[g] + k, at = d->start[document];
        const json_t *prompt = json_array_get(row, 0), *answer = json_array_get(row, (size_t)k + 1);
        int64_t n = (int64_t)json_array_size(prompt);
        assert_int_equal(d->prompt[document], n);
        assert_int_equal(reini_preference_length(d, document), n + (int64_t)json_array_size(answer));
        for (int64_t t = 0; t < reini_preference_length(d, document); t++) {
            const json_t *id =
                t < n ? json_array_get(prompt, (size_t)t) : json_array_get(answer, (size_t)(t - n));
            if (d->token[at + t] != json_integer_value(id))
                fail_msg("%s: row %d, answer %d differs at token %d", name, (int)g, k, (int)t);
        }
    }
}

static void check_rows(const json_t *cases, const char *name) {
    const json_t *at = golden_at(cases, name), *rows = golden_at(at, "rows");
    const char *text = json_string_value(golden_at(at, "jsonl")), *path = temp_path("data.jsonl");
    reini_preference_opts opts = {.max_length = 200, .kinds = REINI_PREFER_PAIRS};
    reini_preference data;
    reini_lm_reader *reader;
    temp_write(path, text, strlen(text));
    assert_ok(reini_lm_reader_open(LM_MODEL, PREFERENCE_FILES "/chatml.jinja", &reader));
    assert_ok(reini_preference_read(&data, path, reader, &opts));
    assert_int_equal(data.n, json_array_size(rows));
    for (int64_t g = 0; g < data.n; g++)
        check_tokens(json_array_get(rows, (size_t)g), &data, g, name);
    reini_preference_release(&data);
    reini_lm_reader_free(reader);
}

static void test_rows(void **state) {
    (void)state;
    static const char *const names[] = {"explicit", "implicit", "talks", "hidden"};
    json_t *cases = golden_read("preference_trl/rows.json");
    for (int i = 0; i < 4; i++)
        check_rows(cases, names[i]);
    json_decref(cases);
}

/* ---- direct preference optimization ---------------------------------------------------------------------- */

#define COMMON                                                                                               \
    " per_device_train_batch_size=4 learning_rate=1e-3 train_sampling_strategy=sequential max_length=40 "
#define DPO "model=" LM_MODEL " data=" PREFERENCE_FILES "/pairs.jsonl" COMMON
#define FEW "model=" LM_MODEL " data=" PREFERENCE_FILES "/few.jsonl" COMMON

static const char *const dpo_columns[][2] = {
    {"loss", "loss"},
    {"grad_norm", "grad_norm"},
    {"rewards/chosen", "rewards/chosen"},
    {"rewards/rejected", "rewards/rejected"},
    {"rewards/accuracies", "rewards/accuracies"},
    {"rewards/margins", "rewards/margins"},
    {"logps/chosen", "logps/chosen"},
    {"logps/rejected", "logps/rejected"},
    {"logits/chosen", "logits/chosen"},
    {"logits/rejected", "logits/rejected"},
    {"mean_token_accuracy", "mean_token_accuracy"},
    {"entropy", "entropy"},
    {"num_tokens", "num_tokens"},
    {"learning_rate", "learning_rate"},
};
enum { N_DPO = sizeof dpo_columns / sizeof *dpo_columns };

static void test_dpo(void **state) {
    (void)state;
    rig_track("dpo", "dpo", 50, DPO "max_steps=50", dpo_columns, N_DPO, 1e-3);
}

/* golden run, settings */
static const char *const dpo_cases[][2] = {
    {"hinge", "loss_type=hinge"},
    {"ipo", "loss_type=ipo"},
    {"nca_pair", "loss_type=nca_pair"},
    {"bco_pair", "loss_type=bco_pair"},
    {"sppo_hard", "loss_type=sppo_hard"},
    {"aot_unpaired", "loss_type=aot_unpaired"},
    {"apo_zero", "loss_type=apo_zero"},
    {"apo_down", "loss_type=apo_down"},
    {"discopop", "loss_type=discopop"},
    {"sft", "loss_type=sft"},
    {"sigmoid_norm", "loss_type=sigmoid_norm"},
    {"aot", "loss_type=aot"},
    {"exo_pair", "loss_type=exo_pair label_smoothing=0.1"},
    {"robust", "loss_type=robust label_smoothing=0.1"},
    {"aot_smooth", "loss_type=aot label_smoothing=0.2"},
    {"forward_kl", "f_divergence_type=forward_kl"},
    {"js_divergence", "f_divergence_type=js_divergence"},
    {"alpha_divergence", "f_divergence_type=alpha_divergence"},
    {"ipo_forward_kl", "f_divergence_type=forward_kl loss_type=ipo"},
    {"mpo", "loss_type=sigmoid,bco_pair,sft loss_weights=0.8,0.2,1"},
    {"ld_alpha", "ld_alpha=0.3"},
    {"ld_alpha_sft", "ld_alpha=0.3 loss_type=sft,sigmoid"},
    {"weighted", "use_weighting=true"},
    {"beta", "beta=0.5 learning_rate=3e-3"},
};

static void test_dpo_losses(void **state) {
    (void)state;
    char settings[1024];
    for (size_t i = 0; i < sizeof dpo_cases / sizeof *dpo_cases; i++) {
        snprintf(settings, sizeof settings, FEW "max_steps=3 %s", dpo_cases[i][1]);
        rig_track("dpo", dpo_cases[i][0], 3, settings, dpo_columns, N_DPO, 1e-4);
    }
    rig_track("dpo", "follows", 5, FEW "max_steps=5 sync_ref_model=true ref_model_sync_steps=2", dpo_columns,
              N_DPO, 1e-4);
}

/* ---- the reward model ------------------------------------------------------------------------------------ */

#define REWARD "model=" PREFERENCE_FILES "/classifier" COMMON "data=" PREFERENCE_FILES

static const char *const reward_columns[][2] = {
    {"loss", "loss"},
    {"grad_norm", "grad_norm"},
    {"accuracy", "accuracy"},
    {"margin", "margin"},
    {"min_reward", "min_reward"},
    {"mean_reward", "mean_reward"},
    {"max_reward", "max_reward"},
    {"num_tokens", "num_tokens"},
    {"learning_rate", "learning_rate"},
};
enum { N_REWARD = sizeof reward_columns / sizeof *reward_columns };

static void test_reward(void **state) {
    (void)state;
    rig_track("reward", "reward", 20, REWARD "/pairs.jsonl max_steps=20", reward_columns, N_REWARD, 1e-3);
    rig_track("reward", "reward_margin", 5,
              REWARD "/margins.jsonl max_steps=5 center_rewards_coefficient=0.01", reward_columns, N_REWARD,
              1e-3);
}

/* the score head is trained beside the adapter */
static void test_reward_adapter(void **state) {
    (void)state;
    rig_track("reward", "reward_adapter", 8,
              REWARD "/pairs.jsonl max_steps=8 adapter=" PREFERENCE_FILES "/adapter", reward_columns,
              N_REWARD, 1e-3);
}

/* ---- ranked responses ------------------------------------------------------------------------------------ */

#define RRHF                                                                                                 \
    "model=" LM_MODEL " data=" PREFERENCE_FILES "/ranked.jsonl learning_rate=1e-3 max_length=64 "            \
    "lr_scheduler_type=constant train_sampling_strategy=sequential "

static const char *const rrhf_columns[][2] = {
    {"loss", "loss"}, {"rank_loss", "rank_loss"}, {"sft_loss", "sft_loss"}, {"grad_norm", "grad_norm"}};

static void test_rrhf(void **state) {
    (void)state;
    rig_track("rrhf", "rrhf", 8, RRHF, rrhf_columns, 4, 1e-3);
    rig_track("rrhf", "rrhf_penalty", 4, RRHF "length_penalty=0.5 rrhf_weight=2", rrhf_columns, 4, 1e-3);
}

/* ---- good and bad answers -------------------------------------------------------------------------------- */

#define KTO "model=" LM_MODEL " data=" PREFERENCE_FILES "/unpaired.jsonl" COMMON

static const char *const kto_columns[][2] = {
    {"loss", "loss"},
    {"grad_norm", "grad_norm"},
    {"kl", "kl"},
    {"rewards/chosen", "rewards/chosen"},
    {"rewards/rejected", "rewards/rejected"},
    {"rewards/margins", "rewards/margins"},
    {"logps/chosen", "logps/chosen"},
    {"logps/rejected", "logps/rejected"},
    {"logits/chosen", "logits/chosen"},
    {"logits/rejected", "logits/rejected"},
    {"entropy", "entropy"},
    {"num_tokens", "num_tokens"},
};
enum { N_KTO = sizeof kto_columns / sizeof *kto_columns };

static void test_kto(void **state) {
    (void)state;
    rig_track("kto", "kto", 10, KTO "max_steps=10", kto_columns, N_KTO, 1e-3);
    rig_track("kto", "kto_weights", 4, KTO "max_steps=4 beta=0.4 desirable_weight=1.5 undesirable_weight=0.7",
              kto_columns, N_KTO, 1e-3);
    rig_track("kto", "kto_apo", 4, KTO "max_steps=4 loss_type=apo_zero_unpaired", kto_columns, N_KTO, 1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_dpo),
        cmocka_unit_test(test_dpo_losses),
        cmocka_unit_test(test_reward),
        cmocka_unit_test(test_reward_adapter),
        cmocka_unit_test(test_rrhf),
        cmocka_unit_test(test_kto),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
