/*
 * test_ppo_text_golden.c - four updates of PPO on a language model beside PyTorch's (tests/reference/ppo_text_torch.py):
 * losses, weights of the policy and of the critic.
 */
#include "algo/language/ppo_text.h"
#include "support/golden.h"
#include "support/text_rig.h"

enum { ANSWERS = 12, GROUP = 4, LONGEST = 7, UPDATES = 4, STRIDE = 211 };
#define FOLDER REIN_SOURCE_DIR "/tests/golden/sft_trl"
#define SETTINGS                                                                                             \
    "model=" FOLDER "/model; data=" FOLDER                                                                   \
    "/data.jsonl; reward=length; response_length=7; num_mini_batches=2;"                                     \
    "per_device_train_batch_size=6; num_ppo_epochs=2; temperature=0.9; max_steps=4; learning_rate=1e-3;"     \
    "lr_scheduler_type=constant; adam_epsilon=1e-5; max_grad_norm=0; train_sampling_strategy=sequential;"    \
    "kl_coef=0.1; cliprange_value=0.15; vf_coef=0.5; gamma=0.99; lam=0.9; missing_eos_penalty=0.5;"          \
    "reward_clip=1.2;"

static void near(const char *what, double found, double wanted, double most) {
    if (!(fabs(found - wanted) <= most))
        fail_msg("%s: %.9g, expected %.9g", what, found, wanted);
}

static void put_answers(reini_ppo_text *p) {
    reini_text_answers *a = &p->rollout.now;
    json_t *root = golden_read("grpo_trl.json");
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
            a->ref[at] = (float)ref[at];
        }
    }
    json_decref(root);
}

static void set_head(reini_ppo_text *p) {
    float *at = reini_ppo_critic_head(&p->critic);
    for (int j = 0; j < p->learner.weights->shape.hidden; j++)
        at[j] = 0.3f * (float)sin((double)j + 1);
}

static void check_weights(const char *what, const reini_lm_weights *w, const json_t *wanted) {
    const float *data = rein_store_view(w->store);
    double furthest = 0;
    for (int k = 0; k < rein_layout_count(w->layout); k++) {
        rein_param_info p = rein_layout_at(w->layout, k);
        const json_t *list = golden_at(wanted, p.name);
        for (size_t i = 0; i < json_array_size(list); i++)
            furthest = fmax(furthest, fabs((double)data[p.offset + (int64_t)i * STRIDE] -
                                           json_number_value(json_array_get(list, i))));
    }
    print_message("%s: largest difference %.3g\n", what, furthest);
    assert_true(furthest <= 1e-5);
}

static void check_head(reini_ppo_text *p, const json_t *wanted) {
    const float *at = reini_ppo_critic_head(&p->critic);
    int width = p->learner.weights->shape.hidden;
    double furthest = 0;
    assert_int_equal(json_array_size(golden_at(wanted, "head")), width);
    for (int j = 0; j < width; j++)
        furthest =
            fmax(furthest, fabs((double)at[j] -
                                json_number_value(json_array_get(golden_at(wanted, "head"), (size_t)j))));
    print_message("head: largest difference %.3g\n", furthest);
    assert_true(furthest <= 1e-5);
}

static void track(const char *name, const char *more) {
    char settings[1024];
    double policy[UPDATES], value[UPDATES];
    json_t *root = golden_read("ppo_text_torch.json");
    const json_t *wanted = golden_at(root, name);
    text_rig r;
    snprintf(settings, sizeof settings, SETTINGS "%s", more);
    text_new(&r, "ppo", 2, settings);
    reini_ppo_text *p = r.self;
    set_head(p);
    put_answers(p);
    reini_ppo_judge(p);
    golden_doubles(wanted, "policy", policy, UPDATES);
    golden_doubles(wanted, "value", value, UPDATES);
    for (int k = 0; k < UPDATES; k++) {
        reini_ppo_learn(p);
        r.method->report(r.self, r.metric);
        near("loss/policy_avg", text_metric(&r, "loss/policy_avg"), policy[k], 1e-5);
        near("loss/value_avg", text_metric(&r, "loss/value_avg"), value[k], 1e-5 * fmax(1, value[k]));
    }
    check_weights("policy", p->learner.weights, golden_at(wanted, "weights"));
    check_head(p, wanted);
    if (p->critic.kind == REINI_CRITIC_OWN)
        check_weights("critic", p->critic.own.weights, golden_at(wanted, "critic"));
    text_free(&r);
    json_decref(root);
}

static void test_updates(void **state) {
    (void)state;
    track("k1", "");
    track("k3", "kl_estimator=k3; whiten_rewards=true");
}

/* one network, one backward pass for the sum of both losses */
static void test_trunk(void **state) {
    (void)state;
    track("trunk", "value_head=trunk");
    track("trunk", "value_head=trunk; per_device_train_batch_size=3; gradient_accumulation_steps=2;"
                   "gradient_checkpointing=true");
}

static void test_pieces(void **state) {
    (void)state;
    track("k1", "per_device_train_batch_size=2; gradient_accumulation_steps=3; gradient_checkpointing=true");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_updates), cmocka_unit_test(test_pieces),
                                       cmocka_unit_test(test_trunk)};
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
