/*
 * map.h - maps of letters: one line of text per row, one letter per cell.
 */
#ifndef REINI_MAP_H
#define REINI_MAP_H

#include "base/base.h"

#define REINI_MAP_SIDE_MAX 4096

typedef struct reini_map {
    int32_t height, width;
    char *cell; /* (height x width) */
} reini_map;

/* What a map may hold. 'S' is a start, 'G' a goal. */
typedef struct reini_map_kind {
    const char *letters; /* "SFHG" */
    const char *legend;  /* "S (start), F (frozen), H (hole) or G (goal)" */
    const char *blocked; /* letters of cells that no way leads through: "H" */
} reini_map_kind;

/* Makes a map of text: rows of equal length, only letters of the kind, at least one start, and from every start a way
 * to a goal. Failures name `name`, line and column. The caller frees the map. */
rein_status reini_map_parse(const reini_map_kind *kind, const char *name, const char *text, size_t size,
                            reini_map *map);
rein_status reini_map_read(const reini_map_kind *kind, const char *path, reini_map *map);
/* A map of one letter. */
rein_status reini_map_new(int32_t height, int32_t width, char letter, reini_map *map);
void reini_map_free(reini_map *map);

/* The first cell of a start from which no goal can be reached by steps up, down, left and right, -1 when there is
 * none. */
rein_status reini_map_stranded(const reini_map_kind *kind, const reini_map *map, int64_t *cell);

/* The cell beside a cell in a direction (0 left, 1 down, 2 right, 3 up); the cell itself at the border. */
static inline int32_t reini_map_beside(const reini_map *map, int32_t cell, int direction) {
    int32_t row = cell / map->width, column = cell % map->width;
    switch (direction) {
    case 0:
        return column > 0 ? cell - 1 : cell;
    case 1:
        return row < map->height - 1 ? cell + map->width : cell;
    case 2:
        return column < map->width - 1 ? cell + 1 : cell;
    default:
        return row > 0 ? cell - map->width : cell;
    }
}

#endif
