/*
 * nothing.c - a library without environments.
 */
int nothing(void);
int nothing(void) {
    return 0;
}
