/*
 * recurrent_torch.h - what tests against tests/reference/recurrent_torch.py share: its rollout in place of a gathered one.
 */
#ifndef RECURRENT_TORCH_H
#define RECURRENT_TORCH_H

#include "algo/on_policy/on_policy.h"
#include "support/torch_rig.h"

enum { RECURRENT_T = 8, RECURRENT_N = 8 };

/* settings that PPO and A2C have in common */
static inline void recurrent_settings(char *out, size_t size, const json_t *golden) {
    const json_t *config = golden_at(golden, "config");
    snprintf(out, size,
             "n_envs=%d n_steps=%d hidden=%g gru=%g shared=%s sequence=%g learning_rate=%.17g adam_eps=%.17g "
             "vf_coef=%.17g ent_coef=%.17g max_grad_norm=%.17g norm_obs=%s",
             RECURRENT_N, RECURRENT_T, golden_number(config, "hidden"), golden_number(config, "gru"),
             json_is_true(golden_at(config, "shared")) ? "true" : "false", golden_number(config, "length"),
             golden_number(config, "lr"), golden_number(config, "eps"), golden_number(config, "value_coef"),
             golden_number(config, "entropy_coef"), golden_number(config, "max_grad_norm"),
             json_object_get(golden_at(golden, "batch"), "mean") != NULL ? "running" : "none");
}

/* the file's rollout, weights and statistics */
static inline void recurrent_write(reini_on_policy *base, const json_t *golden, const rein_env_type *env) {
    const json_t *batch = golden_at(golden, "batch");
    reini_rollout *r = reini_on_policy_rollout(base);
    double values[TORCH_MOST * 2];
    torch_write_store(base->policy->store, golden_at(golden, "parameters"));
    torch_write_batch(r, batch, env);
    torch_floats(batch, "advantages", r->adv, TORCH_ROWS);
    torch_floats(batch, "returns", r->ret, TORCH_ROWS);
    torch_floats(batch, "old_values", r->value, TORCH_ROWS);
    torch_floats(batch, "old_log_prob", r->logp, TORCH_ROWS);
    golden_doubles(batch, "state", values, TORCH_ROWS * r->state_size);
    for (int i = 0; i < TORCH_ROWS * r->state_size; i++)
        r->state[i] = (float)values[i];
    golden_doubles(batch, "start", values, TORCH_ROWS);
    int starts = 0;
    for (int i = 0; i < TORCH_ROWS; i++)
        starts += r->start[i] = values[i] != 0;
    assert_true(starts > 4 && starts < TORCH_ROWS / 2);
    if (json_object_get(batch, "mean") == NULL)
        return;
    torch_floats(batch, "mean", base->policy->norm_mean, r->obs_size);
    torch_floats(batch, "scale", base->policy->norm_scale, r->obs_size);
}

#endif
