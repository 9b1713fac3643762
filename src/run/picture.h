/*
 * picture.h - what a table policy does and what it expects, drawn over the panels of an MDP.
 *
 * A cell shows the value of its state, as the user counts (costs when the MDP has costs), and the greedy action:
 * arrows for the directions of a grid, letters or numbers for others, a dot where the policy prefers none. Terminal
 * cells show their symbol, and their value when it is not 0. An MDP without panels is a list of states.
 */
#ifndef REINI_PICTURE_H
#define REINI_PICTURE_H

#include <rein/env.h>
#include <rein/run.h>
#include "rl/table_policy.h"

typedef struct reini_picture_style {
    bool ascii;     /* no character beyond ASCII, else UTF-8 */
    bool colour;    /* ANSI sequences, 256 colours */
    bool file;      /* for values.txt: notes do not refer to it */
    int width;      /* columns to keep within, 0 = unlimited */
    int panels;     /* most panels drawn, 0 = all */
    int side;       /* most rows and columns of a panel that is drawn */
    int64_t states; /* most rows of a list */
} reini_picture_style;

/* For terminals: to be completed by width, colour and so on. For values.txt. */
reini_picture_style reini_picture_style_terminal(void);
reini_picture_style reini_picture_style_file(void);

/* Draws into *text (rein_text_free). mdp may be NULL: a list, actions by number. *complete (may be NULL) is whether
 * no state was left out. REIN_MISMATCH when the tables are of other sizes. */
rein_status reini_picture(const rein_mdp *mdp, const reini_table_policy *policy,
                          const reini_picture_style *style, char **text, bool *complete);
/* Writes dir/values.txt; does nothing for policies that are not tables. */
rein_status reini_picture_write(const char *dir, const rein_env_type *opened, rein_policy *policy);

#endif
