/*
 * chat.c - which family a chat template is of.
 *
 * A template is known by the marks its family's texts share and by the absence of what other families add (thinking,
 * trimming, a BOS of their own). What differs within a family is read from it: the default system message, the date, and
 * whether the generation prompt can be left out.
 */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "lm/chat.h"

const char reini_chat_names[] = "chatml|smollm2|qwen2|qwen2.5|qwen3|llama3|llama3.1";

static const struct {
    const char *name;
    reini_chat chat;
} named[] = {
    {"chatml", {.family = REINI_CHAT_CHATML, .any_role = true}},
    {"smollm2",
     {.family = REINI_CHAT_CHATML,
      .any_role = true,
      .system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"}},
    {"qwen2", {.family = REINI_CHAT_CHATML, .any_role = true, .system = "You are a helpful assistant."}},
    {"qwen2.5",
     {.family = REINI_CHAT_CHATML,
      .system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."}},
    {"qwen3", {.family = REINI_CHAT_QWEN3}},
    {"llama3", {.family = REINI_CHAT_LLAMA3, .any_role = true, .bos = "<|begin_of_text|>"}},
    {"llama3.1", {.family = REINI_CHAT_LLAMA31, .bos = "<|begin_of_text|>", .date = "26 Jul 2024"}},
};
enum { N_NAMED = sizeof named / sizeof *named };

static const reini_chat *find_name(const char *name) {
    for (int i = 0; i < N_NAMED; i++)
        if (strcmp(named[i].name, name) == 0)
            return &named[i].chat;
    return NULL;
}

rein_status reini_chat_by_name(const char *name, reini_chat *out) {
    const char *names[N_NAMED];
    const reini_chat *chat = find_name(name);
    if (chat) {
        *out = *chat;
        return REIN_OK;
    }
    for (int i = 0; i < N_NAMED; i++)
        names[i] = named[i].name;
    const char *near = reini_nearest(name, names, N_NAMED);
    return reini_fail(REIN_USAGE, "no chat template is named \"%s\"%s%s%s, expected %s", name,
                      near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", reini_chat_names);
}

/* ---- recognition --------------------------------------------------------------------------------------- */

static bool has(const char *text, const char *mark) {
    return strstr(text, mark) != NULL;
}

static rein_status unknown(const char *where, const char *why) {
    return reini_fail(
        REIN_UNSUPPORTED,
        "%s: this chat template is not known (%s); known are those of %s, and --chat-template NAME|FILE "
        "chooses one",
        where, why, reini_chat_names);
}

/* the text of a string literal up to `stop`; false when the literal ends before, or it does not fit */
static bool read_literal(const char *p, const char *stop, char *out, size_t size) {
    const char *end = strstr(p, stop);
    size_t n = 0;
    while (end && p < end && n + 1 < size) {
        if (*p == '\'' || *p == '"' || *p == '{')
            return false;
        if (*p == '\\' && (p[1] == 'n' || p[1] == '\'' || p[1] == '"' || p[1] == '\\')) {
            out[n++] = (char)(p[1] == 'n' ? '\n' : p[1]);
            p += 2;
        } else
            out[n++] = *p++;
    }
    out[n] = 0;
    return end && p == end;
}

/* '<|im_start|>system\nYou are ...<|im_end|>\n' anywhere; false when two of them differ */
static bool find_system(const char *text, char *out) {
    static const char opening[] = "<|im_start|>system";
    char found[REINI_CHAT_SYSTEM];
    out[0] = 0;
    for (const char *p = text; (p = strstr(p, opening));) {
        p += sizeof opening - 1;
        p += strncmp(p, "\\n", 2) == 0 ? 2 : *p == '\n' ? 1 : 0;
        if (!read_literal(p, "<|im_end|>", found, sizeof found))
            continue;
        if (out[0] && strcmp(out, found) != 0)
            return false;
        memcpy(out, found, sizeof found);
    }
    return true;
}

/* line ends in a template's texts are written as \n or as they are */
static bool ends_turns_with_line(const char *text) {
    return has(text, "<|im_end|>\\n") || has(text, "<|im_end|>' + '\n'") ||
           has(text, "<|im_end|>' + '\\n'") || has(text, "<|im_end|>' + \"\\n\"") ||
           has(text, "<|im_end|>\" + \"\\n\"") || has(text, "<|im_end|>\n");
}

static bool opens_turns(const char *text) {
    return has(text, "<|im_start|>' + message") || has(text, "<|im_start|>\" + message") ||
           has(text, "<|im_start|>'+message") || has(text, "<|im_start|>{{ message") ||
           has(text, "<|im_start|>{{message");
}

static rein_status recognise_chatml(const char *text, const char *where, reini_chat *out) {
    bool thinks = has(text, "think") || has(text, "reasoning");
    out->family = thinks ? REINI_CHAT_QWEN3 : REINI_CHAT_CHATML;
    out->any_role = !has(text, "== \"user\"") && !has(text, "== 'user'");
    if (thinks && !(has(text, "last_query_index") && has(text, "enable_thinking is false") &&
                    has(text, "reasoning_content")))
        return unknown(where, "it thinks otherwise than Qwen3's");
    if (!opens_turns(text) || !ends_turns_with_line(text))
        return unknown(where, "its turns differ from ChatML's");
    if (has(text, "bos_token") || has(text, "trim"))
        return unknown(where, has(text, "trim") ? "ChatML that trims" : "ChatML with a BOS");
    if (!find_system(text, out->system))
        return unknown(where, "it has several default system messages");
    return REIN_OK;
}

static rein_status recognise_llama(const char *text, const char *where, const char *bos, reini_chat *out) {
    const char *date = strstr(text, "date_string = \"");
    out->family = has(text, "Cutting Knowledge Date") ? REINI_CHAT_LLAMA31 : REINI_CHAT_LLAMA3;
    out->any_role = out->family == REINI_CHAT_LLAMA3;
    if (!has(text, "trim") || !has(text, "bos_token") || has(text, "think"))
        return unknown(where, "it differs from Llama-3's");
    if (out->family == REINI_CHAT_LLAMA31 && !has(text, "strftime_now") &&
        (!date || !read_literal(date + 15, "\"", out->date, sizeof out->date)))
        return unknown(where, "Llama-3.1's without its date");
    if (!bos)
        return reini_fail(REIN_FORMAT,
                          "%s: the chat template begins with the BOS token, and the tokenizer names none",
                          where);
    if (strlen(bos) >= sizeof out->bos)
        return reini_fail(REIN_UNSUPPORTED, "%s: the BOS token is longer than %zu bytes", where,
                          sizeof out->bos - 1);
    memcpy(out->bos, bos, strlen(bos) + 1);
    return REIN_OK;
}

rein_status reini_chat_recognise(const char *text, const char *where, const char *bos, reini_chat *out) {
    *out = (reini_chat){.always_prompt = !has(text, "add_generation_prompt")};
    bool chatml = has(text, "<|im_start|>") && has(text, "<|im_end|>");
    bool llama =
        has(text, "<|start_header_id|>") && has(text, "<|end_header_id|>") && has(text, "<|eot_id|>");
    if (chatml == llama)
        return unknown(where, chatml ? "it has the marks of two families"
                                     : "it has neither ChatML's nor Llama-3's marks");
    /* ChatML texts without a generation prompt never end with one */
    out->always_prompt = out->always_prompt && llama && has(text, "assistant<|end_header_id|>");
    return llama ? recognise_llama(text, where, bos, out) : recognise_chatml(text, where, out);
}

rein_status reini_chat_open(const reini_tokenizer *tokenizer, const char *override, reini_chat *out) {
    char *text;
    size_t n;
    const char *bos = reini_tokenizer_token(tokenizer, reini_tokenizer_bos(tokenizer));
    const char *own = reini_tokenizer_chat_template(tokenizer);
    if (!override) {
        if (own)
            return reini_chat_recognise(own, "the model's folder", bos, out);
        return reini_fail(
            REIN_UNSUPPORTED,
            "the model's folder has no chat template; --chat-template NAME|FILE chooses one (%s)",
            reini_chat_names);
    }
    const reini_chat *chat = find_name(override);
    if (!chat && !reini_file_exists(override))
        return reini_chat_by_name(override, out);
    if (chat) {
        *out = *chat;
        if (bos && out->bos[0] && strlen(bos) < sizeof out->bos)
            memcpy(out->bos, bos, strlen(bos) + 1);
        return REIN_OK;
    }
    REINI_TRY(reini_file_read(override, (size_t)16 << 20, &text, &n));
    rein_status status = reini_chat_recognise(text, override, bos, out);
    reini_free(text);
    return status;
}
