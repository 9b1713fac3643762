/*
 * test_kernels.c - every kernel of every level that this machine has, against the reference in float, and the
 * reference in float against the reference in double.
 */
#include "trial.h"

static const int widths[] = {1, 2, 3, 5, 7, 15, 16, 17, 31, 33, 64, 65, 100, 256};
static const int heights[] = {1, 2, 3, 7, 31, 32, 33, 64};
#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

static const reini_kernels *tables[4];
static int table_count;

static void find_tables(void) {
    tables[table_count++] = &reini_kernels_portable;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        tables[table_count++] = &reini_kernels_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        tables[table_count++] = &reini_kernels_avx512;
#endif
}

/* Rows computed alone and in small groups have the bits they have in the whole tile. */
static void check_invariance(const trial *t, const reini_kernels *table, result whole) {
    static const int groups[] = {1, 2, 5, 17};
    for (int g = 0; g < COUNT(groups); g++) {
        for (int64_t first = g; first < t->rows; first += groups[g] + (t->rows > 8 ? 5 : 0)) {
            int rows = t->rows - first < groups[g] ? (int)(t->rows - first) : groups[g];
            result part = trial_rows(t, table->run[t->op], false, first, rows);
            compare_rows(t, table->level, part, whole, first);
            free(part.at);
        }
    }
}

static void check(const trial *t, double share) {
    char kind = reini_op_kind(t->op);
    bool by_row = kind != 'S' && kind != 'T' && t->rows > 1;
    result exact = trial_run(t, reini_kernels_ref_f64.run[t->op], true);
    result plain = trial_run(t, reini_kernels_ref_f32.run[t->op], false);
    compare(t, "reference", plain, exact, share);
    if (by_row)
        check_invariance(t, &reini_kernels_ref_f32, plain);
    for (int i = 0; i < table_count; i++) {
        if (!tables[i]->run[t->op])
            continue;
        result fast = trial_run(t, tables[i]->run[t->op], false);
        compare(t, tables[i]->level, fast, plain, share);
        if (by_row)
            check_invariance(t, tables[i], fast);
        free(fast.at);
    }
    free(exact.at);
    free(plain.at);
}

/* ---- elementwise -------------------------------------------------------------------------------------- */

/* the result written over operand i */
static void check_in_place(const trial *t, const reini_kernels *table, int i) {
    void *in[REINI_OPERANDS];
    result apart = trial_run(t, table->run[t->op], false);
    make_operands(t, in, false);
    reini_call call = trial_call(t, in, 0, t->rows, in[i], false);
    table->run[t->op](&call);
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t j = 0; j < t->out.width; j++) {
            double got = ((float *)in[i])[r * t->out.stride + j], want = apart.at[r * t->out.width + j];
            if (!same_number(got, want))
                trial_fail(t, table->level, "in place", r, j, got, want);
        }
    free_operands(t, in);
    free(apart.at);
}

static fill map_fill(reini_op op) {
    return op == REINI_LOG || op == REINI_SQRT ? FILL_POSITIVE : FILL_USUAL;
}

/* layout of operand i: 0 flat, 1 padded, 2 static, 3 scalar, 4 a number per row */
static trial_operand map_operand(int layout, int width, fill from) {
    trial_operand x = {width, width, from, REIN_F32, 0, 0};
    x.width = layout >= 3 ? 1 : width;
    x.stride = layout == 0 ? width : layout == 1 ? width + 3 : layout == 4 ? 1 : 0;
    return x;
}

static trial map_trial(reini_op op, int width, int rows, int layout, fill from) {
    trial t = {
        .op = op, .rows = rows, .p = {1.5, -0.25}, .seed = (uint64_t)(width * 1000 + rows * 10 + layout)};
    for (int i = 0; i < reini_op_operands(op); i++)
        t.in[i] = map_operand(i == 0 ? layout % 2 : (layout / 2 + i) % 5, width, from);
    if (op == REINI_EXPAND)
        t.in[0] = map_operand(layout % 5, width, from);
    if (op == REINI_TO_REAL || op == REINI_WHERE) {
        t.k[0] = layout % 3 == 0 ? REIN_U8 : layout % 3 == 1 && op == REINI_TO_REAL ? REIN_I32 : REIN_F32;
        t.in[0].dtype = (rein_dtype)t.k[0];
        t.in[0].from = op == REINI_WHERE ? FILL_BITS : FILL_INDEX;
        t.in[0].limit = t.k[0] == REIN_U8 ? 256 : 100000;
    }
    t.out = map_operand(layout % 4 == 1, width, from);
    return t;
}

static void test_map(void **state) {
    for (int op = 0; op < REINI_OP_COUNT; op++) {
        if (reini_op_kind((reini_op)op) != 'M')
            continue;
        for (int w = 0; w < COUNT(widths); w++) {
            for (int layout = 0; layout < 10; layout++) {
                trial t = map_trial((reini_op)op, widths[w], heights[(w + layout) % COUNT(heights)], layout,
                                    map_fill((reini_op)op));
                check(&t, 4e-6);
                for (int i = 0; i < reini_op_operands(t.op); i++)
                    for (int k = 0; k < table_count && t.in[i].dtype == REIN_F32; k++)
                        if (t.in[i].width == t.out.width && t.in[i].stride == t.out.stride)
                            check_in_place(&t, tables[k], i);
            }
        }
    }
}

static void test_map_extremes(void **state) {
    for (int op = 0; op < REINI_OP_COUNT; op++) {
        if (reini_op_kind((reini_op)op) != 'M' || op == REINI_TO_REAL || op == REINI_WHERE)
            continue;
        for (int seed = 0; seed < 40; seed++) {
            trial t = map_trial((reini_op)op, 33, 7, 0, FILL_EXTREME);
            t.seed = (uint64_t)seed;
            for (int i = 1; i < reini_op_operands(t.op); i++)
                t.in[i] = t.in[0];
            /* slopes cancel in the tails: errors there are relative to dy */
            if (op == REINI_SILU_GRAD || op == REINI_GELU_GRAD)
                t.in[0].from = FILL_USUAL;
            result plain = trial_run(&t, reini_kernels_ref_f32.run[op], false);
            for (int i = 0; i < table_count; i++) {
                result fast = trial_run(&t, tables[i]->run[op], false);
                compare(&t, tables[i]->level, fast, plain, 2e-6);
                free(fast.at);
            }
            free(plain.at);
        }
    }
}

/* ---- along the row ------------------------------------------------------------------------------------ */

static trial row_trial(reini_op op, int width, int rows, fill a, fill b) {
    trial t = {.op = op, .rows = rows, .seed = (uint64_t)(width * 100 + rows)};
    t.in[0] = map_operand(rows % 2, width, a);
    if (reini_op_operands(op) > 1)
        t.in[1] = map_operand(width % 2, width, b);
    if (reini_op_operands(op) > 2)
        t.in[2] = map_operand(0, width, b);
    t.out = map_operand(rows % 3 == 0, width, a);
    return t;
}

static void set_width(trial_operand *x, int64_t width) {
    x->stride += width - x->width;
    x->width = width;
}

static void test_row(void **state) {
    for (int w = 0; w < COUNT(widths); w++) {
        for (int h = 0; h < COUNT(heights); h++) {
            static const reini_op gradients[] = {REINI_ENTROPY_GRAD, REINI_RELENT_GRAD_A,
                                                 REINI_RELENT_GRAD_B};
            static const reini_op sums[] = {REINI_SUM, REINI_ENTROPY, REINI_RELENT};
            int width = widths[w], rows = heights[h];
            trial t;
            for (int i = 0; i < COUNT(sums); i++) {
                t = row_trial(sums[i], width, rows, i ? FILL_MASKED : FILL_USUAL, FILL_LOGITS);
                set_width(&t.out, 1);
                check(&t, 2e-5);
            }
            t = row_trial(REINI_LOG_SOFTMAX, width, rows, FILL_MASKED, FILL_USUAL);
            check(&t, 4e-6);
            t = row_trial(REINI_LOG_SOFTMAX_GRAD, width, rows, FILL_USUAL, FILL_MASKED);
            check(&t, 5e-5);
            t = row_trial(REINI_SOFTMAX, width, rows, FILL_MASKED, FILL_USUAL);
            check(&t, 4e-6);
            t = row_trial(REINI_SOFTMAX_GRAD, width, rows, FILL_USUAL, FILL_UNIT);
            check(&t, 5e-5);
            for (int i = 0; i < COUNT(gradients); i++) {
                t = row_trial(gradients[i], width, rows, FILL_USUAL, FILL_MASKED);
                set_width(&t.in[0], 1);
                if (i == 1)
                    t.in[2].from = FILL_LOGITS;
                check(&t, 1e-5);
            }
            t = row_trial(REINI_ARGMAX, width, rows, FILL_USUAL, FILL_USUAL);
            set_width(&t.out, 1);
            t.out.dtype = REIN_I32;
            check(&t, 0);
        }
    }
}

static void test_pick(void **state) {
    for (int w = 0; w < COUNT(widths); w++) {
        int width = widths[w], rows = heights[w % COUNT(heights)];
        trial_operand index = {1, 1, FILL_INDEX, REIN_I32, width, 0};
        trial t = row_trial(REINI_PICK, width, rows, FILL_USUAL, FILL_USUAL);
        t.in[1] = index;
        set_width(&t.out, 1);
        check(&t, 0);
        t = row_trial(REINI_PICK_GRAD, width, rows, FILL_USUAL, FILL_USUAL);
        set_width(&t.in[0], 1);
        t.in[1] = index;
        check(&t, 0);
    }
}

static void test_copies(void **state) {
    for (int w = 0; w < COUNT(widths); w++) {
        for (int h = 0; h < COUNT(heights); h++) {
            int width = widths[w], rows = heights[h], other = widths[(w + h) % COUNT(widths)];
            trial t = row_trial(REINI_UNSLICE, width, rows, FILL_USUAL, FILL_USUAL);
            set_width(&t.out, width + other);
            t.k[0] = other / 2;
            check(&t, 0);
            trial_operand index = {1, 1, FILL_INDEX, REIN_I32, 50, 0};
            t = row_trial(REINI_SCATTER, width, rows, FILL_USUAL, FILL_USUAL);
            t.in[1] = index;
            t.k[0] = 50;
            t.out = (trial_operand){width, width, FILL_USUAL, REIN_F32, 0, 0};
            t.out_rows = 50;
            t.accumulate = h % 2;
            check(&t, 1e-5);
        }
    }
}

/* Ops on any dtype, k[1] = its size: the reference in double has no say. */
static void test_sized_copies(void **state) {
    static const rein_dtype dtypes[] = {REIN_F32, REIN_I32, REIN_U8};
    for (int w = 0; w < COUNT(widths); w++) {
        for (int d = 0; d < COUNT(dtypes); d++) {
            int width = widths[w], rows = heights[(w + d) % COUNT(heights)];
            trial gather = row_trial(REINI_GATHER, width, rows, FILL_INDEX, FILL_INDEX);
            gather.in[1] = (trial_operand){1, 1, FILL_INDEX, REIN_I32, 20, 0};
            gather.in[0].table = 20;
            gather.in[0].stride = w % 2 ? 0 : width + d;
            trial slice = row_trial(REINI_SLICE, width + 9, rows, FILL_INDEX, FILL_INDEX);
            set_width(&slice.out, width);
            slice.k[0] = w % 9;
            trial concat = row_trial(REINI_CONCAT, width, rows, FILL_INDEX, FILL_INDEX);
            set_width(&concat.in[1], w + 1);
            set_width(&concat.out, width + w + 1);
            concat.in[1].dtype = dtypes[d];
            concat.in[1].limit = 200;
            trial *all[] = {&gather, &slice, &concat};
            for (int i = 0; i < COUNT(all); i++) {
                trial *t = all[i];
                t->in[0].dtype = t->out.dtype = dtypes[d];
                t->in[0].limit = 200;
                t->k[1] = (int32_t)dtype_size(dtypes[d], false);
                result plain = trial_run(t, reini_kernels_ref_f32.run[t->op], false);
                for (int k = 0; k < table_count; k++) {
                    result fast = trial_run(t, tables[k]->run[t->op], false);
                    compare(t, tables[k]->level, fast, plain, 0);
                    check_invariance(t, tables[k], fast);
                    free(fast.at);
                }
                free(plain.at);
            }
        }
    }
}

static void test_sums_over_rows(void **state) {
    for (int w = 0; w < COUNT(widths); w++) {
        for (int h = 0; h < COUNT(heights); h++) {
            int width = widths[w], rows = heights[h];
            for (int accumulate = 0; accumulate < 2; accumulate++) {
                trial t = row_trial(REINI_TOTAL, width, rows, FILL_USUAL, FILL_USUAL);
                t.out = (trial_operand){1, 0, FILL_USUAL, REIN_F32, 0, 0};
                t.out_rows = 1;
                t.accumulate = accumulate;
                check(&t, 1e-3);
                t.op = REINI_SUM_ROWS;
                t.out.width = width;
                check(&t, 2e-5);
            }
        }
    }
}

/* The index may differ from the reference's only where u lies within rounding of a boundary. */
static void test_sample_index(void **state) {
    for (int w = 0; w < COUNT(widths); w++) {
        int width = widths[w], rows = 64;
        trial t = row_trial(REINI_SAMPLE_INDEX, width, rows, FILL_MASKED, FILL_UNIT);
        t.in[1] = (trial_operand){1, 1, FILL_UNIT, REIN_F32, 0, 0};
        set_width(&t.out, 1);
        t.out.dtype = REIN_I32;
        result exact = trial_run(&t, reini_kernels_ref_f64.run[t.op], true);
        for (int i = 0; i < table_count; i++) {
            result fast = trial_run(&t, tables[i]->run[t.op], false);
            int differ = 0;
            for (int r = 0; r < rows; r++)
                differ += fast.at[r] != exact.at[r];
            assert_true(differ <= 1);
            check_invariance(&t, tables[i], fast);
            free(fast.at);
        }
        free(exact.at);
    }
}

/* ---- dense layers ------------------------------------------------------------------------------------- */

typedef struct shape {
    int in, out, members, split;
} shape;

static const shape
    shapes[] =
        {
            {3, 64, 1, 0},   {4, 32, 1, 0},    {64, 64, 1, 0}, {32, 32, 1, 0},  {64, 1, 1, 0},
            {64, 2, 1, 0},   {64, 3, 1, 0},    {65, 4, 1, 0},  {1, 1, 1, 0},    {1, 5, 1, 0},
            {5, 1, 1, 0},    {17, 33, 1, 0},   {33, 17, 1, 0}, {100, 15, 1, 0}, {7, 100, 1, 0},
            {256, 31, 1, 0}, {31, 256, 1, 0},  {3, 16, 2, 0},  {16, 1, 2, 0},   {20, 1, 3, 1},
            {20, 24, 2, 1},  {9, 3, 4, 1},     {9, 3, 4, 0},   {4, 48, 1, 0},   {2, 2, 5, 1},
            {1200, 2, 1, 0}, {600, 250, 1, 0}, /* the last is large enough to be cut into slices and bands */
};

static trial dense_trial(reini_op op, shape s, int rows, int act) {
    int x = s.in * (s.split ? s.members : 1), y = s.out * s.members, w = s.in * s.out * s.members;
    trial t = {.op = op,
               .rows = rows,
               .k = {s.in, s.out, s.members, s.split, act, rows % 3 != 0},
               .seed = (uint64_t)(s.in * 1000 + s.out + rows)};
    trial_operand inputs = map_operand(rows % 2, x, FILL_USUAL),
                  outputs = map_operand(rows % 3 == 1, y, FILL_USUAL);
    trial_operand weights = map_operand(2, w, FILL_USUAL), biases = map_operand(2, y, FILL_USUAL);
    if (op == REINI_DENSE) {
        t.in[0] = inputs;
        t.in[1] = weights;
        if (t.k[5])
            t.in[2] = biases;
        t.out = outputs;
    } else if (op == REINI_DENSE_DX) {
        t.in[0] = outputs;
        t.in[1] = weights;
        t.out = inputs;
    } else if (op == REINI_DENSE_DX_ACT) {
        static const int32_t fusable[] = {REIN_ACT_TANH, REIN_ACT_RELU, REIN_ACT_SIGMOID};
        t.k[6] = fusable[act % 3];
        t.in[0] = outputs;
        t.in[1] = weights;
        t.in[2] = t.out = inputs;
    } else if (op == REINI_DENSE_DW) {
        t.in[0] = inputs;
        t.in[1] = outputs;
        t.out = weights;
        t.out_rows = 1;
        t.accumulate = rows % 2;
    } else {
        t.rows = 1;
        t.in[0] = t.out = weights;
    }
    return t;
}

/* Shares of a result, one after the other, give the bits of the whole. */
static void test_dense_shares(void **state) {
    static const shape large[] = {{600, 250, 1, 0}, {130, 400, 1, 0}, {64, 64, 1, 0}};
    static const reini_op ops[] = {REINI_DENSE, REINI_DENSE_DX, REINI_DENSE_DW};
    static const int rows[] = {1, 32, 61};
    for (int at = 0; at < COUNT(large) * COUNT(ops) * COUNT(rows); at++) {
        trial t = dense_trial(ops[at / 3 % 3], large[at / 9], rows[at % 3], at % 6);
        t.k[7] = t.op == REINI_DENSE_DX;
        t.accumulate = false;
        for (int i = 0; i < table_count; i++) {
            t.parts = 0;
            result whole = trial_run(&t, tables[i]->run[t.op], false);
            for (t.parts = 1; t.parts <= 9; t.parts += 2) {
                result shared = trial_run(&t, tables[i]->run[t.op], false);
                compare_rows(&t, tables[i]->level, shared, whole, 0);
                free(shared.at);
            }
            free(whole.at);
        }
    }
}

static void test_dense(void **state) {
    for (int s = 0; s < COUNT(shapes); s++) {
        for (int h = 0; h < COUNT(heights); h++) {
            int depth = shapes[s].in > shapes[s].out ? shapes[s].in : shapes[s].out;
            double share = 2e-6 * (16 + depth);
            trial t = dense_trial(REINI_DENSE, shapes[s], heights[h], (s + h) % 6);
            check(&t, share);
            t = dense_trial(REINI_DENSE_DX, shapes[s], heights[h], 0);
            check(&t, share);
            if (shapes[s].members == 1) {
                t.k[7] = 1; /* the same numbers as a weight that is not transposed */
                check(&t, share);
                t = dense_trial(REINI_DENSE_DX_ACT, shapes[s], heights[h], s + h);
                check(&t, share);
            }
            t = dense_trial(REINI_DENSE_DW, shapes[s], heights[h], 0);
            check(&t, 2e-4);
            t = dense_trial(REINI_TRANSPOSE, shapes[s], 1, 0);
            check(&t, 0);
        }
    }
}

/* ---- images ------------------------------------------------------------------------------------------- */

typedef struct picture {
    int channels, height, width, out, kernel, stride;
} picture;

static const picture pictures[] = {
    {4, 20, 20, 32, 8, 4},  {32, 9, 9, 64, 4, 2}, {64, 5, 5, 64, 3, 1}, {4, 10, 10, 16, 3, 1},
    {16, 7, 6, 32, 3, 1},   {3, 5, 9, 7, 2, 2},   {1, 1, 1, 1, 1, 1},   {5, 8, 11, 33, 3, 3},
    {17, 4, 40, 100, 2, 1}, {2, 3, 70, 48, 3, 1}, {65, 2, 2, 5, 2, 1},
};

static trial picture_trial(reini_op op, const picture *s, int rows, int act) {
    int places = ((s->height - s->kernel) / s->stride + 1) * ((s->width - s->kernel) / s->stride + 1);
    int depth = s->kernel * s->kernel * s->channels, x = s->channels * s->height * s->width;
    trial t = {.op = op,
               .rows = rows,
               .k = {s->channels, s->height, s->width, s->out, s->kernel, s->stride, act, rows % 3 != 0},
               .seed = (uint64_t)(depth * 1000 + s->out + rows)};
    trial_operand image = map_operand(rows % 2, x, FILL_USUAL);
    trial_operand answer = map_operand(rows % 3 == 1, places * s->out, FILL_USUAL);
    trial_operand weights = map_operand(2, depth * s->out, FILL_USUAL);
    t.in[0] = op == REINI_CONV_DX ? answer : image;
    t.in[1] = op == REINI_CONV_DW ? answer : weights;
    t.out = op == REINI_CONV ? answer : op == REINI_CONV_DX ? image : weights;
    if (op == REINI_CONV && t.k[7])
        t.in[2] = map_operand(2, s->out, FILL_USUAL);
    if (op == REINI_CONV_DW) {
        t.out_rows = 1;
        t.accumulate = rows % 2;
    }
    return t;
}

static void test_convolution(void **state) {
    static const int few[] = {1, 2, 5, 8};
    static const int fusable[] = {REIN_ACT_IDENTITY, REIN_ACT_RELU, REIN_ACT_TANH, REIN_ACT_SIGMOID};
    for (int s = 0; s < COUNT(pictures); s++)
        for (int h = 0; h < COUNT(few); h++) {
            const picture *p = &pictures[s];
            double share = 2e-6 * (16 + p->kernel * p->kernel * p->channels + p->kernel * p->kernel * p->out);
            trial t = picture_trial(REINI_CONV, p, few[h], fusable[(s + h) % 4]);
            check(&t, share);
            t = picture_trial(REINI_CONV_DX, p, few[h], 0);
            check(&t, share);
            t = picture_trial(REINI_CONV_DW, p, few[h], 0);
            check(&t, 2e-3);
            int places = (int)(t.in[1].width / p->out);
            t = picture_trial(REINI_CONV_DW, p, few[h], 0);
            t.op = REINI_SUM_PLACES;
            t.in[0] = map_operand(h % 2, places * p->out, FILL_USUAL);
            t.in[1] = (trial_operand){0};
            t.out = map_operand(2, p->out, FILL_USUAL);
            check(&t, 1e-4);
        }
}

static trial pool_trial(reini_op op, const picture *s, int size, int stride, int padding, int rows) {
    int high = (s->height + 2 * padding - size) / stride + 1,
        wide = (s->width + 2 * padding - size) / stride + 1;
    trial t = {.op = op,
               .rows = rows,
               .k = {s->channels, s->height, s->width, size, stride, padding, wide},
               .seed = (uint64_t)(size * 100 + rows)};
    trial_operand image = map_operand(rows % 2, s->channels * s->height * s->width, FILL_INDEX);
    trial_operand answer = map_operand(rows % 3 == 1, s->channels * high * wide, FILL_INDEX);
    /* few different numbers, so that there are ties */
    image.limit = 4;
    answer.limit = 1000;
    t.in[0] = op == REINI_MAX_POOL ? image : answer;
    t.in[1] = image;
    t.out = op == REINI_MAX_POOL ? answer : image;
    return t;
}

static void test_pooling(void **state) {
    static const int windows[][3] = {{3, 2, 1}, {2, 2, 0}, {1, 1, 0}, {2, 1, 1}};
    for (int s = 0; s < COUNT(pictures); s++)
        for (int w = 0; w < COUNT(windows); w++) {
            if (pictures[s].height + 2 * windows[w][2] < windows[w][0])
                continue;
            for (int rows = 1; rows < 4; rows++) {
                trial t = pool_trial(REINI_MAX_POOL, &pictures[s], windows[w][0], windows[w][1],
                                     windows[w][2], rows);
                check(&t, 0);
                t = pool_trial(REINI_MAX_POOL_GRAD, &pictures[s], windows[w][0], windows[w][1], windows[w][2],
                               rows);
                check(&t, 0);
            }
        }
}

static void test_image_copies(void **state) {
    for (int s = 0; s < COUNT(pictures); s++)
        for (int rows = 1; rows < 5; rows++) {
            const picture *p = &pictures[s];
            int border = rows % 3, size = p->channels * p->height * p->width;
            int padded = p->channels * (p->height + 2 * border) * (p->width + 2 * border);
            trial t = {
                .op = REINI_IMAGE, .rows = rows, .k = {p->channels, p->height, p->width}, .p = {1.0 / 255}};
            t.in[0] = map_operand(rows % 2, size, FILL_INDEX);
            t.in[0].dtype = REIN_U8;
            t.in[0].limit = 256;
            t.out = map_operand(rows % 3 == 1, size, FILL_USUAL);
            check(&t, 2e-7);
            t = (trial){.op = REINI_PAD, .rows = rows, .k = {p->channels, p->height, p->width, border}};
            t.in[0] = map_operand(rows % 2, size, FILL_USUAL);
            t.out = map_operand(rows % 3 == 1, padded, FILL_USUAL);
            check(&t, 0);
            trial_operand image = t.in[0];
            t.op = REINI_CROP;
            t.in[0] = t.out;
            t.out = image;
            check(&t, 0);
        }
}

/* ---- random numbers ----------------------------------------------------------------------------------- */

static trial random_trial(reini_op op, const reini_key *key, int width, int rows) {
    trial t = {.op = op, .rows = rows, .key = key, .row0 = 1000};
    t.in[0].width = 1;
    t.out = map_operand(rows % 2, width, FILL_USUAL);
    return t;
}

static void test_random(void **state) {
    static const reini_key key = {0x123456789ABCDEF0u, 0x0000FEDCBA987654u, 0xFFFFFF00u, 0xBEEF};
    for (int w = 0; w < COUNT(widths); w++) {
        for (int h = 0; h < COUNT(heights); h++) {
            trial t = random_trial(REINI_RANDOM_UNIFORM, &key, widths[w], heights[h]);
            check(&t, 0);
            t.op = REINI_RANDOM_NORMAL;
            check(&t, 4e-6);
        }
    }
    trial t = random_trial(REINI_RANDOM_UNIFORM, &key, 7, 3);
    result u = trial_run(&t, reini_kernels_ref_f32.run[t.op], false);
    for (int r = 0; r < 3; r++) {
        for (int j = 0; j < 7; j++) {
            uint32_t word[4];
            uint64_t row = key.row_base + 1000 + (uint64_t)r;
            rein_philox(key.seed, (uint64_t)(j / 4) | row << 32, key.step | (uint64_t)key.stream << 48, word);
            assert_true(u.at[r * 7 + j] == (word[j % 4] >> 8) / 16777216.0);
        }
    }
    free(u.at);
}

/* mean, variance and correlations with the next element and the next row, within 5 standard errors */
static void check_statistics(result x, double mean, double variance) {
    double n = (double)(x.rows * x.width), sum = 0, square = 0, next = 0, below = 0;
    for (int64_t i = 0; i < x.rows * x.width; i++) {
        double d = x.at[i] - mean;
        sum += d;
        square += d * d;
        next += i + 1 < x.rows * x.width ? d * (x.at[i + 1] - mean) : 0;
        below += i + x.width < x.rows * x.width ? d * (x.at[i + x.width] - mean) : 0;
    }
    assert_true(fabs(sum / n) < 5 * sqrt(variance / n));
    assert_true(fabs(square / n - variance) < 5 * variance * sqrt(2 / n));
    assert_true(fabs(next / n) < 5 * variance / sqrt(n));
    assert_true(fabs(below / n) < 5 * variance / sqrt(n));
}

static void test_random_statistics(void **state) {
    for (uint64_t seed = 0; seed < 3; seed++) {
        reini_key key = {seed, seed * 77, 0, (uint32_t)seed};
        for (int i = 0; i < table_count; i++) {
            trial t = random_trial(REINI_RANDOM_UNIFORM, &key, 10, 20000);
            result x = trial_run(&t, tables[i]->run[t.op], false);
            check_statistics(x, 0.5, 1.0 / 12);
            free(x.at);
            t.op = REINI_RANDOM_NORMAL;
            x = trial_run(&t, tables[i]->run[t.op], false);
            check_statistics(x, 0, 1);
            free(x.at);
        }
    }
}

/* ---- names and levels --------------------------------------------------------------------------------- */

static void test_ops_list(void **state) {
    assert_string_equal(reini_op_name(REINI_DENSE_DW), "DENSE_DW");
    assert_int_equal(reini_op_kind(REINI_DENSE_DW), 'S');
    assert_int_equal(reini_op_operands(REINI_GATE_IN), 4);
    for (int op = 0; op < REINI_OP_COUNT; op++)
        assert_non_null(reini_kernels_ref_f32.run[op]);
    const char *cap = getenv("REIN_CPU");
    if (cap && strcmp(cap, "portable") == 0)
        assert_string_equal(rein_cpu_level(), "portable");
    assert_string_equal(rein_cpu_level(), reini_vector_ops_best()->level);
}

int main(void) {
    find_tables();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_map_extremes),
        cmocka_unit_test(test_row),
        cmocka_unit_test(test_pick),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_sized_copies),
        cmocka_unit_test(test_sums_over_rows),
        cmocka_unit_test(test_sample_index),
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_dense_shares),
        cmocka_unit_test(test_convolution),
        cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_image_copies),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_statistics),
        cmocka_unit_test(test_ops_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
