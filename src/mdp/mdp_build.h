/*
 * mdp_build.h - what a rein_mdp needs only until it is finished.
 */
#ifndef REINI_MDP_BUILD_H
#define REINI_MDP_BUILD_H

#include "mdp/mdp.h"

typedef struct reini_mdp_build {
    uint64_t row_after; /* state * actions + action of the last row, plus 1 */
    /* room in the arrays of the MDP, in items */
    size_t next_room, shape_room, p_room, r_room, start_room;
    double total;   /* of the start weights */
    uint32_t *slot; /* (n_slots) open addressing over shapes by their content, 0 = empty */
    size_t n_slots; /* a power of two */
} reini_mdp_build;

/* Makes room for `more` items after `used` in an array, by doubling. pointer: the address of the pointer to it. */
rein_status reini_mdp_reserve(void *array, size_t *room, size_t used, size_t more, size_t item,
                              const char *what);
/* The shape of these outcomes: one there is already, or a new one. */
rein_status reini_mdp_intern(rein_mdp *mdp, int n, const rein_outcome *outcomes, uint32_t *shape);
void reini_mdp_release_panels(rein_mdp *mdp);
/* Text that can stand in a JSON file: valid UTF-8 without control characters. */
bool reini_mdp_is_text(const char *text);

#endif
