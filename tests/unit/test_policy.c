/*
 * test_policy.c - policies: the network by hand, files that give back the same bits, digests, damaged files,
 * and rows that do not depend on their neighbours.
 */
#include <jansson.h>
#include <stdlib.h>
#include "base/safetensors.h"
#include "env/env_types.h"
#include "support/each_level.h"
#include "support/small_policy.h"
#include "support/temp_dir.h"

static const float low[3] = {-2, 0, -INFINITY}, high[3] = {2, 3, INFINITY};

typedef struct recipe {
    const char *name, *net;
    rein_space obs, act;
    bool critic, masked;
} recipe;

#define BOX(n) REINI_BOX(n, NULL, NULL)
#define PARTS(count, ...)                                                                                    \
    {                                                                                                        \
        .kind = REIN_SPACE_MULTI_DISCRETE, .size = count, .n = { __VA_ARGS__ }                               \
    }
static const recipe recipes[] = {
    {"discrete", "hidden=16,16", BOX(4), REINI_DISCRETE(5), true, false},
    {"masked", "hidden=12 norm_obs=running", BOX(3), REINI_DISCRETE(7), true, true},
    {"parts", "hidden=16,16 shared=true", BOX(5), PARTS(3, 3, 1, 4), true, false},
    {"masked parts", "hidden=none", BOX(2), PARTS(2, 2, 9), false, true},
    {"box", "hidden=33,17 norm_obs=warmup log_std_init=-0.4", BOX(3), BOX(2), true, false},
    {"bounded box", "hidden=8,8,8 scale_actions=true", BOX(6), REINI_BOX(3, low, high), false, false},
};
enum { RECIPES = sizeof recipes / sizeof *recipes, ROWS = 300 };

static reini_net *make(const recipe *from, uint64_t seed) {
    reini_net_config net = small_net(from->net);
    reini_net *policy = NULL;
    assert_ok(reini_net_new("ppo", from->name, &from->obs, &from->act, &net, from->critic, REIN_F32, seed,
                            &policy));
    small_policy_shake(policy, seed);
    if (net.norm_obs != REINI_NORM_NONE)
        small_policy_see(policy, seed);
    return policy;
}

/* ---- acting -------------------------------------------------------------------------------------------- */

typedef struct batch {
    float *obs;
    uint8_t *mask; /* NULL when not masked */
} batch;

static batch draw(const recipe *from, uint64_t seed) {
    int logits = rein_space_logits(&from->act);
    batch b = {.obs = calloc((size_t)(ROWS * from->obs.size), sizeof(float))};
    rein_rng rng = rein_rng_make(seed, 5);
    for (int i = 0; i < ROWS * from->obs.size; i++)
        b.obs[i] = (float)rein_rng_normal(&rng);
    if (!from->masked)
        return b;
    b.mask = calloc((size_t)(ROWS * logits), 1);
    for (int r = 0; r < ROWS; r++)
        for (int k = 0, start = 0; k < from->act.size; start += from->act.n[k++])
            for (int i = 0; i < from->act.n[k]; i++)
                b.mask[r * logits + start + i] =
                    i == r % from->act.n[k] || rein_rng_below(&rng, 2); /* one at least */
    return b;
}

static void free_batch(batch *b) {
    free(b->obs);
    free(b->mask);
}

/* acts in calls of `rows` rows */
static void act(rein_policy *policy, const recipe *from, const batch *b, int rows,
                const rein_sampling *sampling, uint32_t *out) {
    int logits = rein_space_logits(&from->act);
    for (int i = 0; i < ROWS; i += rows) {
        int n = ROWS - i < rows ? ROWS - i : rows;
        rein_sampling part = sampling ? *sampling : (rein_sampling){0};
        part.row_base += (uint64_t)i;
        rein_policy_act(policy, n, b->obs + i * from->obs.size, b->mask ? b->mask + i * logits : NULL,
                        sampling ? &part : NULL, out + i * from->act.size);
    }
}

/* both policies do the same, greedy and sampled */
static void same_actions(rein_policy *a, rein_policy *b, const recipe *from, int rows_a, int rows_b) {
    uint32_t actions[2][ROWS * 3];
    rein_sampling sampling = {.seed = 9, .step = 1234, .row_base = 77};
    batch inputs = draw(from, 3);
    size_t bytes = (size_t)(ROWS * from->act.size) * 4;
    for (int sampled = 0; sampled < 2; sampled++) {
        act(a, from, &inputs, rows_a, sampled ? &sampling : NULL, actions[0]);
        act(b, from, &inputs, rows_b, sampled ? &sampling : NULL, actions[1]);
        if (memcmp(actions[0], actions[1], bytes) != 0)
            fail_msg("%s: %s actions differ", from->name, sampled ? "sampled" : "greedy");
    }
    free_batch(&inputs);
}

static void test_rows_do_not_depend_on_their_neighbours(void **state) {
    static const int rows[] = {1, 7, 64, 299};
    for (int k = 0; k < RECIPES; k++) {
        reini_net *policy = make(&recipes[k], 1);
        for (int i = 0; i < 4; i++)
            same_actions(&policy->base, &policy->base, &recipes[k], rows[i], ROWS);
        rein_policy_free(&policy->base);
    }
}

static void check_greedy(const recipe *from, const reini_net *policy, const batch *b,
                         const uint32_t *actions) {
    int logits = rein_space_logits(&from->act);
    for (int r = 0; r < ROWS; r++) {
        double out[SMALL_WIDTH];
        small_policy_head(policy, "actor", b->obs + r * from->obs.size, out);
        for (int k = 0, start = 0; k < from->act.size; k++) {
            uint32_t chosen = actions[r * from->act.size + k];
            if (from->act.kind == REIN_SPACE_BOX) {
                float found;
                memcpy(&found, &chosen, sizeof found);
                double a = policy->act_middle[k] + policy->act_half[k] * out[k];
                assert_true(fabs(found - fmin(fmax(a, policy->low[k]), policy->high[k])) < 2e-5);
                continue;
            }
            assert_true(chosen < (uint32_t)from->act.n[k]);
            for (int i = 0; i < from->act.n[k]; i++)
                if (!b->mask || b->mask[r * logits + start + i])
                    assert_true(out[start + (int)chosen] > out[start + i] - 2e-5);
            assert_true(!b->mask || b->mask[r * logits + start + (int)chosen]);
            start += from->act.n[k];
        }
    }
}

static void test_greedy_actions_are_the_most_likely(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        reini_net *policy = make(&recipes[k], 1);
        batch b = draw(&recipes[k], 4);
        uint32_t actions[ROWS * 3];
        act(&policy->base, &recipes[k], &b, ROWS, NULL, actions);
        check_greedy(&recipes[k], policy, &b, actions);
        free_batch(&b);
        rein_policy_free(&policy->base);
    }
}

/* what cannot be seen cannot be acted on: not a bound, which would look like a decision */
static void test_nan_shows(void **state) {
    const recipe *from = &recipes[5];
    reini_net *policy = make(from, 1);
    float obs[2 * 6] = {0}, action[2 * 3];
    obs[7] = NAN;
    rein_policy_act(&policy->base, 2, obs, NULL, NULL, action);
    for (int k = 0; k < 3; k++) {
        assert_true(isfinite(action[k]));
        assert_true(isnan(action[3 + k]));
    }
    rein_policy_free(&policy->base);
}

/* another seed, step or row draws other numbers; the same ones draw the same */
static void test_sampling_is_keyed(void **state) {
    static const rein_sampling keys[] = {{9, 5, 0}, {10, 5, 0}, {9, 6, 0}, {9, 5, 1000}};
    const recipe *from = &recipes[4];
    reini_net *policy = make(from, 1);
    batch b = draw(from, 4);
    uint32_t first[ROWS * 3], other[ROWS * 3];
    act(&policy->base, from, &b, ROWS, &keys[0], first);
    for (int i = 0; i < 4; i++) {
        int same = 0;
        act(&policy->base, from, &b, ROWS, &keys[i], other);
        for (int k = 0; k < ROWS * from->act.size; k++)
            same += first[k] == other[k];
        assert_true(i == 0 ? same == ROWS * from->act.size : same < 5);
    }
    free_batch(&b);
    rein_policy_free(&policy->base);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static rein_policy *load(const char *path) {
    rein_policy *policy = NULL;
    assert_ok(rein_policy_load(path, &policy));
    return policy;
}

static void test_files_give_back_the_same_policy(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        const recipe *from = &recipes[k];
        reini_net *policy = make(from, 2);
        char sha[65], again[65];
        assert_ok(rein_policy_save(&policy->base, temp_path("policy")));
        rein_policy *copy = load(temp_path("policy"));
        same_actions(&policy->base, copy, from, ROWS, ROWS);
        rein_policy_sha256(&policy->base, sha);
        rein_policy_sha256(copy, again);
        assert_string_equal(sha, again);
        assert_string_equal(rein_policy_algo(copy), "ppo");
        assert_string_equal(rein_policy_env(copy), from->name);
        char was[256], is[256];
        rein_space_print(rein_policy_act_space(&policy->base), was, sizeof was);
        rein_space_print(rein_policy_act_space(copy), is, sizeof is);
        assert_string_equal(was, is);
        /* the same bytes when written again */
        assert_ok(rein_policy_save(copy, temp_path("again")));
        size_t n, m;
        char *a = temp_read(temp_path("policy"), &n), *b = temp_read(temp_path("again"), &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        free(a);
        free(b);
        rein_policy_free(copy);
        rein_policy_free(&policy->base);
    }
}

static void test_digest_follows_the_parameters(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        reini_net *policy = make(&recipes[k], 2), *same = make(&recipes[k], 2), *other = make(&recipes[k], 3);
        char sha[65], found[65];
        rein_policy_sha256(&policy->base, sha);
        assert_int_equal(strspn(sha, "0123456789abcdef"), 64);
        rein_policy_sha256(&same->base, found);
        assert_string_equal(sha, found);
        rein_policy_sha256(&other->base, found);
        assert_string_not_equal(sha, found);
        /* acting changes nothing, a single bit of any parameter does */
        same_actions(&policy->base, &same->base, &recipes[k], 50, 50);
        rein_policy_sha256(&policy->base, found);
        assert_string_equal(sha, found);
        for (int i = 0; i < rein_layout_count(policy->layout); i++) {
            rein_param_info info = rein_layout_at(policy->layout, i);
            uint32_t *bits = (uint32_t *)rein_store_data(policy->store) + info.offset + info.count - 1;
            *bits ^= 1;
            rein_policy_sha256(&policy->base, found);
            assert_string_not_equal(sha, found);
            *bits ^= 1;
        }
        if (policy->net.norm_obs != REINI_NORM_NONE) {
            policy->moments.sum_squares[0] *= 1.5;
            reini_net_refresh(policy);
            rein_policy_sha256(&policy->base, found);
            assert_string_not_equal(sha, found);
            policy->moments.sum_squares[0] /= 1.5;
            policy->moments.mean[1] += 0.5;
            reini_net_refresh(policy);
            rein_policy_sha256(&policy->base, found);
            assert_string_not_equal(sha, found);
        }
        rein_policy_free(&policy->base);
        rein_policy_free(&same->base);
        rein_policy_free(&other->base);
    }
}

/* ---- damaged files ------------------------------------------------------------------------------------- */

/* A policy file taken apart: tensors and description, to be changed and written again. */
typedef struct parts {
    reini_safetensors *file;
    reini_st_tensor tensor[32];
    int n;
    json_t *meta;
} parts;

static parts take_apart(const recipe *from) {
    parts p = {0};
    reini_net *policy = make(from, 4);
    assert_ok(rein_policy_save(&policy->base, temp_path("whole")));
    rein_policy_free(&policy->base);
    assert_ok(reini_safetensors_open(temp_path("whole"), &p.file));
    p.n = reini_safetensors_count(p.file);
    for (int i = 0; i < p.n; i++)
        p.tensor[i] = *reini_safetensors_at(p.file, i);
    p.meta = json_loads(reini_safetensors_meta(p.file, "rein.policy"), 0, NULL);
    assert_non_null(p.meta);
    return p;
}

static reini_st_tensor *tensor_named(parts *p, const char *name) {
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->tensor[i].name, name) == 0)
            return &p->tensor[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void refused(parts *p, rein_status status, const char *words) {
    char *text = json_dumps(p->meta, JSON_COMPACT);
    const char *key = "rein.policy", *value = text;
    uint64_t live = reini_memory_now().live_bytes;
    rein_policy *policy = NULL;
    assert_ok(reini_safetensors_write(temp_path("damaged"), p->tensor, p->n, &key, &value, 1));
    assert_fails(rein_policy_load(temp_path("damaged"), &policy), status, words);
    assert_null(policy);
    assert_non_null(strstr(rein_error(), "damaged: "));
    assert_true(reini_memory_now().live_bytes == live);
    free(text);
    json_decref(p->meta);
    reini_safetensors_close(p->file);
}

static void test_wrong_tensors_are_refused(void **state) {
    static float zeros[4096];
    const recipe *from = &recipes[1]; /* with a normaliser */
    parts p = take_apart(from);
    p.n--;
    p.tensor[0] = p.tensor[p.n];
    refused(&p, REIN_FORMAT, "no tensor \"");

    p = take_apart(from);
    *tensor_named(&p, "norm.mean") = p.tensor[--p.n];
    refused(&p, REIN_FORMAT, "no tensor \"");

    p = take_apart(from); /* (3 x 12) written as (12 x 3) */
    reini_st_tensor *weight = tensor_named(&p, "actor.0.weight");
    weight->shape[0] = 12;
    weight->shape[1] = 3;
    refused(&p, REIN_MISMATCH, "actor.0.weight");

    p = take_apart(from); /* flat */
    weight = tensor_named(&p, "actor.0.weight");
    weight->ndim = 1;
    weight->shape[0] = 36;
    refused(&p, REIN_MISMATCH, "actor.0.weight");

    p = take_apart(from); /* one column less */
    weight = tensor_named(&p, "critic.0.weight");
    weight->shape[1]--;
    weight->bytes -= 3 * sizeof(float);
    refused(&p, REIN_MISMATCH, "critic.0.weight");

    p = take_apart(from);
    weight = tensor_named(&p, "actor.0.bias");
    weight->dtype = "I32";
    refused(&p, REIN_MISMATCH, "actor.0.bias");

    p = take_apart(from);
    weight = tensor_named(&p, "norm.sum_squares");
    *weight = (reini_st_tensor){
        .name = "norm.sum_squares", .dtype = "F32", .ndim = 1, .shape = {3}, .data = zeros, .bytes = 12};
    refused(&p, REIN_MISMATCH, "norm.sum_squares");
}

/* changes one entry of the description; value NULL removes it */
static void refused_with(const char *object, const char *key, json_t *value, rein_status status,
                         const char *words) {
    parts p = take_apart(&recipes[1]);
    json_t *at = object ? json_object_get(p.meta, object) : p.meta;
    if (value)
        json_object_set_new(at, key, value);
    else
        json_object_del(at, key);
    refused(&p, status, words);
}

static void test_wrong_descriptions_are_refused(void **state) {
    refused_with(NULL, "version", json_integer(2), REIN_FORMAT, "format version 2");
    refused_with(NULL, "version", NULL, REIN_FORMAT, "format version");
    refused_with(NULL, "algo", NULL, REIN_FORMAT, "algorithm");
    refused_with(NULL, "env", json_integer(3), REIN_FORMAT, "environment");
    refused_with(NULL, "obs", NULL, REIN_FORMAT, "observation space");
    refused_with("obs", "kind", json_string("sphere"), REIN_FORMAT, "observation space");
    refused_with("obs", "size", json_integer(-3), REIN_FORMAT, "observation space");
    refused_with("obs", "size", json_integer(4), REIN_MISMATCH, "actor.0.weight");
    refused_with("act", "kind", json_string("image"), REIN_FORMAT, "action space");
    refused_with("act", "n", json_pack("[i]", 0), REIN_FORMAT, "action space");
    refused_with("act", "n", json_pack("[ii]", 7, 7), REIN_FORMAT, "action space");
    refused_with("act", "n", NULL, REIN_FORMAT, "action space");
    refused_with("act", "n", json_pack("[i]", 8), REIN_MISMATCH, "actor.1.");
    refused_with(NULL, "net", NULL, REIN_FORMAT, "network");
    refused_with(NULL, "net", json_string("large"), REIN_FORMAT, "network");
    refused_with("net", "hidden", json_integer(12), REIN_FORMAT, "hidden");
    refused_with("net", "hidden", json_string("0"), REIN_USAGE, "hidden");
    refused_with("net", "hidden", json_string("13"), REIN_MISMATCH, "actor.0.");
    refused_with("net", "hidden", json_string("12,12"), REIN_MISMATCH, "actor.1.");
    refused_with("net", "activatoin", json_string("tanh"), REIN_USAGE, "activation");
    refused_with(NULL, "norm_count", NULL, REIN_FORMAT, "norm_count");
    refused_with(NULL, "norm_count", json_real(-1), REIN_FORMAT, "norm_count");
}

static void test_other_files_are_refused(void **state) {
    rein_policy *policy = NULL;
    static const float x[2] = {1, 2};
    const reini_st_tensor tensor = {
        .name = "x", .dtype = "F32", .ndim = 1, .shape = {2}, .data = x, .bytes = 8};
    assert_ok(reini_safetensors_write(temp_path("other"), &tensor, 1, NULL, NULL, 0));
    assert_fails(rein_policy_load(temp_path("other"), &policy), REIN_FORMAT, "not a Rein policy");
    const char *key = "rein.policy", *value = "{\"version\": 1,";
    assert_ok(reini_safetensors_write(temp_path("other"), &tensor, 1, &key, &value, 1));
    assert_fails(rein_policy_load(temp_path("other"), &policy), REIN_FORMAT, "other: ");
    value = "[1]";
    assert_ok(reini_safetensors_write(temp_path("other"), &tensor, 1, &key, &value, 1));
    assert_fails(rein_policy_load(temp_path("other"), &policy), REIN_FORMAT, "other: ");
    temp_write(temp_path("other"), "hello", 5);
    assert_fails(rein_policy_load(temp_path("other"), &policy), REIN_FORMAT, "other");
    assert_fails(rein_policy_load(temp_path("absent"), &policy), REIN_IO, "absent");
    assert_fails(rein_policy_load(temp_dir, &policy), REIN_IO, "");
    assert_null(policy);
}

/* cut at every length, no bytes of the file are believed */
static void test_truncated_files_are_refused(void **state) {
    reini_net *policy = make(&recipes[4], 2);
    rein_policy *loaded = NULL;
    size_t size;
    assert_ok(rein_policy_save(&policy->base, temp_path("long")));
    char *bytes = temp_read(temp_path("long"), &size);
    for (size_t n = 0; n < size; n += n < 1500 ? 1 : 97) {
        temp_write(temp_path("short"), bytes, n);
        assert_fails(rein_policy_load(temp_path("short"), &loaded), REIN_FORMAT, "short");
    }
    assert_null(loaded);
    free(bytes);
    rein_policy_free(&policy->base);
}

static void test_small_images_are_refused(void **state) {
    const rein_space obs = {.kind = REIN_SPACE_IMAGE, .size = 48, .shape = {3, 4, 4}};
    reini_net_config net = small_net("encoder=nature");
    reini_net *policy = NULL;
    assert_fails(
        reini_net_new("ppo", "Pictures-v0", &obs, &recipes[0].act, &net, true, REIN_F32, 1, &policy),
        REIN_USAGE,
        "images of 3 x 4 x 4 (channels x height x width) are too small for encoder nature, which needs 36 x "
        "36; encoder minatar fits");
    assert_null(policy);
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_do_not_depend_on_their_neighbours),
        cmocka_unit_test(test_greedy_actions_are_the_most_likely),
        cmocka_unit_test(test_nan_shows),
        cmocka_unit_test(test_sampling_is_keyed),
        cmocka_unit_test(test_files_give_back_the_same_policy),
        cmocka_unit_test(test_digest_follows_the_parameters),
        cmocka_unit_test(test_wrong_tensors_are_refused),
        cmocka_unit_test(test_wrong_descriptions_are_refused),
        cmocka_unit_test(test_other_files_are_refused),
        cmocka_unit_test(test_truncated_files_are_refused),
        cmocka_unit_test(test_small_images_are_refused),
    };
    return cmocka_run_group_tests_name(level, tests, temp_dir_make, temp_dir_remove);
}

int main(void) {
    return each_level(all);
}
