/*
 * test_crew.c - the faster way of an update is found and found again, on a clock that the test turns.
 */
#include <unistd.h>
#include <rein/tensor.h>
#include "rl/crew.h"
#include "support/check.h"

static double clock_now;
static double seconds(void) {
    return clock_now;
}

/* a task that leaves the others time to come */
static void sleep_and_tell(void *user, int task, int worker) {
    int *workers = user;
    (void)task;
    usleep(200);
    __atomic_fetch_or(workers, 1 << worker, __ATOMIC_RELAXED);
}

/* whether the caller is the only one that runs anything; others may be late, but not for ever */
static bool is_alone(rein_pool *pool, int patience) {
    int workers = 0;
    for (int i = 0; i < patience && workers < 2; i++)
        rein_pool_run(pool, 4, sleep_and_tell, &workers);
    return workers < 2;
}

/* a whole number of periods in which an update takes this long with all workers and alone; updates that ran alone */
static int64_t live(reini_crew *crew, int periods, double together, double alone) {
    int64_t n = 0;
    for (int i = 0; i < periods * REINI_CREW_PERIOD; i++) {
        reini_crew_begin(crew);
        clock_now += crew->alone ? alone : together;
        n += crew->alone;
        reini_crew_end(crew);
        if (i % 1000 == 999)
            clock_now += 50; /* an evaluation, in the middle of whatever it is */
    }
    return n;
}

/* The faster way but for the trial's three blocks of the other one, and follows when that changes. */
static void test_finds_the_faster_way(void **state) {
    enum { TRIED = REINI_CREW_TRIALS / 2 * REINI_CREW_BLOCK, PERIOD = REINI_CREW_PERIOD };
    rein_pool *pool = rein_pool_new(2);
    reini_crew crew = reini_crew_make(pool);
    crew.seconds = seconds;
    assert_int_equal(live(&crew, 3, 1e-4, 2e-4), 3 * TRIED);
    assert_int_equal(live(&crew, 2, 2e-4, 1.9e-4), 2 * (PERIOD - TRIED));
    assert_int_equal(live(&crew, 1, 1e-4, 2e-4), TRIED);
    rein_pool_free(pool);
}

/* Alone means alone, and only between begin and end. */
static void test_alone(void **state) {
    enum { SOON = 3, EVER = 5000 };
    rein_pool *pool = rein_pool_new(2);
    reini_crew crew = reini_crew_make(pool);
    crew.seconds = seconds;
    int64_t looked = 0;
    for (int i = 0; i < 3 * REINI_CREW_BLOCK; i++) {
        reini_crew_begin(&crew);
        clock_now += 1;
        if (i % 8 == 0)
            assert_int_equal(is_alone(pool, crew.alone ? SOON : EVER), crew.alone);
        looked += i % 8 == 0 && crew.alone;
        reini_crew_end(&crew);
        if (i % 8 == 0)
            assert_false(is_alone(pool, EVER));
    }
    assert_int_equal(looked, REINI_CREW_BLOCK / 8);
    rein_pool_free(pool);
}

static void test_one_worker(void **state) {
    rein_pool *pool = rein_pool_new(1);
    reini_crew of_one = reini_crew_make(pool), of_none = reini_crew_make(NULL);
    of_one.seconds = of_none.seconds = NULL; /* nobody looks */
    for (int i = 0; i < 100; i++) {
        reini_crew_begin(&of_one);
        reini_crew_end(&of_one);
        reini_crew_begin(&of_none);
        reini_crew_end(&of_none);
    }
    rein_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_faster_way),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_one_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
