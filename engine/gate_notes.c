// What a handle keeps for gates, in memory: the last refusals of each space, and hashes of the
// texts that recall gave last.
//
// Both are rings of a fixed size. Spaces that had refusals are a list, the last one that had any in
// front; of more than MEMDB_MAX_REFUSALS of them the last is given up. A text is known again by
// its hash, without the white space around it: what a program puts back is what it was given, or
// that with a line's end.
#include "engine/gate.h"

#define RECALLED 1024 // texts

typedef struct kept {
    memdb_refusal_t refusal;
    char text[MEMDB_REFUSAL_TEXT_BYTES];
} kept_t;

struct memdb__gate_space {
    struct memdb__gate_space *next;
    memdb_space_t space;
    uint64_t count; // ever; number n is at n % MEMDB_MAX_REFUSALS
    kept_t items[MEMDB_MAX_REFUSALS];
};

struct memdb__gate_recalled {
    uint64_t count; // ever
    struct {
        uint64_t hash, id;
        memdb_space_t space;
    } items[RECALLED];
};

void memdb__gate_notes_init(memdb__gate_notes_t *notes) {
    pthread_mutex_init(&notes->mutex, NULL);
}

void memdb__gate_notes_deinit(memdb__gate_notes_t *notes) {
    while (notes->spaces) {
        struct memdb__gate_space *next = notes->spaces->next;
        memdb__free(notes->spaces);
        notes->spaces = next;
    }
    memdb__free(notes->recalled);
}

// ------------------------------------------------------------------------------ refusals

/// The notes of a space, moved to the front. NULL: none, or, to make some, out of memory.
static struct memdb__gate_space *take_space(memdb__gate_notes_t *notes, memdb_space_t space,
                                            bool make) {
    struct memdb__gate_space **at = &notes->spaces, *found;
    size_t count = 0;
    while (*at && (*at)->space != space && ((*at)->next || count + 1 < MEMDB_MAX_REFUSALS)) {
        at = &(*at)->next;
        count++;
    }
    found = *at;
    if (found && (make || found->space == space)) {
        *at = found->next;
    } else {
        found = make ? memdb__allocate_zeroed(1, sizeof *found) : NULL;
    }
    if (!found) {
        return NULL;
    }
    if (found->space != space) { // new, or that of a space that is given up
        found->space = space;
        found->count = 0;
    }
    found->next = notes->spaces;
    notes->spaces = found;
    return found;
}

/// As much of a text as fits, without a part of a character.
static memdb_bytes_t beginning_of(memdb_bytes_t text) {
    if (text.size > MEMDB_REFUSAL_TEXT_BYTES) {
        text.size = MEMDB_REFUSAL_TEXT_BYTES;
        while (text.size && ((unsigned char)text.data[text.size] & 0xC0) == 0x80) {
            text.size--;
        }
    }
    return text;
}

memdb_status_t memdb__gate_note_refusal(memdb_t *db, memdb_space_t space,
                                        const memdb_refusal_t *refusal, memdb_error_t *error) {
    memdb__gate_notes_t *notes = &db->gate_notes;
    pthread_mutex_lock(&notes->mutex);
    struct memdb__gate_space *kept = take_space(notes, space, true);
    if (kept) {
        kept_t *item = &kept->items[kept->count++ % MEMDB_MAX_REFUSALS];
        item->refusal = *refusal;
        item->refusal.size = sizeof item->refusal;
        item->refusal.text = beginning_of(refusal->text);
        if (item->refusal.text.size) {
            memcpy(item->text, item->refusal.text.data, item->refusal.text.size);
        }
    }
    pthread_mutex_unlock(&notes->mutex);
    return kept ? MEMDB_OK
                : memdb__fail(error, MEMDB_NOMEM, "put: refused, and no memory to note it");
}

memdb_status_t memdb_refusal_list(memdb_t *db, memdb_space_t space,
                                  bool (*visit)(void *context, const memdb_refusal_t *refusal),
                                  void *context) {
    memdb_error_t error = {0};
    if (!db || !visit) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__usable(db, &error);
    // A copy, so that no lock is held while the caller's function runs.
    struct memdb__gate_space *copy = status ? NULL : memdb__allocate(sizeof *copy);
    if (!status && !copy) {
        status = memdb__fail(&error, MEMDB_NOMEM, "refusals: out of memory");
    }
    if (!status) {
        pthread_mutex_lock(&db->gate_notes.mutex);
        const struct memdb__gate_space *kept = take_space(&db->gate_notes, space, false);
        if (kept) {
            *copy = *kept;
        } else {
            copy->count = 0;
        }
        pthread_mutex_unlock(&db->gate_notes.mutex);
    }
    bool more = !status;
    for (uint64_t i = 0; more && i < copy->count && i < MEMDB_MAX_REFUSALS; i++) {
        kept_t *item = &copy->items[(copy->count - 1 - i) % MEMDB_MAX_REFUSALS];
        item->refusal.text.data = item->text;
        more = visit(context, &item->refusal);
    }
    memdb__free(copy);
    return memdb__report(db, status, &error);
}

// ------------------------------------------------------------------------------ recalled texts

static bool is_white(char byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static uint64_t hash_of(memdb_bytes_t text) {
    while (text.size && is_white(text.data[text.size - 1])) {
        text.size--;
    }
    while (text.size && is_white(*text.data)) {
        text.data++;
        text.size--;
    }
    return text.size ? memdb__hash64(text.data, text.size, 0) : 0;
}

memdb_status_t memdb__gate_note_recalled(memdb_snapshot_t *snapshot, memdb_space_t space,
                                         uint64_t id, memdb_error_t *error) {
    memdb__gate_notes_t *notes = &snapshot->db->gate_notes;
    memdb__record_t record;
    uint64_t version, hash;
    memdb_status_t status = memdb__read_record(&snapshot->sight, id, &record, &version, error);
    if (status || !(hash = hash_of(record.text))) {
        return status;
    }
    pthread_mutex_lock(&notes->mutex);
    struct memdb__gate_recalled *recalled = notes->recalled;
    if (!recalled) {
        recalled = notes->recalled = memdb__allocate_zeroed(1, sizeof *recalled);
    }
    if (recalled) {
        uint64_t place = recalled->count++ % RECALLED;
        recalled->items[place].hash = hash;
        recalled->items[place].id = id;
        recalled->items[place].space = space;
    }
    pthread_mutex_unlock(&notes->mutex);
    return recalled ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "no memory to note what it gave");
}

bool memdb__gate_was_recalled(memdb_t *db, memdb_bytes_t text, memdb_space_t *space_out,
                              uint64_t *id_out) {
    memdb__gate_notes_t *notes = &db->gate_notes;
    uint64_t hash = hash_of(text);
    bool found = false;
    pthread_mutex_lock(&notes->mutex);
    const struct memdb__gate_recalled *recalled = notes->recalled;
    uint64_t count = recalled ? recalled->count : 0;
    for (uint64_t i = 0; hash && !found && i < count && i < RECALLED; i++) {
        size_t place = (size_t)((count - 1 - i) % RECALLED); // the last one first
        found = recalled->items[place].hash == hash;
        if (found) {
            *space_out = recalled->items[place].space;
            *id_out = recalled->items[place].id;
        }
    }
    pthread_mutex_unlock(&notes->mutex);
    return found;
}
