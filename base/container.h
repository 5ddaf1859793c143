// The segment container: the one file shape of every store's immutable segments.
//
// A container is written once from front to back, synced, and then named by the catalog; it is
// never changed. It holds up to 32 sections of bytes, each 64-byte aligned, so that arrays can be
// used in place through the mapping.
//
//   header   4 KiB: magic "MEMDBSEG", format version, kind, database id, segment id, page size,
//            zero, XXH3-64
//   body     sections, in pages of 16 KiB
//   tail     page checksums (u64 each, XXH3-64, seed made of segment id and page number),
//            section table
//   footer   the last 64 bytes: sizes, XXH3-64 of the tail, XXH3-64 of itself, magic
//
// Pages are contiguous in the mapping; their checksums stand apart, so that no array is broken by
// them. Reading is two steps: memdb__container_section gives unchecked bytes;
// memdb__container_check makes a range of them safe to read, once (a bit a page remembers). Nothing
// may be read before it was checked.
#ifndef MEMDB_BASE_CONTAINER_H
#define MEMDB_BASE_CONTAINER_H

#include "base/status.h"

#define MEMDB__CONTAINER_PAGE_BYTES 16384
#define MEMDB__CONTAINER_MAX_SECTIONS 32

typedef enum memdb__segment_kind {
    MEMDB__SEGMENT_SORTED = 1, // records, keys, links, sessions, times, spaces
    MEMDB__SEGMENT_WORDS = 2,
    MEMDB__SEGMENT_VECTORS = 3,
} memdb__segment_kind_t;

/// What names a segment; all of it is checked when it is opened.
typedef struct memdb__segment_identity {
    uint8_t database_id[16];
    uint64_t segment_id;
    memdb__segment_kind_t kind;
} memdb__segment_identity_t;

typedef struct memdb__container_writer memdb__container_writer_t;
typedef struct memdb__container memdb__container_t;

/// Create file `name` in `directory` (it must not exist: MEMDB_EXISTS). `directory` stays open
/// until the writer is consumed. After a failed write or allocation the writer accepts nothing
/// more, and finish fails too.
memdb_status_t memdb__container_create(int directory, const char *name,
                                       const memdb__segment_identity_t *identity,
                                       memdb__container_writer_t **writer_out,
                                       memdb_error_t *error);
/// Begin the section numbered `section` (0 to 31, each at most once); ends the one before.
memdb_status_t memdb__container_begin(memdb__container_writer_t *writer, uint32_t section,
                                      memdb_error_t *error);
memdb_status_t memdb__container_append(memdb__container_writer_t *writer, const void *data,
                                       size_t size, memdb_error_t *error);
/// Bytes appended to the current section so far.
uint64_t memdb__container_position(const memdb__container_writer_t *writer);
/// Write the tail, sync the file, close. The directory is not synced. Consumes `writer` on every
/// path; a failed file is unlinked. file_size_out, checksum_out: what the catalog keeps of the
/// file; open compares them.
memdb_status_t memdb__container_finish(memdb__container_writer_t *writer, uint64_t *file_size_out,
                                       uint64_t *checksum_out, memdb_error_t *error);
void memdb__container_abandon(memdb__container_writer_t *writer); // closes and unlinks

/// A copy of a segment as a file of another database.
typedef struct memdb__container_copy {
    int from;                           // the file, open for reading; its name may be gone
    const char *name;                   // of it, for messages
    memdb__segment_identity_t identity; // what it must be
    uint64_t file_size, checksum;       // as finish gave them
    int directory;                      // of the new file
    const char *to;                     // its name; replaced where it exists
    const uint8_t *database_id;         // that its header names
    void (*moved)(void *context, uint64_t bytes); // told of each part; NULL: nobody
    void *context;
} memdb__container_copy_t;

/// Copy a segment, checking all of it. The new file is synced, its directory is not.
memdb_status_t memdb__container_copy(const memdb__container_copy_t *copy, memdb_error_t *error);

/// Map and check header, footer and tail of a segment. `file_size` and `checksum` as finish gave
/// them (0, 0: not compared). A container may be used by many threads.
memdb_status_t memdb__container_open(int directory, const char *name,
                                     const memdb__segment_identity_t *identity, uint64_t file_size,
                                     uint64_t checksum, memdb__container_t **container_out,
                                     memdb_error_t *error);
void memdb__container_close(memdb__container_t *container);
/// A section's bytes, not yet checked; an absent section is NULL and 0.
const uint8_t *memdb__container_section(const memdb__container_t *container, uint32_t section,
                                        uint64_t *size_out);
/// Check the pages under [at, at + size), which must lie inside the mapping; MEMDB_CORRUPT names
/// file and offset.
memdb_status_t memdb__container_check(memdb__container_t *container, const void *at, size_t size,
                                      memdb_error_t *error);
/// Check every page, whatever is remembered. `found` is called for each bad page; the status is
/// MEMDB_CORRUPT then.
memdb_status_t memdb__container_verify(memdb__container_t *container, memdb_verify_fn found,
                                       void *context, memdb_error_t *error);
/// The same for `count` pages from `first` on alone, without the parts that are no pages: for threads
/// that share the work.
memdb_status_t memdb__container_verify_pages(memdb__container_t *container, uint64_t first,
                                             uint64_t count, memdb_verify_fn found, void *context,
                                             memdb_error_t *error);
uint64_t memdb__container_pages(const memdb__container_t *container);
/// How many of them were checked since the file was opened: what opening and reading touched.
uint64_t memdb__container_checked(const memdb__container_t *container);
/// Where in the file a byte of the mapping lies, for messages.
uint64_t memdb__container_offset(const memdb__container_t *container, const void *at);
uint64_t memdb__container_file_size(const memdb__container_t *container);
const char *memdb__container_name(const memdb__container_t *container);

#endif
