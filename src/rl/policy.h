/*
 * policy.h - inside a rein_policy: what every kind has in common, and what a kind provides.
 *
 * Kinds: networks (net.h), tables (table_policy.h). A kind embeds rein_policy as its first member, `base`.
 */
#ifndef REINI_POLICY_H
#define REINI_POLICY_H

#include <jansson.h>
#include <rein/policy.h>
#include "base/file.h"
#include "base/safetensors.h"

#define REINI_WRAPPERS_MAX 1600

typedef struct reini_policy_kind {
    const char *name; /* "network", "table": in files */
    void (*free)(rein_policy *policy);
    /* As rein_policy_act_at. */
    void (*act)(rein_policy *policy, int64_t t, int n, const void *obs, const uint8_t *mask,
                const rein_sampling *sampling, void *actions);
    /* Kinds with a memory: numbers of an environment's state (0: this policy has none), and rein_policy_act_state. NULL:
     * none has one. */
    int (*state_size)(const rein_policy *policy);
    void (*act_state)(rein_policy *policy, int64_t t, int n, const void *obs, const uint8_t *mask,
                      const rein_sampling *sampling, float *state, const uint8_t *start, void *actions);
    /* Members of its own for the file's description; false when out of memory. */
    bool (*describe)(const rein_policy *policy, json_t *description);
    /* Its tensors, in the file's units: at most tensors_max of them, the number is returned. Memory that had to be
     * made for them is given in *scratch (reini_free). -1 when out of memory. */
    int (*tensors_max)(const rein_policy *policy);
    int (*tensors)(const rein_policy *policy, reini_st_tensor *out, void **scratch);
    /* A new policy from a file: head holds names and spaces, whose bounds are valid during the call. */
    rein_status (*load)(const rein_policy *head, const json_t *description, const reini_safetensors *st,
                        rein_policy **out);
    /* Parameter and normaliser bytes. */
    void (*digest)(const rein_policy *policy, reini_sha256 *sha);
} reini_policy_kind;

extern const reini_policy_kind reini_kind_network, reini_kind_table;

struct rein_policy {
    const reini_policy_kind *kind;
    char algo[64], env[256];
    char wrappers
        [REINI_WRAPPERS_MAX]; /* settings of those around the environment, as the caller writes them; "" */
    rein_space obs, act;
};

/* Says what the environment was wrapped in when it was trained; shorter than REINI_WRAPPERS_MAX. */
void reini_policy_remember(rein_policy *policy, const char *wrappers);
const char *reini_policy_wrappers(const rein_policy *policy);

/* Copies a tensor's bytes after checking dtype, shape and size; wanted: name, dtype, shape, bytes. */
rein_status reini_policy_copy_tensor(const reini_safetensors *st, const reini_st_tensor *wanted, void *to);

#endif
