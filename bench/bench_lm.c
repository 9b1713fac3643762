/*
 * bench_lm.c - tokens a second of training a language model: forward, backward, AdamW, rounded copies; random weights.
 *
 *     bench_lm [--shape smollm2-135m|qwen2.5-0.5b|gpt2] [--dtype bf16|f32] [--documents 8] [--length 512] [--steps 3]
 *              [--threads 2] [--recompute] [--lora RANK] [--layers N] [--model DIR]
 *
 * --model takes shape and weights from a folder; with --lora they are then frozen, in bf16 held once, as a run of sft with
 * --use_peft holds them. Prints one JSON line: seconds of each part and of a whole step (the least of all steps each), CPU
 * seconds of a step (idle workers spin: telling with one thread only), tokens a second of the best whole step, and the
 * memory that the process held at most. Decoding is bench_generate's; peers/torch_lm.py does the same in PyTorch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <rein/optim.h>
#include "base/clock.h"
#include "lm/transformer.h"

typedef struct options {
    const char *shape, *dtype, *model;
    int documents, length, steps, threads, rank, layers;
    bool recompute;
} options;

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
                            .bos = -1,
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

static reini_lm_shape gpt2(void) {
    reini_lm_shape s = smollm2();
    s.family = REINI_GPT2;
    s.vocabulary = 50257;
    s.hidden = 768;
    s.layers = s.heads = s.kv_heads = 12;
    s.inner = 3072;
    s.context = 1024;
    s.qkv_bias = s.out_bias = s.mlp_bias = s.learned_positions = s.layer_norm = s.gelu = true;
    return s;
}

static void fail(rein_status status) {
    if (status == REIN_OK)
        return;
    fprintf(stderr, "bench_lm: %s\n", rein_error());
    exit(1);
}

/* ---- a step ---------------------------------------------------------------------------------------------- */

typedef struct training {
    const options *o;
    rein_pool *pool;
    reini_lm_weights *w;
    reini_lora *lora;
    reini_lm *lm;
    rein_store *gradient;
    rein_optim *optim;
    int32_t *token, *start, *row, *target;
    float *logp, *weight;
    int tokens, scored;
} training;

enum { FORWARD, HEAD, BACKWARD, UPDATE, PARTS, WHOLE = PARTS };

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double less(double best, double seconds) {
    return best == 0 || seconds < best ? seconds : best;
}

static void step(training *t, double seconds[PARTS + 1], double *cpu) {
    reini_lm_batch batch = {
        .tokens = t->tokens, .documents = t->o->documents, .token = t->token, .start = t->start};
    reini_lm_scores scores = {
        .n = t->scored, .row = t->row, .target = t->target, .temperature = 1, .logp = t->logp};
    double at[PARTS + 1], cpu_before = cpu_seconds();
    at[FORWARD] = reini_seconds();
    reini_lm_forward(t->lm, &batch);
    at[HEAD] = reini_seconds();
    reini_lm_backward_begin(t->lm, (reini_lm_gradients){.weights = t->lora != NULL ? NULL : t->gradient,
                                                        .lora = t->lora != NULL ? t->gradient : NULL,
                                                        .fresh = true});
    reini_lm_score_linear(t->lm, &scores, t->weight);
    at[BACKWARD] = reini_seconds();
    reini_lm_backward(t->lm);
    at[UPDATE] = reini_seconds();
    rein_optim_step(t->optim, t->lora != NULL ? t->lora->store : t->w->store, t->gradient, 1e-4);
    if (t->lora == NULL)
        reini_lm_weights_refresh(t->w, t->pool);
    at[PARTS] = reini_seconds();
    double used = cpu_seconds() - cpu_before;
    *cpu = *cpu == 0 || used < *cpu ? used : *cpu;
    for (int i = 0; i < PARTS; i++)
        seconds[i] = less(seconds[i], at[i + 1] - at[i]);
    seconds[WHOLE] = less(seconds[WHOLE], at[PARTS] - at[FORWARD]);
}

/* ---- making ---------------------------------------------------------------------------------------------- */

static void make_batch(training *t) {
    const options *o = t->o;
    size_t tokens = (size_t)t->tokens;
    t->token = calloc(tokens, sizeof *t->token);
    t->start = calloc((size_t)o->documents + 1, sizeof *t->start);
    t->row = calloc(tokens, sizeof *t->row);
    t->target = calloc(tokens, sizeof *t->target);
    t->logp = calloc(tokens, sizeof *t->logp);
    t->weight = calloc(tokens, sizeof *t->weight);
    uint32_t x = 1;
    for (int i = 0; i < t->tokens; i++) {
        x = x * 1664525u + 1013904223u;
        t->token[i] = (int32_t)((x >> 8) % (uint32_t)t->w->shape.vocabulary);
    }
    for (int d = 0; d <= o->documents; d++)
        t->start[d] = d * o->length;
    for (int i = 0; i < t->tokens; i++)
        if (i % o->length != o->length - 1) {
            t->row[t->scored] = i;
            t->target[t->scored] = t->token[i + 1];
            t->weight[t->scored++] = -1.0f / (float)t->tokens;
        }
}

static void make_weights(training *t, const options *o) {
    rein_dtype products = strcmp(o->dtype, "f32") == 0 ? REIN_F32 : REIN_BF16;
    if (o->model != NULL) {
        fail(reini_lm_weights_load(o->model, products, o->rank > 0, 0, &t->w, NULL));
        return;
    }
    reini_lm_shape shape = strcmp(o->shape, "gpt2") == 0           ? gpt2()
                           : strcmp(o->shape, "qwen2.5-0.5b") == 0 ? qwen25()
                                                                   : smollm2();
    shape.layers = o->layers > 0 ? o->layers : shape.layers;
    fail(reini_lm_weights_random(&shape, products, 1, &t->w));
}

static void make(training *t, const options *o) {
    *t = (training){.o = o, .pool = rein_pool_new(o->threads), .tokens = o->documents * o->length};
    make_weights(t, o);
    if (o->rank > 0) {
        reini_lora_opts opts = {.rank = o->rank, .alpha = 2 * o->rank, .seed = 1};
        fail(reini_lora_targets(&t->w->shape, "all-linear", &opts.targets));
        fail(reini_lora_new(t->w, &opts, &t->lora));
    }
    reini_lm_opts opts = {
        .tokens = t->tokens, .documents = o->documents, .train = true, .recompute = o->recompute};
    rein_optim_config config = rein_optim_config_default();
    config.kind = REIN_OPTIM_ADAMW;
    config.max_grad_norm = 1;
    rein_layout *trained = t->lora != NULL ? t->lora->layout : t->w->layout;
    fail(rein_store_new(trained, REIN_F32, &t->gradient));
    fail(rein_optim_new(&config, trained, &t->optim));
    rein_optim_share(t->optim, t->pool);
    fail(reini_lm_new(t->w, t->lora, &opts, t->pool, &t->lm));
    make_batch(t);
}

static void release(training *t) {
    void *const arrays[] = {t->token, t->start, t->row, t->target, t->logp, t->weight};
    reini_lm_free(t->lm);
    rein_optim_free(t->optim);
    rein_store_free(t->gradient);
    reini_lora_free(t->lora);
    reini_lm_weights_free(t->w);
    rein_pool_free(t->pool);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
}

static int number_after(int argc, char **argv, const char *name, int otherwise) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return atoi(argv[i + 1]);
    return otherwise;
}

static const char *text_after(int argc, char **argv, const char *name, const char *otherwise) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return otherwise;
}

int main(int argc, char **argv) {
    options o = {.shape = text_after(argc, argv, "--shape", "smollm2-135m"),
                 .dtype = text_after(argc, argv, "--dtype", "bf16"),
                 .model = text_after(argc, argv, "--model", NULL),
                 .documents = number_after(argc, argv, "--documents", 8),
                 .length = number_after(argc, argv, "--length", 512),
                 .steps = number_after(argc, argv, "--steps", 3),
                 .threads = number_after(argc, argv, "--threads", 2),
                 .rank = number_after(argc, argv, "--lora", 0),
                 .layers = number_after(argc, argv, "--layers", 0)};
    for (int i = 1; i < argc; i++)
        o.recompute |= strcmp(argv[i], "--recompute") == 0;
    training t;
    double seconds[PARTS + 1] = {0}, cpu = 0;
    struct rusage usage;
    make(&t, &o);
    for (int i = 0; i < o.steps; i++)
        step(&t, seconds, &cpu);
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"bench\": \"lm_train\", \"shape\": \"%s\", \"dtype\": \"%s\", \"lora\": %d, \"recompute\": %d, "
           "\"documents\": %d, \"length\": %d, \"threads\": %d, \"forward\": %.3f, "
           "\"head\": %.3f, "
           "\"backward\": %.3f, "
           "\"update\": %.3f, \"step\": %.3f, \"cpu\": %.3f, \"tokens_per_second\": %.1f, \"peak_mb\": %.0f, "
           "\"network_mb\": "
           "%.0f}\n",
           o.model != NULL ? o.model : o.shape, o.dtype, o.rank, o.recompute, o.documents, o.length,
           o.threads, seconds[FORWARD], seconds[HEAD], seconds[BACKWARD], seconds[UPDATE], seconds[WHOLE],
           cpu, t.tokens / seconds[WHOLE], (double)usage.ru_maxrss / 1024,
           (double)reini_lm_bytes(
               t.w, t.lora,
               &(reini_lm_opts){
                   .tokens = t.tokens, .documents = o.documents, .train = true, .recompute = o.recompute},
               o.threads) /
               1048576);
    release(&t);
    return 0;
}
