// The libstemmer adapter.
//
// A stemmer object is not thread-safe and costs a microsecond to make, so each thread keeps its
// own. Words follow Zipf's law, so a cache of 32,768 in front of it answers most calls: stemming
// costs some 500 ns, a hit 3 to 15. A word has its place in one of two entries, of which the one
// that was not asked for again leaves first. An entry is half a cache line: the word and its stem,
// each up to 15 bytes, filled with zeros, and its size in the 16th; longer words are not cached.
#include "index/lexical/lexical_stem.h"

#include "base/bytes.h"
#include "base/memory.h"

#include <libstemmer.h>
#include <pthread.h>
#include <string.h>

#define PAIR_BITS 14
#define CACHE_WORD_BYTES 15

typedef struct cached_word {
    uint64_t halves[2]; // little-endian: the 16th byte is the top of the second
} cached_word_t;

typedef struct cache_entry {
    cached_word_t word;
    uint8_t stem[CACHE_WORD_BYTES];
    uint8_t stem_size;
} cache_entry_t;

struct memdb__stemmer {
    struct sb_stemmer *snowball;
    cache_entry_t cache[1u << PAIR_BITS][2];
};

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;
static _Thread_local memdb__stemmer_t *thread_stemmer;

static void destroy_stemmer(void *pointer) {
    memdb__stemmer_t *stemmer = pointer;
    sb_stemmer_delete(stemmer->snowball);
    memdb__free(stemmer);
    thread_stemmer = NULL;
}

static void create_key(void) {
    key_error = pthread_key_create(&key, destroy_stemmer);
}

memdb__stemmer_t *memdb__stemmer_acquire(void) {
    if (thread_stemmer) {
        return thread_stemmer;
    }
    if (pthread_once(&key_once, create_key) || key_error) {
        return NULL;
    }
    memdb__stemmer_t *stemmer = memdb__allocate_zeroed(1, sizeof *stemmer);
    if (!stemmer) {
        return NULL;
    }
    stemmer->snowball = sb_stemmer_new("english", "UTF_8");
    if (!stemmer->snowball || pthread_setspecific(key, stemmer)) {
        if (stemmer->snowball) {
            sb_stemmer_delete(stemmer->snowball);
        }
        memdb__free(stemmer);
        return NULL;
    }
    thread_stemmer = stemmer;
    return stemmer;
}

// The word as the cache has it.
static cached_word_t cached_word(const uint8_t *word, size_t size) {
    cached_word_t cached = {{memdb__get_u64(word), memdb__get_u64(word + 8)}};
    if (size < 8) {
        cached.halves[0] &= ((uint64_t)1 << 8 * size) - 1;
        cached.halves[1] = 0;
    } else {
        cached.halves[1] &= ((uint64_t)1 << 8 * (size - 8)) - 1;
    }
    cached.halves[1] |= (uint64_t)size << 56;
    return cached;
}

static cache_entry_t *pair_of(memdb__stemmer_t *stemmer, cached_word_t word) {
    uint64_t mixed = word.halves[0] * 0x9E3779B97F4A7C15u ^ word.halves[1] * 0xC2B2AE3D27D4EB4Fu;
    return stemmer->cache[(mixed ^ mixed >> 29) * 0x9E3779B97F4A7C15u >> (64 - PAIR_BITS)];
}

static bool is_word(const cache_entry_t *entry, cached_word_t word) {
    return entry->word.halves[0] == word.halves[0] && entry->word.halves[1] == word.halves[1];
}

const uint8_t *memdb__stem(memdb__stemmer_t *stemmer, const uint8_t *word, size_t size,
                           size_t *stem_size_out) {
    cache_entry_t *pair = NULL;
    cached_word_t cached;
    if (size <= CACHE_WORD_BYTES) {
        cached = cached_word(word, size);
        pair = pair_of(stemmer, cached);
        if (!is_word(&pair[0], cached) && is_word(&pair[1], cached)) {
            cache_entry_t moved = pair[0];
            pair[0] = pair[1];
            pair[1] = moved;
        }
        if (is_word(&pair[0], cached)) {
            *stem_size_out = pair->stem_size;
            return pair->stem;
        }
    }
    const sb_symbol *stem = sb_stemmer_stem(stemmer->snowball, word, (int)size);
    if (!stem) {
        return NULL;
    }
    size_t stem_size = (size_t)sb_stemmer_length(stemmer->snowball);
    if (stem_size == 0 || stem_size > size) {
        *stem_size_out = size; // an apostrophe alone, or a stem that would not fit: the word
        return word;           // stands for itself
    }
    *stem_size_out = stem_size;
    if (!pair) {
        return stem;
    }
    cache_entry_t *entry = &pair[1];
    entry->word = cached;
    entry->stem_size = (uint8_t)stem_size;
    memcpy(entry->stem, stem, stem_size);
    return entry->stem;
}
