/*
 * reward.h - how good an answer is: a weighted sum of rewards, named by one line of text.
 *
 *     number                                              1 where the last number of the answer is the row's solution
 *     exact + 0.2 format(<answer>.*</answer>)
 *     model(runs/reward/model) - 0.001 length
 *     command(python3 run_tests.py) - 0.5 repetition(3)
 *
 * Terms are joined by + and -, each with an optional number before its name and an optional argument in parentheses,
 * which may hold balanced parentheses; a backslash keeps the next character from counting. "@FILE" reads the line from
 * a file.
 *
 *     exact(COLUMN)        the answer, without white space around it, is the text of the row's column (default: solution)
 *     normalised(COLUMN)   the same up to case, runs of white space, punctuation around, and commas in numbers
 *     number(COLUMN)       the last number of the answer equals the last number of the column
 *     regex(PATTERN)       the pattern occurs in the answer (PCRE2, dots match line ends)
 *     format(PATTERN)      the whole answer is of that form (default: one <think>...</think>, then the rest)
 *     length               tokens of the answer: a price, with a negative weight
 *     overlong(MAX,SOFT)   0 up to MAX - SOFT tokens, falling to -1 at MAX (Yu et al. 2025, arXiv 2503.14476, eq. 13)
 *     repetition(N)        minus the share of n-grams of N tokens (default 3) that are repetitions
 *     ended                1 where the answer ended by itself, 0 where it was cut off
 *     model(FOLDER)        the score of a reward model for prompt and answer
 *     command(COMMAND)     what an external program says: reward_command.h
 *
 * Columns that a reward reads are looked for before training. A reward may have no opinion of an answer (a command
 * answers null); it is left out of the sum then, and an answer of which no reward has an opinion has none: NAN. What is
 * not a number otherwise is an error that names the row and the reward.
 */
#ifndef REINI_REWARD_H
#define REINI_REWARD_H

#include <jansson.h>
#include <rein/tensor.h>
#include "base/base.h"
#include "lm/lm_weights.h"

enum { REINI_REWARDS_MAX = 8 };

/* What a reward sees of an answer. */
typedef struct reini_reward_item {
    const json_t *row;  /* of the data, with its columns */
    int64_t line;       /* where it stands */
    const char *prompt; /* as the model read it */
    const char *text;   /* the answer, 0-terminated, without special tokens */
    const int32_t *prompt_ids, *ids;
    int n_prompt, n; /* tokens, the one that ends the answer included */
    bool ended;      /* by itself */
} reini_reward_item;

typedef struct reini_reward_opts {
    const char *data;      /* name of the rows' file, for sentences */
    double timeout;        /* seconds that a command has for one batch of answers */
    int restarts;          /* of a command that died or hung, for one batch */
    int64_t memory_mb;     /* of a command's processes, each; 0 = any */
    int64_t cpu_seconds;   /* of a command's processes, each; 0 = any */
    int batch_tokens;      /* of prompts and answers that a reward model scores at a time, at most */
    rein_dtype products;   /* of a reward model */
    const char *tokenizer; /* folder of the policy's tokenizer: a reward model's must be the same */
    /* frozen weights that are in memory already and the folder they came from: a reward model that is an adapter of them
     * reads them there. NULL: none */
    const reini_lm_weights *weights;
    const char *folder;
    rein_pool *pool;
} reini_reward_opts;

typedef struct reini_rewards reini_rewards;

rein_status reini_rewards_new(const char *spec, const reini_reward_opts *opts, reini_rewards **out);
/* The line with whole paths in place of those that are read from the directory the process is in: "@FILE", model(FOLDER),
 * and the words of a command that are files. What does not fit into `out` stays as it is. */
void reini_rewards_anchor(const char *spec, char *out, size_t size);
void reini_rewards_free(reini_rewards *r);
int reini_rewards_count(const reini_rewards *r);
/* "number", or with several of a kind "regex", "regex_2", ... */
const char *reini_rewards_name(const reini_rewards *r, int i);
double reini_rewards_weight(const reini_rewards *r, int i);
/* Does the row have what the rewards read? Named by file, line and column. */
rein_status reini_rewards_check_row(const reini_rewards *r, const json_t *row, int64_t line);
/* each: [n x count] rewards without weights, NAN = no opinion; total: [n] weighted sums. */
rein_status reini_rewards_score(reini_rewards *r, const reini_reward_item *items, int n, double *each,
                                double *total);

#endif
