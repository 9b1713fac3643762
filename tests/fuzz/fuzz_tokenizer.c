/*
 * fuzz_tokenizer.c - a tokenizer.json as it is; when it is taken, it encodes the input itself and a text of awkward
 * characters, and decodes what came out, at once and as a stream. Both decodings must agree.
 */
#include <stdlib.h>
#include <string.h>
#include "lm/tokenizer.h"
#include "fuzz.h"

static void round_trip(const reini_tokenizer *t, reini_encoder *e, const char *text, size_t n,
                       unsigned flags) {
    reini_ids ids = {0};
    reini_bytes whole = {0}, parts = {0};
    reini_stream stream = {0};
    if (reini_encode(e, text, n, flags, &ids) == REIN_OK) {
        if (reini_decode(t, ids.at, ids.n, false, &whole) != REIN_OK)
            abort();
        for (size_t i = 0; i < ids.n; i++)
            if (!reini_tokenizer_token(t, ids.at[i]) ||
                reini_stream_add(&stream, t, ids.at[i], false, &parts) != REIN_OK)
                abort();
        if (reini_stream_end(&stream, &parts) != REIN_OK || parts.n != whole.n ||
            memcmp(parts.at, whole.at, whole.n) != 0)
            abort();
    }
    reini_free(ids.at);
    reini_free(whole.at);
    reini_free(parts.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char text[] =
        "It's 12  <s> caf\xc3\xa9 e\xcc\x81\n\n \xe4\xb8\xad\xf0\x9f\x98\x80 <|endoftext|> ab";
    reini_tokenizer *t;
    reini_encoder *e;
    if (reini_tokenizer_parse((const char *)data, size, NULL, 0, "input", &t) == REIN_OK) {
        if (reini_encoder_new(t, &e) == REIN_OK) {
            for (unsigned flags = 0; flags < 4; flags++)
                round_trip(t, e, text, sizeof text - 1, flags);
            round_trip(t, e, (const char *)data, size < 4096 ? size : 4096, 1);
            reini_encoder_free(e);
        }
        reini_tokenizer_free(t);
    }
    if (reini_memory_now().live_bytes != 0)
        abort();
    return 0;
}
