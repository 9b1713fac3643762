/*
 * progress.c - the progress line.
 */
#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "run/progress.h"

#define TERMINAL_SECONDS 0.1
#define PLAIN_SECONDS    5.0
#define SMOOTH_SECONDS   15.0 /* the speed shown follows changes within about this time */
#define LINE_BYTES       512
#define KEY_BYTES        48

struct reini_progress {
    FILE *out;
    bool terminal;
    int fake_width; /* > 0: a terminal's width set by a test */
    double (*seconds)(void);
    char label[128];
    const char *unit;
    int64_t total, done;
    double mean_return, value;
    char key[KEY_BYTES];
    double drawn_at, rate_at; /* seconds */
    int64_t rate_done;
    double rate; /* steps/s, NAN before two looks at the clock */
    bool
        drawn_any; /* a terminal shows its first line at once; plain output only where something takes long */
    bool fresh;    /* updated since it was last drawn */
    int drawn;     /* columns of the line that stands on the terminal */
};

static double monotonic_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

rein_status reini_progress_new(FILE *out, const char *label, int64_t total, int64_t done,
                               reini_progress **progress) {
    reini_progress *p = *progress = REINI_NEW(reini_progress);
    if (!p)
        return reini_fail_memory(sizeof *p, "a progress line");
    p->out = out;
    p->terminal = out && isatty(fileno(out));
    p->seconds = monotonic_seconds;
    snprintf(p->label, sizeof p->label, "%s", label);
    p->total = total;
    p->unit = "steps";
    p->done = p->rate_done = done;
    p->rate_at = p->drawn_at = p->seconds();
    p->mean_return = p->value = p->rate = NAN;
    return REIN_OK;
}

void reini_progress_fake(reini_progress *p, int width, double (*seconds)(void)) {
    p->terminal = width > 0;
    p->fake_width = width;
    p->seconds = seconds;
    p->rate_at = p->drawn_at = seconds();
}

/* ---- text ---------------------------------------------------------------------------------------------- */

/* three significant digits with a unit: 950, 12.3k, 1.5M; a whole number of units has no point */
static const char *short_count(char out[32], double x) {
    static const char *const units[] = {"", "k", "M", "G", "T"};
    int unit = 0;
    for (; unit < 4 && fabs(x) >= 999.5; unit++)
        x /= 1000;
    snprintf(out, 32, "%.3g%s", x, units[unit]);
    return out;
}

/* 0:45, 12:03, 3:20:00, 4d 5h */
static const char *short_time(char out[32], double seconds) {
    long long s = seconds < 1e10 ? (long long)ceil(seconds) : 9999999999;
    if (s >= 48 * 3600)
        snprintf(out, 32, "%lldd %lldh", s / 86400, s % 86400 / 3600);
    else if (s >= 3600)
        snprintf(out, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 32, "%lld:%02lld", s / 60, s % 60);
    return out;
}

/* adds a part unless the line would grow past `width` columns; false when it did not fit */
static bool add(char *line, int width, const char *part) {
    size_t used = strlen(line), length = strlen(part) + (used ? 2 : 0);
    if (used + length > (size_t)width || used + length >= LINE_BYTES)
        return false;
    snprintf(line + used, LINE_BYTES - used, "%s%s", used ? "  " : "", part);
    return true;
}

/* parts in order of what a reader needs first */
static void compose(const reini_progress *p, char line[LINE_BYTES], int width) {
    char part[192], a[32], b[32];
    line[0] = 0;
    bool fits = add(line, width, p->label);
    if (p->total > 0) {
        double share = 100.0 * (double)p->done / (double)p->total;
        snprintf(part, sizeof part, "%3.0f%%", floor(fmin(share, 100)));
        fits = fits && add(line, width, part);
        snprintf(part, sizeof part, "%s/%s", short_count(a, (double)p->done),
                 short_count(b, (double)p->total));
    } else {
        snprintf(part, sizeof part, "%s %s", short_count(a, (double)p->done), p->unit);
    }
    fits = fits && add(line, width, part);
    if (isfinite(p->rate) && p->rate > 0) {
        snprintf(part, sizeof part, "%s %s/s", short_count(a, p->rate), p->unit);
        fits = fits && add(line, width, part);
        if (p->total > p->done) {
            snprintf(part, sizeof part, "%s left", short_time(a, (double)(p->total - p->done) / p->rate));
            fits = fits && add(line, width, part);
        }
    }
    if (!isnan(p->mean_return)) {
        snprintf(part, sizeof part, "return %.4g", p->mean_return);
        fits = fits && add(line, width, part);
    }
    if (p->key[0] && !isnan(p->value)) {
        snprintf(part, sizeof part, "%s %.3g", p->key, p->value);
        (void)(fits && add(line, width, part));
    }
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

static int terminal_width(const reini_progress *p) {
    struct winsize size;
    if (p->fake_width > 0)
        return p->fake_width;
    if (ioctl(fileno(p->out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static void draw(reini_progress *p) {
    char line[LINE_BYTES];
    p->fresh = false;
    p->drawn_any = true;
    if (!p->terminal) {
        compose(p, line, LINE_BYTES - 1);
        fprintf(p->out, "%s\n", line);
        fflush(p->out);
        return;
    }
    /* the last column stays free: some terminals wrap as soon as it is written */
    compose(p, line, terminal_width(p) - 1);
    int length = (int)strlen(line), rest = p->drawn > length ? p->drawn - length : 0;
    fprintf(p->out, "\r%s%*s", line, rest, "");
    if (rest > 0)
        fprintf(p->out, "\r%s", line);
    fflush(p->out);
    p->drawn = length;
}

/* exponential average over time, so that a pause for an evaluation does not throw the estimate */
static void measure_rate(reini_progress *p, double now) {
    double passed = now - p->rate_at;
    if (passed < TERMINAL_SECONDS)
        return;
    double rate = (double)(p->done - p->rate_done) / passed;
    p->rate = isnan(p->rate) ? rate : p->rate + (rate - p->rate) * (1 - exp(-passed / SMOOTH_SECONDS));
    p->rate_at = now;
    p->rate_done = p->done;
}

void reini_progress_count(reini_progress *p, const char *unit) {
    p->unit = unit;
    p->total = 0;
}

void reini_progress_update(reini_progress *p, int64_t done, double mean_return, const char *key,
                           double value) {
    if (!p->out)
        return;
    p->done = done;
    p->mean_return = mean_return;
    p->value = value;
    p->fresh = true;
    snprintf(p->key, sizeof p->key, "%s", key ? key : "");
    double now = p->seconds();
    measure_rate(p, now);
    bool soon = now - p->drawn_at < (p->terminal ? TERMINAL_SECONDS : PLAIN_SECONDS);
    if (soon && (p->drawn_any || !p->terminal))
        return;
    p->drawn_at = now;
    draw(p);
}

void reini_progress_clear(reini_progress *p) {
    if (!p->out || !p->terminal || p->drawn == 0)
        return;
    fprintf(p->out, "\r%*s\r", p->drawn, "");
    fflush(p->out);
    p->drawn = 0;
    p->drawn_any = false;
    p->fresh = true;
}

void reini_progress_free(reini_progress *p) {
    if (!p)
        return;
    if (p->out && p->fresh)
        draw(p);
    if (p->out && p->terminal && p->drawn > 0) {
        fputc('\n', p->out);
        fflush(p->out);
    }
    reini_free(p);
}
