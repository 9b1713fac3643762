/*
 * picture_grid.c - one panel of an MDP as a grid of cells.
 *
 * Layouts, the first that keeps within the width is taken:
 *
 *     boxes      value above action, a border around each cell; for up to 12 rows without many walls
 *     rows       one line a row, value and action side by side
 *     actions    one or two columns a cell, values are left out
 *
 * each of the first two with less room around the value, and then with one decimal less. A cell begins with a column
 * for its mark: the panel's symbol, where it distinguishes the cell, or S in the states where episodes start.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "run/picture_view.h"

enum { BOXES_MAX = 12 }; /* rows that are drawn as boxes */

typedef struct layout {
    bool boxed, values;
    int lines;    /* of a cell: 1 or 2 */
    int cell;     /* columns of a cell without borders */
    int decimals; /* of values */
    int gap;      /* columns between value and action, or around the value in boxes */
} layout;

typedef struct grid {
    const reini_view *view;
    const rein_panel *panel;
    layout form;
    reini_text *text;
    bool marked[128]; /* symbols that distinguish a cell */
} grid;

/* ---- layouts --------------------------------------------------------------------------------------------- */

static int grid_columns(const rein_panel *panel, const layout *f) {
    return REINI_PICTURE_INDENT_COLUMNS + 2 + panel->width * f->cell + (f->boxed ? panel->width - 1 : 0);
}

static layout boxes(const reini_view *v, int gap, int decimals) {
    int cell = v->valued ? reini_view_columns(v, decimals) + 2 * gap : 3;
    return (layout){true, v->valued, v->valued ? 2 : 1, cell < 3 ? 3 : cell, decimals, gap};
}

static layout rows(const reini_view *v, int gap, int decimals) {
    return (layout){false, true, 1, 1 + reini_view_columns(v, decimals) + gap + 1, decimals, gap};
}

static bool is_wall(const rein_panel *panel, int64_t cell) {
    return panel->state[cell] < 0 && (panel->symbol[cell] == ' ' || panel->symbol[cell] == '#');
}

/* borders around the cells of a maze hide its walls */
static bool has_many_walls(const rein_panel *panel) {
    int64_t cells = (int64_t)panel->height * panel->width, walls = 0;
    for (int64_t i = 0; i < cells; i++)
        walls += is_wall(panel, i);
    return 5 * walls > cells;
}

/* false when not even the actions fit */
static bool choose_layout(const reini_view *v, const rein_panel *panel, layout *out) {
    layout all[6];
    int n = 0, d = v->decimals;
    bool tall = panel->height > BOXES_MAX || has_many_walls(panel);
    for (int fewer = 0; fewer <= (d > 1); fewer++)
        for (int gap = 1; gap >= 0; gap--)
            if (!tall || v->valued)
                all[n++] = tall ? rows(v, gap, d - fewer) : boxes(v, gap, d - fewer);
    all[n++] = (layout){.lines = 1, .cell = 2};
    all[n++] = (layout){.lines = 1, .cell = 1};
    for (int i = 0; i < n; i++) {
        *out = all[i];
        if (v->style->width == 0 || grid_columns(panel, out) <= v->style->width)
            return true;
    }
    return false;
}

/* ---- marks ----------------------------------------------------------------------------------------------- */

/* a letter that most cells have ('F', frozen) is their background, not a mark */
static void find_marks(grid *g) {
    const rein_panel *p = g->panel;
    int64_t count[128] = {0}, cells = (int64_t)p->height * p->width;
    for (int64_t i = 0; i < cells; i++)
        count[(unsigned char)p->symbol[i] & 127]++;
    for (int c = ' ' + 1; c < 127; c++)
        g->marked[c] = c != '.' && count[c] > 0 && 4 * count[c] <= cells;
}

static char mark_of(const grid *g, int64_t cell) {
    char symbol = g->panel->symbol[cell];
    if (g->marked[(unsigned char)symbol & 127])
        return symbol;
    return reini_view_starts(g->view, g->panel->state[cell]) ? 'S' : ' ';
}

/* ---- cells ----------------------------------------------------------------------------------------------- */

static void put_blank(grid *g, int n) {
    reini_text_repeat(g->text, " ", n);
}

/* text in the middle of `columns` */
static void put_middle(grid *g, const char *text, int columns) {
    int left = (columns - 1) / 2;
    put_blank(g, left);
    reini_text_put(g->text, "%s", text);
    put_blank(g, columns - 1 - left);
}

static void put_glyph(grid *g, const char *glyph) {
    if (!g->view->style->colour) {
        reini_text_put(g->text, "%s", glyph);
        return;
    }
    reini_text_put(g->text, "\033[1m%s\033[22m", glyph);
}

static void put_value(grid *g, double value, bool shown) {
    char number[32] = "";
    if (shown)
        reini_view_number(g->view, value, g->form.decimals, number);
    int columns = reini_view_columns(g->view, g->form.decimals);
    reini_text_put(g->text, "%*s", columns, number);
}

/* lines 0 and 1 of a cell in boxes with values */
static void put_box(grid *g, int line, char mark, double value, bool valued, const char *glyph) {
    int cell = g->form.cell, columns = reini_view_columns(g->view, g->form.decimals);
    int left = (cell - columns + 1) / 2;
    if (line == 0) {
        put_blank(g, left);
        put_value(g, value, valued);
        put_blank(g, cell - left - columns);
        return;
    }
    int before = (cell - 1) / 2;
    reini_text_put(g->text, "%c", mark);
    put_blank(g, before - 1);
    put_glyph(g, glyph);
    put_blank(g, cell - 1 - before);
}

static void put_row_cell(grid *g, char mark, double value, bool valued, const char *glyph) {
    reini_text_put(g->text, "%c", mark);
    put_value(g, value, valued);
    put_blank(g, g->form.gap);
    put_glyph(g, glyph);
}

static void put_action_cell(grid *g, char mark, const char *glyph) {
    if (g->form.boxed) {
        reini_text_put(g->text, "%c", mark);
        put_glyph(g, glyph);
        put_blank(g, 1);
        return;
    }
    if (g->form.cell == 2)
        reini_text_put(g->text, "%c", mark);
    put_glyph(g, glyph);
}

static void put_state(grid *g, int64_t cell, int line) {
    int32_t s = g->panel->state[cell];
    bool ends = reini_view_ends(g->view, s);
    double value = reini_view_value(g->view, s);
    char own[8], symbol[2] = {g->panel->symbol[cell], 0};
    const char *glyph = reini_view_glyph(g->view, reini_view_action(g->view, s), own);
    char mark = ends ? ' ' : mark_of(g, cell);
    bool valued = !ends || value != 0;
    if (ends)
        glyph = symbol[0] != ' ' ? symbol : g->view->style->ascii ? "*" : "●";
    if (valued)
        reini_view_shade(g->view, g->text, value);
    if (g->form.lines == 2)
        put_box(g, line, mark, value, valued, glyph);
    else if (g->form.values)
        put_row_cell(g, mark, value, valued, glyph);
    else
        put_action_cell(g, mark, glyph);
    reini_view_plain(g->view, g->text);
}

/* grey, the same on dark and light terminals */
static void put_wall(grid *g) {
    bool colour = g->view->style->colour;
    reini_text_put(g->text, "%s", colour ? "\033[38;5;244m" : "");
    reini_text_repeat(g->text, g->view->style->ascii ? "#" : "█", g->form.cell);
    reini_view_plain(g->view, g->text);
}

static void put_cell(grid *g, int64_t cell, int line) {
    char symbol[2] = {g->panel->symbol[cell], 0};
    if (g->panel->state[cell] >= 0)
        put_state(g, cell, line);
    else if (is_wall(g->panel, cell))
        put_wall(g);
    else
        put_middle(g, line == g->form.lines - 1 ? symbol : " ", g->form.cell);
}

/* ---- lines ----------------------------------------------------------------------------------------------- */

/* a horizontal border: 0 above, 1 between rows, 2 below */
static void put_border(grid *g, int where) {
    static const char *const corners[3][3] = {{"┌", "┬", "┐"}, {"├", "┼", "┤"}, {"└", "┴", "┘"}};
    bool ascii = g->view->style->ascii;
    reini_text_put(g->text, REINI_PICTURE_INDENT "%s", ascii ? "+" : corners[where][0]);
    for (int32_t x = 0; x < g->panel->width; x++) {
        if (x > 0 && g->form.boxed)
            reini_text_put(g->text, "%s", ascii ? "+" : corners[where][1]);
        reini_text_repeat(g->text, ascii ? "-" : "─", g->form.cell);
    }
    reini_text_put(g->text, "%s\n", ascii ? "+" : corners[where][2]);
}

static void put_row(grid *g, int32_t y) {
    const char *side = g->view->style->ascii ? "|" : "│";
    for (int line = 0; line < g->form.lines; line++) {
        reini_text_put(g->text, REINI_PICTURE_INDENT "%s", side);
        for (int32_t x = 0; x < g->panel->width; x++) {
            if (x > 0 && g->form.boxed)
                reini_text_put(g->text, "%s", side);
            put_cell(g, (int64_t)y * g->panel->width + x, line);
        }
        reini_text_put(g->text, "%s\n", side);
    }
}

static void put_title(const reini_view *v, const char *title, reini_text *text) {
    char shown[160];
    reini_view_text(v, title, shown, sizeof shown);
    if (!shown[0])
        return;
    reini_text_put(text, REINI_PICTURE_INDENT);
    reini_view_bold(v, text);
    reini_text_put(text, "%s", shown);
    reini_view_plain(v, text);
    reini_text_put(text, "\n");
}

reini_grid_drawn reini_picture_grid(const reini_view *view, const rein_panel *panel, reini_text *text) {
    grid g = {.view = view, .panel = panel, .text = text};
    put_title(view, panel->title, text);
    if (panel->height > view->style->side || panel->width > view->style->side ||
        !choose_layout(view, panel, &g.form))
        return REINI_GRID_NOT;
    find_marks(&g);
    put_border(&g, 0);
    for (int32_t y = 0; y < panel->height; y++) {
        if (y > 0 && g.form.boxed)
            put_border(&g, 1);
        put_row(&g, y);
    }
    put_border(&g, 2);
    return view->valued && !g.form.values ? REINI_GRID_ACTIONS : REINI_GRID_WHOLE;
}
