// Goal: the log behaves as a list of numbered payloads that only grows at its end.
// Method: random operations against that list: batches of any size, syncs, follows, cuts,
// reopenings with and without a rewrite, large frames, a dropped batch. The seed replays a run.
#include "tests/unit/wal/wal_fixture.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT 4000

typedef struct model {
    fixture_t f;
    uint64_t ends[LIMIT + 1]; // LSN after the first n frames
    uint64_t count;
    uint64_t durable;  // frames
    uint64_t base;     // frames below the cut
    uint64_t position; // frames followed
    uint8_t *payload;
} model_t;

/// A payload of any size up to 300 KiB, mostly small.
static size_t random_payload(model_t *m, uint64_t n, uint64_t *random) {
    uint64_t kind = next_random(random) % 40;
    size_t size = 8 + next_random(random) % (kind == 0 ? 300000 : kind < 6 ? 9000 : 400);
    return payload_make(n, size, m->payload);
}

static void do_append(model_t *m, uint64_t *random) {
    fixture_t *f = &m->f;
    uint64_t frames = 1 + next_random(random) % 6;
    bool drop = next_random(random) % 16 == 0;
    EXPECT_OK(f, memdb__wal_lock(f->wal, &f->error));
    uint64_t written = m->count; // of this batch, what a switch of segments wrote already
    for (uint64_t i = 0; i < frames && m->count < LIMIT; i++) {
        memdb__frame_t frame;
        size_t size = random_payload(m, m->count, random);
        EXPECT_OK(f, memdb__wal_add(f->wal, m->payload, size, &frame, &f->error));
        m->ends[++m->count] = frame.end;
    }
    if (drop) {
        while (written < m->count && m->ends[written + 1] <= atomic_load(&f->control->written)) {
            written++;
        }
        m->count = written;
    } else if (next_random(random) % 2) {
        EXPECT_OK(f, memdb__wal_write_through(f->wal, &f->error));
    } else {
        EXPECT_OK(f, memdb__wal_write(f->wal, &f->error));
    }
    memdb__wal_unlock(f->wal);
    assert_int_equal(atomic_load(&f->control->written), m->ends[m->count]);
}

static void do_follow(model_t *m, uint64_t *random) {
    fixture_t *f = &m->f;
    uint64_t from = next_random(random) % 4
                        ? m->position
                        : m->base + next_random(random) % (m->count - m->base + 1);
    from = from < m->base ? m->base : from;
    uint64_t to = next_random(random) % 2 ? m->count
                                          : from + next_random(random) % (m->count - from + 1),
             end;
    seen_t seen = {0};
    EXPECT_OK(f,
              memdb__wal_follow(f->wal, m->ends[from], m->ends[to], see, &seen, &end, &f->error));
    assert_int_equal(seen.count, to - from);
    assert_true(seen.count == 0 || seen.first == from);
    assert_int_equal(end, m->ends[to]);
    m->position = to;
}

static void do_reopen(model_t *m, uint64_t *random) {
    fixture_t *f = &m->f;
    seen_t seen;
    uint64_t end;
    fixture_close(f);
    EXPECT_OK(f, scan(f, m->ends[m->base], &seen, &end));
    assert_int_equal(seen.count, m->count - m->base);
    assert_int_equal(end, m->ends[m->count]);
    fixture_open(f, m->ends[m->base], next_random(random) % 2);
    assert_int_equal(f->recovery.frames, m->count - m->base);
    assert_int_equal(f->recovery.end, m->ends[m->count]);
    m->durable = m->count;
}

static void test_wal_is_a_list_of_payloads(void **state) {
    (void)state;
    uint64_t random = test_seed();
    model_t *m = calloc(1, sizeof *m);
    m->payload = malloc(300100);
    fixture_create(&m->f, 256 << 10);
    fixture_open(&m->f, 0, false);
    for (int step = 0; step < 1500 && m->count < LIMIT - 8; step++) {
        uint64_t kind = next_random(&random) % 32;
        if (kind < 16) {
            do_append(m, &random);
        } else if (kind < 20) {
            EXPECT_OK(&m->f, memdb__wal_sync(m->f.wal, m->ends[m->count], &m->f.error));
            m->durable = m->count;
        } else if (kind < 29) {
            do_follow(m, &random);
        } else if (kind < 31) {
            m->base += next_random(&random) % (m->durable - m->base + 1);
            EXPECT_OK(&m->f, memdb__wal_cut(m->f.wal, m->ends[m->base], &m->f.error));
        } else {
            do_reopen(m, &random);
        }
    }
    do_reopen(m, &random);
    fixture_destroy(&m->f);
    free(m->payload);
    free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_is_a_list_of_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
