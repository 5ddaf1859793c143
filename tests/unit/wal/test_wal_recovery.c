// Goal: recovery keeps every acknowledged frame, cuts a torn tail and nothing else, and tells
// damage from a torn tail. Method: real files, damaged byte by byte and block by block, then read
// by scan (which changes nothing) or by recovery.
#include "base/memory.h"
#include "base/uring.h"
#include "tests/unit/wal/wal_fixture.h"
#include "wal/wal_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_SEGMENT (256u << 10)

static ino_t file_inode(const fixture_t *f, const char *name) {
    char path[64];
    struct stat info;
    snprintf(path, sizeof path, "log/%s", name);
    assert_int_equal(fstatat(f->directory, path, &info, 0), 0);
    return info.st_ino;
}

static size_t offset_in(const fixture_t *f, uint64_t lsn) {
    return 4096 + (size_t)(lsn - f->recovery.start);
}

static void test_wal_reopened_log_has_every_frame(void **state) {
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        fixture_t f;
        bool rewrite = variant == 1;
        fixture_create(&f, SMALL_SEGMENT);
        if (variant == 2) {
            f.options.backend = MEMDB_IO_URING;
            memdb__uring_t *ring;
            if (memdb__uring_create(&ring, &f.error) == MEMDB_UNSUPPORTED) {
                print_message("io_uring: %s\n", f.error.message);
                fixture_destroy(&f);
                continue;
            }
            memdb__uring_destroy(ring);
        }
        uint64_t n = 0, end = 0;
        for (int life = 0; life < 6; life++) {
            fixture_open(&f, 0, rewrite);
            assert_int_equal(f.recovery.frames, n);
            assert_int_equal(f.recovery.end, end);
            for (int i = 0; i < 30 * life;
                 i++) { // the first life writes nothing; some cross segments
                end = append(&f, n++, i % 5 == 0).end;
            }
            fixture_close(&f);
            seen_t seen;
            uint64_t scanned;
            EXPECT_OK(&f, scan(&f, 0, &seen, &scanned));
            assert_int_equal(seen.count, n);
            assert_int_equal(scanned, end);
        }
        fixture_destroy(&f);
    }
}

/// What of the last batch must survive when bytes [from, to) of it are not what was written.
static uint64_t survivors(const memdb__frame_t *frames, uint64_t count, uint64_t batch,
                          uint64_t from, uint64_t to) {
    if (from < batch + MEMDB__WAL_BATCH_HEADER_BYTES) {
        return 0;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (from < frames[i].lsn + MEMDB__WAL_FRAME_HEADER_BYTES + frames[i].size &&
            to > frames[i].lsn) {
            return i;
        }
    }
    return count;
}

static void test_wal_torn_tail_is_truncated(void **state) {
    (void)state;
    fixture_t f;
    memdb__frame_t frames[3];
    char name[32];
    size_t size;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    uint64_t before = 5;
    for (uint64_t n = 0; n < before; n++) {
        append(&f, n, true);
    }
    append_batch(&f, before, 3, frames);
    fixture_close(&f);
    newest_name(&f, name);
    uint8_t *whole = file_read(&f, name, &size);
    uint8_t *torn = malloc(size);
    uint64_t batch = frames[0].lsn - MEMDB__WAL_BATCH_HEADER_BYTES;
    uint64_t batch_end = memdb__wal_block_up(frames[2].end);
    for (uint64_t lsn = batch; lsn < batch_end; lsn++) {
        size_t at = offset_in(&f, lsn), end = offset_in(&f, batch_end);
        for (int mode = 0; mode < 3; mode++) {
            uint64_t to = mode == 2 ? lsn + 1 : batch_end;
            memcpy(torn, whole, size);
            if (mode == 1) {
                memset(torn + at, 0, end - at);
            } else if (mode == 2) {
                torn[at] ^= 0x10;
            }
            file_write(&f, name, torn, mode == 0 ? at : size);
            uint64_t keep = survivors(frames, 3, batch, lsn, to), scanned;
            if (mode == 0 && keep > 0 && lsn < frames[keep - 1].end) {
                keep--; // the file ends inside that frame's own rounding
            }
            seen_t seen;
            EXPECT_OK(&f, scan(&f, 0, &seen, &scanned));
            assert_int_equal(seen.count, before + keep);
        }
    }
    // And recovery itself, then appends, on one of them.
    memcpy(torn, whole, size);
    torn[offset_in(&f, frames[1].lsn) + 30] ^= 1;
    file_write(&f, name, torn, size);
    fixture_open(&f, 0, false);
    assert_int_equal(f.recovery.frames, before + 1);
    assert_int_equal(f.recovery.end, frames[0].end);
    assert_int_equal(f.recovery.cut_bytes, frames[2].end - frames[0].end);
    append(&f, before + 1, true);
    seen_t seen;
    uint64_t scanned;
    EXPECT_OK(&f, scan(&f, 0, &seen, &scanned));
    assert_int_equal(seen.count, before + 2);
    memdb__free(whole);
    free(torn);
    fixture_destroy(&f);
}

static void test_wal_damage_before_acknowledged_blocks_is_corrupt(void **state) {
    (void)state;
    fixture_t f;
    char name[32];
    size_t size;
    memdb__frame_t frames[24];
    fixture_create(&f, SMALL_SEGMENT);
    fixture_open(&f, 0, false);
    for (uint64_t n = 0; n < 24; n++) {
        frames[n] = append(&f, n, true);
    }
    fixture_close(&f);
    newest_name(&f, name);
    uint8_t *whole = file_read(&f, name, &size), *damaged = malloc(size);
    unsigned blocks = 0;
    for (uint64_t n = 0; n < 24; n++) {
        uint64_t batch = frames[n].lsn - MEMDB__WAL_BATCH_HEADER_BYTES;
        uint64_t end = frames[n].lsn + MEMDB__WAL_FRAME_HEADER_BYTES + frames[n].size;
        for (uint64_t block = batch; block < end; block += 4096, blocks++) {
            uint64_t part = end - block < 4096 ? end - block : 4096;
            for (int mode = 0; mode < 2; mode++) {
                memcpy(damaged, whole, size);
                if (mode == 0) {
                    damaged[offset_in(&f, block + (n * 37) % part)] ^= 0x40;
                } else {
                    memset(damaged + offset_in(&f, block), 0, 4096);
                }
                file_write(&f, name, damaged, size);
                seen_t seen;
                uint64_t scanned;
                memdb_status_t status = scan(&f, 0, &seen, &scanned);
                if (n == 23) { // the last batch: nobody after it knows that it was durable
                    EXPECT_OK(&f, status);
                    assert_int_equal(seen.count, 23);
                } else {
                    EXPECT(&f, MEMDB_CORRUPT, status);
                    assert_non_null(strstr(f.error.message, name));
                    assert_int_equal(seen.count, n);
                    seen = (seen_t){0};
                    EXPECT(&f, MEMDB_CORRUPT,
                           memdb__wal_recover(f.directory, &f.options, 0, 0, past(false), see,
                                              &seen, &f.recovery, &f.error));
                }
            }
        }
    }
    assert_true(blocks > 24);
    memdb__free(whole);
    free(damaged);
    fixture_destroy(&f);
}

static void test_wal_frame_lost_where_reading_begins_is_corrupt(void **state) {
    (void)state;
    fixture_t f;
    memdb__frame_t frames[3];
    char name[32];
    size_t size;
    seen_t seen;
    uint64_t scanned;
    fixture_create(&f, SMALL_SEGMENT);
    fixture_open(&f, 0, false);
    append_batch(&f, 0, 3, frames);
    append(&f, 3, true);
    fixture_close(&f);
    newest_name(&f, name);
    uint8_t *data = file_read(&f, name, &size);
    // Reading from inside a batch is fine, and a frame that vanished there is noticed by the next
    // batch.
    EXPECT_OK(&f, scan(&f, frames[0].end, &seen, &scanned));
    assert_int_equal(seen.count, 3);
    memset(data + offset_in(&f, frames[2].lsn), 0, frames[2].end - frames[2].lsn);
    file_write(&f, name, data, size);
    EXPECT(&f, MEMDB_CORRUPT, scan(&f, frames[1].end, &seen, &scanned));
    EXPECT(&f, MEMDB_CORRUPT, scan(&f, 4, &seen, &scanned));
    memdb__free(data);
    fixture_destroy(&f);
}

/// Three segments of which only the last is the newest; the names are 1 to 3 segments in the chain.
static uint64_t fill_segments(fixture_t *f, size_t segments) {
    uint64_t n = 0;
    while (file_count(f, ".log") < segments) {
        append(f, n++, false);
    }
    append(f, n++, true);
    return n;
}

static void test_wal_missing_or_bad_segment_is_corrupt(void **state) {
    (void)state;
    for (int which = 2; which <= 4; which++) {
        for (int mode = 0; mode < 3; mode++) {
            fixture_t f;
            char name[32];
            size_t size;
            seen_t seen;
            uint64_t scanned;
            fixture_create(&f, 64 << 10);
            fixture_open(&f, 0, false);
            fill_segments(&f, 3); // epochs 2, 3, 4
            fixture_close(&f);
            snprintf(name, sizeof name, "%016x.log", which);
            uint8_t *data = file_read(&f, name, &size);
            if (mode == 0) {
                assert_int_equal(unlinkat(f.log, name, 0), 0);
            } else {
                data[100] ^= 1;
                file_write(&f, name, data, mode == 1 ? size : 4000);
            }
            EXPECT(&f, MEMDB_CORRUPT, scan(&f, 0, &seen, &scanned));
            seen = (seen_t){0};
            EXPECT(&f, MEMDB_CORRUPT,
                   memdb__wal_recover(f.directory, &f.options, 0, 0, past(false), see, &seen,
                                      &f.recovery, &f.error));
            if (mode != 0 || which < 4) {
                assert_non_null(strstr(f.error.message, name));
            }
            memdb__free(data);
            fixture_destroy(&f);
        }
    }
}

static void test_wal_truncated_old_segment_is_corrupt_and_newest_is_tail(void **state) {
    (void)state;
    fixture_t f;
    size_t size;
    seen_t seen;
    uint64_t scanned;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    uint64_t n = fill_segments(&f, 3);
    fixture_close(&f);
    uint8_t *data = file_read(&f, "0000000000000004.log", &size);
    file_write(&f, "0000000000000004.log", data, 4096);
    EXPECT_OK(&f, scan(&f, 0, &seen, &scanned));
    assert_true(seen.count < n);
    memdb__free(data);
    data = file_read(&f, "0000000000000003.log", &size);
    file_write(&f, "0000000000000003.log", data, 9000);
    EXPECT(&f, MEMDB_CORRUPT, scan(&f, 0, &seen, &scanned));
    memdb__free(data);
    fixture_destroy(&f);
}

static void test_wal_bytes_of_older_epochs_never_come_back(void **state) {
    (void)state;
    fixture_t f;
    char name[32];
    size_t size;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    memdb__frame_t frames[4];
    for (uint64_t n = 0; n < 4; n++) {
        frames[n] = append(&f, n, false); // durable stays 0: all is tail
    }
    fixture_close(&f);
    newest_name(&f, name);
    uint8_t *data = file_read(&f, name, &size);
    data[offset_in(&f, frames[1].lsn) + 24] ^= 1; // frames 2 and 3 are whole behind the hole
    file_write(&f, name, data, size);
    memdb__free(data);
    for (int life = 0; life < 3; life++) {
        fixture_open(&f, 0, life == 1);
        assert_int_equal(f.recovery.frames, 1 + (uint64_t)life);
        append(&f, 1 + (uint64_t)life, true);
        fixture_close(&f);
    }
    fixture_destroy(&f);
}

static void test_wal_leftovers_are_deleted_and_empty_segments_replaced(void **state) {
    (void)state;
    fixture_t f;
    fixture_create(&f, SMALL_SEGMENT);
    file_write(&f, "new", (const uint8_t *)"rubbish", 7);
    for (int life = 0; life < 5; life++) {
        fixture_open(&f, 0, false);
        fixture_close(&f);
        assert_int_equal(file_count(&f, ""), 1);
    }
    // An epoch floor above all files is respected.
    seen_t seen = {0};
    EXPECT_OK(&f, memdb__wal_recover(f.directory, &f.options, 0, 1000, past(false), see, &seen,
                                     &f.recovery, &f.error));
    assert_int_equal(f.recovery.segment_epoch, 1000);
    assert_int_equal(f.recovery.next_epoch, 1001);
    fixture_destroy(&f);
}

static void test_wal_rewrite_keeps_positions(void **state) {
    (void)state;
    for (uint64_t from_frame = 0; from_frame < 40; from_frame += 3) {
        fixture_t f;
        memdb__frame_t frames[40];
        seen_t seen;
        uint64_t scanned;
        fixture_create(&f, 64 << 10);
        fixture_open(&f, 0, false);
        for (uint64_t n = 0; n < 40; n += 4) {
            append_batch(&f, n, 4, frames + n);
        }
        uint64_t from = from_frame == 0 ? 0 : frames[from_frame - 1].end;
        fixture_close(&f);
        fixture_open(&f, from, true);
        assert_int_equal(f.recovery.frames, 40 - from_frame);
        assert_int_equal(f.recovery.end, frames[39].end);
        uint64_t end = append(&f, 40, true).end;
        EXPECT_OK(&f, scan(&f, from, &seen, &scanned));
        assert_int_equal(seen.count, 41 - from_frame);
        assert_int_equal(seen.first, from_frame);
        assert_int_equal(scanned, end);
        if (from == 0 || from >= 4096) { // else the fresh segment took the place of the first one
            EXPECT_OK(&f, scan(&f, 0, &seen, &scanned)); // what lies below is still linked
            assert_int_equal(seen.count, 41);
        }
        seen = (seen_t){0};
        EXPECT_OK(&f, memdb__wal_follow(f.wal, from, end, see, &seen, &scanned, &f.error));
        assert_int_equal(seen.count, 41 - from_frame);
        for (uint64_t n = from_frame; n < 40; n++) { // from each frame on
            EXPECT_OK(&f, scan(&f, frames[n].end, &seen, &scanned));
            assert_int_equal(seen.count, 40 - n);
        }
        fixture_destroy(&f);
    }
}

static memdb_status_t check_large(void *context, const memdb__frame_t *frame,
                                  memdb_error_t *error) {
    uint64_t *count = context;
    (void)error;
    assert_int_equal(frame->payload[0], (uint8_t)*count);
    assert_int_equal(frame->payload[frame->size - 1], (uint8_t)(*count + 1));
    ++*count;
    return MEMDB_OK;
}

static void test_wal_large_frames_get_segments_of_their_own(void **state) {
    (void)state;
    static const size_t sizes[] = {100, 1 << 20, 64 << 10, 65000, 61000, 200, 40u << 20, 10};
    fixture_t f;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    uint8_t *payload = malloc(40u << 20);
    uint64_t end = 0;
    memset(payload, 3, 40u << 20);
    for (size_t i = 0; i < 8; i++) {
        memdb__frame_t frame;
        payload[0] = (uint8_t)i;
        payload[sizes[i] - 1] = (uint8_t)(i + 1);
        EXPECT_OK(&f, memdb__wal_lock(f.wal, &f.error));
        EXPECT_OK(&f, memdb__wal_add(f.wal, payload, sizes[i], &frame, &f.error));
        EXPECT_OK(&f, memdb__wal_write(f.wal, &f.error));
        memdb__wal_unlock(f.wal);
        EXPECT_OK(&f, memdb__wal_sync(f.wal, frame.end, &f.error));
        payload[sizes[i] - 1] = 3;
        end = frame.end;
    }
    uint64_t count = 0, reached;
    EXPECT_OK(&f, memdb__wal_follow(f.wal, 0, end, check_large, &count, &reached, &f.error));
    assert_int_equal(count, 8);
    fixture_close(&f);
    for (int rewrite = 0; rewrite < 2; rewrite++) {
        count = 0;
        EXPECT_OK(&f, memdb__wal_recover(f.directory, &f.options, 0, 0, past(rewrite), check_large,
                                         &count, &f.recovery, &f.error));
        assert_int_equal(count, 8);
        assert_int_equal(f.recovery.end, end);
    }
    free(payload);
    fixture_destroy(&f);
}

static void test_wal_a_segment_that_recovery_found_is_never_recycled(void **state) {
    (void)state;
    // Its writer may have been killed in a write that has not landed yet.
    fixture_t f;
    char name[32], recycled[64];
    uint64_t n = 0;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    while (n < 10) { // more than half of it, so that it would be worth keeping
        append(&f, n++, true);
    }
    newest_name(&f, name);
    ino_t found = file_inode(&f, name);
    fixture_close(&f);
    fixture_open(&f, 0, false);
    assert_int_equal(f.recovery.frames, 10);
    while (file_count(&f, ".log") < 4) {
        append(&f, n++, true);
    }
    EXPECT_OK(&f, memdb__wal_cut(f.wal, atomic_load(&f.control->durable), &f.error));
    assert_int_equal(file_count(&f, name), 0);
    assert_int_equal(file_count(&f, "recycle"), 2); // those after it were left by a living writer
    for (int slot = 0; slot < 2; slot++) {
        snprintf(recycled, sizeof recycled, "recycle.%d", slot);
        assert_true(file_inode(&f, recycled) != found);
    }
    fixture_destroy(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_reopened_log_has_every_frame),
        cmocka_unit_test(test_wal_torn_tail_is_truncated),
        cmocka_unit_test(test_wal_damage_before_acknowledged_blocks_is_corrupt),
        cmocka_unit_test(test_wal_frame_lost_where_reading_begins_is_corrupt),
        cmocka_unit_test(test_wal_missing_or_bad_segment_is_corrupt),
        cmocka_unit_test(test_wal_truncated_old_segment_is_corrupt_and_newest_is_tail),
        cmocka_unit_test(test_wal_bytes_of_older_epochs_never_come_back),
        cmocka_unit_test(test_wal_leftovers_are_deleted_and_empty_segments_replaced),
        cmocka_unit_test(test_wal_rewrite_keeps_positions),
        cmocka_unit_test(test_wal_a_segment_that_recovery_found_is_never_recycled),
        cmocka_unit_test(test_wal_large_frames_get_segments_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
