/*
 * test_field.c - field tables: reading, refusing, printing, schedules.
 */
#include "support/check.h"
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <rein/field.h>
#include <rein/rng.h>
#include "base/number.h"

#define LIST(F, E)                                                                                           \
    F(BOOL, verbose, "no", 0, 1, "a switch")                                                                 \
    F(INT, offset, "-3", -10, 10, "a whole number")                                                          \
    F(INT, any_int, "0", -INFINITY, INFINITY, "any whole number")                                            \
    F(COUNT, total_steps, "1e6", 1, 1e15, "a count")                                                         \
    F(REAL, gamma, "0.99", 0, 1, "a number")                                                                 \
    F(REAL, stop_at, "inf", -INFINITY, INFINITY, "any number")                                               \
    F(REAL, floor_only, "1", 0, INFINITY, "bounded below")                                                   \
    F(REAL, roof_only, "1", -INFINITY, 5, "bounded above")                                                   \
    F(SCHEDULE, learning_rate, "lin_3e-4", 0, 1, "a schedule")                                               \
    F(INTS, hidden, "64,64", 1, 65536, "a list")                                                             \
    F(TEXT, path, "", 0, 0, "a text")                                                                        \
    E(loss, "clip", "clip|penalty|none", "a choice")

typedef struct config {
    REIN_FIELDS_STRUCT(LIST)
} config;
#define REIN_FIELD_OWNER config
static const rein_field fields[] = {REIN_FIELDS_TABLE(LIST)};
enum { N = sizeof fields / sizeof *fields };

static config defaults(void) {
    config c;
    memset(&c, 0xaa, sizeof c);
    rein_fields_default(fields, N, &c);
    return c;
}

static config *set(const char *name, const char *text) {
    static config c;
    c = defaults();
    assert_ok(rein_fields_set(fields, N, &c, name, text));
    return &c;
}

/* fails with all these words, and leaves the struct alone */
static void refuse(const char *name, const char *text, const char *words, const char *more) {
    config c = defaults(), before = c;
    rein_status status = rein_fields_set(fields, N, &c, name, text);
    if (status != REIN_USAGE || !strstr(rein_error(), words) || !strstr(rein_error(), more))
        fail_msg("%s=%s: status %d, \"%s\", expected \"%s\" and \"%s\"", name, text, status, rein_error(),
                 words, more);
    assert_memory_equal(&c, &before, sizeof c);
}

static void defaults_are_set(void **state) {
    config c = defaults();
    assert_int_equal(c.verbose, 0);
    assert_int_equal(c.offset, -3);
    assert_int_equal(c.total_steps, 1000000);
    assert_true(c.gamma == 0.99);
    assert_true(isinf(c.stop_at) && c.stop_at > 0);
    assert_int_equal(c.learning_rate.shape, REIN_SCHEDULE_LINEAR);
    assert_true(c.learning_rate.start == 3e-4 && c.learning_rate.end == 0 && c.learning_rate.warmup == 0);
    assert_int_equal(c.hidden.count, 2);
    assert_int_equal(c.hidden.at[1], 64);
    assert_string_equal(c.path, "");
    assert_int_equal(c.loss, 0);
    assert_ok(rein_fields_check(fields, N, &c));
}

static void names(void **state) {
    assert_int_equal(rein_fields_find(fields, N, "gamma"), 4);
    assert_int_equal(rein_fields_find(fields, N, "total-steps"), 3);
    assert_int_equal(rein_fields_find(fields, N, "total_steps"), 3);
    assert_int_equal(rein_fields_find(fields, N, "total_step"), -1);
    assert_int_equal(rein_fields_find(fields, N, "gammaa"), -1);
    assert_int_equal(rein_fields_find(fields, N, ""), -1);
    assert_int_equal(set("learning-rate", "1")->learning_rate.shape, REIN_SCHEDULE_CONSTANT);
    refuse("gama", "1", "no field \"gama\"", "(did you mean \"gamma\"?)");
    refuse("total_stps", "1", "no field \"total_stps\"", "\"total_steps\"");
    refuse("zebra", "1", "no field \"zebra\"", "");
    assert_null(strstr(rein_error(), "did you mean"));
    refuse("gam\x1b[31m", "1", "gam?[31m", "");
}

static void booleans(void **state) {
    assert_int_equal(set("verbose", "true")->verbose, 1);
    assert_int_equal(set("verbose", "1")->verbose, 1);
    assert_int_equal(set("verbose", "yes")->verbose, 1);
    assert_int_equal(set("verbose", "false")->verbose, 0);
    assert_int_equal(set("verbose", "0")->verbose, 0);
    assert_int_equal(set("verbose", "no")->verbose, 0);
    refuse("verbose", "maybe", "verbose: \"maybe\"", "true or false");
    refuse("verbose", "", "\"\"", "true or false");
    refuse("verbose", "true ", "\"true \"", "true or false");
    refuse("verbose", "2", "\"2\"", "true or false");
}

static void whole_numbers(void **state) {
    assert_int_equal(set("offset", "-10")->offset, -10);
    assert_int_equal(set("offset", "+7")->offset, 7);
    assert_int_equal(set("offset", "007")->offset, 7);
    assert_true(set("any_int", "9223372036854775807")->any_int == INT64_MAX);
    assert_true(set("any_int", "-9223372036854775808")->any_int == INT64_MIN);
    refuse("any_int", "9223372036854775808", "too large", "whole number");
    refuse("any_int", "-9223372036854775809", "too large", "whole number");
    refuse("any_int", "99999999999999999999999999", "too large", "whole number");
    refuse("offset", "11", "offset: 11 is out of range", "expected -10 <= offset <= 10");
    refuse("offset", "1.5", "\"1.5\" is not whole", "whole number");
    static const char *const bad[] = {"",   "-",    "1x",  "x1", " 1",  "1 ", "1e3",
                                      "1k", "0x10", "--1", "1-", "nan", "inf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse("offset", bad[i], "cannot be read", "a whole number such as 64");
}

static void counts(void **state) {
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"1000000", 1000000}, {"1e6", 1000000},   {"100k", 100000},
        {"2M", 2000000},      {"1G", 1000000000}, {"3B", 3000000000},
        {"1.5e3", 1500},      {"1.5k", 1500},     {"0.25M", 250000},
        {"1E6", 1000000},     {"1e+2", 100},      {"1500e-2", 15},
        {"1.500k", 1500},     {"12.0", 12},       {"1.2345M", 1234500},
        {"100e-1k", 10000},   {"0.000001M", 1},   {"1e15", 1000000000000000},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(set("total_steps", good[i].text)->total_steps, good[i].value);
    refuse("total_steps", "0", "total_steps: 0 is out of range", "1 <= total_steps <= 1e+15");
    refuse("total_steps", "-5", "-5 is out of range", "1 <= total_steps");
    refuse("total_steps", "1e16", "10000000000000000 is out of range", "1e+15");
    refuse("total_steps", "1e19", "\"1e19\" is too large", "1000000, 1e6, 100k or 2M");
    refuse("total_steps", "1e999999999999", "too large", "1e6");
    refuse("total_steps", "0.5", "\"0.5\" is not whole", "whole number");
    refuse("total_steps", "1.0000000000000000000000001", "is not whole", "whole number");
    refuse("total_steps", "1.2345k", "is not whole", "");
    refuse("total_steps", "1e-1", "is not whole", "");
    static const char *const bad[] = {"",  "k",    "1kk",   "1 k", "1e", "e6", "1e6x",
                                      ".", "1..5", "1,000", "inf", "1m", "1ek"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse("total_steps", bad[i], "cannot be read", "1e6, 100k or 2M");
}

static void reals(void **state) {
    assert_true(set("gamma", "0")->gamma == 0);
    assert_true(set("gamma", "1")->gamma == 1);
    assert_true(set("gamma", ".5")->gamma == 0.5);
    assert_true(set("gamma", "1e-3")->gamma == 1e-3);
    assert_true(set("stop_at", "-inf")->stop_at == -INFINITY);
    assert_true(set("stop_at", "+1.5E2")->stop_at == 150);
    assert_true(set("stop_at", "1.7976931348623157e308")->stop_at == 1.7976931348623157e308);
    assert_true(set("stop_at", "5e-324")->stop_at == 5e-324);
    assert_true(set("stop_at", "0e-9999")->stop_at == 0);
    refuse("gamma", "1.5", "gamma: 1.5 is out of range, expected 0 <= gamma <= 1", "");
    refuse("gamma", "-0.1", "-0.1 is out of range", "0 <= gamma <= 1");
    refuse("gamma", "inf", "inf is out of range", "0 <= gamma <= 1");
    refuse("floor_only", "-1", "-1 is out of range", "expected floor_only >= 0");
    refuse("roof_only", "6", "6 is out of range", "expected roof_only <= 5");
    refuse("stop_at", "1e999", "too large", "a number such as 0.99");
    refuse("stop_at", "-1e999", "too large", "a number");
    refuse("stop_at", "1e-999", "too close to 0", "a number");
    static const char *const bad[] = {"",      "nan", "NaN",  "0x1p3", " 1",  "1 ",   "1.2.3",
                                      "1e",    "1e+", "abc",  "1f",    "-",   "inf ", "infinity",
                                      "1_000", "1,5", "1e3k", "--1",   "+-1", "\n1",  "1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse("stop_at", bad[i], "cannot be read", "a number such as 0.99 or 1e-3");
    char longest[2000];
    memset(longest, '1', sizeof longest);
    longest[sizeof longest - 1] = 0;
    refuse("gamma", longest, "111...", "a number");
}

static void schedules(void **state) {
    static const struct {
        const char *text;
        rein_schedule value;
    } good[] = {
        {"3e-4", {REIN_SCHEDULE_CONSTANT, 3e-4, 3e-4, 0}},
        {"lin_3e-4", {REIN_SCHEDULE_LINEAR, 3e-4, 0, 0}},
        {"lin_3e-4_1e-5", {REIN_SCHEDULE_LINEAR, 3e-4, 1e-5, 0}},
        {"cos_0.5", {REIN_SCHEDULE_COSINE, 0.5, 0, 0}},
        {"cos_0.5_0.25@0.1", {REIN_SCHEDULE_COSINE, 0.5, 0.25, 0.1}},
        {"3e-4@0.1", {REIN_SCHEDULE_CONSTANT, 3e-4, 3e-4, 0.1}},
        {"lin_1@0.5", {REIN_SCHEDULE_LINEAR, 1, 0, 0.5}},
        {"lin_0_1", {REIN_SCHEDULE_LINEAR, 0, 1, 0}},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        rein_schedule s = set("learning_rate", good[i].text)->learning_rate, want = good[i].value;
        assert_int_equal(s.shape, want.shape);
        assert_true(s.start == want.start && s.end == want.end && s.warmup == want.warmup);
    }
    static const char *const bad[] = {
        "",      "lin",   "lin_",   "lin_1_", "lin_1_2_3",   "lin1",    "cos_@0.1", "1@",     "1@0.1@",
        "1_0.5", "exp_1", "lin_1 ", "LIN_1",  "lin_1_0.5@x", "lin_x_1", "lin__1",   "1@0.1 ", "lin_0.1_0.1_"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse("learning_rate", bad[i], "cannot be read",
               "a schedule such as 3e-4, lin_3e-4, cos_3e-4_1e-5 or lin_3e-4@0.1");
    refuse("learning_rate", "2", "2 is out of range", "0 <= learning_rate <= 1");
    refuse("learning_rate", "lin_0.1_2", "the end value 2 is out of range", "learning_rate <= 1");
    refuse("learning_rate", "0.1@1", "warm-up 1 is out of range", "0 <= warm-up < 1");
    refuse("learning_rate", "0.1@-0.5", "warm-up -0.5 is out of range", "");
    refuse("learning_rate", "inf", "must be finite", "learning_rate");
    refuse("learning_rate", "lin_0.1_inf", "must be finite", "");
    refuse("learning_rate", "1e999", "too large", "a schedule");
}

static void lists(void **state) {
    config *c = set("hidden", "256");
    assert_int_equal(c->hidden.count, 1);
    assert_int_equal(c->hidden.at[0], 256);
    assert_int_equal(set("hidden", "none")->hidden.count, 0);
    c = set("hidden", "1,2,3,4,5,6,7,8");
    assert_int_equal(c->hidden.count, 8);
    assert_int_equal(c->hidden.at[7], 8);
    refuse("hidden", "0", "hidden: 0 is out of range", "1 <= hidden <= 65536");
    refuse("hidden", "64,70000", "70000 is out of range", "65536");
    refuse("hidden", "64,99999999999", "too large", "a list");
    refuse("hidden", "64,1.5", "is not whole", "a list");
    static const char *const bad[] = {"",
                                      ",",
                                      "64,",
                                      ",64",
                                      "64,,64",
                                      "64 64",
                                      "64, 64",
                                      "64;64",
                                      "None",
                                      "none,64",
                                      "1,2,3,4,5,6,7,8,9",
                                      "[64]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse("hidden", bad[i], "cannot be read", "a list of up to 8 whole numbers such as 64,64 (or none)");
}

static void texts(void **state) {
    char longest[400];
    memset(longest, 'a', sizeof longest);
    longest[255] = 0;
    assert_string_equal(set("path", longest)->path, longest);
    assert_string_equal(set("path", "")->path, "");
    assert_string_equal(set("path", "a b \"c\" \xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82")->path,
                        "a b \"c\" \xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82");
    longest[255] = 'a';
    longest[256] = 0;
    refuse("path", longest, "too long", "at most 255 bytes");
    longest[256] = 'a';
    longest[399] = 0;
    refuse("path", longest, "too long", "at most 255 bytes");
    refuse("path", "a\nb", "control character", "code 10");
    refuse("path", "a\x7f", "control character", "code 127");
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc3(",
                                      "\xc0\xaf",
                                      "\xe2\x82",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80",
                                      "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse("path", bad[i], "not UTF-8", "path");
}

static void choices(void **state) {
    assert_int_equal(set("loss", "clip")->loss, 0);
    assert_int_equal(set("loss", "penalty")->loss, 1);
    assert_int_equal(set("loss", "none")->loss, 2);
    refuse("loss", "penaltyy", "loss: \"penaltyy\" is not one of clip, penalty, none",
           "(did you mean \"penalty\"?)");
    refuse("loss", "zebra", "loss: \"zebra\" is not one of clip, penalty, none", "");
    assert_null(strstr(rein_error(), "did you mean"));
    refuse("loss", "", "is not one of", "clip, penalty, none");
    refuse("loss", "clip|penalty", "is not one of", "");
    refuse("loss", "cli", "is not one of", "\"clip\"");
}

/* the value is quoted in full or cut at a character, and never with bytes that are not text */
static void long_values_are_quoted_in_part(void **state) {
    char value[200], *quote;
    for (int n = 1; n < 199; n++) {
        memset(value, 'a', sizeof value);
        value[n] = 0;
        refuse("gamma", value, "gamma: \"a", "expected a number");
        quote = strchr(rein_error(), '"') + 1;
        assert_int_equal(strspn(quote, "a"), n <= 60 ? n : 60);
        assert_true((strncmp(quote + strspn(quote, "a"), "...\"", 4) == 0) == (n > 60));
    }
    for (int n = 0; n < 4; n++) {
        memset(value, 'a', sizeof value);
        for (int i = n; i + 3 < 150; i += 3)
            memcpy(value + i, "\xe2\x82\xac", 3);
        value[150] = 0;
        refuse("gamma", value, "...\"", "expected a number");
        config c;
        assert_int_equal(snprintf(c.path, sizeof c.path, "%s", rein_error()) > 0, 1);
        assert_ok(rein_fields_set(fields, N, &c, "path", c.path)); /* still UTF-8 */
    }
    refuse("gamma", "1\xc3(\xff\x01", "\"1?(??\"", "");
    for (int n = 50; n < 70; n++) {
        memset(value, '\xff', sizeof value);
        value[n] = 0;
        refuse("gamma", value, "\"???", "expected a number");
    }
}

/* a struct filled in C */
#define CHECK_FAILS(assignment, words)                                                                       \
    do {                                                                                                     \
        config c = defaults();                                                                               \
        assignment;                                                                                          \
        assert_fails(rein_fields_check(fields, N, &c), REIN_USAGE, words);                                   \
    } while (0)

static void structs_are_checked(void **state) {
    CHECK_FAILS(c.verbose = 2, "verbose: 2");
    CHECK_FAILS(c.offset = 11, "offset: 11");
    CHECK_FAILS(c.total_steps = 0, "total_steps: 0");
    CHECK_FAILS(c.gamma = NAN, "gamma: ");
    CHECK_FAILS(c.stop_at = NAN, "stop_at: ");
    CHECK_FAILS(c.gamma = 1.0000001, "gamma: 1.0000001");
    CHECK_FAILS(c.learning_rate.start = NAN, "finite");
    CHECK_FAILS(c.learning_rate.start = -1, "-1 is out of range");
    CHECK_FAILS(c.learning_rate.end = 2, "end value 2");
    CHECK_FAILS(c.learning_rate.shape = 3, "shape 3");
    CHECK_FAILS(c.learning_rate.warmup = NAN, "warm-up");
    CHECK_FAILS(c.hidden.count = 9, "9 values");
    CHECK_FAILS(c.hidden.count = -1, "-1 values");
    CHECK_FAILS(c.hidden.at[1] = 0, "hidden: 0");
    CHECK_FAILS(memset(c.path, 'a', sizeof c.path), "too long");
    CHECK_FAILS(c.loss = 3, "clip, penalty, none");
    CHECK_FAILS(c.loss = -1, "clip, penalty, none");
    config c = defaults();
    c.learning_rate = (rein_schedule){.shape = REIN_SCHEDULE_CONSTANT, .start = 1e-3, .end = 7};
    assert_ok(rein_fields_check(fields, N, &c)); /* a constant has no end */
    c.hidden.count = 1;
    c.hidden.at[1] = -5; /* not part of the list */
    assert_ok(rein_fields_check(fields, N, &c));
}

static const char *print(const config *c, const char *name) {
    static char out[600];
    size_t length = rein_field_print(&fields[rein_fields_find(fields, N, name)], c, out, sizeof out);
    assert_int_equal(length, strlen(out));
    return out;
}

static void printing(void **state) {
    static const char *const same[][2] = {
        {"verbose", "true"},
        {"verbose", "false"},
        {"offset", "-3"},
        {"total_steps", "1000000"},
        {"gamma", "0.99"},
        {"gamma", "0.1"},
        {"stop_at", "inf"},
        {"stop_at", "-inf"},
        {"stop_at", "0.3333333333333333"},
        {"stop_at", "-0"},
        {"stop_at", "1e+300"},
        {"learning_rate", "0.0003"},
        {"learning_rate", "lin_0.0003"},
        {"learning_rate", "cos_0.0003_1e-05@0.1"},
        {"learning_rate", "0.5@0.25"},
        {"hidden", "64,64"},
        {"hidden", "none"},
        {"path", "a b"},
        {"path", ""},
        {"loss", "penalty"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_string_equal(print(set(same[i][0], same[i][1]), same[i][0]), same[i][1]);
    assert_string_equal(print(set("total_steps", "2.5M"), "total_steps"), "2500000");
}

static void printing_into_little_room(void **state) {
    config c = defaults();
    char out[8] = "#######";
    const rein_field *f = &fields[rein_fields_find(fields, N, "total_steps")];
    assert_int_equal(rein_field_print(f, &c, NULL, 0), 7);
    assert_int_equal(rein_field_print(f, &c, out, 4), 7);
    assert_memory_equal(out, "100\0###", 7);
    assert_int_equal(rein_field_print(f, &c, out, 1), 7);
    assert_string_equal(out, "");
    assert_int_equal(rein_field_print(f, &c, out, 8), 7);
    assert_string_equal(out, "1000000");
}

static double random_real(rein_rng *rng) {
    for (;;) {
        uint64_t bits = (uint64_t)rein_rng_next(rng) << 32 | rein_rng_next(rng);
        double x;
        memcpy(&x, &bits, sizeof x);
        if (isfinite(x))
            return x;
    }
}

/* print and parse give back the same bits */
static void random_values_round_trip(void **state) {
    rein_rng rng = rein_rng_make(1, 0);
    for (int i = 0; i < 20000; i++) {
        config c = defaults(), back = defaults();
        c.stop_at = random_real(&rng);
        c.any_int =
            (int64_t)((uint64_t)rein_rng_next(&rng) << 32 | rein_rng_next(&rng)) >> rein_rng_below(&rng, 63);
        c.total_steps = 1 + rein_rng_next(&rng);
        c.gamma = rein_rng_uniform64(&rng);
        c.learning_rate.shape = (int)rein_rng_below(&rng, 3);
        c.learning_rate.start = rein_rng_uniform64(&rng);
        c.learning_rate.end = c.learning_rate.shape ? rein_rng_uniform(&rng) : c.learning_rate.start;
        c.learning_rate.warmup = rein_rng_below(&rng, 2) ? rein_rng_uniform(&rng) : 0;
        memset(&c.hidden, 0, sizeof c.hidden);
        c.hidden.count = (int)rein_rng_below(&rng, 9);
        for (int k = 0; k < c.hidden.count; k++)
            c.hidden.at[k] = 1 + (int32_t)rein_rng_below(&rng, 65536);
        c.verbose = (int)rein_rng_below(&rng, 2);
        c.loss = (int)rein_rng_below(&rng, 3);
        for (int f = 0; f < N; f++)
            assert_ok(rein_fields_set(fields, N, &back, fields[f].name, print(&c, fields[f].name)));
        assert_memory_equal(&c, &back, sizeof c);
    }
}

static void shortest_text_is_found(void **state) {
    char text[REINI_REAL_TEXT];
    assert_int_equal(reini_real_print(text, 0.1 + 0.2), 19);
    assert_string_equal(text, "0.30000000000000004");
    reini_real_print(text, -1.7976931348623157e308);
    assert_string_equal(text, "-1.7976931348623157e+308");
    reini_real_print(text, NAN);
    assert_non_null(strstr(text, "nan"));
    assert_int_equal(reini_real_format(text, 1.0 / 3, 9), 11);
    assert_string_equal(text, "0.333333333");
}

/* a program that embeds the library may have set a locale with a decimal comma */
static void locale_does_not_matter(void **state) {
    static const char *const with_comma[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "it_IT.UTF-8"};
    const char *found = NULL;
    for (int i = 0; i < 4 && !found; i++)
        found = setlocale(LC_ALL, with_comma[i]);
    if (!found)
        skip();
    assert_true(set("gamma", "0.5")->gamma == 0.5);
    assert_string_equal(print(set("gamma", "0.5"), "gamma"), "0.5");
    refuse("gamma", "0,5", "cannot be read", "");
    setlocale(LC_ALL, "C");
}

#define assert_near(x, y) assert_true(fabs((x) - (y)) < 1e-15)

static void schedule_values(void **state) {
    rein_schedule constant = {REIN_SCHEDULE_CONSTANT, 0.3, 9, 0};
    rein_schedule linear = {REIN_SCHEDULE_LINEAR, 0.4, 0.2, 0};
    rein_schedule cosine = {REIN_SCHEDULE_COSINE, 0.4, 0.2, 0};
    static const double p[] = {0, 0.25, 0.5, 1};
    static const double line[] = {0.4, 0.35, 0.3, 0.2};
    static const double curve[] = {0.4, 0.3 + 0.1 * 0.70710678118654752, 0.3, 0.2};
    for (int i = 0; i < 4; i++) {
        assert_true(rein_schedule_at(&constant, p[i]) == 0.3);
        assert_near(rein_schedule_at(&linear, p[i]), line[i]);
        assert_near(rein_schedule_at(&cosine, p[i]), curve[i]);
    }
    /* the ends are exact, and progress outside [0, 1] is taken to the nearest end */
    assert_true(rein_schedule_at(&linear, 1) == 0.2 && rein_schedule_at(&cosine, 1) == 0.2);
    assert_true(rein_schedule_at(&linear, 5) == 0.2 && rein_schedule_at(&linear, -5) == 0.4);
    assert_true(rein_schedule_at(&linear, NAN) == 0.4);
}

static void schedule_warm_up(void **state) {
    rein_schedule s = {REIN_SCHEDULE_LINEAR, 1, 0, 0.2};
    assert_near(rein_schedule_at(&s, 0), 0);
    assert_near(rein_schedule_at(&s, 0.05), 0.25);
    assert_near(rein_schedule_at(&s, 0.1), 0.5);
    assert_near(rein_schedule_at(&s, 0.2), 1);
    assert_near(rein_schedule_at(&s, 0.6), 0.5);
    assert_true(rein_schedule_at(&s, 1) == 0);
    s.shape = REIN_SCHEDULE_COSINE;
    assert_near(rein_schedule_at(&s, 0.1), 0.5);
    assert_near(rein_schedule_at(&s, 0.6), 0.5);
    s.shape = REIN_SCHEDULE_CONSTANT;
    assert_near(rein_schedule_at(&s, 0.1), 0.5);
    assert_near(rein_schedule_at(&s, 0.3), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_set),
        cmocka_unit_test(names),
        cmocka_unit_test(booleans),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(counts),
        cmocka_unit_test(reals),
        cmocka_unit_test(schedules),
        cmocka_unit_test(lists),
        cmocka_unit_test(texts),
        cmocka_unit_test(choices),
        cmocka_unit_test(long_values_are_quoted_in_part),
        cmocka_unit_test(structs_are_checked),
        cmocka_unit_test(printing),
        cmocka_unit_test(printing_into_little_room),
        cmocka_unit_test(random_values_round_trip),
        cmocka_unit_test(shortest_text_is_found),
        cmocka_unit_test(locale_does_not_matter),
        cmocka_unit_test(schedule_values),
        cmocka_unit_test(schedule_warm_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
