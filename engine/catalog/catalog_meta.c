// The meta pages of LMDB's file format, version 1 (LMDB 0.9), decoded as hostile bytes.
//
//   meta page   0 page header, 16 magic u32, 20 version u32, 24 address u64, 32 map size u64,
//               40 free tree, 88 main tree, 136 last page u64, 144 transaction id u64
//   tree        0 pad u32 (free tree: page size), 4 flags u16, 6 depth u16, 8 branch pages u64,
//               16 leaf pages u64, 24 overflow pages u64, 32 entries u64, 40 root u64
#include "base/bytes.h"
#include "engine/catalog/engine_catalog.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    PAGE_META = 0x08,
    TREE_INTEGER_KEYS = 0x08,
    MIN_PAGE = 512,
};
#define LMDB_MAGIC 0xBEEFC0DEu
#define MAX_MAP_BYTES (UINT64_C(1) << 30) // bounds what a hostile meta page makes us allocate

typedef struct meta_reader {
    const uint8_t *file;
    uint64_t size, damage;
    memdb_error_t *error;
} meta_reader_t;

__attribute__((format(printf, 3, 4))) static memdb_status_t
damaged(meta_reader_t *reader, uint64_t offset, const char *format, ...) {
    char what[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    reader->damage = offset;
    return memdb__fail(reader->error, MEMDB_CORRUPT, MEMDB__CATALOG_DATA " at %" PRIu64 ": %s",
                       offset, what);
}

static void decode_tree(const uint8_t *at, memdb__lmdb_tree_t *tree) {
    tree->depth = memdb__get_u16(at + 6);
    tree->branch_pages = memdb__get_u64(at + 8);
    tree->leaf_pages = memdb__get_u64(at + 16);
    tree->overflow_pages = memdb__get_u64(at + 24);
    tree->entries = memdb__get_u64(at + 32);
    tree->root = memdb__get_u64(at + 40);
}

static memdb_status_t check_tree(meta_reader_t *reader, uint64_t offset,
                                 const memdb__lmdb_tree_t *tree, uint64_t last_page) {
    if (tree->root == MEMDB__LMDB_NO_PAGE) {
        if (tree->depth || tree->branch_pages || tree->leaf_pages || tree->overflow_pages ||
            tree->entries)
            return damaged(reader, offset, "an empty tree has counters");
        return MEMDB_OK;
    }
    if (tree->root < 2 || tree->root > last_page)
        return damaged(reader, offset, "root page %" PRIu64 " of %" PRIu64, tree->root, last_page);
    if (tree->depth == 0 || tree->depth > MEMDB__LMDB_MAX_DEPTH)
        return damaged(reader, offset, "depth %u", tree->depth);
    return MEMDB_OK;
}

static memdb_status_t decode_meta(meta_reader_t *reader, uint64_t number, uint64_t page_size,
                                  memdb__lmdb_meta_t *meta) {
    uint64_t offset = number * page_size;
    if (reader->size < MEMDB__LMDB_META_END || offset > reader->size - MEMDB__LMDB_META_END)
        return damaged(reader, reader->size, "the file ends before meta page %" PRIu64, number);
    const uint8_t *page = reader->file + offset;
    if (memdb__get_u64(page) != number || memdb__get_u16(page + 10) != PAGE_META)
        return damaged(reader, offset, "not a meta page");
    if (memdb__get_u32(page + 16) != LMDB_MAGIC || memdb__get_u32(page + 20) != 1)
        return damaged(reader, offset + 16, "not the magic number and version of LMDB 0.9");
    meta->page_size = memdb__get_u32(page + 40);
    if (meta->page_size < MIN_PAGE || meta->page_size > MEMDB__LMDB_MAX_PAGE ||
        (meta->page_size & (meta->page_size - 1)) || (number && meta->page_size != page_size))
        return damaged(reader, offset + 40, "page size %" PRIu32, meta->page_size);
    if (memdb__get_u16(page + 44) != TREE_INTEGER_KEYS)
        return damaged(reader, offset + 44, "flags %u", memdb__get_u16(page + 44));
    if (memdb__get_u32(page + 88) || memdb__get_u16(page + 92))
        return damaged(reader, offset + 88, "flags of the main tree");
    uint64_t map_size = memdb__get_u64(page + 32);
    meta->last_page = memdb__get_u64(page + 136);
    meta->txnid = memdb__get_u64(page + 144);
    if (map_size > MAX_MAP_BYTES)
        return damaged(reader, offset + 32, "map size %" PRIu64, map_size);
    if (meta->last_page < 1 || meta->last_page >= map_size / meta->page_size)
        return damaged(reader, offset + 136, "last page %" PRIu64, meta->last_page);
    decode_tree(page + 40, &meta->free);
    decode_tree(page + 88, &meta->main);
    memdb_status_t status = check_tree(reader, offset + 40, &meta->free, meta->last_page);
    return status ? status : check_tree(reader, offset + 88, &meta->main, meta->last_page);
}

memdb_status_t memdb__lmdb_metas(const uint8_t *file, size_t size, memdb__lmdb_meta_t metas_out[2],
                                 int *newest_out, uint64_t *damage_out, memdb_error_t *error) {
    meta_reader_t reader = {.file = file, .size = size, .error = error};
    memdb__lmdb_meta_t metas[2];
    memdb_status_t status = decode_meta(&reader, 0, 0, &metas[0]);
    if (!status)
        status = decode_meta(&reader, 1, metas[0].page_size, &metas[1]);
    if (!status) {
        // A commit of transaction t replaces the meta page t % 2, so the two are always neighbours.
        uint64_t first = metas[0].txnid, second = metas[1].txnid;
        bool fresh = first == 0 && second == 0;
        if (!fresh && (first % 2 != 0 || (second != first + 1 && second + 1 != first)))
            status = damaged(&reader, 144, "meta pages of transactions %" PRIu64 " and %" PRIu64,
                             first, second);
        else
            *newest_out = second > first;
    }
    if (status) {
        *damage_out = reader.damage;
        return status;
    }
    metas_out[0] = metas[0];
    metas_out[1] = metas[1];
    return MEMDB_OK;
}
