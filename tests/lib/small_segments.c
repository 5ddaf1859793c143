// Test helper: segments of the log are small, so that a short life leaves and recycles several. The
// linker puts this in the place of memdb__wal_log_init (--wrap), which all users of a log call.
#include "wal/wal_segment.h"

#ifndef SMALL_SEGMENT_KIB
#define SMALL_SEGMENT_KIB 64 // a target may ask for another size
#endif

memdb_status_t __real_memdb__wal_log_init(memdb__wal_log_t *log, int directory,
                                          const memdb__wal_options_t *options,
                                          memdb_error_t *error);
memdb_status_t __wrap_memdb__wal_log_init(memdb__wal_log_t *log, int directory,
                                          const memdb__wal_options_t *options,
                                          memdb_error_t *error);

memdb_status_t __wrap_memdb__wal_log_init(memdb__wal_log_t *log, int directory,
                                          const memdb__wal_options_t *options,
                                          memdb_error_t *error) {
    memdb__wal_options_t small = *options;
    small.segment_bytes = (uint64_t)SMALL_SEGMENT_KIB << 10;
    return __real_memdb__wal_log_init(log, directory, &small, error);
}
