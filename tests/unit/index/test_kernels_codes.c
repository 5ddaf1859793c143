// Goal: the kernels over 1-bit codes give the integers of their definition on every variant.
// Method: random codes, tables and rows, and extreme ones (all bits, the largest entries); all
// numbers of lines up to 128 around the unrolled steps, blocks with room between them, all strides
// of rows that their contract allows, at any alignment.
#include "tests/unit/index/test_kernels_fixture.h"

#define MAX_LINES 128

// ------------------------------------------------------------------------------ blocks

/// Four bits of an entry's code, by the definition in kernels.h.
static uint8_t group_of(const uint8_t *block, size_t entry, size_t group) {
    size_t line = group / 8, lane = group % 4;
    uint8_t byte = block[line * 64 + lane * 16 + entry];
    return group % 8 < 4 ? byte & 15 : byte >> 4;
}

static void check_scan(const memdb__kernels_t *kernels, size_t lines, size_t blocks, bool extreme) {
    size_t stride = (lines + next() % 5) * 64;
    uint8_t *tables = aligned_alloc(64, lines * 128);
    uint8_t *codes = aligned_alloc(64, blocks * stride);
    uint16_t *sums = test_malloc((blocks * 16 + 1) * sizeof *sums);
    assert_true(tables && codes);
    for (size_t i = 0; i < lines * 128; i++)
        tables[i] = extreme ? 31 : (uint8_t)(next() % 32);
    for (size_t i = 0; i < blocks * stride; i++)
        codes[i] = (uint8_t)next();
    sums[blocks * 16] = 12345;
    kernels->scan_blocks(tables, codes, lines, stride, blocks, sums);
    for (size_t block = 0; block < blocks; block++)
        for (size_t entry = 0; entry < 16; entry++) {
            unsigned sum = 0;
            for (size_t group = 0; group < lines * 8; group++)
                sum += tables[group * 16 + group_of(codes + block * stride, entry, group)];
            if (sums[block * 16 + entry] != sum)
                fail_msg("%zu lines, block %zu, entry %zu: %u, not %u", lines, block, entry,
                         sums[block * 16 + entry], sum);
        }
    assert_int_equal(sums[blocks * 16], 12345);
    test_free(sums);
    free(codes);
    free(tables);
}

static void check_scans(const memdb__kernels_t *kernels) {
    for (size_t lines = 1; lines <= MAX_LINES; lines += lines < 33 ? 1 : 1 + next() % 7) {
        check_scan(kernels, lines, 1 + next() % 4, false);
        check_scan(kernels, lines, 1, true);
    }
    check_scan(kernels, MAX_LINES, 2, true);
    check_scan(kernels, 12, 0, false);
}

static void test_kernels_scan_blocks_adds_the_tables_entries(void **unused) {
    (void)unused;
    each_level(check_scans);
}

// ------------------------------------------------------------------------------ counts of bits

/// How many bits of two rows differ, or are set in both: bit by bit.
static uint32_t bits_of(const uint8_t *a, const uint8_t *b, size_t size, bool differ) {
    uint32_t count = 0;
    for (size_t i = 0; i < size * 8; i++) {
        int x = a[i / 8] >> (i % 8) & 1, y = b[i / 8] >> (i % 8) & 1;
        count += differ ? x != y : x && y;
    }
    return count;
}

static void check_count(const memdb__kernels_t *kernels, size_t stride, size_t count, int mode) {
    // The rows end where the block ends, so that a sanitizer sees a read past them.
    size_t shift = next() % 64;
    uint8_t *query_block = test_malloc(stride + shift);
    uint8_t *row_block = test_malloc(count * stride + shift);
    uint8_t *query = query_block + shift, *rows = row_block + shift;
    uint32_t differ[8], overlap[8];
    for (size_t i = 0; i < stride; i++)
        query[i] = mode == 1 ? 0xff : (uint8_t)next();
    for (size_t i = 0; i < count * stride; i++)
        rows[i] = mode == 1 ? 0xff : mode == 2 ? (uint8_t)~query[i % stride] : (uint8_t)next();
    kernels->differ_rows(query, rows, stride, count, differ);
    kernels->overlap_rows(query, rows, stride, count, overlap);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(differ[i], bits_of(query, rows + i * stride, stride, true));
        assert_int_equal(overlap[i], bits_of(query, rows + i * stride, stride, false));
    }
    test_free(query_block);
    test_free(row_block);
}

static void check_counts(const memdb__kernels_t *kernels) {
    for (size_t stride = 8; stride <= 512; stride += 8)
        for (int mode = 0; mode < 3; mode++)
            check_count(kernels, stride, next() % 8, mode);
    check_count(kernels, 4096, 3, 1);
}

static void test_kernels_count_bits_that_differ_and_overlap(void **unused) {
    (void)unused;
    each_level(check_counts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_kernels_scan_blocks_adds_the_tables_entries, setup),
        cmocka_unit_test_setup(test_kernels_count_bits_that_differ_and_overlap, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
