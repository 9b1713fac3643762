/* simd_random.inc.h - Philox4x32-10 with a block per lane, uniform and normal numbers; part of simd.inc.h. */

/* Ten rounds for the blocks on even lanes; odd lanes hold anything. */
WIDE_INLINE void philox_even(wi c[4], uint64_t seed) {
    wi m0 = wi_set1((int32_t)0xD2511F53u), m1 = wi_set1((int32_t)0xCD9E8D57u);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        wi p0 = wi_mul_even(m0, c[0]), p1 = wi_mul_even(m1, c[2]);
        c[0] = wi_xor3(wi_odd_to_even(p1), c[1], wi_set1((int32_t)k0));
        c[2] = wi_xor3(wi_odd_to_even(p0), c[3], wi_set1((int32_t)k1));
        c[1] = p1;
        c[3] = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* The four words of each lane's block; c: its counters. */
WIDE_INLINE void philox(wi c[4], uint64_t seed) {
    wi odd[4];
    for (int i = 0; i < 4; i++)
        odd[i] = wi_odd_to_even(c[i]);
    philox_even(c, seed);
    philox_even(odd, seed);
    for (int i = 0; i < 4; i++)
        c[i] = wi_join(c[i], odd[i]);
}

WIDE_INLINE wf unit(wi word) {
    return wf_mul(wf_from_int(wi_shift_right(word, 8)), wf_set1(1.0f / 16777216));
}

/* Box-Muller. */
WIDE_INLINE void normal_pair(wi radius_word, wi angle_word, wf *first, wf *second) {
    wf u = wf_add(unit(radius_word), wf_set1(1.0f / 16777216));
    wf radius = wf_root(wf_mul(wf_set1(-2.0f), wide_log_normal(u)));
    wf cosine, sine;
    wf_turn(unit(angle_word), &cosine, &sine);
    *first = wf_mul(radius, cosine);
    *second = wf_mul(radius, sine);
}

/* The first `count` numbers of each lane's block. */
WIDE_INLINE void block_numbers(wf number[4], const wi word[4], int64_t count, const bool normal) {
    if (normal) {
        normal_pair(word[0], word[1], &number[0], &number[1]);
        if (count > 2)
            normal_pair(word[2], word[3], &number[2], &number[3]);
        else
            number[2] = number[3] = wf_zero();
    } else {
        for (int i = 0; i < 4; i++)
            number[i] = unit(word[i]);
    }
}

/* Blocks of a tile, numbered along rows: lane l is block `block` of row `row`. */
typedef struct block_lanes {
    wi row, block;
    int32_t per_row, rows_on, blocks_on; /* WF_LANES blocks on = that many rows and blocks */
} block_lanes;

static block_lanes first_lanes(uint64_t row, int64_t per_row) {
    int32_t rows[WF_LANES], blocks[WF_LANES];
    for (int l = 0; l < WF_LANES; l++) {
        rows[l] = (int32_t)(uint32_t)(row + (uint64_t)(l / per_row));
        blocks[l] = (int32_t)(l % per_row);
    }
    return (block_lanes){wi_load(rows), wi_load(blocks), (int32_t)per_row, (int32_t)(WF_LANES / per_row),
                         (int32_t)(WF_LANES % per_row)};
}

WIDE_INLINE void advance_lanes(block_lanes *at) {
    wi row = wi_add(at->row, wi_set1(at->rows_on)), block = wi_add(at->block, wi_set1(at->blocks_on));
    /* all ones where the block still is in its row, else 0 */
    wi inside = wi_shift_right_sign(wi_sub(block, wi_set1(at->per_row)), 31);
    wi beyond = wi_add(inside, wi_set1(1));
    at->row = wi_add(row, beyond);
    at->block = wi_sub(block, wi_and(wi_set1(at->per_row), wi_xor(inside, wi_set1(-1))));
}

/* Numbers of `count` blocks from block q of the tile on, block after block, to their places. */
static void scatter_blocks(const reini_call *call, const float *number, int64_t q, int64_t count,
                           int64_t per_row) {
    int64_t width = call->out.width, r = q / per_row, b = q % per_row;
    for (int64_t l = 0; l < count; l++) {
        float *to = row_out(call, r) + 4 * b;
        int64_t n = least(4, width - 4 * b);
        for (int64_t i = 0; i < n; i++)
            to[i] = number[4 * l + i];
        r += ++b == per_row;
        b = b == per_row ? 0 : b;
    }
}

WIDE_INLINE void random_run(const reini_call *call, const bool normal) {
    const reini_key *key = call->in[0].at;
    int64_t width = call->out.width, per_row = (width + 3) / 4, blocks = per_row * call->rows;
    bool contiguous = width % 4 == 0 && (call->out.stride == width || call->rows == 1);
    block_lanes at = first_lanes((uint64_t)call->row0 + key->row_base, per_row);
    wi step = wi_set1((int32_t)(uint32_t)key->step);
    wi stream = wi_set1((int32_t)((uint32_t)(key->step >> 32) | key->stream << 16));
    for (int64_t q = 0; q < blocks; q += WF_LANES) {
        int64_t count = least(WF_LANES, blocks - q);
        wi c[4] = {at.block, at.row, step, stream};
        wf number[4];
        philox(c, key->seed);
        block_numbers(number, c, width, normal);
        if (width <= 4) {
            for (int64_t i = 0; i < width; i++)
                wf_column_store(row_out(call, q) + i, call->out.stride, number[i], count);
        } else if (contiguous && count == WF_LANES) {
            wf_store_blocks((float *)call->out.at + 4 * q, number[0], number[1], number[2], number[3]);
        } else {
            float buffer[4 * WF_LANES];
            wf_store_blocks(buffer, number[0], number[1], number[2], number[3]);
            scatter_blocks(call, buffer, q, count, per_row);
        }
        advance_lanes(&at);
    }
}

static void simd_RANDOM_UNIFORM(const reini_call *call) {
    random_run(call, false);
}

static void simd_RANDOM_NORMAL(const reini_call *call) {
    random_run(call, true);
}
