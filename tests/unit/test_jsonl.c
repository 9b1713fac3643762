/*
 * test_jsonl.c - rows with their lines, lines of every length, and what is wrong named by line and column.
 */
#include "data/jsonl.h"
#include "support/check.h"
#include "support/temp_dir.h"

static const char *file_of(const char *text, size_t size) {
    const char *path = temp_path("rows.jsonl");
    temp_write(path, text, size);
    return path;
}

/* the value of "a" in every row, as "1:x 3:y " with the lines; or the failure's sentence behind them */
static void expect(const char *text, size_t size, const char *rows, const char *sentence) {
    char found[512] = "";
    reini_jsonl *file;
    assert_ok(reini_jsonl_open(file_of(text, size), &file));
    rein_status status;
    for (;;) {
        json_t *row;
        int64_t line = -1;
        status = reini_jsonl_next(file, &row, &line);
        if (status != REIN_OK || !row)
            break;
        size_t at = strlen(found);
        snprintf(found + at, sizeof found - at, "%lld:%s ", (long long)line,
                 json_string_value(json_object_get(row, "a")));
        json_decref(row);
    }
    reini_jsonl_close(file);
    assert_string_equal(found, rows);
    assert_int_equal(status, sentence ? REIN_FORMAT : REIN_OK);
    if (sentence && !strstr(rein_error(), sentence))
        fail_msg("\"%s\" does not contain \"%s\"", rein_error(), sentence);
}
#define EXPECT(text, rows, sentence) expect(text, sizeof text - 1, rows, sentence)

static void test_rows(void **state) {
    (void)state;
    EXPECT("", "", NULL);
    EXPECT("\n\n  \n", "", NULL);
    EXPECT("{\"a\": \"x\"}\n{\"a\": \"y\"}\n", "1:x 2:y ", NULL);
    EXPECT("{\"a\": \"x\"}\r\n\r\n\t\n{\"a\": \"y\"}", "1:x 4:y ", NULL);
    EXPECT("\xef\xbb\xbf{\"a\": \"\xc3\xa4\\n\"}\n", "1:\xc3\xa4\n ", NULL);
}

static void test_bad_lines(void **state) {
    (void)state;
    EXPECT("{\"a\": \"x\"}\n\n{\"a\": }\n", "1:x ", "rows.jsonl:3:7: ");
    EXPECT("{\"a\": \"x\"} {\n", "", "rows.jsonl:1:12: ");
    EXPECT("{\"a\": \"x\"}\n[1]\n", "1:x ", "rows.jsonl:2: a list, expected a JSON object");
    EXPECT("7\n", "", "rows.jsonl:1:1: ");
    EXPECT("{\"a\": \"x\"}\n{\"a\": \"y\", \"a\": \"z\"}\n", "1:x ", "rows.jsonl:2:14: duplicate");
    EXPECT("{\"a\": \"\xff\"}\n", "", "rows.jsonl:1:7: ");
    EXPECT("{\"a\": \"x\"\n\"b\": 1}\n", "", "rows.jsonl:1:9: ");
    EXPECT("{\"a\": \"x\"}\n{\"a\": \"y\"}\0\n", "1:x ", "rows.jsonl:2:11: ");
}

static void test_long_lines(void **state) {
    (void)state;
    static const size_t lengths[] = {65536 - 12, 65536 - 11, 65536 - 10, 65536, 131072 - 12, 300000, 5000000};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        size_t size = 0, n = lengths[k];
        char *text = malloc(n + 64);
        size += (size_t)sprintf(text, "{\"a\": \"");
        memset(text + size, 'z', n);
        size += n;
        size += (size_t)sprintf(text + size, "\"}\n{\"a\": \"end\"}\n");
        reini_jsonl *file;
        json_t *row;
        int64_t line;
        assert_ok(reini_jsonl_open(file_of(text, size), &file));
        assert_ok(reini_jsonl_next(file, &row, &line));
        assert_int_equal(json_string_length(json_object_get(row, "a")), n);
        json_decref(row);
        assert_ok(reini_jsonl_next(file, &row, &line));
        assert_int_equal(line, 2);
        assert_string_equal(json_string_value(json_object_get(row, "a")), "end");
        json_decref(row);
        assert_ok(reini_jsonl_next(file, &row, &line));
        assert_null(row);
        reini_jsonl_close(file);
        free(text);
    }
}

static void test_bad_files(void **state) {
    (void)state;
    reini_jsonl *file;
    assert_fails(reini_jsonl_open(temp_path("none.jsonl"), &file), REIN_IO, "none.jsonl");
    assert_null(file);
    assert_fails(reini_jsonl_open(temp_dir, &file), REIN_USAGE, "is a directory");
}

static void test_no_memory(void **state) {
    (void)state;
    static char text[400000];
    memset(text, ' ', sizeof text);
    memcpy(text + sizeof text - 12, "{\"a\": \"x\"}\n", 11);
    text[sizeof text - 1] = '\n';
    const char *path = file_of(text, sizeof text);
    rein_status status = REIN_NOMEM;
    int failures = 0;
    for (uint64_t nth = 1; status == REIN_NOMEM; nth++) {
        reini_jsonl *file = NULL;
        json_t *row = NULL;
        int64_t line;
        reini_memory_fail(nth, false);
        status = reini_jsonl_open(path, &file);
        if (status == REIN_OK)
            status = reini_jsonl_next(file, &row, &line);
        reini_memory_fail(0, false);
        failures += status == REIN_NOMEM;
        json_decref(row);
        reini_jsonl_close(file);
    }
    assert_int_equal(status, REIN_OK);
    assert_true(failures >= 5); /* the file's three blocks, and each growth of the buffer */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_bad_lines), cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_bad_files), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
