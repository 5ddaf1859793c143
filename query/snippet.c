// Snippets: where in a text the words of a question stand closest.
//
// A window slides over the places of the question's words. Its words fit into the piece, and its
// first one is dropped as long as it comes again: so for each place that ends a window, the
// shortest one with the most different words is looked at. What room the best one leaves goes to
// the text around it, cut at blanks; a second pass, up to its end, notes the places in it. So
// memory is bounded by the piece, however long the text is.
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

typedef struct finder {
    memdb_bytes_t text;
    size_t most; // bytes
    memdb__words_query_t *words;
    // The window in hand.
    memdb__buffer_t places; // place_t
    size_t first;           // those before it have left the window
    uint32_t *counts;       // of each term in it
    uint32_t different;
    // The best one.
    size_t from, to;
    uint32_t best; // different words in it
    // The second pass.
    memdb_mark_t *marks;
    size_t capacity, end; // of the marks; of the last one
    memdb_snippet_t snippet;
} finder_t;

// ------------------------------------------------------------------------------ the window

static place_t *places_of(const finder_t *finder) {
    return (place_t *)(void *)finder->places.data;
}

static size_t place_count(const finder_t *finder) {
    return finder->places.size / sizeof(place_t);
}

/// Whether more than the last place is there, and the first is too far away or comes again.
static bool is_slack(const finder_t *finder) {
    const place_t *places = places_of(finder), *first = &places[finder->first];
    size_t last = place_count(finder) - 1;
    return last > finder->first &&
           (places[last].to - first->from > finder->most || finder->counts[first->term] > 1);
}

static void drop_first(finder_t *finder) {
    place_t *places = places_of(finder);
    uint32_t *count = &finder->counts[places[finder->first++].term];
    finder->different -= --*count == 0;
    size_t left = place_count(finder) - finder->first;
    if (finder->first > left + 64) { // most of the places have left: let them go
        memmove(places, places + finder->first, left * sizeof *places);
        finder->places.size = left * sizeof *places;
        finder->first = 0;
    }
}

static bool slide(void *context, uint32_t term, size_t from, size_t to) {
    finder_t *finder = context;
    place_t place = {from, to, term};
    if (!memdb__buffer_append(&finder->places, &place, sizeof place)) {
        return false;
    }
    finder->different += finder->counts[term]++ == 0;
    while (is_slack(finder)) {
        drop_first(finder);
    }
    size_t begin = places_of(finder)[finder->first].from;
    bool closer = finder->different > 1 && to - begin < finder->to - finder->from;
    if (finder->different > finder->best || (finder->different == finder->best && closer)) {
        finder->from = begin;
        finder->to = to;
        finder->best = finder->different;
    }
    return true;
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

static void find_piece(finder_t *finder) {
    memdb_bytes_t text = finder->text;
    size_t from = finder->from, to = finder->to, begin, end;
    to = to - from > finder->most ? from + finder->most : to; // a word longer than the piece
    size_t room = finder->most - (to - from);
    begin = from - (from < room / 2 ? from : room / 2);
    end = text.size - begin < finder->most ? text.size : begin + finder->most;
    begin = end < finder->most ? 0 : end - finder->most;
    begin = begin > 0 && begin < from ? snap_forward(text, begin, from) : begin;
    end = end < text.size ? snap_back(text, end, to) : end;
    while (is_inside(text, end)) { // inside of a word longer than the piece
        end--;
    }
    finder->snippet = (memdb_snippet_t){
        .size = sizeof finder->snippet, .from = begin, .to = end, .words = finder->best};
}

/// Note a place in the piece, those that touch as one.
static bool mark(void *context, uint32_t term, size_t from, size_t to) {
    finder_t *finder = context;
    memdb_snippet_t *snippet = &finder->snippet;
    bool cut = to > snippet->to;
    (void)term;
    if (from >= snippet->to) {
        return false; // nothing more is in it
    }
    if (from < snippet->from || (cut && from != finder->from)) {
        return true;
    }
    bool joins = snippet->mark_count && from <= finder->end;
    size_t end = cut ? snippet->to : to;
    finder->end = joins && finder->end > end ? finder->end : end;
    snippet->mark_count += !joins;
    if (snippet->mark_count <= finder->capacity) {
        memdb_mark_t *last = &finder->marks[snippet->mark_count - 1];
        last->offset = joins ? last->offset : from;
        last->size = finder->end - last->offset;
    }
    return true;
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
    if (status) {
        return status;
    }
    finder->counts =
        memdb__allocate_zeroed(memdb__words_query_terms(finder->words) + 1, sizeof *finder->counts);
    if (!finder->counts) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the words of a snippet");
    }
    status = memdb__words_query_find(finder->words, finder->text, slide, finder, error);
    if (!status && finder->places.failed) {
        status = memdb__fail(error, MEMDB_NOMEM, "no memory for the words of a snippet");
    }
    if (status) {
        return status;
    }
    find_piece(finder);
    return finder->best ? memdb__words_query_find(finder->words, finder->text, mark, finder, error)
                        : MEMDB_OK;
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
                       .most = options->max_bytes ? options->max_bytes : MEMDB_SNIPPET_BYTES,
                       .marks = marks,
                       .capacity = mark_capacity};
    memdb_status_t status = check(options, text, &error);
    status = status ? status : find(options, &finder, &error);
    if (!status) {
        *snippet_out = finder.snippet;
    } else if (error_out) {
        *error_out = error;
    }
    memdb__words_query_destroy(finder.words);
    memdb__buffer_deinit(&finder.places);
    memdb__free(finder.counts);
    return status;
}
