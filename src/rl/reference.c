/*
 * reference.c - a frozen policy in the graph of one that learns.
 */
#include "rl/reference.h"

#include <string.h>

static bool same_space(const rein_space *a, const rein_space *b) {
    bool same = a->kind == b->kind && a->size == b->size;
    if (a->kind == REIN_SPACE_DISCRETE || a->kind == REIN_SPACE_MULTI_DISCRETE)
        for (int k = 0; same && k < a->size; k++)
            same = a->n[k] == b->n[k];
    if (a->kind == REIN_SPACE_IMAGE)
        same = same && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
    return same;
}

/* whether an action means the same to both */
static bool same_units(const reini_net *a, const reini_net *b) {
    bool same = true;
    for (int k = 0; a->base.act.kind == REIN_SPACE_BOX && k < a->base.act.size; k++)
        same = same && a->act_middle[k] == b->act_middle[k] && a->act_half[k] == b->act_half[k];
    return same;
}

static rein_status refuse_space(const char *path, const char *which, const rein_space *found,
                                const rein_space *wanted) {
    char a[128], b[128];
    rein_space_print(found, a, sizeof a);
    rein_space_print(wanted, b, sizeof b);
    return reini_fail(REIN_MISMATCH, "reference: the policy in \"%s\" has the %s space %s, expected %s", path,
                      which, a, b);
}

static rein_status check_loaded(const rein_policy *found, const char *path, const reini_net *policy) {
    const reini_net *net = (const reini_net *)(const void *)found;
    if (!same_space(&found->obs, &policy->base.obs))
        return refuse_space(path, "observation", &found->obs, &policy->base.obs);
    if (!same_space(&found->act, &policy->base.act))
        return refuse_space(path, "action", &found->act, &policy->base.act);
    if (found->kind != &reini_kind_network || net->net.head != REINI_HEAD_DIST)
        return reini_fail(REIN_MISMATCH,
                          "reference: the policy in \"%s\" (%s) has no distribution over actions to stay "
                          "near; those of ppo, a2c, trpo and reinforce have",
                          path, found->algo);
    if (net->net.gru > 0)
        return reini_fail(REIN_UNSUPPORTED,
                          "reference: the policy in \"%s\" has a memory (gru); use one without", path);
    if (!same_units(net, policy))
        return reini_fail(REIN_MISMATCH,
                          "reference: the policy in \"%s\" has actions in other units: train with its "
                          "scale_actions and the bounds it had",
                          path);
    return REIN_OK;
}

static rein_status load(reini_reference *ref, const char *path, const reini_net *policy) {
    rein_policy *found = NULL;
    rein_status status = rein_policy_load(path, &found);
    if (status != REIN_OK)
        return reini_fail_in(status, "reference: ");
    status = check_loaded(found, path, policy);
    if (status != REIN_OK) {
        rein_policy_free(found);
        return status;
    }
    ref->shape = ref->loaded = (reini_net *)(void *)found;
    ref->taken = true;
    return REIN_OK;
}

static void copy_from(reini_reference *ref, const reini_net *from) {
    size_t bytes = (size_t)from->base.obs.size * sizeof(float);
    rein_store_copy(ref->store, from->store);
    memcpy(ref->mean, from->norm_mean, bytes);
    memcpy(ref->scale, from->norm_scale, bytes);
    ref->taken = true;
}

rein_status reini_reference_init(reini_reference *ref, const char *text, const reini_net *policy) {
    *ref = (reini_reference){0};
    if (strcmp(text, "none") == 0)
        return REIN_OK;
    if (strcmp(text, "initial") != 0)
        REINI_TRY(load(ref, text, policy));
    else if (policy->net.gru > 0)
        return reini_fail(REIN_UNSUPPORTED, "reference=initial: a policy with a memory (gru) cannot be one");
    else
        ref->shape = policy;
    size_t size = (size_t)policy->base.obs.size;
    ref->mean = REINI_NEW_ARRAY(float, size);
    ref->scale = REINI_NEW_ARRAY(float, size);
    if (ref->mean == NULL || ref->scale == NULL)
        return reini_fail_memory(size * 8, "a reference policy");
    REINI_TRY(rein_store_new(ref->shape->layout, REIN_F32, &ref->store));
    if (ref->loaded != NULL)
        copy_from(ref, ref->loaded);
    return REIN_OK;
}

void reini_reference_release(reini_reference *ref) {
    rein_store_free(ref->store);
    reini_free(ref->mean);
    reini_free(ref->scale);
    reini_net_free(ref->loaded);
}

void reini_reference_take(reini_reference *ref, const reini_net *policy) {
    if (ref->shape != NULL && !ref->taken)
        copy_from(ref, policy);
}

rein_tensor *reini_reference_kl(reini_reference *ref, const reini_net_inputs *in, const rein_dist *now) {
    rein_graph *g = rein_tensor_graph(in->obs);
    ref->slot = rein_slot(g, ref->shape->layout);
    ref->in = (reini_net_inputs){.obs = in->obs, .mask = in->mask};
    reini_net_norm_inputs(ref->shape, g, &ref->in);
    reini_net_heads there = reini_net_build(ref->shape, ref->slot, &ref->in, true, false);
    return rein_dist_kl(now, &there.dist);
}

void reini_reference_bind(const reini_reference *ref, rein_exec *exec) {
    rein_exec_bind_store(exec, ref->slot, ref->store);
    if (ref->in.mean == NULL)
        return;
    rein_exec_bind(exec, ref->in.mean, ref->mean, 0);
    rein_exec_bind(exec, ref->in.scale, ref->scale, 0);
}

rein_status reini_reference_visit(reini_reference *ref, reini_archive *archive) {
    if (ref->shape == NULL)
        return REIN_OK;
    size_t parameters = (size_t)rein_store_size(ref->store) * sizeof(float);
    size_t size = (size_t)ref->shape->base.obs.size * sizeof(float);
    REINI_TRY(reini_archive_bytes(archive, "reference.parameters", rein_store_data(ref->store), parameters));
    REINI_TRY(reini_archive_bytes(archive, "reference.mean", ref->mean, size));
    REINI_TRY(reini_archive_bytes(archive, "reference.scale", ref->scale, size));
    return reini_archive_bytes(archive, "reference.taken", &ref->taken, sizeof ref->taken);
}
