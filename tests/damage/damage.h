// What the files of the damage test share.
//
// The test: a rich database is built once and kept in memory as an image of its files. Each round
// writes the image with one damage to a directory, opens it, asks everything through the public
// interface, and puts the files back. An answer must be the one that the undamaged database gives,
// or an error of its own kind that names a file.
#ifndef MEMDB_TESTS_DAMAGE_H
#define MEMDB_TESTS_DAMAGE_H

#include "include/memdb.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ------------------------------------------------------------------------------ dice

typedef struct dice {
    uint64_t state;
} dice_t;

uint64_t dice_next(dice_t *dice);
uint64_t dice_below(dice_t *dice, uint64_t below); // 0 for 0
bool dice_percent(dice_t *dice, unsigned percent);
void dice_bytes(dice_t *dice, uint8_t *out, size_t size);

// ------------------------------------------------------------------------------ the image

#define DAMAGE_FILES 64
#define DAMAGE_OLDER 8

/// The content of a file without its largest hole: byte i lies at i, or from `gap_at` on at i + gap.
/// (A log segment that was left has a mark in its last block, and little before it.)
typedef struct damage_bytes {
    uint8_t *data;
    size_t size;
    size_t gap_at, gap; // gap 0: none, gap_at is `size`
    size_t used;        // of the bytes before the gap, those up to the last one that is not zero
} damage_bytes_t;

typedef struct damage_file {
    char name[64]; // relative to the database
    damage_bytes_t now;
    damage_bytes_t older[DAMAGE_OLDER]; // what it held at earlier moments, where that was different
    size_t older_count;
    damage_bytes_t harmed; // what it holds in the directory instead of `now`; or NULL
    size_t from, to;       // of its dense bytes that are other ones, where the gaps are alike
    // As it lies in the directory, so that what did not change is not written again.
    uint64_t inode, size;
    int64_t changed_ns;
} damage_file_t;

typedef struct damage_image {
    damage_file_t files[DAMAGE_FILES];
    size_t count;
} damage_image_t;

/// Read all files of the database at `path`; what a file held in `earlier` becomes an older version.
void damage_image_read(damage_image_t *image, const char *path, const damage_image_t *earlier);
/// Free what all images hold.
void damage_image_release(void);
damage_file_t *damage_image_find(damage_image_t *image, const char *name);
/// Make the directory what the image says: write what changed, remove what is not in it.
void damage_image_restore(damage_image_t *image, const char *path);
/// Where in the file two contents differ first, and behind what byte they do not differ any more.
void damage_difference(const damage_bytes_t *a, const damage_bytes_t *b, size_t *from_out,
                       size_t *to_out);
/// Write other bytes (from malloc, taken over) to a file of the image, or (NULL) remove it.
void damage_image_harm(const char *path, damage_file_t *file, damage_bytes_t bytes);

// ------------------------------------------------------------------------------ questions

#define DAMAGE_KEYS 220
#define DAMAGE_IDS 240
#define DAMAGE_RECALLS 18
#define DAMAGE_QUESTIONS 1400
#define DAMAGE_STATES 48

typedef enum damage_kind {
    ASK_SPACES,
    ASK_TIMES,
    ASK_KEYS,
    ASK_SESSION,
    ASK_MEMORY,
    ASK_VECTOR,
    ASK_LINKS,
    ASK_BLOBS,
    ASK_WORDS,
    ASK_NEAR
} damage_kind_t;

typedef struct damage_question {
    damage_kind_t kind;
    uint32_t space, number;
} damage_question_t;

/// What one question was answered: a hash of all that it gave, or why not.
typedef struct damage_answer {
    memdb_status_t status; // MEMDB_OK, or the error
    uint64_t hash;
} damage_answer_t;

size_t damage_questions(damage_question_t questions_out[DAMAGE_QUESTIONS]);
void damage_question_name(const damage_question_t *question, char *out, size_t size);
/// Ask one question at the snapshot; `error_out` gets the handle's message where it fails.
damage_answer_t damage_ask(memdb_t *db, memdb_snapshot_t *snapshot,
                           const damage_question_t *question, char error_out[512]);

/// Names, texts and vectors that builder and questions agree on.
memdb_bytes_t damage_space_name(uint32_t space);
memdb_bytes_t damage_key(uint32_t number, char buffer[32]);
memdb_bytes_t damage_session(uint32_t number);
void damage_vector(uint64_t seed, uint32_t dimension, float *out);
uint32_t damage_dimension(uint32_t space);
extern const char *const damage_words[];
extern const uint32_t damage_word_count;

// ------------------------------------------------------------------------------ the world

/// A commit above the base, in the newest log segment.
typedef struct damage_commit {
    uint64_t begin, end; // of its batch and of its frame, in the file
} damage_commit_t;

typedef struct damage_world {
    damage_image_t image;
    damage_question_t questions[DAMAGE_QUESTIONS];
    size_t question_count;
    // State 0 is what the newest log segment was opened on; state i is after its commit i.
    size_t state_count;
    damage_answer_t expected[DAMAGE_STATES][DAMAGE_QUESTIONS];
    damage_commit_t commits[DAMAGE_STATES]; // number 0 is not used
    char newest_log[64];
} damage_world_t;

/// Build the database at `path` (which must not exist) and learn all answers. Exits on failure.
void damage_build(damage_world_t *world, const char *path, uint64_t seed);

// ------------------------------------------------------------------------------ harm

/// Do one damage to the files at `path`. allowed_out: a bit for each state that the database may be
/// in afterwards. what_out: for people.
void damage_harm(damage_world_t *world, const char *path, dice_t *dice, uint64_t *allowed_out,
                 char what_out[400]);

#endif
