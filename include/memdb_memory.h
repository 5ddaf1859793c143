/// Memories, the links between them, and their blobs. Include memdb.h.
#ifndef MEMDB_INCLUDE_MEMDB_MEMORY_H
#define MEMDB_INCLUDE_MEMDB_MEMORY_H

#include "memdb_space.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---------------------------------------------------------------------------------- memories

/// Which fields of a memdb_memory_t are set: by the caller (put), or by the library (get).
typedef enum memdb_fields {
    MEMDB_FIELD_KEY = 1u << 0,
    MEMDB_FIELD_TEXT = 1u << 1,
    MEMDB_FIELD_KIND = 1u << 2,
    MEMDB_FIELD_SESSION = 1u << 3,
    MEMDB_FIELD_ACTOR = 1u << 4,
    MEMDB_FIELD_TIME = 1u << 5,
    MEMDB_FIELD_VALID_FROM = 1u << 6,
    MEMDB_FIELD_VALID_TO = 1u << 7,
    MEMDB_FIELD_EXPIRES = 1u << 8,
    MEMDB_FIELD_IMPORTANCE = 1u << 9,
    MEMDB_FIELD_TOKENS = 1u << 10,
    MEMDB_FIELD_ATTRS = 1u << 11,
    MEMDB_FIELD_VECTOR = 1u << 12,
    MEMDB_FIELD_BLOBS = 1u << 13
} memdb_fields_t;

/// A blob of a memory: `reference` names its bytes in the arena (from memdb_blob_put or a blob
/// writer).
typedef struct memdb_blob {
    uint8_t reference[32];
    uint64_t size_bytes;
    memdb_bytes_t media_type;
} memdb_blob_t;

typedef struct memdb_memory {
    size_t size;
    uint32_t fields;     ///< memdb_fields_t
    memdb_space_t space; ///< out
    uint64_t id;         ///< in: 0, or the memory to change. out: its id
    uint64_t version;    ///< out: log position of the commit that wrote this version
    memdb_bytes_t key;   ///< unique in its space
    memdb_bytes_t text, kind, session, actor;
    int64_t time; ///< of the event; by default the time of the put
    int64_t valid_from, valid_to, expires;
    double importance;         ///< finite
    uint32_t tokens;           ///< cost in a model's context
    memdb_bytes_t attrs;       ///< a JSON object
    const float *vector;       ///< in; out: NULL (see memdb_get_vector)
    uint32_t dimension;        ///< in and out
    const memdb_blob_t *blobs; ///< out: lent; at most MEMDB_MAX_BLOBS
    uint32_t blob_count;
} memdb_memory_t;

/// Put a memory into a space.
///
/// memory      with `id`: changes that memory. Else with a key that the space knows: changes that
/// one (upsert).
///             Else a new memory. A change keeps the fields that are not set in `fields`.
///             MEMDB_FIELD_TEXT with size 0 clears the text; the same for other fields and
///             MEMDB_TIME_NONE.
/// id_out      optional.
/// Errors      MEMDB_NOT_FOUND  `id` is given and not there. MEMDB_REFUSED    by a gate of the
/// space.
///             MEMDB_INVALID    not UTF-8; NaN; another dimension; attrs not a JSON object;
///             valid_to before valid_from. MEMDB_EXISTS     the key belongs to another memory than
///             `id`. MEMDB_LIMIT      a field or the transaction is too large.
MEMDB_API memdb_status_t memdb_put(memdb_txn_t *txn, memdb_space_t space,
                                   const memdb_memory_t *memory, uint64_t *id_out);

/// Forget a memory: it is in no later snapshot. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_forget(memdb_txn_t *txn, memdb_space_t space, uint64_t id);

/// Forget a memory, and mark it for erasure: the next memdb_purge, by any process, removes every
/// byte of it from the files of the database. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_forget_erase(memdb_txn_t *txn, memdb_space_t space, uint64_t id);

/// Forget every memory of the space that passes the filter, as the transaction sees them.
///
/// erase       as memdb_forget_erase.
/// forgotten_out  optional; how many.
/// Errors      as memdb_forget. On any error some of them may be forgotten in the transaction:
/// abort
///             it. Memories that other commits add meanwhile are not looked at; one that another
///             commit changes makes the transaction's commit MEMDB_CONFLICT.
MEMDB_API memdb_status_t memdb_forget_where(memdb_txn_t *txn, memdb_space_t space,
                                            const memdb_filter_t *filter, bool erase,
                                            uint64_t *forgotten_out);

/// Read a memory by id, or by key.
///
/// memory_out  its pointers are lent until the snapshot or transaction ends.
/// Errors      MEMDB_NOT_FOUND
MEMDB_API memdb_status_t memdb_get(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t id,
                                   memdb_memory_t *memory_out);
MEMDB_API memdb_status_t memdb_get_by_key(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          memdb_bytes_t key, memdb_memory_t *memory_out);

/// The vector of a memory, from its INT8 codes: `dimension` floats. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_get_vector(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          uint64_t id, float *vector_out, uint32_t dimension);

typedef enum memdb_order {
    MEMDB_ORDER_TIME = 0,    ///< (time, id)
    MEMDB_ORDER_SESSION = 1, ///< the memories of one session, (time, id)
    MEMDB_ORDER_KEY = 2      ///< keys by bytes; memories with a key only
} memdb_order_t;

typedef struct memdb_cursor_options {
    size_t size;
    memdb_order_t order;
    memdb_bytes_t session; ///< MEMDB_ORDER_SESSION
    memdb_bytes_t prefix;  ///< MEMDB_ORDER_KEY: only keys that begin so
    int64_t from, to; ///< time range [from, to); 0 and 0: all. MEMDB_TIME_NONE: open on that side
    bool has_from, has_to;
    memdb_bytes_t after;          ///< go on after the position that memdb_cursor_position gave
    const memdb_filter_t *filter; ///< only memories that pass; must outlive the cursor
    int64_t valid_at;             ///< only those that are valid then; 0: all
    bool unexpired;               ///< only those that have not expired at the snapshot's time
} memdb_cursor_options_t;

/// Iterate over the memories of a space.
///
/// Ownership   release with memdb_cursor_close, before the snapshot ends.
MEMDB_API memdb_status_t memdb_cursor_open(memdb_snapshot_t *snapshot, memdb_space_t space,
                                           const memdb_cursor_options_t *options,
                                           memdb_cursor_t **cursor_out);
/// The memories of the session of memory `id`, in order: up to `before` ones before it, itself, up
/// to `after` ones after it. A memory without a session is alone. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_trace_open(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          uint64_t id, uint32_t before, uint32_t after,
                                          memdb_cursor_t **cursor_out);
/// Step. The memory is lent until the snapshot ends. MEMDB_DONE at the end.
MEMDB_API memdb_status_t memdb_cursor_next(memdb_cursor_t *cursor, memdb_memory_t *memory_out);
/// The position after the last step: opaque bytes for memdb_cursor_options_t.after, lent until the
/// next step. Valid in other snapshots and processes.
MEMDB_API memdb_bytes_t memdb_cursor_position(const memdb_cursor_t *cursor);
MEMDB_API void memdb_cursor_close(memdb_cursor_t *cursor);

// ---------------------------------------------------------------------------------- links

typedef struct memdb_link {
    size_t size;
    memdb_space_t space;
    uint64_t from, to;            ///< memories of the same space
    memdb_bytes_t type;           ///< may be empty
    double weight;                ///< finite; memdb_put_link takes 0 as 0: set it
    memdb_bytes_t attrs;          ///< a JSON object, or empty
    int64_t valid_from, valid_to; ///< when it holds; in: 0 and MEMDB_TIME_NONE are open sides
    uint64_t version;             ///< out
} memdb_link_t;

/// The type of a link from a fact to one that it takes the place of. See memdb_put_link.
#define MEMDB_LINK_SUPERSEDES "supersedes"

/// Whether something with this validity, [valid_from, valid_to), holds at `moment`.
/// MEMDB_TIME_NONE: open on that side.
MEMDB_API bool memdb_is_valid(int64_t valid_from, int64_t valid_to, int64_t moment);

/// Create or replace the link (from, to, type).
///
/// A link of the type MEMDB_LINK_SUPERSEDES says that `from` holds in the place of `to`, from its
/// valid_from on (open: from that of `from`; without one, from its time). The same
/// transaction ends the validity of `to` there, unless it ends earlier, and begins that of `from`
/// there, unless it has a beginning. A commit that changed one of them meanwhile conflicts.
/// Removing the link changes neither.
///
/// Errors      MEMDB_NOT_FOUND  an end is not there.
///             MEMDB_INVALID    a memory that supersedes itself, or ceases to hold before that.
MEMDB_API memdb_status_t memdb_put_link(memdb_txn_t *txn, const memdb_link_t *link);
/// Remove it. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_remove_link(memdb_txn_t *txn, memdb_space_t space, uint64_t from,
                                           uint64_t to, memdb_bytes_t type);

typedef enum memdb_direction {
    MEMDB_DIRECTION_OUT = 0,
    MEMDB_DIRECTION_IN = 1,
    MEMDB_DIRECTION_BOTH = 2
} memdb_direction_t;

/// The links of a memory, one hop; with `type` (size > 0) only those. Ordered by direction, type,
/// other end.
MEMDB_API memdb_status_t memdb_links_open(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          uint64_t id, memdb_direction_t direction,
                                          memdb_bytes_t type, memdb_link_cursor_t **cursor_out);
/// Step; the link is lent until the snapshot ends. MEMDB_DONE at the end.
MEMDB_API memdb_status_t memdb_links_next(memdb_link_cursor_t *cursor, memdb_link_t *link_out);
MEMDB_API void memdb_links_close(memdb_link_cursor_t *cursor);

// ---------------------------------------------------------------------------------- blobs

/// Put bytes into the blob arena (stored once for equal content) and describe them in `blob_out`,
/// to be named by memdb_put in the same transaction. A blob that no committed memory names is
/// garbage.
///
/// blob_out    media_type is left empty for the caller to set.
/// Durability  the bytes are synced before the frame that names them is written at full.
MEMDB_API memdb_status_t memdb_blob_put(memdb_txn_t *txn, const void *data, size_t size,
                                        memdb_blob_t *blob_out);

/// The same as a stream, at constant memory.
///
/// Ownership   consumed by memdb_blob_writer_finish or memdb_blob_writer_abort, before the
/// transaction ends.
MEMDB_API memdb_status_t memdb_blob_writer_open(memdb_txn_t *txn, memdb_blob_writer_t **writer_out);
MEMDB_API memdb_status_t memdb_blob_writer_append(memdb_blob_writer_t *writer, const void *data,
                                                  size_t size);
MEMDB_API memdb_status_t memdb_blob_writer_finish(memdb_blob_writer_t *writer,
                                                  memdb_blob_t *blob_out);
MEMDB_API void memdb_blob_writer_abort(memdb_blob_writer_t *writer);

/// Read a blob as named by a memory of this snapshot.
///
/// Ownership   release with memdb_blob_reader_close, before the snapshot ends.
/// Errors      MEMDB_NOT_FOUND  the snapshot is older than a purge of the blob; so may reading.
MEMDB_API memdb_status_t memdb_blob_reader_open(memdb_snapshot_t *snapshot,
                                                const memdb_blob_t *blob,
                                                memdb_blob_reader_t **reader_out);
/// Read up to `size` bytes at `offset`; *read_out is less than `size` at the end only. Checked
/// before it is given.
MEMDB_API memdb_status_t memdb_blob_reader_read(memdb_blob_reader_t *reader, uint64_t offset,
                                                void *buffer, size_t size, size_t *read_out);
MEMDB_API void memdb_blob_reader_close(memdb_blob_reader_t *reader);

#ifdef __cplusplus
}
#endif
#endif
