// The root file and the directory of a database: what says "this is a memdb database", written last
// at creation.
//
// root, 512 bytes:
//   0    magic "MEMDBROT"
//   8    format version, u32
//   12   default durability, u32
//   16   database id, 16 bytes
//   32   creation time, i64, microseconds
//   40   reserved, zero, to 504
//   504  XXH3-64 of the 504 bytes before
#ifndef MEMDB_ENGINE_ROOT_H
#define MEMDB_ENGINE_ROOT_H

#include "base/io.h"

#define MEMDB__ROOT_BYTES 512
#define MEMDB__ROOT_VERSION 1

typedef struct memdb__root {
    uint8_t database_id[16];
    memdb_durability_t durability;
    int64_t created;
} memdb__root_t;

void memdb__root_encode(const memdb__root_t *root, uint8_t bytes_out[MEMDB__ROOT_BYTES]);
/// Errors: MEMDB_NOT_DATABASE (another magic), MEMDB_VERSION, MEMDB_CORRUPT.
memdb_status_t memdb__root_decode(const uint8_t *bytes, size_t size, memdb__root_t *root_out,
                                  memdb_error_t *error);

/// Random bytes for the id of a new database.
memdb_status_t memdb__draw_database_id(uint8_t id_out[16], memdb_error_t *error);

/// Read `directory`/root. MEMDB_NOT_FOUND: there is none.
memdb_status_t memdb__root_read(int directory, memdb__root_t *root_out, memdb_error_t *error);

typedef enum memdb__directory_state {
    MEMDB__DIRECTORY_EMPTY,    // nothing but what an interrupted creation left
    MEMDB__DIRECTORY_DATABASE, // a root file
    MEMDB__DIRECTORY_HEADLESS, // a database's files without a root
    MEMDB__DIRECTORY_FOREIGN,  // other things
} memdb__directory_state_t;

/// What a directory is. The caller holds the gate where there is one.
memdb_status_t memdb__directory_look(int directory, memdb__directory_state_t *state_out,
                                     memdb_error_t *error);

/// Make a new database in `directory`: catalog, log, segments, blob, then the root. The caller
/// holds the gate and is alone.
memdb_status_t memdb__directory_create(int directory, memdb_durability_t durability,
                                       memdb_error_t *error);

/// Make the name of a directory durable: sync the directory above it. Where that may not be read,
/// nothing is done: such a directory belongs to somebody else, who made this one and saw to it.
memdb_status_t memdb__directory_sync_parent(int directory, memdb_error_t *error);

/// Refuse what is not a local file system (rule 15): locks and shared mappings do not hold there.
memdb_status_t memdb__directory_is_local(int directory, memdb_error_t *error);

#endif
