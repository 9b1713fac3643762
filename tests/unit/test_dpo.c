/*
 * test_dpo.c - the gradient of every loss over pairs by finite differences, batches that are equal in what they learn,
 * interruptions, and what is refused.
 */
#include <rein/rng.h>
#include "algo/language/dpo_loss.h"
#include "support/preference_rig.h"

enum { N = 6 };

#define BASE                                                                                                 \
    "model=" LM_MODEL " data=" PREFERENCE_FILES "/pairs.jsonl max_length=40 learning_rate=1e-3 "             \
    "max_steps=20 "

/* ---- gradients ------------------------------------------------------------------------------------------- */

static void draw(reini_dpo_loss *l, uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 0);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 2; k++) {
            l->reference[k][i] = rein_rng_range(&rng, -20, -10);
            l->policy[k][i] = l->reference[k][i] + (double)rein_rng_range(&rng, -2, 2);
            l->tokens[k][i] = 3 + rein_rng_below(&rng, 9);
        }
        l->chosen[i] = rein_rng_range(&rng, -20, -10);
        l->weight[i] = rein_rng_range(&rng, 0.5f, 1.5f);
    }
}

static double value(reini_dpo_loss *l) {
    reini_dpo_loss_run(l, N, 9, 31);
    return l->loss;
}

/* d loss / d *x by central differences */
static double difference(reini_dpo_loss *l, double *x) {
    const double h = 1e-5;
    double at = *x;
    *x = at + h;
    double above = value(l);
    *x = at - h;
    double below = value(l);
    *x = at;
    return (above - below) / (2 * h);
}

static void check_gradient(const char *types, const char *weights, int divergence) {
    reini_dpo_opts o = {.beta = 0.3,
                        .label_smoothing = 0.15,
                        .discopop_tau = 0.4,
                        .f_divergence = divergence,
                        .f_alpha = 0.5};
    reini_dpo_loss *l;
    double d_policy[2][N], d_chosen[N], size = 0;
    assert_ok(reini_dpo_types(types, weights, &o));
    assert_ok(reini_dpo_loss_new(&o, N + 3, &l));
    draw(l, 5);
    value(l);
    for (int k = 0; k < 2; k++)
        memcpy(d_policy[k], l->d_policy[k], sizeof d_policy[k]);
    memcpy(d_chosen, l->d_chosen, sizeof d_chosen);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 2; k++) {
            double wanted = difference(l, &l->policy[k][i]);
            size += fabs(wanted);
            if (fabs(wanted - d_policy[k][i]) > 1e-8)
                fail_msg("%s: answer %d of pair %d: %.12g, by differences %.12g", types, k, i, d_policy[k][i],
                         wanted);
        }
        double wanted = difference(l, &l->chosen[i]);
        size += fabs(wanted);
        assert_true(fabs(wanted - d_chosen[i]) < 1e-8);
    }
    assert_true(size > 1e-4); /* it depends on something */
    reini_dpo_loss_free(l);
}

static void test_gradients(void **state) {
    (void)state;
    static const char *const names[] = {
#define X(id, name) #name,
        REINI_DPO_LOSSES(X)
#undef X
    };
    for (int i = 0; i < REINI_DPO_TYPES; i++)
        check_gradient(names[i], "none", REINI_F_REVERSE_KL);
    for (int f = REINI_F_REVERSE_KL; f <= REINI_F_ALPHA; f++)
        check_gradient("sigmoid,ipo,sft", "0.5,2,1", f);
}

/* far from the reference nothing overflows */
static void test_extremes(void **state) {
    (void)state;
    reini_dpo_opts o = {.beta = 0.5, .label_smoothing = 0.1, .discopop_tau = 0.05};
    reini_dpo_loss *l;
    assert_ok(reini_dpo_types("sigmoid,robust,exo_pair,nca_pair,bco_pair,apo_zero,apo_down", "none", &o));
    assert_ok(reini_dpo_loss_new(&o, N, &l));
    for (int i = 0; i < N; i++) {
        draw(l, 3);
        l->policy[i & 1][i] = -1e5;
        assert_true(isfinite(value(l)));
        for (int k = 0; k < 2; k++)
            assert_true(isfinite(l->d_policy[k][i]));
    }
    reini_dpo_loss_free(l);
}

/* ---- updates --------------------------------------------------------------------------------------------- */

/* before the first update policy and reference are the same numbers, whatever is packed beside */
static void test_first_loss(void **state) {
    (void)state;
    static const char *const variants[] = {BASE,
                                           BASE "per_device_train_batch_size=3 gradient_accumulation_steps=5",
                                           BASE "use_peft=true lora_r=4",
                                           BASE "dtype=bf16",
                                           BASE "sync_ref_model=true ref_model_sync_steps=1",
                                           BASE "ld_alpha=0.5 gradient_checkpointing=true"};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        rig r;
        rig_steps(&r, "dpo", 2, 1, variants[i]);
        rig_close(rig_metric(&r, "loss"), log(2.0), 1e-14, variants[i]);
        assert_true(rig_metric(&r, "rewards/chosen") == 0 && rig_metric(&r, "rewards/margins") == 0);
        assert_true(rig_metric(&r, "grad_norm") > 0.1);
        rig_step(&r);
        assert_true(fabs(rig_metric(&r, "loss") - log(2.0)) > 1e-5);
        rig_free(&r);
    }
}

static void test_equivalences(void **state) {
    (void)state;
    rig_check_method("dpo", BASE, 1e-4);
    rig_check_method("dpo", BASE "loss_type=sigmoid,sft use_peft=true lora_r=4 lora_dropout=0.2", 1e-4);
    rig_check_method("dpo", BASE "sync_ref_model=true ref_model_sync_steps=1 use_weighting=true", 1e-4);
}

/* the losses go down on what they are trained on */
static void test_learns(void **state) {
    (void)state;
    rig r;
    double metric[REINI_METRICS_MAX];
    rig_steps(&r, "dpo", 2, 0,
              BASE "validation_split=0.2 learning_rate=2e-3 per_device_train_batch_size=16 max_steps=40");
    assert_ok(r.method->evaluate(r.self, metric));
    rig_close(metric[0], log(2.0), 1e-14, "before");
    for (int k = 0; k < 40; k++)
        rig_step(&r);
    assert_true(rig_metric(&r, "loss") < 0.6);
    assert_true(rig_metric(&r, "rewards/accuracies") > 0.7);
    rig_free(&r);
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static void test_bad_settings(void **state) {
    (void)state;
    rig_refuses("dpo", "model=" LM_MODEL, REIN_USAGE, "no data");
    rig_refuses("dpo", BASE "loss_type=sigmod", REIN_USAGE, "no loss \"sigmod\" (did you mean \"sigmoid\"?)");
    rig_refuses("dpo", BASE "loss_type=ipo,ipo", REIN_USAGE, "\"ipo\" is named twice");
    rig_refuses("dpo", BASE "loss_type=ipo,sft loss_weights=1", REIN_USAGE, "expected 2 numbers");
    rig_refuses("dpo", BASE "loss_weights=x", REIN_USAGE, "expected 1 number with commas");
    rig_refuses("dpo", BASE "loss_weights=1,2", REIN_USAGE, "expected 1 number with commas");
    rig_refuses("dpo", BASE "loss_type=exo_pair", REIN_USAGE, "exo_pair needs a label_smoothing above 0");
    rig_refuses("dpo", BASE "loss_type=aot use_weighting=true", REIN_USAGE, "use_weighting");
    rig_refuses("dpo", "model=" LM_MODEL " data=" PREFERENCE_FILES "/unpaired.jsonl", REIN_FORMAT,
                "unpaired.jsonl:1: a row needs \"chosen\" and \"rejected\"");
}

/* a model of which one number is not finite is found before it is trained, at the first row that meets it */
static void test_broken_model(void **state) {
    (void)state;
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json",
                                        "model.safetensors"};
    char settings[2048];
    snprintf(settings, sizeof settings, "model=%s data=" PREFERENCE_FILES "/few.jsonl max_length=40",
             temp_dir);
    for (int i = 0; i < 4; i++) {
        char from[512];
        size_t size;
        snprintf(from, sizeof from, LM_MODEL "/%s", files[i]);
        char *data = temp_read(from, &size);
        if (i == 3)
            memcpy(data + size - 4, &(float){NAN}, 4);
        temp_write(temp_path(files[i]), data, size);
        free(data);
    }
    rig_refuses("dpo", settings, REIN_FORMAT, "the row of line 1 has a log-probability of ");
}

/* steps that are far too long end in gradients that are not finite: those updates are left out, and said */
static void test_divergence(void **state) {
    (void)state;
    rig r;
    reini_lm_progress p;
    rig_steps(&r, "dpo", 1, 12, BASE "learning_rate=100 max_grad_norm=0 lr_scheduler_type=constant");
    r.method->progress(r.self, &p);
    assert_int_equal(p.step, 12);
    for (int i = 0; i < r.method->n_metrics; i++)
        assert_true(p.skipped_updates > 0 || isfinite(r.metric[i]));
    rig_free(&r);
}

static void test_out_of_memory(void **state) {
    (void)state;
    rig_check_memory("dpo", BASE "sync_ref_model=true");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),     cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_first_loss),    cmocka_unit_test(test_equivalences),
        cmocka_unit_test(test_learns),        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_broken_model),  cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
