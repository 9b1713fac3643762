/*
 * mujoco_sim.c - libmujoco made fit for a library: see mujoco_sim.h.
 *
 * MuJoCo ends the process on an error and writes MUJOCO_LOG.TXT into the working folder on a warning, unless it is
 * given functions to call instead. Rein gives it two, once, unless the program has its own: the error function leaves
 * the failed call by longjmp, back to the `guarded` block of the same thread that made it; the warning function does
 * nothing, because the counters in mjData tell the same.
 *
 * A state with a NaN or a huge number makes mj_step start over from the model's first state. That is no successor of
 * anything, so reini_mujoco_advance reports it instead.
 */
#ifdef REIN_HAVE_MUJOCO
#include "env/mujoco/mujoco_sim.h"

#include <math.h>
#include <mujoco/mujoco.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "env/mujoco/mujoco_models.h"

enum { MESSAGE_MAX = 1000 };

static _Thread_local jmp_buf *guard;
static _Thread_local char message[MESSAGE_MAX];
static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;
/* the XML reader keeps the last model in a global */
static pthread_mutex_t compile_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_error(const char *text) {
    snprintf(message, sizeof message, "%s", text);
    if (guard)
        longjmp(*guard, 1);
    abort(); /* not a call of Rein's: MuJoCo forbids to return, and would have ended the process itself */
}

static void on_warning(const char *text) {
    snprintf(message, sizeof message, "%s", text);
}

static void set_hooks(void) {
    if (!mju_user_error)
        mju_user_error = on_error;
    if (!mju_user_warning)
        mju_user_warning = on_warning;
}

/* Runs a statement; `failed` when MuJoCo reported an error in it. */
#define GUARDED(statement, failed)                                                                           \
    do {                                                                                                     \
        jmp_buf jump_, *outer_ = guard;                                                                      \
        guard = &jump_;                                                                                      \
        if (setjmp(jump_) == 0) {                                                                            \
            statement;                                                                                       \
            guard = outer_;                                                                                  \
        } else {                                                                                             \
            guard = outer_;                                                                                  \
            failed;                                                                                          \
        }                                                                                                    \
    } while (0)

const char *reini_mujoco_fault(void) {
    return message;
}

/* ---- models -------------------------------------------------------------------------------------------- */

static rein_status check_version(void) {
    if (mj_version() != mjVERSION_HEADER)
        return reini_fail(
            REIN_UNSUPPORTED,
            "Rein was built with the headers of MuJoCo %d and runs with its library %d: build it "
            "again, or install the libmujoco it was built with",
            mjVERSION_HEADER, mj_version());
    return REIN_OK;
}

/* MuJoCo's sentences span lines */
static rein_status compile_failed(const char *what, char *why) {
    size_t n = 0;
    for (const char *c = why; *c; c++)
        if (*c != '\n')
            why[n++] = *c;
        else if (n > 0 && why[n - 1] != ' ')
            why[n++] = ' ';
    while (n > 0 && why[n - 1] == ' ')
        n--;
    why[n] = 0;
    return reini_fail(REIN_FORMAT, "%s: %s", what, n > 0 ? why : "MuJoCo refused it without a reason");
}

static rein_status compile(const char *what, const char *path, const mjVFS *files, mjModel **out) {
    char why[MESSAGE_MAX] = "";
    mjModel *volatile m = NULL;
    pthread_once(&hooks_once, set_hooks);
    REINI_TRY(check_version());
    pthread_mutex_lock(&compile_lock);
    GUARDED(m = mj_loadXML(path, files, why, sizeof why), snprintf(why, sizeof why, "%s", message));
    pthread_mutex_unlock(&compile_lock);
    *out = m;
    return m ? REIN_OK : compile_failed(what, why);
}

rein_status reini_mujoco_compile_file(const char *path, mjModel **out) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return reini_fail(REIN_USAGE, "the MJCF file \"%s\" cannot be read", path);
    fclose(file);
    return compile(path, path, NULL, out);
}

static int add_text(mjVFS *files, const char *name, const char *text) {
    int size = (int)strlen(text);
#if mjVERSION_HEADER >= 320
    return mj_addBufferVFS(files, name, text, size);
#else
    int failed = mj_makeEmptyFileVFS(files, name, size);
    if (!failed)
        memcpy(files->filedata[mj_findFileVFS(files, name)], text, (size_t)size);
    return failed;
#endif
}

rein_status reini_mujoco_compile(const char *name, mjModel **out) {
    const reini_mujoco_model *model = reini_mujoco_models;
    while (model->name && strcmp(model->name, name) != 0)
        model++;
    if (!model->name)
        return reini_fail(REIN_INTERNAL, "there is no MuJoCo model named %s in this library", name);
    mjVFS *files = REINI_NEW(mjVFS);
    if (!files)
        return reini_fail_memory(sizeof *files, "reading a MuJoCo model");
    mj_defaultVFS(files);
    char file[80];
    snprintf(file, sizeof file, "%s.xml", name);
    rein_status status = add_text(files, file, model->text) == 0
                             ? compile(file, file, files, out)
                             : reini_fail_memory(strlen(model->text), "the text of a MuJoCo model");
    mj_deleteVFS(files);
    reini_free(files);
    return status;
}

/* ---- changed physics ----------------------------------------------------------------------------------- */

static void scale(mjtNum *x, int n, double factor) {
    for (int i = 0; i < n; i++)
        x[i] *= factor;
}

rein_status reini_mujoco_change(mjModel *m, const reini_mujoco_physics *physics) {
    if (!isnan(physics->gravity))
        m->opt.gravity[2] = -physics->gravity;
    scale(m->geom_friction, 3 * m->ngeom, physics->friction_scale);
    scale(m->pair_friction, 5 * m->npair, physics->friction_scale);
    scale(m->actuator_gear, 6 * m->nu, physics->motor_scale);
    if (physics->mass_scale == 1)
        return REIN_OK;
    scale(m->body_mass, m->nbody, physics->mass_scale);
    scale(m->body_inertia, 3 * m->nbody, physics->mass_scale);
    mjData *d = reini_mujoco_data(m);
    if (!d)
        return reini_fail_memory(sizeof *d, "changing the masses of a MuJoCo model");
    bool ok = true;
    GUARDED(mj_setConst(m, d), ok = false); /* what the compiler derived from the masses */
    mj_deleteData(d);
    return ok ? REIN_OK : reini_fail(REIN_INTERNAL, "MuJoCo could not change the masses: %s", message);
}

/* ---- data ---------------------------------------------------------------------------------------------- */

mjData *reini_mujoco_data(const mjModel *m) {
    mjData *volatile d = NULL;
    GUARDED(d = mj_makeData(m), d = NULL);
    return d;
}

void reini_mujoco_clear(const mjModel *m, mjData *d) {
    mj_resetData(m, d);
}

bool reini_mujoco_settle(const mjModel *m, mjData *d) {
    GUARDED(mj_forward(m, d), return false);
    return true;
}

static bool came_apart(const mjModel *m, const mjData *d) {
    static const int fatal[] = {mjWARN_BADQPOS, mjWARN_BADQVEL, mjWARN_BADQACC};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        if (d->warning[fatal[i]].number > 0)
            return true;
    double sum = 0; /* the last integration is checked by no further step */
    for (int i = 0; i < m->nq; i++)
        sum += d->qpos[i];
    for (int i = 0; i < m->nv; i++)
        sum += d->qvel[i];
    return !isfinite(sum);
}

bool reini_mujoco_advance(const mjModel *m, mjData *d, int frames, bool forces) {
    volatile bool ok = true;
    GUARDED(
        {
            for (int i = 0; i < frames; i++)
                mj_step(m, d);
            if (forces)
                mj_rnePostConstraint(m, d);
        },
        ok = false);
    return ok && !came_apart(m, d);
}

/* ---- state --------------------------------------------------------------------------------------------- */

int reini_mujoco_state_count(const mjModel *m) {
    return 1 + m->nq + 2 * m->nv + m->na;
}

/* Buffers of saved states are aligned to nothing. */
static unsigned char *put(unsigned char *to, const mjtNum *from, int n) {
    if (n > 0)
        memcpy(to, from, (size_t)n * sizeof *from);
    return to + (size_t)n * sizeof *from;
}

static const unsigned char *take(mjtNum *to, const unsigned char *from, int n) {
    if (n > 0)
        memcpy(to, from, (size_t)n * sizeof *to);
    return from + (size_t)n * sizeof *to;
}

void reini_mujoco_get(const mjModel *m, const mjData *d, void *state) {
    unsigned char *to = put(state, &d->time, 1);
    to = put(to, d->qpos, m->nq);
    to = put(to, d->qvel, m->nv);
    to = put(to, d->act, m->na);
    put(to, d->qacc_warmstart, m->nv);
}

void reini_mujoco_set(const mjModel *m, mjData *d, const void *state) {
    mj_resetData(m, d);
    const unsigned char *from = take(&d->time, state, 1);
    from = take(d->qpos, from, m->nq);
    from = take(d->qvel, from, m->nv);
    from = take(d->act, from, m->na);
    take(d->qacc_warmstart, from, m->nv);
}
#endif
