// Private to the container: its bytes on disk.
//
// header, 4,096 bytes at offset 0
//   0     8   magic "MEMDBSEG"
//   8     4   format version
//   12    4   kind
//   16    16  database id
//   32    8   segment id
//   40    4   size of the header
//   44    4   page size
//   48    .   reserved, zero
//   4088  8   XXH3-64 of the 4,088 bytes before, seed 0; at this place in every version, so that
//             an unknown version can be told from damage
// body: from 4096, a multiple of 64 bytes
//   Sections follow each other in the order of the table; each begins at the end of the one before,
//   rounded up to 64; the gaps are zero. Page p is the body's bytes from p * 16,384 on; the last
//   page is shorter.
// tail: at the end of the body
//   page count * 8      XXH3-64 of each page, seed page_seed(segment id, p)
//   section count * 24  number u32, reserved u32 zero, offset in the file u64, size u64
//   0 to 56             zero, so that the footer is aligned to 64
// footer, the last 64 bytes
//   0     8   file size
//   8     8   body size
//   16    8   segment id
//   24    8   page count
//   32    4   section count
//   36    4   reserved, zero
//   40    8   XXH3-64 of the tail, seed segment id
//   48    8   XXH3-64 of the 48 bytes before, seed segment id; the checksum of the whole file,
//             since it covers the tail's checksum, which covers those of the pages
//   56    8   magic "MEMDBEND"
#ifndef MEMDB_BASE_CONTAINER_FORMAT_H
#define MEMDB_BASE_CONTAINER_FORMAT_H

#include "base/container.h"

#include <assert.h>

#define MEMDB__CONTAINER_VERSION 1
#define MEMDB__CONTAINER_HEADER_BYTES 4096
#define MEMDB__CONTAINER_FOOTER_BYTES 64
#define MEMDB__CONTAINER_SECTION_BYTES 24
#define MEMDB__CONTAINER_ALIGNMENT 64

static_assert(MEMDB__CONTAINER_HEADER_BYTES % MEMDB__CONTAINER_ALIGNMENT == 0,
              "the body begins aligned");
static_assert(MEMDB__CONTAINER_PAGE_BYTES % MEMDB__CONTAINER_ALIGNMENT == 0,
              "a page begins aligned");

typedef struct memdb__container_footer {
    uint64_t file_size, body_size, segment_id, page_count;
    uint32_t section_count;
    uint64_t tail_checksum, checksum;
} memdb__container_footer_t;

static inline uint64_t memdb__container_align(uint64_t size) {
    return (size + MEMDB__CONTAINER_ALIGNMENT - 1) & ~(uint64_t)(MEMDB__CONTAINER_ALIGNMENT - 1);
}

static inline uint64_t memdb__container_page_count(uint64_t body_size) {
    return body_size / MEMDB__CONTAINER_PAGE_BYTES + (body_size % MEMDB__CONTAINER_PAGE_BYTES != 0);
}

/// Size of the tail up to the footer, with its zero bytes. The body ends aligned, so the sum is
/// aligned too.
static inline uint64_t memdb__container_tail_size(uint64_t page_count, uint32_t section_count) {
    return memdb__container_align(page_count * 8 +
                                  (uint64_t)section_count * MEMDB__CONTAINER_SECTION_BYTES);
}

/// The seed of a page's checksum: a page that was read from another place, or belongs to another
/// segment, fails.
static inline uint64_t memdb__container_page_seed(uint64_t segment_id, uint64_t page) {
    return segment_id * UINT64_C(0x9e3779b97f4a7c15) +
           page; // an odd factor spreads the segment ids
}

void memdb__container_encode_header(uint8_t out[MEMDB__CONTAINER_HEADER_BYTES],
                                    const memdb__segment_identity_t *identity);
/// Everything in the header, and that it belongs to `identity`; `name` is for the message.
memdb_status_t memdb__container_verify_header(const uint8_t header[MEMDB__CONTAINER_HEADER_BYTES],
                                              const memdb__segment_identity_t *identity,
                                              const char *name, memdb_error_t *error);

/// Fills in `footer->checksum`.
void memdb__container_encode_footer(uint8_t out[MEMDB__CONTAINER_FOOTER_BYTES],
                                    memdb__container_footer_t *footer);
/// Decode the footer of a file of `file_size` bytes; all sizes in it fit together and with the
/// file.
memdb_status_t memdb__container_decode_footer(const uint8_t in[MEMDB__CONTAINER_FOOTER_BYTES],
                                              uint64_t file_size, uint64_t segment_id,
                                              const char *name,
                                              memdb__container_footer_t *footer_out,
                                              memdb_error_t *error);

#endif
