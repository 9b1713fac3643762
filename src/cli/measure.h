/*
 * measure.h - what a benchmark of `rein bench` is: a function that measures and reports medians.
 */
#ifndef REIN_MEASURE_H
#define REIN_MEASURE_H

#include "cli.h"

typedef struct measure {
    int repeats;
    cli_table *table;
    json_t *results;
} measure;

typedef rein_status measure_fn(measure *m);
measure_fn measure_startup, measure_env;

double measure_now(void);                     /* seconds of a monotonic clock */
double measure_median(double *values, int n); /* sorts them */
void measure_result(measure *m, const char *name, double value, const char *unit);

#endif
