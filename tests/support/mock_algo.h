/*
 * mock_algo.h - an algorithm and an environment for tests of the trainer: small, fast, deterministic, with
 * all the kinds of state that a real one has (environments, random streams, parameters, counters).
 */
#ifndef MOCK_ALGO_H
#define MOCK_ALGO_H

#include "algo/algo.h"

/* "mock": random search on a policy. Fields: n_envs, n_steps, rate, trouble. */
extern const reini_algo mock_algo;
/* The same under the name "other", with a different state. */
extern const reini_algo mock_other_algo;

/* Called at the end of every iteration with its number from 1, unless NULL. */
extern void (*mock_hook)(int64_t iteration);
/* What mock_algo.extend was told last, 0 = not called. */
extern int64_t mock_extended;

/* A walk on a line with two actions, ends at the borders or after 40 steps; "env.push" is its step width. */
#define MOCK_ENV "MockWalk-v0"
void mock_env_register(void); /* any number of times */

#endif
