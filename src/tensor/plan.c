/*
 * plan.c - compiling: which nodes are needed, in which order and with which kernels. What is fused and packed before:
 * plan_fuse.c; where tensors live: plan_place.c.
 */
#include "tensor/plan_maker.h"

#include <stdio.h>
#include <string.h>

/* the extent whose rows an op runs over */
static int runs_over(const rein_tensor *x) {
    return reini_plan_is_sum(x) ? x->in[0]->extent : x->extent;
}

/* ---- what is needed ------------------------------------------------------------------------------------- */

static rein_status copy_nodes(reini_plan_maker *p) {
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
    p->stage = REINI_NEW_ARRAY(int, n);
    p->step = REINI_NEW_ARRAY(int, n);
    if (!program->node || !program->place || !program->work || !program->step || !p->live || !p->keep ||
        !p->done || !p->level || !p->ready || !p->last || !p->stage || !p->step)
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

static void mark_live(reini_plan_maker *p) {
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

/* ---- levels and steps ----------------------------------------------------------------------------------- */

/* Weights of so many numbers; with more rows the copies of all activations would be larger than what they save. */
enum { SPLIT_WEIGHTS = 1 << 19, SPLIT_NARROWEST = 64, SPLIT_ROWS = 512 };

bool reini_plan_is_split(const reini_plan_maker *p, const rein_tensor *x) {
    int64_t in = x->k[0], out = x->k[1];
    bool product = x->op == REINI_DENSE || x->op == REINI_DENSE_DW || (x->op == REINI_DENSE_DX && x->k[7]);
    if (!product || p->best == p->reference || p->narrow != NULL || x->k[2] != 1)
        return false;
    return in * out >= SPLIT_WEIGHTS && in >= SPLIT_NARROWEST && out >= SPLIT_NARROWEST &&
           x->in[0]->extent != REIN_STATIC && p->program->extent[x->in[0]->extent].capacity <= SPLIT_ROWS;
}

/* All rows of an operand must be there before the op begins. */
static bool reads_all_rows(const reini_plan_maker *p, const rein_tensor *x, int operand) {
    const rein_tensor *in = x->in[operand];
    return reini_plan_is_split(p, x) && reini_plan_is_op(in) && in->extent != REIN_STATIC &&
           !reini_plan_is_split(p, in);
}

/* A computed table must be complete: a level later, all rows kept. */
static bool reads_whole_table(const rein_tensor *x, int operand) {
    return reini_reads_table(x, operand) && reini_plan_is_op(x->in[operand]);
}

static int branch_of(const reini_plan_maker *p, const rein_tensor *x) {
    return p->branches && runs_over(x) != REIN_STATIC ? x->branch : 0;
}

/* One alone has nobody to run beside. */
static bool has_branches(const reini_plan_maker *p) {
    int first = 0;
    for (int i = 0; i < p->program->n_nodes; i++) {
        const rein_tensor *x = &p->program->node[i];
        if (!p->live[i] || x->branch == 0 || x->extent == REIN_STATIC)
            continue;
        if (first != 0 && x->branch != first)
            return true;
        first = x->branch;
    }
    return false;
}

/* Within a segment: what is in no branch runs before the branches of its stage. */
static int stage_of(const reini_plan_maker *p, const rein_tensor *x) {
    int stage = 0, own = branch_of(p, x);
    for (int j = 0; j < x->n_in; j++) {
        const rein_tensor *in = x->in[j];
        if (!reini_plan_is_op(in) || reini_plan_is_sum(in) || in->extent == REIN_STATIC ||
            p->level[in->id] != p->level[x->id])
            continue;
        int theirs = branch_of(p, in), after = p->stage[in->id] + (theirs != 0 && theirs != own);
        stage = after > stage ? after : stage;
    }
    return stage;
}

static int assign_levels(reini_plan_maker *p) {
    int deepest = 0;
    for (int i = 0; i < p->program->n_nodes; i++) {
        const rein_tensor *x = &p->program->node[i];
        if (!p->live[i] || !reini_plan_is_op(x))
            continue;
        int level = 0;
        for (int j = 0; j < x->n_in; j++) {
            int ready = p->ready[x->in[j]->id] + (reads_whole_table(x, j) || reads_all_rows(p, x, j) ? 1 : 0);
            level = ready > level ? ready : level;
        }
        p->level[i] = level;
        p->ready[i] = level + (reini_plan_is_sum(x) || reini_plan_is_split(p, x) ? 1 : 0);
        p->stage[i] = stage_of(p, x);
        deepest = level > deepest ? level : deepest;
    }
    return deepest;
}

/* What a step is made of: the rows it runs over, when, and whose. */
typedef struct part {
    int extent, level, stage, branch;
} part;

static bool belongs(const reini_plan_maker *p, const rein_tensor *x, const part *of) {
    return p->live[x->id] && reini_plan_is_op(x) && p->level[x->id] == of->level &&
           runs_over(x) == of->extent && p->stage[x->id] == of->stage && branch_of(p, x) == of->branch &&
           !reini_plan_is_split(p, x);
}

static void append_work(reini_plan_maker *p, reini_step *step, const rein_tensor *x) {
    p->program->work[p->program->n_work++].node = x;
    p->done[x->id] = 1;
    p->step[x->id] = p->program->n_steps;
    step->count++;
}

/* Operands first. Depth first, so that a chain is finished before another one begins. */
static void append_with_operands(reini_plan_maker *p, reini_step *step, const rein_tensor *x,
                                 const part *of) {
    if (p->done[x->id])
        return;
    for (int j = 0; j < x->n_in; j++)
        if (belongs(p, x->in[j], of))
            append_with_operands(p, step, x->in[j], of);
    append_work(p, step, x);
}

/* Sums whose operands are ready go at once, while those are warm and before their memory is wanted. */
static void append_ready_sums(reini_plan_maker *p, reini_step *step, const part *of) {
    for (int i = 0; i < p->program->n_nodes; i++) {
        const rein_tensor *x = &p->program->node[i];
        bool ready = reini_plan_is_sum(x) && !p->done[i] && belongs(p, x, of);
        for (int j = 0; ready && j < x->n_in; j++)
            ready = p->done[x->in[j]->id] || !belongs(p, x->in[j], of);
        if (ready)
            append_work(p, step, x);
    }
}

/* a copy of a weight in another layout: no op of the same step comes before it */
static bool is_copy(const rein_tensor *x) {
    return (x->op == REINI_TRANSPOSE || x->op == REINI_PACK) && !reini_plan_is_op(x->in[0]);
}

/* A copy that only its branch reads is made by whoever runs the branch. */
static bool is_own_copy(const reini_plan_maker *p, const rein_tensor *x) {
    bool own = p->branches && p->live[x->id] && x->branch != 0 && is_copy(x) && !x->output;
    for (int i = 0; own && i < p->program->n_nodes; i++) {
        const rein_tensor *user = &p->program->node[i];
        for (int j = 0; own && p->live[i] && j < user->n_in; j++)
            own = user->in[j] != x || (branch_of(p, user) == x->branch && !reini_plan_is_split(p, user));
    }
    return own;
}

static void append_own_copies(reini_plan_maker *p, reini_step *step, int branch) {
    for (int i = 0; branch != 0 && i < p->program->n_nodes; i++) {
        const rein_tensor *x = &p->program->node[i];
        if (x->branch == branch && !p->done[i] && is_own_copy(p, x))
            append_work(p, step, x);
    }
    step->before = step->count;
}

/* Row ops run one network after the other, forward and backward, rather than all forward and then all backward: the
 * last nodes of the list are the ends of gradients, so the walk starts from them. */
static void add_segment(reini_plan_maker *p, reini_step *step, const part *of) {
    for (int i = p->program->n_nodes - 1; i >= 0; i--) {
        const rein_tensor *x = &p->program->node[i];
        if (!belongs(p, x, of) || p->done[i])
            continue;
        if (step->count == 0)
            append_own_copies(p, step, of->branch);
        append_with_operands(p, step, x, of);
        append_ready_sums(p, step, of);
    }
}

/* Copies of weights go first; workers share them when there is enough to copy. */
static void add_static(reini_plan_maker *p, reini_step *step, const part *of) {
    enum { WORTH_SHARING = 16384 }; /* numbers */
    int64_t copied = 0;
    for (int i = 0; i < p->program->n_nodes; i++) {
        const rein_tensor *x = &p->program->node[i];
        if (!belongs(p, x, of) || !is_copy(x) || is_own_copy(p, x))
            continue;
        append_work(p, step, x);
        copied += x->width;
    }
    step->apart = copied >= WORTH_SHARING ? step->count : 0;
    for (int i = 0; i < p->program->n_nodes; i++) {
        const rein_tensor *x = &p->program->node[i];
        if (belongs(p, x, of) && !p->done[i] && !is_own_copy(p, x))
            append_work(p, step, x);
    }
}

/* Returns whether there was anything to do. */
static bool add_step(reini_plan_maker *p, const part *of) {
    rein_program *program = p->program;
    reini_step step = {.extent = of->extent, .first = program->n_work};
    if (of->extent == REIN_STATIC)
        add_static(p, &step, of);
    else
        add_segment(p, &step, of);
    if (step.count > 0)
        program->step[program->n_steps++] = step;
    return step.count > 0;
}

/* Stage after stage: what is in no branch, then the branches beside each other. */
static void add_segments(reini_plan_maker *p, int extent, int level) {
    int stages = 1, branches = 0;
    for (int i = 0; i < p->program->n_nodes; i++) {
        const rein_tensor *x = &p->program->node[i];
        if (!p->live[i] || !reini_plan_is_op(x) || p->level[i] != level || runs_over(x) != extent)
            continue;
        stages = p->stage[i] >= stages ? p->stage[i] + 1 : stages;
        branches = branch_of(p, x) > branches ? branch_of(p, x) : branches;
    }
    for (int stage = 0; stage < stages; stage++) {
        add_step(p, &(part){extent, level, stage, 0});
        int first = p->program->n_steps, beside = 0;
        for (int branch = 1; branch <= branches; branch++)
            beside += add_step(p, &(part){extent, level, stage, branch});
        if (beside > 1)
            p->program->step[first].beside = beside;
    }
}

static void add_split_steps(reini_plan_maker *p, int level) {
    rein_program *program = p->program;
    for (int i = 0; i < program->n_nodes; i++) {
        const rein_tensor *x = &program->node[i];
        if (!p->live[i] || p->level[i] != level || !reini_plan_is_split(p, x))
            continue;
        reini_step step = {.extent = runs_over(x), .first = program->n_work, .split = true};
        append_work(p, &step, x);
        program->step[program->n_steps++] = step;
    }
}

static void make_steps(reini_plan_maker *p) {
    int deepest = assign_levels(p);
    for (int level = 0; level <= deepest; level++) {
        add_step(p, &(part){.extent = REIN_STATIC, .level = level});
        add_split_steps(p, level);
        for (int extent = 0; extent < p->g->n_extents; extent++)
            add_segments(p, extent, level);
    }
}

/* ---- kernels -------------------------------------------------------------------------------------------- */

static rein_status choose_tables(reini_plan_maker *p, const rein_compile_opts *opts) {
    p->reference = p->program->real == REIN_F64 ? &reini_kernels_ref_f64 : &reini_kernels_ref_f32;
    p->best = p->program->real == REIN_F64 || opts->reference ? p->reference : reini_kernels_best();
    p->narrow = opts->matmul == REIN_BF16 && p->best != p->reference ? &reini_kernels_bf16 : NULL;
    if (p->narrow != NULL && !reini_bf16_available())
        return reini_fail(REIN_UNSUPPORTED, "bf16 matrix products need a CPU with AMX; use dtype f32");
    p->program->level = p->narrow != NULL ? p->narrow->level : p->best->level;
    return REIN_OK;
}

static reini_kernel *kernel_of(const reini_plan_maker *p, reini_op op) {
    if (p->narrow != NULL && p->narrow->run[op] != NULL)
        return p->narrow->run[op];
    return p->best->run[op] != NULL ? p->best->run[op] : p->reference->run[op];
}

static rein_status choose_kernels(reini_plan_maker *p) {
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

static rein_status plan(reini_plan_maker *p, const rein_compile_opts *opts) {
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
    p->branches = opts->branches != 0 && has_branches(p);
    reini_plan_fuse(p);
    reini_plan_pack(p);
    make_steps(p);
    REINI_TRY(choose_kernels(p));
    return reini_plan_place(p);
}

rein_status rein_compile(rein_graph *g, const rein_compile_opts *opts, rein_program **out) {
    static const rein_compile_opts automatic;
    if (g->status != REIN_OK)
        return reini_fail(g->status, "%s", g->error);
    reini_plan_maker p = {.g = g, .program = REINI_NEW(rein_program)};
    if (p.program == NULL)
        return reini_fail_memory(sizeof *p.program, "a program");
    rein_status status = plan(&p, opts != NULL ? opts : &automatic);
    reini_free(p.live);
    reini_free(p.keep);
    reini_free(p.done);
    reini_free(p.level);
    reini_free(p.ready);
    reini_free(p.last);
    reini_free(p.stage);
    reini_free(p.step);
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
        if (step->beside > 0)
            say(&t, "%d branches side by side\n", step->beside);
        if (step->extent == REIN_STATIC)
            say(&t, "static\n");
        else if (step->split)
            say(&t, "all rows of %s, shared by columns\n", program->extent[step->extent].name);
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
