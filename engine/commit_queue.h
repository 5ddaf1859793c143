// The queue of a handle's commits, and who leads the next batch.
//
// Whoever comes while nobody leads, and makes the batch complete, leads it at once, on a processor
// that is awake already. The first who comes to an incomplete one waits for the others, a fraction
// of what the last batch took, and then leads what is there. Whoever comes while somebody leads
// waits to be told, or to be called when the leader is done.
#ifndef MEMDB_ENGINE_COMMIT_QUEUE_H
#define MEMDB_ENGINE_COMMIT_QUEUE_H

#include "engine/engine.h"

/// Put a request into the queue and wait. True: the caller leads, and its request is still in the
/// queue. False: it was told.
bool memdb__queue_enter(memdb_t *db, memdb__request_t *request);

/// The leader takes all requests that wait.
memdb__request_t *memdb__queue_take(memdb_t *db, uint32_t *count_out);

/// Let others lead. `told`: requests of the last batch, whose threads will soon come again;
/// `took_ns`: how long it was on its way to the device, 0: they are not worth waiting for.
void memdb__queue_pass_on(memdb_t *db, uint32_t told, uint64_t took_ns);

/// Give each request of a batch its answer: it is its thread's again. The leader's own needs none.
void memdb__queue_tell(memdb__request_t *first, const memdb__request_t *own);

#endif
