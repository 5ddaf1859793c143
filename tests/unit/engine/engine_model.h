// The oracle of test_engine_model: a database as plain arrays, and operations as data.
//
// An operation is drawn against one state of the model, sent to the database, and applied to the
// model by model_apply. Because it is data, a transaction that commits after another one is
// replayed on the state that the other one left; what the two touched (touches_t) tells whether the
// second must conflict.
#ifndef MEMDB_TESTS_ENGINE_MODEL_H
#define MEMDB_TESTS_ENGINE_MODEL_H

#include "tests/lib/database.h"

#include <stdint.h>

#define MODEL_SPACES 5   // names
#define MODEL_KEYS 40    // keys a space
#define MODEL_SESSIONS 4 // number 0: no session
#define MODEL_TYPES 4    // of links; number 0: the empty one
#define MODEL_MEMORIES 400
#define MODEL_LINKS 400
#define MODEL_DIMENSION 6
#define MODEL_OPERATIONS 8 // of one transaction

typedef struct model_space {
    memdb_space_t space; // 0: there is none of this name
    uint32_t dimension;
} model_space_t;

/// Texts are drawn from a seed: here only seed and size are kept. Times: MEMDB_TIME_NONE is "not
/// set".
typedef struct model_memory {
    uint64_t id; // 0: an unused place
    int space;   // number of the name
    uint32_t fields;
    int key, session, kind, actor, attrs; // numbers
    uint32_t text_seed, text_size, vector_seed;
    int64_t time, valid_from, valid_to, expires;
    bool time_unknown; // by default "now": read back after the commit
    double importance;
    uint32_t tokens;
} model_memory_t;

typedef struct model_link {
    uint64_t from, to; // from 0: an unused place
    int type;
    double weight;
    int64_t valid_from, valid_to;
    int attrs;
} model_link_t;

typedef struct model {
    model_space_t spaces[MODEL_SPACES];
    model_memory_t memories[MODEL_MEMORIES];
    model_link_t links[MODEL_LINKS];
} model_t;

typedef enum operation_kind {
    DO_PUT,
    DO_FORGET,
    DO_LINK,
    DO_UNLINK,
    DO_CREATE,
    DO_DROP
} operation_kind_t;

typedef struct operation {
    operation_kind_t kind;
    int space;
    bool by_id;
    uint64_t id; // the memory that is put or forgotten (put of a new one: set when it was sent)
    bool is_new;
    model_memory_t memory; // the fields that a put sets: memory.fields
    model_link_t link;
    memdb_space_t created;
} operation_t;

/// What a transaction wrote, and what must not be gone when it commits: tags and numbers, see
/// model.c.
typedef struct touches {
    struct touch {
        char tag;
        uint64_t a, b;
        int c;
        bool gone; // buried by this transaction
    } written[MODEL_OPERATIONS * 6], guarded[MODEL_OPERATIONS * 3];
    int written_count, guarded_count;
} touches_t;

typedef struct transaction {
    model_t model; // as the transaction sees it
    operation_t operations[MODEL_OPERATIONS];
    int count;
    touches_t touches;
} transaction_t;

extern uint64_t model_random_state;
uint32_t draw(uint32_t below);
bool chance(uint32_t percent);

/// Texts of the numbers. Static storage, or the given buffer.
memdb_bytes_t model_space_name(int number);
memdb_bytes_t model_key(int number);
memdb_bytes_t model_session(int number);
memdb_bytes_t model_type(int number);
memdb_bytes_t model_word(int number);
memdb_bytes_t model_attrs(int number);
memdb_bytes_t model_text(uint32_t seed, uint32_t size, char *buffer);
void model_vector(uint32_t seed, float vector_out[MODEL_DIMENSION]);
#define MODEL_TEXT_BYTES 9000

model_memory_t *model_find(model_t *model, uint64_t id);
model_memory_t *model_find_key(model_t *model, int space, int key);
model_memory_t *model_draw_memory(model_t *model, int space);
model_link_t *model_find_link(model_t *model, uint64_t from, int type, uint64_t to);
int model_free_memories(const model_t *model);
/// Apply one operation; it must fit the model.
void model_apply(model_t *model, const operation_t *operation);

/// Draw an operation that fits the transaction's model, send it, apply it. False: nothing could be
/// drawn.
bool model_operate(memdb_t *db, memdb_txn_t *txn, transaction_t *transaction);
/// Whether a transaction that began before `first` committed must conflict with it.
bool model_conflicts(const touches_t *first, const touches_t *second);

/// Compare everything (or a sample) that `db` shows with the model.
void model_check(memdb_t *db, model_t *model, bool all);
/// The same as a transaction sees it: a sample.
void model_check_snapshot(memdb_t *db, memdb_snapshot_t *snapshot, model_t *model, bool all);

#endif
