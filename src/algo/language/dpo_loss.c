/*
 * dpo_loss.c - one small function for each loss.
 *
 *     sigmoid        Rafailov et al. 2023, arXiv 2305.18290            hinge       Zhao et al. 2023, 2305.10425
 *     ipo            Azar et al. 2023, 2310.12036                      exo_pair    Ji et al. 2024, 2402.00856
 *     nca_pair       Chen et al. 2024, 2402.05369                      robust      Chowdhury et al. 2024, 2403.00409
 *     bco_pair       Jung et al. 2024, 2404.04656                      sppo_hard   Wu et al. 2024, 2405.00675
 *     aot, aot_unpaired   Melnyk et al. 2024, 2406.05882               discopop    Lu et al. 2024, 2406.08414
 *     apo_zero, apo_down  D'Oosterlinck et al. 2024, 2408.06266        f-divergences   Wang et al. 2023, 2309.16240
 *
 * ipo and sigmoid_norm divide by the number of tokens, bco_pair has no running mean, nca_pair and the rest that are
 * stated in a and b do not pass through f: all as in TRL. Everything is in double.
 *
 * Sorting is done outside of the graph, on the numbers of the batch: pair i, whose log-ratio has rank k, is compared
 * with the one of rank k on the other side, which comes in as one more number. In aot that number is the reference's and
 * has no gradient; in aot_unpaired it is another pair's b, where its gradient is added afterwards.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "algo/language/dpo_loss.h"

struct reini_dpo_graph {
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    int rows;
    rein_tensor *share, *sft_share; /* 1 / pairs of the update; pairs' share of its chosen tokens */
    rein_tensor *policy[2], *reference[2], *tokens[2], *chosen, *weight, *partner[2];
    rein_tensor *loss, *d_policy[2], *d_chosen, *d_partner;
    double *data[13], *partner_data[2]; /* of the inputs */
    int32_t *order, *other;             /* pairs by their rank, on both sides */
    double *key;
};

/* ---- the losses ------------------------------------------------------------------------------------------ */

typedef struct pairs {
    const reini_dpo_opts *o;
    const reini_dpo_graph *in;
    rein_tensor *a, *b; /* log-ratios */
    rein_tensor *A, *B; /* scores */
    rein_tensor *x;     /* beta D */
} pairs;

static rein_tensor *log_sigmoid(rein_tensor *x) {
    return rein_neg(rein_softplus(rein_neg(x)));
}

static rein_tensor *one_minus(rein_tensor *x) {
    return rein_offset(rein_neg(x), 1);
}

static rein_tensor *beta_times(const pairs *p, rein_tensor *x) {
    return rein_scale(x, p->o->beta);
}

static rein_tensor *per_token(const pairs *p) {
    return rein_sub(rein_div(p->A, p->in->tokens[0]), rein_div(p->B, p->in->tokens[1]));
}

/* -(1 - eps) ls(beta d) - eps ls(-beta d) */
static rein_tensor *smooth(const pairs *p, rein_tensor *d) {
    double eps = p->o->label_smoothing;
    rein_tensor *x = beta_times(p, d);
    return rein_add(rein_scale(log_sigmoid(x), eps - 1), rein_scale(log_sigmoid(rein_neg(x)), -eps));
}

static rein_tensor *loss_sigmoid(const pairs *p) {
    return rein_neg(log_sigmoid(p->x));
}

static rein_tensor *loss_hinge(const pairs *p) {
    return rein_relu(one_minus(p->x));
}

static rein_tensor *loss_ipo(const pairs *p) {
    return rein_square(rein_offset(per_token(p), -0.5 / p->o->beta));
}

static rein_tensor *loss_exo_pair(const pairs *p) {
    double eps = p->o->label_smoothing;
    rein_tensor *q = rein_sigmoid(p->x), *not_q = rein_sigmoid(rein_neg(p->x));
    return rein_add(rein_mul(q, rein_offset(log_sigmoid(p->x), -log1p(-eps))),
                    rein_mul(not_q, rein_offset(log_sigmoid(rein_neg(p->x)), -log(eps))));
}

static rein_tensor *loss_nca_pair(const pairs *p) {
    rein_tensor *chosen = beta_times(p, p->a), *rejected = beta_times(p, p->b);
    rein_tensor *both = rein_add(log_sigmoid(rein_neg(chosen)), log_sigmoid(rein_neg(rejected)));
    return rein_sub(rein_scale(both, -0.5), log_sigmoid(chosen));
}

static rein_tensor *loss_robust(const pairs *p) {
    double eps = p->o->label_smoothing;
    rein_tensor *clean = rein_scale(log_sigmoid(p->x), -(1 - eps));
    return rein_scale(rein_add(clean, rein_scale(log_sigmoid(rein_neg(p->x)), eps)), 1 / (1 - 2 * eps));
}

static rein_tensor *loss_bco_pair(const pairs *p) {
    return rein_neg(rein_add(log_sigmoid(beta_times(p, p->a)), log_sigmoid(rein_neg(beta_times(p, p->b)))));
}

static rein_tensor *loss_sppo_hard(const pairs *p) {
    double half = 0.5 / p->o->beta;
    return rein_add(rein_square(rein_offset(p->a, -half)), rein_square(rein_offset(p->b, half)));
}

static rein_tensor *loss_aot(const pairs *p) {
    return smooth(p, rein_sub(rein_sub(p->in->policy[0], p->in->policy[1]), p->in->partner[0]));
}

static rein_tensor *loss_aot_unpaired(const pairs *p) {
    return smooth(p, rein_sub(p->a, p->in->partner[1]));
}

static rein_tensor *loss_apo_zero(const pairs *p) {
    return rein_add(one_minus(rein_sigmoid(beta_times(p, p->a))), rein_sigmoid(beta_times(p, p->b)));
}

static rein_tensor *loss_apo_down(const pairs *p) {
    return rein_add(rein_sigmoid(beta_times(p, p->a)),
                    one_minus(rein_sigmoid(beta_times(p, rein_sub(p->a, p->b)))));
}

static rein_tensor *loss_discopop(const pairs *p) {
    rein_tensor *g = rein_sigmoid(rein_scale(p->x, 1 / p->o->discopop_tau));
    return rein_sub(rein_mul(g, rein_exp(rein_neg(p->x))), rein_mul(one_minus(g), log_sigmoid(p->x)));
}

/* sft_share makes of the mean over pairs one over tokens */
static rein_tensor *loss_sft(const pairs *p) {
    return rein_neg(rein_mul(p->in->chosen, p->in->sft_share));
}

static rein_tensor *loss_sigmoid_norm(const pairs *p) {
    return rein_neg(log_sigmoid(beta_times(p, per_token(p))));
}

static const struct {
    const char *name;
    rein_tensor *(*of)(const pairs *p);
} losses[REINI_DPO_TYPES] = {
#define X(id, name) {#name, loss_##name},
    REINI_DPO_LOSSES(X)
#undef X
};

/* f'(t) at t = e^r */
static rein_tensor *score(const reini_dpo_opts *o, rein_tensor *r) {
    double k = o->f_alpha - 1;
    rein_graph *g = rein_tensor_graph(r);
    if (o->f_divergence == REINI_F_FORWARD_KL) /* 1 - 1/t */
        return one_minus(rein_exp(rein_neg(r)));
    if (o->f_divergence == REINI_F_JS) /* log(2 t / (1 + t)) */
        return rein_offset(log_sigmoid(r), log(2.0));
    if (o->f_divergence == REINI_F_ALPHA && fabs(k) >= 1e-6) /* (t^(alpha - 1) - 1) / (alpha - 1) */
        return rein_scale(rein_offset(rein_exp(rein_min(rein_scale(r, k), rein_constant(g, 80))), -1), 1 / k);
    return r; /* log t */
}

static rein_tensor *weighted_sum(const reini_dpo_opts *o, const reini_dpo_graph *in) {
    pairs p = {.o = o, .in = in};
    rein_tensor *sum = NULL;
    p.a = rein_sub(in->policy[0], in->reference[0]);
    p.b = rein_sub(in->policy[1], in->reference[1]);
    p.A = score(o, p.a);
    p.B = score(o, p.b);
    p.x = rein_scale(rein_sub(p.A, p.B), o->beta);
    for (int i = 0; i < o->n_types; i++) {
        rein_tensor *term = rein_scale(losses[o->type[i]].of(&p), o->weight[i]);
        sum = sum ? rein_add(sum, term) : term;
    }
    return rein_mul(sum, in->weight);
}

/* ---- types ----------------------------------------------------------------------------------------------- */

bool reini_dpo_has(const reini_dpo_opts *o, reini_dpo_type type) {
    for (int i = 0; i < o->n_types; i++)
        if (o->type[i] == type)
            return true;
    return false;
}

static rein_status type_named(const char *text, size_t length, reini_dpo_type *type) {
    const char *names[REINI_DPO_TYPES];
    char given[64];
    for (int i = 0; i < REINI_DPO_TYPES; i++) {
        names[i] = losses[i].name;
        *type = (reini_dpo_type)i;
        if (strlen(names[i]) == length && strncmp(names[i], text, length) == 0)
            return REIN_OK;
    }
    length = length < sizeof given - 1 ? length : sizeof given - 1;
    memcpy(given, text, length);
    given[length] = 0;
    const char *nearest = reini_nearest(given, names, REINI_DPO_TYPES);
    return reini_fail(REIN_USAGE, "loss_type: no loss \"%s\"%s%s%s", given,
                      nearest ? " (did you mean \"" : "", nearest ? nearest : "; see `rein help dpo`",
                      nearest ? "\"?)" : "");
}

rein_status reini_dpo_types(const char *types, const char *weights, reini_dpo_opts *o) {
    int n = 0;
    o->n_types = 0;
    for (const char *at = types; *at;) {
        size_t length = strcspn(at, ",");
        reini_dpo_type type;
        REINI_TRY(type_named(at, length, &type));
        if (reini_dpo_has(o, type))
            return reini_fail(REIN_USAGE, "loss_type: \"%s\" is named twice", losses[type].name);
        o->weight[o->n_types] = 1;
        o->type[o->n_types++] = type;
        at += length + (at[length] == ',');
    }
    if (o->n_types == 0)
        return reini_fail(REIN_USAGE, "loss_type is empty, expected a loss, or several with commas between");
    if (strcmp(weights, "none") == 0)
        return REIN_OK;
    for (const char *at = weights; *at; n++) {
        char *end;
        double weight = strtod(at, &end);
        if (end == at || (*end && *end != ',') || !isfinite(weight) || n >= o->n_types)
            break;
        o->weight[n] = weight;
        at = end + (*end == ',');
        if (!*at && n + 1 == o->n_types)
            return REIN_OK;
    }
    return reini_fail(REIN_USAGE,
                      "loss_weights: expected %d number%s with commas between, one a loss_type, found \"%s\"",
                      o->n_types, o->n_types == 1 ? "" : "s", weights);
}

/* ---- building -------------------------------------------------------------------------------------------- */

enum { POLICY, REFERENCE = 2, TOKENS = 4, CHOSEN = 6, WEIGHT, PARTNER, N_INPUTS = 10 };

static rein_tensor *input(reini_dpo_graph *d, const char *name) {
    return rein_input(d->g, name, REIN_F32, d->rows, 1, (int[]){1});
}

static void declare(reini_dpo_graph *d, const reini_dpo_opts *o, int64_t pairs_room) {
    static const char *const names[2][4] = {
        {"chosen", "ref_chosen", "chosen_tokens", "partner_ratio"},
        {"rejected", "ref_rejected", "rejected_tokens", "partner_rejected"}};
    d->rows = rein_extent(d->g, "pairs", pairs_room);
    for (int k = 0; k < 2; k++) {
        d->policy[k] = input(d, names[k][0]);
        d->reference[k] = input(d, names[k][1]);
        d->tokens[k] = input(d, names[k][2]);
        d->partner[k] = input(d, names[k][3]);
    }
    d->chosen = input(d, "chosen_whole");
    d->weight = input(d, "weight");
    d->share = rein_uniform(d->g, "share", 1);
    d->sft_share = rein_uniform(d->g, "sft_share", 1);
    rein_tensor *loss = rein_mul(rein_total(weighted_sum(o, d)), d->share);
    d->loss = rein_output(loss, "loss");
    d->d_policy[0] = rein_output(rein_gradient_of(loss, d->policy[0]), "d_chosen");
    d->d_policy[1] = rein_output(rein_gradient_of(loss, d->policy[1]), "d_rejected");
    d->d_chosen = rein_output(rein_gradient_of(loss, d->chosen), "d_chosen_whole");
    d->d_partner = rein_output(rein_gradient_of(loss, d->partner[1]), "d_partner");
}

/* memory of a run, and the graph's inputs in it */
static rein_status make_data(reini_dpo_loss *l, int64_t n) {
    reini_dpo_graph *d = l->graph;
    rein_tensor *inputs[N_INPUTS] = {d->policy[0],  d->policy[1], d->reference[0], d->reference[1],
                                     d->tokens[0],  d->tokens[1], d->chosen,       d->weight,
                                     d->partner[0], d->partner[1]};
    for (int i = 0; i < 13; i++)
        if (!(d->data[i] = REINI_NEW_ARRAY(double, (size_t)n)))
            return reini_fail_memory((size_t)n * sizeof(double), "a loss over pairs");
    for (int i = 0; i < N_INPUTS; i++)
        rein_exec_bind(d->exec, inputs[i], d->data[i], 0);
    for (int k = 0; k < 2; k++) {
        l->policy[k] = d->data[POLICY + k];
        l->reference[k] = d->data[REFERENCE + k];
        l->tokens[k] = d->data[TOKENS + k];
        d->partner_data[k] = d->data[PARTNER + k];
        l->d_policy[k] = d->data[N_INPUTS + k];
    }
    l->chosen = d->data[CHOSEN];
    l->weight = d->data[WEIGHT];
    l->d_chosen = d->data[N_INPUTS + 2];
    d->order = REINI_NEW_ARRAY(int32_t, (size_t)n);
    d->other = REINI_NEW_ARRAY(int32_t, (size_t)n);
    d->key = REINI_NEW_ARRAY(double, (size_t)n);
    return d->order && d->other && d->key ? REIN_OK : reini_fail_memory((size_t)n * 16, "a loss over pairs");
}

static rein_status build(reini_dpo_loss *l, int64_t n) {
    reini_dpo_graph *d = l->graph = REINI_NEW(reini_dpo_graph);
    if (!d || !(d->g = rein_graph_new(REIN_F64)))
        return reini_fail_memory(sizeof *d, "a loss over pairs");
    declare(d, &l->opts, n);
    REINI_TRY(rein_compile(d->g, NULL, &d->program));
    REINI_TRY(rein_exec_new(d->program, NULL, &d->exec));
    return make_data(l, n);
}

rein_status reini_dpo_loss_new(const reini_dpo_opts *opts, int64_t n, reini_dpo_loss **out) {
    *out = NULL;
    reini_dpo_loss *l = REINI_NEW(reini_dpo_loss);
    if (!l)
        return reini_fail_memory(sizeof *l, "a loss over pairs");
    l->opts = *opts;
    rein_status status = build(l, n);
    if (status != REIN_OK) {
        reini_dpo_loss_free(l);
        return status;
    }
    *out = l;
    return REIN_OK;
}

void reini_dpo_loss_free(reini_dpo_loss *l) {
    if (!l)
        return;
    reini_dpo_graph *d = l->graph;
    if (d) {
        rein_exec_free(d->exec);
        rein_program_free(d->program);
        rein_graph_free(d->g);
        for (int i = 0; i < 13; i++)
            reini_free(d->data[i]);
        reini_free(d->order);
        reini_free(d->other);
        reini_free(d->key);
        reini_free(d);
    }
    reini_free(l);
}

/* ---- running --------------------------------------------------------------------------------------------- */

/* pairs in the order of their keys, the first of equal ones first; insertion: batches are small */
static void sort(const double *key, int64_t n, int32_t *order) {
    for (int64_t i = 0; i < n; i++) {
        int64_t k = i;
        for (; k > 0 && key[order[k - 1]] > key[i]; k--)
            order[k] = order[k - 1];
        order[k] = (int32_t)i;
    }
}

/* pair order[k] of the one side meets pair other[k] of the other */
static void match(reini_dpo_loss *l, int64_t n, bool unpaired) {
    reini_dpo_graph *d = l->graph;
    const double *const *P = (const double *const *)l->policy, *const *R =
                                                                   (const double *const *)l->reference;
    for (int64_t i = 0; i < n; i++)
        d->key[i] = unpaired ? P[0][i] - R[0][i] : P[0][i] - P[1][i];
    sort(d->key, n, d->order);
    for (int64_t i = 0; i < n; i++)
        d->key[i] = unpaired ? P[1][i] - R[1][i] : R[0][i] - R[1][i];
    sort(d->key, n, d->other);
    for (int64_t k = 0; k < n; k++)
        d->partner_data[unpaired][d->order[k]] = d->key[d->other[k]];
}

void reini_dpo_loss_run(reini_dpo_loss *l, int64_t n, double all_pairs, double all_tokens) {
    reini_dpo_graph *d = l->graph;
    bool unpaired = reini_dpo_has(&l->opts, REINI_DPO_AOT_UNPAIRED);
    if (reini_dpo_has(&l->opts, REINI_DPO_AOT))
        match(l, n, false);
    if (unpaired)
        match(l, n, true);
    rein_exec_rows(d->exec, d->rows, n);
    rein_exec_set(d->exec, d->share, 1 / all_pairs);
    rein_exec_set(d->exec, d->sft_share, all_tokens > 0 ? all_pairs / all_tokens : 0);
    rein_exec_run(d->exec);
    l->loss = rein_exec_scalar(d->exec, d->loss);
    for (int k = 0; k < 2; k++)
        memcpy(l->d_policy[k], rein_exec_data(d->exec, d->d_policy[k]), (size_t)n * sizeof(double));
    memcpy(l->d_chosen, rein_exec_data(d->exec, d->d_chosen), (size_t)n * sizeof(double));
    const double *d_partner = rein_exec_data(d->exec, d->d_partner);
    for (int64_t k = 0; unpaired && k < n; k++)
        l->d_policy[1][d->other[k]] += d_partner[d->order[k]];
}
