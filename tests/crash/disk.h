// What a disk holds while a trace goes by, and what it may hold after its power is cut.
//
// The model, after the abstract persistence model of ALICE (Pillai et al., "All File Systems Are
// Not Created Equal", OSDI 2014), with what a careful program may count on and nothing more:
//   Writes of a file that are not synced reach the disk or not, each by itself, in units of 512 or
//   4,096 bytes. What is lost behind the old end of the file reads as zeros or as any bytes.
//   The size of a file follows the order of what changed it, up to any of these changes, before or
//   behind the data.
//   fsync and fdatasync make durable all writes of the file and its size; nothing of its name.
//   A write through O_DSYNC is durable when it returns, with the size; writes before it are not.
//   Changes of a directory are durable when that directory is synced. Until then each is there or
//   not, but no change of a name without the changes of that name before it. A rename is there
//   wholly or not at all; between two directories it is durable when either is synced.
//   A sector of 512 bytes is written whole or not at all, and keeps what was synced.
//   What is stored through a shared mapping is a write that nobody synced.
#ifndef MEMDB_TESTS_DISK_H
#define MEMDB_TESTS_DISK_H

#include "tests/crash/choice.h"
#include "tests/crash/recorder.h"

typedef struct entry {
    char name[RECORDER_NAME_BYTES];
    uint32_t node;
} entry_t;

/// Something that is not durable yet, or that stands behind such a thing.
typedef struct change {
    const event_t *event; // of the trace, which outlives the disk
    size_t sequence;      // rises with the events
    bool durable;
} change_t;

typedef struct disk_node {
    bool directory, mapped;
    uint8_t *bytes; // of a file: what is durable
    size_t size;
    entry_t *entries; // of a directory: what is durable
    size_t entry_count;
    change_t *changes;
    size_t change_count;
} disk_node_t;

typedef struct disk {
    disk_node_t *nodes; // by the numbers of the trace; 0 is the directory that was recorded
    size_t count, sequence;
} disk_t;

/// An empty disk: {0}. Each event of a trace in turn; marks change nothing.
///
/// in_flight  the power goes while the call is being made: a sync did nothing yet, a write through
///            O_DSYNC is not durable yet.
void disk_apply(disk_t *disk, const event_t *event, bool in_flight);
/// The call that was in flight returns: a write through O_DSYNC becomes durable.
void disk_finish(disk_t *disk, const event_t *event);
/// The first `count` events of a trace.
void disk_replay(disk_t *disk, const trace_t *trace, size_t count);
/// The power is cut. `cut_out` is one of the disks that may be left: all of it is durable.
void disk_cut(const disk_t *disk, choice_t *choice, disk_t *cut_out);
/// All that was done is durable.
void disk_settle(disk_t *disk);
void disk_free(disk_t *disk);

/// Write the tree of a disk without changes to the existing, empty directory `path`.
void disk_save(const disk_t *disk, const char *path);
/// What is in a directory now, all of it durable. `trace_out` must outlive the disk.
void disk_load(const char *path, disk_t *disk_out, trace_t *trace_out);
/// Whether two settled disks hold the same; files that were mapped for writing are left out. A
/// difference is described in `what_out`.
bool disk_equals(const disk_t *left, const disk_t *right, char what_out[200]);

// ---- between disk.c and disk_cut.c

void disk_resize(uint8_t **bytes, size_t *size, size_t wanted);
void disk_fail(const char *what);
void *disk_grow(void *array, size_t count, size_t size);
void disk_change_names(disk_t *disk, const event_t *event);
/// Apply a whole change of a file.
void disk_change_bytes(uint8_t **bytes, size_t *size, const event_t *event);

#endif
