/*
 * gru.c - layers with a memory: gated recurrent units (Cho et al. 2014, arXiv 1406.1078).
 *
 * With h the state before a step and x its input, in PyTorch's form,
 *
 *     r = sigmoid(x W_ir + b_ir + h W_hr + b_hr)                reset
 *     z = sigmoid(x W_iz + b_iz + h W_hz + b_hz)                update
 *     n = tanh(x W_in + b_in + r (h W_hn + b_hn))               candidate
 *     h' = (1 - z) n + z h
 *
 * What the input gives is one product over all steps; the recurrence is rein_gru_steps.
 */
#include <stdio.h>
#include <rein/nn.h>

enum { GATES = 3 };

static rein_tensor *weight(rein_tensor *x, int slot, const char *name, const char *of, int in, int width,
                           rein_init init) {
    char full[64];
    snprintf(full, sizeof full, "%s.gru.%s.weight", name, of);
    return rein_param(rein_tensor_graph(x), slot, full, 2, (int[]){in, GATES * width}, init);
}

static rein_tensor *bias(rein_tensor *x, int slot, const char *name, const char *of, int width) {
    char full[64];
    int gates = GATES * width;
    snprintf(full, sizeof full, "%s.gru.%s.bias", name, of);
    return rein_param(rein_tensor_graph(x), slot, full, 1, &gates, (rein_init){REIN_INIT_CONSTANT, 0});
}

rein_tensor *rein_gru(rein_tensor *x, int slot, const char *name, rein_tensor *start, rein_tensor *h,
                      int length, rein_init input_init, rein_init state_init) {
    int in = (int)rein_tensor_width(x), width = (int)rein_tensor_width(h);
    rein_tensor *w = weight(x, slot, name, "input", in, width, input_init);
    rein_tensor *gates = rein_dense(x, w, bias(x, slot, name, "input", width), REIN_ACT_IDENTITY);
    if (start == NULL)
        start = rein_constant(rein_tensor_graph(x), 0);
    return rein_gru_steps(gates, start, h, length, weight(x, slot, name, "state", width, width, state_init),
                          bias(x, slot, name, "state", width));
}
