// What the benchmarks of commits, contention and recovery share: time, figures, folders, records.
#ifndef MEMDB_BENCH_COMMON_H
#define MEMDB_BENCH_COMMON_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_KEY_BYTES 16
#define BENCH_TEXT_BYTES 240

/// Seconds of a clock that never goes back.
double bench_seconds(void);
uint64_t bench_nanoseconds(void);

/// End the program with `program: what: why`.
void bench_stop(const char *what, const char *why) __attribute__((noreturn));
void *bench_allocate(size_t size);

/// Read every byte of 64-byte aligned memory as fast as one thread can: four independent wide sums.
uint64_t bench_sum(const void *memory, size_t size);

/// How often each duration occurred, in steps of about 3 %.
#define BENCH_TIMES_STEPS (64 * 32)
typedef struct bench_times {
    uint64_t count, steps[BENCH_TIMES_STEPS];
} bench_times_t;
void bench_times_add(bench_times_t *times, uint64_t nanoseconds);
void bench_times_merge(bench_times_t *times, const bench_times_t *more);
/// The duration, in microseconds, that `part` (0 to 1) of them do not pass.
double bench_times_at(const bench_times_t *times, double part);

/// A new folder `name` under `at`; removing it with all in it.
void bench_folder_make(const char *at, const char *name, char *path_out, size_t size);
void bench_folder_remove(const char *path);
/// --at, or TMPDIR, or /tmp.
const char *bench_at(const char *option);

/// The key of a record: 16 hex digits, in no order.
void bench_key(uint64_t number, char key_out[BENCH_KEY_BYTES + 1]);
/// Its text: words of a small vocabulary. Static storage.
const char *bench_text(uint64_t number);
uint64_t bench_mix(uint64_t number);

/// What the build was made with.
void bench_describe(const char *what);

#endif
