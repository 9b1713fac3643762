/*
 * policy_file.c - policies as safetensors files.
 *
 * Tensors: every parameter of the layout under its name, and "norm.mean", "norm.sum_squares" (F64) when
 * observations are standardised. The metadata entry "rein.policy" is a JSON object:
 *
 *     {"version": 1, "algo": "ppo", "env": "CartPole-v1", "critic": true,
 *      "obs": {"kind": "box", "size": 4}, "act": {"kind": "discrete", "n": [2]},
 *      "net": {"hidden": "64,64", "activation": "tanh", ...}, "norm_count": 0}
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/safetensors.h"
#include "rl/policy.h"

enum { VERSION = 1 };
static const char META_KEY[] = "rein.policy";

#define REIN_FIELD_OWNER reini_net_config
static const rein_field net_fields[] = {REIN_FIELDS_TABLE(REINI_NET_FIELDS)};
enum { NET_FIELDS = sizeof net_fields / sizeof *net_fields };

static const char *const kinds[] = {"discrete", "multi_discrete", "box", "image"};

/* ---- writing ------------------------------------------------------------------------------------------- */

/* +-infinity has no JSON form: null stands for an open side */
static json_t *bound(float x) {
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *space_to_json(const rein_space *space) {
    json_t *object = json_pack("{s:s, s:i}", "kind", kinds[space->kind], "size", space->size);
    if (object == NULL || space->kind == REIN_SPACE_IMAGE)
        return object;
    if (space->kind != REIN_SPACE_BOX) {
        json_t *n = json_array();
        for (int i = 0; i < space->size; i++)
            json_array_append_new(n, json_integer(space->n[i]));
        json_object_set_new(object, "n", n);
    } else if (space->low != NULL) {
        json_t *low = json_array(), *high = json_array();
        for (int i = 0; i < space->size; i++) {
            json_array_append_new(low, bound(space->low[i]));
            json_array_append_new(high, bound(space->high[i]));
        }
        json_object_set_new(object, "low", low);
        json_object_set_new(object, "high", high);
    }
    return object;
}

static json_t *net_to_json(const reini_net_config *net) {
    json_t *object = json_object();
    for (int i = 0; i < NET_FIELDS; i++) {
        char text[512];
        rein_field_print(&net_fields[i], net, text, sizeof text);
        json_object_set_new(object, net_fields[i].name, json_string(text));
    }
    return object;
}

static bool has_critic(const rein_policy *policy) {
    for (int i = 0; i < rein_layout_count(policy->layout); i++)
        if (strncmp(rein_layout_at(policy->layout, i).name, "critic.", 7) == 0)
            return true;
    return false;
}

static char *describe(const rein_policy *policy) {
    json_t *root = json_pack("{s:i, s:s, s:s, s:b, s:o, s:o, s:o, s:f}", "version", VERSION, "algo",
                             policy->algo, "env", policy->env, "critic", has_critic(policy), "obs",
                             space_to_json(&policy->obs), "act", space_to_json(&policy->act), "net",
                             net_to_json(&policy->net), "norm_count", policy->moments.count);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

enum { MOMENTS = 2 };

static int list_tensors(const rein_policy *policy, reini_st_tensor *out) {
    int n = rein_layout_count(policy->layout);
    for (int i = 0; i < n; i++) {
        rein_param_info info = rein_layout_at(policy->layout, i);
        out[i] = (reini_st_tensor){.name = info.name,
                                   .dtype = "F32",
                                   .ndim = info.ndim,
                                   .data = (const float *)rein_store_view(policy->store) + info.offset,
                                   .bytes = (size_t)info.count * sizeof(float)};
        for (int d = 0; d < info.ndim; d++)
            out[i].shape[d] = info.dims[d];
    }
    if (policy->net.norm_obs == REINI_NORM_NONE)
        return n;
    const char *names[MOMENTS] = {"norm.mean", "norm.sum_squares"};
    const double *data[MOMENTS] = {policy->moments.mean, policy->moments.sum_squares};
    for (int i = 0; i < MOMENTS; i++)
        out[n++] = (reini_st_tensor){.name = names[i],
                                     .dtype = "F64",
                                     .ndim = 1,
                                     .shape = {policy->obs.size},
                                     .data = data[i],
                                     .bytes = (size_t)policy->obs.size * sizeof(double)};
    return n;
}

rein_status rein_policy_save(const rein_policy *policy, const char *path) {
    size_t most = (size_t)rein_layout_count(policy->layout) + MOMENTS;
    reini_st_tensor *tensors = REINI_NEW_ARRAY(reini_st_tensor, most);
    char *text = describe(policy);
    rein_status status;
    if (tensors == NULL || text == NULL) {
        status = reini_fail_memory(most * sizeof *tensors, "saving a policy");
    } else {
        const char *key = META_KEY, *value = text;
        status = reini_safetensors_write(path, tensors, list_tensors(policy, tensors), &key, &value, 1);
    }
    free(text);
    reini_free(tensors);
    return status;
}

void rein_policy_sha256(const rein_policy *policy, char out[65]) {
    uint8_t digest[32] = {0};
    reini_sha256 *sha = reini_sha256_new();
    if (sha != NULL) {
        size_t size = (size_t)policy->obs.size * sizeof(float);
        reini_sha256_add(sha, rein_store_view(policy->store),
                         (size_t)rein_store_size(policy->store) * sizeof(float));
        reini_sha256_add(sha, policy->norm_mean, size);
        reini_sha256_add(sha, policy->norm_scale, size);
        reini_sha256_finish(sha, digest);
    }
    reini_hex(out, digest, sizeof digest);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* A space read from a file; bounds need memory of their own. */
typedef struct read_space {
    rein_space space;
    float low[REINI_ACTIONS_MAX], high[REINI_ACTIONS_MAX];
} read_space;

static bool read_bounds(const json_t *object, read_space *out) {
    const json_t *low = json_object_get(object, "low"), *high = json_object_get(object, "high");
    if (low == NULL && high == NULL)
        return true;
    size_t size = (size_t)out->space.size;
    if (size > REINI_ACTIONS_MAX || json_array_size(low) != size || json_array_size(high) != size)
        return false;
    for (size_t i = 0; i < size; i++) {
        const json_t *l = json_array_get(low, i), *h = json_array_get(high, i);
        out->low[i] = json_is_number(l) ? (float)json_number_value(l) : -INFINITY;
        out->high[i] = json_is_number(h) ? (float)json_number_value(h) : INFINITY;
    }
    out->space.low = out->low;
    out->space.high = out->high;
    return true;
}

static bool read_parts(const json_t *object, rein_space *space) {
    const json_t *n = json_object_get(object, "n");
    if (space->size > REIN_SPACE_PARTS || json_array_size(n) != (size_t)space->size)
        return false;
    for (int i = 0; i < space->size; i++) {
        json_int_t part = json_integer_value(json_array_get(n, (size_t)i));
        if (part < 1 || part > 1000000)
            return false;
        space->n[i] = (int32_t)part;
    }
    return true;
}

static rein_status space_from_json(const json_t *object, const char *which, read_space *out) {
    memset(out, 0, sizeof *out);
    const char *kind = json_string_value(json_object_get(object, "kind"));
    json_int_t size = json_integer_value(json_object_get(object, "size"));
    int k = 0;
    while (kind != NULL && k <= REIN_SPACE_BOX && strcmp(kinds[k], kind) != 0)
        k++;
    if (kind == NULL || k > REIN_SPACE_BOX || size < 1 || size > 1 << 20)
        return reini_fail(REIN_FORMAT,
                          "the policy's %s space is damaged or of a kind this version does not know", which);
    out->space.kind = (rein_space_kind)k;
    out->space.size = (int32_t)size;
    out->space.shape[0] = (int32_t)size;
    bool ok = k == REIN_SPACE_BOX ? read_bounds(object, out) : read_parts(object, &out->space);
    return ok ? REIN_OK : reini_fail(REIN_FORMAT, "the policy's %s space is damaged", which);
}

static rein_status net_from_json(const json_t *object, reini_net_config *net) {
    const char *name;
    json_t *value;
    rein_fields_default(net_fields, NET_FIELDS, net);
    if (!json_is_object(object))
        return reini_fail(REIN_FORMAT, "the policy's network description is missing or damaged");
    json_object_foreach((json_t *)object, name, value) {
        if (!json_is_string(value))
            return reini_fail(REIN_FORMAT, "the policy's network description is damaged at \"%s\"", name);
        REINI_TRY(rein_fields_set(net_fields, NET_FIELDS, net, name, json_string_value(value)));
    }
    return REIN_OK;
}

/* "F32 (4 x 16)" */
static void describe_tensor(char *out, size_t size, const reini_st_tensor *t) {
    size_t at = (size_t)snprintf(out, size, "%.8s (", t->dtype);
    for (int d = 0; d < t->ndim && at < size; d++)
        at += (size_t)snprintf(out + at, size - at, "%s%lld", d ? " x " : "", (long long)t->shape[d]);
    if (at < size)
        snprintf(out + at, size - at, ")");
}

/* wanted: name, dtype, shape and bytes */
static rein_status copy_tensor(const reini_safetensors *st, const reini_st_tensor *wanted, void *to) {
    char has[96], needs[96];
    const reini_st_tensor *t = reini_safetensors_find(st, wanted->name);
    if (t == NULL)
        return reini_fail(REIN_FORMAT, "the policy has no tensor \"%s\"", wanted->name);
    describe_tensor(has, sizeof has, t);
    describe_tensor(needs, sizeof needs, wanted);
    if (strcmp(has, needs) != 0 || t->bytes != wanted->bytes)
        return reini_fail(REIN_MISMATCH, "tensor \"%s\" is %s, the policy's network needs %s", t->name, has,
                          needs);
    memcpy(to, t->data, t->bytes);
    return REIN_OK;
}

static rein_status copy_parameter(const reini_safetensors *st, const rein_param_info *info, float *to) {
    reini_st_tensor wanted = {
        .name = info->name, .dtype = "F32", .ndim = info->ndim, .bytes = (size_t)info->count * sizeof(float)};
    for (int d = 0; d < info->ndim; d++)
        wanted.shape[d] = info->dims[d];
    return copy_tensor(st, &wanted, to + info->offset);
}

static rein_status copy_moment(const reini_safetensors *st, const char *name, int size, double *to) {
    reini_st_tensor wanted = {
        .name = name, .dtype = "F64", .ndim = 1, .shape = {size}, .bytes = (size_t)size * sizeof(double)};
    return copy_tensor(st, &wanted, to);
}

static rein_status fill_from(rein_policy *policy, const reini_safetensors *st, double norm_count) {
    float *data = rein_store_data(policy->store);
    for (int i = 0; i < rein_layout_count(policy->layout); i++) {
        rein_param_info info = rein_layout_at(policy->layout, i);
        REINI_TRY(copy_parameter(st, &info, data));
    }
    if (policy->net.norm_obs == REINI_NORM_NONE)
        return REIN_OK;
    REINI_TRY(copy_moment(st, "norm.mean", policy->obs.size, policy->moments.mean));
    REINI_TRY(copy_moment(st, "norm.sum_squares", policy->obs.size, policy->moments.sum_squares));
    policy->moments.count = norm_count;
    reini_policy_refresh(policy);
    return REIN_OK;
}

static rein_status load_described(const reini_safetensors *st, const json_t *root, rein_policy **out) {
    read_space obs, act;
    reini_net_config net;
    const char *algo = json_string_value(json_object_get(root, "algo"));
    const char *env = json_string_value(json_object_get(root, "env"));
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    if (version != VERSION)
        return reini_fail(REIN_FORMAT, "the policy has format version %lld, this Rein reads version %d",
                          (long long)version, VERSION);
    if (algo == NULL || env == NULL)
        return reini_fail(REIN_FORMAT, "the policy does not say its algorithm and environment");
    REINI_TRY(space_from_json(json_object_get(root, "obs"), "observation", &obs));
    REINI_TRY(space_from_json(json_object_get(root, "act"), "action", &act));
    REINI_TRY(net_from_json(json_object_get(root, "net"), &net));
    bool critic = json_is_true(json_object_get(root, "critic"));
    const json_t *norm_count = json_object_get(root, "norm_count");
    if (!json_is_number(norm_count) || json_number_value(norm_count) < 0)
        return reini_fail(REIN_FORMAT, "the policy's norm_count is missing or damaged");
    REINI_TRY(reini_policy_new(algo, env, &obs.space, &act.space, &net, critic, REIN_F32, 0, out));
    rein_status status = fill_from(*out, st, json_number_value(norm_count));
    if (status != REIN_OK) {
        rein_policy_free(*out);
        *out = NULL;
    }
    return status;
}

rein_status rein_policy_load(const char *path, rein_policy **out) {
    reini_safetensors *st = NULL;
    json_t *root = NULL;
    REINI_TRY(reini_safetensors_open(path, &st));
    const char *text = reini_safetensors_meta(st, META_KEY);
    rein_status status;
    if (text == NULL)
        status = reini_fail(
            REIN_FORMAT, "this safetensors file is not a Rein policy: no \"%s\" in its metadata", META_KEY);
    else
        status = reini_json_parse(text, strlen(text), META_KEY, &root);
    if (status == REIN_OK)
        status = load_described(st, root, out);
    json_decref(root);
    reini_safetensors_close(st);
    return status == REIN_OK ? REIN_OK : reini_fail_in(status, "%s: ", path);
}
