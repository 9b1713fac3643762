/*
 * frozen_lake.c - FrozenLake-v1, FrozenLake8x8-v1: cross a frozen lake without falling into a hole.
 *
 * Source: Gymnasium's FrozenLake-v1. A state is a cell, counted row by row; goals and holes are terminal. Actions: 0
 * left, 1 down, 2 right, 3 up; at the border the move changes nothing. On slippery ice the move goes as intended with
 * success_rate and to either side with half of the rest; the outcomes of a row are in Gymnasium's order: turned
 * clockwise, intended, turned the other way.
 *
 * Maps: "4x4" and "8x8" are Gymnasium's; a file has one line for each row; "random" draws cells until the goal can be
 * reached, as Gymnasium's generate_random_map does, from our own random numbers: the same map_seed gives another map.
 * A map of a file must have a way from every start to a goal, which Gymnasium does not ask for.
 */
#include <math.h>
#include <string.h>
#include "env/env_types.h"
#include "env/tabular/map.h"
#include "env/tabular/mdp_env.h"

#define LAKE_FIELDS(map_default, F, E)                                                                       \
    F(TEXT, map, map_default, 0, 0, "4x4, 8x8, random, or a file of rows of the letters S, F, H and G")      \
    F(INT, size, "8", 2, REINI_MAP_SIDE_MAX, "rows and columns of a random map")                             \
    F(REAL, frozen_probability, "0.8", 0, 1,                                                                 \
      "probability that a cell of a random map is frozen, not a hole")                                       \
    F(COUNT, map_seed, "0", 0, 9e15, "which random map")                                                     \
    F(BOOL, is_slippery, "true", 0, 1, "whether moves may go to the side")                                   \
    F(REAL, success_rate, "0.3333333333333333", 0, 1, "probability of the intended move on slippery ice")    \
    F(REAL, reward_goal, "1", -1e6, 1e6, "reward for reaching the goal")                                     \
    F(REAL, reward_hole, "0", -1e6, 1e6, "reward for falling into a hole")                                   \
    F(REAL, reward_frozen, "0", -1e6, 1e6, "reward for any other step")

#define LAKE_4X4_FIELDS(F, E) LAKE_FIELDS("4x4", F, E)
#define LAKE_8X8_FIELDS(F, E) LAKE_FIELDS("8x8", F, E)

typedef struct lake_config {
    REIN_FIELDS_STRUCT(LAKE_4X4_FIELDS)
} lake_config;

#define REIN_FIELD_OWNER lake_config
static const rein_field lake_4x4_fields[] = {REIN_FIELDS_TABLE(LAKE_4X4_FIELDS)};
static const rein_field lake_8x8_fields[] = {REIN_FIELDS_TABLE(LAKE_8X8_FIELDS)};
#undef REIN_FIELD_OWNER

static const reini_map_kind lake_kind = {
    .letters = "SFHG",
    .legend = "S (start), F (frozen), H (hole) or G (goal)",
    .blocked = "H",
};

static const char lake_4x4[] = "SFFF\nFHFH\nFFFH\nHFFG\n";
static const char lake_8x8[] = "SFFFFFFF\nFFFFFFFF\nFFFHFFFF\nFFFFFHFF\n"
                               "FFFHFFFF\nFHHFFFHF\nFHFFHFHF\nFFFHFFFG\n";

/* ---- maps ------------------------------------------------------------------------------------------------------ */

static void draw_cells(const lake_config *c, reini_map *map, rein_rng *rng) {
    size_t cells = (size_t)map->height * (size_t)map->width;
    double frozen = c->frozen_probability * 0x1p32;
    for (size_t i = 0; i < cells; i++)
        map->cell[i] = (double)rein_rng_next(rng) < frozen ? 'F' : 'H';
    map->cell[0] = 'S';
    map->cell[cells - 1] = 'G';
}

/* Few frozen cells leave no way through a large map, however often it is drawn: below about 0.593, where the clusters
 * of an endless square grid become finite. So the number of tries is limited, by the cells drawn. */
static rein_status random_map(const lake_config *c, reini_map *map) {
    int32_t size = (int32_t)c->size;
    int64_t stranded = 0, tries = 100 + 100000000 / (c->size * c->size);
    rein_rng rng = rein_rng_make((uint64_t)c->map_seed, 0);
    REINI_TRY(reini_map_new(size, size, 'F', map));
    rein_status status = REIN_OK;
    for (int64_t i = 0; i < tries && stranded >= 0 && status == REIN_OK; i++) {
        draw_cells(c, map, &rng);
        status = reini_map_stranded(&lake_kind, map, &stranded);
    }
    if (status == REIN_OK && stranded >= 0)
        status =
            reini_fail(REIN_USAGE,
                       "none of %lld random maps of %d x %d cells with frozen_probability %g has a way from "
                       "start to goal; raise frozen_probability (above 0.6 for large maps) or lower size",
                       (long long)tries, size, size, c->frozen_probability);
    if (status != REIN_OK)
        reini_map_free(map);
    return status;
}

static rein_status choose_map(const lake_config *c, reini_map *map) {
    if (strcmp(c->map, "4x4") == 0)
        return reini_map_parse(&lake_kind, "4x4", lake_4x4, sizeof lake_4x4 - 1, map);
    if (strcmp(c->map, "8x8") == 0)
        return reini_map_parse(&lake_kind, "8x8", lake_8x8, sizeof lake_8x8 - 1, map);
    if (strcmp(c->map, "random") == 0)
        return random_map(c, map);
    rein_status status = reini_map_read(&lake_kind, c->map, map);
    return status == REIN_IO ? reini_fail_in(status, "map (4x4, 8x8, random or a file): ") : status;
}

/* ---- the tables ------------------------------------------------------------------------------------------------ */

static rein_outcome lake_outcome(const lake_config *c, const reini_map *map, int32_t cell, int direction,
                                 double probability) {
    int32_t next = reini_map_beside(map, cell, direction);
    char letter = map->cell[next];
    double reward = letter == 'G' ? c->reward_goal : letter == 'H' ? c->reward_hole : c->reward_frozen;
    return (rein_outcome){next, probability, reward};
}

static rein_status add_row(rein_mdp *mdp, const lake_config *c, const reini_map *map, int32_t cell,
                           int action) {
    const double success = c->is_slippery ? c->success_rate : 1, fail = (1.0 - success) / 2.0;
    rein_outcome outcomes[3];
    int n = 0;
    for (int turn = 3; turn <= 5; turn++) {
        double probability = turn == 4 ? success : fail;
        if (probability > 0)
            outcomes[n++] = lake_outcome(c, map, cell, (action + turn) & 3, probability);
    }
    return rein_mdp_add(mdp, cell, action, n, outcomes);
}

static rein_status fill(rein_mdp *mdp, const lake_config *c, const reini_map *map) {
    static const reini_action_label labels[] = {{"left", '<'}, {"down", 'v'}, {"right", '>'}, {"up", '^'}};
    REINI_TRY(reini_label_actions(mdp, labels, 4));
    for (int32_t cell = 0; cell < map->height * map->width; cell++) {
        char letter = map->cell[cell];
        if (letter == 'G' || letter == 'H') {
            REINI_TRY(rein_mdp_terminal(mdp, cell, 0));
            continue;
        }
        for (int action = 0; action < 4; action++)
            REINI_TRY(add_row(mdp, c, map, cell, action));
        if (letter == 'S')
            REINI_TRY(rein_mdp_start(mdp, cell, 1));
    }
    return reini_add_grid(mdp, "", map->height, map->width, 0, 1, map->cell);
}

static rein_status lake_open(const void *config, rein_env_type *opened) {
    const lake_config *c = config;
    reini_map map;
    rein_mdp *mdp = NULL;
    rein_status status = choose_map(c, &map);
    if (status != REIN_OK)
        return reini_fail_in(status, "environment %s: ", opened->id);
    status = rein_mdp_new(map.height * map.width, 4, false, &mdp);
    if (status == REIN_OK)
        status = fill(mdp, c, &map);
    reini_map_free(&map);
    return reini_mdp_env_open(status, mdp, sizeof(reini_mdp_env), opened);
}

const rein_env_type reini_env_frozen_lake = {
    .abi = REIN_ENV_ABI,
    .id = "FrozenLake-v1",
    .doc = "cross a slippery frozen lake without falling into a hole; reward 1 at the goal",
    .obs = REINI_DISCRETE(16),
    .act = REINI_DISCRETE(4),
    .horizon = 100,
    REINI_ENV_FIELDS(lake_config, lake_4x4_fields),
    .reward_threshold = 0.70,
    REINI_MDP_ENV,
    .open = lake_open,
};

const rein_env_type reini_env_frozen_lake_8x8 = {
    .abi = REIN_ENV_ABI,
    .id = "FrozenLake8x8-v1",
    .doc = "FrozenLake-v1 on the map of 8 x 8 cells; reward 1 at the goal",
    .obs = REINI_DISCRETE(64),
    .act = REINI_DISCRETE(4),
    .horizon = 200,
    REINI_ENV_FIELDS(lake_config, lake_8x8_fields),
    .reward_threshold = 0.85,
    REINI_MDP_ENV,
    .open = lake_open,
};
