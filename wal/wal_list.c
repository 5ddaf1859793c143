// The segment files of a log as a chain.
//
// By rising epoch, a segment owns the LSNs from its start up to the start of a later one. A segment
// whose start is not below a later one's owns nothing: it is dead, and may be unlinked. Each live
// segment names its predecessor and that one's end, so that a missing file is noticed on either
// side.
#include "base/memory.h"
#include "wal/wal_segment.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct collect {
    const memdb__wal_log_t *log;
    memdb__wal_list_t *list;
    size_t capacity;
} collect_t;

/// The epoch that a file name stands for: 16 lower-case hex digits and ".log"; 0: not a segment's
/// name.
static uint64_t epoch_of(const char *name) {
    if (strlen(name) != 20 || strcmp(name + 16, ".log") != 0 ||
        strspn(name, "0123456789abcdef") != 16) {
        return 0;
    }
    return strtoull(name, NULL, 16);
}

static memdb_status_t collect_one(void *context, const char *name, memdb_error_t *error) {
    collect_t *c = context;
    uint64_t epoch = epoch_of(name);
    if (epoch == 0) {
        return MEMDB_OK;
    }
    memdb__wal_segment_t segment;
    memdb_status_t status = memdb__wal_segment_open(c->log, epoch, false, &segment, error);
    if (status == MEMDB_CORRUPT) {
        // Recycled between open and read by another process: then the name is gone now.
        status = memdb__wal_segment_open(c->log, epoch, false, &segment, error);
    }
    if (status == MEMDB_NOT_FOUND) {
        return MEMDB_OK; // cut since the directory was read; the chain tells whether that matters
    }
    if (status != MEMDB_OK) {
        return status;
    }
    memdb__wal_segment_close(&segment);
    if (c->list->count == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 16;
        void *grown = memdb__reallocate(c->list->segments, capacity * sizeof *c->list->segments);
        if (grown == NULL) {
            return memdb__fail(error, MEMDB_NOMEM, "no memory to list the log");
        }
        c->list->segments = grown;
        c->capacity = capacity;
    }
    c->list->segments[c->list->count++] = (memdb__wal_listed_t){.header = segment.header};
    return MEMDB_OK;
}

/// Rising epochs, each once: a file that moved to the archive while both were listed is seen twice.
static void order(memdb__wal_list_t *list) {
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        memdb__wal_listed_t segment = list->segments[i];
        size_t at = count;
        while (at > 0 && list->segments[at - 1].header.epoch > segment.header.epoch) {
            at--;
        }
        if (at > 0 && list->segments[at - 1].header.epoch == segment.header.epoch) {
            list->segments[at - 1].archived |= segment.archived;
            continue;
        }
        memmove(list->segments + at + 1, list->segments + at,
                (count - at) * sizeof *list->segments);
        list->segments[at] = segment;
        count++;
    }
    list->count = count;
    uint64_t start = UINT64_MAX;
    for (size_t i = count; i-- > 0;) {
        list->segments[i].live = list->segments[i].header.start < start;
        start = list->segments[i].live ? list->segments[i].header.start : start;
    }
}

memdb_status_t memdb__wal_list_read_both(const memdb__wal_log_t *log,
                                         const memdb__wal_log_t *archive,
                                         memdb__wal_list_t *list_out, memdb_error_t *error) {
    memdb__wal_list_t list = {0};
    collect_t c = {.log = log, .list = &list};
    memdb_status_t status = memdb__io_list(log->directory, collect_one, &c, error);
    if (status == MEMDB_OK && archive != NULL) {
        // After the log: what is moved there meanwhile is found in one of them at least.
        size_t before = list.count;
        c.log = archive;
        status = memdb__io_list(archive->directory, collect_one, &c, error);
        for (size_t i = before; i < list.count; i++) {
            list.segments[i].archived = true;
        }
    }
    if (status != MEMDB_OK) {
        memdb__wal_list_free(&list);
        return status;
    }
    order(&list);
    *list_out = list;
    return MEMDB_OK;
}

memdb_status_t memdb__wal_list_read(const memdb__wal_log_t *log, memdb__wal_list_t *list_out,
                                    memdb_error_t *error) {
    return memdb__wal_list_read_both(log, NULL, list_out, error);
}

void memdb__wal_list_free(memdb__wal_list_t *list) {
    memdb__free(list->segments);
    *list = (memdb__wal_list_t){0};
}

size_t memdb__wal_list_next(const memdb__wal_list_t *list, size_t index) {
    do {
        index++;
    } while (index < list->count && !list->segments[index].live);
    return index;
}

memdb_status_t memdb__wal_list_find(const memdb__wal_list_t *list, uint64_t lsn, size_t *index_out,
                                    memdb_error_t *error) {
    const memdb__wal_header_t *successor = NULL;
    for (size_t i = list->count; i-- > 0;) {
        const memdb__wal_header_t *header = &list->segments[i].header;
        if (!list->segments[i].live) {
            continue;
        }
        if (successor != NULL && successor->previous_epoch != header->epoch) {
            break;
        }
        if (header->previous_end <= lsn) {
            *index_out = i;
            return MEMDB_OK;
        }
        successor = header;
    }
    if (successor == NULL) {
        return memdb__fail(error, MEMDB_CORRUPT, "log: there is no segment");
    }
    char name[MEMDB__WAL_NAME_BYTES], missing[MEMDB__WAL_NAME_BYTES];
    memdb__wal_segment_name(successor->epoch, name);
    memdb__wal_segment_name(successor->previous_epoch, missing);
    return memdb__fail(
        error, MEMDB_CORRUPT,
        "%s is missing: %s follows it from LSN %" PRIu64 ", the log is needed from %" PRIu64,
        successor->previous_epoch ? missing : "a log segment", name, successor->start, lsn);
}

void memdb__wal_list_successor(const memdb__wal_list_t *list, const memdb__wal_log_t *log,
                               uint64_t end, bool down, uint64_t epoch,
                               memdb__wal_header_t *header_out) {
    memdb__wal_header_t header = {
        .epoch = epoch, .capacity = log->segment_bytes, .previous_end = end};
    memcpy(header.database_id, log->database_id, 16);
    header.start = down ? memdb__wal_block_down(end) : memdb__wal_block_up(end);
    for (size_t i = 0; i < list->count; i++) {
        const memdb__wal_listed_t *segment = &list->segments[i];
        if (segment->live && segment->header.start < header.start) {
            header.previous_epoch = segment->header.epoch;
        } else if (segment->live) {
            // The first whose place is taken hands its own predecessor on, which may be in the
            // archive by now.
            header.previous_epoch =
                header.previous_epoch != 0 ? header.previous_epoch : segment->header.previous_epoch;
            break;
        }
    }
    *header_out = header;
}

typedef struct removal {
    const memdb__wal_log_t *log;
    bool all;
} removal_t;

static memdb_status_t remove_one(void *context, const char *name, memdb_error_t *error) {
    const removal_t *removal = context;
    bool unused = strcmp(name, memdb__wal_recycle_name(0)) == 0 ||
                  strcmp(name, memdb__wal_recycle_name(1)) == 0;
    if (strcmp(name, "new") == 0 || (removal->all && (unused || epoch_of(name) != 0))) {
        return memdb__io_unlink(removal->log->directory, name, error);
    }
    return MEMDB_OK;
}

memdb_status_t memdb__wal_remove_leftovers(const memdb__wal_log_t *log, bool all,
                                           memdb_error_t *error) {
    removal_t removal = {log, all};
    return memdb__io_list(log->directory, remove_one, &removal, error);
}
