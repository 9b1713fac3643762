/*
 * rollout_text.h - answers of the policy to prompts, and what is known of them: rewards, log-probabilities, distances
 * from the reference. What GRPO, RLOO and PPO on language models learn from.
 *
 * A rollout takes the next prompts of an endless stream of epochs, each in its own random order, draws `samples` answers
 * to each at the temperature, has them scored, and writes them to rollouts.jsonl in the run's directory, a line each
 * that a person can read. What is drawn follows from the seed and the number of the rollout alone.
 *
 * Log-probabilities of the policy are those of the draw, log softmax(logits / temperature) over the whole vocabulary. In
 * REIN_F32 scoring the finished answer gives the same bits, so the first ratio of an update is exactly 1. In bf16 sums of
 * few and of many rows differ in their last bits; there the answers are scored once more, in the batches in which they
 * are learned from, unless the method says that it learns from them before the weights change (`unscored`).
 *
 * The reference is the policy before its first update: with a new adapter the model without it, with an adapter from a
 * folder that adapter, else a frozen copy of the weights, which is loaded only when the method asks for it.
 */
#ifndef REINI_ROLLOUT_TEXT_H
#define REINI_ROLLOUT_TEXT_H

#include <stdio.h>
#include "algo/language/lm_algo.h"
#include "algo/language/lm_learner.h"
#include "algo/language/text_prompts.h"
#include "lm/generate.h"

#define REINI_ROLLOUT_FIELDS(F, E)                                                                           \
    F(TEXT, reward, "none", 0, 0,                                                                            \
      "what makes an answer good: number, 0.5 regex(...) - 0.01 length, @FILE, ...")                         \
    F(REAL, reward_timeout, "60", 0.001, 1e6, "seconds a reward command has for the answers of a rollout")   \
    F(INT, reward_restarts, "1", 0, 1000,                                                                    \
      "times a reward command that died or hung is started again for a rollout")                             \
    F(INT, reward_memory_mb, "0", 0, 1e9,                                                                    \
      "limit on the memory of each process of a reward command, 0 = none")                                   \
    F(INT, reward_cpu_seconds, "0", 0, 1e9, "limit on the processor time of each of them, 0 = none")         \
    F(INT, generation_batch_size, "0", 0, 1e9, "answers of a rollout, 0 = those of one update")              \
    F(INT, generation_slots, "16", 1, 65536, "answers written side by side; never changes results in f32")   \
    F(INT, top_k, "0", 0, 1e9, "draw from the k likeliest tokens only, 0 = all")                             \
    F(REAL, top_p, "1", 1e-6, 1, "draw from the likeliest tokens that make up this probability")             \
    F(BOOL, log_completions, "true", 0, 1, "write every answer to rollouts.jsonl")
#define REINI_TEXT_FIELDS(F, E) REINI_LM_FIELDS(F, E) REINI_ROLLOUT_FIELDS(F, E)

/* A method's table of fields begins with REINI_TEXT_FIELDS, so its config begins with this. */
typedef struct reini_text_settings {
    REIN_FIELDS_STRUCT(REINI_TEXT_FIELDS)
} reini_text_settings;

/* The answers of a rollout, group after group. */
typedef struct reini_text_answers {
    int n, max_new;
    int32_t *prompt; /* [n] number of each answer's prompt */
    int32_t *ids;    /* [n][max_new] */
    float *logp;     /* [n][max_new]  of the policy at the rollout */
    float *ref;      /* [n][max_new]  of the reference, where there is one */
    int32_t *length; /* [n] */
    int32_t *finish; /* [n] reini_finish */
    double *reward;  /* [n] weighted sum, NAN = no opinion */
    double *each;    /* [n][rewards] */
} reini_text_answers;

typedef struct reini_rollout_plan {
    int samples;        /* answers to a prompt */
    int answers;        /* of a rollout, a multiple of samples */
    int max_new;        /* tokens of an answer */
    double temperature; /* of draws and scores */
    bool reference;     /* its log-probabilities are wanted */
    int unscored; /* answers, the first ones, that are not scored once more in bf16: the method's first pass
                           over them does that */
} reini_rollout_plan;

typedef struct reini_text_rollout {
    const reini_text_settings *settings;
    const reini_lm_settings *lm_settings; /* their beginning */
    reini_rollout_plan plan;
    rein_pool *pool;
    reini_lm_learner *learner; /* of the policy; the caller's */
    reini_lm_reader *reader;
    reini_rewards *rewards;
    reini_prompts train, eval;    /* eval.n = 0: none */
    reini_text_answers now, held; /* held: of an evaluation */
    reini_generator *generator;
    reini_lm_weights *ref_weights; /* NULL: the policy's */
    reini_lora *ref_lora;          /* NULL: none */
    int32_t eos[REINI_LM_EOS + 1];
    int n_eos;
    /* a batch of answers for the network */
    reini_packed *batch, *probe;
    int32_t *document;
    uint8_t *scored;
    float *logp, *entropy; /* [tokens of a batch] */
    /* of a rollout */
    reini_request *request;
    reini_answer *answer;
    reini_reward_item *item;
    reini_bytes text;
    size_t *text_at; /* [answers] */
    int32_t *order;  /* of an epoch's prompts */
    uint32_t *words;
    int64_t epoch; /* of `order`, -1 = none */
    FILE *log;
    char log_path[1200];
    struct {
        int64_t rollouts; /* made */
        int64_t tokens;   /* of answers, in all */
        int64_t log_bytes;
    } state; /* saved, with `now` */
} reini_text_rollout;

/* Rules that all methods share. */
rein_status reini_rollout_check(const reini_text_settings *settings);
/* Reads rewards, tokenizer and prompts; the policy's learner is opened, and prepared by this for batches of
 * per_device_train_batch_size answers. r: released after success and failure alike. */
rein_status reini_text_rollout_open(reini_text_rollout *r, const void *settings,
                                    const reini_rollout_plan *plan, const reini_lm_context *context,
                                    reini_lm_learner *learner);
void reini_text_rollout_release(reini_text_rollout *r);

/* Makes the next rollout, into r->now: answers, rewards, log-probabilities. */
rein_status reini_text_rollout_make(reini_text_rollout *r);
/* Writes it to rollouts.jsonl, with what the method made of it: adv [answers]; step: updates made before it. */
rein_status reini_text_rollout_log(reini_text_rollout *r, const float *adv, int64_t step);
/* One greedy answer to every held-out prompt: mean reward, mean length and share of those that ended by themselves. */
rein_status reini_text_rollout_evaluate(reini_text_rollout *r, double metric[3]);
rein_status reini_text_rollout_visit(reini_text_rollout *r, reini_archive *ar);

/* Puts answers which[0 .. n) into r->batch, prompt and answer, the answer's tokens scored. */
void reini_text_rollout_pack(reini_text_rollout *r, const reini_text_answers *a, const int32_t *which, int n);
/* How r->batch is scored, at the rollout's temperature: into r->logp, and r->entropy. */
reini_lm_scores reini_text_rollout_scores(reini_text_rollout *r);
/* k1 of an answer to the reference, summed over its tokens; NAN without one. */
double reini_text_answer_kl(const reini_text_rollout *r, const reini_text_answers *a, int i);

#endif
