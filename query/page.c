// Pages. See query_page.h.
#include "base/bytes.h"
#include "base/checksum.h"
#include "query/query_page.h"
#include "query/query_recall.h"

#define BYTES (MEMDB__PAGE_DIGITS / 2)
#define SUMMED (BYTES - 8)
#define VERSION 1u

// ------------------------------------------------------------------------------ as text

void memdb__page_encode(const memdb__page_t *page, char digits_out[MEMDB__PAGE_DIGITS + 1]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[BYTES];
    memdb__put_u64(bytes, page->lsn);
    memdb__put_u64(bytes + 8, (uint64_t)page->time);
    memdb__put_u64(bytes + 16, (uint64_t)page->now);
    memdb__put_u64(bytes + 24, page->question);
    memdb__put_u64(bytes + 32, page->order);
    memdb__put_u32(bytes + 40, page->before);
    memdb__put_u32(bytes + 44, VERSION);
    memdb__put_u64(bytes + SUMMED, memdb__hash64(bytes, SUMMED, 0));
    for (size_t i = 0; i < BYTES; i++) {
        digits_out[2 * i] = digits[bytes[i] >> 4];
        digits_out[2 * i + 1] = digits[bytes[i] & 15];
    }
    digits_out[MEMDB__PAGE_DIGITS] = 0;
}

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool memdb__page_decode(memdb_bytes_t digits, memdb__page_t *page_out) {
    uint8_t bytes[BYTES];
    if (digits.size != MEMDB__PAGE_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < BYTES; i++) {
        int high = digit(digits.data[2 * i]), low = digit(digits.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    *page_out = (memdb__page_t){.lsn = memdb__get_u64(bytes),
                                .time = (int64_t)memdb__get_u64(bytes + 8),
                                .now = (int64_t)memdb__get_u64(bytes + 16),
                                .question = memdb__get_u64(bytes + 24),
                                .order = memdb__get_u64(bytes + 32),
                                .before = memdb__get_u32(bytes + 40)};
    return memdb__get_u32(bytes + 44) == VERSION && page_out->before > 0 &&
           page_out->before <= MEMDB__RECALL_MAX_K &&
           memdb__get_u64(bytes + SUMMED) == memdb__hash64(bytes, SUMMED, 0);
}

// ------------------------------------------------------------------------------ hashes

static void add(uint64_t *hash, const void *data, size_t size) {
    *hash = memdb__hash64(data, size, *hash ^ size);
}

static void add_number(uint64_t *hash, uint64_t number) {
    uint8_t bytes[8];
    memdb__put_u64(bytes, number);
    add(hash, bytes, sizeof bytes);
}

static void add_bytes(uint64_t *hash, memdb_bytes_t bytes) {
    add(hash, bytes.data ? bytes.data : "", bytes.size);
}

static void add_real(uint64_t *hash, double number) {
    add_number(hash, memdb__double_bits(number));
}

static void add_numbers(uint64_t *hash, const memdb_query_t *query) {
    const uint64_t numbers[] = {query->mode,
                                query->has_weights,
                                query->phrase_required,
                                query->boolean,
                                (uint64_t)query->now,
                                query->has_window,
                                query->has_window ? (uint64_t)query->window_from : 0,
                                query->has_window ? (uint64_t)query->window_to : 0,
                                (uint64_t)query->valid_at,
                                query->fold};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        add_number(hash, numbers[i]);
    }
    add_real(hash, query->mmr);
    for (int i = 0; query->has_weights && i < MEMDB_SIGNAL_COUNT; i++) {
        add_real(hash, query->weights[i]);
    }
}

memdb_status_t memdb__page_question(const memdb_t *db, const memdb_query_t *query, uint32_t k,
                                    uint64_t *hash_out, memdb_error_t *error) {
    uint64_t hash = k;
    memdb__buffer_t filter = {0};
    add(&hash, db->database_id, sizeof db->database_id);
    for (size_t i = 0; i < query->space_count; i++) {
        add_number(&hash, query->spaces[i]);
    }
    add_number(&hash, query->space_count);
    add_bytes(&hash, query->text);
    add_bytes(&hash, query->session);
    if (query->vector) {
        add(&hash, query->vector, query->dimension * sizeof *query->vector);
    }
    add_number(&hash, query->vector ? query->dimension : 0);
    if (query->filter) {
        memdb__filter_print(query->filter, query->filter->root, &filter);
        add(&hash, filter.data, filter.size);
    }
    for (size_t i = 0; i < query->seed_count; i++) {
        add_number(&hash, query->seeds[i]);
    }
    add_number(&hash, query->seed_count);
    add_numbers(&hash, query);
    bool failed = filter.failed;
    memdb__buffer_deinit(&filter);
    if (failed) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the page of a query");
    }
    *hash_out = hash;
    return MEMDB_OK;
}

uint64_t memdb__page_order(const memdb_hit_t *hits, size_t count) {
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++) {
        add_number(&hash, hits[i].id);
    }
    return hash;
}

// ------------------------------------------------------------------------------ going on

memdb_status_t memdb_page_lsn(memdb_bytes_t page, uint64_t *lsn_out) {
    memdb__page_t read;
    if (!lsn_out || !page.data || !memdb__page_decode(page, &read)) {
        return MEMDB_INVALID;
    }
    *lsn_out = read.lsn;
    return MEMDB_OK;
}

memdb_status_t memdb__page_read(const memdb_snapshot_t *snapshot, const memdb_query_t *query,
                                uint64_t question, memdb__page_t *page_out, memdb_error_t *error) {
    uint64_t visible = memdb__snapshot_visible(snapshot);
    if (query->skip || query->token_budget) {
        return memdb__fail(error, MEMDB_INVALID,
                           "page: it goes with neither skip nor token_budget");
    }
    if (!memdb__page_decode(query->page, page_out)) {
        return memdb__fail(error, MEMDB_INVALID, "page: this is none, or it is damaged");
    }
    if (page_out->question != question) {
        return memdb__fail(error, MEMDB_INVALID,
                           "page: it is of another question, or of another database");
    }
    if (page_out->lsn != visible) {
        return memdb__fail(
            error, MEMDB_INVALID,
            "page: it is of position %llu, and the snapshot is of %llu: go on in the "
            "snapshot of the first page, or in one as of that position",
            (unsigned long long)page_out->lsn, (unsigned long long)visible);
    }
    return MEMDB_OK;
}
