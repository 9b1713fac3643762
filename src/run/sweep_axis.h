/*
 * sweep_axis.h - one axis of a sweep: a name and its values as text.
 */
#ifndef REINI_SWEEP_AXIS_H
#define REINI_SWEEP_AXIS_H

#include <rein/run.h>
#include "base/base.h"

#define REINI_AXIS_VALUES 1000

typedef struct reini_axis {
    char name[REIN_SWEEP_TEXT];
    int n;
    char (*value)[REIN_SWEEP_TEXT]; /* (n) */
} reini_axis;

/* Reads "NAME=LOW:HIGH:N" or "NAME=A,B,C" for fields of an environment ("env." before the name is accepted); every
 * value is checked. Released after success and failure alike. */
rein_status reini_axis_read(reini_axis *axis, const char *text, const rein_env_type *env);
void reini_axis_release(reini_axis *axis);
/* Is it the noise on observations rather than a field of the environment? */
bool reini_axis_is_noise(const reini_axis *axis);

#endif
