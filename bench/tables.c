// Rows of model tables beside plain loops over memory, in one run: a gather of random rows through
// the public call against a loop that copies them from an array with prefetch, and the hash of a
// batch of tokens against the definition written out with a division for each row.
//
// Rounds alternate; the best of each side counts. The rows are those of the largest Engram table
// that was published: 256 numbers of 8 bits and 8 scales, 48 rows a token.
//
// usage: tables [--rows N] [--seconds S] [--at FOLDER]
#include "bench/common.h"
#include "include/memdb.h"
#include "include/memdb_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_BYTES = 264,
    TOKEN_ROWS = 48,
    TOKENS = 256,
    LAYERS = 2,
    ORDERS = 3,
    HEADS = 8,
    MAP = 1000
};

typedef struct setup {
    uint64_t rows;
    double seconds;
    const char *at;
} setup_t;

typedef struct world {
    memdb_t *db;
    memdb_snapshot_t *snapshot;
    memdb_table_t *table;
    uint8_t *plain; // the same rows
} world_t;

static void must(memdb_t *db, memdb_status_t status, const char *what) {
    char message[512] = "";
    if (status) {
        if (db)
            memdb_last_error(db, message, sizeof message);
        bench_stop(what, message);
    }
}

// ------------------------------------------------------------------------------ data

static uint64_t multipliers[LAYERS * (ORDERS + 1)], primes[LAYERS * ORDERS * HEADS],
    offsets[LAYERS * ORDERS * HEADS];
static int32_t token_map[MAP];

static memdb_table_info_t describe(uint64_t rows) {
    for (size_t i = 0; i < sizeof multipliers / sizeof *multipliers; i++)
        multipliers[i] = bench_mix(i) >> 16 | 1;
    for (size_t i = 0; i < sizeof primes / sizeof *primes; i++) {
        primes[i] = rows / (LAYERS * ORDERS * HEADS) - 1 - i % 7;
        offsets[i] = i * (rows / (LAYERS * ORDERS * HEADS));
    }
    for (int i = 0; i < MAP; i++)
        token_map[i] = (int32_t)(bench_mix((uint64_t)i) % 770);
    memdb_table_info_t info = {.size = sizeof info,
                               .name = {"engram", 6},
                               .rows = rows,
                               .dimension = 256,
                               .dtype = MEMDB_DTYPE_E4M3,
                               .scale_group = 32};
    info.hashing = (memdb_hashing_t){.layers = LAYERS,
                                     .min_order = 2,
                                     .max_order = ORDERS + 1,
                                     .heads = HEADS,
                                     .multipliers = multipliers,
                                     .primes = primes,
                                     .offsets = offsets,
                                     .token_map = token_map,
                                     .token_count = MAP,
                                     .pad = 2};
    return info;
}

static void fill(world_t *world, uint64_t rows) {
    enum { BATCH = 10000 };
    uint64_t *ids = bench_allocate(BATCH * sizeof *ids);
    memdb_table_info_t info = describe(rows);
    memdb_txn_t *txn;
    must(world->db, memdb_txn_begin(world->db, &txn), "begin");
    must(world->db, memdb_table_create(txn, &info), "create");
    must(world->db, memdb_table_open(memdb_txn_snapshot(txn), info.name, &info, &world->table),
         "open");
    must(world->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL), "commit");
    for (uint64_t i = 0; i < rows * ROW_BYTES; i++)
        world->plain[i] = (uint8_t)(bench_mix(i) % 120);
    double begun = bench_seconds();
    for (uint64_t from = 0; from < rows; from += BATCH) {
        size_t count = rows - from < BATCH ? (size_t)(rows - from) : BATCH;
        for (size_t i = 0; i < count; i++)
            ids[i] = from + i;
        must(world->db, memdb_txn_begin(world->db, &txn), "begin");
        must(world->db,
             memdb_table_update(txn, world->table, ids, count, MEMDB_ROWS_RAW,
                                world->plain + from * ROW_BYTES, 1),
             "update");
        must(world->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL), "commit");
    }
    double took = bench_seconds() - begun;
    printf("written                %12.0f rows/s, %.0f MB/s of rows, os, %d a commit\n",
           (double)rows / took, (double)rows * ROW_BYTES / took / 1e6, BATCH);
    free(ids);
}

// ------------------------------------------------------------------------------ both sides

static void gather_plain(const world_t *world, const uint64_t *ids, uint8_t *out) {
    for (size_t i = 0; i < TOKEN_ROWS; i++) {
        if (i + 8 < TOKEN_ROWS)
            for (size_t line = 0; line < ROW_BYTES; line += 64)
                __builtin_prefetch(world->plain + ids[i + 8] * ROW_BYTES + line);
        memcpy(out + i * ROW_BYTES, world->plain + ids[i] * ROW_BYTES, ROW_BYTES);
    }
}

static void hash_plain(const int32_t *tokens, uint64_t *rows) {
    for (int t = 0; t < TOKENS; t++)
        for (int layer = 0; layer < LAYERS; layer++)
            for (int order = 2; order <= ORDERS + 1; order++)
                for (int head = 0; head < HEADS; head++) {
                    int at = (layer * ORDERS + order - 2) * HEADS + head;
                    uint64_t mix = 0;
                    for (int j = 0; j < order; j++)
                        mix ^= (t - j < 0 ? 2 : (uint64_t)token_map[tokens[t - j]]) *
                               multipliers[layer * (ORDERS + 1) + j];
                    *rows++ = mix % primes[at] + offsets[at];
                }
}

static void compare_gather(const world_t *world, const setup_t *setup) {
    static uint8_t ours[TOKEN_ROWS * ROW_BYTES], theirs[TOKEN_ROWS * ROW_BYTES];
    uint64_t ids[TOKEN_ROWS], best[2] = {UINT64_MAX, UINT64_MAX}, number = 0;
    double until = bench_seconds() + setup->seconds;
    for (uint64_t round = 0; bench_seconds() < until || round < 2; round++) {
        enum { EACH = 200 };
        uint64_t took[2] = {0};
        for (int i = 0; i < EACH; i++) {
            for (int j = 0; j < TOKEN_ROWS; j++)
                ids[j] = bench_mix(number++) % setup->rows;
            uint64_t begun = bench_nanoseconds();
            if (i % 2)
                gather_plain(world, ids, theirs);
            else
                must(world->db,
                     memdb_table_gather(world->snapshot, world->table, ids, TOKEN_ROWS, false, ours,
                                        ROW_BYTES),
                     "gather");
            took[i % 2] += bench_nanoseconds() - begun;
            if (i % 50 == 0) {
                gather_plain(world, ids, theirs);
                if (memcmp(ours, theirs, sizeof ours) != 0)
                    bench_stop("gather", "other rows than were written");
            }
        }
        for (int side = 0; side < 2; side++)
            if (took[side] / (EACH / 2) < best[side])
                best[side] = took[side] / (EACH / 2);
    }
    printf("a token's %d rows      %8.2f us memdb %8.2f us plain loop %8.1fx\n", TOKEN_ROWS,
           (double)best[0] / 1e3, (double)best[1] / 1e3, (double)best[0] / (double)best[1]);
}

static void compare_hash(const world_t *world, const setup_t *setup) {
    static uint64_t ours[TOKENS * LAYERS * ORDERS * HEADS],
        theirs[TOKENS * LAYERS * ORDERS * HEADS];
    int32_t tokens[TOKENS];
    uint64_t best[2] = {UINT64_MAX, UINT64_MAX};
    double until = bench_seconds() + setup->seconds;
    for (uint64_t round = 0; bench_seconds() < until || round < 2; round++) {
        for (int i = 0; i < TOKENS; i++)
            tokens[i] = (int32_t)(bench_mix(round * TOKENS + (uint64_t)i) % MAP);
        uint64_t at = bench_nanoseconds();
        must(world->db, memdb_table_hash(world->table, tokens, NULL, 1, TOKENS, NULL, ours),
             "hash");
        uint64_t middle = bench_nanoseconds();
        hash_plain(tokens, theirs);
        uint64_t end = bench_nanoseconds();
        best[0] = middle - at < best[0] ? middle - at : best[0];
        best[1] = end - middle < best[1] ? end - middle : best[1];
        if (memcmp(ours, theirs, sizeof ours) != 0)
            bench_stop("hash", "other rows than the definition");
    }
    printf("hash of a token        %8.1f ns memdb %8.1f ns plain loop %8.1fx quicker\n",
           (double)best[0] / TOKENS, (double)best[1] / TOKENS, (double)best[1] / (double)best[0]);
}

int main(int count, char **words) {
    setup_t setup = {.rows = 200000, .seconds = 2};
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(words[i], "--rows") == 0)
            setup.rows = strtoull(words[i + 1], NULL, 10);
        else if (strcmp(words[i], "--seconds") == 0)
            setup.seconds = strtod(words[i + 1], NULL);
        else if (strcmp(words[i], "--at") == 0)
            setup.at = words[i + 1];
        else
            bench_stop(words[i], "usage: tables [--rows N] [--seconds S] [--at FOLDER]");
    }
    if (setup.rows < 10 * LAYERS * ORDERS * HEADS)
        bench_stop("--rows", "at least 480");
    char path[512];
    memdb_error_t error;
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_CREATE};
    world_t world = {.plain = bench_allocate(setup.rows * ROW_BYTES)};
    bench_describe("tables");
    bench_folder_make(bench_at(setup.at), "tables", path, sizeof path);
    if (memdb_open(path, &options, &world.db, &error))
        bench_stop("open", error.message);
    fill(&world, setup.rows);
    must(world.db, memdb_checkpoint(world.db), "checkpoint");
    must(world.db, memdb_snapshot_begin(world.db, NULL, &world.snapshot), "snapshot");
    compare_gather(&world, &setup);
    compare_hash(&world, &setup);
    memdb_snapshot_end(world.snapshot);
    memdb_table_close(world.table);
    must(NULL, memdb_close(world.db), "close");
    bench_folder_remove(path);
    free(world.plain);
    return 0;
}
