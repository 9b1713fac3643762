/*
 * test_archive.c - what is saved comes back, and anything else is refused with a reason.
 */
#include "support/check.h"
#include <signal.h>
#include <sys/resource.h>
#include "support/temp_dir.h"
#include "base/archive.h"
#include "base/file.h"

typedef struct thing {
    int64_t count;
    float table[5];
    size_t log_bytes;
    char *log;
} thing;

/* the visitor of archive.h, with an entry of variable size */
static rein_status visit(thing *t, reini_archive *ar) {
    REINI_TRY(reini_archive_bytes(ar, "count", &t->count, sizeof t->count));
    REINI_TRY(reini_archive_bytes(ar, "table", t->table, sizeof t->table));
    REINI_TRY(reini_archive_bytes(ar, "nothing", NULL, 0));
    REINI_TRY(reini_archive_size(ar, "log", &t->log_bytes));
    if (reini_archive_loading(ar)) {
        t->log = reini_new(t->log_bytes);
        if (!t->log)
            return reini_fail_memory(t->log_bytes, "a log");
    }
    return reini_archive_bytes(ar, "log", t->log, t->log_bytes);
}

static rein_status save(const char *path, thing *t) {
    reini_archive *ar;
    json_t *header = json_pack("{s:s, s:i}", "kind", "test", "n", 3);
    if (!header)
        return reini_fail(REIN_NOMEM, "no header");
    rein_status status = reini_archive_create(path, header, &ar);
    json_decref(header);
    REINI_TRY(status);
    status = visit(t, ar);
    if (status != REIN_OK) {
        reini_archive_cancel(ar);
        return status;
    }
    return reini_archive_finish(ar);
}

static rein_status load(const char *path, thing *t) {
    reini_archive *ar;
    const json_t *header;
    *t = (thing){0};
    REINI_TRY(reini_archive_open(path, &ar, &header));
    if (strcmp(json_string_value(json_object_get(header, "kind")), "test") != 0)
        fail_msg("the header is not the one saved");
    rein_status status = visit(t, ar);
    if (status != REIN_OK) {
        reini_archive_cancel(ar);
        return status;
    }
    return reini_archive_finish(ar);
}

static thing example(void) {
    return (thing){7, {1, 2, 3, 4, 5}, 6, (char *)"a log"};
}

static void round_trip(void **state) {
    thing t = example(), back;
    assert_ok(save(temp_path("a"), &t));
    assert_ok(load(temp_path("a"), &back));
    assert_int_equal(back.count, 7);
    assert_memory_equal(back.table, t.table, sizeof t.table);
    assert_int_equal(back.log_bytes, 6);
    assert_string_equal(back.log, "a log");
    reini_free(back.log);
    assert_int_equal(temp_count(temp_dir), 1);
}

/* entries smaller and larger than the read buffer, also across its border */
static void large_entries_round_trip(void **state) {
    static const size_t sizes[] = {1, 65535, 65536, 65537, 200000, 3, 1 << 20, 0, 65490, 100};
    reini_archive *ar;
    json_t *header = json_object();
    unsigned char *bytes = reini_new(2 << 20), *back = reini_new(1 << 20);
    for (size_t i = 0; i < 2 << 20; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    assert_ok(reini_archive_create(temp_path("large"), header, &ar));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_ok(reini_archive_bytes(ar, "piece", bytes + i, sizes[i]));
    assert_ok(reini_archive_finish(ar));
    uint64_t peak = reini_memory_now().live_bytes;
    assert_ok(reini_archive_open(temp_path("large"), &ar, NULL));
    assert_true(reini_memory_now().live_bytes - peak < 100000);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_ok(reini_archive_bytes(ar, "piece", back, sizes[i]));
        assert_memory_equal(back, bytes + i, sizes[i]);
    }
    assert_ok(reini_archive_finish(ar));
    reini_free(bytes);
    reini_free(back);
    json_decref(header);
}

static void every_truncation_is_refused(void **state) {
    thing t = example(), back;
    size_t size;
    assert_ok(save(temp_path("a"), &t));
    char *data = temp_read(temp_path("a"), &size);
    for (size_t n = 0; n < size; n++) {
        temp_write(temp_path("cut"), data, n);
        assert_fails(load(temp_path("cut"), &back), REIN_FORMAT, "/cut\"");
    }
    temp_write(temp_path("cut"), data, size);
    assert_ok(load(temp_path("cut"), &back));
    reini_free(back.log);
    free(data);
}

static void every_flipped_bit_is_refused(void **state) {
    thing t = example(), back;
    size_t size;
    assert_ok(save(temp_path("a"), &t));
    char *data = temp_read(temp_path("a"), &size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        data[bit / 8] ^= (char)(1 << bit % 8);
        temp_write(temp_path("flip"), data, size);
        assert_fails(load(temp_path("flip"), &back), REIN_FORMAT, "/flip\"");
        data[bit / 8] ^= (char)(1 << bit % 8);
    }
    free(data);
}

static void additions_are_refused(void **state) {
    thing t = example(), back;
    size_t size;
    assert_ok(save(temp_path("a"), &t));
    char *data = temp_read(temp_path("a"), &size), *more = calloc(1, size + 8);
    memcpy(more, data, size);
    for (size_t n = 1; n <= 8; n++) {
        temp_write(temp_path("more"), more, size + n);
        assert_fails(load(temp_path("more"), &back), REIN_FORMAT, "SHA-256");
    }
    free(data);
    free(more);
}

static void reasons_are_clear(void **state) {
    thing t = example(), back;
    size_t size;
    assert_ok(save(temp_path("a"), &t));
    char *data = temp_read(temp_path("a"), &size);
    assert_fails(load(temp_path("absent"), &back), REIN_IO, "No such file");
    assert_fails(load(temp_dir, &back), REIN_IO, "not a regular file");
    temp_write(temp_path("b"), "", 0);
    assert_fails(load(temp_path("b"), &back), REIN_FORMAT, "is empty, expected a Rein archive");
    temp_write(temp_path("b"), "PK\x03\x04 something else altogether, of some length", 40);
    assert_fails(load(temp_path("b"), &back), REIN_FORMAT, "is not a Rein archive");
    temp_write(temp_path("b"), data, 20);
    assert_fails(load(temp_path("b"), &back), REIN_FORMAT, "is damaged: it is cut short");
    temp_write(temp_path("b"), data, size - 1);
    assert_fails(load(temp_path("b"), &back), REIN_FORMAT, "is damaged: its SHA-256");
    data[8] = 2;
    temp_write(temp_path("b"), data, size);
    assert_fails(load(temp_path("b"), &back), REIN_FORMAT,
                 "has archive version 2, this build reads version 1");
    free(data);
}

/* a file with the right digest around any bytes */
static void write_forged(const char *path, const void *data, size_t size) {
    uint8_t digest[32];
    char *bytes = malloc(size + 32);
    reini_sha256 *sha = reini_sha256_new();
    reini_sha256_add(sha, data, size);
    reini_sha256_finish(sha, digest);
    memcpy(bytes, data, size);
    memcpy(bytes + size, digest, 32);
    temp_write(path, bytes, size + 32);
    free(bytes);
}

#define PREFIX "rein-ar\n\1\0\0\0"

static void forged_lengths_are_refused(void **state) {
    reini_archive *ar;
    int64_t value;
    static const struct {
        const char *bytes;
        size_t size;
    } forged[] = {
        {PREFIX "\xff\xff\xff\xff{}\0", 19},
        {PREFIX "\x04\0\0\0{}\0", 19},
        {PREFIX "\2\0\0\0{]\0", 19},
        {PREFIX "\2\0\0\0{}", 18},
        {PREFIX "\2\0\0\0{}\xff", 19},
        {PREFIX "\2\0\0\0{}\1c", 20},
        {PREFIX "\2\0\0\0{}\1c\1\0\0\0\0\0\0", 27},
        {PREFIX "\2\0\0\0{}\1c\xff\xff\xff\xff\xff\xff\xff\xff", 28},
        {PREFIX "\2\0\0\0{}\1c\x08\0\0\0\0\0\0\0 1234567", 36},
        {PREFIX "\2\0\0\0{}\1c\x08\0\0\0\0\0\0\0 1234567\0more", 41},
    };
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        write_forged(temp_path("forged"), forged[i].bytes, forged[i].size);
        rein_status status = reini_archive_open(temp_path("forged"), &ar, NULL);
        if (status == REIN_OK) {
            reini_archive_bytes(ar, "c", &value, sizeof value);
            status = reini_archive_finish(ar);
        }
        if (status != REIN_FORMAT)
            fail_msg("forged file %zu: status %d", i, status);
    }
    write_forged(temp_path("forged"), PREFIX "\2\0\0\0{}\1c\x08\0\0\0\0\0\0\0 1234567\0", 37);
    assert_ok(reini_archive_open(temp_path("forged"), &ar, NULL));
    assert_ok(reini_archive_bytes(ar, "c", &value, sizeof value));
    assert_memory_equal(&value, " 1234567", 8);
    assert_ok(reini_archive_finish(ar));
}

static void differences_are_named(void **state) {
    thing t = example();
    reini_archive *ar;
    int64_t count;
    float table[5];
    size_t bytes;
    const char *path = temp_path("a");
    assert_ok(save(path, &t));

    assert_ok(reini_archive_open(path, &ar, NULL));
    assert_fails(reini_archive_bytes(ar, "number", &count, 8), REIN_MISMATCH,
                 "entry 1 is \"count\", expected \"number\"");
    assert_fails(reini_archive_bytes(ar, "count", &count, 8), REIN_MISMATCH,
                 "number"); /* the failure stays */
    assert_fails(reini_archive_finish(ar), REIN_MISMATCH, "number");

    assert_ok(reini_archive_open(path, &ar, NULL));
    assert_ok(reini_archive_bytes(ar, "count", &count, 8));
    assert_fails(reini_archive_bytes(ar, "table", table, 16), REIN_MISMATCH,
                 "\"table\" has 20 bytes, expected 16");
    reini_archive_cancel(ar);

    assert_ok(reini_archive_open(path, &ar, NULL));
    assert_ok(reini_archive_bytes(ar, "count", &count, 8));
    assert_fails(reini_archive_size(ar, "tables", &bytes), REIN_MISMATCH, "expected \"tables\"");
    reini_archive_cancel(ar);

    assert_ok(reini_archive_open(path, &ar, NULL));
    assert_ok(reini_archive_bytes(ar, "count", &count, 8));
    assert_fails(reini_archive_finish(ar), REIN_MISMATCH, "an entry \"table\" that is not expected");

    char log[6];
    assert_ok(reini_archive_open(path, &ar, NULL));
    assert_ok(reini_archive_bytes(ar, "count", &count, 8));
    assert_ok(reini_archive_size(ar, "table", &bytes));
    assert_ok(reini_archive_size(ar, "table", &bytes)); /* asking does not take */
    assert_int_equal(bytes, 20);
    assert_ok(reini_archive_bytes(ar, "table", table, bytes));
    assert_ok(reini_archive_bytes(ar, "nothing", NULL, 0));
    assert_ok(reini_archive_bytes(ar, "log", log, 6));
    assert_fails(reini_archive_bytes(ar, "more", &count, 8), REIN_MISMATCH,
                 "ends after 4 entries, expected \"more\"");
    reini_archive_cancel(ar);
}

static void saving_refuses_bad_names(void **state) {
    reini_archive *ar;
    json_t *header = json_object();
    char name[300];
    int before = temp_count(temp_dir);
    memset(name, 'n', sizeof name);
    for (int n = 254; n < 258; n++) {
        assert_ok(reini_archive_create(temp_path("names"), header, &ar));
        name[n] = 0;
        rein_status status = reini_archive_bytes(ar, name, "x", 1);
        name[n] = 'n';
        assert_int_equal(status, n <= 255 ? REIN_OK : REIN_INTERNAL);
        reini_archive_cancel(ar);
    }
    assert_ok(reini_archive_create(temp_path("names"), header, &ar));
    assert_int_equal(reini_archive_bytes(ar, "", "x", 1), REIN_INTERNAL);
    assert_int_equal(reini_archive_finish(ar), REIN_INTERNAL); /* nothing is completed after a failure */
    assert_int_equal(temp_count(temp_dir), before);
    json_decref(header);
}

static void a_full_disk_leaves_the_old_archive(void **state) {
    thing t = example(), back;
    struct rlimit before, small;
    size_t size;
    assert_ok(save(temp_path("kept"), &t));
    free(temp_read(temp_path("kept"), &size));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    int files = temp_count(temp_dir);
    for (rlim_t limit = 0; limit < size; limit++) {
        thing next = example();
        next.count = 8;
        small = (struct rlimit){limit, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        rein_status status = save(temp_path("kept"), &next);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_int_equal(status, REIN_IO);
        assert_non_null(strstr(rein_error(), "/kept\": File too large"));
        assert_int_equal(temp_count(temp_dir), files);
    }
    assert_ok(load(temp_path("kept"), &back));
    assert_int_equal(back.count, 7);
    reini_free(back.log);
}

static rein_status save_and_load(const char *path) {
    thing t = example(), back;
    REINI_TRY(save(path, &t));
    rein_status status = load(path, &back);
    reini_free(back.log);
    return status;
}

/* every allocation fails in turn, Jansson's too: out of memory is reported, nothing leaks, nothing is left
 * behind */
static void failing_allocations_leak_nothing(void **state) {
    for (int onwards = 0; onwards < 2; onwards++) {
        int n = 1;
        for (bool done = false; !done; n++) {
            json_set_alloc_funcs(reini_new, reini_free);
            uint64_t before = reini_memory_now().live_bytes, made = reini_memory_now().allocations;
            reini_memory_fail((uint64_t)n, onwards);
            rein_status status = save_and_load(temp_path("memory"));
            reini_memory_fail(0, false);
            done = reini_memory_now().allocations - made < (uint64_t)n;
            json_set_alloc_funcs(malloc, free);
            if (done)
                assert_ok(status);
            else if (status != REIN_NOMEM && status != REIN_FORMAT) /* Jansson may blame the text instead */
                fail_msg("allocation %d: status %d, \"%s\"", n, status, rein_error());
            assert_int_equal(reini_memory_now().live_bytes, before);
            assert_int_equal(access(temp_path("memory.tmp"), F_OK), -1);
        }
        assert_true(n > 15);
    }
    unlink(temp_path("memory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(large_entries_round_trip),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(additions_are_refused),
        cmocka_unit_test(reasons_are_clear),
        cmocka_unit_test(forged_lengths_are_refused),
        cmocka_unit_test(differences_are_named),
        cmocka_unit_test(saving_refuses_bad_names),
        cmocka_unit_test(a_full_disk_leaves_the_old_archive),
        cmocka_unit_test(failing_allocations_leak_nothing),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
