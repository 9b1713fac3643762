/*
 * lora.c - adapters: which layers take one, their start, and adding them to the weights they stand beside.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <rein/rng.h>
#include "lm/lm_parts.h"
#include "lm/lora_parts.h"
#include "tensor/graph.h"

static const reini_lora_module llama_modules[] = {
    {"self_attn.q_proj", 1, {REINI_LM_Q}}, {"self_attn.k_proj", 1, {REINI_LM_K}},
    {"self_attn.v_proj", 1, {REINI_LM_V}}, {"self_attn.o_proj", 1, {REINI_LM_O}},
    {"mlp.gate_proj", 1, {REINI_LM_GATE}}, {"mlp.up_proj", 1, {REINI_LM_UP}},
    {"mlp.down_proj", 1, {REINI_LM_DOWN}},
};
static const reini_lora_module gpt2_modules[] = {
    {"attn.c_attn", 3, {REINI_LM_Q, REINI_LM_K, REINI_LM_V}},
    {"attn.c_proj", 1, {REINI_LM_O}},
    {"mlp.c_fc", 1, {REINI_LM_UP}},
    {"mlp.c_proj", 1, {REINI_LM_DOWN}},
};

const reini_lora_module *reini_lora_modules(const reini_lm_shape *shape, int *n) {
    bool gpt2 = shape->family == REINI_GPT2;
    *n = gpt2 ? (int)(sizeof gpt2_modules / sizeof *gpt2_modules)
              : (int)(sizeof llama_modules / sizeof *llama_modules);
    return gpt2 ? gpt2_modules : llama_modules;
}

const char *reini_lora_short_name(const reini_lora_module *module) {
    return strchr(module->path, '.') + 1;
}

/* ---- targets ------------------------------------------------------------------------------------------- */

static uint32_t bits_of(const reini_lora_module *module) {
    uint32_t bits = 0;
    for (int i = 0; i < module->n_parts; i++)
        bits |= UINT32_C(1) << module->part[i];
    return bits;
}

static bool is_name(const char *text, size_t length, const char *name) {
    return strlen(name) == length && strncmp(text, name, length) == 0;
}

/* layers that a name stands for: "c_proj" is two of GPT-2's, as in PEFT; 0 = unknown */
static uint32_t bits_named(const reini_lm_shape *shape, const char *text, size_t length) {
    int n;
    uint32_t bits = 0;
    const reini_lora_module *module = reini_lora_modules(shape, &n);
    for (int i = 0; i < n; i++)
        if (is_name(text, length, "all-linear") || is_name(text, length, module[i].path) ||
            is_name(text, length, reini_lora_short_name(&module[i])))
            bits |= bits_of(&module[i]);
    return bits;
}

static rein_status fail_target(const reini_lm_shape *shape, const char *text, size_t length) {
    char known[256];
    size_t at = 0;
    int n;
    const reini_lora_module *module = reini_lora_modules(shape, &n);
    for (int i = 0; i < n && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s, ",
                               shape->family == REINI_GPT2 ? module[i].path
                                                           : reini_lora_short_name(&module[i]));
    return reini_fail(REIN_USAGE,
                      "a %s model has no linear layer \"%.*s\" for an adapter; known are %sand all-linear",
                      reini_family_name(shape->family), length < 80 ? (int)length : 80, text, known);
}

rein_status reini_lora_targets(const reini_lm_shape *shape, const char *names, uint32_t *targets) {
    *targets = 0;
    for (const char *at = names; *at;) {
        at += strspn(at, ", ");
        size_t length = strcspn(at, ", ");
        uint32_t bits = length > 0 ? bits_named(shape, at, length) : 0;
        if (length > 0 && bits == 0)
            return fail_target(shape, at, length);
        *targets |= bits;
        at += length;
    }
    return *targets ? REIN_OK : fail_target(shape, "", 0);
}

/* ---- making -------------------------------------------------------------------------------------------- */

static int *param_at(const reini_lora *lora, reini_lm_part part, int layer, int which) {
    return &lora->param[(layer * REINI_LM_PART_COUNT + (int)part) * 2 + which];
}

int reini_lora_param(const reini_lora *lora, reini_lm_part part, int layer, int which) {
    return *param_at(lora, part, layer, which);
}

static void declare_pair(reini_lora *lora, rein_graph *g, int slot, reini_lm_part part, int layer,
                         reini_lm_part_info info) {
    char name[REINI_LM_NAME];
    int dims[2][2] = {{lora->opts.rank, info.columns}, {info.rows, lora->opts.rank}};
    int length = (int)strlen(info.text) - (int)strlen(".weight");
    for (int which = 0; which < 2; which++) {
        snprintf(name, sizeof name, "layers.%d.%.*s.lora_%c", layer, length, info.text, 'A' + which);
        *param_at(lora, part, layer, which) = rein_layout_count(lora->layout);
        rein_param(g, slot, name, 2, dims[which], (rein_init){REIN_INIT_CONSTANT, 0});
    }
}

static rein_status make_layout(reini_lora *lora, const reini_lm_shape *shape, const bool *there) {
    size_t places = (size_t)shape->layers * REINI_LM_PART_COUNT;
    rein_graph *g = rein_graph_new(REIN_F32);
    lora->layout = rein_layout_new();
    lora->param = REINI_NEW_ARRAY(int, 2 * places);
    if (!g || !lora->layout || !lora->param) {
        rein_graph_free(g);
        return reini_fail_memory(places * sizeof(int), "the layout of an adapter");
    }
    for (size_t i = 0; i < 2 * places; i++)
        lora->param[i] = -1;
    int slot = rein_slot(g, lora->layout);
    for (int layer = 0; layer < shape->layers; layer++)
        for (int p = 0; p < REINI_LM_PART_COUNT; p++)
            if (lora->opts.targets >> p & 1 && (!there || there[layer * REINI_LM_PART_COUNT + p]))
                declare_pair(lora, g, slot, (reini_lm_part)p, layer,
                             reini_lm_part_of(shape, (reini_lm_part)p));
    if (shape->labels > 0) /* last: trained beside the adapter, in float (PEFT's modules_to_save) */
        rein_param(g, slot, "score.weight", 2, (int[]){shape->labels, shape->hidden},
                   (rein_init){REIN_INIT_CONSTANT, 0});
    rein_status status = g->status;
    if (status != REIN_OK)
        reini_fail(status, "the layout of an adapter: %s", g->error);
    rein_graph_free(g);
    return status;
}

static rein_status check_opts(const reini_lm_shape *shape, const reini_lora_opts *o) {
    int n;
    uint32_t all = 0;
    const reini_lora_module *module = reini_lora_modules(shape, &n);
    for (int i = 0; i < n; i++) {
        uint32_t bits = bits_of(&module[i]);
        all |= bits;
        if ((o->targets & bits) != 0 && (o->targets & bits) != bits)
            return reini_fail(REIN_USAGE,
                              "a %s model's %s is one linear layer, which takes an adapter as a whole",
                              reini_family_name(shape->family), module[i].path);
    }
    if (o->targets == 0 || (o->targets & ~all) != 0)
        return reini_fail(REIN_USAGE, "the adapter's targets are not linear layers of a %s model",
                          reini_family_name(shape->family));
    if (o->rank < 1 || o->rank > 65536)
        return reini_fail(REIN_USAGE, "the rank of an adapter has to be from 1 to 65536, found %d", o->rank);
    if (!(o->alpha > 0) || !isfinite(o->alpha))
        return reini_fail(REIN_USAGE, "the alpha of an adapter has to be positive, found %g", o->alpha);
    if (!(o->dropout >= 0 && o->dropout < 1))
        return reini_fail(REIN_USAGE, "the dropout of an adapter has to be in [0, 1), found %g", o->dropout);
    return REIN_OK;
}

rein_status reini_lora_make(const reini_lm_weights *base, const reini_lora_opts *opts, const bool *there,
                            reini_lora **out) {
    *out = NULL;
    REINI_TRY(check_opts(&base->shape, opts));
    reini_lora *lora = REINI_NEW(reini_lora);
    if (!lora)
        return reini_fail_memory(sizeof *lora, "an adapter");
    lora->opts = *opts;
    lora->scale = opts->alpha / (opts->rslora ? sqrt(opts->rank) : opts->rank);
    rein_status status = make_layout(lora, &base->shape, there);
    if (status == REIN_OK)
        status = rein_store_new(lora->layout, REIN_F32, &lora->store);
    if (status != REIN_OK) {
        reini_lora_free(lora);
        return status;
    }
    *out = lora;
    return REIN_OK;
}

/* Kaiming-uniform with a = sqrt 5, PyTorch's start of linear layers: U(-1 / sqrt in, 1 / sqrt in). B stays zero. */
static void init_a(reini_lora *lora, int param) {
    rein_param_info info = rein_layout_at(lora->layout, param);
    rein_rng rng = rein_rng_make(lora->opts.seed, (UINT64_C(0x9B) << 56) + (uint64_t)param);
    float *a = (float *)rein_store_data(lora->store) + info.offset;
    float bound = (float)(1 / sqrt(info.dims[1]));
    for (int64_t i = 0; i < info.count; i++)
        a[i] = rein_rng_range(&rng, -bound, bound);
}

rein_status reini_lora_new(const reini_lm_weights *base, const reini_lora_opts *opts, reini_lora **out) {
    REINI_TRY(reini_lora_make(base, opts, NULL, out));
    for (int i = 0; i + 1 < rein_layout_count((*out)->layout); i += 2) /* pairs of A and B */
        init_a(*out, i);
    reini_lora_take_head(*out, base);
    return REIN_OK;
}

void reini_lora_free(reini_lora *lora) {
    if (!lora)
        return;
    rein_store_free(lora->store);
    rein_layout_free(lora->layout);
    reini_free(lora->param);
    reini_free(lora);
}

static float *place(const reini_lora *lora, rein_store *store, reini_lm_part part, int layer, int which) {
    int param = reini_lora_param(lora, part, layer, which);
    return param < 0 || !store ? NULL
                               : (float *)rein_store_data(store) + rein_layout_at(lora->layout, param).offset;
}

float *reini_lora_a(const reini_lora *lora, rein_store *store, reini_lm_part part, int layer) {
    return place(lora, store, part, layer, 0);
}

float *reini_lora_b(const reini_lora *lora, rein_store *store, reini_lm_part part, int layer) {
    return place(lora, store, part, layer, 1);
}

/* ---- the score head ------------------------------------------------------------------------------------ */

float *reini_lora_head(const reini_lora *lora, rein_store *store) {
    int param = rein_layout_find(lora->layout, "score.weight");
    return param < 0 ? NULL : (float *)rein_store_data(store) + rein_layout_at(lora->layout, param).offset;
}

void reini_lora_take_head(reini_lora *lora, const reini_lm_weights *base) {
    float *head = reini_lora_head(lora, lora->store);
    if (!head)
        return;
    rein_param_info info = rein_layout_at(base->layout, reini_lm_param(base, REINI_LM_SCORE, -1));
    if (base->store)
        memcpy(head, (const float *)rein_store_view(base->store) + info.offset,
               (size_t)info.count * sizeof *head);
    else
        reini_widen(NULL, head, base->narrow + info.offset, info.count);
}

void reini_lora_give_head(const reini_lora *lora, reini_lm_weights *base) {
    const float *head = reini_lora_head(lora, lora->store);
    if (!head)
        return;
    rein_param_info info = rein_layout_at(base->layout, reini_lm_param(base, REINI_LM_SCORE, -1));
    if (base->store)
        memcpy((float *)rein_store_data(base->store) + info.offset, head, (size_t)info.count * sizeof *head);
    if (base->narrow)
        reini_narrow(NULL, base->narrow + info.offset, head, info.count);
}

/* ---- merging ------------------------------------------------------------------------------------------- */

/* Rounding may take this share of the adapter's length before a merge into bf16 weights is refused. */
#define LOSS_MAX 0.5

typedef struct merging {
    const reini_lora *lora;
    reini_lm_weights *base;
    reini_matmul *mm;
    float *sum;             /* of weights and adapter, when the weights are in bf16 alone */
    uint16_t *rounded;      /* of sum */
    double added, rounding; /* squared lengths of s B A and of what rounding did to the sum */
} merging;

/* to (out x in) += s B A */
static void add_product(const merging *m, float *to, reini_lm_part part, int layer) {
    rein_param_info a = rein_layout_at(m->lora->layout, reini_lora_param(m->lora, part, layer, 0));
    rein_param_info b = rein_layout_at(m->lora->layout, reini_lora_param(m->lora, part, layer, 1));
    const float *data = rein_store_view(m->lora->store);
    reini_matrix sum = {to, REIN_F32, b.dims[0], a.dims[1], a.dims[1]};
    reini_matrix left = {data + b.offset, REIN_F32, b.dims[0], b.dims[1], b.dims[1]};
    reini_matrix right = {data + a.offset, REIN_F32, a.dims[0], a.dims[1], a.dims[1]};
    reini_matmul_input(m->mm, sum, left, right, (float)m->lora->scale, true);
}

static float widen(uint16_t bits) {
    union {
        uint32_t word;
        float number;
    } both = {.word = (uint32_t)bits << 16};
    return both.number;
}

/* keep: the rounded sum takes the weights' place; else it is measured alone */
static void merge_narrow(merging *m, reini_lm_part part, int layer, bool keep) {
    rein_param_info info = rein_layout_at(m->base->layout, reini_lm_param(m->base, part, layer));
    uint16_t *weights = m->base->narrow + info.offset;
    reini_widen(NULL, m->sum, weights, info.count);
    add_product(m, m->sum, part, layer);
    if (keep) {
        reini_narrow(NULL, weights, m->sum, info.count);
        return;
    }
    reini_narrow(NULL, m->rounded, m->sum, info.count);
    for (int64_t i = 0; i < info.count; i++) {
        double added = (double)m->sum[i] - widen(weights[i]),
               rounding = (double)widen(m->rounded[i]) - m->sum[i];
        m->added += added * added;
        m->rounding += rounding * rounding;
    }
}

static void merge_each(merging *m, bool keep) {
    for (int layer = 0; layer < m->base->shape.layers; layer++)
        for (int p = 0; p < REINI_LM_PART_COUNT; p++) {
            reini_lm_part part = (reini_lm_part)p;
            if (reini_lora_param(m->lora, part, layer, 0) < 0)
                continue;
            rein_param_info info = rein_layout_at(m->base->layout, reini_lm_param(m->base, part, layer));
            if (!m->base->store)
                merge_narrow(m, part, layer, keep);
            else if (keep)
                add_product(m, (float *)rein_store_data(m->base->store) + info.offset, part, layer);
        }
}

static rein_status make_sum(merging *m) {
    int64_t most = 0;
    for (int i = 0; i < rein_layout_count(m->base->layout); i++) {
        rein_param_info info = rein_layout_at(m->base->layout, i);
        most = m->base->vector_offset[i] < 0 && info.count > most ? info.count : most;
    }
    m->sum = REINI_NEW_ARRAY(float, (size_t)most);
    m->rounded = REINI_NEW_ARRAY(uint16_t, (size_t)most);
    return m->sum && m->rounded ? REIN_OK
                                : reini_fail_memory((size_t)most * sizeof(float), "merging an adapter");
}

rein_status reini_lora_merge(const reini_lora *lora, reini_lm_weights *base) {
    merging m = {.lora = lora, .base = base};
    REINI_TRY(reini_matmul_new(NULL, REIN_F32, &m.mm));
    rein_status status = base->store ? REIN_OK : make_sum(&m);
    if (status == REIN_OK)
        merge_each(&m, false);
    if (m.rounding > LOSS_MAX * LOSS_MAX * m.added)
        status = reini_fail(
            REIN_MISMATCH,
            "merging into bfloat16 weights would lose %.0f %% of the adapter to rounding: load the "
            "model in float32 to merge, or keep the adapter apart",
            100 * sqrt(m.rounding / m.added));
    if (status == REIN_OK) {
        merge_each(&m, true);
        reini_lm_weights_refresh(base, NULL);
    }
    reini_free(m.sum);
    reini_free(m.rounded);
    reini_matmul_free(m.mm);
    return status;
}
