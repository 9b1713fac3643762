/*
 * text_loss.c - the graphs, compiled once; their rows live in the caller's reach and are bound in place.
 */
#include "algo/language/text_loss.h"
#include <math.h>
#include "rl/pg_loss.h"

double reini_kl_estimate(int kind, double logp, double ref) {
    double d = ref - logp;
    return kind == REINI_KL_K1 ? -d : exp(d) - d - 1;
}

static float *column(int64_t capacity, bool *whole) {
    float *at = REINI_NEW_ARRAY(float, (size_t)capacity);
    *whole = *whole && at;
    return at;
}

static rein_tensor *input(rein_graph *g, int rows, const char *name) {
    return rein_input(g, name, REIN_F32, rows, 1, (int[]){1});
}

/* ---- the policy -------------------------------------------------------------------------------------------- */

typedef struct leaves {
    rein_tensor *logp, *old, *ref, *adv, *weight;
} leaves;

static rein_tensor *k3(rein_tensor *logp, rein_tensor *ref) {
    rein_tensor *d = rein_sub(ref, logp);
    return rein_offset(rein_sub(rein_exp(d), d), -1);
}

static void declare(reini_text_loss *l, const leaves *in, reini_text_objective objective,
                    reini_text_price price) {
    reini_pg pg = reini_pg_clip(in->logp, in->old, in->adv, l->low, l->high);
    rein_tensor *gain = pg.gain;
    if (objective == REINI_TEXT_CISPO)
        gain = rein_mul(rein_mul(rein_stop_gradient(rein_min(pg.ratio, l->high)), in->adv), in->logp);
    rein_tensor *each = rein_neg(gain);
    if (price != REINI_TEXT_FREE) {
        rein_tensor *distance = k3(in->logp, in->ref);
        distance = price == REINI_TEXT_RATIO_K3 ? rein_mul(pg.ratio, distance) : distance;
        each = rein_add(each, rein_mul(l->beta, distance));
    }
    rein_tensor *loss = rein_total(rein_mul(in->weight, each));
    l->loss_out = rein_output(loss, "loss");
    l->ratio_out = rein_output(pg.ratio, "ratio");
    l->dlogp_out = rein_output(rein_gradient_of(loss, in->logp), "dlogp");
}

static void bind(reini_text_loss *l, const leaves *in) {
    rein_exec_bind(l->exec, in->logp, l->logp, 0);
    rein_exec_bind(l->exec, in->old, l->old, 0);
    rein_exec_bind(l->exec, in->adv, l->adv, 0);
    rein_exec_bind(l->exec, in->weight, l->weight, 0);
    if (in->ref)
        rein_exec_bind(l->exec, in->ref, l->ref, 0);
    rein_exec_bind(l->exec, l->dlogp_out, l->dlogp, 0);
    rein_exec_bind(l->exec, l->ratio_out, l->ratio, 0);
}

rein_status reini_text_loss_init(reini_text_loss *l, int64_t capacity, reini_text_objective objective,
                                 reini_text_price price) {
    bool whole = true;
    *l = (reini_text_loss){.g = rein_graph_new(REIN_F32)};
    float **columns[] = {&l->logp, &l->old, &l->ref, &l->adv, &l->weight, &l->dlogp, &l->ratio};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        *columns[i] = column(capacity, &whole);
    if (!l->g || !whole)
        return reini_fail_memory((size_t)capacity * 28, "a loss");
    l->rows = rein_extent(l->g, "tokens", capacity);
    l->low = rein_uniform(l->g, "low", 0.8);
    l->high = rein_uniform(l->g, "high", 1.2);
    l->beta = rein_uniform(l->g, "beta", 0);
    leaves in = {input(l->g, l->rows, "logp"), input(l->g, l->rows, "old"),
                 price != REINI_TEXT_FREE ? input(l->g, l->rows, "ref") : NULL, input(l->g, l->rows, "adv"),
                 input(l->g, l->rows, "weight")};
    declare(l, &in, objective, price);
    REINI_TRY(rein_compile(l->g, NULL, &l->program));
    REINI_TRY(rein_exec_new(l->program, NULL, &l->exec));
    bind(l, &in);
    return REIN_OK;
}

void reini_text_loss_release(reini_text_loss *l) {
    float *const columns[] = {l->logp, l->old, l->ref, l->adv, l->weight, l->dlogp, l->ratio};
    rein_exec_free(l->exec);
    rein_program_free(l->program);
    rein_graph_free(l->g);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        reini_free(columns[i]);
    *l = (reini_text_loss){0};
}

void reini_text_loss_range(reini_text_loss *l, double low, double high, double beta) {
    rein_exec_set(l->exec, l->low, low);
    rein_exec_set(l->exec, l->high, high);
    rein_exec_set(l->exec, l->beta, beta);
}

double reini_text_loss_run(reini_text_loss *l, int64_t n) {
    rein_exec_rows(l->exec, l->rows, n);
    rein_exec_run(l->exec);
    return rein_exec_scalar(l->exec, l->loss_out);
}

/* ---- the critic -------------------------------------------------------------------------------------------- */

static rein_tensor *value_loss(rein_graph *g, rein_tensor *value, rein_tensor *old, rein_tensor *ret,
                               double clip) {
    rein_tensor *square = rein_square(rein_sub(value, ret)), *limit = rein_constant(g, clip);
    if (!isfinite(clip))
        return rein_scale(square, 0.5);
    rein_tensor *near = rein_add(old, rein_clamp(rein_sub(value, old), rein_neg(limit), limit));
    return rein_scale(rein_max(square, rein_square(rein_sub(near, ret))), 0.5);
}

rein_status reini_text_value_loss_init(reini_text_value_loss *l, int64_t capacity, double clip) {
    bool whole = true;
    *l = (reini_text_value_loss){.g = rein_graph_new(REIN_F32)};
    float **columns[] = {&l->value, &l->old, &l->ret, &l->weight, &l->dvalue};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        *columns[i] = column(capacity, &whole);
    if (!l->g || !whole)
        return reini_fail_memory((size_t)capacity * 20, "a loss");
    l->rows = rein_extent(l->g, "tokens", capacity);
    rein_tensor *value = input(l->g, l->rows, "value"), *old = input(l->g, l->rows, "old"),
                *ret = input(l->g, l->rows, "ret"), *weight = input(l->g, l->rows, "weight");
    rein_tensor *loss = rein_total(rein_mul(weight, value_loss(l->g, value, old, ret, clip)));
    l->loss_out = rein_output(loss, "loss");
    l->dvalue_out = rein_output(rein_gradient_of(loss, value), "dvalue");
    REINI_TRY(rein_compile(l->g, NULL, &l->program));
    REINI_TRY(rein_exec_new(l->program, NULL, &l->exec));
    rein_exec_bind(l->exec, value, l->value, 0);
    rein_exec_bind(l->exec, ret, l->ret, 0);
    rein_exec_bind(l->exec, weight, l->weight, 0);
    rein_exec_bind(l->exec, old, l->old, 0);
    rein_exec_bind(l->exec, l->dvalue_out, l->dvalue, 0);
    return REIN_OK;
}

void reini_text_value_loss_release(reini_text_value_loss *l) {
    float *const columns[] = {l->value, l->old, l->ret, l->weight, l->dvalue};
    rein_exec_free(l->exec);
    rein_program_free(l->program);
    rein_graph_free(l->g);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        reini_free(columns[i]);
    *l = (reini_text_value_loss){0};
}

double reini_text_value_loss_run(reini_text_value_loss *l, int64_t n) {
    rein_exec_rows(l->exec, l->rows, n);
    rein_exec_run(l->exec);
    return rein_exec_scalar(l->exec, l->loss_out);
}
