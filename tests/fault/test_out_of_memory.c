/*
 * test_out_of_memory.c - every allocation fails in turn, alone and with all that follow: building and
 * compiling a graph, policies, the collector, PPO with all that belongs to it, policy files and a whole
 * training run. Nothing crashes, the answer is REIN_NOMEM with a sentence, and every byte is given back.
 */
#include "env/env_types.h"
#include "algo/algo.h"
#include "base/base.h"
#include "rl/rollout.h"
#include "support/settings.h"
#include "support/small_policy.h"
#include "support/temp_dir.h"
#include <rein/optim.h>
#include <rein/run.h>

typedef rein_status attempt(const void *how);

/* Fails the n-th allocation of the attempt for n = 1, 2, ... until it needs fewer than n. Returns how many it
 * needs. */
static uint64_t fail_each(const char *what, attempt *try, const void *how, bool onwards) {
    uint64_t live = reini_memory_now().live_bytes;
    for (uint64_t n = 1;; n++) {
        uint64_t before = reini_memory_now().allocations;
        reini_memory_fail(n, onwards);
        rein_status status = try(how);
        reini_memory_fail(0, false);
        uint64_t used = reini_memory_now().allocations - before;
        if (reini_memory_now().live_bytes != live)
            fail_msg("%s, allocation %d of it failed: %d bytes were lost (status %d, \"%s\")", what, (int)n,
                     (int)(reini_memory_now().live_bytes - live), (int)status, rein_error());
        if (used < n) {
            assert_int_equal(status, REIN_OK);
            return n - 1;
        }
        if (status != REIN_NOMEM && status != REIN_OK)
            fail_msg("%s, allocation %d of it failed: status %d, \"%s\"", what, (int)n, (int)status,
                     rein_error());
        if (status == REIN_NOMEM && strlen(rein_error()) < 10)
            fail_msg("%s, allocation %d of it failed without a sentence", what, (int)n);
        /* what is not needed may do without memory, but not when nothing is left */
        if (status == REIN_OK && onwards && n == 1)
            fail_msg("%s succeeded without any memory", what);
    }
}

static void fail_all(const char *what, attempt *try, const void *how) {
    uint64_t alone = fail_each(what, try, how, false), onwards = fail_each(what, try, how, true);
    print_message("# %s: %d allocations\n", what, (int)alone);
    assert_true(alone > 0 && onwards > 0);
}

/* ---- graphs -------------------------------------------------------------------------------------------- */

static rein_tensor *build(rein_graph *g, rein_layout *layout, rein_dtype real) {
    int rows = rein_extent(g, "rows", 100), items = rein_extent(g, "items", 300), slot = rein_slot(g, layout);
    int direction = rein_slot(g, layout);
    rein_tensor *table = rein_input(g, "table", real, items, 1, (int[]){4});
    rein_tensor *index = rein_input(g, "index", REIN_I32, rows, 1, (int[]){1});
    rein_tensor *mask = rein_input(g, "mask", REIN_U8, rows, 1, (int[]){3});
    rein_tensor *x = rein_gather(table, index);
    rein_init init = {REIN_INIT_ORTHOGONAL, 1};
    rein_tensor *logits = rein_mlp(x, slot, "actor", 3, (int[]){8, 8, 8}, REIN_ACT_GELU, init, 3, init);
    rein_tensor *mean = rein_mlp(x, slot, "mean", 1, (int[]){8}, REIN_ACT_TANH, init, 2, init);
    rein_tensor *log_std = rein_param(g, slot, "log_std", 1, (int[]){2}, init);
    rein_dist p = rein_dist_categorical(logits, mask, 1, (int32_t[]){3}),
              q = rein_dist_squashed(mean, log_std);
    rein_tensor *logp, *action = rein_dist_draw(&q, rein_key(g, "key"), &logp);
    rein_tensor *choice = rein_dist_sample(&p, rein_key(g, "key"));
    rein_tensor *loss = rein_mean(rein_sub(rein_dist_entropy(&p), logp));
    loss = rein_add(loss, rein_mean(rein_square(rein_sub(action, rein_mean(action)))));
    loss = rein_add(loss, rein_mean(rein_dist_logp(&p, choice)));
    rein_output(choice, "choice");
    rein_output(rein_tangent(loss, slot, direction), "tangent");
    rein_output(rein_gradient_of(loss, x), "dx");
    rein_gradient(loss, slot, "actor");
    rein_gradient(loss, slot, NULL);
    return rein_output(loss, "loss");
}

static rein_status compile_and_run(rein_graph *g, rein_layout *layout, rein_pool *pool, rein_dtype real) {
    rein_program *program = NULL;
    rein_exec *exec = NULL;
    rein_store *store = NULL;
    build(g, layout, real);
    rein_status status = rein_compile(g, NULL, &program);
    if (status == REIN_OK)
        status = rein_exec_new(program, pool, &exec);
    if (status == REIN_OK)
        status = rein_store_new(layout, real, &store);
    if (status == REIN_OK)
        rein_store_init(store, 1);
    rein_exec_free(exec);
    rein_program_free(program);
    rein_store_free(store);
    return status;
}

static rein_status try_graph(const void *how) {
    rein_dtype real = *(const rein_dtype *)how;
    rein_graph *g = rein_graph_new(real);
    rein_layout *layout = rein_layout_new();
    rein_pool *pool = rein_pool_new(3);
    rein_status status = REIN_NOMEM;
    if (g != NULL && layout != NULL && pool != NULL)
        status = compile_and_run(g, layout, pool, real);
    else
        reini_fail_memory(1, "the test's own objects"); /* these functions answer with NULL alone */
    rein_graph_free(g);
    rein_layout_free(layout);
    rein_pool_free(pool);
    return status;
}

static void test_graphs(void **state) {
    static const rein_dtype reals[] = {REIN_F32, REIN_F64};
    fail_all("a graph in float", try_graph, &reals[0]);
    fail_all("a graph in double", try_graph, &reals[1]);
}

/* ---- pools that have started --------------------------------------------------------------------------- */

static _Atomic int seen[8];

static void note_worker(void *user, int task, int worker) {
    seen[worker] = 1;
    usleep(50);
}

/* A new worker frees the note it was started with when it gets to run; here all of them have. */
static rein_pool *started_pool(int threads) {
    rein_pool *pool = rein_pool_new(threads);
    memset((void *)seen, 0, sizeof seen);
    for (int all = 0; !all;) {
        rein_pool_run(pool, 4 * threads, note_worker, NULL);
        all = 1;
        for (int i = 0; i < threads; i++)
            all = all && seen[i];
    }
    return pool;
}

/* ---- policies, collectors, optimizers ------------------------------------------------------------------ */

typedef struct recipe {
    const char *name;
    const rein_env_type *env;
    const char *net, *algo; /* settings of the policy alone and of the whole algorithm */
} recipe;

static const recipe recipes[] = {
    {"discrete", &reini_env_cartpole, "hidden=8,8", "hidden=8,8 norm_reward=true"},
    {"masked", &reini_env_identity_masked, "hidden=4 norm_obs=running",
     "hidden=4 norm_obs=running objective=penalty"},
    {"box", &reini_env_pendulum, "hidden=4 scale_actions=true shared=true",
     "hidden=4 scale_actions=true shared=true objective=penalty optimizer=sgd"},
    {"parts", &reini_env_identity_multi_discrete, "hidden=none",
     "hidden=none critic=false optimizer=rmsprop"},
    {"recurrent", &reini_env_cartpole, "hidden=4 gru=3 norm_obs=running",
     "hidden=4 gru=3 norm_obs=running sequence=5 batch_size=10"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static reini_net_config nets[RECIPES];

static rein_status new_policy(const recipe *from, reini_net **policy) {
    return reini_net_new("ppo", from->env->id, &from->env->obs, &from->env->act, &nets[from - recipes], true,
                         REIN_F32, 7, policy);
}

static rein_status try_policy(const void *how) {
    reini_net *policy = NULL;
    rein_status status = new_policy(how, &policy);
    reini_net_free(policy);
    return status;
}

/* written and read back */
static rein_status try_policy_file(const void *how) {
    const rein_policy *policy = how;
    rein_policy *copy = NULL;
    rein_status status = rein_policy_save(policy, temp_path("policy"));
    if (status == REIN_OK)
        status = rein_policy_load(temp_path("policy"), &copy);
    rein_policy_free(copy);
    return status;
}

typedef struct collecting {
    const recipe *from;
    reini_net *policy;
    rein_pool *pool;
} collecting;

static rein_status try_collector(const void *how) {
    const collecting *c = how;
    reini_collector *collector = NULL;
    double env = 0, act = 0;
    reini_collector_opts opts = {.env = c->from->env,
                                 .seed = 1,
                                 .n_envs = 3,
                                 .n_steps = 9,
                                 .pool = c->pool,
                                 .critic = true,
                                 .output = true};
    rein_status status = reini_collector_new(&opts, c->policy, &collector);
    if (status == REIN_OK) {
        reini_collector_run(collector, &env, &act);
        reini_collector_evaluate(collector, 0.9);
    }
    reini_collector_free(collector);
    return status;
}

static rein_status try_optimizer(const void *how) {
    const collecting *c = how;
    rein_optim_config config = rein_optim_config_default();
    rein_optim *optim = NULL;
    config.groups = "actor";
    rein_status status = rein_optim_new(&config, c->policy->layout, &optim);
    rein_optim_free(optim);
    return status;
}

static void test_policies_and_collectors(void **state) {
    rein_pool *pool = started_pool(2);
    for (int k = 0; k < RECIPES; k++) {
        collecting c = {.from = &recipes[k], .pool = pool};
        nets[k] = small_net(recipes[k].net);
        fail_all(recipes[k].name, try_policy, &recipes[k]);
        assert_ok(new_policy(&recipes[k], &c.policy));
        fail_all("its file", try_policy_file, &c.policy->base);
        fail_all("its collector", try_collector, &c);
        fail_all("its optimizer", try_optimizer, &c);
        reini_net_free(c.policy);
    }
    rein_pool_free(pool);
}

/* ---- PPO ----------------------------------------------------------------------------------------------- */

typedef struct creating {
    const reini_algo *algo;
    void *config;
    reini_context context;
} creating;

/* created and run: an iteration has no way to fail, so all it needs is there before */
static rein_status try_ppo(const void *how) {
    const creating *c = how;
    void *self = NULL;
    reini_report report = {0};
    rein_status status = c->algo->create(c->config, &c->context, &self);
    if (status != REIN_OK) {
        assert_null(self);
        return status;
    }
    c->algo->iterate(self, &report);
    c->algo->iterate(self, &report);
    c->algo->destroy(self);
    return REIN_OK;
}

static void test_ppo(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        rein_pool *pool = started_pool(2);
        creating c = {.algo = reini_algo_find("ppo"),
                      .context = {.env = recipes[k].env, .seed = 1, .total_steps = 1000, .pool = pool}};
        c.config = calloc(1, c.algo->config_size);
        settings_set(c.algo->fields, c.algo->n_fields, c.config,
                     "n_envs=3 n_steps=10 batch_size=11 n_epochs=1 %s", recipes[k].algo);
        fail_all(recipes[k].name, try_ppo, &c);
        free(c.config);
        rein_pool_free(pool);
    }
}

/* ---- a whole run --------------------------------------------------------------------------------------- */

static rein_status try_run(const void *how) {
    rein_summary summary;
    rein_status status = rein_train(how, &summary);
    temp_remove(((const rein_train_opts *)how)->out);
    return status;
}

static void test_runs(void **state) {
    static const rein_setting settings[] = {{"steps", "120"},        {"n_envs", "3"},
                                            {"n_steps", "20"},       {"batch_size", "25"},
                                            {"n_epochs", "2"},       {"hidden", "4"},
                                            {"threads", "2"},        {"eval_every", "100"},
                                            {"eval_episodes", "2"},  {"eval_every_episodes", "1"},
                                            {"norm_obs", "running"}, {"checkpoint_every", "60"}};
    char out[TEMP_PATH + 16];
    snprintf(out, sizeof out, "%s/run", temp_dir);
    rein_train_opts opts = {.algo = "ppo",
                            .env = "CartPole-v1",
                            .preset = "none",
                            .settings = settings,
                            .n_settings = 12,
                            .out = out};
    fail_all("a run", try_run, &opts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_graphs),
        cmocka_unit_test(test_policies_and_collectors),
        cmocka_unit_test(test_ppo),
        cmocka_unit_test(test_runs),
    };
    return cmocka_run_group_tests_name("out of memory", tests, temp_dir_make, temp_dir_remove);
}
