/*
 * json.c - JSON texts: parsing with position and reason, printing with the shortest exact numbers.
 *
 * Jansson parses. It prints reals with a fixed number of digits, 0.99 as 0.98999999999999999, so printing is
 * here.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/number.h"

#define JSON_BYTES_MAX ((size_t)256 << 20)
#define LINE_WIDTH     100 /* a list or object that fits in a line of a file stands on one */

/* whole numbers that fit become integers again; false when out of memory */
static bool restore_integers(json_t *value, json_t **same) {
    const char *key;
    json_t *member, *to;
    void *next;
    size_t i;
    *same = NULL;
    if (json_is_real(value) && fabs(json_real_value(value)) < 9e15 &&
        floor(json_real_value(value)) == json_real_value(value))
        return (*same = json_integer((json_int_t)json_real_value(value))) != NULL;
    json_array_foreach(value, i, member) {
        if (!restore_integers(member, &to) || (to && json_array_set_new(value, i, to) != 0))
            return false;
    }
    json_object_foreach_safe(value, next, key, member) {
        if (!restore_integers(member, &to) || (to && json_object_set_new(value, key, to) != 0))
            return false;
    }
    return true;
}

/* integers beyond 64 bits, which Transformers writes for "no limit", as reals */
static json_t *load_large(const char *text, size_t size, json_error_t *error) {
    json_t *same, *root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, error);
    if (root && !restore_integers(root, &same)) {
        json_decref(root);
        error->text[0] = 0; /* said as the lack of memory that it is */
        return NULL;
    }
    return root;
}

static rein_status fail_parse(size_t size, const char *what, const json_error_t *error) {
    if (size == 0)
        return reini_fail(REIN_FORMAT, "%s: empty, expected JSON", what);
    /* Jansson has no words for most of its failures to get memory */
    if (!error->text[0] || json_error_code(error) == json_error_out_of_memory)
        return reini_fail_memory(size, what);
    return reini_fail(REIN_FORMAT, "%s:%d:%d: %s", what, error->line, error->column, error->text);
}

rein_status reini_json_parse(const char *text, size_t size, const char *what, json_t **out) {
    json_error_t error;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    return *out ? REIN_OK : fail_parse(size, what, &error);
}

rein_status reini_json_parse_large(const char *text, size_t size, const char *what, json_t **out) {
    json_error_t error;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!*out && json_error_code(&error) == json_error_numeric_overflow)
        *out = load_large(text, size, &error);
    return *out ? REIN_OK : fail_parse(size, what, &error);
}

rein_status reini_json_read(const char *path, json_t **out) {
    char *text;
    size_t size;
    *out = NULL;
    REINI_TRY(reini_file_read(path, JSON_BYTES_MAX, &text, &size));
    rein_status status = reini_json_parse(text, size, path, out);
    reini_free(text);
    return status;
}

/* ---- printing ------------------------------------------------------------------------------------------ */

typedef struct printer {
    char *text;
    size_t length, capacity;
    bool failed; /* out of memory */
} printer;

static void put(printer *p, const char *text, size_t length) {
    if (p->failed)
        return;
    if (length >= p->capacity - p->length) {
        size_t capacity = 2 * (p->length + length) + 256;
        char *grown = reini_grow(p->text, p->length, capacity);
        p->failed = !grown;
        if (!grown)
            return;
        p->text = grown;
        p->capacity = capacity;
    }
    memcpy(p->text + p->length, text, length);
    p->length += length;
    p->text[p->length] = 0;
}

static void put_char(printer *p, char c) {
    put(p, &c, 1);
}

static void put_line(printer *p, int indent) {
    put_char(p, '\n');
    for (int i = 0; i < indent; i++)
        put(p, "  ", 2);
}

static const char *escape_of(unsigned char c, char out[8]) {
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\t':
        return "\\t";
    case '\r':
        return "\\r";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    default:
        snprintf(out, 8, "\\u%04x", c);
        return c < 0x20 ? out : NULL;
    }
}

static void put_string(printer *p, const char *text, size_t length) {
    char code[8];
    put_char(p, '"');
    for (size_t i = 0; i < length; i++) {
        const char *escape = escape_of((unsigned char)text[i], code);
        if (escape)
            put(p, escape, strlen(escape));
        else
            put_char(p, text[i]);
    }
    put_char(p, '"');
}

/* a real keeps a point or an exponent, so that it reads back as a real */
static void put_real(printer *p, double value) {
    char text[REINI_REAL_TEXT];
    size_t length = reini_real_print(text, value);
    put(p, text, length);
    if (strcspn(text, ".e") == length)
        put(p, ".0", 2);
}

static void put_scalar(printer *p, const json_t *value) {
    char text[32];
    switch (json_typeof(value)) {
    case JSON_STRING:
        put_string(p, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        put(p, text, strlen(text));
        break;
    case JSON_REAL:
        put_real(p, json_real_value(value));
        break;
    case JSON_TRUE:
        put(p, "true", 4);
        break;
    case JSON_FALSE:
        put(p, "false", 5);
        break;
    default:
        put(p, "null", 4);
    }
}

static void put_value(printer *p, const json_t *value, int indent, bool lines);

/* one member of a list (key NULL) or of an object; lines: on a line of its own */
static void put_member(printer *p, const char *key, size_t key_length, const json_t *value, bool first,
                       int indent, bool lines) {
    if (!first)
        put(p, lines ? "," : ", ", lines ? 1 : 2);
    if (lines)
        put_line(p, indent + 1);
    if (key) {
        put_string(p, key, key_length);
        put(p, ": ", 2);
    }
    put_value(p, value, indent + 1, lines);
}

static void put_members(printer *p, const json_t *value, int indent, bool lines) {
    bool first = true;
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++, first = false)
            put_member(p, NULL, 0, json_array_get(value, i), first, indent, lines);
        return;
    }
    json_t *object = (json_t *)value; /* iteration of a const object wants it plain */
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it), first = false) {
        const char *key = json_object_iter_key(it);
        put_member(p, key, strlen(key), json_object_iter_value(it), first, indent, lines);
    }
}

static void put_value(printer *p, const json_t *value, int indent, bool lines) {
    if (!json_is_array(value) && !json_is_object(value)) {
        put_scalar(p, value);
        return;
    }
    size_t start = p->length;
    put_char(p, json_is_array(value) ? '[' : '{');
    put_members(p, value, indent, false);
    bool members = p->length > start + 1;
    if (lines && members && (indent == 0 || p->length - start > LINE_WIDTH)) {
        p->length = start + 1;
        put_members(p, value, indent, true);
        put_line(p, indent);
    }
    put_char(p, json_is_array(value) ? ']' : '}');
}

char *reini_json_text(const json_t *value, bool lines) {
    printer p = {0};
    put_value(&p, value, 0, lines);
    put(&p, "\n", lines ? 1 : 0);
    if (p.failed) {
        reini_free(p.text);
        return NULL;
    }
    return p.text;
}

rein_status reini_json_write(const char *path, const json_t *value) {
    char *text = reini_json_text(value, true);
    if (!text)
        return reini_fail(REIN_NOMEM, "out of memory while writing \"%s\"", path);
    rein_status status = reini_file_write(path, text, strlen(text));
    reini_free(text);
    return status;
}
