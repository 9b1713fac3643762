/*
 * reference.h - a policy that another one is kept near: KL(pi(.|s) || pi_ref(.|s)) in the states that pi visits.
 *
 * The reference is frozen: the policy as it first acted ("initial"), or one from a file, with its own normaliser.
 */
#ifndef REINI_REFERENCE_H
#define REINI_REFERENCE_H

#include "rl/net.h"

typedef struct reini_reference {
    const reini_net *shape; /* whose networks it has; NULL = there is no reference */
    reini_net *loaded;      /* from a file, owned; else NULL */
    rein_store *store;
    float *mean, *scale; /* of its normaliser */
    bool taken;          /* initial: the policy's parameters have been copied */
    reini_net_inputs in;
    int slot;
} reini_reference;

/* text: "none", "initial" or the path of a policy file, which must fit the policy's spaces and actions. Release after
 * success and failure alike. */
rein_status reini_reference_init(reini_reference *ref, const char *text, const reini_net *policy);
void reini_reference_release(reini_reference *ref);
/* Before the first update: the initial reference becomes what the policy is. */
void reini_reference_take(reini_reference *ref, const reini_net *policy);
/* KL(now || reference) of every row; `in` are the policy's inputs in the graph. */
rein_tensor *reini_reference_kl(reini_reference *ref, const reini_net_inputs *in, const rein_dist *now);
void reini_reference_bind(const reini_reference *ref, rein_exec *exec);
rein_status reini_reference_visit(reini_reference *ref, reini_archive *archive);

#endif
