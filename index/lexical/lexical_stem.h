// The libstemmer adapter: English stems (Porter's second algorithm).
#ifndef MEMDB_INDEX_LEXICAL_STEM_H
#define MEMDB_INDEX_LEXICAL_STEM_H

#include <stddef.h>
#include <stdint.h>

/// The calling thread's stemmer: made at its first use, freed when the thread ends. NULL: out of
/// memory.
typedef struct memdb__stemmer memdb__stemmer_t;
memdb__stemmer_t *memdb__stemmer_acquire(void);

/// Stem `word` (lower case ASCII, at most 64 bytes) in place. Returns the new size; 0: out of
/// memory.
size_t memdb__stem(memdb__stemmer_t *stemmer, uint8_t *word, size_t size);

#endif
