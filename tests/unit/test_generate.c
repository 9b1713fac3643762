/*
 * test_generate.c - the schedule against the plain loop: a whole forward pass for every token of every answer.
 */
#include <math.h>
#include <rein/rng.h>
#include "lm/generate.h"
#include "support/small_lm.h"

enum { REQUESTS = 7, MOST_SAMPLES = 4, MOST_NEW = 12, CAPACITY = 40, SEED = 11 };

/* ---- requests -------------------------------------------------------------------------------------------- */

typedef struct work {
    reini_request request[REQUESTS];
    int32_t prompt[REQUESTS][CAPACITY];
    void *block;
} work;

static void work_init(work *w, bool backwards) {
    memset(w, 0, sizeof *w);
    for (int i = 0; i < REQUESTS; i++) {
        int which = backwards ? REQUESTS - 1 - i : i;
        rein_rng rng = rein_rng_make(77, (uint64_t)which);
        reini_request *r = &w->request[i];
        r->prompt = w->prompt[i];
        r->n_prompt = (int[]){1, 9, 3, 20, 2, 14, 5}[which];
        r->samples = (int[]){1, 3, 1, 4, 2, 1, 1}[which];
        r->max_new = (int[]){12, 5, 1, 12, 7, 12, 9}[which];
        r->stream = (uint64_t)which;
        for (int k = 0; k < r->n_prompt; k++)
            w->prompt[i][k] = (int32_t)rein_rng_below(&rng, SMALL_LM_VOCABULARY);
    }
    assert_ok(reini_answers_new(w->request, REQUESTS, &w->block));
}

static const reini_request *by_stream(const work *w, int stream) {
    for (int i = 0; i < REQUESTS; i++)
        if (w->request[i].stream == (uint64_t)stream)
            return &w->request[i];
    return NULL;
}

static void assert_same_answers(const work *a, const work *b) {
    for (int i = 0; i < REQUESTS; i++)
        for (int k = 0; k < by_stream(a, i)->samples; k++) {
            const reini_answer *x = &by_stream(a, i)->answers[k], *y = &by_stream(b, i)->answers[k];
            if (x->n != y->n || x->finish != y->finish || x->stop_at != y->stop_at ||
                memcmp(x->ids, y->ids, (size_t)x->n * sizeof *x->ids) != 0 ||
                memcmp(x->logp, y->logp, (size_t)x->n * sizeof *x->logp) != 0)
                fail_msg("request %d, answer %d differ: %d tokens (%s) and %d (%s)", i, k, x->n,
                         reini_finish_name(x->finish), y->n, reini_finish_name(y->finish));
        }
}

static reini_generate_job job_of(const work *w, reini_sampling sampling) {
    static const int32_t eos[] = {52, 17};
    return (reini_generate_job){
        .requests = w->request, .n = REQUESTS, .sampling = sampling, .seed = SEED, .eos = eos, .n_eos = 2};
}

/* ---- the plain loop -------------------------------------------------------------------------------------- */

static void plain_answer(reini_lm *lm, reini_sampler *sampler, const reini_generate_job *job,
                         const reini_request *r, int sample) {
    int32_t token[CAPACITY], start[2] = {0, r->n_prompt};
    float logits[SMALL_LM_VOCABULARY];
    reini_answer *answer = &r->answers[sample];
    memcpy(token, r->prompt, (size_t)r->n_prompt * sizeof *token);
    *answer = (reini_answer){.ids = answer->ids, .logp = answer->logp, .stop_at = -1};
    while (answer->finish == REINI_FINISH_NONE) {
        reini_lm_batch batch = {.tokens = start[1], .documents = 1, .token = token, .start = start};
        reini_lm_forward(lm, &batch);
        int32_t last = start[1] - 1;
        reini_lm_logits(lm, 1, &last, logits);
        reini_place place = {job->seed, r->stream, (uint32_t)sample, (uint32_t)answer->n};
        reini_drawn drawn = reini_sample(sampler, &job->sampling, logits, token, start[1], place);
        token[start[1]++] = drawn.token;
        answer->ids[answer->n] = drawn.token;
        answer->logp[answer->n++] = drawn.logp;
        if (answer->n == r->max_new)
            answer->finish = REINI_FINISH_LENGTH;
        for (int i = 0; i < job->n_eos; i++)
            if (drawn.token == job->eos[i])
                answer->finish = REINI_FINISH_EOS;
    }
}

static void plain(const reini_lm_weights *w, const work *to, reini_sampling sampling) {
    reini_lm_opts opts = {.tokens = CAPACITY, .documents = 1};
    reini_generate_job job = job_of(to, sampling);
    reini_sampler *sampler;
    reini_lm *lm;
    assert_ok(reini_sampler_new(w->shape.vocabulary, &sampler));
    assert_ok(reini_lm_new(w, NULL, &opts, NULL, &lm));
    for (int i = 0; i < REQUESTS; i++)
        for (int k = 0; k < to->request[i].samples; k++)
            plain_answer(lm, sampler, &job, &to->request[i], k);
    reini_lm_free(lm);
    reini_sampler_free(sampler);
}

static void run(const reini_lm_weights *w, const work *to, reini_sampling sampling,
                const reini_generator_opts *opts, int threads) {
    rein_pool *pool = threads > 1 ? rein_pool_new(threads) : NULL;
    reini_generator *g;
    assert_ok(reini_generator_new(w, NULL, opts, pool, &g));
    reini_generate_job job = job_of(to, sampling);
    assert_ok(reini_generate(g, &job));
    reini_generator_free(g);
    rein_pool_free(pool);
}

static reini_sampling sampled(void) {
    reini_sampling s = reini_sampling_plain(1.3);
    s.top_k = 20;
    s.top_p = 0.95;
    s.repetition_penalty = 1.1;
    return s;
}

/* ---- tests ----------------------------------------------------------------------------------------------- */

static const reini_generator_opts layouts[] = {
    {.slots = 1, .capacity = CAPACITY, .prefill = 64, .shared = 1},
    {.slots = 3, .capacity = CAPACITY, .prefill = 4, .shared = 1},
    {.slots = 8, .capacity = CAPACITY, .prefill = 7, .shared = 3},
    {.slots = 20, .capacity = CAPACITY, .prefill = 1, .shared = 2},
    {.slots = 5, .capacity = CAPACITY, .shared = 5},
};

static void test_equal_to_the_plain_loop(void **state) {
    (void)state;
    for (int family = 0; family < SMALL_LM_FAMILIES; family++) {
        reini_lm_weights *w = small_lm((reini_family)family, REIN_F32, 3);
        reini_sampling how[] = {reini_sampling_plain(0), reini_sampling_plain(1), sampled()};
        for (int s = 0; s < 3; s++) {
            work expected;
            work_init(&expected, false);
            plain(w, &expected, how[s]);
            for (size_t k = 0; k < sizeof layouts / sizeof *layouts; k++) {
                work found;
                work_init(&found, k % 2 == 1);
                run(w, &found, how[s], &layouts[k], (int)k % 3 + 1);
                assert_same_answers(&expected, &found);
                reini_free(found.block);
            }
            reini_free(expected.block);
        }
        reini_lm_weights_free(w);
    }
}

/* answers begin to differ, and end in more than one way: else the test above would show little */
static void test_the_requests_are_of_many_kinds(void **state) {
    (void)state;
    reini_lm_weights *w = small_lm(REINI_LLAMA, REIN_F32, 3);
    work found;
    int ends[4] = {0}, different = 0;
    work_init(&found, false);
    run(w, &found, reini_sampling_plain(1), &layouts[2], 1);
    for (int i = 0; i < REQUESTS; i++)
        for (int k = 0; k < found.request[i].samples; k++) {
            const reini_answer *a = &found.request[i].answers[k], *first = &found.request[i].answers[0];
            ends[a->finish]++;
            different += a->n != first->n || memcmp(a->ids, first->ids, (size_t)a->n * sizeof *a->ids) != 0;
        }
    assert_true(ends[REINI_FINISH_EOS] > 0 && ends[REINI_FINISH_LENGTH] > 0 && different >= 4);
    reini_free(found.block);
    reini_lm_weights_free(w);
}

/* log-probabilities of an answer by scoring prompt and answer at once */
static void score(const reini_lm_weights *w, const reini_request *r, const reini_answer *a, float temperature,
                  float *logp) {
    reini_lm_opts opts = {.tokens = CAPACITY, .documents = 1};
    int32_t token[CAPACITY], start[2] = {0, r->n_prompt + a->n}, row[MOST_NEW];
    reini_lm *lm;
    memcpy(token, r->prompt, (size_t)r->n_prompt * sizeof *token);
    memcpy(token + r->n_prompt, a->ids, (size_t)a->n * sizeof *token);
    for (int i = 0; i < a->n; i++)
        row[i] = r->n_prompt - 1 + i;
    reini_lm_batch batch = {.tokens = start[1], .documents = 1, .token = token, .start = start};
    reini_lm_scores scores = {
        .n = a->n, .row = row, .target = a->ids, .temperature = temperature, .logp = logp};
    assert_ok(reini_lm_new(w, NULL, &opts, NULL, &lm));
    reini_lm_forward(lm, &batch);
    reini_lm_score(lm, &scores);
    reini_lm_free(lm);
}

static void check_scores(rein_dtype products, double temperature, double most) {
    for (int family = 0; family < SMALL_LM_FAMILIES; family++) {
        reini_lm_weights *w = small_lm((reini_family)family, products, 5);
        work found;
        reini_sampling how = reini_sampling_plain(temperature);
        how.top_k = 30;
        work_init(&found, false);
        run(w, &found, how, &layouts[2], 2);
        for (int i = 0; i < REQUESTS; i++)
            for (int k = 0; k < found.request[i].samples; k++) {
                const reini_answer *a = &found.request[i].answers[k];
                float logp[MOST_NEW];
                score(w, &found.request[i], a, (float)temperature, logp);
                for (int t = 0; t < a->n; t++)
                    if (!(fabs((double)(logp[t] - a->logp[t])) <= most))
                        fail_msg("family %d, request %d, token %d: %.9g, scored %.9g", family, i, t,
                                 (double)a->logp[t], (double)logp[t]);
            }
        reini_free(found.block);
        reini_lm_weights_free(w);
    }
}

static void test_log_probabilities_are_those_of_scoring(void **state) {
    (void)state;
    check_scores(REIN_F32, 1, 0);
    check_scores(REIN_F32, 0.7, 0);
}

static void test_log_probabilities_in_bf16(void **state) {
    (void)state;
    check_scores(REIN_BF16, 1, 1e-3);
}

/* ---- stop strings ---------------------------------------------------------------------------------------- */

/* token i writes its letter twice, some tokens nothing */
static const char *letters(void *user, int32_t id, int *size) {
    static char text[SMALL_LM_VOCABULARY][3];
    (void)user;
    text[id][0] = text[id][1] = (char)('a' + id % 7);
    *size = id % 5 == 0 ? 0 : 2;
    return text[id];
}

static void test_stop_strings(void **state) {
    (void)state;
    static const char *const texts[] = {"abb", "cdde", "ff", "gaab"};
    reini_lm_weights *w = small_lm(REINI_QWEN2, REIN_F32, 8);
    reini_stop *stop;
    assert_ok(reini_stop_new(texts, 4, &stop));
    work free_run, found;
    int stopped = 0, early = 0;
    work_init(&free_run, false);
    work_init(&found, false);
    run(w, &free_run, reini_sampling_plain(1), &layouts[1], 1);
    reini_generator *g;
    assert_ok(reini_generator_new(w, NULL, &layouts[1], NULL, &g));
    reini_generate_job job = job_of(&found, reini_sampling_plain(1));
    job.stop = stop;
    job.piece = letters;
    assert_ok(reini_generate(g, &job));
    for (int i = 0; i < REQUESTS; i++)
        for (int k = 0; k < found.request[i].samples; k++) {
            const reini_answer *whole = &free_run.request[i].answers[k], *a = &found.request[i].answers[k];
            char text[2 * MOST_NEW + 1] = "";
            int n = 0, cut = -1;
            /* the tokens of the free run up to the first that completes a stop string */
            for (; n < whole->n && cut < 0; n++) {
                int size;
                const char *piece = letters(NULL, whole->ids[n], &size);
                bool end = n == whole->n - 1 && whole->finish == REINI_FINISH_EOS;
                strncat(text, piece, (size_t)size);
                for (int j = 0; j < 4 && !end; j++) {
                    const char *at = strstr(text, texts[j]);
                    if (at && (cut < 0 || at - text < cut))
                        cut = (int)(at - text);
                }
            }
            assert_int_equal(a->n, n);
            assert_memory_equal(a->ids, whole->ids, (size_t)n * sizeof *a->ids);
            assert_int_equal(a->stop_at, cut);
            assert_int_equal(a->finish, cut >= 0 ? REINI_FINISH_STOP : whole->finish);
            stopped += cut >= 0;
            early += cut >= 0 && n == 1;
        }
    assert_true(stopped >= 3 && early < stopped);
    reini_generator_free(g);
    reini_stop_free(stop);
    reini_free(free_run.block);
    reini_free(found.block);
    reini_lm_weights_free(w);
}

static void test_stop_reading_by_any_pieces(void **state) {
    (void)state;
    static const char *const texts[] = {"aab", "abaab", "ba", "aaaa"};
    for (int round = 0; round < 2000; round++) {
        rein_rng rng = rein_rng_make(5, (uint64_t)round);
        char text[40];
        int which = round % 4, n = 39, expected = -1, end = n;
        reini_stop *stop;
        assert_ok(reini_stop_new(texts + which, 1, &stop));
        for (int i = 0; i < n; i++)
            text[i] = (char)('a' + (rein_rng_below(&rng, 3) == 0));
        text[n] = 0;
        const char *at = strstr(text, texts[which]);
        if (at) {
            expected = (int)(at - text);
            end = expected + (int)strlen(texts[which]);
        }
        int32_t reading = 0;
        int64_t from = 0;
        int i = 0, found = -1;
        while (i < n && found < 0) {
            int size = (int)rein_rng_below(&rng, 5);
            size = size < n - i ? size : n - i;
            if (reini_stop_read(stop, &reading, text + i, size, &from))
                found = i + (int)from;
            else
                /* what is held back is a beginning of the string, and nothing earlier is one */
                assert_true(reini_stop_held(stop, &reading) <= (int)strlen(texts[which]) - 1);
            i += size;
            if (found < 0 && at)
                assert_true(i < end);
        }
        assert_int_equal(found, expected);
        reini_stop_free(stop);
    }
    reini_stop *stop;
    assert_fails(reini_stop_new((const char *const[]){""}, 1, &stop), REIN_USAGE, "stop string");
}

/* ---- going on, limits, failures --------------------------------------------------------------------------- */

static void test_a_conversation_goes_on_in_its_slot(void **state) {
    (void)state;
    reini_lm_weights *w = small_lm(REINI_QWEN3, REIN_F32, 4);
    reini_generator_opts opts = {.slots = 1, .capacity = CAPACITY};
    reini_generator *g;
    int32_t prompt[CAPACITY] = {5, 6, 7}, ids[2][6];
    float logp[2][6];
    assert_ok(reini_generator_new(w, NULL, &opts, NULL, &g));
    reini_answer answer = {.ids = ids[0], .logp = logp[0]};
    reini_request request = {.prompt = prompt, .n_prompt = 3, .samples = 1, .max_new = 6, .answers = &answer};
    reini_generate_job job = {.requests = &request, .n = 1, .sampling = reini_sampling_plain(1)};
    assert_ok(reini_generate(g, &job));
    assert_int_equal(reini_generator_kept(g), 3 + 5);
    memcpy(prompt + 3, ids[0], sizeof ids[0]);
    prompt[9] = 30;
    prompt[10] = 31;
    request.n_prompt = 11;
    request.kept = 8;
    request.stream = 1;
    assert_ok(reini_generate(g, &job));
    assert_int_equal(reini_generator_kept(g), 11 + 5);
    /* the same from the beginning */
    answer.ids = ids[1];
    answer.logp = logp[1];
    request.kept = 0;
    assert_ok(reini_generate(g, &job));
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    assert_memory_equal(logp[0], logp[1], sizeof logp[0]);
    request.kept = 5;
    assert_fails(reini_generate(g, &job), REIN_USAGE, "not there");
    reini_generator_free(g);
    reini_lm_weights_free(w);
}

static void test_limits(void **state) {
    (void)state;
    reini_lm_weights *w = small_lm(REINI_LLAMA, REIN_F32, 4);
    reini_generator_opts opts = {.slots = 2, .capacity = 20};
    reini_generator *g;
    int32_t prompt[20] = {1}, ids[20];
    float logp[20];
    reini_answer answer = {.ids = ids, .logp = logp};
    reini_request request = {
        .prompt = prompt, .n_prompt = 15, .samples = 1, .max_new = 6, .answers = &answer};
    reini_generate_job job = {.requests = &request, .n = 1, .sampling = reini_sampling_plain(1)};
    assert_ok(reini_generator_new(w, NULL, &opts, NULL, &g));
    assert_fails(reini_generate(g, &job), REIN_USAGE, "need 21 positions, there are 20");
    request.max_new = 5;
    assert_ok(reini_generate(g, &job));
    assert_int_equal(answer.n, 5);
    request.samples = 2;
    assert_fails(reini_generate(g, &job), REIN_USAGE, "shared");
    request.samples = 1;
    request.n_prompt = 0;
    assert_fails(reini_generate(g, &job), REIN_USAGE, "empty prompt");
    request.n_prompt = 3;
    prompt[2] = SMALL_LM_VOCABULARY;
    assert_fails(reini_generate(g, &job), REIN_USAGE, "token 2 of the prompt is 53");
    prompt[2] = 0;
    job.sampling.top_p = 2;
    assert_fails(reini_generate(g, &job), REIN_USAGE, "top_p");
    reini_generator_free(g);
    opts.capacity = SMALL_LM_CONTEXT + 1;
    assert_fails(reini_generator_new(w, NULL, &opts, NULL, &g), REIN_USAGE, "context of 64");
    reini_lm_weights_free(w);
}

static void test_nothing_is_allocated(void **state) {
    (void)state;
    reini_lm_weights *w = small_lm(REINI_LLAMA, REIN_F32, 4);
    reini_generator *g;
    work found;
    work_init(&found, false);
    assert_ok(reini_generator_new(w, NULL, &layouts[2], NULL, &g));
    reini_generate_job job = job_of(&found, sampled());
    uint64_t before = reini_memory_now().allocations;
    assert_ok(reini_generate(g, &job));
    assert_ok(reini_generate(g, &job));
    assert_true(reini_memory_now().allocations == before);
    reini_generator_free(g);
    reini_free(found.block);
    reini_lm_weights_free(w);
}

static void test_out_of_memory(void **state) {
    (void)state;
    reini_lm_weights *w = small_lm(REINI_GPT2, REIN_F32, 4);
    uint64_t before = reini_memory_now().live_bytes;
    int failures = 0;
    for (uint64_t nth = 1;; nth++, failures++) {
        reini_generator *g = NULL;
        reini_memory_fail(nth, false);
        rein_status status = reini_generator_new(w, NULL, &layouts[2], NULL, &g);
        reini_memory_fail(0, false);
        if (status == REIN_OK) {
            reini_generator_free(g);
            break;
        }
        assert_int_equal(status, REIN_NOMEM);
        assert_null(g);
        assert_true(reini_memory_now().live_bytes == before);
    }
    assert_true(failures > 15);
    reini_lm_weights_free(w);
}

static int seen_tokens, seen_answers;
static volatile sig_atomic_t interrupt;

static void count_token(void *user, int request, int sample) {
    (void)user, (void)request, (void)sample;
    interrupt = ++seen_tokens >= 15;
}

static void count_answer(void *user, int request, int sample) {
    const work *w = user;
    assert_true(w->request[request].answers[sample].finish != REINI_FINISH_NONE);
    seen_answers++;
}

static void test_callbacks_and_interruption(void **state) {
    (void)state;
    reini_lm_weights *w = small_lm(REINI_LLAMA, REIN_F32, 4);
    reini_generator *g;
    work found;
    work_init(&found, false);
    assert_ok(reini_generator_new(w, NULL, &layouts[2], NULL, &g));
    reini_generate_job job = job_of(&found, reini_sampling_plain(1));
    job.on_token = count_token;
    job.on_answer = count_answer;
    job.user = &found;
    for (int round = 0; round < 2; round++) {
        int tokens = 0, answers = 0;
        seen_tokens = seen_answers = 0;
        job.interrupt = round == 0 ? NULL : &interrupt;
        interrupt = 0;
        assert_int_equal(reini_generate(g, &job), round == 0 ? REIN_OK : REIN_INTERRUPTED);
        for (int i = 0; i < REQUESTS; i++)
            for (int k = 0; k < found.request[i].samples; k++) {
                tokens += found.request[i].answers[k].n;
                answers += found.request[i].answers[k].finish != REINI_FINISH_NONE;
            }
        assert_int_equal(seen_tokens, tokens);
        assert_int_equal(seen_answers, answers);
        assert_true(round == 0 ? answers == 13 : answers < 13);
    }
    reini_generator_free(g);
    reini_free(found.block);
    reini_lm_weights_free(w);
}

static void test_weights_that_have_diverged(void **state) {
    (void)state;
    reini_lm_weights *w = small_lm(REINI_LLAMA, REIN_F32, 4);
    float *norm = (float *)(uintptr_t)reini_lm_vector(w, REINI_LM_NORM_F, -1);
    norm[3] = NAN;
    reini_generator *g;
    work found;
    work_init(&found, false);
    assert_ok(reini_generator_new(w, NULL, &layouts[2], NULL, &g));
    reini_generate_job job = job_of(&found, reini_sampling_plain(1));
    assert_fails(reini_generate(g, &job), REIN_DIVERGED, "not finite");
    reini_generator_free(g);
    reini_free(found.block);
    reini_lm_weights_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_reading_by_any_pieces),
        cmocka_unit_test(test_equal_to_the_plain_loop),
        cmocka_unit_test(test_the_requests_are_of_many_kinds),
        cmocka_unit_test(test_log_probabilities_are_those_of_scoring),
        cmocka_unit_test(test_log_probabilities_in_bf16),
        cmocka_unit_test(test_stop_strings),
        cmocka_unit_test(test_a_conversation_goes_on_in_its_slot),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_nothing_is_allocated),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_callbacks_and_interruption),
        cmocka_unit_test(test_weights_that_have_diverged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
