// Goal: headers survive a round trip, and no changed bit of them, and no other place or epoch, is
// taken for whole.
#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/unit/wal/wal_fixture.h"
#include "wal/wal_format.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t id[16] = "sixteen bytes id";

static memdb__wal_header_t header(void) {
    memdb__wal_header_t h = {.epoch = 9,
                             .start = 81920,
                             .capacity = 1 << 20,
                             .previous_epoch = 7,
                             .previous_end = 80008,
                             .flags = 1};
    memcpy(h.database_id, id, 16);
    return h;
}

static void test_wal_header_round_trip(void **state) {
    (void)state;
    uint8_t page[MEMDB__WAL_BLOCK_BYTES];
    memdb__wal_header_t in = header(), out = {0};
    memdb_error_t error;
    memdb__wal_header_encode(&in, page);
    assert_int_equal(memdb__wal_header_decode(page, "file", &out, &error), MEMDB_OK);
    assert_memory_equal(out.database_id, id, 16);
    assert_int_equal(out.epoch, in.epoch);
    assert_int_equal(out.start, in.start);
    assert_int_equal(out.capacity, in.capacity);
    assert_int_equal(out.previous_epoch, in.previous_epoch);
    assert_int_equal(out.previous_end, in.previous_end);
    assert_int_equal(out.flags, in.flags);
    for (size_t at = 0; at < sizeof page; at++) {
        page[at] ^= 0x20;
        assert_int_equal(memdb__wal_header_decode(page, "file", &out, &error), MEMDB_CORRUPT);
        page[at] ^= 0x20;
    }
}

/// Decode `h` after `at` was set to `value` and the checksum made to fit.
static memdb_status_t decode_with(size_t at, uint64_t value, size_t size) {
    uint8_t page[MEMDB__WAL_BLOCK_BYTES], bytes[8];
    memdb__wal_header_t in = header(), out;
    memdb__wal_header_encode(&in, page);
    memdb__put_u64(bytes, value);
    memcpy(page + at, bytes, size);
    memdb__put_u64(page + sizeof page - 8, memdb__hash64(page, sizeof page - 8, 0));
    return memdb__wal_header_decode(page, "file", &out, NULL);
}

static void test_wal_header_with_a_good_checksum_is_still_checked(void **state) {
    (void)state;
    assert_int_equal(decode_with(8, 1, 4), MEMDB_OK);
    assert_int_equal(decode_with(8, 2, 4), MEMDB_VERSION);
    assert_int_equal(decode_with(12, 4, 4), MEMDB_CORRUPT);     // flags
    assert_int_equal(decode_with(32, 0, 8), MEMDB_CORRUPT);     // epoch
    assert_int_equal(decode_with(56, 9, 8), MEMDB_CORRUPT);     // predecessor not older
    assert_int_equal(decode_with(40, 81921, 8), MEMDB_CORRUPT); // start not on a block
    assert_int_equal(decode_with(40, 90112, 8), MEMDB_CORRUPT); // a hole of more than a block
    assert_int_equal(decode_with(64, 80009, 8), MEMDB_CORRUPT); // not the end of a frame
    assert_int_equal(decode_with(64, 77824, 8), MEMDB_CORRUPT); // ends a block before the start
    assert_int_equal(decode_with(48, 4096, 8), MEMDB_CORRUPT);  // no room
    assert_int_equal(decode_with(48, UINT64_MAX & ~(uint64_t)4095, 8),
                     MEMDB_CORRUPT);                          // sums would wrap
    assert_int_equal(decode_with(2000, 1, 1), MEMDB_CORRUPT); // reserved
}

static void test_wal_batch_round_trip(void **state) {
    (void)state;
    uint64_t salt = memdb__wal_salt(id);
    uint8_t bytes[MEMDB__WAL_BATCH_HEADER_BYTES];
    memdb__wal_batch_t in = {.frames = 3,
                             .epoch = 5,
                             .lsn = 8192,
                             .bytes = 400,
                             .durable = 4000,
                             .previous_end = 8000},
                       out;
    memdb__wal_batch_encode(&in, salt, bytes);
    assert_true(memdb__wal_batch_decode(bytes, salt, 5, 8192, &out));
    assert_memory_equal(&in, &out, sizeof in);
    assert_false(memdb__wal_batch_decode(bytes, salt, 6, 8192, &out));
    assert_false(memdb__wal_batch_decode(bytes, salt, 5, 12288, &out));
    assert_false(memdb__wal_batch_decode(bytes, salt + 1, 5, 8192, &out));
    for (size_t at = 0; at < sizeof bytes * 8; at++) {
        bytes[at / 8] ^= (uint8_t)(1u << at % 8);
        assert_false(memdb__wal_batch_decode(bytes, salt, 5, 8192, &out));
        bytes[at / 8] ^= (uint8_t)(1u << at % 8);
    }
    in.frames = 20; // more than its bytes can hold
    memdb__wal_batch_encode(&in, salt, bytes);
    assert_false(memdb__wal_batch_decode(bytes, salt, 5, 8192, &out));
    in.frames = 0; // only a closing mark has none
    memdb__wal_batch_encode(&in, salt, bytes);
    assert_false(memdb__wal_batch_decode(bytes, salt, 5, 8192, &out));
}

static void test_wal_frame_round_trip(void **state) {
    (void)state;
    uint64_t salt = memdb__wal_salt(id);
    for (size_t size = 0; size < 300; size += 1 + size / 9) {
        uint8_t payload[300], bytes[400];
        int64_t time = 0;
        memset(bytes, 0xee, sizeof bytes);
        payload_make(77, size < 8 ? 8 : size, payload);
        memdb__wal_frame_encode(bytes, salt, 5, 64, -12345, payload, size);
        uint64_t whole = memdb__wal_frame_bytes(size);
        assert_int_equal(whole % 8, 0);
        assert_int_equal(bytes[whole], 0xee);
        assert_true(memdb__wal_frame_is(bytes));
        assert_int_equal(memdb__wal_frame_size(bytes), size);
        assert_true(memdb__wal_frame_verify(bytes, salt, 5, 64, &time));
        assert_int_equal(time, -12345);
        assert_memory_equal(bytes + MEMDB__WAL_FRAME_HEADER_BYTES, payload, size);
        assert_false(memdb__wal_frame_verify(bytes, salt, 4, 64, &time));
        assert_false(memdb__wal_frame_verify(bytes, salt, 5, 72, &time));
        for (size_t at = 0; at < MEMDB__WAL_FRAME_HEADER_BYTES + size; at++) {
            if (at >= 4 && at < 8) {
                continue; // the size is compared with the limits before it is used
            }
            bytes[at] ^= 4;
            assert_false(memdb__wal_frame_verify(bytes, salt, 5, 64, &time));
            bytes[at] ^= 4;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_header_round_trip),
        cmocka_unit_test(test_wal_header_with_a_good_checksum_is_still_checked),
        cmocka_unit_test(test_wal_batch_round_trip),
        cmocka_unit_test(test_wal_frame_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
