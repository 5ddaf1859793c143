// Walks over links, beside SQLite's recursive query over the same links.
//
// A generated graph with the size and the spread of degrees of ego-Twitter (McAuley and Leskovec
// 2012: 81,306 nodes, 2,420,766 links, at most about 1,200 out and 3,400 in): degrees are
// log-normal, and most links stay in a circle, as followers do. It stands in a checkpointed
// database, and in a table of SQLite in memory without row ids, in order of (source, target). From
// the same starts both count the nodes within two and three hops along the links, which must be the
// same numbers; then the starts are ranked by personalised PageRank to a tolerance of 1e-4, and
// some of them once more by iteration to the end, to see how far off the scores are. Printed: the
// middle and the 99th percentile of one call in microseconds. One thread, caches as they come.
//
// usage: graph [--nodes N] [--links N] [--starts N] [--at FOLDER]
#include "bench/common.h"
#include "include/memdb.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CIRCLE 256     // nodes of a circle, on average: an ego's network
#define STAY .9        // part of the links that stay in theirs
#define SPREAD_OUT 1.3 // deviations of the logarithms of degrees
#define SPREAD_IN 1.6
#define EXACT 20 // starts whose ranks are iterated

typedef struct options {
    uint64_t nodes, links, starts;
    const char *at;
} options_t;

typedef struct graph {
    uint64_t nodes, links;
    uint32_t *from, *to; // rising by source, then target; no two equal
    uint32_t *first;     // of each node's links, and the end
} graph_t;

// ------------------------------------------------------------------------------ generating

static uint64_t state = 1;

static double draw(void) { // in (0, 1)
    return ((double)(bench_mix(state++) >> 11) + .5) / 9007199254740992.0;
}

static double draw_normal(void) { // Box and Muller 1958
    return sqrt(-2 * log(draw())) * cos(2 * 3.14159265358979323846 * draw());
}

/// Running sums of log-normal weights, so that a node is drawn by its weight with a search.
static double *weights_of(uint64_t nodes, double spread) {
    double *sums = bench_allocate((nodes + 1) * sizeof *sums);
    sums[0] = 0;
    for (uint64_t i = 0; i < nodes; i++)
        sums[i + 1] = sums[i] + exp(spread * draw_normal());
    return sums;
}

static uint64_t draw_by(const double *sums, uint64_t low, uint64_t high) {
    double at = sums[low] + draw() * (sums[high] - sums[low]);
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (sums[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int compare_links(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/// Drawn links from number `count` on, until there are `links`; sorted, each once. Returns how
/// many.
static uint64_t draw_links(uint64_t *pairs, uint64_t count, uint64_t links, uint64_t nodes,
                           const double *out, const double *in) {
    for (; count < links; count++) {
        uint64_t from = draw_by(out, 0, nodes), low = from / CIRCLE * CIRCLE;
        uint64_t high = low + CIRCLE < nodes ? low + CIRCLE : nodes;
        bool stays = draw() < STAY;
        pairs[count] = from << 32 | draw_by(in, stays ? low : 0, stays ? high : nodes);
    }
    qsort(pairs, links, sizeof *pairs, compare_links);
    count = 0;
    for (uint64_t i = 0; i < links; i++)
        if (!i || pairs[i] != pairs[i - 1])
            pairs[count++] = pairs[i];
    return count;
}

static void generate(graph_t *graph, uint64_t nodes, uint64_t links) {
    double *out = weights_of(nodes, SPREAD_OUT), *in = weights_of(nodes, SPREAD_IN);
    uint64_t *pairs = bench_allocate(links * sizeof *pairs), count = 0;
    for (int round = 0; round < 30 && count < links; round++)
        count = draw_links(pairs, count, links, nodes, out, in);
    *graph = (graph_t){.nodes = nodes,
                       .links = count,
                       .from = bench_allocate(count * sizeof *graph->from),
                       .to = bench_allocate(count * sizeof *graph->to),
                       .first = bench_allocate((nodes + 1) * sizeof *graph->first)};
    for (uint64_t i = 0; i < count; i++) {
        graph->from[i] = (uint32_t)(pairs[i] >> 32);
        graph->to[i] = (uint32_t)pairs[i];
    }
    for (uint64_t node = 0, at = 0; node <= nodes; node++) {
        while (at < count && graph->from[at] < node)
            at++;
        graph->first[node] = (uint32_t)at;
    }
    free(out);
    free(in);
    free(pairs);
}

static int compare_counts(const void *a, const void *b) {
    return (int)*(const uint32_t *)a - (int)*(const uint32_t *)b;
}

static void describe(const graph_t *graph) {
    uint32_t *out = bench_allocate(graph->nodes * sizeof *out),
             *in = bench_allocate(graph->nodes * sizeof *in);
    memset(in, 0, graph->nodes * sizeof *in);
    for (uint64_t i = 0; i < graph->nodes; i++)
        out[i] = graph->first[i + 1] - graph->first[i];
    for (uint64_t i = 0; i < graph->links; i++)
        in[graph->to[i]]++;
    qsort(out, graph->nodes, sizeof *out, compare_counts);
    qsort(in, graph->nodes, sizeof *in, compare_counts);
    printf(
        "%llu nodes, %llu links; degrees out / in: middle %u / %u, 99 %% %u / %u, most %u / %u\n",
        (unsigned long long)graph->nodes, (unsigned long long)graph->links, out[graph->nodes / 2],
        in[graph->nodes / 2], out[graph->nodes * 99 / 100], in[graph->nodes * 99 / 100],
        out[graph->nodes - 1], in[graph->nodes - 1]);
    free(out);
    free(in);
}

// ------------------------------------------------------------------------------ memdb

static void check(memdb_t *db, const char *what, memdb_status_t status) {
    char message[512] = "";
    if (status) {
        if (db)
            memdb_last_error(db, message, sizeof message);
        bench_stop(what, message[0] ? message : memdb_status_name(status));
    }
}

/// Ids of memories are 1 and up in the order of the puts; `ids` makes no use of that.
static memdb_space_t fill_memdb(memdb_t *db, const graph_t *graph, uint64_t *ids) {
    memdb_txn_t *txn;
    memdb_space_t space;
    memdb_space_options_t options = {.size = sizeof options, .tokenizer = MEMDB_TOKENIZER_NONE};
    check(db, "begin", memdb_txn_begin(db, &txn));
    check(db, "space", memdb_space_create(txn, (memdb_bytes_t){"graph", 5}, &options, &space));
    for (uint64_t i = 0; i < graph->nodes; i++) {
        memdb_memory_t put = {.size = sizeof put};
        check(db, "put", memdb_put(txn, space, &put, &ids[i]));
    }
    check(db, "commit", memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    for (uint64_t i = 0; i < graph->links;) {
        check(db, "begin", memdb_txn_begin(db, &txn));
        for (uint64_t end = i + 20000; i < end && i < graph->links; i++) {
            memdb_link_t link = {.size = sizeof link,
                                 .space = space,
                                 .from = ids[graph->from[i]],
                                 .to = ids[graph->to[i]],
                                 .type = {"follows", 7},
                                 .weight = 1};
            check(db, "link", memdb_put_link(txn, &link));
        }
        check(db, "commit", memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    }
    check(db, "compact", memdb_compact(db, NULL));
    return space;
}

// ------------------------------------------------------------------------------ SQLite

static void check_sqlite(sqlite3 *db, int result) {
    if (result != SQLITE_OK && result != SQLITE_DONE && result != SQLITE_ROW)
        bench_stop("sqlite", sqlite3_errmsg(db));
}

static sqlite3 *fill_sqlite(const graph_t *graph) {
    sqlite3 *db;
    sqlite3_stmt *insert;
    check_sqlite(NULL, sqlite3_open(":memory:", &db));
    check_sqlite(db, sqlite3_exec(db,
                                  "CREATE TABLE links(source INTEGER, target INTEGER, PRIMARY "
                                  "KEY(source, target)) WITHOUT ROWID; BEGIN",
                                  NULL, NULL, NULL));
    check_sqlite(db, sqlite3_prepare_v2(db, "INSERT INTO links VALUES(?, ?)", -1, &insert, NULL));
    for (uint64_t i = 0; i < graph->links; i++) {
        sqlite3_bind_int64(insert, 1, graph->from[i]);
        sqlite3_bind_int64(insert, 2, graph->to[i]);
        check_sqlite(db, sqlite3_step(insert));
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    check_sqlite(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    return db;
}

// ------------------------------------------------------------------------------ hops

typedef struct asked {
    memdb_t *memdb;
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    const uint64_t *ids;
    const graph_t *graph;
    sqlite3_stmt *walk;
    uint64_t starts;
} asked_t;

static uint64_t start_of(const asked_t *asked, uint64_t number) {
    return bench_mix(number + 77) % asked->graph->nodes;
}

static uint64_t expand(const asked_t *asked, uint64_t start, uint32_t hops, uint64_t *links_out) {
    memdb_nodes_t *nodes;
    memdb_nodes_info_t info = {.size = sizeof info};
    memdb_graph_options_t options = {.size = sizeof options, .hops = hops};
    check(
        asked->memdb, "expand",
        memdb_graph_expand(asked->snapshot, asked->space, &asked->ids[start], 1, &options, &nodes));
    check(asked->memdb, "info", memdb_nodes_get_info(nodes, &info));
    uint64_t count = memdb_nodes_count(nodes);
    *links_out += info.links;
    memdb_nodes_free(nodes);
    return count;
}

static uint64_t recurse(const asked_t *asked, uint64_t start, uint32_t hops) {
    sqlite3 *db = sqlite3_db_handle(asked->walk);
    sqlite3_bind_int64(asked->walk, 1, (sqlite3_int64)start);
    sqlite3_bind_int64(asked->walk, 2, hops);
    check_sqlite(db, sqlite3_step(asked->walk));
    uint64_t count = (uint64_t)sqlite3_column_int64(asked->walk, 0);
    sqlite3_reset(asked->walk);
    return count - 1; // without the start
}

static void compare_hops(const asked_t *asked, uint32_t hops) {
    bench_times_t ours = {0}, theirs = {0};
    uint64_t reached = 0, links = 0;
    for (uint64_t i = 0; i < asked->starts; i++) {
        uint64_t start = start_of(asked, i), begin = bench_nanoseconds();
        uint64_t count = expand(asked, start, hops, &links);
        uint64_t between = bench_nanoseconds(), other = recurse(asked, start, hops);
        bench_times_add(&theirs, bench_nanoseconds() - between);
        bench_times_add(&ours, between - begin);
        reached += count;
        if (count != other)
            bench_stop("hops", "memdb and SQLite count differently");
    }
    double middle = bench_times_at(&ours, .5), their_middle = bench_times_at(&theirs, .5);
    printf(
        "%u hops: p50 %.1f us, p99 %.1f us; SQLite %.1f, %.1f: ratio %.1f, %.1f; on average %.0f "
        "nodes over %.0f links\n",
        hops, middle, bench_times_at(&ours, .99), their_middle, bench_times_at(&theirs, .99),
        their_middle / middle, bench_times_at(&theirs, .99) / bench_times_at(&ours, .99),
        (double)reached / (double)asked->starts, (double)links / (double)asked->starts);
}

// ------------------------------------------------------------------------------ ranks

/// What all walkers from `start` come to, by iteration until as good as none walks on.
static double *iterate(const graph_t *graph, uint64_t start) {
    double *ranks = bench_allocate(graph->nodes * sizeof *ranks),
           *walkers = bench_allocate(graph->nodes * sizeof *walkers),
           *next = bench_allocate(graph->nodes * sizeof *next), left = 1;
    memset(ranks, 0, graph->nodes * sizeof *ranks);
    memset(walkers, 0, graph->nodes * sizeof *walkers);
    for (walkers[start] = 1; left > 1e-9;) {
        left = 0;
        memset(next, 0, graph->nodes * sizeof *next);
        for (uint64_t node = 0; node < graph->nodes; node++) {
            uint32_t first = graph->first[node], end = graph->first[node + 1];
            double ends = end > first ? .15 : 1;
            ranks[node] += ends * walkers[node];
            for (uint32_t i = first; i < end; i++)
                next[graph->to[i]] += (1 - ends) * walkers[node] / (end - first);
            left += (1 - ends) * walkers[node];
        }
        double *spare = walkers;
        walkers = next;
        next = spare;
    }
    free(walkers);
    free(next);
    return ranks;
}

/// By how much the score of a node is off at most.
static double worst_of(const asked_t *asked, uint64_t start, const memdb_nodes_t *nodes) {
    double *exact = iterate(asked->graph, start), worst = 0;
    for (size_t i = 0; i < memdb_nodes_count(nodes); i++) {
        const memdb_node_t *node = memdb_nodes_at(nodes, i);
        exact[node->id - asked->ids[0]] -= node->score; // ids are dense: see measure
    }
    for (uint64_t node = 0; node < asked->graph->nodes; node++)
        worst = fabs(exact[node]) > worst ? fabs(exact[node]) : worst;
    free(exact);
    return worst;
}

static void compare_ranks(const asked_t *asked, double tolerance, uint64_t starts) {
    bench_times_t times = {0};
    double residual = 0, worst = 0;
    for (uint64_t i = 0; i < starts; i++) {
        uint64_t start = start_of(asked, i), begin = bench_nanoseconds();
        memdb_seed_t seed = {asked->ids[start], 1};
        memdb_nodes_t *nodes;
        memdb_nodes_info_t info = {.size = sizeof info};
        memdb_graph_options_t options = {.size = sizeof options, .tolerance = tolerance};
        check(asked->memdb, "rank",
              memdb_graph_rank(asked->snapshot, asked->space, &seed, 1, &options, &nodes));
        bench_times_add(&times, bench_nanoseconds() - begin);
        check(asked->memdb, "info", memdb_nodes_get_info(nodes, &info));
        residual += info.residual;
        double off = i < EXACT ? worst_of(asked, start, nodes) : 0;
        worst = off > worst ? off : worst;
        memdb_nodes_free(nodes);
    }
    printf("PageRank, tolerance %.0e: p50 %.2f ms, p99 %.2f ms; all scores together lack %.3f, one "
           "at most %.1e\n",
           tolerance, bench_times_at(&times, .5) / 1e3, bench_times_at(&times, .99) / 1e3,
           residual / (double)starts, worst);
}

// ------------------------------------------------------------------------------ all of it

static void measure(memdb_t *db, const graph_t *graph, uint64_t starts) {
    static const char query[] =
        "WITH RECURSIVE walk(node, hop) AS (SELECT ?1, 0 UNION SELECT target, hop + 1 FROM walk "
        "JOIN links ON source = node WHERE hop < ?2) SELECT count(DISTINCT node) FROM walk";
    uint64_t *ids = bench_allocate(graph->nodes * sizeof *ids), links = 0;
    double begin = bench_seconds();
    asked_t asked = {.memdb = db, .ids = ids, .graph = graph, .starts = starts};
    asked.space = fill_memdb(db, graph, ids);
    double filled = bench_seconds();
    sqlite3 *peer = fill_sqlite(graph);
    printf("filled in %.1f s, SQLite in %.1f s\n", filled - begin, bench_seconds() - filled);
    if (ids[graph->nodes - 1] - ids[0] != graph->nodes - 1)
        bench_stop("ids", "they have holes");
    check_sqlite(peer, sqlite3_prepare_v2(peer, query, -1, &asked.walk, NULL));
    check(db, "snapshot", memdb_snapshot_begin(db, NULL, &asked.snapshot));
    begin = bench_seconds();
    expand(&asked, 0, 1, &links);
    printf("the first walk, which packs the links: %.0f ms\n", 1e3 * (bench_seconds() - begin));
    compare_hops(&asked, 1);
    compare_hops(&asked, 2);
    compare_hops(&asked, 3);
    for (double tolerance = 1e-4; tolerance > 5e-7; tolerance /= 10)
        compare_ranks(&asked, tolerance, tolerance > 5e-5 ? starts : starts / 20 + 1);
    memdb_snapshot_end(asked.snapshot);
    sqlite3_finalize(asked.walk);
    sqlite3_close(peer);
    free(ids);
}

static options_t read_options(int count, char **words) {
    options_t options = {81306, 2420766, 1000, NULL};
    for (int i = 1; i < count; i += 2) {
        char *end = NULL;
        uint64_t number = i + 1 < count ? strtoull(words[i + 1], &end, 10) : 0;
        bool fine = end && !*end && number;
        if (i + 1 < count && !strcmp(words[i], "--at"))
            options.at = words[i + 1];
        else if (fine && !strcmp(words[i], "--nodes"))
            options.nodes = number;
        else if (fine && !strcmp(words[i], "--links"))
            options.links = number;
        else if (fine && !strcmp(words[i], "--starts"))
            options.starts = number;
        else
            bench_stop("usage", "graph [--nodes N] [--links N] [--starts N] [--at FOLDER]");
    }
    return options;
}

int main(int count, char **words) {
    options_t options = read_options(count, words);
    char path[1024];
    graph_t graph;
    memdb_t *db;
    memdb_options_t open = {.size = sizeof open, .flags = MEMDB_OPEN_CREATE};
    bench_describe("graph: walks over links, beside SQLite");
    printf("SQLite %s\n", sqlite3_libversion());
    generate(&graph, options.nodes, options.links);
    describe(&graph);
    bench_folder_make(bench_at(options.at), "graph", path, sizeof path);
    check(NULL, "open", memdb_open(path, &open, &db, NULL));
    measure(db, &graph, options.starts);
    check(db, "close", memdb_close(db));
    bench_folder_remove(path);
    free(graph.from);
    free(graph.to);
    free(graph.first);
    return 0;
}
