// Copying blobs, one by one, from the extents of one database into extents of another under the
// same references.
//
// A blob is copied as it lies, header, pieces and fill, after all of it was checked: checksums and
// the hash of its content. The extent of the copy has the same number and is sparse where no blob
// was copied.
#ifndef MEMDB_BLOB_COPY_H
#define MEMDB_BLOB_COPY_H

#include "base/io.h"

typedef struct memdb__blob_copier memdb__blob_copier_t;

typedef struct memdb__blob_copier_options {
    int from, archive;              // directories with extents; the second may be -1
    int to;                         // directory
    uint8_t from_id[16], to_id[16]; // of the databases
} memdb__blob_copier_options_t;

/// The directories stay the caller's. Copying in order of references opens each extent once.
memdb_status_t memdb__blob_copier_create(const memdb__blob_copier_options_t *options,
                                         memdb__blob_copier_t **copier_out, memdb_error_t *error);
/// Copy one blob. bytes_out: written; 0 where the copy has it already, which is checked whole.
/// Errors  MEMDB_NOT_FOUND  its extent is in none of both directories.
///         MEMDB_CORRUPT    names file and offset.
memdb_status_t memdb__blob_copy(memdb__blob_copier_t *copier, const uint8_t reference[32],
                                uint64_t *bytes_out, memdb_error_t *error);
/// Sync what was copied, and the directory. Nothing may name the copies before.
memdb_status_t memdb__blob_copier_sync(memdb__blob_copier_t *copier, memdb_error_t *error);
void memdb__blob_copier_destroy(memdb__blob_copier_t *copier);

/// The order of references in which copying is quick: by extent, then offset. For qsort.
int memdb__blob_compare_references(const void *a, const void *b);
/// The number of the extent in a reference, and the file of an extent in its directory.
uint64_t memdb__blob_extent_of(const uint8_t reference[32]);
void memdb__blob_extent_file(uint64_t extent_id, char name_out[32]);
/// The number that such a name stands for; false: it is none.
bool memdb__blob_extent_number(const char *name, uint64_t *extent_id_out);

#endif
