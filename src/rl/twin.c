/*
 * twin.c - critics of continuous actions.
 */
#include "rl/twin.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CRITIC_STREAM = 0x43524954 };

static rein_tensor *layer(const reini_twin *twin, int slot, int k, rein_tensor *x, int in, int out,
                          rein_activation act) {
    static const rein_init init = {REIN_INIT_KAIMING,
                                   0.57735026918962576}; /* 1 / sqrt(3): PyTorch's default */
    rein_graph *g = rein_tensor_graph(x);
    char weight[32], bias[32];
    snprintf(weight, sizeof weight, "q.%d.weight", k);
    snprintf(bias, sizeof bias, "q.%d.bias", k);
    rein_tensor *w = rein_param(g, slot, weight, 3, (int[]){twin->count, in, out}, init);
    rein_tensor *b =
        rein_param(g, slot, bias, 2, (int[]){twin->count, out}, (rein_init){REIN_INIT_CONSTANT, 0});
    return rein_dense(x, w, b, act);
}

rein_tensor *reini_twin_build(const reini_twin *twin, int slot, rein_tensor *obs, rein_tensor *action) {
    rein_tensor *x = rein_concat(obs, action);
    int in = (int)rein_tensor_width(x);
    for (int k = 0; k < twin->hidden.count; k++) {
        x = layer(twin, slot, k, x, in, twin->hidden.at[k], twin->activation);
        in = twin->hidden.at[k];
    }
    x = layer(twin, slot, twin->hidden.count, x, in, 1, REIN_ACT_IDENTITY);
    return rein_reshape(x, 1, &twin->count);
}

rein_tensor *reini_twin_least(rein_tensor *q) {
    rein_tensor *least = rein_slice(q, 0, 1);
    for (int k = 1; k < (int)rein_tensor_width(q); k++)
        least = rein_min(least, rein_slice(q, k, 1));
    return least;
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
    rein_output(reini_twin_build(twin, slot, obs, action), "q");
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
    rein_store_init(twin->online, (uint64_t)word[1] << 32 | word[0]);
    rein_store_copy(twin->target, twin->online);
    return reini_optim_make(optim, twin->layout, NULL, &twin->optim);
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
