// The boot, time and randomness that recorded runs live in. See recorder.h. Processes share them.
#include "tests/crash/recorder_internal.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define FIRST_DAY UINT64_C(1700000000000000) // of boot 0, in microseconds
#define DAY UINT64_C(86400000000)            // from one boot to the next

typedef struct world {
    _Atomic uint64_t clock, random;
    _Atomic uint32_t boot;
} world_t;

static world_t *world; // NULL: the system's

void recorder_world(uint32_t boot, uint64_t seed) {
    if (!world) {
        world =
            mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (world == MAP_FAILED) {
            recorder_give_up("shared memory");
        }
    }
    // Relaxed: no thread of a run is there yet.
    atomic_store_explicit(&world->boot, boot, memory_order_relaxed);
    atomic_store_explicit(&world->random, seed, memory_order_relaxed);
    atomic_store_explicit(&world->clock, FIRST_DAY + boot * DAY, memory_order_relaxed);
}

bool recorder_next_time(int64_t *microseconds_out) {
    if (world) {
        *microseconds_out =
            (int64_t)atomic_fetch_add_explicit(&world->clock, 1, memory_order_relaxed);
    }
    return world != NULL;
}

bool recorder_next_random(uint64_t *bits_out) {
    if (world) {
        *bits_out = atomic_fetch_add_explicit(&world->random, UINT64_C(0x9e3779b97f4a7c15),
                                              memory_order_relaxed);
    }
    return world != NULL;
}

bool recorder_boot(uint32_t *boot_out) {
    if (world) {
        *boot_out = atomic_load_explicit(&world->boot, memory_order_relaxed);
    }
    return world != NULL;
}
