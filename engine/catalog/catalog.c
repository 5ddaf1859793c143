// The LMDB adapter: the only file that includes lmdb.h. It opens an environment, copies the
// manifest out, and commits one; who may do so and when is catalog_environment.c's business.
//
// A commit is: entries into a write transaction, their hash into the companion (synced),
// mdb_txn_commit (synced). Room for the commit is allocated before, so that a full file system is
// noticed while nothing is at stake.
//
// LMDB wants a path, and a path may change its meaning while the database's directory is open;
// /proc/self/fd names the open directory itself.
#include "base/bytes.h"
#include "base/checksum.h"
#include "engine/catalog/engine_catalog.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>

enum {
    MAX_READERS = 1024,           // read transactions at one time, over all processes
    ALLOCATION_STEP = 256 * 1024, // data.mdb grows in these
    FILE_MODE = 0600,
};

struct memdb__lmdb {
    MDB_env *env;
    MDB_dbi main;
};

static memdb_status_t fail_lmdb(memdb_error_t *error, int code, const char *what) {
    if (code ==
        ENOENT) // not "there is no such thing": the database is there, LMDB's path to it is not
        return memdb__fail(error, MEMDB_IO, MEMDB__CATALOG_DATA ": %s: %s", what,
                           mdb_strerror(code));
    if (code > 0)
        return memdb__fail_errno(error, code, MEMDB__CATALOG_DATA ": %s", what);
    memdb_status_t status = MEMDB_IO;
    if (code == MDB_MAP_FULL || code == MDB_TXN_FULL)
        status = MEMDB_FULL;
    else if (code == MDB_READERS_FULL)
        status = MEMDB_BUSY;
    else if (code == MDB_PANIC)
        status = MEMDB_FAILED;
    else if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID ||
             code == MDB_VERSION_MISMATCH || code == MDB_NOTFOUND)
        status = MEMDB_CORRUPT;
    return memdb__fail(error, status, MEMDB__CATALOG_DATA ": %s: %s", what, mdb_strerror(code));
}

// Open LMDB on `directory` (the catalog's own); the code is LMDB's or errno's.
static int open_environment(int directory, unsigned flags, memdb__lmdb_t *lmdb) {
    char path[64];
    MDB_txn *txn;
    snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
    int code = mdb_env_create(&lmdb->env);
    if (code)
        return code;
    code = mdb_env_set_mapsize(lmdb->env, MEMDB__CATALOG_MAP_BYTES);
    if (!code)
        code = mdb_env_set_maxreaders(lmdb->env, MAX_READERS);
    if (!code)
        code = mdb_env_open(lmdb->env, path, flags | MDB_NOTLS, FILE_MODE);
    if (!code)
        code = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn);
    if (code)
        goto close_env;
    code = mdb_dbi_open(txn, NULL, 0, &lmdb->main);
    if (code) {
        mdb_txn_abort(txn);
        goto close_env;
    }
    code = mdb_txn_commit(txn);
    if (code)
        goto close_env;
    return 0;
close_env:
    mdb_env_close(lmdb->env);
    return code;
}

memdb_status_t memdb__lmdb_open(int directory, memdb__lmdb_mode_t mode, memdb__lmdb_t **lmdb_out,
                                bool *refused_out, memdb_error_t *error) {
    static const unsigned flags[] = {0, MDB_RDONLY, MDB_RDONLY | MDB_NOLOCK};
    memdb__lmdb_t *lmdb = memdb__allocate_zeroed(1, sizeof *lmdb);
    if (!lmdb)
        return memdb__fail(error, MEMDB_NOMEM, "catalog: out of memory");
    int code = open_environment(directory, flags[mode], lmdb);
    *refused_out = code == EACCES || code == EPERM || code == EROFS;
    if (code) {
        memdb__free(lmdb);
        return fail_lmdb(error, code, "open");
    }
    *lmdb_out = lmdb;
    return MEMDB_OK;
}

void memdb__lmdb_close(memdb__lmdb_t *lmdb, bool foreign) {
    if (!lmdb)
        return;
    if (!foreign)
        mdb_env_close(lmdb->env);
    memdb__free(lmdb);
}

// Copy out what a transaction sees, and its hash.
static memdb_status_t collect(memdb__lmdb_t *lmdb, MDB_txn *txn, memdb__manifest_t *manifest_out,
                              uint64_t *hash_out, memdb_error_t *error) {
    memdb__manifest_builder_t builder;
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_cursor_open(txn, lmdb->main, &cursor);
    if (code)
        return fail_lmdb(error, code, "cursor");
    memdb__manifest_builder_init(&builder);
    memdb_status_t status = MEMDB_OK;
    code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (!code && !status) {
        status = memdb__manifest_builder_add(&builder, key.mv_data, key.mv_size, value.mv_data,
                                             value.mv_size, error);
        if (!status)
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (!status && code != MDB_NOTFOUND)
        status = fail_lmdb(error, code, "read");
    if (!status)
        status = memdb__manifest_builder_finish(&builder, mdb_txn_id(txn), manifest_out, hash_out,
                                                error);
    memdb__manifest_builder_deinit(&builder);
    return status;
}

static memdb_status_t begin_read(MDB_env *env, MDB_txn **txn_out, memdb_error_t *error) {
    int dead, code = mdb_txn_begin(env, NULL, MDB_RDONLY, txn_out);
    if (code == MDB_READERS_FULL) { // slots of killed processes are given back by this check only
        mdb_reader_check(env, &dead);
        code = mdb_txn_begin(env, NULL, MDB_RDONLY, txn_out);
    }
    return code ? fail_lmdb(error, code, "begin a read transaction") : MEMDB_OK;
}

memdb_status_t memdb__lmdb_settle(memdb__lmdb_t *lmdb, uint64_t told, memdb_error_t *error) {
    // LMDB takes over the writer's lock from the dead, and the number of its transaction from the
    // newest meta page.
    MDB_txn *txn;
    int code = mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    if (code)
        return fail_lmdb(error, code, "begin a transaction");
    uint64_t next = mdb_txn_id(txn);
    mdb_txn_abort(txn);
    code = next > told + 1 ? mdb_env_sync(lmdb->env, 1) : 0;
    return code ? fail_lmdb(error, code, "sync") : MEMDB_OK;
}

memdb_status_t memdb__lmdb_read(memdb__lmdb_t *lmdb, memdb__manifest_t *manifest_out,
                                memdb_error_t *error) {
    // A reader that LMDB lets begin takes a transaction's number first and its meta page after
    // that; where two commits come in between, the page is a later transaction's, whole, under the
    // older number. The head tells, and then there is a newer transaction to read.
    for (;;) {
        MDB_txn *txn;
        MDB_envinfo info = {0};
        uint64_t hash;
        memdb_status_t status = begin_read(lmdb->env, &txn, error);
        if (status)
            return status;
        status = collect(lmdb, txn, manifest_out, &hash, error);
        bool older = status == MEMDB_CORRUPT && mdb_env_info(lmdb->env, &info) == 0 &&
                     info.me_last_txnid > mdb_txn_id(txn) + 1;
        mdb_txn_abort(txn);
        if (!older)
            return status;
    }
}

// Delete the entries of a kind from number `from` on: what is no more. The code is LMDB's.
static int delete_from(MDB_cursor *cursor, uint8_t kind, uint64_t from) {
    uint8_t bytes[MEMDB__MANIFEST_KEY_BYTES] = {kind};
    memdb__put_be64(bytes + 1, from);
    for (;;) {
        MDB_val key = {sizeof bytes, bytes}, value;
        int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (code == MDB_NOTFOUND || (!code && *(const uint8_t *)key.mv_data != kind))
            return 0;
        if (!code)
            code = mdb_cursor_del(cursor, 0);
        if (code)
            return code;
    }
}

// Make the main database equal to the manifest, touching only entries that differ: the head, and
// what moved.
static memdb_status_t put_manifest(memdb__lmdb_t *lmdb, MDB_txn *txn,
                                   const memdb__manifest_t *manifest, memdb_error_t *error) {
    memdb__manifest_entry_t entry;
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_cursor_open(txn, lmdb->main, &cursor);
    if (code)
        return fail_lmdb(error, code, "cursor");
    for (uint64_t i = 0; i < memdb__manifest_entries(manifest) && !code; i++) {
        memdb__manifest_encode(manifest, mdb_txn_id(txn), i, &entry);
        key = (MDB_val){entry.key_size, entry.key};
        code = mdb_cursor_get(cursor, &key, &value, MDB_SET);
        if (!code && value.mv_size == entry.value_size &&
            memcmp(value.mv_data, entry.value, entry.value_size) == 0)
            continue;
        if (code && code != MDB_NOTFOUND)
            break;
        key = (MDB_val){entry.key_size, entry.key};
        value = (MDB_val){entry.value_size, entry.value};
        code = mdb_cursor_put(cursor, &key, &value, 0);
    }
    if (!code)
        code = delete_from(cursor, 't', manifest->tier_count);
    if (!code)
        code = delete_from(cursor, 'x', manifest->retired_count);
    mdb_cursor_close(cursor);
    return code ? fail_lmdb(error, code, "write") : MEMDB_OK;
}

// LMDB writes its pages where the file may have no blocks yet. Allocating them first turns a full
// file system into MEMDB_FULL before the commit, instead of a write that fails in the midst of it.
// An entry is rewritten once at most, its path is copied: twice the content and a margin for the
// free database.
static memdb_status_t allocate_room(MDB_env *env, const memdb__manifest_t *manifest,
                                    memdb_error_t *error) {
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    mdb_filehandle_t fd;
    int code = mdb_env_info(env, &info);
    if (!code)
        code = mdb_env_stat(env, &stat);
    if (!code)
        code = mdb_env_get_fd(env, &fd);
    if (code)
        return fail_lmdb(error, code, "size");
    uint64_t content = memdb__manifest_entries(manifest) * (MEMDB__MANIFEST_VALUE_BYTES + 32);
    uint64_t needed = (info.me_last_pgno + 1 + 16) * stat.ms_psize + 2 * content;
    needed = (needed + ALLOCATION_STEP - 1) / ALLOCATION_STEP * ALLOCATION_STEP;
    if (needed > MEMDB__CATALOG_MAP_BYTES)
        needed = MEMDB__CATALOG_MAP_BYTES; // what is more ends as MDB_MAP_FULL
    if (memdb__io()->stat(fd, &file))
        return memdb__fail_errno(error, errno, MEMDB__CATALOG_DATA);
    if ((uint64_t)file.st_size >= needed)
        return MEMDB_OK;
    int result;
    do
        result = memdb__io()->allocate(fd, 0, (off_t)needed);
    while (result && errno == EINTR);
    if (result && errno != EOPNOTSUPP && errno != ENOSYS) // then LMDB has to find out by itself
        return memdb__fail_errno(error, errno, MEMDB__CATALOG_DATA ": allocate %" PRIu64 " bytes",
                                 needed);
    return MEMDB_OK;
}

// Read back through the transaction, for what will be committed is then what was asked for,
// whatever LMDB found in its map.
static memdb_status_t read_back(memdb__lmdb_t *lmdb, MDB_txn *txn,
                                const memdb__manifest_t *manifest, uint64_t *hash_out,
                                memdb_error_t *error) {
    memdb__manifest_t written = {0};
    memdb__manifest_entry_t asked, found;
    memdb_status_t status = collect(lmdb, txn, &written, hash_out, error);
    if (!status && (written.tier_count != manifest->tier_count ||
                    written.retired_count != manifest->retired_count))
        status = memdb__fail(error, MEMDB_CORRUPT,
                             MEMDB__CATALOG_DATA ": other entries than were written");
    for (uint64_t i = 0; !status && i < memdb__manifest_entries(&written); i++) {
        memdb__manifest_encode(manifest, 0, i, &asked);
        memdb__manifest_encode(&written, 0, i, &found);
        if (memcmp(&asked, &found, sizeof asked) != 0)
            status =
                memdb__fail(error, MEMDB_CORRUPT,
                            MEMDB__CATALOG_DATA ": entry %" PRIu64 " reads back differently", i);
    }
    memdb__manifest_deinit(&written);
    return status;
}

// When LMDB cannot write its meta page, it writes "some old data" in its place: the new trees under
// the old transaction id, which to the next opener is a meta page that lies. So the page that a
// commit replaces is kept, and put back when the commit fails. Where that fails too, the outcome is
// what it was: unknown.
typedef struct kept_meta {
    mdb_filehandle_t fd;
    uint64_t offset;
    uint8_t bytes[MEMDB__LMDB_META_END];
} kept_meta_t;

static memdb_status_t keep_meta(MDB_txn *txn, kept_meta_t *kept, memdb_error_t *error) {
    MDB_stat stat;
    MDB_env *env = mdb_txn_env(txn);
    int code = mdb_env_stat(env, &stat);
    if (!code)
        code = mdb_env_get_fd(env, &kept->fd);
    if (code)
        return fail_lmdb(error, code, "meta page");
    kept->offset = mdb_txn_id(txn) % 2 * stat.ms_psize;
    return memdb__io_read(kept->fd, kept->bytes, sizeof kept->bytes, kept->offset,
                          MEMDB__CATALOG_DATA, error);
}

static memdb_status_t finish_commit(MDB_txn *txn, memdb_error_t *error) {
    kept_meta_t kept;
    memdb_status_t status = keep_meta(txn, &kept, error);
    if (status) {
        mdb_txn_abort(txn);
        return status;
    }
    int code = mdb_txn_commit(txn);
    if (code == 0)
        return MEMDB_OK;
    memdb__io_write(kept.fd, kept.bytes, sizeof kept.bytes, kept.offset, MEMDB__CATALOG_DATA, NULL);
    if (code == ENOMEM || code == MDB_MAP_FULL || code == MDB_TXN_FULL)
        return fail_lmdb(error, code, "commit"); // found before the first page was written
    return memdb__fail(error, MEMDB_IO, MEMDB__CATALOG_DATA ": commit: %s", mdb_strerror(code));
}

memdb_status_t memdb__lmdb_commit(memdb__lmdb_t *lmdb, int companion,
                                  const memdb__manifest_t *manifest, uint64_t *generation_out,
                                  memdb_error_t *error) {
    MDB_txn *txn;
    int dead;
    uint64_t hash;
    int code = mdb_reader_check(lmdb->env, &dead);
    if (code)
        return fail_lmdb(error, code, "reader check");
    memdb_status_t status = allocate_room(lmdb->env, manifest, error);
    if (status)
        return status;
    code = mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    if (code)
        return fail_lmdb(error, code, "begin a transaction");
    uint64_t txnid = mdb_txn_id(txn);
    status = put_manifest(lmdb, txn, manifest, error);
    if (!status)
        status = read_back(lmdb, txn, manifest, &hash, error);
    if (!status)
        status = memdb__companion_write(companion, txnid, hash, error);
    if (status) {
        mdb_txn_abort(txn);
        return status;
    }
    status = finish_commit(txn, error);
    if (!status && generation_out)
        *generation_out = txnid;
    return status;
}
