// Fuzz target: mapping a hostile control file. It must be refused or taken, without a crash.
//
// The first byte chooses whether the checksum is made to fit, so that the fields behind it are
// reached.
#include "base/checksum.h"
#include "base/io.h"
#include "wal/control.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[] = "/tmp/memdb-fuzz-control-XXXXXX";
    static int directory = -1;
    static const uint8_t id[16] = "sixteen bytes id";
    memdb__control_t *control;
    if (directory < 0) {
        if (mkdtemp(path) == NULL || (directory = open(path, O_RDONLY | O_DIRECTORY)) < 0) {
            abort();
        }
    }
    if (size < 1) {
        return 0;
    }
    uint8_t page[MEMDB__CONTROL_BYTES] = {0};
    size_t length = size - 1 < sizeof page ? size - 1 : sizeof page;
    memcpy(page, data + 1, length);
    if (data[0] & 1) {
        memcpy(page, "MEMDBCTL", 8);
        uint64_t checksum = memdb__hash64(page, offsetof(memdb__control_t, static_checksum), 0);
        memcpy(page + offsetof(memdb__control_t, static_checksum), &checksum, 8);
    }
    int fd = openat(directory, "control", O_RDWR | O_CREAT | O_TRUNC, 0600);
    size_t bytes = data[0] & 2 ? length : sizeof page;
    if (fd < 0 || write(fd, page, bytes) != (ssize_t)bytes) {
        abort();
    }
    close(fd);
    if (memdb__control_map(directory, id, &control, NULL) == MEMDB_OK) {
        memdb__control_unmap(control);
    }
    return 0;
}
