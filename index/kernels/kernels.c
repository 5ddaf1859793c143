// Dispatch of the kernels.
//
// The library is built for the plainest CPU of its architecture; each wider variant is compiled
// with function-level target attributes in a file of its own and entered only here, after the CPU
// was asked. Every variant computes the same bits, so which one runs is never visible in a result.
#include "index/kernels/kernels_variants.h"

#include <stdatomic.h>
#include <stdbool.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/// A table of kernels: dots, counts and all others each from a variant of their own.
#define KERNELS(level, dots, counts, others)                                                       \
    {                                                                                              \
        level, memdb__dot_##dots, memdb__dot_rows_##dots, memdb__dot_given_##dots,                 \
            memdb__scan_blocks_##others, memdb__differ_rows_##counts,                              \
            memdb__overlap_rows_##counts, memdb__rotate_##others, memdb__dot_half_##others,        \
    }

static const memdb__kernels_t scalar_kernels =
    KERNELS(MEMDB__KERNEL_SCALAR, scalar, scalar, scalar);
#if defined(__x86_64__)
static const memdb__kernels_t avx2_kernels = KERNELS(MEMDB__KERNEL_AVX2, avx2, avx2, avx2);
static const memdb__kernels_t avx512_kernels =
    KERNELS(MEMDB__KERNEL_AVX512_VNNI, avx512, avx512, avx512);
/// The first CPUs with VNNI cannot count bits in wide registers.
static const memdb__kernels_t avx512_without_counts =
    KERNELS(MEMDB__KERNEL_AVX512_VNNI, avx512, avx2, avx512);
#endif
#if defined(__aarch64__)
static const memdb__kernels_t neon_kernels = KERNELS(MEMDB__KERNEL_NEON, neon, neon, neon);
static const memdb__kernels_t neon_sdot_kernels =
    KERNELS(MEMDB__KERNEL_NEON, neon_sdot, neon, neon);

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

#if defined(__x86_64__)
/// With what came in the same CPUs: half floats (clang 14 has no name for them) and counts of bits.
static bool has_avx2(void) {
    unsigned eax, ebx, ecx, edx;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") &&
           __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}
#endif

const memdb__kernels_t *memdb__kernels_at(memdb__kernel_level_t level) {
    switch (level) {
    case MEMDB__KERNEL_SCALAR:
        return &scalar_kernels;
#if defined(__x86_64__)
    case MEMDB__KERNEL_AVX2:
        return has_avx2() ? &avx2_kernels : NULL;
    case MEMDB__KERNEL_AVX512_VNNI:
        if (!has_avx2() || !__builtin_cpu_supports("avx512f") ||
            !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vnni"))
            return NULL;
        return __builtin_cpu_supports("avx512vpopcntdq") ? &avx512_kernels : &avx512_without_counts;
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

void memdb__dot_queries(const int8_t *queries, size_t query_count, const int8_t *rows,
                        size_t stride, size_t count, int32_t *dots_out) {
    const memdb__kernels_t *kernels = memdb__kernels();
    size_t piece = MEMDB__PIECE_BYTES / stride < 4 ? 4 : MEMDB__PIECE_BYTES / stride / 4 * 4;
    for (size_t row = 0; row < count; row += piece) {
        size_t rows_here = count - row < piece ? count - row : piece;
        for (size_t query = 0; query < query_count; query++)
            kernels->dot_rows(queries + query * stride, rows + row * stride, stride, rows_here,
                              dots_out + query * count + row);
    }
}
