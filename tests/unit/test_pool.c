/*
 * test_pool.c - worker threads: every task of every call runs once, by one worker at a time, and what it
 * wrote is seen by whoever comes after. Made for the thread sanitizer as well: the scratch memory below is
 * plain on purpose.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <rein/rng.h>
#include <rein/tensor.h>
#include "base/base.h"
#include "support/check.h"

enum { MOST = 1000, MOST_THREADS = 8 };

typedef struct job {
    int threads, tasks;
    int64_t call;                       /* number of the call */
    int64_t done[MOST];                 /* call in which the task ran last */
    int64_t of_worker[MOST_THREADS][8]; /* tasks run by a worker: a worker runs one at a time */
} job;

static void work(void *user, int task, int worker) {
    job *j = user;
    if (task < 0 || task >= j->tasks || worker < 0 || worker >= j->threads)
        abort();
    if (worker >= j->tasks)
        abort(); /* not invited */
    if (j->done[task] == j->call)
        abort(); /* twice */
    j->done[task] = j->call;
    j->of_worker[worker][0]++;
}

/* runs a call and checks that every task ran; aborts, because assertions belong to the main thread */
static void run(rein_pool *pool, job *j, int tasks) {
    j->tasks = tasks;
    j->call++;
    rein_pool_run(pool, tasks, work, j);
    for (int i = 0; i < tasks; i++)
        if (j->done[i] != j->call)
            abort();
}

static job *new_job(int threads) {
    job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->threads = threads;
    return j;
}

/* many tiny handovers of any size */
static void test_every_task_runs_once(void **state) {
    static const int sizes[] = {0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 128, 129, 1000};
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        rein_pool *pool = rein_pool_new(threads);
        job *j = new_job(threads);
        assert_int_equal(rein_pool_threads(pool), threads);
        int64_t tasks = 0, ran = 0;
        for (int i = 0; i < 300; i++) {
            run(pool, j, sizes[i % 13]);
            tasks += sizes[i % 13];
        }
        for (int w = 0; w < threads; w++)
            ran += j->of_worker[w][0];
        assert_true(ran == tasks);
        free(j);
        rein_pool_free(pool);
    }
}

static void test_handover(void **state) {
    for (int threads = 2; threads <= MOST_THREADS; threads += 3) {
        rein_pool *pool = rein_pool_new(threads);
        job *j = new_job(threads);
        for (int i = 0; i < 4000; i++)
            run(pool, j, 1 + i % threads);
        free(j);
        rein_pool_free(pool);
    }
}

/* workers that have gone to sleep wake up */
static void test_pauses(void **state) {
    rein_pool *pool = rein_pool_new(4);
    job *j = new_job(4);
    rein_rng rng = rein_rng_make(1, 0);
    for (int i = 0; i < 100; i++) {
        run(pool, j, 12);
        usleep(rein_rng_below(&rng, 900));
    }
    free(j);
    rein_pool_free(pool);
}

/* few tasks for many workers, many tasks, pauses in which those not invited and then all fall asleep */
static void test_few_are_invited(void **state) {
    static const int sizes[] = {2, 2, 3, 8, 2, 30};
    rein_pool *pool = rein_pool_new(MOST_THREADS);
    job *j = new_job(MOST_THREADS);
    for (int i = 0; i < 600; i++) {
        run(pool, j, sizes[i % 6]);
        if (i % 50 == 49)
            usleep(700);
    }
    free(j);
    rein_pool_free(pool);
}

/* ---- visibility ---------------------------------------------------------------------------------------- */

/* Conway-like: every cell from its neighbours in the step before; the answer is known from one thread */
typedef struct grid {
    uint32_t cell[2][257];
    int now;
} grid;

static void evolve(void *user, int task, int worker) {
    grid *g = user;
    const uint32_t *from = g->cell[g->now];
    g->cell[!g->now][task] = from[(task + 256) % 257] * 3 + from[task] + (from[(task + 1) % 257] >> 3) + 1;
}

static uint32_t evolve_with(rein_pool *pool) {
    grid g = {.cell = {{1}}};
    for (int step = 0; step < 1500; step++) {
        rein_pool_run(pool, 257, evolve, &g);
        g.now = !g.now;
    }
    uint32_t hash = 0;
    for (int i = 0; i < 257; i++)
        hash = hash * 31 + g.cell[g.now][i];
    rein_pool_free(pool);
    return hash;
}

static void test_results_are_seen(void **state) {
    uint32_t expected = evolve_with(rein_pool_new(1));
    for (int threads = 2; threads <= MOST_THREADS; threads++)
        assert_true(evolve_with(rein_pool_new(threads)) == expected);
}

/* more workers than a call can invite: the last ones do nothing and end with the others */
static void test_a_hundred_workers(void **state) {
    enum { WORKERS = 100 };
    rein_pool *pool = rein_pool_new(WORKERS);
    assert_int_equal(rein_pool_threads(pool), WORKERS);
    uint32_t expected = evolve_with(rein_pool_new(1));
    usleep(2000);
    assert_true(evolve_with(pool) == expected);
}

/* ---- lives --------------------------------------------------------------------------------------------- */

static void test_pools_come_and_go(void **state) {
    uint64_t live = reini_memory_now().live_bytes;
    for (int i = 0; i < 160; i++) {
        int threads = 1 + i % MOST_THREADS;
        rein_pool *pool = rein_pool_new(threads);
        assert_non_null(pool);
        job *j = new_job(threads);
        for (int k = 0; k < i % 3; k++) /* some are never used */
            run(pool, j, 20);
        free(j);
        rein_pool_free(pool);
    }
    assert_true(reini_memory_now().live_bytes == live);
}

static void *use_own_pool(void *argument) {
    int threads = *(const int *)argument;
    rein_pool *pool = rein_pool_new(threads);
    job *j = new_job(threads);
    for (int i = 0; i < 500; i++)
        run(pool, j, 30);
    free(j);
    rein_pool_free(pool);
    return NULL;
}

static void test_pools_beside_each_other(void **state) {
    static int sizes[] = {1, 2, 3, 4};
    pthread_t callers[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, use_own_pool, &sizes[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(callers[i], NULL);
}

/* a pool may be used by one thread after the other */
static void *run_once(void *argument) {
    void **both = argument;
    run(both[0], both[1], 25);
    return NULL;
}

static void test_callers_may_change(void **state) {
    rein_pool *pool = rein_pool_new(3);
    job *j = new_job(3);
    void *both[2] = {pool, j};
    for (int i = 0; i < 50; i++) {
        pthread_t caller;
        assert_int_equal(pthread_create(&caller, NULL, run_once, both), 0);
        pthread_join(caller, NULL);
        run(pool, j, 25);
    }
    free(j);
    rein_pool_free(pool);
}

static void test_no_pool(void **state) {
    job *j = new_job(1);
    run(NULL, j, 100);
    assert_int_equal(rein_pool_threads(NULL), 1);
    rein_pool_free(NULL);
    free(j);
}

static void test_no_memory(void **state) {
    uint64_t live = reini_memory_now().live_bytes;
    for (uint64_t n = 1; n <= 2 + 7; n++) {
        reini_memory_fail(n, n % 2);
        assert_null(rein_pool_new(8));
        reini_memory_fail(0, false);
        assert_true(reini_memory_now().live_bytes == live);
    }
    rein_pool *pool = rein_pool_new(8);
    assert_non_null(pool);
    rein_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once),
        cmocka_unit_test(test_handover),
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_few_are_invited),
        cmocka_unit_test(test_results_are_seen),
        cmocka_unit_test(test_a_hundred_workers),
        cmocka_unit_test(test_pools_come_and_go),
        cmocka_unit_test(test_pools_beside_each_other),
        cmocka_unit_test(test_callers_may_change),
        cmocka_unit_test(test_no_pool),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
