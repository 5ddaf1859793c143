// Base64, four characters for three bytes.
#include "cli/cli_base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool cli_base64_decode(const char *text, size_t size, cli_buffer_t *out) {
    size_t before = out->size;
    if (size % 4)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < size && text[size - 1 - padding] == '=')
        padding++;
    cli_buffer_reserve(out, size / 4 * 3);
    for (size_t at = 0; at < size; at += 4) {
        size_t digits = at + 4 == size ? 4 - padding : 4;
        uint32_t word = 0;
        for (size_t i = 0; i < 4; i++) {
            int value = i < digits ? digit(text[at + i]) : 0;
            if (value < 0) {
                out->size = before;
                return false;
            }
            word = word << 6 | (uint32_t)value;
        }
        char bytes[3] = {(char)(word >> 16), (char)(word >> 8), (char)word};
        if ((digits < 4 && bytes[2]) || (digits < 3 && bytes[1])) {
            out->size = before; // the same bytes have one spelling only
            return false;
        }
        cli_buffer_append(out, bytes, digits - 1);
    }
    return true;
}

void cli_base64_encode(const void *data, size_t size, cli_buffer_t *out) {
    const uint8_t *bytes = data;
    cli_buffer_reserve(out, size / 3 * 4 + 4);
    for (size_t at = 0; at < size; at += 3) {
        size_t have = size - at < 3 ? size - at : 3;
        uint32_t word = (uint32_t)bytes[at] << 16;
        if (have > 1)
            word |= (uint32_t)bytes[at + 1] << 8;
        if (have > 2)
            word |= bytes[at + 2];
        char text[4] = {alphabet[word >> 18], alphabet[word >> 12 & 63],
                        have > 1 ? alphabet[word >> 6 & 63] : '=',
                        have > 2 ? alphabet[word & 63] : '='};
        cli_buffer_append(out, text, 4);
    }
}
