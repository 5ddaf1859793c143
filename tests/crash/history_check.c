// See history.h: comparing a database with the oracle.
#include "tests/crash/choice.h"
#include "tests/crash/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct checker {
    memdb_t *db;
    memdb_snapshot_t *snapshot;
    const history_t *history;
    uint32_t writer;
    memdb_space_t space;
    content_t content;
    uint64_t ids[SLOTS];
    char *what;
} checker_t;

/// Always false: what is wrong, and why the engine says so.
static bool wrong(const checker_t *checker, memdb_status_t status, const char *what,
                  uint32_t number) {
    char message[300] = "";
    if (status && checker->db) {
        memdb_last_error(checker->db, message, sizeof message);
    }
    snprintf(checker->what, 400, "writer %u after %u transactions: %s %u%s%s %.250s",
             checker->writer, checker->content.count, what, number, status ? ": " : "",
             status ? memdb_status_name(status) : "", message);
    return false;
}

static bool equal(memdb_bytes_t left, memdb_bytes_t right) {
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

// ------------------------------------------------------------------------------ memories

static bool check_blob(const checker_t *checker, const memdb_memory_t *memory, uint32_t slot) {
    const slot_t *expected = &checker->content.slots[slot];
    memdb_blob_reader_t *reader;
    size_t read = 0;
    if (memory->blob_count != (expected->blob_bytes != 0)) {
        return wrong(checker, MEMDB_OK, "another number of blobs in slot", slot);
    }
    if (!expected->blob_bytes) {
        return true;
    }
    memdb_status_t status = memdb_blob_reader_open(checker->snapshot, &memory->blobs[0], &reader);
    if (status) {
        return wrong(checker, status, "blob of slot", slot);
    }
    memdb_bytes_t bytes = history_blob(checker->history, checker->writer, slot, expected->number,
                                       expected->blob_bytes);
    char *found = malloc(bytes.size + 1);
    status = found ? memdb_blob_reader_read(reader, 0, found, bytes.size + 1, &read) : MEMDB_NOMEM;
    bool same = !status && read == bytes.size && memcmp(found, bytes.data, read) == 0;
    memdb_blob_reader_close(reader);
    free(found);
    return same || wrong(checker, status, "other bytes in the blob of slot", slot);
}

static bool check_vector(const checker_t *checker, const memdb_memory_t *memory, uint32_t slot) {
    const slot_t *expected = &checker->content.slots[slot];
    float vector[DIMENSION], found[DIMENSION];
    if (memory->dimension != (expected->vector ? DIMENSION : 0)) {
        return wrong(checker, MEMDB_OK, "another dimension in slot", slot);
    }
    if (!expected->vector) {
        return true;
    }
    memdb_status_t status =
        memdb_get_vector(checker->snapshot, checker->space, memory->id, found, DIMENSION);
    history_vector(checker->history, checker->writer, slot, expected->number, vector);
    double product = 0, own = 0, other = 0; // a space of cosine keeps the direction alone
    for (size_t i = 0; i < DIMENSION && !status; i++) {
        product += (double)vector[i] * found[i];
        own += (double)vector[i] * vector[i];
        other += (double)found[i] * found[i];
    }
    if (!status && product < 0.999 * sqrt(own * other)) {
        return wrong(checker, MEMDB_OK, "another vector in slot", slot);
    }
    return status == MEMDB_OK || wrong(checker, status, "vector of slot", slot);
}

static bool check_slot(checker_t *checker, uint32_t slot) {
    const slot_t *expected = &checker->content.slots[slot];
    memdb_memory_t memory;
    memdb_status_t status =
        memdb_get_by_key(checker->snapshot, checker->space, history_key(slot), &memory);
    if (status == MEMDB_NOT_FOUND && !expected->there) {
        return true;
    }
    if (status || !expected->there) {
        return wrong(checker, status, "slot", slot);
    }
    checker->ids[slot] = memory.id;
    if (!equal(memory.text,
               history_text(checker->history, checker->writer, slot, expected->number))) {
        return wrong(checker, MEMDB_OK, "another text in slot", slot);
    }
    return check_blob(checker, &memory, slot) && check_vector(checker, &memory, slot);
}

// ------------------------------------------------------------------------------ links, spaces

static bool check_links_of(const checker_t *checker, uint32_t from) {
    memdb_link_cursor_t *cursor;
    memdb_link_t link;
    uint32_t found = 0, right = 0, expected = 0;
    memdb_status_t status =
        memdb_links_open(checker->snapshot, checker->space, checker->ids[from], MEMDB_DIRECTION_OUT,
                         (memdb_bytes_t){NULL, 0}, &cursor);
    if (status) {
        return wrong(checker, status, "links of slot", from);
    }
    while ((status = memdb_links_next(cursor, &link)) == MEMDB_OK) {
        found++;
        for (uint32_t to = 0; to < ANCHORS; to++) {
            right += link.to == checker->ids[to] && checker->content.links[from][to] &&
                     link.weight == checker->content.links[from][to];
        }
    }
    memdb_links_close(cursor);
    for (uint32_t to = 0; to < ANCHORS; to++) {
        expected += checker->content.links[from][to] != 0;
    }
    return (status == MEMDB_DONE && found == expected && right == expected) ||
           wrong(checker, status == MEMDB_DONE ? MEMDB_OK : status, "other links of slot", from);
}

static bool check_scratch(const checker_t *checker) {
    memdb_space_t scratch;
    memdb_memory_t memory;
    memdb_status_t status =
        memdb_space_find(checker->snapshot, history_space(checker->writer, true), &scratch);
    if (!checker->content.scratch) {
        return status == MEMDB_NOT_FOUND || wrong(checker, status, "the dropped space", 0);
    }
    for (uint32_t slot = 0; slot < 2; slot++) {
        status = status ? status
                        : memdb_get_by_key(checker->snapshot, scratch, history_key(slot), &memory);
        if (status || !equal(memory.text, history_text(checker->history, checker->writer, slot,
                                                       checker->content.scratch - 1))) {
            return wrong(checker, status, "memory of the second space", slot);
        }
    }
    return true;
}

static bool check_figures(const checker_t *checker) {
    memdb_space_info_t info;
    uint64_t expected = checker->content.count != 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        expected += checker->content.slots[slot].there;
    }
    memdb_status_t status = memdb_space_get_info(checker->snapshot, checker->space, &info);
    return (!status && info.memories == expected) ||
           wrong(checker, status,
                 "the space counts memories:", status ? 0 : (uint32_t)info.memories);
}

// ------------------------------------------------------------------------------ recall

static bool check_query(const checker_t *checker, const memdb_query_t *query, uint32_t slot,
                        bool found) {
    memdb_result_t *result;
    memdb_status_t status = memdb_recall(checker->snapshot, query, &result);
    if (status) {
        return wrong(checker, status, "recall of slot", slot);
    }
    bool right = found ? memdb_result_count(result) == 1 &&
                             memdb_result_hit(result, 0)->id == checker->ids[slot]
                       : memdb_result_count(result) == 0;
    memdb_result_free(result);
    return right ||
           wrong(checker, MEMDB_OK,
                 found ? "recall does not find slot" : "recall finds what is gone of slot", slot);
}

/// The word that only the present text has is found; that of the transaction before is not.
static bool check_recall(const checker_t *checker, uint32_t slot) {
    const slot_t *expected = &checker->content.slots[slot];
    if (!expected->there) {
        return true;
    }
    float vector[DIMENSION];
    memdb_query_t query = {
        .size = sizeof query, .spaces = &checker->space, .space_count = 1, .k = 1};
    query.mode = MEMDB_RECALL_WORDS;
    query.text = history_word(checker->history, checker->writer, slot, expected->number);
    if (!check_query(checker, &query, slot, true)) {
        return false;
    }
    query.text = history_word(checker->history, checker->writer, slot, expected->number - 1);
    if (!check_query(checker, &query, slot, false)) {
        return false;
    }
    if (!expected->vector) {
        return true;
    }
    history_vector(checker->history, checker->writer, slot, expected->number, vector);
    query = (memdb_query_t){.size = sizeof query,
                            .spaces = &checker->space,
                            .space_count = 1,
                            .k = 1,
                            .mode = MEMDB_RECALL_VECTOR,
                            .vector = vector,
                            .dimension = DIMENSION};
    return check_query(checker, &query, slot, true);
}

// ------------------------------------------------------------------------------ the whole

memdb_status_t history_count(memdb_snapshot_t *snapshot, const history_t *history, uint32_t writer,
                             uint32_t *count_out, char what_out[400]) {
    memdb_space_t space;
    memdb_memory_t memory;
    unsigned count = 0;
    *count_out = 0;
    memdb_status_t status = memdb_space_find(snapshot, history_space(writer, false), &space);
    if (status) {
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    status = memdb_get_by_key(snapshot, space, (memdb_bytes_t){"n", 1}, &memory);
    if (status) {
        return status == MEMDB_NOT_FOUND ? MEMDB_CORRUPT : status; // half of a transaction
    }
    for (size_t i = 0; i < memory.text.size && memory.text.data[i] != ' '; i++) {
        count = count * 10 + (unsigned)(memory.text.data[i] - '0');
    }
    if (count == 0 || count > history->writers[writer].attempted ||
        !equal(memory.text, history_count_text(history, writer, count))) {
        snprintf(what_out, 400, "writer %u: a commit that was lost, or never made, is there: %.*s",
                 writer, (int)memory.text.size, memory.text.data);
        return MEMDB_CORRUPT;
    }
    *count_out = count;
    return MEMDB_OK;
}

/// Nothing is there that comes after something that is not.
static bool check_order(const history_t *history, const uint32_t counts[WRITERS], char *what) {
    uint64_t last = 0;
    for (uint32_t i = 0; i < WRITERS; i++) {
        uint64_t lsn = counts[i] ? history->writers[i].lsn[counts[i] - 1] : 0;
        last = lsn > last ? lsn : last;
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        uint64_t lsn =
            counts[i] < history->writers[i].attempted ? history->writers[i].lsn[counts[i]] : 0;
        if (lsn && lsn < last) {
            snprintf(what, 400, "writer %u: transaction %u, at %llu, is not there, one at %llu is",
                     i, counts[i], (unsigned long long)lsn, (unsigned long long)last);
            return false;
        }
    }
    return true;
}

static bool check_writer(checker_t *checker) {
    const writer_history_t *writer = &checker->history->writers[checker->writer];
    uint32_t count;
    memdb_status_t status =
        history_count(checker->snapshot, checker->history, checker->writer, &count, checker->what);
    if (status) {
        return checker->what[0] ? false : wrong(checker, status, "the count", 0);
    }
    if (count < writer->promised) {
        checker->content.count = count;
        return wrong(checker, MEMDB_OK, "lost: it was promised transaction", writer->promised - 1);
    }
    history_content(checker->history, checker->writer, count, &checker->content);
    if (count == 0) {
        return true;
    }
    status =
        memdb_space_find(checker->snapshot, history_space(checker->writer, false), &checker->space);
    for (uint32_t slot = 0; slot < SLOTS && !status; slot++) {
        if (!check_slot(checker, slot)) {
            return false;
        }
    }
    for (uint32_t from = 0; from < ANCHORS && !status; from++) {
        if (checker->content.slots[from].there && !check_links_of(checker, from)) {
            return false;
        }
    }
    choice_t choice = choice_of(checker->history->seed, count);
    return check_scratch(checker) && check_figures(checker) &&
           check_recall(checker, (uint32_t)choose(&choice, SLOTS));
}

bool history_check(memdb_t *db, const history_t *history, uint32_t counts_out[WRITERS],
                   char what_out[400]) {
    checker_t checker = {.db = db, .history = history, .what = what_out};
    what_out[0] = 0;
    memdb_status_t status = memdb_snapshot_begin(db, NULL, &checker.snapshot);
    if (status) {
        return wrong(&checker, status, "snapshot", 0);
    }
    bool right = true;
    for (uint32_t i = 0; i < WRITERS && right; i++) {
        checker_t one = checker;
        one.writer = i;
        right = check_writer(&one);
        counts_out[i] = one.content.count;
    }
    memdb_snapshot_end(checker.snapshot);
    return right && check_order(history, counts_out, what_out);
}
