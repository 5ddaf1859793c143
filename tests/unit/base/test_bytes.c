// Goal: integers, varints, the hostile reader and UTF-8 are right at every limit.
// Method: limits by hand; UTF-8 against a naive decoder, exhaustively for 1 to 3 bytes and at
// random for more.
#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/unit/base/base_test.h"

static void test_integers_are_little_or_big_endian(void **state) {
    (void)state;
    uint8_t bytes[9];
    memdb__put_u16(bytes + 1, 0x0102);
    assert_memory_equal(bytes + 1, "\x02\x01", 2);
    assert_int_equal(memdb__get_u16(bytes + 1), 0x0102);
    memdb__put_u32(bytes + 1, 0x01020304);
    assert_memory_equal(bytes + 1, "\x04\x03\x02\x01", 4);
    assert_int_equal(memdb__get_u32(bytes + 1), 0x01020304);
    memdb__put_u64(bytes + 1, UINT64_C(0x0102030405060708));
    assert_memory_equal(bytes + 1, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    assert_true(memdb__get_u64(bytes + 1) == UINT64_C(0x0102030405060708));
    memdb__put_be32(bytes + 1, 0x01020304);
    assert_memory_equal(bytes + 1, "\x01\x02\x03\x04", 4);
    assert_int_equal(memdb__get_be32(bytes + 1), 0x01020304);
    memdb__put_be64(bytes + 1, UINT64_C(0x0102030405060708));
    assert_memory_equal(bytes + 1, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    assert_true(memdb__get_be64(bytes + 1) == UINT64_C(0x0102030405060708));
}

static void check_varint(uint64_t value) {
    uint8_t bytes[10];
    size_t size = memdb__put_varint(bytes, value), expected = 1;
    for (uint64_t rest = value >> 7; rest; rest >>= 7)
        expected++;
    assert_int_equal(size, expected);
    memdb__reader_t reader = memdb__reader(bytes, size);
    assert_true(memdb__read_varint(&reader) == value);
    assert_false(reader.bad);
    assert_int_equal(memdb__reader_left(&reader), 0);
    for (size_t cut = 0; cut < size; cut++) {
        reader = memdb__reader(bytes, cut);
        assert_true(memdb__read_varint(&reader) == 0);
        assert_true(reader.bad);
    }
}

static void test_varint_limits_round_trip(void **state) {
    (void)state;
    check_varint(0);
    check_varint(UINT64_MAX);
    for (unsigned bit = 0; bit < 64; bit++) {
        check_varint(UINT64_C(1) << bit);
        check_varint((UINT64_C(1) << bit) - 1);
        check_varint((UINT64_C(1) << bit) + 1);
    }
}

static void test_varint_above_64_bits_is_bad(void **state) {
    (void)state;
    uint8_t bytes[11];
    memset(bytes, 0xff, sizeof bytes);
    for (unsigned last = 0; last < 256; last++) {
        bytes[9] = (uint8_t)last;
        bytes[10] = 0;
        memdb__reader_t reader = memdb__reader(bytes, sizeof bytes);
        uint64_t value = memdb__read_varint(&reader);
        assert_true(reader.bad == (last > 1));
        if (last <= 1)
            assert_true(value == (last ? UINT64_MAX : UINT64_MAX >> 1));
    }
}

static void test_reader_past_the_end_stays_bad(void **state) {
    (void)state;
    static const uint8_t bytes[] = {5, 'a', 'b', 1, 2, 3, 4, 5, 6, 7};
    memdb__reader_t reader = memdb__reader(bytes, 3);
    size_t size = 9;
    assert_null(memdb__read_sized(&reader, &size)); // says 5, has 2
    assert_int_equal(size, 0);
    assert_true(reader.bad);
    assert_int_equal(memdb__read_u8(&reader), 0);
    assert_null(memdb__read_slice(&reader, 0));
    assert_true(memdb__read_varint(&reader) == 0);
    reader = memdb__reader(bytes, 7);
    assert_int_equal(memdb__read_u32(&reader), 0x01626105);
    assert_int_equal(memdb__read_u32(&reader), 0);
    assert_true(reader.bad);
    reader = memdb__reader(NULL, 0);
    assert_int_equal(memdb__read_u64(&reader), 0);
    assert_true(reader.bad);
    reader = memdb__reader(NULL, 0);
    memdb__read_slice(&reader, 0);
    assert_false(reader.bad);
}

static void test_compare_orders_by_bytes_then_size(void **state) {
    (void)state;
    assert_true(memdb__compare("ab", 2, "b", 1) < 0);
    assert_true(memdb__compare("ab", 2, "a", 1) > 0);
    assert_true(memdb__compare("\x80", 1, "\x7f", 1) > 0);
    assert_int_equal(memdb__compare("ab", 2, "ab", 2), 0);
    assert_int_equal(memdb__compare(NULL, 0, NULL, 0), 0);
    assert_true(memdb__compare(NULL, 0, "a", 1) < 0);
}

/// Decode with shifts alone, then refuse what is overlong, a surrogate or too large.
static bool naive_utf8(const uint8_t *p, size_t size) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t at = 0; at < size;) {
        size_t length = p[at] < 0x80             ? 1
                        : (p[at] & 0xe0) == 0xc0 ? 2
                        : (p[at] & 0xf0) == 0xe0 ? 3
                        : (p[at] & 0xf8) == 0xf0 ? 4
                                                 : 0;
        if (!length || length > size - at)
            return false;
        uint32_t code = length == 1 ? p[at] : p[at] & (0x7fu >> length);
        for (size_t i = 1; i < length; i++) {
            if ((p[at + i] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (p[at + i] & 0x3f);
        }
        if (code < least[length] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
            return false;
        at += length;
    }
    return true;
}

static void test_utf8_agrees_with_naive_decoder(void **state) {
    (void)state;
    uint8_t bytes[24];
    for (uint32_t code = 0; code < 1u << 24; code++) {
        bytes[0] = (uint8_t)(code >> 16), bytes[1] = (uint8_t)(code >> 8), bytes[2] = (uint8_t)code;
        if (memdb__is_utf8(bytes, 3) != naive_utf8(bytes, 3))
            fail_msg("%02x %02x %02x", bytes[0], bytes[1], bytes[2]);
    }
    // All four-byte sequences whose second byte decides, with the others at their limits.
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (unsigned lead = 0; lead < 256; lead++)
        for (unsigned second = 0; second < 256; second++)
            for (size_t i = 0; i < sizeof edges * sizeof edges; i++) {
                bytes[0] = (uint8_t)lead, bytes[1] = (uint8_t)second;
                bytes[2] = edges[i / sizeof edges], bytes[3] = edges[i % sizeof edges];
                assert_true(memdb__is_utf8(bytes, 4) == naive_utf8(bytes, 4));
            }
    uint64_t random = test_seed();
    static const char *const pieces[] = {"a",    "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                         "\x80", "\xed\xa0"};
    for (int run = 0; run < 300000; run++) {
        size_t size = 0;
        while (size < 18) {
            // Ill-formed pieces are rare: one in about 25, so that long texts are also well-formed.
            uint64_t pick = test_below(&random, 100);
            const char *piece = pieces[pick < 96 ? pick % 4 : pick % 2 + 4];
            memcpy(bytes + size, piece, strlen(piece));
            size += strlen(piece);
        }
        size -= (size_t)test_below(&random, 3);
        assert_true(memdb__is_utf8(bytes, size) == naive_utf8(bytes, size));
    }
    assert_true(memdb__is_utf8(NULL, 0));
}

static void test_hash_stream_equals_hash_of_the_whole(void **state) {
    (void)state;
    uint8_t data[5000], whole[16], parts[16];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    for (size_t size = 0; size < sizeof data; size += 617) {
        memdb__hash128(data, size, whole);
        memdb__hash128_stream_t *stream = memdb__hash128_create();
        assert_non_null(stream);
        memdb__hash128_update(stream, data, size / 3);
        memdb__hash128_update(stream, data + size / 3, size - size / 3);
        memdb__hash128_digest(stream, parts);
        memdb__hash128_destroy(stream);
        assert_memory_equal(whole, parts, 16);
    }
    memdb__hash128_destroy(NULL);
    // Values of XXH3's specification for empty input: what is on disk must never depend on the
    // build.
    assert_true(memdb__hash64("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    memdb__hash128("", 0, whole);
    assert_memory_equal(whole, "\x99\xaa\x06\xd3\x01\x47\x98\xd8\x60\x01\xc3\x24\x46\x8d\x49\x7f",
                        16);
    assert_true(memdb__hash64("a", 1, 1) != memdb__hash64("a", 1, 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_are_little_or_big_endian),
        cmocka_unit_test(test_varint_limits_round_trip),
        cmocka_unit_test(test_varint_above_64_bits_is_bad),
        cmocka_unit_test(test_reader_past_the_end_stays_bad),
        cmocka_unit_test(test_compare_orders_by_bytes_then_size),
        cmocka_unit_test(test_utf8_agrees_with_naive_decoder),
        cmocka_unit_test(test_hash_stream_equals_hash_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
