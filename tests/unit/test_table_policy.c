/*
 * test_table_policy.c - policies over numbered states: how they act, their files, damaged files.
 */
#include <math.h>
#include <stdlib.h>
#include "base/safetensors.h"
#include "env/env_types.h"
#include "rl/table_policy.h"
#include "support/check.h"
#include "support/temp_dir.h"

static const rein_env_type grid = {.id = "Grid-v0", .obs = REINI_DISCRETE(6), .act = REINI_DISCRETE(3)};
static const rein_env_type pairs = {
    .id = "Pairs-v0",
    .obs = {.kind = REIN_SPACE_MULTI_DISCRETE, .size = 3, .n = {2, 3, 4}},
    .act = {.kind = REIN_SPACE_MULTI_DISCRETE, .size = 2, .n = {3, 2}},
};

static reini_table_policy *make(const rein_env_type *env, int parts, int32_t horizon) {
    reini_table_policy *p = NULL;
    assert_ok(reini_table_policy_new("test", env, parts, horizon, 0.9, &p));
    return p;
}

/* numbers in [-1, 1) */
static void fill(double *x, int64_t n, uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = 2 * rein_rng_uniform64(&rng) - 1;
}

static int32_t act_in(reini_table_policy *p, int64_t t, int32_t s, const uint8_t *mask) {
    int32_t action = -1;
    rein_policy_act_at(&p->base, t, 1, &s, mask, NULL, &action);
    return action;
}

/* ---- acting -------------------------------------------------------------------------------------------- */

static void test_q_takes_the_first_largest_allowed(void **state) {
    reini_table_policy *p = make(&grid, REINI_TABLE_Q, 1);
    const double q[] = {1, 2, 2};
    memcpy(p->q + 2 * 3, q, sizeof q);
    assert_int_equal(act_in(p, 0, 2, NULL), 1);
    assert_int_equal(act_in(p, 0, 2, (const uint8_t[]){1, 0, 1}), 2);
    assert_int_equal(act_in(p, 0, 2, (const uint8_t[]){1, 0, 0}), 0);
    assert_int_equal(act_in(p, 0, 0, (const uint8_t[]){0, 1, 1}), 1); /* all equal: the first allowed */
    p->q[0] = p->q[1] = p->q[2] = -INFINITY;
    assert_int_equal(act_in(p, 0, 0, (const uint8_t[]){0, 0, 1}), 2);
    rein_policy_free(&p->base);
}

static void test_plans_act_by_time(void **state) {
    reini_table_policy *p = make(&grid, REINI_TABLE_ACTION | REINI_TABLE_Q, 4);
    for (int i = 0; i < 4 * 6; i++)
        p->action[i] = i % 3;
    p->action[2 * 6 + 5] = -1;
    for (int t = 0; t < 7; t++)
        for (int32_t s = 0; s < 6; s++) {
            int row = t < 4 ? t : 3;
            int32_t expected = row == 2 && s == 5 ? 0 : (row * 6 + s) % 3;
            assert_int_equal(act_in(p, t, s, NULL), expected);
        }
    rein_policy_free(&p->base);
}

static void test_probabilities_are_drawn_from(void **state) {
    enum { N = 40000 };
    reini_table_policy *p = make(&grid, REINI_TABLE_PI, 1);
    const double pi[] = {0.2, 0.5, 0.3};
    const uint8_t masks[2][3] = {{1, 1, 1}, {1, 0, 1}};
    int32_t obs[N], action[N], again[N];
    uint8_t *mask = malloc(3 * N);
    memcpy(p->pi + 4 * 3, pi, sizeof pi);
    for (int m = 0; m < 2; m++) {
        double count[3] = {0}, sum = 0;
        for (int i = 0; i < N; i++) {
            obs[i] = 4;
            memcpy(mask + 3 * i, masks[m], 3);
        }
        rein_sampling sampling = {.seed = 3, .step = 7, .row_base = 11};
        rein_policy_act(&p->base, N, obs, mask, &sampling, action);
        /* row i draws the same whatever is asked beside it */
        sampling.row_base += 100;
        rein_policy_act(&p->base, 50, obs, mask, &sampling, again);
        assert_memory_equal(again, action + 100, 50 * sizeof *again);
        for (int i = 0; i < N; i++)
            count[action[i]]++;
        for (int a = 0; a < 3; a++)
            sum += masks[m][a] ? pi[a] : 0;
        for (int a = 0; a < 3; a++) {
            double expected = masks[m][a] ? pi[a] / sum : 0;
            double error = 5 * sqrt(expected * (1 - expected) / N);
            assert_true(fabs(count[a] / N - expected) <= error);
        }
    }
    assert_int_equal(act_in(p, 0, 4, NULL), 1); /* greedy: the most likely */
    free(mask);
    rein_policy_free(&p->base);
}

static void test_spaces_of_several_numbers(void **state) {
    reini_table_policy *p = make(&pairs, REINI_TABLE_ACTION, 1);
    assert_int_equal(p->n_states, 24);
    assert_int_equal(p->n_actions, 6);
    for (int32_t s = 0; s < 24; s++)
        p->action[s] = s % 6;
    for (int32_t i = 0, s = 0; i < 2; i++)
        for (int32_t j = 0; j < 3; j++)
            for (int32_t k = 0; k < 4; k++, s++) {
                int32_t obs[3] = {i, j, k}, action[2];
                rein_policy_act(&p->base, 1, obs, NULL, NULL, action);
                assert_int_equal(action[0] * 2 + action[1], s % 6);
                assert_in_range(action[1], 0, 1);
            }
    rein_policy_free(&p->base);
}

static void test_other_spaces_are_refused(void **state) {
    const rein_env_type box = {.id = "Box-v0", .obs = REINI_BOX(3, NULL, NULL), .act = REINI_DISCRETE(2)};
    reini_table_policy *p = NULL;
    assert_fails(reini_table_policy_new("sarsa", &box, REINI_TABLE_Q, 1, 1, &p), REIN_USAGE, "sarsa needs");
    assert_null(p);
}

static void test_tables_must_fit_the_memory(void **state) {
    const rein_env_type huge = {
        .id = "Huge-v0", .obs = REINI_DISCRETE(2000000000), .act = REINI_DISCRETE(2000000000)};
    reini_table_policy *p = NULL;
    assert_fails(reini_table_policy_new("sarsa", &huge, REINI_TABLE_Q | REINI_TABLE_PI, 1, 1, &p), REIN_NOMEM,
                 "2000000000");
    reini_memory_assume(1000);
    assert_fails(reini_table_policy_new("sarsa", &pairs, REINI_TABLE_Q, 1, 1, &p), REIN_NOMEM, "sarsa");
    reini_memory_assume(0);
    assert_null(p);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void same_tables(const reini_table_policy *a, const reini_table_policy *b) {
    size_t states = (size_t)a->n_states, all = states * (size_t)a->n_actions;
    assert_int_equal(a->horizon, b->horizon);
    assert_int_equal(a->cost, b->cost);
    assert_true(a->gamma == b->gamma);
    assert_true(!a->action == !b->action && !a->pi == !b->pi && !a->q == !b->q && !a->v == !b->v);
    if (a->action)
        assert_memory_equal(a->action, b->action, states * (size_t)a->horizon * sizeof *a->action);
    if (a->pi)
        assert_memory_equal(a->pi, b->pi, all * sizeof *a->pi);
    if (a->q)
        assert_memory_equal(a->q, b->q, all * sizeof *a->q);
    if (a->v)
        assert_memory_equal(a->v, b->v, states * sizeof *a->v);
}

static reini_table_policy *filled(const rein_env_type *env, int parts, int32_t horizon, bool cost) {
    reini_table_policy *p = make(env, parts, horizon);
    int64_t all = (int64_t)p->n_states * p->n_actions;
    p->cost = cost;
    for (int64_t i = 0; p->action && i < (int64_t)p->n_states * horizon; i++)
        p->action[i] = (int32_t)(i % (p->n_actions + 1)) - 1;
    for (int64_t i = 0; p->pi && i < all; i++)
        p->pi[i] = 1.0 / p->n_actions;
    if (p->q) {
        fill(p->q, all, 1);
        p->q[1] = -INFINITY;
    }
    if (p->v)
        fill(p->v, p->n_states, 2);
    return p;
}

static void test_files_give_back_the_same_tables(void **state) {
    const int parts[] = {REINI_TABLE_Q, REINI_TABLE_ACTION | REINI_TABLE_V, REINI_TABLE_PI | REINI_TABLE_V,
                         REINI_TABLE_ACTION | REINI_TABLE_PI | REINI_TABLE_Q | REINI_TABLE_V};
    for (int k = 0; k < 8; k++) {
        reini_table_policy *p = filled(k % 2 ? &pairs : &grid, parts[k / 2], k / 2 == 3 ? 5 : 1, k > 3);
        rein_policy *loaded = NULL;
        char was[65], is[65];
        assert_ok(rein_policy_save(&p->base, temp_path("table")));
        assert_ok(rein_policy_load(temp_path("table"), &loaded));
        assert_non_null(reini_table_of(loaded));
        same_tables(p, reini_table_of(loaded));
        rein_policy_sha256(&p->base, was);
        rein_policy_sha256(loaded, is);
        assert_string_equal(was, is);
        assert_string_equal(rein_policy_algo(loaded), "test");
        rein_policy_free(loaded);
        rein_policy_free(&p->base);
    }
}

static void test_files_hold_costs(void **state) {
    reini_table_policy *p = filled(&grid, REINI_TABLE_ACTION | REINI_TABLE_V | REINI_TABLE_Q, 1, true);
    reini_safetensors *st;
    p->v[0] = -3;
    p->v[3] = 0;
    assert_ok(rein_policy_save(&p->base, temp_path("cost")));
    assert_ok(reini_safetensors_open(temp_path("cost"), &st));
    const double *v = reini_safetensors_find(st, "v")->data;
    assert_true(v[0] == 3 && v[3] == 0 && !signbit(v[3]));
    reini_safetensors_close(st);
    rein_policy_free(&p->base);
}

/* writes the file again with one tensor or the description changed */
static void refused(const char *name, const char *dtype, int64_t rows, const void *data, size_t bytes,
                    const char *meta, rein_status status, const char *words) {
    reini_safetensors *st;
    reini_st_tensor tensors[4];
    rein_policy *policy = NULL;
    int n = 0;
    assert_ok(reini_safetensors_open(temp_path("good"), &st));
    for (int i = 0; i < reini_safetensors_count(st); i++) {
        tensors[n] = *reini_safetensors_at(st, i);
        if (name && strcmp(tensors[n].name, name) == 0) {
            if (!data)
                continue;
            tensors[n].dtype = dtype;
            tensors[n].shape[0] = rows;
            tensors[n].data = data;
            tensors[n].bytes = bytes;
        }
        n++;
    }
    const char *key = "rein.policy", *value = meta ? meta : reini_safetensors_meta(st, key);
    assert_ok(reini_safetensors_write(temp_path("bad"), tensors, n, &key, &value, 1));
    reini_safetensors_close(st);
    assert_fails(rein_policy_load(temp_path("bad"), &policy), status, words);
    assert_null(policy);
}

#define DESCRIBED(kind, rest)                                                                                \
    "{\"version\": 1, \"kind\": \"" kind "\", \"algo\": \"a\", \"env\": \"Grid-v0\", "                       \
    "\"obs\": {\"kind\": \"discrete\", \"size\": 1, \"n\": [6]}, "                                           \
    "\"act\": {\"kind\": \"discrete\", \"size\": 1, \"n\": [3]}" rest "}"

static void test_damaged_files(void **state) {
    reini_table_policy *p = filled(&grid, REINI_TABLE_ACTION | REINI_TABLE_PI | REINI_TABLE_V, 1, false);
    int32_t action[6] = {0, 1, 3, 0, 0, 0};
    double pi[18] = {1.5}, v[6] = {0, NAN};
    float v32[6] = {0};
    assert_ok(rein_policy_save(&p->base, temp_path("good")));
    rein_policy_free(&p->base);
    refused("action", "I32", 1, action, sizeof action, NULL, REIN_FORMAT, "action 3 in state 2");
    refused("pi", "F64", 6, pi, sizeof pi, NULL, REIN_FORMAT, "\"pi\" holds 1.5");
    refused("v", "F64", 6, v, sizeof v, NULL, REIN_FORMAT, "\"v\" holds nan");
    refused("v", "F32", 6, v32, sizeof v32, NULL, REIN_MISMATCH, "\"v\"");
    refused("v", "F64", 5, v, 5 * sizeof *v, NULL, REIN_MISMATCH, "\"v\" has 40 bytes");
    refused(NULL, NULL, 0, NULL, 0, DESCRIBED("tree", ""), REIN_FORMAT, "\"tree\"");
    refused(NULL, NULL, 0, NULL, 0, DESCRIBED("table", ", \"horizon\": 1"), REIN_FORMAT, "gamma");
    refused(NULL, NULL, 0, NULL, 0, DESCRIBED("table", ", \"gamma\": 1"), REIN_FORMAT, "horizon");
    refused(NULL, NULL, 0, NULL, 0, DESCRIBED("table", ", \"gamma\": 1, \"horizon\": 2"), REIN_MISMATCH,
            "\"action\"");
}

static void test_files_without_a_deciding_table(void **state) {
    reini_table_policy *p = filled(&grid, REINI_TABLE_ACTION | REINI_TABLE_V, 1, false);
    assert_ok(rein_policy_save(&p->base, temp_path("good")));
    rein_policy_free(&p->base);
    refused("action", NULL, 0, NULL, 0, NULL, REIN_FORMAT, "none of the tables");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_q_takes_the_first_largest_allowed),
        cmocka_unit_test(test_plans_act_by_time),
        cmocka_unit_test(test_probabilities_are_drawn_from),
        cmocka_unit_test(test_spaces_of_several_numbers),
        cmocka_unit_test(test_other_spaces_are_refused),
        cmocka_unit_test(test_tables_must_fit_the_memory),
        cmocka_unit_test(test_files_give_back_the_same_tables),
        cmocka_unit_test(test_files_hold_costs),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_files_without_a_deciding_table),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
