/*
 * test_file.c - whole files, replacing in one piece, JSON, digests.
 */
#include "support/check.h"
#include <signal.h>
#include <sys/resource.h>
#include "support/temp_dir.h"
#include "base/file.h"
#include "base/output.h"

static void files_read_back(void **state) {
    const char *path = temp_path("a");
    char *data;
    size_t size, big = 1 << 20;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};
    for (int i = 0; i < 6; i++) {
        char *bytes = reini_new(sizes[i]);
        memset(bytes, 'x', sizes[i]);
        assert_ok(reini_file_write(path, bytes, sizes[i]));
        assert_ok(reini_file_read(path, big, &data, &size));
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(data, bytes, size);
        assert_int_equal(data[size], 0);
        reini_free(data);
        reini_free(bytes);
    }
    assert_fails(reini_file_read(path, 99999, &data, &size), REIN_FORMAT,
                 "100000 bytes, expected at most 99999");
    assert_ok(reini_file_read(path, 100000, &data, &size));
    reini_free(data);
    assert_int_equal(temp_count(temp_dir), 1);
}

static void pipes_read_to_their_end(void **state) {
    int ends[2];
    char path[64], *data;
    size_t size;
    for (int limit = 0; limit < 2; limit++) {
        assert_int_equal(pipe(ends), 0);
        char bytes[20000];
        memset(bytes, 'p', sizeof bytes);
        assert_int_equal(write(ends[1], bytes, sizeof bytes), sizeof bytes);
        close(ends[1]);
        snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
        if (limit) {
            assert_fails(reini_file_read(path, 19999, &data, &size), REIN_FORMAT, "at most 19999");
        } else {
            assert_ok(reini_file_read(path, 20000, &data, &size));
            assert_int_equal(size, 20000);
            reini_free(data);
        }
        close(ends[0]);
    }
}

static void failures_name_path_and_reason(void **state) {
    char *data;
    size_t size;
    assert_fails(reini_file_read(temp_path("no"), 10, &data, &size), REIN_IO, "/no\": No such file");
    assert_fails(reini_file_read(temp_dir, 10, &data, &size), REIN_IO, "it is a directory");
    assert_fails(reini_file_write(temp_dir, "x", 1), REIN_IO, "it is a directory");
    assert_fails(reini_file_write("/dev/null", "x", 1), REIN_IO, "it is not a regular file");
    assert_fails(reini_file_write(temp_path("no/file"), "x", 1), REIN_IO, "No such file");
    char path[300];
    memset(path, 'a', sizeof path);
    path[299] = 0;
    assert_fails(reini_file_write(path, "x", 1), REIN_IO, "File name too long");
}

/* a limit on file size stands for a full disk: write(2) fails part of the way */
static void a_full_disk_leaves_the_old_file(void **state) {
    const char *path = temp_path("full");
    struct rlimit before, small;
    assert_ok(reini_file_write(path, "old", 3));
    char *bytes = reini_new(300000);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){100000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rein_status status = reini_file_write(path, bytes, 300000);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, REIN_IO);
    assert_non_null(strstr(rein_error(), "/full\": File too large"));
    char *old = temp_read(path, NULL);
    assert_string_equal(old, "old");
    free(old);
    reini_free(bytes);
    unlink(path);
}

static void streams_replace_or_vanish(void **state) {
    const char *path = temp_path("stream");
    reini_output *output;
    char piece[1000];
    memset(piece, 's', sizeof piece);
    assert_ok(reini_file_write(path, "old", 3));
    int before = temp_count(temp_dir);
    assert_ok(reini_output_open(path, &output));
    for (int i = 0; i < 200; i++)
        assert_ok(reini_output_write(output, piece, sizeof piece));
    assert_int_equal(temp_count(temp_dir), before + 1);
    reini_output_cancel(output);
    assert_int_equal(temp_count(temp_dir), before);
    assert_ok(reini_output_open(path, &output));
    for (int i = 0; i < 200; i++)
        assert_ok(reini_output_write(output, piece, sizeof piece));
    assert_ok(reini_output_commit(output));
    size_t size;
    free(temp_read(path, &size));
    assert_int_equal(size, 200000);
    assert_int_equal(temp_count(temp_dir), before);
    reini_output_cancel(NULL);
    unlink(path);
}

static void two_writers_do_not_mix(void **state) {
    const char *path = temp_path("two");
    reini_output *a, *b;
    assert_ok(reini_output_open(path, &a));
    assert_ok(reini_output_open(path, &b));
    assert_ok(reini_output_write(a, "aaaa", 4));
    assert_ok(reini_output_write(b, "bb", 2));
    assert_ok(reini_output_commit(a));
    char *data = temp_read(path, NULL);
    assert_string_equal(data, "aaaa");
    free(data);
    assert_ok(reini_output_commit(b));
    data = temp_read(path, NULL);
    assert_string_equal(data, "bb");
    free(data);
    unlink(path);
}

/* what a killed process left is taken over, not added to */
static void a_stale_temporary_file_is_reused(void **state) {
    const char *path = temp_path("stale");
    temp_write(temp_path("stale.tmp"), "left over from before", 21);
    assert_ok(reini_file_write(path, "new", 3));
    char *data = temp_read(path, NULL);
    assert_string_equal(data, "new");
    free(data);
    assert_int_equal(access(temp_path("stale.tmp"), F_OK), -1);
    unlink(path);
}

static void a_failed_rename_cleans_up(void **state) {
    const char *path = temp_path("becomes_a_directory");
    reini_output *output;
    assert_ok(reini_output_open(path, &output));
    assert_int_equal(mkdir(path, 0777), 0);
    assert_ok(reini_output_write(output, "x", 1));
    assert_fails(reini_output_commit(output), REIN_IO, "becomes_a_directory");
    rmdir(path);
    assert_int_equal(access(temp_path("becomes_a_directory.tmp"), F_OK), -1);
}

static void directories(void **state) {
    const char *deep = temp_path("d/e/f");
    assert_false(reini_dir_exists(deep));
    assert_ok(reini_dir_make(deep));
    assert_ok(reini_dir_make(deep));
    assert_true(reini_dir_exists(deep));
    assert_false(reini_file_exists(deep));
    assert_ok(reini_dir_make(temp_path("d//g/")));
    assert_true(reini_dir_exists(temp_path("d/g")));
    assert_ok(reini_file_write(temp_path("d/file"), "x", 1));
    assert_true(reini_file_exists(temp_path("d/file")));
    assert_fails(reini_dir_make(temp_path("d/file")), REIN_IO, "d/file\": it exists and is not a directory");
    assert_fails(reini_dir_make(temp_path("d/file/x")), REIN_IO,
                 "d/file\": it exists and is not a directory");
    temp_remove(temp_path("d"));
}

static void paths_join(void **state) {
    char out[8];
    assert_ok(reini_path_join(out, sizeof out, "a", "b"));
    assert_string_equal(out, "a/b");
    assert_ok(reini_path_join(out, sizeof out, "a/", "b"));
    assert_string_equal(out, "a/b");
    assert_ok(reini_path_join(out, sizeof out, "", "b"));
    assert_string_equal(out, "b");
    assert_ok(reini_path_join(out, sizeof out, "abc", "def"));
    assert_fails(reini_path_join(out, sizeof out, "abcd", "efg"), REIN_USAGE, "too long");
}

static void json_errors_have_a_place(void **state) {
    json_t *json;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "empty"},
        {"{\"a\": 1,\n \"b\": }", "what:2:"},
        {"{\"a\": 1, \"a\": 2}", "duplicate"},
        {"{\"a\": NaN}", "what:1:"},
        {"{\"a\": 1e999}", "overflow"},
        {"{\"a\": 99999999999999999999}", "too big"},
        {"{} x", "end of file expected"},
        {"\"text\"", "'[' or '{' expected"},
        {"{\"a\": \"\xff\"}", "decode byte 0xff"},
        {"{\"a\": \"\\u0000\"}", "\\u0000"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(reini_json_parse(bad[i].text, strlen(bad[i].text), "what", &json), REIN_FORMAT,
                     bad[i].words);
    char deep[10000];
    memset(deep, '[', sizeof deep);
    assert_fails(reini_json_parse(deep, sizeof deep, "what", &json), REIN_FORMAT, "depth");
    assert_fails(reini_json_read(temp_path("no.json"), &json), REIN_IO, "no.json");
    temp_write(temp_path("bad.json"), "{", 1);
    assert_fails(reini_json_read(temp_path("bad.json"), &json), REIN_FORMAT, "bad.json:1:");
}

static void json_is_laid_out(void **state) {
    static const char laid_out[] = "{\n"
                                   "  \"gamma\": 0.99,\n"
                                   "  \"lr\": 3e-04,\n"
                                   "  \"n\": -7,\n"
                                   "  \"whole\": 1.0,\n"
                                   "  \"text\": \"a\\\"b\\\\c\\n\\u0001\xc3\xa9\",\n"
                                   "  \"list\": [1, [true, false, null]],\n"
                                   "  \"empty\": {}\n"
                                   "}\n";
    json_t *json, *back;
    assert_ok(reini_json_parse(laid_out, strlen(laid_out), "test", &json));
    char *text = reini_json_text(json, true), *line = reini_json_text(json, false);
    assert_non_null(strstr(text, "\"lr\": 0.0003"));
    assert_non_null(strstr(text, "  \"whole\": 1.0,\n"));
    assert_non_null(strstr(text, "  \"list\": [1, [true, false, null]],\n"));
    assert_non_null(strstr(text, "\\u0001\xc3\xa9"));
    assert_null(strchr(line, '\n'));
    assert_ok(reini_json_parse(line, strlen(line), "line", &back));
    assert_true(json_equal(json, back));
    json_decref(back);
    assert_ok(reini_json_write(temp_path("x.json"), json));
    assert_ok(reini_json_read(temp_path("x.json"), &back));
    assert_true(json_equal(json, back));
    json_decref(back);
    json_decref(json);
    reini_free(text);
    reini_free(line);
    json = json_array();
    for (int i = 0; i < 60; i++)
        json_array_append_new(json, json_pack("{s:i}", "value", i));
    json = json_pack("{s:o}", "long", json);
    text = reini_json_text(json, true);
    assert_non_null(strstr(text, "{\n  \"long\": [\n    {\"value\": 0},\n    {\"value\": 1},\n"));
    reini_free(text);
    json_decref(json);
    json = json_object();
    text = reini_json_text(json, true);
    assert_string_equal(text, "{}\n");
    reini_free(text);
    json_decref(json);
}

/* FIPS 180-2, appendix B */
static void sha256_known_answers(void **state) {
    static const struct {
        const char *text, *digest;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (int i = 0; i < 3; i++) {
        uint8_t digest[32];
        char hex[65];
        reini_sha256 *sha = reini_sha256_new();
        for (const char *c = known[i].text; *c; c++)
            reini_sha256_add(sha, c, 1);
        reini_sha256_add(sha, NULL, 0);
        reini_sha256_finish(sha, digest);
        reini_hex(hex, digest, 32);
        assert_string_equal(hex, known[i].digest);
    }
}

static rein_status write_and_read(const char *path) {
    char *data;
    size_t size;
    REINI_TRY(reini_file_write(path, "text", 4));
    REINI_TRY(reini_file_read(path, 100, &data, &size));
    reini_free(data);
    return REIN_OK;
}

static void failing_allocations_leak_nothing(void **state) {
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        reini_memory before = reini_memory_now();
        reini_memory_fail(n, false);
        rein_status status = write_and_read(temp_path("memory"));
        reini_memory_fail(0, false);
        done = reini_memory_now().allocations - before.allocations < n;
        assert_int_equal(status, done ? REIN_OK : REIN_NOMEM);
        assert_int_equal(reini_memory_now().live_bytes, before.live_bytes);
        assert_int_equal(access(temp_path("memory.tmp"), F_OK), -1);
    }
    unlink(temp_path("memory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_read_back),
        cmocka_unit_test(pipes_read_to_their_end),
        cmocka_unit_test(failures_name_path_and_reason),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(streams_replace_or_vanish),
        cmocka_unit_test(two_writers_do_not_mix),
        cmocka_unit_test(a_stale_temporary_file_is_reused),
        cmocka_unit_test(a_failed_rename_cleans_up),
        cmocka_unit_test(directories),
        cmocka_unit_test(paths_join),
        cmocka_unit_test(json_errors_have_a_place),
        cmocka_unit_test(json_is_laid_out),
        cmocka_unit_test(sha256_known_answers),
        cmocka_unit_test(failing_allocations_leak_nothing),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
