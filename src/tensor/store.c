/*
 * store.c - layouts (names and shapes of parameters) and stores (their values).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <rein/rng.h>
#include "base/huge_pages.h"
#include "tensor/graph.h"

enum { LARGE = 1 << 21 /* bytes, from where on large pages pay */ };

/* ---- layouts ------------------------------------------------------------------------------------------- */

rein_layout *rein_layout_new(void) {
    rein_layout *layout = REINI_NEW(rein_layout);
    if (layout != NULL)
        layout->references = 1;
    return layout;
}

rein_layout *reini_layout_hold(rein_layout *layout) {
    atomic_fetch_add(&layout->references, 1);
    return layout;
}

void rein_layout_free(rein_layout *layout) {
    if (layout == NULL || atomic_fetch_sub(&layout->references, 1) > 1)
        return;
    reini_free(layout->param);
    reini_free(layout);
}

int rein_layout_count(const rein_layout *layout) {
    return layout->count;
}

rein_param_info rein_layout_at(const rein_layout *layout, int i) {
    const reini_param *param = &layout->param[i];
    rein_param_info info = {
        .name = param->name, .ndim = param->ndim, .count = param->count, .offset = param->offset};
    memcpy(info.dims, param->dims, sizeof info.dims);
    return info;
}

int rein_layout_find(const rein_layout *layout, const char *name) {
    for (int i = 0; i < layout->count; i++)
        if (strcmp(layout->param[i].name, name) == 0)
            return i;
    return -1;
}

bool reini_param_in_groups(const reini_param *param, const char *groups) {
    if (groups == NULL || groups[0] == '\0')
        return true;
    for (const char *at = groups; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        size_t length = strcspn(at, ",");
        if (length == (size_t)param->group_length && strncmp(at, param->name, length) == 0)
            return true;
    }
    return false;
}

static int declare(rein_graph *g, rein_layout *layout, const char *name, int ndim, const int *dims,
                   rein_init init) {
    if (layout->sealed || strlen(name) >= sizeof layout->param->name) {
        reini_mistake(g, "parameter %s: %s", name,
                      layout->sealed ? "its layout already has stores and cannot grow"
                                     : "the name is too long");
        return 0;
    }
    if (layout->count == layout->capacity) {
        int capacity = layout->capacity ? 2 * layout->capacity : 16;
        reini_param *grown = reini_grow(layout->param, (size_t)layout->capacity * sizeof *grown,
                                        (size_t)capacity * sizeof *grown);
        if (grown == NULL) {
            reini_no_memory(g);
            return 0;
        }
        layout->param = grown;
        layout->capacity = capacity;
    }
    reini_param *param = &layout->param[layout->count];
    memset(param, 0, sizeof *param);
    snprintf(param->name, sizeof param->name, "%s", name);
    param->group_length = (int)strcspn(name, ".");
    param->ndim = ndim;
    param->count = 1;
    for (int i = 0; i < ndim; i++) {
        param->dims[i] = dims[i];
        param->count *= dims[i];
    }
    param->init = init;
    param->offset = layout->size;
    layout->size += (param->count + 15) / 16 * 16;
    return layout->count++;
}

int rein_slot(rein_graph *g, rein_layout *layout) {
    if (g->n_slots == REINI_SLOTS) {
        reini_mistake(g, "a graph has at most %d slots", REINI_SLOTS);
        return 0;
    }
    g->slot[g->n_slots] = reini_layout_hold(layout);
    return g->n_slots++;
}

static bool same_dims(const reini_param *param, int ndim, const int *dims) {
    return param->ndim == ndim && memcmp(param->dims, dims, (size_t)ndim * sizeof *dims) == 0;
}

rein_tensor *rein_param(rein_graph *g, int slot, const char *name, int ndim, const int *dims,
                        rein_init init) {
    if (slot < 0 || slot >= g->n_slots || ndim < 1 || ndim > 4)
        return reini_mistake(g, "parameter %s: no slot %d, or not 1 to 4 dimensions", name, slot);
    rein_layout *layout = g->slot[slot];
    int index = rein_layout_find(layout, name);
    if (index >= 0 && !same_dims(&layout->param[index], ndim, dims))
        return reini_mistake(g, "parameter %s is declared twice with different shapes", name);
    for (int i = 0; index >= 0 && i < g->n_nodes; i++)
        if (g->node[i]->op == REINI_PARAM && g->node[i]->slot == slot && g->node[i]->param == index)
            return g->node[i];
    if (index < 0)
        index = declare(g, layout, name, ndim, dims, init);
    if (g->status != REIN_OK)
        return reini_mistake(g, "parameter %s", name);
    reini_shape shape = {.extent = REIN_STATIC, .ndim = ndim};
    memcpy(shape.dims, dims, (size_t)ndim * sizeof *dims);
    rein_tensor *leaf = reini_leaf(g, REINI_PARAM, g->real, shape, name);
    leaf->slot = slot;
    leaf->param = index;
    return leaf;
}

/* ---- stores -------------------------------------------------------------------------------------------- */

rein_status rein_store_new(rein_layout *layout, rein_dtype real, rein_store **out) {
    rein_store *store = REINI_NEW(rein_store);
    size_t bytes = (size_t)layout->size * rein_dtype_size(real);
    if (store == NULL)
        return reini_fail_memory(sizeof *store, "a parameter store");
    store->data = reini_new(bytes);
    if (store->data == NULL) {
        reini_free(store);
        return reini_fail_memory(bytes, "a parameter store");
    }
    if (bytes >= LARGE)
        reini_huge_pages(store->data, bytes);
    layout->sealed = true;
    store->layout = reini_layout_hold(layout);
    store->real = real;
    *out = store;
    return REIN_OK;
}

void rein_store_free(rein_store *store) {
    if (store == NULL)
        return;
    rein_layout_free(store->layout);
    reini_free(store->data);
    reini_free(store);
}

void *rein_store_data(rein_store *store) {
    return store->data;
}

const void *rein_store_view(const rein_store *store) {
    return store->data;
}

int64_t rein_store_size(const rein_store *store) {
    return store->layout->size;
}

rein_layout *rein_store_layout(const rein_store *store) {
    return store->layout;
}

void rein_store_copy(rein_store *to, const rein_store *from) {
    REINI_ASSERT(to->layout == from->layout && to->real == from->real);
    memcpy(to->data, from->data, (size_t)to->layout->size * rein_dtype_size(to->real));
}

typedef struct blending {
    float *to;
    const float *from;
    int64_t size;
    float rate;
    int shares;
} blending;

/* fewer numbers are not worth a second worker */
enum { BLEND_ALONE = 4096 };

static void blend_share(void *user, int share, int worker) {
    const blending *b = user;
    int64_t begin = b->size * share / b->shares / 16 * 16, end = b->size * (share + 1) / b->shares / 16 * 16;
    (void)worker;
    end = share + 1 == b->shares ? b->size : end;
    reini_vector_ops_best()->blend(b->to + begin, b->from + begin, end - begin, b->rate);
}

void rein_store_blend(rein_store *to, const rein_store *from, double rate) {
    reini_store_blend(to, from, rate, NULL);
}

void reini_store_blend(rein_store *to, const rein_store *from, double rate, rein_pool *pool) {
    REINI_ASSERT(to->layout == from->layout && to->real == from->real);
    if (to->real == REIN_F32) {
        int64_t most = to->layout->size / BLEND_ALONE + 1, threads = rein_pool_threads(pool);
        blending b = {to->data, from->data, to->layout->size, (float)rate,
                      (int)(most < threads ? most : threads)};
        rein_pool_run(pool, b.shares, blend_share, &b);
        return;
    }
    double *y = to->data;
    const double *x = from->data;
    for (int64_t i = 0; i < to->layout->size; i++)
        y[i] += rate * (x[i] - y[i]);
}

/* ---- initial values ------------------------------------------------------------------------------------ */

static void put(rein_store *store, int64_t i, double value) {
    if (store->real == REIN_F64)
        ((double *)store->data)[i] = value;
    else
        ((float *)store->data)[i] = (float)value;
}

enum {
    LONG = 1024,
    PARTS = 8
}; /* longer products are summed in parts, which the machine does side by side */

static double dot(const float *x, const float *y, int length) {
    double part[PARTS] = {0}, sum = 0;
    int i = 0;
    for (; length > LONG && i + PARTS <= length; i += PARTS)
        for (int k = 0; k < PARTS; k++)
            part[k] += (double)x[i + k] * (double)y[i + k];
    for (; i < length; i++)
        sum += (double)x[i] * (double)y[i];
    for (int k = 0; k < PARTS; k++)
        sum += part[k];
    return sum;
}

/* Makes vector v of `length` numbers orthogonal to the v - 1 before it, and of length 1. */
static void orthonormal_to(float *vectors, int v, int length) {
    float *x = vectors + (int64_t)v * length;
    /* two passes keep the vectors orthogonal to rounding */
    for (int pass = 0; pass < 2; pass++)
        for (int u = 0; u < v; u++) {
            const float *other = vectors + (int64_t)u * length;
            double along = dot(x, other, length);
            for (int i = 0; i < length; i++)
                x[i] = (float)(x[i] - along * other[i]);
        }
    double norm = sqrt(dot(x, x, length));
    for (int i = 0; i < length; i++)
        x[i] = (float)(x[i] / norm);
}

/* Rows (or columns, whichever are fewer) of an (in x out) matrix made orthonormal by modified Gram-Schmidt on
 * normal numbers, which gives the uniform distribution over such matrices; times gain. */
static rein_status orthogonal(rein_store *store, int64_t offset, int in, int out, double gain,
                              rein_rng *rng) {
    int count = in < out ? in : out, length = in < out ? out : in;
    int64_t step = in < out ? 1 : out, next = in < out ? out : 1;
    float *vectors = REINI_NEW_ARRAY(float, (size_t)in *(size_t)out);
    if (vectors == NULL)
        return reini_fail_memory(sizeof(float) * (size_t)in * (size_t)out, "orthogonal initial weights");
    for (int row = 0; row < in; row++)
        for (int column = 0; column < out; column++) {
            int v = in < out ? row : column, i = in < out ? column : row;
            vectors[(int64_t)v * length + i] = (float)rein_rng_normal(rng);
        }
    for (int v = 0; v < count; v++)
        orthonormal_to(vectors, v, length);
    for (int v = 0; v < count; v++)
        for (int i = 0; i < length; i++)
            put(store, offset + v * next + i * step, gain * (double)vectors[(int64_t)v * length + i]);
    reini_free(vectors);
    return REIN_OK;
}

static rein_status init_param(rein_store *store, const reini_param *param, rein_rng *rng) {
    int64_t last = param->dims[param->ndim - 1];
    int64_t fan_out = param->ndim > 1 ? last : param->count;
    int64_t fan_in = param->ndim > 1 ? param->dims[param->ndim - 2] : param->count;
    double scale = param->init.scale;
    if (param->init.kind == REIN_INIT_ORTHOGONAL && param->ndim > 1) {
        for (int64_t done = 0; done < param->count; done += fan_in * fan_out)
            REINI_TRY(orthogonal(store, param->offset + done, (int)fan_in, (int)fan_out, scale, rng));
        return REIN_OK;
    }
    if (param->init.kind == REIN_INIT_XAVIER)
        scale *= sqrt(6.0 / (double)(fan_in + fan_out));
    if (param->init.kind == REIN_INIT_KAIMING)
        scale *= sqrt(3.0 / (double)fan_in);
    for (int64_t i = 0; i < param->count; i++) {
        double value = scale;
        if (param->init.kind == REIN_INIT_NORMAL)
            value = scale * rein_rng_normal(rng);
        else if (param->init.kind != REIN_INIT_CONSTANT)
            value = scale * (2 * rein_rng_uniform64(rng) - 1);
        put(store, param->offset + i, value);
    }
    return REIN_OK;
}

rein_status rein_store_init(rein_store *store, uint64_t seed) {
    const rein_layout *layout = store->layout;
    memset(store->data, 0, (size_t)layout->size * rein_dtype_size(store->real));
    for (int k = 0; k < layout->count; k++) {
        /* streams of parameters lie apart from those of environments, which count from 0 */
        rein_rng rng = rein_rng_make(seed, (UINT64_C(0x9A) << 56) + (uint64_t)k);
        REINI_TRY(init_param(store, &layout->param[k], &rng));
    }
    return REIN_OK;
}
