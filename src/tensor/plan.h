/*
 * plan.h - a compiled graph: the order of work, the kernel of every op and the place of every tensor.
 *
 * Work is a list of steps. A static step runs ops without rows once. A segment runs a list of row ops over the
 * rows of one extent, tile by tile: all ops of a segment on one tile before the next tile, so that activations
 * stay in the first-level cache. Sums over rows are kept per lane (a fixed group of consecutive tiles) and folded
 * in a fixed tree when the segment ends. A later level starts where a sum is needed: an op's level counts the sums
 * on its longest path.
 *
 * Where rows are too few for all workers, branches (rein_branch) run side by side instead: a segment is cut into what
 * belongs to none, run by all workers, then the branches, each by one worker over all rows, then what needs several of
 * them, and so on. A network's weights then stay in one core's caches. Sums keep their lanes, so no bit changes.
 *
 * A product with a weight that no near cache holds has a step of its own, over all rows at once: tile by tile the weight
 * would come from memory again for each, and its gradient would be summed in lanes as large as it is. Workers take shares
 * of its columns. It counts as a level of its own.
 */
#ifndef REINI_PLAN_H
#define REINI_PLAN_H

#include "tensor/graph.h"

typedef enum reini_place_kind {
    REINI_NOWHERE,
    REINI_IN_TILE,     /* offset bytes into the worker's tile memory */
    REINI_IN_STATIC,   /* offset bytes into the exec's static memory */
    REINI_IN_ROWS,     /* offset bytes into the exec's row memory: all rows kept (or the caller's memory) */
    REINI_IN_BINDING,  /* the caller's memory (inputs) */
    REINI_IN_STORE,    /* parameter `index` of slot `owner` */
    REINI_IN_GRADIENT, /* parameter `index` of gradient set `owner` */
} reini_place_kind;

typedef struct reini_place {
    reini_place_kind kind;
    int owner, index;
    int64_t offset;
    int64_t lane_offset; /* sums over rows: elements into a lane block */
} reini_place;

typedef struct reini_work {
    const rein_tensor *node;
    reini_kernel *kernel;
} reini_work;

typedef struct reini_step {
    int extent;        /* REIN_STATIC for a static step */
    int first, count;  /* of program->work */
    int apart;         /* static: the first ones, which workers share */
    int before;        /* segment: the first ones, without rows, run once before its tiles */
    int beside;        /* so many steps from this one on run side by side, 0 = this one alone */
    bool split;        /* one product over all rows, whose result workers share */
    int lanes;         /* groups of tiles; 0 when the segment has no sums */
    int64_t lane_size; /* elements of one lane block */
    int64_t lane_base; /* where this step's blocks begin among those of the steps beside it */
    int64_t row_work;  /* segment: numbers that its ops take of a row, of products the weights too */
} reini_step;

/* Steps that run together from this one on. */
static inline int reini_steps_together(const reini_step *step) {
    return step->beside > 0 ? step->beside : 1;
}

/* What exec calls need to know of a tensor; the program keeps copies, so the graph may go away. */
struct rein_program {
    rein_dtype real;
    int tile;          /* rows per tile */
    rein_tensor *node; /* copies, same ids; `in` points into this array, aliases resolved */
    reini_place *place;
    int n_nodes;
    reini_work *work;
    int n_work;
    reini_step *step;
    int n_steps;
    reini_extent extent[REINI_EXTENTS];
    int n_extents;
    rein_layout *slot[REINI_SLOTS];
    int n_slots;
    int gradient_slot[REINI_GRADIENTS];
    int n_gradients;
    size_t tile_bytes, static_bytes, rows_bytes; /* memory of an exec (tile_bytes per worker) */
    int64_t lane_total;                          /* elements of all lane blocks of the largest segment */
    const char *level;
};

#endif
