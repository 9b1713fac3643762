/*
 * memory_loss.h - losses over batches drawn from a replay memory: what the graphs of actor-critic methods share.
 *
 * A graph gathers its batch from the memory by number, so nothing is copied before an update. Begin, build the loss
 * from now, action, next and the target, finish, bind; then run.
 */
#ifndef REINI_MEMORY_LOSS_H
#define REINI_MEMORY_LOSS_H

#include "algo/algo.h"
#include "rl/replay.h"

typedef struct reini_memory_loss {
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    int64_t batch_size;
    int rows, observations, transitions;                     /* extents: of a batch, and of the memory */
    int actor, online, target, old;                          /* slots, as far as the method declares them */
    rein_tensor *row, *next_row, *index, *reward, *discount; /* (rows x 1), NULL when not used */
    rein_tensor *obs, *action;                               /* (memory x ...), NULL when not used */
    rein_tensor *key;                                        /* of random numbers */
    rein_tensor *loss, *mean;                                /* outputs; mean is the method's to choose */
} reini_memory_loss;

/* A graph with the memory's extents and a key. */
rein_status reini_memory_loss_begin(reini_memory_loss *l, const rein_env_type *env,
                                    const reini_replay *replay, int64_t batch_size);
/* Observations acted on and led to, actions taken: (rows x ...). */
rein_tensor *reini_loss_now(reini_memory_loss *l);
rein_tensor *reini_loss_next(reini_memory_loss *l);
rein_tensor *reini_loss_action(reini_memory_loss *l, const rein_env_type *env);
/* y = R + discount x follows, R alone where the episode ended; no gradient flows through it. */
rein_tensor *reini_loss_target(reini_memory_loss *l, rein_tensor *follows);
/* Compiles loss, mean and what else the graph has. */
rein_status reini_memory_loss_finish(reini_memory_loss *l, const reini_context *context);
/* All that is read from memory and batch; stores and gradients are the method's. */
void reini_memory_loss_bind(const reini_memory_loss *l, const reini_replay *replay, const reini_batch *batch);
void reini_memory_loss_release(reini_memory_loss *l);

/* Rules that these methods have in common; name: the method's. */
rein_status reini_loss_check(const char *name, const reini_context *context, int64_t buffer_size,
                             int64_t n_envs, int64_t gradient_steps);

#endif
