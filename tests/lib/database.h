// Test helper: a database in a fresh temporary directory, and short forms of the calls that tests make again and again.
#ifndef MEMDB_TESTS_LIB_DATABASE_H
#define MEMDB_TESTS_LIB_DATABASE_H

#include "include/memdb.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>

#include <cmocka.h>

typedef struct fixture {
    char path[256]; // of the database, in a temporary directory of its own
    memdb_t *db;
} fixture_t;

/// cmocka setup and teardown: an open database (fixture_t in *state), removed afterwards.
int fixture_setup(void **state);
int fixture_teardown(void **state);

/// Open fixture->path with these options (size and MEMDB_OPEN_CREATE are added); fails the test otherwise.
void fixture_open(fixture_t *fixture, memdb_options_t options);
void fixture_close(fixture_t *fixture);
/// Copy the database directory as it is to fixture->path + suffix (overwriting), as kill -9 would leave it.
void fixture_copy(const fixture_t *fixture, const char *suffix, char path_out[256]);
void remove_tree(const char *path);

memdb_bytes_t text(const char *terminated);
/// Fail the test with the handle's message unless `status` is MEMDB_OK.
#define must(db, status) assert_ok((db), (status), __FILE__, __LINE__)
void assert_ok(memdb_t *db, memdb_status_t status, const char *file, int line);

/// The space, created when missing, in a transaction of its own.
memdb_space_t space_of(memdb_t *db, const char *name);
/// Put key and text in one transaction at the handle's default durability; returns the id.
uint64_t put_text(memdb_t *db, memdb_space_t space, const char *key, const char *words);
/// The text under a key, or NULL; valid until the next call of this function on the thread.
const char *get_text(memdb_t *db, memdb_space_t space, const char *key);

#endif
