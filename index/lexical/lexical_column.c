// Columns: packing a block, and reading one number of it.
#include "index/lexical/lexical_column.h"

static uint64_t blocks_of(uint64_t numbers) {
    return (numbers + MEMDB__COLUMN_BLOCK - 1) / MEMDB__COLUMN_BLOCK;
}

// Bits for numbers up to `greatest`. A load of 8 bytes that begins at any bit of a byte holds 57.
static uint32_t bits_for(uint64_t greatest) {
    uint32_t bits = greatest ? 64 - (uint32_t)__builtin_clzll(greatest) : 0;
    return bits <= 56 ? bits : 64;
}

static uint64_t block_bytes(uint32_t bits) {
    return MEMDB__COLUMN_BLOCK / 8 * (uint64_t)bits;
}

// The number of the block that all others are above; as they wrap, "above" is seen from the first.
static uint64_t least_of(const uint64_t *numbers, uint32_t count) {
    int64_t least = 0;
    for (uint32_t i = 1; i < count; i++) {
        int64_t step = (int64_t)(numbers[i] - numbers[0]);
        least = step < least ? step : least;
    }
    return numbers[0] + (uint64_t)least;
}

// `to` is zero, and 8 bytes behind the block are too.
static void pack(uint8_t *to, const uint64_t *numbers, uint32_t count, uint64_t least,
                 uint32_t bits) {
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *at = to + (i * bits >> 3);
        memdb__put_u64(at, memdb__get_u64(at) | (numbers[i] - least) << (i * bits & 7));
    }
}

static void close_block(memdb__column_t *column) {
    uint8_t head[MEMDB__COLUMN_HEAD_BYTES] = {0};
    uint64_t least = least_of(column->block, column->used), greatest = 0;
    for (uint32_t i = 0; i < column->used; i++) {
        uint64_t above = column->block[i] - least;
        greatest = above > greatest ? above : greatest;
    }
    uint32_t bits = bits_for(greatest);
    memdb__put_u64(head, least);
    memdb__put_u64(head + 8, column->bits.size | (uint64_t)bits << 48);
    memdb__buffer_append(&column->heads, head, sizeof head);
    if (memdb__buffer_reserve(&column->bits, block_bytes(bits) + MEMDB__COLUMN_END_BYTES)) {
        uint8_t *to = column->bits.data + column->bits.size;
        memset(to, 0, block_bytes(bits) + MEMDB__COLUMN_END_BYTES);
        pack(to, column->block, column->used, least, bits);
        column->bits.size += block_bytes(bits);
    }
    column->used = 0;
}

void memdb__column_add(memdb__column_t *column, uint64_t number) {
    column->block[column->used] = number - (column->rising ? column->used : 0);
    if (++column->used == MEMDB__COLUMN_BLOCK) {
        close_block(column);
    }
}

void memdb__column_end(memdb__column_t *column) {
    if (column->used) {
        close_block(column);
    }
    memdb__buffer_append_u64(&column->bits, 0);
}

void memdb__column_deinit(memdb__column_t *column) {
    memdb__buffer_deinit(&column->heads);
    memdb__buffer_deinit(&column->bits);
}

bool memdb__column_fits(uint64_t size, uint64_t numbers) {
    uint64_t heads = blocks_of(numbers) * MEMDB__COLUMN_HEAD_BYTES;
    return size >= heads + MEMDB__COLUMN_END_BYTES;
}

typedef struct block {
    uint64_t least, position; // of its bits, in the section
    uint32_t bits;
} block_t;

static memdb_status_t read_head(const memdb__words_segment_t *segment, uint32_t section,
                                uint64_t number, block_t *block_out, memdb_error_t *error) {
    uint64_t at = number * MEMDB__COLUMN_HEAD_BYTES;
    memdb_status_t status =
        memdb__segment_touch(segment, section, at, MEMDB__COLUMN_HEAD_BYTES, error);
    if (status) {
        return status;
    }
    const uint8_t *head = segment->sections[section] + at;
    uint64_t heads = blocks_of(segment->head.documents) * MEMDB__COLUMN_HEAD_BYTES;
    uint64_t place = memdb__get_u64(head + 8);
    block_out->least = memdb__get_u64(head);
    block_out->position = heads + (place & (((uint64_t)1 << 48) - 1));
    block_out->bits = (uint32_t)(place >> 48);
    return block_out->bits <= 56 || block_out->bits == 64
               ? MEMDB_OK
               : memdb__segment_corrupt(segment, section, at, "the head of a block is malformed",
                                        error);
}

memdb_status_t memdb__column_read(const memdb__words_segment_t *segment, uint32_t section,
                                  uint64_t number, bool rising, uint64_t *value_out,
                                  memdb_error_t *error) {
    block_t block;
    uint64_t place = number % MEMDB__COLUMN_BLOCK;
    memdb_status_t status =
        read_head(segment, section, number / MEMDB__COLUMN_BLOCK, &block, error);
    if (status) {
        return status;
    }
    uint64_t value = block.least + (rising ? place : 0);
    if (block.bits) {
        uint64_t bit = place * block.bits, at = block.position + (bit >> 3);
        status = memdb__segment_touch(segment, section, at, 8, error);
        if (status) {
            return status;
        }
        uint64_t loaded = memdb__get_u64(segment->sections[section] + at) >> (bit & 7);
        value += loaded & UINT64_MAX >> (64 - block.bits);
    }
    *value_out = value;
    return MEMDB_OK;
}

memdb_status_t memdb__column_verify(const memdb__words_segment_t *segment, uint32_t section,
                                    uint64_t *position_out, memdb_error_t *error) {
    uint64_t documents = segment->head.documents, blocks = blocks_of(documents);
    uint64_t expected = blocks * MEMDB__COLUMN_HEAD_BYTES;
    const uint8_t *bytes = segment->sections[section];
    for (uint64_t i = 0; i < blocks; i++) {
        block_t block;
        *position_out = i * MEMDB__COLUMN_HEAD_BYTES;
        memdb_status_t status = read_head(segment, section, i, &block, error);
        if (!status && block.position != expected) {
            status = memdb__segment_corrupt(segment, section, *position_out,
                                            "the blocks of a column do not adjoin", error);
        }
        if (!status) {
            status =
                memdb__segment_touch(segment, section, expected, block_bytes(block.bits), error);
        }
        if (status) {
            return status;
        }
        uint64_t left = documents - i * MEMDB__COLUMN_BLOCK;
        uint64_t used =
            left < MEMDB__COLUMN_BLOCK ? left * block.bits : 8 * block_bytes(block.bits);
        for (uint64_t bit = used; bit < 8 * block_bytes(block.bits); bit++) {
            if (bytes[expected + (bit >> 3)] >> (bit & 7) & 1) {
                *position_out = expected + (bit >> 3);
                return memdb__segment_corrupt(segment, section, *position_out,
                                              "a block has bits without a meaning", error);
            }
        }
        expected += block_bytes(block.bits);
    }
    *position_out = expected;
    memdb_status_t status =
        memdb__segment_touch(segment, section, expected, MEMDB__COLUMN_END_BYTES, error);
    if (status) {
        return status;
    }
    return memdb__get_u64(bytes + expected) == 0 &&
                   segment->sizes[section] == expected + MEMDB__COLUMN_END_BYTES
               ? MEMDB_OK
               : memdb__segment_corrupt(segment, section, expected, "a column has another end",
                                        error);
}
