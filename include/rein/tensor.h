/*
 * tensor.h - static tensor graphs with automatic differentiation.
 *
 * A graph is declared once, compiled once into a program, and run many times without allocation. Declaring
 * never fails on the spot: a mistake makes the graph sick, and rein_compile returns the first one.
 *
 *     rein_graph  *g    = rein_graph_new(REIN_F32);
 *     rein_layout *net  = rein_layout_new();
 *     int          slot = rein_slot(g, net);
 *     int          rows = rein_extent(g, "rows", 1024);
 *     rein_tensor *x    = rein_input(g, "x", REIN_F32, rows, 1, (int[]){2});
 *     rein_tensor *y    = rein_mlp(x, slot, "net", ...);
 *     rein_tensor *loss = rein_mean(rein_square(rein_sub(y, target)));
 *     rein_output(loss, "loss");
 *     int          grad = rein_gradient(loss, slot, NULL);
 *     rein_compile(g, NULL, &program);
 *
 * Shapes. A tensor is a matrix of `rows x width`. Its rows run over a named extent (a capacity fixed at
 * compile time and a live count set per run), or it is static: it has no rows and exists once. The width is
 * the product of the row shape. A static tensor of width w meets a row tensor of width w by repetition over
 * rows; a tensor of width 1 meets any width.
 *
 * Rows are independent: the bits of a row never depend on how many rows, tiles or threads run beside it.
 * Sums over rows are taken over fixed tiles in a fixed tree, so results do not depend on threads.
 */
#ifndef REIN_TENSOR_H
#define REIN_TENSOR_H

#include <stddef.h>
#include <stdint.h>
#include <rein/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rein_dtype {
    REIN_F32,
    REIN_F64,  /* whole graphs in double: gradient checks and references */
    REIN_BF16, /* matmul operands only */
    REIN_I32,  /* actions, indices */
    REIN_U8,   /* masks (0 or 1), image bytes */
} rein_dtype;

REIN_API size_t rein_dtype_size(rein_dtype dtype);

typedef struct rein_graph rein_graph;
typedef struct rein_tensor rein_tensor; /* a handle owned by its graph */

#define REIN_STATIC (-1) /* the extent of tensors without rows */

/* real: REIN_F32, or REIN_F64 to run everything on the reference kernels in double. NULL when out of memory. */
REIN_API rein_graph *rein_graph_new(rein_dtype real);
REIN_API void rein_graph_free(rein_graph *g);

/* Declares a kind of row. Returns its id. */
REIN_API int rein_extent(rein_graph *g, const char *name, int64_t capacity);
/* Elements in a row of x, and the graph that owns it. */
REIN_API int64_t rein_tensor_width(const rein_tensor *x);
REIN_API rein_graph *rein_tensor_graph(const rein_tensor *x);
/* The row shape into dims; returns the number of its dimensions. */
REIN_API int rein_tensor_shape(const rein_tensor *x, int dims[4]);

/* ---- leaves ------------------------------------------------------------------------------------------- */

/* Data read in place at every run: bind before the run. dtype F32 means the graph's real type. */
REIN_API rein_tensor *rein_input(rein_graph *g, const char *name, rein_dtype dtype, int extent, int ndim,
                                 const int *dims);
/* A scalar that may change between runs (learning rates, clip ranges, prices, means). */
REIN_API rein_tensor *rein_uniform(rein_graph *g, const char *name, double initial);
/* A random key: seed, stream and step, set per run (rein_exec_key). */
REIN_API rein_tensor *rein_key(rein_graph *g, const char *name);
/* A scalar fixed in the graph. */
REIN_API rein_tensor *rein_constant(rein_graph *g, double value);

/* ---- parameters --------------------------------------------------------------------------------------- */

/* The shapes of a model's parameters, shared by all graphs that use the model. */
typedef struct rein_layout rein_layout;
REIN_API rein_layout *rein_layout_new(void);
REIN_API void rein_layout_free(rein_layout *layout); /* graphs, programs and stores keep it alive */

typedef enum rein_init_kind {
    REIN_INIT_CONSTANT,   /* scale */
    REIN_INIT_UNIFORM,    /* [-scale, scale] */
    REIN_INIT_NORMAL,     /* N(0, scale^2) */
    REIN_INIT_ORTHOGONAL, /* gain = scale; Saxe et al. 2014 */
    REIN_INIT_XAVIER,     /* uniform, gain = scale; Glorot & Bengio 2010 */
    REIN_INIT_KAIMING,    /* uniform, gain = scale over fan-in; He et al. 2015 */
} rein_init_kind;

typedef struct rein_init {
    rein_init_kind kind;
    double scale;
} rein_init;

/* Connects a layout to a graph. One layout may have several slots (online and target network). */
REIN_API int rein_slot(rein_graph *g, rein_layout *layout);

/* The parameter `name` of the slot's layout, declared on first use; later uses must give the same shape.
 * Its group is the part of the name before the first dot ("actor.0.weight" is in group "actor").
 * Dense weights are [in, out], or [ensemble, in, out]. */
REIN_API rein_tensor *rein_param(rein_graph *g, int slot, const char *name, int ndim, const int *dims,
                                 rein_init init);

/* ---- elementwise -------------------------------------------------------------------------------------- */

REIN_API rein_tensor *rein_add(rein_tensor *a, rein_tensor *b);
REIN_API rein_tensor *rein_sub(rein_tensor *a, rein_tensor *b);
REIN_API rein_tensor *rein_mul(rein_tensor *a, rein_tensor *b);
REIN_API rein_tensor *rein_div(rein_tensor *a, rein_tensor *b);
REIN_API rein_tensor *rein_min(rein_tensor *a, rein_tensor *b);  /* ties: the gradient goes to a */
REIN_API rein_tensor *rein_max(rein_tensor *a, rein_tensor *b);  /* ties: the gradient goes to a */
REIN_API rein_tensor *rein_less(rein_tensor *a, rein_tensor *b); /* 1 where a < b, else 0; no gradient */
/* a where condition (U8 or real, non-zero = true), else b. */
REIN_API rein_tensor *rein_where(rein_tensor *condition, rein_tensor *a, rein_tensor *b);
/* x limited to [low, high]; no gradient outside. */
REIN_API rein_tensor *rein_clamp(rein_tensor *x, rein_tensor *low, rein_tensor *high);
REIN_API rein_tensor *rein_scale(rein_tensor *x, double factor);
REIN_API rein_tensor *rein_offset(rein_tensor *x, double term);

REIN_API rein_tensor *rein_neg(rein_tensor *x);
REIN_API rein_tensor *rein_exp(rein_tensor *x);
REIN_API rein_tensor *rein_log(rein_tensor *x);
REIN_API rein_tensor *rein_tanh(rein_tensor *x);
REIN_API rein_tensor *rein_sigmoid(rein_tensor *x);
REIN_API rein_tensor *rein_softplus(rein_tensor *x); /* log(1 + e^x) */
REIN_API rein_tensor *rein_relu(rein_tensor *x);
REIN_API rein_tensor *rein_silu(rein_tensor *x);
REIN_API rein_tensor *rein_gelu(rein_tensor *x); /* tanh form */
REIN_API rein_tensor *rein_square(rein_tensor *x);
REIN_API rein_tensor *rein_sqrt(rein_tensor *x);
REIN_API rein_tensor *rein_abs(rein_tensor *x);
/* Puts the nodes made from now on into a branch (1, 2, ...; 0 = none) and returns the former one. Gradients of a node
 * belong to its branch. Networks in branches of their own can run side by side, a worker each; results do not change. */
REIN_API int rein_branch(rein_graph *g, int branch);
/* The same value; no gradient flows through. */
REIN_API rein_tensor *rein_stop_gradient(rein_tensor *x);
/* An integer or byte tensor as real numbers, times factor. */
REIN_API rein_tensor *rein_to_real(rein_tensor *x, double factor);

/* ---- layers ------------------------------------------------------------------------------------------- */

typedef enum rein_activation {
    REIN_ACT_IDENTITY,
    REIN_ACT_TANH,
    REIN_ACT_RELU,
    REIN_ACT_SILU,
    REIN_ACT_GELU,
    REIN_ACT_SIGMOID,
} rein_activation;

/* activation(x weight + bias): x (rows x in), weight (in x out), bias (out) or NULL.
 * Ensembles: weight (E x in x out), bias (E x out); x (rows x in) is shared or (rows x E x in) is split;
 * the result is (rows x E x out). */
REIN_API rein_tensor *rein_dense(rein_tensor *x, rein_tensor *weight, rein_tensor *bias, rein_activation act);

/* Bytes (channels x height x width) as real numbers (height x width x channels), times factor; no gradient. */
REIN_API rein_tensor *rein_image(rein_tensor *x, int channels, int height, int width, double factor);
/* activation of a convolution: x (rows x height x width x channels), weight (kernel kernel channels x out) with the
 * channel counting fastest, bias (out) or NULL; `padding` zeros around x. The result is (rows x places down x places
 * across x out), floor((side + 2 padding - kernel) / stride) + 1 places along a side. */
REIN_API rein_tensor *rein_conv2d(rein_tensor *x, rein_tensor *weight, rein_tensor *bias, int kernel,
                                  int stride, int padding, rein_activation act);
/* The largest number of each window and channel; windows are cut at the border. Ties: the gradient goes to the first. */
REIN_API rein_tensor *rein_max_pool2d(rein_tensor *x, int size, int stride, int padding);

/* States (steps x width) of a gated recurrent unit (Cho et al. 2014; PyTorch's form) along sequences of `length` steps:
 * step k of sequence s is row s length + k, and the caller keeps `steps` at length x the live rows of sequences. gates
 * (steps x 3 width) is what the input gives to r, z and n; start (steps x 1) is non-zero where the state before a step is
 * zero; h (sequences x width) is the state before the first step; weight (width x 3 width) and bias (3 width) make the
 * state's part. With length 1, sequences and steps may be the same rows. No gradient to start and h. */
REIN_API rein_tensor *rein_gru_steps(rein_tensor *gates, rein_tensor *start, rein_tensor *h, int length,
                                     rein_tensor *weight, rein_tensor *bias);

/* clamp((x - mean) * scale, -limit, limit): mean and scale static of x's width. No gradient to mean, scale. */
REIN_API rein_tensor *rein_standardize(rein_tensor *x, rein_tensor *mean, rein_tensor *scale, double limit);

/* ---- along the row ------------------------------------------------------------------------------------ */

REIN_API rein_tensor *rein_sum(rein_tensor *x); /* over the width: (rows x 1) */
REIN_API rein_tensor *rein_log_softmax(rein_tensor *x);
REIN_API rein_tensor *rein_softmax(rein_tensor *x);
/* -sum p log p of log-probabilities, with 0 log 0 = 0: (rows x 1). */
REIN_API rein_tensor *rein_entropy(rein_tensor *log_probs);
/* sum p (log p - log q), with 0 log 0 = 0: (rows x 1). */
REIN_API rein_tensor *rein_relative_entropy(rein_tensor *log_p, rein_tensor *log_q);
/* x[row, index[row]] for x (rows x k) and index I32 (rows x 1): (rows x 1). */
REIN_API rein_tensor *rein_pick(rein_tensor *x, rein_tensor *index);
/* Index of the largest number of each row, the first on ties: I32 (rows x 1). No gradient. */
REIN_API rein_tensor *rein_argmax(rein_tensor *x);
/* 1 at index[row] and 0 elsewhere: index I32 (rows x 1), in [0, width): (rows x width). No gradient. */
REIN_API rein_tensor *rein_one_hot(rein_tensor *index, int width);
REIN_API rein_tensor *rein_concat(rein_tensor *a, rein_tensor *b);
REIN_API rein_tensor *rein_slice(rein_tensor *x, int start, int count);
REIN_API rein_tensor *rein_reshape(rein_tensor *x, int ndim, const int *dims);

/* ---- across rows -------------------------------------------------------------------------------------- */

/* Sum over live rows and width: a static scalar. */
REIN_API rein_tensor *rein_total(rein_tensor *x);
/* rein_total / (live rows x width). Static x: the mean over its width. */
REIN_API rein_tensor *rein_mean(rein_tensor *x);
/* Sum over live rows: static, of x's width. */
REIN_API rein_tensor *rein_sum_rows(rein_tensor *x);
/* table[index[row]]: table (other rows x w) or a static parameter (n x w), index I32 (rows x 1): (rows x w).
 * The gradient flows to static tables only. Indices must be in range (checked in debug builds). */
REIN_API rein_tensor *rein_gather(rein_tensor *table, rein_tensor *index);

/* ---- random ------------------------------------------------------------------------------------------- */

/* Standard normal numbers (like's rows x width); row r draws from (key, row_base + r). */
REIN_API rein_tensor *rein_random_normal(rein_tensor *key, rein_tensor *like);
/* Uniform numbers in [0, 1). */
REIN_API rein_tensor *rein_random_uniform(rein_tensor *key, rein_tensor *like);
/* An index drawn from each row of log-probabilities, I32 (rows x 1); u (rows x 1) uniform in [0, 1). */
REIN_API rein_tensor *rein_sample_index(rein_tensor *log_probs, rein_tensor *u);

/* ---- derivatives -------------------------------------------------------------------------------------- */

/* Adds the gradient of a static scalar with respect to a slot's parameters in the given groups ("actor" or
 * "actor,log_std"; NULL = all). Returns an id for rein_exec_bind_gradient. May be called several times. */
REIN_API int rein_gradient(rein_tensor *loss, int slot, const char *groups);
/* Gradient of a static scalar with respect to one tensor (an input, say): a tensor of its shape. */
REIN_API rein_tensor *rein_gradient_of(rein_tensor *loss, rein_tensor *wrt);
/* Forward mode: derivative of y along `direction`, parameters of `direction_slot` (same layout as slot). */
REIN_API rein_tensor *rein_tangent(rein_tensor *y, int slot, int direction_slot);

/* ---- compiling and running ---------------------------------------------------------------------------- */

/* Keeps a tensor's value readable after a run (rein_exec_read, or bound to the caller's memory). */
REIN_API rein_tensor *rein_output(rein_tensor *x, const char *name);

typedef struct rein_compile_opts {
    rein_dtype matmul; /* REIN_F32 (0), or REIN_BF16 where the machine has it */
    int tile;          /* rows per tile, 0 = automatic */
    int reference;     /* non-zero: reference kernels only */
    int branches;      /* non-zero: branches side by side (see rein_branch), for rows too few to share */
} rein_compile_opts;

typedef struct rein_program rein_program; /* compiled, constant, shared by threads */
typedef struct rein_exec rein_exec;       /* one running instance: bindings, work memory */
typedef struct rein_store rein_store;     /* parameter values of one layout */
typedef struct rein_pool rein_pool;       /* worker threads */

/* Consumes nothing: the graph may be freed afterwards, but tensors of it name things in exec calls, so keep
 * it while they are used. opts may be NULL. */
REIN_API rein_status rein_compile(rein_graph *g, const rein_compile_opts *opts, rein_program **out);
REIN_API void rein_program_free(rein_program *program);
/* Human-readable plan: steps, kernels, memory. Returns the length needed. */
REIN_API size_t rein_program_print(const rein_program *program, char *out, size_t size);

REIN_API rein_pool *rein_pool_new(int threads); /* threads >= 1, the caller counts as one */
REIN_API void rein_pool_free(rein_pool *pool);
REIN_API int rein_pool_threads(const rein_pool *pool);
/* Runs fn(user, task, worker) once for every task in [0, tasks), on any of the workers [0, threads); returns when all
 * are done. Calls of one worker never overlap. Not for two threads at once on one pool. NULL runs on the caller. */
REIN_API void rein_pool_run(rein_pool *pool, int tasks, void (*fn)(void *user, int task, int worker),
                            void *user);

/* pool NULL = the calling thread. The program and the pool must outlive the exec. */
REIN_API rein_status rein_exec_new(const rein_program *program, rein_pool *pool, rein_exec **out);
REIN_API void rein_exec_free(rein_exec *exec);

REIN_API void rein_exec_bind_store(rein_exec *exec, int slot, const rein_store *store);
REIN_API void rein_exec_bind_gradient(rein_exec *exec, int gradient, rein_store *store);
/* Memory of an input or an output: first element and elements from one row to the next (0 = width). */
REIN_API void rein_exec_bind(rein_exec *exec, const rein_tensor *x, const void *data, int64_t row_stride);
REIN_API void rein_exec_set(rein_exec *exec, const rein_tensor *uniform, double value);
/* (seed, stream, step) of a key; row_base is added to the row number. */
REIN_API void rein_exec_key(rein_exec *exec, const rein_tensor *key, uint64_t seed, uint32_t stream,
                            uint64_t step, uint64_t row_base);
/* Live rows of an extent, 0 <= rows <= capacity. */
REIN_API void rein_exec_rows(rein_exec *exec, int extent, int64_t rows);
REIN_API void rein_exec_run(rein_exec *exec);
/* Value of a static scalar output. */
REIN_API double rein_exec_scalar(const rein_exec *exec, const rein_tensor *x);
/* An output's memory: the bound one, or the exec's own. */
REIN_API const void *rein_exec_data(const rein_exec *exec, const rein_tensor *x);

/* ---- stores ------------------------------------------------------------------------------------------- */

/* Values for every parameter of a layout, zeroed; seals the layout. real: REIN_F32 or REIN_F64. */
REIN_API rein_status rein_store_new(rein_layout *layout, rein_dtype real, rein_store **out);
REIN_API void rein_store_free(rein_store *store);
/* Draws initial values; parameter k uses stream (seed, k). REIN_NOMEM when there is no room to orthogonalise in. */
REIN_API rein_status rein_store_init(rein_store *store, uint64_t seed);
REIN_API void rein_store_copy(rein_store *to, const rein_store *from);
/* to = to + rate (from - to): target networks. */
REIN_API void rein_store_blend(rein_store *to, const rein_store *from, double rate);

typedef struct rein_param_info {
    const char *name;
    int ndim;
    int dims[4];
    int64_t count;  /* elements */
    int64_t offset; /* elements from the store's first */
} rein_param_info;

REIN_API int rein_layout_count(const rein_layout *layout);
REIN_API rein_param_info rein_layout_at(const rein_layout *layout, int i);
REIN_API int rein_layout_find(const rein_layout *layout, const char *name); /* -1 when absent */

/* The store's values: float or double, `rein_store_size` elements, parameters at their offsets, padding 0. */
REIN_API void *rein_store_data(rein_store *store);
REIN_API const void *rein_store_view(const rein_store *store);
REIN_API int64_t rein_store_size(const rein_store *store);
REIN_API rein_layout *rein_store_layout(const rein_store *store);

#ifdef __cplusplus
}
#endif
#endif
