/*
 * test_minatar_freeway.c - a recorded game of the original, frame by frame.
 */
#include <string.h>
#include "golden/minatar_playback.h"

#include "env/minatar/freeway.c"

static void plays_as_recorded(void **state) {
    play_back(&reini_env_freeway_v0, "minatar_freeway.txt", sizeof(minatar_config));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(plays_as_recorded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
