/*
 * interrupt.c - the flag that SIGINT and SIGTERM raise.
 */
#include <errno.h>
#include <string.h>
#include "run/interrupt.h"

#define SIGNALS 2
static const int signals[SIGNALS] = {SIGINT, SIGTERM};
static struct sigaction before[SIGNALS];
static bool installed[SIGNALS];
static volatile sig_atomic_t flag;

/* the signal is blocked while its handler runs, so the raised one takes effect on return */
static void on_signal(int number) {
    if (flag == 0) {
        flag = number;
        return;
    }
    signal(number, SIG_DFL);
    raise(number);
}

rein_status reini_interrupt_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART; /* a write in progress goes on */
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++) {
        if (installed[i])
            continue;
        if (sigaction(signals[i], NULL, &before[i]) != 0)
            return reini_fail(REIN_INTERNAL, "cannot read the handler of signal %d: %s", signals[i],
                              strerror(errno));
        if (before[i].sa_handler == SIG_IGN)
            continue;
        if (sigaction(signals[i], &action, NULL) != 0)
            return reini_fail(REIN_INTERNAL, "cannot handle signal %d: %s", signals[i], strerror(errno));
        installed[i] = true;
    }
    return REIN_OK;
}

void reini_interrupt_remove(void) {
    for (int i = 0; i < SIGNALS; i++)
        if (installed[i]) {
            sigaction(signals[i], &before[i], NULL);
            installed[i] = false;
        }
    flag = 0;
}

const volatile sig_atomic_t *reini_interrupt_flag(void) {
    return &flag;
}
