// The libstemmer adapter.
//
// A stemmer object is not thread-safe and costs a microsecond to make, so each thread keeps its
// own. Words follow Zipf's law, so a small direct-mapped cache in front of it answers most calls:
// stemming costs some 200 ns, a hit 5. An entry is one cache line's half: the word and its stem,
// each up to 15 bytes; longer words are not cached.
#include "index/lexical/lexical_stem.h"

#include "base/memory.h"

#include <libstemmer.h>
#include <pthread.h>
#include <string.h>

#define CACHE_ENTRIES 2048
#define CACHE_WORD_BYTES 15

typedef struct cache_entry {
    uint8_t word_size;
    uint8_t word[CACHE_WORD_BYTES];
    uint8_t stem_size;
    uint8_t stem[CACHE_WORD_BYTES];
} cache_entry_t;

struct memdb__stemmer {
    struct sb_stemmer *snowball;
    cache_entry_t cache[CACHE_ENTRIES];
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

// Two multiplications over the first 16 bytes, zero-filled: enough for a cache of 2,048.
static cache_entry_t *entry_of(memdb__stemmer_t *stemmer, const uint8_t *word, size_t size) {
    uint64_t half[2] = {0, 0};
    memcpy(half, word, size);
    uint64_t mixed = (half[0] ^ size) * 0x9E3779B97F4A7C15u + half[1] * 0xC2B2AE3D27D4EB4Fu;
    return &stemmer->cache[(mixed ^ mixed >> 29) * 0x9E3779B97F4A7C15u >> 53];
}

size_t memdb__stem(memdb__stemmer_t *stemmer, uint8_t *word, size_t size) {
    cache_entry_t *entry = NULL;
    if (size <= CACHE_WORD_BYTES) {
        entry = entry_of(stemmer, word, size);
        if (entry->word_size == size && memcmp(entry->word, word, size) == 0) {
            memcpy(word, entry->stem, entry->stem_size);
            return entry->stem_size;
        }
    }
    const sb_symbol *stem = sb_stemmer_stem(stemmer->snowball, word, (int)size);
    if (!stem) {
        return 0;
    }
    size_t stem_size = (size_t)sb_stemmer_length(stemmer->snowball);
    if (stem_size == 0 || stem_size > size) {
        return size; // an apostrophe alone, or a stem that would not fit: the word stands for
                     // itself
    }
    if (entry) {
        entry->word_size = (uint8_t)size;
        memcpy(entry->word, word, size);
        entry->stem_size = (uint8_t)stem_size;
        memcpy(entry->stem, stem, stem_size);
    }
    memcpy(word, stem, stem_size);
    return stem_size;
}
