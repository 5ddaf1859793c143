// Writing frames that are known already into a segment of their own, under the same LSNs.
#ifndef MEMDB_WAL_WAL_REWRITE_H
#define MEMDB_WAL_WAL_REWRITE_H

#include "base/memory.h"
#include "wal/wal_segment.h"

typedef struct memdb__wal_rewrite {
    const memdb__wal_log_t *log;
    const memdb__wal_segment_t *segment;
    memdb__buffer_t bytes; // of the batch being copied, from the LSN `begin` on
    uint64_t begin;        // a multiple of 4096
    uint64_t end;          // end of the last frame copied
    uint64_t previous_end; // end of the last frame of the batch before
    uint32_t frames;
    bool headed; // `begin` has a batch header; else the copy starts inside a batch
    uint64_t from;
    uint64_t written; // bytes
} memdb__wal_rewrite_t;

/// Begin at `from`, where the frame before ends. `segment` starts in the block of `from` or in the
/// next one, and is written by nobody else.
memdb_status_t memdb__wal_rewrite_begin(memdb__wal_rewrite_t *rewrite, const memdb__wal_log_t *log,
                                        const memdb__wal_segment_t *segment, uint64_t from,
                                        memdb_error_t *error);
/// The next frame; a batch is written when the one after it begins. A memdb__frame_fn.
memdb_status_t memdb__wal_rewrite_frame(void *rewrite, const memdb__frame_t *frame,
                                        memdb_error_t *error);
/// Write the last batch. Not synced.
memdb_status_t memdb__wal_rewrite_flush(memdb__wal_rewrite_t *rewrite, memdb_error_t *error);
void memdb__wal_rewrite_deinit(memdb__wal_rewrite_t *rewrite);

#endif
