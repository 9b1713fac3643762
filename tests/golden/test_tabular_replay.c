/*
 * test_tabular_replay.c - every rule of tabular learning against tests/reference/tabular_learners.py, which wrote them
 * again from the book: both are driven by one recorded list of transitions, C through an environment that plays it.
 */
#include <math.h>
#include "support/golden.h"
#include "support/learner_rig.h"
#include "support/temp_dir.h"

enum { STATES = 6, ACTIONS = 3, STEPS = 600, EVERY = 150, SNAPSHOTS = STEPS / EVERY };

static json_t *golden;
static double column[7][STEPS]; /* s a r n t c b: state, action, reward, next, terminated, cut, next action */
static double mask_of[STATES][ACTIONS];
enum { COLUMN_S, COLUMN_A, COLUMN_R, COLUMN_N, COLUMN_T, COLUMN_C, COLUMN_B };

/* ---- the environment that plays the list ------------------------------------------------------------------------ */

typedef struct player {
    int32_t at, shows; /* next step of the list, observation */
} player;

static void player_reset(const void *config, void *state, rein_rng *rng) {
    player *p = state;
    p->shows = p->at < STEPS ? (int32_t)column[COLUMN_S][p->at] : 0;
}

static rein_step player_step(const void *config, void *state, const void *action, rein_rng *rng) {
    player *p = state;
    int k = p->at++;
    assert_true(k < STEPS);
    assert_int_equal(p->shows, (int)column[COLUMN_S][k]);
    assert_int_equal(*(const int32_t *)action, (int)column[COLUMN_A][k]);
    p->shows = (int32_t)column[COLUMN_N][k];
    return (rein_step){.reward = (float)column[COLUMN_R][k],
                       .terminated = column[COLUMN_T][k] != 0,
                       .truncated = column[COLUMN_C][k] != 0};
}

static void player_observe(const void *config, const void *state, void *obs) {
    *(int32_t *)obs = ((const player *)state)->shows;
}

static void player_mask(const void *config, const void *state, uint8_t *mask) {
    for (int a = 0; a < ACTIONS; a++)
        mask[a] = mask_of[((const player *)state)->shows][a] != 0;
}

static const rein_env_type free_player = {
    .abi = REIN_ENV_ABI,
    .id = "test/Player-v0",
    .doc = "plays a list of transitions",
    .obs = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {STATES}},
    .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {ACTIONS}},
    .state_size = sizeof(player),
    .reset = player_reset,
    .step = player_step,
    .observe = player_observe,
};
static rein_env_type masked_player;

/* ---- replaying -------------------------------------------------------------------------------------------------- */

/* the choices in the order in which a learner asks for them; those of SARSA look one step ahead */
static const int32_t *choices(bool ahead) {
    static int32_t list[2 * STEPS];
    int n = 0;
    for (int k = 0; k < STEPS; k++) {
        bool first = k == 0 || column[COLUMN_T][k - 1] != 0 || column[COLUMN_C][k - 1] != 0;
        if (!ahead || first)
            list[n++] = (int32_t)column[COLUMN_A][k];
        if (ahead && column[COLUMN_T][k] == 0)
            list[n++] = (int32_t)column[COLUMN_B][k];
    }
    return list;
}

/* a policy file with the recorded probabilities */
static const char *target_policy(void) {
    const char *path = temp_path("target.safetensors");
    reini_table_policy *policy;
    assert_ok(reini_table_policy_new("test", &free_player, REINI_TABLE_PI, 1, 0.9, &policy));
    golden_doubles(golden, "pi", policy->pi, (int64_t)STATES * ACTIONS);
    assert_ok(rein_policy_save(reini_table_base(policy), path));
    rein_policy_free(reini_table_base(policy));
    return path;
}

static void compare(const char *what, int64_t snapshot, const double *found, const double *expected, int n) {
    for (int i = 0; i < n; i++)
        if (!(fabs(found[i] - expected[i]) <= 1e-10 * (1 + fabs(expected[i]))))
            fail_msg("%s, snapshot %d, number %d: %.17g, expected %.17g", what, (int)snapshot, i, found[i],
                     expected[i]);
}

static void compare_figures(const learner *l, const json_t *figures, const char *what, int64_t k) {
    static const char *const names[] = {"train/v_ordinary", "train/v_weighted", "train/var_ordinary",
                                        "train/var_weighted", "train/ess"};
    for (size_t i = 0; i < 5; i++) {
        const json_t *expected = json_array_get(json_array_get(figures, (size_t)k), i);
        double found = learner_metric(l, names[i]);
        if (json_is_null(expected))
            assert_true(isnan(found));
        else
            compare(what, k, &found, &(double){json_number_value(expected)}, 1);
    }
}

static void replay(const json_t *one) {
    const char *algo = json_string_value(golden_at(one, "algo"));
    bool sampling = strcmp(algo, "importance-sampling") == 0, masked = json_is_true(golden_at(one, "masked"));
    char settings[2048];
    snprintf(settings, sizeof settings, "gamma=0.9 n_steps=%d %s%s %s", EVERY, sampling ? "policy=" : "",
             sampling ? target_policy() : "", json_string_value(golden_at(one, "settings")));
    learner l = learner_new(algo, masked ? &masked_player : &free_player, settings, STEPS,
                            (uint64_t)golden_number(golden, "seed"));
    learner_tabular(&l)->explore.script = choices(strncmp(algo, "sarsa", 5) == 0);
    const reini_table_policy *table = learner_table(&l);
    const double *found = table->q != NULL ? table->q : table->v;
    int n = table->q != NULL ? STATES * ACTIONS : STATES;
    double expected[STATES * ACTIONS];
    for (int64_t k = 0; k < SNAPSHOTS; k++) {
        learner_iterate(&l);
        assert_int_equal(golden_flatten(json_array_get(golden_at(one, "tables"), (size_t)k), expected, n), n);
        compare(settings, k, found, expected, n);
        if (sampling)
            compare_figures(&l, golden_at(one, "figures"), settings, k);
    }
    assert_int_equal(l.report.env_steps, STEPS);
    learner_free(&l);
}

static void test_every_rule(void **state) {
    const json_t *cases = golden_at(golden, "cases");
    assert_true(json_array_size(cases) >= 20);
    for (size_t i = 0; i < json_array_size(cases); i++)
        replay(json_array_get(cases, i));
}

static int prepare(void **state) {
    static const char *const names[] = {"s", "a", "r", "n", "t", "c", "b"};
    golden = golden_read("tabular_learners.json");
    for (int k = 0; k < 7; k++)
        golden_doubles(golden_at(golden, "steps"), names[k], column[k], STEPS);
    golden_doubles(golden, "mask", mask_of[0], (int64_t)STATES * ACTIONS);
    masked_player = free_player;
    masked_player.mask = player_mask;
    return temp_dir_make(state);
}

static int clear(void **state) {
    json_decref(golden);
    return temp_dir_remove(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_rule),
    };
    return cmocka_run_group_tests_name("tabular replay", tests, prepare, clear);
}
