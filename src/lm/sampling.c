/*
 * sampling.c - penalties, cuts and draws over one row of logits.
 *
 * No row is sorted. The k-th largest logit, and the logit at which the largest probabilities reach p, are found by a
 * radix descent: floats become integers of the same order, and three passes over eleven bits each count how many (how
 * much probability) lies above every bucket.
 */
#include "lm/sampling.h"

#include <math.h>
#include <string.h>
#include <rein/rng.h>
#include "tensor/kernels.h"

enum { STRANDS = 16, BLOCK = 1024, BUCKETS = 2048, LEVELS = 3 };

struct reini_sampler {
    int n;        /* vocabulary */
    float *x, *e; /* adjusted logits, e^(x - largest) */
    int32_t *id;  /* whose they are, once a cut moved them together */
    uint64_t *seen;
    double mass[BUCKETS]; /* of a level of the descent */
    reini_kernel *exp;
    double (*sum)(const float *x, int64_t n);
};

reini_sampling reini_sampling_plain(double temperature) {
    return (reini_sampling){.temperature = temperature, .top_p = 1, .repetition_penalty = 1};
}

rein_status reini_sampling_check(const reini_sampling *s) {
    if (!(s->temperature >= 0 && s->temperature <= 1e4))
        return reini_fail(REIN_USAGE, "temperature is %g, expected 0 (greedy) to 1e4", s->temperature);
    if (s->temperature > 0 && s->temperature < 1e-4)
        return reini_fail(REIN_USAGE, "temperature is %g, expected 0 (greedy) or at least 1e-4",
                          s->temperature);
    if (s->top_k < 0)
        return reini_fail(REIN_USAGE, "top_k is %d, expected 0 (off) or more", s->top_k);
    if (!(s->top_p > 0 && s->top_p <= 1))
        return reini_fail(REIN_USAGE, "top_p is %g, expected more than 0 and at most 1 (off)", s->top_p);
    if (!(s->min_p >= 0 && s->min_p <= 1))
        return reini_fail(REIN_USAGE, "min_p is %g, expected 0 (off) to 1", s->min_p);
    if (!(s->repetition_penalty > 0 && s->repetition_penalty <= 1e4))
        return reini_fail(REIN_USAGE, "repetition_penalty is %g, expected more than 0, 1 = off",
                          s->repetition_penalty);
    return REIN_OK;
}

static size_t words(int n) {
    return ((size_t)n + 63) / 64;
}

int64_t reini_sampler_bytes(int vocabulary) {
    return (int64_t)(sizeof(reini_sampler) + (size_t)vocabulary * (2 * sizeof(float) + sizeof(int32_t)) +
                     8 * words(vocabulary));
}

rein_status reini_sampler_new(int vocabulary, reini_sampler **out) {
    reini_sampler *s = REINI_NEW(reini_sampler);
    *out = s;
    if (!s)
        return reini_fail_memory(sizeof *s, "sampling");
    s->n = vocabulary;
    s->x = REINI_NEW_ARRAY(float, (size_t)vocabulary);
    s->e = REINI_NEW_ARRAY(float, (size_t)vocabulary);
    s->id = REINI_NEW_ARRAY(int32_t, (size_t)vocabulary);
    s->seen = REINI_NEW_ARRAY(uint64_t, words(vocabulary));
    const reini_kernels *best = reini_kernels_best();
    s->exp = best->run[REINI_EXP] ? best->run[REINI_EXP] : reini_kernels_ref_f32.run[REINI_EXP];
    s->sum = reini_vector_ops_best()->sum;
    if (s->x && s->e && s->id && s->seen)
        return REIN_OK;
    reini_sampler_free(s);
    *out = NULL;
    return reini_fail_memory((size_t)reini_sampler_bytes(vocabulary), "sampling");
}

void reini_sampler_free(reini_sampler *s) {
    if (!s)
        return;
    reini_free(s->x);
    reini_free(s->e);
    reini_free(s->id);
    reini_free(s->seen);
    reini_free(s);
}

/* ---- the whole row --------------------------------------------------------------------------------------- */

/* in strands, so that the compiler may take several at once */
static float largest(const float *x, int n) {
    float most[STRANDS];
    for (int k = 0; k < STRANDS; k++)
        most[k] = -INFINITY;
    int i = 0;
    for (; i + STRANDS <= n; i += STRANDS)
        for (int k = 0; k < STRANDS; k++)
            most[k] = x[i + k] > most[k] ? x[i + k] : most[k];
    for (; i < n; i++)
        most[0] = x[i] > most[0] ? x[i] : most[0];
    for (int k = 1; k < STRANDS; k++)
        most[0] = most[k] > most[0] ? most[k] : most[0];
    return most[0];
}

static int first_largest(const float *x, int n) {
    float most = largest(x, n);
    int i = 0;
    while (i < n - 1 && x[i] != most)
        i++;
    return i;
}

/* e = e^(x / t - most), and its sum; NaN or infinite when the row is not sound */
static double exponentials(const reini_sampler *s, float *e, const float *x, int n, float t, float most) {
    double total = 0;
    for (int i = 0; i < n; i += BLOCK) {
        int m = n - i < BLOCK ? n - i : BLOCK;
        if (t == 1)
            for (int j = 0; j < m; j++)
                e[i + j] = x[i + j] - most;
        else
            for (int j = 0; j < m; j++)
                e[i + j] = x[i + j] / t - most;
        reini_call call = {.out = {e + i, m, m}, .in = {{e + i, m, m}}, .rows = 1};
        s->exp(&call);
        total += s->sum(e + i, m);
    }
    return total;
}

/* ---- penalty and temperature ----------------------------------------------------------------------------- */

/* Every distinct token of the history once (Keskar et al. 2019, arXiv 1909.05858, in Transformers' form). */
static void penalise(reini_sampler *s, float penalty, const int32_t *history, int n) {
    for (int i = 0; i < n; i++) {
        int32_t id = history[i];
        uint64_t bit = (uint64_t)1 << (id & 63);
        if (s->seen[id >> 6] & bit)
            continue;
        s->seen[id >> 6] |= bit;
        s->x[id] = s->x[id] < 0 ? s->x[id] * penalty : s->x[id] / penalty;
    }
    for (int i = 0; i < n; i++)
        s->seen[history[i] >> 6] = 0;
}

/* The row that is cut and drawn from: the logits themselves when nothing changes them. */
static const float *adjust(reini_sampler *s, const reini_sampling *how, const float *logits,
                           const int32_t *history, int n_history) {
    bool penalty = how->repetition_penalty != 1 && n_history > 0;
    float t = how->temperature > 0 ? (float)how->temperature : 1;
    if (!penalty && t == 1)
        return logits;
    memcpy(s->x, logits, (size_t)s->n * sizeof *logits);
    if (penalty)
        penalise(s, (float)how->repetition_penalty, history, n_history);
    if (t != 1)
        for (int i = 0; i < s->n; i++)
            s->x[i] /= t;
    return s->x;
}

/* ---- thresholds ------------------------------------------------------------------------------------------ */

/* larger floats, larger integers; -0 is 0 */
static uint32_t key_of(float x) {
    uint32_t bits;
    x += 0.0f;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static const int level_shift[LEVELS] = {21, 10, 0};
static const uint32_t level_mask[LEVELS] = {0x7ff, 0x7ff, 0x3ff};

/* The least key with less than `limit` of weight above it, and that weight. weight NULL counts elements. */
static uint32_t threshold(reini_sampler *s, const float *x, const float *weight, int n, double limit,
                          double *above) {
    uint32_t prefix = 0, fixed = 0;
    *above = 0;
    for (int level = 0; level < LEVELS; level++) {
        int shift = level_shift[level];
        bool used[BUCKETS] = {false};
        memset(s->mass, 0, sizeof s->mass);
        for (int i = 0; i < n; i++) {
            uint32_t key = key_of(x[i]);
            if ((key & fixed) != prefix)
                continue;
            uint32_t bucket = key >> shift & level_mask[level];
            s->mass[bucket] += weight ? (double)weight[i] : 1;
            used[bucket] = true;
        }
        uint32_t at = 0;
        double sum = *above;
        for (int b = BUCKETS - 1; b >= 0 && sum < limit; b--) {
            if (!used[b])
                continue;
            at = (uint32_t)b;
            *above = sum;
            sum += s->mass[b];
        }
        prefix |= at << shift;
        fixed |= level_mask[level] << shift;
    }
    return prefix;
}

/* ---- cuts ------------------------------------------------------------------------------------------------ */

/* What is left of a row: n of its logits and exponentials, in the order of their ids. */
typedef struct rest {
    const float *x;
    int n;
    bool moved; /* together: id[] says whose they are */
} rest;

static void cut_top_k(reini_sampler *s, rest *r, int k) {
    if (k >= r->n)
        return;
    double above;
    uint32_t least = threshold(s, r->x, NULL, r->n, k, &above);
    int n = 0;
    for (int i = 0; i < r->n; i++)
        if (key_of(r->x[i]) >= least) {
            float x = r->x[i];
            s->e[n] = s->e[i];
            s->x[n] = x;
            s->id[n++] = i;
        }
    *r = (rest){s->x, n, true};
}

/* Transformers sorts upwards and drops from the lower end while the sum is at most 1 - p. Which of equals at the border
 * stay is chance there; here those with the larger ids do, as if the sort kept their order. */
static void cut_top_p(reini_sampler *s, rest *r, double p) {
    double above, limit = p * s->sum(s->e, r->n);
    uint32_t least = threshold(s, r->x, s->e, r->n, limit, &above);
    for (int i = r->n - 1; i >= 0; i--) {
        uint32_t key = key_of(r->x[i]);
        if (key > least)
            continue;
        if (key < least || above >= limit)
            s->e[i] = 0;
        else
            above += (double)s->e[i];
    }
}

static void cut_min_p(reini_sampler *s, const rest *r, float p) {
    /* relative to the largest, which is 1 here */
    for (int i = 0; i < r->n; i++)
        if (s->e[i] < p)
            s->e[i] = 0;
}

/* Leaves the weights to draw with in s->e; e must hold the exponentials of x. */
static rest cut(reini_sampler *s, const reini_sampling *how, const float *x) {
    rest r = {x, s->n, false};
    if (how->top_k > 0)
        cut_top_k(s, &r, how->top_k);
    if (how->top_p < 1)
        cut_top_p(s, &r, how->top_p);
    if (how->min_p > 0)
        cut_min_p(s, &r, (float)how->min_p);
    return r;
}

/* ---- the draw -------------------------------------------------------------------------------------------- */

/* [0, 1), 53 bits */
static double uniform(reini_place place) {
    /* "gen": apart from every other use of the seed */
    enum { PURPOSE = 0x67656e };
    uint32_t word[4];
    rein_philox(place.seed, place.position | (uint64_t)place.sample << 32,
                place.stream ^ (uint64_t)PURPOSE << 40, word);
    return (double)((uint64_t)word[0] << 21 ^ (uint64_t)word[1] >> 11) * (1.0 / 9007199254740992.0);
}

/* first i with u total < e_0 + ... + e_i, found by blocks */
static int inverse(const reini_sampler *s, int n, double u) {
    const float *e = s->e;
    double total = 0, sum = 0;
    for (int i = 0; i < n; i += BLOCK)
        total += s->sum(e + i, n - i < BLOCK ? n - i : BLOCK);
    double point = u * total;
    int i = 0, last = 0;
    for (; i < n; i += BLOCK) {
        double block = s->sum(e + i, n - i < BLOCK ? n - i : BLOCK);
        if (point < sum + block)
            break;
        sum += block;
    }
    for (; i < n; i++) {
        if (e[i] <= 0)
            continue;
        last = i;
        sum += (double)e[i];
        if (point < sum)
            return i;
    }
    /* rounding left the point above all of them */
    for (i = n - 1; i > last && e[i] <= 0; i--) {
    }
    return i;
}

/* ---- what the header offers ------------------------------------------------------------------------------ */

static reini_drawn not_sound(void) {
    return (reini_drawn){-1, NAN};
}

/* log softmax of the row at a temperature: log_total is that of e^(x / t - most) */
static float log_probability(const float *logits, int token, float t, float most, double log_total) {
    float x = t == 1 ? logits[token] : logits[token] / t;
    return (float)((double)(x - most) - log_total);
}

reini_drawn reini_sample(reini_sampler *s, const reini_sampling *how, const float *logits,
                         const int32_t *history, int n_history, reini_place place) {
    bool greedy = how->temperature <= 0;
    float t = greedy ? 1 : (float)how->temperature;
    float most = largest(logits, s->n) / t;
    double total = exponentials(s, s->e, logits, s->n, t, most), log_total = log(total);
    if (!(total > 0 && total < INFINITY))
        return not_sound();
    const float *x = adjust(s, how, logits, history, n_history);
    int token;
    if (greedy) {
        token = first_largest(x, s->n);
    } else {
        bool penalty = how->repetition_penalty != 1 && n_history > 0;
        if (penalty)
            exponentials(s, s->e, x, s->n, 1, largest(x, s->n));
        rest r = cut(s, how, x);
        token = inverse(s, r.n, uniform(place));
        token = r.moved ? s->id[token] : token;
    }
    return (reini_drawn){token, log_probability(logits, token, t, most, log_total)};
}

void reini_sampling_probabilities(reini_sampler *s, const reini_sampling *how, const float *logits,
                                  const int32_t *history, int n_history, float *p) {
    const float *x = adjust(s, how, logits, history, n_history);
    memset(p, 0, (size_t)s->n * sizeof *p);
    if (how->temperature <= 0) {
        p[first_largest(x, s->n)] = 1;
        return;
    }
    exponentials(s, s->e, x, s->n, 1, largest(x, s->n));
    rest r = cut(s, how, x);
    double total = 0;
    for (int i = 0; i < r.n; i++)
        total += (double)s->e[i];
    for (int i = 0; i < r.n; i++)
        p[r.moved ? s->id[i] : i] = (float)((double)s->e[i] / total);
}
