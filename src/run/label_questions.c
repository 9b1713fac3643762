/*
 * label_questions.c - candidates to questions: which answers are compared, and in which order they are shown.
 *
 * People and models prefer what stands first or last, so the order is drawn anew for every question, from (seed, group).
 * Which answers of a prompt are paired is a round-robin tournament of the drawn order (the circle method: one answer
 * stays, the others move around it): every round has each answer at most once, and all rounds have every pair once.
 */
#include <stdio.h>
#include <string.h>
#include <rein/rng.h>
#include "base/file.h"
#include "run/labelling.h"

/* ---- room ------------------------------------------------------------------------------------------------ */

static rein_status make_room(rein_label *l, int answers) {
    size_t shown = (size_t)(l->n_shown + answers);
    REINI_TRY(reini_reserve(&l->question, &l->room, (size_t)l->n + 1, sizeof *l->question, "questions"));
    return reini_reserve(&l->shown, &l->shown_room, shown, sizeof *l->shown, "questions");
}

/* ---- keys ------------------------------------------------------------------------------------------------ */

typedef uint8_t digest[32];

static rein_status digest_value(const json_t *value, digest out) {
    reini_sha256 *sha = reini_sha256_new();
    char *text = sha ? reini_json_text(value, false) : NULL;
    if (sha && text)
        reini_sha256_add(sha, text, strlen(text));
    if (sha)
        reini_sha256_finish(sha, out);
    reini_free(text);
    return text ? REIN_OK : reini_fail_memory(4096, "a digest");
}

/* digests of a group's answers, and of its prompt behind them */
static rein_status digest_group(const rein_label *l, const reini_candidate_group *g, digest *out) {
    for (int i = 0; i < g->n; i++)
        REINI_TRY(digest_value(l->candidates.answer[g->first + i].answer, out[i]));
    return digest_value(g->prompt, out[g->n]);
}

/* of form, prompt, and answers in the order of the file */
static rein_status digest_question(const rein_label *l, const reini_label_question *q, const digest *parts,
                                   digest out) {
    int n = l->candidates.group[q->group].n;
    const char *form = reini_label_forms[l->form];
    reini_sha256 *sha = reini_sha256_new();
    if (!sha)
        return reini_fail_memory(256, "a digest");
    reini_sha256_add(sha, form, strlen(form) + 1);
    reini_sha256_add(sha, parts[n], sizeof parts[n]);
    for (int k = 0; k < n; k++)
        for (int i = 0; i < q->n; i++)
            if (reini_label_shown(l, q, i) == k)
                reini_sha256_add(sha, parts[k], sizeof parts[k]);
    reini_sha256_finish(sha, out);
    return REIN_OK;
}

/* the same question may be there twice: the second key ends in -2 */
static rein_status name_question(rein_label *l, reini_label_question *q, const digest *parts) {
    digest bytes;
    char plain[20];
    REINI_TRY(digest_question(l, q, parts, bytes));
    reini_hex(plain, bytes, 8);
    snprintf(q->key, sizeof q->key, "%s", plain);
    for (int k = 2; json_object_get(l->index, q->key); k++)
        snprintf(q->key, sizeof q->key, "%s-%d", plain, k);
    return json_object_set_new(l->index, q->key, json_integer(l->n)) == 0
               ? REIN_OK
               : reini_fail_memory(64, "questions");
}

/* the group whose questions are made */
typedef struct making {
    rein_label *label;
    int64_t group;
    int32_t *order; /* its answers as drawn */
    digest *parts;
    int n, pairs;
    rein_rng rng;
} making;

static rein_status add_question(const making *m, const int32_t *shown, int n) {
    rein_label *l = m->label;
    REINI_TRY(make_room(l, n));
    reini_label_question *q = &l->question[l->n];
    *q = (reini_label_question){.group = m->group, .shown = l->n_shown, .decision = -1, .n = n};
    memcpy(l->shown + l->n_shown, shown, (size_t)n * sizeof *shown);
    REINI_TRY(name_question(l, q, (const digest *)m->parts));
    l->most = n > l->most ? n : l->most;
    l->n_shown += n;
    l->n++;
    return REIN_OK;
}

/* ---- questions of a group -------------------------------------------------------------------------------- */

static void draw_order(making *m) {
    for (int i = 0; i < m->n; i++)
        m->order[i] = i;
    for (int i = m->n - 1; i > 0; i--) {
        int k = (int)rein_rng_below(&m->rng, (uint32_t)i + 1);
        int32_t kept = m->order[i];
        m->order[i] = m->order[k];
        m->order[k] = kept;
    }
}

/* at most so many, 0 = one round, -1 = all */
static rein_status add_pairs(making *m) {
    int even = m->n + m->n % 2, rounds = m->pairs == 0 ? 1 : even - 1;
    int left = m->pairs > 0 ? m->pairs : INT32_MAX;
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < even / 2 && left > 0; i++) {
            int a = i == 0 ? even - 1 : (r + i) % (even - 1), b = (r + even - 1 - i) % (even - 1);
            if (a >= m->n)
                continue; /* an odd one waits */
            bool turn = rein_rng_below(&m->rng, 2) == 1;
            int32_t shown[2] = {m->order[turn ? a : b], m->order[turn ? b : a]};
            REINI_TRY(add_question(m, shown, 2));
            left--;
        }
    return REIN_OK;
}

static rein_status add_group(making *m) {
    const reini_candidate_group *g = &m->label->candidates.group[m->group];
    reini_label_form form = m->label->form;
    m->n = g->n;
    if (m->n < (form == REINI_LABEL_UNPAIRED ? 1 : 2))
        return REIN_OK;
    REINI_TRY(digest_group(m->label, g, m->parts));
    draw_order(m);
    if (form == REINI_LABEL_RANKING)
        return add_question(m, m->order, m->n);
    if (form == REINI_LABEL_PAIRS)
        return add_pairs(m);
    for (int i = 0; i < m->n; i++)
        REINI_TRY(add_question(m, &m->order[i], 1));
    return REIN_OK;
}

static rein_status check_any(const rein_label *l) {
    if (l->n > 0)
        return REIN_OK;
    return reini_fail(REIN_FORMAT,
                      "%s: nothing to decide: %lld prompts, none with %s; draw several for each with `rein "
                      "generate --n 4 --temperature 1`",
                      l->candidates.path, (long long)l->candidates.n,
                      l->form == REINI_LABEL_UNPAIRED ? "an answer" : "two different answers");
}

rein_status reini_label_make_questions(rein_label *l, uint64_t seed, int pairs) {
    const reini_candidates *c = &l->candidates;
    int most = 1;
    for (int64_t g = 0; g < c->n; g++)
        most = c->group[g].n > most ? c->group[g].n : most;
    making m = {.label = l,
                .order = REINI_NEW_ARRAY(int32_t, (size_t)most),
                .parts = REINI_NEW_ARRAY(digest, (size_t)most + 1),
                .pairs = pairs};
    rein_status status = m.order && m.parts ? REIN_OK : reini_fail_memory((size_t)most * 36, "questions");
    for (m.group = 0; status == REIN_OK && m.group < c->n; m.group++) {
        m.rng = rein_rng_make(seed, (uint64_t)m.group);
        status = add_group(&m);
    }
    reini_free(m.order);
    reini_free(m.parts);
    return status == REIN_OK ? check_any(l) : status;
}

/* ---- open ones ------------------------------------------------------------------------------------------- */

static bool is_open(const rein_label *l, const reini_label_question *q) {
    bool skipped = q->decision >= 0 && l->decision[q->decision].kind == REINI_LABEL_SKIP;
    return q->decision < 0 || q->reopened || (l->skipped && skipped && q->decision < l->loaded);
}

reini_label_question *reini_label_open_question(rein_label *l) {
    while (l->first < l->n && !is_open(l, &l->question[l->first]))
        l->first++;
    return l->first < l->n ? &l->question[l->first] : NULL;
}
