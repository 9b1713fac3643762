/*
 * test_run_faults.c - no memory, no room on the disk: a clean failure, and earlier files as they were.
 */
#include <sys/resource.h>
#include <signal.h>
#include <sys/wait.h>
#include "base/base.h"
#include "support/run_check.h"

static rein_summary summary, reference;

static int make_reference(void **state) {
    if (temp_dir_make(state) != 0)
        return -1;
    rein_train_opts opts = run_opts(run_path("reference"));
    return reini_train_with(&mock_algo, &opts, &reference) == REIN_OK ? 0 : -1;
}

static int64_t stop_iteration;
static void stop_hook(int64_t iteration) {
    if (iteration == stop_iteration)
        run_stop = 1;
}

/* ---- memory ------------------------------------------------------------------------------------------ */

/* fails each allocation of a new run in turn; the run either says so or did not need it */
static void every_allocation_of_a_run_may_fail(void **state) {
    int failures = 0;
    for (uint64_t n = 1;; n++) {
        rein_train_opts opts = run_opts(run_path("lean"));
        uint64_t live = reini_memory_now().live_bytes, before = reini_memory_now().allocations;
        reini_memory_fail(n, false);
        rein_status status = reini_train_with(&mock_algo, &opts, &summary);
        reini_memory_fail(0, false);
        uint64_t used = reini_memory_now().allocations - before;
        assert_int_equal(reini_memory_now().live_bytes, live);
        assert_true(status == REIN_OK || status == REIN_NOMEM);
        if (status == REIN_NOMEM)
            assert_true(rein_error()[0]);
        failures += status == REIN_NOMEM;
        if (run_has(run_path("lean"), "config.json") && status != REIN_OK) {
            opts = run_resume(run_path("lean"));
            assert_ok(reini_train_with(&mock_algo, &opts, &summary));
        }
        if (run_has(run_path("lean"), "summary.json"))
            run_same(run_path("reference"), run_path("lean"), &reference, &summary);
        temp_remove(run_path("lean"));
        if (used < n)
            break;
    }
    assert_true(failures > 20);
}

static void every_allocation_of_a_resume_may_fail(void **state) {
    rein_train_opts opts = run_opts(run_path("resumed"));
    stop_iteration = 10;
    mock_hook = stop_hook;
    assert_fails(reini_train_with(&mock_algo, &opts, &summary), REIN_INTERRUPTED, "stopped");
    mock_hook = NULL;
    for (uint64_t n = 1;; n++) {
        opts = run_resume(run_path("resumed"));
        reini_memory_fail(n, false);
        rein_status status = reini_train_with(&mock_algo, &opts, &summary);
        reini_memory_fail(0, false);
        assert_true(status == REIN_OK || status == REIN_NOMEM);
        if (status == REIN_OK)
            break;
    }
    opts = run_resume(run_path("resumed"));
    assert_ok(reini_train_with(&mock_algo, &opts, &summary));
    run_same(run_path("reference"), run_path("resumed"), &reference, &summary);
}

static void every_allocation_of_an_evaluation_may_fail(void **state) {
    rein_eval_opts opts = {.path = run_path("reference"), .episodes = 20, .obs_noise = 0.1, .threads = 1};
    rein_eval_result result;
    uint64_t live = reini_memory_now().live_bytes;
    for (uint64_t n = 1;; n++) {
        reini_memory_fail(n, false);
        rein_status status = rein_eval(&opts, &result);
        reini_memory_fail(0, false);
        assert_int_equal(reini_memory_now().live_bytes, live);
        if (status == REIN_OK)
            break;
        if (status != REIN_NOMEM)
            fail_msg("allocation %d: status %d, \"%s\"", (int)n, (int)status, rein_error());
    }
}

static uint64_t first_allocations, last_allocations;
static void count_hook(int64_t iteration) {
    uint64_t now = reini_memory_now().allocations;
    if (iteration == 1)
        first_allocations = now;
    last_allocations = now;
}

static void iterations_do_not_allocate(void **state) {
    rein_setting settings[] = {
        RUN_SETTINGS, {"eval_every", "0"}, {"checkpoint_every", "1e6"}, {"steps", "6000"}};
    rein_train_opts opts = run_opts(run_path("quiet"));
    opts.settings = settings;
    opts.n_settings = N_RUN_SETTINGS + 3;
    mock_hook = count_hook;
    assert_ok(reini_train_with(&mock_algo, &opts, &summary));
    mock_hook = NULL;
    assert_int_equal(last_allocations, first_allocations);
}

/* ---- disk -------------------------------------------------------------------------------------------- */

/* runs in a child whose files may not grow beyond `bytes`; returns the status, with the sentence in
 * `sentence` */
static rein_status train_with_little_room(const rein_train_opts *opts, rlim_t bytes, char sentence[1024]) {
    int ends[2], how;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, bytes});
        rein_status status = reini_train_with(&mock_algo, opts, &summary);
        const char *text = status == REIN_OK ? "" : rein_error();
        _exit(write(ends[1], text, strlen(text) + 1) > 0 ? (int)status : 99);
    }
    close(ends[1]);
    memset(sentence, 0, 1024);
    assert_true(read(ends[0], sentence, 1023) > 0);
    close(ends[0]);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return (rein_status)WEXITSTATUS(how);
}

static void a_full_disk_loses_nothing(void **state) {
    static const rlim_t rooms[] = {0, 10, 100, 500, 1000, 1500, 2000, 2200, 2500, 3000, 3500, 4000};
    const char *dir = run_path("full");
    char sentence[1024];
    int failures = 0;
    rein_train_opts opts = run_opts(dir);
    stop_iteration = 7;
    mock_hook = stop_hook;
    assert_fails(reini_train_with(&mock_algo, &opts, &summary), REIN_INTERRUPTED, "stopped at 210");
    mock_hook = NULL;
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        opts = run_resume(dir);
        rein_status status = train_with_little_room(&opts, rooms[i], sentence);
        if (status == REIN_OK)
            continue;
        failures++;
        assert_int_equal(status, REIN_IO);
        assert_non_null(strstr(sentence, dir));
    }
    assert_true(failures >= 5);
    opts = run_resume(dir);
    assert_ok(reini_train_with(&mock_algo, &opts, &summary));
    run_same(run_path("reference"), dir, &reference, &summary);
}

static void a_run_that_cannot_begin_leaves_nothing(void **state) {
    char sentence[1024];
    rein_train_opts opts = run_opts(run_path("never"));
    assert_int_equal(train_with_little_room(&opts, 0, sentence), REIN_IO);
    assert_non_null(strstr(sentence, "never/config.json"));
    assert_false(run_has(run_path("never"), ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_run_may_fail),
        cmocka_unit_test(every_allocation_of_a_resume_may_fail),
        cmocka_unit_test(every_allocation_of_an_evaluation_may_fail),
        cmocka_unit_test(iterations_do_not_allocate),
        cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(a_run_that_cannot_begin_leaves_nothing),
    };
    mock_env_register();
    return cmocka_run_group_tests(tests, make_reference, temp_dir_remove);
}
