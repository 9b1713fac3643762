/*
 * test_env_golden.c - every transition that Gymnasium made, from Gymnasium's own state.
 *
 * Each recorded row is reproduced twice: in order through a vector of one environment, whose clock cuts the
 * episodes, and all rows of a file at once through the range path. Observations and rewards agree within
 * 1e-5, relative to max(1, |x|); flags, episode returns and lengths agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <rein/env.h>
#include "golden/env_table.h"

#define TOLERANCE 1e-5

static table recorded;
static double worst; /* largest error of the test so far */

/* The built-in states begin with Gymnasium's state variables, as floats. */
static void put_state(rein_vec *vec, int i, const table_row *row) {
    float *state = rein_vec_state(vec, i);
    for (int k = 0; k < recorded.state_size; k++)
        state[k] = (float)row->state[k];
}

static void put_action(const rein_env_type *type, void *actions, int i, const table_row *row) {
    for (int k = 0; k < recorded.act_size; k++) {
        if (type->act.kind == REIN_SPACE_BOX)
            ((float *)actions)[i * recorded.act_size + k] = (float)row->action[k];
        else
            ((int32_t *)actions)[i * recorded.act_size + k] = (int32_t)row->action[k];
    }
}

static void check_number(const char *what, int at, double found, double expected) {
    double error = table_error(found, expected);
    worst = error > worst ? error : worst;
    if (!(error <= TOLERANCE))
        fail_msg("%s, row %d, %s: %.9g found, %.9g expected", recorded.id, at, what, found, expected);
}

static const rein_env_type *read_table(const char *file) {
    if (!table_read(&recorded, file))
        fail_msg("%s is missing or malformed", file);
    const rein_env_type *type = rein_env_find(recorded.id);
    assert_non_null(type);
    assert_int_equal(recorded.obs_size, type->obs.size);
    assert_int_equal(recorded.act_size, type->act.size);
    worst = 0;
    return type;
}

static rein_vec *make_vec(const rein_env_type *type, int n) {
    rein_vec *vec;
    assert_int_equal(rein_vec_new(type, &(rein_vec_opts){.n = n}, &vec), REIN_OK);
    return vec;
}

/* ---- in order, with the vector's clock ----------------------------------------------------------------- */

static void check_in_order(const char *file) {
    const rein_env_type *type = read_table(file);
    rein_vec *vec = NULL;
    double episode_return = 0;
    int ends[2] = {0, 0};
    for (int i = 0; i < recorded.n; i++) {
        const table_row *row = &recorded.row[i];
        float action[2], obs[8], final_obs[8], reward, ep_return = 0;
        uint8_t terminated, truncated;
        int32_t ep_length = 0;
        rein_slab slab = {.action = action,
                          .obs = obs,
                          .reward = &reward,
                          .terminated = &terminated,
                          .truncated = &truncated,
                          .final_obs = final_obs,
                          .ep_return = &ep_return,
                          .ep_length = &ep_length};
        if (i == 0 || row->run != recorded.row[i - 1].run) {
            rein_vec_free(vec);
            vec = make_vec(type, 1);
        }
        put_state(vec, 0, row);
        put_action(type, action, 0, row);
        rein_vec_step(vec, 0, 1, &slab);

        bool ended = row->terminated || row->truncated;
        episode_return = row->elapsed == 1 ? row->reward : episode_return + row->reward;
        assert_int_equal(terminated, row->terminated);
        assert_int_equal(truncated, row->truncated);
        check_number("reward", i, reward, row->reward);
        for (int k = 0; k < recorded.obs_size; k++)
            check_number("observation", i, (ended ? final_obs : obs)[k], row->obs[k]);
        if (ended) {
            assert_int_equal(ep_length, row->elapsed);
            check_number("return", i, ep_return, episode_return);
        }
        ends[0] += row->terminated;
        ends[1] += row->truncated;
    }
    rein_vec_free(vec);
    assert_true(ends[1] > 0);
    assert_true(ends[0] > 0 || strcmp(recorded.id, "Pendulum-v1") == 0);
    print_message("%s: %d rows, %d terminated, %d truncated, largest error %.2g\n", recorded.id, recorded.n,
                  ends[0], ends[1], worst);
}

/* ---- all rows at once ---------------------------------------------------------------------------------- */

static void check_at_once(const char *file) {
    static float action[TABLE_ROWS * 2], obs[TABLE_ROWS * 8], final_obs[TABLE_ROWS * 8], reward[TABLE_ROWS];
    static uint8_t terminated[TABLE_ROWS], truncated[TABLE_ROWS];
    const rein_env_type *type = read_table(file);
    rein_slab slab = {.action = action,
                      .obs = obs,
                      .reward = reward,
                      .terminated = terminated,
                      .truncated = truncated,
                      .final_obs = final_obs};
    rein_vec *vec = make_vec(type, recorded.n);
    for (int i = 0; i < recorded.n; i++) {
        put_state(vec, i, &recorded.row[i]);
        put_action(type, action, i, &recorded.row[i]);
    }
    rein_vec_step(vec, 0, recorded.n, &slab);
    rein_vec_free(vec);
    for (int i = 0; i < recorded.n; i++) {
        const table_row *row = &recorded.row[i];
        assert_int_equal(terminated[i], row->terminated);
        check_number("reward", i, reward[i], row->reward);
        for (int k = 0; k < recorded.obs_size; k++)
            check_number("observation", i, (terminated[i] ? final_obs : obs)[i * recorded.obs_size + k],
                         row->obs[k]);
    }
}

/* ---- the tests ----------------------------------------------------------------------------------------- */

static void test_in_order(void **state) {
    check_in_order(*state);
}

static void test_at_once(void **state) {
    check_at_once(*state);
}

int main(void) {
    static char cartpole[] = "env_cartpole_v1.txt", mountain_car[] = "env_mountaincar_v0.txt";
    static char continuous[] = "env_mountaincarcontinuous_v0.txt", pendulum[] = "env_pendulum_v1.txt";
    static char acrobot[] = "env_acrobot_v1.txt";
    const struct CMUnitTest tests[] = {
        {"cartpole in order", test_in_order, NULL, NULL, cartpole},
        {"cartpole at once", test_at_once, NULL, NULL, cartpole},
        {"mountain car in order", test_in_order, NULL, NULL, mountain_car},
        {"mountain car at once", test_at_once, NULL, NULL, mountain_car},
        {"mountain car continuous in order", test_in_order, NULL, NULL, continuous},
        {"mountain car continuous at once", test_at_once, NULL, NULL, continuous},
        {"pendulum in order", test_in_order, NULL, NULL, pendulum},
        {"pendulum at once", test_at_once, NULL, NULL, pendulum},
        {"acrobot in order", test_in_order, NULL, NULL, acrobot},
        {"acrobot at once", test_at_once, NULL, NULL, acrobot},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
