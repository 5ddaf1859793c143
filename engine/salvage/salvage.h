// What the files of salvage share: salvage.c (its steps), salvage_segment.c (a segment of which
// nothing is trusted), salvage_read.c (entries of maps, rows of vectors, frames of the log),
// salvage_write.c (the new database), salvage_tables.c (its model tables).
#ifndef MEMDB_ENGINE_SALVAGE_H
#define MEMDB_ENGINE_SALVAGE_H

#include "base/container_format.h"
#include "engine/engine.h"

// ------------------------------------------------------------------------------ a segment

/// A file of segments/, mapped. Its pages are known by their checksums, which stand in the tail.
typedef struct memdb__rescue {
    char name[48]; // relative to the database
    uint64_t segment_id;
    const uint8_t *bytes;
    uint64_t size, body_size, page_count;
    uint8_t *pages;             // what is known of each: 0 nothing, 1 whole, 2 damaged
    memdb__segment_kind_t kind; // 0: it cannot be told
    struct {
        uint64_t offset, size; // in the file; offset 0: absent
    } sections[MEMDB__CONTAINER_MAX_SECTIONS];
} memdb__rescue_t;

/// Map a file and find out where its parts are. False: nothing in it can be known (`why_out`).
bool memdb__rescue_open(int segments, const char *file, const uint8_t database_id[16],
                        memdb__rescue_t *rescue_out, const char **why_out);
void memdb__rescue_close(memdb__rescue_t *rescue);
/// Whether the pages under [offset, offset + size) of the file are whole.
bool memdb__rescue_whole(const memdb__rescue_t *rescue, uint64_t offset, uint64_t size);

// ------------------------------------------------------------------------------ what was found

/// A version of a record, link or space. Pointers go into mapped segments or the arena.
typedef struct memdb__salvage_entry {
    const uint8_t *key, *value;
    uint32_t key_size, value_size;
    uint64_t version;
    bool tombstone;
} memdb__salvage_entry_t;

typedef struct memdb__salvage_row {
    uint64_t id, version;
    uint32_t dimension;
    float scale;
    const int8_t *codes;
} memdb__salvage_row_t;

/// A piece of a map that is lost: newer versions of these memories may have been in it.
typedef struct memdb__salvage_hole {
    uint64_t first_id, last_id;
    uint64_t last_lsn; // no version in it was above
    char file[48];
    uint64_t offset;
} memdb__salvage_hole_t;

typedef struct memdb__salvage {
    int directory;
    uint8_t database_id[16];
    memdb_durability_t durability;
    memdb_salvage_fn lost;
    void *context;
    uint64_t losses;
    memdb__manifest_t manifest; // where the catalog is whole
    bool has_manifest;
    uint64_t newest;  // version of all that was met in maps
    uint64_t applied; // the log counts from here on
    memdb__arena_t arena;
    memdb__buffer_t rescues, entries, rows, holes; // of the structs above
} memdb__salvage_t;

#define MEMDB__SALVAGE_COUNT(buffer, type) ((buffer).size / sizeof(type))

void memdb__salvage_lost(memdb__salvage_t *salvage, const char *file, uint64_t offset,
                         uint64_t first_id, uint64_t last_id, memdb_bytes_t key, const char *format,
                         ...) __attribute__((format(printf, 7, 8)));

/// All entries and rows of the segments that count.
memdb_status_t memdb__salvage_segments(memdb__salvage_t *salvage, memdb_error_t *error);
/// The same of the log from salvage->applied on.
memdb_status_t memdb__salvage_log(memdb__salvage_t *salvage, memdb_error_t *error);
/// Call `add` for the newest version of each key of a kind, among the sorted entries.
memdb_status_t memdb__salvage_each(const memdb__salvage_t *salvage, uint8_t kind,
                                   memdb_status_t (*add)(void *context,
                                                         const memdb__salvage_entry_t *entry),
                                   void *context);
/// Write the tables among the sorted entries into a database; `last_out` is raised to the highest
/// number that was met (salvage_tables.c).
memdb_status_t memdb__salvage_tables(memdb__salvage_t *salvage, memdb_t *db, uint32_t *last_out,
                                     memdb_error_t *error);
/// Make the directory `to`, or see that it is empty.
memdb_status_t memdb__salvage_target(const char *to, memdb_error_t *error);
/// Sort what was found and write the newest of each into a new database there.
memdb_status_t memdb__salvage_write(memdb__salvage_t *salvage, const char *to,
                                    memdb_error_t *error);

#endif
