// Likeness of texts: how many of their terms two texts share.
//
// The measure is Jaccard's (shared distinct terms over all distinct terms of both), which order,
// repetition, case and punctuation do not change. Terms are compared by hash, which two of a
// million different terms share once in tens of millions of such sets.
#include "index/lexical/lexical_list.h"

#include <stdlib.h>

static bool add_term(void *context, const char *term, size_t size, uint32_t position) {
    uint64_t hash = memdb__term_hash(0, (const uint8_t *)term, size);
    (void)position;
    return memdb__buffer_append(context, &hash, sizeof hash);
}

static int compare_hashes(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

bool memdb__terms_of(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                     memdb__buffer_t *terms) {
    // What is not found by words can be alike all the same.
    kind = kind == MEMDB_TOKENIZER_NONE ? MEMDB_TOKENIZER_PLAIN : kind;
    memdb__buffer_clear(terms);
    if (!memdb__tokenize(kind, text, size, add_term, terms) || terms->failed) {
        return false;
    }
    uint64_t *items = (uint64_t *)(void *)terms->data;
    size_t count = terms->size / sizeof *items, kept = 0;
    if (count) {
        qsort(items, count, sizeof *items, compare_hashes);
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || items[i] != items[i - 1]) {
            items[kept++] = items[i];
        }
    }
    terms->size = kept * sizeof *items;
    return true;
}

double memdb__terms_likeness(const memdb__buffer_t *a, const memdb__buffer_t *b) {
    const uint64_t *left = (const uint64_t *)(const void *)a->data;
    const uint64_t *right = (const uint64_t *)(const void *)b->data;
    size_t left_count = a->size / sizeof *left, right_count = b->size / sizeof *right;
    size_t shared = 0;
    for (size_t i = 0, j = 0; i < left_count && j < right_count;) {
        shared += left[i] == right[j];
        bool step_left = left[i] <= right[j], step_right = right[j] <= left[i];
        i += step_left;
        j += step_right;
    }
    size_t all = left_count + right_count - shared;
    return all ? (double)shared / (double)all : 0;
}
