// The handles of this process: forks, and the state of one handle (its last error, whether it may
// be used).
#include "engine/engine.h"

#include <stdio.h>

// ------------------------------------------------------------------------------ forks

// A child inherits the open file descriptions, and with them the locks on `lock`: a child that
// outlived its parent would be taken for a process that has the database open. So the handler in
// the child closes them, before anything else runs there.

static _Atomic uint32_t forks;
static pthread_mutex_t handles_mutex = PTHREAD_MUTEX_INITIALIZER;
static memdb_t *handles; // all open handles of this process

static void before_fork(void) {
    pthread_mutex_lock(&handles_mutex);
}

static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&handles_mutex);
}

static void after_fork_in_child(void) {
    atomic_fetch_add_explicit(&forks, 1, memory_order_seq_cst);
    for (memdb_t *db = handles; db; db = db->next_handle) {
        memdb__io_close(db->lock);
        db->lock = -1;
    }
    handles = NULL;
    pthread_mutex_unlock(&handles_mutex);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void memdb__handle_add(memdb_t *db) {
    pthread_mutex_lock(&handles_mutex);
    db->next_handle = handles;
    handles = db;
    pthread_mutex_unlock(&handles_mutex);
}

void memdb__handle_remove(memdb_t *db) {
    pthread_mutex_lock(&handles_mutex);
    for (memdb_t **at = &handles; *at; at = &(*at)->next_handle) {
        if (*at == db) {
            *at = db->next_handle;
            break;
        }
    }
    pthread_mutex_unlock(&handles_mutex);
}

uint32_t memdb__fork_generation(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    return atomic_load_explicit(
        &forks, memory_order_relaxed); // only changed in a child that has one thread
}

// ------------------------------------------------------------------------------ errors

memdb_status_t memdb__report(memdb_t *db, memdb_status_t status, const memdb_error_t *error) {
    if (status && status != MEMDB_DONE && db->fork_generation == memdb__fork_generation()) {
        pthread_mutex_lock(&db->error_mutex);
        db->error = *error;
        if (error->status != status) {
            memdb__fail(&db->error, status, "%s", memdb_status_text(status));
        }
        pthread_mutex_unlock(&db->error_mutex);
    }
    return status;
}

size_t memdb_last_error(memdb_t *db, char *buffer, size_t buffer_size) {
    if (!db || db->fork_generation != memdb__fork_generation()) {
        return buffer_size
                   ? (size_t)snprintf(buffer, buffer_size, "%s", memdb_status_text(MEMDB_FORKED))
                   : 0;
    }
    pthread_mutex_lock(&db->error_mutex);
    int length = buffer_size ? snprintf(buffer, buffer_size, "%s", db->error.message) : 0;
    pthread_mutex_unlock(&db->error_mutex);
    return (size_t)length < buffer_size ? (size_t)length : buffer_size ? buffer_size - 1 : 0;
}

memdb_status_t memdb__usable(memdb_t *db, memdb_error_t *error) {
    if (db->fork_generation != memdb__fork_generation()) {
        return memdb__fail(
            error, MEMDB_FORKED,
            "the handle was opened in the parent process; open the database again in this one");
    }
    uint32_t broken =
        atomic_load_explicit(&db->broken, memory_order_acquire); // pairs with memdb__apply_frame
    if (broken) {
        return memdb__fail(error, broken == MEMDB_CORRUPT ? MEMDB_CORRUPT : MEMDB_FAILED,
                           "following the log failed (%s); close the database and open it again",
                           memdb_status_text((memdb_status_t)broken));
    }
    return MEMDB_OK;
}

memdb_status_t memdb__writable(memdb_t *db, memdb_error_t *error) {
    memdb_status_t status = memdb__usable(db, error);
    if (status) {
        return status;
    }
    if (db->read_only) {
        return memdb__fail(error, MEMDB_READ_ONLY, "the database was opened for reading only");
    }
    if (atomic_load_explicit(&db->control->failed,
                             memory_order_acquire)) { // pairs with the store in wal/
        return memdb__fail(error, MEMDB_FAILED,
                           "an earlier write or sync failed; close the database in every process "
                           "and open it again");
    }
    return MEMDB_OK;
}

void memdb__tell(memdb_t *db, memdb_status_t severity, const char *format, ...) {
    if (db->options.log) {
        char message[600];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(message, sizeof message, format, arguments);
        va_end(arguments);
        db->options.log(db->options.log_context, severity, message);
    }
}
