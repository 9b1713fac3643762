/*
 * learn_rig.h - runs made from lines of settings, in the test's directory, one over the other.
 */
#ifndef LEARN_RIG_H
#define LEARN_RIG_H

#include <rein/run.h>
#include "support/settings.h"
#include "support/temp_dir.h"

/* one thread, since other tests run beside; nothing saved on the way */
#define LEARN_ALONE "threads=1 checkpoint_every=1000000000 "

/* "name=value name=value": `base` is what all runs of a test have, `more` a run's own, which wins */
static inline rein_status learn_try(const char *algo, const char *env, const char *preset, const char *base,
                                    const char *more, rein_summary *summary) {
    settings_list settings;
    settings_parse(&settings, base, more);
    rein_train_opts opts = {.algo = algo,
                            .env = env,
                            .preset = preset,
                            .settings = settings.at,
                            .n_settings = settings.n,
                            .out = temp_path("run"),
                            .force = 1};
    return rein_train(&opts, summary);
}

/* a run to its end, in which every update counts */
static inline rein_summary learn(const char *algo, const char *env, const char *preset, const char *base,
                                 const char *more) {
    rein_summary summary;
    assert_ok(learn_try(algo, env, preset, base, more, &summary));
    assert_int_equal(summary.skipped_updates, 0);
    print_message("# %s on %s with %s: %.2f in %.2f s\n", algo, env, more, summary.eval_return_mean,
                  summary.wall_s);
    return summary;
}

/* such a run without a preset, whose last evaluation gives `least` in the mean */
static inline void learn_well(const char *algo, const char *env, const char *base, const char *more,
                              double least) {
    rein_summary summary = learn(algo, env, "none", base, more);
    if (!(summary.eval_return_mean >= least))
        fail_msg("%s on %s with %s: %.2f, at least %.2f expected", algo, env, more, summary.eval_return_mean,
                 least);
}

/* Such runs with seeds 0, 1, ... of which two reach `least` before three miss it: single seeds fail now and then, and which
 * ones is a matter of the last bit of every number. */
static inline void learn_by_seeds(const char *algo, const char *env, const char *preset, const char *base,
                                  const char *more, double least) {
    int reached = 0, missed = 0;
    while (reached < 2 && missed < 3) {
        char settings[512];
        snprintf(settings, sizeof settings, "%s seed=%d", more, reached + missed);
        if (learn(algo, env, preset, base, settings).eval_return_mean >= least)
            reached++;
        else
            missed++;
    }
    if (missed == 3)
        fail_msg("%s on %s with %s: %d of %d seeds reached %.2f", algo, env, more, reached, reached + missed,
                 least);
}

#endif
