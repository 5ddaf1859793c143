// Boolean questions: any bytes as a question with signs, and as a text that it may admit.
//
// What ranks is never longer than the question but for a blank a group, and what a memory must hold
// to meet the demand is found by the index: its id is in the set.
#include "query/query_boolean.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(memdb__words_demand_t *demand, memdb_bytes_t text) {
    static const memdb_bytes_t nobody;
    memdb__words_demand_estimate_t estimate;
    memdb__buffer_t bag = {0};
    memdb__bitmap_t ids = {0};
    bool meets;
    memdb__words_list_t *list = memdb__words_list_create();
    if (!list ||
        memdb__bag_encode(MEMDB_TOKENIZER_ENGLISH, text.data, text.size, NULL, 0, &bag, NULL) ||
        memdb__words_list_add(list, 1, 7, 1, bag.data, bag.size, NULL)) {
        abort();
    }
    memdb__words_source_t source = {.list = list};
    memdb__words_search_t search = {
        .space = 1, .visible = 1, .sources = &source, .source_count = 1};
    if (memdb__words_demand_meets(demand, text, nobody, &meets, NULL) ||
        memdb__words_demand_estimate(demand, &search, &estimate, NULL)) {
        abort();
    }
    if (memdb__words_demand_requires(demand) &&
        (memdb__words_demand_ids(demand, &search, &ids, NULL) ||
         (meets && !memdb__bitmap_has(&ids, 7)))) {
        abort();
    }
    memdb__bitmap_deinit(&ids);
    memdb__buffer_deinit(&bag);
    memdb__words_list_destroy(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    size_t half = (size - 1) / 2;
    memdb_bytes_t question = {(const char *)data + 1, half};
    memdb_bytes_t text = {question.data + half, size - 1 - half};
    memdb__boolean_t read;
    memdb__words_demand_t *demand = NULL;
    if (memdb__boolean_read(question, data[0] & 1, data[0] & 2, &read, NULL) == MEMDB_OK) {
        if (read.text.size > 2 * question.size) {
            abort();
        }
        if (memdb__boolean_demand(&read, MEMDB_TOKENIZER_ENGLISH, &demand, NULL) == MEMDB_OK &&
            demand) {
            look(demand, text);
        }
        memdb__words_demand_destroy(demand);
    }
    memdb__boolean_deinit(&read);
    return 0;
}
