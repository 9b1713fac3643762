/*
 * test_env_save.c - a saved vector has the same future, bit for bit; damaged and foreign data are refused.
 */
#include "unit/env_rig.h"
#include "unit/env_counter.h"

enum { N = 21 };

/* Runs, saves, runs on; another vector loads and must run on alike. */
static void check_future(const rein_env_type *type, int steps) {
    env_rig rig = rig_make(type, &(rein_vec_opts){.n = N, .seed = 3});
    env_rig other = rig_make(type, &(rein_vec_opts){.n = N, .seed = 777});
    rig_run(&rig, steps);
    rig_run(&other, 3);
    size_t size = rein_vec_save_size(rig.vec);
    unsigned char *saved = rig_array(size + 1, 1), *again = rig_array(size, 1);
    rein_vec_save(rig.vec, saved + 1); /* no alignment is asked for */
    rein_rng rng = rig.rng;

    assert_ok(rein_vec_load(other.vec, saved + 1, size));
    rein_vec_save(other.vec, again);
    assert_memory_equal(again, saved + 1, size);
    other.rng = rng;
    rein_vec_observe(rig.vec, 0, N, &rig.slab);
    rein_vec_observe(other.vec, 0, N, &other.slab);
    memset(rig.slab.final_obs, 0, N * rein_space_bytes(&type->obs));
    memset(other.slab.final_obs, 0, N * rein_space_bytes(&type->obs));
    memset(rig.slab.ep_return, 0, N * sizeof(float));
    memset(other.slab.ep_return, 0, N * sizeof(float));
    memset(rig.slab.ep_length, 0, N * sizeof(int32_t));
    memset(other.slab.ep_length, 0, N * sizeof(int32_t));
    memset(rig.slab.ep_cost, 0, N * (size_t)type->n_costs * sizeof(float));
    memset(other.slab.ep_cost, 0, N * (size_t)type->n_costs * sizeof(float));
    assert_true(rig_run(&rig, 300) == rig_run(&other, 300));
    free(saved);
    free(again);
    rig_free(&rig);
    rig_free(&other);
}

static void test_plain(void **state) {
    const rein_env_type *type;
    for (int i = 0; (type = rein_env_at(i)) != NULL; i++)
        if (rig_opens(type) && !type->create)
            check_future(type, 137);
    check_future(&counter_type, 137);
}

static void test_handles(void **state) {
    assert_int_equal(counter_handles, 0);
    check_future(&counter_handle_type, 137);
    assert_int_equal(counter_handles, 0);
}

/* Handles and plain states of the same process behave alike. */
static void test_handles_equal_plain(void **state) {
    env_rig plain = rig_make(&counter_type, &(rein_vec_opts){.n = N, .seed = 3});
    env_rig handles = rig_make(&counter_handle_type, &(rein_vec_opts){.n = N, .seed = 3});
    assert_int_equal(counter_handles, N);
    assert_true(rig_run(&plain, 100) == rig_run(&handles, 100));
    rig_free(&plain);
    rig_free(&handles);
    assert_int_equal(counter_handles, 0);
}

static void test_create_fails(void **state) {
    rein_vec *vec;
    counter_handles_max = 5;
    assert_fails(rein_vec_new(&counter_handle_type, &(rein_vec_opts){.n = 9}, &vec), REIN_NOMEM,
                 "number 5 of 9");
    counter_handles_max = 1 << 30;
    assert_null(vec);
    assert_int_equal(counter_handles, 0);
}

static void test_refused(void **state) {
    rein_vec *vec, *fewer, *other;
    const rein_env_type *pendulum = rein_env_find("Pendulum-v1");
    assert_ok(rein_vec_new(pendulum, &(rein_vec_opts){.n = 4, .seed = 1}, &vec));
    assert_ok(rein_vec_new(pendulum, &(rein_vec_opts){.n = 3}, &fewer));
    assert_ok(rein_vec_new(rein_env_find("MountainCar-v0"), &(rein_vec_opts){.n = 4}, &other));
    size_t size = rein_vec_save_size(vec);
    unsigned char *saved = rig_array(size, 1), *now = rig_array(size, 1);
    rein_vec_save(vec, saved);
    assert_fails(rein_vec_load(fewer, saved, size), REIN_MISMATCH, "4 were saved, the vector has 3");
    assert_fails(rein_vec_load(other, saved, size), REIN_MISMATCH, "MountainCar-v0");
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(rein_vec_load(vec, saved, cut), REIN_FORMAT);
    int32_t clock = -1;
    memcpy(saved + size - sizeof clock, &clock, sizeof clock);
    assert_fails(rein_vec_load(vec, saved, size), REIN_FORMAT, "number 3 has a negative clock");
    memset(saved + size - sizeof clock, 0, sizeof clock);
    saved[0] ^= 1;
    assert_fails(rein_vec_load(vec, saved, size), REIN_FORMAT, "header");
    saved[0] ^= 1;
    rein_vec_save(vec, now);
    assert_memory_equal(now, saved, size);
    free(saved);
    free(now);
    rein_vec_free(vec);
    rein_vec_free(fewer);
    rein_vec_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_handles),
        cmocka_unit_test(test_handles_equal_plain),
        cmocka_unit_test(test_create_fails),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
