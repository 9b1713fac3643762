/*
 * picture.c - a whole picture: what it shows, the panels or the list, what the signs mean, what was left out.
 */
#include "run/picture.h"

#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "run/picture_view.h"
#include "run/subject.h"

enum {
    SIDE_OF_TERMINAL = 64,   /* rows and columns of a panel */
    SIDE_OF_FILE = 200,      /* the same in values.txt */
    PANELS_OF_FILE = 1000,   /* panels in values.txt */
    STATES_OF_TERMINAL = 30, /* rows of a list */
    STATES_OF_FILE = 10000,  /* rows of a list in values.txt */
};

#define FILE_NAME "values.txt"

reini_picture_style reini_picture_style_terminal(void) {
    return (reini_picture_style){.side = SIDE_OF_TERMINAL, .states = STATES_OF_TERMINAL};
}

reini_picture_style reini_picture_style_file(void) {
    return (reini_picture_style){
        .file = true, .panels = PANELS_OF_FILE, .side = SIDE_OF_FILE, .states = STATES_OF_FILE};
}

/* ---- around the panels ----------------------------------------------------------------------------------- */

/* "values and greedy actions of q-learning on FrozenLake-v1, gamma 0.99" */
static void put_heading(const reini_view *v, reini_text *text) {
    const reini_table_policy *p = v->policy;
    const char *values = !v->valued ? "" : p->cost ? "costs (less is better) and " : "values and ";
    const char *actions = p->action == NULL && p->pi != NULL ? "most likely actions" : "greedy actions";
    reini_text_put(text, "%s%s", values, actions);
    if (p->action != NULL && p->horizon > 1)
        reini_text_put(text, " of the first of %d steps", (int)p->horizon);
    reini_text_put(text, ": %s on %s, gamma %.12g\n", p->base.algo, p->base.env, p->gamma);
}

/* what the actions' signs stand for, when they are few enough to be listed */
static void put_legend(const reini_view *v, reini_text *text) {
    char glyph[8], name[32];
    int32_t n = rein_mdp_actions(v->mdp);
    if (n > 12)
        return;
    reini_text_put(text, "\n" REINI_PICTURE_INDENT);
    for (int32_t a = 0; a < n; a++) {
        reini_text_put(text, "%s", a > 0 ? "   " : "");
        const char *sign = reini_view_glyph(v, a, glyph);
        reini_view_action_name(v, a, name);
        reini_text_put(text, strcmp(sign, name) == 0 ? "%s" : "%s %s", sign, name);
    }
    if (v->undecided)
        reini_text_put(text, "   %s no preference", reini_view_glyph(v, REINI_ACTION_NONE, glyph));
    reini_text_put(text, "\n");
}

static const char *where(const reini_view *v, bool in_file) {
    if (v->style->file || !in_file)
        return "policy.safetensors has their numbers";
    return FILE_NAME " in the run's directory has them";
}

static bool fits_file(const rein_panel *panel) {
    return panel->height <= SIDE_OF_FILE && panel->width <= SIDE_OF_FILE;
}

static void put_grid_note(const reini_view *v, const rein_panel *panel, reini_grid_drawn drawn,
                          reini_text *text) {
    const reini_picture_style *style = v->style;
    if (drawn == REINI_GRID_ACTIONS) {
        reini_text_put(text,
                       REINI_PICTURE_INDENT "(actions only, the values do not fit %d columns; " FILE_NAME
                                            " in the run's directory has them)\n",
                       style->width);
        return;
    }
    reini_text_put(text, REINI_PICTURE_INDENT "(%d x %d cells are not drawn, ", panel->height, panel->width);
    if (panel->height > style->side || panel->width > style->side)
        reini_text_put(text, "at most %d x %d are; %s)\n", style->side, style->side,
                       where(v, fits_file(panel)));
    else
        reini_text_put(text, "they do not fit %d columns; %s)\n", style->width, where(v, true));
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static bool put_panels(const reini_view *v, reini_text *text) {
    const rein_panel *panel;
    bool complete = true;
    int i = 0, more = 0;
    for (; (panel = rein_mdp_panel_at(v->mdp, i)) != NULL && (!v->style->panels || i < v->style->panels);
         i++) {
        reini_text_put(text, "\n");
        reini_grid_drawn drawn = reini_picture_grid(v, panel, text);
        if (drawn != REINI_GRID_WHOLE)
            put_grid_note(v, panel, drawn, text);
        complete = complete && drawn != REINI_GRID_NOT;
    }
    while (rein_mdp_panel_at(v->mdp, i + more) != NULL)
        more++;
    put_legend(v, text);
    if (more > 0 && v->style->file)
        reini_text_put(text, "\n" REINI_PICTURE_INDENT "(and %d more panel%s)\n", more, more > 1 ? "s" : "");
    else if (more > 0)
        reini_text_put(text,
                       "\n" REINI_PICTURE_INDENT
                       "(and %d more panel%s: `rein show --panels 0` draws all, " FILE_NAME
                       " in the run's directory has them)\n",
                       more, more > 1 ? "s" : "");
    return complete && more == 0;
}

static bool put_list(const reini_view *v, reini_text *text) {
    reini_text_put(text, "\n");
    reini_listed listed = reini_picture_list(v, text);
    long long more = listed.more, unknown = listed.unknown;
    if (more > 0)
        reini_text_put(text, REINI_PICTURE_INDENT "(and %lld more state%s", more, more > 1 ? "s" : "");
    if (more > 0 && !v->style->file)
        reini_text_put(text, ": " FILE_NAME " in the run's directory has the first %d", STATES_OF_FILE);
    reini_text_put(text, "%s", more > 0 ? ")\n" : "");
    if (unknown > 0)
        reini_text_put(text, REINI_PICTURE_INDENT "(nothing is known of %lld state%s)\n", unknown,
                       unknown > 1 ? "s" : "");
    return more == 0;
}

rein_status reini_picture(const rein_mdp *mdp, const reini_table_policy *policy,
                          const reini_picture_style *style, char **text, bool *complete) {
    reini_text out = {0};
    if (mdp != NULL &&
        (rein_mdp_states(mdp) != policy->n_states || rein_mdp_actions(mdp) != policy->n_actions))
        return reini_fail(REIN_MISMATCH,
                          "the policy is for %d states and %d actions, the environment has %d and %d",
                          (int)policy->n_states, (int)policy->n_actions, (int)rein_mdp_states(mdp),
                          (int)rein_mdp_actions(mdp));
    reini_view view = reini_view_of(mdp, policy, style);
    put_heading(&view, &out);
    bool drawn = mdp != NULL && rein_mdp_panel_at(mdp, 0) != NULL;
    bool whole = drawn ? put_panels(&view, &out) : put_list(&view, &out);
    if (complete != NULL)
        *complete = whole;
    return reini_text_take(&out, "a picture of the policy", text);
}

rein_status reini_picture_write(const char *dir, const rein_env_type *opened, rein_policy *policy) {
    char path[REINI_PATH_MAX];
    const reini_table_policy *table = reini_table_of(policy);
    reini_picture_style style = reini_picture_style_file();
    char *text;
    if (table == NULL)
        return REIN_OK;
    REINI_TRY(reini_path_join(path, sizeof path, dir, FILE_NAME));
    REINI_TRY(reini_picture(opened->mdp, table, &style, &text, NULL));
    rein_status status = reini_file_write(path, text, strlen(text));
    reini_free(text);
    return status;
}

/* ---- of a saved policy ----------------------------------------------------------------------------------- */

static rein_status draw(reini_subject *s, const rein_picture_opts *opts, char **text, bool *complete) {
    REINI_TRY(reini_subject_load(s, opts->path));
    const reini_table_policy *table = reini_table_of(s->policy);
    if (table == NULL)
        return reini_fail(REIN_USAGE,
                          "\"%s\" is a network that %s trained on %s: what can be drawn are the tables of "
                          "planning and tabular methods (`rein list algos`)",
                          s->file, rein_policy_algo(s->policy), rein_policy_env(s->policy));
    /* before a large environment is made once more, to find that it cannot be drawn whole */
    if (opts->complete && opts->panels > 0 &&
        table->n_states > (int64_t)opts->panels * SIDE_OF_TERMINAL * SIDE_OF_TERMINAL)
        return reini_text_take(&(reini_text){0}, "no picture", text);
    REINI_TRY(reini_subject_open(s, opts->env, opts->settings, opts->n_settings, NULL));
    reini_picture_style style = reini_picture_style_terminal();
    style.ascii = opts->ascii;
    style.colour = opts->colour;
    style.width = opts->width;
    style.panels = opts->panels;
    return reini_picture(s->opened.mdp, table, &style, text, complete);
}

rein_status rein_picture(const rein_picture_opts *opts, char **text) {
    reini_subject s = {0};
    bool complete = false;
    *text = NULL;
    if (opts->width < 0 || opts->panels < 0)
        return reini_fail(REIN_USAGE, "width %d and panels %d: expected 0 (unlimited) or more", opts->width,
                          opts->panels);
    rein_status status = draw(&s, opts, text, &complete);
    reini_subject_release(&s);
    if (status == REIN_OK && opts->complete && !complete)
        (*text)[0] = 0;
    return status;
}

void rein_text_free(char *text) {
    reini_free(text);
}
