/*
 * output.h - a file that replaces another in one piece, written as a stream.
 *
 * Bytes go to "<path>.tmp"; the commit syncs it, renames it to path and syncs the directory. A reader sees
 * the old content or the new, never half, also after a crash. The temporary file is locked while it is
 * written: two writers of one path do not mix (the second uses "<path>.1.tmp"), and what a killed process
 * left is reused.
 */
#ifndef REINI_OUTPUT_H
#define REINI_OUTPUT_H

#include "base/base.h"

typedef struct reini_output reini_output;

/* Fails when path exists and is not a regular file. */
rein_status reini_output_open(const char *path, reini_output **out);
/* A failure stays: later writes and the commit return it too. */
rein_status reini_output_write(reini_output *output, const void *data, size_t size);
/* Completes and frees; on failure the temporary file is gone and path is as it was. Only a directory that
 * cannot be synced is reported after the replacement. */
rein_status reini_output_commit(reini_output *output);
/* Removes the temporary file and frees; NULL is accepted. */
void reini_output_cancel(reini_output *output);

#endif
