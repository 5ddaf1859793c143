// Descriptions of tables: checking, encoding, decoding. See description.h for the layout.
#include "base/checksum.h"
#include "engine/table/tables.h"

#define HEAD_BYTES 18 // in front of the name

memdb_status_t memdb__table_check(const memdb_table_info_t *info, memdb__table_format_t *format_out,
                                  memdb_error_t *error) {
    if (info->size < sizeof *info) {
        return memdb__fail(error, MEMDB_INVALID, "table: the struct's size is not set");
    }
    if (!info->name.size || !info->name.data || info->name.size > MEMDB_MAX_NAME_BYTES) {
        return memdb__fail(error,
                           info->name.size > MEMDB_MAX_NAME_BYTES ? MEMDB_LIMIT : MEMDB_INVALID,
                           "table: a name of 1 to %d bytes is needed, not %zu",
                           MEMDB_MAX_NAME_BYTES, info->name.size);
    }
    if (!memdb__is_utf8(info->name.data, info->name.size) ||
        memchr(info->name.data, 0, info->name.size)) {
        return memdb__fail(error, MEMDB_INVALID,
                           "table: the name is not UTF-8, or holds a zero byte");
    }
    if (info->rows == 0 || info->rows > MEMDB__TABLE_MAX_ROWS) {
        return memdb__fail(error, info->rows ? MEMDB_LIMIT : MEMDB_INVALID,
                           "table: %llu rows, at most 2^40", (unsigned long long)info->rows);
    }
    if (!memdb__table_format_init(format_out, info->dtype, info->dimension, info->scale_group)) {
        return memdb__fail(
            error, info->dimension > MEMDB_MAX_TABLE_DIMENSION ? MEMDB_LIMIT : MEMDB_INVALID,
            "table: rows of %u numbers (at most %d) of dtype %d in groups of %u", info->dimension,
            MEMDB_MAX_TABLE_DIMENSION, (int)info->dtype, info->scale_group);
    }
    return memdb__hashing_check(&info->hashing, info->rows, error);
}

size_t memdb__table_value_bytes(const memdb__table_description_t *description) {
    return description->format.row_bytes + (description->info.adagrad ? sizeof(float) : 0);
}

static void append_numbers(memdb__buffer_t *out, const uint64_t *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        memdb__buffer_append_u64(out, numbers[i]);
    }
}

static void append_hashing(memdb__buffer_t *out, const memdb_hashing_t *hashing) {
    memdb__buffer_append_u32(out, hashing->layers);
    if (!hashing->layers) {
        return;
    }
    memdb__buffer_append_u32(out, hashing->min_order);
    memdb__buffer_append_u32(out, hashing->max_order);
    memdb__buffer_append_u32(out, hashing->heads);
    memdb__buffer_append_u32(out, (uint32_t)hashing->pad);
    append_numbers(out, hashing->multipliers, memdb__multiplier_count(hashing));
    append_numbers(out, hashing->primes, memdb__prime_count(hashing));
    append_numbers(out, hashing->offsets, memdb__prime_count(hashing));
    memdb__buffer_append_u32(out, hashing->token_count);
    for (uint32_t i = 0; i < hashing->token_count; i++) {
        memdb__buffer_append_u32(out, (uint32_t)hashing->token_map[i]);
    }
}

bool memdb__table_encode(memdb__buffer_t *out, const memdb_table_info_t *info) {
    memdb__buffer_append_u64(out, info->rows);
    memdb__buffer_append_u32(out, info->dimension);
    memdb__buffer_append_u8(out, (uint8_t)info->dtype);
    memdb__buffer_append_u8(out, info->adagrad);
    memdb__buffer_append_u32(out, info->scale_group);
    memdb__buffer_append_sized(out, info->name.data, info->name.size);
    append_hashing(out, &info->hashing);
    return !out->failed;
}

// ------------------------------------------------------------------------------ decoding

bool memdb__table_decode_name(const uint8_t *data, size_t size, memdb_bytes_t *name_out) {
    memdb__reader_t reader = memdb__reader(data, size);
    memdb__read_slice(&reader, HEAD_BYTES);
    name_out->data = (const char *)memdb__read_sized(&reader, &name_out->size);
    return !reader.bad && name_out->size > 0 && name_out->size <= MEMDB_MAX_NAME_BYTES;
}

/// What stands in front of the name. False: it cannot be.
static bool read_head(memdb__reader_t *reader, memdb__table_description_t *d) {
    d->info.rows = memdb__read_u64(reader);
    d->info.dimension = memdb__read_u32(reader);
    d->info.dtype = (memdb_dtype_t)memdb__read_u8(reader);
    uint8_t adagrad = memdb__read_u8(reader);
    d->info.adagrad = adagrad == 1;
    d->info.scale_group = memdb__read_u32(reader);
    return !reader->bad && adagrad <= 1 &&
           memdb__table_format_init(&d->format, d->info.dtype, d->info.dimension,
                                    d->info.scale_group);
}

bool memdb__table_decode_shape(const uint8_t *data, size_t size, uint64_t *rows_out,
                               size_t *value_bytes_out) {
    memdb__reader_t reader = memdb__reader(data, size);
    memdb__table_description_t d = {0};
    if (!read_head(&reader, &d)) {
        return false;
    }
    *rows_out = d.info.rows;
    *value_bytes_out = memdb__table_value_bytes(&d);
    return true;
}

/// The counts of a hash, which say how many numbers follow. False: they cannot be.
static bool read_shape(memdb__reader_t *reader, memdb_hashing_t *hashing) {
    hashing->layers = memdb__read_u32(reader);
    if (!hashing->layers) {
        return !reader->bad;
    }
    hashing->min_order = memdb__read_u32(reader);
    hashing->max_order = memdb__read_u32(reader);
    hashing->heads = memdb__read_u32(reader);
    hashing->pad = (int32_t)memdb__read_u32(reader);
    return !reader->bad && hashing->layers <= MEMDB_MAX_HASH_LAYERS && hashing->min_order > 0 &&
           hashing->min_order <= hashing->max_order && hashing->max_order <= MEMDB_MAX_HASH_ORDER &&
           hashing->heads > 0 && hashing->heads <= MEMDB_MAX_HASH_HEADS;
}

static uint64_t *read_numbers(memdb__reader_t *reader, size_t count, uint64_t **at) {
    uint64_t *numbers = *at;
    for (size_t i = 0; i < count; i++) {
        numbers[i] = memdb__read_u64(reader);
    }
    *at += count;
    return numbers;
}

/// Everything behind the head and the name, into one block of memory: the numbers, the map, the
/// name.
static memdb_status_t read_rest(memdb__reader_t *reader, memdb__table_description_t *d) {
    memdb_hashing_t *hashing = &d->info.hashing;
    if (!read_shape(reader, hashing)) {
        return MEMDB_CORRUPT;
    }
    size_t numbers = memdb__multiplier_count(hashing) + 2 * memdb__prime_count(hashing);
    size_t left = memdb__reader_left(reader), constants = numbers * 8 + (hashing->layers ? 4 : 0);
    if (left < constants || (left - constants) % 4 || (!hashing->layers && left)) {
        return MEMDB_CORRUPT;
    }
    size_t tokens = (left - constants) / 4;
    uint64_t *at = memdb__allocate(numbers * 8 + tokens * 4 + d->info.name.size);
    if (!at) {
        return MEMDB_NOMEM;
    }
    d->memory = at;
    if (hashing->layers) {
        hashing->multipliers = read_numbers(reader, memdb__multiplier_count(hashing), &at);
        hashing->primes = read_numbers(reader, memdb__prime_count(hashing), &at);
        hashing->offsets = read_numbers(reader, memdb__prime_count(hashing), &at);
        hashing->token_count = memdb__read_u32(reader);
    }
    int32_t *map = (int32_t *)at;
    for (size_t i = 0; i < tokens; i++) {
        map[i] = (int32_t)memdb__read_u32(reader);
    }
    hashing->token_map = tokens ? map : NULL;
    char *name = (char *)(map + tokens);
    memcpy(name, d->info.name.data, d->info.name.size);
    d->info.name.data = name;
    return reader->bad || hashing->token_count != tokens ? MEMDB_CORRUPT : MEMDB_OK;
}

/// Shape, dtype and hashing: everything but the name, which ends at `after`, and the sum of
/// Adagrad, which change no row's place.
static void identify(const uint8_t *data, size_t size, size_t after, uint8_t identity_out[16]) {
    uint8_t shape[17 + 16];
    memcpy(shape, data, 13);          // rows, dimension, dtype
    memcpy(shape + 13, data + 14, 4); // scale group
    memdb__hash128(data + after, size - after, shape + 17);
    memdb__hash128(shape, sizeof shape, identity_out);
}

memdb_status_t memdb__table_decode(const uint8_t *data, size_t size,
                                   memdb__table_description_t *description_out) {
    memdb__reader_t reader = memdb__reader(data, size);
    memdb__table_description_t d = {.info.size = sizeof d.info};
    if (!read_head(&reader, &d)) {
        return MEMDB_CORRUPT;
    }
    d.info.name.data = (const char *)memdb__read_sized(&reader, &d.info.name.size);
    if (reader.bad) {
        return MEMDB_CORRUPT;
    }
    size_t after = (size_t)(reader.at - data);
    memdb_status_t status = read_rest(&reader, &d);
    if (!status && memdb__table_check(&d.info, &d.format, NULL)) {
        status = MEMDB_CORRUPT;
    }
    if (status) {
        memdb__table_description_deinit(&d);
        return status;
    }
    identify(data, size, after, d.info.identity);
    d.info.row_bytes = d.format.row_bytes;
    *description_out = d;
    return MEMDB_OK;
}

void memdb__table_description_deinit(memdb__table_description_t *description) {
    memdb__free(description->memory);
    description->memory = NULL;
}
