/*
 * test_env_free_run.c - whole episodes of Gymnasium's from their first state, in double precision.
 *
 * Built with REIN_ENV_REAL=double and the environments' sources in this file: with Gymnasium's precision the
 * recorded actions must lead through Gymnasium's observations, within 1e-4, up to the end of each episode. It
 * shows that the equations agree, beyond what single steps of 32 bits can. Long episodes are put back on the
 * recorded state every 250 steps: a balanced pole multiplies a difference by e^4 per second.
 */
#ifndef REIN_ENV_REAL
#define REIN_ENV_REAL double
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <rein/env.h>
#include "env/env_types.h"
#include "golden/env_table.h"

/* beside the library's own types of these names */
#define reini_env_cartpole                free_run_cartpole
#define reini_env_mountain_car            free_run_mountain_car
#define reini_env_mountain_car_continuous free_run_mountain_car_continuous
#define reini_env_pendulum                free_run_pendulum
#define reini_env_acrobot                 free_run_acrobot
extern const rein_env_type free_run_cartpole, free_run_mountain_car, free_run_mountain_car_continuous;
extern const rein_env_type free_run_pendulum, free_run_acrobot;
#include "env/control/cartpole.c"
#include "env/control/mountain_car.c"
#include "env/control/mountain_car_continuous.c"
#include "env/control/pendulum.c"
#include "env/control/acrobot.c"

#define TOLERANCE 1e-4
#define RESEAT    250 /* steps; these rows have their state to 17 digits */

_Static_assert(sizeof(real) == sizeof(double), "this test is about double precision");

static table recorded;

/* The states begin with Gymnasium's variables; MountainCarContinuous has 32 bits, as Gymnasium does. */
static void put_state(const rein_env_type *type, void *state, const table_row *row) {
    for (int k = 0; k < recorded.state_size; k++) {
        if (type == &free_run_mountain_car_continuous)
            ((float *)state)[k] = (float)row->state[k];
        else
            ((double *)state)[k] = row->state[k];
    }
}

static void free_run(const rein_env_type *type, const char *file) {
    double config[32], state[8] = {0}, worst = 0;
    int episodes = 0;
    assert_true(type->config_size <= sizeof config && type->state_size <= sizeof state);
    rein_fields_default(type->fields, type->n_fields, config);
    if (!table_read(&recorded, file))
        fail_msg("%s is missing or malformed", file);
    for (int i = 0; i < recorded.n; i++) {
        const table_row *row = &recorded.row[i];
        float obs[8], box[2] = {(float)row->action[0], (float)row->action[1]};
        int32_t discrete = (int32_t)row->action[0];
        if (row->elapsed % RESEAT == 1)
            put_state(type, state, row);
        episodes += row->elapsed == 1;
        const void *action = type->act.kind == REIN_SPACE_BOX ? (const void *)box : &discrete;
        rein_step step = type->step(config, state, action, NULL);
        type->observe(config, state, obs);
        if (step.terminated != row->terminated)
            fail_msg("%s, row %d: terminated %d found, %d expected", recorded.id, i, step.terminated,
                     row->terminated);
        for (int k = -1; k < recorded.obs_size; k++) {
            double found = k < 0 ? step.reward : obs[k], expected = k < 0 ? row->reward : row->obs[k];
            double error = table_error(found, expected);
            if (!(error <= TOLERANCE))
                fail_msg("%s, row %d, %s %d: %.9g found, %.9g expected", recorded.id, i,
                         k < 0 ? "reward" : "observation", k, found, expected);
            worst = error > worst ? error : worst;
        }
    }
    print_message("%s: %d episodes, %d steps, largest error %.2g\n", recorded.id, episodes, recorded.n,
                  worst);
}

static void test_cartpole(void **state) {
    free_run(&free_run_cartpole, "env_cartpole_v1.txt");
}

static void test_mountain_car(void **state) {
    free_run(&free_run_mountain_car, "env_mountaincar_v0.txt");
}

static void test_mountain_car_continuous(void **state) {
    free_run(&free_run_mountain_car_continuous, "env_mountaincarcontinuous_v0.txt");
}

static void test_pendulum(void **state) {
    free_run(&free_run_pendulum, "env_pendulum_v1.txt");
}

static void test_acrobot(void **state) {
    free_run(&free_run_acrobot, "env_acrobot_v1.txt");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cartpole),
        cmocka_unit_test(test_mountain_car),
        cmocka_unit_test(test_mountain_car_continuous),
        cmocka_unit_test(test_pendulum),
        cmocka_unit_test(test_acrobot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
