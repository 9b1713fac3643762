/*
 * test_safetensors.c - files of the original library are read and reproduced; damaged ones are refused.
 */
#include "support/check.h"
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include "support/temp_dir.h"
#include <jansson.h>
#include "base/safetensors.h"

#define GOLDEN REIN_SOURCE_DIR "/tests/golden/tiny.safetensors"

static const int64_t longs[2] = {INT64_MIN, INT64_MAX};
static const double doubles[2] = {3.14159265358979323846, -2.71828182845904523536};
static const float bias[3] = {-1.5f, 2.25f, 1e-3f}, weight[6] = {0, 0.25f, 0.5f, 0.75f, 1, 1.25f},
                   scalar = 42;
static const int32_t ids[2] = {-1, INT32_MAX};
static const uint16_t half[2] = {0x3800, 0xc000}, seven = 7;
static const uint8_t bytes[3] = {0, 127, 255}, mask[3] = {1, 0, 1};

/* what tests/reference/safetensors_tiny.py wrote, in the order of the file */
static const reini_st_tensor tiny[] = {
    {"long", "I64", 1, {2}, longs, 16},
    {"double", "F64", 2, {2, 1}, doubles, 16},
    {"empty", "F32", 2, {0, 4}, "", 0},
    {"net.0.bias", "F32", 1, {3}, bias, 12},
    {"net.0.weight", "F32", 2, {2, 3}, weight, 24},
    {"scalar", "F32", 0, {0}, &scalar, 4},
    {"ids", "I32", 1, {2}, ids, 8},
    {"half", "F16", 1, {2}, half, 4},
    {"gr\xc3\xb6\xc3\x9f"
     "e \"q\"",
     "I16",
     1,
     {1},
     &seven,
     2},
    {"bytes", "U8", 1, {3}, bytes, 3},
    {"mask", "BOOL", 1, {3}, mask, 3},
};
enum { TINY = sizeof tiny / sizeof *tiny };
static const char *const keys[] = {"format"}, *const values[] = {"rein"};

static void check_tensor(const reini_st_tensor *got, const reini_st_tensor *want) {
    assert_non_null(got);
    assert_string_equal(got->name, want->name);
    assert_string_equal(got->dtype, want->dtype);
    assert_int_equal(got->ndim, want->ndim);
    assert_memory_equal(got->shape, want->shape, (size_t)want->ndim * sizeof *want->shape);
    assert_int_equal(got->bytes, want->bytes);
    if (want->bytes)
        assert_memory_equal(got->data, want->data, want->bytes);
}

static void golden_file_is_read(void **state) {
    reini_safetensors *st;
    assert_ok(reini_safetensors_open(GOLDEN, &st));
    assert_int_equal(reini_safetensors_count(st), TINY);
    for (int i = 0; i < TINY; i++) {
        check_tensor(reini_safetensors_at(st, i), &tiny[i]);
        check_tensor(reini_safetensors_find(st, tiny[i].name), &tiny[i]);
    }
    assert_null(reini_safetensors_at(st, TINY));
    assert_null(reini_safetensors_at(st, -1));
    assert_null(reini_safetensors_find(st, "absent"));
    assert_null(reini_safetensors_find(st, "__metadata__"));
    assert_string_equal(reini_safetensors_meta(st, "format"), "rein");
    assert_null(reini_safetensors_meta(st, "absent"));
    reini_safetensors_close(st);
    reini_safetensors_close(NULL);
}

/* whatever the order given, the bytes are those of the original library */
static void golden_file_is_reproduced(void **state) {
    reini_st_tensor shuffled[TINY];
    for (int i = 0; i < TINY; i++)
        shuffled[i] = tiny[(i * 4 + 3) % TINY];
    assert_ok(reini_safetensors_write(temp_path("tiny"), shuffled, TINY, keys, values, 1));
    size_t n, m;
    char *ours = temp_read(temp_path("tiny"), &n), *theirs = temp_read(GOLDEN, &m);
    assert_int_equal(n, m);
    assert_memory_equal(ours, theirs, n);
    free(ours);
    free(theirs);
}

static void small_files_round_trip(void **state) {
    reini_safetensors *st;
    assert_ok(reini_safetensors_write(temp_path("none"), NULL, 0, NULL, NULL, 0));
    assert_ok(reini_safetensors_open(temp_path("none"), &st));
    assert_int_equal(reini_safetensors_count(st), 0);
    assert_null(reini_safetensors_meta(st, "x"));
    reini_safetensors_close(st);
    static const char *const several[] = {"a", "b\n", "\xc3\xa9"};
    assert_ok(reini_safetensors_write(temp_path("one"), &tiny[4], 1, several, several, 3));
    assert_ok(reini_safetensors_open(temp_path("one"), &st));
    check_tensor(reini_safetensors_at(st, 0), &tiny[4]);
    assert_int_equal((uintptr_t)reini_safetensors_at(st, 0)->data % 8, 0);
    for (int i = 0; i < 3; i++)
        assert_string_equal(reini_safetensors_meta(st, several[i]), several[i]);
    reini_safetensors_close(st);
}

static rein_status open_bytes(const void *data, size_t size) {
    reini_safetensors *st;
    temp_write(temp_path("forged"), data, size);
    rein_status status = reini_safetensors_open(temp_path("forged"), &st);
    reini_safetensors_close(st);
    return status;
}

static rein_status open_header(const char *header, size_t data_bytes) {
    size_t length = strlen(header);
    char *file = calloc(1, 8 + length + data_bytes);
    for (int i = 0; i < 8; i++)
        file[i] = (char)(length >> 8 * i);
    memcpy(file + 8, header, length);
    rein_status status = open_bytes(file, 8 + length + data_bytes);
    free(file);
    return status;
}

static void every_truncation_is_refused(void **state) {
    size_t size;
    char *data = temp_read(GOLDEN, &size);
    for (size_t n = 0; n < size; n++)
        assert_fails(open_bytes(data, n), REIN_FORMAT, "forged");
    assert_ok(open_bytes(data, size));
    assert_fails(open_bytes(data, size + 1), REIN_FORMAT,
                 "bytes follow the last tensor"); /* the 0 after the data */
    free(data);
}

/* a changed byte of the header is refused or read as other names, values or shapes, but never reaches
 * outside */
static void damaged_headers_stay_inside(void **state) {
    size_t size;
    char *data = temp_read(GOLDEN, &size);
    for (size_t at = 0; at < 8 + 704; at++)
        for (int bit = 0; bit < 8; bit++) {
            reini_safetensors *st;
            data[at] ^= (char)(1 << bit);
            temp_write(temp_path("damaged"), data, size);
            if (reini_safetensors_open(temp_path("damaged"), &st) == REIN_OK) {
                volatile unsigned sum = 0;
                for (int i = 0; i < reini_safetensors_count(st); i++) {
                    const reini_st_tensor *t = reini_safetensors_at(st, i);
                    for (size_t k = 0; k < t->bytes; k++)
                        sum += ((const uint8_t *)t->data)[k];
                }
                reini_safetensors_close(st);
            }
            data[at] ^= (char)(1 << bit);
        }
    free(data);
}

#define T(dtype, shape, offsets)                                                                             \
    "{\"t\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define AB(a, b)                                                                                             \
    "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" a "},"                                        \
    "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" b "}}"

static void malformed_headers_have_a_reason(void **state) {
    static const struct {
        const char *header;
        size_t bytes;
        const char *words;
    } bad[] = {
        {"", 0, "not a JSON object"},
        {"[]", 0, "not a JSON object"},
        {" {}", 0, "not a JSON object"},
        {"{", 0, "forged:1:"},
        {"{} x", 0, "end of file expected"},
        {"{\"t\":1}", 0, "expected dtype, shape and data_offsets"},
        {"{\"t\":{}}", 0, "expected dtype, shape and data_offsets"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1, "expected dtype"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"offsets\":[0,1]}}", 1, "data_offsets"},
        {AB("[0,4]", "[4,8]") "", 7, "do not lie inside the file"},
        {AB("[0,4]", "[4,8]") "", 9, "bytes follow the last tensor"},
        {AB("[0,4]", "[3,7]") "", 7, "\"b\": its bytes overlap"},
        {AB("[0,4]", "[0,4]") "", 4, "its bytes overlap"},
        {AB("[0,4]", "[5,9]") "", 9, "\"b\": there is a hole"},
        {AB("[1,5]", "[5,9]") "", 9, "\"a\": there is a hole"},
        {T("\"F33\"", "[1]", "[0,4]"), 4, "unknown dtype \"F33\""},
        {T("4", "[1]", "[0,4]"), 4, "unknown dtype \"(none)\""},
        {T("\"F32\"", "1", "[0,4]"), 4, "shape is not a list"},
        {T("\"F32\"", "[1.0]", "[0,4]"), 4, "whole numbers"},
        {T("\"F32\"", "[-1]", "[0,4]"), 4, "whole numbers"},
        {T("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "more than 8 dimensions"},
        {T("\"F32\"", "[2]", "[0,4]"), 4, "size is not that of its shape"},
        {T("\"F32\"", "[4611686018427387905]", "[0,4]"), 4, "size is not that of its shape"},
        {T("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "size is not that of its shape"},
        {T("\"F32\"", "[99999999999999999999]", "[0,4]"), 4, "too big"},
        {T("\"F32\"", "[1]", "[0]"), 4, "list of two"},
        {T("\"F32\"", "[1]", "[0,4,8]"), 4, "list of two"},
        {T("\"F32\"", "[1]", "{}"), 4, "list of two"},
        {T("\"F32\"", "[1]", "[0,4.0]"), 4, "list of two"},
        {T("\"F32\"", "[1]", "[4,0]"), 4, "do not lie inside"},
        {T("\"F32\"", "[1]", "[-4,0]"), 4, "do not lie inside"},
        {T("\"F32\"", "[1]", "[9223372036854775804,9223372036854775807]"), 4, "do not lie inside"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
         "\"t\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]}}",
         2, "duplicate"},
        {"{\"__metadata__\":1}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "metadata \"a\" is not a string"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(open_header(bad[i].header, bad[i].bytes), REIN_FORMAT, bad[i].words);
    assert_ok(open_header(AB("[4,8]", "[0,4]"), 8)); /* the order of the header is free */
    assert_ok(open_header("{}    \n ", 0));
    assert_ok(open_header("{\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]},"
                          "\"t\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
                          4));
}

static void lying_lengths_are_refused(void **state) {
    assert_fails(open_bytes("\x03\0\0\0\0\0\0\0{}", 10), REIN_FORMAT, "header is longer than the file");
    assert_fails(open_bytes("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), REIN_FORMAT, "larger than 100 MB");
    assert_fails(open_bytes("\0\0\0\0\0\0\0\0{}", 10), REIN_FORMAT, "not a JSON object");
    assert_fails(open_bytes("\0\0\0\0\0\0\0", 7), REIN_FORMAT, "cut short");
    char *deep = malloc(100001);
    memset(deep, '[', 100000);
    memcpy(deep, "{\"a\":", 5);
    deep[100000] = 0;
    assert_fails(open_header(deep, 0), REIN_FORMAT, "depth");
    free(deep);
}

static void other_failures_have_a_reason(void **state) {
    reini_safetensors *st;
    assert_fails(reini_safetensors_open(temp_path("absent"), &st), REIN_IO, "No such file");
    assert_fails(reini_safetensors_open(temp_dir, &st), REIN_IO, "not a regular file");
    reini_st_tensor two[2] = {tiny[4], tiny[4]}, t = tiny[4];
    two[1].dtype = "I32";
    int before = temp_count(temp_dir);
    assert_fails(reini_safetensors_write(temp_path("w"), two, 2, NULL, NULL, 0), REIN_INTERNAL, "one name");
    t.dtype = "F31";
    assert_fails(reini_safetensors_write(temp_path("w"), &t, 1, NULL, NULL, 0), REIN_INTERNAL,
                 "unknown dtype");
    t.dtype = "F64";
    assert_fails(reini_safetensors_write(temp_path("w"), &t, 1, NULL, NULL, 0), REIN_INTERNAL, "24 bytes");
    t = tiny[4];
    t.name = "__metadata__";
    assert_fails(reini_safetensors_write(temp_path("w"), &t, 1, NULL, NULL, 0), REIN_INTERNAL,
                 "cannot be the name");
    t.name = "\xff";
    assert_int_equal(reini_safetensors_write(temp_path("w"), &t, 1, NULL, NULL, 0), REIN_NOMEM);
    assert_int_equal(temp_count(temp_dir), before);
}

static void a_full_disk_leaves_the_old_file(void **state) {
    struct rlimit before, small;
    assert_ok(reini_safetensors_write(temp_path("kept"), tiny, 1, NULL, NULL, 0));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){100, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    rein_status status = reini_safetensors_write(temp_path("kept"), tiny, TINY, keys, values, 1);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, REIN_IO);
    assert_non_null(strstr(rein_error(), "File too large"));
    reini_safetensors *st;
    assert_ok(reini_safetensors_open(temp_path("kept"), &st));
    assert_int_equal(reini_safetensors_count(st), 1);
    reini_safetensors_close(st);
}

static void failing_allocations_leak_nothing(void **state) {
    uint64_t n = 1;
    for (bool done = false; !done; n++) {
        reini_safetensors *st = NULL;
        json_set_alloc_funcs(reini_new, reini_free);
        reini_memory before = reini_memory_now();
        reini_memory_fail(n, false);
        rein_status status = reini_safetensors_write(temp_path("memory"), tiny, TINY, keys, values, 1);
        if (status == REIN_OK)
            status = reini_safetensors_open(temp_path("memory"), &st);
        reini_memory_fail(0, false);
        done = reini_memory_now().allocations - before.allocations < n;
        reini_safetensors_close(st);
        json_set_alloc_funcs(malloc, free);
        if (done != (status == REIN_OK))
            fail_msg("allocation %d: status %d, \"%s\"", (int)n, status, rein_error());
        assert_int_equal(reini_memory_now().live_bytes, before.live_bytes);
        assert_int_equal(access(temp_path("memory.tmp"), F_OK), -1);
    }
    assert_true(n > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_file_is_read),
        cmocka_unit_test(golden_file_is_reproduced),
        cmocka_unit_test(small_files_round_trip),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(damaged_headers_stay_inside),
        cmocka_unit_test(malformed_headers_have_a_reason),
        cmocka_unit_test(lying_lengths_are_refused),
        cmocka_unit_test(other_failures_have_a_reason),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(failing_allocations_leak_nothing),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
