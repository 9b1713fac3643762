/*
 * hogwild.h - parameters and optimizer statistics that several threads update at once, without locks.
 *
 * F. Niu, B. Recht, C. Re, S. Wright: Hogwild!: A Lock-Free Approach to Parallelizing Stochastic Gradient Descent,
 * NIPS 2011 (arXiv 1106.5730). A step reads what is there, computes, and writes; a step of another thread in between
 * may be lost in part. Every number is read and written by relaxed atomic operations, which compile to plain moves:
 * no number is ever torn and no race is undefined, but which steps win is decided by the machine. In one thread a
 * step is rein_optim_step to the bit (Adam but for rounding).
 */
#ifndef REINI_HOGWILD_H
#define REINI_HOGWILD_H

#include <stdatomic.h>
#include "base/archive.h"
#include "rl/learner.h"

typedef struct reini_hogwild {
    rein_optim_config optim; /* Adam or RMSprop */
    rein_store *store;       /* the parameters, the caller's */
    int64_t size;            /* of the store, up to its last parameter */
    float *moments;          /* (slots x size)  shared like the parameters */
    atomic_llong steps;
} reini_hogwild;

rein_status reini_hogwild_init(reini_hogwild *h, const rein_optim_config *optim, rein_store *store);
void reini_hogwild_release(reini_hogwild *h);
rein_status reini_hogwild_visit(reini_hogwild *h, reini_archive *archive);

/* Copies the parameters into a store of the same layout; returns the steps made so far. */
int64_t reini_hogwild_read(reini_hogwild *h, rein_store *to);

typedef struct reini_hogwild_result {
    double grad_norm;
    bool skipped;   /* the gradient was not finite, nothing changed */
    int64_t number; /* of the step, from 0 */
} reini_hogwild_result;

/* Bytes of scratch a thread needs, and one step with a gradient of its own. */
size_t reini_hogwild_scratch(void);
reini_hogwild_result reini_hogwild_step(reini_hogwild *h, const rein_store *gradient, double rate,
                                        float *scratch);

#endif
