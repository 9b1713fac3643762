/*
 * gradient.c - derivatives as more graph: reverse mode (rein_gradient) and forward mode (rein_tangent).
 *
 * Reverse mode walks the nodes from the loss backwards and adds up, for every node that the wanted leaves reach,
 * the gradients its users send. A gradient may be smaller than the tensor it belongs to (static, or of width 1),
 * which stands for repetition; it is expanded where an op needs it whole, so that the 1/n of a mean stays one
 * number.
 */
#include <string.h>
#include "tensor/graph.h"

static const reini_rule *rule_of(reini_op op) {
    static const reini_rule *const tables[] = {reini_rules_map, reini_rules_dense, reini_rules_image,
                                               reini_rules_row, reini_rules_rows,  reini_rules_gru};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const reini_rule *rule = tables[i]; rule->op != REINI_OP_COUNT; rule++)
            if (rule->op == op)
                return rule;
    return NULL;
}

/* Marks the nodes that depend on a marked leaf; stopped gradients end the chain. reached has one byte a node. */
static void spread(const rein_graph *g, char *reached, int last) {
    for (int i = 0; i <= last; i++) {
        const rein_tensor *x = g->node[i];
        if (x->op == REINI_ALIAS && x->k[0] == 1)
            continue;
        for (int j = 0; j < x->n_in; j++)
            if (reached[x->in[j]->id])
                reached[i] = 1;
    }
}

/* Brings dx, the gradient of one use of x inside y, to x's shape by summing over what was repeated. */
static rein_tensor *fit(rein_tensor *dx, const rein_tensor *x, const rein_tensor *y) {
    bool rows_repeated = x->extent == REIN_STATIC && y->extent != REIN_STATIC;
    bool width_repeated = x->width == 1 && y->width > 1;
    if (rows_repeated || width_repeated)
        dx = reini_expand(dx, y);
    if (width_repeated)
        dx = dx->extent == REIN_STATIC ? rein_total(dx) : rein_sum(dx);
    return rows_repeated ? rein_sum_rows(dx) : dx;
}

static bool is_map(reini_op op) {
    return op < REINI_OP_COUNT && reini_op_kind(op) == 'M';
}

/* The sum of two gradients of one tensor belongs to their branch, to none when they come from two. */
static rein_tensor *add_gradient(rein_tensor *sum, rein_tensor *dx) {
    if (sum == NULL)
        return dx;
    int former = rein_branch(dx->g, sum->branch == dx->branch ? dx->branch : 0);
    sum = rein_add(sum, dx);
    rein_branch(dx->g, former);
    return sum;
}

static void send_back(rein_tensor *y, rein_tensor **adjoint, const char *reached) {
    rein_tensor *dy = adjoint[y->id];
    const reini_rule *rule = y->op == REINI_ALIAS ? NULL : rule_of(y->op);
    for (int i = 0; i < y->n_in; i++) {
        const rein_tensor *x = y->in[i];
        if (!reached[x->id])
            continue;
        rein_tensor *dx = NULL;
        if (y->op == REINI_ALIAS)
            dx = dy;
        else if (rule != NULL && rule->backward != NULL)
            dx = rule->backward(y, dy, i);
        if (dx == NULL)
            continue;
        if (is_map(y->op))
            dx = fit(dx, x, y);
        adjoint[x->id] = add_gradient(adjoint[x->id], dx);
    }
}

/* Runs reverse mode; adjoint has one slot for each node that existed before the call. */
static void backward(rein_tensor *loss, rein_tensor **adjoint, const char *reached) {
    rein_graph *g = loss->g;
    adjoint[loss->id] = rein_constant(g, 1);
    int former = g->branch;
    for (int i = loss->id; i >= 0; i--) {
        g->branch = g->node[i]->branch;
        if (adjoint[i] != NULL && reached[i] && g->node[i]->n_in > 0)
            send_back(g->node[i], adjoint, reached);
    }
    g->branch = former;
}

/* A node of its own with x's full shape, so that it can be written straight into a gradient store. */
static rein_tensor *own_node(rein_tensor *dx, const rein_tensor *x, bool shared) {
    rein_graph *g = x->g;
    if (dx == NULL)
        dx = rein_constant(g, 0);
    bool computed = dx->op < REINI_OP_COUNT && !dx->output && !shared;
    if (computed && reini_same_shape(dx, x))
        return dx;
    g->fresh = true;
    rein_tensor *copy = reini_node(g, REINI_EXPAND, x->dtype, reini_shape_of(x), 1, &dx, NULL, NULL);
    g->fresh = false;
    return copy;
}

static bool is_target(const rein_graph *g, const reini_gradient_set *current, const rein_tensor *x) {
    for (int s = 0; s < g->n_gradients; s++)
        for (int i = 0; i < g->gradient[s].count; i++)
            if (g->gradient[s].target[i] == x)
                return true;
    for (int i = 0; i < current->count; i++)
        if (current->target[i] == x)
            return true;
    return false;
}

typedef struct work {
    rein_tensor **adjoint; /* per node: its gradient or tangent */
    char *reached;         /* per node: depends on a wanted leaf */
} work;

static bool work_begin(rein_graph *g, work *w) {
    w->adjoint = REINI_NEW_ARRAY(rein_tensor *, (size_t)g->n_nodes + 1);
    w->reached = REINI_NEW_ARRAY(char, (size_t)g->n_nodes + 1);
    if (w->adjoint != NULL && w->reached != NULL)
        return true;
    reini_no_memory(g);
    return false;
}

static void work_end(work *w) {
    reini_free(w->adjoint);
    reini_free(w->reached);
}

/* Parameters of the slot in the groups, in the layout's order. */
static int wanted_parameters(const rein_graph *g, int slot, const char *groups, rein_tensor **out) {
    int count = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        rein_tensor *x = g->node[i];
        if (x->op == REINI_PARAM && x->slot == slot &&
            reini_param_in_groups(&g->slot[slot]->param[x->param], groups))
            out[count++] = x;
    }
    return count;
}

static bool loss_is_scalar(rein_tensor *loss) {
    if (loss->extent == REIN_STATIC && loss->width == 1 && reini_is_real(loss))
        return true;
    reini_mistake(loss->g, "gradient: the loss must be a static scalar (see rein_mean), found %s",
                  reini_shape_text(loss));
    return false;
}

int rein_gradient(rein_tensor *loss, int slot, const char *groups) {
    rein_graph *g = loss->g;
    if (g->status != REIN_OK || !loss_is_scalar(loss))
        return 0;
    if (g->n_gradients == REINI_GRADIENTS || slot < 0 || slot >= g->n_slots) {
        reini_mistake(g, "gradient: no slot %d, or more than %d gradients in one graph", slot,
                      REINI_GRADIENTS);
        return 0;
    }
    reini_gradient_set set = {.slot = slot};
    set.target = REINI_NEW_ARRAY(rein_tensor *, (size_t)g->n_nodes + 1);
    set.param = REINI_NEW_ARRAY(int, (size_t)g->n_nodes + 1);
    work w = {0};
    if (set.target == NULL || set.param == NULL || !work_begin(g, &w)) {
        reini_no_memory(g);
        reini_free(set.target);
        reini_free(set.param);
        work_end(&w);
        return 0;
    }
    int wanted = wanted_parameters(g, slot, groups, set.target);
    if (wanted == 0)
        reini_mistake(g, "gradient: no parameter of the graph is in the groups \"%s\"",
                      groups ? groups : "all");
    for (int i = 0; i < wanted; i++)
        w.reached[set.target[i]->id] = 1;
    spread(g, w.reached, loss->id);
    backward(loss, w.adjoint, w.reached);
    for (int i = 0; i < wanted; i++) {
        const rein_tensor *x = set.target[i];
        rein_tensor *dx = w.adjoint[x->id];
        set.param[i] = x->param;
        set.target[i] = own_node(dx, x, dx != NULL && is_target(g, &set, dx));
        set.count = i + 1;
    }
    work_end(&w);
    g->gradient[g->n_gradients] = set;
    return g->n_gradients++;
}

rein_tensor *rein_gradient_of(rein_tensor *loss, rein_tensor *wrt) {
    rein_graph *g = loss->g;
    work w = {0};
    if (g->status != REIN_OK || !loss_is_scalar(loss) || !work_begin(g, &w)) {
        work_end(&w);
        return reini_mistake(g, "gradient: the graph has a mistake");
    }
    int id = wrt->id;
    w.reached[id] = 1;
    spread(g, w.reached, loss->id);
    backward(loss, w.adjoint, w.reached);
    rein_tensor *dx = w.adjoint[id];
    work_end(&w);
    return reini_expand(dx != NULL ? dx : rein_constant(g, 0), wrt);
}

/* ---- forward mode -------------------------------------------------------------------------------------- */

static rein_tensor *push_forward(rein_tensor *y, rein_tensor *const *tangent) {
    rein_tensor *t[REINI_OPERANDS] = {0};
    bool any = false;
    for (int i = 0; i < y->n_in; i++) {
        t[i] = tangent[y->in[i]->id];
        any = any || t[i] != NULL;
    }
    if (!any)
        return NULL;
    if (y->op == REINI_ALIAS)
        return y->k[0] == 1 ? NULL : t[0];
    const reini_rule *rule = rule_of(y->op);
    if (rule == NULL)
        return NULL;
    if (rule->forward != NULL)
        return rule->forward(y, t);
    if (!is_map(y->op))
        return reini_mistake(y->g, "tangent: %s has no forward rule", reini_op_name(y->op));
    /* elementwise: the Jacobian is diagonal, so the backward rule is the forward rule */
    rein_tensor *sum = NULL;
    for (int i = 0; i < y->n_in; i++) {
        rein_tensor *part = t[i] != NULL && rule->backward != NULL ? rule->backward(y, t[i], i) : NULL;
        if (part != NULL)
            sum = sum != NULL ? rein_add(sum, part) : part;
    }
    return sum;
}

rein_tensor *rein_tangent(rein_tensor *y, int slot, int direction_slot) {
    rein_graph *g = y->g;
    work w = {0};
    if (g->status != REIN_OK || !work_begin(g, &w)) {
        work_end(&w);
        return reini_mistake(g, "tangent: the graph has a mistake");
    }
    int last = y->id;
    for (int i = 0; i <= last && g->status == REIN_OK; i++) {
        rein_tensor *x = g->node[i];
        if (x->op == REINI_PARAM && x->slot == slot) {
            const reini_param *param = &g->slot[slot]->param[x->param];
            w.adjoint[i] = rein_param(g, direction_slot, param->name, param->ndim, param->dims, param->init);
        } else if (x->n_in > 0) {
            w.adjoint[i] = push_forward(x, w.adjoint);
        }
    }
    rein_tensor *result = w.adjoint[last];
    work_end(&w);
    return reini_expand(result != NULL ? result : rein_constant(g, 0), y);
}
