/*
 * test_env_space.c - sizes, printing and checking of spaces.
 */
#include "support/check.h"
#include <math.h>
#include <rein/env.h>
#include "env/env_types.h"

static const float low3[3] = {-1, -1, -1}, high3[3] = {1, 1, 1};
static const float low2[2] = {-1.2f, -INFINITY}, high2[2] = {0.6f, INFINITY};
static const float many_low[10] = {0}, many_high[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

static const rein_space discrete = REINI_DISCRETE(4);
static const rein_space multi = {.kind = REIN_SPACE_MULTI_DISCRETE, .size = 3, .n = {3, 2, 5}};
static const rein_space box = REINI_BOX(3, low3, high3);
static const rein_space image = {.kind = REIN_SPACE_IMAGE, .size = 3 * 84 * 80, .shape = {3, 84, 80}};

static void test_sizes(void **state) {
    assert_int_equal(rein_space_bytes(&discrete), 4);
    assert_int_equal(rein_space_bytes(&multi), 12);
    assert_int_equal(rein_space_bytes(&box), 12);
    assert_int_equal(rein_space_bytes(&image), 3 * 84 * 80);
    assert_int_equal(rein_space_logits(&discrete), 4);
    assert_int_equal(rein_space_logits(&multi), 10);
    assert_int_equal(rein_space_logits(&box), 3);
}

static void check_print(const rein_space *space, const char *expected) {
    char out[256];
    assert_int_equal(rein_space_print(space, out, sizeof out), strlen(expected));
    assert_string_equal(out, expected);
}

static void test_print(void **state) {
    check_print(&discrete, "Discrete(4)");
    check_print(&multi, "MultiDiscrete(3, 2, 5)");
    check_print(&box, "Box(3, -1..1)");
    check_print(&image, "Image(3x84x80)");
    check_print(&(rein_space)REINI_BOX(3, NULL, NULL), "Box(3)");
    check_print(&(rein_space)REINI_BOX(3, low3, NULL), "Box(3, -1..inf)");
    check_print(&(rein_space)REINI_BOX(2, low2, high2), "Box(2, -1.2..0.6, -inf..inf)");
    check_print(&(rein_space)REINI_BOX(10, many_low, many_high),
                "Box(10, 0..1, 0..2, 0..3, 0..4, 0..5, 0..6, 0..7, 0..8, ...)");
}

static void test_print_cuts(void **state) {
    char out[8] = "xxxxxxx";
    assert_int_equal(rein_space_print(&box, out, sizeof out), strlen("Box(3, -1..1)"));
    assert_string_equal(out, "Box(3, ");
    assert_int_equal(rein_space_print(&box, NULL, 0), strlen("Box(3, -1..1)"));
    assert_int_equal(rein_space_print(&box, out, 1), strlen("Box(3, -1..1)"));
    assert_string_equal(out, "");
}

static void test_flaws(void **state) {
    static const float nan1[1] = {NAN}, one[1] = {1}, two[1] = {2};
    assert_null(reini_space_flaw(&discrete));
    assert_null(reini_space_flaw(&multi));
    assert_null(reini_space_flaw(&box));
    assert_null(reini_space_flaw(&image));
    assert_null(reini_space_flaw(&(rein_space)REINI_BOX(2, low2, high2)));
    const rein_space bad[] = {
        REINI_DISCRETE(0),
        {.kind = REIN_SPACE_DISCRETE, .size = 2, .n = {2, 2}},
        {.kind = REIN_SPACE_MULTI_DISCRETE, .size = 0},
        {.kind = REIN_SPACE_MULTI_DISCRETE, .size = 9, .n = {2, 2, 2, 2, 2, 2, 2, 2}},
        {.kind = REIN_SPACE_MULTI_DISCRETE, .size = 2, .n = {INT32_MAX, 1}},
        REINI_BOX(0, NULL, NULL),
        {.kind = REIN_SPACE_BOX, .size = 3},
        REINI_BOX(1, nan1, NULL),
        REINI_BOX(1, two, one),
        {.kind = REIN_SPACE_IMAGE, .size = 10, .shape = {1, 3, 3}},
        {.kind = REIN_SPACE_IMAGE, .size = 0, .shape = {1, 0, 3}},
        {.kind = (rein_space_kind)17, .size = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!reini_space_flaw(&bad[i]))
            fail_msg("bad space %zu passed", i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_print_cuts),
        cmocka_unit_test(test_flaws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
