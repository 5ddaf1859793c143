// Fuzzes the reading of extents: the decoders, and the arena on a whole file in memory.
//
// The input is a reference (32 bytes) and the content of an extent file behind its header, which is
// right unless the first byte asks for the input's own. With the second byte odd, blob headers and
// piece checksums are made right first, so that the fuzzer gets behind them. Property: what verify
// accepts, read gives, with the size that was told; and what was erased is nothing of that.
#include "base/bytes.h"
#include "base/checksum.h"
#include "blob/blob_extent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t DATABASE_ID[16] = {7};
static const uint64_t EXTENT_ID = 1;
static int directory = -1, file = -1;

static void clean_up(void) {
    unlinkat(directory, "blob/0000000000000001.ext", 0);
    unlinkat(directory, "blob", AT_REMOVEDIR);
    char path[64], target[256];
    snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length > 0) {
        target[length] = 0;
        rmdir(target);
    }
}

static void set_up(void) {
    char path[] = "/dev/shm/memdb-fuzz-XXXXXX";
    if (!mkdtemp(path))
        abort();
    directory = open(path, O_RDONLY | O_DIRECTORY);
    if (mkdirat(directory, "blob", 0700))
        abort();
    file = openat(directory, "blob/0000000000000001.ext", O_RDWR | O_CREAT, 0600);
    if (file < 0)
        abort();
    atexit(clean_up);
}

static uint64_t no_id(void *context) {
    (void)context;
    abort();
}

static void write_all(const void *data, size_t size, off_t offset) {
    if (pwrite(file, data, size, offset) != (ssize_t)size)
        abort();
}

// Make what the reference names right, as far as the bytes reach.
static void repair(uint8_t *bytes, size_t size, uint8_t reference[32]) {
    uint64_t content = memdb__get_u64(reference + 16) % 200000, offset = MEMDB__EXTENT_HEADER_BYTES;
    uint8_t hash[16] = {0};
    memdb__put_u64(reference, EXTENT_ID);
    memdb__put_u64(reference + 8, offset);
    memdb__put_u64(reference + 16, content);
    memdb__put_u64(reference + 24, 0);
    if (size < MEMDB__BLOB_HEADER_BYTES)
        return;
    memdb__blob_header_encode(EXTENT_ID, offset, content, hash, bytes);
    for (uint64_t at = MEMDB__BLOB_HEADER_BYTES; content; at += MEMDB__PIECE_STRIDE) {
        size_t piece = content < MEMDB__PIECE_BYTES ? (size_t)content : MEMDB__PIECE_BYTES;
        if (at + piece + MEMDB__PIECE_CHECKSUM_BYTES > size)
            return;
        memdb__put_u64(bytes + at + piece,
                       memdb__piece_checksum(EXTENT_ID, offset + at, bytes + at, piece));
        content -= piece;
    }
}

static void use(memdb__blobs_t *blobs, const uint8_t reference[32], uint64_t random) {
    memdb__blob_view_t *view;
    uint64_t size;
    memdb_status_t verified = memdb__blob_verify(blobs, reference, NULL);
    memdb_status_t status = memdb__blob_open(blobs, reference, &view, &size, NULL);
    if (status) {
        if (verified == MEMDB_OK)
            abort();
        return;
    }
    uint64_t offset = random % (size + 1), part = random / 7 % (size - offset + 1);
    uint8_t *buffer = malloc((size_t)size + 1);
    if (size != memdb__get_u64(reference + 16) || !buffer)
        abort();
    status = memdb__blob_read(view, offset, buffer, (size_t)part, NULL);
    if (status && verified == MEMDB_OK)
        abort();
    status = memdb__blob_read(view, 0, buffer, (size_t)size, NULL);
    if (status && verified == MEMDB_OK)
        abort();
    free(buffer);
    memdb__blob_close(view);
}

static bool nothing(void *context, uint64_t size, uint64_t hash_prefix) {
    (void)context, (void)size, (void)hash_prefix;
    return false;
}

// What a purge writes over is no blob any more, whatever was there.
static void erase(memdb__blobs_t *blobs, const uint8_t reference[32]) {
    memdb__blob_view_t *view;
    if (memdb__extent_erase(blobs, EXTENT_ID, nothing, NULL, NULL))
        abort();
    if (memdb__blob_open(blobs, reference, &view, NULL, NULL) == MEMDB_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t header[MEMDB__EXTENT_HEADER_BYTES], reference[32];
    memdb__blobs_t *blobs;
    if (directory < 0)
        set_up();
    if (size < 34)
        return 0;
    bool own_header = data[0] == 255, right = data[1] % 2;
    memcpy(reference, data + 2, 32);
    data += 34;
    size -= 34;
    uint8_t *bytes = malloc(size + 1);
    memcpy(bytes, data, size);
    if (right)
        repair(bytes, size, reference);
    if (ftruncate(file, 0))
        abort();
    memdb__extent_header_encode(DATABASE_ID, EXTENT_ID, header);
    if (own_header)
        memcpy(header, bytes, size < sizeof header ? size : sizeof header);
    write_all(header, sizeof header, 0);
    write_all(bytes, size, sizeof header);
    if (memdb__blobs_open(directory, DATABASE_ID, no_id, NULL, true, &blobs, NULL))
        abort();
    use(blobs, reference, memdb__hash64(bytes, size, 1));
    erase(blobs, reference);
    memdb__blobs_close(blobs);
    free(bytes);
    return 0;
}
