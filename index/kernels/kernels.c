// Dispatch of the distance kernels, and their scalar twins.
//
// The library is built for the plainest CPU of its architecture; each wider variant is compiled
// with function-level target attributes in a file of its own and entered only here, after the CPU
// was asked. Every variant computes the same integer, so which one runs is never visible in a
// result.
#include "index/kernels/kernels_variants.h"

#include <stdatomic.h>
#include <stdbool.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

int32_t memdb__dot_scalar(const int8_t *a, const int8_t *b, size_t size) {
    int32_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += (int32_t)a[i] * (int32_t)b[i];
    return sum;
}

void memdb__dot_rows_scalar(const int8_t *query, const int8_t *rows, size_t stride, size_t count,
                            int32_t *dots_out) {
    for (size_t i = 0; i < count; i++)
        dots_out[i] = memdb__dot_scalar(query, rows + i * stride, stride);
}

static const memdb__kernels_t scalar_kernels = {MEMDB__KERNEL_SCALAR, memdb__dot_scalar,
                                                memdb__dot_rows_scalar};
#if defined(__x86_64__)
static const memdb__kernels_t avx2_kernels = {MEMDB__KERNEL_AVX2, memdb__dot_avx2,
                                              memdb__dot_rows_avx2};
static const memdb__kernels_t avx512_kernels = {MEMDB__KERNEL_AVX512_VNNI, memdb__dot_avx512,
                                                memdb__dot_rows_avx512};
#endif
#if defined(__aarch64__)
static const memdb__kernels_t neon_kernels = {MEMDB__KERNEL_NEON, memdb__dot_neon,
                                              memdb__dot_rows_neon};
static const memdb__kernels_t neon_sdot_kernels = {MEMDB__KERNEL_NEON, memdb__dot_neon_sdot,
                                                   memdb__dot_rows_neon_sdot};

/// Advanced SIMD is part of every 64-bit ARM; its dot product (sdot) came with v8.2 and is asked
/// for.
static bool has_sdot(void) {
#if defined(__linux__)
    const unsigned long hwcap_asimddp = 1ul << 20; // HWCAP_ASIMDDP of the kernel's interface
    return (getauxval(AT_HWCAP) & hwcap_asimddp) != 0;
#else
    return false;
#endif
}
#endif

const memdb__kernels_t *memdb__kernels_at(memdb__kernel_level_t level) {
    switch (level) {
    case MEMDB__KERNEL_SCALAR:
        return &scalar_kernels;
#if defined(__x86_64__)
    case MEMDB__KERNEL_AVX2:
        return __builtin_cpu_supports("avx2") ? &avx2_kernels : NULL;
    case MEMDB__KERNEL_AVX512_VNNI:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vnni")
                   ? &avx512_kernels
                   : NULL;
#endif
#if defined(__aarch64__)
    case MEMDB__KERNEL_NEON:
        return has_sdot() ? &neon_sdot_kernels : &neon_kernels;
#endif
    default:
        return NULL;
    }
}

static const memdb__kernels_t *find_best(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
    for (int level = MEMDB__KERNEL_NEON; level > MEMDB__KERNEL_SCALAR; level--) {
        const memdb__kernels_t *kernels = memdb__kernels_at((memdb__kernel_level_t)level);
        if (kernels)
            return kernels;
    }
    return &scalar_kernels;
}

const memdb__kernels_t *memdb__kernels(void) {
    static _Atomic(const memdb__kernels_t *) best;
    // Relaxed: it points to constants, and threads that race here all store the same pointer.
    const memdb__kernels_t *kernels = atomic_load_explicit(&best, memory_order_relaxed);
    if (!kernels) {
        kernels = find_best();
        // Relaxed: the partner of the load above; nothing else is published with it.
        atomic_store_explicit(&best, kernels, memory_order_relaxed);
    }
    return kernels;
}

const char *memdb__kernel_level_name(memdb__kernel_level_t level) {
    switch (level) {
    case MEMDB__KERNEL_SCALAR:
        return "scalar";
    case MEMDB__KERNEL_AVX2:
        return "avx2";
    case MEMDB__KERNEL_AVX512_VNNI:
        return "avx512-vnni";
    case MEMDB__KERNEL_NEON:
        return "neon";
    }
    return "unknown";
}
