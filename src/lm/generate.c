/*
 * generate.c - the schedule: which rows a pass computes, and what its logits become.
 *
 * A request goes through three stages. While it is a group its prompt is computed, piece by piece, into its home: the
 * slot of its only answer, or a shared slot that the slots of several answers continue. When the prompt is complete,
 * its last row gives the first token of every answer. From then on each answer is a sequence of its own, which enters a
 * free slot and adds a token in every pass. A home is given back when its last answer has ended.
 */
#include "lm/generate_state.h"

#include <string.h>

int reini_generator_kept(const reini_generator *g) {
    return reini_lm_cache_length(g->cache, 0);
}

/* ---- tokens that were drawn ------------------------------------------------------------------------------ */

static const reini_request *request_of(const reini_generator *g, const reini_group *of) {
    return &g->job->requests[of->request];
}

static bool ends_text(const reini_generate_job *job, int32_t token) {
    for (int i = 0; i < job->n_eos; i++)
        if (job->eos[i] == token)
            return true;
    return false;
}

static void diverged(reini_generator *g, const reini_group *of, int sample, int n) {
    if (g->status == REIN_OK)
        g->status =
            reini_fail(REIN_DIVERGED,
                       "request %d, answer %d: the logits after %d tokens are not finite: the weights are "
                       "damaged or have diverged",
                       of->request, sample, request_of(g, of)->n_prompt + n);
}

/* Reads the answer's last token for the stop strings. */
static bool stops(reini_generator *g, reini_answer *answer, int32_t *state, int64_t *bytes) {
    if (g->n_stop == 0)
        return false;
    int size;
    int64_t from;
    const char *piece = g->job->piece(g->job->user, answer->ids[answer->n - 1], &size);
    bool found = reini_stop_read(g->job->stop, state, piece, size, &from);
    if (found)
        answer->stop_at = *bytes + from;
    *bytes += size;
    return found;
}

/* Takes a token into the answer, and decides whether it was the last. state, bytes: of the text before it. */
static void take(reini_generator *g, const reini_group *of, int sample, reini_drawn drawn, int32_t *state,
                 int64_t *bytes) {
    const reini_request *request = request_of(g, of);
    reini_answer *answer = &request->answers[sample];
    if (drawn.token < 0) {
        diverged(g, of, sample, answer->n);
        return;
    }
    answer->ids[answer->n] = drawn.token;
    answer->logp[answer->n++] = drawn.logp;
    if (ends_text(g->job, drawn.token))
        answer->finish = REINI_FINISH_EOS;
    else if (stops(g, answer, state, bytes))
        answer->finish = REINI_FINISH_STOP;
    else if (answer->n == request->max_new)
        answer->finish = REINI_FINISH_LENGTH;
    if (g->job->on_token)
        g->job->on_token(g->job->user, of->request, sample);
    if (answer->finish != REINI_FINISH_NONE && g->job->on_answer)
        g->job->on_answer(g->job->user, of->request, sample);
}

/* ---- admission ------------------------------------------------------------------------------------------- */

static void leave_queue(reini_generator *g, int at) {
    g->group[g->queue[at]].used = false;
    g->n_queue--;
    memmove(g->queue + at, g->queue + at + 1, (size_t)(g->n_queue - at) * sizeof *g->queue);
}

/* A group whose answers have all ended gives back its home. */
static void release_groups(reini_generator *g) {
    for (int i = 0; i < g->n_queue; i++) {
        const reini_group *of = &g->group[g->queue[i]];
        if (of->ready && of->living == 0 && of->next == request_of(g, of)->samples)
            leave_queue(g, i--);
    }
}

/* Places the next answer of a ready group into a slot. False when there is none left. */
static bool begin(reini_generator *g, int index, int slot) {
    reini_group *of = &g->group[index];
    const reini_request *request = request_of(g, of);
    while (of->next < request->samples && request->answers[of->next].finish != REINI_FINISH_NONE)
        of->next++;
    if (of->next == request->samples)
        return false;
    const reini_answer *answer = &request->answers[of->next];
    g->sequence[slot] = (reini_sequence){true, index, of->next++, 0};
    of->living++;
    if (of->home != slot)
        reini_lm_cache_reset(g->cache, slot, of->home, request->n_prompt);
    int32_t *history = g->history + (int64_t)slot * g->opts.capacity;
    memcpy(history, request->prompt, (size_t)request->n_prompt * sizeof *history);
    history[request->n_prompt] = answer->ids[0];
    if (g->n_stop > 0) {
        /* the first token was read when it was drawn; here the text gets a state of its own */
        int32_t *state = g->stop_state + (int64_t)slot * g->n_stop;
        int size;
        int64_t from;
        memset(state, 0, (size_t)g->n_stop * sizeof *state);
        const char *piece = g->job->piece(g->job->user, answer->ids[0], &size);
        reini_stop_read(g->job->stop, state, piece, size, &from);
        g->sequence[slot].bytes = size;
    }
    return true;
}

static int free_slot(const reini_generator *g) {
    for (int s = 0; s < g->opts.slots; s++) {
        bool taken = g->sequence[s].used;
        for (int i = 0; !taken && i < g->n_queue; i++)
            taken = g->group[g->queue[i]].home == s;
        if (!taken)
            return s;
    }
    return -1;
}

static int free_shared(const reini_generator *g) {
    for (int s = g->opts.slots; s < g->opts.slots + g->opts.shared; s++) {
        bool taken = false;
        for (int i = 0; !taken && i < g->n_queue; i++)
            taken = g->group[g->queue[i]].home == s;
        if (!taken)
            return s;
    }
    return -1;
}

/* Slots that nothing has a claim to: not taken, and not awaited by the answers of a prompt being computed. */
static int unclaimed(const reini_generator *g) {
    int n = g->opts.slots;
    for (int s = 0; s < g->opts.slots; s++)
        n -= g->sequence[s].used;
    for (int i = 0; i < g->n_queue; i++)
        n -= g->group[g->queue[i]].ready ? 0 : request_of(g, &g->group[g->queue[i]])->samples;
    return n;
}

/* Takes the next request up, when it has a place. */
static bool admit(reini_generator *g) {
    if (g->next_request == g->job->n || unclaimed(g) <= 0 || g->n_queue == g->groups)
        return false;
    const reini_request *request = &g->job->requests[g->next_request];
    int home = request->samples > 1 && g->opts.shared > 0 ? free_shared(g) : free_slot(g);
    if (home < 0)
        return false;
    int index = 0;
    while (g->group[index].used)
        index++;
    if (request->kept == 0)
        reini_lm_cache_reset(g->cache, home, -1, 0);
    g->group[index] =
        (reini_group){.used = true, .request = g->next_request++, .home = home, .computed = request->kept};
    g->queue[g->n_queue++] = index;
    return true;
}

static void refill(reini_generator *g) {
    release_groups(g);
    for (int i = 0; i < g->n_queue; i++) {
        int index = g->queue[i];
        const reini_group *of = &g->group[index];
        if (!of->ready)
            continue;
        if (of->home < g->opts.slots) {
            /* its only answer goes on where the prompt lies */
            if (of->next == 0)
                begin(g, index, of->home);
            continue;
        }
        for (int slot; (slot = free_slot(g)) >= 0 && begin(g, index, slot);) {
        }
    }
    /* what ended with its first token */
    release_groups(g);
    while (admit(g)) {
    }
}

/* ---- a pass ---------------------------------------------------------------------------------------------- */

static void want_logits(reini_generator *g, int *n, int row, int of) {
    g->logit_row[*n] = row;
    g->logit_of[(*n)++] = of;
}

/* The next token of every sequence. */
static void add_sequences(reini_generator *g, reini_lm_batch *batch, int *n_logits) {
    for (int s = 0; s < g->opts.slots; s++) {
        if (!g->sequence[s].used)
            continue;
        const reini_request *request = request_of(g, &g->group[g->sequence[s].group]);
        const reini_answer *answer = &request->answers[g->sequence[s].sample];
        want_logits(g, n_logits, batch->tokens, s);
        g->start[batch->documents] = batch->tokens;
        g->document_slot[batch->documents++] = s;
        g->token[batch->tokens++] = answer->ids[answer->n - 1];
    }
}

/* Pieces of the prompts, first come first served. */
static void add_prompts(reini_generator *g, reini_lm_batch *batch, int *n_logits) {
    int room = g->opts.prefill;
    for (int i = 0; i < g->n_queue && room > 0; i++) {
        reini_group *of = &g->group[g->queue[i]];
        if (of->ready)
            continue;
        const reini_request *request = request_of(g, of);
        int n = request->n_prompt - of->computed < room ? request->n_prompt - of->computed : room;
        g->start[batch->documents] = batch->tokens;
        g->document_slot[batch->documents++] = of->home;
        memcpy(g->token + batch->tokens, request->prompt + of->computed, (size_t)n * sizeof *g->token);
        batch->tokens += n;
        of->computed += n;
        room -= n;
        if (of->computed == request->n_prompt)
            want_logits(g, n_logits, batch->tokens - 1, g->opts.slots + g->queue[i]);
    }
}

/* Draws the next token of a sequence, or the first ones of a group: called by the workers. */
static void draw(void *user, int task, int worker) {
    reini_generator *g = user;
    int of = g->logit_of[g->chunk + task];
    const float *logits = g->logits + (int64_t)task * g->vocabulary;
    const reini_sampling *how = &g->job->sampling;
    if (of < g->opts.slots) {
        const reini_sequence *seq = &g->sequence[of];
        const reini_request *request = request_of(g, &g->group[seq->group]);
        int n = request->answers[seq->sample].n;
        reini_place place = {g->job->seed, request->stream, (uint32_t)seq->sample, (uint32_t)n};
        g->drawn[of] =
            reini_sample(g->sampler[worker], how, logits, g->history + (int64_t)of * g->opts.capacity,
                         request->n_prompt + n, place);
        return;
    }
    const reini_request *request = request_of(g, &g->group[of - g->opts.slots]);
    for (int k = 0; k < request->samples; k++) {
        reini_place place = {g->job->seed, request->stream, (uint32_t)k, 0};
        reini_drawn drawn =
            reini_sample(g->sampler[worker], how, logits, request->prompt, request->n_prompt, place);
        /* kept where they belong until `take` counts them */
        request->answers[k].ids[0] = drawn.token;
        request->answers[k].logp[0] = drawn.logp;
    }
}

static void take_next(reini_generator *g, int slot) {
    reini_sequence *seq = &g->sequence[slot];
    reini_group *of = &g->group[seq->group];
    const reini_answer *answer = &request_of(g, of)->answers[seq->sample];
    int32_t *state = g->n_stop > 0 ? g->stop_state + (int64_t)slot * g->n_stop : NULL;
    take(g, of, seq->sample, g->drawn[slot], state, &seq->bytes);
    if (answer->finish != REINI_FINISH_NONE) {
        seq->used = false;
        of->living--;
    } else if (g->status == REIN_OK) {
        g->history[(int64_t)slot * g->opts.capacity + request_of(g, of)->n_prompt + answer->n - 1] =
            g->drawn[slot].token;
    }
}

static void take_first(reini_generator *g, reini_group *of) {
    const reini_request *request = request_of(g, of);
    of->ready = true;
    for (int k = 0; k < request->samples; k++) {
        reini_drawn drawn = {request->answers[k].ids[0], request->answers[k].logp[0]};
        int32_t *state = g->n_stop > 0 ? g->stop_state + (int64_t)g->opts.slots * g->n_stop : NULL;
        int64_t bytes = 0;
        if (state)
            memset(state, 0, (size_t)g->n_stop * sizeof *state);
        take(g, of, k, drawn, state, &bytes);
    }
}

static void draw_tokens(reini_generator *g, int n) {
    for (g->chunk = 0; g->chunk < n; g->chunk += g->rows) {
        int m = n - g->chunk < g->rows ? n - g->chunk : g->rows;
        reini_lm_logits(g->lm, m, g->logit_row + g->chunk, g->logits);
        rein_pool_run(g->pool, m, draw, g);
    }
    for (int i = 0; i < n; i++) {
        if (g->logit_of[i] < g->opts.slots)
            take_next(g, g->logit_of[i]);
        else
            take_first(g, &g->group[g->logit_of[i] - g->opts.slots]);
    }
}

/* False when nothing is left to compute. */
static bool pass(reini_generator *g) {
    reini_lm_batch batch = {
        .token = g->token, .start = g->start, .cache = g->cache, .slot = g->document_slot};
    int n_logits = 0;
    refill(g);
    add_sequences(g, &batch, &n_logits);
    add_prompts(g, &batch, &n_logits);
    if (batch.tokens == 0)
        return false;
    g->start[batch.documents] = batch.tokens;
    reini_lm_forward(g->lm, &batch);
    draw_tokens(g, n_logits);
    return g->status == REIN_OK;
}

/* ---- a call ---------------------------------------------------------------------------------------------- */

static rein_status check_request(const reini_generator *g, const reini_request *r, int i) {
    if (r->n_prompt < 1)
        return reini_fail(REIN_USAGE, "request %d has an empty prompt, expected at least one token", i);
    if (r->samples < 1 || r->max_new < 1)
        return reini_fail(REIN_USAGE,
                          "request %d wants %d answers of %d tokens, expected at least one of each", i,
                          r->samples, r->max_new);
    if (r->n_prompt + r->max_new > g->opts.capacity)
        return reini_fail(
            REIN_USAGE,
            "request %d: a prompt of %d tokens and %d new ones need %d positions, there are %d: "
            "shorten the prompt or lower max_new_tokens",
            i, r->n_prompt, r->max_new, r->n_prompt + r->max_new, g->opts.capacity);
    if (r->samples > 1 && g->opts.shared < 1)
        return reini_fail(REIN_USAGE, "request %d wants %d answers, and no shared prompts were provided for",
                          i, r->samples);
    if (r->kept < 0 || r->kept >= r->n_prompt ||
        (r->kept > 0 &&
         (i > 0 || g->opts.slots != 1 || r->samples != 1 || r->kept != reini_generator_kept(g))))
        return reini_fail(REIN_USAGE, "request %d goes on after %d positions, which are not there", i,
                          r->kept);
    for (int k = 0; k < r->n_prompt; k++)
        if (r->prompt[k] < 0 || r->prompt[k] >= g->vocabulary)
            return reini_fail(
                REIN_USAGE,
                "request %d: token %d of the prompt is %d, and the model has %d: the tokenizer is "
                "another model's",
                i, k, r->prompt[k], g->vocabulary);
    return REIN_OK;
}

static rein_status prepare(reini_generator *g, const reini_generate_job *job) {
    REINI_TRY(reini_sampling_check(&job->sampling));
    for (int i = 0; i < job->n; i++) {
        REINI_TRY(check_request(g, &job->requests[i], i));
        for (int k = 0; k < job->requests[i].samples; k++) {
            reini_answer *answer = &job->requests[i].answers[k];
            answer->n = 0;
            answer->finish = REINI_FINISH_NONE;
            answer->stop_at = -1;
        }
    }
    int n_stop = reini_stop_count(job->stop);
    if (n_stop > g->n_stop || (n_stop > 0 && !g->stop_state)) {
        reini_free(g->stop_state);
        g->stop_state = REINI_NEW_ARRAY(int32_t, (size_t)(g->opts.slots + 1) * (size_t)n_stop);
        if (!g->stop_state)
            return reini_fail_memory((size_t)(g->opts.slots + 1) * (size_t)n_stop * 4, "stop strings");
    }
    g->n_stop = n_stop;
    g->job = job;
    g->next_request = g->n_queue = 0;
    g->status = REIN_OK;
    memset(g->sequence, 0, (size_t)g->opts.slots * sizeof *g->sequence);
    memset(g->group, 0, (size_t)g->groups * sizeof *g->group);
    return REIN_OK;
}

rein_status reini_generate(reini_generator *g, const reini_generate_job *job) {
    REINI_TRY(prepare(g, job));
    while (pass(g))
        if (job->interrupt && *job->interrupt)
            return reini_fail(REIN_INTERRUPTED, "generation was stopped");
    return g->status;
}
