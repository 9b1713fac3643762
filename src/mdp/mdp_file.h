/*
 * mdp_file.h - MDPs as JSON: mdp_json.c reads and describes the format, mdp_write.c writes.
 */
#ifndef REINI_MDP_FILE_H
#define REINI_MDP_FILE_H

#include "base/file.h"
#include "mdp/mdp.h"

#define REINI_MDP_FILE_MAX    ((size_t)1 << 30)
#define REINI_MDP_FILE_FACTOR 10 /* bytes of memory that reading takes per byte of file, about */

/* path: for errors. */
rein_status reini_mdp_from_json(const json_t *root, const char *path, rein_mdp **out);

/* ---- inside the reader, in mdp_names.c: sentences of errors ------------------------------------------------------ */

typedef struct reini_mdp_words {
    char text[48];
} reini_mdp_words;

/* A JSON value, cut to the size of a sentence. */
reini_mdp_words reini_mdp_shown_json(const json_t *value);
/* Fails with "expected <what>, found <found>". */
rein_status reini_mdp_expected(const char *what, const json_t *found);
/* Put the place in the file before what another function said: "start": ..., transitions[12]: ... */
rein_status reini_mdp_at_key(rein_status status, const char *key);
rein_status reini_mdp_at_entry(rein_status status, const char *key, size_t i);
rein_status reini_mdp_check_keys(const json_t *object, const char *const *known, int n);
rein_status reini_mdp_read_number(const json_t *value, const char *what, double *out);
rein_status reini_mdp_read_count(const json_t *value, int32_t most, int32_t *out);

/* ---- and states and actions by number or name ---------------------------------------------------------------------- */

typedef struct reini_mdp_names {
    const char *kind; /* "state", "action" */
    int32_t n;
    const json_t *list; /* of the file, NULL when they have no names */
    json_t *number_of;  /* by name; who has the struct gives it back */
} reini_mdp_names;

/* A number of states or actions under the key, or a list of their names. */
rein_status reini_mdp_read_names(const json_t *root, const char *key, int32_t most, reini_mdp_names *set);
const json_t *reini_mdp_name_at(const reini_mdp_names *set, int32_t i);
/* The state or action that a text, or a number or a text, stands for. */
rein_status reini_mdp_find_text(const reini_mdp_names *set, const char *name, int32_t *out);
rein_status reini_mdp_find(const reini_mdp_names *set, const json_t *value, int32_t *out);

#endif
