/*
 * test_chat_golden.c - chat templates against Transformers: what tests/reference/chat_hf.py made of every template and
 * conversation, with and without the generation prompt, and where the assistant speaks.
 */
#include "support/check.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/golden.h"
#include "lm/chat.h"

enum { MESSAGES = 16 };

static json_t *root;

static int read_messages(const json_t *list, reini_message *out) {
    int n = (int)json_array_size(list);
    assert_in_range(n, 1, MESSAGES);
    for (int i = 0; i < n; i++)
        out[i] = (reini_message){json_string_value(golden_at(json_array_get(list, (size_t)i), "role")),
                                 json_string_value(golden_at(json_array_get(list, (size_t)i), "content"))};
    return n;
}

static void check_text(const char *name, int k, const reini_chat_text *found, const char *text,
                       const char *prompt) {
    size_t n = strlen(text);
    if (found->text.n != n + strlen(prompt) || memcmp(found->text.at, text, n) != 0 ||
        strcmp(found->text.at + n, prompt) != 0)
        fail_msg("%s, conversation %d: found\n%s\nexpected\n%s%s", name, k, found->text.at, text, prompt);
}

static void check_spans(const char *name, int k, const reini_chat_text *found, const json_t *wanted) {
    if (2 * found->n_spans != json_array_size(wanted))
        fail_msg("%s, conversation %d: %zu spans, expected %zu", name, k, found->n_spans,
                 json_array_size(wanted) / 2);
    for (size_t i = 0; i < found->n_spans; i++) {
        assert_int_equal(found->spans[i].begin, json_integer_value(json_array_get(wanted, 2 * i)));
        assert_int_equal(found->spans[i].end, json_integer_value(json_array_get(wanted, 2 * i + 1)));
    }
}

static void check_conversation(const char *name, int k, const reini_chat *chat, const char *date) {
    const json_t *templates = golden_at(root, "templates"), *t, *row = NULL;
    reini_message messages[MESSAGES];
    reini_chat_text out = {0};
    size_t i;
    int n = read_messages(json_array_get(golden_at(root, "conversations"), (size_t)k), messages);
    json_array_foreach(templates, i, t) if (strcmp(json_string_value(golden_at(t, "name")), name) == 0) row =
        json_array_get(golden_at(t, "rows"), (size_t)k);
    assert_non_null(row);
    const char *text = json_string_value(json_array_get(row, 0));
    reini_chat_opts opts = {.date = date};
    assert_ok(reini_chat_render(chat, messages, n, &opts, &out));
    check_text(name, k, &out, text, chat->always_prompt ? json_string_value(json_array_get(row, 1)) : "");
    check_spans(name, k, &out, json_array_get(row, 3));
    opts.generation_prompt = true;
    assert_ok(reini_chat_render(chat, messages, n, &opts, &out));
    check_text(name, k, &out, text, json_string_value(json_array_get(row, 1)));
    opts.no_thinking = true;
    assert_ok(reini_chat_render(chat, messages, n, &opts, &out));
    check_text(name, k, &out, text, json_string_value(json_array_get(row, 2)));
    reini_chat_text_release(&out);
}

static int conversations(void) {
    return (int)json_array_size(golden_at(root, "conversations"));
}

static const char *date_of(const char *name) {
    return strcmp(name, "llama3.2") == 0 ? json_string_value(golden_at(root, "date")) : NULL;
}

static void recognised_templates_render_equal(void **state) {
    const json_t *templates = golden_at(root, "templates"), *t;
    size_t i;
    assert_true(json_array_size(templates) >= 10);
    json_array_foreach(templates, i, t) {
        const char *name = json_string_value(golden_at(t, "name"));
        reini_chat chat;
        assert_ok(
            reini_chat_recognise(json_string_value(golden_at(t, "text")), name, "<|begin_of_text|>", &chat));
        for (int k = 0; k < conversations(); k++)
            check_conversation(name, k, &chat, date_of(name));
    }
}

static void named_templates_render_equal(void **state) {
    char names[256], *rest = names;
    memcpy(names, reini_chat_names, strlen(reini_chat_names) + 1);
    int n = 0;
    for (char *name; (name = strtok_r(rest, "|", &rest)); n++) {
        reini_chat chat;
        assert_ok(reini_chat_by_name(name, &chat));
        for (int k = 0; k < conversations(); k++)
            check_conversation(name, k, &chat, NULL);
    }
    assert_int_equal(n, 7);
}

static int setup(void **state) {
    root = golden_read("chat_hf.json");
    return 0;
}

static int teardown(void **state) {
    json_decref(root);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recognised_templates_render_equal),
        cmocka_unit_test(named_templates_render_equal),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
