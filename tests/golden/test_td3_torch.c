/*
 * test_td3_torch.c - the first three updates of TD3 and DDPG against PyTorch, at every instruction-set level: losses,
 * gradients' norms, actor, critics and both targets.
 */
#include "actor_critic_torch.h"
#define rein_random_normal  golden_normal
#define reini_replay_sample golden_sample
#include "algo/off_policy/deterministic.c"

static deterministic *make(const json_t *golden, const char *name) {
    const json_t *from = golden_at(golden, "config");
    reini_deterministic_config c = {
        .n_envs = 1,
        .buffer_size = STEPS,
        .batch_size = BATCH,
        .train_freq = 1,
        .gradient_steps = 1,
        .n_step = 1,
        .hidden = {2, {8, 8}},
        .activation = REIN_ACT_RELU,
        .gamma = golden_number(from, "gamma"),
        .tau = golden_number(from, "tau"),
        .learning_rate = {.start = golden_number(from, "learning_rate"),
                          .end = golden_number(from, "learning_rate")},
        .adam_eps = golden_number(from, "adam_eps"),
    };
    reini_deterministic_kind kind = {.name = name,
                                     .critics = (int)golden_number(from, "critics"),
                                     .policy_delay = (int64_t)golden_number(from, "delay"),
                                     .target_noise = golden_number(from, "noise"),
                                     .target_clip = golden_number(from, "clip")};
    reini_context context = {.env = &world, .seed = 1, .total_steps = 1000000};
    void *self = NULL;
    noise_inputs = 0;
    assert_ok(reini_deterministic_create(&kind, &c, &context, &self));
    deterministic *d = self;
    write_weights(d->policy->store, golden_at(golden, "actor"));
    write_weights(d->old, golden_at(golden, "actor"));
    write_weights(d->twin.online, golden_at(golden, "online"));
    write_weights(d->twin.target, golden_at(golden, "online"));
    write_memory(d->replay, golden);
    return d;
}

static void check_update(deterministic *d, const json_t *golden, int u) {
    double batches[UPDATES][BATCH], noise[UPDATES][2][BATCH][ACTIONS], sum[METRIC_COUNT] = {0};
    float drawn[BATCH * ACTIONS];
    const json_t *wanted = json_array_get(golden_at(golden, "updates"), (size_t)u);
    golden_doubles(golden, "batches", batches[0], UPDATES * BATCH);
    golden_doubles(golden, "noise", noise[0][0][0], UPDATES * 2 * BATCH * ACTIONS);
    batch_now = batches[u];
    to_floats(drawn, noise[u][0][0], BATCH * ACTIONS);
    if (noise_inputs > 0)
        rein_exec_bind(d->critic.exec, noise_input[0], drawn, 0);
    update(d, sum);
    near("critic_loss", u, sum[METRIC_CRITIC_LOSS], wanted);
    near("q_mean", u, sum[METRIC_Q_MEAN], wanted);
    near("critic_norm", u, sum[METRIC_CRITIC_NORM], wanted);
    assert_int_equal(sum[METRIC_ACTOR_UPDATES], json_object_get(wanted, "actor_loss") != NULL);
    if (sum[METRIC_ACTOR_UPDATES] > 0) {
        near("actor_loss", u, sum[METRIC_ACTOR_LOSS], wanted);
        near("actor_norm", u, sum[METRIC_ACTOR_NORM], wanted);
    }
}

static void check(const char *name) {
    char file[64];
    snprintf(file, sizeof file, "%s_torch.json", name);
    json_t *golden = golden_read(file);
    deterministic *d = make(golden, name);
    for (int u = 0; u < UPDATES; u++)
        check_update(d, golden, u);
    double actor = same_weights(d->policy->store, golden, "final_actor");
    double old = same_weights(d->old, golden, "final_old");
    double online = same_weights(d->twin.online, golden, "final_online");
    double target = same_weights(d->twin.target, golden, "final_target");
    print_message("# %s: actor %.1e, its target %.1e, critics %.1e, their targets %.1e\n", name, actor, old,
                  online, target);
    reini_deterministic_destroy(d);
    json_decref(golden);
}

static void test_td3(void **state) {
    check("td3");
}

static void test_ddpg(void **state) {
    check("ddpg");
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_td3),
        cmocka_unit_test(test_ddpg),
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return each_level(all);
}
