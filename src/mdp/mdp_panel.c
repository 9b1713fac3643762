/*
 * mdp_panel.c - what an MDP looks like: names and glyphs of actions, pictures of states.
 */
#include <stdio.h>
#include <string.h>
#include "mdp/mdp_build.h"

/* ---- text ------------------------------------------------------------------------------------------------------ */

/* bytes of the UTF-8 character that starts here, 0 when it is none or a control character */
static int character(const unsigned char *c) {
    int more = c[0] >= 0xf0 && c[0] < 0xf5   ? 3
               : c[0] >= 0xe0 && c[0] < 0xf0 ? 2
                                             : c[0] >= 0xc2 && c[0] < 0xe0;
    if (c[0] < 0x80)
        return c[0] >= 0x20 && c[0] != 0x7f;
    for (int i = 1; i <= more; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    /* longer than needed, halves of a pair, beyond U+10FFFF */
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf0 && c[1] < 0x90) ||
        (c[0] == 0xf4 && c[1] > 0x8f))
        return 0;
    return more ? more + 1 : 0;
}

bool reini_mdp_is_text(const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        int bytes = character(at);
        if (bytes == 0)
            return false;
        at += bytes;
    }
    return true;
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

static bool is_number(const char *text) {
    return text[strspn(text, "0123456789")] == 0;
}

static rein_status check_name(const rein_mdp *mdp, int32_t action, const char *name, char glyph) {
    char number[16];
    size_t length = strlen(name), most = sizeof mdp->names->name - 1;
    snprintf(number, sizeof number, "%d", action);
    if (length == 0 || length > most || !reini_mdp_is_text(name))
        return reini_fail(REIN_USAGE,
                          "action %d: \"%.40s\" is no name; expected 1 to %zu bytes of UTF-8 without control "
                          "characters",
                          action, name, most);
    if (is_number(name) && strcmp(name, number) != 0)
        return reini_fail(REIN_USAGE, "action %d: the name \"%s\" would be taken for a number", action, name);
    if (glyph != 0 && (glyph <= ' ' || glyph > '~'))
        return reini_fail(REIN_USAGE, "action %d: character %d is no glyph; expected one from '!' to '~'",
                          action, (unsigned char)glyph);
    for (int32_t a = 0; a < mdp->n_actions; a++)
        if (a != action && strcmp(mdp->names[a].name, name) == 0)
            return reini_fail(REIN_USAGE, "actions %d and %d are both called \"%s\"", a, action, name);
    return REIN_OK;
}

rein_status rein_mdp_name_action(rein_mdp *mdp, int32_t action, const char *name, char glyph) {
    if (action < 0 || action >= mdp->n_actions)
        return reini_fail(REIN_USAGE, "action %d to be named does not exist: the MDP has actions 0 to %d",
                          action, mdp->n_actions - 1);
    REINI_TRY(check_name(mdp, action, name, glyph));
    memcpy(mdp->names[action].name, name, strlen(name) + 1);
    mdp->names[action].glyph = glyph;
    return REIN_OK;
}

const char *rein_mdp_action_name(const rein_mdp *mdp, int32_t action) {
    return action >= 0 && action < mdp->n_actions ? mdp->names[action].name : "";
}

char rein_mdp_action_glyph(const rein_mdp *mdp, int32_t action) {
    return action >= 0 && action < mdp->n_actions ? mdp->names[action].glyph : 0;
}

/* ---- panels ------------------------------------------------------------------------------------------------------ */

static void release(rein_panel *panel) {
    reini_free((void *)panel->title);
    reini_free((void *)panel->state);
    reini_free((void *)panel->symbol);
}

void reini_mdp_release_panels(rein_mdp *mdp) {
    for (int i = 0; i < mdp->n_panels; i++)
        release(&mdp->panels[i]);
    reini_free(mdp->panels);
}

static rein_status check(const rein_mdp *mdp, const rein_panel *panel) {
    if (panel->height < 1 || panel->width < 1 || panel->height > INT32_MAX / panel->width)
        return reini_fail(REIN_USAGE,
                          "a panel of %d x %d cells: expected height and width of 1 or more, and "
                          "fewer than 2^31 cells",
                          panel->height, panel->width);
    if (panel->title && !reini_mdp_is_text(panel->title))
        return reini_fail(REIN_USAGE, "the title of a panel is not UTF-8 without control characters");
    for (int32_t i = 0; i < panel->height * panel->width; i++) {
        int32_t row = i / panel->width, column = i % panel->width;
        if (panel->state[i] < -1 || panel->state[i] >= mdp->n_states)
            return reini_fail(
                REIN_USAGE,
                "row %d, column %d of a panel: state %d does not exist; expected 0 to %d, or -1 "
                "for none",
                row, column, panel->state[i], mdp->n_states - 1);
        if (panel->symbol && (panel->symbol[i] < ' ' || panel->symbol[i] > '~'))
            return reini_fail(
                REIN_USAGE,
                "row %d, column %d of a panel: character %d is no symbol; expected one from ' ' "
                "to '~'",
                row, column, (unsigned char)panel->symbol[i]);
    }
    return REIN_OK;
}

static rein_status copy_panel(rein_panel *out, const rein_panel *panel) {
    size_t cells = (size_t)panel->height * (size_t)panel->width;
    char *title = reini_strdup(panel->title ? panel->title : "");
    int32_t *state = REINI_NEW_ARRAY(int32_t, cells);
    char *symbol = reini_new(cells + 1); /* ends with a 0, for who prints it */
    *out = (rein_panel){title, panel->height, panel->width, state, symbol};
    if (!title || !state || !symbol) {
        release(out);
        return reini_fail_memory(cells * 5, "a panel of an MDP");
    }
    memcpy(state, panel->state, cells * sizeof *state);
    if (panel->symbol)
        memcpy(symbol, panel->symbol, cells);
    else
        memset(symbol, ' ', cells);
    return REIN_OK;
}

rein_status rein_mdp_add_panel(rein_mdp *mdp, const rein_panel *panel) {
    size_t n = (size_t)mdp->n_panels;
    REINI_TRY(check(mdp, panel));
    if ((n & (n - 1)) == 0) { /* room doubles at the powers of two */
        size_t room = n ? 2 * n : 1;
        rein_panel *grown = reini_grow(mdp->panels, n * sizeof *grown, room * sizeof *grown);
        if (!grown)
            return reini_fail_memory(room * sizeof *grown, "the panels of an MDP");
        mdp->panels = grown;
    }
    REINI_TRY(copy_panel(&mdp->panels[n], panel));
    mdp->n_panels++;
    return REIN_OK;
}

const rein_panel *rein_mdp_panel_at(const rein_mdp *mdp, int i) {
    return i >= 0 && i < mdp->n_panels ? &mdp->panels[i] : NULL;
}
