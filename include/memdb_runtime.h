/// The memory of a model: tables of rows that a model's runtime reads while it computes.
///
/// A table is an array of `rows` rows of `dimension` numbers each, stored in the database beside
/// its memories and changed in the same transactions. It may say how n-grams of tokens are hashed
/// to its rows (conditional n-gram memory: Engram), or hold the values of product keys (PKM). A row
/// that was never written reads as zeros.
///
/// The order of use: memdb_table_create once, in a transaction; then, per process,
/// memdb_table_open, memdb_table_hash, and memdb_table_gather through a snapshot: every gather
/// through one snapshot sees the same rows, whatever is written meanwhile.
///
/// Nothing here is a macro that must be called, so that a foreign-function interface can call all
/// of it; the defaults of memdb.h hold.
#ifndef MEMDB_INCLUDE_MEMDB_RUNTIME_H
#define MEMDB_INCLUDE_MEMDB_RUNTIME_H

#include "memdb_database.h"

#ifdef __cplusplus
extern "C" {
#endif

/// How the numbers of a row are stored, each with its bytes in a row of d numbers and a scale for
/// each group of g of them (the last group may be smaller):
///   F32, F16, BF16  4 d, 2 d, 2 d; no scales. IEEE binary32, binary16; the upper half of binary32.
///   E4M3            d, and ceil(d / g) scales of one byte, E8M0: 2^(byte - 127); group 0: no
///                   scales. OCP 8-bit floating point (4 bits of exponent, no infinities).
///   I8              d, and 4 ceil(d / g) of scales, binary32; -127 to 127 times the scale.
///   Q4              ceil(d / 2), and 4 ceil(d / g): low nibble first; the nibble less 8, times the
///                   scale.
/// The numbers come first, then the scales, little-endian.
typedef enum memdb_dtype {
    MEMDB_DTYPE_F32 = 0,
    MEMDB_DTYPE_F16 = 1,
    MEMDB_DTYPE_BF16 = 2,
    MEMDB_DTYPE_E4M3 = 3,
    MEMDB_DTYPE_I8 = 4,
    MEMDB_DTYPE_Q4 = 5
} memdb_dtype_t;

#define MEMDB_MAX_TABLE_DIMENSION 65536
#define MEMDB_MAX_HASH_LAYERS 256
#define MEMDB_MAX_HASH_ORDER 16 ///< tokens of an n-gram
#define MEMDB_MAX_HASH_HEADS 64
#define MEMDB_MAX_TOKENS (1u << 24) ///< of a token map

/// How n-grams become rows (the hash of Engram, DeepSeek-AI 2026). With x the mapped tokens, and
/// everything modulo 2^64:
///
///     mix(n, t) = XOR over j < n of x[t - j] * multipliers[layer][j]
///     row(n, k, t) = mix(n, t) mod primes[layer][n][k] + offsets[layer][n][k]
///
/// for each order n from min_order to max_order and each head k. A token before the first one is
/// `pad`, which is not mapped.
typedef struct memdb_hashing {
    uint32_t layers; ///< 0: the table hashes nothing, and nothing below counts
    uint32_t min_order, max_order, heads;
    const uint64_t *multipliers; ///< [layers][max_order], odd
    const uint64_t *primes;      ///< [layers][max_order - min_order + 1][heads], above 0
    const uint64_t *offsets;     ///< the same shape; offset + prime is at most `rows`
    const int32_t *token_map;    ///< [token_count]: what a token counts as; NULL: itself
    uint32_t token_count;        ///< 0 without a map
    int32_t pad;
} memdb_hashing_t;

typedef struct memdb_table_info {
    size_t size;
    memdb_bytes_t name;
    uint64_t rows;      ///< at most 2^40
    uint32_t dimension; ///< numbers in a row
    memdb_dtype_t dtype;
    uint32_t
        scale_group; ///< E4M3, I8, Q4: numbers that share a scale; 0: all of a row (E4M3: none)
    bool adagrad;    ///< rows keep the sum that MEMDB_ROWS_ADAGRAD needs: 4 bytes more each
    memdb_hashing_t hashing;
    uint32_t row_bytes;   ///< given by the library: the encoded row, without that sum
    uint8_t identity[16]; ///< given by the library: XXH3-128 of shape, dtype and hashing
} memdb_table_info_t;

typedef struct memdb_table memdb_table_t;

/// Create a table. What info says is checked and copied; row_bytes and identity are not read.
///
/// Errors      MEMDB_EXISTS  there is a table of that name.
///             MEMDB_LIMIT   larger than the limits above.
MEMDB_API memdb_status_t memdb_table_create(memdb_txn_t *txn, const memdb_table_info_t *info);

/// Remove a table and its rows. MEMDB_NOT_FOUND: there is none of that name.
MEMDB_API memdb_status_t memdb_table_drop(memdb_txn_t *txn, memdb_bytes_t name);

/// Visit the tables by name until `visit` returns false. What info points to is lent for the call.
MEMDB_API memdb_status_t memdb_table_list(memdb_snapshot_t *snapshot,
                                          bool (*visit)(void *context,
                                                        const memdb_table_info_t *info),
                                          void *context);

/// Open a table: its description, for use with any snapshot of the same handle that sees it.
///
/// expected    optional: what the runtime was built for. Where shape, dtype or any constant of the
///             hashing differs the table is refused, since every row would be another one's.
/// Ownership   release with memdb_table_close, before the handle is closed. Any number of threads
///             may use it.
/// Errors      MEMDB_NOT_FOUND  there is none of that name.
///             MEMDB_INVALID    it is not what was expected.
MEMDB_API memdb_status_t memdb_table_open(memdb_snapshot_t *snapshot, memdb_bytes_t name,
                                          const memdb_table_info_t *expected,
                                          memdb_table_t **table_out);
/// The description, lent until the table is closed.
MEMDB_API const memdb_table_info_t *memdb_table_get_info(const memdb_table_t *table);
MEMDB_API void memdb_table_close(memdb_table_t *table);

/// No row: what a masked position hashes to, and what gathers as zeros.
#define MEMDB_NO_ROW UINT64_MAX

/// The rows of all n-grams that end in each token of a batch. Pure: nothing of the database is
/// read.
///
/// tokens      [sequences][length], as the model has them; those beyond the token map, and negative
///             ones, are MEMDB_INVALID.
/// mask        optional, [sequences][length]: 0 where there is no token. It counts as padding for
///             the n-grams of others, and has MEMDB_NO_ROW itself.
/// history     optional, [sequences][max_order - 1]: the mapped tokens before the first one, the
///             latest last; set to those before the next one. Fill it with `pad` at the beginning;
///             copy it to go back to this place later.
/// rows_out    [sequences][length][layers][orders][heads].
/// Errors      MEMDB_INVALID  the table hashes nothing, or a token is out of range; history and
///             rows_out may have been written in part.
MEMDB_API memdb_status_t memdb_table_hash(const memdb_table_t *table, const int32_t *tokens,
                                          const uint8_t *mask, size_t sequences, size_t length,
                                          int32_t *history, uint64_t *rows_out);

/// Read rows.
///
/// rows        [count]; MEMDB_NO_ROW gives zeros.
/// decode      true: as `dimension` floats; false: as `row_bytes` bytes, as they are stored.
/// out         [count] rows, `stride` bytes apart (at least the bytes of one).
/// Errors      MEMDB_INVALID    a row is beyond the table; nothing was written.
///             MEMDB_NOT_FOUND  the snapshot does not see the table.
MEMDB_API memdb_status_t memdb_table_gather(memdb_snapshot_t *snapshot, const memdb_table_t *table,
                                            const uint64_t *rows, size_t count, bool decode,
                                            void *out, size_t stride);

/// Weighted sums of rows: out[i] = sum over j of weights[i][j] * row rows[i][j], added in the order
/// of j in binary32.
///
/// rows, weights  [bags][each]
/// out            [bags][dimension]
MEMDB_API memdb_status_t memdb_table_gather_bag(memdb_snapshot_t *snapshot,
                                                const memdb_table_t *table, const uint64_t *rows,
                                                const float *weights, size_t bags, size_t each,
                                                float *out);

typedef enum memdb_rows_mode {
    MEMDB_ROWS_RAW = 0, ///< values are encoded rows, [count][row_bytes]
    MEMDB_ROWS_SET = 1, ///< values are floats, [count][dimension]; so for those below
    MEMDB_ROWS_ADD = 2, ///< row += rate * value
    /// Row-wise Adagrad (Duchi and others 2011, one sum a row): sum += mean of value^2;
    /// row -= rate * value / (sqrt(sum) + 1e-10). The table must have been created for it.
    MEMDB_ROWS_ADAGRAD = 3
} memdb_rows_mode_t;

/// Change rows, as part of the transaction: all of it, with everything else in it, or nothing. Who
/// writes a row that another commit changed since the transaction began gets MEMDB_CONFLICT at
/// commit. A row that is named twice is changed twice, in order. RAW and SET leave the sum of
/// Adagrad as it is.
///
/// Floats are encoded to the nearest value of the dtype, with the smallest scale of a group that
/// holds its largest number.
/// Errors      MEMDB_INVALID  a row is beyond the table, a number is not finite, or the mode is not
///                            the table's.
///             MEMDB_LIMIT    the transaction would be larger than MEMDB_MAX_TXN_BYTES.
MEMDB_API memdb_status_t memdb_table_update(memdb_txn_t *txn, const memdb_table_t *table,
                                            const uint64_t *rows, size_t count,
                                            memdb_rows_mode_t mode, const void *values, float rate);

#ifdef __cplusplus
}
#endif
#endif
