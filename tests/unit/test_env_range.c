/*
 * test_env_range.c - the range path equals the scalar path bit for bit, at every instruction-set level.
 */
#include "unit/env_rig.h"
#include <math.h>
#include "env/env_simd.h"

enum { ENVS = 77, STEPS = 600 };

static uint64_t run(const rein_env_type *type, const void *config, int n, int steps) {
    env_rig rig = rig_make(type, &(rein_vec_opts){.n = n, .seed = 5, .config = config});
    uint64_t hash = rig_run(&rig, steps);
    rig_free(&rig);
    return hash;
}

static void compare(const rein_env_type *type, const void *config, int n, int steps) {
    rein_env_type scalar = *type;
    scalar.step_range = NULL;
    uint64_t expected = run(&scalar, config, n, steps);
    for (int level = REINI_ISA_PORTABLE; level <= REINI_ISA_AVX512; level++) {
        reini_isa_cap(level);
        if (run(type, config, n, steps) != expected)
            fail_msg("%s, %d environments, level %d: the paths differ", type->id, n, level);
    }
    reini_isa_cap(-1);
}

static void test_defaults(void **state) {
    const rein_env_type *type;
    int compared = 0;
    for (int i = 0; (type = rein_env_at(i)) != NULL; i++) {
        if (!type->step_range)
            continue;
        compare(type, NULL, ENVS, STEPS);
        for (int n = 1; n <= 20; n++)
            compare(type, NULL, n, 30);
        compared++;
    }
    assert_int_equal(compared, 15);
}

/* A config in which every number lies somewhere near its default and every choice is the last. */
static void perturb(const rein_env_type *type, void *config, uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 0);
    for (int i = 0; i < type->n_fields; i++) {
        const rein_field *field = &type->fields[i];
        void *at = (char *)config + field->offset;
        if (field->kind == REIN_FIELD_REAL) {
            double value = *(double *)at * (0.8 + 0.4 * rein_rng_uniform64(&rng));
            *(double *)at = fmin(fmax(value, field->low), field->high);
        } else if (field->kind == REIN_FIELD_BOOL || field->kind == REIN_FIELD_ENUM) {
            *(int *)at = 1;
        }
    }
}

static void test_perturbed(void **state) {
    const rein_env_type *type;
    for (int i = 0; (type = rein_env_at(i)) != NULL; i++) {
        double config[64];
        if (!type->step_range)
            continue;
        assert_true(type->config_size <= sizeof config);
        rein_fields_default(type->fields, type->n_fields, config);
        perturb(type, config, 17);
        if (rein_fields_find(type->fields, type->n_fields, "torque_noise_max") >= 0)
            assert_ok(rein_fields_set(type->fields, type->n_fields, config, "torque_noise_max", "0.3"));
        compare(type, config, ENVS, STEPS);
        uint64_t plain = run(type, NULL, ENVS, STEPS);
        assert_true(run(type, config, ENVS, STEPS) != plain);
    }
}

/* The noise on Acrobot's torque follows the seed. */
static void test_noise(void **state) {
    const rein_env_type *type = rein_env_find("Acrobot-v1");
    double config[64];
    rein_fields_default(type->fields, type->n_fields, config);
    assert_ok(rein_fields_set(type->fields, type->n_fields, config, "torque_noise_max", "1"));
    assert_true(run(type, config, 8, 100) == run(type, config, 8, 100));
    assert_true(run(type, config, 8, 100) != run(type, NULL, 8, 100));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_perturbed),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
