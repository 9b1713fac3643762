/*
 * chat.h - conversations as the text a model was trained on: the chat templates of the families that Rein knows.
 *
 * A folder's template is a Jinja program. Rein does not run it: it recognises the family from what is written in it and
 * renders natively, equal to Transformers' apply_chat_template, and knows which bytes the assistant wrote, for masks.
 */
#ifndef REINI_CHAT_H
#define REINI_CHAT_H

#include "base/base.h"
#include "lm/tokenizer.h"

typedef struct reini_message {
    const char *role; /* "system", "user", "assistant" */
    const char *content;
} reini_message;

typedef enum reini_chat_family {
    REINI_CHAT_CHATML, /* <|im_start|>role, a line end, content, <|im_end|>; perhaps a default system message */
    REINI_CHAT_QWEN3,   /* ChatML with thinking */
    REINI_CHAT_LLAMA3,  /* headers, trimmed content, <|eot_id|> */
    REINI_CHAT_LLAMA31, /* the same, and always a system block with dates */
} reini_chat_family;

enum { REINI_CHAT_SYSTEM = 512 };

typedef struct reini_chat {
    reini_chat_family family;
    char system[REINI_CHAT_SYSTEM]; /* said when a conversation has no system message; "" = nothing */
    char bos[64];                   /* Llama-3 puts it before all */
    char date[32];                  /* LLAMA31: the template's own date, "" = today */
    bool any_role;                  /* roles go through as they are; else only the three */
    bool always_prompt;             /* the generation prompt is not optional in this template */
} reini_chat;

/* Names that --chat-template takes: "chatml|smollm2|qwen2|qwen2.5|qwen3|llama3|llama3.1". */
extern const char reini_chat_names[];
rein_status reini_chat_by_name(const char *name, reini_chat *out);
/* From a template's text. where: names it in errors. bos: text of the BOS token, NULL = none. Refused when unknown. */
rein_status reini_chat_recognise(const char *text, const char *where, const char *bos, reini_chat *out);
/* What --chat-template says (a name, else a file), or with override NULL the tokenizer's own template. */
rein_status reini_chat_open(const reini_tokenizer *tokenizer, const char *override, reini_chat *out);

/* Bytes [begin, end) that the assistant wrote, its end-of-turn token included. */
typedef struct reini_span {
    size_t begin, end;
} reini_span;

typedef struct reini_chat_opts {
    bool generation_prompt; /* end with the assistant's opening */
    bool no_thinking;       /* Qwen3's enable_thinking=false */
    const char *date; /* "26 Jul 2024" for templates that name the day, NULL = the template's or today */
} reini_chat_opts;

typedef struct reini_chat_text {
    reini_bytes text;
    reini_span *spans;
    size_t n_spans, capacity;
} reini_chat_text;
/* Zero `out` first, release it in either case; a second rendering into it starts anew. Encode it without
 * REINI_ENCODE_TEMPLATE: templates write their BOS themselves. */
rein_status reini_chat_render(const reini_chat *chat, const reini_message *messages, int n,
                              const reini_chat_opts *opts, reini_chat_text *out);
void reini_chat_text_release(reini_chat_text *text);

#endif
