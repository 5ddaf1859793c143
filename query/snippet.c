// Snippets: where in a text the words of a question stand closest.
//
// One pass collects the places of the question's words. A window slides over them whose words fit
// into the piece, and of which the first is dropped as long as it comes again: so for each place
// that ends a window, the shortest one with the most different words is looked at. What room is
// left goes to the text around it, cut at blanks.
#include "base/bytes.h"
#include "index/lexical/lexical.h"
#include "query/query_boolean.h"

#define LONGEST_WORD 64u // a cut goes so far for a blank
#define LEAST_BYTES 16u

/// A word of the question in the text.
typedef struct place {
    size_t from, to;
    uint32_t term;
} place_t;

typedef struct window {
    size_t first, end; // places
    uint32_t words;    // different ones
} window_t;

typedef struct finder {
    memdb_bytes_t text;
    size_t most; // bytes
    memdb__words_query_t *words;
    memdb__buffer_t places; // place_t
    uint32_t *counts;       // of each term, in the window in hand
    window_t best;
} finder_t;

static void note(void *context, uint32_t term, size_t from, size_t to) {
    finder_t *finder = context;
    place_t place = {from, to, term};
    memdb__buffer_append(&finder->places, &place, sizeof place);
}

static const place_t *places_of(const finder_t *finder) {
    return (const place_t *)(const void *)finder->places.data;
}

static size_t place_count(const finder_t *finder) {
    return finder->places.size / sizeof(place_t);
}

// ------------------------------------------------------------------------------ the window

static void drop_first(finder_t *finder, window_t *window) {
    uint32_t *count = &finder->counts[places_of(finder)[window->first++].term];
    window->words -= --*count == 0;
}

/// Whether more than the last place is there, and the first is too far away or comes again.
static bool is_slack(const finder_t *finder, const window_t *window) {
    const place_t *places = places_of(finder);
    return window->end - window->first > 1 &&
           (places[window->end - 1].to - places[window->first].from > finder->most ||
            finder->counts[places[window->first].term] > 1);
}

static size_t width_of(const finder_t *finder, const window_t *window) {
    return places_of(finder)[window->end - 1].to - places_of(finder)[window->first].from;
}

static void find_window(finder_t *finder) {
    window_t window = {0};
    while (window.end < place_count(finder)) {
        window.words += finder->counts[places_of(finder)[window.end++].term]++ == 0;
        while (is_slack(finder, &window)) {
            drop_first(finder, &window);
        }
        if (window.words > finder->best.words ||
            (window.words == finder->best.words && window.words > 1 &&
             width_of(finder, &window) < width_of(finder, &finder->best))) {
            finder->best = window;
        }
    }
}

// ------------------------------------------------------------------------------ the piece

static bool is_blank(char byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool is_inside(memdb_bytes_t text, size_t at) {
    return at < text.size && ((uint8_t)text.data[at] & 0xC0) == 0x80;
}

/// The next beginning of a word in [at, most], at > 0; of a character, where no blank is near.
static size_t snap_forward(memdb_bytes_t text, size_t at, size_t most) {
    size_t blank = at;
    while (blank < most && blank - at < LONGEST_WORD && !is_blank(text.data[blank])) {
        blank++;
    }
    if (!is_blank(text.data[at - 1]) && blank < most && is_blank(text.data[blank])) {
        at = blank;
    }
    while (at < most && (is_blank(text.data[at]) || is_inside(text, at))) {
        at++;
    }
    return at;
}

/// The last end of a word in [least, at], at < text.size; of a character, where no blank is near.
static size_t snap_back(memdb_bytes_t text, size_t at, size_t least) {
    size_t blank = at;
    while (blank > least && at - blank < LONGEST_WORD && !is_blank(text.data[blank])) {
        blank--;
    }
    at = is_blank(text.data[blank]) ? blank : at;
    while (at > least && (is_inside(text, at) || is_blank(text.data[at - 1]))) {
        at--;
    }
    return at;
}

static void find_piece(const finder_t *finder, memdb_snippet_t *snippet) {
    const window_t *window = &finder->best;
    memdb_bytes_t text = finder->text;
    size_t from = 0, to = 0, begin, end;
    if (window->words) {
        from = places_of(finder)[window->first].from;
        to = places_of(finder)[window->end - 1].to;
        to = to - from > finder->most ? from + finder->most : to; // a word longer than the piece
    }
    size_t room = finder->most - (to - from);
    begin = from - (from < room / 2 ? from : room / 2);
    end = text.size - begin < finder->most ? text.size : begin + finder->most;
    begin = end < finder->most ? 0 : end - finder->most;
    snippet->from = begin > 0 && begin < from ? snap_forward(text, begin, from) : begin;
    snippet->to = end < text.size ? snap_back(text, end, to) : end;
    while (is_inside(text, snippet->to)) { // inside of a word longer than the piece
        snippet->to--;
    }
}

/// The places in the piece, those that touch as one.
static void mark(const finder_t *finder, memdb_mark_t *marks, size_t capacity,
                 memdb_snippet_t *snippet) {
    size_t count = 0, end = 0;
    for (size_t i = 0; i < place_count(finder); i++) {
        const place_t *place = &places_of(finder)[i];
        bool counts = i >= finder->best.first && i < finder->best.end;
        size_t to = place->to < snippet->to ? place->to : snippet->to;
        if (place->from < snippet->from || place->from >= snippet->to ||
            (place->to > snippet->to && !counts)) {
            continue;
        }
        bool joins = count && place->from <= end;
        if (!joins) {
            count++;
        }
        if (count <= capacity) {
            memdb_mark_t *last = &marks[count - 1];
            *last = joins ? *last : (memdb_mark_t){.offset = place->from};
            last->size = (to > end || !joins ? to : end) - last->offset;
        }
        end = to > end || !joins ? to : end;
    }
    snippet->mark_count = count;
}

// ------------------------------------------------------------------------------ from the question

static memdb_status_t read_question(const memdb_snippet_options_t *options, finder_t *finder,
                                    memdb_error_t *error) {
    memdb__boolean_t question;
    memdb__words_demand_t *demand = NULL;
    memdb_status_t status =
        memdb__boolean_read(options->question, options->boolean, false, &question, error);
    status = status ? status : memdb__boolean_demand(&question, options->tokenizer, &demand, error);
    status = status ? status
                    : memdb__words_query_create(options->tokenizer, question.text.data,
                                                question.text.size, &finder->words, error);
    if (!status && demand) {
        status = memdb__words_demand_require(demand, finder->words, error);
    }
    memdb__words_demand_destroy(demand);
    memdb__boolean_deinit(&question);
    return status;
}

static memdb_status_t find(const memdb_snippet_options_t *options, finder_t *finder,
                           memdb_error_t *error) {
    memdb_status_t status = read_question(options, finder, error);
    status =
        status ? status : memdb__words_query_find(finder->words, finder->text, note, finder, error);
    if (status) {
        return status;
    }
    finder->counts =
        memdb__allocate_zeroed(memdb__words_query_terms(finder->words) + 1, sizeof *finder->counts);
    if (!finder->counts || finder->places.failed) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the words of a snippet");
    }
    find_window(finder);
    return MEMDB_OK;
}

static memdb_status_t check(const memdb_snippet_options_t *options, memdb_bytes_t text,
                            memdb_error_t *error) {
    if (options->size < sizeof *options) {
        return memdb__fail(error, MEMDB_INVALID, "snippet: the struct's size is not set");
    }
    if (options->max_bytes && options->max_bytes < LEAST_BYTES) {
        return memdb__fail(error, MEMDB_INVALID, "snippet: max_bytes: %zu, at least %u",
                           options->max_bytes, LEAST_BYTES);
    }
    if (!memdb__is_utf8(text.data, text.size) ||
        !memdb__is_utf8(options->question.data, options->question.size)) {
        return memdb__fail(error, MEMDB_INVALID, "snippet: text or question: not UTF-8");
    }
    return MEMDB_OK;
}

memdb_status_t memdb_snippet_find(const memdb_snippet_options_t *options, memdb_bytes_t text,
                                  memdb_mark_t *marks, size_t mark_capacity,
                                  memdb_snippet_t *snippet_out, memdb_error_t *error_out) {
    memdb_error_t error = {0};
    if (!options || !snippet_out || (mark_capacity && !marks)) {
        return MEMDB_INVALID;
    }
    finder_t finder = {.text = text,
                       .most = options->max_bytes ? options->max_bytes : MEMDB_SNIPPET_BYTES};
    memdb_status_t status = check(options, text, &error);
    status = status ? status : find(options, &finder, &error);
    if (!status) {
        memdb_snippet_t snippet = {.size = sizeof snippet, .words = finder.best.words};
        find_piece(&finder, &snippet);
        mark(&finder, marks, mark_capacity, &snippet);
        *snippet_out = snippet;
    } else if (error_out) {
        *error_out = error;
    }
    memdb__words_query_destroy(finder.words);
    memdb__buffer_deinit(&finder.places);
    memdb__free(finder.counts);
    return status;
}
