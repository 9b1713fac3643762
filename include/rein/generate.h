/*
 * generate.h - text from a language model: answers to prompts, a conversation, and how well a model predicts a text.
 *
 *     rein_generate_opts opts = rein_generate_default();
 *     opts.model.folder = "SmolLM2-135M-Instruct";
 *     opts.prompt = "The capital of France is";
 *     opts.on_text = print;
 *     rein_generate_summary summary;
 *     rein_status status = rein_generate(&opts, &summary);
 */
#ifndef REIN_GENERATE_H
#define REIN_GENERATE_H

#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <rein/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a model -------------------------------------------------------------------------------------------- */

typedef struct rein_text_model_opts {
    const char *folder;        /* as Transformers writes it */
    const char *adapter;       /* folder of a LoRA adapter; NULL = none */
    const char *dtype;         /* "f32", "bf16"; NULL = bf16 where the weights are, else f32 */
    const char *chat_template; /* a known name or a file; NULL = the folder's */
    int threads;               /* 0 = one per core; never changes results */
} rein_text_model_opts;

/* How a token is chosen. Fields left NAN (top_k -1) come from the folder's generation_config.json when it asks for
 * sampling; without one the likeliest token is taken, or with `temperature` the whole distribution is drawn from. */
typedef struct rein_sampling_opts {
    double temperature; /* 0 = the likeliest token */
    int top_k;          /* 0 = off */
    double top_p, min_p, repetition_penalty;
    uint64_t seed;
    int max_new_tokens;      /* 0 = the folder's, else 256; cut to what the context leaves */
    const char *const *stop; /* strings that end an answer and are not part of it */
    int n_stop;
} rein_sampling_opts;

/* ---- answers -------------------------------------------------------------------------------------------- */

typedef struct rein_answer {
    int64_t prompt; /* number of the prompt, from 0 */
    int sample;
    const char *prompt_text; /* as the model read it, template included */
    const char *text;        /* UTF-8; what is not becomes U+FFFD */
    const int32_t *ids;      /* [n], special tokens and a stop string's included */
    const float *logprobs;   /* [n]  of the model itself at the temperature, over the whole vocabulary */
    int n;
    const char *finish; /* "eos", "stop" or "length" */
} rein_answer;

typedef struct rein_generate_opts {
    rein_text_model_opts model;
    rein_sampling_opts sampling;
    const char *prompt; /* one text, or */
    const char *file;   /* JSON lines: "prompt", a text or messages, or "messages"; "-" is not a file */
    int raw;         /* 1 = texts as they are; else a text is one too, and only messages meet the template */
    int chat;        /* 1 = a text is the user's message and meets the template */
    int samples;     /* answers to each prompt */
    int batch;       /* answers in flight, 0 = 16 of a file, else `samples` */
    const char *out; /* JSON lines: the row with "completion", "finish", ... for every answer; NULL = none */
    /* a piece of the answer whenever there is one, whole characters; answers are told apart by (prompt, sample) */
    void (*on_text)(void *user, int64_t prompt, int sample, const char *text);
    void (*on_answer)(void *user, const rein_answer *answer); /* in the order of prompts */
    void *user;
    const volatile sig_atomic_t *stop; /* may be NULL */
} rein_generate_opts;

typedef struct rein_generate_summary {
    int64_t prompts, answers, prompt_tokens, tokens;
    double load_s, wall_s, tokens_per_s; /* wall_s: without loading */
    int64_t weight_bytes, cache_bytes, work_bytes;
} rein_generate_summary;

REIN_API rein_generate_opts rein_generate_default(void);
REIN_API rein_status rein_generate(const rein_generate_opts *opts, rein_generate_summary *summary);

/* ---- a conversation ------------------------------------------------------------------------------------- */

typedef struct rein_chat rein_chat;

/* system: the first message, NULL = none. */
REIN_API rein_status rein_chat_open(const rein_text_model_opts *model, const rein_sampling_opts *sampling,
                                    const char *system, rein_chat **out);
REIN_API void rein_chat_close(rein_chat *chat);
/* Forgets what was said; system as above. */
REIN_API rein_status rein_chat_reset(rein_chat *chat, const char *system);
/* Says something and gives the answer's pieces to on_text; *answer (may be NULL) is valid until the next call. Keys and
 * values of what was said are kept, only the new message is computed. When it fails the conversation is as before. */
REIN_API rein_status rein_chat_say(rein_chat *chat, const char *message,
                                   void (*on_text)(void *user, const char *text), void *user,
                                   const volatile sig_atomic_t *stop, const char **answer);
typedef struct rein_chat_state {
    int tokens, context; /* of the conversation; at most */
    int computed;        /* tokens computed for the last message: small while the cache serves */
    int answered;        /* tokens of the last answer */
    const char *finish;  /* of the last answer */
    int has_template;    /* 0: messages are put one after another with names before them */
} rein_chat_state;
REIN_API rein_chat_state rein_chat_look(const rein_chat *chat);

/* ---- adapters ---------------------------------------------------------------------------------------------- */

typedef struct rein_merge_opts {
    const char *model;   /* folder of the base */
    const char *adapter; /* folder of a LoRA adapter for it */
    const char *out;     /* folder to write: config, weights, the base's tokenizer files */
    const char *dtype;   /* of the written weights, "f32" or "bf16"; NULL = the base's */
} rein_merge_opts;

/* Writes the model that base and adapter are together (PEFT's merge_and_unload). parameters may be NULL. REIN_USAGE
 * when there is a model in `out`. */
REIN_API rein_status rein_merge(const rein_merge_opts *opts, int64_t *parameters);

/* ---- how well a model predicts --------------------------------------------------------------------------- */

typedef struct rein_text_eval_opts {
    rein_text_model_opts model;
    const char *data;   /* JSON lines: "text", "messages", or "prompt" and "completion" */
    int max_length;     /* tokens of a row, longer ones are cut; 0 = the model's context */
    int assistant_only; /* of messages only the assistant's are scored */
    const volatile sig_atomic_t *stop;
} rein_text_eval_opts;

typedef struct rein_text_eval_result {
    int64_t rows, skipped, cut; /* read; without a scored token; longer than max_length */
    int64_t tokens;             /* scored */
    double loss;                /* mean negative log-probability, nats */
    double perplexity;          /* e^loss */
    double accuracy;            /* share of tokens that are the likeliest */
    double entropy;             /* mean, nats */
    double load_s, wall_s, tokens_per_s;
} rein_text_eval_result;

REIN_API rein_status rein_text_eval(const rein_text_eval_opts *opts, rein_text_eval_result *result);

/* ---- how good a model's answers are ------------------------------------------------------------------------ */

typedef struct rein_reward_eval_opts {
    rein_text_model_opts model;
    const char *data;      /* JSON lines: "prompt", a text or messages, and what rewards read */
    const char *reward;    /* as in training: "number", "0.5 regex(...) - 0.01 length", "@FILE", ... */
    const char *reference; /* folder of a model that the distance to is measured, NULL = none */
    int samples;           /* answers to a prompt; 0 = 1 */
    double temperature;    /* 0 = the likeliest token each time */
    int top_k;             /* 0 = off */
    double top_p;          /* 0 = off */
    int max_new_tokens;    /* 0 = 256 */
    int batch;             /* answers in flight, 0 = 16 */
    uint64_t seed;
    double reward_timeout; /* seconds a reward command has for some answers; 0 = 60 */
    const char *out;       /* JSON lines: every prompt, answer and what it was worth; NULL = none */
    const volatile sig_atomic_t *stop;
} rein_reward_eval_opts;

enum { REIN_REWARDS_MAX = 8 };

/* A mean over prompts, each the mean of its answers, with a 95% bootstrap interval over prompts. */
typedef struct rein_score {
    double mean, low, high; /* NAN where nothing was measured */
    double std;             /* over answers */
    int64_t answers;        /* that it was measured on */
} rein_score;

typedef struct rein_reward_eval_result {
    int64_t prompts, answers, tokens;
    rein_score reward; /* the weighted sum */
    int n_rewards;
    struct {
        char name[32];
        double weight;
        rein_score score;
    } each[REIN_REWARDS_MAX];
    double best_mean; /* mean over prompts of their best answer's sum */
    double ended;     /* share of answers that ended by themselves */
    double length_mean;
    int length_min, length_max;
    /* log-probability ratios to the reference, summed over an answer's tokens, at the temperature (greedy: 1). Of drawn
     * answers both estimate KL(model || reference) of an answer: k1 = log p - log q, k3 = q / p - 1 - log(q / p) */
    rein_score k1, k3;
    double load_s, wall_s, tokens_per_s;
} rein_reward_eval_result;

REIN_API rein_status rein_reward_eval(const rein_reward_eval_opts *opts, rein_reward_eval_result *result);

#ifdef __cplusplus
}
#endif
#endif
