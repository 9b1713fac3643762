/*
 * crew.c - whether worker threads are worth their handovers.
 */
#include "rl/crew.h"

#include <math.h>
#include "base/clock.h"
#include "base/pool.h"

static double now(void) {
    return reini_seconds();
}

reini_crew reini_crew_make(rein_pool *pool) {
    return (reini_crew){.pool = pool, .seconds = now};
}

/* The first updates of a period are the trial, block by block; what they say holds for the rest. */
static void choose(reini_crew *crew) {
    int64_t at = crew->updates % REINI_CREW_PERIOD, block = at / REINI_CREW_BLOCK;
    if (at % REINI_CREW_BLOCK != 0 || block > REINI_CREW_TRIALS)
        return;
    double seconds = crew->seconds();
    if (block == 0)
        crew->best[0] = crew->best[1] = INFINITY;
    else
        crew->best[crew->alone] = fmin(crew->best[crew->alone], seconds - crew->begun);
    crew->alone = block < REINI_CREW_TRIALS ? block % 2 == 1 : crew->best[1] < crew->best[0];
    crew->begun = seconds;
}

void reini_crew_begin(reini_crew *crew) {
    if (rein_pool_threads(crew->pool) == 1)
        return;
    choose(crew);
    crew->updates++;
    reini_pool_alone(crew->pool, crew->alone);
}

void reini_crew_end(reini_crew *crew) {
    reini_pool_alone(crew->pool, false);
}
