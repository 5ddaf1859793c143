// The oracle of the tests of backups: a database whose whole history is kept beside it.
//
// Each commit gives some keys new values, numbered through, or forgets them. What a database must
// show at a log position follows from the commits at or below it. A value's text and blob are made
// from its number.
#ifndef MEMDB_TESTS_ENGINE_BACKUP_STORY_H
#define MEMDB_TESTS_ENGINE_BACKUP_STORY_H

#include "tests/lib/database.h"

#include <stdint.h>

#define STORY_KEYS 24
#define STORY_MOMENTS 4000
#define STORY_CHANGES 3 // of one commit

typedef struct moment {
    uint64_t lsn;
    int count, key[STORY_CHANGES], value[STORY_CHANGES]; // value 0: forgotten
} moment_t;

typedef struct story {
    uint64_t seed;
    int values; // so many were given out
    int count;
    moment_t moments[STORY_MOMENTS];
} story_t;

/// A number below `below`, from the story's seed.
uint32_t story_draw(story_t *story, uint32_t below);
/// The seed: MEMDB_SEED or the given one; printed.
uint64_t story_seed(uint64_t otherwise);
/// Put `value` (its text, and for some a blob) under key number `key`, in an open transaction.
memdb_status_t story_put(memdb_txn_t *txn, memdb_space_t space, int key, int value);
/// One commit of random changes. Fails the test where the commit fails.
void story_commit(story_t *story, memdb_t *db);
/// What key number `key` has at `lsn`; 0: nothing.
int story_value(const story_t *story, uint64_t lsn, int key);
/// Compare all that `db` shows with the story at `lsn`.
void story_check(const story_t *story, memdb_t *db, uint64_t lsn);
/// Whether `db` shows this value (0: nothing) under a key; text and blob.
bool story_shows(memdb_t *db, int key, int value);
/// The same for the database at `path`, opened for reading only.
void story_check_path(const story_t *story, const char *path, uint64_t lsn);

/// Back up or restore; fails the test with the message.
memdb_copied_t back_up(memdb_t *db, const char *to, uint32_t flags);
memdb_copied_t restore(const char *from, const char *to, uint64_t lsn, int64_t time);
/// The message of a refused backup.
const char *refusal(memdb_t *db, const char *to, memdb_status_t status);
/// Restore to `lsn` (0: everything) beside `from`, compare at `expected`, and remove it.
void check_restored(const story_t *story, const char *from, uint64_t lsn, uint64_t expected);
/// Copy a directory and those in it to `to`, which is not there.
void copy_tree(const char *from, const char *to);
/// Bytes of files under `path`/`folder`; 0 where it is missing.
uint64_t bytes_under(const char *path, const char *folder);

#endif
