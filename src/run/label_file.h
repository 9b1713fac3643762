/*
 * label_file.h - a file of JSON lines that grows by a row at a time and is taken back from its end; what a call did is on
 * the disk when it returns.
 *
 * A kill between two calls leaves whole rows. One in the middle of a write may leave a part of a row behind the last end
 * of a line: opening the file completes it where it is a row without its newline, and cuts it off where it is not.
 */
#ifndef REINI_LABEL_FILE_H
#define REINI_LABEL_FILE_H

#include <jansson.h>
#include "base/base.h"

typedef struct reini_label_file {
    char *path;
    int fd; /* -1: not there */
    int64_t size;
} reini_label_file;

/* Called for every row; line counts from 1, offset is where it begins. */
typedef rein_status reini_label_row_fn(void *user, const json_t *row, int64_t line, int64_t offset);

/* Opens the file, locks out other writers, repairs its end and hands on its rows. Where there is none it is made by the
 * first row, or now when `make`. f: closed after success and failure alike. */
rein_status reini_label_file_open(reini_label_file *f, const char *path, bool make, reini_label_row_fn *each,
                                  void *user);
void reini_label_file_close(reini_label_file *f);
/* *offset: where the row begins. After a failure the file is as before. */
rein_status reini_label_file_append(reini_label_file *f, const json_t *row, int64_t *offset);
/* Everything from offset on goes. */
rein_status reini_label_file_cut(reini_label_file *f, int64_t offset);

#endif
