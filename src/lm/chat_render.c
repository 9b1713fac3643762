/*
 * chat_render.c - a conversation as text, and the spans of it that the assistant is to produce.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "lm/chat.h"
#include "lm/tokenizer_parts.h"

void reini_chat_text_release(reini_chat_text *text) {
    reini_free(text->text.at);
    reini_free(text->spans);
    *text = (reini_chat_text){0};
}

/* a piece of text that is not ended by a zero */
typedef struct slice {
    const char *at;
    size_t n;
} slice;

static slice slice_of(const char *text) {
    return (slice){text, strlen(text)};
}

static rein_status put(reini_chat_text *out, const char *text) {
    return reini_bytes_add(&out->text, text, strlen(text));
}

static rein_status put_slice(reini_chat_text *out, slice s) {
    return reini_bytes_add(&out->text, s.at, s.n);
}

static rein_status add_span(reini_chat_text *out, size_t begin) {
    REINI_TRY(
        reini_reserve(&out->spans, &out->capacity, out->n_spans + 1, sizeof *out->spans, "a conversation"));
    out->spans[out->n_spans++] = (reini_span){begin, out->text.n};
    return REIN_OK;
}

/* ---- what templates do to text ------------------------------------------------------------------------- */

/* Python's str.isspace: White_Space and the four separators below it */
static bool is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

static slice trim(slice s) {
    int length;
    while (s.n > 0 && is_space(reini_char_at(s.at, &length))) {
        s.at += length;
        s.n -= (size_t)length;
    }
    while (s.n > 0) {
        size_t i = s.n - 1;
        while (i > 0 && ((unsigned char)s.at[i] & 0xc0) == 0x80)
            i--;
        if (!is_space(reini_char_at(s.at + i, &length)))
            break;
        s.n = i;
    }
    return s;
}

static slice trim_lines_left(slice s) {
    for (; s.n > 0 && *s.at == '\n'; s.n--)
        s.at++;
    return s;
}

static slice trim_lines_right(slice s) {
    while (s.n > 0 && s.at[s.n - 1] == '\n')
        s.n--;
    return s;
}

static const char *find(slice s, const char *mark) {
    size_t n = strlen(mark);
    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.at + i, mark, n) == 0)
            return s.at + i;
    return NULL;
}

/* what comes before the first mark (all when there is none), and after the last */
static slice before_first(slice s, const char *mark) {
    const char *found = find(s, mark);
    return found ? (slice){s.at, (size_t)(found - s.at)} : s;
}

static slice after_last(slice s, const char *mark) {
    const char *found;
    while ((found = find(s, mark))) {
        size_t skip = (size_t)(found - s.at) + strlen(mark);
        s.at += skip;
        s.n -= skip;
    }
    return s;
}

/* ---- ChatML and Qwen3 ---------------------------------------------------------------------------------- */

static bool is_role(const reini_message *m, const char *role) {
    return strcmp(m->role, role) == 0;
}

/* Qwen3: reasoning that stands in the content is shown in the turns after the last question of the user, and only there;
 * the very last turn has a block of thoughts even when it is empty */
static rein_status put_thoughts(reini_chat_text *out, slice content, bool recent, bool last) {
    slice thoughts = {"", 0};
    if (find(content, "</think>")) {
        thoughts =
            trim_lines_left(after_last(trim_lines_right(before_first(content, "</think>")), "<think>"));
        content = trim_lines_left(after_last(content, "</think>"));
    }
    if (!recent || (!last && thoughts.n == 0))
        return put_slice(out, content);
    REINI_TRY(put(out, "<think>\n"));
    REINI_TRY(put_slice(out, trim_lines_right(trim_lines_left(thoughts))));
    REINI_TRY(put(out, "\n</think>\n\n"));
    return put_slice(out, trim_lines_left(content));
}

/* a tool's answer travels as a user's message and is no question */
static bool is_tool_answer(slice s) {
    static const char opening[] = "<tool_response>", closing[] = "</tool_response>";
    size_t a = sizeof opening - 1, b = sizeof closing - 1;
    return s.n >= a && memcmp(s.at, opening, a) == 0 && s.n >= b && memcmp(s.at + s.n - b, closing, b) == 0;
}

static int last_question(const reini_message *messages, int n) {
    for (int i = n - 1; i >= 0; i--)
        if (is_role(&messages[i], "user") && !is_tool_answer(slice_of(messages[i].content)))
            return i;
    return n - 1;
}

static rein_status render_chatml(const reini_chat *chat, const reini_message *messages, int n,
                                 reini_chat_text *out) {
    int question = chat->family == REINI_CHAT_QWEN3 ? last_question(messages, n) : 0;
    if (chat->system[0] && !is_role(&messages[0], "system")) {
        REINI_TRY(put(out, "<|im_start|>system\n"));
        REINI_TRY(put(out, chat->system));
        REINI_TRY(put(out, "<|im_end|>\n"));
    }
    for (int i = 0; i < n; i++) {
        bool assistant = is_role(&messages[i], "assistant");
        REINI_TRY(put(out, "<|im_start|>"));
        REINI_TRY(put(out, messages[i].role));
        REINI_TRY(put(out, "\n"));
        size_t begin = out->text.n;
        if (assistant && chat->family == REINI_CHAT_QWEN3)
            REINI_TRY(put_thoughts(out, slice_of(messages[i].content), i > question, i == n - 1));
        else
            REINI_TRY(put(out, messages[i].content));
        REINI_TRY(put(out, "<|im_end|>"));
        if (assistant)
            REINI_TRY(add_span(out, begin));
        REINI_TRY(put(out, "\n"));
    }
    return REIN_OK;
}

/* ---- Llama-3 ------------------------------------------------------------------------------------------- */

static rein_status put_header(reini_chat_text *out, const char *role) {
    REINI_TRY(put(out, "<|start_header_id|>"));
    REINI_TRY(put(out, role));
    return put(out, "<|end_header_id|>\n\n");
}

/* "26 Jul 2024", in English wherever the machine stands */
static void today(char *out, size_t size) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm day = {0};
    localtime_r(&now, &day);
    snprintf(out, size, "%02d %.3s %d", day.tm_mday, months + 3 * day.tm_mon, day.tm_year + 1900);
}

static rein_status put_dates(const reini_chat *chat, const reini_message *system, const char *date,
                             reini_chat_text *out) {
    char now[32];
    today(now, sizeof now);
    REINI_TRY(put_header(out, "system"));
    REINI_TRY(put(out, "Cutting Knowledge Date: December 2023\nToday Date: "));
    REINI_TRY(put(out, date ? date : chat->date[0] ? chat->date : now));
    REINI_TRY(put(out, "\n\n"));
    if (system)
        REINI_TRY(put_slice(out, trim(slice_of(system->content))));
    return put(out, "<|eot_id|>");
}

static rein_status render_llama(const reini_chat *chat, const reini_message *messages, int n,
                                const char *date, reini_chat_text *out) {
    int i = 0;
    REINI_TRY(put(out, chat->bos));
    if (chat->family == REINI_CHAT_LLAMA31) {
        i = is_role(&messages[0], "system");
        REINI_TRY(put_dates(chat, i ? &messages[0] : NULL, date, out));
    }
    for (; i < n; i++) {
        REINI_TRY(put_header(out, messages[i].role));
        size_t begin = out->text.n;
        REINI_TRY(put_slice(out, trim(slice_of(messages[i].content))));
        REINI_TRY(put(out, "<|eot_id|>"));
        if (is_role(&messages[i], "assistant"))
            REINI_TRY(add_span(out, begin));
    }
    return REIN_OK;
}

/* ---- all ----------------------------------------------------------------------------------------------- */

static rein_status check_message(const reini_chat *chat, const reini_message *m, int i) {
    if (!m->role || !m->content || !*m->role)
        return reini_fail(REIN_FORMAT, "message %d has no %s", i + 1,
                          m->role && *m->role ? "content" : "role");
    if (reini_text_valid(m->content, strlen(m->content)) < strlen(m->content))
        return reini_fail(REIN_FORMAT, "the content of message %d is not UTF-8", i + 1);
    if (is_role(m, "tool") || is_role(m, "ipython"))
        return reini_fail(REIN_UNSUPPORTED, "message %d is of role \"%s\": tools are not supported", i + 1,
                          m->role);
    if (!chat->any_role && !is_role(m, "system") && !is_role(m, "user") && !is_role(m, "assistant"))
        return reini_fail(REIN_FORMAT, "message %d has role \"%s\", expected system, user or assistant",
                          i + 1, m->role);
    return REIN_OK;
}

static rein_status put_prompt(const reini_chat *chat, const reini_chat_opts *opts, reini_chat_text *out) {
    if (chat->family == REINI_CHAT_LLAMA3 || chat->family == REINI_CHAT_LLAMA31)
        return put_header(out, "assistant");
    REINI_TRY(put(out, "<|im_start|>assistant\n"));
    bool silent = chat->family == REINI_CHAT_QWEN3 && opts->no_thinking;
    return put(out, silent ? "<think>\n\n</think>\n\n" : "");
}

rein_status reini_chat_render(const reini_chat *chat, const reini_message *messages, int n,
                              const reini_chat_opts *opts, reini_chat_text *out) {
    out->text.n = out->n_spans = 0;
    REINI_TRY(reini_bytes_add(&out->text, "", 0));
    if (n < 1)
        return reini_fail(REIN_FORMAT, "a conversation without messages");
    for (int i = 0; i < n; i++)
        REINI_TRY(check_message(chat, &messages[i], i));
    if (chat->family == REINI_CHAT_LLAMA3 || chat->family == REINI_CHAT_LLAMA31)
        REINI_TRY(render_llama(chat, messages, n, opts->date, out));
    else
        REINI_TRY(render_chatml(chat, messages, n, out));
    return opts->generation_prompt || chat->always_prompt ? put_prompt(chat, opts, out) : REIN_OK;
}
