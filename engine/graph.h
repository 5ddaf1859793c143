// The links of a snapshot, read node by node: what the walks of query/ stand on.
//
// Tiers keep their links packed in memory (index/graph), from the first walk that needs them on;
// the runs of the delta are read through the ordered map. A node's links are those of all sources,
// the newest first. Where a tier may not be packed, or holds more than the snapshot sees (an older
// moment), all is read through the ordered map: slower, and the same. docs/graph.md has the
// figures.
#ifndef MEMDB_ENGINE_GRAPH_H
#define MEMDB_ENGINE_GRAPH_H

#include "engine/view.h"
#include "index/graph/adjacency.h"

/// What the packed links of one view's tiers may take together, in bytes; beyond that no tier is
/// packed any more. 1 GiB; tests lower it.
extern _Atomic size_t memdb__packed_limit;

/// The packed links of a tier.
struct memdb__packed {
    memdb__adjacency_t *links; // NULL: it has none, or too many
    bool refused;              // too many
    uint64_t *forgotten; // rising: ends of links, here or in older tiers, that this tier forgets
    size_t forgotten_count;
};

/// Pack what is not packed yet, oldest first. `packed_out`: all tiers are.
memdb_status_t memdb__view_pack(const memdb__view_t *view, bool *packed_out, memdb_error_t *error);
void memdb__packed_destroy(memdb__packed_t *packed);
/// Memory of the packed links of a view's tiers.
size_t memdb__view_packed_bytes(const memdb__view_t *view);

/// Which links are read.
typedef struct memdb__link_choice {
    memdb_direction_t direction;
    const memdb_bytes_t *types; // of these types; borrowed until the close
    size_t type_count;          // 0: of all
    int64_t valid_at;           // that hold then; MEMDB_TIME_NONE: all
} memdb__link_choice_t;

typedef struct memdb__graph_tier {
    const memdb__adjacency_t *links;
    uint8_t *wanted; // of each type; NULL: all are
} memdb__graph_tier_t;

/// A reader of links. For one thread; reads nothing that its snapshot does not see.
typedef struct memdb__graph {
    const memdb__sight_t *sight;
    memdb__link_choice_t choice;
    bool packed;      // tiers are read packed
    bool delta_links; // the runs hold links
    bool delta_forgets, tiers_forget;
    bool plain;                 // one tier, as it is, is all there is
    memdb__graph_tier_t *tiers; // newest first; those that have links
    size_t tier_count;
    memdb__buffer_t items, ids, weights;
} memdb__graph_t;

/// The other ends of a node's links, lent until the next call. Parallel links of several types, and
/// a link to itself that is followed both ways, count each.
typedef struct memdb__graph_links {
    const uint64_t *ids;
    const float *weights;
    size_t count;
    double total; // of the weights above 0
} memdb__graph_links_t;

/// Packs what is not packed yet. Release with memdb__graph_close, which does nothing to zeroes.
memdb_status_t memdb__graph_open(memdb__graph_t *graph, const memdb__sight_t *sight,
                                 const memdb__link_choice_t *choice, memdb_error_t *error);
void memdb__graph_close(memdb__graph_t *graph);
/// Whether the snapshot has no link at all, as far as that costs nothing to say.
bool memdb__graph_is_empty(const memdb__graph_t *graph);
/// Have memory asked for the links of a node that is read soon.
void memdb__graph_expect(const memdb__graph_t *graph, uint64_t id);
/// The links of a node: those between memories that are there.
memdb_status_t memdb__graph_links(memdb__graph_t *graph, uint64_t id,
                                  memdb__graph_links_t *links_out, memdb_error_t *error);

#endif
