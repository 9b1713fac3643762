/*
 * huge_pages.h - asking the system for large pages under a large block.
 */
#ifndef REINI_HUGE_PAGES_H
#define REINI_HUGE_PAGES_H

#include <stddef.h>

/* A hint for blocks of many megabytes that will be used as a whole: first touch costs one fault for 2 MB instead of 512,
 * and reading them all, as every step of a language model does, misses fewer address translations. Call it before the
 * block is touched. */
void reini_huge_pages(void *memory, size_t bytes);
/* The pages that lie inside a mapped file's bytes are not needed any more; reading them again is allowed. */
void reini_pages_done(const void *memory, size_t bytes);

#endif
