/*
 * test_env_costs.c - costs of environments in vectors: what a step and what an episode costs, the same for any split into
 * ranges and after saving; types whose costs are malformed, and costs that are not finite.
 */
#include <math.h>
#include "env/env_checks.h"
#include "unit/env_rig.h"

/* Episodes of 3 to 9 steps. The first cost is the number of the step, the second a half where the action was 1. */
typedef struct toll {
    int32_t step, end, action;
} toll;

static void toll_reset(const void *config, void *state, rein_rng *rng) {
    *(toll *)state = (toll){.end = 3 + (int32_t)rein_rng_below(rng, 7)};
}

static rein_step toll_step(const void *config, void *state, const void *action, rein_rng *rng) {
    toll *s = state;
    s->action = *(const int32_t *)action;
    s->step++;
    return (rein_step){.reward = 1, .terminated = s->step == s->end};
}

static void toll_observe(const void *config, const void *state, void *obs) {
    *(float *)obs = (float)((const toll *)state)->step;
}

static void toll_costs(const void *config, const void *state, float *cost) {
    const toll *s = state;
    cost[0] = (float)s->step;
    cost[1] = s->action == 1 ? 0.5f : 0;
}

static void broken_costs(const void *config, const void *state, float *cost) {
    cost[0] = 0;
    cost[1] = ((const toll *)state)->step == 3 ? NAN : 0;
}

static const char *const names[] = {"fare", "half_fare", "fare"};
static const rein_env_type toll_type = {
    .abi = REIN_ENV_ABI,
    .id = "Toll-v0",
    .doc = "test",
    .obs = {.kind = REIN_SPACE_BOX, .size = 1, .shape = {1}},
    .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {2}},
    .horizon = 8,
    .state_size = sizeof(toll),
    .reward_threshold = NAN,
    .reset = toll_reset,
    .step = toll_step,
    .observe = toll_observe,
    .n_costs = 2,
    .cost_names = names,
    .costs = toll_costs,
};

enum { N = 13 };

/* what the vector says against sums of what it said in every step */
static void test_steps_and_episodes(void **state) {
    env_rig rig = rig_make(&toll_type, &(rein_vec_opts){.n = N, .seed = 5});
    double sum[N][2] = {{0}};
    int ended = 0, cut = 0, length[N] = {0};
    for (int t = 0; t < 200; t++) {
        rig_step(&rig);
        for (int i = 0; i < N; i++) {
            const float *cost = rig.slab.cost + 2 * i, *whole = rig.slab.ep_cost + 2 * i;
            length[i]++;
            assert_true(cost[0] == (float)length[i]); /* of the step before the reset */
            assert_true(cost[1] == (((const int32_t *)rig.action)[i] == 1 ? 0.5f : 0));
            sum[i][0] += (double)cost[0];
            sum[i][1] += (double)cost[1];
            if (!rig.slab.terminated[i] && !rig.slab.truncated[i])
                continue;
            assert_true(whole[0] == (float)sum[i][0] && whole[1] == (float)sum[i][1]);
            assert_true(whole[0] == (float)(length[i] * (length[i] + 1) / 2));
            cut += !rig.slab.terminated[i];
            ended++;
            length[i] = 0;
            sum[i][0] = sum[i][1] = 0;
        }
    }
    assert_true(ended > 100 && cut > 10);
    rig_free(&rig);
}

static void test_ranges_do_not_matter(void **state) {
    env_rig whole = rig_make(&toll_type, &(rein_vec_opts){.n = N, .seed = 5});
    env_rig parts = rig_make(&toll_type, &(rein_vec_opts){.n = N, .seed = 5});
    for (int t = 0; t < 50; t++) {
        rig_step(&whole);
        rig_draw(&parts);
        rein_vec_step(parts.vec, 7, N, &parts.slab);
        rein_vec_step(parts.vec, 0, 7, &parts.slab);
        assert_true(rig_hash(&whole, 1) == rig_hash(&parts, 1));
    }
    rig_free(&whole);
    rig_free(&parts);
}

/* without a place for costs the episodes' sums go on all the same; saved in the middle of episodes */
static void test_saved_and_unread(void **state) {
    env_rig rig = rig_make(&toll_type, &(rein_vec_opts){.n = N, .seed = 5});
    env_rig other = rig_make(&toll_type, &(rein_vec_opts){.n = N, .seed = 6});
    rein_slab blind = rig.slab;
    blind.cost = blind.ep_cost = NULL;
    for (int t = 0; t < 20; t++) {
        rig_draw(&rig);
        rein_vec_step(rig.vec, 0, N, &blind);
    }
    size_t size = rein_vec_save_size(rig.vec);
    void *saved = rig_array(size, 1);
    rein_vec_save(rig.vec, saved);
    assert_ok(rein_vec_load(other.vec, saved, size));
    other.rng = rig.rng;
    for (int t = 0; t < 40; t++) {
        rig_step(&rig);
        rig_step(&other);
        for (int i = 0; i < N; i++) {
            if (!rig.slab.terminated[i] && !rig.slab.truncated[i])
                continue;
            assert_true(rig.slab.ep_cost[2 * i] == other.slab.ep_cost[2 * i]);
            assert_true(rig.slab.ep_cost[2 * i] ==
                        (float)(rig.slab.ep_length[i] * (rig.slab.ep_length[i] + 1) / 2));
        }
    }
    free(saved);
    rig_free(&rig);
    rig_free(&other);
}

static void refused(rein_env_type type, const char *words) {
    assert_fails(reini_env_check(&type), REIN_USAGE, words);
    assert_fails(rein_env_register(&type), REIN_USAGE, words);
}

static void test_malformed_types_are_refused(void **state) {
    static const char *const blank[] = {"fare", ""}, *const odd[] = {"fare", "a,b"},
                             *const none[] = {"fare", NULL};
    rein_env_type type = toll_type;
    assert_ok(reini_env_check(&type));
    type.n_costs = REIN_COSTS_MAX + 1;
    refused(type, "n_costs must be between");
    type.n_costs = -1;
    refused(type, "n_costs must be between");
    type.n_costs = 0;
    refused(type, "n_costs is 0");
    type.n_costs = 3;
    refused(type, "two costs have one name");
    type.n_costs = 2;
    type.cost_names = blank;
    refused(type, "1 to 32 characters");
    type.cost_names = odd;
    refused(type, "letters, digits and _");
    type.cost_names = none;
    refused(type, "no name");
    type.cost_names = NULL;
    refused(type, "go together");
    type.cost_names = names;
    type.costs = NULL;
    refused(type, "go together");
}

static void test_faults_are_named(void **state) {
    rein_env_type type = toll_type;
    type.costs = broken_costs;
    env_rig rig = rig_make(&type, &(rein_vec_opts){.n = N, .seed = 5});
    rig_run(&rig, 2);
    assert_ok(rein_vec_fault(rig.vec));
    rig_run(&rig, 1);
    assert_fails(rein_vec_fault(rig.vec), REIN_DIVERGED, "gave the cost half_fare nan");
    rig_free(&rig);
    assert_fails(reini_env_probe(&type), REIN_MISMATCH, "costs gave nan for half_fare");
    type.costs = toll_costs;
    assert_ok(reini_env_probe(&type));
    type.n_costs = 1; /* but two are written */
    assert_fails(reini_env_probe(&type), REIN_MISMATCH, "costs writes more than the 4 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_and_episodes), cmocka_unit_test(test_ranges_do_not_matter),
        cmocka_unit_test(test_saved_and_unread),   cmocka_unit_test(test_malformed_types_are_refused),
        cmocka_unit_test(test_faults_are_named),
    };
    return cmocka_run_group_tests_name("costs of environments", tests, NULL, NULL);
}
