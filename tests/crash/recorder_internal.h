// Between recorder.c, which keeps the events, and recorder_calls.c, which makes the calls.
#ifndef MEMDB_TESTS_RECORDER_INTERNAL_H
#define MEMDB_TESTS_RECORDER_INTERNAL_H

#include "tests/crash/recorder.h"

#include <sys/stat.h>
#include <sys/uio.h>

#define NO_NODE UINT32_MAX

/// Whether there is anything to record at all. If so the lock is held until recorder_leave.
bool recorder_enter(void);
void recorder_leave(void);
/// The node with these numbers, or NO_NODE.
uint32_t recorder_find(const struct stat *about);
uint32_t recorder_find_open(int fd);
/// A new node. Whatever had these numbers before has none any more.
uint32_t recorder_add(const struct stat *about);
/// It turned out to be another file: the node has no numbers any more.
void recorder_forget(uint32_t node);
/// An event with room for `size` bytes. Other fields are zero.
event_t *recorder_append(event_kind_t kind, uint32_t node, size_t size);
event_t *recorder_append_write(uint32_t node, const struct iovec *parts, int count, uint64_t offset,
                               uint64_t size, bool durable);
void recorder_append_sync_of_all(void);
void recorder_add_mapping(uint32_t node, const uint8_t *address, size_t size, uint64_t offset);
void recorder_remove_mapping(const uint8_t *address, size_t size);
/// The node of a mapping, or NO_NODE.
uint32_t recorder_find_mapping(const uint8_t *address);
event_t *recorder_append_named(event_kind_t kind, uint32_t node, uint32_t target, const char *name);
/// The directory that holds the last name of a path, and that name.
uint32_t recorder_parent_of(int directory, const char *path, const char **name_out);
/// Leave with errno as the call left it, and with its result.
long recorder_leave_with(long result);
/// Whether this is the call at which the process ends, in this way. It does not return then.
bool recorder_dies(recorder_death_t death);
_Noreturn void recorder_die(void);
_Noreturn void recorder_give_up(const char *what);

/// The world of recorder_world; `on` false: the system's.
bool recorder_next_time(int64_t *microseconds_out);
bool recorder_next_random(uint64_t *bits_out);
bool recorder_boot(uint32_t *boot_out);

#endif
