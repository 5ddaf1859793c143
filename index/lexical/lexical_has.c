// Whether a document is there: for those who check that the stores agree.
#include "index/lexical/lexical_list.h"
#include "index/lexical/lexical_segment.h"

static memdb_status_t segment_has(const memdb__words_segment_t *segment, memdb_space_t space,
                                  uint64_t id, uint64_t version, bool *has_out,
                                  memdb_error_t *error) {
    memdb__words_space_t row;
    bool found;
    uint32_t number;
    memdb_status_t status = memdb__segment_find_space(segment, space, &row, &found, error);
    if (!status && found) {
        status = memdb__segment_locate(segment, &row, id, version, &number, error);
        *has_out = !status && number != UINT32_MAX;
    }
    return status;
}

memdb_status_t memdb__words_has(const memdb__words_search_t *search, uint64_t id, uint64_t version,
                                bool *has_out, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    bool has = false;
    for (size_t i = search->source_count; !status && !has && i-- > 0;) {
        const memdb__words_source_t *source = &search->sources[i];
        if (source->segment) {
            status = segment_has(source->segment, search->space, id, version, &has, error);
        } else {
            memdb__list_view_t view;
            memdb__list_view(source->list, search->space,
                             source->whole ? UINT64_MAX : search->visible, &view);
            has = view.space && memdb__list_locate(&view, id, version) != UINT32_MAX;
        }
    }
    if (!status) {
        *has_out = has;
    }
    return status;
}
