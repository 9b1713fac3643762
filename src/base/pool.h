/*
 * pool.h - worker threads: what the library alone uses of them.
 */
#ifndef REINI_POOL_H
#define REINI_POOL_H

#include <stdbool.h>
#include <rein/tensor.h>

/* From now on every call runs on the caller, or on all workers again. Between calls only. NULL does nothing. */
void reini_pool_alone(rein_pool *pool, bool alone);

#endif
