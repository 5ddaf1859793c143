// Fuzz target: scanning and recovering a log of one or two hostile segments.
//
// The input is a list of edits: what it builds is mostly valid, with checksums made to fit, so that
// the checks behind them are reached; the rest is raw bytes. The scan must end with a status; what
// it visits must lie in the file, in order.
#include "base/bytes.h"
#include "wal/wal.h"
#include "wal/wal_format.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_BYTES (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t id[16] = "sixteen bytes id";

typedef struct order {
    uint64_t end;
    uint64_t sum;
} order_t;

static memdb_status_t visit(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    order_t *order = context;
    (void)error;
    if (frame->lsn < order->end || frame->end != frame->lsn + memdb__wal_frame_bytes(frame->size) ||
        frame->size > LOG_BYTES) {
        abort();
    }
    for (size_t i = 0; i < frame->size; i++) {
        order->sum += frame->payload[i]; // every byte that is lent can be read
    }
    order->end = frame->end;
    return MEMDB_OK;
}

/// Place what the next bytes of the input ask for.
static void edit(memdb__reader_t *in, uint8_t *file, uint64_t epoch, uint64_t start, uint64_t *lsn,
                 uint64_t *end) {
    uint64_t salt = memdb__wal_salt(id);
    uint8_t kind = memdb__read_u8(in);
    uint64_t at = *lsn - start;
    if (kind % 4 == 0 && at % MEMDB__WAL_BLOCK_BYTES == 0 &&
        at + MEMDB__WAL_BATCH_HEADER_BYTES <= LOG_BYTES) {
        memdb__wal_batch_t batch = {.frames = memdb__read_u8(in),
                                    .epoch = epoch,
                                    .lsn = *lsn,
                                    .bytes = memdb__read_varint(in),
                                    .previous_end = *end};
        batch.flags = kind >> 7;
        batch.durable = memdb__read_varint(in);
        memdb__wal_batch_encode(&batch, salt, file + MEMDB__WAL_BLOCK_BYTES + at);
        *lsn += MEMDB__WAL_BATCH_HEADER_BYTES;
    } else if (kind % 4 == 1) {
        size_t bytes = memdb__read_varint(in) % 5000;
        if (at + memdb__wal_frame_bytes(bytes) <= LOG_BYTES) {
            uint8_t payload[5000];
            memset(payload, kind, bytes);
            memdb__wal_frame_encode(file + MEMDB__WAL_BLOCK_BYTES + at, salt, epoch, *lsn, kind,
                                    payload, bytes);
            *lsn += memdb__wal_frame_bytes(bytes);
            *end = *lsn;
        }
    } else if (kind % 4 == 2) {
        *lsn = memdb__wal_block_up(*lsn + (kind >> 2) % 2);
        *lsn = *lsn - start < LOG_BYTES ? *lsn : start;
    } else {
        size_t offset = memdb__read_varint(in) % (MEMDB__WAL_BLOCK_BYTES + LOG_BYTES);
        file[offset] = memdb__read_u8(in);
    }
}

static void write_segment(int log, memdb__reader_t *in, uint64_t epoch, uint64_t start,
                          uint64_t *end) {
    static uint8_t file[MEMDB__WAL_BLOCK_BYTES + LOG_BYTES];
    char name[32];
    memset(file, 0, sizeof file);
    memdb__wal_header_t header = {.epoch = epoch,
                                  .start = start,
                                  .capacity = LOG_BYTES,
                                  .previous_epoch = epoch - 1,
                                  .previous_end = *end};
    memcpy(header.database_id, id, 16);
    uint8_t tweak = memdb__read_u8(in);
    header.capacity += tweak % 8 == 1 ? memdb__read_varint(in) << 12 : 0;
    header.previous_epoch += tweak % 8 == 2 ? 1 : 0;
    memdb__wal_header_encode(&header, file);
    uint64_t lsn = start;
    for (uint8_t edits = memdb__read_u8(in); edits != 0 && !in->bad; edits--) {
        edit(in, file, epoch, start, &lsn, end);
    }
    snprintf(name, sizeof name, "%016x.log", (unsigned)epoch);
    int fd = openat(log, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    size_t bytes = tweak & 8 ? memdb__read_varint(in) % sizeof file : sizeof file;
    if (fd < 0 || write(fd, file, bytes) != (ssize_t)bytes) {
        abort();
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[] = "/tmp/memdb-fuzz-frame-XXXXXX";
    static int directory = -1, log = -1;
    if (directory < 0) {
        if (mkdtemp(path) == NULL || (directory = open(path, O_RDONLY | O_DIRECTORY)) < 0 ||
            mkdirat(directory, "log", 0700) != 0 ||
            (log = openat(directory, "log", O_RDONLY | O_DIRECTORY)) < 0) {
            abort();
        }
    }
    memdb__reader_t in = memdb__reader(data, size);
    uint64_t end = 0, reached = 0;
    uint8_t shape = memdb__read_u8(&in);
    write_segment(log, &in, 1, 0, &end);
    unlinkat(log, "0000000000000002.log", 0);
    if (shape & 1) {
        write_segment(log, &in, 2, memdb__wal_block_up(end), &end);
    }
    memdb__wal_options_t options = {.segment_bytes = LOG_BYTES};
    memcpy(options.database_id, id, 16);
    order_t order = {0};
    uint64_t from = shape & 2 ? memdb__read_varint(&in) % LOG_BYTES : 0;
    if (memdb__wal_scan(directory, &options, from, visit, &order, &reached, NULL) == MEMDB_OK &&
        reached < order.end) {
        abort();
    }
    if (shape & 4) { // and what recovery makes of it is a whole log with the same end
        memdb__wal_recovery_t recovery;
        order = (order_t){0};
        if (memdb__wal_recover(directory, &options, from, 0,
                               (memdb__control_past_t){shape & 8, shape & 16 ? from : UINT64_MAX},
                               visit, &order, &recovery, NULL) == MEMDB_OK) {
            order = (order_t){0};
            if (recovery.end != reached ||
                memdb__wal_scan(directory, &options, from, visit, &order, &reached, NULL) !=
                    MEMDB_OK ||
                reached != recovery.end) {
                abort();
            }
        }
        for (uint64_t epoch = 1; epoch < 6; epoch++) {
            char name[32];
            snprintf(name, sizeof name, "%016x.log", (unsigned)epoch);
            unlinkat(log, name, 0);
        }
    }
    return 0;
}
