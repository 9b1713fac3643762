/*
 * field.h - field tables: the one definition of a configuration struct.
 *
 * A struct is written as a list of rows; the list generates the struct, its defaults, range checks,
 * command-line flags, `rein describe`, the saved config.json and the documentation:
 *
 *     #define MY_FIELDS(F, E)                                                         \
 *         F(REAL, gamma, "0.99", 0, 1, "discount per step")                           \
 *         F(COUNT, total_steps, "1e6", 1, 1e15, "environment steps to train for")     \
 *         E(loss, "clip", "clip|penalty", "surrogate objective")
 *
 *     typedef struct my_config { REIN_FIELDS_STRUCT(MY_FIELDS) } my_config;
 *     #define REIN_FIELD_OWNER my_config
 *     static const rein_field my_fields[] = { REIN_FIELDS_TABLE(MY_FIELDS) };
 *
 * Kinds and their text forms:
 *     BOOL      int        true|false|1|0|yes|no
 *     INT       int64_t    -3, 64
 *     COUNT     int64_t    1000000, 1e6, 100k, 2M
 *     REAL      double     0.99, 1e-3, inf
 *     SCHEDULE  rein_schedule   3e-4 (constant), lin_3e-4 (linear to 0), lin_3e-4_1e-5 (linear to 1e-5),
 *                               cos_3e-4, cos_3e-4_1e-5 (cosine); a suffix "@0.1" warms up linearly over
 *                               the first tenth of training
 *     INTS      rein_ints  64,64   (up to 8 values; "none" for the empty list)
 *     TEXT      char[256]  any UTF-8 text without control characters
 *     ENUM      int        one of the names, stored as its index
 */
#ifndef REIN_FIELD_H
#define REIN_FIELD_H

#include <stddef.h>
#include <stdint.h>
#include <rein/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rein_field_kind {
    REIN_FIELD_BOOL,
    REIN_FIELD_INT,
    REIN_FIELD_COUNT,
    REIN_FIELD_REAL,
    REIN_FIELD_SCHEDULE,
    REIN_FIELD_INTS,
    REIN_FIELD_TEXT,
    REIN_FIELD_ENUM,
} rein_field_kind;

typedef enum rein_schedule_shape {
    REIN_SCHEDULE_CONSTANT,
    REIN_SCHEDULE_LINEAR,
    REIN_SCHEDULE_COSINE,
} rein_schedule_shape;

/* A value as a function of training progress p in [0, 1]. */
typedef struct rein_schedule {
    int shape;     /* rein_schedule_shape */
    double start;  /* value after warm-up */
    double end;    /* value at p = 1 */
    double warmup; /* fraction of training over which the value rises linearly from 0 to start */
} rein_schedule;

#define REIN_INTS_MAX 8
typedef struct rein_ints {
    int count;
    int32_t at[REIN_INTS_MAX];
} rein_ints;

#define REIN_TEXT_MAX 256

typedef int rein_type_BOOL;
typedef int64_t rein_type_INT;
typedef int64_t rein_type_COUNT;
typedef double rein_type_REAL;
typedef rein_schedule rein_type_SCHEDULE;
typedef rein_ints rein_type_INTS;
typedef char rein_type_TEXT[REIN_TEXT_MAX];
typedef int rein_type_ENUM;

typedef struct rein_field {
    rein_field_kind kind;
    const char *name;    /* snake_case; flags accept - for _ */
    const char *initial; /* default value in text form */
    double low, high;    /* inclusive range of numbers (each element of INTS, start and end of SCHEDULE) */
    const char *choices; /* ENUM: "clip|penalty"; else NULL */
    const char *doc;     /* one line */
    size_t offset;       /* in the struct */
} rein_field;

#define REIN_FIELD_MEMBER(kind, name, initial, low, high, doc) rein_type_##kind name;
#define REIN_FIELD_MEMBER_ENUM(name, initial, choices, doc)    rein_type_ENUM name;
#define REIN_FIELDS_STRUCT(LIST)                               LIST(REIN_FIELD_MEMBER, REIN_FIELD_MEMBER_ENUM)

/* Rows of the table. The file that makes a table names its struct first, for offsetof:
 *     #define REIN_FIELD_OWNER my_config                                                          */
#define REIN_FIELD_ROW(kind, name, initial, low, high, doc)                                                  \
    {REIN_FIELD_##kind, #name, initial, low, high, NULL, doc, offsetof(REIN_FIELD_OWNER, name)},
#define REIN_FIELD_ROW_ENUM(name, initial, choices, doc)                                                     \
    {REIN_FIELD_ENUM, #name, initial, 0, 0, choices, doc, offsetof(REIN_FIELD_OWNER, name)},
#define REIN_FIELDS_TABLE(LIST) LIST(REIN_FIELD_ROW, REIN_FIELD_ROW_ENUM)

/* Fills a config with its defaults. */
REIN_API void rein_fields_default(const rein_field *fields, int n, void *config);

/* Sets one field from text. On failure nothing changes and the sentence names the field, the value and the
 * range or the nearest field name. `name` may use - for _. */
REIN_API rein_status rein_fields_set(const rein_field *fields, int n, void *config, const char *name,
                                     const char *text);

/* Writes a field's value in text form into out[size]; returns the length it needs, without the final 0. */
REIN_API size_t rein_field_print(const rein_field *field, const void *config, char *out, size_t size);

/* Index of a field by name (- equals _), -1 when absent. */
REIN_API int rein_fields_find(const rein_field *fields, int n, const char *name);

/* Range check of every field (structs filled in C rather than from text). */
REIN_API rein_status rein_fields_check(const rein_field *fields, int n, const void *config);

/* Value of a schedule at progress p in [0, 1]. */
REIN_API double rein_schedule_at(const rein_schedule *schedule, double progress);

#ifdef __cplusplus
}
#endif
#endif
