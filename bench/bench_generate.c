/*
 * bench_generate.c - tokens a second of generation with SmolLM2-135M's shape and random weights, beside the rate at which
 * the same memory can be read.
 *
 *     bench_generate [--batch 1,16] [--new 256] [--prompt 16] [--dtype bf16|f32] [--threads 2] [--qwen]
 *                    [--rounds 3]
 *
 * A step of decoding reads every weight once (the embedding as the head) and the keys and values so far: that many bytes
 * at the speed of a plain read by the same threads is the floor, and the share of it is what is printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "lm/generate.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static reini_lm_shape smollm2(void) {
    return (reini_lm_shape){.family = REINI_LLAMA,
                            .vocabulary = 49152,
                            .hidden = 576,
                            .layers = 30,
                            .heads = 9,
                            .kv_heads = 3,
                            .head_size = 64,
                            .inner = 1536,
                            .context = 8192,
                            .norm_eps = 1e-5,
                            .tied = true,
                            .rope_theta = 1e5,
                            .rope_factor = 1,
                            .initializer_range = 0.02,
                            .bos = 0,
                            .pad = -1};
}

static reini_lm_shape qwen25(void) {
    reini_lm_shape s = smollm2();
    s.family = REINI_QWEN2;
    s.vocabulary = 151936;
    s.hidden = 896;
    s.layers = 24;
    s.heads = 14;
    s.kv_heads = 2;
    s.inner = 4864;
    s.context = 32768;
    s.norm_eps = 1e-6;
    s.rope_theta = 1e6;
    s.qkv_bias = true;
    return s;
}

/* ---- the floor --------------------------------------------------------------------------------------------- */

enum { PIECES = 64 };
typedef struct reading {
    const uint64_t *from;
    int64_t words; /* of a piece */
    uint64_t sum[PIECES];
} reading;

static void read_piece(void *user, int task, int worker) {
    reading *r = user;
    uint64_t sum[8] = {0};
    const uint64_t *at = r->from + task * r->words;
    (void)worker;
    for (int64_t i = 0; i + 8 <= r->words; i += 8) {
        /* as bench_planning: the hardware's own stops at pages */
        __builtin_prefetch(at + i + 512);
        for (int k = 0; k < 8; k++)
            sum[k] += at[i + k];
    }
    for (int k = 0; k < 8; k++)
        r->sum[task] += sum[k];
}

/* seconds to read `bytes` of memory once, the best of ten */
static double read_seconds(rein_pool *pool, int64_t bytes) {
    reading r = {.words = bytes / 8 / PIECES};
    uint64_t *memory = malloc((size_t)r.words * PIECES * 8 + 8192);
    double best = 1e9;
    if (memory == NULL)
        exit(1);
    memset(memory, 1, (size_t)r.words * PIECES * 8 + 8192);
    r.from = memory;
    for (int k = 0; k < 10; k++) {
        double start = now();
        rein_pool_run(pool, PIECES, read_piece, &r);
        double seconds = now() - start;
        best = seconds < best ? seconds : best;
    }
    if (r.sum[0] == 1)
        puts("");
    free(memory);
    return best;
}

/* ---- generation -------------------------------------------------------------------------------------------- */

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, rein_error());
    exit(1);
}

typedef struct stamp {
    double first, last; /* first token; last pass */
} stamp;

static void on_token(void *user, int request, int sample) {
    stamp *s = user;
    (void)request, (void)sample;
    s->last = now();
    if (s->first == 0)
        s->first = s->last;
}

static void measure(const reini_lm_weights *w, rein_pool *pool, int batch, int prompt, int new, int rounds) {
    reini_generator_opts opts = {.slots = batch, .capacity = prompt + new};
    reini_generator *g;
    reini_request *requests = calloc((size_t)batch, sizeof *requests);
    int32_t *ids = calloc((size_t)prompt, sizeof *ids);
    void *answers;
    if (requests == NULL || ids == NULL)
        exit(1);
    for (int i = 0; i < prompt; i++)
        ids[i] = 100 + i;
    for (int i = 0; i < batch; i++)
        requests[i] = (reini_request){
            .prompt = ids, .n_prompt = prompt, .samples = 1, .max_new = new, .stream = (uint64_t)i};
    if (reini_answers_new(requests, batch, &answers) != REIN_OK ||
        reini_generator_new(w, NULL, &opts, pool, &g) != REIN_OK)
        fail("generator");
    int64_t layer = (int64_t)w->shape.layers * w->shape.kv_heads * w->shape.head_size * 2 *
                    (w->products == REIN_BF16 ? 2 : 4);
    int64_t bytes =
        reini_lm_weights_count(w) * (w->products == REIN_BF16 ? 2 : 4) + layer * batch * (prompt + new / 2);
    double floor = 1e9, best = 1e9, first = 1e9;
    for (int k = 0; k < rounds; k++) {
        /* in turn, so that a busy machine slows both */
        double seconds = read_seconds(pool, bytes);
        floor = seconds < floor ? seconds : floor;
        stamp s = {0};
        reini_generate_job job = {.requests = requests,
                                  .n = batch,
                                  .sampling = reini_sampling_plain(1),
                                  .seed = (uint64_t)k,
                                  .on_token = on_token,
                                  .user = &s};
        double start = now();
        if (reini_generate(g, &job) != REIN_OK)
            fail("generate");
        double step = (s.last - s.first) / (new - 1);
        best = step < best ? step : best;
        first = s.first - start < first ? s.first - start : first;
    }
    printf("batch %2d: %7.1f tokens/s, %6.2f ms a step; reading its %.0f MB takes %.2f ms (%.1f GB/s): "
           "%.0f%% of that rate; "
           "prompt %.1f ms\n",
           batch, batch / best, 1e3 * best, 1e-6 * (double)bytes, 1e3 * floor, 1e-9 * (double)bytes / floor,
           100 * floor / best, 1e3 * first);
    reini_generator_free(g);
    reini_free(answers);
    free(requests);
    free(ids);
}

int main(int argc, char **argv) {
    const char *batches = "1,16", *dtype = "bf16";
    int new = 256, prompt = 16, threads = 2, rounds = 3;
    reini_lm_shape shape = smollm2();
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--qwen") == 0) {
            shape = qwen25();
            continue;
        }
        if (strcmp(argv[i], "--batch") == 0)
            batches = value;
        else if (strcmp(argv[i], "--dtype") == 0)
            dtype = value;
        else if (strcmp(argv[i], "--new") == 0)
            new = atoi(value);
        else if (strcmp(argv[i], "--prompt") == 0)
            prompt = atoi(value);
        else if (strcmp(argv[i], "--threads") == 0)
            threads = atoi(value);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = atoi(value);
        i++;
    }
    rein_pool *pool = threads > 1 ? rein_pool_new(threads) : NULL;
    reini_lm_weights *w;
    if (new < 2 || prompt < 1 || rounds < 1 ||
        reini_lm_weights_random(&shape, strcmp(dtype, "f32") == 0 ? REIN_F32 : REIN_BF16, 1, &w) != REIN_OK)
        fail("weights");
    printf("%s, %.1f M parameters, %s, %d threads, %s\n", reini_family_name(shape.family),
           1e-6 * (double)reini_lm_weights_count(w), dtype, threads, rein_cpu_level());
    for (const char *at = batches; *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : "")
        measure(w, pool, atoi(at), prompt, new, rounds);
    reini_lm_weights_free(w);
    rein_pool_free(pool);
    return 0;
}
