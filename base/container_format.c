// Header and footer of a container: encode, decode, verify. The offset table is in
// container_format.h.
//
// Invariant: a decoder believes a field only after the checksum over it was right.
#include "base/container_format.h"

#include "base/bytes.h"
#include "base/checksum.h"

#define HEADER_MAGIC "MEMDBSEG"
#define FOOTER_MAGIC "MEMDBEND"
#define HEADER_CHECKSUM_AT (MEMDB__CONTAINER_HEADER_BYTES - 8)
#define FOOTER_CHECKSUM_AT 48
#define FOOTER_MAGIC_AT 56
#define HEADER_RESERVED_AT 48

void memdb__container_encode_header(uint8_t out[MEMDB__CONTAINER_HEADER_BYTES],
                                    const memdb__segment_identity_t *identity) {
    memset(out, 0, MEMDB__CONTAINER_HEADER_BYTES);
    memcpy(out, HEADER_MAGIC, 8);
    memdb__put_u32(out + 8, MEMDB__CONTAINER_VERSION);
    memdb__put_u32(out + 12, (uint32_t)identity->kind);
    memcpy(out + 16, identity->database_id, 16);
    memdb__put_u64(out + 32, identity->segment_id);
    memdb__put_u32(out + 40, MEMDB__CONTAINER_HEADER_BYTES);
    memdb__put_u32(out + 44, MEMDB__CONTAINER_PAGE_BYTES);
    memdb__put_u64(out + HEADER_CHECKSUM_AT, memdb__hash64(out, HEADER_CHECKSUM_AT, 0));
}

memdb_status_t memdb__container_verify_header(const uint8_t header[MEMDB__CONTAINER_HEADER_BYTES],
                                              const memdb__segment_identity_t *identity,
                                              const char *name, memdb_error_t *error) {
    if (memcmp(header, HEADER_MAGIC, 8))
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 0: not a segment", name);
    if (memdb__get_u64(header + HEADER_CHECKSUM_AT) != memdb__hash64(header, HEADER_CHECKSUM_AT, 0))
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 0: checksum mismatch of the header", name);
    uint32_t version = memdb__get_u32(header + 8);
    if (version != MEMDB__CONTAINER_VERSION)
        return memdb__fail(error, MEMDB_VERSION, "%s: segment format %u is not known", name,
                           version);
    if (memdb__get_u32(header + 12) != (uint32_t)identity->kind)
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 12: kind %u where %u belongs", name,
                           memdb__get_u32(header + 12), (unsigned)identity->kind);
    if (memcmp(header + 16, identity->database_id, 16))
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 16: belongs to another database", name);
    if (memdb__get_u64(header + 32) != identity->segment_id)
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 32: segment %llu where %llu belongs", name,
                           (unsigned long long)memdb__get_u64(header + 32),
                           (unsigned long long)identity->segment_id);
    if (memdb__get_u32(header + 40) != MEMDB__CONTAINER_HEADER_BYTES ||
        memdb__get_u32(header + 44) != MEMDB__CONTAINER_PAGE_BYTES)
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 40: header of %u and pages of %u bytes",
                           name, memdb__get_u32(header + 40), memdb__get_u32(header + 44));
    for (size_t i = HEADER_RESERVED_AT; i < HEADER_CHECKSUM_AT; i++)
        if (header[i])
            return memdb__fail(error, MEMDB_CORRUPT, "%s at %zu: reserved byte %u", name, i,
                               header[i]);
    return MEMDB_OK;
}

void memdb__container_encode_footer(uint8_t out[MEMDB__CONTAINER_FOOTER_BYTES],
                                    memdb__container_footer_t *footer) {
    memset(out, 0, MEMDB__CONTAINER_FOOTER_BYTES);
    memdb__put_u64(out, footer->file_size);
    memdb__put_u64(out + 8, footer->body_size);
    memdb__put_u64(out + 16, footer->segment_id);
    memdb__put_u64(out + 24, footer->page_count);
    memdb__put_u32(out + 32, footer->section_count);
    memdb__put_u64(out + 40, footer->tail_checksum);
    footer->checksum = memdb__hash64(out, FOOTER_CHECKSUM_AT, footer->segment_id);
    memdb__put_u64(out + FOOTER_CHECKSUM_AT, footer->checksum);
    memcpy(out + FOOTER_MAGIC_AT, FOOTER_MAGIC, 8);
}

/// Whether the sizes in a footer fit together and with the file. The order of the tests keeps the
/// sums from wrapping.
static bool sizes_agree(const memdb__container_footer_t *footer, uint64_t file_size) {
    const uint64_t fixed = MEMDB__CONTAINER_HEADER_BYTES + MEMDB__CONTAINER_FOOTER_BYTES;
    return footer->file_size == file_size && file_size >= fixed &&
           footer->body_size <= file_size - fixed &&
           footer->body_size % MEMDB__CONTAINER_ALIGNMENT == 0 &&
           footer->page_count == memdb__container_page_count(footer->body_size) &&
           footer->section_count <= MEMDB__CONTAINER_MAX_SECTIONS &&
           memdb__container_tail_size(footer->page_count, footer->section_count) ==
               file_size - fixed - footer->body_size;
}

memdb_status_t memdb__container_decode_footer(const uint8_t in[MEMDB__CONTAINER_FOOTER_BYTES],
                                              uint64_t file_size, uint64_t segment_id,
                                              const char *name,
                                              memdb__container_footer_t *footer_out,
                                              memdb_error_t *error) {
    unsigned long long at = file_size - MEMDB__CONTAINER_FOOTER_BYTES;
    if (memcmp(in + FOOTER_MAGIC_AT, FOOTER_MAGIC, 8))
        return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: no footer", name, at);
    memdb__container_footer_t footer = {
        .file_size = memdb__get_u64(in),
        .body_size = memdb__get_u64(in + 8),
        .segment_id = memdb__get_u64(in + 16),
        .page_count = memdb__get_u64(in + 24),
        .section_count = memdb__get_u32(in + 32),
        .tail_checksum = memdb__get_u64(in + 40),
        .checksum = memdb__get_u64(in + FOOTER_CHECKSUM_AT),
    };
    if (footer.checksum != memdb__hash64(in, FOOTER_CHECKSUM_AT, segment_id))
        return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: checksum mismatch of the footer",
                           name, at);
    if (footer.segment_id != segment_id || memdb__get_u32(in + 36) ||
        !sizes_agree(&footer, file_size))
        return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: sizes of the footer disagree", name,
                           at);
    *footer_out = footer;
    return MEMDB_OK;
}
