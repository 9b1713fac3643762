/*
 * lm_settings.h - what every training of a language model can be told; names are those of Transformers and TRL.
 *
 * A method's table of fields begins with REINI_LM_FIELDS, so its config begins with a reini_lm_settings.
 */
#ifndef REINI_LM_SETTINGS_H
#define REINI_LM_SETTINGS_H

#include <math.h>
#include <stdbool.h>
#include <rein/field.h>

/* Defaults that differ from method to method: one that wants another value defines it before it includes this. */
#ifndef REINI_LM_RATE
#define REINI_LM_RATE "2e-5"
#endif
#ifndef REINI_LM_SCHEDULE
#define REINI_LM_SCHEDULE "linear"
#endif
#ifndef REINI_LM_WARMUP
#define REINI_LM_WARMUP "0"
#endif
#ifndef REINI_LM_LENGTH
#define REINI_LM_LENGTH "1024"
#endif
#ifndef REINI_LM_BATCH
#define REINI_LM_BATCH "8"
#endif
#ifndef REINI_LM_ORDER
#define REINI_LM_ORDER "random"
#endif

/* model and data */
#define REINI_LM_FILE_FIELDS(F, E)                                                                           \
    F(TEXT, model, "none", 0, 0, "folder of the model to start from: config.json and safetensors")           \
    F(TEXT, init, "none", 0, 0, "config.json of a model to start with random weights instead")               \
    F(TEXT, adapter, "none", 0, 0, "folder of a PEFT adapter of that model to go on training")               \
    F(TEXT, tokenizer, "none", 0, 0, "folder of the tokenizer, none = the model's")                          \
    F(TEXT, chat_template, "none", 0, 0, "name or file of a chat template, none = the tokenizer's")          \
    F(TEXT, data, "none", 0, 0, "file of JSON lines to train on")                                            \
    F(TEXT, eval_data, "none", 0, 0, "file of JSON lines to evaluate on")                                    \
    F(REAL, validation_split, "0", 0, 0.9, "share of the data kept to evaluate on, without eval_data")       \
    F(INT, max_length, REINI_LM_LENGTH, 2, 1048576, "tokens of a row, what is longer loses its end")         \
    F(BOOL, skip_bad_rows, "false", 0, 1, "pass over rows that are empty, rather than stop at the first")

/* steps */
#define REINI_LM_STEP_FIELDS(F, E)                                                                           \
    F(REAL, learning_rate, REINI_LM_RATE, 0, 100, "step size of AdamW after the warm-up")                    \
    F(REAL, num_train_epochs, "3", 0, 1e6, "passes over the data")                                           \
    F(INT, max_steps, "-1", -1, 1e12, "updates of the model, in place of epochs; -1 = the epochs decide")    \
    F(INT, per_device_train_batch_size, REINI_LM_BATCH, 1, 1e6, "rows that go through the network together") \
    F(INT, per_device_eval_batch_size, REINI_LM_BATCH, 1, 1e6, "the same in evaluations")                    \
    F(INT, gradient_accumulation_steps, "1", 1, 1e6, "batches of an update: one large batch in less memory") \
    E(lr_scheduler_type, REINI_LM_SCHEDULE, "linear|cosine|constant|constant_with_warmup",                   \
      "course of the step size: to 0, or constant")                                                          \
    F(REAL, warmup_ratio, REINI_LM_WARMUP, 0, 1, "share of the updates in which the step size rises from 0") \
    F(INT, warmup_steps, "0", 0, 1e12, "number of such updates, over warmup_ratio")                          \
    F(REAL, weight_decay, "0", 0, 1, "decoupled decay of matrices; biases and norms have none")              \
    F(REAL, adam_beta1, "0.9", 0, 0.999999, "decay of AdamW's mean")                                         \
    F(REAL, adam_beta2, "0.999", 0, 0.999999999, "decay of AdamW's mean square")                             \
    F(REAL, adam_epsilon, "1e-8", 1e-30, 1, "added to the root of AdamW's mean square")                      \
    F(REAL, max_grad_norm, "1", 0, INFINITY, "longest gradient, 0 = any")                                    \
    E(train_sampling_strategy, REINI_LM_ORDER, "random|sequential", "order of the rows in an epoch")         \
    F(INT, seed, "0", 0, 9e15, "seed of everything random in the run")

/* the network */
#define REINI_LM_NET_FIELDS(F, E)                                                                            \
    E(dtype, "f32", "f32|bf16", "number format of matrix products; weights and moments are f32 either way")  \
    F(BOOL, gradient_checkpointing, "false", 0, 1, "compute layers twice rather than keep what they made")   \
    F(BOOL, use_peft, "false", 0, 1, "train a low-rank adapter (LoRA) beside frozen weights")                \
    F(INT, lora_r, "16", 1, 65536, "rank of the adapter")                                                    \
    F(REAL, lora_alpha, "32", 0, 1e6, "the adapter's product is scaled by lora_alpha / lora_r")              \
    F(REAL, lora_dropout, "0.05", 0, 0.99, "share of the adapter's inputs dropped in training")              \
    F(TEXT, lora_target_modules, "default", 0, 0,                                                            \
      "layers with an adapter: all-linear, or names such as q_proj,v_proj (the default)")                    \
    F(BOOL, use_rslora, "false", 0, 1, "scale by lora_alpha / sqrt(lora_r) instead")

/* watching and saving */
#define REINI_LM_RUN_FIELDS(F, E)                                                                            \
    F(INT, threads, "0", 0, 1024, "worker threads, 0 = one per core; never changes results")                 \
    F(INT, logging_steps, "10", 1, 1e9, "updates between rows of metrics.csv")                               \
    F(INT, eval_steps, "0", 0, 1e12, "updates between evaluations, 0 = an epoch")                            \
    F(INT, save_steps, "500", 0, 1e12, "updates between checkpoints, 0 = at the end only")                   \
    E(save_dtype, "auto", "auto|f32|bf16", "number format of saved weights, auto = dtype")

#define REINI_LM_FIELDS(F, E)                                                                                \
    REINI_LM_FILE_FIELDS(F, E)                                                                               \
    REINI_LM_STEP_FIELDS(F, E) REINI_LM_NET_FIELDS(F, E) REINI_LM_RUN_FIELDS(F, E)

typedef struct reini_lm_settings {
    REIN_FIELDS_STRUCT(REINI_LM_FIELDS)
} reini_lm_settings;

enum { REINI_LR_LINEAR, REINI_LR_COSINE, REINI_LR_CONSTANT, REINI_LR_CONSTANT_WITH_WARMUP };

/* Is the text of a field other than "none"? */
bool reini_lm_given(const char *text);
/* Is an adapter trained, new (use_peft) or from a folder? */
bool reini_lm_has_adapter(const reini_lm_settings *s);

/* ---- how long, how fast ------------------------------------------------------------------------------------ */

/* Updates of an epoch of `rows` rows, and of the whole training. */
int64_t reini_lm_epoch_steps(const reini_lm_settings *s, int64_t rows);
int64_t reini_lm_total_steps(const reini_lm_settings *s, int64_t rows);
/* Step size of update k (from 0) of `total`. */
double reini_lm_rate(const reini_lm_settings *s, int64_t k, int64_t total);

#endif
