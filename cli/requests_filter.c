// filter and params: from JSON to a filter of the library.
#include "cli/cli_request.h"

#include <stdlib.h>

static memdb_value_t value_of(const cli_json_t *json) {
    switch (cli_json_kind(json)) {
    case CLI_JSON_BOOL:
        return (memdb_value_t){.kind = MEMDB_VALUE_BOOL, .truth = cli_json_truth(json)};
    case CLI_JSON_INTEGER:
        return (memdb_value_t){.kind = MEMDB_VALUE_INTEGER, .integer = cli_json_integer(json)};
    case CLI_JSON_REAL:
        return (memdb_value_t){.kind = MEMDB_VALUE_NUMBER, .number = cli_json_number(json)};
    case CLI_JSON_STRING:
        return (memdb_value_t){.kind = MEMDB_VALUE_TEXT, .text = cli_json_bytes(json)};
    default:
        return (memdb_value_t){.kind = MEMDB_VALUE_NULL};
    }
}

memdb_status_t cli_get_filter(const cli_json_t *request, memdb_filter_t **filter_out,
                              memdb_error_t *error) {
    const cli_json_t *text = cli_json_get(request, "filter");
    const cli_json_t *params = cli_json_get(request, "params");
    size_t count = params ? cli_json_count(params) : 0, total = count;
    *filter_out = NULL;
    if (!text)
        return params ? cli_fail(error, MEMDB_INVALID, "params: there is no filter that wants them")
                      : MEMDB_OK;
    for (size_t i = 0; i < count; i++)
        if (cli_json_kind(cli_json_at(params, i)) == CLI_JSON_ARRAY)
            total += cli_json_count(cli_json_at(params, i));
    memdb_value_t *values = cli_allocate(total * sizeof *values), *items = values + count;
    for (size_t i = 0; i < count; i++) {
        const cli_json_t *param = cli_json_at(params, i);
        values[i] = value_of(param);
        if (cli_json_kind(param) != CLI_JSON_ARRAY)
            continue;
        values[i] =
            (memdb_value_t){.kind = MEMDB_VALUE_LIST, .list = {items, cli_json_count(param)}};
        for (size_t j = 0; j < cli_json_count(param); j++)
            *items++ = value_of(cli_json_at(param, j));
    }
    memdb_status_t status =
        memdb_filter_parse(cli_json_bytes(text), values, count, filter_out, error);
    free(values);
    return status;
}
