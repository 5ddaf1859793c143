// link, unlink, and the links of a memory.
#include "cli/cli_request.h"

static memdb_status_t find_ends(cli_session_t *session, memdb_snapshot_t *snapshot,
                                const cli_json_t *request, memdb_link_t *link,
                                memdb_error_t *error) {
    memdb_memory_t memory;
    memdb_status_t status =
        cli_space_find(session, snapshot, cli_space_name(request), &link->space, error);
    if (status == MEMDB_OK)
        status = cli_find_memory(session, snapshot, link->space, "from",
                                 cli_json_get(request, "from"), &memory, error);
    if (status != MEMDB_OK)
        return status;
    link->from = memory.id;
    status = cli_find_memory(session, snapshot, link->space, "to", cli_json_get(request, "to"),
                             &memory, error);
    if (status == MEMDB_OK)
        link->to = memory.id;
    return status;
}

static memdb_status_t change(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                             bool remove, memdb_error_t *error) {
    cli_write_t write;
    cli_buffer_t attrs = {0};
    uint64_t lsn;
    memdb_link_t link = {.size = sizeof link,
                         .type = cli_get_bytes(request, "type"),
                         .weight = cli_get_number(request, "weight", 1),
                         .valid_from = MEMDB_TIME_NONE,
                         .valid_to = MEMDB_TIME_NONE};
    cli_get_time(request, "valid_from", &link.valid_from);
    cli_get_time(request, "valid_to", &link.valid_to);
    memdb_status_t status = cli_get_attrs(request, &attrs, error);
    link.attrs = (memdb_bytes_t){attrs.data, attrs.size};
    if (status == MEMDB_OK)
        status = cli_write_begin(session, cli_get_durability(request), &write, error);
    if (status == MEMDB_OK) {
        status = find_ends(session, memdb_txn_snapshot(write.txn), request, &link, error);
        if (status == MEMDB_OK && remove)
            status = cli_engine(
                session, memdb_remove_link(write.txn, link.space, link.from, link.to, link.type),
                error, "unlink");
        else if (status == MEMDB_OK)
            status = cli_engine(session, memdb_put_link(write.txn, &link), error, "link");
        status = cli_write_end(session, &write, status, &lsn, error);
        if (status == MEMDB_OK)
            cli_answer_lsn(answer, lsn);
    }
    cli_buffer_free(&attrs);
    return status;
}

memdb_status_t cli_run_link(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                            memdb_error_t *error) {
    return change(session, request, answer, false, error);
}

memdb_status_t cli_run_unlink(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                              memdb_error_t *error) {
    return change(session, request, answer, true, error);
}

cli_json_t *cli_link_json(const memdb_link_t *link) {
    cli_json_t *via = cli_json_new_object();
    cli_set_unsigned(via, "from", link->from);
    cli_set_unsigned(via, "to", link->to);
    cli_json_set(via, "type", cli_bytes_json(link->type));
    cli_json_set(via, "weight", cli_json_new_number(link->weight));
    if (link->attrs.size) {
        cli_json_t *attrs = cli_json_parse(link->attrs.data, link->attrs.size, NULL, NULL);
        cli_json_set(via, "attrs", attrs ? attrs : cli_json_new_null());
    }
    if (link->valid_from != MEMDB_TIME_NONE)
        cli_json_set(via, "valid_from", cli_time_json(link->valid_from));
    if (link->valid_to != MEMDB_TIME_NONE)
        cli_json_set(via, "valid_to", cli_time_json(link->valid_to));
    return via;
}

memdb_status_t cli_each_link(const cli_links_t *links, uint64_t id,
                             memdb_status_t (*visit)(void *context, const memdb_link_t *link,
                                                     memdb_error_t *error),
                             void *context, memdb_error_t *error) {
    memdb_link_cursor_t *cursor;
    memdb_status_t status =
        memdb_links_open(links->snapshot, links->space, id, links->direction, links->type, &cursor);
    if (status != MEMDB_OK)
        return cli_engine(links->session, status, error, "%s", links->what);
    while (status == MEMDB_OK) {
        memdb_link_t link = {.size = sizeof link};
        status = memdb_links_next(cursor, &link);
        if (status == MEMDB_OK)
            status = visit(context, &link, error);
        else if (status != MEMDB_DONE)
            cli_engine(links->session, status, error, "%s", links->what);
    }
    memdb_links_close(cursor);
    return status == MEMDB_DONE ? MEMDB_OK : status;
}

memdb_direction_t cli_get_direction(const cli_json_t *request, memdb_direction_t otherwise) {
    memdb_bytes_t name = cli_get_bytes(request, "direction");
    return !name.size            ? otherwise
           : name.data[0] == 'o' ? MEMDB_DIRECTION_OUT
           : name.data[0] == 'i' ? MEMDB_DIRECTION_IN
                                 : MEMDB_DIRECTION_BOTH;
}
