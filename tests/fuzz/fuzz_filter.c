// Filters from hostile text, evaluated on a memory with hostile attributes: the first byte says how
// long the text is, what follows it are the attributes.
//
// What parses must print, and the print must parse to the same print and the same truth.
#include "query/query_filter.h"

#include <stdlib.h>

static void check(int truth) {
    if (!truth)
        abort();
}

/// Bytes of exactly their size, so that a read past their end is seen.
static memdb_bytes_t copy(const uint8_t *data, size_t size) {
    char *text = malloc(size ? size : 1);
    check(text != NULL);
    memcpy(text, data, size);
    return (memdb_bytes_t){text, size};
}

static memdb__filter_truth_t evaluate(const memdb_filter_t *filter, memdb_bytes_t attrs) {
    const memdb__record_t record = {.text = {"say \"a\"", 7},
                                    .time = 1683554160000000,
                                    .valid_from = MEMDB_TIME_NONE,
                                    .valid_to = MEMDB_TIME_NONE,
                                    .expires = MEMDB_TIME_NONE,
                                    .attrs = attrs};
    return memdb__filter_evaluate(filter, filter->root, 7, 8, &record);
}

static void check_print(const memdb_filter_t *filter, memdb_bytes_t attrs) {
    memdb__buffer_t first = {0}, second = {0};
    memdb_filter_t *again = NULL;
    memdb__filter_print(filter, filter->root, &first);
    check(memdb_filter_parse((memdb_bytes_t){(char *)first.data, first.size}, NULL, 0, &again,
                             NULL) == MEMDB_OK);
    memdb__filter_print(again, again->root, &second);
    check(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    check(evaluate(filter, attrs) == evaluate(again, attrs));
    memdb_filter_free(again);
    memdb__buffer_deinit(&first);
    memdb__buffer_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const memdb_value_t items[] = {{.kind = MEMDB_VALUE_INTEGER, .integer = 5},
                                   {.kind = MEMDB_VALUE_NUMBER, .number = 0.5}};
    const memdb_value_t params[] = {{.kind = MEMDB_VALUE_TEXT, .text = {"a", 1}},
                                    {.kind = MEMDB_VALUE_LIST, .list = {items, 2}}};
    if (size < 2 || (size_t)data[0] + 1 > size)
        return 0;
    memdb_bytes_t text = copy(data + 1, data[0]);
    memdb_bytes_t attrs = copy(data + 1 + data[0], size - 1 - data[0]);
    for (size_t count = 0; count <= 2; count++) {
        memdb_filter_t *filter = NULL;
        memdb_error_t error = {0};
        memdb_status_t status = memdb_filter_parse(text, params, count, &filter, &error);
        check(status == error.status && (status == MEMDB_OK) == (filter != NULL));
        if (filter)
            check_print(filter, attrs);
        memdb_filter_free(filter);
    }
    free((char *)text.data);
    free((char *)attrs.data);
    return 0;
}
