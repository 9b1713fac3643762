/*
 * lm_weights.c - the layout of a model's parameters, where they lie, and their random start.
 *
 * All matrices come first in the layout, then all norms and biases: a rounded copy of the matrices is one block
 * without gaps, and weight decay, which leaves norms and biases alone, acts on one run of numbers.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/huge_pages.h"
#include "lm/lm_parts.h"
#include "tensor/graph.h"

/* ---- the table of parts -------------------------------------------------------------------------------- */

reini_lm_part_info reini_lm_part_of(const reini_lm_shape *s, reini_lm_part part) {
    switch (part) {
/* a vector is what the table gives the constant 1 for rows; a score head of one row is a matrix still */
#define X(name, text, per_layer, rows, columns, there)                                                       \
    case REINI_LM_##name:                                                                                    \
        return (reini_lm_part_info){text, per_layer, #rows[0] != '1', there, rows, columns};
        REINI_LM_PARTS(X)
#undef X
    case REINI_LM_PART_COUNT:
        break;
    }
    return (reini_lm_part_info){.text = ""};
}

void reini_lm_part_name(const reini_lm_shape *shape, reini_lm_part part, int layer, char out[REINI_LM_NAME]) {
    reini_lm_part_info info = reini_lm_part_of(shape, part);
    if (info.per_layer)
        snprintf(out, REINI_LM_NAME, "model.layers.%d.%s", layer, info.text);
    else
        snprintf(out, REINI_LM_NAME, "%s", info.text);
}

/* ---- the layout ---------------------------------------------------------------------------------------- */

static int *param_at(const reini_lm_weights *w, reini_lm_part part, int layer) {
    return &w->param[(layer + 1) * REINI_LM_PART_COUNT + (int)part];
}

static void declare_part(reini_lm_weights *w, rein_graph *g, int slot, reini_lm_part part, int layer) {
    char name[REINI_LM_NAME];
    reini_lm_part_info info = reini_lm_part_of(&w->shape, part);
    int dims[2] = {info.rows, info.columns};
    reini_lm_part_name(&w->shape, part, layer, name);
    *param_at(w, part, layer) = rein_layout_count(w->layout);
    rein_param(g, slot, name, info.matrix ? 2 : 1, info.matrix ? dims : dims + 1,
               (rein_init){REIN_INIT_CONSTANT, 0});
}

/* declares the parts there are, matrices or vectors, in the order of the model */
static void declare_parts(reini_lm_weights *w, rein_graph *g, int slot, bool matrices) {
    for (int layer = -1; layer < w->shape.layers; layer++)
        for (int p = 0; p < REINI_LM_PART_COUNT; p++) {
            reini_lm_part_info info = reini_lm_part_of(&w->shape, (reini_lm_part)p);
            if (w->base && p != REINI_LM_SCORE)
                continue;
            if (info.there && info.matrix == matrices && info.per_layer == (layer >= 0))
                declare_part(w, g, slot, (reini_lm_part)p, layer);
        }
}

static rein_status make_layout(reini_lm_weights *w) {
    size_t places = (size_t)(w->shape.layers + 1) * REINI_LM_PART_COUNT;
    rein_graph *g = rein_graph_new(REIN_F32);
    w->layout = rein_layout_new();
    w->param = REINI_NEW_ARRAY(int, places);
    if (!g || !w->layout || !w->param) {
        rein_graph_free(g);
        return reini_fail_memory(places * sizeof(int), "the layout of a language model");
    }
    for (size_t i = 0; i < places; i++)
        w->param[i] = -1;
    int slot = rein_slot(g, w->layout);
    declare_parts(w, g, slot, true);
    declare_parts(w, g, slot, false);
    rein_status status = g->status;
    if (status != REIN_OK)
        reini_fail(status, "the layout of a language model: %s", g->error);
    rein_graph_free(g);
    return status;
}

int64_t reini_lm_matrix_end(const reini_lm_weights *w) {
    if (w->base)
        return w->layout->size;
    /* the vector that all families have and that is declared first */
    return rein_layout_at(w->layout, reini_lm_param(w, REINI_LM_NORM_F, -1)).offset;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

/* floats of norms and biases, packed, for weights without a store */
static rein_status make_vectors(reini_lm_weights *w) {
    int n = rein_layout_count(w->layout);
    int64_t size = 0, end = reini_lm_matrix_end(w);
    w->vector_offset = REINI_NEW_ARRAY(int64_t, (size_t)n);
    if (!w->vector_offset)
        return reini_fail_memory((size_t)n * sizeof(int64_t), "the norms of a language model");
    for (int i = 0; i < n; i++) {
        rein_param_info info = rein_layout_at(w->layout, i);
        w->vector_offset[i] = info.offset < end ? -1 : size;
        size += info.offset < end ? 0 : (info.count + 15) / 16 * 16;
    }
    w->vectors = REINI_NEW_ARRAY(float, (size_t)size);
    return w->vectors ? REIN_OK
                      : reini_fail_memory((size_t)size * sizeof(float), "the norms of a language model");
}

static rein_status make_values(reini_lm_weights *w, bool frozen) {
    bool narrow = w->products == REIN_BF16, store = !narrow || !frozen;
    size_t numbers = (size_t)w->layout->size, matrices = (size_t)reini_lm_matrix_end(w);
    size_t bytes = (store ? numbers * sizeof(float) : 0) + (narrow ? matrices * sizeof(uint16_t) : 0);
    REINI_TRY(reini_memory_claim(bytes, "the weights of a language model"));
    if (store) {
        REINI_TRY(rein_store_new(w->layout, REIN_F32, &w->store));
    } else if (!w->base) {
        REINI_TRY(make_vectors(w));
    }
    w->narrow = narrow ? REINI_NEW_ARRAY(uint16_t, matrices) : NULL;
    if (narrow && !w->narrow)
        return reini_fail_memory(matrices * sizeof(uint16_t), "the weights of a language model");
    if (narrow)
        reini_huge_pages(w->narrow, matrices * sizeof(uint16_t));
    return REIN_OK;
}

static rein_status make(const reini_lm_shape *shape, rein_dtype products, bool frozen,
                        const reini_lm_weights *base, reini_lm_weights **out) {
    *out = NULL;
    if (products != REIN_F32 && products != REIN_BF16)
        return reini_fail(REIN_USAGE, "products of a language model are in float32 or in bfloat16");
    reini_lm_weights *w = REINI_NEW(reini_lm_weights);
    if (!w)
        return reini_fail_memory(sizeof *w, "the weights of a language model");
    w->shape = *shape;
    w->products = products;
    w->base = base;
    rein_status status = make_layout(w);
    if (status == REIN_OK)
        status = make_values(w, frozen);
    if (status != REIN_OK) {
        reini_lm_weights_free(w);
        return status;
    }
    *out = w;
    return REIN_OK;
}

rein_status reini_lm_weights_new(const reini_lm_shape *shape, rein_dtype products, bool frozen,
                                 reini_lm_weights **out) {
    return make(shape, products, frozen, NULL, out);
}

rein_status reini_lm_weights_share(const reini_lm_weights *base, int labels, reini_lm_weights **out) {
    REINI_ASSERT(labels > 0 && !base->base && base->shape.labels == 0);
    reini_lm_shape shape = base->shape;
    shape.labels = labels;
    return make(&shape, base->products, true, base, out);
}

void reini_lm_weights_free(reini_lm_weights *w) {
    if (!w)
        return;
    rein_store_free(w->store);
    rein_layout_free(w->layout);
    reini_free(w->param);
    reini_free(w->narrow);
    reini_free(w->vectors);
    reini_free(w->vector_offset);
    reini_free(w);
}

int64_t reini_lm_weights_count(const reini_lm_weights *w) {
    int64_t count = 0;
    for (int i = 0; i < rein_layout_count(w->layout); i++)
        count += rein_layout_at(w->layout, i).count;
    return count;
}

int64_t reini_lm_weights_bytes(const reini_lm_weights *w) {
    int64_t bytes = w->store ? rein_store_size(w->store) * (int64_t)sizeof(float) : 0;
    if (w->narrow)
        bytes += reini_lm_matrix_end(w) * (int64_t)sizeof(uint16_t);
    for (int i = 0; w->vectors && i < rein_layout_count(w->layout); i++)
        if (w->vector_offset[i] >= 0)
            bytes += rein_layout_at(w->layout, i).count * (int64_t)sizeof(float);
    return bytes;
}

/* ---- places -------------------------------------------------------------------------------------------- */

int reini_lm_param(const reini_lm_weights *w, reini_lm_part part, int layer) {
    REINI_ASSERT(layer >= -1 && layer < w->shape.layers);
    return *param_at(w, part, layer);
}

reini_matrix reini_lm_matrix(const reini_lm_weights *w, reini_lm_part part, int layer) {
    int param = reini_lm_param(w, part, layer);
    if (param < 0 && w->base)
        return reini_lm_matrix(w->base, part, layer);
    if (param < 0)
        return (reini_matrix){.dtype = w->products};
    rein_param_info info = rein_layout_at(w->layout, param);
    REINI_ASSERT(info.ndim == 2);
    const void *at = w->narrow ? (const void *)(w->narrow + info.offset)
                               : (const void *)((const float *)rein_store_view(w->store) + info.offset);
    return (reini_matrix){at, w->narrow ? REIN_BF16 : REIN_F32, info.dims[0], info.dims[1], info.dims[1]};
}

const float *reini_lm_vector(const reini_lm_weights *w, reini_lm_part part, int layer) {
    int param = reini_lm_param(w, part, layer);
    if (param < 0)
        return w->base ? reini_lm_vector(w->base, part, layer) : NULL;
    if (!w->store) {
        REINI_ASSERT(w->vector_offset[param] >= 0);
        return w->vectors + w->vector_offset[param];
    }
    return (const float *)rein_store_view(w->store) + rein_layout_at(w->layout, param).offset;
}

float *reini_lm_gradient_at(const reini_lm_weights *w, rein_store *gradient, reini_lm_part part, int layer) {
    int param = reini_lm_param(w, part, layer);
    if (param < 0 || !gradient)
        return NULL;
    REINI_ASSERT(rein_store_layout(gradient) == w->layout);
    return (float *)rein_store_data(gradient) + rein_layout_at(w->layout, param).offset;
}

void reini_lm_weights_refresh(reini_lm_weights *w, rein_pool *pool) {
    if (w->narrow && w->store)
        reini_narrow(pool, w->narrow, rein_store_view(w->store), reini_lm_matrix_end(w));
}

/* ---- random weights ------------------------------------------------------------------------------------ */

enum { NORMAL_PIECE = 16384 }; /* numbers drawn at a time: they are scaled while they lie in the cache */

/* rows x columns numbers of N(0, deviation^2); their bits depend on the seed, `stream` and their place */
static void draw_matrix(float *to, int64_t rows, int64_t columns, double deviation, uint64_t seed,
                        uint64_t stream) {
    reini_kernel *normal = reini_kernels_best()->run[REINI_RANDOM_NORMAL];
    reini_key key = {.seed = seed, .step = stream, .stream = 0x9A};
    int64_t piece = NORMAL_PIECE / columns > 1 ? NORMAL_PIECE / columns : 1;
    if (!normal)
        normal = reini_kernels_ref_f32.run[REINI_RANDOM_NORMAL];
    for (int64_t row = 0; row < rows; row += piece) {
        int64_t n = rows - row < piece ? rows - row : piece;
        float *at = to + row * columns;
        reini_call call = {.out = {at, columns, columns}, .rows = (int32_t)n, .row0 = row};
        call.in[0].at = &key;
        normal(&call);
        for (int64_t i = 0; i < n * columns; i++)
            at[i] *= (float)deviation;
    }
}

static void init_matrix(reini_lm_weights *w, reini_lm_part part, int layer, rein_param_info info,
                        uint64_t seed) {
    const reini_lm_shape *s = &w->shape;
    float *at = (float *)rein_store_data(w->store) + info.offset;
    double deviation = s->initializer_range;
    /* what GPT-2 adds to the residual stream, 2 terms a layer, starts smaller (Radford et al. 2019, section 2.3) */
    if (s->family == REINI_GPT2 && (part == REINI_LM_O || part == REINI_LM_DOWN))
        deviation /= sqrt(2.0 * s->layers);
    draw_matrix(at, info.dims[0], info.dims[1], deviation, seed, (uint64_t)reini_lm_param(w, part, layer));
    /* Transformers' embeddings of these families know the padding token, whose row starts at zero */
    if (part == REINI_LM_EMBEDDING && s->family != REINI_GPT2 && s->pad >= 0 && s->pad < s->vocabulary)
        memset(at + (int64_t)s->pad * s->hidden, 0, (size_t)s->hidden * sizeof *at);
}

static bool is_norm(reini_lm_part part) {
    return part == REINI_LM_NORM_1 || part == REINI_LM_NORM_2 || part == REINI_LM_NORM_F ||
           part == REINI_LM_Q_NORM || part == REINI_LM_K_NORM;
}

static void init_part(reini_lm_weights *w, reini_lm_part part, int layer, uint64_t seed) {
    int param = reini_lm_param(w, part, layer);
    if (param < 0)
        return;
    rein_param_info info = rein_layout_at(w->layout, param);
    if (info.ndim == 2)
        init_matrix(w, part, layer, info, seed);
    float *vector = (float *)rein_store_data(w->store) + info.offset;
    for (int64_t i = 0; is_norm(part) && i < info.count; i++)
        vector[i] = 1;
}

rein_status reini_lm_weights_random(const reini_lm_shape *shape, rein_dtype products, uint64_t seed,
                                    reini_lm_weights **out) {
    REINI_TRY(reini_lm_weights_new(shape, products, false, out));
    for (int layer = -1; layer < shape->layers; layer++)
        for (int part = 0; part < REINI_LM_PART_COUNT; part++)
            init_part(*out, (reini_lm_part)part, layer, seed);
    reini_lm_weights_refresh(*out, NULL);
    return REIN_OK;
}
