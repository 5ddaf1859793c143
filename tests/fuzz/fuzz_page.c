// Pages of recall: any bytes as one. What is read is written back the same.
#include "query/query_page.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(memdb_bytes_t digits) {
    memdb__page_t page;
    char written[MEMDB__PAGE_DIGITS + 1];
    if (!memdb__page_decode(digits, &page)) {
        return;
    }
    memdb__page_encode(&page, written);
    if (memcmp(written, digits.data, digits.size) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char written[MEMDB__PAGE_DIGITS + 1];
    memdb__page_t page = {0}, read;
    look((memdb_bytes_t){(const char *)data, size});
    if (size >= sizeof page) { // a page of such numbers, and one with a digit changed
        memcpy(&page, data, sizeof page);
        memdb__page_encode(&page, written);
        memdb_bytes_t digits = {written, MEMDB__PAGE_DIGITS};
        look(digits);
        written[data[size - 1] % MEMDB__PAGE_DIGITS] ^= 1;
        if (memdb__page_decode(digits, &read)) {
            abort();
        }
    }
    return 0;
}
