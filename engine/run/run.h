// A run: one sealed or open piece of the delta, in private memory.
//
// It is the ordered map of what some consecutive frames wrote (a skip list, after Pugh 1990: keys
// rising, versions of one key falling), plus the words and vectors of the same frames. One thread
// at a time applies frames to it (the handle's apply mutex); any number of threads read beside it
// without a lock: nodes are complete before a release store links them, and nothing is ever
// unlinked. All memory is freed with the run.
//
// Words and vectors wait in a list until the first query needs them (a process that only writes
// never builds them); building takes the run's own mutex, and a query that finds all it needs built
// takes none.
#ifndef MEMDB_ENGINE_RUN_H
#define MEMDB_ENGINE_RUN_H

#include "base/sorted.h"
#include "engine/record.h"
#include "index/atlas/atlas.h"
#include "index/lexical/lexical.h"

typedef struct memdb__run memdb__run_t;
typedef struct memdb__node memdb__node_t;

/// A run of the frames from `first_lsn` on. NULL: out of memory. Born with one reference.
/// before  the run of the frames in front, which the caller keeps from changing; NULL: none. As
///         many keys are expected.
memdb__run_t *memdb__run_create(uint64_t first_lsn, const memdb__run_t *before);
void memdb__run_retain(memdb__run_t *run);
void memdb__run_release(memdb__run_t *run);

/// Apply a frame's payload, or a part of it that begins with operation number `first`; operation i
/// gets version base + i. The caller serialises. `sealed_out`: a seal was among them. Errors
/// MEMDB_NOMEM   part of it may be applied: the run must not be used any more.
///         MEMDB_CORRUPT the payload is not well formed.
memdb_status_t memdb__run_apply(memdb__run_t *run, const uint8_t *payload, size_t size,
                                uint64_t base, uint64_t first, bool *sealed_out,
                                memdb_error_t *error);

/// A commit as a point of the log and of time: its frame, and its commit time.
typedef struct memdb__moment {
    uint64_t lsn, end; // of the frame: where it begins, and the LSN after it
    int64_t time;
} memdb__moment_t;

/// Remember that a frame was applied. The caller serialises. False: out of memory.
bool memdb__run_note(memdb__run_t *run, memdb__moment_t moment);
/// The frames of the run, oldest first. While the run is open the caller serialises with
/// memdb__run_note.
const memdb__moment_t *memdb__run_moments(const memdb__run_t *run, size_t *count_out);

uint64_t memdb__run_first_lsn(const memdb__run_t *run);
/// 0 while it is open; else the LSN after its last frame.
uint64_t memdb__run_sealed_lsn(const memdb__run_t *run);
void memdb__run_seal(memdb__run_t *run, uint64_t lsn);
size_t memdb__run_bytes(const memdb__run_t *run);

/// The newest version of `key` that is at most `visible`. False: none. Pointers live as long as the
/// run.
bool memdb__run_get(const memdb__run_t *run, const void *key, size_t size, uint64_t visible,
                    memdb__entry_t *entry_out);
/// The same with the key's hash (memdb__sorted_hash), for who asks several sources for one key.
bool memdb__run_get_hashed(const memdb__run_t *run, const void *key, size_t size, uint64_t hash,
                           uint64_t visible, memdb__entry_t *entry_out);
/// Have the place of a key with that hash fetched from memory.
void memdb__run_prefetch(const memdb__run_t *run, uint64_t hash);
/// Whether keys like this one are found by their hash: those that are asked for one by one.
bool memdb__run_hash_holds(const void *key, size_t size);
/// What a run may hold that most runs do not, so that who looks for it can pass the others by.
typedef enum memdb__run_holds {
    MEMDB__RUN_SPACES = 1,    // an entry of a space ('D')
    MEMDB__RUN_LINKS = 2,     // an entry of a link ('L', 'I')
    MEMDB__RUN_FORGOTTEN = 4, // a memory is forgotten
} memdb__run_holds_t;
/// Whether the run holds it. Exact for the frames below the position that was read before.
bool memdb__run_holds(const memdb__run_t *run, memdb__run_holds_t what);

/// Whether some record was written more than once: if not, each entry of an index that the run has
/// was written by the same put as the only version of its record. Exact for a sealed run.
bool memdb__run_rewrites(const memdb__run_t *run);

/// Walking the keys in order; each with its newest visible version. NULL: the end.
const memdb__node_t *memdb__run_seek(const memdb__run_t *run, const void *key, size_t size,
                                     uint64_t visible);
const memdb__node_t *memdb__run_next(const memdb__node_t *node, uint64_t visible);
/// The same, but all visible versions of a key, falling.
const memdb__node_t *memdb__run_next_version(const memdb__node_t *node, uint64_t visible);
/// The greatest key below `key` with a visible version. From a key of another kind on, keys of
/// memories need not be found.
const memdb__node_t *memdb__run_before(const memdb__run_t *run, const void *key, size_t size,
                                       uint64_t visible);
void memdb__node_entry(const memdb__node_t *node, memdb__entry_t *entry_out);

/// Build and give the lists, complete up to `visible` at least.
memdb_status_t memdb__run_words(memdb__run_t *run, uint64_t visible, memdb__words_list_t **list_out,
                                memdb_error_t *error);
memdb_status_t memdb__run_vectors(memdb__run_t *run, uint64_t visible,
                                  memdb__vector_list_t **list_out, memdb_error_t *error);

/// What the run adds to the counts of a space.
void memdb__run_counters(const memdb__run_t *run, memdb_space_t space, int64_t *memories_out,
                         int64_t *text_bytes_out);
/// The same for each space that it counts.
memdb_status_t memdb__run_each_counter(const memdb__run_t *run,
                                       memdb_status_t (*visit)(void *context, memdb_space_t space,
                                                               int64_t memories,
                                                               int64_t text_bytes),
                                       void *context);

#endif
