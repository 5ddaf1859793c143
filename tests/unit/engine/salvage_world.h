// The database that test_engine_salvage damages, its model, and the comparison after salvage.
#ifndef MEMDB_TESTS_SALVAGE_WORLD_H
#define MEMDB_TESTS_SALVAGE_WORLD_H

#include "tests/lib/database.h"

#define MEMORIES 400

extern uint64_t dice_state;
uint64_t draw(uint64_t below);

typedef struct memory {
    uint64_t id;
    uint64_t body, vector, blobs, links; // hashes; 0: has none
    uint64_t version;                    // a new database has new ones
} memory_t;

typedef struct contents {
    memory_t memories[MEMORIES];
    size_t count;
} contents_t;

const memory_t *find(const contents_t *contents, uint64_t id);

typedef struct losses {
    size_t count, unknown; // unknown: of the log, or of nobody knows what
    bool catalog;          // without it nobody knows whether a segment is missing
    memdb_loss_t list[4096];
    char what[4096][120];
} losses_t;

extern losses_t losses;       // of the last salvage
extern contents_t model, got; // what was there, and what it gave
extern char harmed[1000];     // what was done to the database, for people
extern uint64_t base_lsn;     // where its base ends

/// Three tiers and a log, as kill -9 would leave them, at fixture->path + "-model"; fills `model`.
void build(fixture_t *fixture, char path_out[256]);
/// Salvage the database at `bad`, verify the new one, and read it into `got`. Fails the test where a
/// memory is missing, another one or invented and that is not listed. Gives how many memories are
/// not as in the model.
size_t salvage(const char *bad);

#endif
