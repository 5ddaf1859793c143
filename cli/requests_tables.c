// tables.
#include "cli/cli_request.h"
#include "include/memdb_runtime.h"

#include <string.h>

static bool add_table(void *context, const memdb_table_info_t *info) {
    static const char *const dtypes[] = {"f32", "f16", "bf16", "e4m3", "i8", "q4"};
    const memdb_hashing_t *hashing = &info->hashing;
    cli_json_t *table = cli_json_new_object();
    cli_json_set(table, "name", cli_bytes_json(info->name));
    cli_set_unsigned(table, "rows", info->rows);
    cli_set_unsigned(table, "dimension", info->dimension);
    cli_json_set(
        table, "dtype",
        cli_json_new_string((memdb_bytes_t){dtypes[info->dtype], strlen(dtypes[info->dtype])}));
    cli_set_unsigned(table, "row_bytes", info->row_bytes);
    if (hashing->layers) {
        cli_json_t *hash = cli_json_new_object();
        cli_set_unsigned(hash, "layers", hashing->layers);
        cli_set_unsigned(hash, "min_order", hashing->min_order);
        cli_set_unsigned(hash, "max_order", hashing->max_order);
        cli_set_unsigned(hash, "heads", hashing->heads);
        cli_set_unsigned(hash, "tokens", hashing->token_count);
        cli_json_set(table, "hash", hash);
    }
    cli_json_append(context, table);
    return true;
}

memdb_status_t cli_run_tables(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                              memdb_error_t *error) {
    memdb_snapshot_t *snapshot;
    cli_json_t *tables = cli_json_new_array();
    (void)request;
    cli_json_set(answer, "tables", tables);
    memdb_status_t status = cli_read_begin(session, &snapshot, error);
    if (status != MEMDB_OK)
        return status;
    status = cli_engine(session, memdb_table_list(snapshot, add_table, tables), error, "tables");
    cli_read_end(session, snapshot);
    return status;
}
