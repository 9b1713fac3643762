/*
 * test_transformer_grad.c - the transformer's gradients against central differences.
 *
 * Whole networks run in float: a loss of a few hundred terms carries about 1e-5 of rounding, which steps of 6e-3 turn
 * into 1e-3 of a derivative. Differences of two steps are combined so that the third derivative drops out (Richardson).
 * The tolerance is 4e-3 of 1 and the parameter's largest derivative. Pieces (norms, gates, rotation, attention) have a
 * reference in double here, whose differences are exact to 1e-8: the kernels have to meet them to float's rounding, at
 * every instruction-set level.
 */
#include <stdlib.h>
#include "base/levels.h"
#include "lm/attention.h"
#include "support/lm_pass.h"

static int32_t token[PASS_TOKENS];

static int make_tokens(void **state) {
    (void)state;
    pass_tokens(token, PASS_TOKENS, SMALL_LM_VOCABULARY);
    return 0;
}

/* some number between -1 and 1 that goes with i */
static double wave(int64_t i) {
    return sin(0.7 * (double)i + 0.3 * (double)(i % 7));
}

/* ---- whole networks -------------------------------------------------------------------------------------- */

typedef struct network {
    reini_lm_weights *w;
    reini_lora *lora;
    reini_lm *lm;
    pass_scores scores;
    uint64_t dropout;
    int tokens, documents;
    rein_store *changed; /* whose numbers are moved */
} network;

static void network_make(network *n, const reini_lm_shape *shape) {
    reini_lm_opts opts = {.tokens = PASS_TOKENS, .documents = PASS_DOCUMENTS, .train = true};
    memset(n, 0, sizeof *n);
    n->w = pass_weights_of(shape, REIN_F32);
    n->changed = n->w->store;
    n->documents = 2;
    n->tokens = pass_start[2];
    pass_score_all(&n->scores, token, pass_start, 2, 0.7f);
    assert_ok(reini_lm_new(n->w, NULL, &opts, NULL, &n->lm));
}

static void network_free(network *n) {
    reini_lm_free(n->lm);
    reini_lora_free(n->lora);
    reini_lm_weights_free(n->w);
}

static void forward(network *n) {
    reini_lm_batch batch = {.tokens = n->tokens,
                            .documents = n->documents,
                            .token = token,
                            .start = pass_start,
                            .dropout = n->dropout};
    reini_lm_forward(n->lm, &batch);
}

/* Sum of weighted log-probabilities and entropies; of a classifier, of weighted values. */
static double loss(network *n) {
    double sum = 0;
    forward(n);
    if (n->w->shape.labels > 0) {
        float values[8 * 5];
        reini_lm_values(n->lm, 8, n->scores.row, values);
        for (int i = 0; i < 8 * n->w->shape.labels; i++)
            sum += wave(i) * (double)values[i];
        return sum;
    }
    reini_lm_score(n->lm, &n->scores.s);
    for (int i = 0; i < n->scores.s.n; i++)
        sum += (double)n->scores.weight[i] * (double)n->scores.logp[i] +
               (double)n->scores.bend[i] * (double)n->scores.entropy[i];
    return sum;
}

static void backward(network *n, reini_lm_gradients to) {
    forward(n);
    reini_lm_backward_begin(n->lm, to);
    if (n->w->shape.labels > 0) {
        float d[8 * 5];
        for (int i = 0; i < 8 * n->w->shape.labels; i++)
            d[i] = (float)wave(i);
        reini_lm_values_backward(n->lm, 8, n->scores.row, d);
    } else {
        reini_lm_score_backward(n->lm, &n->scores.s, n->scores.weight, n->scores.bend);
    }
    reini_lm_backward(n->lm);
}

/* central difference with a step of h in the number at x */
static double difference(network *n, float *x, float h) {
    float before = *x;
    *x = before + h;
    double step = (double)*x, above = loss(n);
    *x = before - h;
    step -= (double)*x;
    double below = loss(n);
    *x = before;
    return (above - below) / step;
}

static void check_number(network *n, rein_param_info info, int64_t i, const float *gradient, double largest) {
    float *x = (float *)rein_store_data(n->changed) + info.offset + i;
    double slope = (4 * difference(n, x, 6e-3f) - difference(n, x, 1.2e-2f)) / 3;
    double found = (double)gradient[info.offset + i];
    if (!(fabs(slope - found) <= 4e-3 * (1 + largest)))
        fail_msg("%s[%d]: gradient %.6g, difference %.6g (largest %.3g)", info.name, (int)i, found, slope,
                 largest);
}

/* The number with the largest derivative and some others of every parameter. */
static void check_parameters(network *n, rein_store *gradient) {
    const rein_layout *layout = rein_store_layout(n->changed);
    const float *g = rein_store_data(gradient);
    for (int p = 0; p < rein_layout_count(layout); p++) {
        rein_param_info info = rein_layout_at(layout, p);
        int64_t best = 0;
        for (int64_t i = 0; i < info.count; i++)
            best = fabsf(g[info.offset + i]) > fabsf(g[info.offset + best]) ? i : best;
        double largest = fabs((double)g[info.offset + best]);
        check_number(n, info, best, g, largest);
        for (int64_t k = 1; k <= 3; k++)
            check_number(n, info, info.count * (2 * k - 1) / 7, g, largest);
    }
}

static void check_shape(const reini_lm_shape *shape) {
    network n;
    network_make(&n, shape);
    rein_store *gradient = pass_store(n.w->layout);
    backward(&n, (reini_lm_gradients){.weights = gradient});
    check_parameters(&n, gradient);
    rein_store_free(gradient);
    network_free(&n);
}

static void test_families(void **state) {
    (void)state;
    for (int f = 0; f < SMALL_LM_FAMILIES; f++) {
        reini_lm_shape shape = pass_shape((reini_family)f);
        check_shape(&shape);
    }
}

static void test_values(void **state) {
    (void)state;
    for (int f = 0; f < SMALL_LM_FAMILIES; f++) {
        reini_lm_shape shape = pass_shape((reini_family)f);
        shape.labels = f == 0 ? 1 : 3;
        check_shape(&shape);
    }
}

static void test_biases_and_scaled_rotation(void **state) {
    (void)state;
    reini_lm_shape shape = pass_shape(REINI_LLAMA);
    shape.qkv_bias = shape.out_bias = shape.mlp_bias = true;
    shape.rope_scaling = REINI_ROPE_LLAMA3;
    shape.rope_factor = 4;
    shape.rope_low = 1;
    shape.rope_high = 4;
    shape.rope_original_context = 64;
    shape.rope_theta = 50;
    shape.tied = false;
    check_shape(&shape);
}

/* ---- adapters -------------------------------------------------------------------------------------------- */

static void add_adapter(network *n, double dropout, uint64_t key) {
    reini_lora_opts opts = {.rank = 3, .alpha = 5, .dropout = dropout, .seed = 3};
    reini_lm_opts size = {.tokens = PASS_TOKENS, .documents = PASS_DOCUMENTS, .train = true};
    assert_ok(reini_lora_targets(&n->w->shape, "all-linear", &opts.targets));
    assert_ok(reini_lora_new(n->w, &opts, &n->lora));
    float *at = rein_store_data(n->lora->store);
    /* B starts at zero, where A has no gradient */
    for (int64_t i = 0; i < rein_store_size(n->lora->store); i++)
        at[i] += 0.1f * (float)wave(i);
    n->changed = n->lora->store;
    n->dropout = key;
    reini_lm_free(n->lm);
    assert_ok(reini_lm_new(n->w, n->lora, &size, NULL, &n->lm));
}

static void test_adapters(void **state) {
    (void)state;
    for (int f = 0; f < SMALL_LM_FAMILIES; f++)
        for (int dropped = 0; dropped < 2; dropped++) {
            network n;
            reini_lm_shape shape = pass_shape((reini_family)f);
            network_make(&n, &shape);
            add_adapter(&n, dropped ? 0.3 : 0, dropped ? 77 : 0);
            rein_store *gradient = pass_store(n.lora->layout);
            backward(&n, (reini_lm_gradients){.lora = gradient});
            check_parameters(&n, gradient);
            rein_store_free(gradient);
            network_free(&n);
        }
}

/* With an adapter, the weights' own gradient is that of the merged weights. */
static void test_adapter_is_its_merge(void **state) {
    (void)state;
    network n;
    static float hidden[PASS_TOKENS * 24];
    reini_lm_shape shape = pass_shape(REINI_QWEN3);
    network_make(&n, &shape);
    add_adapter(&n, 0, 0);
    forward(&n);
    memcpy(hidden, reini_lm_hidden(n.lm), (size_t)(n.tokens * 24) * sizeof(float));
    assert_ok(reini_lora_merge(n.lora, n.w));
    reini_lm_bind(n.lm, n.w, NULL);
    forward(&n);
    for (int i = 0; i < n.tokens * 24; i++)
        assert_near((double)hidden[i], (double)reini_lm_hidden(n.lm)[i], 2e-5);
    network_free(&n);
}

/* A key drops; another drops otherwise; no key drops nothing; threads and recomputation change nothing. */
static void test_dropout(void **state) {
    (void)state;
    static pass_scores scores[5];
    network n;
    reini_lm_shape shape = pass_shape(REINI_LLAMA);
    network_make(&n, &shape);
    add_adapter(&n, 0.4, 0);
    rein_store *gradient[5];
    for (int i = 0; i < 5; i++) {
        pass p = {.tokens = PASS_TOKENS,
                  .documents = PASS_DOCUMENTS,
                  .token = token,
                  .start = pass_start,
                  .temperature = 1,
                  .dropout = (uint64_t[]){5, 5, 5, 6, 0}[i],
                  .threads = i == 1 ? 3 : 1,
                  .recompute = i == 2};
        gradient[i] = pass_store(n.lora->layout);
        pass_run(n.w, n.lora, &p, (reini_lm_gradients){.lora = gradient[i]}, &scores[i], NULL);
    }
    for (int i = 1; i < 5; i++) {
        size_t bytes = (size_t)rein_store_size(gradient[0]) * sizeof(float);
        bool same = memcmp(scores[0].logp, scores[i].logp, sizeof scores[0].logp) == 0 &&
                    memcmp(rein_store_data(gradient[0]), rein_store_data(gradient[i]), bytes) == 0;
        assert_int_equal(same, i < 3);
    }
    for (int i = 0; i < 5; i++)
        rein_store_free(gradient[i]);
    network_free(&n);
}

/* Adapters on bf16 results take a way of their own, in pieces of rows. */
static void test_adapters_in_bf16(void **state) {
    (void)state;
    for (int dropped = 0; dropped < 2; dropped++) {
        static pass_scores scores;
        rein_store *gradient[2];
        for (int half = 0; half < 2; half++) {
            network n;
            reini_lm_shape shape = pass_shape(REINI_QWEN2);
            network_make(&n, &shape);
            if (half) {
                reini_lm_weights_free(n.w);
                n.w = pass_weights_of(&shape, REIN_BF16);
            }
            add_adapter(&n, dropped ? 0.2 : 0, 9);
            pass p = {.tokens = PASS_TOKENS,
                      .documents = PASS_DOCUMENTS,
                      .token = token,
                      .start = pass_start,
                      .temperature = 1,
                      .threads = 2,
                      .dropout = 9};
            gradient[half] = pass_store(n.lora->layout);
            pass_run(n.w, n.lora, &p, (reini_lm_gradients){.lora = gradient[half]}, &scores, NULL);
            network_free(&n);
        }
        const char *which = "";
        double worst = pass_difference(gradient[1], gradient[0], &which);
        if (!(worst <= 0.12 && worst > 0))
            fail_msg("dropout %d, %s: %g", dropped, which, worst);
        rein_store_free(gradient[0]);
        rein_store_free(gradient[1]);
    }
}

/* So many rows that adapters on bf16 results take them in several pieces: each row still drops its own numbers. */
static void test_dropout_in_pieces(void **state) {
    (void)state;
    enum { TOKENS = 600, HIDDEN = 24 };
    static float hidden[2][TOKENS * HIDDEN];
    static int32_t many[TOKENS];
    static const int32_t start[] = {0, 200, 400, TOKENS};
    pass_tokens(many, TOKENS, SMALL_LM_VOCABULARY);
    for (int half = 0; half < 2; half++) {
        reini_lm_weights *w = pass_weights(REINI_LLAMA, half ? REIN_BF16 : REIN_F32);
        reini_lora_opts opts = {.rank = 3, .alpha = 9, .dropout = 0.5, .seed = 3};
        reini_lm_opts size = {.tokens = TOKENS, .documents = 3, .train = true};
        reini_lm_batch batch = {
            .tokens = TOKENS, .documents = 3, .token = many, .start = start, .dropout = 4};
        reini_lora *lora;
        reini_lm *lm;
        assert_ok(reini_lora_targets(&w->shape, "all-linear", &opts.targets));
        assert_ok(reini_lora_new(w, &opts, &lora));
        float *at = rein_store_data(lora->store);
        for (int64_t i = 0; i < rein_store_size(lora->store); i++)
            at[i] += 0.2f * (float)wave(i);
        assert_ok(reini_lm_new(w, lora, &size, NULL, &lm));
        reini_lm_forward(lm, &batch);
        memcpy(hidden[half], reini_lm_hidden(lm), sizeof hidden[half]);
        reini_lm_free(lm);
        reini_lora_free(lora);
        reini_lm_weights_free(w);
    }
    for (int first = 0; first < TOKENS; first += 100) {
        double error = 0, norm = 0;
        for (int i = first * HIDDEN; i < (first + 100) * HIDDEN; i++) {
            error += pow((double)hidden[1][i] - (double)hidden[0][i], 2);
            norm += pow((double)hidden[0][i], 2);
        }
        if (!(sqrt(error / norm) <= 0.05))
            fail_msg("rows from %d on: %g", first, sqrt(error / norm));
    }
}

/* ---- pieces, in double ----------------------------------------------------------------------------------- */

enum { WIDEST = 75 };

static void norm_double(const double *x, const float *w, const float *b, int n, double *y) {
    double mean = 0, square = 0;
    for (int i = 0; b != NULL && i < n; i++)
        mean += x[i] / n;
    for (int i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean) / n;
    for (int i = 0; i < n; i++)
        y[i] = (x[i] - mean) / sqrt(square + 1e-5) * (double)w[i] + (b != NULL ? (double)b[i] : 0);
}

static void check_norm(const reini_lm_kernels *k, int n, bool centred) {
    float x[WIDEST], w[WIDEST], b[WIDEST], y[WIDEST], again[WIDEST], dy[WIDEST], dx[WIDEST], copy[WIDEST],
        stat[2];
    float dw[WIDEST] = {0}, db[WIDEST] = {0};
    double in[WIDEST], out[WIDEST], up[WIDEST], down[WIDEST];
    for (int i = 0; i < n; i++) {
        x[i] = 2 * (float)wave(i) + 0.3f;
        in[i] = (double)x[i];
        w[i] = 1 + 0.4f * (float)wave(i + 100);
        b[i] = (float)wave(i + 200);
        dy[i] = (float)wave(i + 300);
        dx[i] = 0.25f;
    }
    reini_norm norm = {.width = n,
                       .eps = 1e-5f,
                       .weight = w,
                       .bias = centred ? b : NULL,
                       .x = x,
                       .y = y,
                       .copy = copy,
                       .stat = stat};
    k->norm(&norm, 1);
    norm_double(in, w, norm.bias, n, out);
    assert_memory_equal(copy, x, (size_t)n * sizeof *x);
    norm.y = again;
    norm.dy = dy;
    norm.dx = dx;
    norm.dweight = dw;
    norm.dbias = db;
    k->norm_back(&norm, 1);
    for (int i = 0; i < n; i++) {
        assert_near((double)y[i], out[i], 3e-6);
        assert_near((double)again[i], (double)y[i], 2e-6);
        double h = 1e-5, slope = 0;
        in[i] += h;
        norm_double(in, w, norm.bias, n, up);
        in[i] -= 2 * h;
        norm_double(in, w, norm.bias, n, down);
        in[i] += h;
        for (int j = 0; j < n; j++)
            slope += (double)dy[j] * (up[j] - down[j]) / (2 * h);
        assert_near((double)dx[i], 0.25 + slope, 5e-6);
        double xh = (out[i] - (centred ? (double)b[i] : 0)) / (double)w[i];
        assert_near((double)dw[i], (double)dy[i] * xh, 5e-6);
        assert_near((double)db[i], centred ? (double)dy[i] : 0, 0);
    }
}

static double gate_double(double g, double u, bool gelu) {
    if (gelu)
        return 0.5 * u * (1 + tanh(sqrt(2 / M_PI) * (u + 0.044715 * u * u * u)));
    return g / (1 + exp(-g)) * u;
}

static void check_gate(const reini_lm_kernels *k, int n, bool gelu) {
    float g[WIDEST] = {0}, u[WIDEST] = {0}, dg[WIDEST], du[WIDEST], h[WIDEST], dh[WIDEST] = {0};
    for (int i = 0; i < n; i++) {
        g[i] = dg[i] = 6 * (float)wave(i);
        u[i] = du[i] = 5 * (float)wave(i + 50);
        dh[i] = (float)wave(i + 90);
    }
    k->gate(h, gelu ? NULL : g, u, false, n);
    float value[WIDEST];
    memcpy(value, dh, sizeof value);
    k->gate_back(value, gelu ? NULL : dg, du, false, n);
    for (int i = 0; i < n; i++) {
        double step = 1e-5, x = (double)g[i], y = (double)u[i], d = (double)dh[i];
        assert_near((double)h[i], gate_double(x, y, gelu), 1e-5);
        assert_near((double)value[i], (double)h[i], 1e-5);
        double by_u = (gate_double(x, y + step, gelu) - gate_double(x, y - step, gelu)) / (2 * step);
        double by_g = (gate_double(x + step, y, gelu) - gate_double(x - step, y, gelu)) / (2 * step);
        assert_near((double)du[i], d * by_u, 1e-5);
        if (!gelu)
            assert_near((double)dg[i], d * by_g, 1e-5);
    }
}

/* Turning by an angle and back is nothing, and a turn is the one of complex numbers. */
static void check_turn(const reini_lm_kernels *k, int size) {
    float x[2 * WIDEST], turn[WIDEST], before[2 * WIDEST];
    for (int j = 0; j < size / 2; j++) {
        turn[j] = (float)cos(wave(j) * 3);
        turn[size / 2 + j] = (float)sin(wave(j) * 3);
    }
    for (int i = 0; i < 2 * size; i++)
        x[i] = before[i] = (float)wave(i + 7);
    k->turn(x, false, turn, 2, size, 1);
    for (int h = 0; h < 2; h++)
        for (int j = 0; j < size / 2; j++) {
            const float *a = before + h * size;
            double c = cos(wave(j) * 3), s = sin(wave(j) * 3), p = (double)a[j], q = (double)a[size / 2 + j];
            assert_near((double)x[h * size + j], p * c - q * s, 1e-6);
            assert_near((double)x[h * size + size / 2 + j], q * c + p * s, 1e-6);
        }
    k->turn(x, false, turn, 2, size, -1);
    for (int i = 0; i < 2 * size; i++)
        assert_near((double)x[i], (double)before[i], 1e-6);
}

/* ---- attention ------------------------------------------------------------------------------------------- */

enum { ROWS = 150, BEGIN = 77, QUERIES = 6, KEYS = 2 };

typedef struct attention_case {
    int size;
    float qkv[ROWS * (QUERIES + 2 * KEYS) * 12], out[ROWS * QUERIES * 12], log_sum[ROWS * QUERIES];
    float dout[ROWS * QUERIES * 12], dqkv[ROWS * (QUERIES + 2 * KEYS) * 12];
} attention_case;

/* Sum of dout times the output of one query and head, in double; row r of the second document. */
static double attend_double(const attention_case *c, const double *qkv, int r, int head, double *out) {
    int size = c->size, row = (QUERIES + 2 * KEYS) * size, group = QUERIES / KEYS,
        begin = r < BEGIN ? 0 : BEGIN;
    double p[ROWS], total = 0, sum = 0;
    const double *q = qkv + r * row + head * size;
    for (int t = begin; t <= r; t++) {
        const double *k = qkv + t * row + (QUERIES + head / group) * size;
        double s = 0;
        for (int d = 0; d < size; d++)
            s += q[d] * k[d];
        total += p[t] = exp(s / sqrt(size));
    }
    for (int d = 0; d < size; d++) {
        double value = 0;
        for (int t = begin; t <= r; t++)
            value += p[t] / total * qkv[t * row + (QUERIES + KEYS + head / group) * size + d];
        sum += value * (double)c->dout[(r * QUERIES + head) * size + d];
        if (out != NULL)
            out[d] = value;
    }
    return sum;
}

/* all queries that see number i of row t */
static double attend_all(const attention_case *c, const double *qkv, int t) {
    double sum = 0;
    for (int r = t; r < (t < BEGIN ? BEGIN : ROWS); r++)
        for (int h = 0; h < QUERIES; h++)
            sum += attend_double(c, qkv, r, h, NULL);
    return sum;
}

static void check_attention_slopes(const attention_case *c) {
    int row = (QUERIES + 2 * KEYS) * c->size;
    static double qkv[ROWS * (QUERIES + 2 * KEYS) * 12];
    for (int i = 0; i < ROWS * row; i++)
        qkv[i] = (double)c->qkv[i];
    /* numbers of queries, keys and values at the ends of documents and around blocks of keys */
    static const int rows[] = {0, 1, 63, 64, 76, 77, 140, 141, 149};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (int i = 0; i < row; i += 5) {
            double *x = qkv + rows[k] * row + i, h = 1e-4, before = *x;
            *x = before + h;
            double above = attend_all(c, qkv, rows[k]);
            *x = before - h;
            double slope = (above - attend_all(c, qkv, rows[k])) / (2 * h);
            *x = before;
            if (!(fabs(slope - (double)c->dqkv[rows[k] * row + i]) <= 2e-5 * (1 + fabs(slope))))
                fail_msg("size %d, row %d, number %d: gradient %.7g, difference %.7g", c->size, rows[k], i,
                         (double)c->dqkv[rows[k] * row + i], slope);
        }
}

static void check_attention(int size) {
    static attention_case c;
    static const int32_t start[] = {0, BEGIN, ROWS};
    int32_t task[3];
    reini_attention a;
    reini_lm_shape shape = {.heads = QUERIES, .kv_heads = KEYS, .head_size = size};
    c.size = size;
    for (int i = 0; i < ROWS * (QUERIES + 2 * KEYS) * size; i++)
        c.qkv[i] = 2 * (float)wave(i * 3 + i / 11);
    for (int i = 0; i < ROWS * QUERIES * size; i++)
        c.dout[i] = (float)wave(i + i / 13);
    reini_attention_init(&a, &shape, false, ROWS);
    a.scratch = reini_new(a.scratch_bytes);
    reini_attention_call call = {.documents = 2,
                                 .start = start,
                                 .task = task,
                                 .qkv = c.qkv,
                                 .out = c.out,
                                 .log_sum = c.log_sum,
                                 .dout = c.dout,
                                 .dqkv = c.dqkv};
    reini_attention_tasks(&a, 2, start, task);
    reini_attention_forward(&a, &call);
    reini_attention_backward(&a, &call);
    static double qkv[ROWS * (QUERIES + 2 * KEYS) * 12];
    for (int i = 0; i < ROWS * (QUERIES + 2 * KEYS) * size; i++)
        qkv[i] = (double)c.qkv[i];
    for (int r = 0; r < ROWS; r++)
        for (int h = 0; h < QUERIES; h++) {
            double out[12];
            attend_double(&c, qkv, r, h, out);
            for (int d = 0; d < size; d++)
                assert_near((double)c.out[(r * QUERIES + h) * size + d], out[d], 1e-5);
        }
    check_attention_slopes(&c);
    reini_free(a.scratch);
}

static void test_pieces(void **state) {
    (void)state;
    for (int level = REINI_ISA_PORTABLE; level <= REINI_ISA_AVX512; level++) {
        reini_isa_cap(level);
        const reini_lm_kernels *k = reini_lm_kernels_best();
        static const int widths[] = {1, 3, 16, 24, WIDEST};
        for (int i = 0; i < 5; i++) {
            check_norm(k, widths[i], false);
            if (widths[i] > 1)
                check_norm(k, widths[i], true);
            check_gate(k, widths[i], false);
            check_gate(k, widths[i], true);
        }
        check_turn(k, 10);
        check_turn(k, 64);
        check_attention(5);
        check_attention(12);
    }
    reini_isa_cap(-1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_biases_and_scaled_rotation),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_adapter_is_its_merge),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_adapters_in_bf16),
        cmocka_unit_test(test_dropout_in_pieces),
    };
    return cmocka_run_group_tests(tests, make_tokens, NULL);
}
