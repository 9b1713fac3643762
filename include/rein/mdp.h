/*
 * mdp.h - finite Markov decision processes as sparse tables, and their exact solution.
 *
 * States 0..S-1, actions 0..A-1. A row (s, a) lists outcomes: next state, probability, reward. An action without a
 * row does not exist in that state. A terminal state has no rows; it has a value, 0 unless said, which planning
 * takes as it stands: entering s' earns r + gamma V(s').
 *
 * Orientation: with rewards, planning maximises; with costs (`cost`), rewards and values of this interface are costs
 * and planning minimises them.
 *
 *     rein_mdp *mdp;
 *     rein_mdp_new(4, 1, false, &mdp);
 *     for (int32_t s = 0; s < 3; s++)
 *         rein_mdp_add(mdp, s, 0, 1, &(rein_outcome){.next = s + 1, .probability = 1});
 *     rein_mdp_terminal(mdp, 3, 10);
 *     if (rein_mdp_finish(mdp) != REIN_OK) ...
 *     rein_mdp_solve(mdp, 0.9, 1e-9, V, policy);                   V = 7.29 8.1 9 10
 */
#ifndef REIN_MDP_H
#define REIN_MDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rein/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rein_mdp rein_mdp;

/* One possible consequence of an action. */
typedef struct rein_outcome {
    int32_t next;
    double probability; /* > 0; those of a row sum to 1 within 1e-9 */
    double reward;      /* or cost */
} rein_outcome;

/* ---- building: rows, terminal states, starts in any order relative to each other; then finish --------------- */

/* n_states 1..2^31-1, n_actions 1..65535. The caller frees it. */
REIN_API rein_status rein_mdp_new(int32_t n_states, int32_t n_actions, bool cost, rein_mdp **out);
REIN_API void rein_mdp_free(rein_mdp *mdp);
/* The row (state, action). Rows come in ascending order of (state, action), each once; outcomes are copied. A next
 * state may occur more than once. Refused: ids out of range, order, probabilities that are not in (0, 1] or do not
 * sum to 1, rewards that are not finite; the sentence names state and action. */
REIN_API rein_status rein_mdp_add(rein_mdp *mdp, int32_t state, int32_t action, int n,
                                  const rein_outcome *outcomes);
REIN_API rein_status rein_mdp_terminal(rein_mdp *mdp, int32_t state, double value);
/* Weight >= 0 of a state in the distribution of first states (normalised by finish). Without any, state 0 starts. */
REIN_API rein_status rein_mdp_start(rein_mdp *mdp, int32_t state, double weight);
/* Validates and makes the MDP ready for use: every state is terminal or has a row, not both. Nothing can be added
 * afterwards. */
REIN_API rein_status rein_mdp_finish(rein_mdp *mdp);

/* How an action is called and drawn: glyph is '<' '>' '^' 'v' for the directions of a grid, or a letter. May be set
 * at any time; without, actions are their numbers. */
REIN_API rein_status rein_mdp_name_action(rein_mdp *mdp, int32_t action, const char *name, char glyph);

/* A picture of states laid out in rows and columns. An MDP may have several. */
typedef struct rein_panel {
    const char *title; /* "" = none */
    int32_t height, width;
    const int32_t *state; /* (height x width) the state of a cell, -1 = none (a wall) */
    const char *symbol;   /* (height x width) letter of a cell ('S', 'G', 'H', '#', ...), ' ' = none */
} rein_panel;
/* Copied. */
REIN_API rein_status rein_mdp_add_panel(rein_mdp *mdp, const rein_panel *panel);

/* ---- reading -------------------------------------------------------------------------------------------------- */

REIN_API int32_t rein_mdp_states(const rein_mdp *mdp);
REIN_API int32_t rein_mdp_actions(const rein_mdp *mdp);
REIN_API bool rein_mdp_is_cost(const rein_mdp *mdp);
REIN_API int64_t rein_mdp_transitions(const rein_mdp *mdp);
/* Bytes held by the tables. */
REIN_API size_t rein_mdp_bytes(const rein_mdp *mdp);
/* Number of outcomes of a row, 0 when the action does not exist; the first `capacity` are written to out. */
REIN_API int rein_mdp_row(const rein_mdp *mdp, int32_t state, int32_t action, rein_outcome *out,
                          int capacity);
/* Whether a state is terminal; *value (may be NULL) is its value then. */
REIN_API bool rein_mdp_is_terminal(const rein_mdp *mdp, int32_t state, double *value);
/* The i-th state of the start distribution with its probability; false past the end. */
REIN_API bool rein_mdp_start_at(const rein_mdp *mdp, int32_t i, int32_t *state, double *probability);
/* "left", or the number when it has no name; a string of the MDP. */
REIN_API const char *rein_mdp_action_name(const rein_mdp *mdp, int32_t action);
REIN_API char rein_mdp_action_glyph(const rein_mdp *mdp, int32_t action); /* 0 = none */
/* NULL past the end; owned by the MDP. */
REIN_API const rein_panel *rein_mdp_panel_at(const rein_mdp *mdp, int i);

/* ---- files: JSON, described in docs/tabular.md ------------------------------------------------------------------ */

/* Names that a file gives its states serve inside the file only. */
REIN_API rein_status rein_mdp_read(const char *path, rein_mdp **out);
/* Writes atomically; reading gives the same tables bit for bit. */
REIN_API rein_status rein_mdp_write(const rein_mdp *mdp, const char *path);

/* ---- exact answers ---------------------------------------------------------------------------------------------- */

/* Optimal values V (S) and a greedy policy (S; -1 in terminal states; may be NULL) by policy iteration with direct
 * solves up to 2,000 states and value iteration beyond; |V - V*| <= tolerance. gamma in [0, 1]; at 1 a policy that
 * never ends while it earns or pays is found and named in the error. */
REIN_API rein_status rein_mdp_solve(const rein_mdp *mdp, double gamma, double tolerance, double *V,
                                    int32_t *policy);
/* Values V (S) of a stochastic policy pi (S x A, rows sum to 1; rows of terminal states are not read), by a direct
 * solve of V = R + gamma P V up to 2,000 states, iteratively to `tolerance` beyond. */
REIN_API rein_status rein_mdp_evaluate(const rein_mdp *mdp, double gamma, double tolerance, const double *pi,
                                       double *V);
/* Q (S x A) from V by one step of lookahead; -infinity (+infinity with costs) where the action does not exist, V(s)
 * in terminal states. */
REIN_API void rein_mdp_lookahead(const rein_mdp *mdp, double gamma, const double *V, double *Q);

#ifdef __cplusplus
}
#endif
#endif
