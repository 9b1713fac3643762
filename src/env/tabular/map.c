/*
 * map.c - reading maps of letters, and whether their goals can be reached.
 *
 * Lines end with a newline, with or without a carriage return before it; empty lines at the end do not count.
 */
#include "env/tabular/map.h"

#include <string.h>
#include "base/file.h"

/* ---- lifetime -------------------------------------------------------------------------------------------------- */

rein_status reini_map_new(int32_t height, int32_t width, char letter, reini_map *map) {
    size_t cells = (size_t)height * (size_t)width;
    *map = (reini_map){height, width, reini_new(cells)};
    if (!map->cell)
        return reini_fail_memory(cells, "a map");
    memset(map->cell, letter, cells);
    return REIN_OK;
}

void reini_map_free(reini_map *map) {
    reini_free(map->cell);
    map->cell = NULL;
}

/* ---- parsing --------------------------------------------------------------------------------------------------- */

/* The length of the line at `text`, without its end; *next is where the next one begins. */
static size_t line_length(const char *text, const char *end, const char **next) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    size_t length = (size_t)((newline ? newline : end) - text);
    *next = newline ? newline + 1 : end;
    return length > 0 && text[length - 1] == '\r' ? length - 1 : length;
}

/* where the last line that is not empty ends */
static const char *trimmed_end(const char *text, size_t size) {
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    return text + size;
}

static rein_status check_letters(const reini_map_kind *kind, const char *name, int row, const char *line,
                                 int32_t width) {
    for (int32_t column = 0; column < width; column++) {
        unsigned char letter = (unsigned char)line[column];
        if (letter != 0 && strchr(kind->letters, letter))
            continue;
        if (letter > ' ' && letter < 127)
            return reini_fail(REIN_FORMAT,
                              "%s, line %d, column %d: '%c' is not a letter of such a map; use %s", name,
                              row + 1, column + 1, letter, kind->legend);
        return reini_fail(REIN_FORMAT,
                          "%s, line %d, column %d: the character with code %d is not a letter of such a map; "
                          "use %s",
                          name, row + 1, column + 1, letter, kind->legend);
    }
    return REIN_OK;
}

/* The size of the map, from the first line and the number of lines. */
static rein_status measure(const char *name, const char *text, const char *end, reini_map *map) {
    const char *at = text, *next;
    if (text == end)
        return reini_fail(REIN_FORMAT, "%s: the map is empty; expected one line for each row", name);
    size_t width = line_length(text, end, &next), height = 0;
    for (; at < end; at = next, height++)
        line_length(at, end, &next);
    if (width > REINI_MAP_SIDE_MAX || height > REINI_MAP_SIDE_MAX)
        return reini_fail(REIN_FORMAT,
                          "%s: a map of %zu rows and %zu columns is too large, the most is %d each", name,
                          height, width, REINI_MAP_SIDE_MAX);
    *map = (reini_map){(int32_t)height, (int32_t)width, NULL};
    return REIN_OK;
}

static rein_status copy_rows(const reini_map_kind *kind, const char *name, const char *text, const char *end,
                             reini_map *map) {
    const char *next;
    for (int32_t row = 0; row < map->height; row++, text = next) {
        size_t length = line_length(text, end, &next);
        if (length != (size_t)map->width)
            return reini_fail(REIN_FORMAT, "%s, line %d: %zu columns, expected %d as in line 1", name,
                              row + 1, length, map->width);
        REINI_TRY(check_letters(kind, name, row, text, map->width));
        memcpy(map->cell + (size_t)row * (size_t)map->width, text, length);
    }
    return REIN_OK;
}

static rein_status check_ways(const reini_map_kind *kind, const char *name, const reini_map *map) {
    size_t cells = (size_t)map->height * (size_t)map->width;
    int64_t cell;
    if (!memchr(map->cell, 'S', cells))
        return reini_fail(REIN_FORMAT, "%s: the map has no start; mark at least one cell with S", name);
    if (!memchr(map->cell, 'G', cells))
        return reini_fail(REIN_FORMAT, "%s: the map has no goal; mark at least one cell with G", name);
    REINI_TRY(reini_map_stranded(kind, map, &cell));
    if (cell < 0)
        return REIN_OK;
    return reini_fail(REIN_FORMAT, "%s, line %d, column %d: from this start no way leads to a goal; open one",
                      name, (int)(cell / map->width) + 1, (int)(cell % map->width) + 1);
}

rein_status reini_map_parse(const reini_map_kind *kind, const char *name, const char *text, size_t size,
                            reini_map *map) {
    const char *end = trimmed_end(text, size);
    *map = (reini_map){0};
    REINI_TRY(measure(name, text, end, map));
    REINI_TRY(reini_map_new(map->height, map->width, ' ', map));
    rein_status status = copy_rows(kind, name, text, end, map);
    if (status == REIN_OK)
        status = check_ways(kind, name, map);
    if (status != REIN_OK)
        reini_map_free(map);
    return status;
}

rein_status reini_map_read(const reini_map_kind *kind, const char *path, reini_map *map) {
    const size_t limit = (size_t)REINI_MAP_SIDE_MAX * (REINI_MAP_SIDE_MAX + 2) + 65536;
    char *text;
    size_t size;
    *map = (reini_map){0};
    REINI_TRY(reini_file_read(path, limit, &text, &size));
    rein_status status = reini_map_parse(kind, path, text, size, map);
    reini_free(text);
    return status;
}

/* ---- ways ------------------------------------------------------------------------------------------------------ */

/* Marks every cell from which a goal can be reached, by walking back from the goals. queue: room for all cells. */
static void mark_ways(const reini_map_kind *kind, const reini_map *map, uint8_t *reached, int32_t *queue) {
    int32_t cells = map->height * map->width, n = 0;
    for (int32_t i = 0; i < cells; i++)
        if (map->cell[i] == 'G') {
            reached[i] = 1;
            queue[n++] = i;
        }
    while (n > 0) {
        int32_t cell = queue[--n];
        for (int direction = 0; direction < 4; direction++) {
            int32_t beside = reini_map_beside(map, cell, direction);
            if (reached[beside] || strchr(kind->blocked, map->cell[beside]))
                continue;
            reached[beside] = 1;
            queue[n++] = beside;
        }
    }
}

rein_status reini_map_stranded(const reini_map_kind *kind, const reini_map *map, int64_t *cell) {
    size_t cells = (size_t)map->height * (size_t)map->width;
    uint8_t *reached = reini_new(cells);
    int32_t *queue = REINI_NEW_ARRAY(int32_t, cells);
    rein_status status = REIN_OK;
    *cell = -1;
    if (!reached || !queue)
        status = reini_fail_memory(cells * (1 + sizeof *queue), "the ways through a map");
    else
        mark_ways(kind, map, reached, queue);
    for (size_t i = 0; status == REIN_OK && *cell < 0 && i < cells; i++)
        if (map->cell[i] == 'S' && !reached[i])
            *cell = (int64_t)i;
    reini_free(queue);
    reini_free(reached);
    return status;
}
