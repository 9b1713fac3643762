/*
 * test_env_registry.c - finding the built-in environments, and what registering refuses.
 */
#include "support/check.h"
#include <math.h>
#include <stdio.h>
#include <rein/env.h>
#include "env/env_types.h"

/* ---- built-in types ------------------------------------------------------------------------------------ */

typedef struct fact {
    const char *id;
    int horizon;
    double threshold;
    const char *obs, *act;
} fact;

static const fact facts[] = {
    {"CartPole-v1", 500, 475, "Box(4, -4.8..4.8, -inf..inf, -0.41888..0.41888, -inf..inf)", "Discrete(2)"},
    {"MountainCar-v0", 200, -110, "Box(2, -1.2..0.6, -0.07..0.07)", "Discrete(3)"},
    {"MountainCarContinuous-v0", 999, 90, "Box(2, -1.2..0.6, -0.07..0.07)", "Box(1, -1..1)"},
    {"Pendulum-v1", 200, NAN, "Box(3, -1..1, -1..1, -8..8)", "Box(1, -2..2)"},
    {"Acrobot-v1", 500, -100, "Box(6, -1..1, -1..1, -1..1, -1..1, -12.566..12.566, -28.274..28.274)",
     "Discrete(3)"},
    {"CartPoleNoVel-v1", 500, 475, "Box(2, -4.8..4.8, -0.41888..0.41888)", "Discrete(2)"},
    {"PendulumNoVel-v1", 200, NAN, "Box(2, -1..1)", "Box(1, -2..2)"},
    {"MountainCarNoVel-v0", 200, -110, "Box(1, -1.2..0.6)", "Discrete(3)"},
    {"MountainCarContinuousNoVel-v0", 999, 90, "Box(1, -1.2..0.6)", "Box(1, -1..1)"},
    {"Identity-v0", 100, 95, "Box(4, 0..1)", "Discrete(4)"},
    {"IdentityMultiDiscrete-v0", 100, 95, "Box(5, 0..1)", "MultiDiscrete(3, 2)"},
    {"IdentityBox-v0", 100, 95, "Box(1, -1..1)", "Box(1, -1..1)"},
    {"IdentityMasked-v0", 100, 95, "Box(4, 0..1)", "Discrete(4)"},
    {"TimeLimit-v0", 10, NAN, "Box(1, 0..1)", "Discrete(2)"},
    {"FrozenLake-v1", 100, 0.7, "Discrete(16)", "Discrete(4)"},
    {"FrozenLake8x8-v1", 200, 0.85, "Discrete(64)", "Discrete(4)"},
    {"CliffWalking-v1", 0, NAN, "Discrete(48)", "Discrete(4)"},
    {"CliffWalkingSlippery-v1", 0, NAN, "Discrete(48)", "Discrete(4)"},
    {"Taxi-v3", 200, 8, "Discrete(500)", "Discrete(6)"},
    {"Taxi-v4", 200, 8, "Discrete(500)", "Discrete(6)"},
    {"Blackjack-v1", 0, NAN, "MultiDiscrete(32, 11, 2)", "Discrete(2)"},
    {"LineCost-v0", 100, NAN, "Discrete(4)", "Discrete(2)"},
    {"LineGoal-v0", 100, NAN, "Discrete(4)", "Discrete(2)"},
    {"LineSlip-v0", 100, NAN, "Discrete(4)", "Discrete(2)"},
    {"RandomWalk-v0", 0, NAN, "Discrete(7)", "Discrete(1)"},
    {"Maze-v0", 1000, NAN, "Discrete(106)", "Discrete(4)"},
    {"CostGrid-v1", 100, NAN, "Discrete(60)", "Discrete(4)"},
    {"Mdp-v0", 0, NAN, "Discrete(1)", "Discrete(1)"},
    {"MinAtar/Asterix-v0", 0, NAN, "Image(4x10x10)", "Discrete(6)"},
    {"MinAtar/Asterix-v1", 0, NAN, "Image(4x10x10)", "Discrete(5)"},
    {"MinAtar/Breakout-v0", 0, NAN, "Image(4x10x10)", "Discrete(6)"},
    {"MinAtar/Breakout-v1", 0, NAN, "Image(4x10x10)", "Discrete(3)"},
    {"MinAtar/Freeway-v0", 0, NAN, "Image(7x10x10)", "Discrete(6)"},
    {"MinAtar/Freeway-v1", 0, NAN, "Image(7x10x10)", "Discrete(3)"},
    {"MinAtar/Seaquest-v0", 0, NAN, "Image(10x10x10)", "Discrete(6)"},
    {"MinAtar/Seaquest-v1", 0, NAN, "Image(10x10x10)", "Discrete(6)"},
    {"MinAtar/SpaceInvaders-v0", 0, NAN, "Image(6x10x10)", "Discrete(6)"},
    {"MinAtar/SpaceInvaders-v1", 0, NAN, "Image(6x10x10)", "Discrete(4)"},
};

static void test_builtin(void **state) {
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        char text[256];
        const rein_env_type *type = rein_env_find(facts[i].id);
        assert_non_null(type);
        assert_ptr_equal(type, rein_env_at((int)i));
        assert_int_equal(type->horizon, facts[i].horizon);
        assert_true(type->reward_threshold == facts[i].threshold ||
                    (isnan(type->reward_threshold) && isnan(facts[i].threshold)));
        rein_space_print(&type->obs, text, sizeof text);
        assert_string_equal(text, facts[i].obs);
        rein_space_print(&type->act, text, sizeof text);
        assert_string_equal(text, facts[i].act);
    }
    assert_null(rein_env_at(-1));
    /* what follows is built with libmujoco only: simulators (test_mujoco.c) */
    const rein_env_type *type;
    for (int i = (int)(sizeof facts / sizeof *facts); (type = rein_env_at(i)) != NULL; i++)
        assert_non_null(type->create);
}

/* The built-in types pass the checks of user types, the taken id excepted; their defaults are in range. */
static void test_builtin_well_formed(void **state) {
    const rein_env_type *type;
    for (int i = 0; (type = rein_env_at(i)) != NULL; i++) {
        double config[64];
        assert_fails(rein_env_register(type), REIN_USAGE, "exists already");
        assert_true(type->config_size <= sizeof config);
        if (type->config_size == 0)
            continue;
        rein_fields_default(type->fields, type->n_fields, config);
        assert_ok(rein_fields_check(type->fields, type->n_fields, config));
    }
}

static void test_find_fails(void **state) {
    assert_null(rein_env_find("CartPole-v2"));
    assert_non_null(strstr(rein_error(), "CartPole-v1"));
    assert_non_null(strstr(rein_error(), "rein list envs"));
    assert_null(rein_env_find("something else altogether"));
    assert_non_null(strstr(rein_error(), "rein list envs"));
    assert_null(rein_env_find(""));
    assert_null(rein_env_find(NULL));
}

/* ---- registering --------------------------------------------------------------------------------------- */

static void reset(const void *config, void *state, rein_rng *rng) {
}

static rein_step step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){0};
}

static void observe(const void *config, const void *state, void *obs) {
    *(float *)obs = 0;
}

static void mask(const void *config, const void *state, uint8_t *mask) {
    mask[0] = mask[1] = 1;
}

static void step_range(const void *config, void *states, rein_rng *rng, const void *actions, int n,
                       float *reward, uint8_t *terminated, uint8_t *truncated, void *obs) {
}

static void *create(const void *config) {
    return NULL;
}

static void destroy(void *handle) {
}

static void save(const void *handle, void *buffer) {
}

static void load(void *handle, const void *buffer) {
}

static const rein_env_type good = {
    .abi = REIN_ENV_ABI,
    .id = "user/Good-v0",
    .doc = "nothing happens",
    .obs = REINI_BOX(1, NULL, NULL),
    .act = REINI_DISCRETE(2),
    .reset = reset,
    .step = step,
    .observe = observe,
};

static void test_register(void **state) {
    int n = 0;
    while (rein_env_at(n))
        n++;
    assert_null(rein_env_find(good.id));
    assert_ok(rein_env_register(&good));
    assert_ptr_equal(rein_env_find(good.id), &good);
    assert_ptr_equal(rein_env_at(n), &good);
    assert_null(rein_env_at(n + 1));
    assert_fails(rein_env_register(&good), REIN_USAGE, "exists already");
}

#define REFUSED(status, words, ...)                                                                          \
    do {                                                                                                     \
        rein_env_type type = good;                                                                           \
        type.id = "user/Bad-v0";                                                                             \
        __VA_ARGS__;                                                                                         \
        assert_fails(rein_env_register(&type), status, words);                                               \
        assert_null(rein_env_find("user/Bad-v0"));                                                           \
    } while (0)

static void test_refused(void **state) {
    static const rein_field field = {REIN_FIELD_INT, "count", "1", 0, 9, NULL, "a number", 8};
    assert_fails(rein_env_register(NULL), REIN_USAGE, "id");
    REFUSED(REIN_USAGE, "id", type.id = NULL);
    REFUSED(REIN_USAGE, "1 to 64", type.id = "");
    REFUSED(REIN_USAGE, "letters", type.id = "with space");
    REFUSED(REIN_USAGE, "exists already", type.id = "CartPole-v1");
    REFUSED(REIN_UNSUPPORTED, "ABI", type.abi = REIN_ENV_ABI + 1);
    REFUSED(REIN_USAGE, "doc", type.doc = NULL);
    REFUSED(REIN_USAGE, "horizon", type.horizon = -1);
    REFUSED(REIN_USAGE, "needed", type.reset = NULL);
    REFUSED(REIN_USAGE, "needed", type.step = NULL);
    REFUSED(REIN_USAGE, "needed", type.observe = NULL);
    REFUSED(REIN_USAGE, "all four", type.create = create);
    REFUSED(REIN_USAGE, "all four", type.save = save; type.load = load);
    REFUSED(REIN_USAGE, "plain states", type.create = create; type.destroy = destroy; type.save = save;
            type.load = load; type.step_range = step_range);
    REFUSED(REIN_USAGE, "discrete action space", type.mask = mask;
            type.act = (rein_space)REINI_BOX(1, NULL, NULL));
    REFUSED(REIN_USAGE, "observation space", type.obs.size = 0);
    REFUSED(REIN_USAGE, "action space", type.act.n[0] = 0);
    REFUSED(REIN_USAGE, "image",
            type.act = (rein_space){.kind = REIN_SPACE_IMAGE, .size = 1, .shape = {1, 1, 1}});
    REFUSED(REIN_USAGE, "fields", type.n_fields = 1; type.config_size = 16);
    REFUSED(REIN_USAGE, "fields", type.n_fields = 1; type.fields = &field);
    REFUSED(REIN_USAGE, "outside", type.n_fields = 1; type.fields = &field; type.config_size = 8);
}

/* 256 types fit, good included. Last, because types cannot be taken back. */
static void test_register_limit(void **state) {
    static rein_env_type types[256];
    static char ids[256][20];
    for (int i = 0; i < 256; i++) {
        snprintf(ids[i], sizeof ids[i], "user/%d", i);
        types[i] = good;
        types[i].id = ids[i];
        if (i < 255)
            assert_ok(rein_env_register(&types[i]));
        else
            assert_fails(rein_env_register(&types[i]), REIN_USAGE, "256");
    }
    assert_ptr_equal(rein_env_find("user/254"), &types[254]);
    assert_null(rein_env_find("user/255"));
    assert_ptr_equal(rein_env_find("CartPole-v1"), rein_env_at(0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin),    cmocka_unit_test(test_builtin_well_formed),
        cmocka_unit_test(test_find_fails), cmocka_unit_test(test_register),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_register_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
