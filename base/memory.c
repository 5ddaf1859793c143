// The allocation seam, the bump arena and the growing buffer.
//
// Invariants: every block from the allocate family is counted once and uncounted once; a failed
// call changes nothing but the count. The counters are striped over cache lines, since threads that
// allocate at the same time would otherwise all write one line.
#include "base/memory.h"

#include "base/bytes.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define STRIPES 16
#define ALIGNMENT 64
#define ARENA_FIRST_CHUNK_BYTES 4096
#define HUGE_PAGE_BYTES (2u << 20)
#define ARENA_LARGEST_CHUNK_BYTES HUGE_PAGE_BYTES
#ifdef __SANITIZE_ADDRESS__
#define KEPT_BYTES 0 // whoever reads what was given back must be caught
#else
#define KEPT_BYTES (128u << 20) // two runs, of which one is folded
#endif

typedef struct stripe {
    _Alignas(ALIGNMENT) _Atomic uint64_t allocations;
    _Atomic uint64_t
        live; // a thread may free what another allocated: single stripes wrap, the sum does not
} stripe_t;

static stripe_t stripes[STRIPES];
static _Atomic unsigned next_stripe;
static _Thread_local unsigned my_stripe; // 0: not chosen yet; else number + 1
static _Atomic uint64_t fail_countdown = UINT64_MAX;

static stripe_t *stripe_of_thread(void) {
    if (!my_stripe)
        // relaxed: the number only spreads threads; two with the same one are slower, not wrong
        my_stripe = atomic_fetch_add_explicit(&next_stripe, 1, memory_order_relaxed) % STRIPES + 1;
    return &stripes[my_stripe - 1];
}

/// Whether this allocation is the one that a test wants to fail.
static bool fails_now(void) {
    // relaxed: the countdown orders nothing but itself; tests arm it before they start threads
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left != UINT64_MAX) {
        // relaxed: as above; 0 - 1 is UINT64_MAX, so the failing allocation also disarms
        if (atomic_compare_exchange_weak_explicit(&fail_countdown, &left, left - 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return left == 0;
    }
    return false;
}

/// Count an attempt; false when it must fail.
static bool begin_allocation(void) {
    // relaxed: a statistic
    atomic_fetch_add_explicit(&stripe_of_thread()->allocations, 1, memory_order_relaxed);
    return !fails_now();
}

static void *count_live(void *pointer) {
    if (pointer) // relaxed: a statistic
        atomic_fetch_add_explicit(&stripe_of_thread()->live, 1, memory_order_relaxed);
    return pointer;
}

void *memdb__allocate(size_t size) {
    return begin_allocation() ? count_live(malloc(size ? size : 1)) : NULL;
}

void *memdb__allocate_zeroed(size_t count, size_t size) {
    if (!count || !size)
        count = size = 1;
    size_t product; // calloc checks it too, but under a sanitizer it stops the program then
    if (__builtin_mul_overflow(count, size, &product))
        return NULL;
    return begin_allocation() ? count_live(calloc(count, size)) : NULL;
}

void *memdb__reallocate(void *pointer, size_t size) {
    if (!pointer)
        return memdb__allocate(size);
    return begin_allocation() ? realloc(pointer, size ? size : 1) : NULL;
}

void memdb__free(void *pointer) {
    if (!pointer)
        return;
    // relaxed: a statistic
    atomic_fetch_sub_explicit(&stripe_of_thread()->live, 1, memory_order_relaxed);
    free(pointer);
}

char *memdb__duplicate_string(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = memdb__allocate(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

void *memdb__allocate_aligned(size_t size) {
    if (size > SIZE_MAX - ALIGNMENT || !begin_allocation())
        return NULL;
    size = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    return count_live(aligned_alloc(ALIGNMENT, size));
}

void memdb__free_aligned(void *pointer) {
    memdb__free(pointer);
}

void memdb__memory_fail_after(uint64_t count) {
    // relaxed: armed before the code under test runs, by the thread that runs or starts it
    atomic_store_explicit(&fail_countdown, count, memory_order_relaxed);
}

uint64_t memdb__memory_count(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < STRIPES; i++) // relaxed: a statistic
        sum += atomic_load_explicit(&stripes[i].allocations, memory_order_relaxed);
    return sum;
}

uint64_t memdb__memory_live(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < STRIPES; i++) // relaxed: a statistic
        sum += atomic_load_explicit(&stripes[i].live, memory_order_relaxed);
    return sum;
}

// ------------------------------------------------------------------------------------------------
// arena

struct memdb__arena_chunk {
    memdb__arena_chunk_t *next; // older chunks
    uint64_t bytes;             // keeps the data behind it 16-byte aligned
};

void memdb__arena_init(memdb__arena_t *arena) {
    arena->chunks = NULL;
    arena->used = arena->capacity = 0;
    arena->next_chunk_bytes = ARENA_FIRST_CHUNK_BYTES;
    atomic_init(&arena->bytes, 0);
}

// Huge blocks that were given back, for the next arenas: memory that the process has costs nothing,
// while the kernel has to find and to clear what it gives.
static pthread_mutex_t kept_mutex = PTHREAD_MUTEX_INITIALIZER;
static memdb__arena_chunk_t *kept; // by falling age
static size_t kept_bytes;

static bool keep_chunk(memdb__arena_chunk_t *chunk) {
    // Never waited for: in the child of a fork the mutex may be held for ever.
    if (chunk->bytes < HUGE_PAGE_BYTES || pthread_mutex_trylock(&kept_mutex))
        return false;
    bool keeps = kept_bytes + chunk->bytes <= KEPT_BYTES;
    if (keeps) {
        chunk->next = kept;
        kept = chunk;
        kept_bytes += chunk->bytes;
    }
    pthread_mutex_unlock(&kept_mutex);
    return keeps;
}

/// A block of that size, or, for 0, of any; NULL: there is none.
static memdb__arena_chunk_t *take_kept(size_t bytes) {
    if (pthread_mutex_trylock(&kept_mutex))
        return NULL;
    memdb__arena_chunk_t **at = &kept;
    while (*at && bytes && (*at)->bytes != bytes)
        at = &(*at)->next;
    memdb__arena_chunk_t *chunk = *at;
    if (chunk) {
        *at = chunk->next;
        kept_bytes -= chunk->bytes;
    }
    pthread_mutex_unlock(&kept_mutex);
    return chunk;
}

void memdb__memory_trim(void) {
    void *chunk;
    while ((chunk = take_kept(0)))
        free(chunk);
}

void memdb__arena_deinit(memdb__arena_t *arena) {
    for (memdb__arena_chunk_t *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        if (keep_chunk(chunk)) // relaxed: a statistic
            atomic_fetch_sub_explicit(&stripe_of_thread()->live, 1, memory_order_relaxed);
        else
            memdb__free(chunk);
    }
    memdb__arena_init(arena);
}

/// Memory in huge pages, as far as it fills them: one fault instead of 512, and few lines of the
/// page table for what is touched at random.
static void *allocate_huge(size_t bytes) {
    if (!begin_allocation())
        return NULL;
    void *block = take_kept(bytes);
    if (!block && posix_memalign(&block, HUGE_PAGE_BYTES, bytes))
        return NULL;
    madvise(block, bytes / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES,
            MADV_HUGEPAGE); // advice: without it all is the same, but slower
    return count_live(block);
}

static memdb__arena_chunk_t *create_chunk(memdb__arena_t *arena, size_t data_bytes) {
    size_t bytes = sizeof(memdb__arena_chunk_t) + data_bytes;
    memdb__arena_chunk_t *chunk =
        bytes < HUGE_PAGE_BYTES ? memdb__allocate(bytes) : allocate_huge(bytes);
    if (!chunk)
        return NULL;
    chunk->bytes = bytes;
    chunk->next = NULL;
    // relaxed: one thread writes, others read a size for statistics and limits
    atomic_fetch_add_explicit(&arena->bytes, bytes, memory_order_relaxed);
    return chunk;
}

void *memdb__arena_allocate(memdb__arena_t *arena, size_t size) {
    if (size > SIZE_MAX / 2)
        return NULL;
    size = size ? (size + 7) & ~(size_t)7 : 8;
    if (size <= arena->capacity - arena->used) {
        void *at = (uint8_t *)(arena->chunks + 1) + arena->used;
        arena->used += size;
        return at;
    }
    if (size > arena->next_chunk_bytes / 4 && arena->chunks) {
        // A large object gets a chunk of its own behind the newest, whose free rest stays in use.
        memdb__arena_chunk_t *chunk = create_chunk(arena, size);
        if (!chunk)
            return NULL;
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
        return chunk + 1;
    }
    size_t data_bytes = arena->next_chunk_bytes - sizeof(memdb__arena_chunk_t);
    if (data_bytes < size)
        data_bytes = size;
    memdb__arena_chunk_t *chunk = create_chunk(arena, data_bytes);
    if (!chunk)
        return NULL;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->capacity = data_bytes;
    arena->used = size;
    if (arena->next_chunk_bytes < ARENA_LARGEST_CHUNK_BYTES)
        arena->next_chunk_bytes *= 2;
    return chunk + 1;
}

void *memdb__arena_copy(memdb__arena_t *arena, const void *data, size_t size) {
    void *copy = memdb__arena_allocate(arena, size);
    if (copy && size)
        memcpy(copy, data, size);
    return copy;
}

// -----------------------------------------------------------------------------------------------
// buffer

void memdb__buffer_deinit(memdb__buffer_t *buffer) {
    memdb__free(buffer->data);
    *buffer = (memdb__buffer_t){0};
}

void memdb__buffer_clear(memdb__buffer_t *buffer) {
    buffer->size = 0;
    buffer->failed = false;
}

bool memdb__buffer_reserve(memdb__buffer_t *buffer, size_t more) {
    if (buffer->failed)
        return false;
    if (more <= buffer->capacity - buffer->size)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    while (capacity <= SIZE_MAX / 2 && capacity - buffer->size < more)
        capacity *= 2;
    uint8_t *data = NULL;
    if (capacity - buffer->size >= more)
        data = memdb__reallocate(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool memdb__buffer_append(memdb__buffer_t *buffer, const void *data, size_t size) {
    if (!memdb__buffer_reserve(buffer, size))
        return false;
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return true;
}

bool memdb__buffer_append_u8(memdb__buffer_t *buffer, uint8_t value) {
    return memdb__buffer_append(buffer, &value, 1);
}

bool memdb__buffer_append_u32(memdb__buffer_t *buffer, uint32_t value) {
    uint8_t bytes[4];
    memdb__put_u32(bytes, value);
    return memdb__buffer_append(buffer, bytes, sizeof bytes);
}

bool memdb__buffer_append_u64(memdb__buffer_t *buffer, uint64_t value) {
    uint8_t bytes[8];
    memdb__put_u64(bytes, value);
    return memdb__buffer_append(buffer, bytes, sizeof bytes);
}

bool memdb__buffer_append_varint(memdb__buffer_t *buffer, uint64_t value) {
    uint8_t bytes[10];
    return memdb__buffer_append(buffer, bytes, memdb__put_varint(bytes, value));
}

bool memdb__buffer_append_sized(memdb__buffer_t *buffer, const void *data, size_t size) {
    return memdb__buffer_append_varint(buffer, size) && memdb__buffer_append(buffer, data, size);
}
