/*
 * fuzz.h - what a fuzz target defines; driver.c calls it, or libFuzzer does.
 */
#ifndef REIN_TESTS_FUZZ_H
#define REIN_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Must survive any input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
