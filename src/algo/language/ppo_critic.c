/*
 * ppo_critic.c - both kinds of critics: opening, values, gradients, updates, checkpoints.
 */
#include "algo/language/ppo_critic.h"
#include <stdio.h>
#include <string.h>
#include "lm/value_head.h"
#include "tensor/optim_state.h"

/* ---- a network of its own ---------------------------------------------------------------------------------- */

/* from the reward model or what the policy begins with; with a new adapter where the policy has one, and then on the
 * policy's weights when it begins with them. It goes through the policy's network after it, where that fits. */
static rein_status open_own(reini_ppo_critic *c, const char *model, int tokens, int documents) {
    reini_lm_settings *s = &c->settings;
    if (reini_lm_given(model)) {
        snprintf(s->model, sizeof s->model, "%s", model);
        snprintf(s->init, sizeof s->init, "none");
    }
    s->use_peft = reini_lm_has_adapter(s);
    snprintf(s->adapter, sizeof s->adapter, "none");
    bool shares = c->policy->lora && !reini_lm_given(model) && reini_lm_given(s->model);
    rein_status status = shares ? reini_lm_learner_open_beside(&c->own, s, c->policy, 1)
                                : reini_lm_learner_open(&c->own, s, 1, c->policy->pool);
    if (status != REIN_OK)
        return reini_fail_in(status, "the critic: ");
    c->own.name = "the critic";
    if (c->own.lora)
        reini_lora_take_head(c->own.lora, c->own.weights);
    const reini_lm_shape *critic = &c->own.weights->shape, *policy = &c->policy->weights->shape;
    if (critic->vocabulary < policy->vocabulary || critic->context < policy->context)
        return reini_fail(REIN_MISMATCH,
                          "value_model: %d tokens and a context of %d are fewer than the policy's %d and %d",
                          critic->vocabulary, critic->context, policy->vocabulary, policy->context);
    return reini_lm_learner_prepare_beside(&c->own, s, c->policy, tokens, documents);
}

/* beside an adapter the score head's gradient is no part of the network's: d loss / d w = sum_t dV_t h_t */
static void own_head_backward(reini_ppo_critic *c, const reini_packed *b, const float *dvalues) {
    const float *hidden = reini_lm_hidden(c->own.lm);
    float *to = reini_lora_head(c->own.lora, c->own.gradient);
    int width = c->own.weights->shape.hidden;
    for (int i = 0; i < b->scored; i++)
        for (int j = 0; j < width; j++)
            to[j] += dvalues[i] * hidden[(int64_t)b->row[i] * width + j];
}

/* ---- a head on the policy's network ------------------------------------------------------------------------ */

static rein_status declare_head(reini_ppo_critic *c) {
    rein_graph *g = rein_graph_new(REIN_F32);
    c->layout = rein_layout_new();
    if (!g || !c->layout) {
        rein_graph_free(g);
        return reini_fail_memory(256, "the layout of a critic's head");
    }
    rein_param(g, rein_slot(g, c->layout), "value.weight", 2, (int[]){1, c->policy->weights->shape.hidden},
               (rein_init){REIN_INIT_CONSTANT, 0});
    rein_graph_free(g);
    return REIN_OK;
}

static rein_status open_head(reini_ppo_critic *c) {
    rein_optim_config config = reini_lm_optim_config(&c->settings);
    REINI_TRY(declare_head(c));
    REINI_TRY(rein_store_new(c->layout, REIN_F32, &c->head));
    REINI_TRY(rein_store_new(c->layout, REIN_F32, &c->gradient));
    reini_log(REIN_LOG_INFO, "memory of the critic: a head of %d weights on the policy's network, %.3f MB",
              c->policy->weights->shape.hidden, 16e-6 * (double)rein_store_size(c->head));
    return rein_optim_new(&config, c->layout, &c->optim);
}

/* ---- beginning and end ------------------------------------------------------------------------------------- */

rein_status reini_ppo_critic_open(reini_ppo_critic *c, int kind, const char *model, reini_lm_learner *policy,
                                  const reini_lm_settings *settings, int tokens, int documents) {
    *c = (reini_ppo_critic){.kind = kind, .policy = policy, .settings = *settings};
    if (kind == REINI_CRITIC_OWN)
        return open_own(c, model, tokens, documents);
    if (reini_lm_given(model))
        return reini_fail(REIN_USAGE,
                          "value_model: a head on the policy's network (value_head trunk) has no "
                          "network of its own to begin with %s: leave out one of the two",
                          model);
    return open_head(c);
}

void reini_ppo_critic_release(reini_ppo_critic *c) {
    reini_lm_learner_release(&c->own);
    rein_optim_free(c->optim);
    rein_store_free(c->gradient);
    rein_store_free(c->head);
    rein_layout_free(c->layout);
    *c = (reini_ppo_critic){0};
}

float *reini_ppo_critic_head(reini_ppo_critic *c) {
    if (c->kind == REINI_CRITIC_TRUNK)
        return rein_store_data(c->head);
    if (c->own.lora)
        return reini_lora_head(c->own.lora, c->own.lora->store);
    const reini_lm_weights *w = c->own.weights;
    return (float *)rein_store_data(w->store) +
           rein_layout_at(w->layout, reini_lm_param(w, REINI_LM_SCORE, -1)).offset;
}

/* ---- learning ---------------------------------------------------------------------------------------------- */

void reini_ppo_critic_values(reini_ppo_critic *c, const reini_packed *batch, float *values) {
    if (c->kind == REINI_CRITIC_TRUNK) {
        reini_value_head_forward(c->policy->lm, rein_store_view(c->head), batch->scored, batch->row, values);
        return;
    }
    reini_lm_learner_take(&c->own);
    reini_lm_learner_forward(&c->own, batch, 0);
    reini_lm_values(c->own.lm, batch->scored, batch->row, values);
}

void reini_ppo_critic_begin(reini_ppo_critic *c) {
    if (c->kind == REINI_CRITIC_OWN)
        reini_lm_learner_begin(&c->own);
    else
        memset(rein_store_data(c->gradient), 0, (size_t)rein_store_size(c->gradient) * sizeof(float));
}

void reini_ppo_critic_backward(reini_ppo_critic *c, const reini_packed *batch, const float *dvalues) {
    if (c->kind == REINI_CRITIC_TRUNK) {
        reini_value_head_backward(c->policy->lm, rein_store_view(c->head), batch->scored, batch->row, dvalues,
                                  rein_store_data(c->gradient));
        return;
    }
    reini_lm_learner_backward_begin(&c->own);
    if (c->own.lora)
        own_head_backward(c, batch, dvalues);
    reini_lm_values_backward(c->own.lm, batch->scored, batch->row, dvalues);
    reini_lm_backward(c->own.lm);
}

rein_optim_result reini_ppo_critic_update(reini_ppo_critic *c, double rate) {
    if (c->kind == REINI_CRITIC_TRUNK)
        return rein_optim_step(c->optim, c->head, c->gradient, rate);
    rein_optim_result result = reini_lm_learner_update(&c->own, rate);
    if (c->own.lora)
        reini_lora_give_head(c->own.lora, c->own.weights);
    return result;
}

rein_status reini_ppo_critic_visit(reini_ppo_critic *c, reini_archive *ar) {
    reini_optim_piece piece[2];
    if (c->kind == REINI_CRITIC_OWN) {
        REINI_TRY(reini_lm_learner_visit(&c->own, ar));
        if (reini_archive_loading(ar) && c->own.lora)
            reini_lora_give_head(c->own.lora, c->own.weights);
        return REIN_OK;
    }
    reini_optim_pieces(c->optim, piece);
    REINI_TRY(reini_archive_bytes(ar, "value_head", rein_store_data(c->head),
                                  (size_t)rein_store_size(c->head) * sizeof(float)));
    REINI_TRY(reini_archive_bytes(ar, "value_head.state", piece[0].at, piece[0].bytes));
    return reini_archive_bytes(ar, "value_head.moments", piece[1].at, piece[1].bytes);
}
