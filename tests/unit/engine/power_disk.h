// Test helper: a disk that remembers what was synced, behind the I/O seam.
//
// Between power_disk_watch and power_disk_forget, every call of the seam that changes the database
// under one path is recorded in memory: per file the synced content and, in order, the writes
// since; per directory the synced entries and, in order, the changes since. power_disk_build writes
// what a power cut could leave to another directory: of each file the synced content and a random
// subset of the later writes, torn at 512 bytes or 4 KiB; of each directory the synced entries and
// a random prefix of the later changes. LMDB calls the kernel itself: the folder `catalog` is
// copied as it is, which is what a power cut leaves there unless it falls into LMDB's own commit.
#ifndef MEMDB_TESTS_POWER_DISK_H
#define MEMDB_TESTS_POWER_DISK_H

#include "base/io.h"

/// Faults to plant: calls that answer success and sync nothing.
typedef enum power_lie {
    POWER_HONEST,
    POWER_LIES_ABOUT_DATA,       // fdatasync
    POWER_LIES_ABOUT_FILES,      // fsync of a file
    POWER_LIES_ABOUT_DIRECTORIES // fsync of a directory
} power_lie_t;

/// Install the table and begin to record for the database at `path`, which must not exist yet.
/// `before` is called before each recorded change or sync; it may build.
void power_disk_watch(const char *path, void (*before)(void *context), void *context);
/// Plant a fault from now on.
void power_disk_lie(power_lie_t lie);
/// Install the real table and free the record.
void power_disk_forget(void);
/// The directory that a power cut now could leave, at the new directory `path`.
void power_disk_build(const char *path);
/// The power came back: go on with the directory at `path`, all of which the disk has. The database
/// that was watched must be closed.
void power_disk_adopt(const char *path);
/// While the table is installed the kernel names another boot for each number; 0 at first.
void power_disk_boot(unsigned number);

/// The seeded source of all choices.
void power_seed(uint64_t seed);
uint64_t power_random(uint64_t below);

#endif
