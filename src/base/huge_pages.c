/*
 * huge_pages.c - hints to the system about pages; where it does not know them, nothing happens.
 */
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/huge_pages.h"

/* the whole pages inside [memory, memory + bytes) */
static void advise(const void *memory, size_t bytes, int advice) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)memory + page - 1) / page * page,
              last = ((uintptr_t)memory + bytes) / page * page;
    if (last > first)
        (void)madvise((void *)first, last - first, advice);
}

void reini_huge_pages(void *memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
    advise(memory, bytes, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}

void reini_pages_done(const void *memory, size_t bytes) {
    advise(memory, bytes, MADV_DONTNEED);
}
