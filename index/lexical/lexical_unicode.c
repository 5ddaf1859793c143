// The utf8proc adapter. It works character by character, so that a tokenizer needs no memory for a
// normalised copy.
//
// Folding decomposes; composing again is needed only where a mark is not an accent: the voicing
// marks of kana, and the letters of Hangul syllables. All other accents (of Latin, Greek, Cyrillic,
// Hebrew and Arabic points) are dropped. Vowel signs of Indic scripts are marks too, but part of
// the word; they stay.
#include "index/lexical/lexical_unicode.h"

#include <stdbool.h>
#include <utf8proc.h>

size_t memdb__unicode_decode(const uint8_t *text, size_t size, int32_t *codepoint_out) {
    utf8proc_ssize_t length =
        utf8proc_iterate(text, size < 4 ? (utf8proc_ssize_t)size : 4, codepoint_out);
    if (length <= 0) {
        *codepoint_out = -1;
        return 1;
    }
    return (size_t)length;
}

size_t memdb__unicode_encode(int32_t codepoint, uint8_t *at) {
    return (size_t)utf8proc_encode_char(codepoint, at);
}

static bool is_hangul_syllable(int32_t c) {
    return c >= 0xAC00 && c <= 0xD7A3;
}

size_t memdb__unicode_fold(int32_t codepoint, int32_t folded_out[MEMDB__UNICODE_FOLD_LIMIT]) {
    // Precomposed kana and Hangul are in normal form already.
    if ((codepoint >= 0x3041 && codepoint <= 0x30FA) || is_hangul_syllable(codepoint)) {
        folded_out[0] = codepoint;
        return 1;
    }
    int boundary = 0;
    utf8proc_ssize_t count = utf8proc_decompose_char(
        codepoint, folded_out, MEMDB__UNICODE_FOLD_LIMIT,
        UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE, &boundary);
    return count < 0 || count > MEMDB__UNICODE_FOLD_LIMIT ? 0 : (size_t)count;
}

// Hangul letters to syllables (The Unicode Standard, section 3.12).
static int32_t compose_hangul(int32_t previous, int32_t next) {
    if (previous >= 0x1100 && previous <= 0x1112 && next >= 0x1161 && next <= 0x1175) {
        return 0xAC00 + ((previous - 0x1100) * 21 + (next - 0x1161)) * 28;
    }
    if (is_hangul_syllable(previous) && (previous - 0xAC00) % 28 == 0 && next >= 0x11A8 &&
        next <= 0x11C2) {
        return previous + (next - 0x11A7);
    }
    return 0;
}

int32_t memdb__unicode_compose(int32_t previous, int32_t next) {
    if (next >= 0x1161 && next <= 0x11C2) {
        return compose_hangul(previous, next);
    }
    if (next != 0x3099 && next != 0x309A) {
        return 0;
    }
    // A voiced kana stands one place after the plain one, a half-voiced one two; U is the
    // exception.
    bool katakana = previous >= 0x30A0;
    int32_t plain = katakana ? previous - 0x60 : previous;
    if (next == 0x3099 && plain == 0x3046) {
        return katakana ? 0x30F4 : 0x3094;
    }
    bool ka_to_to = (plain >= 0x304B && plain <= 0x3061 && plain % 2 == 1) || plain == 0x3064 ||
                    plain == 0x3066 || plain == 0x3068;
    bool ha_to_ho = plain >= 0x306F && plain <= 0x307B && plain % 3 == 0;
    if (ha_to_ho || (ka_to_to && next == 0x3099)) {
        return previous + (next == 0x3099 ? 1 : 2);
    }
    return 0;
}

static bool is_dense(int32_t c) {
    return (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) || is_hangul_syllable(c) ||
           (c >= 0x20000 && c <= 0x323AF) || (c >= 0x3005 && c <= 0x3007) || c == 0x303B ||
           (c >= 0x0E00 && c <= 0x0EFF) || (c >= 0x1000 && c <= 0x109F) ||
           (c >= 0x1780 && c <= 0x17FF) || (c >= 0x1100 && c <= 0x11FF);
}

static bool is_accent(int32_t c) {
    return (c >= 0x0300 && c <= 0x036F) || (c >= 0x0483 && c <= 0x0489) ||
           (c >= 0x0591 && c <= 0x05C7) || (c >= 0x0610 && c <= 0x061A) ||
           (c >= 0x064B && c <= 0x065F) || c == 0x0670 || (c >= 0x06D6 && c <= 0x06ED) ||
           (c >= 0x1AB0 && c <= 0x1AFF) || (c >= 0x1DC0 && c <= 0x1DFF) ||
           (c >= 0x20D0 && c <= 0x20FF) || (c >= 0xFE20 && c <= 0xFE2F) ||
           (c >= 0x3099 && c <= 0x309A);
}

memdb__character_class_t memdb__unicode_class(int32_t codepoint) {
    if (codepoint == '\'' || codepoint == 0x2019 || codepoint == 0x2018 || codepoint == 0x02BC) {
        return MEMDB__CHARACTER_APOSTROPHE;
    }
    switch (utf8proc_category(codepoint)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        if (is_accent(codepoint)) {
            return MEMDB__CHARACTER_NOTHING;
        }
        break;
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        break;
    default:
        return MEMDB__CHARACTER_OTHER;
    }
    bool digit = utf8proc_category(codepoint) == UTF8PROC_CATEGORY_ND;
    return is_dense(codepoint) && !digit ? MEMDB__CHARACTER_DENSE : MEMDB__CHARACTER_WORD;
}
