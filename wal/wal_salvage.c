// Reading a damaged log: every frame that is whole, whatever lies between.
//
// A frame's checksum covers database, epoch, LSN, size and payload, so a frame is known by itself:
// each file is searched at every multiple of 8, and nothing else in it is needed but where its log
// begins, which its header says, or any batch header in it. Batch headers tell what is missing:
// each promises its own frames, and names the end of the frame before it.
//
// Frames that are dead by rule 1 (of an older segment, from where a newer one begins on) are not
// taken: nobody was ever told that they are there.
#include "base/bytes.h"
#include "base/memory.h"
#include "wal/wal_segment.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#define MAX_LSN (UINT64_C(1) << 62)

typedef struct file {
    char name[40]; // relative to the database
    uint64_t epoch, start, limit;
    uint64_t previous_end; // 0 where the header is damaged
    bool readable;         // `start` is known
    const uint8_t *bytes;
    size_t size;
} file_t;

typedef struct salvage {
    int directory;
    uint64_t salt, from;
    memdb__frame_fn visit;
    memdb_verify_fn lost;
    void *context;
    memdb__buffer_t files;
    uint64_t end;      // of the last whole frame, or `from`
    uint64_t promised; // the end of the last batch whose header was met
    uint64_t reached;  // the farthest end that anything in the log knows of
} salvage_t;

static file_t *file_at(const salvage_t *salvage, size_t number) {
    return (file_t *)salvage->files.data + number;
}

static size_t file_count(const salvage_t *salvage) {
    return salvage->files.size / sizeof(file_t);
}

/// Where a file's log begins, by the first batch header in it that is whole.
static bool find_start(const salvage_t *salvage, file_t *file) {
    memdb__wal_batch_t batch;
    for (size_t at = MEMDB__WAL_BLOCK_BYTES; at + MEMDB__WAL_BATCH_HEADER_BYTES <= file->size;
         at += MEMDB__WAL_BLOCK_BYTES) {
        uint64_t lsn = memdb__get_u64(file->bytes + at + 16);
        if (lsn < MAX_LSN && lsn + MEMDB__WAL_BLOCK_BYTES >= at &&
            memdb__wal_batch_decode(file->bytes + at, salvage->salt, file->epoch, lsn, &batch)) {
            file->start = lsn - (at - MEMDB__WAL_BLOCK_BYTES);
            return true;
        }
    }
    return false;
}

static bool is_used(const file_t *file) {
    for (size_t i = 0; i < file->size; i++) {
        if (file->bytes[i]) {
            return true;
        }
    }
    return false;
}

static memdb_status_t add_file(void *context, const char *name, memdb_error_t *error) {
    salvage_t *salvage = context;
    file_t file = {.limit = UINT64_MAX};
    uint64_t size = 0;
    int fd = -1;
    if (sscanf(name, "%16" SCNx64 ".log", &file.epoch) != 1 || strlen(name) != 20) {
        return MEMDB_OK; // `new`, and what is kept for reuse
    }
    snprintf(file.name, sizeof file.name, "log/%.20s", name);
    memdb_status_t status = memdb__io_open(salvage->directory, name, O_RDONLY, &fd, error);
    status = status ? status : memdb__io_size(fd, &size, name, error);
    if (!status && size) {
        void *bytes;
        status = memdb__io_map(fd, (size_t)size, false, &bytes, name, error);
        file.bytes = status ? NULL : bytes;
        file.size = status ? 0 : (size_t)size;
    }
    memdb__io_close(fd);
    if (status) {
        salvage->lost(salvage->context, file.name, 0, error->message);
        *error = (memdb_error_t){0};
        return MEMDB_OK;
    }
    memdb__wal_header_t header;
    memdb_error_t ignored = {0};
    file.readable = file.size >= MEMDB__WAL_BLOCK_BYTES &&
                    memdb__wal_header_decode(file.bytes, name, &header, &ignored) == MEMDB_OK &&
                    header.epoch == file.epoch;
    if (file.readable) {
        file.start = header.start;
        file.previous_end = header.previous_end;
    } else {
        file.readable = find_start(salvage, &file);
        if (!file.readable && is_used(&file)) {
            salvage->lost(salvage->context, file.name, 0,
                          "a log segment of which neither header nor any batch is whole");
        }
    }
    return memdb__buffer_append(&salvage->files, &file, sizeof file)
               ? MEMDB_OK
               : memdb__fail(error, MEMDB_NOMEM, "salvage: out of memory");
}

/// Frames end where the next segment goes on.
static void set_limits(salvage_t *salvage) {
    for (size_t i = 0; i < file_count(salvage); i++) {
        for (size_t j = i + 1; j < file_count(salvage); j++) {
            const file_t *later = file_at(salvage, j);
            uint64_t limit = later->previous_end ? later->previous_end : later->start;
            if (later->readable && limit < file_at(salvage, i)->limit) {
                file_at(salvage, i)->limit = limit;
            }
        }
    }
}

/// Tell that the log from salvage->end to `to` is missing.
static void tell_gap(salvage_t *salvage, const file_t *file, uint64_t to, const char *what) {
    char text[200];
    uint64_t offset = salvage->end > file->start
                          ? salvage->end - file->start + MEMDB__WAL_BLOCK_BYTES
                          : MEMDB__WAL_BLOCK_BYTES;
    snprintf(text, sizeof text, "%s: the log from LSN %" PRIu64 " to %" PRIu64, what, salvage->end,
             to);
    salvage->lost(salvage->context, file->name, offset, text);
    salvage->end = to;
}

/// Everything up to `to` was promised: by a batch, or by one behind it.
static void expect(salvage_t *salvage, const file_t *file, uint64_t to) {
    salvage->reached = to > salvage->reached ? to : salvage->reached;
    if (to > salvage->end) {
        tell_gap(salvage, file, to, "commits");
    }
}

static void meet_batch(salvage_t *salvage, const file_t *file, uint64_t lsn, const uint8_t *at,
                       bool last) {
    memdb__wal_batch_t batch;
    if (lsn >= MAX_LSN || !memdb__wal_batch_decode(at, salvage->salt, file->epoch, lsn, &batch)) {
        return;
    }
    if (batch.flags & MEMDB__WAL_BATCH_CLOSING) {
        if (last) {
            salvage->lost(salvage->context, file->name, lsn - file->start + MEMDB__WAL_BLOCK_BYTES,
                          "commits: the log segment that followed is missing");
        }
        return;
    }
    expect(salvage, file, salvage->promised);
    expect(salvage, file, batch.previous_end);
    salvage->promised = lsn + batch.bytes < file->limit ? lsn + batch.bytes : file->limit;
}

/// Whether a block begins a batch of an older segment, whose file this was before it was recycled.
static bool is_recycled(const salvage_t *salvage, const file_t *file, uint64_t offset) {
    memdb__wal_batch_t batch;
    const uint8_t *at = file->bytes + offset;
    if (offset + MEMDB__WAL_BATCH_HEADER_BYTES > file->size) {
        return false;
    }
    uint64_t epoch = memdb__get_u64(at + 8), lsn = memdb__get_u64(at + 16);
    return epoch < file->epoch && lsn < MAX_LSN &&
           memdb__wal_batch_decode(at, salvage->salt, epoch, lsn, &batch);
}

/// The first block behind the last frame is zero, or one of before, unless something was written
/// there; a segment is filled with zeros ahead of use in whole steps, so one that ends elsewhere
/// was cut; and whatever the base holds was in the log once.
static void look_behind_end(salvage_t *salvage, const file_t *file) {
    uint64_t at = memdb__wal_block_up(salvage->end > file->start ? salvage->end : file->start);
    uint64_t offset = at - file->start + MEMDB__WAL_BLOCK_BYTES;
    bool used = false;
    for (uint64_t i = offset; i < offset + MEMDB__WAL_BLOCK_BYTES && i < file->size; i++) {
        used |= file->bytes[i] != 0;
    }
    used = used && !is_recycled(salvage, file, offset);
    if (used || file->size % MEMDB__WAL_BLOCK_BYTES != 0 || salvage->reached < salvage->from) {
        salvage->lost(salvage->context, file->name, offset < file->size ? offset : file->size,
                      "commits at the log's end: cut off while they were written, or damaged");
    }
}

static memdb_status_t read_file(salvage_t *salvage, const file_t *file, bool last,
                                memdb_error_t *error) {
    size_t at = MEMDB__WAL_BLOCK_BYTES;
    while (at + MEMDB__WAL_FRAME_HEADER_BYTES <= file->size) {
        uint64_t lsn = file->start + (at - MEMDB__WAL_BLOCK_BYTES);
        const uint8_t *bytes = file->bytes + at;
        if (lsn >= file->limit) {
            break;
        }
        if (at % MEMDB__WAL_BLOCK_BYTES == 0 && at + MEMDB__WAL_BATCH_HEADER_BYTES <= file->size) {
            meet_batch(salvage, file, lsn, bytes, last);
        }
        uint64_t size = memdb__wal_frame_is(bytes) ? memdb__wal_frame_size(bytes) : UINT64_MAX;
        int64_t time;
        if (size > MEMDB__WAL_MAX_PAYLOAD_BYTES || memdb__wal_frame_bytes(size) > file->size - at ||
            !memdb__wal_frame_verify(bytes, salvage->salt, file->epoch, lsn, &time)) {
            at += 8;
            continue;
        }
        memdb__frame_t frame = {.lsn = lsn,
                                .end = lsn + memdb__wal_frame_bytes(size),
                                .commit_time = time,
                                .payload = bytes + MEMDB__WAL_FRAME_HEADER_BYTES,
                                .size = (size_t)size};
        salvage->reached = frame.end > salvage->reached ? frame.end : salvage->reached;
        // Frames follow each other, and a batch header at most stands between them.
        uint64_t next = memdb__wal_block_up(salvage->end) + MEMDB__WAL_BATCH_HEADER_BYTES;
        if (frame.end > salvage->end) {
            if (lsn > salvage->end && lsn != next) {
                expect(salvage, file, lsn);
            }
            salvage->end = frame.end;
        }
        memdb_status_t status =
            lsn >= salvage->from ? salvage->visit(salvage->context, &frame, error) : MEMDB_OK;
        if (status) {
            return status;
        }
        at += (size_t)memdb__wal_frame_bytes(size);
    }
    expect(salvage, file, salvage->promised);
    if (last) {
        look_behind_end(salvage, file);
    }
    return MEMDB_OK;
}

static memdb_status_t read_files(salvage_t *salvage, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    size_t last = 0;
    for (size_t i = 0; i < file_count(salvage); i++) {
        last = file_at(salvage, i)->readable ? i : last;
    }
    for (size_t i = 0; !status && i < file_count(salvage); i++) {
        const file_t *file = file_at(salvage, i);
        if (!file->readable) {
            continue;
        }
        expect(salvage, file, file->previous_end);
        status = read_file(salvage, file, i == last, error);
    }
    return status;
}

memdb_status_t memdb__wal_salvage(int directory, const uint8_t database_id[16], uint64_t from,
                                  memdb__frame_fn visit, memdb_verify_fn lost, void *context,
                                  memdb_error_t *error) {
    salvage_t salvage = {.directory = -1,
                         .salt = memdb__wal_salt(database_id),
                         .from = from,
                         .visit = visit,
                         .lost = lost,
                         .context = context,
                         .end = from};
    memdb_status_t status =
        memdb__io_open(directory, "log", O_RDONLY | O_DIRECTORY, &salvage.directory, error);
    if (status == MEMDB_NOT_FOUND) {
        lost(context, "log", 0, "commits: the log is missing");
        *error = (memdb_error_t){0};
        return MEMDB_OK;
    }
    status = status ? status : memdb__io_list(salvage.directory, add_file, &salvage, error);
    if (!status && !file_count(&salvage)) {
        lost(context, "log", 0, "commits: the log has no segment");
    }
    if (!status) {
        set_limits(&salvage);
        status = read_files(&salvage, error);
    }
    for (size_t i = 0; i < file_count(&salvage); i++) {
        memdb__io_unmap((void *)file_at(&salvage, i)->bytes, file_at(&salvage, i)->size);
    }
    memdb__buffer_deinit(&salvage.files);
    memdb__io_close(salvage.directory);
    return status;
}
