// Packed adjacency: the links of one immutable segment, by node and in both directions.
//
// The links of a node lie side by side, in arrays (compressed sparse rows), in rising order of the
// other end and then of the type, so that walking one reads memory in order and decodes nothing.
// Nothing here is on disk: it is built from a segment's entries when a walk first needs it, and
// dies with the segment.
#ifndef MEMDB_INDEX_GRAPH_ADJACENCY_H
#define MEMDB_INDEX_GRAPH_ADJACENCY_H

#include "base/memory.h"
#include "base/status.h"

typedef struct memdb__adjacency memdb__adjacency_t;
typedef struct memdb__adjacency_builder memdb__adjacency_builder_t;

/// When a link holds, [from, to); MEMDB_TIME_NONE: open on that side.
typedef struct memdb__validity {
    int64_t from, to;
} memdb__validity_t;

/// What a link says beside its ends and its type.
typedef struct memdb__tie {
    memdb__validity_t valid;
    float weight;
} memdb__tie_t;

/// NULL: out of memory.
memdb__adjacency_builder_t *memdb__adjacency_builder_create(void);
/// Add a link, once; `from` never falls. `removed`: the segment says that the link is no more.
/// Errors: MEMDB_NOMEM, MEMDB_LIMIT (2^31 links).
memdb_status_t memdb__adjacency_add(memdb__adjacency_builder_t *builder, uint64_t from,
                                    memdb_bytes_t type, uint64_t to, const memdb__tie_t *tie,
                                    bool removed, memdb_error_t *error);
/// What the builder holds, and at most will hold, in bytes.
size_t memdb__adjacency_builder_bytes(const memdb__adjacency_builder_t *builder);
/// Consumes the builder on every path.
memdb_status_t memdb__adjacency_finish(memdb__adjacency_builder_t *builder,
                                       memdb__adjacency_t **adjacency_out, memdb_error_t *error);
void memdb__adjacency_abandon(memdb__adjacency_builder_t *builder);
void memdb__adjacency_destroy(memdb__adjacency_t *adjacency);
size_t memdb__adjacency_bytes(const memdb__adjacency_t *adjacency);

/// Set in a type where the link was removed.
#define MEMDB__ADJACENCY_REMOVED (UINT32_C(1) << 31)

/// The links of a node in one direction.
typedef struct memdb__adjacency_links {
    const uint64_t *others;
    const float *weights;
    const memdb__validity_t *spans; // NULL: all links of the segment hold always
    const uint32_t *types; // numbers of memdb__adjacency_type, with MEMDB__ADJACENCY_REMOVED
    size_t count;
    double total; // of the weights above 0 of links that were not removed
} memdb__adjacency_links_t;

void memdb__adjacency_find(const memdb__adjacency_t *adjacency, uint64_t id, bool in,
                           memdb__adjacency_links_t *links_out);
/// Have memory asked for a node's links.
void memdb__adjacency_expect(const memdb__adjacency_t *adjacency, uint64_t id, bool in);
/// Every node with a link, rising.
const uint64_t *memdb__adjacency_nodes(const memdb__adjacency_t *adjacency, size_t *count_out);
/// Whether every link is there and holds always.
bool memdb__adjacency_is_plain(const memdb__adjacency_t *adjacency);
size_t memdb__adjacency_type_count(const memdb__adjacency_t *adjacency);
memdb_bytes_t memdb__adjacency_type(const memdb__adjacency_t *adjacency, size_t number);

/// The place of a value in a rising array of distinct ones; `count` when it is not there.
size_t memdb__adjacency_place(const uint64_t *values, size_t count, uint64_t value);

#endif
