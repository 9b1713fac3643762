/*
 * mlp.c - multilayer perceptrons.
 */
#include <stdio.h>
#include <rein/nn.h>

static rein_tensor *layer(int slot, const char *name, int k, rein_tensor *x, int out, rein_activation act,
                          rein_init init) {
    rein_graph *g = rein_tensor_graph(x);
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.%d.weight", name, k);
    snprintf(bias, sizeof bias, "%s.%d.bias", name, k);
    int in = (int)rein_tensor_width(x);
    rein_tensor *w = rein_param(g, slot, weight, 2, (int[]){in, out}, init);
    rein_tensor *b = rein_param(g, slot, bias, 1, &out, (rein_init){REIN_INIT_CONSTANT, 0});
    return rein_dense(x, w, b, act);
}

rein_tensor *rein_mlp(rein_tensor *x, int slot, const char *name, int layers, const int *hidden,
                      rein_activation act, rein_init hidden_init, int out, rein_init out_init) {
    for (int k = 0; k < layers; k++)
        x = layer(slot, name, k, x, hidden[k], act, hidden_init);
    return out > 0 ? layer(slot, name, layers, x, out, REIN_ACT_IDENTITY, out_init) : x;
}
