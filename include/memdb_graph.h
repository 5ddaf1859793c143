/// Walks over the links of a space. Include memdb.h. docs/graph.md has costs and limits.
#ifndef MEMDB_INCLUDE_MEMDB_GRAPH_H
#define MEMDB_INCLUDE_MEMDB_GRAPH_H

#include "memdb_memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Which links a walk follows, and how much of the graph it may read. NULL, and a field of 0, mean
/// the default.
typedef struct memdb_graph_options {
    size_t size;
    memdb_direction_t direction; ///< links are followed this way; default out
    const memdb_bytes_t *types;  ///< only links of these types; none: of all
    size_t type_count;
    const memdb_filter_t *filter; ///< memories that do not pass, starts excepted, are passed by
    int64_t valid_at; ///< only links and memories that are valid then; 0: all, starts excepted
    bool unexpired;   ///< only memories that have not expired at the snapshot's time
    uint32_t hops;    ///< how far; expand: 0 is 1, spread: 0 is 3, path, select: 0 is any; not rank
    uint32_t limit;   ///< nodes given at most; default all that were met
    uint64_t node_limit;   ///< nodes met at most; default 1,000,000
    uint64_t link_limit;   ///< links read at most; default 10,000,000
    double restart;        ///< rank: chance to begin anew at each step, below 1; default .15
    double tolerance;      ///< rank: see there, below 1; default 1e-4
    double decay;          ///< spread, select: the part that is handed on, below 1; default .5
    double threshold;      ///< spread: a node with less activation hands nothing on; default .001
    int64_t half_life;     ///< select: microseconds in which a memory's own weight halves; 0: never
    uint32_t token_budget; ///< select: default no bound
} memdb_graph_options_t;

/// A memory to start from, and its weight; 0 counts as 1.
typedef struct memdb_seed {
    uint64_t id;
    double weight; ///< finite, not below 0
} memdb_seed_t;

/// A memory that a walk met.
typedef struct memdb_node {
    uint64_t id;
    uint64_t via;    ///< the memory that led to it first; 0: it is a start
    uint32_t hops;   ///< links from the start, on the way on which it was met
    double score;    ///< rank, spread, select; else 0
    uint32_t tokens; ///< select: what it costs; else 0
} memdb_node_t;

/// What a walk did.
typedef struct memdb_nodes_info {
    size_t size;
    uint64_t met, links; ///< nodes met, starts too, and links read
    bool cut;            ///< a limit on nodes or links ended it early
    double residual;     ///< rank: what all scores together lack of 1
} memdb_nodes_info_t;

/// The graph of a space: its memories and the links between them, as the snapshot sees them, own
/// writes of a transaction and older moments included. Parallel links of several types are one
/// each. The order of nodes at one distance depends on the links alone.
///
/// Ownership   release nodes with memdb_nodes_free; they do not depend on the snapshot.
/// Blocks      the first walk of a process, and the first after a checkpoint or merge, packs the
///             links of new segments in memory (docs/graph.md).
/// Errors      of all walks: MEMDB_NOT_FOUND  a start is not in the space.
///             MEMDB_INVALID    an option, which the message names.
///             MEMDB_INTERRUPTED
///
/// All memories within `hops` links of the starts, nearest first; the starts are not among them.
MEMDB_API memdb_status_t memdb_graph_expand(memdb_snapshot_t *snapshot, memdb_space_t space,
                                            const uint64_t *starts, size_t start_count,
                                            const memdb_graph_options_t *options,
                                            memdb_nodes_t **nodes_out);

/// A shortest path by number of links: the memories on it, both ends too. Searched from both ends,
/// level by level, the smaller frontier first; what it reads is so about the square root of what a
/// search from one end would.
///
/// Errors      MEMDB_DONE   there is none (of at most `hops` links). `nodes_out` is untouched.
///             MEMDB_LIMIT  a limit on nodes or links was reached before.
MEMDB_API memdb_status_t memdb_graph_path(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          uint64_t from, uint64_t to,
                                          const memdb_graph_options_t *options,
                                          memdb_nodes_t **nodes_out);

/// Personalised PageRank: how often a walker ends at each memory who begins at a seed (chosen by
/// weight), at each step ends with chance `restart`, and else follows a link (chosen by weight;
/// those of 0 and below never). Where no link goes on, he ends. Best first; seeds are among them.
///
/// Source      local push (Andersen, Chung, Lang: Local Graph Partitioning using PageRank Vectors,
///             FOCS 2006): a node hands on as long as more than `tolerance` times the weight of its
///             links waits there. So what it costs depends on the tolerance, and not on the size of
///             the graph: the links over which something is handed on weigh at most
///             1 / (tolerance * restart) together.
/// Error       no score is above the exact one, and all together lack `residual`. With
///             MEMDB_DIRECTION_BOTH each lacks at most `tolerance` times the weight of its links.
MEMDB_API memdb_status_t memdb_graph_rank(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          const memdb_seed_t *seeds, size_t seed_count,
                                          const memdb_graph_options_t *options,
                                          memdb_nodes_t **nodes_out);

/// Spreading activation: seeds are active by their weight. Hop by hop, each node that was reached
/// hands on, once and over each link, `decay` times the link's weight (cut to 0..1) of what it held
/// when its hop began. Most active first; seeds are among them.
///
/// Source      Collins and Loftus 1975; the constraints on distance and activation after Crestani:
///             Application of Spreading Activation Techniques in Information Retrieval, 1997.
MEMDB_API memdb_status_t memdb_graph_spread(memdb_snapshot_t *snapshot, memdb_space_t space,
                                            const memdb_seed_t *seeds, size_t seed_count,
                                            const memdb_graph_options_t *options,
                                            memdb_nodes_t **nodes_out);

/// The memories most worth their tokens, where links lead from what was built to what it was built
/// on (or the other way, with MEMDB_DIRECTION_IN): steps of reasoning and the evidence under them.
/// Met is all that the seeds rest on; it must be free of cycles. A memory's own worth is its seed's
/// weight, 0 without one, times 1 + log2(1 + links to it from met memories), halved with each
/// `half_life` of its age. To it comes, from each memory that was built on it, `decay` times that
/// one's significance, shared by the weights of its links. Most significant first; one that does
/// not fit into what is left of `token_budget` is passed over. A memory costs its `tokens`; without
/// these, one for each four ASCII characters and one for each other character.
///
/// Source      the idea of a graph-modulated memory, after VimRAG 2026.
/// Errors      MEMDB_INVALID  there is a cycle; the message names a memory on it or behind it.
///             MEMDB_LIMIT    a limit on nodes or links was reached.
MEMDB_API memdb_status_t memdb_graph_select(memdb_snapshot_t *snapshot, memdb_space_t space,
                                            const memdb_seed_t *seeds, size_t seed_count,
                                            const memdb_graph_options_t *options,
                                            memdb_nodes_t **nodes_out);

MEMDB_API size_t memdb_nodes_count(const memdb_nodes_t *nodes);
/// Lent until the nodes are freed; NULL: there are not so many.
MEMDB_API const memdb_node_t *memdb_nodes_at(const memdb_nodes_t *nodes, size_t number);
/// `info_out`'s size is set by the caller.
MEMDB_API memdb_status_t memdb_nodes_get_info(const memdb_nodes_t *nodes,
                                              memdb_nodes_info_t *info_out);
MEMDB_API void memdb_nodes_free(memdb_nodes_t *nodes);

#ifdef __cplusplus
}
#endif
#endif
