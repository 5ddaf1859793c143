// Gates: what their files share. gate.c goes through the gates of a put, gate_alike.c compares it
// with the memories that are there, gate_notes.c keeps what was refused and what was recalled.
#ifndef MEMDB_ENGINE_GATE_H
#define MEMDB_ENGINE_GATE_H

#include "engine/engine.h"

/// A put in front of the gates of its space.
typedef struct memdb__gate_put {
    memdb_txn_t *txn;
    const memdb_space_info_t *space;
    uint64_t id;
    const memdb__record_t *record; // what will be
    const memdb__record_t *old;    // what it replaces; NULL: it is new
} memdb__gate_put_t;

/// Note that a gate refuses the put, and say so in `error`. `refusal` has the gate, what the put is
/// like, and how much.
memdb_status_t memdb__gate_refuse(const memdb__gate_put_t *put, memdb_refusal_t refusal,
                                  memdb_error_t *error);

// gate_alike.c: MEMDB_REFUSED where the put is too like a memory of the space.
memdb_status_t memdb__gate_check_copies(const memdb__gate_put_t *put, memdb_error_t *error);
memdb_status_t memdb__gate_check_words(const memdb__gate_put_t *put, memdb_error_t *error);
/// `row`: the put's vector, coded.
memdb_status_t memdb__gate_check_near(const memdb__gate_put_t *put, const uint8_t *row,
                                      memdb_error_t *error);

// gate_notes.c

/// Keep a refusal, the oldest of the space giving way.
memdb_status_t memdb__gate_note_refusal(memdb_t *db, memdb_space_t space,
                                        const memdb_refusal_t *refusal, memdb_error_t *error);
/// Whether a text was lately recalled, and of which memory.
bool memdb__gate_was_recalled(memdb_t *db, memdb_bytes_t text, memdb_space_t *space_out,
                              uint64_t *id_out);

#endif
