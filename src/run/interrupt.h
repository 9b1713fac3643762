/*
 * interrupt.h - stopping on Ctrl-C and on SIGTERM: a flag that loops look at between steps.
 *
 * Only a program asks for it, never the library: handlers belong to the process. The first signal raises the
 * flag; a second one ends the process at once, as if nothing were installed.
 */
#ifndef REINI_INTERRUPT_H
#define REINI_INTERRUPT_H

#include <signal.h>
#include "base/base.h"

/* Installs handlers for SIGINT and SIGTERM; a signal that the process ignores (nohup, background jobs)
 * stays so. */
rein_status reini_interrupt_install(void);
/* Puts back what was there before and lowers the flag. */
void reini_interrupt_remove(void);
/* The flag: 0, SIGINT or SIGTERM. */
const volatile sig_atomic_t *reini_interrupt_flag(void);

#endif
