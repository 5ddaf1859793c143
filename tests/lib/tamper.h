// Test helper: put other segments in the place of a database's own, with right checksums and with
// the catalog's consent, so that only what they say is wrong.
#ifndef MEMDB_TESTS_LIB_TAMPER_H
#define MEMDB_TESTS_LIB_TAMPER_H

#include "engine/view.h"

/// Called for each entry of the map in order; may change it (the value lies in a copy of
/// `value_size` bytes that may be written to), or return false to drop it.
typedef bool (*tamper_entry_fn)(void *context, memdb__entry_t *entry);

/// Rewrite the map of the last tier of the closed database at `path`. Fails the test on failure.
void tamper_entries(const char *path, tamper_entry_fn change, void *context);
/// Rewrite the words, or the vectors, of the last tier without those for which `live` says no.
void tamper_words(const char *path, memdb__live_fn live, void *context);
void tamper_vectors(const char *path, memdb__row_live_fn live, void *context);

#endif
