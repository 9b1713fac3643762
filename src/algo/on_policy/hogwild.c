/*
 * hogwild.c - steps on shared parameters: a chunk is read, stepped by the optimizer's vector loop, written.
 */
#include "algo/on_policy/hogwild.h"

#include <math.h>
#include "tensor/kernels.h"

enum { CHUNK = 512, SLOTS = 2 }; /* elements stepped at a time; moments beside a parameter, at most */

static int slots_of(const reini_hogwild *h) {
    return h->optim.kind == REIN_OPTIM_ADAM ? 2 : 1;
}

rein_status reini_hogwild_init(reini_hogwild *h, const rein_optim_config *optim, rein_store *store) {
    h->optim = *optim;
    h->store = store;
    rein_layout *layout = rein_store_layout(store);
    rein_param_info last = rein_layout_at(layout, rein_layout_count(layout) - 1);
    h->size = last.offset + last.count;
    atomic_init(&h->steps, 0);
    size_t n = (size_t)(h->size * slots_of(h));
    h->moments = REINI_NEW_ARRAY(float, n);
    return h->moments != NULL ? REIN_OK : reini_fail_memory(n * sizeof(float), "optimizer moments");
}

void reini_hogwild_release(reini_hogwild *h) {
    reini_free(h->moments);
}

rein_status reini_hogwild_visit(reini_hogwild *h, reini_archive *archive) {
    long long steps = atomic_load(&h->steps);
    size_t bytes = (size_t)(h->size * slots_of(h)) * sizeof(float);
    REINI_TRY(reini_archive_bytes(archive, "hogwild.moments", h->moments, bytes));
    REINI_TRY(reini_archive_bytes(archive, "hogwild.steps", &steps, sizeof steps));
    atomic_store(&h->steps, steps);
    return REIN_OK;
}

/* ---- shared numbers ------------------------------------------------------------------------------------ */

static void read_shared(float *to, const float *shared, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        __atomic_load(&shared[i], &to[i], __ATOMIC_RELAXED);
}

static void write_shared(float *shared, float *from, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        __atomic_store(&shared[i], &from[i], __ATOMIC_RELAXED);
}

int64_t reini_hogwild_read(reini_hogwild *h, rein_store *to) {
    int64_t steps = atomic_load_explicit(&h->steps, memory_order_relaxed);
    read_shared(rein_store_data(to), rein_store_view(h->store), h->size);
    return steps;
}

/* ---- a step -------------------------------------------------------------------------------------------- */

size_t reini_hogwild_scratch(void) {
    return (1 + SLOTS) * CHUNK * sizeof(float);
}

static reini_adam_args adam_args(const reini_hogwild *h, int64_t number, double rate, double scale) {
    const rein_optim_config *o = &h->optim;
    double beta1 = (double)(float)o->beta1, beta2 = (double)(float)o->beta2, t = (double)(number + 1);
    return (reini_adam_args){.rate = (float)rate,
                             .beta1 = (float)o->beta1,
                             .beta2 = (float)o->beta2,
                             .eps = (float)o->eps,
                             .correct1 = (float)(1 / (1 - pow(beta1, t))),
                             .correct2 = (float)(1 / (1 - pow(beta2, t))),
                             .grad_scale = (float)scale};
}

reini_hogwild_result reini_hogwild_step(reini_hogwild *h, const rein_store *gradient, double rate,
                                        float *scratch) {
    const reini_vector_ops *ops = reini_vector_ops_best();
    const float *grad = rein_store_view(gradient);
    float *param = rein_store_data(h->store), *p = scratch, *m = p + CHUNK, *v = m + CHUNK;
    bool adam = h->optim.kind == REIN_OPTIM_ADAM;
    double norm = sqrt(ops->sum_squares(grad, h->size)), limit = h->optim.max_grad_norm;
    if (!isfinite(norm))
        return (reini_hogwild_result){.grad_norm = norm, .skipped = true};
    double scale = limit > 0 ? fmin(1, limit / (norm + 1e-6)) : 1;
    int64_t number = atomic_fetch_add_explicit(&h->steps, 1, memory_order_relaxed);
    reini_adam_args args = adam_args(h, number, rate, scale);
    for (int64_t at = 0; at < h->size; at += CHUNK) {
        int64_t n = h->size - at < CHUNK ? h->size - at : CHUNK;
        read_shared(p, param + at, n);
        read_shared(m, h->moments + at, n);
        if (adam) {
            read_shared(v, h->moments + h->size + at, n);
            ops->adam(p, m, v, grad + at, n, &args);
            write_shared(h->moments + h->size + at, v, n);
        } else {
            ops->rmsprop(p, m, grad + at, n, (float)rate, (float)h->optim.alpha, (float)h->optim.eps,
                         (float)scale);
        }
        write_shared(h->moments + at, m, n);
        write_shared(param + at, p, n);
    }
    return (reini_hogwild_result){.grad_norm = norm, .number = number};
}
