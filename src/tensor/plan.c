/*
 * plan.c - compiling: which nodes are needed, in which order, with which kernels, and where tensors live.
 */
#include "tensor/plan.h"

#include <stdio.h>
#include <string.h>

enum { MAX_LANES = 8, ALIGN = 64 };

typedef struct planner {
    rein_graph *g;
    rein_program *program;
    const reini_kernels *reference, *best, *narrow; /* tables; narrow: bf16 products, else NULL */
    char *live;                                     /* per node: needed */
    int *level;                                     /* per node: when it runs */
    int *ready; /* per node: first level at which static ops may read it */
    int *last;  /* per node: last place in program->work that reads it */
    char *keep; /* per node: all rows must be kept */
    char *done; /* per node: already in the work list */
} planner;

static int64_t align(int64_t bytes) {
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static bool is_op(const rein_tensor *x) {
    return x->op < REINI_OP_COUNT;
}

/* a sum over the rows of an extent */
static bool is_sum(const rein_tensor *x) {
    return is_op(x) && reini_op_kind(x->op) == 'S' && x->in[0]->extent != REIN_STATIC;
}

/* the extent whose rows an op runs over */
static int runs_over(const rein_tensor *x) {
    return is_sum(x) ? x->in[0]->extent : x->extent;
}

/* ---- what is needed ------------------------------------------------------------------------------------- */

static rein_status copy_nodes(planner *p) {
    rein_program *program = p->program;
    size_t n = 2 * (size_t)p->g->n_nodes; /* packed weights may join them */
    program->n_nodes = p->g->n_nodes;
    program->node = REINI_NEW_ARRAY(rein_tensor, n);
    program->place = REINI_NEW_ARRAY(reini_place, n);
    program->work = REINI_NEW_ARRAY(reini_work, n);
    program->step = REINI_NEW_ARRAY(reini_step, n * 2 + 2);
    p->live = REINI_NEW_ARRAY(char, n);
    p->keep = REINI_NEW_ARRAY(char, n);
    p->done = REINI_NEW_ARRAY(char, n);
    p->level = REINI_NEW_ARRAY(int, n);
    p->ready = REINI_NEW_ARRAY(int, n);
    p->last = REINI_NEW_ARRAY(int, n);
    if (!program->node || !program->place || !program->work || !program->step || !p->live || !p->keep ||
        !p->done || !p->level || !p->ready || !p->last)
        return reini_fail_memory(n * sizeof(rein_tensor), "a program");
    for (int i = 0; i < program->n_nodes; i++) {
        rein_tensor *x = &program->node[i];
        *x = *p->g->node[i];
        for (int j = 0; j < x->n_in; j++) {
            const rein_tensor *source = x->in[j];
            while (source->op == REINI_ALIAS)
                source = source->in[0];
            x->in[j] = &program->node[source->id];
        }
    }
    return REIN_OK;
}

static void mark_live(planner *p) {
    rein_program *program = p->program;
    for (int s = 0; s < p->g->n_gradients; s++)
        for (int i = 0; i < p->g->gradient[s].count; i++)
            p->live[p->g->gradient[s].target[i]->id] = 1;
    for (int i = program->n_nodes - 1; i >= 0; i--) {
        rein_tensor *x = &program->node[i];
        if (x->output)
            p->live[i] = 1;
        if (p->live[i])
            for (int j = 0; j < x->n_in; j++)
                p->live[x->in[j]->id] = 1;
    }
}

/* ---- fusion --------------------------------------------------------------------------------------------- */

static rein_activation slope_of(reini_op op) {
    switch (op) {
    case REINI_TANH_GRAD:
        return REIN_ACT_TANH;
    case REINI_RELU_GRAD:
        return REIN_ACT_RELU;
    case REINI_SIGMOID_GRAD:
        return REIN_ACT_SIGMOID;
    default:
        return REIN_ACT_IDENTITY;
    }
}

static int count_uses(const planner *p, const rein_tensor *x) {
    int uses = 0;
    for (int i = 0; i < p->program->n_nodes; i++)
        for (int j = 0; p->live[i] && j < p->program->node[i].n_in; j++)
            uses += p->program->node[i].in[j] == x;
    return uses;
}

/* An input gradient that goes through the activation before it, and nowhere else, becomes one op. */
static void fuse_slope(planner *p, rein_tensor *x) {
    rein_activation act = slope_of(x->op);
    rein_tensor *dx = x->n_in > 0 ? x->in[0] : NULL;
    if (act == REIN_ACT_IDENTITY || dx->op != REINI_DENSE_DX || dx->output || dx->k[2] != 1 || dx->k[7] ||
        !reini_same_shape(dx, x) || !reini_same_shape(x->in[1], x) || count_uses(p, dx) != 1)
        return;
    x->op = REINI_DENSE_DX_ACT;
    memcpy(x->k, dx->k, sizeof x->k);
    x->k[6] = (int32_t)act;
    x->in[2] = x->in[1];
    x->in[0] = dx->in[0];
    x->in[1] = dx->in[1];
    x->n_in = 3;
    p->live[dx->id] = 0;
}

/* where the tables have a kernel for it: those of bf16 products may not */
static void fuse(planner *p) {
    const reini_kernels *dense = p->narrow != NULL ? p->narrow : p->best;
    for (int i = 0; dense->run[REINI_DENSE_DX_ACT] != NULL && i < p->program->n_nodes; i++)
        if (p->live[i])
            fuse_slope(p, &p->program->node[i]);
}

/* ---- packed weights -------------------------------------------------------------------------------------- */

static bool is_dense(const rein_tensor *x) {
    return x->op == REINI_DENSE || x->op == REINI_DENSE_DX || x->op == REINI_DENSE_DX_ACT;
}

/* The parameter that a bf16 product may read in packed form, or NULL; *turned when it reads its transpose. */
static rein_tensor *packable(const planner *p, const rein_tensor *x, bool *turned) {
    *turned = x->op != REINI_DENSE;
    if (!p->live[x->id] || !is_dense(x) || !reini_bf16_packs(x->k, *turned))
        return NULL;
    rein_tensor *weight = x->in[1];
    if (*turned)
        weight = weight->op == REINI_TRANSPOSE ? weight->in[0] : NULL;
    else if (p->program->extent[x->extent].capacity <= p->program->tile)
        return NULL; /* one tile reads it once */
    return weight != NULL && weight->op == REINI_PARAM ? weight : NULL;
}

/* The packed form of a weight, made when there is none yet. */
static rein_tensor *packed_form(planner *p, rein_tensor *weight, const int32_t *k, bool turned) {
    rein_program *program = p->program;
    for (int i = p->g->n_nodes; i < program->n_nodes; i++) {
        rein_tensor *x = &program->node[i];
        if (x->in[0] == weight && x->k[0] == k[0] && x->k[1] == k[1] && x->k[6] == turned)
            return x;
    }
    rein_tensor *x = &program->node[program->n_nodes];
    *x = (rein_tensor){.id = program->n_nodes++,
                       .op = REINI_PACK,
                       .dtype = program->real,
                       .extent = REIN_STATIC,
                       .ndim = 1,
                       .n_in = 1,
                       .in = {weight},
                       .k = {k[0], k[1], 1, 0, 0, 0, turned}};
    x->width = turned ? reini_packed_width(k[1], k[0]) : reini_packed_width(k[0], k[1]);
    x->dims[0] = (int)x->width;
    p->live[x->id] = 1;
    return x;
}

/* Weights of bf16 products are rounded and laid out once a run instead of once a tile, transposes on the way. */
static void pack_weights(planner *p) {
    rein_program *program = p->program;
    for (int i = 0; p->narrow != NULL && i < p->g->n_nodes; i++) {
        rein_tensor *x = &program->node[i], *old = x->in[1];
        bool turned = false;
        rein_tensor *weight = packable(p, x, &turned);
        if (weight == NULL)
            continue;
        x->in[1] = packed_form(p, weight, x->k, turned);
        x->k[7] = REINI_PACKED;
        if (turned && !old->output && count_uses(p, old) == 0)
            p->live[old->id] = 0;
    }
}

/* ---- levels and steps ----------------------------------------------------------------------------------- */

/* A computed table must be complete: a level later, all rows kept. */
static bool reads_whole_table(const rein_tensor *x, int operand) {
    return reini_reads_table(x, operand) && is_op(x->in[operand]);
}

static int assign_levels(planner *p) {
    int deepest = 0;
    for (int i = 0; i < p->program->n_nodes; i++) {
        const rein_tensor *x = &p->program->node[i];
        if (!p->live[i] || !is_op(x))
            continue;
        int level = 0;
        for (int j = 0; j < x->n_in; j++) {
            int ready = p->ready[x->in[j]->id] + (reads_whole_table(x, j) ? 1 : 0);
            level = ready > level ? ready : level;
        }
        p->level[i] = level;
        p->ready[i] = level + (is_sum(x) ? 1 : 0);
        deepest = level > deepest ? level : deepest;
    }
    return deepest;
}

static bool belongs(const planner *p, const rein_tensor *x, int extent, int level) {
    return p->live[x->id] && is_op(x) && p->level[x->id] == level && runs_over(x) == extent;
}

static void append_work(planner *p, reini_step *step, const rein_tensor *x) {
    p->program->work[p->program->n_work++].node = x;
    p->done[x->id] = 1;
    step->count++;
}

/* Operands first. Depth first, so that a chain is finished before another one begins. */
static void append_with_operands(planner *p, reini_step *step, const rein_tensor *x, int level) {
    if (p->done[x->id])
        return;
    for (int j = 0; j < x->n_in; j++)
        if (belongs(p, x->in[j], step->extent, level))
            append_with_operands(p, step, x->in[j], level);
    append_work(p, step, x);
}

/* Sums whose operands are ready go at once, while those are warm and before their memory is wanted. */
static void append_ready_sums(planner *p, reini_step *step, int level) {
    for (int i = 0; i < p->program->n_nodes; i++) {
        const rein_tensor *x = &p->program->node[i];
        bool ready = is_sum(x) && !p->done[i] && belongs(p, x, step->extent, level);
        for (int j = 0; ready && j < x->n_in; j++)
            ready = p->done[x->in[j]->id] || !belongs(p, x->in[j], step->extent, level);
        if (ready)
            append_work(p, step, x);
    }
}

/* Row ops run one network after the other, forward and backward, rather than all forward and then all backward: the
 * last nodes of the list are the ends of gradients, so the walk starts from them. */
static void add_segment(planner *p, reini_step *step, int level) {
    for (int i = p->program->n_nodes - 1; i >= 0; i--) {
        const rein_tensor *x = &p->program->node[i];
        if (!belongs(p, x, step->extent, level) || p->done[i])
            continue;
        append_with_operands(p, step, x, level);
        append_ready_sums(p, step, level);
    }
}

/* a copy of a weight in another layout: no op of the same step comes before it */
static bool is_copy(const rein_tensor *x) {
    return (x->op == REINI_TRANSPOSE || x->op == REINI_PACK) && !is_op(x->in[0]);
}

/* Copies of weights go first; workers share them when there is enough to copy. */
static void add_static(planner *p, reini_step *step, int level) {
    enum { WORTH_SHARING = 16384 }; /* numbers */
    int64_t copied = 0;
    for (int i = 0; i < p->program->n_nodes; i++) {
        const rein_tensor *x = &p->program->node[i];
        if (!belongs(p, x, REIN_STATIC, level) || !is_copy(x))
            continue;
        append_work(p, step, x);
        copied += x->width;
    }
    step->apart = copied >= WORTH_SHARING ? step->count : 0;
    for (int i = 0; i < p->program->n_nodes; i++)
        if (belongs(p, &p->program->node[i], REIN_STATIC, level) && !p->done[i])
            append_work(p, step, &p->program->node[i]);
}

static void add_step(planner *p, int extent, int level) {
    rein_program *program = p->program;
    reini_step step = {.extent = extent, .first = program->n_work};
    if (extent == REIN_STATIC)
        add_static(p, &step, level);
    else
        add_segment(p, &step, level);
    if (step.count > 0)
        program->step[program->n_steps++] = step;
}

static void make_steps(planner *p) {
    int deepest = assign_levels(p);
    for (int level = 0; level <= deepest; level++)
        for (int extent = REIN_STATIC; extent < p->g->n_extents; extent++)
            add_step(p, extent, level);
}

/* ---- kernels -------------------------------------------------------------------------------------------- */

static rein_status choose_tables(planner *p, const rein_compile_opts *opts) {
    p->reference = p->program->real == REIN_F64 ? &reini_kernels_ref_f64 : &reini_kernels_ref_f32;
    p->best = p->program->real == REIN_F64 || opts->reference ? p->reference : reini_kernels_best();
    p->narrow = opts->matmul == REIN_BF16 && p->best != p->reference ? &reini_kernels_bf16 : NULL;
    if (p->narrow != NULL && !reini_bf16_available())
        return reini_fail(REIN_UNSUPPORTED, "bf16 matrix products need a CPU with AMX; use dtype f32");
    p->program->level = p->narrow != NULL ? p->narrow->level : p->best->level;
    return REIN_OK;
}

static reini_kernel *kernel_of(const planner *p, reini_op op) {
    if (p->narrow != NULL && p->narrow->run[op] != NULL)
        return p->narrow->run[op];
    return p->best->run[op] != NULL ? p->best->run[op] : p->reference->run[op];
}

static rein_status choose_kernels(planner *p) {
    rein_program *program = p->program;
    for (int i = 0; i < program->n_work; i++) {
        reini_op op = program->work[i].node->op;
        program->work[i].kernel = kernel_of(p, op);
        if (program->work[i].kernel == NULL)
            return reini_fail(REIN_UNSUPPORTED, "no kernel for op %s at level %s", reini_op_name(op),
                              p->best->level);
    }
    return REIN_OK;
}

/* ---- places --------------------------------------------------------------------------------------------- */

static void find_last_uses(planner *p) {
    rein_program *program = p->program;
    for (int s = 0; s < program->n_steps; s++) {
        const reini_step *step = &program->step[s];
        for (int w = step->first; w < step->first + step->count; w++) {
            const rein_tensor *x = program->work[w].node;
            for (int j = 0; j < x->n_in; j++) {
                const rein_tensor *in = x->in[j];
                p->last[in->id] = w;
                /* read in another step than its own: keep all rows */
                if (is_op(in) && in->extent != REIN_STATIC &&
                    (p->level[in->id] != p->level[x->id] || in->extent != step->extent))
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

static void place_leaf_or_kept(planner *p, int i) {
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

static void place_fixed(planner *p) {
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
static bool place_over_operand(planner *p, const rein_tensor *x, int w, block *blocks, int n) {
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

static rein_status place_tiles(planner *p, reini_step *step) {
    rein_program *program = p->program;
    block *blocks = REINI_NEW_ARRAY(block, (size_t)step->count + 1);
    if (blocks == NULL)
        return reini_fail_memory((size_t)step->count * sizeof *blocks, "a memory plan");
    int n = 0;
    for (int w = step->first; w < step->first + step->count; w++) {
        const rein_tensor *x = program->work[w].node;
        reini_place *place = &program->place[x->id];
        if (is_sum(x)) {
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

static rein_status place_all(planner *p) {
    rein_program *program = p->program;
    find_last_uses(p);
    place_fixed(p);
    for (int s = 0; s < program->n_steps; s++) {
        reini_step *step = &program->step[s];
        if (step->extent == REIN_STATIC)
            continue;
        REINI_TRY(place_tiles(p, step));
        int64_t tiles = (program->extent[step->extent].capacity + program->tile - 1) / program->tile;
        if (step->lane_size > 0)
            step->lanes = tiles < MAX_LANES ? (int)tiles : MAX_LANES;
        if (step->lanes * step->lane_size > program->lane_total)
            program->lane_total = step->lanes * step->lane_size;
    }
    return REIN_OK;
}

/* ---- front door ----------------------------------------------------------------------------------------- */

static bool convolves(const rein_graph *g) {
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i]->op == REINI_CONV)
            return true;
    return false;
}

/* Tall enough to amortise the calls, low enough to give every worker some tiles and to stay in L1. An image is work
 * for many rows: two workers should share a batch of 32. */
static int choose_tile(const rein_graph *g, const rein_compile_opts *opts) {
    if (opts->tile > 0)
        return opts->tile;
    if (convolves(g))
        return 16;
    int64_t largest = 1;
    for (int i = 0; i < g->n_extents; i++)
        largest = g->extent[i].capacity > largest ? g->extent[i].capacity : largest;
    return largest >= 64 ? 64 : 32;
}

static rein_status plan(planner *p, const rein_compile_opts *opts) {
    rein_program *program = p->program;
    program->real = p->g->real;
    program->tile = choose_tile(p->g, opts);
    program->n_extents = p->g->n_extents;
    memcpy(program->extent, p->g->extent, sizeof program->extent);
    for (int i = 0; i < p->g->n_slots; i++)
        program->slot[program->n_slots++] = reini_layout_hold(p->g->slot[i]);
    program->n_gradients = p->g->n_gradients;
    for (int i = 0; i < p->g->n_gradients; i++)
        program->gradient_slot[i] = p->g->gradient[i].slot;
    REINI_TRY(copy_nodes(p));
    REINI_TRY(choose_tables(p, opts));
    mark_live(p);
    fuse(p);
    pack_weights(p);
    make_steps(p);
    REINI_TRY(choose_kernels(p));
    return place_all(p);
}

rein_status rein_compile(rein_graph *g, const rein_compile_opts *opts, rein_program **out) {
    static const rein_compile_opts automatic;
    if (g->status != REIN_OK)
        return reini_fail(g->status, "%s", g->error);
    planner p = {.g = g, .program = REINI_NEW(rein_program)};
    if (p.program == NULL)
        return reini_fail_memory(sizeof *p.program, "a program");
    rein_status status = plan(&p, opts != NULL ? opts : &automatic);
    reini_free(p.live);
    reini_free(p.keep);
    reini_free(p.done);
    reini_free(p.level);
    reini_free(p.ready);
    reini_free(p.last);
    if (status != REIN_OK) {
        rein_program_free(p.program);
        return status;
    }
    *out = p.program;
    return REIN_OK;
}

void rein_program_free(rein_program *program) {
    if (program == NULL)
        return;
    for (int i = 0; i < program->n_slots; i++)
        rein_layout_free(program->slot[i]);
    reini_free(program->node);
    reini_free(program->place);
    reini_free(program->work);
    reini_free(program->step);
    reini_free(program);
}

/* ---- printing ------------------------------------------------------------------------------------------- */

typedef struct text {
    char *out;
    size_t size, used;
} text;

static void say(text *t, const char *format, ...) REIN_PRINTF(2, 3);
static void say(text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    bool room = t->used < t->size;
    int n = vsnprintf(room ? t->out + t->used : NULL, room ? t->size - t->used : 0, format, args);
    va_end(args);
    t->used += n > 0 ? (size_t)n : 0;
}

size_t rein_program_print(const rein_program *program, char *out, size_t size) {
    static const char *const where[] = {"-", "tile", "static", "rows", "input", "store", "gradient"};
    text t = {out, size, 0};
    say(&t,
        "kernels %s, tile %d rows; memory: tile %zu B per worker, static %zu B, rows %zu B, lanes %zu B\n",
        program->level, program->tile, program->tile_bytes, program->static_bytes, program->rows_bytes,
        (size_t)program->lane_total * rein_dtype_size(program->real));
    for (int s = 0; s < program->n_steps; s++) {
        const reini_step *step = &program->step[s];
        if (step->extent == REIN_STATIC)
            say(&t, "static\n");
        else
            say(&t, "rows of %s, %d lanes of %lld numbers\n", program->extent[step->extent].name, step->lanes,
                (long long)step->lane_size);
        for (int w = step->first; w < step->first + step->count; w++) {
            const rein_tensor *x = program->work[w].node;
            say(&t, "  %%%d = %s", x->id, reini_op_name(x->op));
            for (int j = 0; j < x->n_in; j++)
                say(&t, " %%%d", x->in[j]->id);
            say(&t, "  width %lld in %s+%lld %s\n", (long long)x->width, where[program->place[x->id].kind],
                (long long)program->place[x->id].offset, x->name);
        }
    }
    return t.used;
}
