/*
 * archive.h - one visitor for saving and loading: the state of a run as named byte ranges.
 *
 * A component lists everything its future depends on, once; the same function saves and loads:
 *
 *     rein_status thing_visit(thing *t, reini_archive *ar) {
 *         REINI_TRY(reini_archive_bytes(ar, "thing.count", &t->count, sizeof t->count));
 *         return reini_archive_bytes(ar, "thing.table", t->table, t->table_bytes);
 *     }
 *
 * On disk: magic, version, JSON header (kind, algorithm, environment, build, instruction-set level, any extra
 * keys), entries (name, size, bytes), SHA-256 of everything before it. Written to a temporary file in the
 * same directory, fsynced, renamed. Loading checks the whole file's digest before any entry is handed out,
 * then names the entry on any difference of name or size.
 */
#ifndef REINI_ARCHIVE_H
#define REINI_ARCHIVE_H

#include <jansson.h>
#include "base/base.h"

typedef struct reini_archive reini_archive;

/* Starts an archive to be saved at path. The header is written at once, not kept. */
rein_status reini_archive_create(const char *path, const json_t *header, reini_archive **out);
/* Opens and verifies. *header (may be NULL) is borrowed from the archive. */
rein_status reini_archive_open(const char *path, reini_archive **out, const json_t **header);
/* Saves or loads `size` bytes under a name (1 to 255 bytes); entries must come in the same order. A
 * failure stays: every later call and the finish return it. */
rein_status reini_archive_bytes(reini_archive *ar, const char *name, void *data, size_t size);
/* For entries of variable size, called before reini_archive_bytes with the same name: loading sets *size
 * to the stored size of the next entry (never more than the file holds) so that room can be made; saving
 * leaves it alone. */
rein_status reini_archive_size(reini_archive *ar, const char *name, size_t *size);
bool reini_archive_loading(const reini_archive *ar);
/* Saving: completes, syncs and renames. Loading: checks that every entry was taken. Frees the archive; on
 * failure nothing at `path` has changed. */
rein_status reini_archive_finish(reini_archive *ar);
/* Drops an archive without completing it; NULL is accepted. */
void reini_archive_cancel(reini_archive *ar);

#endif
