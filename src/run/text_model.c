/*
 * text_model.c - opening a model folder for text.
 */
#include "run/text_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"

/* ---- weights ----------------------------------------------------------------------------------------------- */

/* The number format: as asked, else bf16 where config.json says that the weights are. */
static rein_status choose_dtype(const rein_text_model_opts *opts, rein_dtype *dtype) {
    char path[1024];
    json_t *config;
    if (opts->dtype && strcmp(opts->dtype, "f32") != 0 && strcmp(opts->dtype, "bf16") != 0)
        return reini_fail(REIN_USAGE, "dtype is \"%s\", expected f32 or bf16", opts->dtype);
    *dtype = opts->dtype && strcmp(opts->dtype, "bf16") == 0 ? REIN_BF16 : REIN_F32;
    if (opts->dtype)
        return REIN_OK;
    REINI_TRY(reini_path_join(path, sizeof path, opts->folder, "config.json"));
    REINI_TRY(reini_json_read(path, &config));
    const char *text = json_string_value(json_object_get(config, "dtype"));
    if (!text)
        text = json_string_value(json_object_get(config, "torch_dtype"));
    *dtype = text && strcmp(text, "bfloat16") == 0 ? REIN_BF16 : REIN_F32;
    json_decref(config);
    return REIN_OK;
}

/* parameters of a shape, before there are any */
static int64_t count_parameters(const reini_lm_shape *s) {
    int64_t whole = 0, layer = 0;
#define X(name, text, per_layer, rows, columns, there)                                                       \
    *((per_layer) ? &layer : &whole) += (there) ? (int64_t)(rows) * (columns) : 0;
    REINI_LM_PARTS(X)
#undef X
    return whole + layer * s->layers;
}

static rein_status load_weights(reini_text_model *m, const rein_text_model_opts *opts) {
    char path[1024];
    reini_lm_shape shape;
    rein_dtype dtype = REIN_F32;
    REINI_TRY(choose_dtype(opts, &dtype));
    REINI_TRY(reini_path_join(path, sizeof path, opts->folder, "config.json"));
    REINI_TRY(reini_lm_shape_load(path, &shape));
    if (shape.labels > 0)
        return reini_fail(REIN_USAGE, "%s is a classifier: it scores texts and writes none", opts->folder);
    int64_t parameters = count_parameters(&shape);
    m->weight_bytes = parameters * (dtype == REIN_BF16 ? 2 : 4);
    reini_log(REIN_LOG_INFO, "%s: %s, %.1f M parameters, %.1f MB of weights in %s", opts->folder,
              reini_family_name(shape.family), 1e-6 * (double)parameters, 1e-6 * (double)m->weight_bytes,
              dtype == REIN_BF16 ? "bf16" : "f32");
    REINI_TRY(reini_lm_weights_load_by(m->pool, opts->folder, dtype, true, 0, &m->weights, NULL));
    return opts->adapter ? reini_lora_load(m->weights, opts->adapter, &m->lora) : REIN_OK;
}

/* ---- tokens ------------------------------------------------------------------------------------------------ */

/* The byte behind a code point of the byte-level alphabet: printable ones stand for themselves, the other 68 follow from
 * 256 on in their order. -1 = none. */
static int byte_of(uint32_t point) {
    if ((point >= 33 && point <= 126) || (point >= 161 && point <= 172) || (point >= 174 && point <= 255))
        return (int)point;
    if (point < 256 || point >= 256 + 68)
        return -1;
    int k = (int)point - 256;
    return k < 33 ? k : k < 67 ? 127 + k - 33 : 173;
}

/* Writes the bytes of a token; false when it is not written in the alphabet (added tokens may be any text). */
static bool alphabet_bytes(const char *token, char *out, int *size) {
    const unsigned char *at = (const unsigned char *)token;
    *size = 0;
    while (*at) {
        uint32_t point = *at++;
        if (point >= 0xE0)
            return false;
        if (point >= 0xC0)
            point = (point & 0x1F) << 6 | (*at++ & 0x3F);
        int byte = byte_of(point);
        if (byte < 0)
            return false;
        out[(*size)++] = (char)byte;
    }
    return true;
}

static rein_status make_pieces(reini_text_model *m) {
    m->n_pieces = reini_tokenizer_size(m->tokenizer);
    size_t room = 1;
    for (int i = 0; i < m->n_pieces; i++) {
        const char *token = reini_tokenizer_token(m->tokenizer, i);
        room += token ? strlen(token) : 0;
    }
    m->piece_start = REINI_NEW_ARRAY(int64_t, (size_t)m->n_pieces + 1);
    m->piece_text = REINI_NEW_ARRAY(char, room);
    if (!m->piece_start || !m->piece_text)
        return reini_fail_memory(room, "tokens");
    for (int i = 0; i < m->n_pieces; i++) {
        const char *token = reini_tokenizer_token(m->tokenizer, i);
        char *out = m->piece_text + m->piece_start[i];
        int size = 0;
        if (token && !reini_tokenizer_special(m->tokenizer, i) && !alphabet_bytes(token, out, &size)) {
            size = (int)strlen(token);
            memcpy(out, token, (size_t)size);
        }
        m->piece_start[i + 1] = m->piece_start[i] + size;
    }
    return REIN_OK;
}

const char *reini_text_model_piece(void *user, int32_t id, int *size) {
    const reini_text_model *m = user;
    if (id >= m->n_pieces) {
        *size = 0;
        return "";
    }
    *size = (int)(m->piece_start[id + 1] - m->piece_start[id]);
    return m->piece_text + m->piece_start[id];
}

static rein_status open_tokenizer(reini_text_model *m, const rein_text_model_opts *opts) {
    REINI_TRY(reini_tokenizer_open(opts->folder, &m->tokenizer));
    REINI_TRY(reini_encoder_new(m->tokenizer, &m->encoder));
    /* models may have rows to spare, but every token needs one */
    if (reini_tokenizer_size(m->tokenizer) > m->weights->shape.vocabulary)
        return reini_fail(
            REIN_MISMATCH,
            "%s: the tokenizer has %d tokens and the model %d: the files are of different models",
            opts->folder, reini_tokenizer_size(m->tokenizer), m->weights->shape.vocabulary);
    REINI_TRY(make_pieces(m));
    if (!opts->chat_template && !reini_tokenizer_chat_template(m->tokenizer)) {
        snprintf(m->why_not, sizeof m->why_not, "%s has no chat template", opts->folder);
        return REIN_OK;
    }
    rein_status status = reini_chat_open(m->tokenizer, opts->chat_template, &m->chat);
    m->has_chat = status == REIN_OK;
    if (m->has_chat || opts->chat_template)
        return status;
    /* texts can do without */
    snprintf(m->why_not, sizeof m->why_not, "%s", rein_error());
    return REIN_OK;
}

rein_status reini_text_model_open(reini_text_model *m, const rein_text_model_opts *opts, bool tokens) {
    double start = reini_seconds();
    *m = (reini_text_model){0};
    if (!opts->folder)
        return reini_fail(REIN_USAGE, "no model: name its folder");
    int threads = opts->threads > 0 ? opts->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > 1 && !(m->pool = rein_pool_new(threads)))
        return reini_fail(REIN_NOMEM, "%d worker threads could not be started", threads);
    REINI_TRY(load_weights(m, opts));
    if (tokens) {
        REINI_TRY(open_tokenizer(m, opts));
        REINI_TRY(reini_generation_config_load(opts->folder, &m->defaults));
    }
    m->load_s = reini_seconds() - start;
    return REIN_OK;
}

void reini_text_model_release(reini_text_model *m) {
    reini_encoder_free(m->encoder);
    reini_tokenizer_free(m->tokenizer);
    reini_lora_free(m->lora);
    reini_lm_weights_free(m->weights);
    rein_pool_free(m->pool);
    reini_free(m->piece_start);
    reini_free(m->piece_text);
    *m = (reini_text_model){0};
}

/* ---- settings ---------------------------------------------------------------------------------------------- */

int reini_text_model_eos(const reini_text_model *m, bool conversation, int32_t eos[REINI_TEXT_EOS]) {
    const reini_lm_shape *shape = &m->weights->shape;
    int n = m->defaults.n_eos > 0 ? m->defaults.n_eos : shape->n_eos;
    for (int i = 0; i < n; i++)
        eos[i] = m->defaults.n_eos > 0 ? m->defaults.eos[i] : shape->eos[i];
    if (!conversation || !m->has_chat)
        return n;
    bool headers = m->chat.family == REINI_CHAT_LLAMA3 || m->chat.family == REINI_CHAT_LLAMA31;
    int turn = reini_tokenizer_id(m->tokenizer, headers ? "<|eot_id|>" : "<|im_end|>");
    for (int i = 0; i < n; i++)
        turn = eos[i] == turn ? -1 : turn;
    if (turn >= 0)
        eos[n++] = turn;
    return n;
}

rein_status reini_text_model_sampling(const reini_text_model *m, const rein_sampling_opts *opts,
                                      reini_sampling *out) {
    const reini_generation_config *d = &m->defaults;
    bool draws = d->found && d->do_sample;
    *out = reini_sampling_plain(draws ? d->temperature : 0);
    if (draws) {
        out->top_k = d->top_k;
        out->top_p = d->top_p;
        out->min_p = d->min_p;
    }
    if (d->found)
        out->repetition_penalty = d->repetition_penalty;
    out->temperature = isnan(opts->temperature) ? out->temperature : opts->temperature;
    out->top_k = opts->top_k < 0 ? out->top_k : opts->top_k;
    out->top_p = isnan(opts->top_p) ? out->top_p : opts->top_p;
    out->min_p = isnan(opts->min_p) ? out->min_p : opts->min_p;
    out->repetition_penalty =
        isnan(opts->repetition_penalty) ? out->repetition_penalty : opts->repetition_penalty;
    return reini_sampling_check(out);
}

/* ---- prompts ----------------------------------------------------------------------------------------------- */

rein_status reini_text_model_encode(const reini_text_model *m, const char *text, reini_ids *ids) {
    size_t before = ids->n;
    REINI_TRY(
        reini_encode(m->encoder, text, strlen(text), REINI_ENCODE_SPECIAL | REINI_ENCODE_TEMPLATE, ids));
    if (ids->n > before)
        return REIN_OK;
    /* nothing to go on from: the token that begins texts */
    const char *bos =
        m->weights->shape.bos >= 0 ? reini_tokenizer_token(m->tokenizer, m->weights->shape.bos) : NULL;
    if (!bos)
        return reini_fail(REIN_USAGE, "the prompt is empty, and the model has no token that begins a text");
    return reini_encode(m->encoder, bos, strlen(bos), REINI_ENCODE_SPECIAL, ids);
}

rein_status reini_text_model_render(const reini_text_model *m, const reini_message *messages, int n,
                                    reini_chat_text *text) {
    reini_chat_opts opts = {.generation_prompt = true};
    if (!m->has_chat)
        return reini_fail(REIN_USAGE,
                          "messages need a chat template (%s); name one with --chat_template, one of %s",
                          m->why_not, reini_chat_names);
    return reini_chat_render(&m->chat, messages, n, &opts, text);
}
