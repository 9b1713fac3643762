/*
 * sum_tree.h - n weights of which one is drawn in proportion, in O(log n): every node holds the sum of its eight
 * children, so that the children of a node are one cache line.
 *
 * A changed weight has the sums above it added up anew, never corrected by a difference: after any number of changes
 * every node is the sum of its children to the last bit, and the tree is a function of its weights alone.
 */
#ifndef REINI_SUM_TREE_H
#define REINI_SUM_TREE_H

#include "base/base.h"

enum { REINI_SUM_TREE_FAN = 8, REINI_SUM_TREE_LEVELS = 12 }; /* 8^11 weights */

typedef struct reini_sum_tree {
    int64_t n;
    int levels;                           /* level 0 are the weights, the last is the root alone */
    double *level[REINI_SUM_TREE_LEVELS]; /* (nodes, rounded up to a multiple of 8 by zeros) */
} reini_sum_tree;

/* n >= 1 weights of 0. */
rein_status reini_sum_tree_init(reini_sum_tree *tree, int64_t n);
void reini_sum_tree_release(reini_sum_tree *tree);
/* weight >= 0 and finite */
void reini_sum_tree_set(reini_sum_tree *tree, int64_t i, double weight);
static inline double reini_sum_tree_weight(const reini_sum_tree *tree, int64_t i) {
    return tree->level[0][i];
}
static inline double reini_sum_tree_total(const reini_sum_tree *tree) {
    return tree->level[tree->levels - 1][0];
}
/* The i for which the weights before it sum to at most `mass` and with its own to more; mass in [0, total). Its weight
 * is above 0 even where rounding moved a border; one weight at least must be. */
int64_t reini_sum_tree_find(const reini_sum_tree *tree, double mass);
/* All sums anew, after weights were written into level[0] directly. */
void reini_sum_tree_rebuild(reini_sum_tree *tree);

#endif
