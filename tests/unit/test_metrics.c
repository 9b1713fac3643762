/*
 * test_metrics.c - metrics.csv and the event files hold the same rows, also after a resume.
 */
#include "support/check.h"
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>
#include "support/temp_dir.h"
#include "base/base.h"
#include "run/event_file.h"
#include "run/metrics.h"

static const char *const names[] = {"return", "loss/policy", "kl"};

static int fresh_dir(void **state) {
    temp_remove(temp_path("run"));
    return mkdir(temp_path("run"), 0777);
}

static reini_metrics *open_run(int64_t resume_step) {
    reini_metrics *m;
    assert_ok(reini_metrics_open(temp_path("run"), names, 3, resume_step, &m));
    return m;
}

static void write_row(reini_metrics *m, int64_t step, double a, double b, double c) {
    assert_ok(reini_metrics_write(m, step, (double[]){a, b, c}));
}

static void assert_csv(const char *expected) {
    char *csv = temp_read(temp_path("run/metrics.csv"), NULL);
    assert_string_equal(csv, expected);
    free(csv);
}

/* ---- a decoder of event files -------------------------------------------------------------------------- */

typedef struct point {
    int64_t step;
    char tag[32];
    float value;
} point;

typedef struct events {
    int files, versions, starts, count;
    int64_t start_step;
    double wall_time;
    point points[64];
} events;

typedef struct cursor {
    const uint8_t *at, *end;
} cursor;

static uint64_t get_fixed(cursor *c, int bytes) {
    uint64_t value = 0;
    assert_true(c->end - c->at >= bytes);
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | c->at[i];
    c->at += bytes;
    return value;
}

static uint64_t get_varint(cursor *c) {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        assert_true(c->at < c->end && shift < 64);
        value |= (uint64_t)(*c->at & 0x7f) << shift;
        if (!(*c->at++ & 0x80))
            return value;
    }
}

static cursor get_bytes(cursor *c) {
    uint64_t length = get_varint(c);
    assert_true(length <= (uint64_t)(c->end - c->at));
    cursor inner = {c->at, c->at + length};
    c->at += length;
    return inner;
}

static void decode_value(events *e, int64_t step, cursor c) {
    point *p = &e->points[e->count++];
    p->step = step;
    assert_int_equal(get_varint(&c), 1 << 3 | 2);
    cursor tag = get_bytes(&c);
    snprintf(p->tag, sizeof p->tag, "%.*s", (int)(tag.end - tag.at), (const char *)tag.at);
    assert_int_equal(get_varint(&c), 2 << 3 | 5);
    uint32_t bits = (uint32_t)get_fixed(&c, 4);
    memcpy(&p->value, &bits, sizeof bits);
    assert_ptr_equal(c.at, c.end);
}

static void decode_event(events *e, cursor c) {
    int64_t step = 0;
    uint64_t bits;
    while (c.at < c.end) {
        uint64_t key = get_varint(&c);
        cursor inner;
        switch (key) {
        case 1 << 3 | 1:
            bits = get_fixed(&c, 8);
            memcpy(&e->wall_time, &bits, sizeof bits);
            break;
        case 2 << 3 | 0:
            step = (int64_t)get_varint(&c);
            break;
        case 3 << 3 | 2:
            inner = get_bytes(&c);
            assert_int_equal(inner.end - inner.at, strlen("brain.Event:2"));
            assert_memory_equal(inner.at, "brain.Event:2", strlen("brain.Event:2"));
            e->versions++;
            break;
        case 5 << 3 | 2:
            inner = get_bytes(&c);
            while (inner.at < inner.end) {
                assert_int_equal(get_varint(&inner), 1 << 3 | 2);
                decode_value(e, step, get_bytes(&inner));
            }
            break;
        case 7 << 3 | 2:
            inner = get_bytes(&c);
            assert_int_equal(inner.end - inner.at, 2);
            assert_memory_equal(inner.at, "\x08\x01", 2);
            e->starts++;
            e->start_step = step;
            break;
        default:
            fail_msg("unexpected key %d", (int)key);
        }
    }
}

static void check_crc(const void *data, size_t size, uint64_t stored) {
    uint32_t crc = reini_crc32c(data, size);
    assert_int_equal(stored, ((crc >> 15) | (crc << 17)) + 0xa282ead8u);
}

static void decode_file(events *e, const char *name) {
    char path[300];
    size_t size;
    snprintf(path, sizeof path, "run/%.255s", name);
    char *data = temp_read(temp_path(path), &size);
    cursor c = {(uint8_t *)data, (uint8_t *)data + size};
    while (c.at < c.end) {
        const uint8_t *head = c.at;
        uint64_t length = get_fixed(&c, 8);
        check_crc(head, 8, get_fixed(&c, 4));
        assert_true(length <= (uint64_t)(c.end - c.at));
        cursor body = {c.at, c.at + length};
        c.at += length;
        check_crc(body.at, length, get_fixed(&c, 4));
        decode_event(e, body);
    }
    free(data);
    e->files++;
}

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

/* the event files of the run, read in the order of their names */
static events decode_all(void) {
    char found[16][256];
    int n = 0;
    DIR *d = opendir(temp_path("run"));
    for (struct dirent *entry; (entry = readdir(d));)
        if (strstr(entry->d_name, "tfevents") && n < 16)
            snprintf(found[n++], sizeof found[0], "%s", entry->d_name);
    closedir(d);
    qsort(found, (size_t)n, sizeof found[0], by_name);
    events e = {0};
    for (int i = 0; i < n; i++)
        decode_file(&e, found[i]);
    return e;
}

/* ---- tests --------------------------------------------------------------------------------------------- */

/* RFC 3720, appendix B.4 */
static void crc32c_known_answers(void **state) {
    uint8_t bytes[32] = {0};
    assert_int_equal(reini_crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(reini_crc32c(bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(reini_crc32c(bytes, 32), 0x46dd794e);
    assert_int_equal(reini_crc32c("123456789", 9), 0xe3069283);
}

static void csv_holds_the_rows(void **state) {
    reini_metrics *m = open_run(-1);
    assert_csv("step,return,loss/policy,kl\n");
    write_row(m, 0, 1, -2.5, 1.0 / 3);
    assert_csv("step,return,loss/policy,kl\n0,1,-2.5,0.333333333\n");
    write_row(m, 1000000000000, NAN, INFINITY, 1e-20);
    write_row(m, 1000000000001, NAN, NAN, NAN);
    reini_metrics_close(m);
    assert_csv(
        "step,return,loss/policy,kl\n0,1,-2.5,0.333333333\n1000000000000,,inf,1e-20\n1000000000001,,,\n");
}

static void events_hold_the_rows(void **state) {
    reini_metrics *m = open_run(-1);
    write_row(m, 0, 1, -2.5, 1.0 / 3);
    write_row(m, 1000000000000, NAN, 7, NAN);
    write_row(m, 1000000000001, NAN, NAN, NAN);
    reini_metrics_close(m);
    events e = decode_all();
    assert_int_equal(e.files, 1);
    assert_int_equal(e.versions, 1);
    assert_int_equal(e.starts, 1);
    assert_int_equal(e.start_step, 0);
    assert_int_equal(e.count, 4);
    assert_true(fabs(e.wall_time - (double)time(NULL)) < 100);
    assert_string_equal(e.points[1].tag, "loss/policy");
    assert_true(e.points[1].value == -2.5f && e.points[1].step == 0);
    assert_string_equal(e.points[2].tag, "kl");
    assert_true(e.points[2].value == 1.0f / 3);
    assert_string_equal(e.points[3].tag, "loss/policy");
    assert_true(e.points[3].value == 7 && e.points[3].step == 1000000000000);
}

static void resuming_cuts_later_rows(void **state) {
    reini_metrics *m = open_run(-1);
    for (int i = 1; i <= 5; i++)
        write_row(m, 100 * i, i, 0, 0);
    reini_metrics_close(m);
    m = open_run(300);
    assert_csv("step,return,loss/policy,kl\n100,1,0,0\n200,2,0,0\n300,3,0,0\n");
    write_row(m, 400, 4.5, 0, 0);
    reini_metrics_close(m);
    assert_csv("step,return,loss/policy,kl\n100,1,0,0\n200,2,0,0\n300,3,0,0\n400,4.5,0,0\n");
    events e = decode_all();
    assert_int_equal(e.files, 2);
    assert_int_equal(e.starts, 2);
    assert_int_equal(e.start_step, 301);
    assert_int_equal(e.count, 15 + 3);
    assert_true(e.points[15].step == 400 && e.points[15].value == 4.5f);
    m = open_run(0);
    reini_metrics_close(m);
    assert_csv("step,return,loss/policy,kl\n");
    m = open_run(5); /* nothing to cut */
    reini_metrics_close(m);
    assert_csv("step,return,loss/policy,kl\n");
    assert_int_equal(decode_all().files, 4);
}

static void starting_anew_empties_the_table(void **state) {
    reini_metrics *m = open_run(-1);
    write_row(m, 1, 1, 1, 1);
    reini_metrics_close(m);
    reini_metrics_close(open_run(-1));
    assert_csv("step,return,loss/policy,kl\n");
    assert_int_equal(decode_all().start_step, 0);
    reini_metrics_close(NULL);
}

/* half a row, as a crash leaves it, and what a power cut may leave: zeros, cells that are not numbers */
static void damaged_rows_are_dropped(void **state) {
    static const char damaged[] =
        "step,return,loss/policy,kl\n100,1,2,3\nx,1,2,3\n150,1,2\n\n-5,1,2,3\n1\0000,1,2,3\n"
        "160,1,2,3,4\n170,,,\n180,1,2";
    temp_write(temp_path("run/metrics.csv"), damaged, sizeof damaged - 1);
    reini_metrics *m = open_run(1000);
    assert_csv("step,return,loss/policy,kl\n100,1,2,3\n170,,,\n");
    write_row(m, 180, 1, 2, 3);
    reini_metrics_close(m);
    assert_csv("step,return,loss/policy,kl\n100,1,2,3\n170,,,\n180,1,2,3\n");
}

static void a_missing_table_is_made(void **state) {
    reini_metrics *m = open_run(500);
    write_row(m, 600, 1, 2, 3);
    reini_metrics_close(m);
    assert_csv("step,return,loss/policy,kl\n600,1,2,3\n");
}

static void failures_have_a_reason(void **state) {
    reini_metrics *m;
    const char *run = temp_path("run");
    static const char other[] = "step,return\n1,2\n";
    temp_write(temp_path("run/metrics.csv"), other, strlen(other));
    assert_fails(reini_metrics_open(run, names, 3, 5, &m), REIN_MISMATCH, "has other columns than this run");
    assert_non_null(strstr(rein_error(), "expected \"step,return,loss/policy,kl\""));
    assert_csv(other);
    temp_write(temp_path("run/metrics.csv"), "", 0);
    assert_fails(reini_metrics_open(run, names, 3, 5, &m), REIN_MISMATCH, "other columns");
    assert_fails(reini_metrics_open(temp_path("absent"), names, 3, -1, &m), REIN_IO, "absent");
    static const char *const bad[] = {"", "a,b", "a\"b", "a\nb"};
    for (int i = 0; i < 4; i++)
        assert_fails(reini_metrics_open(run, &bad[i], 1, -1, &m), REIN_INTERNAL,
                     "cannot be the name of a metric");
}

static void a_full_disk_keeps_whole_rows(void **state) {
    struct rlimit before, small;
    reini_metrics *m = open_run(-1);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){500, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    rein_status status = REIN_OK;
    int rows = 0;
    for (; status == REIN_OK && rows < 1000; rows++)
        status = reini_metrics_write(m, rows, (double[]){1, 2, 3});
    rein_status again = reini_metrics_write(m, rows, (double[]){1.23456789, 2.3456789, 3.456789});
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, REIN_IO);
    assert_true(again == REIN_IO && strstr(rein_error(), "File too large"));
    reini_metrics_close(m);
    size_t size;
    char *csv = temp_read(temp_path("run/metrics.csv"), &size);
    assert_true(size <= 500 && csv[size - 1] == '\n');
    free(csv);
    assert_true(decode_all().count > 3);
}

static void rows_need_no_memory(void **state) {
    reini_metrics *m = open_run(-1);
    uint64_t before = reini_memory_now().allocations;
    for (int i = 0; i < 100; i++)
        write_row(m, i, i, 1e300, -1e-300);
    assert_int_equal(reini_memory_now().allocations, before);
    reini_metrics_close(m);
}

static void failing_allocations_leak_nothing(void **state) {
    for (int64_t resume = -1; resume < 1; resume++) {
        bool done = false;
        for (uint64_t n = 1; !done; n++) {
            reini_metrics *m = NULL;
            reini_memory before = reini_memory_now();
            reini_memory_fail(n, false);
            rein_status status = reini_metrics_open(temp_path("run"), names, 3, resume, &m);
            reini_memory_fail(0, false);
            done = reini_memory_now().allocations - before.allocations < n;
            assert_int_equal(status, done ? REIN_OK : REIN_NOMEM);
            reini_metrics_close(m);
            assert_int_equal(reini_memory_now().live_bytes, before.live_bytes);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_known_answers),
        cmocka_unit_test_setup(csv_holds_the_rows, fresh_dir),
        cmocka_unit_test_setup(events_hold_the_rows, fresh_dir),
        cmocka_unit_test_setup(resuming_cuts_later_rows, fresh_dir),
        cmocka_unit_test_setup(starting_anew_empties_the_table, fresh_dir),
        cmocka_unit_test_setup(damaged_rows_are_dropped, fresh_dir),
        cmocka_unit_test_setup(a_missing_table_is_made, fresh_dir),
        cmocka_unit_test_setup(failures_have_a_reason, fresh_dir),
        cmocka_unit_test_setup(a_full_disk_keeps_whole_rows, fresh_dir),
        cmocka_unit_test_setup(rows_need_no_memory, fresh_dir),
        cmocka_unit_test_setup(failing_allocations_leak_nothing, fresh_dir),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
