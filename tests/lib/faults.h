// Test helper: the calls to the operating system of a whole program, numbered, and one that fails.
//
// The test program stands in for functions of the C library: an executable's own come first, for
// the engine and for LMDB alike, so one mechanism reaches every call that either makes. Calls are
// numbered apart for the thread that began and for all others, since only the first kind comes in
// the same order again. Nothing is numbered, and nothing fails, but between faults_begin and
// faults_end.
#ifndef MEMDB_TESTS_LIB_FAULTS_H
#define MEMDB_TESTS_LIB_FAULTS_H

#include <stdbool.h>
#include <stdio.h>

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_ERROR,       // EIO; what the call says otherwise (a map: ENOMEM, a thread: EAGAIN)
    FAULT_FULL,        // ENOSPC, of calls that may need room
    FAULT_INTERRUPTED, // EINTR, of calls that may see it
    FAULT_SHORT,       // half of a transfer is made
    FAULT_TORN,        // half of a write is made, then EIO
    FAULT_COMPLETION,  // io_uring takes the requests; the first of them ends with EIO
    FAULT_KILL,        // kill -9, before the call
    FAULT_KINDS
} fault_kind_t;

typedef struct fault {
    fault_kind_t kind;
    bool others;  // number counts the calls of other threads than the one that begins
    long number;  // of the call, from 0
    bool forever; // each call from there on that knows the kind
} fault_t;

void faults_begin(fault_t fault);
void faults_end(void);
const char *fault_kind_name(fault_kind_t kind);

/// Calls so far, and whether call `number` of the last count (a run without a fault) knows a kind.
long faults_count(bool others);
bool faults_knows(long number, bool others, fault_kind_t kind);

/// What failed first since faults_begin; the call's name is NULL where nothing did.
typedef struct fault_met {
    const char *call;
    char file[200];    // of the descriptor or path, as far as that can be told
    bool by_a_library; // LMDB's own
    bool is_sync;
    bool tail; // the thread was not the one that began
} fault_met_t;
fault_met_t faults_met(void);

/// For stand-ins elsewhere: number the call; the kind that it meets now. `kinds` is a set of
/// 1 << fault_kind_t.
fault_kind_t fault_meets(const char *call, unsigned kinds, int fd, const char *path,
                         const void *caller);

#endif
