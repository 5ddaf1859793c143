// n-grams of tokens to rows. See table.h, and memdb_hashing_t for the definition.
//
// The orders of a layer share one running mix, so a token costs max_order multiplications a layer,
// and each head a remainder. A remainder by a constant is a multiplication with its reciprocal and
// at most two corrections (Granlund and Montgomery 1994): with m = floor((2^64 - 1) / p), the high
// half of x * m is at most x / p, and less than 2 below it.
#include "base/memory.h"
#include "base/status.h"
#include "index/table/table.h"

#include <string.h>

static memdb_status_t check_shape(const memdb_hashing_t *hashing, memdb_error_t *error) {
    if (hashing->min_order == 0 || hashing->min_order > hashing->max_order || !hashing->heads ||
        !hashing->multipliers || !hashing->primes || !hashing->offsets ||
        (hashing->token_count && !hashing->token_map) || hashing->pad < 0) {
        return memdb__fail(
            error, MEMDB_INVALID,
            "hashing: orders %u to %u, %u heads and pad %d; all constants are needed",
            hashing->min_order, hashing->max_order, hashing->heads, hashing->pad);
    }
    if (hashing->layers > MEMDB_MAX_HASH_LAYERS || hashing->max_order > MEMDB_MAX_HASH_ORDER ||
        hashing->heads > MEMDB_MAX_HASH_HEADS || hashing->token_count > MEMDB_MAX_TOKENS) {
        return memdb__fail(error, MEMDB_LIMIT,
                           "hashing: %u layers, orders up to %u, %u heads, %u tokens: at most %d, "
                           "%d, %d and %u",
                           hashing->layers, hashing->max_order, hashing->heads,
                           hashing->token_count, MEMDB_MAX_HASH_LAYERS, MEMDB_MAX_HASH_ORDER,
                           MEMDB_MAX_HASH_HEADS, MEMDB_MAX_TOKENS);
    }
    return MEMDB_OK;
}

memdb_status_t memdb__hashing_check(const memdb_hashing_t *hashing, uint64_t rows,
                                    memdb_error_t *error) {
    if (!hashing->layers) {
        return MEMDB_OK;
    }
    memdb_status_t status = check_shape(hashing, error);
    if (status) {
        return status;
    }
    for (size_t i = 0; i < memdb__multiplier_count(hashing); i++) {
        if (hashing->multipliers[i] % 2 == 0) {
            return memdb__fail(error, MEMDB_INVALID, "hashing: multiplier %zu is even", i);
        }
    }
    for (size_t i = 0; i < memdb__prime_count(hashing); i++) {
        if (hashing->primes[i] == 0 || hashing->primes[i] > rows ||
            hashing->offsets[i] > rows - hashing->primes[i]) {
            return memdb__fail(error, MEMDB_INVALID,
                               "hashing: head %zu: prime %llu at offset %llu, in a table of %llu "
                               "rows",
                               i, (unsigned long long)hashing->primes[i],
                               (unsigned long long)hashing->offsets[i], (unsigned long long)rows);
        }
    }
    for (uint32_t i = 0; i < hashing->token_count; i++) {
        if (hashing->token_map[i] < 0) {
            return memdb__fail(error, MEMDB_INVALID, "hashing: token %u is mapped to %d", i,
                               hashing->token_map[i]);
        }
    }
    return MEMDB_OK;
}

bool memdb__hasher_init(memdb__hasher_t *hasher, const memdb_hashing_t *hashing) {
    *hasher = (memdb__hasher_t){.hashing = hashing};
    if (!hashing->layers) {
        return true;
    }
    size_t count = memdb__prime_count(hashing);
    hasher->reciprocals = memdb__allocate(count * sizeof *hasher->reciprocals);
    for (size_t i = 0; hasher->reciprocals && i < count; i++) {
        hasher->reciprocals[i] = UINT64_MAX / hashing->primes[i];
    }
    return hasher->reciprocals != NULL;
}

void memdb__hasher_deinit(memdb__hasher_t *hasher) {
    memdb__free(hasher->reciprocals);
    hasher->reciprocals = NULL;
}

static uint64_t remainder_of(uint64_t x, uint64_t prime, uint64_t reciprocal) {
    uint64_t quotient = (uint64_t)((unsigned __int128)x * reciprocal >> 64);
    uint64_t rest = x - quotient * prime;
    rest -= rest >= prime ? prime : 0;
    return rest - (rest >= prime ? prime : 0);
}

/// All rows of the n-grams that end in window[0]; window[j] is the token j before.
static void hash_token(const memdb__hasher_t *hasher, const uint64_t *window, uint64_t *rows_out) {
    const memdb_hashing_t *hashing = hasher->hashing;
    const uint64_t *multiplier = hashing->multipliers, *prime = hashing->primes,
                   *offset = hashing->offsets, *reciprocal = hasher->reciprocals;
    for (uint32_t layer = 0; layer < hashing->layers; layer++, multiplier += hashing->max_order) {
        uint64_t mix = 0;
        for (uint32_t j = 0; j < hashing->max_order; j++) {
            mix ^= window[j] * multiplier[j];
            for (uint32_t k = 0; j + 1 >= hashing->min_order && k < hashing->heads; k++) {
                *rows_out++ = remainder_of(mix, *prime++, *reciprocal++) + *offset++;
            }
        }
    }
}

/// What a token counts as. False: it is out of range.
static bool map_token(const memdb_hashing_t *hashing, int32_t token, uint64_t *mapped_out) {
    if (token < 0 || (hashing->token_map && (uint32_t)token >= hashing->token_count)) {
        return false;
    }
    *mapped_out = (uint64_t)(hashing->token_map ? hashing->token_map[token] : token);
    return true;
}

memdb_status_t memdb__hasher_run(const memdb__hasher_t *hasher, const int32_t *tokens,
                                 const uint8_t *mask, size_t sequences, size_t length,
                                 int32_t *history, uint64_t *rows_out, memdb_error_t *error) {
    const memdb_hashing_t *hashing = hasher->hashing;
    if (!hashing->layers) {
        return memdb__fail(error, MEMDB_INVALID, "hash: the table hashes nothing");
    }
    size_t before = hashing->max_order - 1, each = memdb__prime_count(hashing);
    for (size_t s = 0; s < sequences; s++) {
        uint64_t window[MEMDB_MAX_HASH_ORDER];
        for (size_t j = 0; j < before; j++) { // window[0] is moved on before the first token
            int32_t token = history ? history[s * before + before - 1 - j] : hashing->pad;
            window[j] = (uint64_t)(uint32_t)token;
        }
        for (size_t t = 0; t < length; t++, rows_out += each) {
            size_t at = s * length + t;
            bool present = !mask || mask[at];
            memmove(window + 1, window, before * sizeof *window);
            window[0] = (uint64_t)hashing->pad;
            if (present && !map_token(hashing, tokens[at], &window[0])) {
                return memdb__fail(error, MEMDB_INVALID,
                                   "hash: token %d of sequence %zu, number %zu, "
                                   "is out of range",
                                   tokens[at], s, t);
            }
            if (present) {
                hash_token(hasher, window, rows_out);
            } else {
                memset(rows_out, 0xFF, each * sizeof *rows_out); // MEMDB_NO_ROW
            }
        }
        for (size_t j = 0; history && j < before; j++) {
            history[s * before + before - 1 - j] = (int32_t)window[j];
        }
    }
    return MEMDB_OK;
}
