// Test helper: segments of the log are small, so that a short life leaves and recycles several. The
// linker puts this in the place of memdb__wal_log_init (--wrap), which all users of a log call.
#include "wal/wal_segment.h"

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
    small.segment_bytes = 64 << 10;
    return __real_memdb__wal_log_init(log, directory, &small, error);
}
