// Test helper: the steps of a database's life. See life.h.
#include "engine/engine.h"
#include "include/memdb_runtime.h"
#include "tests/lib/life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FULL MEMDB_DURABILITY_FULL

// ------------------------------------------------------------------------------ writing

static memdb_status_t keep_history(life_t *life, memdb_error_t *error) {
    (void)error;
    memdb_settings_t settings = {.size = sizeof settings, .history_bytes = 1u << 30};
    return memdb_configure(life->db, &settings);
}

static void settings(life_t *life) {
    life->history = life_must(life, keep_history);
}

static memdb_status_t end_history(life_t *life, memdb_error_t *error) {
    (void)error;
    memdb_settings_t settings = {.size = sizeof settings};
    return memdb_configure(life->db, &settings);
}

static void end_of_history(life_t *life) {
    life->moment = 0;
    life_must(life, end_history);
}

static void put_some(life_t *life) {
    for (int i = 0; i < 4; i++) {
        life_change(life, i, i == 2 ? LIFE_VECTOR | LIFE_BLOB | LIFE_LINK | LIFE_LONG : 0, FULL);
    }
}

static void put_at_each_durability(life_t *life) {
    life_change(life, 4, 0, MEMDB_DURABILITY_NONE);
    life_change(life, 5, LIFE_BLOB, MEMDB_DURABILITY_OS);
    life_change(life, 6, LIFE_VECTOR | LIFE_LINK, FULL);
    life_change(life, 7, LIFE_VECTOR, MEMDB_DURABILITY_DEFAULT);
}

static void update_and_forget(life_t *life) {
    life_change(life, 0, 0, FULL);
    life_change(life, 2, LIFE_VECTOR, FULL);
    life_change(life, 5, LIFE_FORGET, FULL);
    life_change(life, 3, LIFE_FORGET, MEMDB_DURABILITY_NONE);
    life_change(life, 6, LIFE_LONG | LIFE_BLOB, FULL);
}

/// So many bytes that the log goes on in further segments, and uses old ones again.
static void fill_the_log(life_t *life) {
    for (int i = 0; i < 14; i++) {
        life_change(life, 8 + i % 3, LIFE_LONG, i % 5 ? MEMDB_DURABILITY_OS : FULL);
    }
}

static memdb_status_t stream_a_blob(life_t *life, memdb_txn_t *txn) {
    char part[1000];
    memdb_space_t space;
    memdb_blob_writer_t *writer;
    memdb_blob_t blob;
    (void)life;
    memdb_status_t status = memdb_space_ensure(txn, text("side"), &space);
    status = status ? status : memdb_blob_writer_open(txn, &writer);
    for (int i = 0; i < 100 && !status; i++) {
        memset(part, 'a' + i % 26, sizeof part);
        status = memdb_blob_writer_append(writer, part, sizeof part);
        if (status) {
            memdb_blob_writer_abort(writer);
        }
    }
    status = status ? status : memdb_blob_writer_finish(writer, &blob);
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_BLOBS,
                             .key = text("stream"),
                             .blobs = &blob,
                             .blob_count = 1};
    return status ? status : memdb_put(txn, space, &memory, NULL);
}

static void stream(life_t *life) {
    life_commit(life, stream_a_blob);
}

/// A memory that passes comes and goes; the one that an earlier try left goes with it.
static memdb_status_t forget_passing(life_t *life, memdb_txn_t *txn) {
    memdb_space_t space;
    memdb_filter_t *filter;
    uint64_t count = 0;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KIND | MEMDB_FIELD_ATTRS,
                             .kind = text("passing"),
                             .attrs = text("{\"for\": [\"a\", \"moment\"]}")};
    (void)life;
    memdb_status_t status = memdb_space_ensure(txn, text("side"), &space);
    status = status ? status : memdb_put(txn, space, &memory, NULL);
    status = status ? status
                    : memdb_filter_parse(text("kind = 'passing' and attr.for contains 'moment'"),
                                         NULL, 0, &filter, NULL);
    if (status) {
        return status;
    }
    status = memdb_forget_where(txn, space, filter, false, &count);
    memdb_filter_free(filter);
    assert_true(status || count == 1);
    return status;
}

static void forget_by_a_filter(life_t *life) {
    life_commit(life, forget_passing);
}

/// A table is there after the first try; its row 3 counts what was committed.
static memdb_status_t count_in_a_row(life_t *life, memdb_txn_t *txn) {
    memdb_table_info_t info = {.size = sizeof info,
                               .name = text("counts"),
                               .rows = 10,
                               .dimension = 2,
                               .dtype = MEMDB_DTYPE_F32,
                               .adagrad = true};
    const uint64_t row = 3;
    const float ones[] = {1, 1};
    float before[2] = {0}, after[2] = {0};
    memdb_table_t *table;
    memdb_snapshot_t *own = memdb_txn_snapshot(txn);
    memdb_status_t status = memdb_table_open(own, info.name, &info, &table);
    if (status == MEMDB_NOT_FOUND) {
        status = memdb_table_create(txn, &info);
        status = status ? status : memdb_table_open(own, info.name, &info, &table);
    }
    if (status) {
        return status;
    }
    status = memdb_table_gather(own, table, &row, 1, true, before, sizeof before);
    status = status ? status : memdb_table_update(txn, table, &row, 1, MEMDB_ROWS_ADD, ones, 1);
    status = status ? status : memdb_table_gather_bag(own, table, &row, ones, 1, 1, after);
    memdb_table_close(table);
    assert_true(status || after[1] == before[1] + 1);
    (void)life;
    return status;
}

static void rows_of_a_table(life_t *life) {
    life_commit(life, count_in_a_row);
    life_commit(life, count_in_a_row);
}

static memdb_status_t recall_gated(memdb_snapshot_t *snapshot, memdb_space_t space) {
    memdb_query_t query = {
        .size = sizeof query, .spaces = &space, .space_count = 1, .text = text("granite")};
    memdb_result_t *result;
    memdb_status_t status = memdb_recall(snapshot, &query, &result);
    if (!status) {
        memdb_result_free(result);
    }
    return status;
}

/// What is there stays as it is, and what is like it is refused by each gate, whatever was tried
/// before.
static memdb_status_t pass_gates(life_t *life, memdb_txn_t *txn) {
    memdb_space_t space;
    memdb_space_options_t options = {.size = sizeof options,
                                     .gates = {.most_alike = 1,
                                               .most_memories = 9,
                                               .most_text_bytes = 900,
                                               .no_copies = true,
                                               .no_recalled = true,
                                               .most_near = .9}};
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_VECTOR,
                             .key = text("one"),
                             .text = text("granite and moss"),
                             .vector = (const float[]){1, 2},
                             .dimension = 2};
    const memdb_bytes_t like[] = {text("granite and moss"), text("Moss and granite"),
                                  text("something else"), text("granite and moss ")};
    (void)life;
    memdb_status_t status = memdb_space_create(txn, text("gated"), &options, &space);
    if (status == MEMDB_EXISTS) { // an earlier try's commit was there
        status = memdb_space_find(memdb_txn_snapshot(txn), text("gated"), &space);
    }
    status = status ? status : memdb_space_set_gates(txn, space, &options.gates);
    status = status ? status : memdb_put(txn, space, &memory, NULL);
    for (size_t i = 0; !status && i < sizeof like / sizeof *like; i++) {
        memory.key = text("two");
        memory.text = like[i];
        status = i == 3 ? recall_gated(memdb_txn_snapshot(txn), space) : MEMDB_OK;
        status = status ? status : memdb_put(txn, space, &memory, NULL);
        assert_true(status != MEMDB_OK);
        status = status == MEMDB_REFUSED ? MEMDB_OK : status;
    }
    return status;
}

static void put_through_gates(life_t *life) {
    life_commit(life, pass_gates);
}

static memdb_status_t drop_side(life_t *life, memdb_txn_t *txn) {
    (void)life;
    memdb_status_t status = memdb_space_drop(txn, text("side"));
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status; // an earlier try's commit was there
}

/// One try of several leaves an index that is being made, which the next one goes on with.
static memdb_status_t make_index(life_t *life, memdb_error_t *error) {
    memdb_space_t space;
    memdb_snapshot_t *snapshot;
    (void)error;
    memdb_status_t status = memdb_snapshot_begin(life->db, NULL, &snapshot);
    if (status) {
        return status;
    }
    status = memdb_space_find(snapshot, text("main"), &space);
    memdb_snapshot_end(snapshot);
    status = status ? status : memdb_index_create(life->db, space, text("key"), FULL);
    return status == MEMDB_EXISTS ? MEMDB_OK : status;
}

static void index_keys(life_t *life) {
    life_must(life, make_index);
}

static void drop_a_space(life_t *life) {
    life_commit(life, drop_side);
}

// ------------------------------------------------------------------------------ reading

static memdb_status_t read_here(life_t *life, memdb_error_t *error) {
    (void)error;
    return life_read(life, life->db);
}

static void read_all(life_t *life) {
    life_must(life, read_here);
}

static memdb_status_t walk(memdb_snapshot_t *snapshot, memdb_space_t space,
                           const memdb_cursor_options_t *options) {
    memdb_cursor_t *cursor;
    memdb_memory_t memory;
    memdb_status_t status = memdb_cursor_open(snapshot, space, options, &cursor);
    if (status) {
        return status;
    }
    while ((status = memdb_cursor_next(cursor, &memory)) == MEMDB_OK) {
    }
    memdb_cursor_close(cursor);
    return status == MEMDB_DONE ? MEMDB_OK : status;
}

static memdb_status_t recall_words(memdb_snapshot_t *snapshot, memdb_space_t space) {
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &space,
                           .space_count = 1,
                           .text = text("value"),
                           .vector = (const float[]){1, 2, -2},
                           .dimension = 3};
    memdb_result_t *result;
    memdb_status_t status = memdb_recall(snapshot, &query, &result);
    if (!status) {
        assert_true(memdb_result_count(result) > 0);
        memdb_result_free(result);
    }
    return status;
}

static memdb_status_t search_here(life_t *life, memdb_error_t *error) {
    (void)error;
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    memdb_cursor_options_t by_key = {.size = sizeof by_key, .order = MEMDB_ORDER_KEY};
    memdb_status_t status = memdb_snapshot_begin(life->db, NULL, &snapshot);
    if (status) {
        return status;
    }
    status = memdb_space_find(snapshot, text("main"), &space);
    status = status ? status : walk(snapshot, space, NULL);
    status = status ? status : walk(snapshot, space, &by_key);
    status = status ? status : recall_words(snapshot, space);
    memdb_snapshot_end(snapshot);
    return status;
}

static void search(life_t *life) {
    bool empty = life->lasting && life->values == 0;
    if (!empty) {
        life_must(life, search_here);
    }
}

static memdb_status_t read_then(life_t *life, memdb_error_t *error) {
    (void)error;
    memdb_snapshot_options_t then = {.size = sizeof then, .as_of_lsn = life->moment};
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    memdb_memory_t memory;
    int value;
    memdb_status_t status = memdb_snapshot_begin(life->db, &then, &snapshot);
    if (status) {
        return status;
    }
    status = memdb_space_find(snapshot, text("main"), &space);
    status = status ? status : memdb_get_by_key(snapshot, space, text("key0"), &memory);
    if (!status) {
        assert_int_equal(sscanf(memory.text.data, "value %d ", &value), 1);
        assert_int_equal(value, life->moment_value);
    }
    memdb_snapshot_end(snapshot);
    return status;
}

static void change_and_read_as_of(life_t *life) {
    uint64_t moment = life->moment;
    int value = life->moment_value;
    life_change(life, 0, 0, FULL); // the moment before stays readable
    if (moment && life->history) {
        life->moment = moment;
        life->moment_value = value;
        life_must(life, read_then);
    }
}

static memdb_status_t follow(life_t *life, memdb_error_t *error) {
    if (!life->other) {
        memdb_status_t status = memdb_open(life->path, &life->options, &life->other, error);
        if (status) {
            return status;
        }
    }
    memdb_status_t status = memdb_sync(life->db);
    if (!status) {
        life_firm(life);
        status = life_read(life, life->other);
    }
    if (status) { // of this handle alone, perhaps
        memdb_last_error(life->other, error->message, sizeof error->message);
        error->status = status;
        assert_int_equal(memdb_close(life->other), MEMDB_OK);
        life->other = NULL;
    }
    return status;
}

static void follow_with_a_second_handle(life_t *life) {
    life_must(life, follow);
}

static void close_the_second_handle(life_t *life) {
    if (life->other) {
        assert_int_equal(memdb_close(life->other), MEMDB_OK);
        life->other = NULL;
    }
}

static memdb_status_t stats_here(life_t *life, memdb_error_t *error) {
    (void)error;
    memdb_stats_t stats = {.size = sizeof stats};
    return memdb_get_stats(life->db, &stats);
}

static void stats(life_t *life) {
    life_must(life, stats_here);
}

// ------------------------------------------------------------------------------ upkeep

static memdb_status_t checkpoint_here(life_t *life, memdb_error_t *error) {
    (void)error;
    memdb_status_t status = memdb_checkpoint(life->db);
    if (!status) {
        life_firm(life);
    }
    return status;
}

static void checkpoint(life_t *life) {
    life_must(life, checkpoint_here);
}

static memdb_status_t compact_here(life_t *life, memdb_error_t *error) {
    (void)error;
    return memdb_compact(life->db, NULL);
}

static void compact(life_t *life) {
    life_must(life, compact_here);
}

static memdb_status_t purge_here(life_t *life, memdb_error_t *error) {
    (void)error;
    return memdb_purge(life->db, NULL);
}

/// Of what update_and_forget, and the step itself, forgot.
static void purge(life_t *life) {
    life_change(life, 10, LIFE_FORGET, FULL);
    life_must(life, purge_here);
}

static memdb_status_t verify_here(life_t *life, memdb_error_t *error) {
    (void)error;
    memdb_verify_options_t options = {.size = sizeof options, .threads = 3};
    return memdb_verify_with(life->db, &options);
}

static void verify(life_t *life) {
    life_must(life, verify_here);
}

static memdb_status_t back_up(life_t *life, memdb_error_t *error) {
    (void)error;
    return memdb_backup(life->db, life->backup, NULL, NULL);
}

static void backup(life_t *life) {
    life_must(life, back_up);
}

static memdb_status_t restore_it(life_t *life, memdb_error_t *error) {
    return memdb_restore(life->backup, life->restored, NULL, NULL, error);
}

static memdb_status_t read_copy(life_t *life, const char *path, memdb_error_t *error) {
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_READ_ONLY};
    memdb_t *db;
    memdb_status_t status = memdb_open(path, &options, &db, error);
    if (!status) {
        status = life_read(life, db);
        memdb_last_error(db, error->message, sizeof error->message);
        error->status = status;
        memdb_close(db);
    }
    return status;
}

static memdb_status_t read_restored(life_t *life, memdb_error_t *error) {
    return read_copy(life, life->restored, error);
}

static void restore(life_t *life) {
    remove_tree(life->restored);
    if (life_must(life, back_up) && life_must(life, restore_it)) {
        life_must(life, read_restored);
    }
}

static void note_loss(void *context, const memdb_loss_t *loss) {
    if (getenv("MEMDB_FAULT")) {
        print_message("lost: %s at %llu: %s\n", loss->file, (unsigned long long)loss->offset,
                      loss->what);
    }
    ((life_t *)context)->losses++;
}

static memdb_status_t read_salvaged(life_t *life, memdb_error_t *error) {
    return read_copy(life, life->salvaged, error);
}

/// What cannot be read is listed as lost; what is not listed is there.
static void salvage(life_t *life) {
    int before = life->losses;
    memdb_status_t status = MEMDB_IO;
    life_close(life);
    for (int i = 0; i < LIFE_TRIES && status; i++) {
        memdb_error_t error = {0};
        uint64_t losses = 0;
        remove_tree(life->salvaged);
        status = memdb_salvage(life->path, life->salvaged, note_loss, life, &losses, &error);
        life_told(life, status, &error);
    }
    assert_true(status == MEMDB_OK || life->lasting);
    if (status == MEMDB_OK && life->losses == before) {
        life_must(life, read_salvaged);
    }
}

// ------------------------------------------------------------------------------ the handle

static void reopen(life_t *life) {
    life_close(life);
    life_opened(life);
}

static void put_and_reopen(life_t *life) {
    life_change(life, 11, LIFE_VECTOR, FULL);
    reopen(life);
}

/// Wait until the threads have done what there is to do, or told why not: without a call that could
/// fail, or that would be numbered.
static void wait_for_the_threads(life_t *life) {
    memdb_t *db = life->db;
    while (db && atomic_load_explicit(&life->messages, memory_order_relaxed) == 0) {
        bool folded = !memdb__wants_checkpoint(db);
        // Acquire: what the threads did is seen, too.
        bool synced = atomic_load_explicit(&db->control->durable, memory_order_acquire) >=
                      atomic_load_explicit(&db->control->written, memory_order_acquire);
        if (folded && (synced || !life->patient)) {
            break;
        }
        if (!folded) {
            memdb__background_checkpoint(db); // the last commit may have been the one too many
        }
        usleep(500);
    }
}

/// With the background threads: space ahead in the log, the bounded sync of lesser commits, folds.
static void live_with_background_threads(life_t *life) {
    life_close(life);
    life->options.no_background = false;
    life->options.checkpoint_log_bytes = 8192;
    for (int i = 0; i < 4; i++) {
        life_change(life, 7 + i, LIFE_LONG, MEMDB_DURABILITY_OS);
    }
    life_change(life, 7, LIFE_BLOB, FULL);
    life_change(life, 8, LIFE_LONG, MEMDB_DURABILITY_OS);
    wait_for_the_threads(life);
    life_close(life);
    life->options.no_background = true;
    life->options.checkpoint_log_bytes = 0;
    life_opened(life);
}

const life_step_t life_steps[] = {
    {"create", reopen},
    {"settings", settings},
    {"put", put_some},
    {"read", read_all},
    {"put at each durability", put_at_each_durability},
    {"follow", follow_with_a_second_handle},
    {"checkpoint", checkpoint},
    {"stream", stream},
    {"index", index_keys},
    {"update and forget", update_and_forget},
    {"forget by a filter", forget_by_a_filter},
    {"rows of a table", rows_of_a_table},
    {"put through gates", put_through_gates},
    {"follow on", follow_with_a_second_handle},
    {"read again", read_all},
    {"fill the log", fill_the_log},
    {"checkpoint again", checkpoint},
    {"backup", backup},
    {"read as of", change_and_read_as_of},
    {"search", search},
    {"close the second handle", close_the_second_handle},
    {"drop a space", drop_a_space},
    {"a third checkpoint", checkpoint},
    {"increment", backup},
    {"restore", restore},
    {"verify", verify},
    {"end of history", end_of_history},
    {"put once more", put_and_reopen},
    {"compact", compact},
    {"purge", purge},
    {"read what is left", read_all},
    {"salvage", salvage},
    {"reopen", reopen},
    // Late: what the threads do when varies, and with it the numbers of the calls that follow.
    {"background", live_with_background_threads},
    {"stats", stats},
    {"read at last", read_all},
};
const int life_step_count = sizeof life_steps / sizeof *life_steps;
