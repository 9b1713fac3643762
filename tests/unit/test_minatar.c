/*
 * test_minatar.c - the MinAtar games beyond their recorded frames: both action sets play one game, observations are 0 and
 * 1, games end and begin anew, settings do what they say, and a submarine may surface for ever.
 */
#include <math.h>
#include "unit/env_rig.h"

#include "env/minatar/seaquest.c"

enum { N = 16, STEPS = 3000, MOST_OBS = 1000 };

static const struct game {
    const char *all, *minimal;
    int32_t offered[MINATAR_ACTIONS]; /* by -v1, as actions of -v0 */
} games[] = {
    {"MinAtar/Asterix-v0", "MinAtar/Asterix-v1", {0, 1, 2, 3, 4}},
    {"MinAtar/Breakout-v0", "MinAtar/Breakout-v1", {0, 1, 3}},
    {"MinAtar/Freeway-v0", "MinAtar/Freeway-v1", {0, 2, 4}},
    {"MinAtar/Seaquest-v0", "MinAtar/Seaquest-v1", {0, 1, 2, 3, 4, 5}},
    {"MinAtar/SpaceInvaders-v0", "MinAtar/SpaceInvaders-v1", {0, 1, 3, 5}},
};
enum { GAMES = sizeof games / sizeof *games };

/* A rig with settings "name", "value", ..., NULL. */
static env_rig rig_with(const char *id, int n, const char *const *settings) {
    const rein_env_type *type = rein_env_find(id);
    minatar_config config;
    assert_non_null(type);
    assert_int_equal(type->config_size, sizeof config);
    rein_fields_default(type->fields, type->n_fields, &config);
    for (; *settings; settings += 2)
        assert_ok(rein_fields_set(type->fields, type->n_fields, &config, settings[0], settings[1]));
    return rig_make(type, &(rein_vec_opts){.n = n, .seed = 3, .config = &config});
}

#define RIG(id, n, ...) rig_with((id), (n), (const char *const[]){__VA_ARGS__, NULL})

/* ---- spaces and ends ---------------------------------------------------------------------------------------------- */

static void test_action_sets(void **state) {
    for (const struct game *g = games; g < games + GAMES; g++) {
        env_rig all = RIG(g->all, N, NULL), minimal = RIG(g->minimal, N, NULL);
        size_t obs = rein_space_bytes(&rein_vec_type(all.vec)->obs);
        int ends = 0;
        for (int t = 0; t < STEPS; t++) {
            rig_draw(&minimal);
            for (int i = 0; i < N; i++)
                ((int32_t *)all.action)[i] = g->offered[((int32_t *)minimal.action)[i]];
            rein_vec_step(minimal.vec, 0, N, &minimal.slab);
            rein_vec_step(all.vec, 0, N, &all.slab);
            assert_memory_equal(all.slab.obs, minimal.slab.obs, N * obs);
            assert_memory_equal(all.slab.reward, minimal.slab.reward, N * sizeof(float));
            assert_memory_equal(all.slab.terminated, minimal.slab.terminated, N);
            for (int i = 0; i < N; i++)
                ends += minimal.slab.terminated[i];
            for (size_t k = 0; k < N * obs; k++)
                assert_true(((uint8_t *)all.slab.obs)[k] <= 1);
        }
        assert_true(ends >= N);
        rig_free(&all);
        rig_free(&minimal);
    }
}

/* ---- many at once -------------------------------------------------------------------------------------------------- */

/* Outputs of more environments than a block, stepped in ranges of at most `most`, and the states and streams after. */
static uint64_t play_split(const rein_env_type *type, const minatar_config *config, int most) {
    enum { MANY = 150 };
    env_rig rig = rig_make(type, &(rein_vec_opts){.n = MANY, .seed = 11, .config = config});
    uint64_t hash = 0xCBF29CE484222325u;
    for (int t = 0; t < 150; t++) {
        rig_draw(&rig);
        for (int i = 0; i < MANY; i += most)
            rein_vec_step(rig.vec, i, i + most < MANY ? i + most : MANY, &rig.slab);
        hash = rig_hash(&rig, hash);
    }
    size_t size = rein_vec_save_size(rig.vec);
    void *saved = rig_array(size, 1);
    rein_vec_save(rig.vec, saved);
    hash = rig_hash_bytes(hash, saved, size);
    free(saved);
    rig_free(&rig);
    return hash;
}

/* Environments that are stepped together, in whatever ranges and at every instruction-set level, play the games that
 * they play one by one. */
static void test_together(void **state) {
    static const char probability[][8] = {"0.1", "0.9999"};
    for (int k = 0; k < 2 * GAMES; k++) {
        const rein_env_type *together = rein_env_find(k % 2 == 0 ? games[k / 2].all : games[k / 2].minimal);
        rein_env_type lone = *together;
        lone.step_range = NULL;
        for (int p = 0; p < 2; p++) {
            minatar_config config;
            rein_fields_default(together->fields, together->n_fields, &config);
            assert_ok(rein_fields_set(together->fields, together->n_fields, &config, "sticky_action_prob",
                                      probability[p]));
            uint64_t expected = play_split(&lone, &config, 150);
            for (int level = REINI_ISA_PORTABLE; level <= REINI_ISA_AVX512; level++) {
                reini_isa_cap(level);
                assert_true(play_split(together, &config, level == REINI_ISA_AVX2 ? 37 : 150) == expected);
            }
            reini_isa_cap(-1);
        }
    }
}

/* ---- settings ------------------------------------------------------------------------------------------------------ */

/* Where something lies in a row of a channel, -1 = nowhere. */
static int column_of(const env_rig *rig, int channel, int y) {
    const uint8_t *row = (const uint8_t *)rig->slab.obs + channel * MINATAR_CELLS + y * MINATAR_SIDE;
    for (int x = 0; x < MINATAR_SIDE; x++)
        if (row[x])
            return x;
    return -1;
}

/* Breakout's paddle moves every time, never, or as often as the last action, nothing at first, does not stick. */
static void test_sticky_actions(void **state) {
    env_rig never = RIG("MinAtar/Breakout-v1", 1, "sticky_action_prob", "0");
    env_rig always = RIG("MinAtar/Breakout-v1", 1, "sticky_action_prob", "1");
    *(int32_t *)never.action = *(int32_t *)always.action = 2;
    for (int t = 1; t <= 3; t++) {
        rein_vec_step(never.vec, 0, 1, &never.slab);
        rein_vec_step(always.vec, 0, 1, &always.slab);
        assert_int_equal(column_of(&never, 0, 9), 4 + t);
        assert_int_equal(column_of(&always, 0, 9), 4);
    }
    rig_free(&never);
    rig_free(&always);
    enum { MANY = 4096 };
    env_rig some = RIG("MinAtar/Breakout-v1", MANY, "sticky_action_prob", "0.25");
    int moved = 0;
    for (int i = 0; i < MANY; i++)
        ((int32_t *)some.action)[i] = 1;
    rein_vec_step(some.vec, 0, MANY, &some.slab);
    for (int i = 0; i < MANY; i++)
        moved += ((uint8_t *)some.slab.obs)[i * 4 * MINATAR_CELLS + 9 * MINATAR_SIDE + 3];
    assert_true(fabs(moved - 0.75 * MANY) < 5 * sqrt(0.25 * 0.75 * MANY));
    rig_free(&some);
}

/* A game that may grow faster goes as the one that may not until the first time it does. */
static int first_difference(const char *id, int steps) {
    env_rig grows = RIG(id, N, "difficulty_ramping", "true"),
            stays = RIG(id, N, "difficulty_ramping", "false");
    size_t obs = rein_space_bytes(&rein_vec_type(grows.vec)->obs);
    int t = 0;
    while (t < steps && memcmp(grows.slab.obs, stays.slab.obs, N * obs) == 0) {
        rig_step(&grows);
        rig_step(&stays);
        t++;
    }
    rig_free(&grows);
    rig_free(&stays);
    return t;
}

static void test_ramping(void **state) {
    int asterix = first_difference("MinAtar/Asterix-v1", 2000);
    assert_true(asterix > 102 && asterix < 2000);
    assert_int_equal(first_difference("MinAtar/Breakout-v1", 500), 500);
    assert_int_equal(first_difference("MinAtar/Freeway-v1", 500), 500);
}

/* ---- a submarine --------------------------------------------------------------------------------------------------- */

/* After a full load the crew is one fewer than none, which counts as some: surfacing goes on, downwards. */
static void test_surfaces_for_ever(void **state) {
    const minatar_config config = {0};
    seaquest_state s;
    rein_rng rng = rein_rng_make(1, 0);
    uint8_t obs[3 * MOST_OBS];
    seaquest_reset(&config, &s, &rng);
    s.crew = SEAQUEST_CREW;
    s.y = 1;
    for (int t = 0; t < 1000; t++) {
        const int32_t action = t % 2 == 0 ? MINATAR_UP : MINATAR_DOWN;
        memset(s.fish, 0, sizeof s.fish);
        memset(s.subs, 0, sizeof s.subs);
        memset(s.divers, 0, sizeof s.divers);
        memset(s.bullets_left, 0, sizeof s.bullets_left);
        memset(s.bullets_right, 0, sizeof s.bullets_right);
        s.surfaced &= t > 0;
        rein_step step = seaquest_v0_step(&config, &s, &action, &rng);
        assert_false(step.terminated);
        assert_true(step.reward == (t == 0 ? 10 : 0));
        assert_int_equal(s.crew, -1 - t / 2);
        memset(obs, 7, sizeof obs);
        seaquest_observe(&config, &s, obs + MOST_OBS);
        for (int i = 0; i < MOST_OBS; i++)
            assert_true(obs[i] == 7 && obs[MOST_OBS + i] <= 1 && obs[2 * MOST_OBS + i] == 7);
        assert_int_equal(obs[MOST_OBS + SEAQUEST_GAUGE * MINATAR_CELLS + 98], 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_action_sets),       cmocka_unit_test(test_together),
        cmocka_unit_test(test_sticky_actions),    cmocka_unit_test(test_ramping),
        cmocka_unit_test(test_surfaces_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
