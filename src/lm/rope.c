/*
 * rope.c - frequencies and angles of rotary positions.
 *
 * Frequencies and angles are rounded to float where Transformers rounds them: at position 10000 the angle's last bit is
 * 1e-3, and the two must agree in it.
 */
#include "lm/rope.h"

#include <math.h>

/* Llama 3.1: wavelengths longer than original context / low factor are stretched, those shorter than it / high factor are
 * kept, and between them the two are mixed. */
static float llama3(const reini_lm_shape *s, float frequency) {
    float context = (float)s->rope_original_context, length = 2 * (float)M_PI / frequency;
    if (length < context / (float)s->rope_high)
        return frequency;
    if (length > context / (float)s->rope_low)
        return frequency / (float)s->rope_factor;
    float mix = (context / length - (float)s->rope_low) / (float)(s->rope_high - s->rope_low);
    return (1 - mix) * frequency / (float)s->rope_factor + mix * frequency;
}

void reini_rope_frequencies(const reini_lm_shape *s, float *frequency) {
    for (int j = 0; j < s->head_size / 2; j++) {
        float exponent = (float)(2 * j) / (float)s->head_size;
        float f = 1.0f / (float)pow(s->rope_theta, (double)exponent);
        if (s->rope_scaling == REINI_ROPE_LINEAR)
            f /= (float)s->rope_factor;
        else if (s->rope_scaling == REINI_ROPE_LLAMA3)
            f = llama3(s, f);
        frequency[j] = f;
    }
}

void reini_rope_turn(const float *frequency, int pairs, int position, float *turn) {
    for (int j = 0; j < pairs; j++) {
        float angle = (float)position * frequency[j];
        turn[j] = (float)cos((double)angle);
        turn[pairs + j] = (float)sin((double)angle);
    }
}
