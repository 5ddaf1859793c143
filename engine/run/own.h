// What a transaction wrote: the payload of its frame, and a run of it for who reads it back.
//
// Each operation is encoded once, into the payload. Most transactions only write: the first reading
// of something that they may have written applies what came so far to a private run, by the
// function that will apply the frame everywhere else; so what a transaction reads back is what
// others will read. Until then the hashes of the keys that puts wrote say what nobody can have
// written; all other operations are applied at once.
#ifndef MEMDB_ENGINE_OWN_H
#define MEMDB_ENGINE_OWN_H

#include "engine/run/run.h"

typedef struct memdb__own {
    memdb__buffer_t payload;
    uint64_t operations;
    memdb__run_t *run;      // NULL: nothing was applied so far
    size_t applied_bytes;   // of the payload
    uint64_t applied;       // operations
    bool walked;            // somebody has the run: whatever comes is applied at once
    memdb_status_t failure; // something was written in part: the transaction must be aborted
    uint64_t *hashes;       // of the keys that puts wrote: open addressing, 0 is free
    uint32_t mask, used;
} memdb__own_t;

void memdb__own_deinit(memdb__own_t *own);

/// Add an operation. Errors
/// MEMDB_LIMIT   the payload would be larger than MEMDB_MAX_TXN_BYTES; nothing was added.
/// MEMDB_NOMEM   nothing was added; or `failure` is set.
memdb_status_t memdb__own_add(memdb__own_t *own, const memdb__operation_t *operation,
                              memdb_error_t *error);
/// The same for a put; `record` is what its body encodes.
memdb_status_t memdb__own_put(memdb__own_t *own, const memdb__operation_t *put,
                              const memdb__record_t *record, memdb_error_t *error);

/// The run of everything that was written, at versions from MEMDB__PRIVATE on; it lives as long as
/// `own`, and what is written later is in it too.
memdb_status_t memdb__own_run(memdb__own_t *own, memdb__run_t **run_out, memdb_error_t *error);

/// The newest version of a key that memdb__sorted_hash gives `hash`. MEMDB_NOT_FOUND without a
/// message: it was not written.
memdb_status_t memdb__own_get(memdb__own_t *own, const void *key, size_t size, uint64_t hash,
                              memdb__entry_t *entry_out, memdb_error_t *error);

/// Whether such a thing was written.
bool memdb__own_holds(const memdb__own_t *own, memdb__run_holds_t what);

/// Visit the keys that exclude other commits' writing, each with its value: what the run has, and
/// of the puts that it lacks the records and keys. A key may be visited more than once.
memdb_status_t memdb__own_each(memdb__own_t *own,
                               memdb_status_t (*visit)(void *context, const memdb__entry_t *entry,
                                                       memdb_error_t *error),
                               void *context, memdb_error_t *error);

#endif
