// The history that a run writes, and the oracle of what a database holds after any prefix of it.
//
// Each writer has a space of its own and makes transactions 0, 1, 2, ... Transaction n is a
// function of the seed, the writer, n and the *life* that made it: after a power cut, or a kill,
// what was lost is made anew in another life and with other content, so that a lost commit which
// comes back is noticed. Every transaction changes the memory "n", which counts them, so a database
// says of itself which prefix it holds; then all of it is compared.
#ifndef MEMDB_TESTS_HISTORY_H
#define MEMDB_TESTS_HISTORY_H

#include "include/memdb.h"
#include "tests/crash/recorder.h"

#define WRITERS 3
#define MOST_TRANSACTIONS 600 // of a writer
#define MOST_LIVES 64         // of a writer
#define SLOTS 14              // memories of a writer
#define ANCHORS 4             // of them: linked with each other, never forgotten
#define DIMENSION 8

/// Marks of a trace; `writer`, `number` and `value` as said.
typedef enum history_mark {
    MARK_LIFE,  // the writer goes on with transaction `number`, in a new life
    MARK_BEGIN, // transaction `number` is about to be committed
    MARK_DONE,  // it was acknowledged, with the LSN `value`, and need not survive a power cut
    MARK_FULL,  // the same, and it must
    MARK_KEPT   // of all acknowledged transactions up to below `number`: they must survive
} history_mark_t;

typedef struct writer_history {
    uint32_t promised;  // so many transactions must be there
    uint32_t attempted; // and none above these
    uint32_t lives;
    uint32_t first[MOST_LIVES]; // transaction of each life; a later life takes over from there on
    uint64_t lsn[MOST_TRANSACTIONS]; // of the present life's; 0: not known
} writer_history_t;

typedef struct history {
    uint64_t seed;
    bool full; // the database's durability: what a reader sees survives
    writer_history_t writers[WRITERS];
} history_t;

/// What a mark says, applied.
void history_apply(history_t *history, const event_t *mark);
/// The same, and the mark is recorded.
void history_mark(history_t *history, history_mark_t mark, uint32_t writer, uint32_t number,
                  uint64_t value);
/// LSNs that were told only after the cut: of the marks from `at` on.
void history_learn(history_t *history, const trace_t *trace, size_t at);

typedef struct slot {
    bool there, vector;
    uint32_t number;     // of the transaction that wrote it
    uint32_t blob_bytes; // 0: none
} slot_t;

/// What a writer's space holds after so many transactions.
typedef struct content {
    uint32_t count;
    slot_t slots[SLOTS];
    uint32_t links[ANCHORS][ANCHORS]; // from, to: the transaction that made it and 1, or 0
    uint32_t scratch;                 // the transaction that made the second space and 1, or 0
} content_t;

typedef enum operation_kind {
    OPERATION_PUT,
    OPERATION_FORGET,
    OPERATION_LINK,
    OPERATION_UNLINK,
    OPERATION_SCRATCH // makes the second space with two memories, or drops it
} operation_kind_t;

typedef struct operation {
    operation_kind_t kind;
    uint32_t slot, to;
    bool vector;
    uint32_t blob_bytes;
} operation_t;

#define MOST_OPERATIONS 5

/// The operations of the next transaction after `content`, which is carried on. Returns how many.
size_t history_next(const history_t *history, uint32_t writer, content_t *content,
                    operation_t operations_out[MOST_OPERATIONS]);
/// The content after `count` transactions.
void history_content(const history_t *history, uint32_t writer, uint32_t count,
                     content_t *content_out);

/// Which life made a transaction.
uint32_t history_life(const history_t *history, uint32_t writer, uint32_t number);

/// The bytes of things, all lent until the next call of the same function on the thread.
memdb_bytes_t history_space(uint32_t writer, bool scratch);
memdb_bytes_t history_key(uint32_t slot);
memdb_bytes_t history_word(const history_t *history, uint32_t writer, uint32_t slot,
                           uint32_t number);
memdb_bytes_t history_text(const history_t *history, uint32_t writer, uint32_t slot,
                           uint32_t number);
memdb_bytes_t history_blob(const history_t *history, uint32_t writer, uint32_t slot,
                           uint32_t number, uint32_t size);
memdb_bytes_t history_count_text(const history_t *history, uint32_t writer, uint32_t count);
void history_vector(const history_t *history, uint32_t writer, uint32_t slot, uint32_t number,
                    float vector_out[DIMENSION]);

/// Make the next transaction after `content`, and mark it. The content is carried on when it was
/// acknowledged.
///
/// survives  it must survive a power cut once it is acknowledged.
memdb_status_t history_commit(memdb_t *db, history_t *history, uint32_t writer, content_t *content,
                              memdb_durability_t durability, bool survives);

/// How many transactions of the writer a snapshot holds.
memdb_status_t history_count(memdb_snapshot_t *snapshot, const history_t *history, uint32_t writer,
                             uint32_t *count_out, char what_out[400]);
/// Whether a snapshot holds a prefix of the history that keeps all promises, and exactly that.
bool history_check(memdb_t *db, const history_t *history, uint32_t counts_out[WRITERS],
                   char what_out[400]);

#endif
