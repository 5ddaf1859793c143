// A safe reader of LMDB's file format, version 1 (LMDB 0.9; Howard Chu), 64-bit little-endian.
//
// LMDB maps its file and follows whatever it finds there. This file decides whether it may: it
// reads a copy in memory and believes nothing. A file is accepted only if every page from 2 to the
// last one is used exactly once, as a tree page, as part of an overflow run or as a page that the
// free database lists; if in each page the nodes tile the bytes above `upper` without gap or
// overlap; if keys rise through the whole tree and separators divide them; and if the counters of
// the meta page are exact. With that, what LMDB will read and what it will reuse is what is written
// here, except for values that decode but changed: those the companion's hash tells.
//
// Not looked at, because LMDB does not look either: the free space of pages, pages listed free,
// mm_address.
//
//   page        0 page number u64, 8 pad u16, 10 flags u16, 12 lower u16, 14 upper u16
//               (an overflow page: 12 count of pages u32), 16 offsets of the nodes, u16 each
//   node        0 lo u16, 2 hi u16, 4 flags u16, 6 key size u16, 8 key, data
//               leaf: lo | hi << 16 is the size of the data
//               branch: lo | hi << 16 | flags << 32 is the page of the child
//   free entry  key: transaction id u64; data: count u64, then page numbers u64, falling
#include "base/bytes.h"
#include "engine/catalog/engine_catalog.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    PAGE_HEADER = 16,
    NODE_HEADER = 8,
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    NODE_BIG = 0x01, // the data is the number of an overflow page
    MAX_KEY = 511,
};

typedef struct walk {
    const uint8_t *file;
    uint64_t size;
    const memdb__lmdb_meta_t *meta;
    uint8_t *used; // a bit a page
    memdb__lmdb_visit_fn visit;
    void *context;
    uint64_t damage;
    memdb_error_t *error;
} walk_t;

// The state of the walk of one tree. `last` is the key that the next one must exceed, or equal if
// it was a separator.
typedef struct tree_walk {
    walk_t *walk;
    const memdb__lmdb_tree_t *tree;
    bool is_free;
    const uint8_t *last;
    size_t last_size;
    bool last_is_separator;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries;
} tree_walk_t;

typedef struct node {
    uint64_t offset; // in the file
    uint16_t flags;
    const uint8_t *key, *data;
    size_t key_size, data_size;
    uint64_t child;
} node_t;

__attribute__((format(printf, 3, 4))) static memdb_status_t damaged(walk_t *walk, uint64_t offset,
                                                                    const char *format, ...) {
    char what[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    walk->damage = offset;
    return memdb__fail(walk->error, MEMDB_CORRUPT, MEMDB__CATALOG_DATA " at %" PRIu64 ": %s",
                       offset, what);
}

// Mark `count` pages from `page` as used; each page may be used once.
static memdb_status_t claim(walk_t *walk, uint64_t page, uint64_t count, uint64_t named_at) {
    uint64_t last = walk->meta->last_page;
    if (page < 2 || page > last || count > last - page + 1)
        return damaged(walk, named_at,
                       "names %" PRIu64 " pages from %" PRIu64 ", the last is %" PRIu64, count,
                       page, last);
    for (uint64_t i = page; i < page + count; i++) {
        uint8_t bit = (uint8_t)(1u << (i % 8));
        if (walk->used[i / 8] & bit)
            return damaged(walk, named_at, "page %" PRIu64 " is used twice", i);
        walk->used[i / 8] |= bit;
    }
    return MEMDB_OK;
}

// The bytes of `count` claimed pages, which must lie in the file. NULL: they are damaged.
static const uint8_t *page_bytes(walk_t *walk, uint64_t page, uint64_t count) {
    uint64_t page_size = walk->meta->page_size;
    if (page + count > walk->size / page_size) {
        damaged(walk, walk->size, "the file ends before page %" PRIu64, page + count - 1);
        return NULL;
    }
    const uint8_t *bytes = walk->file + page * page_size;
    if (memdb__get_u64(bytes) != page) {
        damaged(walk, page * page_size, "page %" PRIu64 " calls itself %" PRIu64, page,
                memdb__get_u64(bytes));
        return NULL;
    }
    return bytes;
}

// Node number `index` of a page whose layout was checked, or is being checked (then false says it
// does not fit).
static bool node_at(const uint8_t *page, uint32_t page_size, bool is_leaf, unsigned index,
                    node_t *node, uint32_t *begin_out, uint32_t *end_out) {
    uint32_t begin = memdb__get_u16(page + PAGE_HEADER + 2 * index);
    if (begin % 2 || begin < PAGE_HEADER || begin > page_size - NODE_HEADER)
        return false;
    const uint8_t *at = page + begin;
    uint64_t low = memdb__get_u32(at);
    node->flags = memdb__get_u16(at + 4);
    node->key_size = memdb__get_u16(at + 6);
    node->key = at + NODE_HEADER;
    node->data = node->key + node->key_size;
    node->data_size = is_leaf ? (size_t)low : 0;
    node->child = is_leaf ? 0 : low | (uint64_t)node->flags << 32;
    uint64_t stored = is_leaf ? (node->flags & NODE_BIG ? 8 : low) : 0;
    uint64_t end = begin + NODE_HEADER + node->key_size + stored;
    end += end % 2;
    if (end > page_size)
        return false;
    *begin_out = begin;
    *end_out = (uint32_t)end;
    return true;
}

// LMDB keeps nodes packed: together they are the bytes from `upper` to the end of the page, each
// byte once. An overlap would let its next deletion in the page move another node's bytes.
static memdb_status_t check_layout(walk_t *walk, uint64_t offset, const uint8_t *page, bool is_leaf,
                                   unsigned *count_out) {
    uint32_t page_size = walk->meta->page_size;
    uint32_t lower = memdb__get_u16(page + 12), upper = memdb__get_u16(page + 14);
    if (lower < PAGE_HEADER || lower % 2 || lower > upper || upper > page_size)
        return damaged(walk, offset + 12, "bounds %" PRIu32 " and %" PRIu32, lower, upper);
    unsigned count = (lower - PAGE_HEADER) / 2;
    uint8_t taken[MEMDB__LMDB_MAX_PAGE / 2 / 8] = {0}; // a bit for two bytes
    uint32_t total = 0;
    for (unsigned i = 0; i < count; i++) {
        node_t node;
        uint32_t begin, end;
        if (!node_at(page, page_size, is_leaf, i, &node, &begin, &end) || begin < upper)
            return damaged(walk, offset + PAGE_HEADER + 2 * i, "node %u lies outside", i);
        for (uint32_t at = begin / 2; at < end / 2; at++) {
            if (taken[at / 8] & 1u << (at % 8))
                return damaged(walk, offset + begin, "node %u overlaps another", i);
            taken[at / 8] |= (uint8_t)(1u << (at % 8));
        }
        total += end - begin;
    }
    if (total != page_size - upper)
        return damaged(walk, offset + 14, "nodes of %" PRIu32 " bytes above %" PRIu32, total,
                       upper);
    *count_out = count;
    return MEMDB_OK;
}

// Keys rise strictly; a separator is above all keys before it and not above those after it.
static memdb_status_t check_order(tree_walk_t *state, const node_t *node, bool is_separator) {
    walk_t *walk = state->walk;
    if (node->key_size == 0 || node->key_size > MAX_KEY || (state->is_free && node->key_size != 8))
        return damaged(walk, node->offset + 6, "a key of %zu bytes", node->key_size);
    if (state->last) {
        int order;
        if (state->is_free) {
            uint64_t before = memdb__get_u64(state->last), now = memdb__get_u64(node->key);
            order = (before > now) - (before < now);
        } else {
            order = memdb__compare(state->last, state->last_size, node->key, node->key_size);
        }
        if (order > 0 || (order == 0 && !state->last_is_separator))
            return damaged(walk, node->offset, "keys do not rise");
    }
    state->last = node->key;
    state->last_size = node->key_size;
    state->last_is_separator = is_separator;
    return MEMDB_OK;
}

// A record of the free database: the pages that a transaction set free. The list may be shorter
// than its room.
static memdb_status_t take_free_list(walk_t *walk, const node_t *node, const uint8_t *value,
                                     size_t size) {
    uint64_t at = (uint64_t)(value - walk->file);
    if (memdb__get_u64(node->key) > walk->meta->txnid)
        return damaged(walk, node->offset, "pages freed by transaction %" PRIu64,
                       memdb__get_u64(node->key));
    if (size < 8 || size % 8 || memdb__get_u64(value) > size / 8 - 1)
        return damaged(walk, at, "a list of free pages in %zu bytes", size);
    uint64_t count = memdb__get_u64(value), before = MEMDB__LMDB_NO_PAGE;
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = memdb__get_u64(value + 8 * i);
        if (page >= before)
            return damaged(walk, at + 8 * i, "free pages do not fall");
        memdb_status_t status = claim(walk, page, 1, at + 8 * i);
        if (status)
            return status;
        before = page;
    }
    return MEMDB_OK;
}

static memdb_status_t take_overflow(tree_walk_t *state, const node_t *node,
                                    const uint8_t **value_out) {
    walk_t *walk = state->walk;
    uint64_t page_size = walk->meta->page_size, first = memdb__get_u64(node->data);
    uint64_t named_at = (uint64_t)(node->data - walk->file), needed;
    memdb_status_t status = claim(walk, first, 1, named_at);
    if (status)
        return status;
    const uint8_t *bytes = page_bytes(walk, first, 1);
    if (!bytes)
        return MEMDB_CORRUPT;
    uint32_t pages = memdb__get_u32(bytes + 12);
    needed = (PAGE_HEADER - 1 + (uint64_t)node->data_size) / page_size + 1;
    if (memdb__get_u16(bytes + 10) != PAGE_OVERFLOW || pages < needed)
        return damaged(walk, first * page_size, "not an overflow run of %" PRIu64 " pages", needed);
    if (pages > 1) {
        status = claim(walk, first + 1, pages - 1, first * page_size + 12);
        if (status)
            return status;
        bytes = page_bytes(walk, first, pages);
        if (!bytes)
            return MEMDB_CORRUPT;
    }
    state->overflow_pages += pages;
    *value_out = bytes + PAGE_HEADER;
    return MEMDB_OK;
}

static memdb_status_t take_entry(tree_walk_t *state, const node_t *node) {
    walk_t *walk = state->walk;
    if (node->flags & ~NODE_BIG)
        return damaged(walk, node->offset + 4, "node flags %u", node->flags);
    memdb_status_t status = check_order(state, node, false);
    if (status)
        return status;
    const uint8_t *value = node->data;
    if (node->flags & NODE_BIG) {
        status = take_overflow(state, node, &value);
        if (status)
            return status;
    }
    state->entries++;
    if (state->is_free)
        return take_free_list(walk, node, value, node->data_size);
    status =
        walk->visit(walk->context, node->key, node->key_size, value, node->data_size, walk->error);
    if (status)
        walk->damage = node->offset;
    return status;
}

// One page and what is below it. The depth is bounded by MEMDB__LMDB_MAX_DEPTH, the work by the
// number of pages.
static memdb_status_t walk_page(tree_walk_t *state, uint64_t number, unsigned level,
                                uint64_t named_at) {
    walk_t *walk = state->walk;
    uint64_t offset = number * walk->meta->page_size;
    bool is_leaf = level == state->tree->depth;
    unsigned count;
    memdb_status_t status = claim(walk, number, 1, named_at);
    if (status)
        return status;
    const uint8_t *page = page_bytes(walk, number, 1);
    if (!page)
        return MEMDB_CORRUPT;
    if (memdb__get_u16(page + 10) != (is_leaf ? PAGE_LEAF : PAGE_BRANCH))
        return damaged(walk, offset + 10, "page flags %u at level %u", memdb__get_u16(page + 10),
                       level);
    status = check_layout(walk, offset, page, is_leaf, &count);
    if (status)
        return status;
    // LMDB itself asserts two children in a branch of the main tree; the free tree may keep one.
    if (count < (is_leaf || state->is_free ? 1u : 2u))
        return damaged(walk, offset + 12, "%u nodes", count);
    *(is_leaf ? &state->leaf_pages : &state->branch_pages) += 1;
    for (unsigned i = 0; i < count && !status; i++) {
        node_t node;
        uint32_t begin, end;
        if (!node_at(page, walk->meta->page_size, is_leaf, i, &node, &begin, &end))
            return damaged(walk, offset, "node %u lies outside", i);
        node.offset = offset + begin;
        if (is_leaf) {
            status = take_entry(state, &node);
            continue;
        }
        if (i > 0) // the key of the first child is never looked at
            status = check_order(state, &node, true);
        if (!status)
            status = walk_page(state, node.child, level + 1, node.offset);
    }
    return status;
}

static memdb_status_t walk_tree(walk_t *walk, const memdb__lmdb_tree_t *tree, bool is_free) {
    tree_walk_t state = {.walk = walk, .tree = tree, .is_free = is_free};
    uint64_t named_at = (walk->meta->txnid % 2) * walk->meta->page_size + (is_free ? 40 : 88);
    if (tree->root != MEMDB__LMDB_NO_PAGE) {
        memdb_status_t status = walk_page(&state, tree->root, 1, named_at);
        if (status)
            return status;
    }
    if (state.branch_pages != tree->branch_pages || state.leaf_pages != tree->leaf_pages ||
        state.overflow_pages != tree->overflow_pages || state.entries != tree->entries)
        return damaged(walk, named_at, "the counters of a tree are not those of its pages");
    return MEMDB_OK;
}

memdb_status_t memdb__lmdb_walk_meta(const uint8_t *file, size_t size,
                                     const memdb__lmdb_meta_t *meta, memdb__lmdb_visit_fn visit,
                                     void *context, uint64_t *damage_out, memdb_error_t *error) {
    walk_t walk = {.file = file,
                   .size = size,
                   .meta = meta,
                   .visit = visit,
                   .context = context,
                   .error = error};
    walk.used = memdb__allocate_zeroed((size_t)(meta->last_page / 8 + 1), 1);
    if (!walk.used)
        return memdb__fail(error, MEMDB_NOMEM, MEMDB__CATALOG_DATA ": out of memory");
    memdb_status_t status = walk_tree(&walk, &meta->main, false);
    if (!status)
        status = walk_tree(&walk, &meta->free, true);
    for (uint64_t page = 2; !status && page <= meta->last_page; page++)
        if (!(walk.used[page / 8] & 1u << (page % 8)))
            status = damaged(&walk, page * meta->page_size,
                             "page %" PRIu64 " is neither used nor free", page);
    memdb__free(walk.used);
    if (status)
        *damage_out = walk.damage;
    return status;
}

memdb_status_t memdb__lmdb_walk(const uint8_t *file, size_t size, uint64_t *txnid_out,
                                memdb__lmdb_visit_fn visit, void *context, memdb_error_t *error) {
    memdb__lmdb_meta_t metas[2];
    int newest;
    uint64_t damage;
    memdb_status_t status = memdb__lmdb_metas(file, size, metas, &newest, &damage, error);
    if (!status)
        status = memdb__lmdb_walk_meta(file, size, &metas[newest], visit, context, &damage, error);
    if (!status)
        *txnid_out = metas[newest].txnid;
    return status;
}
