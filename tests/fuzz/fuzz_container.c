// Fuzzes memdb__container_open, check and verify.
//
// The first byte chooses: even: the rest is the file as it is; odd: the rest gives body, section
// table and sizes, and header and checksums are made right around it, so that the decoder behind
// the checksums is reached.
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/container_format.h"
#include "base/io.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const memdb__segment_identity_t identity = {{1, 2, 3}, 5, MEMDB__SEGMENT_WORDS};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/// Read every byte that the container says it has, after checking it.
static void walk(memdb__container_t *container) {
    memdb_error_t error;
    unsigned sum = 0;
    for (uint32_t i = 0; i <= MEMDB__CONTAINER_MAX_SECTIONS; i++) {
        uint64_t section_size;
        const uint8_t *at = memdb__container_section(container, i, &section_size);
        if (!at || memdb__container_check(container, at, (size_t)section_size, &error))
            continue;
        for (uint64_t k = 0; k < section_size; k++)
            sum += at[k];
    }
    memdb_status_t status = memdb__container_verify(container, NULL, NULL, &error);
    if ((status && status != MEMDB_CORRUPT) || sum == 1)
        abort();
}

static void open_bytes(const uint8_t *bytes, size_t size) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    memdb_error_t error;
    if (fd < 0 || memdb__io_write(fd, bytes, size, 0, "fuzz", &error))
        abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memdb__container_t *container;
    memdb_status_t status =
        memdb__container_open(AT_FDCWD, path, &identity, 0, 0, &container, &error);
    if (!status) {
        walk(container);
        memdb__container_close(container);
    } else if (status != MEMDB_CORRUPT && status != MEMDB_VERSION) {
        abort();
    }
    close(fd);
}

/// body size in units of 64 u8, section count u8, table entries (number u8, offset and size
/// varints), then the body.
static void build(memdb__reader_t *reader, memdb__buffer_t *file) {
    size_t body_size = (size_t)memdb__read_u8(reader) * 64;
    uint32_t sections = memdb__read_u8(reader) % (MEMDB__CONTAINER_MAX_SECTIONS + 3);
    uint8_t header[MEMDB__CONTAINER_HEADER_BYTES];
    memdb__container_encode_header(header, &identity);
    memdb__buffer_append(file, header, sizeof header);
    memdb__buffer_t table = {0};
    for (uint32_t i = 0; i < sections; i++) {
        memdb__buffer_append_u32(&table, memdb__read_u8(reader));
        memdb__buffer_append_u32(&table, 0);
        memdb__buffer_append_u64(&table, memdb__read_varint(reader));
        memdb__buffer_append_u64(&table, memdb__read_varint(reader));
    }
    for (size_t i = 0; i < body_size; i++)
        memdb__buffer_append_u8(file, memdb__read_u8(reader));
    size_t tail_at = file->size;
    uint64_t pages = memdb__container_page_count(body_size);
    for (uint64_t page = 0; page < pages; page++) {
        size_t from = (size_t)page * MEMDB__CONTAINER_PAGE_BYTES, part = body_size - from;
        memdb__buffer_append_u64(
            file,
            memdb__hash64(file->data + sizeof header + from,
                          part < MEMDB__CONTAINER_PAGE_BYTES ? part : MEMDB__CONTAINER_PAGE_BYTES,
                          memdb__container_page_seed(identity.segment_id, page)));
    }
    memdb__buffer_append(file, table.data, table.size);
    memdb__buffer_deinit(&table);
    while (file->size % 64)
        memdb__buffer_append_u8(file, 0);
    memdb__container_footer_t footer = {
        .file_size = file->size + MEMDB__CONTAINER_FOOTER_BYTES,
        .body_size = body_size,
        .segment_id = identity.segment_id,
        .page_count = pages,
        .section_count = sections,
        .tail_checksum =
            memdb__hash64(file->data + tail_at, file->size - tail_at, identity.segment_id),
    };
    uint8_t bytes[MEMDB__CONTAINER_FOOTER_BYTES];
    memdb__container_encode_footer(bytes, &footer);
    memdb__buffer_append(file, bytes, sizeof bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    if (data[0] % 2 == 0) {
        open_bytes(data + 1, size - 1);
        return 0;
    }
    memdb__reader_t reader = memdb__reader(data + 1, size - 1);
    memdb__buffer_t file = {0};
    build(&reader, &file);
    open_bytes(file.data, file.size);
    memdb__buffer_deinit(&file);
    return 0;
}
