/*
 * lm_encode.h - texts and conversations of a row as tokens: what every method on text reads its data with.
 */
#ifndef REINI_LM_ENCODE_H
#define REINI_LM_ENCODE_H

#include <jansson.h>
#include "lm/chat.h"
#include "lm/tokenizer.h"

/* A tokenizer with its end-of-text token and its chat template, from a model's folder. */
typedef struct reini_lm_reader reini_lm_reader;
/* chat_template: name or file of one to use instead of the folder's, NULL = the folder's, which may have none. */
rein_status reini_lm_reader_open(const char *folder, const char *chat_template, reini_lm_reader **out);
void reini_lm_reader_free(reini_lm_reader *reader);
const reini_tokenizer *reini_lm_reader_tokenizer(const reini_lm_reader *reader);

/* Tokens, reused from row to row. Zero it first. */
typedef struct reini_lm_encoded {
    reini_ids ids;
    uint8_t *
        assistant; /* [ids.n] 1: the assistant wrote it, the end of its messages included; 1 for plain text */
    size_t room;
} reini_lm_encoded;
void reini_lm_encoded_release(reini_lm_encoded *e);

/* Is the value a conversation, rather than text? */
bool reini_is_conversation(const json_t *value);
/* What a row's value is wrong in: REIN_FORMAT with a sentence that begins with the key. */
rein_status reini_conversation_check(const json_t *value, const char *key);

/* The following take values that were checked, and start `out` anew. */

/* Plain text; end: with the end-of-text token where it does not end in it. */
rein_status reini_lm_encode_text(reini_lm_reader *reader, const char *text, bool end, reini_lm_encoded *out);
/* A conversation through the template; reply: with the beginning of an assistant's message at its end. */
rein_status reini_lm_encode_messages(reini_lm_reader *reader, const json_t *messages, bool reply,
                                     reini_lm_encoded *out);
/* Prompt and completion, both text or both conversations; the completion is ended as above. *n_prompt: tokens from the
 * first on that are those of the prompt by itself; *apart: those are fewer than the prompt has. */
rein_status reini_lm_encode_pair(reini_lm_reader *reader, const json_t *prompt, const json_t *completion,
                                 reini_lm_encoded *out, int *n_prompt, bool *apart);

#endif
