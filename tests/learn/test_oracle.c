/*
 * test_oracle.c - the deep half against the exact half: what networks learn on small MDPs, compared with what the
 * planners compute.
 *
 * PPO is trained on random MDPs of a few states. Afterwards its critic must be the value function of the policy it
 * has become, and that policy close to the best one: V_critic against V^pi, and V^pi against V*, both computed
 * exactly from the tables. DQN's network must be Q*. The time limit cuts many episodes, so a method that does not
 * bootstrap there is found out.
 */
#include <math.h>
#include <stdlib.h>
#include <rein/run.h>
#include "rl/acting.h"
#include "support/check.h"
#include "support/temp_dir.h"

enum { STATES = 8, ACTIONS = 3, TERMINAL = STATES - 1 };
#define GAMMA 0.9

/* every action leads to three states; the last state ends the episode */
static rein_mdp *random_mdp(uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 0);
    rein_mdp *mdp = NULL;
    assert_ok(rein_mdp_new(STATES, ACTIONS, false, &mdp));
    for (int32_t s = 0; s < TERMINAL; s++)
        for (int32_t a = 0; a < ACTIONS; a++) {
            rein_outcome out[3];
            for (int k = 0; k < 3; k++)
                out[k] = (rein_outcome){.next = (int32_t)rein_rng_below(&rng, k == 2 ? STATES : TERMINAL),
                                        .probability = k == 2 ? 0.1 : 0.45,
                                        .reward = (double)rein_rng_below(&rng, 11) / 10};
            assert_ok(rein_mdp_add(mdp, s, a, 3, out));
        }
    assert_ok(rein_mdp_terminal(mdp, TERMINAL, 0));
    for (int32_t s = 0; s < TERMINAL; s++)
        assert_ok(rein_mdp_start(mdp, s, 1));
    assert_ok(rein_mdp_finish(mdp));
    return mdp;
}

static void train(const char *mdp_file, const char *out) {
    const rein_setting settings[] = {
        {"env.file", mdp_file}, {"env.horizon", "15"},
        {"steps", "200000"},    {"n_envs", "32"},
        {"n_steps", "64"},      {"batch_size", "256"},
        {"n_epochs", "5"},      {"learning_rate", "lin_5e-3"},
        {"hidden", "32"},       {"gamma", "0.9"},
        {"gae_lambda", "0.9"},  {"ent_coef", "0.003"},
        {"threads", "2"},       {"clip_range", "lin_0.2"},
        {"vf_coef", "0.5"},
    };
    rein_train_opts opts = {.algo = "ppo",
                            .env = "Mdp-v0",
                            .settings = settings,
                            .n_settings = sizeof settings / sizeof *settings,
                            .out = out};
    rein_summary summary;
    assert_ok(rein_train(&opts, &summary));
}

/* the policy's probabilities and the critic's values in every state */
static void ask(const rein_policy *policy, double pi[STATES * ACTIONS], double value[STATES]) {
    const reini_net *net = (const reini_net *)policy;
    int32_t states[STATES];
    float log_pi[STATES * ACTIONS], v[STATES];
    rein_graph *g = rein_graph_new(REIN_F32);
    rein_program *program;
    rein_exec *exec;
    int rows = rein_extent(g, "rows", STATES), slot = rein_slot(g, net->layout);
    reini_net_inputs in = {.obs = rein_input(g, "obs", REIN_I32, rows, 1, (int[]){1})};
    reini_net_heads heads = reini_net_build(net, slot, &in, true, true);
    rein_tensor *log_probs = rein_output(heads.dist.log_probs[0], "log_pi");
    rein_tensor *critic = rein_output(heads.value, "value");
    assert_ok(rein_compile(g, NULL, &program));
    assert_ok(rein_exec_new(program, NULL, &exec));
    for (int32_t s = 0; s < STATES; s++)
        states[s] = s;
    rein_exec_bind_store(exec, slot, net->store);
    rein_exec_rows(exec, rows, STATES);
    rein_exec_bind(exec, in.obs, states, 0);
    rein_exec_bind(exec, log_probs, log_pi, 0);
    rein_exec_bind(exec, critic, v, 0);
    rein_exec_run(exec);
    for (int s = 0; s < STATES; s++) {
        double sum = 0; /* 1 but for rounding in float */
        for (int a = 0; a < ACTIONS; a++)
            sum += pi[s * ACTIONS + a] = exp(log_pi[s * ACTIONS + a]);
        for (int a = 0; a < ACTIONS; a++)
            pi[s * ACTIONS + a] /= sum;
        value[s] = v[s];
    }
    rein_exec_free(exec);
    rein_program_free(program);
    rein_graph_free(g);
}

static void test_ppo_learns_the_values_of_its_policy(void **state) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        char out[64], path[TEMP_PATH + 64];
        double pi[STATES * ACTIONS], critic[STATES], exact[STATES], best[STATES];
        rein_policy *policy;
        rein_mdp *mdp = random_mdp(seed);
        snprintf(out, sizeof out, "run%d", (int)seed);
        assert_ok(rein_mdp_write(mdp, temp_path("mdp.json")));
        char file[TEMP_PATH];
        snprintf(file, sizeof file, "%s", temp_path("mdp.json"));
        snprintf(path, sizeof path, "%s", temp_path(out));
        train(file, path);
        strcat(path, "/policy.safetensors");
        assert_ok(rein_policy_load(path, &policy));
        ask(policy, pi, critic);
        assert_ok(rein_mdp_evaluate(mdp, GAMMA, 1e-9, pi, exact));
        assert_ok(rein_mdp_solve(mdp, GAMMA, 1e-9, best, NULL));
        double off = 0, loss = 0;
        for (int s = 0; s < TERMINAL; s++) {
            off = fmax(off, fabs(critic[s] - exact[s]) / best[s]);
            loss = fmax(loss, (best[s] - exact[s]) / best[s]);
        }
        print_message("# MDP %d: critic off by %.2f%%, policy worse than the best by %.2f%%\n", (int)seed,
                      100 * off, 100 * loss);
        assert_true(off < 0.03);
        assert_true(loss >= -1e-9 && loss < 0.03);
        rein_policy_free(policy);
        rein_mdp_free(mdp);
    }
}

/* ---- DQN ----------------------------------------------------------------------------------------------- */

#define DQN_SETTINGS                                                                                         \
    {"env.horizon", "15"}, {"steps", "60000"}, {"n_envs", "4"}, {"train_freq", "1"}, {"batch_size", "128"},  \
        {"learning_rate", "lin_3e-3"}, {"hidden", "32"}, {"gamma", "0.9"}, {"learning_starts", "1000"},      \
        {"exploration_initial_eps", "0.5"}, {"exploration_final_eps", "0.5"}, {"buffer_size", "40000"},      \
        {"target_update_interval", "200"}, {"threads", "1"}, {                                               \
        "loss", "mse"                                                                                        \
    }
enum { DQN_COUNT = 20 };

static void train_dqn(const char *mdp_file, const char *out, const rein_setting more[4]) {
    rein_setting settings[DQN_COUNT] = {DQN_SETTINGS, {"env.file", mdp_file}};
    for (int i = 0; i < 4; i++)
        settings[16 + i] = more[i];
    rein_train_opts opts = {.algo = "dqn",
                            .env = "Mdp-v0",
                            .settings = settings,
                            .n_settings = DQN_COUNT,
                            .out = out,
                            .force = 1};
    rein_summary summary;
    assert_ok(rein_train(&opts, &summary));
}

/* the network's values in every state */
static void ask_q(const rein_policy *policy, float q[STATES * ACTIONS]) {
    const reini_net *net = (const reini_net *)policy;
    reini_act_program act;
    rein_exec *exec;
    int32_t states[STATES];
    for (int32_t s = 0; s < STATES; s++)
        states[s] = s;
    assert_ok(reini_act_program_init(&act, net, STATES, false, false, true));
    assert_ok(reini_act_exec_new(&act, net, &exec));
    rein_exec_rows(exec, act.rows, STATES);
    rein_exec_bind(exec, act.in.obs, states, 0);
    rein_exec_bind(exec, act.output, q, 0);
    rein_exec_run(exec);
    rein_exec_free(exec);
    reini_act_program_release(&act);
}

/* Largest |Q - Q*| over the largest Q*; final states are never acted in. */
static double q_error(const char *policy_file, const rein_mdp *mdp) {
    double best[STATES], exact[STATES * ACTIONS], most = 0, off = 0;
    float q[STATES * ACTIONS];
    rein_policy *policy;
    assert_ok(rein_policy_load(policy_file, &policy));
    ask_q(policy, q);
    assert_ok(rein_mdp_solve(mdp, GAMMA, 1e-9, best, NULL));
    rein_mdp_lookahead(mdp, GAMMA, best, exact);
    for (int i = 0; i < TERMINAL * ACTIONS; i++) {
        most = fmax(most, fabs(exact[i]));
        off = fmax(off, fabs(q[i] - exact[i]));
    }
    rein_policy_free(policy);
    return off / most;
}

static void test_dqn_learns_the_best_values(void **state) {
    static const rein_setting variants[][4] = {
        {{"seed", "1"}, {"double_q", "false"}, {"dueling", "false"}, {"prioritized", "false"}},
        {{"seed", "1"}, {"double_q", "true"}, {"dueling", "true"}, {"prioritized", "false"}},
        {{"seed", "1"}, {"double_q", "true"}, {"dueling", "false"}, {"prioritized", "true"}},
    };
    for (uint64_t seed = 1; seed <= 3; seed++) {
        char file[TEMP_PATH], out[TEMP_PATH], policy[TEMP_PATH + 32];
        rein_mdp *mdp = random_mdp(seed);
        snprintf(file, sizeof file, "%s", temp_path("mdp.json"));
        snprintf(out, sizeof out, "%s", temp_path("dqn"));
        snprintf(policy, sizeof policy, "%s/policy.safetensors", out);
        assert_ok(rein_mdp_write(mdp, file));
        for (int i = 0; i < 3; i++) {
            train_dqn(file, out, variants[i]);
            double off = q_error(policy, mdp);
            print_message("# MDP %d, variant %d: Q off by %.2f%%\n", (int)seed, i, 100 * off);
            assert_true(off < 0.03);
        }
        rein_mdp_free(mdp);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ppo_learns_the_values_of_its_policy),
        cmocka_unit_test(test_dqn_learns_the_best_values),
    };
    return cmocka_run_group_tests_name("oracle", tests, temp_dir_make, temp_dir_remove);
}
