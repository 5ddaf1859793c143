// Exact search: every row of a space is scored, the best live ones are kept.
//
// Rows are scored in blocks: integer dot products into a small buffer, then floats, then one
// comparison a row with the score of the worst hit that is kept. Only a row that beats it (or ties,
// with a smaller id) is shown to `live`, so with k hits among n rows in random
// order those are asked about k * (1 + ln(n / k)) times. The kept hits are a heap with the worst at
// its root; order is by score, then by rising id, so the result does not depend on the order of
// sources, blocks or threads. Where only members count, a block with few of them is not gone
// through: their rows are scored one by one, the next ones fetched from memory meanwhile.
#include "index/atlas/atlas_internal.h"
#include "index/kernels/kernels.h"

#include <math.h>
#include <string.h>

#define BLOCK_ROWS 512 // small rows too make a block that the kernels prefetch through
#define GROUP_ROWS 32  // rows that one test for any candidate covers
#define FEW 3          // a block of which less than one row in so many is a member is not gone through
#define AHEAD 6        // members whose codes are fetched ahead

typedef struct scan {
    const memdb__vector_search_t *search;
    const memdb__kernels_t *kernels;
    memdb__coded_query_t query;
    memdb__vector_hit_t *heap; // heap[0] is the worst
    size_t capacity, count;
    float threshold; // score of the worst hit once the heap is full; before that below every score
} scan_t;

// ------------------------------------------------------------------------------ the heap

static bool is_worse(const memdb__vector_hit_t *a, const memdb__vector_hit_t *b) {
    if (a->score != b->score)
        return a->score < b->score;
    return a->id != b->id ? a->id > b->id : a->version < b->version;
}

/// Let `hit` sink from `at` until no child is worse.
static void sink(memdb__vector_hit_t *heap, size_t count, size_t at, memdb__vector_hit_t hit) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && is_worse(&heap[child + 1], &heap[child]))
            child++;
        if (!is_worse(&heap[child], &hit))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = hit;
}

static void keep(scan_t *scan, memdb__vector_hit_t hit) {
    if (scan->count == scan->capacity) {
        sink(scan->heap, scan->count, 0, hit);
    } else {
        size_t at = scan->count++;
        for (; at > 0 && is_worse(&hit, &scan->heap[(at - 1) / 2]); at = (at - 1) / 2)
            scan->heap[at] = scan->heap[(at - 1) / 2];
        scan->heap[at] = hit;
    }
    if (scan->count == scan->capacity)
        scan->threshold = scan->heap[0].score;
}

/// Best first.
static void sort_heap(memdb__vector_hit_t *heap, size_t count) {
    while (count > 1) {
        memdb__vector_hit_t worst = heap[0];
        count--;
        sink(heap, count, 0, heap[count]);
        heap[count] = worst;
    }
}

// ------------------------------------------------------------------------------ the scan

static void offer(scan_t *scan, uint64_t id, uint64_t version, float score) {
    memdb__vector_hit_t hit = {id, version, score};
    if (scan->count == scan->capacity && !is_worse(&scan->heap[0], &hit))
        return;
    const memdb__vector_search_t *search = scan->search;
    if (search->live(search->context, search->space, id, version))
        keep(scan, hit);
}

/// The members among the rows of a block, by their numbers in it.
static size_t select_members(const memdb__vector_search_t *search, const uint64_t *ids,
                             size_t count, uint16_t *selected) {
    const uint64_t *words = NULL;
    uint64_t chunk = UINT64_MAX; // the one that `words` are of
    size_t members = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t id = ids[i];
        if (id / MEMDB__BITMAP_CHUNK_IDS != chunk) {
            chunk = id / MEMDB__BITMAP_CHUNK_IDS;
            words = memdb__bitmap_find(search->members, chunk);
        }
        uint64_t in = words ? words[id % MEMDB__BITMAP_CHUNK_IDS / 64] >> (id % 64) & 1 : 0;
        selected[members] = (uint16_t)i; // overwritten by the next one, unless it is a member
        members += in != search->inverted;
    }
    return members;
}

static void prefetch_row(const scan_t *scan, const memdb__rows_t *rows, size_t row) {
    for (size_t at = 0; at < scan->query.stride; at += 64)
        __builtin_prefetch(rows->codes + row * scan->query.stride + at);
}

/// Score few rows of a block.
static void score_selected(const scan_t *scan, const memdb__rows_t *rows, size_t first,
                           const uint16_t *selected, size_t members, float *scores) {
    size_t stride = scan->query.stride;
    for (size_t i = 0; i < AHEAD && i < members; i++)
        prefetch_row(scan, rows, first + selected[i]);
    for (size_t i = 0; i < members; i++) {
        size_t row = first + selected[i];
        if (i + AHEAD < members)
            prefetch_row(scan, rows, first + selected[i + AHEAD]);
        int32_t dot = scan->kernels->dot(scan->query.codes, rows->codes + row * stride, stride);
        memdb__scores(&scan->query, &dot, rows->scales + row, rows->norms + row, 1,
                      &scores[selected[i]]);
    }
}

static void score_all(const scan_t *scan, const memdb__rows_t *rows, size_t first, size_t count,
                      float *scores) {
    int32_t dots[BLOCK_ROWS];
    size_t stride = scan->query.stride;
    scan->kernels->dot_rows(scan->query.codes, rows->codes + first * stride, stride, count, dots);
    memdb__scores(&scan->query, dots, rows->scales + first, rows->norms + first, count, scores);
}

/// A block of which only members count.
static void scan_members(scan_t *scan, const memdb__rows_t *rows, size_t first, size_t count) {
    uint16_t selected[BLOCK_ROWS + 1];
    float scores[BLOCK_ROWS];
    size_t members = select_members(scan->search, rows->ids + first, count, selected);
    if (members * FEW < count)
        score_selected(scan, rows, first, selected, members, scores);
    else
        score_all(scan, rows, first, count, scores);
    for (size_t i = 0; i < members; i++) {
        size_t row = first + selected[i];
        if (scores[selected[i]] >= scan->threshold)
            offer(scan, rows->ids[row], rows->versions[row], scores[selected[i]]);
    }
}

static void scan_block(scan_t *scan, const memdb__rows_t *rows, size_t first, size_t count) {
    float scores[BLOCK_ROWS];
    score_all(scan, rows, first, count, scores);
    for (size_t group = 0; group < count; group += GROUP_ROWS) {
        size_t end = group + GROUP_ROWS < count ? group + GROUP_ROWS : count;
        float threshold = scan->threshold;
        int any = 0;
        for (size_t i = group; i < end; i++)
            any |= scores[i] >= threshold;
        for (size_t i = group; any && i < end; i++)
            if (scores[i] >= scan->threshold)
                offer(scan, rows->ids[first + i], rows->versions[first + i], scores[i]);
    }
}

static memdb_status_t scan_rows(scan_t *scan, const memdb__rows_t *rows, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (size_t first = 0; first < rows->count && status == MEMDB_OK; first += BLOCK_ROWS) {
        size_t left = rows->count - first, count = left < BLOCK_ROWS ? left : BLOCK_ROWS;
        if (scan->search->members)
            scan_members(scan, rows, first, count);
        else
            scan_block(scan, rows, first, count);
        status = memdb__stop_check(&scan->search->stop, error);
    }
    return status;
}

/// What a source has of the searched space; both NULL: nothing.
typedef struct part {
    const memdb__list_space_t *listed;
    const memdb__segment_space_t *kept;
} part_t;

static memdb_status_t find_part(const memdb__vector_search_t *search,
                                const memdb__vector_source_t *source, part_t *part_out,
                                memdb_error_t *error) {
    part_t part = {
        .listed = source->list ? memdb__vector_list_space(source->list, search->space) : NULL,
        .kept = source->segment ? memdb__vector_segment_find_space(source->segment, search->space)
                                : NULL};
    if (part.listed || part.kept) {
        uint32_t dimension =
            part.listed ? memdb__list_space_dimension(part.listed) : part.kept->dimension;
        if (dimension != search->dimension)
            return memdb__fail(error, MEMDB_INVALID, "space %u has dimension %u, not %u",
                               search->space, dimension, search->dimension);
    }
    *part_out = part;
    return MEMDB_OK;
}

/// The version up to which a list counts.
static uint64_t visible_in(const memdb__vector_search_t *search,
                           const memdb__vector_source_t *source) {
    return source->whole ? UINT64_MAX : search->visible;
}

static memdb_status_t scan_source(scan_t *scan, const memdb__vector_source_t *source,
                                  memdb_error_t *error) {
    part_t part = {0};
    memdb__rows_t rows;
    memdb_status_t status = find_part(scan->search, source, &part, error);
    if (status == MEMDB_OK && part.kept) {
        status = memdb__segment_rows(source->segment, part.kept, &rows, error);
        if (status == MEMDB_OK)
            status = scan_rows(scan, &rows, error);
    } else if (status == MEMDB_OK && part.listed) {
        size_t count = memdb__list_space_count(part.listed, visible_in(scan->search, source));
        for (size_t row = 0; row < count && status == MEMDB_OK; row += rows.count) {
            rows = memdb__list_space_rows(part.listed, row, count);
            status = scan_rows(scan, &rows, error);
        }
    }
    return status;
}

/// Rows in all sources: an upper bound of the hits, so that a large capacity over a small space
/// needs a small heap.
static memdb_status_t count_rows(const memdb__vector_search_t *search, size_t *count_out,
                                 memdb_error_t *error) {
    size_t count = 0;
    for (size_t i = 0; i < search->source_count; i++) {
        part_t part = {0};
        memdb_status_t status = find_part(search, &search->sources[i], &part, error);
        if (status != MEMDB_OK)
            return status;
        if (part.listed)
            count += memdb__list_space_count(part.listed, visible_in(search, &search->sources[i]));
        if (part.kept)
            count += (size_t)part.kept->count;
    }
    *count_out = count;
    return MEMDB_OK;
}

memdb_status_t memdb__vector_search(const float *query, const memdb__vector_search_t *search,
                                    memdb__vector_hit_t *hits_out, size_t capacity,
                                    size_t *count_out, memdb_error_t *error) {
    scan_t scan = {.search = search, .kernels = memdb__kernels(), .threshold = -INFINITY};
    memdb_status_t status =
        memdb__coded_query_init(&scan.query, search->metric, query, search->dimension, error);
    size_t rows = 0;
    if (status == MEMDB_OK)
        status = count_rows(search, &rows, error);
    if (status != MEMDB_OK)
        return status;
    scan.capacity = capacity < rows ? capacity : rows;
    if (scan.capacity) {
        // The hits are gathered apart, so that the caller's stay untouched when a source is
        // damaged.
        scan.heap = memdb__allocate(scan.capacity * sizeof *scan.heap);
        if (!scan.heap)
            return memdb__fail(error, MEMDB_NOMEM, "out of memory for %zu hits", scan.capacity);
    }
    for (size_t i = 0; i < search->source_count && scan.capacity && status == MEMDB_OK; i++)
        status = scan_source(&scan, &search->sources[i], error);
    if (status == MEMDB_OK) {
        sort_heap(scan.heap, scan.count);
        if (scan.count)
            memcpy(hits_out, scan.heap, scan.count * sizeof *hits_out);
        *count_out = scan.count;
    }
    memdb__free(scan.heap);
    return status;
}

// ------------------------------------------------------------------------------ given rows

/// Find row (id, version) in the newest source that has it. MEMDB_NOT_FOUND without a message.
static memdb_status_t find_row(const memdb__vector_search_t *search, uint64_t id, uint64_t version,
                               memdb__rows_t *row_out, memdb_error_t *error) {
    for (size_t i = search->source_count; i-- > 0;) {
        const memdb__vector_source_t *source = &search->sources[i];
        part_t part = {0};
        memdb_status_t status = find_part(search, source, &part, error);
        if (status == MEMDB_OK && part.kept) {
            status = memdb__segment_find(source->segment, part.kept, id, version, row_out, error);
            if (status == MEMDB_NOT_FOUND)
                continue;
            return status;
        }
        if (status != MEMDB_OK)
            return status;
        if (part.listed && version <= visible_in(search, source) &&
            memdb__list_space_find(part.listed, id, version, row_out))
            return MEMDB_OK;
    }
    return MEMDB_NOT_FOUND;
}

/// Scores of up to BATCH_ROWS rows. All are found before the first is scored, so that their codes,
/// each a cache miss, arrive together.
#define BATCH_ROWS 64

static memdb_status_t score_batch(const memdb__coded_query_t *query,
                                  const memdb__vector_search_t *search, memdb__vector_hit_t *hits,
                                  size_t count, float *scores_out, memdb_error_t *error) {
    memdb__rows_t rows[BATCH_ROWS];
    for (size_t i = 0; i < count; i++) {
        memdb_status_t status = find_row(search, hits[i].id, hits[i].version, &rows[i], error);
        if (status == MEMDB_NOT_FOUND)
            rows[i].count = 0;
        else if (status != MEMDB_OK)
            return status;
        for (uint32_t at = 0; rows[i].count && at < query->stride; at += 64)
            __builtin_prefetch(rows[i].codes + at);
    }
    const memdb__kernels_t *kernels = memdb__kernels();
    for (size_t i = 0; i < count; i++) {
        scores_out[i] = -INFINITY;
        if (!rows[i].count)
            continue;
        int32_t dot = kernels->dot(query->codes, rows[i].codes, query->stride);
        memdb__scores(query, &dot, rows[i].scales, rows[i].norms, 1, &scores_out[i]);
    }
    return MEMDB_OK;
}

memdb_status_t memdb__vector_score(const float *query, const memdb__vector_search_t *search,
                                   memdb__vector_hit_t *hits, size_t count, memdb_error_t *error) {
    memdb__coded_query_t coded;
    memdb_status_t status =
        memdb__coded_query_init(&coded, search->metric, query, search->dimension, error);
    for (size_t first = 0; first < count && status == MEMDB_OK; first += BATCH_ROWS) {
        size_t rows = count - first < BATCH_ROWS ? count - first : BATCH_ROWS;
        float scores[BATCH_ROWS];
        status = score_batch(&coded, search, hits + first, rows, scores, error);
        for (size_t i = 0; i < rows && status == MEMDB_OK; i++)
            hits[first + i].score = scores[i];
    }
    return status;
}

memdb_status_t memdb__vector_get(const memdb__vector_search_t *search, uint64_t id,
                                 uint64_t version, uint8_t *row_out, memdb_error_t *error) {
    memdb__rows_t row;
    memdb_status_t status = find_row(search, id, version, &row, error);
    if (status == MEMDB_NOT_FOUND)
        return memdb__fail(error, MEMDB_NOT_FOUND,
                           "space %u has no vector of id %llu, version %llu", search->space,
                           (unsigned long long)id, (unsigned long long)version);
    if (status != MEMDB_OK)
        return status;
    memcpy(row_out, row.scales, sizeof(float)); // little-endian, as the log has it
    memcpy(row_out + sizeof(float), row.codes, search->dimension);
    return MEMDB_OK;
}
