// Planted faults: what a recording would be had the engine left out a sync, or made two steps in
// the wrong order. The test of power cuts must find each: it is the test of that test.
#ifndef MEMDB_TESTS_MUTANTS_H
#define MEMDB_TESTS_MUTANTS_H

#include "tests/crash/recorder.h"

typedef enum mutant {
    // Syncs left out.
    MUTANT_LOG_BATCH,          // of the log's batches, fdatasync or O_DSYNC
    MUTANT_LEFT_SEGMENT,       // of a log segment before its successor gets its name
    MUTANT_RECOVERED_LOG,      // of the log that an opening found
    MUTANT_LOG_SEGMENT,        // of a new log segment before it gets its name
    MUTANT_LOG_DIRECTORY,      // of log/
    MUTANT_RECYCLED_NAME,      // of log/ between the cut and a recycled file's new header
    MUTANT_SEGMENT_FILE,       // of segments/*.seg
    MUTANT_SEGMENTS_DIRECTORY, // of segments/
    MUTANT_COMPANION,          // of catalog/companion
    MUTANT_LMDB_DATA,          // LMDB's fdatasync of catalog/data.mdb
    MUTANT_LMDB_META,          // LMDB's O_DSYNC write of a meta page
    MUTANT_CATALOG_DIRECTORY,  // of catalog/
    MUTANT_BLOB_EXTENT,        // of blob/*.ext
    MUTANT_BLOB_DIRECTORY,     // of blob/
    MUTANT_ROOT_FILE,          // of the root file before it gets its name
    MUTANT_ROOT_NAME,          // of the database's directory
    MUTANT_DIRECTORY_ABOVE,    // of the directory that holds the database
    // Orders switched.
    MUTANT_CUT_BEFORE_SWITCH,     // the log is cut before the catalog names the new base
    MUTANT_UNLINK_BEFORE_SWITCH,  // merged segments are unlinked before that
    MUTANT_SWITCH_BEFORE_SEGMENT, // the catalog names segments that are not synced yet
    MUTANT_FRAME_BEFORE_BLOB,     // the frame that names a blob is written before its sync
    MUTANT_MARK_BEFORE_SUCCESSOR, // a log segment is marked closed before its successor is there
    MUTANTS
} mutant_t;

const char *mutant_name(mutant_t mutant);
/// Whether a run must leave lesser commits unsynced for the fault to show: one of level os.
bool mutant_needs_os(mutant_t mutant);

/// Change a recording of one thread. The events are shared with `trace`; free with mutant_free. Its
/// base is where the fault begins.
///
/// changed_out  events that were left out, weakened or moved. 0: the recording has no such step.
void mutant_make(mutant_t mutant, const trace_t *trace, trace_t *mutant_out, size_t *changed_out);
void mutant_free(trace_t *trace);

#endif
