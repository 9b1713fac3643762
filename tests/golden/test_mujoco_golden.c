/*
 * test_mujoco_golden.c - the MuJoCo environments against Gymnasium's on the same libmujoco.
 *
 *     models      every physical array of the compiled models is Gymnasium's, to the bit
 *     steps       each recorded step, from its recorded full state, within 1e-6
 *     free runs   the first 20 steps from a start (later ones mean nothing: the dynamics are chaotic)
 *     statistics  returns and lengths of 100 episodes of random actions, by a test on the means
 *
 * The files are by tests/reference/mujoco_gymnasium.py. Built without MuJoCo, or with another version of it than they
 * were written with, there is nothing to compare, and the tests are skipped.
 */
#include "support/check.h"

#ifndef REIN_HAVE_MUJOCO
int main(void) {
    return 77; /* skipped */
}
#else
#include <math.h>
#include <mujoco/mjxmacro.h>
#include <mujoco/mujoco.h>
#include <stdio.h>
#include <stdlib.h>
#include "env/mujoco/mujoco_env.h"
#include "support/settings.h"

enum { LINE_MAX_BYTES = 16384, NUMBERS_MAX = 512 };
#define STEP_TOLERANCE 1e-6
#define RUN_TOLERANCE  1e-5 /* differences of the last bit, from another libm, grow in 20 steps */

static char line[LINE_MAX_BYTES];

/* Opens a golden file; NULL when it was written with another libmujoco. */
static FILE *open_golden(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s", REIN_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s is missing", path);
    assert_non_null(fgets(line, sizeof line, file));
    const char *version = strstr(line, "libmujoco ");
    assert_non_null(version);
    if (atoi(version + 10) == mj_version())
        return file;
    fclose(file);
    return NULL;
}

static bool next_line(FILE *file) {
    do {
        if (!fgets(line, sizeof line, file))
            return false;
        assert_true(strlen(line) < sizeof line - 1);
        line[strcspn(line, "\n")] = 0;
    } while (line[0] == '#');
    return true;
}

/* ---- models -------------------------------------------------------------------------------------------- */

static uint64_t fnv(const void *data, size_t bytes) {
    const unsigned char *at = data;
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * 0x100000001B3u;
    return hash;
}

typedef struct array {
    size_t count, bytes;
    const void *data;
    double value; /* of options */
} array;

/* An array or an option of a model by name. */
static array find_array(const mjModel *m, const char *name) {
    MJMODEL_POINTERS_PREAMBLE(m)
    (void)nuser_body, (void)nuser_jnt, (void)nuser_geom, (void)nuser_site, (void)nuser_cam,
        (void)nuser_tendon;
    (void)nuser_actuator, (void)nuser_sensor, (void)nq, (void)nv, (void)na, (void)nu, (void)nmocap;
#define X(kind, field, nr, nc)                                                                               \
    if (strcmp(name, #field) == 0)                                                                           \
        return (array){.count = (size_t)(m->nr) * (size_t)(nc),                                              \
                       .bytes = (size_t)(m->nr) * (size_t)(nc) * sizeof(kind),                               \
                       .data = m->field};
    MJMODEL_POINTERS
#undef X
#define X(field, n)                                                                                          \
    if (strcmp(name, #field) == 0)                                                                           \
        return (array){.count = n, .bytes = (n) * sizeof(mjtNum), .data = m->opt.field};
    MJOPTION_VECTORS
#undef X
#define X(kind, field)                                                                                       \
    if (strcmp(name, "opt." #field) == 0)                                                                    \
        return (array){.count = 1, .value = (double)m->opt.field};
    MJOPTION_SCALARS
#undef X
    return (array){0};
}

static void check_array(const mjModel *m, const char *model, const char *name, const char *rest) {
    array f = find_array(m, name);
    if (f.count == 0)
        fail_msg("%s has no %s", model, name);
    if (!f.data) {
        if (f.value != strtod(rest, NULL))
            fail_msg("%s: %s is %.17g, should be %s", model, name, f.value, rest);
        return;
    }
    size_t count = 0;
    uint64_t hash = 0;
    assert_int_equal(sscanf(rest, "%zu %lx", &count, &hash), 2);
    if (count != f.count || hash != fnv(f.data, f.bytes))
        fail_msg("%s: %s (%zu numbers) is not Gymnasium's", model, name, f.count);
}

static void test_models(void **state) {
    FILE *file = open_golden("mujoco_models.txt");
    char of[64] = "";
    mjModel *m = NULL;
    int arrays = 0, models = 0;
    if (!file)
        skip();
    while (next_line(file)) {
        char model[64], name[64];
        int used = 0;
        assert_int_equal(sscanf(line, "%63s %63s %n", model, name, &used), 2);
        if (strcmp(model, of) != 0) {
            if (m)
                mj_deleteModel(m);
            assert_ok(reini_mujoco_compile(model, &m));
            strcpy(of, model);
            models++;
        }
        check_array(m, model, name, line + used);
        arrays++;
    }
    mj_deleteModel(m);
    fclose(file);
    assert_int_equal(models, 10);
    assert_true(arrays > 500);
}

/* ---- steps --------------------------------------------------------------------------------------------- */

/* One environment without a vector: its state can be put in. */
typedef struct rig {
    char id[64];
    rein_env_type type; /* opened */
    void *sim;
    rein_rng rng;
    double *buffer; /* as reini_mujoco_load wants it */
    int n_state, n_obs;
    bool running; /* in a free run */
    int step;     /* in it */
    double worst;
} rig;

typedef struct record {
    bool has_state, has_obs, terminated;
    double reward;
    float action[32];
    double state[NUMBERS_MAX], obs[NUMBERS_MAX];
} record;

static int read_numbers(const char *text, double *out) {
    char *end;
    int n = 0;
    for (;; text = end) {
        double x = strtod(text, &end);
        if (end == text)
            return n;
        assert_true(n < NUMBERS_MAX);
        out[n++] = x;
    }
}

static void close_rig(rig *r) {
    if (!r->sim)
        return;
    r->type.destroy(r->sim);
    rein_env_close(&r->type);
    free(r->buffer);
    *r = (rig){0};
}

/* "env ID [setting=value ...]" */
static void open_rig(rig *r, char *text) {
    reini_mujoco_config config;
    close_rig(r);
    char *word = strtok(text, " ");
    snprintf(r->id, sizeof r->id, "%s", word);
    const rein_env_type *type = rein_env_find(word);
    if (!type)
        fail_msg("%s", rein_error());
    memset(&config, 0, sizeof config);
    word = strtok(NULL, "");
    settings_set(type->fields, type->n_fields, &config, "%s", word ? word : "");
    assert_ok(rein_env_open(type, &config, &r->type));
    r->sim = r->type.create(r->type.model);
    assert_non_null(r->sim);
    r->buffer = calloc(1, r->type.state_size);
    r->rng = rein_rng_make(1, 2);
}

/* "sizes nq nv na nu obs" */
static void check_sizes(rig *r, const char *text) {
    double n[NUMBERS_MAX];
    assert_int_equal(read_numbers(text, n), 5);
    const mjModel *m = ((const reini_mujoco_world *)r->type.model)->m;
    assert_true(n[0] == m->nq && n[1] == m->nv && n[2] == m->na);
    assert_int_equal((int)n[3], r->type.act.size);
    assert_int_equal((int)n[4], r->type.obs.size);
    r->n_state = 1 + (int)(n[0] + 2 * n[1] + n[2]) + 3;
    r->n_obs = (int)n[4];
}

static void check_number(rig *r, const char *what, int k, double found, double expected, double tolerance) {
    double error = fabs(found - expected) / fmax(1, fabs(expected));
    r->worst = fmax(r->worst, error);
    if (!(error <= tolerance))
        fail_msg("%s, step %d, %s %d: %.10g found, %.10g expected", r->id, r->step, what, k, found, expected);
}

static void check_step(rig *r, const record *c, double tolerance) {
    float obs[NUMBERS_MAX];
    rein_step result = r->type.step(r->type.model, r->sim, c->action, &r->rng);
    check_number(r, "reward", 0, (double)result.reward, c->reward, tolerance);
    assert_int_equal(result.terminated, c->terminated);
    assert_false(result.truncated);
    r->type.observe(r->type.model, r->sim, obs);
    for (int k = 0; c->has_obs && k < r->n_obs; k++)
        check_number(r, "observation", k, (double)obs[k], c->obs[k], tolerance);
}

static void put_state(rig *r, const record *c) {
    memcpy(r->buffer, c->state, (size_t)r->n_state * sizeof(double));
    r->type.load(r->sim, r->buffer);
}

/* A record as a step of the free run, and as a step from its state. Counts the latter. */
static int check_record(rig *r, const record *c) {
    size_t bytes = r->type.state_size;
    if (r->running) {
        if (r->step == 0)
            put_state(r, c);
        check_step(r, c, RUN_TOLERANCE);
        r->step++;
    }
    if (!c->has_state)
        return 0;
    unsigned char *kept = malloc(bytes);
    r->type.save(r->sim, kept);
    put_state(r, c);
    check_step(r, c, STEP_TOLERANCE);
    r->type.load(r->sim, kept);
    free(kept);
    return 1;
}

static void read_record_line(record *c, const char *text) {
    double numbers[NUMBERS_MAX];
    if (strncmp(text, "action ", 7) == 0) {
        int n = read_numbers(text + 7, numbers);
        for (int k = 0; k < n; k++)
            c->action[k] = (float)numbers[k];
    } else if (strncmp(text, "state ", 6) == 0) {
        c->has_state = read_numbers(text + 6, c->state) > 0;
    } else if (strncmp(text, "obs ", 4) == 0) {
        c->has_obs = read_numbers(text + 4, c->obs) > 0;
    } else {
        fail_msg("mujoco_steps.txt: not understood: %.60s", text);
    }
}

static void test_steps(void **state) {
    FILE *file = open_golden("mujoco_steps.txt");
    static record c;
    rig r = {0};
    bool pending = false;
    int envs = 0, free_steps = 0, singles = 0, ends = 0;
    if (!file)
        skip();
    for (bool more = true; more;) {
        more = next_line(file);
        bool step = more && strncmp(line, "step ", 5) == 0;
        bool heads = !more || step || strncmp(line, "env ", 4) == 0 || strcmp(line, "run") == 0 ||
                     strcmp(line, "single") == 0;
        if (heads && pending) {
            free_steps += r.running;
            singles += check_record(&r, &c);
            ends += c.terminated;
            pending = false;
        }
        if (!more)
            break;
        if (step) {
            memset(&c, 0, sizeof c);
            int terminated;
            assert_int_equal(sscanf(line, "step %d %lf", &terminated, &c.reward), 2);
            c.terminated = terminated != 0;
            pending = true;
        } else if (strncmp(line, "env ", 4) == 0) {
            if (r.sim)
                print_message("%-28s worst error %.1e\n", r.id, r.worst);
            open_rig(&r, line + 4);
            envs++;
        } else if (strncmp(line, "sizes ", 6) == 0) {
            check_sizes(&r, line + 6);
        } else if (strcmp(line, "run") == 0 || strcmp(line, "single") == 0) {
            r.running = line[0] == 'r';
            r.step = 0;
        } else {
            read_record_line(&c, line);
        }
    }
    close_rig(&r);
    fclose(file);
    print_message("%d environments: %d steps run freely, %d from their states, %d ended\n", envs, free_steps,
                  singles, ends);
    assert_int_equal(envs, 23);
    assert_int_equal(free_steps, 18 * 20 + 5 * 8);
    assert_true(singles > 200 && ends > 40);
}

/* ---- statistics ---------------------------------------------------------------------------------------- */

enum { EPISODES = 100 };

typedef struct moments {
    double sum, squares;
} moments;

static void add(moments *m, double x) {
    m->sum += x;
    m->squares += x * x;
}

/* Both means are of 100 episodes. Four standard errors: one such test in 16,000 fails by chance, were the seed not fixed. */
static void compare(const char *id, const char *what, const moments *m, double mean, double deviation) {
    double ours = m->sum / EPISODES;
    double variance = fmax(0, (m->squares - m->sum * ours) / (EPISODES - 1));
    double margin = 4 * sqrt((variance + deviation * deviation) / EPISODES) + 1e-9;
    print_message("%-26s %s %9.3f, Gymnasium %9.3f, margin %.3f\n", id, what, ours, mean, margin);
    if (!(fabs(ours - mean) <= margin))
        fail_msg("%s: mean %s %g, Gymnasium's is %g, expected within %g", id, what, ours, mean, margin);
}

static void check_statistics(const char *id, const double *theirs) {
    const rein_env_type *type = rein_env_find(id);
    rein_vec *vec;
    assert_non_null(type);
    assert_ok(rein_vec_new(type, &(rein_vec_opts){.n = 1, .seed = 5}, &vec));
    const rein_space *act = &rein_vec_type(vec)->act;
    rein_rng rng = rein_rng_make(6, 0);
    moments returns = {0}, lengths = {0};
    float action[32], obs[NUMBERS_MAX], reward, total;
    uint8_t terminated, truncated;
    int32_t length;
    rein_slab slab = {.action = action,
                      .obs = obs,
                      .reward = &reward,
                      .terminated = &terminated,
                      .truncated = &truncated,
                      .ep_return = &total,
                      .ep_length = &length};
    for (int episodes = 0; episodes < EPISODES;) {
        for (int k = 0; k < act->size; k++)
            action[k] = rein_rng_range(&rng, act->low[k], act->high[k]);
        rein_vec_step(vec, 0, 1, &slab);
        if (!terminated && !truncated)
            continue;
        episodes++;
        add(&returns, (double)total);
        add(&lengths, length);
    }
    rein_vec_free(vec);
    compare(id, "return", &returns, theirs[0], theirs[1]);
    compare(id, "length", &lengths, theirs[2], theirs[3]);
}

static void test_statistics(void **state) {
    FILE *file = open_golden("mujoco_statistics.txt");
    int checked = 0;
    if (!file)
        skip();
    while (next_line(file)) {
        char id[64];
        double theirs[NUMBERS_MAX];
        int used = 0;
        assert_int_equal(sscanf(line, "%63s %n", id, &used), 1);
        assert_int_equal(read_numbers(line + used, theirs), 4);
        /* the same environment under another name, and long episodes */
        if (strcmp(id, "HalfCheetah-v5") == 0 || strcmp(id, "Swimmer-v5") == 0)
            continue;
        check_statistics(id, theirs);
        checked++;
    }
    fclose(file);
    assert_int_equal(checked, 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
