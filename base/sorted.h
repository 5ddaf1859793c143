// A sorted segment: an immutable, ordered map from byte keys to byte values, each with a version,
// in one container.
//
// Entries are written in rising order of key (memcmp) and, of one key, in falling order of version:
// the order of entries is the order of places, and the place of (key, version) is in front of all
// older versions of the key. Most segments hold one version a key. Entries lie in blocks of
// about 4 KiB (a larger entry has a block of its own), each with an offset array, so that a block
// is searched by halving. An index section holds the blocks' offsets and first keys. A hash finds
// single keys, or that they are absent, in a cache line, without a search. Each entry carries a
// version (u64, an LSN), and a flag: tombstone or not; a tombstone may have a value. Every block is
// decoded as hostile bytes after its pages were checked: a bad offset is MEMDB_CORRUPT, never a
// crash.
#ifndef MEMDB_BASE_SORTED_H
#define MEMDB_BASE_SORTED_H

#include "base/checksum.h"
#include "base/container.h"

typedef struct memdb__entry {
    const uint8_t *key;
    size_t key_size;
    const uint8_t *value;
    size_t value_size;
    uint64_t version;
    bool tombstone;
} memdb__entry_t;

typedef struct memdb__sorted_writer memdb__sorted_writer_t;
typedef struct memdb__sorted memdb__sorted_t;

memdb_status_t memdb__sorted_create(int directory, const char *name,
                                    const memdb__segment_identity_t *identity,
                                    memdb__sorted_writer_t **writer_out, memdb_error_t *error);
/// Before the first entry: keys that begin with one of these bytes are not in the hash, because
/// they are walked and never asked for one by one. All others are.
void memdb__sorted_leave_unhashed(memdb__sorted_writer_t *writer, const char *first_bytes);
/// Keys must rise, and versions of one key must fall, else MEMDB_INVALID; key and value are below
/// 1 GiB, else MEMDB_LIMIT; both change nothing. After any other error only finish, which tells it
/// again, and abandon are left.
memdb_status_t memdb__sorted_append(memdb__sorted_writer_t *writer, const memdb__entry_t *entry,
                                    memdb_error_t *error);
/// As memdb__container_finish: consumes the writer.
memdb_status_t memdb__sorted_finish(memdb__sorted_writer_t *writer, uint64_t *file_size_out,
                                    uint64_t *checksum_out, memdb_error_t *error);
void memdb__sorted_abandon(memdb__sorted_writer_t *writer);

/// Opening checks the container's tail and the few bytes that say how large each part is; index and
/// blocks are checked at first touch. Thread-safe for reading.
memdb_status_t memdb__sorted_open(int directory, const char *name,
                                  const memdb__segment_identity_t *identity, uint64_t file_size,
                                  uint64_t checksum, memdb__sorted_t **sorted_out,
                                  memdb_error_t *error);
void memdb__sorted_close(memdb__sorted_t *sorted);
uint64_t memdb__sorted_count(const memdb__sorted_t *sorted);
/// Whether some key has more than one version.
bool memdb__sorted_has_versions(const memdb__sorted_t *sorted);
memdb__container_t *memdb__sorted_container(memdb__sorted_t *sorted);

/// Point lookup: the newest version of a key. MEMDB_NOT_FOUND without a message when the key is
/// absent (a tombstone is found); `*entry_out` holds anything then. Pointers go into the mapping
/// and live as long as `sorted`. Does not allocate.
memdb_status_t memdb__sorted_get(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                 memdb__entry_t *entry_out, memdb_error_t *error);
/// The same for the newest version that is at most `visible`.
memdb_status_t memdb__sorted_get_at(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                    uint64_t visible, memdb__entry_t *entry_out,
                                    memdb_error_t *error);

/// The same with the key's hash, for who asks several segments for one key.
memdb_status_t memdb__sorted_get_hashed(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                        uint64_t hash, uint64_t visible, memdb__entry_t *entry_out,
                                        memdb_error_t *error);
/// Have the line of the hash fetched where such a key's search will begin. Does not wait.
void memdb__sorted_prefetch(const memdb__sorted_t *sorted, uint64_t hash);
/// Have the entry fetched that the line names, which should be there by now.
void memdb__sorted_prefetch_entry(const memdb__sorted_t *sorted, uint64_t hash);
static inline uint64_t memdb__sorted_hash(const void *key, size_t key_size) {
    return memdb__hash64(key, key_size, 0);
}

/// A position in the map. Storage is the caller's; no clean-up is needed.
typedef struct memdb__sorted_iterator {
    memdb__sorted_t *sorted;
    uint64_t block; // number of the block; == block count: after the end
    uint32_t slot;  // number of the entry in the block
    bool valid;     // whether it stands on an entry
    memdb__entry_t entry;
} memdb__sorted_iterator_t;

/// An iterator without an entry stands after the end or before the beginning: a step back from the
/// end stands on the last entry, a step forth from the beginning on the first; further steps out
/// change nothing. A step that fails leaves the iterator as it was. Nothing here allocates. An
/// empty `key` is the smallest one.

/// Stand on the first entry with a key >= `key`, which is that key's newest version; `valid` is
/// false when there is none.
memdb_status_t memdb__sorted_seek(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                  memdb__sorted_iterator_t *iterator, memdb_error_t *error);
/// Stand on the last entry with a key < `key`, which is that key's oldest version; `valid` is false
/// when there is none.
memdb_status_t memdb__sorted_seek_before(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                         memdb__sorted_iterator_t *iterator, memdb_error_t *error);
memdb_status_t memdb__sorted_next(memdb__sorted_iterator_t *iterator, memdb_error_t *error);
memdb_status_t memdb__sorted_previous(memdb__sorted_iterator_t *iterator, memdb_error_t *error);
/// Call `visit` for each entry with a key from `from` on and below `to`, in order, all versions,
/// until it fails. Faster than steps of an iterator: blocks are gone through whole, and no key is
/// compared but at the two ends.
typedef memdb_status_t (*memdb__sorted_visit_fn)(void *context, const memdb__entry_t *entry);
memdb_status_t memdb__sorted_each(memdb__sorted_t *sorted, const void *from, size_t from_size,
                                  const void *to, size_t to_size, memdb__sorted_visit_fn visit,
                                  void *context, memdb_error_t *error);
/// About how many entries have keys from `from` on and below `to`: exactly when both lie in one
/// block; else as if the blocks between were filled as some of them are.
memdb_status_t memdb__sorted_between(memdb__sorted_t *sorted, const void *from, size_t from_size,
                                     const void *to, size_t to_size, uint64_t *count_out,
                                     memdb_error_t *error);
/// Checks all pages, then that every entry decodes, entries are in order, and the hash leads to
/// each key and to nothing else.
memdb_status_t memdb__sorted_verify(memdb__sorted_t *sorted, memdb_verify_fn found, void *context,
                                    memdb_error_t *error);

#endif
