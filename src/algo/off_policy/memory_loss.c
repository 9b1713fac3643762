/*
 * memory_loss.c - losses over batches drawn from a replay memory.
 */
#include "algo/off_policy/memory_loss.h"

#include <string.h>
#include "tensor/graph.h"

rein_status reini_memory_loss_begin(reini_memory_loss *l, const rein_env_type *env,
                                    const reini_replay *replay, int64_t batch_size) {
    memset(l, 0, sizeof *l);
    l->batch_size = batch_size;
    l->g = rein_graph_new(REIN_F32);
    if (l->g == NULL)
        return reini_fail_memory(1 << 16, "a loss");
    l->rows = rein_extent(l->g, "rows", batch_size);
    l->observations = rein_extent(l->g, "observations", replay->rows);
    l->transitions = rein_extent(l->g, "transitions", replay->capacity);
    l->obs = rein_input(l->g, "obs", REIN_F32, l->observations, 1, &env->obs.size);
    l->key = rein_key(l->g, "key");
    return REIN_OK;
}

static rein_tensor *column(reini_memory_loss *l, rein_tensor **input, const char *name, rein_dtype dtype) {
    if (*input == NULL)
        *input = rein_input(l->g, name, dtype, l->rows, 1, (int[]){1});
    return *input;
}

rein_tensor *reini_loss_now(reini_memory_loss *l) {
    return rein_gather(l->obs, column(l, &l->row, "row", REIN_I32));
}

rein_tensor *reini_loss_next(reini_memory_loss *l) {
    return rein_gather(l->obs, column(l, &l->next_row, "next_row", REIN_I32));
}

rein_tensor *reini_loss_action(reini_memory_loss *l, const rein_env_type *env) {
    if (l->action == NULL)
        l->action = rein_input(l->g, "action", REIN_F32, l->transitions, 1, &env->act.size);
    return rein_gather(l->action, column(l, &l->index, "index", REIN_I32));
}

rein_tensor *reini_loss_target(reini_memory_loss *l, rein_tensor *follows) {
    rein_tensor *reward = column(l, &l->reward, "reward", REIN_F32);
    rein_tensor *discount = column(l, &l->discount, "discount", REIN_F32);
    /* chosen, not multiplied by 0: where an episode ended, no number that follows may count */
    follows = rein_where(discount, rein_mul(discount, follows), rein_constant(l->g, 0));
    return rein_stop_gradient(rein_add(reward, follows));
}

/* Equal tiles, so that no thread gets a rest, of at most 64 rows; where a gradient is larger than the nearest caches
 * of at most 128, since every lane of tiles sums one of its own. */
static int tile_of(const rein_graph *g, int64_t rows) {
    enum { LARGE_GRADIENT = 32768 };
    int64_t most = 64;
    for (int i = 0; i < g->n_slots; i++)
        if (g->slot[i]->size > LARGE_GRADIENT)
            most = 128;
    int64_t tiles = (rows + most - 1) / most, each = (rows + tiles - 1) / tiles;
    return (int)((each + 3) / 4 * 4);
}

rein_status reini_memory_loss_finish(reini_memory_loss *l, const reini_context *context) {
    enum { CRITICS = 2 };
    int tile = tile_of(l->g, l->batch_size), threads = rein_pool_threads(context->pool);
    int64_t tiles = (l->batch_size + tile - 1) / tile;
    /* a critic a worker, where sharing rows would not occupy more of them */
    bool branches = threads > 1 && (threads <= CRITICS || tiles <= CRITICS);
    REINI_TRY(rein_compile(
        l->g, &(rein_compile_opts){.matmul = context->matmul, .tile = tile, .branches = branches},
        &l->program));
    return rein_exec_new(l->program, context->pool, &l->exec);
}

void reini_memory_loss_bind(const reini_memory_loss *l, const reini_replay *replay,
                            const reini_batch *batch) {
    const struct {
        const rein_tensor *input;
        const void *data;
    } bound[] = {
        {l->obs, replay->obs},          {l->action, replay->action},    {l->row, batch->row},
        {l->index, batch->index},       {l->next_row, batch->next_row}, {l->reward, batch->reward},
        {l->discount, batch->discount},
    };
    for (size_t i = 0; i < sizeof bound / sizeof *bound; i++)
        if (bound[i].input != NULL)
            rein_exec_bind(l->exec, bound[i].input, bound[i].data, 0);
    rein_exec_rows(l->exec, l->rows, batch->capacity);
    rein_exec_rows(l->exec, l->observations, replay->rows);
    rein_exec_rows(l->exec, l->transitions, replay->capacity);
}

void reini_memory_loss_release(reini_memory_loss *l) {
    rein_exec_free(l->exec);
    rein_program_free(l->program);
    rein_graph_free(l->g);
    memset(l, 0, sizeof *l);
}

rein_status reini_loss_check(const char *name, const reini_context *context, int64_t buffer_size,
                             int64_t n_envs, int64_t gradient_steps) {
    const rein_env_type *env = context->env;
    if (env->act.kind != REIN_SPACE_BOX)
        return reini_fail(REIN_USAGE, "%s needs box actions, %s takes others: dqn or ppo fit", name, env->id);
    if (env->obs.kind != REIN_SPACE_BOX)
        return reini_fail(REIN_USAGE, "%s needs box observations, %s gives %s: ppo, a2c and trpo fit", name,
                          env->id, env->obs.kind == REIN_SPACE_IMAGE ? "images" : "others");
    if (buffer_size < n_envs)
        return reini_fail(REIN_USAGE, "buffer_size: %lld is less than one step of n_envs = %lld environments",
                          (long long)buffer_size, (long long)n_envs);
    if (gradient_steps == 0)
        return reini_fail(REIN_USAGE, "gradient_steps: 0 learns nothing; 1 or more, or -1 for as many as "
                                      "environment steps were made");
    return REIN_OK;
}
