/*
 * test_chat.c - chat templates: what is refused, how overrides are chosen, spans and dates.
 */
#include "support/check.h"
#include <stdbool.h>
#include <stdio.h>
#include "support/temp_dir.h"
#include "lm/chat.h"

static const char chatml[] =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\\n' }}{% endif %}";

#define REFUSED(text, words)                                                                                 \
    assert_fails(reini_chat_recognise(text, "here", "<s>", &chat), REIN_UNSUPPORTED, words)

static void unknown_templates_are_refused(void **state) {
    reini_chat chat;
    REFUSED("", "--chat-template NAME|FILE");
    REFUSED("[INST] {{ message }} [/INST]", "known are those of chatml|smollm2|qwen2");
    REFUSED("<|im_start|><|im_end|><|start_header_id|><|end_header_id|><|eot_id|>", "two families");
    REFUSED("<|im_start|>' + message + '<|im_end|>\\n' <think>", "thinks otherwise");
    REFUSED("{{ bos_token }}'<|im_start|>' + message '<|im_end|>\\n'", "BOS");
    REFUSED("'<|im_start|>' + message | trim '<|im_end|>\\n'", "trims");
    REFUSED("'<|im_start|>' + message '<|im_end|>'", "turns differ");
    REFUSED("'<|im_start|>system\\nA<|im_end|>\\n' '<|im_start|>system\\nB<|im_end|>\\n' '<|im_start|>' + "
            "message",
            "several default");
    REFUSED("<|start_header_id|><|end_header_id|><|eot_id|>", "differs from Llama-3");
    REFUSED("bos_token trim <|start_header_id|><|end_header_id|><|eot_id|>Cutting Knowledge Date",
            "without its date");
    assert_fails(reini_chat_recognise("bos_token trim <|start_header_id|><|end_header_id|><|eot_id|>", "here",
                                      NULL, &chat),
                 REIN_FORMAT, "the tokenizer names none");
    assert_ok(reini_chat_recognise(chatml, "here", NULL, &chat));
    assert_int_equal(chat.family, REINI_CHAT_CHATML);
    assert_string_equal(chat.system, "");
}

static void names_are_checked(void **state) {
    reini_chat chat;
    assert_fails(reini_chat_by_name("qwen", &chat), REIN_USAGE, "no chat template is named \"qwen\"");
    assert_fails(reini_chat_by_name("lama3", &chat), REIN_USAGE, "did you mean llama3?");
    assert_ok(reini_chat_by_name("qwen2.5", &chat));
    assert_string_equal(chat.system, "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.");
}

static rein_status render(const char *name, const reini_message *messages, int n, reini_chat_text *out) {
    reini_chat chat;
    reini_chat_opts opts = {.date = "01 Jan 2030"};
    assert_ok(reini_chat_by_name(name, &chat));
    return reini_chat_render(&chat, messages, n, &opts, out);
}

static void bad_messages_are_refused(void **state) {
    reini_chat_text out = {0};
    reini_message tool = {"tool", "42"}, odd = {"wizard", "hi"}, empty = {"", "hi"}, none = {"user", NULL},
                  broken = {"user", "a\xff"};
    assert_fails(render("qwen2.5", &tool, 1, &out), REIN_UNSUPPORTED, "tools are not supported");
    assert_fails(render("chatml", &tool, 1, &out), REIN_UNSUPPORTED, "message 1 is of role \"tool\"");
    assert_fails(render("qwen3", &odd, 1, &out), REIN_FORMAT, "expected system, user or assistant");
    assert_fails(render("chatml", &empty, 1, &out), REIN_FORMAT, "no role");
    assert_fails(render("chatml", &none, 1, &out), REIN_FORMAT, "no content");
    assert_fails(render("llama3", &broken, 1, &out), REIN_FORMAT, "not UTF-8");
    assert_fails(render("chatml", &odd, 0, &out), REIN_FORMAT, "without messages");
    assert_ok(render("chatml", &odd, 1, &out));
    assert_string_equal(out.text.at, "<|im_start|>wizard\nhi<|im_end|>\n");
    reini_chat_text_release(&out);
}

static void spans_hold_what_the_assistant_says(void **state) {
    const reini_message messages[] = {
        {"user", "2+2?"}, {"assistant", " 4 "}, {"user", "3+3?"}, {"assistant", "6"}};
    reini_chat_text out = {0};
    assert_ok(render("llama3", messages, 4, &out));
    assert_int_equal(out.n_spans, 2);
    assert_memory_equal(out.text.at + out.spans[0].begin, "4<|eot_id|>", 11);
    assert_int_equal(out.spans[0].end - out.spans[0].begin, 11);
    assert_memory_equal(out.text.at + out.spans[1].begin, "6<|eot_id|>", 11);
    assert_int_equal(out.spans[1].end, out.text.n);
    /* a second rendering starts anew */
    assert_ok(render("qwen3", messages, 2, &out));
    assert_int_equal(out.n_spans, 1);
    assert_memory_equal(out.text.at + out.spans[0].begin, "<think>\n\n</think>\n\n 4 <|im_end|>", 32);
    assert_int_equal(out.spans[0].end + 1, out.text.n);
    reini_chat_text_release(&out);
}

static void dates_are_the_given_ones(void **state) {
    const reini_message hi = {"user", "hi"};
    reini_chat_text out = {0};
    reini_chat chat;
    reini_chat_opts opts = {0};
    assert_ok(reini_chat_by_name("llama3.1", &chat));
    assert_ok(reini_chat_render(&chat, &hi, 1, &opts, &out));
    assert_non_null(strstr(out.text.at, "Today Date: 26 Jul 2024\n"));
    opts.date = "01 Jan 2030";
    assert_ok(reini_chat_render(&chat, &hi, 1, &opts, &out));
    assert_non_null(strstr(out.text.at, "Today Date: 01 Jan 2030\n"));
    opts.date = NULL;
    chat.date[0] = 0;
    assert_ok(reini_chat_render(&chat, &hi, 1, &opts, &out));
    assert_non_null(strstr(out.text.at, " 20"));
    assert_null(strstr(out.text.at, "26 Jul 2024"));
    reini_chat_text_release(&out);
}

#if defined(REIN_HAVE_PCRE2) && defined(REIN_HAVE_UTF8PROC)
static void overrides_are_names_or_files(void **state) {
    reini_tokenizer *t;
    reini_chat chat;
    assert_ok(reini_tokenizer_open(REIN_SOURCE_DIR "/tests/golden/tokenizer_qwen2.json", &t));
    assert_fails(reini_chat_open(t, NULL, &chat), REIN_UNSUPPORTED, "has no chat template");
    assert_ok(reini_chat_open(t, "qwen3", &chat));
    assert_int_equal(chat.family, REINI_CHAT_QWEN3);
    assert_fails(reini_chat_open(t, "qwen33", &chat), REIN_USAGE, "did you mean qwen3?");
    temp_write(temp_path("mine.jinja"), chatml, sizeof chatml - 1);
    assert_ok(reini_chat_open(t, temp_path("mine.jinja"), &chat));
    assert_int_equal(chat.family, REINI_CHAT_CHATML);
    reini_tokenizer_free(t);
}

static void the_folder_names_its_template(void **state) {
    reini_tokenizer *t;
    reini_chat chat;
    size_t n;
    char *json = temp_read(REIN_SOURCE_DIR "/tests/golden/tokenizer_llama3.json", &n);
    const char *config =
        "{\"bos_token\": \"<|begin_of_text|>\", \"eos_token\": {\"content\": \"<|eot_id|>\"}, "
        "\"model_max_length\": 1000000000000000019884624838656, \"chat_template\": [{\"name\": \"other\", "
        "\"template\": \"x\"}, {\"name\": \"default\", \"template\": \"bos_token trim add_generation_prompt "
        "<|start_header_id|><|end_header_id|><|eot_id|>\"}]}";
    assert_ok(reini_tokenizer_parse(json, n, config, strlen(config), "t", &t));
    assert_string_equal(reini_tokenizer_token(t, reini_tokenizer_bos(t)), "<|begin_of_text|>");
    assert_string_equal(reini_tokenizer_token(t, reini_tokenizer_eos(t)), "<|eot_id|>");
    assert_int_equal(reini_tokenizer_pad(t), -1);
    assert_ok(reini_chat_open(t, NULL, &chat));
    assert_int_equal(chat.family, REINI_CHAT_LLAMA3);
    assert_string_equal(chat.bos, "<|begin_of_text|>");
    reini_tokenizer_free(t);
    free(json);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_templates_are_refused),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(bad_messages_are_refused),
        cmocka_unit_test(spans_hold_what_the_assistant_says),
        cmocka_unit_test(dates_are_the_given_ones),
#if defined(REIN_HAVE_PCRE2) && defined(REIN_HAVE_UTF8PROC)
        cmocka_unit_test(overrides_are_names_or_files),
        cmocka_unit_test(the_folder_names_its_template),
#endif
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
