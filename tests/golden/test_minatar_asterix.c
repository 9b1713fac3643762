/*
 * test_minatar_asterix.c - a recorded game of the original, frame by frame.
 */
#include <string.h>
#include "golden/minatar_playback.h"

#include "env/minatar/asterix.c"

static void plays_as_recorded(void **state) {
    play_back(&reini_env_asterix_v0, "minatar_asterix.txt", sizeof(minatar_config));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(plays_as_recorded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
