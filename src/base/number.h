/*
 * number.h - numbers as text, the same in every locale: parsing that takes the whole text or nothing,
 * printing that reads back to the same bits.
 */
#ifndef REINI_NUMBER_H
#define REINI_NUMBER_H

#include "base/base.h"

typedef enum reini_number_fault {
    REINI_NUMBER_OK,
    REINI_NUMBER_SYNTAX,   /* not of the form of a number */
    REINI_NUMBER_LARGE,    /* does not fit the type */
    REINI_NUMBER_SMALL,    /* a real that would become 0 */
    REINI_NUMBER_FRACTION, /* not whole */
} reini_number_fault;

/* A decimal number (sign, digits, point, exponent) or inf; nan, hexadecimal and blanks are not numbers. */
reini_number_fault reini_real_parse(const char *text, size_t length, double *out);
/* A whole number. scaled: also 1e6, 1.5e3, 100k, 2M, 1G, computed exactly. */
reini_number_fault reini_int_parse(const char *text, size_t length, bool scaled, int64_t *out);

#define REINI_REAL_TEXT 32 /* enough for any printed real with its 0 */
/* The shortest text that reads back to the same double; returns its length. */
size_t reini_real_print(char out[REINI_REAL_TEXT], double value);
/* `digits` significant digits (%.<digits>g). */
size_t reini_real_format(char out[REINI_REAL_TEXT], double value, int digits);

#endif
