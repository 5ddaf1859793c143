// The recorder: every call that changes files below one directory, in one order, by all threads and
// forked processes of the test, whoever makes it: the engine through its I/O seam, LMDB by itself.
//
// The program that links the recorder defines the functions of the C library that change files
// (recorder_calls.c), so these definitions are the ones that its shared libraries call too; each
// makes the system call and, where the file lies below the directory, appends an event. Calls and
// events are one step under one lock, which processes share, so the order of events is the order in
// which the kernel saw the calls. io_uring writes are recorded around memdb__uring_write. What is
// stored through a shared writable mapping appears as writes that nobody synced. Syncs are recorded
// and not made: the recording is what they are wanted for.
//
// Recorded runs also live in a time and a random source of their own, so that the same seed gives
// the same bytes, and in a boot of their own.
#ifndef MEMDB_TESTS_RECORDER_H
#define MEMDB_TESTS_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDER_NAME_BYTES 48

typedef enum event_kind {
    EVENT_CREATE,   // `name` in directory `node` is the new file or directory `target`
    EVENT_LINK,     // the same for a file that is there
    EVENT_UNLINK,   // `name` leaves directory `node`
    EVENT_RENAME,   // `name` in `node` becomes `to_name` in `to_node`; it is `target`
    EVENT_WRITE,    // of `size` bytes at `offset`; durable: through O_DSYNC or O_SYNC
    EVENT_TRUNCATE, // to `size`
    EVENT_ALLOCATE, // `size` bytes at `offset`: the size grows, nothing else
    EVENT_SYNC,     // fsync, fdatasync or msync of `node`
    EVENT_MARK      // what the run knows at this moment: `mark`, `writer`, `number`, `value`
} event_kind_t;

typedef struct event {
    uint32_t kind; // event_kind_t
    uint32_t node, target, to_node;
    uint64_t offset, size;
    uint64_t value; // of a mark
    uint32_t mark, writer, number;
    bool directory, durable;
    bool zeros;  // a write of zeros, without bytes
    bool mapped; // a write that a mapping made
    char name[RECORDER_NAME_BYTES], to_name[RECORDER_NAME_BYTES];
    uint8_t bytes[]; // of a write
} event_t;

/// What was recorded. The first `base` events make what was there at the beginning.
typedef struct trace {
    event_t **events;
    size_t count, base;
    bool *weak; // NULL, or by event: a write through O_DSYNC that is as if it were not (mutants.h)
} trace_t;

/// Begin to record what happens below the directory `home`, which is node 0.
void recorder_begin(const char *home);
/// End and give the trace.
void recorder_end(trace_t *trace_out);
void trace_free(trace_t *trace);
/// The mark's event comes after all that the calling thread did before.
void recorder_mark(uint32_t mark, uint32_t writer, uint32_t number, uint64_t value);

/// How a process ends at one of its recorded calls.
typedef enum recorder_death { DEATH_BEFORE, DEATH_HALF_WRITTEN, DEATH_AFTER } recorder_death_t;

/// Kill this process (SIGKILL) at its recorded call number `calls`, from 1; 0: do not.
void recorder_die_at(uint32_t calls, recorder_death_t death);

/// From now on the kernel names another boot for each number, and time and randomness begin anew
/// from `seed`; whether recording or not. Never called: all three are those of the system.
void recorder_world(uint32_t boot, uint64_t seed);

#endif
