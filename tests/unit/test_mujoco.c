/*
 * test_mujoco.c - MuJoCo environments: saving, threads, settings, costs, simulations that come apart, MJCF files as
 * environments and what is said about bad ones. What they compute is compared with Gymnasium in test_mujoco_golden.c.
 */
#include <math.h>
#include <stdio.h>
#include <rein/env.h>
#include "support/check.h"
#include "unit/env_rig.h"

static void not_found(const char *name, const char *words) {
    assert_null(rein_env_find(name));
    if (!strstr(rein_error(), words))
        fail_msg("\"%s\" lacks \"%s\"", rein_error(), words);
}

#ifndef REIN_HAVE_MUJOCO

static void test_absence_is_told(void **state) {
    not_found("HalfCheetah-v4", "HalfCheetah-v4 needs MuJoCo");
    not_found("SafetyAntVelocity-v1", "libmujoco-dev");
    not_found("mujoco:robot.xml", "libmujoco-dev");
    not_found("CheetahHalf-v4", "no environment is named");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_absence_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
#include <rein/run.h>
#include <rein/tensor.h>
#include "env/mujoco/mujoco_env.h"
#include "support/temp_dir.h"

enum { N = 5, TYPES_MAX = 64 };

/* the robots: built-in types that are simulators */
static int robots(const rein_env_type *out[TYPES_MAX]) {
    const rein_env_type *type;
    int n = 0;
    for (int i = 0; (type = rein_env_at(i)) != NULL; i++)
        if (type->create && n < TYPES_MAX)
            out[n++] = type;
    return n;
}

/* ---- spaces -------------------------------------------------------------------------------------------- */

/* What the registered types say without a model is what the model has. */
static void test_spaces(void **state) {
    const rein_env_type *types[TYPES_MAX];
    int n = robots(types);
    assert_int_equal(n, 24);
    for (int i = 0; i < n; i++) {
        rein_env_type opened;
        assert_ok(rein_env_open(types[i], NULL, &opened));
        assert_int_equal(opened.obs.size, types[i]->obs.size);
        assert_int_equal(opened.act.size, types[i]->act.size);
        assert_int_equal(opened.horizon, types[i]->horizon);
        for (int k = 0; k < opened.act.size; k++)
            assert_true(opened.act.low[k] == types[i]->act.low[k] &&
                        opened.act.high[k] == types[i]->act.high[k]);
        rein_env_close(&opened);
    }
}

/* ---- saving and threads -------------------------------------------------------------------------------- */

/* Runs, saves, runs on; another vector loads and must run on alike, to the bit. */
static void check_future(const rein_env_type *type) {
    env_rig rig = rig_make(type, &(rein_vec_opts){.n = N, .seed = 3, .horizon = 40});
    env_rig other = rig_make(type, &(rein_vec_opts){.n = N, .seed = 777, .horizon = 40});
    rig_run(&rig, 27);
    rig_run(&other, 9);
    size_t size = rein_vec_save_size(rig.vec), obs = N * rein_space_bytes(&type->obs);
    unsigned char *saved = rig_array(size + 1, 1), *again = rig_array(size, 1);
    rein_vec_save(rig.vec, saved + 1); /* no alignment is asked for */
    assert_ok(rein_vec_load(other.vec, saved + 1, size));
    rein_vec_save(other.vec, again);
    assert_memory_equal(again, saved + 1, size);
    other.rng = rig.rng;
    rein_vec_observe(rig.vec, 0, N, &rig.slab);
    rein_vec_observe(other.vec, 0, N, &other.slab);
    assert_memory_equal(rig.slab.obs, other.slab.obs, obs);
    memcpy(other.slab.final_obs, rig.slab.final_obs, obs);
    memcpy(other.slab.ep_return, rig.slab.ep_return, N * sizeof(float));
    memcpy(other.slab.ep_length, rig.slab.ep_length, N * sizeof(int32_t));
    if (rig.slab.ep_cost)
        memcpy(other.slab.ep_cost, rig.slab.ep_cost, (size_t)(N * type->n_costs) * sizeof(float));
    uint64_t expected = rig_run(&rig, 60), found = rig_run(&other, 60);
    if (found != expected)
        fail_msg("%s goes on differently after load", type->id);
    free(saved);
    free(again);
    rig_free(&rig);
    rig_free(&other);
}

static void test_saving(void **state) {
    const rein_env_type *types[TYPES_MAX];
    int n = robots(types);
    for (int i = 0; i < n; i++)
        check_future(types[i]);
}

static void step_one(void *user, int task, int worker) {
    env_rig *rig = user;
    rein_vec_step(rig->vec, task, task + 1, &rig->slab);
}

static uint64_t run_threads(const rein_env_type *type, int threads, int steps) {
    env_rig rig = rig_make(type, &(rein_vec_opts){.n = 7, .seed = 5, .horizon = 30});
    rein_pool *pool = rein_pool_new(threads);
    uint64_t hash = 1;
    for (int t = 0; t < steps; t++) {
        rig_draw(&rig);
        rein_pool_run(pool, 7, step_one, &rig);
        hash = rig_hash(&rig, hash);
    }
    rein_pool_free(pool);
    rig_free(&rig);
    return hash;
}

static void test_threads(void **state) {
    const char *const ids[] = {"HalfCheetah-v4", "Ant-v5", "Humanoid-v4", "Reacher-v4"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const rein_env_type *type = rein_env_find(ids[i]);
        uint64_t one = run_threads(type, 1, 70);
        assert_true(run_threads(type, 2, 70) == one);
        assert_true(run_threads(type, 4, 70) == one);
    }
}

/* ---- settings ------------------------------------------------------------------------------------------ */

static void open_with(const char *id, const char *name, const char *value, rein_env_type *opened) {
    const rein_env_type *type = rein_env_find(id);
    reini_mujoco_config config;
    memset(&config, 0, sizeof config);
    rein_fields_default(type->fields, type->n_fields, &config);
    assert_ok(rein_fields_set(type->fields, type->n_fields, &config, name, value));
    assert_ok(rein_env_open(type, &config, opened));
}

static const mjModel *model_of(const rein_env_type *opened) {
    return ((const reini_mujoco_world *)opened->model)->m;
}

static void test_physics_settings(void **state) {
    rein_env_type plain, changed;
    assert_ok(rein_env_open(rein_env_find("Hopper-v4"), NULL, &plain));
    const mjModel *a = model_of(&plain);

    open_with("Hopper-v4", "mass_scale", "2", &changed);
    const mjModel *b = model_of(&changed);
    assert_true(fabs(b->body_subtreemass[0] - 2 * a->body_subtreemass[0]) < 1e-12); /* derived anew */
    assert_true(fabs(b->body_inertia[3] - 2 * a->body_inertia[3]) < 1e-12);
    assert_true(b->dof_invweight0[0] < 0.6 * a->dof_invweight0[0]);
    rein_env_close(&changed);

    open_with("Hopper-v4", "gravity", "3.7", &changed);
    assert_true(model_of(&changed)->opt.gravity[2] == -3.7);
    rein_env_close(&changed);
    open_with("Hopper-v4", "friction_scale", "0.5", &changed);
    assert_true(model_of(&changed)->geom_friction[3] == 0.45); /* the torso's 0.9 */
    rein_env_close(&changed);
    open_with("Hopper-v4", "motor_scale", "0.25", &changed);
    assert_true(model_of(&changed)->actuator_gear[0] == 50);
    rein_env_close(&changed);
    rein_env_close(&plain);
}

/* The distance fallen in a step without contact, from rest: g t^2 / 2. */
static void test_gravity_acts(void **state) {
    const double pulls[2] = {9.81, 2};
    const char *const texts[2] = {"9.81", "2"};
    for (int k = 0; k < 2; k++) {
        rein_env_type opened;
        open_with("Ant-v4", "gravity", texts[k], &opened);
        reini_mujoco_sim *sim = opened.create(opened.model);
        const mjModel *m = model_of(&opened);
        const float still[8] = {0};
        rein_rng rng = rein_rng_make(0, 0);
        mj_resetData(m, sim->d);
        sim->d->qpos[2] = 50;
        for (int i = 0; i < 20; i++)
            opened.step(opened.model, sim, still, &rng);
        double t = sim->d->time, speed = sim->d->qvel[2];
        assert_true(fabs(t - 1) < 1e-9);
        /* legs swing on their springless joints, so the torso is only near free fall */
        assert_true(fabs(speed + pulls[k] * t) < 0.3 * pulls[k]);
        opened.destroy(sim);
        rein_env_close(&opened);
    }
}

static void test_settings_shape_spaces(void **state) {
    rein_env_type opened;
    open_with("HalfCheetah-v4", "exclude_current_positions_from_observation", "false", &opened);
    assert_int_equal(opened.obs.size, 18);
    rein_env_close(&opened);
    open_with("Ant-v4", "use_contact_forces", "true", &opened);
    assert_int_equal(opened.obs.size, 27 + 84);
    rein_env_close(&opened);
    open_with("Humanoid-v5", "include_cinert_in_observation", "false", &opened);
    assert_int_equal(opened.obs.size, 348 - 130);
    rein_env_close(&opened);
}

static void test_bad_settings(void **state) {
    const rein_env_type *type = rein_env_find("Walker2d-v4");
    reini_mujoco_config config;
    memset(&config, 0, sizeof config);
    rein_fields_default(type->fields, type->n_fields, &config);
    rein_env_type opened;
    config.mass_scale = 0;
    assert_fails(rein_env_open(type, &config, &opened), REIN_USAGE, "mass_scale");
    assert_fails(rein_fields_set(type->fields, type->n_fields, &config, "use_contact_forces", "true"),
                 REIN_USAGE, "use_contact_forces"); /* the Ant's */
    not_found("HalfCheetah-v3", "did you mean \"HalfCheetah-v");
}

/* ---- costs --------------------------------------------------------------------------------------------- */

/* The cost is that of the progress made: observed x after a step tells it. */
static void test_costs(void **state) {
    rein_env_type opened, plain;
    open_with("SafetyHopperVelocity-v1", "exclude_current_positions_from_observation", "false", &opened);
    assert_ok(rein_env_open(rein_env_find("Hopper-v4"), NULL, &plain));
    assert_int_equal(plain.n_costs, 0);
    assert_int_equal(opened.n_costs, 1);
    assert_string_equal(opened.cost_names[0], "speed");
    reini_mujoco_sim *sim = opened.create(opened.model);
    rein_rng rng = rein_rng_make(1, 1);
    const float still[3] = {0};
    int costly = 0, free_ = 0;
    for (int i = 0; i < 40; i++) {
        opened.reset(opened.model, sim, &rng);
        double x = sim->d->qpos[0];
        sim->d->qvel[0] = rein_rng_uniform64(&rng) * 1.5;
        rein_step s = opened.step(opened.model, sim, still, &rng);
        float cost = -1;
        opened.costs(opened.model, sim, &cost);
        double speed = (sim->d->qpos[0] - x) / 0.008;
        assert_true(cost == (speed > 0.7402 ? 1.0f : 0.0f));
        assert_true(fabs((double)s.reward - (speed + 1)) < 1e-5);
        costly += cost > 0;
        free_ += cost <= 0;
    }
    assert_true(costly > 5 && free_ > 5);
    opened.destroy(sim);
    rein_env_close(&opened);
    rein_env_close(&plain);
}

/* In the plane: a sideways run costs too. */
static void test_planar_cost(void **state) {
    rein_env_type opened;
    assert_ok(rein_env_open(rein_env_find("SafetyAntVelocity-v1"), NULL, &opened));
    reini_mujoco_sim *sim = opened.create(opened.model);
    rein_rng rng = rein_rng_make(1, 1);
    const float still[8] = {0};
    for (int fast = 0; fast < 2; fast++) {
        float cost = -1;
        opened.reset(opened.model, sim, &rng);
        sim->d->qpos[2] = 5; /* in the air, where nothing brakes */
        sim->d->qvel[0] = 0;
        sim->d->qvel[1] = fast ? -3.2 : -2;
        for (int i = 0; i < 2; i++)
            opened.step(opened.model, sim, still, &rng);
        opened.costs(opened.model, sim, &cost);
        assert_true(cost == (float)fast);
    }
    opened.destroy(sim);
    rein_env_close(&opened);
}

/* ---- simulations that come apart ----------------------------------------------------------------------- */

static void test_an_unstable_simulation_is_cut(void **state) {
    rein_env_type opened;
    assert_ok(rein_env_open(rein_env_find("HalfCheetah-v4"), NULL, &opened));
    reini_mujoco_sim *sim = opened.create(opened.model);
    rein_rng rng = rein_rng_make(4, 4);
    float before[17], after[17];
    const float still[6] = {0};
    opened.reset(opened.model, sim, &rng);
    opened.step(opened.model, sim, still, &rng);
    opened.observe(opened.model, sim, before);
    sim->d->qvel[3] = 1e12;
    rein_step s = opened.step(opened.model, sim, still, &rng);
    opened.observe(opened.model, sim, after);
    assert_true(s.truncated && !s.terminated && s.reward == 0);
    assert_memory_equal(before, after, sizeof before); /* the last sound one */

    opened.reset(opened.model, sim, &rng); /* and all is well again */
    s = opened.step(opened.model, sim, still, &rng);
    assert_true(!s.truncated && isfinite(s.reward));
    opened.destroy(sim);
    rein_env_close(&opened);
}

/* ---- MJCF files ---------------------------------------------------------------------------------------- */

static const char cart[] = "<mujoco>\n"
                           "<option timestep='0.01'/>\n"
                           "<custom>\n"
                           "  <numeric name='frame_skip' data='2'/>\n"
                           "  <numeric name='horizon' data='50'/>\n"
                           "  <numeric name='reset_noise' data='0.05'/>\n"
                           "  <numeric name='control_cost' data='0.5'/>\n"
                           "  <numeric name='alive' data='2'/>\n"
                           "  <numeric name='reward/speed' data='3'/>\n"
                           "  <numeric name='terminate/far' data='-0.5 0.5'/>\n"
                           "</custom>\n"
                           "<worldbody><body name='cart'>\n"
                           "  <joint name='x' type='slide' axis='1 0 0' damping='0.1'/>\n"
                           "  <geom size='0.1' mass='1'/>\n"
                           "</body></worldbody>\n"
                           "<actuator><motor joint='x' ctrllimited='true' ctrlrange='-2 2'/></actuator>\n"
                           "<sensor>\n"
                           "  <jointvel name='reward/speed' joint='x'/>\n"
                           "  <jointpos name='terminate/far' joint='x'/>\n"
                           "%s"
                           "</sensor>\n"
                           "</mujoco>\n";

/* writes the cart with more sensors, and returns its environment's name */
static const char *write_cart(const char *file, const char *sensors) {
    static char name[600];
    char text[2048];
    int n = snprintf(text, sizeof text, cart, sensors);
    temp_write(temp_path(file), text, (size_t)n);
    snprintf(name, sizeof name, "mujoco:%s", temp_path(file));
    return name;
}

static void test_a_file_is_an_environment(void **state) {
    const rein_env_type *type = rein_env_find(write_cart("cart.xml", ""));
    if (!type)
        fail_msg("%s", rein_error());
    assert_ptr_equal(rein_env_find(type->id), type);
    assert_int_equal(type->obs.size, 2);
    assert_int_equal(type->act.size, 1);
    assert_int_equal(type->horizon, 50);
    assert_true(type->act.low[0] == -2 && type->act.high[0] == 2);
    rein_env_type opened;
    assert_ok(rein_env_open(type, NULL, &opened));
    assert_true(opened.act.low[0] == -2 && opened.act.high[0] == 2);
    reini_mujoco_sim *sim = opened.create(opened.model);
    rein_rng rng = rein_rng_make(9, 9);
    opened.reset(opened.model, sim, &rng);
    assert_true(fabs(sim->d->qpos[0]) <= 0.05 && sim->d->qpos[0] != 0);
    const float push[1] = {1.5f};
    int steps = 0;
    for (bool ended = false; !ended && steps < 1000; steps++) {
        float obs[2];
        rein_step s = opened.step(opened.model, sim, push, &rng);
        opened.observe(opened.model, sim, obs);
        assert_true(obs[0] == (float)sim->d->qpos[0] && obs[1] == (float)sim->d->qvel[0]);
        double expected = 2 - 0.5 * 1.5 * 1.5 + 3 * sim->d->qvel[0]; /* of the state reached */
        assert_true(fabs((double)s.reward - expected) < 1e-6);
        ended = fabs(sim->d->qpos[0]) > 0.5;
        assert_int_equal(s.terminated, ended);
        assert_true(fabs(sim->d->time - 0.02 * (steps + 1)) < 1e-9);
    }
    assert_in_range(steps, 5, 999);
    opened.destroy(sim);
    rein_env_close(&opened);
}

static void test_observed_sensors(void **state) {
    const rein_env_type *type = rein_env_find(
        write_cart("seen.xml", "<framepos name='observe/where' objtype='body' objname='cart'/>\n"));
    if (!type)
        fail_msg("%s", rein_error());
    assert_int_equal(type->obs.size, 3);
    check_future(type);
    rein_env_type opened;
    float obs[3];
    rein_rng rng = rein_rng_make(2, 2);
    assert_ok(rein_env_open(type, NULL, &opened));
    reini_mujoco_sim *sim = opened.create(opened.model);
    opened.reset(opened.model, sim, &rng);
    opened.observe(opened.model, sim, obs);
    assert_true(obs[0] == (float)sim->d->qpos[0] && obs[1] == 0 && obs[2] == 0);
    opened.destroy(sim);
    rein_env_close(&opened);
}

static void test_a_file_is_trained_on(void **state) {
    const rein_setting settings[] = {{"steps", "1000"},      {"n_envs", "4"},        {"n_steps", "64"},
                                     {"n_epochs", "1"},      {"batch_size", "256"},  {"hidden", "8"},
                                     {"threads", "2"},       {"eval_episodes", "5"}, {"seed", "3"},
                                     {"env.mass_scale", "2"}};
    char name[600];
    snprintf(name, sizeof name, "%s", write_cart("trained.xml", ""));
    rein_train_opts opts = {.algo = "ppo",
                            .env = name,
                            .settings = settings,
                            .n_settings = sizeof settings / sizeof *settings,
                            .out = temp_path("run")};
    rein_summary summary;
    rein_eval_result result;
    assert_ok(rein_train(&opts, &summary));
    assert_true(isfinite(summary.eval_return_mean));
    rein_eval_opts eval = {.path = temp_path("run"), .episodes = 3};
    assert_ok(rein_eval(&eval, &result));
}

/* ---- bad files ----------------------------------------------------------------------------------------- */

static void bad_file(const char *file, const char *text, const char *words) {
    char name[600];
    temp_write(temp_path(file), text, strlen(text));
    snprintf(name, sizeof name, "mujoco:%s", temp_path(file));
    not_found(name, words);
    assert_non_null(strstr(rein_error(), file)); /* which file */
}

static void test_bad_files(void **state) {
    not_found("mujoco:", "cannot be read");
    not_found("mujoco:./absent.xml", "./absent.xml");
    bad_file("text.xml", "not a model", "XML");
    bad_file("open.xml", "<mujoco>\n<worldbody>\n", "XML");
    bad_file("schema.xml", "<mujoco>\n<worldbody>\n<bodi name='a'/>\n</worldbody>\n</mujoco>\n", "line 3");
    bad_file("joint.xml",
             "<mujoco>\n<worldbody><body>\n<joint name='x'/><geom size='1'/>\n</body></worldbody>\n"
             "<actuator>\n<motor joint='y'/>\n</actuator></mujoco>\n",
             "line = 6");
    bad_file("still.xml",
             "<mujoco><worldbody><body><joint/><geom size='1'/></body></worldbody>"
             "<custom><numeric name='alive' data='1'/></custom></mujoco>",
             "no actuator");
    const char *model = "<mujoco><worldbody><body><joint name='x'/><geom size='1'/></body></worldbody>"
                        "<actuator><motor joint='x'/></actuator>%s</mujoco>";
    const struct {
        const char *file, *more, *words;
    } rows[] = {
        {"reward.xml", "", "no reward"},
        {"frames.xml", "<custom><numeric name='frame_skip' data='0'/></custom>", "frame_skip"},
        {"weights.xml",
         "<custom><numeric name='reward/v' data='1 2'/></custom><sensor><jointvel name='reward/v' "
         "joint='x'/></sensor>",
         "2 weights"},
        {"limits.xml",
         "<custom><numeric name='alive' data='1'/></custom><sensor><jointvel name='terminate/v' "
         "joint='x'/></sensor>",
         "two numbers"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[1024];
        snprintf(text, sizeof text, model, rows[i].more);
        bad_file(rows[i].file, text, rows[i].words);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_saving),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_physics_settings),
        cmocka_unit_test(test_gravity_acts),
        cmocka_unit_test(test_settings_shape_spaces),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_planar_cost),
        cmocka_unit_test(test_an_unstable_simulation_is_cut),
        cmocka_unit_test(test_a_file_is_an_environment),
        cmocka_unit_test(test_observed_sensors),
        cmocka_unit_test(test_a_file_is_trained_on),
        cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
#endif
