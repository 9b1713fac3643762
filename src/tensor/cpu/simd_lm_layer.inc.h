/* simd_lm_layer.inc.h - norms, rotation, gates, dropout; part of simd_lm.inc.h. */

/* ---- norms ----------------------------------------------------------------------------------------------- */

/* How a norm reads and writes; constants where it is inlined. */
typedef struct norm_kind {
    bool x_half, half, centred;
} norm_kind;

/* only lanes that are there count */
WIDE_INLINE wf counted(wf x, int64_t n) {
    return n == WF_LANES ? x : wf_first(x, n);
}

/* a float row's mean and 1 / deviation as vectors */
typedef struct norm_row {
    int64_t at; /* its first number */
    wf mean, scale;
} norm_row;

WIDE_INLINE void norm_lanes(const reini_norm *n, norm_row r, int64_t j, int64_t lanes, const norm_kind k) {
    wf x = take(n->x, r.at + j, lanes, k.x_half);
    if (n->copy != NULL)
        give(n->copy, r.at + j, x, lanes, false);
    wf y = wf_mul(wf_mul(wf_sub(x, r.mean), r.scale), take(n->weight, j, lanes, false));
    if (k.centred)
        y = wf_add(y, take(n->bias, j, lanes, false));
    give(n->y, r.at + j, y, lanes, k.half);
}

WIDE_INLINE void norm_forward(const reini_norm *n, int64_t number, const norm_kind k) {
    int64_t width = n->width, at = number * width;
    wf sum = wf_zero(), squares = wf_zero();
    float mean = 0;
    if (k.centred) {
        EACH(width, sum = wf_add(sum, take(n->x, at + j, lanes, k.x_half)););
        mean = wf_sum(sum) / (float)width;
    }
    wf middle = wf_set1(mean);
    EACH(width, wf v = counted(wf_sub(take(n->x, at + j, lanes, k.x_half), middle), lanes);
         squares = wf_fma(v, v, squares););
    float scale = 1.0f / __builtin_sqrtf(wf_sum(squares) / (float)width + n->eps);
    n->stat[2 * number] = mean;
    n->stat[2 * number + 1] = scale;
    norm_row r = {at, middle, wf_set1(scale)};
    EACH(width, norm_lanes(n, r, j, lanes, k););
}

static void lm_norm(const reini_norm *n, int64_t rows) {
    for (int64_t r = 0; r < rows; r++)
        if (n->bias != NULL)
            n->half ? norm_forward(n, r, (norm_kind){false, true, true})
                    : norm_forward(n, r, (norm_kind){false, false, true});
        else if (n->x_half)
            norm_forward(n, r, (norm_kind){true, true, false});
        else
            n->half ? norm_forward(n, r, (norm_kind){false, true, false})
                    : norm_forward(n, r, (norm_kind){false, false, false});
}

/* Lanes of xh = (x - mean) r, and of the gradient g = dy w of it. */
WIDE_INLINE wf norm_unit(const reini_norm *n, norm_row r, int64_t j, int64_t lanes, const norm_kind k) {
    return wf_mul(wf_sub(take(n->x, r.at + j, lanes, k.x_half), r.mean), r.scale);
}

WIDE_INLINE void norm_back_lanes(const reini_norm *n, norm_row r, wf mean_g, wf mean_gx, int64_t j,
                                 int64_t lanes, const norm_kind k) {
    wf xh = norm_unit(n, r, j, lanes, k), dy = take(n->dy, r.at + j, lanes, k.x_half);
    wf w = take(n->weight, j, lanes, false), g = wf_sub(wf_mul(dy, w), mean_g);
    wf dx = wf_mul(r.scale, wf_fnma(xh, mean_gx, g));
    if (!n->set)
        dx = wf_add(dx, take(n->dx, r.at + j, lanes, false));
    give(n->dx, r.at + j, dx, lanes, k.x_half);
    if (n->rounded != NULL)
        give(n->rounded, r.at + j, dx, lanes, true);
    if (n->dweight != NULL)
        give(n->dweight, j, wf_fma(dy, xh, take(n->dweight, j, lanes, false)), lanes, false);
    if (k.centred && n->dbias != NULL)
        give(n->dbias, j, wf_add(dy, take(n->dbias, j, lanes, false)), lanes, false);
    if (n->y == NULL)
        return;
    wf y = wf_mul(xh, w);
    give(n->y, r.at + j, k.centred ? wf_add(y, take(n->bias, j, lanes, false)) : y, lanes, k.half);
}

/* dx = r (g - mean g - xh mean(g xh)), the first mean for LayerNorm only. */
WIDE_INLINE void norm_backward(const reini_norm *n, int64_t number, const norm_kind k) {
    int64_t width = n->width;
    norm_row r = {number * width, wf_set1(n->stat[2 * number]), wf_set1(n->stat[2 * number + 1])};
    wf total = wf_zero(), along = wf_zero();
    EACH(width, wf dy = take(n->dy, r.at + j, lanes, k.x_half);
         wf g = wf_mul(dy, take(n->weight, j, lanes, false)); total = wf_add(total, g);
         along = wf_fma(g, norm_unit(n, r, j, lanes, k), along););
    wf mean_g = wf_set1(k.centred ? wf_sum(total) / (float)width : 0.0f);
    wf mean_gx = wf_set1(wf_sum(along) / (float)width);
    EACH(width, norm_back_lanes(n, r, mean_g, mean_gx, j, lanes, k););
}

static void lm_norm_back(const reini_norm *n, int64_t rows) {
    for (int64_t r = 0; r < rows; r++)
        if (n->bias != NULL)
            n->half ? norm_backward(n, r, (norm_kind){false, true, true})
                    : norm_backward(n, r, (norm_kind){false, false, true});
        else if (n->x_half)
            norm_backward(n, r, (norm_kind){true, true, false});
        else
            n->half ? norm_backward(n, r, (norm_kind){false, true, false})
                    : norm_backward(n, r, (norm_kind){false, false, false});
}

/* ---- rotation -------------------------------------------------------------------------------------------- */

WIDE_INLINE void turn_head(void *x, int64_t at, const float *turn, int64_t pairs, float sign,
                           const bool half) {
    EACH(pairs, wf c = take(turn, j, lanes, false);
         wf s = wf_mul(take(turn, pairs + j, lanes, false), wf_set1(sign));
         wf a = take(x, at + j, lanes, half); wf b = take(x, at + pairs + j, lanes, half);
         give(x, at + j, wf_fnma(b, s, wf_mul(a, c)), lanes, half);
         give(x, at + pairs + j, wf_fma(a, s, wf_mul(b, c)), lanes, half););
}

static void lm_turn(void *x, bool half, const float *turn, int64_t heads, int64_t size, float sign) {
    for (int64_t h = 0; h < heads; h++)
        if (half)
            turn_head(x, h * size, turn, size / 2, sign, true);
        else
            turn_head(x, h * size, turn, size / 2, sign, false);
}

/* ---- gates ----------------------------------------------------------------------------------------------- */

/* the tanh form: x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
WIDE_INLINE wf gelu_gate(wf x) {
    wf cube = wf_mul(wf_mul(x, x), wf_set1(0.044715f));
    return wf_sigmoid(wf_mul(wf_fma(cube, x, x), wf_set1(1.5957691216f)));
}

WIDE_INLINE wf gelu_slope(wf x, wf s) {
    wf one = wf_set1(1.0f);
    wf inner = wf_mul(wf_set1(1.5957691216f), wf_fma(wf_mul(x, x), wf_set1(0.134145f), one));
    return wf_fma(wf_mul(x, wf_mul(s, wf_sub(one, s))), inner, s);
}

/* For bf16 by the tanh, which needs no division: to 2e-7 of 1, where bf16 rounds by 2e-3 of the value. */
WIDE_INLINE wf gate_sigmoid(wf x, const bool half) {
    if (!half)
        return wf_sigmoid(x);
    wf middle = wf_set1(0.5f);
    return wf_fma(wf_tanh(wf_mul(x, middle)), middle, middle);
}

WIDE_INLINE void gate_numbers(void *h, const void *gate, const void *up, int64_t n, const bool half) {
    if (gate == NULL)
        EACH(n, wf x = take(up, j, lanes, half); give(h, j, wf_mul(x, gelu_gate(x)), lanes, half););
    else
        EACH(n, wf g = take(gate, j, lanes, half); wf u = take(up, j, lanes, half);
             give(h, j, wf_mul(wf_mul(g, gate_sigmoid(g, half)), u), lanes, half););
}

static void lm_gate(void *h, const void *gate, const void *up, bool half, int64_t n) {
    half ? gate_numbers(h, gate, up, n, true) : gate_numbers(h, gate, up, n, false);
}

WIDE_INLINE void gelu_back(void *h, void *up, int64_t n, const bool half) {
    EACH(n, wf x = take(up, j, lanes, half); wf s = gelu_gate(x); wf dh = take(h, j, lanes, half);
         give(h, j, wf_mul(x, s), lanes, half); give(up, j, wf_mul(dh, gelu_slope(x, s)), lanes, half););
}

/* silu'(g) = s (1 + g (1 - s)) */
WIDE_INLINE void silu_back(void *h, void *gate, void *up, int64_t n, const bool half) {
    wf one = wf_set1(1.0f);
    EACH(n, wf g = take(gate, j, lanes, half); wf u = take(up, j, lanes, half);
         wf dh = take(h, j, lanes, half); wf s = gate_sigmoid(g, half); wf silu = wf_mul(g, s);
         give(h, j, wf_mul(silu, u), lanes, half); give(up, j, wf_mul(dh, silu), lanes, half);
         wf slope = wf_fma(silu, wf_sub(one, s), s);
         give(gate, j, wf_mul(wf_mul(dh, u), slope), lanes, half););
}

static void lm_gate_back(void *h, void *gate, void *up, bool half, int64_t n) {
    if (gate == NULL)
        half ? gelu_back(h, up, n, true) : gelu_back(h, up, n, false);
    else
        half ? silu_back(h, gate, up, n, true) : silu_back(h, gate, up, n, false);
}

/* ---- dropout --------------------------------------------------------------------------------------------- */

/* a random word of place j: two rounds of multiplying and folding (C. Wellons' lowbias32), keyed before each */
static inline uint32_t drop_word(uint32_t j, const uint32_t seed[2]) {
    uint32_t x = j * 0x9E3779B9u ^ seed[0];
    for (int round = 0; round < 2; round++) {
        x ^= x >> 16;
        x *= 0x7FEB352Du;
        x ^= x >> 15;
        x *= 0x846CA68Bu;
        x ^= x >> 16;
        x += seed[1];
    }
    return x;
}

enum { DROP_PIECE = 256 };

static void lm_drop(void *to, const void *from, bool half, int64_t n, const uint32_t seed[2], uint32_t chance,
                    float kept, bool add) {
    float factor[DROP_PIECE];
    for (int64_t at = 0; at < n; at += DROP_PIECE) {
        int64_t m = least(DROP_PIECE, n - at);
        for (int64_t i = 0; i < m; i++)
            factor[i] = drop_word((uint32_t)(at + i), seed) < chance ? 0.0f : kept;
        if (add)
            EACH(m, wf x = wf_mul(take(from, at + j, lanes, false), take(factor, j, lanes, false));
                 give(to, at + j, wf_add(take(to, at + j, lanes, false), x), lanes, false););
        else if (half)
            EACH(m, give(to, at + j, wf_mul(take(from, at + j, lanes, true), take(factor, j, lanes, false)),
                         lanes, true););
        else
            EACH(m, give(to, at + j, wf_mul(take(from, at + j, lanes, false), take(factor, j, lanes, false)),
                         lanes, false););
    }
}
