// Test helper: the whole life of a database in steps, each of which may meet a fault, and a model
// of what was acknowledged.
//
// The life goes on as a careful user would: what is refused is asked again; a handle that failed is
// closed and opened again. So one fault, wherever it strikes, must leave a database in which all
// later steps work. life.c is the model and the rules; life_steps.c has the steps: a new one is a
// function and a line in `life_steps`.
#ifndef MEMDB_TESTS_LIB_LIFE_H
#define MEMDB_TESTS_LIB_LIFE_H

#include "tests/lib/database.h"

#include <stdatomic.h>

#define LIFE_KEYS 12
#define LIFE_TRIES 4 // of anything, with at most one fault

/// The values that a key may have; the last one is the newest. 0: it is not there.
typedef struct life_key {
    int count, values[16];
} life_key_t;

typedef struct life {
    char path[256], backup[300], restored[300], salvaged[300];
    memdb_t *db, *other; // NULL: not open
    memdb_options_t options;
    bool lasting; // the fault lasts (a full disk): what is refused may stay refused
    bool patient; // wait for what the background threads do in their own time
    life_key_t keys[LIFE_KEYS];
    int values;      // so many were given out
    bool history;    // it is kept
    uint64_t moment; // an LSN at which key 0 has value moment_value; 0: none
    int moment_value;
    // What was told.
    const char *step;
    int errors, losses;
    _Atomic int messages; // from any thread
    memdb_status_t first; // error of all
    char first_text[300];
} life_t;

typedef struct life_step {
    const char *name;
    void (*run)(life_t *life);
} life_step_t;
extern const life_step_t life_steps[];
extern const int life_step_count;

/// Files at `path` and beside it; none of them are there afterwards.
void life_begin(life_t *life, const char *path);
void life_end(life_t *life);
/// Everything that was acknowledged is there, in a database that verifies and goes on.
void life_check_after(life_t *life);

// ------------------------------------------------------------------------------ for the steps

/// Note a status, of the main handle or `error`; true unless it is MEMDB_OK.
bool life_told(life_t *life, memdb_status_t status, const memdb_error_t *error);
/// Ask again until it works; fails the test where it never does. Opens the database for `work`.
typedef memdb_status_t (*life_work_fn)(life_t *life, memdb_error_t *error);
bool life_must(life_t *life, life_work_fn work);
/// The main handle, open and not failed; false: it cannot be (a lasting fault).
bool life_opened(life_t *life);
void life_close(life_t *life);
/// Nothing that was committed before can be lost any more.
void life_firm(life_t *life);

enum { LIFE_FORGET = 1, LIFE_VECTOR = 2, LIFE_BLOB = 4, LIFE_LINK = 8, LIFE_LONG = 16 };
/// Give a key a new value, in a transaction of its own.
void life_change(life_t *life, int key, unsigned what, memdb_durability_t durability);
/// Run `work` in a transaction until it is committed.
typedef memdb_status_t (*life_txn_fn)(life_t *life, memdb_txn_t *txn);
void life_commit(life_t *life, life_txn_fn work);
/// Read each key through `db` and compare.
memdb_status_t life_read(life_t *life, memdb_t *db);

#endif
