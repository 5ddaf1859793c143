// Epoch-based reclamation: what is retired while a reader is pinned is freed after it has gone, and
// not before; threads that pin, read, replace and collect at the same time never touch freed memory
// (a freed object is poisoned, and the sanitizers look on).
#include "base/memory.h"
#include "engine/epoch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define ALIVE UINT64_C(0x600D600D600D600D)
#define READERS 3
#define WRITERS 2
#define ROUNDS 4000

typedef struct object {
    memdb__retired_t retired;
    _Atomic uint64_t state;
    uint64_t number;
} object_t;

static _Atomic int freed;

static object_t *create(uint64_t number) {
    object_t *object = memdb__allocate_zeroed(1, sizeof *object);
    assert_non_null(object);
    atomic_store(&object->state, ALIVE);
    object->number = number;
    return object;
}

static void destroy(void *context) {
    object_t *object = context;
    atomic_store(&object->state, 0);
    memdb__free(object);
    atomic_fetch_add(&freed, 1);
}

static void test_epoch_pinned_objects_live_until_unpinned(void **state) {
    (void)state;
    memdb__epochs_t epochs;
    memdb_error_t error;
    int64_t oldest;
    atomic_store(&freed, 0);
    assert_int_equal(memdb__epochs_init(&epochs, &error), MEMDB_OK);
    object_t *first = create(1), *second = create(2);
    uint32_t reader = memdb__epoch_pin(&epochs);
    memdb__epoch_retire(&epochs, &first->retired, first, destroy);
    assert_int_equal(memdb__epoch_collect(&epochs, SIZE_MAX), 0);
    uint32_t later = memdb__epoch_pin(&epochs); // cannot have `first`, but `second`
    memdb__epoch_retire(&epochs, &second->retired, second, destroy);
    memdb__epoch_describe(&epochs, reader, 17, 0, 0);
    memdb__epoch_describe(&epochs, later, 18, 0, 0);
    assert_int_equal(memdb__epoch_readers(&epochs, &oldest), 2);
    assert_true(oldest == 17);
    memdb__epoch_unpin(&epochs, reader);
    assert_int_equal(memdb__epoch_collect(&epochs, SIZE_MAX), 1);
    assert_int_equal(atomic_load(&freed), 1);
    assert_true(atomic_load(&second->state) == ALIVE);
    memdb__epoch_unpin(&epochs, later);
    assert_int_equal(memdb__epoch_collect(&epochs, SIZE_MAX), 1);
    assert_int_equal(atomic_load(&freed), 2);
    assert_int_equal(memdb__epoch_readers(&epochs, &oldest), 0);
    assert_true(oldest == MEMDB_TIME_NONE);
    memdb__epochs_deinit(&epochs);
}

static void test_epoch_collect_keeps_to_its_limit_and_deinit_frees_the_rest(void **state) {
    (void)state;
    memdb__epochs_t epochs;
    memdb_error_t error;
    atomic_store(&freed, 0);
    assert_int_equal(memdb__epochs_init(&epochs, &error), MEMDB_OK);
    for (uint64_t i = 0; i < 10; i++) {
        object_t *object = create(i);
        memdb__epoch_retire(&epochs, &object->retired, object, destroy);
    }
    assert_int_equal(memdb__epoch_collect(&epochs, 4), 4);
    assert_int_equal(atomic_load(&freed), 4);
    memdb__epochs_deinit(&epochs);
    assert_int_equal(atomic_load(&freed), 10);
}

static void test_epoch_slots_are_bounded_and_come_back(void **state) {
    (void)state;
    static uint32_t slots[MEMDB__EPOCH_SLOTS];
    memdb__epochs_t epochs;
    memdb_error_t error;
    assert_int_equal(memdb__epochs_init(&epochs, &error), MEMDB_OK);
    for (int i = 0; i < MEMDB__EPOCH_SLOTS; i++) {
        slots[i] = memdb__epoch_pin(&epochs);
        assert_int_not_equal(slots[i], MEMDB__EPOCH_NONE);
    }
    assert_int_equal(memdb__epoch_pin(&epochs), MEMDB__EPOCH_NONE);
    memdb__epoch_unpin(&epochs, slots[500]);
    assert_int_equal(memdb__epoch_pin(&epochs), slots[500]);
    for (int i = 0; i < MEMDB__EPOCH_SLOTS; i++) {
        memdb__epoch_unpin(&epochs, slots[i]);
    }
    memdb__epochs_deinit(&epochs);
}

static void *collect_all(void *context) {
    memdb__epoch_collect(context, SIZE_MAX);
    return NULL;
}

/// A collector that begins while nobody reads, and goes on after a reader came and after what that
/// reader looks at was retired: the mutex of the list, held here, makes it wait in between. The
/// nap only gives it the time to get there; nothing is expected of it.
static void test_epoch_collector_that_was_delayed_sees_later_readers(void **state) {
    (void)state;
    memdb__epochs_t epochs;
    memdb_error_t error;
    pthread_t collector;
    atomic_store(&freed, 0);
    assert_int_equal(memdb__epochs_init(&epochs, &error), MEMDB_OK);
    pthread_mutex_lock(&epochs.mutex);
    assert_int_equal(pthread_create(&collector, NULL, collect_all, &epochs), 0);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    uint32_t reader = memdb__epoch_pin(&epochs);
    object_t *object = create(1);
    object->retired =
        (memdb__retired_t){NULL, atomic_fetch_add(&epochs.global, 1), destroy, object};
    epochs.retired = &object->retired; // as memdb__epoch_retire does under the mutex
    pthread_mutex_unlock(&epochs.mutex);
    pthread_join(collector, NULL);
    assert_int_equal(atomic_load(&freed), 0);
    assert_true(atomic_load(&object->state) == ALIVE);
    memdb__epoch_unpin(&epochs, reader);
    assert_int_equal(memdb__epoch_collect(&epochs, SIZE_MAX), 1);
    memdb__epochs_deinit(&epochs);
}

typedef struct shared {
    memdb__epochs_t epochs;
    _Atomic(object_t *) current;
    _Atomic bool stop;
    _Atomic int faults;
} shared_t;

static void *read_on(void *context) {
    shared_t *shared = context;
    while (!atomic_load(&shared->stop)) {
        uint32_t slot = memdb__epoch_pin(&shared->epochs);
        object_t *object = atomic_load(&shared->current);
        for (int i = 0; i < 20; i++) {
            if (atomic_load_explicit(&object->state, memory_order_relaxed) != ALIVE) {
                atomic_fetch_add(&shared->faults, 1);
            }
        }
        memdb__epoch_unpin(&shared->epochs, slot);
    }
    return NULL;
}

static void *replace(void *context) {
    shared_t *shared = context;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        object_t *old = atomic_exchange(&shared->current, create(i));
        memdb__epoch_retire(&shared->epochs, &old->retired, old, destroy);
        memdb__epoch_collect(&shared->epochs, 16);
    }
    return NULL;
}

static void test_epoch_threads_never_read_freed_memory(void **state) {
    (void)state;
    static shared_t shared;
    memdb_error_t error;
    pthread_t readers[READERS], writers[WRITERS];
    atomic_store(&freed, 0);
    assert_int_equal(memdb__epochs_init(&shared.epochs, &error), MEMDB_OK);
    atomic_store(&shared.current, create(0));
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &shared), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&writers[i], NULL, replace, &shared), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i], NULL);
    }
    atomic_store(&shared.stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i], NULL);
    }
    assert_int_equal(atomic_load(&shared.faults), 0);
    memdb__epoch_collect(&shared.epochs, SIZE_MAX);
    assert_int_equal(atomic_load(&freed), WRITERS * ROUNDS);
    destroy(atomic_load(&shared.current));
    memdb__epochs_deinit(&shared.epochs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epoch_pinned_objects_live_until_unpinned),
        cmocka_unit_test(test_epoch_collect_keeps_to_its_limit_and_deinit_frees_the_rest),
        cmocka_unit_test(test_epoch_slots_are_bounded_and_come_back),
        cmocka_unit_test(test_epoch_collector_that_was_delayed_sees_later_readers),
        cmocka_unit_test(test_epoch_threads_never_read_freed_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
