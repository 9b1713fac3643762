/*
 * test_recurrent_acting.c - policies with a memory outside training: files, acting with states, and evaluation.
 */
#include <math.h>
#include "run/evaluate.h"
#include "run/exact.h"
#include "run/streams.h"
#include "support/on_policy_rig.h"
#include "support/temp_dir.h"
#include "support/walks_env.h"

enum { GRU = 5 };
#define MEMORY "hidden=6 gru=5 n_envs=6 n_steps=24 batch_size=48 sequence=8 "

/* a trained policy and its copy from a file */
static void make_pair(rein_policy **mine, rein_policy **loaded, void **self) {
    const reini_algo *algo = reini_algo_find("ppo");
    char file[512];
    *self = rig_make(algo, &walks, MEMORY "norm_obs=running learning_rate=3e-2", NULL);
    rig_iterate(algo, *self, 3);
    *mine = algo->policy(*self);
    snprintf(file, sizeof file, "%s", temp_path("policy.safetensors"));
    assert_ok(rein_policy_save(*mine, file));
    assert_ok(rein_policy_load(file, loaded));
}

enum { MANY = 300, LONG = 6 };

static void test_files_and_states(void **state) {
    static float obs[LONG][MANY * 2], both[2][MANY * GRU], alone[GRU];
    static int32_t action[2][MANY], one;
    static uint8_t mask[MANY * 3], start[MANY];
    rein_policy *mine, *loaded;
    void *self;
    make_pair(&mine, &loaded, &self);
    char sha[2][65];
    rein_policy_sha256(mine, sha[0]);
    rein_policy_sha256(loaded, sha[1]);
    assert_string_equal(sha[0], sha[1]);
    assert_int_equal(rein_policy_state_size(mine), GRU);
    assert_int_equal(rein_policy_state_size(loaded), GRU);
    rein_rng rng = rein_rng_make(8, 0);
    for (int t = 0; t < LONG; t++)
        for (int i = 0; i < MANY * 2; i++)
            obs[t][i] = (float)rein_rng_normal(&rng);
    memset(mask, 1, sizeof mask);
    memset(both, 0, sizeof both);
    int differs = 0;
    for (int t = 0; t < LONG; t++) {
        rein_sampling sampling = {.seed = 3, .step = (uint64_t)t};
        const rein_sampling *how = t % 2 ? &sampling : NULL;
        /* rows 0, 3, 6, ... begin again at step 3 */
        for (int i = 0; i < MANY; i++)
            start[i] = t == 3 && i % 3 == 0;
        rein_policy_act_state(mine, t, MANY, obs[t], mask, how, both[0], start, action[0]);
        for (int i = 0; t == 3 && i < MANY; i += 3)
            memset(both[1] + i * GRU, 0, GRU * sizeof(float));
        rein_policy_act_state(loaded, t, MANY, obs[t], mask, how, both[1], NULL, action[1]);
        assert_memory_equal(action[0], action[1], sizeof action[0]);
        assert_memory_equal(both[0], both[1], sizeof both[0]);
        /* row 290, in the second batch of rows, by itself */
        sampling.row_base = 290;
        rein_policy_act_state(mine, t, 1, obs[t] + 580, mask, how, alone, NULL, &one);
        assert_int_equal(one, action[0][290]);
        assert_memory_equal(alone, both[0] + 290 * GRU, sizeof alone);
        /* without a state, every step is an episode's first */
        float fresh[GRU] = {0};
        int32_t first[2];
        rein_policy_act(mine, 1, obs[t], mask, NULL, &first[0]);
        rein_policy_act_state(mine, 0, 1, obs[t], mask, NULL, fresh, NULL, &first[1]);
        assert_int_equal(first[0], first[1]);
        differs += memcmp(fresh, both[0], sizeof fresh) != 0;
    }
    assert_true(differs >= 4); /* but for step 0 and step 3 */
    rein_policy_free(loaded);
    reini_algo_find("ppo")->destroy(self);
}

/* played with the environment's own functions, one episode after the other */
static void test_evaluation(void **state) {
    rein_policy *mine, *loaded;
    void *self;
    make_pair(&mine, &loaded, &self);
    reini_eval_job job = {.env = &walks, .policy = loaded, .episodes = 150, .seed = 17}, narrow = job;
    reini_scores scores, again;
    narrow.rows = 7;
    assert_ok(reini_play(&job, &scores));
    assert_ok(reini_play(&narrow, &again));
    assert_memory_equal(scores.returns, again.returns, 150 * sizeof(double));
    for (int k = 0; k < 150; k++) {
        uint64_t seed = reini_seed_for(job.seed, "episodes", (uint64_t)(k / REINI_EVAL_ROWS));
        rein_rng rng = rein_rng_make(seed, (uint64_t)(k % REINI_EVAL_ROWS));
        walk s;
        float obs[2], memory[GRU] = {0};
        uint8_t mask[3];
        int32_t action;
        double ret = 0;
        bool over = false;
        walk_reset(NULL, &s, &rng);
        for (int t = 0; t < 8 && !over; t++) {
            walk_observe(NULL, &s, obs);
            walk_mask(NULL, &s, mask);
            rein_policy_act_state(mine, t, 1, obs, mask, NULL, memory, NULL, &action);
            assert_int_equal(mask[action], 1);
            rein_step step = walk_step(NULL, &s, &action, &rng);
            ret += (double)step.reward;
            over = step.terminated;
        }
        assert_true(fabs(ret - scores.returns[k]) < 1e-5);
    }
    reini_scores_release(&scores);
    reini_scores_release(&again);
    rein_policy_free(loaded);
    reini_algo_find("ppo")->destroy(self);
}

/* returns on a table can be computed for policies of the state alone */
static void test_not_exact(void **state) {
    const reini_algo *algo = reini_algo_find("ppo");
    rein_env_type lake;
    assert_ok(rein_env_open(rein_env_find("FrozenLake-v1"), NULL, &lake));
    for (int gru = 0; gru <= 4; gru += 4) {
        char settings[128];
        snprintf(settings, sizeof settings, "hidden=4 n_envs=2 n_steps=16 batch_size=32 gru=%d", gru);
        void *self = rig_make(algo, &lake, settings, NULL);
        rig_iterate(algo, self, 1);
        reini_eval_job job = {.env = &lake, .policy = algo->policy(self), .episodes = 5, .seed = 1};
        reini_score score;
        assert_int_equal(reini_exact_applies(&job), gru == 0);
        assert_ok(reini_score_policy(&job, &score));
        assert_int_equal(score.exact, gru == 0);
        algo->destroy(self);
    }
    rein_env_close(&lake);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_and_states),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_not_exact),
    };
    return rein_env_register(&walks) != REIN_OK
               ? 1
               : cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
