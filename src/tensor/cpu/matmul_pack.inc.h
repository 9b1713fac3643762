/* matmul_pack.inc.h - operands into strips of `width` lines, those of one depth side by side; part of
 * matmul_float.inc.h. */

/* What is packed usually comes from far away, in runs too short for the processor to foresee: it is asked for early. */
enum { DEPTHS_AHEAD = 6, LINES_TOGETHER = 256, CACHE_BYTES = 64 };

WIDE_INLINE const char *number_at(const reini_lines *x, int64_t index) {
    return (const char *)x->at + index * (x->half ? 2 : 4);
}

WIDE_INLINE void fetch_run(const reini_lines *x, int64_t index, int64_t n) {
    const char *at = number_at(x, index), *end = number_at(x, index + n);
    for (; at < end; at += CACHE_BYTES)
        __builtin_prefetch(at, 0, 2);
}

/* Lines [first, first + width), of which `lines` are there, at one depth of lines across memory. */
WIDE_INLINE void pack_depth(float *to, const reini_lines *x, int64_t first, int64_t lines, int64_t d,
                            const int width, const number_kind kind) {
    for (int64_t l = 0; l < width; l += WF_LANES) {
        int64_t n = least(WF_LANES, lines - l);
        wf v = n > 0 ? take(x->at, d * x->stride + first + l, n, kind) : wf_zero();
        if (width - l >= WF_LANES)
            wf_store(to + l, v);
        else
            wf_store_n(to + l, v, width - l);
    }
}

/* Some strips from lines across memory, read along them. */
WIDE_INLINE void pack_across(float *to, const reini_lines *x, int64_t first, int64_t lines, const int width,
                             const number_kind kind) {
    for (int64_t d = 0; d < x->depth; d++) {
        if (d + DEPTHS_AHEAD < x->depth)
            fetch_run(x, (d + DEPTHS_AHEAD) * x->stride + first, lines);
        for (int64_t l = 0; l < lines; l += width)
            pack_depth(to + l * x->depth + d * width, x, first + l, least(width, lines - l), d, width, kind);
    }
}

/* WF_LANES lines (`lines` of them there) of a strip, by transposing square blocks. */
WIDE_INLINE void pack_square(float *to, const reini_lines *x, int64_t first, int64_t lines, int64_t d,
                             int64_t n, const int width, const int slots, const number_kind kind) {
    wf v[WF_LANES];
    for (int l = 0; l < WF_LANES; l++)
        v[l] = l < lines ? take(x->at, (first + l) * x->stride + d, n, kind) : wf_zero();
    wf_transpose(v);
    for (int i = 0; i < WF_LANES; i++)
        if (i < n) {
            if (slots >= WF_LANES)
                wf_store(to + (d + i) * width, v[i]);
            else
                wf_store_n(to + (d + i) * width, v[i], slots);
        }
}

WIDE_INLINE void pack_along(float *to, const reini_lines *x, int64_t first, int64_t lines, const int width,
                            const number_kind kind) {
    for (int l = 0; l < width; l += WF_LANES) {
        int64_t there = lines - l, d = 0, next = first + l + least(WF_LANES, width - l);
        int64_t more = least(WF_LANES, x->lines - next);
        if (there >= WF_LANES)
            for (; d + WF_LANES <= x->depth; d += WF_LANES) {
                for (int64_t i = 0; i < more; i++)
                    __builtin_prefetch(number_at(x, (next + i) * x->stride + d), 0, 2);
                pack_square(to + l, x, first + l, WF_LANES, d, WF_LANES, width, width - l, kind);
            }
        for (; d < x->depth; d += WF_LANES)
            pack_square(to + l, x, first + l, there, d, least(WF_LANES, x->depth - d), width, width - l,
                        kind);
    }
}

WIDE_INLINE void pack_strips(float *to, const reini_lines *x, const int width, const number_kind kind) {
    int64_t together = x->across ? LINES_TOGETHER / width * width : width;
    for (int64_t i = 0; i < x->lines; i += together, to += together * x->depth)
        if (x->across)
            pack_across(to, x, i, least(together, x->lines - i), width, kind);
        else
            pack_along(to, x, i, least(width, x->lines - i), width, kind);
}

#define PACK(name, width)                                                                                    \
    static void name(void *to, const reini_lines *x) {                                                       \
        switch (kind_of(x)) {                                                                                \
        case FLOAT:                                                                                          \
            pack_strips(to, x, width, FLOAT);                                                                \
            break;                                                                                           \
        case ROUNDED:                                                                                        \
            pack_strips(to, x, width, ROUNDED);                                                              \
            break;                                                                                           \
        case HALF:                                                                                           \
            pack_strips(to, x, width, HALF);                                                                 \
        }                                                                                                    \
    }
PACK(float_pack_a, HIGH)
PACK(float_pack_b, WIDE)
