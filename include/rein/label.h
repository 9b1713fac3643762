/*
 * label.h - preferences among answers: which of two is better, how several rank, which are good; decided by a person, a
 * program or a reward, and written as the rows that `rein train reward|dpo|kto|rrhf` read.
 *
 *     rein_label_opts opts = {.data = "answers.jsonl", .out = "preferences.jsonl"};
 *     rein_label *label;
 *     rein_label_question q;
 *     rein_status status = rein_label_open(&opts, &label);
 *     while (status == REIN_OK && rein_label_next(label, &q)) {
 *         show(q.prompt, q.answers[0], q.answers[1]);
 *         status = rein_label_decide(label, "2");
 *     }
 *     rein_label_close(label);
 *
 * Every decision is one row, on the disk before the call returns; a labelling that was killed goes on where it stopped.
 */
#ifndef REIN_LABEL_H
#define REIN_LABEL_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <rein/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rein_label_opts {
    const char *
        data; /* JSON lines: "prompt" and "completion", neighbours with the same prompt belong together, as `rein
                         generate --n` writes them; or "prompt" (or "query") and "responses" */
    const char *out; /* rows with a preference; ties and skips go to OUT.undecided */
    const char *as;  /* "pairs" (also NULL), "ranking" or "unpaired" */
    uint64_t seed;   /* of the order in which answers are shown, and of which are paired */
    int pairs;       /* of a prompt, at most; 0 = so that every answer is in one; -1 = all */
    int skipped;     /* 1: what was skipped is asked again */
} rein_label_opts;

typedef struct rein_label rein_label;

REIN_API rein_status rein_label_open(const rein_label_opts *opts, rein_label **out);
REIN_API void rein_label_close(rein_label *label); /* NULL is accepted */

typedef struct rein_label_state {
    int64_t questions;              /* in all */
    int64_t decided, ties, skipped; /* of them; decided counts ties and skips too */
    int64_t rows;                   /* with a preference, in `out` */
    int64_t others; /* decisions in the files about answers that are not among the questions */
} rein_label_state;
REIN_API rein_label_state rein_label_look(const rein_label *label);

typedef struct rein_label_question {
    int64_t number;             /* from 1 */
    int64_t line;               /* of the first of its answers in `data` */
    const char *prompt;         /* messages as "[role]" and what was said */
    const char *const *answers; /* [n] in the order to be shown */
    int n;                      /* 2 of a pair, 1 unpaired */
} rein_label_question;
/* The first open question, valid until the next call; 0 when none is left. */
REIN_API int rein_label_next(rein_label *label, rein_label_question *question);

/* Decides the first open question. Of several answers: their numbers, from 1, best first, as in "2 > 1 = 3" (">" may be a
 * comma or a space); those not named share the last place; "=" is a tie of all. Of one: "good" or "bad" (y, n). "skip"
 * (s) in either case. What cannot be understood is REIN_USAGE with a sentence that says what is expected. */
REIN_API rein_status rein_label_decide(rein_label *label, const char *choice);
/* The last decision as it was understood, "2 > 1 = 3"; valid until the next call. */
REIN_API const char *rein_label_last(const rein_label *label);
/* Takes the last decision back, out of the file too: its question is the next open one. REIN_USAGE when there is none. */
REIN_API rein_status rein_label_undo(rein_label *label);

/* Who decides instead of a person: one of command and reward. */
typedef struct rein_label_judge {
    const char *command; /* asked in JSON lines; docs/labelling.md */
    const char *reward; /* as --reward of `rein train grpo`: the higher, the better; unpaired: good above 0 */
    int both_orders; /* 1: a program is asked twice, the other way round too, and its two verdicts are joined */
    const char *tokenizer; /* folder, for rewards that count tokens or are models */
    const char *chat_template;
    double timeout;                 /* seconds of a program for a question */
    int restarts;                   /* of a program that died or hung */
    int64_t memory_mb, cpu_seconds; /* of a program's processes, each; 0 = any */
    int threads;                    /* of a reward model; 0 = one per core */
    /* after every decision */
    void (*on_decision)(void *user, const rein_label *label);
    void *user;
    const volatile sig_atomic_t *stop; /* may be NULL */
} rein_label_judge;

/* Decides every open question. What was decided stays when it fails. */
REIN_API rein_status rein_label_run(rein_label *label, const rein_label_judge *judge);

#ifdef __cplusplus
}
#endif
#endif
