// Test helper. See life.h.
#include "tests/lib/life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIMENSION 3
#define TEXT_BYTES 5000
#define BLOB_BYTES 9000

// ------------------------------------------------------------------------------ what is told

bool life_told(life_t *life, memdb_status_t status, const memdb_error_t *error) {
    char said[300] = "";
    if (status == MEMDB_OK) {
        return false;
    }
    if (error) {
        snprintf(said, sizeof said, "%.290s", error->message);
    } else if (life->db) {
        memdb_last_error(life->db, said, sizeof said);
    }
    if (status == MEMDB_CONFLICT && !life->options.no_background) {
        return true; // with a background thread that moved a blob: asked again, as documented
    }
    if (getenv("MEMDB_FAULT")) {
        print_message("%s: %s: %s\n", life->step, memdb_status_name(status), said);
    }
    if (life->errors++ == 0) {
        life->first = status;
        memcpy(life->first_text, said, sizeof said);
    }
    // One call that fails is no damage, and takes nothing away.
    if (status == MEMDB_CORRUPT || status == MEMDB_NOT_FOUND || status == MEMDB_NOT_DATABASE ||
        status == MEMDB_CONFLICT || status == MEMDB_INVALID) {
        fail_msg("%s: %s: %s", life->step, memdb_status_name(status), said);
    }
    return true;
}

static void note_message(void *context, memdb_status_t severity, const char *message) {
    if (severity != MEMDB_OK && getenv("MEMDB_FAULT")) {
        print_message("told: %s: %s\n", memdb_status_name(severity), message);
    }
    // Relaxed: a count.
    atomic_fetch_add_explicit(&((life_t *)context)->messages, severity != MEMDB_OK,
                              memory_order_relaxed);
}

// ------------------------------------------------------------------------------ open and close

static memdb_status_t read_settled(life_t *life);

static bool has_failed(life_t *life, memdb_t *db) {
    memdb_txn_t *txn;
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (status == MEMDB_OK) {
        memdb_txn_abort(txn);
    } else {
        life_told(life, status, NULL);
    }
    return status == MEMDB_FAILED;
}

void life_close(life_t *life) {
    memdb_t *handles[] = {life->other, life->db};
    for (int i = 0; i < 2; i++) {
        if (handles[i]) {
            assert_int_equal(memdb_close(handles[i]), MEMDB_OK);
        }
    }
    life->db = life->other = NULL;
}

bool life_opened(life_t *life) {
    if (life->db && !has_failed(life, life->db)) {
        return true;
    }
    for (int i = 0; i < LIFE_TRIES; i++) {
        memdb_error_t error = {0};
        life_close(life);
        life->options.log_context = life;
        memdb_status_t status = memdb_open(life->path, &life->options, &life->db, &error);
        if (!life_told(life, status, &error) && !life_told(life, read_settled(life), NULL)) {
            return true;
        }
    }
    if (!life->lasting) {
        fail_msg("%s: the database does not open any more: %s", life->step, life->first_text);
    }
    life_close(life);
    return false;
}

bool life_must(life_t *life, life_work_fn work) {
    for (int i = 0; i < LIFE_TRIES && life_opened(life); i++) {
        memdb_error_t error = {0};
        memdb_status_t status = work(life, &error);
        if (!life_told(life, status, error.status ? &error : NULL)) {
            return true;
        }
    }
    if (!life->lasting) {
        fail_msg("%s: it does not work any more: %s", life->step, life->first_text);
    }
    return false;
}

void life_begin(life_t *life, const char *path) {
    *life = (life_t){.options = {.size = sizeof life->options,
                                 .flags = MEMDB_OPEN_CREATE,
                                 .no_background = true,
                                 .busy_timeout_ms = 100,
                                 .log = note_message}};
    snprintf(life->path, sizeof life->path, "%s", path);
    snprintf(life->backup, sizeof life->backup, "%s-backup", path);
    snprintf(life->restored, sizeof life->restored, "%s-restored", path);
    snprintf(life->salvaged, sizeof life->salvaged, "%s-salvaged", path);
    for (int i = 0; i < LIFE_KEYS; i++) {
        life->keys[i].count = 1; // value 0: not there
    }
    remove_tree(life->path);
    remove_tree(life->backup);
    remove_tree(life->restored);
    remove_tree(life->salvaged);
}

void life_end(life_t *life) {
    life_close(life);
}

// ------------------------------------------------------------------------------ values

static memdb_bytes_t key_of(int key) {
    static char name[16];
    snprintf(name, sizeof name, "key%d", key);
    return text(name);
}

static memdb_bytes_t text_of(int value, unsigned what) {
    static char words[TEXT_BYTES];
    int head = snprintf(words, sizeof words, "value %d ", value);
    size_t size = what & LIFE_LONG ? TEXT_BYTES - 100 : 30;
    memset(words + head, 'a' + value % 26, sizeof words - (size_t)head);
    return (memdb_bytes_t){words, size};
}

static char *blob_of(int value) {
    static char bytes[BLOB_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)((size_t)value * 31 + i * 7 + i / 251);
    }
    return bytes;
}

void life_firm(life_t *life) {
    for (int i = 0; i < LIFE_KEYS; i++) {
        life_key_t *key = &life->keys[i];
        key->values[0] = key->values[key->count - 1];
        key->count = 1;
    }
}

static bool may_be(const life_key_t *key, int value) {
    for (int i = 0; i < key->count; i++) {
        if (key->values[i] == value) {
            return true;
        }
    }
    return false;
}

// ------------------------------------------------------------------------------ reading

static memdb_status_t read_blob(memdb_snapshot_t *snapshot, const memdb_memory_t *memory,
                                int value) {
    static char got[BLOB_BYTES];
    size_t read = 0;
    memdb_blob_reader_t *reader;
    memdb_status_t status = memdb_blob_reader_open(snapshot, memory->blobs, &reader);
    if (!status) {
        status = memdb_blob_reader_read(reader, 0, got, sizeof got, &read);
        memdb_blob_reader_close(reader);
    }
    if (!status) {
        assert_int_equal(read, BLOB_BYTES);
        assert_memory_equal(got, blob_of(value), BLOB_BYTES);
    }
    return status;
}

static memdb_status_t read_links(memdb_snapshot_t *snapshot, const memdb_memory_t *memory) {
    memdb_link_cursor_t *links;
    memdb_link_t link;
    memdb_status_t status = memdb_links_open(snapshot, memory->space, memory->id,
                                             MEMDB_DIRECTION_OUT, text(""), &links);
    if (!status) {
        status = memdb_links_next(links, &link);
        assert_true(status || link.from == memory->id);
        memdb_links_close(links);
    }
    return status == MEMDB_DONE ? MEMDB_OK : status;
}

/// The value that a key shows: 0 where it is not there. All of it is compared.
static memdb_status_t read_value(memdb_snapshot_t *snapshot, int key, int *value_out) {
    memdb_space_t space;
    memdb_memory_t memory;
    float vector[DIMENSION];
    int value = 0;
    memdb_status_t status = memdb_space_find(snapshot, text("main"), &space);
    status = status ? status : memdb_get_by_key(snapshot, space, key_of(key), &memory);
    if (status == MEMDB_NOT_FOUND) {
        *value_out = 0;
        return MEMDB_OK;
    }
    if (!status) {
        assert_int_equal(sscanf(memory.text.data, "value %d ", &value), 1);
        memdb_bytes_t wanted = text_of(value, memory.text.size > 1000 ? LIFE_LONG : 0);
        assert_int_equal(memory.text.size, wanted.size);
        assert_memory_equal(memory.text.data, wanted.data, wanted.size);
    }
    if (!status && memory.dimension) {
        status = memdb_get_vector(snapshot, space, memory.id, vector, DIMENSION);
        assert_true(status || (vector[0] > 0 && vector[2] < 0));
    }
    if (!status && memory.blob_count) {
        status = read_blob(snapshot, &memory, value);
    }
    status = status ? status : read_links(snapshot, &memory);
    *value_out = value;
    return status;
}

/// Compare all keys with what they may show; settle: from now on they show what they show now.
static memdb_status_t compare(life_t *life, memdb_t *db, bool settle) {
    memdb_snapshot_t *snapshot;
    memdb_status_t status = memdb_snapshot_begin(db, NULL, &snapshot);
    if (status) {
        return status;
    }
    int seen[LIFE_KEYS];
    for (int i = 0; i < LIFE_KEYS && !status; i++) {
        status = read_value(snapshot, i, &seen[i]);
        if (!status && !may_be(&life->keys[i], seen[i])) {
            life_key_t *key = &life->keys[i];
            fail_msg("%s: key %d shows value %d, not %d", life->step, i, seen[i],
                     key->values[key->count - 1]);
        }
    }
    memdb_snapshot_end(snapshot);
    for (int i = 0; i < LIFE_KEYS && !status && settle; i++) {
        life->keys[i] = (life_key_t){.count = 1, .values = {seen[i]}};
    }
    return status;
}

memdb_status_t life_read(life_t *life, memdb_t *db) {
    return compare(life, db, false);
}

static memdb_status_t read_settled(life_t *life) {
    return compare(life, life->db, true);
}

// ------------------------------------------------------------------------------ committing

/// What life_commit and life_change run: `committing` is set before the commit itself.
typedef struct attempt {
    life_txn_fn work; // or the change of a key:
    int key, value;
    unsigned what;
    memdb_durability_t durability;
    bool committing;
    uint64_t lsn;
} attempt_t;

static memdb_status_t put_value(memdb_txn_t *txn, const attempt_t *attempt) {
    memdb_space_t space;
    memdb_blob_t blob;
    float vector[DIMENSION] = {1, (float)attempt->value, -2};
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_SESSION |
                                       MEMDB_FIELD_VECTOR | MEMDB_FIELD_BLOBS,
                             .key = key_of(attempt->key),
                             .text = text_of(attempt->value, attempt->what),
                             .session = text("s"),
                             .vector = vector,
                             .dimension = attempt->what & LIFE_VECTOR ? DIMENSION : 0};
    memdb_status_t status = memdb_space_ensure(txn, text("main"), &space);
    if (!status && attempt->what & LIFE_BLOB) {
        status = memdb_blob_put(txn, blob_of(attempt->value), BLOB_BYTES, &blob);
        memory.blobs = &blob;
        memory.blob_count = 1;
    }
    uint64_t id = 0;
    status = status ? status : memdb_put(txn, space, &memory, &id);
    if (!status && attempt->what & LIFE_LINK) {
        memdb_link_t link = {.size = sizeof link,
                             .space = space,
                             .from = id,
                             .to = id,
                             .type = text("is"),
                             .weight = 1};
        status = memdb_put_link(txn, &link);
    }
    return status;
}

static memdb_status_t forget_key(memdb_txn_t *txn, int key) {
    memdb_space_t space;
    memdb_memory_t memory;
    memdb_status_t status = memdb_space_find(memdb_txn_snapshot(txn), text("main"), &space);
    status =
        status ? status : memdb_get_by_key(memdb_txn_snapshot(txn), space, key_of(key), &memory);
    status = status ? status : memdb_forget_erase(txn, space, memory.id);
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status; // an earlier try's commit was there
}

static memdb_status_t run_attempt(life_t *life, attempt_t *attempt) {
    memdb_txn_t *txn;
    memdb_status_t status = memdb_txn_begin(life->db, &txn);
    attempt->committing = false;
    if (status) {
        return status;
    }
    status = attempt->work                 ? attempt->work(life, txn)
             : attempt->what & LIFE_FORGET ? forget_key(txn, attempt->key)
                                           : put_value(txn, attempt);
    if (status) {
        memdb_txn_abort(txn);
        return status;
    }
    attempt->committing = true;
    return memdb_txn_commit(txn, attempt->durability, &attempt->lsn);
}

static void add_value(life_key_t *key, int value) {
    assert_true(key->count < 16);
    key->values[key->count++] = value;
}

/// The attempt failed. A failed handle: its commit may be there or not, which the next opening
/// settles. Else nothing of it may be there, now or ever.
static bool mend(life_t *life, const attempt_t *attempt, memdb_status_t status) {
    life_told(life, status, NULL);
    bool failed = has_failed(life, life->db);
    if (!failed && status == MEMDB_FAILED) { // a part of the handle: the arena, after a failed sync
        life_close(life);
        failed = true;
    }
    if (failed && life->lasting) {
        fail_msg("%s: a full disk failed the database: %s", life->step, life->first_text);
    }
    if (!failed) {
        return !life_told(life, life_read(life, life->db), NULL);
    }
    if (attempt->committing && !attempt->work) {
        add_value(&life->keys[attempt->key], attempt->value);
    }
    return true;
}

static bool try_to_commit(life_t *life, attempt_t *attempt) {
    for (int i = 0; i < LIFE_TRIES && life_opened(life); i++) {
        if (!attempt->work) {
            attempt->value = attempt->what & LIFE_FORGET ? 0 : ++life->values;
        }
        memdb_status_t status = run_attempt(life, attempt);
        if (status == MEMDB_OK) {
            return true;
        }
        mend(life, attempt, status);
    }
    if (!life->lasting) {
        fail_msg("%s: nothing can be committed any more: %s", life->step, life->first_text);
    }
    return false;
}

void life_change(life_t *life, int key, unsigned what, memdb_durability_t durability) {
    attempt_t attempt = {.key = key, .what = what, .durability = durability};
    if (!try_to_commit(life, &attempt)) {
        return;
    }
    add_value(&life->keys[key], attempt.value);
    if (durability != MEMDB_DURABILITY_NONE) {
        life_firm(life);
    }
    if (key == 0) {
        life->moment = attempt.lsn;
        life->moment_value = attempt.value;
    }
}

void life_commit(life_t *life, life_txn_fn work) {
    attempt_t attempt = {.work = work};
    if (try_to_commit(life, &attempt)) {
        life_firm(life);
    }
}

// ------------------------------------------------------------------------------ the end

void life_check_after(life_t *life) {
    memdb_error_t error = {0};
    life->step = "after";
    life->lasting = false;
    life_close(life);
    if (memdb_open(life->path, &life->options, &life->db, &error)) {
        fail_msg("after: %s", error.message);
    }
    must(life->db, read_settled(life));
    must(life->db, memdb_verify(life->db, NULL, NULL));
    life_change(life, 1, LIFE_VECTOR | LIFE_BLOB, MEMDB_DURABILITY_FULL);
    must(life->db, memdb_checkpoint(life->db));
    must(life->db, life_read(life, life->db));
    must(life->db, memdb_verify(life->db, NULL, NULL));
    life_close(life);
}
