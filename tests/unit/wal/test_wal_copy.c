// The archive of the log, ranges over log and archive, and copies of frames into another log.
//
// A log is written through lives: closed and recovered, its writer dead and repaired; now and then
// it is cut into the archive, in the midst or up to its end. Whatever range is read, exactly its
// frames are there; and a copy of it, made part by part, reads back the same.
#include "tests/unit/wal/wal_fixture.h"
#include "wal/copy.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAMES 2000

typedef struct world {
    fixture_t f;
    memdb__frame_t frames[FRAMES]; // as they were added; number n is frame n
    uint64_t count, applied;
} world_t;

static void add(world_t *w, int count) {
    for (int i = 0; i < count && w->count < FRAMES; i++, w->count++) {
        w->frames[w->count] = append(&w->f, w->count, true);
    }
}

/// A process that dies with the writer mutex and a frame that it did not write.
static void die_with_the_mutex(world_t *w) {
    pid_t child = fork();
    if (child == 0) {
        fixture_t other;
        memdb__frame_t frame;
        fixture_attach(&other, &w->f);
        if (!memdb__wal_lock(other.wal, NULL)) {
            memdb__wal_add(other.wal, "never written", 13, &frame, NULL);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void cut(world_t *w) {
    w->applied = w->frames[w->count - 1].end;
    EXPECT_OK(&w->f, memdb__wal_cut(w->f.wal, w->applied, &w->f.error));
}

static size_t archived(world_t *w) {
    fixture_t other = w->f;
    other.log = openat(w->f.directory, "archive", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t count = other.log < 0 ? 0 : file_count(&other, ".log");
    close(other.log);
    return count;
}

/// The frames numbered [from, to).
static void check_range(world_t *w, uint64_t from, uint64_t to) {
    seen_t seen = {0};
    uint64_t at = from % 2 || from == 0 ? w->frames[from].lsn : w->frames[from - 1].end;
    EXPECT_OK(&w->f, memdb__wal_range(w->f.directory, &w->f.options, at, w->frames[to - 1].end, see,
                                      &seen, &w->f.error));
    assert_int_equal(seen.count, to - from);
    assert_int_equal(seen.first, from);
    assert_int_equal(seen.end, w->frames[to - 1].end);
}

static void live(world_t *w, uint64_t *random, int lives) {
    for (int life = 0; life < lives; life++) {
        fixture_open(&w->f, w->applied, false);
        add(w, 20 + (int)(next_random(random) % 40));
        if (next_random(random) % 2) {
            die_with_the_mutex(w);
            add(w, 10);
        }
        if (next_random(random) % 2) {
            cut(w);
            add(w, (int)(next_random(random) % 10));
        }
        for (int i = 0; i < 3; i++) {
            uint64_t from = next_random(random) % w->count;
            check_range(w, from, from + 1 + next_random(random) % (w->count - from));
        }
        check_range(w, 0, w->count);
        fixture_close(&w->f);
    }
}

static world_t *create(void) {
    world_t *w = calloc(1, sizeof *w);
    fixture_create(&w->f, 64 << 10);
    EXPECT_OK(&w->f, memdb__archive_begin(w->f.directory, &w->f.error));
    return w;
}

static void destroy(world_t *w) {
    fixture_destroy(&w->f);
    free(w);
}

static void test_wal_range_reads_log_and_archive_as_one(void **state) {
    (void)state;
    uint64_t random = test_seed();
    world_t *w = create();
    live(w, &random, 12);
    assert_true(archived(w) > 0);
    assert_int_equal(file_count(&w->f, "recycle"), 0);
    destroy(w);
}

static void test_wal_trim_leaves_what_is_above(void **state) {
    (void)state;
    uint64_t random = test_seed();
    world_t *w = create();
    live(w, &random, 8);
    fixture_open(&w->f, w->applied, false);
    add(w, 40);
    cut(w);
    for (uint64_t keep = 0; keep < w->count; keep += 1 + next_random(&random) % 30) {
        EXPECT_OK(&w->f, memdb__archive_trim(w->f.directory, &w->f.options, w->frames[keep].lsn,
                                             &w->f.error));
        check_range(w, keep, w->count);
    }
    EXPECT_OK(&w->f, memdb__archive_trim(w->f.directory, &w->f.options, w->frames[w->count - 1].end,
                                         &w->f.error));
    assert_int_equal(archived(w), 0);
    seen_t seen = {0};
    EXPECT(&w->f, MEMDB_NOT_FOUND,
           memdb__wal_range(w->f.directory, &w->f.options, w->frames[0].lsn, w->applied, see, &seen,
                            &w->f.error));
    assert_int_equal(seen.count, 0);
    fixture_close(&w->f);
    destroy(w);
}

static void test_wal_archive_over_its_limit_is_given_up(void **state) {
    (void)state;
    world_t *w = create();
    uint64_t bytes = 0;
    w->f.options.archive_limit_bytes = 256 << 10;
    fixture_open(&w->f, 0, false);
    for (int i = 0; i < 40 && bytes <= 200 << 10; i++) {
        add(w, 10);
        cut(w);
        EXPECT_OK(&w->f, memdb__archive_bytes(w->f.directory, &bytes, &w->f.error));
        assert_true(bytes <= 256 << 10);
    }
    check_range(w, 0, w->count);
    while (archived(w) > 0) {
        add(w, 10);
        cut(w);
        assert_true(w->count < FRAMES);
    }
    int archive = 0;
    EXPECT_OK(&w->f, memdb__archive_open(w->f.directory, &archive, &w->f.error));
    assert_int_equal(archive, -1);
    add(w, 200);
    cut(w);
    assert_true(file_count(&w->f, "recycle") > 0); // as without an archive
    fixture_close(&w->f);
    destroy(w);
}

// ------------------------------------------------------------------------------ copies

/// Take away the segment that a new log has: the copy is the log.
static void remove_log(fixture_t *f) {
    char name[32];
    newest_name(f, name);
    assert_int_equal(unlinkat(f->log, name, 0), 0);
}

/// Copy frames [from, to) as one more segment.
static void copy_part(world_t *w, fixture_t *to, uint64_t from, uint64_t end, bool whole) {
    memdb__wal_copy_options_t options = {.log = to->options,
                                         .from = from ? w->frames[from - 1].end : 0,
                                         .epoch_floor = 7,
                                         .whole = whole,
                                         .marked = true};
    memdb__wal_copy_t *copy;
    uint64_t bytes = 0;
    EXPECT_OK(to, memdb__wal_copy_begin(to->directory, &options, &copy, &to->error));
    EXPECT_OK(to,
              memdb__wal_range(w->f.directory, &w->f.options, w->frames[from].lsn,
                               w->frames[end - 1].end, memdb__wal_copy_frame, copy, &to->error));
    EXPECT_OK(to, memdb__wal_copy_finish(copy, &bytes, &to->error));
    assert_true(bytes > 0);
    EXPECT_OK(to, memdb__wal_copy_publish(copy, &to->error));
    memdb__wal_copy_destroy(copy);
}

static void test_wal_copies_read_back_and_are_told_from_an_appended_log(void **state) {
    (void)state;
    uint64_t random = test_seed(), end;
    world_t *w = create();
    fixture_t to;
    char name[32];
    bool pure = false;
    live(w, &random, 8);
    fixture_create(&to, 64 << 10);
    memcpy(to.options.database_id, "another database", 16);
    uint64_t first = next_random(&random) % (w->count / 2), at = first;
    remove_log(&to);
    for (bool whole = true; at < w->count; whole = false) {
        uint64_t part = 1 + next_random(&random) % 60;
        part = part < w->count - at ? part : w->count - at;
        copy_part(w, &to, at, at + part, whole);
        at += part;
        seen_t seen = {0};
        EXPECT_OK(&to, scan(&to, first ? w->frames[first - 1].end : 0, &seen, &end));
        assert_int_equal(seen.count, at - first);
        assert_int_equal(seen.first, first);
        assert_int_equal(end, w->frames[at - 1].end);
    }
    EXPECT_OK(&to, memdb__wal_copy_is_pure(to.directory, &to.options, &pure, name, &to.error));
    assert_true(pure);
    // A copy that was begun and given up leaves nothing.
    memdb__wal_copy_options_t options = {.log = to.options, .from = end, .marked = true};
    memdb__wal_copy_t *copy;
    size_t files = file_count(&to, "");
    EXPECT_OK(&to, memdb__wal_copy_begin(to.directory, &options, &copy, &to.error));
    memdb__wal_copy_destroy(copy);
    assert_int_equal(file_count(&to, ""), files);
    // Somebody opens it, and appends.
    fixture_open(&to, first ? w->frames[first - 1].end : 0, false);
    assert_int_equal(to.recovery.frames, at - first);
    append(&to, at, true);
    fixture_close(&to);
    EXPECT_OK(&to, memdb__wal_copy_is_pure(to.directory, &to.options, &pure, name, &to.error));
    assert_false(pure);
    fixture_destroy(&to);
    destroy(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_range_reads_log_and_archive_as_one),
        cmocka_unit_test(test_wal_trim_leaves_what_is_above),
        cmocka_unit_test(test_wal_archive_over_its_limit_is_given_up),
        cmocka_unit_test(test_wal_copies_read_back_and_are_told_from_an_appended_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
