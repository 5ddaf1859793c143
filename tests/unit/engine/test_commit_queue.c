// Goal: of those who commit exactly one leads at a time, each request is in one batch and is told
// once, and nobody sleeps over it, whether the leader passes on before it tells or after. Method:
// threads that enter again and again, with batches that are worth waiting for and others, and
// leaders that are slow at random; a thread that is forgotten would hang the test.
#include "engine/commit_queue.h"
#include "tests/lib/database.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS 12
#define ROUNDS 1500

static memdb_t db;
static _Atomic uint32_t leaders, batches, told;
static bool tells_first;
static uint64_t seed;

static uint32_t draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void lead(uint64_t *state, memdb__request_t *own) {
    assert_int_equal(atomic_fetch_add(&leaders, 1), 0);
    uint32_t count, found = 0;
    if (draw(state) % 4 == 0) {
        nanosleep(&(struct timespec){.tv_nsec = (long)(draw(state) % 100000)}, NULL);
    }
    memdb__request_t *batch = memdb__queue_take(&db, &count);
    bool has_own = false;
    for (memdb__request_t *request = batch; request; request = request->next) {
        assert_int_equal(request->end, 0); // no other batch has had it
        request->end = 1;
        has_own |= request == own;
        found++;
    }
    assert_true(has_own);
    assert_int_equal(found, count);
    atomic_fetch_add(&told, count);
    atomic_fetch_add(&batches, 1);
    atomic_fetch_sub(&leaders, 1);
    uint64_t took_ns = draw(state) % 3 ? draw(state) % 200000 : 0;
    if (tells_first) {
        memdb__queue_tell(batch, own);
        memdb__queue_pass_on(&db, count, took_ns);
    } else {
        memdb__queue_pass_on(&db, count, took_ns);
        memdb__queue_tell(batch, own);
    }
}

static void *commit_often(void *number) {
    uint64_t state = seed + (uintptr_t)number;
    for (int i = 0; i < ROUNDS; i++) {
        memdb__request_t request = {0};
        if (memdb__queue_enter(&db, &request)) {
            lead(&state, &request);
        }
        assert_int_equal(request.end, 1);
        if (draw(&state) % 64 == 0) { // it is waited for in vain
            nanosleep(&(struct timespec){.tv_nsec = (long)(draw(&state) % 1000000)}, NULL);
        }
    }
    return NULL;
}

static void run_threads(bool first) {
    const char *given = getenv("MEMDB_SEED");
    pthread_t ids[THREADS];
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("seed=%llu\n", (unsigned long long)seed);
    db = (memdb_t){0};
    pthread_mutex_init(&db.queue, NULL);
    tells_first = first;
    atomic_store(&told, 0);
    atomic_store(&batches, 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&ids[i], NULL, commit_often, (void *)i), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(ids[i], NULL);
    }
    assert_int_equal(atomic_load(&told), THREADS * ROUNDS);
    assert_true(atomic_load(&batches) < THREADS * ROUNDS); // some were shared
    assert_null(db.first_request);
    assert_false(db.leading);
    pthread_mutex_destroy(&db.queue);
}

static void test_each_request_is_told_once_by_one_leader(void **state) {
    (void)state;
    run_threads(true);
}

static void test_the_next_batch_goes_on_before_the_last_is_told(void **state) {
    (void)state;
    run_threads(false);
}

static void test_a_lone_thread_leads_at_once(void **state) {
    (void)state;
    db = (memdb_t){0};
    pthread_mutex_init(&db.queue, NULL);
    for (int i = 0; i < 3; i++) {
        uint32_t count;
        memdb__request_t request = {0};
        assert_true(memdb__queue_enter(&db, &request));
        assert_true(memdb__queue_take(&db, &count) == &request);
        assert_int_equal(count, 1);
        memdb__queue_pass_on(&db, count, 1000000000); // a second: it would be noticed
        memdb__queue_tell(&request, &request);
    }
    pthread_mutex_destroy(&db.queue);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_request_is_told_once_by_one_leader),
        cmocka_unit_test(test_the_next_batch_goes_on_before_the_last_is_told),
        cmocka_unit_test(test_a_lone_thread_leads_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
