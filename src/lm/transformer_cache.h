/*
 * transformer_cache.h - where the keys and values of a slot lie.
 *
 * Positions come in blocks of REINI_KEYS. A slot reads its parent's blocks where it shares all of one; of the block in
 * which the shared positions end it has a copy.
 */
#ifndef REINI_TRANSFORMER_CACHE_H
#define REINI_TRANSFORMER_CACHE_H

#include "lm/transformer.h"

/* Position `position` of a kv head's keys or values, and those after it up to the end of its block, head_size numbers
 * each, of the cache's type. */
const void *reini_lm_cache_at(const reini_lm_cache *cache, int layer, int slot, int head, bool values,
                              int position);
/* Puts a token's keys or values (kv_heads x head_size) at a position that is the slot's own. */
void reini_lm_cache_put(reini_lm_cache *cache, int layer, int slot, bool values, int position,
                        const void *from);
/* The slot is longer by n positions. */
void reini_lm_cache_add(reini_lm_cache *cache, int slot, int n);
rein_dtype reini_lm_cache_type(const reini_lm_cache *cache);

#endif
