/// Spaces, what may be declared of them, and filters over their memories. Include memdb.h.
#ifndef MEMDB_INCLUDE_MEMDB_SPACE_H
#define MEMDB_INCLUDE_MEMDB_SPACE_H

#include "memdb_database.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---------------------------------------------------------------------------------- spaces

typedef uint32_t memdb_space_t; ///< never 0, never reused

typedef enum memdb_tokenizer_kind {
    MEMDB_TOKENIZER_ENGLISH =
        0,                     ///< case and accents folded, English stems, CJK unigrams and bigrams
    MEMDB_TOKENIZER_PLAIN = 1, ///< the same without stemming
    MEMDB_TOKENIZER_NONE = 2   ///< texts are stored, and not found by words
} memdb_tokenizer_kind_t;

/// What a space asks of memories that are put into it; 0: nothing. docs/gates.md has the rules.
typedef struct memdb_gates {
    double most_alike; ///< 0 to 1: the part of its words that a new text may not share with another
    uint64_t most_memories, most_text_bytes;
    int64_t expire_after_us; ///< a new memory without an expiry expires so long after its put
    bool no_copies; ///< no text that another memory has, byte for byte; needs an index on text_hash
    bool no_recalled;  ///< no text that this handle lately recalled from a space with this gate
    double most_near;  ///< 0 to 1: the cosine with another's vector that a vector may not reach, if
    double near_words; ///< the texts share this part of their words too; 0: whatever they share
} memdb_gates_t;

/// The gate that refused a put.
typedef enum memdb_gate {
    MEMDB_GATE_MOST_ALIKE = 0,
    MEMDB_GATE_MOST_MEMORIES = 1,
    MEMDB_GATE_MOST_TEXT_BYTES = 2,
    MEMDB_GATE_NO_COPIES = 3,
    MEMDB_GATE_NO_RECALLED = 4,
    MEMDB_GATE_MOST_NEAR = 5
} memdb_gate_t;
#define MEMDB_GATE_COUNT 6
/// The field of memdb_gates_t, or "unknown".
MEMDB_API const char *memdb_gate_name(memdb_gate_t gate);

typedef struct memdb_space_options {
    size_t size;
    uint32_t dimension; ///< of vectors; 0: fixed by the first vector
    memdb_metric_t metric;
    memdb_tokenizer_kind_t tokenizer;
    const memdb_bytes_t *indexes; ///< what its attribute indexes are on, as for memdb_index_create
    size_t index_count;           ///< at most 32
    memdb_gates_t gates;          ///< no_copies brings its index along
} memdb_space_options_t;

typedef struct memdb_space_info {
    memdb_space_t space;
    memdb_bytes_t name; ///< lent as the function says
    uint32_t dimension; ///< 0: no vector yet
    memdb_metric_t metric;
    memdb_tokenizer_kind_t tokenizer;
    uint64_t memories;
    uint64_t text_bytes; ///< bytes of text in live memories
    memdb_gates_t gates;
} memdb_space_info_t;

/// Create a space. Errors: MEMDB_EXISTS.
MEMDB_API memdb_status_t memdb_space_create(memdb_txn_t *txn, memdb_bytes_t name,
                                            const memdb_space_options_t *options,
                                            memdb_space_t *space_out);
/// Replace the gates of a space, for later puts.
///
/// Errors      MEMDB_NOT_FOUND  no such space.
///             MEMDB_INVALID    a value is out of range, or no_copies has no index on text_hash
///                              that is ready (memdb_index_create).
MEMDB_API memdb_status_t memdb_space_set_gates(memdb_txn_t *txn, memdb_space_t space,
                                               const memdb_gates_t *gates);
#define MEMDB_MAX_REFUSALS 64 ///< that a handle keeps of a space, and spaces that it keeps any of
#define MEMDB_REFUSAL_TEXT_BYTES 80 ///< that it keeps of a text, cut between characters

typedef struct memdb_refusal {
    size_t size;
    memdb_gate_t gate;
    memdb_space_t like_space; ///< where the memory is that it was like; 0: a quota refused
    uint64_t like;            ///< that memory
    double likeness;          ///< the part of words shared, or of MOST_NEAR the cosine; 1: the same
    int64_t time;             ///< of the refusal
    memdb_bytes_t text;       ///< how the refused text begins; lent for the call
} memdb_refusal_t;
/// Call `visit` for what gates refused to put into a space through this handle, newest first, until
/// it returns false. The list is in memory, and ends with the handle. Errors: MEMDB_NOMEM.
MEMDB_API memdb_status_t memdb_refusal_list(memdb_t *db, memdb_space_t space,
                                            bool (*visit)(void *context,
                                                          const memdb_refusal_t *refusal),
                                            void *context);
/// Find a space, or create it with default options.
MEMDB_API memdb_status_t memdb_space_ensure(memdb_txn_t *txn, memdb_bytes_t name,
                                            memdb_space_t *space_out);
/// Drop a space with all in it. Commits into it meanwhile conflict. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_space_drop(memdb_txn_t *txn, memdb_bytes_t name);
/// Find a space by name. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_space_find(memdb_snapshot_t *snapshot, memdb_bytes_t name,
                                          memdb_space_t *space_out);
/// Attribute indexes: filters that ask for a value, a range of values, a beginning of a text, or
/// whether there is a value, can be answered from them instead of from the memories themselves.
///
/// on          a field (key, kind, session, actor, time, valid_from, valid_to, expires, importance,
///             tokens), or a path into the attributes: "attr.topic", "attr.user.name",
///             "attr.\"a b\""; or on text_hash, for the gate no_copies. A space has at most 32.
///
/// Make an index of a space with all that it holds. It commits in steps of its own, beside which
/// others read and write; where it is interrupted, calling it again goes on.
///
/// durability  of its commits.
/// Blocks      until it is made.
/// Errors      MEMDB_EXISTS     there is one.
///             MEMDB_NOT_FOUND  no such space.
///             MEMDB_CONFLICT   it was dropped meanwhile, or others change the same memories
///                              without end.
MEMDB_API memdb_status_t memdb_index_create(memdb_t *db, memdb_space_t space, memdb_bytes_t on,
                                            memdb_durability_t durability);
/// Drop an index; the space that it takes comes back with checkpoints. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_index_drop(memdb_txn_t *txn, memdb_space_t space, memdb_bytes_t on);

typedef struct memdb_index_info {
    size_t size;
    memdb_bytes_t on;  ///< lent for the call
    bool ready;        ///< false: it is being made, or its making was interrupted
    uint64_t memories; ///< about how many have a value there
} memdb_index_info_t;
/// Call `visit` for each index of a space, oldest first, until it returns false. Errors:
/// MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_index_list(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          bool (*visit)(void *context,
                                                        const memdb_index_info_t *info),
                                          void *context);

/// What is known of a space; the name is lent until the snapshot ends.
MEMDB_API memdb_status_t memdb_space_get_info(memdb_snapshot_t *snapshot, memdb_space_t space,
                                              memdb_space_info_t *info_out);
/// Call `visit` for each space by name, until it returns false. Names are lent by the snapshot.
MEMDB_API memdb_status_t memdb_space_list(memdb_snapshot_t *snapshot,
                                          bool (*visit)(void *context,
                                                        const memdb_space_info_t *info),
                                          void *context);

/// Turns texts into vectors: `count` texts in, count x dimension floats out, row-major. Returns
/// false on failure. Called by the thread that puts or recalls, never under a lock of memdb.
typedef bool (*memdb_embed_fn)(void *context, const memdb_bytes_t *texts, size_t count,
                               float *vectors_out);

/// Use `embed` for texts that are put into, or asked of, the space `name` without a vector, through
/// this handle. NULL `embed` ends that. The space need not exist yet.
MEMDB_API memdb_status_t memdb_embedder_register(memdb_t *db, memdb_bytes_t name,
                                                 uint32_t dimension, memdb_embed_fn embed,
                                                 void *context);

// ---------------------------------------------------------------------------------- filters

/// A condition on the fields and attributes of a memory: parsed once, never changed, usable by any
/// number of threads and databases at once.
typedef struct memdb_filter memdb_filter_t;

typedef enum memdb_value_kind {
    MEMDB_VALUE_NULL = 0,
    MEMDB_VALUE_BOOL = 1,
    MEMDB_VALUE_INTEGER = 2,
    MEMDB_VALUE_NUMBER = 3, ///< finite
    MEMDB_VALUE_TEXT = 4,
    MEMDB_VALUE_TIME = 5, ///< microseconds, in `integer`; MEMDB_TIME_NONE is a null
    MEMDB_VALUE_LIST = 6  ///< of the other kinds, for `in ?`
} memdb_value_kind_t;

typedef struct memdb_value_list {
    const struct memdb_value *items;
    size_t count;
} memdb_value_list_t;

/// The value of a parameter.
typedef struct memdb_value {
    memdb_value_kind_t kind;
    union {
        bool truth;
        int64_t integer;
        double number;
        memdb_bytes_t text;
        memdb_value_list_t list;
    };
} memdb_value_t;

/// Parse a filter, such as `kind = 'fact' and attr.user in ? and time >= '2026-01-01'`.
///
///   comparisons  = != < <= > >=, between A and B, in (A, B, ...), is null, is not null,
///                starts with A, contains A (of a text, or an element of a JSON array); joined by
///                and, or, not and parentheses
///   operands     id, key, text, kind, session, actor, time, valid_from, valid_to, expires,
///                importance, tokens, dimension, blobs, version; attr.name.name (attr."a name") for
///                a value in the JSON attributes
///   values       'text', 12, -0.5, true, false, null, time '2026-01-01T12:00:00Z'; `?` for the
///                next parameter, `?2` for the second
///
/// Where something is null, or an attribute is of another type than what it is compared with, the
/// comparison is unknown, as in SQL; only what is true passes. docs/filters.md has the grammar.
///
/// params      `count` values, each used; copied.
/// error_out   optional; filled on failure: "filter: byte 12: expected a value, not )".
/// Ownership   release with memdb_filter_free, when nothing uses it any more.
/// Errors      MEMDB_INVALID  it is no filter, or compares a field with a value of another type.
///             MEMDB_LIMIT    it is too long, or nested too deeply.
MEMDB_API memdb_status_t memdb_filter_parse(memdb_bytes_t text, const memdb_value_t *params,
                                            size_t count, memdb_filter_t **filter_out,
                                            memdb_error_t *error_out);
MEMDB_API void memdb_filter_free(memdb_filter_t *filter);

#ifdef __cplusplus
}
#endif
#endif
