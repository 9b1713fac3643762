/*
 * number.c - numbers as text, the same in every locale.
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/number.h"

/* the parts of sign digits [. digits] [e sign digits] */
typedef struct decimal {
    bool negative;
    const char *digits; /* digits with at most one point among them */
    size_t length;
    int exponent; /* saturates far beyond any type */
    size_t used;  /* characters of the text taken */
} decimal;

#define EXPONENT_MAX 100000

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t scan_exponent(const char *text, size_t length, int *exponent) {
    size_t at = 1;
    if (length < 2 || (text[0] != 'e' && text[0] != 'E'))
        return 0;
    bool negative = text[at] == '-';
    if (text[at] == '-' || text[at] == '+')
        at++;
    size_t first = at;
    for (; at < length && is_digit(text[at]); at++)
        *exponent = *exponent < EXPONENT_MAX ? *exponent * 10 + (text[at] - '0') : EXPONENT_MAX;
    if (negative)
        *exponent = -*exponent;
    return at > first ? at : 0;
}

static bool scan_decimal(const char *text, size_t length, decimal *out) {
    size_t at = 0, points = 0, figures = 0;
    *out = (decimal){0};
    if (at < length && (text[at] == '-' || text[at] == '+'))
        out->negative = text[at++] == '-';
    out->digits = text + at;
    for (; at < length && (is_digit(text[at]) || (text[at] == '.' && points == 0)); at++)
        is_digit(text[at]) ? figures++ : points++;
    out->length = (size_t)(text + at - out->digits);
    if (figures == 0)
        return false;
    out->used = at + scan_exponent(text + at, length - at, &out->exponent);
    return true;
}

static bool nonzero(const decimal *d) {
    for (size_t i = 0; i < d->length; i++)
        if (d->digits[i] > '0')
            return true;
    return false;
}

/* strtod and printf follow the thread's locale, whose decimal point may be a comma */
static double read_double(const char *text) {
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = c ? uselocale(c) : (locale_t)0;
    double value = strtod(text, NULL);
    if (c) {
        uselocale(before);
        freelocale(c);
    }
    return value;
}

size_t reini_real_format(char out[REINI_REAL_TEXT], double value, int digits) {
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = c ? uselocale(c) : (locale_t)0;
    int length = snprintf(out, REINI_REAL_TEXT, "%.*g", digits, value);
    if (c) {
        uselocale(before);
        freelocale(c);
    }
    return length < 0 ? 0 : (size_t)length;
}

reini_number_fault reini_real_parse(const char *text, size_t length, double *out) {
    char copy[512];
    size_t sign = length > 0 && (text[0] == '-' || text[0] == '+');
    if (length == sign + 3 && memcmp(text + sign, "inf", 3) == 0) {
        *out = text[0] == '-' ? -INFINITY : INFINITY;
        return REINI_NUMBER_OK;
    }
    decimal d;
    if (length >= sizeof copy || !scan_decimal(text, length, &d) || d.used != length)
        return REINI_NUMBER_SYNTAX;
    memcpy(copy, text, length);
    copy[length] = 0;
    double value = read_double(copy);
    if (isinf(value))
        return REINI_NUMBER_LARGE;
    if (value == 0 && nonzero(&d))
        return REINI_NUMBER_SMALL;
    *out = value;
    return REINI_NUMBER_OK;
}

/* power of ten of a suffix letter, -1 when it is none */
static int suffix_power(char c) {
    switch (c) {
    case 'k':
    case 'K':
        return 3;
    case 'M':
        return 6;
    case 'G':
    case 'B':
        return 9;
    default:
        return -1;
    }
}

/* digits x 10^power as a magnitude below 2^63 + 1; trailing zeros are taken off first so that 1.500k is
 * whole */
static reini_number_fault whole_magnitude(const decimal *d, int power, uint64_t *out) {
    uint64_t value = 0;
    int zeros = 0; /* zeros read since the last other digit, not in value yet */
    bool fraction = false;
    for (size_t i = 0; i < d->length; i++) {
        char c = d->digits[i];
        if (c == '.') {
            fraction = true;
            continue;
        }
        power -= fraction;
        zeros++;
        if (c == '0')
            continue;
        for (; zeros > 0 && value > 0; zeros--)
            if (__builtin_mul_overflow(value, (uint64_t)10, &value))
                return power < 0 ? REINI_NUMBER_FRACTION : REINI_NUMBER_LARGE;
        zeros = 0;
        if (__builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
            return power < 0 ? REINI_NUMBER_FRACTION : REINI_NUMBER_LARGE;
    }
    power += zeros;
    *out = value;
    if (value == 0)
        return REINI_NUMBER_OK;
    if (power < 0)
        return REINI_NUMBER_FRACTION;
    for (; power > 0; power--)
        if (__builtin_mul_overflow(*out, (uint64_t)10, out))
            return REINI_NUMBER_LARGE;
    return REINI_NUMBER_OK;
}

reini_number_fault reini_int_parse(const char *text, size_t length, bool scaled, int64_t *out) {
    decimal d;
    if (!scan_decimal(text, length, &d))
        return REINI_NUMBER_SYNTAX;
    int power = d.exponent;
    if (d.used + 1 == length && suffix_power(text[d.used]) >= 0) {
        power += suffix_power(text[d.used]);
        d.used++;
    }
    if (d.used != length)
        return REINI_NUMBER_SYNTAX;
    if (!scaled && text + length != d.digits + d.length)
        return REINI_NUMBER_SYNTAX;
    if (!scaled && memchr(d.digits, '.', d.length))
        return REINI_NUMBER_FRACTION;
    uint64_t magnitude;
    reini_number_fault fault = whole_magnitude(&d, power, &magnitude);
    if (fault != REINI_NUMBER_OK)
        return fault;
    if (magnitude > (uint64_t)INT64_MAX + d.negative)
        return REINI_NUMBER_LARGE;
    *out = d.negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return REINI_NUMBER_OK;
}

size_t reini_real_print(char out[REINI_REAL_TEXT], double value) {
    size_t length = 0;
    for (int digits = 1; digits <= 17; digits++) {
        length = reini_real_format(out, value, digits);
        if (!isfinite(value) || read_double(out) == value)
            break;
    }
    /* 1e+01 to 1e+06 read better as whole numbers, which they are: all their digits are before the point */
    const char *exponent = strchr(out, 'e');
    if (exponent && exponent[1] == '+' && exponent[2] == '0' && exponent[3] < '7')
        length = reini_real_format(out, value, exponent[3] - '0' + 1);
    return length;
}
