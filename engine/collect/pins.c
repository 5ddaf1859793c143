// Pins of bases. See pins.h.
#include "engine/collect/pins.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>

#define FIRST_BYTE ((off_t)1 << 32) // far above the ranges of wal/control.h

static int set_lock(const memdb__pins_t *pins, uint64_t generation, short type) {
    struct flock lock = {.l_type = type,
                         .l_whence = SEEK_SET,
                         .l_start = FIRST_BYTE + (off_t)generation,
                         .l_len = 1};
    int result;
    do {
        result = fcntl(*pins->lock, F_OFD_SETLK, &lock);
    } while (result != 0 && errno == EINTR);
    return result;
}

void memdb__pins_init(memdb__pins_t *pins, const int *lock) {
    *pins = (memdb__pins_t){.lock = lock};
    pthread_mutex_init(&pins->mutex, NULL);
}

void memdb__pins_deinit(memdb__pins_t *pins) {
    memdb__free(pins->pins);
    pins->pins = NULL;
    if (*pins->lock >= 0) {
        pthread_mutex_destroy(&pins->mutex);
    }
}

/// Room for one more. False: out of memory.
static bool reserve(memdb__pins_t *pins) {
    if (pins->count < pins->capacity) {
        return true;
    }
    size_t capacity = pins->capacity ? 2 * pins->capacity : 8;
    memdb__pin_t *grown = memdb__reallocate(pins->pins, capacity * sizeof *grown);
    if (!grown) {
        return false;
    }
    pins->pins = grown;
    pins->capacity = capacity;
    return true;
}

memdb_status_t memdb__pins_add(memdb__pins_t *pins, uint64_t generation, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    pthread_mutex_lock(&pins->mutex);
    size_t at = 0;
    while (at < pins->count && pins->pins[at].generation != generation) {
        at++;
    }
    if (at == pins->count) {
        if (!reserve(pins)) {
            status = memdb__fail(error, MEMDB_NOMEM, "base: out of memory");
        } else if (set_lock(pins, generation, F_RDLCK)) {
            status = memdb__fail_errno(error, errno, "base: cannot lock its generation");
        } else {
            pins->pins[pins->count++] = (memdb__pin_t){.generation = generation};
        }
    }
    if (!status) {
        pins->pins[at].views++;
    }
    pthread_mutex_unlock(&pins->mutex);
    return status;
}

void memdb__pins_remove(memdb__pins_t *pins, uint64_t generation) {
    if (*pins->lock < 0) {
        return; // the mutex may be held by a thread that is not here
    }
    pthread_mutex_lock(&pins->mutex);
    for (size_t i = 0; i < pins->count; i++) {
        if (pins->pins[i].generation == generation && --pins->pins[i].views == 0) {
            set_lock(pins, generation, F_UNLCK); // a lock that stays only delays a collection
            pins->pins[i] = pins->pins[--pins->count];
            break;
        }
    }
    pthread_mutex_unlock(&pins->mutex);
}

memdb_status_t memdb__pins_below(memdb__pins_t *pins, uint64_t generation, uint64_t *pinned_out,
                                 memdb_error_t *error) {
    uint64_t oldest = UINT64_MAX;
    pthread_mutex_lock(&pins->mutex);
    for (size_t i = 0; i < pins->count; i++) {
        if (pins->pins[i].generation <= generation && pins->pins[i].generation < oldest) {
            oldest = pins->pins[i].generation;
        }
    }
    pthread_mutex_unlock(&pins->mutex);
    // Of other open files, this process's other handles among them; the kernel names the first.
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = FIRST_BYTE,
                         .l_len = (off_t)generation + 1};
    if (fcntl(*pins->lock, F_OFD_GETLK, &lock)) {
        return memdb__fail_errno(error, errno, "base: cannot look at the locks of generations");
    }
    if (lock.l_type != F_UNLCK) {
        uint64_t other = lock.l_start > FIRST_BYTE ? (uint64_t)(lock.l_start - FIRST_BYTE) : 0;
        oldest = other < oldest ? other : oldest;
    }
    *pinned_out = oldest;
    return MEMDB_OK;
}
