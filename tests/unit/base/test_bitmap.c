// Sets of ids against a plain list, in a random walk; and what happens when memory runs out.
#include "base/bitmap.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS 400000u // of which a model keeps a byte each

static uint64_t state;

static uint64_t draw(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static void check(const memdb__bitmap_t *bitmap, const uint8_t *model) {
    static uint64_t ids[IDS];
    uint64_t count = 0;
    for (uint64_t id = 0; id < IDS; id++)
        count += model[id];
    assert_int_equal(memdb__bitmap_count(bitmap), count);
    memdb__bitmap_list(bitmap, ids);
    for (uint64_t i = 0; i < count; i++) {
        assert_true(ids[i] < IDS && model[ids[i]]);
        assert_true(i == 0 || ids[i] > ids[i - 1]);
        assert_true(memdb__bitmap_has(bitmap, ids[i]));
    }
    for (int i = 0; i < 1000; i++) {
        uint64_t id = draw(IDS);
        assert_int_equal(memdb__bitmap_has(bitmap, id), model[id]);
    }
    assert_false(memdb__bitmap_has(bitmap, UINT64_MAX));
}

/// Some ids, near each other as a rule, as those of a session are.
static void fill(memdb__bitmap_t *bitmap, uint8_t *model) {
    for (int run = 0; run < 40; run++) {
        uint64_t first = draw(IDS), count = draw(500), step = 1 + draw(7);
        for (uint64_t id = first; id < IDS && id < first + count; id += step) {
            assert_true(memdb__bitmap_add(bitmap, id));
            model[id] = 1;
        }
    }
}

static void test_bitmap_agrees_with_a_plain_list(void **unused) {
    (void)unused;
    const char *given = getenv("MEMDB_SEED");
    state = given ? strtoull(given, NULL, 10) : 20261125;
    print_message("seed=%llu\n", (unsigned long long)state);
    state |= UINT64_C(1) << 62;
    uint8_t *models[2] = {calloc(IDS, 1), calloc(IDS, 1)};
    memdb__bitmap_t bitmaps[2] = {0};
    for (int round = 0; round < 60; round++) {
        int which = (int)draw(2);
        memdb__bitmap_t *bitmap = &bitmaps[which];
        uint8_t *model = models[which], *other = models[!which];
        switch (draw(6)) {
        case 0:
            memdb__bitmap_and(bitmap, &bitmaps[!which]);
            for (uint64_t id = 0; id < IDS; id++)
                model[id] &= other[id];
            break;
        case 1:
            memdb__bitmap_subtract(bitmap, &bitmaps[!which]);
            for (uint64_t id = 0; id < IDS; id++)
                model[id] &= !other[id];
            break;
        case 2:
            assert_true(memdb__bitmap_or(bitmap, &bitmaps[!which]));
            for (uint64_t id = 0; id < IDS; id++)
                model[id] |= other[id];
            break;
        case 3:
            for (int i = 0; i < 5000; i++) {
                uint64_t id = draw(IDS);
                memdb__bitmap_remove(bitmap, id);
                model[id] = 0;
            }
            break;
        default:
            fill(bitmap, model);
        }
        check(bitmap, model);
    }
    for (int i = 0; i < 2; i++) {
        memdb__bitmap_deinit(&bitmaps[i]);
        free(models[i]);
    }
}

static void test_bitmap_out_of_memory_keeps_what_was_there(void **unused) {
    (void)unused;
    memdb__bitmap_t bitmap = {0}, other = {0};
    assert_true(memdb__bitmap_add(&bitmap, 7));
    assert_true(memdb__bitmap_add(&other, 1u << 20));
    memdb__memory_fail_after(0);
    bool added = memdb__bitmap_add(&bitmap, 1u << 21);
    memdb__memory_fail_after(0);
    bool joined = memdb__bitmap_or(&bitmap, &other);
    memdb__memory_fail_after(UINT64_MAX);
    assert_false(added);
    assert_false(joined);
    assert_int_equal(memdb__bitmap_count(&bitmap), 1);
    assert_true(memdb__bitmap_has(&bitmap, 7));
    assert_true(memdb__bitmap_or(&bitmap, &other));
    assert_int_equal(memdb__bitmap_count(&bitmap), 2);
    memdb__bitmap_deinit(&bitmap);
    memdb__bitmap_deinit(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bitmap_agrees_with_a_plain_list),
        cmocka_unit_test(test_bitmap_out_of_memory_keeps_what_was_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
