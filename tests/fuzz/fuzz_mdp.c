/*
 * fuzz_mdp.c - JSON as an MDP.
 *
 * What is accepted must be a sound MDP, and be written as a file that reads back and is written as the same bytes.
 * Few mutations of a text are JSON still, so an input that is none directs edits of a good file's values instead.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "mdp/mdp_file.h"
#include "fuzz.h"

#define ROOM ((size_t)4 << 20) /* a file may ask for two thousand million states */

static void must(bool condition, const char *what) {
    if (condition)
        return;
    fprintf(stderr, "%s (%s)\n", what, rein_error());
    abort();
}

static void check_rows(const rein_mdp *mdp) {
    for (int32_t s = 0; s < mdp->n_states; s++) {
        int actions = 0;
        for (int32_t a = 0; a < mdp->n_actions; a++) {
            reini_row row = reini_mdp_row(mdp, s, a);
            double sum = 0;
            for (int32_t k = 0; k < row.count; k++) {
                must(row.next[k] >= 0 && row.next[k] < mdp->n_states, "a next state that does not exist");
                must(isfinite(row.r ? row.r[k] : row.reward), "a reward that is not finite");
                sum += row.p[k];
            }
            must(row.count == 0 || fabs(sum - 1) < 2e-9, "a row that does not sum to 1");
            actions += row.count > 0;
        }
        must((actions > 0) != (mdp->terminal[s] != 0), "a state that is both or neither");
    }
    must(mdp->n_starts > 0 && mdp->starts[mdp->n_starts - 1].p_upto == 1, "no distribution of starts");
}

/* the text that the MDP is written as; free it */
static char *written(const rein_mdp *mdp, const char *path) {
    char *text;
    size_t size;
    must(rein_mdp_write(mdp, path) == REIN_OK, "an accepted MDP cannot be written");
    must(reini_file_read(path, REINI_MDP_FILE_MAX, &text, &size) == REIN_OK, "what was written is not there");
    return text;
}

static void check_file(const rein_mdp *mdp) {
    char path[64];
    rein_mdp *back;
    snprintf(path, sizeof path, "fuzz_mdp.%ld.json", (long)getpid());
    char *first = written(mdp, path);
    must(rein_mdp_read(path, &back) == REIN_OK, "a written MDP is refused");
    char *second = written(back, path);
    must(strcmp(first, second) == 0, "a written MDP reads back as another");
    unlink(path);
    rein_mdp_free(back);
    reini_free(first);
    reini_free(second);
}

/* ---- edits of a good file, chosen byte by byte ---------------------------------------------------------------------- */

static const char base[] =
    "{\"format\": \"rein-mdp\", \"version\": 1, \"states\": [\"a\", \"b\", \"c\"], \"actions\": [\"x\", "
    "{\"name\": \"y\","
    " \"glyph\": \"^\"}], \"orientation\": \"cost\", \"terminal\": {\"c\": -2.5}, \"start\": {\"b\": 3, "
    "\"0\": 1},"
    " \"transitions\": [[\"b\", 0, 2, 0.5, 1], [0, 1, \"b\", 1], [1, 1, 1, 1, -0.0], [1, 0, 0, 0.5]],"
    " \"rewards\": [[1, 0, 10], [0, \"y\", 1e-300]],"
    " \"panels\": [{\"title\": \"t\", \"height\": 1, \"width\": 2, \"states\": [0, -1], \"symbols\": "
    "\"S#\"}]}";

static const char *const values[] = {
    "0",      "1",      "2",     "3",       "-1",     "0.5",       "0.25",       "1.0",
    "1e308",  "5e-324", "-1e16", "65536",   "[]",     "{}",        "null",       "true",
    "\"a\"",  "\"b\"",  "\"x\"", "\"\"",    "[2]",    "\"1\"",     "{\"a\": 7}", "\"\\\\\"",
    "\"ab\"", "[0, 1]", "\"c\"", "[\"c\"]", "[1, 2]", "[0,0,0,1]", "2147483647"};
enum { VALUES = sizeof values / sizeof *values };

typedef struct choices {
    const uint8_t *data;
    size_t left;
} choices;

static size_t choose(choices *c, size_t n) {
    size_t byte = c->left > 0 ? *c->data : 0;
    c->data += c->left > 0;
    c->left -= c->left > 0;
    return n > 0 ? byte % n : 0;
}

static json_t *draw_value(choices *c) {
    json_error_t error;
    const char *text = values[choose(c, VALUES)];
    return json_loads(text, JSON_DECODE_ANY, &error);
}

static void edit_list(json_t *list, choices *c, size_t i) {
    switch (choose(c, 4)) {
    case 0:
        json_array_remove(list, i);
        break;
    case 1:
        json_array_append_new(list, draw_value(c));
        break;
    case 2:
        json_array_append_new(list, json_deep_copy(json_array_get(list, i)));
        break;
    default:
        json_array_set_new(list, i, draw_value(c));
    }
}

static void edit_object(json_t *object, choices *c, const char *key) {
    if (choose(c, 4) == 0)
        json_object_del(object, key);
    else
        json_object_set_new(object, key, draw_value(c));
}

/* one edit somewhere below a list or an object */
static void edit(json_t *at, choices *c) {
    for (;;) {
        size_t i = choose(c, json_is_array(at) ? json_array_size(at) : json_object_size(at));
        void *member = json_object_iter(at);
        for (size_t k = 0; member && k < i; k++)
            member = json_object_iter_next(at, member);
        json_t *child = json_is_array(at) ? json_array_get(at, i) : json_object_iter_value(member);
        if ((json_is_array(child) || json_is_object(child)) && choose(c, 8) > 0) {
            at = child;
            continue;
        }
        if (json_is_array(at) && child)
            edit_list(at, c, i);
        else if (member)
            edit_object(at, c, json_object_iter_key(member));
        return;
    }
}

static json_t *edited(const uint8_t *data, size_t size) {
    json_t *root;
    choices c = {data, size};
    must(reini_json_parse(base, sizeof base - 1, "base", &root) == REIN_OK, "the base is no JSON");
    for (size_t edits = 1 + choose(&c, 3); edits > 0; edits--)
        edit(root, &c);
    return root;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *root;
    rein_mdp *mdp;
    if (reini_json_parse((const char *)data, size, "input", &root) != REIN_OK)
        root = edited(data, size);
    reini_memory_assume(ROOM);
    if (reini_mdp_from_json(root, "input", &mdp) == REIN_OK) {
        check_rows(mdp);
        check_file(mdp);
    } else {
        must(mdp == NULL && rein_error()[0] != 0, "a failure without a sentence");
    }
    rein_mdp_free(mdp);
    json_decref(root);
    return 0;
}
