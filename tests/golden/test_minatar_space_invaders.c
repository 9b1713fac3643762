/*
 * test_minatar_space_invaders.c - a recorded game of the original, frame by frame.
 */
#include <string.h>
#include "golden/minatar_playback.h"

#include "env/minatar/space_invaders.c"

static void plays_as_recorded(void **state) {
    play_back(&reini_env_space_invaders_v0, "minatar_space_invaders.txt", sizeof(minatar_config));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(plays_as_recorded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
