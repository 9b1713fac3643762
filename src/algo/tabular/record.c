/*
 * record.c - the steps of the episode being played, for methods that learn when it has ended.
 */
#include "algo/tabular/learn.h"

enum { LEAST_ROOM = 1024, MOST_ROOM = 1 << 20 };

rein_status reini_record_init(reini_record *record, size_t entries, int64_t length) {
    *record = (reini_record){.entries = entries};
    record->room = (size_t)(length < LEAST_ROOM ? LEAST_ROOM : length < MOST_ROOM ? length : MOST_ROOM);
    record->at = REINI_NEW_ARRAY(reini_moment, record->room);
    record->seen = REINI_NEW_ARRAY(int64_t, entries);
    if (record->at == NULL || record->seen == NULL)
        return reini_fail_memory(record->room * sizeof *record->at + entries * 8, "the record of an episode");
    return REIN_OK;
}

void reini_record_release(reini_record *record) {
    reini_free(record->at);
    reini_free(record->seen);
    *record = (reini_record){0};
}

static rein_status make_room(reini_record *record, int64_t steps) {
    return reini_reserve(&record->at, &record->room, (size_t)steps, sizeof *record->at,
                         "the record of an episode that has not ended");
}

rein_status reini_record_visit(reini_record *record, reini_archive *archive) {
    REINI_TRY(reini_archive_bytes(archive, "record.count", &record->count, sizeof record->count));
    size_t size = (size_t)record->count * sizeof *record->at;
    REINI_TRY(reini_archive_size(archive, "record.steps", &size));
    record->count = (int64_t)(size / sizeof *record->at);
    REINI_TRY(make_room(record, record->count));
    REINI_TRY(reini_archive_bytes(archive, "record.steps", record->at, size));
    return reini_archive_bytes(archive, "record.seen", record->seen, record->entries * sizeof *record->seen);
}

rein_status reini_record_add(reini_record *record, int64_t episode, size_t entry, double reward,
                             double ratio) {
    REINI_TRY(make_room(record, record->count + 1));
    bool first = record->seen[entry] != episode + 1;
    record->seen[entry] = episode + 1;
    /* member by member: padding stays 0 and checkpoints the same */
    reini_moment *m = &record->at[record->count++];
    m->entry = entry;
    m->reward = reward;
    m->ratio = ratio;
    m->first = first;
    return REIN_OK;
}
