/*
 * pool.c - worker threads that hand over work in well under a microsecond.
 *
 * Work is announced by a generation number. Workers spin on it for a while, because the next call usually comes
 * within microseconds, and then sleep on a condition variable. The caller is worker 0.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <rein/tensor.h>
#include "base/base.h"

/* spins before a worker sleeps (some tens of microseconds) and before a waiting caller yields its core */
enum { SPINS_BEFORE_SLEEP = 20000, SPINS_BEFORE_YIELD = 4000 };

struct rein_pool {
    int threads;
    pthread_t *thread; /* threads - 1 */
    _Alignas(64) atomic_uint generation;
    _Alignas(64) atomic_int running; /* workers not yet done with the current generation */
    _Alignas(64) atomic_int sleeping;
    void (*fn)(void *user, int worker, int workers);
    void *user;
    bool quit;
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

static unsigned wait_for_work(rein_pool *pool, unsigned seen) {
    for (int i = 0; i < SPINS_BEFORE_SLEEP; i++) {
        unsigned now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (now != seen)
            return now;
        pause_core();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleeping, 1);
    unsigned now;
    while ((now = atomic_load(&pool->generation)) == seen)
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleeping, 1);
    pthread_mutex_unlock(&pool->mutex);
    return now;
}

static void *work(void *argument) {
    start *s = argument;
    rein_pool *pool = s->pool;
    int worker = s->worker;
    reini_free(s);
    for (unsigned seen = 0;;) {
        seen = wait_for_work(pool, seen);
        if (pool->quit)
            return NULL;
        pool->fn(pool->user, worker, pool->threads);
        atomic_fetch_sub_explicit(&pool->running, 1, memory_order_release);
    }
}

static void announce(rein_pool *pool) {
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleeping) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
}

void rein_pool_run(rein_pool *pool, void (*fn)(void *user, int worker, int workers), void *user) {
    if (pool == NULL || pool->threads == 1) {
        fn(user, 0, 1);
        return;
    }
    pool->fn = fn;
    pool->user = user;
    atomic_store_explicit(&pool->running, pool->threads - 1, memory_order_relaxed);
    announce(pool);
    fn(user, 0, pool->threads);
    for (int i = 0; atomic_load_explicit(&pool->running, memory_order_acquire) > 0; i++) {
        pause_core();
        if (i > SPINS_BEFORE_YIELD)
            sched_yield();
    }
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
    /* workers read `threads` only after the first generation, when it is final */
    for (int worker = 1; worker < threads; worker++) {
        if (!spawn(pool, worker)) {
            rein_pool_free(pool);
            return NULL;
        }
        pool->threads = worker + 1;
    }
    return pool;
}

void rein_pool_free(rein_pool *pool) {
    if (pool == NULL)
        return;
    pool->quit = true;
    announce(pool);
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
