/*
 * pool.c - worker threads that share out small tasks in well under a microsecond.
 *
 * A call opens a gate: one word that holds a generation, how many workers are invited, whether it is open, and how many
 * are inside. Workers spin on it for a while, because the next call usually comes within microseconds, and then sleep;
 * few tasks invite the first workers only and let the others sleep on. Whoever is inside claims tasks, its own share
 * first and then anybody's, so a call never waits for a worker that the system has not scheduled: the caller does the
 * work itself, closes the gate, and waits only for those who came in.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <rein/tensor.h>
#include "base/base.h"
#include "base/pool.h"

/* spins before a worker sleeps (about 0.2 ms) and before a waiting caller yields its core */
enum { SPINS_BEFORE_SLEEP = 4000, SPINS_BEFORE_YIELD = 400 };
/* tasks are claimed in at most this many groups, one bit each */
enum { GROUPS = 64 };

#define INSIDE     UINT64_C(0xFFFF)
#define OPEN       UINT64_C(0x10000)
#define INVITED    UINT64_C(0x20000) /* times 0 to EVERYBODY */
#define GENERATION UINT64_C(0x1000000)
#define EVERYBODY  127

struct rein_pool {
    int threads;
    pthread_t *thread; /* threads - 1 */
    _Alignas(64) _Atomic uint64_t gate;
    _Alignas(64) _Atomic uint64_t claimed; /* a bit for each group */
    _Alignas(64) _Atomic uint64_t asleep;  /* a bit for each worker that few tasks may invite */
    void (*fn)(void *user, int task, int worker);
    void *user;
    int tasks, groups;
    bool quit, alone; /* alone: the caller's */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
};

typedef struct start {
    rein_pool *pool;
    int worker;
} start;

static void pause_core(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- tasks ---------------------------------------------------------------------------------------------- */

static void run_group(rein_pool *pool, int group, int worker) {
    uint64_t bit = UINT64_C(1) << group;
    if (atomic_load_explicit(&pool->claimed, memory_order_relaxed) & bit)
        return;
    if (atomic_fetch_or_explicit(&pool->claimed, bit, memory_order_relaxed) & bit)
        return;
    int begin = (int)((int64_t)pool->tasks * group / pool->groups);
    int end = (int)((int64_t)pool->tasks * (group + 1) / pool->groups);
    for (int task = begin; task < end; task++)
        pool->fn(pool->user, task, worker);
}

/* From the worker's own share on, round to its start: the same worker gets the same tasks when all are in time. */
static void run_tasks(rein_pool *pool, int worker) {
    int workers = pool->groups < pool->threads ? pool->groups : pool->threads;
    int first = pool->groups * worker / workers;
    for (int i = 0; i < pool->groups; i++)
        run_group(pool, (first + i) % pool->groups, worker);
}

/* ---- workers -------------------------------------------------------------------------------------------- */

static bool is_invited(uint64_t gate, int worker) {
    int invited = (int)(gate % GENERATION / INVITED);
    return worker < invited || invited == EVERYBODY;
}

/* a call after the one seen, that this worker is to take part in */
static bool is_call(uint64_t gate, uint64_t seen, int worker) {
    return gate / GENERATION != seen && is_invited(gate, worker);
}

static uint64_t bit_of(int worker) {
    return worker < GROUPS ? UINT64_C(1) << worker : 0;
}

static uint64_t wait_for_gate(rein_pool *pool, uint64_t seen, int worker) {
    uint64_t gate;
    for (int i = 0; i < SPINS_BEFORE_SLEEP; i++) {
        gate = atomic_load_explicit(&pool->gate, memory_order_acquire);
        if (is_call(gate, seen, worker))
            return gate;
        pause_core();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_or(&pool->asleep, bit_of(worker));
    while (!is_call(gate = atomic_load(&pool->gate), seen, worker))
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_and(&pool->asleep, ~bit_of(worker));
    pthread_mutex_unlock(&pool->mutex);
    return gate;
}

/* Steps inside while the gate of this generation is open. */
static bool enter(rein_pool *pool, uint64_t gate) {
    uint64_t generation = gate / GENERATION;
    while ((gate & OPEN) && gate / GENERATION == generation)
        if (atomic_compare_exchange_weak_explicit(&pool->gate, &gate, gate + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void *work(void *argument) {
    start *s = argument;
    rein_pool *pool = s->pool;
    int worker = s->worker;
    reini_free(s);
    for (uint64_t seen = 0;;) {
        uint64_t gate = wait_for_gate(pool, seen, worker);
        seen = gate / GENERATION;
        if (!enter(pool, gate))
            continue;
        bool quit = pool->quit;
        if (!quit)
            run_tasks(pool, worker);
        atomic_fetch_sub_explicit(&pool->gate, 1, memory_order_release);
        if (quit)
            return NULL;
    }
}

/* ---- callers -------------------------------------------------------------------------------------------- */

static void open_gate(rein_pool *pool, int invited) {
    uint64_t generation = atomic_load_explicit(&pool->gate, memory_order_relaxed) / GENERATION + 1;
    uint64_t meant = invited < GROUPS ? (UINT64_C(1) << invited) - 1 : ~UINT64_C(0);
    atomic_store(&pool->gate, generation * GENERATION | (uint64_t)invited * INVITED | OPEN);
    if ((atomic_load(&pool->asleep) & meant) != 0 || invited == EVERYBODY) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
}

static void close_gate(rein_pool *pool) {
    uint64_t gate = atomic_fetch_and_explicit(&pool->gate, ~OPEN, memory_order_acquire);
    for (int i = 0; gate & INSIDE; i++) {
        pause_core();
        if (i > SPINS_BEFORE_YIELD)
            sched_yield();
        gate = atomic_load_explicit(&pool->gate, memory_order_acquire);
    }
}

void rein_pool_run(rein_pool *pool, int tasks, void (*fn)(void *user, int task, int worker), void *user) {
    if (pool == NULL || pool->threads == 1 || pool->alone || tasks <= 1) {
        for (int task = 0; task < tasks; task++)
            fn(user, task, 0);
        return;
    }
    pool->fn = fn;
    pool->user = user;
    pool->tasks = tasks;
    pool->groups = tasks < GROUPS ? tasks : GROUPS;
    atomic_store_explicit(&pool->claimed, 0, memory_order_relaxed);
    open_gate(pool, pool->groups);
    run_tasks(pool, 0);
    close_gate(pool);
}

void reini_pool_alone(rein_pool *pool, bool alone) {
    if (pool != NULL)
        pool->alone = alone;
}

static bool spawn(rein_pool *pool, int worker) {
    start *s = REINI_NEW(start);
    if (s == NULL)
        return false;
    s->pool = pool;
    s->worker = worker;
    if (pthread_create(&pool->thread[worker - 1], NULL, work, s) == 0)
        return true;
    reini_free(s);
    return false;
}

rein_pool *rein_pool_new(int threads) {
    rein_pool *pool = REINI_NEW(rein_pool);
    if (pool == NULL)
        return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->threads = 1;
    pool->thread = REINI_NEW_ARRAY(pthread_t, (size_t)(threads > 1 ? threads : 1));
    if (pool->thread == NULL) {
        rein_pool_free(pool);
        return NULL;
    }
    /* workers read `threads` only inside the gate, when it is final */
    for (int worker = 1; worker < threads; worker++) {
        if (!spawn(pool, worker)) {
            rein_pool_free(pool);
            return NULL;
        }
        pool->threads = worker + 1;
    }
    return pool;
}

/* The gate stays open until every worker has gone through it. */
void rein_pool_free(rein_pool *pool) {
    if (pool == NULL)
        return;
    pool->quit = true;
    open_gate(pool, EVERYBODY);
    for (int i = 0; i + 1 < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    reini_free(pool->thread);
    reini_free(pool);
}

int rein_pool_threads(const rein_pool *pool) {
    return pool != NULL ? pool->threads : 1;
}
