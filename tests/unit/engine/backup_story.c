// The oracle of the tests of backups. See backup_story.h.
#include "tests/unit/engine/backup_story.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES 9000
#define BLOB_BYTES 150000

uint64_t story_seed(uint64_t otherwise) {
    const char *given = getenv("MEMDB_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : otherwise;
    printf("seed=%llu\n", (unsigned long long)seed);
    return seed;
}

uint32_t story_draw(story_t *story, uint32_t below) {
    uint64_t x = story->seed += UINT64_C(0x9e3779b97f4a7c15); // splitmix64
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((x ^ (x >> 31)) % below);
}

static memdb_bytes_t text_of(int value, char buffer[TEXT_BYTES]) {
    size_t size = value % 17 == 0 ? TEXT_BYTES - 1 : 20 + (size_t)value % 200;
    int head = snprintf(buffer, TEXT_BYTES, "value %d ", value);
    memset(buffer + head, 'a' + value % 26, size - (size_t)head);
    return (memdb_bytes_t){buffer, size};
}

static size_t blob_of(int value, char *buffer) {
    size_t size = value % 3 ? 0 : value % 33 == 0 ? BLOB_BYTES : 1 + (size_t)value % 700;
    for (size_t i = 0; i < size; i++) {
        buffer[i] = (char)((size_t)value * 31 + i * 7 + i / 251);
    }
    return size;
}

static memdb_bytes_t key_of(int key) {
    static char name[16];
    snprintf(name, sizeof name, "key %d", key);
    return text(name);
}

memdb_status_t story_put(memdb_txn_t *txn, memdb_space_t space, int key, int value) {
    static char words[TEXT_BYTES], bytes[BLOB_BYTES];
    memdb_blob_t blob;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_BLOBS,
                             .key = key_of(key),
                             .text = text_of(value, words)};
    size_t size = blob_of(value, bytes);
    if (size) {
        memdb_status_t status = memdb_blob_put(txn, bytes, size, &blob);
        if (status) {
            return status;
        }
        memory.blobs = &blob;
        memory.blob_count = 1;
    }
    return memdb_put(txn, space, &memory, NULL);
}

void story_commit(story_t *story, memdb_t *db) {
    memdb_space_t space;
    memdb_txn_t *txn;
    assert_true(story->count < STORY_MOMENTS);
    moment_t *moment = &story->moments[story->count];
    *moment = (moment_t){.count = 1 + (int)story_draw(story, STORY_CHANGES)};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_ensure(txn, text("main"), &space));
    for (int i = 0; i < moment->count; i++) {
        memdb_memory_t memory;
        int key = (int)story_draw(story, STORY_KEYS);
        bool there = memdb_get_by_key(memdb_txn_snapshot(txn), space, key_of(key), &memory) == 0;
        moment->key[i] = key;
        if (there && story_draw(story, 5) == 0) {
            must(db, memdb_forget(txn, space, memory.id));
        } else {
            moment->value[i] = ++story->values;
            must(db, story_put(txn, space, key, moment->value[i]));
        }
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, &moment->lsn));
    story->count++;
}

int story_value(const story_t *story, uint64_t lsn, int key) {
    int value = 0;
    for (int i = 0; i < story->count && story->moments[i].lsn <= lsn; i++) {
        for (int j = 0; j < story->moments[i].count; j++) {
            value = story->moments[i].key[j] == key ? story->moments[i].value[j] : value;
        }
    }
    return value;
}

static bool shows_blob(memdb_t *db, memdb_snapshot_t *snapshot, const memdb_memory_t *memory,
                       int value) {
    static char wanted[BLOB_BYTES], got[BLOB_BYTES];
    size_t size = blob_of(value, wanted), read = 0;
    memdb_blob_reader_t *reader;
    if (memory->blob_count != (size ? 1u : 0u) || (size && memory->blobs->size_bytes != size)) {
        return false;
    }
    if (size) {
        must(db, memdb_blob_reader_open(snapshot, memory->blobs, &reader));
        must(db, memdb_blob_reader_read(reader, 0, got, size, &read));
        memdb_blob_reader_close(reader);
    }
    return read == size && memcmp(wanted, got, size) == 0;
}

bool story_shows(memdb_t *db, int key, int value) {
    static char words[TEXT_BYTES];
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    memdb_memory_t memory;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    memdb_status_t status = memdb_space_find(snapshot, text("main"), &space);
    status = status ? status : memdb_get_by_key(snapshot, space, key_of(key), &memory);
    if (status != MEMDB_NOT_FOUND) {
        must(db, status);
    }
    bool same = status ? value == 0 : value != 0;
    if (same && value) {
        memdb_bytes_t wanted = text_of(value, words);
        same = memory.text.size == wanted.size &&
               memcmp(memory.text.data, wanted.data, wanted.size) == 0 &&
               shows_blob(db, snapshot, &memory, value);
    }
    memdb_snapshot_end(snapshot);
    return same;
}

void story_check(const story_t *story, memdb_t *db, uint64_t lsn) {
    for (int key = 0; key < STORY_KEYS; key++) {
        int value = story_value(story, lsn, key);
        if (!story_shows(db, key, value)) {
            fail_msg("key %d is not value %d at LSN %llu", key, value, (unsigned long long)lsn);
        }
    }
}

void story_check_path(const story_t *story, const char *path, uint64_t lsn) {
    memdb_error_t error = {0};
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_READ_ONLY};
    memdb_t *db;
    if (memdb_open(path, &options, &db, &error)) {
        fail_msg("%s: %s", path, error.message);
    }
    story_check(story, db, lsn);
    must(db, memdb_close(db));
}

memdb_copied_t back_up(memdb_t *db, const char *to, uint32_t flags) {
    memdb_copied_t copied = {.size = sizeof copied};
    memdb_backup_options_t options = {.size = sizeof options, .flags = flags};
    must(db, memdb_backup(db, to, &options, &copied));
    return copied;
}

memdb_copied_t restore(const char *from, const char *to, uint64_t lsn, int64_t time) {
    memdb_error_t error = {0};
    memdb_copied_t copied = {.size = sizeof copied};
    memdb_restore_options_t options = {
        .size = sizeof options, .until_lsn = lsn, .until_time = time};
    if (memdb_restore(from, to, &options, &copied, &error)) {
        fail_msg("%s", error.message);
    }
    return copied;
}

const char *refusal(memdb_t *db, const char *to, memdb_status_t status) {
    static char message[600];
    assert_int_equal(memdb_backup(db, to, NULL, NULL), status);
    memdb_last_error(db, message, sizeof message);
    return message;
}

void check_restored(const story_t *story, const char *from, uint64_t lsn, uint64_t expected) {
    char to[300];
    snprintf(to, sizeof to, "%.200s-restored", from);
    memdb_copied_t copied = restore(from, to, lsn, 0);
    assert_true(copied.lsn <= expected);
    assert_true(!lsn || copied.lsn <= lsn);
    story_check_path(story, to, expected);
    remove_tree(to);
}

static void copy_file(const char *from, const char *to) {
    static char buffer[1 << 16];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ssize_t size;
    assert_true(in >= 0 && out >= 0);
    while ((size = read(in, buffer, sizeof buffer)) > 0) {
        assert_int_equal(write(out, buffer, (size_t)size), size);
    }
    assert_int_equal(size, 0);
    close(in);
    close(out);
}

void copy_tree(const char *from, const char *to) {
    char source[800], target[800];
    struct dirent *entry;
    struct stat info;
    assert_int_equal(mkdir(to, 0700), 0);
    DIR *directory = opendir(from);
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(source, sizeof source, "%.400s/%.250s", from, entry->d_name);
        snprintf(target, sizeof target, "%.400s/%.250s", to, entry->d_name);
        assert_int_equal(stat(source, &info), 0);
        if (S_ISDIR(info.st_mode)) {
            copy_tree(source, target);
        } else {
            copy_file(source, target);
        }
    }
    closedir(directory);
}

uint64_t bytes_under(const char *path, const char *folder) {
    char name[600];
    struct dirent *entry;
    struct stat info;
    uint64_t bytes = 0;
    snprintf(name, sizeof name, "%.200s/%.50s", path, folder);
    DIR *directory = opendir(name);
    while (directory && (entry = readdir(directory)) != NULL) {
        snprintf(name, sizeof name, "%.200s/%.50s/%.250s", path, folder, entry->d_name);
        bytes += stat(name, &info) == 0 && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
    }
    if (directory) {
        closedir(directory);
    }
    return bytes;
}
