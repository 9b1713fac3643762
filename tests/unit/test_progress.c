/*
 * test_progress.c - what the progress line says, how often, and in how many columns.
 */
#include "support/check.h"
#include <math.h>
#include <stdlib.h>
#include <unistd.h>
#include "run/progress.h"

static double now;
static double fake_clock(void) {
    return now;
}

typedef struct screen {
    FILE *file;
    char *text;
    size_t size;
    reini_progress *p;
} screen;

static void open_screen(screen *s, int width, int64_t total, int64_t done) {
    *s = (screen){0};
    s->file = open_memstream(&s->text, &s->size);
    assert_ok(reini_progress_new(s->file, "ppo CartPole-v1", total, done, &s->p));
    now = 1000;
    reini_progress_fake(s->p, width, fake_clock);
}

static void close_screen(screen *s) {
    reini_progress_free(s->p);
    fclose(s->file);
}

/* the text that stands after the last \r of a terminal */
static const char *last_line(const screen *s) {
    fflush(s->file);
    const char *line = strrchr(s->text, '\r');
    return line ? line + 1 : s->text;
}

static void a_line_says_it_all(void **state) {
    screen s;
    open_screen(&s, 120, 1000000, 0);
    reini_progress_update(s.p, 0, NAN, NULL, 0);
    assert_string_equal(last_line(&s), "ppo CartPole-v1    0%  0/1M");
    now += 10;
    reini_progress_update(s.p, 123000, 234.5, "kl", 0.01234);
    assert_string_equal(last_line(&s),
                        "ppo CartPole-v1   12%  123k/1M  12.3k steps/s  1:12 left  return 234.5  kl 0.0123");
    now += 1;
    reini_progress_update(s.p, 1000000, -1, "kl", NAN);
    assert_non_null(strstr(last_line(&s), "  100%  1M/1M  "));
    assert_null(strstr(last_line(&s), "left"));
    assert_null(strstr(last_line(&s), "kl"));
    assert_non_null(strstr(last_line(&s), "return -1"));
    close_screen(&s);
    assert_int_equal(s.text[s.size - 1], '\n');
    free(s.text);
}

static void narrow_terminals_get_less(void **state) {
    for (int width = 1; width < 100; width++) {
        screen s;
        open_screen(&s, width, 1000000, 0);
        reini_progress_update(s.p, 0, 1, "kl", 1);
        now += 10;
        reini_progress_update(s.p, 123000, 234.5, "kl", 0.01234);
        assert_true((int)strlen(last_line(&s)) < width);
        close_screen(&s);
        free(s.text);
    }
}

static void shorter_lines_cover_longer_ones(void **state) {
    screen s;
    open_screen(&s, 120, 0, 0);
    reini_progress_update(s.p, 10, 123.4, "some_key", 1);
    now += 1;
    reini_progress_update(s.p, 20, NAN, NULL, 0);
    fflush(s.file);
    assert_string_equal(s.text, "\rppo CartPole-v1  10 steps  return 123.4  some_key 1"
                                "\rppo CartPole-v1  20 steps  20 steps/s              "
                                "\rppo CartPole-v1  20 steps  20 steps/s");
    reini_progress_clear(s.p);
    assert_string_equal(last_line(&s), "");
    reini_progress_update(s.p, 20, NAN, NULL, 0);
    assert_string_equal(last_line(&s), "ppo CartPole-v1  20 steps  20 steps/s");
    close_screen(&s);
    free(s.text);
}

static int count(const char *text, char c) {
    int n = 0;
    for (; *text; text++)
        n += *text == c;
    return n;
}

static void terminals_redraw_ten_times_a_second(void **state) {
    screen s;
    open_screen(&s, 120, 100000, 0);
    for (int i = 0; i < 10000; i++) {
        reini_progress_update(s.p, i, 123456, "k", 123456);
        now += 0.001;
    }
    fflush(s.file);
    int lines = count(s.text, '\r');
    assert_true(lines >= 90 && lines <= 102);
    assert_int_equal(count(s.text, '\n'), 0);
    close_screen(&s);
    free(s.text);
}

static void files_get_a_line_every_five_seconds(void **state) {
    screen s;
    open_screen(&s, 0, 100000, 0);
    for (int i = 0; i < 3000; i++) {
        reini_progress_update(s.p, i, i, NULL, 0);
        now += 0.01;
    }
    fflush(s.file);
    int lines = count(s.text, '\n');
    assert_true(lines >= 5 && lines <= 6);
    close_screen(&s);
    assert_int_equal(count(s.text, '\n'), lines + 1);
    assert_int_equal(count(s.text, '\r'), 0);
    assert_non_null(strstr(s.text, "return 2999\n"));
    free(s.text);
}

static void resumed_steps_are_not_speed(void **state) {
    screen s;
    open_screen(&s, 120, 2000, 1000);
    now += 1;
    reini_progress_update(s.p, 1010, NAN, NULL, 0);
    assert_non_null(strstr(last_line(&s), "50%  1.01k/2k  10 steps/s  1:39 left"));
    close_screen(&s);
    free(s.text);
}

static void speed_follows_changes(void **state) {
    screen s;
    open_screen(&s, 120, 0, 0);
    int64_t steps = 0;
    for (int i = 0; i < 100; i++) {
        now += 1;
        reini_progress_update(s.p, steps += 100, NAN, NULL, 0);
    }
    assert_non_null(strstr(last_line(&s), "  100 steps/s"));
    for (int i = 0; i < 200; i++) {
        now += 1;
        reini_progress_update(s.p, steps += 500, NAN, NULL, 0);
    }
    assert_non_null(strstr(last_line(&s), "  500 steps/s"));
    close_screen(&s);
    free(s.text);
}

static void times_are_readable(void **state) {
    static const struct {
        int64_t seconds;
        const char *text;
    } times[] = {{59, "0:59 left"}, {3599, "59:59 left"}, {3600, "1:00:00 left"}, {200000, "2d 7h left"}};
    for (int i = 0; i < 4; i++) {
        screen s;
        open_screen(&s, 120, 1 + times[i].seconds, 0);
        now += 1;
        reini_progress_update(s.p, 1, NAN, NULL, 0);
        assert_non_null(strstr(last_line(&s), times[i].text));
        close_screen(&s);
        free(s.text);
    }
    screen s;
    open_screen(&s, 120, INT64_MAX, 0);
    now += 1000;
    reini_progress_update(s.p, 1, NAN, NULL, 0);
    assert_non_null(strstr(last_line(&s), "d "));
    close_screen(&s);
    free(s.text);
}

static void no_file_says_nothing(void **state) {
    reini_progress *p;
    assert_ok(reini_progress_new(NULL, "quiet", 10, 0, &p));
    reini_progress_update(p, 5, 1, "kl", 1);
    reini_progress_clear(p);
    reini_progress_free(p);
    reini_progress_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_it_all),
        cmocka_unit_test(narrow_terminals_get_less),
        cmocka_unit_test(shorter_lines_cover_longer_ones),
        cmocka_unit_test(terminals_redraw_ten_times_a_second),
        cmocka_unit_test(files_get_a_line_every_five_seconds),
        cmocka_unit_test(resumed_steps_are_not_speed),
        cmocka_unit_test(speed_follows_changes),
        cmocka_unit_test(times_are_readable),
        cmocka_unit_test(no_file_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
