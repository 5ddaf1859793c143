// Goal: a follower sees every frame once, whole and in order, however far behind it is, while the
// log is switched, repaired, cut and recycled; and it says so when the cut has passed it.
#include "base/memory.h"
#include "tests/unit/wal/wal_fixture.h"
#include "wal/wal_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_wal_follow_reads_each_frame_as_it_comes(void **state) {
    (void)state;
    fixture_t f, other;
    seen_t seen = {0};
    uint64_t position = 0;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    fixture_attach(&other, &f);
    for (uint64_t n = 0; n < 300; n++) {
        memdb__frame_t frame = append(&f, n, false);
        EXPECT_OK(&f, memdb__wal_follow(other.wal, position, frame.end, see, &seen, &position,
                                        &other.error));
        assert_int_equal(position, frame.end);
        assert_int_equal(seen.count, n + 1);
        assert_int_equal(seen.time, frame.commit_time);
    }
    // Nothing new, from above, and from every frame again.
    EXPECT_OK(
        &f, memdb__wal_follow(other.wal, position, position, see, &seen, &position, &other.error));
    EXPECT(
        &other, MEMDB_INVALID,
        memdb__wal_follow(other.wal, position, position + 8, see, &seen, &position, &other.error));
    seen_t again = {0};
    uint64_t end;
    EXPECT_OK(&f, memdb__wal_follow(f.wal, 0, position, see, &again, &end, &f.error));
    assert_int_equal(again.count, 300);
    assert_true(file_count(&f, ".log") > 1);
    fixture_close(&other);
    fixture_destroy(&f);
}

static void test_wal_follow_stops_at_every_frame_end(void **state) {
    (void)state;
    fixture_t f;
    memdb__frame_t frames[60];
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    for (uint64_t n = 0; n < 60; n += 6) {
        append_batch(&f, n, 6, frames + n);
    }
    for (uint64_t from = 0; from < 60; from += 5) {
        for (uint64_t to = from; to < 60; to++) {
            seen_t seen = {0};
            uint64_t end, begin = from == 0 ? 0 : frames[from - 1].end;
            EXPECT_OK(&f,
                      memdb__wal_follow(f.wal, begin, frames[to].end, see, &seen, &end, &f.error));
            assert_int_equal(seen.count, to - from + 1);
            assert_int_equal(end, frames[to].end);
        }
    }
    fixture_destroy(&f);
}

static memdb_status_t refuse(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    (void)frame;
    if (++*(int *)context == 3) {
        return memdb__fail(error, MEMDB_CORRUPT, "refused");
    }
    return MEMDB_OK;
}

static void test_wal_follow_hands_on_what_the_visitor_says(void **state) {
    (void)state;
    fixture_t f;
    int calls = 0;
    uint64_t end = 7;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    for (uint64_t n = 0; n < 5; n++) {
        append(&f, n, false);
    }
    EXPECT(&f, MEMDB_CORRUPT,
           memdb__wal_follow(f.wal, 0, atomic_load(&f.control->written), refuse, &calls, &end,
                             &f.error));
    assert_string_equal(f.error.message, "refused");
    assert_int_equal(calls, 3);
    assert_int_equal(end, 7);
    fixture_destroy(&f);
}

static void test_wal_cut_recycles_and_tells_followers_behind(void **state) {
    (void)state;
    fixture_t f, slow;
    seen_t seen = {0};
    uint64_t position = 0, n = 0, slow_position;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    fixture_attach(&slow, &f);
    memdb__frame_t first = append(&f, n++, true);
    seen_t slow_seen = {0};
    EXPECT_OK(&f,
              memdb__wal_follow(slow.wal, 0, first.end, see, &slow_seen, &slow_position, &f.error));
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 60; i++) {
            append(&f, n++, false);
        }
        uint64_t written = atomic_load(&f.control->written);
        EXPECT_OK(&f, memdb__wal_sync(f.wal, written, &f.error));
        EXPECT_OK(&f, memdb__wal_follow(f.wal, position, written, see, &seen, &position, &f.error));
        assert_int_equal(seen.count, n);
        EXPECT_OK(&f, memdb__wal_cut(f.wal, written, &f.error));
        assert_true(file_count(&f, ".log") <= 2);
        assert_true(file_count(&f, "recycle") <= 2);
        assert_int_equal(atomic_load(&f.control->applied), written);
        // The slow one still has the first segment open: recycled or gone, it must not see what is
        // in there now.
        uint64_t end;
        EXPECT(&slow, MEMDB_NOT_FOUND,
               memdb__wal_follow(slow.wal, slow_position, written, see, &slow_seen, &end,
                                 &slow.error));
        assert_int_equal(slow_seen.count, 1);
    }
    memdb__wal_stats_t stats;
    memdb__wal_stats(f.wal, &stats);
    assert_int_equal(stats.batches, n);
    assert_true(stats.segments <= 2 && stats.syncs > 0 && stats.bytes >= n * 4096 &&
                stats.file_bytes >= 64 << 10);
    // From the base on, it goes on.
    EXPECT_OK(&f, memdb__wal_follow(slow.wal, position, append(&f, n, false).end, see, &seen,
                                    &position, &f.error));
    fixture_close(&slow);
    // A recovery from the cut finds recycled files with frames of older epochs behind its end.
    uint64_t applied = position;
    fixture_close(&f);
    for (int life = 0; life < 4; life++) {
        fixture_open(&f, applied, life % 2);
        assert_int_equal(f.recovery.frames, life * 40);
        for (int i = 0; i < 40; i++) {
            append(&f, ++n, true);
        }
        fixture_close(&f);
    }
    fixture_destroy(&f);
}

static void test_wal_follow_finds_damage(void **state) {
    (void)state;
    fixture_t f;
    memdb__frame_t frames[20];
    char name[32];
    size_t size;
    fixture_create(&f, 256 << 10);
    fixture_open(&f, 0, false);
    for (uint64_t n = 0; n < 20; n++) {
        frames[n] = append(&f, n, true);
    }
    newest_name(&f, name);
    uint8_t *data = file_read(&f, name, &size), *damaged = malloc(size);
    for (uint64_t n = 0; n < 20; n++) {
        for (int mode = 0; mode < 3; mode++) {
            seen_t seen = {0};
            uint64_t end;
            memcpy(damaged, data, size);
            size_t at = 4096 + frames[n].lsn;
            if (mode == 0) {
                damaged[at + 24] ^= 2; // payload
            } else if (mode == 1) {
                memset(damaged + at, 0, 24);
            } else {
                damaged[at + 6] = 0x7f; // a size of gigabytes
            }
            file_write(&f, name, damaged, size);
            EXPECT(&f, MEMDB_CORRUPT,
                   memdb__wal_follow(f.wal, 0, frames[19].end, see, &seen, &end, &f.error));
            assert_int_equal(seen.count, n);
            assert_non_null(strstr(f.error.message, name));
            EXPECT(&f, MEMDB_CORRUPT,
                   memdb__wal_follow(f.wal, frames[n].lsn == 64 ? 0 : frames[n - 1].end,
                                     frames[n].end, see, &seen, &end, &f.error));
        }
    }
    memdb__free(data);
    free(damaged);
    fixture_destroy(&f);
}

/// A segment in the middle of the chain is gone though the cut has not passed it. A follower that
/// read only the one before it says so (and does not look for it for ever).
static void test_wal_follow_tells_a_missing_segment(void **state) {
    (void)state;
    fixture_t f, slow;
    seen_t seen = {0};
    uint64_t position = 0, n = 0, end;
    char second[32], path[128];
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    fixture_attach(&slow, &f);
    memdb__frame_t first = append(&f, n++, true);
    EXPECT_OK(&f, memdb__wal_follow(slow.wal, 0, first.end, see, &seen, &position, &f.error));
    while (file_count(&f, ".log") < 3) { // the first is of the opening
        append(&f, n++, true);
    }
    newest_name(&f, second);
    while (file_count(&f, ".log") < 4) {
        append(&f, n++, true);
    }
    snprintf(path, sizeof path, "%s/log/%s", f.path, second);
    assert_int_equal(remove(path), 0);
    for (int tries = 0; tries < 2; tries++) {
        EXPECT(&slow, MEMDB_CORRUPT,
               memdb__wal_follow(slow.wal, position, atomic_load(&f.control->written), see, &seen,
                                 &end, &slow.error));
        assert_non_null(strstr(slow.error.message, second));
    }
    fixture_close(&slow);
    fixture_destroy(&f);
}

static fixture_t *cutter; // cuts the log as soon as a segment is published

static int rename_and_cut(int from_directory, const char *from, int to_directory, const char *to) {
    int result = memdb__io_real.rename_at(from_directory, from, to_directory, to);
    if (result == 0 && cutter && strstr(to, ".log")) {
        fixture_t *f = cutter;
        cutter = NULL;
        EXPECT_OK(f, memdb__wal_cut(f->wal, atomic_load(&f->control->durable), &f->error));
    }
    return result;
}

static void test_wal_cut_beside_a_repair_takes_its_predecessor(void **state) {
    (void)state;
    fixture_t f, other;
    char name[32];
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    fixture_attach(&other, &f);
    append(&f, 0, true);
    newest_name(&f, name);
    memdb__io_table_t table = memdb__io_real;
    table.rename_at = rename_and_cut;
    for (int death = 0; death < 2; death++) { // the second finds the segment of the first empty
        atomic_store(&f.control->repair_needed, 1);
        cutter = death ? &other : NULL;
        memdb__io_install(&table);
        EXPECT_OK(&f, memdb__wal_lock(f.wal, &f.error));
        memdb__io_install(NULL);
        memdb__wal_unlock(f.wal);
        assert_int_equal(file_count(&f, name), death ? 0 : 1);
    }
    assert_null(cutter);
    append(&f, 1, true);
    fixture_close(&other);
    fixture_destroy(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_follow_reads_each_frame_as_it_comes),
        cmocka_unit_test(test_wal_follow_stops_at_every_frame_end),
        cmocka_unit_test(test_wal_follow_hands_on_what_the_visitor_says),
        cmocka_unit_test(test_wal_cut_recycles_and_tells_followers_behind),
        cmocka_unit_test(test_wal_cut_beside_a_repair_takes_its_predecessor),
        cmocka_unit_test(test_wal_follow_finds_damage),
        cmocka_unit_test(test_wal_follow_tells_a_missing_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
