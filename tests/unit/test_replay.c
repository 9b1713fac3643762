/*
 * test_replay.c - the replay memory: what goes in comes out, short episodes, laps, batches of n steps, drawing, resume.
 */
#include <math.h>
#include <stdlib.h>
#include "base/archive.h"
#include "env/env_types.h"
#include "rl/stepper.h"
#include "support/check.h"
#include "support/temp_dir.h"

/* An environment that shows where it is: obs = (episode, step in it), reward = 1000 episode + step. An episode has
 * episode % `cycle` + 1 steps; every third one is terminated, the others are cut. */
typedef struct walk {
    int32_t episode, step;
} walk;

static int cycle = 5;

static void walk_reset(const void *config, void *state, rein_rng *rng) {
    walk *w = state;
    w->episode++;
    w->step = 0;
}

static rein_step walk_step(const void *config, void *state, const void *action, rein_rng *rng) {
    walk *w = state;
    w->step++;
    bool over = w->step > w->episode % cycle;
    return (rein_step){.reward = (float)(1000 * w->episode + w->step),
                       .terminated = over && w->episode % 3 == 0,
                       .truncated = over && w->episode % 3 != 0};
}

static void walk_observe(const void *config, const void *state, void *obs) {
    const walk *w = state;
    float *o = obs;
    o[0] = (float)w->episode;
    o[1] = (float)w->step;
}

/* action a is allowed where (episode + step + a) % 3 != 0 */
static void walk_mask(const void *config, const void *state, uint8_t *mask) {
    const walk *w = state;
    for (int a = 0; a < 4; a++)
        mask[a] = (w->episode + w->step + a) % 3 != 0;
}

static const rein_env_type walking = {
    .abi = REIN_ENV_ABI,
    .id = "test/Walk-v0",
    .doc = "counts",
    .obs = REINI_BOX(2, NULL, NULL),
    .act = REINI_DISCRETE(4),
    .state_size = sizeof(walk),
    .reset = walk_reset,
    .step = walk_step,
    .observe = walk_observe,
    .mask = walk_mask,
};

typedef struct rig {
    reini_replay *replay;
    reini_stepper *stepper;
} rig;

static rig rig_new(int64_t n_envs, int64_t capacity) {
    rig x;
    assert_ok(reini_replay_new(&walking, n_envs, capacity, &x.replay));
    assert_ok(reini_stepper_new(&walking, n_envs, 3, false, x.replay, &x.stepper));
    return x;
}

static void rig_free(rig *x) {
    reini_stepper_free(x->stepper);
    reini_replay_free(x->replay);
}

static void rig_run(rig *x, int steps) {
    for (int t = 0; t < steps; t++) {
        reini_stepper_random(x->stepper);
        const int32_t *action = reini_stepper_action(x->stepper);
        const uint8_t *mask = reini_stepper_mask(x->stepper);
        for (int64_t i = 0; i < x->replay->n_envs; i++)
            assert_int_equal(mask[4 * i + action[i]], 1);
        reini_stepper_step(x->stepper);
    }
}

static const float *obs_at(const reini_replay *r, int32_t row) {
    return (const float *)r->obs + 2 * row;
}

static void check_mask(const reini_replay *r, int32_t row) {
    const float *o = obs_at(r, row);
    for (int a = 0; a < 4; a++)
        assert_int_equal(r->mask[4 * row + a], ((int)o[0] + (int)o[1] + a) % 3 != 0);
}

/* every transition that can be drawn is one step of one episode, with the observations on both sides of it */
static void check_transitions(const reini_replay *r) {
    for (int64_t number = r->forgotten; number < r->added; number++) {
        int64_t at = number % r->capacity;
        const float *before = obs_at(r, r->row[at]), *after = obs_at(r, r->next_row[at]);
        assert_true(after[0] == before[0] && after[1] == before[1] + 1);
        assert_true(r->reward[at] == 1000 * before[0] + after[1]);
        bool over = (int)after[1] > (int)after[0] % cycle;
        assert_int_equal(r->done[at], over);
        assert_int_equal(r->terminated[at], over && (int)after[0] % 3 == 0);
        check_mask(r, r->row[at]);
        check_mask(r, r->next_row[at]);
    }
}

static void test_transitions_are_whole(void **state) {
    static const int n_envs[] = {1, 3, 7}, cycles[] = {1, 2, 5, 100};
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 4; c++) {
            cycle = cycles[c];
            rig x = rig_new(n_envs[i], 500);
            assert_int_equal(x.replay->capacity % n_envs[i], 0);
            for (int k = 0; k < 40; k++) {
                rig_run(&x, 61);
                check_transitions(x.replay);
                assert_true(reini_replay_count(x.replay) <= x.replay->capacity);
            }
            /* long episodes leave everything there is room for; those of one step take two rows each */
            if (cycle == 100)
                assert_int_equal(reini_replay_count(x.replay), x.replay->capacity);
            else
                assert_true(reini_replay_count(x.replay) >= 499);
            rig_free(&x);
        }
    cycle = 5;
}

/* more rows than transitions could not be kept: a memory of 100,000 with episodes of one step forgets early */
static void test_short_episodes_forget_early(void **state) {
    cycle = 1;
    rig x = rig_new(2, 100000);
    rig_run(&x, 90000);
    int64_t count = reini_replay_count(x.replay);
    assert_true(count < x.replay->capacity && count >= x.replay->rows / 2 - 4);
    check_transitions(x.replay);
    rig_free(&x);
    cycle = 5;
}

static void test_batches_of_n_steps(void **state) {
    cycle = 9;
    rig x = rig_new(3, 400);
    reini_batch *b;
    rig_run(&x, 333);
    assert_ok(reini_batch_new(400, &b));
    const reini_replay *r = x.replay;
    int64_t n = reini_replay_count(r) < 400 ? reini_replay_count(r) : 400;
    for (int n_step = 1; n_step <= 12; n_step++) {
        for (int64_t i = 0; i < n; i++)
            b->index[i] = (int32_t)((r->forgotten + i) % r->capacity);
        reini_batch_fill(b, r, n, n_step, 0.9);
        for (int64_t i = 0; i < n; i++) {
            const float *from = obs_at(r, b->row[i]), *to = obs_at(r, b->next_row[i]);
            int steps = (int)(to[1] - from[1]), length = (int)from[0] % cycle + 1;
            bool ends = (int)to[1] == length;
            int64_t number = r->forgotten + i, later = (r->added - 1 - number) / r->n_envs;
            assert_true(from[0] == to[0] && steps >= 1 && steps <= n_step);
            assert_true(steps == n_step || ends || steps == later + 1);
            double sum = 0;
            for (int k = 0; k < steps; k++)
                sum += pow(0.9, k) * (1000 * (double)from[0] + (double)from[1] + k + 1);
            assert_true(fabs((double)b->reward[i] - sum) < 1e-6 * sum);
            double discount = ends && (int)to[0] % 3 == 0 ? 0 : pow(0.9, steps);
            assert_true(fabs((double)b->discount[i] - discount) < 1e-6);
        }
    }
    reini_batch_free(b);
    rig_free(&x);
    cycle = 5;
}

static void test_drawing_is_uniform(void **state) {
    enum { DRAWS = 400, BATCH = 256 };
    rig x = rig_new(2, 300);
    rig_run(&x, 400);
    int64_t n = reini_replay_count(x.replay);
    double *count = calloc((size_t)x.replay->capacity, sizeof *count), chi = 0;
    int32_t index[BATCH], again[BATCH];
    for (uint64_t d = 0; d < DRAWS; d++) {
        reini_replay_sample(x.replay, BATCH, 9, d, index);
        for (int i = 0; i < BATCH; i++)
            count[index[i]]++;
    }
    reini_replay_sample(x.replay, BATCH, 9, DRAWS - 1, again);
    assert_memory_equal(index, again, sizeof index);
    double expected = (double)DRAWS * BATCH / (double)n;
    for (int64_t k = x.replay->forgotten; k < x.replay->added; k++)
        chi += pow(count[k % x.replay->capacity] - expected, 2) / expected;
    /* mean n - 1, deviation sqrt(2 n) */
    assert_true(fabs(chi - (double)n) < 5 * sqrt(2.0 * (double)n));
    free(count);
    rig_free(&x);
}

static void visit(rig *x, reini_archive *archive) {
    assert_ok(reini_replay_visit(x->replay, archive));
    assert_ok(reini_stepper_visit(x->stepper, archive));
    assert_ok(reini_archive_finish(archive));
}

static void test_goes_on_as_if_never_stopped(void **state) {
    static const int before[] = {0, 10, 200, 1000};
    for (int k = 0; k < 4; k++) {
        rig a = rig_new(3, 300), b = rig_new(3, 300);
        reini_archive *archive;
        json_t *header = json_object();
        rig_run(&a, before[k]);
        assert_ok(reini_archive_create(temp_path("replay"), header, &archive));
        json_decref(header);
        visit(&a, archive);
        rig_run(&b, 7);
        assert_ok(reini_archive_open(temp_path("replay"), &archive, NULL));
        visit(&b, archive);
        rig_run(&a, 150);
        rig_run(&b, 150);
        const reini_replay *p = a.replay, *q = b.replay;
        assert_int_equal(p->added, q->added);
        assert_int_equal(p->forgotten, q->forgotten);
        assert_int_equal(reini_stepper_episodes(a.stepper)->count, reini_stepper_episodes(b.stepper)->count);
        for (int64_t i = p->forgotten; i < p->added; i++) {
            int64_t at = i % p->capacity;
            assert_int_equal(p->row[at], q->row[at]);
            assert_int_equal(p->next_row[at], q->next_row[at]);
            assert_memory_equal(obs_at(p, p->row[at]), obs_at(q, q->row[at]), 8);
            assert_memory_equal(obs_at(p, p->next_row[at]), obs_at(q, q->next_row[at]), 8);
            assert_memory_equal(p->action + 4 * at, q->action + 4 * at, 4);
            assert_true(p->reward[at] == q->reward[at]);
        }
        rig_free(&a);
        rig_free(&b);
    }
}

/* actions are stored in the policy's units and arrive in the environment's */
static void test_box_actions_are_scaled(void **state) {
    reini_replay *replay;
    reini_stepper *stepper;
    const rein_env_type *pendulum = rein_env_find("Pendulum-v1"); /* torque in [-2, 2] */
    assert_ok(reini_replay_new(pendulum, 2, 100, &replay));
    assert_ok(reini_stepper_new(pendulum, 2, 1, true, replay, &stepper));
    double least = 1, most = -1;
    for (int t = 0; t < 50; t++) {
        const float *obs = reini_stepper_obs(stepper);
        double angle = atan2((double)obs[1], (double)obs[0]), speed = (double)obs[2];
        reini_stepper_random(stepper);
        double action = (double)*(float *)reini_stepper_action(stepper);
        reini_stepper_step(stepper);
        double torque = 2 * action, cost = angle * angle + 0.1 * speed * speed + 0.001 * torque * torque;
        assert_true(fabs((double)replay->reward[2 * t] + cost) < 1e-4 * (1 + cost));
        least = fmin(least, action);
        most = fmax(most, action);
    }
    assert_true(least > -1 && least < -0.7 && most < 1 && most > 0.7);
    reini_stepper_free(stepper);
    reini_replay_free(replay);
}

static void test_memory_that_is_not_there(void **state) {
    reini_replay *replay = NULL;
    assert_fails(reini_replay_new(&walking, 1, (int64_t)1 << 31, &replay), REIN_USAGE, "buffer_size");
    reini_memory_assume(10 << 20);
    assert_fails(reini_replay_new(&walking, 1, 1000000, &replay), REIN_NOMEM,
                 "a replay memory of 1000000 transitions");
    reini_memory_assume(0);
    assert_null(replay);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transitions_are_whole),
        cmocka_unit_test(test_short_episodes_forget_early),
        cmocka_unit_test(test_batches_of_n_steps),
        cmocka_unit_test(test_drawing_is_uniform),
        cmocka_unit_test(test_goes_on_as_if_never_stopped),
        cmocka_unit_test(test_box_actions_are_scaled),
        cmocka_unit_test(test_memory_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
