/*
 * test_images.c - policies on images: kills, files, rows, sizes, want of memory.
 */
#include <math.h>
#include "base/base.h"
#include "rl/acting.h"
#include "support/image_env.h"
#include "support/run_check.h"
#include "tensor/kernels.h"

/* ---- kills --------------------------------------------------------------------------------------------- */

static void check_kills(const char *algo, const rein_setting *settings, int n) {
    rein_train_opts opts = {.algo = algo,
                            .env = image_env_small.id,
                            .preset = "none",
                            .settings = settings,
                            .n_settings = n,
                            .out = run_path(algo)};
    run_check_kills(reini_algo_find(algo), opts, 1, 300000, 5);
}

#define RUN(steps, ...)                                                                                      \
    {"steps", steps}, {"eval_every", "500"}, {"eval_every_episodes", "3"}, {"eval_episodes", "5"},           \
        {"seed", "8"}, {"checkpoint_every", "100"}, {"threads", "2"}, __VA_ARGS__

static void test_killed_runs_end_the_same(void **state) {
    static const rein_setting dqn[] = {RUN("800", {"learning_starts", "100"}, {"buffer_size", "700"})};
    static const rein_setting ppo[] = {RUN("1000", {"n_envs", "5"}, {"n_steps", "20"}, {"batch_size", "33"})};
    check_kills("dqn", dqn, (int)(sizeof dqn / sizeof *dqn));
    check_kills("ppo", ppo, (int)(sizeof ppo / sizeof *ppo));
}

/* ---- policies ------------------------------------------------------------------------------------------ */

enum { ROWS = 70 };
static const rein_env_type *const envs[] = {&image_env_small, &image_env_middle, &image_env_large};

static reini_net *policy_of(const rein_env_type *env, int encoder, bool shared) {
    reini_net_config net = {.encoder = encoder, .shared = shared};
    reini_net *policy = NULL;
    assert_ok(reini_net_new("ppo", env->id, &env->obs, &env->act, &net, true, REIN_F32, 3, &policy));
    /* heads that say something */
    float *data = rein_store_data(policy->store);
    rein_rng rng = rein_rng_make(7, 0);
    for (int k = 0; k < rein_layout_count(policy->layout); k++) {
        rein_param_info info = rein_layout_at(policy->layout, k);
        for (int64_t i = 0; i < info.count; i++)
            data[info.offset + i] += 0.05f * (float)rein_rng_normal(&rng);
    }
    return policy;
}

static uint8_t *images_of(const rein_env_type *env) {
    uint8_t *images = malloc((size_t)(ROWS * env->obs.size));
    for (int i = 0; i < ROWS; i++) {
        image_state state = {.quarter = i % 4, .noise = (uint32_t)i * 77777u};
        env->observe(NULL, &state, images + i * env->obs.size);
    }
    return images;
}

/* acts in calls of `rows` rows */
static void act(rein_policy *policy, const uint8_t *images, int rows, int32_t *out) {
    for (int i = 0; i < ROWS; i += rows) {
        int n = ROWS - i < rows ? ROWS - i : rows;
        rein_sampling sampling = {.seed = 9, .step = 4, .row_base = (uint64_t)i};
        rein_policy_act(policy, n, images + (size_t)i * (size_t)policy->obs.size, NULL, &sampling, out + i);
    }
}

static void test_rows_do_not_depend_on_their_neighbours(void **state) {
    static const int rows[] = {1, 7, 16, 69};
    int32_t whole[ROWS], parts[ROWS];
    for (int e = 0; e < 3; e++) {
        reini_net *policy = policy_of(envs[e], REIN_ENCODER_AUTO, e == 1);
        uint8_t *images = images_of(envs[e]);
        act(&policy->base, images, ROWS, whole);
        for (int k = 0; k < 4; k++) {
            act(&policy->base, images, rows[k], parts);
            assert_memory_equal(whole, parts, sizeof whole);
        }
        free(images);
        rein_policy_free(&policy->base);
    }
}

static void test_files_give_back_the_same_policy(void **state) {
    int32_t before[ROWS], after[ROWS];
    for (int encoder = REIN_ENCODER_AUTO; encoder <= REIN_ENCODER_MINATAR; encoder++) {
        reini_net *policy = policy_of(&image_env_large, encoder, encoder == REIN_ENCODER_IMPALA);
        rein_policy *loaded = NULL;
        char sha[2][65];
        uint8_t *images = images_of(&image_env_large);
        assert_ok(rein_policy_save(&policy->base, temp_path("policy.safetensors")));
        assert_ok(rein_policy_load(temp_path("policy.safetensors"), &loaded));
        rein_policy_sha256(&policy->base, sha[0]);
        rein_policy_sha256(loaded, sha[1]);
        assert_string_equal(sha[0], sha[1]);
        assert_memory_equal(loaded->obs.shape, image_env_large.obs.shape, sizeof loaded->obs.shape);
        act(&policy->base, images, ROWS, before);
        act(loaded, images, ROWS, after);
        assert_memory_equal(before, after, sizeof before);
        free(images);
        rein_policy_free(loaded);
        rein_policy_free(&policy->base);
    }
}

static int32_t features_of(const reini_net *policy, const char *name) {
    return rein_layout_at(policy->layout, rein_layout_find(policy->layout, name)).dims[1];
}

/* auto by size, an encoder of one's own for the critic unless shared, and the scale of bytes */
static void test_encoders(void **state) {
    static const int features[] = {128, 256, 512};
    static const double scale[] = {1, 1.0 / 255, 1.0 / 255};
    for (int e = 0; e < 3; e++) {
        reini_net *own = policy_of(envs[e], REIN_ENCODER_AUTO, false);
        reini_net *shared = policy_of(envs[e], REIN_ENCODER_AUTO, true);
        assert_int_equal(features_of(own, "actor.features.weight"), features[e]);
        assert_int_equal(features_of(own, "critic.features.weight"), features[e]);
        assert_int_equal(features_of(shared, "shared.features.weight"), features[e]);
        assert_int_equal(rein_layout_find(shared->layout, "critic.features.weight"), -1);
        assert_true(own->encode.scale == scale[e]);
        rein_policy_free(&own->base);
        rein_policy_free(&shared->base);
    }
    reini_encode encode;
    assert_ok(reini_encode_init(&encode, &image_env_small.obs, REIN_ENCODER_AUTO, 0.5));
    assert_true(encode.scale == 0.5);
}

static void test_sizes_that_do_not_fit(void **state) {
    rein_space image = {.kind = REIN_SPACE_IMAGE, .size = 1 * 2 * 90, .shape = {1, 2, 90}};
    rein_encoder found;
    assert_fails(rein_encoder_choose(&image, REIN_ENCODER_AUTO, &found), REIN_USAGE,
                 "images of 1 x 2 x 90 (channels x height x width) are too small for every encoder");
    image.shape[1] = 35;
    assert_fails(
        rein_encoder_choose(&image, REIN_ENCODER_NATURE, &found), REIN_USAGE,
        "images of 1 x 35 x 90 (channels x height x width) are too small for encoder nature, which needs 36 "
        "x 36; encoder impala fits");
    assert_ok(rein_encoder_choose(&image, REIN_ENCODER_AUTO, &found));
    assert_int_equal(found, REIN_ENCODER_IMPALA);
    /* the smallest images that every encoder takes give a network */
    static const int least[] = {36, 8, 3};
    for (int encoder = REIN_ENCODER_NATURE; encoder <= REIN_ENCODER_MINATAR; encoder++) {
        int side = least[encoder - 1];
        rein_space space = {.kind = REIN_SPACE_IMAGE, .size = side * side, .shape = {1, side, side}};
        reini_net_config net = {.encoder = encoder};
        reini_net *policy = NULL;
        assert_ok(reini_net_new("ppo", "x", &space, &image_env_small.act, &net, true, REIN_F32, 1, &policy));
        rein_policy_free(&policy->base);
    }
}

static void test_out_of_memory(void **state) {
    static const rein_space tiny = {.kind = REIN_SPACE_IMAGE, .size = 2 * 4 * 4, .shape = {2, 4, 4}};
    reini_net_config net = {.encoder = REIN_ENCODER_MINATAR};
    for (uint64_t nth = 1;; nth++) {
        reini_net *policy = NULL;
        uint64_t live = reini_memory_now().live_bytes, before = reini_memory_now().allocations;
        reini_memory_fail(nth, false);
        rein_status status =
            reini_net_new("ppo", "x", &tiny, &image_env_small.act, &net, true, REIN_F32, 1, &policy);
        reini_memory_fail(0, false);
        uint64_t used = reini_memory_now().allocations - before;
        if (policy != NULL)
            rein_policy_free(&policy->base);
        assert_true(reini_memory_now().live_bytes == live);
        if (used < nth) {
            assert_int_equal(status, REIN_OK);
            break;
        }
        assert_int_equal(status, REIN_NOMEM);
    }
}

int main(void) {
    for (int e = 0; e < 3; e++)
        assert_ok(rein_env_register(envs[e]));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_runs_end_the_same),
        cmocka_unit_test(test_rows_do_not_depend_on_their_neighbours),
        cmocka_unit_test(test_files_give_back_the_same_policy),
        cmocka_unit_test(test_encoders),
        cmocka_unit_test(test_sizes_that_do_not_fit),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("images", tests, temp_dir_make, temp_dir_remove);
}
