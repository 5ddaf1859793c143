// Strings of scanned JSON: comparing and searching them with their escapes resolved. See
// json_scan.h.
//
// Most strings hold no escape and are compared as they lie. One with escapes is decoded piece by
// piece: nothing is allocated whatever its length.
#include "base/bytes.h"
#include "base/json_scan.h"

#define PIECE_BYTES 4 // UTF-8 of one code point
#define WINDOW_BYTES 4096

static int hex_of(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/// Four hexadecimal digits; -1: there are none.
static int32_t read_unit(const char *at, const char *end) {
    int32_t unit = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_of(at[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t put_point(uint32_t point, char *out) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, point >>= 6) {
        out[i] = (char)(0x80 | (point & 0x3F));
    }
    out[0] = (char)((0xF00u >> size & 0xF0) | point);
    return size;
}

/// What the escape behind the backslash at `*at` stands for; moves `*at` behind it. 0: none.
static size_t read_escape(const char **at, const char *end, char *out) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *letter = *at + 1;
    if (letter == end) {
        return 0;
    }
    if (*letter != 'u') {
        const char *found = *letter ? strchr(letters, *letter) : NULL;
        *out = found ? meanings[found - letters] : '\0';
        *at = letter + 1;
        return found ? 1 : 0;
    }
    int32_t unit = read_unit(letter + 1, end);
    *at = letter + 5;
    if (unit >= 0xD800 && unit < 0xDC00) { // the first of a surrogate pair
        int32_t second =
            end - *at > 2 && (*at)[0] == '\\' && (*at)[1] == 'u' ? read_unit(*at + 2, end) : -1;
        if (second < 0xDC00 || second > 0xDFFF) {
            return 0;
        }
        *at += 6;
        unit = 0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00);
    }
    bool alone = unit >= 0xDC00 && unit <= 0xDFFF; // the second of a pair without its first
    return unit < 0 || alone ? 0 : put_point((uint32_t)unit, out);
}

/// The next piece of a string's text: plain bytes in place, or one escape, decoded into `buffer`.
/// An empty piece ends it. (What is no escape ends the string: hostile bytes are no text.)
static memdb_bytes_t next_piece(const char **at, const char *end, char buffer[PIECE_BYTES]) {
    const char *begin = *at;
    if (begin < end && *begin == '\\') {
        size_t size = read_escape(at, end, buffer);
        *at = size ? *at : end;
        return (memdb_bytes_t){buffer, size};
    }
    const char *slash = begin < end ? memchr(begin, '\\', (size_t)(end - begin)) : NULL;
    *at = slash ? slash : end;
    return (memdb_bytes_t){begin, (size_t)(*at - begin)};
}

int memdb__json_compare(const memdb__json_t *string, memdb_bytes_t text) {
    const char *at = string->text.data, *end = at + string->text.size;
    char buffer[PIECE_BYTES];
    if (!string->escaped) {
        return memdb__compare(at, string->text.size, text.data, text.size);
    }
    for (;;) {
        memdb_bytes_t piece = next_piece(&at, end, buffer);
        if (!piece.size) {
            return text.size ? -1 : 0;
        }
        size_t common = piece.size < text.size ? piece.size : text.size;
        int order = common ? memcmp(piece.data, text.data, common) : 0;
        if (order || piece.size > text.size) {
            return order ? order : 1;
        }
        text.data += common;
        text.size -= common;
    }
}

bool memdb__json_starts(const memdb__json_t *string, memdb_bytes_t prefix) {
    const char *at = string->text.data, *end = at + string->text.size;
    char buffer[PIECE_BYTES];
    while (prefix.size) {
        memdb_bytes_t piece = string->text;
        if (string->escaped) {
            piece = next_piece(&at, end, buffer);
        }
        size_t common = piece.size < prefix.size ? piece.size : prefix.size;
        if (!common || memcmp(piece.data, prefix.data, common) != 0) {
            return false;
        }
        if (!string->escaped) {
            return common == prefix.size;
        }
        prefix.data += common;
        prefix.size -= common;
    }
    return true;
}

/// The string is decoded into a window, of which the last bytes, fewer than the part has, are kept
/// for the next one.
static bool holds_decoded(const memdb__json_t *string, memdb_bytes_t part) {
    const char *at = string->text.data, *end = at + string->text.size;
    char window[WINDOW_BYTES], buffer[PIECE_BYTES];
    size_t filled = 0;
    for (;;) {
        memdb_bytes_t piece = next_piece(&at, end, buffer);
        if (!piece.size) {
            return memmem(window, filled, part.data, part.size) != NULL;
        }
        while (piece.size) {
            size_t room = WINDOW_BYTES - filled, taken = piece.size < room ? piece.size : room;
            memcpy(window + filled, piece.data, taken);
            filled += taken;
            piece.data += taken;
            piece.size -= taken;
            if (filled == WINDOW_BYTES) {
                if (memmem(window, filled, part.data, part.size)) {
                    return true;
                }
                memmove(window, window + filled - (part.size - 1), part.size - 1);
                filled = part.size - 1;
            }
        }
    }
}

bool memdb__json_holds(const memdb__json_t *string, memdb_bytes_t part) {
    if (!part.size) {
        return true;
    }
    return string->escaped ? holds_decoded(string, part)
                           : string->text.size >= part.size &&
                                 memmem(string->text.data, string->text.size, part.data, part.size);
}

size_t memdb__json_copy(const memdb__json_t *string, char *out, size_t size) {
    const char *at = string->text.data, *end = at + string->text.size;
    char buffer[PIECE_BYTES];
    size_t total = 0;
    for (;;) {
        memdb_bytes_t piece = string->escaped ? next_piece(&at, end, buffer) : string->text;
        if (total < size) {
            size_t room = size - total;
            memcpy(out + total, piece.data, piece.size < room ? piece.size : room);
        }
        total += piece.size;
        if (!piece.size || !string->escaped) {
            return total;
        }
    }
}
