// The utf8proc adapter: what one character is, and what it folds to.
#ifndef MEMDB_INDEX_LEXICAL_UNICODE_H
#define MEMDB_INDEX_LEXICAL_UNICODE_H

#include <stddef.h>
#include <stdint.h>

typedef enum memdb__character_class {
    MEMDB__CHARACTER_OTHER = 0, // separates words
    MEMDB__CHARACTER_WORD =
        1, // a letter or digit of a script that writes spaces, or its vowel sign
    MEMDB__CHARACTER_DENSE =
        2, // of a script without spaces: Han, kana, Hangul, Thai, Lao, Myanmar, Khmer
    MEMDB__CHARACTER_APOSTROPHE = 3,
    MEMDB__CHARACTER_NOTHING = 4, // an accent or ignorable character that folding drops
} memdb__character_class_t;

/// Decode one character of UTF-8 at `text`. Returns its length in bytes; malformed bytes give one
/// byte and -1.
size_t memdb__unicode_decode(const uint8_t *text, size_t size, int32_t *codepoint_out);

/// Encode; returns the length, 1 to 4.
size_t memdb__unicode_encode(int32_t codepoint, uint8_t *at);

#define MEMDB__UNICODE_FOLD_LIMIT 32

/// Fold one character: NFKC with case folding, accents not yet stripped. Returns how many it
/// becomes (0: none).
size_t memdb__unicode_fold(int32_t codepoint, int32_t folded_out[MEMDB__UNICODE_FOLD_LIMIT]);

/// Join `next` to `previous` where a canonical composition of kana or Hangul asks for it; 0: they
/// stay apart.
int32_t memdb__unicode_compose(int32_t previous, int32_t next);

/// The class of a folded character.
memdb__character_class_t memdb__unicode_class(int32_t codepoint);

#endif
