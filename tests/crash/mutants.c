// See mutants.h.
//
// Files are known by where they are at the moment of the event: the folder and the name, followed
// through creations and renames. A recording is gone through once; a step that moves is put
// in front of, or behind, the events that it changes places with.
#include "tests/crash/mutants.h"

#include "tests/crash/disk.h"
#include "tests/crash/history.h"

#include <stdlib.h>
#include <string.h>

typedef enum place {
    PLACE_NONE,
    PLACE_HOME,
    PLACE_DATABASE,
    PLACE_LOG,
    PLACE_LOG_FILE, // under its own name
    PLACE_LOG_NEW,  // log/new
    PLACE_SEGMENTS,
    PLACE_SEGMENT_FILE,
    PLACE_CATALOG,
    PLACE_COMPANION,
    PLACE_DATA,
    PLACE_BLOB,
    PLACE_EXTENT,
    PLACE_ROOT_FILE
} place_t;

typedef struct node_name {
    const char *name; // in an event; NULL: none
    uint32_t parent;
} node_name_t;

typedef struct maker {
    mutant_t mutant;
    const trace_t *trace;
    node_name_t *names; // by node
    place_t *places;    // of each event's node, at its moment
    trace_t *out;
    size_t first; // the event from which on the engine is wrong
    size_t changed;
} maker_t;

const char *mutant_name(mutant_t mutant) {
    static const char *const names[MUTANTS] = {
        [MUTANT_LOG_BATCH] = "no sync of log batches",
        [MUTANT_LEFT_SEGMENT] = "no sync of a log segment that is left",
        [MUTANT_RECOVERED_LOG] = "no sync of a log that is recovered",
        [MUTANT_LOG_SEGMENT] = "no sync of a new log segment",
        [MUTANT_LOG_DIRECTORY] = "no sync of the log directory",
        [MUTANT_RECYCLED_NAME] = "no sync of a recycled log segment's name",
        [MUTANT_SEGMENT_FILE] = "no sync of segment files",
        [MUTANT_SEGMENTS_DIRECTORY] = "no sync of the segments directory",
        [MUTANT_COMPANION] = "no sync of the catalog's companion",
        [MUTANT_LMDB_DATA] = "no fdatasync by LMDB",
        [MUTANT_LMDB_META] = "no durable write of LMDB's meta page",
        [MUTANT_CATALOG_DIRECTORY] = "no sync of the catalog directory",
        [MUTANT_BLOB_EXTENT] = "no sync of blob extents",
        [MUTANT_BLOB_DIRECTORY] = "no sync of the blob directory",
        [MUTANT_ROOT_FILE] = "no sync of the root file",
        [MUTANT_ROOT_NAME] = "no sync of the database's directory",
        [MUTANT_DIRECTORY_ABOVE] = "no sync of the directory above",
        [MUTANT_CUT_BEFORE_SWITCH] = "log cut before the switch",
        [MUTANT_UNLINK_BEFORE_SWITCH] = "merged segments unlinked before the switch",
        [MUTANT_SWITCH_BEFORE_SEGMENT] = "switch before the segments are synced",
        [MUTANT_FRAME_BEFORE_BLOB] = "frame before its blob is synced",
        [MUTANT_MARK_BEFORE_SUCCESSOR] = "closing mark before the successor",
    };
    return names[mutant];
}

bool mutant_needs_os(mutant_t mutant) {
    return mutant == MUTANT_LEFT_SEGMENT || mutant == MUTANT_RECOVERED_LOG;
}

// ------------------------------------------------------------------------------ places

static bool ends_with(const char *name, const char *end) {
    size_t size = strlen(name), tail = strlen(end);
    return size >= tail && strcmp(name + size - tail, end) == 0;
}

static const char *name_of(const maker_t *maker, uint32_t node) {
    return node && maker->names[node].name ? maker->names[node].name : "";
}

static place_t place_of(const maker_t *maker, uint32_t node) {
    static const struct {
        const char *folder, *name;
        place_t place, inner;
    } folders[] = {{"log", ".log", PLACE_LOG, PLACE_LOG_FILE},
                   {"segments", ".seg", PLACE_SEGMENTS, PLACE_SEGMENT_FILE},
                   {"catalog", "companion", PLACE_CATALOG, PLACE_COMPANION},
                   {"blob", ".ext", PLACE_BLOB, PLACE_EXTENT}};
    const char *name = name_of(maker, node);
    const char *folder = node ? name_of(maker, maker->names[node].parent) : "";
    if (node == 0) {
        return PLACE_HOME;
    }
    if (strcmp(name, "db") == 0) {
        return PLACE_DATABASE;
    }
    if (strcmp(folder, "db") == 0 && strncmp(name, "root", 4) == 0) {
        return PLACE_ROOT_FILE;
    }
    if (strcmp(folder, "log") == 0 && strcmp(name, "new") == 0) {
        return PLACE_LOG_NEW;
    }
    if (strcmp(folder, "catalog") == 0 && strcmp(name, "data.mdb") == 0) {
        return PLACE_DATA;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (strcmp(folder, "db") == 0 && strcmp(name, folders[i].folder) == 0) {
            return folders[i].place;
        }
        if (strcmp(folder, folders[i].folder) == 0 && ends_with(name, folders[i].name)) {
            return folders[i].inner;
        }
    }
    return PLACE_NONE;
}

static void find_places(maker_t *maker) {
    for (size_t i = 0; i < maker->trace->count; i++) {
        const event_t *event = maker->trace->events[i];
        if (event->kind == EVENT_CREATE || event->kind == EVENT_LINK) {
            maker->names[event->target] = (node_name_t){event->name, event->node};
        }
        maker->places[i] = place_of(maker, event->node);
        if (event->kind == EVENT_RENAME) {
            maker->names[event->target] = (node_name_t){event->to_name, event->to_node};
        }
    }
}

// ------------------------------------------------------------------------------ syncs left out

static place_t unsynced_place(mutant_t mutant) {
    switch (mutant) {
    case MUTANT_LOG_BATCH:
        return PLACE_LOG_FILE;
    case MUTANT_LOG_SEGMENT:
        return PLACE_LOG_NEW;
    case MUTANT_LOG_DIRECTORY:
        return PLACE_LOG;
    case MUTANT_SEGMENT_FILE:
        return PLACE_SEGMENT_FILE;
    case MUTANT_SEGMENTS_DIRECTORY:
        return PLACE_SEGMENTS;
    case MUTANT_COMPANION:
        return PLACE_COMPANION;
    case MUTANT_LMDB_DATA:
        return PLACE_DATA;
    case MUTANT_CATALOG_DIRECTORY:
        return PLACE_CATALOG;
    case MUTANT_BLOB_EXTENT:
        return PLACE_EXTENT;
    case MUTANT_BLOB_DIRECTORY:
        return PLACE_BLOB;
    case MUTANT_ROOT_FILE:
        return PLACE_ROOT_FILE;
    case MUTANT_ROOT_NAME:
        return PLACE_DATABASE;
    case MUTANT_DIRECTORY_ABOVE:
        return PLACE_HOME;
    default:
        return PLACE_NONE;
    }
}

/// What the log is about, as far as its directory tells.
typedef struct log_state {
    bool recycling; // between a rename to or from a recycling name and the next publication
    bool making;    // a new segment has no name of its own yet
} log_state_t;

static bool makes_segment(const event_t *event) {
    return (event->kind == EVENT_CREATE && strcmp(event->name, "new") == 0) ||
           (event->kind == EVENT_RENAME && strcmp(event->to_name, "new") == 0);
}

static void follow_log(const event_t *event, log_state_t *state) {
    if (makes_segment(event)) {
        state->making = true;
    }
    if (event->kind != EVENT_RENAME) {
        return;
    }
    if (strncmp(event->name, "recycle", 7) == 0 || strncmp(event->to_name, "recycle", 7) == 0) {
        state->recycling = true;
    } else if (ends_with(event->to_name, ".log")) {
        *state = (log_state_t){0};
    }
}

/// Whether a new segment is made after this event, with no commit in between.
static bool precedes_segment(const maker_t *maker, size_t at) {
    while (++at < maker->trace->count) {
        const event_t *event = maker->trace->events[at];
        if (makes_segment(event)) {
            return true;
        }
        if (event->kind == EVENT_MARK ||
            (event->kind == EVENT_WRITE && maker->places[at] == PLACE_LOG_FILE)) {
            return false;
        }
    }
    return false;
}

static bool leaves_out(const maker_t *maker, size_t at, const log_state_t *state) {
    place_t place = maker->places[at];
    switch (maker->mutant) {
    case MUTANT_LEFT_SEGMENT:
        return place == PLACE_LOG_FILE && state->making;
    case MUTANT_RECOVERED_LOG:
        return place == PLACE_LOG_FILE && !state->making && precedes_segment(maker, at);
    case MUTANT_RECYCLED_NAME:
        return place == PLACE_LOG && state->recycling;
    default:
        return place != PLACE_NONE && place == unsynced_place(maker->mutant);
    }
}

/// LMDB syncs its data, and then writes the meta page durably: two mutants.
static bool weakens(const maker_t *maker, size_t at) {
    place_t place = maker->places[at];
    return maker->mutant == MUTANT_LMDB_META ? place == PLACE_DATA
           : maker->mutant == MUTANT_LMDB_DATA
               ? false
               : place != PLACE_NONE && place == unsynced_place(maker->mutant);
}

static void leave_out_syncs(maker_t *maker) {
    const trace_t *trace = maker->trace;
    log_state_t state = {0};
    for (size_t i = 0; i < trace->count; i++) {
        event_t *event = trace->events[i];
        bool wrong = i >= maker->first;
        follow_log(event, &state);
        if (wrong && event->kind == EVENT_SYNC && leaves_out(maker, i, &state)) {
            maker->changed++;
            continue;
        }
        bool weak = wrong && event->kind == EVENT_WRITE && event->durable && weakens(maker, i);
        maker->changed += weak;
        maker->out->weak[maker->out->count] = weak;
        maker->out->events[maker->out->count++] = event;
    }
}

// ------------------------------------------------------------------------------ orders switched

typedef enum side { SIDE_STAYS, SIDE_MOVES, SIDE_ENDS } side_t;

static bool is_write(const event_t *event) {
    return event->kind == EVENT_WRITE;
}

/// The first event of a step that others overtake.
static bool begins(const maker_t *maker, size_t at) {
    const event_t *event = maker->trace->events[at];
    place_t place = maker->places[at];
    switch (maker->mutant) {
    case MUTANT_CUT_BEFORE_SWITCH:
    case MUTANT_UNLINK_BEFORE_SWITCH: // the record of the transaction comes first
        return is_write(event) && place == PLACE_COMPANION;
    case MUTANT_SWITCH_BEFORE_SEGMENT:
        return event->kind == EVENT_SYNC && place == PLACE_SEGMENT_FILE;
    case MUTANT_FRAME_BEFORE_BLOB:
        return event->kind == EVENT_SYNC && place == PLACE_EXTENT;
    default: // the segment's successor gets its name
        return event->kind == EVENT_RENAME && place == PLACE_LOG && strcmp(event->name, "new") == 0;
    }
}

/// Whether an event behind it overtakes, or nothing more does.
static side_t side_of(const maker_t *maker, size_t first, size_t at) {
    const event_t *event = maker->trace->events[at], *begun = maker->trace->events[first];
    place_t place = maker->places[at];
    bool log = place == PLACE_LOG_FILE || place == PLACE_LOG;
    switch (maker->mutant) {
    case MUTANT_CUT_BEFORE_SWITCH:
        return event->kind == EVENT_MARK ? SIDE_ENDS : log ? SIDE_MOVES : SIDE_STAYS;
    case MUTANT_UNLINK_BEFORE_SWITCH:
        return event->kind == EVENT_MARK                                ? SIDE_ENDS
               : event->kind == EVENT_UNLINK && place == PLACE_SEGMENTS ? SIDE_MOVES
                                                                        : SIDE_STAYS;
    case MUTANT_SWITCH_BEFORE_SEGMENT:
        return event->kind == EVENT_MARK || log                  ? SIDE_ENDS
               : place == PLACE_COMPANION || place == PLACE_DATA ? SIDE_MOVES
                                                                 : SIDE_STAYS;
    case MUTANT_FRAME_BEFORE_BLOB: // unless the frame needs a new segment of the log
        if ((event->kind == EVENT_MARK && event->mark != MARK_BEGIN) || place == PLACE_LOG ||
            place == PLACE_LOG_NEW) {
            return SIDE_ENDS;
        }
        return is_write(event) && place == PLACE_LOG_FILE ? SIDE_MOVES : SIDE_STAYS;
    default: // the closing mark is the next write to another segment
        return event->kind == EVENT_MARK || (log && event->node == begun->target) ? SIDE_ENDS
               : place == PLACE_LOG_FILE && event->node != begun->target          ? SIDE_MOVES
                                                                                  : SIDE_STAYS;
    }
}

static void put(maker_t *maker, size_t at) {
    maker->out->events[maker->out->count++] = maker->trace->events[at];
}

/// Put what overtakes, then the rest, up to the end of the step. Returns that end.
static size_t switch_order(maker_t *maker, size_t first) {
    size_t end = first + 1, moved = 0;
    while (end < maker->trace->count && side_of(maker, first, end) != SIDE_ENDS) {
        end++;
    }
    for (size_t i = first + 1; i < end; i++) {
        if (side_of(maker, first, i) == SIDE_MOVES) {
            put(maker, i);
            moved++;
        }
    }
    put(maker, first);
    for (size_t i = first + 1; i < end; i++) {
        if (side_of(maker, first, i) == SIDE_STAYS) {
            put(maker, i);
        }
    }
    maker->changed += moved;
    return end;
}

static void switch_orders(maker_t *maker) {
    for (size_t at = 0; at < maker->trace->count;) {
        if (at >= maker->first && begins(maker, at)) {
            at = switch_order(maker, at);
        } else {
            put(maker, at++);
        }
    }
}

/// Faults of the creation are there from the beginning, others when the database is there: so that
/// they are not found in its creation alone.
static size_t first_wrong(mutant_t mutant, const trace_t *trace) {
    size_t first = trace->base;
    bool creation = mutant == MUTANT_CATALOG_DIRECTORY || mutant == MUTANT_ROOT_FILE ||
                    mutant == MUTANT_ROOT_NAME || mutant == MUTANT_DIRECTORY_ABOVE;
    while (!creation && first < trace->count && trace->events[first]->kind != EVENT_MARK) {
        first++;
    }
    return first;
}

void mutant_make(mutant_t mutant, const trace_t *trace, trace_t *mutant_out, size_t *changed_out) {
    maker_t maker = {.mutant = mutant, .trace = trace, .out = mutant_out};
    size_t nodes = 1;
    for (size_t i = 0; i < trace->count; i++) {
        const event_t *event = trace->events[i];
        nodes = event->node >= nodes ? event->node + 1 : nodes;
        nodes = event->target >= nodes ? event->target + 1 : nodes;
    }
    *mutant_out = (trace_t){.base = trace->base,
                            .events = calloc(trace->count + 1, sizeof(event_t *)),
                            .weak = calloc(trace->count + 1, sizeof(bool))};
    maker.names = calloc(nodes, sizeof *maker.names);
    maker.places = calloc(trace->count + 1, sizeof *maker.places);
    if (!maker.names || !maker.places || !mutant_out->events || !mutant_out->weak) {
        disk_fail("memory");
    }
    find_places(&maker);
    maker.first = mutant_out->base = first_wrong(mutant, trace);
    if (mutant < MUTANT_CUT_BEFORE_SWITCH) {
        leave_out_syncs(&maker);
    } else {
        switch_orders(&maker);
    }
    free(maker.names);
    free(maker.places);
    *changed_out = maker.changed;
}

void mutant_free(trace_t *trace) {
    free(trace->events);
    free(trace->weak);
    *trace = (trace_t){0};
}
