/*
 * test_generate_text.c - text in and text out through the public calls, against Transformers with a tokenizer and a chat
 * template (tests/reference/generate_hf.py): a text, a conversation, a stream, files, and a conversation that keeps
 * what it computed.
 */
#include <math.h>
#include <stdlib.h>
#include <rein/generate.h>
#include "base/base.h"
#include "support/golden.h"
#include "support/temp_dir.h"

static const char *folder(void) {
    return REIN_SOURCE_DIR "/tests/golden/generate_hf/chat";
}

static void write_text(const char *name, const char *text) {
    FILE *f = fopen(temp_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

/* ---- what a call gives -------------------------------------------------------------------------------------- */

enum { MOST_ANSWERS = 64, MOST_TEXT = 4096 };

typedef struct seen {
    int n;
    char text[MOST_ANSWERS][MOST_TEXT], streamed[MOST_ANSWERS][MOST_TEXT], finish[MOST_ANSWERS][8];
    int tokens[MOST_ANSWERS], samples;
    int32_t ids[MOST_ANSWERS][64];
    float logp[MOST_ANSWERS][64];
} seen;

static void on_text(void *user, int64_t prompt, int sample, const char *text) {
    seen *s = user;
    strcat(s->streamed[prompt * s->samples + sample], text);
}

static void on_answer(void *user, const rein_answer *a) {
    seen *s = user;
    /* in the order of prompts */
    assert_int_equal(a->prompt * s->samples + a->sample, s->n);
    strcpy(s->text[s->n], a->text);
    strcpy(s->finish[s->n], a->finish);
    memcpy(s->ids[s->n], a->ids, (size_t)a->n * sizeof *a->ids);
    memcpy(s->logp[s->n], a->logprobs, (size_t)a->n * sizeof *a->logprobs);
    s->tokens[s->n++] = a->n;
}

static rein_generate_opts opts_for(seen *s) {
    rein_generate_opts opts = rein_generate_default();
    memset(s, 0, sizeof *s);
    s->samples = 1;
    opts.model.folder = folder();
    opts.model.threads = 1;
    opts.on_text = on_text;
    opts.on_answer = on_answer;
    opts.user = s;
    return opts;
}

/* ---- against Transformers ----------------------------------------------------------------------------------- */

static void check_case(const json_t *c, int which) {
    static seen s;
    rein_generate_opts opts = opts_for(&s);
    rein_generate_summary summary;
    const json_t *prompt = golden_at(c, "prompt");
    if (json_is_string(prompt)) {
        opts.prompt = json_string_value(prompt);
    } else {
        char *text = json_dumps(c, JSON_COMPACT);
        write_text("prompts.jsonl", text);
        free(text);
        opts.file = temp_path("prompts.jsonl");
    }
    opts.sampling.repetition_penalty = golden_number(c, "repetition_penalty");
    opts.sampling.max_new_tokens = (int)golden_number(c, "new");
    assert_ok(rein_generate(&opts, &summary));
    assert_int_equal(s.n, 1);
    json_t *ids = golden_at(c, "ids");
    assert_int_equal(s.tokens[0], json_array_size(ids));
    for (int i = 0; i < s.tokens[0]; i++)
        if (s.ids[0][i] != json_integer_value(json_array_get(ids, (size_t)i)))
            fail_msg("case %d: token %d is %d", which, i, s.ids[0][i]);
    assert_string_equal(s.text[0], json_string_value(golden_at(c, "text")));
    assert_string_equal(s.streamed[0], s.text[0]);
    assert_true(summary.tokens == s.tokens[0] && summary.answers == 1);
}

static void test_texts_of_transformers(void **state) {
    (void)state;
    json_t *root = golden_read("generate_hf/text.json"), *cases = golden_at(root, "cases");
    assert_true(json_array_size(cases) == 8);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(json_array_get(cases, i), (int)i);
    json_decref(root);
}

/* ---- files, samples, stop strings ---------------------------------------------------------------------------- */

static const char rows[] =
    "{\"prompt\": \"The quick\", \"solution\": 7}\n"
    "{\"messages\": [{\"role\": \"user\", \"content\": \"naïve?\"}]}\n"
    "\n"
    "{\"prompt\": [{\"role\": \"user\", \"content\": \"dog\"}], \"completion\": \"old\"}\n";

static void run_file(seen *s, int batch, int threads, const char *out) {
    rein_generate_opts opts = opts_for(s);
    rein_generate_summary summary;
    s->samples = opts.samples = 5;
    opts.file = temp_path("rows.jsonl");
    opts.sampling.temperature = 1.2;
    opts.sampling.top_p = 0.9;
    opts.sampling.seed = 3;
    opts.sampling.max_new_tokens = 30;
    opts.batch = batch;
    opts.model.threads = threads;
    opts.out = out;
    assert_ok(rein_generate(&opts, &summary));
    assert_int_equal(s->n, 15);
}

static void test_answers_do_not_depend_on_the_batch(void **state) {
    (void)state;
    static seen first, other;
    write_text("rows.jsonl", rows);
    run_file(&first, 1, 1, NULL);
    int different = 0;
    for (int batch = 2; batch < 20; batch += 5) {
        run_file(&other, batch, batch % 3 + 1, NULL);
        for (int i = 0; i < 15; i++) {
            assert_string_equal(first.text[i], other.text[i]);
            assert_string_equal(first.streamed[i], first.text[i]);
            assert_int_equal(first.tokens[i], other.tokens[i]);
            assert_memory_equal(first.logp[i], other.logp[i], (size_t)first.tokens[i] * sizeof(float));
            different += strcmp(first.text[i], first.text[0]) != 0;
        }
    }
    assert_true(different > 20);
}

static void test_the_file_of_answers(void **state) {
    (void)state;
    static seen s;
    write_text("rows.jsonl", rows);
    run_file(&s, 4, 1, temp_path("answers.jsonl"));
    FILE *f = fopen(temp_path("answers.jsonl"), "rb");
    assert_non_null(f);
    for (int i = 0; i < 15; i++) {
        json_error_t error;
        json_t *row = json_loadf(f, JSON_DISABLE_EOF_CHECK, &error);
        assert_non_null(row);
        bool text = i < 5;
        assert_true(json_is_string(golden_at(row, "prompt")) == text);
        const json_t *completion = golden_at(row, "completion");
        if (!text) {
            assert_int_equal(json_array_size(completion), 1);
            completion = json_array_get(completion, 0);
            assert_string_equal(json_string_value(golden_at(completion, "role")), "assistant");
            completion = golden_at(completion, "content");
        }
        assert_string_equal(json_string_value(completion), s.text[i]);
        assert_int_equal(golden_number(row, "sample"), i % 5);
        assert_int_equal(golden_number(row, "tokens"), s.tokens[i]);
        assert_string_equal(json_string_value(golden_at(row, "finish")), s.finish[i]);
        assert_null(json_object_get(row, "messages"));
        assert_true((json_object_get(row, "solution") != NULL) == text);
        assert_true((json_object_get(row, "reference") != NULL) == (i >= 10));
        json_decref(row);
    }
    fclose(f);
}

/* a stop string that the model writes across tokens: the text ends before it, the stream shows nothing of it */
static void test_stop_strings(void **state) {
    (void)state;
    static seen whole, cut;
    rein_generate_summary summary;
    rein_generate_opts opts = opts_for(&whole);
    opts.prompt = "dog";
    opts.sampling.temperature = 1.5;
    opts.sampling.max_new_tokens = 60;
    int checked = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        opts = opts_for(&whole);
        opts.prompt = "dog";
        opts.sampling.temperature = 1.5;
        opts.sampling.max_new_tokens = 60;
        opts.sampling.seed = seed;
        assert_ok(rein_generate(&opts, &summary));
        /* three bytes of ASCII in the middle */
        const char *text = whole.text[0];
        size_t n = strlen(text), at = n / 3;
        while (at + 3 < n && (text[at] <= 0 || text[at + 1] <= 0 || text[at + 2] <= 0))
            at++;
        if (at + 3 >= n)
            continue;
        char stop[4] = {text[at], text[at + 1], text[at + 2], 0};
        const char *stops[] = {"never there", stop};
        rein_sampling_opts sampling = opts.sampling;
        opts = opts_for(&cut);
        opts.prompt = "dog";
        opts.sampling = sampling;
        opts.sampling.stop = stops;
        opts.sampling.n_stop = 2;
        assert_ok(rein_generate(&opts, &summary));
        assert_string_equal(cut.finish[0], "stop");
        assert_int_equal(strlen(cut.text[0]), strstr(text, stop) - text);
        assert_memory_equal(cut.text[0], text, strlen(cut.text[0]));
        assert_string_equal(cut.streamed[0], cut.text[0]);
        assert_memory_equal(cut.ids[0], whole.ids[0], (size_t)cut.tokens[0] * sizeof(int32_t));
        checked++;
    }
    assert_true(checked >= 3);
}

static void test_mistakes(void **state) {
    (void)state;
    static seen s;
    rein_generate_summary summary;
    rein_generate_opts opts = opts_for(&s);
    assert_fails(rein_generate(&opts, &summary), REIN_USAGE, "a prompt or a file");
    opts.prompt = "dog";
    opts.sampling.max_new_tokens = 128;
    assert_fails(rein_generate(&opts, &summary), REIN_USAGE, "context of 128");
    opts.sampling.max_new_tokens = 5;
    opts.samples = 2;
    assert_fails(rein_generate(&opts, &summary), REIN_USAGE, "temperature");
    opts.samples = 1;
    opts.model.dtype = "f64";
    assert_fails(rein_generate(&opts, &summary), REIN_USAGE, "f32 or bf16");
    opts.model.dtype = NULL;
    opts.model.folder = "/nowhere";
    assert_true(rein_generate(&opts, &summary) != REIN_OK);
    opts.model.folder = folder();
    opts.prompt = NULL;
    opts.file = temp_path("bad.jsonl");
    write_text("bad.jsonl", "{\"prompt\": \"a\"}\n{\"text\": \"b\"}\n");
    assert_fails(rein_generate(&opts, &summary), REIN_FORMAT, "bad.jsonl:2");
    write_text("bad.jsonl", "{\"messages\": [{\"role\": \"assistant\", \"content\": \"b\"}]}\n");
    assert_fails(rein_generate(&opts, &summary), REIN_FORMAT, "nothing to answer");
    opts.raw = 1;
    write_text("bad.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"b\"}]}\n");
    assert_fails(rein_generate(&opts, &summary), REIN_FORMAT, "raw");
    assert_int_equal(s.n, 0);
}

/* ---- conversations ------------------------------------------------------------------------------------------- */

static void collect(void *user, const char *text) {
    strcat(user, text);
}

static void test_a_conversation(void **state) {
    (void)state;
    static const char *const said[] = {"The dog?", "Köln", "5 € and", "fox"};
    rein_chat *chat;
    static char streamed[MOST_TEXT], history[4 * MOST_TEXT];
    static seen s;
    rein_sampling_opts sampling = rein_generate_default().sampling;
    sampling.temperature = 0;
    sampling.max_new_tokens = 8;
    rein_text_model_opts model = {.folder = folder(), .threads = 1};
    assert_ok(rein_chat_open(&model, &sampling, "Be brief.", &chat));
    assert_true(rein_chat_look(chat).has_template);
    strcpy(history, "[{\"role\": \"system\", \"content\": \"Be brief.\"}");
    int served = 0;
    for (int turn = 0; turn < 4; turn++) {
        const char *answer;
        json_t *quoted = json_string(said[turn]);
        char *text = json_dumps(quoted, JSON_ENCODE_ANY);
        int before = rein_chat_look(chat).tokens;
        streamed[0] = 0;
        rein_status status = rein_chat_say(chat, said[turn], collect, streamed, NULL, &answer);
        sprintf(history + strlen(history), ", {\"role\": \"user\", \"content\": %s}", text);
        free(text);
        json_decref(quoted);
        if (status != REIN_OK) {
            /* the context of 128 is full */
            assert_true(turn == 3 && strstr(rein_error(), "room for 128"));
            break;
        }
        assert_string_equal(streamed, answer);
        served += turn > 0 && rein_chat_look(chat).computed < before;
        if (turn > 0)
            continue;
        /* the same from a file; later turns go on behind the tokens that were drawn, which their text need not give */
        char *row = malloc(strlen(history) + 32);
        sprintf(row, "{\"prompt\": %s]}\n", history);
        write_text("talk.jsonl", row);
        free(row);
        rein_generate_summary summary;
        rein_generate_opts opts = opts_for(&s);
        opts.file = temp_path("talk.jsonl");
        opts.sampling = sampling;
        assert_ok(rein_generate(&opts, &summary));
        assert_string_equal(s.text[0], answer);
    }
    assert_true(served >= 2);
    /* begun anew, the first answer comes again */
    char first[MOST_TEXT];
    const char *answer;
    assert_ok(rein_chat_reset(chat, "Be brief."));
    assert_ok(rein_chat_say(chat, said[0], NULL, NULL, NULL, &answer));
    strcpy(first, answer);
    assert_ok(rein_chat_reset(chat, "Be brief."));
    assert_ok(rein_chat_say(chat, said[0], NULL, NULL, NULL, &answer));
    assert_string_equal(first, answer);
    rein_chat_close(chat);
}

static void test_a_full_conversation_is_as_before(void **state) {
    (void)state;
    rein_chat *chat;
    char large[1200];
    const char *answer;
    rein_sampling_opts sampling = rein_generate_default().sampling;
    sampling.max_new_tokens = 5;
    rein_text_model_opts model = {.folder = folder(), .threads = 1};
    assert_ok(rein_chat_open(&model, &sampling, NULL, &chat));
    assert_ok(rein_chat_say(chat, "fox", NULL, NULL, NULL, &answer));
    char *kept = strdup(answer);
    int tokens = rein_chat_look(chat).tokens;
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    assert_fails(rein_chat_say(chat, large, NULL, NULL, NULL, &answer), REIN_USAGE, "/reset");
    assert_int_equal(rein_chat_look(chat).tokens, tokens);
    assert_ok(rein_chat_say(chat, "dog", NULL, NULL, NULL, &answer));
    rein_chat_close(chat);
    free(kept);
}

/* ---- evaluation ---------------------------------------------------------------------------------------------- */

/* scoring a prompt and its answer says what generating the answer said */
static void test_evaluation_agrees_with_generation(void **state) {
    (void)state;
    static seen s;
    rein_generate_summary summary;
    rein_generate_opts opts = opts_for(&s);
    opts.prompt = "The quick brown";
    opts.sampling.max_new_tokens = 4;
    opts.sampling.repetition_penalty = 1;
    assert_ok(rein_generate(&opts, &summary));
    double sum = 0;
    for (int i = 0; i < s.tokens[0]; i++)
        sum -= (double)s.logp[0][i];
    json_t *row = json_pack("{s:s, s:s}", "prompt", opts.prompt, "completion", s.text[0]);
    char *text = json_dumps(row, 0);
    write_text("score.jsonl", text);
    free(text);
    json_decref(row);
    rein_text_eval_opts eval = {.model = {.folder = folder(), .threads = 2},
                                .data = temp_path("score.jsonl")};
    rein_text_eval_result result;
    assert_ok(rein_text_eval(&eval, &result));
    /* the end-of-text token is scored as well; the four greedy ones are the likeliest */
    assert_int_equal(result.tokens, s.tokens[0] + 1);
    assert_true(result.accuracy >= 0.79 && result.loss * (double)result.tokens >= sum);
    assert_true(fabs(result.perplexity - exp(result.loss)) < 1e-9 && result.rows == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_of_transformers),
        cmocka_unit_test(test_answers_do_not_depend_on_the_batch),
        cmocka_unit_test(test_the_file_of_answers),
        cmocka_unit_test(test_stop_strings),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_a_conversation),
        cmocka_unit_test(test_a_full_conversation_is_as_before),
        cmocka_unit_test(test_evaluation_agrees_with_generation),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
