/*
 * fuzz_config.c - JSON as the config.json of a run and as settings for --config.
 *
 * A configuration that is accepted must be written in a form that is accepted again and means the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "run/settings.h"
#include "fuzz.h"

static void must(bool condition, const char *what) {
    if (condition)
        return;
    fprintf(stderr, "%s (%s)\n", what, rein_error());
    abort();
}

static void check_again(const reini_setup *setup) {
    json_t *json = reini_setup_to_json(setup), *back, *json_again;
    reini_setup again;
    must(json != NULL, "an accepted configuration cannot be written");
    char *text = reini_json_text(json, true);
    must(text != NULL, "an accepted configuration cannot be printed");
    must(reini_json_parse(text, strlen(text), "again", &back) == REIN_OK,
         "a written configuration is not JSON");
    must(reini_setup_from_json(&again, NULL, back, "again") == REIN_OK, "a written configuration is refused");
    json_again = reini_setup_to_json(&again);
    must(json_equal(json, json_again), "a written configuration reads back as another");
    reini_setup_release(&again);
    json_decref(json_again);
    json_decref(back);
    json_decref(json);
    reini_free(text);
}

static void as_run(const json_t *config) {
    reini_setup setup;
    if (reini_setup_from_json(&setup, NULL, config, "input") == REIN_OK)
        check_again(&setup);
    else
        must(rein_error()[0] != 0, "a failure without a sentence");
    reini_setup_release(&setup);
}

static void as_settings(const json_t *config) {
    reini_setup setup;
    const rein_env_type *env = rein_env_find("CartPole-v1");
    const reini_algo *algo = reini_algo_find("ppo");
    must(env && algo, "no environment or algorithm to configure");
    must(reini_setup_init(&setup, algo, env) == REIN_OK, "defaults are refused");
    snprintf(setup.preset, sizeof setup.preset, "none");
    setup.seeds = 1;
    if (reini_setup_apply_json(&setup, config, "input") == REIN_OK)
        check_again(&setup);
    reini_setup_release(&setup);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *config;
    uint64_t before = reini_memory_now().live_bytes;
    if (reini_json_parse((const char *)data, size, "input", &config) != REIN_OK)
        return 0;
    as_run(config);
    as_settings(config);
    json_decref(config);
    must(reini_memory_now().live_bytes == before, "memory is lost");
    return 0;
}
