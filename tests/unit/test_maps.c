/*
 * test_maps.c - maps of letters: what is read, what is refused and where, random lakes, large ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <rein/env.h>
#include "env/tabular/map.h"
#include "support/check.h"
#include "support/temp_dir.h"

static const reini_map_kind lake = {"SFHG", "S, F, H or G", "H"};

static rein_status parse(const char *text, reini_map *map) {
    return reini_map_parse(&lake, "some map", text, strlen(text), map);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void check_same(const char *text) {
    reini_map map;
    assert_ok(parse(text, &map));
    assert_true(map.height == 2 && map.width == 3);
    assert_memory_equal(map.cell, "SFHFFG", 6);
    reini_map_free(&map);
}

static void test_ends_of_lines(void **state) {
    check_same("SFH\nFFG\n");
    check_same("SFH\nFFG");
    check_same("SFH\r\nFFG\r\n");
    check_same("SFH\nFFG\n\n\n");
}

static void test_refused(void **state) {
    reini_map map;
    assert_fails(parse("", &map), REIN_FORMAT, "some map: the map is empty");
    assert_fails(parse("\n\n", &map), REIN_FORMAT, "empty");
    assert_fails(parse("SFG\nFX\n", &map), REIN_FORMAT,
                 "some map, line 2: 2 columns, expected 3 as in line 1");
    assert_fails(parse("SFG\nFFFF\n", &map), REIN_FORMAT, "line 2: 4 columns");
    assert_fails(parse("SFG\n\nFFF\n", &map), REIN_FORMAT, "line 2: 0 columns");
    assert_fails(parse("SFG\nFXF\n", &map), REIN_FORMAT, "line 2, column 2: 'X'");
    assert_fails(parse("SFG\nFXF\n", &map), REIN_FORMAT, "use S, F, H or G");
    assert_fails(parse("S\tG\n", &map), REIN_FORMAT, "line 1, column 2: the character with code 9");
    assert_fails(reini_map_parse(&lake, "m", "S\0G", 3, &map), REIN_FORMAT,
                 "column 2: the character with code 0");
    assert_fails(parse("FFG\n", &map), REIN_FORMAT, "no start");
    assert_fails(parse("SFF\n", &map), REIN_FORMAT, "no goal");
    assert_fails(parse("FHG\nSHF\n", &map), REIN_FORMAT, "line 2, column 1: from this start no way leads");
    assert_fails(parse("FSG\nHHH\nFFS\n", &map), REIN_FORMAT, "line 3, column 3: from this start");
    assert_null(map.cell);
}

static void test_too_large(void **state) {
    reini_map map;
    size_t n = REINI_MAP_SIDE_MAX + 1;
    char *wide = malloc(n + 1), *high = malloc(2 * n + 1);
    memset(wide, 'F', n);
    wide[n] = 0;
    for (size_t i = 0; i < n; i++)
        memcpy(high + 2 * i, "F\n", 2);
    high[2 * n] = 0;
    assert_fails(parse(wide, &map), REIN_FORMAT, "1 rows and 4097 columns is too large, the most is 4096");
    assert_fails(parse(high, &map), REIN_FORMAT, "4097 rows and 1 columns");
    wide[0] = 'S';
    wide[n - 2] = 'G';
    wide[n - 1] = 0;
    assert_ok(parse(wide, &map));
    assert_int_equal(map.width, REINI_MAP_SIDE_MAX);
    reini_map_free(&map);
    free(wide);
    free(high);
}

static void test_files(void **state) {
    reini_map map;
    temp_write(temp_path("lake"), "SF\nHG\n", 6);
    temp_write(temp_path("none"), "", 0);
    assert_ok(reini_map_read(&lake, temp_path("lake"), &map));
    assert_true(map.height == 2 && map.width == 2);
    reini_map_free(&map);
    assert_fails(reini_map_read(&lake, temp_path("none"), &map), REIN_FORMAT, "none: the map is empty");
    assert_fails(reini_map_read(&lake, temp_path("missing"), &map), REIN_IO, "missing");
    assert_fails(reini_map_read(&lake, temp_dir, &map), REIN_IO, "directory");
}

static void test_beside(void **state) {
    reini_map map = {2, 3, NULL};
    static const int32_t expected[6][4] = {{0, 3, 1, 0}, {0, 4, 2, 1}, {1, 5, 2, 2},
                                           {3, 3, 4, 0}, {3, 4, 5, 1}, {4, 5, 5, 2}};
    for (int32_t cell = 0; cell < 6; cell++)
        for (int direction = 0; direction < 4; direction++)
            assert_int_equal(reini_map_beside(&map, cell, direction), expected[cell][direction]);
}

/* ---- maps of environments ---------------------------------------------------------------------------------------- */

static rein_status open_with(const char *id, const char *const *settings, rein_env_type *opened) {
    const rein_env_type *type = rein_env_find(id);
    double config[64];
    assert_true(type->config_size <= sizeof config);
    rein_fields_default(type->fields, type->n_fields, config);
    for (; *settings; settings += 2)
        assert_ok(rein_fields_set(type->fields, type->n_fields, config, settings[0], settings[1]));
    return rein_env_open(type, config, opened);
}

#define OPEN(id, opened, ...) open_with((id), (const char *const[]){__VA_ARGS__, NULL}, (opened))

/* The states are the cells without walls, and the picture shows where they are. */
static void test_maze(void **state) {
    rein_env_type env;
    rein_outcome row[4];
    temp_write(temp_path("maze"), "#####\n#S.H#\n# #G#\n#   #\n#####\n", 30);
    assert_ok(OPEN("Maze-v0", &env, "map", temp_path("maze"), "slip", "0.5", "step_reward", "-2"));
    const rein_panel *panel = rein_mdp_panel_at(env.mdp, 0);
    assert_int_equal(rein_mdp_states(env.mdp), 8);
    assert_true(panel->height == 5 && panel->width == 5 && rein_mdp_panel_at(env.mdp, 1) == NULL);
    assert_memory_equal(panel->symbol, "######S H## #G##   ######", 25);
    for (int i = 0, s = 0; i < 25; i++)
        assert_int_equal(panel->state[i], panel->symbol[i] == '#' ? -1 : s++);
    assert_true(rein_mdp_is_terminal(env.mdp, 2, NULL) && rein_mdp_is_terminal(env.mdp, 4, NULL));
    /* right of S: turned to the wall above, intended, turned down; as Gymnasium orders a lake's outcomes */
    assert_int_equal(rein_mdp_row(env.mdp, 0, 2, row, 4), 3);
    assert_true(row[0].next == 3 && row[0].probability == 0.25 && row[0].reward == -2);
    assert_true(row[1].next == 1 && row[1].probability == 0.5);
    assert_true(row[2].next == 0 && row[2].probability == 0.25);
    /* into the hole, and up into the goal */
    rein_mdp_row(env.mdp, 1, 2, row, 4);
    assert_true(row[1].next == 2 && row[1].reward == -1);
    rein_mdp_row(env.mdp, 7, 3, row, 4);
    assert_true(row[1].next == 4 && row[1].reward == 1);
    assert_string_equal(rein_mdp_action_name(env.mdp, 3), "up");
    assert_int_equal(rein_mdp_action_glyph(env.mdp, 1), 'v');
    rein_env_close(&env);
}

static void test_maze_refused(void **state) {
    rein_env_type env;
    temp_write(temp_path("maze"), "#S#G#\n", 6);
    assert_fails(OPEN("Maze-v0", &env, "map", temp_path("maze")), REIN_FORMAT,
                 "line 1, column 2: from this start");
    temp_write(temp_path("maze"), "S G\n F \n", 8);
    assert_fails(OPEN("Maze-v0", &env, "map", temp_path("maze")), REIN_FORMAT, "line 2, column 2: 'F'");
    assert_non_null(strstr(rein_error(), "Maze-v0"));
    assert_non_null(strstr(rein_error(), "# (wall), space or . (free), S (start), G (goal) or H (hole)"));
}

static int holes(const rein_panel *panel) {
    int n = 0;
    for (int32_t i = 0; i < panel->height * panel->width; i++)
        n += panel->symbol[i] == 'H';
    return n;
}

static void test_random_lake(void **state) {
    char seed[16];
    rein_env_type env, same, other;
    for (int i = 0; i < 50; i++) {
        snprintf(seed, sizeof seed, "%d", i);
        assert_ok(OPEN("FrozenLake-v1", &env, "map", "random", "size", "12", "map_seed", seed,
                       "frozen_probability", "0.7"));
        const rein_panel *panel = rein_mdp_panel_at(env.mdp, 0);
        reini_map map = {12, 12, (char *)panel->symbol};
        int64_t stranded;
        assert_true(panel->symbol[0] == 'S' && panel->symbol[143] == 'G');
        assert_ok(reini_map_stranded(&lake, &map, &stranded));
        assert_true(stranded == -1);
        assert_in_range(holes(panel), 15, 75); /* 43 expected, deviation 5.5, fewer where there is a way */
        rein_env_close(&env);
    }
    assert_ok(OPEN("FrozenLake-v1", &env, "map", "random"));
    assert_ok(OPEN("FrozenLake-v1", &same, "map", "random"));
    assert_ok(OPEN("FrozenLake-v1", &other, "map", "random", "map_seed", "1"));
    const char *symbol = rein_mdp_panel_at(env.mdp, 0)->symbol;
    assert_int_equal(rein_mdp_states(env.mdp), 64);
    assert_memory_equal(symbol, rein_mdp_panel_at(same.mdp, 0)->symbol, 64);
    assert_memory_not_equal(symbol, rein_mdp_panel_at(other.mdp, 0)->symbol, 64);
    rein_env_close(&env);
    rein_env_close(&same);
    rein_env_close(&other);
    assert_ok(OPEN("FrozenLake-v1", &env, "map", "random", "size", "2", "frozen_probability", "1"));
    assert_memory_equal(rein_mdp_panel_at(env.mdp, 0)->symbol, "SFFG", 4);
    rein_env_close(&env);
}

static void test_lake_without_ways(void **state) {
    rein_env_type env;
    assert_fails(OPEN("FrozenLake-v1", &env, "map", "random", "size", "300", "frozen_probability", "0.3"),
                 REIN_USAGE, "raise frozen_probability");
    assert_non_null(strstr(rein_error(), "300 x 300"));
}

/* A million states: tables of about 12 million outcomes, 4 bytes each, and 8 bytes a row. */
static void test_large_lake(void **state) {
    rein_env_type env;
    assert_ok(OPEN("FrozenLake-v1", &env, "map", "random", "size", "1000"));
    double per_transition = (double)rein_mdp_bytes(env.mdp) / (double)rein_mdp_transitions(env.mdp);
    assert_int_equal(rein_mdp_states(env.mdp), 1000000);
    assert_true(rein_mdp_transitions(env.mdp) > 9000000);
    assert_true(per_transition < 12);
    rein_env_close(&env);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends_of_lines),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_maze),
        cmocka_unit_test(test_maze_refused),
        cmocka_unit_test(test_random_lake),
        cmocka_unit_test(test_lake_without_ways),
        cmocka_unit_test(test_large_lake),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
