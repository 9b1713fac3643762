/*
 * plan_place.c - compiling: where tensors live.
 *
 * Inputs and parameters stay where they are. What is read in another step than its own, and outputs, keep all their rows;
 * the rest lives in the tile memory of a worker, in blocks that are taken and dropped as the ops of a segment go by (first
 * fit). An elementwise op writes over an operand that nobody reads afterwards.
 */
#include <string.h>
#include "tensor/plan_maker.h"

enum { MAX_LANES = 8, ALIGN = 64 };

static int64_t align(int64_t bytes) {
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- places --------------------------------------------------------------------------------------------- */

static void find_last_uses(reini_plan_maker *p) {
    rein_program *program = p->program;
    for (int s = 0; s < program->n_steps; s++) {
        const reini_step *step = &program->step[s];
        for (int w = step->first; w < step->first + step->count; w++) {
            const rein_tensor *x = program->work[w].node;
            for (int j = 0; j < x->n_in; j++) {
                const rein_tensor *in = x->in[j];
                p->last[in->id] = w;
                /* read in another step than its own: keep all rows */
                if (reini_plan_is_op(in) && in->extent != REIN_STATIC && p->step[in->id] != s)
                    p->keep[in->id] = 1;
            }
        }
    }
    for (int i = 0; i < program->n_nodes; i++)
        if (program->node[i].output && program->node[i].extent != REIN_STATIC)
            p->keep[i] = 1;
}

static int64_t bytes_of(const rein_tensor *x, int64_t rows) {
    return align(rows * x->width * (int64_t)rein_dtype_size(x->dtype));
}

static void place_leaf_or_kept(reini_plan_maker *p, int i) {
    rein_program *program = p->program;
    rein_tensor *x = &program->node[i];
    reini_place *place = &program->place[i];
    if (x->op == REINI_INPUT) {
        place->kind = REINI_IN_BINDING;
    } else if (x->op == REINI_PARAM) {
        place->kind = REINI_IN_STORE;
        place->owner = x->slot;
        place->index = x->param;
    } else if (x->extent == REIN_STATIC && place->kind == REINI_NOWHERE) {
        place->kind = REINI_IN_STATIC;
        place->offset = (int64_t)program->static_bytes;
        program->static_bytes += (size_t)bytes_of(x, 1);
    } else if (p->keep[i]) {
        place->kind = REINI_IN_ROWS;
        place->offset = (int64_t)program->rows_bytes;
        program->rows_bytes += (size_t)bytes_of(x, program->extent[x->extent].capacity);
    }
}

static void place_fixed(reini_plan_maker *p) {
    for (int s = 0; s < p->g->n_gradients; s++) {
        const reini_gradient_set *set = &p->g->gradient[s];
        for (int i = 0; i < set->count; i++) {
            reini_place *place = &p->program->place[set->target[i]->id];
            place->kind = REINI_IN_GRADIENT;
            place->owner = s;
            place->index = set->param[i];
        }
    }
    for (int i = 0; i < p->program->n_nodes; i++)
        if (p->live[i] && p->program->node[i].op != REINI_ALIAS)
            place_leaf_or_kept(p, i);
}

/* Blocks of tile memory in use, sorted by offset; first fit. */
typedef struct block {
    int64_t offset, bytes;
    int last; /* place in the work list after which it is free */
} block;

static int64_t take_block(block *blocks, int *n, int64_t bytes, int last) {
    int64_t offset = 0;
    int at = 0;
    while (at < *n && blocks[at].offset - offset < bytes) {
        offset = blocks[at].offset + blocks[at].bytes;
        at++;
    }
    memmove(&blocks[at + 1], &blocks[at], (size_t)(*n - at) * sizeof *blocks);
    blocks[at] = (block){offset, bytes, last};
    (*n)++;
    return offset;
}

static void drop_blocks(block *blocks, int *n, int w) {
    int kept = 0;
    for (int i = 0; i < *n; i++)
        if (blocks[i].last > w)
            blocks[kept++] = blocks[i];
    *n = kept;
}

/* An elementwise op may write over an operand that nobody reads afterwards. */
static bool place_over_operand(reini_plan_maker *p, const rein_tensor *x, int w, block *blocks, int n) {
    rein_program *program = p->program;
    if (reini_op_kind(x->op) != 'M')
        return false;
    for (int j = 0; j < x->n_in; j++) {
        const rein_tensor *in = x->in[j];
        reini_place *from = &program->place[in->id];
        if (from->kind != REINI_IN_TILE || p->last[in->id] != w || in->width != x->width ||
            in->dtype != x->dtype)
            continue;
        for (int b = 0; b < n; b++)
            if (blocks[b].offset == from->offset)
                blocks[b].last = p->last[x->id];
        program->place[x->id].kind = REINI_IN_TILE;
        program->place[x->id].offset = from->offset;
        return true;
    }
    return false;
}

/* What an op takes of a row, roughly: products read every weight. */
static int64_t row_work(const rein_tensor *x) {
    int64_t most = x->width;
    for (int j = 0; j < x->n_in; j++)
        most = x->in[j]->width > most ? x->in[j]->width : most;
    return most;
}

static rein_status place_tiles(reini_plan_maker *p, reini_step *step) {
    rein_program *program = p->program;
    block *blocks = REINI_NEW_ARRAY(block, (size_t)step->count + 1);
    if (blocks == NULL)
        return reini_fail_memory((size_t)step->count * sizeof *blocks, "a memory plan");
    int n = 0;
    for (int w = step->first; w < step->first + step->count; w++) {
        const rein_tensor *x = program->work[w].node;
        reini_place *place = &program->place[x->id];
        step->row_work += w < step->first + step->before ? 0 : row_work(x);
        if (reini_plan_is_sum(x)) {
            place->lane_offset = step->lane_size;
            step->lane_size += (x->width + 15) / 16 * 16;
        } else if (place->kind == REINI_NOWHERE && !place_over_operand(p, x, w, blocks, n)) {
            int64_t bytes = bytes_of(x, program->tile);
            place->kind = REINI_IN_TILE;
            place->offset = take_block(blocks, &n, bytes, p->last[x->id]);
            if ((size_t)(place->offset + bytes) > program->tile_bytes)
                program->tile_bytes = (size_t)(place->offset + bytes);
        }
        drop_blocks(blocks, &n, w);
    }
    reini_free(blocks);
    return REIN_OK;
}

/* Lane blocks of steps that run side by side lie behind each other. */
static void place_lanes(rein_program *program, int first) {
    int64_t taken = 0;
    for (int s = first; s < first + reini_steps_together(&program->step[first]); s++) {
        reini_step *step = &program->step[s];
        int64_t tiles = (program->extent[step->extent].capacity + program->tile - 1) / program->tile;
        if (step->lane_size > 0)
            step->lanes = tiles < MAX_LANES ? (int)tiles : MAX_LANES;
        step->lane_base = taken;
        taken += step->lanes * step->lane_size;
    }
    program->lane_total = taken > program->lane_total ? taken : program->lane_total;
}

rein_status reini_plan_place(reini_plan_maker *p) {
    rein_program *program = p->program;
    find_last_uses(p);
    place_fixed(p);
    for (int s = 0; s < program->n_steps; s++)
        if (program->step[s].extent != REIN_STATIC && !program->step[s].split)
            REINI_TRY(place_tiles(p, &program->step[s]));
    for (int s = 0; s < program->n_steps; s += reini_steps_together(&program->step[s]))
        if (program->step[s].extent != REIN_STATIC && !program->step[s].split)
            place_lanes(program, s);
    return REIN_OK;
}
