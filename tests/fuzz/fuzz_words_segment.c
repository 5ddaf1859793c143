// A words segment of hostile bytes: no crash, no read outside the mapping.
//
// The checksums of a container stop nearly every mutation, so the input changes the sections of a
// good segment, which are then written into a container with right checksums; everything that reads
// a segment runs over it.
//
// Input: a selector byte. Odd: sections 0 to 8, each a u16 size and bytes. Even: changes of a good
// segment, each of five bytes: section, u24 position (modulo its size), the new byte; a section of
// 128 and more cuts that section there.
#include "base/bytes.h"
#include "base/memory.h"
#include "index/lexical/lexical_format.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *count, char ***arguments);

static int directory;
static const memdb__segment_identity_t identity = {.segment_id = 3, .kind = MEMDB__SEGMENT_WORDS};
static memdb__buffer_t good[MEMDB__WORDS_SECTIONS];

static bool live(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)version;
    return id % 5 != 1;
}

static bool live_space(void *context, memdb_space_t space) {
    (void)context, (void)space;
    return true;
}

static void found(void *context, const char *file, uint64_t offset, const char *what) {
    (void)file, (void)offset, (void)what;
    ++*(size_t *)context;
}

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

// A segment with inline terms, long runs, exceptions, ranks, removals, wide lengths and many
// spaces.
static void make_good(void) {
    memdb__words_list_t *list = memdb__words_list_create();
    memdb__buffer_t bag = {0};
    require(list != NULL);
    for (uint64_t i = 1; i <= 260; i++) {
        char text[512];
        int size = snprintf(text, sizeof text, "red fox number%llu of %llu",
                            (unsigned long long)(i % 10), (unsigned long long)i);
        for (uint64_t f = 0; f < i % 12; f++) {
            size += snprintf(text + size, sizeof text - (size_t)size, " again");
        }
        memdb_space_t space = i <= 200 ? 1 : 2 + (memdb_space_t)(i % 9);
        memdb__buffer_clear(&bag);
        require(!memdb__bag_encode(MEMDB_TOKENIZER_PLAIN, text, (size_t)size, NULL, 0, &bag, NULL));
        require(!memdb__words_list_add(list, space, i * 3, i, bag.data, bag.size, NULL));
        require(i % 5 || !memdb__words_list_remove(list, space, i, bag.data, bag.size, NULL));
    }
    memdb__buffer_deinit(&bag);
    memdb__words_source_t source = {.list = list};
    uint64_t size, checksum;
    memdb__words_segment_t *segment;
    require(!memdb__words_segment_write(directory, "good", &identity, &source, 1, 1000, live,
                                        live_space, NULL, &size, &checksum, NULL));
    require(
        !memdb__words_segment_open(directory, "good", &identity, size, checksum, &segment, NULL));
    require(!memdb__words_segment_verify(segment, NULL, NULL, NULL));
    for (uint32_t i = 0; i < MEMDB__WORDS_SECTIONS; i++) {
        uint64_t bytes;
        const uint8_t *at =
            memdb__container_section(memdb__words_segment_container(segment), i, &bytes);
        require(memdb__buffer_append(&good[i], at, (size_t)bytes));
    }
    memdb__words_segment_close(segment);
    memdb__words_list_destroy(list);
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count, (void)arguments;
    // On a memory file system where there is one: each input is a file.
    char path[] = "/dev/shm/memdb-fuzz-XXXXXX", other[] = "/tmp/memdb-fuzz-XXXXXX";
    const char *made = mkdtemp(path) ? path : mkdtemp(other);
    directory = made ? open(made, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    require(directory >= 0);
    make_good();
    return 0;
}

static void change(memdb__buffer_t *sections, const uint8_t *data, size_t size) {
    for (; size >= 5; data += 5, size -= 5) {
        memdb__buffer_t *section = &sections[(data[0] & 127) % MEMDB__WORDS_SECTIONS];
        uint32_t position = data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16;
        if (section->size && data[0] < 128) {
            section->data[position % section->size] = data[4];
        } else if (section->size) {
            section->size = position % section->size;
        }
    }
}

static void take_sections(memdb__buffer_t *sections, const uint8_t *data, size_t size) {
    for (uint32_t i = 0; i < MEMDB__WORDS_SECTIONS && size >= 2; i++) {
        size_t bytes = memdb__get_u16(data);
        data += 2;
        size -= 2;
        bytes = bytes < size ? bytes : size;
        memdb__buffer_append(&sections[i], data, bytes);
        data += bytes;
        size -= bytes;
    }
}

static void write_file(const memdb__buffer_t *sections) {
    static const uint32_t order[MEMDB__WORDS_SECTIONS] = {8, 0, 1, 2, 3, 4, 5, 6, 7};
    memdb__container_writer_t *writer;
    uint64_t size, checksum;
    unlinkat(directory, "words", 0);
    require(!memdb__container_create(directory, "words", &identity, &writer, NULL));
    for (uint32_t i = 0; i < MEMDB__WORDS_SECTIONS; i++) {
        const memdb__buffer_t *section = &sections[order[i]];
        require(!memdb__container_begin(writer, order[i], NULL));
        require(!section->size ||
                !memdb__container_append(writer, section->data, section->size, NULL));
    }
    require(!memdb__container_finish(writer, &size, &checksum, NULL));
}

static void ask(const memdb__words_source_t *source, memdb_space_t space, const char *text,
                size_t k) {
    memdb__words_query_t *query;
    memdb__words_search_t search = {
        .space = space, .visible = 1000, .sources = source, .source_count = 1, .live = live};
    memdb__words_hit_t hits[300];
    memdb__words_totals_t totals;
    size_t count = 0;
    require(!memdb__words_query_create(MEMDB_TOKENIZER_PLAIN, text, strlen(text), &query, NULL));
    if (memdb__words_search(query, &search, hits, k, &count, NULL) == MEMDB_OK) {
        require(count <= k);
        (void)memdb__words_score(query, &search, hits, count, NULL);
    }
    (void)memdb__words_totals(&search, &totals, NULL);
    memdb__words_query_destroy(query);
}

static void use(memdb__words_segment_t *segment) {
    memdb__words_source_t source = {.segment = segment};
    size_t findings = 0;
    uint64_t size, checksum;
    memdb_status_t status = memdb__words_segment_verify(segment, found, &findings, NULL);
    require((status == MEMDB_OK) == (findings == 0));
    for (memdb_space_t space = 1; space < 4; space++) {
        ask(&source, space, "red fox number3 of 33", 10);
        ask(&source, space, "again num* 1* 2*", 300);
        ask(&source, space, "fox", 1);
    }
    unlinkat(directory, "copy", 0);
    status = memdb__words_segment_write(directory, "copy", &identity, &source, 1, 1000, live,
                                        live_space, NULL, &size, &checksum, NULL);
    require(findings > 0 || status == MEMDB_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    memdb__buffer_t sections[MEMDB__WORDS_SECTIONS] = {0};
    if (size == 0) {
        return 0;
    }
    if (data[0] & 1) {
        take_sections(sections, data + 1, size - 1);
    } else {
        for (uint32_t i = 0; i < MEMDB__WORDS_SECTIONS; i++) {
            require(memdb__buffer_append(&sections[i], good[i].data, good[i].size));
        }
        change(sections, data + 1, size - 1);
    }
    write_file(sections);
    memdb__words_segment_t *segment;
    if (memdb__words_segment_open(directory, "words", &identity, 0, 0, &segment, NULL) ==
        MEMDB_OK) {
        use(segment);
        memdb__words_segment_close(segment);
    }
    for (uint32_t i = 0; i < MEMDB__WORDS_SECTIONS; i++) {
        memdb__buffer_deinit(&sections[i]);
    }
    return 0;
}
