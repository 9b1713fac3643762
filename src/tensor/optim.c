/*
 * optim.c - optimizers over stores, on the vector loops of kernels.h.
 *
 * The trained parameters are kept as ranges of the store; a step is one pass for the gradient's norm and one
 * for the update, which the workers of a pool share. Formulas are PyTorch's (tests/golden/optim_torch.json):
 *     Adam     p -= lr m^ / (sqrt(v^) + eps), m^ = m / (1 - beta1^t), v^ = v / (1 - beta2^t)
 *     AdamW    p -= lr decay p first
 *     SGD      g += decay p; buffer = momentum buffer + g; p -= lr (nesterov ? g + momentum buffer : buffer)
 *     RMSprop  v = alpha v + (1 - alpha) g^2; p -= lr g / (sqrt(v) + eps)
 *     clip     g *= max_norm / (|g| + 1e-6) where that is below 1
 */
#include <rein/optim.h>
#include <math.h>
#include <string.h>
#include "base/base.h"
#include "base/huge_pages.h"
#include "tensor/graph.h"
#include "tensor/kernels.h"
#include "tensor/optim_state.h"

/* Workers share a step in pieces of a fixed size, so that the order of sums does not depend on how many there are; none
 * crosses the border of two blocks. */
enum { PIECE = 16384, LARGE = 1 << 19 /* floats, from where on large pages pay */ };

typedef struct range {
    int64_t offset, count; /* elements of the store */
    bool decays;
} range;

typedef struct optim_state {
    uint64_t kind;
    uint64_t steps;
    uint64_t elements;     /* floats that follow: `slots` arrays of the store's size */
    double power1, power2; /* beta1^steps, beta2^steps */
} optim_state;

struct rein_optim {
    rein_optim_config config;
    rein_layout *layout;
    rein_pool *pool;
    const reini_vector_ops *ops;
    optim_state state;
    float *moments;  /* (slots x size): Adam m then v; SGD its buffer; RMSprop v */
    double *squares; /* of the pieces of a step */
    int64_t size;
    int blocks;
    int n_ranges;
    range ranges[]; /* trained parameters, neighbours joined */
};

rein_optim_config rein_optim_config_default(void) {
    return (rein_optim_config){
        .kind = REIN_OPTIM_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .alpha = 0.99};
}

static rein_status check_config(const rein_optim_config *config) {
    static const struct {
        const char *name;
        size_t offset;
        double low, high;
    } limits[] = {
        {"beta1", offsetof(rein_optim_config, beta1), 0, 1 - 1e-9},
        {"beta2", offsetof(rein_optim_config, beta2), 0, 1 - 1e-9},
        {"eps", offsetof(rein_optim_config, eps), 0, 1},
        {"weight_decay", offsetof(rein_optim_config, weight_decay), 0, 1e6},
        {"momentum", offsetof(rein_optim_config, momentum), 0, 1},
        {"alpha", offsetof(rein_optim_config, alpha), 0, 1},
        {"max_grad_norm", offsetof(rein_optim_config, max_grad_norm), 0, INFINITY},
    };
    if (config->kind < REIN_OPTIM_ADAM || config->kind > REIN_OPTIM_RMSPROP)
        return reini_fail(REIN_USAGE, "optimizer kind %d is not one of rein_optim_kind", config->kind);
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        double value;
        memcpy(&value, (const char *)config + limits[i].offset, sizeof(value));
        if (!(value >= limits[i].low && value <= limits[i].high))
            return reini_fail(REIN_USAGE, "optimizer %s must be in [%g, %g], not %g", limits[i].name,
                              limits[i].low, limits[i].high, value);
    }
    return REIN_OK;
}

/* Every name of the list must be a group of the layout. */
static rein_status check_groups(const rein_layout *layout, const char *groups) {
    for (const char *at = groups; at && *at; at += *at == ',') {
        int length = (int)strcspn(at, ","), found = 0;
        for (int i = 0; i < layout->count; i++)
            found |= layout->param[i].group_length == length &&
                     strncmp(layout->param[i].name, at, (size_t)length) == 0;
        if (!found)
            return reini_fail(REIN_USAGE, "optimizer group %.*s: no parameter of the layout is in it", length,
                              at);
        at += length;
    }
    return REIN_OK;
}

static int pieces_of_block(const rein_optim *optim) {
    return (int)((optim->size / optim->blocks + PIECE - 1) / PIECE);
}

static int pieces_of(const rein_optim *optim) {
    return optim->blocks * pieces_of_block(optim);
}

static int moment_slots(int kind) {
    return kind == REIN_OPTIM_ADAM || kind == REIN_OPTIM_ADAMW ? 2 : 1;
}

/* With eps > 0 the padding between parameters, all zeros, stays zero and may be stepped over. */
static void find_ranges(rein_optim *optim, const char *groups) {
    const rein_layout *layout = optim->layout;
    bool was_trained = false;
    for (int i = 0; i < layout->count; i++) {
        const reini_param *param = &layout->param[i];
        bool trained = reini_param_in_groups(param, groups);
        bool decays = !optim->config.decay_matrices || param->ndim > 1;
        range *last = &optim->ranges[optim->n_ranges - was_trained];
        if (trained && was_trained && optim->config.eps > 0 && last->decays == decays)
            last->count = param->offset + param->count - last->offset;
        else if (trained)
            optim->ranges[optim->n_ranges++] = (range){param->offset, param->count, decays};
        was_trained = trained;
    }
}

rein_status rein_optim_new(const rein_optim_config *config, rein_layout *layout, rein_optim **out) {
    REINI_TRY(check_config(config));
    REINI_TRY(check_groups(layout, config->groups));
    size_t bytes = sizeof(rein_optim) + (size_t)layout->count * sizeof(range);
    rein_optim *optim = reini_new(bytes);
    if (!optim)
        return reini_fail_memory(bytes, "an optimizer");
    optim->config = *config;
    optim->config.groups = NULL; /* the ranges stand for it */
    optim->layout = reini_layout_hold(layout);
    layout->sealed = true;
    optim->ops = reini_vector_ops_best();
    optim->size = layout->size;
    optim->state = (optim_state){.kind = (uint64_t)config->kind, .power1 = 1, .power2 = 1};
    optim->state.elements = (uint64_t)(moment_slots(config->kind) * layout->size);
    optim->moments = REINI_NEW_ARRAY(float, optim->state.elements);
    optim->blocks = 1;
    optim->squares = REINI_NEW_ARRAY(double, (size_t)(optim->size / PIECE + 1 + REINI_OPTIM_BLOCKS));
    find_ranges(optim, config->groups);
    if (!optim->moments || !optim->squares) {
        size_t wanted = optim->state.elements * sizeof(float);
        rein_optim_free(optim);
        return reini_fail_memory(wanted, "optimizer moments");
    }
    if (optim->state.elements >= LARGE)
        reini_huge_pages(optim->moments, optim->state.elements * sizeof(float));
    *out = optim;
    return REIN_OK;
}

void rein_optim_free(rein_optim *optim) {
    if (!optim)
        return;
    rein_layout_free(optim->layout);
    reini_free(optim->moments);
    reini_free(optim->squares);
    reini_free(optim);
}

void rein_optim_share(rein_optim *optim, rein_pool *pool) {
    optim->pool = pool;
}

void reini_optim_cut(rein_optim *optim, int blocks) {
    REINI_ASSERT(blocks >= 1 && blocks <= REINI_OPTIM_BLOCKS);
    optim->blocks = optim->size % blocks == 0 ? blocks : 1;
}

/* ---- the step ------------------------------------------------------------------------------------------ */

typedef struct step {
    const rein_optim *optim;
    float *param;
    const float *grad;
    double rate, scale;
    double *squares; /* per piece: the sum of its gradients' squares */
} step;

/* What a piece has of a range; count <= 0: nothing. */
static range part_of(const rein_optim *optim, range whole, int piece) {
    int64_t block = piece / pieces_of_block(optim), size = optim->size / optim->blocks;
    int64_t begin = block * size + piece % pieces_of_block(optim) * PIECE, last = whole.offset + whole.count;
    int64_t end = begin + PIECE < (block + 1) * size ? begin + PIECE : (block + 1) * size;
    begin = whole.offset > begin ? whole.offset : begin;
    return (range){begin, (last < end ? last : end) - begin, whole.decays};
}

static void square_piece(void *user, int piece, int worker) {
    const step *s = user;
    double sum = 0;
    (void)worker;
    for (int i = 0; i < s->optim->n_ranges; i++) {
        range r = part_of(s->optim, s->optim->ranges[i], piece);
        if (r.count > 0)
            sum += s->optim->ops->sum_squares(s->grad + r.offset, r.count);
    }
    s->squares[piece] = sum;
}

static double gradient_norm(const rein_optim *optim, step *s) {
    double sum = 0;
    rein_pool_run(optim->pool, pieces_of(optim), square_piece, s);
    for (int piece = 0; piece < pieces_of(optim); piece++)
        sum += s->squares[piece];
    return sqrt(sum);
}

/* A beta as the kernels have it, so that m and v are unbiased to rounding. The float goes through memory: from two such
 * products side by side GCC 12 at -O2 and above makes one of vectors and forgets the rounding, and 1 - 0.999^t beside
 * 1 - 0.999f in the kernels makes every step 6e-6 too long. */
static double rounded(double beta) {
    volatile float kept = (float)beta;
    return (double)kept;
}

static void advance(rein_optim *optim) {
    optim->state.steps++;
    optim->state.power1 *= rounded(optim->config.beta1);
    optim->state.power2 *= rounded(optim->config.beta2);
}

static void step_adam(const step *s, range r) {
    const rein_optim *optim = s->optim;
    const rein_optim_config *config = &optim->config;
    reini_adam_args args = {
        .rate = (float)s->rate,
        .beta1 = (float)config->beta1,
        .beta2 = (float)config->beta2,
        .eps = (float)config->eps,
        .decay = config->kind == REIN_OPTIM_ADAMW && r.decays ? (float)(s->rate * config->weight_decay) : 0,
        .correct1 = (float)(1 / (1 - optim->state.power1)),
        .correct2 = (float)(1 / (1 - optim->state.power2)),
        .grad_scale = (float)s->scale,
    };
    float *m = optim->moments + r.offset, *v = m + optim->size;
    optim->ops->adam(s->param + r.offset, m, v, s->grad + r.offset, r.count, &args);
}

static void step_sgd(const step *s, range r) {
    const rein_optim_config *config = &s->optim->config;
    s->optim->ops->sgd(s->param + r.offset, s->optim->moments + r.offset, s->grad + r.offset, r.count,
                       (float)s->rate, (float)config->momentum, (float)config->weight_decay, (float)s->scale,
                       config->nesterov != 0);
}

static void step_rmsprop(const step *s, range r) {
    const rein_optim_config *config = &s->optim->config;
    s->optim->ops->rmsprop(s->param + r.offset, s->optim->moments + r.offset, s->grad + r.offset, r.count,
                           (float)s->rate, (float)config->alpha, (float)config->eps, (float)s->scale);
}

static void step_piece(void *user, int piece, int worker) {
    const step *s = user;
    (void)worker;
    for (int i = 0; i < s->optim->n_ranges; i++) {
        range r = part_of(s->optim, s->optim->ranges[i], piece);
        if (r.count <= 0)
            continue;
        if (s->optim->config.kind == REIN_OPTIM_SGD)
            step_sgd(s, r);
        else if (s->optim->config.kind == REIN_OPTIM_RMSPROP)
            step_rmsprop(s, r);
        else
            step_adam(s, r);
    }
}

rein_optim_result rein_optim_step(rein_optim *optim, rein_store *params, const rein_store *grads,
                                  double learning_rate) {
    step s = {.optim = optim,
              .param = rein_store_data(params),
              .grad = rein_store_view(grads),
              .rate = learning_rate,
              .squares = optim->squares};
    REINI_ASSERT(rein_store_layout(params) == optim->layout && rein_store_size(grads) == optim->size);
    double norm = gradient_norm(optim, &s), limit = optim->config.max_grad_norm;
    if (!isfinite(norm))
        return (rein_optim_result){.grad_norm = norm, .skipped = 1};
    s.scale = limit > 0 ? fmin(1, limit / (norm + 1e-6)) : 1;
    advance(optim);
    rein_pool_run(optim->pool, pieces_of(optim), step_piece, &s);
    return (rein_optim_result){.grad_norm = norm};
}

/* ---- checkpoints --------------------------------------------------------------------------------------- */

void reini_optim_pieces(rein_optim *optim, reini_optim_piece piece[2]) {
    piece[0] = (reini_optim_piece){&optim->state, sizeof optim->state};
    piece[1] = (reini_optim_piece){optim->moments, optim->state.elements * sizeof(float)};
}

size_t rein_optim_save_size(const rein_optim *optim) {
    return sizeof(optim_state) + optim->state.elements * sizeof(float);
}

void rein_optim_save(const rein_optim *optim, void *buffer) {
    memcpy(buffer, &optim->state, sizeof(optim_state));
    memcpy((char *)buffer + sizeof(optim_state), optim->moments, optim->state.elements * sizeof(float));
}

rein_status rein_optim_load(rein_optim *optim, const void *buffer, size_t size) {
    optim_state state;
    if (size != rein_optim_save_size(optim))
        return reini_fail(REIN_MISMATCH, "the saved optimizer has %zu bytes, this one needs %zu", size,
                          rein_optim_save_size(optim));
    memcpy(&state, buffer, sizeof(state));
    if (state.kind != optim->state.kind || state.elements != optim->state.elements)
        return reini_fail(REIN_MISMATCH, "the saved optimizer is of another kind or size than this one");
    optim->state = state;
    memcpy(optim->moments, (const char *)buffer + sizeof(optim_state), state.elements * sizeof(float));
    return REIN_OK;
}
