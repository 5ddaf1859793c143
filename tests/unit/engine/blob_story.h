// Memories "k<number>", each with a blob of its own, for the tests of the arena's space. What fails
// ends the test.
#ifndef MEMDB_TESTS_ENGINE_BLOB_STORY_H
#define MEMDB_TESTS_ENGINE_BLOB_STORY_H

#include "tests/lib/database.h"

#define BLOB_BYTES 300000

/// Put one, within a transaction, or committed at os; those of [from, to).
memdb_status_t put_in(memdb_t *db, memdb_txn_t *txn, memdb_space_t space, int number);
void put_one(memdb_t *db, memdb_space_t space, int number);
void put_many(memdb_t *db, memdb_space_t space, int from, int to);
void forget_many(memdb_t *db, memdb_space_t space, int from, int to);
/// Another text: the blob is carried along.
memdb_status_t change_text(memdb_t *db, memdb_space_t space, const char *key);
/// Through a snapshot, or a new one: they are there, with their blobs.
void check_one(memdb_t *db, memdb_snapshot_t *snapshot, memdb_space_t space, int number);
void check_many(memdb_t *db, memdb_space_t space, int from, int to);

memdb_stats_t stats_of(memdb_t *db);
/// How many extents there are.
int extent_files(const char *path);
/// After a checkpoint nothing waits to be unlinked, and the arena holds fewer blobs than that.
void expect_nothing_waits(fixture_t *fixture, int most_blobs);

/// Another handle, without threads of its own; the fixture's, closed and opened like that.
memdb_t *open_again(const char *path, uint32_t flags);
void reopen(fixture_t *fixture);

#endif
