// Time, figures, folders and records of the benchmarks. See common.h.
#include "bench/common.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define TEXTS 4096
#define VOCABULARY_BITS 13

uint64_t bench_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double bench_seconds(void) {
    return 1e-9 * (double)bench_nanoseconds();
}

void bench_stop(const char *what, const char *why) {
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(1);
}

void *bench_allocate(size_t size) {
    void *block = calloc(1, size);
    if (!block)
        bench_stop("out of memory", "");
    return block;
}

typedef uint64_t lanes_t __attribute__((vector_size(64)));

#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
uint64_t
bench_sum(const void *memory, size_t size) {
    const lanes_t *at = memory;
    lanes_t a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i + 4 <= size / sizeof(lanes_t); i += 4) {
        a += at[i];
        b += at[i + 1];
        c += at[i + 2];
        d += at[i + 3];
    }
    a += b + c + d;
    return a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
}

// ------------------------------------------------------------------------------ durations

// A step's number is the place of the highest bit and the five bits below it.
static size_t step_of(uint64_t nanoseconds) {
    if (nanoseconds < 32)
        return (size_t)nanoseconds;
    unsigned top = 63 - (unsigned)__builtin_clzll(nanoseconds);
    return (size_t)(top - 4) * 32 + (size_t)(nanoseconds >> (top - 5) & 31);
}

static double value_of(size_t step) {
    if (step < 32)
        return (double)step;
    return ((double)(32 + step % 32) + 0.5) * (double)(UINT64_C(1) << (step / 32 - 1));
}

void bench_times_add(bench_times_t *times, uint64_t nanoseconds) {
    times->count++;
    times->steps[step_of(nanoseconds)]++;
}

void bench_times_merge(bench_times_t *times, const bench_times_t *more) {
    times->count += more->count;
    for (size_t i = 0; i < BENCH_TIMES_STEPS; i++)
        times->steps[i] += more->steps[i];
}

double bench_times_at(const bench_times_t *times, double part) {
    uint64_t wanted = (uint64_t)(part * (double)times->count), seen = 0;
    for (size_t i = 0; i < BENCH_TIMES_STEPS; i++) {
        seen += times->steps[i];
        if (seen > wanted || (seen == times->count && seen))
            return 1e-3 * value_of(i);
    }
    return 0;
}

// ------------------------------------------------------------------------------ folders

const char *bench_at(const char *option) {
    const char *at = option ? option : getenv("TMPDIR");
    return at ? at : "/tmp";
}

void bench_folder_make(const char *at, const char *name, char *path_out, size_t size) {
    if (snprintf(path_out, size, "%s/memdb-%s-XXXXXX", at, name) >= (int)size || !mkdtemp(path_out))
        bench_stop("cannot create a folder in", at);
}

void bench_folder_remove(const char *path) {
    char command[1200];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        bench_stop("cannot remove", path);
}

// ------------------------------------------------------------------------------ records

uint64_t bench_mix(uint64_t number) {
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9u;
    number = (number ^ number >> 27) * 0x94D049BB133111EBu;
    return number ^ number >> 31;
}

void bench_key(uint64_t number, char key_out[BENCH_KEY_BYTES + 1]) {
    static const char digits[] = "0123456789abcdef";
    uint64_t bits = bench_mix(number + 1);
    for (unsigned i = 0; i < BENCH_KEY_BYTES; i++)
        key_out[i] = digits[bits >> (60 - 4 * i) & 15];
    key_out[BENCH_KEY_BYTES] = 0;
}

static char texts[TEXTS][BENCH_TEXT_BYTES + 1];

static void make_texts(void) {
    uint64_t state = 1;
    for (size_t i = 0; i < TEXTS; i++) {
        size_t at = 0;
        while (at < BENCH_TEXT_BYTES) {
            state = bench_mix(state + 0x9E3779B97F4A7C15u);
            // As many words of each octave of ranks: Zipf's law, near enough.
            uint64_t octave = UINT64_C(1) << state % VOCABULARY_BITS;
            uint64_t word = bench_mix(octave + (state >> 32) % octave);
            size_t length = 3 + word % 6; // with the blank: about 33 words a text
            for (size_t j = 0; j < length && at < BENCH_TEXT_BYTES; j++, word /= 26)
                texts[i][at++] = (char)('a' + word % 26);
            if (at < BENCH_TEXT_BYTES)
                texts[i][at++] = ' ';
        }
    }
}

const char *bench_text(uint64_t number) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_texts);
    return texts[bench_mix(number) % TEXTS];
}

void bench_describe(const char *what) {
    struct utsname system_name;
    uname(&system_name);
    printf("%s\n%s %s %s, %ld cores; compiler %s, flags %s\n", what, system_name.sysname,
           system_name.release, system_name.machine, sysconf(_SC_NPROCESSORS_ONLN), __VERSION__,
           MEMDB_BENCH_FLAGS);
}
