/*
 * text_model.h - a model folder opened for writing text: weights, adapter, tokenizer, chat template, defaults.
 */
#ifndef REINI_TEXT_MODEL_H
#define REINI_TEXT_MODEL_H

#include <rein/generate.h>
#include "lm/chat.h"
#include "lm/lora.h"
#include "lm/sampling.h"
#include "lm/tokenizer.h"

typedef struct reini_text_model {
    reini_lm_weights *weights;
    reini_lora *lora; /* NULL = none */
    rein_pool *pool;
    reini_tokenizer *tokenizer;
    reini_encoder *encoder;
    reini_chat chat;
    bool has_chat; /* else `why_not` says why: the folder has no template, or an unknown one */
    char why_not[512];
    reini_generation_config defaults;
    int n_pieces;         /* bytes of every token, "" for special ones */
    int64_t *piece_start; /* [n_pieces + 1] into piece_text */
    char *piece_text;
    int64_t weight_bytes;
    double load_s;
} reini_text_model;

/* Logs what the weights take before it reads them. tokens: with tokenizer, template and defaults. m is released after
 * success and failure alike. */
rein_status reini_text_model_open(reini_text_model *m, const rein_text_model_opts *opts, bool tokens);
void reini_text_model_release(reini_text_model *m);

/* Bytes a token adds to the text; user is the model. */
const char *reini_text_model_piece(void *user, int32_t id, int *size);

enum { REINI_TEXT_EOS = REINI_LM_EOS + 1 };
/* Tokens that end an answer: the folder's, and in a conversation the template's end of a turn. Returns how many. */
int reini_text_model_eos(const reini_text_model *m, bool conversation, int32_t eos[REINI_TEXT_EOS]);
/* The caller's settings over the folder's. */
rein_status reini_text_model_sampling(const reini_text_model *m, const rein_sampling_opts *opts,
                                      reini_sampling *out);

/* Ids of a text as a prompt, with what the tokenizer puts around texts; appended to `ids`. */
rein_status reini_text_model_encode(const reini_text_model *m, const char *text, reini_ids *ids);
/* A conversation with the assistant's opening, as text and ids; REIN_USAGE where there is no template. */
rein_status reini_text_model_render(const reini_text_model *m, const reini_message *messages, int n,
                                    reini_chat_text *text);

#endif
