// What the tests of words share: a folder for segments, and small calls that must succeed.
#ifndef MEMDB_TESTS_TEST_LEXICAL_FIXTURE_H
#define MEMDB_TESTS_TEST_LEXICAL_FIXTURE_H

#include "base/memory.h"
#include "index/lexical/lexical.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct folder {
    char path[64];
    int fd;
    uint64_t next; // number of the next segment
} folder_t;

static inline void folder_init(folder_t *folder) {
    snprintf(folder->path, sizeof folder->path, "/tmp/memdb-test-words-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder->fd >= 0);
    folder->next = 1;
}

static inline void folder_deinit(folder_t *folder) {
    char name[32];
    for (uint64_t i = 0; i < folder->next; i++) {
        snprintf(name, sizeof name, "%llu.words", (unsigned long long)i);
        unlinkat(folder->fd, name, 0);
    }
    close(folder->fd);
    assert_int_equal(rmdir(folder->path), 0);
}

static inline memdb__segment_identity_t identity_of(uint64_t number) {
    return (memdb__segment_identity_t){{7}, number, MEMDB__SEGMENT_WORDS};
}

static inline bool live_always(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)id, (void)version;
    return true;
}

static inline bool space_always(void *context, memdb_space_t space) {
    (void)context, (void)space;
    return true;
}

/// Write a segment of the sources and open it. A failure to write leaves nothing behind.
static inline memdb_status_t write_and_open(folder_t *folder, const memdb__words_source_t *sources,
                                            size_t count, uint64_t visible, memdb__live_fn live,
                                            void *context, memdb__words_segment_t **segment_out,
                                            memdb_error_t *error) {
    uint64_t number = folder->next++, size, checksum;
    char name[32];
    snprintf(name, sizeof name, "%llu.words", (unsigned long long)number);
    memdb__segment_identity_t identity = identity_of(number);
    memdb_status_t status =
        memdb__words_segment_write(folder->fd, name, &identity, sources, count, visible, live,
                                   space_always, context, &size, &checksum, error);
    return status ? status
                  : memdb__words_segment_open(folder->fd, name, &identity, size, checksum,
                                              segment_out, error);
}

static inline void must(memdb_status_t status, const memdb_error_t *error) {
    if (status) {
        fail_msg("%s: %s", memdb_status_name(status), error->message);
    }
}

static inline memdb_status_t try_add(memdb__words_list_t *list, memdb_space_t space, uint64_t id,
                                     uint64_t version, const char *text, memdb_error_t *error) {
    memdb__buffer_t bag = {0};
    memdb_status_t status =
        memdb__bag_encode(MEMDB_TOKENIZER_ENGLISH, text, strlen(text), NULL, 0, &bag, error);
    if (!status) {
        status = memdb__words_list_add(list, space, id, version, bag.data, bag.size, error);
    }
    memdb__buffer_deinit(&bag);
    return status;
}

static inline memdb_status_t try_remove(memdb__words_list_t *list, memdb_space_t space,
                                        uint64_t version, const char *text, memdb_error_t *error) {
    memdb__buffer_t bag = {0};
    memdb_status_t status =
        memdb__bag_encode(MEMDB_TOKENIZER_ENGLISH, text, strlen(text), NULL, 0, &bag, error);
    if (!status) {
        status = memdb__words_list_remove(list, space, version, bag.data, bag.size, error);
    }
    memdb__buffer_deinit(&bag);
    return status;
}

static inline void add(memdb__words_list_t *list, memdb_space_t space, uint64_t id,
                       uint64_t version, const char *text) {
    memdb_error_t error;
    must(try_add(list, space, id, version, text, &error), &error);
}

static inline memdb__words_query_t *query_of(const char *text) {
    memdb_error_t error;
    memdb__words_query_t *query;
    must(memdb__words_query_create(MEMDB_TOKENIZER_ENGLISH, text, strlen(text), &query, &error),
         &error);
    return query;
}

static inline uint64_t test_seed(void) {
    const char *text = getenv("MEMDB_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20240517;
    print_message("seed=%llu\n", (unsigned long long)seed);
    return seed * 0x9E3779B97F4A7C15u + 1;
}

static inline uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

#endif
