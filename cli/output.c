// Files in the making.
#include "cli/cli_lines.h"
#include "cli/cli_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

memdb_status_t cli_output_open(cli_output_t *output, const cli_json_t *name, bool force,
                               memdb_error_t *error) {
    output->name = cli_json_bytes(name).data;
    if (!force && access(output->name, F_OK) == 0)
        return cli_fail(error, MEMDB_EXISTS, "file: %.200s exists already; --force replaces it",
                        output->name);
    size_t size = strlen(output->name);
    output->partial = cli_allocate(size + sizeof ".partial");
    memcpy(output->partial, output->name, size);
    memcpy(output->partial + size, ".partial", sizeof ".partial");
    output->fd = open(output->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (output->fd < 0)
        return cli_fail(error, MEMDB_IO, "file: %.200s: %s", output->partial, strerror(errno));
    return MEMDB_OK;
}

memdb_status_t cli_output_flush(cli_output_t *output, size_t above, memdb_error_t *error) {
    if (output->buffer.size <= above)
        return MEMDB_OK;
    if (!cli_write_all(output->fd, output->buffer.data, output->buffer.size)) {
        output->gone = errno == EPIPE;
        return cli_fail(error, errno == ENOSPC ? MEMDB_FULL : MEMDB_IO, "file: %.200s: %s",
                        output->name ? output->name : "standard output", strerror(errno));
    }
    cli_buffer_clear(&output->buffer);
    return MEMDB_OK;
}

// Give the file its name, or remove it when the export failed.
memdb_status_t cli_output_close(cli_output_t *output, memdb_status_t status, memdb_error_t *error) {
    if (status == MEMDB_OK && output->fd >= 0)
        status = cli_output_flush(output, 0, error);
    if (output->partial && output->fd >= 0) {
        if (close(output->fd) && status == MEMDB_OK)
            status =
                cli_fail(error, MEMDB_IO, "file: %.200s: %s", output->partial, strerror(errno));
        if (status == MEMDB_OK && rename(output->partial, output->name))
            status = cli_fail(error, MEMDB_IO, "file: %.200s: %s", output->name, strerror(errno));
        if (status != MEMDB_OK)
            unlink(output->partial);
    }
    free(output->partial);
    cli_buffer_free(&output->buffer);
    return status;
}
