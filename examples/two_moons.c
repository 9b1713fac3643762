/*
 * two_moons.c - a classifier in under eighty lines: nothing but the tensor graph. Difficulty: first steps.
 *
 *     cc two_moons.c $(pkg-config --cflags --libs rein) -lm -o two_moons && ./two_moons
 *     step  400  loss 0.00...  accuracy 1.000
 * Two half circles of points, one class each; a network 2-32-32-2 learns to tell them apart.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <rein/rein.h>

enum { N = 512, STEPS = 400 };
static float points[N][2];
static int32_t classes[N];

static void make_moons(void) {
    rein_rng rng = rein_rng_make(1, 0);
    for (int i = 0; i < N; i++) {
        float angle = 3.14159265f * rein_rng_uniform(&rng), upper = (float)(i % 2 == 0);
        classes[i] = i % 2;
        points[i][0] = (upper ? cosf(angle) : 1 - cosf(angle)) + 0.1f * (float)rein_rng_normal(&rng);
        points[i][1] = (upper ? sinf(angle) : 0.5f - sinf(angle)) + 0.1f * (float)rein_rng_normal(&rng);
    }
}

static void need(rein_status status) {
    if (status != REIN_OK)
        fprintf(stderr, "%s\n", rein_error()), exit(1);
}

int main(void) {
    make_moons();
    /* the graph: inputs, network, loss, accuracy, gradient */
    rein_graph *g = rein_graph_new(REIN_F32);
    rein_layout *layout = rein_layout_new();
    int rows = rein_extent(g, "points", N), slot = rein_slot(g, layout);
    rein_tensor *x = rein_input(g, "x", REIN_F32, rows, 1, (int[]){2});
    rein_tensor *label = rein_input(g, "class", REIN_I32, rows, 1, (int[]){1});
    rein_init wide = {REIN_INIT_ORTHOGONAL, 1.4}, small = {REIN_INIT_ORTHOGONAL, 0.1};
    rein_tensor *logits = rein_mlp(x, slot, "net", 2, (int[]){32, 32}, REIN_ACT_TANH, wide, 2, small);
    rein_tensor *logp = rein_log_softmax(logits);
    rein_tensor *loss = rein_output(rein_neg(rein_mean(rein_pick(logp, label))), "cross entropy");
    rein_tensor *guess = rein_to_real(rein_argmax(logits), 1), *truth = rein_to_real(label, 1);
    rein_tensor *wrong = rein_output(rein_mean(rein_abs(rein_sub(guess, truth))), "share of errors");
    int gradient = rein_gradient(loss, slot, NULL);
    /* compiled once, run many times */
    rein_program *program;
    rein_exec *exec;
    rein_store *weights, *slopes;
    rein_optim *optim;
    rein_optim_config adam = rein_optim_config_default();
    need(rein_compile(g, NULL, &program));
    need(rein_exec_new(program, NULL, &exec));
    need(rein_store_new(layout, REIN_F32, &weights));
    need(rein_store_new(layout, REIN_F32, &slopes));
    need(rein_optim_new(&adam, layout, &optim));
    rein_store_init(weights, 1);
    rein_exec_bind_store(exec, slot, weights);
    rein_exec_bind_gradient(exec, gradient, slopes);
    rein_exec_bind(exec, x, points, 0);
    rein_exec_bind(exec, label, classes, 0);

    for (int step = 1; step <= STEPS; step++) {
        rein_exec_run(exec);
        rein_optim_step(optim, weights, slopes, 0.01);
        if (step % 50 == 0)
            printf("step %4d  loss %.6f  accuracy %.3f\n", step, rein_exec_scalar(exec, loss),
                   1 - rein_exec_scalar(exec, wrong));
    }
    int failed = rein_exec_scalar(exec, wrong) > 0.01;
    rein_optim_free(optim);
    rein_store_free(weights), rein_store_free(slopes);
    rein_exec_free(exec);
    rein_program_free(program);
    rein_graph_free(g);
    rein_layout_free(layout);
    return failed;
}
