/// memdb: a memory and retrieval database engine for agents.
///
/// A database is a directory. In it, named spaces hold memories: text with attributes, a vector,
/// blobs, a place in a session and in time, and typed links to other memories. One transaction
/// commits changes of all of these together; one recall ranks over all of them. Any number of
/// threads and processes may have one database open, and read and write it at the same time.
///
/// The order of use: memdb_open, then transactions (memdb_txn_begin .. memdb_txn_commit) and
/// snapshots (memdb_snapshot_begin .. memdb_snapshot_end), then memdb_close.
///
/// Defaults, which each function's comment leaves out:
///   Threads     a database handle and a filter may be used by many threads at once; every other
///               handle (transaction, snapshot, cursor, result, blob reader or writer) by one at a
///               time.
///   Ownership   arguments are borrowed for the call only. Handles are released with the function
///               that their comment names; releasing NULL does nothing.
///   Errors      every function may also return MEMDB_INVALID (an argument is wrong, nothing
///               changed), MEMDB_NOMEM, MEMDB_IO, MEMDB_CORRUPT (a file is damaged; the message
///               names file and offset), MEMDB_FAILED (an earlier write or sync failed; close and
///               reopen) and MEMDB_FORKED (the handle was inherited through fork); what takes a
///               snapshot or transaction, also MEMDB_EXPIRED (it is older than the limit). Outputs
///               stay untouched on failure.
///   Times       int64 microseconds since 1970-01-01T00:00:00Z. MEMDB_TIME_NONE means "not set".
///   Text        UTF-8, sized, not terminated. Memory that the library lends ends with the
///               snapshot, cursor step, transaction or result that it was read from.
///   Structs     options and inputs begin with `size`, which the caller sets to sizeof the struct;
///               zero in any other field is its default.
#ifndef MEMDB_H
#define MEMDB_H

#include "memdb_database.h"
#include "memdb_graph.h"
#include "memdb_maintenance.h"
#include "memdb_memory.h"
#include "memdb_recall.h"
#include "memdb_space.h"
#include "memdb_types.h"

#endif
