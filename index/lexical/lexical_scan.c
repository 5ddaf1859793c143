// Search: scanning chunks of documents.
//
// For each block of up to 65,536 documents, the terms' bounds are added into an array of small
// accumulators, term after term, and the array is scanned for values that can matter. Bounds are
// rounded up (an accumulator times `unit` is never below the exact score), and additions saturate,
// so a document below the scan's threshold has an exact score below it, whatever the unit.
// Candidates are scored exactly, highest bound first, until the worst of the best beats the bound
// of the next.
//
// The first threshold is a guess, from the 10th (50th, 250th) best posting of a term that its
// record remembers. The guess may be too high, since documents die, filters refuse, and averages
// drift. So it is checked: unless the k-th best that was found reaches every guess that a block was
// scanned with, all blocks are scanned again with a threshold that is known to hold. Where a filter
// refuses most candidates, the guess is lowered at once within a block, which costs a scan and no
// new addition. The answer is exact in all cases.
//
// Two things spare most of that work. The longest lists of a chunk stay out of the accumulators
// while all that they can add is a small part of the threshold, which the scan then lowers by so
// much (the MaxScore of Turtle and Flood 1995, with accumulators); where more than a few documents
// remain, the lists are added after all. And where a block has few postings, its documents are
// found through them, and nothing is cleared or scanned.
#include "index/lexical/lexical_search.h"

#include <math.h>

// Exact score of a document of the open chunk, offered to the best.
static memdb_status_t score(memdb__search_t *search, memdb__search_source_t *source,
                            uint32_t number, memdb_error_t *error) {
    uint32_t length = 0;
    if (source->list) {
        length = memdb__list_document(source->view.space, number)->length;
    } else {
        memdb_status_t status =
            memdb__segment_length(source->segment, &source->row, number, &length, error);
        if (status) {
            return status;
        }
    }
    double norm = search->bm25.a + search->bm25.b * length, sum = 0, held = 0;
    for (uint32_t i = 0; i < search->chunk_term_count; i++) {
        const memdb__chunk_term_t *list = &search->chunk_terms[i];
        uint32_t tf = 0;
        if (!list->offsets) {
            tf = memdb__list_tf(list->view->term, list->view->count, number);
        } else {
            uint32_t place = memdb__find_offset(list->offsets, list->count, (uint16_t)number);
            if (place < list->count) {
                tf = list->offsets == list->inline_offsets
                         ? list->inline_tf[place]
                         : memdb__run_tf(&list->view->run, &list->view->data, place);
            }
        }
        if (tf) {
            sum += memdb__search_share(search, &search->terms[list->term], tf, norm);
            held += search->terms[list->term].idf;
        }
    }
    if (memdb__search_full(search) && (float)sum < search->best[0].score) {
        return MEMDB_OK;
    }
    if (source->list) {
        const memdb__list_document_t *row = memdb__list_document(source->view.space, number);
        memdb__search_offer(search, sum, held, row->id, row->version);
        return MEMDB_OK;
    }
    uint64_t id, version;
    memdb_status_t status =
        memdb__segment_document(source->segment, &source->row, number, &id, &version, error);
    if (!status) {
        memdb__search_offer(search, sum, held, id, version);
    }
    return status;
}

static double threshold(const memdb__search_t *search) {
    double kth = memdb__search_full(search) ? search->best[0].score : 0;
    return kth > search->guess ? kth : search->guess;
}

// The least sum of bounds of a document that can reach the threshold.
static uint32_t needed_value(const memdb__search_t *search) {
    double value = ceil(memdb__search_key(search, threshold(search)) / search->unit *
                        (1 - MEMDB__SEARCH_SLACK));
    uint32_t limit = memdb__search_limit(search);
    return value < 1 ? 1 : value > limit ? limit : (uint32_t)value;
}

// The same of its accumulator, which lacks what was left out.
static uint32_t least_value(const memdb__search_t *search) {
    uint32_t needed = needed_value(search);
    return needed > search->left_out ? needed - search->left_out : 1;
}

static uint32_t value_at(const memdb__search_t *search, uint32_t place) {
    return search->wide ? ((const uint16_t *)search->values)[place]
                        : ((const uint8_t *)search->values)[place];
}

// Stable sort by one byte of the keys.
static void sort_by_byte(const uint32_t *from, uint32_t *to, uint32_t count, unsigned shift) {
    uint32_t next[256] = {0};
    for (uint32_t i = 0; i < count; i++) {
        next[from[i] >> shift & 0xFF]++;
    }
    for (uint32_t i = 0, sum = 0; i < 256; i++) {
        uint32_t here = next[i];
        next[i] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < count; i++) {
        to[next[from[i] >> shift & 0xFF]++] = from[i];
    }
}

// Sort the candidates' keys (limit - value, place); the places of equal values rise already where
// they come from a scan.
static void sort_candidates(memdb__search_t *search, uint32_t count) {
    uint32_t *keys = search->keys, *other = keys + MEMDB__SEARCH_ROOM;
    if (count <= 48) {
        for (uint32_t i = 1; i < count; i++) {
            uint32_t key = keys[i], at = i;
            for (; at > 0 && keys[at - 1] > key; at--) {
                keys[at] = keys[at - 1];
            }
            keys[at] = key;
        }
        return;
    }
    sort_by_byte(keys, other, count, 16);
    if (search->wide) {
        sort_by_byte(other, keys, count, 24);
    } else {
        memcpy(keys, other, count * sizeof *keys);
    }
}

// Score the candidates of search->keys, highest bound first, as long as they can matter.
static memdb_status_t take_keys(memdb__search_t *search, memdb__search_source_t *source,
                                uint32_t first, uint32_t found, memdb_error_t *error) {
    uint32_t limit = memdb__search_limit(search);
    sort_candidates(search, found);
    memdb_status_t status = MEMDB_OK;
    for (uint32_t i = 0; i < found && !status; i++) {
        uint32_t value = limit - (search->keys[i] >> 16);
        if (value < limit && memdb__search_full(search) &&
            search->bar > (value + search->left_out) * search->unit * (1 + MEMDB__SEARCH_SLACK)) {
            break;
        }
        status = score(search, source, first + (search->keys[i] & 0xFFFF), error);
    }
    return status;
}

// The same for those of search->places.
static memdb_status_t take_candidates(memdb__search_t *search, memdb__search_source_t *source,
                                      uint32_t first, uint32_t found, memdb_error_t *error) {
    uint32_t limit = memdb__search_limit(search);
    for (uint32_t i = 0; i < found; i++) {
        search->keys[i] = (limit - value_at(search, search->places[i])) << 16 | search->places[i];
    }
    return take_keys(search, source, first, found, error);
}

static uint32_t scan(const memdb__search_t *search, uint32_t from, uint32_t documents, uint32_t low,
                     uint32_t high, uint32_t *found_out) {
    return search->wide ? search->kernels->scan16(search->values, from, documents, low, high,
                                                  search->places, MEMDB__SEARCH_ROOM, found_out)
                        : search->kernels->scan8(search->values, from, documents, low, high,
                                                 search->places, MEMDB__SEARCH_ROOM, found_out);
}

// The least value above `low` and up to `high` that only some more documents reach than are asked
// for; `high` if none. Scoring those raises the threshold, and most of the others are never scored.
static uint32_t split(const memdb__search_t *search, uint32_t documents, uint32_t low,
                      uint32_t high) {
    uint32_t enough = 2 * search->capacity > 64 ? 2 * search->capacity : 64;
    enough = enough < MEMDB__SEARCH_ROOM / 2 ? enough : MEMDB__SEARCH_ROOM / 2;
    while (low + 1 < high) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t count = search->wide ? search->kernels->count16(search->values, documents, middle)
                                      : search->kernels->count8(search->values, documents, middle);
        if (count > enough) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

// Take all documents with values in [low, high]; too many for one scan are taken from the highest
// values down.
static memdb_status_t take_window(memdb__search_t *search, memdb__search_source_t *source,
                                  uint32_t first, uint32_t documents, uint32_t low, uint32_t high,
                                  memdb_error_t *error) {
    while (low <= high) {
        uint32_t found, from = low, next = scan(search, 0, documents, low, high, &found);
        if (next < documents && low < high) {
            from = split(search, documents, low, high);
            next = scan(search, 0, documents, from, high, &found);
        }
        memdb_status_t status = take_candidates(search, source, first, found, error);
        while (next < documents && !status) { // one value that very many documents share
            next = scan(search, next, documents, from, high, &found);
            status = take_candidates(search, source, first, found, error);
        }
        if (status) {
            return status;
        }
        high = from - 1;
        uint32_t least = least_value(search);
        low = least > low ? least : low;
    }
    return MEMDB_OK;
}

static void note_guess(memdb__search_t *search) {
    search->most_guess = search->guess > search->most_guess ? search->guess : search->most_guess;
}

// Scan a block whose postings were all added.
static memdb_status_t scan_all(memdb__search_t *search, memdb__search_source_t *source,
                               uint32_t first, uint32_t documents, memdb_error_t *error) {
    for (uint32_t high = memdb__search_limit(search); high > 0;) {
        uint32_t low = least_value(search);
        if (low <= high) {
            memdb_status_t status = take_window(search, source, first, documents, low, high, error);
            if (status) {
                return status;
            }
            high = low - 1;
        }
        bool held = memdb__search_full(search) && search->best[0].score >= search->guess;
        if (held || search->guess == 0 || search->refused <= 8 + search->examined / 2) {
            break;
        }
        search->guess = search->guess > search->unit ? 0.7 * search->guess : 0;
    }
    note_guess(search);
    return MEMDB_OK;
}

// Add and scan a block. Where lists were left out, the documents that can matter are taken if they
// are few; else the rest is added.
static memdb_status_t scan_block(memdb__search_t *search, memdb__search_source_t *source,
                                 uint32_t first, uint32_t documents, memdb_error_t *error) {
    if (!memdb__search_add_block(search, first, documents)) {
        note_guess(search);
        return MEMDB_OK;
    }
    uint32_t left_out = search->left_out;
    if (left_out) {
        uint32_t found;
        uint32_t next =
            scan(search, 0, documents, least_value(search), memdb__search_limit(search), &found);
        if (next >= documents && found <= MEMDB__SEARCH_FEW) {
            note_guess(search);
            return take_candidates(search, source, first, found, error);
        }
        memdb__search_add_left_out(search, first);
    }
    search->left_out = 0;
    memdb_status_t status = scan_all(search, source, first, documents, error);
    search->left_out = left_out;
    return status;
}

// A block of few postings. Where lists were left out and too many documents remain, false.
static bool collect_block(memdb__search_t *search, memdb__search_source_t *source, uint32_t first,
                          memdb_status_t *status_out, memdb_error_t *error) {
    uint32_t found = memdb__search_collect(search, first, least_value(search));
    if (search->left_out && found > MEMDB__SEARCH_FEW) {
        return false;
    }
    note_guess(search);
    *status_out = take_keys(search, source, first, found, error);
    return true;
}

static memdb_status_t scan_chunk(memdb__search_t *search, memdb__search_source_t *source,
                                 uint32_t chunk, memdb_error_t *error) {
    memdb_status_t status = memdb__search_open_chunk(search, source, chunk, error);
    if (status || search->chunk_term_count == 0) {
        return status;
    }
    // A guess is not trusted so far where a filter may refuse what it counts on.
    bool trusted = !search->asked->accept ||
                   (memdb__search_full(search) && search->best[0].score >= search->guess);
    if (trusted) {
        memdb__search_leave_out(search, needed_value(search));
    }
    uint64_t at = (uint64_t)chunk * MEMDB__WORDS_CHUNK, end = at + MEMDB__WORDS_CHUNK;
    end = end < source->documents ? end : source->documents;
    uint32_t most = MEMDB__SEARCH_BLOCK_BYTES / (search->wide ? 2 : 1);
    while (at < end && !status) {
        uint32_t documents = (uint32_t)(end - at < most ? end - at : most);
        uint32_t postings = memdb__search_open_block(search, (uint32_t)at, documents);
        bool few = trusted && postings <= MEMDB__SEARCH_ROOM;
        if (postings == 0) {
            note_guess(search);
        } else if (!few || !collect_block(search, source, (uint32_t)at, &status, error)) {
            status = scan_block(search, source, (uint32_t)at, documents, error);
        }
        at += documents;
    }
    return status;
}

memdb_status_t memdb__search_scan(memdb__search_t *search, memdb_error_t *error) {
    memdb_status_t status = memdb__search_prepare(search, error);
    for (uint32_t pass = 0; !status; pass++) {
        search->most_guess = 0;
        search->best_count = 0;
        search->bar = 0;
        search->examined = search->refused = 0;
        for (uint32_t s = 0; s < search->source_count && !status; s++) {
            memdb__search_source_t *source = &search->sources[s];
            uint32_t chunks = (uint32_t)(((uint64_t)source->documents + MEMDB__WORDS_CHUNK - 1) /
                                         MEMDB__WORDS_CHUNK);
            for (uint32_t c = 0; c < chunks && source->postings && !status; c++) {
                status = scan_chunk(search, source, c, error);
                status = status ? status : memdb__stop_check(&search->asked->stop, error);
            }
        }
        bool full = memdb__search_full(search);
        if (search->most_guess == 0 || (full && search->best[0].score >= search->most_guess)) {
            break;
        }
        // What was found is a lower bound for what there is; with less than k, nothing is known.
        // The third pass has no threshold, so that it is the last even where a filter changes its
        // mind.
        search->guess = full ? search->best[0].score : 0.3 * search->most_guess;
        search->guess = pass < 1 ? search->guess : 0;
    }
    return status;
}
