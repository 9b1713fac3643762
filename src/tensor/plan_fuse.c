/*
 * plan_fuse.c - compiling: ops that become others before they are put in order.
 *
 * An input gradient and the activation's slope after it become one op, so that the gradient is not written and read
 * once more. Weights of bf16 products are packed.
 */
#include <string.h>
#include "tensor/plan_maker.h"

/* ---- fusion --------------------------------------------------------------------------------------------- */

static rein_activation slope_of(reini_op op) {
    switch (op) {
    case REINI_TANH_GRAD:
        return REIN_ACT_TANH;
    case REINI_RELU_GRAD:
        return REIN_ACT_RELU;
    case REINI_SIGMOID_GRAD:
        return REIN_ACT_SIGMOID;
    default:
        return REIN_ACT_IDENTITY;
    }
}

static int count_uses(const reini_plan_maker *p, const rein_tensor *x) {
    int uses = 0;
    for (int i = 0; i < p->program->n_nodes; i++)
        for (int j = 0; p->live[i] && j < p->program->node[i].n_in; j++)
            uses += p->program->node[i].in[j] == x;
    return uses;
}

/* An input gradient that goes through the activation before it, and nowhere else, becomes one op. */
static void fuse_slope(reini_plan_maker *p, rein_tensor *x) {
    rein_activation act = slope_of(x->op);
    rein_tensor *dx = x->n_in > 0 ? x->in[0] : NULL;
    if (act == REIN_ACT_IDENTITY || dx->op != REINI_DENSE_DX || dx->output || dx->k[2] != 1 || dx->k[7] ||
        !reini_same_shape(dx, x) || !reini_same_shape(x->in[1], x) || count_uses(p, dx) != 1)
        return;
    x->op = REINI_DENSE_DX_ACT;
    memcpy(x->k, dx->k, sizeof x->k);
    x->k[6] = (int32_t)act;
    x->in[2] = x->in[1];
    x->in[0] = dx->in[0];
    x->in[1] = dx->in[1];
    x->n_in = 3;
    p->live[dx->id] = 0;
}

/* where the tables have a kernel for it: those of bf16 products may not */
void reini_plan_fuse(reini_plan_maker *p) {
    const reini_kernels *dense = p->narrow != NULL ? p->narrow : p->best;
    for (int i = 0; dense->run[REINI_DENSE_DX_ACT] != NULL && i < p->program->n_nodes; i++)
        if (p->live[i])
            fuse_slope(p, &p->program->node[i]);
}

/* ---- packed weights -------------------------------------------------------------------------------------- */

static bool is_dense(const rein_tensor *x) {
    return x->op == REINI_DENSE || x->op == REINI_DENSE_DX || x->op == REINI_DENSE_DX_ACT;
}

/* The parameter that a bf16 product may read in packed form, or NULL; *turned when it reads its transpose. */
static rein_tensor *packable(const reini_plan_maker *p, const rein_tensor *x, bool *turned) {
    *turned = x->op != REINI_DENSE;
    if (!p->live[x->id] || !is_dense(x) || !reini_bf16_packs(x->k, *turned))
        return NULL;
    rein_tensor *weight = x->in[1];
    if (*turned)
        weight = weight->op == REINI_TRANSPOSE ? weight->in[0] : NULL;
    else if (p->program->extent[x->extent].capacity <= p->program->tile)
        return NULL; /* one tile reads it once */
    return weight != NULL && weight->op == REINI_PARAM ? weight : NULL;
}

/* The packed form of a weight, made when there is none yet. */
static rein_tensor *packed_form(reini_plan_maker *p, rein_tensor *weight, const int32_t *k, bool turned,
                                int branch) {
    rein_program *program = p->program;
    for (int i = p->g->n_nodes; i < program->n_nodes; i++) {
        rein_tensor *x = &program->node[i];
        if (x->in[0] == weight && x->k[0] == k[0] && x->k[1] == k[1] && x->k[6] == turned)
            return x;
    }
    rein_tensor *x = &program->node[program->n_nodes];
    *x = (rein_tensor){.id = program->n_nodes++,
                       .op = REINI_PACK,
                       .dtype = program->real,
                       .extent = REIN_STATIC,
                       .ndim = 1,
                       .n_in = 1,
                       .in = {weight},
                       .branch = branch,
                       .k = {k[0], k[1], 1, 0, 0, 0, turned}};
    x->width = turned ? reini_packed_width(k[1], k[0]) : reini_packed_width(k[0], k[1]);
    x->dims[0] = (int)x->width;
    p->live[x->id] = 1;
    return x;
}

void reini_plan_pack(reini_plan_maker *p) {
    rein_program *program = p->program;
    for (int i = 0; p->narrow != NULL && i < p->g->n_nodes; i++) {
        rein_tensor *x = &program->node[i], *old = x->in[1];
        bool turned = false;
        rein_tensor *weight = packable(p, x, &turned);
        if (weight == NULL)
            continue;
        x->in[1] = packed_form(p, weight, x->k, turned, x->branch);
        x->k[7] = REINI_PACKED;
        if (turned && !old->output && count_uses(p, old) == 0)
            p->live[old->id] = 0;
    }
}
