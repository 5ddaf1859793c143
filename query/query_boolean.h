// A question as it is read, before the tokenizer of a space sees it: what ranks, and what is
// demanded.
//
//   demand  = sign item
//   sign    = "+" | "-"  required, forbidden; at the beginning or after a blank, and with neither
//                        a blank nor a sign behind it
//   item    = phrase | word | prefix | "(" { phrase | word | prefix } ")"     any of the group
//   phrase  = a quotation mark, text, a quotation mark
//   word    = what lies before a blank (in a group: or before ")"), or before a phrase
//   prefix  = a word that ends with a star
//
// Everything else ranks; what is required does, too. Signs are read where the query says so alone.
#ifndef MEMDB_QUERY_BOOLEAN_H
#define MEMDB_QUERY_BOOLEAN_H

#include "index/lexical/lexical.h"

/// A phrase that is demanded; in quotes or not, a word is one.
typedef struct memdb__boolean_phrase {
    memdb_bytes_t text; // of the query's
    size_t place;       // in the query's text, of its sign
    bool opens;         // a clause; else it is one more alternative of the one before
    bool forbidden, prefix;
    bool marked; // by a sign
} memdb__boolean_phrase_t;

typedef struct memdb__boolean {
    memdb_bytes_t text;      // what ranks: without signs, and without what is forbidden
    memdb__buffer_t ranks;   // holds it where it is not the query's own
    memdb__buffer_t phrases; // memdb__boolean_phrase_t
} memdb__boolean_t;

/// Read a question. `signs` count if asked for; with `phrases`, each phrase and prefix without a
/// sign is required.
///
/// Errors  MEMDB_INVALID  a quote or group after a sign does not close, or holds what it may not.
memdb_status_t memdb__boolean_read(memdb_bytes_t text, bool signs, bool phrases,
                                   memdb__boolean_t *question_out, memdb_error_t *error);
void memdb__boolean_deinit(memdb__boolean_t *question);
/// What it demands of a space's documents; NULL: nothing.
///
/// Errors  MEMDB_INVALID  behind a sign is no word.
memdb_status_t memdb__boolean_demand(const memdb__boolean_t *question, memdb_tokenizer_kind_t kind,
                                     memdb__words_demand_t **demand_out, memdb_error_t *error);

#endif
