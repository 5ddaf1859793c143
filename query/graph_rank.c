// Personalised PageRank by local push (Andersen, Chung and Lang, FOCS 2006; the walk not lazy).
//
// Every node has a rank so far, and walkers that wait there. A push at a node takes them: a part
// `restart` ends there and is rank, the rest goes over its links. Invariant: the exact ranks are
// the ranks so far and what those that wait would add. So ranks only rise, and together they lack
// what waits. Where links go both ways, a walk between two nodes and its reverse have chances in
// the ratio of the nodes' weights, so that at most tolerance * weight waiting at each node leaves
// no rank short of more than tolerance * weight. Each push over links of weight w takes more than
// tolerance * w, of which the part `restart` comes to rest, and 1 comes to rest in all: this bounds
// the weight of all pushes.
//
// Spreading activation has the same table and no bound: every node hands on once.
#include "query/query_graph.h"

#include <math.h>
#include <stdlib.h>

#define DEFAULT_HOPS 3u // of spreading activation

/// Numbers of nodes where enough may wait for a push, a ring of first come, first served.
typedef struct queue {
    uint32_t *numbers;
    size_t first, count, capacity; // a power of two
} queue_t;

static bool enqueue(queue_t *queue, size_t number) {
    if (queue->count == queue->capacity) {
        size_t capacity = queue->capacity ? 2 * queue->capacity : 256;
        uint32_t *numbers = memdb__allocate(capacity * sizeof *numbers);
        if (!numbers) {
            return false;
        }
        for (size_t i = 0; i < queue->count; i++) {
            numbers[i] = queue->numbers[(queue->first + i) & (queue->capacity - 1)];
        }
        memdb__free(queue->numbers);
        *queue = (queue_t){numbers, 0, queue->count, capacity};
    }
    queue->numbers[(queue->first + queue->count++) & (queue->capacity - 1)] = (uint32_t)number;
    return true;
}

static size_t dequeue(queue_t *queue) {
    size_t number = queue->numbers[queue->first];
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
    return number;
}

memdb__heat_t *memdb__walk_heats(memdb__walk_t *walk) {
    size_t size = walk->visited->count * sizeof(memdb__heat_t), had = walk->heats.size;
    if (size > had) {
        if (!memdb__buffer_reserve(&walk->heats, size - had)) {
            return NULL;
        }
        memset(walk->heats.data + had, 0, size - had);
        walk->heats.size = size;
    }
    return (memdb__heat_t *)(void *)walk->heats.data;
}

// ------------------------------------------------------------------------------ rank

/// Have a node looked at, once, when enough may wait there: always, while its links are not known.
static bool expect(const memdb__walk_t *walk, queue_t *queue, memdb__heat_t *heat, size_t number) {
    if (heat->queued || heat->waiting <= walk->options.tolerance * heat->total) {
        return true;
    }
    heat->queued = true;
    return enqueue(queue, number);
}

/// Give each link's other end `share` times its weight. What a limit keeps from being met waits on
/// where it was.
static memdb_status_t hand_on(memdb__walk_t *walk, queue_t *queue, size_t number,
                              const memdb__graph_links_t *links, double share,
                              memdb_error_t *error) {
    for (size_t i = 0; i < links->count; i++) {
        double part = links->weights[i] > 0 ? share * (double)links->weights[i] : 0;
        size_t other;
        bool is_new;
        if (part <= 0) {
            continue;
        }
        memdb_status_t status =
            memdb__walk_meet(walk, number, links->ids[i], &other, &is_new, error);
        memdb__heat_t *heats = status ? NULL : memdb__walk_heats(walk);
        if (!heats) {
            return status ? status : memdb__walk_no_memory(error);
        }
        if (other == SIZE_MAX) {
            heats[number].waiting += part;
            continue;
        }
        heats[other].waiting += part;
        if (!expect(walk, queue, &heats[other], other)) {
            return memdb__walk_no_memory(error);
        }
    }
    return MEMDB_OK;
}

static memdb_status_t push(memdb__walk_t *walk, queue_t *queue, size_t number,
                           memdb_error_t *error) {
    memdb__graph_links_t links;
    memdb_status_t status = memdb__walk_links(walk, number, &links, error);
    if (status || walk->cut) {
        return status;
    }
    memdb__heat_t *heat = memdb__walk_heats(walk) + number; // no node was met since: it is there
    double waiting = heat->waiting;
    heat->total = links.total;
    heat->queued = false;
    if (waiting <= walk->options.tolerance * links.total) {
        return MEMDB_OK;
    }
    double ends = links.total > 0 ? walk->options.restart : 1;
    heat->score += ends * waiting;
    heat->waiting = 0;
    return ends < 1
               ? hand_on(walk, queue, number, &links, (1 - ends) * waiting / links.total, error)
               : MEMDB_OK;
}

memdb_status_t memdb__walk_rank(memdb__walk_t *walk, double *residual_out, memdb_error_t *error) {
    queue_t queue = {0};
    double total = 0;
    size_t starts = walk->visited->count;
    memdb__heat_t *heats = memdb__walk_heats(walk);
    bool fine = heats != NULL;
    for (size_t i = 0; fine && i < starts; i++) {
        total += heats[i].score;
    }
    for (size_t i = 0; fine && i < starts; i++) {
        heats[i].waiting = heats[i].score / total;
        heats[i].score = 0;
        fine = expect(walk, &queue, &heats[i], i);
    }
    memdb_status_t status = fine ? MEMDB_OK : memdb__walk_no_memory(error);
    while (!status && !walk->cut && queue.count) {
        status = push(walk, &queue, dequeue(&queue), error);
    }
    memdb__free(queue.numbers);
    heats = status ? NULL : memdb__walk_heats(walk);
    *residual_out = 0;
    for (size_t i = 0; heats && i < walk->visited->count; i++) {
        *residual_out += heats[i].waiting;
    }
    return status;
}

// ------------------------------------------------------------------------------ spread

/// Let a node hand on what waits there.
static memdb_status_t fire(memdb__walk_t *walk, size_t at, memdb_error_t *error) {
    double held = memdb__walk_heats(walk)[at].waiting;
    memdb__graph_links_t links;
    if (held < walk->options.threshold) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__walk_links(walk, at, &links, error);
    for (size_t i = 0; !status && i < links.count; i++) {
        double weight = (double)links.weights[i];
        size_t number;
        bool is_new;
        if (weight <= 0) {
            continue;
        }
        status = memdb__walk_meet(walk, at, links.ids[i], &number, &is_new, error);
        memdb__heat_t *heats = status ? NULL : memdb__walk_heats(walk);
        if (!heats) {
            return status ? status : memdb__walk_no_memory(error);
        }
        if (number != SIZE_MAX) {
            heats[number].score += walk->options.decay * (weight < 1 ? weight : 1) * held;
        }
    }
    return status;
}

static memdb_status_t spread(memdb__walk_t *walk, memdb_error_t *error) {
    uint32_t hops = walk->options.hops ? walk->options.hops : DEFAULT_HOPS;
    size_t from = 0;
    memdb_status_t status = MEMDB_OK;
    for (uint32_t hop = 0; !status && hop < hops && !walk->cut; hop++) {
        size_t end = walk->visited->count;
        memdb__heat_t *heats = memdb__walk_heats(walk);
        if (!heats) {
            return memdb__walk_no_memory(error);
        }
        for (size_t i = from; i < end; i++) {
            heats[i].waiting = heats[i].score; // what comes later counts for it, and stays
        }
        for (; !status && from < end && !walk->cut; from++) {
            status = fire(walk, from, error);
        }
    }
    return status;
}

// ------------------------------------------------------------------------------ both

/// Greatest first, then by id.
static int compare_scores(const void *a, const void *b) {
    const memdb_node_t *left = a, *right = b;
    if (left->score != right->score) {
        return left->score > right->score ? -1 : 1;
    }
    return (left->id > right->id) - (left->id < right->id);
}

memdb_status_t memdb__walk_ranked(memdb__walk_t *walk, size_t limit, memdb_nodes_t **nodes_out,
                                  memdb_error_t *error) {
    memdb_nodes_t *nodes = NULL;
    const memdb__heat_t *heats = memdb__walk_heats(walk);
    memdb_status_t status = heats ? MEMDB_OK : memdb__walk_no_memory(error);
    status = status ? status : memdb__walk_nodes(walk, walk->visited->count, &nodes, error);
    if (status) {
        return status;
    }
    for (size_t i = 0; i < walk->visited->count; i++) {
        if (heats[i].score > 0) {
            memdb_node_t node = memdb__walk_node(walk, i);
            node.score = heats[i].score;
            nodes->items[nodes->count++] = node;
        }
    }
    if (nodes->count) {
        qsort(nodes->items, nodes->count, sizeof *nodes->items, compare_scores);
    }
    nodes->count = nodes->count < limit ? nodes->count : limit;
    *nodes_out = nodes;
    return MEMDB_OK;
}

static size_t limit_of(const memdb__walk_t *walk) {
    return walk->options.limit ? walk->options.limit : SIZE_MAX;
}

static memdb_status_t give_ranks(memdb__walk_t *walk, memdb_nodes_t **nodes_out,
                                 memdb_error_t *error) {
    double residual;
    memdb_status_t status = memdb__walk_rank(walk, &residual, error);
    status = status ? status : memdb__walk_ranked(walk, limit_of(walk), nodes_out, error);
    if (!status) {
        (*nodes_out)->info.residual = residual;
    }
    return status;
}

static memdb_status_t give_spread(memdb__walk_t *walk, memdb_nodes_t **nodes_out,
                                  memdb_error_t *error) {
    memdb_status_t status = spread(walk, error);
    return status ? status : memdb__walk_ranked(walk, limit_of(walk), nodes_out, error);
}

/// Meet the seeds; their scores are their weights.
static memdb_status_t sow(memdb__walk_t *walk, const memdb_seed_t *seeds, size_t count,
                          memdb_error_t *error) {
    if (!count) {
        return memdb__fail(error, MEMDB_INVALID, "a memory to start from is needed");
    }
    for (size_t i = 0; i < count; i++) {
        size_t number;
        if (!isfinite(seeds[i].weight) || seeds[i].weight < 0) {
            return memdb__fail(error, MEMDB_INVALID, "seeds: %g is not a weight", seeds[i].weight);
        }
        memdb_status_t status = memdb__walk_start(walk, seeds[i].id, &number, error);
        memdb__heat_t *heats = status ? NULL : memdb__walk_heats(walk);
        if (!heats) {
            return status ? status : memdb__walk_no_memory(error);
        }
        heats[number].score += seeds[i].weight > 0 ? seeds[i].weight : 1;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__walk_from(memdb_snapshot_t *snapshot, memdb_space_t space,
                                const memdb_seed_t *seeds, size_t count,
                                const memdb_graph_options_t *options, const char *what,
                                memdb__walk_fn run, memdb_nodes_t **nodes_out) {
    memdb_error_t error = {0};
    memdb__walk_t walk;
    if (!snapshot || !nodes_out || (count && !seeds)) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__walk_begin(&walk, snapshot, space, options, true, &error);
    status = status ? status : sow(&walk, seeds, count, &error);
    status = status ? status : run(&walk, nodes_out, &error);
    memdb__walk_end(&walk);
    if (status) {
        memdb__error_context(&error, status, "%s", what);
    }
    return memdb__report(snapshot->db, status, &error);
}

memdb_status_t memdb_graph_rank(memdb_snapshot_t *snapshot, memdb_space_t space,
                                const memdb_seed_t *seeds, size_t seed_count,
                                const memdb_graph_options_t *options, memdb_nodes_t **nodes_out) {
    return memdb__walk_from(snapshot, space, seeds, seed_count, options, "rank", give_ranks,
                            nodes_out);
}

memdb_status_t memdb_graph_spread(memdb_snapshot_t *snapshot, memdb_space_t space,
                                  const memdb_seed_t *seeds, size_t seed_count,
                                  const memdb_graph_options_t *options, memdb_nodes_t **nodes_out) {
    return memdb__walk_from(snapshot, space, seeds, seed_count, options, "spread", give_spread,
                            nodes_out);
}
