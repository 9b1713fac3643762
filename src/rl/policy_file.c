/*
 * policy_file.c - policies as safetensors files.
 *
 * The tensors are the kind's (net_file.c, table_file.c). The metadata entry "rein.policy" is a JSON object with the
 * kind's own members beside the common ones:
 *
 *     {"version": 1, "kind": "network", "algo": "ppo", "env": "CartPole-v1",
 *      "obs": {"kind": "box", "size": 4}, "act": {"kind": "discrete", "n": [2]}, ...}
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rl/net.h"

enum { VERSION = 1 };
static const char META_KEY[] = "rein.policy";

static const char *const kinds[] = {"discrete", "multi_discrete", "box", "image"};
static const reini_policy_kind *const policy_kinds[] = {&reini_kind_network, &reini_kind_table};
enum { POLICY_KINDS = sizeof policy_kinds / sizeof *policy_kinds };

/* ---- writing ------------------------------------------------------------------------------------------- */

/* +-infinity has no JSON form: null stands for an open side */
static json_t *bound(float x) {
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *space_to_json(const rein_space *space) {
    json_t *object = json_pack("{s:s, s:i}", "kind", kinds[space->kind], "size", space->size);
    if (object == NULL)
        return object;
    if (space->kind == REIN_SPACE_IMAGE) {
        json_object_set_new(object, "shape",
                            json_pack("[i, i, i]", space->shape[0], space->shape[1], space->shape[2]));
    } else if (space->kind != REIN_SPACE_BOX) {
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

static char *describe(const rein_policy *policy) {
    json_t *root = json_pack("{s:i, s:s, s:s, s:s, s:o, s:o}", "version", VERSION, "kind", policy->kind->name,
                             "algo", policy->algo, "env", policy->env, "obs", space_to_json(&policy->obs),
                             "act", space_to_json(&policy->act));
    char *text = NULL;
    bool told = root != NULL && (policy->wrappers[0] == 0 ||
                                 json_object_set_new(root, "wrappers", json_string(policy->wrappers)) == 0);
    if (told && policy->kind->describe(policy, root))
        text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

rein_status rein_policy_save(const rein_policy *policy, const char *path) {
    size_t most = (size_t)policy->kind->tensors_max(policy);
    reini_st_tensor *tensors = REINI_NEW_ARRAY(reini_st_tensor, most);
    void *scratch = NULL;
    char *text = describe(policy);
    int n = tensors != NULL ? policy->kind->tensors(policy, tensors, &scratch) : -1;
    rein_status status;
    if (n < 0 || text == NULL) {
        status = reini_fail_memory(most * sizeof *tensors, "saving a policy");
    } else {
        const char *key = META_KEY, *value = text;
        status = reini_safetensors_write(path, tensors, n, &key, &value, 1);
    }
    free(text);
    reini_free(scratch);
    reini_free(tensors);
    return status;
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
        if (part < 1 || part > INT32_MAX)
            return false;
        space->n[i] = (int32_t)part;
    }
    return true;
}

static bool read_shape(const json_t *object, rein_space *space) {
    const json_t *shape = json_object_get(object, "shape");
    json_int_t size = 1;
    for (size_t i = 0; i < 3; i++) {
        json_int_t side = json_integer_value(json_array_get(shape, i));
        if (side < 1 || side > 65536)
            return false;
        space->shape[i] = (int32_t)side;
        size *= side;
    }
    return json_array_size(shape) == 3 && size == space->size;
}

static bool read_rest(const json_t *object, read_space *out) {
    out->space.shape[0] = out->space.size;
    if (out->space.kind == REIN_SPACE_IMAGE)
        return read_shape(object, &out->space);
    return out->space.kind == REIN_SPACE_BOX ? read_bounds(object, out) : read_parts(object, &out->space);
}

static rein_status space_from_json(const json_t *object, const char *which, read_space *out) {
    memset(out, 0, sizeof *out);
    const char *kind = json_string_value(json_object_get(object, "kind"));
    json_int_t size = json_integer_value(json_object_get(object, "size"));
    int k = 0;
    while (kind != NULL && k <= REIN_SPACE_IMAGE && strcmp(kinds[k], kind) != 0)
        k++;
    if (kind == NULL || k > REIN_SPACE_IMAGE || size < 1 || size > 1 << 24)
        return reini_fail(REIN_FORMAT,
                          "the policy's %s space is damaged or of a kind this version does not know", which);
    out->space.kind = (rein_space_kind)k;
    out->space.size = (int32_t)size;
    return read_rest(object, out) ? REIN_OK
                                  : reini_fail(REIN_FORMAT, "the policy's %s space is damaged", which);
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
rein_status reini_policy_copy_tensor(const reini_safetensors *st, const reini_st_tensor *wanted, void *to) {
    char has[96], needs[96];
    const reini_st_tensor *t = reini_safetensors_find(st, wanted->name);
    if (t == NULL)
        return reini_fail(REIN_FORMAT, "the policy has no tensor \"%s\"", wanted->name);
    describe_tensor(has, sizeof has, t);
    describe_tensor(needs, sizeof needs, wanted);
    if (strcmp(has, needs) != 0 || t->bytes != wanted->bytes)
        return reini_fail(REIN_MISMATCH, "tensor \"%s\" is %s, the policy needs %s", t->name, has, needs);
    memcpy(to, t->data, t->bytes);
    return REIN_OK;
}

static const reini_policy_kind *kind_of(const json_t *root) {
    const char *name = json_string_value(json_object_get(root, "kind"));
    for (int i = 0; name != NULL && i < POLICY_KINDS; i++)
        if (strcmp(policy_kinds[i]->name, name) == 0)
            return policy_kinds[i];
    reini_fail(REIN_FORMAT, "the policy is of kind \"%.60s\", this Rein knows \"network\" and \"table\"",
               name != NULL ? name : "");
    return NULL;
}

static rein_status load_described(const reini_safetensors *st, const json_t *root, rein_policy **out) {
    read_space obs, act;
    rein_policy head = {0};
    const char *algo = json_string_value(json_object_get(root, "algo"));
    const char *env = json_string_value(json_object_get(root, "env"));
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    if (version != VERSION)
        return reini_fail(REIN_FORMAT, "the policy has format version %lld, this Rein reads version %d",
                          (long long)version, VERSION);
    if (algo == NULL || env == NULL)
        return reini_fail(REIN_FORMAT, "the policy does not say its algorithm and environment");
    head.kind = kind_of(root);
    if (head.kind == NULL)
        return REIN_FORMAT;
    REINI_TRY(space_from_json(json_object_get(root, "obs"), "observation", &obs));
    REINI_TRY(space_from_json(json_object_get(root, "act"), "action", &act));
    head.obs = obs.space;
    head.act = act.space;
    snprintf(head.algo, sizeof head.algo, "%s", algo);
    snprintf(head.env, sizeof head.env, "%s", env);
    const char *wrappers = json_string_value(json_object_get(root, "wrappers"));
    if (wrappers != NULL && strlen(wrappers) >= REINI_WRAPPERS_MAX)
        return reini_fail(REIN_FORMAT, "the wrappers that the policy names are longer than %d bytes",
                          REINI_WRAPPERS_MAX - 1);
    REINI_TRY(head.kind->load(&head, root, st, out));
    reini_policy_remember(*out, wrappers != NULL ? wrappers : "");
    return REIN_OK;
}

rein_status rein_policy_load(const char *path, rein_policy **out) {
    reini_safetensors *st = NULL;
    json_t *root = NULL;
    *out = NULL;
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
