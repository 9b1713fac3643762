/*
 * modified_policy_iteration.c - policy iteration that evaluates with m sweeps and no more.
 *
 *     V <- max over a of Q, mu <- argmax                       one sweep of improvement
 *     V <- R_mu + gamma P_mu V                                 m sweeps of evaluation
 *
 * M. Puterman, M. Shin: Modified policy iteration algorithms for discounted Markov decision problems (1978).
 * m = 0 is value iteration, m to infinity policy iteration. It stops by value iteration's rule, on the
 * residual of improvement. Every sweep of either kind counts as one.
 */
#include "algo/planning/planner.h"

#define MPI_OWN_FIELDS(F, E) F(INT, m, "10", 0, 1e6, "sweeps of evaluation after each of improvement")
#define MPI_FIELDS(F, E)     MPI_OWN_FIELDS(F, E) REINI_PLAN_FIELDS(F, E)

typedef struct modified_policy_iteration_config {
    REIN_FIELDS_STRUCT(MPI_FIELDS)
} modified_policy_iteration_config;

#define REIN_FIELD_OWNER modified_policy_iteration_config
static const rein_field mpi_fields[] = {REIN_FIELDS_TABLE(MPI_FIELDS)};

typedef struct modified_policy_iteration {
    reini_plan p;
    modified_policy_iteration_config config;
} modified_policy_iteration;

static void improve(reini_plan *p) {
    int64_t changed = reini_improve(&p->b, p->table->v, REINI_TIE, p->action);
    reini_sweep sweep = reini_sweep_best(&p->b, p->table->v, p->spare);
    reini_plan_swap(p);
    reini_plan_note(p, sweep);
    p->changed = changed;
}

static void evaluate(reini_plan *p) {
    reini_choice choice = {.action = p->action};
    reini_sweep_policy(&p->b, &choice, p->table->v, p->spare);
    reini_plan_swap(p);
    reini_plan_count(p);
}

static void mpi_iterate(void *self, reini_report *report) {
    modified_policy_iteration *l = self;
    reini_plan_begin(&l->p);
    while (reini_plan_more(&l->p)) {
        if (l->p.sweeps % (l->config.m + 1) == 0)
            improve(&l->p);
        else
            evaluate(&l->p);
    }
    reini_plan_report(&l->p, report);
}

static rein_status mpi_check(const void *config, const reini_context *context) {
    return reini_plan_check("modified-policy-iteration", context);
}

static void mpi_destroy(void *self) {
    modified_policy_iteration *l = self;
    if (l == NULL)
        return;
    reini_plan_release(&l->p);
    reini_free(l);
}

static rein_status mpi_fill(modified_policy_iteration *l, const reini_context *context) {
    REINI_TRY(reini_plan_init(&l->p, "modified-policy-iteration", context, l->config.gamma,
                              l->config.tolerance, REINI_TABLE_ACTION | REINI_TABLE_V, 0));
    return reini_check_endings(&l->p.b);
}

static rein_status mpi_create(const void *config, const reini_context *context, void **self) {
    modified_policy_iteration *l = REINI_NEW(modified_policy_iteration);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "modified-policy-iteration");
    l->config = *(const modified_policy_iteration_config *)config;
    rein_status status = mpi_fill(l, context);
    if (status != REIN_OK) {
        mpi_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

static rein_status mpi_visit(void *self, reini_archive *archive) {
    return reini_plan_visit(self, archive);
}

const reini_algo reini_algo_modified_policy_iteration = {
    .name = "modified-policy-iteration",
    .doc = "policy iteration with m sweeps of evaluation for each of improvement",
    .family = REINI_PLANNING,
    .unit = "sweeps",
    .fields = mpi_fields,
    .n_fields = sizeof mpi_fields / sizeof *mpi_fields,
    .config_size = sizeof(modified_policy_iteration_config),
    .metrics = reini_plan_metrics,
    .n_metrics = REINI_PLAN_METRICS,
    .key_metric = REINI_PLAN_RESIDUAL,
    .check = mpi_check,
    .create = mpi_create,
    .destroy = mpi_destroy,
    .iterate = mpi_iterate,
    .visit = mpi_visit,
    .extend = reini_plan_extend,
    .policy = reini_plan_policy,
};
