/*
 * picture_view.h - what the parts of a picture share: the value, the action and the marks of a state as text.
 */
#ifndef REINI_PICTURE_VIEW_H
#define REINI_PICTURE_VIEW_H

#include "run/picture.h"
#include "run/text.h"

/* instead of an action */
enum { REINI_ACTION_END = -1, REINI_ACTION_NONE = -2 };

typedef struct reini_view {
    const rein_mdp *mdp; /* may be NULL */
    const reini_table_policy *policy;
    const reini_picture_style *style;
    bool valued;      /* some state has a value that is a number */
    bool many_starts; /* more than a mark is worth */
    bool undecided;   /* in some state no action is preferred */
    double low, high; /* of all values */
    int decimals;     /* of values; -1 = with exponents */
} reini_view;

reini_view reini_view_of(const rein_mdp *mdp, const reini_table_policy *policy,
                         const reini_picture_style *style);

bool reini_view_ends(const reini_view *view, int32_t s);
bool reini_view_starts(const reini_view *view, int32_t s);
/* Whether the action exists in the state. */
bool reini_view_has(const reini_view *view, int32_t s, int32_t a);
/* As the user counts; NAN = unknown. */
double reini_view_value(const reini_view *view, int32_t s);
/* Of the first step, or REINI_ACTION_*. */
int32_t reini_view_action(const reini_view *view, int32_t s);

/* "0.742", "-" for NAN. Every value is at most reini_view_columns wide. */
void reini_view_number(const reini_view *view, double value, int decimals, char out[32]);
int reini_view_columns(const reini_view *view, int decimals);
/* One column: an arrow, a letter, a digit. */
const char *reini_view_glyph(const reini_view *view, int32_t action, char out[8]);
/* The name as the style can show it: with ASCII, '?' for every other character. */
void reini_view_text(const reini_view *view, const char *text, char *out, size_t size);
const char *reini_view_action_name(const reini_view *view, int32_t action, char out[32]);

/* Begins the colours of a cell whose state has this value; nothing without colours, or for NAN. */
void reini_view_shade(const reini_view *view, reini_text *text, double value);
void reini_view_bold(const reini_view *view, reini_text *text);
void reini_view_plain(const reini_view *view, reini_text *text);

/* What was not shown, and where it is. */
typedef enum reini_grid_drawn { REINI_GRID_WHOLE, REINI_GRID_ACTIONS, REINI_GRID_NOT } reini_grid_drawn;
reini_grid_drawn reini_picture_grid(const reini_view *view, const rein_panel *panel, reini_text *text);
/* States of a list: those of which a learner knows nothing are passed over. */
typedef struct reini_listed {
    int64_t shown, more, unknown;
} reini_listed;
reini_listed reini_picture_list(const reini_view *view, reini_text *text);

#define REINI_PICTURE_INDENT "  "
enum { REINI_PICTURE_INDENT_COLUMNS = 2 };

#endif
