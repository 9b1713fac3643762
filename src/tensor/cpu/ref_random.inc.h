/* ref_random.inc.h - random numbers by row and element; part of ref.inc.h. */

/* Block b of global row r. */
static inline void random_block(const reini_key *key, uint64_t r, uint64_t b, uint32_t word[4]) {
    rein_philox(key->seed, b | r << 32, key->step | (uint64_t)key->stream << 48, word);
}

static void ref_RANDOM_UNIFORM(const reini_call *call) {
    const reini_key *key = call->in[0].at;
    for (int64_t r = 0; r < call->rows; r++) {
        uint32_t word[4];
        for (int64_t j = 0; j < call->out.width; j++) {
            if (j % 4 == 0)
                random_block(key, (uint64_t)(call->row0 + r) + key->row_base, (uint64_t)j / 4, word);
            row_out(call, r)[j] = (REAL)(word[j % 4] >> 8) * (REAL)(1.0 / 16777216);
        }
    }
}

static void ref_RANDOM_NORMAL(const reini_call *call) {
    const reini_key *key = call->in[0].at;
    for (int64_t r = 0; r < call->rows; r++) {
        uint32_t word[4];
        for (int64_t j = 0; j < call->out.width; j++) {
            if (j % 4 == 0)
                random_block(key, (uint64_t)(call->row0 + r) + key->row_base, (uint64_t)j / 4, word);
            const uint32_t *pair = word + (j % 4 & 2);
            REAL u = (REAL)((pair[0] >> 8) + 1) * (REAL)(1.0 / 16777216);
            REAL angle = (REAL)(6.283185307179586 / 16777216) * (REAL)(pair[1] >> 8);
            REAL radius = LIBM(sqrt)(-2 * LIBM(log)(u));
            row_out(call, r)[j] = radius * (j % 2 ? LIBM(sin)(angle) : LIBM(cos)(angle));
        }
    }
}
