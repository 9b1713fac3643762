/*
 * test_sac_torch.c - the first three updates of SAC against PyTorch, with learned and with fixed price, at every
 * instruction-set level: losses, gradients' norms, entropy, price, actor, critics and targets.
 */
#include "actor_critic_torch.h"
#define rein_dist_draw      golden_draw
#define reini_replay_sample golden_sample
#include "algo/off_policy/sac.c"

static sac *make(const json_t *golden) {
    const json_t *from = golden_at(golden, "config");
    sac_config c;
    void *self = NULL;
    memset(&c, 0, sizeof c);
    rein_fields_default(sac_fields, reini_algo_sac.n_fields, &c);
    c.hidden = (rein_ints){2, {8, 8}};
    c.batch_size = BATCH;
    c.buffer_size = STEPS;
    c.gamma = golden_number(from, "gamma");
    c.tau = golden_number(from, "tau");
    c.learning_rate.start = c.learning_rate.end = golden_number(from, "learning_rate");
    c.adam_eps = golden_number(from, "adam_eps");
    c.auto_ent_coef = json_is_true(golden_at(from, "auto"));
    c.ent_coef = golden_number(from, "ent_coef");
    reini_context context = {.env = &world, .seed = 1, .total_steps = 1000000};
    noise_inputs = 0;
    assert_ok(reini_algo_sac.create(&c, &context, &self));
    sac *s = self;
    write_weights(s->policy->store, golden_at(golden, "actor"));
    write_weights(s->twin.online, golden_at(golden, "online"));
    write_weights(s->twin.target, golden_at(golden, "online"));
    write_memory(s->replay, golden);
    return s;
}

static void check_update(sac *s, const json_t *golden, int u) {
    double batches[UPDATES][BATCH], noise[UPDATES][2][BATCH][ACTIONS], sum[METRICS] = {0};
    float drawn[2][BATCH * ACTIONS];
    const json_t *wanted = json_array_get(golden_at(golden, "updates"), (size_t)u);
    golden_doubles(golden, "batches", batches[0], UPDATES * BATCH);
    golden_doubles(golden, "noise", noise[0][0][0], UPDATES * 2 * BATCH * ACTIONS);
    batch_now = batches[u];
    for (int k = 0; k < 2; k++) {
        to_floats(drawn[k], noise[u][k][0], BATCH * ACTIONS);
        rein_exec_bind(k == 0 ? s->critic.exec : s->improve.exec, noise_input[k], drawn[k], 0);
    }
    update(s, sum);
    near("critic_loss", u, sum[METRIC_CRITIC_LOSS], wanted);
    near("actor_loss", u, sum[METRIC_ACTOR_LOSS], wanted);
    near("q_mean", u, sum[METRIC_Q_MEAN], wanted);
    near("entropy", u, sum[METRIC_ENTROPY], wanted);
    near("critic_norm", u, sum[METRIC_CRITIC_NORM], wanted);
    near("actor_norm", u, sum[METRIC_ACTOR_NORM], wanted);
    near("log_alpha", u, s->price.log_alpha, wanted);
}

static void check(const char *file) {
    json_t *golden = golden_read(file);
    sac *s = make(golden);
    for (int u = 0; u < UPDATES; u++)
        check_update(s, golden, u);
    double actor = same_weights(s->policy->store, golden, "final_actor");
    double online = same_weights(s->twin.online, golden, "final_online");
    double target = same_weights(s->twin.target, golden, "final_target");
    print_message("# %s: actor %.1e, critics %.1e, targets %.1e\n", file, actor, online, target);
    sac_destroy(s);
    json_decref(golden);
}

static void test_learned_price(void **state) {
    check("sac_torch.json");
}

static void test_fixed_price(void **state) {
    check("sac_fixed_torch.json");
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learned_price),
        cmocka_unit_test(test_fixed_price),
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return each_level(all);
}
