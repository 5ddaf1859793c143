// What the tests of kernels share: random numbers from a seed, and every variant of this CPU.
#ifndef MEMDB_TESTS_UNIT_INDEX_TEST_KERNELS_FIXTURE_H
#define MEMDB_TESTS_UNIT_INDEX_TEST_KERNELS_FIXTURE_H

#include "index/kernels/kernels_variants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// clang-format off: cmocka.h needs setjmp.h, stdarg.h and stddef.h before it
#include <cmocka.h>
// clang-format on

static uint64_t state;

static inline uint32_t next(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static inline int setup(void **unused) {
    (void)unused;
    const char *text = getenv("MEMDB_SEED");
    state = text ? strtoull(text, NULL, 0) : 20240611;
    print_message("seed=%llu\n", (unsigned long long)state);
    return 0;
}

static inline void each_level(void (*check)(const memdb__kernels_t *kernels)) {
    for (int level = MEMDB__KERNEL_SCALAR; level <= MEMDB__KERNEL_NEON; level++) {
        const memdb__kernels_t *kernels = memdb__kernels_at((memdb__kernel_level_t)level);
        print_message("%s: %s\n", memdb__kernel_level_name((memdb__kernel_level_t)level),
                      kernels ? "checked" : "not on this CPU");
        if (kernels)
            check(kernels);
    }
}

#endif
