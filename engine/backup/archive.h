// Blob extents that a backup may still need. See wal/copy.h for the archive of the log.
#ifndef MEMDB_ENGINE_ARCHIVE_H
#define MEMDB_ENGINE_ARCHIVE_H

#include "base/io.h"

/// For the collector of extents, in place of unlinking one: while the database keeps an archive,
/// the file moves there, durably, for frames in the archived log may name its blobs; the increment
/// that has those frames removes it. Without an archive nothing happens.
///
/// directory   of the database.
/// extent_id   its `retire` frame is committed: no later frame names a blob in it.
/// kept_out    false: there is no archive (or the file is gone already); the caller unlinks.
/// The caller holds the checkpoint lock.
memdb_status_t memdb__archive_keep_extent(int directory, uint64_t extent_id, bool *kept_out,
                                          memdb_error_t *error);

/// The extents that are in the archive now, as u64 numbers, to be removed by
/// memdb__archive_drop_extents once everything committed before this call is in the backup.
/// numbers_out: from memdb__allocate.
memdb_status_t memdb__archive_list_extents(int directory, uint64_t **numbers_out, size_t *count_out,
                                           memdb_error_t *error);
memdb_status_t memdb__archive_drop_extents(int directory, const uint64_t *numbers, size_t count,
                                           memdb_error_t *error);

#endif
