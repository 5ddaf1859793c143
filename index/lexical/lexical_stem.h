// The libstemmer adapter: English stems (Porter's second algorithm).
#ifndef MEMDB_INDEX_LEXICAL_STEM_H
#define MEMDB_INDEX_LEXICAL_STEM_H

#include <stddef.h>
#include <stdint.h>

/// The calling thread's stemmer: made at its first use, freed when the thread ends. NULL: out of
/// memory.
typedef struct memdb__stemmer memdb__stemmer_t;
memdb__stemmer_t *memdb__stemmer_acquire(void);

/// The stem of `word` (lower case ASCII, at most 64 bytes; 16 bytes from its start on may be read),
/// lent until the thread's next call, or `word` itself. NULL: out of memory.
const uint8_t *memdb__stem(memdb__stemmer_t *stemmer, const uint8_t *word, size_t size,
                           size_t *stem_size_out);

#endif
