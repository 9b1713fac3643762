/*
 * mdp_write.c - writing an MDP as the JSON that mdp_json.c describes.
 *
 * The text goes straight to the file: as a tree of JSON values a large MDP would take ten times its size. Finding the
 * shortest text of a real is slow, and an MDP has few different ones, so the last of them are remembered.
 */
#include <stdio.h>
#include <string.h>
#include "base/number.h"
#include "base/output.h"
#include "mdp/mdp_file.h"

#define REMEMBERED 256
#define PER_LINE   16 /* items of the lists without a natural line */

typedef struct real_text {
    double value;
    char text[REINI_REAL_TEXT]; /* "" = free */
} real_text;

typedef struct writer {
    reini_output *output;
    const rein_mdp *mdp;
    size_t size; /* bytes so far */
    real_text real[REMEMBERED];
} writer;

/* ---- pieces of text; a failure to write stays with the output and shows at the commit ------------------------------ */

static void put(writer *w, const char *text) {
    size_t length = strlen(text);
    w->size += length;
    if (w->size <= REINI_MDP_FILE_MAX)
        reini_output_write(w->output, text, length);
}

static void put_int(writer *w, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    put(w, text);
}

static void put_real(writer *w, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    real_text *known = &w->real[(bits * 0x9e3779b97f4a7c15u) >> 56];
    if (!known->text[0] || known->value != value) {
        reini_real_print(known->text, value);
        known->value = value;
    }
    put(w, known->text);
}

/* names and titles have no control characters */
static void put_string(writer *w, const char *text) {
    put(w, "\"");
    for (; *text; text++) {
        char c[3] = {'\\', *text, 0};
        put(w, *text == '"' || *text == '\\' ? c : c + 1);
    }
    put(w, "\"");
}

/* before item i of a list */
static void put_separator(writer *w, int64_t i) {
    if (i > 0)
        put(w, i % PER_LINE == 0 ? ",\n    " : ", ");
}

/* ---- parts of the file ------------------------------------------------------------------------------------------------ */

static bool has_names(const rein_mdp *mdp) {
    char number[16];
    for (int32_t a = 0; a < mdp->n_actions; a++) {
        snprintf(number, sizeof number, "%d", a);
        if (strcmp(rein_mdp_action_name(mdp, a), number) != 0 || rein_mdp_action_glyph(mdp, a) != 0)
            return true;
    }
    return false;
}

static void put_actions(writer *w) {
    put(w, ",\n  \"actions\": ");
    if (!has_names(w->mdp)) {
        put_int(w, w->mdp->n_actions);
        return;
    }
    put(w, "[");
    for (int32_t a = 0; a < w->mdp->n_actions; a++) {
        char glyph[2] = {rein_mdp_action_glyph(w->mdp, a), 0};
        put_separator(w, a);
        put(w, glyph[0] ? "{\"name\": " : "");
        put_string(w, rein_mdp_action_name(w->mdp, a));
        if (glyph[0]) {
            put(w, ", \"glyph\": ");
            put_string(w, glyph);
            put(w, "}");
        }
    }
    put(w, "]");
}

/* a list of states while all values are 0, else values by state */
static void put_terminal(writer *w) {
    const rein_mdp *mdp = w->mdp;
    int64_t n = 0;
    double value;
    for (int32_t s = 0; s < mdp->n_states; s++) {
        if (!rein_mdp_is_terminal(mdp, s, &value))
            continue;
        if (n == 0)
            put(w, mdp->terminal_value ? ",\n  \"terminal\": {" : ",\n  \"terminal\": [");
        put_separator(w, n++);
        put(w, mdp->terminal_value ? "\"" : "");
        put_int(w, s);
        if (mdp->terminal_value) {
            put(w, "\": ");
            put_real(w, value);
        }
    }
    if (n > 0)
        put(w, mdp->terminal_value ? "}" : "]");
}

static void put_start(writer *w) {
    int32_t s;
    double p;
    put(w, ",\n  \"start\": {");
    for (int32_t i = 0; rein_mdp_start_at(w->mdp, i, &s, &p); i++) {
        put_separator(w, i);
        put(w, "\"");
        put_int(w, s);
        put(w, "\": ");
        put_real(w, p);
    }
    put(w, "}");
}

static void put_row(writer *w, int32_t s, int32_t a, bool *first) {
    reini_row row = reini_mdp_row(w->mdp, s, a);
    for (int32_t k = 0; k < row.count; k++) {
        double reward = reini_mdp_shown(w->mdp, row.r ? row.r[k] : row.reward);
        put(w, *first ? "\n    [" : ",\n    [");
        *first = false;
        put_int(w, s);
        put(w, ", ");
        put_int(w, a);
        put(w, ", ");
        put_int(w, row.next[k]);
        put(w, ", ");
        put_real(w, row.p[k]);
        if (reward != 0) {
            put(w, ", ");
            put_real(w, reward);
        }
        put(w, "]");
    }
}

static void put_panel(writer *w, const rein_panel *panel) {
    put(w, "\n    {\"title\": ");
    put_string(w, panel->title);
    put(w, ", \"height\": ");
    put_int(w, panel->height);
    put(w, ", \"width\": ");
    put_int(w, panel->width);
    put(w, ",\n     \"states\": [");
    for (int32_t i = 0; i < panel->height * panel->width; i++) {
        put(w, i == 0 ? "" : i % panel->width == 0 ? ",\n                " : ", ");
        put_int(w, panel->state[i]);
    }
    put(w, "],\n     \"symbols\": ");
    put_string(w, panel->symbol);
    put(w, "}");
}

static void put_all(writer *w) {
    bool first = true;
    put(w, "{\n  \"format\": \"rein-mdp\",\n  \"version\": 1,\n  \"states\": ");
    put_int(w, w->mdp->n_states);
    put_actions(w);
    put(w, w->mdp->cost ? ",\n  \"orientation\": \"cost\"" : ",\n  \"orientation\": \"reward\"");
    put_terminal(w);
    put_start(w);
    put(w, ",\n  \"transitions\": [");
    for (int32_t s = 0; s < w->mdp->n_states && w->size <= REINI_MDP_FILE_MAX; s++)
        for (int32_t a = 0; a < w->mdp->n_actions; a++)
            put_row(w, s, a, &first);
    put(w, first ? "]" : "\n  ]");
    for (int i = 0; i < w->mdp->n_panels; i++) {
        put(w, i == 0 ? ",\n  \"panels\": [" : ",");
        put_panel(w, &w->mdp->panels[i]);
    }
    put(w, w->mdp->n_panels > 0 ? "\n  ]\n}\n" : "\n}\n");
}

rein_status rein_mdp_write(const rein_mdp *mdp, const char *path) {
    if (!mdp->finished)
        return reini_fail(REIN_USAGE, "cannot write \"%s\": the MDP is not finished", path);
    writer *w = REINI_NEW(writer);
    if (!w)
        return reini_fail_memory(sizeof *w, "writing an MDP");
    w->mdp = mdp;
    rein_status status = reini_output_open(path, &w->output);
    if (status == REIN_OK)
        put_all(w);
    if (status == REIN_OK && w->size > REINI_MDP_FILE_MAX) {
        reini_output_cancel(w->output);
        status =
            reini_fail(REIN_UNSUPPORTED,
                       "cannot write \"%s\": the MDP takes more than %zu MiB as JSON, more than can be read",
                       path, REINI_MDP_FILE_MAX >> 20);
    } else if (status == REIN_OK) {
        status = reini_output_commit(w->output);
    }
    reini_free(w);
    return status;
}
