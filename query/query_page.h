// Pages: where an answer ended, as a text that a later recall goes on from.
//
// A page says of which question it is, at which position and time the first page was answered, how
// many hits came before, and a hash of their ids in order. The later recall ranks anew at the same
// position and time, and goes on only if the hits before are the same: so pages neither repeat a
// hit nor leave one out, or there is an error.
//
//   offset  size
//        0     8  position that the first page saw
//        8     8  time that decides what has expired
//       16     8  moment of the question
//       24     8  hash of the question, with the id of the database
//       32     8  hash of the ids of the hits before, in order
//       40     4  how many hits came before
//       44     4  version: 1
//       48     8  checksum of the bytes before
//
// Little-endian, written as lower-case hexadecimal digits.
#ifndef MEMDB_QUERY_PAGE_H
#define MEMDB_QUERY_PAGE_H

#include "engine/engine.h"

#define MEMDB__PAGE_DIGITS 112u

typedef struct memdb__page {
    uint64_t lsn;
    int64_t time, now;
    uint64_t question, order;
    uint32_t before; // 0: there is none before
} memdb__page_t;

void memdb__page_encode(const memdb__page_t *page, char digits_out[MEMDB__PAGE_DIGITS + 1]);
/// False: it is none, or damaged.
bool memdb__page_decode(memdb_bytes_t digits, memdb__page_t *page_out);

/// Hash what of a query decides its hits and their order. `k` is the real one.
memdb_status_t memdb__page_question(const memdb_t *db, const memdb_query_t *query, uint32_t k,
                                    uint64_t *hash_out, memdb_error_t *error);
/// Of the ids of hits, in order.
uint64_t memdb__page_order(const memdb_hit_t *hits, size_t count);
/// Read the query's page, and see that it is one of this question that this snapshot can go on
/// with.
memdb_status_t memdb__page_read(const memdb_snapshot_t *snapshot, const memdb_query_t *query,
                                uint64_t question, memdb__page_t *page_out, memdb_error_t *error);

#endif
