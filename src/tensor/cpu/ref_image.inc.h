/* ref_image.inc.h - images: turning, padding, convolution and pooling; part of ref.inc.h. Layout: (height x width x
 * channels). */

typedef struct conv_shape {
    int64_t channels, height, width, out; /* of the operand; out = channels of the result */
    int64_t kernel, stride;
    int64_t high, wide; /* of the result */
    rein_activation act;
    bool has_bias;
} conv_shape;

static inline conv_shape conv_shape_of(const int32_t *k) {
    return (conv_shape){k[0],
                        k[1],
                        k[2],
                        k[3],
                        k[4],
                        k[5],
                        (k[1] - k[4]) / k[5] + 1,
                        (k[2] - k[4]) / k[5] + 1,
                        (rein_activation)k[6],
                        k[7] != 0};
}

static void ref_IMAGE(const reini_call *call) {
    int64_t channels = call->k[0], pixels = (int64_t)call->k[1] * call->k[2];
    for (int64_t r = 0; r < call->rows; r++) {
        const uint8_t *x = (const uint8_t *)call->in[0].at + r * call->in[0].stride; /* (channels x pixels) */
        REAL *y = row_out(call, r);                                                  /* (pixels x channels) */
        for (int64_t i = 0; i < pixels; i++)
            for (int64_t c = 0; c < channels; c++)
                y[i * channels + c] = (REAL)call->p[0] * (REAL)x[c * pixels + i];
    }
}

static void ref_PAD(const reini_call *call) {
    int64_t line = (int64_t)call->k[2] * call->k[0], border = call->k[3];
    int64_t side = border * call->k[0], line_out = line + 2 * side;
    for (int64_t r = 0; r < call->rows; r++) {
        REAL *y = row_out(call, r);
        memset(y, 0, (size_t)call->out.width * sizeof(REAL));
        for (int64_t h = 0; h < call->k[1]; h++)
            memcpy(y + (h + border) * line_out + side, row(call, 0, r) + h * line,
                   (size_t)line * sizeof(REAL));
    }
}

static void ref_CROP(const reini_call *call) {
    int64_t line = (int64_t)call->k[2] * call->k[0], border = call->k[3];
    int64_t side = border * call->k[0], line_in = line + 2 * side;
    for (int64_t r = 0; r < call->rows; r++)
        for (int64_t h = 0; h < call->k[1]; h++)
            memcpy(row_out(call, r) + h * line, row(call, 0, r) + (h + border) * line_in + side,
                   (size_t)line * sizeof(REAL));
}

/* The first number of the window that gives place (i, j), and its line ky. */
static inline int64_t window_at(const conv_shape *s, int64_t i, int64_t j, int64_t ky) {
    return ((i * s->stride + ky) * s->width + j * s->stride) * s->channels;
}

/* One place (out) of a result from window x. */
static void convolve_place(const conv_shape *s, const REAL *x, const REAL *w, const REAL *b, REAL *y) {
    int64_t run = s->kernel * s->channels; /* numbers of a window that lie side by side */
    for (int64_t o = 0; o < s->out; o++) {
        REAL sum = b ? b[o] : 0;
        for (int64_t ky = 0; ky < s->kernel; ky++)
            for (int64_t k = 0; k < run; k++)
                sum += x[ky * s->width * s->channels + k] * w[(ky * run + k) * s->out + o];
        y[o] = activate(sum, s->act);
    }
}

static void ref_CONV(const reini_call *call) {
    conv_shape s = conv_shape_of(call->k);
    const REAL *w = call->in[1].at, *b = s.has_bias ? call->in[2].at : NULL;
    for (int64_t r = 0; r < call->rows; r++)
        for (int64_t i = 0; i < s.high; i++)
            for (int64_t j = 0; j < s.wide; j++)
                convolve_place(&s, row(call, 0, r) + window_at(&s, i, j, 0), w, b,
                               row_out(call, r) + (i * s.wide + j) * s.out);
}

/* Adds to the gradient of a window what place dy (out) sends. */
static void send_back(const conv_shape *s, const REAL *dy, const REAL *wt, REAL *dx) {
    int64_t run = s->kernel * s->channels, depth = s->kernel * run;
    for (int64_t ky = 0; ky < s->kernel; ky++)
        for (int64_t k = 0; k < run; k++) {
            REAL sum = 0;
            for (int64_t o = 0; o < s->out; o++)
                sum += dy[o] * wt[o * depth + ky * run + k];
            dx[ky * s->width * s->channels + k] += sum;
        }
}

static void ref_CONV_DX(const reini_call *call) {
    conv_shape s = conv_shape_of(call->k);
    for (int64_t r = 0; r < call->rows; r++) {
        REAL *dx = row_out(call, r);
        memset(dx, 0, (size_t)call->out.width * sizeof(REAL));
        for (int64_t i = 0; i < s.high; i++)
            for (int64_t j = 0; j < s.wide; j++)
                send_back(&s, row(call, 0, r) + (i * s.wide + j) * s.out, call->in[1].at,
                          dx + window_at(&s, i, j, 0));
    }
}

static void ref_CONV_DW(const reini_call *call) {
    conv_shape s = conv_shape_of(call->k);
    int64_t run = s.kernel * s.channels, depth = s.kernel * run;
    REAL *dw = call->out.at; /* (depth x out) */
    for (int64_t k = 0; k < depth; k++)
        for (int64_t o = 0; o < s.out; o++) {
            REAL sum = call->accumulate ? dw[k * s.out + o] : 0;
            for (int64_t r = 0; r < call->rows; r++)
                for (int64_t p = 0; p < s.high * s.wide; p++)
                    sum += row(call, 0, r)[window_at(&s, p / s.wide, p % s.wide, k / run) + k % run] *
                           row(call, 1, r)[p * s.out + o];
            dw[k * s.out + o] = sum;
        }
}

static void ref_SUM_PLACES(const reini_call *call) {
    REAL *out = call->out.at;
    int64_t n = call->out.width;
    for (int64_t o = 0; o < n; o++) {
        REAL sum = call->accumulate ? out[o] : 0;
        for (int64_t r = 0; r < call->rows; r++)
            for (int64_t p = 0; p < call->in[0].width; p += n)
                sum += row(call, 0, r)[p + o];
        out[o] = sum;
    }
}

/* Pooling: where in x the first largest number of the window of place (i, j), channel c, lies. */
static int64_t largest_at(const int32_t *k, const REAL *x, int64_t i, int64_t j, int64_t c) {
    int64_t channels = k[0], best = -1;
    for (int64_t h = i * k[4] - k[5]; h < i * k[4] - k[5] + k[3]; h++)
        for (int64_t w = j * k[4] - k[5]; w < j * k[4] - k[5] + k[3]; w++) {
            int64_t at = (h * k[2] + w) * channels + c;
            bool inside = h >= 0 && h < k[1] && w >= 0 && w < k[2];
            if (inside && (best < 0 || x[best] < x[at]))
                best = at;
        }
    return best;
}

static void ref_MAX_POOL(const reini_call *call) {
    int64_t channels = call->k[0], wide = call->k[6];
    for (int64_t r = 0; r < call->rows; r++)
        for (int64_t at = 0; at < call->out.width; at++) {
            int64_t place = at / channels, c = at % channels;
            int64_t from = largest_at(call->k, row(call, 0, r), place / wide, place % wide, c);
            row_out(call, r)[at] = row(call, 1, r)[from];
        }
}

static void ref_MAX_POOL_GRAD(const reini_call *call) {
    int64_t channels = call->k[0], wide = call->k[6];
    for (int64_t r = 0; r < call->rows; r++) {
        memset(row_out(call, r), 0, (size_t)call->out.width * sizeof(REAL));
        for (int64_t at = 0; at < call->in[0].width; at++) {
            int64_t place = at / channels, c = at % channels;
            int64_t to = largest_at(call->k, row(call, 1, r), place / wide, place % wide, c);
            row_out(call, r)[to] += row(call, 0, r)[at];
        }
    }
}
