// Packed adjacency. See adjacency.h.
//
// The two directions hold the same links: the first in the order in which they came, each node's
// sorted; the second is made from it by counting, which keeps each node's in order of the other
// end without a sort.
#include "index/graph/adjacency.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TYPES_AT_FIRST 64 // slots of the table of types; a power of two

typedef struct packed_link {
    uint64_t from, to;
    memdb__validity_t valid;
    uint32_t type;
    float weight;
} packed_link_t;

/// One direction.
typedef struct rows {
    uint32_t *starts; // of each node, and the end
    uint64_t *others;
    float *weights;
    uint32_t *types;
    memdb__validity_t *spans; // NULL: open on both sides, all of them
    double *totals;           // of each node
} rows_t;

struct memdb__adjacency {
    uint64_t *nodes; // rising
    size_t node_count, link_count;
    bool has_removed, has_spans;
    rows_t out, in;
    memdb__buffer_t types; // memdb_bytes_t, in `texts`
    memdb__arena_t texts;
    size_t row_bytes;
};

struct memdb__adjacency_builder {
    memdb__adjacency_t *made;
    memdb__buffer_t links; // packed_link_t
    uint32_t *slots;       // number + 1 of a type; 0: free
    size_t slot_count;
    uint32_t last_type; // most links are of the type of the link before
};

// ------------------------------------------------------------------------------ building

memdb__adjacency_builder_t *memdb__adjacency_builder_create(void) {
    memdb__adjacency_builder_t *builder = memdb__allocate_zeroed(1, sizeof *builder);
    if (!builder) {
        return NULL;
    }
    builder->slot_count = TYPES_AT_FIRST;
    builder->slots = memdb__allocate_zeroed(TYPES_AT_FIRST, sizeof *builder->slots);
    builder->made = memdb__allocate_zeroed(1, sizeof *builder->made);
    if (builder->made) {
        memdb__arena_init(&builder->made->texts);
    }
    if (!builder->slots || !builder->made) {
        memdb__adjacency_abandon(builder);
        return NULL;
    }
    return builder;
}

void memdb__adjacency_abandon(memdb__adjacency_builder_t *builder) {
    if (builder) {
        memdb__adjacency_destroy(builder->made);
        memdb__buffer_deinit(&builder->links);
        memdb__free(builder->slots);
        memdb__free(builder);
    }
}

size_t memdb__adjacency_builder_bytes(const memdb__adjacency_builder_t *builder) {
    size_t links = builder->links.size / sizeof(packed_link_t);
    size_t spans = builder->made->has_spans ? sizeof(memdb__validity_t) : 0;
    return builder->links.capacity + builder->made->texts.bytes +
           links * (2 * (8 + 4 + 4 + spans) + 2 * (8 + 4 + 8)); // finished, a node for every link
}

static uint64_t hash_of(memdb_bytes_t text) {
    uint64_t hash = UINT64_C(0xCBF29CE484222325); // FNV-1a
    for (size_t i = 0; i < text.size; i++) {
        hash = (hash ^ (uint8_t)text.data[i]) * UINT64_C(0x100000001B3);
    }
    return hash ^ hash >> 32;
}

static bool equal(memdb_bytes_t a, memdb_bytes_t b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static const memdb_bytes_t *types_of(const memdb__adjacency_t *adjacency, size_t *count_out) {
    *count_out = adjacency->types.size / sizeof(memdb_bytes_t);
    return (const memdb_bytes_t *)(const void *)adjacency->types.data;
}

static bool grow_slots(memdb__adjacency_builder_t *builder) {
    size_t count, size = 2 * builder->slot_count;
    const memdb_bytes_t *types = types_of(builder->made, &count);
    uint32_t *slots = memdb__allocate_zeroed(size, sizeof *slots);
    if (!slots) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t slot = hash_of(types[i]) & (size - 1);
        while (slots[slot]) {
            slot = (slot + 1) & (size - 1);
        }
        slots[slot] = (uint32_t)i + 1;
    }
    memdb__free(builder->slots);
    builder->slots = slots;
    builder->slot_count = size;
    return true;
}

/// The number of a type, which becomes the builder's last one. False: out of memory.
static bool number_type(memdb__adjacency_builder_t *builder, memdb_bytes_t type) {
    size_t count;
    memdb__adjacency_t *made = builder->made;
    const memdb_bytes_t *types = types_of(made, &count);
    if (count && equal(types[builder->last_type], type)) {
        return true;
    }
    size_t slot = hash_of(type) & (builder->slot_count - 1);
    for (; builder->slots[slot]; slot = (slot + 1) & (builder->slot_count - 1)) {
        builder->last_type = builder->slots[slot] - 1;
        if (equal(types[builder->last_type], type)) {
            return true;
        }
    }
    memdb_bytes_t copy = {memdb__arena_copy(&made->texts, type.data, type.size), type.size};
    if (!copy.data || !memdb__buffer_append(&made->types, &copy, sizeof copy)) {
        return false;
    }
    builder->last_type = (uint32_t)count;
    builder->slots[slot] = (uint32_t)count + 1;
    return 2 * (count + 1) < builder->slot_count || grow_slots(builder);
}

memdb_status_t memdb__adjacency_add(memdb__adjacency_builder_t *builder, uint64_t from,
                                    memdb_bytes_t type, uint64_t to, const memdb__tie_t *tie,
                                    bool removed, memdb_error_t *error) {
    if (builder->links.size / sizeof(packed_link_t) >= MEMDB__ADJACENCY_REMOVED) {
        return memdb__fail(error, MEMDB_LIMIT, "links: more than 2^31 in a segment");
    }
    if (!number_type(builder, type)) {
        return memdb__fail(error, MEMDB_NOMEM, "links: out of memory");
    }
    packed_link_t link = {from, to, tie->valid, builder->last_type, tie->weight};
    link.type |= removed ? MEMDB__ADJACENCY_REMOVED : 0;
    builder->made->has_removed |= removed;
    builder->made->has_spans |=
        tie->valid.from != MEMDB_TIME_NONE || tie->valid.to != MEMDB_TIME_NONE;
    return memdb__buffer_append(&builder->links, &link, sizeof link)
               ? MEMDB_OK
               : memdb__fail(error, MEMDB_NOMEM, "links: out of memory");
}

// ------------------------------------------------------------------------------ finishing

static int compare_links(const void *a, const void *b) {
    const packed_link_t *left = a, *right = b;
    if (left->to != right->to) {
        return left->to < right->to ? -1 : 1;
    }
    uint32_t one = left->type & ~MEMDB__ADJACENCY_REMOVED,
             other = right->type & ~MEMDB__ADJACENCY_REMOVED;
    return (one > other) - (one < other);
}

/// Sort the links of each source; of one type they came in order.
static void sort_links(packed_link_t *links, size_t count) {
    for (size_t first = 0, end; first < count; first = end) {
        bool sorted = true;
        for (end = first + 1; end < count && links[end].from == links[first].from; end++) {
            sorted = sorted && compare_links(&links[end - 1], &links[end]) < 0;
        }
        if (!sorted) {
            qsort(links + first, end - first, sizeof *links, compare_links);
        }
    }
}

static int compare_ids(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/// All ends of the links, rising, each once.
static bool collect_nodes(memdb__adjacency_t *adjacency, const packed_link_t *links) {
    size_t count = 0, distinct = 0;
    uint64_t *nodes = memdb__allocate((2 * adjacency->link_count + 1) * sizeof *nodes);
    if (!nodes) {
        return false;
    }
    for (size_t i = 0; i < adjacency->link_count; i++) {
        if (i == 0 || links[i].from != links[i - 1].from) {
            nodes[count++] = links[i].from;
        }
        nodes[count++] = links[i].to;
    }
    if (count) {
        qsort(nodes, count, sizeof *nodes, compare_ids);
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || nodes[i] != nodes[i - 1]) {
            nodes[distinct++] = nodes[i];
        }
    }
    uint64_t *fitted = memdb__reallocate(nodes, (distinct + 1) * sizeof *nodes);
    adjacency->nodes = fitted ? fitted : nodes;
    adjacency->node_count = distinct;
    return true;
}

static bool allocate_rows(memdb__adjacency_t *adjacency, rows_t *rows) {
    size_t nodes = adjacency->node_count + 1, links = adjacency->link_count + 1;
    rows->starts = memdb__allocate_zeroed(nodes + 1, sizeof *rows->starts);
    rows->totals = memdb__allocate_zeroed(nodes, sizeof *rows->totals);
    rows->others = memdb__allocate(links * sizeof *rows->others);
    rows->weights = memdb__allocate(links * sizeof *rows->weights);
    rows->types = memdb__allocate(links * sizeof *rows->types);
    rows->spans = adjacency->has_spans ? memdb__allocate(links * sizeof *rows->spans) : NULL;
    adjacency->row_bytes +=
        nodes * (sizeof *rows->starts + sizeof *rows->totals) +
        links * (sizeof *rows->others + sizeof *rows->weights + sizeof *rows->types +
                 (adjacency->has_spans ? sizeof *rows->spans : 0));
    return rows->starts && rows->totals && rows->others && rows->weights && rows->types &&
           (rows->spans || !adjacency->has_spans);
}

/// Put the links, which are in order of the first end and then the other, into rows of one end.
/// While filling, starts[node + 1] is where the node's next link goes; so it ends as a start.
static void fill_rows(const memdb__adjacency_t *adjacency, rows_t *rows, const packed_link_t *links,
                      bool in) {
    const uint64_t *nodes = adjacency->nodes;
    size_t count = adjacency->node_count;
    for (size_t i = 0; i < adjacency->link_count; i++) {
        rows->starts[memdb__adjacency_place(nodes, count, in ? links[i].to : links[i].from) + 2]++;
    }
    for (size_t i = 2; i < count + 2; i++) {
        rows->starts[i] += rows->starts[i - 1];
    }
    for (size_t i = 0; i < adjacency->link_count; i++) {
        const packed_link_t *link = &links[i];
        size_t node = memdb__adjacency_place(nodes, count, in ? link->to : link->from);
        uint32_t at = rows->starts[node + 1]++;
        rows->others[at] = in ? link->from : link->to;
        rows->weights[at] = link->weight;
        rows->types[at] = link->type;
        if (rows->spans) {
            rows->spans[at] = link->valid;
        }
        if (link->weight > 0 && !(link->type & MEMDB__ADJACENCY_REMOVED)) {
            rows->totals[node] += (double)link->weight;
        }
    }
}

memdb_status_t memdb__adjacency_finish(memdb__adjacency_builder_t *builder,
                                       memdb__adjacency_t **adjacency_out, memdb_error_t *error) {
    memdb__adjacency_t *made = builder->made;
    packed_link_t *links = (packed_link_t *)(void *)builder->links.data;
    made->link_count = builder->links.size / sizeof *links;
    sort_links(links, made->link_count);
    bool fine = collect_nodes(made, links) && allocate_rows(made, &made->out) &&
                allocate_rows(made, &made->in);
    if (fine) {
        fill_rows(made, &made->out, links, false);
        fill_rows(made, &made->in, links, true);
        builder->made = NULL;
        *adjacency_out = made;
    }
    memdb__adjacency_abandon(builder);
    return fine ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "links: out of memory");
}

static void free_rows(rows_t *rows) {
    memdb__free(rows->starts);
    memdb__free(rows->totals);
    memdb__free(rows->others);
    memdb__free(rows->weights);
    memdb__free(rows->types);
    memdb__free(rows->spans);
}

void memdb__adjacency_destroy(memdb__adjacency_t *adjacency) {
    if (adjacency) {
        free_rows(&adjacency->out);
        free_rows(&adjacency->in);
        memdb__free(adjacency->nodes);
        memdb__buffer_deinit(&adjacency->types);
        memdb__arena_deinit(&adjacency->texts);
        memdb__free(adjacency);
    }
}

// ------------------------------------------------------------------------------ reading

size_t memdb__adjacency_place(const uint64_t *values, size_t count, uint64_t value) {
    if (count == 0 || value < values[0] || value > values[count - 1]) {
        return count;
    }
    // The values are distinct integers, so each one's place is known but for the holes around it:
    // where ids are dense, as those of memories put one after another, the first look finds it.
    uint64_t above = value - values[0], below = values[count - 1] - value;
    size_t high = above < count - 1 ? (size_t)above : count - 1;
    size_t low = below < count - 1 ? count - 1 - (size_t)below : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (values[middle] < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return values[low] == value ? low : count;
}

void memdb__adjacency_find(const memdb__adjacency_t *adjacency, uint64_t id, bool in,
                           memdb__adjacency_links_t *links_out) {
    const rows_t *rows = in ? &adjacency->in : &adjacency->out;
    size_t node = memdb__adjacency_place(adjacency->nodes, adjacency->node_count, id);
    if (node == adjacency->node_count) {
        *links_out = (memdb__adjacency_links_t){0};
        return;
    }
    uint32_t start = rows->starts[node];
    *links_out = (memdb__adjacency_links_t){.others = rows->others + start,
                                            .weights = rows->weights + start,
                                            .spans = rows->spans ? rows->spans + start : NULL,
                                            .types = rows->types + start,
                                            .count = rows->starts[node + 1] - start,
                                            .total = rows->totals[node]};
}

void memdb__adjacency_expect(const memdb__adjacency_t *adjacency, uint64_t id, bool in) {
    const rows_t *rows = in ? &adjacency->in : &adjacency->out;
    size_t node = memdb__adjacency_place(adjacency->nodes, adjacency->node_count, id);
    if (node < adjacency->node_count) {
        const uint64_t *others = rows->others + rows->starts[node];
        __builtin_prefetch(others);
        __builtin_prefetch(others + 8);
        __builtin_prefetch(&rows->totals[node]);
    }
}

const uint64_t *memdb__adjacency_nodes(const memdb__adjacency_t *adjacency, size_t *count_out) {
    *count_out = adjacency->node_count;
    return adjacency->nodes;
}

bool memdb__adjacency_is_plain(const memdb__adjacency_t *adjacency) {
    return !adjacency->has_removed && !adjacency->has_spans;
}

size_t memdb__adjacency_type_count(const memdb__adjacency_t *adjacency) {
    size_t count;
    types_of(adjacency, &count);
    return count;
}

memdb_bytes_t memdb__adjacency_type(const memdb__adjacency_t *adjacency, size_t number) {
    size_t count;
    return types_of(adjacency, &count)[number];
}

size_t memdb__adjacency_bytes(const memdb__adjacency_t *adjacency) {
    return sizeof *adjacency + adjacency->row_bytes +
           adjacency->node_count * sizeof *adjacency->nodes + adjacency->types.capacity +
           adjacency->texts.bytes;
}
