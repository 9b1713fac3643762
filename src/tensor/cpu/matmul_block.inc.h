/* matmul_block.inc.h - products of packed strips and panels; part of matmul_float.inc.h. */

/* c (HIGH x WIDE) = or += a strip times a panel. */
WIDE_INLINE void multiply_strip(float *c, int64_t c_row, const float *a, const float *b, int64_t depth,
                                const bool more) {
    wf sum[HIGH][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < HIGH; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = more ? wf_load(c + i * c_row + v * WF_LANES) : wf_zero();
    for (int64_t d = 0; d < depth; d++, a += HIGH, b += WIDE) {
        wf line[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            line[v] = wf_load(b + v * WF_LANES);
#pragma GCC unroll 16
        for (int i = 0; i < HIGH; i++) {
            wf factor = wf_set1(a[i]);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                sum[i][v] = wf_fma(factor, line[v], sum[i][v]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < HIGH; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            wf_store(c + i * c_row + v * WF_LANES, sum[i][v]);
}

static void float_multiply(float *c, int64_t c_row, const void *a, const void *b, int64_t rows,
                           int64_t columns, int64_t depth, bool more) {
    for (int64_t j = 0; j < columns; j += WIDE)
        for (int64_t i = 0; i < rows; i += HIGH) {
            float *part = c + i * c_row + j;
            const float *strip = (const float *)a + i * depth, *panel = (const float *)b + j * depth;
            if (more)
                multiply_strip(part, c_row, strip, panel, depth, true);
            else
                multiply_strip(part, c_row, strip, panel, depth, false);
        }
}
