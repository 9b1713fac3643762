/*
 * sarsa.c - SARSA: on-policy control by n-step targets.
 *
 *     G       = r_1 + gamma r_2 + ... + gamma^(n-1) r_n + gamma^n Q(s_n, a_n)
 *     Q(s, a) <- Q(s, a) + alpha (G - Q(s, a))
 *
 * where the rewards stop at a terminal state and nothing follows. With n = 1 it is the SARSA of Rummery and Niranjan
 * (1994); Sutton and Barto, 2nd ed., sections 6.4 and 7.2. It learns the values of the policy that explores, and so
 * keeps away from what exploration makes dangerous.
 *
 * Beyond the book: where an episode was cut, a_n is drawn at its last observation as if it went on.
 */
#include "algo/tabular/learn.h"

#define SARSA_OWN_FIELDS(F, E) F(COUNT, n_step, "1", 1, 1e6, "rewards in a target before it goes on with Q")
#define SARSA_FIELDS(F, E)     SARSA_OWN_FIELDS(F, E) REINI_CONTROL_FIELDS(F, E)

typedef struct sarsa_config {
    REIN_FIELDS_STRUCT(SARSA_FIELDS)
} sarsa_config;

#define REIN_FIELD_OWNER sarsa_config
static const rein_field sarsa_fields[] = {REIN_FIELDS_TABLE(SARSA_FIELDS)};

typedef struct sarsa {
    reini_control c;
    reini_trail trail;
    int32_t action; /* chosen for the state now */
    bool chosen;
} sarsa;

static void sarsa_iterate(void *self, reini_report *report) {
    sarsa *l = self;
    reini_tabular *t = &l->c.t;
    double *q = t->policy->q;
    reini_tabular_begin(t);
    while (reini_tabular_more(t)) {
        int32_t a = l->chosen ? l->action : reini_tabular_choose(t);
        reini_transition x = reini_tabular_step(t, a);
        l->chosen = !x.terminated;
        if (l->chosen)
            l->action = reini_tabular_choose(t);
        double value = l->chosen ? q[reini_entry(t, x.next, l->action)] : 0;
        reini_trail_learn(&l->trail, t, q, reini_entry(t, x.s, a), &x, value);
        if (x.ended) {
            reini_tabular_reset(t);
            l->chosen = false;
        }
    }
    reini_tabular_report(t, report);
}

static reini_control_config control_of(const sarsa_config *from) {
    reini_control_config copied;
    REINI_TAKE_FIELDS(REINI_CONTROL_FIELDS)
    return copied;
}

static rein_status sarsa_init(sarsa *l, const sarsa_config *config, const reini_context *context) {
    reini_control_config control = control_of(config);
    REINI_TRY(reini_control_init(&l->c, "sarsa", &control, context));
    return reini_trail_init(&l->trail, config->n_step);
}

static void sarsa_release(sarsa *l) {
    reini_control_release(&l->c);
    reini_trail_release(&l->trail);
}

static rein_status sarsa_visit(void *self, reini_archive *archive) {
    sarsa *l = self;
    REINI_TRY(reini_tabular_visit(&l->c.t, archive));
    REINI_TRY(reini_trail_visit(&l->trail, archive));
    REINI_TRY(reini_archive_bytes(archive, "sarsa.action", &l->action, sizeof l->action));
    return reini_archive_bytes(archive, "sarsa.chosen", &l->chosen, sizeof l->chosen);
}

static rein_status sarsa_check(const void *config, const reini_context *context) {
    return reini_tabular_check("sarsa", context);
}

static void sarsa_destroy(void *self) {
    if (self != NULL)
        sarsa_release(self);
    reini_free(self);
}

static rein_status sarsa_create(const void *config, const reini_context *context, void **self) {
    sarsa *l = REINI_NEW(sarsa);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "sarsa");
    rein_status status = sarsa_init(l, config, context);
    if (status != REIN_OK) {
        sarsa_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

const reini_algo reini_algo_sarsa = {
    .name = "sarsa",
    .doc = "on-policy control: one-step or n-step targets with the next action taken",
    .family = REINI_TABULAR,
    .fields = sarsa_fields,
    .n_fields = sizeof sarsa_fields / sizeof *sarsa_fields,
    .config_size = sizeof(sarsa_config),
    .metrics = reini_control_metrics,
    .n_metrics = REINI_LEARNING_METRICS_COUNT,
    .key_metric = REINI_METRIC_CHANGE,
    .check = sarsa_check,
    .create = sarsa_create,
    .destroy = sarsa_destroy,
    .iterate = sarsa_iterate,
    .visit = sarsa_visit,
    .extend = reini_tabular_extend,
    .policy = reini_tabular_policy,
};
