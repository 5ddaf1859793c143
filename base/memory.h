// The allocation seam, and a bump arena.
//
// Every allocation of the library goes through memdb__allocate and its kin, so that a test can fail
// each one in turn (memdb__memory_fail_after). Third-party libraries keep their own allocators.
#ifndef MEMDB_BASE_MEMORY_H
#define MEMDB_BASE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memdb__allocate(size_t size); // NULL when out of memory; size 0 is a valid block
void *memdb__allocate_zeroed(size_t count, size_t size); // overflow-checked
void *memdb__reallocate(void *pointer, size_t size);     // NULL leaves `pointer` as it was
void memdb__free(void *pointer);
char *memdb__duplicate_string(const char *text);

/// 64-byte aligned memory; free with memdb__free_aligned.
void *memdb__allocate_aligned(size_t size);
void memdb__free_aligned(void *pointer);

/// Tests: let the allocation number `count` from now (0 is the next) fail once; UINT64_MAX: none.
/// Process-wide.
void memdb__memory_fail_after(uint64_t count);
/// Tests: allocations so far, and blocks that are still allocated.
uint64_t memdb__memory_count(void);
uint64_t memdb__memory_live(void);

/// A bump arena: many small objects that die together. Chunks grow from 4 KiB to 2 MiB.
/// One thread allocates; any thread may read what was published to it. `bytes` may be read by any
/// thread.
typedef struct memdb__arena_chunk memdb__arena_chunk_t;
typedef struct memdb__arena {
    memdb__arena_chunk_t *chunks;
    size_t used, capacity; // of the newest chunk
    size_t next_chunk_bytes;
    _Atomic size_t bytes; // all chunks
} memdb__arena_t;

/// Give back what the process keeps of arenas for the next ones, 128 MiB at most.
void memdb__memory_trim(void);

void memdb__arena_init(memdb__arena_t *arena);
void memdb__arena_deinit(memdb__arena_t *arena);
/// Aligned to 8 bytes; not zeroed. NULL when out of memory.
void *memdb__arena_allocate(memdb__arena_t *arena, size_t size);
void *memdb__arena_copy(memdb__arena_t *arena, const void *data, size_t size);

/// A growing byte buffer. `failed` stays set after an allocation failed, so that a chain of appends
/// is checked once.
typedef struct memdb__buffer {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} memdb__buffer_t;

void memdb__buffer_deinit(memdb__buffer_t *buffer); // leaves it empty and usable
void memdb__buffer_clear(memdb__buffer_t *buffer);  // keeps the capacity
bool memdb__buffer_reserve(memdb__buffer_t *buffer, size_t more);
bool memdb__buffer_append(memdb__buffer_t *buffer, const void *data, size_t size);
bool memdb__buffer_append_u8(memdb__buffer_t *buffer, uint8_t value);
bool memdb__buffer_append_u32(memdb__buffer_t *buffer, uint32_t value); // little-endian
bool memdb__buffer_append_u64(memdb__buffer_t *buffer, uint64_t value); // little-endian
bool memdb__buffer_append_varint(memdb__buffer_t *buffer, uint64_t value);
bool memdb__buffer_append_sized(memdb__buffer_t *buffer, const void *data,
                                size_t size); // varint size, then bytes

#endif
