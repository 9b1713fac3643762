/*
 * twin.c - critics of continuous actions.
 */
#include "rl/twin.h"

#include "tensor/optim_state.h"

enum { CRITIC_STREAM = 0x43524954 };

rein_tensor *reini_twin_one(const reini_twin *twin, int slot, int k, rein_tensor *obs, rein_tensor *action) {
    static const rein_init init = {REIN_INIT_KAIMING,
                                   0.57735026918962576}; /* 1 / sqrt(3): PyTorch's default */
    const char *names[] = {"q0", "q1"};
    rein_tensor *x = rein_concat(obs, action);
    rein_graph *g = rein_tensor_graph(x);
    int former = rein_branch(g, 1 + k);
    rein_tensor *q =
        rein_mlp(x, slot, names[k], twin->hidden.count, twin->hidden.at, twin->activation, init, 1, init);
    rein_branch(g, former);
    return q;
}

rein_tensor *reini_twin_least(const reini_twin *twin, int slot, rein_tensor *obs, rein_tensor *action) {
    rein_tensor *least = reini_twin_one(twin, slot, 0, obs, action);
    for (int k = 1; k < twin->count; k++)
        least = rein_min(least, reini_twin_one(twin, slot, k, obs, action));
    return least;
}

rein_tensor *reini_twin_errors(const reini_twin *twin, int slot, rein_tensor *obs, rein_tensor *action,
                               rein_tensor *y, rein_tensor **mean) {
    rein_tensor *errors = NULL, *sum = NULL;
    for (int k = 0; k < twin->count; k++) {
        rein_tensor *q = reini_twin_one(twin, slot, k, obs, action);
        rein_tensor *error = rein_square(rein_sub(q, y));
        errors = errors != NULL ? rein_add(errors, error) : error;
        sum = sum != NULL ? rein_add(sum, q) : q;
    }
    *mean = rein_scale(rein_mean(sum), 1.0 / twin->count);
    return errors;
}

/* every parameter is declared before the first store is made */
static rein_status declare(reini_twin *twin, int obs_size, int act_size) {
    rein_graph *g = rein_graph_new(REIN_F32);
    if (g == NULL)
        return reini_fail_memory(1 << 14, "critics");
    rein_program *program = NULL;
    int rows = rein_extent(g, "rows", 1), slot = rein_slot(g, twin->layout);
    rein_tensor *obs = rein_input(g, "obs", REIN_F32, rows, 1, &obs_size);
    rein_tensor *action = rein_input(g, "action", REIN_F32, rows, 1, &act_size);
    rein_output(reini_twin_least(twin, slot, obs, action), "q");
    rein_status status = rein_compile(g, NULL, &program);
    rein_program_free(program);
    rein_graph_free(g);
    return status;
}

rein_status reini_twin_init(reini_twin *twin, int count, int obs_size, int act_size, const rein_ints *hidden,
                            rein_activation activation, const reini_optim_settings *optim, uint64_t seed) {
    uint32_t word[4];
    *twin = (reini_twin){.count = count, .hidden = *hidden, .activation = activation};
    twin->layout = rein_layout_new();
    if (twin->layout == NULL)
        return reini_fail_memory(sizeof *twin, "critics");
    REINI_TRY(declare(twin, obs_size, act_size));
    REINI_TRY(rein_store_new(twin->layout, REIN_F32, &twin->online));
    REINI_TRY(rein_store_new(twin->layout, REIN_F32, &twin->target));
    REINI_TRY(rein_store_new(twin->layout, REIN_F32, &twin->grads));
    /* not the numbers that the policy's weights are made of */
    rein_philox(seed, 0, CRITIC_STREAM, word);
    REINI_TRY(rein_store_init(twin->online, (uint64_t)word[1] << 32 | word[0]));
    rein_store_copy(twin->target, twin->online);
    REINI_TRY(reini_optim_make(optim, twin->layout, NULL, &twin->optim));
    reini_optim_cut(twin->optim, count);
    return REIN_OK;
}

void reini_twin_release(reini_twin *twin) {
    rein_optim_free(twin->optim);
    rein_store_free(twin->grads);
    rein_store_free(twin->target);
    rein_store_free(twin->online);
    rein_layout_free(twin->layout);
    *twin = (reini_twin){0};
}

rein_status reini_twin_visit(reini_twin *twin, reini_archive *archive) {
    size_t bytes = (size_t)rein_store_size(twin->online) * sizeof(float);
    REINI_TRY(reini_archive_bytes(archive, "critics.online", rein_store_data(twin->online), bytes));
    REINI_TRY(reini_archive_bytes(archive, "critics.target", rein_store_data(twin->target), bytes));
    return reini_optim_visit(twin->optim, "critics.optimizer", archive);
}
