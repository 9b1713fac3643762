/*
 * exec.c - running a program: bindings, work memory, tiles over workers, folding of sums.
 *
 * Every worker owns a copy of each step's calls with the addresses of its tile memory filled in. What changes from
 * tile to tile (operands that live in whole-row memory) is listed as patches and rewritten before the tile's ops.
 */
#include <string.h>
#include "tensor/plan.h"

typedef struct binding {
    char *base;
    int64_t stride; /* elements between rows */
} binding;

/* An operand whose address follows the tile: base + row0 x stride. */
typedef struct patch {
    int call, operand; /* operand -1 = out */
    int node;
    int64_t size; /* bytes of an element; 0 for a table, which is read from its first row */
} patch;

typedef struct segment {
    const reini_step *step;
    int first_patch, patches;
    int first_sum, sums; /* of exec->sum */
} segment;

typedef struct sum {
    int call; /* place in the work list */
    const rein_tensor *node;
    void *target; /* where the folded sum goes */
} sum;

struct rein_exec {
    const rein_program *program;
    rein_pool *pool;
    int workers;
    char *static_memory, *rows_memory, *lanes;
    char **tile;       /* per worker */
    reini_call **call; /* per worker: one for each op of the work list */
    binding *bound;    /* per node: inputs and kept rows */
    const rein_store *store[REINI_SLOTS];
    rein_store *gradient[REINI_GRADIENTS];
    segment *segment; /* one for each step */
    patch *patch;
    int n_patches;
    sum *sum;
    int n_sums;
    int64_t rows[REINI_EXTENTS];
    bool dirty;             /* fixed addresses must be filled in again */
    const segment *current; /* what the workers are at */
    int current_lanes;
    int current_parts; /* of a step over all rows */
};

static size_t real_size(const rein_exec *e) {
    return rein_dtype_size(e->program->real);
}

/* ---- addresses ------------------------------------------------------------------------------------------ */

static char *store_address(const rein_store *store, int index) {
    if (store == NULL)
        return NULL;
    return (char *)store->data + store->layout->param[index].offset * (int64_t)rein_dtype_size(store->real);
}

/* Address of a tensor that does not move from tile to tile; NULL when not bound yet. */
static char *fixed_address(const rein_exec *e, int worker, int node) {
    const reini_place *place = &e->program->place[node];
    switch (place->kind) {
    case REINI_IN_TILE:
        return e->tile[worker] + place->offset;
    case REINI_IN_STATIC:
        return e->static_memory + place->offset;
    case REINI_IN_STORE:
        return store_address(e->store[place->owner], place->index);
    case REINI_IN_GRADIENT:
        return store_address(e->gradient[place->owner], place->index);
    default:
        return e->bound[node].base;
    }
}

static bool moves(const rein_exec *e, const rein_tensor *x) {
    reini_place_kind kind = e->program->place[x->id].kind;
    return kind == REINI_IN_ROWS || (kind == REINI_IN_BINDING && x->extent != REIN_STATIC);
}

static void fill_operand(const rein_exec *e, int worker, reini_operand *operand, const rein_tensor *x) {
    operand->at = fixed_address(e, worker, x->id);
    operand->width = x->width;
    operand->stride = x->extent == REIN_STATIC ? 0 : moves(e, x) ? e->bound[x->id].stride : x->width;
}

static void fill_call(rein_exec *e, int worker, int w) {
    const rein_tensor *x = e->program->work[w].node;
    reini_call *call = &e->call[worker][w];
    call->k = x->k;
    call->p = x->p;
    call->rows = 1;
    fill_operand(e, worker, &call->out, x);
    for (int j = 0; j < x->n_in; j++)
        fill_operand(e, worker, &call->in[j], x->in[j]);
    /* rows of a static table lie a result's width apart */
    if (x->op == REINI_GATHER && x->in[0]->extent == REIN_STATIC)
        call->in[0].stride = x->width;
}

static void fill_all(rein_exec *e) {
    for (int worker = 0; worker < e->workers; worker++)
        for (int w = 0; w < e->program->n_work; w++)
            fill_call(e, worker, w);
    for (int s = 0; s < e->n_sums; s++)
        e->sum[s].target = fixed_address(e, 0, e->sum[s].node->id);
    e->dirty = false;
}

/* ---- construction --------------------------------------------------------------------------------------- */

static void add_patch(rein_exec *e, int w, int operand, const rein_tensor *x, bool shift) {
    if (!moves(e, x))
        return;
    e->patch[e->n_patches++] = (patch){w, operand, x->id, shift ? (int64_t)rein_dtype_size(x->dtype) : 0};
}

static void list_step(rein_exec *e, int s) {
    const rein_program *program = e->program;
    const reini_step *step = &program->step[s];
    segment *seg = &e->segment[s];
    seg->step = step;
    seg->first_patch = e->n_patches;
    seg->first_sum = e->n_sums;
    for (int w = step->first + step->before; w < step->first + step->count; w++) {
        const rein_tensor *x = program->work[w].node;
        if (step->extent != REIN_STATIC && x->extent == REIN_STATIC)
            e->sum[e->n_sums++] = (sum){w, x, NULL};
        else
            add_patch(e, w, -1, x, true);
        for (int j = 0; j < x->n_in; j++)
            add_patch(e, w, j, x->in[j], !reini_reads_table(x, j));
    }
    seg->patches = e->n_patches - seg->first_patch;
    seg->sums = e->n_sums - seg->first_sum;
}

static void write_real(rein_exec *e, int node, double value) {
    char *at = e->static_memory + e->program->place[node].offset;
    if (e->program->real == REIN_F64)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &(float){(float)value}, sizeof(float));
}

static void initial_values(rein_exec *e) {
    const rein_program *program = e->program;
    for (int i = 0; i < program->n_nodes; i++) {
        const rein_tensor *x = &program->node[i];
        const reini_place *place = &program->place[i];
        if (place->kind == REINI_IN_STATIC && (x->op == REINI_UNIFORM || x->op == REINI_CONSTANT))
            write_real(e, i, x->p[0]);
        if (place->kind == REINI_IN_ROWS)
            e->bound[i].base = e->rows_memory + place->offset;
        e->bound[i].stride = x->width;
    }
    for (int i = 0; i < program->n_extents; i++)
        rein_exec_rows(e, i, program->extent[i].capacity);
}

static rein_status allocate(rein_exec *e) {
    const rein_program *program = e->program;
    size_t n = (size_t)program->n_work, workers = (size_t)e->workers;
    size_t lanes = (size_t)program->lane_total * real_size(e);
    size_t bytes = program->static_bytes + program->rows_bytes + lanes + workers * program->tile_bytes;
    e->static_memory = reini_new(program->static_bytes);
    e->rows_memory = reini_new(program->rows_bytes);
    e->lanes = reini_new(lanes);
    e->tile = REINI_NEW_ARRAY(char *, workers);
    e->call = REINI_NEW_ARRAY(reini_call *, workers);
    e->bound = REINI_NEW_ARRAY(binding, (size_t)program->n_nodes);
    e->segment = REINI_NEW_ARRAY(segment, (size_t)program->n_steps);
    e->patch = REINI_NEW_ARRAY(patch, n * (REINI_OPERANDS + 1));
    e->sum = REINI_NEW_ARRAY(sum, n);
    bool ok = e->static_memory && e->rows_memory && e->lanes && e->tile && e->call && e->bound &&
              e->segment && e->patch && e->sum;
    for (size_t i = 0; ok && i < workers; i++) {
        e->tile[i] = reini_new(program->tile_bytes);
        e->call[i] = REINI_NEW_ARRAY(reini_call, n);
        ok = e->tile[i] != NULL && e->call[i] != NULL;
    }
    return ok ? REIN_OK : reini_fail_memory(bytes, "running a tensor program");
}

rein_status rein_exec_new(const rein_program *program, rein_pool *pool, rein_exec **out) {
    rein_exec *e = REINI_NEW(rein_exec);
    if (e == NULL)
        return reini_fail_memory(sizeof *e, "running a tensor program");
    e->program = program;
    e->pool = pool;
    e->workers = rein_pool_threads(pool);
    rein_status status = allocate(e);
    if (status != REIN_OK) {
        rein_exec_free(e);
        return status;
    }
    initial_values(e);
    for (int s = 0; s < program->n_steps; s++)
        list_step(e, s);
    e->dirty = true;
    *out = e;
    return REIN_OK;
}

void rein_exec_free(rein_exec *e) {
    if (e == NULL)
        return;
    for (int i = 0; i < e->workers; i++) {
        if (e->tile != NULL)
            reini_free(e->tile[i]);
        if (e->call != NULL)
            reini_free(e->call[i]);
    }
    reini_free(e->tile);
    reini_free(e->call);
    reini_free(e->static_memory);
    reini_free(e->rows_memory);
    reini_free(e->lanes);
    reini_free(e->bound);
    reini_free(e->segment);
    reini_free(e->patch);
    reini_free(e->sum);
    reini_free(e);
}

/* ---- bindings ------------------------------------------------------------------------------------------- */

void rein_exec_bind_store(rein_exec *e, int slot, const rein_store *store) {
    REINI_ASSERT(store->layout == e->program->slot[slot] && store->real == e->program->real);
    e->store[slot] = store;
    e->dirty = true;
}

void rein_exec_bind_gradient(rein_exec *e, int gradient, rein_store *store) {
    REINI_ASSERT(store->layout == e->program->slot[e->program->gradient_slot[gradient]]);
    REINI_ASSERT(store->real == e->program->real);
    e->gradient[gradient] = store;
    e->dirty = true;
}

void rein_exec_bind(rein_exec *e, const rein_tensor *x, const void *data, int64_t row_stride) {
    reini_place_kind kind = e->program->place[x->id].kind;
    if (kind == REINI_NOWHERE)
        return; /* an input that nothing needs */
    REINI_ASSERT(kind == REINI_IN_BINDING || kind == REINI_IN_ROWS);
    e->bound[x->id].base = (char *)(uintptr_t)data;
    e->bound[x->id].stride = row_stride > 0 ? row_stride : x->width;
    if (x->extent == REIN_STATIC)
        e->dirty = true;
}

void rein_exec_set(rein_exec *e, const rein_tensor *uniform, double value) {
    if (e->program->place[uniform->id].kind == REINI_IN_STATIC)
        write_real(e, uniform->id, value);
}

void rein_exec_key(rein_exec *e, const rein_tensor *key, uint64_t seed, uint32_t stream, uint64_t step,
                   uint64_t row_base) {
    if (e->program->place[key->id].kind != REINI_IN_STATIC)
        return;
    reini_key value = {.seed = seed, .step = step, .row_base = row_base, .stream = stream};
    memcpy(e->static_memory + e->program->place[key->id].offset, &value, sizeof value);
}

void rein_exec_rows(rein_exec *e, int extent, int64_t rows) {
    REINI_ASSERT(rows >= 0 && rows <= e->program->extent[extent].capacity);
    e->rows[extent] = rows;
    for (int i = 0; i < e->program->n_nodes; i++) {
        const rein_tensor *x = &e->program->node[i];
        if (x->op == REINI_COUNT && x->k[0] == extent && e->program->place[i].kind == REINI_IN_STATIC)
            write_real(e, i, (double)rows);
    }
}

const void *rein_exec_data(const rein_exec *e, const rein_tensor *x) {
    return fixed_address(e, 0, x->id);
}

double rein_exec_scalar(const rein_exec *e, const rein_tensor *x) {
    const void *at = fixed_address(e, 0, x->id);
    return e->program->real == REIN_F64 ? *(const double *)at : (double)*(const float *)at;
}

/* ---- running -------------------------------------------------------------------------------------------- */

static void run_copy(void *user, int task, int worker) {
    const rein_exec *e = user;
    int w = e->current->step->first + task;
    e->program->work[w].kernel(&e->call[worker][w]);
}

static void run_static(rein_exec *e, const segment *seg) {
    const reini_step *step = seg->step;
    e->current = seg;
    rein_pool_run(e->pool, step->apart, run_copy, e);
    for (int w = step->first + step->apart; w < step->first + step->count; w++)
        e->program->work[w].kernel(&e->call[0][w]);
}

static void move_operands(rein_exec *e, const segment *seg, reini_call *calls, int64_t row0) {
    for (int i = seg->first_patch; i < seg->first_patch + seg->patches; i++) {
        const patch *p = &e->patch[i];
        const binding *b = &e->bound[p->node];
        reini_operand *operand = p->operand < 0 ? &calls[p->call].out : &calls[p->call].in[p->operand];
        operand->at = b->base + row0 * b->stride * p->size;
        operand->stride = b->stride;
    }
}

static void run_tile(rein_exec *e, const segment *seg, reini_call *calls, int64_t row0, int rows,
                     bool accumulate) {
    const reini_step *step = seg->step;
    move_operands(e, seg, calls, row0);
    for (int w = step->first + step->before; w < step->first + step->count; w++) {
        reini_call *call = &calls[w];
        call->rows = rows;
        call->row0 = row0;
        call->accumulate = accumulate;
        e->program->work[w].kernel(call);
    }
}

static int64_t tiles_of(const rein_exec *e, const segment *seg) {
    int64_t rows = e->rows[seg->step->extent];
    return (rows + e->program->tile - 1) / e->program->tile;
}

/* Lanes in use: a function of the live rows only, so that sums do not depend on threads. Without sums any cut will
 * do: two for each worker, so that a fast one can help a slow one. */
static int live_lanes(const rein_exec *e, const segment *seg) {
    int64_t tiles = tiles_of(e, seg);
    int lanes = seg->step->lanes > 0 ? seg->step->lanes : 2 * e->workers;
    return tiles < lanes ? (int)tiles : lanes;
}

/* The first lane sums where the result belongs, the others in blocks of their own. */
static char *sum_address(const rein_exec *e, const segment *seg, const sum *x, int lane) {
    if (lane == 0)
        return x->target;
    int64_t at =
        seg->step->lane_base + lane * seg->step->lane_size + e->program->place[x->node->id].lane_offset;
    return e->lanes + at * (int64_t)real_size(e);
}

static void point_sums_at_lane(rein_exec *e, const segment *seg, reini_call *calls, int lane) {
    for (int s = seg->first_sum; s < seg->first_sum + seg->sums; s++)
        calls[e->sum[s].call].out.at = sum_address(e, seg, &e->sum[s], lane);
}

/* The tiles of one lane out of `lanes`. */
static void run_tiles(rein_exec *e, const segment *seg, int lane, int lanes, int worker) {
    int64_t tiles = tiles_of(e, seg), live = e->rows[seg->step->extent];
    int64_t begin = tiles * lane / lanes, end = tiles * (lane + 1) / lanes;
    point_sums_at_lane(e, seg, e->call[worker], lane);
    for (int64_t t = begin; t < end; t++) {
        int64_t row0 = t * e->program->tile;
        int64_t rows = live - row0 < e->program->tile ? live - row0 : e->program->tile;
        run_tile(e, seg, e->call[worker], row0, (int)rows, t > begin);
    }
}

static void run_lane(void *user, int lane, int worker) {
    rein_exec *e = user;
    run_tiles(e, e->current, lane, e->current_lanes, worker);
}

static void add_lane(const rein_exec *e, char *to, const char *from, int64_t size) {
    if (e->program->real == REIN_F32) {
        reini_vector_ops_best()->add((float *)to, (const float *)from, size);
        return;
    }
    for (int64_t i = 0; i < size; i++)
        ((double *)to)[i] += ((const double *)from)[i];
}

/* Adds elements [at, at + size) of a sum's lanes pairwise, in a fixed tree, into the first one. */
static void add_lanes(const rein_exec *e, const segment *seg, const sum *x, int lanes, int64_t at,
                      int64_t size) {
    int64_t skip = at * (int64_t)real_size(e);
    for (int reach = 1; reach < lanes; reach *= 2)
        for (int lane = 0; lane + reach < lanes; lane += 2 * reach)
            add_lane(e, sum_address(e, seg, x, lane) + skip, sum_address(e, seg, x, lane + reach) + skip,
                     size);
}

/* a block of numbers that stays in the nearest cache while all lanes are added; fewer are not worth a second worker */
enum { FOLD_BLOCK = 1024, FOLD_ALONE = 8192 };

/* Elements [begin, end) of the lane blocks. */
static void fold_range(const rein_exec *e, const segment *seg, int lanes, int64_t begin, int64_t end) {
    for (int s = seg->first_sum; s < seg->first_sum + seg->sums; s++) {
        const sum *x = &e->sum[s];
        int64_t offset = e->program->place[x->node->id].lane_offset, last = offset + x->node->width;
        int64_t from = offset > begin ? offset : begin, to = last < end ? last : end;
        for (int64_t at = from; at < to; at += FOLD_BLOCK)
            add_lanes(e, seg, x, lanes, at - offset, to - at < FOLD_BLOCK ? to - at : FOLD_BLOCK);
    }
}

static void fold_share(void *user, int task, int worker) {
    const rein_exec *e = user;
    int64_t size = e->current->step->lane_size;
    (void)worker;
    fold_range(e, e->current, e->current_lanes, size * task / e->workers, size * (task + 1) / e->workers);
}

static void fold_alone(const rein_exec *e, const segment *seg, int lanes) {
    for (int s = seg->first_sum; lanes == 0 && s < seg->first_sum + seg->sums; s++)
        memset(e->sum[s].target, 0, (size_t)e->sum[s].node->width * real_size(e));
    fold_range(e, seg, lanes, 0, seg->step->lane_size);
}

static void fold(rein_exec *e, const segment *seg) {
    if (seg->step->lane_size < FOLD_ALONE || e->current_lanes < 2)
        fold_alone(e, seg, e->current_lanes);
    else
        rein_pool_run(e->pool, e->workers, fold_share, e);
}

static void run_part(void *user, int part, int worker) {
    rein_exec *e = user;
    const segment *seg = e->current;
    reini_call *call = &e->call[worker][seg->step->first];
    move_operands(e, seg, e->call[worker], 0);
    if (seg->sums > 0)
        call->out.at = e->sum[seg->first_sum].target;
    call->rows = (int32_t)e->rows[seg->step->extent];
    call->row0 = 0;
    call->accumulate = false;
    call->part = part;
    call->parts = e->current_parts;
    e->program->work[seg->step->first].kernel(call);
}

/* Two shares for each worker, so that a fast one can help a slow one. */
static void run_split(rein_exec *e, const segment *seg) {
    e->current = seg;
    e->current_parts = e->workers > 1 ? 2 * e->workers : 1;
    if (e->rows[seg->step->extent] > 0)
        rein_pool_run(e->pool, e->current_parts, run_part, e);
    else if (seg->sums > 0)
        memset(e->sum[seg->first_sum].target, 0, (size_t)e->sum[seg->first_sum].node->width * real_size(e));
}

static void run_before(const rein_exec *e, const segment *seg, int worker) {
    const reini_step *step = seg->step;
    for (int w = step->first; w < step->first + step->before; w++)
        e->program->work[w].kernel(&e->call[worker][w]);
}

/* One of the steps side by side, all of it. */
static void run_beside(void *user, int task, int worker) {
    rein_exec *e = user;
    const segment *seg = e->current + task;
    int lanes = live_lanes(e, seg);
    run_before(e, seg, worker);
    for (int lane = 0; lane < lanes; lane++)
        run_tiles(e, seg, lane, lanes, worker);
    fold_alone(e, seg, lanes);
}

/* A second worker costs about a microsecond. */
static bool worth_sharing(const rein_exec *e, const segment *seg) {
    enum { SHARE = 4096 }; /* numbers */
    return seg->step->row_work * e->rows[seg->step->extent] >= SHARE;
}

static void run_segment(rein_exec *e, const segment *seg) {
    e->current = seg;
    if (seg->step->beside > 0) {
        rein_pool_run(e->pool, seg->step->beside, run_beside, e);
        return;
    }
    run_before(e, seg, 0);
    e->current_lanes = live_lanes(e, seg);
    rein_pool_run(worth_sharing(e, seg) ? e->pool : NULL, e->current_lanes, run_lane, e);
    if (seg->sums > 0)
        fold(e, seg);
}

void rein_exec_run(rein_exec *e) {
    if (e->dirty)
        fill_all(e);
    for (int s = 0; s < e->program->n_steps; s += reini_steps_together(e->segment[s].step)) {
        const segment *seg = &e->segment[s];
        if (seg->step->extent == REIN_STATIC)
            run_static(e, seg);
        else if (seg->step->split)
            run_split(e, seg);
        else
            run_segment(e, seg);
    }
}
