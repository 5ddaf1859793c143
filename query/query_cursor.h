// What a step of a cursor finds, for the files of this folder that walk memories without lending
// them.
#ifndef MEMDB_QUERY_CURSOR_H
#define MEMDB_QUERY_CURSOR_H

#include "engine/engine.h"

typedef struct memdb__found {
    uint64_t id, version;
    memdb__record_t record; // lent by the snapshot
} memdb__found_t;

/// The next memory; MEMDB_DONE at the end. The snapshot was found usable.
memdb_status_t memdb__cursor_step(memdb_cursor_t *cursor, memdb__found_t *found,
                                  memdb_error_t *error);

#endif
