// Bags and the tokenizer: hostile bytes as a bag, and as a text whose bag must be well-formed.
//
// A bag that is accepted goes through a delta list and back out of a search for its own terms.
#include "base/memory.h"
#include "index/lexical/lexical.h"
#include "index/lexical/lexical_bag.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool live(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)id, (void)version;
    return true;
}

static void ask(const memdb__words_source_t *source, const char *text, size_t size) {
    memdb__words_query_t *query;
    memdb__words_search_t search = {
        .space = 1, .visible = 1, .sources = source, .source_count = 1, .live = live};
    memdb__words_hit_t hits[2];
    size_t count;
    if (memdb__words_query_create(MEMDB_TOKENIZER_PLAIN, text, size, &query, NULL)) {
        return;
    }
    if (memdb__words_search(query, &search, hits, 2, &count, NULL) || count > 1 ||
        memdb__words_score(query, &search, hits, count, NULL)) {
        abort();
    }
    memdb__words_query_destroy(query);
}

static void list_of(const uint8_t *data, size_t size) {
    bool good = memdb__bag_verify(data, size);
    memdb__words_list_t *list = memdb__words_list_create();
    if (!list) {
        return;
    }
    memdb_status_t status = memdb__words_list_add(list, 1, 1, 1, data, size, NULL);
    if ((status == MEMDB_OK) != good ||
        (good && memdb__words_list_remove(list, 2, 1, data, size, NULL))) {
        abort();
    }
    memdb__words_source_t source = {.list = list};
    ask(&source, (const char *)data, size);
    memdb__words_list_destroy(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    if (data[0] & 1) {
        list_of(data + 1, size - 1);
        return 0;
    }
    memdb__buffer_t bag = {0};
    size_t half = (size - 1) / 2;
    memdb_tokenizer_kind_t kind = data[0] & 2 ? MEMDB_TOKENIZER_ENGLISH : MEMDB_TOKENIZER_PLAIN;
    const char *text = (const char *)data + 1;
    if (memdb__bag_encode(kind, text, half, text + half, size - 1 - half, &bag, NULL) ||
        !memdb__bag_verify(bag.data, bag.size)) {
        abort();
    }
    list_of(bag.data, bag.size);
    memdb__buffer_deinit(&bag);
    return 0;
}
