/*
 * crew.h - whether worker threads are worth their handovers, found out while learning.
 *
 * An update of small networks is over in a tenth of a millisecond, and what a second core saves of it, the weights that go
 * from core to core may cost again; which of the two is more depends on the machine, on a shared one on the hour. So some
 * updates are timed, in turns with all workers and with the caller alone, and the faster way is kept until the next
 * trial. The bits of an update are the same for any number of workers, so this decides about time and nothing else.
 */
#ifndef REINI_CREW_H
#define REINI_CREW_H

#include <stdbool.h>
#include <stdint.h>
#include <rein/tensor.h>

/* updates timed together, such blocks in a trial (every other one alone), and updates from trial to trial */
enum { REINI_CREW_BLOCK = 32, REINI_CREW_TRIALS = 6, REINI_CREW_PERIOD = 4096 };

typedef struct reini_crew {
    rein_pool *pool;
    double (*seconds)(void);
    int64_t updates;
    double begun;   /* of the block */
    double best[2]; /* seconds of the fastest block of this trial: all workers, alone */
    bool alone;
} reini_crew;

/* pool: NULL or one worker = there is nothing to find out. */
reini_crew reini_crew_make(rein_pool *pool);
/* Around every update. Between them the pool is as it was: environments and evaluations have all workers. */
void reini_crew_begin(reini_crew *crew);
void reini_crew_end(reini_crew *crew);

#endif
