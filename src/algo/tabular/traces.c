/*
 * traces.c - eligibility traces of table entries (Sutton and Barto, 2nd ed., chapter 12).
 *
 *     d     = R + g V' - V(s)                                    the TD error
 *     z     = g l z, then  z(s) += 1                             accumulating
 *                          z(s)  = 1                             replacing (Singh and Sutton, 1996)
 *                          z(s) += 1 - a z(s)                    dutch
 *     V    += a d z                                              accumulating, replacing
 *     V    += a (d + V(s) - V_old) z,  V(s) -= a (V(s) - V_old)  dutch: true online TD(l), van Seijen and Sutton
 *                                                                (2014), Sutton and Barto's box of section 12.5
 *
 * where V_old is V' as it was one step ago. Only entries whose trace is not 0 are listed and touched.
 */
#include "algo/tabular/learn.h"

rein_status reini_traces_init(reini_traces *z, int kind, double decay, size_t entries) {
    *z = (reini_traces){.kind = kind, .decay = decay, .entries = entries};
    z->e = REINI_NEW_ARRAY(double, entries);
    z->listed = REINI_NEW_ARRAY(size_t, entries);
    if (z->e == NULL || z->listed == NULL)
        return reini_fail_memory(entries * 16, "eligibility traces");
    return REIN_OK;
}

void reini_traces_release(reini_traces *z) {
    reini_free(z->e);
    reini_free(z->listed);
    *z = (reini_traces){0};
}

rein_status reini_traces_visit(reini_traces *z, reini_archive *archive) {
    REINI_TRY(reini_archive_bytes(archive, "traces.count", &z->count, sizeof z->count));
    REINI_TRY(reini_archive_bytes(archive, "traces.before", &z->before, sizeof z->before));
    REINI_TRY(reini_archive_bytes(archive, "traces.listed", z->listed, z->entries * sizeof *z->listed));
    return reini_archive_bytes(archive, "traces.e", z->e, z->entries * sizeof *z->e);
}

void reini_traces_see(reini_traces *z, size_t entry, double rate) {
    double e = z->e[entry];
    if (e == 0)
        z->listed[z->count++] = entry;
    z->e[entry] = z->kind == REINI_TRACES_REPLACING ? 1
                  : z->kind == REINI_TRACES_DUTCH   ? e + 1 - rate * e
                                                    : e + 1;
}

void reini_traces_fade(reini_traces *z, double factor) {
    size_t kept = 0;
    for (size_t k = 0; k < z->count; k++) {
        size_t i = z->listed[k];
        double e = z->e[i] * factor;
        bool keep = e >= REINI_TRACE_LEAST;
        z->e[i] = keep ? e : 0;
        z->listed[kept] = i;
        kept += keep;
    }
    z->count = kept;
}

/* table += scale z; returns the sum of |changes| */
static double spread(const reini_traces *z, double *table, double scale) {
    double change = 0;
    for (size_t k = 0; k < z->count; k++) {
        size_t i = z->listed[k];
        double step = scale * z->e[i];
        table[i] += step;
        change += fabs(step);
    }
    return change;
}

void reini_traces_learn(reini_traces *z, reini_tabular *t, double *table, size_t entry,
                        const reini_transition *x, double value) {
    double v = table[entry], delta = x->r + t->gamma * value - v;
    double correction = z->kind == REINI_TRACES_DUTCH ? v - z->before : 0;
    bool finite = fabs(delta + correction) < INFINITY;
    reini_traces_see(z, entry, t->rate);
    t->updates++;
    if (finite) {
        t->change += spread(z, table, t->rate * (delta + correction));
        table[entry] -= t->rate * correction;
    }
    t->skipped += !finite;
    t->skipped_in_a_row = finite ? 0 : t->skipped_in_a_row + 1;
    z->before = x->ended || !finite ? 0 : value;
    reini_traces_fade(z, x->ended ? 0 : z->decay);
}
