/*
 * test_cli_text.c - rein generate, chat, eval --model and tokenizer as a user runs them: text in and out, files, seeds, stop
 * strings, adapters, turns through a pipe, interrupts, and what is said of wrong input.
 */
#include "support/command.h"
#include <math.h>
#include <time.h>
#include "support/golden.h"
#include "support/json_rows.h"

#if defined(REIN_HAVE_PCRE2) && defined(REIN_HAVE_UTF8PROC)

#define MODEL REIN_SOURCE_DIR "/tests/golden/generate_hf/chat"

static command run_ok(command c) {
    if (c.code != 0)
        fail_msg("exit code %d\nstdout: %s\nstderr: %s", c.code, c.out, c.err);
    return c;
}

/* fails with this code and words on stderr, and prints nothing */
static void refused(command c, int code, const char *words) {
    if (c.code != code || !strstr(c.err, words) || !strstr(c.err, "rein: error: ") || c.out[0])
        fail_msg("exit code %d, expected %d and \"%s\"\nstdout: %s\nstderr: %s", c.code, code, words, c.out,
                 c.err);
    command_release(&c);
}

#define generate(...) command_run("generate", "--model", MODEL, "--threads", "1", __VA_ARGS__, NULL)

static void file_of(const char *name, const char *text) {
    temp_write(temp_path(name), text, strlen(text));
}

static json_t *last_json(const char *out) {
    const char *at = strrchr(out, '{') ? out : NULL;
    for (const char *line = out; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        at = *line == '{' ? line : at;
    json_t *o = at ? json_loads(at, 0, NULL) : NULL;
    assert_non_null(o);
    return o;
}

/* ---- generate ------------------------------------------------------------------------------------------------- */

/* the text of Transformers for a prompt, and through a file */
static void test_prompts(void **state) {
    (void)state;
    json_t *root = golden_read("generate_hf/text.json"), *cases = golden_at(root, "cases");
    int texts = 0, conversations = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i), *prompt = golden_at(c, "prompt");
        char penalty[32], count[32];
        snprintf(penalty, sizeof penalty, "%.3g", golden_number(c, "repetition_penalty"));
        snprintf(count, sizeof count, "%d", (int)golden_number(c, "new"));
        const char *want = json_string_value(golden_at(c, "text"));
        if (json_is_string(prompt)) {
            command g = run_ok(generate("--prompt", json_string_value(prompt), "--max_new_tokens", count,
                                        "--repetition_penalty", penalty));
            assert_int_equal(strncmp(g.out, want, strlen(want)), 0);
            assert_string_equal(g.out + strlen(want), "\n");
            assert_non_null(strstr(g.err, " tokens in "));
            command_release(&g);
            texts++;
        }
        char *row = json_dumps(c, JSON_COMPACT);
        file_of("case.jsonl", row);
        free(row);
        command g = run_ok(generate("--file", "case.jsonl", "--out", "answers.jsonl", "--max-new-tokens=40",
                                    "--repetition_penalty", penalty, "--quiet"));
        assert_string_equal(g.out, "");
        assert_string_equal(g.err, "");
        command_release(&g);
        json_t *answer = rows_at(temp_path("answers.jsonl"), 0),
               *completion = json_object_get(answer, "completion");
        assert_true(json_equal(json_object_get(answer, "prompt"), prompt));
        if (json_is_array(prompt)) {
            conversations++;
            assert_string_equal(rows_text(json_array_get(completion, 0), "role"), "assistant");
            assert_string_equal(rows_text(json_array_get(completion, 0), "content"), want);
        } else {
            assert_string_equal(json_string_value(completion), want);
        }
        json_decref(answer);
    }
    assert_true(texts == 4 && conversations == 4);
    json_decref(root);
}

/* what --chat says goes into the file as the message that it was */
static void test_chat_switch(void **state) {
    (void)state;
    json_t *root = golden_read("generate_hf/text.json");
    const json_t *c = json_array_get(golden_at(root, "cases"), 4);
    const char *said = rows_text(json_array_get(golden_at(c, "prompt"), 0), "content");
    command g = run_ok(
        generate("--prompt", said, "--chat", "--max_new_tokens", "40", "--out", "said.jsonl", "--quiet"));
    const char *want = json_string_value(golden_at(c, "text"));
    assert_int_equal(strncmp(g.out, want, strlen(want)), 0);
    command_release(&g);
    json_t *row = rows_at(temp_path("said.jsonl"), 0);
    assert_true(json_equal(json_object_get(row, "prompt"), golden_at(c, "prompt")));
    assert_true(json_is_array(json_object_get(row, "completion")));
    json_decref(row);
    json_decref(root);
    /* training takes it */
    command t = run_ok(command_run("train", "sft", "--model", MODEL, "--data", "said.jsonl", "--max_steps",
                                   "1", "--out", "from_said", "--quiet", NULL));
    command_release(&t);
}

static const char prompts[] =
    "{\"prompt\": \"The quick\", \"solution\": 1}\n{\"prompt\": \"dog\", \"solution\": "
    "2}\n{\"prompt\": \"cat\", \"solution\": 3}\n";

static char *candidates(const char *name, const char *seed, const char *batch) {
    file_of("prompts.jsonl", prompts);
    command g = run_ok(generate("--file", "prompts.jsonl", "--n", "4", "--temperature", "1.1", "--seed", seed,
                                "--batch", batch, "--max_new_tokens", "20", "--out", name));
    command_release(&g);
    return temp_read(temp_path(name), NULL);
}

static void test_candidates(void **state) {
    (void)state;
    char *a = candidates("a.jsonl", "3", "5"), *b = candidates("b.jsonl", "3", "1"),
         *c = candidates("c.jsonl", "4", "5");
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    static const char *const said[] = {"The quick", "dog", "cat"};
    for (int i = 0; i < 12; i++) {
        json_t *row = rows_at(temp_path("a.jsonl"), i);
        assert_non_null(row);
        assert_string_equal(rows_text(row, "prompt"), said[i / 4]);
        assert_int_equal(json_integer_value(json_object_get(row, "sample")), i % 4);
        assert_int_equal(json_integer_value(json_object_get(row, "solution")), i / 4 + 1);
        assert_true(json_real_value(json_object_get(row, "logprob")) < 0);
        assert_non_null(json_object_get(row, "completion"));
        json_decref(row);
    }
    assert_null(rows_at(temp_path("a.jsonl"), 12));
    free(a);
    free(b);
    free(c);
}

static void test_json_and_blocks(void **state) {
    (void)state;
    command g =
        run_ok(generate("--prompt", "dog", "--n", "2", "--temperature", "1", "--max_new_tokens", "6"));
    assert_non_null(strstr(g.out, "--- prompt 1, answer 1: "));
    assert_non_null(strstr(g.out, "--- prompt 1, answer 2: "));
    command_release(&g);
    g = run_ok(
        generate("--prompt", "dog", "--n", "2", "--temperature", "1", "--max_new_tokens", "6", "--json"));
    json_t *o = last_json(g.out), *answers = json_object_get(o, "answers");
    int64_t tokens = 0;
    assert_int_equal(json_array_size(answers), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *ids = json_object_get(json_array_get(answers, i), "ids");
        tokens += (int64_t)json_array_size(ids);
        assert_int_equal(json_array_size(json_object_get(json_array_get(answers, i), "logprobs")),
                         json_array_size(ids));
    }
    assert_int_equal(json_integer_value(json_object_get(o, "tokens")), tokens);
    json_decref(o);
    command_release(&g);
}

static void test_stop_strings(void **state) {
    (void)state;
    /* greedily: "...Z...Q..." */
    command g = run_ok(generate("--prompt", "The quick brown", "--max_new_tokens", "40"));
    char *z = strchr(g.out, 'Z'), *q = strchr(g.out, 'Q');
    assert_true(z && q && z < q);
    command h =
        run_ok(generate("--prompt", "The quick brown", "--max_new_tokens", "40", "--stop", "Q", "--json"));
    json_t *o = last_json(h.out);
    const json_t *answer = json_array_get(json_object_get(o, "answers"), 0);
    assert_string_equal(rows_text(answer, "finish"), "stop");
    assert_int_equal(strlen(rows_text(answer, "text")), (size_t)(q - g.out));
    assert_int_equal(strncmp(rows_text(answer, "text"), g.out, (size_t)(q - g.out)), 0);
    json_decref(o);
    command_release(&h);
    /* the first of several ends it, on the stream too */
    h = run_ok(
        generate("--prompt", "The quick brown", "--max_new_tokens", "40", "--stop", "Q", "--stop", "Z"));
    assert_int_equal(strlen(h.out), (size_t)(z - g.out) + 1);
    assert_null(strchr(h.out, 'Z'));
    command_release(&h);
    command_release(&g);
}

/* it begins with the token that begins texts, on the command line as in a file */
static void test_empty_prompt(void **state) {
    (void)state;
    command g = run_ok(generate("--prompt", "", "--temperature", "1", "--max_new_tokens", "8", "--json"));
    file_of("none.jsonl", "{\"prompt\": \"\"}\n");
    command h = run_ok(generate("--file", "none.jsonl", "--temperature", "1", "--max_new_tokens", "8",
                                "--out", "none_out.jsonl"));
    json_t *o = last_json(g.out), *row = rows_at(temp_path("none_out.jsonl"), 0);
    const json_t *answer = json_array_get(json_object_get(o, "answers"), 0);
    assert_true(strlen(rows_text(row, "completion")) > 0);
    assert_string_equal(rows_text(answer, "text"), rows_text(row, "completion"));
    json_decref(o);
    json_decref(row);
    command_release(&g);
    command_release(&h);
}

static void test_wrong_generate(void **state) {
    (void)state;
    refused(command_run("generate", "--prompt", "x", NULL), 2, "no model: name a folder");
    refused(command_run("generate", "--model", MODEL, NULL), 2, "no prompt: give one with --prompt");
    refused(command_run("generate", "--model", "nowhere", "--prompt", "x", NULL), 1, "nowhere/config.json");
    refused(generate("--prompt", "x", "--file", "y"), 2, "leave one out");
    refused(generate("--prompt", "x", "--raw", "--chat"), 2, "exclude each other");
    refused(generate("--prompt", "x", "--chat_template", "chatlm"), 2, "chatml|");
    refused(generate("--prompt", "x", "--max_new_tokens", "1000"), 2,
            "1000 new ones are more than the model's context of 128");
    refused(generate("--prompt", "x", "--n", "3"), 2, "set a temperature, as in --temperature 1");
    refused(generate("--prompt", "x", "--temperature", "-1"), 2, "--temperature: -1 is out of range");
    refused(generate("--prompt", "x", "--dtype", "fp8"), 2, "expected f32 or bf16");
    refused(generate("--prompt", "x", "--adapter", "nowhere"), 1, "\"nowhere\" has no adapter_config.json");
    refused(generate("--prompt", "x", "--out", "/nowhere/out.jsonl"), 1, "/nowhere/out.jsonl");
    refused(generate("--prompt", "x", "--tempature", "1"), 2, "did you mean \"temperature\"?");
    refused(generate("--file", "nowhere.jsonl"), 1, "cannot open \"nowhere.jsonl\"");
    file_of("empty.jsonl", "\n\n");
    refused(generate("--file", "empty.jsonl"), 2, "empty.jsonl has no rows, expected prompts");
}

static void test_wrong_rows(void **state) {
    (void)state;
    static const struct {
        const char *row, *words;
        int code;
    } cases[] = {
        {"{\"prompt\": ", "bad.jsonl:2:11: ", 1},
        {"[\"x\"]", "bad.jsonl:2: a list, expected a JSON object", 1},
        {"{\"text\": \"x\"}", "bad.jsonl:2: no prompt: expected \"prompt\"", 1},
        {"{\"prompt\": 7}", "bad.jsonl:2: no prompt", 1},
        {"{\"messages\": []}", "bad.jsonl:2: the conversation is empty", 1},
        {"{\"messages\": [{\"role\": \"user\"}]}", "bad.jsonl:2: message 1 has no", 1},
        {"{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}",
         "bad.jsonl:2: the last message is the assistant's", 1},
    };
    char text[400];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "{\"prompt\": \"fine\"}\n%s\n", cases[i].row);
        file_of("bad.jsonl", text);
        refused(generate("--file", "bad.jsonl", "--out", "never.jsonl"), cases[i].code, cases[i].words);
        assert_int_equal(access(temp_path("never.jsonl"), F_OK), -1);
    }
    /* a prompt that fills the context is named by its line */
    char longer[2000] = "{\"prompt\": \"fine\"}\n{\"prompt\": \"";
    for (int i = 0; i < 140; i++)
        strcat(longer, "qz ");
    strcat(longer, "\"}\n");
    file_of("bad.jsonl", longer);
    refused(generate("--file", "bad.jsonl"), 2, "bad.jsonl:2: a prompt of ");
    file_of("bad.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n");
    refused(generate("--file", "bad.jsonl", "--raw"), 1,
            "bad.jsonl:1: the prompt is a conversation, which --raw");
}

/* ---- interrupts ------------------------------------------------------------------------------------------------- */

static void wait_ms(int ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* what was finished is kept, in whole rows from the first on */
static void test_interrupted(void **state) {
    (void)state;
    enum { ROWS = 40000 };
    FILE *f = fopen(temp_path("many.jsonl"), "wb");
    for (int i = 0; i < ROWS; i++)
        fprintf(f, "{\"prompt\": \"The quick brown %d\"}\n", i);
    fclose(f);
    char *argv[] = {(char *)"rein",
                    (char *)"generate",
                    (char *)"--model",
                    (char *)MODEL,
                    (char *)"--file",
                    (char *)"many.jsonl",
                    (char *)"--out",
                    (char *)"part.jsonl",
                    (char *)"--threads",
                    (char *)"1",
                    (char *)"--max_new_tokens",
                    (char *)"100",
                    NULL};
    int id;
    pid_t pid = command_start(argv, NULL, &id);
    for (int i = 0; i < 6000; i++) {
        struct stat st;
        if (stat(temp_path("part.jsonl.tmp"), &st) == 0 && st.st_size > 10000)
            break;
        wait_ms(10);
    }
    kill(pid, SIGINT);
    command c = command_finish(pid, id);
    assert_int_equal(c.code, 130);
    command_release(&c);
    json_t *rows = rows_all(temp_path("part.jsonl"));
    int n = (int)json_array_size(rows);
    for (int i = 0; i < n; i++) {
        char want[64];
        snprintf(want, sizeof want, "The quick brown %d", i);
        assert_string_equal(rows_text(json_array_get(rows, (size_t)i), "prompt"), want);
    }
    assert_true(n > 10 && n < ROWS);
    json_decref(rows);
}

/* at its prompt a conversation ends at once, not with the next line */
static void test_interrupted_chat(void **state) {
    (void)state;
    char fifo[2 * TEMP_PATH];
    snprintf(fifo, sizeof fifo, "%s", temp_path("fifo"));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int hold = open(fifo, O_RDWR);
    assert_true(hold >= 0);
    command_input = fifo;
    char *argv[] = {(char *)"rein",
                    (char *)"chat",
                    (char *)"--model",
                    (char *)MODEL,
                    (char *)"--threads",
                    (char *)"1",
                    NULL};
    int id;
    pid_t pid = command_start(argv, NULL, &id);
    command_input = "/dev/null";
    assert_int_equal(write(hold, "hello\n", 6), 6);
    /* the answer is there: it waits for the next line */
    for (int i = 0; i < 6000; i++) {
        struct stat st;
        if (stat(command_output(id, "out"), &st) == 0 && st.st_size > 0)
            break;
        wait_ms(10);
    }
    wait_ms(300);
    kill(pid, SIGINT);
    command c = command_finish(pid, id);
    assert_int_equal(c.code, 130);
    assert_true(c.out[0] != 0);
    command_release(&c);
    close(hold);
}

/* ---- chat ------------------------------------------------------------------------------------------------------- */

static command chat(const char *input, const char *option, const char *value) {
    static char path[2 * TEMP_PATH];
    file_of("turns.txt", input);
    snprintf(path, sizeof path, "%s", temp_path("turns.txt"));
    command_input = path;
    command c =
        command_run("chat", "--model", MODEL, "--threads", "1", "--max_new_tokens", "6", option, value, NULL);
    command_input = "/dev/null";
    return c;
}

/* each turn is answered as a request with all that was said before; the first two answers are plain text, so that reading
 * them again gives the tokens that were drawn */
static void test_turns(void **state) {
    (void)state;
    json_t *messages = json_array();
    static const char *const turns[] = {"no", "b?", "go"};
    char want[4000] = "";
    for (int i = 0; i < 3; i++) {
        json_array_append_new(messages, json_pack("{s:s,s:s}", "role", "user", "content", turns[i]));
        json_t *row = json_pack("{s:O}", "messages", messages);
        char *text = json_dumps(row, JSON_COMPACT);
        file_of("turn.jsonl", text);
        free(text);
        json_decref(row);
        command g =
            run_ok(generate("--file", "turn.jsonl", "--out", "turn_out.jsonl", "--max_new_tokens", "6"));
        command_release(&g);
        json_t *out = rows_at(temp_path("turn_out.jsonl"), 0);
        json_t *said = json_array_get(json_object_get(out, "completion"), 0);
        strcat(strcat(want, rows_text(said, "content")), "\n");
        json_array_append(messages, said);
        json_decref(out);
    }
    json_decref(messages);
    command c = run_ok(chat("no\n\nb?\r\ngo", "--quiet", NULL));
    assert_string_equal(c.out, want);
    command_release(&c);
    /* a new beginning is one, with and without a system message */
    c = run_ok(chat("One?\n/system Be brief.\nOne?\n/reset\nOne?\n/quit\nnever said\n", "--quiet", NULL));
    command d = run_ok(chat("One?\n", "--quiet", NULL)), e = run_ok(chat("One?\n", "--system", "Be brief."));
    snprintf(want, sizeof want, "%s%s%s", d.out, e.out, e.out);
    assert_string_equal(c.out, want);
    assert_string_not_equal(d.out, e.out);
    command_release(&c);
    command_release(&d);
    command_release(&e);
}

static void test_wrong_chat(void **state) {
    (void)state;
    refused(command_run("chat", NULL), 2, "no model: name a folder");
    command c = chat("/rest\n", "--quiet", NULL);
    assert_int_equal(c.code, 2);
    assert_non_null(strstr(c.err, "/reset forgets the conversation"));
    command_release(&c);
    char longer[2000] = "";
    for (int i = 0; i < 140; i++)
        strcat(longer, "qz ");
    refused(chat(longer, "--quiet", NULL), 2, "there is room for 128: begin a new one");
    refused(chat("hello\n", "--chat_template", "nowhere.jinja"), 2, "no chat template is named");
    c = run_ok(chat("", "--quiet", NULL));
    assert_string_equal(c.out, "");
    command_release(&c);
}

/* ---- adapters --------------------------------------------------------------------------------------------------- */

static const char texts[] = "{\"prompt\": \"The quick\", \"completion\": \" brown fox\"}\n"
                            "{\"prompt\": \"dog\", \"completion\": \" and cat, and dog\"}\n";

static double loss_of(const char *model, const char *adapter) {
    command c = run_ok(command_run("eval", "--model", model, "--data", "texts.jsonl", "--threads", "1",
                                   "--json", adapter ? "--adapter" : NULL, adapter, NULL));
    json_t *o = last_json(c.out);
    double loss = json_real_value(json_object_get(o, "loss"));
    command_release(&c);
    json_decref(o);
    return loss;
}

/* what a model and an adapter say greedily, and in a conversation, is what the merged model says */
static void test_adapter(void **state) {
    (void)state;
    file_of("texts.jsonl", texts);
    command c = run_ok(command_run("train", "sft", "--model", MODEL, "--data", "texts.jsonl", "--use_peft",
                                   "--lora_r", "4", "--learning_rate", "0.02", "--max_steps", "30", "--out",
                                   "lora", "--quiet", "--threads", "1", NULL));
    command_release(&c);
    c = run_ok(command_run("merge", "--model", MODEL, "--adapter", "lora/adapter", "--out", "merged",
                           "--dtype", "f32", NULL));
    command_release(&c);
    static const char *const said[] = {"The quick", "dog", "Where is", "qz"};
    int changed = 0;
    for (int i = 0; i < 4; i++) {
        command a =
            run_ok(generate("--prompt", said[i], "--max_new_tokens", "40", "--adapter", "lora/adapter"));
        command b = run_ok(command_run("generate", "--model", "merged", "--threads", "1", "--prompt", said[i],
                                       "--max_new_tokens", "40", NULL));
        command base = run_ok(generate("--prompt", said[i], "--max_new_tokens", "40"));
        assert_string_equal(a.out, b.out);
        changed += strcmp(a.out, base.out) != 0;
        command_release(&a);
        command_release(&b);
        command_release(&base);
    }
    assert_true(changed >= 3);
    c = run_ok(chat("hello\nThe quick\n", "--adapter", "lora/adapter"));
    command_input = temp_path("turns.txt");
    command d =
        run_ok(command_run("chat", "--model", "merged", "--threads", "1", "--max_new_tokens", "6", NULL));
    command_input = "/dev/null";
    assert_string_equal(c.out, d.out);
    command_release(&c);
    command_release(&d);
    double base = loss_of(MODEL, NULL), with = loss_of(MODEL, "lora/adapter"),
           merged = loss_of("merged", NULL);
    assert_true(with < base - 1);
    assert_true(fabs(with - merged) < 1e-5);
    refused(command_run("merge", "--model", MODEL, "--adapter", "lora/adapter", "--out", "merged", NULL), 2,
            "there is a model in \"merged\"");
}

/* ---- eval ------------------------------------------------------------------------------------------------------- */

static json_t *evaluate(const char *data, const char *option, const char *value) {
    file_of("texts.jsonl", data);
    command c = run_ok(command_run("eval", "--model", MODEL, "--data", "texts.jsonl", "--threads", "1",
                                   "--json", option, value, NULL));
    json_t *o = last_json(c.out);
    command_release(&c);
    return o;
}

static double number(const json_t *o, const char *key) {
    const json_t *value = json_object_get(o, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void test_eval(void **state) {
    (void)state;
    char first[200];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(texts, "\n") + 1, texts);
    json_t *both = evaluate(texts, NULL, NULL), *a = evaluate(first, NULL, NULL),
           *b = evaluate(strchr(texts, '\n') + 1, NULL, NULL);
    double n[2] = {number(a, "tokens"), number(b, "tokens")};
    assert_true(number(both, "tokens") == n[0] + n[1] && number(both, "rows") == 2 && n[0] > 3 &&
                n[1] > n[0]);
    double mean = (n[0] * number(a, "loss") + n[1] * number(b, "loss")) / (n[0] + n[1]);
    assert_true(fabs(number(both, "loss") - mean) < 1e-6);
    assert_true(fabs(number(both, "perplexity") - exp(mean)) < 1e-3 * exp(mean));
    json_decref(both);
    json_decref(a);
    json_decref(b);
    a = evaluate("{\"text\": \"the the the the the the the the the the\"}\n", "--max_length", "5");
    assert_true(number(a, "cut") == 1 && number(a, "tokens") == 4);
    json_decref(a);
    command c = run_ok(command_run("eval", "--model", MODEL, "--data", "texts.jsonl", NULL));
    assert_non_null(strstr(c.out, "perplexity"));
    command_release(&c);
    refused(command_run("eval", "--model", MODEL, NULL), 2, "--model and --data belong together");
    refused(command_run("eval", "--model", "nowhere", "--data", "texts.jsonl", NULL), 1, "nowhere");
    refused(command_run("eval", "--model", MODEL, "--data", "nowhere.jsonl", NULL), 1, "nowhere.jsonl");
    refused(command_run("merge", "--model", MODEL, "--adapter", "nowhere", "--out", "elsewhere", NULL), 1,
            "nowhere/adapter_config.json");
    refused(command_run("merge", "--model", MODEL, "--adapter", "x", NULL), 2, "three folders");
    refused(command_run("eval", "--model", MODEL, "--adapter", "nowhere", "--data", "texts.jsonl", NULL), 1,
            "\"nowhere\" has no adapter_config.json");
    file_of("bad.jsonl", "{\"text\": \"x y\"}\n{\"text\": }\n");
    refused(command_run("eval", "--model", MODEL, "--data", "bad.jsonl", NULL), 1, "bad.jsonl:2:");
}

/* ---- tokenizer -------------------------------------------------------------------------------------------------- */

/* the tokens that generate reports are those that the tokenizer makes of its text */
static void test_tokens(void **state) {
    (void)state;
    static const char *const said[] = {"The quick brown fox", "Grüße 😀", "a\nb  c", "<|im_start|>user"};
    for (int i = 0; i < 4; i++) {
        command e = run_ok(command_run("tokenizer", "encode", "--model", MODEL, said[i], NULL));
        e.out[strcspn(e.out, "\n")] = 0;
        command d = run_ok(command_run("tokenizer", "decode", "--model", MODEL, e.out, NULL));
        d.out[strlen(d.out) - 1] = 0;
        assert_string_equal(d.out, said[i]);
        command_release(&e);
        command_release(&d);
    }
    command g = run_ok(generate("--prompt", "Where is", "--max_new_tokens", "9", "--json"));
    json_t *o = last_json(g.out);
    const json_t *answer = json_array_get(json_object_get(o, "answers"), 0),
                 *ids = json_object_get(answer, "ids");
    char list[400] = "";
    for (size_t i = 0; i < json_array_size(ids); i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%d ",
                 (int)json_integer_value(json_array_get(ids, i)));
    command d = run_ok(command_run("tokenizer", "decode", "--model", MODEL, "--skip_special", list, NULL));
    d.out[strlen(d.out) - 1] = 0;
    assert_string_equal(d.out, rows_text(answer, "text"));
    command_release(&d);
    command_release(&g);
    json_decref(o);
    d = run_ok(command_run("tokenizer", "decode", "--model", MODEL, "[18,", "19]", NULL));
    command_release(&d);
    static const char *const wrong[] = {"12x", "1.5", "five", "304", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refused(command_run("tokenizer", "decode", "--model", MODEL, "7", wrong[i], NULL), 2, wrong[i]);
    /* a part of a character is none, which JSON cannot hold */
    d = run_ok(command_run("tokenizer", "decode", "--model", MODEL, "--json", "149", NULL));
    assert_non_null(strstr(d.out, "\"text\": \"\xef\xbf\xbd\""));
    command_release(&d);
    refused(command_run("tokenizer", "encode", "--model", MODEL, "--file", "nowhere.txt", NULL), 2,
            "nowhere.txt");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompts),        cmocka_unit_test(test_chat_switch),
        cmocka_unit_test(test_candidates),     cmocka_unit_test(test_json_and_blocks),
        cmocka_unit_test(test_stop_strings),   cmocka_unit_test(test_empty_prompt),
        cmocka_unit_test(test_wrong_generate), cmocka_unit_test(test_wrong_rows),
        cmocka_unit_test(test_interrupted),    cmocka_unit_test(test_interrupted_chat),
        cmocka_unit_test(test_turns),          cmocka_unit_test(test_wrong_chat),
        cmocka_unit_test(test_adapter),        cmocka_unit_test(test_eval),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
#else
int main(void) {
    return 77;
}
#endif
