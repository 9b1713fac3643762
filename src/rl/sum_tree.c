/*
 * sum_tree.c - drawing in proportion to weights; Schaul et al. 2016 (arXiv 1511.05952), appendix B.2.1.
 */
#include "rl/sum_tree.h"

#include <string.h>

enum { FAN = REINI_SUM_TREE_FAN };

static double sum_of(const double *child) {
    return ((child[0] + child[1]) + (child[2] + child[3])) + ((child[4] + child[5]) + (child[6] + child[7]));
}

rein_status reini_sum_tree_init(reini_sum_tree *tree, int64_t n) {
    memset(tree, 0, sizeof *tree);
    tree->n = n;
    for (int64_t nodes = n;; nodes = (nodes + FAN - 1) / FAN) {
        REINI_ASSERT(tree->levels < REINI_SUM_TREE_LEVELS);
        size_t padded = (size_t)(nodes + FAN - 1) / FAN * FAN;
        double *level = REINI_NEW_ARRAY(double, padded);
        if (level == NULL) {
            reini_sum_tree_release(tree);
            return reini_fail_memory(padded * sizeof(double), "a sum tree");
        }
        tree->level[tree->levels++] = level;
        if (nodes == 1)
            return REIN_OK;
    }
}

void reini_sum_tree_release(reini_sum_tree *tree) {
    for (int k = 0; k < tree->levels; k++)
        reini_free(tree->level[k]);
    memset(tree, 0, sizeof *tree);
}

void reini_sum_tree_set(reini_sum_tree *tree, int64_t i, double weight) {
    REINI_ASSERT(i >= 0 && i < tree->n && weight >= 0);
    tree->level[0][i] = weight;
    for (int k = 1; k < tree->levels; k++) {
        i /= FAN;
        tree->level[k][i] = sum_of(tree->level[k - 1] + i * FAN);
    }
}

void reini_sum_tree_rebuild(reini_sum_tree *tree) {
    int64_t nodes = tree->n;
    for (int k = 1; k < tree->levels; k++) {
        nodes = (nodes + FAN - 1) / FAN;
        for (int64_t i = 0; i < nodes; i++)
            tree->level[k][i] = sum_of(tree->level[k - 1] + i * FAN);
    }
}

int64_t reini_sum_tree_find(const reini_sum_tree *tree, double mass) {
    int64_t at = 0;
    for (int k = tree->levels - 2; k >= 0; k--) {
        const double *child = tree->level[k] + at * FAN;
        int taken = 0;
        for (int j = 0; j < FAN; j++) {
            if (!(child[j] > 0))
                continue;
            taken = j;
            if (mass < child[j])
                break;
            mass -= child[j];
        }
        at = at * FAN + taken;
    }
    return at;
}
