/*
 * mujoco_access.c - what mujoco_gymnasium.py needs of libmujoco and cannot reach from Python alone: the arrays of
 * mjModel and mjData by name, from MuJoCo's own tables of fields. The script compiles this file itself.
 */
#include <mujoco/mujoco.h>
#include <mujoco/mjxmacro.h>
#include <string.h>

typedef struct array {
    const char *name;
    const char *type; /* as MuJoCo writes it: "mjtNum", "int", "mjtByte", ... */
    void *data;
    int rows, columns;
} array;

#define X(kind, field, nr, nc)                                                                               \
    if (i-- == 0)                                                                                            \
        return (array){#field, #kind, m->field, m->nr, nc};

array model_array(mjModel *m, int i) {
    MJMODEL_POINTERS_PREAMBLE(m)
    MJMODEL_POINTERS
    return (array){0};
}
#undef X

#undef MJ_D
#define MJ_D(n) n
#define X(kind, field, nr, nc)                                                                               \
    if (i-- == 0)                                                                                            \
        return (array){#field, #kind, d->field, m->nr, nc};

array data_array(mjModel *m, mjData *d, int i) {
    MJDATA_POINTERS_PREAMBLE(m)
    MJDATA_POINTERS
    return (array){0};
}
#undef X

#define X(kind, field) {#field, (double)o->field},
int option_scalars(mjModel *m, int i, const char **name, double *value) {
    mjOption *o = &m->opt;
    const struct {
        const char *name;
        double value;
    } rows[] = {MJOPTION_SCALARS};
    if (i >= (int)(sizeof rows / sizeof *rows))
        return 0;
    *name = rows[i].name;
    *value = rows[i].value;
    return 1;
}
#undef X

#define X(field, n)                                                                                          \
    if (i-- == 0)                                                                                            \
        return (array){#field, "mjtNum", m->opt.field, n, 1};
array option_array(mjModel *m, int i) {
    MJOPTION_VECTORS
    return (array){0};
}
#undef X

int model_size(const mjModel *m, const char *name) {
#define X(field)                                                                                             \
    if (strcmp(name, #field) == 0)                                                                           \
        return m->field;
    MJMODEL_INTS
#undef X
    return -1;
}

double *data_time(mjData *d) {
    return &d->time;
}
double model_timestep(const mjModel *m) {
    return m->opt.timestep;
}
void step(const mjModel *m, mjData *d, int frames) {
    for (int i = 0; i < frames; i++)
        mj_step(m, d);
}
