// Goal: n-grams become the rows that the definition says, in one piece or in many, with masks and
// histories that are copied; constants that cannot be are refused.
// Method: random constants against the definition, written out naively with a division for each
// head; one case by hand.
#include "base/memory.h"
#include "index/table/table.h"
#include "tests/unit/index/test_atlas_fixture.h"

enum { LAYERS = 3, ORDERS = 4, HEADS = 5, SEQUENCES = 3, LENGTH = 40, TOKENS = 50 };

static uint64_t multipliers[LAYERS * MEMDB_MAX_HASH_ORDER], primes[LAYERS * ORDERS * HEADS],
    offsets[LAYERS * ORDERS * HEADS];
static int32_t token_map[TOKENS];

static memdb_hashing_t draw_hashing(random_t *random) {
    memdb_hashing_t hashing = {.layers = 1 + random_next(random) % LAYERS,
                               .min_order = 1 + random_next(random) % 4,
                               .heads = 1 + random_next(random) % HEADS,
                               .multipliers = multipliers,
                               .primes = primes,
                               .offsets = offsets,
                               .pad = (int32_t)(random_next(random) % 9)};
    hashing.max_order = hashing.min_order + random_next(random) % ORDERS;
    bool large = random_next(random) % 2;
    for (size_t i = 0; i < sizeof multipliers / sizeof *multipliers; i++) {
        multipliers[i] = ((uint64_t)random_next(random) << 32 | random_next(random)) | 1;
    }
    for (size_t i = 0; i < sizeof primes / sizeof *primes; i++) {
        primes[i] = 1 + (large ? (uint64_t)random_next(random) << 20 : random_next(random) % 100);
        offsets[i] = random_next(random);
    }
    for (int i = 0; i < TOKENS; i++) {
        token_map[i] = (int32_t)(random_next(random) % 1000000);
    }
    if (random_next(random) % 2) {
        hashing.token_map = token_map;
        hashing.token_count = TOKENS;
    }
    return hashing;
}

/// The token at `t`, counted back into the history (the latest last) and padding.
static uint64_t token_at(const memdb_hashing_t *h, const int32_t *tokens, const uint8_t *mask,
                         const int32_t *history, int t) {
    int before = (int)h->max_order - 1;
    if (t < 0) {
        return (uint64_t)(history ? history[before + t] : h->pad);
    }
    return (uint64_t)(mask && !mask[t] ? h->pad
                      : h->token_map   ? h->token_map[tokens[t]]
                                       : tokens[t]);
}

static uint64_t naive_row(const memdb_hashing_t *h, uint32_t layer, uint32_t order, uint32_t head,
                          const int32_t *tokens, const uint8_t *mask, const int32_t *history,
                          int t) {
    uint32_t orders = h->max_order - h->min_order + 1;
    size_t at = ((size_t)layer * orders + order - h->min_order) * h->heads + head;
    uint64_t mix = 0;
    for (uint32_t j = 0; j < order; j++) {
        mix ^= token_at(h, tokens, mask, history, t - (int)j) *
               h->multipliers[layer * h->max_order + j];
    }
    return mask && !mask[t] ? MEMDB_NO_ROW : mix % h->primes[at] + h->offsets[at];
}

static void check_batch(random_t *random, const memdb_hashing_t *h) {
    static int32_t tokens[SEQUENCES * LENGTH], history[SEQUENCES * MEMDB_MAX_HASH_ORDER],
        first[SEQUENCES * MEMDB_MAX_HASH_ORDER];
    static uint8_t mask[SEQUENCES * LENGTH];
    static uint64_t rows[SEQUENCES * LENGTH * LAYERS * ORDERS * HEADS];
    size_t length = random_next(random) % LENGTH, before = h->max_order - 1, at = 0;
    bool masked = random_next(random) % 2, remembers = random_next(random) % 2;
    memdb_error_t error = {0};
    memdb__hasher_t hasher;
    assert_true(memdb__hasher_init(&hasher, h));
    for (size_t i = 0; i < SEQUENCES * LENGTH; i++) {
        tokens[i] = (int32_t)(random_next(random) % TOKENS);
        mask[i] = random_next(random) % 4 > 0;
    }
    for (size_t i = 0; i < SEQUENCES * before; i++) {
        first[i] = history[i] = (int32_t)(random_next(random) % 100);
    }
    assert_ok(memdb__hasher_run(&hasher, tokens, masked ? mask : NULL, SEQUENCES, length,
                                remembers ? history : NULL, rows, &error),
              &error);
    for (size_t s = 0; s < SEQUENCES; s++) {
        const int32_t *of = tokens + s * length, *past = remembers ? first + s * before : NULL;
        const uint8_t *present = masked ? mask + s * length : NULL;
        for (size_t t = 0; t < length; t++) {
            for (uint32_t layer = 0; layer < h->layers; layer++) {
                for (uint32_t order = h->min_order; order <= h->max_order; order++) {
                    for (uint32_t head = 0; head < h->heads; head++, at++) {
                        assert_true(rows[at] ==
                                    naive_row(h, layer, order, head, of, present, past, (int)t));
                    }
                }
            }
        }
        for (size_t j = 0; remembers && j < before; j++) {
            int t = (int)length - (int)before + (int)j;
            assert_true((uint64_t)history[s * before + j] == token_at(h, of, present, past, t));
        }
    }
    memdb__hasher_deinit(&hasher);
}

static void test_table_hash_is_its_definition(void **unused) {
    (void)unused;
    random_t random = random_seeded();
    for (int round = 0; round < 3000; round++) {
        memdb_hashing_t hashing = draw_hashing(&random);
        check_batch(&random, &hashing);
    }
}

static void test_table_hash_of_a_case_by_hand(void **unused) {
    (void)unused;
    const uint64_t m[] = {3, 5}, p[] = {7, 11}, o[] = {0, 7};
    memdb_hashing_t h = {.layers = 1,
                         .min_order = 1,
                         .max_order = 2,
                         .heads = 1,
                         .multipliers = m,
                         .primes = p,
                         .offsets = o,
                         .pad = 2};
    memdb__hasher_t hasher;
    memdb_error_t error = {0};
    const int32_t tokens[] = {4, 9};
    uint64_t rows[4];
    assert_ok(memdb__hashing_check(&h, 18, &error), &error);
    assert_true(memdb__hasher_init(&hasher, &h));
    assert_ok(memdb__hasher_run(&hasher, tokens, NULL, 1, 2, NULL, rows, &error), &error);
    assert_int_equal(rows[0], 12 % 7);             // 4 * 3
    assert_int_equal(rows[1], (12 ^ 10) % 11 + 7); // and the pad before it, 2 * 5
    assert_int_equal(rows[2], 27 % 7);
    assert_int_equal(rows[3], (27 ^ 20) % 11 + 7);
    int32_t outside = -1;
    assert_int_equal(memdb__hasher_run(&hasher, &outside, NULL, 1, 1, NULL, rows, &error),
                     MEMDB_INVALID);
    assert_string_equal(error.message, "hash: token -1 of sequence 0, number 0, is out of range");
    memdb__hasher_deinit(&hasher);
}

static void test_table_hash_refuses_constants_that_cannot_be(void **unused) {
    (void)unused;
    const uint64_t m[] = {3, 5}, even[] = {3, 4}, p[] = {7, 11}, none[] = {7, 0}, o[] = {0, 7};
    const int32_t map[] = {1, -1};
    const memdb_hashing_t good = {.layers = 1,
                                  .min_order = 1,
                                  .max_order = 2,
                                  .heads = 1,
                                  .multipliers = m,
                                  .primes = p,
                                  .offsets = o};
    memdb_hashing_t bad[8] = {good, good, good, good, good, good, good, good};
    bad[0].min_order = 0;
    bad[1].min_order = 3;
    bad[2].multipliers = even;
    bad[3].primes = none;
    bad[4].pad = -1;
    bad[5].token_map = map;
    bad[5].token_count = 2;
    bad[6].heads = 0;
    bad[7].token_count = 5;
    memdb_error_t error = {0};
    assert_ok(memdb__hashing_check(&good, 18, &error), &error);
    assert_int_equal(memdb__hashing_check(&good, 17, &error),
                     MEMDB_INVALID); // the last head ends at 18
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(memdb__hashing_check(&bad[i], 18, &error), MEMDB_INVALID);
    }
    memdb_hashing_t large = good;
    large.layers = MEMDB_MAX_HASH_LAYERS + 1;
    assert_int_equal(memdb__hashing_check(&large, 18, &error), MEMDB_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_hash_is_its_definition),
        cmocka_unit_test(test_table_hash_of_a_case_by_hand),
        cmocka_unit_test(test_table_hash_refuses_constants_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
