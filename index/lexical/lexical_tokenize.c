// The tokenizer: one pass over the bytes, a state of fixed size, no allocation.
//
// A word is a run of letters and digits after folding. An apostrophe between two of them belongs to
// the word ("don't", "o'neil"), and a possessive "'s" at its end is dropped. Scripts that write no
// spaces (Han, kana, Hangul, Thai, Lao, Myanmar, Khmer) give each character and each pair of
// neighbours, which needs no dictionary and keeps the precision of pairs. Words of ASCII letters,
// the common case, never reach the Unicode adapter.
//
// Invariants: at most one of a word and a dense run is open; a term has 1 to MEMDB__MAX_TERM_BYTES
// bytes.
#include "base/bytes.h"
#include "index/lexical/lexical_stem.h"
#include "index/lexical/lexical_token.h"
#include "index/lexical/lexical_unicode.h"

#include <string.h>

typedef struct tokenizer {
    memdb_tokenizer_kind_t kind;
    memdb__stemmer_t *stemmer;
    memdb__token_visit_fn visit;
    void *context;
    uint8_t word[MEMDB__MAX_TERM_BYTES];
    size_t word_size;
    bool ascii;      // the word so far
    bool full;       // the word reached its limit: the rest of it is dropped
    bool apostrophe; // seen after the word's last character
    int32_t pending; // newest dense character, which a mark may still change; 0: none
    int32_t before;  // the dense character before it; 0: none
    size_t at, next; // the character in hand, of those that are not ASCII
    size_t from, to; // the word
    size_t pending_from, pending_to, before_from;
    uint32_t position;
    bool stopped, failed;
} tokenizer_t;

// 'a' to 'z' and digits for letters and digits of ASCII, 1 for an apostrophe, 0 for what
// separates or is no ASCII.
static const uint8_t ascii_fold[256] = {
    ['\''] = 1,  ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5',
    ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c',
    ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j',
    ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q',
    ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x',
    ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e',
    ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l',
    ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's',
    ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z'};

static void emit(tokenizer_t *t, const memdb__token_t *token) {
    if (!t->stopped && !t->failed && !t->visit(t->context, token)) {
        t->stopped = true;
    }
}

static void flush_word(tokenizer_t *t) {
    size_t size = t->word_size;
    t->apostrophe = false;
    if (size == 0) {
        return;
    }
    if (size > 2 && t->word[size - 2] == '\'' && t->word[size - 1] == 's') {
        size -= 2;
    }
    memdb__token_t token = {t->word, size,  t->word, size, t->position++,
                            false,   false, t->from, t->to};
    if (t->kind == MEMDB_TOKENIZER_ENGLISH && t->ascii) {
        token.term = memdb__stem(t->stemmer, t->word, size, &token.size);
        t->failed = t->failed || !token.term;
    }
    emit(t, &token);
    t->word_size = 0;
    t->ascii = true;
    t->full = false;
}

static void append_to_word(tokenizer_t *t, const uint8_t *bytes, size_t size) {
    size_t needed = size + t->apostrophe;
    if (t->full || t->word_size + needed > sizeof t->word) {
        t->full = true;
        t->apostrophe = false;
        return;
    }
    if (t->apostrophe) {
        t->word[t->word_size++] = '\'';
        t->apostrophe = false;
    }
    memcpy(t->word + t->word_size, bytes, size);
    t->word_size += size;
}

// The pending character is final: give the pair that it closes, and itself.
static void emit_dense(tokenizer_t *t) {
    uint8_t bytes[8];
    size_t first = t->before ? memdb__unicode_encode(t->before, bytes) : 0;
    size_t size = first + memdb__unicode_encode(t->pending, bytes + first);
    if (first) {
        memdb__token_t pair = {bytes, size, bytes,          size,         t->position - 1,
                               true,  true, t->before_from, t->pending_to};
        emit(t, &pair);
    }
    size -= first;
    memdb__token_t single = {bytes + first, size, bytes + first,   size,         t->position++,
                             false,         true, t->pending_from, t->pending_to};
    emit(t, &single);
    t->before = t->pending;
    t->before_from = t->pending_from;
    t->pending = 0;
}

static void flush_dense(tokenizer_t *t) {
    if (t->pending) {
        emit_dense(t);
    }
    t->before = 0;
}

static void take_dense(tokenizer_t *t, int32_t codepoint) {
    flush_word(t);
    if (t->pending) {
        int32_t joined = memdb__unicode_compose(t->pending, codepoint);
        if (joined) {
            t->pending = joined;
            t->pending_to = t->next;
            return;
        }
        emit_dense(t);
    }
    t->pending = codepoint;
    t->pending_from = t->at;
    t->pending_to = t->next;
}

static void take_apostrophe(tokenizer_t *t) {
    flush_dense(t);
    if (t->word_size == 0 || t->apostrophe) {
        flush_word(t);
    } else {
        t->apostrophe = true;
    }
}

static void take_folded(tokenizer_t *t, int32_t codepoint) {
    uint8_t bytes[4];
    switch (memdb__unicode_class(codepoint)) {
    case MEMDB__CHARACTER_WORD:
        flush_dense(t);
        t->ascii = t->ascii && codepoint < 128;
        t->from = t->word_size ? t->from : t->at;
        append_to_word(t, bytes, memdb__unicode_encode(codepoint, bytes));
        t->to = t->next;
        break;
    case MEMDB__CHARACTER_DENSE:
        take_dense(t, codepoint);
        break;
    case MEMDB__CHARACTER_APOSTROPHE:
        take_apostrophe(t);
        break;
    case MEMDB__CHARACTER_NOTHING: // a mark on what is before it
        t->to = t->word_size && !t->apostrophe ? t->next : t->to;
        if (t->pending) {
            t->pending_to = t->next;
            int32_t joined = memdb__unicode_compose(t->pending, codepoint);
            t->pending = joined ? joined : t->pending;
        }
        break;
    case MEMDB__CHARACTER_OTHER:
        flush_word(t);
        flush_dense(t);
        break;
    }
}

static size_t take_unicode(tokenizer_t *t, const uint8_t *text, size_t size) {
    int32_t codepoint, folded[MEMDB__UNICODE_FOLD_LIMIT];
    size_t length = memdb__unicode_decode(text + t->at, size - t->at, &codepoint);
    t->next = t->at + length;
    if (codepoint < 0) {
        flush_word(t);
        flush_dense(t);
        return length;
    }
    size_t count = memdb__unicode_fold(codepoint, folded);
    for (size_t i = 0; i < count; i++) {
        take_folded(t, folded[i]);
    }
    return length;
}

// The high bits of the bytes of `x` from `low` to `high`; those with a high bit of their own count
// for nothing.
static uint64_t in_range(uint64_t x, uint8_t low, uint8_t high) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t seven = x & 127 * ones;
    return (seven + (uint64_t)(128 - low) * ones) & ~(seven + (uint64_t)(127 - high) * ones) & ~x &
           128 * ones;
}

// The letters and digits of ASCII that follow, as far as the word has room, 8 at a time where there
// are so many bytes. Returns how many were taken.
static size_t take_ascii(tokenizer_t *t, const uint8_t *text, size_t size) {
    size_t room = sizeof t->word - t->word_size, taken = 0;
    uint8_t *word = t->word + t->word_size, folded;
    room = room < size ? room : size;
    while (taken + 8 <= room) {
        uint64_t bytes = memdb__get_u64(text + taken), lower = bytes | 0x2020202020202020u;
        uint64_t letters = in_range(lower, 'a', 'z');
        uint64_t others = ~(letters | in_range(bytes, '0', '9')) & 0x8080808080808080u;
        memdb__put_u64(word + taken, bytes | letters >> 2);
        if (others) {
            taken += (size_t)__builtin_ctzll(others) / 8;
            t->word_size += taken;
            return taken;
        }
        taken += 8;
    }
    while (taken < room && (folded = ascii_fold[text[taken]]) > 1) {
        word[taken++] = folded;
    }
    t->word_size += taken;
    return taken;
}

bool memdb__tokenize_each(memdb_tokenizer_kind_t kind, const uint8_t *text, size_t size,
                          memdb__token_visit_fn visit, void *context) {
    tokenizer_t t = {.kind = kind, .visit = visit, .context = context, .ascii = true};
    if (kind == MEMDB_TOKENIZER_ENGLISH) {
        t.stemmer = memdb__stemmer_acquire();
        if (!t.stemmer) {
            return false;
        }
    }
    for (size_t i = 0; i < size && !t.stopped && !t.failed;) {
        if (text[i] >= 128) {
            t.at = i;
            i += take_unicode(&t, text, size);
            continue;
        }
        uint8_t folded = ascii_fold[text[i]];
        if (folded > 1) {
            if (t.pending || t.before) {
                flush_dense(&t);
            }
            t.from = t.word_size ? t.from : i;
            size_t taken = t.apostrophe || t.full ? 0 : take_ascii(&t, text + i, size - i);
            if (taken == 0) {
                append_to_word(&t, &folded, 1);
            }
            i += taken ? taken : 1;
            t.to = i;
            continue;
        }
        i++;
        if (folded == 1) {
            take_apostrophe(&t);
        } else {
            flush_word(&t);
            flush_dense(&t);
        }
    }
    flush_word(&t);
    flush_dense(&t);
    return !t.failed;
}

typedef struct plain_visit {
    memdb__token_fn token;
    void *context;
} plain_visit_t;

static bool visit_plain(void *context, const memdb__token_t *token) {
    const plain_visit_t *plain = context;
    return plain->token(plain->context, (const char *)token->term, token->size, token->position);
}

bool memdb__tokenize(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                     memdb__token_fn token, void *context) {
    plain_visit_t plain = {token, context};
    return memdb__tokenize_each(kind, (const uint8_t *)text, size, visit_plain, &plain);
}
