// What the files of verify share: verify.c (its phases, its threads), verify_cross.c (that the
// stores agree), verify_blobs.c (the arena, and files that nothing names).
#ifndef MEMDB_ENGINE_VERIFY_H
#define MEMDB_ENGINE_VERIFY_H

#include "engine/engine.h"

/// A blob that a memory names.
typedef struct memdb__verify_blob {
    uint8_t reference[MEMDB__BLOB_REFERENCE_BYTES];
    uint64_t id; // of one of the memories that name it
} memdb__verify_blob_t;

/// What was counted of one space, beside what its counters say.
typedef struct memdb__verify_space {
    memdb_space_info_t info;
    uint64_t memories, text_bytes, documents;
    const memdb__attributes_t *attributes; // its indexes, in the snapshot's arena
} memdb__verify_space_t;

typedef struct memdb__verify {
    memdb_t *db;
    memdb_verify_options_t options;
    memdb__stop_t stop; // asked for each piece
    uint32_t threads;
    memdb_snapshot_t snapshot;
    uint64_t newest_file; // files of segments and blob with this id, or a higher one, came later
    memdb__words_source_t *words; // of the snapshot
    memdb__vector_source_t *vectors;
    size_t word_count, vector_count;
    bool words_whole, vectors_whole; // no damage was found in their segments
    memdb__verify_space_t *spaces;   // live ones, by id
    size_t space_count;
    bool counters_exact; // what the spaces count is what they counted at the snapshot

    pthread_mutex_t mutex; // all below; also: one callback at a time
    uint64_t findings, done, total;
    memdb__buffer_t blobs; // memdb__verify_blob_t
} memdb__verify_t;

/// Tell of damage. `file` is relative to the database. Any thread.
void memdb__verify_found(memdb__verify_t *verify, const char *file, uint64_t offset,
                         const char *what);
/// Tell of an entry of the ordered map: the place is that of its key. Any thread.
void memdb__verify_tell(memdb__verify_t *verify, const memdb__entry_t *entry, const char *what);
/// `bytes` more were read. Any thread.
void memdb__verify_progress(memdb__verify_t *verify, uint64_t bytes);
/// Call `work` for each number below `count`, by all threads. Stops at the first failure.
memdb_status_t memdb__verify_parallel(memdb__verify_t *verify, size_t count,
                                      memdb_status_t (*work)(memdb__verify_t *verify, size_t number,
                                                             void *context, memdb_error_t *error),
                                      void *context, memdb_error_t *error);

/// Gather the live spaces of the snapshot, with what they count now.
memdb_status_t memdb__verify_spaces(memdb__verify_t *verify, memdb_error_t *error);
/// That the stores agree with each other, at the snapshot; gathers the blobs that memories name.
memdb_status_t memdb__verify_cross(memdb__verify_t *verify, memdb_error_t *error);
/// An entry of a table: its name, its description or a row (verify_tables.c).
memdb_status_t memdb__verify_table(memdb__verify_t *verify, const memdb__entry_t *entry,
                                   memdb_error_t *error);
/// Every piece of the gathered blobs, once each.
memdb_status_t memdb__verify_blobs(memdb__verify_t *verify, memdb_error_t *error);
/// Name the files that nothing names. The caller holds the checkpoint lock.
memdb_status_t memdb__verify_garbage(memdb__verify_t *verify, memdb_error_t *error);

#endif
