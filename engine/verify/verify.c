// Verify: read and check every byte that counts.
//
// Under the checkpoint lock, so that nothing is cut meanwhile: root, catalog, the log above the
// base. Then the lock is given back: what is left hangs on a pinned view, whose segments are
// mapped, and takes as long as it takes while others fold and merge. Threads share it:
//   1. every page of every segment, in pieces;
//   2. the structure of the segments whose pages are whole;
//   3. that the stores agree with each other, and which blobs the memories name (verify_cross.c);
//   4. every piece of those blobs, in the order of the files (verify_blobs.c).
// At the end the lock is taken once more, shortly, for the files that nothing names.
#include "engine/verify/verify.h"

#include "engine/root.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_THREADS 64
#define DEFAULT_THREADS 4
#define PIECE_PAGES 1024 // 16 MiB
#define SNAPSHOT_TRIES 64

// ------------------------------------------------------------------------------ telling

void memdb__verify_found(memdb__verify_t *verify, const char *file, uint64_t offset,
                         const char *what) {
    pthread_mutex_lock(&verify->mutex);
    verify->findings++;
    if (verify->options.found) {
        verify->options.found(verify->options.context, file, offset, what);
    }
    pthread_mutex_unlock(&verify->mutex);
}

void memdb__verify_progress(memdb__verify_t *verify, uint64_t bytes) {
    pthread_mutex_lock(&verify->mutex);
    verify->done += bytes;
    if (verify->done > verify->total) {
        verify->total = verify->done;
    }
    if (verify->options.progress) {
        verify->options.progress(verify->options.context, verify->done, verify->total);
    }
    pthread_mutex_unlock(&verify->mutex);
}

/// Findings of a store name a file in its own directory.
typedef struct place {
    memdb__verify_t *verify;
    const char *directory;
    uint64_t findings;
} place_t;

static void pass_on(void *context, const char *file, uint64_t offset, const char *what) {
    place_t *place = context;
    char name[128];
    snprintf(name, sizeof name, "%s%s%s", place->directory, *place->directory ? "/" : "", file);
    place->findings++;
    memdb__verify_found(place->verify, name, offset, what);
}

/// A check that failed: what it did not tell through `pass_on` is told here. Only damage is a
/// finding.
static memdb_status_t conclude(place_t *place, const char *file, memdb_status_t status,
                               memdb_error_t *error) {
    if (status != MEMDB_CORRUPT && status != MEMDB_NOT_FOUND) {
        return status;
    }
    if (place->findings == 0) {
        pass_on(place, file, 0, error->message);
    }
    *error = (memdb_error_t){0};
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ threads

typedef struct crew {
    memdb__verify_t *verify;
    size_t count;
    memdb_status_t (*work)(memdb__verify_t *verify, size_t number, void *context,
                           memdb_error_t *error);
    void *context;
    _Atomic size_t next;
    pthread_mutex_t mutex;
    memdb_status_t status; // the first failure
    memdb_error_t error;
} crew_t;

static void *work_on(void *object) {
    crew_t *crew = object;
    for (;;) {
        // Relaxed: a number is taken once, and what it stands for was made before the threads were.
        size_t number = atomic_fetch_add_explicit(&crew->next, 1, memory_order_relaxed);
        if (number >= crew->count) {
            return NULL;
        }
        memdb_error_t error = {0};
        memdb_status_t status = memdb__stop_check(&crew->verify->stop, &error);
        status = status ? status : crew->work(crew->verify, number, crew->context, &error);
        if (status) {
            pthread_mutex_lock(&crew->mutex);
            if (!crew->status) {
                crew->status = status;
                crew->error = error;
            }
            pthread_mutex_unlock(&crew->mutex);
            // Relaxed: as above; the others take no further number.
            atomic_store_explicit(&crew->next, crew->count, memory_order_relaxed);
        }
    }
}

memdb_status_t memdb__verify_parallel(memdb__verify_t *verify, size_t count,
                                      memdb_status_t (*work)(memdb__verify_t *verify, size_t number,
                                                             void *context, memdb_error_t *error),
                                      void *context, memdb_error_t *error) {
    crew_t crew = {.verify = verify, .count = count, .work = work, .context = context};
    pthread_t threads[MAX_THREADS];
    size_t started = 0;
    atomic_init(&crew.next, 0);
    pthread_mutex_init(&crew.mutex, NULL);
    while (started + 1 < verify->threads && started + 1 < count &&
           pthread_create(&threads[started], NULL, work_on, &crew) == 0) {
        started++;
    }
    work_on(&crew); // with as many others as could be started
    while (started > 0) {
        pthread_join(threads[--started], NULL);
    }
    pthread_mutex_destroy(&crew.mutex);
    if (crew.status) {
        *error = crew.error;
    }
    return crew.status;
}

// ------------------------------------------------------------------------------ segments

typedef struct segment {
    memdb__container_t *container;
    memdb__sorted_t *sorted; // one of the three
    memdb__words_segment_t *words;
    memdb__vector_segment_t *vectors;
    uint64_t first_piece; // of all segments' pieces
    place_t place;
} segment_t;

typedef struct segments {
    segment_t *list;
    size_t count;
    uint64_t pieces;
} segments_t;

static void add_segment(segments_t *segments, segment_t segment, memdb__verify_t *verify) {
    uint64_t pages = memdb__container_pages(segment.container);
    segment.first_piece = segments->pieces;
    segment.place = (place_t){.verify = verify, .directory = "segments"};
    segments->pieces += (pages + PIECE_PAGES - 1) / PIECE_PAGES;
    verify->total += 2 * memdb__container_file_size(segment.container);
    segments->list[segments->count++] = segment;
}

static memdb_status_t list_segments(memdb__verify_t *verify, segments_t *segments,
                                    memdb_error_t *error) {
    const memdb__view_t *view = verify->snapshot.sight.view;
    segments->list = memdb__allocate_zeroed(3 * view->tier_count + 1, sizeof *segments->list);
    if (!segments->list) {
        return memdb__fail(error, MEMDB_NOMEM, "verify: out of memory");
    }
    for (size_t i = 0; i < view->tier_count; i++) {
        memdb__tier_t *tier = view->tiers[i];
        segment_t segment = {.container = memdb__sorted_container(tier->sorted),
                             .sorted = tier->sorted};
        add_segment(segments, segment, verify);
        if (tier->words) {
            segment = (segment_t){.container = memdb__words_segment_container(tier->words),
                                  .words = tier->words};
            add_segment(segments, segment, verify);
        }
        if (tier->vectors) {
            segment = (segment_t){.container = memdb__vector_segment_container(tier->vectors),
                                  .vectors = tier->vectors};
            add_segment(segments, segment, verify);
        }
    }
    return MEMDB_OK;
}

static memdb_status_t check_piece(memdb__verify_t *verify, size_t number, void *context,
                                  memdb_error_t *error) {
    const segments_t *segments = context;
    size_t i = segments->count;
    while (segments->list[--i].first_piece > number) {
    }
    segment_t *segment = &segments->list[i];
    uint64_t first = (number - segment->first_piece) * PIECE_PAGES;
    uint64_t pages = memdb__container_pages(segment->container) - first;
    pages = pages < PIECE_PAGES ? pages : PIECE_PAGES;
    place_t place = {.verify = verify, .directory = segment->place.directory};
    memdb__container_verify_pages(segment->container, first, pages, pass_on, &place, error);
    if (place.findings) {
        pthread_mutex_lock(&verify->mutex);
        segment->place.findings += place.findings;
        pthread_mutex_unlock(&verify->mutex);
    }
    memdb__verify_progress(verify, pages * MEMDB__CONTAINER_PAGE_BYTES);
    return MEMDB_OK;
}

/// The order in it, and that its parts say the same.
static memdb_status_t check_structure(memdb__verify_t *verify, size_t number, void *context,
                                      memdb_error_t *error) {
    segment_t *segment = &((segments_t *)context)->list[number];
    memdb_status_t status = MEMDB_OK;
    if (segment->place.findings == 0) { // damaged pages would only be found once more
        status =
            segment->sorted ? memdb__sorted_verify(segment->sorted, pass_on, &segment->place, error)
            : segment->words
                ? memdb__words_segment_verify(segment->words, pass_on, &segment->place, error)
                : memdb__vector_segment_verify(segment->vectors, pass_on, &segment->place, error);
        status =
            conclude(&segment->place, memdb__container_name(segment->container), status, error);
    }
    memdb__verify_progress(verify, memdb__container_file_size(segment->container));
    return status;
}

/// sorted_whole_out: the map can be walked.
static memdb_status_t verify_segments(memdb__verify_t *verify, bool *sorted_whole_out,
                                      memdb_error_t *error) {
    segments_t segments = {0};
    memdb_status_t status = list_segments(verify, &segments, error);
    if (!status) {
        status = memdb__verify_parallel(verify, segments.pieces, check_piece, &segments, error);
    }
    if (!status) {
        status = memdb__verify_parallel(verify, segments.count, check_structure, &segments, error);
    }
    *sorted_whole_out = verify->words_whole = verify->vectors_whole = true;
    for (size_t i = 0; i < segments.count; i++) {
        const segment_t *segment = &segments.list[i];
        bool *whole = segment->sorted  ? sorted_whole_out
                      : segment->words ? &verify->words_whole
                                       : &verify->vectors_whole;
        *whole &= segment->place.findings == 0;
    }
    memdb__free(segments.list);
    return status;
}

// ------------------------------------------------------------------------------ under the lock

static memdb_status_t verify_frame(void *context, const memdb__frame_t *frame,
                                   memdb_error_t *error) {
    memdb__reader_t reader = memdb__reader(frame->payload, frame->size);
    memdb__operation_t operation;
    while (memdb__operation_decode(&reader, &operation)) {
    }
    memdb__verify_progress(context, frame->end - frame->lsn);
    return reader.bad ? memdb__fail(error, MEMDB_CORRUPT,
                                    "log at %llu: a frame's payload is not well formed",
                                    (unsigned long long)frame->lsn)
                      : MEMDB_OK;
}

static memdb_status_t verify_log(memdb__verify_t *verify, memdb_error_t *error) {
    memdb__wal_options_t options = {0};
    place_t place = {.verify = verify, .directory = ""};
    uint64_t end;
    memcpy(options.database_id, verify->db->database_id, 16);
    memdb_status_t status =
        memdb__wal_scan(verify->db->directory, &options, verify->snapshot.sight.view->applied_lsn,
                        verify_frame, verify, &end, error);
    return conclude(&place, "log", status, error);
}

static memdb_status_t verify_head(memdb__verify_t *verify, memdb_error_t *error) {
    memdb_t *db = verify->db;
    memdb__root_t root;
    place_t place = {.verify = verify, .directory = ""};
    memdb_status_t status =
        conclude(&place, "root", memdb__root_read(db->directory, &root, error), error);
    if (!status && db->catalog) {
        place = (place_t){.verify = verify, .directory = "catalog"};
        status = conclude(&place, "data.mdb",
                          memdb__catalog_verify(db->catalog, pass_on, &place, error), error);
    }
    return status;
}

/// Take the snapshot and the spaces' counters. Counters have no versions: they are those of the
/// snapshot only where nothing was applied behind it, which is tried for beside busy writers.
static memdb_status_t take_snapshot(memdb__verify_t *verify, memdb_error_t *error) {
    memdb_t *db = verify->db;
    for (int tries = 1;; tries++) {
        memdb_status_t status = memdb__snapshot_init(db, &verify->snapshot, error);
        if (status) {
            return status;
        }
        status = memdb__verify_spaces(verify, error);
        // Acquire: as in memdb__snapshot_init.
        verify->counters_exact = atomic_load_explicit(&db->position, memory_order_acquire) ==
                                 verify->snapshot.sight.visible;
        if (!status && (verify->counters_exact || tries == SNAPSHOT_TRIES)) {
            return MEMDB_OK;
        }
        memdb__free(verify->spaces);
        verify->spaces = NULL;
        verify->space_count = 0;
        memdb__snapshot_deinit(&verify->snapshot);
        if (status) {
            return status;
        }
    }
}

/// Take the snapshot, and check what a checkpoint changes in place.
static memdb_status_t begin(memdb__verify_t *verify, memdb_error_t *error) {
    memdb_t *db = verify->db;
    memdb_status_t status = memdb__checkpoint_lock(db, error);
    if (status) {
        return status;
    }
    status = db->control ? memdb__adopt(db, error) : MEMDB_OK;
    status = status ? status : take_snapshot(verify, error);
    if (!status) {
        verify->newest_file =
            db->control ? atomic_load_explicit(&db->control->next_segment_id, memory_order_relaxed)
                        : 0; // names only: no more than a bound
        verify->total =
            db->control ? verify->snapshot.sight.visible - verify->snapshot.sight.view->applied_lsn
                        : 0;
        status = verify_head(verify, error);
        // The log of a read-only handle's moment may be cut by now.
        status = status || !db->control ? status : verify_log(verify, error);
        if (status) {
            memdb__snapshot_deinit(&verify->snapshot);
        }
    }
    memdb__checkpoint_unlock(db);
    return status;
}

static memdb_status_t verify_all(memdb__verify_t *verify, memdb_error_t *error) {
    bool sorted_whole = false;
    memdb_status_t status = begin(verify, error);
    if (status) {
        return status;
    }
    status = memdb__snapshot_words(&verify->snapshot, &verify->words, &verify->word_count, error);
    status = status ? status
                    : memdb__snapshot_vectors(&verify->snapshot, &verify->vectors,
                                              &verify->vector_count, error);
    status = status ? status : verify_segments(verify, &sorted_whole, error);
    if (!status && sorted_whole) {
        status = memdb__verify_cross(verify, error);
        status = status ? status : memdb__verify_blobs(verify, error);
        if (!status && verify->options.garbage && verify->db->control) {
            status = memdb__checkpoint_lock(verify->db, error);
            if (!status) {
                status = memdb__verify_garbage(verify, error);
                memdb__checkpoint_unlock(verify->db);
            }
        }
    }
    memdb__snapshot_deinit(&verify->snapshot);
    return status;
}

static uint32_t default_threads(void) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1                 ? 1
           : processors > DEFAULT_THREADS ? DEFAULT_THREADS
                                          : (uint32_t)processors;
}

memdb_status_t memdb_verify_with(memdb_t *db, const memdb_verify_options_t *options) {
    memdb_error_t error = {0};
    if (!db) {
        return MEMDB_INVALID;
    }
    if (!options || options->size < sizeof *options || options->threads > MAX_THREADS) {
        memdb_status_t status = memdb__fail(&error, MEMDB_INVALID,
                                            "verify: options with their size, and at most %d "
                                            "threads, are needed",
                                            MAX_THREADS);
        return memdb__report(db, status, &error);
    }
    memdb__verify_t verify = {
        .db = db, .options = *options, .stop = memdb__stop_from(&db->interrupts)};
    verify.threads = options->threads ? options->threads : default_threads();
    pthread_mutex_init(&verify.mutex, NULL);
    memdb_status_t status = memdb__usable(db, &error);
    status = status ? status : verify_all(&verify, &error);
    if (!status && verify.findings) {
        status = memdb__fail(&error, MEMDB_CORRUPT, "verify: %llu findings",
                             (unsigned long long)verify.findings);
    }
    memdb__free(verify.spaces);
    memdb__buffer_deinit(&verify.blobs);
    pthread_mutex_destroy(&verify.mutex);
    return memdb__report(db, status, &error);
}

memdb_status_t memdb_verify(memdb_t *db, memdb_verify_fn found, void *context) {
    memdb_verify_options_t options = {.size = sizeof options, .found = found, .context = context};
    return memdb_verify_with(db, &options);
}
