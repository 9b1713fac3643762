/*
 * field.c - configuration fields: text to value, value to text, ranges, schedules.
 *
 * Every value is first read into a field_value beside the struct, checked there, and only then stored, so a
 * failure changes nothing.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <rein/field.h>
#include "base/number.h"

#define QUOTE_MAX 64
#define NAMES_MAX 128

typedef union field_value {
    int flag; /* BOOL, ENUM */
    int64_t whole;
    double real;
    rein_schedule schedule;
    rein_ints ints;
    char text[REIN_TEXT_MAX];
} field_value;

static size_t value_size(rein_field_kind kind) {
    switch (kind) {
    case REIN_FIELD_BOOL:
    case REIN_FIELD_ENUM:
        return sizeof(int);
    case REIN_FIELD_INT:
    case REIN_FIELD_COUNT:
        return sizeof(int64_t);
    case REIN_FIELD_REAL:
        return sizeof(double);
    case REIN_FIELD_SCHEDULE:
        return sizeof(rein_schedule);
    case REIN_FIELD_INTS:
        return sizeof(rein_ints);
    case REIN_FIELD_TEXT:
        return REIN_TEXT_MAX;
    }
    return 0;
}

/* length of the UTF-8 character at text, 0 when it is malformed (overlong, surrogate, beyond U+10FFFF,
 * cut) */
static size_t utf8_length(const unsigned char *text) {
    size_t n = text[0] < 0x80                      ? 1
               : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
               : (text[0] & 0xf0) == 0xe0          ? 3
               : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                   : 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90))
        return 0;
    return n;
}

/* the user's text for an error sentence: cut to fit, without bytes that would upset a terminal or a reader
 * of UTF-8 */
static const char *quoted(char out[QUOTE_MAX], const char *text) {
    size_t used = 0;
    while (*text) {
        size_t n = utf8_length((const unsigned char *)text);
        bool shown = n > 0 && (unsigned char)*text >= 0x20 && *text != 0x7f;
        n = shown ? n : 1;
        if (used + n + sizeof "..." > QUOTE_MAX) {
            memcpy(out + used, "...", sizeof "...");
            return out;
        }
        memcpy(out + used, shown ? text : "?", n);
        used += n;
        text += n;
    }
    out[used] = 0;
    return out;
}

/* ---- choices of an ENUM: "clip|penalty" ---------------------------------------------------------------- */

/* the i-th choice as a slice; NULL past the last */
static const char *choice_at(const char *choices, int i, size_t *length) {
    for (; i > 0; i--) {
        choices = strchr(choices, '|');
        if (!choices)
            return NULL;
        choices++;
    }
    *length = strcspn(choices, "|");
    return choices;
}

static int choice_count(const char *choices) {
    int n = 1;
    for (; *choices; choices++)
        n += *choices == '|';
    return n;
}

static int choice_find(const char *choices, const char *text) {
    size_t length;
    const char *choice;
    for (int i = 0; (choice = choice_at(choices, i, &length)); i++)
        if (strlen(text) == length && memcmp(choice, text, length) == 0)
            return i;
    return -1;
}

/* "clip, penalty" */
static void choice_list(const char *choices, char *out, size_t size) {
    size_t at = 0;
    for (; *choices && at + 3 < size; choices++) {
        out[at++] = *choices == '|' ? ',' : *choices;
        if (*choices == '|')
            out[at++] = ' ';
    }
    out[at] = 0;
}

static rein_status fail_choice(const rein_field *f, const char *text) {
    char quote[QUOTE_MAX], list[512], copy[512];
    const char *names[NAMES_MAX];
    int n = 0;
    choice_list(f->choices, list, sizeof list);
    snprintf(copy, sizeof copy, "%s", f->choices);
    for (char *rest = copy; rest && n < NAMES_MAX;)
        names[n++] = strsep(&rest, "|");
    const char *near = reini_nearest(text, names, n);
    if (near)
        return reini_fail(REIN_USAGE, "%s: \"%s\" is not one of %s (did you mean \"%s\"?)", f->name,
                          quoted(quote, text), list, near);
    return reini_fail(REIN_USAGE, "%s: \"%s\" is not one of %s", f->name, quoted(quote, text), list);
}

/* ---- ranges -------------------------------------------------------------------------------------------- */

/* "0 <= gamma <= 1", with a bound left out when it is infinite */
static void print_range(const rein_field *f, char *out, size_t size) {
    char low[REINI_REAL_TEXT], high[REINI_REAL_TEXT];
    reini_real_print(low, f->low);
    reini_real_print(high, f->high);
    if (isinf(f->high))
        snprintf(out, size, "%s >= %s", f->name, low);
    else if (isinf(f->low))
        snprintf(out, size, "%s <= %s", f->name, high);
    else
        snprintf(out, size, "%s <= %s <= %s", low, f->name, high);
}

static rein_status check_range(const rein_field *f, double value, const char *part) {
    char range[192], text[REINI_REAL_TEXT];
    if (value >= f->low && value <= f->high)
        return REIN_OK;
    reini_real_print(text, value);
    print_range(f, range, sizeof range);
    return reini_fail(REIN_USAGE, "%s: %s%s is out of range, expected %s", f->name, part, text, range);
}

static rein_status check_whole(const rein_field *f, int64_t value) {
    char range[192];
    if ((double)value >= f->low && (double)value <= f->high)
        return REIN_OK;
    print_range(f, range, sizeof range);
    return reini_fail(REIN_USAGE, "%s: %lld is out of range, expected %s", f->name, (long long)value, range);
}

static rein_status check_schedule(const rein_field *f, const rein_schedule *s) {
    if (s->shape < REIN_SCHEDULE_CONSTANT || s->shape > REIN_SCHEDULE_COSINE)
        return reini_fail(REIN_USAGE, "%s: schedule shape %d does not exist", f->name, s->shape);
    bool moves = s->shape != REIN_SCHEDULE_CONSTANT;
    if (!isfinite(s->start) || (moves && !isfinite(s->end)))
        return reini_fail(REIN_USAGE, "%s: the values of a schedule must be finite", f->name);
    REINI_TRY(check_range(f, s->start, ""));
    if (moves)
        REINI_TRY(check_range(f, s->end, "the end value "));
    if (!(s->warmup >= 0 && s->warmup < 1))
        return reini_fail(REIN_USAGE, "%s: warm-up %g is out of range, expected 0 <= warm-up < 1", f->name,
                          s->warmup);
    return REIN_OK;
}

static rein_status check_ints(const rein_field *f, const rein_ints *ints) {
    if (ints->count < 0 || ints->count > REIN_INTS_MAX)
        return reini_fail(REIN_USAGE, "%s: %d values, expected at most %d", f->name, ints->count,
                          REIN_INTS_MAX);
    for (int i = 0; i < ints->count; i++)
        REINI_TRY(check_whole(f, ints->at[i]));
    return REIN_OK;
}

static rein_status check_text(const rein_field *f, const char *text) {
    if (strnlen(text, REIN_TEXT_MAX) == REIN_TEXT_MAX)
        return reini_fail(REIN_USAGE, "%s: the text is too long, expected at most %d bytes", f->name,
                          REIN_TEXT_MAX - 1);
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        if (*at < 0x20 || *at == 0x7f)
            return reini_fail(REIN_USAGE, "%s: the text has a control character (code %d)", f->name, *at);
        size_t n = utf8_length(at);
        if (n == 0)
            return reini_fail(REIN_USAGE, "%s: the text is not UTF-8", f->name);
        at += n;
    }
    return REIN_OK;
}

/* value: of the kind's type, at the field's place in a struct or in a field_value */
static rein_status check_value(const rein_field *f, const void *value) {
    switch (f->kind) {
    case REIN_FIELD_BOOL:
        if (*(const int *)value != 0 && *(const int *)value != 1)
            return reini_fail(REIN_USAGE, "%s: %d is out of range, expected 0 or 1", f->name,
                              *(const int *)value);
        return REIN_OK;
    case REIN_FIELD_ENUM:
        if (*(const int *)value < 0 || *(const int *)value >= choice_count(f->choices)) {
            char list[512];
            choice_list(f->choices, list, sizeof list);
            return reini_fail(REIN_USAGE, "%s: %d is out of range, expected the index of one of %s", f->name,
                              *(const int *)value, list);
        }
        return REIN_OK;
    case REIN_FIELD_INT:
    case REIN_FIELD_COUNT:
        return check_whole(f, *(const int64_t *)value);
    case REIN_FIELD_REAL:
        return check_range(f, *(const double *)value, "");
    case REIN_FIELD_SCHEDULE:
        return check_schedule(f, value);
    case REIN_FIELD_INTS:
        return check_ints(f, value);
    case REIN_FIELD_TEXT:
        return check_text(f, value);
    }
    return reini_fail(REIN_INTERNAL, "%s: field kind %d does not exist", f->name, (int)f->kind);
}

/* ---- parsing ------------------------------------------------------------------------------------------- */

static const char *const expected_form[] = {
    [REIN_FIELD_BOOL] = "true or false",
    [REIN_FIELD_INT] = "a whole number such as 64",
    [REIN_FIELD_COUNT] = "a whole number such as 1000000, 1e6, 100k or 2M",
    [REIN_FIELD_REAL] = "a number such as 0.99 or 1e-3",
    [REIN_FIELD_SCHEDULE] = "a schedule such as 3e-4, lin_3e-4, cos_3e-4_1e-5 or lin_3e-4@0.1",
    [REIN_FIELD_INTS] = "a list of up to 8 whole numbers such as 64,64 (or none)",
};

static rein_status fail_form(const rein_field *f, const char *text, reini_number_fault fault) {
    char quote[QUOTE_MAX];
    const char *what = fault == REINI_NUMBER_LARGE      ? "is too large"
                       : fault == REINI_NUMBER_SMALL    ? "is too close to 0 for a number"
                       : fault == REINI_NUMBER_FRACTION ? "is not whole"
                                                        : "cannot be read";
    return reini_fail(REIN_USAGE, "%s: \"%s\" %s, expected %s", f->name, quoted(quote, text), what,
                      expected_form[f->kind]);
}

static bool parse_bool(const char *text, int *out) {
    static const char *const names[] = {"false", "true", "0", "1", "no", "yes"};
    for (int i = 0; i < 6; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = i & 1;
            return true;
        }
    return false;
}

/* [lin_|cos_]START[_END][@WARMUP] */
static reini_number_fault parse_schedule(const char *text, rein_schedule *out) {
    *out = (rein_schedule){0};
    reini_number_fault fault;
    if (strncmp(text, "lin_", 4) == 0)
        out->shape = REIN_SCHEDULE_LINEAR;
    else if (strncmp(text, "cos_", 4) == 0)
        out->shape = REIN_SCHEDULE_COSINE;
    bool moves = out->shape != REIN_SCHEDULE_CONSTANT;
    text += moves ? 4 : 0;
    size_t length = strcspn(text, moves ? "_@" : "@");
    if ((fault = reini_real_parse(text, length, &out->start)) != REINI_NUMBER_OK)
        return fault;
    text += length;
    if (!moves)
        out->end = out->start;
    if (*text == '_') {
        length = strcspn(++text, "@");
        if ((fault = reini_real_parse(text, length, &out->end)) != REINI_NUMBER_OK)
            return fault;
        text += length;
    }
    if (*text == '@')
        return reini_real_parse(text + 1, strlen(text + 1), &out->warmup);
    return REINI_NUMBER_OK;
}

static reini_number_fault parse_ints(const char *text, rein_ints *out) {
    *out = (rein_ints){0};
    if (strcmp(text, "none") == 0)
        return REINI_NUMBER_OK;
    for (;;) {
        size_t length = strcspn(text, ",");
        int64_t value;
        reini_number_fault fault = reini_int_parse(text, length, false, &value);
        if (fault != REINI_NUMBER_OK)
            return fault;
        if (value < INT32_MIN || value > INT32_MAX)
            return REINI_NUMBER_LARGE;
        if (out->count == REIN_INTS_MAX)
            return REINI_NUMBER_SYNTAX;
        out->at[out->count++] = (int32_t)value;
        if (!text[length])
            return REINI_NUMBER_OK;
        text += length + 1;
    }
}

/* reads the text of one field; ranges are checked afterwards */
static rein_status parse_value(const rein_field *f, const char *text, field_value *out) {
    reini_number_fault fault = REINI_NUMBER_OK;
    switch (f->kind) {
    case REIN_FIELD_BOOL:
        fault = parse_bool(text, &out->flag) ? REINI_NUMBER_OK : REINI_NUMBER_SYNTAX;
        break;
    case REIN_FIELD_INT:
    case REIN_FIELD_COUNT:
        fault = reini_int_parse(text, strlen(text), f->kind == REIN_FIELD_COUNT, &out->whole);
        break;
    case REIN_FIELD_REAL:
        fault = reini_real_parse(text, strlen(text), &out->real);
        break;
    case REIN_FIELD_SCHEDULE:
        fault = parse_schedule(text, &out->schedule);
        break;
    case REIN_FIELD_INTS:
        fault = parse_ints(text, &out->ints);
        break;
    case REIN_FIELD_TEXT:
        /* a text that fills the field without its 0 fails the check for length */
        memset(out->text, 0, sizeof out->text);
        memcpy(out->text, text, strnlen(text, REIN_TEXT_MAX));
        return REIN_OK;
    case REIN_FIELD_ENUM:
        out->flag = choice_find(f->choices, text);
        return out->flag < 0 ? fail_choice(f, text) : REIN_OK;
    }
    return fault == REINI_NUMBER_OK ? REIN_OK : fail_form(f, text, fault);
}

static rein_status set_field(const rein_field *f, void *config, const char *text) {
    field_value value;
    REINI_TRY(parse_value(f, text, &value));
    REINI_TRY(check_value(f, &value));
    memcpy((char *)config + f->offset, &value, value_size(f->kind));
    return REIN_OK;
}

/* ---- tables -------------------------------------------------------------------------------------------- */

/* - equals _ */
static bool same_name(const char *a, const char *b) {
    for (; *a || *b; a++, b++)
        if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
            return false;
    return true;
}

int rein_fields_find(const rein_field *fields, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (same_name(fields[i].name, name))
            return i;
    return -1;
}

static rein_status fail_name(const rein_field *fields, int n, const char *name) {
    char quote[QUOTE_MAX];
    const char *names[NAMES_MAX];
    int count = n < NAMES_MAX ? n : NAMES_MAX;
    for (int i = 0; i < count; i++)
        names[i] = fields[i].name;
    const char *near = reini_nearest(name, names, count);
    if (near)
        return reini_fail(REIN_USAGE, "no field \"%s\" (did you mean \"%s\"?)", quoted(quote, name), near);
    return reini_fail(REIN_USAGE, "no field \"%s\"", quoted(quote, name));
}

rein_status rein_fields_set(const rein_field *fields, int n, void *config, const char *name,
                            const char *text) {
    int i = rein_fields_find(fields, n, name);
    if (i < 0)
        return fail_name(fields, n, name);
    return set_field(&fields[i], config, text);
}

void rein_fields_default(const rein_field *fields, int n, void *config) {
    for (int i = 0; i < n; i++) {
        memset((char *)config + fields[i].offset, 0, value_size(fields[i].kind));
        rein_status status = set_field(&fields[i], config, fields[i].initial);
        REINI_ASSERT(status == REIN_OK); /* the table itself is wrong; rein_error says how */
        (void)status;
    }
}

rein_status rein_fields_check(const rein_field *fields, int n, const void *config) {
    for (int i = 0; i < n; i++)
        REINI_TRY(check_value(&fields[i], (const char *)config + fields[i].offset));
    return REIN_OK;
}

/* ---- printing ------------------------------------------------------------------------------------------ */

typedef struct writer {
    char *out;
    size_t size, length;
} writer;

static void put(writer *w, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++, w->length++)
        if (w->length + 1 < w->size)
            w->out[w->length] = text[i];
}

static void put_text(writer *w, const char *text) {
    put(w, text, strlen(text));
}

static void put_real(writer *w, double value) {
    char text[REINI_REAL_TEXT];
    put(w, text, reini_real_print(text, value));
}

static void put_whole(writer *w, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    put_text(w, text);
}

static void put_schedule(writer *w, const rein_schedule *s) {
    if (s->shape != REIN_SCHEDULE_CONSTANT)
        put_text(w, s->shape == REIN_SCHEDULE_COSINE ? "cos_" : "lin_");
    put_real(w, s->start);
    if (s->shape != REIN_SCHEDULE_CONSTANT && s->end != 0) {
        put_text(w, "_");
        put_real(w, s->end);
    }
    if (s->warmup > 0) {
        put_text(w, "@");
        put_real(w, s->warmup);
    }
}

static void put_ints(writer *w, const rein_ints *ints) {
    if (ints->count <= 0)
        put_text(w, "none");
    for (int i = 0; i < ints->count && i < REIN_INTS_MAX; i++) {
        if (i > 0)
            put_text(w, ",");
        put_whole(w, ints->at[i]);
    }
}

size_t rein_field_print(const rein_field *field, const void *config, char *out, size_t size) {
    const void *value = (const char *)config + field->offset;
    writer w = {out, size, 0};
    size_t length;
    const char *choice;
    switch (field->kind) {
    case REIN_FIELD_BOOL:
        put_text(&w, *(const int *)value ? "true" : "false");
        break;
    case REIN_FIELD_INT:
    case REIN_FIELD_COUNT:
        put_whole(&w, *(const int64_t *)value);
        break;
    case REIN_FIELD_REAL:
        put_real(&w, *(const double *)value);
        break;
    case REIN_FIELD_SCHEDULE:
        put_schedule(&w, value);
        break;
    case REIN_FIELD_INTS:
        put_ints(&w, value);
        break;
    case REIN_FIELD_TEXT:
        put(&w, value, strnlen(value, REIN_TEXT_MAX));
        break;
    case REIN_FIELD_ENUM:
        choice = *(const int *)value < 0 ? NULL : choice_at(field->choices, *(const int *)value, &length);
        put(&w, choice ? choice : "?", choice ? length : 1);
        break;
    }
    if (size > 0)
        out[w.length < size ? w.length : size - 1] = 0;
    return w.length;
}

/* ---- schedules ----------------------------------------------------------------------------------------- */

/* The value decays over what follows the warm-up, so that it leaves the warm-up at start and ends at end. */
double rein_schedule_at(const rein_schedule *s, double progress) {
    double p = progress > 0 ? progress < 1 ? progress : 1 : 0; /* NaN counts as 0 */
    if (p < s->warmup)
        return s->start * (p / s->warmup);
    if (s->shape == REIN_SCHEDULE_CONSTANT)
        return s->start;
    double t = s->warmup < 1 ? (p - s->warmup) / (1 - s->warmup) : 1;
    if (s->shape == REIN_SCHEDULE_COSINE)
        t = 0.5 * (1 - cos(3.14159265358979323846 * t));
    return s->start * (1 - t) + s->end * t;
}
