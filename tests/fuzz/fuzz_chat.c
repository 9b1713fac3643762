/*
 * fuzz_chat.c - a chat template as it is; when it is recognised, and with every known one, the input cut at its lines
 * becomes a conversation. Spans must lie in the text, in order, and end with the end of a turn.
 */
#include <stdlib.h>
#include <string.h>
#include "lm/chat.h"
#include "fuzz.h"

enum { MESSAGES = 12 };

static void check(const reini_chat *chat, const reini_chat_text *out) {
    const char *end =
        chat->family == REINI_CHAT_LLAMA3 || chat->family == REINI_CHAT_LLAMA31 ? "<|eot_id|>" : "<|im_end|>";
    size_t last = 0;
    for (size_t i = 0; i < out->n_spans; i++) {
        const reini_span *s = &out->spans[i];
        if (s->begin < last || s->end < s->begin + strlen(end) || s->end > out->text.n ||
            memcmp(out->text.at + s->end - strlen(end), end, strlen(end)) != 0)
            abort();
        last = s->end;
    }
}

static void render(const reini_chat *chat, const reini_message *messages, int n) {
    reini_chat_text out = {0};
    for (int k = 0; k < 4; k++) {
        reini_chat_opts opts = {
            .generation_prompt = k & 1, .no_thinking = k & 2, .date = k ? NULL : "01 Jan 2030"};
        if (reini_chat_render(chat, messages, n, &opts, &out) == REIN_OK)
            check(chat, &out);
    }
    reini_chat_text_release(&out);
}

/* lines as contents of alternating turns; '%' opens a message of the assistant */
static int make_messages(char *text, reini_message *messages) {
    int n = 0;
    for (char *line, *rest = text; n < MESSAGES && (line = strsep(&rest, "\v%"));)
        messages[n++] = (reini_message){n % 3 == 0 ? "system" : n % 3 == 1 ? "user" : "assistant", line};
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    reini_message messages[MESSAGES];
    reini_chat chat;
    char *text = calloc(1, size + 1), names[256], *rest = names;
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    bool known = reini_chat_recognise(text, "input", "<s>", &chat) == REIN_OK;
    int n = make_messages(text, messages);
    if (known)
        render(&chat, messages, n);
    memcpy(names, reini_chat_names, strlen(reini_chat_names) + 1);
    for (char *name; (name = strsep(&rest, "|"));)
        if (reini_chat_by_name(name, &chat) == REIN_OK)
            render(&chat, messages, n);
    free(text);
    if (reini_memory_now().live_bytes != 0)
        abort();
    return 0;
}
