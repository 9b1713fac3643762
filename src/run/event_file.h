/*
 * event_file.h - TensorBoard event files: scalars over steps, written without TensorFlow.
 *
 * A file is a sequence of records: u64 length, u32 masked CRC-32C of the length, the bytes of an Event
 * message, u32 masked CRC-32C of the bytes. The first record names the version; the second is a session start
 * at first_step, at which TensorBoard drops the points of earlier files at first_step and after.
 */
#ifndef REINI_EVENT_FILE_H
#define REINI_EVENT_FILE_H

#include "base/base.h"

typedef struct reini_event_file reini_event_file;

/* Starts a new file in dir whose name sorts after those there, which is the order TensorBoard reads them in.
 * names: n tags, copied. */
rein_status reini_event_file_open(const char *dir, const char *const *names, int n, int64_t first_step,
                                  reini_event_file **out);
/* One point per tag whose value is not NAN. */
rein_status reini_event_file_write(reini_event_file *file, int64_t step, const double *values);
void reini_event_file_close(reini_event_file *file);

/* CRC-32C (Castagnoli). */
uint32_t reini_crc32c(const void *data, size_t size);

#endif
